//! Bringing objects into one more lake, and naming it in their pointers.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::rewrite::Change;
use super::supply::{self, Due};
use super::{AT_ONCE, Item};
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

/// What is to be done so that a lake holds some items, and what was found out for that. Items are named by
/// their position.
#[derive(Debug, Default)]
struct Plan {
    /// The address that each item's object has in the lake, where it can be told.
    sources: Vec<(usize, SourceUrl)>,
    /// Objects to be sent, each once, with the places that they can be read from.
    jobs: Vec<(Job, Vec<Origin>)>,
    /// How many objects are there already.
    already: usize,
    /// Why objects will not be there, by address.
    hopeless: HashMap<SourceUrl, String>,
    /// Why items have no address.
    nameless: Vec<(usize, String)>,
}

/// What would be done so that a lake holds items.
#[derive(Debug, Default)]
pub struct Forecast {
    /// How many objects would be sent.
    pub objects: usize,
    /// How many bytes these are.
    pub bytes: u64,
    /// How many objects are there already.
    pub already: usize,
    /// Items whose object cannot be had, and why.
    pub failures: Vec<(RepoPath, String)>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// What is in the lake now, or was before.
    pub moved: Moved,
    /// Items whose object is not in the lake, and why.
    pub failures: Vec<(RepoPath, String)>,
}

impl Plan {
    /// Returns the items whose object cannot be had, and why.
    fn failures(&self, items: &[Item]) -> impl Iterator<Item = (RepoPath, String)> {
        let hopeless = |(at, source): &(usize, SourceUrl)| Some((*at, self.hopeless.get(source)?));
        let hopeless = self.sources.iter().filter_map(hopeless);
        let failures = hopeless.chain(self.nameless.iter().map(|(at, why)| (*at, why)));
        failures.map(|(at, why)| (items[at].path.clone(), why.clone()))
    }
}

/// Says what [`bring`] would do; sends and fetches nothing.
///
/// # Errors
/// If the local state cannot be read or written.
pub fn foresee(site: &Workspace, items: &[Item], target: &Target) -> Result<Forecast, PathError> {
    let mut forecast = Forecast::default();
    for round in rounds(items, &in_order(items)) {
        let plan = plan(site, items, round, target)?;
        forecast.objects += plan.jobs.len();
        let bytes = size::total(plan.jobs.iter().map(|(job, _)| job.size));
        forecast.bytes = forecast.bytes.saturating_add(bytes);
        forecast.already += plan.already;
        forecast.failures.extend(plan.failures(items));
    }
    forecast.failures.sort_unstable();
    Ok(forecast)
}

/// Brings the objects of items into a lake, a few thousand at a time, and tells `held` which items it
/// holds then, by position, and under which address. Receipts are written as it goes, so that an
/// interrupted run is continued by the next one.
///
/// # Errors
/// If the local state cannot be read or written.
pub fn bring(
    site: &Workspace,
    items: &[Item],
    target: &Target,
    held: &mut dyn FnMut(usize, SourceUrl),
) -> Result<Report, PathError> {
    let mut report = Report::default();
    for round in rounds(items, &in_order(items)) {
        if site.cancel.is_cancelled() {
            break;
        }
        fetch_nameless(site, round.iter().map(|at| &items[*at]), target.hash);
        let mut plan = plan(site, items, round, target)?;
        let relayed = site.transfer().relay(std::mem::take(&mut plan.jobs));
        for (job, failure) in relayed.failures {
            plan.hopeless.insert(job.url, failure.cause());
        }
        report.moved += relayed.moved;
        report.moved.already += plan.already;
        report.failures.extend(plan.failures(items));
        for (at, source) in plan.sources {
            if !plan.hopeless.contains_key(&source) {
                held(at, source);
            }
        }
    }
    report.failures.sort_unstable();
    Ok(report)
}

/// Returns the positions of items in the order of their objects: neighbours in a lake come together, so
/// that a page of its listing answers for many of them.
fn in_order(items: &[Item]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|at| (items[*at].pointer.oid(), *at));
    order
}

/// Splits positions in the order of objects; what is one object stays together.
fn rounds<'a>(items: &'a [Item], order: &'a [usize]) -> impl Iterator<Item = &'a [usize]> {
    let mut left = order;
    let oid = |at: usize| items[at].pointer.oid();
    std::iter::from_fn(move || {
        let last = left.get(AT_ONCE.min(left.len()).checked_sub(1)?)?;
        let count = left.partition_point(|at| oid(*at) <= oid(*last));
        let (round, rest) = left.split_at(count);
        left = rest;
        Some(round)
    })
}

/// Fetches the objects whose name in a lake of this hash can only be told from their bytes.
///
/// What cannot be fetched is left: [`plan`] says so.
fn fetch_nameless<'a>(site: &Workspace, items: impl Iterator<Item = &'a Item>, hash: HashName) {
    let mut downloads = Downloads::new(site.transfer());
    let mut asked = HashSet::new();
    for item in items.filter(|item| hash != HashName::Sha256 && known(site, item, hash).is_none()) {
        let (oid, size) = (item.pointer.oid(), item.pointer.size());
        let is_stored = matches!(site.store.presence(oid, size), Ok(Presence::Stored));
        if !is_stored && asked.insert(oid) {
            downloads.submit(site.wanted(&item.path, &item.pointer));
        }
    }
    // Why one could not be had shows when its bytes are looked for.
    while downloads.wait().is_some() {}
}

/// Finds out what the lake lacks of the items of a round, and where that can be had. Sends nothing.
///
/// An object counts as there by a receipt of the last day, or if the lake shows it with the right size.
///
/// # Errors
/// If the local state cannot be read or written.
fn plan(
    site: &Workspace,
    items: &[Item],
    round: &[usize],
    target: &Target,
) -> Result<Plan, PathError> {
    let mut plan = Plan::default();
    let mut questions = Questions::default();
    let mut wanted: BTreeMap<SourceUrl, usize> = BTreeMap::new();
    for at in round {
        let item = &items[*at];
        let source = match name_in(site, item, target.hash)? {
            Ok(name) => target.url.source(name),
            Err(why) => {
                plan.nameless.push((*at, why));
                continue;
            }
        };
        if wanted.insert(source.clone(), *at).is_none()
            && !is_proved(site, &source, item.pointer.size())?
        {
            questions.add(source.clone(), Some(item.pointer.size()));
        }
        plan.sources.push((*at, source));
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

/// Returns the pointers that do not name these sources yet, with them at the end; what would be too
/// long is a failure.
pub fn changes(items: Vec<Item>, sources: Vec<Vec<SourceUrl>>) -> (Vec<Change>, Vec<RepoPath>) {
    let (mut changes, mut too_long) = (Vec::with_capacity(items.len()), Vec::new());
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
        match Change::new(item, all) {
            Ok(change) => changes.push(change),
            Err(path) => too_long.push(path),
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
        let name = ObjectName::new(&oid.into(), item.path.file_name());
        // The same text is shared.
        let mut there = item.pointer.sources().iter().map(|source| &source.name);
        return Ok(Ok(there.find(|there| **there == name).cloned().unwrap_or(name)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oid::Oid;
    use crate::pointer::Pointer;
    use crate::repo::BlobId;

    fn item(number: usize) -> Item {
        let pointer = Pointer::new(Oid::of(&number.to_be_bytes()), 1, Vec::new());
        let path = RepoPath::parse(b"a").expect("a path");
        let blob = BlobId::from_bytes(&[0; 20]).expect("an id");
        Item { path, blob, unusual_text: None, pointer: pointer.expect("a pointer") }
    }

    #[test]
    fn what_is_one_object_stays_in_one_round() {
        for (objects, copies) in [(0, 1), (1, 3), (AT_ONCE, 1), (AT_ONCE + 1, 1), (AT_ONCE, 3)] {
            let items: Vec<Item> = (0..objects * copies).map(|n| item(n % objects)).collect();
            let order = in_order(&items);
            let mut seen = HashSet::new();
            let mut count = 0;
            for round in rounds(&items, &order) {
                count += round.len();
                assert!(round.len() < AT_ONCE + copies, "{}", round.len());
                let oids: HashSet<Oid> = round.iter().map(|at| items[*at].pointer.oid()).collect();
                assert!(oids.into_iter().all(|oid| seen.insert(oid)), "{objects} {copies}");
            }
            assert_eq!((count, seen.len()), (items.len(), objects));
        }
    }
}
