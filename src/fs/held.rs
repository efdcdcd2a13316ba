//! A file that only one process works on at a time, and that outlives it.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::{IoContext as _, PathError, if_exists, platform};

/// A name may be taken away between opening a file and locking it; nobody does that so often.
const ATTEMPTS: usize = 16;

/// A file under its advisory lock, which ends with this value or with the process. The file stays.
///
/// Whoever renames or removes such a file holds its lock, so a holder knows that the name is its own.
///
/// # Limitations
/// Where the file system knows no locks, nobody ever holds a file.
#[derive(Debug)]
pub struct HeldFile {
    /// `None` once somebody else looks after it.
    file: Option<File>,
    path: PathBuf,
}

impl HeldFile {
    /// Opens the file, or creates it for this user alone, and locks it without waiting; `None` if
    /// somebody else has it, in this process or another.
    ///
    /// # Errors
    /// If the folder does not exist or cannot be written.
    pub fn take(path: &Path) -> Result<Option<Self>, PathError> {
        Self::open(path, true)
    }

    /// The same for a file that is there; `None` also if it is not.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn find(path: &Path) -> Result<Option<Self>, PathError> {
        Self::open(path, false)
    }

    fn open(path: &Path, may_create: bool) -> Result<Option<Self>, PathError> {
        for _ in 0..ATTEMPTS {
            let file = match platform::open_private(path, may_create) {
                Err(error) if !may_create && error.kind() == std::io::ErrorKind::NotFound => {
                    return Ok(None);
                }
                opened => opened.context(path)?,
            };
            if file.try_lock().is_err() {
                return Ok(None);
            }
            let named = if_exists(std::fs::metadata(path)).context(path)?;
            let own = platform::inode(&file.metadata().context(path)?);
            if named.is_some_and(|named| platform::inode(&named) == own) {
                return Ok(Some(Self { file: Some(file), path: path.to_owned() }));
            }
            // Its last holder took the name away: what was opened is something else by now.
        }
        Ok(None)
    }

    /// Returns the file, and its path. It stays locked until it is unlocked, or closed everywhere: a
    /// process that is being started has it open for a moment, too.
    pub fn into_parts(mut self) -> (File, PathBuf) {
        let file = self.file.take().expect("taken once");
        (file, std::mem::take(&mut self.path))
    }

    fn file(&mut self) -> &mut File {
        self.file.as_mut().expect("not taken")
    }

    /// Reads the file, up to `max_bytes` of it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&mut self, max_bytes: u64) -> Result<Vec<u8>, PathError> {
        let mut bytes = Vec::new();
        let read = self.file().rewind();
        let read = read.and_then(|()| self.file().take(max_bytes).read_to_end(&mut bytes));
        read.context(&self.path)?;
        Ok(bytes)
    }

    /// Writes the file anew, in place: a kill may leave a part of it, and only holders ever read it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), PathError> {
        let emptied = self.file().set_len(0).and_then(|()| self.file().rewind());
        emptied.and_then(|()| self.file().write_all(bytes)).context(&self.path)
    }

    /// Removes the file, then gives up the lock.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(self) -> Result<(), PathError> {
        if_exists(std::fs::remove_file(&self.path)).context(&self.path).map(drop)
    }
}

impl Drop for HeldFile {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // Closing would do, but for processes that are being started at this moment.
            drop(file.unlock());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_holder_and_keeps_what_was_written() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("note");
        assert!(HeldFile::find(&path).expect("absent").is_none());
        let mut held = HeldFile::take(&path).expect("creates").expect("free");
        held.write(b"a longer text").expect("writes");
        held.write(b"text").expect("writes");
        assert!(HeldFile::take(&path).expect("opens").is_none(), "it is held");
        assert!(HeldFile::find(&path).expect("opens").is_none(), "it is held");
        drop(held);
        let mut held = HeldFile::find(&path).expect("opens").expect("free");
        assert_eq!(held.read(100).expect("reads"), b"text");
        assert_eq!(held.read(2).expect("reads"), b"te");
        held.remove().expect("removes");
        assert!(!path.exists());
        assert!(HeldFile::take(&dir.path().join("no/note")).is_err());
    }

    #[test]
    fn whoever_waits_for_a_name_never_gets_what_had_it_before() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("note");
        let rounds = || {
            for _ in 0..200 {
                let Some(mut held) = HeldFile::take(&path).expect("opens") else { continue };
                assert!(held.read(10).expect("reads").is_empty(), "somebody has written it");
                held.write(b"mine").expect("writes");
                held.remove().expect("removes");
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(rounds);
            }
        });
    }
}
