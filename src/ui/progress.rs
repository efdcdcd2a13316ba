//! One line that shows what is moving.
//!
//! On a terminal only, after a quarter of a second, erased at the end. In the filter stderr is git's
//! own, whose progress rewrites its line too: the line is cleared before it is drawn.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::size::human;
use crate::transfer::report::Activity;

/// Nothing is shown before this.
const DELAY: Duration = Duration::from_millis(250);
/// Redraws a second.
const REDRAWS: u8 = 15;
/// Between two lines for machines.
const MACHINE_INTERVAL: Duration = Duration::from_millis(100);

/// The state of the progress line.
pub(super) struct Progress {
    is_shown: bool,
    bar: Option<ProgressBar>,
    begin: Option<Instant>,
    activity: Option<Activity>,
    objects: u64,
    objects_done: u64,
    bytes: u64,
    bytes_done: u64,
    machine: Option<File>,
    last_machine_line: Option<Instant>,
}

impl Progress {
    pub(super) fn new(is_shown: bool, machine: Option<PathBuf>) -> Self {
        // Like a missing terminal, a file that cannot be written means no progress.
        let open = |path: PathBuf| OpenOptions::new().append(true).create(true).open(path).ok();
        Self {
            is_shown,
            bar: None,
            begin: None,
            activity: None,
            objects: 0,
            objects_done: 0,
            bytes: 0,
            bytes_done: 0,
            machine: machine.filter(|path| path.is_absolute()).and_then(open),
            last_machine_line: None,
        }
    }

    pub(super) fn expect(&mut self, activity: Activity, objects: u64, bytes: u64) {
        self.activity = Some(activity);
        self.objects += objects;
        self.bytes += bytes;
        self.begin.get_or_insert_with(Instant::now);
        self.draw();
    }

    pub(super) fn moved(&mut self, bytes: u64) {
        self.bytes_done += bytes;
        self.draw();
    }

    pub(super) fn finished_object(&mut self) {
        self.objects_done += 1;
        self.draw();
    }

    pub(super) fn end(&mut self) {
        self.write_machine_line(true);
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.begin = None;
        (self.objects, self.objects_done, self.bytes, self.bytes_done) = (0, 0, 0, 0);
    }

    /// Takes the line away while something else is printed.
    pub(super) fn suspend(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn draw(&mut self) {
        self.write_machine_line(false);
        if !self.is_shown || self.begin.is_none_or(|begin| begin.elapsed() < DELAY) {
            return;
        }
        let line = self.line();
        let bar = self.bar.get_or_insert_with(|| {
            let target = ProgressDrawTarget::stderr_with_hz(REDRAWS);
            let bar = ProgressBar::with_draw_target(None, target);
            bar.with_style(ProgressStyle::with_template("{wide_msg}").expect("a good template"))
        });
        bar.set_message(line);
        bar.tick();
    }

    /// Words what is done, what is to be done, how fast, and how long it will take.
    fn line(&self) -> String {
        let elapsed = self.begin.map_or(0.0, |begin| begin.elapsed().as_secs_f64()).max(0.001);
        let rate = self.bytes_done as f64 / elapsed;
        let left = self.bytes.saturating_sub(self.bytes_done) as f64 / rate.max(1.0);
        // What is uploaded is stored and written down as owed: stopping loses nothing.
        let is_upload = self.activity == Some(Activity::Uploading);
        let note = if is_upload { " (Ctrl-C is safe)" } else { "" };
        format!(
            "{} {}/{} files, {} of {}, {}/s, {} left{note}",
            word(self.activity),
            self.objects_done,
            self.objects,
            human(self.bytes_done),
            human(self.bytes.max(self.bytes_done)),
            human(rate as u64),
            duration(left as u64),
        )
    }

    /// `<activity> <files done>/<files> <bytes done>/<bytes>`, as docs/commands.md specifies.
    fn write_machine_line(&mut self, is_last: bool) {
        let Some(file) = &mut self.machine else { return };
        let is_due = self.last_machine_line.is_none_or(|last| last.elapsed() >= MACHINE_INTERVAL);
        if (is_due || is_last) && self.begin.is_some() {
            self.last_machine_line = Some(Instant::now());
            let verb = word(self.activity).to_ascii_lowercase();
            let line = format!(
                "{verb} {}/{} {}/{}\n",
                self.objects_done, self.objects, self.bytes_done, self.bytes
            );
            if file.write_all(line.as_bytes()).is_err() {
                self.machine = None;
            }
        }
    }
}

/// Writes seconds as people say them.
fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

fn word(activity: Option<Activity>) -> &'static str {
    match activity {
        Some(Activity::Uploading) => "Uploading",
        Some(Activity::Downloading) => "Downloading",
        Some(Activity::Filling) | None => "Filling",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_counts_from_the_beginning_and_not_from_its_first_show() {
        let mut progress = Progress::new(false, None);
        progress.expect(Activity::Uploading, 4, 4 << 30);
        progress.begin = Instant::now().checked_sub(Duration::from_secs(10));
        progress.moved(1 << 30);
        progress.finished_object();
        let line = progress.line();
        let start = "Uploading 1/4 files, 1.0 GiB of 4.0 GiB, 10";
        assert!(line.starts_with(start) && line.ends_with(" left (Ctrl-C is safe)"), "{line}");
        assert!(line.contains(" 30 s left") || line.contains(" 29 s left"), "{line}");
    }

    #[test]
    fn machines_get_a_line_at_the_beginning_and_at_the_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("progress");
        let mut progress = Progress::new(false, Some(path.clone()));
        progress.expect(Activity::Downloading, 1, 10);
        progress.moved(10);
        progress.finished_object();
        progress.end();
        let text = std::fs::read_to_string(path).expect("reads");
        assert_eq!(text, "downloading 0/1 0/10\ndownloading 1/1 10/10\n");
    }

    #[test]
    fn durations_are_said_as_people_say_them() {
        let said = [9, 60, 3599, 7260].map(duration);
        assert_eq!(said, ["9 s", "1 min 0 s", "59 min 59 s", "2 h 1 min"]);
    }
}
