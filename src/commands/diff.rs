//! `git lake diff`: which items differ, by size, kind and sources.

use std::ffi::OsString;

use super::lakes::lake_name;
use super::{Context, Error, Exit, counted};
use crate::diff::{self, Between, Change, Form, Item, Look, Version};
use crate::kind::{Array, Kind};
use crate::lake_url::SourceUrl;
use crate::ui::{escape, size};
use crate::workspace::Workspace;

/// Version of the document that `--json` prints.
const JSON_VERSION: u64 = 1;
/// Digits of an oid that people see.
const SHORT_OID: usize = 12;

/// Show which items differ between two states, by size, kind and sources
///
/// Without REF, the work tree is compared with the index; with one, with that commit; with two, or with
/// A..B or A...B, one commit with the other. No server is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Commits to compare
    #[arg(value_name = "REF", num_args = 0..=2)]
    refs: Vec<String>,
    /// Only these paths, as git takes them
    #[arg(value_name = "PATHSPEC", last = true)]
    pathspecs: Vec<OsString>,
    /// Compare the index with HEAD or REF
    #[arg(long, visible_alias = "staged")]
    cached: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Exit with 1 if anything differs
    #[arg(long)]
    exit_code: bool,
    /// Look at content in this clone only, not in lakes
    #[arg(long)]
    no_fetch: bool,
}

/// Runs `git lake diff`. Changes nothing.
///
/// # Errors
/// If a commit does not exist or the clone cannot be read.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let states = states(args)?;
    let site = context.lenient_workspace()?;
    let is_bare = site.repo.work_tree().is_none();
    if is_bare && matches!(states, Between::IndexAndWorkTree | Between::TreeAndWorkTree(_)) {
        return Err(Error::Refused("A bare repository has no work tree to compare".into()));
    }
    let look = if args.no_fetch { Look::Store } else { Look::Everywhere };
    let items = diff::compare(&site, &context.folder, &states, &args.pathspecs, look)?;
    if args.json {
        context.ui.data(&document(&site, &items).to_string())?;
    } else if !items.is_empty() {
        let lines: String = items.iter().map(|item| line(&site, item) + "\n").collect();
        context.ui.bytes(lines.as_bytes())?;
        context.ui.status(&summary(&items));
    }
    Ok(if args.exit_code && !items.is_empty() { Exit::Incomplete } else { Exit::Done })
}

/// Understands the revisions as `git diff` does.
fn states(args: &Args) -> Result<Between, Error> {
    let or_head = |text: &str| if text.is_empty() { "HEAD" } else { text }.to_owned();
    let states = match (&args.refs[..], args.cached) {
        ([], false) => Between::IndexAndWorkTree,
        ([], true) => Between::TreeAndIndex("HEAD".to_owned()),
        ([one], is_cached) => {
            let range = one.split_once("...").map(|ends| (ends, true));
            match (range.or_else(|| Some((one.split_once("..")?, false))), is_cached) {
                (None, true) => Between::TreeAndIndex(one.clone()),
                (None, false) => Between::TreeAndWorkTree(one.clone()),
                (Some(_), true) => {
                    return Err(Error::Usage("`--cached` compares with one commit".into()));
                }
                (Some(((a, b), true)), false) => Between::MergeBaseAnd(or_head(a), or_head(b)),
                (Some(((a, b), false)), false) => Between::Trees(or_head(a), or_head(b)),
            }
        }
        ([old, new], false) => Between::Trees(old.clone(), new.clone()),
        _ => return Err(Error::Usage("`--cached` compares with one commit".into())),
    };
    Ok(states)
}

/// Words one item on one line: fields with two blanks between them.
fn line(site: &Workspace, item: &Item) -> String {
    let path = both(item, " => ", |version| Some(escape::for_terminal(&version.path.display())));
    let mut fields = vec![item.change.as_str().to_owned(), path];
    fields.push(both(item, " -> ", |version| Some(identity(version))));
    let mut sizes = both(item, " -> ", |version| told(version).then(|| size::human(version.size)));
    if let (Some(old), Some(new)) = (&item.old, &item.new)
        && told(old)
        && told(new)
        && old.size != new.size
    {
        sizes.push_str(&format!(" ({})", signed(item.growth())));
    }
    fields.push(sizes);
    fields.push(both(item, " -> ", |version| Some(version.kind.as_ref()?.to_string())));
    let (gained, lost) = item.sources_changed();
    let named = |sign: char, sources: Vec<&SourceUrl>| {
        sources
            .into_iter()
            .map(|source| format!("{sign}{}", lake_name(site, &source.lake)))
            .collect()
    };
    let changed: [Vec<String>; 2] = [named('+', gained), named('-', lost)];
    fields.push(changed.concat().join(" "));
    fields.retain(|field| !field.is_empty());
    fields.join("  ")
}

/// Words something of both versions, once if it is the same.
fn both(item: &Item, between: &str, say: impl Fn(&Version) -> Option<String>) -> String {
    let (old, new) = (item.old.as_ref().and_then(&say), item.new.as_ref().and_then(&say));
    match (old, new) {
        (Some(old), Some(new)) if old != new => format!("{old}{between}{new}"),
        (old, new) => new.or(old).unwrap_or_default(),
    }
}

fn identity(version: &Version) -> String {
    let note = match version.form {
        Form::Pointer | Form::Content => "",
        Form::InGit => "content in git",
        Form::Damaged => "damaged pointer",
        Form::Newer => "pointer of a newer version",
    };
    match version.oid {
        Some(oid) if note.is_empty() => oid.to_hex()[..SHORT_OID].to_owned(),
        _ => note.to_owned(),
    }
}

/// Returns true if the size is known.
fn told(version: &Version) -> bool {
    !matches!(version.form, Form::Damaged | Form::Newer)
}

fn signed(growth: i128) -> String {
    let bytes = u64::try_from(growth.unsigned_abs()).unwrap_or(u64::MAX);
    format!("{}{}", if growth < 0 { '-' } else { '+' }, size::human(bytes))
}

fn summary(items: &[Item]) -> String {
    let changes =
        [Change::Added, Change::Deleted, Change::Modified, Change::Renamed, Change::Unmerged];
    let count = |change| items.iter().filter(|item| item.change == change).count();
    let counts = changes.iter().map(|change| (count(*change), change.as_str()));
    let counts: Vec<String> = counts
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let total = counted(items.len(), "item differs", "items differ");
    format!("{total}: {}; {}.", counts.join(", "), signed(items.iter().map(Item::growth).sum()))
}

fn document(site: &Workspace, items: &[Item]) -> serde_json::Value {
    let names = |sources: Vec<&SourceUrl>| -> Vec<String> {
        sources.into_iter().map(|source| lake_name(site, &source.lake)).collect()
    };
    let item = |item: &Item| {
        let (gained, lost) = item.sources_changed();
        serde_json::json!({
            "change": item.change.as_str(),
            "old": item.old.as_ref().map(version),
            "new": item.new.as_ref().map(version),
            "size_difference": number(item.growth()),
            "sources_gained": names(gained),
            "sources_lost": names(lost),
        })
    };
    let items: Vec<_> = items.iter().map(item).collect();
    serde_json::json!({ "version": JSON_VERSION, "items": items })
}

fn version(version: &Version) -> serde_json::Value {
    let form = match version.form {
        Form::Pointer => "pointer",
        Form::Content => "content",
        Form::InGit => "content-in-git",
        Form::Damaged => "damaged-pointer",
        Form::Newer => "newer-pointer",
    };
    let sources: Vec<String> = version.sources.iter().map(ToString::to_string).collect();
    serde_json::json!({
        "path": version.path.display(),
        "form": form,
        "oid": version.oid.map(|oid| oid.to_hex()),
        "size": told(version).then_some(version.size),
        "kind": version.kind.as_ref().map(kind),
        "sources": sources,
    })
}

fn kind(kind: &Kind) -> serde_json::Value {
    let Kind { format, dimensions, array } = kind;
    let mut object = serde_json::json!({ "format": format });
    if let Some((width, height)) = dimensions {
        object["width"] = (*width).into();
        object["height"] = (*height).into();
    }
    if let Some(Array { dtype, shape }) = array {
        object["dtype"] = dtype.as_str().into();
        object["shape"] = shape.clone().into();
    }
    object
}

/// Sizes are below 2^63, so that differences fit.
fn number(growth: i128) -> i64 {
    i64::try_from(growth).unwrap_or(if growth < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(refs: &[&str], cached: bool) -> Option<Between> {
        let args = Args {
            refs: refs.iter().map(|text| (*text).to_owned()).collect(),
            pathspecs: Vec::new(),
            cached,
            json: false,
            exit_code: false,
            no_fetch: false,
        };
        states(&args).ok()
    }

    #[test]
    fn revisions_mean_what_they_mean_to_git_diff() {
        let (a, b, head) = (|| "a".to_owned(), || "b".to_owned(), || "HEAD".to_owned());
        let table = [
            (&[][..], false, Some(Between::IndexAndWorkTree)),
            (&[], true, Some(Between::TreeAndIndex(head()))),
            (&["a"], false, Some(Between::TreeAndWorkTree(a()))),
            (&["a"], true, Some(Between::TreeAndIndex(a()))),
            (&["a", "b"], false, Some(Between::Trees(a(), b()))),
            (&["a..b"], false, Some(Between::Trees(a(), b()))),
            (&["a.."], false, Some(Between::Trees(a(), head()))),
            (&["..b"], false, Some(Between::Trees(head(), b()))),
            (&["a...b"], false, Some(Between::MergeBaseAnd(a(), b()))),
            (&["a..b"], true, None),
            (&["a", "b"], true, None),
        ];
        for (refs, cached, expected) in table {
            assert_eq!(parsed(refs, cached), expected, "{refs:?} {cached}");
        }
    }

    #[test]
    fn differences_have_a_sign() {
        assert_eq!([2048, -1, 0].map(signed), ["+2.0 KiB", "-1 byte", "+0 bytes"]);
    }
}
