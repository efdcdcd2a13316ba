//! Merges that people get wrong: of sources, of crossing histories, without the driver.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::common::{Lake, Repo, TestEnv, noise};

fn repo_with(env: &TestEnv, files: &[(&str, u64)]) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    for (name, seed) in files {
        repo.write(name, noise(*seed, 2000));
    }
    repo.commit("base");
    (repo, lake)
}

/// Makes `a.bin` conflict: base 1, theirs (`side`) 11, ours 12.
fn conflicting(env: &TestEnv) -> Repo {
    let (repo, _lake) = repo_with(env, &[("a.bin", 1)]);
    repo.on_branch("side", |repo| repo.write("a.bin", noise(11, 2000)));
    repo.write("a.bin", noise(12, 2000));
    repo.commit("ours");
    repo
}

/// Theirs gives `a.bin` one more lake, ours gives it new content.
fn with_a_lake_of_the_other_side(env: &TestEnv) -> (Repo, Lake) {
    let (repo, _lake) = repo_with(env, &[("a.bin", 1), ("b.bin", 2)]);
    let second = env.lake("second");
    repo.on_branch("side", |repo| drop(repo.git(["lake", "remote-add", &second.url()])));
    repo.write("a.bin", noise(12, 2000));
    repo.commit("ours");
    second.lacks(noise(12, 2000));
    (repo, second)
}

fn unmerged(repo: &Repo) -> Vec<String> {
    let listed = repo.git(["ls-files", "-u"]).stdout;
    let words = listed.lines().map(|line| line.split_whitespace().skip(2).collect::<Vec<_>>());
    words.map(|words| words.join(" ")).collect()
}

#[test]
fn new_content_goes_to_the_lake_that_the_other_side_added() {
    let env = TestEnv::new();
    let (repo, second) = with_a_lake_of_the_other_side(&env);
    let ours = repo.blob("HEAD:a.bin");
    repo.git(["merge", "-q", "-m", "merge", "side"]).says_nothing();
    assert_eq!(repo.blob("HEAD:a.bin"), ours, "the pointer is that of the new content");
    second.holds(noise(12, 2000));
    second.holds(noise(2, 2000));
    repo.git(["lake", "status"]).prints("Nothing is owed.");
    repo.is_clean_when_touched();
}

#[test]
fn what_a_merge_owes_waits_for_a_lake_that_is_away() {
    let env = TestEnv::new();
    let (repo, second) = with_a_lake_of_the_other_side(&env);
    second.unmount();
    repo.git(["merge", "-q", "-m", "merge", "side"]).says("1 upload is owed (a.bin)");
    second.mount();
    repo.git(["lake", "status"]).prints("1 upload is owed");
    repo.git(["lake", "push"]).says("1 object uploaded");
    second.holds(noise(12, 2000));
    repo.git(["lake", "status"]).prints("Nothing is owed.");
}

#[test]
fn what_a_merge_owes_waits_for_a_push_if_uploads_do() {
    let env = TestEnv::new();
    let (repo, second) = with_a_lake_of_the_other_side(&env);
    repo.git(["config", "lake.upload", "push"]);
    repo.git(["merge", "-q", "-m", "merge", "side"]).says_nothing();
    second.lacks(noise(12, 2000));
    repo.git(["lake", "status"]).prints("1 upload is owed");
    let origin = env.bare("origin");
    repo.git(["push", "-q", origin.path.to_str().unwrap(), "main"]).says_nothing();
    second.holds(noise(12, 2000));
    repo.git(["lake", "status"]).prints("Nothing is owed.");
}

#[test]
fn a_rebase_onto_one_more_lake_is_made_good_by_the_push() {
    let env = TestEnv::new();
    let (repo, second) = with_a_lake_of_the_other_side(&env);
    repo.git(["rebase", "-q", "side"]);
    repo.has("a.bin", noise(12, 2000));
    let origin = env.bare("origin");
    repo.git(["push", "-q", origin.path.to_str().unwrap(), "main"]).says_nothing();
    second.holds(noise(12, 2000));
}

#[test]
fn a_clone_without_the_content_owes_nothing_for_a_merge() {
    let env = TestEnv::new();
    let (repo, second) = with_a_lake_of_the_other_side(&env);
    let clone = env.clone_with(&repo, "clone", &["-c", "lake.checkout=pointer"]);
    clone.git(["merge", "-q", "-m", "merge", "origin/side"]);
    clone.git(["lake", "status"]).prints("Nothing is owed.");
    second.lacks(noise(12, 2000));
}

#[test]
fn every_operation_leaves_ours_and_all_three_contents() {
    let operations: [(&[&str], u64, u64, u64); 5] = [
        (&["merge", "-q", "side"], 1, 12, 11),
        (&["cherry-pick", "side"], 1, 12, 11),
        // What is picked is the other side, and ours is where it goes to.
        (&["rebase", "-q", "side"], 1, 11, 12),
        (&["revert", "--no-edit", "HEAD~"], 21, 12, 1),
        (&["stash", "pop", "-q"], 12, 22, 23),
    ];
    for (args, base, ours, theirs) in operations {
        let env = TestEnv::new();
        let (repo, _lake) = repo_with(&env, &[("a.bin", 1)]);
        repo.on_branch("side", |repo| repo.write("a.bin", noise(11, 2000)));
        if args[0] == "revert" {
            repo.write("a.bin", noise(21, 2000));
            repo.commit("to be reverted");
        }
        repo.write("a.bin", noise(12, 2000));
        repo.commit("ours");
        if args[0] == "stash" {
            repo.write("a.bin", noise(23, 2000));
            repo.git(["stash", "-q"]);
            repo.write("a.bin", noise(22, 2000));
            repo.commit("meanwhile");
        }
        repo.git_fails(1, args);
        assert_eq!(unmerged(&repo), ["1 a.bin", "2 a.bin", "3 a.bin"], "{args:?}");
        repo.has("a.bin", noise(ours, 2000));
        for (stage, seed) in [(1, base), (2, ours), (3, theirs)] {
            let pointer = repo.blob(&format!(":{stage}:a.bin"));
            let content = repo.feed("git", &["lake", "smudge", "--", "a.bin"], pointer.as_bytes());
            assert!(content.bytes == noise(seed, 2000), "{args:?}, stage {stage}");
        }
        repo.git(["checkout", "-q", "--theirs", "--", "a.bin"]);
        repo.has("a.bin", noise(theirs, 2000));
        repo.git(["checkout", "-q", "--merge", "--", "a.bin"]);
        repo.has("a.bin", noise(ours, 2000));
        repo.git(["checkout", "-q", "--ours", "--", "a.bin"]);
        repo.git(["add", "a.bin"]);
        assert_eq!(unmerged(&repo), [""; 0], "{args:?}");
    }
}

#[test]
fn a_stash_pops_onto_other_changes() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1), ("b.bin", 2)]);
    repo.write("a.bin", noise(11, 2000));
    repo.git(["stash", "-q"]);
    repo.write("b.bin", noise(12, 2000));
    repo.commit("meanwhile");
    repo.git(["stash", "pop", "-q"]).says_nothing();
    repo.has("a.bin", noise(11, 2000));
    repo.has("b.bin", noise(12, 2000));
    assert_eq!(repo.status(), " M a.bin\n");
}

#[test]
fn histories_that_cross_do_not_settle_a_conflict_in_silence() {
    let env = TestEnv::new();
    let repo = conflicting(&env);
    // Each branch merges the other and keeps its own content.
    repo.git(["switch", "-q", "-c", "crossed", "side"]);
    repo.git_fails(1, ["merge", "-q", "main"]);
    repo.git(["add", "a.bin"]);
    repo.git(["commit", "-q", "-m", "keeps 11"]);
    repo.git(["switch", "-q", "main"]);
    repo.git_fails(1, ["merge", "-q", "side"]);
    repo.git(["add", "a.bin"]);
    repo.git(["commit", "-q", "-m", "keeps 12"]);
    assert_eq!(repo.git(["merge-base", "--all", "main", "crossed"]).stdout.lines().count(), 2);
    repo.git_fails(1, ["merge", "-q", "crossed"]);
    repo.has("a.bin", noise(12, 2000));
    assert_eq!(unmerged(&repo), ["1 a.bin", "2 a.bin", "3 a.bin"]);
    assert_eq!(repo.blob(":1:a.bin"), repo.blob("main~2:a.bin"), "the base of both");
    repo.git(["merge", "--abort"]);
    repo.git(["switch", "-q", "crossed"]);
    repo.git_fails(1, ["merge", "-q", "main"]);
    repo.has("a.bin", noise(11, 2000));
}

#[test]
fn histories_that_cross_merge_where_one_side_goes_on() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1), ("b.bin", 2)]);
    repo.on_branch("side", |repo| repo.write("a.bin", noise(11, 2000)));
    repo.write("b.bin", noise(12, 2000));
    repo.commit("ours");
    repo.git(["switch", "-q", "-c", "crossed", "side"]);
    repo.git(["merge", "-q", "-m", "one", "main"]);
    repo.write("a.bin", noise(13, 2000));
    repo.commit("goes on");
    repo.git(["switch", "-q", "main"]);
    repo.git(["merge", "-q", "-m", "two", "side"]);
    repo.git(["merge", "-q", "-m", "three", "crossed"]).says_nothing();
    repo.has("a.bin", noise(13, 2000));
    repo.has("b.bin", noise(12, 2000));
    repo.is_clean_when_touched();
}

#[test]
fn different_content_added_on_both_sides_conflicts() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    // One that a command line must not take for an option.
    repo.on_branch("side", |repo| repo.write("-q.bin", noise(11, 2000)));
    repo.write("-q.bin", noise(12, 2000));
    repo.commit("ours");
    repo.git_fails(1, ["merge", "-q", "side"]).says_nothing();
    repo.has("-q.bin", noise(12, 2000));
    assert_eq!(unmerged(&repo), ["2 -q.bin", "3 -q.bin"]);
}

#[test]
fn renames_on_both_sides() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1), ("b.bin", 2)]);
    let second = env.lake("second");
    repo.on_branch("side", |repo| {
        repo.git(["mv", "a.bin", "moved.bin"]);
        repo.git(["mv", "b.bin", "there.bin"]);
        repo.git(["lake", "remote-add", &second.url()]);
    });
    repo.git(["mv", "a.bin", "moved.bin"]);
    repo.git(["mv", "b.bin", "elsewhere.bin"]);
    repo.commit("ours");
    repo.git_fails(1, ["merge", "-q", "side"]);
    // To the same name: the other side's source comes along. To different names: git asks.
    assert!(repo.blob(":moved.bin").contains(&second.url()), "{}", repo.blob(":moved.bin"));
    repo.has("moved.bin", noise(1, 2000));
    assert_eq!(unmerged(&repo), ["1 b.bin", "2 elsewhere.bin", "3 there.bin"]);
    for name in ["elsewhere.bin", "there.bin"] {
        repo.has(name, noise(2, 2000));
    }
    repo.git(["rm", "-q", "b.bin", "there.bin"]);
    repo.git(["add", "elsewhere.bin"]);
    repo.git(["commit", "-q", "-m", "merged"]);
    repo.is_clean_when_touched();
}

#[test]
fn a_mode_changes_on_one_side_and_content_on_the_other() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1)]);
    let executable = fs::Permissions::from_mode(0o755);
    repo.on_branch("side", |repo| {
        fs::set_permissions(repo.path.join("a.bin"), executable).unwrap();
    });
    repo.write("a.bin", noise(12, 2000));
    repo.commit("ours");
    repo.git(["merge", "-q", "-m", "merge", "side"]).says_nothing();
    repo.has("a.bin", noise(12, 2000));
    assert!(repo.git(["ls-files", "-s", "a.bin"]).stdout.starts_with("100755 "));
    repo.is_clean_when_touched();
}

#[test]
fn a_file_changed_here_and_deleted_there_conflicts() {
    let env = TestEnv::new();
    let (repo, _lake) = repo_with(&env, &[("a.bin", 1)]);
    repo.on_branch("side", |repo| drop(repo.git(["rm", "-q", "a.bin"])));
    repo.write("a.bin", noise(12, 2000));
    repo.commit("ours");
    repo.git_fails(1, ["merge", "-q", "side"]).says_nothing();
    repo.has("a.bin", noise(12, 2000));
    assert_eq!(unmerged(&repo), ["1 a.bin", "2 a.bin"]);
    repo.git(["rm", "-q", "a.bin"]);
    repo.git(["commit", "-q", "-m", "gone"]);
    repo.is_clean();
}

#[test]
fn a_remote_added_there_and_one_removed_here() {
    let env = TestEnv::new();
    let (first, second, third) = (env.lake("first"), env.lake("second"), env.lake("third"));
    let repo = env.repo("work");
    repo.set_up(&[&first, &second]);
    repo.write("a.bin", noise(1, 2000));
    repo.commit("base");
    repo.on_branch("side", |repo| drop(repo.git(["lake", "remote-add", &third.url()])));
    repo.git(["lake", "remote-remove", &second.url()]);
    repo.commit("ours");
    repo.git(["merge", "-q", "-m", "merge", "side"]).says_nothing();
    for text in [repo.text(".gitlake.toml"), repo.blob("HEAD:a.bin")] {
        let has = |lake: &Lake| text.contains(&lake.url());
        assert!(has(&first) && !has(&second) && has(&third), "{text}");
    }
    repo.git(["lake", "status"]).prints("Nothing is owed.");
    repo.is_clean_when_touched();
}

#[test]
fn an_octopus_that_git_cannot_do_leaves_everything_as_it_was() {
    let env = TestEnv::new();
    let repo = conflicting(&env);
    repo.on_branch("other", |repo| repo.write("b.bin", noise(13, 2000)));
    let head = repo.git(["rev-parse", "HEAD"]).stdout;
    let ran = repo.run("git", ["merge", "-q", "-m", "octopus", "other", "side"]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    repo.git(["reset", "-q", "--merge"]);
    assert_eq!(repo.git(["rev-parse", "HEAD"]).stdout, head);
    repo.has("a.bin", noise(12, 2000));
    repo.is_clean_when_touched();
}

/// Takes the merge driver out of the configuration; git merges pointers as text then.
fn forget_driver(repo: &Repo) {
    repo.git(["config", "--remove-section", "merge.lake"]);
}

#[test]
fn without_the_driver_nothing_dies_and_the_way_out_is_said() {
    let env = TestEnv::new();
    let repo = conflicting(&env);
    forget_driver(&repo);
    let way_out = "`git checkout --ours -- a.bin` or `git checkout --theirs -- a.bin`";
    let set_up = "The merge driver is not set up here, so git merges pointers as text: `git lake init` sets it up";
    repo.git_fails(1, ["merge", "-q", "side"])
        .says("`a.bin` is left as it is")
        .says(way_out)
        .says(set_up);
    assert!(repo.text("a.bin").contains("<<<<<<<"), "{}", repo.text("a.bin"));
    assert_eq!(repo.status(), "UU a.bin\n");
    repo.git(["diff"]);
    repo.git(["lake", "diff"]);
    for args in [&["add", "a.bin"][..], &["commit", "-q", "-a", "-m", "x"]] {
        let ran = repo
            .git_fails(128, args)
            .says("Could not add `a.bin`")
            .says("Line 2")
            .says(way_out)
            .says(set_up);
        assert_eq!(ran.told().len(), 1, "{ran:?}");
    }
    assert_eq!(unmerged(&repo).len(), 3);
    for (side, seed) in [("--theirs", 11), ("--ours", 12)] {
        repo.git(["checkout", "-q", side, "--", "a.bin"]);
        repo.has("a.bin", noise(seed, 2000));
    }
    // With the driver the merge can be done again.
    repo.git(["lake", "init"]);
    repo.git(["checkout", "-q", "--merge", "--", "a.bin"]).says_nothing();
    repo.has("a.bin", noise(12, 2000));
    repo.git(["add", "a.bin"]);
    repo.git(["commit", "-q", "-m", "merged"]);
    repo.is_clean_when_touched();
}

#[test]
fn without_the_driver_sources_may_merge_as_text() {
    let env = TestEnv::new();
    let (repo, second) = with_a_lake_of_the_other_side(&env);
    forget_driver(&repo);
    // New content here, another source there: one place to git, so it conflicts, and is not lost.
    repo.git_fails(1, ["merge", "-q", "side"]);
    repo.git(["checkout", "-q", "--ours", "--", "a.bin"]);
    repo.git(["add", "a.bin"]);
    repo.git(["commit", "-q", "-m", "merged"]);
    repo.has("b.bin", noise(2, 2000));
    let origin = env.bare("origin");
    repo.git(["push", "-q", origin.path.to_str().unwrap(), "main"]).says_nothing();
    second.holds(noise(12, 2000));
}

#[test]
fn a_damaged_pointer_that_somebody_committed_can_be_replaced() {
    let env = TestEnv::new();
    let repo = conflicting(&env);
    // Somebody without git-lake merges and commits what git made of it.
    let origin = env.bare("origin");
    let address = origin.path.to_str().unwrap();
    repo.git(["push", "-q", address, "main", "side"]);
    env.at(".").git(["clone", "-q", "-b", "main", address, "stranger"]);
    let stranger = env.at("stranger");
    stranger.git_fails(1, ["merge", "-q", "origin/side"]);
    stranger.git(["commit", "-q", "-a", "-m", "merged"]);
    stranger.git(["push", "-q", "origin", "main"]);
    let way_out = "`git checkout COMMIT -- a.bin`";
    repo.git(["pull", "-q", address, "main"]).says("`a.bin` is left as it is").says(way_out);
    repo.touch("a.bin");
    repo.is_clean();
    repo.git(["switch", "-q", "side"]);
    repo.has("a.bin", noise(11, 2000));
    repo.git(["switch", "-q", "main"]).says(way_out);
    repo.git(["checkout", "-q", "main^2", "--", "a.bin"]).says_nothing();
    repo.has("a.bin", noise(11, 2000));
    repo.git(["commit", "-q", "-m", "theirs"]);
    repo.git(["push", "-q", address, "main"]).says_nothing();
    repo.is_clean_when_touched();
}
