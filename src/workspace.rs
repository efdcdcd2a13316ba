//! One clone, opened: repository, settings in force, local state and the lakes at hand.
//!
//! Everything that commands and engines share about the clone that they work in. Opening reads the
//! repository's configuration and `.gitlake.toml`, and nothing else: no index, no object store, no
//! lake, no process.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::config::accepted::Accepted;
use crate::config::file::{self, Settings, SettingsError, Unknown};
use crate::config::hosts::Hosts;
use crate::config::{self, Config, GitConfig};
use crate::fs::{HeldFile, PathError, read_small_regular};
use crate::lake::s3::Notes;
use crate::lake_url::{LakeUrl, Scheme, SourceUrl};
use crate::object_name::ObjectName;
use crate::pointer::{MAX_POINTER_BYTES, Parsed, Pointer};
use crate::repo::attributes::LakePaths;
use crate::repo::credential::Helpers;
use crate::repo::index::Index;
use crate::repo::{self, Blob, BlobId, Repo};

use crate::repo_path::RepoPath;
use crate::store::Store;
use crate::store::blob_map::BlobMap;
use crate::store::damage::Notice;
use crate::store::gc::Hold;
use crate::store::health::HealthRecords;
use crate::store::queue::{Owed, Queue};
use crate::store::receipts::Receipts;
use crate::store::servers::ServerNotes;
use crate::store::uploads::UploadNotes;
use crate::transfer::download::Wanted;
use crate::transfer::lakes::Lakes;
use crate::transfer::rate::Throttle;
use crate::transfer::reach::Reach;
use crate::transfer::report::{Reporter, with_causes};
use crate::transfer::{Cancel, Transfer, retry};

/// A clone and what belongs to it.
pub struct Workspace {
    /// The repository.
    pub repo: Repo,
    /// What is in force.
    pub config: Config,
    /// How servers are talked to, and with which keys.
    pub hosts: Arc<Hosts>,
    /// Local objects.
    pub store: Arc<Store>,
    /// What may be owed.
    pub queue: Queue,
    /// What is proved.
    pub receipts: Arc<Receipts>,
    /// What was passed over when reading settings leniently, one line each.
    pub warnings: Vec<String>,
    /// Who hears about progress.
    pub reporter: Arc<dyn Reporter>,
    /// Asks to stop.
    pub cancel: Cancel,
    lakes: Arc<Lakes>,
    throttle: Option<Throttle>,
    repairs: Arc<Mutex<Vec<Owed>>>,
    /// Keeps others from removing objects that this process has looked at.
    hold: Mutex<Option<Hold>>,
    /// How lakes are opened.
    pub reach: Arc<Reach>,
}

/// Says why a clone could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// `.gitlake.toml`.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// git's configuration.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// A file.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The folder that clones keep their objects in.
    #[error(
        "Could not use the store in `{}`, which git config `lake.storage` names: make the folder, or mount it",
        .folder.display()
    )]
    Storage {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: PathError,
    },
}

/// What is kept about lakes in buckets.
struct LakeNotes {
    servers: ServerNotes,
    uploads: UploadNotes,
}

impl Notes for LakeNotes {
    fn recall(&self, lake: &LakeUrl) -> Option<String> {
        self.servers.recall(lake)
    }

    fn keep(&self, lake: &LakeUrl, line: &str) {
        // What cannot be kept is learned again.
        drop(self.servers.keep(lake, line));
    }

    fn take_upload(&self, lake: &LakeUrl, name: &ObjectName) -> Option<HeldFile> {
        self.uploads.take(lake, name)
    }

    fn uploads(&self, lake: &LakeUrl) -> Vec<ObjectName> {
        self.uploads.names(lake)
    }
}

impl GitConfig for Repo {
    fn string(&self, key: &str) -> Option<String> {
        self.config_string(key)
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        self.config_path(key)
    }

    fn strings(&self, key: &str) -> Vec<String> {
        self.config_strings(key)
    }

    fn subsections(&self, section: &str) -> Vec<String> {
        self.config_subsections(section)
    }
}

impl Workspace {
    /// Opens the clone that `start` is in.
    ///
    /// `treeish` is what git is checking out, where that is known: its settings are used when neither
    /// the work tree nor the index has any. With [`Unknown::PassOver`] nothing about settings is fatal.
    ///
    /// # Errors
    /// If there is no repository, or, with [`Unknown::Refuse`], if settings are wrong.
    pub fn open(
        start: &Path,
        unknown: Unknown,
        treeish: Option<&str>,
        reporter: Arc<dyn Reporter>,
        cancel: Cancel,
    ) -> Result<Self, Error> {
        let repo = Repo::discover(start)?;
        let mut warnings = Vec::new();
        let mut settings = match unknown {
            Unknown::Refuse => read_strictly(&repo)?,
            Unknown::PassOver => read_leniently(&repo, treeish, &mut warnings),
        };
        warnings.extend(settings.warnings.drain(..).map(|warning| warning.to_string()));
        let (config, wrong) = Config::resolve(&settings, &repo);
        match (unknown, wrong.into_iter()) {
            (Unknown::Refuse, mut wrong) => wrong.next().map_or(Ok(()), Err)?,
            (Unknown::PassOver, wrong) => warnings.extend(wrong.map(|error| error.to_string())),
        }
        let alone = Store::at(repo.common_dir());
        let store = match &config.storage {
            None => alone,
            Some(folder) => match (alone.joining(folder), unknown) {
                (Ok(store), _) => store,
                (Err(source), Unknown::Refuse) => {
                    return Err(Error::Storage { folder: folder.clone(), source });
                }
                (Err(source), Unknown::PassOver) => {
                    let error = Error::Storage { folder: folder.clone(), source };
                    warnings.push(with_causes(&error) + ". Objects stay in this clone.");
                    Store::at(repo.common_dir())
                }
            },
        };
        let helpers = Helpers::of(&repo);
        let helpers = move |host: &_, plain_http| helpers.server(host, plain_http);
        let hosts = Arc::new(Hosts::new(config.clone(), Some(Box::new(helpers))));
        let notes = LakeNotes {
            servers: ServerNotes::at(store.root()),
            uploads: UploadNotes::at(store.root()),
        };
        let reach = Reach::new(&config, &hosts, Arc::new(notes), &cancel);
        let opening = Arc::clone(&reach);
        let hearing = Arc::clone(&reporter);
        let notice = Notice::to(move |text| hearing.warn(text));
        Ok(Self {
            queue: Queue::at(store.root()).telling(notice.clone()),
            receipts: Arc::new(Receipts::at(store.root()).telling(notice)),
            lakes: Arc::new(Lakes::with_records(
                Box::new(move |url| opening.open(url)),
                HealthRecords::at(store.root()),
                cancel.clone(),
            )),
            hold: Mutex::new(store.hold()),
            store: Arc::new(store),
            repairs: Arc::default(),
            throttle: config.max_rate.map(Throttle::new),
            reach,
            repo,
            config,
            hosts,
            warnings,
            reporter,
            cancel,
        })
    }

    /// Returns what transfers of this clone need.
    pub fn transfer(&self) -> Transfer {
        Transfer {
            store: Arc::clone(&self.store),
            receipts: Arc::clone(&self.receipts),
            lakes: Arc::clone(&self.lakes),
            reporter: Arc::clone(&self.reporter),
            cancel: self.cancel.clone(),
            jobs: self.config.jobs,
            retry: retry::Policy::default(),
            throttle: self.throttle.clone(),
            repairs: Arc::clone(&self.repairs),
        }
    }

    /// Says what is wanted for a pointer at a path, and with `lake.repair` where it belongs.
    pub fn wanted(&self, path: &RepoPath, pointer: &Pointer) -> Wanted {
        let (oid, size) = (pointer.oid(), pointer.size());
        let owed = |url: &SourceUrl| Owed { url: url.clone(), oid, size, path: path.clone() };
        let repairs = match self.config.repair {
            true => self.config.uploads(path, pointer).map(owed).collect(),
            false => Vec::new(),
        };
        Wanted { oid, size, candidates: self.config.candidates(pointer, path), repairs }
    }

    /// Returns the uploads that became due by what was fetched, and forgets them.
    pub fn take_repairs(&self) -> Vec<Owed> {
        std::mem::take(&mut *self.repairs.lock().expect("no holder panics"))
    }

    /// Does something during which objects may be removed from the store, by this process as well.
    pub fn without_hold<T>(&self, act: impl FnOnce() -> T) -> T {
        let mut hold = self.hold.lock().expect("no holder panics");
        *hold = None;
        let result = act();
        *hold = self.store.hold();
        result
    }

    /// Asks lakes although other processes gave them up: for commands in which the user asks for transfers.
    pub fn insist(&self) {
        self.lakes.insist();
    }

    /// Forgets that processes gave up the lake: for commands in which the user names it.
    pub fn forgive(&self, url: &LakeUrl) {
        self.lakes.forgive(url);
    }

    /// Reads a blob and returns the pointer that it holds, with its very bytes; `None` if it is none.
    ///
    /// # Errors
    /// If the blob cannot be read.
    pub fn pointer_of(&self, blob: BlobId) -> Result<Option<(Vec<u8>, Pointer)>, repo::Error> {
        pointer_of(&self.repo, blob)
    }

    /// Returns which remotes data may go to, recording those of the settings at the first use.
    ///
    /// A folder counts at the first use only if it is a lake already: settings that somebody else
    /// wrote must not make git-lake fill a folder of this machine. A bucket counts without being
    /// asked: whether anything may be written there is up to its server, and to who gets keys.
    ///
    /// # Errors
    /// If the record cannot be read or written.
    pub fn accepted(&self) -> Result<Accepted, PathError> {
        let mut accepted = Accepted::load(self.store.root())?;
        if accepted.is_first_use() && !self.config.remotes.is_empty() {
            let is_lake = |url: &LakeUrl| {
                url.scheme() == Scheme::S3 || self.lakes.at(url).declaration().is_ok()
            };
            let urls = self.config.remotes.iter().map(|remote| &remote.url);
            let lakes: BTreeSet<LakeUrl> = urls.filter(|url| is_lake(url)).cloned().collect();
            accepted.add(&lakes)?;
        }
        Ok(accepted)
    }

    /// Returns true if whoever has the pointer and the settings asks there, too, and may get there: in
    /// remotes that are not of this machine alone, and in buckets that the pointer names.
    ///
    /// A folder that no settings name may be a private one, and a remote that only git's configuration of
    /// this clone has is not known to others.
    pub fn is_for_others(&self, pointer: &Pointer, source: &SourceUrl) -> bool {
        match self.config.remote_at(&source.lake) {
            Some(remote) => !remote.local,
            None => source.lake.scheme() == Scheme::S3 && pointer.sources().contains(source),
        }
    }

    /// Returns the tracked files that git holds as content although a pointer belongs there; an empty
    /// file needs none.
    ///
    /// # Errors
    /// If attributes or blobs cannot be read.
    pub fn unconverted(&self, index: &Index) -> Result<Vec<RepoPath>, repo::Error> {
        let known = BlobMap::at(self.store.root(), self.repo.hash_len()).known();
        let mut lake_paths = LakePaths::of_work_tree(&self.repo, index)?;
        let mut found = Vec::new();
        for entry in index.entries().filter(|entry| entry.stage == 0 && entry.kind.is_file()) {
            if known.get(entry.id.as_bytes()).is_some() || !lake_paths.contains_bytes(entry.path)? {
                continue;
            }
            let is_content = match self.repo.read_blob(entry.id, MAX_POINTER_BYTES as u64)? {
                Blob::Content(bytes) => !bytes.is_empty() && Parsed::of(&bytes) == Parsed::Content,
                Blob::TooLong(_) => true,
                Blob::Missing => false,
            };
            found.extend(RepoPath::parse(entry.path).filter(|_| is_content));
        }
        Ok(found)
    }

    /// Adds the remotes of `origin`'s default branch to those that are read from, so that an old
    /// commit finds a lake that has moved.
    pub fn consult_origin(&mut self) {
        let path = RepoPath::parse(file::FILE_NAME.as_bytes()).expect("a path");
        let blob = self.repo.blob_at("refs/remotes/origin/HEAD", &path).ok().flatten();
        let Some(settings) = blob.and_then(|blob| parse_blob(&self.repo, blob).ok()) else {
            return;
        };
        self.hosts.learn(&settings.remotes);
        for remote in settings.remotes {
            let known = self.config.remotes.iter().chain(&self.config.fallbacks);
            if known.into_iter().all(|other| other.url != remote.url) {
                self.config.fallbacks.push(remote);
            }
        }
    }
}

/// Reads a blob of any repository and returns the pointer that it holds, with its very bytes.
///
/// # Errors
/// If the blob cannot be read.
pub fn pointer_of(repo: &Repo, blob: BlobId) -> Result<Option<(Vec<u8>, Pointer)>, repo::Error> {
    let bytes = repo.read_blob(blob, MAX_POINTER_BYTES as u64)?.into_content();
    Ok(bytes.and_then(|bytes| {
        let pointer = Parsed::of(&bytes).pointer()?;
        Some((bytes, pointer))
    }))
}

fn parse_blob(repo: &Repo, blob: BlobId) -> Result<Settings, SettingsError> {
    let unreadable = || SettingsError::Syntax("git does not have it".to_owned());
    let read = repo.read_blob(blob, file::MAX_FILE_BYTES).ok();
    let bytes = read.and_then(repo::Blob::into_content).ok_or_else(unreadable)?;
    Settings::parse(&String::from_utf8_lossy(&bytes), Unknown::PassOver)
}

/// Reads the settings of a commit or tree, as far as they make sense; none if it has no settings.
///
/// # Errors
/// If `treeish` names nothing, or the settings are no TOML.
pub fn settings_at(repo: &Repo, treeish: &str) -> Result<Settings, Error> {
    let path = RepoPath::parse(file::FILE_NAME.as_bytes()).expect("a path");
    match repo.blob_at(treeish, &path)? {
        Some(blob) => Ok(parse_blob(repo, blob)?),
        None => Ok(Settings::default()),
    }
}

/// Reads the text of the settings in the work tree, where there is one.
///
/// # Errors
/// If the file is there and cannot be read.
pub fn settings_text(repo: &Repo) -> Result<Option<String>, PathError> {
    let Some(work_tree) = repo.work_tree() else {
        return Ok(None);
    };
    let bytes = read_small_regular(&work_tree.join(file::FILE_NAME), file::MAX_FILE_BYTES)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn read_strictly(repo: &Repo) -> Result<Settings, Error> {
    if let Some(text) = settings_text(repo)? {
        return Ok(Settings::parse(&text, Unknown::Refuse)?);
    }
    let path = RepoPath::parse(file::FILE_NAME.as_bytes()).expect("a path");
    let index = repo.index().map_err(repo::Error::from)?;
    let blob = match index.entry_at(path.as_bytes()) {
        Some(entry) => Some(entry.id),
        None => repo.blob_at("HEAD", &path)?,
    };
    let Some(blob) = blob else {
        return Ok(Settings::default());
    };
    let bytes = repo.read_blob(blob, file::MAX_FILE_BYTES)?.into_content().unwrap_or_default();
    Ok(Settings::parse(&String::from_utf8_lossy(&bytes), Unknown::Refuse)?)
}

/// Reads the settings that make most sense: work tree, index (ours, theirs, base on a conflict),
/// what is being checked out, `HEAD`; the first that is TOML.
fn read_leniently(repo: &Repo, treeish: Option<&str>, warnings: &mut Vec<String>) -> Settings {
    match settings_text(repo) {
        Ok(None) => {}
        Ok(Some(text)) => match Settings::parse(&text, Unknown::PassOver) {
            Ok(settings) => return settings,
            Err(error) => warnings.push(error.to_string()),
        },
        Err(error) => warnings.push(error.to_string()),
    }
    let path = RepoPath::parse(file::FILE_NAME.as_bytes()).expect("a path");
    let mut blobs = Vec::new();
    if let Ok(index) = repo.index() {
        let mut entries: Vec<_> =
            index.at(path.as_bytes()).map(|entry| (entry.stage, entry.id)).collect();
        entries.sort_by_key(|(stage, _)| [3, 2, 0, 1].get(usize::from(*stage)).copied());
        blobs.extend(entries.into_iter().map(|(_, id)| id));
    }
    for tree in treeish.into_iter().chain(["HEAD"]) {
        blobs.extend(repo.blob_at(tree, &path).ok().flatten());
    }
    blobs.into_iter().find_map(|blob| parse_blob(repo, blob).ok()).unwrap_or_default()
}
