//! Every name that git takes is a name for content.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;

use crate::common::{TestEnv, noise, same_trees};

/// A file of this name goes in, comes out, and stays clean.
#[track_caller]
fn survives(stem: &[u8]) {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let mut name = stem.to_vec();
    name.extend_from_slice(b".bin");
    check(&env, &repo, &name);
    lake.holds(noise(7, 3000));
}

#[track_caller]
fn check(env: &TestEnv, repo: &crate::common::Repo, name: &[u8]) {
    let path = OsString::from_vec(name.to_vec());
    repo.write(&path, noise(7, 3000));
    repo.git([OsStr::new("add"), OsStr::new("--"), &path]).says_nothing();
    repo.commit("v1");
    assert!(repo.git(["ls-files", "-z"]).bytes.split(|byte| *byte == 0).any(|found| found == name));
    let clone = env.clone_of(repo, "clone");
    same_trees(repo, &clone);
    clone.is_clean_when_touched();
    // Through the delayed way and through `pull`, too.
    std::fs::remove_file(clone.path.join(&path)).unwrap();
    clone.with("GIT_LAKE_SKIP_SMUDGE", "1").git([OsStr::new("checkout"), OsStr::new("--"), &path]);
    assert!(clone.is_pointer(&path));
    clone.empty_store();
    clone.git(["lake", "pull"]).says_nothing();
    same_trees(repo, &clone);
    clone.is_clean_when_touched();
}

#[test]
fn with_spaces() {
    survives(b"a name with  spaces");
}

#[test]
fn with_a_leading_space() {
    survives(b" lead");
}

#[test]
fn with_quotes() {
    survives(b"it's \"quoted\" `here` $HOME \\ ;");
}

#[test]
fn with_newlines() {
    survives(b"two\nlines\n");
}

#[test]
fn with_tabs() {
    survives(b"tab\there\t");
}

#[test]
fn with_control_characters() {
    survives(b"\x01\x1b[31m\x7f");
}

#[test]
fn with_a_leading_dash() {
    survives(b"-n");
}

#[test]
fn with_unicode() {
    survives("äöü 图像 🦀 e\u{301}".as_bytes());
}

#[test]
fn with_bytes_that_are_no_utf8() {
    survives(b"latin\xe9\xff");
}

#[test]
fn with_glob_characters() {
    survives(b"a[1]*?{x}!#");
}

#[test]
fn with_percent_and_colon() {
    survives(b"100%25 C:con =pathname");
}

#[test]
fn with_255_bytes() {
    survives(&[b'x'; 251]);
}

#[test]
fn with_trailing_blanks_and_newlines() {
    for name in [&b"blank.bin "[..], b"tab.bin\t", b"line.bin\n", b"carriage.bin\r"] {
        let env = TestEnv::new();
        let lake = env.lake("lake");
        let repo = env.repo("work");
        repo.git(["lake", "init", &lake.url()]);
        repo.git(["lake", "track", "*.bin*"]);
        check(&env, &repo, name);
        // The suffix has a blank, so the object has none of its own.
        let names = lake.objects();
        assert!(names.len() == 1 && names[0].ends_with(".___"), "{names:?}");
    }
}

#[test]
fn without_a_suffix_and_with_odd_ones() {
    let env = TestEnv::new();
    let lake = env.lake("lake");
    let repo = env.repo("work");
    repo.git(["lake", "init", &lake.url()]);
    repo.git(["lake", "track", "data/*"]);
    let names = [
        ("README", ".___"),
        (".hidden", ".___"),
        ("a.tar.gz", ".gz"),
        ("A.PNG", ".PNG"),
        ("end.", ".___"),
        ("odd.a+b", ".___"),
        ("long.12345678901234567", ".___"),
        ("fits.1234567890123456", ".1234567890123456"),
    ];
    for (at, (name, _)) in names.iter().enumerate() {
        repo.write(format!("data/{name}"), noise(at as u64 + 1, 50));
    }
    repo.commit("v1").says_nothing();
    let objects = lake.objects();
    for (at, (name, ext)) in names.iter().enumerate() {
        let oid = git_lake::oid::Oid::of(&noise(at as u64 + 1, 50)).to_hex();
        assert!(objects.contains(&format!("{oid}{ext}")), "{name}: {objects:?}");
    }
    let clone = env.clone_of(&repo, "clone");
    same_trees(&repo, &clone);
}

#[test]
fn what_a_terminal_would_obey_is_escaped() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("\x1b[31mred.bin", noise(1, 50));
    repo.commit("v1");
    lake.remove(noise(1, 50));
    env.install();
    let ran = env.at(".").git(["clone", "-q", "work", "clone"]);
    assert!(!ran.stderr.contains('\x1b'), "{ran:?}");
    let ran = ran.says("\\u{1b}[31mred.bin");
    drop(ran);
    let status = env.at("clone").git(["lake", "status"]);
    assert!(!status.stdout.contains('\x1b'), "{status:?}");
}
