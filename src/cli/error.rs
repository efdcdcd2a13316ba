//! Exit codes, and what a person can do about an error. The only place that knows either.

use std::process::ExitCode;

use crate::commands::{self, Error, Exit};
use crate::lake::{LakeError, Obstacle};
use crate::orphans::references::Reason;
use crate::repo::history;
use crate::transfer::Cancel;
use crate::transfer::report::with_causes;
use crate::ui::Ui;
use crate::{fsck, repo, workspace};

pub(super) const DONE: u8 = 0;
pub(super) const INCOMPLETE: u8 = 1;
pub(super) const USAGE: u8 = 2;
const DAMAGED: u8 = 3;
const INTERRUPTED: u8 = 130;

/// Tells about an error and returns the exit code.
pub(super) fn report(ui: &Ui, cancel: &Cancel, result: commands::Result) -> ExitCode {
    let code = match result {
        Ok(Exit::Done) => DONE,
        Ok(Exit::Incomplete) if cancel.is_cancelled() => INTERRUPTED,
        Ok(Exit::Incomplete) => INCOMPLETE,
        Ok(Exit::Damaged) => DAMAGED,
        Err(Error::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => DONE,
        Err(error) => {
            ui.warning(&with_causes(&error));
            if let Some(hint) = hint(&error) {
                ui.warning(&format!("hint: {hint}"));
            }
            match error {
                Error::Usage(_) => USAGE,
                _ if cancel.is_cancelled() => INTERRUPTED,
                _ => INCOMPLETE,
            }
        }
    };
    ExitCode::from(code)
}

fn hint(error: &Error) -> Option<String> {
    match error {
        Error::Workspace(workspace::Error::Repo(error)) | Error::Repo(error) => repo_hint(error),
        Error::Workspace(workspace::Error::Settings(_)) => {
            Some("correct `.gitlake.toml`, or take the last good one with `git checkout HEAD -- .gitlake.toml`".into())
        }
        Error::Lake(error) => lake_hint(error),
        Error::Fsck(error) => fsck_hint(error),
        Error::References(error) => references_hint(&error.reason),
        _ => None,
    }
}

fn fsck_hint(error: &fsck::Error) -> Option<String> {
    match error {
        fsck::Error::History(history::Error::Shallow) => {
            Some("fetch the rest of the history with `git fetch --unshallow`".into())
        }
        fsck::Error::NotHere { .. } => Some(
            "fetch all branches with `git fetch --unshallow origin '+refs/heads/*:refs/remotes/origin/*'`"
                .into(),
        ),
        fsck::Error::Repo(error) => repo_hint(error),
        _ => None,
    }
}

fn references_hint(reason: &Reason) -> Option<String> {
    match reason {
        Reason::Shallow => {
            Some("fetch the rest of the history with `git fetch --unshallow`".into())
        }
        Reason::Partial => {
            Some("fetch the rest of the files with `git fetch --refetch --no-filter`".into())
        }
        Reason::Damaged { .. } | Reason::RemoteFile { .. } => {
            Some("put the file right; `git lake fsck --pointers` shows pointers".into())
        }
        Reason::Claims => Some("run `git lake push` there, which puts a damaged one right".into()),
        Reason::Repo(error) => repo_hint(error),
        _ => None,
    }
}

fn repo_hint(error: &repo::Error) -> Option<String> {
    match error {
        repo::Error::NotARepository { .. } => Some("make a repository with `git init`".into()),
        repo::Error::Foreign { path } => Some(format!(
            "if you trust it, `git config --global --add safe.directory '{}'`",
            path.display()
        )),
        _ => None,
    }
}

fn lake_hint(error: &LakeError) -> Option<String> {
    match error {
        LakeError::Unreachable { url, obstacle: Obstacle::NotDeclared | Obstacle::NoFolder } => {
            Some(format!("if it is mounted and new, make it a lake with `git lake init {url}`"))
        }
        LakeError::NoParent { .. } => {
            Some("check that the share is mounted, or add `--create`".into())
        }
        _ => None,
    }
}
