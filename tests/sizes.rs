//! Content of every size, at the edges of packets and of the limits in memory.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::common::{Repo, TestEnv, noise, noted_pid, same_trees};

/// What git and the filter may use at most, together, in KiB.
const MEMORY_KIB: u64 = 100 << 10;

#[track_caller]
fn survives(len: usize) {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let content = noise(len as u64 + 1, len);
    repo.write("a.bin", &content);
    repo.commit("v1").says_nothing();
    lake.holds(&content);
    let clone = env.clone_of(&repo, "clone");
    clone.has("a.bin", &content);
    clone.is_clean_when_touched();
    fs::remove_file(clone.path.join("a.bin")).unwrap();
    clone.git(["checkout", "-q", "--", "a.bin"]);
    clone.has("a.bin", &content);
    fs::remove_file(clone.path.join("a.bin")).unwrap();
    clone.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["checkout", "-q", "--", "a.bin"]);
    clone.git(["lake", "pull"]);
    same_trees(&repo, &clone);
    clone.is_clean_when_touched();
}

#[test]
fn one_byte() {
    survives(1);
}

#[test]
fn one_less_than_a_packet() {
    survives(65_515);
}

#[test]
fn exactly_a_packet() {
    survives(65_516);
}

#[test]
fn one_more_than_a_packet() {
    survives(65_517);
}

#[test]
fn exactly_two_packets() {
    survives(131_032);
}

#[test]
fn as_long_as_the_longest_pointer_and_around_it() {
    for len in [8191, 8192, 8193] {
        survives(len);
    }
}

#[test]
fn a_mebibyte() {
    survives(1 << 20);
}

#[test]
fn a_mebibyte_and_one() {
    survives((1 << 20) + 1);
}

#[test]
fn more_than_goes_through_memory() {
    survives((4 << 20) + 12_345);
}

#[test]
fn an_empty_file_stays_an_empty_blob() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("empty.bin", "");
    repo.write("full.bin", "x");
    repo.commit("v1").says_nothing();
    assert_eq!(repo.blob("HEAD:empty.bin"), "");
    assert_eq!(lake.objects().len(), 1);
    let clone = env.clone_of(&repo, "clone");
    same_trees(&repo, &clone);
    clone.is_clean_when_touched();
    clone.git(["lake", "status"]).prints("1 file tracked");
}

#[test]
fn many_files_at_once() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    for at in 0..600 {
        repo.write(format!("{}/{at}.bin", at % 20), noise(at + 1, 700));
    }
    repo.commit("v1").says_nothing();
    assert_eq!(lake.objects().len(), 600);
    let clone = env.clone_of(&repo, "clone");
    same_trees(&repo, &clone);
    clone.is_clean_when_touched();
}

/// A file of 300 MiB: a little that is no zero at both ends and in the middle.
fn write_huge(path: &Path) {
    let mut file = File::create(path).unwrap();
    for at in [0, 150 << 20, (300 << 20) - 8] {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&(at + 77).to_le_bytes()).unwrap();
    }
}

#[track_caller]
fn same_files(left: &Path, right: &Path) {
    let (mut left, mut right) = (File::open(left).unwrap(), File::open(right).unwrap());
    assert_eq!(left.metadata().unwrap().len(), right.metadata().unwrap().len());
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let count = left.read(&mut a).unwrap();
        if count == 0 {
            return;
        }
        right.read_exact(&mut b[..count]).unwrap();
        assert!(a[..count] == b[..count]);
    }
}

/// Runs a git command and returns the most memory that git and the filter used together, in KiB.
#[track_caller]
fn memory_of(repo: &Repo, args: &[&str]) -> u64 {
    let note = repo.note_filter_pid();
    let mut git = repo.start(args);
    let pid = noted_pid(&note);
    let pids = [git.id(), pid];
    let mut peaks = [0, 0];
    // The kernel keeps the peak, so only what happens after the last look is missed.
    while git.try_wait().unwrap().is_none() {
        for (pid, peak) in pids.iter().zip(&mut peaks) {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let value = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
            *peak = value.unwrap_or(0).max(*peak);
        }
        std::thread::sleep(std::time::Duration::from_millis(3));
    }
    assert!(git.wait().unwrap().success(), "git {args:?}");
    assert!(peaks[1] > 0, "the filter was never seen");
    repo.unwrap_filter();
    peaks.iter().sum()
}

#[test]
#[cfg(target_os = "linux")]
fn a_huge_file_needs_little_memory_in_git_and_the_filter() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    let huge = repo.path.join("huge.bin");
    write_huge(&huge);
    let peak = memory_of(&repo, &["add", "huge.bin"]);
    assert!(peak < MEMORY_KIB, "add used {peak} KiB");
    repo.git(["commit", "-q", "-m", "v1"]);
    // From the store.
    let copy = env.path("copy");
    fs::rename(&huge, &copy).unwrap();
    let peak = memory_of(&repo, &["checkout", "--", "huge.bin"]);
    assert!(peak < MEMORY_KIB, "checkout from the store used {peak} KiB");
    same_files(&copy, &huge);
    // From the lake.
    repo.empty_store();
    fs::remove_file(&huge).unwrap();
    let peak = memory_of(&repo, &["checkout", "--", "huge.bin"]);
    assert!(peak < MEMORY_KIB, "checkout from the lake used {peak} KiB");
    same_files(&copy, &huge);
    // Compared again.
    repo.touch("huge.bin");
    let peak = memory_of(&repo, &["status", "--porcelain"]);
    assert!(peak < MEMORY_KIB, "status used {peak} KiB");
    repo.is_clean();
}

#[test]
fn large_files_that_were_put_in_place_are_not_compared_again() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for at in 0..3 {
        repo.write(format!("{at}.bin"), noise(at + 1, 5 << 20));
    }
    repo.commit("v1");
    let clone = env.clone_of(&repo, "clone");
    same_trees(&repo, &clone);
    // At most what was written within the last second is compared, and that once.
    assert!(clone.count("clean", &["status"]) <= 3);
    clone.settle();
    assert_eq!(clone.count("clean", &["status"]), 0);
    clone.write("1.bin", noise(9, 5 << 20));
    assert_eq!(clone.status(), " M 1.bin\n");
}
