//! Reading a dataset's folder: which files are its items.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::remote_file::{self, RemoteFile};
use super::{Dataset, Error, Item, Place, State, Tracked, without_suffix};
use crate::digest::hash_reader;
use crate::fs::{IoContext as _, PathError, Stamp, if_exists, read_small};
use crate::repo_path::os_path_to_bytes;
use crate::transfer::to_file::{is_named, likely_hashes};
use crate::underfolder::{SampleItem, shared_key};

/// Files that claim to be one item, by where it is and what its key is.
type Claims = BTreeMap<(Place, Box<[u8]>), Vec<Found>>;

/// A file that was found, by its name.
pub(super) type Found = (OsString, Standing);

/// What stands under a name.
pub(super) enum Standing {
    /// A file of the dataset's folder.
    File(Stamp),
    /// A pointer of a commit, with its text.
    Pointer(Box<Tracked>, Vec<u8>),
}

impl Dataset {
    /// Reads the names of all files, and the `.remote` files.
    ///
    /// # Errors
    /// If there is no folder `data`, or a `.remote` file is none; all of those are named.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let data = folder.join(Place::Sample(0).folder());
        if !if_exists(std::fs::metadata(&data)).context(&data)?.is_some_and(|data| data.is_dir()) {
            return Err(Error::NoData(folder.to_owned()));
        }
        Self::assemble(folder, files_of(&data)?, files_of(folder)?)
    }

    /// Decides what the files of a dataset are: those of `data`, and those beside it.
    pub(super) fn assemble(
        folder: &Path,
        data: Vec<Found>,
        shared: Vec<Found>,
    ) -> Result<Self, Error> {
        let (mut claims, mut strangers, mut samples) = (Claims::new(), Vec::new(), 0);
        for (name, standing) in data {
            let bytes = os_path_to_bytes(Path::new(&name)).into_owned();
            match SampleItem::parse(&bytes) {
                Some(item) => {
                    samples = samples.max(item.id.saturating_add(1));
                    let claim = (Place::Sample(item.id), item.key.into());
                    claims.entry(claim).or_default().push((name, standing));
                }
                None => strangers.push(name),
            }
        }
        for (name, standing) in shared {
            let bytes = os_path_to_bytes(Path::new(&name)).into_owned();
            if let Some(key) = shared_key(&bytes) {
                claims.entry((Place::Shared, key.into())).or_default().push((name, standing));
            }
        }
        strangers.sort_unstable();
        let (mut items, mut unreadable) = (Vec::with_capacity(claims.len()), Vec::new());
        for ((place, _), files) in claims {
            match settle(folder, place, files)? {
                Ok(item) => items.push(item),
                Err((path, why)) => unreadable.push((path, why)),
            }
        }
        if !unreadable.is_empty() {
            return Err(Error::Unreadable(unreadable));
        }
        Ok(Self { folder: folder.to_owned(), items, samples, strangers })
    }
}

/// Returns the files of a folder, those behind links, too, in no order.
fn files_of(folder: &Path) -> Result<Vec<Found>, PathError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).context(folder)? {
        let entry = entry.context(folder)?;
        let path = entry.path();
        // A link that leads nowhere is no file, for pipelime neither.
        let Some(metadata) = if_exists(std::fs::metadata(&path)).context(&path)? else { continue };
        if metadata.is_file() {
            files.push((entry.file_name(), Standing::File(Stamp::of(&metadata))));
        }
    }
    Ok(files)
}

type Unreadable = (PathBuf, remote_file::ParseError);

/// Decides what the files of one claim are.
fn settle(
    folder: &Path,
    place: Place,
    mut files: Vec<Found>,
) -> Result<Result<Item, Unreadable>, PathError> {
    files.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let read = |name: &OsStr| -> Result<Result<RemoteFile, Unreadable>, PathError> {
        let path = place.path_in(folder, name);
        let bytes = read_small(&path, remote_file::MAX_BYTES)?.unwrap_or_default();
        Ok(RemoteFile::parse(&bytes).map_err(|why| (path, why)))
    };
    let item = match &files[..] {
        [(name, Standing::Pointer(tracked, _))] => {
            Item { place, file: name.clone(), state: State::Tracked(tracked.clone()) }
        }
        [(name, Standing::File(stamp))] => match without_suffix(name) {
            None => Item { place, file: name.clone(), state: State::File(*stamp) },
            Some(_) => match read(name)? {
                Ok(remote) => Item { place, file: name.clone(), state: State::Remote(remote) },
                Err(unreadable) => return Ok(Err(unreadable)),
            },
        },
        [(name, Standing::File(stamp)), (other, Standing::File(_))]
            if without_suffix(other).as_ref() == Some(name) =>
        {
            let path = place.path_in(folder, name);
            let state = match read(other)? {
                Ok(remote) if holds(&path, &remote)? => State::Both(*stamp, remote),
                _ => State::Ambiguous(vec![name.clone(), other.clone()]),
            };
            Item { place, file: name.clone(), state }
        }
        several => {
            let names: Vec<OsString> = several.iter().map(|(name, _)| name.clone()).collect();
            for (name, standing) in several {
                // What is told to be unclear comes out as it is in git.
                if let Standing::Pointer(_, text) = standing {
                    let path = place.path_in(folder, name);
                    File::create(&path).and_then(|mut file| file.write_all(text)).context(&path)?;
                }
            }
            Item { place, file: names[0].clone(), state: State::Ambiguous(names) }
        }
    };
    Ok(Ok(item))
}

/// Returns true if a file has the content that one of the sources names.
fn holds(path: &Path, remote: &RemoteFile) -> Result<bool, PathError> {
    let sources = remote.sources();
    let hashes = likely_hashes(&sources);
    let hashed = File::open(path).and_then(|file| hash_reader(file, &hashes)).context(path)?;
    Ok(is_named(&hashed, &sources))
}
