//! Whether what is kept is what it should be: the store, git's pointers, the lakes.
//!
//! Looking changes nothing but this: a damaged object of the store is set aside, and one that is right
//! and not known to be on disk for good is put there. What is found, and what is to be done about it, is
//! data, for people and for machines; [`repair`] does it.

use std::path::PathBuf;

use crate::fs::PathError;
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;
use crate::oid::Oid;
use crate::pointer::PointerError;
use crate::repo::{self, BlobId, history};
use crate::repo_path::RepoPath;
use crate::workspace;

use repair::Repair;

pub mod missing;
pub mod pointers;
pub mod remotes;
pub mod repair;
pub mod sample;
pub mod scope;
pub mod settings;
pub mod store;

/// Says why it could not be found out what is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The history could not be read, or a part of it is not here.
    #[error(transparent)]
    History(#[from] history::Error),
    /// A shallow clone does not have a revision.
    #[error("Could not find revision `{revision}`, and this clone is shallow")]
    NotHere {
        /// As it was asked for.
        revision: String,
    },
    /// The repository could not be read.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// The settings of a commit could not be read.
    #[error(transparent)]
    Workspace(#[from] workspace::Error),
    /// The local state could not be read or written.
    #[error(transparent)]
    Path(#[from] PathError),
}

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
    /// The store does not have an object that is needed here.
    NotStored,
    /// Objects of the store are right, and could not be put on disk for good, for this reason.
    NotSynced(String),
    /// A pointer is damaged.
    PointerDamaged(PointerError),
    /// A pointer says another size than its object has, in bytes.
    PointerSize {
        /// What it says.
        says: u64,
        /// What is true.
        is: u64,
    },
    /// A pointer is of a version that this program does not know.
    NewerPointer,
    /// Content is in git where a pointer belongs.
    NotConverted,
    /// A pointer of git-lfs is where one of git-lake belongs.
    LfsPointer,
    /// A pointer is at a path that is not tracked, so that nobody gets its content.
    Untracked,
    /// A partial clone does not have the file.
    NotHere,
    /// The settings of the commit make no sense, for this reason.
    Settings(String),
    /// A lake does not have an object that a pointer says is there.
    Absent,
    /// A lake has something of another size, in bytes, under an object's name.
    OtherSize(u64),
    /// A lake has other bytes under an object's name.
    WrongBytes,
    /// A lake has something that is no file under an object's name.
    NotRegular,
    /// An object could not be looked at in a lake, for this reason.
    RemoteUnreadable(String),
    /// A lake could not be asked, for this reason.
    LakeUnknown(String),
    /// A pointer names none of the remotes, and no lake that readers would ask has the object.
    Nowhere,
}

impl Fault {
    /// Says how bad it is.
    pub fn grade(&self) -> Grade {
        match self {
            Self::StoredDamaged(_)
            | Self::PointerDamaged(_)
            | Self::PointerSize { .. }
            | Self::OtherSize(_)
            | Self::WrongBytes
            | Self::NotRegular => Grade::Damaged,
            Self::StoredUnreadable(_)
            | Self::NotStored
            | Self::NotSynced(_)
            | Self::NewerPointer
            | Self::NotConverted
            | Self::LfsPointer
            | Self::Untracked
            | Self::NotHere
            | Self::Settings(_)
            | Self::Absent
            | Self::RemoteUnreadable(_)
            | Self::LakeUnknown(_)
            | Self::Nowhere => Grade::Incomplete,
        }
    }

    /// Names the kind of fault, for machines.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::StoredDamaged(_) => "stored-damaged",
            Self::StoredUnreadable(_) => "stored-unreadable",
            Self::NotStored => "not-stored",
            Self::NotSynced(_) => "not-synced",
            Self::PointerDamaged(_) => "pointer-damaged",
            Self::PointerSize { .. } => "pointer-size",
            Self::NewerPointer => "newer-pointer",
            Self::NotConverted => "not-converted",
            Self::LfsPointer => "lfs-pointer",
            Self::Untracked => "untracked",
            Self::NotHere => "not-here",
            Self::Settings(_) => "settings",
            Self::Absent => "absent",
            Self::OtherSize(_) => "other-size",
            Self::WrongBytes => "wrong-bytes",
            Self::NotRegular => "not-regular",
            Self::RemoteUnreadable(_) => "remote-unreadable",
            Self::LakeUnknown(_) => "lake-unknown",
            Self::Nowhere => "nowhere",
        }
    }

    /// Returns true if it cannot be told which object a file of git means.
    pub fn hides_object(&self) -> bool {
        matches!(
            self,
            Self::PointerDamaged(_) | Self::PointerSize { .. } | Self::NewerPointer | Self::NotHere
        )
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
    /// The commit that brings it, where a range is looked at.
    pub commit: Option<BlobId>,
    /// The pointer that says what should be there.
    pub blob: Option<BlobId>,
    /// The lake, where it is about one.
    pub lake: Option<LakeUrl>,
    /// The object's name in that lake.
    pub name: Option<ObjectName>,
    /// What is to be done about it, or was.
    pub repair: Option<Repair>,
}

impl Finding {
    /// Says that something is wrong, and nothing more.
    pub fn about(fault: Fault) -> Self {
        let (path, oid, commit, blob, lake, name, repair) = Default::default();
        Self { fault, path, oid, commit, blob, lake, name, repair }
    }
}

/// What was looked at, and what was found.
#[derive(Debug, Default)]
pub struct Report {
    /// The store, if it was looked at.
    pub store: Option<store::Tally>,
    /// git's files, if they were looked at.
    pub pointers: Option<pointers::Tally>,
    /// Which remotes a range of commits changes.
    pub remote_changes: Vec<settings::RemoteChange>,
    /// The lakes that were asked.
    pub remotes: Option<Vec<remotes::Tally>>,
    /// All that is wrong.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Returns the worst grade of all findings; `None` if nothing is wrong.
    ///
    /// What was missing and is there again is not counted; what was damaged is.
    pub fn worst(&self) -> Option<Grade> {
        let is_mended = |finding: &&Finding| matches!(finding.repair, Some(Repair::Done(..)));
        let grade = |finding: &Finding| finding.fault.grade();
        let counted = self
            .findings
            .iter()
            .filter(|finding| !is_mended(finding) || grade(finding) == Grade::Damaged);
        counted.map(grade).max()
    }
}
