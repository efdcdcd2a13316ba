//! What tells that a file was not written to since it was looked at.

use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::fs::platform;

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

    /// Returns true if the file at `path` is the same, unchanged.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub(super) fn is_still(self, path: &Path) -> io::Result<bool> {
        Ok(Self::of(&std::fs::metadata(path)?) == self)
    }
}
