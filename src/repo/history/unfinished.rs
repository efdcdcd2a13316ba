//! Commits that only an unfinished operation names: `MERGE_HEAD`, an autostash, and the like.

use std::path::PathBuf;

use crate::repo::{BlobId, Repo};

/// Files in a git folder whose lines begin with the id of a commit (gitrepository-layout(5), and
/// what git's own `refs/files-backend` calls pseudo references).
const FILES: [&str; 11] = [
    "ORIG_HEAD",
    "FETCH_HEAD",
    "MERGE_HEAD",
    "MERGE_AUTOSTASH",
    "AUTO_MERGE",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "rebase-merge/autostash",
    "rebase-merge/orig-head",
    "rebase-apply/autostash",
];

impl Repo {
    /// Returns the git folders of all work trees, that of the repository first.
    pub fn git_dirs(&self) -> Vec<PathBuf> {
        let linked = std::fs::read_dir(self.common_dir().join("worktrees"));
        let linked = linked.into_iter().flatten().flatten().map(|entry| entry.path());
        std::iter::once(self.common_dir().to_owned()).chain(linked).collect()
    }

    /// Returns what unfinished operations of all work trees name, as far as it is here.
    pub(super) fn unfinished_heads(&self) -> Vec<BlobId> {
        let folders = self.git_dirs().into_iter();
        let paths = folders.flat_map(|folder| FILES.map(|name| folder.join(name)));
        let texts = paths.filter_map(|path| std::fs::read(path).ok());
        let mut ids: Vec<BlobId> = texts
            .flat_map(|text| {
                let lines = text.split(|byte| *byte == b'\n');
                let words = lines.filter_map(|line| line.split(u8::is_ascii_whitespace).next());
                words.filter_map(BlobId::parse_hex).collect::<Vec<_>>()
            })
            .filter(|id| self.has_object(*id))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}
