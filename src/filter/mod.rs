//! The filter: git hands it content and pointers, one path at a time.
//!
//! [`session`] holds the conversation with git over [`protocol`]; [`clean`] and [`smudge`] decide
//! about one path; `delay` keeps what git asks for again when it is there; [`finish`] runs when git
//! closes the pipe and makes good what must not wait: syncing, uploading, one summary.
//!
//! The filter runs inside `git status`, `git diff` and `git switch`, where nobody expects it. So a
//! clean never needs the network and never fails because of it, and a smudge that cannot have the
//! content answers with the pointer, unless `lake.strict` asks otherwise.

pub mod clean;
mod delay;
pub mod finish;
mod large;
pub mod pktline;
pub mod protocol;
pub mod session;
pub mod smudge;
