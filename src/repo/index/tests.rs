use proptest::prelude::*;

use super::*;
use crate::repo::testing::{TestRepo, id};

/// What `git ls-files --stage -z` says, in the same words.
fn listed(repo: &TestRepo) -> Vec<(Vec<u8>, BlobId, u8)> {
    let output = repo.git().run(&["ls-files", "--stage", "-z"], b"").expect("lists");
    let records = output.stdout.split(|byte| *byte == 0);
    let parse = |record: &[u8]| {
        let tab = record.iter().position(|byte| *byte == b'\t').expect("a tab");
        let head = std::str::from_utf8(&record[..tab]).expect("text");
        let words: Vec<&str> = head.split(' ').collect();
        let stage = words[2].parse().expect("a stage");
        (record[tab + 1..].to_owned(), id(words[1]), stage)
    };
    records.filter(|record| !record.is_empty()).map(parse).collect()
}

fn read(repo: &TestRepo) -> Index {
    let opened = repo.open();
    opened.index().expect("reads")
}

fn assert_like_git(repo: &TestRepo) {
    let index = read(repo);
    let own: Vec<_> =
        index.entries().map(|entry| (entry.path.to_owned(), entry.id, entry.stage)).collect();
    assert_eq!(own, listed(repo));
    for (path, blob, stage) in own {
        let found = index.at(&path).find(|entry| entry.stage == stage);
        assert_eq!(found.map(|entry| entry.id), Some(blob), "{path:?}");
    }
    assert_eq!(index.at(b"no such path").len(), 0);
}

fn fill(repo: &TestRepo) {
    for path in ["a.b", "a/b", "a/c", "deep/er/and/deeper", "z ", "nl\nx", "\u{e9}"] {
        repo.write(path, path.as_bytes());
    }
    repo.write(&format!("{}/{}", "l".repeat(200), "m".repeat(200)), b"long");
    let long = "n".repeat(200);
    let longest = vec![long.as_str(); 25].join("/");
    let line = format!("100644 {}\t{longest}\n", repo.blob(b"n"));
    repo.run(&["add", "--all"]);
    repo.run_with(&["update-index", "--index-info"], line.as_bytes());
}

#[test]
fn all_versions_are_read_as_git_reads_them() {
    for format in ["sha1", "sha256"] {
        for version in ["2", "3", "4"] {
            let repo = TestRepo::with_args(&[&format!("--object-format={format}")]);
            std::fs::create_dir(repo.top.join("a")).expect("creates");
            for path in ["a.b", "a/b", "a/c", "deep/er/and/deeper", "z ", "nl\nx", "\u{e9}"] {
                repo.write(path, path.as_bytes());
            }
            repo.write("intent", b"x");
            repo.run(&["add", "--all", "--", ":!intent"]);
            let longest = vec!["n".repeat(200).as_str(); 25].join("/");
            let line = format!("100644 {}\t{longest}\n", repo.blob(b"n"));
            repo.run_with(&["update-index", "--index-info"], line.as_bytes());
            if version != "2" {
                repo.run(&["add", "--intent-to-add", "intent"]);
                repo.run(&["update-index", "--skip-worktree", "a.b"]);
            }
            if version != "3" {
                repo.run(&["update-index", "--index-version", version]);
            }
            assert_like_git(&repo);
            let index = read(&repo);
            let entry = index.entry_at(b"a/b").expect("there");
            assert_eq!((entry.kind, entry.size), (EntryKind::Regular, 3));
            assert!(!index.is_split() && !entry.is_intent_to_add);
            if version != "2" {
                assert!(index.entry_at(b"intent").expect("there").is_intent_to_add);
                assert!(index.entry_at(b"a.b").expect("there").is_skip_worktree);
            }
        }
    }
}

#[test]
#[cfg(unix)]
fn kinds_and_times_are_told() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let repo = TestRepo::new();
    let path = repo.write("x", b"#!");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("sets");
    std::os::unix::fs::symlink("x", repo.top.join("l")).expect("links");
    repo.run(&["add", "--all"]);
    let commit = "1".repeat(40);
    repo.run(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},g")]);
    let index = read(&repo);
    let kind = |path: &[u8]| index.entry_at(path).expect("there").kind;
    assert_eq!(kind(b"x"), EntryKind::Executable);
    assert_eq!(kind(b"l"), EntryKind::Symlink);
    assert_eq!(kind(b"g"), EntryKind::Gitlink);
    let metadata = path.metadata().expect("there");
    let mtime = index.entry_at(b"x").expect("there").mtime;
    assert_eq!(i64::from(mtime.seconds), metadata.mtime());
    assert_eq!(i64::from(mtime.nanoseconds), metadata.mtime_nsec());
}

#[test]
fn all_stages_of_a_conflict_are_found() {
    let repo = TestRepo::new();
    repo.write("x", b"base");
    repo.commit_all();
    repo.run(&["switch", "--quiet", "--create", "side"]);
    repo.write("x", b"theirs");
    repo.commit_all();
    repo.run(&["switch", "--quiet", "main"]);
    repo.write("x", b"ours");
    repo.commit_all();
    repo.git().run(&["merge", "side"], b"").expect_err("conflicts");
    assert_like_git(&repo);
    let index = read(&repo);
    let stages: Vec<u8> = index.at(b"x").map(|entry| entry.stage).collect();
    assert_eq!(stages, [1, 2, 3]);
    assert_eq!(index.entry_at(b"x"), None);
}

#[test]
fn a_split_index_is_put_together() {
    let repo = TestRepo::new();
    for number in 0..20 {
        repo.write(&format!("f{number}"), number.to_string().as_bytes());
    }
    repo.run(&["add", "--all"]);
    repo.run(&["update-index", "--split-index"]);
    repo.write("f3", b"changed");
    repo.write("new", b"new");
    std::fs::remove_file(repo.top.join("f7")).expect("removes");
    repo.run(&["add", "--all"]);
    assert!(read(&repo).is_split());
    assert_like_git(&repo);
}

#[test]
fn a_sparse_index_has_folders() {
    let repo = TestRepo::new();
    repo.write("in/x", b"x");
    repo.write("out/y", b"y");
    repo.commit_all();
    repo.run(&["sparse-checkout", "set", "--cone", "--sparse-index", "in"]);
    let index = read(&repo);
    let folder = index.entry_at(b"out/").expect("there");
    assert_eq!(folder.kind, EntryKind::SparseFolder);
    assert!(index.entry_at(b"in/x").is_some());
}

#[test]
fn a_missing_index_is_empty_and_a_change_is_noticed() {
    let repo = TestRepo::new();
    let path = repo.top.join(".git/index");
    let index = read(&repo);
    assert!(index.is_empty() && !index.has_changed(&path));
    repo.write("x", b"x");
    repo.run(&["add", "x"]);
    assert!(index.has_changed(&path));
    let index = read(&repo);
    assert!(!index.has_changed(&path));
    assert_eq!(index.stamp(), Stamp::of(&path).expect("there"));
    repo.write("x", b"y");
    repo.run(&["add", "x"]);
    assert!(index.has_changed(&path));
}

#[test]
fn damage_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("index");
    crate::fs::write_atomic(&path, b"DIRC", crate::fs::Shared::Yes).expect("writes");
    let error = Index::read(&path, 20).expect_err("short");
    let expected = format!("The index `{}` is damaged: it is too short", path.display());
    assert_eq!(error.to_string(), expected);
    let mut bytes = b"DIRC\0\0\0\x02\0\0\0\0abcd\0\0\0\0".to_vec();
    bytes.extend([0; 20]);
    let flaw = Index::parse(bytes, 20).expect_err("unknown");
    assert_eq!(flaw, walk::Flaw::Extension("abcd".to_owned()));
}

/// Real index files of all versions, made once.
fn samples() -> &'static [Vec<u8>] {
    static SAMPLES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    SAMPLES.get_or_init(|| {
        let repo = TestRepo::new();
        fill(&repo);
        let sample = |version: &str| {
            repo.run(&["update-index", "--index-version", version]);
            std::fs::read(repo.top.join(".git/index")).expect("reads")
        };
        ["2", "4"].into_iter().map(sample).collect()
    })
}

fn read_everything(bytes: Vec<u8>) {
    if let Ok(index) = Index::parse(bytes, 20) {
        for entry in index.entries() {
            if !index.is_split() {
                assert!(index.at(entry.path).any(|found| found == entry));
            }
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read_everything(bytes.clone());
        for version in [2, 3, 4] {
            let mut index = b"DIRC\0\0\0\0\0\0\0\x02".to_vec();
            index[7] = version;
            index.extend(&bytes);
            read_everything(index);
        }
    }

    #[test]
    fn damaged_indices_never_panic(
        sample in 0..2_usize,
        cut in any::<proptest::sample::Index>(),
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = samples()[sample].clone();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_everything(bytes.clone());
        bytes.truncate(cut.index(bytes.len()));
        read_everything(bytes);
    }
}

#[test]
fn a_truncated_index_is_an_error() {
    for sample in samples() {
        let index = Index::parse(sample.clone(), 20).expect("whole");
        let last = index.slots.last().expect("entries").entry as usize;
        for len in 0..last + 20 {
            Index::parse(sample[..len].to_vec(), 20).expect_err("truncated");
        }
    }
}
