//! What the log of one lake says, and how it is written.

use super::{Receipt, Strength};
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;
use crate::store::digest_map::DigestMap;

const HEADER: &str = "git-lake receipts v1";
/// Stands for the id of a lake that has none.
pub(super) const NO_ID: &str = "-";
/// Makes a line that was cut off one that is not understood, not even as an id.
pub(super) const END_OF_TORN_LINE: &str = " ?\n";
/// A log of so many lines that do not count is not worth folding.
const SPARE_LINES: usize = 512;
/// Bytes of an ordinary line, to know how many there are before they are read.
const LINE_BYTES: usize = 90;

/// The receipts of one lake, as its log has them.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The lake that they are bound to; empty before the first.
    id: Box<str>,
    by_name: DigestMap<ObjectName, Receipt>,
    /// Lines of the log that this process read or wrote.
    lines: usize,
    /// A line was not understood, which may have been one that names another lake.
    is_in_doubt: bool,
    /// Something in the log was not understood that no crash explains.
    is_damaged: bool,
    /// The log has receipts that this process knows to be those of another lake.
    has_voided: bool,
}

/// The first line of a log.
pub(super) fn header(lake: &LakeUrl) -> String {
    format!("{HEADER} {lake}\n")
}

/// Returns true for the first line of a log, about whatever lake and of whatever version.
fn is_of_any_version(line: &str) -> bool {
    let version = line.strip_prefix(HEADER.trim_end_matches(|c: char| c.is_ascii_digit()));
    let digits = version.and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Says which lake proved what follows.
pub(super) fn id_line(id: &str) -> String {
    format!("@{id}\n")
}

/// One receipt.
pub(super) fn receipt_line(name: &ObjectName, receipt: &Receipt) -> String {
    let Receipt { size, strength, date } = receipt;
    format!("{name} {size} {} {date}\n", strength.as_str())
}

/// Takes a receipt back.
pub(super) fn lost_line(name: &ObjectName, date: u64) -> String {
    format!("{name} - lost {date}\n")
}

impl Known {
    /// Reads a log. A last line without an end was cut off by a crash and is no receipt; a log that
    /// says that it belongs to another lake holds none.
    pub(super) fn of_log(text: &str, lake: &LakeUrl) -> Self {
        let mut known = Self::default();
        let Some((whole, _)) = text.rsplit_once('\n') else {
            // A crash may have cut off the first write.
            known.is_damaged = !header(lake).starts_with(text);
            return known;
        };
        let mut lines = whole.split('\n');
        let first = lines.next().unwrap_or_default();
        let address = first.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix(' '));
        if address.is_none_or(|address| lake.to_string() != address) {
            // Nothing of it counts, so it is folded with the first receipt.
            known.lines = usize::MAX / 2;
            known.is_damaged = !is_of_any_version(first);
            return known;
        }
        known.by_name.reserve(text.len() / LINE_BYTES);
        lines.for_each(|line| known.take_line(line));
        known
    }

    /// Says that the log is damaged in full.
    pub(super) fn damaged() -> Self {
        Self { is_damaged: true, ..Self::default() }
    }

    /// Returns true if the log lost lines, or was never one.
    pub(super) fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// Takes what can be read of a damaged log for all there is, none of it later than `date`: a line that
    /// took a receipt back may be among those that are lost.
    pub(super) fn mend(&mut self, date: u64) {
        self.is_damaged = false;
        self.by_name.values_mut().for_each(|receipt| receipt.date = receipt.date.min(date));
        self.note_folded();
    }

    /// Returns all that counts, as a log.
    pub(super) fn to_log(&self, lake: &LakeUrl) -> String {
        let mut text = header(lake);
        if !self.id.is_empty() {
            text.push_str(&id_line(&self.id));
        }
        self.by_name.iter().for_each(|(name, receipt)| text.push_str(&receipt_line(name, receipt)));
        text
    }

    pub(super) fn get(&self, name: &ObjectName) -> Option<Receipt> {
        self.by_name.get(name).copied()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &ObjectName> {
        self.by_name.keys()
    }

    /// Returns true if receipts are known that do not count for a lake with this id.
    pub(super) fn is_voided_by(&self, id: &str) -> bool {
        self.has_voided || !self.by_name.is_empty() && &*self.id != id
    }

    /// Returns true if lines that do not count outweigh those that do.
    pub(super) fn is_to_be_folded(&self) -> bool {
        self.lines > 2 * self.by_name.len() + SPARE_LINES
    }

    /// Notes that the log holds nothing but what counts.
    pub(super) fn note_folded(&mut self) {
        self.lines = self.by_name.len();
    }

    /// Binds what is known to a lake; receipts of another one are forgotten.
    pub(super) fn set_id(&mut self, id: &str) {
        if &*self.id != id {
            self.has_voided |= !self.by_name.is_empty();
            self.by_name.clear();
            self.id = id.into();
        }
    }

    /// Takes one line of a log.
    pub(super) fn take_line(&mut self, line: &str) {
        self.lines += 1;
        if self.understand(line).is_none() {
            self.is_in_doubt = true;
            self.is_damaged |= !line.ends_with(END_OF_TORN_LINE.trim_ascii_end());
        }
    }

    fn understand(&mut self, line: &str) -> Option<()> {
        if let Some(id) = line.strip_prefix('@') {
            if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
                return None;
            }
            self.set_id(id);
            (self.is_in_doubt, self.has_voided) = (false, false);
            return Some(());
        }
        let mut words = line.split(' ');
        let name = ObjectName::parse(words.next()?).ok()?;
        let (size, strength, date) = (words.next()?, words.next()?, words.next()?);
        let date = date.parse().ok()?;
        if words.next().is_some() {
            return None;
        }
        if strength == "lost" {
            self.by_name.remove(&name);
            return Some(());
        }
        let (size, strength) = (size.parse().ok()?, Strength::parse(strength)?);
        if !self.is_in_doubt && !self.id.is_empty() {
            self.insert(name, Receipt { size, strength, date });
        }
        Some(())
    }

    fn insert(&mut self, name: ObjectName, receipt: Receipt) {
        let known = self.by_name.entry(name).or_insert(receipt);
        let earlier = if known.size == receipt.size { known.strength } else { receipt.strength };
        *known = Receipt { strength: receipt.strength.max(earlier), ..receipt };
    }
}
