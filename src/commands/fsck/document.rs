//! What was found, as one JSON document.

use serde_json::{Value, json};

use crate::fsck::remotes::Tally;
use crate::fsck::repair::{Action, Repair};
use crate::fsck::settings::{Change, RemoteChange};
use crate::fsck::{Fault, Finding, Grade, Report};
use crate::oid::Oid;
use crate::workspace::Workspace;

/// Version of the document.
const JSON_VERSION: u64 = 1;

/// Returns the document; `docs/checks.md` has its keys.
pub(super) fn of(site: &Workspace, report: &Report) -> Value {
    let store = report.store.map(
        |tally| json!({ "objects": tally.objects, "bytes": tally.bytes, "sealed": tally.sealed }),
    );
    let pointers = report.pointers.map(
        |tally| json!({ "files": tally.files, "pointers": tally.pointers, "bytes": tally.bytes }),
    );
    let remotes: Option<Vec<Value>> = report.remotes.as_ref().map(|remotes| {
        let remote = |tally: &Tally| {
            let name = site.config.remote_at(&tally.url).map(|remote| &remote.name);
            json!({
                "name": name, "url": tally.url.to_string(), "objects": tally.objects,
                "held": tally.held, "read": tally.read, "read_bytes": tally.read_bytes,
            })
        };
        remotes.iter().map(remote).collect()
    });
    let changes: Vec<Value> = report.remote_changes.iter().map(remote_change).collect();
    let findings: Vec<Value> = report.findings.iter().map(finding).collect();
    json!({
        "version": JSON_VERSION, "store": store, "pointers": pointers, "remotes": remotes,
        "findings": findings, "remote_changes": changes,
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "kind": finding.fault.kind(),
        "damage": finding.fault.grade() == Grade::Damaged,
        "path": finding.path.as_ref().map(|path| path.display()),
        "oid": finding.oid.map(Oid::to_hex),
        "lake": finding.lake.as_ref().map(ToString::to_string),
        "name": finding.name.as_ref().map(ToString::to_string),
        "commit": finding.commit.map(|commit| commit.to_string()),
        "detail": detail(&finding.fault),
        "repair": finding.repair.as_ref().map(repair),
    })
}

/// Says more about a fault than its kind does.
fn detail(fault: &Fault) -> Option<String> {
    match fault {
        Fault::StoredDamaged(aside) => aside.as_ref().map(|aside| aside.display().to_string()),
        Fault::StoredUnreadable(why) | Fault::NotSynced(why) | Fault::Settings(why) => {
            Some(why.clone())
        }
        Fault::PointerDamaged(fault) => Some(fault.to_string()),
        Fault::PointerSize { is, .. } => Some(is.to_string()),
        Fault::NotStored
        | Fault::NewerPointer
        | Fault::NotConverted
        | Fault::LfsPointer
        | Fault::Untracked
        | Fault::NotHere
        | Fault::Absent
        | Fault::WrongBytes
        | Fault::NotRegular
        | Fault::Nowhere => None,
        Fault::OtherSize(size) => Some(size.to_string()),
        Fault::RemoteUnreadable(why) | Fault::LakeUnknown(why) => Some(why.clone()),
    }
}

fn repair(repair: &Repair) -> Value {
    let (state, action, detail) = match repair {
        Repair::Planned(action) => ("planned", Some(action), None),
        Repair::Done(action, aside) => ("done", Some(action), aside.clone()),
        Repair::Failed(action, why) => ("failed", Some(action), Some(why.clone())),
        Repair::Impossible(why) => ("impossible", None, Some(why.clone())),
    };
    let (action, url) = match action {
        None => (None, None),
        Some(Action::Fetch) => (Some("fetch"), None),
        Some(Action::Upload(url)) => (Some("upload"), Some(url.to_string())),
        Some(Action::Replace(url)) => (Some("replace"), Some(url.to_string())),
    };
    json!({ "state": state, "action": action, "url": url, "detail": detail })
}

fn remote_change(RemoteChange { name, change }: &RemoteChange) -> Value {
    let (what, old_url, new_url, options) = match change {
        Change::Added(url) => ("added", None, Some(url), &[][..]),
        Change::Removed(url) => ("removed", Some(url), None, &[][..]),
        Change::Moved(old, new) => ("moved", Some(old), Some(new), &[][..]),
        Change::Options(options) => ("options", None, None, &options[..]),
    };
    json!({
        "name": name, "change": what, "options": options,
        "old_url": old_url.map(ToString::to_string), "new_url": new_url.map(ToString::to_string),
    })
}
