//! Which git this is, and whether it can do what is asked of it.

use super::process::{self, Git};

/// Major and minor number of the oldest git that is known to do what git-lake asks of it. Before 2.34 merges of
/// pointers fail: git compares what it merged with what the filter makes of it before its index is written.
pub const OLDEST: (u32, u32) = (2, 39);

/// Says that git cannot be asked for its version, or is too old.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Git could not be run.
    #[error(transparent)]
    Git(#[from] process::Error),
    /// It is older than [`OLDEST`].
    #[error("{0} is too old: git-lake needs {major}.{minor} or newer", major = OLDEST.0, minor = OLDEST.1)]
    TooOld(String),
}

/// Asks git for its version. What says no version of git that can be understood passes.
///
/// # Errors
/// If git cannot be run or is too old.
pub fn check(git: &Git) -> Result<String, Error> {
    let output = git.run(&["--version"], b"")?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match parse(&said) {
        Some(found) if found < OLDEST => Err(Error::TooOld(said)),
        _ => Ok(said),
    }
}

/// Reads `git version 2.39.5 (and more)`.
pub fn parse(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.strip_prefix("git version ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_git_are_read() {
        assert_eq!(parse("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(parse("git version 2.53.0.rc1"), Some((2, 53)));
        assert_eq!(parse("hub version 2"), None);
    }
}
