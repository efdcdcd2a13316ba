//! `git lake status`: what is missing here, and what is owed to the lakes.

use std::collections::BTreeMap;

use super::{Context, Error, Exit, counted};
use crate::fill;
use crate::lake_url::LakeUrl;
use crate::owed::{self, Look};
use crate::repo::hooks;
use crate::ui::size;

/// Most paths that are listed for people.
const SHOWN_PATHS: usize = 20;
/// Version of the document that `--json` prints.
const JSON_VERSION: u64 = 1;

/// Show which files are pointers only, and which uploads are owed
#[derive(clap::Args)]
pub struct Args {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Exit with 1 if anything is missing or owed
    #[arg(long)]
    check: bool,
}

struct Owed {
    objects: usize,
    bytes: u64,
    is_accepted: bool,
}

/// Runs `git lake status`. Contacts no lake, but at the first use of a clone.
///
/// # Errors
/// If the clone cannot be read.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let site = context.workspace()?;
    let index = site.repo.index()?;
    let (items, bytes) = site.tracked(&index)?;
    let left = fill::left(&site, &index, None)?;
    let accepted = site.accepted()?;
    let mut owed: BTreeMap<LakeUrl, Owed> = BTreeMap::new();
    for record in owed::settle(&site, Look::Everywhere)? {
        let is_accepted = accepted.contains(&record.url.lake);
        let entry =
            owed.entry(record.url.lake).or_insert(Owed { objects: 0, bytes: 0, is_accepted });
        entry.objects += 1;
        entry.bytes += record.size;
    }
    let is_guarded = hooks::is_push_guarded(&site.repo);
    let exit = if args.check && !(left.is_empty() && owed.is_empty()) {
        Exit::Incomplete
    } else {
        Exit::Done
    };
    if args.json {
        let owed: Vec<_> = owed
            .iter()
            .map(|(url, owed)| {
                serde_json::json!({
                    "url": url.to_string(), "objects": owed.objects, "bytes": owed.bytes,
                    "accepted": owed.is_accepted,
                })
            })
            .collect();
        let pointers: Vec<_> = left.iter().map(|item| item.path.display()).collect();
        let document = serde_json::json!({
            "version": JSON_VERSION, "items": items, "bytes": bytes,
            "pointers_only": pointers, "owed": owed, "pre_push_hook": is_guarded,
        });
        context.ui.data(&document.to_string())?;
        return Ok(exit);
    }
    print(context, items, bytes, &left, &owed)?;
    if !is_guarded {
        context.ui.warning(
            "The pre-push hook is not active, so `git push` does not check that lakes hold the content: `git lake init` says how.",
        );
    }
    Ok(exit)
}

fn print(
    context: &Context,
    items: usize,
    bytes: u64,
    left: &[fill::Item],
    owed: &BTreeMap<LakeUrl, Owed>,
) -> Result<(), Error> {
    let ui = &context.ui;
    ui.data(&format!("{} tracked, {}.", counted(items, "file", "files"), size::human(bytes)))?;
    if !left.is_empty() {
        let count = counted(left.len(), "file is a pointer", "files are pointers");
        ui.data(&format!("{count} only; `git lake pull` fetches the content:"))?;
        for item in left.iter().take(SHOWN_PATHS) {
            ui.data(&format!("  {}", crate::ui::escape::for_terminal(&item.path.display())))?;
        }
        if left.len() > SHOWN_PATHS {
            ui.data(&format!("  and {} more", left.len() - SHOWN_PATHS))?;
        }
    }
    for (url, owed) in owed {
        let count = counted(owed.objects, "upload is", "uploads are");
        let way = if owed.is_accepted {
            "`git lake push` makes it good".to_owned()
        } else {
            format!("this clone has not accepted it: `git lake trust {url}`")
        };
        ui.data(&format!("{count} owed to `{url}` ({}); {way}.", size::human(owed.bytes)))?;
    }
    if owed.is_empty() {
        ui.data("Nothing is owed.")?;
    }
    Ok(())
}
