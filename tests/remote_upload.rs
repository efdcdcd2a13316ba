//! `git lake remote-upload` and `push`: what pointers owe, from wherever it can be had.

use std::fs;

use crate::common::{Lake, Repo, TestEnv, noise};

/// Two files in two lakes, of which the second is away while they are added; `v1` is in history only.
fn repo(env: &TestEnv) -> (Repo, Lake, Lake) {
    let (first, second) = (env.lake("first"), env.lake("second"));
    let repo = env.repo("work");
    repo.set_up(&[&first, &second]);
    second.unmount();
    repo.write("a.bin", noise(1, 3000));
    repo.write("set/data/0_image.bin", noise(2, 3000));
    repo.commit("v1");
    repo.write("a.bin", noise(3, 3000));
    repo.write("b.bin", noise(3, 3000));
    repo.commit("v2");
    second.mount();
    (repo, first, second)
}

#[test]
fn what_the_index_owes_goes_up_once() {
    let env = TestEnv::new();
    let (repo, _first, second) = repo(&env);
    repo.git(["lake", "remote-upload"]).says("2 objects uploaded (5.9 KiB), 0 there already.");
    second.holds(noise(2, 3000));
    second.holds(noise(3, 3000));
    second.lacks(noise(1, 3000));
    repo.git(["lake", "remote-upload"]).says("0 objects uploaded (0 bytes), 0 there already.");
    repo.git(["lake", "remote-upload", "--all"]).says("1 object uploaded");
    second.holds(noise(1, 3000));
    repo.git(["lake", "status"]).prints("Nothing is owed.");
}

#[test]
fn a_selection_limits_what_goes_up() {
    let env = TestEnv::new();
    let (repo, _first, second) = repo(&env);
    repo.git(["lake", "remote-upload", "-k", "image"]).says("1 object uploaded");
    second.holds(noise(2, 3000));
    second.lacks(noise(3, 3000));
    repo.git(["lake", "remote-upload", "b.bin"]).says("1 object uploaded");
    second.holds(noise(3, 3000));
    repo.git_fails(2, ["lake", "remote-upload", "--all", "b.bin"]);
}

#[test]
fn without_the_store_it_goes_from_lake_to_lake_and_stays_nowhere_else() {
    let env = TestEnv::new();
    let (repo, _first, second) = repo(&env);
    repo.write("stashed.bin", noise(4, 3000));
    second.unmount();
    repo.git(["add", "stashed.bin"]);
    repo.git(["stash", "-q"]);
    repo.write("again.bin", noise(5, 3000));
    repo.git(["add", "again.bin"]);
    repo.git(["stash", "-q"]);
    second.mount();
    repo.empty_store();
    let state = repo.state().join("queue");
    drop(fs::remove_dir_all(state));
    for name in ["a.bin", "b.bin", "set/data/0_image.bin"] {
        fs::remove_file(repo.path.join(name)).unwrap();
    }
    repo.git(["lake", "remote-upload", "--all"]).says("5 objects uploaded");
    for seed in 1..=5 {
        second.holds(noise(seed, 3000));
        assert!(!repo.stored(noise(seed, 3000)).exists());
    }
}

#[test]
fn what_cannot_be_had_stays_owed_and_the_next_run_goes_on() {
    let env = TestEnv::new();
    let (repo, first, second) = repo(&env);
    repo.empty_store();
    first.remove(noise(2, 3000));
    fs::remove_file(repo.path.join("set/data/0_image.bin")).unwrap();
    repo.git_fails(1, ["lake", "remote-upload"])
        .says("1 object uploaded")
        .says("1 upload is still owed (set/data/0_image.bin)");
    repo.write("set/data/0_image.bin", noise(2, 3000));
    repo.git(["lake", "remote-upload"]).says("1 object uploaded");
    second.holds(noise(2, 3000));
}

#[test]
fn wrong_bytes_of_a_lake_are_not_passed_on() {
    let env = TestEnv::new();
    let (repo, first, second) = repo(&env);
    repo.empty_store();
    fs::remove_file(repo.path.join("set/data/0_image.bin")).unwrap();
    first.damage(noise(2, 3000));
    repo.git_fails(1, ["lake", "remote-upload"]).says("1 upload is still owed");
    second.lacks(noise(2, 3000));
}

#[test]
fn a_clone_asks_first_and_sends_nothing_that_is_there() {
    let env = TestEnv::new();
    let (repo, _first, second) = repo(&env);
    repo.git(["lake", "remote-upload", "--all"]);
    let clone = env.clone_of(&repo, "clone");
    clone.empty_receipts();
    let before = second.objects();
    let ran = clone.git(["lake", "remote-upload", "--all", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["version"], 1);
    assert_eq!((&document["sent"], &document["already"]), (&0.into(), &6.into()), "{document}");
    assert_eq!(second.objects(), before);
}

#[test]
fn a_remote_that_came_with_a_pull_gets_nothing_until_it_is_accepted() {
    let env = TestEnv::new();
    let (repo, _first, _second) = repo(&env);
    let clone = env.clone_of(&repo, "clone");
    clone.git(["lake", "status"]);
    let third = env.lake("third");
    repo.git(["lake", "remote-add", "../third"]);
    repo.commit("third");
    third.remove(noise(3, 3000));
    clone.git(["pull", "-q"]);
    clone
        .git_fails(1, ["lake", "remote-upload", "--all"])
        .says("which this clone has not accepted: `git lake trust file://");
    third.lacks(noise(3, 3000));
    clone.git(["lake", "trust", &third.url()]);
    clone.git(["lake", "remote-upload", "--all"]);
    third.holds(noise(3, 3000));
}

#[test]
fn what_the_store_lacks_is_pushed_from_another_lake() {
    for is_named in [true, false] {
        let env = TestEnv::new();
        let (lake, other) = (env.lake("lake"), env.lake("other"));
        let repo = env.repo("work");
        repo.set_up(&[&lake, &other]);
        other.unmount();
        repo.write("a.bin", noise(1, 3000));
        repo.commit("v1");
        repo.empty_store();
        fs::remove_file(repo.path.join("a.bin")).unwrap();
        other.mount();
        if !is_named {
            // Only the pointer names the lake that has it.
            let remote = format!("{{ name = 'other', url = '{}' }}", other.url());
            repo.write(".gitlake.toml", format!("version = 1\nremote = [{remote}]\n"));
        }
        repo.git(["lake", "push"]).says("1 object uploaded (2.9 KiB).");
        other.holds(noise(1, 3000));
        repo.git(["lake", "status"]).prints("Nothing is owed.");
    }
}
