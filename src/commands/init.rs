//! `git lake init`: sets a clone up and names its lakes.

use std::path::Path;

use super::install::write_filter_config;
use super::trust::remember_server;
use super::{Context, Error, Exit, parse_url};
use crate::config::file::{self, Remote, Settings, Unknown, is_remote_name};
use crate::config::{edit, env};
use crate::digest::HashName;
use crate::fs::{IoContext as _, Shared, read_small, write_atomic};
use crate::lake::{Creation, Declaration, LakeError};
use crate::lake_url::typed::{Options, TypedUrl};
use crate::lake_url::{LakeUrl, Scheme};
use crate::oid::Oid;
use crate::repo::Repo;
use crate::repo::gitconfig::{self, ConfigFile};
use crate::repo::hooks::{self, Outcome};
use crate::workspace::{Workspace, settings_text};

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
    if args.name.is_some() && args.urls.len() != 1 {
        return Err(Error::Usage("`--name` goes with one URL".into()));
    }
    if let Some(name) = args.name.as_ref().filter(|name| !is_remote_name(name)) {
        return Err(Error::Usage(format!(
            "`{name}` is not a remote's name: use lower-case letters, digits and `-`"
        )));
    }
    let mut text = settings_text(&repo)?.unwrap_or_default();
    let settings = if text.trim().is_empty() {
        Settings::default()
    } else {
        Settings::parse(&text, Unknown::Refuse)?
    };
    let site = context.lenient_workspace()?;
    let parse = |text: &String| parse_url(text, &context.folder, &site.hosts);
    let mut typed = args.urls.iter().map(parse).collect::<Result<Vec<_>, Error>>()?;
    if args.insecure_http {
        for typed in typed.iter_mut().filter(|typed| typed.url.scheme() == Scheme::S3) {
            typed.options.secure = Some(false);
        }
    }
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
        let declaration = declare(context, &site, url, typed.get(at), wanted, creation)?;
        if known.is_some() {
            continue;
        }
        let lake = site.open_admin(url);
        let obstacle = match lake.check_writable() {
            Ok(()) => None,
            Err(LakeError::ReadOnly { source, .. }) => {
                // Who may not even look has no keys, and should not get a remote that says so for ever.
                drop(lake.list()?);
                Some(source.to_string())
            }
            Err(error @ LakeError::HashNotWritable { .. }) => Some(error.to_string()),
            Err(error) => return Err(error.into()),
        };
        let present = Settings::parse(&text, Unknown::PassOver).unwrap_or_default();
        let name = args.name.clone().unwrap_or_else(|| free_name(url, is_local, &present));
        let mut remote = Remote::new(name, url.clone());
        remote.hash = declaration.hash;
        remote.upload = obstacle.is_none();
        remote.local = is_local;
        if let Some(Options { secure, region }) = typed.get(at).map(|typed| typed.options.clone()) {
            (remote.secure, remote.region) = (secure, region);
        }
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
    write_filter_config(&mut config)?;
    for typed in &typed {
        if let Some(server) = site.config.rewritten(&typed.url).server() {
            let secure = typed.options.secure;
            remember_server(&mut config, &server, secure, site.config.trust_loopback)?;
        }
    }
    if !lines.is_empty() {
        write_atomic(&top.join(file::FILE_NAME), text.as_bytes(), Shared::Yes)?;
    }
    add_attribute_line(&top.join(".gitattributes"), SETTINGS_ATTRIBUTES)?;
    accept(context, &urls)?;
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

/// Declares the lake with what was typed beside its address; keys that its server accepts are kept by
/// git.
fn declare(
    context: &Context,
    site: &Workspace,
    url: &LakeUrl,
    typed: Option<&TypedUrl>,
    wanted: Option<HashName>,
    creation: Creation,
) -> Result<Declaration, Error> {
    if let Some(typed) = typed {
        site.hosts.hear(typed);
    }
    let declared = site.open_admin(url).declare(wanted, creation);
    match (&declared, typed) {
        (Ok(_), Some(TypedUrl { keys: Some(keys), .. })) => {
            let is_kept = site.hosts.keep(&site.config.rewritten(url), keys);
            if !is_kept {
                context.ui.warning(&format!(
                    "The keys for `{url}` were used and not kept: git has no credential helper that \
                     keeps them (`git help credentials`). Later commands look for them elsewhere."
                ));
            }
        }
        (Err(error), Some(typed)) if error.is_unreachable() => {
            typed.doubt().iter().for_each(|doubt| context.ui.warning(doubt));
        }
        _ => {}
    }
    let declaration = declared?;
    if let Some(why) = &declaration.assumed {
        context.ui.warning(&format!("`{url}` is used with {} names: {why}.", declaration.hash));
    }
    Ok(declaration)
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

/// Names a remote after the last part of its address.
fn free_name(url: &LakeUrl, is_local: bool, settings: &Settings) -> String {
    let text = url.to_string();
    let folder = url.folder();
    let last = match &folder {
        Some(_) if is_local => "local".into(),
        Some(folder) => folder.file_name().unwrap_or_default().to_string_lossy(),
        None => text.rsplit('/').next().unwrap_or_default().into(),
    };
    let cleaned: String = last
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .collect();
    let base = match cleaned.trim_matches('-') {
        "" => "lake",
        base => base,
    };
    let is_free = |name: &String| settings.remotes.iter().all(|remote| remote.name != *name);
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    std::iter::once(base.to_owned()).chain(numbered).find(is_free).expect("there are many numbers")
}

/// Adds a line to an attributes file unless it is there.
pub(super) fn add_attribute_line(path: &Path, line: &str) -> Result<bool, Error> {
    const MAX_BYTES: u64 = 16 << 20;
    let mut bytes = read_small(path, MAX_BYTES)?.unwrap_or_default();
    if bytes.split(|byte| *byte == b'\n').any(|there| there.trim_ascii() == line.as_bytes()) {
        return Ok(false);
    }
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes.extend(line.as_bytes());
    bytes.push(b'\n');
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        let error = std::io::Error::other("it is no regular file");
        return Err(error).context(path).map_err(Error::Path);
    }
    write_atomic(path, &bytes, Shared::Yes)?;
    Ok(true)
}

/// Records that data may go to the lakes: the user named them.
fn accept(context: &Context, urls: &[LakeUrl]) -> Result<(), Error> {
    let site: Workspace = context.lenient_workspace()?;
    let mut accepted = site.accepted()?;
    if urls.iter().any(|url| !accepted.contains(url)) {
        accepted.add(urls)?;
    }
    Ok(())
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
