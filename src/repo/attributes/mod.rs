//! Which paths git would give to the filter, by git's own rules.

use gix::bstr::ByteSlice as _;
use gix::worktree::stack::state::attributes::Source;

use super::index::Index;
use super::{Error, Repo};
use crate::repo_path::RepoPath;

/// The value of the `filter` attribute that makes a path a lake path.
const DRIVER: &[u8] = b"lake";

/// Answers which paths have `filter=lake`; fastest when paths of one folder are asked in a row.
///
/// Sees `.gitattributes` files as they were when it first passed their folder.
pub struct LakePaths<'repo> {
    stack: gix::AttributeStack<'repo>,
    outcome: gix::attrs::search::Outcome,
}

impl<'repo> LakePaths<'repo> {
    /// Reads attributes as `git add` does: from the work tree, or where it has none from the index.
    ///
    /// # Errors
    /// If the attribute files of the user or the system cannot be read.
    pub fn of_work_tree(repo: &'repo Repo, index: &Index) -> Result<Self, Error> {
        // Only the entries that matter: decoding all of a large index takes much longer.
        let mut state = gix::index::State::new(repo.git.object_hash());
        for entry in index.entries() {
            let is_attributes = entry.path.ends_with(b".gitattributes") && entry.kind.is_file();
            if is_attributes && entry.stage == 0 {
                state.dangerously_push_entry(
                    gix::index::entry::Stat::default(),
                    gix::ObjectId::try_from(entry.id.as_bytes()).map_err(failed)?,
                    gix::index::entry::Flags::empty(),
                    gix::index::entry::Mode::FILE,
                    entry.path.as_bstr(),
                );
            }
        }
        let source = Source::WorktreeThenIdMapping.adjust_for_bare(repo.work_tree().is_none());
        Self::new(repo, &state, source)
    }

    /// Reads attributes from a commit or tree, as where there is no work tree.
    ///
    /// # Errors
    /// If `treeish` names nothing or a tree is missing.
    pub fn of_tree(repo: &'repo Repo, treeish: &str) -> Result<Self, Error> {
        let state = match repo.tree(treeish)? {
            None => gix::index::State::new(repo.git.object_hash()),
            Some(tree) => {
                let file = repo.git.index_from_tree(&tree.id).map_err(failed)?;
                file.into_parts().0
            }
        };
        Self::new(repo, &state, Source::IdMapping)
    }

    fn new(repo: &'repo Repo, state: &gix::index::State, source: Source) -> Result<Self, Error> {
        let stack = repo.git.attributes_only(state, source).map_err(failed)?;
        let outcome = stack.selected_attribute_matches(["filter"]);
        Ok(Self { stack, outcome })
    }

    /// Returns true if git gives the file at `path` to the filter.
    ///
    /// # Errors
    /// If an attribute file on the way cannot be read.
    pub fn contains(&mut self, path: &RepoPath) -> Result<bool, Error> {
        self.contains_bytes(path.as_bytes())
    }

    /// Like [`LakePaths::contains`], for a path as the index has it.
    ///
    /// # Errors
    /// If the path is not one that the index can have, or an attribute file cannot be read.
    pub fn contains_bytes(&mut self, path: &[u8]) -> Result<bool, Error> {
        let platform = self.stack.at_entry(path.as_bstr(), None).map_err(failed)?;
        self.outcome.reset();
        platform.matching_attributes(&mut self.outcome);
        let is_lake = self.outcome.iter_selected().any(|found| {
            matches!(found.assignment.state,
                gix::attrs::StateRef::Value(value) if value.as_bstr() == DRIVER)
        });
        Ok(is_lake)
    }
}

impl std::fmt::Debug for LakePaths<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LakePaths").finish_non_exhaustive()
    }
}

fn failed(source: gix::Error) -> Error {
    Error::Attributes { source: source.into() }
}

#[cfg(test)]
mod tests;
