//! Keys that must not be found where they do not belong, and where they are looked for.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Repo, TestEnv};

/// An access key, its secret and a session token.
pub(crate) const SECRETS: [&str; 3] = ["canary-id", "canary-secret", "canary-token"];

/// A place where the keys are in the environment.
pub(crate) fn with_keys(place: &Repo) -> Repo {
    place
        .with("AWS_ACCESS_KEY_ID", SECRETS[0])
        .with("AWS_SECRET_ACCESS_KEY", SECRETS[1])
        .with("AWS_SESSION_TOKEN", SECRETS[2])
}

/// Git's own keeper of passwords, which on each call notes the command line of everything that runs.
pub(crate) struct Keeper {
    seen: PathBuf,
    kept: PathBuf,
    root: PathBuf,
}

impl Keeper {
    /// Makes it the one that git asks.
    pub(crate) fn of(env: &TestEnv) -> Self {
        let (seen, kept, helper) = (env.path("seen"), env.path("kept"), env.path("helper"));
        // Of everything that has the home of this test: other tests type secrets of their own meanwhile.
        let script = format!(
            "#!/bin/sh\nfor environ in $(grep -lsxzF \"HOME=$HOME\" /proc/[0-9]*/environ); do\n\
             tr '\\0' ' ' <\"${{environ%environ}}cmdline\"; echo\ndone >>'{0}' 2>/dev/null\n\
             tr '\\0' '\\n' </proc/self/environ >>'{0}'\n\
             exec git credential-store --file='{1}' \"$1\"\n",
            seen.display(),
            kept.display()
        );
        fs::write(&helper, script).unwrap();
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
        let helper = helper.to_str().unwrap();
        env.at("home").git(["config", "--global", "credential.helper", helper]);
        Self { seen, kept, root: env.path(".") }
    }

    /// Returns what was noted since the last time but for the command lines of git-lake, which are the user's
    /// own: they may have typed a secret.
    pub(crate) fn noted(&self) -> String {
        let noted = fs::read_to_string(&self.seen).unwrap();
        fs::remove_file(&self.seen).unwrap();
        assert!(noted.contains("credential"), "{noted}");
        let is_typed = |line: &&str| {
            let mut words = line.split(' ');
            words.next().is_some_and(|word| word.ends_with("git-lake"))
                || words.any(|word| word == "lake")
        };
        noted.lines().filter(|line| !is_typed(line)).collect::<Vec<_>>().join("\n")
    }

    /// Returns what git keeps.
    pub(crate) fn kept(&self) -> String {
        fs::read_to_string(&self.kept).unwrap()
    }

    /// Returns the files of this test that hold a secret, but for what git keeps.
    pub(crate) fn strays(&self) -> Vec<PathBuf> {
        let mut found = files_with_secrets(&self.root);
        found.retain(|path| path.canonicalize().unwrap() != self.kept);
        found
    }
}

fn files_with_secrets(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_with_secrets(&path));
        } else if let Ok(bytes) = fs::read(&path) {
            let holds =
                |secret: &&str| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            if SECRETS.iter().any(holds) {
                found.push(path);
            }
        }
    }
    found
}
