//! What a person sees: data on stdout, everything else on stderr.
//!
//! The only module that prints. Whatever comes from outside (names, messages of servers) is escaped
//! before it can reach a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard};

pub mod date;
pub mod escape;
mod progress;
mod terminal;
mod work;

use progress::{Progress, Shown};
use terminal::Terminal;

pub use crate::size;

use crate::config::env;
use crate::transfer::report::{Activity, Reporter};

/// Records are printed by so many bytes.
const RECORDS_BYTES: usize = 64 * 1024;

/// How much is said on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Results, warnings and progress.
    Normal,
    /// Warnings only.
    Quiet,
}

/// Talks to the person in front of the terminal.
pub struct Ui {
    verbosity: Verbosity,
    /// Whether lines on stderr can be rewritten.
    is_terminal: bool,
    progress: Arc<Mutex<Progress>>,
}

impl Ui {
    /// Prepares to talk; `progress_file` gets progress lines for machines.
    pub fn new(verbosity: Verbosity, progress_file: Option<std::path::PathBuf>) -> Self {
        let is_terminal = io::stderr().is_terminal() && !is_dumb(env::text("TERM"));
        let shown = match verbosity {
            Verbosity::Quiet => Shown::Nowhere,
            Verbosity::Normal if is_terminal => Shown::OnTerminal(Terminal::stderr()),
            Verbosity::Normal => Shown::AsLines(Box::new(io::stderr())),
        };
        let progress = Arc::new(Mutex::new(Progress::new(shown, progress_file)));
        Self { verbosity, is_terminal, progress }
    }

    /// Shows no progress to people from now on.
    pub fn hide_progress(&self) {
        self.progress().hide();
    }

    /// Takes progress away that nobody ended.
    pub fn close(&self) {
        self.progress().close();
    }

    /// Prints one record of data to stdout, as it is.
    ///
    /// # Errors
    /// Those of stdout; a closed pipe is the reader's choice and ends the program quietly.
    pub fn data(&self, record: &str) -> io::Result<()> {
        self.bytes(format!("{record}\n").as_bytes())
    }

    /// Prints bytes to stdout, as they are.
    ///
    /// # Errors
    /// Those of stdout.
    pub fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }

    /// Prints many records of data to stdout, as they are, a buffer full at a time. What was not flushed
    /// when an error ends a command may be lost.
    pub fn records(&self) -> io::BufWriter<io::Stdout> {
        io::BufWriter::with_capacity(RECORDS_BYTES, io::stdout())
    }

    /// Tells what was done, unless asked to be quiet.
    pub fn status(&self, text: &str) {
        if self.verbosity == Verbosity::Normal {
            self.line("", text);
        }
    }

    /// Tells what a person should know even when asked to be quiet.
    pub fn warning(&self, text: &str) {
        self.line("git-lake: ", text);
    }

    /// Repeats what another program said to the person.
    pub fn repeat(&self, text: &str) {
        self.line("", text);
    }

    fn line(&self, prefix: &str, text: &str) {
        let mut progress = self.progress();
        progress.erase();
        // In the filter the terminal is git's, which may have left a progress line unfinished.
        let clear = if self.is_terminal { "\r\x1b[K" } else { "" };
        // stderr may be closed; there is nobody left to tell.
        drop(writeln!(io::stderr(), "{clear}{prefix}{}", escape::for_terminal(text)));
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().expect("no holder panics")
    }

    /// Passes news on, and sees to it that progress is drawn also when there are none.
    fn tell(&self, news: impl FnOnce(&mut Progress)) {
        let mut progress = self.progress();
        news(&mut progress);
        if progress.wants_ticker() {
            progress::tick(&self.progress);
        }
    }
}

/// Returns true if the terminal cannot rewrite a line, as git finds out (`is_terminal_dumb`).
fn is_dumb(term: Option<String>) -> bool {
    term.map_or(cfg!(unix), |term| term == "dumb")
}

impl Reporter for Ui {
    fn expect(&self, activity: Activity, objects: u64, bytes: u64) {
        self.tell(|progress| progress.expect(activity, objects, Some(bytes)));
    }

    fn expect_unsized(&self, activity: Activity, objects: u64) {
        self.tell(|progress| progress.expect(activity, objects, None));
    }

    fn sized(&self, objects: u64, bytes: u64) {
        self.progress().sized(objects, bytes);
    }

    fn moved(&self, bytes: u64) {
        self.progress().moved(bytes);
    }

    fn finished_object(&self) {
        self.progress().finished_object();
    }

    fn hashed(&self, files: u64, bytes: u64) {
        self.tell(|progress| progress.hashed(files, bytes));
    }

    fn asks(&self, objects: u64) {
        self.tell(|progress| progress.asks(objects));
    }

    fn answered(&self, objects: u64) {
        self.progress().answered(objects);
    }

    fn end(&self) {
        self.progress().end();
    }

    fn pause(&self) {
        self.progress().pause();
    }

    fn resume(&self) {
        self.progress().resume();
    }

    fn warn(&self, text: &str) {
        self.warning(text);
    }
}
