//! What could not be done, for people: one line for each cause, naming a few paths.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::{Context, counted};
use crate::lake_url::LakeUrl;
use crate::repo_path::RepoPath;
use crate::sources::rewrite::Rewritten;
use crate::sources::select::Refusal;
use crate::transfer::upload::Moved;
use crate::ui::size;

/// Most paths that a line names.
const SHOWN_PATHS: usize = 3;

/// Tells one line for each cause; `one` and `many` say what became of the items.
pub(super) fn tell_failures<C: Display>(
    context: &Context,
    one: &str,
    many: &str,
    failures: &[(RepoPath, C)],
) {
    let mut causes: BTreeMap<String, Vec<&RepoPath>> = BTreeMap::new();
    for (path, cause) in failures {
        causes.entry(cause.to_string()).or_default().push(path);
    }
    for (cause, paths) in causes {
        let count = counted(paths.len(), one, many);
        context.ui.warning(&format!("{count} ({}): {cause}", shown(&paths)));
    }
}

/// Tells how much came into lakes; `did` says what became of what was sent.
pub(super) fn tell_moved(context: &Context, did: &str, moved: &Moved) {
    let copied = match moved.copied {
        0 => String::new(),
        count => format!(", {count} copied by the server ({})", size::human(moved.copied_bytes)),
    };
    context.ui.status(&format!(
        "{} {did} ({}){copied}, {} there already.",
        counted(moved.sent, "object", "objects"),
        size::human(moved.sent_bytes),
        moved.already,
    ));
}

/// Tells which items a selection means that cannot be treated.
pub(super) fn tell_refused(context: &Context, refused: &[(RepoPath, Refusal)]) {
    tell_failures(context, "file was left as it is", "files were left as they are", refused);
}

/// Tells why lakes could not be asked.
pub(super) fn tell_doubts(context: &Context, doubts: &BTreeMap<LakeUrl, String>) {
    doubts.values().for_each(|why| context.ui.warning(why));
}

/// Tells which pointers somebody else changed at the same time.
pub(super) fn tell_changed_meanwhile(context: &Context, rewritten: &Rewritten) {
    if !rewritten.changed_meanwhile.is_empty() {
        let paths: Vec<&RepoPath> = rewritten.changed_meanwhile.iter().collect();
        let count = counted(paths.len(), "file was", "files were");
        context.ui.warning(&format!(
            "{count} staged anew meanwhile and left alone ({}): the same command goes on with what is there now",
            shown(&paths)
        ));
    }
}

/// Names a few paths, and says how many more there are.
pub(super) fn shown(paths: &[&RepoPath]) -> String {
    let mut shown: Vec<_> = paths.iter().take(SHOWN_PATHS).map(|path| path.display()).collect();
    if paths.len() > SHOWN_PATHS {
        shown.push(format!("{} more", paths.len() - SHOWN_PATHS).into());
    }
    shown.join(", ")
}
