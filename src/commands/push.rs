//! `git lake push`: from the store to the lakes.

use std::collections::BTreeMap;

use super::{Context, Exit, counted};
use crate::filter::finish::{self, When};
use crate::lake_url::SourceUrl;
use crate::owed::{self, Look};
use crate::repo::history;
use crate::repo_path::RepoPath;
use crate::sources::upload::relay_what_is_not_stored;
use crate::store::queue::Owed;
use crate::ui::size;

/// Upload what this clone owes to its lakes
///
/// `git add` uploads by itself; this makes good what it could not.
#[derive(clap::Args)]
pub struct Args {
    /// Also what pointers lack in commits that lead here and that no remote of git has
    #[arg(value_name = "REF", conflicts_with = "all")]
    refs: Vec<String>,
    /// Also what pointers lack in any commit that no remote of git has, and in stashes
    #[arg(long)]
    all: bool,
}

/// Runs `git lake push`.
///
/// # Errors
/// If the clone or its history cannot be read.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let site = context.workspace()?;
    site.insist();
    if let Err(error) = site.store.sync_recorded() {
        context.ui.warning(&error.to_string());
    }
    let mut owed: BTreeMap<SourceUrl, Owed> = BTreeMap::new();
    let mut add = |list: Vec<Owed>| {
        owed.extend(list.into_iter().map(|record| (record.url.clone(), record)));
    };
    add(owed::settle(&site, Look::Everywhere)?);
    let blobs = match (args.all, &args.refs[..]) {
        (true, _) => history::blobs_unpushed(&site.repo, None)?,
        (false, []) => Vec::new(),
        (false, refs) => history::blobs_unpushed(&site.repo, Some(refs))?,
    };
    for blob in blobs {
        let Some(path) = RepoPath::parse(&blob.path) else { continue };
        if let Some((_, pointer)) = site.pointer_of(blob.id)? {
            add(owed::of_pointers(&site, [(&path, &pointer)])?);
        }
    }
    let (report, due) = owed::pay(&site, owed.into_values().collect())?;
    let report = relay_what_is_not_stored(&site, report);
    finish::tell(&site, &report, &due);
    owed::settle(&site, Look::Everywhere)?;
    if report.moved.sent > 0 {
        finish::make_room(&site, When::AtTheEnd);
    }
    let there = if report.moved.already > 0 {
        format!(", {} there already", report.moved.already)
    } else {
        String::new()
    };
    context.ui.status(&format!(
        "{} uploaded ({}){there}.",
        counted(report.moved.sent, "object", "objects"),
        size::human(report.moved.sent_bytes),
    ));
    let is_complete = report.failures.is_empty() && due.unaccepted.is_empty();
    Ok(if is_complete { Exit::Done } else { Exit::Incomplete })
}
