//! Writing beneath a folder without ever leaving it.
//!
//! The work tree belongs to whoever made the repository: a component of a path may have become a
//! symbolic link to anywhere. Each component is opened without following links, and the last step
//! is a rename relative to the folder that was really reached.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::Stamp;
use crate::repo_path::RepoPath;

/// The folder that holds a path's last component, reached without following a link.
#[derive(Debug)]
pub struct Parent {
    inner: imp::Parent,
}

impl Parent {
    /// Opens the folder of `path` beneath `root`; `None` if a folder on the way does not exist.
    ///
    /// # Errors
    /// If a component on the way is a symbolic link or no folder, or enters git's own folder.
    pub fn open(root: &Path, path: &RepoPath) -> io::Result<Option<Self>> {
        let tree = super::if_exists(Tree::open(root))?;
        tree.map_or(Ok(None), |tree| tree.parent(path))
    }

    /// Opens the file, if it is a regular one and not a symbolic link, and returns its stat data as well.
    ///
    /// # Errors
    /// If it does not exist, cannot be read, or is anything else.
    pub fn open_file(&self) -> io::Result<(File, Metadata)> {
        self.inner.open_file().and_then(regular)
    }

    /// Moves the file `staged`, which must be on the same file system, to the path, if the file there
    /// still is the one that `expected` describes; afterwards nothing is left at `staged`.
    ///
    /// Where names can be exchanged (Linux), a file that is saved to the path at the last moment is
    /// kept and false returned; elsewhere there is a moment in which it would be replaced. False as well if
    /// there is no file any more.
    ///
    /// # Errors
    /// If the rename fails; `CrossesDevices` if the file systems differ.
    pub fn swap_in(&self, staged: &Path, expected: &Metadata) -> io::Result<bool> {
        match self.inner.exchange_with(staged) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) if is_unsupported(&error) => {
                self.inner.replace_with(staged)?;
                return Ok(true);
            }
            Err(error) => return Err(error),
        }
        let out = std::fs::symlink_metadata(staged)?;
        let same = Stamp::of(expected).is_of(&out);
        if !same {
            self.inner.exchange_with(staged)?;
        }
        std::fs::remove_file(staged)?;
        Ok(same)
    }

    /// Moves the file `staged` to the path, if nothing is there; false if something is. Afterwards nothing is
    /// left at `staged` where true is returned.
    ///
    /// # Errors
    /// If the rename fails; `CrossesDevices` if the file systems differ.
    pub fn put_new(&self, staged: &Path) -> io::Result<bool> {
        match self.inner.put_new(staged) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes what is at the path, which is no folder; of a symbolic link, the link.
    ///
    /// # Errors
    /// If it is not there, or cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        self.inner.remove()
    }
}

/// A folder with many files beneath it that are read or replaced.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    inner: imp::Tree,
}

impl Tree {
    /// Opens the folder itself; links on the way to it are followed.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(root: &Path) -> io::Result<Self> {
        imp::Tree::open(root).map(|inner| Self { root: root.to_owned(), inner })
    }

    /// Returns where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Opens the folder of a path beneath it; `None` if a folder on the way does not exist.
    ///
    /// # Errors
    /// If a component on the way is a symbolic link or no folder, or enters git's own folder.
    pub fn parent(&self, path: &RepoPath) -> io::Result<Option<Parent>> {
        outside_git_dir(path)?;
        let inner = super::if_exists(self.inner.parent(path))?;
        Ok(inner.map(|inner| Parent { inner }))
    }

    /// Opens the folder of a path beneath it, after creating those on the way that do not exist.
    ///
    /// # Errors
    /// As [`Self::parent`], or if a folder cannot be created.
    pub fn make_parent(&self, path: &RepoPath) -> io::Result<Parent> {
        outside_git_dir(path)?;
        Ok(Parent { inner: self.inner.walk(path, Missing::Create)? })
    }

    /// Opens a regular file, without following a link anywhere beneath the folder, and returns its stat
    /// data as well.
    ///
    /// # Errors
    /// If it does not exist, cannot be read, is anything else, or lies in git's own folder.
    pub fn open_file(&self, path: &RepoPath) -> io::Result<(File, Metadata)> {
        outside_git_dir(path)?;
        self.inner.open_file(path).and_then(regular)
    }
}

/// What becomes of folders on the way that do not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Create,
    Refuse,
}

fn outside_git_dir(path: &RepoPath) -> io::Result<()> {
    match path.enters_git_dir() {
        true => Err(io::Error::other("the path enters git's own folder")),
        false => Ok(()),
    }
}

fn regular(file: File) -> io::Result<(File, Metadata)> {
    let metadata = file.metadata()?;
    match metadata.is_file() {
        true => Ok((file, metadata)),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// Returns true if the system or the file system cannot exchange names.
fn is_unsupported(error: &io::Error) -> bool {
    // EINVAL is what file systems without RENAME_EXCHANGE return (renameat2(2)).
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}

#[cfg(unix)]
mod imp {
    use std::os::fd::OwnedFd;

    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, mkdirat, openat, renameat, unlinkat};
    use rustix::io::Errno;

    use super::*;

    const SEARCH: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
    /// A named pipe must not make anybody wait.
    const READ: OFlags =
        OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

    #[derive(Debug)]
    pub(super) struct Tree {
        root: OwnedFd,
    }

    impl Tree {
        pub(super) fn open(root: &Path) -> io::Result<Self> {
            Ok(Self { root: openat(CWD, root, SEARCH, Mode::empty())? })
        }

        pub(super) fn open_file(&self, path: &RepoPath) -> io::Result<File> {
            match self.open_at_once(path.as_bytes(), READ)? {
                Some(file) => Ok(File::from(file)),
                None => self.walk(path, Missing::Refuse)?.open_file(),
            }
        }

        pub(super) fn parent(&self, path: &RepoPath) -> io::Result<Parent> {
            let bytes = path.as_bytes();
            let (folder, name) = match bytes.iter().rposition(|byte| *byte == b'/') {
                Some(slash) => (&bytes[..slash], &bytes[slash + 1..]),
                None => (&b"."[..], bytes),
            };
            match self.open_at_once(folder, SEARCH | OFlags::NOFOLLOW)? {
                Some(folder) => Ok(Parent { folder, name: name.to_vec() }),
                None => self.walk(path, Missing::Refuse),
            }
        }

        /// Opens what lies at a path by one call for all components, which Linux has since 5.6; `None`
        /// where there is none, also because a sandbox refuses it.
        #[cfg(target_os = "linux")]
        fn open_at_once(&self, path: &[u8], flags: OFlags) -> io::Result<Option<OwnedFd>> {
            use rustix::fs::{ResolveFlags, openat2};
            let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            match openat2(&self.root, path, flags, Mode::empty(), within) {
                Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => Ok(None),
                opened => Ok(Some(opened?)),
            }
        }

        #[cfg(not(target_os = "linux"))]
        fn open_at_once(&self, _: &[u8], _: OFlags) -> io::Result<Option<OwnedFd>> {
            Ok(None)
        }

        pub(super) fn walk(&self, path: &RepoPath, missing: Missing) -> io::Result<Parent> {
            let mut folder = openat(&self.root, ".", SEARCH, Mode::empty())?;
            let mut components: Vec<&[u8]> = path.components().collect();
            let name = components.pop().expect("a path has a last component").to_vec();
            for component in components {
                if missing == Missing::Create {
                    match mkdirat(&folder, component, Mode::from_raw_mode(0o777)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                folder = openat(&folder, component, SEARCH | OFlags::NOFOLLOW, Mode::empty())?;
            }
            Ok(Parent { folder, name })
        }
    }

    #[derive(Debug)]
    pub(super) struct Parent {
        folder: OwnedFd,
        name: Vec<u8>,
    }

    impl Parent {
        pub(super) fn open_file(&self) -> io::Result<File> {
            Ok(File::from(openat(&self.folder, &*self.name, READ, Mode::empty())?))
        }

        #[cfg(target_os = "linux")]
        pub(super) fn exchange_with(&self, staged: &Path) -> io::Result<()> {
            use rustix::fs::{RenameFlags, renameat_with};
            let exchange = RenameFlags::EXCHANGE;
            Ok(renameat_with(CWD, staged, &self.folder, &*self.name, exchange)?)
        }

        #[cfg(not(target_os = "linux"))]
        pub(super) fn exchange_with(&self, _: &Path) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn replace_with(&self, staged: &Path) -> io::Result<()> {
            Ok(renameat(CWD, staged, &self.folder, &*self.name)?)
        }

        pub(super) fn put_new(&self, staged: &Path) -> io::Result<()> {
            #[cfg(target_os = "linux")]
            {
                use rustix::fs::{RenameFlags, renameat_with};
                let only_new = RenameFlags::NOREPLACE;
                match renameat_with(CWD, staged, &self.folder, &*self.name, only_new) {
                    Err(Errno::INVAL | Errno::NOSYS) => {}
                    moved => return Ok(moved?),
                }
            }
            linkat(CWD, staged, &self.folder, &*self.name, AtFlags::empty())?;
            std::fs::remove_file(staged)
        }

        pub(super) fn remove(&self) -> io::Result<()> {
            Ok(unlinkat(&self.folder, &*self.name, AtFlags::empty())?)
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use super::*;

    #[derive(Debug)]
    pub(super) struct Tree {
        root: PathBuf,
    }

    impl Tree {
        pub(super) fn open(root: &Path) -> io::Result<Self> {
            Ok(Self { root: root.to_owned() })
        }

        pub(super) fn open_file(&self, path: &RepoPath) -> io::Result<File> {
            self.parent(path)?.open_file()
        }

        pub(super) fn parent(&self, path: &RepoPath) -> io::Result<Parent> {
            self.walk(path, Missing::Refuse)
        }

        pub(super) fn walk(&self, path: &RepoPath, missing: Missing) -> io::Result<Parent> {
            let mut reached = self.root.clone();
            let components: Vec<_> = path.to_os_path().iter().map(ToOwned::to_owned).collect();
            let (name, folders) = components.split_last().expect("a path has a last component");
            for component in folders {
                reached.push(component);
                if missing == Missing::Create {
                    match std::fs::create_dir(&reached) {
                        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                            return Err(error);
                        }
                        _ => {}
                    }
                }
                if !std::fs::symlink_metadata(&reached)?.is_dir() {
                    return Err(io::Error::from(io::ErrorKind::NotADirectory));
                }
            }
            reached.push(name);
            Ok(Parent { path: reached })
        }
    }

    #[derive(Debug)]
    pub(super) struct Parent {
        path: PathBuf,
    }

    impl Parent {
        pub(super) fn open_file(&self) -> io::Result<File> {
            crate::fs::platform::open_regular(&self.path)
        }

        pub(super) fn exchange_with(&self, _: &Path) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        #[expect(clippy::disallowed_methods, reason = "publishes a staged file")]
        pub(super) fn replace_with(&self, staged: &Path) -> io::Result<()> {
            std::fs::rename(staged, &self.path)
        }

        pub(super) fn put_new(&self, staged: &Path) -> io::Result<()> {
            std::fs::hard_link(staged, &self.path)?;
            std::fs::remove_file(staged)
        }

        pub(super) fn remove(&self) -> io::Result<()> {
            std::fs::remove_file(&self.path)
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn path(text: &str) -> RepoPath {
        RepoPath::parse(text.as_bytes()).expect("a path")
    }

    #[test]
    fn a_link_on_the_way_is_not_followed() {
        let dir = tempfile::tempdir().expect("a folder");
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        std::fs::create_dir_all(root.join("real")).expect("creates");
        std::fs::create_dir(&outside).expect("creates");
        symlink(&outside, root.join("link")).expect("links");
        assert!(Parent::open(&root, &path("real/x")).expect("opens").is_some());
        assert!(Parent::open(&root, &path("absent/x")).expect("absent").is_none());
        Parent::open(&root, &path("link/x")).expect_err("a link");
        Parent::open(&root, &path(".GIT/x")).expect_err("git's folder");
    }

    #[test]
    fn a_tree_reads_regular_files_alone_and_follows_no_link() {
        let dir = tempfile::tempdir().expect("a folder");
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        std::fs::create_dir_all(root.join("real/folder")).expect("creates");
        std::fs::create_dir_all(root.join(".git")).expect("creates");
        std::fs::create_dir(&outside).expect("creates");
        for file in [root.join("real/x"), root.join(".git/x"), outside.join("x")] {
            crate::fs::write_atomic(&file, b"123", crate::fs::Shared::Yes).expect("writes");
        }
        symlink(&outside, root.join("link")).expect("links");
        symlink("real", root.join("inside")).expect("links");
        symlink("x", root.join("real/alias")).expect("links");
        // The folder itself may be reached by a link.
        symlink(&root, dir.path().join("root-link")).expect("links");
        let tree = Tree::open(&dir.path().join("root-link")).expect("opens");
        let (_, metadata) = tree.open_file(&path("real/x")).expect("opens");
        assert_eq!(metadata.len(), 3);
        for (way, is_there) in [("real/x", true), ("x", true), ("real/no/x", false)] {
            assert_eq!(tree.parent(&path(way)).expect("no link").is_some(), is_there, "{way}");
        }
        for refused in ["link/x", "inside/x", "real/x/y", ".git/x"] {
            tree.parent(&path(refused)).expect_err(refused);
        }
        // Where one call for all components is not to be had, the same is found component by component.
        let walk = |way: &str| tree.inner.walk(&path(way), Missing::Refuse);
        walk("real/x").expect("opens").open_file().expect("opens");
        for refused in ["link/x", "inside/x", "real/x/y", "real/no/x"] {
            walk(refused).expect_err(refused);
        }
        walk("real/alias").expect("opens").open_file().expect_err("a link");
        for refused in ["link/x", "inside/x", "real/alias", "real/folder", ".git/x", "real/no"] {
            tree.open_file(&path(refused)).expect_err(refused);
        }
    }

    #[test]
    fn a_file_is_swapped_in_unless_it_was_saved_meanwhile() {
        let dir = tempfile::tempdir().expect("a folder");
        let (root, staged) = (dir.path().join("root"), dir.path().join("staged"));
        std::fs::create_dir(&root).expect("creates");
        let write = |path: &Path, text: &[u8]| {
            crate::fs::write_atomic(path, text, crate::fs::Shared::No).expect("writes");
        };
        write(&root.join("x"), b"pointer");
        write(&staged, b"content");
        let parent = Parent::open(&root, &path("x")).expect("opens").expect("there");
        let (_, before) = parent.open_file().expect("regular");
        assert!(parent.swap_in(&staged, &before).expect("swaps"));
        assert_eq!(std::fs::read(root.join("x")).expect("reads"), b"content");
        assert!(!staged.exists());
        // Nothing stands there any more: nothing appears.
        let elsewhere = Parent::open(&root, &path("y")).expect("opens").expect("there");
        write(&staged, b"again");
        if cfg!(target_os = "linux") {
            assert!(!elsewhere.swap_in(&staged, &before).expect("leaves it"));
            assert!(!root.join("y").exists());
        }
        // Another file stands there now: it stays.
        write(&staged, b"again");
        if cfg!(target_os = "linux") {
            assert!(!parent.swap_in(&staged, &before).expect("swaps back"));
            assert_eq!(std::fs::read(root.join("x")).expect("reads"), b"content");
            assert!(!staged.exists());
        }
    }

    #[test]
    fn what_is_made_and_removed_lies_beneath() {
        let dir = tempfile::tempdir().expect("a folder");
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        let staged = dir.path().join("staged");
        std::fs::create_dir(&root).expect("creates");
        std::fs::create_dir(&outside).expect("creates");
        let stage = || crate::fs::write_atomic(&staged, b"new", crate::fs::Shared::No);
        for file in [&staged, &outside.join("x")] {
            crate::fs::write_atomic(file, b"new", crate::fs::Shared::No).expect("writes");
        }
        symlink(&outside, root.join("link")).expect("links");
        symlink(outside.join("x"), root.join("alias")).expect("links");
        let tree = Tree::open(&root).expect("opens");
        let made = tree.make_parent(&path("a/b/c")).expect("creates");
        assert!(made.put_new(&staged).expect("puts") && !staged.exists());
        stage().expect("writes");
        assert!(!made.put_new(&staged).expect("leaves it") && staged.exists());
        let alias = tree.make_parent(&path("alias")).expect("opens");
        assert!(!alias.put_new(&staged).expect("a link is there, too"));
        for refused in ["link/x", "link/a/x", "alias/x", "a/b/c/d", ".git/x", "a/.GIT/x"] {
            tree.make_parent(&path(refused)).expect_err(refused);
        }
        alias.remove().expect("removes");
        made.remove().expect("removes");
        assert!(!root.join("alias").exists() && !root.join("a/b/c").exists());
        assert_eq!(std::fs::read_dir(&outside).expect("reads").count(), 1);
    }

    #[test]
    fn a_link_in_the_last_place_is_no_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let outside = dir.path().join("outside");
        std::fs::File::create(&outside).expect("creates");
        symlink(&outside, dir.path().join("x")).expect("links");
        let parent = Parent::open(dir.path(), &path("x")).expect("opens").expect("there");
        parent.open_file().expect_err("a link is no regular file");
    }
}
