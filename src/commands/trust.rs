//! `git lake trust`: lets data go to a remote that the settings name, and keys to a server.

use super::trusted::{self, TRUSTED_HOST};
use super::{Context, Error, Exit, parse_url};
use crate::lake_url::LakeUrl;
use crate::lake_url::host::{Host, aws_endpoint};
use crate::lake_url::typed::TypedUrl;
use crate::repo::gitconfig::{self, ConfigFile};
use crate::repo::{self, Environment, Repo};

/// Accept remotes for uploads, and let servers have your keys
///
/// A URL: this clone uploads to the remote. The remotes that you name on a command line, and those that a
/// clone had from its beginning, are accepted already; one that appears in the settings later gets
/// nothing until you say so.
///
/// A URL of a bucket, HOST or HOST:PORT: keys that are bound to no server (those of the environment, the AWS
/// files, roles) go to it, from this clone, or outside of a repository from all of yours. Without a port
/// it is the usual one of https or http. AWS and this machine are trusted already.
#[derive(clap::Args)]
pub struct Args {
    /// Addresses of remotes, or servers
    #[arg(value_name = "URL|HOST[:PORT]", required_unless_present = "list")]
    names: Vec<String>,
    /// Speak plain http with these servers, also with keys
    #[arg(long)]
    insecure_http: bool,
    /// List what is accepted and trusted, and where that is recorded
    #[arg(long, conflicts_with_all = ["names", "insecure_http", "remove"])]
    list: bool,
    /// Take it back: upload to these remotes no more, or give these servers no keys
    #[arg(long, conflicts_with = "insecure_http")]
    remove: bool,
    /// Print one JSON document
    #[arg(long, requires = "list")]
    json: bool,
}

/// Runs `git lake trust`.
///
/// # Errors
/// If an argument is neither address nor server, or the record cannot be written.
pub fn run(context: &Context, args: &Args) -> super::Result {
    if args.list {
        return trusted::list(context, args.json);
    }
    if args.remove {
        return trusted::remove(context, &args.names);
    }
    let (addresses, names): (Vec<&String>, Vec<&String>) =
        args.names.iter().partition(|name| name.contains("://"));
    let parse = |name: &&String| trusted::parse_host(context, name);
    let hosts = names.iter().map(parse).collect::<Result<Vec<_>, Error>>()?;
    if addresses.is_empty() {
        return trust_hosts(context, &hosts, args.insecure_http);
    }
    let site = context.workspace()?;
    let parse = |text: &&String| parse_url(text, &context.folder, &site.hosts);
    let remotes = addresses.iter().map(parse).collect::<Result<Vec<_>, Error>>()?;
    for remote in &remotes {
        check(remote, args.insecure_http)?;
    }
    let urls: Vec<LakeUrl> = remotes.iter().map(|remote| remote.url.clone()).collect();
    urls.iter().for_each(|url| site.forgive(url));
    site.accepted()?.add(&urls)?;
    let mut config = ConfigFile::open(&gitconfig::repository_file(&site.repo))?;
    for remote in &remotes {
        let secure = if args.insecure_http { Some(false) } else { remote.options.secure };
        if let Some(server) = site.config.rewritten(&remote.url).server() {
            remember_server(&mut config, &server, secure, site.config.trust_loopback)?;
            if let Some(region) = &remote.options.region {
                config.set(&format!("lake.{server}.region"), region)?;
            }
        }
        context.ui.status(&format!("This clone uploads to `{}` from now on.", remote.url));
    }
    if hosts.is_empty() { Ok(Exit::Done) } else { trust_hosts(context, &hosts, args.insecure_http) }
}

fn check(remote: &TypedUrl, insecure_http: bool) -> Result<(), Error> {
    if remote.keys.is_some() {
        let text = "`git lake trust` takes an address without user and password: keys are typed in \
                    `git lake init URL`, or kept by `git credential approve`";
        return Err(Error::Usage(text.into()));
    }
    if insecure_http && remote.url.server().is_none() {
        return Err(Error::Usage("`--insecure-http` goes with a bucket or a server".into()));
    }
    Ok(())
}

/// Trusts servers in this clone, or outside of a repository everywhere.
fn trust_hosts(context: &Context, hosts: &[Host], insecure_http: bool) -> super::Result {
    let (path, place) = match Repo::discover(&context.folder) {
        Ok(repo) => (Some(gitconfig::repository_file(&repo)), "from this clone"),
        Err(repo::Error::NotARepository { .. }) => {
            (gitconfig::user_file(&Environment::read()), "from all your clones")
        }
        Err(error) => return Err(error.into()),
    };
    let path = path.ok_or_else(|| {
        Error::Refused("There is no home folder to find git's configuration in".into())
    })?;
    let mut config = ConfigFile::open(&path)?;
    for host in hosts {
        trust_once(&mut config, host)?;
        let over = if insecure_http { ", also over plain http" } else { "" };
        if insecure_http {
            config.set(&format!("lake.{host}.secure"), "false")?;
        }
        context.ui.status(&format!("Your keys may go to `{host}` {place}{over}."));
    }
    Ok(Exit::Done)
}

/// Records that the user named the server of a bucket: it is trusted, unless it is by itself, and
/// http is spoken with it if the user said so.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn remember_server(
    config: &mut ConfigFile,
    server: &Host,
    secure: Option<bool>,
    trust_loopback: bool,
) -> Result<(), Error> {
    let is_trusted = server.is_loopback() && trust_loopback;
    if aws_endpoint(&server.to_string()).is_none() && !is_trusted {
        trust_once(config, server)?;
    }
    let key = format!("lake.{server}.secure");
    match secure {
        Some(false) => config.set(&key, "false")?,
        Some(true) if config.get(&key)?.is_some() => config.set(&key, "true")?,
        Some(true) | None => {}
    }
    Ok(())
}

fn trust_once(config: &mut ConfigFile, host: &Host) -> Result<(), Error> {
    let is_same = |known: &String| Host::parse(known).is_ok_and(|known| known == *host);
    if !config.get_all(TRUSTED_HOST)?.iter().any(is_same) {
        config.add(TRUSTED_HOST, &host.to_string())?;
    }
    Ok(())
}
