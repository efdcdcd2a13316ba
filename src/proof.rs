//! The proof before a push: every pointer's object is in a lake that others can reach.
//!
//! A receipt of the last day is proof; what has none is uploaded if it is owed and stored here, else
//! the lakes are asked. A lake that exists on this machine alone proves nothing.

use std::collections::{BTreeMap, HashSet};

use crate::config::file::Remote;
use crate::fs::PathError;
use crate::lake::LakeId;
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;
use crate::owed;
use crate::pointer::{MAX_POINTER_BYTES, Parsed, Pointer, PointerError};
use crate::repo::attributes::LakePaths;
use crate::repo::history::FoundBlob;
use crate::repo::{self, Blob};
use crate::repo_path::RepoPath;
use crate::store::Presence;
use crate::store::queue::Owed;
use crate::store::receipts::Strength;
use crate::transfer::report::with_causes;
use crate::workspace::Workspace;

/// Most paths that are named for one problem.
const SHOWN_PATHS: usize = 5;

/// What the proof came to.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Why the push must not go on, one line each, the most telling first.
    pub problems: Vec<String>,
    /// What a person should know although the push may go on.
    pub notes: Vec<String>,
}

/// Says why a proof could not be attempted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// The local state.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// A pointer that is to be pushed.
struct Item {
    path: RepoPath,
    pointer: Pointer,
}

/// Problems by cause, with the paths that have them.
#[derive(Default)]
struct Problems(BTreeMap<String, Vec<String>>);

impl Problems {
    fn add(&mut self, cause: impl Into<String>, path: &RepoPath) {
        self.0.entry(cause.into()).or_default().push(path.display().into_owned());
    }

    fn into_lines(self) -> Vec<String> {
        let line = |(cause, mut paths): (String, Vec<String>)| {
            let count = paths.len();
            paths.truncate(SHOWN_PATHS);
            let more = match count - paths.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("{count} × {cause}: {}{more}", paths.join(", "))
        };
        self.0.into_iter().map(line).collect()
    }
}

/// Proves that lakes hold what the blobs point to, uploading what is owed on the way.
///
/// # Errors
/// If the repository or the local state cannot be read.
pub fn prove(site: &Workspace, blobs: Vec<FoundBlob>) -> Result<Verdict, Error> {
    let mut problems = Problems::default();
    let items = sort_out(site, blobs, &mut problems)?;
    bind_receipts(site, &items)?;
    let unproven = |site: &Workspace| -> Result<Vec<usize>, PathError> {
        let mut list = Vec::new();
        for (at, item) in items.iter().enumerate() {
            if !missing_remotes(site, item)?.is_proven() {
                list.push(at);
            }
        }
        Ok(list)
    };
    let mut verdict = Verdict::default();
    // What one remote has proved may still be owed to another.
    upload(site, items.iter(), &mut verdict)?;
    ask_lakes(site, unproven(site)?.into_iter().map(|at| &items[at]))?;
    upload_elsewhere(site, unproven(site)?.into_iter().map(|at| &items[at]), &mut verdict)?;
    for item in &items {
        let missing = missing_remotes(site, item)?;
        if !missing.is_somewhere {
            problems.add(cause_of(site, item), &item.path);
        }
        for name in &missing.required {
            problems.add(format!("not in the remote `{name}`, which is required"), &item.path);
        }
    }
    verdict.problems = problems.into_lines();
    Ok(verdict)
}

/// Reads the blobs and keeps the pointers; what should be a pointer and is none is a problem.
fn sort_out(
    site: &Workspace,
    blobs: Vec<FoundBlob>,
    problems: &mut Problems,
) -> Result<Vec<Item>, Error> {
    let index = site.repo.index().map_err(repo::Error::from)?;
    let mut lake_paths = LakePaths::of_work_tree(&site.repo, &index)?;
    let (mut items, mut seen) = (Vec::new(), HashSet::new());
    for FoundBlob { id, path } in blobs {
        let Some(path) = RepoPath::parse(&path) else { continue };
        let bytes = match site.repo.read_blob(id, MAX_POINTER_BYTES as u64)? {
            Blob::Content(bytes) => bytes,
            // Whoever has it got it from the server that it would go to.
            Blob::Missing => continue,
            Blob::TooLong(_) => {
                if lake_paths.contains(&path)? {
                    problems.add(raw_cause(), &path);
                }
                continue;
            }
        };
        match Parsed::of(&bytes) {
            Parsed::Pointer(pointer, _) => {
                match pointer.check_names(|source| site.config.hash_of(source)) {
                    Err(fault) => problems.add(damaged_cause(&fault), &path),
                    Ok(()) if seen.insert((path.clone(), pointer.clone())) => {
                        items.push(Item { path, pointer });
                    }
                    Ok(()) => {}
                }
            }
            Parsed::Damaged(fault) => problems.add(damaged_cause(&fault), &path),
            Parsed::Newer => {}
            Parsed::Content if bytes.is_empty() => {}
            Parsed::Content => {
                if lake_paths.contains(&path)? {
                    problems.add(raw_cause(), &path);
                }
            }
        }
    }
    Ok(items)
}

fn raw_cause() -> String {
    "content in git where a pointer belongs (`git add --renormalize .` and a new commit convert it)"
        .to_owned()
}

fn damaged_cause(fault: &PointerError) -> String {
    format!("a damaged pointer, {fault} (restore the file and commit again)")
}

/// Which lakes an item still needs.
struct Missing {
    is_somewhere: bool,
    required: Vec<String>,
}

impl Missing {
    fn is_proven(&self) -> bool {
        self.is_somewhere && self.required.is_empty()
    }
}

fn missing_remotes(site: &Workspace, item: &Item) -> Result<Missing, PathError> {
    let mut held: HashSet<LakeUrl> = HashSet::new();
    for source in site.config.candidates(&item.pointer, &item.path) {
        let receipt = site.receipts.get(&source)?;
        if receipt.is_some_and(|receipt| receipt.is_fresh() && receipt.size == item.pointer.size())
        {
            held.insert(source.lake);
        }
    }
    let counts = |url: &LakeUrl| site.config.remote_at(url).is_none_or(|remote| !remote.local);
    let required = site.config.remotes.iter().filter(|remote| {
        remote.required && remote.applies_to(&item.path) && !held.contains(&remote.url)
    });
    Ok(Missing {
        is_somewhere: held.iter().any(counts),
        required: required.map(|remote| remote.name.clone()).collect(),
    })
}

/// Lets receipts count only for the lakes that stand at their addresses now; those that cannot be
/// reached are taken to be the same.
fn bind_receipts(site: &Workspace, items: &[Item]) -> Result<(), PathError> {
    let transfer = site.transfer();
    let sources = items.iter().flat_map(|item| site.config.candidates(&item.pointer, &item.path));
    let lakes: HashSet<LakeUrl> = sources.map(|source| source.lake).collect();
    for lake in lakes {
        if let Ok(declaration) = transfer.lakes.at(&lake).declaration() {
            let id = declaration.id.as_ref().map(crate::lake::LakeId::as_str);
            site.receipts.bind(&lake, id)?;
        }
    }
    Ok(())
}

/// Uploads what items still owe, as far as the store has it and the remotes are accepted.
fn upload<'a>(
    site: &Workspace,
    items: impl Iterator<Item = &'a Item>,
    verdict: &mut Verdict,
) -> Result<(), PathError> {
    let stored = items.filter(|item| {
        let presence = site.store.presence(item.pointer.oid(), item.pointer.size());
        presence.is_ok_and(|presence| presence != Presence::Absent)
    });
    let owed = owed::of_pointers(site, stored.map(|item| (&item.path, &item.pointer)))?;
    pay(site, owed, verdict)
}

/// Uploads and notes what did not work out.
fn pay(site: &Workspace, owed: Vec<Owed>, verdict: &mut Verdict) -> Result<(), PathError> {
    let (report, due) = owed::pay(site, owed)?;
    let mut causes: BTreeMap<String, usize> = BTreeMap::new();
    for (_, failure) in &report.failures {
        *causes.entry(with_causes(failure)).or_default() += 1;
    }
    let mut notes: Vec<String> =
        causes.into_iter().map(|(cause, count)| format!("{count} × {cause}")).collect();
    for (url, count) in due.unaccepted {
        notes.push(format!(
            "{count} × not sent to `{url}`, which this clone has not accepted: `git lake trust {url}`"
        ));
    }
    // A second attempt for the same objects has nothing new to tell.
    notes.retain(|note| !verdict.notes.contains(note));
    verdict.notes.extend(notes);
    Ok(())
}

/// Uploads what no lake holds yet to remotes that the pointer does not name but whose readers look
/// there: lakes that were named after the content was added.
fn upload_elsewhere<'a>(
    site: &Workspace,
    items: impl Iterator<Item = &'a Item>,
    verdict: &mut Verdict,
) -> Result<(), PathError> {
    let mut owed = Vec::new();
    for Item { path, pointer } in items {
        let (oid, size) = (pointer.oid(), pointer.size());
        if site.store.presence(oid, size)? == Presence::Absent {
            continue;
        }
        let remotes = site.config.upload_remotes(path).filter(|remote| !remote.local);
        let lakes: HashSet<&LakeUrl> = remotes.map(|remote| &remote.url).collect();
        let candidates = site.config.candidates(pointer, path).into_iter();
        owed.extend(candidates.filter(|url| lakes.contains(&url.lake)).map(|url| {
            let path = path.clone();
            Owed { url, oid, size, path }
        }));
    }
    pay(site, owed, verdict)
}

/// Asks the lakes that are named for what no receipt proves, each lake once for all.
fn ask_lakes<'a>(site: &Workspace, items: impl Iterator<Item = &'a Item>) -> Result<(), PathError> {
    let mut wanted: BTreeMap<LakeUrl, BTreeMap<ObjectName, u64>> = BTreeMap::new();
    for item in items {
        for source in site.config.candidates(&item.pointer, &item.path) {
            let names = wanted.entry(source.lake).or_default();
            names.insert(source.name, item.pointer.size());
        }
    }
    let transfer = site.transfer();
    for (url, names) in wanted {
        let open = transfer.lakes.at(&url);
        let (names, sizes): (Vec<ObjectName>, Vec<u64>) = names.into_iter().unzip();
        let Ok(lake) = open.usable() else { continue };
        let mut proofs = Vec::new();
        for ((name, size), answer) in names.iter().zip(sizes).zip(lake.stat_all(&names)) {
            open.note(&answer);
            if answer.ok().flatten().is_some_and(|info| info.size == size) {
                proofs.push((name.clone(), size, Strength::Size));
            }
        }
        let id = open.declaration().ok().and_then(|declaration| declaration.id.as_ref());
        site.receipts.add(&url, id.map(LakeId::as_str), &proofs)?;
    }
    Ok(())
}

/// Says why nobody else could get the item.
fn cause_of(site: &Workspace, item: &Item) -> String {
    let remotes: Vec<&Remote> = item
        .pointer
        .sources()
        .iter()
        .filter_map(|source| site.config.remote_at(&source.lake))
        .collect();
    if item.pointer.sources().is_empty() && site.config.remotes.is_empty() {
        return "no lake is known (name one with `git lake init URL`)".to_owned();
    }
    if !remotes.is_empty() && remotes.iter().all(|remote| remote.local) {
        return "only in a lake of this machine (name one that others reach with `git lake init URL`)"
            .to_owned();
    }
    let stored = site.store.presence(item.pointer.oid(), item.pointer.size());
    if stored.is_ok_and(|presence| presence != Presence::Absent) {
        "not in any lake yet (`git lake push` uploads it once the lake can be reached)".to_owned()
    } else {
        "not in any lake, and not in this clone either (find a copy of the file and `git add` it again)"
            .to_owned()
    }
}
