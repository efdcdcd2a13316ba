//! What a power cut may leave of a folder, for tests.
//!
//! While a [`Witness`] lives, [`super::sync`] tells it what was made durable, as far as that happens in
//! the same thread. Everything else may be lost: bytes of a file from any one on, or a page of zeros in
//! their place; names that came or went, each by itself.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};

use super::platform;

/// Everything below a folder, by relative path; `None` for a folder.
pub(crate) type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;
/// The entries of folders, with the inodes that they name.
type Names = BTreeMap<(PathBuf, PathBuf), u64>;

thread_local!(static DISK: RefCell<Option<Disk>> = const { RefCell::new(None) });

/// What is durable below a folder.
struct Disk {
    root: PathBuf,
    names: Names,
    contents: BTreeMap<u64, Vec<u8>>,
    /// What a cut before each step since the last question could have left.
    cuts: BTreeSet<Tree>,
    /// Open, so that no new file gets the inode of one that is known.
    held: Vec<File>,
}

/// Watches a folder as long as it lives; one at a time in a thread.
pub(crate) struct Witness;

impl Witness {
    /// Begins with everything below `root` durable.
    pub(crate) fn of(root: &Path) -> Self {
        let mut disk = Disk {
            root: root.to_owned(),
            names: Names::new(),
            contents: BTreeMap::new(),
            cuts: BTreeSet::new(),
            held: Vec::new(),
        };
        disk.names = disk.names_now();
        for path in disk.paths_now() {
            disk.note_file(&path);
        }
        DISK.set(Some(disk));
        Self
    }

    /// Returns all that a power cut could have left at any moment since this was asked last.
    pub(crate) fn cuts(&self) -> BTreeSet<Tree> {
        DISK.with_borrow_mut(|disk| {
            let disk = disk.as_mut().expect("lives as long as the witness");
            disk.look();
            std::mem::take(&mut disk.cuts)
        })
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        DISK.set(None);
    }
}

/// Hears that the bytes of a file are durable.
pub(super) fn file_is_synced(path: &Path) {
    DISK.with_borrow_mut(|disk| {
        if let Some(disk) = disk.as_mut().filter(|disk| path.starts_with(&disk.root)) {
            disk.look();
            disk.note_file(path);
        }
    });
}

/// Hears that the names in a folder are durable.
pub(super) fn folder_is_synced(folder: &Path) {
    DISK.with_borrow_mut(|disk| {
        if let Some(disk) = disk.as_mut().filter(|disk| folder.starts_with(&disk.root)) {
            disk.look();
            let now = disk.names_now();
            disk.names.retain(|(above, _), _| above != folder);
            disk.names.extend(now.into_iter().filter(|((above, _), _)| above == folder));
        }
    });
}

/// Makes a folder of its own that holds a tree.
pub(crate) fn plant(tree: &Tree) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (path, content) in tree {
        let path = dir.path().join(path);
        match content {
            None => std::fs::create_dir(&path).expect("creates"),
            #[expect(clippy::disallowed_methods, reason = "nobody else sees it")]
            Some(bytes) => std::fs::write(&path, bytes).expect("writes"),
        }
    }
    dir
}

impl Disk {
    fn note_file(&mut self, path: &Path) {
        let Ok(file) = File::open(path) else { return };
        let metadata = file.metadata().expect("open");
        if metadata.is_file() {
            self.contents.insert(platform::inode(&metadata), std::fs::read(path).expect("reads"));
            self.held.push(file);
        }
    }

    fn paths_now(&self) -> Vec<PathBuf> {
        self.names_now().into_keys().map(|(folder, name)| folder.join(name)).collect()
    }

    fn names_now(&self) -> Names {
        let (mut names, mut folders) = (Names::new(), vec![self.root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("there").flatten() {
                let metadata = entry.metadata().expect("there");
                if metadata.is_dir() {
                    folders.push(entry.path());
                }
                let name = entry.file_name().into();
                names.insert((folder.clone(), name), platform::inode(&metadata));
            }
        }
        names
    }

    /// Adds what a cut could leave now.
    fn look(&mut self) {
        let now = self.names_now();
        let known: BTreeMap<u64, (Metadata, PathBuf)> = now
            .iter()
            .map(|((folder, name), inode)| {
                let path = folder.join(name);
                (*inode, (path.metadata().expect("there"), path))
            })
            .collect();
        let changed: BTreeSet<_> = now
            .iter()
            .chain(&self.names)
            .map(|(at, _)| at)
            .filter(|at| now.get(at) != self.names.get(at))
            .collect();
        let mut choices = vec![self.names.clone(), now.clone()];
        for at in changed {
            for (base, other) in [(&self.names, &now), (&now, &self.names)] {
                let mut names = base.clone();
                match other.get(at) {
                    Some(inode) => drop(names.insert(at.clone(), *inode)),
                    None => drop(names.remove(at)),
                }
                choices.push(names);
            }
        }
        // Bytes as they are; of files that are gone, as they were.
        let mut whole = self.contents.clone();
        for (inode, (metadata, path)) in &known {
            if metadata.is_file() {
                whole.insert(*inode, std::fs::read(path).expect("reads"));
            }
        }
        let mut found = BTreeSet::new();
        for names in &choices {
            found.insert(self.tree(names, &self.contents));
            found.insert(self.tree(names, &whole));
        }
        for (inode, bytes) in &whole {
            let durable = self.contents.get(inode).map_or(0, Vec::len);
            for end in durable..bytes.len() {
                let mut contents = whole.clone();
                contents.insert(*inode, bytes[..end].to_vec());
                found.insert(self.tree(&now, &contents));
                // A page that was not written, though later ones were.
                let mut torn = bytes.clone();
                torn[durable..=end].fill(0);
                contents.insert(*inode, torn);
                found.insert(self.tree(&now, &contents));
            }
        }
        self.cuts.extend(found);
    }

    /// Returns what is found after a cut that left these names and bytes.
    fn tree(&self, names: &Names, contents: &BTreeMap<u64, Vec<u8>>) -> Tree {
        let is_folder =
            |path: &PathBuf| path.is_dir() || names.keys().any(|(above, _)| above == path);
        let (mut tree, mut folders) = (Tree::new(), vec![self.root.clone()]);
        while let Some(folder) = folders.pop() {
            for ((_, name), inode) in names.iter().filter(|((above, _), _)| *above == folder) {
                let path = folder.join(name);
                let content = if is_folder(&path) {
                    folders.push(path.clone());
                    None
                } else {
                    Some(contents.get(inode).cloned().unwrap_or_default())
                };
                let relative = path.strip_prefix(&self.root).expect("below the root");
                tree.insert(relative.to_owned(), content);
            }
        }
        tree
    }
}
