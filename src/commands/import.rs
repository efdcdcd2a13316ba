//! `git lake import`: a dataset with `.remote` files becomes tracked pointers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::dataset::parse_server;
use super::lakes::{describe, free_name, write_settings};
use super::report::{shown, tell_failures};
use super::track::literal;
use super::trust::remember_server;
use super::{Context, Error, Exit, counted};
use crate::config::edit;
use crate::config::file::{Settings, Unknown};
use crate::dataset::Dataset;
use crate::fs::IoContext as _;
use crate::import::resolve::{self, Streamed};
use crate::import::{Plan, Target, stage};
use crate::lake_url::LakeUrl;
use crate::lake_url::typed::TypedUrl;
use crate::repo::attributes::LakePaths;
use crate::repo::gitconfig::{self, ConfigFile};
use crate::repo::index::Index;
use crate::repo::process::{self, Git};
use crate::repo_path::{RepoPath, os_path_to_bytes};
use crate::transfer::report::with_causes;
use crate::workspace::{Workspace, settings_text};

/// Items that are staged together; a run that is interrupted has those before.
const AT_ONCE: usize = 2048;

/// Turn a dataset with `.remote` files into tracked pointers of this work tree
///
/// Where a lake names objects by SHA-256, presence and size are asked and nothing is downloaded; what has
/// other names is read once. In place, `.remote` files go in the same staged change. Run again, it goes
/// on where it ended. `git lake pull` brings the content.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the dataset; if it lies in this work tree, it is changed in place
    #[arg(short, long, value_name = "DATASET")]
    input: PathBuf,
    /// Folder of this work tree that the dataset goes to
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Keep what has to be read in this clone's store
    #[arg(long)]
    keep: bool,
    /// Options of a server that `.remote` files name: `s3://HOST[:PORT]?secure=false:region=NAME` (can
    /// be repeated)
    #[arg(long = "host", value_name = "SERVER")]
    hosts: Vec<String>,
    /// Most transfers at once
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Say what would be done, ask no lake, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Runs `git lake import`.
///
/// # Errors
/// If there is no dataset or no work tree, or the pointers would not be tracked.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let mut site = context.workspace()?;
    site.config.jobs = args.jobs.map(usize::from).or(site.config.jobs);
    site.insist();
    let servers: Vec<TypedUrl> =
        args.hosts.iter().map(|text| parse_server(text)).collect::<Result<_, _>>()?;
    servers.iter().for_each(|server| site.hosts.hear(server));
    let input = context.folder.join(&args.input);
    let dataset = Dataset::read(&input)?;
    super::dataset::tell_strangers(context, &dataset);
    let target = target(context, &site, &input, args.path.as_deref())?;
    if site.repo.config_string("filter.lake.process").is_none() {
        context
            .ui
            .warning("git does not use git-lake in this clone yet: `git lake init` sets it up");
    }
    let index = site.repo.index()?;
    let plan = Plan::of(&site, &index, &dataset, &target)?;
    refuse_untracked(context, &site, &index, &target, &plan)?;
    if args.dry_run {
        return dry_run(context, &plan);
    }
    remember(&site, &servers)?;
    record(context, &site, &plan, &servers)?;
    carry_out(context, &site, &target, plan, args)
}

/// Finds out where the items go.
fn target(
    context: &Context,
    site: &Workspace,
    input: &Path,
    path: Option<&Path>,
) -> Result<Target, Error> {
    let top = site.repo.work_tree().ok_or_else(|| {
        Error::Refused("A bare repository has no work tree to import into".into())
    })?;
    let real = |path: &Path| std::fs::canonicalize(path).context(path);
    let top = real(top)?;
    let input = real(input)?;
    let folder = match path {
        None if !input.starts_with(&top) => {
            return Err(Error::Usage(
                "`PATH` is missing: the dataset lies outside of this work tree".into(),
            ));
        }
        None => input.clone(),
        Some(path) => {
            // What is not there yet has no links.
            let path = context.folder.join(path);
            let there = path.ancestors().find(|above| above.exists()).unwrap_or(&path);
            let rest = path.strip_prefix(there).expect("it is above");
            real(there)?.join(rest).components().collect()
        }
    };
    let is_in_place = folder == input;
    let outside = || Error::Usage(format!("`{}` is no folder of this work tree", folder.display()));
    let below = folder.strip_prefix(&top).map_err(|_| outside())?;
    let folder = match os_path_to_bytes(below).into_owned() {
        below if below.is_empty() => None,
        below => Some(
            RepoPath::parse(&below).filter(|path| !path.enters_git_dir()).ok_or_else(outside)?,
        ),
    };
    Ok(Target { top, folder, is_in_place })
}

/// Refuses pointers at paths that git does not give to the filter, with the command that tracks them.
fn refuse_untracked(
    context: &Context,
    site: &Workspace,
    index: &Index,
    target: &Target,
    plan: &Plan,
) -> Result<(), Error> {
    let mut lake_paths = LakePaths::of_work_tree(&site.repo, index)?;
    let mut untracked = Vec::new();
    for wish in &plan.wishes {
        if !lake_paths.contains(&wish.path)? {
            untracked.push(&wish.path);
        }
    }
    if untracked.is_empty() {
        return Ok(());
    }
    let here = std::fs::canonicalize(&context.folder).context(&context.folder)?;
    let below = here.strip_prefix(&target.top).ok().map(os_path_to_bytes);
    let within = |path: &RepoPath| {
        let below = below.as_deref().filter(|below| !below.is_empty());
        let rest = match below {
            None => Some(path.as_bytes()),
            Some(below) => {
                let rest = path.as_bytes().strip_prefix(below);
                rest.and_then(|rest| rest.strip_prefix(b"/"))
            }
        };
        rest.map(<[u8]>::to_vec)
    };
    let is_below = untracked.iter().all(|path| within(path).is_some());
    let patterns: BTreeSet<String> = untracked
        .iter()
        .map(|path| pattern(&within(path).filter(|_| is_below).unwrap_or(path.as_bytes().to_vec())))
        .collect();
    let mut command = match is_below {
        true => "git lake track".to_owned(),
        false => format!("git -C {} lake track", quoted(&target.top.display().to_string())),
    };
    for pattern in patterns {
        command.extend([" ".to_owned(), quoted(&pattern)]);
    }
    Err(Error::Refused(format!(
        "Nothing was done: {} would not be tracked ({}); `{command}` tracks {}",
        counted(untracked.len(), "item", "items"),
        shown(&untracked),
        if untracked.len() == 1 { "it" } else { "them" },
    )))
}

/// Returns a pattern for the items of all samples that are named like one.
fn pattern(path: &[u8]) -> String {
    let at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let (folder, name) = path.split_at(at);
    let is_sample = folder.ends_with(b"/data/") || folder == b"data/";
    let rest = name.iter().position(|byte| *byte == b'_').filter(|_| is_sample);
    let (star, rest) = match rest {
        Some(at) => ("*", &name[at..]),
        None => ("", name),
    };
    format!("/{}{star}{}", literal(folder), literal(rest))
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn dry_run(context: &Context, plan: &Plan) -> super::Result {
    let items = counted(plan.wishes.len(), "item", "items");
    let files = counted(plan.files.len(), "file", "files");
    context.ui.status(&format!("{items} would become pointers, {files} would be added."));
    let (one, many) = ("item would be left as it is", "items would be left as they are");
    tell_failures(context, one, many, &plan.refused);
    Ok(if plan.refused.is_empty() { Exit::Done } else { Exit::Incomplete })
}

/// Keeps what was said about servers for later commands.
fn remember(site: &Workspace, servers: &[TypedUrl]) -> Result<(), Error> {
    if servers.is_empty() {
        return Ok(());
    }
    let mut config = ConfigFile::open(&gitconfig::repository_file(&site.repo))?;
    for typed in servers {
        if let Some(server) = typed.url.server() {
            remember_server(
                &mut config,
                &server,
                typed.options.secure,
                site.config.trust_loopback,
            )?;
        }
    }
    Ok(())
}

/// Writes the lakes of the items into the settings, to be read from; others may upload to them.
fn record(
    context: &Context,
    site: &Workspace,
    plan: &Plan,
    servers: &[TypedUrl],
) -> Result<(), Error> {
    let mut text = settings_text(&site.repo)?.unwrap_or_default();
    let before = text.clone();
    let mut lakes: Vec<&LakeUrl> = Vec::new();
    let mut seen = BTreeSet::new();
    for source in plan.wishes.iter().chain(&plan.staged).flat_map(|wish| &wish.sources) {
        if seen.insert(&source.lake) && site.config.remote_at(&source.lake).is_none() {
            lakes.push(&source.lake);
        }
    }
    for url in lakes {
        let open = site.transfer().lakes.at(url);
        let declaration = match open.declaration() {
            Ok(declaration) => declaration,
            Err(error) => {
                let why = with_causes(&error);
                context.ui.warning(&format!("`{url}` is not recorded as a remote: {why}"));
                continue;
            }
        };
        let present = Settings::parse(&text, Unknown::PassOver).unwrap_or_default();
        let typed = servers.iter().find(|typed| typed.url.server() == url.server());
        let mut remote = describe(free_name(url, false, &present), url, typed, declaration);
        remote.upload = false;
        text = edit::add_remote(&text, &remote)?;
        context.ui.status(&format!(
            "Remote `{}` is `{url}`, to be read from (`upload = false`).",
            remote.name
        ));
    }
    if text != before {
        write_settings(site, &text)?;
    }
    Ok(())
}

fn carry_out(
    context: &Context,
    site: &Workspace,
    target: &Target,
    plan: Plan,
    args: &Args,
) -> super::Result {
    let streamed = if args.keep { Streamed::Kept } else { Streamed::Forgotten };
    let (mut failures, mut met_damage) = (plan.refused, false);
    let (mut pointers, mut read) = (0, 0);
    let index = site.repo.index()?;
    stage::unstage_replaced(site, &index, &plan.staged)?;
    failures.extend(stage::remove_replaced(target, &plan.staged));
    for wishes in plan.wishes.chunks(AT_ONCE) {
        if site.cancel.is_cancelled() {
            break;
        }
        let resolved = resolve::resolve(site, wishes, streamed)?;
        read += resolved.streamed;
        met_damage |= resolved.met_damage;
        let mut ready = Vec::new();
        for (wish, content) in wishes.iter().zip(resolved.contents) {
            match content {
                Some(Ok(content)) => ready.push((wish.clone(), content)),
                Some(Err(failure)) => {
                    met_damage |= failure.is_damage;
                    failures.push((wish.path.clone(), failure.cause));
                }
                // Somebody asked to stop.
                None => {}
            }
        }
        let staged = stage::stage(site, &index, target, ready)?;
        pointers += staged.pointers;
        failures.extend(staged.failures);
    }
    if site.cancel.is_cancelled() {
        context.ui.warning("Interrupted; the same command goes on.");
        return Ok(Exit::Incomplete);
    }
    let mut added = Vec::new();
    for file in plan.files {
        match target.is_in_place {
            true => added.push(file.path),
            false => match stage::copy(site, target, &file)? {
                Ok(()) => added.push(file.path),
                Err(why) => failures.push((file.path, why)),
            },
        }
    }
    let is_added = add(context, site, &added)?;
    context.ui.status(&format!(
        "{} staged ({} read to be named), {} added. `git lake pull` brings the content.",
        counted(pointers, "pointer", "pointers"),
        counted(read, "object", "objects"),
        counted(added.len(), "file", "files"),
    ));
    let (one, many) = ("item was left as it was", "items were left as they were");
    tell_failures(context, one, many, &failures);
    Ok(match (met_damage, failures.is_empty() && is_added) {
        (true, _) => Exit::Damaged,
        (false, false) => Exit::Incomplete,
        (false, true) => Exit::Done,
    })
}

/// Lets git add files, and with it the filter; returns false if git refused some.
fn add(context: &Context, site: &Workspace, paths: &[RepoPath]) -> Result<bool, Error> {
    if paths.is_empty() {
        return Ok(true);
    }
    let mut input = Vec::new();
    for path in paths {
        input.extend_from_slice(path.as_bytes());
        input.push(0);
    }
    let args = ["--literal-pathspecs", "add", "--pathspec-from-file=-", "--pathspec-file-nul"];
    let (said, is_added) = match Git::of(&site.repo)?.run(&args, &input) {
        Ok(output) => (output.stderr, true),
        Err(process::Error::Failed { stderr, .. }) => (stderr, false),
        Err(error) => return Err(error.into()),
    };
    for line in said.lines().filter(|line| !line.trim().is_empty()) {
        context.ui.warning(line.trim_start_matches("git-lake: "));
    }
    Ok(is_added)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_an_item_of_all_samples() {
        let table = [
            ("data/000_image.png", "/data/*_image.png"),
            ("set/data/000_my_key_2.v1.bin", "/set/data/*_my_key_2.v1.bin"),
            ("set/camera_1.yml", "/set/camera_1.yml"),
            ("s[1]/data/0_a*.x", "/s\\[1\\]/data/*_a\\*.x"),
        ];
        for (path, expected) in table {
            assert_eq!(pattern(path.as_bytes()), expected, "{path}");
        }
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
