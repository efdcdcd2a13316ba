//! Uploads in parts.

use std::time::SystemTime;

use aws_smithy_types::base64;
use hyper::body::Bytes;
use s3s::crypto::{Checksum as _, Md5, Sha256};
use s3s::dto::CompletedPart;
use s3s::{S3Error, S3Result, s3_error};

use super::storage::{About, Object, State, Upload, hex};

impl State {
    /// Begins an upload and returns its id.
    pub(super) fn begin(
        &mut self,
        bucket: &str,
        key: String,
        has_checksums: bool,
        about: About,
    ) -> S3Result<String> {
        let id = format!("upload-{}", self.uploads_begun);
        let has_checksums = has_checksums && self.behaviour.checksums;
        let begun = SystemTime::now();
        let upload = Upload { key, has_checksums, about, parts: Default::default(), begun };
        self.bucket(bucket)?.uploads.insert(id.clone(), upload);
        self.uploads_begun += 1;
        Ok(id)
    }

    /// Returns an upload of a key.
    pub(super) fn upload(&mut self, bucket: &str, key: &str, id: &str) -> S3Result<&mut Upload> {
        let upload = self.bucket(bucket)?.uploads.get_mut(id);
        upload.filter(|upload| upload.key == key).ok_or_else(no_such_upload)
    }

    /// Ends an upload and stores nothing.
    pub(super) fn abort(&mut self, bucket: &str, key: &str, id: &str) -> S3Result<()> {
        self.upload(bucket, key, id)?;
        self.bucket(bucket)?.uploads.remove(id);
        Ok(())
    }

    /// Ends an upload, and stores the parts that are named as one object.
    ///
    /// The caller has checked the conditions. An upload that cannot be completed goes on.
    pub(super) fn complete(
        &mut self,
        bucket: &str,
        key: &str,
        id: &str,
        named: &[CompletedPart],
        claimed_sha256: Option<&str>,
    ) -> S3Result<Object> {
        let smallest = self.behaviour.smallest_part;
        let with_checksums = self.behaviour.checksums;
        let upload = self.upload(bucket, key, id)?;
        let parts = upload.named(named)?;
        let (_, inner) = parts.split_last().ok_or_else(malformed)?;
        if inner.iter().any(|part| (part.bytes.len() as u64) < smallest) {
            let message = "Your proposed upload is smaller than the minimum allowed size";
            return Err(s3_error!(EntityTooSmall, "{message}"));
        }
        let object = upload.join(&parts);
        let is_wrong = |claimed: &str| {
            let whole = object.sha256.as_deref().unwrap_or("");
            claimed != whole && Some(claimed) != whole.rsplit_once('-').map(|(digest, _)| digest)
        };
        if with_checksums && claimed_sha256.is_some_and(is_wrong) {
            let message = "The sha256 you specified did not match the calculated checksum.";
            return Err(s3_error!(BadDigest, "{message}"));
        }
        let bucket = self.bucket(bucket)?;
        bucket.uploads.remove(id);
        bucket.objects.insert(key.to_owned(), object.clone());
        Ok(object)
    }
}

impl Upload {
    /// Returns the parts that are named, each with the right digests and in ascending order.
    fn named(&self, named: &[CompletedPart]) -> S3Result<Vec<&Object>> {
        let mut parts = Vec::new();
        let mut last = 0;
        for part in named {
            let number = part.part_number.ok_or_else(malformed)?;
            if number <= last {
                let message = "The list of parts was not in ascending order.";
                return Err(s3_error!(InvalidPartOrder, "{message}"));
            }
            last = number;
            let found = self.parts.get(&number).ok_or_else(invalid_part)?;
            if part.e_tag.as_ref().is_none_or(|etag| etag.value() != found.etag) {
                return Err(invalid_part());
            }
            if self.has_checksums && part.checksum_sha256.is_none() {
                return Err(s3_error!(
                    InvalidRequest,
                    "The upload was created using a sha256 checksum. The complete request must \
                     include the checksum for each part. It was missing for part {number} in the \
                     request."
                ));
            }
            if self.has_checksums && part.checksum_sha256 != found.sha256 {
                return Err(invalid_part());
            }
            parts.push(found);
        }
        Ok(parts)
    }

    fn join(&self, parts: &[&Object]) -> Object {
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.bytes.len()).sum());
        let (mut md5s, mut sha256s) = (Md5::new(), Sha256::new());
        for part in parts {
            bytes.extend_from_slice(&part.bytes);
            md5s.update(&Md5::checksum(&part.bytes));
            sha256s.update(&Sha256::checksum(&part.bytes));
        }
        let count = parts.len();
        let sha256 = base64::encode(sha256s.finalize());
        Object {
            bytes: Bytes::from(bytes),
            etag: format!("{}-{count}", hex(&md5s.finalize())),
            sha256: self.has_checksums.then(|| format!("{sha256}-{count}")),
            about: self.about.clone(),
            modified: SystemTime::now(),
        }
    }
}

fn no_such_upload() -> S3Error {
    let message = "The specified upload does not exist. The upload ID may be invalid, or the \
                   upload may have been aborted or completed.";
    s3_error!(NoSuchUpload, "{message}")
}

fn invalid_part() -> S3Error {
    let message = "One or more of the specified parts could not be found. The part may not have \
                   been uploaded, or the specified entity tag may not match the part's entity tag.";
    s3_error!(InvalidPart, "{message}")
}

fn malformed() -> S3Error {
    let message = "The XML you provided was not well-formed or did not validate against our \
                   published schema";
    s3_error!(MalformedXML, "{message}")
}
