//! `git lake fsck`: whether what is kept is what it should be.

use super::{Context, Exit};
use crate::fsck::{self, Grade, Report};

mod document;
mod words;

/// Verify the store
///
/// Reads every object in full. Exits with 3 if anything is damaged, else with 1 if something could not be
/// looked at.
#[derive(clap::Args)]
pub struct Args {
    /// The objects of this clone's store
    #[arg(long)]
    store: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Returns true if it was said what to look at.
    fn is_choice(&self) -> bool {
        self.store
    }
}

/// Runs `git lake fsck`.
///
/// # Errors
/// If the clone cannot be read.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let site = context.workspace()?;
    let mut report = Report::default();
    if args.store || !args.is_choice() {
        let (tally, findings) = fsck::store::check(&site)?;
        report.store = Some(tally);
        report.findings.extend(findings);
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
