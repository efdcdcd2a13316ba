//! `git lake add`: what `git add` does, faster.

use std::collections::HashSet;
use std::ffi::OsString;

use super::{Context, Error, Exit, counted};
use crate::add;
use crate::repo::Environment;
use crate::repo::pathspec::{Known, paths_that_are};
use crate::repo::process::{self, Git};
use crate::ui::size;

/// Add files as `git add` does, lake files many times faster
///
/// Lake files are read on all cores in one pass and staged together; everything else is left to
/// `git add`, which runs afterwards with the same arguments. The index is what `git add` alone makes.
#[derive(clap::Args)]
pub struct Args {
    /// Add, change and remove, to match the whole work tree
    #[arg(short = 'A', long)]
    all: bool,
    /// Change and remove only what git knows already
    #[arg(short, long, conflicts_with_all = ["all", "force"])]
    update: bool,
    /// Also what is ignored
    #[arg(short, long)]
    force: bool,
    /// Files and folders, as git takes them
    #[arg(value_name = "PATHSPEC")]
    pathspecs: Vec<OsString>,
}

/// Runs `git lake add`.
///
/// # Errors
/// If the clone cannot be read, or the store, git or the index cannot be written.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let site = context.lenient_workspace()?;
    let index = site.repo.index()?;
    let is_asked_for = args.all || args.update || !args.pathspecs.is_empty();
    if is_asked_for && add::is_possible(&site, &index) {
        let known = paths_that_are(Known::Yes, &context.folder, &args.pathspecs)?;
        let new = match (args.update, args.force) {
            (true, _) => HashSet::new(),
            (false, true) => {
                paths_that_are(Known::NoMatterIgnored, &context.folder, &args.pathspecs)?
            }
            (false, false) => paths_that_are(Known::No, &context.folder, &args.pathspecs)?,
        };
        let candidates = add::candidates(&site, &index, &known, &new)?;
        // A million paths need their room elsewhere.
        drop((index, known, new));
        let added = add::add(&site, candidates)?;
        if added.files > 0 {
            let count = counted(added.files, "lake file", "lake files");
            context.ui.status(&format!("{count} staged ({}).", size::human(added.bytes)));
        }
    }
    drop(site);
    finish(context, args)
}

/// Lets git do the rest, and say what it has to say.
fn finish(context: &Context, args: &Args) -> super::Result {
    let flags = [(args.all, "--all"), (args.update, "--update"), (args.force, "--force")];
    let flags = flags.iter().filter(|flag| flag.0).map(|flag| OsString::from(flag.1));
    let mut all: Vec<OsString> = vec!["add".into()];
    all.extend(flags);
    all.push("--".into());
    all.extend(args.pathspecs.iter().cloned());
    let git = Git::find(&Environment::read(), &context.folder)?;
    let (said, exit) = match git.run(&all, b"") {
        Ok(output) => (output.stderr, Exit::Done),
        Err(process::Error::Failed { stderr, .. }) => (stderr, Exit::Incomplete),
        Err(error) => return Err(Error::Git(error)),
    };
    for line in said.lines() {
        context.ui.repeat(line);
    }
    Ok(exit)
}
