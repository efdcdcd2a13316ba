//! A lake in a bucket of an S3-compatible server.
//!
//! Objects lie at `<prefix><object name>` of the bucket; the bucket's tags declare the hash and the
//! lake's id, as pipelime has it. Whatever differs between servers is noticed and lived with:
//! `manners` says what this one honours. A bucket is declared only where the user names it; one that
//! declares nothing, or does not let its tags be read, is taken for SHA-256.
//!
//! Everything asynchronous stays in this folder: callers are plain threads that block.
//!
//! # Limitations
//! Where a server does not honour `If-None-Match`, a name is looked up before it is given; of two
//! writers at the same instant the later one then replaces equal bytes.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::ChecksumMode;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::{
    AdminLake, Capabilities, Creation, Declaration, Features, LakeError, Listing, ObjectContent,
    ObjectInfo, Observer, Place, Put, ReadLake, Replaced, Survey, Upload, WriteLake,
};
use crate::access::Access;
use crate::digest::HashName;
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;

mod budget;
mod content;
mod copy;
mod failure;
mod host;
mod http;
mod keys;
mod learned;
mod listing;
mod manners;
mod multipart;
mod part_size;
mod parts;
mod put;
mod replace;
mod request;
mod runtime;
mod tags;
mod there;
mod unfinished;

use failure::{Doing, Trouble};
use host::Host;
use learned::Learned;
pub use manners::{Forgetful, Notes};
use request::Manners;
use runtime::block_on;

/// How much, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Objects above this many bytes go in parts of this many bytes.
    pub part_bytes: u64,
    /// How long a connection may take to be made.
    pub connect: Duration,
    /// How long nothing may arrive, or be taken, before a request is given up.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (connect, stall) = (Duration::from_secs(5), Duration::from_secs(30));
        Self { part_bytes: 8 << 20, connect, stall }
    }
}

/// A server with the lakes on it: connections, keys and what was learned about it are shared.
#[derive(Clone)]
pub struct Server {
    host: Arc<Host>,
    notes: Arc<dyn Notes>,
    limits: Limits,
}

impl Server {
    /// Describes the server of `location`; contacts nobody.
    pub fn new(location: &LakeUrl, access: Access, limits: Limits, notes: Arc<dyn Notes>) -> Self {
        Self::with_stop(location, access, limits, notes, Arc::default())
    }

    /// The same; requests are given up within a tenth of a second once `stop` is set.
    pub fn with_stop(
        location: &LakeUrl,
        access: Access,
        limits: Limits,
        notes: Arc<dyn Notes>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let host = Host::new(location.host(), access, limits, stop);
        Self { host: Arc::new(host), notes, limits }
    }

    /// Describes a server whose answers `client` gives, so that no connection is made: for whoever
    /// judges what is made of answers, many thousand times a second.
    pub fn answered_by(location: &LakeUrl, access: Access, client: SharedHttpClient) -> Self {
        let limits = Limits::default();
        let host = Host::new(location.host(), access, limits, Arc::default());
        let host = Arc::new(host.answered_by(client));
        Self { host, notes: Arc::new(Forgetful), limits }
    }
}

/// A lake in a bucket; clones share what they learn.
#[derive(Clone)]
pub struct S3Lake {
    url: LakeUrl,
    server: Server,
    bucket: String,
    /// Empty, or ends with `/`.
    prefix: String,
    manners: Arc<Mutex<Option<Manners>>>,
    /// Held by whoever finds them out, so that of many uploads at once one asks.
    finding_manners: Arc<tokio::sync::Mutex<()>>,
    /// What was declared when it was last read.
    declared: Arc<Mutex<Option<Declaration>>>,
    /// Uploads that nobody goes on with were looked for.
    is_swept: Arc<AtomicBool>,
    learned: Arc<Learned>,
}

/// What a HEAD request tells.
struct Head {
    info: ObjectInfo,
    /// SHA-256 in base64; with `-` and a number, that of the parts' digests.
    checksum: Option<String>,
    /// The server's name for this version of the object.
    etag: Option<String>,
}

impl S3Lake {
    /// Returns the lake `url`, found in the bucket and prefix of `location` on `server`; no I/O.
    ///
    /// `None` if `location` names no bucket.
    pub fn new(url: LakeUrl, location: &LakeUrl, server: Server) -> Option<Self> {
        let (bucket, prefix) = location.bucket()?;
        let (manners, finding_manners) = (Arc::default(), Arc::default());
        let (declared, is_swept, learned) = Default::default();
        Some(Self {
            url,
            server,
            bucket,
            prefix,
            manners,
            finding_manners,
            declared,
            is_swept,
            learned,
        })
    }

    fn key(&self, name: &ObjectName) -> String {
        format!("{}{name}", self.prefix)
    }

    fn host(&self) -> &Host {
        &self.server.host
    }

    fn error(&self, trouble: Trouble, doing: Doing<'_>) -> LakeError {
        trouble.into_error(&self.url, &self.bucket, doing)
    }

    /// Asks for an object; `None` if the bucket is there and has no such object.
    async fn head(&self, key: &str) -> Result<Option<Head>, Trouble> {
        let host = self.host();
        let ask = || {
            host.call(|client| {
                let request = client.head_object().bucket(&self.bucket).key(key);
                request.checksum_mode(ChecksumMode::Enabled).send()
            })
        };
        let mut answer = ask().await;
        if answer.as_ref().is_err_and(|trouble| trouble.says(failure::Refusal::is_mute)) {
            // A HEAD has no body that says why; a GET of the first byte does, and wrong keys are
            // given up on the way.
            let asked = host.call(|client| {
                client.get_object().bucket(&self.bucket).key(key).range("bytes=0-0").send()
            });
            match asked.await {
                Ok(_) => answer = ask().await,
                Err(trouble) if trouble.says(|refusal| refusal.status == 416) => {
                    answer = ask().await;
                }
                Err(trouble) if trouble.says(failure::Refusal::is_not_found) => return Ok(None),
                Err(trouble) => return Err(trouble),
            }
        }
        let head = match answer {
            Ok(head) => head,
            Err(trouble) if trouble.says(failure::Refusal::is_not_found) => {
                // A HEAD cannot tell a missing object from a missing bucket.
                self.reach().await?;
                return Ok(None);
            }
            Err(trouble) => return Err(trouble),
        };
        let size = head.content_length().and_then(|size| u64::try_from(size).ok());
        let size = size.ok_or_else(|| Trouble::Network("An answer tells no size".into()))?;
        let modified = head.last_modified().and_then(seconds);
        let checksum = head.checksum_sha256().map(str::to_owned);
        let etag = head.e_tag().map(str::to_owned);
        Ok(Some(Head { info: ObjectInfo { size, modified }, checksum, etag }))
    }

    /// Makes sure once that the bucket exists.
    async fn reach(&self) -> Result<(), Trouble> {
        if self.known_declaration().is_none() {
            let declaration = self.read_tags().await?.declaration(&self.url);
            // What it declares is somebody else's question here.
            if let Ok(declaration) = declaration {
                self.remember(&declaration);
            }
        }
        Ok(())
    }

    async fn read_tags(&self) -> Result<tags::Tags, Trouble> {
        let tags = tags::read(self).await?;
        self.learned.has_tags.get_or_init(|| matches!(tags, tags::Tags::Known(_)));
        Ok(tags)
    }

    fn known_declaration(&self) -> Option<Declaration> {
        self.declared.lock().expect("no holder panics").clone()
    }

    fn remember(&self, declaration: &Declaration) {
        *self.declared.lock().expect("no holder panics") = Some(declaration.clone());
    }
}

/// Returns seconds since 1970, as far as there were any.
fn seconds(date: &DateTime) -> Option<u64> {
    u64::try_from(date.secs()).ok()
}

impl ReadLake for S3Lake {
    fn url(&self) -> &LakeUrl {
        &self.url
    }

    fn capabilities(&self) -> Capabilities {
        // A request is made for each object, so nothing is gained from batches; and how many at once
        // are worth it is only seen one by one.
        Capabilities { batch_count: 1, batch_bytes: 32 << 20, side_by_side: usize::MAX }
    }

    fn declaration(&self) -> Result<Declaration, LakeError> {
        let read = block_on(self.read_tags());
        let declaration =
            read.map_err(|trouble| self.error(trouble, Doing::Looking))?.declaration(&self.url)?;
        self.remember(&declaration);
        Ok(declaration)
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<ObjectInfo>, LakeError> {
        let head = block_on(self.head(&self.key(name)));
        let head = head.map_err(|trouble| self.error(trouble, Doing::Reading(name)))?;
        Ok(head.map(|head| head.info))
    }

    fn stat_all(&self, names: &[ObjectName]) -> Vec<Result<Option<ObjectInfo>, LakeError>> {
        block_on(listing::stat_all(self, names))
    }

    fn get(&self, name: &ObjectName, from: u64) -> Result<ObjectContent, LakeError> {
        content::get(self, name, from)
    }

    fn get_first(&self, name: &ObjectName, count: u64) -> Result<ObjectContent, LakeError> {
        content::get_first(self, name, count)
    }

    fn list(&self) -> Result<Listing, LakeError> {
        listing::list(self)
    }

    fn features(&self) -> Option<Features> {
        Some(learned::features(self))
    }

    fn place(&self, name: &ObjectName) -> Option<Place> {
        let server = Arc::clone(&self.server.host);
        Some(Place::new(server, &self.bucket, self.key(name)))
    }
}

impl WriteLake for S3Lake {
    fn put(&self, uploads: &[Upload<'_>], observer: &dyn Observer) -> Vec<Result<Put, LakeError>> {
        put::put(self, uploads, observer)
    }

    fn renew(&self, name: &ObjectName) -> Result<(), LakeError> {
        let renewed = block_on(there::renew(self, name));
        renewed.map_err(|trouble| self.error(trouble, Doing::Reading(name)))
    }

    fn copy(&self, name: &ObjectName, size: u64, from: &Place) -> Result<Option<Put>, LakeError> {
        let is_beside = self.place(name).is_some_and(|place| place.is_beside(from));
        if is_beside { block_on(copy::copy(self, name, size, from)) } else { Ok(None) }
    }
}

impl AdminLake for S3Lake {
    fn declare(
        &self,
        wanted: Option<HashName>,
        creation: Creation,
    ) -> Result<Declaration, LakeError> {
        let declaration = block_on(tags::declare(self, wanted, creation))?;
        self.remember(&declaration);
        Ok(declaration)
    }

    fn check_writable(&self) -> Result<(), LakeError> {
        let tried = block_on(manners::try_out(self));
        tried.map(drop).map_err(|trouble| self.error(trouble, Doing::Writing))
    }

    fn replace(&self, upload: &Upload<'_>, observer: &dyn Observer) -> Result<Replaced, LakeError> {
        block_on(replace::replace(self, upload, observer))
    }

    fn survey(&self) -> Result<Survey, LakeError> {
        listing::survey(self)
    }

    fn unfinished(&self) -> Result<Vec<ObjectInfo>, LakeError> {
        let listed = block_on(unfinished::all(self));
        listed.map_err(|trouble| self.error(trouble, Doing::Looking))
    }
}
