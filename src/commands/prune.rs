//! `git lake prune`: objects leave the store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::report::tell_doubts;
use super::{Context, Error, Exit, counted};
use crate::space::needs;
use crate::space::prune::{self, Kept, Plan, Spared, Tally};
use crate::ui::size;
use crate::workspace::Workspace;

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
    /// Forget a clone that shared the store and is gone, by its git folder, and prune
    #[arg(long, value_name = "FOLDER")]
    forget: Option<PathBuf>,
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
    if let Some(folder) = &args.forget {
        forget(&site, folder)?;
    }
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
    let is_in_doubt = plan.kept.contains_key(&Kept::Unproven) && !plan.doubts.is_empty()
        || !plan.unreadable.is_empty();
    Ok(if is_in_doubt { Exit::Incomplete } else { Exit::Done })
}

/// Takes a clone that is no repository any more out of the list of those that share the store.
fn forget(site: &Workspace, folder: &Path) -> Result<(), Error> {
    let sharers = site.store.sharers()?.into_iter();
    let mut meant = sharers.filter(|sharer| Path::new(&sharer.display()) == folder).peekable();
    if meant.peek().is_none() {
        let folder = folder.display();
        return Err(Error::Refused(format!("No other clone at `{folder}` shares this store")));
    }
    if needs::clone_at(folder).is_ok() {
        let folder = folder.display();
        return Err(Error::Refused(format!("`{folder}` is a repository: what it needs stays")));
    }
    meant.try_for_each(|sharer| Ok(sharer.forget()?))
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
    for (sharer, reason) in &plan.unreadable {
        let clone = sharer.display();
        context.ui.warning(&format!(
            "Could not find out what the clone at `{clone}` needs: {reason}. If it is gone: `git lake prune --forget '{clone}'`"
        ));
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
                "used": removal.stored.used.as_secs(), "named": removal.is_named,
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
    let unreadable: Vec<_> = plan
        .unreadable
        .iter()
        .map(|(sharer, why)| serde_json::json!({ "clone": sharer.display(), "error": why }))
        .collect();
    serde_json::json!({
        "version": JSON_VERSION, "dry_run": args.dry_run, "removals": removals,
        "removed": removed.objects, "removed_bytes": removed.bytes,
        "kept": {
            "indexed": tally(Kept::Indexed), "unpushed": tally(Kept::Unpushed),
            "unproven": tally(Kept::Unproven), "recent": tally(Kept::Recent),
            "unknown": tally(Kept::Unknown), "shared": tally(Kept::Shared),
        },
        "unproven": unproven, "unasked": doubts, "unreadable": unreadable,
    })
}
