//! Pointers in the place of content.

use std::fs::Metadata;

use super::exchange::exchange;
use super::{Error, Item, THREADS};
use crate::digest::hash_reader;
use crate::fs::beneath::Tree;
use crate::fs::{IoContext as _, Stamp};
use crate::parallel;
use crate::repo_path::RepoPath;
use crate::size;
use crate::store::materialize::Outcome;
use crate::transfer::report::Activity;
use crate::workspace::Workspace;

/// What a file of the work tree is.
#[derive(Debug)]
pub enum State {
    /// Exactly the content; these are its stat data.
    Content(Metadata),
    /// Exactly the pointer.
    Pointer,
    /// Something else: the user's.
    Other,
    /// Not there, or no regular file.
    Absent,
}

/// What came of dropping.
#[derive(Debug, Default)]
pub struct Report {
    /// How many files are pointers now.
    pub dropped: usize,
    /// How many bytes their content had.
    pub bytes: u64,
    /// Files that keep their content, and why.
    pub failures: Vec<(RepoPath, String)>,
}

/// Looks what files are, in order; what has the right length is hashed.
///
/// The repository must have a work tree.
pub fn look(site: &Workspace, items: &[Item]) -> Vec<State> {
    let bytes = size::total(items.iter().map(|item| item.pointer.size()));
    site.reporter.expect(Activity::Verifying, items.len() as u64, bytes);
    let tree = site.repo.work_tree().and_then(|top| Tree::open(top).ok());
    let (reporter, cancel) = (&*site.reporter, &site.cancel);
    let states = parallel::map(THREADS, items.len(), |at| {
        let item = &items[at];
        let state = match &tree {
            Some(tree) if !cancel.is_cancelled() => state(tree, item),
            _ => State::Other,
        };
        reporter.moved(item.pointer.size());
        reporter.finished_object();
        state
    });
    reporter.end();
    states
}

fn state(tree: &Tree, item: &Item) -> State {
    let Ok((file, metadata)) = tree.open_file(&item.path) else { return State::Absent };
    let (size, text) = (item.pointer.size(), &item.text);
    if metadata.len() != size && metadata.len() != text.len() as u64 {
        return State::Other;
    }
    let is_same = || file.metadata().is_ok_and(|now| Stamp::of(&metadata).is_of(&now));
    match hash_reader(&file, &[]) {
        // Whoever writes while it is read changes the time.
        Ok(hashed) if hashed.oid == item.pointer.oid() && is_same() => State::Content(metadata),
        Ok(hashed) if hashed.oid == crate::oid::Oid::of(text) => State::Pointer,
        _ => State::Other,
    }
}

/// Replaces files by their pointers, if nobody changed them since they were looked at.
///
/// # Errors
/// If the index is locked, split or cannot be written: nothing was dropped then.
pub fn drop_content(site: &Workspace, found: Vec<(Item, Metadata)>) -> Result<Report, Error> {
    let mut report = Report::default();
    if found.is_empty() {
        return Ok(report);
    }
    let (items, looked_at): (Vec<Item>, Vec<Metadata>) = found.into_iter().unzip();
    let top = site.repo.work_tree().expect("items lie in one");
    let tree = Tree::open(top).context(top)?;
    let (store, cancel) = (&*site.store, &site.cancel);
    exchange(site, &items, None, || {
        let outcomes = parallel::map(THREADS, items.len(), |at| match cancel.is_cancelled() {
            true => Ok(Outcome::Interrupted),
            false => {
                let Item { path, text, .. } = &items[at];
                store.replace_unchanged(&tree, path, &looked_at[at], text)
            }
        });
        let mut changed = Vec::new();
        for (at, outcome) in outcomes.into_iter().enumerate() {
            let reason = match outcome {
                Ok(Outcome::Filled(metadata)) => {
                    report.dropped += 1;
                    report.bytes = report.bytes.saturating_add(items[at].pointer.size());
                    changed.push((at, metadata));
                    continue;
                }
                Ok(Outcome::Interrupted) => "Interrupted".to_owned(),
                Ok(Outcome::Changed | Outcome::Gone | Outcome::NotStored) => {
                    "It was changed a moment ago".to_owned()
                }
                Err(error) => error.to_string(),
            };
            report.failures.push((items[at].path.clone(), reason));
        }
        changed
    })?;
    Ok(report)
}
