//! Objects that may leave the store.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::needs::{self, Error, Named, Needs};
use crate::copies::{self, Copies, Object};
use crate::fs::PathError;
use crate::lake_url::LakeUrl;
use crate::oid::Oid;
use crate::repo_path::RepoPath;
use crate::store::gc::Stored;
use crate::store::shared::Sharer;
use crate::workspace::Workspace;

/// An object that nothing names goes when nobody has used it for this long, in seconds.
const FORGOTTEN_AFTER_SECONDS: u64 = 14 * 24 * 60 * 60;

/// What stays although lakes are sure to hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spared {
    /// What the index of a work tree names, and [`Self::Unpushed`]: switching back and forth needs no lake.
    Indexed,
    /// What only stashes and commits name that no remote of git has.
    Unpushed,
    /// Nothing.
    Nothing,
}

/// Why an object stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Kept {
    /// The index of a work tree names it.
    #[error("the index names")]
    Indexed,
    /// No remote of git has a commit that names it.
    #[error("only stashes and commits that are not pushed name")]
    Unpushed,
    /// Another clone that shares the store needs it, or cannot be read.
    #[error("other clones that share the store need, or may need")]
    Shared,
    /// Not enough lakes are sure to hold it now.
    #[error("not enough lakes are known to hold")]
    Unproven,
    /// Nothing names it, but somebody used it not long ago.
    #[error("nothing names, but somebody used in the last 14 days")]
    Recent,
    /// Nothing that is here names it, but a partial clone does not have all pointers.
    #[error("pointers may name that this partial clone does not have")]
    Unknown,
}

/// An object that may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// The object.
    pub stored: Stored,
    /// Whether something names it, so that enough lakes had to be sure to hold it.
    pub is_named: bool,
}

/// How many objects, and how many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Objects.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, stored: &Stored) {
        self.objects += 1;
        self.bytes += stored.size;
    }
}

/// What would go and what would stay.
#[derive(Debug, Default)]
pub struct Plan {
    /// Objects that may go, in the order in which they were used.
    pub removals: Vec<Removal>,
    /// What stays, and why.
    pub kept: BTreeMap<Kept, Tally>,
    /// Paths of objects that not enough lakes are known to hold.
    pub unproven: Vec<RepoPath>,
    /// Clones that share the store and could not be read, and why.
    pub unreadable: Vec<(Sharer, String)>,
    /// Why lakes could not be asked.
    pub doubts: BTreeMap<LakeUrl, String>,
    tally: Tally,
    /// What had a claim when the plan was made.
    claimed: HashSet<Oid>,
}

impl Plan {
    /// Returns how much would go.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Plans nothing yet.
    pub(super) fn new(needs: &Needs) -> Self {
        let (claimed, unreadable) = (needs.claimed().collect(), needs.unreadable().to_vec());
        Self { claimed, unreadable, ..Self::default() }
    }

    /// Decides about an object.
    pub(super) fn add(
        &mut self,
        needs: &Needs,
        stored: Stored,
        spared: Spared,
        copies: &Copies,
        min_copies: usize,
    ) {
        let need = needs.of(stored.oid);
        let kept = match need {
            _ if needs.is_of_others(stored.oid) => Some(Kept::Shared),
            None if stored.unused_seconds() < FORGOTTEN_AFTER_SECONDS => Some(Kept::Recent),
            None if !needs.are_complete() => Some(Kept::Unknown),
            None => None,
            Some(need) => spared.keeps(need.named).or_else(|| {
                // What lies here may be something else than what the pointer means.
                let is_it = stored.size == need.object.size;
                let is_sure = is_it && copies.are_enough(stored.oid, min_copies);
                (!is_sure).then_some(Kept::Unproven)
            }),
        };
        if kept == Some(Kept::Unproven) {
            self.unproven.extend(need.map(|need| need.path.clone()));
        }
        match kept {
            Some(kept) => self.kept.entry(kept).or_default().add(&stored),
            None => {
                self.tally.add(&stored);
                self.removals.push(Removal { stored, is_named: need.is_some() });
            }
        }
    }
}

impl Spared {
    /// Says why an object stays, whatever lakes hold.
    fn keeps(self, named: Named) -> Option<Kept> {
        if self == Self::Indexed && named.by_index {
            Some(Kept::Indexed)
        } else if self != Self::Nothing && named.by_refs && !named.by_pushed {
            Some(Kept::Unpushed)
        } else {
            None
        }
    }
}

/// Finds out what may go. Asks lakes; removes nothing.
///
/// # Errors
/// If it cannot be told what is needed.
pub fn plan(site: &Workspace, spared: Spared) -> Result<Plan, Error> {
    let needs = Needs::find(site)?;
    let objects: Vec<Object> = needs.objects(|need| spared.keeps(need.named).is_none()).collect();
    let min_copies = site.config.min_copies;
    let copies = copies::confirm(site, &objects, min_copies)?;
    let mut plan = Plan::new(&needs);
    for stored in needs.stored_by_use() {
        plan.add(&needs, stored, spared, &copies, min_copies);
    }
    plan.unproven.sort_unstable();
    plan.doubts = copies.reasons;
    Ok(plan)
}

/// Removes what the plan says, except for what came into use since; `None` if others still use the store
/// after `patience`.
///
/// # Errors
/// If an object cannot be removed, or the queue cannot be read.
pub fn carry_out(
    site: &Workspace,
    plan: &Plan,
    patience: Duration,
) -> Result<Option<Tally>, PathError> {
    let Some(sweep) = site.store.sweep(patience)? else { return Ok(None) };
    let claimed = needs::claimed_now(site)?;
    let new: HashSet<&Oid> = claimed.difference(&plan.claimed).collect();
    let mut removed = Tally::default();
    for Removal { stored, .. } in &plan.removals {
        if site.cancel.is_cancelled() {
            break;
        }
        if !new.contains(&stored.oid) && sweep.remove(stored)? {
            removed.add(stored);
        }
    }
    Ok(Some(removed))
}
