//! `git lake fetch`: from the lakes to the store.

use std::collections::HashSet;
use std::ffi::OsString;

use super::report::tell_failures;
use super::selection::DatasetArgs;
use super::{Context, Error, Exit, counted};
use crate::fill;
use crate::filter::finish::{self, When};
use crate::fsck::scope::Scope;
use crate::oid::Oid;
use crate::owed;
use crate::pointer::Pointer;
use crate::repo::pathspec::matching_paths_of;
use crate::repo_path::RepoPath;
use crate::sources::select::select;
use crate::sources::walk;
use crate::store::Presence;
use crate::ui::size;
use crate::workspace::Workspace;

/// Fetch objects into the store, without touching the work tree
///
/// For a train, a plane or a switch without a wait. Without anything, what the index has and a checkout
/// would want here.
#[derive(clap::Args)]
pub struct Args {
    /// What these commits or trees have; `A..B`: what the commits bring that lead to B and not to A
    #[arg(value_name = "REF|A..B", conflicts_with = "all")]
    scopes: Vec<String>,
    /// What any pointer in any branch, tag or stash names
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Only these paths, as git takes them
    #[arg(value_name = "PATHSPEC", last = true)]
    pathspecs: Vec<OsString>,
}

/// Runs `git lake fetch`.
///
/// # Errors
/// If the clone or its history cannot be read.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let mut site = context.workspace()?;
    site.insist();
    site.consult_origin();
    let mut wanted = Wanted { site: &site, seen: HashSet::new(), items: Vec::new(), stored: 0 };
    if args.all {
        refuse_selection(args, "--all")?;
        walk::of_refs(&site, &mut |path, pointer| wanted.add(path, pointer))?;
    } else {
        for scope in scopes(args, &site)? {
            match scope {
                Scope::Index => of_index(context, args, &mut wanted)?,
                Scope::Tree(treeish) => of_tree(context, args, &treeish, &mut wanted)?,
                Scope::Range(base, tip) => {
                    refuse_selection(args, "a range")?;
                    let mut add = |path, pointer| wanted.add(path, pointer);
                    walk::of_range(&site, &base, &tip, &mut add)?;
                }
            }
        }
    }
    let Wanted { items, stored, .. } = wanted;
    let failed = fill::fetch(&site, items.iter().map(|(path, pointer)| (path, pointer)));
    let had = items.iter().filter(|(_, pointer)| !failed.contains_key(&pointer.oid()));
    let (mut count, mut bytes) = (0, 0_u64);
    for (_, pointer) in had {
        count += 1;
        bytes = bytes.saturating_add(pointer.size());
    }
    finish::keep_within_limit(&site, When::AtTheEnd);
    let failures: Vec<_> = items
        .into_iter()
        .filter_map(|(path, pointer)| Some((path, failed.get(&pointer.oid())?.clone())))
        .collect();
    tell_failures(context, "object could not be had", "objects could not be had", &failures);
    let (repaired, due) = owed::repair(&site)?;
    finish::tell(&site, &repaired, &due);
    context.ui.status(&format!(
        "{} fetched ({}), {stored} in the store already.",
        counted(count, "object", "objects"),
        size::human(bytes),
    ));
    Ok(if failures.is_empty() { Exit::Done } else { Exit::Incomplete })
}

/// Understands what was typed; nothing is the index, or `HEAD` where there is no work tree.
fn scopes(args: &Args, site: &Workspace) -> Result<Vec<Scope>, Error> {
    let parse = |text: Option<&str>| {
        let scope = Scope::parse(text, site.repo.work_tree().is_some());
        scope.ok_or_else(|| {
            let text = text.unwrap_or_default();
            Error::Usage(format!("`{text}` has three dots; `A..B` is what B has and A has not"))
        })
    };
    match &args.scopes[..] {
        [] => Ok(vec![parse(None)?]),
        texts => texts.iter().map(|text| parse(Some(text))).collect(),
    }
}

fn refuse_selection(args: &Args, what: &str) -> Result<(), Error> {
    if args.pathspecs.is_empty() && args.dataset.is_empty() {
        return Ok(());
    }
    Err(Error::Usage(format!("Paths, keys and samples cannot be chosen of {what}")))
}

/// Adds what the index has: what is chosen, or else what a checkout would want.
fn of_index(context: &Context, args: &Args, wanted: &mut Wanted<'_>) -> Result<(), Error> {
    let site = wanted.site;
    let selection = args.dataset.with_pathspecs(context, &args.pathspecs)?;
    let index = site.repo.index()?;
    if !selection.is_everything() {
        let items = select(site, &index, &selection)?.items.into_iter();
        return items
            .map(|item| (item.path, item.pointer))
            .try_for_each(|(path, pointer)| wanted.add(path, pointer));
    }
    walk::of_index(site, &index, &mut |path, pointer| {
        let is_outside = || index.at(path.as_bytes()).any(|entry| entry.is_skip_worktree);
        match site.config.wants_content(&path) && !is_outside() {
            true => wanted.add(path, pointer),
            false => Ok(()),
        }
    })
}

fn of_tree(
    context: &Context,
    args: &Args,
    treeish: &str,
    wanted: &mut Wanted<'_>,
) -> Result<(), Error> {
    let site = wanted.site;
    if !args.dataset.is_empty() {
        return Err(Error::Usage("Keys and samples can be chosen of the index alone".into()));
    }
    let only = match &args.pathspecs[..] {
        [] => None,
        pathspecs => Some(matching_paths_of(&site.repo, &context.folder, treeish, pathspecs)?),
    };
    walk::of_tree(site, treeish, &mut |path, pointer| {
        let is_meant = match &only {
            Some(only) => only.contains(path.as_bytes()),
            None => site.config.wants_content(&path),
        };
        if is_meant { wanted.add(path, pointer) } else { Ok(()) }
    })
}

/// Objects that the store lacks, each once.
struct Wanted<'a> {
    site: &'a Workspace,
    seen: HashSet<Oid>,
    items: Vec<(RepoPath, Pointer)>,
    /// How many are there already.
    stored: usize,
}

impl Wanted<'_> {
    fn add(&mut self, path: RepoPath, pointer: Pointer) -> Result<(), Error> {
        if self.seen.insert(pointer.oid()) {
            match self.site.store.presence(pointer.oid(), pointer.size())? {
                Presence::Stored => self.stored += 1,
                Presence::Unproven | Presence::Absent => self.items.push((path, pointer)),
            }
        }
        Ok(())
    }
}
