//! The git repository: where it is, what its settings, index, objects and attributes say.
//!
//! Owns every contact with git: gix reads, git2 writes settings files, the git program does what
//! neither can ([`process`]). Nothing here knows of remotes, of the store or of git-lake's own
//! settings. Reading never starts a process, never takes a lock and never fetches a missing object.
//! Callers must not use a [`Repo`] of a repository that they found by any other means: discovery is
//! where another user's repository is refused.

use std::path::{Path, PathBuf};

use crate::fs::PathError;

pub mod attributes;
mod blob_id;
mod caller;
pub mod changes;
pub mod credential;
mod environment;
pub mod file_name;
pub mod filter_config;
pub mod git_version;
pub mod gitconfig;
pub mod history;
pub mod hooks;
pub mod index;
pub mod index_stat;
pub mod new_blobs;
mod objects;
mod open;
pub mod pathspec;
pub mod process;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod user_config;
mod values;
mod work_trees;

pub use blob_id::BlobId;
pub use caller::Caller;
pub use environment::Environment;
pub use objects::{Blob, FolderEntry, FolderEntryKind};
pub use values::Origin;

/// An open repository; one handle serves one thread.
#[derive(Debug)]
pub struct Repo {
    git: gix::Repository,
    git_dir: PathBuf,
    common_dir: PathBuf,
    work_tree: Option<PathBuf>,
    index_path: PathBuf,
}

/// The cause of an error, as it was reported by whatever reads git's files.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Says why a repository could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No repository was found.
    #[error("`{}` is not inside a git repository", .start.display())]
    NotARepository {
        /// Where the search began.
        start: PathBuf,
    },
    /// The repository was found, but git would not trust it either.
    #[error("The repository at `{}` belongs to somebody else, and `safe.directory` does not name it", .path.display())]
    Foreign {
        /// Its work tree, or its git folder if it has none.
        path: PathBuf,
    },
    /// The repository is laid out in a way that is not supported.
    #[error("GIT_COMMON_DIR names `{}`, but the repository's own is `{}`", .wanted.display(), .found.display())]
    CommonDir {
        /// What the variable says.
        wanted: PathBuf,
        /// What the repository says.
        found: PathBuf,
    },
    /// The repository exists but could not be opened.
    #[error("Could not open the repository at `{}`", .start.display())]
    Open {
        /// Where the search began.
        start: PathBuf,
        /// Why not.
        source: Cause,
    },
    /// Nothing says where the first work tree is.
    #[error("Could not find the first work tree of `{}`: run the command there", .git_dir.display())]
    WorkTree {
        /// Its git folder.
        git_dir: PathBuf,
    },
    /// An object could not be read, or is not of the expected kind.
    #[error("Could not read git object {id}")]
    Object {
        /// The object.
        id: String,
        /// Why not.
        source: Cause,
    },
    /// Bytes have no id.
    #[error("Could not compute a git object id")]
    Hash {
        /// Why not.
        source: Cause,
    },
    /// A revision does not name anything.
    #[error("Could not find revision `{revision}`")]
    Revision {
        /// As it was asked for.
        revision: String,
        /// Why not.
        source: Cause,
    },
    /// Attributes could not be read.
    #[error("Could not read git attributes")]
    Attributes {
        /// Why not.
        source: Cause,
    },
    /// The index could not be read.
    #[error(transparent)]
    Index(#[from] index::Error),
    /// A file could not be read.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl Repo {
    /// Returns the top of the work tree, absolute; `None` in a bare repository.
    pub fn work_tree(&self) -> Option<&Path> {
        self.work_tree.as_deref()
    }

    /// Returns the git folder of this work tree, absolute.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// Returns the git folder that all work trees share, absolute.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Returns the path of the index that git is using, absolute (`GIT_INDEX_FILE` honoured).
    pub fn index_path(&self) -> &Path {
        &self.index_path
    }

    /// Returns how many bytes an id has: 20 or 32.
    pub fn hash_len(&self) -> usize {
        self.git.object_hash().len_in_bytes()
    }

    /// Reads the index that git is using now; an index that does not exist is empty.
    ///
    /// # Errors
    /// If it cannot be read or is damaged.
    pub fn index(&self) -> Result<index::Index, index::Error> {
        index::Index::read(&self.index_path, self.hash_len())
    }

    /// Returns true if a rebase is under way that will run commands between its picks: they want to
    /// see content, and git goes on after them.
    pub fn has_exec_steps(&self) -> bool {
        let todo = self.git_dir.join("rebase-merge").join("git-rebase-todo");
        let text = std::fs::read(todo).unwrap_or_default();
        let is_exec = |line: &[u8]| line.starts_with(b"exec ") || line.starts_with(b"x ");
        text.split(|byte| *byte == b'\n').any(is_exec)
    }
}
