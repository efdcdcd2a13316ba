//! `git lake status --all --check`: the proof that nothing is only here.

use serde_json::json;

use super::super::lakes::lake_name;
use super::super::report::tell_doubts;
use super::super::{Context, Error, Exit, counted};
use super::{Args, JSON_VERSION};
use crate::fs::platform;
use crate::inventory::Sum;
use crate::inventory::only_here::{self, Found, Proof, Why};
use crate::lake_url::LakeUrl;
use crate::repo::history::{self, Unpushed};
use crate::ui::escape::for_terminal;
use crate::ui::size;
use crate::workspace::Workspace;

/// Asks lakes for everything that this clone has.
pub(super) fn run(context: &Context, args: &Args) -> super::super::Result {
    let site = context.workspace()?;
    site.insist();
    let proof = only_here::prove(&site)?;
    if context.cancel.is_cancelled() {
        return Ok(Exit::Incomplete);
    }
    let unpushed = history::unpushed(&site.repo)?;
    match args.json {
        true => context.ui.data(&document(&site, &proof, &unpushed).to_string())?,
        false => print(context, &site, &proof)?,
    }
    tell_doubts(context, &proof.doubts);
    tell_what_is_not_proved(context, &site, &proof, &unpushed);
    Ok(if proof.only_here.is_empty() { Exit::Done } else { Exit::Incomplete })
}

fn print(context: &Context, site: &Workspace, proof: &Proof) -> Result<(), Error> {
    for found in &proof.only_here {
        let path = found.path.as_ref().map_or_else(|| "-".into(), |path| path.to_string_lossy());
        let oid = found.oid.map_or_else(|| "-".to_owned(), |oid| oid.to_hex());
        let path = for_terminal(&path).replace('\t', "\\t");
        let why = for_terminal(&words(site, found));
        context.ui.data(&format!("{path}\t{oid}\t{}\t{why}", found.size))?;
    }
    if !proof.only_here.is_empty() {
        let bytes = size::total(proof.only_here.iter().map(|found| found.size));
        let count = counted(proof.only_here.len(), "thing is", "things are");
        context.ui.status(&format!(
            "{count} only here ({}), or cannot be proved to be elsewhere.",
            size::human(bytes)
        ));
    } else if proof.objects.count == 0 {
        context.ui.data("Nothing is only here: this clone has no content.")?;
    } else {
        context.ui.data(&format!(
            "Nothing is only here: {}, each confirmed now by a remote that others reach.",
            objects(proof.objects)
        ))?;
    }
    Ok(())
}

fn objects(sum: Sum) -> String {
    format!("{} ({})", counted(sum.count, "object", "objects"), size::human(sum.bytes))
}

fn words(site: &Workspace, found: &Found) -> String {
    match &found.why {
        Why::Modified => "modified in the work tree and not added".to_owned(),
        Why::Untracked => "untracked".to_owned(),
        Why::Unreferenced => "nothing names it, and no remote is known to hold it".to_owned(),
        Why::Unheld(lakes) if lakes.is_empty() => {
            "no remote that others reach is known for it".to_owned()
        }
        Why::Unheld(lakes) => {
            let names: Vec<String> = lakes.iter().map(|lake| lake_name(site, lake)).collect();
            format!("not confirmed by {}", names.join(", "))
        }
    }
}

/// Returns the lakes that hold something and lie beside this clone, so that they may go with it.
fn beside(site: &Workspace, proof: &Proof) -> Vec<LakeUrl> {
    let is_beside = |lake: &&LakeUrl| {
        let folder = site.reach.location(lake).folder();
        folder.is_some_and(|folder| platform::same_file_system(&folder, site.repo.common_dir()))
    };
    proof.holders.iter().filter(is_beside).cloned().collect()
}

/// Tells what may be lost all the same.
fn tell_what_is_not_proved(
    context: &Context,
    site: &Workspace,
    proof: &Proof,
    unpushed: &Unpushed,
) {
    let warn = |text: &str| context.ui.warning(text);
    for lake in beside(site, proof) {
        warn(&format!("`{lake}` lies on the same file system as this clone, and may go with it."));
    }
    if proof.of_others.count > 0 {
        warn(&format!(
            "{} of the shared store belong to other clones and were not asked for: run the command there.",
            objects(proof.of_others)
        ));
    }
    let Unpushed { commits, stashes } = *unpushed;
    if commits + stashes > 0 {
        warn(&format!(
            "Git itself has {} and {} that no remote of git is known to have: `git push` sends commits, and no stash.",
            counted(commits, "commit", "commits"),
            counted(stashes, "stash", "stashes"),
        ));
    }
}

fn document(site: &Workspace, proof: &Proof, unpushed: &Unpushed) -> serde_json::Value {
    let found = |found: &Found| {
        let (reason, lakes) = match &found.why {
            Why::Modified => ("modified", &[][..]),
            Why::Untracked => ("untracked", &[][..]),
            Why::Unreferenced => ("unreferenced", &[][..]),
            Why::Unheld(lakes) => ("unheld", &lakes[..]),
        };
        let asked: Vec<String> = lakes.iter().map(ToString::to_string).collect();
        json!({
            "path": found.path.as_ref().map(|path| path.to_string_lossy()),
            "oid": found.oid.map(|oid| oid.to_hex()), "size": found.size,
            "reason": reason, "asked": asked,
        })
    };
    let doubt = |(url, why): (&LakeUrl, &String)| json!({ "url": url.to_string(), "error": why });
    json!({
        "version": JSON_VERSION,
        "objects": proof.objects.count, "bytes": proof.objects.bytes,
        "only_here": proof.only_here.iter().map(found).collect::<Vec<_>>(),
        "doubts": proof.doubts.iter().map(doubt).collect::<Vec<_>>(),
        "same_file_system":
            beside(site, proof).iter().map(ToString::to_string).collect::<Vec<_>>(),
        "other_clones": { "objects": proof.of_others.count, "bytes": proof.of_others.bytes },
        "unpushed": { "commits": unpushed.commits, "stashes": unpushed.stashes },
    })
}
