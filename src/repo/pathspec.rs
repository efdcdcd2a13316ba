//! Which paths of the index, or of a commit, a person means.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;

use super::process::{self, Git};
use super::{Environment, Error as RepoError, Repo};

/// Says why pathspecs mean nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Git could not be run, or failed.
    #[error(transparent)]
    Git(#[from] process::Error),
    /// The commit does not exist.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// Git does not take them, and says why.
    #[error("{0}")]
    Refused(String),
    /// A commit has no file there.
    #[error("`{treeish}` has no file that these pathspecs mean")]
    NoMatch {
        /// As it was asked for.
        treeish: String,
    },
}

/// Lets git say which paths of the index a list of pathspecs means, typed in `folder`.
///
/// # Errors
/// If git cannot be run, or a pathspec matches nothing.
pub fn matching_paths(folder: &Path, pathspecs: &[OsString]) -> Result<HashSet<Vec<u8>>, Error> {
    let fixed = ["ls-files", "-z", "--full-name", "--cached", "--error-unmatch", "--"];
    list(folder, &fixed, pathspecs)
}

/// Which files of the work tree are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Those that the index has.
    Yes,
    /// Those that it does not have, without ignored ones.
    No,
    /// Those that it does not have, ignored or not.
    NoMatterIgnored,
}

/// Lets git list files, as far as pathspecs mean them; without any, those of the whole work tree. It is no
/// error if they mean nothing.
///
/// # Errors
/// If git cannot be run, or does not take a pathspec.
pub fn paths_that_are(
    known: Known,
    folder: &Path,
    pathspecs: &[OsString],
) -> Result<HashSet<Vec<u8>>, Error> {
    let which: &[&str] = match known {
        Known::Yes => &["--cached"],
        Known::No => &["--others", "--exclude-standard"],
        Known::NoMatterIgnored => &["--others"],
    };
    let fixed: Vec<&str> = ["ls-files", "-z", "--full-name"].iter().chain(which).copied().collect();
    let whole = [OsString::from(":/")];
    let pathspecs = if pathspecs.is_empty() { &whole } else { pathspecs };
    list(folder, &[&fixed[..], &["--"]].concat(), pathspecs)
}

/// Lets git say which files of a commit or tree a list of pathspecs means, typed in `folder`.
///
/// # Errors
/// If there is no such commit, git cannot be run, or the pathspecs match nothing.
pub fn matching_paths_of(
    repo: &Repo,
    folder: &Path,
    treeish: &str,
    pathspecs: &[OsString],
) -> Result<HashSet<Vec<u8>>, Error> {
    // `ls-tree` takes no pathspecs, only paths.
    let trees = [repo.empty_tree_id(), repo.tree_id(treeish)?].map(|id| id.to_string());
    let fixed = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-relative"];
    let fixed: Vec<&str> =
        fixed.into_iter().chain(trees.iter().map(String::as_str)).chain(["--"]).collect();
    let found = list(folder, &fixed, pathspecs)?;
    if found.is_empty() {
        return Err(Error::NoMatch { treeish: treeish.to_owned() });
    }
    Ok(found)
}

/// Runs a command that lists paths.
fn list(folder: &Path, fixed: &[&str], pathspecs: &[OsString]) -> Result<HashSet<Vec<u8>>, Error> {
    let git = Git::find(&Environment::read(), folder)?;
    let args: Vec<OsString> =
        fixed.iter().map(OsString::from).chain(pathspecs.iter().cloned()).collect();
    let listed = match git.run(&args, b"") {
        Ok(output) => output.stdout,
        Err(process::Error::Failed { stderr, .. }) if !stderr.trim().is_empty() => {
            return Err(Error::Refused(complaint(&stderr)));
        }
        Err(error) => return Err(error.into()),
    };
    let paths = listed.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    Ok(paths.map(<[u8]>::to_vec).collect())
}

/// Returns what git says first, without the word that says how bad it is.
fn complaint(stderr: &str) -> String {
    let line = stderr.lines().next().unwrap_or_default();
    let text = line.split_once(": ").map_or(line, |(_, text)| text);
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

/// Writes pathspecs as the patterns of settings that mean the same paths, from the top of the work tree;
/// `None` if one cannot be written so.
///
/// A plain path means itself and all below it, as git has it. Of wildcards, which git lets match `/`, only
/// those in the last component are taken, at any depth.
///
/// # Errors
/// If git cannot be run.
pub fn as_patterns(
    folder: &Path,
    pathspecs: &[OsString],
) -> Result<Option<Vec<String>>, process::Error> {
    let git = Git::find(&Environment::read(), folder)?;
    let prefix = git.run(&["rev-parse", "--show-prefix"], b"")?.stdout;
    let Ok(prefix) = std::str::from_utf8(prefix.trim_ascii_end()) else { return Ok(None) };
    let pattern = |pathspec: &OsString| as_pattern(prefix, pathspec.to_str()?);
    Ok(pathspecs.iter().map(pattern).collect())
}

/// `prefix` is the current folder, empty or with a `/` at its end.
fn as_pattern(prefix: &str, pathspec: &str) -> Option<String> {
    const WILDCARDS: [char; 2] = ['*', '?'];
    // Git's magic, escapes, and what only the patterns of settings know.
    let is_odd = |c| matches!(c, ':' | '[' | ']' | '{' | '}' | '\\' | '!');
    if pathspec.starts_with('/') || pathspec.contains(is_odd) || prefix.contains(is_odd) {
        return None;
    }
    let parts = pathspec.split('/').filter(|part| !matches!(*part, "" | "."));
    let parts: Vec<&str> = prefix.split('/').filter(|part| !part.is_empty()).chain(parts).collect();
    let Some((last, folders)) = parts.split_last() else { return Some("**".to_owned()) };
    if parts.contains(&"..") || folders.iter().any(|part| part.contains(WILDCARDS)) {
        return None;
    }
    match (last.contains(WILDCARDS), folders) {
        (false, _) => Some(format!("/{}", parts.join("/"))),
        (true, []) => Some((*last).to_owned()),
        (true, folders) => Some(format!("/{}/**/{last}", folders.join("/"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_is_quoted_without_its_prefix() {
        let text = "fatal: ../x: '../x' is outside repository at '/r'\n";
        assert_eq!(complaint(text), "../x: '../x' is outside repository at '/r'");
        let text = "error: pathspec 'x' did not match any file(s)\nDid you forget to 'git add'?\n";
        assert_eq!(complaint(text), "Pathspec 'x' did not match any file(s)");
    }

    #[test]
    fn pathspecs_become_patterns_from_the_top() {
        let table: &[(&str, &str, Option<&str>)] = &[
            ("", "train", Some("/train")),
            ("", "./train/a/", Some("/train/a")),
            ("sub/", "a.png", Some("/sub/a.png")),
            ("", "*.png", Some("*.png")),
            ("sub/", "*.png", Some("/sub/**/*.png")),
            ("", "train/*.png", Some("/train/**/*.png")),
            ("", ".", Some("**")),
            ("sub/", ".", Some("/sub")),
            ("", "*/a.png", None),
            ("sub/", "../a", None),
            ("", ":(glob)a", None),
            ("", ":!a", None),
            ("", "a[0-9]", None),
            ("", "/etc", None),
        ];
        for (prefix, pathspec, expected) in table {
            assert_eq!(as_pattern(prefix, pathspec).as_deref(), *expected, "{prefix} {pathspec}");
        }
    }
}
