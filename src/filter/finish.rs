//! What happens when git closes the pipe: its index is written, its lock released, and it waits.
//!
//! First everything is made durable; then what the index now references and is owed goes to the
//! lakes; then one summary. Nothing here can make git fail any more, and nothing owed is forgotten:
//! whatever does not work out stays in the queue.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::clean::Emitted;
use crate::config::UploadAt;
use crate::owed;
use crate::pointer::Pointer;
use crate::repo::index::Index;
use crate::repo::{BlobId, Repo, hooks};
use crate::repo_path::RepoPath;
use crate::space::limit;
use crate::transfer::download::Failure;
use crate::transfer::upload;
use crate::workspace::Workspace;

/// Most paths that a summary names for one cause.
const SHOWN_PATHS: usize = 3;

/// What went wrong in a session, by cause.
#[derive(Debug, Default)]
pub struct Summary {
    left: BTreeMap<String, Vec<String>>,
    refused: Vec<String>,
    is_interrupted: bool,
}

impl Summary {
    /// Notes a path whose content could not be had.
    pub fn left_as_pointer(&mut self, path: &RepoPath, failure: Failure) {
        self.is_interrupted |= matches!(failure, Failure::Cancelled);
        self.left.entry(failure.to_string()).or_default().push(path.display().into_owned());
    }

    /// Notes a path whose content is there but could not be put in place.
    pub fn unfilled(&mut self, path: &RepoPath, reason: String) {
        self.left.entry(reason).or_default().push(path.display().into_owned());
    }

    /// Notes a path that could not be cleaned; git names it too, but not why.
    pub fn refused(&mut self, site: &Workspace, path: &RepoPath, error: &super::clean::Error) {
        let way_out = match error {
            super::clean::Error::Damaged(_) => format!(". {}", way_back(&site.repo, path)),
            super::clean::Error::LfsPointer => {
                "; run `git lfs pull` first, so that the content is there".to_owned()
            }
            _ => String::new(),
        };
        self.refused.push(format!("Could not add `{}`: {error}{way_out}", path.display()));
    }

    fn print(&self, site: &Workspace) {
        for line in &self.refused {
            site.reporter.warn(line);
        }
        for (cause, paths) in &self.left {
            // Downloads end in any order.
            let mut paths = paths.clone();
            paths.sort_unstable();
            let shown = list_of(&paths);
            let left = match paths.len() {
                1 => "1 file left as a pointer".to_owned(),
                count => format!("{count} files left as pointers"),
            };
            site.reporter.warn(&format!("{left} ({shown}): {cause}"));
        }
        if !self.left.is_empty() {
            site.reporter
                .warn("The checkout is complete; `git lake pull` fetches what is missing.");
        }
    }
}

/// Says which commands bring a file back whose pointer is damaged.
///
/// Versions to choose from are in the index only while a merge is not resolved. git merged the pointer
/// line by line if the merge driver was not set up, and can do it again.
pub(super) fn way_back(repo: &Repo, path: &RepoPath) -> String {
    let path = shell_quoted(&path.display());
    let mut text = format!(
        "While it is not merged, `git checkout --ours -- {path}` or `git checkout --theirs -- {path}` \
         brings one side back; at any time `git checkout COMMIT -- {path}` brings that commit's, and \
         the content itself can be put there and added"
    );
    if repo.config_string("merge.lake.driver").is_none() {
        text.push_str(
            ". The merge driver is not set up here, so git merges pointers as text: `git lake init` sets it up",
        );
    }
    text
}

/// Writes a word so that a shell takes it as it is.
fn shell_quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/-+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Names the first few of a list.
fn list_of(paths: &[String]) -> String {
    let mut text =
        paths.iter().take(SHOWN_PATHS).map(String::as_str).collect::<Vec<_>>().join(", ");
    if paths.len() > SHOWN_PATHS {
        text.push_str(&format!(" and {} more", paths.len() - SHOWN_PATHS));
    }
    text
}

/// Makes everything that this process stored safe from power loss, before anything else; with `ends_cleaning`
/// git was given the last pointer.
///
/// A failure is told, written down, and made good by the next process that stores something.
pub fn sync(site: &Workspace, ends_cleaning: bool) {
    let warn = |text: &str| site.reporter.warn(text);
    let synced = site.store.sync().and_then(|()| match ends_cleaning {
        true => site.queue.conclude(),
        false => site.queue.sync(),
    });
    if let Err(error) = synced {
        let recorded = site.store.record_unsynced();
        warn(&format!(
            "Could not make what was added safe from power loss: {error}. It is stored; the next `git add` or `git lake push` tries again."
        ));
        if let Err(error) = recorded {
            warn(&format!("Could not write down what was not synced: {error}"));
        }
    } else if ends_cleaning && let Err(error) = site.store.sync_recorded() {
        warn(&error.to_string());
    }
}

/// When the store is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// More is to come.
    InBetween,
    /// Nothing more comes from this process.
    AtTheEnd,
}

/// Makes room in the store, if it is limited and this process stored much, or is about to end.
pub fn keep_within_limit(site: &Workspace, when: When) {
    let taken_in = site.store.taken_in();
    let is_due = |limit| match when {
        When::InBetween => taken_in > limit / 4,
        When::AtTheEnd => taken_in > 0,
    };
    if !site.config.storage_limit.is_some_and(is_due) {
        return;
    }
    sync(site, false);
    make_room(site, when);
}

/// Makes room in the store, if it is limited.
pub fn make_room(site: &Workspace, when: When) {
    match limit::keep(site) {
        Ok(outcome) if when == When::AtTheEnd && outcome.excess > 0 => {
            site.reporter.warn(&outcome.to_string());
        }
        Ok(_) => {}
        Err(error) => site.reporter.warn(&format!("Could not make room in the store: {error}")),
    }
}

/// Makes good what must not wait, when everything is synced.
pub fn finish(site: &Workspace, emitted: &[Emitted], summary: &Summary) {
    let warn = |text: &str| site.reporter.warn(text);
    summary.print(site);
    let may_be_staged = emitted.iter().any(|emitted| emitted.may_be_staged);
    if may_be_staged && !owed::is_stash_index(&site.repo) {
        if let Err(error) = upload_referenced(site, emitted) {
            warn(&format!("Could not upload: {error}. `git lake push` tries again."));
        }
    } else if let Err(error) = site.accepted() {
        warn(&format!("Could not record the remotes of this clone: {error}"));
    }
    match owed::repair(site) {
        Ok((report, due)) => tell(site, &report, &due),
        Err(error) => warn(&format!("Could not upload what a lake has lost: {error}")),
    }
    if !may_be_staged {
        return;
    }
    if site.config.install_hooks {
        install_hooks(site);
    }
    if let Err(error) = site.store.sweep_staged() {
        warn(&format!("Could not tidy up: {error}"));
    }
}

fn upload_referenced(site: &Workspace, emitted: &[Emitted]) -> Result<(), crate::fs::PathError> {
    let Ok(index) = site.repo.index() else {
        return Ok(());
    };
    let items = referenced(&index, emitted);
    if items.is_empty() {
        return Ok(());
    }
    let owed =
        owed::of_pointers(site, items.iter().map(|emitted| (&emitted.path, &emitted.pointer)))?;
    site.queue.add_owed(&owed)?;
    let known = items.iter().map(|emitted| (emitted.blob, &emitted.pointer)).collect();
    // The claims of earlier processes are made good along with this one's.
    upload_claimed(site, &known)
}

/// Uploads what the index uses and processes left claims of, unless uploads wait for a push. Pointers that
/// are `known` need not be read from git.
///
/// # Errors
/// If the local state cannot be read or written; nothing owed is forgotten.
pub fn upload_claimed(
    site: &Workspace,
    known: &HashMap<BlobId, &Pointer>,
) -> Result<(), crate::fs::PathError> {
    let all = owed::settle_knowing(site, owed::Look::Index, known)?;
    if site.config.upload_at == UploadAt::Add && !all.is_empty() {
        let (report, due) = owed::pay(site, all)?;
        tell(site, &report, &due);
        owed::settle(site, owed::Look::Index)?;
    }
    Ok(())
}

/// Returns the pointers that the index came to use, by git's own names for them.
fn referenced<'a>(index: &Index, emitted: &'a [Emitted]) -> Vec<&'a Emitted> {
    let is_at_path = |emitted: &&Emitted| {
        index.at(emitted.path.as_bytes()).any(|entry| entry.id == emitted.blob)
    };
    let (mut found, missing): (Vec<_>, Vec<_>) = emitted.iter().partition(is_at_path);
    if !missing.is_empty() {
        // `git mv` and merges may have put it elsewhere.
        let wanted: HashSet<_> = missing.iter().map(|emitted| emitted.blob).collect();
        let entries = index.entries().map(|entry| entry.id);
        let there: HashSet<_> = entries.filter(|id| wanted.contains(id)).collect();
        found.extend(missing.into_iter().filter(|emitted| there.contains(&emitted.blob)));
    }
    found
}

/// Tells what stays owed and why, one line for each cause.
pub fn tell(site: &Workspace, report: &upload::Report, due: &owed::Due) {
    let lines = owed::lines(report, due);
    lines.iter().for_each(|line| site.reporter.warn(line));
    if !lines.is_empty() && !hooks::is_push_guarded(&site.repo) {
        site.reporter.warn(
            "The pre-push hook is not active, so `git push` will not check this: `git lake init` says how.",
        );
    }
}

fn install_hooks(site: &Workspace) {
    // Only where all are absent or ours, and only inside the git dir: `init` tells about the rest.
    if let Err(error) = hooks::install(&site.repo) {
        site.reporter.warn(&format!("Could not install the hooks: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_shown_can_be_pasted() {
        let table = [
            ("a/b-1.bin", "a/b-1.bin"),
            ("with blank.bin", "'with blank.bin'"),
            ("it's.bin", "'it'\\''s.bin'"),
            ("$x", "'$x'"),
        ];
        for (word, quoted) in table {
            assert_eq!(shell_quoted(word), quoted);
        }
    }
}
