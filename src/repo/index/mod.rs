//! Reading git's index: which blob stands at which path, for many thousands of paths at once.
//!
//! The format is git's `Documentation/gitformat-index.txt`, versions 2 to 4. The file is read once
//! and walked once; entries stay in the bytes they came in, so 100,000 of them cost milliseconds.
//! The checksum at the end is not verified: git replaces the file by a rename, so that it is whole
//! whenever it is seen, and hashing it would cost more than everything else. Damage shows as an
//! error, never as a panic.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::BlobId;
pub use search::{Found, Key, search};

use crate::fs::{self, IoContext as _, PathError, if_exists};

mod search;
mod split;
mod walk;

/// How many bytes of stat data begin each entry.
pub(super) const STAT_BYTES: usize = 40;

/// Says why an index could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no index that git would write.
    #[error("The index `{}` is damaged: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Git uses a feature that is not known here.
    #[error("The index `{}` needs the extension `{extension}`, which is not supported", .path.display())]
    Extension {
        /// The file.
        path: PathBuf,
        /// Four letters.
        extension: String,
    },
    /// The index is split over two files that could not be put together.
    #[error("Could not read the split index `{}`", .path.display())]
    Split {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: super::Cause,
    },
    /// The file could not be read.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// What kind of thing an entry of the index stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file.
    Regular,
    /// A regular file that may be executed.
    Executable,
    /// A symbolic link.
    Symlink,
    /// A commit of a submodule.
    Gitlink,
    /// A folder outside a sparse checkout, whose files have no entries; its path ends with `/`.
    SparseFolder,
}

impl EntryKind {
    /// Returns true for files that may be executed.
    pub fn is_executable(self) -> bool {
        self == Self::Executable
    }

    /// Returns true for files with content of their own, the only ones that git filters.
    pub fn is_file(self) -> bool {
        matches!(self, Self::Regular | Self::Executable)
    }
}

/// A time as the index stores it: 32 bits of seconds since 1970, which wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexTime {
    /// Whole seconds.
    pub seconds: u32,
    /// The rest; zero if git was built to ignore it.
    pub nanoseconds: u32,
}

/// One path of the index, at one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The path, from the top of the work tree.
    pub path: &'a [u8],
    /// The blob (or commit, or tree) that stands there.
    pub id: BlobId,
    /// 0, or 1 (base), 2 (ours) and 3 (theirs) while a merge is not resolved.
    pub stage: u8,
    /// What it is.
    pub kind: EntryKind,
    /// True after `git add --intent-to-add`: there is no content yet.
    pub is_intent_to_add: bool,
    /// True if a sparse checkout leaves the file out of the work tree.
    pub is_skip_worktree: bool,
    /// The size of the file in the work tree when git last looked, modulo 2^32; 0 means "look again".
    pub size: u32,
    /// The time of the file in the work tree when git last looked.
    pub mtime: IndexTime,
    /// All stat data of the file when git last looked, of which the two above are a part.
    pub(in crate::repo) stat: &'a [u8],
}

/// Where in the bytes an entry and its path are.
#[derive(Debug, Clone, Copy)]
struct Slot {
    entry: u32,
    path: u32,
    path_len: u32,
}

/// The state of an index file, for telling cheaply whether it was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(Option<fs::Stamp>);

impl Stamp {
    /// Looks at the file as it is now; one that does not exist has a stamp, too.
    ///
    /// # Errors
    /// If its metadata cannot be read.
    pub fn of(path: &Path) -> Result<Self, PathError> {
        let metadata = if_exists(std::fs::metadata(path)).context(path)?;
        Ok(Self(metadata.as_ref().map(fs::Stamp::of)))
    }
}

/// The content of an index file at the time it was read.
#[derive(Debug)]
pub struct Index {
    /// The file, or for a split index its entries in the same form.
    bytes: Vec<u8>,
    /// The paths, where they are not in `bytes` as a whole: version 4 and split indices.
    arena: Option<Vec<u8>>,
    slots: Vec<Slot>,
    hash_len: usize,
    is_split: bool,
    /// Where in the file the extensions begin.
    extensions_at: usize,
    stamp: Stamp,
}

impl Index {
    /// Reads an index file of a repository whose ids have `hash_len` bytes; a missing one is empty.
    ///
    /// # Errors
    /// If the file is damaged or cannot be read.
    pub fn read(path: &Path, hash_len: usize) -> Result<Self, Error> {
        let Some(mut file) = if_exists(File::open(path)).context(path)? else {
            return Ok(Self::empty(hash_len));
        };
        // Taken from the open file, so that it belongs to these very bytes.
        let metadata = file.metadata().context(path)?;
        let capacity = usize::try_from(metadata.len()).unwrap_or(0);
        let mut bytes = Vec::with_capacity(capacity + 1);
        file.read_to_end(&mut bytes).context(path)?;
        let mut index = Self::parse(bytes, hash_len).map_err(|flaw| flaw.at(path))?;
        index.stamp = Stamp(Some(fs::Stamp::of(&metadata)));
        if index.is_split {
            index.merge_shared(path)?;
        }
        Ok(index)
    }

    /// Understands the bytes of an index file, by themselves: a split one has only its own entries.
    pub(super) fn parse(bytes: Vec<u8>, hash_len: usize) -> Result<Self, walk::Flaw> {
        let walked = walk::walk(&bytes, hash_len)?;
        Ok(Self {
            bytes,
            arena: walked.arena,
            slots: walked.slots,
            hash_len,
            is_split: walked.is_split,
            extensions_at: walked.extensions_at,
            stamp: Stamp(None),
        })
    }

    fn empty(hash_len: usize) -> Self {
        Self {
            bytes: Vec::new(),
            arena: None,
            slots: Vec::new(),
            hash_len,
            is_split: false,
            extensions_at: 0,
            stamp: Stamp(None),
        }
    }

    /// Returns how many entries there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns true if there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Returns true if a part of the index is in another file, so that its bytes cannot be patched.
    pub fn is_split(&self) -> bool {
        self.is_split
    }

    /// Returns the stamp of the file that was read, to compare with [`Stamp::of`] later.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Returns when the file was written that was read, if there was one.
    pub(super) fn modified(&self) -> Option<std::time::SystemTime> {
        self.stamp.0.and_then(fs::Stamp::modified)
    }

    /// Returns true if the file is not the one that was read, or cannot be looked at.
    pub fn has_changed(&self, path: &Path) -> bool {
        Stamp::of(path).ok() != Some(self.stamp)
    }

    /// Returns all entries, ordered by path bytes and then by stage.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry<'_>> {
        self.slots.iter().map(|slot| self.entry(*slot))
    }

    /// Returns the entries at a path: one of stage 0, up to three of a conflict, or none.
    pub fn at<'a>(&'a self, path: &[u8]) -> impl ExactSizeIterator<Item = Entry<'a>> {
        self.range_of(path).map(|position| self.entry(self.slots[position]))
    }

    /// Returns the entry of stage 0 at a path.
    pub fn entry_at(&self, path: &[u8]) -> Option<Entry<'_>> {
        self.at(path).find(|entry| entry.stage == 0)
    }

    /// Returns the positions of all stages of a path.
    fn range_of(&self, path: &[u8]) -> std::ops::Range<usize> {
        let begin = self.slots.partition_point(|slot| self.path_of(*slot) < path);
        let same = self.slots[begin..].iter().take_while(|slot| self.path_of(**slot) == path);
        begin..begin + same.count()
    }

    /// Returns where in the file the stat data of the entry of stage 0 at a path begin, and its id.
    pub(super) fn stat_offset_at(&self, path: &[u8]) -> Option<(usize, BlobId)> {
        let mut slots = self.range_of(path).map(|position| self.slots[position]);
        let slot = slots.find(|slot| self.entry(*slot).stage == 0)?;
        Some((slot.entry as usize, self.entry(slot).id))
    }

    /// Returns all entries with the offset of their stat data.
    pub(super) fn entries_with_offsets(&self) -> impl Iterator<Item = (usize, Entry<'_>)> {
        self.slots.iter().map(|slot| (slot.entry as usize, self.entry(*slot)))
    }

    /// Returns the bytes of the file.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns the bytes of the file without the extensions of these signatures.
    ///
    /// Offsets of entries stay; the checksum at the end is void.
    pub(super) fn into_bytes_without(self, unwanted: &[&[u8; 4]]) -> Vec<u8> {
        let mut bytes = self.bytes;
        let checksum = bytes.split_off(bytes.len() - self.hash_len);
        let extensions = walk::extensions_without(&bytes[self.extensions_at..], unwanted);
        bytes.truncate(self.extensions_at);
        bytes.extend(extensions);
        bytes.extend(checksum);
        bytes
    }

    fn path_of(&self, slot: Slot) -> &[u8] {
        let backing = self.arena.as_deref().unwrap_or(&self.bytes);
        &backing[slot.path as usize..slot.path as usize + slot.path_len as usize]
    }

    /// Reads an entry that the walk has found to be whole.
    fn entry(&self, slot: Slot) -> Entry<'_> {
        let entry = &self.bytes[slot.entry as usize..];
        let flags = walk::u16_at(entry, STAT_BYTES + self.hash_len);
        let extended = match flags & walk::EXTENDED {
            0 => 0,
            _ => walk::u16_at(entry, STAT_BYTES + self.hash_len + 2),
        };
        let id = &entry[STAT_BYTES..STAT_BYTES + self.hash_len];
        Entry {
            path: self.path_of(slot),
            id: BlobId::from_bytes(id).expect("the walk accepts 20 or 32 bytes only"),
            stage: walk::stage(flags),
            kind: walk::kind(walk::u32_at(entry, 24)).expect("the walk checked the kind"),
            is_intent_to_add: extended & walk::INTENT_TO_ADD != 0,
            is_skip_worktree: extended & walk::SKIP_WORKTREE != 0,
            size: walk::u32_at(entry, 36),
            mtime: IndexTime {
                seconds: walk::u32_at(entry, 8),
                nanoseconds: walk::u32_at(entry, 12),
            },
            stat: &entry[..STAT_BYTES],
        }
    }
}

#[cfg(test)]
mod tests;
