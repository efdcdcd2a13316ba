//! The content that a blob stands for: of its object, from the store or from lakes, or its own bytes.
//!
//! What is given is verified before its first byte, and is never the text of a pointer.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};

use crate::digest::COPY_BUFFER_BYTES;
use crate::fill;
use crate::oid::Oid;
use crate::pointer::{MAX_POINTER_BYTES, Parsed, Pointer, PointerError};
use crate::repo::process::{self, Git};
use crate::repo::{self, Blob, BlobId};
use crate::repo_path::RepoPath;
use crate::store::{self, Presence};
use crate::transfer::Cancel;
use crate::transfer::download::{Failure, SourceFailure};
use crate::workspace::Workspace;

/// Says why content cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The blob is a pointer that no content can be told from.
    #[error("its pointer is damaged: {0}")]
    DamagedPointer(PointerError),
    /// The blob is a pointer of a version to come.
    #[error("its pointer was written by a newer git-lake")]
    NewerPointer,
    /// No source has the object.
    #[error("object {oid} ({size} bytes) cannot be had: {failure}")]
    Unavailable {
        /// The object.
        oid: Oid,
        /// Its size in bytes.
        size: u64,
        /// Which sources were tried, and why they did not help.
        failure: Failure,
        /// The store had other bytes under its name, which were set aside.
        was_damaged: bool,
    },
    /// The object was taken away, or damaged again, right after it was fetched.
    #[error("object {0} is not in the store any more, although it was fetched")]
    Vanished(Oid),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The repository cannot be read.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// git cannot give the blob.
    #[error(transparent)]
    Git(#[from] process::Error),
    /// A file of the store, or the pipe to git, could not be read to its end.
    #[error("it could not be read to its end: {0}")]
    Read(io::Error),
    /// Whoever wants it does not take it.
    #[error("the output could not be written: {0}")]
    Output(io::Error),
}

impl Error {
    /// Returns true if bytes were found that are not what they should be.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::DamagedPointer(_) | Self::Store(store::Error::Damaged { .. }) => true,
            Self::Unavailable { was_damaged: true, .. } => true,
            Self::Unavailable { failure: Failure::NoSource(failures), .. } => {
                failures.iter().any(|(_, failure)| matches!(failure, SourceFailure::WrongBytes(_)))
            }
            _ => false,
        }
    }
}

/// What a blob stands for.
#[derive(Debug)]
pub enum Meaning {
    /// An object.
    Object(Pointer),
    /// These bytes, which are all of it.
    Bytes(Vec<u8>),
    /// Its own bytes, too many to be a pointer.
    Blob(BlobId),
}

impl Meaning {
    /// Returns how many bytes the object has that may have to be fetched; 0 without one.
    pub fn object_size(&self) -> u64 {
        match self {
            Self::Object(pointer) => pointer.size(),
            Self::Bytes(_) | Self::Blob(_) => 0,
        }
    }
}

/// Finds out what a blob stands for. One that a partial clone left on the server is fetched by git.
///
/// # Errors
/// If the blob cannot be read, or is a pointer that cannot be used.
pub fn meaning(site: &Workspace, blob: BlobId) -> Result<Meaning, Error> {
    let mut found = site.repo.read_blob(blob, MAX_POINTER_BYTES as u64)?;
    if found == Blob::Missing {
        Git::of(&site.repo)?.run(&["cat-file", "-s", &blob.to_string()], b"")?;
        found = site.repo.read_blob(blob, MAX_POINTER_BYTES as u64)?;
    }
    let bytes = match found {
        Blob::Content(bytes) => bytes,
        Blob::TooLong(_) | Blob::Missing => return Ok(Meaning::Blob(blob)),
    };
    match Parsed::of(&bytes) {
        Parsed::Content => Ok(Meaning::Bytes(bytes)),
        Parsed::Newer => Err(Error::NewerPointer),
        Parsed::Damaged(fault) => Err(Error::DamagedPointer(fault)),
        Parsed::Pointer(pointer, _) => {
            let checked = pointer.check_names(|source| site.config.hash_of(source));
            checked.map_err(Error::DamagedPointer)?;
            Ok(Meaning::Object(pointer))
        }
    }
}

/// Fetches those of the objects that the store lacks, side by side; returns what could not be had, and why.
pub fn fetch<'a>(
    site: &Workspace,
    items: impl Iterator<Item = (&'a RepoPath, &'a Meaning)>,
) -> HashMap<Oid, Failure> {
    let absent = items.filter_map(|(path, meaning)| match meaning {
        Meaning::Object(pointer) => {
            let presence = site.store.presence(pointer.oid(), pointer.size());
            matches!(presence, Ok(Presence::Absent)).then_some((path, pointer))
        }
        Meaning::Bytes(_) | Meaning::Blob(_) => None,
    });
    fill::fetch(site, absent)
}

/// Writes the content that a blob at `path` stands for; `unavailable` are objects that [`fetch`] could not
/// get. An object that turns out to be damaged in the store is fetched again.
///
/// # Errors
/// If it cannot be had, or is not taken. Nothing of an object was written unless all of it was verified.
pub fn write(
    site: &Workspace,
    path: &RepoPath,
    meaning: Meaning,
    unavailable: &HashMap<Oid, Failure>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    match meaning {
        Meaning::Object(pointer) => {
            copy(&mut open(site, path, &pointer, unavailable)?, out, &site.cancel)
        }
        Meaning::Bytes(bytes) => out.write_all(&bytes).map_err(Error::Output),
        Meaning::Blob(blob) => {
            let args = ["cat-file", "blob", &blob.to_string()];
            let mut stream = Git::of(&site.repo)?.stream(&args, Vec::new())?;
            copy(&mut stream, out, &site.cancel)?;
            stream.finish()?;
            Ok(())
        }
    }
}

fn copy(from: &mut dyn Read, to: &mut dyn Write, cancel: &Cancel) -> Result<(), Error> {
    let mut from = cancel.interrupting(from);
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&buffer[..count]).map_err(Error::Output)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Read(error)),
        }
    }
}

/// Opens the verified object of a pointer.
fn open(
    site: &Workspace,
    path: &RepoPath,
    pointer: &Pointer,
    unavailable: &HashMap<Oid, Failure>,
) -> Result<File, Error> {
    let (oid, size) = (pointer.oid(), pointer.size());
    let was_damaged = match site.store.open_verified(oid, size) {
        Ok(Some(file)) => return Ok(file),
        Ok(None) => false,
        Err(error @ store::Error::Damaged { .. }) => {
            site.reporter.warn(&error.to_string());
            true
        }
        Err(error) => return Err(error.into()),
    };
    let failure = match unavailable.get(&oid) {
        Some(failure) => Some(failure.clone()),
        None => fill::fetch(site, [(path, pointer)]).remove(&oid),
    };
    match failure {
        None => site.store.open_verified(oid, size)?.ok_or(Error::Vanished(oid)),
        Some(failure) => Err(Error::Unavailable { oid, size, failure, was_damaged }),
    }
}
