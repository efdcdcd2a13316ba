//! `git lake remote-add`: one more lake for what is tracked already.

use std::fs;

use crate::common::{Lake, Repo, TestEnv, noise};

/// Two files in a lake, committed and of an earlier second than the index.
fn repo(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.write("train/b.bin", noise(2, 3000));
    repo.commit("v1");
    repo.settle();
    (repo, lake)
}

/// A dataset of four samples with a shared item, in `set`.
fn dataset(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    for id in 0..4 {
        repo.write(format!("set/data/{id:03}_image.bin"), noise(id, 500));
        repo.write(format!("set/data/{id:03}_mask.bin"), noise(100 + id, 500));
    }
    repo.write("set/camera.bin", noise(50, 500));
    repo.write("other.bin", noise(60, 500));
    repo.commit("v1");
    repo.settle();
    (repo, lake)
}

/// The sources in the pointer at a path of the index, in order, as names of folders.
fn sources(repo: &Repo, path: &str) -> Vec<String> {
    let pointer = repo.blob(&format!(":{path}"));
    let urls = pointer.lines().filter_map(|line| line.strip_prefix("source "));
    let lake = |url: &str| url.rsplit('/').nth(1).unwrap().to_owned();
    urls.map(lake).collect()
}

fn staged(repo: &Repo) -> Vec<String> {
    let listed = repo.git(["diff", "--cached", "--name-only"]).stdout;
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn every_item_gets_the_lake_and_nothing_but_staged_pointers_shows() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let mirror = env.lake("mirror");
    repo.git(["lake", "remote-add", "../mirror"])
        .says("Remote `mirror` is")
        .says("2 objects sent to")
        .says("2 pointers changed and staged.");
    mirror.holds(noise(1, 3000));
    mirror.holds(noise(2, 3000));
    assert_eq!(sources(&repo, "a.bin"), ["work-lake", "mirror"]);
    assert_eq!(staged(&repo), [".gitlake.toml", "a.bin", "train/b.bin"]);
    assert_eq!(repo.count("clean", &["status"]), 0);
    assert_eq!(repo.status(), "M  .gitlake.toml\nM  a.bin\nM  train/b.bin\n");
    repo.has("a.bin", noise(1, 3000));
    repo.commit("mirror");
    repo.is_clean_when_touched();
    assert!(repo.git(["fsck", "--strict"]).stderr.is_empty());
}

#[test]
fn running_it_again_does_nothing_new() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let mirror = env.lake("mirror");
    repo.git(["lake", "remote-add", "../mirror"]);
    repo.commit("mirror");
    let before = (repo.text(".gitlake.toml"), mirror.objects());
    repo.git(["lake", "remote-add", &mirror.url()])
        .says("0 objects sent")
        .says("2 there already")
        .says("0 pointers changed");
    assert_eq!((repo.text(".gitlake.toml"), mirror.objects()), before);
    repo.is_clean();
}

#[test]
fn new_content_goes_to_both_lakes_from_then_on() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let mirror = env.lake("mirror");
    repo.git(["lake", "remote-add", "../mirror"]);
    repo.write("new.bin", noise(9, 3000));
    repo.commit("new");
    lake.holds(noise(9, 3000));
    mirror.holds(noise(9, 3000));
}

#[test]
fn comments_of_the_settings_stay_and_a_new_folder_needs_its_parent() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let text = format!("# ours\n{}", repo.text(".gitlake.toml"));
    repo.write(".gitlake.toml", &text);
    repo.commit("comment");
    repo.git_fails(1, ["lake", "remote-add", "../no/deep"]).says("add `--create`");
    assert_eq!(repo.text(".gitlake.toml"), text);
    repo.is_clean();
    repo.git(["lake", "remote-add", "../no/deep", "--create", "--name", "second"]);
    assert!(repo.text(".gitlake.toml").starts_with(&text));
    assert!(repo.text(".gitlake.toml").contains("name = \"second\""));
}

#[test]
fn pointers_in_the_work_tree_become_the_new_ones() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let clone = env.clone_of(&repo, "clone");
    let pointers = clone.with("GIT_LAKE_SKIP_SMUDGE", "1");
    fs::remove_file(clone.path.join("a.bin")).unwrap();
    pointers.git(["checkout", "-q", "--", "a.bin"]);
    assert!(clone.is_pointer("a.bin"));
    clone.settle();
    env.lake("mirror");
    clone.git(["lake", "remote-add", "../mirror"]);
    assert_eq!(clone.text("a.bin"), clone.blob(":a.bin"));
    assert_eq!(clone.count("clean", &["status"]), 0);
    assert_eq!(clone.status(), "M  .gitlake.toml\nM  a.bin\nM  train/b.bin\n");
    clone.commit("mirror");
    clone.git(["lake", "pull"]);
    clone.has("a.bin", noise(1, 3000));
    clone.is_clean_when_touched();
}

#[test]
fn a_changed_file_stays_changed_and_its_committed_content_is_sent() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let mirror = env.lake("mirror");
    repo.write("a.bin", noise(7, 3000));
    repo.git(["lake", "remote-add", "../mirror"]);
    mirror.holds(noise(1, 3000));
    mirror.lacks(noise(7, 3000));
    assert!(repo.status().contains("MM a.bin"), "{}", repo.status());
    repo.has("a.bin", noise(7, 3000));
}

#[test]
fn what_the_store_lacks_comes_from_the_work_tree_or_from_another_lake() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let mirror = env.lake("mirror");
    repo.empty_store();
    // One is in the work tree alone, the other in the first lake alone.
    lake.remove(noise(1, 3000));
    fs::remove_file(repo.path.join("train/b.bin")).unwrap();
    repo.git(["lake", "remote-add", "../mirror"]).says("2 objects sent");
    mirror.holds(noise(1, 3000));
    mirror.holds(noise(2, 3000));
    // Streamed from lake to lake: nothing stays here.
    assert!(!repo.stored(noise(2, 3000)).exists());
}

#[test]
fn damaged_bytes_are_not_passed_on() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let mirror = env.lake("mirror");
    repo.empty_store();
    repo.write("a.bin", noise(99, 3000));
    lake.damage(noise(1, 3000));
    repo.git_fails(1, ["lake", "remote-add", "../mirror"])
        .says("1 item was left as it was (a.bin)")
        .says("1 pointer changed");
    mirror.lacks(noise(1, 3000));
    mirror.holds(noise(2, 3000));
    assert_eq!(mirror.objects().len(), 1);
    assert_eq!(sources(&repo, "a.bin"), ["work-lake"]);
    assert_eq!(sources(&repo, "train/b.bin"), ["work-lake", "mirror"]);
}

#[test]
fn an_item_that_cannot_be_had_is_left_as_it_was_and_the_next_run_goes_on() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    env.lake("mirror");
    repo.empty_store();
    repo.empty_receipts();
    fs::remove_file(repo.path.join("a.bin")).unwrap();
    lake.unmount();
    repo.git_fails(1, ["lake", "remote-add", "../mirror"])
        .says("1 item was left as it was (a.bin)")
        .says("1 pointer changed");
    lake.mount();
    repo.git(["lake", "remote-add", "../mirror"]).says("1 object sent").says("1 there already");
    assert_eq!(sources(&repo, "a.bin"), ["work-lake", "mirror"]);
}

#[test]
fn paths_limit_what_is_sent_now_and_later() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let mirror = env.lake("mirror");
    repo.git(["lake", "remote-add", "../mirror", "--", "train"])
        .says("New content goes there from `/train` only.");
    assert_eq!(sources(&repo, "a.bin"), ["work-lake"]);
    assert_eq!(sources(&repo, "train/b.bin"), ["work-lake", "mirror"]);
    repo.write("c.bin", noise(3, 3000));
    repo.write("train/c.bin", noise(4, 3000));
    repo.commit("more");
    mirror.lacks(noise(3, 3000));
    mirror.holds(noise(4, 3000));
    repo.git_fails(1, ["lake", "remote-add", "../mirror", "--", "no-such"]).says("no-such");
}

#[test]
fn keys_and_slices_select_as_pipelime_does() {
    let env = TestEnv::new();
    let (repo, _lake) = dataset(&env);
    env.lake("mirror");
    repo.git([
        "lake",
        "remote-add",
        "../mirror",
        "-k",
        "image,camera",
        "--start",
        "1",
        "--stop=-1",
    ])
    .says("since keys and slices were given")
    .says("3 pointers changed and staged.");
    assert!(repo.text(".gitlake.toml").contains("upload = false"));
    let with_mirror: Vec<String> =
        staged(&repo).into_iter().filter(|path| path != ".gitlake.toml").collect();
    assert_eq!(with_mirror, ["set/camera.bin", "set/data/001_image.bin", "set/data/002_image.bin"]);
}

#[test]
fn what_keys_and_slices_do_not_find_is_an_error_before_anything_is_touched() {
    let env = TestEnv::new();
    let (set, _lake) = dataset(&env);
    env.lake("mirror");
    set.git_fails(1, ["lake", "remote-add", "../mirror", "-k", "imag"])
        .says("No item has the key `imag`; there are `camera`, `image`, `mask`");
    set.git_fails(1, ["lake", "remote-add", "../mirror", "--step", "2", "--", "other.bin"])
        .says("There is no dataset among these files");
    set.git_fails(2, ["lake", "remote-add", "../mirror", "--step", "0"]).says("other than 0");
    set.is_clean();
}

#[test]
fn without_upload_the_lake_is_named_only_where_it_has_the_object() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let public = env.lake("public");
    let (other, _) = env.tracked("other");
    other.git(["lake", "remote-add", "../public"]);
    other.write("x.bin", noise(1, 3000));
    other.commit("x");
    public.holds(noise(1, 3000));
    repo.git_fails(1, ["lake", "remote-add", "../public", "--no-upload"])
        .says("1 item was left as it was (train/b.bin): it is not in");
    assert_eq!(sources(&repo, "a.bin"), ["work-lake", "public"]);
    assert_eq!(sources(&repo, "train/b.bin"), ["work-lake"]);
    assert!(repo.text(".gitlake.toml").contains("upload = false"));
    public.lacks(noise(2, 3000));
}

#[test]
fn settings_only_finds_a_moved_lake_without_changing_a_pointer() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let moved = env.path("moved");
    fs::rename(&lake.path, &moved).unwrap();
    repo.git(["lake", "remote-add", "../moved", "--settings-only"]);
    assert_eq!(staged(&repo), [".gitlake.toml"]);
    repo.commit("moved");
    let clone = env.clone_of(&repo, "clone");
    clone.has("a.bin", noise(1, 3000));
}

#[test]
fn a_dry_run_touches_nothing() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let mirror = env.lake("mirror");
    repo.git(["lake", "remote-add", "../mirror", "--dry-run"])
        .says("2 objects would be sent")
        .says("2 pointers and `.gitlake.toml` would be changed.");
    repo.git(["lake", "remote-add", "../nowhere", "--dry-run"]).says("is not a lake yet");
    assert!(mirror.objects().is_empty() && !env.path("nowhere").exists());
    repo.is_clean();
    let accepted = fs::read_to_string(repo.state().join("accepted")).unwrap();
    assert!(!accepted.contains("mirror"), "{accepted}");
}

#[test]
fn conflicts_and_announced_files_are_named_and_the_rest_is_done() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    repo.on_branch("side", |repo| repo.write("a.bin", noise(11, 3000)));
    repo.write("a.bin", noise(12, 3000));
    repo.commit("ours");
    repo.git_fails(1, ["merge", "-q", "side"]);
    repo.write("announced.bin", noise(13, 3000));
    repo.git(["add", "-N", "announced.bin"]);
    env.lake("mirror");
    repo.git_fails(1, ["lake", "remote-add", "../mirror"])
        .says("(a.bin): a merge left a conflict there")
        .says("(announced.bin): it was only announced")
        .says("1 pointer changed and staged.");
    assert_eq!(sources(&repo, "train/b.bin"), ["work-lake", "mirror"]);
    let unmerged = repo.git(["ls-files", "-u"]).stdout;
    assert_eq!(unmerged.lines().count(), 3, "{unmerged}");
}

#[test]
fn a_file_outside_a_sparse_checkout_gets_its_source_and_stays_away() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let mirror = env.lake("mirror");
    repo.write("kept/k.bin", noise(3, 100));
    repo.commit("kept");
    repo.git(["sparse-checkout", "set", "--no-sparse-index", "kept"]);
    repo.git(["lake", "remote-add", "../mirror"]).says("3 pointers changed");
    assert_eq!(sources(&repo, "train/b.bin"), ["work-lake", "mirror"]);
    mirror.holds(noise(2, 3000));
    assert!(!repo.path.join("train/b.bin").exists());
    assert!(!repo.status().contains(" D"), "{}", repo.status());
    repo.git(["commit", "-q", "-m", "mirror"]);
    repo.git(["sparse-checkout", "reapply", "--sparse-index"]);
    repo.git_fails(1, ["lake", "remote-remove", "mirror"]).says("--no-sparse-index");
}

#[test]
fn a_locked_index_refuses_and_the_next_run_sends_nothing_again() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    env.lake("mirror");
    let lock = repo.git_dir().join("index.lock");
    repo.git(["lake", "remote-add", "../mirror", "--settings-only"]);
    fs::write(&lock, "").unwrap();
    repo.git_fails(1, ["lake", "remote-add", "../mirror"]).says("index.lock");
    assert_eq!(sources(&repo, "a.bin"), ["work-lake"]);
    fs::remove_file(&lock).unwrap();
    repo.git(["lake", "remote-add", "../mirror"]).says("0 objects sent").says("2 pointers changed");
}

#[test]
fn a_lake_with_names_of_another_hash_gets_them() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    repo.empty_store();
    repo.git(["lake", "remote-add", "../blake", "--hash", "blake2b"]).says("2 objects sent");
    assert!(repo.text(".gitlake.toml").contains("hash = \"blake2b\""));
    let names = Lake { path: env.path("blake") }.objects();
    assert_eq!(names.len(), 2);
    assert!(names.iter().all(|name| name.len() == 128 + ".bin".len()), "{names:?}");
    repo.commit("blake");
    fs::remove_dir_all(env.path("work-lake")).unwrap();
    let clone = env.clone_of(&repo, "clone");
    clone.has("a.bin", noise(1, 3000));
}

#[test]
fn a_kill_at_any_point_of_rewriting_leaves_a_true_status_and_the_next_run_finishes() {
    for point in ["rewrite-begins", "rewrite-written", "rewrite-staged"] {
        let env = TestEnv::new();
        let (repo, _lake) = repo(&env);
        let pointers = repo.with("GIT_LAKE_SKIP_SMUDGE", "1");
        fs::remove_file(repo.path.join("a.bin")).unwrap();
        pointers.git(["checkout", "-q", "--", "a.bin"]);
        repo.settle();
        env.lake("mirror");
        let (stopping, stop) = repo.stop_at(point);
        let mut run = stopping.start_program("git-lake", &["remote-add", "../mirror"]);
        let stopped = stop.reached();
        run.kill().unwrap();
        run.wait().unwrap();
        drop(stopped);
        assert!(!repo.git_dir().join("index.lock").exists(), "{point}");
        // Nothing but the new pointer, staged or not, and the settings.
        let told = repo.status();
        let known = |line: &str| line.contains(".gitlake.toml") || line.ends_with(".bin");
        assert!(told.lines().all(known), "{point}: {told}");
        repo.has("train/b.bin", noise(2, 3000));
        repo.git(["lake", "remote-add", "../mirror"]).says("0 objects sent");
        assert_eq!(sources(&repo, "a.bin"), ["work-lake", "mirror"], "{point}");
        assert_eq!(sources(&repo, "train/b.bin"), ["work-lake", "mirror"], "{point}");
        assert_eq!(repo.text("a.bin"), repo.blob(":a.bin"), "{point}");
        assert_eq!(repo.status(), "M  .gitlake.toml\nM  a.bin\nM  train/b.bin\n", "{point}");
        repo.commit("mirror");
        repo.git(["lake", "pull"]);
        repo.has("a.bin", noise(1, 3000));
        repo.is_clean_when_touched();
    }
}
