//! The kinds of objects, by their first bytes: from the store, else from a lake, of which a server is
//! asked for a few objects only.
//!
//! What comes from a lake is not verified, and serves for nothing but being shown.

use std::collections::HashMap;
use std::io::Read;

use super::{Form, Look, Version};
use crate::kind::{HEAD_BYTES, Kind};
use crate::lake_url::{Scheme, SourceUrl};
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::transfer::Transfer;
use crate::workspace::Workspace;

/// Servers are asked so many times for the first bytes of an object: each time takes a round trip.
const QUESTIONS: usize = 50;

/// Tells kinds, each object's once.
pub(super) struct Kinds<'a> {
    site: &'a Workspace,
    transfer: Transfer,
    look: Look,
    known: HashMap<Oid, Option<Kind>>,
    /// How often a server may still be asked.
    questions_left: usize,
}

impl<'a> Kinds<'a> {
    pub(super) fn new(site: &'a Workspace, look: Look) -> Self {
        Self {
            site,
            transfer: site.transfer(),
            look,
            known: HashMap::new(),
            questions_left: QUESTIONS,
        }
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
    fn head(&mut self, version: &Version, oid: Oid) -> Option<Vec<u8>> {
        if let Some(file) = self.site.store.open(oid).ok().flatten()
            && file.metadata().is_ok_and(|metadata| metadata.len() == version.size)
        {
            return read_head(file);
        }
        if self.look == Look::Store {
            return None;
        }
        let pointer = Pointer::new(oid, version.size, version.sources.clone()).ok()?;
        let is_folder =
            |source: &SourceUrl| self.site.config.rewritten(&source.lake).scheme() == Scheme::File;
        let mut candidates = self.site.config.candidates(&pointer, &version.path);
        candidates.sort_by_key(|source| !is_folder(source));
        for source in candidates {
            if !is_folder(&source) {
                self.questions_left = self.questions_left.checked_sub(1)?;
            }
            let open = self.transfer.lakes.at(&source.lake);
            let Ok(lake) = open.usable() else { continue };
            let found = lake.get_first(&source.name, HEAD_BYTES as u64);
            open.note(&found);
            let Some(content) = found.ok().filter(|content| content.size == version.size) else {
                continue;
            };
            if let Some(head) = read_head(content.reader) {
                return Some(head);
            }
        }
        None
    }
}

fn read_head(reader: impl Read) -> Option<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    reader.take(HEAD_BYTES as u64).read_to_end(&mut head).ok()?;
    Some(head)
}
