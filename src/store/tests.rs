#![expect(clippy::disallowed_methods, reason = "tests damage files on purpose")]

use std::io::Write as _;

use super::*;
use crate::store::stage::Intake;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::at(dir.path());
    (dir, store)
}

fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn an_object_counts_as_stored_elsewhere_only_after_the_sync() {
    let (dir, store) = store();
    let oid = Oid::of(b"content");
    assert_eq!(store.presence(oid, 7).expect("reads"), Presence::Absent);
    store.put(oid, b"content").expect("writes");
    assert_eq!(
        store.presence(oid, 7).expect("reads"),
        Presence::Stored,
        "it is this process's own"
    );
    let other = Store::at(dir.path());
    assert_eq!(other.presence(oid, 7).expect("reads"), Presence::Unproven);
    store.sync().expect("syncs");
    assert_eq!(other.presence(oid, 7).expect("reads"), Presence::Stored);
    assert_eq!(other.presence(oid, 8).expect("reads"), Presence::Absent, "the size is wrong");
}

#[test]
fn an_unproven_object_is_replaced_and_a_stored_one_is_not_written_again() {
    let (dir, store) = store();
    let oid = Oid::of(b"content");
    store.put(oid, b"content").expect("writes");
    let inode =
        |store: &Store| platform::inode(&std::fs::metadata(store.object_path(oid)).expect("there"));
    let first = inode(&store);
    let other = Store::at(dir.path());
    other.put(oid, b"content").expect("writes");
    let second = inode(&other);
    assert_ne!(first, second);
    store.sync().expect("seals only what it wrote");
    assert_eq!(Store::at(dir.path()).presence(oid, 7).expect("reads"), Presence::Unproven);
    other.sync().expect("syncs");
    Store::at(dir.path()).put(oid, b"content").expect("nothing to do");
    assert_eq!(inode(&store), second);
}

#[test]
fn damaged_objects_are_set_aside_and_never_handed_out() {
    let (_dir, store) = store();
    let oid = Oid::of(b"content");
    store.put(oid, b"content").expect("writes");
    std::fs::write(store.object_path(oid), b"c0ntent").expect("damages");
    let error = store.read_verified(oid, 7).expect_err("damaged");
    assert!(matches!(&error, Error::Damaged { aside, .. } if aside.exists()), "{error}");
    assert_eq!(store.read_verified(oid, 7).expect("absent now"), None);
    store.put(oid, b"content").expect("writes");
    std::fs::write(store.object_path(oid), b"c0ntent").expect("damages");
    assert!(matches!(store.open_verified(oid, 7), Err(Error::Damaged { .. })));
}

#[test]
fn an_intake_that_equals_the_expected_object_writes_nothing() {
    let (_dir, store) = store();
    let old: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    let old_oid = Oid::of(&old);
    store.put(old_oid, &old).expect("writes");
    let mut intake = Intake::begin(&store, &[], Some(old_oid));
    old.chunks(65_516).for_each(|chunk| intake.write(chunk));
    assert_eq!(files_in(&store.root().join("tmp")), 0);
    let (hashed, before) = intake.finish();
    assert_eq!((hashed.oid, before.expect("reads")), (old_oid, Presence::Stored));
}

#[test]
fn an_intake_that_differs_late_is_shorter_or_longer_is_stored_whole() {
    let (_dir, store) = store();
    let old: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    let old_oid = Oid::of(&old);
    store.put(old_oid, &old).expect("writes");
    let mut changed = old.clone();
    changed[399_000] ^= 1;
    let longer = [&old[..], b"tail"].concat();
    for new in [&changed[..], &longer, &old[..300_000], &old[..65_516], b"short"] {
        let mut intake = Intake::begin(&store, &[], Some(old_oid));
        new.chunks(65_516).for_each(|chunk| intake.write(chunk));
        let (hashed, stored) = intake.finish();
        stored.expect("stores");
        assert_eq!((hashed.oid, hashed.size), (Oid::of(new), new.len() as u64));
        let stored = store.read_verified(hashed.oid, hashed.size).expect("reads");
        assert_eq!(stored.as_deref(), Some(new));
    }
}

#[test]
fn dropping_a_staged_object_leaves_nothing() {
    let (_dir, store) = store();
    let mut staged = store.stage().expect("begins");
    staged.write_all(b"half").expect("writes");
    drop(staged);
    assert_eq!(files_in(store.tmp_folder().expect("there")), 0);
}

#[cfg(unix)]
#[test]
fn materializing_keeps_mode_and_time_and_spares_changed_files() {
    use std::os::unix::fs::PermissionsExt as _;

    use crate::fs::beneath::Tree;
    use crate::repo_path::RepoPath;
    use crate::store::materialize::Outcome;

    let (dir, store) = store();
    let oid = Oid::of(b"content");
    store.put(oid, b"content").expect("writes");
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).expect("creates");
    let path = RepoPath::parse(b"run.bin").expect("a path");
    let file = tree.join("run.bin");
    std::fs::write(&file, b"pointer").expect("writes");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("sets");
    let then = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    File::open(&file).expect("opens").set_modified(then).expect("sets");
    let tree = Tree::open(&tree).expect("opens");
    let fill = |pointer: &[u8]| {
        store.materialize(&tree, &path, pointer, oid, 7, &|_| true).expect("works")
    };
    assert!(matches!(fill(b"another"), Outcome::Changed));
    let stopped = store.materialize(&tree, &path, b"pointer", oid, 7, &|_| false).expect("works");
    assert!(matches!(stopped, Outcome::Interrupted));
    assert_eq!(std::fs::read(&file).expect("reads"), b"pointer");
    assert!(matches!(fill(b"pointer"), Outcome::Filled(_)));
    let metadata = std::fs::metadata(&file).expect("there");
    assert_eq!(std::fs::read(&file).expect("reads"), b"content");
    assert_eq!(metadata.permissions().mode() & 0o111, 0o111);
    assert_eq!(metadata.modified().expect("has a time"), then);
    assert!(matches!(fill(b"pointer"), Outcome::Changed));
    std::fs::remove_file(&file).expect("removes");
    assert!(matches!(fill(b"pointer"), Outcome::Changed | Outcome::Gone));
    assert_eq!(files_in(store.tmp_folder().expect("there")), 0);
}

#[test]
fn an_intake_whose_store_cannot_be_written_still_tells_what_it_was_shown() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("lake"), b"a file where the store belongs").expect("writes");
    let store = Store::at(dir.path());
    let mut intake = Intake::begin(&store, &[], None);
    intake.write(b"con");
    intake.write(b"tent");
    let (hashed, stored) = intake.finish();
    assert_eq!((hashed.oid, hashed.size), (Oid::of(b"content"), 7));
    stored.expect_err("there is no store");
}

#[test]
fn what_a_dead_process_left_staged_is_swept_after_a_day() {
    let (_dir, store) = store();
    let old = std::time::SystemTime::now() - 2 * STALE_AFTER;
    let mut folders: Vec<PathBuf> =
        (0..256).map(|at| store.root().join("objects").join(format!("{at:02x}"))).collect();
    folders.push(store.tmp_folder().expect("creates").to_owned());
    for folder in &folders {
        std::fs::create_dir_all(folder).expect("creates");
        for name in [".lake-old", ".lake-new", "object"] {
            let file = File::create(folder.join(name)).expect("creates");
            if name != ".lake-new" {
                file.set_modified(old).expect("sets");
            }
        }
    }
    store.sweep_staged().expect("sweeps");
    let swept = folders.iter().filter(|folder| !folder.join(".lake-old").exists());
    // `tmp` always, and the folder whose turn it is; the minute may change in between.
    assert!((2..=3).contains(&swept.count()));
    assert!(!store.tmp_folder().expect("there").join(".lake-old").exists());
    for folder in &folders {
        assert!(folder.join(".lake-new").exists() && folder.join("object").exists());
    }
}
