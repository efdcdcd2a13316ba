//! What is right and what is wrong with a clone, and mending what is safe to mend.
//!
//! [`facts`] gathers, [`findings`] decides what they mean without looking at anything, [`mend`] plans from
//! the same facts and carries out. Facts never hold a secret, nor the id of a key.

pub mod facts;
pub mod findings;
pub mod mend;

use crate::fs::PathError;
use crate::{fsck, repo};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Good to know; nothing is wrong.
    Note,
    /// Something does not work, or is about to be lost.
    Problem,
}

impl Level {
    /// Names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem => "problem",
        }
    }
}

/// One line about the clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The kind of finding, for machines; `docs/checks.md` has all of them.
    pub id: &'static str,
    /// How bad it is.
    pub level: Level,
    /// One line for people.
    pub text: String,
    /// What to type, or to write where; `None` if there is nothing to do.
    pub remedy: Option<String>,
}

impl Finding {
    fn new(id: &'static str, level: Level, text: impl Into<String>) -> Self {
        Self { id, level, text: text.into(), remedy: None }
    }

    fn ok(id: &'static str, text: impl Into<String>) -> Self {
        Self::new(id, Level::Ok, text)
    }

    fn note(id: &'static str, text: impl Into<String>) -> Self {
        Self::new(id, Level::Note, text)
    }

    fn problem(id: &'static str, text: impl Into<String>) -> Self {
        Self::new(id, Level::Problem, text)
    }

    fn mended_by(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Says why a clone could not be examined or mended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository could not be read.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Pointers could not be looked at.
    #[error(transparent)]
    Fsck(#[from] fsck::Error),
    /// git's configuration could not be written.
    #[error(transparent)]
    GitConfig(#[from] repo::gitconfig::Error),
    /// git itself could not do something.
    #[error(transparent)]
    Git(#[from] repo::process::Error),
    /// The store could not be put right.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The index could not be put right.
    #[error(transparent)]
    Fill(#[from] crate::fill::Error),
}

impl From<repo::index::Error> for Error {
    fn from(error: repo::index::Error) -> Self {
        Self::Repo(error.into())
    }
}
