//! Objects come into the store without a change of the work tree; and what a push looks at.

use std::fs;

use crate::common::{Lake, Repo, TestEnv, noise};

const V1: u64 = 1;
const V2: u64 = 2;
const SIDE: u64 = 3;
const OTHER: u64 = 4;

/// A clone without any object of a repository with `a.bin` in two versions, `sub/b.bin`, and one more on the
/// branch `side`.
fn clone(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(V1, 1000));
    repo.commit("v1");
    repo.write("a.bin", noise(V2, 2000));
    repo.write("sub/b.bin", noise(OTHER, 4000));
    repo.commit("v2");
    repo.on_branch("side", |repo| repo.write("a.bin", noise(SIDE, 3000)));
    env.install();
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", "work", "clone"]);
    (env.at("clone"), lake)
}

/// Which of the objects the store has.
fn stored(repo: &Repo) -> Vec<u64> {
    let all = [(V1, 1000), (V2, 2000), (SIDE, 3000), (OTHER, 4000)];
    let here = all.into_iter().filter(|(seed, len)| repo.stored(noise(*seed, *len)).exists());
    here.map(|(seed, _)| seed).collect()
}

#[test]
fn without_anything_it_is_what_the_index_has() {
    let env = TestEnv::new();
    let (repo, lake) = clone(&env);
    repo.git(["lake", "fetch"]).says("2 objects fetched (5.9 KiB), 0 in the store already.");
    assert_eq!(stored(&repo), [V2, OTHER]);
    assert!(repo.is_pointer("a.bin"), "the work tree is as it was");
    repo.git(["lake", "fetch"]).says("0 objects fetched (0 bytes), 2 in the store already.");
    lake.unmount();
    repo.git(["lake", "pull"]).says("2 files filled");
    repo.has("a.bin", noise(V2, 2000));
}

#[test]
fn commits_ranges_and_everything_can_be_meant() {
    let env = TestEnv::new();
    let (repo, _lake) = clone(&env);
    repo.git(["lake", "fetch", "HEAD~1"]).says("1 object fetched (1000 bytes)");
    assert_eq!(stored(&repo), [V1]);
    repo.git(["lake", "fetch", "main..origin/side"]).says("1 object fetched (2.9 KiB)");
    assert_eq!(stored(&repo), [V1, SIDE]);
    repo.git(["lake", "fetch", "--all"]).says("2 objects fetched (5.9 KiB), 2 in the store");
    assert_eq!(stored(&repo), [V1, V2, SIDE, OTHER]);
    repo.git(["switch", "-q", "side"]);
    repo.has("a.bin", noise(SIDE, 3000));
}

#[test]
fn paths_and_settings_limit_it() {
    let env = TestEnv::new();
    let (repo, _lake) = clone(&env);
    repo.git(["config", "lake.fetchExclude", "sub/**"]);
    repo.git(["lake", "fetch", "origin/side"]).says("1 object fetched");
    assert_eq!(stored(&repo), [SIDE]);
    repo.git(["lake", "fetch", "origin/side", "--", "sub"]).says("1 object fetched");
    assert_eq!(stored(&repo), [SIDE, OTHER], "whoever names it wants it");
    repo.git(["lake", "fetch", "--", "*.bin"]).says("1 object fetched");
    assert_eq!(stored(&repo), [V2, SIDE, OTHER]);
}

#[test]
fn what_a_sparse_checkout_leaves_out_is_not_fetched() {
    let env = TestEnv::new();
    let (repo, _lake) = clone(&env);
    repo.git(["sparse-checkout", "set", "--no-cone", "/*", "!/sub/"]);
    assert!(!repo.path.join("sub").exists());
    repo.git(["lake", "fetch"]).says("1 object fetched");
    assert_eq!(stored(&repo), [V2]);
    repo.git(["lake", "pull"]).says("1 file filled");
    assert!(!repo.path.join("sub").exists());
}

#[test]
fn keys_and_samples_can_be_chosen_of_the_index() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for id in 0..3 {
        repo.write(format!("set/data/{id}_image.bin"), noise(id, 500));
        repo.write(format!("set/data/{id}_mask.bin"), noise(100 + id, 500));
    }
    repo.commit("v1");
    repo.empty_store();
    repo.git(["lake", "fetch", "-k", "image", "--stop", "2"]).says("2 objects fetched");
    repo.git_fails(2, ["lake", "fetch", "HEAD", "-k", "image"])
        .says("Keys and samples can be chosen of the index alone");
    repo.git_fails(2, ["lake", "fetch", "--all", "-k", "image"])
        .says("Paths, keys and samples cannot be chosen of --all");
}

#[test]
fn a_bare_repository_fetches_what_commits_name() {
    let env = TestEnv::new();
    let (repo, _lake) = clone(&env);
    env.at(".").git(["clone", "-q", "--bare", "clone", "bare.git"]);
    let bare = env.at("bare.git");
    bare.git(["lake", "fetch"]).says("2 objects fetched");
    bare.git(["lake", "fetch", "main"]).says("0 objects fetched (0 bytes), 2 in the store");
    assert_eq!(stored(&bare), [V2, OTHER]);
    assert!(stored(&repo).is_empty());
}

#[test]
fn what_cannot_be_had_is_told_and_the_rest_is_fetched() {
    let env = TestEnv::new();
    let (repo, lake) = clone(&env);
    lake.remove(noise(V2, 2000));
    repo.git_fails(1, ["lake", "fetch"])
        .says("1 object could not be had (a.bin): it is not in")
        .says("1 object fetched (3.9 KiB)");
    repo.git_fails(1, ["lake", "fetch", "none"]).says("Could not find revision `none`");
    repo.git_fails(1, ["lake", "fetch", "HEAD", "--", "none"]).says("has no file that");
    repo.git_fails(2, ["lake", "fetch", "main...side"]).says("`main...side` has three dots");
    repo.git_fails(1, ["lake", "fetch", "main..none"]).says("Could not find revision `none`");
}

#[test]
fn a_push_looks_at_commits_that_no_remote_has() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    env.bare("origin.git");
    repo.git(["remote", "add", "origin", "../origin.git"]);
    repo.write("a.bin", noise(V1, 1000));
    repo.commit("v1");
    repo.git(["push", "-q", "-u", "origin", "main"]);
    repo.write("b.bin", noise(V2, 2000));
    repo.commit("v2");
    repo.empty_receipts();
    for content in [noise(V1, 1000), noise(V2, 2000)] {
        fs::remove_file(lake.object(content)).unwrap();
    }
    // Whoever has the first commit relies on the lake; `remote-upload --all` looks at everything.
    repo.git(["lake", "push", "main"]).says("1 object uploaded (2.0 KiB).");
    lake.lacks(noise(V1, 1000));
    repo.git(["lake", "push", "--all"]).says("0 objects uploaded");
    repo.git(["lake", "remote-upload", "--all"]).says("1 object uploaded");
    lake.holds(noise(V1, 1000));
    repo.git_fails(1, ["lake", "push", "none"]).says("Could not find revision `none`");
}
