//! Which lakes could not be asked a moment ago: one small file for each of them.
//!
//! A lake that is down costs its first caller a timeout; with a record of it, it does not cost the
//! next processes one each. Any number of processes may write at once, and the last one counts. Losing a
//! record costs one timeout, so nothing here is ever an error. Format: `docs/local-state.md`.

use std::path::{Path, PathBuf};

use crate::fs::{Shared, create_folders, if_exists, publish, read_small, stage};
use crate::lake_url::LakeUrl;

/// For so many seconds a lake that was given up is not asked by other processes.
pub const REST_SECONDS: u64 = 60;
/// Longer files are not ours.
const MAX_RECORD_BYTES: u64 = 4 << 10;
/// Longest cause that is kept, in characters.
const MAX_CAUSE_CHARS: usize = 500;

/// Why, and for how long, a lake is not to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// Seconds that are left.
    pub seconds: u64,
    /// Why it was given up.
    pub cause: String,
}

/// The records of one clone, kept in `<store>/health/`.
#[derive(Debug, Clone)]
pub struct HealthRecords {
    folder: PathBuf,
    /// Where files are staged, and swept when a crash left them.
    tmp: PathBuf,
}

impl HealthRecords {
    /// Names the records below `store_root`; touches nothing.
    pub fn at(store_root: &Path) -> Self {
        Self { folder: store_root.join("health"), tmp: store_root.join("tmp") }
    }

    /// Returns why the lake is not to be asked at `now`, in unix seconds; `None` if it may be.
    ///
    /// A record from the future was written by another clock, and does not count.
    pub fn recall(&self, lake: &LakeUrl, now: u64) -> Option<Rest> {
        let text = read_small(&self.path(lake), MAX_RECORD_BYTES).ok().flatten()?;
        let text = String::from_utf8(text).ok()?;
        let mut lines = text.strip_suffix('\n')?.splitn(3, '\n');
        if lines.next()? != lake.to_string() {
            return None;
        }
        let since: u64 = lines.next()?.parse().ok()?;
        let cause = lines.next()?.to_owned();
        let seconds = REST_SECONDS.checked_sub(now.checked_sub(since)?)?;
        (seconds > 0).then_some(Rest { seconds, cause })
    }

    /// Records that the lake was given up at `now`, in unix seconds.
    ///
    /// Not synced: what a crash takes away costs a timeout.
    pub fn give_up(&self, lake: &LakeUrl, now: u64, cause: &str) {
        use std::io::Write as _;
        let cause: String = cause
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MAX_CAUSE_CHARS)
            .collect();
        let folders = [&self.folder, &self.tmp];
        let made = folders.iter().try_for_each(|folder| create_folders(folder).map(drop));
        let written = made.and_then(|()| stage(&self.tmp, Shared::No));
        let Ok(mut staged) = written else { return };
        if staged.write_all(format!("{lake}\n{now}\n{cause}\n").as_bytes()).is_ok() {
            drop(publish(staged, &self.path(lake)));
        }
    }

    /// Forgets the record of a lake.
    pub fn clear(&self, lake: &LakeUrl) {
        // If it cannot be removed, it is old in a minute.
        drop(if_exists(std::fs::remove_file(self.path(lake))));
    }

    fn path(&self, lake: &LakeUrl) -> PathBuf {
        self.folder.join(lake.file_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> LakeUrl {
        LakeUrl::parse(text).expect("an address")
    }

    #[test]
    fn a_lake_rests_for_a_minute_and_no_other_lake_does() {
        let dir = tempfile::tempdir().expect("a folder");
        let records = HealthRecords::at(dir.path());
        let (one, other) = (url("s3://h/b"), url("s3://h/c"));
        assert_eq!(records.recall(&one, 1000), None);
        records.give_up(&one, 1000, "It broke\nin the middle");
        let rest = |seconds| Some(Rest { seconds, cause: "It broke in the middle".to_owned() });
        let again = HealthRecords::at(dir.path());
        assert_eq!(again.recall(&one, 1000), rest(60));
        assert_eq!(again.recall(&one, 1059), rest(1));
        assert_eq!(again.recall(&one, 1060), None);
        assert_eq!(again.recall(&one, 999), None, "another clock");
        assert_eq!(again.recall(&other, 1000), None);
        again.clear(&one);
        again.clear(&one);
        assert_eq!(records.recall(&one, 1000), None);
    }

    #[test]
    fn a_record_that_is_not_whole_does_not_count() {
        let dir = tempfile::tempdir().expect("a folder");
        let records = HealthRecords::at(dir.path());
        let lake = url("s3://h/b");
        records.give_up(&lake, 1000, "It broke");
        for text in ["", "s3://h/b\n", "s3://h/b\n1000\nIt bro", "s3://h/c\n1000\nIt broke\n"] {
            crate::fs::write_atomic(&records.path(&lake), text.as_bytes(), Shared::No)
                .expect("writes");
            assert_eq!(records.recall(&lake, 1000), None, "{text:?}");
        }
    }
}
