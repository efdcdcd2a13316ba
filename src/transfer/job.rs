//! One object that is due at one lake: where its bytes are, and what may come of it.

use std::ops::AddAssign;
use std::path::PathBuf;

use super::report::with_causes;
use crate::digest::HashName;
use crate::lake::LakeError;
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::oid::Oid;
use crate::repo_path::RepoPath;

/// Where the bytes of an upload are read from; they are verified on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This clone's store.
    Store,
    /// A file.
    File(PathBuf),
    /// Another lake.
    Lake(SourceUrl),
    /// A lake on the server that it goes to: the server copies it.
    Server(SourceUrl),
}

/// One object that is due at one lake.
#[derive(Debug, Clone)]
pub struct Job {
    /// The full object URL.
    pub url: SourceUrl,
    /// The object in the store.
    pub oid: Oid,
    /// Its size in bytes.
    pub size: u64,
    /// The hash that the lake is expected to declare, which its name is a digest of.
    pub hash: HashName,
    /// A path that has it, to tell people.
    pub path: RepoPath,
    /// Where its bytes are.
    pub from: Origin,
}

/// How much came into lakes, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Objects that were sent.
    pub sent: usize,
    /// Bytes that were sent.
    pub sent_bytes: u64,
    /// Objects that servers copied from other lakes, and how many bytes these have.
    pub copied: usize,
    /// See [`Self::copied`].
    pub copied_bytes: u64,
    /// Objects that were there already.
    pub already: usize,
}

impl AddAssign for Moved {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.sent_bytes += other.sent_bytes;
        self.copied += other.copied;
        self.copied_bytes += other.copied_bytes;
        self.already += other.already;
    }
}

/// Why an object could not be uploaded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The lake could not do it.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The lake declares another hash than the settings say.
    #[error("Could not upload to `{url}`: it declares {declared}, the settings say {expected}")]
    OtherHash {
        /// The lake.
        url: LakeUrl,
        /// What it declares.
        declared: HashName,
        /// What the settings say.
        expected: HashName,
    },
    /// The object is not in the store.
    #[error("Could not find the object in this clone's store")]
    NotStored,
    /// A place that is not the store does not have the bytes, or others.
    #[error("{0}")]
    Origin(String),
    /// The proof could not be written down, so the upload will be tried again.
    #[error("Could not record a receipt: {0}")]
    Receipt(String),
    /// Somebody asked to stop.
    #[error("Interrupted")]
    Cancelled,
}

impl Failure {
    /// Returns true if the bytes to upload were the trouble, and not the lake.
    pub fn is_of_origin(&self) -> bool {
        matches!(
            self,
            Self::NotStored
                | Self::Origin(_)
                | Self::Lake(LakeError::SourceUnreadable { .. } | LakeError::SourceChanged { .. })
        )
    }

    /// Words the failure with the errors below it, naming lakes and no objects, so that the same
    /// trouble with many objects is told once.
    pub fn cause(&self) -> String {
        let Self::Lake(error) = self else { return with_causes(self) };
        match error {
            LakeError::Absent { object } => format!("`{}` does not have it", object.lake),
            LakeError::DamagedThere { object, .. } => {
                format!("`{}` holds other bytes under the name of the object", object.lake)
            }
            LakeError::NotRegular { object } => {
                format!("`{}` has something that is no file under the name", object.lake)
            }
            LakeError::ObjectDenied { object, source } => {
                format!("Could not get access to it in `{}`: {source}", object.lake)
            }
            LakeError::SourceChanged { .. } => {
                "the bytes in this clone's store are damaged".to_owned()
            }
            LakeError::SourceUnreadable { source, .. } => {
                format!("Could not read it in this clone's store: {source}")
            }
            other => with_causes(other),
        }
    }
}
