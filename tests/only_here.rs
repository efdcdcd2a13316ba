//! `git lake status --all --check`: what would be lost with this clone.

use std::fs;

use crate::common::{Lake, Ran, Repo, TestEnv, noise};
use git_lake::oid::Oid;

const ARGS: [&str; 4] = ["lake", "status", "--all", "--check"];

fn asked(repo: &Repo) -> Ran {
    repo.run("git", ARGS)
}

/// What is only here, one line each.
#[track_caller]
fn only_here(repo: &Repo) -> Vec<String> {
    let ran = asked(repo);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    ran.stdout.lines().map(str::to_owned).collect()
}

#[track_caller]
fn nothing_is_only_here(repo: &Repo, objects: usize) -> Ran {
    let ran = asked(repo);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let word = if objects == 1 { "object" } else { "objects" };
    let begin = format!("Nothing is only here: {objects} {word} (");
    assert!(ran.stdout.starts_with(&begin), "{ran:#?}");
    assert!(ran.stdout.ends_with("), each confirmed now by a remote that others reach.\n"));
    ran
}

fn line(path: &str, content: &[u8], why: &str) -> String {
    format!("{path}\t{}\t{}\t{why}", Oid::of(content), content.len())
}

fn file(path: &str, size: usize, why: &str) -> String {
    format!("{path}\t-\t{size}\t{why}")
}

const UNHELD: &str = "not confirmed by work-lake";
const MODIFIED: &str = "modified in the work tree and not added";

/// Content in a commit, a branch, a stash, a reflog and the index.
fn repo(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("first");
    repo.on_branch("side", |repo| repo.write("b.bin", noise(2, 3000)));
    repo.write("a.bin", noise(3, 3000));
    repo.git(["stash", "-q"]);
    repo.write("a.bin", noise(4, 3000));
    repo.git(["add", "."]);
    repo.git(["stash", "-q"]);
    repo.write("a.bin", noise(5, 3000));
    repo.commit("amended away");
    repo.git(["reset", "-q", "--hard", "HEAD~"]);
    repo.write("c.bin", noise(6, 3000));
    repo.git(["add", "."]);
    repo.git(["lake", "push", "--all"]);
    (repo, lake)
}

#[test]
fn branches_stashes_reflogs_and_the_index_are_asked_for() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let ran = nothing_is_only_here(&repo, 6);
    let told = ran.told();
    assert!(told[0].ends_with("lies on the same file system as this clone, and may go with it."));
    assert_eq!(
        told[1..],
        [
            "git-lake: Git itself has 3 commits and 2 stashes that no remote of git is known to have: `git push` sends commits, and no stash."
        ]
    );
    for (seed, path) in [(1, "a"), (2, "b"), (3, "a"), (4, "a"), (5, "a"), (6, "c")] {
        let content = noise(seed, 3000);
        let moved = lake.object(&content).with_extension("moved");
        fs::rename(lake.object(&content), &moved).unwrap();
        assert_eq!(only_here(&repo), [line(&format!("{path}.bin"), &content, UNHELD)], "{seed}");
        fs::rename(moved, lake.object(&content)).unwrap();
    }
    nothing_is_only_here(&repo, 6);
}

#[test]
fn a_lake_that_cannot_be_reached_proves_nothing() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("items");
    lake.unmount();
    let ran = asked(&repo);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert_eq!(ran.stdout, line("a.bin", &noise(1, 3000), UNHELD) + "\n");
    drop(
        ran.says("Could not reach the lake")
            .says("1 thing is only here (2.9 KiB), or cannot be proved to be elsewhere."),
    );
    // A second one that holds it is enough.
    lake.mount();
    let mirror = env.lake("mirror");
    repo.git(["lake", "remote-add", &mirror.url()]);
    lake.unmount();
    let ran = asked(&repo);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    drop(ran.says("Could not reach the lake"));
}

#[test]
fn what_was_not_uploaded_is_only_here() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.git(["config", "lake.upload", "push"]);
    repo.write("a.bin", noise(1, 3000));
    repo.git(["add", "."]);
    assert_eq!(only_here(&repo), [line("a.bin", &noise(1, 3000), UNHELD)]);
    repo.git(["lake", "push"]);
    nothing_is_only_here(&repo, 1);
}

#[test]
fn lakes_of_this_machine_do_not_count() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("items");
    let settings = repo.text(".gitlake.toml");
    repo.write(".gitlake.toml", settings.trim_end().to_owned() + "\nlocal = true\n");
    let why = "no remote that others reach is known for it";
    assert_eq!(only_here(&repo), [line("a.bin", &noise(1, 3000), why)]);
}

#[test]
fn bytes_are_read_where_nothing_vouches_for_them() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("items");
    repo.empty_receipts();
    nothing_is_only_here(&repo, 1);
    repo.empty_receipts();
    lake.damage(noise(1, 3000));
    assert_eq!(only_here(&repo), [line("a.bin", &noise(1, 3000), UNHELD)]);
}

#[test]
fn files_of_all_work_trees_that_were_not_added_are_only_here() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for (name, seed) in [("kept", 1), ("edited", 2), ("gone", 3), ("left", 4)] {
        repo.write(format!("{name}.bin"), noise(seed, 3000));
    }
    repo.write(".gitignore", "ignored/\n");
    repo.commit("items");
    repo.git(["worktree", "add", "-q", "../side"]);
    repo.git(["worktree", "add", "-q", "--detach", "../removed"]);
    fs::remove_dir_all(env.path("removed")).unwrap();
    let side = env.at("side");
    nothing_is_only_here(&repo, 4);
    repo.write("edited.bin", noise(5, 3000));
    fs::remove_file(repo.path.join("gone.bin")).unwrap();
    fs::remove_file(repo.path.join("left.bin")).unwrap();
    repo.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["checkout", "-q", "--", "left.bin"]);
    repo.write("sub/new.bin", noise(6, 100));
    repo.write("announced.bin", noise(7, 200));
    repo.git(["add", "--intent-to-add", "announced.bin"]);
    repo.write("plain.txt", "git's own affair");
    repo.write("empty.bin", "");
    repo.write("ignored/x.bin", noise(8, 100));
    side.write("kept.bin", noise(9, 50));
    side.write("other.bin", noise(10, 60));
    // Stores what is as long as before, to compare it: that is no second thing that is only here.
    repo.git(["status"]);
    assert!(repo.stored(noise(5, 3000)).exists());
    let in_side = |name: &str| side.path.join(name).display().to_string();
    let mut expected = vec![
        file(&in_side("kept.bin"), 50, MODIFIED),
        file(&in_side("other.bin"), 60, "untracked"),
        line("announced.bin", &noise(7, 200), MODIFIED),
        line("edited.bin", &noise(5, 3000), MODIFIED),
        file("sub/new.bin", 100, "untracked"),
    ];
    assert_eq!(only_here(&repo), expected);
    // Seen from the other work tree.
    expected = expected
        .iter()
        .map(|line| match line.strip_prefix(&in_side("")) {
            Some(rest) => rest.to_owned(),
            None => format!("{}/{line}", repo.path.display()),
        })
        .collect();
    expected.sort();
    assert_eq!(only_here(&side), expected);
}

#[test]
fn a_conflict_that_was_edited_is_only_here() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("base");
    repo.on_branch("side", |repo| repo.write("a.bin", noise(2, 3000)));
    repo.write("a.bin", noise(3, 3000));
    repo.commit("ours");
    assert_eq!(repo.run("git", ["merge", "-q", "side"]).code, Some(1));
    nothing_is_only_here(&repo, 3);
    repo.write("a.bin", noise(4, 70));
    assert_eq!(only_here(&repo), [file("a.bin", 70, MODIFIED)]);
}

#[test]
fn content_that_only_the_work_tree_has_is_asked_for() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.write("b.bin", noise(2, 3000));
    repo.commit("items");
    repo.empty_store();
    nothing_is_only_here(&repo, 2);
    lake.remove(noise(2, 3000));
    assert_eq!(only_here(&repo), [line("b.bin", &noise(2, 3000), UNHELD)]);
    // Where no content is, nothing can be lost.
    fs::remove_file(repo.path.join("b.bin")).unwrap();
    nothing_is_only_here(&repo, 1);
}

#[test]
fn objects_that_nothing_names_are_found_by_receipts() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.git(["add", "."]);
    repo.write("a.bin", noise(2, 3000));
    repo.git(["add", "."]);
    repo.commit("second");
    // The first one was uploaded when it was added, and then git forgot it.
    fs::remove_dir_all(repo.state().join("queue")).unwrap();
    nothing_is_only_here(&repo, 2);
    lake.remove(noise(1, 3000));
    let why = "nothing names it, and no remote is known to hold it";
    assert_eq!(only_here(&repo), [line("-", &noise(1, 3000), why)]);
    repo.empty_receipts();
    assert_eq!(only_here(&repo), [line("-", &noise(1, 3000), why)]);
}

#[test]
fn the_document_has_what_the_lines_have() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("items");
    repo.write("b.bin", noise(2, 50));
    lake.remove(noise(1, 3000));
    let ran = repo.git_fails(1, ARGS.iter().chain(&["--json"]));
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        document,
        serde_json::json!({
            "version": 2, "objects": 1, "bytes": 3000,
            "only_here": [
                { "path": "a.bin", "oid": Oid::of(&noise(1, 3000)).to_hex(), "size": 3000,
                  "reason": "unheld", "asked": [lake.url()] },
                { "path": "b.bin", "oid": null, "size": 50, "reason": "untracked", "asked": [] },
            ],
            "doubts": [], "same_file_system": [], "other_clones": { "objects": 0, "bytes": 0 },
            "unpushed": { "commits": 2, "stashes": 0 },
        })
    );
}

#[test]
fn where_there_is_nothing_and_where_it_makes_no_sense() {
    let env = TestEnv::new();
    let nothing = "Nothing is only here: this clone has no content.\n";
    assert_eq!(env.repo("new").git(ARGS).stdout, nothing);
    let bare = env.bare("bare");
    assert_eq!(bare.git(ARGS).stdout, nothing);
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("items");
    let remote = bare.path.display().to_string();
    repo.git(["remote", "add", "origin", &remote]);
    repo.git(["push", "-q", "origin", "main"]);
    nothing_is_only_here(&repo, 1).says_not("Git itself has");
    assert_eq!(bare.git(ARGS).stdout, nothing);
    bare.git(["lake", "cat", "a.bin"]);
    nothing_is_only_here(&bare, 1);
    repo.git_fails(2, ["lake", "status", "--all"]).says("--check");
    env.at(".").git_fails(1, ARGS).says("is not inside a git repository");
}
