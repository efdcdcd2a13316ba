//! The sources of items: which lakes a pointer names, chosen and changed for many items at once.
//!
//! [`select`] says which items a person means; [`rewrite`] gives them other pointers, in git's
//! database, the index and the work tree; [`add`] and [`remove`] decide what the other pointers are.
//! [`walk`] gives every pointer there is; [`upload`], [`tally`] and [`only`] pay, count and ask for them.
//! Nothing here removes anything from a lake, and nothing looks at content.

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

/// A pointer of the index.
#[derive(Debug, Clone)]
pub struct Item {
    /// Where it stands.
    pub path: RepoPath,
    /// Its blob.
    pub blob: BlobId,
    /// The very bytes of the blob.
    pub text: Vec<u8>,
    /// What it says.
    pub pointer: Pointer,
}
