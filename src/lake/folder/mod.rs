//! A lake in a folder that this machine can see: a disk, or a share of a file server.
//!
//! Flat: `<base>/<object name>`, next to `<base>/.pl/tags.json`, [`STAGING_FOLDER`] and
//! [`super::ASIDE_FOLDER`]. A folder
//! without a valid declaration counts as unreachable, since a share that is not mounted looks like an
//! empty folder: nothing is read from it, and above all nothing is written to it. Object names are
//! opened without following symbolic links, and only regular files are objects.
//!
//! # Limitations
//! The declaration is looked at when a handle is first used, before every batch, and whenever
//! something is absent; not before every object that is there.
//!
//! On file systems that know neither `RENAME_NOREPLACE` nor hard links (some mounted through FUSE), a
//! name is looked up before it is given; of two writers at the same instant the later one then
//! replaces equal bytes.

use std::fs::{File, Metadata};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use super::{
    AdminLake, Capabilities, Creation, Declaration, Features, LakeError, Listing, ObjectContent,
    ObjectInfo, Observer, Place, Put, ReadLake, Replaced, Survey, Upload, WriteLake, tags,
};
use crate::digest::HashName;
use crate::fs::{IoContext as _, if_exists, platform};
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;

mod put;
mod replace;
mod staging;
mod survey;
#[cfg(test)]
mod tests;

pub use staging::STAGING_FOLDER;

/// A lake in a folder.
#[derive(Debug)]
pub struct FolderLake {
    url: LakeUrl,
    folder: PathBuf,
    /// A declaration was seen through this handle.
    is_reached: AtomicBool,
    /// Left-over files were looked for through this handle.
    is_swept: AtomicBool,
    /// How many requests at once are worth it, once that was asked.
    side_by_side: OnceLock<usize>,
}

impl FolderLake {
    /// Returns the lake `url` that is kept in `folder`; no I/O.
    pub fn new(url: LakeUrl, folder: PathBuf) -> Self {
        Self {
            url,
            folder,
            is_reached: AtomicBool::new(false),
            is_swept: AtomicBool::new(false),
            side_by_side: OnceLock::new(),
        }
    }

    fn path_of(&self, name: &ObjectName) -> PathBuf {
        self.folder.join(name.as_str())
    }

    /// Makes sure once that the folder is a lake.
    fn reach(&self) -> Result<(), LakeError> {
        if !self.is_reached.load(Ordering::Relaxed) {
            self.declaration()?;
        }
        Ok(())
    }

    /// Returns an object's metadata; `None` only if the folder still is a lake.
    fn metadata(&self, name: &ObjectName) -> Result<Option<Metadata>, LakeError> {
        match self.look(name)? {
            Some(metadata) => Ok(Some(metadata)),
            None => self.declaration().map(|_| None),
        }
    }

    /// Returns an object's metadata, for callers who just saw the declaration.
    fn look(&self, name: &ObjectName) -> Result<Option<Metadata>, LakeError> {
        let path = self.path_of(name);
        let found = if_exists(std::fs::symlink_metadata(&path)).context(&path);
        match found.map_err(|error| LakeError::reading(&self.url, error))? {
            Some(metadata) if metadata.is_file() => Ok(Some(metadata)),
            Some(_) => Err(self.not_regular(name)),
            None => Ok(None),
        }
    }

    /// Opens an object.
    fn open(&self, name: &ObjectName) -> Result<File, LakeError> {
        let path = self.path_of(name);
        let opened = platform::open_regular(&path).context(&path);
        opened.map_err(|error| match self.metadata(name) {
            Ok(Some(_)) => LakeError::reading(&self.url, error),
            Ok(None) => self.absent(name),
            Err(reason) => reason,
        })
    }

    fn absent(&self, name: &ObjectName) -> LakeError {
        LakeError::Absent { object: self.url.source(name.clone()) }
    }

    fn not_regular(&self, name: &ObjectName) -> LakeError {
        LakeError::NotRegular { object: self.url.source(name.clone()) }
    }
}

fn info_of(metadata: &Metadata) -> ObjectInfo {
    let since = |date: SystemTime| date.duration_since(SystemTime::UNIX_EPOCH).ok();
    let modified = metadata.modified().ok().and_then(since);
    ObjectInfo { size: metadata.len(), modified: modified.map(|since| since.as_secs()) }
}

impl ReadLake for FolderLake {
    fn url(&self) -> &LakeUrl {
        &self.url
    }

    fn capabilities(&self) -> Capabilities {
        // On a disk of this machine there is nobody to wait for: more threads than cores only queue for
        // the file system's locks. A share gains from many.
        let side_by_side = *self.side_by_side.get_or_init(|| {
            let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
            if platform::is_local_folder(&self.folder) { cores } else { usize::MAX }
        });
        Capabilities { batch_count: 512, batch_bytes: 256 << 20, side_by_side }
    }

    fn declaration(&self) -> Result<Declaration, LakeError> {
        let declaration = tags::read(&self.url, &self.folder);
        self.is_reached.store(declaration.is_ok(), Ordering::Relaxed);
        declaration
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<ObjectInfo>, LakeError> {
        self.reach()?;
        Ok(self.metadata(name)?.as_ref().map(info_of))
    }

    fn stat_all(&self, names: &[ObjectName]) -> Vec<Result<Option<ObjectInfo>, LakeError>> {
        names.iter().map(|name| self.stat(name)).collect()
    }

    fn get(&self, name: &ObjectName, from: u64) -> Result<ObjectContent, LakeError> {
        self.reach()?;
        let mut file = self.open(name)?;
        let size = file.metadata().and_then(|metadata| {
            file.seek(SeekFrom::Start(from))?;
            Ok(metadata.len())
        });
        let size = size
            .context(self.path_of(name))
            .map_err(|error| LakeError::reading(&self.url, error))?;
        // Bounded, so that a file that grows meanwhile is not longer than it was said to be.
        let reader = Box::new(file.take(size.saturating_sub(from)));
        Ok(ObjectContent { size, reader })
    }

    fn get_first(&self, name: &ObjectName, count: u64) -> Result<ObjectContent, LakeError> {
        let ObjectContent { size, reader } = self.get(name, 0)?;
        Ok(ObjectContent { size, reader: Box::new(reader.take(count)) })
    }

    fn list(&self) -> Result<Listing, LakeError> {
        self.declaration()?;
        let (url, folder) = (self.url.clone(), self.folder.clone());
        let entries = std::fs::read_dir(&folder).context(&folder);
        let entries = entries.map_err(|error| LakeError::reading(&url, error))?;
        let listing = entries.filter_map(move |entry| {
            let found = entry.and_then(|entry| {
                let name = entry.file_name();
                let Some(Ok(name)) = name.to_str().map(ObjectName::parse) else {
                    return Ok(None);
                };
                let metadata = if_exists(entry.metadata())?.filter(Metadata::is_file);
                Ok(metadata.map(|metadata| (name, info_of(&metadata))))
            });
            let found = found.context(&folder).transpose()?;
            Some(found.map_err(|error| LakeError::reading(&url, error)))
        });
        Ok(Box::new(listing))
    }

    fn features(&self) -> Option<Features> {
        None
    }

    fn place(&self, _: &ObjectName) -> Option<Place> {
        None
    }
}

impl WriteLake for FolderLake {
    fn put(&self, uploads: &[Upload<'_>], observer: &dyn Observer) -> Vec<Result<Put, LakeError>> {
        put::put(self, uploads, observer)
    }

    fn renew(&self, name: &ObjectName) -> Result<(), LakeError> {
        self.reach()?;
        let touched = platform::touch(&self.open(name)?).context(self.path_of(name));
        touched.map_err(|error| LakeError::writing(&self.url, error))
    }

    fn copy(&self, _: &ObjectName, _: u64, _: &Place) -> Result<Option<Put>, LakeError> {
        Ok(None)
    }
}

impl AdminLake for FolderLake {
    fn declare(
        &self,
        wanted: Option<HashName>,
        creation: Creation,
    ) -> Result<Declaration, LakeError> {
        tags::declare(&self.url, &self.folder, wanted, creation)
    }

    fn check_writable(&self) -> Result<(), LakeError> {
        put::check(self)
    }

    fn replace(&self, upload: &Upload<'_>, observer: &dyn Observer) -> Result<Replaced, LakeError> {
        replace::replace(self, upload, observer)
    }

    fn survey(&self) -> Result<Survey, LakeError> {
        survey::survey(self)
    }

    fn unfinished(&self) -> Result<Vec<ObjectInfo>, LakeError> {
        survey::unfinished(self)
    }
}
