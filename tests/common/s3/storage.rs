//! Buckets in memory, and the rules of what may be stored over what.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use aws_smithy_types::base64;
use http_body_util::BodyExt as _;
use hyper::body::Bytes;
use s3s::crypto::{Checksum as _, Md5, Sha256};
use s3s::dto::{ETag, ETagCondition, StreamingBlob, Timestamp};
use s3s::{Body, S3Result, TrailingHeaders, s3_error};

use super::behaviour::{Behaviour, Conditions, Key};

/// The state of a server, for its threads and for the test.
pub(super) type Shared = Arc<Mutex<State>>;

/// All that a server knows; one lock holds it, so that each write is one step.
#[derive(Default)]
pub(super) struct State {
    pub(super) behaviour: Behaviour,
    pub(super) keys: BTreeMap<String, Key>,
    pub(super) buckets: BTreeMap<String, Bucket>,
    /// Uploads begun so far; their ids count on.
    pub(super) uploads_begun: u64,
}

#[derive(Default)]
pub(super) struct Bucket {
    pub(super) objects: BTreeMap<String, Object>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) uploads: BTreeMap<String, Upload>,
}

#[derive(Clone)]
pub(super) struct Object {
    pub(super) bytes: Bytes,
    pub(super) etag: String,
    /// As HEAD says it: base64, of uploads in parts that of their digests with `-` and the count.
    pub(super) sha256: Option<String>,
    pub(super) about: About,
    pub(super) modified: SystemTime,
}

/// What a writer says about the bytes.
#[derive(Clone, Default)]
pub(super) struct About {
    pub(super) content_type: Option<String>,
    pub(super) metadata: Option<HashMap<String, String>>,
}

/// An upload in parts that has neither been completed nor aborted.
pub(super) struct Upload {
    pub(super) key: String,
    /// The parts and the object have SHA-256 digests.
    pub(super) has_checksums: bool,
    pub(super) about: About,
    pub(super) parts: BTreeMap<i32, Object>,
    pub(super) begun: SystemTime,
}

impl Object {
    pub(super) fn new(bytes: Bytes, has_checksum: bool, about: About) -> Self {
        let etag = hex(&Md5::checksum(&bytes));
        let sha256 = has_checksum.then(|| base64::encode(Sha256::checksum(&bytes)));
        Self { bytes, etag, sha256, about, modified: SystemTime::now() }
    }

    pub(super) fn size(&self) -> i64 {
        i64::try_from(self.bytes.len()).unwrap()
    }

    pub(super) fn etag(&self) -> ETag {
        ETag::Strong(self.etag.clone())
    }

    pub(super) fn modified(&self) -> Timestamp {
        self.modified.into()
    }

    fn is_meant(&self, condition: &ETagCondition) -> bool {
        condition.as_etag().is_none_or(|etag| etag.value() == self.etag)
    }

    /// Checks the conditions of a request that reads.
    pub(super) fn check_read(
        &self,
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
    ) -> S3Result<()> {
        if if_match.is_some_and(|condition| !self.is_meant(condition)) {
            return Err(precondition_failed());
        }
        if if_none_match.is_some_and(|condition| self.is_meant(condition)) {
            return Err(s3_error!(NotModified));
        }
        Ok(())
    }
}

impl State {
    pub(super) fn bucket(&mut self, name: &str) -> S3Result<&mut Bucket> {
        let missing = || s3_error!(NoSuchBucket, "The specified bucket does not exist");
        self.buckets.get_mut(name).ok_or_else(missing)
    }

    pub(super) fn object(&mut self, bucket: &str, key: &str) -> S3Result<&Object> {
        let is_telling = self.behaviour.list_allowed;
        let found = self.bucket(bucket)?.objects.get(key);
        found.ok_or_else(|| match is_telling {
            true => s3_error!(NoSuchKey, "The specified key does not exist."),
            false => s3_error!(AccessDenied, "Access Denied"),
        })
    }

    /// Checks the conditions of a request that writes.
    pub(super) fn check_write(
        &mut self,
        bucket: &str,
        key: &str,
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
    ) -> S3Result<()> {
        let is_honouring = self.behaviour.conditions == Conditions::Honoured;
        let present = self.bucket(bucket)?.objects.get(key);
        if !is_honouring {
            return Ok(());
        }
        if if_none_match.is_some_and(|condition| !condition.is_any()) {
            let message = "A header you provided implies functionality that is not implemented";
            return Err(s3_error!(NotImplemented, "{message}"));
        }
        if if_none_match.is_some() && present.is_some() {
            return Err(precondition_failed());
        }
        match (if_match, present) {
            (Some(_), None) => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
            (Some(condition), Some(object)) if !object.is_meant(condition) => {
                Err(precondition_failed())
            }
            _ => Ok(()),
        }
    }
}

fn precondition_failed() -> s3s::S3Error {
    let message = "At least one of the pre-conditions you specified did not hold";
    s3_error!(PreconditionFailed, "{message}")
}

/// Which digests a body is said to have.
pub(super) struct Claims {
    pub(super) md5: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) trailers: Option<TrailingHeaders>,
}

/// Reads the body of a request and checks the digests it is said to have.
///
/// Of the checksums that the protocol knows only SHA-256 is looked at.
pub(super) async fn receive(
    body: Option<StreamingBlob>,
    claims: Claims,
    with_checksums: bool,
    about: About,
) -> S3Result<Object> {
    let bytes = match body {
        Some(body) => Body::from(body).collect().await.map_err(broken)?.to_bytes(),
        None => Bytes::new(),
    };
    let in_trailer = || {
        let trailers = claims.trailers.as_ref()?;
        let value = trailers.read(|all| all.get("x-amz-checksum-sha256").cloned())??;
        Some(value.to_str().ok()?.to_owned())
    };
    let sha256 = claims.sha256.or_else(in_trailer).filter(|_| with_checksums);
    let object = Object::new(bytes, sha256.is_some(), about);
    if sha256 != object.sha256 {
        let message = "The SHA256 you specified did not match the calculated checksum.";
        return Err(s3_error!(BadDigest, "{message}"));
    }
    match claims.md5.map(|md5| base64::decode(md5).map(|md5| hex(&md5))) {
        Some(Err(_)) => Err(s3_error!(InvalidDigest, "The Content-MD5 you specified is invalid.")),
        Some(Ok(md5)) if md5 != object.etag => Err(s3_error!(
            BadDigest,
            "The Content-MD5 you specified did not match what we received."
        )),
        _ => Ok(object),
    }
}

/// Says what is wrong with a body that could not be read to its end.
fn broken(error: s3s::StdError) -> s3s::S3Error {
    let reason = error.to_string();
    if reason.contains("Sha256Mismatch") {
        let message =
            "The provided 'x-amz-content-sha256' header does not match what was computed.";
        let mut error = s3_error!(InvalidRequest, "{message}");
        error.set_code(s3s::S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()));
        error.set_status_code(hyper::StatusCode::BAD_REQUEST);
        return error;
    }
    if reason.contains("SignatureMismatch") {
        return s3_error!(SignatureDoesNotMatch);
    }
    s3_error!(IncompleteBody, "You did not provide the number of bytes specified ({reason})")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
