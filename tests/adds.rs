//! `git lake add` makes of the index what `git add` makes of it.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::common::{Lake, Repo, TestEnv, kill, noise, set_age, wait_for_next_second};

/// A repository with a commit, whose work tree then has everything that `git add` may meet.
fn varied(env: &TestEnv, name: &str) -> (Repo, Lake) {
    let lake = env.lake("lake");
    let repo = env.repo(name);
    repo.git(["lake", "init", &lake.url()]);
    repo.git(["lake", "track", "*.bin"]);
    for at in 0..4 {
        repo.write(format!("kept/{at}.bin"), noise(at, 2000));
    }
    repo.write("changed.bin", noise(10, 3000));
    repo.write("gone.bin", noise(11, 3000));
    repo.write("to-link.bin", noise(12, 3000));
    repo.write("plain.txt", "text\n");
    repo.write("run.bin", noise(13, 1000));
    repo.commit("v1");

    repo.write("changed.bin", noise(20, 5000));
    fs::remove_file(repo.path.join("gone.bin")).unwrap();
    fs::remove_file(repo.path.join("to-link.bin")).unwrap();
    symlink("plain.txt", repo.path.join("to-link.bin")).unwrap();
    repo.write("plain.txt", "other text\n");
    fs::set_permissions(repo.path.join("run.bin"), fs::Permissions::from_mode(0o755)).unwrap();
    repo.touch("kept/0.bin");
    repo.write("new/large.bin", noise(30, (3 << 20) + 7));
    repo.write("new/copy of kept.bin", noise(1, 2000));
    repo.write("new/same.bin", noise(30, (3 << 20) + 7));
    repo.write("new/empty.bin", "");
    repo.write("new/naïve\tname.bin", noise(31, 100));
    repo.write("new/script.bin", noise(32, 100));
    fs::set_permissions(repo.path.join("new/script.bin"), fs::Permissions::from_mode(0o755))
        .unwrap();
    repo.write("new/pointer.bin", repo.blob("HEAD:kept/2.bin"));
    repo.write("new/text.txt", "new\n");
    repo.write(".gitignore", "*.tmp.bin\n");
    repo.write("new/ignored.tmp.bin", noise(33, 100));
    (repo, lake)
}

fn staged(repo: &Repo) -> String {
    repo.git(["ls-files", "--stage"]).stdout
}

#[test]
fn the_index_is_that_of_git_add() {
    for options in [&["."][..], &["-A"], &["-u"], &["-f", "."], &["new", "changed.bin"], &["*.bin"]]
    {
        let env = TestEnv::new();
        let (by_git, lake) = varied(&env, "by-git");
        by_git.git(["add"].iter().chain(options));
        let in_lake = lake.objects();
        fs::remove_dir_all(&lake.path).unwrap();
        let (by_lake, lake) = varied(&env, "by-lake");
        by_lake.git(["lake", "add"].iter().chain(options));
        assert_eq!(staged(&by_lake), staged(&by_git), "{options:?}");
        assert_eq!(lake.objects(), in_lake, "{options:?}");
        assert_eq!(by_lake.status(), by_git.status(), "{options:?}");
        by_lake.git(["commit", "-q", "-m", "v2"]);
        by_lake.git(["lake", "status"]).prints("Nothing is owed.");
    }
}

#[test]
fn git_status_runs_no_filter_afterwards() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    for at in 0..50 {
        repo.write(format!("{at}.bin"), noise(at, 2000));
    }
    wait_for_next_second(&repo.path.join("49.bin"));
    repo.git(["lake", "add", "."]).says("50 lake files staged (98 KiB).");
    let trace = repo.git_dir().join("trace");
    repo.with("GIT_TRACE_PACKET", &trace).git(["status", "--porcelain"]);
    assert!(!fs::read_to_string(&trace).unwrap_or_default().contains("git-filter-client"));
    assert_eq!(lake.objects().len(), 50);
    repo.git(["commit", "-q", "-m", "fifty"]);
    repo.is_clean_when_touched();
    // Touched files are looked into once, and nothing is staged.
    repo.touch_all();
    repo.git(["lake", "add", "."]).says_nothing().says_not("staged");
    repo.is_clean_for_free();
}

#[test]
fn a_lake_that_is_away_is_owed_the_uploads() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    lake.unmount();
    repo.write("a.bin", noise(1, 1000));
    repo.git(["lake", "add", "a.bin"]).says("1 upload is owed (a.bin)");
    lake.mount();
    repo.git(["lake", "push"]).says("1 object uploaded");
    lake.holds(noise(1, 1000));
}

#[test]
fn within_a_limit_it_goes_on_in_pieces() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.git(["config", "lake.storageLimit", "40k"]);
    for at in 0..30 {
        repo.write(format!("{at}.bin"), noise(at, 4000));
    }
    repo.git(["lake", "add", "."]).says("30 lake files staged").says_not("storageLimit");
    let objects = repo.state().join("objects");
    let count = |folder: &Path| fs::read_dir(folder).unwrap().count();
    let stored: usize =
        fs::read_dir(objects).unwrap().map(|folder| count(&folder.unwrap().path())).sum();
    assert!(stored <= 10, "{stored} objects");
    assert_eq!(lake.objects().len(), 30);
    repo.git(["commit", "-q", "-m", "thirty"]);
    repo.is_clean_when_touched();
}

#[test]
fn what_git_refuses_is_refused_in_its_words() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write(".gitignore", "*.tmp.bin\n");
    repo.write("a.tmp.bin", noise(1, 100));
    repo.git_fails(1, ["lake", "add", "a.tmp.bin"]).says("ignored by one of your .gitignore");
    repo.git_fails(1, ["lake", "add", "none"]).says("pathspec 'none' did not match any files");
    repo.git(["lake", "add"]).says("Nothing specified, nothing added.");
    repo.write("damaged.bin", "git-lake pointer v1\nnonsense\n");
    repo.write("b.bin", noise(2, 100));
    repo.git_fails(1, ["lake", "add", "."]).says("damaged.bin").says("It is a damaged pointer");
    repo.git_fails(2, ["lake", "add", "-A", "-u"]).says("cannot be used with");
    env.bare("bare.git").git_fails(1, ["lake", "add", "."]).says("work tree");
}

#[test]
fn a_conflict_and_a_split_index_are_left_to_git() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 1000));
    repo.commit("v1");
    repo.on_branch("side", |repo| repo.write("a.bin", noise(2, 1000)));
    repo.write("a.bin", noise(3, 1000));
    repo.commit("v2");
    repo.git_fails(1, ["merge", "-q", "side"]);
    repo.write("a.bin", noise(4, 1000));
    repo.git(["lake", "add", "a.bin"]).says_not("staged");
    repo.git(["commit", "-q", "-m", "merged"]);
    repo.git(["update-index", "--split-index"]);
    repo.write("b.bin", noise(5, 1000));
    repo.git(["lake", "add", "."]).says_not("staged");
    repo.git(["commit", "-q", "-m", "split"]);
    assert!(repo.blob("HEAD:b.bin").starts_with("git-lake pointer v1\n"));
}

#[test]
fn a_kill_at_any_point_loses_nothing_and_the_next_one_goes_on() {
    for point in ["add-ingested", "add-stored", "add-staged"] {
        let env = TestEnv::new();
        let (repo, lake) = env.tracked("work");
        repo.write("a.bin", noise(1, 1000));
        let (stopping, stop) = repo.stop_at(point);
        let mut adding = stopping.start_program("git-lake", &["add", "."]);
        let stopped = stop.reached();
        kill(adding.id());
        drop(stopped);
        adding.wait().unwrap();
        if repo.git(["ls-files", "a.bin"]).stdout.contains("a.bin") {
            assert!(repo.stored(noise(1, 1000)).exists(), "{point}");
        }
        repo.git(["lake", "add", "."]);
        lake.holds(noise(1, 1000));
        repo.git(["commit", "-q", "-m", "v1"]);
        repo.is_clean_when_touched();
    }
}

#[test]
fn a_file_that_changes_meanwhile_is_staged_as_it_is_in_the_end() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 1000));
    for (seed, point) in [(2, "add-ingested"), (3, "add-stored"), (4, "add-staged")] {
        let (stopping, stop) = repo.stop_at(point);
        let mut adding = stopping.start_program("git-lake", &["add", "."]);
        let stopped = stop.reached();
        let content = noise(seed, 1000);
        repo.write("a.bin", &content);
        drop(stopped);
        assert!(adding.wait().unwrap().success());
        lake.holds(&content);
        repo.git(["commit", "-q", "-m", point]);
        repo.is_clean_when_touched();
        repo.has("a.bin", &content);
        repo.write("a.bin", noise(77, 1000));
    }
}

/// Returns true if a file is known to share all of its blocks with another one.
fn shares_blocks(path: &Path) -> bool {
    let told = Command::new("filefrag").arg("-v").arg(path).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let extents: Vec<&str> = told
        .lines()
        .filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    !extents.is_empty() && extents.iter().all(|extent| extent.contains("shared"))
}

#[test]
fn a_large_file_shares_blocks_with_the_store_and_stays_its_users() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let content = noise(1, (5 << 20) + 11);
    repo.write("large.bin", &content);
    repo.git(["lake", "add", "."]);
    let document = repo.git(["lake", "doctor", "--json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let findings = document["findings"].as_array().unwrap();
    let shared = findings.iter().find(|finding| finding["id"] == "shared-blocks").unwrap();
    // Elsewhere nothing can be shared, which `tests/filesystem/on.sh` is for.
    if shared["level"] == "ok" {
        assert!(shares_blocks(&repo.path.join("large.bin")));
        assert!(shares_blocks(&lake.object(&content)));
    }
    // Bytes in the middle are another matter for the work tree alone.
    let mut file = fs::OpenOptions::new().write(true).open(repo.path.join("large.bin")).unwrap();
    file.seek(SeekFrom::Start(3 << 20)).unwrap();
    file.write_all(b"changed in place").unwrap();
    drop(file);
    lake.holds(&content);
    repo.git(["lake", "fsck"]);
    repo.git(["checkout", "-q", "large.bin"]);
    repo.has("large.bin", &content);

    // One that was only touched is compared and not written: the shell has the sums of what it waited for.
    repo.git(["commit", "-q", "-m", "large"]);
    set_age(repo.path.join("large.bin"), 10);
    let io = repo.run("sh", ["-c", "git lake add . && cat /proc/$$/io"]).stdout;
    let written = io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap();
    assert!(written.parse::<u64>().unwrap() < content.len() as u64 / 2, "{io}");
    repo.is_clean_when_touched();
}
