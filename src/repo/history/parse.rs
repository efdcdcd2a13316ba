//! Understanding what git writes about pushes, changes and trees.

use super::{Error, FoundBlob};
use crate::repo::BlobId;
use crate::repo::process::Stream;

/// One reference that a push changes, as git tells its `pre-push` hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// What is pushed, as it was named; `(delete)` for a deletion.
    pub local_ref: Vec<u8>,
    /// The object that is pushed; all zeros for a deletion.
    pub local_id: BlobId,
    /// The reference on the other side.
    pub remote_ref: Vec<u8>,
    /// What it is there; all zeros for a new reference.
    pub remote_id: BlobId,
}

/// Says that a line is not one that git gives to a `pre-push` hook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `<local ref> <local id> <remote ref> <remote id>`")]
pub struct ParseRefUpdateError(pub String);

impl RefUpdate {
    /// Parses one line, without its end: `<local ref> SP <local id> SP <remote ref> SP <remote id>`.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn parse(line: &[u8]) -> Result<Self, ParseRefUpdateError> {
        let error = || ParseRefUpdateError(String::from_utf8_lossy(line).into_owned());
        // From the right: what is pushed may be named by an expression that has blanks in it.
        let mut words = line.rsplitn(4, |byte| *byte == b' ');
        let mut next = || words.next().filter(|word| !word.is_empty());
        let (remote_id, remote_ref) = (next(), next());
        let (local_id, local_ref) = (next(), next());
        let id = |word: Option<&[u8]>| word.and_then(BlobId::parse_hex).ok_or_else(error);
        let name = |word: Option<&[u8]>| word.map(<[u8]>::to_vec).ok_or_else(error);
        Ok(Self {
            local_ref: name(local_ref)?,
            local_id: id(local_id)?,
            remote_ref: name(remote_ref)?,
            remote_id: id(remote_id)?,
        })
    }

    /// Parses all that a `pre-push` hook gets, which is nothing if there is nothing to push.
    ///
    /// # Errors
    /// At the first line that is anything else.
    pub fn parse_all(stdin: &[u8]) -> Result<Vec<Self>, ParseRefUpdateError> {
        stdin
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(Self::parse)
            .collect()
    }

    /// Returns the object that the remote gets; `None` for a deletion.
    pub fn sent(&self) -> Option<BlobId> {
        Some(self.local_id).filter(|id| !id.is_zero())
    }

    /// Returns the object that the remote has there now; `None` for a new reference.
    pub fn replaced(&self) -> Option<BlobId> {
        Some(self.remote_id).filter(|id| !id.is_zero())
    }
}

/// Parses `git diff-tree -z --raw`: `:<mode> <mode> <id> <id> <status>` NUL `<path>` NUL.
///
/// `add` gets each file that is there afterwards, and the blob of the file that was there before.
pub(super) fn raw_changes(
    stream: &mut Stream,
    add: &mut dyn FnMut(FoundBlob, Option<BlobId>),
) -> Result<(), Error> {
    const WRONG: Error = Error::Answer { command: "diff-tree" };
    while let Some(record) = stream.next_record(0).map_err(|_| WRONG)? {
        let words: Vec<&[u8]> = record.split(|byte| *byte == b' ').collect();
        let [old_mode, mode, old_id, id, _] = words[..] else {
            return Err(WRONG);
        };
        let old_mode = old_mode.strip_prefix(b":").ok_or(WRONG)?;
        let path = stream.next_record(0).map_err(|_| WRONG)?.ok_or(WRONG)?;
        if is_file_mode(mode) {
            let id = BlobId::parse_hex(id).ok_or(WRONG)?;
            let old = BlobId::parse_hex(old_id).ok_or(WRONG)?;
            add(FoundBlob { id, path }, Some(old).filter(|_| is_file_mode(old_mode)));
        }
    }
    Ok(())
}

/// Parses `git ls-tree -z`: `<mode> <type> <id>` TAB `<path>` NUL.
pub(super) fn tree_entries(
    stream: &mut Stream,
    add: &mut dyn FnMut(FoundBlob),
) -> Result<(), Error> {
    const WRONG: Error = Error::Answer { command: "ls-tree" };
    while let Some(record) = stream.next_record(0).map_err(|_| WRONG)? {
        let tab = record.iter().position(|byte| *byte == b'\t').ok_or(WRONG)?;
        let words: Vec<&[u8]> = record[..tab].split(|byte| *byte == b' ').collect();
        let [mode, _, id] = words[..] else {
            return Err(WRONG);
        };
        if is_file_mode(mode) {
            let id = BlobId::parse_hex(id).ok_or(WRONG)?;
            let path = record[tab + 1..].to_owned();
            add(FoundBlob { id, path });
        }
    }
    Ok(())
}

/// Returns true for regular files, the only ones that git filters.
pub(super) fn is_file_mode(mode: &[u8]) -> bool {
    mode.starts_with(b"100")
}
