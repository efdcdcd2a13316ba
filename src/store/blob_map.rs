//! Which object a pointer blob of git names, for the pointers that this clone has seen.
//!
//! Answers "which blobs name this object", and which object a blob names, without reading an index full
//! of blobs. A cache that can be deleted at any time: whoever gives an answer to git reads the blob and
//! checks it; what is only shown is taken from here.
//! Format (`docs/local-state.md`): a header line, then records of fixed length: blob id,
//! oid, size (8 bytes, big-endian), length of the pointer (2 bytes, big-endian).

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::fs::{IoContext as _, PathError};
use crate::oid::Oid;

const HEADER: &[u8] = b"git-lake blobs v2\n";
/// So many records are read at once.
const RECORDS_AT_ONCE: usize = 2048;
/// What was learned is saved when it has so many bytes, and at the end.
const MOST_NEWS_BYTES: usize = 4 << 20;
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
        Self { oid, size, text_len: text_len(text) }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (oid, rest) = bytes.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let text_len = u16::from_be_bytes(rest.try_into().ok()?);
        Some(Self { oid: Oid::from_bytes(*oid), size: u64::from_be_bytes(*size), text_len })
    }
}

/// Returns how many bytes a pointer has.
pub fn text_len(text: &[u8]) -> u16 {
    u16::try_from(text.len()).expect("no pointer is longer than 8192 bytes")
}

/// The map as one process sees it; what it learns is sure to be kept when [`BlobMap::save`] is called.
#[derive(Debug)]
pub struct BlobMap {
    path: PathBuf,
    id_len: usize,
    table: Option<Table>,
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
            self.table = Some(self.read_by(id_len..id_len + Oid::LEN));
        }
        let records = self.table.iter().flat_map(|table| table.with(oid.as_bytes()));
        records.map(|record| record[..id_len].to_vec()).collect()
    }

    /// Reads all blobs that are known to be pointers, with what they say.
    pub fn known(&self) -> Known {
        Known(self.read_by(0..self.id_len))
    }

    /// Reads all records, to be found by a part of them.
    fn read_by(&self, key: Range<usize>) -> Table {
        let mut records = Vec::new();
        if let Ok(metadata) = std::fs::metadata(&self.path) {
            // A damaged file may be of any length.
            drop(records.try_reserve_exact(usize::try_from(metadata.len()).unwrap_or_default()));
        }
        self.for_each_record(|record| records.extend_from_slice(record));
        Table::new(records, self.record_len(), key)
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
        if self.news.len() >= MOST_NEWS_BYTES {
            // Only time is lost if it cannot be kept.
            drop(self.save());
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
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&self.path)
            .context(&self.path)?;
        file.lock().context(&self.path)?;
        let record_len = self.record_len();
        if !self.is_whole(&file) {
            file.set_len(0).context(&self.path)?;
            file.write_all(HEADER).context(&self.path)?;
        }
        let news = std::mem::take(&mut self.news);
        let mut fresh: HashSet<&[u8]> = news.chunks_exact(record_len).collect();
        self.for_each_record(|known| _ = fresh.remove(known));
        let fresh = news.chunks_exact(record_len).filter(|record| fresh.remove(record));
        file.write_all(&fresh.collect::<Vec<_>>().concat()).context(&self.path)
    }

    /// Returns true if a file has the header of this version, and whole records.
    fn is_whole(&self, mut file: &File) -> bool {
        let mut header = [0; HEADER.len()];
        let Ok(metadata) = file.metadata() else { return false };
        let records = metadata.len().checked_sub(HEADER.len() as u64);
        file.read_exact(&mut header).is_ok()
            && header == *HEADER
            && records.is_some_and(|bytes| bytes.is_multiple_of(self.record_len() as u64))
    }
}

/// Blobs that are known to be pointers.
#[derive(Debug)]
pub struct Known(Table);

impl Known {
    /// Returns what a blob says, by its id.
    pub fn get(&self, blob: &[u8]) -> Option<Named> {
        let record = self.0.with(blob).next()?;
        Named::parse(&record[self.0.key.end..])
    }
}

/// Records in one piece, which may be a million, to be found by a part of them that is a digest.
#[derive(Debug)]
struct Table {
    records: Vec<u8>,
    record_len: usize,
    key: Range<usize>,
    /// At most half of them have the number of a record, from 1: at the first free slot from where the key
    /// says, whose bytes are random already.
    slots: Vec<u32>,
}

impl Table {
    fn new(records: Vec<u8>, record_len: usize, key: Range<usize>) -> Self {
        let count = u32::try_from(records.len() / record_len).unwrap_or(u32::MAX);
        let slots = vec![0; (2 * count as usize).next_power_of_two()];
        let mut table = Self { records, record_len, key, slots };
        for number in 1..=count {
            let key = &table.record(number)[table.key.clone()];
            let free = table.slots_from(key).find(|slot| table.slots[*slot] == 0);
            table.slots[free.expect("half of them are free")] = number;
        }
        table
    }

    fn record(&self, number: u32) -> &[u8] {
        &self.records[(number as usize - 1) * self.record_len..][..self.record_len]
    }

    /// Returns all slots, in the order in which a key goes through them.
    fn slots_from(&self, key: &[u8]) -> impl Iterator<Item = usize> {
        let first = key.first_chunk().map_or(0, |bytes| usize::from_le_bytes(*bytes));
        let count = self.slots.len();
        (0..count).map(move |step| first.wrapping_add(step) & (count - 1))
    }

    /// Returns the records with a key, in the order in which they were learned.
    fn with(&self, key: &[u8]) -> impl Iterator<Item = &[u8]> {
        let numbers = self.slots_from(key).map(|slot| self.slots[slot]);
        let records = numbers.take_while(|number| *number != 0).map(|number| self.record(number));
        records.filter(move |record| record[self.key.clone()] == *key)
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
        let expected = [b"a", b"b", b"a"].map(|content| Some(named(content)));
        assert_eq!([1, 2, 3].map(|id| known.get(&[id; 20])), expected);
        assert_eq!(known.get(&[4; 20]), None);
        let length = std::fs::metadata(dir.path().join("blobs-20")).expect("there").len();
        assert_eq!(length, (HEADER.len() + 3 * map.record_len()) as u64, "each is there once");
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
        assert_eq!(BlobMap::at(dir.path(), 20).known().get(&[7; 20]), None);
        learned(dir.path(), &[(3, b"c")]);
        assert_eq!(BlobMap::at(dir.path(), 20).blobs_of(Oid::of(b"c")), [[3; 20]]);
    }
}
