//! What git and the queue still name of the objects that are in the store.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::copies::Object;
use crate::fs::PathError;
use crate::oid::Oid;
use crate::repo::history::{self, FoundBlob, Reach};
use crate::repo::{self, BlobId, Repo};
use crate::repo_path::RepoPath;
use crate::store::Store;
use crate::store::gc::Stored;
use crate::store::queue::Queue;
use crate::store::shared::Sharer;
use crate::transfer::report::with_causes;
use crate::workspace::{self, Workspace};

/// Says why it cannot be told what is needed. Nothing may be removed then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The history could not be read.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The repository could not be read.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// The local state could not be read or written.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// Who names an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Named {
    /// The index of a work tree.
    pub by_index: bool,
    /// A branch, a tag, a stash or an index; not a reflog alone.
    pub by_refs: bool,
    /// A commit that a remote of git is known to have.
    pub by_pushed: bool,
    /// A claim: a pointer that git may come to use, or an upload that is due.
    pub by_claim: bool,
}

/// An object of the store that something names.
#[derive(Debug)]
pub struct Need {
    /// The object, with everywhere that readers look for it.
    pub object: Object,
    /// A path that has it.
    pub path: RepoPath,
    /// Who names it.
    pub named: Named,
}

/// The objects of the store, and who names them.
#[derive(Debug)]
pub struct Needs {
    stored: HashMap<Oid, Stored>,
    by_oid: HashMap<Oid, Need>,
    /// What other clones need of a store that is shared.
    of_others: Others,
    /// Whether git here has every pointer that may name an object.
    are_complete: bool,
}

impl Needs {
    /// Finds out what is in the store and who names it.
    ///
    /// # Errors
    /// If anything could not be read: what is not known to be named is not known to be free.
    pub fn find(site: &Workspace) -> Result<Self, Error> {
        let mut stored: HashMap<Oid, Stored> = HashMap::new();
        site.store.for_each_object(&mut |one| {
            stored.insert(one.oid, one);
            Ok::<_, PathError>(())
        })?;
        let mut found =
            Finder { site, stored: &stored, needs: HashMap::new(), known: HashMap::new() };
        // First the claims: one that is settled while this goes on is in git by then.
        found.claims()?;
        for reach in [Reach::RefsAndReflogs, Reach::Refs, Reach::Indices, Reach::Pushed] {
            for blob in history::blobs_reachable(&site.repo, reach)? {
                found.name(blob, reach)?;
            }
        }
        let by_oid = found.needs;
        let of_others = Others::find(site, &stored)?;
        // rev-list passes over what a partial clone left on the server.
        Ok(Self { stored, by_oid, of_others, are_complete: !site.repo.is_partial() })
    }

    /// Returns who names an object; `None` if nothing does.
    pub fn of(&self, oid: Oid) -> Option<&Need> {
        self.by_oid.get(&oid)
    }

    /// Returns true if another clone needs an object, or may need it.
    pub fn is_of_others(&self, oid: Oid) -> bool {
        !self.of_others.unreadable.is_empty() || self.of_others.oids.contains(&oid)
    }

    /// Returns why it is not known what other clones need, for each that could not be read.
    pub fn unreadable(&self) -> &[(Sharer, String)] {
        &self.of_others.unreadable
    }

    /// Returns false if pointers may name objects that are not known here.
    pub fn are_complete(&self) -> bool {
        self.are_complete
    }

    /// Returns the objects that something of this kind names.
    pub fn objects(&self, is_meant: impl Fn(&Need) -> bool) -> impl Iterator<Item = Object> {
        self.by_oid.values().filter(move |need| is_meant(need)).map(|need| need.object.clone())
    }

    /// Returns the objects that have claims.
    pub fn claimed(&self) -> impl Iterator<Item = Oid> {
        let claimed = self.by_oid.values().filter(|need| need.named.by_claim);
        claimed.map(|need| need.object.oid)
    }

    /// Returns what is in the store, what nobody used for the longest time first.
    pub fn stored_by_use(&self) -> Vec<Stored> {
        let mut stored: Vec<Stored> = self.stored.values().copied().collect();
        stored.sort_unstable_by_key(|stored| (stored.used, stored.oid));
        stored
    }
}

/// What other clones that share the store need.
#[derive(Debug, Default)]
struct Others {
    oids: HashSet<Oid>,
    /// Clones that could not be read, and why.
    unreadable: Vec<(Sharer, String)>,
}

impl Others {
    fn find(site: &Workspace, stored: &HashMap<Oid, Stored>) -> Result<Self, PathError> {
        let mut others = Self::default();
        for sharer in site.store.sharers()? {
            let read = match &sharer.common_dir {
                Some(common_dir) => others.read(common_dir, stored),
                None => Err("its note is damaged".to_owned()),
            };
            if let Err(reason) = read {
                others.unreadable.push((sharer, reason));
            }
        }
        Ok(others)
    }

    fn read(&mut self, common_dir: &Path, stored: &HashMap<Oid, Stored>) -> Result<(), String> {
        let readable = |error: &dyn std::error::Error| with_causes(error);
        let repo = clone_at(common_dir).map_err(|error| readable(&error))?;
        if repo.is_partial() {
            return Err("it is a partial clone, which does not have all pointers".to_owned());
        }
        self.oids.extend(claimed_in(common_dir).map_err(|error| readable(&error))?);
        let blobs = history::blobs_reachable(&repo, Reach::RefsAndReflogs);
        for blob in blobs.map_err(|error| readable(&error))? {
            let pointer =
                workspace::pointer_of(&repo, blob.id).map_err(|error| readable(&error))?;
            self.oids.extend(
                pointer.map(|(_, pointer)| pointer.oid()).filter(|oid| stored.contains_key(oid)),
            );
        }
        Ok(())
    }
}

/// Opens the clone with this git folder, and no other one: what is above it may be in a repository, too.
///
/// # Errors
/// If it is no repository, or cannot be opened.
pub fn clone_at(common_dir: &Path) -> Result<Repo, repo::Error> {
    let none = || repo::Error::NotARepository { start: common_dir.to_owned() };
    Repo::at_top(common_dir)?.ok_or_else(none)
}

/// Returns the objects that a clone has claims for, as its queue says now.
fn claimed_in(common_dir: &Path) -> Result<HashSet<Oid>, PathError> {
    let claims = Queue::at(Store::at(common_dir).root()).read()?;
    let tentative = claims.tentative().map(|record| record.oid);
    Ok(tentative.chain(claims.owed().map(|record| record.oid)).collect())
}

/// Returns the objects that this clone, or one that shares its store, has claims for now.
///
/// # Errors
/// If a queue cannot be read.
pub(super) fn claimed_now(site: &Workspace) -> Result<HashSet<Oid>, PathError> {
    let mut claimed = claimed_in(site.repo.common_dir())?;
    for common_dir in site.store.sharers()?.into_iter().filter_map(|sharer| sharer.common_dir) {
        claimed.extend(claimed_in(&common_dir)?);
    }
    Ok(claimed)
}

struct Finder<'a> {
    site: &'a Workspace,
    stored: &'a HashMap<Oid, Stored>,
    needs: HashMap<Oid, Need>,
    /// Which blobs are pointers to objects that are in the store.
    known: HashMap<BlobId, Oid>,
}

impl Finder<'_> {
    fn claims(&mut self) -> Result<(), Error> {
        let claims = self.site.queue.read()?;
        for record in claims.tentative() {
            let pointer = match BlobId::parse_hex(record.blob.as_bytes()) {
                // git's database may not have it yet.
                Some(blob) => self.site.pointer_of(blob)?.map(|(_, pointer)| pointer),
                None => None,
            };
            let object = match (&pointer, self.stored.get(&record.oid)) {
                (_, None) => continue,
                (Some(pointer), Some(_)) => Object::of(self.site, &record.path, pointer),
                (None, Some(stored)) => {
                    Object { oid: stored.oid, size: stored.size, sources: Vec::new() }
                }
            };
            self.claim(object, record.path);
        }
        for record in claims.owed() {
            let object = Object { oid: record.oid, size: record.size, sources: Vec::new() };
            self.claim(object, record.path);
        }
        Ok(())
    }

    fn claim(&mut self, object: Object, path: RepoPath) {
        if self.stored.contains_key(&object.oid) {
            let need = self.need(object, path);
            need.named.by_claim = true;
        }
    }

    fn need(&mut self, object: Object, path: RepoPath) -> &mut Need {
        let named = Named::default();
        self.needs.entry(object.oid).or_insert(Need { object, path, named })
    }

    fn name(&mut self, blob: FoundBlob, reach: Reach) -> Result<(), Error> {
        let oid = match self.known.get(&blob.id) {
            Some(oid) => *oid,
            // The first walk meets every pointer; the others only say who names it.
            None if reach != Reach::RefsAndReflogs => return Ok(()),
            None => match self.meet(blob)? {
                Some(oid) => oid,
                None => return Ok(()),
            },
        };
        let named = &mut self.needs.get_mut(&oid).expect("known ones are needed").named;
        match reach {
            Reach::RefsAndReflogs => {}
            Reach::Refs => named.by_refs = true,
            Reach::Indices => named.by_index = true,
            Reach::Pushed => named.by_pushed = true,
        }
        Ok(())
    }

    /// Reads a blob for the first time; returns the object if it is a pointer to one in the store.
    fn meet(&mut self, blob: FoundBlob) -> Result<Option<Oid>, Error> {
        let Some((_, pointer)) = self.site.pointer_of(blob.id)? else { return Ok(None) };
        let oid = pointer.oid();
        if !self.stored.contains_key(&oid) {
            return Ok(None);
        }
        // One that only a tag names has no path.
        let path = RepoPath::parse(&blob.path).or_else(|| RepoPath::parse(oid.to_hex().as_bytes()));
        let path = path.expect("a number in hexadecimal digits is a path");
        let site = self.site;
        let object = Object::of(site, &path, &pointer);
        self.need(object, path.clone()).object.learn(site, &path, &pointer);
        self.known.insert(blob.id, oid);
        Ok(Some(oid))
    }
}
