//! Damaged, newer and foreign pointers: never stored as content, never the end of a command that only
//! looks.

use crate::common::{Repo, TestEnv, noise};

const CONFLICT: &str =
    "git-lake pointer v1\n<<<<<<< HEAD\noid sha256:0\n=======\noid sha256:1\n>>>>>>> x\nsize 5\n";
const NEWER: &str = "git-lake pointer v2\nwhatever comes then\n";

/// A repository whose `bad.bin` is this text in git, as somebody else may have committed it.
fn repo_with(env: &TestEnv, text: &str) -> Repo {
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    let blob = repo.feed("git", &["hash-object", "-w", "--stdin"], text.as_bytes()).stdout;
    let entry = format!("100644,{},bad.bin", blob.trim());
    repo.git(["update-index", "--add", "--cacheinfo", &entry]);
    repo.git(["commit", "-q", "-m", "bad"]);
    repo.git(["checkout", "-q", "--", "bad.bin"]).says("`bad.bin` is left as it is");
    repo
}

/// All that only looks or moves goes on, with the file touched.
#[track_caller]
fn goes_on(repo: &Repo, text: &str) {
    let calm = |args: &[&str]| {
        repo.touch_all();
        let ran = repo.run("git", args);
        assert_eq!(ran.code, Some(0), "git {args:?}: {ran:?}");
    };
    repo.has("bad.bin", text);
    calm(&["status"]);
    repo.is_clean_when_touched();
    calm(&["diff", "--exit-code"]);
    calm(&["branch", "side", "HEAD~1"]);
    calm(&["switch", "-q", "side"]);
    calm(&["switch", "-q", "main"]);
    repo.has("bad.bin", text);
    repo.write("a.bin", noise(2, 3000));
    calm(&["stash", "-q"]);
    calm(&["stash", "pop", "-q"]);
    calm(&["add", "-A"]);
    calm(&["add", "--renormalize", "."]);
    calm(&["commit", "-q", "-m", "more"]);
    assert_eq!(repo.blob("HEAD:bad.bin"), text);
    calm(&["reset", "-q", "--hard", "HEAD~1"]);
    calm(&["rm", "-q", "bad.bin"]);
    calm(&["reset", "-q", "--hard"]);
    repo.has("bad.bin", text);
    calm(&["archive", "-o", "../out.tar", "HEAD"]);
    calm(&["rebase", "-q", "--force-rebase", "HEAD~1"]);
    calm(&["worktree", "add", "-q", "../linked"]);
}

#[test]
fn a_pointer_with_conflict_markers_stops_nothing() {
    let env = TestEnv::new();
    goes_on(&repo_with(&env, CONFLICT), CONFLICT);
}

#[test]
fn a_pointer_with_a_bad_line_stops_nothing() {
    let env = TestEnv::new();
    let text = "git-lake pointer v1\noid sha256:short\nsize 5\n";
    goes_on(&repo_with(&env, text), text);
}

#[test]
fn a_pointer_without_its_last_newline_stops_nothing() {
    let env = TestEnv::new();
    let text = format!("git-lake pointer v1\noid sha256:{}\nsize 5", "0".repeat(64));
    goes_on(&repo_with(&env, &text), &text);
}

#[test]
fn a_pointer_that_is_too_long_stops_nothing() {
    let env = TestEnv::new();
    let lines = "x-note long\n".repeat(1000);
    let text = format!("git-lake pointer v1\noid sha256:{}\nsize 5\n{lines}", "0".repeat(64));
    goes_on(&repo_with(&env, &text), &text);
}

#[test]
fn a_pointer_whose_name_is_of_another_object_stops_nothing() {
    let env = TestEnv::new();
    let text = format!(
        "git-lake pointer v1\noid sha256:{}\nsize 5\nsource file://{}/{}.bin\n",
        "0".repeat(64),
        env.path("work-lake").display(),
        "1".repeat(64)
    );
    goes_on(&repo_with(&env, &text), &text);
}

#[test]
fn a_newer_pointer_stops_nothing() {
    let env = TestEnv::new();
    goes_on(&repo_with(&env, NEWER), NEWER);
}

#[test]
fn add_refuses_a_damaged_pointer_with_path_and_line() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("good.bin", noise(1, 100));
    repo.commit("v1");
    let before = repo.git(["ls-files", "-s"]).stdout;
    for (text, line) in [
        (CONFLICT, "Line 2 of the pointer is a conflict marker of a merge"),
        ("git-lake pointer v1\noid sha256:x\nsize 5\n", "Line 2 of the pointer"),
        ("git-lake pointer v1\n", "Line 2 of the pointer"),
    ] {
        repo.write("bad.bin", text);
        repo.write("new.bin", noise(2, 100));
        let ran = repo.git_fails(128, ["add", "."]).says("Could not add `bad.bin`").says(line);
        assert_eq!(ran.told().len(), 1, "{ran:?}");
        assert_eq!(repo.git(["ls-files", "-s"]).stdout, before, "the index has changed");
        repo.has("bad.bin", text);
    }
    // Nothing that the index does not have went to the lake.
    lake.lacks(noise(2, 100));
    std::fs::remove_file(repo.path.join("bad.bin")).unwrap();
    repo.git(["add", "."]).says_nothing();
    lake.holds(noise(2, 100));
}

#[test]
fn a_commit_of_a_damaged_pointer_is_refused() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 100));
    repo.commit("v1");
    repo.write("a.bin", CONFLICT);
    repo.git(["status"]);
    repo.git(["diff"]);
    repo.git_fails(128, ["commit", "-q", "-a", "-m", "bad"]).says("Could not add `a.bin`");
    repo.git(["checkout", "-q", "--", "a.bin"]);
    repo.is_clean_when_touched();
}

#[test]
fn add_takes_a_newer_pointer_as_it_is() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("newer.bin", NEWER);
    repo.commit("v1");
    assert_eq!(repo.blob("HEAD:newer.bin"), NEWER);
    assert_eq!(lake.objects().len(), 0);
}

#[test]
fn text_that_only_looks_a_little_like_a_pointer_is_content() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let texts =
        ["git-lake pointer vX\n", "git-lake pointer", " git-lake pointer v1\n", "git-lake\n"];
    for (at, text) in texts.iter().enumerate() {
        repo.write(format!("{at}.bin"), text);
    }
    repo.commit("v1").says_nothing();
    assert_eq!(lake.objects().len(), texts.len());
    let clone = env.clone_of(&repo, "clone");
    for (at, text) in texts.iter().enumerate() {
        clone.has(format!("{at}.bin"), text);
    }
}

#[test]
fn a_git_lfs_pointer_is_refused_with_the_way_out() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let oid = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
    let text =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12345\n");
    repo.write("lfs.bin", &text);
    repo.git(["status"]);
    let ran = repo.git_fails(128, ["add", "lfs.bin"]);
    drop(ran.says("Could not add `lfs.bin`: It is a git-lfs pointer").says("git lfs pull"));
    assert_eq!(lake.objects().len(), 0);
    assert_eq!(repo.status(), "?? lfs.bin\n");
}

#[test]
fn a_git_lfs_pointer_that_git_has_already_stops_nothing() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    let text = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n",
        "4".repeat(64)
    );
    repo.write("lfs.bin", &text);
    repo.commit("as git-lfs left it");
    let lake = env.lake("lake");
    repo.git(["lake", "init", &lake.url()]);
    repo.git(["lake", "track", "*.bin"]);
    repo.commit("set up");
    repo.is_clean_when_touched();
    repo.git(["switch", "-q", "-c", "side"]);
    repo.has("lfs.bin", &text);
}

#[test]
fn a_conflict_without_the_merge_driver_is_caught_at_add() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write(".gitattributes", "*.bin filter=lake -text\n");
    repo.write("a.bin", noise(1, 100));
    repo.commit("v1");
    repo.on_branch("side", |repo| repo.write("a.bin", noise(2, 100)));
    repo.write("a.bin", noise(3, 100));
    repo.commit("ours");
    repo.git_fails(1, ["merge", "-q", "side"]);
    assert!(repo.text("a.bin").contains("<<<<<<<"));
    repo.touch("a.bin");
    assert_eq!(repo.status(), "UU a.bin\n");
    repo.git(["diff"]);
    repo.git_fails(128, ["add", "a.bin"]).says("conflict marker").says("git checkout --ours");
    repo.git_fails(128, ["commit", "-q", "-a", "-m", "x"]);
    repo.git(["merge", "--abort"]);
    repo.has("a.bin", noise(3, 100));
    repo.is_clean_when_touched();
}
