//! Objects leave the store when lakes are sure to hold them, and not before.

use std::fs;

use crate::common::{Lake, Ran, Repo, TestEnv, kill, noise, noted_pid, set_age};

const OLD: u64 = 15 * 24 * 60 * 60;

/// A repository with two versions of `a.bin`, both pushed.
fn repo(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    env.bare("origin.git");
    repo.git(["remote", "add", "origin", "../origin.git"]);
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    repo.write("a.bin", noise(2, 4000));
    repo.commit("v2");
    repo.git(["push", "-q", "origin", "main"]);
    (repo, lake)
}

fn prune(repo: &Repo, options: &[&str]) -> Ran {
    repo.git(["lake", "prune"].iter().chain(options))
}

fn is_stored(repo: &Repo, seed: u64, len: usize) -> bool {
    repo.stored(noise(seed, len)).exists()
}

#[test]
fn an_old_version_goes_and_what_the_index_names_stays() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    prune(&repo, &[])
        .says("1 object kept that the index names (3.9 KiB).")
        .says("1 object removed (2.9 KiB).");
    assert!(!is_stored(&repo, 1, 3000));
    assert!(is_stored(&repo, 2, 4000));
    repo.git(["checkout", "-q", "HEAD~1"]);
    repo.has("a.bin", noise(1, 3000));
}

#[test]
fn with_current_the_index_spares_nothing_and_everything_comes_back() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    prune(&repo, &["--current"]).says("2 objects removed (6.8 KiB).").says_not("kept");
    assert!(!is_stored(&repo, 2, 4000));
    repo.has("a.bin", noise(2, 4000));
    repo.is_clean_when_touched();
    fs::remove_file(repo.path.join("a.bin")).unwrap();
    repo.git(["restore", "a.bin"]);
    repo.has("a.bin", noise(2, 4000));
}

#[test]
fn a_dry_run_lists_and_removes_nothing() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let oid = git_lake::oid::Oid::of(&noise(1, 3000)).to_hex();
    let ran = prune(&repo, &["--dry-run"]).says("1 object would be removed (2.9 KiB).");
    assert_eq!(ran.stdout, format!("{oid}\t3000\n"));
    assert!(is_stored(&repo, 1, 3000));
    let ran = prune(&repo, &["-n", "--current", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&found["removed"], &found["removed_bytes"]), (&2.into(), &7000.into()));
    assert_eq!(found["removals"][0]["named"], true);
    assert!(is_stored(&repo, 1, 3000));
}

#[test]
fn the_index_of_another_work_tree_spares_as_well() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    repo.git(["worktree", "add", "-q", "../other", "HEAD~1"]);
    prune(&repo, &[]).says("2 objects kept that the index names").says("0 objects removed");
}

#[test]
fn what_only_stashes_and_unpushed_commits_name_stays() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    repo.write("a.bin", noise(3, 5000));
    repo.git(["stash"]);
    repo.write("a.bin", noise(4, 6000));
    repo.git(["commit", "-qam", "v3"]);
    repo.git(["lake", "push", "--all"]);
    prune(&repo, &["--current"])
        .says("2 objects kept that only stashes and commits that are not pushed name (11 KiB).")
        .says("2 objects removed");
    assert!(is_stored(&repo, 3, 5000) && is_stored(&repo, 4, 6000));
    repo.git(["push", "-q", "origin", "main"]);
    prune(&repo, &["--current"]).says("1 object removed (5.9 KiB).");
    repo.git(["stash", "drop", "-q"]);
    // A stash that was dropped is in no reflog; nothing names it, and it is young.
    prune(&repo, &["--current"])
        .says("1 object kept that nothing names, but somebody used in the last 14 days")
        .says("0 objects removed");
}

#[test]
fn what_lakes_have_lost_or_cannot_be_asked_for_stays() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    lake.remove(noise(1, 3000));
    prune(&repo, &[]).says("1 object kept that not enough lakes are known to hold (2.9 KiB).");
    assert!(is_stored(&repo, 1, 3000));
    lake.unmount();
    repo.git_fails(1, ["lake", "prune", "--current"])
        .says("2 objects kept that not enough lakes are known to hold")
        .says("Could not reach the lake")
        .says("0 objects removed");
    assert!(is_stored(&repo, 1, 3000) && is_stored(&repo, 2, 4000));
}

#[test]
fn a_name_and_a_size_are_no_proof() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.empty_receipts();
    lake.damage(noise(1, 3000));
    // The sound one is read and goes; the damaged one is found out.
    repo.git_fails(1, ["lake", "prune", "--current"])
        .says("1 object kept that not enough lakes are known to hold (2.9 KiB).")
        .says("holds other bytes than the object's")
        .says("1 object removed (3.9 KiB).");
    assert!(is_stored(&repo, 1, 3000));
}

#[test]
fn as_many_lakes_as_are_wanted_have_to_hold_it() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    repo.git(["config", "lake.minCopies", "2"]);
    prune(&repo, &["--current"]).says("0 objects removed");
    let second = env.lake("second");
    repo.git(["lake", "remote-add", &second.url()]);
    repo.git(["commit", "-qm", "second lake"]);
    repo.git(["push", "-q", "origin", "main"]);
    prune(&repo, &["--current"])
        .says("1 object kept that not enough lakes are known to hold (2.9 KiB).")
        .says("1 object removed (3.9 KiB).");
    repo.git(["config", "lake.minCopies", "0"]);
    repo.git_fails(1, ["lake", "prune"]).says("`lake.minCopies` is `0`; it should be a number");
}

#[test]
fn a_lake_of_this_machine_alone_proves_nothing() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let settings = repo.text(".gitlake.toml");
    repo.write(".gitlake.toml", format!("{settings}local = true\n"));
    prune(&repo, &["--current"]).says("0 objects removed");
}

#[test]
fn what_nothing_names_goes_when_nobody_used_it_for_two_weeks() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let content = noise(9, 1000);
    repo.write("b.bin", &content);
    repo.git(["add", "b.bin"]);
    repo.git(["rm", "-q", "--cached", "b.bin"]);
    // It was added and uploaded, so no claim is left of it either.
    prune(&repo, &[]).says("1 object kept that nothing names");
    set_age(repo.stored(&content), OLD);
    // Whoever adds it again uses it.
    repo.git(["add", "b.bin"]);
    repo.git(["rm", "-q", "--cached", "b.bin"]);
    prune(&repo, &[]).says("1 object kept that nothing names");
    set_age(repo.stored(&content), OLD);
    prune(&repo, &[]).says("1 object removed (1000 bytes).");
    assert!(!is_stored(&repo, 9, 1000));
}

#[test]
fn a_claim_keeps_an_object_that_no_lake_holds_however_old_it_is() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    lake.unmount();
    let content = noise(9, 1000);
    repo.write("b.bin", &content);
    repo.git(["add", "b.bin"]);
    repo.git(["rm", "-q", "--cached", "b.bin"]);
    set_age(repo.stored(&content), OLD);
    lake.mount();
    prune(&repo, &[]).says("1 object kept that not enough lakes are known to hold");
    assert!(is_stored(&repo, 9, 1000));
}

#[test]
fn a_partial_clone_keeps_what_it_cannot_know() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let content = noise(9, 1000);
    repo.write("b.bin", &content);
    repo.git(["add", "b.bin"]);
    repo.git(["rm", "-q", "--cached", "b.bin"]);
    set_age(repo.stored(&content), OLD);
    repo.git(["config", "remote.origin.promisor", "true"]);
    prune(&repo, &[]).says("1 object kept that pointers may name that this partial clone");
    assert!(is_stored(&repo, 9, 1000));
}

#[test]
fn nothing_goes_while_a_filter_is_at_work() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    repo.write("b.bin", noise(9, 1000));
    let (stopping, stop) = repo.stop_at("clean-stored");
    let mut add = stopping.start(&["add", "b.bin"]);
    let stopped = stop.reached();
    repo.git_fails(1, ["lake", "prune"])
        .says("Other processes use the store of this clone: try again when they are done");
    assert!(is_stored(&repo, 1, 3000));
    drop(stopped);
    assert!(add.wait().unwrap().success());
    prune(&repo, &[]).says("1 object removed");
}

#[test]
fn an_add_waits_for_a_prune_and_then_stores_anew() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let content = noise(9, 1000);
    repo.write("b.bin", &content);
    repo.git(["add", "b.bin"]);
    repo.git(["rm", "-q", "--cached", "b.bin"]);
    set_age(repo.stored(&content), OLD);
    lake.remove(&content);
    let (stopping, stop) = repo.stop_at("gc-locked");
    let mut pruning = stopping.start(&["lake", "prune"]);
    let stopped = stop.reached();
    let note = repo.note_filter_pid();
    let mut add = repo.start(&["add", "b.bin"]);
    noted_pid(&note);
    drop(stopped);
    assert!(pruning.wait().unwrap().success());
    assert!(add.wait().unwrap().success());
    assert!(is_stored(&repo, 9, 1000), "it was stored once more");
}

#[test]
fn a_killed_prune_is_continued_by_the_next() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let (stopping, stop) = repo.stop_at("gc-removed");
    let mut pruning = stopping.start_program("git-lake", &["prune", "--current"]);
    let stopped = stop.reached();
    kill(pruning.id());
    drop(stopped);
    pruning.wait().unwrap();
    assert!(is_stored(&repo, 1, 3000) != is_stored(&repo, 2, 4000), "one is gone");
    prune(&repo, &["--current"]).says("1 object removed");
    repo.is_clean_when_touched();
}
