//! From lakes to files: objects of which only the names are known.
//!
//! A source says neither the size nor the SHA-256 of its object; its name has a digest, by the hash
//! that its lake declares. What does not match it, or what a pointer says of it, is not left behind.
//! Nothing here is kept in the store, and nothing is synced: whoever owns the files does that for all of
//! them at once.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::Transfer;
use super::download::{Failure, SPARE_BYTES, SourceFailure};
use super::fetch::{TOO_EARLY, broken};
use super::growing::{Growing, Interruption};
use super::report::Activity;
use super::rounds::Fetch;
use crate::digest::{HashName, Hashed, Hasher, hash_reader};
use crate::fs;
use crate::fs::platform::free_bytes;
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
    /// A file that may hold it, or its beginning, and that nobody else needs: it is moved to its place, or
    /// lost.
    pub left: Option<PathBuf>,
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

impl Known {
    fn is(&self, hashed: &Hashed) -> bool {
        hashed.oid == self.oid && hashed.size == self.size
    }
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
        let begun = Growing::begin(&wanted.path, wanted.left.as_deref(), &self.cancel);
        let result = self.fill(wanted, &mut begun.map_err(unusable)?, hashes);
        // Whoever asks to stop may go on with it later. Else what is left of it is only in the way.
        if result.as_ref().is_err_and(|failure| !matches!(failure, Failure::Cancelled)) {
            drop(std::fs::remove_file(&wanted.path));
        }
        result
    }

    fn fill(
        &self,
        wanted: &WantedFile,
        file: &mut Growing<'_>,
        hashes: &[HashName],
    ) -> Result<Landed, Failure> {
        let there = match self.recognise(wanted, file, hashes)? {
            None => self.take_stored(wanted, file, hashes)?,
            there => there,
        };
        if let Some(hashed) = there {
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

    /// Looks if what was left is the whole object; asks no lake.
    fn recognise(
        &self,
        wanted: &WantedFile,
        file: &mut Growing<'_>,
        hashes: &[HashName],
    ) -> Result<Option<Hashed>, Failure> {
        if wanted.left.is_none() {
            return Ok(None);
        }
        let likely = match &wanted.known {
            Some(_) => Vec::new(),
            None => likely_hashes(&wanted.candidates),
        };
        let hashed = file.recall(&[hashes, &likely].concat())?.finish();
        let is_right = match &wanted.known {
            Some(known) => known.is(&hashed),
            None => is_named(&hashed, &wanted.candidates),
        };
        Ok(is_right.then_some(hashed))
    }

    /// Copies an object from the file that may hold it; `None` if that is not there, or holds other bytes.
    fn take_stored(
        &self,
        wanted: &WantedFile,
        file: &mut Growing<'_>,
        hashes: &[HashName],
    ) -> Result<Option<Hashed>, Failure> {
        let Some(known) = &wanted.known else { return Ok(None) };
        let opened = File::open(&known.stored).and_then(|stored| Ok((stored.metadata()?, stored)));
        let Ok((metadata, stored)) = opened else { return Ok(None) };
        if metadata.len() != known.size {
            return Ok(None);
        }
        file.clear()?;
        let mut hasher = Hasher::new(hashes);
        match file.receive(&mut stored.take(known.size), known.size, &mut hasher, &mut |_| {}) {
            Ok(()) => {}
            // What cannot be read may be in a lake.
            Err(Interruption::Reading(_)) => {}
            Err(Interruption::Failed(failure)) => return Err(failure),
        }
        let hashed = hasher.finish();
        if known.is(&hashed) {
            return Ok(Some(hashed));
        }
        file.clear()?;
        Ok(None)
    }

    /// Receives what is missing of an object, and verifies the whole by its name.
    ///
    /// If it is wrong, nobody can tell which part was: all of it is received once more, and only bytes that
    /// came in one go are held against their source.
    fn receive_file(
        &self,
        source: &SourceUrl,
        wanted: &WantedFile,
        file: &mut Growing<'_>,
        hashes: &[HashName],
        mut sized: impl FnMut(u64),
    ) -> Result<Hashed, Fetch> {
        let open = self.lakes.at(&source.lake);
        let lake = open.usable()?;
        let declared = open.declaration()?.hash;
        let mut likely = likely_hashes(std::slice::from_ref(source));
        // The first is looked at as the bytes come, and the others only if that is not the one.
        likely.sort_by_key(|hash| *hash != declared);
        let others = likely.split_off(likely.len().min(1));
        let all: Vec<HashName> = likely.iter().chain(hashes).copied().collect();
        loop {
            let mut hasher = file.recall(&all)?;
            let there = hasher.size();
            let begun = Instant::now();
            let content = lake.get(&source.name, there)?;
            open.note_first_byte(begun.elapsed());
            let missing = content.size.saturating_sub(there);
            sized(missing);
            let folder = wanted.path.parent().unwrap_or(Path::new("."));
            if free_bytes(folder).is_ok_and(|free| free < missing.saturating_add(SPARE_BYTES)) {
                return Err(Fetch::Fatal(Failure::NoRoom { size: missing }));
            }
            let mut reader = self.slowed(content.reader).take(missing);
            let moved = &mut |bytes| self.reporter.moved(bytes);
            match file.receive(&mut reader, content.size, &mut hasher, moved) {
                Ok(()) => {}
                Err(Interruption::Reading(error)) => return Err(broken(source, &error).into()),
                Err(Interruption::Failed(failure)) => return Err(failure.into()),
            }
            if hasher.size() < content.size {
                return Err(broken(source, &TOO_EARLY).into());
            }
            let hashed = hasher.finish();
            let is_right = match &wanted.known {
                Some(known) => known.is(&hashed),
                None => {
                    is_named(&hashed, std::slice::from_ref(source))
                        || is_other(source, &wanted.path, &others)
                }
            };
            if is_right {
                return Ok(hashed);
            }
            file.clear()?;
            if there == 0 {
                return Err(SourceFailure::WrongBytes(source.clone()).into());
            }
        }
    }
}

/// Returns the hashes that objects may be named by: those of the lengths of their names.
pub fn likely_hashes(sources: &[SourceUrl]) -> Vec<HashName> {
    let lengths: BTreeSet<usize> = sources.iter().map(|source| source.name.hex().len()).collect();
    lengths.into_iter().flat_map(HashName::with_hex_len).collect()
}

/// Returns true if one of the digests is what an object is named by.
pub fn is_named(hashed: &Hashed, sources: &[SourceUrl]) -> bool {
    sources.iter().any(|source| {
        HashName::with_hex_len(source.name.hex().len())
            .filter_map(|hash| hashed.digest(hash))
            .any(|digest| digest.hex == source.name.hex())
    })
}

/// Returns true if one of the other likely hashes is right: a lake may hold names of several.
fn is_other(source: &SourceUrl, path: &Path, others: &[HashName]) -> bool {
    let hashed = || File::open(path).and_then(|file| hash_reader(file, others)).ok();
    !others.is_empty()
        && hashed().is_some_and(|hashed| is_named(&hashed, std::slice::from_ref(source)))
}
