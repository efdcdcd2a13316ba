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

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode, percent_encode};

use crate::fs::{IoContext as _, PathError, if_exists, try_lock, unix_now};
use crate::lake_url::SourceUrl;
use crate::oid::Oid;
use crate::repo_path::RepoPath;

const HEADER: &str = "git-lake queue v1";
/// Characters of a path that would break a record apart.
pub(super) const IN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(0x7f);
/// Longest line that is read; a longer one is damage and skipped.
const MAX_LINE_BYTES: usize = 64 * 1024;

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
    /// Uploads that are due, by full object URL.
    pub owed: BTreeMap<SourceUrl, Owed>,
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
        log.file.sync_all().context(&log.path)?;
        crate::fs::sync::folder(&self.folder)
    }

    /// Reads every process's records. A line that was cut off by a crash is no record.
    ///
    /// # Errors
    /// If the folder or a log cannot be read.
    pub fn read(&self) -> Result<Claims, PathError> {
        let mut claims = Collector::default();
        for path in self.logs()? {
            // Another process may have folded it away meanwhile; its records are in the newest log.
            if let Some(file) = if_exists(File::open(&path)).context(&path)? {
                claims.read(file, &path)?;
            }
        }
        Ok(claims.into_claims())
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
    /// A crash at any point leaves every record that was kept, perhaps twice. Does nothing while
    /// another process compacts.
    ///
    /// # Errors
    /// If reading or writing fails; nothing is lost then.
    pub fn compact(&self, keep: impl FnOnce(Claims) -> Claims) -> Result<(), PathError> {
        let own = self.log.lock().expect("no holder panics").take();
        let logs = self.logs()?;
        if logs.is_empty() {
            return Ok(());
        }
        let lock_path = self.folder.join("lock");
        let lock = File::create(&lock_path).context(&lock_path)?;
        if !try_lock(&lock, &lock_path)? {
            return Ok(());
        }
        drop(own);
        let (mut claims, mut folded) = (Collector::default(), Vec::new());
        for path in logs {
            let Some(file) = if_exists(File::open(&path)).context(&path)? else {
                continue;
            };
            if matches!(try_lock(&file, &path), Ok(true)) {
                claims.read(file, &path)?;
                folded.push(path);
            }
        }
        let kept = keep(claims.into_claims());
        let mut text = format!("{HEADER}\n");
        text.extend(kept.tentative.iter().map(tentative_line));
        text.extend(kept.owed.values().map(owed_line));
        if !kept.tentative.is_empty() || !kept.owed.is_empty() {
            let path = self.folder.join(format!("{}-{}.log", unix_now(), unique()));
            crate::fs::write_atomic(&path, text.as_bytes(), crate::fs::Shared::No)?;
        }
        for path in folded {
            if_exists(std::fs::remove_file(&path)).context(&path)?;
        }
        lock.unlock().context(&lock_path)
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
        let path = self.folder.join(format!("{}-{}.log", unix_now(), unique()));
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create_new(true).open(&path).context(&path)?;
        // Without the lock the worst is that another process folds this log early: on such file
        // systems its records are then appended to a file without a name. Refuse instead.
        file.try_lock().map_err(std::io::Error::from).context(&path)?;
        file.write_all(format!("{HEADER}\n").as_bytes()).context(&path)?;
        Ok(Log { path, file })
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

/// Returns a name part that no other process and no other call uses.
fn unique() -> String {
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("{}-{count}", std::process::id())
}

fn tentative_line(record: &Tentative) -> String {
    let path = percent_encode(record.path.as_bytes(), IN_PATH);
    format!("t {} {} {} {path}\n", record.since, record.blob, record.oid)
}

fn owed_line(record: &Owed) -> String {
    let path = percent_encode(record.path.as_bytes(), IN_PATH);
    format!("o {} {} {} {path}\n", record.oid, record.size, record.url)
}

#[derive(Default)]
struct Collector {
    seen: HashSet<(Box<str>, RepoPath)>,
    claims: Claims,
}

impl Collector {
    fn read(&mut self, file: File, path: &Path) -> Result<(), PathError> {
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line).context(path)? == 0 {
                return Ok(());
            }
            if line.pop() == Some(b'\n') && line.len() <= MAX_LINE_BYTES {
                self.take_line(&line);
            }
        }
    }

    /// Takes one line; what is no record (the header, damage) is passed over.
    fn take_line(&mut self, line: &[u8]) -> Option<()> {
        let line = std::str::from_utf8(line).ok()?;
        let mut words = line.split(' ');
        let kind = words.next()?;
        let mut word = || words.next();
        match kind {
            "t" => {
                let since = word()?.parse().ok()?;
                let (blob, oid, path) = (word()?, word()?.parse().ok()?, parse_path(word()?)?);
                if self.seen.insert((blob.into(), path.clone())) {
                    self.claims.tentative.push(Tentative { since, blob: blob.into(), oid, path });
                }
            }
            "o" => {
                let (oid, size) = (word()?.parse().ok()?, word()?.parse().ok()?);
                let url = SourceUrl::parse_normal(word()?).ok()?;
                let owed = Owed { url: url.clone(), oid, size, path: parse_path(word()?)? };
                self.claims.owed.insert(url, owed);
            }
            _ => {}
        }
        Some(())
    }

    fn into_claims(self) -> Claims {
        self.claims
    }
}

fn parse_path(text: &str) -> Option<RepoPath> {
    RepoPath::parse(&percent_decode(text.as_bytes()).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake_url::LakeUrl;
    use crate::object_name::ObjectName;

    fn path(bytes: &[u8]) -> RepoPath {
        RepoPath::parse(bytes).expect("a path")
    }

    fn tentative(content: &[u8]) -> Tentative {
        let oid = Oid::of(content);
        Tentative { since: 7, blob: "ab12".into(), oid, path: path(b"a b\n%\xff.png") }
    }

    fn owed(content: &[u8]) -> Owed {
        let oid = Oid::of(content);
        let lake = LakeUrl::parse("file:///mnt/lake").expect("an address");
        let url = lake.source(ObjectName::new(&oid.into(), b"x.png"));
        Owed { url, oid, size: 3, path: path(b"x.png") }
    }

    #[test]
    fn records_of_all_processes_are_read_and_odd_names_survive() {
        let dir = tempfile::tempdir().expect("a folder");
        let (one, two) = (Queue::at(dir.path()), Queue::at(dir.path()));
        assert!(one.is_empty().expect("reads"));
        one.add_tentative(&tentative(b"1")).expect("writes");
        two.add_owed([&owed(b"2")]).expect("writes");
        two.sync().expect("syncs");
        let claims = one.read().expect("reads");
        assert_eq!(claims.tentative, [tentative(b"1")]);
        assert_eq!(claims.owed.into_values().collect::<Vec<_>>(), [owed(b"2")]);
    }

    #[test]
    fn a_line_that_was_cut_off_is_no_record() {
        let dir = tempfile::tempdir().expect("a folder");
        let queue = Queue::at(dir.path());
        queue.add_owed([&owed(b"1"), &owed(b"2")]).expect("writes");
        let log = queue.logs().expect("one").remove(0);
        let length = std::fs::metadata(&log).expect("there").len();
        OpenOptions::new()
            .write(true)
            .open(&log)
            .expect("opens")
            .set_len(length - 4)
            .expect("cuts");
        let claims = queue.read().expect("reads");
        assert_eq!(claims.owed.into_values().collect::<Vec<_>>(), [owed(b"1")]);
    }

    #[test]
    fn compacting_keeps_what_is_wanted_and_leaves_running_processes_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let (gone, running) = (Queue::at(dir.path()), Queue::at(dir.path()));
        gone.add_owed([&owed(b"1"), &owed(b"2")]).expect("writes");
        gone.add_tentative(&tentative(b"3")).expect("writes");
        drop(gone);
        running.add_owed([&owed(b"4")]).expect("writes");
        let third = Queue::at(dir.path());
        third
            .compact(|mut claims| {
                assert_eq!(claims.owed.len(), 2, "the running process's records are not shown");
                claims.tentative.clear();
                claims.owed.remove(&owed(b"1").url);
                claims
            })
            .expect("compacts");
        let claims = third.read().expect("reads");
        let mut urls: Vec<_> = claims.owed.into_keys().collect();
        urls.sort();
        let mut expected = vec![owed(b"2").url, owed(b"4").url];
        expected.sort();
        assert_eq!(urls, expected);
        running.add_owed([&owed(b"5")]).expect("its log is still its own");
        assert_eq!(third.read().expect("reads").owed.len(), 3);
    }

    #[test]
    fn compacting_everything_away_leaves_an_empty_queue() {
        let dir = tempfile::tempdir().expect("a folder");
        let queue = Queue::at(dir.path());
        queue.add_tentative(&tentative(b"3")).expect("writes");
        queue.compact(|_| Claims::default()).expect("compacts");
        assert!(queue.is_empty().expect("reads"));
    }
}
