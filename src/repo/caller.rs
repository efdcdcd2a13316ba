//! What the git process that started this one was told, where the system lets us see it.
//!
//! git tells its filters neither that it was asked to be quiet nor what it is doing. On Linux its command
//! line can be read; elsewhere, and behind an alias, nothing is known.

/// What is known of the git process that waits for this one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caller {
    /// It was asked to be quiet, or to show no progress.
    pub is_quiet: bool,
    /// It prints nothing before it ends, unless something goes wrong.
    pub prints_nothing: bool,
}

/// Options of `git add` that leave it silent, besides [`SILENT_LETTERS`].
const SILENT_OPTIONS: [&str; 10] = [
    "--all",
    "--no-ignore-removal",
    "--ignore-removal",
    "--no-all",
    "--force",
    "--update",
    "--intent-to-add",
    "--renormalize",
    "--sparse",
    "--ignore-errors",
];
const SILENT_LETTERS: &str = "AfuN";
/// Letters after which the rest of an argument is a value, in any of git's commands.
const LETTERS_WITH_VALUES: &str = "bBcCmtFoOjXsSu";

impl Caller {
    /// Looks at the process that started this one.
    pub fn of_this_process() -> Self {
        parent_arguments().map_or_else(Self::default, |arguments| Self::of(&arguments))
    }

    fn of(arguments: &[String]) -> Self {
        let mut rest = arguments.iter().skip(1).map(String::as_str);
        let command = loop {
            match rest.next() {
                None => return Self::default(),
                Some("-C" | "-c" | "--git-dir" | "--work-tree" | "--namespace") => {
                    rest.next();
                }
                Some(option) if option.starts_with('-') => {}
                Some(command) => break command,
            }
        };
        let options: Vec<&str> = rest
            .take_while(|argument| *argument != "--")
            .filter(|argument| argument.starts_with('-'))
            .collect();
        let is_add = matches!(command, "add" | "stage");
        Self {
            is_quiet: options.iter().any(|option| is_quiet(option)),
            prints_nothing: is_add && options.iter().all(|option| is_silent(option)),
        }
    }
}

fn is_quiet(option: &str) -> bool {
    match option.strip_prefix("--") {
        Some(long) => matches!(long, "quiet" | "no-progress"),
        None => {
            let mut letters = option[1..].chars();
            letters.find(|c| *c == 'q' || LETTERS_WITH_VALUES.contains(*c)) == Some('q')
        }
    }
}

fn is_silent(option: &str) -> bool {
    SILENT_OPTIONS.contains(&option)
        || !option.starts_with("--") && option[1..].chars().all(|c| SILENT_LETTERS.contains(c))
}

#[cfg(target_os = "linux")]
fn parent_arguments() -> Option<Vec<String>> {
    let parent = std::os::unix::process::parent_id();
    let text = std::fs::read(format!("/proc/{parent}/cmdline")).ok()?;
    let arguments = text.split(|byte| *byte == 0);
    Some(arguments.map(|argument| String::from_utf8_lossy(argument).into_owned()).collect())
}

#[cfg(not(target_os = "linux"))]
fn parent_arguments() -> Option<Vec<String>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(line: &str) -> Caller {
        Caller::of(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn quiet_is_what_git_takes_for_quiet() {
        for line in ["git checkout -q x", "git -C d -c a=b clone --quiet u", "git commit -qam x"] {
            assert!(caller(line).is_quiet, "{line}");
        }
        for line in
            ["git switch main", "git switch -bq", "git checkout -- -q", "git -c q add", "git"]
        {
            assert!(!caller(line).is_quiet, "{line}");
        }
        assert!(caller("git clone --no-progress u").is_quiet);
    }

    #[test]
    fn only_an_add_that_was_not_asked_to_talk_prints_nothing() {
        for line in ["git add .", "/usr/bin/git -C d add -A", "git add -fu --sparse -- -v"] {
            assert!(caller(line).prints_nothing, "{line}");
        }
        for line in ["git add -v .", "git add -Av", "git add -n x", "git commit -a", "git a", "git"]
        {
            assert!(!caller(line).prints_nothing, "{line}");
        }
    }
}
