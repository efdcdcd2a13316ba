//! What items there are, and how each stands, as far as this clone knows by itself.
//!
//! An item is a pointer at a path: of the index, of a commit, or of anything that refs and stashes need.
//! [`work_tree`] says what lies at its path, by git's own stat data wherever these tell; [`list`] gives
//! items with how they stand, [`usage`] sums up their bytes, [`status`] compares the index with `HEAD`, the
//! work tree and the settings, [`only_here`] proves that lakes hold everything. Reads only; lakes are asked
//! where a function says so.

use crate::fs::PathError;
use crate::parallel;
use crate::repo::{self, history};
use crate::space::needs;

mod facts;
pub mod list;
pub mod only_here;
pub mod status;
pub mod usage;
pub mod work_tree;

/// So many things are looked at by a thread before it takes the next ones.
const AT_ONCE: usize = 512;
/// More threads do not make a file system faster.
const MOST_THREADS: usize = 8;

/// How much there is of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many there are.
    pub count: usize,
    /// Sum of their sizes.
    pub bytes: u64,
}

impl Sum {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Says why it cannot be told what there is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository cannot be read.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// The history cannot be read.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The index cannot be compared with a commit.
    #[error(transparent)]
    Changes(#[from] repo::changes::Error),
    /// Git could not be run, or failed.
    #[error(transparent)]
    Git(#[from] repo::process::Error),
    /// A file of the work tree or of the local state cannot be read.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl From<needs::Error> for Error {
    fn from(error: needs::Error) -> Self {
        match error {
            needs::Error::History(error) => Self::History(error),
            needs::Error::Repo(error) => Self::Repo(error),
            needs::Error::Path(error) => Self::Path(error),
        }
    }
}

/// Says about each input what `act` says, side by side: each answer takes a call of the file system.
fn side_by_side<I: Sync, O: Send>(inputs: &[I], act: impl Fn(&I) -> O + Sync) -> Vec<O> {
    let chunks: Vec<&[I]> = inputs.chunks(AT_ONCE).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let answers =
        parallel::map(threads, chunks.len(), |at| chunks[at].iter().map(&act).collect::<Vec<O>>());
    answers.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_keep_the_order_of_the_questions() {
        for count in [0, 1, AT_ONCE, 5 * AT_ONCE + 7] {
            let inputs: Vec<usize> = (0..count).collect();
            let expected: Vec<usize> = inputs.iter().map(|input| input * 3).collect();
            assert_eq!(side_by_side(&inputs, |input| input * 3), expected);
        }
    }
}
