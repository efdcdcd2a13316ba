//! What goes in with plain git comes out with plain git.

use std::os::unix::fs::PermissionsExt as _;

use crate::common::{TestEnv, noise, same_trees};

#[test]
fn add_commit_push_clone() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let origin = env.bare("origin.git");
    repo.write("a.bin", noise(1, 30_000));
    repo.write("deep/er/b.bin", noise(2, 10));
    repo.write("text.txt", "plain\n");
    repo.commit("v1");
    lake.holds(noise(1, 30_000));
    lake.holds(noise(2, 10));
    assert_eq!(lake.objects().len(), 2);
    repo.git(["remote", "add", "origin", "../origin.git"]);
    repo.git(["push", "-q", "origin", "main"]).says_nothing();
    let clone = env.clone_of(&origin, "clone");
    same_trees(&repo, &clone);
    clone.is_clean_when_touched();
}

#[test]
fn git_holds_a_pointer_with_oid_size_and_source() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", "hello lake\n");
    repo.commit("v1");
    let oid = git_lake::oid::Oid::of(b"hello lake\n").to_hex();
    let wanted = format!(
        "git-lake pointer v1\noid sha256:{oid}\nsize 11\nsource {}/{oid}.bin\n",
        lake.url()
    );
    assert_eq!(repo.blob("HEAD:a.bin"), wanted);
}

#[test]
fn the_first_add_of_an_unborn_branch_works() {
    let env = TestEnv::new();
    let lake = env.lake("lake");
    let repo = env.repo("work");
    repo.git(["lake", "init", &lake.url()]);
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", "first");
    repo.git(["add", "."]).says_nothing();
    lake.holds("first");
    repo.git(["commit", "-q", "-m", "one"]);
    repo.is_clean_when_touched();
}

#[test]
fn no_file_of_the_lake_shares_an_inode_with_the_store() {
    use std::os::unix::fs::MetadataExt as _;
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(3, 5000));
    repo.commit("v1");
    let inode = |path: std::path::PathBuf| std::fs::metadata(path).unwrap().ino();
    assert_ne!(inode(lake.object(noise(3, 5000))), inode(repo.stored(noise(3, 5000))));
}

#[test]
fn objects_of_a_lake_are_readable_by_colleagues() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(3, 50));
    let script = "umask 022 && git add a.bin";
    let ran = repo.run("sh", ["-c", script]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mode = std::fs::metadata(lake.object(noise(3, 50))).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[test]
fn executable_bits_survive() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("run.bin", noise(1, 100));
    repo.write("large.bin", noise(2, 5 << 20));
    repo.write("not.bin", noise(3, 100));
    for name in ["run.bin", "large.bin"] {
        let path = repo.path.join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    repo.commit("v1");
    let clone = env.clone_of(&repo, "clone");
    same_trees(&repo, &clone);
    // Filling has to keep them too.
    let skipped = env.at("later").with("GIT_LAKE_SKIP_SMUDGE", "1");
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", "clone", "later"]);
    assert!(skipped.is_pointer("run.bin"));
    env.at("later").git(["lake", "pull"]);
    same_trees(&repo, &env.at("later"));
    env.at("later").is_clean_when_touched();
}

#[test]
fn a_linked_work_tree_gets_content_and_shares_the_store() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 1000));
    repo.commit("v1");
    repo.git(["worktree", "add", "-q", "../linked", "-b", "side"]);
    let linked = env.at("linked");
    linked.has("a.bin", noise(1, 1000));
    linked.write("b.bin", noise(2, 1000));
    linked.commit("in the linked work tree");
    assert!(repo.stored(noise(2, 1000)).exists());
    assert_eq!(linked.state(), repo.state());
    linked.is_clean_when_touched();
    repo.is_clean_when_touched();
}

#[test]
fn a_submodule_brings_its_content() {
    let env = TestEnv::new();
    let (module, _lake) = env.tracked("module");
    module.write("a.bin", noise(1, 1000));
    module.commit("v1");
    env.install();
    let parent = env.repo("parent");
    parent.git(["submodule", "--quiet", "add", "../module", "sub"]);
    parent.below("sub").has("a.bin", noise(1, 1000));
    parent.git(["commit", "-q", "-m", "add it"]);
    let sub = parent.below("sub");
    sub.write("b.bin", noise(2, 1000));
    sub.git(["add", "b.bin"]).says_nothing();
    sub.is_clean_staged("b.bin");
    sub.git(["reset", "-q", "--hard"]);
    let clone = env.clone_with(&parent, "clone", &["--recurse-submodules"]);
    clone.below("sub").has("a.bin", noise(1, 1000));
    clone.below("sub").is_clean_when_touched();
    clone.is_clean();
}

#[test]
fn a_partial_clone_gets_content() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for at in 0..5 {
        repo.write(format!("{at}.bin"), noise(at, 1000));
        repo.commit("one more");
    }
    repo.write("0.bin", noise(100, 1000));
    repo.commit("another");
    repo.git(["config", "uploadpack.allowFilter", "true"]);
    repo.git(["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let clone = env.clone_with(&repo, "clone", &["--filter=blob:none"]);
    same_trees(&repo, &clone);
    clone.is_clean_when_touched();
    clone.git(["checkout", "-q", "HEAD~1"]);
    clone.has("0.bin", noise(0, 1000));
    clone.write("new.bin", "new");
    clone.git(["add", "."]).says_nothing();
}

#[test]
fn a_shallow_clone_gets_content() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 1000));
    repo.commit("v1");
    repo.write("a.bin", noise(2, 1000));
    repo.commit("v2");
    let clone = env.clone_with(&repo, "clone", &["--depth=1"]);
    clone.has("a.bin", noise(2, 1000));
    clone.is_clean_when_touched();
}

#[test]
fn sparse_checkout_fetches_only_what_it_shows() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("in/a.bin", noise(1, 1000));
    repo.write("out/b.bin", noise(2, 1000));
    repo.commit("v1");
    lake.remove(noise(2, 1000));
    let clone = env.clone_with(&repo, "clone", &["--no-checkout"]);
    clone.git(["sparse-checkout", "set", "in"]);
    clone.git(["checkout", "-q", "main"]).says_nothing();
    clone.has("in/a.bin", noise(1, 1000));
    assert!(!clone.path.join("out/b.bin").exists());
    std::fs::write(lake.object(noise(2, 1000)), noise(2, 1000)).unwrap();
    clone.git(["sparse-checkout", "add", "out"]).says_nothing();
    clone.has("out/b.bin", noise(2, 1000));
    clone.is_clean_when_touched();
}

#[test]
fn a_separate_git_dir_works() {
    let env = TestEnv::new();
    let elsewhere = env.path("elsewhere.git");
    let option = format!("--separate-git-dir={}", elsewhere.display());
    let (repo, lake) = env.tracked_with("work", &[&option]);
    repo.write("a.bin", noise(1, 1000));
    repo.commit("v1");
    lake.holds(noise(1, 1000));
    assert!(elsewhere.join("lake/v1/objects").is_dir());
    assert!(elsewhere.join("hooks/pre-push").is_file());
    repo.is_clean_when_touched();
    std::fs::remove_file(repo.path.join("a.bin")).unwrap();
    repo.git(["restore", "a.bin"]);
    repo.has("a.bin", noise(1, 1000));
}

#[test]
fn a_sha256_repository_works() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked_with("work", &["--object-format=sha256"]);
    repo.write("a.bin", noise(1, 1000));
    repo.commit("v1").says_nothing();
    lake.holds(noise(1, 1000));
    repo.is_clean_when_touched();
    let origin = env.at("origin.git");
    env.at(".").git(["init", "-q", "--bare", "--object-format=sha256", "origin.git"]);
    repo.git(["push", "-q", "../origin.git", "main"]).says_nothing();
    let clone = env.clone_of(&origin, "clone");
    same_trees(&repo, &clone);
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", "clone", "later"]);
    env.at("later").git(["lake", "pull"]);
    same_trees(&repo, &env.at("later"));
    env.at("later").is_clean_when_touched();
}

#[test]
fn autocrlf_leaves_content_and_pointers_alone() {
    let env = TestEnv::new();
    let lake = env.lake("lake");
    let repo = env.repo("work");
    repo.git(["config", "core.autocrlf", "true"]);
    repo.set_up(&[&lake]);
    repo.write("a.bin", "one\ntwo\r\nthree\n");
    repo.commit("v1");
    assert!(!repo.blob("HEAD:a.bin").contains('\r'));
    repo.is_clean_when_touched();
    let clone = env.clone_with(&repo, "clone", &["-c", "core.autocrlf=true"]);
    clone.has("a.bin", "one\ntwo\r\nthree\n");
    clone.is_clean_when_touched();
}

#[test]
fn an_attribute_line_without_minus_text_survives_autocrlf() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write(".gitattributes", "*.bin filter=lake merge=lake\n");
    repo.write("a.bin", "one\ntwo\r\n");
    repo.commit("v1");
    let options = ["-c", "core.autocrlf=true", "-c", "core.eol=crlf"];
    let clone = env.clone_with(&repo, "clone", &options);
    clone.has("a.bin", "one\ntwo\r\n");
    clone.is_clean_when_touched();
}

#[test]
fn an_index_of_the_users_own_is_honoured() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let other = repo.with("GIT_INDEX_FILE", repo.git_dir().join("other-index"));
    other.git(["read-tree", "HEAD"]);
    other.write("a.bin", noise(1, 1000));
    other.git(["add", "a.bin"]).says_nothing();
    lake.holds(noise(1, 1000));
    assert_eq!(repo.status(), "?? a.bin\n");
    let relative = repo.with("GIT_INDEX_FILE", ".git/third-index");
    relative.write("b.bin", noise(2, 1000));
    relative.git(["add", "b.bin"]).says_nothing();
    lake.holds(noise(2, 1000));
}

#[test]
fn a_split_index_works() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 1000));
    repo.commit("v1");
    repo.git(["update-index", "--split-index"]);
    repo.write("b.bin", noise(2, 1000));
    repo.git(["add", "b.bin"]).says_nothing();
    lake.holds(noise(2, 1000));
    repo.git(["commit", "-q", "-m", "v2"]);
    repo.is_clean_when_touched();
}

#[test]
fn an_index_of_version_4_works() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.git(["config", "index.version", "4"]);
    for at in 0..20 {
        repo.write(format!("long/common/prefix/{at}.bin"), noise(at, 100));
    }
    repo.git(["update-index", "--index-version", "4"]);
    repo.commit("v1");
    assert_eq!(lake.objects().len(), 20);
    let skipped = env.clone_with(&repo, "clone", &["--no-checkout", "-c", "index.version=4"]);
    skipped.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["checkout", "-q", "main"]);
    skipped.git(["lake", "pull"]);
    same_trees(&repo, &skipped);
    skipped.is_clean_when_touched();
}

#[test]
fn a_lake_of_another_hash_names_objects_by_it() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    let url = format!("file://{}", env.path("b2").display());
    repo.git(["lake", "init", "--hash", "blake2b", &url]);
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", noise(1, 1000));
    repo.commit("v1");
    let names = crate::common::Lake { path: env.path("b2") }.objects();
    assert_eq!(names.len(), 1);
    assert_eq!(names[0].len(), 128 + ".bin".len(), "{names:?}");
    let clone = env.clone_of(&repo, "clone");
    same_trees(&repo, &clone);
    clone.is_clean_when_touched();
}

impl crate::common::Repo {
    /// A file is staged and nothing else differs.
    #[track_caller]
    fn is_clean_staged(&self, path: &str) {
        assert_eq!(self.status(), format!("A  {path}\n"));
    }
}
