//! Paths that git asks for again once their content is there.

use std::collections::{HashMap, VecDeque};

use super::smudge;
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::repo_path::RepoPath;
use crate::transfer::download::{Done, Downloads, Failure, Fetched, Wanted};
use crate::workspace::Workspace;

/// Most objects whose results are taken in at once, and most bytes of content that they may bring.
const TAKEN_AT_ONCE: usize = 256;
const TAKEN_BYTES: usize = 16 << 20;

/// The delayed paths of one checkout. Each object is downloaded once, however many paths want it.
#[derive(Default)]
pub(super) struct Delay {
    downloads: Option<Downloads>,
    /// What each delayed path is; git does not send the pointer again.
    pointers: HashMap<RepoPath, (Vec<u8>, Pointer)>,
    /// Which paths wait for an object that is under way.
    waiting: HashMap<Oid, Vec<RepoPath>>,
    /// Paths that can be answered, not yet told to git.
    ready: VecDeque<RepoPath>,
    /// What came of objects, until all their paths are answered.
    outcomes: HashMap<Oid, Outcome>,
    /// Objects whose turn has not come: the store has no room for them all.
    backlog: VecDeque<Wanted>,
    /// How many objects are being fetched.
    pending: usize,
    /// Bytes of objects whose turn has come, until all their paths are answered.
    taken_bytes: u64,
}

struct Outcome {
    result: Result<Option<Vec<u8>>, Failure>,
    paths_left: usize,
}

/// A delayed path that git asks for again.
pub(super) struct Delayed {
    /// The pointer as git had it.
    pub(super) bytes: Vec<u8>,
    /// The pointer.
    pub(super) pointer: Pointer,
    /// What came of it: the content if it is at hand, `None` if it is in the store.
    pub(super) result: Result<Option<Vec<u8>>, Failure>,
}

impl Delay {
    /// Begins to fetch what a path wants, if nobody did so yet.
    pub(super) fn add(
        &mut self,
        site: &Workspace,
        path: RepoPath,
        bytes: Vec<u8>,
        pointer: Pointer,
    ) {
        let oid = pointer.oid();
        let paths = self.waiting.entry(oid).or_default();
        paths.push(path.clone());
        if paths.len() == 1 {
            self.backlog.push_back(smudge::wanted(site, &path, &pointer));
        }
        self.pointers.insert(path, (bytes, pointer));
        self.submit(site);
    }

    /// Begins to fetch what the store has room for, and one object at least.
    fn submit(&mut self, site: &Workspace) {
        let room = site.config.storage_limit.map_or(u64::MAX, |limit| limit / 2);
        while let Some(next) = self.backlog.front() {
            if self.pending > 0 && self.taken_bytes.saturating_add(next.size) > room {
                return;
            }
            let Some(wanted) = self.backlog.pop_front() else { return };
            self.pending += 1;
            self.taken_bytes = self.taken_bytes.saturating_add(wanted.size);
            let downloads = self.downloads.get_or_insert_with(|| Downloads::new(site.transfer()));
            downloads.submit(wanted);
        }
    }

    /// Waits until a path can be answered and returns all that can; none when none is left.
    ///
    /// A path whose content could not be had is among them: git would otherwise end with an error.
    pub(super) fn available(&mut self, site: &Workspace) -> Vec<RepoPath> {
        self.submit(site);
        if self.ready.is_empty() {
            let mut next = self.downloads.as_mut().and_then(Downloads::wait);
            let (mut count, mut bytes) = (0, 0);
            while let Some(done) = next {
                count += 1;
                bytes += done.result.as_ref().map_or(0, Fetched::held_bytes);
                self.take(done);
                // A result that is asked for must be taken: git hears of each path once.
                let has_room = count < TAKEN_AT_ONCE && bytes < TAKEN_BYTES;
                next = self.downloads.as_mut().filter(|_| has_room).and_then(Downloads::try_next);
            }
        }
        self.ready.drain(..).collect()
    }

    fn take(&mut self, done: Done) {
        self.pending -= 1;
        let paths = self.waiting.remove(&done.oid).unwrap_or_default();
        let result = done.result.map(|fetched| fetched.bytes);
        self.outcomes.insert(done.oid, Outcome { result, paths_left: paths.len() });
        self.ready.extend(paths);
    }

    /// Returns what a path was delayed for, if it was.
    pub(super) fn retry(&mut self, path: &RepoPath) -> Option<Delayed> {
        let (bytes, pointer) = self.pointers.remove(path)?;
        let oid = pointer.oid();
        let Some(outcome) = self.outcomes.get_mut(&oid) else {
            return Some(Delayed { bytes, pointer, result: Ok(None) });
        };
        outcome.paths_left -= 1;
        let result = match outcome.paths_left {
            0 => {
                self.taken_bytes = self.taken_bytes.saturating_sub(pointer.size());
                self.outcomes.remove(&oid).map_or(Ok(None), |outcome| outcome.result)
            }
            _ => outcome.result.clone(),
        };
        Some(Delayed { bytes, pointer, result })
    }
}
