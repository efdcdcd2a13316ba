//! Where objects wait, whole but nameless, until they are on disk for good.
//!
//! A folder of its own: the last step is a rename on one file system, neither pipelime nor a listing
//! looks into it, and what killed writers left is found without reading a million names. It is not
//! `.pl`, because that may belong to whoever declared the lake with a umask that keeps others out,
//! while everybody who may add objects may create a folder next to them.

use std::fs::{DirEntry, Metadata};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use super::FolderLake;
use crate::fs::{IoContext as _, PathError, platform, unix_now};

/// The folder for staged objects, in the lake's own folder.
pub const STAGING_FOLDER: &str = ".lake-tmp";
/// A writer that has not touched its file for so long is dead.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// How many files one sweep looks at, so that no upload waits for it long.
const SWEPT_FILES: usize = 1000;

/// Creates the staging folder if need be, and tidies it at a handle's first use.
pub(super) fn open(lake: &FolderLake, base: &Metadata) -> Result<PathBuf, PathError> {
    let folder = lake.folder.join(STAGING_FOLDER);
    platform::create_shared_folder(&folder, base).context(&folder)?;
    if !lake.is_swept.swap(true, Ordering::Relaxed) {
        // Whatever stands in the way of tidying does not stand in the way of uploading.
        if let Ok(entries) = std::fs::read_dir(&folder) {
            for entry in entries.take(SWEPT_FILES).flatten() {
                if is_stale(&entry).unwrap_or(false) {
                    drop(std::fs::remove_file(entry.path()));
                }
            }
        }
    }
    Ok(folder)
}

fn is_stale(entry: &DirEntry) -> io::Result<bool> {
    let metadata = entry.metadata()?;
    let modified = metadata.modified()?;
    let limit = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_now()) - STALE_AFTER;
    Ok(metadata.is_file() && modified < limit)
}
