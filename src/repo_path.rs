//! Paths inside a repository.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A path as git writes it: bytes, relative to the top of the work tree, separated by `/`.
///
/// Never empty, never absolute, without empty, `.` or `..` components and without NUL, so joining
/// it to a folder cannot leave that folder unless a symbolic link is followed. Copies share their bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoPath(Arc<[u8]>);

impl RepoPath {
    /// Accepts bytes that name a file inside a repository.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let component_is_good =
            |part: &[u8]| !part.is_empty() && part != b"." && part != b".." && !part.contains(&0);
        bytes.split(|byte| *byte == b'/').all(component_is_good).then(|| Self(bytes.into()))
    }

    /// Returns the bytes as git has them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the last component.
    pub fn file_name(&self) -> &[u8] {
        self.components().last().expect("a path has at least one component")
    }

    /// Returns the components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/')
    }

    /// Returns true if a component would be taken for git's own folder, on any file system: in any case,
    /// with characters that HFS+ passes over, with the endings that NTFS drops, or behind a backslash.
    pub fn enters_git_dir(&self) -> bool {
        self.0.split(|byte| matches!(byte, b'/' | b'\\')).any(is_git_dir)
    }

    /// Returns the path in the form of the operating system, relative.
    ///
    /// Names that are not UTF-8 are exact on Unix; elsewhere they become replacement characters.
    pub fn to_os_path(&self) -> Cow<'_, Path> {
        bytes_to_os_path(&self.0)
    }

    /// Returns the path for people, with anything that is not UTF-8 replaced.
    pub fn display(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

/// As git's `is_hfs_dotgit` and `is_ntfs_dotgit` have it.
fn is_git_dir(part: &[u8]) -> bool {
    let seen: Cow<'_, [u8]> = match part.iter().any(|byte| !byte.is_ascii()) {
        false => part.into(),
        true => {
            let text = String::from_utf8_lossy(part);
            let seen = text.chars().filter(|c| !is_passed_over(*c));
            seen.collect::<String>().into_bytes().into()
        }
    };
    let name = seen.split(|byte| *byte == b':').next().unwrap_or_default();
    let end = name.iter().rposition(|byte| !matches!(byte, b'.' | b' ')).map_or(0, |last| last + 1);
    name[..end].eq_ignore_ascii_case(b".git") || name[..end].eq_ignore_ascii_case(b"git~1")
}

/// Characters that make no difference between two names on HFS+.
fn is_passed_over(c: char) -> bool {
    matches!(
        c,
        '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
    )
}

/// Returns the path that git's `bytes` name, in the form of the operating system.
#[cfg(unix)]
pub fn bytes_to_os_path(bytes: &[u8]) -> Cow<'_, Path> {
    use std::os::unix::ffi::OsStrExt as _;
    Cow::Borrowed(Path::new(std::ffi::OsStr::from_bytes(bytes)))
}

/// Returns the path that git's `bytes` name, in the form of the operating system.
#[cfg(not(unix))]
pub fn bytes_to_os_path(bytes: &[u8]) -> Cow<'_, Path> {
    Cow::Owned(PathBuf::from(String::from_utf8_lossy(bytes).into_owned()))
}

/// Returns the bytes by which git names a relative path of the operating system.
#[cfg(unix)]
pub fn os_path_to_bytes(path: &Path) -> Cow<'_, [u8]> {
    use std::os::unix::ffi::OsStrExt as _;
    Cow::Borrowed(path.as_os_str().as_bytes())
}

/// Returns the bytes by which git names a relative path of the operating system.
#[cfg(not(unix))]
pub fn os_path_to_bytes(path: &Path) -> Cow<'_, [u8]> {
    Cow::Owned(path.to_string_lossy().replace('\\', "/").into_bytes())
}

/// Joins a path that git names to a folder.
pub fn join(folder: &Path, path: &RepoPath) -> PathBuf {
    folder.join(path.to_os_path())
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepoPath({:?})", self.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_work_tree_are_refused() {
        for bad in ["", "/", "/a", "a//b", "a/", "..", "a/../b", "./a", "a\0b"] {
            assert_eq!(RepoPath::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn any_other_bytes_are_kept() {
        for good in [&b"a"[..], b"a/b.png", b" lead/trail ", b"nl\n\"q\"", b"\xff\xfe.npy", b"..."]
        {
            let path = RepoPath::parse(good).expect("a path");
            assert_eq!(path.as_bytes(), good);
            assert_eq!(&*os_path_to_bytes(&path.to_os_path()), good);
        }
        let path = RepoPath::parse(b"d/e.x").expect("a path");
        assert_eq!(path.file_name(), b"e.x");
    }

    #[test]
    fn gits_own_folder_is_recognised_in_any_case() {
        let enters =
            |text: &str| RepoPath::parse(text.as_bytes()).expect("a path").enters_git_dir();
        assert!(enters(".git/config") && enters("sub/.GIT/hooks/x") && enters("GIT~1/x"));
        assert!(!enters(".gitignore") && !enters("git/x"));
        for other in [".git./x", ".git . /x", ".g\u{200c}it/x", "\u{feff}.GIT\u{206f}/x"] {
            assert!(enters(other), "{other:?}");
        }
        for other in [".git::$INDEX_ALLOCATION/x", "a\\.git\\config", "git~1 /x", ".git:x"] {
            assert!(enters(other), "{other:?}");
        }
        for good in ["x.git", ".git2", ".gi\u{e9}t", "...", "git~2/x", ".\u{200c}"] {
            assert!(!enters(good), "{good:?}");
        }
    }
}
