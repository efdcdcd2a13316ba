//! Clones that keep their objects in one folder.

use std::fs;
use std::path::PathBuf;

use crate::common::{Lake, Repo, TestEnv, noise, set_age};

const OLD: u64 = 15 * 24 * 60 * 60;

/// A repository with a commit in an empty `origin`, a clone of it, and the folder that both share.
fn sharing(env: &TestEnv) -> (Repo, Repo, Lake) {
    let (repo, lake) = env.tracked("one");
    fs::create_dir(env.path("shared")).unwrap();
    env.install();
    env.at(".").git(["config", "--global", "lake.storage", env.path("shared").to_str().unwrap()]);
    env.bare("origin.git");
    repo.git(["remote", "add", "origin", "../origin.git"]);
    repo.write("a.bin", noise(1, 3000));
    repo.write("b.bin", noise(2, 4000));
    repo.commit("v1");
    repo.git(["push", "-q", "-u", "origin", "main"]);
    env.at(".").git(["clone", "-q", "origin.git", "two"]);
    let clone = env.at("two");
    (repo, clone, lake)
}

fn shared(env: &TestEnv, content: &[u8]) -> PathBuf {
    let hex = git_lake::oid::Oid::of(content).to_hex();
    env.path("shared/v1/objects").join(&hex[..2]).join(hex)
}

#[test]
fn what_one_clone_has_the_other_need_not_fetch() {
    let env = TestEnv::new();
    let (one, two, lake) = sharing(&env);
    assert!(shared(&env, &noise(1, 3000)).exists() && !one.stored(noise(1, 3000)).exists());
    two.has("a.bin", noise(1, 3000));
    assert_eq!(fs::read_dir(env.path("shared/v1/clones")).unwrap().count(), 2);
    lake.unmount();
    fs::remove_file(two.path.join("a.bin")).unwrap();
    two.git(["restore", "a.bin"]);
    two.has("a.bin", noise(1, 3000));
    two.is_clean_when_touched();
}

#[test]
fn what_another_clone_needs_stays() {
    let env = TestEnv::new();
    let (one, two, _lake) = sharing(&env);
    // One has no use for it any more, and the lake holds it; two still has it in its history.
    one.git(["rm", "-q", "a.bin"]);
    one.git(["commit", "-qm", "v2"]);
    one.git(["push", "-q"]);
    one.git(["lake", "prune", "--current"])
        .says("2 objects kept that other clones that share the store need, or may need")
        .says("0 objects removed");
    // What two has only added is needed as well.
    two.write("c.bin", noise(3, 5000));
    two.git(["add", "c.bin"]);
    one.git(["lake", "prune", "--current"]).says("3 objects kept that other clones");
    assert!(shared(&env, &noise(3, 5000)).exists());
    two.git(["rm", "-qf", "c.bin"]);
    set_age(shared(&env, &noise(3, 5000)), OLD);
    one.git(["lake", "prune"]).says("1 object removed (4.9 KiB).");
}

#[test]
fn a_clone_that_cannot_be_read_needs_everything_until_it_is_forgotten() {
    let env = TestEnv::new();
    let (one, two, _lake) = sharing(&env);
    fs::rename(&two.path, env.path("moved")).unwrap();
    let gone = two.path.join(".git");
    let remedy = format!("`git lake prune --forget '{}'`", gone.display());
    one.git_fails(1, ["lake", "prune", "--current"])
        .says("2 objects kept that other clones")
        .says("Could not find out what the clone at")
        .says(&remedy);
    // Where it was there is another repository above now.
    env.at(".").git(["init", "-q"]);
    one.git_fails(1, ["lake", "prune", "--current"]).says(&remedy);
    let moved = env.path("moved/.git");
    one.git_fails(1, ["lake", "prune", "--forget", moved.to_str().unwrap()])
        .says("No other clone at");
    // It is known anew as soon as it does anything.
    env.at("moved").git(["lake", "status"]);
    one.git_fails(1, ["lake", "prune", "--forget", moved.to_str().unwrap()])
        .says("is a repository: what it needs stays");
    one.git(["lake", "prune", "--current", "--forget", gone.to_str().unwrap()])
        .says("2 objects kept that other clones");
    fs::remove_dir_all(env.path("moved")).unwrap();
    one.git(["lake", "prune", "--current", "--forget", moved.to_str().unwrap()])
        .says("2 objects removed");
}

#[test]
fn a_clone_keeps_using_what_it_had_before_it_shared() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    lake.unmount();
    repo.write("a.bin", noise(1, 3000));
    repo.git(["add", "a.bin"]);
    fs::create_dir(env.path("shared")).unwrap();
    repo.git(["config", "lake.storage", env.path("shared").to_str().unwrap()]);
    lake.mount();
    repo.git(["lake", "push"]).says("1 object uploaded");
    lake.holds(noise(1, 3000));
    repo.commit("v1");
    repo.is_clean_when_touched();
}

#[test]
fn a_folder_that_is_not_there_keeps_nobody_from_working() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.git(["config", "lake.storage", env.path("absent").to_str().unwrap()]);
    repo.write("a.bin", noise(1, 3000));
    repo.git(["add", "a.bin"])
        .says("Could not use the store in")
        .says("Objects stay in this clone.");
    lake.holds(noise(1, 3000));
    repo.git_fails(1, ["lake", "status"]).says("make the folder, or mount it");
    assert!(!env.path("absent").exists());
    repo.git(["config", "lake.storage", "relative"]);
    repo.git_fails(1, ["lake", "status"])
        .says("git config `lake.storage` is `relative`; it should be an absolute path");
}

#[test]
fn nothing_goes_while_another_clone_is_at_work() {
    let env = TestEnv::new();
    let (one, two, _lake) = sharing(&env);
    two.write("c.bin", noise(3, 5000));
    let (stopping, stop) = two.stop_at("clean-stored");
    let mut add = stopping.start(&["add", "c.bin"]);
    let stopped = stop.reached();
    one.git_fails(1, ["lake", "prune"]).says("Other processes use the store");
    drop(stopped);
    assert!(add.wait().unwrap().success());
}
