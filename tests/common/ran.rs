//! What came of a command.

use std::process::Output;

/// What a command printed and how it ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl std::fmt::Debug for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {:?}\nstdout: {}\nstderr: {}", self.code, self.stdout, self.stderr)
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            bytes: output.stdout,
        }
    }

    /// Returns the lines on stderr that are git-lake's.
    pub(crate) fn told(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| line.starts_with("git-lake: ")).collect()
    }

    /// Something on stderr has this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no `{text}` in {self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn says_not(self, text: &str) -> Self {
        assert!(!self.stderr.contains(text), "`{text}` in {self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "no `{text}` in {self:#?}");
        self
    }

    /// `git bisect run` has found a commit; newer gits quote the word that a user may have chosen.
    #[track_caller]
    pub(crate) fn prints_first_bad_commit(self) -> Self {
        let texts = ["is the first bad commit", "is the first 'bad' commit"];
        assert!(texts.iter().any(|text| self.stdout.contains(text)), "{self:#?}");
        self
    }

    /// git-lake has said nothing.
    #[track_caller]
    pub(crate) fn says_nothing(self) -> Self {
        assert!(self.told().is_empty(), "{self:#?}");
        self
    }
}
