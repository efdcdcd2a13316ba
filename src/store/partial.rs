//! Objects on their way into the store from outside, in files that outlive the process.
//!
//! A download that ends early leaves its bytes in `partial/<oid>`, for whoever fetches the object next,
//! from whichever source. The bytes are hashed before anything is added, since only the digest of the
//! whole tells whether they are right. One process works on such a file, under its lock; others that
//! want the same object at the same time stage it for themselves. Format: `docs/local-state.md`.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::{NamedTempFile, TempPath};

use super::stage::StagedObject;
use super::{Presence, Store};
use crate::digest::{COPY_BUFFER_BYTES, Hasher};
use crate::fs::{HeldFile, IoContext as _, PathError};
use crate::oid::Oid;

/// Nobody comes back for what was not added to for this long.
const STALE_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// An object of which some bytes, from its beginning on, are there. Dropping it keeps them.
pub struct Partial<'a> {
    /// `None` once it is verified.
    staged: Option<StagedObject<'a>>,
    oid: Oid,
    size: u64,
    there: u64,
    hasher: Box<Hasher>,
    /// The file has a name that others find.
    is_named: bool,
}

/// Why no more bytes could be added.
#[derive(Debug)]
pub enum Interruption {
    /// The reader failed.
    Reading(io::Error),
    /// The store could not take them.
    Writing(PathError),
}

impl Store {
    /// Begins to take in an object, or goes on where an earlier attempt ended.
    ///
    /// What is there is hashed first, and `watch` hears how much; `None` if it asks to stop. A file
    /// that cannot be right is emptied. If another process takes in the same object, this one does so
    /// for itself, and keeps nothing when it ends early.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn partial(
        &self,
        oid: Oid,
        size: u64,
        watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Option<Partial<'_>>, PathError> {
        self.partials_swept.call_once(|| self.sweep_partial());
        let (path, hasher) = (self.partial_path(oid), Box::default());
        let held = match HeldFile::take(&path) {
            Err(error) if error.is_not_found() => {
                self.create_folders(path.parent().expect("it lies in a folder"))?;
                HeldFile::take(&path)?
            }
            held => held?,
        };
        let Some(held) = held else {
            let staged = Some(self.stage_known(oid)?);
            return Ok(Some(Partial { staged, oid, size, there: 0, hasher, is_named: false }));
        };
        let (file, path) = held.into_parts();
        let there = file.metadata().context(&path)?.len();
        let name = TempPath::try_from_path(&path).context(&path)?;
        let staged = Some(StagedObject::new(self, NamedTempFile::from_parts(file, name)));
        let mut partial = Partial { staged, oid, size, there, hasher, is_named: true };
        partial.keep();
        match partial.recall(watch) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => return Ok(None),
            // What cannot be read is had again.
            Err(_) => partial.clear()?,
        }
        Ok(Some(partial))
    }

    /// Returns how many bytes of an object earlier attempts left; right or not.
    pub fn partial_size(&self, oid: Oid) -> u64 {
        std::fs::metadata(self.partial_path(oid)).map_or(0, |metadata| metadata.len())
    }

    /// Removes what nobody came back for in a week, and what was had in another way meanwhile.
    ///
    /// What cannot be removed only takes room, so nothing is told.
    pub fn sweep_partial(&self) {
        let folder = self.objects_root().join("partial");
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(Some(held)) = HeldFile::find(&entry.path()) else { continue };
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|time| time.elapsed().ok());
            let is_stale = age.is_some_and(|age| age > STALE_AFTER);
            if is_stale || self.is_had(&entry.file_name().to_string_lossy()) {
                drop(held.remove());
            }
        }
    }

    fn is_had(&self, name: &str) -> bool {
        let Ok(oid) = name.parse::<Oid>() else { return false };
        let size = std::fs::metadata(self.object_path(oid)).map_or(0, |metadata| metadata.len());
        matches!(self.presence(oid, size), Ok(Presence::Stored))
    }

    fn partial_path(&self, oid: Oid) -> PathBuf {
        self.objects_root().join("partial").join(oid.to_hex())
    }
}

impl<'a> Partial<'a> {
    /// Returns how many bytes are there: where to go on.
    pub fn there(&self) -> u64 {
        self.there
    }

    /// Adds what the reader has, up to the object's size; a reader that ends early is no failure.
    ///
    /// # Errors
    /// Why it went no further; what came before is kept.
    pub fn receive(&mut self, reader: &mut dyn Read) -> Result<(), Interruption> {
        let mut buffer = vec![0; COPY_BUFFER_BYTES];
        let mut limited = reader.take(self.size - self.there);
        loop {
            let count = match limited.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Interruption::Reading(error)),
            };
            let added = self.file().write_all(&buffer[..count]);
            added.context(self.staged().path()).map_err(Interruption::Writing)?;
            self.hasher.update(&buffer[..count]);
            self.there += count as u64;
            self.keep();
        }
    }

    /// Returns the object if its bytes are all there and right, ready to be published.
    ///
    /// # Errors
    /// This value; some of its bytes are wrong, and [`Partial::clear`] is what is left to do.
    pub fn verify(mut self) -> Result<StagedObject<'a>, Self> {
        let hashed = std::mem::take(&mut self.hasher).finish();
        match self.staged.take_if(|_| hashed.oid == self.oid && hashed.size == self.size) {
            Some(staged) => Ok(staged),
            None => Err(self),
        }
    }

    /// Forgets all bytes, to begin anew.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn clear(&mut self) -> Result<(), PathError> {
        let file = self.file();
        let emptied = file.set_len(0).and_then(|()| file.rewind());
        emptied.context(self.staged().path())?;
        (self.there, self.hasher) = (0, Box::default());
        self.keep();
        Ok(())
    }

    /// Gives back the room on the disk.
    pub fn discard(mut self) {
        self.is_named = false;
        self.keep();
    }

    /// Hashes what is there.
    fn recall(
        &mut self,
        watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        if self.there > self.size {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (mut buffer, mut left) = (Vec::new(), self.there);
        buffer.resize(COPY_BUFFER_BYTES.min(usize::try_from(left).unwrap_or(usize::MAX)), 0);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let piece = &mut buffer[..most];
            self.file().read_exact(piece)?;
            self.hasher.update(piece);
            left -= most as u64;
            if watch(most as u64).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Lets the file outlive this value if it has bytes that somebody will find.
    fn keep(&mut self) {
        let is_kept = self.is_named && self.there > 0;
        self.staged().outlive(is_kept);
    }

    fn staged(&mut self) -> &mut StagedObject<'a> {
        self.staged.as_mut().expect("there until it is verified")
    }

    fn file(&mut self) -> &mut File {
        self.staged().file_mut()
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        if let Some(staged) = self.staged.take() {
            staged.release();
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests damage files on purpose")]

    use super::*;

    const BYTES: &[u8] = b"the bytes of an object";
    const SIZE: u64 = BYTES.len() as u64;

    struct Site {
        store: Store,
        oid: Oid,
        _dir: tempfile::TempDir,
    }

    fn site() -> Site {
        let dir = tempfile::tempdir().expect("a folder");
        Site { store: Store::at(dir.path()), oid: Oid::of(BYTES), _dir: dir }
    }

    impl Site {
        fn begin(&self) -> Partial<'_> {
            let watch = &mut |_| ControlFlow::Continue(());
            self.store.partial(self.oid, SIZE, watch).expect("opens").expect("goes on")
        }

        fn path(&self) -> PathBuf {
            self.store.partial_path(self.oid)
        }

        fn leave(&self, bytes: &[u8]) {
            self.begin().receive(&mut &bytes[..]).expect("adds");
        }
    }

    #[test]
    fn what_an_attempt_left_is_gone_on_with() {
        let site = site();
        site.leave(&BYTES[..5]);
        site.leave(b"");
        assert_eq!(site.store.partial_size(site.oid), 5);
        let mut heard = 0;
        let watch = &mut |bytes| {
            heard += bytes;
            ControlFlow::Continue(())
        };
        let mut partial =
            site.store.partial(site.oid, SIZE, watch).expect("opens").expect("goes on");
        assert_eq!((heard, partial.there()), (5, 5));
        // Never more than the object has.
        partial.receive(&mut [&BYTES[5..], b" and more"].concat().as_slice()).expect("adds");
        partial.verify().ok().expect("right").publish(site.oid).expect("publishes");
        let stored = site.store.read_verified(site.oid, SIZE).expect("reads");
        assert_eq!(stored.as_deref(), Some(BYTES));
        assert!(!site.path().exists());
    }

    #[test]
    fn an_attempt_without_bytes_leaves_no_file() {
        let site = site();
        drop(site.begin());
        assert!(!site.path().exists());
        site.leave(b"some");
        site.begin().clear().expect("empties");
        assert!(!site.path().exists());
        site.leave(b"some");
        site.begin().discard();
        assert!(!site.path().exists());
    }

    #[test]
    fn wrong_bytes_are_noticed_and_had_again() {
        let site = site();
        site.leave(b"THE");
        let mut partial = site.begin();
        partial.receive(&mut &BYTES[3..]).expect("adds");
        let mut partial = partial.verify().expect_err("wrong at the beginning");
        partial.clear().expect("empties");
        assert_eq!(partial.there(), 0);
        partial.receive(&mut &*BYTES).expect("adds");
        assert!(partial.verify().is_ok());
    }

    #[test]
    fn a_file_that_is_too_long_is_begun_anew() {
        let site = site();
        site.leave(b"x");
        std::fs::write(site.path(), [BYTES, b"!"].concat()).expect("writes");
        assert_eq!(site.begin().there(), 0);
    }

    #[test]
    fn of_two_at_once_the_second_keeps_nothing_and_both_end_well() {
        let site = site();
        let mut first = site.begin();
        first.receive(&mut &BYTES[..9]).expect("adds");
        let mut second = site.begin();
        assert_eq!(second.there(), 0, "its file is the first one's");
        second.receive(&mut &BYTES[..3]).expect("adds");
        drop(second);
        assert_eq!(site.store.partial_size(site.oid), 9);
        let mut second = site.begin();
        second.receive(&mut &*BYTES).expect("adds");
        second.verify().ok().expect("right").publish(site.oid).expect("publishes");
        first.receive(&mut &BYTES[9..]).expect("adds");
        first.verify().ok().expect("right").publish(site.oid).expect("publishes");
        assert!(site.store.read_verified(site.oid, SIZE).expect("reads").is_some());
    }

    #[test]
    fn whoever_asks_to_stop_while_it_is_hashed_loses_nothing() {
        let site = site();
        site.leave(&BYTES[..7]);
        let stopped = site.store.partial(site.oid, SIZE, &mut |_| ControlFlow::Break(()));
        assert!(stopped.expect("opens").is_none());
        assert_eq!(site.begin().there(), 7);
    }

    #[test]
    fn what_is_old_or_had_meanwhile_is_swept_and_nothing_that_is_in_use() {
        let site = site();
        site.leave(&BYTES[..7]);
        site.store.sweep_partial();
        assert!(site.path().exists());
        let age = |age: Duration| {
            let file = File::options().write(true).open(site.path()).expect("opens");
            let modified = file.metadata().and_then(|metadata| metadata.modified());
            file.set_modified(modified.expect("a date") - age).expect("sets");
        };
        age(STALE_AFTER - Duration::from_secs(60));
        site.store.sweep_partial();
        assert!(site.path().exists());
        age(Duration::from_secs(120));
        let held = site.begin();
        site.store.sweep_partial();
        assert!(site.path().exists());
        drop(held);
        site.store.sweep_partial();
        assert!(!site.path().exists());
        site.leave(&BYTES[..7]);
        site.store.put(site.oid, BYTES).expect("stores");
        site.store.sweep_staged().expect("sweeps");
        assert!(!site.path().exists());
    }
}
