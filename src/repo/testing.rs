//! Repositories made by real git in temporary folders, for tests.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::process::Git;
use super::{BlobId, Environment, Repo};
use crate::fs::{Shared, write_atomic};
use crate::repo_path::RepoPath;

/// A repository that vanishes when dropped.
pub(crate) struct TestRepo {
    folder: tempfile::TempDir,
    /// The top of the work tree, without links in it.
    pub(crate) top: PathBuf,
}

impl TestRepo {
    pub(crate) fn new() -> Self {
        Self::with_args(&[])
    }

    /// Makes a repository by `git init` with these arguments.
    pub(crate) fn with_args(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let real = std::fs::canonicalize(folder.path()).expect("exists");
        let top = real.join("top");
        std::fs::create_dir_all(&top).expect("creates");
        std::fs::create_dir_all(real.join("home")).expect("creates");
        let repo = Self { folder, top };
        let mut init = vec!["init", "--quiet", "--initial-branch=main"];
        init.extend(args);
        repo.run(&init);
        repo
    }

    /// Returns a folder beside the repository.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.top.parent().expect("a folder above").join(name)
    }

    pub(crate) fn git_in(&self, folder: &Path) -> Git {
        Git::hermetic(None, folder, &self.folder.path().join("home"))
    }

    pub(crate) fn git(&self) -> Git {
        self.git_in(&self.top)
    }

    /// Runs git at the top and returns what it writes, without the last line end.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: &[A]) -> String {
        self.run_with(args, b"")
    }

    pub(crate) fn run_with<A: AsRef<OsStr>>(&self, args: &[A], stdin: &[u8]) -> String {
        text(&self.git(), args, stdin)
    }

    pub(crate) fn write(&self, path: &str, content: &[u8]) -> PathBuf {
        let path = self.top.join(path);
        let folder = path.parent().expect("a folder");
        std::fs::create_dir_all(folder).expect("creates");
        write_atomic(&path, content, Shared::Yes).expect("writes");
        path
    }

    pub(crate) fn commit_all(&self) -> String {
        self.run(&["add", "--all"]);
        self.run(&["commit", "--quiet", "--allow-empty", "--message=x"]);
        self.run(&["rev-parse", "HEAD"])
    }

    /// Writes a blob into the object database.
    pub(crate) fn blob(&self, content: &[u8]) -> BlobId {
        id(&self.run_with(&["hash-object", "-w", "--stdin"], content))
    }

    pub(crate) fn open(&self) -> Repo {
        open(&self.top)
    }
}

/// Returns true if git is of this version or newer; older ones lack what a few tests compare with.
pub(crate) fn git_is_at_least(wanted: (u32, u32)) -> bool {
    let home = std::env::temp_dir();
    let version = text(&Git::hermetic(None, &home, &home), &["version"], b"");
    let mut numbers = version.split([' ', '.']).filter_map(|word| word.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= wanted
}

/// Opens a repository with nothing but its own settings.
pub(crate) fn open(folder: &Path) -> Repo {
    let permissions = gix::open::Permissions::isolated();
    Repo::discover_with(folder, &Environment::default(), permissions).expect("opens")
}

/// Runs git and returns what it writes, without the last line end.
pub(crate) fn text<A: AsRef<OsStr>>(git: &Git, args: &[A], stdin: &[u8]) -> String {
    let output = git.run(args, stdin).expect("git succeeds");
    let text = String::from_utf8(output.stdout).expect("text");
    text.strip_suffix('\n').unwrap_or(&text).to_owned()
}

pub(crate) fn id(hex: &str) -> BlobId {
    BlobId::parse_hex(hex.as_bytes()).expect("an id")
}

pub(crate) fn path(text: &str) -> RepoPath {
    RepoPath::parse(text.as_bytes()).expect("a path")
}
