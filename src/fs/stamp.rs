//! What tells that a file was not written to since it was looked at.

use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::platform;

/// A file's size, date and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl Stamp {
    /// Takes it from metadata.
    pub fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        Self { size: metadata.len(), modified, inode: platform::inode(metadata) }
    }

    /// Returns the file's size in bytes.
    pub fn size(self) -> u64 {
        self.size
    }

    /// Returns the file's date, where the system has one.
    pub fn modified(self) -> Option<SystemTime> {
        self.modified
    }

    /// Returns true if these are metadata of the same file, unchanged.
    pub fn is_of(self, now: &Metadata) -> bool {
        Self::of(now) == self
    }

    /// Returns true if the file at `path` is the same, unchanged.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn is_still(self, path: &Path) -> io::Result<bool> {
        Ok(self.is_of(&std::fs::metadata(path)?))
    }
}
