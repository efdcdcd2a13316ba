//! How much of the index names each lake.

use std::collections::BTreeMap;

use super::walk;
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::repo;
use crate::repo::index::Index;
use crate::workspace::Workspace;

/// A size that tells how fast a lake is and takes no time to read, in bytes.
const TELLING_BYTES: u64 = 4 << 20;
/// Smaller objects say how long a request takes, and not how fast bytes come.
const FEWEST_TELLING_BYTES: u64 = 64 << 10;

/// How much names one lake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Paths whose pointer names it.
    pub items: usize,
    /// Sum of their sizes.
    pub bytes: u64,
    /// An object of moderate size that should be there, with its size.
    pub sample: Option<(SourceUrl, u64)>,
}

impl Tally {
    fn count(&mut self, source: &SourceUrl, size: u64) {
        self.items += 1;
        self.bytes = self.bytes.saturating_add(size);
        let is_better = |known: &(SourceUrl, u64)| {
            size.abs_diff(TELLING_BYTES) < known.1.abs_diff(TELLING_BYTES)
        };
        if size >= FEWEST_TELLING_BYTES && self.sample.as_ref().is_none_or(is_better) {
            self.sample = Some((source.clone(), size));
        }
    }
}

/// What the index names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Pointers of the index.
    pub items: usize,
    /// Sum of their sizes.
    pub bytes: u64,
    /// What names each lake.
    pub lakes: BTreeMap<LakeUrl, Tally>,
}

/// Counts what the index names.
///
/// # Errors
/// If a blob cannot be read.
pub fn of_index(site: &Workspace, index: &Index) -> Result<Tallies, repo::Error> {
    let mut tallies = Tallies::default();
    walk::of_index(site, index, &mut |_, pointer| {
        tallies.items += 1;
        tallies.bytes = tallies.bytes.saturating_add(pointer.size());
        for source in pointer.sources() {
            match tallies.lakes.get_mut(&source.lake) {
                Some(tally) => tally.count(source, pointer.size()),
                None => {
                    let tally = tallies.lakes.entry(source.lake.clone()).or_default();
                    tally.count(source, pointer.size());
                }
            }
        }
        Ok::<_, repo::Error>(())
    })?;
    Ok(tallies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_that_is_read_is_of_moderate_size() {
        let source = |digit: char| {
            let hex = digit.to_string().repeat(64);
            SourceUrl::parse_normal(&format!("s3://h/b/{hex}.bin")).expect("an address")
        };
        let mut tally = Tally::default();
        tally.count(&source('a'), 100);
        assert_eq!(tally.sample, None);
        for (digit, size, chosen) in
            [('b', 1 << 30, 'b'), ('c', 65 << 10, 'c'), ('d', 5 << 20, 'd'), ('e', 7 << 20, 'd')]
        {
            tally.count(&source(digit), size);
            assert_eq!(tally.sample.as_ref().expect("one").0, source(chosen));
        }
        assert_eq!((tally.items, tally.bytes > 1 << 30), (5, true));
    }
}
