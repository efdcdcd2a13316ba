//! What came over the wire, request by request.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};

use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;

/// A request as it arrived, before anything was done about it.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) method: String,
    /// Decoded, such as `/lake/some key`.
    pub(crate) path: String,
    /// Decoded; a parameter without a value has an empty one.
    pub(crate) query: BTreeMap<String, String>,
    /// By lower-case name; of headers that come twice, the last one.
    pub(crate) headers: BTreeMap<String, String>,
    /// Who signed it, in the header or in the query.
    pub(crate) access_key_id: Option<String>,
    /// The region it is signed for.
    pub(crate) region: Option<String>,
    /// The name of the operation in Amazon's reference, or `Unknown`.
    pub(crate) operation: &'static str,
    /// Bytes of the body that the server has read up to now, as they were on the wire.
    pub(crate) body_bytes: u64,
}

impl Recorded {
    pub(super) fn new(parts: &Parts) -> Self {
        let headers: BTreeMap<String, String> = parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), from_bytes(value.as_bytes())))
            .collect();
        let query = parts.uri.query().unwrap_or("").split('&').filter(|pair| !pair.is_empty());
        let query: BTreeMap<String, String> = query
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        let path = decoded(parts.uri.path());
        let (access_key_id, region) = scope(&headers, &query).unzip();
        let operation = operation(parts.method.as_str(), &path, &query, &headers);
        let method = parts.method.to_string();
        Self { method, path, query, headers, access_key_id, region, operation, body_bytes: 0 }
    }

    /// Returns the bucket, empty if there is none.
    pub(crate) fn bucket(&self) -> &str {
        split(&self.path).0
    }

    /// Returns the key, empty if it is about a bucket.
    pub(crate) fn key(&self) -> &str {
        split(&self.path).1
    }
}

fn from_bytes(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn split(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_once('/').unwrap_or((path, ""))
}

/// Returns the key id and the region of a version 4 signature.
fn scope(
    headers: &BTreeMap<String, String>,
    query: &BTreeMap<String, String>,
) -> Option<(String, String)> {
    let in_header = headers.get("authorization").and_then(|value| {
        let (_, rest) = value.split_once("Credential=")?;
        rest.split([',', ' ']).next()
    });
    let credential = in_header.or(query.get("X-Amz-Credential").map(String::as_str))?;
    let mut parts = credential.split('/');
    let (id, _date, region) = (parts.next()?, parts.next()?, parts.next()?);
    Some((id.to_owned(), region.to_owned()))
}

fn operation(
    method: &str,
    path: &str,
    query: &BTreeMap<String, String>,
    headers: &BTreeMap<String, String>,
) -> &'static str {
    let asks = |name: &str| query.contains_key(name);
    let is_copy = headers.contains_key("x-amz-copy-source");
    let (bucket, key) = split(path);
    match (method, bucket.is_empty(), key.is_empty()) {
        ("GET", true, _) => "ListBuckets",
        (_, true, _) => "Unknown",
        ("GET", _, true) if asks("tagging") => "GetBucketTagging",
        ("GET", _, true) if asks("uploads") => "ListMultipartUploads",
        ("GET", _, true) if asks("location") => "GetBucketLocation",
        ("GET", _, true) if asks("list-type") => "ListObjectsV2",
        ("GET", _, true) => "ListObjects",
        ("HEAD", _, true) => "HeadBucket",
        ("PUT", _, true) if asks("tagging") => "PutBucketTagging",
        ("PUT", _, true) => "CreateBucket",
        ("POST", _, true) if asks("delete") => "DeleteObjects",
        ("DELETE", _, true) if asks("tagging") => "DeleteBucketTagging",
        ("DELETE", _, true) => "DeleteBucket",
        ("GET", _, false) if asks("uploadId") => "ListParts",
        ("GET", _, false) => "GetObject",
        ("HEAD", _, false) => "HeadObject",
        ("PUT", _, false) if asks("partNumber") && is_copy => "UploadPartCopy",
        ("PUT", _, false) if asks("partNumber") => "UploadPart",
        ("PUT", _, false) if is_copy => "CopyObject",
        ("PUT", _, false) => "PutObject",
        ("POST", _, false) if asks("uploads") => "CreateMultipartUpload",
        ("POST", _, false) if asks("uploadId") => "CompleteMultipartUpload",
        ("DELETE", _, false) if asks("uploadId") => "AbortMultipartUpload",
        ("DELETE", _, false) => "DeleteObject",
        _ => "Unknown",
    }
}

/// All requests in order of arrival.
#[derive(Default)]
pub(super) struct Log(Mutex<Vec<(Recorded, Arc<AtomicU64>)>>);

impl Log {
    /// Adds a request; `received` counts the bytes of its body from now on.
    pub(super) fn add(&self, request: Recorded, received: Arc<AtomicU64>) {
        self.entries().push((request, received));
    }

    pub(super) fn all(&self) -> Vec<Recorded> {
        let entries = self.entries();
        let counted = entries.iter().map(|(request, received)| Recorded {
            body_bytes: received.load(Ordering::SeqCst),
            ..request.clone()
        });
        counted.collect()
    }

    pub(super) fn take(&self) -> Vec<Recorded> {
        let all = self.all();
        self.entries().drain(..all.len());
        all
    }

    fn entries(&self) -> MutexGuard<'_, Vec<(Recorded, Arc<AtomicU64>)>> {
        self.0.lock().unwrap()
    }
}
