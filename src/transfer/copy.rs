//! From lake to lake inside a server: which objects can go that way, and letting them go.

use std::io;

use super::Transfer;
use super::job::{Job, Origin};
use crate::lake::{LakeError, Put, WriteLake};
use crate::lake_url::SourceUrl;
use crate::object_name::ObjectName;

impl Transfer {
    /// Returns those places of an object that lie on the server that it is to go to, as origins that are
    /// worth trying before its bytes are moved. Contacts nobody.
    pub(super) fn on_same_server(&self, job: &Job, origins: &[Origin]) -> Vec<Origin> {
        let Some(target) = self.lakes.at(&job.url.lake).place(&job.url.name) else {
            return Vec::new();
        };
        let is_beside = |source: &&SourceUrl| {
            let place = self.lakes.at(&source.lake).place(&source.name);
            source.lake != job.url.lake && place.is_some_and(|place| place.is_beside(&target))
        };
        let lakes = std::iter::once(&job.from).chain(origins).filter_map(|origin| match origin {
            Origin::Lake(source) => Some(source),
            Origin::Store | Origin::File(_) | Origin::Server(_) => None,
        });
        lakes.filter(is_beside).cloned().map(Origin::Server).collect()
    }

    /// Lets the server copy an object. That there is no such way counts as an origin that cannot be
    /// read, so that the next one is tried.
    pub(super) fn copy(
        &self,
        lake: &dyn WriteLake,
        job: &Job,
        from: &SourceUrl,
    ) -> Result<Put, LakeError> {
        let source = self.lakes.at(&from.lake);
        let place = source.usable().ok().and_then(|source| source.place(&from.name));
        let put = match place {
            Some(place) => lake.copy(&job.url.name, job.size, &place)?,
            None => None,
        };
        let put = put.ok_or_else(|| no_way(&job.url.name))?;
        self.reporter.moved(job.size);
        Ok(put)
    }
}

fn no_way(name: &ObjectName) -> LakeError {
    let source = io::Error::new(io::ErrorKind::Unsupported, "the server does not copy it");
    LakeError::SourceUnreadable { name: name.clone(), source: source.into() }
}
