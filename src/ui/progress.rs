//! One line that shows what is moving.
//!
//! On a terminal only, after a quarter of a second, erased at the end. In the filter stderr is git's
//! own, whose progress rewrites its line too: the line is cleared before it is drawn.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

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
        let bar = self.bar.get_or_insert_with(|| {
            let target = ProgressDrawTarget::stderr_with_hz(REDRAWS);
            let bar = ProgressBar::with_draw_target(None, target);
            let template = "{msg} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
            bar.with_style(ProgressStyle::with_template(template).expect("a good template"))
        });
        bar.set_length(self.bytes.max(self.bytes_done));
        bar.set_position(self.bytes_done);
        let verb = word(self.activity);
        // What is uploaded is stored and written down as owed: stopping loses nothing.
        let is_upload = self.activity == Some(Activity::Uploading);
        let note = if is_upload { " (stored; Ctrl-C is safe)" } else { "" };
        bar.set_message(format!("{verb} {}/{} files{note},", self.objects_done, self.objects));
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

fn word(activity: Option<Activity>) -> &'static str {
    match activity {
        Some(Activity::Uploading) => "Uploading",
        Some(Activity::Downloading) => "Downloading",
        Some(Activity::Filling) | None => "Filling",
    }
}
