//! A file that an object grows in, in one go or in several.
//!
//! Nothing tells which of its bytes are right; the digest of the whole does.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek as _, Write as _};
use std::path::Path;

use super::Cancel;
use super::download::Failure;
use crate::digest::{COPY_BUFFER_BYTES, HashName, Hasher};
use crate::fs::{IoContext as _, PathError, is_full};

/// A file that an object grows in, and that stays.
pub(super) struct Growing<'a> {
    file: File,
    cancel: &'a Cancel,
}

/// Why it does not grow further.
pub(super) enum Interruption {
    /// No more bytes can be read.
    Reading(io::Error),
    /// No more bytes can be written, or are wanted.
    Failed(Failure),
}

impl<'a> Growing<'a> {
    /// Makes the file, or moves one that has bytes already to its path.
    ///
    /// # Errors
    /// If something is at the path, or the folder cannot be written.
    pub(super) fn begin(
        path: &Path,
        left: Option<&Path>,
        cancel: &'a Cancel,
    ) -> Result<Self, PathError> {
        if let Some(left) = left
            && let Some(file) = open_moved(left, path)
        {
            return Ok(Self { file, cancel });
        }
        let file = File::create_new(path).context(path)?;
        Ok(Self { file, cancel })
    }

    /// Hashes what is there, after which more can be received. What cannot be read is forgotten.
    ///
    /// # Errors
    /// If somebody asks to stop, or the disk fails.
    pub(super) fn recall(&mut self, hashes: &[HashName]) -> Result<Hasher, Failure> {
        let mut hasher = Hasher::new(hashes);
        let there = self.file.metadata().map_or(0, |metadata| metadata.len());
        if there == 0 {
            return Ok(hasher);
        }
        let rewound = self.file.rewind().map_err(Interruption::Reading);
        let read = rewound.and_then(|()| {
            copy(self.cancel, &mut self.file, there, &mut |bytes| {
                hasher.update(bytes);
                Ok(())
            })
        });
        match read {
            Ok(()) => Ok(hasher),
            Err(Interruption::Failed(failure)) => Err(failure),
            Err(Interruption::Reading(_)) => self.clear().map(|()| Hasher::new(hashes)),
        }
    }

    /// Adds what the reader has of an object of `size` bytes; `moved` hears how much, piece by piece.
    ///
    /// # Errors
    /// Why it went no further; what came before stays.
    pub(super) fn receive(
        &mut self,
        reader: &mut dyn Read,
        size: u64,
        hasher: &mut Hasher,
        moved: &mut dyn FnMut(u64),
    ) -> Result<(), Interruption> {
        copy(self.cancel, reader, size, &mut |bytes| {
            hasher.update(bytes);
            self.file.write_all(bytes).map_err(|error| unwritable(&error, size))?;
            moved(bytes.len() as u64);
            Ok(())
        })
    }

    /// Forgets all bytes, to begin anew.
    ///
    /// # Errors
    /// If the disk fails.
    pub(super) fn clear(&mut self) -> Result<(), Failure> {
        let cleared = self.file.set_len(0).and_then(|()| self.file.rewind());
        cleared.map_err(|error| unwritable(&error, 0))
    }
}

/// Moves a file and opens it; `None` if that cannot be.
fn open_moved(from: &Path, to: &Path) -> Option<File> {
    #[expect(clippy::disallowed_methods, reason = "from one staging folder to another")]
    std::fs::rename(from, to).ok()?;
    let opened = File::options().read(true).write(true).open(to).ok();
    if opened.is_none() {
        // It would be in the way of a new one.
        drop(std::fs::remove_file(to));
    }
    opened
}

/// Hands over what a reader has, about `size` bytes, until somebody asks to stop.
fn copy(
    cancel: &Cancel,
    reader: &mut dyn Read,
    size: u64,
    take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Interruption> {
    let most = usize::try_from(size).unwrap_or(usize::MAX).clamp(1, COPY_BUFFER_BYTES);
    let mut buffer = vec![0; most];
    loop {
        let read = reader.read(&mut buffer);
        if cancel.is_cancelled() {
            return Err(Interruption::Failed(Failure::Cancelled));
        }
        match read {
            Ok(0) => return Ok(()),
            Ok(count) => take(&buffer[..count]).map_err(Interruption::Failed)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Interruption::Reading(error)),
        }
    }
}

/// Says why a file of `size` bytes could not be written.
fn unwritable(error: &io::Error, size: u64) -> Failure {
    match is_full(error) {
        true => Failure::NoRoom { size },
        false => Failure::Store(error.to_string()),
    }
}
