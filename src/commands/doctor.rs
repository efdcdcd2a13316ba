//! `git lake doctor`: what is right and what is wrong with this clone.

use std::sync::Arc;

use super::{Context, Error, Exit, counted};
use crate::config::file::Unknown;
use crate::doctor::facts::{Lakes, Local};
use crate::doctor::mend::{self, Mended};
use crate::doctor::{Finding, Level, findings};
use crate::transfer::report::with_causes;
use crate::ui::escape::for_terminal;
use crate::workspace::Workspace;

/// Version of the document that `--json` prints.
const JSON_VERSION: u64 = 1;
/// Columns that the level has.
const LEVEL_COLUMNS: usize = 9;

/// Say what is right and wrong with this clone, and what to type about it
///
/// Looks at versions, configuration, hooks, attributes, settings, pointers, the store and keys, and reaches
/// each lake and measures it. Exits with 1 if there is any problem.
#[derive(clap::Args)]
pub struct Args {
    /// Mend what is safe to mend, and say what was done
    ///
    /// Sets missing configuration of this clone, writes absent hooks, completes lines of `.gitattributes`,
    /// makes objects safe from power loss, and stages pointers in the place of content that git holds. Never
    /// commits, and never changes history.
    #[arg(long)]
    fix: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Runs `git lake doctor`.
///
/// # Errors
/// If the clone cannot be read.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let site = open(context)?;
    let mut local = Local::gather(&site)?;
    // Before anything is mended: a lake that turns out to be dead is not asked by what git starts then.
    let lakes = Lakes::gather(&site)?;
    let mut mended = Mended::default();
    if args.fix {
        for mend in mend::plan(&local) {
            match mend::carry_out(&site, &mend) {
                Ok(done) => mended.add(done),
                Err(error) => context.ui.warning(&with_causes(&error)),
            }
        }
        local = Local::gather(&open(context)?)?;
    }
    let findings = findings::decide(&local, &lakes);
    if args.json {
        context.ui.data(&document(&findings, &mended).to_string())?;
    } else {
        print(context, &findings, &mended)?;
    }
    let has_problem = findings.iter().any(|finding| finding.level == Level::Problem);
    Ok(if has_problem { Exit::Incomplete } else { Exit::Done })
}

/// Opens the clone whatever its settings say: that is among the findings.
fn open(context: &Context) -> Result<Workspace, Error> {
    let (reporter, cancel) = (Arc::clone(&context.ui), context.cancel.clone());
    Ok(Workspace::open(&context.folder, Unknown::PassOver, None, reporter, cancel)?)
}

fn print(context: &Context, findings: &[Finding], mended: &Mended) -> Result<(), Error> {
    let line = |first: &str, text: &str| {
        context.ui.data(&format!("{first:LEVEL_COLUMNS$}{}", for_terminal(text)))
    };
    for done in &mended.lines {
        line("mended", done)?;
    }
    if let Some(command) = mended.commit() {
        line("", &command)?;
    }
    for Finding { level, text, remedy, .. } in findings {
        line(level.name(), text)?;
        if let Some(remedy) = remedy {
            line("", remedy)?;
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    context.ui.status(&match (count(Level::Problem), count(Level::Note)) {
        (0, 0) => "Nothing is wrong.".to_owned(),
        (0, notes) => format!("Nothing is wrong; {}.", counted(notes, "note", "notes")),
        (problems, _) => format!("{}.", counted(problems, "problem", "problems")),
    });
    Ok(())
}

fn document(findings: &[Finding], mended: &Mended) -> serde_json::Value {
    let findings: Vec<_> = findings
        .iter()
        .map(|Finding { id, level, text, remedy }| {
            serde_json::json!({ "id": id, "level": level.name(), "text": text, "remedy": remedy })
        })
        .collect();
    serde_json::json!({
        "version": JSON_VERSION, "findings": findings, "mended": mended.lines,
        "commit": mended.commit(),
    })
}
