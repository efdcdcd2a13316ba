//! What was learned about the servers of lakes: one small file for each lake, one line in it.
//!
//! Losing one costs a few questions to the server. Format: `docs/local-state.md`.

use std::path::{Path, PathBuf};

use crate::fs::{PathError, Shared, create_folders, read_small, write_atomic};
use crate::lake_url::LakeUrl;

/// Longer files are not ours.
const MAX_NOTE_BYTES: u64 = 4 << 10;

/// The notes of one clone, kept in `<store>/servers/`.
#[derive(Debug, Clone)]
pub struct ServerNotes {
    folder: PathBuf,
}

impl ServerNotes {
    /// Names the notes below `store_root`; touches nothing.
    pub fn at(store_root: &Path) -> Self {
        Self { folder: store_root.join("servers") }
    }

    /// Returns the line that was kept for a lake; `None` if there is none or it cannot be read.
    pub fn recall(&self, lake: &LakeUrl) -> Option<String> {
        let text = read_small(&self.path(lake), MAX_NOTE_BYTES).ok().flatten()?;
        let text = String::from_utf8(text).ok()?;
        let (address, line) = text.trim_end().split_once('\n')?;
        (address == lake.to_string()).then(|| line.to_owned())
    }

    /// Keeps a line for a lake in place of the one before.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(&self, lake: &LakeUrl, line: &str) -> Result<(), PathError> {
        create_folders(&self.folder)?;
        write_atomic(&self.path(lake), format!("{lake}\n{line}\n").as_bytes(), Shared::No)
    }

    fn path(&self, lake: &LakeUrl) -> PathBuf {
        self.folder.join(lake.file_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_kept_for_its_lake_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let url = |text| LakeUrl::parse(text).expect("an address");
        let (one, other) = (url("s3://h/b"), url("s3://h/c"));
        let notes = ServerNotes::at(dir.path());
        assert_eq!(notes.recall(&one), None);
        notes.keep(&one, "conditions=true").expect("keeps");
        notes.keep(&one, "conditions=false").expect("keeps");
        let notes = ServerNotes::at(dir.path());
        assert_eq!(notes.recall(&one).as_deref(), Some("conditions=false"));
        assert_eq!(notes.recall(&other), None);
    }
}
