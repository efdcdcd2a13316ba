//! `git lake orphans`: objects of a lake that nothing known refers to.

use std::io::Write as _;
use std::path::PathBuf;

use super::lakes::{find_all, lake_name};
use super::{Context, Error, Exit, counted};
use crate::lake_url::LakeUrl;
use crate::orphans::references::References;
use crate::orphans::{self, Age, Orphan, Report, Tally};
use crate::repo_path::os_path_to_bytes;
use crate::transfer::report::with_causes;
use crate::ui::{date, size};

/// Version of the document that `--json` prints.
const JSON_VERSION: u64 = 1;

/// List objects of a lake that nothing known refers to; deletes nothing
///
/// Known are all refs, reflogs, stashes, indexes, claims and files of this repository and of every
/// `--keep`: name all repositories and datasets that use the lake. If anything of them cannot be read, nothing
/// is listed. Prints one path or `s3://BUCKET/KEY` a line.
#[derive(clap::Args)]
pub struct Args {
    /// The lake
    #[arg(value_name = "REMOTE|URL")]
    remote: String,
    /// Repository or dataset that uses the lake, too (can be repeated)
    #[arg(long, value_name = "REPO|DATASET")]
    keep: Vec<PathBuf>,
    /// Only objects that are older, such as `36h` or `8w` [default: 14d]
    #[arg(long, value_name = "AGE")]
    older_than: Option<Age>,
    /// End lines with NUL
    #[arg(short = 'z', conflicts_with = "json")]
    zero: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Runs `git lake orphans`. Changes nothing.
///
/// # Errors
/// If anything that may refer to objects cannot be read, or the lake cannot be listed.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let site = context.workspace()?;
    let mut lakes = find_all(context, &site, std::slice::from_ref(&args.remote))?;
    let url = lakes.pop_first().expect("one name means one lake");
    let place = Place::of(&site.reach.location(&url));
    if place.has_line_feed() && !args.zero && !args.json {
        return Err(Error::Usage("The lake's folder has a line feed in its name: use `-z`".into()));
    }
    let age = args.older_than.unwrap_or_default();
    let keep: Vec<PathBuf> = args.keep.iter().map(|folder| context.folder.join(folder)).collect();
    let references = orphans::read(&site.repo, &keep, &context.cancel)?;
    let lake = site.reach.open_admin(&url);
    let report = orphans::survey(&*lake, &references, age, &context.cancel)?;
    let Some(report) = report.filter(|_| !context.cancel.is_cancelled()) else {
        return Ok(Exit::Incomplete);
    };
    let mut out = context.ui.records();
    if args.json {
        write_document(&mut out, &url, &place, age, &references, &report)?;
    } else {
        for orphan in &report.orphans {
            out.write_all(&place.path_of(orphan))?;
            out.write_all(if args.zero { b"\0" } else { b"\n" })?;
        }
    }
    out.flush()?;
    tell(context, &lake_name(&site, &url), age, &references, &report);
    Ok(Exit::Done)
}

/// Where objects lie, as programs that delete them take it.
enum Place {
    Folder(PathBuf),
    /// `s3://BUCKET/PREFIX`
    Bucket(String),
}

impl Place {
    fn of(location: &LakeUrl) -> Self {
        match location.bucket() {
            Some((bucket, prefix)) => Self::Bucket(format!("s3://{bucket}/{prefix}")),
            None => Self::Folder(location.folder().expect("what is no bucket is a folder")),
        }
    }

    fn has_line_feed(&self) -> bool {
        match self {
            Self::Folder(folder) => os_path_to_bytes(folder).contains(&b'\n'),
            Self::Bucket(prefix) => prefix.contains('\n'),
        }
    }

    fn path_of(&self, orphan: &Orphan) -> Vec<u8> {
        match self {
            Self::Folder(folder) => {
                os_path_to_bytes(&folder.join(orphan.name.as_str())).into_owned()
            }
            Self::Bucket(prefix) => format!("{prefix}{}", orphan.name).into_bytes(),
        }
    }
}

/// Says what there is, for people.
fn tell(context: &Context, lake: &str, age: Age, references: &References, report: &Report) {
    let Report { total, young, referenced, foreign, .. } = report;
    let ui = &context.ui;
    if let Some(why) = &report.assumed {
        ui.warning(&format!("`{lake}` is taken for one that names objects by SHA-256: {why}."));
    }
    if referenced.count == 0 && total.count + young.count > 0 {
        ui.warning(&format!(
            "Nothing that was read refers to any object of `{lake}`: is the repository or dataset named that does?"
        ));
    }
    let sum = |tally: &Tally, one, many| {
        format!("{} ({})", counted(tally.count, one, many), size::human(tally.bytes))
    };
    let read = [
        (references.repositories.len(), "repository", "repositories"),
        (references.datasets.len(), "dataset", "datasets"),
    ];
    let read = read.iter().filter(|(count, ..)| *count > 0);
    let read: Vec<String> = read.map(|(count, one, many)| counted(*count, one, many)).collect();
    ui.status(&format!(
        "{} of `{lake}` that nothing in {} refers to, {age} old or older.",
        sum(total, "object", "objects"),
        read.join(" and "),
    ));
    if young.count > 0 {
        ui.status(&format!("{} younger.", sum(young, "more is", "more are")));
    }
    match &report.unfinished {
        Ok(Tally { count: 0, .. }) => {}
        Ok(unfinished) => {
            let since = unfinished.oldest.map(date::human).unwrap_or("an unknown time".into());
            ui.status(&format!(
                "{} not finished, the oldest since {since}.",
                sum(unfinished, "upload is", "uploads are")
            ));
        }
        Err(error) => {
            ui.warning(&format!("Unfinished uploads are not counted: {}", with_causes(error)));
        }
    }
    if foreign.count > 0 {
        ui.status(&format!("{} no objects of the lake.", sum(foreign, "file is", "files are")));
    }
}

/// Writes the document piece by piece: there may be very many objects.
fn write_document(
    out: &mut dyn std::io::Write,
    url: &LakeUrl,
    place: &Place,
    age: Age,
    references: &References,
    report: &Report,
) -> std::io::Result<()> {
    let tally = |tally: &Tally| serde_json::json!({ "count": tally.count, "bytes": tally.bytes, "oldest": tally.oldest });
    let paths = |paths: &[PathBuf]| {
        let shown: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        serde_json::Value::from(shown)
    };
    let seconds = std::time::Duration::from(age).as_secs();
    let head = serde_json::json!({
        "version": JSON_VERSION, "url": url.to_string(), "older_than_seconds": seconds,
        "repositories": paths(&references.repositories), "datasets": paths(&references.datasets),
        "total": tally(&report.total), "young": tally(&report.young),
        "referenced": tally(&report.referenced), "foreign": tally(&report.foreign),
        "unfinished": report.unfinished.as_ref().ok().map(tally),
    });
    let head = head.to_string();
    write!(out, r#"{},"orphans":["#, head.strip_suffix('}').unwrap_or(&head))?;
    for (at, orphan) in report.orphans.iter().enumerate() {
        let document = serde_json::json!({
            "path": String::from_utf8_lossy(&place.path_of(orphan)), "name": orphan.name.as_str(),
            "size": orphan.size, "modified": orphan.modified,
        });
        write!(out, "{}{document}", if at == 0 { "" } else { "," })?;
    }
    writeln!(out, "]}}")
}
