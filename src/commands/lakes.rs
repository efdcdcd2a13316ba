//! Lakes that a person names: checked, declared, accepted, and written into the settings.

use std::collections::BTreeSet;

use super::trust::remember_server;
use super::{Context, Error, parse_url};
use crate::config::file::{self, Remote, Settings, is_remote_name};
use crate::config::hosts::Hosts;
use crate::digest::HashName;
use crate::lake::{AdminLake, Creation, Declaration, LakeError};
use crate::lake_url::typed::{Options, TypedUrl};
use crate::lake_url::{LakeUrl, Scheme};
use crate::repo::gitconfig::ConfigFile;
use crate::repo::process::Git;
use crate::transfer::reach::Reach;
use crate::workspace::Workspace;

/// Refuses what cannot be the name of a remote.
pub(super) fn check_name(name: Option<&str>) -> Result<(), Error> {
    match name.filter(|name| !is_remote_name(name)) {
        Some(name) => Err(Error::Usage(format!(
            "`{name}` is not a remote's name: use lower-case letters, digits and `-`"
        ))),
        None => Ok(()),
    }
}

/// Names a lake by its remote, or where no settings know it by its address.
pub(super) fn lake_name(site: &Workspace, lake: &LakeUrl) -> String {
    match site.config.remote_at(lake) {
        Some(remote) => remote.name.clone(),
        None => lake.to_string(),
    }
}

/// Parses addresses that a person typed; with `insecure_http` the servers are spoken to by plain http.
pub(super) fn parse_all(
    context: &Context,
    hosts: &Hosts,
    texts: &[String],
    insecure_http: bool,
) -> Result<Vec<TypedUrl>, Error> {
    let parse = |text: &String| parse_url(text, &context.folder, hosts);
    let mut typed = texts.iter().map(parse).collect::<Result<Vec<_>, Error>>()?;
    for typed in typed.iter_mut().filter(|typed| typed.url.scheme() == Scheme::S3) {
        if insecure_http {
            typed.options.secure = Some(false);
        }
    }
    Ok(typed)
}

/// Finds the lakes that are meant by names of remotes and addresses.
pub(super) fn find_all(
    context: &Context,
    site: &Workspace,
    texts: &[String],
) -> Result<BTreeSet<LakeUrl>, Error> {
    let find = |text: &String| -> Result<LakeUrl, Error> {
        let remotes = &site.config.remotes;
        match remotes.iter().find(|remote| remote.name == *text) {
            Some(remote) => Ok(remote.url.clone()),
            None if is_remote_name(text) && !context.folder.join(text).exists() => {
                let known: Vec<&str> = remotes.iter().map(|remote| &*remote.name).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(Error::Usage(format!(
                    "`{text}` is no remote of `.gitlake.toml`, which has {known}"
                )))
            }
            None => Ok(parse_url(text, &context.folder, &site.hosts)?.url),
        }
    };
    texts.iter().map(find).collect()
}

/// Declares the lake with what was typed beside its address; keys that its server accepts are kept by
/// git.
pub(super) fn declare(
    context: &Context,
    reach: &Reach,
    url: &LakeUrl,
    typed: Option<&TypedUrl>,
    wanted: Option<HashName>,
    creation: Creation,
) -> Result<Declaration, Error> {
    if let Some(typed) = typed {
        reach.hosts.hear(typed);
    }
    let declared = reach.open_admin(url).declare(wanted, creation);
    match (&declared, typed) {
        (Ok(_), Some(TypedUrl { keys: Some(keys), .. })) => {
            let is_kept = reach.hosts.keep(&reach.location(url), keys);
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

/// Returns why nothing may be added to a lake that can be read; `None` if it can be written.
///
/// # Errors
/// If it cannot be used at all.
pub(super) fn obstacle_to_writing(lake: &dyn AdminLake) -> Result<Option<String>, Error> {
    match lake.check_writable() {
        Ok(()) => Ok(None),
        Err(LakeError::ReadOnly { source, .. }) => {
            // Who may not even look has no keys, and should not get a remote that says so for ever.
            drop(lake.list()?);
            Ok(Some(source.to_string()))
        }
        Err(error @ LakeError::HashNotWritable { .. }) => Ok(Some(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// Describes a lake as the settings will name it.
pub(super) fn describe(
    name: String,
    url: &LakeUrl,
    typed: Option<&TypedUrl>,
    declaration: &Declaration,
) -> Remote {
    let mut remote = Remote::new(name, url.clone());
    remote.hash = declaration.hash;
    if let Some(Options { secure, region }) = typed.map(|typed| typed.options.clone()) {
        (remote.secure, remote.region) = (secure, region);
    }
    remote
}

/// Names a remote after the last part of its address.
pub(super) fn free_name(url: &LakeUrl, is_local: bool, settings: &Settings) -> String {
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

/// Records that data may go to the lakes: the user named them.
///
/// # Errors
/// If the record cannot be read or written.
pub(super) fn accept(site: &Workspace, urls: &[LakeUrl]) -> Result<(), Error> {
    let mut accepted = site.accepted()?;
    if urls.iter().any(|url| !accepted.contains(url)) {
        accepted.add(urls)?;
    }
    Ok(())
}

/// Records which servers the user named, and how they are spoken to.
///
/// # Errors
/// If git's configuration cannot be written.
pub(super) fn remember_servers(
    site: &Workspace,
    config: &mut ConfigFile,
    typed: &[TypedUrl],
) -> Result<(), Error> {
    for typed in typed {
        if let Some(server) = site.config.rewritten(&typed.url).server() {
            remember_server(config, &server, typed.options.secure, site.config.trust_loopback)?;
        }
    }
    Ok(())
}

/// Stages `.gitlake.toml`, then writes it: whatever ends this in between, the file still has the old text, by
/// which the same command finds that there is something left to do.
///
/// # Errors
/// If either fails.
pub(super) fn write_settings(site: &Workspace, text: &str) -> Result<(), Error> {
    let top = site.repo.work_tree().ok_or_else(|| {
        Error::Refused("A bare repository has no work tree with `.gitlake.toml`".into())
    })?;
    let git = Git::of(&site.repo)?;
    let path = format!("--path={}", file::FILE_NAME);
    let blob = git.run(&["hash-object", "-w", "--stdin", &path], text.as_bytes())?;
    let entry =
        format!("100644,{},{}", String::from_utf8_lossy(&blob.stdout).trim_end(), file::FILE_NAME);
    git.run(&["update-index", "--add", "--cacheinfo", &entry], b"")?;
    site.store.write_to_work_tree(&top.join(file::FILE_NAME), text.as_bytes())?;
    // Now git knows the date of the file, too.
    git.run(&["update-index", "--add", "--", file::FILE_NAME], b"")?;
    Ok(())
}
