//! `git lake fsck --repair`: what is put right, from where, and what is left alone.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use git_lake::lake::ASIDE_FOLDER;
use git_lake::oid::Oid;

use crate::common::s3::S3Server;
use crate::common::s3::endpoint::Endpoint;
use crate::common::{Lake, Repo, TestEnv, noise};

/// `1.bin` and `2.bin` in both lakes.
fn repo(env: &TestEnv) -> (Repo, Lake, Lake) {
    let (one, two) = (env.lake("one"), env.lake("two"));
    let repo = env.repo("work");
    repo.set_up(&[&one, &two]);
    for at in 1..=2 {
        repo.write(format!("{at}.bin"), noise(at, 3000));
    }
    repo.commit("v1");
    (repo, one, two)
}

fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[5] ^= 1;
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o444)).unwrap();
}

/// The bytes of what a lake keeps aside.
fn aside(lake: &Lake) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(lake.path.join(ASIDE_FOLDER)).into_iter().flatten();
    entries.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

/// The path, kind, and state and action of the repair of each finding.
fn repairs(repo: &Repo, code: i32, args: &[&str]) -> Vec<String> {
    let ran = repo.git_fails(code, ["lake", "fsck", "--repair", "--json"].iter().chain(args));
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let shown = |finding: &serde_json::Value| {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        let repair = &finding["repair"];
        let all = [&finding["path"], &finding["kind"], &repair["state"], &repair["action"]];
        all.map(text).join(" ")
    };
    document["findings"].as_array().unwrap().iter().map(shown).collect()
}

#[test]
fn a_damaged_object_of_the_store_comes_from_the_work_tree_or_a_lake() {
    let env = TestEnv::new();
    let (repo, one, two) = repo(&env);
    damage(&repo.stored(noise(1, 3000)));
    damage(&repo.stored(noise(2, 3000)));
    one.unmount();
    two.remove(noise(1, 3000));
    repo.write("2.bin", "something else");
    let oids = [1, 2].map(|at| Oid::of(&noise(at, 3000)).to_hex());
    let mut lines =
        [format!("  1.bin  {}  fetched", oids[0]), format!("  2.bin  {}  fetched", oids[1])];
    lines.sort_by_key(|line| line.split("  ").nth(2).map(str::to_owned));
    let ran = repo.git_fails(3, ["lake", "fsck", "--repair"]);
    let expected = format!(
        "2 objects of the store were damaged: set aside in `{}`:\n{}\n",
        repo.state().join("damaged").display(),
        lines.join("\n")
    );
    assert_eq!(ran.stdout, expected);
    let expected = "2 objects of the store read (5.9 KiB).\n4 files in git looked at, 2 pointers \
                    (5.9 KiB).\n2 things put right.\n";
    assert_eq!(ran.stderr, expected);
    repo.git(["lake", "fsck", "--repair"]).says("Nothing is wrong.");
    for at in [1, 2] {
        assert_eq!(fs::read(repo.stored(noise(at, 3000))).unwrap(), noise(at, 3000));
    }
}

#[test]
fn what_nothing_needs_and_what_nobody_has_is_told() {
    let env = TestEnv::new();
    let (repo, one, two) = repo(&env);
    repo.git(["rm", "-q", "1.bin"]);
    repo.commit("v2");
    damage(&repo.stored(noise(1, 3000)));
    damage(&repo.stored(noise(2, 3000)));
    one.remove(noise(2, 3000));
    two.damage(noise(2, 3000));
    repo.write("2.bin", "something else");
    let ran = repo.git_fails(3, ["lake", "fsck", "--repair"]);
    let ran = ran.prints("left as it is: no pointer that was looked at names it");
    let ran = ran.prints("not fetched: it is not in `file://").prints("holds other bytes");
    drop(ran.says("1 thing could not be put right (2.bin): it is not in"));
    assert!(!repo.stored(noise(2, 3000)).exists());
}

#[test]
fn content_that_the_work_tree_lacks_is_missing_and_is_fetched() {
    let env = TestEnv::new();
    let (repo, ..) = repo(&env);
    env.install();
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", "work", "clone"]);
    let clone = env.at("clone");
    let ran = clone.git_fails(1, ["lake", "fsck"]);
    drop(ran.prints("2 objects that are needed here are not in the store"));
    // Whoever wants pointers alone misses nothing.
    clone.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["lake", "fsck"]).says("Nothing is wrong.");
    clone.git(["-c", "lake.fetchExclude=*", "lake", "fsck"]).says("Nothing is wrong.");
    let expected = ["1.bin not-stored planned fetch", "2.bin not-stored planned fetch"];
    assert_eq!(repairs(&clone, 1, &["--dry-run"]), expected);
    let expected = ["1.bin not-stored done fetch", "2.bin not-stored done fetch"];
    assert_eq!(repairs(&clone, 0, &[]), expected);
    clone.git(["lake", "fsck"]).says("Nothing is wrong.");
    assert!(clone.is_pointer("1.bin"));
    // What lies in the work tree need not be in the store; of a commit that is named all of it is.
    repo.empty_store();
    repo.git(["lake", "fsck"]).says("Nothing is wrong.");
    repo.git_fails(1, ["lake", "fsck", "HEAD"]);
    assert_eq!(repairs(&repo, 0, &["HEAD"]), expected);
    let bare = env.bare("bare");
    let to = bare.path.display().to_string();
    repo.git(["-c", "core.hooksPath=/dev/null", "push", "-q", &to, "main"]);
    bare.git(["lake", "fsck"]).says("Nothing is wrong.");
}

#[test]
fn what_a_lake_lacks_is_uploaded_from_wherever_it_is() {
    let env = TestEnv::new();
    let (repo, one, two) = repo(&env);
    let absent = ["1.bin absent done upload"];
    // From the store.
    one.remove(noise(1, 3000));
    repo.write("1.bin", "something else");
    assert_eq!(repairs(&repo, 0, &["--remote"]), absent);
    one.holds(noise(1, 3000));
    // From the work tree.
    repo.write("1.bin", noise(1, 3000));
    repo.empty_store();
    one.remove(noise(1, 3000));
    two.damage(noise(1, 3000));
    assert_eq!(repairs(&repo, 0, &["--remote=one"]), absent);
    one.holds(noise(1, 3000));
    // From another lake, past a work tree that has something of the same size.
    repo.write("1.bin", noise(9, 3000));
    two.remove(noise(1, 3000));
    let ran = repo.git(["lake", "fsck", "--remote", "--repair"]);
    let oid = Oid::of(&noise(1, 3000)).to_hex();
    let expected = format!(
        "1 object is not in a lake that its pointer names: `two`:\n  1.bin  {oid}  uploaded\n"
    );
    assert_eq!(ran.stdout, expected);
    let expected = "2 objects in `one` asked for, 2 there.\n2 objects in `two` asked for, 1 there.\n\
                    1 thing put right.\n";
    assert_eq!(ran.stderr, expected);
    two.holds(noise(1, 3000));
    // From nowhere.
    one.remove(noise(1, 3000));
    two.remove(noise(1, 3000));
    let expected = ["1.bin absent failed upload", "1.bin absent failed upload"];
    assert_eq!(repairs(&repo, 1, &["--remote"]), expected);
}

#[test]
fn a_damaged_object_of_a_lake_is_replaced_and_kept_aside() {
    let env = TestEnv::new();
    let (repo, one, two) = repo(&env);
    fs::write(one.object(noise(1, 3000)), "short").unwrap();
    two.damage(noise(2, 3000));
    let wrong = fs::read(two.object(noise(2, 3000))).unwrap();
    let expected = ["1.bin other-size planned replace"];
    assert_eq!(repairs(&repo, 3, &["--remote", "-n"]), expected);
    assert_eq!(fs::read(one.object(noise(1, 3000))).unwrap(), b"short");
    let ran = repo.git_fails(3, ["lake", "fsck", "--remote", "--read-data", "--repair"]);
    let begin = format!(
        "  1.bin  {0}  replaced; what was there is `{1}/.lake-damaged/{0}.bin.",
        Oid::of(&noise(1, 3000)).to_hex(),
        one.url()
    );
    drop(ran.prints(&begin).says("2 things put right."));
    one.holds(noise(1, 3000));
    two.holds(noise(2, 3000));
    assert_eq!((aside(&one), aside(&two)), (vec![b"short".to_vec()], vec![wrong]));
    let all = ["lake", "fsck", "--remote", "--read-data", "--repair"];
    repo.git(all).says("Nothing is wrong.");
    repo.git(["lake", "where", "2.bin"]).prints("2.bin\ttwo\tproved (sent");
}

#[test]
fn a_copy_that_is_damaged_itself_replaces_nothing() {
    let env = TestEnv::new();
    let (repo, one, two) = repo(&env);
    one.damage(noise(1, 3000));
    two.damage(noise(1, 3000));
    damage(&repo.stored(noise(1, 3000)));
    repo.write("1.bin", noise(9, 3000));
    let (before, after) = (fs::read(one.object(noise(1, 3000))).unwrap(), || {
        fs::read(one.object(noise(1, 3000))).unwrap()
    });
    let expected = ["1.bin wrong-bytes failed replace", "1.bin wrong-bytes failed replace"];
    assert_eq!(repairs(&repo, 3, &["--remote", "--read-data"]), expected);
    assert_eq!(after(), before);
    assert_eq!(aside(&one), [[0; 0]; 0]);
    // One good copy is enough for all.
    repo.write("1.bin", noise(1, 3000));
    let expected = ["1.bin wrong-bytes done replace", "1.bin wrong-bytes done replace"];
    assert_eq!(repairs(&repo, 3, &["--remote", "--read-data"]), expected);
    one.holds(noise(1, 3000));
    two.holds(noise(1, 3000));
}

#[test]
fn only_lakes_that_this_clone_may_write_to_are_written_to() {
    let env = TestEnv::new();
    let (repo, one, two) = repo(&env);
    one.remove(noise(1, 3000));
    two.remove(noise(1, 3000));
    fs::write(two.object(noise(2, 3000)), "short").unwrap();
    repo.git(["config", "lake.one.upload", "false"]);
    repo.git(["lake", "trust", "--remove", &two.url()]);
    let ran = repo.git_fails(3, ["lake", "fsck", "--remote", "--repair"]);
    let unaccepted = format!(
        "left as it is: `{0}`: this clone has not accepted it: `git lake trust {0}`",
        two.url()
    );
    let ran = ran.prints(&format!("left as it is: `{}`: nothing is uploaded to it", one.url()));
    assert_eq!(ran.stdout.matches(&unaccepted).count(), 2, "{ran:?}");
    drop(ran.says("2 things could not be put right (2.bin, 1.bin)"));
    one.lacks(noise(1, 3000));
    two.lacks(noise(1, 3000));
    assert_eq!(fs::read(two.object(noise(2, 3000))).unwrap(), b"short");
    repo.git(["lake", "trust", &two.url()]);
    let expected =
        ["1.bin absent impossible -", "2.bin other-size done replace", "1.bin absent done upload"];
    let mut found = repairs(&repo, 3, &["--remote"]);
    found.sort();
    let mut expected = expected.map(str::to_owned);
    expected.sort();
    assert_eq!(found, expected);
    repo.git_fails(2, ["lake", "fsck", "--dry-run"]);
}

#[test]
fn an_object_of_a_lake_that_has_moved_goes_where_readers_look() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    let moved = env.lake("moved");
    let settings = repo.text(".gitlake.toml").replace("/work-lake\"", "/moved\"");
    repo.write(".gitlake.toml", settings);
    repo.git(["lake", "trust", &moved.url()]);
    lake.remove(noise(1, 3000));
    assert_eq!(repairs(&repo, 0, &["--remote"]), ["a.bin nowhere done upload"]);
    moved.holds(noise(1, 3000));
}

#[test]
fn buckets_are_put_right_too() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = env.repo("work").with("AWS_ACCESS_KEY_ID", "testkey");
    let repo = repo.with("AWS_SECRET_ACCESS_KEY", "testsecret");
    repo.git(["lake", "init", &Endpoint::of(&server).typed("lake/pre")]);
    repo.git(["lake", "track", "*.bin"]);
    for at in 1..=3 {
        repo.write(format!("{at}.bin"), noise(at, 3000));
    }
    repo.commit("v1");
    let key = |at| format!("pre/{}.bin", Oid::of(&noise(at, 3000)).to_hex());
    server.remove("lake", &key(1));
    server.plant("lake", &key(2), b"short", true);
    server.rot("lake", &key(3), &noise(9, 3000));
    let mut found = repairs(&repo, 3, &["--remote", "--read-data"]);
    found.sort();
    let expected = [
        "1.bin absent done upload",
        "2.bin other-size done replace",
        "3.bin wrong-bytes done replace",
    ];
    assert_eq!(found, expected);
    for at in 1..=3 {
        assert_eq!(server.object("lake", &key(at)).unwrap(), noise(at, 3000));
    }
    let mut kept = Endpoint::of(&server).aside("lake", "pre/");
    kept.sort();
    let mut expected = vec![b"short".to_vec(), noise(9, 3000)];
    expected.sort();
    assert_eq!(kept, expected);
    repo.git(["lake", "fsck", "--remote", "--read-data"]).says("Nothing is wrong.");
}
