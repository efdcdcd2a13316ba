//! Data lakes: where objects live outside the repository, behind three small traits.
//!
//! A lake holds objects under [`ObjectName`]s and says in a declaration by which hash they are
//! named; `docs/lake.md` specifies the layout, which is pipelime's. This module owns what is in a
//! lake's folder or bucket and nothing else. Calls block. Retrying, running side by side, health and
//! progress live in `transfer`; which lake may be written to is decided before one is opened.
//!
//! Promises that every lake keeps, and that [`contract`] checks: an object is immutable, appears
//! whole or not at all, is what its name says, and an error is never taken for "absent". What is
//! *read* is not verified here: only the caller knows the oid.

use std::io::Read;

use crate::digest::HashName;
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;

pub mod contract;
mod copy;
mod declaration;
mod error;
pub mod faulty;
pub mod folder;
pub mod memory;
mod open;
pub mod s3;
mod survey;
mod tags;
mod upload;

pub use copy::Place;
pub use declaration::{Creation, Declaration, LakeId, ParseLakeIdError};
pub use error::{Answer, Cause, LakeError, Obstacle, Retry};
pub use open::{AccessTo, Opener};
pub use survey::{Found, Survey};
pub use upload::{Observer, Proof, Put, Replaced, Unobserved, Upload};

/// Where a lake keeps bytes that were replaced, below its own folder or prefix. Neither pipelime nor a
/// listing looks into it, and nothing here removes anything from it.
pub const ASIDE_FOLDER: &str = ".lake-damaged";

/// What a lake says about one of its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Size in bytes.
    pub size: u64,
    /// When it was made or last renewed, in unix seconds, where the lake says so.
    pub modified: Option<u64>,
}

/// The bytes of an object, as they arrive.
pub struct ObjectContent {
    /// Size of the whole object in bytes, wherever reading began.
    pub size: u64,
    /// The bytes from the wanted offset on. A stream that ends early may end without an error.
    pub reader: Box<dyn Read + Send>,
}

/// What a lake is good at; callers cut their work to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// How many objects one [`WriteLake::put`] should hold: making them durable costs once per call.
    pub batch_count: usize,
    /// How many bytes one `put` should hold, so that objects do not wait long to be published.
    pub batch_bytes: u64,
    /// How many requests at once the lake gains from.
    pub side_by_side: usize,
}

/// What a server does beyond what every lake needs; `None` where that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// Uploads under the condition that nothing has the name.
    pub conditions: Option<bool>,
    /// SHA-256 of objects is checked, kept and told.
    pub checksums: Option<bool>,
    /// Tags of the bucket, which declare the lake, can be read.
    pub tags: Option<bool>,
    /// Parts of objects are read.
    pub ranges: Option<bool>,
}

impl Features {
    /// Returns all of them with their names.
    pub fn named(self) -> [(&'static str, Option<bool>); 4] {
        let Self { conditions, checksums, tags, ranges } = self;
        [("conditions", conditions), ("checksums", checksums), ("tags", tags), ("ranges", ranges)]
    }
}

/// The objects of a lake in no particular order, read as it is advanced.
pub type Listing = Box<dyn Iterator<Item = Result<(ObjectName, ObjectInfo), LakeError>> + Send>;

/// A lake that can be read.
pub trait ReadLake: Send + Sync {
    /// Returns the lake's identity, as pointers and settings spell it.
    fn url(&self) -> &LakeUrl;

    /// Returns what the lake does well; never waits for the lake.
    fn capabilities(&self) -> Capabilities;

    /// Reads the lake's declaration, each time anew.
    ///
    /// # Errors
    /// [`LakeError::Unreachable`] if a folder has none, [`LakeError::UnknownHash`] or
    /// [`LakeError::DamagedTags`] if it has one that is not understood.
    fn declaration(&self) -> Result<Declaration, LakeError>;

    /// Returns what is known of an object; `None` only if the lake was reached and has none.
    ///
    /// # Errors
    /// Anything that leaves it open whether the object is there.
    fn stat(&self, name: &ObjectName) -> Result<Option<ObjectInfo>, LakeError>;

    /// Returns what is known of many objects, in the order of `names`, by the cheapest way there is.
    fn stat_all(&self, names: &[ObjectName]) -> Vec<Result<Option<ObjectInfo>, LakeError>>;

    /// Opens an object at byte `from`; at or past the end the stream is empty.
    ///
    /// The bytes are not verified.
    ///
    /// # Errors
    /// [`LakeError::Absent`] if the lake was reached and has no such object.
    fn get(&self, name: &ObjectName, from: u64) -> Result<ObjectContent, LakeError>;

    /// Opens the first `count` bytes of an object, and asks for no more than these.
    ///
    /// The bytes are not verified; [`ObjectContent::size`] is that of the whole object.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn get_first(&self, name: &ObjectName, count: u64) -> Result<ObjectContent, LakeError>;

    /// Lists all objects in constant memory; whatever else lies in the lake is left out.
    ///
    /// Objects that come or go meanwhile may or may not be among them. After an error the listing is
    /// not complete.
    ///
    /// # Errors
    /// If the lake cannot be reached.
    fn list(&self) -> Result<Listing, LakeError>;

    /// Returns what is known of the lake's server; no I/O. `None` where there is no server.
    fn features(&self) -> Option<Features>;

    /// Returns where the lake's server finds an object, so that a lake beside it can copy the object;
    /// no I/O. `None` where no server copies.
    fn place(&self, name: &ObjectName) -> Option<Place>;
}

/// A lake that objects can be added to.
pub trait WriteLake: ReadLake {
    /// Uploads a batch and returns one result per upload, in order.
    ///
    /// Each object appears whole or not at all, only if its bytes have the promised size and digest,
    /// and is on disk for good when its result says `Created` or `AlreadyThere`. Nothing is ever
    /// overwritten: equal bytes under the name are `AlreadyThere` (renewed when older than a week),
    /// others are [`LakeError::DamagedThere`]. One failure does not stop the rest of the batch. Any
    /// number of processes may put the same object at once; all of them succeed.
    fn put(&self, uploads: &[Upload<'_>], observer: &dyn Observer) -> Vec<Result<Put, LakeError>>;

    /// Renews an object's date, so that its age says how long nobody has used it.
    ///
    /// # Errors
    /// [`LakeError::Absent`], or [`LakeError::ReadOnly`] if only its owner may; safe to ignore.
    fn renew(&self, name: &ObjectName) -> Result<(), LakeError>;

    /// Lets the server copy an object of `size` bytes from another lake on it, so that its bytes do not
    /// pass through here.
    ///
    /// Promises what [`Self::put`] does. `None` if nothing was done because there is no such way: the
    /// place is on another server, the server does not vouch for the SHA-256 of what is there, the lake
    /// names objects by another hash, the object is too large for it, or the server refuses. Then the
    /// bytes have to be put.
    ///
    /// # Errors
    /// If the lake cannot be asked, or holds something else under the name afterwards.
    fn copy(&self, name: &ObjectName, size: u64, from: &Place) -> Result<Option<Put>, LakeError>;
}

/// A lake that can be set up.
pub trait AdminLake: WriteLake {
    /// Declares by which hash the lake names objects, and gives it an id; durable on return.
    ///
    /// Only for commands in which the user names the lake. A declaration that is there stays and is
    /// returned, `wanted` or not given; it only gets an id if it has none and can be written. Of
    /// several first declarations at once, one wins and the others return it. Without `wanted`, a
    /// new declaration says SHA-256.
    ///
    /// # Errors
    /// [`LakeError::HashMismatch`] if another hash is declared, [`LakeError::OtherHashInUse`] if
    /// objects of another digest length are there, [`LakeError::HashNotWritable`],
    /// [`LakeError::NoParent`] with [`Creation::IfParentExists`], and what `declaration` says of one
    /// that is not understood, which is never rewritten.
    fn declare(
        &self,
        wanted: Option<HashName>,
        creation: Creation,
    ) -> Result<Declaration, LakeError>;

    /// Makes sure that objects could be added now, and learns how; leaves no object.
    ///
    /// # Errors
    /// [`LakeError::ReadOnly`] if the lake may only be read.
    fn check_writable(&self) -> Result<(), LakeError>;

    /// Puts an object in the place of other bytes that stand under its name, and keeps those in
    /// [`ASIDE_FOLDER`] as `<object name>.<unix seconds>`.
    ///
    /// The only way in which a lake shows something else under a name; only for commands whose name says
    /// so. What stands there is read in full: if it is the object, nothing is done, and if nothing stands
    /// there, this is [`WriteLake::put`]. The bytes of the upload are checked before anything is touched,
    /// and what is replaced is kept aside for good before it is. The name stands for something all the
    /// time, where the file system knows links.
    ///
    /// # Errors
    /// [`LakeError::NotKept`] if what stands there cannot be kept aside; it is left as it is then.
    fn replace(&self, upload: &Upload<'_>, observer: &dyn Observer) -> Result<Replaced, LakeError>;

    /// Lists all that lies in the lake, whoever put it there, in constant memory; asks for nothing one by
    /// one.
    ///
    /// After an error the survey is not complete.
    ///
    /// # Errors
    /// If the lake cannot be reached.
    fn survey(&self) -> Result<Survey, LakeError>;

    /// Returns the uploads that are under way, or ended early: what staged files and parts there are, and
    /// when each was begun.
    ///
    /// # Errors
    /// If the lake cannot be reached, or its server does not tell.
    fn unfinished(&self) -> Result<Vec<ObjectInfo>, LakeError>;
}
