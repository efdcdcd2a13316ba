//! `git lake where`: who holds items, and what only one lake holds.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;

use super::lakes::find_all;
use super::ls_files::in_store;
use super::report::{tell_doubts, tell_refused};
use super::{Context, Error, Exit, counted};
use crate::digest::hash_reader;
use crate::fs::platform;
use crate::lake_url::SourceUrl;
use crate::repo::pathspec::matching_paths;
use crate::sources::only::{Known, Only, Report};
use crate::sources::select::{Selection, select};
use crate::sources::{Item, walk};
use crate::store::receipts::Receipt;
use crate::transfer::presence::{Answer, Questions};
use crate::transfer::upload::Failure;
use crate::ui::escape::for_terminal;
use crate::ui::{date, size};
use crate::workspace::Workspace;

/// Version of the documents that `--json` prints.
const JSON_VERSION: u64 = 1;

/// Show who holds items, or what only one lake holds
///
/// One line for each lake that the pointer names or that proved to hold the object, with how strongly and
/// when; then the store of this clone, and the work tree. With `--only NAME`: what only that remote is known to hold, in the index or with `--all` in all branches,
/// tags and stashes. If there is nothing, its bucket is not needed.
#[derive(clap::Args)]
pub struct Args {
    /// Items, as git takes paths
    #[arg(value_name = "PATHSPEC", required_unless_present = "only", conflicts_with = "only")]
    pathspecs: Vec<OsString>,
    /// What only this remote is known to hold; exits with 1 if there is anything
    #[arg(long, value_name = "NAME|URL")]
    only: Option<String>,
    /// Everything that branches, tags and stashes need, not only the index
    #[arg(long, requires = "only")]
    all: bool,
    /// Ask the lakes now
    #[arg(long)]
    check: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Runs `git lake where`.
///
/// # Errors
/// If the clone or its history cannot be read, or no item is meant.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let mut site = context.workspace()?;
    if args.check {
        site.insist();
    }
    site.consult_origin();
    match &args.only {
        Some(name) => only(context, &site, args, name),
        None => items(context, &site, args),
    }
}

/// What is known of one place of an object.
struct Place {
    source: SourceUrl,
    remote: Option<String>,
    is_named: bool,
    receipt: Option<Receipt>,
    answer: Option<Answer>,
}

fn items(context: &Context, site: &Workspace, args: &Args) -> super::Result {
    let paths = Some(matching_paths(&context.folder, &args.pathspecs)?);
    let selected = select(site, &site.repo.index()?, &Selection { paths, ..Selection::default() })?;
    if selected.items.is_empty() && selected.refused.is_empty() {
        return Err(Error::Refused("git keeps no pointer at these paths".into()));
    }
    let mut questions = Questions::default();
    for item in selected.items.iter().filter(|_| args.check) {
        for source in site.config.candidates(&item.pointer, &item.path) {
            questions.add(source, Some(item.pointer.size()));
        }
    }
    let answers = site.transfer().ask(questions)?;
    let mut documents = Vec::new();
    for item in &selected.items {
        let places = places(site, item, &answers)?;
        let in_store = in_store(site.store.presence(item.pointer.oid(), item.pointer.size())?);
        let in_work_tree = work_tree_state(site.repo.work_tree(), item);
        if args.json {
            documents.push(document(item, &places, in_store, in_work_tree));
            continue;
        }
        let path = for_terminal(&item.path.display());
        for place in &places {
            let name = place.remote.clone().unwrap_or_else(|| place.source.lake.to_string());
            context.ui.data(&format!("{path}\t{name}\t{}", words(place)))?;
        }
        context.ui.data(&format!("{path}\tstore\t{in_store}"))?;
        context.ui.data(&format!("{path}\twork tree\t{in_work_tree}"))?;
    }
    if args.json {
        let document = serde_json::json!({ "version": JSON_VERSION, "items": documents });
        context.ui.data(&document.to_string())?;
    }
    tell_refused(context, &selected.refused);
    let is_held = |item: &Item| {
        let names = site.config.candidates(&item.pointer, &item.path);
        names.iter().any(|source| matches!(answers.get(source), Some(Answer::Held(_))))
    };
    let is_complete = !args.check || selected.items.iter().all(is_held);
    Ok(if is_complete { Exit::Done } else { Exit::Incomplete })
}

/// Returns the lakes that are named, and the others that proved to hold the object.
fn places(
    site: &Workspace,
    item: &Item,
    answers: &HashMap<SourceUrl, Answer>,
) -> Result<Vec<Place>, Error> {
    let mut places = Vec::new();
    for source in site.config.candidates(&item.pointer, &item.path) {
        let receipt = site.receipts.get(&source)?;
        let receipt = receipt.filter(|receipt| receipt.size == item.pointer.size());
        let is_named = item.pointer.sources().contains(&source);
        let answer = answers.get(&source).cloned();
        if is_named || receipt.is_some() || matches!(answer, Some(Answer::Held(_))) {
            let remote = site.config.remote_at(&source.lake).map(|remote| remote.name.clone());
            places.push(Place { source, remote, is_named, receipt, answer });
        }
    }
    Ok(places)
}

/// Words what is known of a place.
fn words(place: &Place) -> String {
    let mut words = Vec::new();
    match &place.answer {
        Some(Answer::Held(_)) => words.push("holds it now".to_owned()),
        Some(Answer::Absent) => words.push("does not hold it".to_owned()),
        Some(Answer::OtherSize(size)) => words.push(format!("holds {size} other bytes")),
        Some(Answer::Unknown(error)) => {
            let cause = Failure::from(error.clone()).cause();
            words.push(format!("not known: {}", for_terminal(&cause)));
        }
        None => {}
    }
    match place.receipt {
        Some(Receipt { strength, date, .. }) => {
            words.push(format!("proved ({}, {})", strength.as_str(), date::human(date)));
        }
        None if place.answer.is_none() => words.push("not proved".to_owned()),
        None => {}
    }
    if !place.is_named {
        words.push("not named by the pointer".to_owned());
    }
    words.join("; ")
}

/// Says what lies in the work tree at an item's path; reads a file that may be the content.
fn work_tree_state(work_tree: Option<&Path>, item: &Item) -> &'static str {
    let Some(work_tree) = work_tree else { return "absent" };
    let path = crate::repo_path::join(work_tree, &item.path);
    let Ok(file) = platform::open_regular(&path) else {
        return if path.symlink_metadata().is_ok() { "other" } else { "absent" };
    };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let text = item.text();
    if length != item.pointer.size() && length != text.len() as u64 {
        return "other";
    }
    match hash_reader(file, &[]) {
        Ok(hashed) if hashed.oid == item.pointer.oid() => "content",
        Ok(hashed) if hashed.oid == crate::oid::Oid::of(&text) => "pointer",
        _ => "other",
    }
}

fn document(
    item: &Item,
    places: &[Place],
    in_store: &str,
    in_work_tree: &str,
) -> serde_json::Value {
    let places: Vec<_> = places
        .iter()
        .map(|place| {
            let held = place.answer.as_ref().and_then(|answer| match answer {
                Answer::Held(_) => Some(true),
                Answer::Absent | Answer::OtherSize(_) => Some(false),
                Answer::Unknown(_) => None,
            });
            let why = match &place.answer {
                Some(Answer::Unknown(error)) => Some(Failure::from(error.clone()).cause()),
                _ => None,
            };
            serde_json::json!({
                "url": place.source.to_string(), "remote": place.remote,
                "named": place.is_named,
                "proof": place.receipt.map(|receipt| receipt.strength.as_str()),
                "proved": place.receipt.map(|receipt| receipt.date),
                "held": held, "error": why,
            })
        })
        .collect();
    serde_json::json!({
        "path": item.path.display(), "oid": item.pointer.oid().to_hex(),
        "size": item.pointer.size(), "places": places, "store": in_store,
        "work_tree": in_work_tree,
    })
}

fn only(context: &Context, site: &Workspace, args: &Args, name: &String) -> super::Result {
    let mut lakes = find_all(context, site, std::slice::from_ref(name))?;
    let lake = lakes.pop_first().expect("one name means one lake");
    let known = if args.check { Known::Now } else { Known::ByReceipt };
    let mut only = Only::begin(site, lake.clone(), known);
    let mut add = |path, pointer| Ok::<_, Error>(only.add(path, pointer)?);
    walk::of_index(site, &site.repo.index()?, &mut add)?;
    if args.all {
        walk::of_refs(site, &mut add)?;
    }
    let Report { lonely, objects, unasked } = only.finish()?;
    let bytes: u64 = size::total(lonely.iter().map(|lonely| lonely.size));
    if args.json {
        let list: Vec<_> = lonely
            .iter()
            .map(|lonely| {
                serde_json::json!({
                    "path": lonely.path.display(), "oid": lonely.oid.to_hex(), "size": lonely.size,
                })
            })
            .collect();
        let unasked: Vec<_> = unasked
            .iter()
            .map(|(url, why)| serde_json::json!({ "url": url.to_string(), "error": why }))
            .collect();
        let document = serde_json::json!({
            "version": JSON_VERSION, "url": lake.to_string(), "objects": objects,
            "only_objects": lonely.len(), "only_bytes": bytes, "only": list, "unasked": unasked,
        });
        context.ui.data(&document.to_string())?;
    } else {
        for lonely in &lonely {
            let path = for_terminal(&lonely.path.display());
            context.ui.data(&format!("{path}\t{}\t{}", lonely.size, lonely.oid.to_hex()))?;
        }
    }
    tell_doubts(context, &unasked);
    let of = counted(objects, "object", "objects");
    if lonely.is_empty() {
        context.ui.status(&format!("Of {of} in `{lake}`, none is known to be there alone."));
        return Ok(Exit::Done);
    }
    let hint = if args.check { "" } else { " `--check` asks the other lakes now." };
    context.ui.status(&format!(
        "Of {of} in `{lake}`, {} not known to be anywhere else ({}).{hint}",
        match lonely.len() {
            1 => "1 is".to_owned(),
            count => format!("{count} are"),
        },
        size::human(bytes),
    ));
    Ok(Exit::Incomplete)
}
