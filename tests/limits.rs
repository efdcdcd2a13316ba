//! The store stays within `lake.storageLimit`, as far as lakes hold what it has.

use std::fs;

use crate::common::{Repo, TestEnv, noise, tree};

const SIZE: usize = 4000;

fn file(at: u64) -> String {
    format!("{at}.bin")
}

/// Returns how many bytes the objects of the store have.
fn used(repo: &Repo) -> u64 {
    let folders = fs::read_dir(repo.state().join("objects")).unwrap();
    let objects = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    objects.map(|object| object.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn what_was_added_first_goes_first_and_comes_back() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.git(["config", "lake.storageLimit", "20k"]);
    for at in 0..10 {
        repo.write(file(at), noise(at, SIZE));
        repo.git(["add", "."]).says_nothing();
        assert!(used(&repo) <= 20 << 10);
    }
    assert_eq!(lake.objects().len(), 10);
    assert!(repo.stored(noise(9, SIZE)).exists() && !repo.stored(noise(0, SIZE)).exists());
    repo.commit("ten");
    repo.is_clean_when_touched();
    assert!(used(&repo) <= 20 << 10, "what `git status` stored is settled, too");
    fs::remove_file(repo.path.join(file(0))).unwrap();
    repo.git(["restore", "."]);
    repo.has(file(0), noise(0, SIZE));
    assert!(used(&repo) <= 20 << 10);
}

#[test]
fn what_no_lake_holds_stays_and_goes_when_it_is_uploaded() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.git(["config", "lake.storageLimit", "10k"]);
    lake.unmount();
    for at in 0..5 {
        repo.write(file(at), noise(at, SIZE));
    }
    repo.git(["add", "."]).says(
        "The store has 9760 bytes more than `lake.storageLimit` allows, of objects that not enough \
         lakes are known to hold; `git lake push` uploads what is owed.",
    );
    assert_eq!(used(&repo), 5 * SIZE as u64);
    lake.mount();
    repo.git(["lake", "push"]).says("5 objects uploaded").says_not("storageLimit");
    assert!(used(&repo) <= 10 << 10);
    repo.commit("five");
    repo.is_clean_when_touched();
}

#[test]
fn a_clone_that_is_larger_than_the_limit_is_whole() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for at in 0..20 {
        repo.write(file(at), noise(at, SIZE));
    }
    for at in 20..30 {
        repo.write(file(at), noise(at, 3 * SIZE));
    }
    // One object at several paths, and one that is larger than the limit.
    repo.write("copy.bin", noise(29, 3 * SIZE));
    repo.write("other.bin", noise(1, SIZE));
    repo.write("huge.bin", noise(30, 20 * SIZE));
    repo.commit("many");
    env.install();
    let settings = ["-c", "lake.storageLimit=30k", "-c", "lake.inbandLimit=10k"];
    for way in ["filter", "pull"] {
        let skipping =
            env.at(".").with("GIT_LAKE_SKIP_SMUDGE", if way == "pull" { "1" } else { "" });
        skipping.git(settings.iter().chain(&["clone", "-q", "work", way])).says_nothing();
        let clone = env.at(way);
        if way == "pull" {
            clone.git(settings.iter().chain(&["lake", "pull"])).says("33 files filled");
        }
        assert_eq!(tree(&clone.path), tree(&repo.path), "{way}");
        assert!(used(&clone) <= 30 << 10, "{way}: {}", used(&clone));
        clone.is_clean_when_touched();
    }
}

#[test]
fn a_limit_that_makes_no_sense_is_told() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.git(["config", "lake.storageLimit", "much"]);
    repo.git_fails(1, ["lake", "status"])
        .says("git config `lake.storageLimit` is `much`; it should be a number of bytes");
}
