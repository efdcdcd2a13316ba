//! Which items a person means by pathspecs, keys and a slice of samples.
//!
//! Keys and slices see the index as pipelime sees a folder: a dataset is a folder that has a folder
//! `data` with at least one file named `<id>_<key>`. Which samples there are is told by all files of
//! `data`, whether they are items or not; each dataset is sliced by itself.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Item;
use crate::pointer::Pointer;
use crate::repo;
use crate::repo::attributes::LakePaths;
use crate::repo::index::{Entry, EntryKind, Index};
use crate::repo_path::RepoPath;
use crate::underfolder::{DATA_FOLDER, SampleItem, Slice, shared_key};
use crate::workspace::Workspace;

/// Most keys that a message names.
const SHOWN_KEYS: usize = 10;

/// What was asked for. Empty means everything.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Keys of items; empty for all.
    pub keys: Vec<String>,
    /// Samples of each dataset.
    pub slice: Slice,
    /// Paths of the index, as git understood the pathspecs; `None` for all.
    pub paths: Option<HashSet<Vec<u8>>>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Selected {
    /// The items, in the order of the index.
    pub items: Vec<Item>,
    /// What is meant and cannot be treated, and why.
    pub refused: Vec<(RepoPath, Refusal)>,
}

/// Why a path that is meant cannot be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// A merge is not resolved.
    #[error("a merge left a conflict there: resolve it and `git add` the file first")]
    Conflict,
    /// It was only announced.
    #[error("it was only announced by `git add --intent-to-add`: `git add` it first")]
    IntentToAdd,
}

/// Says why nothing could be selected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The index hides files.
    #[error(
        "The index holds the folder `{folder}` as a whole, without its files: \
         `git sparse-checkout reapply --no-sparse-index` lists them"
    )]
    SparseIndex {
        /// A folder that it has no entries of.
        folder: String,
    },
    /// There is nothing that keys or slices could mean.
    #[error(
        "There is no dataset among these files, so no key and no slice means anything: \
         a folder `data` with files named `<id>_<key>.<ext>` makes one"
    )]
    NoDataset,
    /// A key that no item has.
    #[error("No item has the key `{key}`; there are {}", known_keys(.known))]
    UnknownKey {
        /// As it was typed.
        key: String,
        /// Those that items have.
        known: BTreeSet<String>,
    },
    /// The repository could not be read.
    #[error(transparent)]
    Repo(#[from] repo::Error),
}

fn known_keys(known: &BTreeSet<String>) -> String {
    let mut shown: Vec<String> =
        known.iter().take(SHOWN_KEYS).map(|key| format!("`{key}`")).collect();
    if known.len() > SHOWN_KEYS {
        shown.push(format!("{} more", known.len() - SHOWN_KEYS));
    }
    if shown.is_empty() { "none at all".to_owned() } else { shown.join(", ") }
}

impl Selection {
    /// Returns true if everything is meant.
    pub fn is_everything(&self) -> bool {
        self.paths.is_none() && !self.is_of_datasets()
    }

    /// Returns true if keys or a slice were given.
    pub fn is_of_datasets(&self) -> bool {
        !self.keys.is_empty() || !self.slice.is_all()
    }

    fn means_path(&self, path: &[u8]) -> bool {
        self.paths.as_ref().is_none_or(|paths| paths.contains(path))
    }
}

/// Finds the items of the index that are meant.
///
/// # Errors
/// If nothing can be meant by the keys or the slice, or the index does not list its files.
pub fn select(site: &Workspace, index: &Index, selection: &Selection) -> Result<Selected, Error> {
    refuse_sparse(index)?;
    let datasets = match selection.is_of_datasets() {
        true => Some(Datasets::of(index, selection)?),
        false => None,
    };
    let is_meant = |path: &[u8]| {
        selection.means_path(path)
            && datasets.as_ref().is_none_or(|datasets| datasets.mean(path, selection))
    };
    let mut lake_paths = LakePaths::of_work_tree(&site.repo, index)?;
    let mut selected = Selected::default();
    let mut last_conflict: Option<&[u8]> = None;
    for entry in index.entries().filter(|entry| entry.kind.is_file() && is_meant(entry.path)) {
        if last_conflict == Some(entry.path) || !lake_paths.contains_bytes(entry.path)? {
            continue;
        }
        let Some(path) = RepoPath::parse(entry.path) else { continue };
        match read(site, &entry)? {
            Found::Item(text, pointer) => {
                selected.items.push(Item::new(path, entry.id, text, pointer));
            }
            Found::Refused(refusal) => {
                last_conflict = Some(entry.path);
                selected.refused.push((path, refusal));
            }
            Found::Nothing => {}
        }
    }
    Ok(selected)
}

/// Refuses an index that holds folders as a whole: what is in them would be passed over.
///
/// # Errors
/// [`Error::SparseIndex`].
pub fn refuse_sparse(index: &Index) -> Result<(), Error> {
    match index.entries().find(|entry| entry.kind == EntryKind::SparseFolder) {
        Some(folder) => {
            let folder = String::from_utf8_lossy(folder.path).into_owned();
            Err(Error::SparseIndex { folder })
        }
        None => Ok(()),
    }
}

enum Found {
    Item(Vec<u8>, Pointer),
    Refused(Refusal),
    Nothing,
}

fn read(site: &Workspace, entry: &Entry<'_>) -> Result<Found, repo::Error> {
    if entry.stage != 0 {
        return Ok(Found::Refused(Refusal::Conflict));
    }
    if entry.is_intent_to_add {
        return Ok(Found::Refused(Refusal::IntentToAdd));
    }
    Ok(match site.pointer_of(entry.id)? {
        Some((text, pointer)) => Found::Item(text, pointer),
        // Content that git holds itself is what `status` and the hooks tell about.
        None => Found::Nothing,
    })
}

/// The datasets of an index, with how many samples each has.
struct Datasets {
    counts: HashMap<Vec<u8>, u64>,
    /// Those with a selected sample, whose shared items are meant, too.
    with_selected: HashSet<Vec<u8>>,
}

/// Where a file stands in a dataset.
enum Place<'a> {
    Sample(&'a [u8], SampleItem<'a>),
    Shared(&'a [u8], &'a [u8]),
}

impl Place<'_> {
    fn key(&self) -> &[u8] {
        match self {
            Self::Sample(_, item) => item.key,
            Self::Shared(_, key) => key,
        }
    }
}

impl Datasets {
    fn of(index: &Index, selection: &Selection) -> Result<Self, Error> {
        let files = || index.entries().filter(|entry| entry.kind.is_file());
        let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
        for entry in files() {
            if let Some((folder, item)) = sample_item(entry.path) {
                let count = counts.entry(folder.to_vec()).or_default();
                *count = (*count).max(item.id.saturating_add(1));
            }
        }
        let mut found = Self { counts, with_selected: HashSet::new() };
        let mut known = BTreeSet::new();
        for entry in files().filter(|entry| selection.means_path(entry.path)) {
            let Some(place) = found.place(entry.path) else { continue };
            known.insert(String::from_utf8_lossy(place.key()).into_owned());
        }
        let with_selected =
            found.counts.iter().filter(|(_, count)| selection.slice.means_any(**count));
        found.with_selected = with_selected.map(|(folder, _)| folder.clone()).collect();
        if known.is_empty() {
            return Err(Error::NoDataset);
        }
        match selection.keys.iter().find(|key| !known.contains(*key)) {
            Some(key) => Err(Error::UnknownKey { key: key.clone(), known }),
            None => Ok(found),
        }
    }

    /// Says where a file stands, if it stands in a dataset.
    fn place<'a>(&self, path: &'a [u8]) -> Option<Place<'a>> {
        if let Some((folder, item)) = sample_item(path) {
            return Some(Place::Sample(folder, item));
        }
        let (folder, name) = split(path);
        let key = shared_key(name)?;
        self.counts.contains_key(folder).then_some(Place::Shared(folder, key))
    }

    fn mean(&self, path: &[u8], selection: &Selection) -> bool {
        let Some(place) = self.place(path) else { return false };
        let has_key = |key: &String| key.as_bytes() == place.key();
        if !selection.keys.is_empty() && !selection.keys.iter().any(has_key) {
            return false;
        }
        match place {
            Place::Sample(folder, item) => selection.slice.contains(item.id, self.counts[folder]),
            Place::Shared(folder, _) => self.with_selected.contains(folder),
        }
    }
}

/// Returns the dataset's folder and the item, if the path is one of a sample.
fn sample_item(path: &[u8]) -> Option<(&[u8], SampleItem<'_>)> {
    let (above, name) = split(path);
    let (dataset, folder) = split(above);
    let item = SampleItem::parse(name).filter(|_| folder == DATA_FOLDER)?;
    Some((dataset, item))
}

/// Splits a path into the folder, empty at the top, and the last component.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&[], path),
    }
}
