//! Finding and opening the repository, as git would.

use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice as _;
use gix::sec::Trust;

use super::environment::parse_config_parameters;
use super::{Environment, Error, Repo};
use crate::fs::IoContext as _;
use crate::repo_path::os_path_to_bytes;

impl Repo {
    /// Opens the repository that `start` is in, or the one that git's variables name.
    ///
    /// Honours `GIT_DIR`, `GIT_WORK_TREE`, `GIT_INDEX_FILE`, `GIT_CEILING_DIRECTORIES` and the
    /// settings that `git -c` hands down; starts no process. Relative variables are taken from the
    /// current folder, as git takes them.
    ///
    /// # Errors
    /// [`Error::NotARepository`] and [`Error::Foreign`] are ordinary; others mean damage.
    pub fn discover(start: &Path) -> Result<Self, Error> {
        Self::discover_with(start, &Environment::read(), gix::open::Permissions::all())
    }

    /// Opens the repository that `folder` is in, whatever git's variables name: for one that a person
    /// names beside that of the command.
    ///
    /// # Errors
    /// As [`Repo::discover`].
    pub fn at(folder: &Path) -> Result<Self, Error> {
        let environment =
            Environment { git_dir: None, common_dir: None, work_tree: None, ..Environment::read() };
        Self::open_with(folder, &environment, gix::open::Permissions::all(), Choice::Folder)
    }

    /// Opens the repository whose work tree or git folder this is, and no other one: what is above it may be
    /// in a repository, too. `None` if it is not one.
    ///
    /// # Errors
    /// If there is one that cannot be opened.
    pub fn at_top(folder: &Path) -> Result<Option<Self>, Error> {
        let repo = match Self::at(folder) {
            Err(Error::NotARepository { .. }) => return Ok(None),
            found => found?,
        };
        let own = std::fs::canonicalize(folder).context(folder)?;
        let tops = [Some(repo.common_dir()), Some(repo.git_dir()), repo.work_tree()];
        let is_top = |top: &Path| std::fs::canonicalize(top).is_ok_and(|top| top == own);
        let is_own = tops.into_iter().flatten().any(is_top);
        Ok(is_own.then_some(repo))
    }

    pub(super) fn discover_with(
        start: &Path,
        environment: &Environment,
        permissions: gix::open::Permissions,
    ) -> Result<Self, Error> {
        Self::open_with(start, environment, permissions, Choice::Variables)
    }

    fn open_with(
        start: &Path,
        environment: &Environment,
        permissions: gix::open::Permissions,
        choice: Choice,
    ) -> Result<Self, Error> {
        let unopened = |source: gix::Error| match find_error(&source) {
            Found::Nothing => Error::NotARepository { start: start.to_owned() },
            Found::Foreign => Error::Foreign { path: start.to_owned() },
            Found::Something => Error::Open { start: start.to_owned(), source: source.into() },
        };
        let options = || {
            gix::open::Options::default()
                .permissions(permissions)
                .lossy_config(true)
                .cli_overrides(given_settings(environment))
                // Who may be trusted is decided below, once and for all of the repository.
                .filter_config_section(|_| true)
        };
        let trust_map = gix::sec::trust::Mapping { full: options(), reduced: options() };
        // Git ignores ceilings that are not above the start (setup.c, `longest_ancestor_length`).
        let upwards = gix::discover::upwards::Options {
            match_ceiling_dir_or_error: false,
            ..Default::default()
        };
        let shared = match choice {
            Choice::Variables => {
                gix::ThreadSafeRepository::discover_with_environment_overrides_opts(
                    start, upwards, trust_map,
                )
            }
            Choice::Folder => gix::ThreadSafeRepository::discover_opts(start, upwards, trust_map),
        };
        let mut git = shared.map_err(unopened)?.to_thread_local();
        git.make_paths_absolute().map_err(unopened)?;
        if environment.git_dir.is_some() {
            adopt_work_tree(&mut git, environment).map_err(unopened)?;
        } else if git.git_dir_trust() != Trust::Full && !is_declared_safe(&git) {
            // Git checks the owner of what it finds, not of what `GIT_DIR` names.
            let path = git.workdir().unwrap_or(git.git_dir()).to_owned();
            return Err(Error::Foreign { path });
        }
        let repo = Self {
            git_dir: clean(git.git_dir()),
            common_dir: clean(git.common_dir()),
            work_tree: git.workdir().map(clean),
            index_path: clean(&git.index_path()),
            git,
        };
        repo.check_common_dir(environment)?;
        Ok(repo)
    }

    /// Refuses a `GIT_COMMON_DIR` that is not the repository's own, which gix cannot follow.
    fn check_common_dir(&self, environment: &Environment) -> Result<(), Error> {
        let Some(wanted) = &environment.common_dir else {
            return Ok(());
        };
        let same = std::fs::canonicalize(wanted)
            .and_then(|wanted| Ok(wanted == std::fs::canonicalize(&self.common_dir)?));
        match same {
            Ok(true) => Ok(()),
            _ => Err(Error::CommonDir { wanted: wanted.clone(), found: self.common_dir.clone() }),
        }
    }
}

/// What says which repository is meant.
enum Choice {
    /// git's variables, and where they say nothing the folder.
    Variables,
    /// The folder alone.
    Folder,
}

/// What a failed discovery had found.
enum Found {
    Nothing,
    Foreign,
    Something,
}

fn find_error(error: &gix::Error) -> Found {
    use gix::discover::upwards::Error as Upwards;
    match error.downcast_any_ref::<Upwards>() {
        Some(Upwards::NoTrustedGitRepository { .. }) => Found::Foreign,
        Some(_) => Found::Nothing,
        // `GIT_DIR` names no repository.
        None if error.to_string().contains("not appear to be a git repo") => Found::Nothing,
        None => Found::Something,
    }
}

/// Returns what `git -c` gave, or nothing if it is malformed, of which git has complained already.
fn given_settings(environment: &Environment) -> Vec<Vec<u8>> {
    let given = environment.config_parameters.as_deref();
    given
        .and_then(|text| parse_config_parameters(&os_path_to_bytes(Path::new(text))))
        .unwrap_or_default()
}

/// Takes the current folder as the work tree where git does: with `GIT_DIR` and no other word on it.
///
/// gix takes the folder that holds `.git`, and none at all for `git init --separate-git-dir`.
fn adopt_work_tree(git: &mut gix::Repository, environment: &Environment) -> gix::Result<()> {
    if environment.work_tree.is_some() {
        return Ok(());
    }
    if !environment.has_implicit_work_tree {
        git.set_workdir(None)?;
        return Ok(());
    }
    let settings = git.config_snapshot();
    let is_bare = settings.boolean("core.bare") == Some(true);
    if settings.string("core.worktree").is_none() && (!is_bare || git.workdir().is_some()) {
        let current = git.current_dir().to_owned();
        git.set_workdir(current)?;
    }
    Ok(())
}

/// Returns true if `safe.directory` was given on the command line, where gix does not look.
fn is_declared_safe(git: &gix::Repository) -> bool {
    let top = git.workdir().unwrap_or(git.git_dir());
    let top = std::fs::canonicalize(top).unwrap_or_else(|_| top.to_owned());
    let settings = git.config_snapshot();
    let given = settings.plumbing().strings_filter("safe.directory", |meta| {
        meta.source.kind() == gix::config::source::Kind::Override
    });
    let mut is_safe = false;
    for value in given.unwrap_or_default() {
        let named = || Path::new(value.to_str_lossy().as_ref()).to_owned();
        is_safe = match value.as_slice() {
            b"" => false,
            b"*" => true,
            _ => is_safe || std::fs::canonicalize(named()).is_ok_and(|named| named == top),
        };
    }
    is_safe
}

/// Removes `.` and `..` from an absolute path, where that needs no look at the disk.
fn clean(path: &Path) -> PathBuf {
    gix::path::normalize(path.into(), Path::new("/"))
        .map_or_else(|| path.to_owned(), std::borrow::Cow::into_owned)
}
