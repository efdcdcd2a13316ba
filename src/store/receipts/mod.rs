//! What lakes have proved to hold: one log for each lake, one line for each full object URL.
//!
//! A receipt carries its strength and its date, and is bound to the lake's id: when another lake
//! stands at the same address, the receipts of the old one do not count. Losing receipts costs
//! questions to the lake, never data, so they are appended without waiting for the disk.
//! What takes one back does not get lost: it is synced.
//!
//! A log is folded when lines that no longer count outweigh the others, under the lock that appending
//! takes, too. Readers need no lock. Format: `docs/local-state.md`.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use known::Known;

use crate::fs::{
    IoContext as _, PathError, Shared, if_exists, set_aside, sync, unix_now, write_atomic,
};
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::object_name::ObjectName;
use crate::store::damage::Notice;

mod known;

/// Seconds for which a receipt of any strength is good for a push without asking again.
pub const FRESH_FOR_SECONDS: u64 = 24 * 60 * 60;

/// How strongly a lake proved to hold an object; a later variant is stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// The lake shows an object of the right size under the name.
    Size,
    /// The lake vouches for the SHA-256, or the object was read and is right.
    Checksum,
    /// This clone sent the verified bytes and the lake acknowledged them durably.
    Sent,
}

impl Strength {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Size, "size"), (Self::Checksum, "checksum"), (Self::Sent, "sent")];

    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).expect("every strength has a row").1
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|row| row.1 == text).map(|row| row.0)
    }
}

/// Proof that a lake holds one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The object's size there, in bytes.
    pub size: u64,
    /// How strong the proof is.
    pub strength: Strength,
    /// When it was given, in seconds since 1970.
    pub date: u64,
}

impl Receipt {
    /// Returns true if a push may rely on it without asking the lake again.
    pub fn is_fresh(&self) -> bool {
        unix_now().saturating_sub(self.date) < FRESH_FOR_SECONDS
    }
}

/// What an append has to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Survives {
    /// A kill. Losing it to a power cut costs a question.
    Kill,
    /// A power cut: without it something would count that does not any more.
    PowerCut,
}

/// The receipts of one clone, kept in `<store>/receipts/`. Each lake's log is read once.
#[derive(Debug)]
pub struct Receipts {
    folder: PathBuf,
    lakes: Mutex<HashMap<LakeUrl, Known>>,
    notice: Notice,
}

impl Receipts {
    /// Names the receipts below `store_root`; touches nothing.
    pub fn at(store_root: &Path) -> Self {
        let (lakes, notice) = Default::default();
        Self { folder: store_root.join("receipts"), lakes, notice }
    }

    /// Tells somebody when a damaged log is set aside.
    #[must_use]
    pub fn telling(self, notice: Notice) -> Self {
        Self { notice, ..self }
    }

    /// Returns the receipt for a full object URL.
    ///
    /// # Errors
    /// If the lake's log cannot be read.
    pub fn get(&self, url: &SourceUrl) -> Result<Option<Receipt>, PathError> {
        self.with(&url.lake, |known| known.get(&url.name))
    }

    /// Returns the names that a lake proved to hold, in no order.
    ///
    /// # Errors
    /// If the lake's log cannot be read.
    pub fn names(&self, lake: &LakeUrl) -> Result<Vec<ObjectName>, PathError> {
        self.with(lake, |known| known.names().cloned().collect())
    }

    /// Records proofs that one lake gave, all of them now; `id` is the id that the lake has today.
    ///
    /// A weaker proof of the same size gives a stronger receipt a new date and leaves its strength: the
    /// object that was sent or read is still there.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn add(
        &self,
        lake: &LakeUrl,
        id: Option<&str>,
        proofs: &[(ObjectName, u64, Strength)],
    ) -> Result<(), PathError> {
        if proofs.is_empty() {
            return Ok(());
        }
        let (date, id) = (unix_now(), id.unwrap_or(known::NO_ID));
        // Before, and not after: of a log that belongs to another lake nothing is left by it.
        if self.with(lake, |known| known.is_to_be_folded())? {
            self.fold(lake, id)?;
        }
        let survives = self.with(lake, |known| match known.is_voided_by(id) {
            true => Survives::PowerCut,
            false => Survives::Kill,
        })?;
        // The id comes first in the same write, so that lines of several processes keep theirs.
        let mut lines = known::id_line(id);
        for (name, size, strength) in proofs {
            let receipt = Receipt { size: *size, strength: *strength, date };
            lines.push_str(&known::receipt_line(name, &receipt));
        }
        self.append(lake, &lines, survives)?;
        self.with(lake, |known| lines.lines().for_each(|line| known.take_line(line)))
    }

    /// Records that the lake turned out not to hold the object, or holds another: no receipt is left,
    /// not even after a power cut.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn revoke(&self, url: &SourceUrl) -> Result<(), PathError> {
        if self.get(url)?.is_none() {
            return Ok(());
        }
        let line = known::lost_line(&url.name, unix_now());
        self.append(&url.lake, &line, Survives::PowerCut)?;
        self.with(&url.lake, |known| known.take_line(line.trim_end()))
    }

    /// Makes the lake's receipts count only if they were given under the id that it has now.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn bind(&self, lake: &LakeUrl, id: Option<&str>) -> Result<(), PathError> {
        self.with(lake, |known| known.set_id(id.unwrap_or(known::NO_ID)))
    }

    fn path(&self, lake: &LakeUrl) -> PathBuf {
        self.folder.join(format!("{}.log", lake.file_key()))
    }

    /// Waits until no other process writes receipts; theirs take as long as one write.
    fn lock(&self) -> Result<File, PathError> {
        std::fs::create_dir_all(&self.folder).context(&self.folder)?;
        let path = self.folder.join("lock");
        let lock = File::create(&path).context(&path)?;
        lock.lock().context(&path)?;
        Ok(lock)
    }

    /// Appends whole lines in one write. Opens the log by its name each time, since it may have been
    /// folded into another file.
    fn append(&self, lake: &LakeUrl, lines: &str, survives: Survives) -> Result<(), PathError> {
        let _lock = self.lock()?;
        let path = self.path(lake);
        let mut options = OpenOptions::new();
        let mut log = options.read(true).append(true).create(true).open(&path).context(&path)?;
        if is_begun_header(&mut log, &known::header(lake)).context(&path)? {
            log.set_len(0).context(&path)?;
        }
        let begin = match last_byte(&mut log).context(&path)? {
            None => known::header(lake),
            Some(b'\n') => String::new(),
            // What a crash cut off must not become whole by what follows.
            Some(_) => known::END_OF_TORN_LINE.to_owned(),
        };
        log.write_all((begin + lines).as_bytes()).context(&path)?;
        if survives == Survives::PowerCut {
            sync::file(&log, &path)?;
            sync::folder(&self.folder)?;
        }
        Ok(())
    }

    /// Leaves of a log what still counts. Readers and crashes see the old log or the new one.
    fn fold(&self, lake: &LakeUrl, id: &str) -> Result<(), PathError> {
        let _lock = self.lock()?;
        let mut known = self.read(lake)?;
        // Another process may have been faster.
        if known.is_to_be_folded() {
            write_atomic(&self.path(lake), known.to_log(lake).as_bytes(), Shared::No)?;
            known.note_folded();
        }
        known.set_id(id);
        self.lakes.lock().expect("no holder panics").insert(lake.clone(), known);
        Ok(())
    }

    fn read(&self, lake: &LakeUrl) -> Result<Known, PathError> {
        let path = self.path(lake);
        let Some(mut file) = if_exists(File::open(&path)).context(&path)? else {
            return Ok(Known::default());
        };
        let mut bytes = Vec::new();
        match file.read_to_end(&mut bytes) {
            // A folder stands there.
            Err(error) if error.kind() == ErrorKind::IsADirectory => Ok(Known::damaged()),
            read => {
                read.context(&path)?;
                Ok(Known::of_log(&String::from_utf8_lossy(&bytes), lake))
            }
        }
    }

    /// Reads a log; sets it aside if it is damaged, and leaves what could be read of it, too old for a push
    /// to rely on.
    fn read_or_mend(&self, lake: &LakeUrl) -> Result<Known, PathError> {
        let known = self.read(lake)?;
        // Who may not write here goes on with what could be read; the next one who may sets it aside.
        if known.is_damaged() { Ok(self.mend(lake).unwrap_or(known)) } else { Ok(known) }
    }

    fn mend(&self, lake: &LakeUrl) -> Result<Known, PathError> {
        let _lock = self.lock()?;
        let mut known = self.read(lake)?;
        // Another process may have been faster.
        if known.is_damaged() {
            known.mend(unix_now().saturating_sub(FRESH_FOR_SECONDS));
            let path = self.path(lake);
            let aside = set_aside(&path)?;
            write_atomic(&path, known.to_log(lake).as_bytes(), Shared::No)?;
            self.notice.set_aside(
                &path,
                &aside,
                "the lake is asked again before a push relies on it",
            );
        }
        Ok(known)
    }

    fn with<T>(&self, lake: &LakeUrl, act: impl FnOnce(&mut Known) -> T) -> Result<T, PathError> {
        let mut lakes = self.lakes.lock().expect("no holder panics");
        if !lakes.contains_key(lake) {
            lakes.insert(lake.clone(), self.read_or_mend(lake)?);
        }
        Ok(act(lakes.get_mut(lake).expect("inserted above")))
    }
}

/// Returns true if a crash cut off the first line of a log, of which it is all.
fn is_begun_header(log: &mut File, header: &str) -> std::io::Result<bool> {
    if log.metadata()?.len() >= header.len() as u64 {
        return Ok(false);
    }
    let mut begun = Vec::new();
    log.rewind()?;
    log.read_to_end(&mut begun)?;
    Ok(header.as_bytes().starts_with(&begun))
}

/// Returns the last byte of a file; `None` if it is empty.
fn last_byte(file: &mut File) -> std::io::Result<Option<u8>> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(None);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(Some(byte[0]))
}

#[cfg(test)]
mod tests;
