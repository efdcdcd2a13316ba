//! Lakes in buckets, against the server in this process and any that `GIT_LAKE_TEST_S3` names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use git_lake::access::{Access, KeySource, Keys};
use git_lake::lake::contract::{Sample, Subject, check_all};
use git_lake::lake::s3::{Forgetful, S3Lake, Server};
use git_lake::lake::{
    AdminLake, Creation, LakeError, Put, ReadLake as _, Unobserved, WriteLake as _,
};
use git_lake::lake_url::LakeUrl;
use git_lake::lake_url::typed::{Surroundings, TypedUrl};

use crate::common::s3::{KEY, S3Server, client};

/// Part size of these tests: the smallest that every server takes.
const PART_BYTES: u64 = 5 << 20;

/// A server under test.
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) keys: Keys,
}

impl Endpoint {
    fn of(server: &S3Server) -> Self {
        let keys = Keys { id: KEY.0.into(), secret: KEY.1.into(), token: None };
        Self { host: server.host(), keys }
    }

    /// Returns the server that the environment names, if it does.
    fn outside() -> Option<Self> {
        let address = std::env::var("GIT_LAKE_TEST_S3").ok()?;
        let typed =
            TypedUrl::parse(&address, std::path::Path::new("/"), &Surroundings::default()).unwrap();
        Some(Self { host: typed.url.host().into(), keys: typed.keys.unwrap() })
    }

    fn access(&self) -> Access {
        let source = KeySource::Known { origin: "the test".into(), keys: self.keys.clone() };
        Access { plain_http: true, sources: vec![source], ..Access::default() }
    }

    fn lake(&self, path: &str) -> S3Lake {
        let url = LakeUrl::parse(&format!("s3://{}/{path}", self.host)).unwrap();
        let server = Server::new(&url, self.access(), PART_BYTES, Arc::new(Forgetful));
        S3Lake::new(url.clone(), &url, server).unwrap()
    }

    /// The SDK's own client.
    fn client(&self) -> aws_sdk_s3::Client {
        let keys = &self.keys;
        let credentials =
            aws_sdk_s3::config::Credentials::new(&keys.id, &keys.secret, None, None, "test");
        let config = client::config_at(&self.host).credentials_provider(credentials);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    fn make_bucket(&self, bucket: &str) {
        client::run(self.client().create_bucket().bucket(bucket).send()).unwrap();
    }

    fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let put = self.client().put_object().bucket(bucket).key(key).body(client::bytes(bytes));
        client::run(put.send()).unwrap();
    }

    /// Returns a new bucket with a new lake in it.
    fn new_lake(&self) -> S3Lake {
        let lake = self.lake(&new_bucket());
        lake.declare(None, Creation::WithParents).unwrap();
        lake
    }
}

fn new_bucket() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("lake-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn check_contract(endpoint: Endpoint, prefix: &'static str) {
    let endpoint = Arc::new(endpoint);
    check_all(&|| {
        let bucket = new_bucket();
        let (again, planted) = (Arc::clone(&endpoint), Arc::clone(&endpoint));
        endpoint.make_bucket(&bucket);
        let path = format!("{bucket}{prefix}");
        let folder = format!("{}/", prefix.trim_start_matches('/'));
        let folder = folder.trim_start_matches('/').to_owned();
        Subject {
            needs_declaration: false,
            lake: Arc::new(endpoint.lake(&path)),
            reopen: Box::new(move || -> Arc<dyn AdminLake> { Arc::new(again.lake(&path)) }),
            plant: Box::new(move |name, bytes| {
                let key = format!("{folder}{name}");
                planted.put(&bucket, &key, bytes);
            }),
        }
    });
}

#[test]
fn the_contract_holds_on_the_server_in_this_process() {
    let server = S3Server::start();
    check_contract(Endpoint::of(&server), "");
}

#[test]
fn the_contract_holds_below_a_prefix_without_checksums() {
    let server = S3Server::start();
    server.set_behaviour(|behaviour| behaviour.checksums = false);
    check_contract(Endpoint::of(&server), "/some/prefix");
}

#[test]
fn the_contract_holds_on_the_server_that_the_environment_names() {
    if let Some(endpoint) = Endpoint::outside() {
        check_contract(endpoint, "");
    }
}
