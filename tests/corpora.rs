//! What fuzzing kept and what people wrote, as ordinary tests: bytes that go ways of their own through
//! what reads them, and break none of the laws. `tests/fuzz/README.md` says how more are found.

use std::path::Path;

use crate::laws;

/// A folder of bytes stays as small as a person can look at.
const MOST_FILES: usize = 60;
const MOST_BYTES: usize = 100_000;

#[track_caller]
fn replay(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpora").join(name);
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let found = std::fs::read(&path).unwrap();
        (files, bytes) = (files + 1, bytes + found.len());
        let checked = std::panic::catch_unwind(|| laws::check(name, &found));
        assert!(checked.is_ok(), "{} breaks a law", path.display());
    }
    assert!((1..=MOST_FILES).contains(&files), "{files} files in {}", folder.display());
    assert!(bytes <= MOST_BYTES, "{bytes} bytes in {}", folder.display());
}

#[test]
fn listings_of_buckets() {
    replay("listing");
}

#[test]
fn packet_lines_and_the_filter_protocol() {
    replay("pktline");
}

#[test]
fn pointers() {
    replay("pointer");
}

#[test]
fn logs_of_claims() {
    replay("queue");
}

#[test]
fn logs_of_receipts() {
    replay("receipts");
}

#[test]
fn remote_files() {
    replay("remote_file");
}

#[test]
fn settings() {
    replay("settings");
}

#[test]
fn declarations_of_folders() {
    replay("tags");
}

#[test]
fn addresses() {
    replay("url");
}

#[test]
fn every_law_has_bytes_and_can_be_fuzzed() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let manifest = std::fs::read_to_string(tests.join("fuzz/Cargo.toml")).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(tests.join("corpora"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, laws::ALL.map(|law| law.0));
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
        assert!(tests.join(format!("fuzz/fuzz_targets/{name}.rs")).is_file(), "{name}");
    }
}
