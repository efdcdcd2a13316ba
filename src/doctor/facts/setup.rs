//! Programs, git's configuration and hooks.

use crate::config::known::{self, UnknownKey};
use crate::doctor::Error;
use crate::repo::hooks::{self, Hook, HookState};
use crate::repo::process::{self, Git};
use crate::repo::{Environment, Origin, filter_config, git_version};
use crate::workspace::Workspace;

/// How the clone is set up.
#[derive(Debug)]
pub struct Setup {
    /// What `git --version` says, or why git cannot be asked, or that it is too old.
    pub git: Result<String, String>,
    /// Whether git finds the program by its name.
    pub is_on_path: bool,
    /// What git has to be told, and what it is told.
    pub filter: Vec<FilterKey>,
    /// Keys `lake.…` of git's configuration that nothing reads.
    pub unknown: Vec<UnknownKey>,
    /// The hooks; none in a bare repository, which nobody pushes from.
    pub hooks: Vec<HookState>,
    /// `lake.installHooks`.
    pub installs_hooks: bool,
}

/// A key of git's configuration that git-lake needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterKey {
    /// The key.
    pub key: &'static str,
    /// What git-lake would write.
    pub expected: &'static str,
    /// What counts, and where it comes from.
    pub found: Option<(String, Origin)>,
}

impl Setup {
    pub(super) fn look(site: &Workspace) -> Result<Self, Error> {
        let environment = Environment::read();
        let git = Git::of(&site.repo).map_err(Into::into).and_then(|git| git_version::check(&git));
        let filter = filter_config::KEYS.into_iter().map(|(key, expected)| FilterKey {
            key,
            expected,
            found: site.repo.config_origin(key),
        });
        let has_hooks = site.repo.work_tree().is_some();
        let hooks = Hook::ALL.into_iter().filter(|_| has_hooks);
        Ok(Self {
            git: git.map_err(|error| error.to_string()),
            is_on_path: process::program(&environment, "git-lake").is_some(),
            filter: filter.collect(),
            unknown: known::unknown(site.repo.config_keys("lake")),
            hooks: hooks.map(|hook| hooks::state(&site.repo, hook)).collect::<Result<_, _>>()?,
            installs_hooks: site.config.install_hooks,
        })
    }
}
