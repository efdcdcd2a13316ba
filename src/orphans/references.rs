//! What repositories and datasets refer to.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::folder::{self, Links, is_remote_file};
use crate::dataset::remote_file::{self, RemoteFile};
use crate::fs::{IoContext as _, PathError, if_exists};
use crate::object_name::ObjectName;
use crate::oid::Oid;
use crate::pointer::{MAX_POINTER_BYTES, Parsed, Pointer, PointerError};
use crate::repo::history::{self, FoundBlob, Reach};
use crate::repo::{self, Blob, BlobId, Repo};
use crate::store::Store;
use crate::store::queue::Queue;
use crate::transfer::Cancel;
use crate::underfolder::DATA_FOLDER;

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
    /// Reads what this repository and everything in `keep` refers to, and clones that share a store with one
    /// of these. What was read is not complete once `cancel` is set.
    ///
    /// # Errors
    /// If anything cannot be read.
    pub fn read(repo: &Repo, keep: &[PathBuf], cancel: &Cancel) -> Result<Self, Error> {
        let mut reader = Reader { found: Self::default(), seen: HashSet::new(), cancel };
        reader.repository(repo)?;
        for folder in keep {
            reader.kept(folder)?;
        }
        Ok(reader.found)
    }

    /// Returns true if something refers to content with the digest of this name.
    pub fn has(&self, name: &ObjectName) -> bool {
        match name.as_oid() {
            Some(oid) => self.oids.contains(&oid),
            None => self.others.contains(name.hex()),
        }
    }

    fn add_name(&mut self, name: &ObjectName) {
        match name.as_oid() {
            Some(oid) => drop(self.oids.insert(oid)),
            None => drop(self.others.insert(name.hex().into())),
        }
    }

    fn add_pointer(&mut self, pointer: &Pointer) {
        self.oids.insert(pointer.oid());
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

struct Reader<'a> {
    found: References,
    /// Git folders of repositories that were read.
    seen: HashSet<PathBuf>,
    cancel: &'a Cancel,
}

impl Reader<'_> {
    /// Reads a folder that was named.
    fn kept(&mut self, folder: &Path) -> Result<(), Error> {
        let failed = |reason| Error { place: folder.to_owned(), reason };
        let found = if_exists(std::fs::metadata(folder)).context(folder);
        match found.map_err(|error| failed(error.into()))? {
            None => return Err(failed(Reason::Absent)),
            Some(metadata) if !metadata.is_dir() => return Err(failed(Reason::Neither)),
            Some(_) => {}
        }
        match Repo::at_top(folder).map_err(|error| failed(error.into()))? {
            Some(repo) => self.repository(&repo),
            None => self.dataset(folder).map_err(failed),
        }
    }

    fn dataset(&mut self, folder: &Path) -> Result<(), Reason> {
        let remote_files = folder::read(folder, Links::Follow, &mut self.found, self.cancel)?;
        let data = String::from_utf8_lossy(DATA_FOLDER);
        if remote_files == 0 && !folder.join(&*data).is_dir() && !self.cancel.is_cancelled() {
            return Err(Reason::Neither);
        }
        self.found.datasets.push(folder.to_owned());
        Ok(())
    }

    /// Reads a repository, and the clones that share its store.
    fn repository(&mut self, repo: &Repo) -> Result<(), Error> {
        let place = repo.common_dir().to_owned();
        let failed = |reason| Error { place: place.clone(), reason };
        let real = std::fs::canonicalize(&place).context(&place);
        if !self.seen.insert(real.map_err(|error| failed(error.into()))?) {
            return Ok(());
        }
        self.all_of(repo).map_err(failed)?;
        self.found.repositories.push(place.clone());
        let sharers = match repo.config_path("lake.storage") {
            Some(storage) if !storage.as_os_str().is_empty() => {
                Store::at(repo.common_dir()).sharing(&storage).sharers()
            }
            _ => return Ok(()),
        };
        for sharer in sharers.map_err(|error| failed(error.into()))? {
            let failed = |reason| Error { place: PathBuf::from(sharer.display()), reason };
            let common_dir = sharer.common_dir.as_ref().ok_or_else(|| failed(Reason::Note))?;
            let there = if_exists(std::fs::metadata(common_dir)).context(common_dir);
            let found = match there.map_err(|error| failed(error.into()))? {
                Some(_) => Repo::at_top(common_dir).map_err(|error| failed(error.into()))?,
                None => None,
            };
            let repo = found.ok_or_else(|| failed(Reason::Gone(common_dir.clone())))?;
            self.repository(&repo)?;
        }
        Ok(())
    }

    fn all_of(&mut self, repo: &Repo) -> Result<(), Reason> {
        const REACH: Reach = Reach::RefsAndReflogs;
        if !repo.shallow_commits()?.is_empty() {
            return Err(Reason::Shallow);
        }
        if history::lacks_blobs(repo, REACH)? {
            return Err(Reason::Partial);
        }
        // First the claims: one that is settled while this goes on is in git by then.
        self.claims(repo)?;
        for blob in history::blobs_reachable(repo, REACH)? {
            if self.cancel.is_cancelled() {
                return Ok(());
            }
            self.blob(repo, &blob)?;
        }
        let others = repo.other_work_trees()?;
        let tops = others.iter().map(Repo::work_tree).chain([repo.work_tree()]).flatten();
        for top in tops {
            folder::read(top, Links::PassOver, &mut self.found, self.cancel)?;
        }
        Ok(())
    }

    fn claims(&mut self, repo: &Repo) -> Result<(), Reason> {
        let claims = Queue::at(Store::at(repo.common_dir()).root()).read()?;
        if !claims.are_complete() {
            return Err(Reason::Claims);
        }
        for record in claims.tentative() {
            self.found.oids.insert(record.oid);
            let blob = BlobId::parse_hex(record.blob.as_bytes());
            let blob =
                blob.map(|blob| repo.read_blob(blob, MAX_POINTER_BYTES as u64)).transpose()?;
            // git need not have come to use it.
            if let Some(Blob::Content(bytes)) = blob {
                self.found.add_text(&bytes, false, || record.path.display().into_owned())?;
            }
        }
        for record in claims.owed() {
            self.found.oids.insert(record.oid);
            self.found.add_name(&record.url.name);
        }
        Ok(())
    }

    fn blob(&mut self, repo: &Repo, blob: &FoundBlob) -> Result<(), Reason> {
        let path = || String::from_utf8_lossy(&blob.path).into_owned();
        let is_remote_file = is_remote_file(&blob.path);
        let most = if is_remote_file { remote_file::MAX_BYTES } else { MAX_POINTER_BYTES as u64 };
        match repo.read_blob(blob.id, most)? {
            Blob::Content(bytes) => self.found.add_text(&bytes, is_remote_file, path),
            Blob::TooLong(_) if is_remote_file => Err(Reason::LongRemoteFile(path())),
            Blob::TooLong(_) => Ok(()),
            Blob::Missing => Err(Reason::Missing { path: path(), blob: blob.id }),
        }
    }
}
