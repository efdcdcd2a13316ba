//! Progress on a terminal that git writes to as well, and in files for machines.

use std::fs;

use crate::common::dataset::place;
use crate::common::terminal::Seen;
use crate::common::{Repo, TestEnv, noise};

const VERBS: [&str; 4] = ["Hashing", "Uploading", "Downloading", "Filling"];

/// Two files of 300 kB; moving them takes more than a second.
fn slow(env: &TestEnv) -> Repo {
    let (repo, _lake) = env.tracked("work");
    repo.git(["config", "lake.maxRate", "400k"]);
    repo.write("a.bin", noise(1, 300_000));
    repo.write("b.bin", noise(2, 300_000));
    repo
}

/// Progress was drawn, and nothing of it is left among the lines of git.
#[track_caller]
fn shows(seen: &Seen, verb: &str) {
    assert!(seen.raw.contains(&format!("\r{verb} ")), "{:?}", seen.raw);
    for line in &seen.screen {
        let is_clean = VERBS.iter().all(|verb| !line.contains(verb)) && !line.contains(" left");
        assert!(is_clean, "{:#?}", seen.screen);
    }
}

#[test]
fn an_add_shows_the_upload_and_leaves_nothing() {
    let env = TestEnv::new();
    let repo = slow(&env);
    let seen = repo.git_on_terminal(&["add", "."]);
    shows(&seen, "Uploading");
    assert!(seen.raw.contains("/2 files, "), "{:?}", seen.raw);
    assert!(seen.raw.contains(" of 586 KiB, "), "{:?}", seen.raw);
    assert!(seen.screen.is_empty(), "{:?}", seen.screen);
}

#[test]
fn a_commit_keeps_its_own_lines() {
    let env = TestEnv::new();
    let repo = slow(&env);
    repo.with("GIT_LAKE_PROGRESS", env.path("first")).git(["add", "a.bin"]);
    repo.git(["commit", "-q", "-m", "v1"]);
    repo.write("a.bin", noise(3, 600_000));
    let seen = repo.git_on_terminal(&["commit", "-a", "-m", "v2"]);
    shows(&seen, "Uploading");
    let [subject, _author, summary] = &*seen.screen else { panic!("{:#?}", seen.screen) };
    assert!(subject.starts_with("[main ") && subject.ends_with("] v2"), "{subject}");
    assert_eq!(summary, " 1 file changed, 3 insertions(+), 3 deletions(-)");
}

#[test]
fn a_clone_shows_the_download_between_the_lines_of_git() {
    let env = TestEnv::new();
    let repo = slow(&env);
    for at in 0..5 {
        repo.write(format!("{at}.bin"), noise(at + 10, 30_000));
    }
    repo.git(["config", "lake.maxRate", "100m"]);
    repo.commit("v1");
    env.install();
    let url = format!("file://{}", repo.path.display());
    for (name, limit) in [("delayed", "100m"), ("beside", "1000")] {
        let limit = format!("lake.inbandLimit={limit}");
        let args = ["clone", "-c", "lake.maxRate=400k", "-c", &limit, &url, name];
        // git shows its own progress from the beginning, too.
        let seen = env.at(".").with("GIT_PROGRESS_DELAY", "0").git_on_terminal(&args);
        shows(&seen, "Downloading");
        assert!(seen.raw.contains("Updating files: "), "{}", seen.raw);
        assert_eq!(seen.screen[0], format!("Cloning into '{name}'..."));
        let phases = [
            "remote: ",
            "Receiving objects: 100%",
            "Resolving deltas: 100%",
            "Checking objects: 100%",
            "Updating files: 100%",
            "Filtering content: 100%",
        ];
        let is_gits = |line: &String| phases.iter().any(|phase| line.starts_with(phase));
        assert!(seen.screen[1..].iter().all(is_gits), "{:#?}", seen.screen);
        // The lines that git rewrites end as it wrote them.
        let is_whole = |line: &String| line.starts_with("remote: ") || line.ends_with(", done.");
        assert!(seen.screen[1..].iter().all(is_whole), "{:#?}", seen.screen);
        let clone = env.at(name);
        clone.has("a.bin", noise(1, 300_000));
        clone.is_clean();
    }
}

#[test]
fn a_switch_and_a_pull_show_the_download() {
    let env = TestEnv::new();
    let repo = slow(&env);
    repo.git(["switch", "-q", "-c", "other"]);
    repo.commit("v1");
    repo.git(["switch", "-q", "main"]);
    repo.empty_store();
    let seen = repo.git_on_terminal(&["switch", "other"]);
    shows(&seen, "Downloading");
    assert_eq!(*seen.screen.last().unwrap(), "Switched to branch 'other'");
    repo.git(["switch", "-q", "main"]);
    repo.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["switch", "-q", "other"]);
    repo.empty_store();
    let seen = repo.git_on_terminal(&["lake", "pull"]);
    shows(&seen, "Downloading");
    assert_eq!(seen.screen, ["2 files filled (586 KiB)."]);
}

#[test]
fn a_push_shows_the_upload() {
    let env = TestEnv::new();
    let repo = slow(&env);
    env.bare("server");
    repo.git(["remote", "add", "origin", "../server"]);
    repo.git(["config", "lake.upload", "push"]);
    repo.commit("v1");
    let seen = repo.git_on_terminal(&["push", "origin", "main"]);
    shows(&seen, "Uploading");
    assert!(seen.screen.iter().any(|line| line.ends_with("main -> main")), "{:#?}", seen.screen);
    repo.write("c.bin", noise(3, 600_000));
    repo.git(["add", "."]);
    let seen = repo.git_on_terminal(&["lake", "push"]);
    shows(&seen, "Uploading");
    assert_eq!(seen.screen, ["1 object uploaded (586 KiB)."]);
}

#[test]
fn files_that_have_to_be_read_are_told_of() {
    let env = TestEnv::new();
    let repo = slow(&env);
    repo.with("GIT_LAKE_PROGRESS", env.path("first")).git(["add", "."]);
    repo.settle();
    repo.touch_all();
    let commands: [&[&str]; 3] = [&["status"], &["diff"], &["ls-files"]];
    for (at, args) in commands.into_iter().enumerate() {
        let file = env.path(&format!("progress-{at}"));
        let told = repo.with("GIT_LAKE_PROGRESS", &file);
        told.git(["lake"].iter().chain(args));
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.ends_with("hashing 2/2 600000/600000\n"), "{args:?}: {text}");
    }
}

#[test]
fn lakes_that_are_asked_are_told_of() {
    let env = TestEnv::new();
    let repo = slow(&env);
    repo.commit("v1");
    let file = env.path("progress");
    let told = repo.with("GIT_LAKE_PROGRESS", &file);
    told.git(["lake", "fsck", "--remote"]);
    told.git(["lake", "remote-list", "--check"]);
    let text = fs::read_to_string(&file).unwrap();
    let asked: Vec<&str> = text.lines().filter(|line| line.starts_with("asking")).collect();
    assert_eq!(
        asked,
        ["asking 0/2 0/0", "asking 2/2 0/0", "asking 0/0 0/0", "asking 0/0 0/0"],
        "{text}"
    );
}

#[test]
fn whoever_asks_git_or_git_lake_to_be_quiet_sees_no_progress() {
    let env = TestEnv::new();
    let repo = slow(&env);
    repo.git(["switch", "-q", "-c", "other"]);
    repo.commit("v1");
    repo.git(["switch", "-q", "main"]);
    repo.empty_store();
    if cfg!(target_os = "linux") {
        let seen = repo.git_on_terminal(&["switch", "-q", "other"]);
        assert_eq!(seen.raw, "");
        repo.git(["switch", "-q", "main"]);
        repo.empty_store();
    }
    repo.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["switch", "-q", "other"]);
    let seen = repo.git_on_terminal(&["lake", "-q", "pull"]);
    assert_eq!(seen.raw, "");
}

#[test]
fn without_a_terminal_what_is_short_says_nothing_and_machines_hear_all() {
    let env = TestEnv::new();
    let repo = slow(&env);
    let file = env.path("progress");
    let ran = repo.with("GIT_LAKE_PROGRESS", &file).git(["add", "."]);
    assert_eq!(ran.stderr, "");
    let text = fs::read_to_string(&file).unwrap();
    let hashing: Vec<&str> = text.lines().filter(|line| line.starts_with("hashing ")).collect();
    let uploading: Vec<&str> = text.lines().filter(|line| line.starts_with("uploading ")).collect();
    assert_eq!(hashing.last(), Some(&"hashing 2/2 600000/600000"), "{text}");
    assert_eq!(uploading.first(), Some(&"uploading 0/2 0/600000"), "{text}");
    assert_eq!(uploading.last(), Some(&"uploading 2/2 600000/600000"), "{text}");
    assert_eq!(hashing.len() + uploading.len(), text.lines().count(), "{text}");
    // Not more often than every tenth of a second.
    assert!(uploading.len() < 40, "{text}");
}

#[test]
fn of_objects_whose_sizes_show_when_they_come_the_rest_is_a_guess() {
    let env = TestEnv::new();
    let place = place(&env);
    let same = || noise(1, 300_000);
    place.dataset("in", [("data/0_a", same()), ("data/1_a", noise(2, 300_000))]);
    place.dataset("in", [("data/2_a", noise(3, 300_000)), ("data/3_a", same())]);
    let file = env.path("sent");
    let add = ["remote-add", "-i", "in", "-o", "away", "-r", "lake"];
    place.with("GIT_LAKE_PROGRESS", &file).lake(0, add);
    let told = fs::read_to_string(&file).unwrap();
    assert!(told.ends_with("\nuploading 4/4 900000/1200000\n"), "what is twice goes once: {told}");

    let file = env.path("brought");
    let slow = place.with("GIT_CONFIG_COUNT", "1").with("GIT_CONFIG_KEY_0", "lake.maxRate");
    let slow = slow.with("GIT_CONFIG_VALUE_0", "600k").with("GIT_LAKE_PROGRESS", &file);
    let seen = slow.git_on_terminal(&["lake", "clone", "-i", "away", "-o", "back", "-j", "1"]);
    shows(&seen, "Downloading");
    assert!(seen.raw.contains(" of about 1.1 MiB, "), "{:?}", seen.raw);
    assert!(seen.raw.contains(" s left\x1b[K"), "{:?}", seen.raw);
    let told = fs::read_to_string(&file).unwrap();
    assert!(told.starts_with("downloading 0/4 0/0\n"), "{told}");
    assert!(told.ends_with("\ndownloading 4/4 1200000/1200000\n"), "{told}");
}
