//! Repositories of every kind: how git keeps its own files must not matter.

use std::fs;

use crate::common::{Lake, Repo, TestEnv, noise, same_trees};

/// Pointers without content, in a clone of a repository with five files.
fn pointers(env: &TestEnv, options: &[&str]) -> (Repo, Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    for at in 1..=5 {
        repo.write(format!("in/{at}.bin"), noise(at, 3000));
    }
    repo.write("text.txt", "one\n");
    repo.commit("v1");
    env.install();
    let args = ["clone", "-q"].iter().chain(options).copied();
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(args.chain(["work", "clone"]));
    (repo, env.at("clone"), lake)
}

/// What every repository has to stand.
#[track_caller]
fn works(repo: &Repo, clone: &Repo, lake: &Lake) {
    clone.git(["lake", "pull"]).says_nothing().says("5 files filled");
    same_trees(repo, clone);
    clone.is_clean_when_touched();
    clone.git(["fsck"]);
    clone.write("new.bin", noise(9, 3000));
    clone.git(["add", "new.bin"]).says_nothing();
    lake.holds(noise(9, 3000));
    clone.git(["commit", "-q", "-m", "v2"]);
    clone.git(["switch", "-q", "--detach", "HEAD~1"]);
    assert!(!clone.path.join("new.bin").exists());
    clone.git(["switch", "-q", "-"]);
    clone.has("new.bin", noise(9, 3000));
    clone.is_clean_when_touched();
    clone.git(["lake", "status"]).says_nothing().prints("Nothing is owed.");
}

#[test]
fn packed_objects_and_refs() {
    let env = TestEnv::new();
    let (repo, clone, lake) = pointers(&env, &[]);
    clone.git(["gc", "-q", "--prune=now"]);
    works(&repo, &clone, &lake);
}

#[test]
fn an_index_without_a_checksum() {
    let env = TestEnv::new();
    let (repo, clone, lake) = pointers(&env, &["-c", "index.skipHash=true"]);
    works(&repo, &clone, &lake);
}

#[test]
fn many_files_features() {
    let env = TestEnv::new();
    let (repo, clone, lake) = pointers(&env, &["-c", "feature.manyFiles=true"]);
    clone.git(["status"]);
    works(&repo, &clone, &lake);
}

#[test]
fn objects_borrowed_from_another_repository() {
    let env = TestEnv::new();
    let (repo, clone, lake) = pointers(&env, &["--shared"]);
    works(&repo, &clone, &lake);
}

#[test]
fn a_minimal_check_of_stat_data() {
    let env = TestEnv::new();
    let options = ["-c", "core.checkStat=minimal", "-c", "core.trustctime=false"];
    let (repo, clone, lake) = pointers(&env, &options);
    works(&repo, &clone, &lake);
}

#[test]
fn a_sparse_index() {
    let env = TestEnv::new();
    let (repo, clone, lake) = pointers(&env, &["--sparse"]);
    repo.write("out/deep/x.bin", noise(20, 100));
    repo.commit("v2");
    let skipping = clone.with("GIT_LAKE_SKIP_SMUDGE", "1");
    skipping.git(["pull", "-q"]);
    skipping.git(["sparse-checkout", "set", "--sparse-index", "in"]);
    assert!(!clone.path.join("out").exists());
    clone.git(["lake", "pull"]).says_nothing().says("5 files filled");
    for at in 1..=5 {
        clone.has(format!("in/{at}.bin"), noise(at, 3000));
    }
    clone.is_clean_when_touched();
    clone.write("in/new.bin", noise(9, 3000));
    clone.git(["add", "in/new.bin"]).says_nothing();
    lake.holds(noise(9, 3000));
    clone.git(["lake", "status"]).says_nothing();
    clone.git(["sparse-checkout", "disable"]);
    clone.has("out/deep/x.bin", noise(20, 100));
}

#[test]
fn refs_in_tables() {
    let env = TestEnv::new();
    let lake = env.lake("work-lake");
    let repo = env.at("work");
    fs::create_dir(&repo.path).unwrap();
    repo.git(["init", "-q", "--ref-format=reftable"]);
    repo.set_up(&[&lake]);
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1").says_nothing();
    lake.holds(noise(1, 3000));
    repo.is_clean_when_touched();
    env.bare("origin.git");
    repo.git(["push", "-q", "../origin.git", "main"]).says_nothing();
}

#[test]
fn a_git_dir_and_work_tree_named_on_the_command_line() {
    let env = TestEnv::new();
    let (repo, clone, lake) = pointers(&env, &[]);
    let git_dir = env.path("elsewhere.git");
    fs::rename(clone.path.join(".git"), &git_dir).unwrap();
    let named = clone.with("GIT_DIR", &git_dir).with("GIT_WORK_TREE", &clone.path);
    works(&repo, &named, &lake);
}

#[test]
fn a_linked_work_tree() {
    let env = TestEnv::new();
    let (repo, clone, lake) = pointers(&env, &[]);
    let skipping = clone.with("GIT_LAKE_SKIP_SMUDGE", "1");
    skipping.git(["worktree", "add", "-q", "-b", "side", "../linked"]);
    works(&repo, &env.at("linked"), &lake);
    assert!(clone.is_pointer("in/1.bin"));
}

#[test]
fn a_submodule() {
    let env = TestEnv::new();
    let (repo, _clone, lake) = pointers(&env, &[]);
    let parent = env.repo("parent");
    let skipping = parent.with("GIT_LAKE_SKIP_SMUDGE", "1");
    skipping.git(["submodule", "--quiet", "add", "../work", "sub"]);
    works(&repo, &parent.below("sub"), &lake);
}

#[test]
fn a_split_index_fills_nothing_and_says_so() {
    let env = TestEnv::new();
    let (_repo, clone, _lake) = pointers(&env, &[]);
    clone.git(["update-index", "--split-index"]);
    let ran = clone.run("git", ["lake", "pull"]);
    if ran.code == Some(0) {
        clone.has("in/1.bin", noise(1, 3000));
    } else {
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(clone.is_pointer("in/1.bin"));
        clone.is_clean();
        clone.git(["update-index", "--no-split-index"]);
        clone.git(["lake", "pull"]);
    }
    clone.is_clean_when_touched();
}

#[test]
fn a_locked_index_fills_nothing_and_says_so() {
    let env = TestEnv::new();
    let (_repo, clone, _lake) = pointers(&env, &[]);
    let lock = clone.git_dir().join("index.lock");
    fs::write(&lock, "").unwrap();
    clone.git_fails(1, ["lake", "pull"]).says("index");
    assert!(clone.is_pointer("in/1.bin"));
    fs::remove_file(&lock).unwrap();
    clone.git(["lake", "pull"]);
    clone.is_clean_when_touched();
}

#[test]
fn a_symbolic_link_with_a_tracked_name_is_left_to_git() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    std::os::unix::fs::symlink("nowhere", repo.path.join("link.bin")).unwrap();
    repo.commit("v1");
    assert_eq!(repo.blob("HEAD:link.bin"), "nowhere");
    assert_eq!(lake.objects().len(), 0);
    repo.git(["lake", "status"]).prints("0 files tracked");
}

#[test]
fn an_add_from_a_hook_uploads() {
    use std::os::unix::fs::PermissionsExt as _;
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let hook = repo.git_dir().join("hooks/pre-commit");
    fs::write(&hook, "#!/bin/sh\ngit add made.bin\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    repo.write("made.bin", noise(1, 100));
    repo.git(["commit", "-q", "--allow-empty", "-m", "v1"]).says_nothing();
    lake.holds(noise(1, 100));
    assert!(repo.blob("HEAD:made.bin").starts_with("git-lake pointer"));
    repo.write("made.bin", noise(2, 100));
    repo.git(["commit", "-q", "--allow-empty", "-a", "-m", "v2"]).says_nothing();
    lake.holds(noise(2, 100));
}

#[test]
fn an_edit_of_the_same_size_and_second_is_seen() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for at in 0..5 {
        repo.write("a.bin", noise(at + 1, 300));
        repo.git(["add", "a.bin"]);
        repo.write("a.bin", noise(at + 50, 300));
        assert_eq!(&repo.status()[1..], "M a.bin\n");
    }
}

#[test]
fn a_pull_does_not_hide_an_edit_of_the_same_second() {
    let env = TestEnv::new();
    let (_repo, clone, _lake) = pointers(&env, &[]);
    for at in 0..5 {
        // git has written the file and its index within one second; so does the user.
        fs::remove_file(clone.path.join("text.txt")).unwrap();
        fs::remove_file(clone.path.join("in/1.bin")).unwrap();
        clone.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["checkout", "-q", "--", "."]);
        clone.write("text.txt", format!("{at}ne\n"));
        clone.git(["lake", "pull"]);
        assert_eq!(clone.status(), " M text.txt\n");
    }
}

#[test]
fn a_git_that_is_too_old_is_named_before_anything_is_set_up() {
    use std::os::unix::fs::PermissionsExt as _;

    let env = TestEnv::new();
    let (repo, lake) = (env.repo("work"), env.lake("lake"));
    let folder = env.path("old");
    std::fs::create_dir(&folder).unwrap();
    let real = repo.run("sh", ["-c", "command -v git"]).stdout;
    let script = format!(
        "#!/bin/sh\n[ \"$1\" != --version ] || {{ echo git version 2.30.2; exit; }}\nexec {} \"$@\"\n",
        real.trim_end()
    );
    std::fs::write(folder.join("git"), script).unwrap();
    std::fs::set_permissions(folder.join("git"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = repo.run("sh", ["-c", "printf %s \"$PATH\""]).stdout;
    let repo = repo.with("PATH", format!("{}:{path}", folder.display()));
    let too_old = "git version 2.30.2 is too old: git-lake needs 2.39 or newer";
    for args in [["init", &lake.url()].as_slice(), &["install"]] {
        let ran = repo.run("git-lake", args);
        assert_eq!((ran.code, ran.told()), (Some(1), vec![&*format!("git-lake: {too_old}")]));
    }
    assert!(!repo.path.join(".gitlake.toml").exists());
    let ran = repo.run("git-lake", ["doctor"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains(too_old), "{ran:#?}");
}
