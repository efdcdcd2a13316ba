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

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use record::Line;

use crate::fs::{IoContext as _, PathError, Shared, if_exists, set_aside, try_lock, unix_now};
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::oid::Oid;
use crate::repo_path::RepoPath;
use crate::store::damage::Notice;

pub use claims::Claims;
pub(super) use record::IN_PATH;

mod claims;
mod record;

/// So many logs are folded before another one is begun.
const MANY_LOGS: usize = 16;

/// Whether a queue was compacted.
#[derive(Debug, PartialEq, Eq)]
pub enum Compacted {
    /// By this call, or there was nothing to do.
    Done,
    /// By this call, and there may have been more records than were kept.
    Lossy(Remains),
    /// Another process is at it.
    Busy,
}

/// What is left of processes that did not come to make durable what they stored. They stay until
/// [`Queue::forget`] is told that it was looked for; of logs that were damaged nothing stays here.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what they stored may be lost"]
pub struct Remains(Vec<PathBuf>);

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

/// The claims of one clone, kept in `<store>/queue/`.
#[derive(Debug)]
pub struct Queue {
    folder: PathBuf,
    log: Mutex<Option<Log>>,
    notice: Notice,
}

/// What is done about logs that may have had more records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LossyLogs {
    Fold,
    Leave,
}

/// This process's own log.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
    /// The lakes that it names.
    lakes: Vec<LakeUrl>,
    /// A write failed and may have left the beginning of a line, and none of what was to follow.
    is_torn: bool,
    /// Something was written since it was synced.
    is_open: bool,
    /// A pointer was recorded, and nothing says that all is durable.
    is_unfinished: bool,
}

impl Log {
    fn append(&mut self, claims: &Claims) -> Result<(), PathError> {
        if self.is_torn {
            // None of the others may be there.
            self.lakes.clear();
        }
        self.is_unfinished |= claims.have_tentative();
        let lines = claims.to_lines(&mut self.lakes);
        self.append_lines(lines)
    }

    fn append_lines(&mut self, mut lines: String) -> Result<(), PathError> {
        self.is_open = true;
        if self.is_torn {
            // What is there of a line must not become whole.
            lines.insert_str(0, record::END_OF_TORN_LINE);
        }
        // One write: a kill leaves all of it or none.
        let written = self.file.write_all(lines.as_bytes()).context(&self.path);
        self.is_torn = written.is_err();
        written
    }

    fn sync(&mut self) -> Result<(), PathError> {
        if self.is_open {
            crate::fs::sync::file(&self.file, &self.path)?;
            self.is_open = false;
        }
        Ok(())
    }
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
        let notice = Notice::default();
        Self { folder: store_root.join("queue"), log: Mutex::new(None), notice }
    }

    /// Tells somebody when a damaged log is set aside.
    #[must_use]
    pub fn telling(self, notice: Notice) -> Self {
        Self { notice, ..self }
    }

    /// Records that a pointer is about to be given to git; safe from any kill on return.
    ///
    /// # Errors
    /// If the log cannot be written: the pointer must not be given then.
    pub fn add_tentative(&self, tentative: &Tentative) -> Result<(), PathError> {
        let mut claims = Claims::default();
        claims.add_tentative(tentative);
        self.append(&claims)
    }

    /// Records uploads that are due; safe from any kill on return.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn add_owed<'a>(&self, owed: impl IntoIterator<Item = &'a Owed>) -> Result<(), PathError> {
        let mut claims = Claims::default();
        for record in owed {
            claims.add_owed(record);
        }
        if claims.is_empty() { Ok(()) } else { self.append(&claims) }
    }

    /// Makes this process's records safe from power loss. Does nothing when there is nothing new.
    ///
    /// # Errors
    /// If the disk reports a failed write.
    pub fn sync(&self) -> Result<(), PathError> {
        let mut log = self.log.lock().expect("no holder panics");
        log.as_mut().map_or(Ok(()), Log::sync)
    }

    /// Does the same at the end: notes that every object is durable whose pointer git was given or may have by
    /// now. Without that note it is looked for after a power cut, or a kill.
    ///
    /// # Errors
    /// If the disk reports a failed write.
    pub fn conclude(&self) -> Result<(), PathError> {
        let mut log = self.log.lock().expect("no holder panics");
        let Some(log) = &mut *log else { return Ok(()) };
        if log.is_unfinished {
            log.append_lines(record::SYNCED.to_owned())?;
            log.is_unfinished = false;
        }
        log.sync()
    }

    /// Forgets processes that died, when what they may have stored was looked for and is durable.
    ///
    /// # Errors
    /// If their logs cannot be removed; they are told of again then.
    pub fn forget(&self, remains: &Remains) -> Result<(), PathError> {
        let mut logs = remains.0.iter();
        logs.try_for_each(|log| if_exists(std::fs::remove_file(log)).map(drop).context(log))
    }

    /// Reads every process's records. A line that was cut off by a crash is no record.
    ///
    /// # Errors
    /// If the folder or a log cannot be read.
    pub fn read(&self) -> Result<Claims, PathError> {
        let mut claims = Claims::default();
        self.read_logs(|log| claims.add_log(log).map(drop))?;
        Ok(claims)
    }

    /// Returns those of the objects that some process has a record of; faster than [`Self::read`].
    ///
    /// # Errors
    /// If the folder or a log cannot be read.
    pub fn claimed(&self, among: &HashSet<Oid>) -> Result<HashSet<Oid>, PathError> {
        let mut claimed = HashSet::new();
        self.read_logs(|log| {
            let read = record::read(log, |line| match line {
                Line::Record(record, _) if among.contains(&record.oid) => {
                    claimed.insert(record.oid);
                }
                _ => {}
            });
            read.map(drop)
        })?;
        Ok(claimed)
    }

    fn read_logs(&self, mut read: impl FnMut(&File) -> io::Result<()>) -> Result<(), PathError> {
        let mut seen = HashSet::new();
        loop {
            let mut is_complete = true;
            for path in self.logs()?.into_iter().filter(|path| seen.insert(path.clone())) {
                match if_exists(File::open(&path)).context(&path)? {
                    Some(log) => read(&log).context(&path)?,
                    // Another process folded it meanwhile; what it held is in a newer log.
                    None => is_complete = false,
                }
            }
            if is_complete {
                return Ok(());
            }
        }
    }

    /// Folds the logs of processes that are gone, and this process's own, into one that holds what
    /// `keep` returns. Records of running processes are neither shown nor touched.
    ///
    /// A crash at any point leaves every record that was kept, perhaps twice. While another process
    /// compacts, nothing is done, and `keep` is not called. A log that is damaged is not removed but set
    /// aside, as `<name>.damaged`, and that is told; one of a process that did not make durable what it stored
    /// stays until that was looked for.
    ///
    /// # Errors
    /// If reading or writing fails; nothing is lost then.
    pub fn compact(&self, keep: impl FnOnce(Claims) -> Claims) -> Result<Compacted, PathError> {
        drop(self.log.lock().expect("no holder panics").take());
        self.fold(keep, LossyLogs::Fold)
    }

    fn fold(
        &self,
        keep: impl FnOnce(Claims) -> Claims,
        about_lossy: LossyLogs,
    ) -> Result<Compacted, PathError> {
        let lock_path = self.folder.join("lock");
        let Some(lock) = if_exists(File::create(&lock_path)).context(&lock_path)? else {
            return Ok(Compacted::Done);
        };
        if !try_lock(&lock, &lock_path)? {
            return Ok(Compacted::Busy);
        }
        let (mut claims, mut folded) = (Claims::default(), Vec::new());
        let (mut unfinished, mut damaged) = (Vec::new(), Vec::new());
        for path in self.logs()? {
            let file = File::open(&path).context(&path)?;
            if !matches!(try_lock(&file, &path), Ok(true)) {
                continue;
            }
            match claims.add_log(&file).context(&path)? {
                record::Log::Whole => folded.push(path),
                record::Log::Unfinished => unfinished.push(path),
                record::Log::Damaged => damaged.push(path),
                record::Log::OtherVersion => {}
            }
        }
        if about_lossy == LossyLogs::Leave {
            (unfinished, damaged) = Default::default();
        }
        if folded.is_empty() && unfinished.is_empty() && damaged.is_empty() {
            return lock.unlock().context(&lock_path).map(|()| Compacted::Done);
        }
        let kept = keep(claims);
        if !kept.is_empty() {
            let text = record::header() + &kept.to_lines(&mut Vec::new()) + record::SYNCED;
            crate::fs::write_atomic(&self.new_path(), text.as_bytes(), Shared::No)?;
        }
        for path in folded {
            if_exists(std::fs::remove_file(&path)).context(&path)?;
        }
        for path in &damaged {
            let aside = set_aside(path)?;
            self.notice.set_aside(path, &aside, "uploads that are owed are looked for in git");
        }
        let compacted = match damaged.is_empty() && unfinished.is_empty() {
            true => Compacted::Done,
            false => Compacted::Lossy(Remains(unfinished)),
        };
        lock.unlock().context(&lock_path).map(|()| compacted)
    }

    fn append(&self, claims: &Claims) -> Result<(), PathError> {
        let mut log = self.log.lock().expect("no holder panics");
        if log.is_none() {
            *log = Some(self.create_log()?);
        }
        log.as_mut().expect("created above").append(claims)
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
        staged.as_file().try_lock().map_err(io::Error::from).context(staged.path())?;
        staged.write_all(record::header().as_bytes()).context(staged.path())?;
        let path = self.new_path();
        let file = staged.persist(&path).map_err(|error| error.error).context(&path)?;
        // Whatever a power cut takes of what is in it, it is known that there was something.
        crate::fs::sync::folder(&self.folder)?;
        Ok(Log {
            path,
            file,
            lakes: Vec::new(),
            is_torn: false,
            is_open: false,
            is_unfinished: false,
        })
    }

    /// Folds logs when there are many: each `git status` that finds something modified leaves one.
    fn fold_many(&self) -> Result<(), PathError> {
        if self.logs()?.len() < MANY_LOGS {
            return Ok(());
        }
        // Whoever takes one has to look for what it may have said.
        self.fold(|claims| claims, LossyLogs::Leave).map(drop)
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

#[cfg(test)]
mod power_tests;
#[cfg(test)]
mod tests;
