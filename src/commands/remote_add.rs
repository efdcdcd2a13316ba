//! `git lake remote-add`: one more lake for items that are tracked already.

use std::ffi::OsString;

use super::dataset::{self, InputArgs, LakeArgs, OutputArgs, Request, Verb};
use super::lakes::{
    accept, check_name, declare, describe, free_name, obstacle_to_writing, parse_all,
    remember_servers, write_settings,
};
use super::report::{tell_changed_meanwhile, tell_failures, tell_moved, tell_refused};
use super::selection::DatasetArgs;
use super::{Context, Error, Exit, counted};
use crate::config::edit;
use crate::config::file::{Remote, Settings, Unknown};
use crate::config::patterns::Patterns;
use crate::digest::HashName;
use crate::lake::Creation;
use crate::lake_url::typed::TypedUrl;
use crate::repo::gitconfig::{self, ConfigFile};
use crate::repo::pathspec;
use crate::sources::Item;
use crate::sources::add::{self, Target};
use crate::sources::rewrite::rewrite;
use crate::sources::select::{Selected, Selection, select};
use crate::ui::size;
use crate::workspace::{Workspace, settings_text};

/// Put tracked items into one more lake, and name it in their pointers
///
/// The lake is added to `.gitlake.toml`. What it lacks is sent to it, from this clone or from another
/// source; then the pointers name it, too, and are staged with the settings. Files with content stay as
/// they are. Running it again goes on where it was interrupted.
///
/// With `-i DIR`, the same for a dataset outside of git: content goes to the lakes, and `.remote` files stand
/// in its place.
#[derive(clap::Args)]
pub struct Args {
    /// Lakes: `file:///folder`, the path of a folder, or `s3://host/bucket`
    #[arg(value_name = "URL", required_unless_present = "input", conflicts_with = "input")]
    urls: Vec<String>,
    #[command(flatten)]
    dataset: DatasetArgs,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    lakes: LakeArgs,
    /// Only these paths, as git takes them
    #[arg(value_name = "PATHSPEC", last = true, conflicts_with = "input")]
    pathspecs: Vec<OsString>,
    /// Name of the remote, for a single URL
    #[arg(long, conflicts_with = "input")]
    name: Option<String>,
    /// Send nothing: name the lake where it holds the object, and record it as a source only
    #[arg(long, conflicts_with = "input")]
    no_upload: bool,
    /// Record the remote and change no pointer
    #[arg(long, conflicts_with_all = ["input", "no_upload", "keys", "start", "stop", "step", "pathspecs"])]
    settings_only: bool,
    /// Create folders above the lake's own, too, or the bucket
    #[arg(long)]
    create: bool,
    /// Speak plain http with the servers of the URLs, as `?secure=false` in each would say
    #[arg(long)]
    insecure_http: bool,
    /// Hash that a new lake names its objects by [default: sha256]
    #[arg(long)]
    hash: Option<HashName>,
    /// Most transfers at once
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Say what would be done, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Runs `git lake remote-add`.
///
/// # Errors
/// If a lake cannot be used, or the settings or the index cannot be written.
pub fn run(context: &Context, args: &Args) -> super::Result {
    args.input.refuse_json()?;
    if let Some(input) = args.input.given() {
        let lakes = args.lakes.naming(args.create, args.insecure_http, args.hash)?;
        let output = Some(args.output.required()?);
        let request = Request {
            output,
            serialization: args.output.serialization(),
            selection: args.dataset.of_folder(),
            jobs: args.jobs,
            dry_run: args.dry_run,
            input,
        };
        return dataset::run(context, &request, &Verb::Add(lakes));
    }
    if args.name.is_some() && args.urls.len() != 1 {
        return Err(Error::Usage("`--name` goes with one URL".into()));
    }
    check_name(args.name.as_deref())?;
    let mut site = context.workspace()?;
    site.config.jobs = args.jobs.map(usize::from).or(site.config.jobs);
    site.insist();
    let typed = parse_all(context, &site.hosts, &args.urls, args.insecure_http)?;
    // Whatever is wrong with the selection is found out before anything is touched.
    let selection = args.dataset.with_pathspecs(context, &args.pathspecs)?;
    let index = site.repo.index()?;
    let Selected { items, refused } = match args.settings_only {
        true => Selected::default(),
        false => select(&site, &index, &selection)?,
    };
    drop(index);
    let recorded = Recorded::of(context, args, &selection)?;
    if args.dry_run {
        return dry_run(context, &site, args, &typed, &items);
    }
    let targets = introduce(context, &site, args, &typed, &recorded)?;
    // What was typed and written down counts from here on.
    drop(site);
    let mut site = context.workspace()?;
    site.consult_origin();
    site.config.jobs = args.jobs.map(usize::from).or(site.config.jobs);
    site.insist();
    typed.iter().for_each(|typed| site.hosts.hear(typed));
    let urls: Vec<_> = targets.iter().map(|target| target.url.clone()).collect();
    accept(&site, &urls)?;
    if args.settings_only {
        return Ok(Exit::Done);
    }
    let mut sources = vec![Vec::new(); items.len()];
    let mut failures = Vec::new();
    for target in &targets {
        let mut held = |at: usize, source| {
            // A push alone makes room for four.
            sources[at].reserve_exact(1);
            sources[at].push(source);
        };
        let report = add::bring(&site, &items, target, &mut held)?;
        tell_moved(context, &format!("sent to `{}`", target.url), &report.moved);
        failures.extend(report.failures);
    }
    if site.cancel.is_cancelled() {
        context.ui.warning("Interrupted before a pointer was changed; the same command goes on.");
        return Ok(Exit::Incomplete);
    }
    let (changes, too_long) = add::changes(items, sources);
    let long = "one more source does not fit: a pointer has at most 8192 bytes";
    failures.extend(too_long.into_iter().map(|path| (path, long.to_owned())));
    let rewritten = rewrite(&site, changes)?;
    context.ui.status(&format!(
        "{} changed and staged.",
        counted(rewritten.staged, "pointer", "pointers")
    ));
    tell_changed_meanwhile(context, &rewritten);
    tell_refused(context, &refused);
    tell_failures(context, "item was left as it was", "items were left as they were", &failures);
    let is_complete = failures.is_empty() && refused.is_empty();
    Ok(if is_complete { Exit::Done } else { Exit::Incomplete })
}

/// How the remotes are recorded, as the selection says.
struct Recorded {
    upload: bool,
    paths: Option<Patterns>,
    /// What a person should know about it.
    note: Option<String>,
}

impl Recorded {
    fn of(context: &Context, args: &Args, selection: &Selection) -> Result<Self, Error> {
        let mut recorded = Self { upload: !args.no_upload, paths: None, note: None };
        if selection.is_of_datasets() {
            recorded.upload = false;
            recorded.note = Some(
                "New content does not go there by itself, since keys and slices were given \
                 (`upload = false`)."
                    .to_owned(),
            );
        } else if !args.pathspecs.is_empty() && recorded.upload {
            let patterns = pathspec::as_patterns(&context.folder, &args.pathspecs)?;
            let Some(patterns) = patterns else {
                recorded.upload = false;
                recorded.note = Some(
                    "New content does not go there by itself, since these pathspecs cannot be \
                     written as `paths` (`upload = false`)."
                        .to_owned(),
                );
                return Ok(recorded);
            };
            let shown: Vec<String> =
                patterns.iter().map(|pattern| format!("`{pattern}`")).collect();
            recorded.note = Some(format!("New content goes there from {} only.", shown.join(", ")));
            let patterns = Patterns::new(&patterns);
            recorded.paths = Some(patterns.map_err(|error| Error::Usage(error.to_string()))?);
        }
        Ok(recorded)
    }
}

/// Checks the lakes, declares them, and writes them into the settings; returns them all.
fn introduce(
    context: &Context,
    site: &Workspace,
    args: &Args,
    typed: &[TypedUrl],
    recorded: &Recorded,
) -> Result<Vec<Target>, Error> {
    let mut text = settings_text(&site.repo)?.unwrap_or_default();
    let before = text.clone();
    let creation = if args.create { Creation::WithParents } else { Creation::IfParentExists };
    let (mut targets, mut lines) = (Vec::new(), Vec::new());
    for typed in typed {
        let url = &typed.url;
        site.forgive(url);
        let known = site.config.remote_at(url);
        let wanted = args.hash.or_else(|| known.map(|remote| remote.hash));
        let declaration = declare(context, &site.reach, url, Some(typed), wanted, creation)?;
        if !args.no_upload
            && let Some(why) = obstacle_to_writing(&*site.reach.open_admin(url))?
        {
            return Err(Error::Refused(format!(
                "Nothing can be added to `{url}`: {why}; with `--no-upload` it is named where it \
                 holds the objects already"
            )));
        }
        let (hash, upload) = (declaration.hash, !args.no_upload);
        targets.push(Target { url: url.clone(), hash, upload });
        if known.is_some() {
            continue;
        }
        let present = Settings::parse(&text, Unknown::PassOver).unwrap_or_default();
        let name = args.name.clone().unwrap_or_else(|| free_name(url, false, &present));
        let remote = Remote {
            upload: recorded.upload,
            paths: recorded.paths.clone(),
            ..describe(name, url, Some(typed), &declaration)
        };
        text = edit::add_remote(&text, &remote)?;
        lines.push(format!("Remote `{}` is `{url}`.", remote.name));
    }
    let mut config = ConfigFile::open(&gitconfig::repository_file(&site.repo))?;
    remember_servers(site, &mut config, typed)?;
    if text != before {
        write_settings(site, &text)?;
        lines.extend(recorded.note.clone());
    }
    lines.iter().for_each(|line| context.ui.status(line));
    Ok(targets)
}

/// Says what would be sent and changed; a lake that is not there yet would get everything.
fn dry_run(
    context: &Context,
    site: &Workspace,
    args: &Args,
    typed: &[TypedUrl],
    items: &[Item],
) -> super::Result {
    let mut failures = Vec::new();
    for typed in typed {
        site.hosts.hear(typed);
        let url = &typed.url;
        let is_known = site.config.remote_at(url).is_some();
        let declared = site.transfer().lakes.at(url).declaration().cloned();
        let hash = declared.as_ref().map_or(args.hash, |declaration| Some(declaration.hash));
        let hash = hash.unwrap_or(HashName::Sha256);
        if let Err(error) = &declared {
            let why = crate::transfer::report::with_causes(error);
            context.ui.status(&format!("`{url}` is not a lake yet, or cannot be reached: {why}."));
        }
        let target = Target { url: url.clone(), hash, upload: !args.no_upload };
        let forecast = add::foresee(site, items, &target)?;
        if declared.is_ok() {
            failures.extend(forecast.failures);
            context.ui.status(&format!(
                "{} would be sent to `{url}` ({}), {} there already.",
                counted(forecast.objects, "object", "objects"),
                size::human(forecast.bytes),
                forecast.already,
            ));
        }
        let count = items
            .iter()
            .filter(|item| item.pointer.sources().iter().all(|source| source.lake != *url));
        let recorded = if is_known { "" } else { " and `.gitlake.toml`" };
        let pointers = counted(count.count(), "pointer", "pointers");
        context.ui.status(&format!("{pointers}{recorded} would be changed."));
    }
    tell_failures(
        context,
        "item would be left as it is",
        "items would be left as they are",
        &failures,
    );
    Ok(if failures.is_empty() { Exit::Done } else { Exit::Incomplete })
}
