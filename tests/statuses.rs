//! `git lake status`: what changed, what is missing, what is owed.

use std::fs;

use crate::common::{Repo, TestEnv, noise};
use git_lake::oid::Oid;

fn json(repo: &Repo, args: &[&str]) -> serde_json::Value {
    let ran = repo.run("git", ["lake", "status", "--json"].iter().chain(args));
    serde_json::from_str(&ran.stdout).unwrap()
}

/// What is told, with the lake's address as `LAKE`.
fn told(repo: &Repo, args: &[&str]) -> String {
    let ran = repo.run("git", ["lake", "status"].iter().chain(args));
    let lakes = repo.path.parent().unwrap().display().to_string();
    format!("{}{}", ran.stdout, ran.stderr).replace(&lakes, "")
}

#[test]
fn each_change_has_its_list() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    for (name, seed) in
        [("moved", 1), ("edited", 2), ("gone", 3), ("left", 4), ("both", 5), ("removed", 6)]
    {
        repo.write(format!("{name}.bin"), noise(seed, 20_000));
    }
    repo.write("plain.txt", "no item");
    repo.commit("items");
    let clean = "6 files tracked, 117 KiB.\nNothing is owed.\n";
    assert_eq!(told(&repo, &[]), clean);
    repo.touch_all();
    assert_eq!(told(&repo, &[]), clean, "what was only touched is hashed");
    lake.unmount();
    repo.git(["mv", "moved.bin", "sub.bin"]);
    repo.git(["rm", "-q", "removed.bin"]);
    repo.write("both.bin", noise(7, 20_000));
    repo.write("new.bin", noise(8, 500));
    repo.write("plain.txt", "other");
    repo.git(["add", "."]);
    repo.write("both.bin", noise(9, 20_000));
    repo.write("edited.bin", noise(10, 20_000));
    fs::remove_file(repo.path.join("gone.bin")).unwrap();
    fs::remove_file(repo.path.join("left.bin")).unwrap();
    repo.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["checkout", "-q", "--", "left.bin"]);
    insta::assert_snapshot!(told(&repo, &[]), @r#"
    6 files tracked, 98 KiB: 4 staged, 2 modified, 1 deleted, 1 pointer only, 2 owed.
    4 files are staged:
      modified  both.bin
      added  new.bin
      deleted  removed.bin
      renamed  moved.bin => sub.bin
    2 files are modified in the work tree:
      both.bin
      edited.bin
    1 file is deleted in the work tree:
      gone.bin
    1 file is a pointer only; `git lake pull` fetches the content:
      left.bin
    2 uploads are owed to `file:///work-lake` (20 KiB); `git lake push` makes it good.
      both.bin
      new.bin
    "#);
    let document = json(&repo, &[]);
    assert_eq!(document["modified"], serde_json::json!(["both.bin", "edited.bin"]));
    assert_eq!(document["deleted"], serde_json::json!(["gone.bin"]));
    assert_eq!(document["pointers_only"], serde_json::json!(["left.bin"]));
    assert_eq!(
        document["staged"],
        serde_json::json!([
            { "change": "modified", "path": "both.bin", "old_path": null },
            { "change": "added", "path": "new.bin", "old_path": null },
            { "change": "deleted", "path": "removed.bin", "old_path": null },
            { "change": "renamed", "path": "sub.bin", "old_path": "moved.bin" },
        ])
    );
    assert_eq!(document["owed"][0]["items"][1]["path"], "new.bin");
    assert_eq!(document["owed"][0]["items"][1]["oid"], Oid::of(&noise(8, 500)).to_hex());
    // Nothing was cleaned or stored to find that out.
    assert!(!repo.stored(noise(10, 20_000)).exists());
    repo.git_fails(1, ["lake", "status", "--check"]);
}

#[test]
fn modes_and_other_sources_count_as_git_counts_them() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("items");
    repo.git(["update-index", "--chmod=+x", "a.bin"]);
    assert_eq!(told(&repo, &[]), "1 file tracked, 2.9 KiB.\nNothing is owed.\n");
    repo.git(["lake", "remote-add", &env.lake("mirror").url()]);
    assert!(told(&repo, &[]).contains("1 file is staged:\n  modified  a.bin\n"));
}

#[test]
fn long_lists_are_cut_for_people() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for at in 0..25 {
        repo.write(format!("{at:02}.bin"), noise(at, 100));
    }
    repo.git(["add", "."]);
    let text = told(&repo, &[]);
    assert!(text.starts_with(
        "25 files tracked, 2.4 KiB: 25 staged.\n25 files are staged:\n  added  00.bin\n"
    ));
    assert!(text.contains("  added  19.bin\n  and 5 more\nNothing is owed.\n"), "{text}");
    assert_eq!(json(&repo, &[])["staged"].as_array().unwrap().len(), 25);
}

#[test]
fn a_conflict_is_one_item() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("base");
    repo.on_branch("side", |repo| repo.write("a.bin", noise(2, 3000)));
    repo.write("a.bin", noise(3, 3000));
    repo.commit("ours");
    assert_eq!(repo.run("git", ["merge", "-q", "side"]).code, Some(1));
    let text = told(&repo, &[]);
    assert!(
        text.starts_with(
            "1 file tracked, 2.9 KiB: 1 not merged.\n1 file is not merged:\n  a.bin\n"
        ),
        "{text}"
    );
}

#[test]
fn sparse_checkouts_are_no_deletions() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("in/a.bin", noise(1, 3000));
    repo.write("out/b.bin", noise(2, 3000));
    repo.commit("items");
    for index in ["--no-sparse-index", "--sparse-index"] {
        repo.git(["sparse-checkout", "set", index, "in"]);
        assert!(!repo.path.join("out").exists());
        assert_eq!(told(&repo, &[]), "2 files tracked, 5.9 KiB.\nNothing is owed.\n", "{index}");
    }
}

#[test]
fn what_no_remote_of_the_settings_has_is_told() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.write("b.bin", noise(2, 3000));
    repo.commit("items");
    let settings = repo.text(".gitlake.toml");
    repo.write(".gitlake.toml", "version = 1\n");
    assert_eq!(json(&repo, &[])["unnamed"], serde_json::json!(["a.bin", "b.bin"]));
    let text = told(&repo, &[]);
    insta::assert_snapshot!(text, @r#"
    2 files tracked, 5.9 KiB: 2 in no remote.
    2 files name no remote of the settings, and none is known to hold the content; `git lake remote-add URL` sends it:
      a.bin
      b.bin
    Nothing is owed.
    "#);
    // A remote that is known to hold one of them, although no pointer names it.
    let mirror = env.lake("mirror");
    repo.git(["lake", "init", &mirror.url()]);
    fs::copy(
        env.path("work-lake").join(format!("{}.bin", Oid::of(&noise(1, 3000)).to_hex())),
        mirror.object(noise(1, 3000)),
    )
    .unwrap();
    repo.run("git", ["lake", "where", "--check", "a.bin"]);
    assert_eq!(json(&repo, &[])["unnamed"], serde_json::json!(["b.bin"]));
    // The lakes that pointers name are asked, whether settings know them or not.
    let document = json(&repo, &["--check"]);
    assert_eq!(
        (&document["unnamed"], &document["unheld"]),
        (&serde_json::Value::Null, &serde_json::json!([]))
    );
    repo.write(".gitlake.toml", settings);
    assert_eq!(json(&repo, &[])["unnamed"], serde_json::json!([]));
    repo.empty_receipts();
    assert_eq!(json(&repo, &[])["unnamed"], serde_json::json!([]));
}

#[test]
fn with_check_lakes_are_asked() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.write("b.bin", noise(2, 3000));
    repo.commit("items");
    repo.git(["lake", "status", "--check"]);
    lake.remove(noise(2, 3000));
    repo.git(["lake", "status"]);
    let ran = repo.git_fails(1, ["lake", "status", "--check"]);
    drop(ran.prints("2 files tracked, 5.9 KiB: 1 held by no lake.\n1 file is held by no lake that could be asked:\n  b.bin\n"));
    assert_eq!(json(&repo, &["--check"])["unheld"], serde_json::json!(["b.bin"]));
    repo.git(["lake", "push", "--all"]);
    repo.git(["lake", "status", "--check"]);
    lake.unmount();
    repo.git(["lake", "status"]);
    let ran = repo.git_fails(1, ["lake", "status", "--check"]).says("Could not reach the lake");
    drop(ran.prints("2 files are held by no lake that could be asked:\n  a.bin\n  b.bin\n"));
    let document = json(&repo, &["--check"]);
    assert_eq!(document["unasked"][0]["url"], lake.url().as_str());
}

#[test]
fn without_a_work_tree_there_is_no_status() {
    let env = TestEnv::new();
    let bare = env.bare("bare");
    let ran = bare.git_fails(1, ["lake", "status"]);
    assert_eq!(
        ran.told(),
        ["git-lake: A bare repository has no work tree: `git lake ls-files` lists what `HEAD` has"]
    );
    let new = env.repo("new");
    assert!(told(&new, &[]).starts_with("0 files tracked, 0 bytes.\nNothing is owed.\n"));
    new.git_fails(2, ["lake", "status", "HEAD"]);
    env.at(".").git_fails(1, ["lake", "status"]).says("is not inside a git repository");
}
