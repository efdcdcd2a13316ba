//! The engine between the store and lakes: many objects, many sources, some of which fail.
//!
//! Everything that is the same for every lake lives here once: running side by side, trying the next
//! source, trying again, verifying what arrives, how many at once, remembering which lake is unwell,
//! progress, cancelling. Lakes themselves know none of it. Threads start with the first job; a process that transfers nothing
//! starts none and opens no lake.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::store::Store;
use crate::store::queue::Owed;
use crate::store::receipts::Receipts;

mod copy;
pub mod download;
mod fetch;
mod gate;
mod growing;
pub mod hedge;
mod job;
pub mod lakes;
pub mod measure;
mod origin;
pub mod pacing;
pub mod presence;
pub mod rate;
pub mod reach;
mod replace;
pub mod report;
pub mod retry;
mod rounds;
pub mod to_file;
pub mod upload;
pub mod verify;
mod wanted;

use lakes::Lakes;
use report::Reporter;

/// Asks running transfers to stop between chunks; set by Ctrl-C. Clones share one flag.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Wraps a flag that somebody else sets, such as a signal handler.
    pub fn from_flag(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }

    /// Returns the flag, for those who only look at it.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Asks to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns true once somebody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns a reader that ends with an error once somebody asked to stop.
    pub fn interrupting<R: Read>(&self, reader: R) -> Interrupting<'_, R> {
        Interrupting { reader, cancel: self }
    }

    /// Sleeps; returns false, and early, once somebody asked to stop.
    pub fn sleep(&self, duration: Duration) -> bool {
        const PIECE: Duration = Duration::from_millis(50);
        let begun = Instant::now();
        loop {
            let left = duration.saturating_sub(begun.elapsed());
            if self.is_cancelled() || left.is_zero() {
                return !self.is_cancelled();
            }
            std::thread::sleep(left.min(PIECE));
        }
    }
}

/// Ends a long reading when the user asks to stop.
#[derive(Debug)]
pub struct Interrupting<'a, R> {
    reader: R,
    cancel: &'a Cancel,
}

impl<R: Read> Read for Interrupting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("interrupted"));
        }
        self.reader.read(buffer)
    }
}

/// What every transfer needs; clones share everything.
#[derive(Clone)]
pub struct Transfer {
    /// Where objects are read from and put.
    pub store: Arc<Store>,
    /// Where proofs are kept.
    pub receipts: Arc<Receipts>,
    /// The lakes, opened at first need.
    pub lakes: Arc<Lakes>,
    /// Who hears about progress.
    pub reporter: Arc<dyn Reporter>,
    /// Asks to stop.
    pub cancel: Cancel,
    /// Most transfers with one lake at once; `None` for what its kind gains from.
    pub jobs: Option<usize>,
    /// How patient it is with lakes that are busy.
    pub retry: retry::Policy,
    /// Slows everything down, if the user wants that.
    pub throttle: Option<rate::Throttle>,
    /// Uploads that became due because an object was absent and could be had from elsewhere.
    pub repairs: Arc<Mutex<Vec<Owed>>>,
}

impl Transfer {
    /// Returns a reader that is no faster than the user wants.
    fn slowed(&self, reader: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        match &self.throttle {
            Some(throttle) => throttle.slow(reader, &self.cancel),
            None => reader,
        }
    }
}

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod resume_tests;
#[cfg(test)]
mod tests;
