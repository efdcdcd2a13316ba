//! Where a dataset is written: a folder that appears whole or not at all, or the input itself.
//!
//! A new folder grows beside its name and gets it with one rename, when all of it is on disk. In place,
//! what is new is staged in a hidden folder beside the items, and changes come in batches: synced,
//! named, synced, and only then what they supersede is removed. A kill leaves for each item the old or
//! the new, or both for a moment, which the next run takes for what they are
//! ([`super::State::Both`]).
//!
//! Staging folders are locked by their process; one that is not locked was left by a kill, and the next
//! run with the same output removes it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{TempDir, TempPath};

use super::{Error, Place, Stamp};
use crate::fs::{IoContext as _, PathError, create_folders, if_exists, sync, try_lock};

const LOCK: &str = "lock";
const NEW: &str = "new";

/// Where a dataset is written.
pub struct Output {
    target: PathBuf,
    kind: Kind,
}

enum Kind {
    Fresh {
        staging: Staging,
        /// All files that were put there.
        files: Vec<PathBuf>,
        /// Folders above it that were made for it.
        made: Made,
    },
    InPlace {
        shared: Option<Staging>,
        samples: Option<Staging>,
    },
}

/// A hidden folder that is removed with this value.
struct Staging {
    dir: TempDir,
    /// Held as long as the folder is in use.
    _lock: File,
}

/// Folders that are removed with this value if they are empty, the last first.
struct Made(Vec<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            // One that is used by now stays.
            drop(std::fs::remove_dir(folder));
        }
    }
}

/// What becomes of one item in place.
#[derive(Debug)]
pub struct Change {
    /// The item's number, for whoever hears of failures.
    pub item: usize,
    /// Where it lies.
    pub place: Place,
    /// The file that was staged for it, if one was needed.
    pub staged: Option<OsString>,
    /// That file replaces one of the same name; else nothing may be there.
    pub replaces: bool,
    /// The file that is not needed any more.
    pub superseded: Option<OsString>,
    /// What the superseded file was when its content was taken.
    pub expected: Option<Stamp>,
}

impl Staging {
    /// Makes a staging folder in `parent`, and removes those that a kill left there.
    fn make(parent: &Path, prefix: &OsStr) -> Result<Self, PathError> {
        sweep(parent, prefix);
        loop {
            let dir = tempfile::Builder::new().prefix(prefix).tempdir_in(parent).context(parent)?;
            let path = dir.path().join(LOCK);
            let lock = File::create_new(&path).context(&path)?;
            // Where there are no locks, nothing is ever swept.
            if !try_lock(&lock, &path).unwrap_or(true) {
                continue;
            }
            match std::fs::create_dir(dir.path().join(NEW)) {
                Ok(()) => return Ok(Self { dir, _lock: lock }),
                // Somebody swept it before it was locked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).context(dir.path()),
            }
        }
    }

    fn new_folder(&self) -> PathBuf {
        self.dir.path().join(NEW)
    }
}

/// Removes staging folders whose process is gone. What cannot be removed only takes room.
fn sweep(parent: &Path, prefix: &OsStr) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
            continue;
        }
        let path = entry.path().join(LOCK);
        let Ok(lock) = File::open(&path) else { continue };
        if try_lock(&lock, &path).unwrap_or(false) {
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
}

impl Output {
    /// Prepares to write to `target`, in place if that is the folder `input`.
    ///
    /// # Errors
    /// [`Error::Exists`] if it is anything but an empty folder; and if its parent cannot be written.
    pub fn open(input: &Path, target: &Path) -> Result<Self, Error> {
        let real = |path: &Path| std::fs::canonicalize(path);
        let existing = if_exists(std::fs::symlink_metadata(target)).context(target)?;
        if existing.is_some() && real(target).context(target)? == real(input).context(input)? {
            let kind = Kind::InPlace { shared: None, samples: None };
            return Ok(Self { target: real(target).context(target)?, kind });
        }
        if let Some(existing) = existing {
            let is_empty =
                existing.is_dir() && std::fs::read_dir(target).context(target)?.next().is_none();
            if !is_empty {
                return Err(Error::Exists(target.to_owned()));
            }
        }
        let name = target.file_name().ok_or_else(|| Error::Exists(target.to_owned()))?;
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let above = parent.ancestors().take_while(|above| !above.exists());
        let mut made: Vec<PathBuf> = above.map(Path::to_owned).collect();
        made.reverse();
        let made = Made(made);
        create_folders(parent)?;
        let mut prefix = OsString::from(".");
        prefix.push(name);
        prefix.push(".lake-");
        let staging = Staging::make(parent, &prefix)?;
        let data = staging.new_folder().join(Place::Sample(0).folder());
        std::fs::create_dir(&data).context(&data)?;
        let kind = Kind::Fresh { staging, files: Vec::new(), made };
        Ok(Self { target: target.to_owned(), kind })
    }

    /// Returns true if the input itself is changed.
    pub fn is_in_place(&self) -> bool {
        matches!(self.kind, Kind::InPlace { .. })
    }

    /// Returns where a new file of the dataset is to be made.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn stage(&mut self, place: Place, name: &OsStr) -> Result<PathBuf, PathError> {
        match &mut self.kind {
            Kind::Fresh { staging, files, .. } => {
                let path = place.path_in(&staging.new_folder(), name);
                files.push(path.clone());
                Ok(path)
            }
            Kind::InPlace { shared, samples } => {
                let staging = match place {
                    Place::Shared => shared,
                    Place::Sample(_) => samples,
                };
                if staging.is_none() {
                    let folder = self.target.join(place.folder());
                    *staging = Some(Staging::make(&folder, OsStr::new(".lake-"))?);
                }
                let staging = staging.as_ref().expect("just made");
                Ok(staging.new_folder().join(name))
            }
        }
    }

    /// Forgets a staged file that was not made.
    pub fn unstage(&mut self, path: &Path) {
        if let Kind::Fresh { files, .. } = &mut self.kind
            && let Some(at) = files.iter().rposition(|file| file == path)
        {
            files.remove(at);
        }
    }

    /// Carries out changes in place, durable on return, and returns which items could not be changed,
    /// and why; those are as they were.
    ///
    /// # Errors
    /// If the disk fails; each item is the old or the new then.
    pub fn change(&mut self, changes: Vec<Change>) -> Result<Vec<(usize, String)>, PathError> {
        let (mut staged, mut failures) = (Vec::new(), Vec::new());
        for change in &changes {
            if let Some(name) = &change.staged {
                staged.push(self.stage(change.place, name)?);
            }
        }
        sync::batch(&staged)?;
        let mut done = Vec::new();
        for change in changes {
            match self.name(&change) {
                Ok(()) => done.push(change),
                Err(why) => failures.push((change.item, why)),
            }
        }
        self.sync_folders()?;
        for change in done {
            if let Err(why) = self.remove_superseded(&change) {
                failures.push((change.item, why));
            }
        }
        self.sync_folders()?;
        Ok(failures)
    }

    /// Gives what was staged its name.
    fn name(&mut self, change: &Change) -> Result<(), String> {
        self.check_unchanged(change)?;
        let Some(name) = &change.staged else { return Ok(()) };
        let staged = self.stage(change.place, name).map_err(|error| error.to_string())?;
        let target = change.place.path_in(&self.target, name);
        let staged = TempPath::try_from_path(staged).map_err(|error| error.to_string())?;
        let named = match change.replaces {
            true => staged.persist(&target),
            false => staged.persist_noclobber(&target),
        };
        named.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => "it was changed meanwhile".to_owned(),
            _ => format!("Could not write `{}`: {}", target.display(), error.error),
        })
    }

    fn check_unchanged(&self, change: &Change) -> Result<(), String> {
        let (Some(stamp), Some(name)) = (change.expected, &change.superseded) else {
            return Ok(());
        };
        match stamp.is_still(&change.place.path_in(&self.target, name)) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err("it was changed meanwhile".to_owned()),
        }
    }

    fn remove_superseded(&self, change: &Change) -> Result<(), String> {
        let Some(name) = &change.superseded else { return Ok(()) };
        let path = change.place.path_in(&self.target, name);
        let removed = self.check_unchanged(change).and_then(|()| {
            std::fs::remove_file(&path)
                .map_err(|error| format!("Could not remove `{}`: {error}", path.display()))
        });
        if let (Err(_), Some(new), false) = (&removed, &change.staged, change.replaces) {
            // The old one stays, so the new one must go.
            drop(std::fs::remove_file(change.place.path_in(&self.target, new)));
        }
        removed
    }

    fn sync_folders(&self) -> Result<(), PathError> {
        sync::folder(&self.target)?;
        sync::folder(&self.target.join(Place::Sample(0).folder()))
    }

    /// Ends: a new folder gets its name, with everything in it on disk.
    ///
    /// # Errors
    /// [`Error::Exists`] if something appeared at its name; nothing is left behind then.
    pub fn finish(self) -> Result<(), Error> {
        let Kind::Fresh { staging, files, mut made } = self.kind else { return Ok(()) };
        let new = staging.new_folder();
        let links = |path: &PathBuf| path.is_symlink();
        let files: Vec<PathBuf> = files.into_iter().filter(|path| !links(path)).collect();
        sync::batch(&files)?;
        sync::folder(&new.join(Place::Sample(0).folder()))?;
        sync::folder(&new)?;
        #[expect(clippy::disallowed_methods, reason = "a whole folder gets its name")]
        let renamed = std::fs::rename(&new, &self.target);
        match renamed {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty
                        | io::ErrorKind::AlreadyExists
                        | io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(Error::Exists(self.target));
            }
            Err(error) => return Err(error).context(&self.target)?,
        }
        let made = std::mem::take(&mut made.0);
        let parents = self.target.parent().map(Path::to_owned).into_iter();
        for parent in
            made.iter().filter_map(|made| made.parent().map(Path::to_owned)).chain(parents)
        {
            let parent = if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent };
            sync::folder(&parent)?;
        }
        Ok(())
    }
}
