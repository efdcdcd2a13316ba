//! What stands against a push, by cause, as lines for people.

use std::collections::{BTreeMap, BTreeSet};

use crate::oid::Oid;
use crate::pointer::PointerError;
use crate::repo_path::RepoPath;

/// Most paths that are named for one problem.
const SHOWN_PATHS: usize = 5;
/// Digits of an oid that tell it from others.
const SHORT_OID: usize = 8;

/// What is wrong with some files, why, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Problem {
    /// Goes after "file is" or "files are".
    pub(super) state: String,
    /// In the words of whoever found it.
    pub(super) reason: String,
    /// One sentence that says what to type.
    pub(super) remedy: String,
}

/// Problems by cause, with the paths that have them.
#[derive(Debug, Default)]
pub(super) struct Problems(BTreeMap<Problem, BTreeSet<String>>);

impl Problems {
    /// Notes that a file has a problem; `oid` is that of its object where it is known.
    pub(super) fn add(&mut self, problem: Problem, path: &RepoPath, oid: Option<Oid>) {
        let mut shown = path.display().into_owned();
        if let Some(oid) = oid {
            shown.push_str(&format!(" {}", &oid.to_hex()[..SHORT_OID]));
        }
        self.0.entry(problem).or_default().insert(shown);
    }

    /// Words each cause as one line.
    pub(super) fn into_lines(self) -> Vec<String> {
        self.0.into_iter().map(line).collect()
    }
}

fn line((problem, paths): (Problem, BTreeSet<String>)) -> String {
    let Problem { state, reason, remedy } = problem;
    let count = paths.len();
    let files = if count == 1 { "file is" } else { "files are" };
    let mut shown: Vec<String> = paths.into_iter().take(SHOWN_PATHS).collect();
    let mut list = std::mem::take(&mut shown).join(", ");
    if count > SHOWN_PATHS {
        list.push_str(&format!(" and {} more", count - SHOWN_PATHS));
    }
    let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
    format!("{count} {files} {state} ({list}){reason}. {remedy}.")
}

/// Content that somebody added without git-lake.
pub(super) fn raw() -> Problem {
    Problem {
        state: "content in git where a pointer belongs".to_owned(),
        reason: String::new(),
        remedy: "`git add --renormalize . && git commit --amend --no-edit` converts the last commit; \
                 `git reset --soft BASE && git add --renormalize . && git commit` makes one commit of \
                 all after BASE"
            .to_owned(),
    }
}

/// A pointer that says nothing any more.
pub(super) fn damaged(fault: &PointerError) -> Problem {
    Problem {
        state: "a damaged pointer".to_owned(),
        reason: fault.to_string(),
        remedy: "Restore the file, `git add` it and `git commit --amend`".to_owned(),
    }
}
