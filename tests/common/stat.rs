//! Times of files, and what git makes of them.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Repo, wait_until};

pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn modified(path: &Path) -> SystemTime {
    fs::symlink_metadata(path).unwrap().modified().unwrap()
}

/// Gives a file an age, in seconds.
pub(crate) fn set_age(path: impl AsRef<Path>, seconds: u64) {
    let then = SystemTime::now() - Duration::from_secs(seconds);
    fs::File::open(path).unwrap().set_modified(then).unwrap();
}

/// Waits until the second in which a file was written is over: no change of it can hide then.
pub(crate) fn wait_for_next_second(path: &Path) {
    let then = seconds(modified(path));
    // The clock of files lags behind a little.
    let now = || SystemTime::now() - Duration::from_millis(50);
    wait_until("the next second", || seconds(now()) > then);
}

impl Repo {
    /// `git status` finds nothing, and starts no filter to find that out.
    #[track_caller]
    pub(crate) fn is_clean_for_free(&self) {
        let trace = self.git_dir().join("packet-trace");
        let ran = self.with("GIT_TRACE_PACKET", &trace).git(["status", "--porcelain"]);
        assert_eq!(ran.stdout, "");
        let text = String::from_utf8_lossy(&fs::read(&trace).unwrap_or_default()).into_owned();
        let asked = text.lines().filter(|line| line.contains("> pathname=")).collect::<Vec<_>>();
        assert!(!text.contains("git-filter-client"), "{asked:#?}");
    }
}
