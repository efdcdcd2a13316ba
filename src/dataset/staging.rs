//! Hidden folders that what is new grows in.
//!
//! They are locked by their process. One that is not locked was left by a run that was killed or
//! interrupted; the next run with the same output removes it, and takes over what had been fetched from
//! lakes, which took time. Nothing tells if that is right or whole: it is verified like what lakes send.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::fs::{IoContext as _, PathError, platform, sync, try_lock};

const LOCK: &str = "lock";
const NEW: &str = "new";
/// Folders of earlier runs, with a number behind it.
const LEFT: &str = "left-";

/// A hidden folder that is removed with this value.
pub(super) struct Staging {
    dir: TempDir,
    pub(super) watch: sync::Watch,
    /// Folders that earlier runs left.
    left: Vec<PathBuf>,
    /// Held as long as the folder is in use.
    _lock: File,
}

impl Staging {
    /// Makes a staging folder in `parent`, and takes over what others are left with that prefix.
    pub(super) fn make(parent: &Path, prefix: &OsStr) -> Result<Self, PathError> {
        let mut staging = Self::make_empty(parent, prefix)?;
        staging.take_over(parent, prefix);
        Ok(staging)
    }

    fn make_empty(parent: &Path, prefix: &OsStr) -> Result<Self, PathError> {
        loop {
            let dir = tempfile::Builder::new().prefix(prefix).tempdir_in(parent).context(parent)?;
            let path = dir.path().join(LOCK);
            let lock = match File::create_new(&path) {
                Ok(lock) => lock,
                // Somebody took it for one that was left.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).context(&path),
            };
            // Where there are no locks, nothing is ever swept.
            if !try_lock(&lock, &path).unwrap_or(true) {
                continue;
            }
            match std::fs::create_dir(dir.path().join(NEW)) {
                Ok(()) => {
                    let watch = sync::Watch::begin(dir.path());
                    return Ok(Self { dir, watch, left: Vec::new(), _lock: lock });
                }
                // Somebody swept it before it was locked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).context(dir.path()),
            }
        }
    }

    /// Returns the folder for what is new.
    pub(super) fn new_folder(&self) -> PathBuf {
        self.dir.path().join(NEW)
    }

    /// Returns what an earlier run left at a path below its folder for what is new.
    ///
    /// Only a file that has no other name: it may be written to.
    pub(super) fn left(&self, path: &Path) -> Option<PathBuf> {
        let is_free = |path: &PathBuf| {
            std::fs::symlink_metadata(path)
                .is_ok_and(|found| platform::is_known_by_one_name(&found))
        };
        self.left.iter().map(|folder| folder.join(path)).find(is_free)
    }

    /// Returns true if there are files in it, new or left.
    pub(super) fn has_files(&self) -> bool {
        let mut folders = self.left.clone();
        folders.push(self.new_folder());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    true => folders.push(entry.path()),
                    false => return true,
                }
            }
        }
        false
    }

    /// Lets the folder stay for the next run, and returns where it is.
    pub(super) fn keep(mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }

    /// Removes what others are left with that prefix, for a run that needs none.
    pub(super) fn sweep(parent: &Path, prefix: &OsStr) {
        for_each_left(parent, prefix, |_| {});
    }

    /// Moves what is in staging folders whose process is gone into this one, and removes them.
    fn take_over(&mut self, parent: &Path, prefix: &OsStr) {
        let own = std::fs::metadata(self.dir.path()).ok();
        for_each_left(parent, prefix, |folder| {
            let other = std::fs::symlink_metadata(folder).ok();
            // Whoever else it belongs to could still write to what is in there.
            if let (Some(own), Some(other)) = (&own, other)
                && platform::have_one_owner(own, &other)
            {
                self.take_over_one(folder);
            }
        });
    }

    fn take_over_one(&mut self, other: &Path) {
        let is_left = |name: &OsString| name == NEW || name.to_string_lossy().starts_with(LEFT);
        let names = std::fs::read_dir(other).into_iter().flatten().flatten();
        for name in names.map(|entry| entry.file_name()).filter(is_left) {
            let taken = self.dir.path().join(format!("{LEFT}{}", self.left.len()));
            #[expect(clippy::disallowed_methods, reason = "nothing is published")]
            if std::fs::rename(other.join(name), &taken).is_ok() {
                self.left.push(taken);
            }
        }
    }
}

/// Shows staging folders whose process is gone to the caller, and removes them. What cannot be removed only
/// takes room.
fn for_each_left(parent: &Path, prefix: &OsStr, mut work: impl FnMut(&Path)) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
            continue;
        }
        let path = entry.path().join(LOCK);
        match File::open(&path) {
            // Those in use are locked.
            Ok(lock) if try_lock(&lock, &path).unwrap_or(false) => {
                work(&entry.path());
                drop(std::fs::remove_dir_all(entry.path()));
            }
            // It was left before it was locked; if it is about to be, its owner makes another one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                drop(std::fs::remove_dir(entry.path()));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_process_left_is_swept() {
        let dir = tempfile::tempdir().expect("a folder");
        let (parent, prefix) = (dir.path(), OsStr::new(".out.lake-"));
        let alive = Staging::make(parent, prefix).expect("makes");
        let dead = Staging::make(parent, prefix).expect("makes").dir.keep();
        let others = parent.join(".other.lake-1");
        std::fs::create_dir(&others).expect("creates");
        let unlocked = parent.join(".out.lake-1");
        std::fs::create_dir(&unlocked).expect("creates");
        let new = Staging::make(parent, prefix).expect("makes");
        assert!(alive.new_folder().exists() && others.exists());
        assert!(!dead.exists() && !unlocked.exists());
        assert_eq!(new.left.len(), 1, "only what was in that one");
        let dead = new.keep();
        Staging::sweep(parent, prefix);
        assert!(alive.new_folder().exists() && others.exists() && !dead.exists());
    }

    #[test]
    fn what_dead_processes_left_is_found_but_for_what_has_another_name() {
        let dir = tempfile::tempdir().expect("a folder");
        let (parent, prefix) = (dir.path(), OsStr::new(".out.lake-"));
        let leave = |name: &str| {
            let staging = Staging::make(parent, prefix).expect("makes");
            let path = staging.new_folder().join(name);
            File::create_new(&path).expect("is not there");
            staging.keep();
        };
        leave("first");
        leave("second");
        let users = parent.join("users");
        File::create_new(&users).expect("is not there");
        let staging = Staging::make(parent, prefix).expect("makes");
        std::fs::hard_link(&users, staging.new_folder().join("linked")).expect("links");
        std::fs::create_dir(staging.new_folder().join("data")).expect("creates");
        staging.keep();
        let staging = Staging::make(parent, prefix).expect("makes");
        let found = |name: &str| staging.left(Path::new(name)).is_some();
        assert!(found("first") && found("second"));
        assert!(!found("linked") && !found("data") && !found("other"));
        drop(staging);
        let names: Vec<_> = std::fs::read_dir(parent).expect("lists").flatten().collect();
        assert_eq!(names.len(), 1, "{names:?}");
        assert!(users.exists());
    }
}
