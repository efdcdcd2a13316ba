//! How many transfers with one lake are under way at once. Pure: it hears what happened and when.
//!
//! The number starts moderate and grows by steps for as long as that makes more happen in the same
//! time; a step that brought nothing is taken back, and tried again a little later. Where a lake is
//! busy, or does not answer in time, the number is halved, and grows more gently from then on.

use std::time::Duration;

/// Where to start with a lake that gains from many.
const START: usize = 4;
/// How much is added at once, until the lake was strained for the first time.
const STEP: usize = 4;
/// A step pays if it makes this much more happen.
const GAIN: f64 = 1.05;
/// Windows to wait before a step is tried again that brought nothing.
const HOLD: u32 = 8;
/// What an object counts besides its bytes: requests have a price of their own.
const OBJECT_BYTES: u64 = 16 << 10;

/// How a transfer ended, as far as pacing is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Something was moved.
    Done,
    /// The lake was busy, or the connection broke or timed out.
    Strained,
    /// Anything else, which says nothing about the pace.
    Other,
}

/// A transfer that ended. Times count from any one moment.
#[derive(Debug, Clone, Copy)]
pub struct Finished {
    /// When it began.
    pub begun: Duration,
    /// When it ended.
    pub ended: Duration,
    /// Objects that were moved.
    pub objects: usize,
    /// Bytes that were moved.
    pub bytes: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether as many transfers were under way as may be: only then the limit says anything.
    pub is_crowded: bool,
}

/// The number of transfers that may be under way with one lake.
#[derive(Debug, Clone)]
pub struct Pacing {
    limit: usize,
    most: usize,
    step: usize,
    /// The limit before the step that is being tried.
    trying_from: Option<usize>,
    /// Windows for which no step is tried.
    hold: u32,
    /// Work per second at the limit before the step.
    rate: f64,
    window: Window,
    /// When the limit was halved last.
    halved: Option<Duration>,
}

/// What happened since the limit changed.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    begun: Option<Duration>,
    transfers: usize,
    work: u64,
}

impl Pacing {
    /// Begins with as many transfers as there may ever be.
    pub fn at_most(most: usize) -> Self {
        let most = most.max(1);
        Self {
            limit: most,
            most,
            step: STEP,
            trying_from: None,
            hold: 0,
            rate: 0.0,
            window: Window::default(),
            halved: None,
        }
    }

    /// Begins with a few transfers, and finds out how many are worth it.
    pub fn growing_to(most: usize) -> Self {
        Self { limit: START.min(most.max(1)), ..Self::at_most(most) }
    }

    /// Returns how many transfers may be under way now; at least 1.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Hears of a transfer that ended.
    pub fn finished(&mut self, finished: Finished) {
        match finished.outcome {
            Outcome::Other => {}
            // Those that were under way when the limit was halved say nothing new.
            Outcome::Strained if self.halved.is_none_or(|halved| finished.begun >= halved) => {
                self.limit = (self.limit / 2).max(1);
                self.halved = Some(finished.ended);
                (self.step, self.hold) = (1, HOLD);
                (self.trying_from, self.rate) = (None, 0.0);
                self.window = Window::default();
            }
            Outcome::Strained => {}
            Outcome::Done if finished.is_crowded => self.count(finished),
            Outcome::Done => self.window = Window::default(),
        }
    }

    fn count(&mut self, finished: Finished) {
        let Some(begun) = self.window.begun else {
            // What it has moved was moved before the window.
            self.window.begun = Some(finished.ended);
            return;
        };
        self.window.transfers += 1;
        self.window.work += finished.bytes + finished.objects as u64 * OBJECT_BYTES;
        if self.window.transfers < 2 * self.limit {
            return;
        }
        let elapsed = finished.ended.saturating_sub(begun).max(Duration::from_micros(1));
        let rate = self.window.work as f64 / elapsed.as_secs_f64();
        self.window = Window::default();
        self.turn(rate);
    }

    /// Decides at the end of a window.
    fn turn(&mut self, rate: f64) {
        if let Some(before) = self.trying_from.take() {
            if rate < self.rate * GAIN {
                (self.limit, self.hold) = (before, HOLD);
                return;
            }
            self.rate = rate;
        } else {
            self.rate = if self.rate == 0.0 { rate } else { (self.rate + rate) / 2.0 };
        }
        if self.hold > 0 {
            self.hold -= 1;
        } else if self.limit < self.most {
            self.trying_from = Some(self.limit);
            self.limit = (self.limit + self.step).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets transfers of 20 KiB run against a lake that answers after `latency` and moves no more than
    /// `most_per_second`; returns the limits at each end of a transfer.
    fn run(pacing: &mut Pacing, count: usize, latency: f64, most_per_second: f64) -> Vec<usize> {
        let (mut now, mut limits) = (0.0, Vec::new());
        for _ in 0..count {
            let limit = pacing.limit() as f64;
            now += 1.0 / (limit / latency).min(most_per_second);
            pacing.finished(Finished {
                begun: Duration::from_secs_f64(f64::max(now - latency, 0.0)),
                ended: Duration::from_secs_f64(now),
                objects: 1,
                bytes: 20 << 10,
                outcome: Outcome::Done,
                is_crowded: true,
            });
            limits.push(pacing.limit());
        }
        limits
    }

    fn strained(begun: u64, ended: u64) -> Finished {
        Finished {
            begun: Duration::from_secs(begun),
            ended: Duration::from_secs(ended),
            objects: 0,
            bytes: 0,
            outcome: Outcome::Strained,
            is_crowded: true,
        }
    }

    #[test]
    fn it_grows_while_that_pays_and_never_beyond_the_most() {
        let mut far = Pacing::growing_to(32);
        assert_eq!(far.limit(), 4);
        let limits = run(&mut far, 2000, 0.03, f64::INFINITY);
        assert_eq!(far.limit(), 32);
        assert!(limits.iter().all(|limit| *limit <= 32));
        let reached = limits.iter().position(|limit| *limit == 32).expect("at some time");
        assert!(reached < 400, "{reached}");
    }

    #[test]
    fn it_stays_where_more_brings_nothing() {
        let mut near = Pacing::growing_to(32);
        // Eight at once are all that the lake can take.
        let limits = run(&mut near, 5000, 0.01, 800.0);
        let settled = &limits[1000..];
        assert!(settled.iter().all(|limit| (8..=16).contains(limit)), "{settled:?}");
        let at_8_to_12 = settled.iter().filter(|limit| **limit <= 12).count();
        assert!(at_8_to_12 * 10 > settled.len() * 9);
    }

    #[test]
    fn strain_halves_it_once_for_all_that_were_under_way_and_never_below_one() {
        let mut pacing = Pacing::at_most(32);
        pacing.finished(strained(1, 5));
        assert_eq!(pacing.limit(), 16);
        (0..20).for_each(|_| pacing.finished(strained(2, 6)));
        assert_eq!(pacing.limit(), 16, "these began before");
        for second in 6..20 {
            pacing.finished(strained(second, second));
        }
        assert_eq!(pacing.limit(), 1);
    }

    #[test]
    fn it_recovers_gently() {
        let mut pacing = Pacing::at_most(8);
        pacing.finished(strained(0, 0));
        assert_eq!(pacing.limit(), 4);
        let limits = run(&mut pacing, 2000, 0.03, f64::INFINITY);
        assert_eq!(limits.iter().position(|limit| *limit > 4).map(|at| limits[at]), Some(5));
        assert_eq!(pacing.limit(), 8);
    }

    #[test]
    fn what_says_nothing_changes_nothing() {
        let mut pacing = Pacing::growing_to(32);
        for second in 0..1000 {
            let other = Finished { outcome: Outcome::Other, ..strained(second, second) };
            pacing.finished(other);
            // A few transfers only: the limit is not what holds them up.
            let idle = Finished { outcome: Outcome::Done, is_crowded: false, ..other };
            pacing.finished(idle);
        }
        assert_eq!(pacing.limit(), 4);
        assert_eq!(Pacing::growing_to(2).limit(), 2);
        assert_eq!(Pacing::at_most(0).limit(), 1);
    }
}
