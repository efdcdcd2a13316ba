//! Taking sources out of pointers. Nothing in a lake is touched.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::Item;
use super::only::is_shared;
use super::rewrite::Change;
use crate::fs::PathError;
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::repo_path::RepoPath;
use crate::transfer::presence::{Answer, Questions};
use crate::transfer::upload::Failure;
use crate::workspace::Workspace;

/// What must be known of the sources that remain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// One of them has a receipt; no lake is asked.
    Receipt,
    /// One of them is held now: the lakes are asked.
    Now,
    /// Nothing.
    Nothing,
}

/// What removing comes to.
#[derive(Debug, Default)]
pub struct Plan {
    /// The pointers that lose sources.
    pub changes: Vec<Change>,
    /// Items of which no source would remain that is known to hold the object.
    pub unproven: Vec<RepoPath>,
    /// Why lakes could not tell what they hold.
    pub doubts: BTreeMap<LakeUrl, String>,
    /// How many objects in the lakes no pointer of the index would name any more.
    pub unreferenced: usize,
}

/// Plans to take all sources in `lakes` out of `items`; `others` are the items that stay as they are.
///
/// A lake that exists on this machine alone proves nothing.
///
/// # Errors
/// If receipts cannot be read or written.
pub fn plan(
    site: &Workspace,
    items: Vec<Item>,
    others: &[Item],
    lakes: &BTreeSet<LakeUrl>,
    proof: Proof,
) -> Result<Plan, PathError> {
    let is_removed = |source: &SourceUrl| lakes.contains(&source.lake);
    let names_one = |item: &Item| item.pointer.sources().iter().any(is_removed);
    let (losing, staying): (Vec<Item>, Vec<Item>) = items.into_iter().partition(names_one);
    let mut unreferenced: HashSet<SourceUrl> = HashSet::new();
    for item in &losing {
        unreferenced.extend(item.pointer.sources().iter().filter(|url| is_removed(url)).cloned());
    }
    for item in staying.iter().chain(others) {
        item.pointer.sources().iter().for_each(|source| {
            unreferenced.remove(source);
        });
    }
    let mut plan = Plan { unreferenced: unreferenced.len(), ..Plan::default() };
    let remaining = |item: &Item| -> Vec<SourceUrl> {
        item.pointer.sources().iter().filter(|source| !is_removed(source)).cloned().collect()
    };
    let mut questions = Questions::default();
    for item in losing.iter().filter(|_| proof == Proof::Now) {
        for source in remaining(item) {
            questions.add(source, Some(item.pointer.size()));
        }
    }
    let answers = site.transfer().ask(questions)?;
    for item in losing {
        let sources = remaining(&item);
        let mut is_proved = proof == Proof::Nothing;
        for source in sources.iter().filter(|source| is_shared(site, &source.lake)) {
            is_proved |= match proof {
                Proof::Now => match answers.get(source) {
                    Some(Answer::Held(_)) => true,
                    Some(Answer::Unknown(error)) => {
                        let why = || Failure::from(error.clone()).cause();
                        plan.doubts.entry(source.lake.clone()).or_insert_with(why);
                        false
                    }
                    _ => false,
                },
                _ => site.receipts.get(source)?.is_some_and(|it| it.size == item.pointer.size()),
            };
        }
        if !is_proved {
            plan.unproven.push(item.path.clone());
        }
        plan.changes.push(Change::new(item, sources).expect("it becomes shorter"));
    }
    Ok(plan)
}
