//! The store, what is owed, and what ended early.

use super::counted;
use crate::doctor::Finding;
use crate::doctor::facts::State;
use crate::size;

pub(super) fn decide(state: &State) -> Vec<Finding> {
    let mut findings = owed(state);
    if state.left > 0 {
        let count = counted(state.left, "file is a pointer only", "files are pointers only");
        findings.push(Finding::problem("pointers-left", count).mended_by("git lake pull"));
    }
    if state.left_on_purpose > 0 {
        let count = state.left_on_purpose;
        let count = counted(count, "file stays a pointer", "files stay pointers");
        let text = format!("{count}, as `lake.checkout` or `lake.fetchInclude` and `Exclude` say");
        findings.push(Finding::note("pointers-wanted", text));
    }
    findings.push(store(state));
    let folder = state.aside.display();
    if state.lost > 0 {
        let count = counted(
            state.lost,
            "object was damaged and is not in the store any more",
            "objects were damaged and are not in the store any more",
        );
        let text = format!("{count}; what is left of them lies in `{folder}`");
        findings.push(Finding::problem("damaged", text).mended_by("git lake fetch --all"));
    }
    if state.replaced > 0 {
        let count =
            counted(state.replaced, "damaged object was replaced", "damaged objects were replaced");
        let text = format!("{count}, and may be removed from `{folder}`");
        findings.push(Finding::note("damaged-replaced", text));
    }
    if state.unsynced > 0 {
        let count = counted(state.unsynced, "object of the store is", "objects of the store are");
        let text = format!("{count} not safe from power loss, since the disk reported an error");
        findings.push(Finding::problem("not-synced", text).mended_by("git lake doctor --fix"));
    }
    if state.unfinished > 0 {
        let count = counted(state.unfinished, "process was", "processes were");
        let text = format!(
            "{count} stopped while files were filled: git may take files for modified that are not"
        );
        findings.push(Finding::problem("unfinished-fill", text).mended_by("git lake doctor --fix"));
    }
    if let Some(folder) = &state.storage {
        let text = format!(
            "The store in `{}`, which git config `lake.storage` names, cannot be used: objects stay in \
             this clone",
            folder.display()
        );
        findings.push(
            Finding::problem("storage", text).mended_by(format!("mkdir '{}'", folder.display())),
        );
    }
    for clone in &state.unreadable_clones {
        let text = format!(
            "The clone `{clone}` shares the store and cannot be read, so that nothing is ever removed"
        );
        let remedy = format!("git lake prune --forget '{clone}'");
        findings.push(Finding::problem("clone-unreadable", text).mended_by(remedy));
    }
    match state.shares_blocks {
        Some(true) => findings.push(Finding::ok(
            "shared-blocks",
            "The store and the work tree share blocks: content takes its room once",
        )),
        Some(false) => findings.push(Finding::note(
            "shared-blocks",
            "The store and the work tree cannot share blocks: content takes its room twice",
        )),
        None => {}
    }
    findings
}

fn owed(state: &State) -> Vec<Finding> {
    let owed = state.owed.iter().map(|(url, owed)| {
        let count = counted(owed.objects, "upload is", "uploads are");
        let text = format!("{count} owed to `{url}` ({})", size::human(owed.bytes));
        if !owed.is_accepted {
            let text = format!("{text}, which this clone has not accepted");
            let remedy = format!("git lake trust {url} && git lake push");
            return Finding::problem("owed-not-accepted", text).mended_by(remedy);
        }
        let level = if state.waits_for_push { Finding::note } else { Finding::problem };
        level("owed", text).mended_by("git lake push")
    });
    let owed: Vec<Finding> = owed.collect();
    if owed.is_empty() { vec![Finding::ok("owed", "Nothing is owed")] } else { owed }
}

fn store(state: &State) -> Finding {
    let (count, bytes) = (counted(state.objects, "object", "objects"), size::human(state.bytes));
    match state.limit {
        Some(limit) if state.bytes > limit => {
            let text = format!(
                "The store has {count} ({bytes}), more than `lake.storageLimit` ({}): the rest is \
                 needed here or not sure to be in a lake",
                size::human(limit)
            );
            Finding::note("store-full", text).mended_by("git lake prune --dry-run")
        }
        Some(limit) => {
            let text =
                format!("The store has {count} ({bytes}) and may have {}", size::human(limit));
            Finding::ok("store", text)
        }
        None => Finding::ok("store", format!("The store has {count} ({bytes})")),
    }
}
