//! What the files of a folder refer to: pointers and `.remote` files, wherever below it.

use std::collections::HashSet;
use std::fs::{DirEntry, Metadata};
use std::path::{Path, PathBuf};

use super::references::{Reason, References, is_remote_file, max_bytes};
use crate::fs::{IoContext as _, if_exists, read_small};
use crate::transfer::Cancel;

/// What is done about symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// They lead out of a work tree, as for git.
    PassOver,
    /// A dataset may consist of them, as for pipelime.
    Follow,
}

/// Adds what files below `top` refer to, and returns how many `.remote` files there are. Git folders are not
/// looked into.
///
/// # Errors
/// If a folder or file cannot be read, or is damaged.
pub(super) fn read(
    top: &Path,
    links: Links,
    references: &mut References,
    cancel: &Cancel,
) -> Result<usize, Reason> {
    let (mut remote_files, mut folders, mut seen) = (0, vec![top.to_owned()], HashSet::new());
    while let Some(folder) = folders.pop() {
        if links == Links::Follow {
            // The same folder by another way, perhaps one that leads round and round.
            let real = std::fs::canonicalize(&folder).context(&folder)?;
            if !seen.insert(real) {
                continue;
            }
        }
        let Some(entries) = if_exists(std::fs::read_dir(&folder)).context(&folder)? else {
            continue;
        };
        for entry in entries {
            let entry = entry.context(&folder)?;
            if cancel.is_cancelled() {
                return Ok(remote_files);
            }
            if entry.file_name() == ".git" {
                continue;
            }
            let path = entry.path();
            let Some(metadata) = look(&entry, links)? else { continue };
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.is_file() {
                remote_files += usize::from(read_file(path, &metadata, references)?);
            }
        }
    }
    Ok(remote_files)
}

/// Returns what stands there; `None` if that is gone, or a link that is not followed or leads nowhere.
fn look(entry: &DirEntry, links: Links) -> Result<Option<Metadata>, Reason> {
    let path = entry.path();
    let is_link = entry.file_type().context(&path)?.is_symlink();
    Ok(match (is_link, links) {
        (false, _) => if_exists(entry.metadata()).context(path)?,
        (true, Links::Follow) => if_exists(std::fs::metadata(&path)).context(path)?,
        (true, Links::PassOver) => None,
    })
}

/// Adds what a file refers to; returns true for a `.remote` file.
fn read_file(
    path: PathBuf,
    metadata: &Metadata,
    references: &mut References,
) -> Result<bool, Reason> {
    let is_remote_file = is_remote_file(path.as_os_str().as_encoded_bytes());
    let most = max_bytes(is_remote_file);
    if metadata.len() > most && !is_remote_file {
        return Ok(false);
    }
    // It may have gone, or may be content that grows.
    let bytes = match read_small(&path, most) {
        Err(error) if is_remote_file || !is_too_long(&error.source) => return Err(error.into()),
        found => found.ok().flatten(),
    };
    let Some(bytes) = bytes else { return Ok(false) };
    references.add_text(&bytes, is_remote_file, || path.display().to_string())?;
    Ok(is_remote_file)
}

fn is_too_long(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::FileTooLarge
}
