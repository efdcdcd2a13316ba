//! Everything of git that moves files about.

use std::fs;

use crate::common::{Repo, TestEnv, noise};

/// A repository with two versions of `a.bin` (small) and `large.bin` (not through git's pipe), the
/// second one on the branch `other`.
fn two_versions(env: &TestEnv) -> Repo {
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.write("large.bin", noise(2, 5 << 20));
    repo.write("same.bin", noise(3, 3000));
    repo.commit("v1");
    repo.on_branch("other", |repo| {
        repo.write("a.bin", noise(11, 4000));
        repo.write("large.bin", noise(12, 5 << 20));
        repo.write("new.bin", noise(13, 10));
    });
    repo
}

#[track_caller]
fn has_first(repo: &Repo) {
    repo.has("a.bin", noise(1, 3000));
    repo.has("large.bin", noise(2, 5 << 20));
    repo.has("same.bin", noise(3, 3000));
    assert!(!repo.path.join("new.bin").exists());
}

#[track_caller]
fn has_second(repo: &Repo) {
    repo.has("a.bin", noise(11, 4000));
    repo.has("large.bin", noise(12, 5 << 20));
    repo.has("same.bin", noise(3, 3000));
    repo.has("new.bin", noise(13, 10));
}

#[test]
fn switching_branches_brings_the_content_of_each() {
    let env = TestEnv::new();
    let repo = two_versions(&env);
    has_first(&repo);
    for _ in 0..2 {
        repo.git(["switch", "-q", "other"]).says_nothing();
        has_second(&repo);
        repo.is_clean_when_touched();
        repo.git(["switch", "-q", "main"]).says_nothing();
        has_first(&repo);
        repo.is_clean_when_touched();
    }
    repo.empty_store();
    repo.git(["switch", "-q", "--detach", "other"]).says_nothing();
    has_second(&repo);
    repo.is_clean_when_touched();
}

#[test]
fn restore_and_checkout_of_a_path() {
    let env = TestEnv::new();
    let repo = two_versions(&env);
    fs::remove_file(repo.path.join("a.bin")).unwrap();
    repo.git(["restore", "--", "a.bin"]);
    repo.has("a.bin", noise(1, 3000));
    repo.write("a.bin", "changed");
    repo.git(["checkout", "-q", "--", "a.bin"]);
    repo.has("a.bin", noise(1, 3000));
    repo.is_clean();
    repo.git(["restore", "--source=other", "--staged", "--worktree", "--", "a.bin", "large.bin"]);
    repo.has("a.bin", noise(11, 4000));
    repo.has("large.bin", noise(12, 5 << 20));
    assert_eq!(repo.status(), "M  a.bin\nM  large.bin\n");
    repo.touch_all();
    assert_eq!(repo.status(), "M  a.bin\nM  large.bin\n");
    repo.git(["checkout", "-q", "main", "--", "."]);
    has_first(&repo);
    repo.is_clean_when_touched();
}

#[test]
fn commands_from_a_folder_below_the_top() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("sub/a.bin", noise(1, 100));
    let sub = repo.below("sub");
    sub.git(["add", "a.bin"]).says_nothing();
    lake.holds(noise(1, 100));
    sub.git(["commit", "-q", "-m", "v1"]);
    fs::remove_file(sub.path.join("a.bin")).unwrap();
    sub.git(["restore", "a.bin"]);
    sub.has("a.bin", noise(1, 100));
    sub.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["checkout", "-q", "-f", "HEAD", "--", "a.bin"]);
    fs::remove_file(sub.path.join("a.bin")).unwrap();
    sub.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["restore", "a.bin"]);
    assert!(sub.is_pointer("a.bin"));
    sub.git(["lake", "pull", "a.bin"]);
    sub.has("a.bin", noise(1, 100));
    repo.is_clean_when_touched();
}

#[test]
fn a_hard_reset_brings_content_back() {
    let env = TestEnv::new();
    let repo = two_versions(&env);
    repo.write("a.bin", "changed");
    fs::remove_file(repo.path.join("large.bin")).unwrap();
    repo.git(["reset", "-q", "--hard"]);
    has_first(&repo);
    repo.git(["reset", "-q", "--hard", "other"]);
    has_second(&repo);
    repo.is_clean_when_touched();
}

#[test]
fn mixed_and_soft_resets_leave_the_content() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 100));
    repo.commit("v1");
    repo.write("a.bin", noise(2, 100));
    repo.commit("v2");
    repo.git(["reset", "-q", "--mixed", "HEAD~1"]);
    repo.has("a.bin", noise(2, 100));
    assert_eq!(repo.status(), " M a.bin\n");
    repo.git(["add", "a.bin"]);
    repo.git(["commit", "-q", "-m", "again"]);
    repo.git(["reset", "-q", "--soft", "HEAD~1"]);
    assert_eq!(repo.status(), "M  a.bin\n");
    repo.touch_all();
    assert_eq!(repo.status(), "M  a.bin\n");
}

#[test]
fn stash_and_pop() {
    let env = TestEnv::new();
    let repo = two_versions(&env);
    repo.write("a.bin", noise(21, 3000));
    repo.write("large.bin", noise(22, 5 << 20));
    repo.git(["stash", "-q"]);
    has_first(&repo);
    repo.is_clean_when_touched();
    repo.git(["stash", "pop", "-q"]);
    repo.has("a.bin", noise(21, 3000));
    repo.has("large.bin", noise(22, 5 << 20));
    assert_eq!(repo.status(), " M a.bin\n M large.bin\n");
    repo.git(["stash", "-q", "--include-untracked"]);
    repo.git(["switch", "-q", "other"]);
    repo.git(["switch", "-q", "main"]);
    repo.git(["stash", "apply", "-q", "--index"]);
    repo.has("large.bin", noise(22, 5 << 20));
}

#[test]
fn a_stash_with_untracked_files_brings_them_back() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("new.bin", noise(1, 3000));
    repo.git(["stash", "-q", "--include-untracked"]);
    assert!(!repo.path.join("new.bin").exists());
    repo.git(["stash", "pop", "-q"]);
    repo.has("new.bin", noise(1, 3000));
    assert_eq!(repo.status(), "?? new.bin\n");
}

#[test]
fn stash_of_a_path_and_of_what_is_staged() {
    let env = TestEnv::new();
    let repo = two_versions(&env);
    repo.write("a.bin", noise(21, 3000));
    repo.write("same.bin", noise(23, 3000));
    repo.git(["stash", "push", "-q", "--", "a.bin"]);
    repo.has("a.bin", noise(1, 3000));
    repo.has("same.bin", noise(23, 3000));
    repo.git(["stash", "pop", "-q"]);
    repo.has("a.bin", noise(21, 3000));
    repo.git(["add", "a.bin"]);
    repo.git(["stash", "-q", "--keep-index"]);
    repo.has("a.bin", noise(21, 3000));
    repo.has("same.bin", noise(3, 3000));
}

#[test]
fn archive_has_content() {
    let env = TestEnv::new();
    let repo = two_versions(&env);
    repo.empty_store();
    repo.git(["archive", "-o", "../out.tar", "other"]).says_nothing();
    let out = env.at("out");
    fs::create_dir(&out.path).unwrap();
    assert_eq!(out.run("tar", ["xf", "../out.tar"]).code, Some(0));
    has_second(&out);
}

#[test]
fn archive_with_a_missing_object_writes_the_pointer_and_succeeds() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 300));
    repo.write("b.bin", noise(2, 300));
    repo.commit("v1");
    repo.empty_store();
    lake.remove(noise(1, 300));
    repo.git(["archive", "-o", "../out.tar", "HEAD"]).says("a.bin");
    let out = env.at("out");
    fs::create_dir(&out.path).unwrap();
    out.run("tar", ["xf", "../out.tar"]);
    assert!(out.is_pointer("a.bin"));
    out.has("b.bin", noise(2, 300));
    repo.git(["config", "lake.strict", "true"]);
    repo.git_fails(128, ["archive", "-o", "../out.tar", "HEAD"]);
}

#[test]
fn checkout_index_and_cat_file_give_content() {
    let env = TestEnv::new();
    let repo = two_versions(&env);
    repo.git(["checkout-index", "--prefix=out/", "-a"]);
    has_first(&repo.below("out"));
    repo.empty_store();
    let ran = repo.git(["cat-file", "--filters", "other:a.bin"]);
    assert_eq!(ran.bytes, noise(11, 4000));
}

#[test]
fn log_show_and_diff_of_commits_read_pointers_and_fetch_nothing() {
    let env = TestEnv::new();
    let repo = two_versions(&env);
    for args in [&["log", "-p", "--all"][..], &["show", "other"], &["diff", "main", "other"]] {
        assert_eq!(repo.count("smudge", args) + repo.count("clean", args), 0, "{args:?}");
    }
    repo.git(["diff", "main", "other"]).prints("+oid sha256:");
}

#[test]
fn diff_of_the_work_tree_shows_pointers() {
    let env = TestEnv::new();
    let repo = two_versions(&env);
    repo.write("a.bin", noise(21, 3000));
    repo.git(["diff"]).prints("-oid sha256:").prints("+oid sha256:");
    repo.git(["add", "a.bin"]);
    repo.git(["diff", "--cached"]).prints("+oid sha256:");
}

#[test]
fn patches_of_pointers_apply() {
    let env = TestEnv::new();
    let repo = two_versions(&env);
    let patch = repo.git(["format-patch", "--binary", "--stdout", "main..other"]).bytes;
    let ran = repo.feed("git", &["am", "-q"], &patch);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    has_second(&repo);
    repo.is_clean_when_touched();
}

#[test]
fn rename_and_removal() {
    let env = TestEnv::new();
    let repo = two_versions(&env);
    repo.git(["mv", "a.bin", "b.bin"]);
    repo.git(["rm", "-q", "same.bin"]);
    repo.commit("moved");
    assert_eq!(repo.blob("HEAD:b.bin"), repo.blob("HEAD~1:a.bin"));
    repo.has("b.bin", noise(1, 3000));
    repo.is_clean_when_touched();
}

#[test]
fn a_file_in_a_read_only_folder_is_added() {
    use std::os::unix::fs::PermissionsExt as _;
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("locked/a.bin", noise(1, 300));
    let folder = repo.path.join("locked");
    let file = folder.join("a.bin");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    repo.commit("v1").says_nothing();
    lake.holds(noise(1, 300));
    repo.is_clean_when_touched();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_pointer_in_a_read_only_folder_is_left_with_a_reason() {
    use std::os::unix::fs::PermissionsExt as _;
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("locked/a.bin", noise(1, 300));
    repo.commit("v1");
    fs::remove_file(repo.path.join("locked/a.bin")).unwrap();
    repo.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["checkout", "-q", "--", "."]);
    let folder = repo.path.join("locked");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let is_enforced = fs::write(folder.join("probe"), "").is_err();
    let ran = repo.run("git", ["lake", "pull"]);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    if is_enforced {
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.says("locked/a.bin").code.is_some());
        assert!(repo.is_pointer("locked/a.bin"));
        repo.is_clean();
        repo.git(["lake", "pull"]);
    }
    repo.has("locked/a.bin", noise(1, 300));
    drop(fs::remove_file(folder.join("probe")));
    repo.is_clean();
}

#[test]
fn bisect_walks_through_content() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for at in 0..6 {
        repo.write("a.bin", noise(at + 1, 200));
        repo.write("number", format!("{at}\n"));
        repo.commit("one more");
    }
    repo.git(["bisect", "start", "HEAD", "HEAD~5"]);
    let at: u64 = repo.text("number").trim().parse().unwrap();
    repo.has("a.bin", noise(at + 1, 200));
    repo.git(["bisect", "run", "sh", "-c", "test $(cat number) -lt 4"]).prints_first_bad_commit();
    repo.git(["bisect", "reset"]);
    repo.has("a.bin", noise(6, 200));
    repo.is_clean_when_touched();
}

#[test]
fn a_bare_repository_archives_content() {
    let env = TestEnv::new();
    let repo = two_versions(&env);
    let bare = env.clone_with(&repo, "bare.git", &["--bare"]);
    bare.git(["archive", "-o", "../out.tar", "other"]).says_nothing();
    let out = env.at("out");
    fs::create_dir(&out.path).unwrap();
    out.run("tar", ["xf", "../out.tar"]);
    has_second(&out);
}

#[test]
fn content_that_git_holds_on_a_tracked_path_is_told_after_a_checkout() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("good.bin", noise(1, 3000));
    repo.write("empty.bin", "");
    repo.commit("v1");
    repo.git(["switch", "-q", "-c", "raw"]);
    let blob = repo.feed("git", &["hash-object", "-w", "--stdin"], &noise(2, 20_000)).stdout;
    let entry = format!("100644,{},raw.bin", blob.trim());
    repo.git(["update-index", "--add", "--cacheinfo", &entry]);
    repo.git(["commit", "-q", "-m", "without git-lake"]);
    repo.git(["switch", "-q", "-f", "main"]);
    let ran = repo.git(["checkout", "-q", "raw"]).says("1 file is content in git").says("raw.bin");
    drop(ran.says("git add --renormalize ."));
    repo.git(["checkout", "-q", "-f", "main"]).says_nothing();
}
