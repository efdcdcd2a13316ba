//! The variables of the environment that say where git's things are.
//!
//! gix reads the variables that choose a repository by itself; these are the ones that it leaves
//! out, and those that name settings files to be written. They are read here and nowhere else.

use std::ffi::OsString;
use std::path::PathBuf;

/// The environment, as far as the repository module needs it.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `GIT_DIR`, by which the caller chose a repository and vouches for it.
    pub git_dir: Option<PathBuf>,
    /// `GIT_COMMON_DIR`.
    pub common_dir: Option<PathBuf>,
    /// `GIT_WORK_TREE`.
    pub work_tree: Option<PathBuf>,
    /// True unless `GIT_IMPLICIT_WORK_TREE` is off, which git sets for bare repositories.
    pub has_implicit_work_tree: bool,
    /// `GIT_CONFIG_PARAMETERS`: the settings given by `git -c`, in git's own quoting.
    pub config_parameters: Option<OsString>,
    /// `GIT_CONFIG_GLOBAL`.
    pub config_global: Option<PathBuf>,
    /// `GIT_CONFIG_SYSTEM`.
    pub config_system: Option<PathBuf>,
    /// `HOME`, or what stands for it.
    pub home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<PathBuf>,
    /// `PATH`.
    pub search_path: Option<OsString>,
}

impl Environment {
    /// Reads the environment of this process; empty variables count as absent.
    pub fn read() -> Self {
        let path = |name: &str| variable(name).map(PathBuf::from);
        Self {
            git_dir: path("GIT_DIR"),
            common_dir: path("GIT_COMMON_DIR"),
            work_tree: path("GIT_WORK_TREE"),
            has_implicit_work_tree: !variable("GIT_IMPLICIT_WORK_TREE").is_some_and(is_off),
            config_parameters: variable("GIT_CONFIG_PARAMETERS"),
            config_global: path("GIT_CONFIG_GLOBAL"),
            config_system: path("GIT_CONFIG_SYSTEM"),
            home: path("HOME").or_else(std::env::home_dir),
            xdg_config_home: path("XDG_CONFIG_HOME"),
            search_path: variable("PATH"),
        }
    }

    /// Returns the names of all variables by which the caller steers git, known or not.
    pub fn steering() -> Vec<OsString> {
        let names = std::env::vars_os().map(|(name, _)| name);
        names.filter(|name| name.as_encoded_bytes().starts_with(b"GIT_")).collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "git's own variables enter here")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn is_off(value: OsString) -> bool {
    let value = value.to_string_lossy().to_lowercase();
    matches!(value.as_str(), "0" | "false" | "no" | "off")
}

/// Parses `GIT_CONFIG_PARAMETERS` into `key=value` or `key` (which means true); `None` if malformed.
///
/// Git writes `'key'='value'`, and before 2.31 `'key=value'`, separated by blanks; inside quotes
/// `'` and `!` are written `'\''` and `'\!'` (git's quote.c, `sq_quote_buf`).
pub(super) fn parse_config_parameters(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let (mut item, after) = unquote(rest)?;
        rest = after;
        if let Some(value) = rest.strip_prefix(b"=") {
            item.push(b'=');
            rest = value;
            if value.first() == Some(&b'\'') {
                let (value, after) = unquote(value)?;
                item.extend(value);
                rest = after;
            } else {
                // `'key'=` without a value is the boolean form.
                item.pop();
            }
        }
        if !rest.is_empty() && !rest[0].is_ascii_whitespace() {
            return None;
        }
        found.push(item);
        rest = rest.trim_ascii_start();
    }
    Some(found)
}

/// Splits one quoted word off the beginning.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"'")?;
    let mut word = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == b'\'')?;
        word.extend_from_slice(&rest[..end]);
        rest = &rest[end + 1..];
        match rest {
            [b'\\', escaped @ (b'\'' | b'!'), b'\'', after @ ..] => {
                word.push(*escaped);
                rest = after;
            }
            _ => return Some((word, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Vec<String>> {
        let items = parse_config_parameters(text.as_bytes())?;
        let text = |item| String::from_utf8(item).expect("text");
        Some(items.into_iter().map(text).collect())
    }

    #[test]
    fn both_of_gits_spellings_are_parsed() {
        let expected = Some(vec!["a.b=c d".to_owned(), "x.y".to_owned()]);
        assert_eq!(parsed("'a.b'='c d' 'x.y'"), expected);
        assert_eq!(parsed("'a.b'='c d' 'x.y'="), expected);
        assert_eq!(parsed("'a.b=c d' 'x.y'"), expected);
        assert_eq!(parsed(""), Some(vec![]));
        assert_eq!(parsed("'a.b'=''"), Some(vec!["a.b=".to_owned()]));
        let quoted = Some(vec!["a.b=it's!".to_owned()]);
        assert_eq!(parsed(r"'a.b'='it'\''s'\!''"), quoted);
    }

    #[test]
    fn malformed_parameters_are_refused() {
        for bad in ["a.b=c", "'a", "'a'b", "'a'='b"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }
}
