//! One attempt to get an object from one source, verified on the way into the store.
//!
//! What is small is held in memory. What is large goes into a [`Partial`], which stays when the attempt
//! ends early: the next source, the next round or the next process asks for the rest.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::Transfer;
use super::rounds::Fetch;
use super::wanted::{Failure, SourceFailure, Wanted};
use crate::fs::PathError;
use crate::lake::ObjectContent;
use crate::lake_url::SourceUrl;
use crate::oid::Oid;
use crate::store::partial::{Interruption, Partial};

/// An object that came from a source and is in the store.
pub(super) struct Arrived {
    /// Its bytes, if it is small.
    pub(super) bytes: Option<Vec<u8>>,
    /// How much of it came in this go; the rest was there.
    pub(super) moved: u64,
}

/// One attempt to fetch, as seen by whoever waits for it.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    has_begun: AtomicBool,
    is_abandoned: AtomicBool,
}

impl Attempt {
    /// Notes that the first byte is there.
    pub(super) fn begin(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }

    /// Returns true if it is.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    /// Lets it end: nobody waits for it any more.
    pub(super) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
    }

    /// Returns true once nobody waits for it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Relaxed)
    }
}

fn unstorable(error: &PathError) -> Failure {
    // Without the path, which is another one for each object.
    Failure::Store(format!("Could not write to this clone's store: {}", error.source))
}

pub(super) fn broken(source: &SourceUrl, reason: &dyn std::fmt::Display) -> SourceFailure {
    SourceFailure::Broken { url: source.clone(), reason: reason.to_string() }
}

impl Transfer {
    /// Fetches an object into memory, then into the store.
    pub(super) fn fetch_small(
        &self,
        wanted: &Wanted,
        source: &SourceUrl,
        attempt: &Attempt,
    ) -> Result<Arrived, Fetch> {
        let reader = self.open(wanted, source, 0, Some(attempt))?;
        let mut bytes = Vec::with_capacity(usize::try_from(wanted.size).unwrap_or_default());
        let read = reader.take(wanted.size + 1).read_to_end(&mut bytes);
        read.map_err(|error| broken(source, &error))?;
        if (bytes.len() as u64) < wanted.size {
            return Err(broken(source, &TOO_EARLY).into());
        }
        if Oid::of(&bytes) != wanted.oid {
            return Err(SourceFailure::WrongBytes(source.clone()).into());
        }
        self.store.put(wanted.oid, &bytes).map_err(|error| unstorable(&error))?;
        Ok(Arrived { bytes: Some(bytes), moved: wanted.size })
    }

    /// Fetches what is missing of an object, straight into the store.
    ///
    /// If the whole is wrong in the end, nobody can tell which part was: all of it is fetched once more,
    /// and only bytes that came in one go are held against their source.
    pub(super) fn fetch_large<'a>(
        &'a self,
        wanted: &Wanted,
        source: &SourceUrl,
        partial: &mut Option<Partial<'a>>,
    ) -> Result<Arrived, Fetch> {
        loop {
            let mut own = match partial.take() {
                Some(own) => own,
                None => self.open_partial(wanted)?,
            };
            let from = own.there();
            let received = self.receive(wanted, source, &mut own);
            if let Err(Fetch::Fatal(Failure::NoRoom { .. })) = received {
                // Everybody needs that room now.
                own.discard();
            } else {
                *partial = Some(own);
            }
            received?;
            if self.publish_whole(wanted, partial)? {
                return Ok(Arrived { bytes: None, moved: wanted.size - from });
            }
            if from == 0 {
                return Err(SourceFailure::WrongBytes(source.clone()).into());
            }
        }
    }

    /// Looks if all bytes of an object are there already, left by a process that did not come to
    /// publish it. If they are wrong, they are forgotten.
    pub(super) fn finish_partial<'a>(
        &'a self,
        wanted: &Wanted,
        partial: &mut Option<Partial<'a>>,
    ) -> Result<bool, Failure> {
        let own = partial.insert(self.open_partial(wanted)?);
        if own.there() == wanted.size { self.publish_whole(wanted, partial) } else { Ok(false) }
    }

    /// Publishes an object that is whole and right; returns false, and forgets the bytes, if it is wrong.
    fn publish_whole<'a>(
        &'a self,
        wanted: &Wanted,
        partial: &mut Option<Partial<'a>>,
    ) -> Result<bool, Failure> {
        let Some(own) = partial.take() else { return Ok(false) };
        let settled = match own.verify() {
            Ok(staged) => staged.publish(wanted.oid).map(|()| true),
            Err(mut wrong) => wrong.clear().map(|()| {
                *partial = Some(wrong);
                false
            }),
        };
        settled.map_err(|error| unstorable(&error))
    }

    fn open_partial(&self, wanted: &Wanted) -> Result<Partial<'_>, Failure> {
        let watch = &mut |bytes| {
            self.reporter.moved(bytes);
            if self.cancel.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let opened = self.store.partial(wanted.oid, wanted.size, watch);
        opened.map_err(|error| unstorable(&error))?.ok_or(Failure::Cancelled)
    }

    /// Receives what is missing of an object.
    fn receive(
        &self,
        wanted: &Wanted,
        source: &SourceUrl,
        own: &mut Partial<'_>,
    ) -> Result<(), Fetch> {
        let mut reader = self.open(wanted, source, own.there(), None)?;
        match own.receive(&mut reader) {
            Ok(()) if own.there() < wanted.size => Err(broken(source, &TOO_EARLY).into()),
            Ok(()) => Ok(()),
            Err(_) if self.cancel.is_cancelled() => Err(Failure::Cancelled.into()),
            Err(Interruption::Reading(error)) => Err(broken(source, &error).into()),
            Err(Interruption::Writing(error)) if error.is_full() => {
                Err(Failure::NoRoom { size: wanted.size }.into())
            }
            Err(Interruption::Writing(error)) => Err(unstorable(&error).into()),
        }
    }

    /// Opens an object at a source that has one of the right size.
    pub(super) fn open<'a>(
        &'a self,
        wanted: &Wanted,
        source: &SourceUrl,
        from: u64,
        attempt: Option<&'a Attempt>,
    ) -> Result<Watched<'a>, Fetch> {
        let open = self.lakes.at(&source.lake);
        let lake = open.usable()?;
        let begun = Instant::now();
        let ObjectContent { size, reader } = lake.get(&source.name, from)?;
        open.note_first_byte(begun.elapsed());
        if let Some(attempt) = attempt {
            attempt.begin();
        }
        if size != wanted.size {
            return Err(SourceFailure::WrongBytes(source.clone()).into());
        }
        Ok(Watched { transfer: self, attempt, inner: self.slowed(reader) })
    }
}

pub(super) const TOO_EARLY: &str = "The connection ended too early";

/// Reports what is read and ends with an error once somebody asks to stop.
pub(super) struct Watched<'a> {
    transfer: &'a Transfer,
    attempt: Option<&'a Attempt>,
    inner: Box<dyn Read + Send>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let is_abandoned = self.attempt.is_some_and(Attempt::is_abandoned);
        if self.transfer.cancel.is_cancelled() || is_abandoned {
            return Err(io::Error::other("interrupted"));
        }
        let count = self.inner.read(buffer)?;
        self.transfer.reporter.moved(count as u64);
        Ok(count)
    }
}
