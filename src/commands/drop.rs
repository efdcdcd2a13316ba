//! `git lake drop`: pointers in the place of content.

use std::ffi::OsString;

use super::report::{tell_doubts, tell_failures, tell_refused};
use super::selection::DatasetArgs;
use super::{Context, Error, Exit, counted};
use crate::fill::{self, Item};
use crate::sources::select::{Selected, select};
use crate::space::drop;
use crate::ui::escape::for_terminal;
use crate::ui::size;

/// Replace content in the work tree by pointers, where lakes are sure to hold it
///
/// Only content that is exactly what the index names goes, after `lake.minCopies` lakes that others
/// reach have confirmed it; `git lake pull` brings it back. The store keeps what it has: `git lake prune`
/// frees that.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Say what would become pointers, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Only these paths, as git takes them; `.` for all of this folder
    #[arg(value_name = "PATHSPEC")]
    pathspecs: Vec<OsString>,
}

/// Runs `git lake drop`.
///
/// # Errors
/// If the clone cannot be read, or its index is in use.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let site = context.workspace()?;
    site.insist();
    if site.repo.work_tree().is_none() {
        return Err(Error::Refused("A bare repository has no work tree to make room in".into()));
    }
    let selection = args.dataset.with_pathspecs(context, &args.pathspecs)?;
    if selection.is_everything() {
        return Err(Error::Usage("Say which paths, keys or samples; `.` means all here".into()));
    }
    let refused = |error: fill::Error| Error::Refused(error.to_string());
    fill::recover(&site).map_err(refused)?;
    let Selected { items, refused: conflicts } = select(&site, &site.repo.index()?, &selection)?;
    let items = items.into_iter().map(|item| {
        let text = item.text().into_owned();
        let crate::sources::Item { path, blob, pointer, .. } = item;
        Item { path, blob, text, pointer }
    });
    let plan = drop::plan(&site, items.collect())?;
    let (mut dropped, mut bytes, mut failures) = (plan.found.len(), plan.bytes(), Vec::new());
    if args.dry_run {
        for (item, _) in &plan.found {
            let path = for_terminal(&item.path.display());
            context.ui.data(&format!("{path}\t{}", item.pointer.size()))?;
        }
    } else {
        let report = fill::drop::drop_content(&site, plan.found).map_err(refused)?;
        (dropped, bytes, failures) = (report.dropped, report.bytes, report.failures);
    }
    let (one, many) = ("file keeps its content", "files keep their content");
    tell_failures(context, one, many, &plan.kept);
    tell_failures(context, one, many, &failures);
    tell_refused(context, &conflicts);
    tell_doubts(context, &plan.doubts);
    let did = if args.dry_run { "would become a pointer" } else { "is a pointer now" };
    let did_many = if args.dry_run { "would become pointers" } else { "are pointers now" };
    let (one, many) = (format!("file {did}"), format!("files {did_many}"));
    context.ui.status(&format!("{} ({}).", counted(dropped, &one, &many), size::human(bytes)));
    let is_complete = plan.kept.is_empty() && failures.is_empty() && conflicts.is_empty();
    Ok(if is_complete { Exit::Done } else { Exit::Incomplete })
}
