//! Numbers that look random and come again with their seed.

use std::ops::Range;

/// Returns the seeds to run: `GIT_LAKE_TEST_SEEDS=<first>..<end>`, or these.
pub(crate) fn seeds(usual: Range<u64>) -> Range<u64> {
    let Ok(wanted) = std::env::var("GIT_LAKE_TEST_SEEDS") else { return usual };
    let (first, end) = wanted.split_once("..").expect("`<first>..<end>`");
    first.parse().unwrap()..end.parse().unwrap()
}

/// A sequence that its seed decides (SplitMix64, public domain, by Sebastiano Vigna).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 up to, and without, `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Returns one of these.
    pub(crate) fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let at = self.below(of.len() as u64);
        &of[usize::try_from(at).unwrap()]
    }
}
