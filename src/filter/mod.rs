//! The filter.
pub mod pktline;
pub mod protocol;
