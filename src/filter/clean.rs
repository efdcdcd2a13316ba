//! Content becomes a pointer.

use std::collections::{HashMap, HashSet};
use std::io;

use crate::digest::{HashName, Hashed, Hasher};
use crate::fail_point;
use crate::fs::{PathError, unix_now};
use crate::oid::Oid;
use crate::pointer::{Canonical, NewPointerError, Parsed, Pointer, PointerError, is_lfs_pointer};
use crate::repo::BlobId;
use crate::repo::attributes::is_never_tracked;
use crate::repo::index::{self, Index, Key};
use crate::repo_path::RepoPath;
use crate::store::Presence;
use crate::store::blob_map::{BlobMap, Named};
use crate::store::queue::{Claims, Tentative};
use crate::store::stage::Intake;
use crate::workspace::Workspace;

/// Content up to this size is held in memory until its hash is known.
const HELD_BYTES: usize = 1 << 20;
/// Longest text that begins like a pointer and is given back as it is.
const MAX_DAMAGED_BYTES: usize = 64 << 20;
/// After so many pointers a table of the index is built; before, going through it is faster.
const SCANS_BEFORE_TABLE: usize = 4;

/// Content that arrives piece by piece.
pub trait Chunks {
    /// Returns the next piece, never empty; `None` at the end.
    ///
    /// # Errors
    /// If the stream breaks.
    fn next_chunk(&mut self) -> io::Result<Option<&[u8]>>;
}

/// A pointer that this process gave to git, to be compared with the index later.
#[derive(Debug)]
pub struct Emitted {
    /// git's name for the pointer's text.
    pub blob: BlobId,
    /// The path it was for.
    pub path: RepoPath,
    /// The pointer.
    pub pointer: Pointer,
    /// Whether git may be about to stage it: it holds the lock of the index.
    pub may_be_staged: bool,
}

/// Says why content could not be cleaned; git refuses to add the path then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream from git broke.
    #[error("git went away: {0}")]
    Stream(#[source] io::Error),
    /// The object or its record could not be stored.
    #[error("Could not store the content: {0}")]
    Store(#[from] PathError),
    /// The file is a damaged pointer.
    #[error("It is a damaged pointer. {0}")]
    Damaged(PointerError),
    /// The file begins like a pointer and is far too long for one.
    #[error("It begins like a pointer and has more than 64 MiB")]
    TooLong,
    /// The file is a pointer of git-lfs.
    #[error("It is a git-lfs pointer, not content")]
    LfsPointer,
    /// git could not name the pointer's blob.
    #[error(transparent)]
    Repo(#[from] crate::repo::Error),
    /// No pointer can be made.
    #[error(transparent)]
    Pointer(#[from] NewPointerError),
}

/// Cleans one path after another, with what they share.
pub struct Cleaner<'a> {
    site: &'a Workspace,
    hashes: Vec<HashName>,
    index: Option<Index>,
    has_searched: bool,
    /// Which blobs name an object.
    blobs: BlobMap,
    /// Where each blob first stands in `index`, once that was asked often.
    positions: Option<HashMap<BlobId, usize>>,
    /// Which pointers earlier processes left a record of, once that was asked.
    recorded: Option<Claims>,
    /// What git looked at while the store could not take it.
    looked_at: HashSet<(RepoPath, Oid)>,
    /// What may have to be uploaded.
    pub emitted: Vec<Emitted>,
}

impl<'a> Cleaner<'a> {
    /// Prepares to clean; reads nothing yet.
    pub fn new(site: &'a Workspace) -> Self {
        let hashes = site.config.extra_hashes();
        let blobs = BlobMap::at(site.store.root(), site.repo.hash_len());
        Self {
            site,
            hashes,
            index: None,
            has_searched: false,
            blobs,
            positions: None,
            recorded: None,
            looked_at: HashSet::new(),
            emitted: Vec::new(),
        }
    }

    /// Returns what git is to store for the content at `path`.
    ///
    /// On return the object is in the store and a record of it in the queue, safe from any kill;
    /// [`crate::store::Store::sync`] and [`crate::store::queue::Queue::sync`] make them durable.
    ///
    /// # Errors
    /// Why git must not take the content; nothing about lakes or settings is among the reasons.
    pub fn clean(&mut self, path: &RepoPath, chunks: &mut dyn Chunks) -> Result<Vec<u8>, Error> {
        let mut head = Vec::new();
        let mut is_complete = false;
        while !is_complete && head.len() <= HELD_BYTES {
            match chunks.next_chunk().map_err(Error::Stream)? {
                Some(chunk) => head.extend_from_slice(chunk),
                None => is_complete = true,
            }
        }
        if head.is_empty() {
            return Ok(head);
        }
        if is_never_tracked(path) {
            return self.give_back(head, is_complete, chunks);
        }
        match Parsed::of(&head) {
            Parsed::Content => {}
            Parsed::Newer => return self.give_back(head, is_complete, chunks),
            Parsed::Damaged(fault) => {
                let bytes = self.give_back(head, is_complete, chunks)?;
                return self.unless_added(path, bytes, Error::Damaged(fault));
            }
            Parsed::Pointer(pointer, canonical) => {
                let site = self.site;
                return match pointer.check_names(|source| site.config.hash_of(source)) {
                    Err(fault) => self.unless_added(path, head, Error::Damaged(fault)),
                    Ok(()) if canonical == Canonical::Yes => Ok(head),
                    Ok(()) => Ok(pointer.to_bytes()),
                };
            }
        }
        if is_lfs_pointer(&head) {
            return self.unless_added(path, head, Error::LfsPointer);
        }
        if is_complete {
            self.clean_held(path, &head)
        } else {
            self.clean_long(path, &head, chunks)
        }
    }

    fn clean_held(&mut self, path: &RepoPath, content: &[u8]) -> Result<Vec<u8>, Error> {
        let mut hasher = Hasher::new(&self.hashes);
        hasher.update(content);
        let hashed = hasher.finish();
        let stored = self.site.store.put(hashed.oid, content);
        self.answer(path, &hashed, stored)
    }

    /// Content that does not fit into memory is compared with the object that is expected, so that
    /// nothing is written when it is unchanged.
    fn clean_long(
        &mut self,
        path: &RepoPath,
        head: &[u8],
        chunks: &mut dyn Chunks,
    ) -> Result<Vec<u8>, Error> {
        let entries = self.index_entries(path);
        let expected = self.pointers(&entries).next().map(|(_, pointer)| pointer.oid());
        let mut intake = Intake::begin(&self.site.store, &self.hashes, expected);
        intake.write(head);
        while let Some(chunk) = chunks.next_chunk().map_err(Error::Stream)? {
            intake.write(chunk);
        }
        let (hashed, stored) = intake.finish();
        self.answer(path, &hashed, stored)
    }

    /// Gives the pointer for content out and leaves a record of it.
    ///
    /// Where the store cannot be written (a full disk), `git add` has to fail; `git status` and
    /// `git switch`, which hold no lock of the index and stage nothing, are told the pointer all the same.
    fn answer(
        &mut self,
        path: &RepoPath,
        hashed: &Hashed,
        stored: Result<Presence, PathError>,
    ) -> Result<Vec<u8>, Error> {
        fail_point::reach("clean-stored");
        let before = stored.as_ref().map_or(Presence::Absent, |before| *before);
        let (bytes, pointer, is_new) = self.pointer_for(path, hashed, before)?;
        let recorded = stored.map_err(Error::Store).and_then(|_| match is_new {
            true => self.record(path, &bytes, pointer),
            false => Ok(()),
        });
        match recorded {
            Err(Error::Store(error)) if self.only_looks(path, hashed.oid) => {
                if self.looked_at.len() == 1 {
                    self.site.reporter.warn(&format!("Could not store content: {error}"));
                }
                Ok(bytes)
            }
            Err(error) => Err(error),
            Ok(()) => Ok(bytes),
        }
    }

    /// Returns the pointer for content that is in the store, and leaves a record of it: what git is to have at
    /// `path`. `before` says how the object stood in the store.
    ///
    /// # Errors
    /// If no pointer can be made, or the record cannot be written: git must not have the pointer then.
    pub fn take(
        &mut self,
        path: &RepoPath,
        hashed: &Hashed,
        before: Presence,
    ) -> Result<Vec<u8>, Error> {
        let (bytes, pointer, is_new) = self.pointer_for(path, hashed, before)?;
        if is_new {
            self.record(path, &bytes, pointer)?;
        }
        Ok(bytes)
    }

    /// Returns true if git asks without the intent to stage: it holds no lock of the index, or asks once
    /// more for what it looked at without it, as `git status` does before it refreshes the index.
    fn only_looks(&mut self, path: &RepoPath, oid: Oid) -> bool {
        let look = (path.clone(), oid);
        if self.is_index_locked() {
            return self.looked_at.contains(&look);
        }
        self.looked_at.insert(look);
        true
    }

    /// Returns the pointer for content, and whether it has to be recorded: the index's own where it has
    /// one, so that unchanged content never looks modified.
    fn pointer_for(
        &mut self,
        path: &RepoPath,
        hashed: &Hashed,
        before: Presence,
    ) -> Result<(Vec<u8>, Pointer, bool), Error> {
        let is_new = before != Presence::Stored;
        let sources = self.site.config.fresh_sources(path, hashed);
        let fresh = Pointer::new(hashed.oid, hashed.size, sources);
        let fresh = fresh.map(|pointer| (pointer.to_bytes(), pointer));
        let entries = self.index_entries(path);
        // Most often the index has the very blob that would be made now, which need not be read then.
        if let (Ok((bytes, _)), [only]) = (&fresh, &entries[..])
            && self.site.repo.blob_id_of(bytes).is_ok_and(|id| id == *only)
        {
            let (bytes, pointer) = fresh?;
            return Ok((bytes, pointer, is_new));
        }
        let own = self.pointers(&entries).find(|(_, pointer)| is_of(pointer, hashed));
        if let Some((bytes, pointer)) = own {
            return Ok((bytes, pointer, is_new));
        }
        let (bytes, pointer) = match self.pointer_elsewhere(path, hashed, before) {
            Some(found) => found,
            None => fresh?,
        };
        Ok((bytes, pointer, true))
    }

    /// Leaves a record before git sees the pointer.
    fn record(&mut self, path: &RepoPath, bytes: &[u8], pointer: Pointer) -> Result<(), Error> {
        let blob = self.site.repo.blob_id_of(bytes)?;
        let (oid, path) = (pointer.oid(), path.clone());
        let record = Tentative { since: unix_now(), blob: blob.to_string().into(), oid, path };
        if !self.is_recorded(&record)? {
            self.site.queue.add_tentative(&record)?;
        }
        let path = record.path;
        if !self.blobs.blobs_of(pointer.oid()).iter().any(|id| id == blob.as_bytes()) {
            self.blobs.learn(blob.as_bytes(), Named::new(pointer.oid(), pointer.size(), bytes));
        }
        let may_be_staged = self.is_index_locked();
        self.emitted.push(Emitted { blob, path, pointer, may_be_staged });
        Ok(())
    }

    /// Returns true if an earlier process left the same record: `git status` cleans a modified file
    /// each time it looks.
    fn is_recorded(&mut self, record: &Tentative) -> Result<bool, PathError> {
        let recorded = match &mut self.recorded {
            Some(recorded) => recorded,
            None => self.recorded.insert(self.site.queue.read()?),
        };
        Ok(recorded.has_tentative(record))
    }

    /// Returns true if somebody holds git's lock of the index, as `git add` does while it cleans and
    /// `git status` does not.
    fn is_index_locked(&self) -> bool {
        let mut lock = self.site.repo.index_path().as_os_str().to_owned();
        lock.push(".lock");
        std::path::Path::new(&lock).exists()
    }

    /// Returns the blobs that the index has at a path, the one that counts first: stage 0, else ours,
    /// theirs, base.
    fn index_entries(&mut self, path: &RepoPath) -> Vec<BlobId> {
        let mut entries: Vec<_> = match self.search_once(path) {
            Some(found) => {
                found.into_iter().map(|found| (found.stage, found.kind, found.id)).collect()
            }
            None => {
                let index = self.index().into_iter();
                let at_path = index.flat_map(|index| index.at(path.as_bytes()));
                at_path.map(|entry| (entry.stage, entry.kind, entry.id)).collect()
            }
        };
        entries.retain(|(_, kind, _)| kind.is_file());
        entries.sort_by_key(|(stage, ..)| [0, 3, 1, 2].get(usize::from(*stage)).copied());
        entries.into_iter().map(|(.., id)| id).collect()
    }

    /// Reads pointers; what cannot be read is as good as absent.
    fn pointers<'b>(
        &self,
        ids: &'b [BlobId],
    ) -> impl Iterator<Item = (Vec<u8>, Pointer)> + use<'a, 'b> {
        let site = self.site;
        ids.iter().filter_map(|id| site.pointer_of(*id).ok().flatten())
    }

    /// Looks the first path up without reading the whole index: often there is no second.
    fn search_once(&mut self, path: &RepoPath) -> Option<Vec<index::Found>> {
        if std::mem::replace(&mut self.has_searched, true) || self.index.is_some() {
            return None;
        }
        let repo = &self.site.repo;
        let key = Key::Path(path.as_bytes());
        index::search(repo.index_path(), repo.hash_len(), key).ok().flatten()
    }

    /// Looks for a pointer to the same content at another path, if this clone has seen the content.
    fn pointer_elsewhere(
        &mut self,
        path: &RepoPath,
        hashed: &Hashed,
        before: Presence,
    ) -> Option<(Vec<u8>, Pointer)> {
        if before == Presence::Absent {
            return None;
        }
        let ids =
            self.blobs.blobs_of(hashed.oid).into_iter().filter_map(|id| BlobId::from_bytes(&id));
        let ids: Vec<BlobId> = ids.collect();
        let mut found: Vec<(usize, BlobId)> =
            ids.into_iter().filter_map(|id| Some((self.position_of(id)?, id))).collect();
        found.sort_unstable();
        let site = self.site;
        found.into_iter().find_map(|(_, id)| {
            let (bytes, pointer) = site.pointer_of(id).ok().flatten()?;
            let suits = is_of(&pointer, hashed) && site.config.suits(&pointer, path);
            suits.then_some((bytes, pointer))
        })
    }

    /// Returns where a blob first stands in the index.
    fn position_of(&mut self, id: BlobId) -> Option<usize> {
        let repo = &self.site.repo;
        if self.emitted.len() < SCANS_BEFORE_TABLE
            && let Ok(Some(found)) =
                index::search(repo.index_path(), repo.hash_len(), Key::Blob(id))
        {
            return found.first().map(|found| found.position);
        }
        self.index()?;
        let index = self.index.as_ref()?;
        let positions = self.positions.get_or_insert_with(|| {
            let mut positions = HashMap::new();
            for (at, entry) in index.entries().enumerate() {
                positions.entry(entry.id).or_insert(at);
            }
            positions
        });
        positions.get(&id).copied()
    }

    /// Learns which blob has a pointer, as git tells when it smudges one.
    pub fn learn(&mut self, blob: Option<&str>, pointer: &Pointer, text: &[u8]) {
        if let Some(id) = blob.and_then(|hex| BlobId::parse_hex(hex.as_bytes())) {
            self.blobs.learn(id.as_bytes(), Named::new(pointer.oid(), pointer.size(), text));
        }
    }

    /// Keeps what was learned about pointers for later processes.
    pub fn remember(&mut self) {
        // Only time is lost if it cannot be kept.
        drop(self.blobs.save());
    }

    /// Returns git's index as it is on disk now.
    fn index(&mut self) -> Option<&Index> {
        let path = self.site.repo.index_path();
        if self.index.as_ref().is_none_or(|index| index.has_changed(path)) {
            self.index = self.site.repo.index().ok();
            self.positions = None;
        }
        self.index.as_ref()
    }

    /// Gives bytes back that are not to be stored as content, unless `git add` wants to take them:
    /// git holds the lock of the index then, and the index does not have them at that path.
    fn unless_added(
        &mut self,
        path: &RepoPath,
        bytes: Vec<u8>,
        refusal: Error,
    ) -> Result<Vec<u8>, Error> {
        let is_locked = self.is_index_locked();
        let blob = self.site.repo.blob_id_of(&bytes)?;
        let is_known = self
            .index()
            .is_some_and(|index| index.at(path.as_bytes()).any(|entry| entry.id == blob));
        if is_locked && !is_known {
            return Err(refusal);
        }
        self.site.reporter.warn(&format!("`{}`: {refusal}", path.display()));
        Ok(bytes)
    }

    /// Reads the rest of what is given back as it is.
    fn give_back(
        &self,
        mut bytes: Vec<u8>,
        is_complete: bool,
        chunks: &mut dyn Chunks,
    ) -> Result<Vec<u8>, Error> {
        while !is_complete && let Some(chunk) = chunks.next_chunk().map_err(Error::Stream)? {
            if bytes.len() + chunk.len() > MAX_DAMAGED_BYTES {
                return Err(Error::TooLong);
            }
            bytes.extend_from_slice(chunk);
        }
        Ok(bytes)
    }
}

fn is_of(pointer: &Pointer, hashed: &Hashed) -> bool {
    pointer.oid() == hashed.oid && pointer.size() == hashed.size
}
