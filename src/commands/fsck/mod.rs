//! `git lake fsck`: whether what is kept is what it should be.

use super::{Context, Error, Exit};
use crate::fsck::scope::Scope;
use crate::fsck::{self, Grade, Report};

mod document;
mod words;

/// Verify the store and the pointers in git
///
/// Of the store every object is read. Pointers are those of the index, or with REF those of a commit, or
/// with A..B what its commits bring: whether each is one, where one belongs and nowhere else.
///
/// Exits with 3 if anything is damaged, else with 1 if anything is not converted or could not be looked at.
#[derive(clap::Args)]
pub struct Args {
    /// A commit, or a range of commits, instead of the index
    #[arg(value_name = "REF|A..B")]
    revision: Option<String>,
    /// Only the objects of this clone's store
    #[arg(long)]
    store: bool,
    /// Only the pointers in git
    #[arg(long)]
    pointers: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Returns true if it was said what to look at.
    fn is_choice(&self) -> bool {
        self.store || self.pointers
    }
}

/// Runs `git lake fsck`.
///
/// # Errors
/// If the clone cannot be read, or lacks a part of a range.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let site = context.workspace()?;
    let scope = Scope::parse(args.revision.as_deref(), site.repo.work_tree().is_some());
    let scope = scope.ok_or_else(|| {
        Error::Usage("Two dots mean what the commits up to B bring: write `A..B`".into())
    })?;
    let mut report = Report::default();
    if args.store || !args.is_choice() {
        let (tally, findings) = fsck::store::check(&site)?;
        report.store = Some(tally);
        report.findings.extend(findings);
    }
    if args.pointers || !args.is_choice() {
        let outcome = fsck::pointers::check(&site, &scope, &mut |_, _| {})?;
        report.pointers = Some(outcome.tally);
        report.findings.extend(outcome.findings);
        report.remote_changes = outcome.remote_changes;
    }
    if context.cancel.is_cancelled() {
        context.ui.warning("Interrupted: not everything was looked at.");
    }
    if args.json {
        context.ui.data(&document::of(&report).to_string())?;
    } else {
        words::tell(context, &report)?;
    }
    Ok(match report.worst() {
        _ if context.cancel.is_cancelled() => Exit::Incomplete,
        Some(Grade::Damaged) => Exit::Damaged,
        Some(Grade::Incomplete) => Exit::Incomplete,
        None => Exit::Done,
    })
}
