//! Copies inside the server: the source vouches for the digest, the name is free, the copy is looked at.

use aws_sdk_s3::types::ChecksumMode;

use super::failure::{Doing, Refusal, Trouble};
use super::manners::{self, PROBE};
use super::request::{base64, copy_as_sent, refuses_conditions};
use super::there::{MAX_COPY_BYTES, head};
use super::{Head, S3Lake};
use crate::digest::HashName;
use crate::lake::{LakeError, Place, Proof, Put};
use crate::object_name::ObjectName;

/// One copy that is to be made.
struct Copying<'a> {
    lake: &'a S3Lake,
    name: &'a ObjectName,
    key: String,
    size: u64,
    /// SHA-256 in base64.
    checksum: String,
    from: &'a Place,
    /// Which version of the source vouches for the digest.
    etag: String,
}

/// Copies an object; see [`crate::lake::WriteLake::copy`].
pub(super) async fn copy(
    lake: &S3Lake,
    name: &ObjectName,
    size: u64,
    from: &Place,
) -> Result<Option<Put>, LakeError> {
    let is_named_by_sha256 =
        lake.known_declaration().is_some_and(|declaration| declaration.hash == HashName::Sha256);
    let Some(oid) = name.as_oid().filter(|_| is_named_by_sha256 && size <= MAX_COPY_BYTES) else {
        return Ok(None);
    };
    if lake.learned.is_refused(&from.bucket) {
        return Ok(None);
    }
    let checksum = base64(oid.as_bytes());
    let Some(etag) = vouched(lake, from, size, &checksum).await else { return Ok(None) };
    let copying = Copying { lake, name, key: lake.key(name), size, checksum, from, etag };
    copying.run().await
}

/// Returns the version of the source if the server vouches for its size and digest.
async fn vouched(lake: &S3Lake, from: &Place, size: u64, checksum: &str) -> Option<String> {
    let asked = lake.host().call(|client| {
        let request = client.head_object().bucket(&from.bucket).key(&from.key);
        request.checksum_mode(ChecksumMode::Enabled).send()
    });
    // Why it cannot be asked is told by who reads it.
    let head = asked.await.ok()?;
    let is_right = head.content_length().and_then(|length| u64::try_from(length).ok())
        == Some(size)
        && head.checksum_sha256() == Some(checksum);
    head.e_tag().filter(|_| is_right).map(str::to_owned)
}

impl Copying<'_> {
    async fn run(&self) -> Result<Option<Put>, LakeError> {
        let mut has_conditions = conditions_on_copies(self.lake).await;
        loop {
            if !has_conditions && let Some(there) = self.head().await? {
                return Ok(self.already(&there));
            }
            let trouble = match self.send(has_conditions).await {
                Ok(told) => return self.verify(told).await.map(Some),
                Err(trouble) => trouble,
            };
            if trouble.says(Refusal::is_precondition) {
                // Something has the name, or the source is another by now.
                return Ok(self.head().await?.and_then(|there| self.already(&there)));
            }
            if has_conditions && trouble.says(refuses_conditions) {
                has_conditions = false;
                continue;
            }
            let error = self.lake.error(trouble.clone(), Doing::Writing);
            return match error {
                // These may pass, and are the same for bytes that are sent.
                LakeError::Busy { .. } | LakeError::Unreachable { .. } | LakeError::Full { .. } => {
                    Err(error)
                }
                _ => {
                    if trouble.says(|refusal| !refusal.is_not_found()) {
                        self.lake.learned.note_refusal(&self.from.bucket);
                    }
                    Ok(None)
                }
            };
        }
    }

    /// Sends the request; returns the digest of the copy, as far as the answer tells it.
    async fn send(&self, has_conditions: bool) -> Result<Option<String>, Trouble> {
        let Self { lake, from, .. } = self;
        let copied = lake.host().call(|client| {
            copy_as_sent(&client, (&from.bucket, &from.key), (&lake.bucket, &self.key))
                .copy_source_if_match(&self.etag)
                .set_if_none_match(has_conditions.then(|| "*".to_owned()))
                .customize()
                .config_override(lake.timeouts_for(self.size))
                .send()
        });
        let output = copied.await?;
        let result = output.copy_object_result();
        Ok(result.and_then(|result| result.checksum_sha256()).map(str::to_owned))
    }

    /// Makes sure that the copy is the object.
    async fn verify(&self, told: Option<String>) -> Result<Put, LakeError> {
        if told.as_ref() == Some(&self.checksum) {
            return Ok(Put::Copied(Proof::Content));
        }
        let absent = || LakeError::Absent { object: self.lake.url.source(self.name.clone()) };
        let there = self.head().await?.ok_or_else(absent)?;
        match &there.checksum {
            Some(checksum) if *checksum == self.checksum && there.info.size == self.size => {
                Ok(Put::Copied(Proof::Content))
            }
            None if there.info.size == self.size => Ok(Put::Copied(Proof::Size)),
            _ => {
                let object = self.lake.url.source(self.name.clone());
                Err(LakeError::DamagedThere { object, found: there.info.size })
            }
        }
    }

    /// Decides about what has the name already. What the server does not vouch for is looked at by
    /// [`crate::lake::WriteLake::put`].
    fn already(&self, there: &Head) -> Option<Put> {
        let is_vouched =
            there.info.size == self.size && there.checksum.as_ref() == Some(&self.checksum);
        is_vouched.then_some(Put::AlreadyThere(Proof::Content))
    }

    async fn head(&self) -> Result<Option<Head>, LakeError> {
        head(self.lake, self.name, &self.key).await
    }
}

/// Returns true if the server makes no copy over something under the condition that nothing is there;
/// tried once with the object that uploads were tried with.
async fn conditions_on_copies(lake: &S3Lake) -> bool {
    let try_out = || async {
        if !manners::of(lake).await.is_ok_and(|manners| manners.conditions) {
            return false;
        }
        let key = format!("{}{PROBE}", lake.prefix);
        let probe = (&*lake.bucket, &*key);
        let copied = lake
            .host()
            .call(|client| copy_as_sent(&client, probe, probe).if_none_match("*").send());
        copied.await.is_err_and(|trouble| trouble.says(Refusal::is_precondition))
    };
    *lake.learned.conditions_on_copies.get_or_init(try_out).await
}
