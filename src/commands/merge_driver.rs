//! `git-lake merge-driver`: git merges pointers and settings by meaning instead of by line.

use std::path::{Path, PathBuf};

use super::{Context, Error, Exit};
use crate::config::edit;
use crate::config::file::{self, Settings, Unknown};
use crate::fs::{Shared, read_small, write_atomic};
use crate::pointer::{self, MAX_POINTER_BYTES, Merged, Parsed, Pointer};
use crate::repo::Environment;
use crate::repo::process::Git;

/// Merge two versions of a pointer, or of `.gitlake.toml`
#[derive(clap::Args)]
pub struct Args {
    /// File with the common version
    base: PathBuf,
    /// File with our version, which gets the result
    ours: PathBuf,
    /// File with their version
    theirs: PathBuf,
    /// Path that is merged
    #[arg(allow_hyphen_values = true)]
    path: PathBuf,
    /// Make a common ancestor for another merge: a conflict leaves the common version
    #[arg(long)]
    ancestor: bool,
}

/// Runs `git-lake merge-driver`. Exit code 1 is a conflict, with ours as the result.
///
/// Where a history crosses itself, git first merges the common ancestors into one. If either side of a
/// conflict became that ancestor, the real merge would take the other one in silence, as the only one
/// that has changed; so the common version does, as git has it for binary files (merge-ll.c,
/// `ll_binary_merge`).
///
/// # Errors
/// If a file cannot be read or written.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let exit = merge(context, args)?;
    if !args.ancestor || exit == Exit::Done {
        return Ok(exit);
    }
    let limit = file::MAX_FILE_BYTES.max(MAX_POINTER_BYTES as u64);
    let base = match read_small(&args.base, limit) {
        Ok(base) => base.unwrap_or_default(),
        // Content that git holds by itself; without a common version no side can pass for unchanged.
        Err(error) if error.source.kind() == std::io::ErrorKind::FileTooLarge => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    write_atomic(&args.ours, &base, Shared::Yes)?;
    Ok(Exit::Done)
}

fn merge(context: &Context, args: &Args) -> super::Result {
    if args.path.file_name().is_some_and(|name| name == file::FILE_NAME) {
        return merge_settings(context, args);
    }
    let (Some(ours), Some(theirs)) = (read(&args.ours)?, read(&args.theirs)?) else {
        // One side is content that git holds by itself: a person has to choose.
        return Ok(Exit::Incomplete);
    };
    match pointer::merge(read(&args.base)?.as_ref(), &ours, &theirs) {
        Merged::Clean(merged) => {
            write_atomic(&args.ours, &merged.to_bytes(), Shared::Yes)?;
            Ok(Exit::Done)
        }
        Merged::Conflict => Ok(Exit::Incomplete),
    }
}

fn read(path: &Path) -> Result<Option<Pointer>, Error> {
    let bytes = match read_small(path, MAX_POINTER_BYTES as u64) {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(error) if error.source.kind() == std::io::ErrorKind::FileTooLarge => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Parsed::of(&bytes).pointer())
}

/// Merges settings remote by remote; what that cannot do is merged line by line, as git does.
fn merge_settings(context: &Context, args: &Args) -> super::Result {
    let read = |path: &Path| -> Result<String, Error> {
        let bytes = read_small(path, file::MAX_FILE_BYTES)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let (base, ours, theirs) = (read(&args.base)?, read(&args.ours)?, read(&args.theirs)?);
    if let Some(merged) = edit::merge(&base, &ours, &theirs)
        && Settings::parse(&merged, Unknown::Refuse).is_ok()
    {
        write_atomic(&args.ours, merged.as_bytes(), Shared::Yes)?;
        return Ok(Exit::Done);
    }
    let git = Git::find(&Environment::read(), &context.folder)?;
    let files = [&args.ours, &args.base, &args.theirs].map(|path| path.as_os_str().to_owned());
    let fixed = ["merge-file", "-q"].map(std::ffi::OsString::from);
    match git.run(&fixed.into_iter().chain(files).collect::<Vec<_>>(), b"") {
        Ok(_) => Ok(Exit::Done),
        Err(_) => Ok(Exit::Incomplete),
    }
}
