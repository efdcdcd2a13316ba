//! git-lake's hooks in a clone: which are there, and writing those that may be written.
//!
//! A hook that git-lake wrote begins with a line that holds a digest of the rest, so that an older
//! one is known for what it is and replaced, and one that somebody has edited is theirs from then on.
//! A user's own hook is never touched, and nothing is ever written outside the git folder that the
//! clone's work trees share: `core.hooksPath` may name a folder that other repositories use.

use std::path::{Path, PathBuf};

use super::Repo;
use crate::fs::{IoContext as _, PathError, Shared, if_exists};
use crate::oid::Oid;

/// Longer files are nobody's hook that git-lake wrote, and are searched no further.
const MAX_HOOK_BYTES: u64 = 1 << 20;
const FIRST_LINE: &str = "#!/bin/sh\n";
const MARK: &str = "# git-lake wrote this hook and replaces it unless it is edited: ";

/// A hook that git-lake has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hook {
    /// Runs before anything is sent, and can refuse the push.
    PrePush,
    /// Runs after files were checked out.
    PostCheckout,
    /// Runs after a merge or pull.
    PostMerge,
}

impl Hook {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PrePush, Self::PostCheckout, Self::PostMerge];

    /// Returns the name of the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::PrePush => "pre-push",
            Self::PostCheckout => "post-checkout",
            Self::PostMerge => "post-merge",
        }
    }

    /// Returns the line that a hook of the user's own needs; it must come before stdin is read.
    pub fn line(self) -> &'static str {
        match self {
            Self::PrePush => r#"git-lake hook pre-push "$@" || exit 1"#,
            Self::PostCheckout => r#"git-lake hook post-checkout "$@""#,
            Self::PostMerge => r#"git-lake hook post-merge "$@""#,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::PrePush => include_str!("../../../hooks/pre-push"),
            Self::PostCheckout => include_str!("../../../hooks/post-checkout"),
            Self::PostMerge => include_str!("../../../hooks/post-merge"),
        }
    }

    /// Returns the whole script.
    fn script(self) -> String {
        let text = self.text();
        let body = text.strip_prefix(FIRST_LINE).unwrap_or(text);
        format!("{FIRST_LINE}{MARK}{}\n{body}", Oid::of(body.as_bytes()))
    }
}

/// What stands where a hook belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookFile {
    /// Nothing.
    Absent,
    /// A hook that git-lake wrote.
    Ours {
        /// False if an older or newer git-lake wrote it, or git would not run it.
        is_current: bool,
    },
    /// Anything else: it belongs to the user.
    Foreign {
        /// True if git would run it and it seems to call git-lake's hook of this name.
        calls_git_lake: bool,
    },
}

/// The state of one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookState {
    /// Which one.
    pub hook: Hook,
    /// Where git looks for it.
    pub path: PathBuf,
    /// True if that is inside the git folder, the only place where hooks are installed.
    pub is_inside: bool,
    /// What is there.
    pub file: HookFile,
}

impl HookState {
    /// Returns true if git will run git-lake's hook.
    pub fn is_active(&self) -> bool {
        match self.file {
            HookFile::Absent => false,
            HookFile::Ours { is_current } => is_current || is_executable(&self.path),
            HookFile::Foreign { calls_git_lake } => calls_git_lake,
        }
    }
}

/// What [`install`] did about one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was in place already.
    Kept,
    /// It was written, or an older one of ours was replaced.
    Written,
    /// The user has to add this line to the file, or make the file with it.
    LineNeeded(&'static str),
}

/// What [`install`] did about one hook, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Which one.
    pub hook: Hook,
    /// Where git looks for it.
    pub path: PathBuf,
    /// What was done.
    pub outcome: Outcome,
}

/// Returns the folder in which git looks for hooks (`core.hooksPath`, else in the common git dir).
pub fn folder(repo: &Repo) -> PathBuf {
    let Some(named) = repo.config_string("core.hooksPath") else {
        return repo.common_dir().join("hooks");
    };
    // A `~` without a home folder stays as it is: git finds no hooks there either.
    let path = repo.config_path("core.hooksPath");
    let path = path.unwrap_or_else(|| PathBuf::from(named));
    // Relative to where hooks run (git-config(1)).
    repo.work_tree().unwrap_or(repo.git_dir()).join(path)
}

/// Returns the state of a hook.
///
/// # Errors
/// If the file exists but cannot be read.
pub fn state(repo: &Repo, hook: Hook) -> Result<HookState, PathError> {
    let folder = folder(repo);
    let path = folder.join(hook.name());
    Ok(HookState {
        hook,
        is_inside: is_inside(repo.common_dir(), &folder),
        file: look(hook, &path)?,
        path,
    })
}

/// Returns true if a push runs git-lake's hook, so that it is refused when something is missing.
pub fn is_push_guarded(repo: &Repo) -> bool {
    state(repo, Hook::PrePush).is_ok_and(|state| state.is_active())
}

/// Writes the hooks that are absent and replaces older ones of ours.
///
/// Two processes that do it at once write the same.
///
/// # Errors
/// If a hook cannot be read or written; those before it are in place.
pub fn install(repo: &Repo) -> Result<Vec<Installed>, PathError> {
    let install_one = |hook: Hook| {
        let state = state(repo, hook)?;
        let outcome = match state.file {
            HookFile::Ours { is_current: true } => Outcome::Kept,
            HookFile::Foreign { .. } if state.is_active() => Outcome::Kept,
            HookFile::Absent | HookFile::Ours { .. } if state.is_inside => {
                write(&state.path, &hook.script())?;
                Outcome::Written
            }
            _ => Outcome::LineNeeded(hook.line()),
        };
        Ok(Installed { hook, path: state.path, outcome })
    };
    Hook::ALL.into_iter().map(install_one).collect()
}

/// Returns true if the folder is, or would be created, inside the git folder.
fn is_inside(common_dir: &Path, folder: &Path) -> bool {
    let Ok(common_dir) = std::fs::canonicalize(common_dir) else {
        return false;
    };
    // A folder that does not exist is where its closest parent is, unless a link leads nowhere.
    let is_there = |path: &&Path| path.symlink_metadata().is_ok();
    let existing = folder.ancestors().find(is_there);
    existing
        .and_then(|path| std::fs::canonicalize(path).ok())
        .is_some_and(|path| path.starts_with(&common_dir))
}

fn look(hook: Hook, path: &Path) -> Result<HookFile, PathError> {
    let Some(metadata) = if_exists(path.symlink_metadata()).context(path)? else {
        return Ok(HookFile::Absent);
    };
    let is_link = metadata.is_symlink();
    let text = match std::fs::metadata(path) {
        Ok(target) if target.is_file() && target.len() <= MAX_HOOK_BYTES => {
            crate::fs::read_small(path, MAX_HOOK_BYTES)?.unwrap_or_default()
        }
        _ => Vec::new(),
    };
    let is_executable = is_executable(path);
    // What a link leads to is not ours to replace.
    if !is_link && is_ours(&text) {
        let is_current = is_executable && text == hook.script().as_bytes();
        return Ok(HookFile::Ours { is_current });
    }
    Ok(HookFile::Foreign { calls_git_lake: is_executable && calls(&text, hook) })
}

/// Returns true if the text is one that some git-lake wrote and nobody has changed.
fn is_ours(text: &[u8]) -> bool {
    let rest = text.strip_prefix(FIRST_LINE.as_bytes());
    let Some(rest) = rest.and_then(|rest| rest.strip_prefix(MARK.as_bytes())) else {
        return false;
    };
    let Some((digest, body)) = rest.split_at_checked(2 * Oid::LEN) else {
        return false;
    };
    let body = body.strip_prefix(b"\n");
    body.is_some_and(|body| Oid::parse_hex(digest) == Some(Oid::of(body)))
}

/// Returns true if some line of a script that is no comment calls git-lake's hook.
fn calls(text: &[u8], hook: Hook) -> bool {
    let text = String::from_utf8_lossy(text);
    let spellings =
        ["git-lake hook", "git lake hook"].map(|call| format!("{call} {}", hook.name()));
    let is_code = |line: &&str| !line.trim_start().starts_with('#');
    text.lines().filter(is_code).any(|line| spellings.iter().any(|call| line.contains(call)))
}

fn write(path: &Path, script: &str) -> Result<(), PathError> {
    use std::io::Write as _;
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).context(folder)?;
    let mut staged = crate::fs::stage(folder, Shared::Yes)?;
    staged.write_all(script.as_bytes()).context(path)?;
    make_executable(staged.as_file()).context(path)?;
    crate::fs::publish(staged, path)
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o111 != 0)
}

/// Lets everybody run the file who may read it.
#[cfg(unix)]
fn make_executable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut permissions = file.metadata()?.permissions();
    let mode = permissions.mode();
    permissions.set_mode(mode | (mode & 0o444) >> 2);
    file.set_permissions(permissions)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.exists()
}

#[cfg(not(unix))]
fn make_executable(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
