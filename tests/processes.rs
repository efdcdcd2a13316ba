//! Kills, pipes that close, and many at once.

use std::fs;
use std::path::Path;

use crate::common::{Repo, TestEnv, kill, noise, noted_pid, wait_until};

fn files_below(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let count = entries
        .flatten()
        .map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { 1 });
    count.sum()
}

fn write_many(repo: &Repo, count: u64) {
    for at in 0..count {
        repo.write(format!("{at}.bin"), noise(at + 1, 20_000));
    }
}

#[track_caller]
fn has_many(repo: &Repo, count: u64) {
    for at in 0..count {
        repo.has(format!("{at}.bin"), noise(at + 1, 20_000));
    }
}

#[test]
fn an_add_whose_filter_was_killed_fails_and_the_next_one_converges() {
    const COUNT: u64 = 400;
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    write_many(&repo, COUNT);
    let before = repo.git(["ls-files", "-s"]).stdout;
    let note = repo.note_filter_pid();
    let objects = repo.state().join("objects");
    let mut git = repo.start(&["add", "."]);
    let pid = noted_pid(&note);
    wait_until("some objects are stored", || files_below(&objects) > 10);
    kill(pid);
    assert!(!git.wait().unwrap().success(), "the filter was killed too late");
    assert_eq!(repo.git(["ls-files", "-s"]).stdout, before);
    repo.unwrap_filter();
    has_many(&repo, COUNT);
    repo.commit("v1").says_nothing();
    assert_eq!(lake.objects().len(), COUNT as usize);
    repo.is_clean_when_touched();
    let clone = env.clone_of(&repo, "clone");
    has_many(&clone, COUNT);
}

#[test]
fn a_checkout_whose_filter_was_killed_fails_and_the_next_one_converges() {
    const COUNT: u64 = 400;
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.git(["branch", "empty"]);
    write_many(&repo, COUNT);
    repo.commit("v1");
    repo.git(["switch", "-q", "empty"]);
    repo.empty_store();
    let note = repo.note_filter_pid();
    let objects = repo.state().join("objects");
    let mut git = repo.start(&["switch", "-q", "main"]);
    let pid = noted_pid(&note);
    wait_until("some objects are stored", || files_below(&objects) > 10);
    kill(pid);
    assert!(!git.wait().unwrap().success(), "the filter was killed too late");
    repo.unwrap_filter();
    repo.git(["switch", "-q", "-f", "main"]);
    has_many(&repo, COUNT);
    repo.is_clean_when_touched();
}

#[test]
fn a_kill_of_git_itself_leaves_everything_in_order() {
    const COUNT: u64 = 400;
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    write_many(&repo, COUNT);
    let note = repo.note_filter_pid();
    let objects = repo.state().join("objects");
    let mut git = repo.start(&["add", "."]);
    let filter = noted_pid(&note);
    wait_until("some objects are stored", || files_below(&objects) > 10);
    git.kill().unwrap();
    git.wait().unwrap();
    wait_until("the filter has ended", || !Path::new(&format!("/proc/{filter}")).exists());
    // What the index does not have is not uploaded.
    assert_eq!(lake.objects().len(), 0);
    drop(fs::remove_file(repo.git_dir().join("index.lock")));
    repo.unwrap_filter();
    repo.commit("v1");
    assert_eq!(lake.objects().len(), COUNT as usize);
    repo.is_clean_when_touched();
}

#[test]
fn a_kill_during_the_upload_leaves_it_owed() {
    const COUNT: u64 = 300;
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    write_many(&repo, COUNT);
    let empty = files_below(&lake.path);
    let note = repo.note_filter_pid();
    let mut git = repo.start(&["add", "."]);
    let pid = noted_pid(&note);
    wait_until("the upload has begun", || {
        let has_begun = files_below(&lake.path) > empty;
        has_begun || git.try_wait().unwrap().is_some()
    });
    // Too late is possible and harmless; git does not look at how its filter ends.
    if git.try_wait().unwrap().is_none() {
        kill(pid);
    }
    assert!(git.wait().unwrap().success());
    repo.unwrap_filter();
    repo.git(["commit", "-q", "-m", "v1"]);
    repo.git(["lake", "push"]);
    assert_eq!(lake.objects().len(), COUNT as usize);
    repo.git(["lake", "status"]).prints("Nothing is owed.");
}

#[test]
fn a_pull_that_was_killed_is_finished_by_the_next_one() {
    const COUNT: u64 = 300;
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    write_many(&repo, COUNT);
    repo.commit("v1");
    env.install();
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", "work", "clone"]);
    let clone = env.at("clone");
    clone.settle();
    let mut pull = clone.start_program("git-lake", &["pull"]);
    wait_until("some files are filled", || {
        !clone.is_pointer("0.bin") || pull.try_wait().unwrap().is_some()
    });
    drop(pull.kill());
    pull.wait().unwrap();
    clone.is_clean();
    // Whoever is killed while writing the index leaves a lock, which git, too, lets the user remove.
    drop(fs::remove_file(clone.git_dir().join("index.lock")));
    clone.git(["lake", "pull"]);
    has_many(&clone, COUNT);
    clone.is_clean_when_touched();
}

#[test]
fn two_adds_at_once_in_two_work_trees() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.git(["worktree", "add", "-q", "../linked", "-b", "side"]);
    let linked = env.at("linked");
    for at in 0..150 {
        repo.write(format!("{at}.bin"), noise(at + 1, 5000));
        // Half of it is the same content.
        linked.write(format!("{at}.bin"), noise(at + 76, 5000));
    }
    let mut adds = [repo.start(&["add", "."]), linked.start(&["add", "."])];
    for add in &mut adds {
        assert!(add.wait().unwrap().success());
    }
    assert_eq!(lake.objects().len(), 225);
    for side in [&repo, &linked] {
        side.git(["commit", "-q", "-m", "v1"]);
        side.is_clean_when_touched();
        side.git(["lake", "status"]).prints("Nothing is owed.");
    }
}

#[test]
fn two_clones_fill_one_lake_at_once() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let clone = env.clone_of(&repo, "clone");
    for at in 0..100 {
        repo.write(format!("{at}.bin"), noise(at + 1, 5000));
        clone.write(format!("{at}.bin"), noise(at + 1, 5000));
    }
    let mut adds = [repo.start(&["add", "."]), clone.start(&["add", "."])];
    for add in &mut adds {
        assert!(add.wait().unwrap().success());
    }
    assert_eq!(lake.objects().len(), 100);
    for at in 0..100 {
        lake.holds(noise(at + 1, 5000));
    }
    repo.git(["lake", "status"]).prints("Nothing is owed.");
    clone.git(["lake", "status"]).prints("Nothing is owed.");
}

#[test]
fn a_status_during_an_add_takes_nothing_from_it() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    write_many(&repo, 200);
    let mut add = repo.start(&["add", "."]);
    while add.try_wait().unwrap().is_none() {
        repo.git(["lake", "status"]);
        repo.git(["lake", "push"]);
    }
    assert!(add.wait().unwrap().success());
    assert_eq!(lake.objects().len(), 200);
}

/// Packet lines.
fn packets(texts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        match *text {
            "" => bytes.extend(b"0000"),
            text => bytes.extend(format!("{:04x}{text}\n", text.len() + 5).bytes()),
        }
    }
    bytes
}

const HANDSHAKE: [&str; 7] = [
    "git-filter-client",
    "version=2",
    "",
    "capability=clean",
    "capability=smudge",
    "capability=delay",
    "",
];

#[test]
fn a_pipe_that_closes_early_ends_the_filter_in_order() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let mut whole = packets(&HANDSHAKE);
    whole.extend(packets(&["command=clean", "pathname=a.bin", ""]));
    whole.extend(b"0009hello0000");
    let handshake = packets(&HANDSHAKE).len();
    for end in [0, 10, handshake, handshake + 20, whole.len() - 6, whole.len() - 4, whole.len()] {
        let ran = repo.feed("git-lake", &["filter-process"], &whole[..end]);
        assert!(ran.code.is_some_and(|code| code <= 1), "{end}: {ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{end}: {ran:?}");
        if end >= handshake {
            assert_eq!(ran.code, Some(0), "{end}: {ran:?}");
            assert!(ran.stdout.contains("git-filter-server"));
        }
    }
    assert_eq!(lake.objects().len(), 0, "the index never had it");
    assert_eq!(files_below(&repo.state().join("tmp")), 0);
}

#[test]
fn what_is_no_git_is_told_so() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for input in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"0005x", b"ffff", &noise(1, 4000)] {
        let ran = repo.feed("git-lake", &["filter-process"], input);
        assert!(ran.code.is_some_and(|code| code <= 1), "{ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    }
}

#[test]
fn a_path_that_leads_out_of_the_repository_is_an_error_of_that_path_alone() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    let mut input = packets(&HANDSHAKE);
    for path in ["pathname=../out.bin", "pathname=/abs.bin", "pathname=good.bin"] {
        input.extend(packets(&["command=clean", path, ""]));
        input.extend(b"0009hello0000");
    }
    let ran = repo.feed("git-lake", &["filter-process"], &input);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout.matches("status=error").count(), 2, "{ran:?}");
    assert_eq!(ran.stdout.matches("git-lake pointer v1").count(), 1, "{ran:?}");
}

#[test]
fn a_filter_without_delay_gives_content_in_band() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 300));
    repo.commit("v1");
    repo.empty_store();
    let mut input = packets(&["git-filter-client", "version=2", "", "capability=smudge", ""]);
    input.extend(packets(&["command=smudge", "pathname=a.bin", ""]));
    let pointer = repo.blob(":a.bin");
    input.extend(format!("{:04x}{pointer}0000", pointer.len() + 4).bytes());
    let ran = repo.feed("git-lake", &["filter-process"], &input);
    assert!(!ran.stdout.contains("capability=delay"), "{ran:?}");
    let content = noise(1, 300);
    assert!(ran.bytes.windows(300).any(|window| window == content), "{ran:?}");
}

#[test]
fn a_process_that_git_starts_for_nothing_leaves_no_trace() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    let before = files_below(&repo.state());
    let ran = repo.feed("git-lake", &["filter-process"], &packets(&HANDSHAKE));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(files_below(&repo.state()), before);
}

#[test]
fn a_kill_while_large_files_are_put_in_place_is_mended_by_a_pull() {
    const COUNT: u64 = 12;
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.git(["branch", "empty"]);
    for at in 0..COUNT {
        repo.write(format!("{at}.bin"), noise(at + 1, 5 << 20));
    }
    repo.commit("v1");
    repo.git(["switch", "-q", "empty"]);
    let note = repo.note_filter_pid();
    let mut git = repo.start(&["switch", "-q", "main"]);
    let pid = noted_pid(&note);
    // All that git asks for is there once its index is; then the filter puts content in place.
    wait_until("a file has its content", || {
        let sizes = (0..COUNT).map(|at| fs::metadata(repo.path.join(format!("{at}.bin"))));
        sizes.flatten().any(|found| found.len() == 5 << 20) || git.try_wait().unwrap().is_some()
    });
    if git.try_wait().unwrap().is_none() {
        kill(pid);
    }
    git.wait().unwrap();
    repo.unwrap_filter();
    // A kill before git was done is another test's.
    drop(fs::remove_file(repo.git_dir().join("index.lock")));
    repo.git(["switch", "-q", "-f", "main"]);
    repo.git(["lake", "pull"]);
    for at in 0..COUNT {
        repo.has(format!("{at}.bin"), noise(at + 1, 5 << 20));
    }
    repo.is_clean();
    repo.is_clean_when_touched();
}
