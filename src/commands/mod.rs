//! One verb, one file: the order of steps, no algorithms.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::file::{SettingsError, Unknown};
use crate::config::hosts::Hosts;
use crate::fs::PathError;
use crate::lake::LakeError;
use crate::lake_url::ParseUrlError;
use crate::lake_url::typed::{Surroundings, TypedUrl, without_secrets};
use crate::proof;
use crate::repo::{self, Repo};
use crate::transfer::Cancel;
use crate::ui::Ui;
use crate::workspace::{self, Workspace};

pub mod add;
pub mod cat;
pub mod clone;
pub mod completions;
mod dataset;
pub mod demo;
pub mod diff;
pub mod doctor;
pub mod drop;
pub mod du;
pub mod env;
pub mod fetch;
pub mod filter;
pub mod fsck;
pub mod help;
pub mod hook;
pub mod import;
pub mod init;
pub mod install;
mod lakes;
pub mod ls_files;
pub mod man;
pub mod merge_driver;
pub mod orphans;
pub mod prune;
pub mod pull;
pub mod push;
pub mod remote_add;
pub mod remote_list;
pub mod remote_remove;
pub mod remote_upload;
mod report;
mod selection;
pub mod status;
pub mod track;
pub mod trust;
mod trusted;
pub mod r#where;

/// What every command has at hand.
pub struct Context {
    /// The person.
    pub ui: Arc<Ui>,
    /// Set by Ctrl-C.
    pub cancel: Cancel,
    /// Where the command was typed.
    pub folder: PathBuf,
}

/// How a command that ran to its end went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All was done.
    Done,
    /// Something could not be done; the rest was.
    Incomplete,
    /// Data was found damaged or lost.
    Damaged,
}

/// How a command ends.
pub type Result = std::result::Result<Exit, Error>;

/// Says why a command could not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments make no sense together.
    #[error("{0}")]
    Usage(String),
    /// The clone cannot be opened.
    #[error(transparent)]
    Workspace(#[from] workspace::Error),
    /// The repository cannot be read.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// Settings cannot be edited.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A lake cannot be used.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// An address makes no sense.
    #[error("`{text}` is no address of a lake: {source}")]
    Url {
        /// What was typed, without anything before an `@` or after a `?`.
        text: String,
        /// Why.
        source: ParseUrlError,
    },
    /// git's configuration cannot be written.
    #[error(transparent)]
    GitConfig(#[from] repo::gitconfig::Error),
    /// git itself could not do something.
    #[error(transparent)]
    Git(#[from] repo::process::Error),
    /// git is too old.
    #[error(transparent)]
    GitVersion(#[from] repo::git_version::Error),
    /// Pathspecs mean nothing.
    #[error(transparent)]
    Pathspec(#[from] repo::pathspec::Error),
    /// Nothing can be selected.
    #[error(transparent)]
    Select(#[from] crate::sources::select::Error),
    /// Nothing can be done with a dataset.
    #[error(transparent)]
    Dataset(#[from] crate::dataset::Error),
    /// A dataset cannot be imported.
    #[error(transparent)]
    Import(#[from] crate::import::Error),
    /// Pointers cannot be rewritten.
    #[error(transparent)]
    Rewrite(#[from] crate::sources::rewrite::Error),
    /// It cannot be told what there is.
    #[error(transparent)]
    Inventory(#[from] crate::inventory::Error),
    /// States cannot be compared.
    #[error(transparent)]
    Diff(#[from] crate::diff::Error),
    /// It cannot be found out what is wrong.
    #[error(transparent)]
    Fsck(#[from] crate::fsck::Error),
    /// A clone cannot be examined.
    #[error(transparent)]
    Doctor(#[from] crate::doctor::Error),
    /// It is not known what is referred to.
    #[error("Nothing is listed")]
    References(#[from] crate::orphans::references::Error),
    /// The history cannot be read.
    #[error(transparent)]
    History(#[from] repo::history::Error),
    /// It cannot be told what is needed.
    #[error(transparent)]
    Needs(#[from] crate::space::needs::Error),
    /// Files could not be added.
    #[error(transparent)]
    Add(#[from] crate::add::Error),
    /// The filter could not be served.
    #[error(transparent)]
    Filter(#[from] crate::filter::session::Error),
    /// stdout cannot be written.
    #[error("Could not write the output: {0}")]
    Output(#[from] std::io::Error),
    /// Something that a person has to put right.
    #[error("{0}")]
    Refused(String),
}

impl From<repo::index::Error> for Error {
    fn from(error: repo::index::Error) -> Self {
        Self::Repo(error.into())
    }
}

impl From<proof::Error> for Error {
    fn from(error: proof::Error) -> Self {
        match error {
            proof::Error::Repo(error) => Self::Repo(error),
            proof::Error::Path(error) => Self::Path(error),
        }
    }
}

impl Context {
    /// Opens the clone for a command: what is wrong with settings is an error.
    fn workspace(&self) -> std::result::Result<Workspace, Error> {
        self.open(Unknown::Refuse)
    }

    /// Opens the clone for a hook: nothing about settings is fatal.
    fn lenient_workspace(&self) -> std::result::Result<Workspace, Error> {
        self.open(Unknown::PassOver)
    }

    fn open(&self, unknown: Unknown) -> std::result::Result<Workspace, Error> {
        let reporter = Arc::clone(&self.ui);
        let site = Workspace::open(&self.folder, unknown, None, reporter, self.cancel.clone())?;
        for warning in &site.warnings {
            self.ui.warning(warning);
        }
        Ok(site)
    }

    /// Opens the repository and returns the top of its work tree.
    fn work_tree(&self) -> std::result::Result<(Repo, PathBuf), Error> {
        let repo = Repo::discover(&self.folder)?;
        let top = repo.work_tree().map(ToOwned::to_owned);
        let top = top
            .ok_or_else(|| Error::Refused("A bare repository has no work tree for this".into()))?;
        Ok((repo, top))
    }
}

/// Parses an address that a person typed, relative to `folder`.
fn parse_url(typed: &str, folder: &Path, hosts: &Hosts) -> std::result::Result<TypedUrl, Error> {
    // Only the short form of a bucket needs to know what is around.
    let is_bucket = typed.get(..3).is_some_and(|scheme| scheme.eq_ignore_ascii_case("s3:"));
    let around = if is_bucket { hosts.surroundings().aws.clone() } else { Surroundings::default() };
    TypedUrl::parse(typed, folder, &around)
        .map_err(|source| Error::Url { text: without_secrets(typed).to_owned(), source })
}

/// Words a count of things.
fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}
