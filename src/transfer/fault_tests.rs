//! Many objects through lakes that fail now and then in every way there is, or for good in the middle.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::download::{Downloads, Wanted};
use super::lakes::Lakes;
use super::report::Silent;
use super::upload::{Job, Origin};
use super::*;
use crate::digest::HashName;
use crate::lake::faulty::{Call, Fault, FaultyLake, Turn};
use crate::lake::folder::FolderLake;
use crate::lake::memory::MemoryLake;
use crate::lake::{AdminLake, Creation, LakeError, Obstacle, ReadLake as _};
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::object_name::ObjectName;
use crate::oid::Oid;
use crate::repo_path::RepoPath;
use crate::store::receipts::Receipts;

const SMALL: usize = 10_000;
/// Small objects where each is synced.
const FEW: usize = 1000;
const LARGE: usize = 10;

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Makes a lake of this name, in this folder if it needs one.
type Make = fn(&Path, &str) -> (LakeUrl, Arc<dyn AdminLake>);

struct Case {
    dir: tempfile::TempDir,
    contents: BTreeMap<Oid, Vec<u8>>,
    lakes: BTreeMap<LakeUrl, Arc<FaultyLake>>,
    /// How many objects are not large.
    small: usize,
}

fn source(lake: &LakeUrl, oid: Oid) -> SourceUrl {
    lake.source(ObjectName::new(&oid.into(), b"a.bin"))
}

impl Case {
    /// Two lakes in memory, where nothing costs time.
    fn in_memory() -> Self {
        Self::new(SMALL, |_, name| {
            let url = LakeUrl::parse(&format!("s3://memory/{name}")).expect("an address");
            (url.clone(), Arc::new(MemoryLake::declared(url, HashName::Sha256)))
        })
    }

    /// Two folders.
    fn in_folders() -> Self {
        Self::new(FEW, |dir, name| {
            let folder = dir.join(name);
            let url = LakeUrl::from_folder(&folder).expect("an address");
            let lake = FolderLake::new(url.clone(), folder);
            lake.declare(None, Creation::IfParentExists).expect("declares");
            (url, Arc::new(lake))
        })
    }

    fn new(small: usize, make: Make) -> Self {
        let mut numbers = Numbers(42);
        let sizes = (0..small).map(|at| 8 + at % 500).chain((0..LARGE).map(|at| (3 << 20) + at));
        let contents = sizes.map(|size| {
            let mut bytes = vec![at_most_byte(size); size];
            bytes[..8].copy_from_slice(&numbers.next().to_le_bytes());
            (Oid::of(&bytes), bytes)
        });
        let contents = contents.collect();
        let dir = tempfile::tempdir().expect("a folder");
        let lakes = ["one", "two"].map(|name| {
            let (url, lake) = make(dir.path(), name);
            (url, Arc::new(FaultyLake::new(lake)))
        });
        Self { dir, contents, lakes: BTreeMap::from(lakes), small }
    }

    /// What a new process would work with, on the store of this name.
    fn process(&self, store: &str) -> Transfer {
        let store = Arc::new(Store::at(&self.dir.path().join(store)));
        let lakes = self.lakes.clone();
        let policy =
            retry::Policy { first_wait: Duration::from_millis(1), ..retry::Policy::default() };
        Transfer {
            receipts: Arc::new(Receipts::at(store.root())),
            store,
            lakes: Arc::new(Lakes::new(Box::new(move |url| Arc::clone(&lakes[url]) as _))),
            reporter: Arc::new(Silent),
            cancel: Cancel::default(),
            jobs: None,
            retry: policy,
            throttle: None,
            repairs: Arc::default(),
        }
    }

    /// Lets one call in a hundred go wrong.
    fn disturb(&self, call: Call) {
        let mut numbers = Numbers(7);
        for (url, lake) in &self.lakes {
            let url = || url.clone();
            let away = Obstacle::Network("The connection broke".into());
            let faults = [
                Fault::Fail(LakeError::Busy { url: url(), after: None }),
                Fault::Fail(LakeError::Busy { url: url(), after: Some(Duration::from_millis(2)) }),
                Fault::Fail(LakeError::Unreachable { url: url(), obstacle: away }),
                Fault::LoseAnswer(LakeError::Busy { url: url(), after: None }),
                Fault::Stall(Duration::from_millis(1)),
                Fault::EndAt(5),
                Fault::BreakAt(3),
                Fault::FlipBitAt(4),
            ];
            for turn in 0..self.small as u64 / 100 {
                let fault = &faults[(numbers.next() % faults.len() as u64) as usize];
                lake.inject(call, Turn::Nth(turn * 100 + 1 + numbers.next() % 100), fault.clone());
            }
        }
    }

    /// The lake that comes first does not answer from this call on.
    fn end_one(&self, call: Call, from: u64) -> &Arc<FaultyLake> {
        let (url, lake) = self.lakes.first_key_value().expect("two");
        let obstacle = Obstacle::Network("There was no answer in time".into());
        let away = LakeError::Unreachable { url: url.clone(), obstacle };
        lake.inject(call, Turn::From(from), Fault::Fail(away));
        lake
    }

    fn jobs(&self, transfer: &Transfer) -> Vec<Job> {
        let path = RepoPath::parse(b"a.bin").expect("a path");
        let mut jobs = Vec::new();
        for (oid, bytes) in &self.contents {
            transfer.store.put(*oid, bytes).expect("stores");
            let (oid, size, hash) = (*oid, bytes.len() as u64, HashName::Sha256);
            jobs.extend(self.lakes.keys().map(|lake| {
                let (url, path) = (source(lake, oid), path.clone());
                Job { url, oid, size, hash, path, from: Origin::Store }
            }));
        }
        jobs
    }

    /// Uploads until nothing is owed; returns how many processes that took.
    fn upload_all(&self, mut owed: Vec<Job>) -> usize {
        for attempt in 1.. {
            let report = self.process("up").upload(owed);
            owed = report.failures.into_iter().map(|(job, _)| job).collect();
            if owed.is_empty() {
                return attempt;
            }
        }
        unreachable!("there is always another attempt")
    }

    fn lakes_are_whole(&self) {
        for (url, lake) in &self.lakes {
            lake.heal();
            assert_eq!(lake.list().expect("lists").count(), self.contents.len());
            for (oid, bytes) in &self.contents {
                let mut content = lake.get(&source(url, *oid).name, 0).expect("there");
                let mut found = Vec::new();
                content.reader.read_to_end(&mut found).expect("reads");
                assert!(found == *bytes, "{oid} in {url}");
            }
        }
    }

    /// Downloads all and compares every byte.
    fn download_all(&self) {
        let transfer = self.process("down");
        let mut downloads = Downloads::new(transfer.clone());
        for (oid, bytes) in &self.contents {
            let candidates = self.lakes.keys().map(|lake| source(lake, *oid)).collect();
            let (oid, size, repairs) = (*oid, bytes.len() as u64, Vec::new());
            downloads.submit(Wanted { oid, size, candidates, repairs });
        }
        while let Some(done) = downloads.wait() {
            done.result.expect("one of the sources has it");
        }
        for (oid, bytes) in &self.contents {
            let stored = transfer.store.read_verified(*oid, bytes.len() as u64).expect("reads");
            assert!(stored.as_ref() == Some(bytes), "{oid}");
        }
    }
}

fn at_most_byte(size: usize) -> u8 {
    u8::try_from(size % 251).expect("less than 251")
}

#[test]
fn objects_that_meet_every_fault_arrive_in_the_end() {
    arrive_in_the_end(&Case::in_memory());
}

#[test]
fn objects_of_folders_that_meet_every_fault_arrive_in_the_end() {
    arrive_in_the_end(&Case::in_folders());
}

fn arrive_in_the_end(case: &Case) {
    let jobs = case.jobs(&case.process("up"));
    case.disturb(Call::Put);
    let processes = case.upload_all(jobs);
    assert!(processes <= 3, "{processes}");
    case.lakes_are_whole();
    case.disturb(Call::Get);
    case.download_all();
}

#[test]
fn of_two_lakes_the_one_that_dies_in_the_middle_costs_nothing_but_its_own_uploads() {
    let case = Case::in_memory();
    let jobs = case.jobs(&case.process("up"));
    let dead = case.end_one(Call::Put, 5000);
    let report = case.process("up").upload(jobs);
    // Batches of four that were under way ended; the other lake has all.
    let (sent, total) = (report.moved.sent, case.contents.len());
    assert_eq!(sent, total + 4999);
    assert!(report.failures.iter().all(|(job, _)| job.url.lake == *dead.url()));
    let asked = dead.count(Call::Put);
    assert!(asked < 5200, "{asked}");
    dead.heal();
    let owed = report.failures.into_iter().map(|(job, _)| job).collect();
    assert_eq!(case.upload_all(owed), 1);
    case.lakes_are_whole();
    let before = dead.count(Call::Get);
    case.end_one(Call::Get, before + 5000);
    case.download_all();
    let asked = dead.count(Call::Get) - before;
    assert!(asked < 5200, "{asked}");
}
