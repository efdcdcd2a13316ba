//! Objects that several clones keep in one folder, and which clones these are.
//!
//! A clone is written down in the folder before it uses an object there, and stays until somebody who
//! knows that it is gone takes it out: whoever removes objects asks all of them what they need, and takes one
//! that cannot be read for one that needs everything. Format: `docs/local-state.md`.

use std::path::{Path, PathBuf};

use percent_encoding::{percent_decode_str, percent_encode};

use super::Store;
use super::queue::IN_PATH;
use crate::fs::{IoContext as _, PathError, Shared, if_exists, read_small, sync, write_atomic};
use crate::oid::Oid;
use crate::repo_path::{bytes_to_os_path, os_path_to_bytes};

const HEADER: &str = "git-lake clone v1 ";
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// So many digits name a clone: those of the SHA-256 of its folder.
const NAME_DIGITS: usize = 16;

/// A clone that is written down in a shared store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharer {
    /// The file that says so.
    pub note: PathBuf,
    /// Its git folder; `None` if the file makes no sense.
    pub common_dir: Option<PathBuf>,
}

impl Store {
    /// Keeps objects in a folder that other clones may use as well; what this clone has by itself stays
    /// in use. Touches nothing: for reading.
    pub fn sharing(mut self, folder: &Path) -> Self {
        self.shared = Some(folder.join("v1"));
        self
    }

    /// Does the same, and writes the clone down there; durable on return.
    ///
    /// # Errors
    /// If the folder does not exist (it may be a share that is not mounted), or cannot be written.
    pub fn joining(self, folder: &Path) -> Result<Self, PathError> {
        std::fs::metadata(folder).context(folder)?;
        let store = self.sharing(folder);
        let note = store.note_of_clone();
        if !note.exists() {
            let clones = note.parent().expect("a note lies in a folder");
            for changed in crate::fs::create_folders(clones)? {
                sync::folder(&changed)?;
            }
            let path = percent_encode(&os_path_to_bytes(store.common_dir()), IN_PATH).to_string();
            write_atomic(&note, format!("{HEADER}{path}\n").as_bytes(), Shared::Yes)?;
            sync::folder(clones)?;
        }
        Ok(store)
    }

    /// Returns the clones that share the store, without this one; none if it is not shared.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub fn sharers(&self) -> Result<Vec<Sharer>, PathError> {
        let own = self.note_of_clone();
        let Some(clones) = self.shared.as_ref().map(|shared| shared.join("clones")) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&clones).context(&clones)? {
            let note = entry.context(&clones)?.path();
            let is_staged = note.file_name().is_none_or(|name| {
                name.len() != NAME_DIGITS || !name.as_encoded_bytes().is_ascii()
            });
            if note != own && !is_staged {
                let text = read_small(&note, MAX_FILE_BYTES)?.unwrap_or_default();
                found.push(Sharer { note, common_dir: parse(&text) });
            }
        }
        found.sort_by(|a, b| a.note.cmp(&b.note));
        Ok(found)
    }

    fn common_dir(&self) -> &Path {
        self.root.ancestors().nth(2).expect("the state lies two folders below")
    }

    fn note_of_clone(&self) -> PathBuf {
        let name = Oid::of(&os_path_to_bytes(self.common_dir())).to_hex();
        self.objects_root().join("clones").join(&name[..NAME_DIGITS])
    }
}

impl Sharer {
    /// Takes a clone that is gone out of the list.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn forget(&self) -> Result<(), PathError> {
        if_exists(std::fs::remove_file(&self.note)).context(&self.note).map(drop)
    }

    /// Returns what people know the clone by.
    pub fn display(&self) -> String {
        let shown = self.common_dir.as_ref().unwrap_or(&self.note);
        shown.display().to_string()
    }
}

fn parse(text: &[u8]) -> Option<PathBuf> {
    let text = std::str::from_utf8(text).ok()?;
    let path: Vec<u8> =
        percent_decode_str(text.strip_prefix(HEADER)?.strip_suffix('\n')?).collect();
    Some(bytes_to_os_path(&path).into_owned()).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_find_each_other_and_each_others_objects() {
        let dir = tempfile::tempdir().expect("a folder");
        let shared = dir.path().join("shared store");
        let clone = |name: &str| Store::at(&dir.path().join(name));
        let error = clone("one").joining(&shared).expect_err("it does not exist");
        assert!(error.is_not_found());
        std::fs::create_dir(&shared).expect("creates");
        let one = clone("one").joining(&shared).expect("joins");
        assert_eq!(one.sharers().expect("lists"), []);
        let two = clone("two with blank").joining(&shared).expect("joins");
        clone("two with blank").joining(&shared).expect("joins again");
        let found = one.sharers().expect("lists");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].common_dir, Some(dir.path().join("two with blank")));

        let oid = Oid::of(b"content");
        two.put(oid, b"content").expect("stores");
        two.sync().expect("syncs");
        assert_eq!(one.read_verified(oid, 7).expect("reads").as_deref(), Some(&b"content"[..]));
        assert!(one.object_path(oid).starts_with(&shared));

        found[0].forget().expect("removes");
        assert_eq!(one.sharers().expect("lists"), []);
    }

    #[test]
    fn what_a_clone_had_before_it_shared_stays_in_use() {
        let dir = tempfile::tempdir().expect("a folder");
        let alone = Store::at(dir.path());
        let oid = Oid::of(b"content");
        alone.put(oid, b"content").expect("stores");
        alone.sync().expect("syncs");
        let shared = dir.path().join("shared");
        std::fs::create_dir(&shared).expect("creates");
        let store = Store::at(dir.path()).joining(&shared).expect("joins");
        assert!(store.read_verified(oid, 7).expect("reads").is_some());
        let mut found = Vec::new();
        let mut visit = |stored: super::super::gc::Stored| {
            found.push(stored.oid);
            Ok::<_, PathError>(())
        };
        store.for_each_object(&mut visit).expect("lists");
        assert_eq!(found, [oid]);
    }
}
