//! An object becomes a file of the work tree.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};

use super::{Error, Store};
use crate::digest::{COPY_BUFFER_BYTES, Hasher};
use crate::fail_point;
use crate::fs::beneath::{Parent, Tree};
use crate::fs::{IoContext as _, Shared, Stamp, copy_blocks, platform};
use crate::oid::Oid;
use crate::repo_path::RepoPath;

/// So much is copied and hashed before somebody is told.
const HASHED_BYTES: u64 = 4 << 20;

/// What came of putting content in the place of a pointer.
#[derive(Debug)]
pub enum Outcome {
    /// The file has the content now; these are its new stat data.
    Filled(Metadata),
    /// The file is not exactly the pointer any more: the user's, so it was left alone.
    Changed,
    /// There is no file at the path.
    Gone,
    /// The object is not in the store.
    NotStored,
    /// Somebody asked to stop; the file is as it was.
    Interrupted,
}

impl Store {
    /// Replaces the file at `path` by the object's content, if the file is exactly `pointer`.
    ///
    /// The content is verified on the way; `advanced` hears of bytes that were copied, and stops the
    /// copying with false. See [`Store::replace_text`] for how the file is replaced.
    ///
    /// # Errors
    /// [`Error::Damaged`], or if reading or writing fails.
    pub fn materialize(
        &self,
        tree: &Tree,
        path: &RepoPath,
        pointer: &[u8],
        oid: Oid,
        size: u64,
        advanced: &dyn Fn(u64) -> bool,
    ) -> Result<Outcome, Error> {
        self.replace(tree, path, Expected::Text(pointer), &|target| {
            let Some(mut source) = self.open(oid)? else {
                return Ok(Some(Outcome::NotStored));
            };
            let shown = crate::repo_path::join(tree.root(), path);
            let found = super::gc::note_use_of(&source).context(&shown)?;
            match self
                .copy_verified(&mut source, &found, target, oid, size, advanced)
                .context(shown)?
            {
                Copied::Good => Ok(None),
                Copied::Damaged => Err(self.damaged(oid)?),
                Copied::Interrupted => Ok(Some(Outcome::Interrupted)),
            }
        })
    }

    /// Replaces the file at `path` by another small text, if the file is exactly `old`; one that is
    /// exactly `new`, as an earlier run may have left it, is as good as replaced.
    ///
    /// It keeps its executable bit and time of modification, and the new one appears by rename; an
    /// editor that saves the file at that very moment wins, where the file system can exchange names.
    /// No symbolic link is followed. The staged file lies in the git dir, or beside the target where that
    /// is another file system. Not synced: git's files are not either.
    ///
    /// # Errors
    /// If reading or writing fails.
    pub fn replace_text(
        &self,
        tree: &Tree,
        path: &RepoPath,
        old: &[u8],
        new: &[u8],
    ) -> Result<Outcome, Error> {
        let shown = || crate::repo_path::join(tree.root(), path);
        let outcome = self.replace(tree, path, Expected::Text(old), &|target| {
            target.write_all(new).context(shown())?;
            Ok(None)
        })?;
        let Outcome::Changed = outcome else { return Ok(outcome) };
        let Some(parent) = tree.parent(path).context(shown())? else {
            return Ok(Outcome::Gone);
        };
        let there = pointer_file(&parent, new).context(shown())?;
        Ok(there.map_or(Outcome::Changed, Outcome::Filled))
    }

    /// Replaces a file by a small text, if nobody has changed the file since it was looked at.
    ///
    /// Promises what [`Store::replace_text`] does.
    ///
    /// # Errors
    /// If reading or writing fails.
    pub fn replace_unchanged(
        &self,
        tree: &Tree,
        path: &RepoPath,
        looked_at: &Metadata,
        new: &[u8],
    ) -> Result<Outcome, Error> {
        let shown = || crate::repo_path::join(tree.root(), path);
        self.replace(tree, path, Expected::File(looked_at), &|target| {
            target.write_all(new).context(shown())?;
            Ok(None)
        })
    }

    /// Replaces a file that is what is expected by what `write` writes, unless that says how it ended
    /// without.
    fn replace(
        &self,
        tree: &Tree,
        path: &RepoPath,
        expected: Expected<'_>,
        write: &dyn Fn(&mut File) -> Result<Option<Outcome>, Error>,
    ) -> Result<Outcome, Error> {
        let shown = crate::repo_path::join(tree.root(), path);
        let Some(parent) = tree.parent(path).context(&shown)? else {
            return Ok(Outcome::Gone);
        };
        let Some(before) = expected.found(&parent).context(&shown)? else {
            return Ok(Outcome::Changed);
        };
        let mut staged = crate::fs::stage(self.tmp_near(&shown, &before)?, Shared::Yes)?;
        if let Some(outcome) = write(staged.as_file_mut())? {
            return Ok(outcome);
        }
        platform::copy_executable(&before, staged.as_file()).context(&shown)?;
        if let Ok(modified) = before.modified() {
            staged.as_file().set_modified(modified).context(&shown)?;
        }
        // The user may have saved the file while the copy was made.
        let now = parent.open_file().ok();
        if now.is_none_or(|(_, now)| !Stamp::of(&before).is_of(&now)) {
            return Ok(Outcome::Changed);
        }
        fail_point::reach("fill-copied");
        if !parent.swap_in(staged.path(), &before).context(&shown)? {
            return Ok(Outcome::Changed);
        }
        staged.disable_cleanup(true);
        let metadata = staged.as_file().metadata().context(&shown)?;
        Ok(Outcome::Filled(metadata))
    }

    /// Copies an object to a file and verifies it. What this process has verified before is copied
    /// without hashing it again, by sharing its blocks where that works.
    fn copy_verified(
        &self,
        source: &mut File,
        found: &Metadata,
        target: &mut File,
        oid: Oid,
        size: u64,
        advanced: &dyn Fn(u64) -> bool,
    ) -> io::Result<Copied> {
        // One byte too many is noticed, without reading it all.
        let most = size.saturating_add(1);
        if found.len() == size && self.is_verified(oid, found) {
            let mut goes_on = true;
            let copied = copy_blocks(source, target, most, &mut |count| {
                fail_point::reach("fill-copying");
                goes_on = advanced(count);
                goes_on
            })?;
            return Ok(match goes_on {
                false => Copied::Interrupted,
                true if copied == size => Copied::Good,
                true => Copied::Damaged,
            });
        }
        let (mut hasher, mut copied) = (Hasher::default(), 0);
        // A small file does not pay for clearing more.
        let mut buffer = vec![0; most.min(COPY_BUFFER_BYTES as u64) as usize];
        loop {
            let piece = &mut source.take(HASHED_BYTES);
            let count = super::copy_hashing(piece, target, &mut hasher, &mut buffer)?;
            copied += count;
            fail_point::reach("fill-copying");
            if count == 0 || copied > size {
                break;
            }
            if !advanced(count) {
                return Ok(Copied::Interrupted);
            }
        }
        let is_good = copied == size && hasher.finish().oid == oid;
        Ok(if is_good { Copied::Good } else { Copied::Damaged })
    }
}

/// Which file may be replaced.
#[derive(Clone, Copy)]
enum Expected<'a> {
    /// One that is exactly this text.
    Text(&'a [u8]),
    /// The one with these stat data.
    File(&'a Metadata),
}

impl Expected<'_> {
    /// Returns the file's stat data if it is the one.
    fn found(self, parent: &Parent) -> io::Result<Option<Metadata>> {
        match self {
            Self::Text(text) => pointer_file(parent, text),
            Self::File(before) => {
                let now = parent.open_file().ok().map(|(_, now)| now);
                Ok(now.filter(|now| Stamp::of(before).is_of(now)))
            }
        }
    }
}

/// What came of copying an object.
enum Copied {
    Good,
    Damaged,
    Interrupted,
}

/// Returns the file's stat data if it is exactly the pointer.
fn pointer_file(parent: &Parent, pointer: &[u8]) -> io::Result<Option<Metadata>> {
    let Ok((file, metadata)) = parent.open_file() else {
        return Ok(None);
    };
    if metadata.len() != pointer.len() as u64 {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(pointer.len() + 1);
    file.take(pointer.len() as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes == pointer).then_some(metadata))
}
