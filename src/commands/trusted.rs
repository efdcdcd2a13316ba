//! What is trusted, and taking it back: `git lake trust --list` and `--remove`.

use std::path::{Path, PathBuf};

use super::{Context, Error, Exit, parse_url};
use crate::config::env;
use crate::config::hosts::Surroundings;
use crate::lake_url::host::Host;
use crate::repo::gitconfig::{self, ConfigFile};
use crate::repo::{self, Environment, Repo};
use crate::ui::escape::for_terminal;

/// Version of the document that `--json` prints.
const JSON_VERSION: u64 = 1;
/// git's setting that names trusted servers.
pub(super) const TRUSTED_HOST: &str = "lake.trustedHost";

/// A trusted server and where that is recorded.
struct Trusted {
    host: String,
    plain_http: bool,
    recorded: String,
}

/// Parses `HOST[:PORT]`. What stands before an `@` is not shown.
pub(super) fn parse_host(context: &Context, name: &str) -> Result<Host, Error> {
    let shown = name.rsplit('@').next().unwrap_or_default();
    let is_path = name.contains(['/', '\\', '@']) || name.starts_with('.');
    // The name of a folder would be taken for a server without a word.
    if is_path || context.folder.join(name).exists() {
        return Err(Error::Usage(format!(
            "`{shown}` is no address: write the remote's whole URL, or `HOST:PORT` for a server"
        )));
    }
    Host::parse(name).map_err(|source| Error::Usage(source.to_string()))
}

/// Lists accepted remotes and trusted servers.
pub(super) fn list(context: &Context, json: bool) -> super::Result {
    let repo = here(context)?;
    let (mut accepted, mut record) = (Vec::new(), None);
    if repo.is_some() {
        let site = context.lenient_workspace()?;
        let known = site.accepted()?;
        record = Some(known.path().display().to_string());
        accepted.extend(known.urls().map(ToString::to_string));
    }
    let mut trusted = Vec::new();
    for path in files(repo.as_ref()) {
        if path.exists() {
            trusted.extend(in_file(&ConfigFile::open(&path)?)?);
        }
    }
    let around = Surroundings::read();
    trusted.extend(around.trusted.iter().map(|host| Trusted {
        host: host.to_string(),
        plain_http: false,
        recorded: "GIT_LAKE_TRUST".to_owned(),
    }));
    if let Some(endpoint) = &around.aws.endpoint {
        trusted.push(Trusted {
            host: endpoint.host.to_string(),
            plain_http: endpoint.plain_http,
            recorded: "AWS_ENDPOINT_URL".to_owned(),
        });
    }
    if json {
        let remotes: Vec<_> = accepted
            .iter()
            .map(|url| serde_json::json!({ "url": url, "recorded": record }))
            .collect();
        let hosts: Vec<_> = trusted
            .iter()
            .map(|it| {
                serde_json::json!({
                    "host": it.host, "plain_http": it.plain_http, "recorded": it.recorded,
                })
            })
            .collect();
        let document = serde_json::json!({
            "version": JSON_VERSION, "accepted": remotes, "trusted": hosts,
        });
        context.ui.data(&document.to_string())?;
        return Ok(Exit::Done);
    }
    let print = |what: &str, name: &str, recorded: &str| {
        let (name, recorded) = (for_terminal(name), for_terminal(recorded));
        context.ui.data(&format!("{what}\t{name}\t{recorded}"))
    };
    for url in &accepted {
        print("accepted", url, record.as_deref().unwrap_or_default())?;
    }
    for it in &trusted {
        let what = if it.plain_http { "trusted, also over plain http" } else { "trusted" };
        print(what, &it.host, &it.recorded)?;
    }
    Ok(Exit::Done)
}

/// Takes back that remotes were accepted, or servers trusted.
pub(super) fn remove(context: &Context, names: &[String]) -> super::Result {
    let repo = here(context)?;
    let (addresses, hosts): (Vec<&String>, Vec<&String>) =
        names.iter().partition(|name| name.contains("://"));
    let parse = |name: &&String| parse_host(context, name);
    let hosts = hosts.iter().map(parse).collect::<Result<Vec<_>, Error>>()?;
    let mut exit = Exit::Done;
    if !addresses.is_empty() {
        let site = context.lenient_workspace()?;
        let parse = |text: &&String| parse_url(text, &context.folder, &site.hosts);
        let typed = addresses.iter().map(parse).collect::<Result<Vec<_>, Error>>()?;
        let mut accepted = site.accepted()?;
        for typed in typed {
            let url = &typed.url;
            if accepted.remove(url)? {
                context.ui.status(&format!("This clone uploads nothing to `{url}` from now on."));
            } else {
                context.ui.warning(&format!("`{url}` is not accepted by this clone"));
                exit = Exit::Incomplete;
            }
        }
    }
    for host in &hosts {
        if !remove_host(context, repo.as_ref(), host)? {
            exit = Exit::Incomplete;
        }
    }
    Ok(exit)
}

/// Removes a server from the clone's settings, or outside of a repository from the user's; says where else
/// it is.
fn remove_host(context: &Context, repo: Option<&Repo>, host: &Host) -> Result<bool, Error> {
    let is_same = |text: &str| Host::parse(text).is_ok_and(|known| known == *host);
    let mut was_there = false;
    let mut elsewhere = Vec::new();
    for (number, path) in files(repo).into_iter().enumerate() {
        if !path.exists() {
            continue;
        }
        let mut config = ConfigFile::open(&path)?;
        let known = config.get_all(TRUSTED_HOST)?.into_iter().filter(|text| is_same(text));
        let known: Vec<String> = known.collect();
        if number > 0 {
            elsewhere.extend((!known.is_empty()).then(|| path.display().to_string()));
            continue;
        }
        for text in &known {
            config.remove(TRUSTED_HOST, text)?;
        }
        was_there = !known.is_empty();
        let plain_http = format!("lake.{host}.secure");
        if config.get(&plain_http)?.as_deref() == Some("false") {
            config.unset(&plain_http)?;
            was_there = true;
        }
        if was_there {
            context.ui.status(&format!(
                "Your keys go to `{host}` no more because of {}.",
                path.display()
            ));
        }
    }
    for path in &elsewhere {
        context.ui.warning(&format!(
            "`{host}` is trusted by {path}: `git config --file '{path}' --unset-all {TRUSTED_HOST}` \
             would remove all that it names"
        ));
    }
    if !was_there && elsewhere.is_empty() {
        context.ui.warning(&format!("`{host}` is not recorded as trusted"));
    }
    Ok(was_there && elsewhere.is_empty())
}

/// Returns the repository that the command was typed in, if it was in one.
fn here(context: &Context) -> Result<Option<Repo>, Error> {
    match Repo::discover(&context.folder) {
        Ok(repo) => Ok(Some(repo)),
        Err(repo::Error::NotARepository { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns git's configuration files that may name trusted servers, the nearest first.
fn files(repo: Option<&Repo>) -> Vec<PathBuf> {
    let environment = Environment::read();
    let mut files: Vec<PathBuf> = repo.map(gitconfig::repository_file).into_iter().collect();
    files.extend(gitconfig::user_file(&environment));
    if env::text("GIT_CONFIG_NOSYSTEM").is_none() {
        files.push(gitconfig::system_file(&environment));
    }
    files
}

fn in_file(config: &ConfigFile) -> Result<Vec<Trusted>, Error> {
    let path: &Path = config.path();
    let mut found = Vec::new();
    for text in config.get_all(TRUSTED_HOST)? {
        let host = Host::parse(&text).map_or(text, |host| host.to_string());
        let plain_http = config.get(&format!("lake.{host}.secure"))?.as_deref() == Some("false");
        found.push(Trusted { host, plain_http, recorded: path.display().to_string() });
    }
    Ok(found)
}
