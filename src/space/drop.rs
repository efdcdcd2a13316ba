//! Content that may leave the work tree.

use std::collections::BTreeMap;
use std::fs::Metadata;

use crate::copies::{self, Object};
use crate::fill::Item;
use crate::fill::drop::{self, State};
use crate::fs::PathError;
use crate::lake_url::LakeUrl;
use crate::repo_path::RepoPath;
use crate::size;
use crate::workspace::Workspace;

/// Why a file keeps its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Kept {
    /// Its bytes are not those that the index names.
    #[error("Its content differs from what the index has: `git add` it, or bring the other back")]
    Modified,
    /// Not enough lakes are sure to hold the content.
    #[error("Not enough lakes are known to hold it now; `git lake where --check` says which do")]
    Unproven,
}

/// What would become pointers.
#[derive(Debug, Default)]
pub struct Plan {
    /// Files with their content, and how they were found.
    pub found: Vec<(Item, Metadata)>,
    /// Files that keep their content, and why.
    pub kept: Vec<(RepoPath, Kept)>,
    /// Why lakes could not be asked.
    pub doubts: BTreeMap<LakeUrl, String>,
}

impl Plan {
    /// Returns how many bytes the content has.
    pub fn bytes(&self) -> u64 {
        size::total(self.found.iter().map(|(item, _)| item.pointer.size()))
    }
}

/// Looks what the files are, and asks lakes for those that have their content; changes nothing.
///
/// # Errors
/// If receipts cannot be read or written.
pub fn plan(site: &Workspace, items: Vec<Item>) -> Result<Plan, PathError> {
    let mut plan = Plan::default();
    let states = drop::look(site, &items);
    let mut found = Vec::new();
    for (item, state) in items.into_iter().zip(states) {
        match state {
            State::Content(metadata) => found.push((item, metadata)),
            State::Other => plan.kept.push((item.path, Kept::Modified)),
            State::Pointer | State::Absent => {}
        }
    }
    let object = |item: &Item| Object::of(site, &item.path, &item.pointer);
    let objects: Vec<Object> = found.iter().map(|(item, _)| object(item)).collect();
    let copies = copies::confirm(site, &objects, site.config.min_copies)?;
    for (item, metadata) in found {
        match copies.are_enough(item.pointer.oid(), site.config.min_copies) {
            true => plan.found.push((item, metadata)),
            false => plan.kept.push((item.path, Kept::Unproven)),
        }
    }
    plan.doubts = copies.reasons;
    Ok(plan)
}
