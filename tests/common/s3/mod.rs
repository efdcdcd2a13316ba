//! An S3 server for tests: real HTTP, real signatures, buckets in memory.
//!
//! It behaves as Amazon's documentation says, unless told to behave as others do, or to fail. All
//! that it owns ends with it. Checksums other than SHA-256, versions, delimiters in lists and
//! deleting many objects at once are not known to it.

mod access;
mod behaviour;
pub(crate) mod client;
pub(crate) mod endpoint;
mod faults;
pub(crate) mod forwarder;
mod front;
mod gate;
mod multipart;
mod operations;
pub(crate) mod proxy;
mod recorded;
mod storage;
pub(crate) mod tls;
pub(crate) mod web;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::{Arc, MutexGuard};
use std::time::SystemTime;

use hyper::body::Bytes;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::S3ServiceBuilder;

pub(crate) use behaviour::{Behaviour, Conditions, Rights, Tags};
pub(crate) use faults::Fault;
pub(crate) use recorded::Recorded;

use behaviour::Key;
use front::Front;
use gate::{Gate, Port};
use storage::{About, Bucket, Object, Shared, State};

/// A running server with the key pair [`KEY`] and the bucket `lake`; it stops when dropped.
pub(crate) struct S3Server {
    port: Port,
    front: Arc<Front>,
}

/// Id and secret of the key pair that every server knows.
pub(crate) const KEY: (&str, &str) = ("testkey", "testsecret");

impl S3Server {
    /// Starts a server on a free port that only this machine reaches.
    pub(crate) fn start() -> Self {
        Self::start_at(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// Starts a server at an address of this machine that is not for itself alone, if it has one.
    pub(crate) fn start_outside() -> Option<Self> {
        // Nothing is sent; the address only has to be elsewhere.
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.connect("198.51.100.1:9").ok()?;
        let address = socket.local_addr().ok()?.ip();
        (!address.is_loopback() && !address.is_unspecified()).then(|| Self::start_at(address))
    }

    fn start_at(address: IpAddr) -> Self {
        let state = Shared::default();
        let mut builder = S3ServiceBuilder::new(operations::Storage(state.clone()));
        builder.set_auth(access::Keys(state.clone()));
        builder.set_access(access::Permissions(state.clone()));
        // The front compares the times, for the server's clock may be ahead.
        let mut config = S3Config::default();
        config.presigned_url_max_skew_time_secs = u32::MAX;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        let front = Arc::new(Front { s3: builder.build(), state, gate: Gate::default() });
        let answering = Arc::clone(&front);
        let port = Port::open(address, 2, move |request| {
            let front = Arc::clone(&answering);
            async move { front.answer(request).await }
        });
        let server = Self { port, front };
        server.create_bucket("lake");
        server.add_key(KEY.0, KEY.1, Rights::All);
        server
    }

    /// Returns address and port, such as `127.0.0.1:1234`.
    pub(crate) fn host(&self) -> String {
        self.port.host()
    }

    /// Makes an empty bucket.
    pub(crate) fn create_bucket(&self, name: &str) {
        self.state().buckets.insert(name.to_owned(), Bucket::default());
    }

    /// Makes a key pair known, or gives a known one another secret and other rights.
    pub(crate) fn add_key(&self, id: &str, secret: &str, rights: Rights) {
        let key = Key { secret: secret.to_owned(), rights, token: None, is_expired: false };
        self.state().keys.insert(id.to_owned(), key);
    }

    /// Makes a key valid only together with a session token.
    pub(crate) fn require_token(&self, id: &str, token: &str) {
        self.key(id, |key| key.token = Some(token.to_owned()));
    }

    /// Makes a key unknown.
    pub(crate) fn revoke_key(&self, id: &str) {
        self.state().keys.remove(id);
    }

    /// Makes the server answer 400 ExpiredToken to a key.
    pub(crate) fn expire_key(&self, id: &str) {
        self.key(id, |key| key.is_expired = true);
    }

    /// Changes how the server behaves from now on.
    pub(crate) fn set_behaviour(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.state().behaviour);
    }

    /// Stores an object without a request; `has_checksum` says if HEAD knows its SHA-256.
    pub(crate) fn plant(&self, bucket: &str, key: &str, bytes: &[u8], has_checksum: bool) {
        let bytes = Bytes::copy_from_slice(bytes);
        let object = Object::new(bytes, has_checksum, About::default());
        self.bucket(bucket, |bucket| bucket.objects.insert(key.to_owned(), object));
    }

    /// Changes the bytes of an object behind all that is known of them, as a bad disk does.
    pub(crate) fn rot(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        self.bucket(bucket, |bucket| bucket.objects.get_mut(key).unwrap().bytes = bytes);
    }

    /// Sets when an object was written last.
    pub(crate) fn set_modified(&self, bucket: &str, key: &str, modified: SystemTime) {
        self.bucket(bucket, |bucket| bucket.objects.get_mut(key).unwrap().modified = modified);
    }

    /// Removes an object without a request.
    pub(crate) fn remove(&self, bucket: &str, key: &str) {
        self.bucket(bucket, |bucket| bucket.objects.remove(key));
    }

    /// Gives an object another key; all that is known of it stays.
    pub(crate) fn rename(&self, bucket: &str, from: &str, to: &str) {
        self.bucket(bucket, |bucket| {
            let object = bucket.objects.remove(from).unwrap();
            bucket.objects.insert(to.to_owned(), object);
        });
    }

    /// Returns the bytes of an object.
    pub(crate) fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        self.bucket(bucket, |bucket| bucket.objects.get(key).map(|object| object.bytes.to_vec()))
    }

    /// Returns the keys of all objects, sorted.
    pub(crate) fn keys(&self, bucket: &str) -> Vec<String> {
        self.bucket(bucket, |bucket| bucket.objects.keys().cloned().collect())
    }

    /// Returns the tags of a bucket.
    pub(crate) fn tags(&self, bucket: &str) -> BTreeMap<String, String> {
        self.bucket(bucket, |bucket| bucket.tags.clone())
    }

    /// Sets the tags of a bucket, all of them.
    pub(crate) fn set_tags(&self, bucket: &str, tags: &[(&str, &str)]) {
        let tags = tags.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        self.bucket(bucket, |bucket| bucket.tags = tags.collect());
    }

    /// Returns how many uploads in parts are neither completed nor aborted.
    pub(crate) fn unfinished_uploads(&self, bucket: &str) -> usize {
        self.bucket(bucket, |bucket| bucket.uploads.len())
    }

    /// Returns the numbers of the parts of an upload that is neither completed nor aborted, sorted.
    pub(crate) fn parts(&self, bucket: &str, key: &str) -> Vec<i32> {
        self.bucket(bucket, |bucket| {
            let uploads = bucket.uploads.values().filter(|upload| upload.key == key);
            let mut numbers: Vec<i32> =
                uploads.flat_map(|upload| upload.parts.keys()).copied().collect();
            numbers.sort_unstable();
            numbers
        })
    }

    /// Puts other bytes in the place of a part of every upload that is not ended.
    pub(crate) fn replace_part(&self, bucket: &str, number: i32, bytes: &[u8]) {
        self.bucket(bucket, |bucket| {
            for upload in bucket.uploads.values_mut() {
                let bytes = Bytes::copy_from_slice(bytes);
                let part = Object::new(bytes, upload.has_checksums, About::default());
                upload.parts.insert(number, part);
            }
        });
    }

    /// Begins an upload in parts that nobody ends.
    pub(crate) fn begin_upload(&self, bucket: &str, key: &str, parts: &[&[u8]]) {
        let id = self.state().begin(bucket, key.to_owned(), false, About::default()).unwrap();
        let objects = parts.iter().zip(1..).map(|(bytes, number)| {
            let bytes = Bytes::copy_from_slice(bytes);
            (number, Object::new(bytes, false, About::default()))
        });
        let parts = objects.collect();
        self.bucket(bucket, |bucket| bucket.uploads.get_mut(&id).unwrap().parts = parts);
    }

    /// Forgets uploads that are neither completed nor aborted, as a rule of the bucket does.
    pub(crate) fn forget_uploads(&self, bucket: &str) {
        self.bucket(bucket, |bucket| bucket.uploads.clear());
    }

    /// Returns all requests in order of arrival.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.front.gate.log.all()
    }

    /// Returns all requests and forgets them.
    pub(crate) fn take_requests(&self) -> Vec<Recorded> {
        self.front.gate.log.take()
    }

    /// Makes the next requests that match meet a fault; of several faults the first one added.
    pub(crate) fn fault(
        &self,
        matches: impl Fn(&Recorded) -> bool + Send + 'static,
        times: usize,
        fault: Fault,
    ) {
        self.front.gate.faults.add(matches, times, fault);
    }

    /// Lets nothing go wrong any more; requests that stand still stay so.
    pub(crate) fn heal(&self) {
        self.front.gate.faults.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.front.state.lock().unwrap()
    }

    #[track_caller]
    fn bucket<T>(&self, name: &str, work: impl FnOnce(&mut Bucket) -> T) -> T {
        work(self.state().buckets.get_mut(name).unwrap())
    }

    #[track_caller]
    fn key(&self, id: &str, change: impl FnOnce(&mut Key)) {
        change(self.state().keys.get_mut(id).unwrap());
    }
}
