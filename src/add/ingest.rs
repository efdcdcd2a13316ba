//! One file of the work tree on its way into the store.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _};

use crate::digest::{COPY_BUFFER_BYTES, HashName, Hashed, Hasher};
use crate::fs::beneath::Tree;
use crate::fs::{PathError, Stamp};
use crate::oid::Oid;
use crate::pointer::{Parsed, is_lfs_pointer};
use crate::repo_path::RepoPath;
use crate::store::stage::Intake;
use crate::store::{Presence, Store};
use crate::transfer::Cancel;
use crate::transfer::report::Reporter;

/// Up to this size content is held in memory until its hash is known.
pub(super) const IN_MEMORY_BYTES: u64 = 1 << 20;

/// What became of a file.
pub(super) enum Ingested {
    /// Its bytes are in the store under their digest.
    Stored {
        /// What they are.
        hashed: Box<Hashed>,
        /// How the object stood in the store before.
        before: Presence,
        /// The stat data of the file, which was not changed while it was read.
        metadata: Box<Metadata>,
    },
    /// It is no plain content, or was changed meanwhile: `git add` decides.
    LeftToGit,
    /// Somebody asked to stop.
    Interrupted,
}

/// Reads a file once, hashing and storing what was read. A large one is compared with the object
/// `expected`, so that nothing is written where it is unchanged; else the store shares its blocks, where the
/// file system does that, and what is hashed is the store's.
///
/// # Errors
/// If the store cannot take it.
pub(super) fn ingest(
    store: &Store,
    hashes: &[HashName],
    tree: &Tree,
    path: &RepoPath,
    expected: Option<Oid>,
    cancel: &Cancel,
    reporter: &dyn Reporter,
) -> Result<Ingested, PathError> {
    if cancel.is_cancelled() {
        return Ok(Ingested::Interrupted);
    }
    // Whatever cannot be read, git tells about.
    let Ok((mut file, metadata)) = tree.open_file(path) else { return Ok(Ingested::LeftToGit) };
    // One more than there should be, so that the end is found without growing.
    let mut head = Vec::with_capacity(metadata.len().min(IN_MEMORY_BYTES) as usize + 1);
    if (&mut file).take(IN_MEMORY_BYTES + 1).read_to_end(&mut head).is_err() {
        return Ok(Ingested::LeftToGit);
    }
    if head.is_empty() || Parsed::of(&head) != Parsed::Content || is_lfs_pointer(&head) {
        return Ok(Ingested::LeftToGit);
    }
    let (hashed, before) = if head.len() as u64 <= IN_MEMORY_BYTES {
        reporter.hashed(0, head.len() as u64);
        let mut hasher = Hasher::new(hashes);
        hasher.update(&head);
        let hashed = hasher.finish();
        let before = store.put(hashed.oid, &head)?;
        (hashed, before)
    } else {
        let shared = match expected {
            Some(_) => None,
            None => Intake::share(store, hashes, &file),
        };
        let poured = match shared {
            Some((intake, shared)) => pour(&shared, intake, cancel, reporter),
            None => {
                let mut intake = Intake::begin(store, hashes, expected);
                reporter.hashed(0, head.len() as u64);
                intake.write(&head);
                drop(head);
                pour(&file, intake, cancel, reporter)
            }
        };
        match poured {
            Ok(Some(intake)) => {
                let (hashed, stored) = intake.finish();
                (hashed, stored?)
            }
            Ok(None) => return Ok(Ingested::Interrupted),
            Err(_) => return Ok(Ingested::LeftToGit),
        }
    };
    // What was stored is what was hashed in any case; what the file is now is another question.
    let is_same = file.metadata().is_ok_and(|now| Stamp::of(&metadata).is_of(&now));
    Ok(match is_same && hashed.size == metadata.len() {
        true => Ingested::Stored { hashed: Box::new(hashed), before, metadata: Box::new(metadata) },
        false => Ingested::LeftToGit,
    })
}

/// Lets all that is left of a file be taken in; `None` if somebody asked to stop.
fn pour<'a>(
    mut file: &File,
    mut intake: Intake<'a>,
    cancel: &Cancel,
    reporter: &dyn Reporter,
) -> std::io::Result<Option<Intake<'a>>> {
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    loop {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Some(intake)),
            Ok(count) => {
                reporter.hashed(0, count as u64);
                intake.write(&buffer[..count]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
