//! `git lake fsck`: the objects of the store.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use git_lake::oid::Oid;

use crate::common::{Repo, TestEnv, noise};

/// A clone with three objects.
fn repo(env: &TestEnv) -> Repo {
    let (repo, _lake) = env.tracked("work");
    for at in 1..=3 {
        repo.write(format!("{at}.bin"), noise(at, 3000));
    }
    repo.commit("v1");
    repo
}

/// Changes one byte of an object of the store.
fn damage(repo: &Repo, content: &[u8]) {
    let path = repo.stored(content);
    let mut bytes = fs::read(&path).unwrap();
    bytes[5] ^= 1;
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
}

#[test]
fn a_store_that_is_right_is_read_and_nothing_is_said_to_be_wrong() {
    let env = TestEnv::new();
    let repo = repo(&env);
    let ran = repo.git(["lake", "fsck", "--store"]);
    assert_eq!(ran.stdout, "");
    assert_eq!(ran.stderr, "3 objects of the store read (8.8 KiB).\nNothing is wrong.\n");
    let ran = repo.git(["lake", "fsck", "--store", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let store = serde_json::json!({ "objects": 3, "bytes": 9000, "sealed": 0 });
    assert_eq!((&document["version"], &document["store"]), (&1.into(), &store));
    assert_eq!(document["findings"], serde_json::json!([]));
}

#[test]
fn damaged_objects_are_listed_and_set_aside() {
    let env = TestEnv::new();
    let repo = repo(&env);
    damage(&repo, &noise(2, 3000));
    let ran = repo.git_fails(3, ["lake", "fsck", "--store"]);
    let folder = repo.state().join("damaged");
    let oid = Oid::of(&noise(2, 3000)).to_hex();
    let expected = format!(
        "1 object of the store was damaged: set aside in `{}`; `git lake fsck --repair` fetches what \
         is needed:\n  2.bin  {oid}\n",
        folder.display()
    );
    assert_eq!(ran.stdout, expected);
    assert_eq!(ran.stderr, "3 objects of the store read (8.8 KiB).\n");
    assert_eq!(fs::read(folder.join(&oid)).unwrap().len(), 3000);
    assert!(!repo.stored(noise(2, 3000)).exists());
    repo.git(["lake", "fsck", "--store"]).says("2 objects of the store read");
}

#[test]
fn the_document_has_all_that_is_damaged() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for at in 0..30 {
        repo.write(format!("{at}.bin"), noise(at, 100));
    }
    repo.commit("v1");
    (0..25).for_each(|at| damage(&repo, &noise(at, 100)));
    let folder = repo.state().join("damaged");
    let ran = repo.git_fails(3, ["lake", "fsck", "--store", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let findings = document["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 25);
    for finding in findings {
        assert_eq!(finding["kind"], "stored-damaged");
        assert_eq!(finding["damage"], true);
        let aside = folder.join(finding["oid"].as_str().unwrap());
        assert_eq!(finding["detail"], aside.display().to_string());
    }
    // A list for people ends somewhere.
    (25..30).for_each(|at| damage(&repo, &noise(at, 100)));
    (0..25).for_each(|at| repo.write(format!("{at}.bin"), noise(at + 100, 100)));
    repo.commit("v2");
    (0..25).for_each(|at| damage(&repo, &noise(at + 100, 100)));
    let ran = repo.git_fails(3, ["lake", "fsck", "--store"]);
    assert_eq!(ran.stdout.lines().count(), 22, "{ran:?}");
    drop(
        ran.prints("30 objects of the store were damaged")
            .prints("  and 10 more (`--json` has all)\n"),
    );
}

#[test]
fn objects_that_no_sync_is_known_of_are_verified_and_synced() {
    let env = TestEnv::new();
    let repo = repo(&env);
    for at in [1, 2] {
        let stored = repo.stored(noise(at, 3000));
        fs::set_permissions(&stored, Permissions::from_mode(0o600)).unwrap();
    }
    fs::write(repo.stored(noise(2, 3000)), noise(4, 2000)).unwrap();
    let ran = repo.git_fails(3, ["lake", "fsck", "--store"]);
    drop(ran.says("3 objects of the store read (7.8 KiB), 1 of them put on disk for good now."));
    let mode = fs::metadata(repo.stored(noise(1, 3000))).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o444);
    assert!(!repo.stored(noise(2, 3000)).exists());
}

#[test]
fn an_object_that_cannot_be_read_does_not_hide_the_others() {
    let env = TestEnv::new();
    let repo = repo(&env);
    damage(&repo, &noise(1, 3000));
    let stored = repo.stored(noise(3, 3000));
    fs::set_permissions(&stored, Permissions::from_mode(0o000)).unwrap();
    if fs::read(&stored).is_ok() {
        // Whoever may do anything can read it.
        return;
    }
    let ran = repo.git_fails(3, ["lake", "fsck", "--store"]);
    drop(
        ran.prints("1 object of the store was damaged")
            .prints("1 object of the store could not be read"),
    );
    repo.git_fails(1, ["lake", "fsck", "--store"]);
}

#[test]
fn a_bare_repository_and_one_without_a_store_are_no_trouble() {
    let env = TestEnv::new();
    let bare = env.bare("bare");
    bare.git(["lake", "fsck", "--store"]).says("0 objects of the store read");
}
