//! What holds for all bytes that git-lake reads: no panic, and the laws of each format.
//!
//! One piece of code for two readers: `tests/corpora.rs` replays kept bytes as an ordinary test, and
//! `tests/fuzz` throws new ones at it. Bytes that break a law panic here. A law uses what anybody can
//! call, and nothing of the machine but a temporary folder.

use std::cell::OnceCell;
use std::path::Path;

mod listing;
mod pktline;
mod pointer;
mod queue;
mod receipts;
mod remote_file;
mod settings;
mod tags;
mod url;

/// A law, which panics when bytes break it.
type Law = fn(&[u8]);

/// The laws, by the names of their folders below `tests/corpora`.
pub(crate) const ALL: [(&str, Law); 9] = [
    ("listing", listing::check),
    ("pktline", pktline::check),
    ("pointer", pointer::check),
    ("queue", queue::check),
    ("receipts", receipts::check),
    ("remote_file", remote_file::check),
    ("settings", settings::check),
    ("tags", tags::check),
    ("url", url::check),
];

/// Checks the law of that name for some bytes.
pub(crate) fn check(name: &str, bytes: &[u8]) {
    let law = ALL.iter().find(|law| law.0 == name).expect("a law of that name").1;
    law(bytes);
}

/// Lets `look` work in a folder that is empty, and is emptied again.
fn in_folder(look: impl FnOnce(&Path)) {
    thread_local! {
        static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
    }
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| tempfile::tempdir().expect("a folder"));
        empty(folder.path());
        look(folder.path());
    });
}

fn empty(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("reads").map(|entry| entry.expect("reads")) {
        let path = entry.path();
        match entry.file_type().expect("a kind").is_dir() {
            true => std::fs::remove_dir_all(path).expect("removes"),
            false => std::fs::remove_file(path).expect("removes"),
        }
    }
}
