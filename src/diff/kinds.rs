//! The kinds of objects, by their first bytes: from the store, else from a lake in a folder.
//!
//! What comes from a lake is not verified, and serves for nothing but being shown.

use std::collections::HashMap;
use std::io::Read;

use super::{Form, Look, Version};
use crate::kind::{HEAD_BYTES, Kind};
use crate::lake_url::Scheme;
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::transfer::Transfer;
use crate::workspace::Workspace;

/// Tells kinds, each object's once.
pub(super) struct Kinds<'a> {
    site: &'a Workspace,
    transfer: Transfer,
    look: Look,
    known: HashMap<Oid, Option<Kind>>,
}

impl<'a> Kinds<'a> {
    pub(super) fn new(site: &'a Workspace, look: Look) -> Self {
        Self { site, transfer: site.transfer(), look, known: HashMap::new() }
    }

    /// Fills in the kind of a version that is a pointer.
    pub(super) fn tell(&mut self, version: &mut Version) {
        let (Form::Pointer, Some(oid)) = (version.form, version.oid) else { return };
        version.kind = match self.known.get(&oid) {
            Some(kind) => kind.clone(),
            None => {
                let kind = self.head(version, oid).and_then(|head| Kind::of(&head));
                self.known.insert(oid, kind.clone());
                kind
            }
        };
    }

    /// Reads the first bytes of an object where that costs next to nothing; failures tell nothing.
    fn head(&self, version: &Version, oid: Oid) -> Option<Vec<u8>> {
        if let Some(file) = self.site.store.open(oid).ok().flatten()
            && file.metadata().is_ok_and(|metadata| metadata.len() == version.size)
        {
            return read_head(file);
        }
        if self.look == Look::Store {
            return None;
        }
        let pointer = Pointer::new(oid, version.size, version.sources.clone()).ok()?;
        let candidates = self.site.config.candidates(&pointer, &version.path).into_iter();
        let mut in_folders = candidates
            .filter(|source| self.site.config.rewritten(&source.lake).scheme() == Scheme::File);
        in_folders.find_map(|source| {
            let open = self.transfer.lakes.at(&source.lake);
            let content = open.usable().ok()?.get(&source.name, 0).ok()?;
            (content.size == version.size).then(|| read_head(content.reader))?
        })
    }
}

fn read_head(reader: impl Read) -> Option<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    reader.take(HEAD_BYTES as u64).read_to_end(&mut head).ok()?;
    Some(head)
}
