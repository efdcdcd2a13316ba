//! Every pointer there is, one after the other, so that nobody has to hold them all.

use crate::pointer::Pointer;
use crate::repo;
use crate::repo::history::{self, FoundBlob, Reach, range};
use crate::repo::index::Index;
use crate::repo_path::RepoPath;
use crate::workspace::Workspace;

/// Gives the pointers of the index at each of their paths; those of an unmerged path, too.
///
/// # Errors
/// If a blob cannot be read, and those of `visit`.
pub fn of_index<E: From<repo::Error>>(
    site: &Workspace,
    index: &Index,
    visit: &mut dyn FnMut(RepoPath, Pointer) -> Result<(), E>,
) -> Result<(), E> {
    for entry in index.entries().filter(|entry| entry.kind.is_file() && !entry.is_intent_to_add) {
        if let Some(path) = RepoPath::parse(entry.path)
            && let Some((_, pointer)) = site.pointer_of(entry.id)?
        {
            visit(path, pointer)?;
        }
    }
    Ok(())
}

/// Gives the pointers of a commit or tree.
///
/// # Errors
/// If there is no such commit, a blob cannot be read, and those of `visit`.
pub fn of_tree<E: From<repo::Error> + From<history::Error>>(
    site: &Workspace,
    treeish: &str,
    visit: &mut dyn FnMut(RepoPath, Pointer) -> Result<(), E>,
) -> Result<(), E> {
    of_blobs(site, history::blobs_of(&site.repo, treeish)?, visit)
}

/// Gives the pointers that the commits bring which lead to `tip` and not to `base`.
///
/// # Errors
/// If there are no such commits or this clone lacks some, a blob cannot be read, and those of `visit`.
pub fn of_range<E: From<repo::Error> + From<history::Error>>(
    site: &Workspace,
    base: &str,
    tip: &str,
    visit: &mut dyn FnMut(RepoPath, Pointer) -> Result<(), E>,
) -> Result<(), E> {
    let (base, tip) = (site.repo.commit_id(base)?, site.repo.commit_id(tip)?);
    range::steps(&site.repo, base, tip, &mut |step| of_blobs(site, step.files, visit))
}

fn of_blobs<E: From<repo::Error>>(
    site: &Workspace,
    blobs: Vec<FoundBlob>,
    visit: &mut dyn FnMut(RepoPath, Pointer) -> Result<(), E>,
) -> Result<(), E> {
    for blob in blobs {
        if let Some(path) = RepoPath::parse(&blob.path)
            && let Some((_, pointer)) = site.pointer_of(blob.id)?
        {
            visit(path, pointer)?;
        }
    }
    Ok(())
}

/// Gives the pointers that refs, stashes and indices need, each blob once, under one of its paths; one
/// that only a tag names, under the name of its blob.
///
/// # Errors
/// If git fails, a blob cannot be read, and those of `visit`.
pub fn of_refs<E: From<repo::Error> + From<history::Error>>(
    site: &Workspace,
    visit: &mut dyn FnMut(RepoPath, Pointer) -> Result<(), E>,
) -> Result<(), E> {
    for blob in history::blobs_reachable(&site.repo, Reach::Refs)? {
        let named_after_blob = || RepoPath::parse(blob.id.to_string().as_bytes());
        if let Some(path) = RepoPath::parse(&blob.path).or_else(named_after_blob)
            && let Some((_, pointer)) = site.pointer_of(blob.id)?
        {
            visit(path, pointer)?;
        }
    }
    Ok(())
}
