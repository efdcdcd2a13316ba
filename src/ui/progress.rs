//! What is moving, shown as one line that changes.
//!
//! On a terminal after a quarter of a second, erased at the end; elsewhere as a line of its own now and
//! then, when it takes long. Costs one look at the clock for each piece of news.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::terminal::Terminal;
use super::work::{Work, word};
use crate::transfer::report::Activity;

/// Nothing is shown on a terminal before this.
const DELAY: Duration = Duration::from_millis(250);
/// Between two drawings: 15 a second.
const REDRAW_INTERVAL: Duration = Duration::from_millis(66);
/// Between two looks at whether there is something to draw, when there is no news.
const TICK: Duration = Duration::from_millis(200);
/// Before the first line where there is no terminal, and between further ones.
const FIRST_PLAIN: Duration = Duration::from_secs(10);
const NEXT_PLAIN: Duration = Duration::from_secs(30);
/// Between two lines for machines.
const MACHINE_INTERVAL: Duration = Duration::from_millis(100);

/// Where progress is shown.
pub(super) enum Shown {
    /// As a line that is drawn again and again.
    OnTerminal(Terminal),
    /// As lines now and then.
    AsLines(Box<dyn Write + Send>),
    /// To no person.
    Nowhere,
}

/// The state of the progress line.
pub(super) struct Progress {
    shown: Shown,
    machine: Option<File>,
    work: Option<Work>,
    /// Whether somebody else may be writing to the terminal.
    is_paused: bool,
    has_ticker: bool,
    last_drawn: Option<Instant>,
    last_machine_line: Option<Instant>,
}

impl Progress {
    pub(super) fn new(shown: Shown, machine: Option<PathBuf>) -> Self {
        // Like a missing terminal, a file that cannot be written means no progress.
        let open = |path: PathBuf| OpenOptions::new().append(true).create(true).open(path).ok();
        Self {
            shown,
            machine: machine.filter(|path| path.is_absolute()).and_then(open),
            work: None,
            is_paused: false,
            has_ticker: false,
            last_drawn: None,
            last_machine_line: None,
        }
    }

    /// Hears of more to do; `bytes` is `None` if nobody knows how large it is.
    pub(super) fn expect(&mut self, activity: Activity, objects: u64, bytes: Option<u64>) {
        let now = Instant::now();
        if self.work.as_ref().is_some_and(|work| work.activity != activity) {
            self.close();
        }
        let work = self.work.get_or_insert_with(|| Work::begin(activity, now));
        work.objects += objects;
        if let Some(bytes) = bytes {
            work.size(objects, bytes);
        }
        self.show(now);
    }

    pub(super) fn sized(&mut self, objects: u64, bytes: u64) {
        if let Some(work) = &mut self.work {
            work.size(objects, bytes);
        }
    }

    pub(super) fn moved(&mut self, bytes: u64) {
        if let Some(work) = &mut self.work {
            work.bytes_done = work.bytes_done.saturating_add(bytes);
            self.show(Instant::now());
        }
    }

    pub(super) fn finished_object(&mut self) {
        if let Some(work) = &mut self.work {
            work.objects_done += 1;
            self.show(Instant::now());
        }
    }

    /// Hashing has no totals; while something else moves it is not told.
    pub(super) fn hashed(&mut self, objects: u64, bytes: u64) {
        let now = Instant::now();
        let work = self.work.get_or_insert_with(|| Work::begin(Activity::Hashing, now));
        if work.activity == Activity::Hashing {
            work.objects += objects;
            work.objects_done += objects;
            work.bytes = work.bytes.saturating_add(bytes);
            work.bytes_done = work.bytes_done.saturating_add(bytes);
            self.show(now);
        }
    }

    /// Asking moves nothing; while something else does it is not told.
    pub(super) fn asks(&mut self, objects: u64) {
        let now = Instant::now();
        let work = self.work.get_or_insert_with(|| Work::begin(Activity::Asking, now));
        if work.activity == Activity::Asking {
            work.objects += objects;
            self.show(now);
        }
    }

    pub(super) fn answered(&mut self, objects: u64) {
        let Some(work) = self.work.as_mut().filter(|work| work.activity == Activity::Asking) else {
            return;
        };
        work.objects_done += objects;
        self.show(Instant::now());
        self.end();
    }

    /// Ends what is under way, unless somebody else still waits for objects of the same kind.
    pub(super) fn end(&mut self) {
        if self.work.as_ref().is_some_and(|work| work.objects_done >= work.objects) {
            self.close();
        }
    }

    /// Ends what is under way.
    pub(super) fn close(&mut self) {
        self.write_machine_line(Instant::now(), true);
        self.work = None;
        self.last_machine_line = None;
        self.erase();
    }

    /// Takes the line away until [`Self::resume`].
    pub(super) fn pause(&mut self) {
        self.is_paused = true;
        self.erase();
    }

    pub(super) fn resume(&mut self) {
        if std::mem::take(&mut self.is_paused) && self.work.is_some() {
            self.show(Instant::now());
        }
    }

    /// Shows nothing to people from now on.
    pub(super) fn hide(&mut self) {
        self.erase();
        self.shown = Shown::Nowhere;
    }

    /// Takes the line away, so that something else can be printed; the next news draws it again.
    pub(super) fn erase(&mut self) {
        if let Shown::OnTerminal(terminal) = &mut self.shown {
            terminal.erase();
        }
    }

    /// Returns true if somebody has to call [`tick`] from now on.
    pub(super) fn wants_ticker(&mut self) -> bool {
        let Some(work) = &self.work else { return false };
        let is_shown = !matches!(self.shown, Shown::Nowhere);
        // git starts the filter for many small things: no thread for these.
        let is_long = work.activity != Activity::Hashing || work.begin.elapsed() >= DELAY;
        is_shown && is_long && !std::mem::replace(&mut self.has_ticker, true)
    }

    fn show(&mut self, now: Instant) {
        self.write_machine_line(now, false);
        let Some(work) = &mut self.work else { return };
        match &mut self.shown {
            Shown::OnTerminal(terminal) => {
                let is_due = now.duration_since(work.begin) >= DELAY
                    && self.last_drawn.is_none_or(|last| now - last >= REDRAW_INTERVAL);
                if is_due && !self.is_paused {
                    self.last_drawn = Some(now);
                    terminal.draw(&work.line(now));
                }
            }
            Shown::AsLines(output) => {
                let is_due = match work.last_plain {
                    None => now - work.begin >= FIRST_PLAIN,
                    Some(last) => now - last >= NEXT_PLAIN,
                };
                if is_due {
                    work.last_plain = Some(now);
                    // Nobody may be there to read it.
                    drop(output.write_all(format!("git-lake: {}\n", work.line(now)).as_bytes()));
                }
            }
            Shown::Nowhere => {}
        }
    }

    /// `<activity> <files done>/<files> <bytes done>/<bytes>`, as docs/settings.md specifies.
    fn write_machine_line(&mut self, now: Instant, is_last: bool) {
        let (Some(file), Some(work)) = (&mut self.machine, &self.work) else { return };
        let is_due = self.last_machine_line.is_none_or(|last| now - last >= MACHINE_INTERVAL);
        if is_due || is_last {
            self.last_machine_line = Some(now);
            let verb = word(work.activity).to_ascii_lowercase();
            let line = format!(
                "{verb} {}/{} {}/{}\n",
                work.objects_done, work.objects, work.bytes_done, work.bytes
            );
            if file.write_all(line.as_bytes()).is_err() {
                self.machine = None;
            }
        }
    }
}

/// Draws as long as something is under way, since a transfer that stands still brings no news.
pub(super) fn tick(progress: &Arc<Mutex<Progress>>) {
    let progress = Arc::downgrade(progress);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(TICK);
            let Some(progress) = progress.upgrade() else { return };
            let mut progress = progress.lock().expect("no holder panics");
            if progress.work.is_none() {
                progress.has_ticker = false;
                return;
            }
            progress.show(Instant::now());
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// What was written, piece by piece.
    struct Pieces(Sender<String>);

    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(String::from_utf8_lossy(bytes).into_owned()).expect("somebody listens");
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn on_terminal() -> (Progress, Receiver<String>) {
        let (sender, pieces) = channel();
        let terminal = Terminal::new(Box::new(Pieces(sender)), || Some(30));
        (Progress::new(Shown::OnTerminal(terminal), None), pieces)
    }

    /// As if it had all begun so long ago.
    fn age(progress: &mut Progress, seconds: u64) {
        let then = Instant::now().checked_sub(Duration::from_secs(seconds)).expect("long ago");
        let work = progress.work.as_mut().expect("something moves");
        work.begin = then;
        work.last_plain = work.last_plain.map(|_| then);
        progress.last_drawn = None;
    }

    #[test]
    fn a_line_is_cut_at_the_edge_drawn_rarely_and_erased_at_the_end() {
        let (mut progress, pieces) = on_terminal();
        progress.expect(Activity::Downloading, 1, Some(10));
        progress.moved(1);
        assert_eq!(pieces.try_iter().count(), 0, "not before a quarter of a second");
        age(&mut progress, 1);
        progress.moved(1);
        progress.moved(1);
        let drawn: Vec<String> = pieces.try_iter().collect();
        assert_eq!(drawn, ["\rDownloading 0/1 files, 2 byte\x1b[K"]);
        progress.finished_object();
        progress.end();
        assert_eq!(pieces.try_iter().collect::<Vec<_>>(), ["\r\x1b[K"]);
    }

    #[test]
    fn while_git_may_write_nothing_is_drawn() {
        let (mut progress, pieces) = on_terminal();
        progress.expect(Activity::Downloading, 1, Some(10));
        age(&mut progress, 1);
        progress.moved(1);
        assert_eq!(pieces.try_iter().count(), 1);
        progress.pause();
        assert_eq!(pieces.try_iter().collect::<Vec<_>>(), ["\r\x1b[K"]);
        progress.last_drawn = None;
        progress.moved(1);
        progress.pause();
        assert_eq!(pieces.try_iter().count(), 0);
        progress.resume();
        assert_eq!(pieces.try_iter().count(), 1);
    }

    #[test]
    fn without_a_terminal_there_is_a_line_now_and_then() {
        let (sender, pieces) = channel();
        let mut progress = Progress::new(Shown::AsLines(Box::new(Pieces(sender))), None);
        progress.expect(Activity::Filling, 1, Some(1 << 20));
        age(&mut progress, 9);
        progress.moved(1);
        assert_eq!(pieces.try_iter().count(), 0);
        age(&mut progress, 11);
        progress.moved(1 << 19);
        progress.moved(1);
        let lines: Vec<String> = pieces.try_iter().collect();
        assert!(
            lines[0].starts_with("git-lake: Filling 0/1 files, 512 KiB of 1.0 MiB"),
            "{lines:?}"
        );
        assert!(lines[0].ends_with(" s left\n") && lines.len() == 1, "{lines:?}");
        age(&mut progress, 29);
        progress.moved(1);
        assert_eq!(pieces.try_iter().count(), 0);
        age(&mut progress, 31);
        progress.moved(1);
        assert_eq!(pieces.try_iter().count(), 1);
    }

    #[test]
    fn the_end_of_one_batch_is_not_that_of_another() {
        let mut progress = Progress::new(Shown::Nowhere, None);
        progress.expect(Activity::Downloading, 1, Some(10));
        progress.expect(Activity::Downloading, 1, Some(10));
        progress.finished_object();
        progress.end();
        assert_eq!(progress.work.as_ref().map(|work| work.objects), Some(2));
        progress.finished_object();
        progress.end();
        assert!(progress.work.is_none());
        // Hashing goes on unseen while something else moves.
        progress.expect(Activity::Downloading, 1, Some(10));
        progress.hashed(1, 5);
        assert_eq!(progress.work.as_ref().map(|work| work.bytes), Some(10));
        progress.close();
        progress.hashed(1, 5);
        assert_eq!(progress.work.as_ref().map(|work| work.bytes_done), Some(5));
        // So does asking.
        progress.asks(3);
        progress.answered(3);
        assert_eq!(progress.work.as_ref().map(|work| work.objects), Some(1));
        progress.close();
        progress.asks(3);
        progress.asks(2);
        progress.answered(3);
        assert_eq!(progress.work.as_ref().map(|work| work.objects), Some(5));
        progress.answered(2);
        assert!(progress.work.is_none());
    }

    #[test]
    fn machines_get_a_line_at_the_beginning_and_at_the_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("progress");
        let mut progress = Progress::new(Shown::Nowhere, Some(path.clone()));
        progress.expect(Activity::Downloading, 1, Some(10));
        progress.moved(10);
        progress.finished_object();
        progress.end();
        let text = std::fs::read_to_string(path).expect("reads");
        assert_eq!(text, "downloading 0/1 0/10\ndownloading 1/1 10/10\n");
    }
}
