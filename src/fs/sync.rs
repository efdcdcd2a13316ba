//! Making writes durable, one by one or in a batch.
//!
//! A batch of 5,000 small files must not cost 5,000 waits for the disk. Where the file system is
//! known to flush everything, its device included, on `syncfs(2)` (since Linux 5.8 it reports write
//! errors too), one call serves the batch; elsewhere files are synced by a few threads at once, which
//! lets journals group their commits.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{IoContext as _, PathError, platform};

/// From this many files on, syncing the whole file system is cheaper than syncing each.
const BATCH_FILES: usize = 8;
const THREADS: usize = 8;

/// Makes the bytes of an open file durable, not its name.
///
/// # Errors
/// If the disk reports a failed write.
pub fn file(file: &File, path: &Path) -> Result<(), PathError> {
    file.sync_all().context(path)?;
    #[cfg(test)]
    super::power::file_is_synced(path);
    Ok(())
}

/// Makes a folder's entries durable (new names, renames). Does nothing where folders cannot be opened.
///
/// # Errors
/// If the file system reports a failed write.
pub fn folder(folder: &Path) -> Result<(), PathError> {
    platform::sync_folder(folder).context(folder)?;
    #[cfg(test)]
    super::power::folder_is_synced(folder);
    Ok(())
}

/// Makes files and the folders that hold them durable; all of them must be on one file system.
///
/// # Errors
/// The first failure; nothing may be taken as durable then.
pub fn batch(files: &[PathBuf]) -> Result<(), PathError> {
    let Some(first) = files.first() else {
        return Ok(());
    };
    if files.len() >= BATCH_FILES && platform::sync_file_system(first).context(first)? {
        #[cfg(test)]
        for path in files {
            super::power::file_is_synced(path);
            path.parent().into_iter().for_each(super::power::folder_is_synced);
        }
        return Ok(());
    }
    let next = AtomicUsize::new(0);
    let sync_some = || -> Result<(), PathError> {
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            File::open(path).and_then(|file| file.sync_all()).context(path)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads = files.len().min(THREADS);
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(sync_some)).collect();
        let mut result = sync_some();
        for other in others {
            result = result.and(other.join().expect("syncing does not panic"));
        }
        result
    })?;
    #[cfg(test)]
    files.iter().for_each(|path| super::power::file_is_synced(path));
    let mut folders: Vec<&Path> = files.iter().filter_map(|path| path.parent()).collect();
    folders.sort_unstable();
    folders.dedup();
    folders.into_iter().try_for_each(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_fails_the_batch() {
        let dir = tempfile::tempdir().expect("a folder");
        let there = dir.path().join("there");
        File::create(&there).expect("creates");
        batch(std::slice::from_ref(&there)).expect("syncs");
        let error = batch(&[there, dir.path().join("gone")]).expect_err("one is missing");
        assert!(error.is_not_found());
    }
}
