//! Settings, attributes, and what git holds where pointers belong.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::file::{Settings, Unknown};
use crate::doctor::Error;
use crate::fs::beneath::Tree;
use crate::fs::{IoContext as _, PathError, read_small};
use crate::fsck::pointers::{self, Tally};
use crate::fsck::scope::Scope;
use crate::fsck::{self, Finding};
use crate::repo::attributes::assigned::Assignments;
use crate::repo::attributes::lines::LakeLine;
use crate::repo::attributes::{is_attributes_file, is_never_tracked};
use crate::repo::index::Index;
use crate::repo_path::{RepoPath, join, os_path_to_bytes};
use crate::workspace::{self, Workspace};

/// Longest attributes file that is read; git itself ignores those above 100 MiB.
pub(in crate::doctor) const MAX_ATTRIBUTES_BYTES: u64 = 16 << 20;
const ATTRIBUTES_FILE: &str = ".gitattributes";

/// What the files of the clone say.
#[derive(Debug)]
pub struct Files {
    /// What is wrong with `.gitlake.toml`.
    pub settings: Vec<String>,
    /// What is wrong with git-lake's keys in git's configuration.
    pub configuration: Vec<String>,
    /// What is wrong with attributes.
    pub attributes: Vec<AttributeFault>,
    /// How much git holds.
    pub tally: Tally,
    /// What is wrong with what git holds, without what a merge left open.
    pub pointers: Vec<Finding>,
}

/// Attributes that give files to git-lake and leave something to git that it must not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeFault {
    /// The attributes that should be set as well.
    pub missing: Vec<&'static str>,
    /// The line to complete; `None` if other lines take away what it says.
    pub line: Option<FaultyLine>,
    /// Tracked files that have the fault.
    pub paths: Vec<RepoPath>,
}

/// A line that lacks attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultyLine {
    /// Its file.
    pub file: PathBuf,
    /// The same from the top of the work tree, for people.
    pub shown: String,
    /// Its number, from 1 on.
    pub number: usize,
    /// Which files it means.
    pub pattern: String,
    /// Whether git-lake could have written it, so that it may complete it.
    pub is_ours: bool,
}

impl Files {
    pub(super) fn look(site: &Workspace) -> Result<Self, Error> {
        let scope = Scope::parse(None, site.repo.work_tree().is_some()).expect("no revision");
        let outcome = pointers::check(site, &scope, &mut |_, _| Ok(()))?;
        let (settings, configuration) = settings(site)?;
        let attributes = match site.repo.work_tree() {
            Some(top) => attributes(site, top)?,
            None => Vec::new(),
        };
        let (tally, mut pointers) = (outcome.tally, outcome.findings);
        // What of the store was set aside on the way is told of the store.
        pointers.retain(|found| !matches!(found.fault, fsck::Fault::StoredDamaged(_)));
        if scope == Scope::Index {
            // What a merge left open is not said to be anything yet, and nothing may settle it.
            let index = site.repo.index()?;
            let is_settled = |path: &RepoPath| index.entry_at(path.as_bytes()).is_some();
            pointers.retain(|found| found.path.as_ref().is_none_or(is_settled));
        }
        Ok(Self { settings, configuration, attributes, tally, pointers })
    }

    /// Returns the paths at which git holds content where pointers belong.
    pub fn unconverted(&self) -> Vec<&RepoPath> {
        let raw = self.pointers.iter().filter(|found| found.fault == fsck::Fault::NotConverted);
        raw.filter_map(|found| found.path.as_ref()).collect()
    }
}

/// Says all that is wrong with the settings in the work tree, and with git's configuration.
fn settings(site: &Workspace) -> Result<(Vec<String>, Vec<String>), Error> {
    let (mut wrong, mut settings) = (Vec::new(), Settings::default());
    if let Some(text) = workspace::settings_text(&site.repo)? {
        match Settings::parse(&text, Unknown::PassOver) {
            Ok(read) => settings = read,
            Err(error) => wrong.push(error.to_string()),
        }
    }
    wrong.extend(settings.warnings.drain(..).map(|warning| warning.to_string()));
    let (_, faults) = Config::resolve(&settings, &site.repo);
    Ok((wrong, faults.iter().map(ToString::to_string).collect()))
}

fn attributes(site: &Workspace, top: &Path) -> Result<Vec<AttributeFault>, Error> {
    let index = site.repo.index()?;
    // The lines that give some file to git-lake, and what is missing for how many of these.
    let mut used: HashSet<(PathBuf, usize)> = HashSet::new();
    let mut faulty: BTreeMap<_, Vec<RepoPath>> = BTreeMap::new();
    let mut assignments = Assignments::of_work_tree(&site.repo, &index)?;
    for entry in index.entries().filter(|entry| entry.kind.is_file()) {
        let Some(path) = RepoPath::parse(entry.path) else { continue };
        let Some(assigned) = assignments.of(entry.path)? else { continue };
        if is_never_tracked(&path) {
            continue;
        }
        let missing = assigned.missing();
        used.extend(assigned.line.clone());
        if !missing.is_empty() {
            faulty.entry((assigned.line, missing)).or_default().push(path);
        }
    }
    let mut faults = Vec::new();
    let tree = Tree::open(top).context(top)?;
    for file in attributes_files(site, top, &index) {
        for (number, line) in incomplete_lines(&tree, &file)? {
            let key = Some((file.clone(), number));
            let paths = faulty.remove(&(key.clone(), line.missing())).unwrap_or_default();
            // Another line may say the rest for all files that this one gives to git-lake.
            if paths.is_empty() && key.is_some_and(|key| used.contains(&key)) {
                continue;
            }
            let missing = line.missing();
            let is_ours = line.is_plain() && file.starts_with(top) && is_attributes(&file);
            let shown = file.strip_prefix(top).unwrap_or(&file).display().to_string();
            let (file, pattern) = (file.clone(), line.pattern);
            let line = FaultyLine { file, shown, number, pattern, is_ours };
            faults.push(AttributeFault { missing, line: Some(line), paths });
        }
    }
    faults.extend(faulty.into_iter().map(|((_, missing), paths)| AttributeFault {
        missing,
        line: None,
        paths,
    }));
    Ok(faults)
}

/// Returns true unless it is the clone's own file, which nobody else has.
fn is_attributes(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name == ATTRIBUTES_FILE)
}

/// Returns where attributes of this clone are: those of the top, those that git has, and its own.
fn attributes_files(site: &Workspace, top: &Path, index: &Index) -> BTreeSet<PathBuf> {
    let tracked = index.entries().filter(|entry| is_attributes_file(entry.path));
    let tracked = tracked.filter_map(|entry| RepoPath::parse(entry.path));
    let mut files: BTreeSet<PathBuf> = tracked.map(|path| join(top, &path)).collect();
    files.insert(top.join(ATTRIBUTES_FILE));
    files.insert(site.repo.common_dir().join("info").join("attributes"));
    files
}

fn incomplete_lines(tree: &Tree, file: &Path) -> Result<Vec<(usize, LakeLine)>, PathError> {
    let below = file.strip_prefix(tree.root()).map(os_path_to_bytes);
    let below = below.ok().and_then(|path| RepoPath::parse(&path));
    let text = match below.filter(|path| !path.enters_git_dir()) {
        // git does not follow a link in the work tree either.
        Some(path) if tree.open_file(&path).is_err() => return Ok(Vec::new()),
        _ => read_small(file, MAX_ATTRIBUTES_BYTES)?.unwrap_or_default(),
    };
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter_map(|(at, line)| Some((at + 1, LakeLine::parse(line)?)));
    Ok(lines.filter(|(_, line)| !line.missing().is_empty()).collect())
}
