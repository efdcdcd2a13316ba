//! `git lake install` and `uninstall`: the filter configuration of a user or a machine.

use super::{Context, Error, Exit};
use crate::repo::gitconfig::{self, ConfigFile};
use crate::repo::process::Git;
use crate::repo::{Environment, filter_config, git_version};

/// Set the filter up for all your repositories, so that a fresh clone needs no other step
#[derive(clap::Args)]
pub struct InstallArgs {
    /// Change the configuration of the machine, not of the user
    #[arg(long)]
    system: bool,
}

/// Remove what `git lake install` wrote, and nothing else
#[derive(clap::Args)]
pub struct UninstallArgs {
    /// Change the configuration of the machine, not of the user
    #[arg(long)]
    system: bool,
}

/// Runs `git lake install`.
///
/// # Errors
/// If git is too old or the configuration cannot be written.
pub fn install(context: &Context, args: &InstallArgs) -> super::Result {
    git_version::check(&Git::find(&Environment::read(), &context.folder)?)?;
    let mut config = open(args.system)?;
    filter_config::write(&mut config)?;
    context.ui.status(&format!("git-lake is set up in `{}`.", config.path().display()));
    Ok(Exit::Done)
}

/// Runs `git lake uninstall`.
///
/// # Errors
/// If the configuration cannot be written.
pub fn uninstall(context: &Context, args: &UninstallArgs) -> super::Result {
    let mut config = open(args.system)?;
    let mut kept = Vec::new();
    for (key, value) in filter_config::KEYS {
        match config.get(key)? {
            Some(found) if found == value => {
                config.unset(key)?;
            }
            Some(_) => kept.push(key),
            None => {}
        }
    }
    let path = config.path().display();
    if kept.is_empty() {
        context.ui.status(&format!("git-lake is no longer set up in `{path}`."));
    } else {
        let kept = kept.join("`, `");
        context.ui.status(&format!("Left alone in `{path}`, since somebody changed it: `{kept}`."));
    }
    Ok(Exit::Done)
}

fn open(is_system: bool) -> Result<ConfigFile, Error> {
    let environment = Environment::read();
    let path = if is_system {
        Some(gitconfig::system_file(&environment))
    } else {
        gitconfig::user_file(&environment)
    };
    let path = path.ok_or_else(|| {
        Error::Refused("There is no home folder to find git's configuration in".into())
    })?;
    Ok(ConfigFile::open(&path)?)
}
