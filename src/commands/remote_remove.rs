//! `git lake remote-remove`: takes sources out of pointers.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;

use super::dataset::{self, InputArgs, LakeArgs, OutputArgs, Request, Verb};
use super::lakes::{find_all, write_settings};
use super::report::{shown, tell_changed_meanwhile, tell_refused};
use super::selection::DatasetArgs;
use super::{Context, Error, Exit, counted};
use crate::config::edit;
use crate::lake_url::LakeUrl;
use crate::repo_path::RepoPath;
use crate::sources::remove::{Plan, Proof, plan};
use crate::sources::rewrite::rewrite;
use crate::sources::select::{Selected, Selection, select};
use crate::workspace::{Workspace, settings_text};

/// Take a lake out of the pointers that name it
///
/// The lake and its objects are not touched: other datasets may use them. An item for which no other
/// source is known to hold the content is refused before anything is changed.
///
/// Without keys, slice and paths, everything is meant, and the remote leaves `.gitlake.toml`, too.
///
/// With `-i DIR`, the same for a dataset outside of git: what no other lake holds is brought back first.
#[derive(clap::Args)]
pub struct Args {
    /// Addresses of lakes, or names of remotes
    #[arg(value_name = "URL|NAME", required_unless_present = "input", conflicts_with = "input")]
    lakes: Vec<String>,
    #[command(flatten)]
    dataset: DatasetArgs,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    named: LakeArgs,
    /// Most transfers at once
    #[arg(short, long, value_name = "N", requires = "input", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Only these paths, as git takes them
    #[arg(value_name = "PATHSPEC", last = true, conflicts_with = "input")]
    pathspecs: Vec<OsString>,
    /// Ask the other lakes now, instead of trusting what they proved before
    #[arg(long, conflicts_with = "input")]
    check: bool,
    /// Also where no other source is known to hold the content
    #[arg(long, conflicts_with_all = ["check", "input"])]
    force: bool,
    /// Say what would be done, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Runs `git lake remote-remove`.
///
/// # Errors
/// If a lake is not named anywhere, an item would be left without a proved source, or the index cannot
/// be written.
pub fn run(context: &Context, args: &Args) -> super::Result {
    args.input.refuse_json()?;
    if let Some(input) = args.input.given() {
        let lakes = args.named.naming(false, false, None)?;
        let output = Some(args.output.required()?);
        let request = Request {
            output,
            serialization: args.output.serialization(),
            selection: args.dataset.of_folder(),
            jobs: args.jobs,
            dry_run: args.dry_run,
            input,
        };
        return dataset::run(context, &request, &Verb::Remove(lakes));
    }
    let site = context.workspace()?;
    let lakes = find_all(context, &site, &args.lakes)?;
    let selection = args.dataset.with_pathspecs(context, &args.pathspecs)?;
    let index = site.repo.index()?;
    let Selected { items, refused } = select(&site, &index, &selection)?;
    let others = match selection.is_everything() {
        true => Vec::new(),
        false => {
            let meant: HashSet<&RepoPath> = items.iter().map(|item| &item.path).collect();
            let mut all = select(&site, &index, &Selection::default())?.items;
            all.retain(|item| !meant.contains(&item.path));
            all
        }
    };
    let proof = match (args.check, args.force) {
        (true, _) => Proof::Now,
        (_, true) => Proof::Nothing,
        _ => Proof::Receipt,
    };
    let plan = plan(&site, items, &others, &lakes, proof)?;
    let settings = match selection.is_everything() {
        true => settings_without(&site, &lakes)?,
        false => None,
    };
    if plan.changes.is_empty() && settings.is_none() {
        let named: Vec<String> = lakes.iter().map(|lake| format!("`{lake}`")).collect();
        return Err(Error::Refused(format!("No selected pointer names {}", named.join(" or "))));
    }
    refuse_unproven(&plan, args.check)?;
    let Plan { changes, unreferenced, .. } = plan;
    let count = changes.len();
    if !args.dry_run {
        let rewritten = rewrite(&site, changes)?;
        tell_changed_meanwhile(context, &rewritten);
        if let Some(text) = &settings {
            write_settings(&site, text)?;
        }
    }
    tell_refused(context, &refused);
    let did = if args.dry_run { "would change" } else { "changed and staged" };
    let pointers = counted(count, "pointer", "pointers");
    let more = match settings.is_some() {
        true => " and the remote taken out of `.gitlake.toml`",
        false => "",
    };
    context.ui.status(&format!("{pointers} {did}{more}."));
    context.ui.status(&format!(
        "Nothing in the lake was touched: {} there {} not named by the index any more.",
        counted(unreferenced, "object", "objects"),
        if unreferenced == 1 { "is" } else { "are" },
    ));
    Ok(if refused.is_empty() { Exit::Done } else { Exit::Incomplete })
}

/// Returns the text of the settings without the remotes of these lakes; `None` if they have none.
fn settings_without(site: &Workspace, lakes: &BTreeSet<LakeUrl>) -> Result<Option<String>, Error> {
    let Some(text) = settings_text(&site.repo)? else { return Ok(None) };
    let edited = edit::remove_remotes(&text, lakes)?;
    Ok((edited != text).then_some(edited))
}

/// Refuses what would leave items without a source that is known to hold them.
fn refuse_unproven(plan: &Plan, was_asked: bool) -> Result<(), Error> {
    let count = plan.unproven.len();
    if count == 0 {
        return Ok(());
    }
    let paths: Vec<&RepoPath> = plan.unproven.iter().collect();
    let (why, hint) = match was_asked {
        true if plan.doubts.is_empty() => {
            ("holds it now", "`git lake remote-add URL` names another lake first")
        }
        true => ("is sure to hold it now", "`git lake remote-add URL` names another lake first"),
        false => ("is known to hold it", "`--check` asks the lakes now"),
    };
    let doubts: String = plan.doubts.values().map(|doubt| format!("; {doubt}")).collect();
    Err(Error::Refused(format!(
        "Nothing was changed: of {} no other source {why} ({}){doubts}; {hint}, `--force` removes the source all the same",
        counted(count, "item", "items"),
        shown(&paths),
    )))
}
