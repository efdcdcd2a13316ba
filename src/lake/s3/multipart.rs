//! Uploading what is larger than one part.
//!
//! Parts are read and hashed in order by the caller's thread and sent side by side; the upload is
//! completed only if the whole has the promised digest. One that fails for a reason that may pass is
//! left for later ([`super::unfinished`]), others are aborted. A part is at least
//! [`super::Server`]'s part size, more where ten thousand of them would not be enough.

use super::failure::{Doing, Refusal};
use super::part_size::part_bytes;
use super::parts::{Parts, Source, Stop};
use super::request::{Condition, Manners, base64, refuses_conditions};
use super::there::{self, is_same, known_digest};
use super::unfinished::Note;
use super::{Head, S3Lake, manners};
use crate::lake::{LakeError, Observer, Proof, Put, Upload};
use crate::oid::Oid;

/// How often the upload begins again when somebody else uploads the same at the same moment.
const ATTEMPTS: u32 = 3;

/// Uploads an object in parts, unless it is there; goes on with an upload that ended early.
pub(super) async fn put(
    lake: &S3Lake,
    upload: &Upload<'_>,
    manners: Manners,
    observer: &dyn Observer,
) -> Result<Put, LakeError> {
    let mut note = Note::take(lake, upload.name);
    let put = put_noted(lake, upload, manners, &mut note, observer).await;
    note.end();
    put
}

async fn put_noted(
    lake: &S3Lake,
    upload: &Upload<'_>,
    mut manners: Manners,
    note: &mut Note,
    observer: &dyn Observer,
) -> Result<Put, LakeError> {
    let key = lake.key(upload.name);
    let believed = manners.conditions;
    for _ in 0..ATTEMPTS {
        // A question costs nothing against sending all of it for nothing.
        if let Some(head) = there::head(lake, upload.name, &key).await? {
            note.abort(lake, &key).await;
            return found(lake, upload, head, observer).await;
        }
        let recalled = note.recall(lake, upload, &key, manners).await?;
        let is_taken_up = recalled.is_some();
        let mut parts = match recalled {
            Some(recalled) => Parts::go_on(lake, upload, &key, manners, recalled),
            None => Parts::begin(lake, upload, &key, manners, note).await?,
        };
        let ended = match parts.send(observer).await {
            Ok(()) => parts.complete(Condition::free_by(manners)).await.map_err(Stop::There),
            Err(stop) => Err(stop),
        };
        let trouble = match ended {
            Ok(()) => {
                note.forget();
                if believed != manners.conditions {
                    manners::doubt_conditions(lake);
                }
                return Ok(Put::Created);
            }
            Err(Stop::Here(error)) => return Err(leave(parts, note, error).await),
            Err(Stop::There(trouble)) => trouble,
        };
        let error = lake.error(trouble.clone(), Doing::Writing);
        // What an earlier process began is not what it was thought to be.
        let is_rejected =
            is_taken_up && trouble.says(|refusal| refusal.status == 400) && !may_go_on(&error);
        let refuses_conditions =
            !is_rejected && manners.conditions && trouble.says(refuses_conditions);
        manners.conditions &= !refuses_conditions;
        let begins_anew = is_rejected
            || refuses_conditions
            || trouble.says(Refusal::is_precondition)
            || trouble.says(Refusal::is_conflict)
            // The answer to the completion was lost, or somebody gave the upload up.
            || trouble.says(|refusal| &*refusal.code == "NoSuchUpload");
        if !begins_anew {
            return Err(leave(parts, note, error).await);
        }
        parts.abort().await;
        note.forget();
    }
    Err(LakeError::Busy { url: lake.url.clone(), after: None })
}

/// Leaves an upload that failed for the next attempt, in this process or another, if that can help.
async fn leave(mut parts: Parts<'_>, note: &mut Note, error: LakeError) -> LakeError {
    if note.is_kept() && may_go_on(&error) {
        parts.stop().await;
    } else {
        parts.abort().await;
        note.forget();
    }
    error
}

/// Returns true if the parts that the server has will be of use when the reason is gone.
fn may_go_on(error: &LakeError) -> bool {
    matches!(
        error,
        LakeError::Cancelled
            | LakeError::Busy { .. }
            | LakeError::Unreachable { .. }
            | LakeError::Denied { .. }
    )
}

/// Decides what an object is worth that is there already.
async fn found(
    lake: &S3Lake,
    upload: &Upload<'_>,
    head: Head,
    observer: &dyn Observer,
) -> Result<Put, LakeError> {
    let count = upload.size.div_ceil(part_bytes(lake, upload.size));
    let of_parts = head.checksum.as_ref().and_then(|checksum| checksum.rsplit_once('-'));
    let is_cut_alike = of_parts.is_some_and(|(_, parts)| parts.parse() == Ok(count));
    if !is_cut_alike || head.info.size != upload.size {
        return there::found(lake, upload, head, known_digest(upload).as_ref(), observer).await;
    }
    // The server vouches for the digest of the parts' digests.
    let told = head.checksum.clone();
    if told == Some(composite(lake, upload, observer).await?) || is_same(lake, upload, observer)? {
        return Ok(Put::AlreadyThere(Proof::Content));
    }
    Err(LakeError::DamagedThere {
        object: lake.url.source(upload.name.clone()),
        found: head.info.size,
    })
}

/// Computes what a server tells of an object that was uploaded in these parts.
async fn composite(
    lake: &S3Lake,
    upload: &Upload<'_>,
    observer: &dyn Observer,
) -> Result<String, LakeError> {
    let mut source = Source::open(upload, part_bytes(lake, upload.size))?;
    let (mut digests, mut count) = (Vec::new(), 0);
    while let Some((_, digest)) = source.next_part(observer).await? {
        digests.extend_from_slice(digest.as_bytes());
        count += 1;
    }
    Ok(format!("{}-{count}", base64(Oid::of(&digests).as_bytes())))
}
