//! Mending what is safe to mend: nothing is lost, nothing is committed, nobody new gets data.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use super::facts::Local;
use super::facts::files::{FaultyLine, MAX_ATTRIBUTES_BYTES};
use super::findings::{counted, shown};
use crate::fill;
use crate::fs::beneath::Tree;
use crate::fs::{IoContext as _, read_whole};
use crate::repo::attributes::lines::completed;
use crate::repo::gitconfig::{self, ConfigFile};
use crate::repo::hooks::{self, HookFile, HookState};
use crate::repo::process::Git;
use crate::repo_path::{RepoPath, join, os_path_to_bytes};
use crate::store::materialize::Outcome;
use crate::workspace::Workspace;

/// Something to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// Keys that git's configuration lacks, with their values, for the clone.
    Filter(Vec<(&'static str, &'static str)>),
    /// Hooks that are absent, or of an older git-lake.
    Hooks,
    /// Lines of one attributes file that git-lake would have written differently.
    Attributes(PathBuf, Vec<usize>),
    /// Objects that could not be synced.
    Sync,
    /// Files whose stat data git does not know.
    Fill,
    /// Files that git holds as content although they belong to lakes.
    Convert(Vec<RepoPath>),
}

/// What was mended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mended {
    /// A sentence for each thing, without a period.
    pub lines: Vec<String>,
    /// Whether the index has changes now that belong into a commit.
    pub is_staged: bool,
    /// Files of the work tree that belong into the same commit, from its top.
    pub changed: Vec<PathBuf>,
}

impl Mended {
    /// Adds what else was mended.
    pub fn add(&mut self, other: Self) {
        self.lines.extend(other.lines);
        self.is_staged |= other.is_staged;
        self.changed.extend(other.changed);
    }

    /// Returns the one command that makes it good for everybody, if there is anything to commit.
    pub fn commit(&self) -> Option<String> {
        let commit = "git commit -m 'Keep content in lakes'";
        if self.changed.is_empty() {
            return self.is_staged.then(|| commit.to_owned());
        }
        let files = self.changed.iter().map(|file| {
            // From the top, wherever it is typed.
            format!(" ':/{}'", file.display().to_string().replace('\'', r"'\''"))
        });
        Some(format!("git add{} && {commit}", files.collect::<String>()))
    }
}

/// Decides what to mend, in the order in which it has to happen.
pub fn plan(local: &Local) -> Vec<Mend> {
    let mut plan = Vec::new();
    let missing = local.setup.filter.iter().filter(|key| key.found.is_none());
    let missing: Vec<_> = missing.map(|key| (key.key, key.expected)).collect();
    if !missing.is_empty() {
        plan.push(Mend::Filter(missing));
    }
    let is_mendable = |state: &HookState| {
        let is_ours_or_absent =
            matches!(state.file, HookFile::Absent | HookFile::Ours { is_current: false });
        is_ours_or_absent && state.is_inside
    };
    if local.setup.installs_hooks && local.setup.hooks.iter().any(is_mendable) {
        plan.push(Mend::Hooks);
    }
    let lines = local.files.attributes.iter().filter_map(|fault| fault.line.as_ref());
    for FaultyLine { file, number, .. } in lines.filter(|line| line.is_ours) {
        match plan.last_mut() {
            // Faults of one file stand together.
            Some(Mend::Attributes(known, numbers)) if known == file => numbers.push(*number),
            _ => plan.push(Mend::Attributes(file.clone(), vec![*number])),
        }
    }
    if local.state.unsynced > 0 {
        plan.push(Mend::Sync);
    }
    if local.state.unfinished > 0 {
        plan.push(Mend::Fill);
    }
    let unconverted: Vec<RepoPath> = local.files.unconverted().into_iter().cloned().collect();
    if !unconverted.is_empty() {
        plan.push(Mend::Convert(unconverted));
    }
    plan
}

/// Mends one thing. Doing it again does no harm.
///
/// # Errors
/// If a file cannot be written, git fails, or an object turns out to be damaged.
pub fn carry_out(site: &Workspace, mend: &Mend) -> Result<Mended, Error> {
    match mend {
        Mend::Filter(keys) => set_keys(site, keys),
        Mend::Hooks => {
            let written = hooks::install(&site.repo)?.into_iter();
            let written = written.filter(|installed| installed.outcome == hooks::Outcome::Written);
            let names: Vec<&str> = written.map(|installed| installed.hook.name()).collect();
            Ok(said(format!("Wrote hooks: {}", names.join(", "))))
        }
        Mend::Attributes(file, numbers) => complete(site, file, numbers),
        Mend::Sync => {
            site.store.sync_recorded()?;
            Ok(said("Verified the objects that could not be synced, and put them on disk".into()))
        }
        Mend::Fill => {
            fill::recover(site)?;
            Ok(said("Told git about files that were filled when their process died".into()))
        }
        Mend::Convert(paths) => convert(site, paths),
    }
}

fn said(line: String) -> Mended {
    Mended { lines: vec![line], ..Mended::default() }
}

fn set_keys(site: &Workspace, keys: &[(&str, &str)]) -> Result<Mended, Error> {
    let mut config = ConfigFile::open(&gitconfig::repository_file(&site.repo))?;
    for (key, value) in keys {
        config.set(key, value)?;
    }
    let names: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
    Ok(said(format!("Set `{}` in the clone's configuration", names.join("`, `"))))
}

fn complete(site: &Workspace, file: &Path, numbers: &[usize]) -> Result<Mended, Error> {
    let top = site.repo.work_tree().unwrap_or(site.repo.git_dir());
    let name = file.strip_prefix(top).unwrap_or(file).to_owned();
    let tree = Tree::open(top).context(top)?;
    let not_ours = || io::Error::other("it does not lie in the work tree");
    let path = RepoPath::parse(&os_path_to_bytes(&name)).ok_or_else(not_ours).context(file)?;
    let (opened, looked_at) = tree.open_file(&path).context(file)?;
    let text = read_whole(opened, MAX_ATTRIBUTES_BYTES).context(file)?;
    let completed = completed(&text, numbers);
    match site.store.replace_unchanged(&tree, &path, &looked_at, &completed)? {
        Outcome::Filled(_) => {}
        _ => return Err(io::Error::other("it was changed meanwhile")).context(file)?,
    }
    let count = counted(numbers.len(), "line", "lines");
    let line = format!("Completed {count} of `{}`", name.display());
    Ok(Mended { changed: vec![name], ..said(line) })
}

/// Stages pointers in the place of content, of files that are as the index has them.
fn convert(site: &Workspace, paths: &[RepoPath]) -> Result<Mended, Error> {
    let Some(top) = site.repo.work_tree() else { return Ok(Mended::default()) };
    let git = Git::of(&site.repo)?;
    let modified = modified(&git)?;
    let is_as_staged = |path: &&RepoPath| {
        let found = std::fs::symlink_metadata(join(top, path));
        found.is_ok_and(|found| found.is_file()) && !modified.contains(path.as_bytes())
    };
    let (ready, others): (Vec<&RepoPath>, Vec<&RepoPath>) = paths.iter().partition(is_as_staged);
    let mut mended = Mended::default();
    if !ready.is_empty() {
        let names: Vec<&[u8]> = ready.iter().map(|path| path.as_bytes()).collect();
        let args = [
            "--literal-pathspecs",
            "add",
            "--renormalize",
            "--pathspec-from-file=-",
            "--pathspec-file-nul",
        ];
        git.run(&args.map(OsString::from), &names.join(&0))?;
        let count = counted(ready.len(), "file is", "files are");
        let names = shown(ready);
        mended.lines.push(format!("{count} staged as pointers ({names}), and not committed"));
        mended.is_staged = true;
    }
    if !others.is_empty() {
        let count = counted(others.len(), "file is", "files are");
        let names = shown(others);
        mended.lines.push(format!(
            "{count} not as staged, and left alone ({names}): `git add` converts what is there now"
        ));
    }
    Ok(mended)
}

/// Lists the paths whose file has other bytes than the index, without asking the filter: to git every
/// file is modified whose content is to become a pointer.
fn modified(git: &Git) -> Result<HashSet<Vec<u8>>, Error> {
    let args = [
        "-c",
        "filter.lake.process=",
        "-c",
        "filter.lake.clean=",
        "-c",
        "filter.lake.required=false",
        "diff",
        "--name-only",
        "--no-renames",
        "--no-ext-diff",
        "--no-relative",
        "--ignore-submodules",
        "-z",
    ];
    let listed = git.run(&args, b"")?.stdout;
    Ok(listed.split(|byte| *byte == 0).map(<[u8]>::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::facts::files::{AttributeFault, Files};
    use crate::doctor::facts::setup::{FilterKey, Setup};
    use crate::doctor::facts::state::State;
    use crate::fsck::{Fault, Finding, pointers::Tally};
    use crate::repo::Origin;
    use crate::repo::hooks::Hook;

    fn key(key: &'static str, found: Option<&str>) -> FilterKey {
        let found = found.map(|value| (value.to_owned(), Origin::User));
        FilterKey { key, expected: "expected", found }
    }

    fn hook(file: HookFile, is_inside: bool) -> HookState {
        HookState { hook: Hook::PrePush, path: PathBuf::from("pre-push"), is_inside, file }
    }

    fn line(file: &str, number: usize, is_ours: bool) -> AttributeFault {
        let (shown, pattern) = (file.to_owned(), "*".to_owned());
        let line = FaultyLine { file: file.into(), shown, number, pattern, is_ours };
        AttributeFault { missing: vec!["-text"], line: Some(line), paths: Vec::new() }
    }

    fn local() -> Local {
        let git = Ok("git version 2.50.0".to_owned());
        let (filter, hooks) = (vec![key("a.b", Some("other"))], Vec::new());
        Local {
            setup: Setup {
                git,
                is_on_path: true,
                filter,
                unknown: Vec::new(),
                hooks,
                installs_hooks: true,
            },
            files: Files {
                settings: vec!["wrong".to_owned()],
                configuration: Vec::new(),
                attributes: Vec::new(),
                tally: Tally::default(),
                pointers: Vec::new(),
            },
            state: State { lost: 1, left: 1, ..State::default() },
        }
    }

    #[test]
    fn what_only_a_person_can_decide_is_left_alone() {
        let mut local = local();
        local.setup.hooks = vec![
            hook(HookFile::Foreign { calls_git_lake: false }, true),
            hook(HookFile::Absent, false),
            hook(HookFile::Ours { is_current: true }, true),
        ];
        local.files.attributes = vec![line("a", 1, false)];
        assert_eq!(plan(&local), []);
        local.setup.hooks = vec![hook(HookFile::Absent, true)];
        local.setup.installs_hooks = false;
        assert_eq!(plan(&local), []);
    }

    #[test]
    fn the_filter_is_there_before_it_is_needed() {
        let mut local = local();
        local.setup.filter.push(key("c.d", None));
        local.setup.hooks = vec![hook(HookFile::Ours { is_current: false }, true)];
        local.files.attributes =
            vec![line("a", 1, true), line("a", 2, false), line("a", 4, true), line("b", 1, true)];
        local.state.unsynced = 1;
        local.state.unfinished = 1;
        let path = RepoPath::parse(b"x").expect("a path");
        let found = |fault| Finding { path: Some(path.clone()), ..Finding::about(fault) };
        local.files.pointers = vec![found(Fault::NotConverted), found(Fault::LfsPointer)];
        let expected = [
            Mend::Filter(vec![("c.d", "expected")]),
            Mend::Hooks,
            Mend::Attributes("a".into(), vec![1, 4]),
            Mend::Attributes("b".into(), vec![1]),
            Mend::Sync,
            Mend::Fill,
            Mend::Convert(vec![path.clone()]),
        ];
        assert_eq!(plan(&local), expected);
    }

    #[test]
    fn one_command_commits_what_was_mended() {
        let mut mended = Mended::default();
        assert_eq!(mended.commit(), None);
        mended.add(Mended { is_staged: true, ..Mended::default() });
        assert_eq!(mended.commit().as_deref(), Some("git commit -m 'Keep content in lakes'"));
        mended.add(Mended { changed: vec!["it's/.gitattributes".into()], ..Mended::default() });
        assert_eq!(
            mended.commit().as_deref(),
            Some(r"git add ':/it'\''s/.gitattributes' && git commit -m 'Keep content in lakes'")
        );
    }
}
