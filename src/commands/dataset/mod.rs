//! What `remote-add`, `remote-remove`, `remote-upload` and `clone` do with a dataset in a folder.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

mod args;
mod report;

pub(super) use args::{HEADING, Input, InputArgs, LakeArgs, Naming, OutputArgs, parse_server};
pub(super) use report::tell_strangers;

use super::lakes::{declare, obstacle_to_writing, parse_all};
use super::{Context, Error, Exit};
use crate::dataset::Dataset;
use crate::dataset::carry_out::{Summary, Work};
use crate::dataset::copy::Serialization;
use crate::dataset::git::GitInput;
use crate::dataset::output::Output;
use crate::dataset::plan::{Plan, Selection};
use crate::dataset::site::Site;
use crate::dataset::supply::Target;
use crate::lake::Creation;
use crate::lake_url::LakeUrl;
use crate::lake_url::typed::TypedUrl;

/// What a person asked for.
pub(super) struct Request<'a> {
    pub(super) input: Input<'a>,
    /// Where the dataset is written; `None` if nothing is.
    pub(super) output: Option<&'a Path>,
    pub(super) serialization: Serialization,
    pub(super) selection: Selection,
    pub(super) jobs: Option<u16>,
    pub(super) dry_run: bool,
}

/// What is done with a dataset.
pub(super) enum Verb<'a> {
    /// Its content goes to lakes, which its `.remote` files name.
    Add(Naming<'a>),
    /// Its content goes to lakes.
    Upload(Naming<'a>),
    /// Its `.remote` files do not name some lakes any more.
    Remove(Naming<'a>),
    /// Its content is brought back.
    Clone,
}

impl Verb<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Add(_) => "remote-add",
            Self::Upload(_) => "remote-upload",
            Self::Remove(_) => "remote-remove",
            Self::Clone => "clone",
        }
    }

    fn lakes(&self) -> Option<&Naming<'_>> {
        match self {
            Self::Add(lakes) | Self::Upload(lakes) | Self::Remove(lakes) => Some(lakes),
            Self::Clone => None,
        }
    }

    fn plan(
        &self,
        dataset: &Dataset,
        selection: &Selection,
        keeps_remote: bool,
        lakes: &[TypedUrl],
    ) -> Plan {
        match self {
            Self::Add(_) | Self::Upload(_) => Plan::to_send(dataset, selection),
            Self::Remove(_) => {
                let lakes: BTreeSet<LakeUrl> =
                    lakes.iter().map(|typed| typed.url.clone()).collect();
                Plan::to_remove(dataset, selection, &lakes)
            }
            Self::Clone => Plan::to_clone(dataset, selection, keeps_remote),
        }
    }
}

/// Does it.
pub(super) fn run(context: &Context, request: &Request<'_>, verb: &Verb<'_>) -> super::Result {
    let jobs = request.jobs.map(usize::from);
    let reporter = Arc::clone(&context.ui);
    let git = GitInput::find(request.input.folder, &context.folder)?;
    let cancel = context.cancel.clone();
    let site = match &git {
        Some(git) => git.site(jobs, reporter, cancel)?,
        None => Site::open(&context.folder, jobs, reporter, cancel)?,
    };
    for server in request.input.hosts {
        site.hosts.hear(&args::parse_server(server)?);
    }
    let lakes = match verb.lakes() {
        Some(lakes) => parse_all(context, &site.hosts, lakes.urls, lakes.insecure_http)?,
        None => Vec::new(),
    };
    let dataset = match &git {
        Some(git) => git.read(&site)?,
        None => Dataset::read(&context.folder.join(request.input.folder))?,
    };
    request.selection.check(&dataset)?;
    report::tell_strangers(context, &dataset);
    let keeps_remote = request.serialization == Serialization::RemoteFile;
    let plan = verb.plan(&dataset, &request.selection, keeps_remote, &lakes);
    let report = report::Report {
        context,
        verb: verb.name(),
        json: request.input.json,
        dataset: &dataset,
        tally: plan.tally(&dataset, &request.selection),
    };
    if request.dry_run {
        return report.planned(&plan);
    }
    let output = request.output.map(|output| context.folder.join(output));
    let mut opened = match &output {
        Some(output) => Some(Output::open(&dataset.folder, output)?),
        None => None,
    };
    let targets = match verb {
        Verb::Add(naming) | Verb::Upload(naming) => introduce(context, &site, naming, &lakes)?,
        Verb::Remove(_) => {
            lakes.iter().for_each(|typed| site.hosts.hear(typed));
            Vec::new()
        }
        Verb::Clone => Vec::new(),
    };
    let serialization = match (&git, request.serialization) {
        (None, asked) | (_, asked @ Serialization::RemoteFile) => asked,
        // A commit has no files that could be linked to.
        (Some(_), _) => Serialization::CreateNewFile,
    };
    let work = Work { site: &site, dataset: &dataset, targets: &targets, serialization };
    let summary = work.carry_out(&plan, opened.as_mut())?;
    if site.is_cancelled() {
        let is_fresh = opened.as_ref().is_some_and(|output| !output.is_in_place());
        let left = opened.and_then(Output::leave);
        context.ui.warning(&match (is_fresh, left) {
            (true, None) => {
                "Interrupted: nothing was written; the same command begins anew.".to_owned()
            }
            (true, Some(left)) => format!(
                "Interrupted: nothing was written; what came is in `{}`, and the same command goes on with it.",
                left.display()
            ),
            (false, _) => "Interrupted; the same command goes on.".to_owned(),
        });
        return Ok(Exit::Incomplete);
    }
    if let Some(opened) = opened {
        opened.finish()?;
    }
    report.done(output.as_deref(), &summary)?;
    Ok(exit(&summary))
}

fn exit(summary: &Summary) -> Exit {
    match (summary.met_damage, summary.failures.is_empty()) {
        (true, _) => Exit::Damaged,
        (false, false) => Exit::Incomplete,
        (false, true) => Exit::Done,
    }
}

/// Declares the lakes that content goes to, and makes sure that it can.
fn introduce(
    context: &Context,
    site: &Site,
    naming: &Naming<'_>,
    typed: &[TypedUrl],
) -> Result<Vec<Target>, Error> {
    let creation = if naming.create { Creation::WithParents } else { Creation::IfParentExists };
    let mut targets: Vec<Target> = Vec::new();
    for typed in typed {
        let url = typed.url.clone();
        if targets.iter().any(|target| target.url == url) {
            continue;
        }
        let declaration = declare(context, &site.reach, &url, Some(typed), naming.hash, creation)?;
        if let Some(why) = obstacle_to_writing(&*site.reach.open_admin(&url))? {
            return Err(Error::Refused(format!("Nothing can be added to `{url}`: {why}")));
        }
        targets.push(Target { url, hash: declaration.hash });
    }
    Ok(targets)
}
