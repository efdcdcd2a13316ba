//! Objects that travel from bucket to bucket inside a server.

use std::fs;

use crate::common::s3::endpoint::Endpoint;
use crate::common::s3::{Conditions, Recorded, S3Server};
use crate::common::{Repo, TestEnv, noise};
use git_lake::lake::contract::Sample;
use git_lake::lake::{AdminLake as _, Creation, Proof, Put, ReadLake as _, WriteLake as _};
use git_lake::oid::Oid;

const COUNT: u64 = 20;

fn content(number: u64) -> Vec<u8> {
    noise(100 + number, 3000)
}

fn key(bytes: &[u8]) -> String {
    format!("{}.bin", Oid::of(bytes).to_hex())
}

/// Files in the bucket `lake`, whose server has another bucket, `other`.
fn repo(env: &TestEnv, server: &S3Server) -> Repo {
    server.create_bucket("other");
    let repo = env.repo("work");
    repo.git(["lake", "init", &Endpoint::of(server).typed("lake")]);
    repo.git(["lake", "track", "*.bin"]);
    for number in 0..COUNT {
        repo.write(format!("{number}.bin"), content(number));
    }
    // Kept keys need a helper, which this home has none of.
    let repo =
        repo.with("AWS_ACCESS_KEY_ID", "testkey").with("AWS_SECRET_ACCESS_KEY", "testsecret");
    repo.commit("v1");
    server.take_requests();
    repo
}

fn add(repo: &Repo, server: &S3Server) -> crate::common::Ran {
    repo.git(["lake", "remote-add", &format!("{}?secure=false", Endpoint::of(server).url("other"))])
}

/// Requests that concern an object of the lake, by operation.
fn count(requests: &[Recorded], operation: &str) -> usize {
    let is_object = |request: &&Recorded| request.key().ends_with(".bin");
    requests.iter().filter(is_object).filter(|request| request.operation == operation).count()
}

fn all_there(server: &S3Server) {
    for number in 0..COUNT {
        assert_eq!(server.object("other", &key(&content(number))), Some(content(number)));
    }
}

#[test]
fn no_byte_passes_through_here() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = repo(&env, &server);
    add(&repo, &server)
        .says("0 objects sent to")
        .says("20 copied by the server (59 KiB), 0 there already.")
        .says("20 pointers changed");
    all_there(&server);
    let requests = server.take_requests();
    let count = |operation| count(&requests, operation);
    // One question to each bucket, and one copy.
    assert_eq!((count("HeadObject"), count("CopyObject")), (40, 20));
    assert_eq!((count("PutObject"), count("GetObject")), (0, 0));
    let sent: u64 = requests.iter().map(|request| request.body_bytes).sum();
    assert!(sent < 1500, "{sent} bytes were sent");
    // The server vouches for what it has copied.
    let log = fs::read_dir(repo.state().join("receipts")).unwrap();
    let logs = log.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let strengths: usize = logs.map(|log| log.matches(" checksum ").count()).sum();
    assert_eq!(strengths, 20);
    add(&repo, &server).says("0 objects sent to").says("20 there already.");
    let requests = server.take_requests();
    assert_eq!(requests.iter().filter(|it| it.operation == "CopyObject").count(), 0);
}

#[test]
fn a_server_that_refuses_is_asked_for_few_copies_and_gets_the_bytes() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = repo(&env, &server);
    server.set_behaviour(|behaviour| behaviour.copies = false);
    let ran = repo.git([
        "lake",
        "remote-add",
        "-j",
        "1",
        &format!("{}?secure=false", Endpoint::of(&server).url("other")),
    ]);
    drop(ran.says("20 objects sent to").says_not("copied"));
    all_there(&server);
    let requests = server.take_requests();
    assert_eq!(count(&requests, "CopyObject"), 1);
    assert_eq!((count(&requests, "PutObject"), count(&requests, "GetObject")), (20, 0));
}

#[test]
fn what_the_server_does_not_vouch_for_is_read_and_checked() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = repo(&env, &server);
    repo.empty_store();
    for number in 0..COUNT {
        fs::remove_file(repo.path.join(format!("{number}.bin"))).unwrap();
    }
    // One without a digest, one with the right size and the digest of other bytes.
    server.plant("lake", &key(&content(0)), &content(0), false);
    server.plant("lake", &key(&content(1)), &noise(1, 3000), true);
    let other = format!("{}?secure=false", Endpoint::of(&server).url("other"));
    repo.git_fails(1, ["lake", "remote-add", &other])
        .says("1 object sent to")
        .says("18 copied by the server")
        .says("1 item was left as it was (1.bin)");
    assert_eq!(server.object("other", &key(&content(0))), Some(content(0)));
    assert_eq!(server.object("other", &key(&content(1))), None);
}

#[test]
fn nothing_is_copied_over_what_came_meanwhile() {
    for is_honoured in [true, false] {
        let server = S3Server::start();
        server.create_bucket("other");
        server.set_behaviour(|behaviour| behaviour.conditions_on_copies = is_honoured);
        let endpoint = Endpoint::of(&server);
        let [from, to]: [_; 2] = endpoint.lakes(&["lake", "other"]).try_into().ok().unwrap();
        for lake in [&from, &to] {
            lake.declare(None, Creation::IfParentExists).unwrap();
        }
        let sample = Sample::new(b"an object");
        sample.put(&from).unwrap();
        server.plant("other", sample.name().as_str(), b"or others", true);
        let place = from.place(sample.name()).unwrap();
        assert_eq!(to.copy(sample.name(), 9, &place).unwrap(), None);
        assert_eq!(server.object("other", sample.name().as_str()).unwrap(), b"or others");
        // Nor a second time over what is right.
        server.plant("other", sample.name().as_str(), b"an object", true);
        let copied = to.copy(sample.name(), 9, &place).unwrap();
        assert_eq!(copied, Some(Put::AlreadyThere(Proof::Content)));
    }
}

#[test]
fn where_conditions_are_not_honoured_on_copies_the_target_is_asked_first() {
    for (conditions, on_copies) in [(Conditions::Ignored, false), (Conditions::Honoured, false)] {
        let (env, server) = (TestEnv::new(), S3Server::start());
        server.set_behaviour(|behaviour| {
            (behaviour.conditions, behaviour.conditions_on_copies) = (conditions, on_copies);
        });
        let repo = repo(&env, &server);
        add(&repo, &server).says("20 copied by the server");
        all_there(&server);
        let requests = server.take_requests();
        assert_eq!(count(&requests, "CopyObject"), 20);
        let asked = |bucket: &str| {
            let is_there = |request: &&Recorded| request.bucket() == bucket;
            let heads = requests.iter().filter(is_there).cloned().collect::<Vec<_>>();
            count(&heads, "HeadObject")
        };
        // Once to plan, once more right before the copy.
        assert_eq!((asked("lake"), asked("other")), (20, 40), "{conditions:?}");
    }
}

#[test]
fn a_server_without_digests_gets_the_bytes() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    server.set_behaviour(|behaviour| behaviour.checksums = false);
    let repo = repo(&env, &server);
    add(&repo, &server).says("20 objects sent to").says_not("copied");
    all_there(&server);
    assert_eq!(count(&server.take_requests(), "CopyObject"), 0);
}

#[test]
fn what_was_sent_in_parts_and_names_of_other_hashes_are_not_copied() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = repo(&env, &server);
    repo.git(["config", "lake.partSize", "5m"]);
    repo.write("large.bin", noise(7, (5 << 20) + 1));
    repo.commit("large");
    add(&repo, &server).says("1 object sent to").says("20 copied by the server");
    server.create_bucket("third");
    let third = format!("{}?secure=false", Endpoint::of(&server).url("third"));
    server.take_requests();
    repo.git(["lake", "remote-add", "--hash", "blake2b", &third]).says("21 objects sent to");
    assert_eq!(count(&server.take_requests(), "CopyObject"), 0);
    assert_eq!(server.keys("third").iter().filter(|key| key.len() == 132).count(), 21);
}
