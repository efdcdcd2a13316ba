//! What git does beside the filter with files that are given to git-lake.

use std::path::PathBuf;

use gix::attrs::StateRef;
use gix::bstr::ByteSlice as _;
use gix::worktree::stack::state::attributes::Source;

use super::{DRIVER, Index, failed, is_attributes_file, state_of};
use crate::repo::{Error, Repo};

/// What attributes say about a file that is given to git-lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The file and the line that give it to git-lake, from 1 on, where they are known.
    pub line: Option<(PathBuf, usize)>,
    /// Whether git leaves its line ends alone.
    pub is_binary: bool,
    /// Whether git-lake merges its pointers.
    pub is_merged: bool,
}

impl Assigned {
    /// Returns the attributes that should be so and are not.
    pub fn missing(&self) -> Vec<&'static str> {
        let needed = [("merge=lake", self.is_merged), ("-text", self.is_binary)];
        needed.into_iter().filter(|(_, is_so)| !is_so).map(|(name, _)| name).collect()
    }
}

/// Answers what attributes say about files that are given to git-lake.
pub struct Assignments<'repo> {
    stack: gix::AttributeStack<'repo>,
    outcome: gix::attrs::search::Outcome,
}

impl<'repo> Assignments<'repo> {
    /// Reads attributes as `git add` does: from the work tree, or where it has none from the index.
    ///
    /// # Errors
    /// If the attribute files of the user or the system cannot be read.
    pub fn of_work_tree(repo: &'repo Repo, index: &Index) -> Result<Self, Error> {
        let files = index.entries().filter(|entry| {
            entry.stage == 0 && entry.kind.is_file() && is_attributes_file(entry.path)
        });
        let state = state_of(repo, files.map(|entry| (entry.path, entry.id)))?;
        let source = Source::WorktreeThenIdMapping.adjust_for_bare(repo.work_tree().is_none());
        let stack = repo.git.attributes_only(&state, source).map_err(failed)?;
        let outcome = stack.selected_attribute_matches(["filter", "merge", "text"]);
        Ok(Self { stack, outcome })
    }

    /// Returns what is said about a path as the index has it; `None` if git does not give it to git-lake.
    ///
    /// # Errors
    /// If the path is not one that the index can have, or an attribute file cannot be read.
    pub fn of(&mut self, path: &[u8]) -> Result<Option<Assigned>, Error> {
        let platform = self.stack.at_entry(path.as_bstr(), None).map_err(failed)?;
        self.outcome.reset();
        platform.matching_attributes(&mut self.outcome);
        let (mut line, mut is_lake, mut is_binary, mut is_merged) = (None, false, false, false);
        for found in self.outcome.iter_selected() {
            let state = found.assignment.state;
            let is_ours = matches!(state, StateRef::Value(value) if value.as_bstr() == DRIVER);
            match found.assignment.name.as_str() {
                "filter" if is_ours => {
                    is_lake = true;
                    let number = found.location.sequence_number;
                    line = found.location.source.map(|source| (source.to_owned(), number));
                }
                "merge" => is_merged = is_ours,
                "text" => is_binary = state == StateRef::Unset,
                _ => {}
            }
        }
        Ok(is_lake.then_some(Assigned { line, is_binary, is_merged }))
    }
}

impl std::fmt::Debug for Assignments<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assignments").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::testing::TestRepo;

    #[test]
    fn what_is_missing_is_told_with_the_line_that_tracks() {
        let repo = TestRepo::new();
        let top = b"# ours\n*.bin filter=lake -text\n*.npy filter=lake merge=lake -text\n*.x binary filter=lake merge=lake\n";
        repo.write(".gitattributes", top);
        repo.write("sub/.gitattributes", b"\nc.npy text\nd.bin merge=lake\ne.bin filter=lake\n");
        for path in ["a.bin", "b.npy", "b.x", "sub/c.npy", "sub/d.bin", "sub/e.bin", "t.txt"] {
            repo.write(path, b"x");
        }
        repo.commit_all();
        let opened = repo.open();
        let index = opened.index().expect("reads");
        let mut assignments = Assignments::of_work_tree(&opened, &index).expect("reads");
        let mut ask = |path: &str| {
            let said = assignments.of(path.as_bytes()).expect("answers")?;
            let (file, number) = said.line.clone().expect("known");
            let file = file.strip_prefix(&repo.top).expect("of the work tree");
            Some((file.to_string_lossy().into_owned(), number, said.missing()))
        };
        let said = |file: &str, number, missing: &[&'static str]| {
            Some((file.to_owned(), number, missing.to_vec()))
        };
        let (top, sub) = (".gitattributes", "sub/.gitattributes");
        assert_eq!(ask("a.bin"), said(top, 2, &["merge=lake"]));
        assert_eq!(ask("b.npy"), said(top, 3, &[]));
        assert_eq!(ask("b.x"), said(top, 4, &[]));
        assert_eq!(ask("sub/c.npy"), said(top, 3, &["-text"]));
        assert_eq!(ask("sub/d.bin"), said(top, 2, &[]));
        assert_eq!(ask("sub/e.bin"), said(sub, 4, &["merge=lake"]));
        assert_eq!(ask("t.txt"), None);
    }
}
