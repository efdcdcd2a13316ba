//! All that lies in a lake's folder.

use std::fs::{DirEntry, Metadata};

use super::{FolderLake, STAGING_FOLDER, info_of};
use crate::fs::{IoContext as _, PathError, if_exists};
use crate::lake::tags::SETTINGS_FOLDER;
use crate::lake::{ASIDE_FOLDER, Found, LakeError, ObjectInfo, ReadLake as _, Survey};
use crate::object_name::ObjectName;

/// See [`crate::lake::AdminLake::survey`].
pub(super) fn survey(lake: &FolderLake) -> Result<Survey, LakeError> {
    lake.declaration()?;
    let (url, folder) = (lake.url.clone(), lake.folder.clone());
    let entries = std::fs::read_dir(&folder).context(&folder);
    let entries = entries.map_err(|error| LakeError::reading(&url, error))?;
    let survey = entries.filter_map(move |entry| {
        let found = entry.context(&folder).and_then(|entry| look(&entry));
        found.map_err(|error| LakeError::reading(&url, error)).transpose()
    });
    Ok(Box::new(survey))
}

/// Says what an entry of the folder is; `None` if it is the lake's own, or gone.
fn look(entry: &DirEntry) -> Result<Option<Found>, PathError> {
    let name = entry.file_name();
    if [SETTINGS_FOLDER, STAGING_FOLDER, ASIDE_FOLDER].iter().any(|own| name == *own) {
        return Ok(None);
    }
    let metadata = if_exists(entry.metadata()).context(entry.path())?;
    Ok(metadata.map(|metadata| match name.to_str().map(ObjectName::parse) {
        Some(Ok(name)) if metadata.is_file() => Found::Object(name, info_of(&metadata)),
        _ => Found::Foreign(info_of_any(&metadata)),
    }))
}

/// Says of what is no file that it has no bytes of its own.
fn info_of_any(metadata: &Metadata) -> ObjectInfo {
    let info = info_of(metadata);
    if metadata.is_file() { info } else { ObjectInfo { size: 0, ..info } }
}

/// See [`crate::lake::AdminLake::unfinished`].
pub(super) fn unfinished(lake: &FolderLake) -> Result<Vec<ObjectInfo>, LakeError> {
    let folder = lake.folder.join(STAGING_FOLDER);
    let listed = || -> Result<Vec<ObjectInfo>, PathError> {
        let mut found = Vec::new();
        for entry in if_exists(std::fs::read_dir(&folder)).context(&folder)?.into_iter().flatten() {
            let entry = entry.context(&folder)?;
            let metadata = if_exists(entry.metadata()).context(entry.path())?;
            found.extend(metadata.filter(Metadata::is_file).map(|metadata| info_of(&metadata)));
        }
        Ok(found)
    };
    listed().map_err(|error| LakeError::reading(&lake.url, error))
}
