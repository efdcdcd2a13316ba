//! From lakes to the store: each object once, from the first source that has it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::Transfer;
use super::fetch::Arrived;
use super::report::Activity;
use super::rounds::{Failures, Had};
pub use super::wanted::{Failure, SourceFailure, Wanted};
use crate::fs::platform::free_bytes;
use crate::lake::{LakeError, LakeId};
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::object_name::ObjectName;
use crate::oid::Oid;
use crate::store::Presence;
use crate::store::receipts::Strength;

/// Objects up to this size are verified in memory before they are stored.
pub(super) const IN_MEMORY_BYTES: u64 = 1 << 20;
/// Bytes of small objects that are handed over with the result, all results together.
const HANDED_OVER_BYTES: u64 = 32 << 20;
/// Receipts are written for so many objects at once.
const RECEIPTS_AT_ONCE: usize = 512;
/// Room that is left on the disk for everybody else.
pub(super) const SPARE_BYTES: u64 = 64 << 20;

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// The object.
    pub oid: Oid,
    /// How it was had, or why not.
    pub result: Result<Fetched, Failure>,
}

/// An object that is in the store now.
#[derive(Debug, Clone, Default)]
pub struct Fetched {
    /// Its verified bytes, where they were at hand.
    pub bytes: Option<Vec<u8>>,
    /// The source that all of it was read from in one go, which proves that it is there; `None` if it
    /// was in the store already, or if a part of it was.
    pub source: Option<SourceUrl>,
    /// Its size in bytes.
    pub size: u64,
}

impl Fetched {
    /// Returns how many bytes of content this holds in memory.
    pub fn held_bytes(&self) -> usize {
        self.bytes.as_ref().map_or(0, Vec::len)
    }
}

/// A running set of downloads. Dropping it lets what is under way come to an end, and forgets the rest.
pub struct Downloads {
    transfer: Transfer,
    jobs: Option<Sender<Wanted>>,
    waiting: Arc<Mutex<Receiver<Wanted>>>,
    results: Receiver<Done>,
    done: Sender<Done>,
    threads: Vec<JoinHandle<()>>,
    submitted: usize,
    /// Bytes that results hold and nobody has taken.
    handed_over: Arc<AtomicU64>,
    /// Sources that were read and have no receipt yet.
    read: Vec<(SourceUrl, u64)>,
}

impl Downloads {
    /// Prepares to download; starts nothing.
    pub fn new(transfer: Transfer) -> Self {
        let (jobs, waiting) = channel();
        let (done, results) = channel();
        Self {
            transfer,
            jobs: Some(jobs),
            waiting: Arc::new(Mutex::new(waiting)),
            results,
            done,
            threads: Vec::new(),
            submitted: 0,
            handed_over: Arc::default(),
            read: Vec::new(),
        }
    }

    /// Adds an object; the caller takes care to want each once.
    pub fn submit(&mut self, wanted: Wanted) {
        self.submitted += 1;
        self.transfer.reporter.expect(Activity::Downloading, 1, wanted.size);
        let most = wanted.candidates.first().map_or(1, |source| {
            self.transfer.lakes.at(&source.lake).most_at_once(self.transfer.jobs)
        });
        if self.threads.len() < most.min(self.submitted) {
            self.threads.push(self.start_thread());
        }
        let jobs = self.jobs.as_ref().expect("open until dropped");
        jobs.send(wanted).expect("this side holds the receiver, too");
    }

    /// Waits for the next result; `None` when all were taken.
    pub fn wait(&mut self) -> Option<Done> {
        if self.submitted == 0 {
            return None;
        }
        self.results.recv().ok().map(|done| self.taken(done))
    }

    /// Returns a result that is there already.
    pub fn try_next(&mut self) -> Option<Done> {
        self.results.try_recv().ok().map(|done| self.taken(done))
    }

    fn taken(&mut self, done: Done) -> Done {
        self.submitted -= 1;
        if let Ok(fetched) = &done.result {
            self.handed_over.fetch_sub(fetched.held_bytes() as u64, Ordering::Relaxed);
            self.read.extend(fetched.source.clone().map(|source| (source, fetched.size)));
        }
        if self.submitted == 0 {
            self.transfer.reporter.end();
            self.transfer.tell_damage();
        }
        if self.submitted == 0 || self.read.len() >= RECEIPTS_AT_ONCE {
            self.transfer.record_read(&std::mem::take(&mut self.read));
        }
        done
    }

    fn start_thread(&self) -> JoinHandle<()> {
        let (transfer, done) = (self.transfer.clone(), self.done.clone());
        let (waiting, handed_over) = (Arc::clone(&self.waiting), Arc::clone(&self.handed_over));
        std::thread::spawn(move || {
            loop {
                let next = waiting.lock().expect("no holder panics").recv();
                let Ok(wanted) = next else { return };
                let mut result = transfer.download(&wanted);
                if let Ok(Fetched { bytes: bytes @ Some(_), size, .. }) = &mut result {
                    let held = handed_over.fetch_add(*size, Ordering::Relaxed);
                    if held + *size > HANDED_OVER_BYTES {
                        handed_over.fetch_sub(*size, Ordering::Relaxed);
                        *bytes = None;
                    }
                }
                transfer.reporter.finished_object();
                if done.send(Done { oid: wanted.oid, result }).is_err() {
                    return;
                }
            }
        })
    }
}

impl Drop for Downloads {
    fn drop(&mut self) {
        self.jobs = None;
        if let Ok(waiting) = self.waiting.lock() {
            while waiting.try_recv().is_ok() {}
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has told so on stderr; there is nothing to add.
            drop(thread.join());
        }
    }
}

impl Transfer {
    /// Fetches one object into the store, verified; returns its bytes too if it is small.
    ///
    /// # Errors
    /// Why no source helped, or why the store could not take it.
    pub fn download(&self, wanted: &Wanted) -> Result<Fetched, Failure> {
        if self.cancel.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        if matches!(self.store.presence(wanted.oid, wanted.size), Ok(Presence::Stored)) {
            return Ok(Fetched { size: wanted.size, ..Fetched::default() });
        }
        // What an earlier attempt left takes its room already.
        let left = wanted.size.saturating_sub(self.store.partial_size(wanted.oid));
        if self.free_bytes().is_some_and(|free| free < left.saturating_add(SPARE_BYTES)) {
            return Err(Failure::NoRoom { size: left });
        }
        let mut partial = None;
        if left == 0 && self.finish_partial(wanted, &mut partial)? {
            return Ok(Fetched { size: wanted.size, ..Fetched::default() });
        }
        let had = self.first_source(
            &wanted.candidates,
            |arrived: &Arrived| arrived.moved,
            |at| {
                if wanted.size > IN_MEMORY_BYTES {
                    vec![(at, self.fetch_large(wanted, &wanted.candidates[at], &mut partial))]
                } else {
                    self.fetch_hedged(wanted, at)
                }
            },
        );
        let Had { value: Arrived { bytes, moved }, at, failures } = had?;
        self.note_faults(wanted, &failures);
        let source = (moved == wanted.size).then(|| wanted.candidates[at].clone());
        Ok(Fetched { bytes, source, size: wanted.size })
    }

    /// Notes which sources of an object hold other bytes or none, although it could be had.
    fn note_faults(&self, wanted: &Wanted, failures: &Failures) {
        for (at, failure) in failures {
            let source = &wanted.candidates[*at];
            match failure {
                SourceFailure::WrongBytes(_) => self.lakes.at(&source.lake).note_damage(),
                SourceFailure::Lake(LakeError::Absent { .. }) => {
                    let repair = wanted.repairs.iter().find(|owed| owed.url == *source);
                    self.repairs.lock().expect("no holder panics").extend(repair.cloned());
                }
                _ => {}
            }
        }
    }

    /// Tells which lakes hold damaged objects that were had from elsewhere, each lake once.
    pub fn tell_damage(&self) {
        for (lake, count) in self.lakes.take_damage() {
            let objects = if count == 1 { "object has" } else { "objects have" };
            self.reporter.warn(&format!(
                "{count} {objects} other bytes in `{lake}` than they should; they were had from elsewhere."
            ));
        }
    }

    /// Writes receipts for objects that were read from their lakes and are right.
    ///
    /// Nothing depends on them, so a failure to write is passed over.
    pub fn record_read(&self, read: &[(SourceUrl, u64)]) {
        let mut by_lake: BTreeMap<&LakeUrl, Vec<(ObjectName, u64, Strength)>> = BTreeMap::new();
        for (source, size) in read {
            // A receipt of this strength says nothing new; one from the day before does.
            let known = self.receipts.get(source).ok().flatten();
            if !known.is_some_and(|known| known.is_fresh() && known.strength >= Strength::Checksum)
            {
                let proof = (source.name.clone(), *size, Strength::Checksum);
                by_lake.entry(&source.lake).or_default().push(proof);
            }
        }
        for (lake, proofs) in by_lake {
            let open = self.lakes.at(lake);
            let id = open.declaration().ok().and_then(|declaration| declaration.id.as_ref());
            drop(self.receipts.add(lake, id.map(LakeId::as_str), &proofs));
        }
    }

    /// Returns how much room the store has; before its first file, that of the folder it will be in.
    fn free_bytes(&self) -> Option<u64> {
        self.store.objects_root().ancestors().find_map(|folder| free_bytes(folder).ok())
    }
}
