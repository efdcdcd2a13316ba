//! Bringing objects into one more lake, and naming it in their pointers.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Item;
use super::rewrite::Change;
use super::supply::{self, Due};
use crate::digest::{Digest, HashName, hash_reader};
use crate::fs::{IoContext as _, PathError};
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::object_name::ObjectName;
use crate::repo_path::RepoPath;
use crate::size;
use crate::store::Presence;
use crate::transfer::download::Downloads;
use crate::transfer::presence::{Answer, Questions};
use crate::transfer::upload::{Job, Moved, Origin};
use crate::workspace::Workspace;

/// A lake that items are to be in.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it is.
    pub url: LakeUrl,
    /// How it names objects.
    pub hash: HashName,
    /// Whether objects that it lacks may be sent to it.
    pub upload: bool,
}

/// What is to be done so that a lake holds items, and what was found out for that.
#[derive(Debug, Default)]
pub struct Plan {
    /// The address that each item's object has in the lake; `None` where it cannot be told.
    sources: Vec<Option<SourceUrl>>,
    /// Objects to be sent, each once, with the places that they can be read from.
    jobs: Vec<(Job, Vec<Origin>)>,
    /// How many objects are there already.
    pub already: usize,
    /// Why objects will not be there, by address.
    hopeless: HashMap<SourceUrl, String>,
    /// Why an item has no address.
    nameless: BTreeMap<usize, String>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// What is in the lake now, or was before.
    pub moved: Moved,
    /// Items whose object is not in the lake, and why.
    pub failures: Vec<(RepoPath, String)>,
    /// Items whose object is there, by position, with its address.
    pub held: Vec<(usize, SourceUrl)>,
}

impl Plan {
    /// Returns how many objects are to be sent, and how many bytes these are.
    pub fn to_send(&self) -> (usize, u64) {
        (self.jobs.len(), size::total(self.jobs.iter().map(|(job, _)| job.size)))
    }

    /// Returns the items whose object cannot be had, and why.
    pub fn failures(&self, items: &[Item]) -> Vec<(RepoPath, String)> {
        let of = |(at, source): (usize, &Option<SourceUrl>)| {
            let why = match source {
                Some(source) => self.hopeless.get(source),
                None => self.nameless.get(&at),
            };
            why.map(|why| (items[at].path.clone(), why.clone()))
        };
        self.sources.iter().enumerate().filter_map(of).collect()
    }
}

/// Fetches the objects whose name in a lake of this hash can only be told from their bytes.
///
/// What cannot be fetched is left: [`plan`] says so.
pub fn fetch_nameless(site: &Workspace, items: &[Item], hash: HashName) {
    let mut downloads = Downloads::new(site.transfer());
    let mut asked = HashSet::new();
    for item in
        items.iter().filter(|item| hash != HashName::Sha256 && known(site, item, hash).is_none())
    {
        let (oid, size) = (item.pointer.oid(), item.pointer.size());
        let is_stored = matches!(site.store.presence(oid, size), Ok(Presence::Stored));
        if !is_stored && asked.insert(oid) {
            downloads.submit(site.wanted(&item.path, &item.pointer));
        }
    }
    // Why one could not be had shows when its bytes are looked for.
    while downloads.wait().is_some() {}
}

/// Finds out what the lake lacks of the items, and where that can be had. Sends nothing.
///
/// An object counts as there by a receipt of the last day, or if the lake shows it with the right size.
///
/// # Errors
/// If the local state cannot be read or written.
pub fn plan(site: &Workspace, items: &[Item], target: &Target) -> Result<Plan, PathError> {
    let mut plan = Plan::default();
    let mut questions = Questions::default();
    let mut wanted: BTreeMap<SourceUrl, usize> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        let source = match name_in(site, item, target.hash)? {
            Ok(name) => Some(target.url.source(name)),
            Err(why) => {
                plan.nameless.insert(at, why);
                None
            }
        };
        if let Some(source) = &source
            && wanted.insert(source.clone(), at).is_none()
            && !is_proved(site, source, item.pointer.size())?
        {
            questions.add(source.clone(), Some(item.pointer.size()));
        }
        plan.sources.push(source);
    }
    let asked = questions.count();
    plan.already = wanted.len() - asked;
    for (source, answer) in site.transfer().ask(questions)? {
        let item = &items[wanted[&source]];
        let due = match answer {
            Answer::Absent if !target.upload => {
                Due::Hopeless(format!("it is not in `{}`", target.url))
            }
            answer => supply::due(site, (&item.path, &item.pointer), &source, target.hash, answer),
        };
        match due {
            Due::Held => plan.already += 1,
            Due::Send(job, others) => plan.jobs.push((job, others)),
            Due::Hopeless(why) => drop(plan.hopeless.insert(source, why)),
        }
    }
    Ok(plan)
}

/// Sends what the lake lacks, and says which items it holds then. Receipts are written as it goes, so
/// that an interrupted run is continued by the next one.
pub fn carry_out(site: &Workspace, items: &[Item], mut plan: Plan) -> Report {
    let relayed = site.transfer().relay(std::mem::take(&mut plan.jobs));
    for (job, failure) in relayed.failures {
        plan.hopeless.insert(job.url, failure.cause());
    }
    let held = plan.sources.iter().enumerate().filter_map(|(at, source)| {
        let source = source.as_ref().filter(|source| !plan.hopeless.contains_key(source))?;
        Some((at, source.clone()))
    });
    let mut moved = relayed.moved;
    moved.already += plan.already;
    Report { moved, held: held.collect(), failures: plan.failures(items) }
}

/// Returns the pointers that do not name these sources yet, with them at the end; what would be too
/// long is a failure.
pub fn changes(items: Vec<Item>, sources: Vec<Vec<SourceUrl>>) -> (Vec<Change>, Vec<RepoPath>) {
    let (mut changes, mut too_long) = (Vec::new(), Vec::new());
    for (item, new) in items.into_iter().zip(sources) {
        let mut all = item.pointer.sources().to_vec();
        let count = all.len();
        for source in new {
            if !all.contains(&source) {
                all.push(source);
            }
        }
        if all.len() == count {
            continue;
        }
        match item.pointer.clone().with_sources(all) {
            Ok(pointer) => changes.push(Change { item, pointer }),
            Err(_) => too_long.push(item.path),
        }
    }
    (changes, too_long)
}

fn is_proved(site: &Workspace, source: &SourceUrl, size: u64) -> Result<bool, PathError> {
    let receipt = site.receipts.get(source)?;
    Ok(receipt.is_some_and(|receipt| receipt.is_fresh() && receipt.size == size))
}

/// Returns the item's name in a lake of a hash, or why it cannot be told.
fn name_in(
    site: &Workspace,
    item: &Item,
    hash: HashName,
) -> Result<Result<ObjectName, String>, PathError> {
    let oid = item.pointer.oid();
    if hash == HashName::Sha256 {
        return Ok(Ok(ObjectName::new(&oid.into(), item.path.file_name())));
    }
    if let Some(name) = known(site, item, hash) {
        return Ok(Ok(name.clone()));
    }
    let digest = match site.store.open(oid)? {
        Some(file) => {
            let path = site.store.object_path(oid);
            let hashed = hash_reader(file, &[hash]).context(&path)?;
            hashed.digest(hash).filter(|_| hashed.oid == oid)
        }
        None => None,
    };
    let name = |digest: Digest| ObjectName::new(&digest, item.path.file_name());
    Ok(digest.map(name).ok_or_else(|| {
        format!("its content is needed for its {hash} name and could not be fetched")
    }))
}

/// Returns the name that another source of the same hash has.
fn known<'a>(site: &Workspace, item: &'a Item, hash: HashName) -> Option<&'a ObjectName> {
    let source = item.pointer.sources().iter().find(|source| {
        let declared = site.config.hash_of(source);
        declared.map_or(source.name.hex().len() == hash.hex_len(), |declared| declared == hash)
    });
    source.map(|source| &source.name)
}
