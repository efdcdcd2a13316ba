//! Hidden folders that what is new grows in.
//!
//! They are locked by their process; one that is not locked was left by a kill, and the next run with the
//! same output removes it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::fs::{IoContext as _, PathError, sync, try_lock};

const LOCK: &str = "lock";
const NEW: &str = "new";

/// A hidden folder that is removed with this value.
pub(super) struct Staging {
    dir: TempDir,
    pub(super) watch: sync::Watch,
    /// Held as long as the folder is in use.
    _lock: File,
}

impl Staging {
    /// Makes a staging folder in `parent`, and removes those that a kill left there.
    pub(super) fn make(parent: &Path, prefix: &OsStr) -> Result<Self, PathError> {
        sweep(parent, prefix);
        loop {
            let dir = tempfile::Builder::new().prefix(prefix).tempdir_in(parent).context(parent)?;
            let path = dir.path().join(LOCK);
            let lock = File::create_new(&path).context(&path)?;
            // Where there are no locks, nothing is ever swept.
            if !try_lock(&lock, &path).unwrap_or(true) {
                continue;
            }
            match std::fs::create_dir(dir.path().join(NEW)) {
                Ok(()) => {
                    let watch = sync::Watch::begin(dir.path());
                    return Ok(Self { dir, watch, _lock: lock });
                }
                // Somebody swept it before it was locked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).context(dir.path()),
            }
        }
    }

    pub(super) fn new_folder(&self) -> PathBuf {
        self.dir.path().join(NEW)
    }
}

/// Removes staging folders whose process is gone. What cannot be removed only takes room.
fn sweep(parent: &Path, prefix: &OsStr) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
            continue;
        }
        let path = entry.path().join(LOCK);
        let Ok(lock) = File::open(&path) else { continue };
        if try_lock(&lock, &path).unwrap_or(false) {
            drop(std::fs::remove_dir_all(entry.path()));
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
        let _new = Staging::make(parent, prefix).expect("makes");
        assert!(alive.new_folder().exists() && others.exists() && !dead.exists());
    }
}
