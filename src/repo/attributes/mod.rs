//! Which paths git would give to the filter, by git's own rules.

pub mod assigned;
pub mod lines;

use gix::bstr::ByteSlice as _;
use gix::index::entry::Mode;
use gix::worktree::stack::state::attributes::Source;

use super::index::Index;
use super::objects::to_blob_id;
use super::{BlobId, Error, Repo};
use crate::repo_path::RepoPath;

/// The value of the `filter` attribute that makes a path a lake path.
const DRIVER: &[u8] = b"lake";

/// What files with attributes are called.
const FILE_NAME: &[u8] = b".gitattributes";
/// Files that git or git-lake itself has to read, whatever the attributes say.
const NEVER_TRACKED: [&[u8]; 4] = [FILE_NAME, b".gitignore", b".gitmodules", b".gitlake.toml"];

/// Returns true if git or git-lake itself has to read the file, so that it is never an item.
pub fn is_never_tracked(path: &RepoPath) -> bool {
    NEVER_TRACKED.contains(&path.file_name())
}

/// Returns true if a path, as git has it, is that of a file with attributes.
pub fn is_attributes_file(path: &[u8]) -> bool {
    path.rsplit(|byte| *byte == b'/').next() == Some(FILE_NAME)
}

/// The files with attributes that a commit has: equal ones say the same of every path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttributesFiles(Vec<(Vec<u8>, BlobId)>);

impl AttributesFiles {
    /// Reads which ones a commit or tree has.
    ///
    /// # Errors
    /// If `treeish` names nothing or a tree is missing.
    pub fn of_tree(repo: &Repo, treeish: &str) -> Result<Self, Error> {
        let Some(tree) = repo.tree(treeish)? else {
            return Ok(Self::default());
        };
        let index = repo.git.index_from_tree(&tree.id).map_err(failed)?;
        let files = index.entries().iter().filter(|entry| {
            let is_file = matches!(entry.mode, Mode::FILE | Mode::FILE_EXECUTABLE);
            is_file && is_attributes_file(entry.path(&index))
        });
        let files = files.map(|entry| (entry.path(&index).to_vec(), to_blob_id(&entry.id)));
        Ok(Self(files.collect()))
    }
}

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
        let files = index.entries().filter(|entry| {
            entry.stage == 0 && entry.kind.is_file() && is_attributes_file(entry.path)
        });
        let state = state_of(repo, files.map(|entry| (entry.path, entry.id)))?;
        let source = Source::WorktreeThenIdMapping.adjust_for_bare(repo.work_tree().is_none());
        Self::new(repo, &state, source)
    }

    /// Reads attributes from a commit or tree, as where there is no work tree.
    ///
    /// # Errors
    /// If `treeish` names nothing or a tree is missing.
    pub fn of_tree(repo: &'repo Repo, treeish: &str) -> Result<Self, Error> {
        Self::of_files(repo, &AttributesFiles::of_tree(repo, treeish)?)
    }

    /// Reads attributes from these files, as where there is no work tree.
    ///
    /// # Errors
    /// If the attribute files of the user or the system cannot be read.
    pub fn of_files(repo: &'repo Repo, files: &AttributesFiles) -> Result<Self, Error> {
        let files = files.0.iter().map(|(path, id)| (path.as_slice(), *id));
        Self::new(repo, &state_of(repo, files)?, Source::IdMapping)
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

/// Makes an index of nothing but these files.
fn state_of<'a>(
    repo: &Repo,
    files: impl Iterator<Item = (&'a [u8], BlobId)>,
) -> Result<gix::index::State, Error> {
    let mut state = gix::index::State::new(repo.git.object_hash());
    for (path, id) in files {
        state.dangerously_push_entry(
            gix::index::entry::Stat::default(),
            gix::ObjectId::try_from(id.as_bytes()).map_err(failed)?,
            gix::index::entry::Flags::empty(),
            Mode::FILE,
            path.as_bstr(),
        );
    }
    Ok(state)
}

fn failed(source: gix::Error) -> Error {
    Error::Attributes { source: source.into() }
}

#[cfg(test)]
mod tests;
