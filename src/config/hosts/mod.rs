//! How the server of a bucket is talked to, and which keys it may have.
//!
//! Settings in a repository can name any server, so keys that are bound to none (the environment, the
//! AWS files, roles) go only to S3's own names at AWS, to loopback, and to servers that the user
//! trusts. Nor may settings turn keys from https to plain http. `docs/lake.md` has the rules.
//!
//! Nothing is read before the first bucket is asked for. The decision itself is pure.

use std::sync::{Arc, Mutex, OnceLock};

mod mc;
mod surroundings;
#[cfg(test)]
mod tests;

pub use mc::Alias;
pub use surroundings::Surroundings;

use super::file::Remote;
use super::{Config, ServerOptions};
use crate::access::{Access, CredentialHelper, KeySource, Keys, Withheld};
use crate::lake_url::LakeUrl;
use crate::lake_url::host::{AwsEndpoint, Host, aws_endpoint};
use crate::lake_url::typed::{self, TypedUrl};

/// Makes git's credential helper for a server; the second argument is true for plain http.
pub type HelperFactory = dyn Fn(&Host, bool) -> Arc<dyn CredentialHelper> + Send + Sync;

/// Decides for one process in one clone; threads may share it.
pub struct Hosts {
    config: Config,
    helpers: Option<Box<HelperFactory>>,
    surroundings: OnceLock<Surroundings>,
    said: Mutex<Said>,
}

/// What became known after the settings were resolved.
#[derive(Default)]
struct Said {
    typed: Vec<TypedUrl>,
    remotes: Vec<Remote>,
}

impl Hosts {
    /// Decides by these settings; without `helpers`, git is not asked for keys.
    pub fn new(config: Config, helpers: Option<Box<HelperFactory>>) -> Self {
        Self { config, helpers, surroundings: OnceLock::new(), said: Mutex::default() }
    }

    /// Hears an address that the user typed on the command line of this process: its keys and
    /// options win over all others, and its server is trusted.
    pub fn hear(&self, typed: &TypedUrl) {
        self.said().typed.push(typed.clone());
    }

    /// Hears of remotes that are not in the resolved settings; their options count like those.
    pub fn learn(&self, remotes: &[Remote]) {
        self.said().remotes.extend_from_slice(remotes);
    }

    /// Returns what stands around the program, reading it at the first call.
    pub fn surroundings(&self) -> &Surroundings {
        self.surroundings.get_or_init(Surroundings::read)
    }

    /// Returns how the server of a bucket is talked to. `location` is where the lake is found: after
    /// git's `insteadOf`. Reads files at the first call; asks no helper and no server.
    pub fn access_to(&self, location: &LakeUrl) -> Access {
        let around = self.surroundings();
        let said = self.said();
        let decision = Decision {
            config: &self.config,
            remotes: self.config.remotes.iter().chain(&self.config.fallbacks).chain(&said.remotes),
            around,
            typed: &said.typed,
            helpers: self.helpers.as_deref(),
        };
        decision.access_to(location)
    }

    /// Hands keys to git's credential helper, after the server accepted them. Returns false if it does
    /// not have them afterwards: there is none, or it cannot keep keys that expire.
    pub fn keep(&self, location: &LakeUrl, keys: &Keys) -> bool {
        let plain_http = self.access_to(location).plain_http;
        let (Some(helpers), Some(server)) = (&self.helpers, location.server()) else {
            return false;
        };
        let helper = helpers(&server, plain_http);
        helper.approve(keys);
        helper.fill().is_some_and(|kept| kept == *keys)
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.said.lock().expect("no holder panics")
    }
}

/// All that a decision rests on.
struct Decision<'a, R> {
    config: &'a Config,
    remotes: R,
    around: &'a Surroundings,
    typed: &'a [TypedUrl],
    helpers: Option<&'a HelperFactory>,
}

/// What is known of the server in question.
struct Server {
    host: Host,
    aws: Option<AwsEndpoint>,
    /// What was typed for it, best first.
    typed: Vec<TypedUrl>,
    /// The user's own options, best first, and whether they are bound to the server.
    own: Vec<(ServerOptions, Bound)>,
    /// The remotes of the settings at this server, best first.
    remotes: Vec<Remote>,
    is_endpoint: bool,
}

impl Server {
    /// Returns the keys that were typed for it.
    fn typed_keys(&self) -> Option<Keys> {
        self.typed.iter().find_map(|typed| typed.keys.clone())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    ToServer,
    ToName,
}

impl<'a, R: Iterator<Item = &'a Remote> + Clone> Decision<'a, R> {
    fn access_to(&self, location: &LakeUrl) -> Access {
        let Some(server) = self.server(location) else {
            return Access::default();
        };
        let (plain_http, is_own) = self.plain_http(&server);
        let mut access = Access {
            plain_http,
            region: self.region(&server),
            ca_bundle: self.around.ca_bundle.clone(),
            ..Access::default()
        };
        if plain_http && !is_own && !server.host.is_loopback() {
            access.withheld = Some(Withheld::PlainHttp);
            return access;
        }
        let is_trusted = self.is_trusted(&server, plain_http);
        let sources = self.sources(&server, plain_http);
        let count = sources.len();
        let allowed =
            sources.into_iter().filter(|(_, bound)| is_trusted || *bound == Bound::ToServer);
        access.sources = allowed.map(|(source, _)| source).collect();
        access.is_exclusive = server.typed_keys().is_some();
        if access.sources.len() < count {
            access.withheld = Some(Withheld::Untrusted);
        }
        access.looked_at.clone_from(&self.around.looked_at);
        access.looked_at.extend(self.half_aliases(&server, plain_http));
        access
    }

    fn server(&self, location: &LakeUrl) -> Option<Server> {
        let host = location.server()?;
        let found =
            |remote: &&Remote| self.config.rewritten(&remote.url).server().as_ref() == Some(&host);
        let mut remotes: Vec<Remote> = self.remotes.clone().filter(found).cloned().collect();
        remotes.sort_by_key(|remote| self.config.rewritten(&remote.url) != *location);
        let on_host = self
            .typed
            .iter()
            .rev()
            .filter(|typed| self.config.rewritten(&typed.url).server().as_ref() == Some(&host));
        let mut typed: Vec<TypedUrl> = on_host.cloned().collect();
        typed.sort_by_key(|typed| self.config.rewritten(&typed.url) != *location);
        let options = |name: &str| self.config.server_options.get(name).cloned();
        let by_name = remotes.iter().filter_map(|remote| options(&remote.name));
        let mut own: Vec<_> = by_name.map(|options| (options, Bound::ToName)).collect();
        let by_host = host.to_string();
        // A remote may be called like a host without a port; its options are bound to nothing.
        let is_name = self.remotes.clone().any(|remote| remote.name == by_host);
        if !is_name {
            own.extend(options(&by_host).map(|options| (options, Bound::ToServer)));
        }
        let is_endpoint =
            self.around.aws.endpoint.as_ref().is_some_and(|e| e.host.is_same(&host, e.plain_http));
        Some(Server { aws: aws_endpoint(location.host()), host, typed, own, remotes, is_endpoint })
    }

    /// Returns whether plain http is spoken, and whether the user said so and not only the settings.
    fn plain_http(&self, server: &Server) -> (bool, bool) {
        let typed = server.typed.iter().find_map(|typed| typed.options.secure);
        let own = server.own.iter().find_map(|(options, _)| options.secure);
        let endpoint = self.around.aws.endpoint.as_ref().filter(|_| server.is_endpoint);
        let around = endpoint.map(|endpoint| !endpoint.plain_http);
        match (typed.or(own), server.remotes.iter().find_map(|remote| remote.secure)) {
            (Some(secure), _) => (!secure, true),
            (None, Some(secure)) => (!secure, around == Some(secure)),
            (None, None) => (around == Some(false), true),
        }
    }

    fn region(&self, server: &Server) -> Option<String> {
        let typed = server.typed.iter().find_map(|typed| typed.options.region.clone());
        let own = || server.own.iter().find_map(|(options, _)| options.region.clone());
        let settings = || server.remotes.iter().find_map(|remote| remote.region.clone());
        let known = typed.or_else(own).or_else(settings).filter(|region| typed::is_region(region));
        known.or_else(|| match &server.aws {
            Some(aws) => aws.region.clone(),
            None => self.around.aws.region.clone(),
        })
    }

    /// Returns whether the server may have keys that are bound to none.
    fn is_trusted(&self, server: &Server, plain_http: bool) -> bool {
        let named = self.config.trusted_hosts.iter().chain(&self.around.trusted);
        let endpoint = self.around.aws.endpoint.as_ref().is_some_and(|endpoint| {
            endpoint.host.name() == server.host.name()
                && endpoint.host.effective_port(endpoint.plain_http)
                    == server.host.effective_port(plain_http)
        });
        !server.typed.is_empty()
            || server.aws.is_some() && !plain_http
            || endpoint
            || server.host.is_loopback() && self.config.trust_loopback
            || named.into_iter().any(|host| host.is_same(&server.host, plain_http))
    }

    /// Returns where keys may come from, in order, whether the server may have them or not.
    fn sources(&self, server: &Server, plain_http: bool) -> Vec<(KeySource, Bound)> {
        let mut sources = Vec::new();
        if let Some(keys) = server.typed_keys() {
            // Whoever types keys means these; the others would only hide that they are wrong.
            let origin = "the address".to_owned();
            return vec![(KeySource::Known { origin, keys }, Bound::ToServer)];
        }
        let helper = self.helpers.map(|helpers| helpers(&server.host, plain_http));
        sources.extend(helper.map(|helper| (KeySource::Helper(helper), Bound::ToServer)));
        sources.extend(server.own.iter().filter_map(|(options, bound)| {
            Some((KeySource::Profile { name: Some(options.profile.clone()?) }, *bound))
        }));
        let around = self.around;
        let is_role_for = server.aws.is_some() || self.config.instance_role;
        let ambient = [
            (around.has_profiles, KeySource::Profile { name: None }),
            (around.has_web_identity, KeySource::WebIdentity),
            (around.has_container, KeySource::Container),
            (is_role_for && !around.is_metadata_disabled, KeySource::Instance),
        ];
        let ambient = ambient.into_iter().filter(|(is_there, _)| *is_there);
        let ambient = around.keys.iter().cloned().chain(ambient.map(|(_, source)| source));
        sources.extend(ambient.map(|source| (source, Bound::ToName)));
        sources.extend(self.alias(server, plain_http));
        sources
    }

    /// Returns the keys that MinIO's client has for the server, else those that it has for any.
    fn alias(&self, server: &Server, plain_http: bool) -> Option<(KeySource, Bound)> {
        let complete = || self.around.aliases.iter().filter(|alias| alias.keys.is_some());
        let own = complete().find(|alias| alias.is_of(&server.host, plain_http));
        let any = || complete().find(|alias| alias.name == self.around.default_alias);
        let bound = if own.is_some() { Bound::ToServer } else { Bound::ToName };
        let alias = own.or_else(any)?;
        Some((KeySource::Known { origin: alias.describe(), keys: alias.keys.clone()? }, bound))
    }

    /// Names the aliases that would have been taken if they had both keys.
    fn half_aliases(&self, server: &Server, plain_http: bool) -> impl Iterator<Item = String> {
        let aliases = self.around.aliases.iter().filter(|alias| alias.keys.is_none());
        let wanted = aliases.filter(move |alias| {
            alias.is_of(&server.host, plain_http) || alias.name == self.around.default_alias
        });
        wanted.map(|alias| format!("{}, which lacks a key", alias.describe()))
    }
}
