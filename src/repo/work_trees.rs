//! The other work trees of a repository, and what lies in one that git does not know of.

use std::path::{Path, PathBuf};

use super::process::Git;
use super::{Error, Repo, process};
use crate::fs::{IoContext as _, read_small};
use crate::repo_path::bytes_to_os_path;

/// Longest path of a work tree that is read.
const MAX_FILE_BYTES: u64 = 64 * 1024;

impl Repo {
    /// Opens the repository once for each of its other work trees that is there.
    ///
    /// One that was removed, or lies on a disk that is away, is passed over: nothing of it is here.
    ///
    /// # Errors
    /// If one is there and cannot be opened, or it cannot be told where the first one is.
    pub fn other_work_trees(&self) -> Result<Vec<Self>, Error> {
        let mut found = Vec::new();
        for git_dir in self.git_dirs()? {
            if is_same(&git_dir, self.git_dir()) {
                continue;
            }
            if is_same(&git_dir, self.common_dir()) {
                let main = Self::at(&git_dir)?;
                if main.work_tree().is_some() {
                    found.push(main);
                } else if main.config_bool("core.bare") != Some(true) {
                    return Err(Error::WorkTree { git_dir });
                }
            } else if let Some(top) = top_of(&git_dir)? {
                found.push(Self::at(&top)?);
            }
        }
        Ok(found)
    }

    /// Lists the files of the work tree that git neither tracks nor ignores.
    ///
    /// # Errors
    /// If git fails.
    pub fn untracked(&self) -> Result<Vec<Vec<u8>>, process::Error> {
        let args = ["ls-files", "--others", "--exclude-standard", "-z"];
        let listed = Git::of(self)?.run(&args, b"")?.stdout;
        let paths = listed.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        // A folder is a repository of its own.
        Ok(paths.filter(|path| !path.ends_with(b"/")).map(<[u8]>::to_vec).collect())
    }
}

/// Returns the top of the linked work tree that a git folder belongs to, if it is there.
fn top_of(git_dir: &Path) -> Result<Option<PathBuf>, Error> {
    let text = read_small(&git_dir.join("gitdir"), MAX_FILE_BYTES)?.unwrap_or_default();
    let text = text.trim_ascii_end();
    if text.is_empty() {
        return Ok(None);
    }
    // Git 2.48 writes relative paths if it is asked to.
    let dot_git = git_dir.join(bytes_to_os_path(text));
    let top = dot_git.parent().unwrap_or(git_dir);
    match crate::fs::if_exists(std::fs::metadata(&dot_git)).context(&dot_git)? {
        Some(_) => Ok(Some(top.to_owned())),
        None => Ok(None),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::testing::{TestRepo, open};

    fn tops(repo: &Repo) -> Vec<String> {
        let others = repo.other_work_trees().expect("opens");
        let name = |repo: &Repo| {
            let top = repo.work_tree().expect("a work tree");
            top.file_name().expect("a name").to_string_lossy().into_owned()
        };
        let mut names: Vec<String> = others.iter().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn each_work_tree_finds_all_others_that_are_there() {
        let test = TestRepo::new();
        test.commit_all();
        for name in ["one", "two", "gone"] {
            let path = test.beside(name);
            test.run(&["worktree", "add", "--quiet", "--detach", &path.to_string_lossy()]);
        }
        std::fs::remove_dir_all(test.beside("gone")).expect("removes");
        assert_eq!(tops(&test.open()), ["one", "two"]);
        assert_eq!(tops(&open(&test.beside("one"))), ["top", "two"]);
    }

    #[test]
    fn a_first_work_tree_that_cannot_be_found_is_an_error() {
        let test = TestRepo::new();
        test.commit_all();
        let (git_dir, linked) = (test.beside("git"), test.beside("linked"));
        test.run(&["init", "--quiet", "--separate-git-dir", &git_dir.to_string_lossy()]);
        test.run(&["worktree", "add", "--quiet", "--detach", &linked.to_string_lossy()]);
        assert_eq!(tops(&test.open()), ["linked"]);
        let error = open(&linked).other_work_trees().expect_err("it is not written anywhere");
        assert!(matches!(error, Error::WorkTree { .. }), "{error}");
    }

    #[test]
    fn untracked_files_are_those_that_git_would_add() {
        let test = TestRepo::new();
        test.write(".gitignore", b"*.log\n");
        test.write("known", b"1");
        test.commit_all();
        test.write("sub/new\nfile", b"2");
        test.write("x.log", b"3");
        test.run(&["init", "--quiet", "nested"]);
        assert_eq!(test.open().untracked().expect("lists"), [b"sub/new\nfile"]);
    }
}
