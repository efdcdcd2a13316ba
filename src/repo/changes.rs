//! What differs between two states of the repository, as `git diff` finds it.
//!
//! Git's plumbing compares: it finds renames, and it neither runs filters to look into files whose stat
//! data changed nor writes the index. Such a file is reported, whether its content changed or not.

use std::ffi::OsString;
use std::path::Path;

use super::objects::to_blob_id;
use super::process::{self, Git};
use super::{BlobId, Environment, Error as RepoError, Repo};

/// Says why states could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Git could not be run, or failed.
    #[error(transparent)]
    Git(#[from] process::Error),
    /// A state does not exist.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// Two commits have no history in common.
    #[error("`{one}` and `{two}` come from no common commit")]
    Unrelated {
        /// As it was asked for.
        one: String,
        /// As it was asked for.
        two: String,
    },
    /// Git's answer is not what its documentation promises.
    #[error("Could not understand what `git diff` answered")]
    Answer,
}

/// Two states of a repository, the older one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Between {
    /// The index and the work tree.
    IndexAndWorkTree,
    /// A commit or tree and the work tree.
    TreeAndWorkTree(String),
    /// A commit or tree and the index.
    TreeAndIndex(String),
    /// Two commits or trees.
    Trees(String, String),
    /// The commit that two commits come from, and the second of them.
    MergeBaseAnd(String, String),
}

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// Something about it changed; of a file in the work tree perhaps its date only.
    Modified,
    /// It had another path.
    Renamed,
    /// A merge left it to a person.
    Unmerged,
}

impl Change {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Deleted => "deleted",
            Self::Modified => "modified",
            Self::Renamed => "renamed",
            Self::Unmerged => "unmerged",
        }
    }
}

/// A file at one of two states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// From the top of the work tree.
    pub path: Vec<u8>,
    /// Its blob; `None` for a file of the work tree that git would have to look into.
    pub blob: Option<BlobId>,
}

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What happened.
    pub change: Change,
    /// What was there; `None` if there was no regular file.
    pub old: Option<Side>,
    /// What is there; `None` if there is no regular file.
    pub new: Option<Side>,
}

/// Returns what differs, in git's order; `pathspecs` are as typed in `folder`.
///
/// A path that is not merged comes once, with the blobs of both sides of the merge where the index has
/// them.
///
/// # Errors
/// If a state does not exist, or git fails.
pub fn between(
    repo: &Repo,
    folder: &Path,
    states: &Between,
    pathspecs: &[OsString],
) -> Result<Vec<Difference>, Error> {
    let (command, trees) = match states {
        Between::IndexAndWorkTree => ("diff-files", vec![]),
        Between::TreeAndWorkTree(tree) => ("diff-index", vec![repo.tree_id(tree)?]),
        Between::TreeAndIndex(tree) => ("diff-index", vec![repo.tree_id(tree)?]),
        Between::Trees(old, new) => ("diff-tree", vec![repo.tree_id(old)?, repo.tree_id(new)?]),
        Between::MergeBaseAnd(old, new) => {
            let unrelated = || Error::Unrelated { one: old.clone(), two: new.clone() };
            let base = repo.merge_base(old, new)?.ok_or_else(unrelated)?;
            ("diff-tree", vec![base, repo.tree_id(new)?])
        }
    };
    let mut args: Vec<OsString> =
        [command, "-r", "-z", "--raw", "-M", "--no-abbrev"].map(Into::into).into();
    args.extend(["--no-ext-diff", "--no-relative", "--ignore-submodules=all"].map(OsString::from));
    if matches!(states, Between::TreeAndIndex(_)) {
        args.push("--cached".into());
    }
    args.extend(trees.iter().map(|tree| tree.to_string().into()));
    args.push("--".into());
    args.extend_from_slice(pathspecs);
    let mut stream = Git::find(&Environment::read(), folder)?.stream(&args, Vec::new())?;
    let mut next = || stream.next_record(0).map_err(|_| Error::Answer);
    let mut found: Vec<Difference> = Vec::new();
    while let Some(record) = next()? {
        let difference = parse(&record, &mut || next()?.ok_or(Error::Answer))?;
        let is_same = |other: &Difference| path_of(other) == path_of(&difference);
        match found.last().filter(|last| is_same(last)).map(|last| last.change) {
            // Git also compares the file with our side of the merge.
            Some(Change::Unmerged) => {}
            Some(_) if difference.change == Change::Unmerged => {
                found.pop();
                found.push(difference);
            }
            _ => found.push(difference),
        }
    }
    stream.finish()?;
    if found.iter().any(|difference| difference.change == Change::Unmerged) {
        look_up_unmerged(repo, &mut found)?;
    }
    Ok(found)
}

fn path_of(difference: &Difference) -> Option<&[u8]> {
    let side = difference.new.as_ref().or(difference.old.as_ref())?;
    Some(&side.path)
}

/// Takes ours for the old state of what is not merged, and theirs for the new one.
fn look_up_unmerged(repo: &Repo, found: &mut Vec<Difference>) -> Result<(), Error> {
    let index = repo.index().map_err(RepoError::from)?;
    for difference in found.iter_mut().filter(|found| found.change == Change::Unmerged) {
        let path = path_of(difference).unwrap_or_default().to_vec();
        let stage = |wanted: u8| {
            let entry = index.at(&path).find(|entry| entry.stage == wanted && entry.kind.is_file());
            entry.map(|entry| Side { path: path.clone(), blob: Some(entry.id) })
        };
        (difference.old, difference.new) = (stage(2), stage(3));
    }
    found.retain(|difference| path_of(difference).is_some());
    Ok(())
}

/// Parses one record: `:<mode> <mode> <id> <id> <status>`, then one path, or two of a rename.
fn parse(
    record: &[u8],
    next: &mut dyn FnMut() -> Result<Vec<u8>, Error>,
) -> Result<Difference, Error> {
    let words: Vec<&[u8]> = record.split(|byte| *byte == b' ').collect();
    let [old_mode, new_mode, old_id, new_id, status] = words[..] else {
        return Err(Error::Answer);
    };
    let old_mode = old_mode.strip_prefix(b":").ok_or(Error::Answer)?;
    let change = match status.first() {
        Some(b'A') => Change::Added,
        Some(b'D') => Change::Deleted,
        Some(b'M' | b'T') => Change::Modified,
        Some(b'R') => Change::Renamed,
        Some(b'U') => Change::Unmerged,
        _ => return Err(Error::Answer),
    };
    let old_path = next()?;
    let new_path = if change == Change::Renamed { next()? } else { old_path.clone() };
    let side = |mode: &[u8], id: &[u8], path: Vec<u8>| {
        let id = BlobId::parse_hex(id).ok_or(Error::Answer)?;
        // Regular files are the only ones that git filters.
        let is_file = mode.starts_with(b"100") || change == Change::Unmerged;
        Ok::<_, Error>(is_file.then(|| Side { path, blob: Some(id).filter(|id| !id.is_zero()) }))
    };
    let (old, new) = (side(old_mode, old_id, old_path)?, side(new_mode, new_id, new_path)?);
    Ok(Difference { change, old, new })
}

impl Repo {
    /// Returns the id of the commit that a revision leads to.
    ///
    /// # Errors
    /// If it leads to none.
    pub fn commit_id(&self, revision: &str) -> Result<BlobId, RepoError> {
        let failed = |source: gix::Error| RepoError::Revision {
            revision: revision.to_owned(),
            source: source.into(),
        };
        let id = self.git.rev_parse_single(revision).map_err(failed)?;
        let commit = id.object().and_then(|object| object.peel_to_commit()).map_err(failed)?;
        Ok(to_blob_id(&commit.id))
    }

    /// Returns the best commit that two commits come from; `None` if their histories have nothing in
    /// common.
    ///
    /// # Errors
    /// If one of them does not exist, or the history cannot be read.
    pub fn merge_base(&self, one: &str, two: &str) -> Result<Option<BlobId>, RepoError> {
        let resolve = |revision: &str| {
            let id = self.commit_id(revision)?;
            Ok::<_, RepoError>(gix::ObjectId::try_from(id.as_bytes()).expect("an id of this repo"))
        };
        let base = self.git.merge_base(resolve(one)?, resolve(two)?);
        let base = base.map_err(|error| RepoError::Revision {
            revision: format!("{one}...{two}"),
            source: error.into(),
        })?;
        Ok(base.map(|base| to_blob_id(&base)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::testing::TestRepo;

    fn lines(test: &TestRepo, states: &Between) -> Vec<String> {
        let top = test.open().work_tree().expect("a work tree").to_owned();
        let found = between(&test.open(), &top, states, &[]).expect("compares");
        let shown = |side: &Option<Side>| match side {
            None => "-".to_owned(),
            Some(Side { path, blob }) => {
                format!(
                    "{}{}",
                    String::from_utf8_lossy(path),
                    if blob.is_some() { "" } else { "?" }
                )
            }
        };
        let line = |found: &Difference| {
            format!("{:?} {} {}", found.change, shown(&found.old), shown(&found.new))
        };
        found.iter().map(line).collect()
    }

    #[test]
    fn states_are_compared_as_git_does() {
        let test = TestRepo::new();
        let head = || "HEAD".to_owned();
        test.write("kept", b"1\n2\n3\n4\n");
        test.run(&["add", "."]);
        assert_eq!(lines(&test, &Between::TreeAndIndex(head())), ["Added - kept"]);
        test.write("gone", b"gone\n");
        let first = test.commit_all();
        test.run(&["mv", "kept", "moved\nfile"]);
        test.run(&["rm", "-q", "gone"]);
        let second = test.commit_all();
        let expected = ["Deleted gone -", "Renamed kept moved\nfile"];
        assert_eq!(lines(&test, &Between::Trees(first.clone(), second.clone())), expected);
        assert_eq!(lines(&test, &Between::TreeAndWorkTree(first.clone())), expected);
        assert_eq!(lines(&test, &Between::MergeBaseAnd(second.clone(), first)), [""; 0]);
        assert_eq!(lines(&test, &Between::IndexAndWorkTree), [""; 0]);
        test.write("moved\nfile", b"other\n");
        assert_eq!(lines(&test, &Between::IndexAndWorkTree), ["Modified moved\nfile moved\nfile?"]);
        let nowhere = Between::TreeAndIndex("--output=x".into());
        let top = test.open().work_tree().expect("a work tree").to_owned();
        assert!(matches!(between(&test.open(), &top, &nowhere, &[]), Err(Error::Repo(_))));
    }

    #[test]
    fn what_is_not_merged_comes_once_with_both_sides() {
        let test = TestRepo::new();
        test.write("file", b"base\n");
        let base = test.commit_all();
        test.write("file", b"theirs\n");
        let theirs = test.commit_all();
        test.run(&["reset", "-q", "--hard", &base]);
        test.write("file", b"ours\n");
        test.commit_all();
        let merged = test.git().run(&["merge", "-q", &theirs], b"");
        assert!(merged.is_err());
        for states in [Between::IndexAndWorkTree, Between::TreeAndIndex("HEAD".into())] {
            assert_eq!(lines(&test, &states), ["Unmerged file file"], "{states:?}");
        }
        // A commit has one version of it, and so has the work tree.
        let states = Between::TreeAndWorkTree("HEAD".into());
        assert_eq!(lines(&test, &states), ["Modified file file?"]);
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_an_error() {
        let id = "1".repeat(40);
        let records = [
            String::new(),
            format!(":100644 100644 {id} {id}"),
            format!(":100644 100644 {id} {id} X"),
            format!(":100644 100644 {id} zz M"),
        ];
        for record in records {
            let parsed = parse(record.as_bytes(), &mut || Ok(b"path".to_vec()));
            assert!(matches!(parsed, Err(Error::Answer)), "{record}");
        }
    }
}
