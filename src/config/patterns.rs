//! Lists of path patterns, as in `paths`, `lake.fetchInclude` and `lake.fetchExclude`.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

use crate::repo_path::{RepoPath, bytes_to_os_path};

/// Decides for a path by an ordered list of patterns; the last one that matches wins.
///
/// `*` and `?` do not match `/`, `**` does; a pattern without `/` matches at any depth; a pattern that
/// names a folder matches all that is below it; `!` in front takes paths out again.
#[derive(Clone, Default)]
pub struct Patterns {
    rules: Vec<Rule>,
}

#[derive(Clone)]
struct Rule {
    text: String,
    includes: bool,
    matcher: GlobMatcher,
    /// The same pattern for everything below a folder that it names.
    below: GlobMatcher,
}

/// Says that a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a pattern: {reason}")]
pub struct PatternError {
    pattern: String,
    reason: String,
}

impl Patterns {
    /// Compiles patterns.
    ///
    /// # Errors
    /// Names the first one that is not a pattern.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, PatternError> {
        let rules = patterns.iter().map(|pattern| Rule::new(pattern.as_ref()));
        Ok(Self { rules: rules.collect::<Result<_, _>>()? })
    }

    /// Returns the patterns as they were written.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| &*rule.text)
    }

    /// Returns true if there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns true if the list takes the path in. A list whose first pattern takes out begins with
    /// everything; an empty list takes in nothing.
    pub fn matches(&self, path: &RepoPath) -> bool {
        let begins_with_all = self.rules.first().is_some_and(|rule| !rule.includes);
        let os_path = bytes_to_os_path(path.as_bytes());
        let last = self
            .rules
            .iter()
            .rev()
            .find(|rule| rule.matcher.is_match(&os_path) || rule.below.is_match(&os_path));
        last.map_or(begins_with_all, |rule| rule.includes)
    }
}

impl Rule {
    fn new(text: &str) -> Result<Self, PatternError> {
        let (includes, pattern) = match text.strip_prefix('!') {
            Some(rest) => (false, rest),
            None => (true, text),
        };
        let pattern = pattern.trim_end_matches('/');
        let glob = match pattern.strip_prefix('/') {
            Some(anchored) => anchored.to_owned(),
            None if pattern.contains('/') => pattern.to_owned(),
            None => format!("**/{pattern}"),
        };
        let compile = |glob: &str| {
            let built =
                GlobBuilder::new(glob).literal_separator(true).backslash_escape(true).build();
            built.map(|glob| glob.compile_matcher()).map_err(|error| PatternError {
                pattern: text.to_owned(),
                reason: error.kind().to_string(),
            })
        };
        let (matcher, below) = (compile(&glob)?, compile(&format!("{glob}/**"))?);
        Ok(Self { text: text.to_owned(), includes, matcher, below })
    }
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rules.iter().map(|rule| &rule.text)).finish()
    }
}

impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        self.rules.iter().map(|rule| &rule.text).eq(other.rules.iter().map(|rule| &rule.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(patterns: &[&str], path: &str) -> bool {
        let path = RepoPath::parse(path.as_bytes()).expect("a path");
        Patterns::new(patterns).expect("patterns").matches(&path)
    }

    #[test]
    fn the_last_matching_pattern_decides() {
        let patterns = ["train/**", "!train/private/**", "train/private/ok.png"];
        assert!(matches(&patterns, "train/a.png") && matches(&patterns, "train/x/y/a.png"));
        assert!(!matches(&patterns, "train/private/a.png") && !matches(&patterns, "test/a.png"));
        assert!(matches(&patterns, "train/private/ok.png"));
    }

    #[test]
    fn names_match_at_any_depth_and_folders_match_what_is_below() {
        assert!(matches(&["*.png"], "a.png") && matches(&["*.png"], "x/y/a.png"));
        assert!(matches(&["train/"], "train/a") && matches(&["/train"], "train/a/b"));
        assert!(!matches(&["train/*.png"], "train/x/a.png") && !matches(&["/a.png"], "x/a.png"));
        assert!(matches(&["!*.tmp"], "a.png") && !matches(&["!*.tmp"], "a.tmp"));
        assert!(!matches(&[], "a.png"));
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let error = Patterns::new(&["a", "[x"]).expect_err("unclosed");
        assert_eq!(
            error.to_string(),
            "`[x` is not a pattern: unclosed character class; missing ']'"
        );
    }
}
