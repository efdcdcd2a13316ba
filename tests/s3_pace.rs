//! How fast many small objects go to a bucket and come from it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::noise;
use crate::common::s3::endpoint::Endpoint;
use crate::common::s3::{Fault, S3Server};
use git_lake::digest::HashName;
use git_lake::lake::{
    Capabilities, Declaration, Features, LakeError, Listing, ObjectContent, ObjectInfo, Observer,
    Place, Put, ReadLake, Upload, WriteLake,
};
use git_lake::lake_url::LakeUrl;
use git_lake::object_name::ObjectName;
use git_lake::oid::Oid;
use git_lake::repo_path::RepoPath;
use git_lake::store::Store;
use git_lake::store::receipts::Receipts;
use git_lake::transfer::download::{Downloads, Wanted};
use git_lake::transfer::lakes::Lakes;
use git_lake::transfer::report::Silent;
use git_lake::transfer::upload::{Job, Origin};
use git_lake::transfer::{Cancel, Transfer, retry};

/// A lake that says how many requests at once it gains from, and in which batches.
struct Limited {
    inner: Arc<dyn WriteLake>,
    capabilities: Capabilities,
}

impl ReadLake for Limited {
    fn url(&self) -> &LakeUrl {
        self.inner.url()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn declaration(&self) -> Result<Declaration, LakeError> {
        self.inner.declaration()
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<ObjectInfo>, LakeError> {
        self.inner.stat(name)
    }

    fn stat_all(&self, names: &[ObjectName]) -> Vec<Result<Option<ObjectInfo>, LakeError>> {
        self.inner.stat_all(names)
    }

    fn get(&self, name: &ObjectName, from: u64) -> Result<ObjectContent, LakeError> {
        self.inner.get(name, from)
    }

    fn get_first(&self, name: &ObjectName, count: u64) -> Result<ObjectContent, LakeError> {
        self.inner.get_first(name, count)
    }

    fn list(&self) -> Result<Listing, LakeError> {
        self.inner.list()
    }

    fn features(&self) -> Option<Features> {
        self.inner.features()
    }

    fn place(&self, name: &ObjectName) -> Option<Place> {
        self.inner.place(name)
    }
}

impl WriteLake for Limited {
    fn put(&self, uploads: &[Upload<'_>], observer: &dyn Observer) -> Vec<Result<Put, LakeError>> {
        self.inner.put(uploads, observer)
    }

    fn renew(&self, name: &ObjectName) -> Result<(), LakeError> {
        self.inner.renew(name)
    }

    fn copy(&self, name: &ObjectName, size: u64, from: &Place) -> Result<Option<Put>, LakeError> {
        self.inner.copy(name, size, from)
    }
}

/// Uploads and downloads objects through a new server; returns how long each took.
fn measure(
    contents: &[(Oid, Vec<u8>)],
    delay: Duration,
    limit: Option<Capabilities>,
) -> (Duration, Duration) {
    let server = S3Server::start();
    let endpoint = Endpoint::of(&server);
    let inner: Arc<dyn WriteLake> = Arc::new(endpoint.lake("lake"));
    let capabilities = limit.unwrap_or_else(|| inner.capabilities());
    let lake: Arc<dyn WriteLake> = Arc::new(Limited { inner, capabilities });
    lake.put(&[], &git_lake::lake::Unobserved);
    if !delay.is_zero() {
        server.fault(|_| true, usize::MAX, Fault::Delay(delay));
    }
    let dir = tempfile::tempdir().unwrap();
    let url = lake.url().clone();
    let lakes = Arc::new(Lakes::new(Box::new(move |_| Arc::clone(&lake))));
    lakes.at(&url).usable().unwrap();
    let transfer = |name: &str| {
        let store = Arc::new(Store::at(&dir.path().join(name)));
        let receipts = Arc::new(Receipts::at(store.root()));
        let (lakes, reporter) = (Arc::clone(&lakes), Arc::new(Silent));
        let (cancel, retry) = (Cancel::default(), retry::Policy::default());
        Transfer {
            store,
            receipts,
            lakes,
            reporter,
            cancel,
            jobs: None,
            retry,
            throttle: None,
            repairs: Arc::default(),
        }
    };
    let source = |oid: Oid| url.source(ObjectName::new(&oid.into(), b"a.bin"));
    let up = transfer("up");
    let path = RepoPath::parse(b"a.bin").unwrap();
    let jobs: Vec<Job> = contents
        .iter()
        .map(|(oid, bytes)| {
            up.store.put(*oid, bytes).unwrap();
            let (url, size) = (source(*oid), bytes.len() as u64);
            let (size, hash, from) = (size, HashName::Sha256, Origin::Store);
            Job { url, oid: *oid, size, hash, path: path.clone(), from }
        })
        .collect();
    let begun = Instant::now();
    let report = up.upload(jobs);
    let uploading = begun.elapsed();
    assert_eq!((report.moved.sent, report.failures.len()), (contents.len(), 0));
    let begun = Instant::now();
    let mut downloads = Downloads::new(transfer("down"));
    for (oid, bytes) in contents {
        let (size, candidates) = (bytes.len() as u64, vec![source(*oid)]);
        downloads.submit(Wanted { oid: *oid, size, candidates, repairs: Vec::new() });
    }
    while let Some(done) = downloads.wait() {
        done.result.unwrap();
    }
    (uploading, begun.elapsed())
}

#[test]
#[ignore = "a measurement: run it alone, with --nocapture"]
#[expect(clippy::print_stdout, reason = "somebody reads it")]
fn small_objects_side_by_side() {
    let contents: Vec<(Oid, Vec<u8>)> = (1..=2000)
        .map(|seed| noise(seed, 20 << 10))
        .map(|bytes| (Oid::of(&bytes), bytes))
        .collect();
    let eight = Capabilities { batch_count: 32, batch_bytes: 32 << 20, side_by_side: 8 };
    for ms in [0, 30] {
        let delay = Duration::from_millis(ms);
        let mut ratios = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let (fixed_up, fixed_down) = measure(&contents, delay, Some(eight));
            let (up, down) = measure(&contents, delay, None);
            println!("{ms} ms: up {fixed_up:.2?} {up:.2?}, down {fixed_down:.2?} {down:.2?}");
            ratios.0.push(fixed_up.as_secs_f64() / up.as_secs_f64());
            ratios.1.push(fixed_down.as_secs_f64() / down.as_secs_f64());
        }
        println!("{ms} ms: times faster up {:.2?} down {:.2?}", ratios.0, ratios.1);
    }
}
