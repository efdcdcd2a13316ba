//! An object that is wanted, and why it could not be had.

use super::report::with_causes;
use crate::lake::{LakeError, Retry};
use crate::lake_url::SourceUrl;
use crate::oid::Oid;
use crate::store::queue::Owed;

/// An object that is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The object.
    pub oid: Oid,
    /// Its size in bytes.
    pub size: u64,
    /// Where to look for it, best first.
    pub candidates: Vec<SourceUrl>,
    /// Uploads that become due where the object turns out to be absent although it can be had.
    pub repairs: Vec<Owed>,
}

/// Why an object could not be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// No source had it; the reasons stand in the order in which sources were tried.
    #[error("{}", summarize(.0))]
    NoSource(Vec<(SourceUrl, SourceFailure)>),
    /// The disk would not hold it.
    #[error("The disk has no room for the content")]
    NoRoom {
        /// The object's size.
        size: u64,
    },
    /// The store could not take it.
    #[error("{0}")]
    Store(String),
    /// Somebody asked to stop.
    #[error("Interrupted")]
    Cancelled,
}

/// Why one source did not help.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceFailure {
    /// The lake could not do it.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// What arrived is not the object.
    #[error("`{0}` holds other bytes than the object's")]
    WrongBytes(SourceUrl),
    /// The connection or the share broke while reading.
    #[error("Could not read `{url}` to its end: {reason}")]
    Broken {
        /// The source.
        url: SourceUrl,
        /// What the system said.
        reason: String,
    },
}

impl SourceFailure {
    /// Says if and when the same source could help.
    pub(super) fn retry(&self) -> Retry {
        match self {
            Self::Lake(error) => error.retry(),
            Self::WrongBytes(_) => Retry::Never,
            Self::Broken { .. } => Retry::Soon,
        }
    }
}

/// Names lakes and no objects, so that the same trouble with many objects can be told once.
fn summarize(failures: &[(SourceUrl, SourceFailure)]) -> String {
    let mut reasons: Vec<String> = failures
        .iter()
        .map(|(_, failure)| match failure {
            SourceFailure::Lake(LakeError::Absent { object }) => {
                format!("it is not in `{}`", object.lake)
            }
            SourceFailure::Lake(LakeError::NotRegular { object }) => {
                format!("it is no regular file in `{}`", object.lake)
            }
            SourceFailure::WrongBytes(source) => {
                format!("`{}` holds other bytes than the object's", source.lake)
            }
            SourceFailure::Broken { url, reason } => {
                format!("Could not read it in `{}` to its end: {reason}", url.lake)
            }
            SourceFailure::Lake(LakeError::ObjectDenied { object, source }) => {
                format!("Could not get access to it in `{}`: {source}", object.lake)
            }
            SourceFailure::Lake(other) => with_causes(other),
        })
        .collect();
    reasons.dedup();
    if reasons.is_empty() { "No source is known".to_owned() } else { reasons.join("; ") }
}
