//! What was found, as one JSON document.

use serde_json::{Value, json};

use crate::fsck::{Fault, Finding, Grade, Report};
use crate::oid::Oid;

/// Version of the document.
const JSON_VERSION: u64 = 1;

/// Returns the document; `docs/commands.md` has its keys.
pub(super) fn of(report: &Report) -> Value {
    let store = report.store.map(
        |tally| json!({ "objects": tally.objects, "bytes": tally.bytes, "sealed": tally.sealed }),
    );
    let findings: Vec<Value> = report.findings.iter().map(finding).collect();
    json!({ "version": JSON_VERSION, "store": store, "findings": findings })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "kind": finding.fault.kind(),
        "damage": finding.fault.grade() == Grade::Damaged,
        "path": finding.path.as_ref().map(|path| path.display()),
        "oid": finding.oid.map(Oid::to_hex),
        "detail": detail(&finding.fault),
    })
}

/// Says more about a fault than its kind does.
fn detail(fault: &Fault) -> Option<String> {
    match fault {
        Fault::StoredDamaged(aside) => aside.as_ref().map(|aside| aside.display().to_string()),
        Fault::StoredUnreadable(why) | Fault::NotSynced(why) => Some(why.clone()),
    }
}
