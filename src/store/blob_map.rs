//! Which object a pointer blob of git names, so that an index need not be read blob by blob.
//!
//! A cache that can be deleted at any time: whoever uses an answer reads the blob and checks it.
//! Format (`docs/local-state.md`): a header line, then records of fixed length, blob id and oid;
//! an oid of zeros says that the blob is no pointer.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::fs::{IoContext as _, PathError, if_exists};
use crate::oid::Oid;

const HEADER: &[u8] = b"git-lake blobs v1\n";
const NO_POINTER: Oid = Oid::from_bytes([0; Oid::LEN]);

/// Maps blob ids to oids; what it learns is kept when [`BlobMap::save`] is called.
#[derive(Debug)]
pub struct BlobMap {
    path: PathBuf,
    known: HashMap<Box<[u8]>, Oid>,
    news: Vec<u8>,
}

impl BlobMap {
    /// Reads the map for blob ids of `id_len` bytes; a damaged or missing file is an empty map.
    pub fn load(store_root: &Path, id_len: usize) -> Self {
        let path = store_root.join(format!("blobs-{id_len}"));
        let bytes = std::fs::read(&path).unwrap_or_default();
        let records = bytes.strip_prefix(HEADER).unwrap_or_default();
        let known = records
            .chunks_exact(id_len + Oid::LEN)
            .map(|record| {
                let (id, oid) = record.split_at(id_len);
                (id.into(), Oid::from_bytes(oid.try_into().expect("32 bytes are left")))
            })
            .collect();
        Self { path, known, news: Vec::new() }
    }

    /// Tells what is known of a blob: `None` nothing, `Some(None)` that it is no pointer.
    pub fn get(&self, blob: &[u8]) -> Option<Option<Oid>> {
        self.known.get(blob).map(|oid| Some(*oid).filter(|oid| *oid != NO_POINTER))
    }

    /// Learns what a blob is.
    pub fn learn(&mut self, blob: &[u8], oid: Option<Oid>) {
        let oid = oid.unwrap_or(NO_POINTER);
        if self.known.insert(blob.into(), oid) != Some(oid) {
            self.news.extend(blob);
            self.news.extend(oid.as_bytes());
        }
    }

    /// Appends what was learned; a file that ends within a record is begun anew.
    ///
    /// # Errors
    /// If the file cannot be written; nothing depends on it.
    pub fn save(&mut self) -> Result<(), PathError> {
        let Some(id_len) = self.known.keys().next().map(|id| id.len()) else {
            return Ok(());
        };
        if self.news.is_empty() {
            return Ok(());
        }
        let folder = self.path.parent().expect("the map lies in a folder");
        std::fs::create_dir_all(folder).context(folder)?;
        let mut file = self.open().context(&self.path)?;
        file.lock().context(&self.path)?;
        let length = file.metadata().context(&self.path)?.len();
        let is_whole = length > HEADER.len() as u64
            && (length - HEADER.len() as u64).is_multiple_of((id_len + Oid::LEN) as u64);
        if !is_whole {
            file.set_len(0).context(&self.path)?;
            file.write_all(HEADER).context(&self.path)?;
        }
        file.write_all(&std::mem::take(&mut self.news)).context(&self.path)
    }

    fn open(&self) -> std::io::Result<File> {
        OpenOptions::new().append(true).create(true).open(&self.path)
    }

    /// Forgets everything, on disk too.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub fn clear(&mut self) -> Result<(), PathError> {
        self.known.clear();
        self.news.clear();
        if_exists(std::fs::remove_file(&self.path)).context(&self.path).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_is_known_to_the_next_process() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut map = BlobMap::load(dir.path(), 20);
        assert_eq!(map.get(&[1; 20]), None);
        map.learn(&[1; 20], Some(Oid::of(b"1")));
        map.learn(&[2; 20], None);
        map.save().expect("saves");
        map.learn(&[3; 20], Some(Oid::of(b"3")));
        map.save().expect("saves");
        let map = BlobMap::load(dir.path(), 20);
        assert_eq!(map.get(&[1; 20]), Some(Some(Oid::of(b"1"))));
        assert_eq!(map.get(&[2; 20]), Some(None));
        assert_eq!(map.get(&[3; 20]), Some(Some(Oid::of(b"3"))));
    }

    #[test]
    fn a_torn_file_is_begun_anew() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut map = BlobMap::load(dir.path(), 20);
        map.learn(&[1; 20], None);
        map.save().expect("saves");
        let path = dir.path().join("blobs-20");
        let length = std::fs::metadata(&path).expect("there").len();
        OpenOptions::new()
            .write(true)
            .open(&path)
            .expect("opens")
            .set_len(length - 1)
            .expect("cuts");
        let mut map = BlobMap::load(dir.path(), 20);
        assert_eq!(map.get(&[1; 20]), None);
        map.learn(&[2; 20], None);
        map.save().expect("saves");
        assert_eq!(BlobMap::load(dir.path(), 20).get(&[2; 20]), Some(None));
    }
}
