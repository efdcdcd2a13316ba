//! How long a new process takes that finds a hundred thousand claims in the queue.

use std::process::Command;
use std::time::{Duration, Instant};

use git_lake::lake_url::LakeUrl;
use git_lake::object_name::ObjectName;
use git_lake::oid::Oid;
use git_lake::repo_path::RepoPath;
use git_lake::store::queue::{Claims, Owed, Queue, Tentative};

use crate::common::{Repo, TestEnv, noise};

const COUNT: u32 = 100_000;
const RUNS: usize = 15;

#[test]
#[ignore = "the other test of this file starts it, with an environment of its own"]
#[expect(clippy::print_stdout, reason = "this is how it answers")]
fn child() {
    let Some(root) = std::env::var_os("LAKE_STORE") else { return };
    let begun = Instant::now();
    let claims = Queue::at(root.as_ref()).read().unwrap();
    let took = begun.elapsed();
    assert_eq!(claims.owed().count() + claims.tentative().count(), COUNT as usize);
    println!("took {}", took.as_micros());
}

fn read(repo: &Repo) -> Duration {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "claims_pace::child", "--ignored", "--nocapture"]);
    let output = command.env("LAKE_STORE", repo.state()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let took = said.lines().find_map(|line| line.split("took ").nth(1)).unwrap();
    Duration::from_micros(took.parse().unwrap())
}

/// Asks for leave to push one commit to a repository that is empty.
fn pre_push(repo: &Repo) -> Duration {
    let head = repo.git(["rev-parse", "HEAD"]).stdout;
    let update = format!("refs/heads/main {} refs/heads/main {}\n", head.trim(), "0".repeat(40));
    let begun = Instant::now();
    let ran =
        repo.feed("git-lake", &["hook", "pre-push", "server", "../server"], update.as_bytes());
    let took = begun.elapsed();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    took
}

#[expect(clippy::print_stdout, reason = "somebody reads it")]
fn print(what: &str, time: impl FnMut(usize) -> Duration) {
    let mut times: Vec<Duration> = (0..RUNS).map(time).collect();
    times.sort();
    println!("{what}: least {:.1?}, median {:.1?}", times[0], times[RUNS / 2]);
}

#[test]
#[ignore = "a measurement: run it alone, with --release and --nocapture"]
fn a_hundred_thousand_claims_in_new_processes() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    print("pre-push, none", |_| pre_push(&repo));
    let queue = Queue::at(&repo.state());
    let lakes = [LakeUrl::from_folder(&lake.path).unwrap(), LakeUrl::parse("s3://h/b").unwrap()];
    let path =
        |at| RepoPath::parse(format!("train/images/batch-7/{at:08}.png").as_bytes()).unwrap();
    let owed = (0..COUNT).map(|at| {
        let oid = Oid::of(&at.to_le_bytes());
        let url = lakes[at as usize % 2].source(ObjectName::new(&oid.into(), b"x.png"));
        Owed { url, oid, size: 20_000, path: path(at) }
    });
    queue.add_owed(&owed.collect::<Vec<_>>()).unwrap();
    print("owed, read", |_| read(&repo));
    print("owed, pre-push", |_| pre_push(&repo));
    queue.compact(|_| Claims::default()).unwrap();
    for at in 0..COUNT {
        let oid = Oid::of(&at.to_le_bytes());
        let blob = oid.to_hex()[..40].into();
        queue
            .add_tentative(&Tentative { since: 1_800_000_000, blob, oid, path: path(at) })
            .unwrap();
    }
    print("tentative, read", |_| read(&repo));
    print("tentative, pre-push", |_| pre_push(&repo));
}
