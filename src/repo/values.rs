//! Reading git's settings, merged from all files, the environment and `git -c`.

use std::path::PathBuf;

use gix::bstr::ByteSlice as _;

use super::Repo;

/// Which of git's settings has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The clone's own.
    Clone,
    /// The user's.
    User,
    /// The system's.
    System,
    /// The environment, or `git -c`.
    Process,
}

impl Origin {
    /// Says whose they are.
    pub fn words(self) -> &'static str {
        match self {
            Self::Clone => "the clone's configuration",
            Self::User => "the user's configuration",
            Self::System => "the system's configuration",
            Self::Process => "the environment",
        }
    }
}

/// What `core.fsync` calls git's loose objects, alone and with others (git-config(1)).
const WITH_LOOSE_OBJECTS: [&str; 5] = ["loose-object", "objects", "committed", "added", "all"];

impl Repo {
    /// Returns true if git is to make each object that it writes durable before it goes on, by `core.fsync` or
    /// `core.fsyncObjectFiles`. By default it does not.
    pub fn syncs_objects(&self) -> bool {
        let asked = self.config_string("core.fsync").unwrap_or_default();
        // What is taken out with a minus is in again if anything else names it.
        let mut parts = asked.split([',', ' ']);
        parts.any(|part| WITH_LOOSE_OBJECTS.contains(&part))
            || self.config_bool("core.fsyncObjectFiles") == Some(true)
    }

    /// Returns the last value of a setting such as `lake.inbandLimit` or `lake.<name>.upload`.
    ///
    /// Bytes that are not UTF-8 are replaced; a setting without a value is the empty text.
    pub fn config_string(&self, key: &str) -> Option<String> {
        string(self.git.config_snapshot().plumbing(), key)
    }

    /// Returns the last value of a setting as git reads truth: `None` if absent or none of its words.
    pub fn config_bool(&self, key: &str) -> Option<bool> {
        self.git.config_snapshot().plumbing().boolean(key).ok()?
    }

    /// Returns the last value of a setting, and which settings have it.
    pub fn config_origin(&self, key: &str) -> Option<(String, Origin)> {
        use gix::config::Source;
        // Sections are looked at from the most important one on, up to the one that has the value.
        let mut last = None;
        let snapshot = self.git.config_snapshot();
        let value = snapshot.plumbing().string_implicit_filter(key, |section| {
            last = Some(section.source);
            true
        })?;
        let origin = match last? {
            Source::Local | Source::Worktree => Origin::Clone,
            Source::User | Source::Git => Origin::User,
            Source::System | Source::GitInstallation => Origin::System,
            Source::Env | Source::Cli | Source::Api | Source::EnvOverride => Origin::Process,
        };
        Some((value.map_or_else(String::new, |value| value.to_str_lossy().into_owned()), origin))
    }

    /// Returns all values of a setting, the least important first.
    pub fn config_strings(&self, key: &str) -> Vec<String> {
        strings(self.git.config_snapshot().plumbing(), key)
    }

    /// Returns the path that a setting names, with `~` and `%(prefix)` expanded, byte for byte.
    pub fn config_path(&self, key: &str) -> Option<PathBuf> {
        self.git.config_snapshot().trusted_path(key).ok()?
    }

    /// Returns the names for which a section has settings: `["a"]` for `lake.a.upload`. Sorted.
    pub fn config_subsections(&self, section: &str) -> Vec<String> {
        subsections(self.git.config_snapshot().plumbing(), section)
    }

    /// Returns the settings that a section has, as they are written: `lake.jobs`, `lake.a.upload`. Sorted.
    pub fn config_keys(&self, section: &str) -> Vec<String> {
        let snapshot = self.git.config_snapshot();
        let mut keys = Vec::new();
        for part in snapshot.plumbing().sections_by_name(section).into_iter().flatten() {
            let name = part.header().subsection_name().map(|name| format!("{name}."));
            let name = name.unwrap_or_default();
            keys.extend(part.value_names().map(|value| format!("{section}.{name}{value}")));
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// Returns the last value of a setting; empty if it stands there without one.
pub(super) fn string(settings: &gix::config::File, key: &str) -> Option<String> {
    let value = settings.string_implicit(key)?;
    Some(value.map_or_else(String::new, |value| value.to_str_lossy().into_owned()))
}

/// Returns all values of a setting, the least important first.
pub(super) fn strings(settings: &gix::config::File, key: &str) -> Vec<String> {
    let text = |value: gix::bstr::BString| value.to_str_lossy().into_owned();
    settings.strings(key).unwrap_or_default().into_iter().map(text).collect()
}

/// Returns the names for which a section has settings, sorted.
pub(super) fn subsections(settings: &gix::config::File, section: &str) -> Vec<String> {
    let sections = settings.sections_by_name(section);
    let mut names: Vec<String> = sections
        .into_iter()
        .flatten()
        .filter_map(|section| section.header().subsection_name().map(ToString::to_string))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
