//! A push leaves nothing behind that only this machine holds.

use std::fs;

use crate::common::{Lake, Ran, Repo, TestEnv, noise};

/// A repository with `a.bin` committed, a lake that has it, and an empty `origin`.
fn repo(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    env.bare("origin.git");
    repo.git(["remote", "add", "origin", "../origin.git"]);
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    (repo, lake)
}

fn forget_everything(repo: &Repo) {
    repo.empty_store();
    repo.empty_receipts();
}

#[track_caller]
fn is_refused(repo: &Repo) -> Ran {
    let ran = repo.git_fails(1, ["push", "-q", "origin", "HEAD"]).says("The push is refused");
    assert_eq!(repo.git(["ls-remote", "origin"]).stdout, "");
    ran
}

#[test]
fn a_push_with_everything_in_the_lake_passes_in_silence() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    repo.git(["push", "-q", "origin", "main"]).says_nothing();
}

#[test]
fn a_push_without_receipts_asks_the_lake() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    forget_everything(&repo);
    repo.git(["push", "-q", "origin", "main"]).says_nothing();
}

#[test]
fn an_object_that_only_the_work_tree_has_is_taken_in_again() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    forget_everything(&repo);
    lake.remove(noise(1, 3000));
    lake.unmount();
    // Until a lake takes it, the store keeps it.
    let ran = is_refused(&repo);
    drop(ran.says("1 object that the store had lost was taken in again from the work tree."));
    repo.write("a.bin", noise(2, 3000));
    lake.mount();
    repo.git(["push", "-q", "origin", "main"]).says_nothing();
    lake.holds(noise(1, 3000));
    lake.lacks(noise(2, 3000));
}

#[test]
fn an_object_that_is_nowhere_refuses_the_push() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    forget_everything(&repo);
    lake.remove(noise(1, 3000));
    // As long, and something else.
    repo.write("a.bin", noise(2, 3000));
    drop(
        is_refused(&repo)
            .says("a.bin")
            .says("in no lake that others reach")
            .says("The content is not in this clone either"),
    );
}

#[test]
fn an_object_of_another_size_in_the_lake_is_no_proof() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    forget_everything(&repo);
    fs::remove_file(lake.object(noise(1, 3000))).unwrap();
    fs::write(lake.object(noise(1, 3000)), "short").unwrap();
    drop(is_refused(&repo).says("a.bin"));
}

#[test]
fn a_lake_that_is_gone_refuses_the_push_with_the_way_out() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    lake.unmount();
    repo.write("b.bin", noise(2, 3000));
    repo.commit("v2");
    drop(is_refused(&repo).says("b.bin").says("git lake push"));
    lake.mount();
    repo.git(["push", "-q", "origin", "main"]);
}

#[test]
fn what_an_older_commit_holds_counts_too() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.git(["rm", "-q", "a.bin"]);
    repo.commit("without it");
    forget_everything(&repo);
    lake.remove(noise(1, 3000));
    drop(is_refused(&repo).says("a.bin"));
}

#[test]
fn what_the_remote_has_already_is_not_proved_again() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.git(["push", "-q", "origin", "main"]);
    forget_everything(&repo);
    lake.remove(noise(1, 3000));
    repo.write("b.bin", noise(2, 3000));
    repo.commit("v2");
    repo.git(["push", "-q", "origin", "main"]).says_nothing();
}

#[test]
fn content_in_git_on_a_tracked_path_refuses_the_push() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    // As if git-lake had not been installed.
    let attributes = repo.git_dir().join("info/attributes");
    fs::write(&attributes, "*.bin -filter\n").unwrap();
    repo.write("raw.bin", noise(2, 20_000));
    repo.write("short.bin", "raw");
    repo.git(["add", "raw.bin", "short.bin"]);
    repo.git(["commit", "-q", "-m", "raw content"]);
    fs::remove_file(&attributes).unwrap();
    drop(is_refused(&repo).says("raw.bin").says("short.bin").says("git add --renormalize"));
    repo.git(["add", "--renormalize", "."]);
    repo.git(["commit", "-q", "--amend", "--no-edit"]);
    repo.git(["push", "-q", "origin", "main"]).says_nothing();
}

#[test]
fn a_damaged_pointer_refuses_the_push() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let text = repo.blob("HEAD:a.bin").replace("size 3000", "size 03000");
    let blob = repo.feed("git", &["hash-object", "-w", "--stdin"], text.as_bytes()).stdout;
    repo.git(["update-index", "--add", "--cacheinfo", &format!("100644,{},d.bin", blob.trim())]);
    repo.git(["commit", "-q", "-m", "damaged"]);
    drop(is_refused(&repo).says("d.bin").says("a damaged pointer"));
}

#[test]
fn a_lake_of_this_machine_alone_proves_nothing() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    env.bare("origin.git");
    repo.git(["remote", "add", "origin", "../origin.git"]);
    repo.git(["lake", "init"]).says("on this machine alone");
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    drop(is_refused(&repo).says("only in a lake of this machine"));
    // With another lake, the content goes there and the push passes.
    let lake = env.lake("team");
    repo.git(["lake", "init", &lake.url()]);
    repo.commit("a lake for all");
    repo.write("b.bin", noise(2, 3000));
    repo.commit("v2");
    lake.holds(noise(2, 3000));
}

#[test]
fn a_lake_that_is_named_later_gets_what_no_other_lake_can_prove() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    let origin = env.bare("origin.git");
    repo.git(["remote", "add", "origin", "../origin.git"]);
    repo.git(["lake", "init"]);
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    let lake = env.lake("team");
    repo.git(["lake", "init", &lake.url()]);
    repo.commit("a lake for all");
    repo.git(["push", "-q", "origin", "main"]).says_nothing();
    lake.holds(noise(1, 3000));
    env.clone_of(&origin, "clone").has("a.bin", noise(1, 3000));
}

#[test]
fn a_required_remote_has_to_hold_everything() {
    let env = TestEnv::new();
    let (first, second) = (env.lake("first"), env.lake("second"));
    let repo = env.repo("work");
    env.bare("origin.git");
    repo.git(["remote", "add", "origin", "../origin.git"]);
    repo.set_up(&[&first, &second]);
    repo.require(&second);
    second.unmount();
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    first.holds(noise(1, 3000));
    drop(is_refused(&repo).says("`second`, which is required").says("a.bin"));
    second.mount();
    repo.git(["push", "-q", "origin", "main"]);
    second.holds(noise(1, 3000));
}

#[test]
fn any_one_remote_is_enough_and_the_others_are_a_warning() {
    let env = TestEnv::new();
    let (first, second) = (env.lake("first"), env.lake("second"));
    let repo = env.repo("work");
    env.bare("origin.git");
    repo.set_up(&[&first, &second]);
    second.unmount();
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    repo.git(["push", "-q", "../origin.git", "main"]).says(&second.url());
}

#[test]
fn an_incomplete_push_can_be_allowed() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    forget_everything(&repo);
    lake.remove(noise(1, 3000));
    fs::remove_file(repo.path.join("a.bin")).unwrap();
    repo.git(["config", "lake.allowIncompletePush", "true"]);
    repo.git(["push", "-q", "origin", "main"]).says("a.bin").says("lake.allowIncompletePush");
}

#[test]
fn a_push_can_skip_the_hook() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    forget_everything(&repo);
    lake.remove(noise(1, 3000));
    repo.git(["push", "-q", "--no-verify", "origin", "main"]).says_nothing();
}

#[test]
fn nothing_to_prove_passes() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.git(["push", "-q", "origin", "main"]);
    lake.unmount();
    repo.git(["push", "-q", "origin", "main"]).says_nothing();
    repo.git(["push", "-q", "origin", "main:copy"]).says_nothing();
    repo.git(["push", "-q", "origin", ":copy"]).says_nothing();
    repo.write("text.txt", "no content\n");
    repo.commit("text only");
    repo.git(["push", "-q", "origin", "main"]).says_nothing();
}

#[test]
fn tags_and_several_branches_are_proved() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.on_branch("side", |repo| repo.write("b.bin", noise(2, 3000)));
    repo.git(["tag", "-a", "-m", "one", "v1", "side"]);
    forget_everything(&repo);
    lake.remove(noise(2, 3000));
    repo.git(["push", "-q", "origin", "main"]).says_nothing();
    repo.git_fails(1, ["push", "-q", "origin", "v1"]).says("b.bin");
    repo.git_fails(1, ["push", "-q", "--all", "origin"]).says("b.bin");
}

#[test]
fn a_push_from_a_linked_work_tree_is_proved() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.git(["worktree", "add", "-q", "../linked", "-b", "side"]);
    let linked = env.at("linked");
    linked.write("b.bin", noise(2, 3000));
    linked.commit("v2");
    linked.git(["push", "-q", "origin", "side"]).says_nothing();
    linked.write("b.bin", noise(3, 3000));
    linked.commit("v3");
    forget_everything(&linked);
    lake.remove(noise(3, 3000));
    linked.write("b.bin", noise(4, 3000));
    linked.git_fails(1, ["push", "-q", "origin", "side"]).says("b.bin");
}

#[test]
fn what_a_stash_left_in_the_store_is_uploaded_when_it_is_pushed() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.write("a.bin", noise(2, 3000));
    repo.git(["stash", "-q"]);
    lake.lacks(noise(2, 3000));
    repo.git(["push", "-q", "origin", "stash@{0}:refs/heads/stashed"]).says_nothing();
    lake.holds(noise(2, 3000));
}

#[test]
fn another_lake_at_the_same_address_does_not_inherit_receipts() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    env.bare("origin.git");
    let url = format!("file://{}", env.path("lake").display());
    repo.git(["lake", "init", &url]);
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    fs::rename(env.path("lake"), env.path("old")).unwrap();
    repo.git(["lake", "init", &url]);
    repo.git(["push", "-q", "../origin.git", "main"]);
    Lake { path: env.path("lake") }.holds(noise(1, 3000));
}
