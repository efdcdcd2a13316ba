//! Uploading: read into memory, check against the promise, then send under the condition that the
//! name is free.
//!
//! What is larger than a part goes through [`multipart`]. Nothing is sent that was not hashed first,
//! so a server that checks nothing still gets the right bytes.

use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, MetadataDirective};
use bytes::Bytes;

use super::failure::{Doing, Refusal, Trouble};
use super::manners::Manners;
use super::runtime::block_on;
use super::{Head, S3Lake, budget, manners, multipart};
use crate::digest::{COPY_BUFFER_BYTES, HashName};
use crate::fs::unix_now;
use crate::lake::upload::CopyError;
use crate::lake::{LakeError, Observer, Proof, Put, ReadLake as _, Upload};
use crate::object_name::ObjectName;
use crate::oid::Oid;

/// From this age on, finding an object renews its date.
const RENEW_AFTER_SECONDS: u64 = 7 * 24 * 60 * 60;
/// A copy of a larger object has to be made in parts, which is not worth a date.
const MAX_COPY_BYTES: u64 = 5 << 30;
/// How often an upload is tried again when somebody else uploads the same at the same moment.
const CONFLICTS: u32 = 5;
/// Slowest upload that is not given up, in bytes a second.
const SLOWEST_BYTES: u64 = 16 << 10;
pub(super) const CONTENT_TYPE: &str = "application/octet-stream";

/// Uploads a batch, one after the other; see [`crate::lake::WriteLake::put`].
pub(super) fn put(
    lake: &S3Lake,
    uploads: &[Upload<'_>],
    observer: &dyn Observer,
) -> Vec<Result<Put, LakeError>> {
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    let one = |upload: &Upload<'_>| {
        if observer.is_cancelled() {
            return Err(LakeError::Cancelled);
        }
        let declared = match lake.known_declaration() {
            Some(declaration) => declaration.hash,
            None => lake.declaration()?.hash,
        };
        let url = lake.url.clone();
        if !declared.is_writable() {
            return Err(LakeError::HashNotWritable { url, hash: declared });
        }
        if upload.hash != declared {
            return Err(LakeError::HashMismatch { url, declared, wanted: upload.hash });
        }
        block_on(put_one(lake, upload, &mut buffer, observer))
    };
    uploads.iter().map(one).collect()
}

async fn put_one(
    lake: &S3Lake,
    upload: &Upload<'_>,
    buffer: &mut [u8],
    observer: &dyn Observer,
) -> Result<Put, LakeError> {
    let manners = manners::of(lake).await.map_err(|trouble| lake.error(trouble, Doing::Writing))?;
    if upload.size > lake.server.limits.part_bytes {
        return multipart::put(lake, upload, manners, observer).await;
    }
    let _room = budget::take(upload.size).await;
    let capacity = usize::try_from(upload.size).expect("a part fits into memory");
    let mut bytes = Vec::with_capacity(capacity);
    upload.copy_to(&mut bytes, buffer, observer).map_err(|error| match error {
        CopyError::Read(error) => upload.unreadable(error),
        CopyError::Write(_) => unreachable!("memory takes everything"),
        CopyError::Mismatch => upload.changed(),
        CopyError::Cancelled => LakeError::Cancelled,
    })?;
    if observer.is_cancelled() {
        return Err(LakeError::Cancelled);
    }
    let digest = known_digest(upload).unwrap_or_else(|| Oid::of(&bytes));
    let bytes = Bytes::from(bytes);
    let key = lake.key(upload.name);
    for _ in 0..CONFLICTS {
        let manners = lake.manners_now(manners);
        if !manners.conditions
            && let Some(head) = head(lake, upload.name, &key).await?
        {
            return found(lake, upload, head, Some(&digest), observer).await;
        }
        let sent = send(lake, &key, bytes.clone(), &digest, manners).await;
        match sent {
            Ok(()) => return Ok(Put::Created),
            Err(trouble) if trouble.says(Refusal::is_precondition) => {
                match head(lake, upload.name, &key).await? {
                    Some(head) => return found(lake, upload, head, Some(&digest), observer).await,
                    // It was there a moment ago: somebody removed it.
                    None => continue,
                }
            }
            Err(trouble) if trouble.says(Refusal::is_conflict) => {}
            Err(trouble) if manners.conditions && trouble.says(refuses_conditions) => {
                manners::doubt_conditions(lake);
            }
            Err(trouble) => return Err(lake.error(trouble, Doing::Writing)),
        }
    }
    Err(LakeError::Busy { url: lake.url.clone(), after: None })
}

pub(super) async fn head(
    lake: &S3Lake,
    name: &ObjectName,
    key: &str,
) -> Result<Option<Head>, LakeError> {
    lake.head(key).await.map_err(|trouble| lake.error(trouble, Doing::Reading(name)))
}

/// Returns true if a server does not take uploads under a condition.
pub(super) fn refuses_conditions(refusal: &Refusal) -> bool {
    refusal.is_unsupported()
        || refusal.status == 400 && matches!(&*refusal.code, "InvalidArgument" | "InvalidRequest")
}

/// Sends an object in one request.
pub(super) async fn send(
    lake: &S3Lake,
    key: &str,
    bytes: Bytes,
    digest: &Oid,
    manners: Manners,
) -> Result<(), Trouble> {
    let size = bytes.len() as u64;
    let sent = lake.host().call(|client| {
        let mut request = client
            .put_object()
            .bucket(&lake.bucket)
            .key(key)
            .content_type(CONTENT_TYPE)
            .body(ByteStream::from(bytes.clone()));
        if manners.conditions {
            request = request.if_none_match("*");
        }
        if manners.checksums {
            request = request.checksum_sha256(base64(digest.as_bytes()));
        }
        let timeouts = lake.timeouts_for(size);
        request.customize().interceptor(Hashed(*digest)).config_override(timeouts).send()
    });
    let output = sent.await?;
    if output.e_tag().is_none() {
        // Some proxy answers in the server's place.
        return Err(Trouble::Network("An upload was answered as if it were none".into()));
    }
    Ok(())
}

/// Decides what an object is worth that stands under the name already.
pub(super) async fn found(
    lake: &S3Lake,
    upload: &Upload<'_>,
    head: Head,
    digest: Option<&Oid>,
    observer: &dyn Observer,
) -> Result<Put, LakeError> {
    let damaged = || LakeError::DamagedThere {
        object: lake.url.source(upload.name.clone()),
        found: head.info.size,
    };
    if head.info.size != upload.size {
        return Err(damaged());
    }
    let told = head.checksum.as_deref().filter(|checksum| !checksum.contains('-'));
    let proof = match (told, digest) {
        (Some(told), Some(digest)) if told == base64(digest.as_bytes()) => Proof::Content,
        (Some(_), Some(_)) => return Err(damaged()),
        // The server vouches for nothing. What is small is read.
        _ if upload.size <= lake.server.limits.part_bytes => {
            if !is_same(lake, upload, observer)? {
                return Err(damaged());
            }
            Proof::Content
        }
        _ => Proof::Size,
    };
    let modified = head.info.modified.unwrap_or_default();
    if unix_now().saturating_sub(modified) > RENEW_AFTER_SECONDS && upload.size <= MAX_COPY_BYTES {
        // Where it is not allowed, its age only matters to who deletes by age.
        drop(renew(lake, upload.name).await);
    }
    Ok(Put::AlreadyThere(proof))
}

/// Reads what stands under the name and compares it with what is to be uploaded.
pub(super) fn is_same(
    lake: &S3Lake,
    upload: &Upload<'_>,
    observer: &dyn Observer,
) -> Result<bool, LakeError> {
    // The caller's thread drives its request; reading blocks, so it is done beside it.
    let compare = || {
        let mut there = lake.get(upload.name, 0)?.reader;
        let mut buffer = vec![0; COPY_BUFFER_BYTES];
        match upload.compare(&mut *there, &mut buffer, observer) {
            Ok(()) => Ok(true),
            Err(CopyError::Mismatch) => Ok(false),
            Err(CopyError::Cancelled) => Err(LakeError::Cancelled),
            Err(CopyError::Read(error) | CopyError::Write(error)) => {
                let trouble = Trouble::Network(error.to_string().into());
                Err(lake.error(trouble, Doing::Reading(upload.name)))
            }
        }
    };
    std::thread::scope(|scope| scope.spawn(compare).join().expect("comparing does not panic"))
}

/// Copies an object onto itself, which gives it a new date and changes nothing else.
pub(super) async fn renew(lake: &S3Lake, name: &ObjectName) -> Result<(), Trouble> {
    let key = lake.key(name);
    let source = format!("{}/{}", urlencoded(&lake.bucket), urlencoded(&key));
    let copied = lake.host().call(|client| {
        client
            .copy_object()
            .bucket(&lake.bucket)
            .key(&key)
            .copy_source(&source)
            .content_type(CONTENT_TYPE)
            .metadata_directive(MetadataDirective::Replace)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .send()
    });
    copied.await.map(|_| ())
}

/// Encodes a path as S3 wants it in a header.
fn urlencoded(path: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const ENCODED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
    utf8_percent_encode(path, ENCODED).to_string()
}

/// Returns the SHA-256 of an upload if its name is one.
pub(super) fn known_digest(upload: &Upload<'_>) -> Option<Oid> {
    upload.name.as_oid().filter(|_| upload.hash == HashName::Sha256)
}

/// Encodes a digest as S3 has it in its headers.
pub(super) fn base64(bytes: &[u8]) -> String {
    aws_smithy_types::base64::encode(bytes)
}

/// Gives the signer the SHA-256 of the body, which is known, so that it is not computed again.
#[derive(Debug)]
pub(super) struct Hashed(pub(super) Oid);

impl Intercept for Hashed {
    fn name(&self) -> &'static str {
        "known digest"
    }

    fn modify_before_signing(
        &self,
        _: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(PayloadSigningOverride::Precomputed(self.0.to_hex()));
        Ok(())
    }
}

impl S3Lake {
    /// Returns what is known of the server by now, which may be less than what was thought.
    fn manners_now(&self, before: Manners) -> Manners {
        self.manners.lock().expect("no holder panics").unwrap_or(before)
    }

    /// Gives a request that sends many bytes the time that it needs.
    pub(super) fn timeouts_for(&self, bytes: u64) -> aws_sdk_s3::config::Builder {
        use aws_sdk_s3::config::timeout::TimeoutConfig;
        let time =
            self.server.limits.stall * 2 + std::time::Duration::from_secs(bytes / SLOWEST_BYTES);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.server.limits.connect)
            .operation_attempt_timeout(time)
            .build();
        aws_sdk_s3::config::Config::builder().timeout_config(timeouts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_written_as_s3_has_them() {
        let empty = Oid::of(b"");
        assert_eq!(base64(empty.as_bytes()), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn a_copy_names_its_source_encoded() {
        assert_eq!(urlencoded("a b/c+d.png"), "a%20b/c%2Bd.png");
    }
}
