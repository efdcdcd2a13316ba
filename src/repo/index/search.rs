//! Looking one path up without holding the index in memory.
//!
//! `git status` on one touched file asks for one path. Reading 100,000 entries into fresh memory costs
//! more in page faults than in reading; here they pass through one small buffer instead.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::walk::{EXTENDED, kind, stage, u16_at, u32_at};
use super::{EntryKind, Error, STAT_BYTES};
use crate::fs::{IoContext as _, if_exists};
use crate::repo::BlobId;

const BUFFER_BYTES: usize = 128 * 1024;
/// Paths of this length or more have no length in their flags.
const LONG_PATH: u16 = 0x0FFF;

/// What entries are looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// All entries at a path.
    Path(&'a [u8]),
    /// All entries with a blob.
    Blob(BlobId),
}

/// An entry that was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// 0, or 1 to 3 in a conflict.
    pub stage: u8,
    /// The blob.
    pub id: BlobId,
    /// What it is.
    pub kind: EntryKind,
    /// Which entry of the index it is, from 0.
    pub position: usize,
}

/// Finds entries, in the order of the index; `None` if the index has a form that [`super::Index::read`] has to
/// deal with: version 4, split, very long paths, or damaged.
///
/// # Errors
/// If the file cannot be read.
pub fn search(path: &Path, hash_len: usize, key: Key<'_>) -> Result<Option<Vec<Found>>, Error> {
    let Some(file) = if_exists(File::open(path)).context(path)? else {
        return Ok(Some(Vec::new()));
    };
    let size = file.metadata().context(path)?.len();
    let body = size.saturating_sub(hash_len as u64);
    let mut window =
        Window { input: file.take(body), buffer: vec![0; BUFFER_BYTES], at: 0, end: 0 };
    Ok(search_window(&mut window, hash_len, key).context(path)?)
}

fn search_window(
    window: &mut Window<impl Read>,
    hash_len: usize,
    key: Key<'_>,
) -> io::Result<Option<Vec<Found>>> {
    let mut found = Vec::new();
    let Some(header) = window.peek(12)? else { return Ok(None) };
    let (version, count) = (u32_at(header, 4), u32_at(header, 8));
    if !header.starts_with(b"DIRC") || !(2..=3).contains(&version) {
        return Ok(None);
    }
    window.at += 12;
    for position in 0..count as usize {
        let fixed = STAT_BYTES + hash_len + 2;
        let Some(entry) = window.peek(fixed)? else { return Ok(None) };
        let flags = u16_at(entry, fixed - 2);
        if flags & LONG_PATH == LONG_PATH {
            return Ok(None);
        }
        let begin = if flags & EXTENDED == 0 { fixed } else { fixed + 2 };
        let path_len = usize::from(flags & LONG_PATH);
        // One to eight zeros end an entry at a multiple of eight bytes from its beginning.
        let whole = (begin + path_len + 8) & !7;
        let Some(entry) = window.peek(whole)? else { return Ok(None) };
        let id = &entry[STAT_BYTES..STAT_BYTES + hash_len];
        let is_wanted = match key {
            Key::Path(path) => &entry[begin..begin + path_len] == path,
            Key::Blob(blob) => id == blob.as_bytes(),
        };
        if !is_wanted && !found.is_empty() && matches!(key, Key::Path(_)) {
            // Entries are ordered, and an entry that has its path is true in a split index, too.
            return Ok(Some(found));
        }
        if is_wanted {
            let (Some(id), Some(kind)) = (BlobId::from_bytes(id), kind(u32_at(entry, 24))) else {
                return Ok(None);
            };
            found.push(Found { stage: stage(flags), id, kind, position });
        }
        window.at += whole;
    }
    while let Some(extension) = window.peek(8)? {
        if extension.starts_with(b"link") {
            return Ok(None);
        }
        let length = u32_at(extension, 4) as usize;
        window.at += 8;
        if !window.skip(length)? {
            return Ok(None);
        }
    }
    Ok(Some(found))
}

/// A part of the file that moves on.
struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
}

impl<R: Read> Window<R> {
    /// Returns the next `count` bytes without moving on; `None` if the file ends before.
    fn peek(&mut self, count: usize) -> io::Result<Option<&[u8]>> {
        if self.end - self.at < count {
            self.buffer.copy_within(self.at..self.end, 0);
            (self.at, self.end) = (0, self.end - self.at);
            if self.buffer.len() < count {
                return Ok(None);
            }
            while self.end < count {
                match self.input.read(&mut self.buffer[self.end..]) {
                    Ok(0) => return Ok(None),
                    Ok(read) => self.end += read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Some(&self.buffer[self.at..self.at + count]))
    }

    /// Moves on; false if the file ends before.
    fn skip(&mut self, count: usize) -> io::Result<bool> {
        let held = count.min(self.end - self.at);
        self.at += held;
        let rest = (count - held) as u64;
        Ok(io::copy(&mut (&mut self.input).take(rest), &mut io::sink())? == rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::repo::index::Index;

    /// Writes an index of version 2 with these paths and stages.
    fn index_of(paths: &[(String, u8)]) -> Vec<u8> {
        let mut bytes = b"DIRC\0\0\0\x02".to_vec();
        bytes.extend(u32::try_from(paths.len()).expect("few").to_be_bytes());
        for (at, (path, stage)) in paths.iter().enumerate() {
            let mut entry = vec![0; 24];
            entry.extend(0o100_644_u32.to_be_bytes());
            entry.extend([0; 12]);
            entry.extend([u8::try_from(at % 250).expect("small") + 1; 20]);
            let flags = u16::from(*stage) << 12 | u16::try_from(path.len()).expect("short");
            entry.extend(flags.to_be_bytes());
            entry.extend(path.as_bytes());
            entry.resize((62 + path.len() + 8) & !7, 0);
            bytes.extend(entry);
        }
        bytes.extend(b"TREE\0\0\0\x03abc");
        bytes.extend([0; 20]);
        bytes
    }

    fn search_in(bytes: &[u8], key: Key<'_>) -> Option<Vec<Found>> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("index");
        crate::fs::write_atomic(&path, bytes, crate::fs::Shared::No).expect("writes");
        search(&path, 20, key).expect("reads")
    }

    #[test]
    fn it_finds_what_the_whole_index_finds() {
        // More than one buffer full of entries.
        let paths: Vec<(String, u8)> = (0..3000)
            .flat_map(|at| {
                let path = format!("data/{at:05}/{}", "x".repeat(at % 60));
                let stages = if at % 7 == 0 { 1..4 } else { 0..1 };
                stages.map(move |stage| (path.clone(), stage))
            })
            .collect();
        let bytes = index_of(&paths);
        let index = Index::parse(bytes.clone(), 20).expect("good");
        for (path, _) in paths.iter().step_by(97).chain([&("absent".to_owned(), 0)]) {
            let found = |key: Key<'_>| -> Vec<Found> {
                let entries = index.entries().enumerate().filter(|(_, entry)| match key {
                    Key::Path(path) => entry.path == path,
                    Key::Blob(blob) => entry.id == blob,
                });
                entries
                    .map(|(position, entry)| Found {
                        stage: entry.stage,
                        id: entry.id,
                        kind: entry.kind,
                        position,
                    })
                    .collect()
            };
            let by_path = Key::Path(path.as_bytes());
            assert_eq!(search_in(&bytes, by_path), Some(found(by_path)), "{path}");
            for Found { id, .. } in found(by_path) {
                assert_eq!(search_in(&bytes, Key::Blob(id)), Some(found(Key::Blob(id))), "{path}");
            }
        }
    }

    #[test]
    fn other_forms_are_left_to_the_whole_reading() {
        let bytes = index_of(&[("a".to_owned(), 0)]);
        let mut version_4 = bytes.clone();
        version_4[7] = 4;
        let (a, b) = (Key::Path(b"a"), Key::Path(b"b"));
        assert_eq!(search_in(&version_4, a), None);
        let split = String::from_utf8_lossy(&bytes).replace("TREE", "link").into_bytes();
        assert_eq!(search_in(&split, b), None);
        assert_eq!(search_in(&bytes[..40], a), None);
        assert_eq!(search(Path::new("/no/such/index"), 20, a).expect("absent"), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), version in 2u8..4) {
            let mut index = b"DIRC\0\0\0".to_vec();
            index.push(version);
            index.extend(bytes);
            let mut window = Window { input: &*index, buffer: vec![0; 256], at: 0, end: 0 };
            if let Some(found) = search_window(&mut window, 20, Key::Path(b"a")).expect("memory reads") {
                prop_assert!(found.len() <= index.len());
            }
        }
    }
}
