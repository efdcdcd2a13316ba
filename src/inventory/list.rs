//! Items one after the other, each with how it stands here.

use std::collections::HashSet;

use super::work_tree::{Glance, InWorkTree, WorkTree};
use super::{Error, side_by_side};
use crate::pointer::Pointer;
use crate::repo::history::{self, Reach};
use crate::repo::index::Entry;
use crate::repo::{self, BlobId};
use crate::repo_path::RepoPath;
use crate::sources::select::refuse_sparse;
use crate::store::Presence;
use crate::store::blob_map::Named;
use crate::workspace::Workspace;

/// So many items are held at once.
const AT_ONCE: usize = 8192;

/// Which items are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Those of the index.
    Index,
    /// Those of a commit or tree.
    Tree(String),
    /// Whatever refs, stashes and indices need, each pointer once.
    Everything,
}

impl Scope {
    /// Returns what is meant where nothing is said: the index, or without a work tree `HEAD`.
    pub fn of_default(site: &Workspace) -> Self {
        match site.repo.work_tree() {
            Some(_) => Self::Index,
            None => Self::Tree("HEAD".to_owned()),
        }
    }

    /// Returns the commit or tree, if it is one.
    pub fn treeish(&self) -> Option<&str> {
        match self {
            Self::Tree(treeish) => Some(treeish),
            Self::Index | Self::Everything => None,
        }
    }
}

/// An item and how it stands here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Where it is; of several paths the first one that git met.
    pub path: RepoPath,
    /// What it says.
    pub pointer: Pointer,
    /// What lies at its path; `None` if it is not of the index.
    pub in_work_tree: Option<InWorkTree>,
    /// Whether the store has the object.
    pub presence: Presence,
}

/// Gives items in the order of their paths, and those of everything in git's order; with `paths` only
/// those at one of them.
///
/// # Errors
/// If git, the work tree or the store cannot be read, and those of `visit`.
pub fn list<E>(
    site: &Workspace,
    scope: &Scope,
    paths: Option<&HashSet<Vec<u8>>>,
    visit: &mut dyn FnMut(Listed) -> Result<(), E>,
) -> Result<(), E>
where
    E: From<Error> + From<repo::Error>,
{
    let is_meant = |path: &[u8]| paths.is_none_or(|paths| paths.contains(path));
    let mut batch = Batch { site, waiting: Vec::new(), visit };
    match scope {
        Scope::Index => {
            let index = site.repo.index().map_err(repo::Error::from)?;
            refuse_sparse(&index).map_err(Error::from)?;
            let is_item = |entry: &Entry<'_>| {
                entry.kind.is_file() && !entry.is_intent_to_add && is_meant(entry.path)
            };
            let entries: Vec<Entry<'_>> = index.entries().filter(is_item).collect();
            let work_tree = WorkTree::of(site, &index);
            let glances = work_tree.as_ref().map(|work_tree| work_tree.glance_at(&entries));
            for (at, entry) in entries.iter().enumerate() {
                let Some((path, text, pointer)) = read(site, entry.path, entry.id)? else {
                    continue;
                };
                let named = Named::new(pointer.oid(), pointer.size(), &text);
                let judge = |work_tree: &WorkTree<'_>| {
                    let glance = glances.as_ref().map_or(Glance::Unknown, |glances| glances[at]);
                    work_tree.judge(entry, &named, glance)
                };
                let in_work_tree = work_tree.as_ref().map(judge).transpose()?;
                batch.add(path, pointer, in_work_tree)?;
            }
        }
        Scope::Tree(_) | Scope::Everything => {
            blobs_in(site, scope, paths, |path, blob| {
                if let Some((path, _, pointer)) = read(site, path, blob)? {
                    batch.add(path, pointer, None)?;
                }
                Ok::<_, E>(())
            })?;
        }
    }
    batch.flush()
}

/// Gives paths and blobs, of which some may be pointers; what only a tag names stands under the name of
/// its blob. Those of a merge that is not resolved are among them.
pub(super) fn blobs_in<E>(
    site: &Workspace,
    scope: &Scope,
    paths: Option<&HashSet<Vec<u8>>>,
    mut visit: impl FnMut(&[u8], BlobId) -> Result<(), E>,
) -> Result<(), E>
where
    E: From<Error>,
{
    let mut visit = |path: &[u8], blob| match paths.is_none_or(|paths| paths.contains(path)) {
        true => visit(path, blob),
        false => Ok(()),
    };
    let error = |error: history::Error| E::from(error.into());
    match scope {
        Scope::Index => {
            let index = site.repo.index().map_err(|error| Error::Repo(error.into()))?;
            refuse_sparse(&index).map_err(Error::from)?;
            let is_item = |entry: &Entry<'_>| entry.kind.is_file() && !entry.is_intent_to_add;
            index.entries().filter(is_item).try_for_each(|entry| visit(entry.path, entry.id))
        }
        Scope::Tree(treeish) => {
            let blobs = history::blobs_of(&site.repo, treeish).map_err(error)?;
            blobs.iter().try_for_each(|blob| visit(&blob.path, blob.id))
        }
        Scope::Everything => {
            let blobs = history::blobs_reachable(&site.repo, Reach::Refs).map_err(error)?;
            blobs.iter().try_for_each(|blob| match &blob.path[..] {
                b"" => visit(blob.id.to_string().as_bytes(), blob.id),
                path => visit(path, blob.id),
            })
        }
    }
}

fn read(
    site: &Workspace,
    path: &[u8],
    blob: BlobId,
) -> Result<Option<(RepoPath, Vec<u8>, Pointer)>, repo::Error> {
    let Some(path) = RepoPath::parse(path) else { return Ok(None) };
    Ok(site.pointer_of(blob)?.map(|(text, pointer)| (path, text, pointer)))
}

/// Items whose objects are looked for in the store together.
struct Batch<'a, E> {
    site: &'a Workspace,
    waiting: Vec<(RepoPath, Pointer, Option<InWorkTree>)>,
    visit: &'a mut dyn FnMut(Listed) -> Result<(), E>,
}

impl<E: From<Error>> Batch<'_, E> {
    fn add(
        &mut self,
        path: RepoPath,
        pointer: Pointer,
        in_work_tree: Option<InWorkTree>,
    ) -> Result<(), E> {
        self.waiting.push((path, pointer, in_work_tree));
        if self.waiting.len() >= AT_ONCE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), E> {
        let waiting = std::mem::take(&mut self.waiting);
        let store = &*self.site.store;
        let presences =
            side_by_side(&waiting, |(_, pointer, _)| store.presence(pointer.oid(), pointer.size()));
        for ((path, pointer, in_work_tree), presence) in waiting.into_iter().zip(presences) {
            let presence = presence.map_err(Error::from)?;
            (self.visit)(Listed { path, pointer, in_work_tree, presence })?;
        }
        Ok(())
    }
}
