//! Replacing objects of buckets: of any size, whatever the server tells of them, and never in vain.

use std::io::{self, Read};
use std::time::Duration;

use git_lake::digest::HashName;
use git_lake::lake::s3::S3Lake;
use git_lake::lake::{
    AdminLake as _, Creation, LakeError, Proof, Put, Replaced, Unobserved, Upload,
};
use git_lake::object_name::ObjectName;
use git_lake::oid::Oid;

use crate::common::s3::endpoint::{Endpoint, PART_BYTES, words};
use crate::common::s3::{Conditions, Fault, Recorded, S3Server};
use crate::common::{noise, wait_until};

fn lake_on(server: &S3Server) -> S3Lake {
    let lake = Endpoint::of(server).lake("lake/pre");
    lake.declare(None, Creation::IfParentExists).unwrap();
    lake.check_writable().unwrap();
    server.take_requests();
    lake
}

fn name_of(bytes: &[u8]) -> ObjectName {
    ObjectName::new(&Oid::of(bytes).into(), b"a.bin")
}

fn replace(lake: &S3Lake, bytes: &[u8]) -> Result<Replaced, LakeError> {
    let open = || Ok(Box::new(io::Cursor::new(bytes.to_vec())) as Box<dyn Read + Send>);
    let (name, size) = (&name_of(bytes), bytes.len() as u64);
    lake.replace(
        &Upload { name, hash: HashName::Sha256, size, open: &open, verified: None },
        &Unobserved,
    )
}

fn aside(server: &S3Server) -> Vec<Vec<u8>> {
    Endpoint::of(server).aside("lake", "pre/")
}

fn operations(server: &S3Server) -> Vec<&'static str> {
    server.take_requests().iter().map(|request| request.operation).collect()
}

#[test]
fn a_damaged_object_is_copied_by_the_server_and_overwritten_as_it_was_seen() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let (right, wrong) = (noise(1, 1000), noise(2, 1000));
    let key = format!("pre/{}", name_of(&right));
    server.plant("lake", &key, &wrong, true);
    let Replaced::Aside(place) = replace(&lake, &right).unwrap() else { panic!("not replaced") };
    assert!(place.starts_with(&format!("s3://{}/lake/pre/.lake-damaged/", server.host())));
    assert_eq!(server.object("lake", &key).unwrap(), right);
    let requests = server.take_requests();
    let put = requests.iter().find(|request| request.operation == "PutObject").unwrap();
    assert!(put.headers.contains_key("if-match") && !put.headers.contains_key("if-none-match"));
    let copy = requests.iter().find(|request| request.operation == "CopyObject").unwrap();
    assert!(copy.headers.contains_key("x-amz-copy-source-if-match"));
    assert!(requests.iter().all(|request| request.method != "DELETE"));
    assert_eq!(aside(&server), [wrong]);
}

#[test]
fn a_digest_that_the_server_tells_is_not_believed() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let right = noise(1, 1000);
    let key = format!("pre/{}", name_of(&right));
    server.plant("lake", &key, &right, true);
    // As a disk that has changed a bit, under the digest of what was sent.
    let wrong = noise(2, 1000);
    server.rot("lake", &key, &wrong);
    assert!(matches!(replace(&lake, &right), Ok(Replaced::Aside(_))));
    assert_eq!(server.object("lake", &key).unwrap(), right);
    assert_eq!(aside(&server), [wrong]);
    assert!(matches!(replace(&lake, &right), Ok(Replaced::Not(Put::AlreadyThere(Proof::Content)))));
}

#[test]
fn a_large_object_is_checked_before_anything_is_touched() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let right = noise(1, 2 * PART_BYTES + 5);
    let key = format!("pre/{}", name_of(&right));
    let wrong = noise(2, right.len());
    server.plant("lake", &key, &wrong, true);
    let other = noise(3, right.len());
    let open = || Ok(Box::new(io::Cursor::new(other.clone())) as Box<dyn Read + Send>);
    let (name, size) = (&name_of(&right), right.len() as u64);
    let upload = Upload { name, hash: HashName::Sha256, size, open: &open, verified: None };
    let result = lake.replace(&upload, &Unobserved);
    assert!(matches!(result, Err(LakeError::SourceChanged { .. })), "{result:?}");
    assert_eq!((aside(&server).len(), server.unfinished_uploads("lake")), (0, 0));
    assert!(matches!(replace(&lake, &right), Ok(Replaced::Aside(_))));
    assert_eq!(server.object("lake", &key).unwrap(), right);
    assert_eq!(aside(&server), [wrong]);
    assert_eq!(server.unfinished_uploads("lake"), 0);
}

#[test]
fn what_somebody_else_put_right_meanwhile_is_left_alone() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let right = noise(1, 1000);
    let key = format!("pre/{}", name_of(&right));
    server.plant("lake", &key, b"wrong", true);
    let is_put = |request: &Recorded| request.operation == "PutObject";
    server.fault(is_put, 1, Fault::Delay(Duration::from_secs(1)));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| replace(&lake, &right));
        wait_until("the upload is under way", || server.requests().iter().any(is_put));
        server.plant("lake", &key, &right, true);
        let result = waiting.join().unwrap().unwrap();
        assert_eq!(result, Replaced::Not(Put::AlreadyThere(Proof::Content)));
    });
    assert_eq!(server.object("lake", &key).unwrap(), right);
    assert_eq!(server.take_requests().iter().filter(|request| is_put(request)).count(), 1);
}

#[test]
fn without_a_copy_aside_nothing_is_replaced() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    server.set_behaviour(|behaviour| behaviour.copies = false);
    let right = b"right";
    let key = format!("pre/{}", name_of(right));
    server.plant("lake", &key, b"wrong", true);
    let error = replace(&lake, right).unwrap_err();
    assert!(matches!(error, LakeError::NotKept { .. }));
    assert!(words(&error).contains("NotImplemented"), "{}", words(&error));
    assert_eq!(server.object("lake", &key).unwrap(), b"wrong");
    assert!(!operations(&server).contains(&"PutObject"));
}

#[test]
fn a_server_without_conditions_is_asked_without() {
    let server = S3Server::start();
    server.set_behaviour(|behaviour| behaviour.conditions = Conditions::Ignored);
    let lake = lake_on(&server);
    let right = b"right";
    let key = format!("pre/{}", name_of(right));
    server.plant("lake", &key, b"wrong", true);
    assert!(matches!(replace(&lake, right), Ok(Replaced::Aside(_))));
    let requests = server.take_requests();
    assert!(requests.iter().all(|request| !request.headers.contains_key("if-match")));
    assert_eq!(server.object("lake", &key).unwrap(), right);
}
