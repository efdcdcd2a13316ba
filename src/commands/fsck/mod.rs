//! `git lake fsck`: whether what is kept is what it should be.

use super::lakes::find_all;
use super::{Context, Error, Exit};
use crate::fsck::missing::{Expected, Missing};
use crate::fsck::remotes::{Needs, Which};
use crate::fsck::sample::Share;
use crate::fsck::scope::Scope;
use crate::fsck::{self, Finding, Grade, Report, repair};
use crate::workspace::Workspace;

mod document;
mod words;

/// Verify the store, the pointers in git, and what lakes hold
///
/// Of the store every object is read. Pointers are those of the index, or with REF those of a commit, or
/// with A..B what its commits bring: whether each is one, where one belongs and nowhere else. Of lakes
/// their lists are looked through for what these pointers name; nothing is downloaded without `--read-data`.
///
/// Without a choice, the store and the pointers. Exits with 3 if anything is damaged, else with 1 if
/// anything is missing, not converted, or could not be looked at.
#[derive(clap::Args)]
pub struct Args {
    /// A commit, or a range of commits, instead of the index
    #[arg(value_name = "REF|A..B")]
    revision: Option<String>,
    /// Verify the objects of this clone's store
    #[arg(long)]
    store: bool,
    /// Verify the pointers in git
    #[arg(long)]
    pointers: bool,
    /// Look for what they name in all remotes, or in this one
    #[arg(long, value_name = "NAME|URL", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    remote: Option<String>,
    /// Read the objects in the remotes, too; with a percentage, those whose turn it is today
    #[arg(
        long, value_name = "PERCENT", num_args = 0..=1, require_equals = true, requires = "remote",
        default_missing_value = "100%"
    )]
    read_data: Option<Share>,
    /// Put right what can be, from any copy that is verified
    #[arg(long)]
    repair: bool,
    /// Say what would be put right, and do nothing
    #[arg(short = 'n', long, requires = "repair")]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Returns true if it was said what to look at.
    fn is_choice(&self) -> bool {
        self.store || self.pointers || self.remote.is_some()
    }
}

/// Runs `git lake fsck`.
///
/// # Errors
/// If the clone cannot be read, or lacks a part of a range.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let mut site = context.workspace()?;
    if args.remote.is_some() || args.repair {
        site.insist();
        site.consult_origin();
    }
    let scope = Scope::parse(args.revision.as_deref(), site.repo.work_tree().is_some());
    let scope = scope.ok_or_else(|| {
        Error::Usage("Two dots mean what the commits up to B bring: write `A..B`".into())
    })?;
    let mut report = look(context, args, &site, &scope)?;
    if args.repair && !context.cancel.is_cancelled() {
        repair::plan(&site, &mut report.findings)?;
        if !args.dry_run {
            repair::carry_out(&site, &mut report.findings)?;
        }
    }
    if context.cancel.is_cancelled() {
        context.ui.warning("Interrupted: not everything was looked at or put right.");
    }
    if args.json {
        context.ui.data(&document::of(&site, &report).to_string())?;
    } else {
        words::tell(context, &site, &report, args.repair)?;
    }
    Ok(match report.worst() {
        _ if context.cancel.is_cancelled() => Exit::Incomplete,
        Some(Grade::Damaged) => Exit::Damaged,
        Some(Grade::Incomplete) => Exit::Incomplete,
        None => Exit::Done,
    })
}

/// Looks at all that was asked for.
fn look(context: &Context, args: &Args, site: &Workspace, scope: &Scope) -> Result<Report, Error> {
    let (wants_store, wants_pointers) =
        (args.store || !args.is_choice(), args.pointers || !args.is_choice());
    let mut report = Report::default();
    let mut missing = None;
    if wants_store {
        let (tally, findings) = fsck::store::check(site)?;
        report.store = Some(tally);
        let expected = Expected::of(scope, args.revision.as_deref());
        missing = Some(Missing::new(site, expected, findings));
    }
    let mut needs = match &args.remote {
        Some(name) => Some(Needs::new(site, which(context, site, name)?)),
        None => None,
    };
    let outcome = fsck::pointers::check(site, scope, &mut |entry, pointer| {
        if let Some(missing) = &mut missing {
            missing.add(entry, pointer)?;
        }
        if let Some(needs) = &mut needs {
            needs.add(&entry.path, entry.blob, pointer);
        }
        Ok(())
    })?;
    report.findings.extend(missing.map(Missing::finish).into_iter().flatten());
    report.pointers = wants_pointers.then_some(outcome.tally);
    // Of others it is not known what the store and lakes should hold.
    let is_told = |finding: &Finding| wants_pointers || finding.fault.hides_object();
    report.findings.extend(outcome.findings.into_iter().filter(is_told));
    report.remote_changes = outcome.remote_changes;
    if let Some(needs) = needs {
        let (tallies, findings) = needs.check(args.read_data)?;
        report.remotes = Some(tallies);
        report.findings.extend(findings);
    }
    Ok(report)
}

/// Finds the remote that is meant; all of them without a name.
fn which(context: &Context, site: &Workspace, name: &String) -> Result<Which, Error> {
    if name.is_empty() {
        return Ok(Which::All);
    }
    let mut lakes = find_all(context, site, std::slice::from_ref(name))?;
    Ok(Which::One(lakes.pop_first().expect("one name means one lake")))
}
