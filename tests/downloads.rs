//! What a checkout fetches, and what it does when that cannot be had.

use std::fs;

use crate::common::{Lake, Repo, TestEnv, commit_pointers, noise};

/// A repository with three files; its lake.
fn repo(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    for at in 1..=3 {
        repo.write(format!("{at}.bin"), noise(at, 3000));
    }
    repo.write("large.bin", noise(4, 5 << 20));
    repo.commit("v1");
    (repo, lake)
}

#[track_caller]
fn has_all(repo: &Repo) {
    for at in 1..=3 {
        repo.has(format!("{at}.bin"), noise(at, 3000));
    }
    repo.has("large.bin", noise(4, 5 << 20));
}

/// Clones with git's own output, which is returned.
fn clone(env: &TestEnv) -> (Repo, crate::common::Ran) {
    env.install();
    let ran = env.at(".").git(["clone", "-q", "work", "clone"]);
    (env.at("clone"), ran)
}

#[test]
fn without_a_lake_the_checkout_is_complete_with_pointers_and_one_summary() {
    let env = TestEnv::new();
    let (_repo, lake) = repo(&env);
    lake.unmount();
    let (clone, ran) = clone(&env);
    assert_eq!(ran.stderr.matches("left as pointers").count(), 1, "{ran:?}");
    assert_eq!(ran.stderr.matches("git lake pull").count(), 1, "{ran:?}");
    drop(ran.says("4 files left as pointers"));
    for name in ["1.bin", "2.bin", "3.bin", "large.bin"] {
        assert!(clone.is_pointer(name), "{name}");
    }
    clone.is_clean_when_touched();
    clone.git(["lake", "status"]).prints("4 files are pointers only").prints("large.bin");
    let ran = clone.run("git", ["lake", "pull"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    drop(ran.says("4 files are still pointers"));
    lake.mount();
    clone.git(["lake", "pull"]).says_nothing().says("4 files filled");
    has_all(&clone);
    clone.is_clean_when_touched();
}

#[test]
fn after_a_pull_git_status_runs_no_filter() {
    let env = TestEnv::new();
    let (_repo, _lake) = repo(&env);
    env.install();
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", "work", "clone"]);
    let clone = env.at("clone");
    // Older than the index, so that git has no reason of its own to look into the files.
    clone.touch_all();
    clone.git(["status"]);
    clone.git(["lake", "pull"]);
    has_all(&clone);
    assert_eq!(clone.count("clean", &["status"]), 0);
    clone.is_clean();
    clone.touch_all();
    assert_eq!(clone.count("clean", &["status"]), 4);
    clone.is_clean();
}

#[test]
fn pull_with_nothing_to_do_says_so() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    lake.unmount();
    repo.git(["lake", "pull"]).says_nothing().says("0 files filled");
    has_all(&repo);
}

#[test]
fn pull_of_a_path_fills_that_path_alone() {
    let env = TestEnv::new();
    let (_repo, _lake) = repo(&env);
    env.install();
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", "work", "clone"]);
    let clone = env.at("clone");
    clone.git(["lake", "pull", "1.bin", "l*"]);
    clone.has("1.bin", noise(1, 3000));
    clone.has("large.bin", noise(4, 5 << 20));
    assert!(clone.is_pointer("2.bin"));
    clone.is_clean_when_touched();
}

#[test]
fn files_that_were_changed_are_never_overwritten_by_a_pull() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    env.install();
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", "work", "clone"]);
    let clone = env.at("clone");
    clone.write("1.bin", "mine");
    fs::remove_file(clone.path.join("2.bin")).unwrap();
    // Another pointer than the index has is a change, too.
    clone.write("3.bin", repo.blob(":1.bin"));
    clone.git(["lake", "pull"]).says_nothing();
    clone.has("1.bin", "mine");
    assert!(!clone.path.join("2.bin").exists());
    clone.has("3.bin", repo.blob(":1.bin"));
    clone.has("large.bin", noise(4, 5 << 20));
    assert_eq!(clone.status(), " M 1.bin\n D 2.bin\n M 3.bin\n");
}

#[test]
fn a_symbolic_link_is_not_followed_by_a_pull() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("folder/a.bin", noise(1, 3000));
    repo.commit("v1");
    env.install();
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", "work", "clone"]);
    let clone = env.at("clone");
    let outside = env.path("outside");
    fs::rename(clone.path.join("folder"), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, clone.path.join("folder")).unwrap();
    clone.run("git", ["lake", "pull"]);
    assert!(fs::read(outside.join("a.bin")).unwrap().starts_with(b"git-lake pointer v1\n"));
}

#[test]
fn one_missing_object_leaves_one_pointer() {
    let env = TestEnv::new();
    let (_repo, lake) = repo(&env);
    lake.remove(noise(2, 3000));
    let (clone, ran) = clone(&env);
    drop(ran.says("1 file left as a pointer (2.bin)"));
    assert!(clone.is_pointer("2.bin"));
    clone.has("1.bin", noise(1, 3000));
    clone.is_clean_when_touched();
}

#[test]
fn switching_branches_without_a_lake_succeeds() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.on_branch("side", |repo| repo.write("1.bin", noise(11, 3000)));
    repo.settle();
    repo.empty_store();
    lake.unmount();
    repo.git(["switch", "-q", "side"]).says("1 file left as a pointer");
    assert!(repo.is_pointer("1.bin"));
    repo.is_clean_when_touched();
    repo.git(["switch", "-q", "main"]);
    assert!(repo.is_pointer("1.bin"));
    lake.mount();
    repo.git(["lake", "pull"]);
    has_all(&repo);
    repo.is_clean_when_touched();
}

/// Two lakes that both hold `a.bin`.
fn two_lakes(env: &TestEnv) -> (Repo, Lake, Lake) {
    let (first, second) = (env.lake("first"), env.lake("second"));
    let repo = env.at("work");
    fs::create_dir(&repo.path).unwrap();
    repo.git(["init", "-q"]);
    repo.set_up(&[&first, &second]);
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    (repo, first, second)
}

#[test]
fn a_damaged_object_in_the_first_lake_comes_from_the_second() {
    let env = TestEnv::new();
    let (_repo, first, _second) = two_lakes(&env);
    first.damage(noise(1, 3000));
    let (clone, _ran) = clone(&env);
    clone.has("a.bin", noise(1, 3000));
    clone.is_clean_when_touched();
}

#[test]
fn without_the_first_lake_content_comes_from_the_second() {
    let env = TestEnv::new();
    let (_repo, first, _second) = two_lakes(&env);
    first.unmount();
    let (clone, ran) = clone(&env);
    drop(ran.says_not("left as"));
    clone.has("a.bin", noise(1, 3000));
}

#[test]
fn content_that_is_damaged_everywhere_is_left_as_a_pointer() {
    let env = TestEnv::new();
    let (_repo, first, second) = two_lakes(&env);
    first.damage(noise(1, 3000));
    second.damage(noise(1, 3000));
    let (clone, ran) = clone(&env);
    drop(ran.says("holds other bytes than the object's"));
    assert!(clone.is_pointer("a.bin"));
    assert!(!clone.stored(noise(1, 3000)).exists());
    clone.is_clean_when_touched();
}

#[test]
fn a_truncated_large_object_is_left_as_a_pointer() {
    let env = TestEnv::new();
    let (_repo, lake) = repo(&env);
    let object = lake.object(noise(4, 5 << 20));
    fs::remove_file(&object).unwrap();
    fs::write(&object, noise(4, 4 << 20)).unwrap();
    let (clone, _ran) = clone(&env);
    assert!(clone.is_pointer("large.bin"));
    clone.has("1.bin", noise(1, 3000));
    clone.is_clean_when_touched();
}

#[test]
fn a_damaged_object_of_the_store_is_set_aside_and_fetched_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    for content in [noise(1, 3000), noise(4, 5 << 20)] {
        let path = repo.stored(&content);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut bytes = content;
        bytes[100] ^= 1;
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    }
    for name in ["1.bin", "large.bin"] {
        fs::remove_file(repo.path.join(name)).unwrap();
    }
    repo.git(["checkout", "-q", "--", "."]).says("damaged");
    has_all(&repo);
    repo.is_clean();
}

#[test]
fn strict_checkouts_fail_without_content() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.empty_store();
    lake.remove(noise(1, 3000));
    repo.git(["config", "lake.strict", "true"]);
    fs::remove_file(repo.path.join("1.bin")).unwrap();
    let ran = repo.run("git", ["checkout", "--", "1.bin"]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(!repo.path.join("1.bin").exists());
    fs::remove_file(repo.path.join("2.bin")).unwrap();
    repo.git(["checkout", "-q", "--", "2.bin"]);
    repo.has("2.bin", noise(2, 3000));
}

#[test]
fn one_command_can_leave_pointers_on_purpose() {
    let env = TestEnv::new();
    let (_repo, _lake) = repo(&env);
    env.install();
    let ran = env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", "work", "clone"]);
    drop(ran.says_nothing());
    let clone = env.at("clone");
    assert!(clone.is_pointer("1.bin") && clone.is_pointer("large.bin"));
    clone.is_clean_when_touched();
    assert!(!clone.stored(noise(1, 3000)).exists());
}

#[test]
fn a_clone_can_keep_pointers_for_good() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let clone = env.clone_with(&repo, "clone", &["-c", "lake.checkout=pointer"]);
    assert!(clone.is_pointer("1.bin") && clone.is_pointer("large.bin"));
    clone.is_clean_when_touched();
}

#[test]
fn paths_can_be_left_out_and_chosen() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let clone = env.clone_with(&repo, "without", &["-c", "lake.fetchExclude=large*,2.bin"]);
    assert!(clone.is_pointer("large.bin") && clone.is_pointer("2.bin"));
    clone.has("1.bin", noise(1, 3000));
    clone.git(["lake", "pull"]).says_nothing();
    assert!(clone.is_pointer("2.bin"));
    clone.git(["lake", "pull", "2.bin"]);
    clone.has("2.bin", noise(2, 3000));
    let clone = env.clone_with(&repo, "with", &["-c", "lake.fetchInclude=1.bin"]);
    clone.has("1.bin", noise(1, 3000));
    assert!(clone.is_pointer("2.bin") && clone.is_pointer("large.bin"));
    clone.is_clean_when_touched();
}

#[test]
fn an_object_is_downloaded_once_for_all_its_paths() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for at in 0..10 {
        repo.write(format!("{at}.bin"), noise(1, 100_000));
    }
    repo.commit("v1");
    env.install();
    let log = env.path("progress");
    let ran = env.at(".").with("GIT_LAKE_PROGRESS", &log).git(["clone", "-q", "work", "clone"]);
    drop(ran.says_nothing());
    let clone = env.at("clone");
    for at in 0..10 {
        clone.has(format!("{at}.bin"), noise(1, 100_000));
    }
    let log = fs::read_to_string(log).unwrap();
    assert_eq!(log.lines().last(), Some("downloading 1/1 100000/100000"), "{log}");
}

#[test]
fn more_objects_than_are_asked_for_at_once_arrive_or_are_told() {
    // Objects wait, and so do files that want the same.
    const FILES: usize = 5_500;
    const OBJECTS: usize = 4_500;
    let env = TestEnv::new();
    let (repo, lake) = (env.repo("work"), env.lake("lake"));
    let content = |at: usize| format!("content {}", at % OBJECTS);
    for at in 0..OBJECTS {
        fs::write(lake.object(content(at)), content(at)).unwrap();
    }
    commit_pointers(&repo, &lake.url(), (0..FILES).map(content));
    // One is not there, which is known before git comes to the second file that wants it.
    lake.remove(content(0));
    let (clone, ran) = clone(&env);
    drop(ran.says("2 files left as pointers (000/0.bin, 004/4500.bin)"));
    for at in (0..FILES).filter(|at| at % OBJECTS > 0) {
        clone.has(format!("{:03}/{at}.bin", at / 1000), content(at));
    }
    clone.is_clean();
}

#[test]
fn an_old_commit_finds_a_lake_that_has_moved() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.git(["tag", "old"]);
    let new = env.path("new-lake");
    fs::rename(&lake.path, &new).unwrap();
    let settings =
        repo.text(".gitlake.toml").replace(&lake.url(), &format!("file://{}", new.display()));
    repo.write(".gitlake.toml", settings);
    repo.commit("the lake has moved");
    let (clone, ran) = clone(&env);
    drop(ran.says_not("left as"));
    has_all(&clone);
    clone.empty_store();
    clone.git(["checkout", "-q", "old"]).says_not("left as");
    has_all(&clone);
    clone.is_clean_when_touched();
}

#[test]
fn a_lake_that_only_this_clone_knows_is_read() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let new = env.path("new-lake");
    fs::rename(&lake.path, &new).unwrap();
    let option = format!("lake.mirror.url=file://{}", new.display());
    let clone = env.clone_with(&repo, "clone", &["-c", &option]);
    has_all(&clone);
}

#[test]
fn a_source_that_is_no_object_name_is_not_read() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let secret = env.path("secret.bin");
    fs::write(&secret, noise(9, 100)).unwrap();
    let oid = git_lake::oid::Oid::of(&noise(9, 100)).to_hex();
    let text = format!(
        "git-lake pointer v1\noid sha256:{oid}\nsize 100\nsource file://{}\n",
        secret.display()
    );
    let blob = repo.feed("git", &["hash-object", "-w", "--stdin"], text.as_bytes()).stdout;
    repo.git(["update-index", "--add", "--cacheinfo", &format!("100644,{},s.bin", blob.trim())]);
    repo.git(["commit", "-q", "-m", "a trap"]);
    repo.git(["checkout", "-q", "--", "."]);
    repo.has("s.bin", &text);
}

#[test]
fn hooks_report_what_is_left() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.on_branch("side", |repo| repo.write("1.bin", noise(11, 3000)));
    repo.settle();
    repo.empty_store();
    lake.unmount();
    // The hook of the first switch runs before the pointer is left, so the second one tells of it.
    repo.git(["switch", "-q", "side"]);
    repo.write("more.txt", "");
    repo.commit("more");
    repo.git(["switch", "-q", "--detach", "HEAD~1"]).says("1 file is a pointer only");
}

#[test]
fn what_is_no_regular_file_in_a_lake_is_not_read() {
    let env = TestEnv::new();
    let (_repo, lake) = repo(&env);
    let outside = env.path("outside");
    fs::rename(lake.object(noise(1, 3000)), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, lake.object(noise(1, 3000))).unwrap();
    lake.remove(noise(2, 3000));
    let fifo = lake.object(noise(2, 3000));
    env.at(".").run("mkfifo", [&fifo]);
    assert!(fifo.exists());
    lake.remove(noise(3, 3000));
    fs::create_dir(lake.object(noise(3, 3000))).unwrap();
    let (clone, ran) = clone(&env);
    drop(ran.says("3 files left as pointers"));
    for name in ["1.bin", "2.bin", "3.bin"] {
        assert!(clone.is_pointer(name), "{name}");
    }
    clone.has("large.bin", noise(4, 5 << 20));
}

#[test]
fn a_preferred_lake_is_asked_first() {
    let env = TestEnv::new();
    let (repo, first, second) = two_lakes(&env);
    // Damage in the lake that is not asked goes unnoticed.
    first.damage(noise(1, 3000));
    let clone = env.clone_with(&repo, "clone", &["-c", "lake.second.prefer=true"]);
    clone.has("a.bin", noise(1, 3000));
    second.damage(noise(1, 3000));
    let clone = env.clone_with(&repo, "other", &["-c", "lake.second.prefer=true"]);
    assert!(clone.is_pointer("a.bin"));
}

#[test]
fn a_pull_fetches_again_what_is_damaged_in_the_store() {
    use std::os::unix::fs::PermissionsExt as _;
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let path = repo.stored(noise(4, 5 << 20));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, noise(5, 5 << 20)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    fs::remove_file(repo.path.join("large.bin")).unwrap();
    repo.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["checkout", "-q", "--", "."]);
    repo.git(["lake", "pull"]).says("damaged").says("1 file filled");
    has_all(&repo);
    repo.is_clean_when_touched();
}

#[test]
fn a_damaged_source_is_named_once_and_the_next_one_helps() {
    let env = TestEnv::new();
    let (bad, good) = (env.lake("bad"), env.lake("good"));
    let repo = env.repo("work");
    repo.set_up(&[&bad, &good]);
    for at in 1..=3 {
        repo.write(format!("{at}.bin"), noise(at, 3000));
    }
    repo.write("large.bin", noise(4, 5 << 20));
    repo.commit("v1");
    bad.damage(noise(1, 3000));
    bad.damage(noise(2, 3000));
    let (clone, ran) = clone(&env);
    has_all(&clone);
    assert_eq!(ran.told().len(), 1, "{ran:?}");
    drop(ran.says(&format!("2 objects have other bytes in `{}`", bad.url())));
    clone.is_clean_when_touched();
    clone.empty_store();
    bad.damage(noise(4, 5 << 20));
    fs::remove_file(clone.path.join("large.bin")).unwrap();
    let ran = clone.git(["checkout", "-q", "--", "large.bin"]);
    drop(ran.says(&format!("1 object has other bytes in `{}`", bad.url())));
    has_all(&clone);
}
