//! Whether and when what failed is tried again. Decides; somebody else has the clock and waits.
//!
//! A lake's own client repeats single requests within seconds. What it could not do by then is tried
//! again in a few rounds that are further apart, with fewer transfers at once ([`super::pacing`]).

use std::time::Duration;

use crate::lake::Retry;

/// How patient a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How often one object is tried again.
    pub rounds: u32,
    /// The wait before the first round; each further one is twice as long.
    pub first_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
    /// No round begins when so much time went by since the first attempt began: where each attempt
    /// costs a timeout, one is enough to know.
    pub all_rounds: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            rounds: 3,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
            all_rounds: Duration::from_secs(60),
        }
    }
}

impl Policy {
    /// Returns how long to wait before the next round; `None` if there is none.
    ///
    /// `rounds_done` counts from 0, `elapsed` from the beginning of the first attempt. A lake that asks
    /// for more time than the longest wait is left alone: asking earlier would be no help to it.
    pub fn wait(&self, rounds_done: u32, class: Retry, elapsed: Duration) -> Option<Duration> {
        if rounds_done >= self.rounds || elapsed >= self.all_rounds {
            return None;
        }
        let usual = self.first_wait.saturating_mul(1 << rounds_done.min(16));
        match class {
            Retry::Never => None,
            Retry::Soon => Some(usual.min(self.longest_wait)),
            Retry::After(asked) if asked > self.longest_wait => None,
            Retry::After(asked) => Some(asked.max(usual.min(self.longest_wait))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let ms = Duration::from_millis;
        let after = |seconds| Retry::After(Duration::from_secs(seconds));
        let table = [
            // rounds done, class, elapsed, expected
            (0, Retry::Never, ms(0), None),
            (0, Retry::Soon, ms(0), Some(ms(500))),
            (1, Retry::Soon, ms(900), Some(ms(1000))),
            (2, Retry::Soon, ms(2900), Some(ms(2000))),
            (3, Retry::Soon, ms(5000), None),
            (0, after(0), ms(0), Some(ms(500))),
            (0, after(7), ms(0), Some(ms(7000))),
            (2, after(1), ms(0), Some(ms(2000))),
            (0, after(30), ms(0), Some(ms(30_000))),
            (0, after(31), ms(0), None),
            (3, after(1), ms(0), None),
            (1, Retry::Soon, ms(59_999), Some(ms(1000))),
            (1, Retry::Soon, ms(60_000), None),
        ];
        for (rounds, class, elapsed, expected) in table {
            let wait = Policy::default().wait(rounds, class, elapsed);
            assert_eq!(wait, expected, "{rounds} {class:?} {elapsed:?}");
        }
        let patient = Policy { rounds: 100, ..Policy::default() };
        assert_eq!(patient.wait(99, Retry::Soon, ms(0)), Some(ms(30_000)));
    }
}
