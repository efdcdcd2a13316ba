//! Uploading: read into memory, check against the promise, then send under the condition that the
//! name is free.
//!
//! What is larger than a part goes through [`multipart`]. Nothing is sent that was not hashed first,
//! so a server that checks nothing still gets the right bytes.

use std::io::Cursor;

use bytes::Bytes;

use super::failure::{Doing, Refusal};
use super::request::{Condition, Manners, refuses_conditions, send};
use super::runtime::block_on;
use super::there::{found, head, known_digest};
use super::{S3Lake, budget, manners, multipart, unfinished};
use crate::lake::upload::CopyError;
use crate::lake::{LakeError, Observer, Put, ReadLake as _, Upload};
use crate::oid::Oid;

/// How often an upload is tried again when somebody else uploads the same at the same moment.
const CONFLICTS: u32 = 5;
/// How much is read at once. Every thread that uploads has such a buffer, and there may be many.
const CHUNK_BYTES: usize = 128 << 10;

/// Uploads a batch, one after the other; see [`crate::lake::WriteLake::put`].
pub(super) fn put(
    lake: &S3Lake,
    uploads: &[Upload<'_>],
    observer: &dyn Observer,
) -> Vec<Result<Put, LakeError>> {
    // One byte more tells what is longer than promised.
    let longest = uploads.iter().map(|upload| upload.size).max().unwrap_or_default();
    let longest = usize::try_from(longest).unwrap_or(usize::MAX).saturating_add(1);
    let mut buffer = vec![0; longest.min(CHUNK_BYTES)];
    let one = |upload: &Upload<'_>| {
        if observer.is_cancelled() {
            return Err(LakeError::Cancelled);
        }
        let declared = match lake.known_declaration() {
            Some(declaration) => declaration.hash,
            None => lake.declaration()?.hash,
        };
        upload.check_hash(&lake.url, declared)?;
        block_on(put_one(lake, upload, &mut buffer, observer))
    };
    let results: Vec<_> = uploads.iter().map(one).collect();
    if results.iter().any(Result::is_ok) && !observer.is_cancelled() {
        block_on(unfinished::sweep(lake));
    }
    results
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
    let size = usize::try_from(upload.size).expect("a part fits into memory");
    let mut bytes = budget::Buffer::take(size).await;
    let mut sink = Cursor::new(bytes.as_mut());
    upload.copy_to(&mut sink, buffer, observer).map_err(|error| match error {
        CopyError::Read(error) => upload.unreadable(error),
        // Memory takes everything but what is longer than promised.
        CopyError::Write(_) | CopyError::Mismatch => upload.changed(),
        CopyError::Cancelled => LakeError::Cancelled,
    })?;
    if observer.is_cancelled() {
        return Err(LakeError::Cancelled);
    }
    let digest = known_digest(upload).unwrap_or_else(|| Oid::of(bytes.as_ref()));
    publish(lake, upload, Bytes::from_owner(bytes), &digest, manners, observer).await
}

/// Gives bytes that are known to be right their name, if it is free.
async fn publish(
    lake: &S3Lake,
    upload: &Upload<'_>,
    bytes: Bytes,
    digest: &Oid,
    mut manners: Manners,
    observer: &dyn Observer,
) -> Result<Put, LakeError> {
    let key = lake.key(upload.name);
    let believed = manners.conditions;
    for _ in 0..CONFLICTS {
        if !manners.conditions
            && let Some(head) = head(lake, upload.name, &key).await?
        {
            return found(lake, upload, head, Some(digest), observer).await;
        }
        let condition = Condition::free_by(manners);
        let trouble = match send(lake, &key, bytes.clone(), digest, manners, condition).await {
            Ok(()) => {
                if believed != manners.conditions {
                    manners::doubt_conditions(lake);
                }
                return Ok(Put::Created);
            }
            Err(trouble) => trouble,
        };
        if trouble.says(Refusal::is_precondition) {
            // If it is gone again, the name is free again.
            if let Some(head) = head(lake, upload.name, &key).await? {
                return found(lake, upload, head, Some(digest), observer).await;
            }
        } else if manners.conditions && trouble.says(refuses_conditions) {
            manners.conditions = false;
        } else if !trouble.says(Refusal::is_conflict) {
            return Err(lake.error(trouble, Doing::Writing));
        }
    }
    Err(LakeError::Busy { url: lake.url.clone(), after: None })
}
