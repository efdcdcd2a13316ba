//! A pointer becomes content, if that can be had.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};

use super::clean::Chunks;
use super::finish::way_back;
use crate::config::Checkout;
use crate::pointer::{Parsed, Pointer};
use crate::repo_path::RepoPath;
use crate::store;
use crate::transfer::download::{Failure, Wanted};
use crate::workspace::Workspace;

/// Objects up to this size are verified and answered from memory.
const IN_MEMORY_BYTES: u64 = 4 << 20;

/// What a blob is to the filter.
pub enum Blob {
    /// A pointer whose content is wanted.
    Wanted {
        /// The pointer's bytes as they came.
        bytes: Vec<u8>,
        /// The pointer.
        pointer: Pointer,
    },
    /// To be given to git as it is.
    AsIs(Content),
}

/// Content to answer with.
pub enum Content {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a file, from its current position to its end.
    File(File),
}

/// Reads what git sends and decides what it is; reads to the end, as git expects.
///
/// # Errors
/// If the stream breaks, or if a large blob that is no pointer cannot be held on disk meanwhile.
pub fn read(site: &Workspace, path: &RepoPath, chunks: &mut dyn Chunks) -> io::Result<Blob> {
    let mut bytes = Vec::new();
    let mut spool: Option<File> = None;
    while let Some(chunk) = chunks.next_chunk()? {
        match &mut spool {
            Some(file) => file.write_all(chunk)?,
            None if (bytes.len() + chunk.len()) as u64 <= IN_MEMORY_BYTES => {
                bytes.extend_from_slice(chunk);
            }
            None => {
                let folder = site.store.tmp_folder().map_err(|error| error.source)?;
                let file = spool.insert(tempfile::tempfile_in(folder)?);
                file.write_all(&bytes)?;
                file.write_all(chunk)?;
            }
        }
    }
    if let Some(mut file) = spool {
        file.rewind()?;
        return Ok(Blob::AsIs(Content::File(file)));
    }
    let warn = |what: &str| {
        site.reporter.warn(&format!("`{}` is left as it is: {what}", path.display()));
    };
    let pointer = match Parsed::of(&bytes) {
        Parsed::Content => return Ok(Blob::AsIs(Content::Bytes(bytes))),
        Parsed::Newer => {
            warn("its pointer was written by a newer git-lake");
            return Ok(Blob::AsIs(Content::Bytes(bytes)));
        }
        Parsed::Damaged(fault) => {
            warn(&format!("its pointer is damaged. {fault}. {}", way_back(&site.repo, path)));
            return Ok(Blob::AsIs(Content::Bytes(bytes)));
        }
        Parsed::Pointer(pointer, _) => pointer,
    };
    if let Err(fault) = pointer.check_names(|source| site.config.hash_of(source)) {
        warn(&format!("its pointer is damaged. {fault}. {}", way_back(&site.repo, path)));
        return Ok(Blob::AsIs(Content::Bytes(bytes)));
    }
    if site.config.checkout == Checkout::Pointer || !site.config.wants_content(path) {
        return Ok(Blob::AsIs(Content::Bytes(bytes)));
    }
    Ok(Blob::Wanted { bytes, pointer })
}

/// Returns an object's verified content from the store; `None` if it is not there.
///
/// A damaged object is set aside, said so, and as good as absent.
///
/// # Errors
/// If the store cannot be read.
pub fn stored(site: &Workspace, pointer: &Pointer) -> Result<Option<Content>, store::Error> {
    let (oid, size) = (pointer.oid(), pointer.size());
    let found = if size <= IN_MEMORY_BYTES {
        site.store.read_verified(oid, size).map(|found| found.map(Content::Bytes))
    } else {
        site.store.open_verified(oid, size).map(|found| found.map(Content::File))
    };
    match found {
        Err(error @ store::Error::Damaged { .. }) => {
            site.reporter.warn(&error.to_string());
            Ok(None)
        }
        other => other,
    }
}

/// Says what is wanted for a pointer at a path.
pub fn wanted(site: &Workspace, path: &RepoPath, pointer: &Pointer) -> Wanted {
    site.wanted(path, pointer)
}

/// Returns content that git wants at once: from the store, else from a lake.
///
/// # Errors
/// Why it cannot be had.
pub fn content_now(
    site: &Workspace,
    path: &RepoPath,
    pointer: &Pointer,
) -> Result<Content, Failure> {
    let failed = |error: store::Error| Failure::Store(error.to_string());
    if let Some(content) = stored(site, pointer).map_err(failed)? {
        return Ok(content);
    }
    let transfer = site.transfer();
    let fetched = transfer.download(&wanted(site, path, pointer))?;
    transfer.tell_damage();
    transfer.record_read(fetched.source.map(|source| (source, fetched.size)).as_slice());
    match fetched.bytes {
        Some(bytes) => Ok(Content::Bytes(bytes)),
        None => stored(site, pointer).map_err(failed)?.ok_or_else(|| {
            Failure::Store("It vanished from the store right after it was fetched".to_owned())
        }),
    }
}

impl Content {
    /// Hands the content out in pieces of a packet's size or more.
    ///
    /// # Errors
    /// Those of reading, and those of `sink`.
    pub fn for_each(self, mut sink: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => sink(&bytes),
            Self::File(mut file) => {
                let mut buffer = vec![0; super::pktline::MAX_PAYLOAD_BYTES * 4];
                loop {
                    match file.read(&mut buffer)? {
                        0 => return Ok(()),
                        count => sink(&buffer[..count])?,
                    }
                }
            }
        }
    }
}
