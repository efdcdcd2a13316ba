//! Other pointers for many items: blobs for git, files of the work tree, and the index, in this order.
//!
//! A kill leaves pointers that were rewritten in the work tree and not staged, which is what git then
//! says; running the same command again finishes it. Files with content stay as they are, and git
//! goes on seeing them as unchanged: clean gives back the pointer that the index has.

use std::collections::HashMap;
use std::fs::Metadata;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::Item;
use crate::fail_point;
use crate::fs::beneath::Tree;
use crate::fs::{IoContext as _, PathError};
use crate::lake_url::SourceUrl;
use crate::pointer::{MAX_POINTER_BYTES, NewPointerError, Pointer};
use crate::repo::index_stat::{self, NewBlob, Repointing};
use crate::repo::new_blobs;
use crate::repo_path::RepoPath;
use crate::store::blob_map::{BlobMap, Named, text_len};
use crate::store::materialize::Outcome;
use crate::store::{self, Store};
use crate::workspace::Workspace;

/// How long another git may hold the index.
const PATIENCE: Duration = Duration::from_secs(5);

/// Files are written by so many threads: the disk is the bound.
const THREADS: usize = 4;

/// An item and the sources that its pointer is to have, of which a million are held together.
#[derive(Debug)]
pub struct Change {
    item: Item,
    sources: Box<[SourceUrl]>,
}

impl Change {
    /// Gives an item's pointer other sources.
    ///
    /// # Errors
    /// If the pointer would be too long; the item's path.
    pub fn new(item: Item, sources: Vec<SourceUrl>) -> Result<Self, RepoPath> {
        let change = Self { item, sources: sources.into() };
        match change.try_pointer() {
            Ok(_) => Ok(change),
            Err(_) => Err(change.item.path),
        }
    }

    fn try_pointer(&self) -> Result<Pointer, NewPointerError> {
        self.item.pointer.clone().with_sources(self.sources.to_vec())
    }

    /// Returns the new pointer.
    fn pointer(&self) -> Pointer {
        self.try_pointer().expect("it was made before")
    }
}

/// What came of rewriting.
#[derive(Debug, Default)]
pub struct Rewritten {
    /// How many pointers were staged.
    pub staged: usize,
    /// Paths whose pointer somebody changed meanwhile; theirs stays.
    pub changed_meanwhile: Vec<RepoPath>,
}

/// Says why pointers could not be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// git did not take the blobs.
    #[error(transparent)]
    Blobs(#[from] new_blobs::Error),
    /// The index could not be written; it is as it was.
    #[error(transparent)]
    Index(#[from] index_stat::Error),
    /// A file of the work tree could not be replaced.
    #[error("Could not rewrite a pointer in the work tree: {0}")]
    WorkTree(#[from] store::Error),
    /// The local state could not be written.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// Stages other pointers, and writes them into the work tree where the old ones lie there.
///
/// Neither a filter nor a lake is needed, and `git status` shows staged changes only. Nothing is touched
/// while another git holds the index.
///
/// # Errors
/// If nothing was changed in the index; pointers in the work tree may be new then, which is what `git
/// status` shows.
pub fn rewrite(site: &Workspace, changes: Vec<Change>) -> Result<Rewritten, Error> {
    if changes.is_empty() {
        return Ok(Rewritten::default());
    }
    let mut text_lens = Vec::with_capacity(changes.len());
    let ids = site.repo.write_blobs(changes.iter().map(|change| {
        let text = change.pointer().to_bytes();
        text_lens.push(text_len(&text));
        text
    }))?;
    let mut known = BlobMap::at(site.store.root(), site.repo.hash_len());
    for ((id, change), text_len) in ids.iter().zip(&changes).zip(text_lens) {
        let (oid, size) = (change.item.pointer.oid(), change.item.pointer.size());
        known.learn(id.as_bytes(), Named { oid, size, text_len });
    }
    // Only time is lost if it cannot be kept.
    drop(known.save());
    let begin = || Repointing::begin(site.repo.index_path(), site.repo.hash_len(), PATIENCE);
    // Whoever is killed while files are written must not leave a lock, so it is only looked at here.
    let repointing = begin()?;
    // A file outside a sparse checkout is not there, and one that was changed is the user's.
    let lies_there = |item: &Item| {
        let entry = repointing.index().entry_at(item.path.as_bytes());
        entry.is_some_and(|entry| entry.id == item.blob && !entry.is_skip_worktree)
    };
    let numbered = changes.iter().enumerate();
    let files: Vec<_> = numbered.filter(|(_, change)| lies_there(&change.item)).collect();
    drop(repointing);
    fail_point::reach("rewrite-begins");
    let mut written = replace_all(site, files)?;
    fail_point::reach("rewrite-written");
    let blob = |(at, (Change { item, .. }, new))| NewBlob {
        path: item.path,
        old: item.blob,
        new,
        stat: written.remove(&at).map(Box::new),
    };
    let blobs: Vec<NewBlob> = changes.into_iter().zip(ids).enumerate().map(blob).collect();
    let count = blobs.len();
    let changed_meanwhile = begin()?.commit(&blobs)?;
    fail_point::reach("rewrite-staged");
    Ok(Rewritten { staged: count - changed_meanwhile.len(), changed_meanwhile })
}

/// Replaces files of the work tree that are exactly the old pointers, side by side; returns the new stat
/// data of those that were, by the number that the caller gave.
fn replace_all(
    site: &Workspace,
    files: Vec<(usize, &Change)>,
) -> Result<HashMap<usize, Metadata>, Error> {
    let Some(top) = site.repo.work_tree() else { return Ok(HashMap::new()) };
    let tree = Tree::open(top).context(top)?;
    let (store, next) = (&*site.store, AtomicUsize::new(0));
    let work = || -> Result<Vec<(usize, Metadata)>, Error> {
        let mut written = Vec::new();
        while let Some((at, change)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            written.extend(replace(store, &tree, change)?.map(|metadata| (*at, metadata)));
        }
        Ok(written)
    };
    std::thread::scope(|scope| {
        let threads = (1..THREADS).map(|_| scope.spawn(work)).collect::<Vec<_>>();
        let mut written: HashMap<usize, Metadata> = work()?.into_iter().collect();
        for thread in threads {
            written.extend(thread.join().expect("no thread panics")?);
        }
        Ok(written)
    })
}

/// Replaces a file if it is exactly the old pointer; returns its stat data if it is the new one then.
fn replace(store: &Store, tree: &Tree, change: &Change) -> Result<Option<Metadata>, Error> {
    let item = &change.item;
    let shown = crate::repo_path::join(tree.root(), &item.path);
    // Nearly all files have content: a look at the size saves opening them.
    let Ok(found) = std::fs::symlink_metadata(shown) else { return Ok(None) };
    if !found.is_file() || found.len() > MAX_POINTER_BYTES as u64 {
        return Ok(None);
    }
    let (old, new) = (item.text(), change.pointer().to_bytes());
    let lengths = [&*old, &new].map(|text| text.len() as u64);
    if !lengths.contains(&found.len()) {
        return Ok(None);
    }
    Ok(match store.replace_text(tree, &item.path, &old, &new)? {
        Outcome::Filled(metadata) => Some(metadata),
        Outcome::Changed | Outcome::Gone | Outcome::NotStored | Outcome::Interrupted => None,
    })
}
