//! How objects enter the store: staged, hashed as they pass, renamed to their name.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::Ordering;

use tempfile::NamedTempFile;

use super::{Presence, Store};
use crate::digest::{HashName, Hashed, Hasher};
use crate::fs::{IoContext as _, PathError, Shared, platform};
use crate::oid::Oid;

/// An object on its way into the store. Dropping it leaves nothing behind.
#[derive(Debug)]
pub struct StagedObject<'a> {
    store: &'a Store,
    file: NamedTempFile,
}

impl Store {
    /// Begins to stage an object of any size whose oid is not known yet.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn stage(&self) -> Result<StagedObject<'_>, PathError> {
        self.stage_in(&self.objects_root().join("tmp"))
    }

    /// Begins to stage an object in the very folder that it will lie in: a rename from one folder to
    /// another takes a lock of the whole file system, for which threads would queue.
    pub(super) fn stage_known(&self, oid: Oid) -> Result<StagedObject<'_>, PathError> {
        self.stage_in(self.object_path(oid).parent().expect("an object lies in a folder"))
    }

    /// Nearly always the folder is there; asking first would lock the one above it.
    fn stage_in(&self, folder: &Path) -> Result<StagedObject<'_>, PathError> {
        let file = match crate::fs::stage(folder, Shared::No) {
            Err(error) if error.is_not_found() => {
                self.create_folders(folder)?;
                crate::fs::stage(folder, Shared::No)
            }
            other => other,
        };
        Ok(StagedObject::new(self, file?))
    }

    /// Creates a folder of the store and keeps in mind what is to be synced for it.
    pub(super) fn create_folders(&self, folder: &Path) -> Result<(), PathError> {
        let changed = crate::fs::create_folders(folder)?;
        self.changed_folders.lock().expect("no holder panics").extend(changed);
        Ok(())
    }

    /// Stores content that is in memory, and returns how it stood in the store before; writes nothing if
    /// it is stored already.
    ///
    /// `oid` must be the digest of `bytes`. On return the object is under its final name, safe from
    /// any kill; it is safe from power loss after [`Store::sync`].
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn put(&self, oid: Oid, bytes: &[u8]) -> Result<Presence, PathError> {
        let before = self.presence_for_use(oid, bytes.len() as u64)?;
        if before == Presence::Stored {
            return Ok(before);
        }
        let mut staged = self.stage_known(oid)?;
        staged.file.write_all(bytes).context(staged.path())?;
        staged.publish(oid)?;
        Ok(before)
    }
}

impl<'a> StagedObject<'a> {
    pub(super) fn new(store: &'a Store, file: NamedTempFile) -> Self {
        store.watch(file.path().parent().unwrap_or(store.root()));
        Self { store, file }
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(super) fn file_mut(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Gives the file up, with its lock: after its name, if that is to go.
    pub(super) fn release(self) {
        let (file, name) = self.file.into_parts();
        drop(name);
        // Closing would do, but for processes that are being started at this moment.
        drop(file.unlock());
    }

    /// Lets the file stay when this value goes, or not.
    pub(super) fn outlive(&mut self, is_kept: bool) {
        self.file.disable_cleanup(is_kept);
    }

    /// Gives the staged bytes, which must hash to `oid`, their final name.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn publish(self, oid: Oid) -> Result<(), PathError> {
        let target = self.store.object_path(oid);
        let path = self.file.path().to_owned();
        let metadata = self.file.as_file().metadata().context(&path)?;
        if let Err(failed) = self.file.persist(&target) {
            if failed.error.kind() != io::ErrorKind::NotFound {
                return Err(failed.error).context(&target);
            }
            self.store.create_folders(target.parent().expect("an object lies in a folder"))?;
            crate::fs::publish(failed.file, &target)?;
        }
        self.store.taken_in.fetch_add(metadata.len(), Ordering::Relaxed);
        let inode = platform::inode(&metadata);
        self.store.unsynced.lock().expect("no holder panics").insert(oid, inode);
        self.store.note_verified(oid, &metadata);
        Ok(())
    }
}

impl Write for StagedObject<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes in a stream of unknown size, comparing it with an object that is expected to be the same.
///
/// As long as the bytes equal those of the expected object nothing is written; from the first
/// difference on they are staged, beginning with a copy of what was equal. So unchanged large content
/// costs a read and a hash.
pub struct Intake<'a> {
    store: &'a Store,
    hasher: Hasher,
    state: State<'a>,
}

enum State<'a> {
    /// All bytes so far equal the beginning of the stored object.
    Comparing {
        expected: File,
        equal: u64,
        there: Vec<u8>,
    },
    Staging(StagedObject<'a>),
    /// The whole content is staged, and what comes are its bytes.
    Staged(StagedObject<'a>),
    /// The store could not take the bytes; they are only hashed.
    Failed(PathError),
}

impl<'a> Intake<'a> {
    /// Begins to take in content; `expected` is the object that is likely to come.
    pub fn begin(store: &'a Store, hashes: &[HashName], expected: Option<Oid>) -> Self {
        let opened = expected.map(|oid| store.open(oid)).transpose().map(Option::flatten);
        let state = match opened {
            Ok(Some(expected)) => State::Comparing { expected, equal: 0, there: Vec::new() },
            Ok(None) => store.stage().map_or_else(State::Failed, State::Staging),
            Err(error) => State::Failed(error),
        };
        Self { store, hasher: Hasher::new(hashes), state }
    }

    /// Begins to take in a whole file by sharing its blocks, where the file system does that. What is
    /// returned beside it reads the bytes as they are in the store from now on, whatever becomes of
    /// `file`; they are to be written, so that they are hashed.
    pub fn share(store: &'a Store, hashes: &[HashName], file: &File) -> Option<(Self, File)> {
        let staged = store.stage().ok()?;
        if !platform::shares_blocks(file, staged.file.as_file()) {
            return None;
        }
        let shared = staged.file.as_file().try_clone().ok()?;
        Some((Self { store, hasher: Hasher::new(hashes), state: State::Staged(staged) }, shared))
    }

    /// Takes in the next bytes. A failure of the store is told by [`Intake::finish`]; hashing goes on.
    pub fn write(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        if let State::Comparing { expected, equal, there } = &mut self.state {
            there.resize(bytes.len(), 0);
            if io::Read::read_exact(expected, there).is_ok() && there == bytes {
                *equal += bytes.len() as u64;
                return;
            }
            let equal = *equal;
            let staged = self.store.stage_prefix(expected, equal);
            self.state = staged.map_or_else(State::Failed, State::Staging);
        }
        if let State::Staging(staged) = &mut self.state {
            let written = staged.file.as_file_mut().write_all(bytes).context(staged.file.path());
            if let Err(error) = written {
                self.state = State::Failed(error);
            }
        }
    }

    /// Ends the content and tells what it is, and how the object stood in the store before.
    ///
    /// If the second is `Ok`, the object is in the store under its final name, safe from any kill;
    /// otherwise it says why the store could not take it.
    pub fn finish(self) -> (Hashed, Result<Presence, PathError>) {
        let hashed = self.hasher.finish();
        let stored = self.store.presence_for_use(hashed.oid, hashed.size).and_then(|before| {
            match self.state {
                _ if before == Presence::Stored => {}
                State::Failed(error) => return Err(error),
                State::Staging(staged) | State::Staged(staged) => staged.publish(hashed.oid)?,
                State::Comparing { mut expected, equal, .. } => {
                    self.store.stage_prefix(&mut expected, equal)?.publish(hashed.oid)?;
                }
            }
            Ok(before)
        });
        (hashed, stored)
    }
}

impl Store {
    /// Stages a copy of the first `size` bytes of `file`.
    fn stage_prefix(&self, file: &mut File, size: u64) -> Result<StagedObject<'_>, PathError> {
        let mut staged = self.stage()?;
        let path = staged.path().to_owned();
        io::Seek::rewind(file).context(&path)?;
        let copied = io::copy(&mut io::Read::take(file, size), staged.file.as_file_mut());
        if copied.context(&path)? != size {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof)).context(&path);
        }
        Ok(staged)
    }
}
