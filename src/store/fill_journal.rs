//! Which files of the work tree are to be filled when git closes the pipe.
//!
//! Written before git gets the first pointer in place of large content. If the process dies after a
//! file got its content and before the index knows, git would take the file for modified for ever;
//! `git lake pull` reads what dead processes left here and puts the index right.
//! One log for each process, locked for its life. Format: `docs/local-state.md`.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use percent_encoding::{percent_decode, percent_encode};

use super::queue::IN_PATH;
use crate::fs::{IoContext as _, PathError, if_exists, read_small, try_lock, unix_now};
use crate::oid::Oid;
use crate::repo_path::{RepoPath, bytes_to_os_path, os_path_to_bytes};

const HEADER: &str = "git-lake fill v1";
const MAX_LOG_BYTES: u64 = 1 << 30;

/// A file that is to be filled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// git's name for the pointer's text, in hexadecimal digits.
    pub blob: Box<str>,
    /// The object.
    pub oid: Oid,
    /// Its size in bytes.
    pub size: u64,
    /// Where it belongs.
    pub path: RepoPath,
}

/// This process's own log. Dropping it keeps the log for `git lake pull`.
#[derive(Debug)]
pub struct FillLog {
    path: PathBuf,
    file: File,
}

impl FillLog {
    /// Begins a log for the index at `index_path`.
    ///
    /// # Errors
    /// If it cannot be written: nothing must be filled then.
    pub fn begin(store_root: &Path, index_path: &Path) -> Result<Self, PathError> {
        let folder = store_root.join("fill");
        std::fs::create_dir_all(&folder).context(&folder)?;
        let path = folder.join(format!("{}-{}.log", unix_now(), std::process::id()));
        let mut file = OpenOptions::new().append(true).create(true).open(&path).context(&path)?;
        // On a file system without locks the log looks abandoned, and is only read by `pull`.
        drop(file.try_lock());
        let index = percent_encode(&os_path_to_bytes(index_path), IN_PATH).to_string();
        file.write_all(format!("{HEADER} {index}\n").as_bytes()).context(&path)?;
        Ok(Self { path, file })
    }

    /// Adds a file; safe from any kill on return.
    ///
    /// # Errors
    /// If the log cannot be written: the file must not be filled then.
    pub fn add(&mut self, entry: Entry) -> Result<(), PathError> {
        self.add_all([entry])
    }

    /// Adds many files in one write.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_all(&mut self, entries: impl IntoIterator<Item = Entry>) -> Result<(), PathError> {
        let mut lines = String::new();
        for Entry { blob, oid, size, path } in entries {
            let path = percent_encode(path.as_bytes(), IN_PATH);
            lines.push_str(&format!("f {blob} {oid} {size} {path}\n"));
        }
        self.file.write_all(lines.as_bytes()).context(&self.path)
    }

    /// Makes the log safe from power loss, before the first file is touched.
    ///
    /// # Errors
    /// If the disk reports a failed write.
    pub fn sync(&self) -> Result<(), PathError> {
        self.file.sync_all().context(&self.path)
    }

    /// Removes the log: every file is filled and known to the index, or still a pointer.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn end(self) -> Result<(), PathError> {
        if_exists(std::fs::remove_file(&self.path)).context(&self.path)?;
        self.file.unlock().context(&self.path)
    }
}

/// A log that a process left behind, or that one is still writing.
#[derive(Debug)]
pub struct FoundLog {
    path: PathBuf,
    /// Whether its process still runs.
    pub is_running: bool,
    /// The index that it was for.
    pub index_path: PathBuf,
    /// The files; a line that was cut off is not among them.
    pub entries: Vec<Entry>,
}

impl FoundLog {
    /// Removes the log once everything in it was looked after.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(self) -> Result<(), PathError> {
        if_exists(std::fs::remove_file(&self.path)).context(&self.path).map(drop)
    }
}

/// Reads all logs.
///
/// # Errors
/// If the folder or a log cannot be read.
pub fn read_all(store_root: &Path) -> Result<Vec<FoundLog>, PathError> {
    let folder = store_root.join("fill");
    let Some(found) = if_exists(std::fs::read_dir(&folder)).context(&folder)? else {
        return Ok(Vec::new());
    };
    let mut logs = Vec::new();
    for path in found.flatten().map(|entry| entry.path()) {
        let Some(file) = if_exists(File::open(&path)).context(&path)? else { continue };
        let is_running = !try_lock(&file, &path).unwrap_or(true);
        let text = read_small(&path, MAX_LOG_BYTES)?.unwrap_or_default();
        let mut lines = text.split_inclusive(|byte| *byte == b'\n');
        let header = lines.next().and_then(|line| line.strip_suffix(b"\n"));
        let index = header.and_then(|line| line.strip_prefix(format!("{HEADER} ").as_bytes()));
        let Some(index) = index else { continue };
        let index: Vec<u8> = percent_decode(index).collect();
        let index_path = bytes_to_os_path(&index).into_owned();
        let entries = lines.filter_map(|line| parse_line(line.strip_suffix(b"\n")?)).collect();
        logs.push(FoundLog { path, is_running, index_path, entries });
    }
    Ok(logs)
}

fn parse_line(line: &[u8]) -> Option<Entry> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.strip_prefix("f ")?.split(' ');
    let (blob, oid) = (words.next()?.into(), words.next()?.parse().ok()?);
    let size = words.next()?.parse().ok()?;
    let path: Vec<u8> = percent_decode(words.next()?.as_bytes()).collect();
    Some(Entry { blob, oid, size, path: RepoPath::parse(&path)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_running_until_its_process_is_gone_and_lives_until_it_ends() {
        let dir = tempfile::tempdir().expect("a folder");
        let index = dir.path().join("my index");
        let entry = Entry {
            blob: "ab".into(),
            oid: Oid::of(b"x"),
            size: 1 << 33,
            path: RepoPath::parse(b"a b\n\xff").expect("a path"),
        };
        assert!(read_all(dir.path()).expect("absent").is_empty());
        let mut log = FillLog::begin(dir.path(), &index).expect("begins");
        log.add(entry.clone()).expect("writes");
        log.sync().expect("syncs");
        let found = read_all(dir.path()).expect("reads").pop().expect("one");
        assert!(found.is_running);
        assert_eq!((found.index_path, found.entries), (index, vec![entry]));
        log.file.unlock().expect("as if the process were gone");
        assert!(!read_all(dir.path()).expect("reads").pop().expect("one").is_running);
        log.end().expect("removes");
        assert!(read_all(dir.path()).expect("reads").is_empty());
    }
}
