//! What was found, for people: one paragraph for each cause, naming some of what it concerns.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::super::report::tell_failures;
use super::super::{Context, Error, counted};
use crate::fsck::repair::{Action, Repair};
use crate::fsck::settings::{Change, RemoteChange};
use crate::fsck::{Fault, Finding, Report};
use crate::lake_url::LakeUrl;
use crate::ui::escape::for_terminal;
use crate::ui::size;
use crate::workspace::Workspace;

/// Most things that are listed for one cause.
const SHOWN: usize = 20;
/// Digits of a commit that tell it from others.
const SHORT_COMMIT: usize = 12;

/// Lists what is wrong, the worst first, and what was done about it, and sums up.
pub(super) fn tell(
    context: &Context,
    site: &Workspace,
    report: &Report,
    repairs: bool,
) -> Result<(), Error> {
    let mut causes: BTreeMap<_, Vec<&Finding>> = BTreeMap::new();
    for finding in &report.findings {
        let mut cause = cause(site, finding);
        if repairs && finding.repair.is_some() {
            cause.remedy = "";
        }
        causes.entry((Reverse(finding.fault.grade()), cause)).or_default().push(finding);
    }
    for ((_, cause), findings) in causes {
        let things: Vec<String> = findings.iter().filter_map(|finding| thing(finding)).collect();
        context.ui.data(&for_terminal(&heading(&cause, findings.len(), !things.is_empty())))?;
        for thing in things.iter().take(SHOWN) {
            context.ui.data(&format!("  {}", for_terminal(thing)))?;
        }
        if things.len() > SHOWN {
            context.ui.data(&format!("  and {} more (`--json` has all)", things.len() - SHOWN))?;
        }
    }
    for RemoteChange { name, change } in &report.remote_changes {
        let what = match change {
            Change::Added(url) => format!("is new: data goes to `{url}`"),
            Change::Removed(url) => format!("is gone: it was `{url}`"),
            Change::Moved(old, new) => format!("is `{new}` now, and was `{old}`"),
            Change::Options(options) => format!("has other values of {}", options.join(", ")),
        };
        let line = format!("The remote `{name}` of `.gitlake.toml` {what}");
        context.ui.data(&for_terminal(&line))?;
    }
    if let Some(tally) = report.store {
        let sealed = match tally.sealed {
            0 => String::new(),
            count => format!(", {count} of them put on disk for good now"),
        };
        context.ui.status(&format!(
            "{} of the store read ({}){sealed}.",
            many(tally.objects, "object", "objects"),
            size::human(tally.bytes),
        ));
    }
    if let Some(tally) = report.pointers {
        context.ui.status(&format!(
            "{} in git looked at, {} ({}).",
            many(tally.files, "file", "files"),
            many(tally.pointers, "pointer", "pointers"),
            size::human(tally.bytes),
        ));
    }
    for tally in report.remotes.iter().flatten() {
        let read = match tally.read {
            0 => String::new(),
            count => format!(", {count} read ({})", size::human(tally.read_bytes)),
        };
        context.ui.status(&format!(
            "{} in `{}` asked for, {} there{read}.",
            counted(tally.objects, "object", "objects"),
            label(site, &tally.url),
            tally.held,
        ));
    }
    if report.findings.is_empty() {
        context.ui.status("Nothing is wrong.");
    }
    if repairs {
        tell_repairs(context, report);
    }
    Ok(())
}

/// Sums up what was put right, and says why other things were not.
fn tell_repairs(context: &Context, report: &Report) {
    let (mut planned, mut done, mut left) = (0, 0, Vec::new());
    for finding in &report.findings {
        match &finding.repair {
            None => {}
            Some(Repair::Planned(_)) => planned += 1,
            Some(Repair::Done(..)) => done += 1,
            Some(Repair::Failed(_, why) | Repair::Impossible(why)) => {
                left.extend(finding.path.clone().map(|path| (path, why.clone())));
            }
        }
    }
    if planned > 0 {
        context.ui.status(&format!("{} to put right.", counted(planned, "thing", "things")));
    }
    if done > 0 {
        context.ui.status(&format!("{} put right.", counted(done, "thing", "things")));
    }
    tell_failures(context, "thing could not be put right", "things could not be put right", &left);
}

/// Says what is to be done about a finding, or was.
fn outcome(repair: &Repair) -> String {
    let (planned, done) = match repair {
        Repair::Impossible(why) => return format!("left as it is: {why}"),
        Repair::Planned(action) | Repair::Done(action, _) | Repair::Failed(action, _) => {
            match action {
                Action::Fetch => ("to be fetched", "fetched"),
                Action::Upload(_) => ("to be uploaded", "uploaded"),
                Action::Replace(_) => ("to be replaced", "replaced"),
            }
        }
    };
    match repair {
        Repair::Done(_, Some(aside)) => format!("{done}; what was there is `{aside}`"),
        Repair::Done(_, None) => done.to_owned(),
        Repair::Failed(_, why) => format!("not {done}: {why}"),
        Repair::Planned(_) | Repair::Impossible(_) => planned.to_owned(),
    }
}

fn many(count: u64, one: &str, many: &str) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), one, many)
}

/// What is wrong, in the words for one thing and for many, and what to do about it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Cause {
    one: &'static str,
    many: &'static str,
    reason: String,
    remedy: &'static str,
}

fn heading(cause: &Cause, count: usize, has_list: bool) -> String {
    let Cause { one, many, reason, remedy } = cause;
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let remedy = if remedy.is_empty() { String::new() } else { format!("; {remedy}") };
    let end = if has_list { ":" } else { "." };
    format!("{}{reason}{remedy}{end}", counted(count, one, many))
}

fn cause(site: &Workspace, finding: &Finding) -> Cause {
    let cause = |one, many, reason: &str, remedy| {
        let reason = reason.to_owned();
        Cause { one, many, reason, remedy }
    };
    let lake = finding.lake.as_ref().map(|lake| format!("`{}`", label(site, lake)));
    let lake = lake.unwrap_or_default();
    match &finding.fault {
        Fault::StoredDamaged(Some(aside)) => {
            let folder = aside.parent().unwrap_or(aside).display().to_string();
            cause(
                "object of the store was damaged",
                "objects of the store were damaged",
                &format!("set aside in `{folder}`"),
                "`git lake fsck --repair` fetches what is needed",
            )
        }
        Fault::StoredDamaged(None) => cause(
            "object of the store is damaged, and could not be set aside",
            "objects of the store are damaged, and could not be set aside",
            "",
            "",
        ),
        Fault::StoredUnreadable(why) => cause(
            "object of the store could not be read",
            "objects of the store could not be read",
            why,
            "",
        ),
        Fault::NotStored => cause(
            "object that is needed here is not in the store",
            "objects that are needed here are not in the store",
            "",
            "`git lake fsck --repair` fetches them",
        ),
        Fault::NotSynced(why) => {
            cause("sync of verified objects failed", "syncs of verified objects failed", why, "")
        }
        Fault::PointerDamaged(fault) => cause(
            "file is a damaged pointer",
            "files are damaged pointers",
            &fault.to_string(),
            "restore it, `git add` it and commit",
        ),
        Fault::PointerSize { says, is } => cause(
            "pointer says another size than its object has",
            "pointers say another size than their objects have",
            &format!("{says} bytes where there are {is}"),
            "restore it, `git add` it and commit",
        ),
        Fault::NewerPointer => cause(
            "file is a pointer of a newer version",
            "files are pointers of a newer version",
            "",
            "a newer git-lake can judge that",
        ),
        Fault::NotConverted => cause(
            "file is content in git where a pointer belongs",
            "files are content in git where a pointer belongs",
            "",
            "`git add --renormalize .` and a commit convert what is there now",
        ),
        Fault::LfsPointer => cause(
            "file is a git-lfs pointer where one of git-lake belongs",
            "files are git-lfs pointers where those of git-lake belong",
            "",
            "`git lfs pull`, `git add --renormalize .` and a commit convert what is there now",
        ),
        Fault::Untracked => cause(
            "pointer is at a path that is not tracked, so that nobody gets its content",
            "pointers are at paths that are not tracked, so that nobody gets their content",
            "",
            "`git lake track` tracks a path",
        ),
        Fault::NotHere => cause(
            "file cannot be judged, since this partial clone does not have it",
            "files cannot be judged, since this partial clone does not have them",
            "",
            "`git fetch --refetch --no-filter` brings all of them",
        ),
        Fault::Settings(why) => cause(
            "commit has settings that cannot be read",
            "commits have settings that cannot be read",
            why,
            "correct `.gitlake.toml` and commit it",
        ),
        Fault::Absent => cause(
            "object is not in a lake that its pointer names",
            "objects are not in a lake that their pointers name",
            &lake,
            "`git lake fsck --remote --repair` uploads what any copy is found of",
        ),
        Fault::OtherSize(_) => cause(
            "object has another size in a lake",
            "objects have other sizes in a lake",
            &lake,
            "`git lake fsck --remote --repair` replaces what any copy is found of",
        ),
        Fault::WrongBytes => cause(
            "object has other bytes in a lake",
            "objects have other bytes in a lake",
            &lake,
            "`git lake fsck --remote --read-data --repair` replaces what any copy is found of",
        ),
        Fault::NotRegular => cause(
            "object is no file in a lake",
            "objects are no files in a lake",
            &lake,
            "`git lake fsck --remote --repair` replaces what any copy is found of",
        ),
        Fault::RemoteUnreadable(why) => {
            cause("object could not be looked at", "objects could not be looked at", why, "")
        }
        Fault::LakeUnknown(why) => {
            cause("lake could not be asked", "lakes could not be asked", why, "")
        }
        Fault::Nowhere => cause(
            "pointer names no remote, and no lake that readers ask has its object",
            "pointers name no remote, and no lake that readers ask has their objects",
            "",
            "`git lake fsck --remote --repair` uploads what any copy is found of",
        ),
    }
}

/// Names a lake as the settings do.
fn label(site: &Workspace, lake: &LakeUrl) -> String {
    match site.config.remote_at(lake) {
        Some(remote) => remote.name.clone(),
        None => lake.to_string(),
    }
}

/// Names what a finding is about.
fn thing(finding: &Finding) -> Option<String> {
    let words = [
        finding.path.as_ref().map(|path| path.display().into_owned()),
        finding.oid.map(|oid| oid.to_hex()),
        finding.commit.map(|commit| {
            let id = commit.to_string();
            format!("in commit {}", id.get(..SHORT_COMMIT).unwrap_or(&id))
        }),
    ];
    let mut words: Vec<String> = words.into_iter().flatten().collect();
    if words.is_empty() {
        return None;
    }
    words.extend(finding.repair.as_ref().map(outcome));
    Some(words.join("  "))
}
