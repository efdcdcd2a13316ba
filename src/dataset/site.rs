//! What datasets are worked on with, outside of any repository: git's settings where there are any,
//! servers, lakes and transfers.
//!
//! What transfers keep of their own (receipts, objects) lives in a temporary folder for one run: a
//! dataset has no place for it, and the next run asks the lakes.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use crate::config::file::Settings;
use crate::config::hosts::Hosts;
use crate::config::{self, Config, GitConfig};
use crate::fs::{IoContext as _, PathError};
use crate::lake::s3::Forgetful;
use crate::repo::Repo;
use crate::repo::credential::Helpers;
use crate::repo::user_config::UserConfig;
use crate::store::Store;
use crate::store::receipts::Receipts;
use crate::transfer::lakes::Lakes;
use crate::transfer::rate::Throttle;
use crate::transfer::reach::Reach;
use crate::transfer::report::{Activity, Reporter};
use crate::transfer::{Cancel, Transfer, retry};

/// What a command has at hand for datasets.
pub struct Site {
    /// What git's settings say.
    pub config: Config,
    /// How servers are talked to, and with which keys.
    pub hosts: Arc<Hosts>,
    /// Who hears about progress.
    pub reporter: Arc<dyn Reporter>,
    pub(super) transfer: Transfer,
    /// How lakes are opened.
    pub reach: Arc<Reach>,
    folder: TempDir,
}

impl GitConfig for UserConfig {
    fn path(&self, key: &str) -> Option<PathBuf> {
        // Only the store of a clone is named by a path, and there is none here.
        self.string(key).map(PathBuf::from)
    }

    fn string(&self, key: &str) -> Option<String> {
        self.string(key)
    }

    fn strings(&self, key: &str) -> Vec<String> {
        self.strings(key)
    }

    fn subsections(&self, section: &str) -> Vec<String> {
        self.subsections(section)
    }
}

impl Site {
    /// Prepares to work, with git's settings as they are in `folder`; contacts nobody.
    ///
    /// In a repository its own settings count, too, as for git; `.gitlake.toml` does not.
    ///
    /// # Errors
    /// If a setting cannot have its value, or there is no room for temporary files.
    pub fn open(
        folder: &Path,
        jobs: Option<usize>,
        reporter: Arc<dyn Reporter>,
        cancel: Cancel,
    ) -> Result<Self, super::Error> {
        // One that git would not use either has no say.
        let repo = Repo::discover(folder).ok();
        let helpers = repo.as_ref().map_or_else(|| Helpers::at(folder), Helpers::of);
        Self::with(repo.as_ref(), helpers, &Settings::default(), jobs, reporter, cancel)
    }

    /// Prepares to work on what a repository holds, with its settings and these.
    ///
    /// # Errors
    /// As [`Site::open`].
    pub fn of_repo(
        repo: &Repo,
        settings: &Settings,
        jobs: Option<usize>,
        reporter: Arc<dyn Reporter>,
        cancel: Cancel,
    ) -> Result<Self, super::Error> {
        Self::with(Some(repo), Helpers::of(repo), settings, jobs, reporter, cancel)
    }

    fn with(
        repo: Option<&Repo>,
        helpers: Helpers,
        settings: &Settings,
        jobs: Option<usize>,
        reporter: Arc<dyn Reporter>,
        cancel: Cancel,
    ) -> Result<Self, super::Error> {
        let (mut config, wrong) = match repo {
            Some(repo) => Config::resolve(settings, repo),
            None => Config::resolve(settings, &UserConfig::read()),
        };
        wrong.into_iter().next().map_or(Ok(()), |wrong: config::Error| Err(wrong))?;
        config.jobs = jobs.or(config.jobs);
        let helpers = move |host: &_, plain_http| helpers.server(host, plain_http);
        let hosts = Arc::new(Hosts::new(config.clone(), Some(Box::new(helpers))));
        let reach = Reach::new(&config, &hosts, Arc::new(Forgetful), &cancel);
        let opening = Arc::clone(&reach);
        let folder = tempfile::Builder::new().prefix("git-lake-").tempdir();
        let folder = folder.context(std::env::temp_dir())?;
        let store = Store::at(folder.path());
        let transfer = Transfer {
            receipts: Arc::new(Receipts::at(store.root())),
            store: Arc::new(store),
            lakes: Arc::new(Lakes::new(Box::new(move |url| opening.open(url)))),
            reporter: Arc::new(Part(Arc::clone(&reporter))),
            cancel,
            jobs: config.jobs,
            retry: retry::Policy::default(),
            throttle: config.max_rate.map(Throttle::new),
            repairs: Arc::default(),
        };
        Ok(Self { config, hosts, reporter, transfer, reach, folder })
    }

    /// Returns true once somebody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.transfer.cancel.is_cancelled()
    }

    /// Returns a temporary folder that is there as long as this value.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a temporary folder, which is removed with the value.
    pub(super) fn temporary(&self) -> Result<TempDir, PathError> {
        tempfile::tempdir_in(self.folder.path()).context(self.folder.path())
    }
}

/// Tells of a part of what is moving: how much there is, and when it ends, is said for the whole.
struct Part(Arc<dyn Reporter>);

impl Reporter for Part {
    fn expect(&self, _: Activity, _: u64, _: u64) {}

    fn expect_unsized(&self, _: Activity, _: u64) {}

    fn sized(&self, objects: u64, bytes: u64) {
        self.0.sized(objects, bytes);
    }

    fn moved(&self, bytes: u64) {
        self.0.moved(bytes);
    }

    fn finished_object(&self) {
        self.0.finished_object();
    }

    fn hashed(&self, files: u64, bytes: u64) {
        self.0.hashed(files, bytes);
    }

    fn asks(&self, objects: u64) {
        self.0.asks(objects);
    }

    fn answered(&self, objects: u64) {
        self.0.answered(objects);
    }

    fn end(&self) {}

    fn pause(&self) {
        self.0.pause();
    }

    fn resume(&self) {
        self.0.resume();
    }

    fn warn(&self, text: &str) {
        self.0.warn(text);
    }
}
