//! `git lake du`: how many bytes items have, and where.

use std::ffi::OsString;

use super::lakes::lake_name;
use super::selection::paths_of;
use super::{Context, Error, Exit, counted};
use crate::inventory::Sum;
use crate::inventory::list::Scope;
use crate::inventory::usage::{self, By, Group, Row, Usage};
use crate::ui::escape::for_terminal;
use crate::ui::size;
use crate::workspace::Workspace;

/// Version of the document that `--json` prints.
const JSON_VERSION: u64 = 1;

/// Show how many bytes items have, by folder, type or remote
///
/// One line for each group, with tabs between: size, items, how much of it is in the store, and the name.
/// A summary says what deduplication saves and how much of it all is in the store, and of a commit how
/// much only it has. No lake is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Commits or trees to look at instead of the index; several count together
    #[arg(value_name = "REF")]
    treeishes: Vec<String>,
    /// Look at every pointer that branches, tags, stashes and the index need, each once
    #[arg(long, conflicts_with_all = ["treeishes", "pathspecs"])]
    all: bool,
    /// What to sum up by
    #[arg(long, value_enum, default_value = "folder")]
    by: Key,
    /// How many folders deep; default: 1
    #[arg(short, long, value_name = "N")]
    depth: Option<usize>,
    /// Print sizes as numbers of bytes
    #[arg(short, long)]
    bytes: bool,
    /// Print one JSON document
    #[arg(long, conflicts_with = "bytes")]
    json: bool,
    /// Only these paths, as git takes them
    #[arg(value_name = "PATHSPEC", last = true)]
    pathspecs: Vec<OsString>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Key {
    /// Folders, each with all below it
    Folder,
    /// The last suffix of file names
    Type,
    /// Lakes that pointers name; an item counts for each
    Remote,
}

/// Runs `git lake du`. Changes nothing.
///
/// # Errors
/// If a commit does not exist, the pathspecs mean nothing, or the clone cannot be read.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let by = match (args.by, args.depth) {
        (Key::Folder, depth) => By::Folder(depth.unwrap_or(1)),
        (_, Some(_)) => return Err(Error::Usage("`--depth` is for folders".into())),
        (Key::Type, None) => By::Type,
        (Key::Remote, None) => By::Lake,
    };
    let site = context.lenient_workspace()?;
    let scopes = match &args.treeishes[..] {
        _ if args.all => vec![Scope::Everything],
        [] => vec![Scope::of_default(&site)],
        treeishes => treeishes.iter().map(|treeish| Scope::Tree(treeish.clone())).collect(),
    };
    let mut parts = Vec::new();
    for scope in scopes {
        let paths = paths_of(context, &site, &scope, &args.pathspecs)?;
        parts.push((scope, paths));
    }
    let usage = usage::usage(&site, &parts, by)?;
    let names: Vec<&str> = parts.iter().filter_map(|(scope, _)| scope.treeish()).collect();
    if args.json {
        context.ui.data(&document(&site, args, &usage, &names).to_string())?;
    } else {
        print(context, &site, args, &usage, &names)?;
    }
    Ok(Exit::Done)
}

fn print(
    context: &Context,
    site: &Workspace,
    args: &Args,
    usage: &Usage,
    names: &[&str],
) -> Result<(), Error> {
    let told = |bytes: u64| if args.bytes { bytes.to_string() } else { size::human(bytes) };
    for row in &usage.rows {
        let Row { items, stored, .. } = row;
        let (bytes, stored) = (told(items.bytes), told(stored.bytes));
        let name = for_terminal(&name(site, &row.group));
        context.ui.data(&format!("{bytes}\t{}\t{stored}\t{name}", items.count))?;
    }
    let objects =
        |sum: Sum| format!("{}, {}", counted(sum.count, "object", "objects"), told(sum.bytes));
    context.ui.status(&format!(
        "{}, {}: {}; {} saved by deduplication. In the store: {}.",
        counted(usage.items.count, "item", "items"),
        told(usage.items.bytes),
        objects(usage.objects),
        told(usage.saved_bytes()),
        objects(usage.stored),
    ));
    for (name, only) in names.iter().zip(&usage.only) {
        context.ui.status(&format!("Only in `{name}`: {}.", objects(*only)));
    }
    Ok(())
}

fn name(site: &Workspace, group: &Group) -> String {
    const NONE: &str = "(none)";
    match group {
        Group::Folder(path) => String::from_utf8_lossy(path).into_owned(),
        Group::Top => ".".to_owned(),
        Group::Type(suffix) if suffix.is_empty() => NONE.to_owned(),
        Group::Type(suffix) => String::from_utf8_lossy(suffix).into_owned(),
        Group::Lake(lake) => lake_name(site, lake),
        Group::NoLake => NONE.to_owned(),
    }
}

fn document(site: &Workspace, args: &Args, usage: &Usage, names: &[&str]) -> serde_json::Value {
    let row = |row: &Row| {
        let url = match &row.group {
            Group::Lake(lake) => Some(lake.to_string()),
            _ => None,
        };
        serde_json::json!({
            "name": name(site, &row.group), "url": url,
            "items": row.items.count, "bytes": row.items.bytes,
            "stored_items": row.stored.count, "stored_bytes": row.stored.bytes,
        })
    };
    let only = |(name, sum): (&&str, &Sum)| serde_json::json!({ "ref": name, "objects": sum.count, "bytes": sum.bytes });
    let by = match args.by {
        Key::Folder => "folder",
        Key::Type => "type",
        Key::Remote => "remote",
    };
    serde_json::json!({
        "version": JSON_VERSION, "by": by,
        "rows": usage.rows.iter().map(row).collect::<Vec<_>>(),
        "items": usage.items.count, "bytes": usage.items.bytes,
        "objects": usage.objects.count, "object_bytes": usage.objects.bytes,
        "saved_bytes": usage.saved_bytes(),
        "stored_objects": usage.stored.count, "stored_bytes": usage.stored.bytes,
        "only": names.iter().zip(&usage.only).map(only).collect::<Vec<_>>(),
    })
}
