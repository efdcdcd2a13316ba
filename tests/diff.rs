//! `git lake diff`, and git's own commands that show differences.

use std::fs;

use crate::common::s3::S3Server;
use crate::common::s3::endpoint::Endpoint;
use crate::common::{Lake, Repo, TestEnv, noise, tree};
use git_lake::oid::Oid;

/// A picture of these dimensions, as far as anybody looks.
fn png(width: u32, height: u32, len: usize) -> Vec<u8> {
    let sizes = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let mut bytes = [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", &*sizes, b"\x08\x02\0\0\0"].concat();
    bytes.extend(noise(u64::from(width), len - bytes.len()));
    bytes
}

fn short(content: impl AsRef<[u8]>) -> String {
    Oid::of(content.as_ref()).to_hex()[..12].to_owned()
}

fn diff(repo: &Repo, args: &[&str]) -> String {
    repo.git(["lake", "diff"].iter().chain(args)).stdout
}

fn json(repo: &Repo, args: &[&str]) -> serde_json::Value {
    serde_json::from_str(&diff(repo, &[&["--json"], args].concat())).unwrap()
}

fn repo_with_a_picture(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", png(640, 480, 2048));
    repo.write("b.bin", noise(2, 1000));
    repo.commit("first");
    (repo, lake)
}

#[test]
fn commits_differ_by_size_and_kind() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with_a_picture(&env);
    let (old, new) = (png(640, 480, 2048), png(800, 600, 4096));
    let npy =
        b"\x93NUMPY\x01\0\x3a\0{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}\n data";
    repo.write("a.bin", &new);
    repo.write("c.bin", npy);
    repo.git(["rm", "-q", "b.bin"]);
    repo.write("plain.txt", "no item");
    repo.commit("second");
    let expected = format!(
        "modified  a.bin  {} -> {}  2.0 KiB -> 4.0 KiB (+2.0 KiB)  PNG 640x480 -> PNG 800x600\n\
         deleted  b.bin  {}  1000 bytes\n\
         added  c.bin  {}  73 bytes  NPY <f4 (3, 2)\n",
        short(&old),
        short(&new),
        short(noise(2, 1000)),
        short(npy),
    );
    for args in
        [&["HEAD~", "HEAD"][..], &["HEAD~..HEAD"], &["HEAD~.."], &["HEAD~"], &["--cached", "HEAD~"]]
    {
        assert_eq!(diff(&repo, args), expected, "{args:?}");
    }
    repo.git(["lake", "diff", "HEAD~"])
        .says("3 items differ: 1 added, 1 deleted, 1 modified; +1.1 KiB.");
    assert_eq!(diff(&repo, &["HEAD"]), "");
    // From the commit that both come from: what only the older side has is no difference.
    assert_eq!(diff(&repo, &["HEAD...HEAD~"]), "");
    repo.git(["lake", "diff", "--exit-code"]);
    repo.git_fails(1, ["lake", "diff", "--exit-code", "HEAD~"]);
}

#[test]
fn files_of_the_work_tree_are_looked_into_where_their_date_changed() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with_a_picture(&env);
    repo.settle();
    repo.touch("b.bin");
    assert_eq!(diff(&repo, &[]), "");
    let (old, new) = (noise(2, 1000), noise(3, 20_000));
    repo.write("b.bin", &new);
    let expected = format!(
        "modified  b.bin  {} -> {}  1000 bytes -> 20 KiB (+19 KiB)\n",
        short(old),
        short(&new)
    );
    let (store, index) = (tree(&repo.state()), fs::read(repo.git_dir().join("index")).unwrap());
    for args in [&[][..], &["HEAD"]] {
        assert_eq!(diff(&repo, args), expected, "{args:?}");
    }
    assert_eq!(repo.count("clean", &["lake", "diff"]), 0);
    assert!(store == tree(&repo.state()), "a diff stores nothing");
    assert!(index == fs::read(repo.git_dir().join("index")).unwrap());
    assert_eq!(diff(&repo, &["--cached"]), "");
    repo.git(["add", "b.bin"]);
    assert_eq!((diff(&repo, &["--cached"]), diff(&repo, &[])), (expected, String::new()));
    fs::remove_file(repo.path.join("b.bin")).unwrap();
    assert_eq!(diff(&repo, &[]), format!("deleted  b.bin  {}  20 KiB\n", short(&new)));
}

#[test]
fn renames_sources_and_pathspecs() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with_a_picture(&env);
    let second = env.lake("second");
    repo.git(["lake", "remote-add", &second.url()]);
    fs::create_dir(repo.path.join("sub")).unwrap();
    repo.git(["mv", "b.bin", "sub/c.bin"]);
    repo.git(["commit", "-q", "-a", "-m", "second"]);
    let (a, b) = (short(png(640, 480, 2048)), short(noise(2, 1000)));
    let (first_line, second_line) = (
        format!("modified  a.bin  {a}  2.0 KiB  PNG 640x480  +second\n"),
        format!("renamed  b.bin => sub/c.bin  {b}  1000 bytes  +second\n"),
    );
    assert_eq!(diff(&repo, &["HEAD~", "HEAD"]), format!("{first_line}{second_line}"));
    let back = diff(&repo, &["HEAD", "HEAD~", "--", "a.bin"]);
    assert_eq!(back, first_line.replace("+second", "-second"));
    assert_eq!(
        diff(&repo.below("sub"), &["HEAD~", "--", "."]),
        format!("added  sub/c.bin  {b}  1000 bytes\n")
    );
}

#[test]
fn the_document_has_the_keys_that_are_documented() {
    let env = TestEnv::new();
    let (repo, lake) = repo_with_a_picture(&env);
    let content = png(800, 600, 1024);
    repo.write("a.bin", &content);
    let old = Oid::of(&png(640, 480, 2048)).to_hex();
    let expected = serde_json::json!({"version": 1, "items": [{
        "change": "modified",
        "old": {
            "path": "a.bin", "form": "pointer", "oid": old, "size": 2048,
            "kind": {"format": "PNG", "width": 640, "height": 480},
            "sources": [format!("{}/{old}.bin", lake.url())],
        },
        "new": {
            "path": "a.bin", "form": "content", "oid": Oid::of(&content).to_hex(), "size": 1024,
            "kind": {"format": "PNG", "width": 800, "height": 600}, "sources": [],
        },
        "size_difference": -1024, "sources_gained": [], "sources_lost": [],
    }]});
    assert_eq!(json(&repo, &[]), expected);
    assert_eq!(json(&repo, &["--cached"]), serde_json::json!({"version": 1, "items": []}));
}

#[test]
fn a_file_that_is_not_merged_shows_both_sides() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with_a_picture(&env);
    repo.on_branch("side", |repo| repo.write("b.bin", noise(11, 1000)));
    repo.write("b.bin", noise(12, 3000));
    repo.commit("ours");
    repo.git_fails(1, ["merge", "-q", "side"]);
    let (ours, theirs) = (short(noise(12, 3000)), short(noise(11, 1000)));
    let expected =
        format!("unmerged  b.bin  {ours} -> {theirs}  2.9 KiB -> 1000 bytes (-2.0 KiB)\n");
    assert_eq!(diff(&repo, &[]), expected);
}

#[test]
fn conversions_and_damage_are_named() {
    let env = TestEnv::new();
    let lake = env.lake("lake");
    let repo = env.repo("work");
    repo.write("big.bin", noise(1, 20_000));
    repo.write("plain.txt", "text");
    repo.commit("content in git");
    repo.set_up(&[&lake]);
    repo.git(["add", "--renormalize", "."]);
    let pointer = short(noise(1, 20_000));
    assert_eq!(
        diff(&repo, &["HEAD~", "--cached"]),
        format!("modified  big.bin  content in git -> {pointer}  20 KiB\n")
    );
    repo.git(["commit", "-q", "--allow-empty", "-m", "converted"]);
    repo.write("big.bin", "git-lake pointer v1\n<<<<<<< ours\n");
    assert_eq!(
        diff(&repo, &[]),
        format!("modified  big.bin  {pointer} -> damaged pointer  20 KiB\n")
    );
}

#[test]
fn kinds_come_from_a_folder_lake_where_the_store_lacks_the_object() {
    let env = TestEnv::new();
    let (repo, lake) = repo_with_a_picture(&env);
    env.install();
    let clone = env.at("clone");
    let here = repo.path.to_str().unwrap();
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", here, "clone"]);
    let line = format!("added  a.bin  {}  2.0 KiB", short(png(640, 480, 2048)));
    assert!(diff(&clone, &["HEAD~", "HEAD"]).starts_with(&format!("{line}  PNG 640x480\n")));
    assert!(diff(&clone, &["HEAD~", "HEAD", "--no-fetch"]).starts_with(&format!("{line}\n")));
    assert!(!clone.stored(png(640, 480, 2048)).exists());
    assert_eq!(diff(&clone, &[]), "");
    lake.unmount();
    let told = clone.git(["lake", "diff", "HEAD~", "HEAD"]).says_nothing();
    assert!(told.stdout.starts_with(&format!("{line}\n")), "{told:?}");
}

#[test]
fn kinds_come_from_a_bucket_by_few_bytes_of_few_objects() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = env.repo("work");
    repo.git(["config", "--global", "credential.helper", "store"]);
    repo.git(["lake", "init", &Endpoint::of(&server).typed("lake")]);
    repo.git(["lake", "track", "*.bin"]);
    repo.commit("set up");
    for width in 1..=60 {
        repo.write(format!("{width:02}.bin"), png(width, 10, 20_000));
    }
    repo.commit("pictures");
    repo.empty_store();
    server.take_requests();
    let shown = diff(&repo, &["HEAD~", "HEAD"]);
    assert_eq!(shown.matches("PNG").count(), 50, "{shown}");
    assert!(shown.contains("PNG 7x10"), "{shown}");
    let asked = server.take_requests();
    let ranges: Vec<_> = asked.iter().filter(|request| request.operation == "GetObject").collect();
    assert_eq!(ranges.len(), 50);
    assert!(ranges.iter().all(|request| request.headers["range"] == "bytes=0-4095"));
    assert!(!repo.stored(png(7, 10, 20_000)).exists());
    assert!(!diff(&repo, &["HEAD~", "HEAD", "--no-fetch"]).contains("PNG"));
    assert!(server.take_requests().iter().all(|request| request.operation != "GetObject"));
}

#[test]
fn few_processes_for_many_items() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for number in 0..60 {
        repo.write(format!("{number}.bin"), noise(number, 100));
    }
    repo.commit("many");
    let trace = env.path("trace");
    let ran = repo.with("GIT_TRACE", &trace).git(["lake", "diff", "HEAD~"]);
    assert_eq!(ran.stdout.lines().count(), 60);
    let started = fs::read_to_string(trace).unwrap();
    let started: Vec<&str> =
        started.lines().filter(|line| line.contains("built-in: git")).collect();
    assert_eq!(started.len(), 1, "{started:#?}");
}

#[test]
fn git_itself_shows_pointers_and_asks_nobody() {
    let env = TestEnv::new();
    let server = S3Server::start();
    let repo = env.repo("work");
    repo.git(["config", "--global", "credential.helper", "store"]);
    repo.git(["lake", "init", &Endpoint::of(&server).typed("lake")]);
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", noise(1, 2000));
    repo.commit("first");
    repo.write("a.bin", noise(2, 3000));
    repo.commit("second");
    env.install();
    let here = repo.path.to_str().unwrap();
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", here, "clone"]);
    let clone = env.at("clone");
    clone.settle();
    server.take_requests();
    let started = clone.note_filter_pid();
    let shows: [&[&str]; 6] = [
        &["diff", "HEAD~", "HEAD"],
        &["log", "-p"],
        &["show", "HEAD"],
        &["diff", "--cached", "HEAD~"],
        &["diff", "HEAD~"],
        &["log", "-p", "--stat", "--follow", "a.bin"],
    ];
    for args in shows {
        let ran = clone.git(args).says_nothing();
        let (old, new) = (Oid::of(&noise(1, 2000)), Oid::of(&noise(2, 3000)));
        for line in [
            format!("\n-oid sha256:{old}\n"),
            format!("\n+oid sha256:{new}\n"),
            "\n+size 3000\n".into(),
        ] {
            assert!(ran.stdout.contains(&line), "{args:?}: {ran:#?}");
        }
    }
    diff(&clone, &["HEAD~", "HEAD", "--no-fetch"]);
    assert!(!started.exists(), "no filter has run");
    assert!(server.requests().is_empty(), "{:?}", server.requests());
    clone.touch("a.bin");
    clone.git(["status"]);
    assert!(started.exists(), "the test would see a filter");
}
