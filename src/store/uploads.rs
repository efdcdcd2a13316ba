//! Notes on uploads that were begun and not ended: one small file for each lake and object.
//!
//! Whoever uploads an object holds its note, so of two processes one goes on with an upload and the other
//! has its own. What a note says is the lake's business. Losing one costs sending the bytes again, and
//! room at the server until it tidies up. Format: `docs/local-state.md`.

use std::path::{Path, PathBuf};

use crate::fs::{HeldFile, create_folders};
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;

/// The notes of one clone, kept in `<store>/uploads/`.
#[derive(Debug, Clone)]
pub struct UploadNotes {
    folder: PathBuf,
}

impl UploadNotes {
    /// Names the notes below `store_root`; touches nothing.
    pub fn at(store_root: &Path) -> Self {
        Self { folder: store_root.join("uploads") }
    }

    /// Takes the note of an object, which is empty if there was none; `None` if somebody else has it, or
    /// if none can be kept. Who takes it removes it when nothing is left to note.
    pub fn take(&self, lake: &LakeUrl, name: &ObjectName) -> Option<HeldFile> {
        let folder = self.folder_of(lake);
        let path = folder.join(name.as_str());
        match HeldFile::take(&path) {
            Err(error) if error.is_not_found() => {
                create_folders(&folder).ok()?;
                HeldFile::take(&path).ok()?
            }
            taken => taken.ok()?,
        }
    }

    /// Returns which objects of a lake have notes, whoever holds them.
    pub fn names(&self, lake: &LakeUrl) -> Vec<ObjectName> {
        let entries = std::fs::read_dir(self.folder_of(lake)).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name());
        names.filter_map(|name| ObjectName::parse(name.to_str()?).ok()).collect()
    }

    fn folder_of(&self, lake: &LakeUrl) -> PathBuf {
        self.folder.join(lake.file_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_one_note_at_each_lake_and_one_holder() {
        let dir = tempfile::tempdir().expect("a folder");
        let url = |text| LakeUrl::parse(text).expect("an address");
        let (one, other) = (url("s3://h/b"), url("s3://h/c"));
        let name = ObjectName::parse(&format!("{}.bin", "ab".repeat(32))).expect("a name");
        let notes = UploadNotes::at(dir.path());
        assert!(notes.names(&one).is_empty());
        let mut held = notes.take(&one, &name).expect("free");
        held.write(b"text").expect("writes");
        assert!(notes.take(&one, &name).is_none(), "it is held");
        assert!(notes.take(&other, &name).is_some(), "another lake's");
        assert_eq!(notes.names(&one), std::slice::from_ref(&name));
        drop(held);
        let mut held = notes.take(&one, &name).expect("free");
        assert_eq!(held.read(100).expect("reads"), b"text");
        held.remove().expect("removes");
        assert!(notes.names(&one).is_empty());
    }
}
