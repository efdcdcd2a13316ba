//! Whether what is kept is what it should be: the store, git's pointers, the lakes.
//!
//! Looking changes nothing but this: a damaged object of the store is set aside, and one that is right
//! and not known to be on disk for good is put there. What is found is data, for people and for machines.

use std::path::PathBuf;

use crate::oid::Oid;
use crate::repo_path::RepoPath;

pub mod store;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Something is missing, not converted, or could not be looked at.
    Incomplete,
    /// Data is not what it should be.
    Damaged,
}

/// What is wrong with one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An object of the store has other bytes than its name says. Where they are now, if they could be
    /// set aside.
    StoredDamaged(Option<PathBuf>),
    /// An object of the store could not be read, for this reason.
    StoredUnreadable(String),
    /// Objects of the store are right, and could not be put on disk for good, for this reason.
    NotSynced(String),
}

impl Fault {
    /// Says how bad it is.
    pub fn grade(&self) -> Grade {
        match self {
            Self::StoredDamaged(_) => Grade::Damaged,
            Self::StoredUnreadable(_) | Self::NotSynced(_) => Grade::Incomplete,
        }
    }

    /// Names the kind of fault, for machines.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::StoredDamaged(_) => "stored-damaged",
            Self::StoredUnreadable(_) => "stored-unreadable",
            Self::NotSynced(_) => "not-synced",
        }
    }
}

/// Something that is wrong, and what with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub fault: Fault,
    /// A path that has it, where one is known.
    pub path: Option<RepoPath>,
    /// The object, where it is one.
    pub oid: Option<Oid>,
}

/// What was looked at, and what was found.
#[derive(Debug, Default)]
pub struct Report {
    /// The store, if it was looked at.
    pub store: Option<store::Tally>,
    /// All that is wrong.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Returns the worst grade of all findings; `None` if nothing is wrong.
    pub fn worst(&self) -> Option<Grade> {
        self.findings.iter().map(|finding| finding.fault.grade()).max()
    }
}
