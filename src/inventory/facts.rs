//! Which blobs are pointers, and to what: from the clone's map of blobs, else by reading.

use std::collections::HashMap;

use crate::repo::{self, BlobId};
use crate::store::blob_map::{BlobMap, Known, Named};
use crate::workspace::Workspace;

/// What blobs say, but for their sources. What has to be read is kept for later processes when this is
/// dropped.
pub(super) struct Facts<'a> {
    site: &'a Workspace,
    map: BlobMap,
    known: Known,
    /// What was read.
    read: HashMap<BlobId, Named>,
}

impl<'a> Facts<'a> {
    /// Reads the map of blobs.
    pub(super) fn of(site: &'a Workspace) -> Self {
        let map = BlobMap::at(site.store.root(), site.repo.hash_len());
        let known = map.known();
        Self { site, map, known, read: HashMap::new() }
    }

    /// Returns what a blob says; `None` if it is no pointer.
    ///
    /// # Errors
    /// If it is not known and cannot be read.
    pub(super) fn get(&mut self, blob: BlobId) -> Result<Option<Named>, repo::Error> {
        let known = self.known.get(blob.as_bytes());
        if let Some(named) = known.or_else(|| self.read.get(&blob).copied()) {
            return Ok(Some(named));
        }
        let Some((text, pointer)) = self.site.pointer_of(blob)? else { return Ok(None) };
        let named = Named::new(pointer.oid(), pointer.size(), &text);
        self.map.learn(blob.as_bytes(), named);
        self.read.insert(blob, named);
        Ok(Some(named))
    }
}

impl Drop for Facts<'_> {
    fn drop(&mut self) {
        // Only time is lost if it cannot be kept.
        drop(self.map.save());
    }
}
