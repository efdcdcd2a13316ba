//! Settings, attributes, and what git holds where pointers belong.

use std::collections::BTreeMap;

use super::{counted, shown};
use crate::doctor::facts::Files;
use crate::doctor::facts::files::AttributeFault;
use crate::doctor::{Finding, Level};
use crate::fsck::{self, Fault};
use crate::repo_path::RepoPath;
use crate::size;

pub(super) fn decide(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for fault in &files.settings {
        findings
            .push(Finding::problem("settings", fault.clone()).mended_by("edit `.gitlake.toml`"));
    }
    for fault in &files.configuration {
        findings.push(
            Finding::problem("configuration", fault.clone())
                .mended_by("git config --show-origin --get-regexp '^lake[.]'"),
        );
    }
    if findings.is_empty() {
        findings.push(Finding::ok("settings", "The settings make sense"));
    }
    findings.extend(files.attributes.iter().map(attributes));
    findings.extend(pointers(&files.pointers));
    let tally = files.tally;
    let count = usize::try_from(tally.pointers).unwrap_or(usize::MAX);
    let text = format!(
        "git holds {} ({})",
        counted(count, "pointer", "pointers"),
        size::human(tally.bytes)
    );
    findings.push(Finding::ok("pointers", text));
    findings
}

fn attributes(fault: &AttributeFault) -> Finding {
    let consequences = fault.missing.iter().map(|missing| match *missing {
        "merge=lake" => "git merges pointers as text",
        _ => "git may change line ends in them",
    });
    let consequences = consequences.collect::<Vec<_>>().join(", and ");
    let missing = fault.missing.join(" ");
    let paths = match fault.paths.len() {
        0 => String::new(),
        count => format!(" ({}: {})", counted(count, "file", "files"), shown(&fault.paths)),
    };
    match &fault.line {
        Some(line) => {
            let text = format!(
                "`{}` in line {} of `{}` has `filter=lake` without `{missing}`: {consequences}{paths}",
                line.pattern, line.number, line.shown,
            );
            let remedy = match line.is_ours {
                true => "git lake doctor --fix".to_owned(),
                false => format!("{} filter=lake merge=lake -text", line.pattern),
            };
            Finding::problem("attributes-incomplete", text).mended_by(remedy)
        }
        None => {
            let text = format!(
                "Other attributes take `{missing}` away from what is tracked: {consequences}{paths}"
            );
            Finding::problem("attributes-overridden", text).mended_by("git check-attr -a PATH")
        }
    }
}

/// Words each kind of fault once, with some of its paths.
fn pointers(faults: &[fsck::Finding]) -> Vec<Finding> {
    let mut kinds: BTreeMap<&'static str, (&Fault, Vec<&RepoPath>)> = BTreeMap::new();
    for fsck::Finding { fault, path, .. } in faults {
        let paths = &mut kinds.entry(fault.kind()).or_insert((fault, Vec::new())).1;
        paths.extend(path);
    }
    let kinds = kinds.into_iter();
    kinds
        .map(|(kind, (fault, paths))| {
            let count = paths.len();
            let (level, one, many, remedy) = match fault {
                Fault::NotConverted => (
                    Level::Problem,
                    "file is content in git where a pointer belongs",
                    "files are content in git where pointers belong",
                    "git add --renormalize . && git commit",
                ),
                Fault::LfsPointer => (
                    Level::Problem,
                    "file is a git-lfs pointer where one of git-lake belongs",
                    "files are git-lfs pointers where those of git-lake belong",
                    "git lfs pull && git add --renormalize . && git commit",
                ),
                Fault::Untracked => (
                    Level::Problem,
                    "pointer is at a path that is not tracked, so that nobody gets its content",
                    "pointers are at paths that are not tracked, so that nobody gets their content",
                    "git lake track PATTERN",
                ),
                Fault::NewerPointer => (
                    Level::Problem,
                    "file is a pointer of a newer git-lake",
                    "files are pointers of a newer git-lake",
                    "git lake version",
                ),
                Fault::NotHere => (
                    Level::Note,
                    "file cannot be judged, since this partial clone does not have it",
                    "files cannot be judged, since this partial clone does not have them",
                    "git fetch --refetch --no-filter",
                ),
                _ => (
                    Level::Problem,
                    "file is a damaged pointer",
                    "files are damaged pointers",
                    "git lake fsck --pointers",
                ),
            };
            let text = format!("{} ({})", counted(count, one, many), shown(paths));
            Finding::new(kind, level, text).mended_by(remedy)
        })
        .collect()
}
