//! `git lake status`: what changed, what is missing here, and what is owed to the lakes.

use std::collections::BTreeMap;

use serde_json::json;

mod all;

use super::report::tell_doubts;
use super::{Context, Error, Exit, counted};
use crate::inventory::status::{self, Asked, Staged, Status};
use crate::lake_url::LakeUrl;
use crate::owed::{self, Look};
use crate::repo::hooks;
use crate::repo_path::RepoPath;
use crate::store::queue;
use crate::ui::escape::for_terminal;
use crate::ui::size;

/// Most paths that are listed for people in one group.
const SHOWN_PATHS: usize = 20;
/// Version of the document that `--json` prints.
const JSON_VERSION: u64 = 2;

/// Show what changed, which files are pointers only, and which uploads are owed
///
/// Compares the index with HEAD and with the work tree; files that git would not look into are not read. No
/// lake is asked, unless `--check` is given. With `--all --check`: everything that this clone has, of all
/// branches, tags, stashes, reflogs and work trees, and in the store, is asked for now; what no remote that
/// others reach is sure to hold is listed. If there is nothing, the clone may be deleted.
#[derive(clap::Args)]
pub struct Args {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Ask lakes, too; exits with 1 if anything is missing or owed
    #[arg(long)]
    check: bool,
    /// Look at everything that this clone has, and list what is only here
    #[arg(long, requires = "check")]
    all: bool,
}

/// What one lake is owed.
struct Owed {
    uploads: Vec<queue::Owed>,
    is_accepted: bool,
}

impl Owed {
    fn bytes(&self) -> u64 {
        size::total(self.uploads.iter().map(|record| record.size))
    }
}

/// Everything that is told.
struct Findings {
    status: Status,
    owed: BTreeMap<LakeUrl, Owed>,
    asked: Option<Asked>,
    is_guarded: bool,
}

/// Runs `git lake status`. Without `--check` it contacts no lake, but at the first use of a clone.
///
/// # Errors
/// If the clone cannot be read.
pub fn run(context: &Context, args: &Args) -> super::Result {
    if args.all {
        return all::run(context, args);
    }
    let mut site = context.workspace()?;
    if site.repo.work_tree().is_none() {
        let text = "A bare repository has no work tree: `git lake ls-files` lists what `HEAD` has";
        return Err(Error::Refused(text.into()));
    }
    let index = site.repo.index()?;
    let mut status = status::of_index(&site, &index)?;
    let accepted = site.accepted()?;
    let mut owed: BTreeMap<LakeUrl, Owed> = BTreeMap::new();
    for record in owed::settle(&site, Look::Everywhere)? {
        let is_accepted = accepted.contains(&record.url.lake);
        let lake = owed.entry(record.url.lake.clone());
        lake.or_insert(Owed { uploads: Vec::new(), is_accepted }).uploads.push(record);
    }
    for lake in owed.values_mut() {
        lake.uploads.sort_by(|a, b| a.path.cmp(&b.path));
    }
    let asked = match args.check {
        true => {
            site.insist();
            site.consult_origin();
            Some(status::ask(&site, &index)?)
        }
        false => None,
    };
    let is_guarded = hooks::is_push_guarded(&site.repo);
    if asked.is_some() {
        // What lakes say now is more than what the settings say.
        status.unnamed.clear();
    }
    let findings = Findings { status, owed, asked, is_guarded };
    match args.json {
        true => context.ui.data(&document(&findings).to_string())?,
        false => print(context, &findings)?,
    }
    let is_wanting = args.check && findings.is_wanting();
    Ok(if is_wanting { Exit::Incomplete } else { Exit::Done })
}

impl Findings {
    /// Returns true if anything is missing or owed.
    fn is_wanting(&self) -> bool {
        let is_unheld = |asked: &Asked| !asked.unheld.is_empty();
        !self.status.pointers_only.is_empty()
            || !self.owed.is_empty()
            || self.asked.as_ref().is_some_and(is_unheld)
    }

    /// Words how many items are in each state, those states that there are.
    fn counts(&self) -> String {
        let Self { status, owed, asked, .. } = self;
        let counts = [
            (status.staged.len(), "staged"),
            (status.modified.len(), "modified"),
            (status.deleted.len(), "deleted"),
            (status.unmerged.len(), "not merged"),
            (status.pointers_only.len(), "pointer only"),
            (owed.values().map(|owed| owed.uploads.len()).sum(), "owed"),
            (status.unnamed.len(), "in no remote"),
            (asked.as_ref().map_or(0, |asked| asked.unheld.len()), "held by no lake"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts.map(|(count, word)| format!("{count} {word}")).collect();
        if counts.is_empty() { ".".to_owned() } else { format!(": {}.", counts.join(", ")) }
    }
}

fn print(context: &Context, findings: &Findings) -> Result<(), Error> {
    let Findings { status, owed, asked, is_guarded } = findings;
    let ui = &context.ui;
    let tracked = counted(status.items, "file", "files");
    ui.data(&format!("{tracked} tracked, {}{}", size::human(status.bytes), findings.counts()))?;
    let files = |paths: &[RepoPath], one: &str, many: &str, way: &str| -> Result<(), Error> {
        if paths.is_empty() {
            return Ok(());
        }
        ui.data(&format!("{}{way}:", counted(paths.len(), one, many)))?;
        list(context, paths, |path| path.display().into_owned())
    };
    if !status.staged.is_empty() {
        let count = counted(status.staged.len(), "file is", "files are");
        ui.data(&format!("{count} staged:"))?;
        list(context, &status.staged, staged)?;
    }
    files(&status.modified, "file is", "files are", " modified in the work tree")?;
    files(&status.deleted, "file is", "files are", " deleted in the work tree")?;
    files(&status.unmerged, "file is", "files are", " not merged")?;
    files(
        &status.pointers_only,
        "file is a pointer",
        "files are pointers",
        " only; `git lake pull` fetches the content",
    )?;
    for (url, owed) in owed {
        let count = counted(owed.uploads.len(), "upload is", "uploads are");
        let way = if owed.is_accepted {
            "`git lake push` makes it good".to_owned()
        } else {
            format!("this clone has not accepted it: `git lake trust {url}`")
        };
        ui.data(&format!("{count} owed to `{url}` ({}); {way}.", size::human(owed.bytes())))?;
        list(context, &owed.uploads, |record| record.path.display().into_owned())?;
    }
    files(
        &status.unnamed,
        "file names no remote of the settings",
        "files name no remote of the settings",
        ", and none is known to hold the content; `git lake remote-add URL` sends it",
    )?;
    if let Some(asked) = asked {
        files(&asked.unheld, "file is", "files are", " held by no lake that could be asked")?;
        tell_doubts(context, &asked.unasked);
    }
    if owed.is_empty() {
        ui.data("Nothing is owed.")?;
    }
    if !is_guarded {
        ui.warning(
            "The pre-push hook is not active, so `git push` does not check that lakes hold the content: `git lake init` says how.",
        );
    }
    Ok(())
}

/// Lists as much as a person reads.
fn list<T>(context: &Context, things: &[T], word: impl Fn(&T) -> String) -> Result<(), Error> {
    for thing in things.iter().take(SHOWN_PATHS) {
        context.ui.data(&format!("  {}", for_terminal(&word(thing))))?;
    }
    if things.len() > SHOWN_PATHS {
        context.ui.data(&format!("  and {} more", things.len() - SHOWN_PATHS))?;
    }
    Ok(())
}

fn staged(staged: &Staged) -> String {
    let path = staged.path.display();
    match &staged.old_path {
        Some(old) => format!("{}  {} => {path}", staged.change.as_str(), old.display()),
        None => format!("{}  {path}", staged.change.as_str()),
    }
}

fn document(findings: &Findings) -> serde_json::Value {
    let Findings { status, owed, asked, is_guarded } = findings;
    let paths = |paths: &[RepoPath]| -> Vec<String> {
        paths.iter().map(|path| path.display().into_owned()).collect()
    };
    let staged = status.staged.iter().map(|staged| {
        let old_path = staged.old_path.as_ref().map(RepoPath::display);
        json!({ "change": staged.change.as_str(), "path": staged.path.display(), "old_path": old_path })
    });
    let item = |record: &queue::Owed| json!({ "path": record.path.display(), "oid": record.oid.to_hex(), "size": record.size });
    let owed = owed.iter().map(|(url, owed)| {
        json!({
            "url": url.to_string(), "objects": owed.uploads.len(), "bytes": owed.bytes(),
            "accepted": owed.is_accepted, "items": owed.uploads.iter().map(item).collect::<Vec<_>>(),
        })
    });
    let unasked = |asked: &Asked| -> Vec<serde_json::Value> {
        let unasked = asked.unasked.iter();
        unasked.map(|(url, why)| json!({ "url": url.to_string(), "error": why })).collect()
    };
    json!({
        "version": JSON_VERSION, "items": status.items, "bytes": status.bytes,
        "staged": staged.collect::<Vec<_>>(), "modified": paths(&status.modified),
        "deleted": paths(&status.deleted), "unmerged": paths(&status.unmerged),
        "pointers_only": paths(&status.pointers_only), "owed": owed.collect::<Vec<_>>(),
        "unnamed": asked.is_none().then(|| paths(&status.unnamed)),
        "unheld": asked.as_ref().map(|asked| paths(&asked.unheld)),
        "unasked": asked.as_ref().map(unasked),
        "pre_push_hook": is_guarded,
    })
}
