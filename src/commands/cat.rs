//! `git lake cat`: verified content on stdout, without a checkout.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;

use super::{Context, Error, Exit};
use crate::content::{self, Meaning};
use crate::filter::finish::{self, When};
use crate::repo::BlobId;
use crate::repo::file_name::{self, FileName};
use crate::repo_path::RepoPath;
use crate::space::limit;
use crate::transfer::report::with_causes;
use crate::workspace::Workspace;

/// Print the content of files, from this clone or from lakes
///
/// PATH is a file of the index, from the current folder; REF:PATH is one of a commit, from its top, and
/// REF:./PATH from the current folder. What is not here is fetched from the first source that works, and
/// kept in the store; nothing of it is printed before all of it is verified. The work tree is not looked
/// at, and need not exist. A path with a colon begins with `./`.
#[derive(clap::Args)]
pub struct Args {
    /// Files to print, one after the other
    #[arg(value_name = "[REF:]PATH", required = true)]
    names: Vec<OsString>,
}

/// Runs `git lake cat`. Files that cannot be had are told, and the others printed.
///
/// # Errors
/// If the clone cannot be opened, or stdout takes nothing more.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let mut site = context.lenient_workspace()?;
    site.insist();
    site.consult_origin();
    let mut exit = Exit::Done;
    let mut failed = |name: &OsStr, cause: String, is_damage: bool| {
        context.ui.warning(&format!("Could not print `{}`: {cause}", name.display()));
        exit = if is_damage || exit == Exit::Damaged { Exit::Damaged } else { Exit::Incomplete };
    };
    let mut files: Vec<(&OsStr, RepoPath, Meaning)> = Vec::new();
    for name in &args.names {
        let file = match locate(context, &site, name) {
            Ok(file) => file,
            Err(error) => {
                failed(name, with_causes(&error), false);
                continue;
            }
        };
        match content::meaning(&site, file.blob) {
            Ok(meaning) => files.push((name, file.path, meaning)),
            Err(error) => failed(name, with_causes(&error), error.is_damage()),
        }
    }
    let mut out = context.ui.records();
    for batch in limit::batches(&site, files, |(_, _, meaning)| meaning.object_size()) {
        let unavailable =
            content::fetch(&site, batch.iter().map(|(_, path, meaning)| (path, meaning)));
        for (name, path, meaning) in batch {
            match content::write(&site, &path, meaning, &unavailable, &mut out) {
                Ok(()) => {}
                Err(content::Error::Output(error)) => return Err(Error::Output(error)),
                Err(_) if context.cancel.is_cancelled() => return Ok(Exit::Incomplete),
                Err(error) => failed(name, with_causes(&error), error.is_damage()),
            }
        }
        finish::keep_within_limit(&site, When::InBetween);
    }
    out.flush()?;
    finish::keep_within_limit(&site, When::AtTheEnd);
    Ok(exit)
}

/// A file of the index or of a commit.
struct Located {
    path: RepoPath,
    blob: BlobId,
}

/// Finds what a name means; without a work tree, a path alone is one of `HEAD`.
fn locate(context: &Context, site: &Workspace, name: &OsStr) -> Result<Located, file_name::Error> {
    let mut found = FileName::parse(name, &site.repo.prefix_of(&context.folder))?;
    if let FileName::InIndex { stage: 0, path } = &found
        && site.repo.work_tree().is_none()
    {
        found = FileName::InTree { treeish: "HEAD".to_owned(), path: path.clone() };
    }
    Ok(Located { blob: site.repo.blob_named(&found)?, path: found.path().clone() })
}
