//! Uploading what is larger than one part.
//!
//! Parts are read and hashed in order by the caller's thread and sent side by side; the upload is
//! completed only if the whole has the promised digest, and aborted otherwise. A part is at least
//! [`super::Server`]'s part size, more where ten thousand of them would not be enough.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use tokio::task::JoinSet;

use super::budget::Buffer;
use super::failure::{Doing, Refusal, Trouble};
use super::manners::Manners;
use super::request::{CONTENT_TYPE, Hashed, base64, refuses_conditions};
use super::there::{self, is_same, known_digest};
use super::{Head, S3Lake, manners};
use crate::digest::Hasher;
use crate::lake::{LakeError, Observer, Proof, Put, Upload};
use crate::oid::Oid;

/// S3 takes no more parts than this.
const MAX_PARTS: u64 = 10_000;
/// Parts of one object that are sent at once.
const PARTS_AT_ONCE: usize = 4;
/// Part sizes are whole numbers of this many bytes.
const PART_UNIT_BYTES: u64 = 1 << 20;
/// Bytes that are read between two looks at the observer.
const CHUNK_BYTES: usize = 1 << 20;
/// How often the upload begins again when somebody else uploads the same at the same moment.
const ATTEMPTS: u32 = 3;

/// Uploads an object in parts, unless it is there.
pub(super) async fn put(
    lake: &S3Lake,
    upload: &Upload<'_>,
    mut manners: Manners,
    observer: &dyn Observer,
) -> Result<Put, LakeError> {
    let key = lake.key(upload.name);
    let believed = manners.conditions;
    for _ in 0..ATTEMPTS {
        // A question costs nothing against sending all of it for nothing.
        if let Some(head) = there::head(lake, upload.name, &key).await? {
            return found(lake, upload, head, observer).await;
        }
        let mut parts = Parts::begin(lake, upload, &key, manners).await?;
        let sent = parts.send(observer).await;
        let completed = match sent {
            Ok(()) => parts.complete().await,
            Err(error) => {
                parts.abort().await;
                return Err(error);
            }
        };
        let Err(trouble) = completed else {
            if believed != manners.conditions {
                manners::doubt_conditions(lake);
            }
            return Ok(Put::Created);
        };
        parts.abort().await;
        if trouble.says(Refusal::is_precondition)
            || trouble.says(Refusal::is_conflict)
            // The answer to the completion was lost, or somebody gave the upload up.
            || trouble.says(|refusal| &*refusal.code == "NoSuchUpload")
        {
            continue;
        }
        if manners.conditions && trouble.says(refuses_conditions) {
            manners.conditions = false;
            continue;
        }
        return Err(lake.error(trouble, Doing::Writing));
    }
    Err(LakeError::Busy { url: lake.url.clone(), after: None })
}

/// Decides what an object is worth that is there already.
async fn found(
    lake: &S3Lake,
    upload: &Upload<'_>,
    head: Head,
    observer: &dyn Observer,
) -> Result<Put, LakeError> {
    let count = upload.size.div_ceil(part_bytes(lake, upload.size));
    let of_parts = head.checksum.as_ref().and_then(|checksum| checksum.rsplit_once('-'));
    let is_cut_alike = of_parts.is_some_and(|(_, parts)| parts.parse() == Ok(count));
    if !is_cut_alike || head.info.size != upload.size {
        return there::found(lake, upload, head, known_digest(upload).as_ref(), observer).await;
    }
    // The server vouches for the digest of the parts' digests.
    let told = head.checksum.clone();
    if told == Some(composite(lake, upload, observer).await?) || is_same(lake, upload, observer)? {
        return Ok(Put::AlreadyThere(Proof::Content));
    }
    Err(LakeError::DamagedThere {
        object: lake.url.source(upload.name.clone()),
        found: head.info.size,
    })
}

/// Returns the size of each part but the last.
fn part_bytes(lake: &S3Lake, size: u64) -> u64 {
    large_enough(lake.server.limits.part_bytes, size)
}

fn large_enough(usual: u64, size: u64) -> u64 {
    usual.max(size.div_ceil(MAX_PARTS).next_multiple_of(PART_UNIT_BYTES))
}

/// Computes what a server tells of an object that was uploaded in these parts.
async fn composite(
    lake: &S3Lake,
    upload: &Upload<'_>,
    observer: &dyn Observer,
) -> Result<String, LakeError> {
    let mut source = Source::open(upload, part_bytes(lake, upload.size))?;
    let (mut digests, mut count) = (Vec::new(), 0);
    while let Some((_, digest)) = source.next_part(observer).await? {
        digests.extend_from_slice(digest.as_bytes());
        count += 1;
    }
    Ok(format!("{}-{count}", base64(Oid::of(&digests).as_bytes())))
}

/// The bytes to upload, cut into parts, hashed as a whole and each for itself.
struct Source<'a> {
    upload: &'a Upload<'a>,
    reader: Box<dyn std::io::Read + Send>,
    whole: Hasher,
    left: u64,
    part_bytes: u64,
}

impl<'a> Source<'a> {
    fn open(upload: &'a Upload<'a>, part_bytes: u64) -> Result<Self, LakeError> {
        let reader = (upload.open)().map_err(|error| upload.unreadable(error))?;
        let whole = Hasher::new(&[upload.hash]);
        Ok(Self { upload, reader, whole, left: upload.size, part_bytes })
    }

    /// Reads the next part; `None` behind the last, once the whole is known to be right.
    async fn next_part(
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
struct Parts<'a> {
    lake: &'a S3Lake,
    upload: &'a Upload<'a>,
    key: &'a str,
    id: String,
    manners: Manners,
    sending: JoinSet<Result<CompletedPart, Trouble>>,
    sent: Vec<CompletedPart>,
}

impl<'a> Parts<'a> {
    async fn begin(
        lake: &'a S3Lake,
        upload: &'a Upload<'a>,
        key: &'a str,
        manners: Manners,
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
        let id = begun.upload_id().unwrap_or_default().to_owned();
        Ok(Self { lake, upload, key, id, manners, sending: JoinSet::new(), sent: Vec::new() })
    }

    /// Sends all parts; on success the whole has the promised digest.
    async fn send(&mut self, observer: &dyn Observer) -> Result<(), LakeError> {
        let mut source = Source::open(self.upload, part_bytes(self.lake, self.upload.size))?;
        let mut number = 0;
        loop {
            let Some((part, digest)) = source.next_part(observer).await? else { break };
            number += 1;
            let sending = send_part(self, number, Bytes::from_owner(part), digest);
            self.sending.spawn_on(sending, &super::runtime::handle());
            while self.sending.len() >= PARTS_AT_ONCE {
                self.collect().await?;
            }
        }
        while !self.sending.is_empty() {
            self.collect().await?;
        }
        self.sent.sort_by_key(CompletedPart::part_number);
        if observer.is_cancelled() { Err(LakeError::Cancelled) } else { Ok(()) }
    }

    async fn collect(&mut self) -> Result<(), LakeError> {
        if let Some(joined) = self.sending.join_next().await {
            let sent = joined.expect("sending a part does not panic");
            let sent = sent.map_err(|trouble| self.lake.error(trouble, Doing::Writing))?;
            self.sent.push(sent);
        }
        Ok(())
    }

    async fn complete(&self) -> Result<(), Trouble> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.sent.clone())).build();
        let completed = self.lake.host().call(|client| {
            let condition = self.manners.conditions.then(|| "*".to_owned());
            client
                .complete_multipart_upload()
                .bucket(&self.lake.bucket)
                .key(self.key)
                .upload_id(&self.id)
                .multipart_upload(parts.clone())
                .set_if_none_match(condition)
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

    /// Gives the parts up. One that stays at the server costs room there and nothing else.
    async fn abort(&mut self) {
        self.sending.shutdown().await;
        let aborted = self.lake.host().call(|client| {
            let request = client.abort_multipart_upload().bucket(&self.lake.bucket).key(self.key);
            request.upload_id(&self.id).send()
        });
        drop(aborted.await);
    }
}

/// Completion gets the time of an upload of so many bytes.
const COMPLETION_BYTES: u64 = 8 << 20;

fn send_part(
    parts: &Parts<'_>,
    number: i32,
    bytes: Bytes,
    digest: Oid,
) -> impl Future<Output = Result<CompletedPart, Trouble>> + use<> {
    let host = std::sync::Arc::clone(&parts.lake.server.host);
    let (bucket, key, id) = (parts.lake.bucket.clone(), parts.key.to_owned(), parts.id.clone());
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
        let part = CompletedPart::builder().part_number(number).set_checksum_sha256(checksum);
        Ok(part.set_e_tag(sent.e_tag().map(str::to_owned)).build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_where_ten_thousand_would_not_be_enough() {
        const USUAL: u64 = 8 << 20;
        let most = USUAL * MAX_PARTS;
        assert_eq!(large_enough(USUAL, USUAL + 1), USUAL);
        assert_eq!(large_enough(USUAL, most), USUAL);
        assert_eq!(large_enough(USUAL, most + 1), USUAL + PART_UNIT_BYTES);
        for size in [most + 1, 1 << 40, 5 << 40, (5 << 40) - 1] {
            let part = large_enough(USUAL, size);
            assert!(
                size.div_ceil(part) <= MAX_PARTS && part.is_multiple_of(PART_UNIT_BYTES),
                "{size}"
            );
        }
        // The largest size that a pointer can have is not cut in a way that overflows.
        assert!((1_u64 << 63).div_ceil(large_enough(USUAL, 1 << 63)) <= MAX_PARTS);
    }
}
