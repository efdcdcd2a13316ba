//! Objects whose sync failed: written down, and made good by a later process.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use super::{Error, Store};
use crate::fs::{IoContext as _, PathError, if_exists, platform, read_small};
use crate::oid::Oid;

const MAX_RECORD_BYTES: u64 = 1 << 30;

impl Store {
    fn unsynced_record(&self) -> PathBuf {
        self.root.join("unsynced")
    }

    /// Writes down which objects of this process are not safe from power loss, one oid a line.
    ///
    /// # Errors
    /// If that cannot be written either.
    pub fn record_unsynced(&self) -> Result<(), PathError> {
        let unsynced = self.unsynced.lock().expect("no holder panics");
        let lines: String = unsynced.keys().map(|oid| format!("{oid}\n")).collect();
        let path = self.unsynced_record();
        let mut file = OpenOptions::new().append(true).create(true).open(&path).context(&path)?;
        file.write_all(lines.as_bytes()).context(&path)
    }

    /// Returns how many objects earlier processes could not sync.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub fn count_recorded(&self) -> Result<usize, PathError> {
        let text = read_small(&self.unsynced_record(), MAX_RECORD_BYTES)?.unwrap_or_default();
        let oids = text.split(|byte| *byte == b'\n').filter_map(Oid::parse_hex);
        Ok(oids.collect::<std::collections::HashSet<_>>().len())
    }

    /// Verifies and syncs the objects that an earlier process could not sync; cheap when there are none.
    ///
    /// What turns out to be damaged is set aside and told by the error, after all others were done.
    ///
    /// # Errors
    /// If the disk still fails, or an object is damaged.
    pub fn sync_recorded(&self) -> Result<(), Error> {
        let record = self.unsynced_record();
        let Some(text) = read_small(&record, MAX_RECORD_BYTES)? else {
            return Ok(());
        };
        let mut damage = Ok(());
        for oid in text.split(|byte| *byte == b'\n').filter_map(Oid::parse_hex) {
            let path = self.object_path(oid);
            let Some(metadata) = if_exists(std::fs::metadata(&path)).context(&path)? else {
                continue;
            };
            match self.make_durable(oid, metadata.len()) {
                Err(error @ Error::Damaged { .. }) => damage = Err(error),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        if_exists(std::fs::remove_file(&record)).context(&record)?;
        damage
    }

    /// Verifies and syncs an object that no process is known to have synced; returns false if it is not there.
    ///
    /// # Errors
    /// If the disk fails, or it is damaged, and was set aside then.
    pub fn make_durable(&self, oid: Oid, size: u64) -> Result<bool, Error> {
        let Some(file) = self.open_verified(oid, size)? else { return Ok(false) };
        let path = self.object_path(oid);
        file.sync_all().context(&path)?;
        crate::fs::sync::folder(path.parent().unwrap_or(&self.root))?;
        let metadata = file.metadata().context(&path)?;
        platform::seal_inode(&path, platform::inode(&metadata)).context(&path)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Presence;

    #[test]
    fn what_could_not_be_synced_is_made_good_by_the_next_process() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::at(dir.path());
        let (good, bad) = (Oid::of(b"good"), Oid::of(b"bad!"));
        store.put(good, b"good").expect("writes");
        store.put(bad, b"bad!").expect("writes");
        store.record_unsynced().expect("writes");
        crate::fs::write_atomic(&store.object_path(bad), b"b4d!", crate::fs::Shared::No)
            .expect("damages");
        let next = Store::at(dir.path());
        assert_eq!(next.presence(good, 4).expect("reads"), Presence::Unproven);
        assert_eq!(next.count_recorded().expect("reads"), 2);
        let error = next.sync_recorded().expect_err("one is damaged");
        assert!(matches!(error, Error::Damaged { oid, .. } if oid == bad), "{error}");
        assert_eq!(next.presence(good, 4).expect("reads"), Presence::Stored);
        assert_eq!(next.presence(bad, 4).expect("reads"), Presence::Absent);
        next.sync_recorded().expect("nothing is left to do");
        assert_eq!(next.count_recorded().expect("reads"), 0);
    }
}
