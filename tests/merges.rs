//! Merges, and all that merges inside: rebase, cherry-pick, revert.

use crate::common::{Lake, Repo, TestEnv, noise};

fn repo_with(env: &TestEnv, files: &[(&str, u64)]) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    for (name, seed) in files {
        repo.write(name, noise(*seed, 2000));
    }
    repo.commit("base");
    (repo, lake)
}

/// The paths that the index has in stages 1 to 3.
fn unmerged(repo: &Repo) -> Vec<String> {
    let listed = repo.git(["ls-files", "-u"]).stdout;
    listed.lines().map(|line| line.split_whitespace().nth(2).unwrap().to_owned()).collect()
}

#[test]
fn a_fast_forward_brings_content() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1)]);
    repo.on_branch("side", |repo| repo.write("a.bin", noise(2, 2000)));
    repo.git(["merge", "-q", "--ff-only", "side"]).says_nothing();
    repo.has("a.bin", noise(2, 2000));
    repo.is_clean_when_touched();
}

#[test]
fn files_changed_on_different_sides_merge() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1), ("b.bin", 2)]);
    repo.on_branch("side", |repo| repo.write("a.bin", noise(11, 2000)));
    repo.write("b.bin", noise(12, 2000));
    repo.commit("ours");
    repo.git(["merge", "-q", "-m", "merge", "side"]).says_nothing();
    repo.has("a.bin", noise(11, 2000));
    repo.has("b.bin", noise(12, 2000));
    repo.is_clean_when_touched();
}

#[test]
fn an_octopus_merge_brings_all_content() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1)]);
    repo.on_branch("one", |repo| repo.write("one.bin", noise(11, 2000)));
    repo.on_branch("two", |repo| repo.write("two.bin", noise(12, 2000)));
    repo.write("b.bin", noise(13, 2000));
    repo.commit("ours");
    repo.git(["merge", "-q", "-m", "merge", "one", "two"]);
    for (name, seed) in [("a.bin", 1), ("one.bin", 11), ("two.bin", 12), ("b.bin", 13)] {
        repo.has(name, noise(seed, 2000));
    }
    repo.is_clean_when_touched();
}

#[test]
fn content_changed_on_both_sides_conflicts_and_leaves_ours() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1)]);
    repo.on_branch("side", |repo| repo.write("a.bin", noise(11, 2000)));
    repo.write("a.bin", noise(12, 2000));
    repo.commit("ours");
    repo.git_fails(1, ["merge", "-q", "side"]);
    repo.has("a.bin", noise(12, 2000));
    assert_eq!(unmerged(&repo), ["1", "2", "3"]);
    // A touched file must not stop anything.
    repo.touch("a.bin");
    assert_eq!(repo.status(), "UU a.bin\n");
    repo.git(["diff"]);
    repo.git(["checkout", "-q", "--theirs", "a.bin"]);
    repo.has("a.bin", noise(11, 2000));
    repo.git(["checkout", "-q", "--ours", "a.bin"]);
    repo.has("a.bin", noise(12, 2000));
    repo.git(["checkout", "-q", "--theirs", "a.bin"]);
    let theirs = repo.blob("side:a.bin");
    repo.git(["add", "a.bin"]);
    assert_eq!(repo.blob(":a.bin"), theirs);
    repo.git(["commit", "-q", "-m", "merged"]);
    repo.is_clean_when_touched();
}

#[test]
fn a_merge_can_be_aborted_when_the_conflicting_file_was_touched() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1), ("b.bin", 2)]);
    repo.on_branch("side", |repo| {
        repo.write("a.bin", noise(11, 2000));
        repo.write("b.bin", noise(13, 2000));
    });
    repo.write("a.bin", noise(12, 2000));
    repo.commit("ours");
    repo.git_fails(1, ["merge", "-q", "side"]);
    // git itself refuses when a merged file was touched, whatever the filter says.
    repo.touch("a.bin");
    repo.git(["merge", "--abort"]);
    repo.has("a.bin", noise(12, 2000));
    repo.has("b.bin", noise(2, 2000));
    repo.is_clean_when_touched();
}

#[test]
fn sources_of_equal_content_are_united() {
    let env = TestEnv::new();
    let (first, second, third) = (env.lake("first"), env.lake("second"), env.lake("third"));
    let repo = env.repo("work");
    repo.set_up(&[&first]);
    repo.write("a.bin", noise(1, 2000));
    repo.commit("base");
    // Each side writes the pointer with another remote besides, as `remote-add` does.
    let with = |lake: &Lake| {
        let url = format!(
            "{}/{}",
            lake.url(),
            lake.object(noise(1, 2000)).file_name().unwrap().to_str().unwrap()
        );
        format!("{}source {url}\n", repo.blob("main:a.bin"))
    };
    let stage = |text: String| {
        let blob = repo.feed("git", &["hash-object", "-w", "--stdin"], text.as_bytes()).stdout;
        repo.git(["update-index", "--cacheinfo", &format!("100644,{},a.bin", blob.trim())]);
        repo.git(["commit", "-q", "-m", "another source"]);
    };
    repo.git(["switch", "-q", "-c", "side"]);
    stage(with(&second));
    repo.git(["switch", "-q", "main"]);
    stage(with(&third));
    repo.is_clean_when_touched();
    repo.git(["merge", "-q", "-m", "merge", "side"]);
    let merged = repo.blob("HEAD:a.bin");
    for lake in [&first, &second, &third] {
        assert!(merged.contains(&format!("source {}/", lake.url())), "{merged}");
    }
    repo.has("a.bin", noise(1, 2000));
    repo.is_clean_when_touched();
}

#[test]
fn a_side_that_only_added_a_source_does_not_conflict_with_new_content() {
    let env = TestEnv::new();
    let (first, second) = (env.lake("first"), env.lake("second"));
    let repo = env.repo("work");
    repo.set_up(&[&first]);
    repo.write("a.bin", noise(1, 2000));
    repo.commit("base");
    let name = first.object(noise(1, 2000));
    let name = name.file_name().unwrap().to_str().unwrap();
    let text = format!("{}source {}/{name}\n", repo.blob("main:a.bin"), second.url());
    repo.git(["switch", "-q", "-c", "side"]);
    let blob = repo.feed("git", &["hash-object", "-w", "--stdin"], text.as_bytes()).stdout;
    repo.git(["update-index", "--cacheinfo", &format!("100644,{},a.bin", blob.trim())]);
    repo.git(["commit", "-q", "-m", "another source"]);
    repo.git(["switch", "-q", "main"]);
    repo.write("a.bin", noise(2, 2000));
    repo.commit("new content");
    let ours = repo.blob("HEAD:a.bin");
    repo.git(["merge", "-q", "-m", "merge", "side"]);
    assert_eq!(repo.blob("HEAD:a.bin"), ours);
    repo.has("a.bin", noise(2, 2000));
    repo.is_clean_when_touched();
}

#[test]
fn the_same_content_added_on_both_sides_merges() {
    let env = TestEnv::new();
    let (first, second) = (env.lake("first"), env.lake("second"));
    let repo = env.repo("work");
    repo.set_up(&[&first]);
    repo.git(["switch", "-q", "-c", "side"]);
    repo.git(["lake", "init", &second.url()]);
    repo.write("a.bin", noise(1, 2000));
    repo.commit("side");
    repo.git(["switch", "-q", "main"]);
    repo.write("a.bin", noise(1, 2000));
    repo.commit("main");
    assert_ne!(repo.blob("main:a.bin"), repo.blob("side:a.bin"));
    repo.git(["merge", "-q", "-m", "merge", "side"]);
    let merged = repo.blob("HEAD:a.bin");
    assert!(merged.contains(&first.url()) && merged.contains(&second.url()), "{merged}");
    repo.is_clean_when_touched();
}

#[test]
fn remotes_added_on_both_sides_merge_in_the_settings() {
    let env = TestEnv::new();
    let (first, second, third) = (env.lake("first"), env.lake("second"), env.lake("third"));
    let repo = env.repo("work");
    repo.set_up(&[&first]);
    repo.on_branch("side", |repo| drop(repo.git(["lake", "init", &second.url()])));
    repo.git(["lake", "init", &third.url()]);
    repo.commit("ours");
    repo.git(["merge", "-q", "-m", "merge", "side"]);
    let settings = repo.text(".gitlake.toml");
    for lake in [&first, &second, &third] {
        assert!(settings.contains(&lake.url()), "{settings}");
    }
    // The order is that of preference, and theirs comes after ours.
    assert!(settings.find(&third.url()) < settings.find(&second.url()), "{settings}");
    repo.git(["lake", "status"]);
}

#[test]
fn rebase_carries_content() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1), ("b.bin", 2)]);
    repo.git(["switch", "-q", "-c", "side"]);
    for at in 0..3 {
        repo.write("a.bin", noise(20 + at, 2000));
        repo.commit("step");
    }
    repo.git(["switch", "-q", "main"]);
    repo.write("b.bin", noise(12, 2000));
    repo.commit("ours");
    repo.git(["switch", "-q", "side"]);
    repo.git(["rebase", "-q", "main"]);
    repo.has("a.bin", noise(22, 2000));
    repo.has("b.bin", noise(12, 2000));
    repo.is_clean_when_touched();
    repo.git(["rebase", "-q", "--apply", "HEAD~3", "--onto", "main~1"]);
    repo.has("a.bin", noise(22, 2000));
    repo.has("b.bin", noise(2, 2000));
    repo.is_clean_when_touched();
}

#[test]
fn commands_of_a_rebase_see_content() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1), ("b.bin", 2)]);
    repo.on_branch("side", |repo| repo.write("a.bin", noise(11, 5 << 20)));
    repo.write("b.bin", noise(12, 2000));
    repo.commit("ours");
    repo.git(["switch", "-q", "side"]);
    repo.git(["rebase", "-q", "-x", "! grep -q 'git-lake pointer' a.bin b.bin", "main"]);
    repo.has("a.bin", noise(11, 5 << 20));
    repo.is_clean_when_touched();
}

#[test]
fn a_conflict_in_a_rebase_can_be_resolved() {
    let env = TestEnv::new();
    let (repo, lake) = repo_with(&env, &[("a.bin", 1)]);
    repo.on_branch("side", |repo| repo.write("a.bin", noise(11, 2000)));
    repo.write("a.bin", noise(12, 2000));
    repo.commit("ours");
    repo.git(["switch", "-q", "side"]);
    repo.git_fails(1, ["rebase", "-q", "main"]);
    repo.has("a.bin", noise(12, 2000));
    repo.write("a.bin", noise(13, 2000));
    repo.git(["add", "a.bin"]);
    lake.holds(noise(13, 2000));
    repo.git(["rebase", "--continue"]);
    repo.has("a.bin", noise(13, 2000));
    repo.is_clean_when_touched();
}

#[test]
fn cherry_pick_and_revert() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1), ("b.bin", 2)]);
    repo.on_branch("side", |repo| repo.write("a.bin", noise(11, 2000)));
    repo.write("b.bin", noise(12, 2000));
    repo.commit("ours");
    repo.git(["cherry-pick", "side"]);
    repo.has("a.bin", noise(11, 2000));
    repo.has("b.bin", noise(12, 2000));
    repo.is_clean_when_touched();
    repo.git(["revert", "--no-edit", "HEAD"]);
    repo.has("a.bin", noise(1, 2000));
    repo.is_clean_when_touched();
}

#[test]
fn pull_with_rebase_and_autostash() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1), ("b.bin", 2), ("c.bin", 3)]);
    let clone = env.clone_of(&repo, "clone");
    repo.write("a.bin", noise(11, 2000));
    repo.commit("theirs");
    clone.write("b.bin", noise(12, 2000));
    clone.commit("ours");
    clone.write("c.bin", noise(13, 2000));
    clone.git(["pull", "-q", "--rebase", "--autostash"]);
    clone.has("a.bin", noise(11, 2000));
    clone.has("b.bin", noise(12, 2000));
    clone.has("c.bin", noise(13, 2000));
    assert_eq!(clone.status(), " M c.bin\n");
}

#[test]
fn a_merge_that_renormalizes() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1), ("b.bin", 2)]);
    repo.on_branch("side", |repo| {
        repo.write("a.bin", noise(11, 2000));
        repo.write("c.bin", noise(13, 2000));
    });
    repo.write("b.bin", noise(12, 2000));
    repo.write("c.bin", noise(13, 2000));
    repo.commit("ours");
    repo.git(["merge", "-q", "-Xrenormalize", "-m", "merge", "side"]).says_nothing();
    for (name, seed) in [("a.bin", 11), ("b.bin", 12), ("c.bin", 13)] {
        repo.has(name, noise(seed, 2000));
    }
    repo.is_clean_when_touched();
}

#[test]
fn a_file_deleted_on_one_side_and_changed_on_the_other_conflicts() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1)]);
    repo.on_branch("side", |repo| repo.write("a.bin", noise(11, 2000)));
    repo.git(["rm", "-q", "a.bin"]);
    repo.commit("ours");
    repo.git_fails(1, ["merge", "-q", "side"]);
    repo.has("a.bin", noise(11, 2000));
    repo.git(["add", "a.bin"]);
    assert_eq!(repo.blob(":a.bin"), repo.blob("side:a.bin"));
}

#[test]
fn a_rename_on_one_side_follows_new_content_of_the_other() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1)]);
    repo.on_branch("side", |repo| drop(repo.git(["mv", "a.bin", "moved.bin"])));
    repo.write("a.bin", noise(12, 2000));
    repo.commit("ours");
    repo.git(["merge", "-q", "-m", "merge", "side"]);
    repo.has("moved.bin", noise(12, 2000));
    assert!(!repo.path.join("a.bin").exists());
    repo.is_clean_when_touched();
}
