//! Pointers that lie in the work tree, and putting content in their place without git.
//!
//! git never looks into a file whose size differs from what its index says, so replacing a pointer by
//! content behind git's back would make the file look modified for ever. The index is therefore
//! written twice: before, with size 0, which makes git compare content; after, with the stat data
//! of the new files, so that the next `git status` runs no filter. A crash in between costs
//! comparisons, never truth.

use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use crate::fail_point;
use crate::fs::beneath::Parent;
use crate::fs::{PathError, platform, second_of_files, until_next_second};
use crate::oid::Oid;
use crate::pointer::{MAX_POINTER_BYTES, Parsed, Pointer};
use crate::repo::attributes::LakePaths;
use crate::repo::index::Index;
use crate::repo::index_stat::{self, StatChange, StatUpdate};
use crate::repo::{self, BlobId};
use crate::repo_path::RepoPath;
use crate::store::fill_journal::{self, Entry, FillLog};
use crate::store::materialize::Outcome;
use crate::store::{self, Presence};
use crate::transfer::download::Downloads;
use crate::transfer::report::Activity;
use crate::workspace::Workspace;

/// How long another git may hold the index.
const PATIENCE: Duration = Duration::from_secs(5);
/// Files are put in place by so many threads: the disk and the copying are the bound.
const THREADS: usize = 4;
/// git compares so many bytes in about the time that waiting for the next second takes.
const WORTH_WAITING_BYTES: u64 = 256 << 20;

/// A file of the work tree that is a pointer.
#[derive(Debug, Clone)]
pub struct Item {
    /// Where it is.
    pub path: RepoPath,
    /// The blob that the index has there.
    pub blob: BlobId,
    /// The pointer's text as it lies in the work tree.
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

/// Puts the index right where a process died between filling a file and telling the index.
///
/// A file that still is a pointer is left to [`left`]; one that has the content gets its stat data
/// written, after its bytes were verified. Logs of running processes and of other work trees are left
/// alone.
///
/// # Errors
/// If the index is locked or cannot be written; running it again is safe.
pub fn recover(site: &Workspace) -> Result<(), Error> {
    let Some(work_tree) = site.repo.work_tree() else { return Ok(()) };
    let (index_path, hash_len) = (site.repo.index_path(), site.repo.hash_len());
    let logs = fill_journal::read_all(site.store.root())?.into_iter();
    let logs: Vec<_> = logs.filter(|log| !log.is_running && log.index_path == index_path).collect();
    if logs.is_empty() {
        return Ok(());
    }
    let index = site.repo.index()?;
    let mut changes = Vec::new();
    for entry in logs.iter().flat_map(|log| &log.entries) {
        let there = index.entry_at(entry.path.as_bytes()).map(|there| there.id);
        let blob = BlobId::parse_hex(entry.blob.as_bytes()).filter(|blob| there == Some(*blob));
        let parent = Parent::open(work_tree, &entry.path).ok().flatten();
        let file = parent.and_then(|parent| parent.open_file().ok());
        let (Some(id), Some(mut file)) = (blob, file) else { continue };
        let Ok(metadata) = file.metadata() else { continue };
        let hashed = crate::digest::hash_reader(&mut file, &[]);
        if metadata.len() == entry.size && hashed.is_ok_and(|hashed| hashed.oid == entry.oid) {
            let path = entry.path.clone();
            changes.push(StatChange { path, id, stat: StatUpdate::Of(metadata) });
        }
    }
    if !changes.is_empty() {
        index_stat::patch(index_path, hash_len, &changes, PATIENCE)?;
    }
    for log in logs {
        log.remove()?;
    }
    Ok(())
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
        let Some(text) = read_beneath(work_tree, &path) else { continue };
        let Parsed::Pointer(pointer, _) = Parsed::of(&text) else { continue };
        let same = matches!(site.pointer_of(entry.id)?, Some((_, there)) if there == pointer);
        if same && lake_paths.contains(&path)? {
            items.push(Item { path, blob: entry.id, text, pointer });
        }
    }
    Ok(items)
}

fn read_beneath(work_tree: &std::path::Path, path: &RepoPath) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let file = Parent::open(work_tree, path).ok()??.open_file().ok()?;
    let mut text = Vec::new();
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
    unavailable: &HashMap<Oid, String>,
    log: Option<FillLog>,
) -> Result<Report, Error> {
    let mut report = Report::default();
    let (ready, missing): (Vec<Item>, Vec<Item>) =
        items.into_iter().partition(|item| !unavailable.contains_key(&item.pointer.oid()));
    for item in missing {
        report.failures.push((item.path, unavailable[&item.pointer.oid()].clone()));
    }
    if ready.is_empty() {
        end(site, log);
        return Ok(report);
    }
    let log = Some(match log {
        Some(log) => log,
        None => write_down(site, &ready)?,
    });
    let filled = log.as_ref().map_or(Ok(()), FillLog::sync).map_err(Error::Path);
    let filled = filled.and_then(|()| fill_between(site, &ready, &mut report));
    match filled {
        Ok(Known::Yes) => end(site, log),
        // `recover` finds out from the log which files the index does not know.
        Ok(Known::No) => drop(log),
        Err(error) => {
            end(site, log);
            return Err(error);
        }
    }
    Ok(report)
}

/// Whether the index knows what was filled.
enum Known {
    Yes,
    No,
}

/// Fills, and writes the index before and after; with an error nothing was filled.
fn fill_between(site: &Workspace, ready: &[Item], report: &mut Report) -> Result<Known, Error> {
    let (index_path, hash_len) = (site.repo.index_path(), site.repo.hash_len());
    let change = |item: &Item, stat| StatChange { path: item.path.clone(), id: item.blob, stat };
    let before: Vec<_> = ready.iter().map(|item| change(item, StatUpdate::SizeZero)).collect();
    fail_point::reach("fill-begins");
    index_stat::patch(index_path, hash_len, &before, PATIENCE)?;
    fail_point::reach("fill-marked");
    let all: Vec<usize> = (0..ready.len()).collect();
    let (mut filled, damaged) = put_in_place(site, ready, &all, report);
    if !damaged.is_empty() {
        filled.extend(fill_again(site, ready, damaged, report));
    }
    fail_point::reach("fill-placed");
    let after: Vec<_> = settled(site, ready, filled)
        .into_iter()
        .map(|(at, metadata)| change(&ready[at], StatUpdate::Of(metadata)))
        .collect();
    // Without this step git compares each file once more, and then knows; unless another git has
    // written down how long the pointers were, just before they were replaced.
    if let Err(error) = index_stat::patch(index_path, hash_len, &after, PATIENCE) {
        site.reporter.warn(&format!(
            "{error}. The next `git status` will take longer; a file that it calls modified by mistake is put right by `git lake pull`."
        ));
        return Ok(Known::No);
    }
    Ok(Known::Yes)
}

/// Writes down which files are about to be filled.
fn write_down(site: &Workspace, items: &[Item]) -> Result<FillLog, PathError> {
    let mut log = FillLog::begin(site.store.root(), site.repo.index_path())?;
    let entry = |item: &Item| Entry {
        blob: item.blob.to_string().into(),
        oid: item.pointer.oid(),
        size: item.pointer.size(),
        path: item.path.clone(),
    };
    log.add_all(items.iter().map(entry))?;
    Ok(log)
}

/// Removes a log whose files are all looked after.
fn end(site: &Workspace, log: Option<FillLog>) {
    if let Some(Err(error)) = log.map(FillLog::end) {
        site.reporter.warn(&format!("Could not tidy up: {error}"));
    }
}

/// Returns the stat data that the index may have: those of files that were written in an earlier
/// second than they are looked at in now, and not changed since they were filled.
///
/// A file that somebody changes within the second of its time of modification, without changing its
/// size, would look unchanged for ever. Such entries keep size 0, which costs git one comparison;
/// where that would take long, waiting for the next second is cheaper.
fn settled(site: &Workspace, items: &[Item], filled: Filled) -> Filled {
    let look = |filled: Filled| -> (Filled, Filled) {
        // The second is that of before the look: what changes afterwards gets this one or a later one.
        let second = second_of_files();
        let same = filled.into_iter().filter_map(|(at, before)| {
            let now = look_again(site, &items[at].path, &before)?;
            Some((at, now))
        });
        same.partition(|(_, metadata)| seconds_of(metadata).is_some_and(|then| then < second))
    };
    let (mut settled, racy) = look(filled);
    let racy_bytes: u64 = racy.iter().map(|(_, metadata)| metadata.len()).sum();
    if racy_bytes >= WORTH_WAITING_BYTES {
        std::thread::sleep(until_next_second());
        settled.extend(look(racy).0);
    }
    settled
}

/// Returns the stat data of a file that is as it was left.
fn look_again(site: &Workspace, path: &RepoPath, before: &Metadata) -> Option<Metadata> {
    let parent = Parent::open(site.repo.work_tree()?, path).ok()??;
    let now = parent.open_file().ok()?.metadata().ok()?;
    let is_same = platform::inode(&now) == platform::inode(before)
        && now.len() == before.len()
        && now.modified().ok() == before.modified().ok();
    is_same.then_some(now)
}

fn seconds_of(metadata: &Metadata) -> Option<u64> {
    let since = metadata.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

/// Gets the objects into the store; returns those that could not be had, and why.
pub fn fetch(site: &Workspace, items: &[Item]) -> HashMap<Oid, String> {
    let mut downloads = Downloads::new(site.transfer());
    let (mut asked, mut failed) = (HashSet::new(), HashMap::new());
    let mut take = |done: crate::transfer::download::Done| {
        if let Err(failure) = done.result {
            failed.insert(done.oid, failure.to_string());
        }
    };
    for item in items {
        let (oid, size) = (item.pointer.oid(), item.pointer.size());
        let is_stored = matches!(site.store.presence(oid, size), Ok(Presence::Stored));
        if !is_stored && asked.insert(oid) {
            downloads.submit(site.wanted(&item.path, &item.pointer));
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

/// New stat data by position in a list of items.
type Filled = Vec<(usize, Metadata)>;

/// Fetches objects that turned out to be damaged in the store, and fills their files.
fn fill_again(
    site: &Workspace,
    items: &[Item],
    damaged: Vec<usize>,
    report: &mut Report,
) -> Filled {
    let wanted: Vec<Item> = damaged.iter().map(|at| items[*at].clone()).collect();
    let unavailable = fetch(site, &wanted);
    let reason = |at: &usize| unavailable.get(&items[*at].pointer.oid());
    let (lost, fetched): (Vec<usize>, Vec<usize>) =
        damaged.into_iter().partition(|at| reason(at).is_some());
    for at in lost {
        report.failures.push((items[at].path.clone(), reason(&at).cloned().unwrap_or_default()));
    }
    let (filled, damaged) = put_in_place(site, items, &fetched, report);
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
    items: &[Item],
    which: &[usize],
    report: &mut Report,
) -> (Filled, Vec<usize>) {
    let bytes = which.iter().map(|at| items[*at].pointer.size()).sum();
    site.reporter.expect(Activity::Filling, which.len() as u64, bytes);
    let work_tree = site.repo.work_tree().expect("items lie in one");
    let (store, reporter, cancel) = (&*site.store, &*site.reporter, &site.cancel);
    let next = AtomicUsize::new(0);
    let results = Mutex::new((Vec::new(), Vec::new(), Vec::new()));
    let work = || {
        while let Some(&at) = which.get(next.fetch_add(1, Ordering::Relaxed)) {
            let item = &items[at];
            let (oid, size) = (item.pointer.oid(), item.pointer.size());
            let advanced = |bytes| {
                reporter.moved(bytes);
                !cancel.is_cancelled()
            };
            let outcome = match cancel.is_cancelled() {
                true => Ok(Outcome::Interrupted),
                false => store.materialize(work_tree, &item.path, &item.text, oid, size, &advanced),
            };
            reporter.finished_object();
            let mut results = results.lock().expect("no holder panics");
            match outcome {
                Ok(Outcome::Filled(metadata)) => results.0.push((at, metadata)),
                // Somebody changed or deleted the file meanwhile: it is theirs.
                Ok(Outcome::Changed | Outcome::Gone) => {}
                Ok(Outcome::Interrupted) => results.1.push((at, "Interrupted".to_owned())),
                Ok(Outcome::NotStored) => {
                    results.1.push((at, "The object vanished from the store".to_owned()));
                }
                Err(error @ store::Error::Damaged { .. }) => {
                    reporter.warn(&error.to_string());
                    results.2.push(at);
                }
                Err(error) => results.1.push((at, error.to_string())),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..THREADS.min(which.len()) {
            scope.spawn(work);
        }
        work();
    });
    reporter.end();
    let (filled, failed, damaged) = results.into_inner().expect("no holder panics");
    report.filled += filled.len();
    report.bytes += filled.iter().map(|(at, _)| items[*at].pointer.size()).sum::<u64>();
    let failed = failed.into_iter().map(|(at, reason)| (items[at].path.clone(), reason));
    report.failures.extend(failed);
    (filled, damaged)
}
