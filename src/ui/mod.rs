//! What a person sees: data on stdout, everything else on stderr.
//!
//! The only module that prints. Whatever comes from outside (names, messages of servers) is escaped
//! before it can reach a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Mutex;

pub mod escape;
mod progress;
pub mod size;

use progress::Progress;

use crate::transfer::report::{Activity, Reporter};

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
    progress: Mutex<Progress>,
}

impl Ui {
    /// Prepares to talk; `progress_file` gets progress lines for machines.
    pub fn new(verbosity: Verbosity, progress_file: Option<std::path::PathBuf>) -> Self {
        let is_shown = verbosity == Verbosity::Normal && io::stderr().is_terminal();
        Self { verbosity, progress: Mutex::new(Progress::new(is_shown, progress_file)) }
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

    fn line(&self, prefix: &str, text: &str) {
        let progress = self.progress.lock().expect("no holder panics");
        progress.suspend(|| {
            let mut stderr = io::stderr().lock();
            // In the filter the terminal is git's, which may have left a progress line unfinished.
            let clear = if stderr.is_terminal() { "\r\x1b[K" } else { "" };
            // stderr may be closed; there is nobody left to tell.
            drop(writeln!(stderr, "{clear}{prefix}{}", escape::for_terminal(text)));
        });
    }
}

impl Reporter for Ui {
    fn expect(&self, activity: Activity, objects: u64, bytes: u64) {
        self.progress.lock().expect("no holder panics").expect(activity, objects, bytes);
    }

    fn moved(&self, bytes: u64) {
        self.progress.lock().expect("no holder panics").moved(bytes);
    }

    fn finished_object(&self) {
        self.progress.lock().expect("no holder panics").finished_object();
    }

    fn end(&self) {
        self.progress.lock().expect("no holder panics").end();
    }

    fn warn(&self, text: &str) {
        self.warning(text);
    }
}
