//! Reading what repositories and datasets refer to.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::folder::{self, Links};
use super::references::{Error, Reason, References, is_remote_file, max_bytes};
use crate::fs::{IoContext as _, if_exists};
use crate::repo::history::{self, FoundBlob, Reach};
use crate::repo::{Blob, BlobId, Repo};
use crate::store::Store;
use crate::store::queue::Queue;
use crate::transfer::Cancel;
use crate::underfolder::DATA_FOLDER;

/// Reads what this repository and everything in `keep` refers to, and clones that share a store with one
/// of these. What was read is not complete once `cancel` is set.
///
/// # Errors
/// If anything cannot be read.
pub fn read(repo: &Repo, keep: &[PathBuf], cancel: &Cancel) -> Result<References, Error> {
    let mut reader = Reader { found: References::default(), seen: HashSet::new(), cancel };
    reader.repository(repo)?;
    for folder in keep {
        reader.kept(folder)?;
    }
    Ok(reader.found)
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
            self.found.add_oid(record.oid);
            let blob = BlobId::parse_hex(record.blob.as_bytes());
            let blob = blob.map(|blob| repo.read_blob(blob, max_bytes(false))).transpose()?;
            // git need not have come to use it.
            if let Some(Blob::Content(bytes)) = blob {
                self.found.add_text(&bytes, false, || record.path.display().into_owned())?;
            }
        }
        for record in claims.owed() {
            self.found.add_oid(record.oid);
            self.found.add_name(&record.url.name);
        }
        Ok(())
    }

    fn blob(&mut self, repo: &Repo, blob: &FoundBlob) -> Result<(), Reason> {
        let path = || String::from_utf8_lossy(&blob.path).into_owned();
        let is_remote_file = is_remote_file(&blob.path);
        match repo.read_blob(blob.id, max_bytes(is_remote_file))? {
            Blob::Content(bytes) => self.found.add_text(&bytes, is_remote_file, path),
            Blob::TooLong(_) if is_remote_file => Err(Reason::LongRemoteFile(path())),
            Blob::TooLong(_) => Ok(()),
            Blob::Missing => Err(Reason::Missing { path: path(), blob: blob.id }),
        }
    }
}
