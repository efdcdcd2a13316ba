//! `git lake orphans`: what is listed and counted, and in which form.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use git_lake::oid::Oid;

use crate::common::orphans::{DAY, orphans, plant, repo, seeds};
use crate::common::s3::endpoint::Endpoint;
use crate::common::s3::{Fault, Recorded, S3Server};
use crate::common::{Repo, TestEnv, noise, set_age};

#[test]
fn what_nothing_names_and_is_old_is_listed_and_stays() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    plant(&lake, &noise(97, 3000));
    let before = lake.objects();
    let ran = orphans(&repo, &[]);
    let mut expected: Vec<String> =
        [98, 99].map(|seed| lake.object(noise(seed, 3000)).display().to_string()).into();
    expected.sort();
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), expected);
    assert_eq!(
        ran.stderr,
        "2 objects (5.9 KiB) of `work-lake` that nothing in 1 repository refers to, 14 days old or older.\n\
         1 more is (2.9 KiB) younger.\n"
    );
    let zero = orphans(&repo, &["-z"]).stdout;
    assert_eq!(zero, expected.iter().map(|path| format!("{path}\0")).collect::<String>());
    assert_eq!(seeds(&repo, &lake, &["--older-than", "3w"]), [0; 0]);
    assert_eq!(seeds(&repo, &lake, &["--older-than=0d"]), [97, 98, 99]);
    repo.git_fails(2, ["lake", "orphans", "work-lake", "--older-than=14"]).says("`36h`");
    repo.git_fails(2, ["lake", "orphans", "other"]).says("has work-lake");
    assert_eq!(lake.objects(), before);
}

#[test]
fn the_list_is_what_xargs_rm_takes() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let removed = repo.run("sh", ["-c", "git lake orphans work-lake -z | xargs -0 rm --"]);
    assert_eq!(removed.code, Some(0), "{removed:#?}");
    assert_eq!(lake.objects().len(), 1);
    repo.git(["lake", "fsck", "--remote"]);
    assert_eq!(orphans(&repo, &[]).stdout, "");
}

#[test]
fn a_lake_that_nothing_uses_is_told() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    lake.remove(noise(1, 3000));
    drop(orphans(&repo, &[]).says("Nothing that was read refers to any object of `work-lake`"));
}

#[test]
fn files_of_others_are_left_alone_and_uploads_are_counted() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let file = |path: &str, bytes: usize| {
        let path = lake.path.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, vec![0; bytes]).unwrap();
        set_age(&path, 20 * DAY);
    };
    file("README.md", 10);
    file("sub/folder/file", 1000);
    file(&format!("{}.bin", "a".repeat(128)), 20);
    file(&format!(".lake-damaged/{}.bin.1", "a".repeat(64)), 40);
    fs::create_dir(lake.path.join(format!("{}.bin", "b".repeat(64)))).unwrap();
    symlink("README.md", lake.path.join(format!("{}.bin", "c".repeat(64)))).unwrap();
    file(".lake-tmp/.lake-1", 300);
    file(".lake-tmp/.lake-2", 200);
    set_age(lake.path.join(".lake-tmp/.lake-2"), DAY);
    assert_eq!(seeds(&repo, &lake, &[]), [98, 99]);
    let ran = orphans(&repo, &[]);
    let ran = ran.says("2 uploads are (500 bytes) not finished, the oldest since 2");
    drop(ran.says("5 files are (30 bytes) no objects of the lake."));
}

#[test]
fn the_document_has_it_all() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    plant(&lake, &noise(97, 3000));
    env.at("set").write("data/0_x.bin", "content");
    let ran = orphans(&repo, &["--json", "--keep=../set"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let mut found = document.clone();
    let orphans = found.as_object_mut().unwrap().remove("orphans").unwrap();
    for key in ["total", "young", "referenced"] {
        assert!(found[key]["oldest"].is_u64());
        found[key].as_object_mut().unwrap().remove("oldest");
    }
    let none = serde_json::json!({ "count": 0, "bytes": 0, "oldest": null });
    let expected = serde_json::json!({
        "version": 1, "url": lake.url(), "older_than_seconds": 14 * DAY,
        "repositories": [repo.path.join(".git")], "datasets": [repo.path.join("../set")],
        "total": { "count": 2, "bytes": 6000 }, "young": { "count": 1, "bytes": 3000 },
        "referenced": { "count": 1, "bytes": 3000 }, "foreign": none, "unfinished": none,
    });
    assert_eq!(found, expected);
    let one = &orphans[0];
    let path = Path::new(one["path"].as_str().unwrap());
    assert_eq!(path, lake.path.join(one["name"].as_str().unwrap()));
    assert_eq!((&one["size"], orphans.as_array().unwrap().len()), (&3000.into(), 2));
    assert!(one["modified"].is_u64());
}

#[test]
fn a_lake_that_cannot_be_reached_lists_nothing() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    lake.unmount();
    let ran = repo.git_fails(1, ["lake", "orphans", "work-lake"]);
    assert_eq!(ran.stdout, "");
}

/// A repository whose objects are in `lake/some/prefix` of a server, one of them.
fn in_bucket(env: &TestEnv, server: &S3Server) -> Repo {
    let endpoint = Endpoint::of(server);
    let repo = env.repo("work");
    repo.git(["config", "--global", "credential.helper", "store"]);
    repo.git(["lake", "init", "--name=work-lake", &endpoint.typed("lake/some/prefix")]);
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    repo
}

fn refusal(status: u16, code: &'static str) -> Fault {
    Fault::Status { status, code, message: "No", headers: Vec::new() }
}

fn key(content: &[u8]) -> String {
    format!("some/prefix/{}.bin", Oid::of(content))
}

#[test]
fn a_bucket_is_only_listed_and_its_objects_have_addresses() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = in_bucket(&env, &server);
    let old = SystemTime::now() - Duration::from_secs(20 * DAY);
    let contents: Vec<Vec<u8>> = (0..2500_u32).map(|at| at.to_le_bytes().into()).collect();
    for content in &contents {
        server.plant("lake", &key(content), content, true);
        server.set_modified("lake", &key(content), old);
    }
    server.plant("lake", &key(b"young"), b"young", true);
    server.plant("lake", "some/prefix/README", b"x", true);
    server.plant("lake", "some/prefix/.lake-damaged/x", b"x", true);
    let elsewhere = format!("{}.bin", Oid::of(b"elsewhere"));
    for key in [elsewhere.clone(), format!("some/prefix/other/{elsewhere}")] {
        server.plant("lake", &key, b"elsewhere", true);
        server.set_modified("lake", &key, old);
    }
    server.set_modified("lake", &key(&noise(1, 3000)), old);
    server.take_requests();
    let ran = orphans(&repo, &[]);
    let mut expected: Vec<String> =
        contents.iter().map(|content| format!("s3://lake/{}", key(content))).collect();
    expected.sort();
    assert!(ran.stdout.lines().eq(expected.iter().map(String::as_str)));
    let ran =
        ran.says("2500 objects (9.8 KiB) of `work-lake` that nothing in 1 repository refers to");
    drop(ran.says("1 more is (5 bytes) younger.").says("2 files are (10 bytes) no objects"));
    let mut operations: Vec<&str> =
        server.requests().iter().map(|request| request.operation).collect();
    operations.dedup();
    let pages = server.requests().iter().filter(|one| one.operation == "ListObjectsV2").count();
    assert_eq!(operations, ["GetBucketTagging", "ListObjectsV2", "ListMultipartUploads"]);
    assert_eq!(pages, 3);
}

#[test]
fn uploads_in_parts_that_nobody_ended_are_counted() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = in_bucket(&env, &server);
    server.begin_upload("lake", &key(b"x"), &[&[1; 1000], &[2; 500]]);
    server.begin_upload("lake", "some/prefix/of others", &[&[1; 7]]);
    let ran = orphans(&repo, &[]).says("1 upload is (1.5 KiB) not finished, the oldest since 2");
    assert_eq!(ran.stdout, "");
    // A server that does not tell hides no object.
    server.plant("lake", &key(b"y"), b"y", true);
    let is_list = |request: &Recorded| request.operation == "ListMultipartUploads";
    server.fault(is_list, usize::MAX, refusal(501, "NotImplemented"));
    let ran = orphans(&repo, &["--older-than=0s"]);
    assert_eq!(ran.stdout, format!("s3://lake/{}\n", key(b"y")));
    drop(ran.says("Unfinished uploads are not counted: "));
}

#[test]
fn a_listing_that_breaks_off_lists_nothing() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = in_bucket(&env, &server);
    for at in 0..1500_u32 {
        server.plant("lake", &key(&at.to_le_bytes()), b"x", true);
    }
    let is_second = |request: &Recorded| {
        request.operation == "ListObjectsV2" && request.query.contains_key("start-after")
    };
    server.fault(is_second, usize::MAX, refusal(403, "AccessDenied"));
    let ran = repo.git_fails(1, ["lake", "orphans", "work-lake", "--older-than=0s"]);
    assert_eq!(ran.stdout, "");
}
