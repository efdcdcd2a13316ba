//! Objects that git names and the store has lost, taken in again from the work tree.
//!
//! A power cut after git wrote its index and before `git add` returned can leave that, and so can a disk
//! that loses files. git takes such a file for added, and never asks for it again.

use crate::digest::{COPY_BUFFER_BYTES, Hasher};
use crate::fs::beneath::Tree;
use crate::fs::{IoContext as _, PathError, is_full};
use crate::pointer::Pointer;
use crate::repo_path::RepoPath;
use crate::store::{self, Presence, copy_hashing};
use crate::workspace::Workspace;

/// How an object stands in the store, once it was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there and durable, or durable with the next [`crate::store::Store::sync`].
    Stored,
    /// The same, and it was taken in just now.
    TakenIn,
    /// It is not there, and the file at the path is something else.
    Absent,
}

/// Looks for the object of a pointer at `path`: verifies what nobody is known to have synced, and takes in from
/// the work tree what is not there. Tells what turned out to be damaged, which is set aside.
///
/// # Errors
/// If the store cannot be read, or cannot take it.
pub fn object(site: &Workspace, path: &RepoPath, pointer: &Pointer) -> Result<Standing, PathError> {
    let (oid, size) = (pointer.oid(), pointer.size());
    let is_there = match site.store.presence(oid, size)? {
        Presence::Stored => true,
        Presence::Absent => false,
        Presence::Unproven => match site.store.make_durable(oid, size) {
            Err(store::Error::Path(error)) => return Err(error),
            made => made.unwrap_or_else(|damage| {
                site.reporter.warn(&damage.to_string());
                false
            }),
        },
    };
    Ok(match is_there {
        true => Standing::Stored,
        false if from_work_tree(site, path, pointer)? => Standing::TakenIn,
        false => Standing::Absent,
    })
}

/// Stores the content of the file at `path` in the work tree, if it is the object that the pointer names;
/// [`crate::store::Store::sync`] makes it durable.
///
/// # Errors
/// If the store cannot take it.
pub fn from_work_tree(
    site: &Workspace,
    path: &RepoPath,
    pointer: &Pointer,
) -> Result<bool, PathError> {
    let Some(top) = site.repo.work_tree() else { return Ok(false) };
    // One that cannot be read is no source.
    let Ok((file, metadata)) = Tree::open(top).and_then(|tree| tree.open_file(path)) else {
        return Ok(false);
    };
    if metadata.len() != pointer.size() {
        return Ok(false);
    }
    let (mut staged, mut hasher) = (site.store.stage()?, Hasher::new(&[]));
    let mut file = site.cancel.interrupting(file);
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    match copy_hashing(&mut file, &mut staged, &mut hasher, &mut buffer) {
        Err(error) if is_full(&error) => Err(error).context(site.store.root())?,
        Err(_) => return Ok(false),
        Ok(_) => {}
    }
    let is_it = hasher.finish().oid == pointer.oid();
    if is_it {
        staged.publish(pointer.oid())?;
    }
    Ok(is_it)
}

/// Words how many objects were taken in.
pub fn words(count: usize) -> String {
    let objects = match count {
        1 => "1 object that the store had lost was".to_owned(),
        count => format!("{count} objects that the store had lost were"),
    };
    format!("{objects} taken in again from the work tree.")
}
