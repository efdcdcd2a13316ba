//! Lets as many transfers through to a lake as [`super::pacing`] says: the clock and the waiting.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::Cancel;
use super::pacing::{Finished, Outcome, Pacing};

/// How often whoever waits looks if somebody asked to stop.
const LOOK_UP: Duration = Duration::from_millis(100);

/// The way to one lake.
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
    start: Instant,
}

struct State {
    pacing: Pacing,
    under_way: usize,
}

/// A transfer that is under way until this is dropped.
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    begun: Duration,
}

impl Gate {
    pub(super) fn new(pacing: Pacing) -> Self {
        let state = Mutex::new(State { pacing, under_way: 0 });
        Self { state, changed: Condvar::new(), start: Instant::now() }
    }

    /// Waits until one more transfer may be under way; `None` if somebody asked to stop.
    pub(super) fn enter(&self, cancel: &Cancel) -> Option<Pass<'_>> {
        let mut state = self.state();
        while state.under_way >= state.pacing.limit() {
            if cancel.is_cancelled() {
                return None;
            }
            state = self.changed.wait_timeout(state, LOOK_UP).expect("no holder panics").0;
        }
        state.under_way += 1;
        Some(Pass { gate: self, begun: self.start.elapsed() })
    }

    /// Lets one more transfer through if that needs no waiting.
    pub(super) fn try_enter(&self) -> Option<Pass<'_>> {
        let mut state = self.state();
        let is_free = state.under_way < state.pacing.limit();
        is_free.then(|| {
            state.under_way += 1;
            Pass { gate: self, begun: self.start.elapsed() }
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

impl Pass<'_> {
    /// Tells what came of the transfer, and ends it.
    pub(super) fn finish(self, objects: usize, bytes: u64, outcome: Outcome) {
        let mut state = self.gate.state();
        let is_crowded = state.under_way >= state.pacing.limit();
        let (begun, ended) = (self.begun, self.gate.start.elapsed());
        state.pacing.finished(Finished { begun, ended, objects, bytes, outcome, is_crowded });
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.under_way -= 1;
        // Mostly one; several when the limit has grown.
        let free = state.pacing.limit().saturating_sub(state.under_way);
        drop(state);
        (0..free).for_each(|_| self.gate.changed.notify_one());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lets_through_as_many_as_may_be_under_way() {
        let gate = Gate::new(Pacing::at_most(2));
        let cancel = Cancel::default();
        let first = gate.enter(&cancel).expect("free");
        let second = gate.try_enter().expect("free");
        assert!(gate.try_enter().is_none());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.enter(&cancel).is_some());
            first.finish(1, 1, Outcome::Done);
            assert!(waiting.join().expect("no panic"));
        });
        second.finish(0, 0, Outcome::Strained);
        let only = gate.enter(&cancel).expect("one is left");
        assert!(gate.try_enter().is_none());
        cancel.cancel();
        assert!(gate.enter(&cancel).is_none());
        drop(only);
    }
}
