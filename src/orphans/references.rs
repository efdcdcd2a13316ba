//! What repositories and datasets refer to.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::dataset::remote_file::{self, RemoteFile};
use crate::fs::PathError;
use crate::object_name::ObjectName;
use crate::oid::Oid;
use crate::pointer::{MAX_POINTER_BYTES, Parsed, Pointer, PointerError};
use crate::repo::{self, BlobId, history};

/// Says that it is not known what something refers to, which may be anything then.
#[derive(Debug, thiserror::Error)]
#[error("Could not tell what `{}` refers to", .place.display())]
pub struct Error {
    /// The repository or dataset.
    pub place: PathBuf,
    /// Why not.
    #[source]
    pub reason: Reason,
}

/// Says why it is not known what a repository or dataset refers to.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// There is nothing of the name.
    #[error("There is no such folder")]
    Absent,
    /// It is something else.
    #[error(
        "It is neither a git repository nor a dataset: it has no folder `data` and no `.remote` file"
    )]
    Neither,
    /// The note of a clone that shares a store.
    #[error("The note is damaged by which the clone shares a store")]
    Note,
    /// A clone that shares a store is no repository any more.
    #[error("It shares a store and is no repository; if it is gone: `git lake prune --forget '{}'`", .0.display())]
    Gone(PathBuf),
    /// Older commits are not in the clone.
    #[error("It is a shallow clone, which does not have all commits")]
    Shallow,
    /// Files of commits are not in the clone.
    #[error("It is a partial clone, which does not have all files of its commits")]
    Partial,
    /// Claims that cannot be read.
    #[error("A log of claims in its `lake/v1/queue` is damaged or of another version")]
    Claims,
    /// A file of a commit or the index is missing.
    #[error("`{path}` is missing from git's objects ({blob})")]
    Missing {
        /// A path that has it.
        path: String,
        /// Its blob.
        blob: BlobId,
    },
    /// A pointer that is damaged.
    #[error("`{path}` is a damaged pointer")]
    Damaged {
        /// Where it is.
        path: String,
        /// What is wrong with it.
        source: PointerError,
    },
    /// A pointer of a version that this program does not know.
    #[error("`{0}` is a pointer of a newer version of git-lake")]
    Newer(String),
    /// Something with the name of a `.remote` file that is none.
    #[error("`{path}` is no `.remote` file")]
    RemoteFile {
        /// Where it is.
        path: String,
        /// What is wrong with it.
        source: remote_file::ParseError,
    },
    /// Something with the name of a `.remote` file that is far too long for one.
    #[error("`{0}` is too long for a `.remote` file")]
    LongRemoteFile(String),
    /// The repository cannot be read.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// Its history cannot be read.
    #[error(transparent)]
    History(#[from] history::Error),
    /// A file cannot be read.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// What was read, and all that it refers to.
#[derive(Debug, Default)]
pub struct References {
    /// Repositories, by their git folders.
    pub repositories: Vec<PathBuf>,
    /// Datasets in folders.
    pub datasets: Vec<PathBuf>,
    /// Digests of 64 digits.
    oids: HashSet<Oid>,
    /// Those of other lengths.
    others: HashSet<Box<str>>,
}

impl References {
    /// Returns true if something refers to content with the digest of this name.
    pub fn has(&self, name: &ObjectName) -> bool {
        match name.as_oid() {
            Some(oid) => self.oids.contains(&oid),
            None => self.others.contains(name.hex()),
        }
    }

    /// Adds the digest of a name.
    pub(super) fn add_name(&mut self, name: &ObjectName) {
        match name.as_oid() {
            Some(oid) => drop(self.oids.insert(oid)),
            None => drop(self.others.insert(name.hex().into())),
        }
    }

    /// Adds an object.
    pub(super) fn add_oid(&mut self, oid: Oid) {
        self.oids.insert(oid);
    }

    fn add_pointer(&mut self, pointer: &Pointer) {
        self.add_oid(pointer.oid());
        pointer.sources().iter().for_each(|source| self.add_name(&source.name));
    }

    /// Adds what a text refers to: a pointer, or a list of sources under any name.
    pub(super) fn add_text(
        &mut self,
        bytes: &[u8],
        is_remote_file: bool,
        path: impl Fn() -> String,
    ) -> Result<(), Reason> {
        match Parsed::of(bytes) {
            Parsed::Pointer(pointer, _) => self.add_pointer(&pointer),
            Parsed::Damaged(source) => return Err(Reason::Damaged { path: path(), source }),
            Parsed::Newer => return Err(Reason::Newer(path())),
            Parsed::Content => {
                let is_list = || matches!(bytes.trim_ascii_start().first(), Some(b'[' | b'{'));
                if !is_remote_file && !is_list() {
                    return Ok(());
                }
                match RemoteFile::parse(bytes) {
                    Ok(remote) => remote.names().for_each(|name| self.add_name(&name)),
                    Err(source) if is_remote_file => {
                        return Err(Reason::RemoteFile { path: path(), source });
                    }
                    Err(_) => {}
                }
            }
        }
        Ok(())
    }
}

/// Returns true if a path is that of a `.remote` file.
pub(super) fn is_remote_file(path: &[u8]) -> bool {
    path.ends_with(remote_file::SUFFIX.as_bytes())
}

/// Returns how many bytes a file may have that refers to objects.
pub(super) fn max_bytes(is_remote_file: bool) -> u64 {
    if is_remote_file { remote_file::MAX_BYTES } else { MAX_POINTER_BYTES as u64 }
}
