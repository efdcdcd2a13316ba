//! From an address to a lake.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use super::folder::FolderLake;
use super::s3::{Limits, Notes, S3Lake, Server};
use super::{AdminLake, WriteLake};
use crate::access::Access;
use crate::lake_url::LakeUrl;

/// Decides how the server at an address may be talked to; called when a lake there is opened.
pub type AccessTo = Box<dyn Fn(&LakeUrl) -> Access + Send + Sync>;

/// Opens lakes of every kind, and lets those on one server share its connections.
pub struct Opener {
    access_to: AccessTo,
    notes: Arc<dyn Notes>,
    limits: Limits,
    stop: Arc<AtomicBool>,
    servers: Mutex<HashMap<String, Server>>,
}

impl Opener {
    /// Prepares to open lakes; `limits` are for those in buckets.
    pub fn new(access_to: AccessTo, notes: Arc<dyn Notes>, limits: Limits) -> Self {
        Self { access_to, notes, limits, stop: Arc::default(), servers: Mutex::default() }
    }

    /// Lets requests to servers be given up once `stop` is set.
    #[must_use]
    pub fn stopped_by(mut self, stop: Arc<AtomicBool>) -> Self {
        self.stop = stop;
        self
    }

    /// Returns the lake `url`, found at `location`; no I/O, so it may still prove unreachable.
    ///
    /// The two differ where the user's `url.<base>.insteadOf` says that a share is mounted elsewhere:
    /// `url` is what pointers, receipts and messages hold, `location` is what is opened.
    pub fn open(&self, url: &LakeUrl, location: &LakeUrl) -> Arc<dyn WriteLake> {
        match self.bucket(url, location) {
            Some(lake) => Arc::new(lake),
            None => folder(url, location),
        }
    }

    /// Returns the lake as [`Self::open`] does, with the right to declare it.
    ///
    /// Only for commands in which the user names the lake.
    pub fn open_admin(&self, url: &LakeUrl, location: &LakeUrl) -> Arc<dyn AdminLake> {
        match self.bucket(url, location) {
            Some(lake) => Arc::new(lake),
            None => folder(url, location),
        }
    }

    fn bucket(&self, url: &LakeUrl, location: &LakeUrl) -> Option<S3Lake> {
        location.bucket()?;
        let access = (self.access_to)(location);
        // Remotes on one server may differ in their options; the key holds no secret.
        let key = format!("{} {access:?}", location.host());
        let mut servers = self.servers.lock().expect("no holder panics");
        let server = servers.entry(key).or_insert_with(|| {
            let (notes, stop) = (Arc::clone(&self.notes), Arc::clone(&self.stop));
            Server::with_stop(location, access, self.limits, notes, stop)
        });
        S3Lake::new(url.clone(), location, server.clone())
    }
}

fn folder(url: &LakeUrl, location: &LakeUrl) -> Arc<FolderLake> {
    let folder = location.folder().expect("what is no bucket is a folder");
    Arc::new(FolderLake::new(url.clone(), folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::s3::Forgetful;

    #[test]
    fn a_lake_found_elsewhere_keeps_its_identity() {
        let opener =
            Opener::new(Box::new(|_| Access::default()), Arc::new(Forgetful), Limits::default());
        let dir = tempfile::tempdir().expect("a folder");
        let here = LakeUrl::from_folder(&dir.path().join("lake")).expect("an address");
        let identity = LakeUrl::parse("file:///mnt/lake").expect("an address");
        let lake = opener.open_admin(&identity, &here);
        lake.declare(None, super::super::Creation::IfParentExists).expect("declares");
        assert_eq!(lake.url(), &identity);
        assert!(dir.path().join("lake/.pl/tags.json").exists());
        let bucket = LakeUrl::parse("s3://h:9000/b/prefix").expect("an address");
        assert_eq!(opener.open(&bucket, &bucket).url(), &bucket);
    }
}
