//! What became of a dataset, for people and for machines.

use std::path::Path;

use serde_json::json;

use super::super::report::tell_failures;
use super::super::{Context, Error, Exit, counted};
use crate::dataset::Dataset;
use crate::dataset::carry_out::Summary;
use crate::dataset::plan::{Plan, Step, Tally};
use crate::repo_path::RepoPath;
use crate::ui::size;

/// Most names that a line has.
const SHOWN: usize = 3;

/// What is known before anything is done.
pub(super) struct Report<'a> {
    pub(super) context: &'a Context,
    pub(super) verb: &'static str,
    pub(super) json: bool,
    pub(super) dataset: &'a Dataset,
    pub(super) tally: Tally,
}

/// Tells which files of `data` are no items, as pipelime does.
pub(in crate::commands) fn tell_strangers(context: &Context, dataset: &Dataset) {
    let count = dataset.strangers.len();
    if count == 0 {
        return;
    }
    let names = dataset.strangers.iter().take(SHOWN).map(|name| name.to_string_lossy());
    let mut names: Vec<_> = names.collect();
    if count > SHOWN {
        names.push(format!("{} more", count - SHOWN).into());
    }
    let files = counted(count, "file of `data` is no item", "files of `data` are no items");
    context.ui.warning(&format!("{files} ({}): items are named `<id>_<key>`", names.join(", ")));
}

impl Report<'_> {
    /// Says what would be done.
    pub(super) fn planned(&self, plan: &Plan) -> super::super::Result {
        let refused =
            self.dataset.items.iter().zip(&plan.0).filter_map(|(item, step)| match step {
                Step::Refuse(why) => Some((item.path(), why.to_string())),
                _ => None,
            });
        let refused: Vec<(Vec<u8>, String)> = refused.collect();
        let Tally { send, send_bytes, relay, point, restore, .. } = self.tally;
        let lines = [
            (send, format!("would be sent to each lake ({})", size::human(send_bytes))),
            (relay, "would be sent to each lake from those that have it".to_owned()),
            (point, "would name other lakes".to_owned()),
            (restore, "would be brought back".to_owned()),
        ];
        for (count, what) in lines.iter().filter(|(count, _)| *count > 0) {
            self.context.ui.status(&format!("{} {what}.", counted(*count, "item", "items")));
        }
        if lines.iter().all(|(count, _)| *count == 0) {
            self.context.ui.status("Nothing would be sent or brought back.");
        }
        self.tell(&refused, "item would be left as it is", "items would be left as they are");
        if self.json {
            let counts = json!({
                "send": send + relay, "send_bytes": send_bytes, "restore": restore,
                "remote_files": point,
            });
            self.print(true, counts, &refused)?;
        }
        Ok(if refused.is_empty() { Exit::Done } else { Exit::Incomplete })
    }

    /// Says what was done.
    pub(super) fn done(&self, output: Option<&Path>, summary: &Summary) -> Result<(), Error> {
        let mut said = Vec::new();
        if summary.sent + summary.already > 0 || matches!(self.verb, "remote-add" | "remote-upload")
        {
            said.push(format!(
                "{} sent ({}), {} there already",
                counted(summary.sent, "object", "objects"),
                size::human(summary.sent_bytes),
                summary.already
            ));
        }
        if summary.restored > 0 || self.verb == "clone" {
            said.push(format!(
                "{} brought back ({})",
                counted(summary.restored, "item", "items"),
                size::human(summary.restored_bytes)
            ));
        }
        if summary.pointed > 0 {
            said.push(counted(
                summary.pointed,
                "`.remote` file written",
                "`.remote` files written",
            ));
        }
        let said = if said.is_empty() { "Nothing to change".to_owned() } else { said.join("; ") };
        let place = output.map(|output| format!(" `{}` is written.", output.display()));
        self.context.ui.status(&format!("{said}.{}", place.unwrap_or_default()));
        if self.verb == "remote-remove" {
            self.context.ui.status("Nothing in the lakes was touched.");
        }
        self.tell(&summary.failures, "item was left as it was", "items were left as they were");
        if self.json {
            let counts = json!({
                "sent": summary.sent, "sent_bytes": summary.sent_bytes,
                "already_there": summary.already,
                "restored": summary.restored, "restored_bytes": summary.restored_bytes,
                "remote_files": summary.pointed, "met_damage": summary.met_damage,
            });
            self.print(false, counts, &summary.failures)?;
        }
        Ok(())
    }

    fn tell(&self, failures: &[(Vec<u8>, String)], one: &str, many: &str) {
        let path =
            |path: &[u8]| RepoPath::parse(path).expect("names of a folder are parts of a path");
        let failures: Vec<(RepoPath, &String)> =
            failures.iter().map(|(bytes, cause)| (path(bytes), cause)).collect();
        tell_failures(self.context, one, many, &failures);
    }

    fn print(
        &self,
        dry_run: bool,
        counts: serde_json::Value,
        failures: &[(Vec<u8>, String)],
    ) -> Result<(), Error> {
        let failure = |(path, cause): &(Vec<u8>, String)| json!({ "item": String::from_utf8_lossy(path), "cause": cause });
        let mut document = json!({
            "version": 1, "command": self.verb, "dry_run": dry_run,
            "items": self.dataset.items.len(), "samples": self.dataset.samples,
            "selected": self.tally.selected,
            "failures": failures.iter().map(failure).collect::<Vec<_>>(),
        });
        if let (Some(document), serde_json::Value::Object(counts)) =
            (document.as_object_mut(), counts)
        {
            document.extend(counts);
        }
        Ok(self.context.ui.data(&document.to_string())?)
    }
}
