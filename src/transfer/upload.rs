//! From the store to lakes.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Transfer;
pub use super::job::{Failure, Job, Moved, Origin};
use super::lakes::OpenLake;
use super::origin::of_origin;
use super::pacing::Outcome;
use super::report::Activity;
use crate::fs::PathError;
use crate::lake::{self, LakeError, Observer, Proof, Put, Retry, WriteLake};
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::object_name::ObjectName;
use crate::store::receipts::Strength;

/// Receipts are written for so many objects at once, or after so much time.
const RECORDED_AT_ONCE: usize = 64;
const RECORDED_AFTER: Duration = Duration::from_millis(500);

/// What came of uploading.
#[derive(Debug, Default)]
pub struct Report {
    /// What is in its lake.
    pub moved: Moved,
    /// What could not be done; these stay owed.
    pub failures: Vec<(Job, Failure)>,
}

/// What goes to one lake.
struct Way {
    lake: Arc<OpenLake>,
    batches: Vec<Vec<Job>>,
    /// The first batch that no thread has taken.
    next: AtomicUsize,
}

impl Transfer {
    /// Uploads objects to their lakes and records receipts; goes on after failures.
    ///
    /// Each lake's objects go in batches as the lake likes them, several batches at once. On return
    /// every object that is not among the failures is in its lake for good, and its receipt written.
    pub fn upload(&self, jobs: Vec<Job>) -> Report {
        let mut by_lake: BTreeMap<LakeUrl, Vec<Job>> = BTreeMap::new();
        for job in jobs {
            by_lake.entry(job.url.lake.clone()).or_default().push(job);
        }
        let mut report = Report::default();
        let mut ways = Vec::new();
        for (url, mut jobs) in by_lake {
            let lake = self.lakes.at(&url);
            match self.check(&lake, &url, &jobs) {
                Ok(capabilities) => {
                    // The largest first, so that no thread begins one when the others are done.
                    jobs.sort_by_key(|job| std::cmp::Reverse(job.size));
                    let batches = into_batches(jobs, capabilities);
                    ways.push(Way { lake, batches, next: AtomicUsize::new(0) });
                }
                Err(failure) => {
                    report.failures.extend(jobs.into_iter().map(|job| (job, failure.clone())));
                }
            }
        }
        let totals = ways.iter().flat_map(|way| &way.batches).flatten();
        let (objects, bytes) =
            totals.fold((0, 0_u64), |sum, job| (sum.0 + 1, sum.1.saturating_add(job.size)));
        self.reporter.expect(Activity::Uploading, objects, bytes);
        let report = Mutex::new(report);
        // Each lake has threads of its own, so that one that is slow or dies holds up no other.
        std::thread::scope(|scope| {
            for way in &ways {
                for _ in 0..way.batches.len().min(way.lake.most_at_once(self.jobs)) {
                    scope.spawn(|| self.serve(way, &report));
                }
            }
        });
        self.reporter.end();
        report.into_inner().expect("no holder panics")
    }

    /// Uploads objects each of which can be read from several places, best first: the next place is tried
    /// where the bytes of one cannot be read or turn out to be wrong. What lies on the server that it goes
    /// to is copied there, as far as that server does it.
    pub fn relay(&self, jobs: Vec<(Job, Vec<Origin>)>) -> Report {
        let mut others: HashMap<SourceUrl, VecDeque<Origin>> = HashMap::new();
        let mut due = Vec::new();
        for (mut job, origins) in jobs {
            let mut ways = VecDeque::from(self.on_same_server(&job, &origins));
            ways.push_back(job.from);
            ways.extend(origins);
            job.from = ways.pop_front().expect("there is one at least");
            others.insert(job.url.clone(), ways);
            due.push(job);
        }
        let mut report = Report::default();
        let mut reasons: HashMap<SourceUrl, Vec<String>> = HashMap::new();
        while !due.is_empty() {
            let round = self.upload(std::mem::take(&mut due));
            report.moved += round.moved;
            for (mut job, failure) in round.failures {
                if !failure.is_of_origin() {
                    report.failures.push((job, failure));
                    continue;
                }
                // That a server makes no copy is no reason that anybody misses.
                if !matches!(job.from, Origin::Server(_)) {
                    reasons.entry(job.url.clone()).or_default().push(failure.cause());
                }
                match others.get_mut(&job.url).and_then(VecDeque::pop_front) {
                    Some(origin) => {
                        job.from = origin;
                        due.push(job);
                    }
                    None => {
                        let all = reasons.remove(&job.url).unwrap_or_default().join("; ");
                        report.failures.push((job, Failure::Origin(all)));
                    }
                }
            }
        }
        report
    }

    /// Uploads batches until none is left; what is done is recorded for several at once.
    fn serve(&self, way: &Way, report: &Mutex<Report>) {
        let (mut done, mut since) = (Vec::new(), Instant::now());
        while let Some(batch) = way.batches.get(way.next.fetch_add(1, Ordering::Relaxed)) {
            let results = self.put(&way.lake, batch);
            batch.iter().for_each(|_| self.reporter.finished_object());
            done.extend(batch.iter().zip(results));
            if done.len() >= RECORDED_AT_ONCE || since.elapsed() >= RECORDED_AFTER {
                self.settle(&way.lake, std::mem::take(&mut done), report);
                since = Instant::now();
            }
        }
        self.settle(&way.lake, done, report);
    }

    /// Reaches a lake and checks that it names objects as the settings say.
    fn check(
        &self,
        lake: &OpenLake,
        url: &LakeUrl,
        jobs: &[Job],
    ) -> Result<lake::Capabilities, Failure> {
        let declaration = lake.declaration()?;
        let id = declaration.id.as_ref().map(lake::LakeId::as_str);
        // Receipts of another lake that stood at this address do not count any more.
        self.receipts.bind(url, id).map_err(|error| Failure::Receipt(error.to_string()))?;
        if let Some(job) = jobs.iter().find(|job| job.hash != declaration.hash) {
            let (declared, expected) = (declaration.hash, job.hash);
            return Err(Failure::OtherHash { url: url.clone(), declared, expected });
        }
        Ok(lake.usable()?.capabilities())
    }

    /// Puts a batch into its lake, in rounds as long as that makes sense.
    fn put(&self, open: &OpenLake, batch: &[Job]) -> Vec<Result<Put, LakeError>> {
        let lake = match open.usable() {
            Ok(lake) => lake,
            Err(error) => return batch.iter().map(|_| Err(error.clone())).collect(),
        };
        let (begun, mut round) = (Instant::now(), 0);
        let mut results: Vec<_> = batch.iter().map(|_| Err(LakeError::Cancelled)).collect();
        let mut due: Vec<usize> = (0..batch.len()).collect();
        loop {
            let Some(pass) = open.gate(self.jobs).enter(&self.cancel) else { break };
            let (mut objects, mut bytes, mut is_strained) = (0, 0, false);
            for (at, result) in due.iter().zip(self.put_once(lake, batch, &due)) {
                match &result {
                    Ok(_) => (objects, bytes) = (objects + 1, bytes + batch[*at].size),
                    Err(error) => is_strained |= error.retry() != Retry::Never,
                }
                results[*at] = result;
            }
            let outcome = if is_strained { Outcome::Strained } else { Outcome::Done };
            let outcome = if objects == 0 && !is_strained { Outcome::Other } else { outcome };
            pass.finish(objects, bytes, outcome);
            let mut longest = Duration::ZERO;
            due.retain(|at| {
                let class = results[*at].as_ref().err().map_or(Retry::Never, LakeError::retry);
                let wait = self.retry.wait(round, class, begun.elapsed());
                longest = longest.max(wait.unwrap_or_default());
                wait.is_some()
            });
            // Others may have found out meanwhile that it is of no use.
            if due.is_empty() || !open.is_well() || !self.cancel.sleep(longest) {
                break;
            }
            round += 1;
        }
        results.iter().for_each(|result| open.note(result));
        results
    }

    /// Puts those of a batch that are due.
    fn put_once(
        &self,
        lake: &dyn WriteLake,
        batch: &[Job],
        due: &[usize],
    ) -> Vec<Result<Put, LakeError>> {
        let is_copied = |job: &&Job| matches!(job.from, Origin::Server(_));
        let jobs = || due.iter().map(|at| &batch[*at]).filter(|job| !is_copied(job));
        let sources: Vec<_> =
            jobs().map(|job| (job, self.source(job), || self.verified(job))).collect();
        let uploads = sources.iter().map(|(job, open, verified)| {
            let Job { url, hash, size, .. }: &Job = job;
            let verified = Some(verified as &_);
            lake::Upload { name: &url.name, hash: *hash, size: *size, open, verified }
        });
        let uploads: Vec<lake::Upload<'_>> = uploads.collect();
        let mut put =
            if uploads.is_empty() { Vec::new() } else { lake.put(&uploads, self) }.into_iter();
        let results = due.iter().map(|at| match &batch[*at].from {
            Origin::Server(from) => self.copy(lake, &batch[*at], from),
            _ => put.next().expect("one result per upload"),
        });
        results.collect()
    }

    /// Records what was done, then reports it.
    fn settle(
        &self,
        open: &OpenLake,
        done: Vec<(&Job, Result<Put, LakeError>)>,
        report: &Mutex<Report>,
    ) {
        let recorded = self.record(open, &done);
        let finish = |job: &Job, result: Result<Put, LakeError>| match result {
            Ok(put) => match &recorded {
                Ok(()) => Ok(put),
                Err(error) => Err(Failure::Receipt(error.to_string())),
            },
            Err(LakeError::Cancelled) => Err(Failure::Cancelled),
            Err(LakeError::SourceUnreadable { .. })
                if job.from == Origin::Store && !self.is_stored(job) =>
            {
                Err(Failure::NotStored)
            }
            Err(error) => Err(of_origin(&job.from, &error).unwrap_or_else(|| error.into())),
        };
        let mut report = report.lock().expect("no holder panics");
        for (job, result) in done {
            report.take(job, finish(job, result));
        }
    }

    fn is_stored(&self, job: &Job) -> bool {
        self.store.open(job.oid).is_ok_and(|file| file.is_some())
    }

    fn record(
        &self,
        open: &OpenLake,
        done: &[(&Job, Result<Put, LakeError>)],
    ) -> Result<(), PathError> {
        let Some((first, _)) = done.first() else {
            return Ok(());
        };
        let proof = |(job, result): &(&Job, Result<Put, LakeError>)| {
            let strength = match result.as_ref().ok()? {
                Put::Created => Strength::Sent,
                Put::Copied(Proof::Content) | Put::AlreadyThere(Proof::Content) => {
                    Strength::Checksum
                }
                Put::Copied(Proof::Size) | Put::AlreadyThere(Proof::Size) => Strength::Size,
            };
            Some((job.url.name.clone(), job.size, strength))
        };
        let proofs: Vec<(ObjectName, u64, Strength)> = done.iter().filter_map(proof).collect();
        let declaration = open.declaration().ok();
        let id = declaration.and_then(|declaration| declaration.id.as_ref());
        self.receipts.add(&first.url.lake, id.map(lake::LakeId::as_str), &proofs)
    }
}

impl Report {
    fn take(&mut self, job: &Job, result: Result<Put, Failure>) {
        match result {
            Ok(Put::Created) => {
                self.moved.sent += 1;
                self.moved.sent_bytes += job.size;
            }
            Ok(Put::Copied(_)) => {
                self.moved.copied += 1;
                self.moved.copied_bytes += job.size;
            }
            Ok(Put::AlreadyThere(_)) => self.moved.already += 1,
            Err(failure) => self.failures.push((job.clone(), failure)),
        }
    }
}

impl Observer for Transfer {
    fn advanced(&self, bytes: u64) {
        self.reporter.moved(bytes);
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

/// Cuts jobs into batches of at most so many objects and bytes; an object that is larger goes alone.
fn into_batches(jobs: Vec<Job>, limits: lake::Capabilities) -> Vec<Vec<Job>> {
    let mut batches: Vec<Vec<Job>> = Vec::new();
    let mut bytes = u64::MAX;
    for job in jobs {
        bytes = bytes.saturating_add(job.size);
        match batches.last_mut() {
            Some(batch) if batch.len() < limits.batch_count && bytes <= limits.batch_bytes => {
                batch.push(job);
            }
            _ => {
                bytes = job.size;
                batches.push(vec![job]);
            }
        }
    }
    batches
}
