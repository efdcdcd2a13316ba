//! Stopping a process of git-lake at one point, to look at the world there or to change it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use super::{Repo, wait_until};

/// A point that a process has not reached yet.
pub(crate) struct Stop {
    fifo: PathBuf,
    point: String,
}

/// A process that waits. Dropping this lets it go on.
pub(crate) struct Stopped {
    _writer: File,
}

impl Repo {
    /// The same folder, where the first process of git-lake that comes to a point of
    /// `fail_point::reach` waits.
    #[track_caller]
    pub(crate) fn stop_at(&self, point: &str) -> (Self, Stop) {
        let (_, root) = self.vars.iter().find(|(name, _)| name == "TMPDIR").unwrap();
        let fifo = PathBuf::from(root).join(format!("stop-{point}"));
        drop(fs::remove_file(&fifo));
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let asked = format!("{point}:{}", fifo.display());
        (self.with("GIT_LAKE_TEST_STOP", asked), Stop { fifo, point: point.to_owned() })
    }
}

impl Stop {
    /// Waits until a process has come to the point.
    #[track_caller]
    pub(crate) fn reached(self) -> Stopped {
        let no_wait = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
        let mut opened = None;
        wait_until(&self.point, || {
            // There is no writing end while nobody reads.
            let open = OpenOptions::new().write(true).custom_flags(no_wait).open(&self.fifo);
            opened = open.ok();
            opened.is_some()
        });
        Stopped { _writer: opened.unwrap() }
    }
}
