//! Reading what is to be uploaded from where it lies, and what is wrong with it there.

use std::fs::File;
use std::io::{self, Read};

use super::Transfer;
use super::job::{Failure, Job, Origin};
use super::report::with_causes;
use crate::fs::platform;
use crate::lake::LakeError;

impl Transfer {
    /// Opens an object of the store that this process has verified and may copy as fast as it can.
    pub(super) fn verified(&self, job: &Job) -> Option<File> {
        let is_near = self.throttle.is_none() && job.from == Origin::Store;
        is_near.then(|| self.store.open_if_verified(job.oid, job.size))?
    }

    /// Opens the bytes of an object, as often as a lake wants to read them.
    pub(super) fn source<'a>(
        &'a self,
        job: &'a Job,
    ) -> impl Fn() -> io::Result<Box<dyn Read + Send>> + Sync + 'a {
        let absent = || io::Error::from(io::ErrorKind::NotFound);
        move || match &job.from {
            Origin::Store => match self.store.open(job.oid) {
                Ok(file) => Ok(self.slowed(Box::new(file.ok_or_else(absent)?))),
                Err(error) => Err(error.source),
            },
            Origin::File(path) => Ok(self.slowed(Box::new(platform::open_regular(path)?))),
            // One on the same server that is not copied is read like any other.
            Origin::Lake(source) | Origin::Server(source) => {
                let lake = self.lakes.at(&source.lake);
                let read = lake.usable().and_then(|lake| lake.get(&source.name, 0));
                lake.note(&read);
                let content = read.map_err(io::Error::other)?;
                Ok(self.slowed(content.reader))
            }
        }
    }
}

/// Words what is wrong with the bytes of a place that is not the store, naming no object; `None` if they
/// are not the trouble.
pub(super) fn of_origin(origin: &Origin, error: &LakeError) -> Option<Failure> {
    let words = match (origin, error) {
        (Origin::Store, _) => return None,
        (Origin::File(_), LakeError::SourceUnreadable { source, .. }) => {
            format!("Could not read it in the work tree: {source}")
        }
        (Origin::File(_), LakeError::SourceChanged { .. }) => {
            "the file in the work tree has other content".to_owned()
        }
        (Origin::Lake(from) | Origin::Server(from), LakeError::SourceChanged { .. }) => {
            format!("`{}` holds other bytes under the name of the object", from.lake)
        }
        (_, LakeError::SourceUnreadable { source, .. }) => {
            let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<LakeError>());
            match inner {
                Some(error) => Failure::Lake(error.clone()).cause(),
                None => with_causes(&**source),
            }
        }
        _ => return None,
    };
    Some(Failure::Origin(words))
}
