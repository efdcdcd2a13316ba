//! The lakes that the settings or pointers name: how they are, and with which keys they are asked.

use std::collections::BTreeMap;
use std::path::Path;

use crate::access::{KeySource, Withheld};
use crate::config::accepted::Accepted;
use crate::doctor::Error;
use crate::fs::{Shared, platform, stage};
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::sources::tally;
use crate::transfer::measure::Measured;
use crate::transfer::report::with_causes;
use crate::workspace::Workspace;

/// All lakes, asked once.
#[derive(Debug, Default)]
pub struct Lakes {
    /// Each of them: remotes in their order, then others.
    pub lakes: Vec<Lake>,
    /// The servers of buckets among them, each once.
    pub servers: Vec<Server>,
    /// `lake.jobs`.
    pub jobs: Option<usize>,
}

/// One lake.
#[derive(Debug)]
pub struct Lake {
    /// Its address.
    pub url: LakeUrl,
    /// The name of its remote; `None` if only pointers name it.
    pub name: Option<String>,
    /// Whether the settings want uploads there, and this clone has not accepted it.
    pub waits_for_consent: bool,
    /// How it is, or why it cannot be reached.
    pub measured: Result<Measured, String>,
    /// Whether the store shares blocks with it; `None` for a bucket, or if that was not tried.
    pub shares_blocks: Option<bool>,
}

/// One server of buckets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Server {
    /// Its name, with a port.
    pub host: String,
    /// Where keys come from: the first of these that has some.
    pub sources: Vec<String>,
    /// Whether the last of them has some; of others that is known when they are asked.
    pub has_keys: bool,
    /// Where none were found.
    pub looked_at: Vec<String>,
    /// Why it does not get keys that may be there.
    pub withheld: Option<Withheld>,
}

impl Lakes {
    /// Asks all lakes at once, those that were given up, too. Writes nothing to them.
    ///
    /// # Errors
    /// If the repository or the local state cannot be read.
    pub fn gather(site: &Workspace) -> Result<Self, Error> {
        let accepted = Accepted::load(site.store.root())?;
        let index = site.repo.index()?;
        let mut tallies = tally::of_index(site, &index)?.lakes;
        let remotes = site.config.remotes.iter().chain(&site.config.fallbacks);
        let mut named: Vec<(LakeUrl, Option<&str>, bool)> = Vec::new();
        for remote in remotes {
            let is_new = !accepted.is_first_use() && !accepted.contains(&remote.url);
            named.push((remote.url.clone(), Some(&remote.name), remote.upload && is_new));
        }
        let mut samples: Vec<Option<SourceUrl>> = Vec::new();
        for (url, ..) in &named {
            samples.push(tallies.remove(url).and_then(|tally| tally.sample).map(|it| it.0));
        }
        for (url, tally) in tallies {
            named.push((url, None, false));
            samples.push(tally.sample.map(|it| it.0));
        }
        let asked: Vec<_> =
            named.iter().map(|it| it.0.clone()).zip(samples.iter().cloned()).collect();
        site.insist();
        let measured = site.transfer().measure_all(&asked);
        let mut found = Self { jobs: site.config.jobs, ..Self::default() };
        let mut servers: BTreeMap<String, Server> = BTreeMap::new();
        for (((url, name, waits_for_consent), sample), measured) in
            named.into_iter().zip(samples).zip(measured)
        {
            let location = site.reach.location(&url);
            if let Some(host) = location.server().map(|host| host.to_string()) {
                servers.entry(host.clone()).or_insert_with(|| server(site, &location, host));
            }
            let is_there = measured.is_ok();
            let object = sample
                .filter(|_| is_there)
                .and_then(|sample| Some(location.folder()?.join(sample.name.to_string())));
            found.lakes.push(Lake {
                url,
                name: name.map(str::to_owned),
                waits_for_consent,
                measured: measured.map_err(|error| with_causes(&error)),
                shares_blocks: object.and_then(|object| shares_blocks(site, &object)),
            });
        }
        found.servers = servers.into_values().collect();
        Ok(found)
    }
}

/// Finds out with which keys a server is asked, without asking it.
fn server(site: &Workspace, location: &LakeUrl, host: String) -> Server {
    let access = site.hosts.access_to(location);
    let mut server = Server {
        host,
        looked_at: access.looked_at,
        withheld: access.withheld,
        ..Server::default()
    };
    for source in &access.sources {
        server.has_keys = match source {
            KeySource::Known { .. } => true,
            KeySource::Helper(helper) => {
                if helper.fill().is_none() {
                    server.looked_at.push(source.describe());
                    continue;
                }
                true
            }
            KeySource::Profile { .. }
            | KeySource::WebIdentity
            | KeySource::Container
            | KeySource::Instance => false,
        };
        server.sources.push(source.describe());
        if server.has_keys {
            break;
        }
    }
    server
}

/// Tries it with an object of the lake, which is only read, and a file where objects are staged.
fn shares_blocks(site: &Workspace, object: &Path) -> Option<bool> {
    let source = platform::open_regular(object).ok()?;
    let target = stage(site.store.tmp_folder().ok()?, Shared::No).ok()?;
    Some(platform::shares_blocks(&source, target.as_file()))
}
