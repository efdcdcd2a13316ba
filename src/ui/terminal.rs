//! One line at the bottom of a terminal that others write to as well.
//!
//! git rewrites its own progress line by printing it and then a carriage return. The cursor is thus
//! where git left it, and what is drawn here begins with a carriage return and clears the rest of the
//! line; whoever lets git write again erases it first.

use std::io::{self, Write};

use crate::fs::platform;

/// Taken where the terminal does not say how wide it is.
const USUAL_WIDTH: usize = 80;

/// A terminal with at most one line of ours on it.
pub(super) struct Terminal {
    output: Box<dyn Write + Send>,
    width: fn() -> Option<usize>,
    is_drawn: bool,
}

impl Terminal {
    /// The terminal that stderr is.
    pub(super) fn stderr() -> Self {
        Self::new(Box::new(io::stderr()), platform::terminal_width)
    }

    pub(super) fn new(output: Box<dyn Write + Send>, width: fn() -> Option<usize>) -> Self {
        Self { output, width, is_drawn: false }
    }

    /// Shows a line of ASCII in the place of the last one; cut off rather than wrapped.
    pub(super) fn draw(&mut self, line: &str) {
        // Some terminals wrap once the last column is written.
        let width = (self.width)().unwrap_or(USUAL_WIDTH).saturating_sub(1);
        self.is_drawn = true;
        self.write(&format!("\r{}\x1b[K", &line[..line.len().min(width)]));
    }

    /// Takes the line away.
    pub(super) fn erase(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            self.write("\r\x1b[K");
        }
    }

    /// One write, so that nobody else's comes in between.
    fn write(&mut self, text: &str) {
        // The terminal may be gone; there is nobody left to show anything to.
        drop(self.output.write_all(text.as_bytes()));
        drop(self.output.flush());
    }
}
