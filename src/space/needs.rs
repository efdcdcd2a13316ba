//! What git and the queue still name of the objects that are in the store.

use std::collections::HashMap;

use crate::copies::Object;
use crate::fs::PathError;
use crate::oid::Oid;
use crate::repo::history::{self, FoundBlob, Reach};
use crate::repo::{self, BlobId};
use crate::repo_path::RepoPath;
use crate::store::gc::Stored;
use crate::store::queue::Claims;
use crate::workspace::Workspace;

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

/// Finds out who names which of the objects.
///
/// # Errors
/// If anything could not be read: what is not known to be named is not known to be free.
pub fn find(site: &Workspace, stored: &HashMap<Oid, Stored>) -> Result<HashMap<Oid, Need>, Error> {
    let mut found = Finder { site, stored, needs: HashMap::new(), known: HashMap::new() };
    // First the claims: one that is settled while this goes on is in git by then.
    let Claims { tentative, owed } = site.queue.read()?;
    for record in tentative {
        let pointer = match BlobId::parse_hex(record.blob.as_bytes()) {
            // git's database may not have it yet.
            Some(blob) => site.pointer_of(blob)?.map(|(_, pointer)| pointer),
            None => None,
        };
        let object = match &pointer {
            Some(pointer) => Some(Object::of(site, &record.path, pointer)),
            None => stored.get(&record.oid).map(|stored| Object {
                oid: stored.oid,
                size: stored.size,
                sources: Vec::new(),
            }),
        };
        if let Some(object) = object {
            found.claim(object, record.path);
        }
    }
    for record in owed {
        let object = Object { oid: record.oid, size: record.size, sources: Vec::new() };
        found.claim(object, record.path);
    }
    for reach in [Reach::RefsAndReflogs, Reach::Refs, Reach::Indices, Reach::Pushed] {
        for blob in history::blobs_reachable(&site.repo, reach)? {
            found.name(blob, reach)?;
        }
    }
    Ok(found.needs)
}

struct Finder<'a> {
    site: &'a Workspace,
    stored: &'a HashMap<Oid, Stored>,
    needs: HashMap<Oid, Need>,
    /// Which blobs are pointers to objects that are in the store.
    known: HashMap<BlobId, Oid>,
}

impl Finder<'_> {
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
