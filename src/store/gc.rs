//! What lies in the store, who uses it, and how objects leave it.
//!
//! This module decides nothing: whoever calls [`Sweep::remove`] has found out that the object may go.
//! Processes that rely on objects hold the store's lock together ([`Store::hold`]); whoever removes
//! objects holds it alone ([`Store::sweep`]), so nothing vanishes between the look of a process at an
//! object and the record that it leaves of it. An object that is used gets a new date, so that its age
//! says how long nobody did.

use std::fs::{File, Metadata};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::Store;
use crate::fail_point;
use crate::fs::{IoContext as _, PathError, if_exists, platform, try_lock, unix_now};
use crate::oid::Oid;

/// A use is noted if the last one was noted longer ago than this, in seconds.
const USE_NOTED_AFTER_SECONDS: u64 = 60 * 60;
/// How often the lock is tried while somebody else has it.
const LOCK_TRIED_EVERY: Duration = Duration::from_millis(20);

/// An object that lies in the store, right or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub oid: Oid,
    /// Its size in bytes.
    pub size: u64,
    /// When it was stored or last used, since 1970; an hour may be missing.
    pub used: Duration,
}

impl Stored {
    fn of(oid: Oid, metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        let since = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        Self { oid, size: metadata.len(), used: since.unwrap_or_default() }
    }

    /// Returns for how long nobody has used it, in seconds.
    pub fn unused_seconds(&self) -> u64 {
        unix_now().saturating_sub(self.used.as_secs())
    }
}

/// A share of the store's lock: no object is removed while this lives.
#[derive(Debug)]
pub struct Hold(File);

impl Drop for Hold {
    fn drop(&mut self) {
        // Closing would do, but for processes that are being started at this moment.
        drop(self.0.unlock());
    }
}

/// The store's lock, held by nobody else: objects may be removed.
#[derive(Debug)]
pub struct Sweep<'a> {
    store: &'a Store,
    lock: File,
}

impl Drop for Sweep<'_> {
    fn drop(&mut self) {
        // As for [`Hold`].
        drop(self.lock.unlock());
    }
}

impl Store {
    fn lock_path(&self) -> PathBuf {
        self.objects_root().join("lock")
    }

    /// Keeps objects from being removed as long as the value lives; waits while somebody removes some.
    ///
    /// `None` where there is no store yet, or one that cannot be written, or a file system without
    /// locks: nobody removes anything there.
    pub fn hold(&self) -> Option<Hold> {
        let lock = platform::open_lock(&self.lock_path()).ok()?;
        lock.lock_shared().ok()?;
        Some(Hold(lock))
    }

    /// Waits until nobody else uses the store, `patience` at most; `None` if somebody still does then.
    ///
    /// This process must not [`Self::hold`] it.
    ///
    /// # Errors
    /// If the store cannot be written, or its file system knows no locks.
    pub fn sweep(&self, patience: Duration) -> Result<Option<Sweep<'_>>, PathError> {
        let root = self.objects_root();
        std::fs::create_dir_all(root).context(root)?;
        let path = self.lock_path();
        let lock = platform::open_lock(&path).context(&path)?;
        let begun = Instant::now();
        while !try_lock(&lock, &path)? {
            if begun.elapsed() >= patience {
                return Ok(None);
            }
            std::thread::sleep(LOCK_TRIED_EVERY);
        }
        self.forget_usage();
        fail_point::reach("gc-locked");
        Ok(Some(Sweep { store: self, lock }))
    }

    /// Goes through the objects by name, whatever their state; `visit` may end it with an error.
    ///
    /// # Errors
    /// If a folder cannot be read, and those of `visit`.
    pub fn for_each_object<E: From<PathError>>(
        &self,
        visit: &mut dyn FnMut(Stored) -> Result<(), E>,
    ) -> Result<(), E> {
        let own = self.shared.as_ref().map(|_| &*self.root);
        let roots = own.into_iter().chain([self.objects_root()]);
        for (root, byte) in roots.flat_map(|root| (0..=u8::MAX).map(move |byte| (root, byte))) {
            let folder = root.join("objects").join(format!("{byte:02x}"));
            let entries = if_exists(std::fs::read_dir(&folder)).context(&folder)?;
            for entry in entries.into_iter().flatten() {
                let entry = entry.context(&folder)?;
                let Some(oid) = Oid::parse_hex(entry.file_name().as_encoded_bytes()) else {
                    continue;
                };
                // It may have gone meanwhile.
                let Some(metadata) = if_exists(entry.metadata()).context(entry.path())? else {
                    continue;
                };
                if metadata.is_file() {
                    visit(Stored::of(oid, &metadata))?;
                }
            }
        }
        Ok(())
    }

    /// Gives an object that is used, and was `found` so, a new date, if its date is old.
    ///
    /// Nothing but the choice of what to remove depends on it, so a failure is passed over.
    pub(super) fn note_use(&self, oid: Oid, found: &Metadata) {
        if is_use_due(found)
            && let Ok(Some(file)) = self.open(oid)
        {
            drop(platform::touch(&file));
        }
    }
}

/// Gives the file of an object a new date, if its date is old, and returns its stat data as they are then.
pub(super) fn note_use_of(file: &File) -> io::Result<Metadata> {
    let found = file.metadata()?;
    if !is_use_due(&found) || platform::touch(file).is_err() {
        return Ok(found);
    }
    file.metadata()
}

fn is_use_due(found: &Metadata) -> bool {
    let age = found.modified().ok().and_then(|time| time.elapsed().ok()).unwrap_or_default();
    age.as_secs() > USE_NOTED_AFTER_SECONDS
}

impl Sweep<'_> {
    /// Removes an object unless it was used since it was looked at; says if it is gone.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(&self, stored: &Stored) -> Result<bool, PathError> {
        let path = self.store.object_path(stored.oid);
        let Some(metadata) = if_exists(std::fs::symlink_metadata(&path)).context(&path)? else {
            return Ok(false);
        };
        if Stored::of(stored.oid, &metadata) != *stored {
            return Ok(false);
        }
        if_exists(std::fs::remove_file(&path)).context(&path)?;
        // If it was this process's own, there is nothing left to sync.
        self.store.unsynced.lock().expect("no holder panics").remove(&stored.oid);
        fail_point::reach("gc-removed");
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(store: &Store) -> Vec<Stored> {
        let mut found = Vec::new();
        let mut visit = |stored| {
            found.push(stored);
            Ok::<_, PathError>(())
        };
        store.for_each_object(&mut visit).expect("lists");
        found
    }

    fn age(store: &Store, oid: Oid, seconds: u64) {
        let file = store.open(oid).expect("opens").expect("there");
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_now() - seconds);
        file.set_modified(then).expect("sets the date");
    }

    #[test]
    fn what_lies_in_the_store_is_listed_and_removed_by_who_holds_it_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::at(dir.path());
        assert_eq!(listed(&store), []);
        assert!(store.hold().is_none(), "there is nothing to hold");
        let contents: [&[u8]; 2] = [b"one", b"three"];
        for content in contents {
            store.put(Oid::of(content), content).expect("stores");
        }
        store.sync().expect("syncs");
        let mut found = listed(&store);
        found.sort_by_key(|stored| stored.size);
        assert_eq!(found.iter().map(|stored| stored.size).collect::<Vec<_>>(), [3, 5]);

        let hold = store.hold().expect("a share");
        let second = store.hold().expect("another share");
        let wait = Duration::from_millis(50);
        assert!(store.sweep(wait).expect("locks").is_none(), "somebody uses it");
        drop((hold, second));
        let sweep = store.sweep(wait).expect("locks").expect("free");
        assert!(sweep.remove(&found[0]).expect("removes"));
        assert!(!sweep.remove(&found[0]).expect("is gone"));
        assert_eq!(listed(&store), found[1..]);
    }

    #[test]
    fn what_was_used_meanwhile_is_not_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::at(dir.path());
        let oid = Oid::of(b"content");
        store.put(oid, b"content").expect("stores");
        age(&store, oid, 100_000);
        let before = listed(&store)[0];
        assert!(before.unused_seconds() >= 100_000);
        store.put(oid, b"content").expect("is there");
        let after = listed(&store)[0];
        assert!(after.unused_seconds() < 1000);
        let sweep = store.sweep(Duration::ZERO).expect("locks").expect("free");
        assert!(!sweep.remove(&before).expect("looks"), "it was used");
        assert!(sweep.remove(&after).expect("removes"));
    }

    #[test]
    fn a_use_is_noted_once_an_hour() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::at(dir.path());
        let oid = Oid::of(b"content");
        store.put(oid, b"content").expect("stores");
        age(&store, oid, 1000);
        let before = listed(&store);
        store.put(oid, b"content").expect("is there");
        assert_eq!(listed(&store), before);
    }
}
