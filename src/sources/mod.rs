//! The sources of items: which lakes a pointer names, chosen and changed for many items at once.
//!
//! [`select`] says which items a person means; [`rewrite`] gives them other pointers, in git's
//! database, the index and the work tree; [`add`] and [`remove`] decide what the other pointers are.
//! [`walk`] gives every pointer there is; [`upload`], [`tally`] and [`only`] pay, count and ask for them.
//! Nothing here removes anything from a lake, and nothing looks at content.

use std::borrow::Cow;

use crate::pointer::Pointer;
use crate::repo::BlobId;
use crate::repo_path::RepoPath;

pub mod add;
pub mod only;
pub mod remove;
pub mod rewrite;
pub mod select;
pub mod supply;
pub mod tally;
pub mod upload;
pub mod walk;

/// So many pointers are looked at together: enough for lists of lakes to answer many questions, and few
/// enough for memory.
const AT_ONCE: usize = 8192;

/// A pointer of the index.
#[derive(Debug, Clone)]
pub struct Item {
    /// Where it stands.
    pub path: RepoPath,
    /// Its blob.
    pub blob: BlobId,
    /// The very bytes of the blob, where they are not those that the pointer is written with.
    pub unusual_text: Option<Box<[u8]>>,
    /// What it says.
    pub pointer: Pointer,
}

impl Item {
    /// Makes an item of a blob that is there, with the bytes `text`.
    pub fn new(path: RepoPath, blob: BlobId, text: Vec<u8>, pointer: Pointer) -> Self {
        let unusual_text = (text != pointer.to_bytes()).then(|| text.into());
        Self { path, blob, unusual_text, pointer }
    }

    /// Returns the very bytes of the blob.
    pub fn text(&self) -> Cow<'_, [u8]> {
        match &self.unusual_text {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(self.pointer.to_bytes()),
        }
    }
}
