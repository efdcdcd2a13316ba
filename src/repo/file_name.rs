//! Naming one file of the index or of a commit, as `git cat-file` and `git show` take it.

use std::ffi::OsStr;
use std::path::{Component, Path};

use super::index::EntryKind;
use super::{BlobId, Error as RepoError, Repo};
use crate::repo_path::{RepoPath, os_path_to_bytes};

/// Says why a name means no file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path leads out of the work tree.
    #[error("`{0}` is outside of the repository")]
    Outside(String),
    /// A path of a commit that is none, such as `HEAD:/a` or `HEAD:a/../b`.
    #[error("`{0}` is no path from the top of a commit: `REF:./PATH` begins at the current folder")]
    NoPath(String),
    /// There is nothing at the path.
    #[error("There is no `{path}` in {place}")]
    Absent {
        /// From the top of the work tree.
        path: String,
        /// The index or the commit, in words.
        place: String,
    },
    /// The path is that of a folder.
    #[error("`{0}` is a folder")]
    Folder(String),
    /// The path is that of a submodule.
    #[error("`{0}` is a submodule")]
    Submodule(String),
    /// A merge left a conflict at the path.
    #[error("A merge left a conflict in `{0}`: `:2:{0}` is ours, `:3:{0}` is theirs")]
    Unmerged(String),
    /// The index knows the path and no content.
    #[error("`{0}` was only announced by `git add --intent-to-add`")]
    IntentToAdd(String),
    /// The repository could not be read.
    #[error(transparent)]
    Repo(#[from] RepoError),
}

/// A file that a person names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileName {
    /// In the index.
    InIndex {
        /// 0, or the side of a conflict.
        stage: u8,
        /// Where.
        path: RepoPath,
    },
    /// In a commit or tree.
    InTree {
        /// The revision, as it was typed.
        treeish: String,
        /// Where, from its top.
        path: RepoPath,
    },
}

impl FileName {
    /// Understands `REF:PATH`, with PATH from the top or, with `./` or `../`, from the current folder;
    /// `:PATH` and `:N:PATH`, the same in the index; and a path alone, from the current folder.
    ///
    /// What begins with `./`, `../` or `/` is a path whatever colons it has. `prefix` is the current
    /// folder, from the top, as [`Repo::prefix_of`] gives it. Looks at nothing.
    ///
    /// # Errors
    /// If the path cannot be one of the repository.
    pub fn parse(typed: &OsStr, prefix: &Prefix) -> Result<Self, Error> {
        let text = os_path_to_bytes(Path::new(typed)).into_owned();
        let is_path = [&b"./"[..], b"../", b"/"].iter().any(|begin| text.starts_with(begin));
        let Some(colon) = colon_of(&text).filter(|_| !is_path) else {
            return Ok(Self::InIndex { stage: 0, path: prefix.resolve(Path::new(typed))? });
        };
        let (treeish, path) = (&text[..colon], &text[colon + 1..]);
        if !treeish.is_empty() {
            let treeish = String::from_utf8_lossy(treeish).into_owned();
            return Ok(Self::InTree { treeish, path: from_top(path, prefix)? });
        }
        match path {
            [digit @ b'0'..=b'3', b':', path @ ..] => {
                Ok(Self::InIndex { stage: digit - b'0', path: from_top(path, prefix)? })
            }
            path => Ok(Self::InIndex { stage: 0, path: from_top(path, prefix)? }),
        }
    }

    /// Returns the path from the top.
    pub fn path(&self) -> &RepoPath {
        match self {
            Self::InIndex { path, .. } | Self::InTree { path, .. } => path,
        }
    }
}

/// Returns where the revision ends: at the first colon that is not in braces, as in `HEAD@{12:30}`.
fn colon_of(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    text.iter().position(|byte| {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        *byte == b':' && depth == 0
    })
}

fn from_top(path: &[u8], prefix: &Prefix) -> Result<RepoPath, Error> {
    if path.starts_with(b"./") || path.starts_with(b"../") {
        return prefix.resolve(&crate::repo_path::bytes_to_os_path(path));
    }
    let shown = || String::from_utf8_lossy(path).into_owned();
    RepoPath::parse(path).ok_or_else(|| Error::NoPath(shown()))
}

/// The current folder, as paths that a person types begin there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefix {
    /// The top of the work tree, with links followed; empty without one.
    top: std::path::PathBuf,
    /// From the top; `None` where the current folder lies outside.
    folders: Option<Vec<Vec<u8>>>,
}

impl Prefix {
    /// Resolves a path from the current folder, or an absolute one; follows no links.
    fn resolve(&self, path: &Path) -> Result<RepoPath, Error> {
        let outside = || Error::Outside(path.display().to_string());
        let (mut folders, path) = match path.strip_prefix(&self.top) {
            Ok(below) if path.is_absolute() && !self.top.as_os_str().is_empty() => {
                (Vec::new(), below)
            }
            _ if path.is_absolute() => return Err(outside()),
            _ => (self.folders.clone().ok_or_else(outside)?, path),
        };
        for component in path.components() {
            match component {
                Component::Normal(name) => {
                    folders.push(os_path_to_bytes(Path::new(name)).into_owned());
                }
                Component::ParentDir => drop(folders.pop().ok_or_else(outside)?),
                Component::CurDir => {}
                Component::Prefix(_) | Component::RootDir => return Err(outside()),
            }
        }
        // Nothing is left of the top itself.
        let whole = folders.join(&b'/');
        RepoPath::parse(&whole).ok_or_else(|| match whole.is_empty() {
            true => Error::Folder(path.display().to_string()),
            false => outside(),
        })
    }
}

impl Repo {
    /// Finds out where a folder lies in the work tree; without one, paths begin at the top.
    pub fn prefix_of(&self, folder: &Path) -> Prefix {
        let Some(top) = self.work_tree() else {
            return Prefix { folders: Some(Vec::new()), ..Prefix::default() };
        };
        let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let (top, folder) = (real(top), real(folder));
        let below = folder.strip_prefix(&top).ok().map(|below| {
            let names = below.components().map(|name| Path::new(name.as_os_str()));
            names.map(|name| os_path_to_bytes(name).into_owned()).collect()
        });
        Prefix { top, folders: below }
    }

    /// Finds the blob of a file, or of a link.
    ///
    /// # Errors
    /// If there is none.
    pub fn blob_named(&self, name: &FileName) -> Result<BlobId, Error> {
        match name {
            FileName::InIndex { stage, path } => self.blob_in_index(*stage, path),
            FileName::InTree { treeish, path } => {
                self.blob_in_tree(treeish, path, || format!("`{treeish}`"))
            }
        }
    }

    fn blob_in_index(&self, stage: u8, path: &RepoPath) -> Result<BlobId, Error> {
        let index = self.index().map_err(RepoError::from)?;
        let shown = || path.display().into_owned();
        if let Some(entry) = index.at(path.as_bytes()).find(|entry| entry.stage == stage) {
            return match entry.kind {
                EntryKind::Gitlink => Err(Error::Submodule(shown())),
                _ if entry.is_intent_to_add => Err(Error::IntentToAdd(shown())),
                _ => Ok(entry.id),
            };
        }
        if stage == 0 && index.at(path.as_bytes()).len() > 0 {
            return Err(Error::Unmerged(shown()));
        }
        let place = || "the index".to_owned();
        for entry in index.entries() {
            if entry.path.strip_prefix(path.as_bytes()).is_some_and(|rest| rest.starts_with(b"/")) {
                return Err(Error::Folder(shown()));
            }
            // A sparse index holds folders as a whole, with a slash at their end.
            if entry.kind == EntryKind::SparseFolder
                && let Some(rest) = path.as_bytes().strip_prefix(entry.path)
                && let Some(rest) = RepoPath::parse(rest)
            {
                return self.blob_in_tree(&entry.id.to_string(), &rest, place);
            }
        }
        Err(Error::Absent { path: shown(), place: place() })
    }

    fn blob_in_tree(
        &self,
        treeish: &str,
        path: &RepoPath,
        place: impl Fn() -> String,
    ) -> Result<BlobId, Error> {
        let shown = || path.display().into_owned();
        let absent = || Error::Absent { path: shown(), place: place() };
        match self.entry_at(treeish, path)?.ok_or_else(absent)? {
            (mode, _) if mode.is_tree() => Err(Error::Folder(shown())),
            (mode, _) if mode.is_commit() => Err(Error::Submodule(shown())),
            (_, blob) => Ok(blob),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::testing::{TestRepo, path};

    fn parse(typed: &str, prefix: &Prefix) -> Result<FileName, String> {
        FileName::parse(OsStr::new(typed), prefix).map_err(|error| error.to_string())
    }

    fn in_index(stage: u8, at: &str) -> Result<FileName, String> {
        Ok(FileName::InIndex { stage, path: path(at) })
    }

    fn in_tree(treeish: &str, at: &str) -> Result<FileName, String> {
        Ok(FileName::InTree { treeish: treeish.to_owned(), path: path(at) })
    }

    #[test]
    fn names_are_understood_as_git_does() {
        let sub = Prefix { top: "/top".into(), folders: Some(vec![b"sub".into(), b"deep".into()]) };
        let table = [
            ("a", in_index(0, "sub/deep/a")),
            ("./a:b", in_index(0, "sub/deep/a:b")),
            ("../../a", in_index(0, "a")),
            ("/top/x/a", in_index(0, "x/a")),
            (":a", in_index(0, "a")),
            (":./a", in_index(0, "sub/deep/a")),
            (":2:a", in_index(2, "a")),
            (":3:../a", in_index(3, "sub/a")),
            ("HEAD:a/b", in_tree("HEAD", "a/b")),
            ("v1:a:b", in_tree("v1", "a:b")),
            ("HEAD:./a", in_tree("HEAD", "sub/deep/a")),
            ("HEAD@{12:30}:../a", in_tree("HEAD@{12:30}", "sub/a")),
            ("../../../a", Err("`../../../a` is outside of the repository".to_owned())),
            ("/topmost/a", Err("`/topmost/a` is outside of the repository".to_owned())),
            ("HEAD:../../../a", Err("`../../../a` is outside of the repository".to_owned())),
            ("../..", Err("`../..` is a folder".to_owned())),
            (
                "HEAD:/a",
                Err("`/a` is no path from the top of a commit: `REF:./PATH` begins at the current folder"
                    .to_owned()),
            ),
        ];
        for (typed, expected) in table {
            assert_eq!(parse(typed, &sub), expected, "{typed}");
        }
        let elsewhere = Prefix { top: "/top".into(), folders: None };
        assert_eq!(parse("/top/a", &elsewhere), in_index(0, "a"));
        assert_eq!(parse("HEAD:a", &elsewhere), in_tree("HEAD", "a"));
        parse("a", &elsewhere).expect_err("nobody knows where from");
        let bare = Prefix { folders: Some(Vec::new()), ..Prefix::default() };
        assert_eq!(parse("a/b", &bare), in_index(0, "a/b"));
        parse("/a", &bare).expect_err("a bare repository has no folder");
    }

    #[test]
    fn only_files_and_links_have_a_blob() {
        let test = TestRepo::new();
        test.write("sub/a", b"1");
        test.commit_all();
        test.write("sub/a", b"2");
        test.write("new", b"");
        let commit = format!("160000,{},module", "1".repeat(40));
        test.run(&["update-index", "--add", "--cacheinfo", &commit]);
        test.run(&["add", "sub/a"]);
        test.run(&["add", "--intent-to-add", "new"]);
        let link = format!("120000,{},link", test.blob(b"sub/a"));
        test.run(&["update-index", "--add", "--cacheinfo", &link]);
        let repo = test.open();
        let prefix = repo.prefix_of(&test.top.join("sub"));
        let find = |typed: &str| {
            let name = FileName::parse(OsStr::new(typed), &prefix).expect("a name");
            repo.blob_named(&name).map_err(|error| error.to_string())
        };
        assert_eq!(find("a"), Ok(test.blob(b"2")));
        assert_eq!(find("HEAD:./a"), Ok(test.blob(b"1")));
        assert_eq!(find(":link"), Ok(test.blob(b"sub/a")));
        let table = [
            ("HEAD:sub", "`sub` is a folder"),
            (":sub", "`sub` is a folder"),
            (":module", "`module` is a submodule"),
            (":new", "`new` was only announced by `git add --intent-to-add`"),
            ("none", "There is no `sub/none` in the index"),
            ("HEAD:none", "There is no `none` in `HEAD`"),
            ("nope:none", "Could not find revision `nope`"),
        ];
        for (typed, expected) in table {
            assert_eq!(find(typed), Err(expected.to_owned()), "{typed}");
        }
    }
}
