//! `git lake remote-upload`: what items owe, to every remote that they are to be in; the same for datasets.

use std::ffi::OsString;

use super::dataset::{self, HEADING, InputArgs, LakeArgs, Request, Verb};
use super::report::{tell_failures, tell_moved, tell_refused};
use super::selection::DatasetArgs;
use super::{Context, Error, Exit, counted};
use crate::dataset::copy::Serialization;
use crate::digest::HashName;
use crate::owed::{self, Look};
use crate::sources::select::select;
use crate::sources::upload::{Report, Uploads};
use crate::sources::walk;

/// Version of the document that `--json` prints.
const JSON_VERSION: u64 = 1;

/// Upload what the selected items owe to the remotes that their pointers name
///
/// An object that is not in this clone goes from another of its lakes to the one that lacks it, and is not
/// kept here; between buckets on one server, the server copies it. Running it again goes on where it was
/// interrupted.
///
/// With `-i DIR`, the content of a dataset outside of git goes to lakes, and nothing else is written.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Only these paths, as git takes them
    #[arg(value_name = "PATHSPEC", conflicts_with = "input")]
    pathspecs: Vec<OsString>,
    /// All pointers of all branches, tags and stashes
    #[arg(long, conflicts_with_all = ["input", "keys", "start", "stop", "step", "pathspecs"])]
    all: bool,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    lakes: LakeArgs,
    /// Create folders above the lake's own, too, or the bucket
    #[arg(long, requires = "input", help_heading = HEADING)]
    create: bool,
    /// Speak plain http with the servers of the URLs, as `?secure=false` in each would say
    #[arg(long, requires = "input", help_heading = HEADING)]
    insecure_http: bool,
    /// Hash that a new lake names its objects by [default: sha256]
    #[arg(long, requires = "input", help_heading = HEADING)]
    hash: Option<HashName>,
    /// Most transfers at once
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Say what would be done, and change nothing
    #[arg(short = 'n', long, requires = "input", help_heading = HEADING)]
    dry_run: bool,
}

/// Runs `git lake remote-upload`.
///
/// # Errors
/// If the clone or its history cannot be read.
pub fn run(context: &Context, args: &Args) -> super::Result {
    if let Some(input) = args.input.given() {
        let lakes = args.lakes.naming(args.create, args.insecure_http, args.hash)?;
        let request = Request {
            input,
            output: None,
            serialization: Serialization::default(),
            selection: args.dataset.of_folder(),
            jobs: args.jobs,
            dry_run: args.dry_run,
        };
        return dataset::run(context, &request, &Verb::Upload(lakes));
    }
    let mut site = context.workspace()?;
    site.config.jobs = args.jobs.map(usize::from).or(site.config.jobs);
    site.insist();
    site.consult_origin();
    let selection = args.dataset.with_pathspecs(context, &args.pathspecs)?;
    if let Err(error) = site.store.sync_recorded() {
        context.ui.warning(&error.to_string());
    }
    let index = site.repo.index()?;
    let mut uploads = Uploads::begin(&site)?;
    let mut refused = Vec::new();
    if args.all {
        let mut add = |path, pointer| Ok::<_, Error>(uploads.add(path, pointer)?);
        // A remote may apply to some of a blob's paths only; the index knows all of them.
        walk::of_index(&site, &index, &mut add)?;
        walk::of_refs(&site, &mut add)?;
    } else {
        let selected = select(&site, &index, &selection)?;
        refused = selected.refused;
        for item in selected.items {
            uploads.add(item.path, item.pointer)?;
        }
    }
    let report = uploads.finish()?;
    owed::settle(&site, Look::Index)?;
    if args.input.wants_json() {
        context.ui.data(&json(&report).to_string())?;
    }
    tell(context, &report);
    tell_refused(context, &refused);
    let is_complete = report.failures.is_empty() && report.unaccepted.is_empty();
    let is_complete = is_complete && refused.is_empty() && !site.cancel.is_cancelled();
    Ok(if is_complete { Exit::Done } else { Exit::Incomplete })
}

fn tell(context: &Context, report: &Report) {
    tell_moved(context, "uploaded", &report.moved);
    tell_failures(context, "upload is still owed", "uploads are still owed", &report.failures);
    for (url, count) in &report.unaccepted {
        context.ui.warning(&format!(
            "{} to `{url}`, which this clone has not accepted: `git lake trust {url}`",
            counted(*count, "upload is owed", "uploads are owed"),
        ));
    }
}

fn json(report: &Report) -> serde_json::Value {
    let failures: Vec<_> = report
        .failures
        .iter()
        .map(|(path, why)| serde_json::json!({ "path": path.display(), "reason": why }))
        .collect();
    let unaccepted: Vec<_> = report
        .unaccepted
        .iter()
        .map(|(url, count)| serde_json::json!({ "url": url.to_string(), "objects": count }))
        .collect();
    serde_json::json!({
        "version": JSON_VERSION, "sent": report.moved.sent, "sent_bytes": report.moved.sent_bytes,
        "copied": report.moved.copied, "copied_bytes": report.moved.copied_bytes, "already": report.moved.already,
        "failures": failures, "unaccepted": unaccepted,
    })
}
