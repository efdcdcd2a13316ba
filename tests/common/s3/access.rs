//! Who may do what.

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Error, S3Result, s3_error};

use super::behaviour::{Conditions, Rights, Tags};
use super::storage::Shared;

/// The list of keys, for checking signatures.
pub(super) struct Keys(pub(super) Shared);

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, id: &str) -> S3Result<SecretKey> {
        let state = self.0.lock().unwrap();
        let key = state.keys.get(id).ok_or_else(unknown_key)?;
        match key.is_expired {
            true => Err(s3_error!(ExpiredToken, "The provided token has expired.")),
            false => Ok(SecretKey::from(key.secret.as_str())),
        }
    }
}

/// What is refused to a request whose signature is right, or that has none.
pub(super) struct Permissions(pub(super) Shared);

#[async_trait::async_trait]
impl S3Access for Permissions {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let state = self.0.lock().unwrap();
        let behaviour = &state.behaviour;
        let operation = context.s3_op().name();
        let Some(credentials) = context.credentials() else {
            let is_public = matches!(operation, "GetObject" | "HeadObject");
            return if behaviour.public_read && is_public { Ok(()) } else { Err(denied()) };
        };
        let key = state.keys.get(&credentials.access_key).ok_or_else(unknown_key)?;
        let token = context.headers().get("x-amz-security-token").map(|token| token.as_bytes());
        if token != key.token.as_deref().map(str::as_bytes) {
            // A temporary key does not exist without its token.
            return Err(match token {
                None => unknown_key(),
                Some(_) => {
                    let message = "The provided token is malformed or otherwise invalid.";
                    s3_error!(InvalidToken, "{message}")
                }
            });
        }
        let is_reading = ["Get", "Head", "List"].iter().any(|verb| operation.starts_with(verb));
        if key.rights == Rights::ReadOnly && !is_reading {
            return Err(denied());
        }
        let is_conditional = context.headers().contains_key("if-none-match");
        match operation {
            "ListObjects" | "ListObjectsV2" if !behaviour.list_allowed => Err(denied()),
            "DeleteObject" | "DeleteObjects" if !behaviour.delete_allowed => Err(denied()),
            "CopyObject" if !behaviour.copies => Err(not_implemented()),
            "PutObject" | "CompleteMultipartUpload" | "CopyObject"
                if is_conditional && behaviour.conditions == Conditions::Refused =>
            {
                Err(not_implemented())
            }
            "GetBucketTagging" | "PutBucketTagging" => match behaviour.tags {
                Tags::NotImplemented => Err(not_implemented()),
                Tags::Denied => Err(denied()),
                Tags::WriteDenied if !is_reading => Err(denied()),
                Tags::WriteDenied | Tags::Kept => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

fn denied() -> S3Error {
    s3_error!(AccessDenied, "Access Denied")
}

fn unknown_key() -> S3Error {
    let message = "The AWS Access Key Id you provided does not exist in our records.";
    s3_error!(InvalidAccessKeyId, "{message}")
}

fn not_implemented() -> S3Error {
    let message = "A header you provided implies functionality that is not implemented";
    s3_error!(NotImplemented, "{message}")
}
