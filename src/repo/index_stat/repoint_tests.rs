//! Other blobs for entries, with real git as the referee.

use super::tests::Filtered;
use super::*;
use crate::repo::testing::{git_is_at_least, path};

fn repointing(test: &Filtered) -> Result<Repointing, Error> {
    let repo = test.repo.open();
    Repointing::begin(repo.index_path(), repo.hash_len(), Duration::ZERO)
}

fn new_blob(test: &Filtered, at: &str, content: &[u8]) -> NewBlob {
    NewBlob { path: path(at), old: test.id_at(at), new: test.repo.blob(content), stat: None }
}

/// A filter that gives back what the index has, as the real one does.
fn with_two_files(args: &[&str]) -> Filtered {
    let test = Filtered::new(args);
    test.repo.write("a.bin", b"content a");
    test.repo.write("b.bin", b"content b");
    test.repo.write("notes.txt", b"text");
    test.repo.commit_all();
    test.age(&["a.bin", "b.bin", "notes.txt", ".gitattributes"]);
    test
}

#[test]
fn entries_get_other_blobs_and_keep_their_stat_data() {
    for args in [&[][..], &["--object-format=sha256"]] {
        for version in ["2", "4"] {
            let test = with_two_files(args);
            test.repo.run(&["update-index", "--index-version", version]);
            test.age(&["a.bin", "b.bin", "notes.txt", ".gitattributes"]);
            let change = new_blob(&test, "b.bin", b"another pointer");
            let new = change.new;
            let not_found = repointing(&test).expect("free").commit(&[change]).expect("writes");
            assert!(not_found.is_empty());
            assert_eq!(test.id_at("b.bin"), new);
            assert_eq!(test.status(), ("M  b.bin".into(), 0), "{args:?} {version}");
            assert_eq!(test.repo.run(&["diff", "--cached", "--name-only"]), "b.bin");
            // The tree that git writes now is the new one, and the index is whole for git.
            test.repo.run(&["commit", "--quiet", "--message=y"]);
            assert_eq!(test.repo.run(&["rev-parse", "HEAD:b.bin"]), new.to_string());
            assert_eq!(test.repo.run(&["fsck", "--strict"]), "");
        }
    }
}

#[test]
fn an_entry_that_is_another_meanwhile_is_left_alone() {
    let test = with_two_files(&[]);
    let mut change = new_blob(&test, "a.bin", b"another pointer");
    change.old = test.repo.blob(b"what was expected");
    let absent = NewBlob { path: path("no.bin"), ..new_blob(&test, "b.bin", b"x") };
    let not_found = repointing(&test).expect("free").commit(&[change, absent]).expect("writes");
    assert_eq!(not_found, [path("a.bin"), path("no.bin")]);
    assert_eq!(test.status(), (String::new(), 0));
}

#[test]
fn a_file_that_git_could_not_tell_from_a_changed_one_is_looked_at_again() {
    let test = with_two_files(&[]);
    // Written in the second of the index: the rewritten index would hide a change of the same size.
    test.repo.write("notes.txt", b"Text");
    test.repo.run(&["add", "notes.txt"]);
    test.repo.write("notes.txt", b"TEXT");
    let mtime = std::fs::metadata(test.index_path()).and_then(|index| index.modified());
    let file = std::fs::File::options().write(true).open(test.repo.top.join("notes.txt"));
    file.and_then(|file| file.set_modified(mtime?)).expect("sets the time");
    let change = new_blob(&test, "a.bin", b"another pointer");
    repointing(&test).expect("free").commit(&[change]).expect("writes");
    assert!(test.status().0.contains("MM notes.txt"), "{:?}", test.status());
}

#[test]
fn a_split_index_is_refused_and_a_held_lock_is_named() {
    let test = with_two_files(&[]);
    let held = repointing(&test).expect("free");
    assert!(matches!(repointing(&test), Err(Error::Locked { .. })));
    drop(held);
    assert!(repointing(&test).is_ok());
    if git_is_at_least((2, 9)) {
        test.repo.run(&["update-index", "--split-index"]);
        assert!(matches!(repointing(&test), Err(Error::Split { .. })));
    }
}

#[test]
fn other_extensions_survive() {
    let test = with_two_files(&[]);
    test.repo.run(&["update-index", "--untracked-cache"]);
    test.repo.run(&["status"]);
    let change = new_blob(&test, "a.bin", b"another pointer");
    repointing(&test).expect("free").commit(&[change]).expect("writes");
    let bytes = std::fs::read(test.index_path()).expect("reads");
    let has = |signature: &[u8]| bytes.windows(4).any(|window| window == signature);
    assert!(has(b"UNTR") && !has(b"TREE"));
    assert!(test.status().0.contains("M  a.bin"));
}
