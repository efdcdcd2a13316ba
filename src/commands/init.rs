//! `git lake init`: sets a clone up and names its lakes.

use std::path::Path;

use super::lakes::{
    accept, check_name, declare, describe, free_name, obstacle_to_writing, parse_all,
    remember_servers,
};
use super::{Context, Error, Exit};
use crate::config::file::{self, Settings, Unknown};
use crate::config::{edit, env};
use crate::digest::HashName;
use crate::fs::read_small_regular;
use crate::lake::Creation;
use crate::lake_url::LakeUrl;
use crate::oid::Oid;
use crate::repo::gitconfig::{self, ConfigFile};
use crate::repo::hooks::{self, Outcome};
use crate::repo::process::Git;
use crate::repo::{Repo, filter_config, git_version};
use crate::store::Store;
use crate::workspace::settings_text;

/// Makes git merge settings by remote instead of by line.
const SETTINGS_ATTRIBUTES: &str = ".gitlake.toml merge=lake";

/// Set up this repository: filter, hooks, and the lakes that its content goes to
#[derive(clap::Args)]
pub struct Args {
    /// Lakes: `file:///folder`, the path of a folder, or `s3://host/bucket`
    ///
    /// `s3://USER:PASSWORD@HOST[:PORT]/BUCKET[/PREFIX][?secure=false:region=NAME]` names keys and options,
    /// and `s3://BUCKET` is a bucket of AWS. Keys go to `git credential`, and into no file of git-lake.
    ///
    /// Without one, and without settings that name any, content goes to a folder of this machine.
    #[arg(value_name = "URL")]
    urls: Vec<String>,
    /// Name of the remote, for a single URL
    #[arg(long)]
    name: Option<String>,
    /// Create folders above the lake's own, too, or the bucket
    #[arg(long)]
    create: bool,
    /// Speak plain http with the servers of the URLs, as `?secure=false` in each would say
    #[arg(long)]
    insecure_http: bool,
    /// Hash that a new lake names its objects by [default: sha256]
    #[arg(long)]
    hash: Option<HashName>,
}

/// Runs `git lake init`. Running it again changes nothing.
///
/// # Errors
/// If an argument makes no sense, a lake cannot be used, or a file cannot be written.
pub fn run(context: &Context, args: Args) -> super::Result {
    let (repo, top) = context.work_tree()?;
    git_version::check(&Git::of(&repo)?)?;
    if args.name.is_some() && args.urls.len() != 1 {
        return Err(Error::Usage("`--name` goes with one URL".into()));
    }
    check_name(args.name.as_deref())?;
    let mut text = settings_text(&repo)?.unwrap_or_default();
    let settings = if text.trim().is_empty() {
        Settings::default()
    } else {
        Settings::parse(&text, Unknown::Refuse)?
    };
    let site = context.lenient_workspace()?;
    let typed = parse_all(context, &site.hosts, &args.urls, args.insecure_http)?;
    let mut urls: Vec<LakeUrl> = typed.iter().map(|typed| typed.url.clone()).collect();
    let is_local = urls.is_empty() && settings.remotes.is_empty();
    if is_local {
        urls.push(own_folder(&top)?);
    }
    let creation =
        if args.create || is_local { Creation::WithParents } else { Creation::IfParentExists };
    let mut lines = Vec::new();
    for (at, url) in urls.iter().enumerate() {
        site.forgive(url);
        let known = settings.remotes.iter().find(|remote| remote.url == *url);
        let wanted = args.hash.or_else(|| known.map(|remote| remote.hash));
        let declaration = declare(context, &site.reach, url, typed.get(at), wanted, creation)?;
        if known.is_some() {
            continue;
        }
        let obstacle = obstacle_to_writing(&*site.reach.open_admin(url))?;
        let present = Settings::parse(&text, Unknown::PassOver).unwrap_or_default();
        let name = args.name.clone().unwrap_or_else(|| free_name(url, is_local, &present));
        let mut remote = describe(name, url, typed.get(at), &declaration);
        remote.upload = obstacle.is_none();
        remote.local = is_local;
        text = edit::add_remote(&text, &remote)?;
        lines.push(match obstacle {
            None => format!("Content goes to `{url}` (remote `{}`).", remote.name),
            Some(why) => format!(
                "Content is read from `{url}` (remote `{}`); you may not add to it: {why}.",
                remote.name
            ),
        });
    }
    let mut config = ConfigFile::open(&gitconfig::repository_file(&repo))?;
    filter_config::write(&mut config)?;
    remember_servers(&site, &mut config, &typed)?;
    if !lines.is_empty() {
        site.store.write_to_work_tree(&top.join(file::FILE_NAME), text.as_bytes())?;
    }
    add_attribute_line(&site.store, &top.join(".gitattributes"), SETTINGS_ATTRIBUTES)?;
    // What was written above counts here.
    accept(&context.lenient_workspace()?, &urls)?;
    for line in &lines {
        context.ui.status(line);
    }
    if is_local {
        context.ui.status(
            "This folder exists on this machine alone: others cannot fetch from it, and `git push` \
             is refused until another lake holds the content (`git lake init URL`).",
        );
    }
    if urls.is_empty() {
        context.ui.status("This clone is set up with the lakes of `.gitlake.toml`.");
    }
    install_hooks(context, &repo)?;
    Ok(Exit::Done)
}

/// Returns the folder lake that a repository gets when nobody named one.
fn own_folder(top: &Path) -> Result<LakeUrl, Error> {
    let data = env::data_folder().ok_or_else(|| {
        Error::Refused(
            "There is no home folder for a lake: name one with `git lake init URL`".into(),
        )
    })?;
    let name = top.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name
        .chars()
        .map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .collect();
    // Two repositories of one name get two lakes.
    let key = Oid::of(&crate::repo_path::os_path_to_bytes(top)).to_hex();
    let folder = data.join("git-lake").join("lakes").join(format!("{name}-{}", &key[..8]));
    LakeUrl::from_folder(&folder)
        .map_err(|source| Error::Url { text: folder.display().to_string(), source })
}

/// Adds a line to an attributes file unless it is there.
pub(super) fn add_attribute_line(store: &Store, path: &Path, line: &str) -> Result<bool, Error> {
    const MAX_BYTES: u64 = 16 << 20;
    let mut bytes = read_small_regular(path, MAX_BYTES)?.unwrap_or_default();
    if bytes.split(|byte| *byte == b'\n').any(|there| there.trim_ascii() == line.as_bytes()) {
        return Ok(false);
    }
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes.extend(line.as_bytes());
    bytes.push(b'\n');
    store.write_to_work_tree(path, &bytes)?;
    Ok(true)
}

fn install_hooks(context: &Context, repo: &Repo) -> Result<(), Error> {
    for installed in hooks::install(repo)? {
        if let Outcome::LineNeeded(line) = installed.outcome {
            let path = installed.path.display();
            context.ui.warning(&format!(
                "`{path}` is yours and stays as it is; add this line to it, before anything reads its input: {line}"
            ));
        }
    }
    Ok(())
}
