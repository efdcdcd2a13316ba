//! Which items differ between two states of a clone, and how: by size, kind and sources.
//!
//! Git says which paths differ; pointers say the rest, and files of the work tree whose stat data are
//! not those of the index are hashed. Reads only. No server is asked, and of an object no more than its
//! first bytes are read.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;

use crate::fs::PathError;
use crate::kind::Kind;
use crate::lake_url::SourceUrl;
use crate::oid::Oid;
use crate::repo;
pub use crate::repo::changes::{Between, Change};
use crate::repo_path::RepoPath;
use crate::workspace::Workspace;

mod kinds;
mod versions;

use kinds::Kinds;
use versions::Versions;

/// Says why states could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Git could not compare.
    #[error(transparent)]
    Changes(#[from] repo::changes::Error),
    /// The repository cannot be read.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// A file of the work tree cannot be read.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// What a path holds at one of two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A pointer.
    Pointer,
    /// Content in the work tree, which has no pointer yet.
    Content,
    /// Content that git holds by itself.
    InGit,
    /// A damaged pointer.
    Damaged,
    /// A pointer of a newer version.
    Newer,
}

/// An item at one of two states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Where it is.
    pub path: RepoPath,
    /// What is there.
    pub form: Form,
    /// The object; `None` of what is no pointer and was not hashed.
    pub oid: Option<Oid>,
    /// Bytes of the content; 0 where nothing tells.
    pub size: u64,
    /// What the pointer names.
    pub sources: Vec<SourceUrl>,
    /// What the content is, if its first bytes are at hand and tell.
    pub kind: Option<Kind>,
}

/// An item that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What happened; of an item that is not merged, `old` is ours and `new` is theirs.
    pub change: Change,
    /// What was there, if it was an item.
    pub old: Option<Version>,
    /// What is there, if it is an item.
    pub new: Option<Version>,
}

/// Whether the first bytes of objects are read to tell their kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// In the store, in folder lakes, and of a few objects in buckets.
    Everywhere,
    /// In the store alone.
    Store,
}

impl Item {
    /// Returns the path, the newer one of a rename.
    pub fn path(&self) -> Option<&RepoPath> {
        self.new.as_ref().or(self.old.as_ref()).map(|version| &version.path)
    }

    /// Returns by how many bytes the item has grown, below 0 if it has shrunk.
    pub fn growth(&self) -> i128 {
        let size = |version: &Option<Version>| {
            version.as_ref().map_or(0, |version| i128::from(version.size))
        };
        size(&self.new) - size(&self.old)
    }

    /// Returns the sources that only the newer pointer has, and those that only the older one has.
    ///
    /// Both are empty unless both versions are pointers.
    pub fn sources_changed(&self) -> (Vec<&SourceUrl>, Vec<&SourceUrl>) {
        let (Some(old), Some(new)) = (&self.old, &self.new) else {
            return (Vec::new(), Vec::new());
        };
        if old.form != Form::Pointer || new.form != Form::Pointer {
            return (Vec::new(), Vec::new());
        }
        // New content has another name in the same lake.
        (beyond(&new.sources, &old.sources), beyond(&old.sources, &new.sources))
    }
}

/// Returns the sources in lakes that none of the others are in.
fn beyond<'a>(sources: &'a [SourceUrl], others: &[SourceUrl]) -> Vec<&'a SourceUrl> {
    let is_known = |source: &&SourceUrl| others.iter().any(|other| other.lake == source.lake);
    sources.iter().filter(|source| !is_known(source)).collect()
}

/// Compares two states; `pathspecs` are as typed in `folder`. In git's order.
///
/// Only items are among the result: paths that hold a pointer at one of the states, and files of the
/// work tree on tracked paths. What only has another date or mode is not.
///
/// # Errors
/// If git, the repository or the work tree cannot be read.
pub fn compare(
    site: &Workspace,
    folder: &Path,
    states: &Between,
    pathspecs: &[OsString],
    look: Look,
) -> Result<Vec<Item>, Error> {
    let mut versions = Versions::new(site)?;
    let mut items = Vec::new();
    for found in repo::changes::between(&site.repo, folder, states, pathspecs)? {
        let mut change = found.change;
        let old = found.old.map(|side| versions.of(side, None)).transpose()?.flatten();
        let new = found.new.map(|side| versions.of(side, old.as_ref())).transpose()?.flatten();
        let is_item = |version: &Option<Version>| {
            version.as_ref().is_some_and(|version| version.form != Form::InGit)
        };
        if !is_item(&old) && !is_item(&new) {
            continue;
        }
        if new.is_none() && change == Change::Modified {
            // It was deleted meanwhile, or became a link.
            change = Change::Deleted;
        }
        if change == Change::Modified && is_same(&old, &new) {
            continue;
        }
        items.push(Item { change, old, new });
    }
    site.reporter.end();
    let mut kinds = Kinds::new(site, look);
    for item in &mut items {
        for version in [&mut item.old, &mut item.new].into_iter().flatten() {
            kinds.tell(version);
        }
    }
    Ok(items)
}

/// Returns true if two versions are the same content at the same sources; content in the work tree has
/// those of the pointer that it came from.
fn is_same(old: &Option<Version>, new: &Option<Version>) -> bool {
    let (Some(old), Some(new)) = (old, new) else { return false };
    let set = |version: &Version| version.sources.iter().cloned().collect::<HashSet<_>>();
    old.oid.is_some()
        && old.oid == new.oid
        && (new.form == Form::Content || old.form == new.form && set(old) == set(new))
}
