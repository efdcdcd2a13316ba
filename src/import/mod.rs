//! A dataset with `.remote` files becomes tracked pointers of this work tree.
//!
//! [`Plan`] says what each item becomes; [`resolve`] learns what a pointer has to say, without a download
//! where the lake names objects by their SHA-256; [`stage`] writes pointers, stages them, and only then
//! takes away the `.remote` files that they replace. A kill at any time leaves for each item the
//! `.remote` file, the pointer, or both of them, which the next run goes on from.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::dataset::remote_file::{self, RemoteFile};
use crate::dataset::{Dataset, Item, State};
use crate::digest::{HashName, hash_reader};
use crate::fs::{PathError, read_small};
use crate::lake_url::SourceUrl;
use crate::pointer::{MAX_POINTER_BYTES, Parsed};
use crate::repo::Blob;
use crate::repo::index::Index;
use crate::repo_path::{RepoPath, os_path_to_bytes};
use crate::workspace::Workspace;

pub mod resolve;
pub mod stage;

/// Where the items go.
#[derive(Debug, Clone)]
pub struct Target {
    /// The top of the work tree.
    pub top: PathBuf,
    /// The dataset's folder below it; `None` for the top.
    pub folder: Option<RepoPath>,
    /// Whether the dataset lies there already.
    pub is_in_place: bool,
}

/// An item that is to be a pointer.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Where the pointer goes.
    pub path: RepoPath,
    /// Where the content is, in order; at least one.
    pub sources: Vec<SourceUrl>,
    /// The `.remote` file that goes, if it lies in the work tree, and what it says.
    pub replaces: Option<(RepoPath, RemoteFile)>,
}

/// A file of the dataset that is added as it is.
#[derive(Debug, Clone)]
pub struct LocalFile {
    /// Where it is.
    pub source: PathBuf,
    /// Where it goes.
    pub path: RepoPath,
}

/// What becomes of a dataset's items.
#[derive(Debug, Default)]
pub struct Plan {
    /// Items that are to be pointers.
    pub wishes: Vec<Wish>,
    /// Items whose pointer is staged already.
    pub staged: Vec<Wish>,
    /// Items that are files; in place those that git does not know of.
    pub files: Vec<LocalFile>,
    /// Items that nothing can be done with, and why.
    pub refused: Vec<(RepoPath, String)>,
}

/// Says why nothing could be imported any more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] crate::repo::Error),
    /// git did not take the blobs.
    #[error(transparent)]
    Blobs(#[from] crate::repo::new_blobs::Error),
    /// git did not take them into its index.
    #[error(transparent)]
    Git(#[from] crate::repo::process::Error),
}

const TWINS: &str = "several files claim to be this item, and they do not have the same content";
const NO_SOURCE: &str = "none of its sources is the address of an object";
const OTHER_TRACKED: &str = "git has something else at its path already";

impl Target {
    /// Returns where a file of the dataset goes; `None` where git can have no file.
    pub fn path_of(&self, item: &Item, name: &OsStr) -> Option<RepoPath> {
        let below = item.place.folder();
        let mut path = self.folder.as_ref().map_or_else(Vec::new, |top| top.as_bytes().to_vec());
        for part in [below.as_bytes(), &os_path_to_bytes(Path::new(name))] {
            if !path.is_empty() && !part.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(part);
        }
        RepoPath::parse(&path).filter(|path| !path.enters_git_dir())
    }
}

impl Plan {
    /// Decides what becomes of the items; looks at the index and at names, asks no lake.
    ///
    /// # Errors
    /// If the repository or a `.remote` file cannot be read.
    pub fn of(
        site: &Workspace,
        index: &Index,
        dataset: &Dataset,
        target: &Target,
    ) -> Result<Self, Error> {
        let mut plan = Self::default();
        for item in &dataset.items {
            let Some(path) = target.path_of(item, &item.content_name()) else {
                let shown = RepoPath::parse(&item.path()).expect("names are parts of a path");
                plan.refused.push((shown, "git can have no file of that name".to_owned()));
                continue;
            };
            let remote = match &item.state {
                // What git knows of is not staged anew: it may have been changed for other reasons.
                State::File(_)
                    if target.is_in_place && index.entry_at(path.as_bytes()).is_some() =>
                {
                    continue;
                }
                State::File(_) => {
                    let source = item.place.path_in(&dataset.folder, &item.file);
                    plan.files.push(LocalFile { source, path });
                    continue;
                }
                State::Remote(remote) | State::Both(_, remote) => remote.clone(),
                State::Ambiguous(names) => match half_done(dataset, item, names)? {
                    Some(remote) => remote,
                    None => {
                        plan.refused.push((path, TWINS.to_owned()));
                        continue;
                    }
                },
                State::Tracked(_) => {
                    plan.refused.push((path, "it is a pointer already".to_owned()));
                    continue;
                }
            };
            let sources = remote.sources();
            if sources.is_empty() {
                plan.refused.push((path, NO_SOURCE.to_owned()));
                continue;
            }
            let replaces = match &item.state {
                // It has the name of the content, which `remote_name` completes.
                _ if !target.is_in_place => None,
                _ => target.path_of(item, &item.remote_name()).map(|name| (name, remote)),
            };
            let wish = Wish { path, sources, replaces };
            match index.entry_at(wish.path.as_bytes()) {
                None => plan.wishes.push(wish),
                Some(entry) if entry.stage == 0 && is_staged(site, entry.id, &wish)? => {
                    plan.staged.push(wish);
                }
                Some(_) => plan.refused.push((wish.path, OTHER_TRACKED.to_owned())),
            }
        }
        Ok(plan)
    }
}

/// Returns the `.remote` file of an item whose pointer was written by a run that was interrupted.
fn half_done(
    dataset: &Dataset,
    item: &Item,
    names: &[std::ffi::OsString],
) -> Result<Option<RemoteFile>, PathError> {
    let [name, other] = names else { return Ok(None) };
    if *other != item.remote_name() {
        return Ok(None);
    }
    let read = |name: &OsStr, most| read_small(&item.place.path_in(&dataset.folder, name), most);
    let Some(text) = read(other, remote_file::MAX_BYTES)? else { return Ok(None) };
    let Ok(remote) = RemoteFile::parse(&text) else { return Ok(None) };
    let path = item.place.path_in(&dataset.folder, name);
    // A long file is no pointer, and is not read for that.
    if std::fs::metadata(&path).is_ok_and(|found| found.len() > MAX_POINTER_BYTES as u64) {
        return Ok(None);
    }
    let file = read(name, MAX_POINTER_BYTES as u64)?.unwrap_or_default();
    let pointer = Parsed::of(&file).pointer();
    let says_so = |sources: &[SourceUrl]| sources == remote.sources();
    Ok(pointer.filter(|pointer| says_so(pointer.sources())).map(|_| remote))
}

/// Returns true if a blob of the index is what an item is to be.
fn is_staged(
    site: &Workspace,
    blob: crate::repo::BlobId,
    wish: &Wish,
) -> Result<bool, crate::repo::Error> {
    if let Some((_, pointer)) = site.pointer_of(blob)? {
        return Ok(wish.sources.iter().all(|source| pointer.sources().contains(source)));
    }
    let is_empty = site.repo.read_blob(blob, 0)? == Blob::Content(Vec::new());
    Ok(is_empty && wish.sources.iter().all(names_nothing))
}

/// Returns true if the name of an object is that of no bytes at all.
fn names_nothing(source: &SourceUrl) -> bool {
    let hashes: Vec<HashName> = HashName::with_hex_len(source.name.hex().len()).collect();
    let Ok(hashed) = hash_reader(&b""[..], &hashes) else { return false };
    let digests = hashes.into_iter().filter_map(|hash| hashed.digest(hash));
    digests.into_iter().any(|digest| digest.hex == source.name.hex())
}
