//! Which paths of the index a person means.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;

use super::Environment;
use super::process::{Error, Git};

/// Lets git say which paths of the index a list of pathspecs means, typed in `folder`.
///
/// # Errors
/// If git cannot be run, or a pathspec matches nothing.
pub fn matching_paths(folder: &Path, pathspecs: &[OsString]) -> Result<HashSet<Vec<u8>>, Error> {
    let git = Git::find(&Environment::read(), folder)?;
    let fixed = ["ls-files", "-z", "--full-name", "--cached", "--error-unmatch", "--"];
    let args: Vec<OsString> =
        fixed.iter().map(OsString::from).chain(pathspecs.iter().cloned()).collect();
    let listed = git.run(&args, b"")?.stdout;
    let paths = listed.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    Ok(paths.map(<[u8]>::to_vec).collect())
}

/// Writes pathspecs as the patterns of settings that mean the same paths, from the top of the work tree;
/// `None` if one cannot be written so.
///
/// A plain path means itself and all below it, as git has it. Of wildcards, which git lets match `/`, only
/// those in the last component are taken, at any depth.
///
/// # Errors
/// If git cannot be run.
pub fn as_patterns(folder: &Path, pathspecs: &[OsString]) -> Result<Option<Vec<String>>, Error> {
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
