//! What everyday git asks of the server of a bucket: as little as possible.

use std::collections::BTreeMap;

use crate::common::s3::endpoint::Endpoint;
use crate::common::s3::{Fault, KEY, S3Server};
use crate::common::{Repo, TestEnv, noise, wait_until};

/// A repository whose `*.bin` go to the bucket of the server, which has forgotten how that was done.
fn tracked(env: &TestEnv, server: &S3Server) -> Repo {
    let repo = env.repo("work");
    repo.git(["config", "--global", "credential.helper", "store"]);
    repo.git(["lake", "init", &Endpoint::of(server).typed("lake")]);
    repo.git(["lake", "track", "*.bin"]);
    repo.commit("set up");
    server.take_requests();
    repo
}

/// Counts the requests since the last time, by operation.
fn asked(server: &S3Server) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for request in server.take_requests() {
        *counts.entry(request.operation).or_default() += 1;
    }
    counts
}

fn counts<const N: usize>(counts: [(&'static str, usize); N]) -> BTreeMap<&'static str, usize> {
    BTreeMap::from(counts)
}

fn write_many(repo: &Repo, count: u64) {
    for at in 0..count {
        repo.write(format!("{at}.bin"), noise(at + 1, 300));
    }
}

/// A clone with pointers and without proofs.
fn clone_of_pointers(env: &TestEnv) -> Repo {
    env.install();
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", "work", "clone"]);
    let clone = env.at("clone");
    // Hooks are not installed by a clone.
    clone.git(["lake", "init"]);
    clone
}

#[test]
fn a_new_object_is_one_request() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = tracked(&env, &server);
    write_many(&repo, 20);
    repo.git(["add", "."]).says_nothing();
    assert_eq!(asked(&server), counts([("GetBucketTagging", 1), ("PutObject", 20)]));
    repo.git(["commit", "-q", "-m", "v1"]);
    assert_eq!(asked(&server), counts([]));
    env.bare("server.git");
    repo.git(["push", "-q", "../server.git", "main"]).says_nothing();
    assert_eq!(asked(&server), counts([("GetBucketTagging", 1)]));
}

#[test]
fn an_object_that_is_known_to_be_there_is_no_request() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = tracked(&env, &server);
    repo.write("a.bin", noise(1, 300));
    repo.commit("v1");
    server.take_requests();
    repo.write("copy.bin", noise(1, 300));
    repo.write("sub/copy.bin", noise(1, 300));
    repo.commit("copies").says_nothing();
    repo.touch_all();
    repo.git(["add", "--renormalize", "."]);
    assert_eq!(asked(&server), counts([]));
}

#[test]
fn a_clone_is_one_request_for_each_object() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = tracked(&env, &server);
    write_many(&repo, 10);
    repo.write("copy.bin", noise(1, 300));
    repo.commit("v1");
    server.take_requests();
    let clone = env.clone_of(&repo, "clone");
    clone.has("9.bin", noise(10, 300));
    assert_eq!(asked(&server), counts([("GetBucketTagging", 1), ("GetObject", 10)]));
    clone.git(["lake", "init"]);
    // What was read is proof, also for a push to elsewhere.
    env.bare("server.git");
    clone.git(["push", "-q", "../server.git", "main"]).says_nothing();
    assert_eq!(asked(&server), counts([("GetBucketTagging", 1)]));
}

#[test]
fn another_clone_uploads_what_is_there_with_two_requests() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = tracked(&env, &server);
    write_many(&repo, 10);
    repo.commit("v1");
    let clone = clone_of_pointers(&env);
    server.take_requests();
    for at in 0..10 {
        clone.write(format!("again-{at}.bin"), noise(at + 1, 300));
    }
    clone.git(["add", "."]).says_nothing();
    let found = asked(&server);
    assert_eq!(found["GetBucketTagging"], 1, "{found:?}");
    // Three more find out once what the server honours.
    assert!(found["PutObject"] <= 10 + 2 && found["HeadObject"] <= 10 + 1, "{found:?}");
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn looking_and_local_content_ask_nothing() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = tracked(&env, &server);
    repo.write("a.bin", noise(1, 300));
    repo.commit("v1");
    repo.write("a.bin", noise(2, 300));
    repo.write("large.bin", noise(3, 5 << 20));
    repo.commit("v2");
    server.take_requests();
    repo.touch_all();
    for args in [
        &["status"][..],
        &["diff", "HEAD~1"],
        &["checkout", "-q", "--detach", "HEAD~1"],
        &["checkout", "-q", "main"],
        &["stash", "list"],
        &["log", "-p"],
        &["lake", "status"],
        &["lake", "ls-files"],
        &["lake", "cat", "HEAD~:a.bin"],
        &["lake", "pull"],
        &["lake", "push"],
        &["lake", "env"],
        &["lake", "track"],
    ] {
        repo.git(args).says_nothing();
        assert_eq!(asked(&server), counts([]), "git {args:?}");
    }
    repo.has("large.bin", noise(3, 5 << 20));
}

#[test]
fn a_bulk_proof_lists() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = tracked(&env, &server);
    write_many(&repo, 300);
    repo.commit("many").says_nothing();
    let clone = clone_of_pointers(&env);
    env.bare("server.git");
    server.take_requests();
    clone.git(["push", "-q", "../server.git", "main"]).says_nothing();
    let found = asked(&server);
    let count = |name| found.get(name).copied().unwrap_or_default();
    // A sixteenth of the names is listed where at least 16 are wanted of it.
    assert!((8..=32).contains(&count("ListObjectsV2")), "{found:?}");
    assert!(count("HeadObject") < 100, "{found:?}");
    assert_eq!(found.len(), 2 + usize::from(count("HeadObject") > 0), "{found:?}");
    server.remove("lake", &server.keys("lake").into_iter().next_back().unwrap());
    clone.git(["commit", "-q", "--allow-empty", "-m", "again"]);
    clone.empty_receipts();
    env.bare("other.git");
    let ran = clone.git_fails(1, ["push", "-q", "../other.git", "main"]);
    drop(ran.says("The push is refused").says("1 file is in no lake that others reach"));
}

#[test]
fn a_pull_asks_side_by_side() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = tracked(&env, &server);
    write_many(&repo, 8);
    repo.commit("v1");
    let clone = clone_of_pointers(&env);
    clone.git(["config", "lake.jobs", "8"]);
    server.take_requests();
    // Long enough for a machine that has much else to do.
    let delay = Fault::Delay(std::time::Duration::from_secs(3));
    server.fault(|request| request.operation == "GetObject", 8, delay);
    let mut pull = clone.start(&["lake", "pull"]);
    let begun =
        || server.requests().iter().filter(|request| request.operation == "GetObject").count();
    wait_until("all objects are asked for", || begun() == 8);
    let stored = (1..=8).filter(|seed| clone.stored(noise(*seed, 300)).exists()).count();
    assert!(stored < 7, "the last one is asked for when {stored} are there");
    assert!(pull.wait().unwrap().success());
    clone.has("7.bin", noise(8, 300));
    assert!(
        server.requests().iter().all(|request| request.access_key_id.as_deref() == Some(KEY.0))
    );
}
