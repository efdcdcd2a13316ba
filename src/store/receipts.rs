//! What lakes have proved to hold: one log for each lake, one line for each full object URL.
//!
//! A receipt carries its strength and its date, and is bound to the lake's id: when another lake
//! stands at the same address, the receipts of the old one do not count. Losing receipts costs
//! questions to the lake, never data, so they are appended without waiting for the disk.
//! Format: `docs/local-state.md`.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::fs::{IoContext as _, PathError, if_exists, unix_now};
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::object_name::ObjectName;

const HEADER: &str = "git-lake receipts v1";
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

    fn as_str(self) -> &'static str {
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

/// Identifies the lake that stands at an address; `-` where it has no id.
type LakeId = Box<str>;

/// The receipts of one lake, as its log has them.
#[derive(Debug, Default)]
struct Known {
    id: LakeId,
    by_name: HashMap<ObjectName, Receipt>,
}

/// The receipts of one clone, kept in `<store>/receipts/`. Each lake's log is read once.
#[derive(Debug)]
pub struct Receipts {
    folder: PathBuf,
    lakes: Mutex<HashMap<LakeUrl, Known>>,
}

impl Receipts {
    /// Names the receipts below `store_root`; touches nothing.
    pub fn at(store_root: &Path) -> Self {
        Self { folder: store_root.join("receipts"), lakes: Mutex::default() }
    }

    /// Returns the receipt for a full object URL.
    ///
    /// # Errors
    /// If the lake's log cannot be read.
    pub fn get(&self, url: &SourceUrl) -> Result<Option<Receipt>, PathError> {
        self.with(&url.lake, |known| known.by_name.get(&url.name).copied())
    }

    /// Records proofs that one lake gave, all of them now; `id` is the id that the lake has today.
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
        self.with(lake, |_| ())?;
        let (date, id) = (unix_now(), id.unwrap_or("-"));
        // The id comes first in the same write, so that lines of several processes keep theirs.
        let mut lines = format!("@{id}\n");
        for (name, size, strength) in proofs {
            lines.push_str(&format!("{name} {size} {} {date}\n", strength.as_str()));
        }
        self.append(lake, &lines)?;
        self.with(lake, |known| {
            known.set_id(id);
            for (name, size, strength) in proofs {
                let receipt = Receipt { size: *size, strength: *strength, date };
                known.by_name.insert(name.clone(), receipt);
            }
        })
    }

    /// Records that the lake turned out not to hold the object, or holds another: no receipt is left.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn revoke(&self, url: &SourceUrl) -> Result<(), PathError> {
        if self.get(url)?.is_some() {
            self.append(&url.lake, &format!("{} - lost {}\n", url.name, unix_now()))?;
            self.with(&url.lake, |known| known.by_name.remove(&url.name))?;
        }
        Ok(())
    }

    /// Makes the lake's receipts count only if they were given under the id that it has now.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn bind(&self, lake: &LakeUrl, id: Option<&str>) -> Result<(), PathError> {
        self.with(lake, |known| known.set_id(id.unwrap_or("-")))
    }

    fn path(&self, lake: &LakeUrl) -> PathBuf {
        self.folder.join(format!("{}.log", lake.file_key()))
    }

    fn append(&self, lake: &LakeUrl, lines: &str) -> Result<(), PathError> {
        std::fs::create_dir_all(&self.folder).context(&self.folder)?;
        let path = self.path(lake);
        let mut log = OpenOptions::new().append(true).create(true).open(&path).context(&path)?;
        log.lock().context(&path)?;
        let is_new = log.metadata().context(&path)?.len() == 0;
        let header = if is_new { format!("{HEADER} {lake}\n") } else { String::new() };
        log.write_all((header + lines).as_bytes()).context(&path)
    }

    fn with<T>(&self, lake: &LakeUrl, act: impl FnOnce(&mut Known) -> T) -> Result<T, PathError> {
        let mut lakes = self.lakes.lock().expect("no holder panics");
        if !lakes.contains_key(lake) {
            let path = self.path(lake);
            let known = match if_exists(File::open(&path)).context(&path)? {
                Some(file) => Known::read(file).context(&path)?,
                None => Known::default(),
            };
            lakes.insert(lake.clone(), known);
        }
        Ok(act(lakes.get_mut(lake).expect("inserted above")))
    }
}

impl Known {
    fn read(file: File) -> std::io::Result<Self> {
        let mut known = Self::default();
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut line = String::new();
        loop {
            line.clear();
            match reader.read_line(&mut line) {
                Ok(0) => return Ok(known),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => continue,
                Err(error) => return Err(error),
            }
            // A line that was cut off by a crash is no receipt.
            if let Some(line) = line.strip_suffix('\n') {
                known.take_line(line);
            }
        }
    }

    fn take_line(&mut self, line: &str) -> Option<()> {
        if let Some(id) = line.strip_prefix('@') {
            self.set_id(id);
            return Some(());
        }
        let mut words = line.split(' ');
        let name = ObjectName::parse(words.next()?).ok()?;
        let (size, strength, date) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
        if strength == "lost" {
            self.by_name.remove(&name);
        } else {
            let (size, strength) = (size.parse().ok()?, Strength::parse(strength)?);
            self.by_name.insert(name, Receipt { size, strength, date });
        }
        Some(())
    }

    fn set_id(&mut self, id: &str) {
        if &*self.id != id {
            if !self.id.is_empty() {
                self.by_name.clear();
            }
            self.id = id.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oid::Oid;

    fn lake() -> LakeUrl {
        LakeUrl::parse("file:///mnt/lake").expect("an address")
    }

    fn name(content: &[u8]) -> ObjectName {
        ObjectName::new(&Oid::of(content).into(), b"x.png")
    }

    #[test]
    fn receipts_survive_the_process() {
        let dir = tempfile::tempdir().expect("a folder");
        let receipts = Receipts::at(dir.path());
        receipts.add(&lake(), Some("id1"), &[(name(b"1"), 1, Strength::Sent)]).expect("writes");
        receipts.add(&lake(), Some("id1"), &[(name(b"2"), 2, Strength::Size)]).expect("writes");
        for receipts in [receipts, Receipts::at(dir.path())] {
            let receipt = receipts.get(&lake().source(name(b"1"))).expect("reads").expect("there");
            assert_eq!((receipt.size, receipt.strength), (1, Strength::Sent));
            assert!(receipt.is_fresh());
            assert!(receipts.get(&lake().source(name(b"2"))).expect("reads").is_some());
            assert_eq!(receipts.get(&lake().source(name(b"3"))).expect("reads"), None);
        }
    }

    #[test]
    fn a_revoked_receipt_stays_revoked() {
        let dir = tempfile::tempdir().expect("a folder");
        let receipts = Receipts::at(dir.path());
        receipts.add(&lake(), None, &[(name(b"1"), 1, Strength::Sent)]).expect("writes");
        receipts.revoke(&lake().source(name(b"1"))).expect("writes");
        for receipts in [receipts, Receipts::at(dir.path())] {
            assert_eq!(receipts.get(&lake().source(name(b"1"))).expect("reads"), None);
        }
    }

    #[test]
    fn another_lake_at_the_same_address_has_no_receipts() {
        let dir = tempfile::tempdir().expect("a folder");
        let receipts = Receipts::at(dir.path());
        receipts.add(&lake(), Some("old"), &[(name(b"1"), 1, Strength::Sent)]).expect("writes");
        let receipts = Receipts::at(dir.path());
        receipts.bind(&lake(), Some("old")).expect("reads");
        assert!(receipts.get(&lake().source(name(b"1"))).expect("reads").is_some());
        receipts.bind(&lake(), Some("new")).expect("reads");
        assert_eq!(receipts.get(&lake().source(name(b"1"))).expect("reads"), None);
    }

    #[test]
    fn damaged_lines_are_passed_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let receipts = Receipts::at(dir.path());
        receipts.add(&lake(), None, &[(name(b"1"), 1, Strength::Sent)]).expect("writes");
        let path = receipts.path(&lake());
        let mut log = OpenOptions::new().append(true).open(&path).expect("opens");
        log.write_all(b"\xff\xfe\nrubbish\n").expect("writes");
        log.write_all(format!("{} 2 sent 17", name(b"2")).as_bytes()).expect("writes");
        let receipts = Receipts::at(dir.path());
        assert!(receipts.get(&lake().source(name(b"1"))).expect("reads").is_some());
        assert_eq!(receipts.get(&lake().source(name(b"2"))).expect("reads"), None);
    }
}
