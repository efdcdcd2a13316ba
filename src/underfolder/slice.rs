//! Which samples a `start`, `stop` and `step` mean.

use std::fmt;
use std::num::NonZeroI64;
use std::str::FromStr;

/// Samples from `start` up to and without `stop`, each `step`-th, as Python's slices mean it: a
/// negative bound counts from the end, bounds beyond an end are the end, a negative step goes
/// backwards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slice {
    /// The first sample.
    pub start: Option<i64>,
    /// The sample that is not among them any more.
    pub stop: Option<i64>,
    /// How far it is from one to the next.
    pub step: Option<Step>,
}

/// A step of a slice, which is never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step(NonZeroI64);

/// Says that a text is no step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a step is a whole number other than 0")]
pub struct ParseStepError;

impl FromStr for Step {
    type Err = ParseStepError;

    fn from_str(text: &str) -> Result<Self, ParseStepError> {
        text.parse().map(Self).map_err(|_| ParseStepError)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Slice {
    /// Returns true if nothing was said, so that all samples are meant.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Returns true if the sample with this id is among those that are meant, of `count` samples.
    pub fn contains(&self, id: u64, count: u64) -> bool {
        let (start, stop, step) = self.bounds(count);
        let id = i128::from(id);
        let is_within = if step > 0 { start <= id && id < stop } else { stop < id && id <= start };
        is_within && id < i128::from(count) && (id - start) % step == 0
    }

    /// Returns true if any of `count` samples is meant.
    pub fn means_any(&self, count: u64) -> bool {
        let (start, stop, step) = self.bounds(count);
        if step > 0 { start < stop } else { stop < start }
    }

    /// Returns the first sample, the one that is not meant any more, and the step, as Python's
    /// `slice.indices` does.
    fn bounds(&self, count: u64) -> (i128, i128, i128) {
        let count = i128::from(count);
        let step = self.step.map_or(1, |step| i128::from(step.0.get()));
        // Backwards, both ends are one lower.
        let (lowest, highest) = if step > 0 { (0, count) } else { (-1, count - 1) };
        let bound = |given: Option<i64>, default: i128| match given.map(i128::from) {
            None => default,
            Some(bound) if bound < 0 => (bound + count).max(lowest),
            Some(bound) => bound.min(highest),
        };
        let (first, last) = if step > 0 { (lowest, highest) } else { (highest, lowest) };
        (bound(self.start, first), bound(self.stop, last), step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_six(start: Option<i64>, stop: Option<i64>, step: Option<&str>) -> Vec<u64> {
        let step = step.map(|step| step.parse().expect("a step"));
        (0..6).filter(|id| Slice { start, stop, step }.contains(*id, 6)).collect()
    }

    #[test]
    fn slices_are_those_of_python() {
        // Each expected list is what Python 3 gives for `list(range(6))[start:stop:step]`, in order.
        type Row = (Option<i64>, Option<i64>, Option<&'static str>, &'static [u64]);
        let table: &[Row] = &[
            (None, None, None, &[0, 1, 2, 3, 4, 5]),
            (Some(1), Some(3), None, &[1, 2]),
            (Some(-2), None, None, &[4, 5]),
            (None, Some(-2), None, &[0, 1, 2, 3]),
            (None, None, Some("2"), &[0, 2, 4]),
            (Some(-100), None, Some("4"), &[0, 4]),
            (Some(2), Some(100), None, &[2, 3, 4, 5]),
            (Some(1), Some(-1), Some("2"), &[1, 3]),
            (None, None, Some("-1"), &[0, 1, 2, 3, 4, 5]),
            (Some(5), Some(0), Some("-1"), &[1, 2, 3, 4, 5]),
            (Some(-1), Some(-100), Some("-2"), &[1, 3, 5]),
            (Some(100), None, Some("-2"), &[1, 3, 5]),
            (Some(4), Some(2), None, &[]),
            (None, Some(0), None, &[]),
            (Some(i64::MIN), Some(i64::MAX), Some("9223372036854775807"), &[0]),
        ];
        for (start, stop, step, expected) in table {
            assert_eq!(of_six(*start, *stop, *step), *expected, "{start:?} {stop:?} {step:?}");
            let step = step.map(|step| step.parse().expect("a step"));
            let slice = Slice { start: *start, stop: *stop, step };
            assert_eq!(slice.means_any(6), !expected.is_empty(), "{slice:?}");
        }
    }

    #[test]
    fn a_step_of_zero_is_none() {
        assert_eq!("0".parse::<Step>(), Err(ParseStepError));
        assert_eq!("x".parse::<Step>(), Err(ParseStepError));
        assert_eq!("-3".parse::<Step>().expect("a step").to_string(), "-3");
    }

    #[test]
    fn an_id_beyond_the_last_sample_is_never_meant() {
        assert!(!Slice::default().contains(6, 6));
        assert!(!Slice::default().contains(0, 0));
    }
}
