//! What goes to the lakes, and when.

use std::fs;

use crate::common::{Lake, Repo, TestEnv, noise};

const ONE: fn() -> Vec<u8> = || noise(1, 3000);
const TWO: fn() -> Vec<u8> = || noise(2, 3000);

/// A repository with `a.bin` committed and uploaded.
fn repo(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", ONE());
    repo.commit("v1");
    (repo, lake)
}

/// The number of uploads that `git lake status` says are owed.
#[track_caller]
fn owed(repo: &Repo) -> usize {
    let json = repo.git(["lake", "status", "--json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    let objects = document["owed"].as_array().unwrap().iter();
    objects.map(|owed| owed["objects"].as_u64().unwrap() as usize).sum()
}

#[test]
fn add_uploads_before_it_returns() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.write("b.bin", TWO());
    repo.git(["add", "b.bin"]).says_nothing();
    lake.holds(TWO());
    assert_eq!(owed(&repo), 0);
}

#[test]
fn looking_uploads_nothing() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.write("a.bin", TWO());
    repo.write("new.bin", noise(3, 3000));
    let looks = [
        &["status"][..],
        &["diff"],
        &["diff", "--stat", "HEAD"],
        &["add", "-n", "."],
        &["commit", "-a", "--dry-run"],
        &["hash-object", "a.bin"],
        &["ls-files", "-m"],
        &["blame", "a.bin"],
    ];
    for args in looks {
        repo.run("git", args);
        assert_eq!(lake.objects().len(), 1, "git {args:?} uploaded");
    }
    assert_eq!(owed(&repo), 0);
}

#[test]
fn a_stash_uploads_nothing() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.write("a.bin", TWO());
    repo.git(["stash", "-q"]);
    assert_eq!(lake.objects().len(), 1);
    lake.lacks(TWO());
    repo.git(["stash", "pop", "-q"]);
    assert_eq!(lake.objects().len(), 1);
    // What comes out of the stash and is added is uploaded.
    repo.git(["add", "a.bin"]);
    lake.holds(TWO());
}

#[test]
fn what_was_only_looked_at_is_uploaded_once_it_is_added() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.write("a.bin", TWO());
    repo.git(["status"]);
    repo.git(["diff"]);
    lake.lacks(TWO());
    repo.git(["add", "a.bin"]);
    lake.holds(TWO());
}

#[test]
fn commit_all_uploads() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.write("a.bin", TWO());
    repo.git(["commit", "-q", "-a", "-m", "v2"]).says_nothing();
    lake.holds(TWO());
}

#[test]
fn amending_with_all_uploads() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.write("a.bin", TWO());
    repo.git(["commit", "-q", "--amend", "-a", "--no-edit"]).says_nothing();
    lake.holds(TWO());
}

#[test]
fn commit_of_a_path_uploads_that_path_alone() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.write("b.bin", noise(3, 3000));
    repo.commit("more");
    repo.write("a.bin", TWO());
    repo.write("b.bin", noise(4, 3000));
    repo.git(["commit", "-q", "-m", "v2", "a.bin"]).says_nothing();
    lake.holds(TWO());
    lake.lacks(noise(4, 3000));
}

#[test]
fn update_index_uploads() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.write("b.bin", TWO());
    repo.git(["update-index", "--add", "b.bin"]).says_nothing();
    lake.holds(TWO());
}

#[test]
fn a_commit_that_a_hook_refuses_uploads_nothing() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let hook = repo.git_dir().join("hooks/pre-commit");
    fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    repo.write("a.bin", TWO());
    repo.git_fails(1, ["commit", "-q", "-a", "-m", "v2"]);
    lake.lacks(TWO());
    assert_eq!(owed(&repo), 0);
}

#[test]
fn without_a_lake_add_succeeds_and_says_so_in_one_line() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    lake.unmount();
    repo.write("b.bin", TWO());
    let ran = repo.git(["add", "b.bin"]);
    assert_eq!(ran.told().len(), 1, "{ran:?}");
    let ran = ran.says("1 upload is owed").says("git lake push").says(&lake.url());
    drop(ran);
    assert_eq!(owed(&repo), 1);
    repo.git(["lake", "status"]).prints("1 upload is owed");
    repo.git(["commit", "-q", "-m", "v2"]);
    assert_eq!(repo.run("git", ["lake", "push"]).code, Some(1));
    lake.mount();
    lake.lacks(TWO());
    repo.git(["lake", "push"]);
    lake.holds(TWO());
    assert_eq!(owed(&repo), 0);
    repo.git(["lake", "status"]).prints("Nothing is owed.");
}

#[test]
fn many_owed_uploads_are_one_line() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    lake.unmount();
    for at in 0..25 {
        repo.write(format!("{at}.bin"), noise(at + 10, 50));
    }
    let ran = repo.git(["add", "."]);
    assert_eq!(ran.told().len(), 1, "{ran:?}");
    drop(ran.says("25 uploads are owed"));
    lake.mount();
    repo.git(["lake", "push"]);
    assert_eq!(lake.objects().len(), 26);
}

#[test]
fn the_next_add_makes_good_what_is_owed() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    lake.unmount();
    repo.write("b.bin", TWO());
    repo.git(["add", "b.bin"]);
    lake.mount();
    repo.write("c.bin", noise(3, 3000));
    repo.git(["add", "c.bin"]).says_nothing();
    lake.holds(TWO());
    lake.holds(noise(3, 3000));
}

#[test]
fn git_push_makes_good_what_is_owed() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let origin = env.bare("origin.git");
    lake.unmount();
    repo.write("b.bin", TWO());
    repo.commit("v2");
    lake.mount();
    repo.git(["push", "-q", "../origin.git", "main"]);
    lake.holds(TWO());
    assert_eq!(origin.git(["rev-parse", "main"]).stdout, repo.git(["rev-parse", "main"]).stdout);
}

#[test]
fn an_upload_that_is_no_longer_asked_for_lapses() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    lake.unmount();
    repo.write("b.bin", TWO());
    repo.git(["add", "b.bin"]);
    assert_eq!(owed(&repo), 1);
    repo.git(["config", "lake.work-lake.ignore", "true"]);
    assert_eq!(owed(&repo), 0);
}

#[test]
fn uploads_can_be_left_to_push() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    env.bare("origin.git");
    repo.git(["config", "lake.upload", "push"]);
    repo.write("b.bin", TWO());
    repo.commit("v2").says_nothing();
    lake.lacks(TWO());
    assert_eq!(owed(&repo), 1);
    repo.git(["push", "-q", "../origin.git", "main"]);
    lake.holds(TWO());
    repo.write("b.bin", noise(3, 3000));
    repo.commit("v3");
    lake.lacks(noise(3, 3000));
    repo.git(["lake", "push"]);
    lake.holds(noise(3, 3000));
    assert_eq!(owed(&repo), 0);
}

#[test]
fn two_remotes_both_get_everything() {
    let env = TestEnv::new();
    let (first, second) = (env.lake("first"), env.lake("second"));
    let repo = env.repo("work");
    repo.set_up(&[&first, &second]);
    repo.write("a.bin", ONE());
    repo.commit("v1").says_nothing();
    first.holds(ONE());
    second.holds(ONE());
    assert_eq!(repo.blob("HEAD:a.bin").matches("\nsource ").count(), 2);
}

#[test]
fn one_remote_of_two_may_be_gone() {
    let env = TestEnv::new();
    let (first, second) = (env.lake("first"), env.lake("second"));
    let repo = env.repo("work");
    repo.set_up(&[&first, &second]);
    first.unmount();
    repo.write("a.bin", ONE());
    let ran = repo.git(["add", "a.bin"]);
    assert_eq!(ran.told().len(), 1, "{ran:?}");
    second.holds(ONE());
    assert_eq!(owed(&repo), 1);
    first.mount();
    repo.git(["lake", "push"]);
    first.holds(ONE());
}

#[test]
fn remotes_get_only_their_paths() {
    let env = TestEnv::new();
    let (all, train) = (env.lake("all"), env.lake("train"));
    let repo = env.repo("work");
    repo.set_up(&[&all, &train]);
    let settings = repo.text(".gitlake.toml");
    let line = format!("url = \"{}\"", train.url());
    assert!(settings.contains(&line), "{settings}");
    let paths = "paths = [\"train/**\", \"!train/private/**\"]";
    repo.write(".gitlake.toml", settings.replace(&line, &format!("{line}\n{paths}")));
    for (at, name) in ["train/a.bin", "train/private/b.bin", "c.bin"].iter().enumerate() {
        repo.write(name, noise(at as u64 + 1, 100));
    }
    repo.commit("v1").says_nothing();
    assert_eq!(all.objects().len(), 3);
    assert_eq!(train.objects().len(), 1);
    train.holds(noise(1, 100));
}

#[test]
fn a_remote_that_is_a_source_only_gets_nothing() {
    let env = TestEnv::new();
    let (first, second) = (env.lake("first"), env.lake("second"));
    let repo = env.repo("work");
    repo.set_up(&[&first, &second]);
    repo.git(["config", "lake.second.upload", "false"]);
    repo.write("a.bin", ONE());
    repo.commit("v1").says_nothing();
    first.holds(ONE());
    second.lacks(ONE());
    assert!(!repo.blob("HEAD:a.bin").contains(&second.url()));
}

#[test]
fn a_remote_that_appears_later_gets_nothing_until_it_is_trusted() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let later = env.lake("later");
    let mut settings = repo.text(".gitlake.toml");
    settings.push_str(&format!("\n[[remote]]\nname = \"later\"\nurl = \"{}\"\n", later.url()));
    repo.write(".gitlake.toml", settings);
    repo.write("b.bin", TWO());
    let way_out = format!("git lake trust {}", later.url());
    let ran = repo.git(["add", "."]);
    assert_eq!(ran.told().len(), 1, "{ran:?}");
    drop(ran.says(&way_out));
    lake.holds(TWO());
    later.lacks(TWO());
    repo.git(["commit", "-q", "-m", "v2"]);
    repo.git(["lake", "status"]).prints(&way_out);
    drop(repo.run("git", ["lake", "push"]).says(&way_out));
    later.lacks(TWO());
    repo.git(["lake", "trust", &later.url()]);
    repo.git(["lake", "push"]).says_nothing();
    later.holds(TWO());
}

#[test]
fn a_clone_accepts_the_lakes_that_it_finds() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let clone = env.clone_of(&repo, "clone");
    clone.write("b.bin", TWO());
    clone.git(["add", "b.bin"]).says_nothing();
    lake.holds(TWO());
}

#[test]
fn settings_of_a_clone_cannot_fill_a_folder_that_is_no_lake() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let folder = env.path("private");
    fs::create_dir(&folder).unwrap();
    let mut settings = repo.text(".gitlake.toml");
    settings
        .push_str(&format!("\n[[remote]]\nname = \"p\"\nurl = \"file://{}\"\n", folder.display()));
    repo.write(".gitlake.toml", settings);
    repo.commit("a trap");
    let clone = env.clone_of(&repo, "clone");
    clone.write("b.bin", TWO());
    clone.git(["add", "b.bin"]).says("git lake trust");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_lake_found_elsewhere_by_instead_of_is_used() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let moved = env.path("mounted-here");
    fs::rename(&lake.path, &moved).unwrap();
    repo.git(["config", &format!("url.file://{}.insteadOf", moved.display()), &lake.url()]);
    repo.write("b.bin", TWO());
    repo.git(["add", "b.bin"]).says_nothing();
    assert!(repo.blob(":b.bin").contains(&lake.url()));
    Lake { path: moved }.holds(TWO());
}

#[test]
fn an_object_that_is_there_already_is_left_alone() {
    use std::os::unix::fs::MetadataExt as _;
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    fs::write(lake.object(ONE()), ONE()).unwrap();
    let inode = || fs::metadata(lake.object(ONE())).unwrap().ino();
    let before = inode();
    repo.write("a.bin", ONE());
    repo.commit("v1").says_nothing();
    assert_eq!(inode(), before);
}

#[test]
fn another_object_under_the_name_is_not_replaced() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    fs::write(lake.object(ONE()), "something else").unwrap();
    repo.write("a.bin", ONE());
    repo.git(["add", "a.bin"]).says("1 upload is owed");
    assert_eq!(fs::read(lake.object(ONE())).unwrap(), b"something else");
    assert_eq!(owed(&repo), 1);
}

#[test]
fn content_without_any_lake_is_stored_and_has_no_source() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write(".gitlake.toml", "version = 1\n");
    repo.write("a.bin", ONE());
    repo.commit("v1");
    assert!(!repo.blob("HEAD:a.bin").contains("source"));
    assert!(repo.stored(ONE()).exists());
}

#[test]
fn choosing_hunks_uploads() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.write("a.bin", TWO());
    let ran = repo.feed("git", &["add", "-p"], b"y\ny\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(repo.status(), "M  a.bin\n");
    lake.holds(TWO());
}

#[test]
fn a_change_of_mode_alone_uploads_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let before = repo.blob(":a.bin");
    let path = repo.path.join("a.bin");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    repo.git(["add", "."]).says_nothing();
    assert_eq!(repo.blob(":a.bin"), before);
    assert_eq!(lake.objects().len(), 1);
}

#[test]
fn an_upload_that_is_interrupted_is_owed_and_goes_on() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.git(["config", "lake.upload", "push"]);
    for at in 0..300 {
        repo.write(format!("{at}.bin"), noise(at + 10, 20_000));
    }
    repo.git(["add", "."]);
    let mut push = repo.start_program("git-lake", &["push"]);
    crate::common::wait_until("the upload has begun", || {
        let staged = fs::read_dir(lake.path.join(".lake-tmp")).map_or(0, Iterator::count);
        staged > 0 || lake.objects().len() > 1 || push.try_wait().unwrap().is_some()
    });
    repo.run("kill", ["-INT", &push.id().to_string()]);
    let code = push.wait().unwrap().code();
    assert!(code == Some(130) || code == Some(0), "{code:?}");
    repo.git(["lake", "push"]);
    assert_eq!(lake.objects().len(), 301);
    assert_eq!(fs::read_dir(lake.path.join(".lake-tmp")).unwrap().count(), 0);
    assert_eq!(owed(&repo), 0);
}

#[test]
fn many_objects_with_the_same_trouble_are_told_in_one_line() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    for at in 0..10 {
        let content = noise(at + 100, 500);
        fs::write(lake.object(&content), "other bytes").unwrap();
        repo.write(format!("{at}.bin"), content);
    }
    let ran = repo.git(["add", "."]).says("10 uploads are owed (0.bin, 1.bin, 2.bin and 7 more)");
    assert_eq!(ran.told().len(), 1, "{ran:?}");
    assert_eq!(fs::read(lake.object(noise(100, 500))).unwrap(), b"other bytes");
}

#[test]
fn push_takes_branches_and_all() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.on_branch("side", |repo| repo.write("side.bin", noise(1, 100)));
    repo.write("main.bin", noise(2, 100));
    repo.commit("v1");
    for content in [noise(1, 100), noise(2, 100)] {
        lake.remove(content);
    }
    repo.empty_receipts();
    repo.git(["lake", "push"]);
    assert_eq!(lake.objects().len(), 0, "nothing is owed that is not asked for");
    repo.git(["lake", "push", "side"]);
    lake.holds(noise(1, 100));
    lake.lacks(noise(2, 100));
    repo.git(["lake", "push", "--all"]);
    lake.holds(noise(2, 100));
}
