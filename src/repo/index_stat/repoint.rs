//! Letting entries of the index stand for other blobs, many thousands in one write.
//!
//! The work tree is not touched, and an entry keeps its stat data unless new ones are given: its file
//! is as unchanged or as changed for git as it was. What git keeps of trees that it has computed
//! (`TREE`), and where entries lie for threads (`EOIE`, `IEOT`), would not be true any more and is left
//! out; git computes it again when it writes the index.

use std::collections::HashMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Edit, Error, Held, racy, seal};
use crate::repo::BlobId;
use crate::repo::index::{Index, STAT_BYTES};
use crate::repo_path::RepoPath;

/// Extensions that depend on the blobs, or on how long the others are.
const VOID_EXTENSIONS: &[&[u8; 4]] = &[b"TREE", b"EOIE", b"IEOT"];

/// Another blob for the entry of stage 0 at a path.
#[derive(Debug)]
pub struct NewBlob {
    /// The path.
    pub path: RepoPath,
    /// The blob that must stand there; if another does, the entry is left alone.
    pub old: BlobId,
    /// The blob that is to stand there.
    pub new: BlobId,
    /// The stat data of the file, where it was written for the new blob: of few of many thousand.
    pub stat: Option<Box<Metadata>>,
}

/// An index that is locked as git locks it, to be written once or left as it is.
#[derive(Debug)]
pub struct Repointing {
    held: Held,
    path: PathBuf,
    hash_len: usize,
}

impl Repointing {
    /// Locks the index, waiting at most `patience` for another holder.
    ///
    /// # Errors
    /// [`Error::Locked`] and [`Error::Split`] are ordinary; nothing was changed then.
    pub fn begin(index_path: &Path, hash_len: usize, patience: Duration) -> Result<Self, Error> {
        let held = Held::take(index_path, hash_len, patience)?;
        Ok(Self { held, path: index_path.to_owned(), hash_len })
    }

    /// Returns the index as it stands under the lock.
    pub fn index(&self) -> &Index {
        &self.held.index
    }

    /// Writes the blobs into their entries and releases the lock; returns the paths whose entry was
    /// another one meanwhile.
    ///
    /// The blobs must be in git's object database. Readers see the old index or the new one.
    ///
    /// # Errors
    /// If the index cannot be written; it is unchanged then.
    pub fn commit(self, blobs: &[NewBlob]) -> Result<Vec<RepoPath>, Error> {
        let Held { lock, index, seconds } = self.held;
        let (mut found, mut not_found) = (HashMap::new(), Vec::new());
        for blob in blobs {
            match index.stat_offset_at(blob.path.as_bytes()) {
                Some((offset, id)) if id == blob.old => drop(found.insert(offset, blob)),
                _ => not_found.push(blob.path.clone()),
            }
        }
        let mut edits: HashMap<usize, Edit<'_>> =
            racy(&index, seconds).map(|offset| (offset, Edit::SizeZero)).collect();
        for (offset, blob) in &found {
            if let Some(stat) = &blob.stat {
                edits.insert(*offset, Edit::Of(stat));
            }
        }
        let mut bytes = index.into_bytes_without(VOID_EXTENSIONS);
        for (offset, edit) in edits {
            edit.apply(&mut bytes[offset..offset + STAT_BYTES]);
        }
        for (offset, blob) in found {
            let id = offset + STAT_BYTES;
            bytes[id..id + self.hash_len].copy_from_slice(blob.new.as_bytes());
        }
        seal(&mut bytes, self.hash_len)
            .map_err(|source| Error::Checksum { path: self.path.clone(), source })?;
        lock.commit(&bytes)?;
        Ok(not_found)
    }
}
