//! `git lake remote-list`: the lakes that the settings or pointers name, and how they are.

use std::collections::BTreeMap;

use super::{Context, Error, Exit, counted};
use crate::config::accepted::Accepted;
use crate::config::file::Remote;
use crate::lake::LakeError;
use crate::lake_url::LakeUrl;
use crate::owed::{self, Look};
use crate::sources::tally::{self, Tally};
use crate::transfer::measure::Measured;
use crate::transfer::report::with_causes;
use crate::ui::escape::for_terminal;
use crate::ui::size;
use crate::workspace::Workspace;

/// Version of the document that `--json` prints.
const JSON_VERSION: u64 = 1;

/// List lakes, how much of the index names each, and what each is owed
#[derive(clap::Args)]
pub struct Args {
    /// Reach each of them and measure it; exits with 1 if one cannot be reached
    #[arg(long)]
    check: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// One lake, with all that is known of it.
struct Row<'a> {
    url: LakeUrl,
    /// `None` if only pointers name it.
    remote: Option<&'a Remote>,
    is_accepted: bool,
    tally: Tally,
    owed_objects: usize,
    owed_bytes: u64,
    measured: Option<Result<Measured, LakeError>>,
}

/// Runs `git lake remote-list`. Without `--check` no lake is asked, but at the first use of a clone.
///
/// # Errors
/// If the clone cannot be read.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let site = context.workspace()?;
    let index = site.repo.index()?;
    let mut tallies = tally::of_index(&site, &index)?;
    let accepted = site.accepted()?;
    let mut owed: BTreeMap<LakeUrl, (usize, u64)> = BTreeMap::new();
    for record in owed::settle(&site, Look::Everywhere)? {
        let entry = owed.entry(record.url.lake).or_default();
        *entry = (entry.0 + 1, entry.1.saturating_add(record.size));
    }
    let mut rows: Vec<Row<'_>> = Vec::new();
    for remote in &site.config.remotes {
        let tally = tallies.lakes.remove(&remote.url).unwrap_or_default();
        rows.push(row(remote.url.clone(), Some(remote), tally, &accepted, &owed));
    }
    let others = std::mem::take(&mut tallies.lakes).into_iter();
    rows.extend(others.map(|(url, tally)| row(url, None, tally, &accepted, &owed)));
    if args.check {
        site.insist();
        measure(&site, &mut rows);
    }
    if args.json {
        let remotes: Vec<_> = rows.iter().map(|row| document(row, tallies.bytes)).collect();
        let document = serde_json::json!({
            "version": JSON_VERSION, "items": tallies.items, "bytes": tallies.bytes,
            "remotes": remotes,
        });
        context.ui.data(&document.to_string())?;
    } else {
        rows.iter().try_for_each(|row| print(context, row, tallies.bytes))?;
    }
    let is_reached = |row: &Row<'_>| !matches!(row.measured, Some(Err(_)));
    Ok(if rows.iter().all(is_reached) { Exit::Done } else { Exit::Incomplete })
}

fn row<'a>(
    url: LakeUrl,
    remote: Option<&'a Remote>,
    tally: Tally,
    accepted: &Accepted,
    owed: &BTreeMap<LakeUrl, (usize, u64)>,
) -> Row<'a> {
    let (owed_objects, owed_bytes) = owed.get(&url).copied().unwrap_or_default();
    let is_accepted = accepted.contains(&url);
    Row { url, remote, is_accepted, tally, owed_objects, owed_bytes, measured: None }
}

fn measure(site: &Workspace, rows: &mut [Row<'_>]) {
    let sample = |row: &Row<'_>| row.tally.sample.as_ref().map(|(source, _)| source.clone());
    let lakes: Vec<_> = rows.iter().map(|row| (row.url.clone(), sample(row))).collect();
    for (row, measured) in rows.iter_mut().zip(site.transfer().measure_all(&lakes)) {
        row.measured = Some(measured);
    }
}

/// Words what is special about a lake.
fn flags(row: &Row<'_>) -> Vec<String> {
    let Some(remote) = row.remote else { return vec!["named by pointers only".to_owned()] };
    let mut flags = vec![if remote.upload { "upload" } else { "no upload" }.to_owned()];
    let mut add = |is_so: bool, flag: &str| flags.extend(is_so.then(|| flag.to_owned()));
    add(remote.required, "required");
    add(remote.local, "local");
    add(!row.is_accepted, "not accepted");
    flags.push(remote.hash.to_string());
    if let Some(paths) = &remote.paths {
        flags.push(format!("paths {}", paths.texts().collect::<Vec<_>>().join(" ")));
    }
    flags
}

/// Returns how much of the index names a lake, in percent; all of nothing is nothing.
fn share(bytes: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { bytes as f64 * 100.0 / total as f64 }
}

fn print(context: &Context, row: &Row<'_>, total: u64) -> Result<(), Error> {
    let name = row.remote.map_or("-", |remote| &*remote.name);
    let named = format!(
        "{}, {} ({:.0}%)",
        counted(row.tally.items, "item", "items"),
        size::human(row.tally.bytes),
        share(row.tally.bytes, total)
    );
    let owed = match row.owed_objects {
        0 => "nothing owed".to_owned(),
        count => format!(
            "{} owed ({})",
            counted(count, "object", "objects"),
            size::human(row.owed_bytes)
        ),
    };
    let mut line = format!("{name}\t{}\t{named}\t{owed}\t{}", row.url, flags(row).join(", "));
    match &row.measured {
        Some(Ok(measured)) => line.push_str(&format!("\t{}", measured.words())),
        Some(Err(error)) => line.push_str(&format!("\tnot reached: {}", with_causes(error))),
        None => {}
    }
    Ok(context.ui.data(&for_terminal(&line))?)
}

fn document(row: &Row<'_>, total: u64) -> serde_json::Value {
    let check = row.measured.as_ref().map(|measured| match measured {
        Ok(measured) => serde_json::json!({
            "reached": true,
            "declares": measured.declaration.hash.as_str(),
            "assumed": measured.declaration.assumed,
            "round_trip_us": u64::try_from(measured.round_trip.as_micros()).unwrap_or(u64::MAX),
            "bytes_per_second": measured.bytes_per_second,
            "features": measured.features.map(|features| {
                features.named().into_iter().collect::<BTreeMap<&str, Option<bool>>>()
            }),
        }),
        Err(error) => serde_json::json!({ "reached": false, "error": with_causes(error) }),
    });
    let remote = row.remote;
    serde_json::json!({
        "name": remote.map(|remote| &remote.name), "url": row.url.to_string(),
        "items": row.tally.items, "bytes": row.tally.bytes,
        "share": share(row.tally.bytes, total) / 100.0,
        "owed_objects": row.owed_objects, "owed_bytes": row.owed_bytes,
        "upload": remote.is_some_and(|remote| remote.upload),
        "required": remote.is_some_and(|remote| remote.required),
        "local": remote.is_some_and(|remote| remote.local),
        "accepted": row.is_accepted,
        "hash": remote.map(|remote| remote.hash.as_str()),
        "paths": remote.and_then(|remote| remote.paths.as_ref()).map(|paths| paths.texts().collect::<Vec<_>>()),
        "check": check,
    })
}
