//! Unchanged content gives the index's own pointer back, byte for byte.

use std::fs;

use crate::common::{Lake, Repo, TestEnv, noise};

fn repo(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.write("large.bin", noise(2, 5 << 20));
    repo.write("sub/c.bin", noise(3, 1));
    repo.commit("v1");
    (repo, lake)
}

/// git finds nothing to do, even when it is made to look and to convert again.
#[track_caller]
fn is_stable(repo: &Repo) {
    repo.is_clean_when_touched();
    repo.touch_all();
    repo.git(["add", "-A"]).says_nothing();
    repo.is_clean();
    repo.git(["add", "--renormalize", "."]).says_nothing();
    repo.is_clean();
}

#[test]
fn touching_every_file_changes_nothing() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    is_stable(&repo);
}

#[test]
fn another_remote_in_the_settings_changes_no_pointer() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let second = env.lake("second");
    repo.git(["lake", "init", &second.url()]);
    repo.commit("second lake");
    is_stable(&repo);
    assert_eq!(second.objects(), Vec::<String>::new());
}

#[test]
fn a_remote_taken_from_the_settings_changes_no_pointer() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    repo.write(".gitlake.toml", "version = 1\n");
    repo.commit("no lake");
    is_stable(&repo);
    let other = env.lake("other");
    let toml = format!("version = 1\n[[remote]]\nname = \"o\"\nurl = \"{}\"\n", other.url());
    repo.write(".gitlake.toml", toml);
    repo.commit("another lake");
    is_stable(&repo);
    fs::remove_file(repo.path.join(".gitlake.toml")).unwrap();
    repo.commit("no settings");
    is_stable(&repo);
}

#[test]
fn copies_and_renames_take_the_pointer_along() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let second = env.lake("second");
    repo.git(["lake", "init", &second.url()]);
    fs::copy(repo.path.join("a.bin"), repo.path.join("copy.bin")).unwrap();
    fs::rename(repo.path.join("large.bin"), repo.path.join("moved.bin")).unwrap();
    repo.commit("v2");
    assert_eq!(repo.blob("HEAD:copy.bin"), repo.blob("HEAD:a.bin"));
    assert_eq!(repo.blob("HEAD:moved.bin"), repo.blob("HEAD~1:large.bin"));
    is_stable(&repo);
}

#[test]
fn branches_whose_pointers_differ_only_in_sources_can_be_switched() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let second = env.lake("second");
    repo.git(["lake", "init", &second.url()]);
    repo.commit("second lake");
    repo.git(["switch", "-q", "-c", "side"]);
    // A new pointer for the same content: through a removal, which the store survives.
    repo.git(["rm", "-q", "--cached", "a.bin"]);
    repo.git(["commit", "-q", "-m", "gone"]);
    repo.git(["add", "a.bin"]);
    repo.git(["commit", "-q", "-m", "back"]);
    assert_ne!(repo.blob("main:a.bin"), repo.blob("side:a.bin"));
    for branch in ["main", "side", "main"] {
        repo.touch_all();
        repo.git(["switch", "-q", branch]);
        repo.has("a.bin", noise(1, 3000));
        is_stable(&repo);
    }
    repo.write("a.bin", noise(9, 3000));
    repo.git(["stash", "-q"]);
    repo.is_clean_when_touched();
    repo.git(["switch", "-q", "side"]);
    repo.git(["switch", "-q", "main"]);
    repo.git(["stash", "pop", "-q"]);
    assert_eq!(repo.status(), " M a.bin\n");
}

#[test]
fn content_that_comes_back_gets_its_pointer_back() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    repo.write("a.bin", noise(9, 3000));
    assert_eq!(repo.status(), " M a.bin\n");
    repo.write("a.bin", noise(1, 3000));
    is_stable(&repo);
}

#[test]
fn a_clone_is_clean_at_once_and_for_ever() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let clone = env.clone_of(&repo, "clone");
    clone.is_clean();
    is_stable(&clone);
}

#[test]
fn lines_of_other_programs_in_a_pointer_are_kept() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let text = repo.blob("HEAD:a.bin").replacen("source ", "x-note kept as it is\nsource ", 1);
    let blob = repo.feed("git", &["hash-object", "-w", "--stdin"], text.as_bytes()).stdout;
    repo.git(["update-index", "--cacheinfo", &format!("100644,{},a.bin", blob.trim())]);
    repo.git(["commit", "-q", "-m", "a note"]);
    is_stable(&repo);
    assert_eq!(repo.blob(":a.bin"), text);
}

#[test]
fn a_pointer_that_is_added_as_a_file_stays_as_it_is() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let text = repo.blob("HEAD:a.bin");
    repo.write("b.bin", &text);
    repo.git(["add", "b.bin"]);
    assert_eq!(repo.blob(":b.bin"), text);
    // With CRLF it is the same pointer, written in its one way.
    repo.write("c.bin", text.replace('\n', "\r\n"));
    repo.git(["add", "c.bin"]);
    assert_eq!(repo.blob(":c.bin"), text);
}

#[test]
fn unchanged_content_is_not_written_again() {
    use std::os::unix::fs::MetadataExt as _;
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let stamp = || {
        let found = fs::metadata(repo.stored(noise(2, 5 << 20))).unwrap();
        (found.ino(), found.mtime(), found.mtime_nsec(), found.ctime_nsec())
    };
    let before = stamp();
    is_stable(&repo);
    assert_eq!(stamp(), before);
}

#[test]
fn the_one_shot_filters_do_what_the_process_does() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let content = repo.read("a.bin");
    let ran = repo.feed("git-lake", &["clean", "--", "a.bin"], &content);
    assert_eq!((ran.code, &ran.stdout), (Some(0), &repo.blob(":a.bin")), "{ran:?}");
    let ran = repo.feed("git-lake", &["smudge", "--", "a.bin"], ran.stdout.as_bytes());
    assert!(ran.bytes == content, "{:?}", ran.stderr);
    repo.git(["config", "--unset", "filter.lake.process"]);
    is_stable(&repo);
    fs::remove_file(repo.path.join("large.bin")).unwrap();
    repo.git(["checkout", "-q", "--", "large.bin"]);
    repo.has("large.bin", noise(2, 5 << 20));
    repo.is_clean();
}
