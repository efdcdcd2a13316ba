//! Reading git's objects, without ever fetching one that a partial clone left behind.

use std::collections::HashSet;

use gix::objs::Kind;

use super::{BlobId, Error, Repo};
use crate::repo_path::RepoPath;

/// What the object database has to say about a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blob {
    /// Its bytes.
    Content(Vec<u8>),
    /// It has this many bytes, which are more than the caller wanted.
    TooLong(u64),
    /// It is not in the object database: a partial clone left it on the server, or it was pruned.
    Missing,
}

/// An entry of a folder in a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderEntry {
    /// Its name, without any folder.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: FolderEntryKind,
    /// The blob of a file or a link.
    pub id: BlobId,
}

/// What an entry of a folder in a commit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderEntryKind {
    /// A regular file.
    File,
    /// A regular file that may be executed.
    Executable,
    /// A symbolic link.
    Link,
    /// A folder, or a commit of a submodule.
    Other,
}

impl Blob {
    /// Returns the bytes, if they were there and not too many.
    pub fn into_content(self) -> Option<Vec<u8>> {
        match self {
            Self::Content(bytes) => Some(bytes),
            Self::TooLong(_) | Self::Missing => None,
        }
    }
}

impl Repo {
    /// Reads a blob of at most `max_bytes`; longer ones are recognised before they are inflated.
    ///
    /// Packs that appeared since the repository was opened are found.
    ///
    /// # Errors
    /// If the object is damaged or no blob.
    pub fn read_blob(&self, id: BlobId, max_bytes: u64) -> Result<Blob, Error> {
        let failed = |source: super::Cause| Error::Object { id: id.to_string(), source };
        let Some(git_id) = self.git_id(id) else {
            return Ok(Blob::Missing);
        };
        let header = self.git.try_find_header(git_id);
        let Some(header) = header.map_err(|error| failed(error.into()))? else {
            return Ok(Blob::Missing);
        };
        if header.kind() != Kind::Blob {
            return Err(failed(format!("it is a {}", header.kind()).into()));
        }
        if header.size() > max_bytes {
            return Ok(Blob::TooLong(header.size()));
        }
        let object = self.git.try_find_object(git_id);
        let object = object.map_err(|error| failed(error.into()))?;
        // The buffer has room for what a delta needed, many times the bytes, and is used again.
        Ok(object.map_or(Blob::Missing, |object| Blob::Content(object.data.clone())))
    }

    /// Returns the id that git gives to a blob of these bytes; writes nothing.
    ///
    /// # Errors
    /// If the bytes were made to collide in SHA-1, which git refuses, too.
    pub fn blob_id_of(&self, content: &[u8]) -> Result<BlobId, Error> {
        let id = gix::objs::compute_hash(self.git.object_hash(), Kind::Blob, content);
        id.map(|id| to_blob_id(&id)).map_err(|source| Error::Hash { source: source.into() })
    }

    /// Returns true if an object of any kind is in the object database.
    pub fn has_object(&self, id: BlobId) -> bool {
        self.git_id(id).is_some_and(|id| self.git.has_object(id))
    }

    /// Returns the commits whose parents a shallow clone left on the server; none in other clones.
    ///
    /// # Errors
    /// If it cannot be found out.
    pub fn shallow_commits(&self) -> Result<HashSet<BlobId>, Error> {
        let failed = |source: gix::Error| Error::Open {
            start: self.common_dir.clone(),
            source: source.into(),
        };
        let commits = self.git.shallow_commits().map_err(failed)?;
        Ok(commits.iter().flat_map(|commits| commits.iter()).map(|id| to_blob_id(id)).collect())
    }

    /// Returns true if there is a reference of this full name.
    pub fn has_reference(&self, name: &str) -> bool {
        self.git.try_find_reference(name).is_ok_and(|found| found.is_some())
    }

    /// Returns the full name of the reference that a name means, as `refs/heads/main` for `main`, and for
    /// `HEAD` where that is checked out; `None` if it is any other revision.
    pub(super) fn full_reference_name(&self, name: &str) -> Option<String> {
        let found = self.git.try_find_reference(name).ok()??;
        let name = match found.target().try_name() {
            Some(target) => target.as_bstr().to_string(),
            None => found.name().as_bstr().to_string(),
        };
        Some(name)
    }

    /// Returns the tree that an id stands for if it is a tree or a tag of one, not of a commit.
    pub(super) fn tree_without_commit(&self, id: BlobId) -> Result<Option<BlobId>, Error> {
        let failed =
            |source: gix::Error| Error::Object { id: id.to_string(), source: source.into() };
        let Some(git_id) = self.git_id(id) else {
            return Ok(None);
        };
        let object = self.git.find_object(git_id).map_err(failed)?;
        let object = object.peel_tags_to_end().map_err(failed)?;
        Ok((object.kind == Kind::Tree).then(|| to_blob_id(&object.id)))
    }

    /// Returns the blob at a path of a commit or tree; `None` if there is no file at that path.
    ///
    /// `treeish` is an id in full, `HEAD` or the name of a reference. An unborn `HEAD` has no files.
    ///
    /// # Errors
    /// If `treeish` names nothing, or an object on the way cannot be read.
    pub fn blob_at(&self, treeish: &str, path: &RepoPath) -> Result<Option<BlobId>, Error> {
        let entry = self.entry_at(treeish, path)?;
        Ok(entry.filter(|(mode, _)| mode.is_blob()).map(|(_, id)| id))
    }

    /// Returns what stands at a path of a commit or tree.
    pub(super) fn entry_at(
        &self,
        treeish: &str,
        path: &RepoPath,
    ) -> Result<Option<(gix::objs::tree::EntryMode, BlobId)>, Error> {
        let Some(tree) = self.tree(treeish)? else {
            return Ok(None);
        };
        let id = tree.id;
        let entry = tree.lookup_entry(path.components());
        let entry =
            entry.map_err(|source| Error::Object { id: id.to_string(), source: source.into() })?;
        Ok(entry.map(|entry| (entry.mode(), to_blob_id(&entry.object_id()))))
    }

    /// Lists a folder of a commit or tree, the top without `folder`; `None` if there is no such folder.
    ///
    /// `treeish` is any revision. An unborn `HEAD` has no folders.
    ///
    /// # Errors
    /// If `treeish` names nothing, or an object on the way cannot be read.
    pub fn folder_at(
        &self,
        treeish: &str,
        folder: Option<&RepoPath>,
    ) -> Result<Option<Vec<FolderEntry>>, Error> {
        let Some(mut tree) = self.tree(treeish)? else {
            return Ok(None);
        };
        let id = tree.id;
        let failed =
            |source: gix::Error| Error::Object { id: id.to_string(), source: source.into() };
        if let Some(folder) = folder {
            let entry = tree.lookup_entry(folder.components()).map_err(failed)?;
            let Some(entry) = entry.filter(|entry| entry.mode().is_tree()) else {
                return Ok(None);
            };
            tree = entry.object().map_err(failed)?.into_tree();
        }
        let mut entries = Vec::new();
        for entry in tree.iter() {
            let entry = entry
                .map_err(|source| Error::Object { id: id.to_string(), source: source.into() })?;
            let kind = match entry.mode() {
                mode if mode.is_executable() => FolderEntryKind::Executable,
                mode if mode.is_blob() => FolderEntryKind::File,
                mode if mode.is_link() => FolderEntryKind::Link,
                _ => FolderEntryKind::Other,
            };
            let (name, id) = (entry.filename().to_vec(), to_blob_id(entry.oid()));
            entries.push(FolderEntry { name, kind, id });
        }
        Ok(Some(entries))
    }

    /// Resolves a revision to its tree; `None` if it is a `HEAD` without commits.
    pub(super) fn tree(&self, treeish: &str) -> Result<Option<gix::Tree<'_>>, Error> {
        let failed = |source: gix::Error| Error::Revision {
            revision: treeish.to_owned(),
            source: source.into(),
        };
        if treeish == "HEAD" && self.git.head().map_err(failed)?.is_unborn() {
            return Ok(None);
        }
        let id = self.git.rev_parse_single(treeish).map_err(failed)?;
        let object = id.object().map_err(failed)?;
        object.peel_to_tree().map(Some).map_err(failed)
    }

    /// Resolves a revision to the id of its tree; an unborn `HEAD` has the empty one.
    pub(super) fn tree_id(&self, treeish: &str) -> Result<BlobId, Error> {
        Ok(self.tree(treeish)?.map_or_else(|| self.empty_tree_id(), |tree| to_blob_id(&tree.id)))
    }

    /// Returns the id of a tree without entries, which git knows without having it.
    pub(super) fn empty_tree_id(&self) -> BlobId {
        to_blob_id(&gix::ObjectId::empty_tree(self.git.object_hash()))
    }

    /// Returns gix' form of an id, if it has the length that this repository uses.
    fn git_id(&self, id: BlobId) -> Option<gix::ObjectId> {
        gix::ObjectId::try_from(id.as_bytes())
            .ok()
            .filter(|git_id| git_id.kind() == self.git.object_hash())
    }
}

pub(super) fn to_blob_id(id: &gix::oid) -> BlobId {
    BlobId::from_bytes(id.as_bytes()).expect("git's ids have 20 or 32 bytes")
}
