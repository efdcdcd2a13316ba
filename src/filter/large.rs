//! Large objects, which do not go through git's pipe: git gets the pointer, and the content is put in
//! place when git closes the pipe.
//!
//! git holds whatever comes through its pipe in memory whole, and writes it once more. What is put in
//! place behind its back costs neither, but only works when git is done: a process that goes on
//! (the next pick of a rebase) would take the file for changed.

use std::collections::{HashMap, HashSet};

use super::finish::{self, When};
use super::protocol::Request;
use super::smudge;
use crate::config::Checkout;
use crate::fill::{self, Item};
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::repo::BlobId;
use crate::repo_path::RepoPath;
use crate::space::limit;
use crate::store::Presence;
use crate::store::fill_journal::{Entry, FillLog};
use crate::transfer::download::{Downloads, Failure};
use crate::workspace::Workspace;

/// The large files of one checkout.
pub(super) struct Large<'a> {
    site: &'a Workspace,
    /// Whether this process may fill at all, once that was asked.
    is_possible: Option<bool>,
    log: Option<FillLog>,
    items: Vec<Item>,
    asked: HashSet<Oid>,
    downloads: Option<Downloads>,
}

/// What came of filling, for the summary.
pub(super) struct Outcome {
    /// Paths whose content could not be had.
    pub(super) missing: Vec<(RepoPath, Failure)>,
    /// Paths that could not be filled although the content is there.
    pub(super) unfilled: Vec<(RepoPath, String)>,
}

impl<'a> Large<'a> {
    pub(super) fn new(site: &'a Workspace) -> Self {
        let (items, asked) = (Vec::new(), HashSet::new());
        Self { site, is_possible: None, log: None, items, asked, downloads: None }
    }

    /// Returns true if the object is large enough, and git's request such that the file can be put
    /// in place later: git knows the blob and was willing to wait.
    pub(super) fn takes(&mut self, request: &Request, pointer: &Pointer) -> bool {
        pointer.size() > self.site.config.inband_limit
            && request.blob.is_some()
            && self.is_possible()
    }

    fn is_possible(&mut self) -> bool {
        let site = self.site;
        *self.is_possible.get_or_insert_with(|| {
            site.config.checkout == Checkout::Fill
                && site.repo.work_tree().is_some()
                && site.repo.config_bool("core.splitIndex") != Some(true)
                && !site.repo.has_exec_steps()
                // An index that is split or unreadable cannot be patched afterwards.
                && site.repo.index().is_ok_and(|index| !index.is_split())
        })
    }

    /// Takes over a file: git may get the pointer now. Begins to fetch what is not in the store.
    ///
    /// # Errors
    /// If that cannot be written down; the content has to go through the pipe then.
    pub(super) fn add(
        &mut self,
        request: &Request,
        path: &RepoPath,
        text: &[u8],
        pointer: &Pointer,
    ) -> Result<(), crate::fs::PathError> {
        let site = self.site;
        let Some(blob) = request.blob.as_deref().and_then(|hex| BlobId::parse_hex(hex.as_bytes()))
        else {
            return Ok(());
        };
        let log = match &mut self.log {
            Some(log) => log,
            None => self.log.insert(FillLog::begin(site.store.root(), site.repo.index_path())?),
        };
        let (oid, size) = (pointer.oid(), pointer.size());
        let path = path.clone();
        log.add(Entry { blob: blob.to_string().into(), oid, size, path: path.clone() })?;
        // A store that is limited may not have room for all of them.
        if site.config.storage_limit.is_none() {
            self.fetch(&path, pointer);
        }
        self.items.push(Item { path, blob, text: text.to_vec(), pointer: pointer.clone() });
        Ok(())
    }

    /// Begins to fetch an object that is not in the store.
    fn fetch(&mut self, path: &RepoPath, pointer: &Pointer) {
        let (site, oid) = (self.site, pointer.oid());
        let is_stored = matches!(site.store.presence(oid, pointer.size()), Ok(Presence::Stored));
        if !is_stored && self.asked.insert(oid) {
            let downloads = self.downloads.get_or_insert_with(|| Downloads::new(site.transfer()));
            downloads.submit(smudge::wanted(site, path, pointer));
        }
    }

    /// Waits for what is being fetched; returns what could not be had.
    fn wait(&mut self) -> HashMap<Oid, Failure> {
        let mut failures = HashMap::new();
        if let Some(mut downloads) = self.downloads.take() {
            while let Some(done) = downloads.wait() {
                if let Err(failure) = done.result {
                    failures.insert(done.oid, failure);
                }
            }
            finish::sync(self.site, false);
        }
        failures
    }

    /// Puts the content in place; git has written its index and only waits for this process.
    pub(super) fn finish(mut self) -> Outcome {
        let mut outcome = Outcome { missing: Vec::new(), unfilled: Vec::new() };
        if self.items.is_empty() {
            return outcome;
        }
        let items = std::mem::take(&mut self.items);
        for batch in limit::batches(self.site, items, |item| item.pointer.size()) {
            for item in &batch {
                self.fetch(&item.path, &item.pointer);
            }
            let failures = self.wait();
            // The first log has the files of all batches.
            let log = self.log.take();
            put_in_place(self.site, batch, log, &failures, &mut outcome);
            finish::keep_within_limit(self.site, When::InBetween);
            self.asked.clear();
        }
        outcome
    }
}

fn put_in_place(
    site: &Workspace,
    items: Vec<Item>,
    log: Option<FillLog>,
    failures: &HashMap<Oid, Failure>,
    outcome: &mut Outcome,
) {
    let (lost, ready): (Vec<Item>, Vec<Item>) =
        items.into_iter().partition(|item| failures.contains_key(&item.pointer.oid()));
    for item in lost {
        outcome.missing.push((item.path, failures[&item.pointer.oid()].clone()));
    }
    let paths: Vec<RepoPath> = ready.iter().map(|item| item.path.clone()).collect();
    match fill::fill(site, ready, &HashMap::new(), log) {
        Ok(report) => outcome.unfilled.extend(report.failures),
        // Nothing was touched: the files are pointers, and git knows them as such.
        Err(error) => {
            let reason = error.to_string();
            outcome.unfilled.extend(paths.into_iter().map(|path| (path, reason.clone())));
        }
    }
}
