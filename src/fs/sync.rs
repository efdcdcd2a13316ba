//! Making writes durable, one by one or in a batch.
//!
//! A batch of 5,000 small files must not cost 5,000 waits for the disk. Where the file system is
//! known to flush everything, its device included, and to tell what it could not write, one `syncfs(2)`
//! serves the batch. It waits for what others wrote to that disk as well, so it is not used while much
//! of that is about. Else files are synced by many threads at once, which lets journals group their
//! commits. The numbers behind it are in `docs/decisions/0004-sync-in-batches.md`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{IoContext as _, PathError, platform};

/// From this many files on, syncing the whole file system is cheaper than syncing each.
const BATCH_FILES: usize = 8;
/// Syncing a file takes about as long as writing so much.
const FILE_COSTS_BYTES: u64 = 512 << 10;
const THREADS: usize = 32;

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

/// A moment before which no file of a batch was written: what the disk fails to write counts from then on.
///
/// Linux tells each open file of an error once; who opens one later hears of it only if nobody else did.
#[derive(Debug)]
pub struct Watch(Option<File>);

impl Watch {
    /// Begins before the first file is written, with a folder on the same file system.
    ///
    /// Where folders cannot be opened, each file will be synced by itself.
    pub fn begin(folder: &Path) -> Self {
        Self(File::open(folder).ok())
    }

    /// Makes files and the folders that hold them durable; all of them must be on one file system.
    ///
    /// # Errors
    /// The first failure; nothing may be taken as durable then.
    pub fn sync(&self, files: &[PathBuf]) -> Result<(), PathError> {
        let Some(first) = files.first() else {
            return Ok(());
        };
        if let Some(watch) = &self.0
            && is_worth_syncing_all(files.len(), platform::unwritten_bytes())
            && platform::sync_file_system(watch).context(first)?
        {
            // Before Linux 5.17 syncfs(2) kept to itself that the journal could not be written, but a
            // file system that has given up says so whenever it is asked to sync a file.
            File::open(first).and_then(|file| file.sync_all()).context(first)?;
            #[cfg(test)]
            for path in files {
                super::power::file_is_synced(path);
                path.parent().into_iter().for_each(super::power::folder_is_synced);
            }
            return Ok(());
        }
        each(files)
    }
}

/// Decides if one sync of the whole file system is better than one of each file, given how many bytes wait
/// to be written on this machine.
fn is_worth_syncing_all(files: usize, unwritten_bytes: Option<u64>) -> bool {
    let cost_of_each = FILE_COSTS_BYTES.saturating_mul(files as u64);
    files >= BATCH_FILES && unwritten_bytes.is_none_or(|bytes| bytes <= cost_of_each)
}

/// Makes files durable one by one, side by side, and then the folders that hold them.
fn each(files: &[PathBuf]) -> Result<(), PathError> {
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
        let watch = Watch::begin(dir.path());
        File::create(&there).expect("creates");
        watch.sync(std::slice::from_ref(&there)).expect("syncs");
        let error = watch.sync(&[there, dir.path().join("gone")]).expect_err("one is missing");
        assert!(error.is_not_found());
    }

    #[test]
    fn many_files_are_synced_at_once_unless_much_of_others_is_about() {
        const MIB: u64 = 1 << 20;
        let table = [
            // files, unwritten, all at once
            (7, Some(0), false),
            (8, Some(4 * MIB), true),
            (8, Some(4 * MIB + 1), false),
            (512, Some(256 * MIB), true),
            (512, Some(1024 * MIB), false),
            (5000, Some(1024 * MIB), true),
            (8, None, true),
        ];
        for (files, unwritten, is_worth) in table {
            assert_eq!(is_worth_syncing_all(files, unwritten), is_worth, "{files}, {unwritten:?}");
        }
    }
}
