//! The sources of one object, one after the other, until one has it; again as long as that makes sense.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Transfer;
use super::pacing::Outcome;
use super::wanted::{Failure, SourceFailure};
use crate::lake::{LakeError, Obstacle, Retry};
use crate::lake_url::SourceUrl;

/// Why one attempt failed: go on with the next source, or stop.
pub(super) enum Fetch {
    Source(SourceFailure),
    Fatal(Failure),
}

/// What came of sources, by their position among the candidates.
pub(super) type Attempts<T> = Vec<(usize, Result<T, Fetch>)>;

/// Why sources did not help, by their position among the candidates.
pub(super) type Failures = BTreeMap<usize, SourceFailure>;

impl From<SourceFailure> for Fetch {
    fn from(failure: SourceFailure) -> Self {
        Self::Source(failure)
    }
}

impl From<LakeError> for Fetch {
    fn from(error: LakeError) -> Self {
        Self::Source(error.into())
    }
}

impl From<Failure> for Fetch {
    fn from(failure: Failure) -> Self {
        Self::Fatal(failure)
    }
}

/// What was had, and how.
pub(super) struct Had<T> {
    pub(super) value: T,
    /// The position of the source that had it.
    pub(super) at: usize,
    /// Why others did not help.
    pub(super) failures: Failures,
}

impl Transfer {
    /// Tries the candidates in order, and those that are only busy in further rounds.
    ///
    /// `attempt` is given a position when that lake has room for one more transfer, and may try another
    /// candidate as well; `moved` says how many bytes came. How well the lakes are is noted.
    ///
    /// # Errors
    /// Why none helped, or what makes further sources useless.
    pub(super) fn first_source<T>(
        &self,
        candidates: &[SourceUrl],
        moved: impl Fn(&T) -> u64,
        mut attempt: impl FnMut(usize) -> Attempts<T>,
    ) -> Result<Had<T>, Failure> {
        let (begun, mut round) = (Instant::now(), 0);
        let mut failures = Failures::new();
        let mut due: Vec<usize> = (0..candidates.len()).collect();
        while !due.is_empty() {
            for at in due.drain(..) {
                for (at, result) in self.in_turn(candidates, at, &moved, &mut attempt) {
                    match result {
                        Ok(value) => {
                            self.note_failures(candidates, &failures);
                            return Ok(Had { value, at, failures });
                        }
                        Err(Fetch::Source(failure)) => drop(failures.insert(at, failure)),
                        Err(Fetch::Fatal(failure)) => return Err(failure),
                    }
                }
                if self.cancel.is_cancelled() {
                    return Err(Failure::Cancelled);
                }
            }
            // All sources were tried; those that are only busy are worth another round.
            let mut longest = Duration::ZERO;
            for (at, failure) in &failures {
                let is_well = self.lakes.at(&candidates[*at].lake).is_well();
                let wait = self.retry.wait(round, failure.retry(), begun.elapsed());
                if let Some(wait) = wait.filter(|_| is_well) {
                    longest = longest.max(wait);
                    due.push(*at);
                }
            }
            if !due.is_empty() && !self.cancel.sleep(longest) {
                return Err(Failure::Cancelled);
            }
            round += 1;
        }
        self.note_failures(candidates, &failures);
        let failures = failures.into_iter().map(|(at, why)| (candidates[at].clone(), why));
        Err(Failure::NoSource(failures.collect()))
    }

    /// Makes an attempt when the lake has room for one more transfer.
    fn in_turn<T>(
        &self,
        candidates: &[SourceUrl],
        at: usize,
        moved: &impl Fn(&T) -> u64,
        attempt: &mut impl FnMut(usize) -> Attempts<T>,
    ) -> Attempts<T> {
        let open = self.lakes.at(&candidates[at].lake);
        if let Err(error) = open.usable() {
            return vec![(at, Err(error.into()))];
        }
        let Some(pass) = open.gate(self.jobs).enter(&self.cancel) else {
            return vec![(at, Err(Fetch::Fatal(Failure::Cancelled)))];
        };
        let attempts = attempt(at);
        let (objects, bytes, outcome) = match attempts.iter().find(|attempt| attempt.0 == at) {
            Some((_, Ok(value))) => (1, moved(value), Outcome::Done),
            Some((_, Err(Fetch::Source(failure)))) if failure.retry() != Retry::Never => {
                (0, 0, Outcome::Strained)
            }
            Some((_, Err(_))) => (0, 0, Outcome::Other),
            None => (0, 0, Outcome::Strained),
        };
        pass.finish(objects, bytes, outcome);
        for (at, _) in attempts.iter().filter(|attempt| attempt.1.is_ok()) {
            self.lakes.at(&candidates[*at].lake).note(&Ok(()));
        }
        attempts
    }

    /// Notes how well the lakes are that did not help in the end.
    fn note_failures(&self, candidates: &[SourceUrl], failures: &Failures) {
        for (at, failure) in failures {
            let lake = &candidates[*at].lake;
            let error = match failure {
                SourceFailure::Lake(error) => error.clone(),
                // Of a server it is no property of the object that all connections broke. A file of a
                // folder may lie on a bad sector.
                SourceFailure::Broken { reason, .. } if lake.bucket().is_some() => {
                    let obstacle = Obstacle::Network(reason.as_str().into());
                    LakeError::Unreachable { url: lake.clone(), obstacle }
                }
                SourceFailure::Broken { .. } | SourceFailure::WrongBytes(_) => continue,
            };
            self.lakes.at(lake).note::<()>(&Err(error));
        }
    }
}
