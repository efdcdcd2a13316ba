//! Commits that no reference of the whole repository names: those of an unfinished operation
//! (`MERGE_HEAD`, an autostash, and the like), and the references that a linked work tree has by itself.

use std::path::{Path, PathBuf};

use crate::fs::{IoContext as _, PathError};
use crate::repo::{BlobId, Repo};

/// Files in a git folder whose lines begin with the id of a commit (gitrepository-layout(5), and
/// what git's own `refs/files-backend` calls pseudo references).
const FILES: [&str; 11] = [
    "ORIG_HEAD",
    "FETCH_HEAD",
    "MERGE_HEAD",
    "MERGE_AUTOSTASH",
    "AUTO_MERGE",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "rebase-merge/autostash",
    "rebase-merge/orig-head",
    "rebase-apply/autostash",
];

impl Repo {
    /// Returns the git folders of all work trees, that of the repository first.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub fn git_dirs(&self) -> Result<Vec<PathBuf>, PathError> {
        let mut found = vec![self.common_dir().to_owned()];
        found.extend(entries(&self.common_dir().join("worktrees"))?);
        Ok(found)
    }

    /// Returns what unfinished operations of all work trees name, as far as it is here, and what
    /// references of linked work trees name: `git rev-list --all` knows those of this one alone.
    pub(super) fn unfinished_heads(&self) -> Result<Vec<BlobId>, PathError> {
        let mut ids = Vec::new();
        for (at, folder) in self.git_dirs()?.iter().enumerate() {
            let mut paths: Vec<PathBuf> = FILES.iter().map(|name| folder.join(name)).collect();
            if at > 0 {
                add_files(&folder.join("refs"), &mut paths)?;
            }
            for path in paths {
                let text = if_there(std::fs::read(&path)).context(&path)?.unwrap_or_default();
                let lines = text.split(|byte| *byte == b'\n');
                let words = lines.filter_map(|line| line.split(u8::is_ascii_whitespace).next());
                ids.extend(words.filter_map(BlobId::parse_hex));
            }
        }
        ids.retain(|id| self.has_object(*id));
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

/// Adds all files below a folder.
fn add_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), PathError> {
    for path in entries(folder)? {
        if path.is_dir() { add_files(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// Returns the paths in a folder; none if it does not exist.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, PathError> {
    let listed = if_there(std::fs::read_dir(folder)).context(folder)?;
    listed.into_iter().flatten().map(|entry| Ok(entry.context(folder)?.path())).collect()
}

/// Turns what says that there is nothing of the kind into `None`.
fn if_there<T>(result: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(None),
        other => crate::fs::if_exists(other),
    }
}
