//! Lakes in buckets: the contract, and what one asks of the server for it.

use std::sync::Arc;

use git_lake::digest::HashName;
use git_lake::lake::contract::{Sample, Subject, check_all};
use git_lake::lake::{
    AdminLake, Creation, LakeError, Obstacle, Proof, Put, ReadLake as _, Unobserved,
};
use git_lake::object_name::ObjectName;

use crate::common::s3::endpoint::{Endpoint, PART_BYTES, new_bucket};
use crate::common::s3::{Conditions, Fault, KEY, Recorded, Rights, S3Server, Tags};

fn check_contract(endpoint: Endpoint, prefix: &'static str) {
    let endpoint = Arc::new(endpoint);
    let (declares, has_one_creator) = endpoint.manners();
    check_all(&|| {
        let bucket = new_bucket();
        let (again, planted, kept) =
            (Arc::clone(&endpoint), Arc::clone(&endpoint), Arc::clone(&endpoint));
        endpoint.make_bucket(&bucket);
        let path = format!("{bucket}{prefix}");
        let folder = format!("{}/", prefix.trim_start_matches('/'));
        let folder = folder.trim_start_matches('/').to_owned();
        let (beside, neighbour) = (Arc::clone(&endpoint), format!("{}{prefix}", new_bucket()));
        let lakes = endpoint.lakes(&[&path, &neighbour]);
        let [lake, other] = lakes.try_into().unwrap_or_else(|_| unreachable!());
        Subject {
            neighbour: Some(Box::new(move || {
                beside.make_bucket(neighbour.split('/').next().unwrap());
                Arc::new(other.clone())
            })),
            declares,
            has_one_creator,
            lake: Arc::new(lake),
            reopen: Box::new(move || -> Arc<dyn AdminLake> { Arc::new(again.lake(&path)) }),
            aside: Box::new({
                let (bucket, folder) = (bucket.clone(), folder.clone());
                move || kept.aside(&bucket, &folder)
            }),
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
fn the_contract_holds_where_conditions_are_ignored_and_there_are_no_tags() {
    let server = S3Server::start();
    server.set_behaviour(|behaviour| {
        (behaviour.conditions, behaviour.tags) = (Conditions::Ignored, Tags::NotImplemented);
    });
    check_contract(Endpoint::of(&server), "");
}

#[test]
fn the_contract_holds_on_the_server_that_the_environment_names() {
    if let Some(endpoint) = Endpoint::outside() {
        check_contract(endpoint, "");
    }
}

/// A server in this process with a declared lake in its bucket `lake`, whose manners are known.
fn lake_on(server: &S3Server) -> git_lake::lake::s3::S3Lake {
    let lake = Endpoint::of(server).lake("lake");
    lake.declare(None, Creation::IfParentExists).unwrap();
    lake.check_writable().unwrap();
    server.take_requests();
    lake
}

fn operations(server: &S3Server) -> Vec<&'static str> {
    server.take_requests().iter().map(|request| request.operation).collect()
}

fn count(server: &S3Server, operation: &str) -> usize {
    operations(server).iter().filter(|found| **found == operation).count()
}

fn samples(count: u32, size: usize) -> Vec<Sample> {
    let content = |number: u32| {
        let mut bytes = vec![0; size];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        Sample::new(&bytes)
    };
    (0..count).map(content).collect()
}

fn read(lake: &dyn AdminLake, name: &ObjectName, from: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut reader = lake.get(name, from).unwrap().reader;
    std::io::Read::read_to_end(&mut reader, &mut bytes).map(|_| bytes)
}

#[test]
fn a_new_object_is_one_request_and_one_that_is_there_two() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let new = samples(10, 20_000);
    for put in Sample::put_all(&new, &lake, &Unobserved) {
        assert_eq!(put.unwrap(), Put::Created);
    }
    let requests = server.take_requests();
    let is_plain = |request: &Recorded| {
        request.operation == "PutObject"
            && request.headers["if-none-match"] == "*"
            && request.headers.contains_key("x-amz-checksum-sha256")
    };
    assert!(requests.len() == 10 && requests.iter().all(is_plain), "{requests:?}");
    let again = new[0].put(&lake).unwrap();
    assert_eq!(again, Put::AlreadyThere(Proof::Content));
    assert_eq!(operations(&server), ["PutObject", "HeadObject"]);
}

#[test]
fn tags_are_read_once_and_manners_tried_once() {
    let server = S3Server::start();
    lake_on(&server);
    let lake = Endpoint::of(&server).lake("lake");
    for sample in samples(3, 100) {
        sample.put(&lake).unwrap();
    }
    let asked = operations(&server);
    // Tried before, so the first conditional upload is refused, and a HEAD tells of checksums.
    assert_eq!(asked[..3], ["GetBucketTagging", "PutObject", "HeadObject"]);
    assert_eq!(asked[3..], ["PutObject"; 3]);
}

#[test]
fn nothing_is_overwritten_where_conditions_are_ignored_or_refused() {
    for conditions in [Conditions::Ignored, Conditions::Refused] {
        let server = S3Server::start();
        server.set_behaviour(|behaviour| behaviour.conditions = conditions);
        let lake = lake_on(&server);
        let [free, taken, large] = [b"free", b"take", b"larg"].map(|bytes| Sample::new(bytes));
        server.plant("lake", taken.name().as_str(), b"other", true);
        assert_eq!(free.put(&lake).unwrap(), Put::Created);
        assert_eq!(free.put(&lake).unwrap(), Put::AlreadyThere(Proof::Content));
        assert!(matches!(taken.put(&lake), Err(LakeError::DamagedThere { found: 5, .. })));
        assert_eq!(server.object("lake", taken.name().as_str()).unwrap(), b"other");
        let big = Sample::new(&vec![7; PART_BYTES * 2]);
        assert_eq!(big.put(&lake).unwrap(), Put::Created);
        assert_eq!(large.put(&lake).unwrap(), Put::Created);
    }
}

#[test]
fn a_server_that_stops_to_take_conditions_is_lived_with() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    server.set_behaviour(|behaviour| behaviour.conditions = Conditions::Refused);
    for sample in samples(3, 100) {
        assert_eq!(sample.put(&lake).unwrap(), Put::Created);
    }
    assert_eq!(operations(&server)[..3], ["PutObject", "HeadObject", "PutObject"]);
}

#[test]
fn a_bucket_is_declared_once_and_keeps_its_other_tags() {
    let server = S3Server::start();
    server.set_tags("lake", &[("cost", "42")]);
    let lake = Endpoint::of(&server).lake("lake");
    assert!(lake.declaration().unwrap().assumed.is_some());
    let declared = lake.declare(Some(HashName::Blake2b), Creation::IfParentExists).unwrap();
    assert_eq!((declared.hash, declared.assumed), (HashName::Blake2b, None));
    let tags = server.tags("lake");
    assert_eq!((&*tags["cost"], &*tags["__HASH_FN__"]), ("42", "blake2b"));
    assert_eq!(tags["__LAKE_ID__"], declared.id.unwrap().as_str());
    server.take_requests();
    let pipelimes = Endpoint::of(&server).lake("lake");
    assert_eq!(pipelimes.declaration().unwrap().hash, HashName::Blake2b);
    assert_eq!(operations(&server), ["GetBucketTagging"]);
}

#[test]
fn a_bucket_without_tags_is_declared_however_the_server_says_that_there_are_none() {
    let server = S3Server::start();
    let (code, message) = ("NoSuchTagSetError", "There is none.");
    let none = Fault::Status { status: 404, code, message, headers: Vec::new() };
    server.fault(|request| request.operation == "GetBucketTagging", 1, none);
    let lake = Endpoint::of(&server).lake("lake");
    let declared = lake.declare(Some(HashName::Blake2b), Creation::IfParentExists).unwrap();
    assert_eq!((declared.hash, declared.assumed), (HashName::Blake2b, None));
}

#[test]
fn a_declaration_that_is_not_understood_is_never_rewritten() {
    let server = S3Server::start();
    server.set_tags("lake", &[("__HASH_FN__", "crc32")]);
    let lake = Endpoint::of(&server).lake("lake");
    assert!(matches!(lake.declaration(), Err(LakeError::UnknownHash { .. })));
    let declared = lake.declare(None, Creation::WithParents);
    assert!(matches!(declared, Err(LakeError::UnknownHash { .. })));
    assert!(matches!(Sample::new(b"x").put(&lake), Err(LakeError::UnknownHash { .. })));
    assert_eq!(server.tags("lake").len(), 1);
    assert_eq!(server.keys("lake"), [""; 0]);
}

#[test]
fn without_tags_a_bucket_is_taken_for_sha256() {
    for tags in [Tags::NotImplemented, Tags::Denied, Tags::WriteDenied] {
        let server = S3Server::start();
        server.set_behaviour(|behaviour| behaviour.tags = tags);
        let lake = Endpoint::of(&server).lake("lake");
        let declared = lake.declare(None, Creation::IfParentExists).unwrap();
        assert_eq!((declared.hash, declared.id), (HashName::Sha256, None));
        assert!(declared.assumed.is_some());
        let other = lake.declare(Some(HashName::Blake2b), Creation::IfParentExists);
        assert!(matches!(other, Err(LakeError::HashMismatch { .. })), "{other:?}");
        assert_eq!(Sample::new(b"x").put(&lake).unwrap(), Put::Created);
    }
}

#[test]
fn a_missing_bucket_is_said_and_made_on_request() {
    let server = S3Server::start();
    let lake = Endpoint::of(&server).lake("new-one");
    let no_bucket = |error: Option<LakeError>| {
        matches!(error, Some(LakeError::Unreachable { obstacle: Obstacle::NoBucket(_), .. }))
    };
    assert!(no_bucket(lake.declaration().err()));
    assert!(no_bucket(lake.declare(None, Creation::IfParentExists).err()));
    assert!(no_bucket(lake.stat(Sample::new(b"x").name()).err()));
    assert!(no_bucket(lake.get(Sample::new(b"x").name(), 0).err()));
    assert!(no_bucket(Sample::new(b"x").put(&lake).err()));
    assert!(no_bucket(lake.list().err()));
    lake.declare(None, Creation::WithParents).unwrap();
    assert_eq!(Sample::new(b"x").put(&lake).unwrap(), Put::Created);
}

#[test]
fn least_rights_are_enough() {
    let server = S3Server::start();
    lake_on(&server);
    server.add_key("reader", "secret", Rights::ReadOnly);
    let sample = Sample::new(b"readable");
    server.plant("lake", sample.name().as_str(), b"readable", true);
    let keys = |id: &str, secret: &str| git_lake::access::Keys {
        id: id.into(),
        secret: secret.into(),
        token: None,
    };
    let reader = Endpoint { host: server.host(), keys: keys("reader", "secret") }.lake("lake");
    assert_eq!(read(&reader, sample.name(), 0).unwrap(), b"readable");
    assert!(matches!(reader.check_writable(), Err(LakeError::ReadOnly { .. })));
    let refused = Sample::new(b"new").put(&reader);
    assert!(matches!(refused, Err(LakeError::ReadOnly { .. })), "{refused:?}");
    // Whoever writes needs no right to delete; the server of these tests gives it to nobody.
    let writer = Endpoint { host: server.host(), keys: keys(KEY.0, KEY.1) }.lake("lake");
    assert_eq!(Sample::new(&vec![1; PART_BYTES + 1]).put(&writer).unwrap(), Put::Created);
    assert!(server.take_requests().iter().all(|request| request.operation != "DeleteObject"));
}

#[test]
fn where_listing_is_denied_a_missing_object_does_not_condemn_the_lake() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    server.set_behaviour(|behaviour| behaviour.list_allowed = false);
    let error = lake.get(Sample::new(b"missing").name(), 0).err().unwrap();
    assert!(matches!(error, LakeError::ObjectDenied { .. }), "{error:?}");
    assert!(!error.concerns_lake());
}

#[test]
fn bulk_questions_are_listed_and_few_are_asked() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let there = samples(3000, 20);
    for sample in &there {
        server.plant("lake", sample.name().as_str(), &[0; 20], false);
    }
    let names: Vec<ObjectName> = there.iter().map(|sample| sample.name().clone()).collect();
    let absent = samples(4000, 24);
    let mixed = |step: usize| -> Vec<ObjectName> {
        let pairs = names.iter().zip(&absent).step_by(step);
        pairs.flat_map(|(there, absent)| [there.clone(), absent.name().clone()]).collect()
    };
    for (step, lists, heads) in [(1, 16..=32, 0..=64), (600, 0..=0, 10..=10)] {
        let wanted = mixed(step);
        let answers = lake.stat_all(&wanted);
        for (at, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.unwrap().is_some(), at % 2 == 0, "{at}");
        }
        let asked = operations(&server);
        let count = |name| asked.iter().filter(|found| **found == name).count();
        assert!(lists.contains(&count("ListObjectsV2")), "{}", count("ListObjectsV2"));
        assert!(heads.contains(&count("HeadObject")), "{}", count("HeadObject"));
    }
    server.set_behaviour(|behaviour| behaviour.list_allowed = false);
    let answers = lake.stat_all(&names[..100]);
    assert!(answers.into_iter().all(|answer| answer.unwrap().is_some()));
}

#[test]
fn an_old_object_that_is_found_gets_a_new_date() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let sample = Sample::new(b"old");
    sample.put(&lake).unwrap();
    let month = std::time::Duration::from_secs(30 * 24 * 3600);
    server.set_modified("lake", sample.name().as_str(), std::time::SystemTime::now() - month);
    sample.put(&lake).unwrap();
    let modified = lake.stat(sample.name()).unwrap().unwrap().modified.unwrap();
    assert!(git_lake::fs::unix_now() - modified < 3600);
    assert_eq!(server.object("lake", sample.name().as_str()).unwrap(), b"old");
    assert_eq!(count(&server, "CopyObject"), 1);
}
