//! The parts of one object: read and hashed in order, sent side by side, completed or given up.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use tokio::task::JoinSet;

use super::S3Lake;
use super::budget::Buffer;
use super::failure::{Doing, Trouble};
use super::part_size::part_bytes;
use super::request::{CONTENT_TYPE, Condition, Hashed, Manners, base64};
use super::unfinished::{Begun, Note, There, abort};
use crate::digest::Hasher;
use crate::lake::{LakeError, Observer, Upload};
use crate::oid::Oid;

/// Parts of one object that are sent at once.
const PARTS_AT_ONCE: usize = 4;
/// Bytes that are read between two looks at the observer.
const CHUNK_BYTES: usize = 1 << 20;
/// How often whoever waits for a part looks if somebody asked to stop.
const LOOK_UP: Duration = Duration::from_millis(100);
/// Completion gets the time of an upload of so many bytes.
const COMPLETION_BYTES: u64 = 8 << 20;

/// The bytes to upload, cut into parts, hashed as a whole and each for itself.
pub(super) struct Source<'a> {
    upload: &'a Upload<'a>,
    reader: Box<dyn std::io::Read + Send>,
    whole: Hasher,
    left: u64,
    part_bytes: u64,
}

impl<'a> Source<'a> {
    pub(super) fn open(upload: &'a Upload<'a>, part_bytes: u64) -> Result<Self, LakeError> {
        let reader = (upload.open)().map_err(|error| upload.unreadable(error))?;
        let whole = Hasher::new(&[upload.hash]);
        Ok(Self { upload, reader, whole, left: upload.size, part_bytes })
    }

    /// Reads the next part; `None` behind the last, once the whole is known to be right.
    pub(super) async fn next_part(
        &mut self,
        observer: &dyn Observer,
    ) -> Result<Option<(Buffer, Oid)>, LakeError> {
        let length = self.part_bytes.min(self.left);
        if length == 0 {
            return self.check_whole().map(|()| None);
        }
        let length = usize::try_from(length).map_err(|_| self.upload.changed())?;
        let mut part = Buffer::take(length).await;
        let mut digest = Hasher::new(&[]);
        for chunk in part.as_mut().chunks_mut(CHUNK_BYTES) {
            if observer.is_cancelled() {
                return Err(LakeError::Cancelled);
            }
            self.reader.read_exact(chunk).map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => self.upload.changed(),
                _ => self.upload.unreadable(error),
            })?;
            self.whole.update(chunk);
            digest.update(chunk);
            observer.advanced(chunk.len() as u64);
        }
        self.left -= length as u64;
        Ok(Some((part, digest.finish().oid)))
    }

    fn check_whole(&mut self) -> Result<(), LakeError> {
        let mut more = [0];
        let rest = self.reader.read(&mut more).map_err(|error| self.upload.unreadable(error))?;
        let whole = std::mem::replace(&mut self.whole, Hasher::new(&[])).finish();
        let digest = whole.digest(self.upload.hash);
        match digest {
            Some(digest) if rest == 0 && digest.hex == self.upload.name.hex() => Ok(()),
            _ => Err(self.upload.changed()),
        }
    }
}

/// An upload in parts that was begun.
pub(super) struct Parts<'a> {
    lake: &'a S3Lake,
    upload: &'a Upload<'a>,
    key: &'a str,
    begun: Begun,
    /// What an earlier process sent.
    there: There,
    manners: Manners,
    sending: JoinSet<Result<CompletedPart, Trouble>>,
    sent: Vec<CompletedPart>,
}

/// Why parts are not all sent.
pub(super) enum Stop {
    /// The bytes cannot be had, are others than promised, or somebody asked to stop.
    Here(LakeError),
    /// The server did not take one.
    There(Trouble),
}

impl<'a> Parts<'a> {
    /// Begins an upload, and notes it before anything is sent.
    pub(super) async fn begin(
        lake: &'a S3Lake,
        upload: &'a Upload<'a>,
        key: &'a str,
        manners: Manners,
        note: &mut Note,
    ) -> Result<Self, LakeError> {
        let begun = lake.host().call(|client| {
            let request = client
                .create_multipart_upload()
                .bucket(&lake.bucket)
                .key(key)
                .content_type(CONTENT_TYPE);
            let checksum = manners.checksums.then_some(ChecksumAlgorithm::Sha256);
            request.set_checksum_algorithm(checksum).send()
        });
        let begun = begun.await.map_err(|trouble| lake.error(trouble, Doing::Writing))?;
        let begun = Begun {
            id: begun.upload_id().unwrap_or_default().to_owned(),
            part_bytes: part_bytes(lake, upload.size),
            has_checksums: manners.checksums,
        };
        note.keep(&begun);
        Ok(Self::go_on(lake, upload, key, manners, (begun, There::default())))
    }

    /// Takes up an upload of which the server has parts.
    pub(super) fn go_on(
        lake: &'a S3Lake,
        upload: &'a Upload<'a>,
        key: &'a str,
        manners: Manners,
        (begun, there): (Begun, There),
    ) -> Self {
        let (sending, sent) = (JoinSet::new(), Vec::new());
        Self { lake, upload, key, begun, there, manners, sending, sent }
    }

    /// Sends all parts that the server does not have; on success the whole has the promised digest.
    pub(super) async fn send(&mut self, observer: &dyn Observer) -> Result<(), Stop> {
        let mut source = Source::open(self.upload, self.begun.part_bytes).map_err(Stop::Here)?;
        let mut number = 0;
        loop {
            let next = source.next_part(observer).await.map_err(Stop::Here)?;
            let Some((part, digest)) = next else { break };
            number += 1;
            let there = self.there.part(number, part.as_ref(), &digest, self.manners.checksums);
            if let Some(there) = there {
                self.sent.push(there);
                continue;
            }
            let sending = send_part(self, number, Bytes::from_owner(part), digest);
            self.sending.spawn_on(sending, &super::runtime::handle());
            while self.sending.len() >= PARTS_AT_ONCE {
                self.collect(observer).await?;
            }
        }
        while !self.sending.is_empty() {
            self.collect(observer).await?;
        }
        self.sent.sort_by_key(CompletedPart::part_number);
        if observer.is_cancelled() { Err(Stop::Here(LakeError::Cancelled)) } else { Ok(()) }
    }

    /// Waits until one more part was sent, or somebody asks to stop.
    async fn collect(&mut self, observer: &dyn Observer) -> Result<(), Stop> {
        let joined = loop {
            match tokio::time::timeout(LOOK_UP, self.sending.join_next()).await {
                Ok(joined) => break joined,
                Err(_) if observer.is_cancelled() => return Err(Stop::Here(LakeError::Cancelled)),
                Err(_) => {}
            }
        };
        if let Some(joined) = joined {
            let sent = joined.expect("sending a part does not panic");
            self.sent.push(sent.map_err(Stop::There)?);
        }
        Ok(())
    }

    /// Puts the parts together under the name, if the condition holds.
    pub(super) async fn complete(&self, condition: Condition<'_>) -> Result<(), Trouble> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.sent.clone())).build();
        let completed = self.lake.host().call(|client| {
            let (if_none_match, if_match) = condition.headers();
            client
                .complete_multipart_upload()
                .bucket(&self.lake.bucket)
                .key(self.key)
                .upload_id(&self.begun.id)
                .multipart_upload(parts.clone())
                .set_if_none_match(if_none_match)
                .set_if_match(if_match)
                .customize()
                // Putting many parts together takes a server its time.
                .config_override(self.lake.timeouts_for(COMPLETION_BYTES))
                .send()
        });
        let completed = completed.await?;
        if completed.e_tag().is_none() {
            return Err(Trouble::Network("A completed upload was not confirmed".into()));
        }
        Ok(())
    }

    /// Sends nothing any more; what the server has stays there.
    pub(super) async fn stop(&mut self) {
        self.sending.shutdown().await;
    }

    /// Gives the parts up. One that stays at the server costs room there and nothing else.
    pub(super) async fn abort(mut self) {
        self.stop().await;
        drop(abort(self.lake, self.key, &self.begun.id).await);
    }
}

fn send_part(
    parts: &Parts<'_>,
    number: i32,
    bytes: Bytes,
    digest: Oid,
) -> impl Future<Output = Result<CompletedPart, Trouble>> + use<> {
    let host = std::sync::Arc::clone(&parts.lake.server.host);
    let (bucket, key, id) =
        (parts.lake.bucket.clone(), parts.key.to_owned(), parts.begun.id.clone());
    let timeouts = parts.lake.timeouts_for(bytes.len() as u64);
    let checksum = parts.manners.checksums.then(|| base64(digest.as_bytes()));
    async move {
        let sent = host.call(|client| {
            client
                .upload_part()
                .bucket(&bucket)
                .key(&key)
                .upload_id(&id)
                .part_number(number)
                .set_checksum_sha256(checksum.clone())
                .body(ByteStream::from(bytes.clone()))
                .customize()
                .interceptor(Hashed(digest))
                .config_override(timeouts.clone())
                .send()
        });
        let sent = sent.await?;
        if sent.e_tag().is_none() {
            // Some proxy answers in the server's place.
            return Err(Trouble::Network("A part was answered as if it were none".into()));
        }
        let part = CompletedPart::builder().part_number(number).set_checksum_sha256(checksum);
        Ok(part.set_e_tag(sent.e_tag().map(str::to_owned)).build())
    }
}
