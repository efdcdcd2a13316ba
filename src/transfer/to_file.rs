//! From lakes to files: objects of which only the names are known.
//!
//! A source says neither the size nor the SHA-256 of its object; its name has a digest, by the hash
//! that its lake declares. What does not match it, or what a pointer says of it, is not left behind.
//! Nothing here is kept in the store, and nothing is synced: whoever owns the files does that for all of
//! them at once.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::Transfer;
use super::download::{Failure, SPARE_BYTES, SourceFailure};
use super::report::Activity;
use super::rounds::Fetch;
use crate::digest::{COPY_BUFFER_BYTES, HashName, Hashed, Hasher, hash_reader};
use crate::fs::platform::free_bytes;
use crate::fs::{self, IoContext as _};
use crate::lake_url::SourceUrl;
use crate::oid::Oid;

/// An object that is wanted as a file.
#[derive(Debug, Clone)]
pub struct WantedFile {
    /// Where to look for it, best first.
    pub candidates: Vec<SourceUrl>,
    /// The file to make; nothing may be there.
    pub path: PathBuf,
    /// What is known of it beyond the names that it has in lakes.
    pub known: Option<Known>,
}

/// What a pointer says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What it has to hash to, whatever its names say.
    pub oid: Oid,
    /// Its size in bytes.
    pub size: u64,
    /// A file that may hold it, which is read and verified before a lake is asked.
    pub stored: PathBuf,
}

/// An object that is a file now, verified.
#[derive(Debug, Clone)]
pub struct Landed {
    /// Its digests and its size.
    pub hashed: Hashed,
    /// Another source holds other bytes than its name says.
    pub met_damage: bool,
}

impl Failure {
    /// Returns true if a source holds other bytes than it should.
    pub fn is_damage(&self) -> bool {
        let Self::NoSource(failures) = self else { return false };
        failures.iter().any(|(_, failure)| failure.is_damage())
    }
}

impl SourceFailure {
    fn is_damage(&self) -> bool {
        match self {
            Self::WrongBytes(_) => true,
            Self::Lake(error) => error.is_damage(),
            Self::Broken { .. } => false,
        }
    }
}

impl Transfer {
    /// Makes files of objects, several at once, and returns what came of each, in order.
    ///
    /// Digests of `hashes` are among the results beside those that verification needs. A file that could
    /// not be had is not there.
    pub fn fetch_files(
        &self,
        wanted: &[WantedFile],
        hashes: &[HashName],
    ) -> Vec<Result<Landed, Failure>> {
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<Option<_>>> = Mutex::new(wanted.iter().map(|_| None).collect());
        let lakes = wanted.iter().filter_map(|one| one.candidates.first());
        let threads = lakes.map(|source| self.lakes.at(&source.lake).most_at_once(self.jobs)).max();
        if !wanted.is_empty() {
            self.reporter.expect_unsized(Activity::Downloading, wanted.len() as u64);
        }
        std::thread::scope(|scope| {
            for _ in 0..threads.unwrap_or(1).min(wanted.len()) {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(one) = wanted.get(at) else { return };
                        let result = self.fetch_file(one, hashes);
                        self.reporter.finished_object();
                        results.lock().expect("no holder panics")[at] = Some(result);
                    }
                });
            }
        });
        self.reporter.end();
        let results = results.into_inner().expect("no holder panics");
        results.into_iter().map(|result| result.unwrap_or(Err(Failure::Cancelled))).collect()
    }

    /// Makes a file of one object, from the first source that has it, in rounds as long as that makes
    /// sense.
    fn fetch_file(&self, wanted: &WantedFile, hashes: &[HashName]) -> Result<Landed, Failure> {
        let unusable = |error: fs::PathError| Failure::Store(super::report::with_causes(&error));
        let mut file = File::create_new(&wanted.path).context(&wanted.path).map_err(unusable)?;
        let result = self.fill(wanted, &mut file, hashes);
        if result.is_err() {
            // What is left of it is only in the way; its owner removes the folder in any case.
            drop(std::fs::remove_file(&wanted.path));
        }
        result
    }

    fn fill(
        &self,
        wanted: &WantedFile,
        file: &mut File,
        hashes: &[HashName],
    ) -> Result<Landed, Failure> {
        if let Some(hashed) = self.take_stored(wanted, file, hashes)? {
            return Ok(Landed { hashed, met_damage: false });
        }
        let (candidates, mut is_sized) = (&wanted.candidates, false);
        let had = self.first_source(
            candidates,
            |hashed: &Hashed| hashed.size,
            |at| {
                let sized = |bytes| {
                    if !std::mem::replace(&mut is_sized, true) {
                        self.reporter.sized(1, bytes);
                    }
                };
                vec![(at, self.receive_file(&candidates[at], wanted, file, hashes, sized))]
            },
        )?;
        for (at, _) in had.failures.iter().filter(|(_, why)| why.is_damage()) {
            self.lakes.at(&candidates[*at].lake).note_damage();
        }
        let met_damage = had.failures.values().any(SourceFailure::is_damage);
        Ok(Landed { hashed: had.value, met_damage })
    }

    /// Copies an object from the file that may hold it; `None` if that is not there, or holds other bytes.
    fn take_stored(
        &self,
        wanted: &WantedFile,
        file: &mut File,
        hashes: &[HashName],
    ) -> Result<Option<Hashed>, Failure> {
        let Some(known) = &wanted.known else { return Ok(None) };
        let opened = File::open(&known.stored).and_then(|stored| Ok((stored.metadata()?, stored)));
        let Ok((metadata, stored)) = opened else { return Ok(None) };
        if metadata.len() != known.size {
            return Ok(None);
        }
        let mut reader = stored.take(known.size);
        let mut hasher = Hasher::new(hashes);
        let mut buffer = vec![0; COPY_BUFFER_BYTES];
        loop {
            if self.cancel.is_cancelled() {
                return Err(Failure::Cancelled);
            }
            // What cannot be read may be in a lake.
            let Ok(count) = reader.read(&mut buffer) else { return Ok(None) };
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            file.write_all(&buffer[..count]).map_err(|error| unwritable(&error, known.size))?;
        }
        let hashed = hasher.finish();
        Ok((hashed.oid == known.oid && hashed.size == known.size).then_some(hashed))
    }

    /// Receives an object and verifies it by its name.
    fn receive_file(
        &self,
        source: &SourceUrl,
        wanted: &WantedFile,
        file: &mut File,
        hashes: &[HashName],
        sized: impl FnOnce(u64),
    ) -> Result<Hashed, Fetch> {
        let open = self.lakes.at(&source.lake);
        let begun = Instant::now();
        let content = open.usable()?.get(&source.name, 0)?;
        open.note_first_byte(begun.elapsed());
        sized(content.size);
        let folder = wanted.path.parent().unwrap_or(Path::new("."));
        if free_bytes(folder).is_ok_and(|free| free < content.size.saturating_add(SPARE_BYTES)) {
            return Err(Fetch::Fatal(Failure::NoRoom { size: content.size }));
        }
        let writing = |error: io::Error| unwritable(&error, content.size);
        let broken =
            |reason: String| Fetch::Source(SourceFailure::Broken { url: source.clone(), reason });
        file.set_len(0).and_then(|()| file.rewind()).map_err(writing)?;
        let likely = likely_hashes(source, open.declaration()?.hash);
        let first = likely.first().copied();
        let all: Vec<HashName> = first.into_iter().chain(hashes.iter().copied()).collect();
        let mut hasher = Hasher::new(&all);
        let mut reader = self.slowed(content.reader).take(content.size);
        let small = usize::try_from(content.size).unwrap_or(usize::MAX).max(1);
        let mut buffer = vec![0; COPY_BUFFER_BYTES.min(small)];
        let mut there = 0;
        loop {
            if self.cancel.is_cancelled() {
                return Err(Fetch::Fatal(Failure::Cancelled));
            }
            let count = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(broken(error.to_string())),
            };
            hasher.update(&buffer[..count]);
            file.write_all(&buffer[..count]).map_err(writing)?;
            there += count as u64;
            self.reporter.moved(count as u64);
        }
        if there < content.size {
            return Err(broken("The connection ended too early".to_owned()));
        }
        let hashed = hasher.finish();
        let is_right = match &wanted.known {
            Some(known) => hashed.oid == known.oid && hashed.size == known.size,
            None => is_named(source, &hashed, first) || is_other(source, &wanted.path, &likely),
        };
        match is_right {
            true => Ok(hashed),
            false => Err(Fetch::Source(SourceFailure::WrongBytes(source.clone()))),
        }
    }
}

/// Says why a file of `size` bytes could not be written.
fn unwritable(error: &io::Error, size: u64) -> Failure {
    match fs::is_full(error) {
        true => Failure::NoRoom { size },
        false => Failure::Store(error.to_string()),
    }
}

/// Returns the hashes that an object may be named by: those of its name's length, the declared one first.
fn likely_hashes(source: &SourceUrl, declared: HashName) -> Vec<HashName> {
    let mut likely: Vec<_> = HashName::with_hex_len(source.name.hex().len()).collect();
    likely.sort_by_key(|hash| *hash != declared);
    likely
}

fn is_named(source: &SourceUrl, hashed: &Hashed, hash: Option<HashName>) -> bool {
    let digest = hash.and_then(|hash| hashed.digest(hash));
    digest.is_some_and(|digest| digest.hex == source.name.hex())
}

/// Returns true if one of the other likely hashes is right: a lake may hold names of several.
fn is_other(source: &SourceUrl, path: &Path, likely: &[HashName]) -> bool {
    let Some(others) = likely.get(1..).filter(|others| !others.is_empty()) else { return false };
    let hashed = File::open(path).and_then(|file| hash_reader(file, others));
    let Ok(hashed) = hashed else { return false };
    others.iter().any(|hash| is_named(source, &hashed, Some(*hash)))
}
