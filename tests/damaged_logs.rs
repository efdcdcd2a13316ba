//! Claims and receipts that a bad disk spoiled: set aside, told once, and nothing is lost.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Lake, Ran, Repo, TestEnv, noise, wait_for_next_second};

/// A repository that owes the objects of two commits, in one log, and an `origin` that has neither.
fn owing(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    env.bare("origin.git");
    repo.git(["remote", "add", "origin", "../origin.git"]);
    repo.git(["config", "lake.upload", "push"]);
    for seed in [1, 2] {
        repo.write(format!("{seed}.bin"), noise(seed, 3000));
        repo.commit("more");
    }
    repo.git(["lake", "status"]);
    (repo, lake)
}

/// The files of a folder of the local state that end so.
fn files(repo: &Repo, folder: &str, suffix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repo.state().join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_str().unwrap().ends_with(suffix));
    paths.sort();
    paths
}

fn only(repo: &Repo, folder: &str) -> PathBuf {
    let [log] = &files(repo, folder, ".log")[..] else { panic!("one log") };
    log.clone()
}

type Spoil = fn(&Path, Vec<u8>);

/// What may be found in the place of a log.
const DAMAGES: [(&str, Spoil); 7] = [
    ("zeros", |log, bytes| fs::write(log, vec![0; bytes.len()]).unwrap()),
    ("noise", |log, bytes| fs::write(log, noise(7, bytes.len())).unwrap()),
    ("noise in one line", |log, bytes| {
        let noise = noise(7, bytes.len()).into_iter().filter(|byte| *byte != b'\n');
        fs::write(log, noise.collect::<Vec<u8>>()).unwrap();
    }),
    ("no beginning", |log, bytes| fs::write(log, &bytes[40..]).unwrap()),
    ("a bad header", |log, mut bytes| {
        bytes[3] = b'\0';
        fs::write(log, bytes).unwrap();
    }),
    ("a hole", |log, mut bytes| {
        let at = bytes.len() / 2;
        bytes[at..at + 60].fill(0);
        fs::write(log, bytes).unwrap();
    }),
    ("a folder", |log, _| {
        fs::remove_file(log).unwrap();
        fs::create_dir(log).unwrap();
        fs::write(log.join("x"), "x").unwrap();
    }),
];

/// The same, with a log of claims to which something has happened.
fn with_bad_claims(env: &TestEnv, spoil: Spoil) -> (Repo, Lake, PathBuf) {
    let (repo, lake) = owing(env);
    let log = only(&repo, "queue");
    spoil(&log, fs::read(&log).unwrap());
    (repo, lake, log)
}

/// One line tells that this log was set aside, and nothing else is told.
#[track_caller]
fn tells_once(ran: &Ran, log: &Path, follows: &str, what: &str) {
    let name = log.file_name().unwrap().to_str().unwrap();
    let expected = format!(
        "git-lake: `{}` is damaged and was set aside as `{name}.damaged`. What could be read of it is kept; {follows}.",
        log.display()
    );
    assert_eq!(ran.told(), [expected], "{what}");
}

const CLAIMS: &str = "uploads that are owed are looked for in git";
const RECEIPTS: &str = "the lake is asked again before a push relies on it";

#[test]
fn a_damaged_log_of_claims_is_set_aside_and_what_is_owed_is_uploaded() {
    for (what, spoil) in DAMAGES {
        let env = TestEnv::new();
        let (repo, lake, log) = with_bad_claims(&env, spoil);
        let spoiled = fs::read(&log).ok();
        let ran = repo.git(["lake", "push"]).says("2 objects uploaded");
        tells_once(&ran, &log, CLAIMS, what);
        [1, 2].iter().for_each(|seed| lake.holds(noise(*seed, 3000)));
        let [aside] = &files(&repo, "queue", ".damaged")[..] else { panic!("{what}") };
        assert_eq!(fs::read(aside).ok(), spoiled, "{what}");
        repo.git(["lake", "push"]).says_nothing();
        repo.git(["lake", "fsck"]);
    }
}

#[test]
fn whoever_settles_claims_finds_what_is_owed() {
    for (what, spoil) in DAMAGES {
        let env = TestEnv::new();
        let (repo, lake, log) = with_bad_claims(&env, spoil);
        // Readers go on with what they can read.
        repo.git(["lake", "prune", "-n"]);
        repo.write("3.bin", noise(3, 3000));
        let ran = repo.git(["add", "3.bin"]);
        tells_once(&ran, &log, CLAIMS, what);
        repo.commit("v3").says_nothing();
        repo.git(["lake", "push"]).says("3 objects uploaded");
        (1..=3).for_each(|seed| lake.holds(noise(seed, 3000)));
    }
}

#[test]
fn no_push_leaves_without_what_a_lost_claim_was_about() {
    for (what, spoil) in DAMAGES {
        let env = TestEnv::new();
        let (repo, lake, _) = with_bad_claims(&env, spoil);
        let ran = repo.git(["push", "-q", "origin", "main"]);
        let told = ran.told().iter().filter(|line| line.contains("damaged")).count();
        assert!(told <= 1, "{what}: {ran:#?}");
        [1, 2].iter().for_each(|seed| lake.holds(noise(*seed, 3000)));
    }
}

#[test]
fn what_a_crash_cut_off_is_no_damage() {
    let env = TestEnv::new();
    let (repo, lake) = owing(&env);
    let log = only(&repo, "queue");
    let bytes = fs::read(&log).unwrap();
    for len in [0, 1, 10, 18, 19, 60, bytes.len() - 1] {
        fs::write(&log, &bytes[..len]).unwrap();
        repo.git(["lake", "status"]).says_nothing();
        drop(fs::remove_dir_all(repo.state().join("queue")));
        fs::create_dir(repo.state().join("queue")).unwrap();
    }
    // A tail of zeros is what a power cut leaves.
    fs::write(&log, [&bytes[..], &[0; 4000]].concat()).unwrap();
    repo.git(["lake", "push"]).says_nothing().says("2 objects uploaded");
    lake.holds(noise(1, 3000));
    assert!(files(&repo, "queue", ".damaged").is_empty());
}

/// The same, as a power cut leaves it that comes before `git add` returns: claims and objects are gone, or
/// were begun, and git has its index and commits.
fn cut_short(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = owing(env);
    // git looks into files that are as young as its index.
    wait_for_next_second(&repo.path.join("2.bin"));
    repo.write("text", "text\n");
    repo.commit("text");
    repo.git(["lake", "status"]);
    let log = only(&repo, "queue");
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..1 + bytes.iter().position(|byte| *byte == b'\n').unwrap()]).unwrap();
    fs::remove_file(repo.stored(noise(1, 3000))).unwrap();
    let torn = repo.stored(noise(2, 3000));
    fs::remove_file(&torn).unwrap();
    fs::write(torn, vec![0; 3000]).unwrap();
    (repo, lake)
}

#[test]
fn what_a_power_cut_took_is_taken_in_again_from_the_work_tree() {
    let commands = [&["add", "3.bin"][..], &["lake", "status"], &["lake", "push"]];
    for command in commands {
        let env = TestEnv::new();
        let (repo, lake) = cut_short(&env);
        repo.write("3.bin", noise(3, 3000));
        repo.git(command)
            .says("2 objects that the store had lost were taken in again from the work tree.");
        repo.git(["lake", "fsck"]);
        // It is sure now, whatever becomes of the files.
        [1, 2].iter().for_each(|at| repo.write(format!("{at}.bin"), noise(at + 5, 3000)));
        repo.git(["lake", "push"]).says_not("taken in again");
        [1, 2].iter().for_each(|at| lake.holds(noise(*at, 3000)));
        repo.git(["push", "-q", "origin", "main"]).says_nothing();
    }
}

#[test]
fn what_a_power_cut_took_and_nobody_has_is_said_by_a_push() {
    let env = TestEnv::new();
    let (repo, lake) = cut_short(&env);
    repo.write("1.bin", noise(4, 3000));
    let ran = repo.git_fails(1, ["push", "-q", "origin", "main"]);
    drop(ran.says("1 file is in no lake").says("(1.bin ").says("1 object that the store had lost"));
    lake.holds(noise(2, 3000));
}

#[test]
fn claims_of_another_version_are_left_where_they_are() {
    let env = TestEnv::new();
    let (repo, _lake) = owing(&env);
    let log = only(&repo, "queue");
    let text = fs::read_to_string(&log).unwrap().replacen("v2\n", "v3\n", 1);
    fs::write(&log, &text).unwrap();
    repo.git(["lake", "push"]).says_nothing();
    assert_eq!(fs::read_to_string(&log).unwrap(), text);
    let ran = repo.git_fails(1, ["lake", "orphans", "work-lake"]);
    drop(ran.says("A log of claims in its `lake/v1/queue` is damaged or of another version"));
}

#[test]
fn damaged_receipts_are_set_aside_and_what_is_left_is_asked_for_again() {
    for (what, spoil) in DAMAGES {
        let env = TestEnv::new();
        let (repo, lake) = owing(&env);
        repo.git(["lake", "push"]);
        let log = only(&repo, "receipts");
        spoil(&log, fs::read(&log).unwrap());
        // What the lake lost since is found out, for nothing that was read of the log is trusted.
        lake.remove(noise(1, 3000));
        let ran = repo.git(["lake", "where", "*.bin"]);
        tells_once(&ran, &log, RECEIPTS, what);
        repo.git(["lake", "where", "*.bin"]).says_nothing();
        assert_eq!(files(&repo, "receipts", ".damaged").len(), 1, "{what}");
        repo.git(["push", "-q", "origin", "main"]);
        [1, 2].iter().for_each(|seed| lake.holds(noise(*seed, 3000)));
        repo.git(["lake", "where", "*.bin"]).prints("proved (").says_nothing();
    }
}

#[test]
fn what_can_be_read_of_receipts_is_kept() {
    let env = TestEnv::new();
    let (repo, lake) = owing(&env);
    repo.git(["lake", "push"]);
    let log = only(&repo, "receipts");
    let mut bytes = fs::read(&log).unwrap();
    bytes.extend_from_slice(b"\0\0\0\n");
    fs::write(&log, bytes).unwrap();
    repo.git(["lake", "where", "*.bin"]).says("is damaged").prints("proved (sent, ");
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text.lines().filter(|line| line.contains(" sent ")).count(), 2);
    // A line that was cut off is no damage.
    fs::write(&log, &text[..text.len() - 5]).unwrap();
    repo.git(["lake", "where", "*.bin"]).says_nothing();
    // Nor does a push rely on what was kept: a line that took it back may be lost.
    [1, 2].iter().for_each(|seed| lake.remove(noise(*seed, 3000)));
    repo.git(["push", "-q", "origin", "main"]).says_not("damaged");
    [1, 2].iter().for_each(|seed| lake.holds(noise(*seed, 3000)));
}
