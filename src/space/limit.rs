//! Keeping the store within `lake.storageLimit`.
//!
//! Whoever stored something looks at the end, and in between where much is to come. What goes first is
//! what nobody used for the longest time, whatever names it, if lakes are sure to hold it; what only
//! this clone has stays, and the store grows beyond the limit if it must.

use std::fmt;
use std::time::Duration;

use super::needs::{Error, Needs};
use super::prune::{self, Plan, Spared, Tally};
use crate::copies::{self, Object};
use crate::workspace::Workspace;

/// How long other processes may go on using the store; whoever comes last looks again.
const PATIENCE: Duration = Duration::from_millis(500);
/// So many objects are asked for at once: those that are used least are often enough.
const ASKED_AT_ONCE: usize = 1024;

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What was removed.
    pub removed: Tally,
    /// How many bytes the store still has beyond the limit.
    pub excess: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The store has {} bytes more than `lake.storageLimit` allows, of objects that not enough lakes \
             are known to hold; `git lake push` uploads what is owed.",
            self.excess
        )
    }
}

/// Removes objects until the store is within the limit, as far as lakes hold them; cheap if the store is
/// known to be within it.
///
/// # Errors
/// If it cannot be told what is needed, or an object cannot be removed.
pub fn keep(site: &Workspace) -> Result<Outcome, Error> {
    let Some(limit) = site.config.storage_limit else { return Ok(Outcome::default()) };
    site.without_hold(|| {
        let used = site.store.usage(limit)?;
        if used <= limit {
            return Ok(Outcome::default());
        }
        // A tenth more than has to go, so that not every command has to make room.
        let plan = plan(site, used - limit + limit / 10)?;
        let Some(removed) = prune::carry_out(site, &plan, PATIENCE)? else {
            return Ok(Outcome::default());
        };
        Ok(Outcome { removed, excess: (used - removed.bytes).saturating_sub(limit) })
    })
}

/// Returns what to do at a time so that about half of the limit is in use by it: without one, all.
pub fn batches<T>(site: &Workspace, items: Vec<T>, size: impl Fn(&T) -> u64) -> Vec<Vec<T>> {
    let Some(limit) = site.config.storage_limit else { return vec![items] };
    let (mut batches, mut bytes) = (vec![Vec::new()], 0_u64);
    for item in items {
        let more = size(&item);
        let last = batches.last_mut().expect("there is one");
        if !last.is_empty() && bytes.saturating_add(more) > limit / 2 {
            bytes = 0;
            batches.push(Vec::new());
        }
        bytes = bytes.saturating_add(more);
        batches.last_mut().expect("there is one").push(item);
    }
    batches
}

/// Finds objects of so many bytes that may go, those that nobody used for the longest time first.
fn plan(site: &Workspace, bytes: u64) -> Result<Plan, Error> {
    let needs = Needs::find(site)?;
    let mut plan = Plan::new(&needs);
    for some in needs.stored_by_use().chunks(ASKED_AT_ONCE) {
        let named = some.iter().filter_map(|stored| needs.of(stored.oid));
        let objects: Vec<Object> = named.map(|need| need.object.clone()).collect();
        let copies = copies::confirm(site, &objects, site.config.min_copies)?;
        for stored in some {
            plan.add(&needs, *stored, Spared::Nothing, &copies, site.config.min_copies);
            if plan.tally().bytes >= bytes {
                return Ok(plan);
            }
        }
    }
    Ok(plan)
}
