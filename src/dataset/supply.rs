//! Getting the content of items into lakes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::site::Site;
use super::{Dataset, Item, State};
use crate::digest::{HashName, Hashed, hash_reader};
use crate::fs::{PathError, Stamp};
use crate::lake::LakeError;
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::object_name::ObjectName;
use crate::repo_path::{RepoPath, os_path_to_bytes};
use crate::transfer::report::with_causes;
use crate::transfer::upload::{Failure, Job, Origin};

/// A lake that content goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its address.
    pub url: LakeUrl,
    /// The hash that it declares.
    pub hash: HashName,
}

/// Why something could not be done for an item.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) cause: String,
    pub(super) is_damage: bool,
}

impl Trouble {
    pub(super) fn new(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), is_damage: false }
    }
}

/// What came of sending some items.
#[derive(Default)]
pub(super) struct Sent {
    /// Of each item: its sources, in the order of the targets.
    pub(super) results: Vec<Result<Vec<SourceUrl>, Trouble>>,
    pub(super) objects: usize,
    pub(super) bytes: u64,
    pub(super) already: usize,
    pub(super) met_damage: bool,
}

/// Where an item's content is, and which names it has.
struct Content {
    path: PathBuf,
    hashed: Hashed,
}

/// Sends the content of items to all targets, each content once to each.
///
/// Content that is in a lake only is fetched for it, unless a target has it already.
///
/// # Errors
/// If there is no room for temporary files.
pub(super) fn send(
    site: &Site,
    dataset: &Dataset,
    items: &[&Item],
    targets: &[Target],
) -> Result<Sent, PathError> {
    let mut sent = Sent::default();
    let held = held(site, items, targets);
    let work = site.temporary()?;
    let mut contents: Vec<Option<Result<Content, Trouble>>> = Vec::new();
    contents.resize_with(items.len(), || None);
    let hashes = extra_hashes(targets);
    let (mut wanted, mut wanted_by) = (Vec::new(), Vec::new());
    let mut files = Vec::new();
    for (at, item) in items.iter().enumerate() {
        match &item.state {
            State::Remote(_) | State::Tracked(_) if held[at].iter().any(Option::is_none) => {
                wanted.extend(item.wanted(work.path().join(at.to_string())));
                wanted_by.push(at);
            }
            State::Remote(_) | State::Tracked(_) | State::Ambiguous(_) => {}
            State::File(stamp) | State::Both(stamp, _) => {
                files.push((at, item.place.path_in(&dataset.folder, &item.file), *stamp));
            }
        }
    }
    let landed = site.transfer.fetch_files(&wanted, &hashes);
    for ((at, wanted), landed) in wanted_by.into_iter().zip(wanted).zip(landed) {
        contents[at] = Some(match landed {
            Ok(landed) => {
                sent.met_damage |= landed.met_damage;
                let copies = held[at].iter().filter(|held| held.is_none()).count() as u64;
                let size = landed.hashed.size;
                site.reporter.sized(copies, size.saturating_mul(copies));
                Ok(Content { path: wanted.path, hashed: landed.hashed })
            }
            Err(failure) => {
                Err(Trouble { cause: with_causes(&failure), is_damage: failure.is_damage() })
            }
        });
    }
    for (at, content) in hash_files(site, &files, &hashes) {
        contents[at] = Some(content);
    }
    let (mut jobs, mut seen) = (Vec::new(), HashSet::new());
    let mut places: Vec<Result<Vec<SourceUrl>, Trouble>> = Vec::new();
    for ((item, held), content) in items.iter().zip(held).zip(&contents) {
        let name = os_path_to_bytes(std::path::Path::new(&item.content_name())).into_owned();
        let mut sources = Vec::new();
        for (target, held) in targets.iter().zip(held) {
            let source = match (held, content) {
                (Some(source), _) => Ok(source),
                (None, Some(Ok(content))) => {
                    let digest = content.hashed.digest(target.hash).expect("it was asked for");
                    let url = target.url.source(ObjectName::new(&digest, &name));
                    if seen.insert(url.clone()) {
                        jobs.push(job(item, url.clone(), target.hash, content));
                        sources.push(Ok(url));
                        continue;
                    }
                    Ok(url)
                }
                (None, Some(Err(trouble))) => Err(trouble.clone()),
                (None, None) => Err(Trouble::new("its content could not be read")),
            };
            // Nothing is to be sent: it is there, or on its way already, or cannot be had.
            site.reporter.finished_object();
            sources.push(source);
        }
        places.push(sources.into_iter().collect());
    }
    let report = site.transfer.upload(jobs);
    (sent.objects, sent.bytes) = (report.moved.sent, report.moved.sent_bytes);
    sent.already = report.moved.already;
    let failures: HashMap<SourceUrl, Trouble> =
        report.failures.into_iter().map(|(job, failure)| (job.url, describe(&failure))).collect();
    for place in places {
        sent.results.push(place.and_then(|sources| {
            let failed = sources.iter().find_map(|source| failures.get(source));
            failed.map_or(Ok(sources.clone()), |trouble| Err(trouble.clone()))
        }));
    }
    Ok(sent)
}

fn describe(failure: &Failure) -> Trouble {
    match failure {
        Failure::Lake(LakeError::SourceChanged { .. }) => {
            Trouble::new("it was changed while it was read")
        }
        Failure::Lake(LakeError::SourceUnreadable { source, .. }) => {
            Trouble::new(format!("it could not be read: {source}"))
        }
        Failure::Lake(LakeError::DamagedThere { object, .. }) => Trouble {
            cause: format!("`{}` holds other bytes under its name", object.lake),
            is_damage: true,
        },
        Failure::Lake(error) => Trouble { cause: with_causes(error), is_damage: error.is_damage() },
        other => Trouble::new(with_causes(other)),
    }
}

fn job(item: &Item, url: SourceUrl, hash: HashName, content: &Content) -> Job {
    let path = RepoPath::parse(&item.path()).expect("names of a folder are parts of a path");
    let (oid, size) = (content.hashed.oid, content.hashed.size);
    Job { url, oid, size, hash, path, from: Origin::File(content.path.clone()) }
}

/// Returns the hashes that names in the targets need.
fn extra_hashes(targets: &[Target]) -> Vec<HashName> {
    let mut hashes: Vec<HashName> = targets.iter().map(|target| target.hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// Returns which sources of items in targets are there, as their lakes say: for each item, by target.
fn held(site: &Site, items: &[&Item], targets: &[Target]) -> Vec<Vec<Option<SourceUrl>>> {
    let mut held = vec![vec![None; targets.len()]; items.len()];
    for (column, target) in targets.iter().enumerate() {
        let mut asked: BTreeMap<ObjectName, Vec<usize>> = BTreeMap::new();
        for (row, item) in items.iter().enumerate() {
            let Some(remote) = item.remote().filter(|_| item.is_away()) else { continue };
            let there = remote.sources().into_iter().find(|source| source.lake == target.url);
            if let Some(source) = there {
                asked.entry(source.name).or_default().push(row);
            }
        }
        let names: Vec<ObjectName> = asked.keys().cloned().collect();
        let open = site.transfer.lakes.at(&target.url);
        // What cannot be asked is sent, which says why it cannot be.
        let Ok(lake) = open.usable() else { continue };
        for (found, (name, rows)) in lake.stat_all(&names).into_iter().zip(asked) {
            if matches!(found, Ok(Some(_))) {
                for row in rows {
                    held[row][column] = Some(target.url.source(name.clone()));
                }
            }
        }
    }
    held
}

/// Hashes files, several at once.
fn hash_files(
    site: &Site,
    files: &[(usize, PathBuf, Stamp)],
    hashes: &[HashName],
) -> Vec<(usize, Result<Content, Trouble>)> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(files.len()));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(files.len()) {
            scope.spawn(|| {
                while let Some((at, path, stamp)) = files.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    if site.is_cancelled() {
                        return;
                    }
                    let content = hash_file(path, *stamp, hashes);
                    results.lock().expect("no holder panics").push((*at, content));
                }
            });
        }
    });
    results.into_inner().expect("no holder panics")
}

fn hash_file(path: &PathBuf, stamp: Stamp, hashes: &[HashName]) -> Result<Content, Trouble> {
    let unreadable = |error: std::io::Error| Trouble::new(format!("it could not be read: {error}"));
    // Uploads open no links; what one leads to is the item.
    let is_link = std::fs::symlink_metadata(path).map_err(unreadable)?.is_symlink();
    let path =
        if is_link { std::fs::canonicalize(path).map_err(unreadable)? } else { path.clone() };
    let hashed =
        File::open(&path).and_then(|file| hash_reader(file, hashes)).map_err(unreadable)?;
    match stamp.is_still(&path) {
        Ok(true) => Ok(Content { path, hashed }),
        Ok(false) | Err(_) => Err(Trouble::new("it was changed while it was read")),
    }
}
