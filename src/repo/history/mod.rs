//! Which blobs commits hold: those of a push, of one commit, of everything.
//!
//! Git's plumbing walks the history; it knows about grafts, shallow and partial clones. Paths come
//! from commands that can end them with a zero, since a path may hold a line feed.

use std::collections::{HashMap, HashSet};

use super::process::{self, Git};
use super::{BlobId, Repo};

mod parse;
pub mod range;
mod unfinished;

use parse::is_file_mode;
pub use parse::{ParseRefUpdateError, RefUpdate};

/// Says why the history could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Git could not be run, or failed.
    #[error(transparent)]
    Git(#[from] process::Error),
    /// Git's answer is not what its documentation promises.
    #[error("Could not understand what `git {command}` answered")]
    Answer {
        /// The command.
        command: &'static str,
    },
    /// A part of the history is not here, so that it cannot be told what belongs to a range.
    #[error("This clone is shallow: it does not have all of the history that is asked for")]
    Shallow,
    /// An object of the repository could not be read.
    #[error(transparent)]
    Repo(#[from] super::Error),
    /// A file of the git folder could not be read.
    #[error(transparent)]
    Path(#[from] crate::fs::PathError),
}

/// A blob and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FoundBlob {
    /// Its id.
    pub id: BlobId,
    /// Its path from the top of the work tree; empty for a blob that only a tag names.
    pub path: Vec<u8>,
}

/// A blob that a commit has in the place of another one of a parent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Replacement {
    /// What the parent has there.
    pub old: BlobId,
    /// What the commit has there.
    pub new: BlobId,
    /// The path from the top of the work tree.
    pub path: Vec<u8>,
}

/// Which commits [`replacements`] looks at.
#[derive(Debug, Clone, Copy)]
pub enum Commits<'a> {
    /// `HEAD`, if it is a merge.
    MergedHead,
    /// Those that a push sends; what git gives to the hook, and the remote as for [`blobs_to_push`].
    Pushed(&'a [RefUpdate], &'a str),
}

/// Where [`blobs_reachable`] begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All references and the heads and indices of all work trees, and every entry of the stash.
    Refs,
    /// The same, and whatever a reflog or an unfinished merge, rebase or the like can bring back.
    RefsAndReflogs,
    /// The indices of all work trees.
    Indices,
    /// What remotes of git are known to have, by the remote-tracking references.
    Pushed,
}

/// Returns the blobs that a push sends for the first time, each with every path it gets there.
///
/// `remote` is what git gives to the hook: the name of a remote, or a URL. What the remote has is
/// known from its remote-tracking references, and from the ids that it announced, as far as they are
/// in this clone. Too much may be returned, never too little. Sorted.
///
/// # Errors
/// If git fails.
pub fn blobs_to_push(
    repo: &Repo,
    updates: &[RefUpdate],
    remote: &str,
) -> Result<Vec<FoundBlob>, Error> {
    let sent: HashSet<BlobId> = updates.iter().filter_map(RefUpdate::sent).collect();
    if sent.is_empty() {
        return Ok(Vec::new());
    }
    let git = Git::of(repo)?;
    let (bounds, revisions) = range_of_push(repo, updates, remote);
    // The path by which git met it first, until a whole one is known.
    let mut hints: HashMap<BlobId, Option<Vec<u8>>> = HashMap::new();
    for blob in rev_list_blobs(&git, &bounds, &revisions)? {
        hints.insert(blob.id, Some(blob.path));
    }
    if hints.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut add = |blob: FoundBlob| {
        if let Some(hint) = hints.get_mut(&blob.id) {
            *hint = None;
            found.push(blob);
        }
    };
    changed_blobs(&git, &bounds, &revisions, &mut |blob, _| add(blob))?;
    // A tag may name a tree, which no commit leads to.
    for id in &sent {
        if let Some(tree) = repo.tree_without_commit(*id)? {
            tree_blobs(&git, &tree.to_string(), &mut add)?;
        }
    }
    let unmet = hints.into_iter().filter_map(|(id, hint)| Some(FoundBlob { id, path: hint? }));
    found.extend(unmet);
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Returns the arguments and the input by which `git rev-list` finds the commits of a push.
fn range_of_push(repo: &Repo, updates: &[RefUpdate], remote: &str) -> (Vec<String>, Vec<u8>) {
    let sent: HashSet<BlobId> = updates.iter().filter_map(RefUpdate::sent).collect();
    let announced = updates.iter().filter_map(RefUpdate::replaced);
    let known: HashSet<BlobId> = announced.filter(|id| repo.has_object(*id)).collect();
    let mut revisions = Vec::new();
    for id in &sent {
        revisions.extend_from_slice(format!("{id}\n").as_bytes());
    }
    for id in &known {
        revisions.extend_from_slice(format!("^{id}\n").as_bytes());
    }
    let mut bounds = vec!["--stdin".to_owned()];
    if let Some(remote) = tracked_remote(repo, remote) {
        bounds.extend(["--not".to_owned(), format!("--remotes={remote}")]);
    }
    (bounds, revisions)
}

/// Returns the blobs that commits have in the place of others, against each of their parents, once each.
///
/// # Errors
/// If git fails.
pub fn replacements(repo: &Repo, commits: Commits<'_>) -> Result<Vec<Replacement>, Error> {
    let (bounds, revisions) = match commits {
        Commits::MergedHead => {
            let bounds = ["--no-walk", "--min-parents=2", "HEAD"].map(str::to_owned);
            (bounds.into(), Vec::new())
        }
        Commits::Pushed(updates, remote) => range_of_push(repo, updates, remote),
    };
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let git = Git::of(repo)?;
    changed_blobs(&git, &bounds, &revisions, &mut |blob, old| {
        let Some(old) = old else { return };
        let replacement = Replacement { old, new: blob.id, path: blob.path };
        if seen.insert(replacement.clone()) {
            found.push(replacement);
        }
    })?;
    Ok(found)
}

/// Returns the files of a commit or tree, in the order of the tree. An unborn `HEAD` has none.
///
/// # Errors
/// If `treeish` names nothing or a tree is missing.
pub fn blobs_of(repo: &Repo, treeish: &str) -> Result<Vec<FoundBlob>, Error> {
    let mut found = Vec::new();
    let tree = repo.tree_id(treeish)?.to_string();
    tree_blobs(&Git::of(repo)?, &tree, &mut |blob| found.push(blob))?;
    Ok(found)
}

/// Returns the blobs of commits that no remote of git is known to have, once each: of all branches, tags and
/// stashes, or of the commits that are named.
///
/// Paths are as those of [`blobs_reachable`].
///
/// # Errors
/// If there is no such commit, or git fails.
pub fn blobs_unpushed(repo: &Repo, revisions: Option<&[String]>) -> Result<Vec<FoundBlob>, Error> {
    let git = Git::of(repo)?;
    let (mut bounds, mut input) = (Vec::new(), Vec::new());
    let head = ["HEAD".to_owned()];
    let named = match revisions {
        Some(revisions) => revisions,
        None => {
            bounds.extend(["--branches", "--tags"]);
            input = stashes(repo, &git)?;
            // It may be detached, or unborn.
            if repo.commit_id("HEAD").is_ok() { &head[..] } else { &[] }
        }
    };
    for revision in named {
        input.extend_from_slice(format!("{}\n", repo.commit_id(revision)?).as_bytes());
    }
    bounds.extend(["--stdin", "--not", "--remotes"]);
    let bounds: Vec<String> = bounds.into_iter().map(str::to_owned).collect();
    rev_list_blobs(&git, &bounds, &input)
}

/// Returns the blobs of the indices of all work trees, and those of commits of branches, tags and stashes,
/// that no remote of git is known to have, once each; perhaps more.
///
/// Paths are as those of [`blobs_reachable`].
///
/// # Errors
/// If git fails.
pub fn blobs_unpushed_or_indexed(repo: &Repo) -> Result<Vec<FoundBlob>, Error> {
    let git = Git::of(repo)?;
    let stashes = stashes(repo, &git)?;
    let mut bounds = vec!["--branches", "--tags", "--indexed-objects"];
    // It may be detached, or unborn.
    bounds.extend(repo.commit_id("HEAD").is_ok().then_some("HEAD"));
    bounds.extend(["--stdin", "--not", "--remotes"]);
    let bounds: Vec<String> = bounds.into_iter().map(str::to_owned).collect();
    rev_list_blobs(&git, &bounds, &stashes)
}

/// What git keeps that no remote of git is known to have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unpushed {
    /// Commits of branches, tags and `HEAD`.
    pub commits: usize,
    /// Stashes, which no push sends.
    pub stashes: usize,
}

/// Counts what git keeps that no remote of git is known to have, by the remote-tracking references.
///
/// # Errors
/// If git fails.
pub fn unpushed(repo: &Repo) -> Result<Unpushed, Error> {
    let git = Git::of(repo)?;
    let mut args = vec!["rev-list", "--count", "--branches", "--tags"];
    // It may be detached, or unborn.
    args.extend(repo.commit_id("HEAD").is_ok().then_some("HEAD"));
    args.extend(["--not", "--remotes", "--"]);
    let counted = git.run(&args, b"")?.stdout;
    let counted = std::str::from_utf8(&counted).ok().and_then(|text| text.trim().parse().ok());
    let commits = counted.ok_or(Error::Answer { command: "rev-list" })?;
    let stashes = stashes(repo, &git)?.iter().filter(|byte| **byte == b'\n').count();
    Ok(Unpushed { commits, stashes })
}

/// Returns the ids of all stashes, one a line: only the latest is a reference, the others are in its reflog.
fn stashes(repo: &Repo, git: &Git) -> Result<Vec<u8>, Error> {
    if !repo.has_reference("refs/stash") {
        return Ok(Vec::new());
    }
    let args = ["log", "--walk-reflogs", "--format=%H", "refs/stash", "--"];
    Ok(git.run(&args, b"")?.stdout)
}

/// Returns every blob that the repository still needs, once.
///
/// The path is the first one that git met, and only as far as its first line feed: for showing.
///
/// # Errors
/// If git fails.
pub fn blobs_reachable(repo: &Repo, reach: Reach) -> Result<Vec<FoundBlob>, Error> {
    let git = Git::of(repo)?;
    let (bounds, revisions) = range_of(repo, &git, reach)?;
    rev_list_blobs(&git, &bounds, &revisions)
}

/// Returns true if a partial clone left something of these on its server, blobs or trees of them.
///
/// # Errors
/// If git fails.
pub fn lacks_blobs(repo: &Repo, reach: Reach) -> Result<bool, Error> {
    const WRONG: Error = Error::Answer { command: "rev-list" };
    if !repo.is_partial() {
        return Ok(false);
    }
    let git = Git::of(repo)?;
    let (bounds, revisions) = range_of(repo, &git, reach)?;
    let mut args = vec!["rev-list", "--objects", "--missing=print"];
    args.extend(bounds.iter().map(String::as_str));
    let mut stream = git.stream(&args, revisions)?;
    let mut is_lacking = false;
    while let Some(line) = stream.next_record(b'\n').map_err(|_| WRONG)? {
        is_lacking |= line.first() == Some(&b'?');
    }
    stream.finish()?;
    Ok(is_lacking)
}

/// Returns the arguments and the input by which `git rev-list` begins where `reach` says.
fn range_of(repo: &Repo, git: &Git, reach: Reach) -> Result<(Vec<String>, Vec<u8>), Error> {
    let mut revisions = Vec::new();
    let bounds: &[&str] = match reach {
        Reach::Refs => {
            revisions = stashes(repo, git)?;
            &["--all", "--indexed-objects"]
        }
        Reach::RefsAndReflogs => {
            for id in repo.unfinished_heads()? {
                revisions.extend_from_slice(format!("{id}\n").as_bytes());
            }
            &["--all", "--indexed-objects", "--reflog"]
        }
        Reach::Indices => &["--indexed-objects"],
        Reach::Pushed => &["--remotes"],
    };
    let bounds = bounds.iter().chain(&["--stdin"]).map(|&bound| bound.to_owned()).collect();
    Ok((bounds, revisions))
}

/// Returns the blobs that branches, tags, remote-tracking references and stashes need, but for the one
/// that `name` is the name of; paths are as for [`blobs_reachable`].
///
/// # Errors
/// If git fails.
pub fn blobs_of_other_refs(repo: &Repo, name: &str) -> Result<Vec<FoundBlob>, Error> {
    let git = Git::of(repo)?;
    let full_name = repo.full_reference_name(name);
    let stashes = match full_name.as_deref() {
        Some("refs/stash") => Vec::new(),
        _ => stashes(repo, &git)?,
    };
    // What is checked out is a branch, or nothing that has a name.
    let mut bounds = vec!["--single-worktree".to_owned(), "--exclude=HEAD".to_owned()];
    bounds.extend(full_name.map(|name| format!("--exclude={name}")));
    bounds.extend(["--all", "--stdin"].map(str::to_owned));
    rev_list_blobs(&git, &bounds, &stashes)
}

impl Repo {
    /// Returns true if this clone left objects on a server: walks pass over what is missing then.
    pub fn is_partial(&self) -> bool {
        let promises =
            |name: &String| self.config_bool(&format!("remote.{name}.promisor")) == Some(true);
        self.config_string("extensions.partialclone").is_some()
            || self.config_subsections("remote").iter().any(promises)
    }
}

/// Returns the name under which git keeps remote-tracking references of a remote, or of the one that is
/// pushed to at this address.
fn tracked_remote(repo: &Repo, remote: &str) -> Option<String> {
    let names = repo.config_subsections("remote");
    let pushes_to = |name: &&String| {
        let urls = |key: &str| repo.config_strings(&format!("remote.{name}.{key}"));
        let (own, for_pushes) = (urls("url"), urls("pushurl"));
        // One that pushes to several places has references of none.
        match if for_pushes.is_empty() { &own[..] } else { &for_pushes[..] } {
            [url] => url == remote,
            _ => false,
        }
    };
    let name = match names.iter().find(|name| *name == remote) {
        Some(name) => name,
        None => names.iter().find(pushes_to)?,
    };
    // In a pattern, these would mean other remotes, too; so would the references of `a` and `a/b`.
    let is_plain = !name.is_empty() && !name.contains(['*', '?', '[', '\\', '\n']);
    let is_above = |other: &String| {
        other.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('/'))
    };
    (is_plain && !names.iter().any(is_above)).then(|| name.clone())
}

/// Lists blobs by `git rev-list`, whose paths end at the first line feed before git 2.50.
fn rev_list_blobs(git: &Git, bounds: &[String], stdin: &[u8]) -> Result<Vec<FoundBlob>, Error> {
    const WRONG: Error = Error::Answer { command: "rev-list" };
    let mut args = vec![
        "rev-list",
        "--objects",
        "--filter=object:type=blob",
        "--filter-provided-objects",
        // What a partial clone left on the server is on the server.
        "--missing=allow-promisor",
    ];
    args.extend(bounds.iter().map(String::as_str));
    let mut stream = git.stream(&args, stdin.to_owned())?;
    let mut found = Vec::new();
    while let Some(line) = stream.next_record(b'\n').map_err(|_| WRONG)? {
        let (id, path) = match line.iter().position(|byte| *byte == b' ') {
            Some(blank) => (&line[..blank], &line[blank + 1..]),
            None => (&line[..], &b""[..]),
        };
        let id = BlobId::parse_hex(id).ok_or(WRONG)?;
        let path = path.to_owned();
        found.push(FoundBlob { id, path });
    }
    stream.finish()?;
    Ok(found)
}

/// Lists the files that commits change, against each of their parents, with their whole paths.
fn changed_blobs(
    git: &Git,
    bounds: &[String],
    revisions: &[u8],
    add: &mut dyn FnMut(FoundBlob, Option<BlobId>),
) -> Result<(), Error> {
    let mut args = vec!["rev-list"];
    args.extend(bounds.iter().map(String::as_str));
    let commits = git.run(&args, revisions)?.stdout;
    if commits.is_empty() {
        return Ok(());
    }
    let args = [
        "diff-tree",
        "--stdin",
        "--no-commit-id",
        "--root",
        "-r",
        "-m",
        "-z",
        "--raw",
        "--no-renames",
        "--no-abbrev",
        "--no-ext-diff",
        "--no-relative",
        "--ignore-submodules=none",
        "--diff-filter=d",
    ];
    let mut stream = git.stream(&args, commits)?;
    parse::raw_changes(&mut stream, add)?;
    stream.finish()?;
    Ok(())
}

/// Lists the files of one tree.
fn tree_blobs(git: &Git, treeish: &str, add: &mut dyn FnMut(FoundBlob)) -> Result<(), Error> {
    let args = ["ls-tree", "-r", "-z", "--full-tree", treeish, "--"];
    let mut stream = git.stream(&args, Vec::new())?;
    parse::tree_entries(&mut stream, add)?;
    stream.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests;
