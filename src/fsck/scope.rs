//! Which pointers are meant: those of the index, of a commit, or what a range of commits brings.

use std::collections::HashMap;

use super::Error;
use crate::pointer::{MAX_POINTER_BYTES, Parsed, Pointer, PointerError, is_lfs_pointer};
use crate::repo::attributes::{AttributesFiles, LakePaths, is_attributes_file, is_never_tracked};
use crate::repo::history::range::{self, Step};
use crate::repo::history::{self, FoundBlob};
use crate::repo::{self, Blob, BlobId, Repo};
use crate::repo_path::RepoPath;
use crate::workspace::Workspace;

/// Which files of git are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Those of the index.
    Index,
    /// All files of a commit or tree.
    Tree(String),
    /// What the commits bring that lead to the second revision and not to the first.
    Range(String, String),
}

/// What git holds at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// A pointer.
    Pointer(Pointer),
    /// A damaged pointer.
    Damaged(PointerError),
    /// A pointer of a newer version.
    Newer,
    /// A pointer of git-lfs.
    LfsPointer,
    /// Content of at least one byte.
    Content,
    /// An empty file, which needs no pointer.
    Empty,
    /// A partial clone left it on its server.
    Missing,
}

/// A file that is looked at.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it is.
    pub path: RepoPath,
    /// Its blob.
    pub blob: BlobId,
    /// The commit that brings it, where a range is looked at.
    pub commit: Option<BlobId>,
    /// What it holds.
    pub held: Held,
    /// Whether attributes say that a pointer belongs there.
    pub is_tracked: bool,
    /// Whether the index says that the work tree has a file there.
    pub is_checked_out: bool,
}

impl Scope {
    /// Understands what was typed: a revision, or two with `..` between them.
    ///
    /// Without anything it is the index, or where there is no work tree, `HEAD`. `None` for three dots,
    /// which mean other things to other commands.
    pub fn parse(text: Option<&str>, has_work_tree: bool) -> Option<Self> {
        let or_head = |text: &str| if text.is_empty() { "HEAD" } else { text }.to_owned();
        Some(match text {
            None if has_work_tree => Self::Index,
            None => Self::Tree("HEAD".to_owned()),
            Some(text) if text.contains("...") => return None,
            Some(text) => match text.split_once("..") {
                Some((base, tip)) => Self::Range(or_head(base), or_head(tip)),
                None => Self::Tree(text.to_owned()),
            },
        })
    }
}

/// Gives all files that are meant, one after the other.
///
/// Attributes are those of the work tree for the index, and for commits their own. Of a range, that is
/// each commit for what it brings; and the last one for what only its attributes, or a merge, put into
/// the wrong state.
///
/// # Errors
/// If the repository cannot be read or lacks a part of a range; and those of `visit`.
pub fn walk(
    site: &Workspace,
    scope: &Scope,
    visit: &mut dyn FnMut(Entry) -> Result<(), Error>,
) -> Result<(), Error> {
    match scope {
        Scope::Index => {
            let index = site.repo.index().map_err(repo::Error::from)?;
            let mut lake_paths = LakePaths::of_work_tree(&site.repo, &index)?;
            for entry in index.entries().filter(|entry| entry.kind.is_file()) {
                if !entry.is_intent_to_add {
                    let found = FoundBlob { id: entry.id, path: entry.path.to_owned() };
                    let is_checked_out = entry.stage == 0 && !entry.is_skip_worktree;
                    let mut visit = |entry| visit(Entry { is_checked_out, ..entry });
                    look(site, found, None, &mut lake_paths, &mut visit)?;
                }
            }
            Ok(())
        }
        Scope::Tree(revision) => {
            if site.repo.folder_at(revision, None)?.is_none() {
                // A `HEAD` without commits.
                return Ok(());
            }
            let mut lake_paths = LakePaths::of_tree(&site.repo, revision)?;
            for found in history::blobs_of(&site.repo, revision)? {
                look(site, found, None, &mut lake_paths, visit)?;
            }
            Ok(())
        }
        Scope::Range(base, tip) => {
            let (base, tip) = (commit(site, base)?, commit(site, tip)?);
            walk_range(site, base, tip, visit)
        }
    }
}

/// Resolves the end of a range.
pub(super) fn commit(site: &Workspace, revision: &str) -> Result<BlobId, Error> {
    site.repo.commit_id(revision).map_err(|error| {
        let is_shallow = site.repo.shallow_commits().is_ok_and(|commits| !commits.is_empty());
        match is_shallow {
            true => Error::NotHere { revision: revision.to_owned() },
            false => error.into(),
        }
    })
}

fn walk_range(
    site: &Workspace,
    base: BlobId,
    tip: BlobId,
    visit: &mut dyn FnMut(Entry) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut attributes = Attributes { repo: &site.repo, sets: Vec::new(), known: HashMap::new() };
    // As each path was looked at last.
    let mut judged: HashMap<Vec<u8>, (BlobId, bool)> = HashMap::new();
    range::steps(&site.repo, base, tip, &mut |step| {
        let lake_paths = attributes.of_step(&step)?;
        for found in step.files {
            let (path, id) = (found.path.clone(), found.id);
            let is_tracked = look(site, found, Some(step.commit), lake_paths, visit)?;
            judged.insert(path, (id, is_tracked));
        }
        Ok::<_, Error>(())
    })?;
    let fork = site.repo.merge_base(&base.to_string(), &tip.to_string())?;
    let (mut old, mut old_paths) = (HashMap::new(), None);
    if let Some(fork) = fork {
        let files = history::blobs_of(&site.repo, &fork.to_string())?;
        old.extend(files.into_iter().map(|found| (found.path, found.id)));
        old_paths = Some(LakePaths::of_tree(&site.repo, &fork.to_string())?);
    }
    let mut lake_paths = LakePaths::of_tree(&site.repo, &tip.to_string())?;
    for found in history::blobs_of(&site.repo, &tip.to_string())? {
        let is_tracked = lake_paths.contains_bytes(&found.path)?;
        let is_old = old.get(&found.path) == Some(&found.id)
            && match &mut old_paths {
                Some(paths) => paths.contains_bytes(&found.path)? == is_tracked,
                None => false,
            };
        if !is_old && judged.get(&found.path) != Some(&(found.id, is_tracked)) {
            look(site, found, Some(tip), &mut lake_paths, visit)?;
        }
    }
    Ok(())
}

/// Which paths are tracked at the commits of a range; what many of them have in common is kept once.
struct Attributes<'a> {
    repo: &'a Repo,
    sets: Vec<(AttributesFiles, LakePaths<'a>)>,
    known: HashMap<BlobId, usize>,
}

impl<'a> Attributes<'a> {
    /// Returns those of a commit, given after its parents.
    fn of_step(&mut self, step: &Step) -> Result<&mut LakePaths<'a>, repo::Error> {
        let paths = step.files.iter().map(|file| &file.path).chain(&step.others);
        let at = match step.parents[..] {
            // It has what its parent has.
            [parent] if !paths.into_iter().any(|path| is_attributes_file(path)) => {
                self.of_commit(parent)?
            }
            _ => self.of_commit(step.commit)?,
        };
        self.known.insert(step.commit, at);
        Ok(&mut self.sets[at].1)
    }

    fn of_commit(&mut self, commit: BlobId) -> Result<usize, repo::Error> {
        if let Some(at) = self.known.get(&commit) {
            return Ok(*at);
        }
        let files = AttributesFiles::of_tree(self.repo, &commit.to_string())?;
        let at = match self.sets.iter().position(|(known, _)| *known == files) {
            Some(at) => at,
            None => {
                let lake_paths = LakePaths::of_files(self.repo, &files)?;
                self.sets.push((files, lake_paths));
                self.sets.len() - 1
            }
        };
        self.known.insert(commit, at);
        Ok(at)
    }
}

/// Looks at one file; returns whether it is tracked.
fn look(
    site: &Workspace,
    found: FoundBlob,
    commit: Option<BlobId>,
    lake_paths: &mut LakePaths<'_>,
    visit: &mut dyn FnMut(Entry) -> Result<(), Error>,
) -> Result<bool, Error> {
    let is_tracked = lake_paths.contains_bytes(&found.path)?;
    let Some(path) = RepoPath::parse(&found.path) else { return Ok(is_tracked) };
    let held = match site.repo.read_blob(found.id, MAX_POINTER_BYTES as u64)? {
        Blob::TooLong(_) => Held::Content,
        Blob::Missing => Held::Missing,
        Blob::Content(bytes) => match Parsed::of(&bytes) {
            Parsed::Pointer(pointer, _) => Held::Pointer(pointer),
            Parsed::Damaged(fault) => Held::Damaged(fault),
            Parsed::Newer => Held::Newer,
            Parsed::Content if bytes.is_empty() => Held::Empty,
            Parsed::Content if is_lfs_pointer(&bytes) => Held::LfsPointer,
            Parsed::Content => Held::Content,
        },
    };
    let (blob, is_checked_out) = (found.id, false);
    let is_item = is_tracked && !is_never_tracked(&path);
    visit(Entry { path, blob, commit, held, is_tracked: is_item, is_checked_out })?;
    Ok(is_tracked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_revision_is_a_tree_and_two_are_a_range() {
        let range = |base: &str, tip: &str| Some(Scope::Range(base.into(), tip.into()));
        assert_eq!(Scope::parse(None, true), Some(Scope::Index));
        assert_eq!(Scope::parse(None, false), Some(Scope::Tree("HEAD".into())));
        assert_eq!(Scope::parse(Some("v1"), true), Some(Scope::Tree("v1".into())));
        assert_eq!(Scope::parse(Some("origin/main..HEAD"), true), range("origin/main", "HEAD"));
        assert_eq!(Scope::parse(Some("main.."), false), range("main", "HEAD"));
        assert_eq!(Scope::parse(Some("a...b"), true), None);
    }
}
