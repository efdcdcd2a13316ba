//! Copies that stay inside a server: where an object lies there, and who can reach it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Where a server finds an object.
///
/// Holds the server as it is asked by one process, with its keys: only lakes that share it can copy.
#[derive(Clone)]
pub struct Place {
    server: Arc<dyn Any + Send + Sync>,
    pub(super) bucket: String,
    pub(super) key: String,
}

impl Place {
    /// Names an object of a bucket on a server.
    pub(super) fn new(server: Arc<dyn Any + Send + Sync>, bucket: &str, key: String) -> Self {
        Self { server, bucket: bucket.to_owned(), key }
    }

    /// Returns true if both are on one server and asked for with the same keys.
    pub fn is_beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.server, &other.server)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket, self.key)
    }
}
