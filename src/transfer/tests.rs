use std::sync::Arc;

use super::download::{Downloads, Failure, Wanted};
use super::lakes::Lakes;
use super::report::Silent;
use super::upload::{Job, Origin};
use super::*;
use crate::digest::HashName;
use crate::lake::faulty::{Call, Fault, FaultyLake, Turn};
use crate::lake::memory::MemoryLake;
use crate::lake::{Creation, LakeError};
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;
use crate::oid::Oid;
use crate::repo_path::RepoPath;
use crate::store::health::HealthRecords;

struct Site {
    dir: tempfile::TempDir,
    transfer: Transfer,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Arc::new(Store::at(&dir.path().join("git")));
        let receipts = Arc::new(Receipts::at(store.root()));
        let lakes = Arc::new(Lakes::new(opener()));
        let (reporter, cancel) = (Arc::new(Silent), Cancel::default());
        let (jobs, retry) = (Some(4), retry::Policy::default());
        Self {
            dir,
            transfer: Transfer {
                store,
                receipts,
                lakes,
                reporter,
                cancel,
                jobs,
                retry,
                throttle: None,
                repairs: Arc::default(),
            },
        }
    }

    fn lake(&self, name: &str) -> LakeUrl {
        LakeUrl::from_folder(&self.dir.path().join(name)).expect("an address")
    }

    fn declare(&self, name: &str, hash: HashName) -> LakeUrl {
        let url = self.lake(name);
        let lake = folders().open_admin(&url, &url);
        lake.declare(Some(hash), Creation::IfParentExists).expect("declares");
        url
    }

    fn store(&self, content: &[u8]) -> Oid {
        self.transfer.store.put(Oid::of(content), content).expect("stores");
        Oid::of(content)
    }

    fn job(&self, lake: &LakeUrl, content: &[u8]) -> Job {
        let oid = self.store(content);
        let url = lake.source(name(oid));
        let path = RepoPath::parse(b"a.png").expect("a path");
        let (size, hash) = (content.len() as u64, HashName::Sha256);
        Job { url, oid, size, hash, path, from: Origin::Store }
    }

    fn wanted(&self, content: &[u8], lakes: &[&LakeUrl]) -> Wanted {
        let oid = Oid::of(content);
        let candidates = lakes.iter().map(|lake| lake.source(name(oid))).collect();
        Wanted { oid, size: content.len() as u64, candidates, repairs: Vec::new() }
    }
}

fn name(oid: Oid) -> ObjectName {
    ObjectName::new(&oid.into(), b"a.png")
}

/// Opens folders; no server is asked in these tests.
fn folders() -> crate::lake::Opener {
    let access = Box::new(|_: &LakeUrl| crate::access::Access::default());
    crate::lake::Opener::new(access, Arc::new(crate::lake::s3::Forgetful), Default::default())
}

fn opener() -> crate::transfer::lakes::Opener {
    let folders = folders();
    Box::new(move |url| folders.open(url, url))
}

/// Forgets what is stored, as another clone would not have it.
fn forget(site: &Site, content: &[u8]) {
    std::fs::remove_file(site.transfer.store.object_path(Oid::of(content))).expect("stored");
}

#[test]
fn uploads_go_to_every_lake_and_leave_receipts() {
    let site = Site::new();
    let lakes = [site.declare("one", HashName::Sha256), site.declare("two", HashName::Sha256)];
    let contents: Vec<Vec<u8>> = (0..200u32).map(|i| i.to_le_bytes().to_vec()).collect();
    let mut all = Vec::new();
    for lake in &lakes {
        all.extend(contents.iter().map(|content| site.job(lake, content)));
    }
    let report = site.transfer.upload(all.clone());
    assert_eq!((report.moved.sent, report.moved.already, report.failures.len()), (400, 0, 0));
    for job in &all {
        let receipt = site.transfer.receipts.get(&job.url).expect("reads").expect("proved");
        assert_eq!(receipt.size, 4);
    }
    let report = site.transfer.upload(all);
    assert_eq!((report.moved.sent, report.moved.already), (0, 400));
}

#[test]
fn a_lake_that_cannot_be_reached_fails_its_own_jobs_only() {
    let site = Site::new();
    let (good, gone) = (site.declare("good", HashName::Sha256), site.lake("gone"));
    let other = site.declare("other", HashName::Blake2b);
    let jobs = vec![site.job(&good, b"1"), site.job(&gone, b"1"), site.job(&other, b"1")];
    let report = site.transfer.upload(jobs);
    assert_eq!(report.moved.sent, 1);
    let mut texts: Vec<String> =
        report.failures.iter().map(|(_, failure)| failure.to_string()).collect();
    texts.sort();
    assert_eq!(texts.len(), 2);
    assert!(texts[0].starts_with("Could not reach the lake"), "{texts:?}");
    assert!(texts[1].ends_with("it declares blake2b, the settings say sha256"), "{texts:?}");
}

#[test]
fn an_object_that_is_damaged_in_the_store_is_never_published() {
    let site = Site::new();
    let lake = site.declare("lake", HashName::Sha256);
    let job = site.job(&lake, b"content");
    std::fs::remove_file(site.transfer.store.object_path(job.oid)).expect("stored");
    let report = site.transfer.upload(vec![job.clone()]);
    assert!(matches!(report.failures[..], [(_, upload::Failure::NotStored)]));
    let path = site.transfer.store.object_path(job.oid);
    crate::fs::write_atomic(&path, b"c0ntent", crate::fs::Shared::Yes).expect("writes");
    let report = site.transfer.upload(vec![job.clone()]);
    let [(_, upload::Failure::Lake(LakeError::SourceChanged { .. }))] = report.failures[..] else {
        panic!("{:?}", report.failures);
    };
    let open = site.transfer.lakes.at(&lake);
    assert_eq!(open.usable().expect("well").stat(&job.url.name).expect("asks"), None);
    assert_eq!(site.transfer.receipts.get(&job.url).expect("reads"), None);
}

#[test]
fn a_download_tries_the_next_source_when_one_is_gone_or_holds_other_bytes() {
    let site = Site::new();
    let (bad, good) =
        (site.declare("bad", HashName::Sha256), site.declare("good", HashName::Sha256));
    let gone = site.lake("gone");
    for size in [7, 3 << 20] {
        let content = vec![7; size];
        let job = site.job(&good, &content);
        assert_eq!(site.transfer.upload(vec![job.clone()]).moved.sent, 1);
        let damaged = bad.folder().expect("a folder").join(job.url.name.as_str());
        let mut other = content.clone();
        other[3] ^= 1;
        crate::fs::write_atomic(&damaged, &other, crate::fs::Shared::Yes).expect("writes");
        forget(&site, &content);
        let mut downloads = Downloads::new(site.transfer.clone());
        downloads.submit(site.wanted(&content, &[&gone, &bad, &good]));
        let done = downloads.wait().expect("one");
        done.result.expect("the third source has it");
        assert!(downloads.wait().is_none());
        let stored = site.transfer.store.read_verified(job.oid, size as u64);
        assert_eq!(stored.expect("reads"), Some(content));
    }
}

#[test]
fn a_download_that_no_source_can_serve_says_what_each_of_them_said() {
    let site = Site::new();
    let (empty, gone) = (site.declare("empty", HashName::Sha256), site.lake("gone"));
    let failure = site.transfer.download(&site.wanted(b"content", &[&empty, &gone]));
    let text = failure.expect_err("nowhere").to_string();
    let unreachable = format!("Could not reach the lake `{gone}`: The folder does not exist");
    assert_eq!(text, format!("it is not in `{empty}`; {unreachable}"));
    let failure = site.transfer.download(&site.wanted(b"content", &[])).expect_err("nowhere");
    assert_eq!(failure.to_string(), "No source is known");
}

#[test]
fn cancelling_ends_downloads_and_uploads_without_a_trace() {
    let site = Site::new();
    let lake = site.declare("lake", HashName::Sha256);
    let job = site.job(&lake, b"content");
    site.transfer.cancel.cancel();
    let report = site.transfer.upload(vec![job.clone()]);
    assert!(matches!(report.failures[..], [(_, upload::Failure::Cancelled)]));
    let open = site.transfer.lakes.at(&lake);
    assert_eq!(open.usable().expect("well").stat(&job.url.name).expect("asks"), None);
    forget(&site, b"content");
    let failure = site.transfer.download(&site.wanted(b"content", &[&lake])).expect_err("stops");
    assert!(matches!(failure, Failure::Cancelled));
}

#[test]
fn a_lake_that_is_given_up_is_not_asked_by_the_next_process_if_that_could_help() {
    let dir = tempfile::tempdir().expect("a folder");
    let records = HealthRecords::at(dir.path());
    let url = LakeUrl::parse("s3://memory/lake").expect("an address");
    let faulty =
        Arc::new(FaultyLake::new(Arc::new(MemoryLake::declared(url.clone(), HashName::Sha256))));
    let process = || {
        let faulty = Arc::clone(&faulty);
        Lakes::with_records(
            Box::new(move |_| Arc::clone(&faulty) as _),
            records.clone(),
            Cancel::default(),
        )
    };
    let busy = || Err::<(), _>(LakeError::Busy { url: url.clone(), after: None });
    let full = || {
        let source = crate::lake::Cause::Server(Arc::default());
        Err::<(), _>(LakeError::Full { url: url.clone(), source })
    };
    let first = process().at(&url);
    (0..5).for_each(|_| first.note(&full()));
    assert!(first.usable().is_err());
    let second = process().at(&url);
    second.usable().expect("only a person can help, and perhaps has");
    (0..2).for_each(|_| second.note(&busy()));
    process().at(&url).usable().expect("twice is no reason");
    second.note(&busy());
    let text = |error: LakeError| report::with_causes(&error);
    let error = text(process().at(&url).usable().err().expect("it rests"));
    let because = ", since: Could not get an answer from the lake `s3://memory/lake`: it is busy";
    assert!(
        error.starts_with("Could not reach the lake `s3://memory/lake`: It is not asked again")
    );
    assert!(error.ends_with(because), "{error}");
    let insisting = process();
    insisting.insist();
    insisting.at(&url).usable().expect("the user wants it");
    process().at(&url).usable().expect("forgotten");
    assert_eq!(faulty.count(Call::Declaration), 4);
}

#[test]
fn uploads_and_downloads_are_no_faster_than_they_may_be() {
    let mut site = Site::new();
    site.transfer.throttle = Some(rate::Throttle::new(400_000));
    let lake = site.declare("lake", HashName::Sha256);
    let content = vec![7; 160_000];
    let begun = std::time::Instant::now();
    assert_eq!(site.transfer.upload(vec![site.job(&lake, &content)]).moved.sent, 1);
    forget(&site, &content);
    site.transfer.download(&site.wanted(&content, &[&lake])).expect("fetches");
    // A quarter of a second is there at the beginning.
    assert!(begun.elapsed() >= std::time::Duration::from_millis(500), "{:?}", begun.elapsed());
}

/// Two lakes in memory that hold the same objects, the first of them faulty.
fn two_lakes(contents: &[Vec<u8>]) -> (Site, [LakeUrl; 2], Arc<FaultyLake>) {
    let mut site = Site::new();
    let urls = ["s3://memory/one", "s3://memory/two"].map(|url| LakeUrl::parse(url).expect("good"));
    let lakes = urls.clone().map(|url| {
        let lake = MemoryLake::declared(url, HashName::Sha256);
        for content in contents {
            lake.plant(&name(Oid::of(content)), content);
        }
        Arc::new(FaultyLake::new(Arc::new(lake)))
    });
    let faulty = Arc::clone(&lakes[0]);
    let first = urls[0].clone();
    let open = move |url: &LakeUrl| Arc::clone(&lakes[usize::from(*url != first)]) as _;
    site.transfer.lakes = Arc::new(Lakes::new(Box::new(open)));
    (site, urls, faulty)
}

#[test]
fn a_server_whose_answers_all_break_off_is_given_up() {
    let contents: Vec<Vec<u8>> = (0..8u32).map(|at| at.to_le_bytes().to_vec()).collect();
    let (mut site, [one, _], faulty) = two_lakes(&contents);
    site.transfer.retry.first_wait = std::time::Duration::from_millis(1);
    faulty.inject(Call::Get, Turn::From(1), Fault::BreakAt(2));
    for content in &contents {
        let wanted = site.wanted(content, &[&one]);
        site.transfer.download(&wanted).expect_err("no connection holds");
    }
    // Three objects, each in four rounds.
    assert_eq!(faulty.count(Call::Get), 12);
}

#[test]
fn a_source_that_takes_far_longer_than_usual_is_overtaken_by_another() {
    let contents: Vec<Vec<u8>> = (0..22u32).map(|at| at.to_le_bytes().to_vec()).collect();
    let (site, [one, two], faulty) = two_lakes(&contents);
    let minute = std::time::Duration::from_secs(60);
    faulty.inject(Call::Get, Turn::Nth(21), Fault::Stall(minute));
    let fetch = |content: &[u8]| {
        let wanted = site.wanted(content, &[&one, &two]);
        site.transfer.download(&wanted).expect("fetches").source.expect("from a lake").lake
    };
    assert!(contents[..20].iter().all(|content| fetch(content) == one));
    let begun = std::time::Instant::now();
    assert_eq!(fetch(&contents[20]), two);
    assert!(begun.elapsed() < minute / 2);
    assert_eq!(fetch(&contents[21]), one);
    // Without another source there is nothing but to wait.
    let stall = std::time::Duration::from_millis(1500);
    faulty.inject(Call::Get, Turn::Nth(23), Fault::Stall(stall));
    forget(&site, &contents[0]);
    let wanted = site.wanted(&contents[0], &[&one]);
    assert_eq!(site.transfer.download(&wanted).expect("waits").source.expect("there").lake, one);
}
