//! `git lake ls-files`: every item, with how it stands here.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use crate::common::{Repo, TestEnv, noise};
use git_lake::oid::Oid;

fn lines(repo: &Repo, args: &[&str]) -> Vec<String> {
    let ran = repo.git(["lake", "ls-files"].iter().chain(args));
    assert_eq!(ran.stderr, "");
    ran.stdout.lines().map(str::to_owned).collect()
}

/// A line about some content, in the lake `work-lake`.
fn line(path: &str, content: &[u8], work_tree: &str, store: &str) -> String {
    let oid = &Oid::of(content).to_hex()[..12];
    format!("{path}\t{oid}\t{}\t{work_tree}\t{store}\twork-lake", content.len())
}

#[test]
fn each_state_of_the_work_tree_and_the_store_has_its_word() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for (name, seed) in
        [("content", 1), ("pointer", 2), ("modified", 3), ("absent", 4), ("link", 5)]
    {
        repo.write(format!("{name}.bin"), noise(seed, 20_000));
    }
    repo.write("plain.txt", "no item");
    repo.commit("items");
    fs::remove_file(repo.path.join("pointer.bin")).unwrap();
    repo.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["checkout", "--", "pointer.bin"]);
    repo.write("modified.bin", noise(6, 20_000));
    fs::remove_file(repo.path.join("absent.bin")).unwrap();
    fs::remove_file(repo.stored(noise(4, 20_000))).unwrap();
    fs::remove_file(repo.path.join("link.bin")).unwrap();
    std::os::unix::fs::symlink("content.bin", repo.path.join("link.bin")).unwrap();
    let expected = [
        line("absent.bin", &noise(4, 20_000), "absent", "absent"),
        line("content.bin", &noise(1, 20_000), "content", "stored"),
        line("link.bin", &noise(5, 20_000), "modified", "stored"),
        line("modified.bin", &noise(3, 20_000), "modified", "stored"),
        line("pointer.bin", &noise(2, 20_000), "pointer", "stored"),
    ];
    assert_eq!(lines(&repo, &[]), expected);
    // Files that were only touched are hashed, and nothing is cleaned.
    repo.touch_all();
    assert_eq!(lines(&repo, &[]), expected);
    assert_eq!(repo.count("clean", &["lake", "ls-files"]), 0);
}

#[test]
fn what_git_would_not_look_into_is_not_read() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.git(["config", "core.trustctime", "false"]);
    repo.write("a.bin", noise(1, 20_000));
    repo.commit("items");
    repo.settle();
    let path = repo.path.join("a.bin");
    let modified = path.metadata().unwrap().modified().unwrap();
    fs::write(&path, noise(2, 20_000)).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let known = line("a.bin", &noise(1, 20_000), "content", "stored");
    assert_eq!(lines(&repo, &[]), [known]);
    repo.is_clean();
    repo.touch("a.bin");
    assert_eq!(lines(&repo, &[]), [line("a.bin", &noise(1, 20_000), "modified", "stored")]);
}

#[test]
fn content_as_long_as_its_pointer_is_told_from_it() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 500));
    repo.git(["add", "."]);
    // The size has three digits in both.
    let len = repo.blob(":a.bin").len();
    assert!((100..1000).contains(&len));
    repo.write("a.bin", noise(2, len));
    repo.commit("items");
    assert_eq!(repo.blob(":a.bin").len(), len);
    for _ in 0..2 {
        assert_eq!(lines(&repo, &[]), [line("a.bin", &noise(2, len), "content", "stored")]);
        repo.settle();
    }
    fs::remove_file(repo.path.join("a.bin")).unwrap();
    repo.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["checkout", "--", "a.bin"]);
    for _ in 0..2 {
        assert_eq!(lines(&repo, &[]), [line("a.bin", &noise(2, len), "pointer", "stored")]);
        repo.settle();
    }
}

#[test]
fn commits_trees_and_bare_repositories_are_listed() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("first");
    repo.write("a.bin", noise(2, 3000));
    repo.write("sub/b.bin", noise(3, 3000));
    repo.commit("second");
    let (old, new) = (
        [line("a.bin", &noise(1, 3000), "-", "stored")],
        [
            line("a.bin", &noise(2, 3000), "-", "stored"),
            line("sub/b.bin", &noise(3, 3000), "-", "stored"),
        ],
    );
    assert_eq!(lines(&repo, &["HEAD~"]), old);
    assert_eq!(lines(&repo, &["main"]), new);
    assert_eq!(lines(&repo, &["HEAD:sub"]), [new[1].replace("sub/b", "b")]);
    repo.git(["tag", "-a", "-m", "x", "v1", "HEAD~"]);
    assert_eq!(lines(&repo, &["v1"]), old);
    let bare = env.bare("bare");
    assert_eq!(lines(&bare, &[]), [""; 0]);
    assert_eq!(lines(&bare, &["--all"]), [""; 0]);
    repo.git(["push", "-q", &bare.path.display().to_string(), "main", "v1"]);
    let absent = |lines: &[String]| -> Vec<String> {
        lines.iter().map(|line| line.replace("stored", "absent")).collect()
    };
    assert_eq!(lines(&bare, &[]), absent(&new));
    assert_eq!(lines(&bare, &["v1"]), absent(&old));
    assert_eq!(lines(&bare, &["--", "sub"]), absent(&new[1..]));
}

#[test]
fn before_the_first_commit_and_in_another_work_tree() {
    let env = TestEnv::new();
    let lake = env.lake("work-lake");
    let repo = env.repo("work");
    assert_eq!(lines(&repo, &[]), [""; 0]);
    assert_eq!(lines(&repo, &["HEAD"]), [""; 0]);
    assert_eq!(lines(&repo, &["--all"]), [""; 0]);
    repo.git(["lake", "init", &lake.url()]);
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", noise(1, 3000));
    repo.git(["add", "."]);
    assert_eq!(lines(&repo, &[]), [line("a.bin", &noise(1, 3000), "content", "stored")]);
    assert_eq!(lines(&repo, &["--all"]), [line("a.bin", &noise(1, 3000), "-", "stored")]);
    repo.git(["commit", "-q", "-m", "first"]);
    repo.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["worktree", "add", "-q", "../side"]);
    let side = env.at("side");
    assert_eq!(lines(&side, &[]), [line("a.bin", &noise(1, 3000), "pointer", "stored")]);
}

#[test]
fn everything_is_listed_once() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("first");
    repo.write("copy.bin", noise(1, 3000));
    repo.write("b.bin", noise(2, 3000));
    repo.commit("second");
    repo.on_branch("side", |repo| repo.write("c.bin", noise(3, 3000)));
    repo.write("d.bin", noise(4, 3000));
    repo.git(["add", "."]);
    repo.git(["stash", "-q"]);
    repo.write("e.bin", noise(5, 3000));
    repo.git(["add", "."]);
    let mut found = lines(&repo, &["--all"]);
    found.sort();
    let expected = [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)]
        .map(|(name, seed)| line(&format!("{name}.bin"), &noise(seed, 3000), "-", "stored"));
    assert_eq!(found, expected);
}

#[test]
fn files_outside_a_sparse_checkout_are_listed() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("in/a.bin", noise(1, 3000));
    repo.write("out/deep/b.bin", noise(2, 3000));
    repo.write("z.bin", noise(3, 3000));
    repo.commit("items");
    let expected = [
        line("in/a.bin", &noise(1, 3000), "content", "stored"),
        line("out/deep/b.bin", &noise(2, 3000), "absent", "stored"),
        line("z.bin", &noise(3, 3000), "content", "stored"),
    ];
    for index in ["--no-sparse-index", "--sparse-index"] {
        repo.git(["sparse-checkout", "set", index, "in"]);
        assert_eq!(lines(&repo, &[]), expected, "{index}");
        assert_eq!(lines(&repo, &["--", "out"]), expected[1..2], "{index}");
    }
    let sums = repo.git(["lake", "du", "-b", "--", "out"]).stdout;
    assert_eq!(sums, "3000\t1\t3000\tout\n3000\t1\t3000\t.\n");
}

#[test]
fn both_sides_of_a_conflict_are_listed() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("base");
    repo.on_branch("side", |repo| repo.write("a.bin", noise(2, 3000)));
    repo.write("a.bin", noise(3, 3000));
    repo.commit("ours");
    assert_eq!(repo.run("git", ["merge", "-q", "side"]).code, Some(1));
    let unmerged = |seed| line("a.bin", &noise(seed, 3000), "unmerged", "stored");
    assert_eq!(lines(&repo, &[]), [1, 3, 2].map(unmerged));
}

#[test]
fn pathspecs_are_gits() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for (path, seed) in [("a.bin", 1), ("sub/b.bin", 2), ("sub/deep/c.bin", 3)] {
        repo.write(path, noise(seed, 3000));
    }
    repo.commit("items");
    let named = |repo: &Repo, args: &[&str]| -> Vec<String> {
        let lines = lines(repo, args);
        lines.iter().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    };
    let sub = repo.below("sub");
    for treeish in [&[][..], &["HEAD"]] {
        let of = |repo: &Repo, specs: &[&str]| named(repo, &[treeish, &["--"], specs].concat());
        assert_eq!(of(&repo, &["sub"]), ["sub/b.bin", "sub/deep/c.bin"]);
        assert_eq!(of(&repo, &["*.bin", ":!sub/deep"]), ["a.bin", "sub/b.bin"]);
        assert_eq!(of(&sub, &["b.bin"]), ["sub/b.bin"]);
        assert_eq!(of(&sub, &["../a.bin"]), ["a.bin"]);
        assert_eq!(named(&sub, treeish).len(), 3, "all of them, wherever it was typed");
    }
}

#[test]
fn any_name_is_one_record() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    let odd: &[u8] = b"a\tb\nc\xff.bin";
    repo.write(OsStr::from_bytes(odd), noise(1, 3000));
    repo.commit("odd");
    let rest = line("", &noise(1, 3000), "content", "stored");
    assert_eq!(lines(&repo, &[]), [format!("a\\tb\\nc\u{fffd}.bin{rest}")]);
    let raw = repo.git(["lake", "ls-files", "-z"]).bytes;
    assert_eq!(raw, [odd, rest.as_bytes(), b"\0"].concat());
}

#[test]
fn long_lines_and_the_document_have_whole_names() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let empty = repo.git(["lake", "ls-files", "--json"]).stdout;
    assert_eq!(empty, "{\"version\":1,\"items\":[]}\n");
    repo.write("a.bin", noise(1, 3000));
    repo.write("b.bin", noise(2, 3000));
    repo.commit("items");
    let source = |seed| format!("{}/{}.bin", lake.url(), Oid::of(&noise(seed, 3000)).to_hex());
    let oid = Oid::of(&noise(1, 3000)).to_hex();
    let long = format!("a.bin\t{oid}\t3000\tcontent\tstored\t{}", source(1));
    assert_eq!(lines(&repo, &["-l"])[0], long);
    let text = repo.git(["lake", "ls-files", "--json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let sources = |seed| serde_json::json!([{ "url": source(seed), "remote": "work-lake" }]);
    assert_eq!(
        document,
        serde_json::json!({ "version": 1, "items": [
            { "path": "a.bin", "oid": oid, "size": 3000, "work_tree": "content",
              "store": "stored", "sources": sources(1) },
            { "path": "b.bin", "oid": Oid::of(&noise(2, 3000)).to_hex(), "size": 3000,
              "work_tree": "content", "store": "stored", "sources": sources(2) },
        ] })
    );
    let text = repo.git(["lake", "ls-files", "--json", "HEAD"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["items"][1]["work_tree"], serde_json::Value::Null);
}

#[test]
fn lakes_are_named_by_remotes_or_addresses() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("items");
    let rest = |sources: &str| {
        line("a.bin", &noise(1, 3000), "content", "stored").replace("work-lake", sources)
    };
    repo.git(["lake", "remote-add", &env.lake("mirror").url()]);
    assert_eq!(lines(&repo, &[]), [rest("work-lake mirror")]);
    repo.write(".gitlake.toml", "version = 1\n");
    let mirror = lake.url().replace("work-lake", "mirror");
    assert_eq!(lines(&repo, &[]), [rest(&format!("{} {mirror}", lake.url()))]);
}

#[test]
fn what_cannot_be_listed_is_told_in_one_line() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("sub/a.bin", noise(1, 3000));
    repo.commit("items");
    let told = |code, args: &[&str]| {
        let ran = repo.git_fails(code, ["lake", "ls-files"].iter().chain(args));
        assert_eq!(ran.stdout, "");
        ran.stderr.replace(&repo.path.display().to_string(), "/work")
    };
    insta::assert_snapshot!(told(1, &["nope"]), @r#"git-lake: Could not find revision `nope`: couldn't parse revision, input="nope": Reference "nope" could not be found: NotFound"#);
    insta::assert_snapshot!(told(1, &["--", "none.bin"]), @"git-lake: Pathspec 'none.bin' did not match any file(s) known to git");
    insta::assert_snapshot!(told(1, &["HEAD", "--", "none.bin"]), @"git-lake: `HEAD` has no file that these pathspecs mean");
    insta::assert_snapshot!(told(1, &["--", "../x"]), @"git-lake: ../x: '../x' is outside repository at '/work'");
    insta::assert_snapshot!(told(1, &["HEAD", "--", "../x"]), @"git-lake: ../x: '../x' is outside repository at '/work'");
    for usage in [&["--all", "HEAD"][..], &["--all", "--", "sub"], &["--json", "-z"], &["a", "b"]] {
        assert!(told(2, usage).contains("Usage: git lake ls-files"), "{usage:?}");
    }
    let nowhere = env.at(".").git_fails(1, ["lake", "ls-files"]);
    assert_eq!(nowhere.told().len(), 2, "{nowhere:?}");
    drop(nowhere.says("is not inside a git repository"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for at in 0..50 {
        repo.write(format!("{at}-{}.bin", "x".repeat(200)), noise(at, 100));
    }
    repo.commit("items");
    let script = "{ git-lake ls-files -l; echo $? >&2; } | true";
    assert_eq!(repo.run("sh", ["-c", script]).stderr, "0\n");
}
