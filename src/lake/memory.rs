//! A lake in memory, for tests that need a lake and not a disk.
//!
//! It keeps every promise of [`super::contract`] but durability, and lets a test arrange what a real
//! lake only meets by accident.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::declaration::settle_hash;
use super::upload::{CopyError, names_aside};
use super::{
    AdminLake, Capabilities, Creation, Declaration, Features, Found, LakeError, LakeId, Listing,
    ObjectContent, ObjectInfo, Observer, Obstacle, Place, Proof, Put, ReadLake, Replaced, Survey,
    Upload, WriteLake,
};
use crate::digest::HashName;
use crate::fs::unix_now;
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;

/// A lake in memory.
#[derive(Debug)]
pub struct MemoryLake {
    url: LakeUrl,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    declaration: Option<Declaration>,
    objects: BTreeMap<ObjectName, Stored>,
    aside: Vec<(String, Stored)>,
    is_away: bool,
}

#[derive(Debug, Clone)]
struct Stored {
    bytes: Arc<[u8]>,
    modified: u64,
}

impl Stored {
    fn now(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into(), modified: unix_now() }
    }

    fn info(&self) -> ObjectInfo {
        ObjectInfo { size: self.bytes.len() as u64, modified: Some(self.modified) }
    }
}

impl MemoryLake {
    /// Returns an empty lake that declares nothing yet.
    pub fn new(url: LakeUrl) -> Self {
        let state = Mutex::default();
        Self { url, state }
    }

    /// Returns an empty lake that declares `hash`.
    pub fn declared(url: LakeUrl, hash: HashName) -> Self {
        let lake = Self::new(url);
        lake.state().declaration =
            Some(Declaration { hash, id: Some(LakeId::random()), assumed: None });
        lake
    }

    /// Puts bytes under a name, whatever the name says and whatever was there.
    pub fn plant(&self, name: &ObjectName, bytes: &[u8]) {
        self.state().objects.insert(name.clone(), Stored::now(bytes));
    }

    /// Removes an object; true if it was there.
    pub fn remove(&self, name: &ObjectName) -> bool {
        self.state().objects.remove(name).is_some()
    }

    /// Dates an object, in unix seconds; nothing happens if it is not there.
    pub fn set_modified(&self, name: &ObjectName, modified: u64) {
        if let Some(stored) = self.state().objects.get_mut(name) {
            stored.modified = modified;
        }
    }

    /// Returns what was replaced, in order.
    pub fn aside(&self) -> Vec<Vec<u8>> {
        self.state().aside.iter().map(|(_, stored)| stored.bytes.to_vec()).collect()
    }

    /// Makes the lake unreachable, or reachable again.
    pub fn set_reachable(&self, is_reachable: bool) {
        self.state().is_away = !is_reachable;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked while holding it has failed already.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the state and the declaration, if the lake can be reached.
    fn reach(&self) -> Result<(MutexGuard<'_, State>, Declaration), LakeError> {
        let state = self.state();
        let obstacle = match &state.declaration {
            _ if state.is_away => Obstacle::NoFolder,
            None => Obstacle::NotDeclared,
            Some(declaration) => {
                let declaration = declaration.clone();
                return Ok((state, declaration));
            }
        };
        let url = self.url.clone();
        Err(LakeError::Unreachable { url, obstacle })
    }

    fn absent(&self, name: &ObjectName) -> LakeError {
        LakeError::Absent { object: self.url.source(name.clone()) }
    }

    fn put_one(&self, upload: &Upload<'_>, observer: &dyn Observer) -> Result<Put, LakeError> {
        if observer.is_cancelled() {
            return Err(LakeError::Cancelled);
        }
        let (state, Declaration { hash, .. }) = self.reach()?;
        upload.check_hash(&self.url, hash)?;
        let mut buffer = vec![0; 64 << 10];
        if let Some(there) = state.objects.get(upload.name).cloned() {
            drop(state);
            return self.compare(upload, &there, &mut buffer, observer);
        }
        drop(state);
        let mut bytes = Vec::new();
        let copied = upload.copy_to(&mut bytes, &mut buffer, observer);
        copied.map_err(|error| self.explain(upload, error))?;
        if observer.is_cancelled() {
            return Err(LakeError::Cancelled);
        }
        let mut state = self.reach()?.0;
        if let Some(there) = state.objects.get(upload.name).cloned() {
            drop(state);
            return self.compare(upload, &there, &mut buffer, observer);
        }
        state.objects.insert(upload.name.clone(), Stored::now(&bytes));
        Ok(Put::Created)
    }

    fn compare(
        &self,
        upload: &Upload<'_>,
        there: &Stored,
        buffer: &mut [u8],
        observer: &dyn Observer,
    ) -> Result<Put, LakeError> {
        let compared = upload.compare(&mut &*there.bytes, buffer, observer);
        compared.map_err(|error| match error {
            CopyError::Mismatch => LakeError::DamagedThere {
                object: self.url.source(upload.name.clone()),
                found: there.bytes.len() as u64,
            },
            other => self.explain(upload, other),
        })?;
        let week = 7 * 24 * 60 * 60;
        if unix_now().saturating_sub(there.modified) > week {
            self.set_modified(upload.name, unix_now());
        }
        Ok(Put::AlreadyThere(Proof::Content))
    }

    fn explain(&self, upload: &Upload<'_>, error: CopyError) -> LakeError {
        match error {
            CopyError::Read(error) | CopyError::Write(error) => upload.unreadable(error),
            CopyError::Cancelled => LakeError::Cancelled,
            CopyError::Mismatch => upload.changed(),
        }
    }
}

impl ReadLake for MemoryLake {
    fn url(&self) -> &LakeUrl {
        &self.url
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { batch_count: 4, batch_bytes: 1 << 20, side_by_side: 4 }
    }

    fn declaration(&self) -> Result<Declaration, LakeError> {
        Ok(self.reach()?.1)
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<ObjectInfo>, LakeError> {
        Ok(self.reach()?.0.objects.get(name).map(Stored::info))
    }

    fn stat_all(&self, names: &[ObjectName]) -> Vec<Result<Option<ObjectInfo>, LakeError>> {
        names.iter().map(|name| self.stat(name)).collect()
    }

    fn get(&self, name: &ObjectName, from: u64) -> Result<ObjectContent, LakeError> {
        let stored = self.reach()?.0.objects.get(name).cloned();
        let stored = stored.ok_or_else(|| self.absent(name))?;
        let mut reader = Cursor::new(stored.bytes.clone());
        reader.set_position(from);
        Ok(ObjectContent { size: stored.bytes.len() as u64, reader: Box::new(reader) })
    }

    fn get_first(&self, name: &ObjectName, count: u64) -> Result<ObjectContent, LakeError> {
        let ObjectContent { size, reader } = self.get(name, 0)?;
        Ok(ObjectContent { size, reader: Box::new(reader.take(count)) })
    }

    fn list(&self) -> Result<Listing, LakeError> {
        let objects = self.reach()?.0.objects.clone();
        let listing = objects.into_iter().map(|(name, stored)| Ok((name, stored.info())));
        Ok(Box::new(listing))
    }

    fn features(&self) -> Option<Features> {
        None
    }

    fn place(&self, _: &ObjectName) -> Option<Place> {
        None
    }
}

impl WriteLake for MemoryLake {
    fn put(&self, uploads: &[Upload<'_>], observer: &dyn Observer) -> Vec<Result<Put, LakeError>> {
        uploads.iter().map(|upload| self.put_one(upload, observer)).collect()
    }

    fn renew(&self, name: &ObjectName) -> Result<(), LakeError> {
        let mut state = self.reach()?.0;
        let stored = state.objects.get_mut(name);
        stored.ok_or_else(|| self.absent(name))?.modified = unix_now();
        Ok(())
    }

    fn copy(&self, _: &ObjectName, _: u64, _: &Place) -> Result<Option<Put>, LakeError> {
        Ok(None)
    }
}

impl AdminLake for MemoryLake {
    fn declare(&self, wanted: Option<HashName>, _: Creation) -> Result<Declaration, LakeError> {
        let mut state = self.state();
        let url = self.url.clone();
        let declared = state.declaration.as_ref();
        let hash = settle_hash(&url, declared.map(|there| there.hash), wanted)?;
        if let Some(declaration) = declared {
            return Ok(declaration.clone());
        }
        let mut names = state.objects.keys();
        if let Some(example) = names.find(|name| name.hex().len() != hash.hex_len()) {
            return Err(LakeError::OtherHashInUse { url, wanted: hash, example: example.clone() });
        }
        let id = Some(LakeId::random());
        let declaration = Declaration { hash, id, assumed: None };
        state.declaration = Some(declaration.clone());
        Ok(declaration)
    }

    fn check_writable(&self) -> Result<(), LakeError> {
        self.reach().map(|_| ())
    }

    fn replace(&self, upload: &Upload<'_>, observer: &dyn Observer) -> Result<Replaced, LakeError> {
        match self.put_one(upload, observer) {
            Err(LakeError::DamagedThere { .. }) => {}
            other => return other.map(Replaced::Not),
        }
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
        let copied = upload.copy_to(&mut bytes, &mut buffer, observer);
        copied.map_err(|error| self.explain(upload, error))?;
        if observer.is_cancelled() {
            return Err(LakeError::Cancelled);
        }
        let mut state = self.reach()?.0;
        let aside = names_aside(upload.name)
            .find(|aside| state.aside.iter().all(|(taken, _)| taken != aside));
        let aside = aside.expect("there are many names");
        let damaged = state.objects.insert(upload.name.clone(), Stored::now(&bytes));
        state.aside.extend(damaged.map(|damaged| (aside.clone(), damaged)));
        Ok(Replaced::Aside(format!("{}/{aside}", self.url)))
    }

    fn survey(&self) -> Result<Survey, LakeError> {
        let found = |entry: Result<_, _>| entry.map(|(name, info)| Found::Object(name, info));
        Ok(Box::new(self.list()?.map(found)))
    }

    fn unfinished(&self) -> Result<Vec<ObjectInfo>, LakeError> {
        self.reach().map(|_| Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::contract::{self, Declares, Subject};

    #[test]
    fn it_keeps_the_contract() {
        contract::check_all(&|| {
            let url = LakeUrl::parse("s3://memory/lake").expect("an address");
            let lake = Arc::new(MemoryLake::new(url));
            let (again, planted, kept) = (lake.clone(), lake.clone(), lake.clone());
            Subject {
                neighbour: None,
                declares: Declares::Must,
                has_one_creator: true,
                lake,
                reopen: Box::new(move || again.clone()),
                aside: Box::new(move || kept.aside()),
                plant: Box::new(move |name, bytes| planted.plant(name, bytes)),
            }
        });
    }
}
