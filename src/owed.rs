//! What this clone owes to its lakes, and making it good.
//!
//! An upload is owed when a pointer that the index, a ref or a stash references names a source in an
//! upload remote that applies to the path, and no receipt exists. The queue keeps claims, the
//! receipts keep proofs; this module holds one against the other. What lapses (the settings no
//! longer ask for it, nothing references it) is dropped when the queue is compacted.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::config::accepted::Accepted;
use crate::config::{Checkout, UploadAt};
use crate::fs::{PathError, unix_now};
use crate::lake_url::LakeUrl;
use crate::pointer::Pointer;
use crate::regain::{self, Standing};
use crate::repo::history::{self, Commits, Reach, Replacement};
use crate::repo::{self, BlobId, Repo};
use crate::repo_path::RepoPath;
use crate::store::Presence;
use crate::store::queue::{Claims, Compacted, Owed, Remains, Tentative};
use crate::transfer::report::with_causes;
use crate::transfer::upload::{Job, Origin, Report};
use crate::workspace::Workspace;

/// A pointer that nothing references for this long lapses, in seconds.
const LAPSES_AFTER_SECONDS: u64 = 14 * 24 * 60 * 60;

/// Most paths that a line names for one cause.
const SHOWN_PATHS: usize = 3;

/// Uploads that are due, sorted by what can be done about them.
#[derive(Debug, Default)]
pub struct Due {
    /// Those that may start.
    pub jobs: Vec<Job>,
    /// How many wait for the user to accept a remote.
    pub unaccepted: BTreeMap<LakeUrl, usize>,
}

/// Where references to pointers are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// In the index alone: fast, for the end of every `git add`.
    Index,
    /// In refs, stashes and reflogs too, by a scan of the history where it is needed.
    Everywhere,
}

/// Says why it cannot be found out what commits owe.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// The history.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// The local state.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// Returns the uploads that pointers ask for and no receipt settles.
///
/// # Errors
/// If the receipts cannot be read.
pub fn of_pointers<'a>(
    site: &Workspace,
    items: impl IntoIterator<Item = (&'a RepoPath, &'a Pointer)>,
) -> Result<Vec<Owed>, PathError> {
    let mut owed = Vec::new();
    for (path, pointer) in items {
        for url in site.config.uploads(path, pointer) {
            if site.receipts.get(url)?.is_none() {
                let (oid, size) = (pointer.oid(), pointer.size());
                owed.push(Owed { url: url.clone(), oid, size, path: path.clone() });
            }
        }
    }
    Ok(owed)
}

/// Returns the uploads that commits owe to remotes of what they replaced.
///
/// Where one side of a merge gave an item one more remote and the other side gave it new content, the
/// merged pointer is that of the new content and does not name the remote. Readers look there all the
/// same, under the object's name; so the object belongs there. Commits that were rebased or picked are
/// no different. Only what this clone has or is to have is among the result.
///
/// # Errors
/// If the history or the local state cannot be read.
pub fn inherited(site: &Workspace, commits: Commits<'_>) -> Result<Vec<Owed>, InheritError> {
    let mut owed = Vec::new();
    for Replacement { old, new, path } in history::replacements(&site.repo, commits)? {
        let Some(path) = RepoPath::parse(&path) else { continue };
        let (Some((_, old)), Some((_, new))) = (site.pointer_of(old)?, site.pointer_of(new)?)
        else {
            continue;
        };
        if old.oid() == new.oid() {
            continue;
        }
        let (oid, size) = (new.oid(), new.size());
        let is_here = site.store.presence(oid, size)? != Presence::Absent;
        if !is_here
            && (site.config.checkout == Checkout::Pointer || !site.config.wants_content(&path))
        {
            continue;
        }
        let names = |pointer: &Pointer, lake: &LakeUrl| {
            pointer.sources().iter().any(|source| source.lake == *lake)
        };
        let mut lakes: HashSet<&LakeUrl> = site
            .config
            .upload_remotes(&path)
            .filter(|remote| remote.hash.is_writable())
            .map(|remote| &remote.url)
            .filter(|lake| names(&old, lake) && !names(&new, lake))
            .collect();
        for url in site.config.candidates(&new, &path) {
            // One name in each lake is enough.
            if lakes.remove(&url.lake) && site.receipts.get(&url)?.is_none() {
                owed.push(Owed { url, oid, size, path: path.clone() });
            }
        }
    }
    Ok(owed)
}

/// Turns claims into uploads that are owed, and keeps of the queue only what still counts.
///
/// Claims of processes that still run are left to them.
///
/// # Errors
/// If the queue or the receipts cannot be read or written.
pub fn settle(site: &Workspace, look: Look) -> Result<Vec<Owed>, PathError> {
    settle_knowing(site, look, &HashMap::new())
}

/// Does the same; pointers that are in memory need not be read from git.
///
/// # Errors
/// If the queue or the receipts cannot be read or written.
pub fn settle_knowing(
    site: &Workspace,
    look: Look,
    known: &HashMap<BlobId, &Pointer>,
) -> Result<Vec<Owed>, PathError> {
    let mut result = Ok(Vec::new());
    let compacted = site.queue.compact(|claims| match sort_out(site, &claims, look, known) {
        Ok((kept, owed)) => {
            result = Ok(owed);
            kept
        }
        Err(error) => {
            result = Err(error);
            claims
        }
    })?;
    match compacted {
        Compacted::Done => result,
        Compacted::Lossy(remains) => {
            let found = make_good(site, &remains).unwrap_or_else(|error| {
                site.reporter.warn(&format!(
                    "Could not find out what is owed: {}. `git lake push --all` tries again.",
                    with_causes(&error)
                ));
                Vec::new()
            });
            result.map(|owed| owed.into_iter().chain(found).collect())
        }
        // What is due does not depend on who keeps the books.
        Compacted::Busy => sort_out(site, &site.queue.read()?, look, known).map(|(_, owed)| owed),
    }
}

/// Makes good what claims may have been about that are lost, with the objects: what a process leaves when a
/// power cut ends it, and what a disk spoils.
///
/// Looks at what the index, and commits that no remote of git has, name and no receipt proves. An object that
/// nobody has synced is verified; one that is lost is taken in again from the work tree.
fn make_good(site: &Workspace, remains: &Remains) -> Result<Vec<Owed>, InheritError> {
    let (mut owed, mut regained) = (Vec::new(), 0);
    for blob in history::blobs_unpushed_or_indexed(&site.repo)? {
        let Some(path) = RepoPath::parse(&blob.path) else { continue };
        let Some((_, pointer)) = site.pointer_of(blob.id)? else { continue };
        let standing = match site.store.presence(pointer.oid(), pointer.size())? {
            // What a lake was seen to have may have been given up here.
            Presence::Absent if is_proven(site, &path, &pointer)? => continue,
            Presence::Stored => Standing::Stored,
            _ => regain::object(site, &path, &pointer)?,
        };
        regained += usize::from(standing == Standing::TakenIn);
        if standing != Standing::Absent {
            owed.extend(of_pointers(site, [(&path, &pointer)])?);
        }
    }
    if regained > 0 {
        site.reporter.warn(&regain::words(regained));
    }
    site.queue.add_owed(&owed)?;
    site.store.sync()?;
    site.queue.sync()?;
    site.queue.forget(remains)?;
    Ok(owed)
}

/// Returns true if some lake was seen to have the object.
fn is_proven(site: &Workspace, path: &RepoPath, pointer: &Pointer) -> Result<bool, PathError> {
    for source in site.config.candidates(pointer, path) {
        if site.receipts.get(&source)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns what of the claims still counts, and the uploads that are due.
fn sort_out(
    site: &Workspace,
    claims: &Claims,
    look: Look,
    known: &HashMap<BlobId, &Pointer>,
) -> Result<(Claims, Vec<Owed>), PathError> {
    let found = referenced(site, claims, look)?;
    let (mut kept, mut new) = (Claims::default(), Vec::new());
    for record in claims.tentative() {
        let pointer = BlobId::parse_hex(record.blob.as_bytes())
            .filter(|blob| found.contains(blob))
            .and_then(|blob| match known.get(&blob) {
                Some(pointer) => Some(Cow::Borrowed(*pointer)),
                None => site.pointer_of(blob).ok().flatten().map(|(_, read)| Cow::Owned(read)),
            });
        match pointer {
            Some(pointer) => match of_pointers(site, [(&record.path, &*pointer)]) {
                Ok(owed) => new.extend(owed),
                Err(_) => kept.add_tentative(&record),
            },
            // Only who looked everywhere knows that nothing references it.
            None if look == Look::Index || age(&record) < LAPSES_AFTER_SECONDS => {
                kept.add_tentative(&record);
            }
            None => {}
        }
    }
    // A receipt settles a claim; a remote that is not in force any more asks for nothing.
    let is_due = |record: &Owed| {
        let url = &record.url;
        let is_asked_for =
            site.config.upload_remotes(&record.path).any(|remote| remote.url == url.lake);
        is_asked_for && !matches!(site.receipts.get(url), Ok(Some(_)))
    };
    let owed = claims.owed().chain(new).filter(is_due);
    let due = owed.filter(|record| kept.add_owed(record)).collect();
    Ok((kept, due))
}

/// Returns how old a claim is, in seconds.
fn age(record: &Tentative) -> u64 {
    unix_now().saturating_sub(record.since)
}

/// Returns those of the claimed pointers that something references.
fn referenced(site: &Workspace, claims: &Claims, look: Look) -> Result<HashSet<BlobId>, PathError> {
    let blobs = claims.tentative().map(|record| record.blob);
    let mut open: HashSet<BlobId> =
        blobs.filter_map(|blob| BlobId::parse_hex(blob.as_bytes())).collect();
    if open.is_empty() {
        return Ok(open);
    }
    let mut found = HashSet::new();
    let mut note = |id: BlobId| {
        if open.remove(&id) {
            found.insert(id);
        }
    };
    if let Ok(index) = site.repo.index() {
        index.entries().for_each(|entry| note(entry.id));
    }
    // What `git status` cleaned was never written to git's database, so no history can hold it.
    open.retain(|id| matches!(site.pointer_of(*id), Ok(Some(_))));
    if look == Look::Everywhere && !open.is_empty() {
        let reachable = history::blobs_reachable(&site.repo, Reach::RefsAndReflogs);
        for blob in reachable.unwrap_or_default() {
            if open.contains(&blob.id) {
                found.insert(blob.id);
            }
        }
    }
    Ok(found)
}

/// Sorts owed uploads by what can be done about them; each full object URL counts once.
pub fn sort(site: &Workspace, accepted: &Accepted, owed: Vec<Owed>) -> Due {
    let (mut due, mut seen) = (Due::default(), HashSet::new());
    for record in owed {
        let Some(remote) = site.config.remote_at(&record.url.lake) else {
            continue;
        };
        if !seen.insert(record.url.clone()) {
            continue;
        }
        if !accepted.contains(&record.url.lake) {
            *due.unaccepted.entry(record.url.lake).or_default() += 1;
            continue;
        }
        let Owed { url, oid, size, path } = record;
        let (hash, from) = (remote.hash, Origin::Store);
        due.jobs.push(Job { url, oid, size, hash, path, from });
    }
    due
}

/// Uploads what is due and keeps the queue small.
///
/// # Errors
/// If the record of accepted remotes cannot be read.
pub fn pay(site: &Workspace, owed: Vec<Owed>) -> Result<(Report, Due), PathError> {
    let mut due = sort(site, &site.accepted()?, owed);
    let jobs = std::mem::take(&mut due.jobs);
    Ok((site.transfer().upload(jobs), due))
}

/// Words what stays owed and why, one line for each cause, however many objects it concerns.
pub fn lines(report: &Report, due: &Due) -> Vec<String> {
    let mut causes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (job, failure) in &report.failures {
        let named = format!("{} {}", job.path.display(), job.url.name);
        causes.entry(failure.cause()).or_default().insert(named);
    }
    let uploads = |count: usize| match count {
        1 => "1 upload is owed".to_owned(),
        count => format!("{count} uploads are owed"),
    };
    let mut lines = Vec::new();
    for (cause, named) in causes {
        let count = uploads(named.len());
        let paths = named.iter().map(|named| named.rsplit_once(' ').map_or("", |(path, _)| path));
        let mut shown = paths.take(SHOWN_PATHS).collect::<Vec<_>>().join(", ");
        if named.len() > SHOWN_PATHS {
            shown.push_str(&format!(" and {} more", named.len() - SHOWN_PATHS));
        }
        lines.push(format!("{count} ({shown}): {cause}. `git lake push` tries again."));
    }
    for (url, count) in &due.unaccepted {
        let count = uploads(*count);
        lines.push(format!(
            "{count} to `{url}`, which this clone has not accepted: `git lake trust {url}`"
        ));
    }
    lines
}

/// Uploads again what accepted remotes turned out to have lost, or leaves it owed where uploads wait
/// for a push.
///
/// Only what was found absent is sent, under a condition that nothing stands there: a damaged object is
/// never replaced.
///
/// # Errors
/// If the local state cannot be read or written.
pub fn repair(site: &Workspace) -> Result<(Report, Due), PathError> {
    let mut lost = site.take_repairs();
    if !lost.is_empty() {
        let accepted = site.accepted()?;
        lost.retain(|record| accepted.contains(&record.url.lake));
    }
    if lost.is_empty() {
        return Ok((Report::default(), Due::default()));
    }
    // A receipt from better days would settle what is due.
    lost.iter().try_for_each(|record| site.receipts.revoke(&record.url))?;
    site.queue.add_owed(&lost)?;
    if site.config.upload_at == UploadAt::Push {
        return Ok((Report::default(), Due::default()));
    }
    let result = pay(site, lost)?;
    settle(site, Look::Index)?;
    Ok(result)
}

/// Returns true if git uses an index that only a running `git stash` knows.
pub fn is_stash_index(repo: &Repo) -> bool {
    let name = repo.index_path().file_name().unwrap_or_default();
    name.to_string_lossy().starts_with("index.stash.")
}
