//! What is in force: command line > environment > git config > `.gitlake.toml` > defaults.
//!
//! One [`Config`] is resolved once and passed down; nothing else reads settings. This module owns the
//! text of `.gitlake.toml` ([`mod@file`], [`edit`]) and the record of accepted remotes ([`accepted`]),
//! and decides which remotes a path's object goes to and comes from ([`routes`]), and how a server is
//! talked to and with which keys ([`hosts`]). `docs/settings.md` lists every key.

pub mod accepted;
pub mod edit;
pub mod env;
pub mod file;
pub mod hosts;
pub mod known;
pub mod patterns;
mod reader;
pub mod routes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use file::{Remote, Settings};
use patterns::{PatternError, Patterns};
use reader::Reader;

use crate::lake_url::host::Host;

/// Objects above this many bytes do not go through git's pipe where that can be avoided.
const DEFAULT_INBAND_LIMIT: u64 = 4 << 20;
/// Large objects go to a bucket in parts of this many bytes.
const DEFAULT_PART_SIZE: u64 = 8 << 20;

/// When uploads happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadAt {
    /// When git closes the pipe of an `add` or a commit.
    Add,
    /// At `git push` or `git lake push` only.
    Push,
}

/// What a checkout puts into the work tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkout {
    /// Content, large files when git closes the pipe.
    Fill,
    /// Content, all of it through git's pipe.
    InBand,
    /// Pointers, until `git lake pull`.
    Pointer,
}

/// Everything that is configurable, resolved.
#[derive(Debug, Clone)]
pub struct Config {
    /// The remotes in force with this clone's overrides, in order of preference for uploads.
    pub remotes: Vec<Remote>,
    /// More remotes to read from when those of a pointer and those in force do not help.
    pub fallbacks: Vec<Remote>,
    /// Names of remotes that are asked first.
    pub preferred: Vec<String>,
    /// `lake.upload`: `add` (default) or `push`.
    pub upload_at: UploadAt,
    /// `lake.checkout`, or `GIT_LAKE_SKIP_SMUDGE`.
    pub checkout: Checkout,
    /// `lake.inbandLimit`, in bytes.
    pub inband_limit: u64,
    /// `lake.strict`: a checkout fails when content cannot be had.
    pub strict: bool,
    /// `lake.fetchInclude`; `None` for all paths.
    pub fetch_include: Option<Patterns>,
    /// `lake.fetchExclude`.
    pub fetch_exclude: Patterns,
    /// `lake.jobs`: most transfers with one lake at once.
    pub jobs: Option<usize>,
    /// `lake.maxRate`: most bytes per second, all transfers together; `None` for any number.
    pub max_rate: Option<u64>,
    /// `lake.minCopies`: how many remotes must hold an object before it may go from here.
    pub min_copies: usize,
    /// `lake.storage`: a folder in which clones keep their objects together.
    pub storage: Option<PathBuf>,
    /// `lake.storageLimit`: most bytes that the store should hold; `None` for any number.
    pub storage_limit: Option<u64>,
    /// `lake.repair`: whether objects that a lake has lost are uploaded to it again.
    pub repair: bool,
    /// `lake.installHooks`: whether the filter may install the hooks.
    pub install_hooks: bool,
    /// git's `url.<base>.insteadOf`: (prefix, base) pairs.
    pub instead_of: Vec<(String, String)>,
    /// `lake.trustedHost`: servers that may have keys that are bound to none.
    pub trusted_hosts: Vec<Host>,
    /// `lake.trustLoopback`: whether loopback addresses count as trusted.
    pub trust_loopback: bool,
    /// `lake.instanceRole`: whether trusted servers other than AWS may have the machine's role.
    pub instance_role: bool,
    /// `lake.partSize`, in bytes.
    pub part_size: u64,
    /// `lake.connectTimeout`: how long a connection to a server may take to be made.
    pub connect_timeout: Option<Duration>,
    /// `lake.stallTimeout`: how long nothing may arrive from a server.
    pub stall_timeout: Option<Duration>,
    /// `lake.<name>.secure|region|profile` and `lake.<host:port>.secure|region|profile`: this
    /// user's own options, by name in lower case. Those in the settings stay in [`Self::remotes`].
    pub server_options: BTreeMap<String, ServerOptions>,
}

/// What git's configuration says about one remote, or one server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerOptions {
    /// Whether https is used.
    pub secure: Option<bool>,
    /// The region that requests are signed for.
    pub region: Option<String>,
    /// The profile of the AWS files that has the keys.
    pub profile: Option<String>,
}

/// Says what is wrong with a key in git's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value that the key cannot have.
    #[error("git config `{key}` is `{value}`; it should be {expected}")]
    Value {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A bad pattern.
    #[error("git config `{key}`: {source}")]
    Pattern {
        /// The key.
        key: &'static str,
        /// Why.
        source: PatternError,
    },
}

/// git's configuration, as far as git-lake asks for it.
pub trait GitConfig {
    /// Returns the last value of a key such as `lake.jobs`.
    fn string(&self, key: &str) -> Option<String>;
    /// Returns the path that a key names, with `~` expanded.
    fn path(&self, key: &str) -> Option<PathBuf>;
    /// Returns all values of a key.
    fn strings(&self, key: &str) -> Vec<String>;
    /// Returns the names of subsections, as `team` in `lake.team.upload`.
    fn subsections(&self, section: &str) -> Vec<String>;
}

/// What was wrong, when configuration is read so that nothing is fatal.
pub type Warnings = Vec<Error>;

impl Config {
    /// Resolves what is in force; wrong values are passed over and returned as warnings.
    ///
    /// Commands make the first warning an error; the filter and hooks print them.
    pub fn resolve(settings: &Settings, git: &dyn GitConfig) -> (Self, Warnings) {
        let mut reader = Reader::new(git);
        let mut remotes = settings.remotes.clone();
        let mut preferred = Vec::new();
        remotes.retain(|remote| {
            !reader.flag(&format!("lake.{}.ignore", remote.name)).unwrap_or(false)
        });
        for remote in &mut remotes {
            let key = |option: &str| format!("lake.{}.{option}", remote.name);
            remote.upload = reader.flag(&key("upload")).unwrap_or(remote.upload);
            if reader.flag(&key("prefer")).unwrap_or(false) {
                preferred.push(remote.name.clone());
            }
        }
        let skip = env::is_on("GIT_LAKE_SKIP_SMUDGE");
        let ways = [("pointer", Checkout::Pointer), ("inband", Checkout::InBand)];
        let checkout = reader.choice("lake.checkout", &ways, "`inband` or `pointer`");
        let times = [("push", UploadAt::Push), ("add", UploadAt::Add)];
        let upload_at = reader.choice("lake.upload", &times, "`add` or `push`");
        let include = reader.patterns("lake.fetchInclude").filter(|list| !list.is_empty());
        let config = Self {
            fallbacks: reader.configured_remotes(&remotes),
            remotes,
            preferred,
            upload_at: upload_at.unwrap_or(UploadAt::Add),
            checkout: if skip { Checkout::Pointer } else { checkout.unwrap_or(Checkout::Fill) },
            inband_limit: reader.size("lake.inbandLimit").unwrap_or(DEFAULT_INBAND_LIMIT),
            strict: reader.flag("lake.strict").unwrap_or(false),
            fetch_include: include,
            fetch_exclude: reader.patterns("lake.fetchExclude").unwrap_or_default(),
            jobs: reader.jobs(),
            max_rate: reader.size("lake.maxRate").filter(|rate| *rate > 0),
            min_copies: reader.min_copies().unwrap_or(1),
            storage: reader.storage(),
            storage_limit: reader.size("lake.storageLimit").filter(|limit| *limit > 0),
            repair: reader.flag("lake.repair").unwrap_or(false),
            install_hooks: reader.flag("lake.installHooks").unwrap_or(true),
            instead_of: reader.instead_of(),
            trusted_hosts: reader.hosts("lake.trustedHost"),
            trust_loopback: reader.flag("lake.trustLoopback").unwrap_or(true),
            instance_role: reader.flag("lake.instanceRole").unwrap_or(false),
            part_size: reader.part_size().unwrap_or(DEFAULT_PART_SIZE),
            connect_timeout: reader.seconds("lake.connectTimeout"),
            stall_timeout: reader.seconds("lake.stallTimeout"),
            server_options: reader.server_options(),
        };
        (config, reader.warnings)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// git's configuration as a map, for tests.
    #[derive(Default)]
    pub(crate) struct FakeGit(pub(crate) BTreeMap<&'static str, &'static str>);

    impl GitConfig for FakeGit {
        fn string(&self, key: &str) -> Option<String> {
            self.0.get(key).map(|value| (*value).to_owned())
        }

        fn path(&self, key: &str) -> Option<PathBuf> {
            self.string(key).map(PathBuf::from)
        }

        fn strings(&self, key: &str) -> Vec<String> {
            self.string(key).iter().flat_map(|text| text.lines()).map(str::to_owned).collect()
        }

        fn subsections(&self, section: &str) -> Vec<String> {
            let names = self.0.keys().filter_map(|key| {
                let (first, rest) = key.split_once('.')?;
                let (name, _) = rest.rsplit_once('.')?;
                (first == section).then(|| name.to_owned())
            });
            let mut names: Vec<String> = names.collect();
            names.dedup();
            names
        }
    }

    pub(crate) fn resolve(toml: &str, git: &[(&'static str, &'static str)]) -> (Config, Warnings) {
        let settings = Settings::parse(toml, file::Unknown::Refuse).expect("good settings");
        Config::resolve(&settings, &FakeGit(git.iter().copied().collect()))
    }

    #[test]
    fn a_clone_overrides_the_committed_settings() {
        let toml = "version = 1\n[[remote]]\nname = \"a\"\nurl = \"file:///a\"\n[[remote]]\nname = \"b\"\nurl = \"file:///b\"\n";
        let (config, warnings) = resolve(
            toml,
            &[
                ("lake.a.ignore", "true"),
                ("lake.b.upload", "no"),
                ("lake.b.prefer", "1"),
                ("lake.old.url", "file:///old"),
            ],
        );
        assert_eq!(warnings, []);
        assert_eq!(config.remotes.len(), 1);
        assert!(!config.remotes[0].upload);
        assert_eq!(config.preferred, ["b"]);
        assert_eq!(config.fallbacks.len(), 1);
        assert!(!config.fallbacks[0].upload, "it is only read from");
    }

    #[test]
    fn wrong_values_are_warnings_and_defaults_hold() {
        let (config, warnings) = resolve(
            "version = 1\n",
            &[
                ("lake.jobs", "0"),
                ("lake.inbandLimit", "2x"),
                ("lake.upload", "later"),
                ("lake.strict", "maybe"),
            ],
        );
        let texts: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), 4, "{texts:?}");
        assert!(texts.contains(
            &"git config `lake.jobs` is `0`; it should be a number from 1 to 256".to_owned()
        ));
        assert_eq!((config.jobs, config.inband_limit), (None, DEFAULT_INBAND_LIMIT));
        assert!(!config.strict && config.upload_at == UploadAt::Add);
    }

    #[test]
    fn servers_and_parts_are_read() {
        let (config, warnings) = resolve(
            "version = 1\n",
            &[
                ("lake.trustedHost", "Minio.example.com:9000\nb a d"),
                ("lake.trustLoopback", "false"),
                ("lake.partSize", "16m"),
                ("lake.stallTimeout", "90"),
                ("lake.connectTimeout", "0"),
                ("lake.minio.example.com:9000.secure", "false"),
                ("lake.minio.example.com:9000.profile", "lab"),
            ],
        );
        assert_eq!(config.trusted_hosts, [Host::parse("minio.example.com:9000").expect("a host")]);
        assert_eq!((config.trust_loopback, config.part_size), (false, 16 << 20));
        let options = &config.server_options["minio.example.com:9000"];
        assert_eq!((options.secure, options.profile.as_deref()), (Some(false), Some("lab")));
        assert_eq!(
            warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "git config `lake.trustedHost` is `b a d`; it should be a host with an optional port",
                "git config `lake.connectTimeout` is `0`; it should be a number of seconds from 1 to 3600"
            ]
        );
        assert_eq!(config.stall_timeout, Some(Duration::from_secs(90)));
        assert_eq!(config.connect_timeout, None);
        for (size, said) in [("4m", "a size from 5m to 5g"), ("6g", "a size from 5m to 5g")] {
            let (config, warnings) = resolve("version = 1\n", &[("lake.partSize", size)]);
            assert_eq!(config.part_size, DEFAULT_PART_SIZE);
            assert!(warnings[0].to_string().ends_with(said), "{warnings:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_without_its_secrets() {
        let git = [("lake.a.url", "s3://id:canary@h:9000/b?secure=false")];
        let (_, warnings) = resolve("version = 1\n", &git);
        assert_eq!(
            warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["git config `lake.a.url` is `h:9000/b`; it should be the address of a lake"]
        );
    }

    #[test]
    fn sizes_take_gits_suffixes() {
        let (config, _) = resolve(
            "version = 1\n",
            &[
                ("lake.inbandLimit", "2M"),
                ("lake.maxRate", "500k"),
                ("url.file:///new/.insteadOf", "file:///old/"),
            ],
        );
        assert_eq!((config.inband_limit, config.max_rate), (2 << 20, Some(500 << 10)));
        assert_eq!(resolve("version = 1\n", &[("lake.maxRate", "0")]).0.max_rate, None);
        assert_eq!(config.instead_of, [("file:///old/".to_owned(), "file:///new/".to_owned())]);
    }
}
