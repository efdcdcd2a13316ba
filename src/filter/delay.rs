//! Paths that git asks for again once their content is there.
//!
//! git sends all pointers before it asks for the first path again, be there a million of them. What is held of
//! each is its path and its pointer as text; everything else is made of these when its turn comes.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use super::smudge;
use crate::oid::Oid;
use crate::pointer::{Parsed, Pointer};
use crate::repo_path::RepoPath;
use crate::transfer::download::{Done, Downloads, Failure, Wanted};
use crate::workspace::Workspace;

/// Most paths of few that are told to git at once, and most bytes of content that are held for them.
const TOLD_AT_ONCE: usize = 128;
const HELD_BYTES: usize = 16 << 20;
/// Of many paths git is told in so many goes, each of which makes it look through all that are left.
const GOES: usize = 128;
/// Most objects that are being fetched or are about to be.
const MOST_PENDING: usize = 4096;

/// The delayed paths of one checkout. Each object is downloaded once, however many paths want it.
#[derive(Default)]
pub(super) struct Delay {
    downloads: Option<Downloads>,
    /// The pointer of each delayed path as git had it; git does not send it again.
    texts: HashMap<RepoPath, Box<[u8]>>,
    /// Which paths wait for an object.
    waiting: HashMap<Oid, Waiting>,
    /// Paths that can be answered, not yet told to git.
    ready: VecDeque<RepoPath>,
    /// What came of objects, until all their paths are answered; without one, the object is in the store.
    outcomes: HashMap<Oid, Outcome>,
    /// Bytes of content that outcomes hold.
    held_bytes: usize,
    /// Objects whose turn has not come: many are under way, or the store has no room for them all.
    backlog: VecDeque<Oid>,
    /// How many objects are being fetched.
    pending: usize,
    /// Bytes of objects whose turn has come, until all their paths are answered.
    taken_bytes: u64,
}

/// The paths that wait for an object.
struct Waiting {
    first: RepoPath,
    others: Vec<RepoPath>,
}

struct Outcome {
    result: Result<Option<Vec<u8>>, Failure>,
    paths_left: usize,
}

/// A delayed path that git asks for again.
pub(super) struct Delayed {
    /// The pointer as git had it.
    pub(super) bytes: Box<[u8]>,
    /// The pointer.
    pub(super) pointer: Pointer,
    /// What came of it: the content if it is at hand, `None` if it is in the store.
    pub(super) result: Result<Option<Vec<u8>>, Failure>,
}

impl Delay {
    /// Begins to fetch what a path wants, if nobody did so yet.
    pub(super) fn add(&mut self, site: &Workspace, path: RepoPath, bytes: Vec<u8>, oid: Oid) {
        self.texts.insert(path.clone(), bytes.into_boxed_slice());
        if let Some(outcome) = self.outcomes.get_mut(&oid) {
            // It could not be had for another path, while git still sends.
            outcome.paths_left += 1;
            self.ready.push_back(path);
            return;
        }
        match self.waiting.entry(oid) {
            Entry::Occupied(mut waiting) => waiting.get_mut().others.push(path),
            Entry::Vacant(place) => {
                place.insert(Waiting { first: path, others: Vec::new() });
                self.backlog.push_back(oid);
            }
        }
        self.submit(site);
        // While git still sends, results are taken only where they make room for what waits.
        while self.pending >= MOST_PENDING
            && let Some(done) = self.downloads.as_mut().and_then(Downloads::try_next)
        {
            self.take(done);
        }
    }

    /// Says what is wanted for the object whose turn is next.
    fn next_wanted(&self, site: &Workspace) -> Option<Wanted> {
        let path = &self.waiting.get(self.backlog.front()?)?.first;
        let pointer = Parsed::of(self.texts.get(path)?).pointer()?;
        Some(smudge::wanted(site, path, &pointer))
    }

    /// Begins to fetch what the store has room for, and one object at least.
    fn submit(&mut self, site: &Workspace) {
        let room = site.config.storage_limit.map_or(u64::MAX, |limit| limit / 2);
        while self.pending < MOST_PENDING
            && let Some(next) = self.next_wanted(site)
        {
            let is_first = self.pending == 0 && self.ready.is_empty();
            if !is_first && self.taken_bytes.saturating_add(next.size) > room {
                return;
            }
            self.backlog.pop_front();
            self.pending += 1;
            self.taken_bytes = self.taken_bytes.saturating_add(next.size);
            let downloads = self.downloads.get_or_insert_with(|| Downloads::new(site.transfer()));
            downloads.submit(next);
        }
    }

    /// Waits until a path can be answered, or a good part of very many, and returns what can; none when none
    /// is left.
    ///
    /// A path whose content could not be had is among them: git would otherwise end with an error.
    pub(super) fn available(&mut self, site: &Workspace) -> Vec<RepoPath> {
        let (least, most) = told_at_once(self.texts.len());
        loop {
            self.submit(site);
            let has_room = self.ready.len() < most && self.held_bytes < HELD_BYTES;
            let Some(downloads) = &mut self.downloads else { break };
            let done = match self.ready.len() < least {
                true => downloads.wait(),
                false => has_room.then(|| downloads.try_next()).flatten(),
            };
            let Some(done) = done else { break };
            self.take(done);
        }
        let count = self.ready.len().min(most);
        self.ready.drain(..count).collect()
    }

    fn take(&mut self, done: Done) {
        self.pending -= 1;
        let Some(Waiting { first, others }) = self.waiting.remove(&done.oid) else { return };
        let mut result = done.result.map(|fetched| fetched.bytes);
        if let Ok(Some(bytes)) = &result {
            // Beyond, it is read from the store when git asks.
            match self.held_bytes < HELD_BYTES {
                true => self.held_bytes += bytes.len(),
                false => result = Ok(None),
            }
        }
        if !(matches!(result, Ok(None)) && others.is_empty()) {
            let outcome = Outcome { result, paths_left: 1 + others.len() };
            self.outcomes.insert(done.oid, outcome);
        }
        self.ready.push_back(first);
        self.ready.extend(others);
    }

    /// Returns what a path was delayed for, if it was.
    pub(super) fn retry(&mut self, path: &RepoPath) -> Option<Delayed> {
        let bytes = self.texts.remove(path)?;
        let pointer = Parsed::of(&bytes).pointer()?;
        let result = self.result_of(&pointer);
        Some(Delayed { bytes, pointer, result })
    }

    /// Returns what came of an object to one of its paths.
    fn result_of(&mut self, pointer: &Pointer) -> Result<Option<Vec<u8>>, Failure> {
        let oid = pointer.oid();
        if let Some(outcome) = self.outcomes.get_mut(&oid)
            && outcome.paths_left > 1
        {
            outcome.paths_left -= 1;
            return outcome.result.clone();
        }
        self.taken_bytes = self.taken_bytes.saturating_sub(pointer.size());
        let result = self.outcomes.remove(&oid).map_or(Ok(None), |outcome| outcome.result);
        self.held_bytes -= result.as_ref().map_or(0, |bytes| bytes.as_ref().map_or(0, Vec::len));
        result
    }
}

/// Returns how many paths of those that are left git is told at least, and at most.
fn told_at_once(left: usize) -> (usize, usize) {
    match left / GOES {
        part if part > TOLD_AT_ONCE => (part, part),
        _ => (1, TOLD_AT_ONCE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_looks_through_a_million_paths_as_often_as_through_few() {
        for (count, most_looks) in [(1, 1), (1_000, 5), (16_000, 64), (1_000_000, GOES)] {
            let (mut left, mut looked_through) = (count, 0);
            while left > 0 {
                looked_through += left;
                left -= told_at_once(left).1.min(left);
            }
            assert!(looked_through / count <= most_looks, "{count}: {}", looked_through / count);
        }
    }
}
