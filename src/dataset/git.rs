//! A dataset in a commit, read without a work tree: `REPO[@REV]:PATH`.
//!
//! A pointer is an item whose content is in the clone's store or in lakes, which are asked as that clone
//! would ask them; any other blob is a file. Nothing is written into the repository: files go to a
//! temporary folder, which the dataset is read from.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::read::{Found, Standing};
use super::remote_file::RemoteFile;
use super::site::Site;
use super::{Dataset, Error, Place, Tracked};
use crate::config::file::{self, Settings, Unknown};
use crate::fs::{IoContext as _, Stamp};
use crate::pointer::{Parsed, Pointer};
use crate::repo::process::Git;
use crate::repo::{Blob, FolderEntry, FolderEntryKind, Repo};
use crate::repo_path::{RepoPath, bytes_to_os_path, os_path_to_bytes};
use crate::store::{Presence, Store};
use crate::transfer::Cancel;
use crate::transfer::report::Reporter;
use crate::transfer::to_file::Known;
use crate::underfolder::{SampleItem, shared_key};

/// Blobs up to this size are read into memory; git streams larger ones.
const MAX_IN_MEMORY: u64 = 1 << 20;

/// A folder of a commit.
pub struct GitInput {
    repo: Repo,
    revision: String,
    /// `None` for the top.
    folder: Option<RepoPath>,
    /// As it was typed.
    typed: PathBuf,
}

impl GitInput {
    /// Understands what was typed as a folder of a commit; `None` if it is the path of a folder.
    ///
    /// A folder that exists wins, whatever its name is. Else the first colon counts before which the
    /// path of an existing folder stands, alone or with `@` and a revision behind it (without: `HEAD`).
    /// `PATH` begins at the top of the repository.
    ///
    /// # Errors
    /// If there is no repository, or what follows the colon can be no path in one.
    pub fn find(typed: &Path, folder: &Path) -> Result<Option<Self>, Error> {
        if folder.join(typed).exists() {
            return Ok(None);
        }
        let text = os_path_to_bytes(typed);
        let Some((repo, revision, path)) =
            split(&text, |repo| !repo.is_empty() && folder.join(bytes_to_os_path(repo)).is_dir())
        else {
            return Ok(None);
        };
        let path = path.strip_prefix(b"./").unwrap_or(path);
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let unusable = || Error::NoPath(String::from_utf8_lossy(path).into_owned());
        let within = match path {
            b"" | b"." => None,
            path => Some(RepoPath::parse(path).ok_or_else(unusable)?),
        };
        Ok(Some(Self {
            repo: Repo::at(&folder.join(bytes_to_os_path(repo)))?,
            revision: String::from_utf8_lossy(revision).into_owned(),
            folder: within,
            typed: typed.to_owned(),
        }))
    }

    /// Prepares to work with it, as its repository would: git's settings there, and the remotes of the
    /// commit, then those of `HEAD`.
    ///
    /// # Errors
    /// If the revision names nothing, or a setting cannot have its value.
    pub fn site(
        &self,
        jobs: Option<usize>,
        reporter: Arc<dyn Reporter>,
        cancel: Cancel,
    ) -> Result<Site, Error> {
        let mut settings = self.settings(&self.revision)?;
        // A lake that has moved since is found by what is known now.
        let newer = self.settings("HEAD")?.remotes;
        settings.remotes.extend(
            newer
                .into_iter()
                .filter(|remote| {
                    settings
                        .remotes
                        .iter()
                        .all(|one| one.url != remote.url && one.name != remote.name)
                })
                .collect::<Vec<_>>(),
        );
        Site::of_repo(&self.repo, &settings, jobs, reporter, cancel)
    }

    /// Reads the settings of a commit; those that cannot be read name no remote.
    fn settings(&self, revision: &str) -> Result<Settings, Error> {
        let path = RepoPath::parse(file::FILE_NAME.as_bytes()).expect("a path");
        let Some(blob) = self.repo.blob_at(revision, &path)? else {
            return Ok(Settings::default());
        };
        let bytes = self.repo.read_blob(blob, file::MAX_FILE_BYTES)?.into_content();
        let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
        Ok(Settings::parse(&text, Unknown::PassOver).unwrap_or_default())
    }

    /// Reads the dataset. Its files are there as long as `site`.
    ///
    /// # Errors
    /// If there is no folder `data`, or a blob or a `.remote` file cannot be read.
    pub fn read(&self, site: &Site) -> Result<Dataset, Error> {
        let data = self.within(Place::Sample(0).folder().as_bytes())?;
        let samples = self.repo.folder_at(&self.revision, Some(&data))?;
        let samples = samples.ok_or_else(|| Error::NoData(self.typed.clone()))?;
        let shared = self.repo.folder_at(&self.revision, self.folder.as_ref())?.unwrap_or_default();
        let folder = site.folder().join("input");
        let data = folder.join(Place::Sample(0).folder());
        std::fs::create_dir_all(&data).context(&data)?;
        let samples = self.take(site, samples, Place::Sample(0), &folder)?;
        let shared = self.take(site, shared, Place::Shared, &folder)?;
        Dataset::assemble(&folder, samples, shared)
    }

    /// Returns what the files of one folder are, those that are no pointers taken out of git.
    fn take(
        &self,
        site: &Site,
        entries: Vec<FolderEntry>,
        place: Place,
        folder: &Path,
    ) -> Result<Vec<Found>, Error> {
        let mut store = Store::at(self.repo.common_dir());
        if let Some(folder) = &site.config.storage {
            store = store.sharing(folder);
        }
        let mut found = Vec::new();
        for entry in entries {
            let is_item = match place {
                Place::Shared => shared_key(&entry.name).is_some(),
                Place::Sample(_) => SampleItem::parse(&entry.name).is_some(),
            };
            let mut path = place.folder().as_bytes().to_vec();
            path.extend(if path.is_empty() { &b""[..] } else { b"/" });
            path.extend_from_slice(&entry.name);
            let path = self.within(&path)?;
            match entry.kind {
                FolderEntryKind::Other => continue,
                FolderEntryKind::Link if is_item => {
                    return Err(Error::Link(path.display().into_owned()));
                }
                FolderEntryKind::Link | FolderEntryKind::File | FolderEntryKind::Executable => {}
            }
            if site.is_cancelled() {
                break;
            }
            let name = bytes_to_os_path(&entry.name).into_owned().into_os_string();
            let target = place.path_in(folder, &name);
            let standing = match is_item {
                // Only its name is told.
                false => File::create(&target)
                    .and_then(|file| file.metadata())
                    .map(|metadata| Stamp::of(&metadata)),
                true => match self.repo.read_blob(entry.id, MAX_IN_MEMORY)? {
                    Blob::Content(bytes) => match Parsed::of(&bytes).pointer() {
                        Some(pointer) => {
                            let tracked = tracked(site, &store, &path, &pointer)?;
                            found.push((name, Standing::Pointer(Box::new(tracked), bytes)));
                            continue;
                        }
                        None => write(&target, &mut &*bytes),
                    },
                    Blob::TooLong(_) => {
                        let args = ["cat-file", "blob", &entry.id.to_string()];
                        let mut blob = Git::of(&self.repo)?.stream(&args, Vec::new())?;
                        let written = write(&target, &mut blob);
                        blob.finish()?;
                        written
                    }
                    Blob::Missing => return Err(Error::Missing(path.display().into_owned())),
                },
            };
            found.push((name, Standing::File(standing.context(&target)?)));
        }
        Ok(found)
    }

    /// Returns a path of the dataset as the repository has it.
    fn within(&self, path: &[u8]) -> Result<RepoPath, Error> {
        let mut all = self.folder.as_ref().map_or_else(Vec::new, |top| top.as_bytes().to_vec());
        all.extend(if all.is_empty() { &b""[..] } else { b"/" });
        all.extend_from_slice(path);
        // Whoever wrote the tree may have named a file `..`.
        let unusable = || Error::NoPath(String::from_utf8_lossy(&all).into_owned());
        RepoPath::parse(&all).ok_or_else(unusable)
    }
}

/// Writes a file that is not there yet.
fn write(path: &Path, content: &mut dyn io::Read) -> io::Result<Stamp> {
    let mut file = File::create_new(path)?;
    io::copy(content, &mut file)?;
    file.flush()?;
    file.metadata().map(|metadata| Stamp::of(&metadata))
}

/// Says where the content of a pointer can be had.
fn tracked(
    site: &Site,
    store: &Store,
    path: &RepoPath,
    pointer: &Pointer,
) -> Result<Tracked, Error> {
    let (oid, size) = (pointer.oid(), pointer.size());
    Ok(Tracked {
        remote: RemoteFile::of(pointer.sources().iter().cloned()),
        candidates: site.config.candidates(pointer, path),
        known: Known { oid, size, stored: store.object_path(oid) },
        is_stored: store.presence(oid, size)? != Presence::Absent,
    })
}

/// Splits `REPO[@REV]:PATH`, if it is that: `is_folder` says what exists.
fn split(text: &[u8], is_folder: impl Fn(&[u8]) -> bool) -> Option<(&[u8], &[u8], &[u8])> {
    let positions = |text: &[u8], wanted: u8| {
        let found = text.iter().enumerate().filter(move |(_, byte)| **byte == wanted);
        found.map(|(at, _)| at).collect::<Vec<_>>()
    };
    for colon in positions(text, b':') {
        let (head, path) = (&text[..colon], &text[colon + 1..]);
        if is_folder(head) {
            return Some((head, b"HEAD", path));
        }
        for at in positions(head, b'@') {
            if is_folder(&head[..at]) && at + 1 < head.len() {
                return Some((&head[..at], &head[at + 1..], path));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_colon_behind_a_folder_splits() {
        let folders: [&[u8]; 4] = [b"repo", b"a:b", b"a@b", b"."];
        let split = |text: &'static str| {
            let parts = split(text.as_bytes(), |folder| folders.contains(&folder));
            let text = |part| std::str::from_utf8(part).expect("text");
            parts.map(|(repo, revision, path)| (text(repo), text(revision), text(path)))
        };
        let table = [
            ("repo:d", Some(("repo", "HEAD", "d"))),
            ("repo@v1:d/e", Some(("repo", "v1", "d/e"))),
            ("repo@HEAD@{1}:d", Some(("repo", "HEAD@{1}", "d"))),
            ("a:b:d", Some(("a:b", "HEAD", "d"))),
            ("a@b:d", Some(("a@b", "HEAD", "d"))),
            ("a@b@v1:d", Some(("a@b", "v1", "d"))),
            ("repo:d:e", Some(("repo", "HEAD", "d:e"))),
            (".:", Some((".", "HEAD", ""))),
            ("repo@:d", None),
            ("other:d", None),
            ("other@v1:d", None),
            ("d", None),
        ];
        for (typed, expected) in table {
            assert_eq!(split(typed), expected, "{typed}");
        }
    }
}
