//! `git lake fsck --remote`: what lakes hold of what pointers say.

use std::fs;

use git_lake::lake_url::LakeUrl;
use git_lake::oid::Oid;

use crate::common::s3::S3Server;
use crate::common::s3::endpoint::Endpoint;
use crate::common::{Lake, Repo, TestEnv, commit_pointers, noise};

/// `1.bin` to `3.bin` in both lakes.
fn repo(env: &TestEnv) -> (Repo, Lake, Lake) {
    let (one, two) = (env.lake("one"), env.lake("two"));
    let repo = env.repo("work");
    repo.set_up(&[&one, &two]);
    for at in 1..=3 {
        repo.write(format!("{at}.bin"), noise(at, 3000));
    }
    repo.commit("v1");
    (repo, one, two)
}

fn hex(content: &[u8]) -> String {
    Oid::of(content).to_hex()
}

fn document(repo: &Repo, code: i32, args: &[&str]) -> serde_json::Value {
    let ran = repo.git_fails(code, ["lake", "fsck", "--json"].iter().chain(args));
    serde_json::from_str(&ran.stdout).unwrap()
}

/// The path, kind and lake of each finding.
fn kinds(repo: &Repo, code: i32, args: &[&str]) -> Vec<String> {
    let document = document(repo, code, args);
    let kind = |finding: &serde_json::Value| {
        let text = |key: &str| finding[key].as_str().unwrap_or("-").to_owned();
        let lake = text("lake").rsplit('/').next().unwrap().to_owned();
        format!("{} {} {lake}", text("path"), text("kind"))
    };
    document["findings"].as_array().unwrap().iter().map(kind).collect()
}

#[test]
fn lakes_that_hold_all_are_said_to() {
    let env = TestEnv::new();
    let (repo, _one, _two) = repo(&env);
    let ran = repo.git(["lake", "fsck", "--remote"]);
    assert_eq!(ran.stdout, "");
    let expected = "3 objects in `one` asked for, 3 there.\n3 objects in `two` asked for, 3 there.\n\
                    Nothing is wrong.\n";
    assert_eq!(ran.stderr, expected);
    let ran = repo.git(["lake", "fsck", "--remote=two", "--read-data"]);
    let expected = "3 objects in `two` asked for, 3 there, 3 read (8.8 KiB).\nNothing is wrong.\n";
    assert_eq!(ran.stderr, expected);
    let remotes = document(&repo, 0, &["--remote=two", "--read-data", "HEAD"])["remotes"].clone();
    let expected = serde_json::json!([{
        "name": "two", "url": format!("file://{}", env.path("two").display()),
        "objects": 3, "held": 3, "read": 3, "read_bytes": 9000,
    }]);
    assert_eq!(remotes, expected);
    repo.git_fails(2, ["lake", "fsck", "--remote=three"]).says("has one, two");
    repo.git_fails(2, ["lake", "fsck", "--read-data"]);
    repo.git_fails(2, ["lake", "fsck", "--remote", "--read-data=0%"]).says("is no percentage");
}

#[test]
fn what_is_missing_or_has_another_size_is_told_for_each_lake() {
    let env = TestEnv::new();
    let (repo, one, two) = repo(&env);
    one.remove(noise(1, 3000));
    fs::write(one.object(noise(2, 3000)), "short").unwrap();
    two.remove(noise(3, 3000));
    fs::create_dir(two.object(noise(3, 3000))).unwrap();
    let ran = repo.git_fails(3, ["lake", "fsck", "--remote"]);
    let expected = format!(
        "1 object has another size in a lake: `one`; `git lake fsck --remote --repair` replaces what any copy is found of:
  2.bin  {}
1 object is no file in a lake: `two`; `git lake fsck --remote --repair` replaces what any copy is found of:
  3.bin  {}
1 object is not in a lake that its pointer names: `one`; `git lake fsck --remote --repair` uploads what any copy is found of:
  1.bin  {}
",
        hex(&noise(2, 3000)),
        hex(&noise(3, 3000)),
        hex(&noise(1, 3000))
    );
    assert_eq!(ran.stdout, expected);
    let expected =
        "3 objects in `one` asked for, 1 there.\n3 objects in `two` asked for, 2 there.\n";
    assert_eq!(ran.stderr, expected);
    let findings = document(&repo, 3, &["--remote=one"])["findings"].clone();
    let name = |content: &[u8]| format!("{}.bin", hex(content));
    assert_eq!(findings.as_array().unwrap().len(), 2);
    let damaged = findings.as_array().unwrap().iter().find(|it| it["damage"] == true).unwrap();
    assert_eq!((&damaged["kind"], &damaged["detail"]), (&"other-size".into(), &"5".into()));
    assert_eq!(damaged["name"], name(&noise(2, 3000)));
    assert_eq!(damaged["lake"], one.url());
    // Its receipt does not count any more, so that a push sends it.
    repo.git_fails(1, ["lake", "push", "--all"]).says("1 object uploaded");
    one.holds(noise(1, 3000));
}

#[test]
fn other_bytes_of_the_right_size_are_found_by_reading() {
    let env = TestEnv::new();
    let (repo, one, _two) = repo(&env);
    one.damage(noise(2, 3000));
    assert_eq!(kinds(&repo, 0, &["--remote"]), [""; 0]);
    assert_eq!(kinds(&repo, 3, &["--remote", "--read-data"]), ["2.bin wrong-bytes one"]);
    repo.git_fails(3, ["lake", "fsck", "--remote=one", "--read-data=100"])
        .prints("1 object has other bytes in a lake: `one`; ");
    repo.git(["lake", "where", "2.bin"]).prints("2.bin\tone\tnot proved");
}

#[test]
fn a_lake_that_cannot_be_reached_is_told_once_and_hides_no_other() {
    let env = TestEnv::new();
    let (repo, one, two) = repo(&env);
    one.unmount();
    two.remove(noise(1, 3000));
    let ran = repo.git_fails(1, ["lake", "fsck", "--remote"]);
    assert_eq!(
        ran.stdout.matches("1 lake could not be asked: Could not reach the lake").count(),
        1
    );
    let ran = ran.prints("1 object is not in a lake that its pointer names: `two`; ");
    drop(ran.says("3 objects in `one` asked for, 0 there."));
    repo.git_fails(1, ["lake", "fsck", "--remote=one"]);
    assert_eq!(kinds(&repo, 1, &["--remote=one"]), ["- lake-unknown one"]);
}

#[test]
fn pointers_that_name_no_remote_are_looked_for_where_readers_look() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.write("b.bin", noise(2, 3000));
    repo.commit("v1");
    // The lake moves.
    let moved = Lake { path: env.path("moved") };
    fs::rename(&lake.path, &moved.path).unwrap();
    let settings = repo.text(".gitlake.toml").replace("/work-lake\"", "/moved\"");
    repo.write(".gitlake.toml", settings);
    let ran = repo.git_fails(1, ["lake", "fsck", "--remote"]);
    drop(ran.says("2 objects in `work-lake` asked for, 2 there.").says_not("b.bin"));
    assert_eq!(kinds(&repo, 1, &["--remote"]), ["- lake-unknown work-lake"]);
    moved.remove(noise(2, 3000));
    let expected = ["- lake-unknown work-lake", "b.bin nowhere -"];
    assert_eq!(kinds(&repo, 1, &["--remote"]), expected);
    // One lake alone is asked for what pointers say that it holds.
    assert_eq!(kinds(&repo, 0, &["--remote=work-lake"]), [""; 0]);
}

#[test]
fn a_commit_or_a_range_says_which_objects_are_meant() {
    let env = TestEnv::new();
    let (repo, one, _two) = repo(&env);
    repo.git(["rm", "-q", "1.bin"]);
    repo.write("4.bin", noise(4, 3000));
    repo.commit("v2");
    one.remove(noise(1, 3000));
    one.remove(noise(4, 3000));
    assert_eq!(kinds(&repo, 1, &["--remote"]), ["4.bin absent one"]);
    assert_eq!(kinds(&repo, 1, &["--remote", "HEAD~1"]), ["1.bin absent one"]);
    assert_eq!(kinds(&repo, 1, &["--remote", "HEAD~1..HEAD"]), ["4.bin absent one"]);
    let bare = env.bare("bare");
    let to = bare.path.display().to_string();
    repo.git(["-c", "core.hooksPath=/dev/null", "push", "-q", &to, "main"]);
    assert_eq!(kinds(&bare, 1, &["--remote"]), ["4.bin absent one"]);
}

#[test]
fn each_day_others_are_read() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for at in 0..60 {
        repo.write(format!("{at}.bin"), noise(at, 100));
    }
    repo.commit("v1");
    let count = || {
        let document = document(&repo, 0, &["--remote", "--read-data=50%"]);
        document["remotes"][0]["read"].as_u64().unwrap()
    };
    let (first, again) = (count(), count());
    assert!((15..=45).contains(&first), "{first}");
    // Unless midnight has passed meanwhile.
    assert!(first == again || first + again == 60, "{first} {again}");
}

/// Writes an index of `count` pointers to objects that a bucket holds, without any content here.
fn plant(repo: &Repo, server: &S3Server, endpoint: &Endpoint, count: usize) {
    let lake = LakeUrl::parse(&endpoint.url("lake")).unwrap();
    let contents = (0..count).map(|at| format!("content {at}"));
    for content in contents.clone() {
        let name = format!("{}.bin", hex(content.as_bytes()));
        server.plant("lake", &name, content.as_bytes(), true);
    }
    commit_pointers(repo, &lake.to_string(), contents);
}

/// Runs the check of so many objects in a bucket; returns how many lists and how many other requests for
/// objects were made.
fn requests_for(count: usize) -> (usize, usize) {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let endpoint = Endpoint::of(&server);
    let repo = env.repo("work").with("AWS_ACCESS_KEY_ID", "testkey");
    let repo = repo.with("AWS_SECRET_ACCESS_KEY", "testsecret");
    repo.git(["lake", "init", &endpoint.typed("lake")]);
    plant(&repo, &server, &endpoint, count);
    server.take_requests();
    let ran = repo.git(["lake", "fsck", "--remote", "main"]);
    drop(ran.says(&format!("{count} objects in `lake` asked for, {count} there.")));
    let requests = server.take_requests();
    let lists = requests.iter().filter(|request| request.operation == "ListObjectsV2").count();
    let others = requests.iter().filter(|request| !request.key().is_empty()).count();
    (lists, others)
}

#[test]
fn a_bucket_is_asked_by_its_list() {
    let (lists, others) = requests_for(5000);
    assert!(lists <= 5 + 16, "{lists} lists");
    assert_eq!(others, 0);
}

#[test]
#[ignore = "takes a minute or two: it writes a hundred thousand pointers"]
fn a_hundred_thousand_objects_are_one_listing() {
    let (lists, others) = requests_for(100_000);
    assert!(lists <= 130, "{lists} lists");
    assert_eq!(others, 0);
}
