//! Objects that may leave the store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::needs::{self, Error, Need};
use crate::copies::{self, Copies, Object};
use crate::fs::PathError;
use crate::lake_url::LakeUrl;
use crate::oid::Oid;
use crate::repo_path::RepoPath;
use crate::store::gc::{Stored, Sweep};
use crate::workspace::Workspace;

/// An object that nothing names goes when nobody has used it for this long, in seconds.
const FORGOTTEN_AFTER_SECONDS: u64 = 14 * 24 * 60 * 60;
/// How long other processes may go on using the store.
const PATIENCE: Duration = Duration::from_secs(10);

/// What becomes of objects that an index names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Current {
    /// They stay: switching branches back and forth needs no lake.
    Spared,
    /// They go like any others.
    Included,
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

    /// Counts objects.
    pub fn of<'a>(objects: impl IntoIterator<Item = &'a Stored>) -> Self {
        let mut tally = Self::default();
        objects.into_iter().for_each(|stored| tally.add(stored));
        tally
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
    /// Why lakes could not be asked.
    pub doubts: BTreeMap<LakeUrl, String>,
    /// What had a claim when the plan was made.
    claimed: HashSet<Oid>,
}

/// Finds out what may go. Asks lakes; removes nothing.
///
/// # Errors
/// If it cannot be told what is needed.
pub fn plan(site: &Workspace, current: Current) -> Result<Plan, Error> {
    let mut stored: HashMap<Oid, Stored> = HashMap::new();
    site.store.for_each_object(&mut |one| {
        stored.insert(one.oid, one);
        Ok::<_, PathError>(())
    })?;
    let needs = needs::find(site, &stored)?;
    let candidates: Vec<&Need> =
        needs.values().filter(|need| spared(need, current).is_none()).collect();
    let objects: Vec<Object> = candidates.iter().map(|need| need.object.clone()).collect();
    let copies = copies::confirm(site, &objects, site.config.min_copies)?;
    let rules = Rules {
        current,
        min_copies: site.config.min_copies,
        // rev-list passes over what was left on the server.
        has_all_pointers: !site.repo.is_partial(),
    };
    let mut plan = decide(stored.into_values(), &needs, &copies, rules);
    plan.doubts = copies.reasons;
    Ok(plan)
}

/// Says why an object that something names stays, whatever lakes hold.
fn spared(need: &Need, current: Current) -> Option<Kept> {
    let named = need.named;
    if named.by_index && current == Current::Spared {
        Some(Kept::Indexed)
    } else if named.by_refs && !named.by_pushed {
        Some(Kept::Unpushed)
    } else {
        None
    }
}

#[derive(Clone, Copy)]
struct Rules {
    current: Current,
    min_copies: usize,
    has_all_pointers: bool,
}

fn decide(
    stored: impl Iterator<Item = Stored>,
    needs: &HashMap<Oid, Need>,
    copies: &Copies,
    rules: Rules,
) -> Plan {
    let mut plan = Plan::default();
    for stored in stored {
        let need = needs.get(&stored.oid);
        let kept = match need {
            None if stored.unused_seconds() < FORGOTTEN_AFTER_SECONDS => Some(Kept::Recent),
            None if !rules.has_all_pointers => Some(Kept::Unknown),
            None => None,
            Some(need) => spared(need, rules.current).or_else(|| {
                // What lies here may be something else than what the pointer means.
                let is_it = stored.size == need.object.size;
                let is_sure = is_it && copies.are_enough(stored.oid, rules.min_copies);
                (!is_sure).then_some(Kept::Unproven)
            }),
        };
        if kept == Some(Kept::Unproven) {
            plan.unproven.extend(need.map(|need| need.path.clone()));
        }
        match kept {
            Some(kept) => plan.kept.entry(kept).or_default().add(&stored),
            None => plan.removals.push(Removal { stored, is_named: need.is_some() }),
        }
    }
    plan.claimed = needs.values().filter(|n| n.named.by_claim).map(|n| n.object.oid).collect();
    plan.removals.sort_unstable_by_key(|removal| (removal.stored.used, removal.stored.oid));
    plan.unproven.sort_unstable();
    plan
}

/// Removes what the plan says, except for what came into use since; `None` if others use the store.
///
/// # Errors
/// If an object cannot be removed, or the queue cannot be read.
pub fn carry_out(site: &Workspace, plan: &Plan) -> Result<Option<Tally>, PathError> {
    match site.store.sweep(PATIENCE)? {
        Some(sweep) => remove(site, plan, &sweep).map(Some),
        None => Ok(None),
    }
}

fn remove(site: &Workspace, plan: &Plan, sweep: &Sweep<'_>) -> Result<Tally, PathError> {
    let claims = site.queue.read()?;
    let tentative = claims.tentative.iter().map(|record| record.oid);
    let claimed = tentative.chain(claims.owed.iter().map(|record| record.oid));
    let new: HashSet<Oid> = claimed.filter(|oid| !plan.claimed.contains(oid)).collect();
    let mut removed = Tally::default();
    for Removal { stored, .. } in &plan.removals {
        if site.cancel.is_cancelled() {
            break;
        }
        if !new.contains(&stored.oid) && sweep.remove(stored)? {
            removed.add(stored);
        }
    }
    Ok(removed)
}
