//! `git lake track` and `untrack`: which files go to the lakes.

use std::ffi::OsString;
use std::path::Path;

use super::init::add_attribute_line;
use super::{Context, Error, Exit, counted};
use crate::config::file::Unknown;
use crate::fs::read_small_regular;
use crate::repo::Environment;
use crate::repo::attributes::LakePaths;
use crate::repo::attributes::lines::{ATTRIBUTES, lake_pattern, quoted};
use crate::repo::process::Git;
use crate::repo_path::RepoPath;
use crate::store::Store;
use crate::ui::escape::for_terminal;
use crate::ui::size;

/// Files that git or git-lake itself must be able to read.
const NEVER_TRACKED: [(&str, &str); 4] = [
    (".gitattributes", "!filter !merge !text"),
    (".gitignore", "!filter !merge !text"),
    (".gitmodules", "!filter !merge !text"),
    (".gitlake.toml", "!filter merge=lake !text"),
];
const MAX_ATTRIBUTES_BYTES: u64 = 16 << 20;

/// Choose files whose content goes to the lakes; without patterns, list what is chosen
#[derive(clap::Args)]
pub struct TrackArgs {
    /// Patterns as in `.gitattributes`, relative to this folder; quote them
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    /// Take the patterns as names of files, whatever characters they have
    #[arg(long)]
    filename: bool,
    /// Choose every file of more than this size (such as `10M`) that is there now
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    above: Option<u64>,
    /// Print the lines, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Let the content of files go to git again
#[derive(clap::Args)]
pub struct UntrackArgs {
    /// Patterns as they were given to `git lake track`
    #[arg(value_name = "PATTERN", required = true)]
    patterns: Vec<String>,
}

fn parse_size(text: &str) -> Result<u64, String> {
    size::parse(text)
        .ok_or_else(|| "a size is a number with a unit, such as 500k or 10M".to_owned())
}

/// Runs `git lake track`.
///
/// # Errors
/// If a pattern cannot be tracked or `.gitattributes` cannot be written.
pub fn track(context: &Context, args: &TrackArgs) -> super::Result {
    let (repo, _) = context.work_tree()?;
    let attributes = context.folder.join(".gitattributes");
    if args.patterns.is_empty() && args.above.is_none() {
        for pattern in tracked_patterns(&attributes)? {
            context.ui.data(&for_terminal(&pattern))?;
        }
        return Ok(Exit::Done);
    }
    let mut lines = Vec::new();
    for pattern in &args.patterns {
        let never = NEVER_TRACKED.iter().find(|(name, _)| pattern.trim_start_matches('/') == *name);
        if let Some((name, _)) = never {
            return Err(Error::Usage(format!("`{name}` is never tracked: git has to read it")));
        }
        if pattern.starts_with('!') && !args.filename {
            return Err(Error::Usage(format!(
                "git ignores `{pattern}` in `.gitattributes`; `--filename` takes it as a name"
            )));
        }
        let pattern = if args.filename { literal(pattern.as_bytes()) } else { pattern.clone() };
        lines.push(format!("{} {ATTRIBUTES}", quoted(pattern.as_bytes())));
    }
    if let Some(size) = args.above {
        lines.extend(lines_for_large_files(context, size)?);
    }
    if args.dry_run {
        for line in &lines {
            context.ui.data(&for_terminal(line))?;
        }
        return Ok(Exit::Done);
    }
    let store = Store::at(repo.common_dir());
    for line in &lines {
        if add_attribute_line(&store, &attributes, line)? {
            context.ui.status(&format!("Tracking {line}"));
        }
    }
    protect_special_files(context, &repo, &store, &attributes)?;
    tell_about_unconverted(context)?;
    Ok(Exit::Done)
}

/// Runs `git lake untrack`.
///
/// # Errors
/// If a pattern is not tracked in this folder, or `.gitattributes` cannot be written.
pub fn untrack(context: &Context, args: &UntrackArgs) -> super::Result {
    let (repo, _) = context.work_tree()?;
    let attributes = context.folder.join(".gitattributes");
    let known = tracked_patterns(&attributes)?;
    if let Some(unknown) = args.patterns.iter().find(|pattern| !known.contains(pattern)) {
        return Err(Error::Refused(format!(
            "`{unknown}` is not tracked by `{}`",
            attributes.display()
        )));
    }
    let text = read_small_regular(&attributes, MAX_ATTRIBUTES_BYTES)?.unwrap_or_default();
    let keep =
        |line: &&[u8]| !lake_pattern(line).is_some_and(|pattern| args.patterns.contains(&pattern));
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(keep).collect();
    Store::at(repo.common_dir()).write_to_work_tree(&attributes, &lines.join(&b'\n'))?;
    context.ui.status("Files that are pointers in git stay so until `git add --renormalize .`.");
    Ok(Exit::Done)
}

/// Lists the patterns of an attributes file whose files go to lakes.
fn tracked_patterns(attributes: &Path) -> Result<Vec<String>, Error> {
    let text = read_small_regular(attributes, MAX_ATTRIBUTES_BYTES)?.unwrap_or_default();
    Ok(text.split(|byte| *byte == b'\n').filter_map(lake_pattern).collect())
}

/// Makes a pattern that matches one name and nothing else.
pub(super) fn literal(name: &[u8]) -> String {
    // In front, it would be a pattern that git ignores.
    let mut pattern = String::from(if name.starts_with(b"!") { "\\" } else { "" });
    for c in String::from_utf8_lossy(name).chars() {
        if "*?[]\\".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

fn lines_for_large_files(context: &Context, size: u64) -> Result<Vec<String>, Error> {
    let git = Git::find(&Environment::read(), &context.folder)?;
    let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"].map(OsString::from);
    let listed = git.run(&args, b"")?.stdout;
    let mut lines = Vec::new();
    for name in listed.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let path = context.folder.join(crate::repo_path::bytes_to_os_path(name));
        let is_large = std::fs::symlink_metadata(path)
            .is_ok_and(|found| found.is_file() && found.len() > size);
        let base = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
        if is_large && NEVER_TRACKED.iter().all(|(never, _)| never.as_bytes() != base) {
            // The slash anchors the pattern to this folder.
            let escaped = literal(name);
            lines.push(format!("{} {ATTRIBUTES}", quoted(format!("/{escaped}").as_bytes())));
        }
    }
    Ok(lines)
}

/// Takes files out again that a broad pattern would make unreadable for git.
fn protect_special_files(
    context: &Context,
    repo: &crate::repo::Repo,
    store: &Store,
    attributes: &Path,
) -> Result<(), Error> {
    let index = repo.index()?;
    for (name, wanted) in NEVER_TRACKED {
        let path = RepoPath::parse(name.as_bytes()).expect("a path");
        if LakePaths::of_work_tree(repo, &index)?.contains(&path)? {
            add_attribute_line(store, attributes, &format!("{name} {wanted}"))?;
            context.ui.status(&format!("`{name}` is left to git."));
        }
    }
    Ok(())
}

/// Says how to convert files that git holds already.
fn tell_about_unconverted(context: &Context) -> Result<(), Error> {
    let site = context.open(Unknown::PassOver)?;
    let unconverted = site.unconverted(&site.repo.index()?)?.len();
    if unconverted > 0 {
        context.ui.status(&format!(
            "{} already in git as content: `git add --renormalize .` and a commit convert them.",
            counted(unconverted, "file is", "files are")
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_pattern_that_matches_nothing_else() {
        assert_eq!(literal(b"a*[1].png"), "a\\*\\[1\\].png");
        assert_eq!(literal(b"!a!"), "\\!a!");
    }
}
