//! The proof before a push: every pointer's object is in a lake that others can reach.
//!
//! A receipt of the last day is proof; what has none is uploaded if it is owed and stored here, else
//! the lakes are asked. A lake that exists on this machine alone proves nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use problems::{Problem, Problems};

use crate::config::file::Remote;
use crate::fs::PathError;
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::owed::{self, Due};
use crate::pointer::{Canonical, MAX_POINTER_BYTES, Parsed, Pointer};
use crate::regain::{self, Standing};
use crate::repo::attributes::LakePaths;
use crate::repo::history::FoundBlob;
use crate::repo::{self, Blob};
use crate::repo_path::RepoPath;
use crate::store::Presence;
use crate::store::queue::Owed;
use crate::transfer::presence::{Answer, Questions};
use crate::transfer::upload::{Failure, Report};
use crate::workspace::Workspace;

mod problems;

/// What the proof came to.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Why the push must not go on, one line each, the most telling first.
    pub problems: Vec<String>,
    /// What a person should know although the push may go on.
    pub notes: Vec<String>,
    /// How many objects were uploaded on the way, and how many bytes.
    pub sent: usize,
    /// See [`Self::sent`].
    pub sent_bytes: u64,
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
#[derive(PartialEq, Eq, Hash)]
struct Item {
    path: RepoPath,
    pointer: Pointer,
}

/// What was learned about single objects in single lakes, and what came of uploads.
#[derive(Default)]
struct Findings {
    /// Why an object is not known to be there.
    reasons: HashMap<SourceUrl, String>,
    /// What was uploaded, and what could not be.
    report: Report,
    unaccepted: BTreeMap<LakeUrl, usize>,
}

/// Proves that lakes hold what the blobs point to, uploading what is owed on the way.
///
/// What this clone made is uploaded without a question; about the rest the lakes are asked first, since
/// somebody who may not write there need not try.
///
/// # Errors
/// If the repository or the local state cannot be read.
pub fn prove(site: &Workspace, blobs: Vec<FoundBlob>) -> Result<Verdict, Error> {
    let mut problems = Problems::default();
    let items = sort_out(site, blobs, &mut problems)?;
    if items.is_empty() {
        return Ok(Verdict { problems: problems.into_lines(), ..Verdict::default() });
    }
    bind_receipts(site, &items)?;
    let unproven = |site: &Workspace| -> Result<Vec<&Item>, PathError> {
        let mut list = Vec::new();
        for item in &items {
            if !missing_remotes(site, item)?.is_proven() {
                list.push(item);
            }
        }
        Ok(list)
    };
    let mut findings = Findings::default();
    // What it has claims for it made, and has not sent everywhere.
    let ours = site.queue.claimed(&items.iter().map(|item| item.pointer.oid()).collect())?;
    upload(site, items.iter().filter(|item| ours.contains(&item.pointer.oid())), &mut findings)?;
    ask_lakes(site, unproven(site)?, &mut findings)?;
    // What one remote has proved may still be owed to another.
    upload(site, items.iter(), &mut findings)?;
    let regained = regain(site, unproven(site)?)?;
    if regained > 0 {
        // What failed for want of them may work out now.
        findings.report.failures.retain(|(_, failure)| !failure.is_of_origin());
        upload(site, items.iter(), &mut findings)?;
    }
    upload_elsewhere(site, unproven(site)?, &mut findings)?;
    let mut refused = HashSet::new();
    for item in &items {
        let (missing, oid) = (missing_remotes(site, item)?, item.pointer.oid());
        if !missing.is_proven() {
            refused.insert(oid);
        }
        if !missing.is_somewhere {
            problems.add(nowhere(site, item, &findings), &item.path, Some(oid));
        }
        for remote in &missing.required {
            problems.add(required(site, item, remote, &findings), &item.path, Some(oid));
        }
    }
    let Findings { mut report, unaccepted, .. } = findings;
    if report.moved.sent > 0 {
        owed::settle(site, owed::Look::Index)?;
    }
    // A refusal says why by itself.
    report.failures.retain(|(job, _)| !refused.contains(&job.oid));
    let due = Due { unaccepted, ..Due::default() };
    let mut notes = owed::lines(&report, &due);
    notes.extend((regained > 0).then(|| regain::words(regained)));
    let (sent, sent_bytes) = (report.moved.sent, report.moved.sent_bytes);
    Ok(Verdict { problems: problems.into_lines(), notes, sent, sent_bytes })
}

/// Reads the blobs and keeps the pointers; what should be a pointer and is none is a problem.
fn sort_out(
    site: &Workspace,
    blobs: Vec<FoundBlob>,
    problems: &mut Problems,
) -> Result<Vec<Item>, Error> {
    let index = site.repo.index().map_err(repo::Error::from)?;
    let mut lake_paths = LakePaths::of_work_tree(&site.repo, &index)?;
    let (mut items, mut twins) = (Vec::new(), Vec::new());
    for FoundBlob { id, path } in blobs {
        let Some(path) = RepoPath::parse(&path) else { continue };
        let bytes = match site.repo.read_blob(id, MAX_POINTER_BYTES as u64)? {
            Blob::Content(bytes) => bytes,
            // Whoever has it got it from the server that it would go to.
            Blob::Missing => continue,
            Blob::TooLong(_) => {
                if lake_paths.contains(&path)? {
                    problems.add(problems::raw(), &path, None);
                }
                continue;
            }
        };
        match Parsed::of(&bytes) {
            Parsed::Pointer(pointer, canonical) => {
                match (pointer.check_names(|source| site.config.hash_of(source)), canonical) {
                    (Err(fault), _) => problems.add(problems::damaged(&fault), &path, None),
                    (Ok(()), Canonical::Yes) => items.push(Item { path, pointer }),
                    (Ok(()), Canonical::No) => twins.push(Item { path, pointer }),
                }
            }
            Parsed::Damaged(fault) => problems.add(problems::damaged(&fault), &path, None),
            Parsed::Newer => {}
            Parsed::Content if bytes.is_empty() => {}
            Parsed::Content => {
                if lake_paths.contains(&path)? {
                    problems.add(problems::raw(), &path, None);
                }
            }
        }
    }
    // Two blobs are the same pointer only if their line ends differ.
    if !twins.is_empty() {
        let seen: HashSet<&Item> = items.iter().collect();
        twins.retain(|twin| !seen.contains(twin));
        items.extend(twins);
    }
    Ok(items)
}

/// Which lakes an item still needs.
struct Missing<'a> {
    is_somewhere: bool,
    required: Vec<&'a Remote>,
}

impl Missing<'_> {
    fn is_proven(&self) -> bool {
        self.is_somewhere && self.required.is_empty()
    }
}

fn missing_remotes<'a>(site: &'a Workspace, item: &Item) -> Result<Missing<'a>, PathError> {
    let mut held: HashSet<LakeUrl> = HashSet::new();
    let mut is_somewhere = false;
    for source in site.config.candidates(&item.pointer, &item.path) {
        let receipt = site.receipts.get(&source)?;
        if receipt.is_some_and(|receipt| receipt.is_fresh() && receipt.size == item.pointer.size())
        {
            is_somewhere |= site.is_for_others(&item.pointer, &source);
            held.insert(source.lake);
        }
    }
    let required = site.config.remotes.iter().filter(|remote| {
        remote.required && remote.applies_to(&item.path) && !held.contains(&remote.url)
    });
    Ok(Missing { is_somewhere, required: required.collect() })
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

/// Takes in again what the store has lost and the work tree has; returns how many objects these are.
fn regain(site: &Workspace, unproven: Vec<&Item>) -> Result<usize, PathError> {
    let mut owed = Vec::new();
    let mut count = 0;
    for Item { path, pointer } in unproven {
        if regain::object(site, path, pointer)? == Standing::TakenIn {
            owed.extend(owed::of_pointers(site, [(path, pointer)])?);
            count += 1;
        }
    }
    site.store.sync()?;
    site.queue.add_owed(&owed)?;
    site.queue.sync()?;
    Ok(count)
}

/// Uploads what items still owe, as far as the store has it and the remotes are accepted.
fn upload<'a>(
    site: &Workspace,
    items: impl Iterator<Item = &'a Item>,
    findings: &mut Findings,
) -> Result<(), PathError> {
    let stored = items.filter(|item| {
        let presence = site.store.presence(item.pointer.oid(), item.pointer.size());
        presence.is_ok_and(|presence| presence != Presence::Absent)
    });
    let owed = owed::of_pointers(site, stored.map(|item| (&item.path, &item.pointer)))?;
    pay(site, owed, findings)
}

/// Uploads and notes what did not work out. What failed once is not tried again.
fn pay(site: &Workspace, mut owed: Vec<Owed>, findings: &mut Findings) -> Result<(), PathError> {
    let tried: HashSet<&SourceUrl> =
        findings.report.failures.iter().map(|(job, _)| &job.url).collect();
    owed.retain(|record| !tried.contains(&record.url));
    let urls: Vec<SourceUrl> = owed.iter().map(|record| record.url.clone()).collect();
    let (report, due) = owed::pay(site, owed)?;
    for (job, failure) in &report.failures {
        findings.reasons.insert(job.url.clone(), failure.cause());
    }
    for url in urls.into_iter().filter(|url| due.unaccepted.contains_key(&url.lake)) {
        let reason = format!("this clone has not accepted it: `git lake trust {}`", url.lake);
        findings.reasons.insert(url, reason);
    }
    findings.report.moved += report.moved;
    findings.report.failures.extend(report.failures);
    findings.unaccepted.extend(due.unaccepted);
    Ok(())
}

/// Uploads what no lake holds yet to remotes that the pointer does not name but whose readers look
/// there: lakes that were named after the content was added.
fn upload_elsewhere(
    site: &Workspace,
    items: Vec<&Item>,
    findings: &mut Findings,
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
    pay(site, owed, findings)
}

/// Asks the lakes that are named for what no receipt proves, each lake once for all.
fn ask_lakes(
    site: &Workspace,
    items: Vec<&Item>,
    findings: &mut Findings,
) -> Result<(), PathError> {
    let mut questions = Questions::default();
    for item in items {
        for source in site.config.candidates(&item.pointer, &item.path) {
            let remote = site.config.remote_at(&source.lake);
            if site.is_for_others(&item.pointer, &source)
                || remote.is_some_and(|remote| remote.required)
            {
                questions.add(source, Some(item.pointer.size()));
            }
        }
    }
    for (source, answer) in site.transfer().ask(questions)? {
        let reason = match answer {
            Answer::Held(_) => continue,
            Answer::OtherSize(_) => "an object of another size has its name there".to_owned(),
            Answer::Absent => "it is not there".to_owned(),
            Answer::Unknown(error) => Failure::from(error).cause(),
        };
        // What a failed upload said is more telling.
        findings.reasons.entry(source).or_insert(reason);
    }
    Ok(())
}

/// Says why nobody else could get the item.
fn nowhere(site: &Workspace, item: &Item, findings: &Findings) -> Problem {
    let candidates = site.config.candidates(&item.pointer, &item.path);
    let known: Vec<&SourceUrl> =
        candidates.iter().filter(|source| site.is_for_others(&item.pointer, source)).collect();
    if known.is_empty() {
        let is_local = !candidates.is_empty();
        let state = if is_local { "only in a lake of this machine" } else { "in no lake" };
        return Problem {
            state: state.to_owned(),
            reason: String::new(),
            remedy: "Name one that others reach with `git lake init URL`".to_owned(),
        };
    }
    Problem {
        state: "in no lake that others reach".to_owned(),
        reason: reasons(site, known, findings),
        remedy: remedy(site, item),
    }
}

/// Says why the item is not in a remote that has to have it.
fn required(site: &Workspace, item: &Item, remote: &Remote, findings: &Findings) -> Problem {
    let candidates = site.config.candidates(&item.pointer, &item.path);
    let there = candidates.iter().filter(|source| source.lake == remote.url).collect();
    Problem {
        state: format!("not in the remote `{}`, which is required", remote.name),
        reason: reasons(site, there, findings),
        remedy: remedy(site, item),
    }
}

/// Words what was learned about each lake; a lake may be asked for several names.
fn reasons(site: &Workspace, sources: Vec<&SourceUrl>, findings: &Findings) -> String {
    let mut words: Vec<String> = Vec::new();
    for source in sources {
        let Some(reason) = findings.reasons.get(source) else { continue };
        let lake = match site.config.remote_at(&source.lake) {
            Some(remote) => remote.name.clone(),
            None => source.lake.to_string(),
        };
        let text = format!("`{lake}`: {reason}");
        if !words.contains(&text) {
            words.push(text);
        }
    }
    words.join("; ")
}

/// Says what to do about an object that is in no lake.
fn remedy(site: &Workspace, item: &Item) -> String {
    let stored = site.store.presence(item.pointer.oid(), item.pointer.size());
    if stored.is_ok_and(|presence| presence != Presence::Absent) {
        "The content is in this clone: `git lake push` uploads it as soon as a lake takes it"
            .to_owned()
    } else {
        "The content is not in this clone either: find a copy of each file and `git add` it again"
            .to_owned()
    }
}
