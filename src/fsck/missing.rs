//! Objects that are needed here and that the store does not have, or not any more.

use std::collections::{HashMap, HashSet};

use super::scope::{Entry, Scope};
use super::{Fault, Finding};
use crate::config::Checkout;
use crate::fs::PathError;
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::store::Presence;
use crate::workspace::Workspace;

/// What the store is expected to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// What the work tree should have and does not.
    ForWorkTree,
    /// All that is meant, as far as this clone wants content.
    All,
    /// Nothing: pointers are enough.
    Nothing,
}

impl Expected {
    /// Says what is expected where a person named `revision`, or nothing.
    ///
    /// What a range brings is for judging, and a repository without a work tree, as a server's, need not
    /// have any object.
    pub fn of(scope: &Scope, revision: Option<&str>) -> Self {
        match scope {
            Scope::Index => Self::ForWorkTree,
            Scope::Tree(_) if revision.is_some() => Self::All,
            Scope::Tree(_) | Scope::Range(..) => Self::Nothing,
        }
    }
}

/// Looks for objects that are missing, pointer by pointer, and for who needs those that were damaged.
pub struct Missing<'a> {
    site: &'a Workspace,
    expected: Expected,
    /// Findings about damaged objects, by object.
    damaged: HashMap<Oid, Finding>,
    seen: HashSet<Oid>,
    found: Vec<Finding>,
}

impl<'a> Missing<'a> {
    /// Begins, with what was found in the store.
    pub fn new(site: &'a Workspace, expected: Expected, findings: Vec<Finding>) -> Self {
        let (mut damaged, mut found) = (HashMap::new(), Vec::new());
        for finding in findings {
            match (finding.oid, &finding.fault) {
                (Some(oid), Fault::StoredDamaged(_)) => drop(damaged.insert(oid, finding)),
                _ => found.push(finding),
            }
        }
        Self { site, expected, damaged, seen: HashSet::new(), found }
    }

    /// Looks at one pointer.
    ///
    /// # Errors
    /// If the store cannot be searched.
    pub fn add(&mut self, entry: &Entry, pointer: &Pointer) -> Result<(), PathError> {
        let (oid, size) = (pointer.oid(), pointer.size());
        if let Some(finding) = self.damaged.get_mut(&oid) {
            if finding.blob.is_none() {
                (finding.path, finding.blob) = (Some(entry.path.clone()), Some(entry.blob));
            }
            return Ok(());
        }
        let is_needed = match self.expected {
            Expected::Nothing => false,
            Expected::All => self.site.config.wants_content(&entry.path),
            Expected::ForWorkTree => {
                entry.is_checked_out
                    && self.site.config.checkout != Checkout::Pointer
                    && self.site.config.wants_content(&entry.path)
            }
        };
        if !is_needed || self.seen.contains(&oid) {
            return Ok(());
        }
        let is_missing = self.site.store.presence(oid, size)? == Presence::Absent
            && (self.expected == Expected::All || !self.lies_in_work_tree(entry, size));
        if is_missing {
            self.seen.insert(oid);
            self.found.push(Finding {
                path: Some(entry.path.clone()),
                oid: Some(oid),
                blob: Some(entry.blob),
                ..Finding::about(Fault::NotStored)
            });
        }
        Ok(())
    }

    /// Returns true if a file stands there that may be the content: what it is, git tells.
    fn lies_in_work_tree(&self, entry: &Entry, size: u64) -> bool {
        let Some(top) = self.site.repo.work_tree() else { return false };
        let metadata = std::fs::symlink_metadata(crate::repo_path::join(top, &entry.path));
        metadata.is_ok_and(|metadata| metadata.is_file() && metadata.len() == size)
    }

    /// Returns all findings about the store.
    pub fn finish(self) -> Vec<Finding> {
        let mut all: Vec<Finding> = self.damaged.into_values().collect();
        all.sort_by_key(|finding| finding.oid);
        all.extend(self.found);
        all
    }
}
