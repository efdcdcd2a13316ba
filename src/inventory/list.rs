//! Items one after the other, each with how it stands here.

use std::collections::HashSet;

use super::work_tree::{InWorkTree, WorkTree};
use super::{Error, side_by_side};
use crate::pointer::Pointer;
use crate::repo::history::{self, FoundBlob, Reach};
use crate::repo::index::{Entry, EntryKind};
use crate::repo::{self, BlobId};
use crate::repo_path::RepoPath;
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
            let is_folder = |entry: &Entry<'_>| entry.kind == EntryKind::SparseFolder;
            let entries = index.entries().filter(may_be_item);
            let entries: Vec<Entry<'_>> =
                entries.filter(|entry| is_folder(entry) || is_meant(entry.path)).collect();
            let work_tree = WorkTree::of(site, &site.repo, &index);
            let glances = work_tree.as_ref().map(|work_tree| work_tree.glance_at(&entries));
            for (at, entry) in entries.iter().enumerate() {
                if is_folder(entry) {
                    for blob in files_of_folder(site, entry)? {
                        batch.add_if_item(&blob.path, blob.id, is_meant, |_| {
                            Ok(Some(InWorkTree::Absent))
                        })?;
                    }
                    continue;
                }
                batch.add_if_item(entry.path, entry.id, is_meant, |named| {
                    let (Some(work_tree), Some(glances)) = (&work_tree, &glances) else {
                        return Ok(None);
                    };
                    work_tree.judge(entry, named, glances[at]).map(Some)
                })?;
            }
        }
        Scope::Tree(_) | Scope::Everything => {
            blobs_in(site, scope, paths, |path, blob| {
                batch.add_if_item(path, blob, is_meant, |_| Ok(None))
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
            index.entries().filter(may_be_item).try_for_each(|entry| match entry.kind {
                EntryKind::SparseFolder => {
                    let files = files_of_folder(site, &entry)?;
                    files.iter().try_for_each(|file| visit(&file.path, file.id))
                }
                _ => visit(entry.path, entry.id),
            })
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

/// Returns true for files, and for folders that stand for theirs.
fn may_be_item(entry: &Entry<'_>) -> bool {
    (entry.kind.is_file() || entry.kind == EntryKind::SparseFolder) && !entry.is_intent_to_add
}

/// Returns the files of a folder outside a sparse checkout, which the index holds as a whole.
pub(super) fn files_of_folder(
    site: &Workspace,
    folder: &Entry<'_>,
) -> Result<Vec<FoundBlob>, Error> {
    let mut files = history::blobs_of(&site.repo, &folder.id.to_string())?;
    for file in &mut files {
        file.path.splice(..0, folder.path.iter().copied());
    }
    Ok(files)
}

/// Items whose objects are looked for in the store together.
struct Batch<'a, E> {
    site: &'a Workspace,
    waiting: Vec<(RepoPath, Pointer, Option<InWorkTree>)>,
    visit: &'a mut dyn FnMut(Listed) -> Result<(), E>,
}

impl<E: From<Error> + From<repo::Error>> Batch<'_, E> {
    /// Adds what is meant and is a pointer; `judge` says what lies in the work tree.
    fn add_if_item(
        &mut self,
        path: &[u8],
        blob: BlobId,
        is_meant: impl Fn(&[u8]) -> bool,
        judge: impl FnOnce(&Named) -> Result<Option<InWorkTree>, Error>,
    ) -> Result<(), E> {
        let Some(path) = RepoPath::parse(path).filter(|path| is_meant(path.as_bytes())) else {
            return Ok(());
        };
        let Some((text, pointer)) = self.site.pointer_of(blob)? else { return Ok(()) };
        let in_work_tree = judge(&Named::new(pointer.oid(), pointer.size(), &text))?;
        self.waiting.push((path, pointer, in_work_tree));
        if self.waiting.len() >= AT_ONCE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), E> {
        let waiting = std::mem::take(&mut self.waiting);
        // What is visited may be printed to the terminal that shows what was hashed.
        self.site.reporter.end();
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
