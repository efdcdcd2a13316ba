//! A second source, asked when the first one takes far longer than it usually does.
//!
//! For small objects only, where waiting for the first byte is all there is to wait for. Whichever
//! brings the object first, verified, wins; the other one is left to itself. A few at once at most, so
//! that a lake that is slow for everybody does not send everybody to the next one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::Transfer;
use super::fetch::{Arrived, Attempt};
use super::rounds::{Attempts, Fetch};
use super::wanted::{Failure, Wanted};

/// So many of the last times are kept, and so many are needed to know what is usual.
const KEPT: usize = 100;
const NEEDED: usize = 20;
/// What is far longer than usual, and never less than this.
const FACTOR: u32 = 3;
const LEAST: Duration = Duration::from_secs(1);
/// Second sources that are asked at once.
const AT_ONCE: usize = 4;

/// How long a source took to send the first byte, the last times.
#[derive(Debug, Clone, Default)]
pub struct FirstBytes(VecDeque<Duration>);

impl FirstBytes {
    /// Notes one more.
    pub fn note(&mut self, took: Duration) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(took);
    }

    /// Returns how long to wait before another source is asked: three times what 95 of 100 took no
    /// longer than, and at least a second. `None` as long as too little is known.
    pub fn patience(&self) -> Option<Duration> {
        if self.0.len() < NEEDED {
            return None;
        }
        let mut sorted: Vec<Duration> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let p95 = sorted[(sorted.len() * 95).div_ceil(100) - 1];
        Some((p95 * FACTOR).max(LEAST))
    }
}

/// How many second sources are being asked.
#[derive(Debug, Default)]
pub(super) struct Hedges(AtomicUsize);

impl Hedges {
    fn try_begin(&self) -> bool {
        let one_more = |count| (count < AT_ONCE).then_some(count + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    fn end(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Transfer {
    /// Returns how long to wait for a source, and which other one to ask then, if that is worth it.
    fn second_source(&self, wanted: &Wanted, at: usize) -> Option<(Duration, usize)> {
        if wanted.candidates.len() < 2 {
            return None;
        }
        let own = &wanted.candidates[at].lake;
        let patience = self.lakes.at(own).patience()?;
        let mut others = wanted.candidates.iter().enumerate().skip(at + 1);
        let other = others
            .find(|(_, source)| source.lake != *own && self.lakes.at(&source.lake).may_help());
        Some((patience, other?.0))
    }

    /// Fetches a small object from a source, and from a second one if that takes far too long; returns what came
    /// of each that ended, the one that won last.
    pub(super) fn fetch_hedged(&self, wanted: &Wanted, at: usize) -> Attempts<Arrived> {
        let Some((patience, other)) = self.second_source(wanted, at) else {
            let result = self.fetch_small(wanted, &wanted.candidates[at], &Attempt::default());
            return vec![(at, result)];
        };
        let (sender, ended) = channel();
        let first = self.start(wanted, at, sender.clone());
        let wait = || ended.recv().unwrap_or((at, Err(Fetch::Fatal(Failure::Cancelled))));
        match ended.recv_timeout(patience) {
            Ok(attempted) => return vec![attempted],
            Err(RecvTimeoutError::Disconnected) => return vec![wait()],
            Err(RecvTimeoutError::Timeout) => {}
        }
        let lake = self.lakes.at(&wanted.candidates[other].lake);
        // Its bytes are on their way, or the other lake has enough to do.
        let pass = if first.has_begun() { None } else { lake.gate(self.jobs).try_enter() };
        let hedges = &self.lakes.hedges;
        if pass.is_none() || !hedges.try_begin() {
            return vec![wait()];
        }
        let second = self.start(wanted, other, sender);
        let mut attempts = vec![wait()];
        if matches!(attempts[0].1, Err(Fetch::Source(_))) {
            attempts.push(wait());
        }
        for attempt in [first, second] {
            attempt.abandon();
        }
        hedges.end();
        attempts
    }

    /// Fetches in a thread of its own, which nobody waits for in the end.
    fn start(
        &self,
        wanted: &Wanted,
        at: usize,
        ended: Sender<(usize, Result<Arrived, Fetch>)>,
    ) -> Arc<Attempt> {
        let attempt = Arc::new(Attempt::default());
        let (transfer, wanted, own) = (self.clone(), wanted.clone(), Arc::clone(&attempt));
        std::thread::spawn(move || {
            let result = transfer.fetch_small(&wanted, &wanted.candidates[at], &own);
            // Nobody listens to the one that lost.
            drop(ended.send((at, result)));
        });
        attempt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_too_long_depends_on_what_is_usual() {
        let ms = Duration::from_millis;
        let mut usual = FirstBytes::default();
        (0..19).for_each(|_| usual.note(ms(10)));
        assert_eq!(usual.patience(), None);
        usual.note(ms(10));
        assert_eq!(usual.patience(), Some(ms(1000)));
        (0..100).for_each(|_| usual.note(ms(500)));
        assert_eq!(usual.patience(), Some(ms(1500)));
        // One in twenty-five is no rule, one in ten is.
        (0..96).for_each(|_| usual.note(ms(400)));
        assert_eq!(usual.patience(), Some(ms(1200)));
        (0..10).for_each(|_| usual.note(ms(2000)));
        assert_eq!(usual.patience(), Some(ms(6000)));
    }

    #[test]
    fn only_a_few_second_sources_are_asked_at_once() {
        let hedges = Hedges::default();
        (0..AT_ONCE).for_each(|_| assert!(hedges.try_begin()));
        assert!(!hedges.try_begin());
        hedges.end();
        assert!(hedges.try_begin());
    }
}
