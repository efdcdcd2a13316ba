//! How many bytes the objects of the store have, without looking at each of them every time.
//!
//! A file has the last count, with what processes stored since added to it. It is only a hint: whoever wants to
//! act on it counts anew.

use std::io::{Read as _, Seek as _, Write as _};
use std::sync::atomic::Ordering;

use super::Store;
use crate::fs::{IoContext as _, PathError, if_exists, platform, unix_now};

const HEADER: &str = "git-lake usage v1";
/// Objects are counted anew after this many seconds: a kill may have kept something from being added.
const COUNTED_AFTER_SECONDS: u64 = 24 * 60 * 60;
const MAX_FILE_BYTES: u64 = 1024;

impl Store {
    /// Returns how many bytes this process has stored that [`Self::usage`] has not taken up.
    pub fn taken_in(&self) -> u64 {
        self.taken_in.load(Ordering::Relaxed)
    }

    /// Adds what this process stored and returns how many bytes the store has; more than `limit` only if
    /// that was counted now.
    ///
    /// # Errors
    /// If the store cannot be read, or the count not be kept.
    pub fn usage(&self, limit: u64) -> Result<u64, PathError> {
        let root = self.objects_root();
        std::fs::create_dir_all(root).context(root)?;
        let path = root.join("usage");
        let mut file = platform::open_lock(&path).context(&path)?;
        // Held for the time of a count at most.
        file.lock().context(&path)?;
        let mut text = String::new();
        // What is no text is no count.
        drop((&mut file).take(MAX_FILE_BYTES).read_to_string(&mut text));
        let news = self.taken_in.swap(0, Ordering::Relaxed);
        let known = parse(&text).map(|(bytes, since)| (bytes.saturating_add(news), since));
        let (bytes, since) = match known {
            Some((bytes, since))
                if bytes <= limit && unix_now().saturating_sub(since) < COUNTED_AFTER_SECONDS =>
            {
                (bytes, since)
            }
            _ => (self.count_bytes()?, unix_now()),
        };
        let emptied = file.set_len(0).and_then(|()| file.rewind());
        let line = format!("{HEADER} {bytes} {since}\n");
        emptied.and_then(|()| file.write_all(line.as_bytes())).context(&path)?;
        Ok(bytes)
    }

    /// Makes the next look count: objects were removed.
    pub(super) fn forget_usage(&self) {
        let path = self.objects_root().join("usage");
        // It is only a hint, and a wrong one is found out in a day.
        drop(if_exists(std::fs::remove_file(path)));
    }

    fn count_bytes(&self) -> Result<u64, PathError> {
        let mut bytes = 0_u64;
        self.for_each_object(&mut |stored| {
            bytes = bytes.saturating_add(stored.size);
            Ok::<_, PathError>(())
        })?;
        Ok(bytes)
    }
}

/// Returns how many bytes there were, and when they were counted.
fn parse(text: &str) -> Option<(u64, u64)> {
    let (bytes, since) = text.strip_prefix(HEADER)?.strip_suffix('\n')?.trim().split_once(' ')?;
    Some((bytes.parse().ok()?, since.parse().ok()?))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests damage files on purpose")]
mod tests {
    use super::*;
    use crate::oid::Oid;

    const NO_LIMIT: u64 = u64::MAX;

    fn put(store: &Store, content: &[u8]) {
        store.put(Oid::of(content), content).expect("stores");
    }

    #[test]
    fn what_processes_store_adds_up_and_is_counted_before_anybody_acts() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::at(dir.path());
        put(&store, b"four");
        put(&store, b"four");
        assert_eq!(store.taken_in(), 4, "the second time it was there");
        assert_eq!(store.usage(NO_LIMIT).expect("counts"), 4);
        assert_eq!(store.taken_in(), 0);
        let other = Store::at(dir.path());
        put(&other, b"three");
        // Somebody removed it behind the count's back.
        std::fs::remove_file(other.object_path(Oid::of(b"four"))).expect("there");
        assert_eq!(other.usage(NO_LIMIT).expect("reads"), 9, "as far as is known");
        assert_eq!(other.usage(8).expect("counts"), 5, "in truth");
        other.forget_usage();
        assert_eq!(store.usage(NO_LIMIT).expect("counts"), 5);
    }

    #[test]
    fn a_count_that_is_old_or_damaged_is_none() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::at(dir.path());
        put(&store, b"four");
        store.usage(NO_LIMIT).expect("counts");
        let path = store.root().join("usage");
        let old = unix_now() - COUNTED_AFTER_SECONDS;
        for text in [format!("{HEADER} 99 {old}\n"), format!("{HEADER} 99"), "x".repeat(5000)] {
            std::fs::write(&path, text).expect("writes");
            assert_eq!(store.usage(NO_LIMIT).expect("counts"), 4);
        }
        std::fs::write(&path, format!("{HEADER} 99 {}\n", unix_now())).expect("writes");
        assert_eq!(store.usage(NO_LIMIT).expect("reads"), 99);
    }
}
