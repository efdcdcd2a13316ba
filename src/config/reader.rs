//! Reading one key of git's configuration at a time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::file::Remote;
use super::patterns::Patterns;
use super::{Error, GitConfig, ServerOptions, Warnings};
use crate::lake_url::host::Host;
use crate::lake_url::typed::without_secrets;

const MAX_JOBS: usize = 256;
/// What S3 takes as parts.
const PART_SIZES: std::ops::RangeInclusive<u64> = 5 << 20..=5 << 30;
/// Longest timeout that can be asked for.
const MAX_SECONDS: u64 = 3600;

/// Reads keys of git's configuration and collects what is wrong with them.
pub(super) struct Reader<'a> {
    git: &'a dyn GitConfig,
    pub(super) warnings: Warnings,
}

impl<'a> Reader<'a> {
    pub(super) fn new(git: &'a dyn GitConfig) -> Self {
        Self { git, warnings: Vec::new() }
    }

    fn wrong<T>(&mut self, key: &str, value: String, expected: &'static str) -> Option<T> {
        self.warnings.push(Error::Value { key: key.to_owned(), value, expected });
        None
    }

    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        let value = self.git.string(key)?;
        match value.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" | "" => Some(false),
            _ => self.wrong(key, value, "true or false"),
        }
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &str,
        choices: &[(&str, T)],
        expected: &'static str,
    ) -> Option<T> {
        let value = self.git.string(key)?;
        match choices.iter().find(|choice| choice.0 == value) {
            Some(choice) => Some(choice.1),
            None => self.wrong(key, value, expected),
        }
    }

    /// A number of bytes, with git's suffixes `k`, `m` and `g`.
    pub(super) fn size(&mut self, key: &str) -> Option<u64> {
        let value = self.git.string(key)?;
        let lower = value.to_ascii_lowercase();
        let (digits, shift) = match lower.chars().last() {
            Some('k') => (&lower[..lower.len() - 1], 10),
            Some('m') => (&lower[..lower.len() - 1], 20),
            Some('g') => (&lower[..lower.len() - 1], 30),
            _ => (&*lower, 0),
        };
        let size = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
        size.or_else(|| self.wrong(key, value, "a number of bytes, or one with k, m or g"))
    }

    pub(super) fn jobs(&mut self) -> Option<usize> {
        let value = self.git.string("lake.jobs")?;
        let jobs = value.parse().ok().filter(|jobs| (1..=MAX_JOBS).contains(jobs));
        jobs.or_else(|| self.wrong("lake.jobs", value, "a number from 1 to 256"))
    }

    pub(super) fn min_copies(&mut self) -> Option<usize> {
        let value = self.git.string("lake.minCopies")?;
        let copies = value.parse().ok().filter(|copies| *copies >= 1);
        copies.or_else(|| self.wrong("lake.minCopies", value, "a number from 1 on"))
    }

    pub(super) fn storage(&mut self) -> Option<PathBuf> {
        let key = "lake.storage";
        let path = self.git.path(key).filter(|path| !path.as_os_str().is_empty())?;
        match path.is_absolute() {
            true => Some(path),
            false => self.wrong(key, path.display().to_string(), "an absolute path"),
        }
    }

    pub(super) fn part_size(&mut self) -> Option<u64> {
        let key = "lake.partSize";
        let size = self.size(key)?;
        match PART_SIZES.contains(&size) {
            true => Some(size),
            false => self.wrong(key, self.git.string(key)?, "a size from 5m to 5g"),
        }
    }

    pub(super) fn seconds(&mut self, key: &str) -> Option<Duration> {
        let value = self.git.string(key)?;
        let seconds = value.parse().ok().filter(|seconds| (1..=MAX_SECONDS).contains(seconds));
        seconds
            .map(Duration::from_secs)
            .or_else(|| self.wrong(key, value, "a number of seconds from 1 to 3600"))
    }

    pub(super) fn hosts(&mut self, key: &str) -> Vec<Host> {
        let mut hosts = Vec::new();
        for value in self.git.strings(key) {
            match Host::parse(value.trim()) {
                Ok(host) => hosts.push(host),
                Err(_) => drop(self.wrong::<()>(key, value, "a host with an optional port")),
            }
        }
        hosts
    }

    pub(super) fn server_options(&mut self) -> BTreeMap<String, ServerOptions> {
        let mut found = BTreeMap::new();
        for name in self.git.subsections("lake") {
            let key = |option: &str| format!("lake.{name}.{option}");
            let options = ServerOptions {
                secure: self.flag(&key("secure")),
                region: self.git.string(&key("region")).filter(|region| !region.is_empty()),
                profile: self.git.string(&key("profile")).filter(|profile| !profile.is_empty()),
            };
            if options != ServerOptions::default() {
                found.insert(name.to_ascii_lowercase(), options);
            }
        }
        found
    }

    pub(super) fn patterns(&mut self, key: &'static str) -> Option<Patterns> {
        let values = self.git.strings(key);
        let list = values.iter().flat_map(|value| value.split(',')).map(str::trim);
        let list: Vec<&str> = list.filter(|pattern| !pattern.is_empty()).collect();
        match Patterns::new(&list) {
            Ok(patterns) => Some(patterns),
            Err(source) => {
                self.warnings.push(Error::Pattern { key, source });
                None
            }
        }
    }

    /// Remotes that only this clone knows: `lake.<name>.url`, to read from.
    pub(super) fn configured_remotes(&mut self, known: &[Remote]) -> Vec<Remote> {
        let mut remotes = Vec::new();
        for name in self.git.subsections("lake") {
            let key = format!("lake.{name}.url");
            let Some(value) = self.git.string(&key) else {
                continue;
            };
            match crate::lake_url::LakeUrl::parse(&value) {
                Ok(url) if known.iter().any(|remote| remote.url == url) => {}
                Ok(url) => remotes.push(Remote { upload: false, ..Remote::new(name, url) }),
                Err(_) => {
                    let _: Option<()> = self.wrong(
                        &key,
                        without_secrets(&value).to_owned(),
                        "the address of a lake",
                    );
                }
            }
        }
        remotes
    }

    pub(super) fn instead_of(&self) -> Vec<(String, String)> {
        let pairs = self.git.subsections("url").into_iter().flat_map(|base| {
            let prefixes = self.git.strings(&format!("url.{base}.insteadOf"));
            prefixes.into_iter().map(move |prefix| (prefix, base.clone()))
        });
        pairs.collect()
    }
}
