//! Datasets in folders and in commits, as pipelime lays them out: no work tree, no settings needed.
//!
//! A dataset's items are files of its folder `data`, and files beside that folder; `<name>.remote`
//! stands in the place of a file whose content is in lakes. `docs/pipelime.md` says what each command
//! does with them, and where that differs from pipelime.
//!
//! Content is bytes here: nothing is decoded. Nothing counts as had before it matched the digest in an
//! object's name, and nothing is taken away before what replaces it is on disk. What could not be done
//! for an item is told, and the item stays as it was.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::fs::{PathError, Stamp};
use crate::lake_url::SourceUrl;
use crate::repo;
use crate::repo_path::{bytes_to_os_path, os_path_to_bytes};
use crate::transfer::to_file::{Known, WantedFile};
use crate::underfolder::{SampleItem, shared_key};

pub mod carry_out;
pub mod copy;
pub mod git;
pub mod output;
pub mod plan;
pub mod read;
pub mod remote_file;
pub mod site;
mod staging;
pub mod supply;

use remote_file::RemoteFile;

/// Where an item lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Beside the folder `data`: all samples share it.
    Shared,
    /// In the folder `data`, in the sample with this number.
    Sample(u64),
}

/// One item of a dataset.
#[derive(Debug, Clone)]
pub struct Item {
    /// Where it lies.
    pub place: Place,
    /// The name of the file that stands there; the content's, if there are both.
    pub file: OsString,
    /// What stands there.
    pub state: State,
}

/// What stands in an item's place.
#[derive(Debug, Clone)]
pub enum State {
    /// Its file.
    File(Stamp),
    /// A `.remote` file.
    Remote(RemoteFile),
    /// Both, as a run that was interrupted leaves them: the sources hold the content of the file.
    Both(Stamp, RemoteFile),
    /// Several files of which nothing says which is the item: their names.
    Ambiguous(Vec<OsString>),
    /// In a commit: a pointer.
    Tracked(Box<Tracked>),
}

/// An item of a commit that git holds as a pointer.
#[derive(Debug, Clone)]
pub struct Tracked {
    /// The `.remote` file that names its sources; `None` if it has none.
    pub remote: Option<RemoteFile>,
    /// Where to look for its content, best first.
    pub candidates: Vec<SourceUrl>,
    /// What it has to be, and where the clone keeps it.
    pub known: Known,
    /// Whether the clone has it.
    pub is_stored: bool,
}

/// A dataset, read.
#[derive(Debug)]
pub struct Dataset {
    /// Its folder.
    pub folder: PathBuf,
    /// Its items, by place and key.
    pub items: Vec<Item>,
    /// How many samples it has: its highest id, and one more.
    pub samples: u64,
    /// Files of `data` that are no items.
    pub strangers: Vec<OsString>,
}

/// Says why nothing could be done with a dataset.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder.
    #[error(transparent)]
    Path(#[from] PathError),
    /// There is no dataset.
    #[error("`{}` is no dataset: it has no folder `data`", .0.display())]
    NoData(PathBuf),
    /// Files named `.remote` that cannot be read as such.
    #[error("Nothing was done: {}", describe_unreadable(.0))]
    Unreadable(Vec<(PathBuf, remote_file::ParseError)>),
    /// Something is where the output should be.
    #[error(
        "`{}` exists already: name a folder that does not, or the input to change it in place",
        .0.display()
    )]
    Exists(PathBuf),
    /// A key that no item has.
    #[error("No item has the key `{key}`; there are {known}")]
    UnknownKey {
        /// As it was typed.
        key: String,
        /// Those that items have.
        known: String,
    },
    /// Settings of git.
    #[error(transparent)]
    Config(#[from] crate::config::Error),
    /// The repository of a dataset in a commit.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// git could not give out a blob.
    #[error(transparent)]
    Git(#[from] repo::process::Error),
    /// What should be a folder of a commit cannot be one.
    #[error("`{0}` is no path inside a repository")]
    NoPath(String),
    /// Links, which would have to be followed out of the commit.
    #[error("Symbolic links of a commit are not followed, and `{0}` is one")]
    Link(String),
    /// A partial clone left a blob on its server.
    #[error(
        "This clone lacks the file `{0}`: a partial clone left it on its server; `git checkout` or `git fetch --refetch` brings it"
    )]
    Missing(String),
}

fn describe_unreadable(files: &[(PathBuf, remote_file::ParseError)]) -> String {
    const SHOWN: usize = 5;
    let one = |(path, why): &(PathBuf, remote_file::ParseError)| {
        format!("`{}` is no `.remote` file: {why}", path.display())
    };
    let mut shown: Vec<String> = files.iter().take(SHOWN).map(one).collect();
    if files.len() > SHOWN {
        shown.push(format!("and so are {} more", files.len() - SHOWN));
    }
    shown.join("; ")
}

impl Place {
    /// Returns the folder of the place, below that of the dataset.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Shared => "",
            Self::Sample(_) => "data",
        }
    }

    /// Returns where a file of this place is in a dataset's folder.
    pub fn path_in(self, dataset: &Path, name: &OsStr) -> PathBuf {
        dataset.join(self.folder()).join(name)
    }
}

impl Item {
    /// Returns the item's key.
    pub fn key(&self) -> Vec<u8> {
        let name = os_path_to_bytes(Path::new(&self.file));
        match self.place {
            Place::Shared => shared_key(&name).map(<[u8]>::to_vec),
            Place::Sample(_) => SampleItem::parse(&name).map(|item| item.key.to_vec()),
        }
        .unwrap_or_default()
    }

    /// Returns the name of the file that has the item's content, or would have it.
    ///
    /// pipelime drops extensions that it does not know from the names of `.remote` files; then the
    /// extension is that of the objects.
    pub fn content_name(&self) -> OsString {
        let State::Remote(remote) = &self.state else { return self.file.clone() };
        let mut name = without_suffix(&self.file).unwrap_or_else(|| self.file.clone());
        let is_bare = !os_path_to_bytes(Path::new(&name)).contains(&b'.');
        if is_bare && !matches!(remote.suffix(), "" | "___") {
            name.push(".");
            name.push(remote.suffix());
        }
        name
    }

    /// Returns the `.remote` file that says where the item is, or the one that would.
    pub fn remote(&self) -> Option<&RemoteFile> {
        match &self.state {
            State::Remote(remote) | State::Both(_, remote) => Some(remote),
            State::Tracked(tracked) => tracked.remote.as_ref(),
            State::File(_) | State::Ambiguous(_) => None,
        }
    }

    /// Returns true if the content is not a file of the dataset.
    pub fn is_away(&self) -> bool {
        matches!(self.state, State::Remote(_) | State::Tracked(_))
    }

    /// Returns true if there is nowhere to look for the content.
    pub fn is_out_of_reach(&self) -> bool {
        match &self.state {
            State::Remote(remote) => remote.sources().is_empty(),
            State::Tracked(tracked) => !tracked.is_stored && tracked.candidates.is_empty(),
            State::File(_) | State::Both(..) | State::Ambiguous(_) => false,
        }
    }

    /// Says what is to be fetched for the item, as a file at `path`; `None` if it is one.
    fn wanted(&self, path: PathBuf) -> Option<WantedFile> {
        match &self.state {
            State::Remote(remote) => {
                let candidates = remote.sources();
                Some(WantedFile { candidates, path, known: None, left: None })
            }
            State::Tracked(tracked) => {
                let (candidates, known) = (tracked.candidates.clone(), tracked.known.clone());
                Some(WantedFile { candidates, path, known: Some(known), left: None })
            }
            State::File(_) | State::Both(..) | State::Ambiguous(_) => None,
        }
    }

    /// Returns the name of the `.remote` file that stands for the item, or would.
    pub fn remote_name(&self) -> OsString {
        let mut name = self.file.clone();
        if !matches!(self.state, State::Remote(_)) {
            name.push(remote_file::SUFFIX);
        }
        name
    }

    /// Returns the names of the files that are there.
    pub fn names(&self) -> Vec<OsString> {
        match &self.state {
            State::File(_) | State::Remote(_) | State::Tracked(_) => vec![self.file.clone()],
            State::Both(..) => vec![self.file.clone(), self.remote_name()],
            State::Ambiguous(names) => names.clone(),
        }
    }

    /// Returns the item's path below the dataset's folder, with `/`, as people and lists have it.
    pub fn path(&self) -> Vec<u8> {
        let mut path = match self.place {
            Place::Shared => Vec::new(),
            Place::Sample(_) => b"data/".to_vec(),
        };
        path.extend_from_slice(&os_path_to_bytes(Path::new(&self.file)));
        path
    }
}

/// Returns a name without `.remote` at its end; `None` if it does not end so.
fn without_suffix(name: &OsStr) -> Option<OsString> {
    let bytes = os_path_to_bytes(Path::new(name)).into_owned();
    let stem = bytes.strip_suffix(remote_file::SUFFIX.as_bytes())?;
    Some(bytes_to_os_path(stem).into_owned().into_os_string())
}
