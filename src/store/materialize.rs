//! An object becomes a file of the work tree.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use super::{Error, Store};
use crate::digest::Hasher;
use crate::fs::beneath::Parent;
use crate::fs::{IoContext as _, Shared, platform};
use crate::oid::Oid;
use crate::repo_path::RepoPath;

/// What came of putting content in the place of a pointer.
#[derive(Debug)]
pub enum Outcome {
    /// The file has the content now; these are its new stat data.
    Filled(Metadata),
    /// The file is not exactly the pointer any more: the user's, so it was left alone.
    Changed,
    /// There is no file at the path.
    Gone,
    /// The object is not in the store.
    NotStored,
}

impl Store {
    /// Replaces the file at `path` by the object's content, if the file is exactly `pointer`.
    ///
    /// The content is verified on the way. See [`Store::replace_text`] for how the file is replaced.
    ///
    /// # Errors
    /// [`Error::Damaged`], or if reading or writing fails.
    pub fn materialize(
        &self,
        work_tree: &Path,
        path: &RepoPath,
        pointer: &[u8],
        oid: Oid,
        size: u64,
    ) -> Result<Outcome, Error> {
        self.replace(work_tree, path, pointer, &mut |target| {
            let Some(mut source) = self.open(oid)? else {
                return Ok(false);
            };
            let shown = || crate::repo_path::join(work_tree, path);
            match self.copy_verified(&mut source, target, oid, size).context(shown())? {
                true => Ok(true),
                false => Err(self.damaged(oid)?),
            }
        })
    }

    /// Replaces the file at `path` by another small text, if the file is exactly `old`.
    ///
    /// It keeps its executable bit and time of modification, and the new one appears by rename; an
    /// editor that saves the file at that very moment wins, where the file system can exchange names.
    /// No symbolic link is followed. The staged file lies in the git dir, or beside the target where that
    /// is another file system. Not synced: git's files are not either.
    ///
    /// # Errors
    /// If reading or writing fails.
    pub fn replace_text(
        &self,
        work_tree: &Path,
        path: &RepoPath,
        old: &[u8],
        new: &[u8],
    ) -> Result<Outcome, Error> {
        self.replace(work_tree, path, old, &mut |target| {
            target.write_all(new).context(crate::repo_path::join(work_tree, path))?;
            Ok(true)
        })
    }

    /// Replaces a file that is exactly `expected` by what `write` writes; that says false if there is
    /// nothing to write.
    fn replace(
        &self,
        work_tree: &Path,
        path: &RepoPath,
        expected: &[u8],
        write: &mut dyn FnMut(&mut File) -> Result<bool, Error>,
    ) -> Result<Outcome, Error> {
        let shown = crate::repo_path::join(work_tree, path);
        let Some(parent) = Parent::open(work_tree, path).context(&shown)? else {
            return Ok(Outcome::Gone);
        };
        let Some(before) = pointer_file(&parent, expected).context(&shown)? else {
            return Ok(Outcome::Changed);
        };
        let tmp = self.tmp_folder()?;
        let folder = shown.parent().unwrap_or(work_tree);
        let near = if platform::same_file_system(&tmp, folder) { tmp.as_path() } else { folder };
        let mut staged = crate::fs::stage(near, Shared::Yes)?;
        if !write(staged.as_file_mut())? {
            return Ok(Outcome::NotStored);
        }
        platform::copy_executable(&before, staged.as_file()).context(&shown)?;
        if let Ok(modified) = before.modified() {
            staged.as_file().set_modified(modified).context(&shown)?;
        }
        // The user may have saved the file while the copy was made.
        if !same_file(pointer_file(&parent, expected).context(&shown)?.as_ref(), &before) {
            return Ok(Outcome::Changed);
        }
        if !parent.swap_in(staged.path(), &before).context(&shown)? {
            return Ok(Outcome::Changed);
        }
        let metadata = staged.as_file().metadata().context(&shown)?;
        Ok(Outcome::Filled(metadata))
    }

    /// Copies an object to a file; false if it turns out to be another. What this process has
    /// verified before is copied without hashing it again, by sharing its blocks where that works.
    fn copy_verified(
        &self,
        source: &mut File,
        target: &mut File,
        oid: Oid,
        size: u64,
    ) -> io::Result<bool> {
        let metadata = source.metadata()?;
        if metadata.len() == size && self.is_verified(oid, &metadata) {
            return Ok(io::copy(source, target)? == size);
        }
        let mut hasher = Hasher::default();
        super::copy_hashing(&mut source.take(size + 1), target, &mut hasher)?;
        let hashed = hasher.finish();
        Ok(hashed.oid == oid && hashed.size == size)
    }
}

/// Returns the file's stat data if it is exactly the pointer.
fn pointer_file(parent: &Parent, pointer: &[u8]) -> io::Result<Option<Metadata>> {
    let Ok(file) = parent.open_file() else {
        return Ok(None);
    };
    let metadata = file.metadata()?;
    let mut bytes = Vec::with_capacity(pointer.len() + 1);
    file.take(pointer.len() as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes == pointer).then_some(metadata))
}

fn same_file(now: Option<&Metadata>, before: &Metadata) -> bool {
    now.is_some_and(|now| {
        platform::inode(now) == platform::inode(before)
            && now.modified().ok() == before.modified().ok()
    })
}
