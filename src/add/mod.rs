//! What `git add` does for lake files, on all cores and in one pass.
//!
//! Files are read, hashed and stored side by side; pointers become one pack; the index gets all entries at
//! once, with the stat data of the files, so that the next `git status` runs no filter. Pointers are
//! chosen and claims written by the same code that the filter uses, so the index is what `git add` would
//! have made of it. Whatever is not plain content of a lake path (pointers, empty files, links, unresolved
//! merges, files that are not to be had) is left to `git add` itself, which runs afterwards.

use std::collections::{HashMap, HashSet};
use std::fs::Metadata;

use crate::config::UploadAt;
use crate::fail_point;
use crate::filter::clean::{self, Cleaner, Emitted};
use crate::filter::finish::{self, Summary};
use crate::fs::beneath::Tree;
use crate::fs::{IoContext as _, PathError};
use crate::oid::Oid;
use crate::parallel;
use crate::repo::attributes::{LakePaths, is_never_tracked};
use crate::repo::index::Index;
use crate::repo::index_stat::{self, StatChange, StatUpdate, Unchanged};
use crate::repo::process::{self, Git};
use crate::repo::{self, BlobId, new_blobs};
use crate::repo_path::{RepoPath, join};
use crate::space::limit;
use crate::workspace::Workspace;

mod ingest;

use ingest::Ingested;

/// Files that are held together: what is known of each takes less than a KiB.
const AT_ONCE: usize = 50_000;
/// Of very many files so many pieces are made at most: the index is written anew after each.
const MOST_PIECES: usize = 8;

/// What was added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    /// Files whose entry is another one now.
    pub files: usize,
    /// Bytes of content that was read.
    pub bytes: u64,
}

/// Says why nothing more was added. What was is staged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository could not be read.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// Git did not do something.
    #[error(transparent)]
    Git(#[from] process::Error),
    /// Git did not take the pointers.
    #[error(transparent)]
    Blobs(#[from] new_blobs::Error),
    /// The local state could not be written.
    #[error("Could not store the content: {0}")]
    Path(#[from] PathError),
    /// No pointer could be made.
    #[error("Could not add `{path}`: {source}")]
    Clean {
        /// The file.
        path: String,
        /// Why.
        source: clean::Error,
    },
    /// Somebody asked to stop.
    #[error("Interrupted")]
    Interrupted,
}

/// A file that is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where it is.
    pub path: RepoPath,
    /// Its length in bytes when it was listed.
    pub size: u64,
    /// What the index has there.
    known: Option<(BlobId, Mode)>,
}

/// Whether a file may be run, as git keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Plain,
    Executable,
}

impl Mode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "100644",
            Self::Executable => "100755",
        }
    }
}

/// Finds the files among `paths` that may be content to add: regular files with the attribute, of which git
/// does not know by their stat data that they are unchanged. Paths that were not seen by git are in `new`.
///
/// # Errors
/// If attributes cannot be read.
pub fn candidates(
    site: &Workspace,
    index: &Index,
    paths: &HashSet<Vec<u8>>,
    new: &HashSet<Vec<u8>>,
) -> Result<Vec<Candidate>, repo::Error> {
    let Some(top) = site.repo.work_tree() else { return Ok(Vec::new()) };
    let mut lake_paths = LakePaths::of_work_tree(&site.repo, index)?;
    let rules = Unchanged::of(&site.repo, index);
    let mut wanted: Vec<(RepoPath, Option<(BlobId, Mode)>)> = Vec::new();
    for entry in index.entries().filter(|entry| paths.contains(entry.path)) {
        let is_plain = entry.stage == 0
            && entry.kind.is_file()
            && !entry.is_intent_to_add
            && !entry.is_skip_worktree;
        let path = RepoPath::parse(entry.path).filter(|_| is_plain);
        let Some(path) = path.filter(|path| !path.enters_git_dir()) else { continue };
        let shown = join(top, &path);
        let metadata = std::fs::symlink_metadata(&shown);
        if metadata.is_ok_and(|metadata| !rules.holds(&entry, &metadata)) {
            let mode = if entry.kind.is_executable() { Mode::Executable } else { Mode::Plain };
            wanted.push((path, Some((entry.id, mode))));
        }
    }
    let unknown = new.iter().filter_map(|path| RepoPath::parse(path));
    wanted.extend(unknown.filter(|path| !path.enters_git_dir()).map(|path| (path, None)));
    wanted.sort_by(|a, b| a.0.cmp(&b.0));
    let mut found = Vec::new();
    for (path, known) in wanted {
        if is_never_tracked(&path) || !lake_paths.contains(&path)? {
            continue;
        }
        let metadata = std::fs::symlink_metadata(join(top, &path));
        if let Ok(metadata) = metadata.as_ref()
            && metadata.is_file()
        {
            found.push(Candidate { path, size: metadata.len(), known });
        }
    }
    Ok(found)
}

/// Adds files; stages what was done before it fails.
///
/// Within `lake.storageLimit` it goes on in pieces: ingest, stage, upload, make room.
///
/// # Errors
/// If the store, git or the index cannot be written, or when somebody asks to stop.
pub fn add(site: &Workspace, candidates: Vec<Candidate>) -> Result<Added, Error> {
    let mut added = Added::default();
    for batch in limit::batches(site, candidates, |candidate| candidate.size) {
        for some in batch.chunks(AT_ONCE.max(batch.len().div_ceil(MOST_PIECES))) {
            add_some(site, some, &mut added)?;
        }
    }
    // Also what an earlier process staged and did not come to upload.
    finish::upload_claimed(site, &HashMap::new())?;
    Ok(added)
}

/// A file that is in the store, and what git is to have of it.
struct Ready<'a> {
    candidate: &'a Candidate,
    text: Vec<u8>,
    metadata: Metadata,
}

fn add_some(site: &Workspace, some: &[Candidate], added: &mut Added) -> Result<(), Error> {
    let top = site.repo.work_tree().expect("candidates lie in one");
    let (store, cancel, reporter) = (&*site.store, &site.cancel, &*site.reporter);
    let hashes = site.config.extra_hashes();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let tree = Tree::open(top).context(top)?;
    let expected: HashMap<usize, Oid> =
        some.iter().enumerate().filter_map(|(at, one)| Some((at, expected(site, one)?))).collect();
    let ingested = parallel::map(threads, some.len(), |at| {
        let (path, expected) = (&some[at].path, expected.get(&at).copied());
        let ingested = ingest::ingest(store, &hashes, &tree, path, expected, cancel, reporter);
        reporter.hashed(1, 0);
        ingested
    });
    reporter.end();
    fail_point::reach("add-ingested");
    let (mut cleaner, mut ready) = (Cleaner::new(site), Vec::new());
    for (candidate, ingested) in some.iter().zip(ingested) {
        let (hashed, before, metadata) = match ingested? {
            Ingested::Stored { hashed, before, metadata } => (hashed, before, metadata),
            Ingested::LeftToGit => continue,
            Ingested::Interrupted => return Err(Error::Interrupted),
        };
        added.bytes += hashed.size;
        let text = cleaner.take(&candidate.path, &hashed, before).map_err(|source| {
            Error::Clean { path: candidate.path.display().into_owned(), source }
        })?;
        ready.push(Ready { candidate, text, metadata: *metadata });
    }
    cleaner.remember();
    // Nothing that git holds may be lost by a power cut.
    site.store.sync()?;
    site.queue.conclude()?;
    let mut emitted: Vec<Emitted> = std::mem::take(&mut cleaner.emitted);
    drop(cleaner);
    fail_point::reach("add-stored");
    added.files += stage(site, ready)?;
    emitted.iter_mut().for_each(|emitted| emitted.may_be_staged = true);
    finish::finish(site, &emitted, &Summary::default());
    if site.config.upload_at == UploadAt::Add {
        finish::keep_within_limit(site, finish::When::AtTheEnd);
    }
    Ok(())
}

/// Returns the object that a large file had when it was added last.
fn expected(site: &Workspace, candidate: &Candidate) -> Option<Oid> {
    let (blob, _) = candidate.known.filter(|_| candidate.size > ingest::IN_MEMORY_BYTES)?;
    let (_, pointer) = site.pointer_of(blob).ok().flatten()?;
    Some(pointer.oid())
}

/// Puts the pointers into git and its index; returns how many entries are others now.
fn stage(site: &Workspace, ready: Vec<Ready<'_>>) -> Result<usize, Error> {
    let ids = ready.iter().map(|one| site.repo.blob_id_of(&one.text));
    let ids: Vec<BlobId> = ids.collect::<Result<_, _>>()?;
    let keeps_modes = site.repo.config_bool("core.filemode").unwrap_or(true);
    let mut modes = Vec::with_capacity(ready.len());
    for one in &ready {
        modes.push(match one.candidate.known {
            Some((_, mode)) if !keeps_modes => mode,
            _ if keeps_modes && crate::fs::platform::is_executable(&one.metadata) => {
                Mode::Executable
            }
            _ => Mode::Plain,
        });
    }
    let is_new = |at: &usize| ready[*at].candidate.known != Some((ids[*at], modes[*at]));
    let new: Vec<usize> = (0..ready.len()).filter(is_new).collect();
    let blob_is_new =
        |at: &&usize| ready[**at].candidate.known.is_none_or(|(known, _)| known != ids[**at]);
    site.repo.write_blobs(new.iter().filter(blob_is_new).map(|at| &ready[*at].text))?;
    if !new.is_empty() {
        let mut input = Vec::new();
        for at in &new {
            input.extend(format!("{} {}\t", modes[*at].as_str(), ids[*at]).bytes());
            input.extend_from_slice(ready[*at].candidate.path.as_bytes());
            input.push(0);
        }
        let args = ["update-index", "-z", "--add", "--replace", "--index-info"];
        Git::of(&site.repo)?.run(&args, &input)?;
    }
    fail_point::reach("add-staged");
    let files = ready.into_iter().zip(ids).map(|(one, id)| ((one.candidate, id), one.metadata));
    let settled =
        crate::fill::settled(site, files.collect(), |(candidate, _)| candidate.path.clone());
    let changes: Vec<StatChange> = settled
        .into_iter()
        .map(|((candidate, id), metadata)| {
            let path = candidate.path.clone();
            StatChange { path, id, stat: StatUpdate::Of(metadata) }
        })
        .collect();
    // Without it git compares the files itself, in the `git add` that follows.
    drop(index_stat::patch(
        site.repo.index_path(),
        site.repo.hash_len(),
        &changes,
        crate::fill::PATIENCE,
    ));
    Ok(new.len())
}

/// Returns true if files can be added this way: git's index is one file that lists all of them.
pub fn is_possible(site: &Workspace, index: &Index) -> bool {
    site.repo.work_tree().is_some()
        && !index.is_split()
        && site.repo.config_bool("core.splitIndex") != Some(true)
        && crate::sources::select::refuse_sparse(index).is_ok()
}
