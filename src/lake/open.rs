//! From an address to a lake.

use std::path::PathBuf;
use std::sync::Arc;

use super::folder::FolderLake;
use super::{AdminLake, LakeError, WriteLake};
use crate::lake_url::LakeUrl;

/// Returns the lake `url`, found at `location`; no I/O, so it may still prove unreachable.
///
/// The two differ where the user's `url.<base>.insteadOf` says that a share is mounted elsewhere:
/// `url` is what pointers, receipts and messages hold, `location` is what is opened.
///
/// # Errors
/// [`LakeError::Unsupported`] if this build has no code for such a lake.
pub fn open(url: &LakeUrl, location: &LakeUrl) -> Result<Arc<dyn WriteLake>, LakeError> {
    Ok(folder(url, location)?)
}

/// Returns the lake as [`open`] does, with the right to declare it.
///
/// Only for commands in which the user names the lake.
///
/// # Errors
/// As for [`open`].
pub fn open_admin(url: &LakeUrl, location: &LakeUrl) -> Result<Arc<dyn AdminLake>, LakeError> {
    Ok(folder(url, location)?)
}

fn folder(url: &LakeUrl, location: &LakeUrl) -> Result<Arc<FolderLake>, LakeError> {
    let folder: Option<PathBuf> = location.folder();
    let folder = folder.ok_or_else(|| LakeError::Unsupported { url: url.clone() })?;
    Ok(Arc::new(FolderLake::new(url.clone(), folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> LakeUrl {
        LakeUrl::parse(text).expect(text)
    }

    #[test]
    fn a_bucket_is_refused_in_plain_words() {
        let bucket = url("s3://h:9000/b");
        let error = open(&bucket, &bucket).err().expect("no S3 here");
        assert_eq!(
            error.to_string(),
            "Could not use the lake `s3://h:9000/b`: this build reads and writes folder lakes only"
        );
    }

    #[test]
    fn a_lake_found_elsewhere_keeps_its_identity() {
        let dir = tempfile::tempdir().expect("a folder");
        let here = LakeUrl::from_folder(&dir.path().join("lake")).expect("an address");
        let identity = url("file:///mnt/lake");
        let lake = open_admin(&identity, &here).expect("opens");
        lake.declare(None, super::super::Creation::IfParentExists).expect("declares");
        assert_eq!(lake.url(), &identity);
        assert!(dir.path().join("lake/.pl/tags.json").exists());
    }
}
