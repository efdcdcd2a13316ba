//! `git-lake hook`: what git's hooks run.

use std::collections::HashSet;
use std::io::Read as _;

use super::{Context, Error, Exit, counted};
use crate::config::UploadAt;
use crate::fill;
use crate::filter::finish;
use crate::owed::{self, InheritError, Look};
use crate::proof::{self, Verdict};
use crate::repo::history::{self, Commits, RefUpdate};
use crate::repo_path::RepoPath;
use crate::store::{Presence, fill_journal};
use crate::ui::size;
use crate::workspace::Workspace;

/// Longest list of refs that git sends to a hook, in bytes.
const MAX_INPUT_BYTES: u64 = 64 << 20;
/// Most paths that a line names.
const SHOWN_PATHS: usize = 3;

/// Do what a hook of git has to do
#[derive(clap::Args)]
pub struct Args {
    /// Name of the hook
    name: String,
    /// What git gives to the hook
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<std::ffi::OsString>,
}

/// Runs `git-lake hook`.
///
/// # Errors
/// If the hook is unknown or the clone cannot be read.
pub fn run(context: &Context, args: &Args) -> super::Result {
    match args.name.as_str() {
        "pre-push" => pre_push(context, args),
        "post-checkout" => {
            // The third argument is 1 when a branch was checked out, 0 for files.
            let is_branch = args.arguments.get(2).is_some_and(|flag| flag == "1");
            tell_what_is_left(context, is_branch)
        }
        "post-merge" => {
            let site = context.lenient_workspace()?;
            let when = site.config.upload_at;
            upload_inherited(context, &site, Commits::MergedHead, when);
            tell_what_is_left(context, true)
        }
        other => Err(Error::Usage(format!("`{other}` is not a hook that git-lake has"))),
    }
}

/// Proves that what is pushed leaves nothing behind that only this machine holds.
fn pre_push(context: &Context, args: &Args) -> super::Result {
    let mut input = Vec::new();
    std::io::stdin().lock().take(MAX_INPUT_BYTES).read_to_end(&mut input)?;
    let updates = RefUpdate::parse_all(&input).map_err(|error| Error::Usage(error.to_string()))?;
    if updates.iter().all(|update| update.sent().is_none()) {
        return Ok(Exit::Done);
    }
    let site = context.lenient_workspace()?;
    // Whoever pushes wants it to go through, also when a lake has just come back.
    site.insist();
    // The first is the name of a remote, or the address as it was typed.
    let remote = args.arguments.first().map(|name| name.to_string_lossy().into_owned());
    let remote = remote.unwrap_or_default();
    let blobs = history::blobs_to_push(&site.repo, &updates, &remote)?;
    let Verdict { problems, notes, sent, sent_bytes } = proof::prove(&site, blobs)?;
    for note in &notes {
        context.ui.warning(note);
    }
    if problems.is_empty() {
        upload_inherited(context, &site, Commits::Pushed(&updates, &remote), UploadAt::Add);
        return Ok(Exit::Done);
    }
    for problem in &problems {
        context.ui.warning(problem);
    }
    if sent > 0 {
        let objects = counted(sent, "object", "objects");
        context.ui.status(&format!("{objects} uploaded ({}).", size::human(sent_bytes)));
    }
    if site.repo.config_bool("lake.allowIncompletePush") == Some(true) {
        context.ui.warning("Pushing all the same: `lake.allowIncompletePush` is set.");
        return Ok(Exit::Done);
    }
    context.ui.warning(
        "The push is refused, so that nobody gets pointers without content; `git push --no-verify` pushes all the same.",
    );
    Ok(Exit::Incomplete)
}

/// Sends new content to remotes that the other side of a merge gave the item, or with
/// [`UploadAt::Push`] leaves that owed. What fails stays owed, and stops nothing.
fn upload_inherited(context: &Context, site: &Workspace, commits: Commits<'_>, when: UploadAt) {
    let upload = || -> Result<(), InheritError> {
        let mut owed = owed::inherited(site, commits)?;
        if owed.is_empty() {
            return Ok(());
        }
        site.queue.add_owed(&owed)?;
        if when == UploadAt::Push {
            return Ok(());
        }
        // Large files are put in place when git has ended, and uploaded by whatever comes next.
        owed.retain(|owed| {
            let presence = site.store.presence(owed.oid, owed.size);
            presence.is_ok_and(|presence| presence != Presence::Absent)
        });
        let (report, due) = owed::pay(site, owed)?;
        finish::tell(site, &report, &due);
        owed::settle(site, Look::Index)?;
        Ok(())
    };
    if let Err(error) = upload() {
        context.ui.warning(&format!(
            "Could not find out what the merged items owe to lakes: {error}. `git push` tries again."
        ));
    }
}

/// Reports pointers that a checkout left behind, and with `is_new_state` content that git holds where
/// pointers belong. Never fails: git has done its work.
fn tell_what_is_left(context: &Context, is_new_state: bool) -> super::Result {
    let site = context.lenient_workspace()?;
    let index = site.repo.index()?;
    let mut left = fill::left(&site, &index, None)?;
    // A filter that still runs fills these as soon as git closes its pipe.
    let coming: HashSet<RepoPath> = fill_journal::read_all(site.store.root())?
        .into_iter()
        .filter(|log| log.is_running && log.index_path == site.repo.index_path())
        .flat_map(|log| log.entries.into_iter().map(|entry| entry.path))
        .collect();
    left.retain(|item| site.config.wants_content(&item.path) && !coming.contains(&item.path));
    let is_wanted = site.config.checkout != crate::config::Checkout::Pointer;
    if !left.is_empty() && is_wanted {
        let count = counted(left.len(), "file is a pointer", "files are pointers");
        context.ui.warning(&format!("{count} only; `git lake pull` fetches the content."));
    }
    let raw = if is_new_state { site.unconverted(&index)? } else { Vec::new() };
    if !raw.is_empty() {
        let count = counted(raw.len(), "file is", "files are");
        let shown: Vec<_> = raw.iter().take(SHOWN_PATHS).map(|path| path.display()).collect();
        context.ui.warning(&format!(
            "{count} content in git where pointers belong (such as {}): `git add --renormalize .` and a commit convert them.",
            shown.join(", ")
        ));
    }
    Ok(Exit::Done)
}
