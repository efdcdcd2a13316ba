//! Uploads in parts that ended early: noted on this disk, known to the server, gone on with or given up.
//!
//! A note is written before the first part is sent, and taken away when the upload is completed or
//! aborted. The note only names the upload; which parts are there the server says, and a part counts
//! only if the server has the digest of the very bytes that would be sent. Format of the notes:
//! `docs/local-state.md`.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use aws_sdk_s3::types::{CompletedPart, Part};
use futures_util::StreamExt as _;

use super::failure::{Doing, Refusal, Trouble};
use super::part_size::part_bytes;
use super::request::{Manners, base64};
use super::{S3Lake, seconds};
use crate::digest::md5_hex;
use crate::fs::{HeldFile, unix_now};
use crate::lake::{LakeError, ObjectInfo, Retry, Upload};
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;
use crate::oid::Oid;
use crate::size;

const HEADER: &str = "git-lake upload v1";
/// Longer notes are not ours. Servers have ids of a few hundred bytes at most.
const MAX_NOTE_BYTES: u64 = 8 << 10;
/// Nobody comes back for an upload that nothing was done about for so many seconds.
const STALE_AFTER_SECONDS: u64 = 7 * 24 * 60 * 60;
/// Uploads whose parts are listed at once.
const ASKED_AT_ONCE: usize = 16;
/// No server has more pages of parts, with the fewest that any puts on one.
const MAX_PAGES: usize = 10_000;

/// An upload in parts that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Begun {
    /// The server's name for it.
    pub(super) id: String,
    /// The size of each part but the last.
    pub(super) part_bytes: u64,
    /// The server keeps the SHA-256 of each part.
    pub(super) has_checksums: bool,
}

impl Begun {
    fn text(&self, lake: &LakeUrl, now: u64) -> String {
        let Self { id, part_bytes, has_checksums } = self;
        format!("{HEADER} {lake}\n{now} {part_bytes} {has_checksums} {id}\n")
    }

    /// Reads a note; returns when it was written, too.
    fn parse(text: &[u8], lake: &LakeUrl) -> Option<(Self, u64)> {
        let text = std::str::from_utf8(text).ok()?;
        let line = text.strip_prefix(&format!("{HEADER} {lake}\n"))?.strip_suffix('\n')?;
        let mut words = line.splitn(4, ' ');
        let since = words.next()?.parse().ok()?;
        let part_bytes = words.next()?.parse().ok()?;
        let has_checksums = words.next()?.parse().ok()?;
        let id = words.next().filter(|id| !id.is_empty() && !id.contains('\n'))?.to_owned();
        Some((Self { id, part_bytes, has_checksums }, since))
    }
}

/// The note on the upload of one object, held as long as somebody works on it.
pub(super) struct Note {
    held: Option<HeldFile>,
    lake: LakeUrl,
    begun: Option<Begun>,
    /// When it was written, in unix seconds.
    since: u64,
}

impl Note {
    /// Takes the note of an object. If it is held elsewhere, or cannot be kept, nothing is ever noted.
    pub(super) fn take(lake: &S3Lake, name: &ObjectName) -> Self {
        let mut held = lake.server.notes.take_upload(&lake.url, name);
        let text = held.as_mut().and_then(|held| held.read(MAX_NOTE_BYTES).ok());
        let found = text.and_then(|text| Begun::parse(&text, &lake.url));
        let (begun, since) = found.map_or((None, 0), |(begun, since)| (Some(begun), since));
        Self { held, lake: lake.url.clone(), begun, since }
    }

    /// Notes an upload. Where that fails, whoever fails has to abort it.
    pub(super) fn keep(&mut self, begun: &Begun) {
        let text = begun.text(&self.lake, unix_now());
        let kept = self.held.as_mut().is_some_and(|held| held.write(text.as_bytes()).is_ok());
        self.begun = kept.then(|| begun.clone());
    }

    /// Returns true if a later process will find the upload.
    pub(super) fn is_kept(&self) -> bool {
        self.begun.is_some()
    }

    /// Notes that there is no such upload any more.
    pub(super) fn forget(&mut self) {
        self.begun = None;
    }

    /// Aborts the upload that is noted, if one is.
    ///
    /// One that the server does not let go costs room there, and nothing else: it is forgotten. If the
    /// server did not answer, it is kept for the next time.
    pub(super) async fn abort(&mut self, lake: &S3Lake, key: &str) {
        let Some(begun) = &self.begun else { return };
        let aborted = abort(lake, key, &begun.id).await;
        if !aborted.is_err_and(|trouble| may_pass(lake, &trouble)) {
            self.forget();
        }
    }

    /// Gives the note back, and leaves no file that says nothing.
    pub(super) fn end(mut self) {
        if let Some(held) = self.held.take()
            && self.begun.is_none()
        {
            // An empty note is as good as none.
            drop(held.remove());
        }
    }

    /// Returns the upload that is noted, and the parts that the server has of it, if this upload can go
    /// on with it. What it cannot go on with is aborted.
    pub(super) async fn recall(
        &mut self,
        lake: &S3Lake,
        upload: &Upload<'_>,
        key: &str,
        manners: Manners,
    ) -> Result<Option<(Begun, There)>, LakeError> {
        let Some(begun) = self.begun.clone() else { return Ok(None) };
        let is_cut_alike = begun.part_bytes == part_bytes(lake, upload.size);
        if is_cut_alike && begun.has_checksums == manners.checksums {
            match list(lake, key, &begun.id).await {
                Ok(there) => {
                    // Somebody came back for it.
                    self.keep(&begun);
                    return Ok(Some((begun, There(there))));
                }
                Err(trouble) if may_pass(lake, &trouble) => {
                    return Err(lake.error(trouble, Doing::Writing));
                }
                // It is gone, or the server does not list parts, or not to this user.
                Err(_) => {}
            }
        }
        self.abort(lake, key).await;
        self.forget();
        Ok(None)
    }
}

/// The parts that the server has, by number.
#[derive(Default)]
pub(super) struct There(BTreeMap<i32, Part>);

impl There {
    /// Returns the part of this number for the completion, if the server has these very bytes.
    pub(super) fn part(
        &self,
        number: i32,
        bytes: &[u8],
        digest: &Oid,
        has_checksums: bool,
    ) -> Option<CompletedPart> {
        let part = self.0.get(&number)?;
        let etag = part.e_tag()?;
        let is_same = match part.checksum_sha256() {
            Some(told) => told == base64(digest.as_bytes()),
            None => etag.trim_matches('"') == md5_hex(bytes),
        };
        let is_whole = part.size().and_then(|size| usize::try_from(size).ok()) == Some(bytes.len());
        let checksum = has_checksums.then(|| base64(digest.as_bytes()));
        let completed =
            CompletedPart::builder().part_number(number).e_tag(etag).set_checksum_sha256(checksum);
        (is_same && is_whole).then(|| completed.build())
    }
}

async fn list(lake: &S3Lake, key: &str, id: &str) -> Result<BTreeMap<i32, Part>, Trouble> {
    let mut found = BTreeMap::new();
    let mut after: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let listed = lake.host().call(|client| {
            let request = client.list_parts().bucket(&lake.bucket).key(key).upload_id(id);
            request.set_part_number_marker(after.clone()).send()
        });
        let page = listed.await?;
        let parts = page.parts().iter();
        found.extend(parts.filter_map(|part| Some((part.part_number()?, part.clone()))));
        let next = page.next_part_number_marker().map(str::to_owned);
        if page.is_truncated() != Some(true) || next.is_none() || next == after {
            break;
        }
        after = next;
    }
    Ok(found)
}

/// Returns the uploads of objects that are neither completed nor aborted, whoever began them: what the
/// server has of each, and when it was begun.
pub(super) async fn all(lake: &S3Lake) -> Result<Vec<ObjectInfo>, Trouble> {
    let (mut begun, mut after) = (Vec::new(), (None::<String>, None::<String>));
    for _ in 0..MAX_PAGES {
        let listed = lake.host().call(|client| {
            let request = client.list_multipart_uploads().bucket(&lake.bucket);
            let request =
                request.set_prefix((!lake.prefix.is_empty()).then(|| lake.prefix.clone()));
            let (key, id) = after.clone();
            request.set_key_marker(key).set_upload_id_marker(id).send()
        });
        let page = listed.await?;
        for upload in page.uploads() {
            let (Some(key), Some(id)) = (upload.key(), upload.upload_id()) else { continue };
            let is_object = |name| ObjectName::parse(name).is_ok();
            if key.strip_prefix(&lake.prefix).is_some_and(is_object) {
                let since = upload.initiated().and_then(seconds);
                begun.push((key.to_owned(), id.to_owned(), since));
            }
        }
        let next = (
            page.next_key_marker().map(str::to_owned),
            page.next_upload_id_marker().map(str::to_owned),
        );
        if page.is_truncated() != Some(true) || next.0.is_none() || next == after {
            break;
        }
        after = next;
    }
    let sized =
        futures_util::stream::iter(begun.into_iter().map(|(key, id, modified)| async move {
            match list(lake, &key, &id).await {
                Ok(parts) => {
                    let sizes = parts.values().filter_map(|part| u64::try_from(part.size()?).ok());
                    Ok(Some(ObjectInfo { size: size::total(sizes), modified }))
                }
                // It ended meanwhile.
                Err(trouble) if trouble.says(Refusal::is_not_found) => Ok(None),
                Err(trouble) => Err(trouble),
            }
        }));
    let sized: Vec<Result<Option<ObjectInfo>, Trouble>> =
        sized.buffer_unordered(ASKED_AT_ONCE).collect().await;
    sized.into_iter().filter_map(Result::transpose).collect()
}

/// Gives the parts of an upload up.
pub(super) async fn abort(lake: &S3Lake, key: &str, id: &str) -> Result<(), Trouble> {
    let aborted = lake.host().call(|client| {
        client.abort_multipart_upload().bucket(&lake.bucket).key(key).upload_id(id).send()
    });
    aborted.await.map(drop)
}

fn may_pass(lake: &S3Lake, trouble: &Trouble) -> bool {
    lake.error(trouble.clone(), Doing::Writing).retry() != Retry::Never
}

/// Aborts what nobody goes on with any more: uploads that are old, or whose object is there meanwhile.
///
/// Done once for each lake, after an upload went well. Uploads that somebody works on are left alone.
pub(super) async fn sweep(lake: &S3Lake) {
    if lake.is_swept.swap(true, Ordering::Relaxed) {
        return;
    }
    for name in lake.server.notes.uploads(&lake.url) {
        let (mut note, key) = (Note::take(lake, &name), lake.key(&name));
        let is_stale = unix_now().saturating_sub(note.since) > STALE_AFTER_SECONDS;
        if note.is_kept() && (is_stale || matches!(lake.head(&key).await, Ok(Some(_)))) {
            note.abort(lake, &key).await;
        }
        note.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_written_and_read() {
        let lake = LakeUrl::parse("s3://h:9000/b/prefix").expect("an address");
        let other = LakeUrl::parse("s3://h:9000/b").expect("an address");
        let begun =
            |id: &str| Begun { id: id.to_owned(), part_bytes: 8 << 20, has_checksums: true };
        for id in ["abc", "2~x/y+z==", "with a blank"] {
            let text = begun(id).text(&lake, 1_700_000_000);
            let read = Begun::parse(text.as_bytes(), &lake);
            assert_eq!(read, Some((begun(id), 1_700_000_000)), "{text}");
            assert_eq!(Begun::parse(text.as_bytes(), &other), None);
            // A kill while it is written leaves a part of it.
            for end in 0..text.len() {
                assert_eq!(Begun::parse(&text.as_bytes()[..end], &lake), None, "{text}");
            }
        }
        let bad = format!("{HEADER} {lake}\n1 2 true a\nb\n");
        assert_eq!(Begun::parse(bad.as_bytes(), &lake), None);
    }

    #[test]
    fn a_part_counts_only_if_the_server_has_the_digest_of_its_bytes() {
        let (bytes, digest) = (&b"abc"[..], Oid::of(b"abc"));
        let md5 = format!("\"{}\"", md5_hex(bytes));
        let part = |etag: &str, sha256: Option<String>, size| {
            let part = Part::builder().part_number(1).e_tag(etag).size(size);
            There(BTreeMap::from([(1, part.set_checksum_sha256(sha256).build())]))
        };
        let counts = |there: There| there.part(1, bytes, &digest, false).is_some();
        let (right, wrong) = (base64(digest.as_bytes()), base64(&[0; 32]));
        assert!(counts(part("\"other\"", Some(right.clone()), 3)));
        assert!(counts(part(&md5, None, 3)));
        assert!(!counts(part(&md5, Some(wrong), 3)), "the stronger digest decides");
        assert!(!counts(part("\"other\"", None, 3)));
        assert!(!counts(part(&md5, None, 2)));
        let there = part(&md5, None, 3);
        assert!(there.part(2, bytes, &digest, false).is_none());
        let part = there.part(1, bytes, &digest, true).expect("counts");
        assert_eq!((part.e_tag(), part.checksum_sha256()), (Some(&*md5), Some(&*right)));
    }
}
