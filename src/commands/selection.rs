//! The part of a command line that says which items are meant.

use std::collections::HashSet;
use std::ffi::OsString;

use super::{Context, Error};
use crate::dataset::plan;
use crate::inventory::list::Scope;
use crate::repo::pathspec::{matching_paths, matching_paths_of};
use crate::sources::select::Selection;
use crate::underfolder::{Slice, Step};
use crate::workspace::Workspace;

/// Items of datasets: `<id>_<key>.<ext>` in a folder `data`, and the files beside it.
#[derive(Debug, clap::Args)]
pub(super) struct DatasetArgs {
    /// Only items with these keys (can be repeated, or a list with commas)
    #[arg(short, long = "keys", value_name = "KEY", value_delimiter = ',')]
    keys: Vec<String>,
    /// First sample of each dataset; below 0 counts from the end
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    start: Option<i64>,
    /// Sample to stop before; below 0 counts from the end
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    stop: Option<i64>,
    /// Only each N-th sample; below 0 goes backwards
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    step: Option<Step>,
}

impl DatasetArgs {
    /// Returns true if nothing was chosen.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.slice().is_all()
    }

    /// Returns the slice of samples.
    pub(super) fn slice(&self) -> Slice {
        Slice { start: self.start, stop: self.stop, step: self.step }
    }

    /// Returns the selection for a dataset in a folder.
    pub(super) fn of_folder(&self) -> plan::Selection {
        plan::Selection { keys: self.keys.clone(), slice: self.slice() }
    }

    /// Returns the selection together with pathspecs, which git understands.
    ///
    /// # Errors
    /// If a pathspec matches nothing.
    pub(super) fn with_pathspecs(
        &self,
        context: &Context,
        pathspecs: &[OsString],
    ) -> Result<Selection, Error> {
        let paths = match pathspecs {
            [] => None,
            pathspecs => Some(matching_paths(&context.folder, pathspecs)?),
        };
        Ok(Selection { keys: self.keys.clone(), slice: self.slice(), paths })
    }
}

/// Returns the paths that pathspecs mean among items; `None` without any, for all.
///
/// # Errors
/// If they mean nothing.
pub(super) fn paths_of(
    context: &Context,
    site: &Workspace,
    scope: &Scope,
    pathspecs: &[OsString],
) -> Result<Option<HashSet<Vec<u8>>>, Error> {
    if pathspecs.is_empty() {
        return Ok(None);
    }
    Ok(Some(match scope.treeish() {
        Some(treeish) => matching_paths_of(&site.repo, &context.folder, treeish, pathspecs)?,
        None => matching_paths(&context.folder, pathspecs)?,
    }))
}
