//! Pointers that lie in the work tree, and putting content in their place without git; or the other way.
//!
//! git never looks into a file whose size differs from what its index says, so replacing a pointer by
//! content behind git's back would make the file look modified for ever. The index is therefore
//! written twice: before, with size 0, which makes git compare content; after, with the stat data
//! of the new files, so that the next `git status` runs no filter. A crash in between costs
//! comparisons, never truth.

use std::collections::{HashMap, HashSet};
use std::ops::AddAssign;

use exchange::{Changed, exchange};

use crate::fs::beneath::Tree;
use crate::fs::{IoContext as _, PathError};
use crate::oid::Oid;
use crate::parallel;
use crate::pointer::{MAX_POINTER_BYTES, Parsed, Pointer};
use crate::repo::attributes::LakePaths;
use crate::repo::index::Index;
use crate::repo::index_stat;
use crate::repo::{self, BlobId};
use crate::repo_path::RepoPath;
use crate::size;
use crate::store::fill_journal::FillLog;
use crate::store::materialize::Outcome;
use crate::store::{self, Presence};
use crate::transfer::download::{Downloads, Failure};
use crate::transfer::report::Activity;
use crate::workspace::Workspace;

pub mod drop;
mod exchange;

pub use exchange::recover;
pub(crate) use exchange::{PATIENCE, settled};

/// Files are put in place by so many threads: the disk and the copying are the bound.
const THREADS: usize = 4;
/// A file of the work tree that is a pointer, or is to become one.
#[derive(Debug, Clone)]
pub struct Item {
    /// Where it is.
    pub path: RepoPath,
    /// The blob that the index has there.
    pub blob: BlobId,
    /// The pointer's text as it lies in the work tree, or is to lie there.
    pub text: Vec<u8>,
    /// The pointer.
    pub pointer: Pointer,
}

/// What came of filling.
#[derive(Debug, Default)]
pub struct Report {
    /// How many files have their content now.
    pub filled: usize,
    /// How many bytes these are.
    pub bytes: u64,
    /// Files that are still pointers, and why.
    pub failures: Vec<(RepoPath, String)>,
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.filled += other.filled;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.failures.extend(other.failures);
    }
}

/// Says why nothing could be filled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What a dead process left behind cannot be read.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The index cannot be read.
    #[error(transparent)]
    Read(#[from] repo::index::Error),
    /// The index cannot be written.
    #[error(transparent)]
    Index(#[from] index_stat::Error),
}

/// Finds the files of the work tree that are exactly the pointer that the index has for them.
///
/// Deleted, modified and filled files are not among them, nor paths outside a sparse checkout or
/// without the attribute. With `only`, no other paths are looked at.
///
/// # Errors
/// If attributes or blobs cannot be read.
pub fn left(
    site: &Workspace,
    index: &Index,
    only: Option<&HashSet<Vec<u8>>>,
) -> Result<Vec<Item>, repo::Error> {
    let Some(work_tree) = site.repo.work_tree() else {
        return Ok(Vec::new());
    };
    // What cannot be opened is no pointer of ours.
    let Ok(tree) = Tree::open(work_tree) else { return Ok(Vec::new()) };
    let mut lake_paths = LakePaths::of_work_tree(&site.repo, index)?;
    let mut items = Vec::new();
    for entry in index.entries() {
        let is_candidate = entry.stage == 0
            && entry.kind.is_file()
            && !entry.is_skip_worktree
            && !entry.is_intent_to_add
            // git wrote down how long the file is that it made; 0 says that it does not know.
            && entry.size as usize <= MAX_POINTER_BYTES
            && only.is_none_or(|only| only.contains(entry.path));
        let path = RepoPath::parse(entry.path).filter(|_| is_candidate);
        let Some(path) = path.filter(|path| !path.enters_git_dir()) else { continue };
        let shown = crate::repo_path::join(work_tree, &path);
        let is_short = |len| (1..=MAX_POINTER_BYTES as u64).contains(&len);
        let metadata = std::fs::symlink_metadata(&shown);
        if !metadata.is_ok_and(|metadata| metadata.is_file() && is_short(metadata.len())) {
            continue;
        }
        let Some(text) = read_pointer(&tree, &path) else { continue };
        let Parsed::Pointer(pointer, _) = Parsed::of(&text) else { continue };
        let same = matches!(site.pointer_of(entry.id)?, Some((_, there)) if there == pointer);
        if same && lake_paths.contains(&path)? {
            items.push(Item { path, blob: entry.id, text, pointer });
        }
    }
    Ok(items)
}

fn read_pointer(tree: &Tree, path: &RepoPath) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let (file, metadata) = tree.open_file(path).ok()?;
    let mut text = Vec::with_capacity(metadata.len().min(MAX_POINTER_BYTES as u64) as usize + 1);
    file.take(MAX_POINTER_BYTES as u64 + 1).read_to_end(&mut text).ok()?;
    Some(text)
}

/// Puts content in the place of pointers; goes on after failures.
///
/// `unavailable` says which objects cannot be had and why, as [`fetch`] found out; all others must be
/// in the store. `log` has the files, where that was written down before; else it is now.
///
/// # Errors
/// If the index is locked, split or cannot be written: nothing was filled then.
pub fn fill(
    site: &Workspace,
    items: Vec<Item>,
    unavailable: &HashMap<Oid, Failure>,
    log: Option<FillLog>,
) -> Result<Report, Error> {
    let mut report = Report::default();
    let (ready, missing): (Vec<Item>, Vec<Item>) =
        items.into_iter().partition(|item| !unavailable.contains_key(&item.pointer.oid()));
    for item in missing {
        report.failures.push((item.path, unavailable[&item.pointer.oid()].to_string()));
    }
    if ready.is_empty() {
        exchange::end(site, log);
        return Ok(report);
    }
    let top = site.repo.work_tree().expect("items lie in one");
    let tree = Tree::open(top).context(top)?;
    exchange(site, &ready, log, || {
        let all: Vec<usize> = (0..ready.len()).collect();
        let (mut filled, damaged) = put_in_place(site, &tree, &ready, &all, &mut report);
        if !damaged.is_empty() {
            filled.extend(fill_again(site, &tree, &ready, damaged, &mut report));
        }
        filled
    })?;
    Ok(report)
}

/// Gets the objects into the store; returns those that could not be had, and why.
pub fn fetch<'a>(
    site: &Workspace,
    items: impl IntoIterator<Item = (&'a RepoPath, &'a Pointer)>,
) -> HashMap<Oid, Failure> {
    let mut downloads = Downloads::new(site.transfer());
    let (mut asked, mut failed) = (HashSet::new(), HashMap::new());
    let mut take = |done: crate::transfer::download::Done| {
        if let Err(failure) = done.result {
            failed.insert(done.oid, failure);
        }
    };
    for (path, pointer) in items {
        let (oid, size) = (pointer.oid(), pointer.size());
        let is_stored = matches!(site.store.presence(oid, size), Ok(Presence::Stored));
        if !is_stored && asked.insert(oid) {
            downloads.submit(site.wanted(path, pointer));
        }
        while let Some(done) = downloads.try_next() {
            take(done);
        }
    }
    while let Some(done) = downloads.wait() {
        take(done);
    }
    drop(downloads);
    if let Err(error) = site.store.sync() {
        site.reporter
            .warn(&format!("Could not make fetched objects safe from power loss: {error}"));
    }
    failed
}

/// Fetches objects that turned out to be damaged in the store, and fills their files.
fn fill_again(
    site: &Workspace,
    tree: &Tree,
    items: &[Item],
    damaged: Vec<usize>,
    report: &mut Report,
) -> Changed {
    let wanted = damaged.iter().map(|at| (&items[*at].path, &items[*at].pointer));
    let unavailable = fetch(site, wanted);
    let reason = |at: &usize| unavailable.get(&items[*at].pointer.oid());
    let (lost, fetched): (Vec<usize>, Vec<usize>) =
        damaged.into_iter().partition(|at| reason(at).is_some());
    for at in lost {
        let reason = reason(&at).map(ToString::to_string);
        report.failures.push((items[at].path.clone(), reason.unwrap_or_default()));
    }
    let (filled, damaged) = put_in_place(site, tree, items, &fetched, report);
    for at in damaged {
        let reason = "The object was damaged again right after it was fetched".to_owned();
        report.failures.push((items[at].path.clone(), reason));
    }
    filled
}

/// Puts content in place, side by side, of the items at these positions; returns what was filled, and
/// whose object turned out to be damaged and was set aside.
fn put_in_place(
    site: &Workspace,
    tree: &Tree,
    items: &[Item],
    which: &[usize],
    report: &mut Report,
) -> (Changed, Vec<usize>) {
    let bytes = size::total(which.iter().map(|at| items[*at].pointer.size()));
    site.reporter.expect(Activity::Filling, which.len() as u64, bytes);
    let (store, reporter, cancel) = (&*site.store, &*site.reporter, &site.cancel);
    let outcomes = parallel::map(THREADS, which.len(), |position| {
        let item = &items[which[position]];
        let (oid, size) = (item.pointer.oid(), item.pointer.size());
        let advanced = |bytes| {
            reporter.moved(bytes);
            !cancel.is_cancelled()
        };
        let outcome = match cancel.is_cancelled() {
            true => Ok(Outcome::Interrupted),
            false => store.materialize(tree, &item.path, &item.text, oid, size, &advanced),
        };
        reporter.finished_object();
        outcome
    });
    reporter.end();
    let (mut filled, mut damaged) = (Changed::new(), Vec::new());
    for (&at, outcome) in which.iter().zip(outcomes) {
        let reason = match outcome {
            Ok(Outcome::Filled(metadata)) => {
                report.filled += 1;
                report.bytes = report.bytes.saturating_add(items[at].pointer.size());
                filled.push((at, metadata));
                continue;
            }
            // Somebody changed or deleted the file meanwhile: it is theirs.
            Ok(Outcome::Changed | Outcome::Gone) => continue,
            Ok(Outcome::Interrupted) => "Interrupted".to_owned(),
            Ok(Outcome::NotStored) => "The object vanished from the store".to_owned(),
            Err(error @ store::Error::Damaged { .. }) => {
                reporter.warn(&error.to_string());
                damaged.push(at);
                continue;
            }
            Err(error) => error.to_string(),
        };
        report.failures.push((items[at].path.clone(), reason));
    }
    (filled, damaged)
}
