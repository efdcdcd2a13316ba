//! `git lake env`: what is in force here, for bug reports and for a look.

use super::{Context, Exit};
use crate::repo::Environment;
use crate::repo::hooks::{self, Hook};
use crate::repo::process::Git;
use crate::ui::escape::for_terminal;

/// Print versions, folders, lakes and hooks as git-lake sees them
#[derive(clap::Args)]
pub struct Args {}

/// Runs `git lake env`. Secrets are never among what is printed.
///
/// # Errors
/// If stdout is closed, or settings are wrong.
pub fn run(context: &Context, _: &Args) -> super::Result {
    let print =
        |key: &str, value: String| context.ui.data(&format!("{key}={}", for_terminal(&value)));
    print("git-lake", env!("CARGO_PKG_VERSION").to_owned())?;
    let git = Git::find(&Environment::read(), &context.folder)?.run(&["--version"], b"")?;
    print("git", String::from_utf8_lossy(&git.stdout).trim().to_owned())?;
    let site = context.workspace()?;
    let work_tree = site.repo.work_tree().map(|path| path.display().to_string());
    print("work-tree", work_tree.unwrap_or_default())?;
    print("git-dir", site.repo.git_dir().display().to_string())?;
    print("store", site.store.root().display().to_string())?;
    print("objects", site.store.objects_root().display().to_string())?;
    let jobs = site.config.jobs.map_or_else(|| "default".to_owned(), |jobs| jobs.to_string());
    print("jobs", jobs)?;
    print("upload", format!("{:?}", site.config.upload_at).to_lowercase())?;
    print("checkout", format!("{:?}", site.config.checkout).to_lowercase())?;
    let accepted = site.accepted()?;
    for remote in &site.config.remotes {
        let mut notes = vec![remote.hash.to_string()];
        let flags = [
            (!remote.upload, "source only"),
            (remote.required, "required"),
            (remote.local, "local"),
            (remote.upload && !accepted.contains(&remote.url), "not accepted"),
        ];
        notes.extend(flags.iter().filter(|flag| flag.0).map(|flag| flag.1.to_owned()));
        print(
            &format!("remote.{}", remote.name),
            format!("{} ({})", remote.url, notes.join(", ")),
        )?;
    }
    for hook in Hook::ALL {
        let is_active = hooks::state(&site.repo, hook)?.is_active();
        let state = if is_active { "active" } else { "not active" };
        print(&format!("hook.{}", hook.name()), state.to_owned())?;
    }
    Ok(Exit::Done)
}
