//! Uploading what pointers owe, wherever their objects can be had.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::AT_ONCE;
use super::supply::{self, Due};
use crate::config::accepted::Accepted;
use crate::fs::PathError;
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::pointer::Pointer;
use crate::repo::BlobId;
use crate::repo_path::RepoPath;
use crate::store::blob_map::BlobMap;
use crate::transfer::presence::Questions;
use crate::transfer::upload::{self, Job, Moved, Origin};
use crate::workspace::Workspace;

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// What is in its lake now, or turned out to be.
    pub moved: Moved,
    /// Objects that stay owed, and why.
    pub failures: Vec<(RepoPath, String)>,
    /// How many uploads wait for the user to accept a remote.
    pub unaccepted: BTreeMap<LakeUrl, usize>,
}

/// Uploads what failed because the store lacks it from wherever else it can be had, and returns the report with
/// what came of that. A commit can owe what this clone never had, or has given up because one lake holds it.
pub fn relay_what_is_not_stored(site: &Workspace, report: upload::Report) -> upload::Report {
    let upload::Report { mut moved, failures } = report;
    let (mut jobs, mut left) = (Vec::new(), Vec::new());
    let mut blobs = BlobMap::at(site.store.root(), site.repo.hash_len());
    for (job, failure) in failures {
        let pointer = match failure {
            upload::Failure::NotStored => Some(known_pointer(site, &mut blobs, &job)),
            _ => None,
        };
        let pointer = pointer.flatten();
        match pointer.and_then(|it| supply::job(site, (&job.path, &it), &job.url, job.hash)) {
            Some(relayed) => jobs.push(relayed),
            None => left.push((job, failure)),
        }
    }
    let relayed = site.transfer().relay(jobs);
    moved += relayed.moved;
    left.extend(relayed.failures);
    upload::Report { moved, failures: left }
}

/// Returns a pointer to the object with every source that a pointer of this clone names: a claim names none, and
/// the settings may not name any more where the content was sent.
fn known_pointer(site: &Workspace, blobs: &mut BlobMap, job: &Job) -> Option<Pointer> {
    let mut sources: Vec<SourceUrl> = Vec::new();
    for id in blobs.blobs_of(job.oid).iter().filter_map(|id| BlobId::from_bytes(id)) {
        let Ok(Some((_, pointer))) = site.pointer_of(id) else { continue };
        let is_it = pointer.oid() == job.oid && pointer.size() == job.size;
        let is_right = pointer.check_names(|source| site.config.hash_of(source)).is_ok();
        for source in pointer.sources().iter().filter(|_| is_it && is_right) {
            if !sources.contains(source) {
                sources.push(source.clone());
            }
        }
    }
    let without = || Pointer::new(job.oid, job.size, Vec::new());
    Pointer::new(job.oid, job.size, sources).or_else(|_| without()).ok()
}

/// Uploads what pointers owe, a few thousand pointers at a time.
///
/// Lakes are asked before anything is sent to them, and each receipt is written when it is earned, so
/// the next run goes on where one ended.
pub struct Uploads<'a> {
    site: &'a Workspace,
    accepted: Accepted,
    waiting: Vec<(RepoPath, Pointer)>,
    /// What failed or may not be done is not tried again for another path.
    given_up: HashSet<SourceUrl>,
    report: Report,
}

impl<'a> Uploads<'a> {
    /// Begins; uploads nothing yet.
    ///
    /// # Errors
    /// If the record of accepted remotes cannot be read.
    pub fn begin(site: &'a Workspace) -> Result<Self, PathError> {
        let accepted = site.accepted()?;
        let (waiting, given_up) = Default::default();
        Ok(Self { site, accepted, waiting, given_up, report: Report::default() })
    }

    /// Adds a pointer; now and then this uploads what has come together.
    ///
    /// # Errors
    /// If the local state cannot be read or written.
    pub fn add(&mut self, path: RepoPath, pointer: Pointer) -> Result<(), PathError> {
        if self.site.cancel.is_cancelled() || !self.owes(&path, &pointer)? {
            return Ok(());
        }
        self.waiting.push((path, pointer));
        if self.waiting.len() >= AT_ONCE { self.upload() } else { Ok(()) }
    }

    /// Uploads the rest and says what came of it all.
    ///
    /// # Errors
    /// If the local state cannot be read or written.
    pub fn finish(mut self) -> Result<Report, PathError> {
        self.upload()?;
        Ok(self.report)
    }

    fn owes(&self, path: &RepoPath, pointer: &Pointer) -> Result<bool, PathError> {
        for url in self.site.config.uploads(path, pointer) {
            if self.site.receipts.get(url)?.is_none() && !self.given_up.contains(url) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn upload(&mut self) -> Result<(), PathError> {
        let site = self.site;
        let waiting = std::mem::take(&mut self.waiting);
        let mut questions = Questions::default();
        let mut owed: HashMap<SourceUrl, usize> = HashMap::new();
        for (at, (path, pointer)) in waiting.iter().enumerate() {
            for url in site.config.uploads(path, pointer) {
                let is_open = site.receipts.get(url)?.is_none() && !self.given_up.contains(url);
                if !is_open || owed.contains_key(url) {
                    continue;
                }
                if !self.accepted.contains(&url.lake) {
                    *self.report.unaccepted.entry(url.lake.clone()).or_default() += 1;
                    self.given_up.insert(url.clone());
                    continue;
                }
                owed.insert(url.clone(), at);
                questions.add(url.clone(), Some(pointer.size()));
            }
        }
        let mut jobs: Vec<(Job, Vec<Origin>)> = Vec::new();
        for (url, answer) in site.transfer().ask(questions)? {
            let (path, pointer) = &waiting[owed[&url]];
            let remote = site.config.remote_at(&url.lake).expect("uploads go to remotes");
            match supply::due(site, (path, pointer), &url, remote.hash, answer) {
                Due::Held => self.report.moved.already += 1,
                Due::Send(job, others) => jobs.push((job, others)),
                Due::Hopeless(why) => {
                    self.report.failures.push((path.clone(), why));
                    self.given_up.insert(url);
                }
            }
        }
        let relayed = site.transfer().relay(jobs);
        let report = &mut self.report;
        report.moved += relayed.moved;
        for (job, failure) in relayed.failures {
            report.failures.push((job.path, failure.cause()));
            self.given_up.insert(job.url);
        }
        Ok(())
    }
}
