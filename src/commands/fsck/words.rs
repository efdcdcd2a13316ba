//! What was found, for people: one paragraph for each cause, naming some of what it concerns.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::super::{Context, Error, counted};
use crate::fsck::{Fault, Finding, Report};
use crate::ui::escape::for_terminal;
use crate::ui::size;

/// Most things that are listed for one cause.
const SHOWN: usize = 20;

/// Lists what is wrong, the worst first, and sums up.
pub(super) fn tell(context: &Context, report: &Report) -> Result<(), Error> {
    let mut causes: BTreeMap<_, Vec<&Finding>> = BTreeMap::new();
    for finding in &report.findings {
        let fault = &finding.fault;
        causes.entry((Reverse(fault.grade()), cause(fault))).or_default().push(finding);
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
    if let Some(tally) = report.store {
        let sealed = match tally.sealed {
            0 => String::new(),
            count => format!(", {count} of them put on disk for good now"),
        };
        let objects = usize::try_from(tally.objects).unwrap_or(usize::MAX);
        context.ui.status(&format!(
            "{} of the store read ({}){sealed}.",
            counted(objects, "object", "objects"),
            size::human(tally.bytes),
        ));
    }
    if report.findings.is_empty() {
        context.ui.status("Nothing is wrong.");
    }
    Ok(())
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

fn cause(fault: &Fault) -> Cause {
    let cause = |one, many, reason: &str, remedy| {
        let reason = reason.to_owned();
        Cause { one, many, reason, remedy }
    };
    match fault {
        Fault::StoredDamaged(Some(aside)) => {
            let folder = aside.parent().unwrap_or(aside).display().to_string();
            cause(
                "object of the store was damaged",
                "objects of the store were damaged",
                &format!("set aside in `{folder}`"),
                "",
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
        Fault::NotSynced(why) => {
            cause("sync of verified objects failed", "syncs of verified objects failed", why, "")
        }
    }
}

/// Names what a finding is about.
fn thing(finding: &Finding) -> Option<String> {
    let words = [
        finding.path.as_ref().map(|path| path.display().into_owned()),
        finding.oid.map(|oid| oid.to_hex()),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join("  "))
}
