//! How the items of the index stand: against `HEAD`, in the work tree, and to the remotes of the settings.

use std::collections::BTreeMap;

use super::Error;
use super::facts::Facts;
use super::list::files_of_folder;
use super::work_tree::{InWorkTree, WorkTree};
use crate::digest::HashName;
use crate::fs::PathError;
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::object_name::ObjectName;
use crate::repo::attributes::LakePaths;
use crate::repo::changes::{self, Between, Change, Side};
use crate::repo::index::{Entry, EntryKind, Index};
use crate::repo::{self, BlobId};
use crate::repo_path::RepoPath;
use crate::store::blob_map::Named;
use crate::transfer::presence::{Answer, Questions};
use crate::transfer::upload::Failure;
use crate::workspace::Workspace;

/// Lakes are asked for so many items together.
const ASKED_AT_ONCE: usize = 8192;

/// An item whose pointer in the index is not that of `HEAD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// What happened.
    pub change: Change,
    /// Where it is, or was.
    pub path: RepoPath,
    /// Where it was, of one that was renamed.
    pub old_path: Option<RepoPath>,
}

/// How items stand; lists are in the order of paths.
#[derive(Debug, Default)]
pub struct Status {
    /// Items of the index, a conflict as one.
    pub items: usize,
    /// Sum of their sizes.
    pub bytes: u64,
    /// What the next commit changes.
    pub staged: Vec<Staged>,
    /// Files with other bytes than the index names.
    pub modified: Vec<RepoPath>,
    /// Files that are gone from the work tree.
    pub deleted: Vec<RepoPath>,
    /// What a merge left to a person.
    pub unmerged: Vec<RepoPath>,
    /// Files that are exactly their pointer.
    pub pointers_only: Vec<RepoPath>,
    /// Items whose pointer names no remote of the settings, and that none is known to hold.
    pub unnamed: Vec<RepoPath>,
}

/// Finds out how the items of the index stand. Asks no lake.
///
/// # Errors
/// If git, the work tree or receipts cannot be read.
pub fn of_index(site: &Workspace, index: &Index) -> Result<Status, Error> {
    let mut found = Finder { site, facts: Facts::of(site), status: Status::default() };
    let work_tree = WorkTree::of(site, &site.repo, index);
    let mut lake_paths = LakePaths::of_work_tree(&site.repo, index)?;
    let files: Vec<Entry<'_>> = index.entries().filter(is_file).collect();
    let glances = work_tree.as_ref().map(|work_tree| work_tree.glance_at(&files));
    for (at, entry) in files.iter().enumerate() {
        let Some(named) = found.facts.get(entry.id)? else { continue };
        let Some(path) = RepoPath::parse(entry.path) else { continue };
        if entry.stage != 0 {
            if found.status.unmerged.last() != Some(&path) {
                found.count(&path, entry.id, &named)?;
                found.status.unmerged.push(path);
            }
            continue;
        }
        found.count(&path, entry.id, &named)?;
        let (Some(work_tree), Some(glances)) = (&work_tree, &glances) else { continue };
        match work_tree.judge(entry, &named, glances[at])? {
            InWorkTree::Modified => found.status.modified.push(path),
            InWorkTree::Absent if !entry.is_skip_worktree => found.status.deleted.push(path),
            // Elsewhere it is a file like any other, which nobody would fill.
            InWorkTree::Pointer if lake_paths.contains(&path)? => {
                found.status.pointers_only.push(path);
            }
            _ => {}
        }
    }
    site.reporter.end();
    for folder in index.entries().filter(|entry| entry.kind == EntryKind::SparseFolder) {
        for blob in files_of_folder(site, &folder)? {
            if let Some(named) = found.facts.get(blob.id)?
                && let Some(path) = RepoPath::parse(&blob.path)
            {
                found.count(&path, blob.id, &named)?;
            }
        }
    }
    found.stage()?;
    Ok(found.status)
}

fn is_file(entry: &Entry<'_>) -> bool {
    entry.kind.is_file() && !entry.is_intent_to_add
}

struct Finder<'a> {
    site: &'a Workspace,
    facts: Facts<'a>,
    status: Status,
}

impl Finder<'_> {
    fn count(&mut self, path: &RepoPath, blob: BlobId, named: &Named) -> Result<(), Error> {
        self.status.items += 1;
        self.status.bytes = self.status.bytes.saturating_add(named.size);
        if !is_held_by_receipt(self.site, path, named)? && !names_remote(self.site, blob)? {
            self.status.unnamed.push(path.clone());
        }
        Ok(())
    }

    /// Compares the index with `HEAD`.
    fn stage(&mut self) -> Result<(), Error> {
        let top = self.site.repo.work_tree().unwrap_or(self.site.repo.git_dir());
        let states = Between::TreeAndIndex("HEAD".to_owned());
        for found in changes::between(&self.site.repo, top, &states, &[])? {
            let mut is_item = |side: &Option<Side>| -> Result<bool, Error> {
                let blob = side.as_ref().and_then(|side| side.blob);
                Ok(match blob {
                    Some(blob) => self.facts.get(blob)?.is_some(),
                    None => false,
                })
            };
            let is_either = is_item(&found.old)? || is_item(&found.new)?;
            let blob = |side: &Option<Side>| side.as_ref().and_then(|side| side.blob);
            // Git tells of other modes, too; and a conflict is told by itself.
            let is_same = found.change == Change::Modified && blob(&found.old) == blob(&found.new);
            if !is_either || is_same || found.change == Change::Unmerged {
                continue;
            }
            let path = |side: Option<Side>| side.and_then(|side| RepoPath::parse(&side.path));
            let (old, new) = (path(found.old), path(found.new));
            let old_path = old.clone().filter(|_| found.change == Change::Renamed);
            if let Some(path) = new.or(old) {
                self.status.staged.push(Staged { change: found.change, path, old_path });
            }
        }
        Ok(())
    }
}

/// Returns true if a remote of the settings has proved to hold the object under the name by which it is
/// looked for there.
fn is_held_by_receipt(site: &Workspace, path: &RepoPath, named: &Named) -> Result<bool, PathError> {
    for remote in site.config.remotes.iter().filter(|remote| remote.hash == HashName::Sha256) {
        let name = ObjectName::new(&named.oid.into(), path.file_name());
        let receipt = site.receipts.get(&remote.url.source(name))?;
        if receipt.is_some_and(|receipt| receipt.size == named.size) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns true if a pointer names a remote of the settings.
fn names_remote(site: &Workspace, blob: BlobId) -> Result<bool, repo::Error> {
    let pointer = site.pointer_of(blob)?;
    Ok(pointer.is_some_and(|(_, pointer)| {
        pointer.sources().iter().any(|source| site.config.remote_at(&source.lake).is_some())
    }))
}

/// What came of asking lakes.
#[derive(Debug, Default)]
pub struct Asked {
    /// Items that no lake is known to hold now.
    pub unheld: Vec<RepoPath>,
    /// Lakes that could not be asked, and why.
    pub unasked: BTreeMap<LakeUrl, String>,
}

/// Asks the lakes where items of the index are looked for, each lake once for many of them.
///
/// # Errors
/// If git or receipts cannot be read, or receipts not be written.
pub fn ask(site: &Workspace, index: &Index) -> Result<Asked, Error> {
    let (mut asked, mut waiting) = (Asked::default(), Vec::new());
    for entry in index.entries().filter(is_file) {
        let Some(path) = RepoPath::parse(entry.path) else { continue };
        let Some((_, pointer)) = site.pointer_of(entry.id)? else { continue };
        let candidates = site.config.candidates(&pointer, &path);
        waiting.push((path, pointer.size(), candidates));
        if waiting.len() >= ASKED_AT_ONCE {
            asked.look(site, std::mem::take(&mut waiting))?;
        }
    }
    asked.look(site, waiting)?;
    Ok(asked)
}

impl Asked {
    fn look(
        &mut self,
        site: &Workspace,
        items: Vec<(RepoPath, u64, Vec<SourceUrl>)>,
    ) -> Result<(), PathError> {
        let mut questions = Questions::default();
        for (_, size, candidates) in &items {
            candidates.iter().for_each(|source| questions.add(source.clone(), Some(*size)));
        }
        let answers = site.transfer().ask(questions)?;
        for (source, answer) in &answers {
            if let Answer::Unknown(error) = answer
                && !self.unasked.contains_key(&source.lake)
            {
                let cause = Failure::from(error.clone()).cause();
                self.unasked.insert(source.lake.clone(), cause);
            }
        }
        for (path, _, candidates) in items {
            let is_held = |source: &SourceUrl| matches!(answers[source], Answer::Held(_));
            if !candidates.iter().any(is_held) && self.unheld.last() != Some(&path) {
                self.unheld.push(path);
            }
        }
        Ok(())
    }
}
