//! Why a lake could not do what it was asked, and if asking again makes sense.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::digest::{HashName, UnknownHash};
use crate::fs::PathError;
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::object_name::ObjectName;

/// Says why a lake could not do what it was asked.
///
/// Cheap to clone, since one failure may concern many objects.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LakeError {
    /// The lake is not there, now or from here; nothing is known about its objects.
    #[error("Could not reach the lake `{url}`")]
    Unreachable {
        /// The lake.
        url: LakeUrl,
        /// What stood in the way.
        #[source]
        obstacle: Obstacle,
    },
    /// The lake is there but asks to be left alone for a while.
    #[error("Could not get an answer from the lake `{url}`: it is busy")]
    Busy {
        /// The lake.
        url: LakeUrl,
        /// How long it asked to wait, if it did.
        after: Option<Duration>,
    },
    /// The lake does not let this user look.
    #[error("Could not get access to the lake `{url}`")]
    Denied {
        /// The lake.
        url: LakeUrl,
        /// What the system or the server said.
        #[source]
        source: Cause,
    },
    /// The lake does not let this user have one object; where listing is not allowed either, some
    /// servers say so of objects that do not exist.
    #[error("Could not get access to `{object}`")]
    ObjectDenied {
        /// The object.
        object: SourceUrl,
        /// What the server said.
        #[source]
        source: Cause,
    },
    /// The server did something with a request that was not asked for.
    #[error("Could not get a usable answer from the lake `{url}`")]
    Unusable {
        /// The lake.
        url: LakeUrl,
        /// What the server said.
        #[source]
        source: Cause,
    },
    /// The lake was reached and has no such object.
    #[error("Could not find `{object}`")]
    Absent {
        /// The object that was looked for.
        object: SourceUrl,
    },
    /// Something that is no object has an object's name: a symbolic link, a folder, a pipe.
    #[error("Could not use `{object}`: it is no regular file")]
    NotRegular {
        /// The object that was looked for.
        object: SourceUrl,
    },
    /// Other bytes stand under the name of an object that was to be uploaded; they were left alone.
    #[error(
        "Could not upload to `{object}`: {found} bytes that are not this object are there already"
    )]
    DamagedThere {
        /// The object that was to be uploaded.
        object: SourceUrl,
        /// Size of what is there, in bytes.
        found: u64,
    },
    /// Other bytes stand under the name of an object that was to replace them, and cannot be kept aside.
    #[error("Could not replace `{object}`: what is there cannot be kept aside ({reason})")]
    NotKept {
        /// The object that was to be put there.
        object: SourceUrl,
        /// Why not.
        reason: Box<str>,
    },
    /// The bytes to upload are not those that were promised; nothing was published.
    #[error("Could not upload `{name}`: its bytes are damaged, or changed while they were read")]
    SourceChanged {
        /// The object that was to be uploaded.
        name: ObjectName,
    },
    /// The bytes to upload could not be read.
    #[error("Could not read the bytes to upload as `{name}`")]
    SourceUnreadable {
        /// The object that was to be uploaded.
        name: ObjectName,
        /// Why not.
        #[source]
        source: Arc<io::Error>,
    },
    /// The lake may be read but not written to.
    #[error("Could not write to the lake `{url}`")]
    ReadOnly {
        /// The lake.
        url: LakeUrl,
        /// What the system or the server said.
        #[source]
        source: Cause,
    },
    /// The lake's disk or quota is full.
    #[error("Could not write to the lake `{url}`: it is full")]
    Full {
        /// The lake.
        url: LakeUrl,
        /// What the system or the server said.
        #[source]
        source: Cause,
    },
    /// The lake declares a hash that is not known.
    #[error("Could not use the lake `{url}`: it declares an unknown hash")]
    UnknownHash {
        /// The lake.
        url: LakeUrl,
        /// The name that it declares.
        #[source]
        source: UnknownHash,
    },
    /// The lake's declaration is not understood; it is never rewritten.
    #[error("Could not understand the declaration of the lake `{url}`: {reason}")]
    DamagedTags {
        /// The lake.
        url: LakeUrl,
        /// What is wrong with it.
        reason: String,
    },
    /// The lake's hash is too weak to name new objects.
    #[error("Could not write to the lake `{url}`: objects named by {hash} are only read")]
    HashNotWritable {
        /// The lake.
        url: LakeUrl,
        /// The hash.
        hash: HashName,
    },
    /// The lake declares another hash than the one that the caller relies on.
    #[error("Could not use the lake `{url}`: it declares {declared}, not {wanted}")]
    HashMismatch {
        /// The lake.
        url: LakeUrl,
        /// What it declares.
        declared: HashName,
        /// What was relied on.
        wanted: HashName,
    },
    /// The lake declares nothing but holds objects whose digests have another length.
    #[error("Could not declare {wanted} for the lake `{url}`: it holds `{example}`")]
    OtherHashInUse {
        /// The lake.
        url: LakeUrl,
        /// The hash that was to be declared.
        wanted: HashName,
        /// One of the objects.
        example: ObjectName,
    },
    /// The folder above the one to create does not exist.
    #[error("Could not create the folder `{}`: the one above it does not exist", .path.display())]
    NoParent {
        /// The folder that was to be created.
        path: PathBuf,
    },
    /// The caller asked to stop.
    #[error("Could not finish: it was cancelled")]
    Cancelled,
    /// Anything else that the system refused.
    #[error(transparent)]
    Io(Arc<PathError>),
}

/// Says what stands between us and a lake.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Obstacle {
    /// The folder does not exist.
    #[error("The folder does not exist")]
    NoFolder,
    /// The folder declares nothing, as the mount point of a share that is not mounted.
    #[error("The folder has no declaration in `.pl/tags.json`")]
    NotDeclared,
    /// The share does not answer.
    #[error(transparent)]
    Io(Arc<PathError>),
    /// The server has no such bucket.
    #[error("There is no bucket `{0}` (`--create` makes one)")]
    NoBucket(Box<str>),
    /// No connection, or one that broke.
    #[error("{0}")]
    Network(Box<str>),
    /// A connection that cannot work before somebody changes a setting.
    #[error("{0}")]
    Settings(Box<str>),
    /// It failed a moment ago, and is not asked for a while.
    #[error("It is not asked again for {seconds} seconds, since: {cause}")]
    Resting {
        /// How long.
        seconds: u64,
        /// What went wrong.
        cause: Box<str>,
    },
}

/// What the system or a server said.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Cause {
    /// The operating system.
    #[error(transparent)]
    System(Arc<PathError>),
    /// A server.
    #[error(transparent)]
    Server(Arc<Answer>),
}

/// How a server refused a request.
///
/// `code` and `message` come from the server as they are; whoever prints them escapes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// S3's name for the error; empty where the answer had no body.
    pub code: Box<str>,
    /// The server's words.
    pub message: Box<str>,
    /// With which keys it was asked, and why not with others.
    pub asked: Box<str>,
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "The server answered {}", self.status)?;
        if !self.code.is_empty() {
            write!(f, " `{}`", self.code)?;
        }
        if !self.message.is_empty() {
            write!(f, " ({})", self.message.trim_end_matches('.'))?;
        }
        if !self.asked.is_empty() {
            write!(f, "; {}", self.asked)?;
        }
        Ok(())
    }
}

impl std::error::Error for Answer {}

/// Says if and when the same request could succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Not without somebody doing something first.
    Never,
    /// After the usual delay.
    Soon,
    /// Not before this much time has passed.
    After(Duration),
}

impl LakeError {
    /// Says if and when the same request could succeed.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Busy { after: Some(delay), .. } => Retry::After(*delay),
            Self::Busy { after: None, .. }
            | Self::Unreachable { obstacle: Obstacle::Io(_) | Obstacle::Network(_), .. } => {
                Retry::Soon
            }
            _ => Retry::Never,
        }
    }

    /// Returns true if the failure concerns the whole lake, so that other objects would fail too.
    pub fn concerns_lake(&self) -> bool {
        match self {
            Self::Absent { .. }
            | Self::NotRegular { .. }
            | Self::DamagedThere { .. }
            | Self::NotKept { .. }
            | Self::SourceChanged { .. }
            | Self::SourceUnreadable { .. }
            | Self::ObjectDenied { .. }
            | Self::Io(_) => false,
            Self::Unreachable { .. }
            | Self::Busy { .. }
            | Self::Denied { .. }
            | Self::ReadOnly { .. }
            | Self::Full { .. }
            | Self::UnknownHash { .. }
            | Self::DamagedTags { .. }
            | Self::HashNotWritable { .. }
            | Self::HashMismatch { .. }
            | Self::OtherHashInUse { .. }
            | Self::NoParent { .. }
            | Self::Cancelled
            | Self::Unusable { .. } => true,
        }
    }

    /// Returns true if the lake was reached and has no such object.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }

    /// Returns true if the lake cannot be reached, now or from here.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// Returns true if data was found damaged, at the lake or in what was to be uploaded.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::DamagedThere { .. } | Self::SourceChanged { .. } | Self::NotRegular { .. }
        )
    }

    /// Sorts an error met while reading from the lake `url`.
    pub(super) fn reading(url: &LakeUrl, error: PathError) -> Self {
        let (url, source) = (url.clone(), Arc::new(error));
        match source.source.kind() {
            ErrorKind::PermissionDenied => Self::Denied { url, source: Cause::System(source) },
            _ if is_passing(&source.source) => {
                Self::Unreachable { url, obstacle: Obstacle::Io(source) }
            }
            _ => Self::Io(source),
        }
    }

    /// Sorts an error met while writing to the lake `url`.
    pub(super) fn writing(url: &LakeUrl, error: PathError) -> Self {
        match error.source.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly { url: url.clone(), source: Cause::System(Arc::new(error)) }
            }
            _ if error.is_full() => {
                Self::Full { url: url.clone(), source: Cause::System(Arc::new(error)) }
            }
            _ => Self::reading(url, error),
        }
    }
}

/// Returns true for what a network share says while its server is away.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::TimedOut
            | ErrorKind::NotConnected
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::StaleNetworkFileHandle
    ) || is_device_error(error)
}

/// Returns true for EIO, which soft-mounted NFS gives after its own timeout.
#[cfg(unix)]
fn is_device_error(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

#[cfg(not(unix))]
fn is_device_error(_: &io::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> LakeUrl {
        LakeUrl::parse("file:///mnt/lake").expect("an address")
    }

    fn path_error(source: io::Error) -> PathError {
        PathError { path: PathBuf::from("/mnt/lake/x"), source }
    }

    #[test]
    fn system_errors_are_told_apart() {
        let write = |kind| LakeError::writing(&url(), path_error(io::Error::from(kind)));
        assert!(matches!(write(ErrorKind::StorageFull), LakeError::Full { .. }));
        assert!(matches!(write(ErrorKind::QuotaExceeded), LakeError::Full { .. }));
        assert!(matches!(write(ErrorKind::PermissionDenied), LakeError::ReadOnly { .. }));
        assert!(matches!(write(ErrorKind::ReadOnlyFilesystem), LakeError::ReadOnly { .. }));
        assert!(write(ErrorKind::StaleNetworkFileHandle).is_unreachable());
        assert!(matches!(write(ErrorKind::InvalidInput), LakeError::Io { .. }));
        let read = LakeError::reading(&url(), path_error(ErrorKind::PermissionDenied.into()));
        assert!(matches!(read, LakeError::Denied { .. }));
    }

    #[test]
    fn only_what_may_pass_by_itself_is_tried_again() {
        let busy = |after| LakeError::Busy { url: url(), after };
        let minute = Duration::from_secs(60);
        assert_eq!(busy(Some(minute)).retry(), Retry::After(minute));
        assert_eq!(busy(None).retry(), Retry::Soon);
        let gone = |obstacle| LakeError::Unreachable { url: url(), obstacle };
        assert_eq!(gone(Obstacle::NotDeclared).retry(), Retry::Never);
        let stale = LakeError::reading(&url(), path_error(ErrorKind::TimedOut.into()));
        assert_eq!(stale.retry(), Retry::Soon);
        assert_eq!(LakeError::Cancelled.retry(), Retry::Never);
    }

    #[test]
    fn messages_say_what_could_not_be_done_and_do_not_repeat_the_cause() {
        let full = LakeError::writing(&url(), path_error(ErrorKind::StorageFull.into()));
        assert_eq!(full.to_string(), "Could not write to the lake `file:///mnt/lake`: it is full");
        let gone = LakeError::Unreachable { url: url(), obstacle: Obstacle::NoFolder };
        assert_eq!(gone.to_string(), "Could not reach the lake `file:///mnt/lake`");
        let cause = std::error::Error::source(&gone).expect("a cause");
        assert_eq!(cause.to_string(), "The folder does not exist");
    }
}
