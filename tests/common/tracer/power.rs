//! What a power cut may take away of what git-lake wrote.
//!
//! Names that came or went since their folder was synced may be as they were before, each by itself, and bytes
//! of files that were written since the file was synced may be missing or zero. The mode of a file, with which
//! the store says that it is durable, is never taken back, since that is the worst that can be.
//!
//! Work trees and git's index are left out. git syncs neither, and what it says of them after a power cut
//! is what the file system kept.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::Step;
use crate::common::random::Random;

/// What is durable of all that was written below a folder.
pub(crate) struct Disk {
    root: PathBuf,
    /// Other names of files that are replaced or removed, which keep them.
    limbo: tempfile::TempDir,
    kept: u64,
    begun: Vec<(Step, Option<PathBuf>)>,
    /// What happened to names and is not durable, in order.
    names: Vec<Name>,
    /// Inodes with bytes that are not durable, and so many bytes that are.
    bytes: BTreeMap<u64, u64>,
}

enum Name {
    Came(PathBuf),
    Went(PathBuf, PathBuf),
    Moved { from: PathBuf, to: PathBuf, old: Option<PathBuf> },
}

impl Name {
    fn path(&self) -> &Path {
        match self {
            Self::Came(path) | Self::Went(path, _) | Self::Moved { to: path, .. } => path,
        }
    }
}

impl Disk {
    /// All that is there is durable.
    pub(super) fn new(root: &Path) -> Self {
        let limbo = tempfile::tempdir().unwrap();
        let (root, begun, names, bytes) =
            (root.to_owned(), Vec::new(), Vec::new(), BTreeMap::new());
        Self { root, limbo, kept: 0, begun, names, bytes }
    }

    /// Hears of a step that is about to be done.
    pub(super) fn before(&mut self, step: &Step) {
        if step.path().is_some_and(is_gits) {
            return;
        }
        let old = match step {
            // A name that is there already says no more than that.
            Step::Create(path) | Step::MakeFolder(path) if is_there(path) => Some(path.clone()),
            Step::Rename(_, path) | Step::Remove(path) => self.keep(path),
            _ => None,
        };
        if let Step::Write(path) = step
            && let Ok(metadata) = path.metadata()
        {
            self.bytes.entry(metadata.ino()).or_insert(metadata.len());
        }
        self.begun.push((step.clone(), old));
    }

    /// Hears of a step that was done.
    pub(super) fn after(&mut self, step: &Step) {
        let Some(at) = self.begun.iter().position(|(begun, _)| begun == step) else { return };
        let (_, old) = self.begun.swap_remove(at);
        match step {
            Step::Create(path) | Step::MakeFolder(path) | Step::Link(_, path) if old.is_none() => {
                if let Ok(metadata) = path.metadata()
                    && metadata.is_file()
                    && !matches!(step, Step::Link(..))
                {
                    self.bytes.insert(metadata.ino(), 0);
                }
                self.names.push(Name::Came(path.clone()));
            }
            Step::Rename(from, to) => {
                self.names.push(Name::Moved { from: from.clone(), to: to.clone(), old });
            }
            Step::Remove(path) => {
                self.names.extend(old.map(|old| Name::Went(path.clone(), old)));
            }
            Step::Sync(path) => self.synced(path),
            Step::SyncAll => {
                self.names.clear();
                self.bytes.clear();
            }
            _ => {}
        }
    }

    fn synced(&mut self, path: &Path) {
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                self.names.retain(|name| name.path().parent() != Some(path));
            }
            Ok(metadata) => drop(self.bytes.remove(&metadata.ino())),
            Err(_) => {}
        }
    }

    fn keep(&mut self, path: &Path) -> Option<PathBuf> {
        self.kept += 1;
        let kept = self.limbo.path().join(self.kept.to_string());
        let is_file = path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
        (is_file && fs::hard_link(path, &kept).is_ok()).then_some(kept)
    }

    /// Cuts the power: takes away some of what is not durable, or all of it.
    pub(crate) fn cut(self, random: &mut Random) {
        let (names_lost, bytes_lost) = match random.below(4) {
            0 => (100, 100),
            1 => (0, 100),
            2 => (100, 0),
            _ => (50, 50),
        };
        for name in self.names.iter().rev() {
            if random.below(100) < names_lost {
                undo(name);
            }
        }
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if !is_gits(&entry.path())
                    && let Some(durable) = self.bytes.get(&metadata.ino())
                    && metadata.is_file()
                    && random.below(100) < bytes_lost
                {
                    lose(&entry.path(), &metadata, *durable, random);
                }
            }
        }
    }
}

/// Returns true for what lies in a work tree or a git folder, but for git-lake's own.
fn is_gits(path: &Path) -> bool {
    path.ancestors().any(|above| above.join(".git").exists())
        && !path.components().any(|part| part.as_os_str() == "lake")
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// What is in the way, since others wrote it, stays.
fn undo(name: &Name) {
    match name {
        Name::Came(path) if path.is_dir() => drop(fs::remove_dir_all(path)),
        Name::Came(path) => drop(fs::remove_file(path)),
        Name::Went(path, old) => drop(fs::hard_link(old, path)),
        Name::Moved { from, to, old } => {
            if !is_there(from) {
                drop(fs::rename(to, from));
            }
            if let Some(old) = old.as_ref().filter(|_| !is_there(to)) {
                drop(fs::hard_link(old, to));
            }
        }
    }
}

/// Takes bytes away behind those that are durable; the length may stay.
fn lose(path: &Path, metadata: &Metadata, durable: u64, random: &mut Random) {
    let len = metadata.len();
    let from = if durable > len { 0 } else { durable + random.below(len - durable + 1) };
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    if random.below(2) == 0 {
        file.set_len(from).unwrap();
    } else {
        let zeros = vec![0; usize::try_from(len - from).unwrap()];
        file.write_all_at(&zeros, from).unwrap();
    }
    fs::set_permissions(path, metadata.permissions()).unwrap();
}
