//! What may be owed to lakes: every clean leaves a record before git sees the pointer.
//!
//! Two kinds of records. *Tentative*: a pointer was given to git, which may or may not come to use it
//! (`git status` cleans, too). *Owed*: the index, a ref or a stash references the pointer, and an
//! upload remote has no proof of holding the object yet. A record is settled by a receipt, or lapses
//! when nothing references it; this module only keeps claims, it does not judge them.
//!
//! Each process appends to a log of its own, whose advisory lock it holds for life, so logs never
//! interleave and a log without a holder belongs to nobody. [`Queue::compact`] folds such logs into one.
//! Format: `docs/local-state.md`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::File;
use std::hash::BuildHasher as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode, percent_encode};

use crate::fs::{IoContext as _, PathError, Shared, if_exists, try_lock, unix_now};
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::object_name::ObjectName;
use crate::oid::Oid;
use crate::repo_path::RepoPath;
use crate::store::digest_map::DigestMap;

const HEADER: &str = "git-lake queue v1";
/// Characters of a path that would break a record apart.
pub(super) const IN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(0x7f);
/// Longest line that is read; a longer one is damage and skipped.
const MAX_LINE_BYTES: usize = 64 * 1024;
/// Bytes of an ordinary record of an upload, to know how many there are before they are read.
const OWED_LINE_BYTES: usize = 240;
/// A thread is worth starting for so many bytes of records, and so many threads at once.
const BYTES_OF_A_THREAD: usize = 1 << 20;
const MAX_THREADS: usize = 4;
/// So many logs are folded before another one is begun.
const MANY_LOGS: usize = 16;

/// Whether a queue was compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compacted {
    /// By this call, or there was nothing to do.
    Done,
    /// Another process is at it.
    Busy,
}

/// A pointer that was given to git.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tentative {
    /// When, in seconds since 1970.
    pub since: u64,
    /// git's name for the pointer's text, in hexadecimal digits.
    pub blob: Box<str>,
    /// The object.
    pub oid: Oid,
    /// The path that it was cleaned for.
    pub path: RepoPath,
}

/// An upload that is due until a receipt for `url` exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// The full object URL.
    pub url: SourceUrl,
    /// The object.
    pub oid: Oid,
    /// Its size in bytes.
    pub size: u64,
    /// A path that has it, to tell people and to check that the remote applies.
    pub path: RepoPath,
}

/// All records, each once.
#[derive(Debug, Default)]
pub struct Claims {
    /// Pointers that may be in use.
    pub tentative: Vec<Tentative>,
    /// Uploads that are due, one for each full object URL, in no order.
    pub owed: Vec<Owed>,
}

/// The claims of one clone, kept in `<store>/queue/`.
#[derive(Debug)]
pub struct Queue {
    folder: PathBuf,
    log: Mutex<Option<Log>>,
}

/// This process's own log.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
}

impl Drop for Log {
    fn drop(&mut self) {
        // Closing alone is not enough: a child that was forked meanwhile may still hold the file. If
        // it cannot be unlocked, it is folded into another log a little later.
        drop(self.file.unlock());
    }
}

impl Queue {
    /// Names the queue below `store_root`; touches nothing.
    pub fn at(store_root: &Path) -> Self {
        Self { folder: store_root.join("queue"), log: Mutex::new(None) }
    }

    /// Records that a pointer is about to be given to git; safe from any kill on return.
    ///
    /// # Errors
    /// If the log cannot be written: the pointer must not be given then.
    pub fn add_tentative(&self, tentative: &Tentative) -> Result<(), PathError> {
        self.append(&tentative_line(tentative))
    }

    /// Records uploads that are due; safe from any kill on return.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn add_owed<'a>(&self, owed: impl IntoIterator<Item = &'a Owed>) -> Result<(), PathError> {
        let lines: String = owed.into_iter().map(owed_line).collect();
        if lines.is_empty() { Ok(()) } else { self.append(&lines) }
    }

    /// Makes this process's records safe from power loss.
    ///
    /// # Errors
    /// If the disk reports a failed write.
    pub fn sync(&self) -> Result<(), PathError> {
        let log = self.log.lock().expect("no holder panics");
        let Some(log) = &*log else {
            return Ok(());
        };
        crate::fs::sync::file(&log.file, &log.path)?;
        crate::fs::sync::folder(&self.folder)
    }

    /// Reads every process's records. A line that was cut off by a crash is no record.
    ///
    /// # Errors
    /// If the folder or a log cannot be read.
    pub fn read(&self) -> Result<Claims, PathError> {
        let (mut claims, mut seen) = (Collector::default(), HashSet::new());
        loop {
            let mut is_complete = true;
            for path in self.logs()?.into_iter().filter(|path| seen.insert(path.clone())) {
                match if_exists(File::open(&path)).context(&path)? {
                    Some(mut file) => claims.read(&mut file, &path)?,
                    // Another process folded it meanwhile; what it held is in a newer log.
                    None => is_complete = false,
                }
            }
            if is_complete {
                return Ok(claims.claims);
            }
        }
    }

    /// Returns true if there is no record at all; cheap.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn is_empty(&self) -> Result<bool, PathError> {
        Ok(self.logs()?.is_empty())
    }

    /// Folds the logs of processes that are gone, and this process's own, into one that holds what
    /// `keep` returns. Records of running processes are neither shown nor touched.
    ///
    /// A crash at any point leaves every record that was kept, perhaps twice. While another process
    /// compacts, nothing is done, and `keep` is not called.
    ///
    /// # Errors
    /// If reading or writing fails; nothing is lost then.
    pub fn compact(&self, keep: impl FnOnce(Claims) -> Claims) -> Result<Compacted, PathError> {
        drop(self.log.lock().expect("no holder panics").take());
        self.fold(keep)
    }

    fn fold(&self, keep: impl FnOnce(Claims) -> Claims) -> Result<Compacted, PathError> {
        let lock_path = self.folder.join("lock");
        let Some(lock) = if_exists(File::create(&lock_path)).context(&lock_path)? else {
            return Ok(Compacted::Done);
        };
        if !try_lock(&lock, &lock_path)? {
            return Ok(Compacted::Busy);
        }
        let (mut claims, mut folded) = (Collector::default(), Vec::new());
        for path in self.logs()? {
            let mut file = File::open(&path).context(&path)?;
            if matches!(try_lock(&file, &path), Ok(true)) {
                claims.read(&mut file, &path)?;
                folded.push(path);
            }
        }
        if folded.is_empty() {
            return lock.unlock().context(&lock_path).map(|()| Compacted::Done);
        }
        let kept = keep(claims.claims);
        let mut text = format!("{HEADER}\n");
        text.extend(kept.tentative.iter().map(tentative_line));
        text.extend(kept.owed.iter().map(owed_line));
        if !kept.tentative.is_empty() || !kept.owed.is_empty() {
            crate::fs::write_atomic(&self.new_path(), text.as_bytes(), Shared::No)?;
        }
        for path in folded {
            if_exists(std::fs::remove_file(&path)).context(&path)?;
        }
        lock.unlock().context(&lock_path).map(|()| Compacted::Done)
    }

    fn append(&self, lines: &str) -> Result<(), PathError> {
        let mut log = self.log.lock().expect("no holder panics");
        if log.is_none() {
            *log = Some(self.create_log()?);
        }
        let log = log.as_mut().expect("created above");
        // One write: a kill leaves all of it or none.
        log.file.write_all(lines.as_bytes()).context(&log.path)
    }

    fn create_log(&self) -> Result<Log, PathError> {
        // The store's own folders are new, too, the first time only: syncing at once costs little.
        for folder in crate::fs::create_folders(&self.folder)? {
            crate::fs::sync::folder(&folder)?;
        }
        self.fold_many()?;
        // It gets its name only when it is locked: another process would take it for one that belongs
        // to nobody, and remove it.
        let tmp = self.folder.with_file_name("tmp");
        std::fs::create_dir_all(&tmp).context(&tmp)?;
        let mut staged = crate::fs::stage(&tmp, Shared::No)?;
        // On a file system without locks, records would be appended to a file that another process has
        // removed. Refuse instead.
        staged.as_file().try_lock().map_err(std::io::Error::from).context(staged.path())?;
        staged.write_all(format!("{HEADER}\n").as_bytes()).context(staged.path())?;
        let path = self.new_path();
        let file = staged.persist(&path).map_err(|error| error.error).context(&path)?;
        Ok(Log { path, file })
    }

    /// Folds logs when there are many: each `git status` that finds something modified leaves one.
    fn fold_many(&self) -> Result<(), PathError> {
        if self.logs()?.len() < MANY_LOGS {
            return Ok(());
        }
        self.fold(|claims| claims).map(drop)
    }

    /// Returns a name that no other process and no other call uses.
    fn new_path(&self) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!("{}-{}-{count}.log", unix_now(), std::process::id()))
    }

    fn logs(&self) -> Result<Vec<PathBuf>, PathError> {
        let entries = if_exists(std::fs::read_dir(&self.folder)).context(&self.folder)?;
        let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
        let mut logs: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|ext| ext == "log")).collect();
        logs.sort_unstable();
        Ok(logs)
    }
}

fn tentative_line(record: &Tentative) -> String {
    let path = percent_encode(record.path.as_bytes(), IN_PATH);
    format!("t {} {} {} {path}\n", record.since, record.blob, record.oid)
}

fn owed_line(record: &Owed) -> String {
    let path = percent_encode(record.path.as_bytes(), IN_PATH);
    format!("o {} {} {} {path}\n", record.oid, record.size, record.url)
}

/// Gathers the records of several logs, each once.
#[derive(Default)]
struct Collector {
    seen: HashSet<(Box<str>, RepoPath)>,
    claims: Claims,
    /// Where in the claims the upload to an address stands, by the digest of the address: a table of the
    /// records themselves would take far longer to build.
    places: DigestMap<u64, usize>,
}

impl Collector {
    fn read(&mut self, file: &mut File, path: &Path) -> Result<(), PathError> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).context(path)?;
        // Replacing what is no text takes far longer than finding out that there is none.
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(&bytes),
        };
        // What follows the last line feed was cut off by a crash.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        self.places.reserve(whole.len() / OWED_LINE_BYTES);
        self.claims.owed.reserve(whole.len() / OWED_LINE_BYTES);
        std::thread::scope(|scope| {
            let pieces = pieces(whole);
            // All but the last are understood by others meanwhile.
            let (last, others) = pieces.split_last().expect("there is one at least");
            let others: Vec<_> = others.iter().map(|piece| scope.spawn(|| parse(piece))).collect();
            let last = parse(last);
            for other in others {
                self.take_all(other.join().expect("no thread panics"));
            }
            self.take_all(last);
        });
        Ok(())
    }

    fn take_all(&mut self, records: Vec<Record>) {
        for record in records {
            match record {
                Record::Tentative(record) => {
                    if self.seen.insert((record.blob.clone(), record.path.clone())) {
                        self.claims.tentative.push(record);
                    }
                }
                Record::Owed(record) => self.take_owed(record),
            }
        }
    }

    /// Takes an upload in place of an earlier record of the same address.
    fn take_owed(&mut self, owed: Owed) {
        let digest = self.places.hasher().hash_one(&owed.url);
        let place = *self.places.entry(digest).or_insert(self.claims.owed.len());
        match self.claims.owed.get_mut(place) {
            Some(known) if known.url == owed.url => *known = owed,
            // New, or of two addresses with one digest the second: that one may be listed twice.
            _ => self.claims.owed.push(owed),
        }
    }
}

/// One line of a log.
enum Record {
    Tentative(Tentative),
    Owed(Owed),
}

/// Cuts a long text into pieces of whole lines, one for each thread that is worth starting.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut rest, mut count) = (text, (text.len() / BYTES_OF_A_THREAD).clamp(1, MAX_THREADS));
    while count > 1 {
        // A line feed is one byte and no part of another character.
        let from = rest.len() / count;
        let Some(at) = rest.as_bytes()[from..].iter().position(|byte| *byte == b'\n') else {
            break;
        };
        let (piece, others) = rest.split_at(from + at);
        pieces.push(piece);
        rest = &others[1..];
        count -= 1;
    }
    pieces.push(rest);
    pieces
}

/// Understands lines; what is no record (the header, damage) is passed over.
fn parse(text: &str) -> Vec<Record> {
    let mut records = Vec::with_capacity(text.len() / OWED_LINE_BYTES);
    // The lake of the last record, as it was written: most records are about one or two.
    let mut lake = None;
    let lines = text.split('\n').filter(|line| line.len() <= MAX_LINE_BYTES);
    records.extend(lines.filter_map(|line| parse_line(line, &mut lake)));
    records
}

fn parse_line(line: &str, lake: &mut Option<(Box<str>, LakeUrl)>) -> Option<Record> {
    let mut words = line.split(' ');
    let kind = words.next()?;
    let mut word = || words.next();
    match kind {
        "t" => {
            let since = word()?.parse().ok()?;
            let (blob, oid) = (word()?.into(), word()?.parse().ok()?);
            Some(Record::Tentative(Tentative { since, blob, oid, path: parse_path(word()?)? }))
        }
        "o" => {
            let (oid, size) = (word()?.parse().ok()?, word()?.parse().ok()?);
            let (url, path) = (word()?, parse_path(word()?)?);
            Some(Record::Owed(Owed { url: parse_url(url, lake)?, oid, size, path }))
        }
        _ => None,
    }
}

fn parse_url(text: &str, lake: &mut Option<(Box<str>, LakeUrl)>) -> Option<SourceUrl> {
    let (address, name) = text.rsplit_once('/')?;
    if let Some((known, lake)) = lake
        && &**known == address
    {
        return Some(lake.source(ObjectName::parse(name).ok()?));
    }
    let url = SourceUrl::parse_normal(text).ok()?;
    *lake = Some((address.into(), url.lake.clone()));
    Some(url)
}

fn parse_path(text: &str) -> Option<RepoPath> {
    if !text.contains('%') {
        return RepoPath::parse(text.as_bytes());
    }
    RepoPath::parse(&percent_decode(text.as_bytes()).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests;
