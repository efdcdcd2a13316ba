//! Files that come from the input as they are.

use std::io;
use std::path::Path;

use crate::fs::{IoContext as _, PathError};

/// How items become files of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Serialization {
    /// Files of their own; content that is in lakes is brought back.
    #[default]
    CreateNewFile,
    /// The same: content is never encoded anew, so there is no difference.
    DeepCopy,
    /// Files of the input get a second name where that can be; the others are copied.
    HardLink,
    /// Files of the input are linked to; what is in lakes is brought back.
    SymLink,
    /// What is in lakes stays there; the others as [`Self::HardLink`].
    RemoteFile,
}

impl Serialization {
    /// Puts the file `source` at `target`, where nothing is yet.
    ///
    /// Copying asks the system for a reflink first.
    ///
    /// # Errors
    /// If it cannot be read, or not be written.
    pub(super) fn put(self, source: &Path, target: &Path) -> Result<(), PathError> {
        let linked = match self {
            Self::CreateNewFile | Self::DeepCopy => Err(io::ErrorKind::Unsupported.into()),
            Self::HardLink | Self::RemoteFile => {
                real(source).and_then(|real| std::fs::hard_link(real, target))
            }
            Self::SymLink => real(source).and_then(|real| symlink(&real, target)),
        };
        match linked {
            Ok(()) => Ok(()),
            Err(_) => std::fs::copy(source, target).map(drop).context(source),
        }
    }
}

/// Returns where a file really is: links to links would break with the first of them.
fn real(path: &Path) -> io::Result<std::path::PathBuf> {
    std::fs::canonicalize(path)
}

#[cfg(unix)]
fn symlink(source: &Path, target: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(source, target)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
