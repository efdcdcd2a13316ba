//! `git lake ls-files`: the items there are, and how each stands here.

use std::ffi::OsString;
use std::io::{self, Write};

use super::lakes::lake_name;
use super::selection::paths_of;
use super::{Context, Error, Exit};
use crate::inventory::list::{Listed, Scope, list};
use crate::inventory::work_tree::InWorkTree;
use crate::store::Presence;
use crate::ui::escape;
use crate::workspace::Workspace;

/// Version of the document that `--json` prints.
const JSON_VERSION: u64 = 1;
/// Digits of an oid that people see.
const SHORT_OID: usize = 12;

/// List items: path, oid, size, how each stands here, and its lakes
///
/// One line for each item, with tabs between: the path from the top of the work tree, the first digits of
/// the oid, the size in bytes, what the work tree has (`content`, `pointer`, `modified`, `absent`,
/// `unmerged`; `-` if not the index is listed), what the store has (`stored`, `unproven`, `absent`), and the lakes that the
/// pointer names. No lake is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Commit or tree to list instead of the index
    #[arg(value_name = "REF", conflicts_with = "all")]
    treeish: Option<String>,
    /// List every pointer that branches, tags, stashes and the index need, each once
    #[arg(long, conflicts_with = "pathspecs")]
    all: bool,
    /// Print whole oids, and the full addresses of sources
    #[arg(short, long)]
    long: bool,
    /// Print one JSON document
    #[arg(long, conflicts_with_all = ["long", "zero"])]
    json: bool,
    /// End lines with NUL, and print paths as they are
    #[arg(short = 'z')]
    zero: bool,
    /// Only these paths, as git takes them
    #[arg(value_name = "PATHSPEC", last = true)]
    pathspecs: Vec<OsString>,
}

/// Runs `git lake ls-files`. Changes nothing.
///
/// # Errors
/// If the commit does not exist, the pathspecs mean nothing, or the clone cannot be read.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let site = context.lenient_workspace()?;
    let scope = match &args.treeish {
        _ if args.all => Scope::Everything,
        Some(treeish) => Scope::Tree(treeish.clone()),
        None => Scope::of_default(&site),
    };
    let paths = paths_of(context, &site, &scope, &args.pathspecs)?;
    let mut out = context.ui.records();
    if args.json {
        write!(out, r#"{{"version":{JSON_VERSION},"items":["#)?;
    }
    let mut is_first = true;
    list(&site, &scope, paths.as_ref(), &mut |item| {
        match (args.json, is_first) {
            (true, true) => write!(out, "{}", document(&site, &item))?,
            (true, false) => write!(out, ",{}", document(&site, &item))?,
            (false, _) => print(&mut out, &site, args, &item)?,
        }
        is_first = false;
        Ok::<_, Error>(())
    })?;
    if args.json {
        writeln!(out, "]}}")?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn print(out: &mut dyn Write, site: &Workspace, args: &Args, item: &Listed) -> io::Result<()> {
    if args.zero {
        out.write_all(item.path.as_bytes())?;
    } else {
        // A tab ends the field.
        let path = escape::for_terminal(&item.path.display()).replace('\t', "\\t");
        out.write_all(path.as_bytes())?;
    }
    let hex = item.pointer.oid().to_hex();
    let sources = item.pointer.sources().iter();
    let (oid, sources): (&str, Vec<String>) = match args.long {
        true => (&hex, sources.map(ToString::to_string).collect()),
        false => (&hex[..SHORT_OID], sources.map(|source| lake_name(site, &source.lake)).collect()),
    };
    let sources = if sources.is_empty() { "-".to_owned() } else { sources.join(" ") };
    let work_tree = item.in_work_tree.map_or("-", in_work_tree);
    let (size, store) = (item.pointer.size(), in_store(item.presence));
    let end = if args.zero { '\0' } else { '\n' };
    write!(out, "\t{oid}\t{size}\t{work_tree}\t{store}\t{sources}{end}")
}

fn document(site: &Workspace, item: &Listed) -> serde_json::Value {
    let source = |source: &crate::lake_url::SourceUrl| {
        let remote = site.config.remote_at(&source.lake).map(|remote| &remote.name);
        serde_json::json!({ "url": source.to_string(), "remote": remote })
    };
    let sources: Vec<_> = item.pointer.sources().iter().map(source).collect();
    serde_json::json!({
        "path": item.path.display(), "oid": item.pointer.oid().to_hex(),
        "size": item.pointer.size(), "sources": sources,
        "work_tree": item.in_work_tree.map(in_work_tree), "store": in_store(item.presence),
    })
}

fn in_work_tree(state: InWorkTree) -> &'static str {
    match state {
        InWorkTree::Content => "content",
        InWorkTree::Pointer => "pointer",
        InWorkTree::Modified => "modified",
        InWorkTree::Absent => "absent",
        InWorkTree::Unmerged => "unmerged",
    }
}

/// Says how an object stands in the store.
pub(super) fn in_store(presence: Presence) -> &'static str {
    match presence {
        Presence::Stored => "stored",
        Presence::Unproven => "unproven",
        Presence::Absent => "absent",
    }
}
