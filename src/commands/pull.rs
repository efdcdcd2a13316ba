//! `git lake pull`: content in the place of pointers.

use std::collections::HashSet;
use std::ffi::OsString;

use super::report::tell_failures;
use super::selection::DatasetArgs;
use super::{Context, Error, Exit, counted};
use crate::fill;
use crate::filter::finish::{self, When};
use crate::owed;
use crate::sources::select::select;
use crate::space::limit;
use crate::ui::size;

/// Fetch what is missing and put content in the place of pointers
///
/// Files that you changed are left alone.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Only these paths, as git takes them
    #[arg(value_name = "PATHSPEC")]
    pathspecs: Vec<OsString>,
}

/// Runs `git lake pull`.
///
/// # Errors
/// If the clone cannot be read, or its index is in use.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let mut site = context.workspace()?;
    site.insist();
    site.consult_origin();
    if site.repo.work_tree().is_none() {
        return Err(Error::Refused("A bare repository has no work tree to fill".into()));
    }
    fill::recover(&site).map_err(|error| Error::Refused(error.to_string()))?;
    let index = site.repo.index()?;
    let selection = args.dataset.with_pathspecs(context, &args.pathspecs)?;
    let only: Option<HashSet<Vec<u8>>> = match selection.is_of_datasets() {
        true => {
            let items = select(&site, &index, &selection)?.items.into_iter();
            Some(items.map(|item| item.path.as_bytes().to_vec()).collect())
        }
        false => selection.paths,
    };
    let mut items = fill::left(&site, &index, only.as_ref())?;
    if only.is_none() {
        items.retain(|item| site.config.wants_content(&item.path));
    }
    let mut report = fill::Report::default();
    for batch in limit::batches(&site, items, |item| item.pointer.size()) {
        let unavailable = fill::fetch(&site, batch.iter().map(|item| (&item.path, &item.pointer)));
        report += fill::fill(&site, batch, &unavailable, None)
            .map_err(|error| Error::Refused(error.to_string()))?;
        finish::keep_within_limit(&site, When::InBetween);
    }
    finish::keep_within_limit(&site, When::AtTheEnd);
    context.ui.status(&format!(
        "{} filled ({}).",
        counted(report.filled, "file", "files"),
        size::human(report.bytes)
    ));
    let (one, many) = ("file is still a pointer", "files are still pointers");
    tell_failures(context, one, many, &report.failures);
    let (repaired, due) = owed::repair(&site)?;
    finish::tell(&site, &repaired, &due);
    if repaired.moved.sent > 0 {
        let count = counted(repaired.moved.sent, "object", "objects");
        context.ui.status(&format!("{count} that lakes had lost uploaded again."));
    }
    Ok(if report.failures.is_empty() { Exit::Done } else { Exit::Incomplete })
}
