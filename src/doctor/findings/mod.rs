//! What facts mean: a line for each, with what to type. Nothing is looked at here.

mod files;
mod lakes;
mod setup;
mod state;

use super::Finding;
use super::facts::{Lakes, Local};
use crate::repo_path::RepoPath;

/// Most paths that a line names.
const SHOWN_PATHS: usize = 3;

/// Returns all findings, sorted by what they are about.
pub fn decide(local: &Local, lakes: &Lakes) -> Vec<Finding> {
    let mut findings = setup::decide(&local.setup);
    findings.extend(files::decide(&local.files));
    findings.extend(state::decide(&local.state));
    findings.extend(lakes::decide(lakes));
    findings
}

/// Words a count of things.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// Names a few paths, and says how many more there are.
pub(super) fn shown<'a>(paths: impl IntoIterator<Item = &'a RepoPath>) -> String {
    let paths: Vec<&RepoPath> = paths.into_iter().collect();
    let mut shown: Vec<String> =
        paths.iter().take(SHOWN_PATHS).map(|path| path.display().into_owned()).collect();
    if paths.len() > SHOWN_PATHS {
        shown.push(format!("{} more", paths.len() - SHOWN_PATHS));
    }
    shown.join(", ")
}
