//! What is moving, told to whoever shows it.

use std::io::{self, Read};

/// What a progress line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// git's content is hashed and stored; nobody knows how much is to come.
    Hashing,
    /// Objects go to lakes.
    Uploading,
    /// Objects come from lakes.
    Downloading,
    /// Objects become files of the work tree.
    Filling,
    /// Objects or files are read, to know what they are.
    Verifying,
    /// Lakes are asked what they hold, or how they are.
    Asking,
}

/// Hears about progress. Called from many threads; must not block for long.
pub trait Reporter: Send + Sync {
    /// Hears that so many more objects and bytes are to be moved.
    fn expect(&self, activity: Activity, objects: u64, bytes: u64);

    /// Hears that so many more objects are to be moved, of sizes that nobody knows yet.
    fn expect_unsized(&self, activity: Activity, objects: u64);

    /// Hears how many bytes there are to move for some of the objects that were expected without a size.
    fn sized(&self, objects: u64, bytes: u64);

    /// Hears that bytes were moved.
    fn moved(&self, bytes: u64);

    /// Hears that an object is done, well or not.
    fn finished_object(&self);

    /// Hears that so many more files and bytes of git's were hashed, without having expected them.
    fn hashed(&self, files: u64, bytes: u64);

    /// Hears that lakes are asked for so many more objects, or with 0 how they are, without any bytes
    /// that move.
    fn asks(&self, objects: u64);

    /// Hears that so many of these questions are answered, well or not.
    fn answered(&self, objects: u64);

    /// Hears that nothing moves any more; whatever was shown goes away.
    fn end(&self);

    /// Hears that somebody else may write to the terminal; whatever was shown goes away for now.
    fn pause(&self);

    /// Hears that nobody else writes to the terminal any more.
    fn resume(&self);

    /// Tells a person something, as one line.
    fn warn(&self, text: &str);
}

/// Returns a reader of a file that is hashed, which tells of its bytes as they pass. That the file is
/// done, and at last the end, is for the caller to tell.
pub fn hashing<R: Read>(reporter: &dyn Reporter, reader: R) -> Hashing<'_, R> {
    Hashing { reporter, reader }
}

/// Tells of bytes as they pass.
pub struct Hashing<'a, R> {
    reporter: &'a dyn Reporter,
    reader: R,
}

impl<R: Read> Read for Hashing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.reporter.hashed(0, count as u64);
        Ok(count)
    }
}

/// Shows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Reporter for Silent {
    fn expect(&self, _: Activity, _: u64, _: u64) {}

    fn expect_unsized(&self, _: Activity, _: u64) {}

    fn sized(&self, _: u64, _: u64) {}

    fn moved(&self, _: u64) {}

    fn finished_object(&self) {}

    fn hashed(&self, _: u64, _: u64) {}

    fn asks(&self, _: u64) {}

    fn answered(&self, _: u64) {}

    fn end(&self) {}

    fn pause(&self) {}

    fn resume(&self) {}

    fn warn(&self, _: &str) {}
}

/// Words an error with those below it, as one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        let cause_text = cause.to_string();
        // Transparent errors repeat the text of what they wrap.
        if !text.ends_with(&cause_text) {
            text.push_str(&format!(": {cause_text}"));
        }
        below = cause.source();
    }
    text
}
