//! Files of the work tree that change behind git's back, between two writes of the index.
//!
//! The first write says that the sizes of the files are not known, which makes git compare their content; the
//! second one has the stat data of the new files. What is about to change is written down before, so that
//! what a kill left in between is put right later.

use std::fs::Metadata;
use std::io::Read as _;
use std::time::{Duration, SystemTime};

use super::{Error, Item};
use crate::fail_point;
use crate::fs::beneath::Tree;
use crate::fs::{IoContext as _, PathError, Stamp, second_of_files, until_next_second};
use crate::pointer::MAX_POINTER_BYTES;
use crate::repo::BlobId;
use crate::repo::index_stat::{self, StatChange, StatUpdate};
use crate::repo_path::RepoPath;
use crate::store::fill_journal::{self, Entry, FillLog};
use crate::workspace::Workspace;

/// How long another git may hold the index.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// git compares so many bytes in about the time that waiting for the next second takes.
const WORTH_WAITING_BYTES: u64 = 256 << 20;

/// New stat data by position in a list of items.
pub(super) type Changed = Vec<(usize, Metadata)>;

/// Lets `change` exchange files of the work tree and tells git what became of them.
///
/// `log` has the files, where that was written down before; else it is now. What cannot be told to git
/// in the end is left to [`recover`].
///
/// # Errors
/// If the index is locked, split or cannot be written: nothing was changed then.
pub(super) fn exchange(
    site: &Workspace,
    items: &[Item],
    log: Option<FillLog>,
    change: impl FnOnce() -> Changed,
) -> Result<(), Error> {
    let log = match log {
        Some(log) => log,
        None => write_down(site, items)?,
    };
    let told = log.sync().map_err(Error::Path).and_then(|()| between(site, items, change));
    // With the log `recover` finds out which files the index does not know.
    match told {
        Ok(Told::No) => drop(log),
        Ok(Told::Yes) | Err(_) => end(site, Some(log)),
    }
    told.map(drop)
}

/// Whether the index knows what was changed.
enum Told {
    Yes,
    No,
}

fn between(
    site: &Workspace,
    items: &[Item],
    change: impl FnOnce() -> Changed,
) -> Result<Told, Error> {
    let (index_path, hash_len) = (site.repo.index_path(), site.repo.hash_len());
    let entry = |item: &Item, stat| StatChange { path: item.path.clone(), id: item.blob, stat };
    let before: Vec<_> = items.iter().map(|item| entry(item, StatUpdate::SizeZero)).collect();
    fail_point::reach("fill-begins");
    index_stat::patch(index_path, hash_len, &before, PATIENCE)?;
    fail_point::reach("fill-marked");
    let changed = change();
    fail_point::reach("fill-placed");
    let after: Vec<_> = settled(site, changed, |at| items[*at].path.clone())
        .into_iter()
        .map(|(at, metadata)| entry(&items[at], StatUpdate::Of(metadata)))
        .collect();
    // Without this step git compares each file once more, and then knows; unless another git has
    // written down how long the files were, just before they were replaced.
    if let Err(error) = index_stat::patch(index_path, hash_len, &after, PATIENCE) {
        site.reporter.warn(&format!(
            "{error}. The next `git status` will take longer; a file that it calls modified by mistake is put right by `git lake pull`."
        ));
        return Ok(Told::No);
    }
    Ok(Told::Yes)
}

/// Writes down which files are about to change.
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
pub(super) fn end(site: &Workspace, log: Option<FillLog>) {
    if let Some(Err(error)) = log.map(FillLog::end) {
        site.reporter.warn(&format!("Could not tidy up: {error}"));
    }
}

/// Puts the index right where a process died between filling a file and telling the index.
///
/// A file that has its content, or is the pointer that the index has, gets its stat data written, after its
/// bytes were verified. Logs of running processes and of other work trees are left
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
    let tree = Tree::open(work_tree).context(work_tree)?;
    let mut changes = Vec::new();
    for entry in logs.iter().flat_map(|log| &log.entries) {
        let there = index.entry_at(entry.path.as_bytes()).map(|there| there.id);
        let blob = BlobId::parse_hex(entry.blob.as_bytes()).filter(|blob| there == Some(*blob));
        let opened = tree.open_file(&entry.path).ok();
        let (Some(id), Some((mut file, metadata))) = (blob, opened) else { continue };
        let is_right = match metadata.len() {
            len if len == entry.size => {
                let hashed = crate::digest::hash_reader(&mut file, &[]);
                hashed.is_ok_and(|hashed| hashed.oid == entry.oid)
            }
            len if len <= MAX_POINTER_BYTES as u64 => {
                let mut text = Vec::new();
                let read = file.take(len).read_to_end(&mut text);
                read.is_ok() && site.repo.blob_id_of(&text).is_ok_and(|blob| blob == id)
            }
            _ => false,
        };
        if is_right {
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

/// Returns the stat data that the index may have: those of files that were written in an earlier
/// second than they are looked at in now, and not changed since.
///
/// A file that somebody changes within the second of its time of modification, without changing its
/// size, would look unchanged for ever. Such entries keep size 0, which costs git one comparison;
/// where that would take long, waiting for the next second is cheaper.
pub(crate) fn settled<T>(
    site: &Workspace,
    files: Vec<(T, Metadata)>,
    path: impl Fn(&T) -> RepoPath,
) -> Vec<(T, Metadata)> {
    let tree = site.repo.work_tree().and_then(|top| Tree::open(top).ok());
    let look = |files: Vec<(T, Metadata)>| -> (Vec<_>, Vec<_>) {
        // The second is that of before the look: what changes afterwards gets this one or a later one.
        let second = second_of_files();
        let same = files.into_iter().filter_map(|(file, before)| {
            let now = look_again(tree.as_ref()?, &path(&file), &before)?;
            Some((file, now))
        });
        same.partition(|(_, metadata)| seconds_of(metadata).is_some_and(|then| then < second))
    };
    let (mut settled, racy) = look(files);
    let racy_bytes: u64 = racy.iter().map(|(_, metadata)| metadata.len()).sum();
    if racy_bytes >= WORTH_WAITING_BYTES {
        std::thread::sleep(until_next_second());
        settled.extend(look(racy).0);
    }
    settled
}

/// Returns the stat data of a file that is as it was left.
fn look_again(tree: &Tree, path: &RepoPath, before: &Metadata) -> Option<Metadata> {
    let (_, now) = tree.open_file(path).ok()?;
    Stamp::of(before).is_of(&now).then_some(now)
}

fn seconds_of(metadata: &Metadata) -> Option<u64> {
    let since = metadata.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}
