//! Claims in memory, of which a clone may have a hundred thousand.
//!
//! Memory that a process did not have before costs more than reading a log does. So the words that a
//! record ends with stay as the log has them, all in one text, until somebody wants the record.

use std::hash::BuildHasher as _;
use std::io;

use super::record::{self, Line, Log, Record};
use super::{Owed, Tentative};
use crate::lake_url::LakeUrl;
use crate::oid::Oid;
use crate::store::digest_map::DigestMap;

/// Records, each once.
#[derive(Debug, Default)]
pub struct Claims {
    entries: Vec<Entry>,
    /// The words of all of them.
    words: String,
    /// The lakes that uploads are due to, with their keys.
    lakes: Vec<(LakeUrl, String)>,
    /// Where the entry about something stands, by the digest of that: a table of the records themselves
    /// would take far longer to build.
    places: DigestMap<u64, usize>,
    /// A log was not understood in full.
    are_incomplete: bool,
}

/// A record without its words.
#[derive(Debug)]
struct Entry {
    oid: Oid,
    number: u64,
    lake: Option<usize>,
    /// Where in the words of all its own begin, and how many bytes they are.
    at: usize,
    len: usize,
}

impl Claims {
    /// Returns true if there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns true if there is a pointer that may be in use.
    pub(super) fn have_tentative(&self) -> bool {
        self.entries.iter().any(|entry| entry.lake.is_none())
    }

    /// Returns the pointers that may be in use.
    pub fn tentative(&self) -> impl Iterator<Item = Tentative> {
        self.records().filter(|record| record.lake.is_none()).filter_map(|record| {
            let (blob, path) = record.blob_and_path()?;
            Some(Tentative { since: record.number, blob: blob.into(), oid: record.oid, path })
        })
    }

    /// Returns the uploads that are due, one for each full object URL.
    pub fn owed(&self) -> impl Iterator<Item = Owed> {
        self.records().filter_map(|record| {
            let (lake, _) = &self.lakes[record.lake?];
            let (name, path) = record.name_and_path()?;
            Some(Owed { url: lake.source(name), oid: record.oid, size: record.number, path })
        })
    }

    /// Returns true if there is a record of the same pointer at the same path.
    pub fn has_tentative(&self, tentative: &Tentative) -> bool {
        self.place_of(tentative_record(tentative, &record::tentative_words(tentative))).is_ok()
    }

    /// Adds a pointer that may be in use, in place of an earlier record of it at the same path.
    pub fn add_tentative(&mut self, tentative: &Tentative) {
        self.add(tentative_record(tentative, &record::tentative_words(tentative)));
    }

    /// Adds an upload, in place of an earlier one to the same address. Returns true if there was none.
    pub fn add_owed(&mut self, owed: &Owed) -> bool {
        let (lake, words) = (Some(self.place_of_lake(&owed.url.lake)), record::owed_words(owed));
        self.add(Record { oid: owed.oid, number: owed.size, lake, words: &words })
    }

    /// Returns false if a log was damaged or of another version, so that records may be missing.
    pub fn are_complete(&self) -> bool {
        !self.are_incomplete
    }

    /// Adds what a log says, as far as it is understood.
    pub(super) fn add_log(&mut self, log: impl io::Read) -> io::Result<Log> {
        let log = record::read(log, |line| match line {
            Line::Lake(lake) => _ = self.place_of_lake(&lake),
            Line::Record(record, None) => _ = self.add(record),
            Line::Record(record, Some(key)) => {
                // Where the line of the lake was damaged, which is told, nobody knows which it is.
                let lake = self.lakes.iter().position(|known| known.1 == key);
                if lake.is_some() {
                    self.add(Record { lake, ..record });
                }
            }
            Line::Synced => {}
        })?;
        self.are_incomplete |= matches!(log, Log::Damaged | Log::OtherVersion);
        Ok(log)
    }

    /// Returns what a log says of these claims, if it names the lakes of `named` already; those that it
    /// did not are added.
    pub(super) fn to_lines(&self, named: &mut Vec<LakeUrl>) -> String {
        let mut lines = String::new();
        for (lake, _) in &self.lakes {
            if !named.contains(lake) {
                lines.push_str(&record::lake_line(lake));
                named.push(lake.clone());
            }
        }
        for record in self.records() {
            let key = record.lake.map(|lake| &*self.lakes[lake].1);
            record.write(key, &mut lines);
        }
        lines
    }

    fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.entries.iter().map(|entry| self.record(entry))
    }

    fn record(&self, entry: &Entry) -> Record<'_> {
        let Entry { oid, number, lake, at, len } = *entry;
        Record { oid, number, lake, words: &self.words[at..at + len] }
    }

    /// Returns where a lake stands, at the end if it is new.
    fn place_of_lake(&mut self, lake: &LakeUrl) -> usize {
        let known = self.lakes.iter().position(|known| known.0 == *lake);
        known.unwrap_or_else(|| {
            self.lakes.push((lake.clone(), lake.file_key()));
            self.lakes.len() - 1
        })
    }

    /// Returns where a record about the same stands, or the digest under which it would be found.
    fn place_of(&self, record: Record<'_>) -> Result<usize, u64> {
        let digest = self.places.hasher().hash_one(record.subject());
        let place = self.places.get(&digest).copied();
        let known =
            place.filter(|at| self.record(&self.entries[*at]).subject() == record.subject());
        known.ok_or(digest)
    }

    /// Adds a record in place of an earlier one about the same; returns true if there was none.
    fn add(&mut self, record: Record<'_>) -> bool {
        let Record { oid, number, lake, words } = record;
        let entry = Entry { oid, number, lake, at: self.words.len(), len: words.len() };
        let place = self.place_of(record);
        self.words.push_str(words);
        match place {
            Ok(place) => self.entries[place] = entry,
            Err(digest) => {
                // Of two subjects with one digest the second is not found again and may be listed twice.
                self.places.entry(digest).or_insert(self.entries.len());
                self.entries.push(entry);
            }
        }
        place.is_err()
    }
}

fn tentative_record<'a>(tentative: &Tentative, words: &'a str) -> Record<'a> {
    Record { oid: tentative.oid, number: tentative.since, lake: None, words }
}
