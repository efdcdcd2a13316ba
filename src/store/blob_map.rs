//! Which object a pointer blob of git names, for the pointers that this clone has seen.
//!
//! Answers "which blobs name this object", and which object a blob names, without reading an index full
//! of blobs. A cache that can be deleted at any time: whoever gives an answer to git reads the blob and
//! checks it; what is only shown is taken from here.
//! Format (`docs/local-state.md`): a header line, then records of fixed length: blob id,
//! oid, size (8 bytes, big-endian), length of the pointer (2 bytes, big-endian).

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::fs::{IoContext as _, PathError};
use crate::oid::Oid;

const HEADER: &[u8] = b"git-lake blobs v2\n";
/// So many records are read at once.
const RECORDS_AT_ONCE: usize = 2048;
/// Bytes of a size.
const SIZE_LEN: usize = 8;
/// Bytes of the length of a pointer, which has no more than 8192.
const TEXT_LEN_LEN: usize = 2;
/// After so many questions a table is built; before, going through the records is faster.
const QUESTIONS_BEFORE_TABLE: usize = 4;

/// What a pointer blob says, but for its sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The object.
    pub oid: Oid,
    /// Its size in bytes.
    pub size: u64,
    /// How many bytes the pointer has.
    pub text_len: u16,
}

impl Named {
    /// Sums up a pointer to an object, which has the bytes `text`.
    pub fn new(oid: Oid, size: u64, text: &[u8]) -> Self {
        let text_len = u16::try_from(text.len()).expect("no pointer is longer than 8192 bytes");
        Self { oid, size, text_len }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (oid, rest) = bytes.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let text_len = u16::from_be_bytes(rest.try_into().ok()?);
        Some(Self { oid: Oid::from_bytes(*oid), size: u64::from_be_bytes(*size), text_len })
    }
}

/// The map as one process sees it; what it learns is kept when [`BlobMap::save`] is called.
#[derive(Debug)]
pub struct BlobMap {
    path: PathBuf,
    id_len: usize,
    table: Option<HashMap<Oid, Vec<Box<[u8]>>>>,
    questions: usize,
    /// The last question and its answer: the same one often comes twice.
    last: Option<(Oid, Vec<Vec<u8>>)>,
    news: Vec<u8>,
}

impl BlobMap {
    /// Names the map for blob ids of `id_len` bytes; touches nothing.
    pub fn at(store_root: &Path, id_len: usize) -> Self {
        let path = store_root.join(format!("blobs-{id_len}"));
        Self { path, id_len, table: None, questions: 0, last: None, news: Vec::new() }
    }

    /// Returns the ids of the blobs that name the object; those learned and not saved are left out.
    ///
    /// A damaged or missing file knows nothing.
    pub fn blobs_of(&mut self, oid: Oid) -> Vec<Vec<u8>> {
        if let Some((last, blobs)) = &self.last
            && *last == oid
        {
            return blobs.clone();
        }
        let found = self.look_up(oid);
        self.last = Some((oid, found.clone()));
        found
    }

    fn look_up(&mut self, oid: Oid) -> Vec<Vec<u8>> {
        let id_len = self.id_len;
        self.questions += 1;
        if self.questions <= QUESTIONS_BEFORE_TABLE {
            let mut found = Vec::new();
            self.for_each_record(|record| {
                if record[id_len..id_len + Oid::LEN] == *oid.as_bytes() {
                    found.push(record[..id_len].to_vec());
                }
            });
            return found;
        }
        if self.table.is_none() {
            let mut table: HashMap<Oid, Vec<Box<[u8]>>> = HashMap::new();
            self.for_each_record(|record| {
                let digest = record[id_len..id_len + Oid::LEN].try_into().expect("32 bytes");
                table.entry(Oid::from_bytes(digest)).or_default().push(record[..id_len].into());
            });
            self.table = Some(table);
        }
        let ids = self.table.as_ref().and_then(|table| table.get(&oid));
        ids.into_iter().flatten().map(|id| id.to_vec()).collect()
    }

    /// Returns all blobs that are known to be pointers, with what they say.
    pub fn known(&self) -> HashMap<Box<[u8]>, Named> {
        let mut known = HashMap::new();
        self.for_each_record(|record| {
            let (id, named) = record.split_at(self.id_len);
            known.extend(Named::parse(named).map(|named| (id.into(), named)));
        });
        known
    }

    /// Goes through the file in constant memory; what cannot be read is as good as absent.
    fn for_each_record(&self, mut visit: impl FnMut(&[u8])) {
        let Ok(mut file) = File::open(&self.path) else { return };
        let mut header = [0; HEADER.len()];
        if file.read_exact(&mut header).is_err() || header != *HEADER {
            return;
        }
        let record_len = self.record_len();
        let mut records = vec![0; record_len * RECORDS_AT_ONCE];
        let mut held = 0;
        loop {
            let read = match file.read(&mut records[held..]) {
                Ok(0) => return,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => 0,
                Err(_) => return,
            };
            held += read;
            let whole = held - held % record_len;
            records[..whole].chunks_exact(record_len).for_each(&mut visit);
            records.copy_within(whole..held, 0);
            held -= whole;
        }
    }

    fn record_len(&self) -> usize {
        self.id_len + Oid::LEN + SIZE_LEN + TEXT_LEN_LEN
    }

    /// Learns what a blob names.
    pub fn learn(&mut self, blob: &[u8], named: Named) {
        self.last = None;
        if blob.len() == self.id_len {
            self.news.extend(blob);
            self.news.extend(named.oid.as_bytes());
            self.news.extend(named.size.to_be_bytes());
            self.news.extend(named.text_len.to_be_bytes());
        }
    }

    /// Appends what was learned and was not known; a file that ends within a record, or is of another
    /// version, is begun anew.
    ///
    /// # Errors
    /// If the file cannot be written; nothing depends on it.
    pub fn save(&mut self) -> Result<(), PathError> {
        if self.news.is_empty() {
            return Ok(());
        }
        let folder = self.path.parent().expect("the map lies in a folder");
        std::fs::create_dir_all(folder).context(folder)?;
        let mut file =
            OpenOptions::new().append(true).create(true).open(&self.path).context(&self.path)?;
        file.lock().context(&self.path)?;
        let record_len = self.record_len();
        let bytes = std::fs::read(&self.path).context(&self.path)?;
        let records = bytes.strip_prefix(HEADER);
        if records.is_none_or(|records| !records.len().is_multiple_of(record_len)) {
            file.set_len(0).context(&self.path)?;
            file.write_all(HEADER).context(&self.path)?;
        }
        let news = std::mem::take(&mut self.news);
        let mut fresh: HashSet<&[u8]> = news.chunks_exact(record_len).collect();
        for known in records.unwrap_or_default().chunks_exact(record_len) {
            if fresh.remove(known) && fresh.is_empty() {
                return Ok(());
            }
        }
        let fresh = news.chunks_exact(record_len).filter(|record| fresh.remove(record));
        file.write_all(&fresh.collect::<Vec<_>>().concat()).context(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(content: &[u8]) -> Named {
        Named { oid: Oid::of(content), size: content.len() as u64, text_len: 300 }
    }

    fn learned(dir: &Path, pairs: &[(u8, &[u8])]) {
        let mut map = BlobMap::at(dir, 20);
        for (id, content) in pairs {
            map.learn(&[*id; 20], named(content));
        }
        map.save().expect("saves");
    }

    #[test]
    fn what_was_learned_is_known_to_the_next_process_once() {
        let dir = tempfile::tempdir().expect("a folder");
        learned(dir.path(), &[(1, b"a"), (2, b"b")]);
        learned(dir.path(), &[(1, b"a"), (3, b"a")]);
        let mut map = BlobMap::at(dir.path(), 20);
        // More questions than it takes to build the table: both ways give the same answers.
        for _ in 0..2 * QUESTIONS_BEFORE_TABLE {
            assert_eq!(map.blobs_of(Oid::of(b"a")), [[1; 20], [3; 20]]);
            assert_eq!(map.blobs_of(Oid::of(b"b")), [[2; 20]]);
            assert!(map.blobs_of(Oid::of(b"c")).is_empty());
        }
        let known = map.known();
        assert_eq!(known.len(), 3);
        assert_eq!([1, 2, 3].map(|id| known[&[id; 20][..]]), [b"a", b"b", b"a"].map(|c| named(c)));
    }

    #[test]
    fn a_torn_file_and_one_of_an_older_version_are_begun_anew() {
        let dir = tempfile::tempdir().expect("a folder");
        learned(dir.path(), &[(1, b"a")]);
        let path = dir.path().join("blobs-20");
        let length = std::fs::metadata(&path).expect("there").len();
        OpenOptions::new()
            .write(true)
            .open(&path)
            .expect("opens")
            .set_len(length - 1)
            .expect("cuts");
        assert!(BlobMap::at(dir.path(), 20).blobs_of(Oid::of(b"a")).is_empty());
        learned(dir.path(), &[(2, b"b")]);
        assert_eq!(BlobMap::at(dir.path(), 20).blobs_of(Oid::of(b"b")), [[2; 20]]);
        std::fs::remove_file(&path).expect("removes");
        let old = [b"git-lake blobs v1\n", &[7; 60][..]].concat();
        crate::fs::write_atomic(&path, &old, crate::fs::Shared::No).expect("writes");
        assert!(BlobMap::at(dir.path(), 20).known().is_empty());
        learned(dir.path(), &[(3, b"c")]);
        assert_eq!(BlobMap::at(dir.path(), 20).blobs_of(Oid::of(b"c")), [[3; 20]]);
    }
}
