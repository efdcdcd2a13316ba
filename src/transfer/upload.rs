//! From the store to lakes.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Transfer;
use super::lakes::OpenLake;
use super::report::Activity;
use crate::digest::HashName;
use crate::fs::PathError;
use crate::lake::{self, LakeError, Observer, Proof, Put};
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::object_name::ObjectName;
use crate::oid::Oid;
use crate::repo_path::RepoPath;
use crate::store::receipts::Strength;

/// One object that is due at one lake.
#[derive(Debug, Clone)]
pub struct Job {
    /// The full object URL.
    pub url: SourceUrl,
    /// The object in the store.
    pub oid: Oid,
    /// Its size in bytes.
    pub size: u64,
    /// The hash that the lake is expected to declare, which its name is a digest of.
    pub hash: HashName,
    /// A path that has it, to tell people.
    pub path: RepoPath,
}

/// What came of uploading.
#[derive(Debug, Default)]
pub struct Report {
    /// Objects that were sent.
    pub sent: usize,
    /// Bytes that were sent.
    pub sent_bytes: u64,
    /// Objects that were there already.
    pub already: usize,
    /// What could not be done; these stay owed.
    pub failures: Vec<(Job, Failure)>,
}

/// Why an object could not be uploaded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The lake could not do it.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The lake declares another hash than the settings say.
    #[error("Could not upload to `{url}`: it declares {declared}, the settings say {expected}")]
    OtherHash {
        /// The lake.
        url: LakeUrl,
        /// What it declares.
        declared: HashName,
        /// What the settings say.
        expected: HashName,
    },
    /// The object is not in the store.
    #[error("Could not find the object in this clone's store")]
    NotStored,
    /// The proof could not be written down, so the upload will be tried again.
    #[error("Could not record a receipt: {0}")]
    Receipt(String),
    /// Somebody asked to stop.
    #[error("Interrupted")]
    Cancelled,
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
        let (mut batches, mut side_by_side) = (Vec::new(), 1);
        for (url, mut jobs) in by_lake {
            let lake = self.lakes.at(&url);
            match self.check(&lake, &url, &jobs) {
                Ok(capabilities) => {
                    side_by_side = side_by_side.max(capabilities.side_by_side);
                    // The largest first, so that no thread begins one when the others are done.
                    jobs.sort_by_key(|job| std::cmp::Reverse(job.size));
                    for batch in into_batches(jobs, capabilities) {
                        batches.push((std::sync::Arc::clone(&lake), batch));
                    }
                }
                Err(failure) => {
                    report.failures.extend(jobs.into_iter().map(|job| (job, failure.clone())));
                }
            }
        }
        let totals = batches.iter().flat_map(|(_, batch)| batch);
        let (objects, bytes) = totals.fold((0, 0), |sum, job| (sum.0 + 1, sum.1 + job.size));
        self.reporter.expect(Activity::Uploading, objects, bytes);
        let report = Mutex::new(report);
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some((lake, batch)) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                let results = self.upload_batch(lake, batch);
                let mut report = report.lock().expect("no holder panics");
                for (job, result) in batch.iter().zip(results) {
                    report.take(job, result);
                    self.reporter.finished_object();
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..batches.len().min(self.jobs).min(side_by_side) {
                scope.spawn(work);
            }
            work();
        });
        self.reporter.end();
        report.into_inner().expect("no holder panics")
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

    fn upload_batch(&self, open: &OpenLake, batch: &[Job]) -> Vec<Result<Put, Failure>> {
        let lake = match open.usable() {
            Ok(lake) => lake,
            Err(error) => return batch.iter().map(|_| Err(error.clone().into())).collect(),
        };
        let sources: Vec<_> = batch.iter().map(|job| self.source(job.oid)).collect();
        let uploads: Vec<lake::Upload<'_>> = batch
            .iter()
            .zip(&sources)
            .map(|(job, open)| lake::Upload {
                name: &job.url.name,
                hash: job.hash,
                size: job.size,
                open,
            })
            .collect();
        let results = lake.put(&uploads, self);
        results.iter().for_each(|result| open.note(result));
        let recorded = self.record(open, batch, &results);
        let finish = |(job, result): (&Job, Result<Put, LakeError>)| match result {
            Ok(put) => match &recorded {
                Ok(()) => Ok(put),
                Err(error) => Err(Failure::Receipt(error.to_string())),
            },
            Err(LakeError::Cancelled) => Err(Failure::Cancelled),
            Err(LakeError::SourceUnreadable { .. }) if !self.is_stored(job) => {
                Err(Failure::NotStored)
            }
            Err(error) => Err(error.into()),
        };
        batch.iter().zip(results).map(finish).collect()
    }

    fn is_stored(&self, job: &Job) -> bool {
        self.store.open(job.oid).is_ok_and(|file| file.is_some())
    }

    /// Opens an object of the store, as often as a lake wants to read it.
    fn source(&self, oid: Oid) -> impl Fn() -> io::Result<Box<dyn Read + Send>> + Sync + '_ {
        move || match self.store.open(oid) {
            Ok(Some(file)) => Ok(Box::new(file) as Box<dyn Read + Send>),
            Ok(None) => Err(io::ErrorKind::NotFound.into()),
            Err(error) => Err(error.source),
        }
    }

    fn record(
        &self,
        open: &OpenLake,
        batch: &[Job],
        results: &[Result<Put, LakeError>],
    ) -> Result<(), PathError> {
        let Some(first) = batch.first() else {
            return Ok(());
        };
        let proof = |(job, result): (&Job, &Result<Put, LakeError>)| {
            let strength = match result.as_ref().ok()? {
                Put::Created => Strength::Sent,
                Put::AlreadyThere(Proof::Content) => Strength::Checksum,
                Put::AlreadyThere(Proof::Size) => Strength::Size,
            };
            Some((job.url.name.clone(), job.size, strength))
        };
        let proofs: Vec<(ObjectName, u64, Strength)> =
            batch.iter().zip(results).filter_map(proof).collect();
        let declaration = open.declaration().ok();
        let id = declaration.and_then(|declaration| declaration.id.as_ref());
        self.receipts.add(&first.url.lake, id.map(lake::LakeId::as_str), &proofs)
    }
}

impl Report {
    fn take(&mut self, job: &Job, result: Result<Put, Failure>) {
        match result {
            Ok(Put::Created) => {
                self.sent += 1;
                self.sent_bytes += job.size;
            }
            Ok(Put::AlreadyThere(_)) => self.already += 1,
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
