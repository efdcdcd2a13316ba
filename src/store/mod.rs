//! What this clone holds by itself: objects, what is owed, what is proved.
//!
//! **Not a cache**: an object that is not uploaded yet exists nowhere else. Everything lives below
//! `<git common dir>/lake/v1/`, shared by all work trees of a clone; `docs/local-state.md` specifies
//! it. Any number of processes may use it at once: files appear by rename, logs grow by appending,
//! and nothing here holds a lock while git waits.
//!
//! An object is *stored* when its size is right and nobody may write to it: the right to write is
//! taken away only after its bytes and its name were synced, so the mode bits record durability in
//! the same place as the object. Anything else under an object's name is replaced or verified.

use std::collections::{BTreeSet, HashMap};
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, Once, OnceLock};
use std::time::Duration;

use crate::digest::{COPY_BUFFER_BYTES, Hasher};
use crate::fs::{IoContext as _, PathError, Shared, Stamp, if_exists, platform, sync, unix_now};
use crate::oid::Oid;

pub mod blob_map;
pub mod check;
pub mod damage;
mod digest_map;
pub mod fill_journal;
pub mod gc;
pub mod health;
pub mod materialize;
pub mod partial;
pub mod queue;
pub mod receipts;
pub mod servers;
pub mod shared;
pub mod stage;
mod unsynced;
pub mod uploads;
mod usage;

/// Staged files that nobody published for this long belong to processes that died.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Says what could not be done with the local state.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("Could not use the object store: {0}")]
    Path(#[from] PathError),
    /// The stored bytes are not those of the object.
    #[error("The stored object {oid} is damaged; it was set aside as `{}`", .aside.display())]
    Damaged {
        /// The object.
        oid: Oid,
        /// Where the damaged bytes are now.
        aside: PathBuf,
    },
}

impl Error {
    /// Returns true if the disk or the quota is full.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Path(error) if error.is_full())
    }
}

/// The local state of one clone. Opening it touches nothing; folders appear with their first file.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// Where objects are kept together with other clones, if they are.
    shared: Option<PathBuf>,
    /// Begun with the first object that this process stages.
    watch: OnceLock<sync::Watch>,
    /// Objects that this process published and has not synced, with the inode that it wrote.
    unsynced: Mutex<HashMap<Oid, u64>>,
    /// Folders that got a new folder and were not synced since.
    changed_folders: Mutex<BTreeSet<PathBuf>>,
    /// Objects that this process verified, with the file's stamp at that time.
    verified: Mutex<HashMap<Oid, Stamp>>,
    /// How many bytes this process has stored and not told [`Store::usage`].
    taken_in: AtomicU64,
    /// Done before the first object is taken in from outside.
    partials_swept: Once,
    /// See [`Store::tmp_folder`].
    tmp: OnceLock<Tmp>,
}

/// The folder for staged files.
#[derive(Debug)]
struct Tmp {
    path: PathBuf,
    /// What tells its file system from others.
    device: Option<u64>,
}

/// How an object stands in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Not there, or with another size.
    Absent,
    /// There with the right size, but not known to have reached the disk: verify or replace it.
    Unproven,
    /// There, synced.
    Stored,
}

impl Store {
    /// Names the local state of the clone whose common git dir is `common_dir`.
    pub fn at(common_dir: &Path) -> Self {
        let root = common_dir.join("lake").join("v1");
        Self {
            root,
            shared: None,
            watch: OnceLock::new(),
            unsynced: Mutex::default(),
            changed_folders: Mutex::default(),
            verified: Mutex::default(),
            taken_in: AtomicU64::new(0),
            partials_swept: Once::new(),
            tmp: OnceLock::new(),
        }
    }

    /// Returns the folder that holds the local state.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder for staged files, creating it the first time.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn tmp_folder(&self) -> Result<&Path, PathError> {
        self.tmp().map(|tmp| &*tmp.path)
    }

    /// Returns a folder for staged files that are to replace `target`, or to stand beside it: the store's
    /// own if a rename from there is known to work, by the metadata of something beside it, else the one that
    /// `target` lies in.
    ///
    /// # Errors
    /// If the folder cannot be created.
    pub fn tmp_near<'a>(
        &'a self,
        target: &'a Path,
        metadata: &Metadata,
    ) -> Result<&'a Path, PathError> {
        let tmp = self.tmp()?;
        let is_near = tmp.device.is_some() && tmp.device == platform::device(metadata);
        Ok(if is_near { &tmp.path } else { target.parent().unwrap_or(target) })
    }

    /// Writes a small file of the work tree as a whole; durable on return. A kill leaves the old one or the
    /// new one, and nothing beside it, if the work tree is on the same file system as the store.
    ///
    /// # Errors
    /// If any step fails; the old content is intact then.
    pub fn write_to_work_tree(&self, path: &Path, bytes: &[u8]) -> Result<(), PathError> {
        let folder = path.parent().unwrap_or(path);
        let staging = self.tmp_near(path, &std::fs::metadata(folder).context(folder)?)?;
        crate::fs::write_atomic_from(staging, path, bytes, Shared::Yes)
    }

    fn tmp(&self) -> Result<&Tmp, PathError> {
        if let Some(tmp) = self.tmp.get() {
            return Ok(tmp);
        }
        let path = self.root.join("tmp");
        std::fs::create_dir_all(&path).context(&path)?;
        let device = platform::device(&std::fs::metadata(&path).context(&path)?);
        Ok(self.tmp.get_or_init(|| Tmp { path, device }))
    }

    /// Returns the folder that new objects go to, with all that is about them.
    pub fn objects_root(&self) -> &Path {
        self.shared.as_ref().unwrap_or(&self.root)
    }

    /// Returns where an object is or would be.
    pub fn object_path(&self, oid: Oid) -> PathBuf {
        let hex = oid.to_hex();
        let below = |root: &Path| root.join("objects").join(&hex[..2]).join(&hex);
        match &self.shared {
            None => below(&self.root),
            // What the clone had before it shared is as good.
            Some(shared) => {
                Some(below(&self.root)).filter(|own| own.exists()).unwrap_or_else(|| below(shared))
            }
        }
    }

    /// Tells how an object stands, by its name, size and mode; reads no content.
    ///
    /// # Errors
    /// If the store cannot be searched.
    pub fn presence(&self, oid: Oid, size: u64) -> Result<Presence, PathError> {
        self.look(oid, size).map(|(presence, _)| presence)
    }

    /// Does the same, and notes a use of an object that is stored.
    fn presence_for_use(&self, oid: Oid, size: u64) -> Result<Presence, PathError> {
        let (presence, found) = self.look(oid, size)?;
        if let (Presence::Stored, Some(found)) = (presence, &found) {
            self.note_use(oid, found);
        }
        Ok(presence)
    }

    fn look(&self, oid: Oid, size: u64) -> Result<(Presence, Option<Metadata>), PathError> {
        let path = self.object_path(oid);
        let found = if_exists(std::fs::symlink_metadata(&path)).context(&path)?;
        let presence = match &found {
            Some(metadata) if metadata.is_file() && metadata.len() == size => {
                let written_here =
                    self.unsynced.lock().expect("no holder panics").get(&oid).copied();
                let is_ours = written_here == Some(platform::inode(metadata));
                if platform::is_sealed(metadata) || is_ours {
                    Presence::Stored
                } else {
                    Presence::Unproven
                }
            }
            _ => Presence::Absent,
        };
        Ok((presence, found))
    }

    /// Opens an object without looking at its content; `None` if it is absent.
    ///
    /// # Errors
    /// If it cannot be opened or is no regular file.
    pub fn open(&self, oid: Oid) -> Result<Option<File>, PathError> {
        let path = self.object_path(oid);
        if_exists(platform::open_regular(&path)).context(&path)
    }

    /// Reads a whole object into memory and verifies it; `None` if it is absent or of another size.
    ///
    /// The caller bounds `size`. A damaged object is set aside first.
    ///
    /// # Errors
    /// [`Error::Damaged`], or if it cannot be read.
    pub fn read_verified(&self, oid: Oid, size: u64) -> Result<Option<Vec<u8>>, Error> {
        let path = self.object_path(oid);
        let Some(file) = self.open(oid)? else {
            return Ok(None);
        };
        if gc::note_use_of(&file).context(&path)?.len() != size {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        file.take(size).read_to_end(&mut bytes).context(&path)?;
        if Oid::of(&bytes) == oid { Ok(Some(bytes)) } else { Err(self.damaged(oid)?) }
    }

    /// Opens an object whose content was verified, in constant memory; `None` if it is absent or of
    /// another size. A file that this process verified before and that was not written to since is
    /// not read again.
    ///
    /// # Errors
    /// [`Error::Damaged`], or if it cannot be read.
    pub fn open_verified(&self, oid: Oid, size: u64) -> Result<Option<File>, Error> {
        let path = self.object_path(oid);
        let Some(mut file) = self.open(oid)? else {
            return Ok(None);
        };
        let metadata = gc::note_use_of(&file).context(&path)?;
        let stamp = Stamp::of(&metadata);
        if stamp.size() != size {
            return Ok(None);
        }
        if self.is_verified(oid, &metadata) {
            return Ok(Some(file));
        }
        let hashed = crate::digest::hash_reader(&mut file, &[]).context(&path)?;
        if hashed.oid != oid {
            return Err(self.damaged(oid)?);
        }
        self.verified.lock().expect("no holder panics").insert(oid, stamp);
        io::Seek::rewind(&mut file).context(&path)?;
        Ok(Some(file))
    }

    /// Opens an object whose bytes this process has verified before, and that was not written to since;
    /// `None` if there is none.
    pub fn open_if_verified(&self, oid: Oid, size: u64) -> Option<File> {
        if !self.verified.lock().expect("no holder panics").contains_key(&oid) {
            return None;
        }
        let file = self.open(oid).ok()??;
        let metadata = file.metadata().ok()?;
        (metadata.len() == size && self.is_verified(oid, &metadata)).then_some(file)
    }

    /// Returns true if this process hashed the object's bytes and the file was not written to since.
    fn is_verified(&self, oid: Oid, metadata: &Metadata) -> bool {
        let verified = self.verified.lock().expect("no holder panics");
        verified.get(&oid) == Some(&Stamp::of(metadata))
    }

    /// Remembers that this process has just hashed the bytes that it stored, where that saves much.
    fn note_verified(&self, oid: Oid, metadata: &Metadata) {
        if metadata.len() < COPY_BUFFER_BYTES as u64 {
            return;
        }
        self.verified.lock().expect("no holder panics").insert(oid, Stamp::of(metadata));
    }

    /// Returns the folder that damaged objects are set aside in.
    pub fn damaged_folder(&self) -> PathBuf {
        self.objects_root().join("damaged")
    }

    /// Returns the objects that were set aside because they were damaged.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn set_aside(&self) -> Result<Vec<Oid>, PathError> {
        let folder = self.damaged_folder();
        let entries = if_exists(std::fs::read_dir(&folder)).context(&folder)?;
        let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
        Ok(names.filter_map(|name| Oid::parse_hex(name.as_encoded_bytes())).collect())
    }

    /// Moves damaged bytes out of the way, so that the object can be stored again.
    fn damaged(&self, oid: Oid) -> Result<Error, PathError> {
        let folder = self.damaged_folder();
        std::fs::create_dir_all(&folder).context(&folder)?;
        let aside = folder.join(oid.to_hex());
        let path = self.object_path(oid);
        #[expect(
            clippy::disallowed_methods,
            reason = "nothing is published, something is put away"
        )]
        if_exists(std::fs::rename(&path, &aside)).context(&path)?;
        Ok(Error::Damaged { oid, aside })
    }

    /// Returns what the disk fails to write since the first object was staged, in a folder of the store.
    fn watch(&self, folder: &Path) -> &sync::Watch {
        self.watch.get_or_init(|| sync::Watch::begin(folder))
    }

    /// Returns how many objects of this process are not durable yet.
    pub fn count_unsynced(&self) -> usize {
        self.unsynced.lock().expect("no holder panics").len()
    }

    /// Makes every object that this process published durable, in one batch, and records it.
    ///
    /// Does nothing when there is nothing new. Safe to call again after a failure.
    ///
    /// # Errors
    /// If the disk reports a failed write; the objects stay unproven then.
    pub fn sync(&self) -> Result<(), PathError> {
        let pending: Vec<(Oid, u64)> =
            self.unsynced.lock().expect("no holder panics").iter().map(|(o, i)| (*o, *i)).collect();
        let paths: Vec<PathBuf> = pending.iter().map(|(oid, _)| self.object_path(*oid)).collect();
        let mut changed = self.changed_folders.lock().expect("no holder panics");
        changed.iter().try_for_each(|folder| sync::folder(folder))?;
        changed.clear();
        drop(changed);
        let is_new = |path: &&PathBuf| path.starts_with(self.objects_root());
        let (new, own): (Vec<&PathBuf>, Vec<&PathBuf>) = paths.iter().partition(is_new);
        let cloned = |paths: Vec<&PathBuf>| paths.into_iter().cloned().collect::<Vec<_>>();
        self.watch(self.objects_root()).sync(&cloned(new))?;
        // What lay in the clone before it shared its store may be on another file system.
        sync::Watch::begin(&self.root).sync(&cloned(own))?;
        for ((oid, inode), path) in pending.iter().zip(&paths) {
            // Another process may have put its own, unsynced copy there: that one is its to seal.
            if_exists(platform::seal_inode(path, *inode)).context(path)?;
            self.unsynced.lock().expect("no holder panics").remove(oid);
        }
        Ok(())
    }

    /// Removes what processes that died left staged, if it is older than a day: in `tmp/`, and in one
    /// folder of objects, another one each minute, so that a large store costs no more than a small one;
    /// and what downloads left that nobody goes on with.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn sweep_staged(&self) -> Result<(), PathError> {
        self.sweep_partial();
        let turn = unix_now() / 60 % 256;
        let (own, objects) = (&self.root, self.objects_root());
        let folder = objects.join("objects").join(format!("{turn:02x}"));
        for folder in [own.join("tmp"), objects.join("tmp"), folder] {
            let entries = if_exists(std::fs::read_dir(&folder)).context(&folder)?;
            for entry in entries.into_iter().flatten().flatten() {
                let is_staged = entry.file_name().as_encoded_bytes().starts_with(b".lake-");
                let modified = entry.metadata().and_then(|metadata| metadata.modified());
                let age = modified.ok().and_then(|time| time.elapsed().ok());
                if is_staged && age.is_some_and(|age| age > STALE_AFTER) {
                    // Another process may sweep at the same time.
                    drop(std::fs::remove_file(entry.path()));
                }
            }
        }
        Ok(())
    }
}

/// Copies what is left of `file` through `buffer` while hashing it; returns how many bytes these were.
///
/// # Errors
/// Those of reading and writing.
pub(crate) fn copy_hashing(
    file: &mut dyn io::Read,
    target: &mut dyn io::Write,
    hasher: &mut Hasher,
    buffer: &mut [u8],
) -> io::Result<u64> {
    let mut copied = 0;
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(copied),
            Ok(count) => {
                copied += count as u64;
                hasher.update(&buffer[..count]);
                target.write_all(&buffer[..count])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
