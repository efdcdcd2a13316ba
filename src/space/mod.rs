//! Making room: objects leave the store, and content leaves the work tree, when lakes are sure to hold it.
//!
//! Whatever goes from here was confirmed a moment ago to be in enough lakes that others reach, or nothing
//! has named it for two weeks. Plans are values; carrying one out looks again, under the store's lock.

pub mod drop;
pub mod limit;
pub mod needs;
pub mod prune;
