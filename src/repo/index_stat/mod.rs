//! Writing stat data into git's index, in place, so that git need not look at a file's content; and
//! believing them, as git does ([`Unchanged`]).
//!
//! Git believes a file unchanged while its stat data are those of the index. A file that was put in
//! place of its pointer needs its entry brought up to date, or `git status` calls it modified for
//! ever. Lengths do not change, so every extension stays valid byte for byte: nothing but the stat
//! data of some entries and the checksum is rewritten.
//!
//! Rewriting moves the time of the index forward, and git takes a file as possibly changed only
//! while its time is not before that of the index. The size of every other entry that was in that
//! state is therefore set to 0, which makes git compare the content; git does the same when it
//! writes an index (read-cache.c, `ce_smudge_racily_clean_entry`).

use std::collections::HashSet;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::BlobId;
use super::index::{Entry, Error as IndexError, Index, STAT_BYTES};
use crate::fs::{IoContext as _, LockFile, PathError};
use crate::repo_path::RepoPath;

mod repoint;
mod stat_fields;
mod unchanged;

pub use repoint::{NewBlob, Repointing};
pub use unchanged::Unchanged;

/// Says why an index could not be patched; it is as it was then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lock is held by somebody else.
    #[error("The index is locked by another git process: `{}` exists", .lock.display())]
    Locked {
        /// The lock file.
        lock: PathBuf,
    },
    /// Entries may be in another file, which git-lake does not write.
    #[error("The index `{}` is split", .path.display())]
    Split {
        /// The file.
        path: PathBuf,
    },
    /// There is no index.
    #[error("There is no index at `{}`", .path.display())]
    Absent {
        /// Where it would be.
        path: PathBuf,
    },
    /// The index could not be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A file could not be read or written.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The checksum could not be computed.
    #[error("Could not compute the checksum of the index `{}`", .path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: super::Cause,
    },
}

/// What to write into an entry.
#[derive(Debug)]
pub enum StatUpdate {
    /// Size 0: whoever looks next compares the content.
    SizeZero,
    /// The stat data of the file in the work tree, as `lstat(2)` gave them.
    Of(Metadata),
}

/// New stat data for the entry of stage 0 at a path.
#[derive(Debug)]
pub struct StatChange {
    /// The path.
    pub path: RepoPath,
    /// The blob that must stand there; if another does, the entry is left alone.
    pub id: BlobId,
    /// What to write.
    pub stat: StatUpdate,
}

/// What a patch did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PatchReport {
    /// How many entries were written.
    pub written: usize,
    /// The paths that have no entry of stage 0 with that blob.
    pub not_found: Vec<RepoPath>,
    /// How many entries of other files were marked to be looked at again.
    pub racy: usize,
}

/// Writes stat data into the index at `index_path`, under git's own lock.
///
/// Waits at most `patience` for the lock. Readers see the old index or the new one. It is not
/// synced: after a power loss the old one may be back, which costs comparisons, never data.
///
/// # Errors
/// The index is unchanged after any error; [`Error::Locked`] and [`Error::Split`] are ordinary.
pub fn patch(
    index_path: &Path,
    hash_len: usize,
    changes: &[StatChange],
    patience: Duration,
) -> Result<PatchReport, Error> {
    let held = Held::take(index_path, hash_len, patience)?;
    let (plan, report) = plan(&held.index, changes, held.seconds);
    let Held { lock, index, .. } = held;
    let mut bytes = index.into_bytes();
    for (offset, edit) in plan {
        edit.apply(&mut bytes[offset..offset + STAT_BYTES]);
    }
    seal(&mut bytes, hash_len)
        .map_err(|source| Error::Checksum { path: index_path.to_owned(), source })?;
    lock.commit(&bytes)?;
    Ok(report)
}

/// An index that nobody else writes while this lives.
#[derive(Debug)]
struct Held {
    lock: LockFile,
    index: Index,
    /// The second in which the file was written.
    seconds: u32,
}

impl Held {
    /// Locks the index and reads it: what was read before the lock was taken may be out of date.
    fn take(index_path: &Path, hash_len: usize, patience: Duration) -> Result<Self, Error> {
        let path = || index_path.to_owned();
        let lock = LockFile::take(index_path, patience).map_err(|error| {
            if error.source.kind() == std::io::ErrorKind::AlreadyExists {
                Error::Locked { lock: error.path }
            } else {
                Error::Path(error)
            }
        })?;
        let bytes = crate::fs::if_exists(std::fs::read(index_path)).context(index_path)?;
        let bytes = bytes.ok_or_else(|| Error::Absent { path: path() })?;
        let metadata = std::fs::metadata(index_path).context(index_path)?;
        let index = Index::parse(bytes, hash_len).map_err(|flaw| flaw.at(index_path))?;
        if index.is_split() {
            return Err(Error::Split { path: path() });
        }
        Ok(Self { lock, index, seconds: stat_fields::mtime_seconds(&metadata) })
    }
}

/// What to do to the stat data at an offset.
#[derive(Debug)]
enum Edit<'a> {
    SizeZero,
    Of(&'a Metadata),
}

impl Edit<'_> {
    fn apply(&self, stat: &mut [u8]) {
        match self {
            Self::SizeZero => stat[stat_fields::SIZE].fill(0),
            Self::Of(metadata) => stat_fields::write(metadata, stat),
        }
    }
}

/// Decides which stat data are written: those asked for, and zero sizes for racy entries of others.
fn plan<'a>(
    index: &Index,
    changes: &'a [StatChange],
    index_seconds: u32,
) -> (Vec<(usize, Edit<'a>)>, PatchReport) {
    let mut report = PatchReport::default();
    let mut edits = Vec::new();
    for change in changes {
        match index.stat_offset_at(change.path.as_bytes()) {
            Some((offset, id)) if id == change.id => {
                let edit = match &change.stat {
                    StatUpdate::SizeZero => Edit::SizeZero,
                    StatUpdate::Of(metadata) => Edit::Of(metadata),
                };
                edits.push((offset, edit));
                report.written += 1;
            }
            _ => report.not_found.push(change.path.clone()),
        }
    }
    let written: HashSet<usize> = edits.iter().map(|(offset, _)| *offset).collect();
    let racy: Vec<usize> =
        racy(index, index_seconds).filter(|offset| !written.contains(offset)).collect();
    report.racy = racy.len();
    edits.extend(racy.into_iter().map(|offset| (offset, Edit::SizeZero)));
    (edits, report)
}

/// Returns where the stat data are of which git cannot tell whether the file was changed since, once
/// the index is written anew.
fn racy(index: &Index, index_seconds: u32) -> impl Iterator<Item = usize> {
    // Git looks at links and regular files alike; a gitlink has no content to compare.
    let is_racy = move |entry: &Entry<'_>| {
        entry.kind.is_file()
            && entry.stage == 0
            && entry.size != 0
            && entry.mtime.seconds >= index_seconds
    };
    index.entries_with_offsets().filter(move |(_, entry)| is_racy(entry)).map(|(offset, _)| offset)
}

/// Writes the checksum at the end; one of zeros stays (`index.skipHash`).
fn seal(bytes: &mut [u8], hash_len: usize) -> Result<(), super::Cause> {
    let body_len = bytes.len() - hash_len;
    let (body, checksum) = bytes.split_at_mut(body_len);
    if checksum.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    let kind = match hash_len {
        20 => gix::hash::Kind::Sha1,
        _ => gix::hash::Kind::Sha256,
    };
    let mut hasher = gix::hash::hasher(kind);
    hasher.update(body);
    let digest = hasher.try_finalize()?;
    checksum.copy_from_slice(digest.as_slice());
    Ok(())
}

#[cfg(test)]
mod repoint_tests;
#[cfg(test)]
mod tests;
