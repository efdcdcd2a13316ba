//! Writing beneath a folder without ever leaving it.
//!
//! The work tree belongs to whoever made the repository: a component of a path may have become a
//! symbolic link to anywhere. Each component is opened without following links, and the last step
//! is a rename relative to the folder that was really reached.

use std::fs::File;
use std::io;
use std::path::Path;

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
        if path.enters_git_dir() {
            return Err(io::Error::other("the path enters git's own folder"));
        }
        let inner = super::if_exists(imp::Parent::open(root, path))?;
        Ok(inner.map(|inner| Self { inner }))
    }

    /// Opens the file, if it is a regular one and not a symbolic link.
    ///
    /// # Errors
    /// If it does not exist, cannot be read, or is anything else.
    pub fn open_file(&self) -> io::Result<File> {
        self.inner.open_file()
    }

    /// Moves the file `staged`, which must be on the same file system, to the path, replacing it.
    ///
    /// # Errors
    /// If the rename fails; `CrossesDevices` if the file systems differ.
    pub fn replace_with(&self, staged: &Path) -> io::Result<()> {
        self.inner.replace_with(staged)
    }
}

#[cfg(unix)]
mod imp {
    use std::os::fd::OwnedFd;

    use rustix::fs::{CWD, Mode, OFlags, openat, renameat};

    use super::*;

    #[derive(Debug)]
    pub(super) struct Parent {
        folder: OwnedFd,
        name: Vec<u8>,
    }

    impl Parent {
        pub(super) fn open(root: &Path, path: &RepoPath) -> io::Result<Self> {
            let search = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let mut folder = openat(CWD, root, search, Mode::empty())?;
            let mut components: Vec<&[u8]> = path.components().collect();
            let name = components.pop().expect("a path has a last component").to_vec();
            for component in components {
                folder = openat(&folder, component, search | OFlags::NOFOLLOW, Mode::empty())?;
            }
            Ok(Self { folder, name })
        }

        pub(super) fn open_file(&self) -> io::Result<File> {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = File::from(openat(&self.folder, &*self.name, flags, Mode::empty())?);
            match file.metadata()?.is_file() {
                true => Ok(file),
                false => Err(io::Error::other("it is no regular file")),
            }
        }

        pub(super) fn replace_with(&self, staged: &Path) -> io::Result<()> {
            Ok(renameat(CWD, staged, &self.folder, &*self.name)?)
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use std::path::PathBuf;

    use super::*;

    #[derive(Debug)]
    pub(super) struct Parent {
        path: PathBuf,
    }

    impl Parent {
        pub(super) fn open(root: &Path, path: &RepoPath) -> io::Result<Self> {
            let mut reached = root.to_owned();
            let components: Vec<_> = path.to_os_path().iter().map(ToOwned::to_owned).collect();
            let (name, folders) = components.split_last().expect("a path has a last component");
            for component in folders {
                reached.push(component);
                if !std::fs::symlink_metadata(&reached)?.is_dir() {
                    return Err(io::Error::from(io::ErrorKind::NotADirectory));
                }
            }
            reached.push(name);
            Ok(Self { path: reached })
        }

        pub(super) fn open_file(&self) -> io::Result<File> {
            crate::fs::platform::open_regular(&self.path)
        }

        #[expect(clippy::disallowed_methods, reason = "publishes a staged file")]
        pub(super) fn replace_with(&self, staged: &Path) -> io::Result<()> {
            std::fs::rename(staged, &self.path)
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
    fn the_last_component_is_replaced_even_if_it_is_a_link() {
        let dir = tempfile::tempdir().expect("a folder");
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        std::fs::create_dir(&root).expect("creates");
        std::fs::File::create(&outside).expect("creates");
        symlink(&outside, root.join("x")).expect("links");
        let parent = Parent::open(&root, &path("x")).expect("opens").expect("there");
        parent.open_file().expect_err("a link is no regular file");
        let staged = dir.path().join("staged");
        std::fs::File::create(&staged).expect("creates");
        parent.replace_with(&staged).expect("renames");
        assert!(std::fs::symlink_metadata(root.join("x")).expect("there").is_file());
        assert_eq!(std::fs::metadata(&outside).expect("untouched").len(), 0);
    }
}
