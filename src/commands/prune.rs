//! `git lake prune`: objects leave the store.

use std::time::Duration;

use super::report::tell_doubts;
use super::{Context, Error, Exit, counted};
use crate::space::prune::{self, Kept, Plan, Spared, Tally};
use crate::ui::size;

/// How long other processes may go on using the store.
const PATIENCE: Duration = Duration::from_secs(10);
/// Version of the document that `--json` prints.
const JSON_VERSION: u64 = 1;

/// Remove objects from the store of this clone that lakes are sure to hold
///
/// What goes was confirmed a moment ago to be in `lake.minCopies` lakes that others reach; or nothing
/// names it, and nobody has used it for 14 days. Files of the work tree stay.
#[derive(clap::Args)]
pub struct Args {
    /// Also what the index names
    #[arg(long)]
    current: bool,
    /// Say what would go, and remove nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Runs `git lake prune`.
///
/// # Errors
/// If it cannot be told what is needed, or an object cannot be removed.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let site = context.workspace()?;
    site.insist();
    let plan = prune::plan(&site, if args.current { Spared::Unpushed } else { Spared::Indexed })?;
    let removed = match args.dry_run {
        true => plan.tally(),
        false => {
            site.without_hold(|| prune::carry_out(&site, &plan, PATIENCE))?.ok_or_else(|| {
                Error::Refused(
                    "Other processes use the store of this clone: try again when they are done"
                        .into(),
                )
            })?
        }
    };
    if args.json {
        context.ui.data(&document(args, &plan, removed).to_string())?;
    } else {
        tell(context, args, &plan, removed)?;
    }
    // What no lake holds yet stays, as it should; what could not be asked for is another matter.
    let is_in_doubt = plan.kept.contains_key(&Kept::Unproven) && !plan.doubts.is_empty();
    Ok(if is_in_doubt { Exit::Incomplete } else { Exit::Done })
}

fn tell(context: &Context, args: &Args, plan: &Plan, removed: Tally) -> Result<(), Error> {
    if args.dry_run {
        for removal in &plan.removals {
            let stored = removal.stored;
            context.ui.data(&format!("{}\t{}", stored.oid, stored.size))?;
        }
    }
    for (kept, Tally { objects, bytes }) in &plan.kept {
        let count = counted(*objects, "object", "objects");
        context.ui.status(&format!("{count} kept that {kept} ({}).", size::human(*bytes)));
    }
    tell_doubts(context, &plan.doubts);
    let count = counted(removed.objects, "object", "objects");
    let did = if args.dry_run { "would be removed" } else { "removed" };
    context.ui.status(&format!("{count} {did} ({}).", size::human(removed.bytes)));
    Ok(())
}

fn document(args: &Args, plan: &Plan, removed: Tally) -> serde_json::Value {
    let removals: Vec<_> = plan
        .removals
        .iter()
        .map(|removal| {
            serde_json::json!({
                "oid": removal.stored.oid.to_hex(), "size": removal.stored.size,
                "used": removal.stored.used, "named": removal.is_named,
            })
        })
        .collect();
    let tally = |kept: Kept| {
        let Tally { objects, bytes } = plan.kept.get(&kept).copied().unwrap_or_default();
        serde_json::json!({ "objects": objects, "bytes": bytes })
    };
    let unproven: Vec<_> = plan.unproven.iter().map(|path| path.display()).collect();
    let doubts: Vec<_> = plan
        .doubts
        .iter()
        .map(|(url, why)| serde_json::json!({ "url": url.to_string(), "error": why }))
        .collect();
    serde_json::json!({
        "version": JSON_VERSION, "dry_run": args.dry_run, "removals": removals,
        "removed": removed.objects, "removed_bytes": removed.bytes,
        "kept": {
            "indexed": tally(Kept::Indexed), "unpushed": tally(Kept::Unpushed),
            "unproven": tally(Kept::Unproven), "recent": tally(Kept::Recent),
            "unknown": tally(Kept::Unknown),
        },
        "unproven": unproven, "unasked": doubts,
    })
}
