//! Ctrl-C while a server stands still: nobody waits for it, nothing is lost, no lock is left.

use std::time::{Duration, Instant};

use crate::common::s3::endpoint::Endpoint;
use crate::common::s3::{Fault, S3Server};
use crate::common::{Repo, TestEnv, noise, wait_until};

/// Far less than a server that stands still is given.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A repository whose `*.bin` go to the server, with twelve files that it still owes.
fn owing(env: &TestEnv, server: &S3Server) -> Repo {
    let repo = env.repo("work");
    repo.git(["config", "--global", "credential.helper", "store"]);
    repo.git(["lake", "init", &Endpoint::of(server).typed("lake")]);
    repo.git(["lake", "track", "*.bin"]);
    repo.git(["config", "lake.upload", "push"]);
    for seed in 0..12 {
        repo.write(format!("{seed}.bin"), noise(seed, 3000));
    }
    repo.commit("v1");
    server.take_requests();
    repo
}

/// Starts a command of which a request stands still, presses Ctrl-C, and waits for its end.
#[track_caller]
fn interrupt(repo: &Repo, server: &S3Server, operation: &'static str, command: &str) {
    server.fault(move |request| request.operation == operation, 1000, Fault::Stall);
    let mut child = repo.start_program("git-lake", &[command]);
    let is_asked = || server.requests().iter().any(|request| request.operation == operation);
    wait_until("the server is asked", is_asked);
    let begun = Instant::now();
    let pid = child.id().to_string();
    let status = std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(status.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed() < AT_ONCE, "{operation}: {:?}", begun.elapsed());
    server.heal();
    server.take_requests();
}

#[test]
fn a_push_ends_at_once_and_the_next_one_sends_everything() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = owing(&env, &server);
    for operation in ["GetBucketTagging", "PutObject"] {
        interrupt(&repo, &server, operation, "push");
        repo.git(["lake", "status"]).prints("12 uploads are owed");
    }
    repo.git(["lake", "push"]).says("12 objects uploaded");
    repo.git(["lake", "status"]).prints("Nothing is owed.");
}

#[test]
fn a_pull_ends_at_once_and_the_next_one_fetches_everything() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = owing(&env, &server);
    repo.git(["lake", "push"]);
    env.install();
    let skipping = env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1");
    skipping.git(["clone", "-q", repo.path.to_str().unwrap(), "clone"]);
    let clone = env.at("clone");
    server.take_requests();
    for operation in ["GetBucketTagging", "GetObject"] {
        interrupt(&clone, &server, operation, "pull");
        clone.is_clean();
    }
    clone.git(["lake", "pull"]).says("12 files filled");
    clone.has("7.bin", noise(7, 3000));
    clone.is_clean_when_touched();
}
