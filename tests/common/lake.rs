//! A folder lake, looked into from outside.

use std::fs;
use std::path::PathBuf;

use super::*;

/// A folder lake.
pub(crate) struct Lake {
    pub(crate) path: PathBuf,
}

impl Lake {
    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.path.display())
    }

    /// Returns the names of all objects, sorted.
    pub(crate) fn objects(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        // `.pl` and the folder that uploads are staged in begin with a dot.
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    /// Returns where an object of a `.bin` file is.
    pub(crate) fn object(&self, content: impl AsRef<[u8]>) -> PathBuf {
        self.path.join(format!("{}.bin", Oid::of(content.as_ref()).to_hex()))
    }

    #[track_caller]
    pub(crate) fn holds(&self, content: impl AsRef<[u8]>) {
        let content = content.as_ref();
        let found = fs::read(self.object(content));
        assert!(found.is_ok_and(|found| found == content), "not in {}", self.path.display());
    }

    #[track_caller]
    pub(crate) fn lacks(&self, content: impl AsRef<[u8]>) {
        assert!(!self.object(content).exists(), "in {}", self.path.display());
    }

    /// Takes the lake away, as when a share is not mounted.
    pub(crate) fn unmount(&self) {
        fs::rename(&self.path, self.path.with_extension("away")).unwrap();
    }

    pub(crate) fn mount(&self) {
        fs::rename(self.path.with_extension("away"), &self.path).unwrap();
    }

    pub(crate) fn remove(&self, content: impl AsRef<[u8]>) {
        fs::remove_file(self.object(content)).unwrap();
    }

    /// Changes one byte of an object.
    pub(crate) fn damage(&self, content: impl AsRef<[u8]>) {
        let path = self.object(content);
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] ^= 1;
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }
}
