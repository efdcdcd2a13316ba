//! What stands under a name already: whether it is the object, and how old it is.

use super::failure::{Doing, Trouble};
use super::request::{base64, copy_as_sent};
use super::{Head, S3Lake};
use crate::digest::{COPY_BUFFER_BYTES, HashName};
use crate::fs::unix_now;
use crate::lake::upload::{CopyError, RENEW_AFTER_SECONDS};
use crate::lake::{LakeError, Observer, Proof, Put, ReadLake as _, Upload};
use crate::object_name::ObjectName;
use crate::oid::Oid;

/// A copy of a larger object has to be made in parts, which is not worth a date.
pub(super) const MAX_COPY_BYTES: u64 = 5 << 30;

pub(super) async fn head(
    lake: &S3Lake,
    name: &ObjectName,
    key: &str,
) -> Result<Option<Head>, LakeError> {
    lake.head(key).await.map_err(|trouble| lake.error(trouble, Doing::Reading(name)))
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
}

/// Copies an object onto itself, which gives it a new date and changes nothing else.
pub(super) async fn renew(lake: &S3Lake, name: &ObjectName) -> Result<(), Trouble> {
    let key = lake.key(name);
    let object = (&*lake.bucket, &*key);
    let copied = lake.host().call(|client| copy_as_sent(&client, object, object).send());
    copied.await.map(|_| ())
}

/// Returns the SHA-256 of an upload if its name is one.
pub(super) fn known_digest(upload: &Upload<'_>) -> Option<Oid> {
    upload.name.as_oid().filter(|_| upload.hash == HashName::Sha256)
}
