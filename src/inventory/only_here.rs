//! What would be lost with this clone: the proof that remotes hold everything that it has.
//!
//! Everything is what the store has, whether something names it or not, and the content of all work
//! trees. Lakes are asked now; what cannot be asked for proves nothing. What git itself keeps is git's.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::facts::Facts;
use super::work_tree::{Glance, InWorkTree, WorkTree};
use super::{Error, Sum};
use crate::copies::{self, Object};
use crate::digest::{HashName, hash_reader};
use crate::fs::{PathError, platform};
use crate::lake_url::LakeUrl;
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::repo::attributes::LakePaths;
use crate::repo::index::Entry;
use crate::repo::{self, Repo};
use crate::repo_path::{RepoPath, join};
use crate::space::needs::{Need, Needs};
use crate::store::gc::Stored;
use crate::workspace::Workspace;

/// Lakes are asked for so many objects together.
const ASKED_AT_ONCE: usize = 8192;

/// Why something is only here, or may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// A file of a work tree whose content was not added.
    Modified,
    /// A file of a work tree that was never added.
    Untracked,
    /// Nothing names the object any more, and no remote is known to hold it.
    Unreferenced,
    /// None of these lakes is known to hold the object now.
    Unheld(Vec<LakeUrl>),
}

/// Something that is only here, or may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// A path that has it, from the top of this work tree; of another one the whole path.
    pub path: Option<PathBuf>,
    /// The object; `None` of a file that was not added and not read.
    pub oid: Option<Oid>,
    /// Its size in bytes.
    pub size: u64,
    /// Why.
    pub why: Why,
}

/// What the proof came to.
#[derive(Debug, Default)]
pub struct Proof {
    /// Objects that were asked for.
    pub objects: Sum,
    /// What is only here, or may be, by path.
    pub only_here: Vec<Found>,
    /// The lakes that hold something.
    pub holders: BTreeSet<LakeUrl>,
    /// Why lakes are not known to hold something.
    pub doubts: BTreeMap<LakeUrl, String>,
    /// Objects of a store that is shared, which other clones need, or may need, and this one does not.
    pub of_others: Sum,
}

/// An object that is here.
struct Here {
    object: Object,
    path: Option<PathBuf>,
    is_named: bool,
}

/// Files of work trees whose content was not added, with their whole paths.
#[derive(Default)]
struct Files {
    /// Those that nobody has read, by size.
    unread: HashMap<u64, Vec<(PathBuf, Found)>>,
    read: Vec<Found>,
    oids: HashSet<Oid>,
}

impl Files {
    fn add(&mut self, file: Option<(PathBuf, Found)>) {
        if let Some((path, found)) = file {
            self.unread.entry(found.size).or_default().push((path, found));
        }
    }

    /// Returns true if one of the files is the object's content; those that are as long are read.
    fn have_content_of(&mut self, object: &Object) -> bool {
        for (path, mut found) in self.unread.remove(&object.size).into_iter().flatten() {
            // What cannot be read is only here all the same.
            let file = platform::open_regular(&path);
            let hashed = file.and_then(|file| hash_reader(file, &[]));
            found.oid = hashed.ok().map(|hashed| hashed.oid);
            self.oids.extend(found.oid);
            self.read.push(found);
        }
        self.oids.contains(&object.oid)
    }

    fn into_found(self) -> impl Iterator<Item = Found> {
        let unread = self.unread.into_values().flatten().map(|(_, found)| found);
        unread.chain(self.read)
    }
}

/// Finds out what this clone has, and asks lakes that others reach for all of it.
///
/// # Errors
/// If anything of the clone cannot be read: nothing is proved then.
pub fn prove(site: &Workspace) -> Result<Proof, Error> {
    let needs = Needs::find(site)?;
    let stored = needs.stored_by_use();
    let is_stored: HashSet<Oid> = stored.iter().map(|stored| stored.oid).collect();
    let mut found = Finder { site, is_stored, contents: HashMap::new(), files: Files::default() };
    found.look_at(&Place { repo: &site.repo, above: None })?;
    for other in site.repo.other_work_trees()? {
        found.look_at(&Place::other(&other))?;
    }
    let Finder { contents, mut files, .. } = found;
    let mut proof = Proof::default();
    let unnamed = |stored: &&Stored| needs.of(stored.oid).is_none();
    let by_receipts = find_by_receipts(site, stored.iter().filter(unnamed))?;
    for some in stored.chunks(ASKED_AT_ONCE) {
        let mut here = Vec::new();
        for stored in some {
            match (needs.of(stored.oid), by_receipts.get(&stored.oid)) {
                (Some(need), _) => here.push(Here::named(site, need)),
                (None, _) if needs.is_of_others(stored.oid) => proof.of_others.add(stored.size),
                (None, object) => {
                    let object = object.cloned().unwrap_or_else(|| without_sources(stored));
                    here.push(Here { object, path: None, is_named: false });
                }
            }
        }
        proof.ask(site, here, &mut files)?;
    }
    proof.ask(site, contents.into_values().collect(), &mut files)?;
    proof.only_here.extend(files.into_found());
    proof.only_here.sort_by(|a, b| (&a.path, a.oid).cmp(&(&b.path, b.oid)));
    Ok(proof)
}

impl Here {
    fn named(site: &Workspace, need: &Need) -> Self {
        let mut object = need.object.clone();
        // A claim for a pointer that git does not have yet says nothing but the path.
        if object.sources.is_empty()
            && let Ok(pointer) = Pointer::new(object.oid, object.size, Vec::new())
        {
            object.learn(site, &need.path, &pointer);
        }
        Self { object, path: Some(need.path.to_os_path().into_owned()), is_named: true }
    }
}

impl Proof {
    /// Asks for objects, and notes what no lake is sure to hold, but for the content of `files`, which is
    /// told by these: `git status` stores it as well.
    fn ask(
        &mut self,
        site: &Workspace,
        here: Vec<Here>,
        files: &mut Files,
    ) -> Result<(), PathError> {
        if site.cancel.is_cancelled() {
            return Ok(());
        }
        let objects: Vec<Object> = here.iter().map(|here| here.object.clone()).collect();
        let copies = copies::confirm(site, &objects, 1)?;
        for Here { object, path, is_named } in here {
            self.objects.add(object.size);
            self.holders.extend(copies.holders(object.oid).cloned());
            let is_held = copies.are_enough(object.oid, 1);
            if is_held || files.have_content_of(&object) {
                continue;
            }
            let why = match is_named {
                true => Why::Unheld(lakes_of(&object)),
                false => Why::Unreferenced,
            };
            self.only_here.push(Found { path, oid: Some(object.oid), size: object.size, why });
        }
        for (lake, why) in copies.reasons {
            self.doubts.entry(lake).or_insert(why);
        }
        Ok(())
    }
}

fn without_sources(stored: &Stored) -> Object {
    Object { oid: stored.oid, size: stored.size, sources: Vec::new() }
}

fn lakes_of(object: &Object) -> Vec<LakeUrl> {
    let mut lakes: Vec<LakeUrl> = Vec::new();
    for source in &object.sources {
        if !lakes.contains(&source.lake) {
            lakes.push(source.lake.clone());
        }
    }
    lakes
}

/// Returns where objects that nothing names were once proved to be: under the names of their oids.
fn find_by_receipts<'a>(
    site: &Workspace,
    unnamed: impl Iterator<Item = &'a Stored>,
) -> Result<HashMap<Oid, Object>, PathError> {
    let mut objects: HashMap<Oid, Object> =
        unnamed.map(|stored| (stored.oid, without_sources(stored))).collect();
    if objects.is_empty() {
        return Ok(objects);
    }
    let remotes = site.config.remotes.iter();
    for remote in remotes.filter(|remote| !remote.local && remote.hash == HashName::Sha256) {
        for name in site.receipts.names(&remote.url)? {
            if let Some(object) = name.as_oid().and_then(|oid| objects.get_mut(&oid)) {
                object.sources.push(remote.url.source(name));
            }
        }
    }
    Ok(objects)
}

/// Finds out what work trees have that the store has not.
struct Finder<'a> {
    site: &'a Workspace,
    is_stored: HashSet<Oid>,
    /// Content of items.
    contents: HashMap<Oid, Here>,
    /// Content that was not added.
    files: Files,
}

impl Finder<'_> {
    fn look_at(&mut self, place: &Place<'_>) -> Result<(), Error> {
        let (site, repo) = (self.site, place.repo);
        let index = repo.index().map_err(repo::Error::from)?;
        let Some(work_tree) = WorkTree::of(site, repo, &index) else { return Ok(()) };
        let (mut facts, mut lake_paths) = (Facts::of(site), LakePaths::of_work_tree(repo, &index)?);
        let files: Vec<Entry<'_>> = index.entries().filter(|entry| entry.kind.is_file()).collect();
        let glances = work_tree.glance_at(&files);
        // Whether the file is one of the sides.
        let mut conflicts: BTreeMap<RepoPath, bool> = BTreeMap::new();
        for (entry, glance) in files.iter().zip(glances) {
            let Some(path) = RepoPath::parse(entry.path) else { continue };
            let named = if entry.is_intent_to_add { None } else { facts.get(entry.id)? };
            let Some(named) = named else {
                // Content in the place of a pointer that git does not have, or not yet.
                let is_known = matches!(glance, Glance::Unchanged(_)) && !entry.is_intent_to_add;
                if !is_known && lake_paths.contains(&path)? {
                    self.files.add(place.file(&path, Why::Modified));
                }
                continue;
            };
            let state = match entry.stage {
                0 => work_tree.judge(entry, &named, glance)?,
                _ => work_tree.look_into(entry, &named)?,
            };
            if entry.stage != 0 {
                *conflicts.entry(path.clone()).or_default() |= state != InWorkTree::Modified;
            } else if state == InWorkTree::Modified {
                self.files.add(place.file(&path, Why::Modified));
            }
            if state == InWorkTree::Content
                && !self.is_stored.contains(&named.oid)
                && let Some((_, pointer)) = site.pointer_of(entry.id)?
            {
                let new = || Here {
                    object: Object::of(site, &path, &pointer),
                    path: Some(place.shown(&path)),
                    is_named: true,
                };
                let here = self.contents.entry(named.oid).or_insert_with(new);
                here.object.learn(site, &path, &pointer);
            }
        }
        site.reporter.end();
        for (path, _) in conflicts.iter().filter(|(_, is_a_side)| !**is_a_side) {
            self.files.add(place.file(path, Why::Modified));
        }
        for path in repo.untracked()?.iter().filter_map(|path| RepoPath::parse(path)) {
            if lake_paths.contains(&path)? {
                self.files.add(place.file(&path, Why::Untracked));
            }
        }
        Ok(())
    }
}

/// A work tree, with the name that its paths have for people.
struct Place<'a> {
    repo: &'a Repo,
    /// Put before paths; `None` for the work tree of the command.
    above: Option<&'a Path>,
}

impl<'a> Place<'a> {
    fn other(repo: &'a Repo) -> Self {
        Self { repo, above: repo.work_tree() }
    }

    fn shown(&self, path: &RepoPath) -> PathBuf {
        self.above.map_or_else(|| path.to_os_path().into_owned(), |above| join(above, path))
    }

    /// Returns a file whose content was not added, if it has some.
    fn file(&self, path: &RepoPath, why: Why) -> Option<(PathBuf, Found)> {
        let whole_path = join(self.repo.work_tree()?, path);
        let metadata = std::fs::symlink_metadata(&whole_path).ok()?;
        let has_content = metadata.is_file() && metadata.len() > 0;
        let (path, size) = (Some(self.shown(path)), metadata.len());
        has_content.then_some((whole_path, Found { path, oid: None, size, why }))
    }
}
