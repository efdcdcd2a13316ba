//! Large files, which are put in place when git is done, under every command that moves files about.

use std::fs;
use std::path::Path;

use crate::common::{Repo, TestEnv, noise};

const SIZE: usize = 50_000;

fn version(seed: u64) -> Vec<u8> {
    noise(seed, SIZE)
}

/// A repository whose `large.bin` and `other.bin` are far above the limit, in version 1.
fn repo(env: &TestEnv) -> Repo {
    env.at(".").git(["config", "--global", "lake.inbandLimit", "1000"]);
    let (repo, _lake) = env.tracked("work");
    repo.write("large.bin", version(1));
    repo.write("other.bin", version(50));
    repo.write("note.txt", "base\n");
    repo.commit("v1");
    repo
}

/// Gives `path` the version and commits it.
fn change(repo: &Repo, path: &str, seed: u64) {
    repo.write(path, version(seed));
    repo.commit(&format!("{path} {seed}"));
}

/// The file has the version, nothing looks changed, and git need not ask the filter to know.
#[track_caller]
fn is_at(repo: &Repo, path: &str, seed: u64) {
    repo.has(path, version(seed));
    repo.is_clean();
    repo.settle();
    assert_eq!(repo.count("clean", &["status"]), 0);
    repo.is_clean_when_touched();
}

#[test]
fn clones_of_every_kind() {
    let env = TestEnv::new();
    let repo = repo(&env);
    change(&repo, "large.bin", 2);
    for options in [&[][..], &["--depth=1"], &["--no-local"], &["--single-branch"]] {
        let name = format!("clone{}", options.join(""));
        let clone = env.clone_with(&repo, &name, options);
        is_at(&clone, "large.bin", 2);
    }
}

#[test]
fn a_rebase_of_several_commits_on_one_file() {
    let env = TestEnv::new();
    let repo = repo(&env);
    repo.git(["switch", "-q", "-c", "side"]);
    for seed in 2..5 {
        change(&repo, "large.bin", seed);
    }
    repo.git(["switch", "-q", "main"]);
    change(&repo, "other.bin", 51);
    repo.git(["rebase", "-q", "main", "side"]).says_nothing();
    is_at(&repo, "large.bin", 4);
    is_at(&repo, "other.bin", 51);
}

#[test]
fn a_rebase_that_stops_at_a_conflict_and_goes_on() {
    let env = TestEnv::new();
    let repo = repo(&env);
    repo.on_branch("side", |repo| {
        repo.write("large.bin", version(2));
        repo.write("note.txt", "theirs\n");
    });
    repo.write("note.txt", "ours\n");
    repo.commit("ours");
    repo.git_fails(1, ["rebase", "-q", "main", "side"]);
    repo.has("large.bin", version(2));
    repo.write("note.txt", "both\n");
    repo.git(["add", "note.txt"]);
    repo.with("GIT_EDITOR", "true").git(["rebase", "--continue"]);
    is_at(&repo, "large.bin", 2);
}

#[test]
fn commands_between_the_steps_of_a_rebase_see_content() {
    let env = TestEnv::new();
    let repo = repo(&env);
    repo.git(["switch", "-q", "-c", "side"]);
    change(&repo, "large.bin", 2);
    change(&repo, "large.bin", 3);
    repo.git(["switch", "-q", "main"]);
    change(&repo, "other.bin", 51);
    let check = format!("test $(wc -c <large.bin) = {SIZE} && test $(wc -c <other.bin) = {SIZE}");
    repo.git(["rebase", "-q", "-x", &check, "main", "side"]);
    is_at(&repo, "large.bin", 3);
}

#[test]
fn cherry_picks_and_reverts() {
    let env = TestEnv::new();
    let repo = repo(&env);
    repo.git(["switch", "-q", "-c", "side"]);
    for seed in 2..5 {
        change(&repo, "large.bin", seed);
    }
    repo.git(["switch", "-q", "main"]);
    change(&repo, "other.bin", 51);
    repo.git(["cherry-pick", "main~1..side"]).says_nothing();
    is_at(&repo, "large.bin", 4);
    repo.git(["revert", "--no-edit", "HEAD"]).says_nothing();
    is_at(&repo, "large.bin", 3);
    // The revert is reverted, and then what it had reverted.
    repo.git(["revert", "--no-edit", "HEAD", "HEAD~1"]);
    is_at(&repo, "large.bin", 3);
}

#[test]
fn merges_of_two_and_of_three() {
    let env = TestEnv::new();
    let repo = repo(&env);
    repo.on_branch("one", |repo| repo.write("large.bin", version(2)));
    repo.on_branch("two", |repo| repo.write("new.bin", version(3)));
    change(&repo, "other.bin", 51);
    repo.git(["merge", "-q", "-m", "merge", "one"]).says_nothing();
    is_at(&repo, "large.bin", 2);
    repo.on_branch("three", |repo| repo.write("more.bin", version(4)));
    repo.git(["merge", "-q", "-m", "octopus", "two", "three"]);
    is_at(&repo, "new.bin", 3);
    is_at(&repo, "more.bin", 4);
}

#[test]
fn stashes_with_and_without_the_index() {
    let env = TestEnv::new();
    let repo = repo(&env);
    repo.write("large.bin", version(2));
    repo.git(["add", "large.bin"]);
    repo.write("other.bin", version(51));
    repo.git(["stash", "push", "-q"]);
    is_at(&repo, "large.bin", 1);
    repo.git(["stash", "pop", "-q", "--index"]);
    repo.has("large.bin", version(2));
    repo.has("other.bin", version(51));
    assert_eq!(repo.status(), "M  large.bin\n M other.bin\n");
    repo.git(["stash", "push", "-q", "--keep-index"]);
    repo.has("large.bin", version(2));
    repo.has("other.bin", version(50));
    repo.git(["reset", "-q", "--hard"]);
    repo.git(["stash", "pop", "-q"]);
    repo.has("other.bin", version(51));
}

#[test]
fn a_pull_by_rebase_with_changes_put_aside() {
    let env = TestEnv::new();
    let repo = repo(&env);
    let clone = env.clone_of(&repo, "clone");
    change(&repo, "large.bin", 2);
    clone.write("note.txt", "mine\n");
    clone.commit("mine");
    clone.write("other.bin", version(51));
    clone.git(["pull", "-q", "--rebase", "--autostash"]);
    clone.has("large.bin", version(2));
    clone.has("other.bin", version(51));
    assert_eq!(clone.status(), " M other.bin\n");
}

#[test]
fn another_work_tree_and_a_sparse_one() {
    let env = TestEnv::new();
    let repo = repo(&env);
    repo.write("deep/large.bin", version(3));
    repo.commit("deep");
    repo.on_branch("side", |repo| repo.write("large.bin", version(2)));
    repo.git(["worktree", "add", "-q", "../tree", "side"]);
    let tree = env.at("tree");
    is_at(&tree, "large.bin", 2);
    is_at(&repo, "large.bin", 1);
    repo.git(["sparse-checkout", "set", "nothing"]);
    assert!(!repo.path.join("deep/large.bin").exists());
    repo.git(["sparse-checkout", "add", "deep"]);
    is_at(&repo, "deep/large.bin", 3);
}

#[test]
fn submodules() {
    let env = TestEnv::new();
    let inner = repo(&env);
    env.install();
    let outer = env.repo("outer");
    let url = inner.path.display().to_string();
    let allow = ["-c", "protocol.file.allow=always"];
    outer.git(allow.into_iter().chain(["submodule", "--quiet", "add", &url, "sub"]));
    is_at(&outer.below("sub"), "large.bin", 1);
    outer.git(["commit", "-q", "-m", "sub"]);
    change(&inner, "large.bin", 2);
    outer.git(allow.into_iter().chain(["submodule", "--quiet", "update", "--remote"]));
    is_at(&outer.below("sub"), "large.bin", 2);
}

#[test]
fn read_tree_and_bisect() {
    let env = TestEnv::new();
    let repo = repo(&env);
    for seed in 2..6 {
        change(&repo, "large.bin", seed);
    }
    repo.git(["read-tree", "-m", "-u", "HEAD", "HEAD~2"]);
    repo.has("large.bin", version(3));
    repo.git(["reset", "-q", "--hard"]);
    // Each step sees the content of its commit.
    fs::write(env.path("bad"), version(4)).unwrap();
    let script = env.path("check.sh");
    fs::write(
        &script,
        "#!/bin/sh\ntest $(wc -c <large.bin) = 50000 || exit 255\n! cmp -s large.bin \"$1\"\n",
    )
    .unwrap();
    repo.git(["bisect", "start", "HEAD~1", "HEAD~4"]);
    repo.git(["bisect", "run", "sh", path(&script), path(&env.path("bad"))])
        .prints_first_bad_commit();
    repo.git(["bisect", "reset"]);
    is_at(&repo, "large.bin", 5);
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_checkout_inside_a_hook() {
    let env = TestEnv::new();
    let repo = repo(&env);
    change(&repo, "large.bin", 2);
    let hook = repo.git_dir().join("hooks/pre-commit");
    fs::write(&hook, "#!/bin/sh\ngit checkout -q HEAD~1 -- large.bin\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    repo.write("note.txt", "new\n");
    repo.git(["commit", "-q", "-m", "by hook", "-a"]);
    is_at(&repo, "large.bin", 1);
}
