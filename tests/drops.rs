//! Content leaves the work tree when lakes are sure to hold it, and comes back.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::common::{Lake, Ran, Repo, TestEnv, modified, noise, wait_for_next_second};

/// A repository with `a.bin` and `sub/b.bin` committed, in a lake.
fn repo(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.write("sub/b.bin", noise(2, 4000));
    repo.commit("v1");
    wait_for_next_second(&repo.path.join("sub/b.bin"));
    (repo, lake)
}

fn drop_fails(repo: &Repo, args: &[&str]) -> Ran {
    repo.git_fails(1, ["lake", "drop"].iter().chain(args))
}

#[test]
fn content_becomes_pointers_and_git_finds_nothing_changed() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let file = repo.path.join("sub/b.bin");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    repo.commit("executable");
    let before = modified(&file);
    repo.git(["lake", "drop", "sub"]).says("1 file is a pointer now (3.9 KiB).");
    assert!(repo.is_pointer("sub/b.bin") && !repo.is_pointer("a.bin"));
    assert_eq!(repo.text("sub/b.bin"), repo.blob(":sub/b.bin"));
    assert_eq!(modified(&file), before);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o111, 0o111);
    repo.is_clean_for_free();
    repo.is_clean_when_touched();
    repo.git(["lake", "drop", "."]).says("1 file is a pointer now (2.9 KiB).");
    repo.git(["lake", "drop", "."]).says("0 files are pointers now (0 bytes).");
    repo.git(["lake", "pull"]).says("2 files filled");
    repo.has("a.bin", noise(1, 3000));
    repo.has("sub/b.bin", noise(2, 4000));
    repo.is_clean_when_touched();
}

#[test]
fn after_a_drop_and_a_prune_nothing_is_left_here_and_all_comes_back() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    env.bare("origin.git");
    repo.git(["remote", "add", "origin", "../origin.git"]);
    repo.git(["push", "-q", "origin", "main"]);
    repo.git(["lake", "drop", "."]);
    repo.git(["lake", "prune", "--current"]).says("2 objects removed");
    assert!(!repo.stored(noise(1, 3000)).exists());
    repo.is_clean_for_free();
    repo.git(["lake", "pull"]);
    repo.has("a.bin", noise(1, 3000));
}

#[test]
fn what_the_user_changed_keeps_its_content() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    repo.write("a.bin", noise(3, 3000));
    drop_fails(&repo, &["."])
        .says("1 file keeps its content (a.bin): Its content differs from what the index has")
        .says("1 file is a pointer now (3.9 KiB).");
    repo.has("a.bin", noise(3, 3000));
    assert_eq!(repo.status(), " M a.bin\n");
}

#[test]
fn what_lakes_do_not_hold_for_sure_keeps_its_content() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    lake.remove(noise(1, 3000));
    repo.empty_receipts();
    lake.damage(noise(2, 4000));
    drop_fails(&repo, &["."])
        .says(
            "2 files keep their content (a.bin, sub/b.bin): Not enough lakes are known to hold it",
        )
        .says("holds other bytes than the object's")
        .says("0 files are pointers now");
    lake.unmount();
    drop_fails(&repo, &["."]).says("Could not reach the lake");
    repo.has("a.bin", noise(1, 3000));
    repo.has("sub/b.bin", noise(2, 4000));
}

#[test]
fn the_store_is_no_lake() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    repo.git(["lake", "init"]);
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    drop_fails(&repo, &["."]).says("Not enough lakes are known to hold it");
    repo.has("a.bin", noise(1, 3000));
}

#[test]
fn a_dry_run_lists_and_changes_nothing() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let ran = repo.git(["lake", "drop", "-n", "."]);
    assert_eq!(ran.stdout, "a.bin\t3000\nsub/b.bin\t4000\n");
    drop(ran.says("2 files would become pointers (6.8 KiB)."));
    repo.has("a.bin", noise(1, 3000));
}

#[test]
fn somebody_has_to_say_what_is_dropped() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    repo.git_fails(2, ["lake", "drop"]).says("Say which paths, keys or samples");
    repo.git_fails(1, ["lake", "drop", "none.bin"]).says("none.bin");
    env.bare("bare.git").git_fails(1, ["lake", "drop", "."]).says("work tree");
}

#[test]
fn a_folder_that_became_a_link_leads_nowhere() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    fs::rename(repo.path.join("sub"), env.path("outside")).unwrap();
    symlink(env.path("outside"), repo.path.join("sub")).unwrap();
    repo.git(["lake", "drop", "."]).says("1 file is a pointer now (2.9 KiB).");
    assert_eq!(fs::read(env.path("outside/b.bin")).unwrap(), noise(2, 4000));
}

#[test]
fn a_file_that_is_saved_at_the_last_moment_stays() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    for point in ["fill-begins", "fill-marked", "fill-copied"] {
        let (stopping, stop) = repo.stop_at(point);
        let mut dropping = stopping.start_program("git-lake", &["drop", "a.bin"]);
        let stopped = stop.reached();
        repo.write("a.bin", noise(7, 3000));
        drop(stopped);
        assert_eq!(dropping.wait().unwrap().code(), Some(1), "{point}");
        repo.has("a.bin", noise(7, 3000));
        assert_eq!(repo.status(), " M a.bin\n");
        repo.git(["restore", "a.bin"]);
        wait_for_next_second(&repo.path.join("a.bin"));
    }
}

#[test]
fn a_drop_that_is_killed_at_any_point_leaves_a_true_status_and_is_done_by_the_next_one() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    for point in ["fill-begins", "fill-marked", "fill-copied", "fill-placed"] {
        let (stopping, stop) = repo.stop_at(point);
        let mut dropping = stopping.start_program("git-lake", &["drop", "a.bin"]);
        let stopped = stop.reached();
        dropping.kill().unwrap();
        dropping.wait().unwrap();
        drop(stopped);
        repo.is_clean();
        assert_eq!(repo.is_pointer("a.bin"), point == "fill-placed", "{point}");
        repo.git(["lake", "drop", "a.bin"]);
        assert!(repo.is_pointer("a.bin"));
        repo.is_clean_for_free();
        repo.git(["lake", "pull"]);
        repo.has("a.bin", noise(1, 3000));
        assert_eq!(fs::read_dir(repo.state().join("fill")).unwrap().count(), 0, "{point}");
        wait_for_next_second(&repo.path.join("a.bin"));
    }
}

/// Another git wrote down how long the content was, after that was taken out of the index; then the
/// process died before it could write how long the pointer is.
#[test]
fn what_another_status_made_of_the_index_is_healed_from_the_log() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let (stopping, stop) = repo.stop_at("fill-copied");
    let mut dropping = stopping.start_program("git-lake", &["drop", "a.bin"]);
    let stopped = stop.reached();
    repo.is_clean();
    let lock = repo.git_dir().join("index.lock");
    fs::write(&lock, "").unwrap();
    drop(stopped);
    crate::common::wait_until("the pointer is there", || repo.is_pointer("a.bin"));
    dropping.kill().unwrap();
    dropping.wait().unwrap();
    fs::remove_file(&lock).unwrap();
    assert_eq!(repo.status(), " M a.bin\n", "git does not look into it");
    repo.git(["lake", "drop", "sub"]);
    repo.is_clean_for_free();
    assert!(repo.is_pointer("a.bin") && repo.is_pointer("sub/b.bin"));
}
