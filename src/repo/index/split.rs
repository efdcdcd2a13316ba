//! Putting a split index together: most of its entries are in a second file that rarely changes.

use std::path::Path;

use gix::index::entry::Flags;

use super::{Error, Index, Slot, walk};

impl Index {
    /// Replaces the own entries by those of both files, which gix reads.
    pub(super) fn merge_shared(&mut self, path: &Path) -> Result<(), Error> {
        let failed = |source: super::super::Cause| Error::Split { path: path.to_owned(), source };
        let hash = match self.hash_len {
            20 => gix::hash::Kind::Sha1,
            _ => gix::hash::Kind::Sha256,
        };
        let options = gix::index::decode::Options::default();
        let file = gix::index::File::at(path, hash, true, options)
            .map_err(|error| failed(error.into()))?;
        let (bytes, arena, slots) = reencode(&file)
            .ok_or_else(|| failed("it has more than 4 GiB or an unknown kind of entry".into()))?;
        (self.bytes, self.arena, self.slots) = (bytes, Some(arena), slots);
        Ok(())
    }
}

/// Writes entries as an index of version 3 would have them, with the paths apart.
fn reencode(file: &gix::index::File) -> Option<(Vec<u8>, Vec<u8>, Vec<Slot>)> {
    let (mut bytes, mut arena) = (Vec::new(), Vec::new());
    let mut slots = Vec::with_capacity(file.entries().len());
    for entry in file.entries() {
        let path = entry.path(file);
        slots.push(Slot {
            entry: u32::try_from(bytes.len()).ok()?,
            path: u32::try_from(arena.len()).ok()?,
            path_len: u32::try_from(path.len()).ok()?,
        });
        arena.extend_from_slice(path);
        let (stat, mode) = (&entry.stat, entry.mode.bits());
        walk::kind(mode)?;
        for word in [
            stat.ctime.secs,
            stat.ctime.nsecs,
            stat.mtime.secs,
            stat.mtime.nsecs,
            stat.dev,
            stat.ino,
            mode,
            stat.uid,
            stat.gid,
            stat.size,
        ] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(entry.id.as_bytes());
        let stage = u16::try_from(entry.stage_raw()).ok()? << 12;
        bytes.extend_from_slice(&(stage | walk::EXTENDED).to_be_bytes());
        let mut extended = 0;
        if entry.flags.contains(Flags::INTENT_TO_ADD) {
            extended |= walk::INTENT_TO_ADD;
        }
        if entry.flags.contains(Flags::SKIP_WORKTREE) {
            extended |= walk::SKIP_WORKTREE;
        }
        bytes.extend_from_slice(&extended.to_be_bytes());
    }
    Some((bytes, arena, slots))
}
