//! A lake in a bucket of some server, opened as git-lake opens it.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use git_lake::access::{Access, KeySource, Keys};
use git_lake::digest::HashName;
use git_lake::lake::contract::Declares;
use git_lake::lake::s3::{Forgetful, Limits, Notes, S3Lake, Server};
use git_lake::lake::{ASIDE_FOLDER, LakeError, Observer, Put, Upload, WriteLake as _};
use git_lake::lake_url::LakeUrl;
use git_lake::lake_url::typed::{Surroundings, TypedUrl};
use git_lake::object_name::ObjectName;

use super::{KEY, S3Server, client};

/// Part size of these tests: the smallest that every server takes.
pub(crate) const PART_BYTES: usize = 5 << 20;
/// Short times, since nothing here is far away.
pub(crate) const LIMITS: Limits = Limits {
    part_bytes: PART_BYTES as u64,
    connect: Duration::from_secs(5),
    stall: Duration::from_secs(20),
};

/// A server under test.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) keys: Keys,
}

impl Endpoint {
    pub(crate) fn of(server: &S3Server) -> Self {
        let keys = Keys { id: KEY.0.into(), secret: KEY.1.into(), token: None };
        Self { host: server.host(), keys }
    }

    /// Returns the server that the environment names, if it does.
    pub(crate) fn outside() -> Option<Self> {
        let address = std::env::var("GIT_LAKE_TEST_S3").ok()?;
        let typed =
            TypedUrl::parse(&address, std::path::Path::new("/"), &Surroundings::default()).unwrap();
        Some(Self { host: typed.url.host().into(), keys: typed.keys.unwrap() })
    }

    /// Returns the address of a bucket, or of a prefix in it, as it is stored.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("s3://{}/{path}", self.host)
    }

    /// The same as somebody types it who has keys.
    pub(crate) fn typed(&self, path: &str) -> String {
        let Keys { id, secret, .. } = &self.keys;
        format!("s3://{id}:{secret}@{}/{path}?secure=false", self.host)
    }

    pub(crate) fn access(&self) -> Access {
        let source = KeySource::Known { origin: "the test".into(), keys: self.keys.clone() };
        Access { plain_http: true, sources: vec![source], ..Access::default() }
    }

    pub(crate) fn lake(&self, path: &str) -> S3Lake {
        self.lake_with(path, self.access(), LIMITS)
    }

    /// Opens lakes that share the server, as those of one process do.
    pub(crate) fn lakes(&self, paths: &[&str]) -> Vec<S3Lake> {
        let url = |path: &&str| LakeUrl::parse(&self.url(path)).unwrap();
        let server = Server::new(&url(&paths[0]), self.access(), LIMITS, Arc::new(Forgetful));
        let open = |path| S3Lake::new(url(path), &url(path), server.clone()).unwrap();
        paths.iter().map(open).collect()
    }

    /// Opens a lake with other keys or limits.
    pub(crate) fn lake_with(&self, path: &str, access: Access, limits: Limits) -> S3Lake {
        self.lake_noting(path, access, limits, Arc::new(Forgetful))
    }

    /// Opens a lake that keeps what it learns.
    pub(crate) fn lake_noting(
        &self,
        path: &str,
        access: Access,
        limits: Limits,
        notes: Arc<dyn Notes>,
    ) -> S3Lake {
        let url = LakeUrl::parse(&self.url(path)).unwrap();
        let server = Server::new(&url, access, limits, notes);
        S3Lake::new(url.clone(), &url, server).unwrap()
    }

    /// The SDK's own client.
    pub(crate) fn client(&self) -> aws_sdk_s3::Client {
        let keys = &self.keys;
        let credentials =
            aws_sdk_s3::config::Credentials::new(&keys.id, &keys.secret, None, None, "test");
        let config = client::config_at(&self.host).credentials_provider(credentials);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    pub(crate) fn make_bucket(&self, bucket: &str) {
        client::run(self.client().create_bucket().bucket(bucket).send()).unwrap();
    }

    /// Asks the server itself if it knows tags, and if it honours conditions.
    pub(crate) fn manners(&self) -> (Declares, bool) {
        let bucket = new_bucket();
        self.make_bucket(&bucket);
        let asked = client::run(self.client().get_bucket_tagging().bucket(&bucket).send());
        let has_tags = match asked {
            Ok(_) => true,
            Err(error) => client::failure::<(), _>(Err(error)).1 == "NoSuchTagSet",
        };
        let put = || {
            let put = self.client().put_object().bucket(&bucket).key("twice").if_none_match("*");
            client::run(put.body(client::bytes(b"x")).send()).is_ok()
        };
        assert!(put());
        (if has_tags { Declares::May } else { Declares::Cannot }, !put())
    }

    pub(crate) fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let put = self.client().put_object().bucket(bucket).key(key).body(client::bytes(bytes));
        client::run(put.send()).unwrap();
    }

    /// Returns the bytes of an object, if it is there.
    pub(crate) fn get(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let get = self.client().get_object().bucket(bucket).key(key);
        client::run(async { Some(get.send().await.ok()?.body.collect().await.unwrap().to_vec()) })
    }

    pub(crate) fn remove(&self, bucket: &str, key: &str) {
        client::run(self.client().delete_object().bucket(bucket).key(key).send()).unwrap();
    }

    /// Returns the bytes of what was replaced below a prefix.
    pub(crate) fn aside(&self, bucket: &str, prefix: &str) -> Vec<Vec<u8>> {
        let begin = format!("{prefix}{ASIDE_FOLDER}/");
        let keys = self.objects(bucket).into_iter().filter(|key| key.starts_with(&begin));
        keys.map(|key| self.get(bucket, &key).unwrap()).collect()
    }

    /// Returns the keys of all objects, but for those that are the lake's own.
    pub(crate) fn objects(&self, bucket: &str) -> Vec<String> {
        let listed = client::run(self.client().list_objects_v2().bucket(bucket).send()).unwrap();
        let keys = listed.contents().iter().map(|object| object.key().unwrap().to_owned());
        keys.filter(|key| !key.contains(".pl/")).collect()
    }
}

/// Opens the bytes of an upload, as often as they are wanted.
pub(crate) type Open<'a> = &'a (dyn Fn() -> io::Result<Box<dyn Read + Send>> + Sync);

/// Uploads one object whose bytes may be others than its name says.
pub(crate) fn put_from(
    lake: &S3Lake,
    name: &ObjectName,
    size: usize,
    open: Open<'_>,
    observer: &dyn Observer,
) -> Result<Put, LakeError> {
    let upload = Upload { name, hash: HashName::Sha256, size: size as u64, open, verified: None };
    lake.put(&[upload], observer).remove(0)
}

/// Returns all that an error says, one cause after the other.
pub(crate) fn words(error: &LakeError) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words += &format!(": {error}");
        cause = error.source();
    }
    words
}

/// Returns a name that no other bucket of this run has.
pub(crate) fn new_bucket() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("lake-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}
