//! `git lake remote-list`: which lakes there are, what names them, and how they are.

use std::fs;

use crate::common::s3::endpoint::Endpoint;
use crate::common::s3::{Conditions, S3Server, Tags};
use crate::common::{Repo, TestEnv, noise};

fn document(repo: &Repo, code: i32, args: &[&str]) -> serde_json::Value {
    let ran = repo.git_fails(code, ["lake", "remote-list", "--json"].iter().chain(args));
    serde_json::from_str(&ran.stdout).unwrap()
}

fn keys(repo: &Repo) -> Repo {
    repo.with("AWS_ACCESS_KEY_ID", "testkey").with("AWS_SECRET_ACCESS_KEY", "testsecret")
}

#[test]
fn lakes_are_listed_with_what_names_them_and_what_they_are_owed() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let mirror = env.lake("mirror");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    repo.git(["lake", "remote-add", "../mirror", "--", "a.bin"]);
    mirror.unmount();
    repo.write("b.bin", noise(2, 1000));
    repo.write("sub/a.bin", noise(3, 2000));
    repo.commit("v2");
    let ran = repo.git(["lake", "remote-list"]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let first =
        format!("work-lake\t{}\t3 items, 5.9 KiB (100%)\tnothing owed\tupload, sha256", lake.url());
    let second = format!(
        "mirror\t{}\t1 item, 2.9 KiB (50%)\tnothing owed\tupload, sha256, paths /a.bin",
        mirror.url()
    );
    assert_eq!(lines, [first, second]);
    repo.write("a.bin", noise(4, 3000));
    repo.commit("v3");
    repo.git(["lake", "remote-list"]).prints("1 object owed (2.9 KiB)\tupload");
    // A lake that is no remote any more is named by pointers.
    let text = repo.text(".gitlake.toml");
    repo.write(".gitlake.toml", text.split("\n[[remote]]\nname = \"mirror\"").next().unwrap());
    let named =
        format!("-\t{}\t1 item, 2.9 KiB (50%)\tnothing owed\tnamed by pointers only", mirror.url());
    repo.git(["lake", "remote-list"]).prints(&named);
}

#[test]
fn a_dead_lake_is_shown_as_such() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let mirror = env.lake("mirror");
    repo.write("a.bin", noise(1, 100 << 10));
    repo.commit("v1");
    repo.git(["lake", "remote-add", "../mirror"]);
    mirror.unmount();
    repo.git(["lake", "remote-list"]);
    let ran = repo.git_fails(1, ["lake", "remote-list", "--check"]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].contains("\treached in ") && lines[0].contains("iB/s"), "{lines:#?}");
    assert!(lines[1].contains("\tnot reached: Could not reach the lake"), "{lines:#?}");
    let document = document(&repo, 1, &["--check"]);
    assert_eq!((&document["version"], &document["items"]), (&1.into(), &1.into()));
    let [first, second] = [0, 1].map(|at| document["remotes"][at].clone());
    assert_eq!(first["name"], "work-lake");
    assert_eq!(first["url"], lake.url());
    assert_eq!((&first["bytes"], &first["share"]), (&102_400.into(), &1.0.into()));
    assert_eq!(first["check"]["reached"], true);
    assert!(first["check"]["bytes_per_second"].as_u64().unwrap() > 0, "{first}");
    assert!(first["check"]["round_trip_us"].is_u64() && first["check"]["features"].is_null());
    assert_eq!(second["check"]["reached"], false);
    assert!(second["check"]["error"].as_str().unwrap().contains("does not exist"), "{second}");
    mirror.mount();
    repo.git(["lake", "remote-list", "--check"]);
}

#[test]
fn a_bucket_tells_what_its_server_does() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    server.set_behaviour(|behaviour| {
        behaviour.conditions = Conditions::Ignored;
        behaviour.ranges = false;
    });
    let repo = keys(&env.repo("work"));
    repo.git(["lake", "init", &Endpoint::of(&server).typed("lake")]);
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", noise(1, 100 << 10));
    repo.commit("v1");
    server.take_requests();
    repo.git(["lake", "remote-list"]);
    assert!(server.take_requests().is_empty(), "a list without --check asks nobody");
    repo.git(["lake", "remote-list", "--check"])
        .prints("no conditions, checksums, tags, no ranges\n");
    let requests = server.take_requests();
    let is_writing = |method: &str| matches!(method, "PUT" | "POST" | "DELETE");
    assert!(requests.iter().all(|request| !is_writing(&request.method)), "{requests:?}");
    assert!(requests.len() < 8, "{requests:?}");
    server.set_behaviour(|behaviour| behaviour.tags = Tags::Denied);
    let document = document(&repo, 0, &["--check"]);
    let check = &document["remotes"][0]["check"];
    assert_eq!(check["features"]["tags"], false);
    assert_eq!(check["features"]["checksums"], true);
    assert!(check["assumed"].as_str().unwrap().contains("AccessDenied"), "{check}");
    // What was never written to is not known to take conditions, and is not tried for a list.
    fs::remove_dir_all(repo.state().join("servers")).unwrap();
    repo.git(["lake", "remote-list", "--check"])
        .prints("conditions not known, checksums not known, no tags, no ranges\n");
}

#[test]
fn without_an_object_of_moderate_size_speed_is_not_measured() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    repo.git(["lake", "remote-list", "--check"]).prints(", speed not measured\n");
    repo.write("b.bin", noise(2, 100 << 10));
    repo.commit("v2");
    repo.git(["lake", "remote-list", "--check"]).prints("iB/s\n");
    lake.remove(noise(2, 100 << 10));
    repo.git(["lake", "remote-list", "--check"]).prints(", speed not measured\n");
}
