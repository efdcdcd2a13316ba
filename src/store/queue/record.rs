//! Lines of a log: what is in them, and how they are read. Format: `docs/local-state.md`.
//!
//! The words that a record ends with are checked when it is read and taken apart when it is wanted.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, BufRead, Read as _};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode, percent_encode};

use super::{Owed, Tentative};
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;
use crate::oid::Oid;
use crate::repo_path::RepoPath;

const NAME: &str = "git-lake queue v";
const VERSION: &str = "2";
/// Longest line that is read; a longer one is damage and skipped.
const MAX_LINE_BYTES: u64 = 64 * 1024;
const BUFFER_BYTES: usize = 64 * 1024;
/// Characters of a path that would break a record apart.
pub(in crate::store) const IN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(0x7f);

/// Makes a line that a failed write cut off one that means nothing, and is known not to.
pub(super) const END_OF_TORN_LINE: &str = " ?\n";

/// Says that all that was stored before is durable, and all records before it.
pub(super) const SYNCED: &str = "s\n";

/// The first line of a log.
pub(super) fn header() -> String {
    format!("{NAME}{VERSION}\n")
}

/// One line.
#[derive(Debug)]
pub(super) enum Line<'a> {
    /// A lake that records are about.
    Lake(LakeUrl),
    /// A claim, and the key of the lake that an upload is due to.
    Record(Record<'a>, Option<&'a str>),
    /// Everything before is durable.
    Synced,
}

/// A claim as a log has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) oid: Oid,
    /// Seconds since 1970 of a tentative record, bytes of an owed one.
    pub(super) number: u64,
    /// Which of the known lakes an upload is due to; `None` for a tentative record.
    pub(super) lake: Option<usize>,
    /// The blob or the object's name, and the path.
    pub(super) words: &'a str,
}

impl<'a> Line<'a> {
    /// Understands a line; `None` if it is damaged, or the header.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        // No line has others. Zeros, for example, are a page that was not written.
        if !line.iter().fold(true, |good, byte| good & matches!(byte, b' '..=b'~')) {
            return None;
        }
        if line == SYNCED.trim_ascii_end().as_bytes() {
            return Some(Self::Synced);
        }
        let (kind, rest) = std::str::from_utf8(line).ok()?.split_at_checked(2)?;
        if kind == "l " {
            // The key is for people. Records give that of the address, so that damage turns no lake into
            // another one.
            let (_, address) = split_word(rest)?;
            return LakeUrl::parse(address).ok().map(Self::Lake);
        }
        let (oid, rest) = rest.split_at_checked(2 * Oid::LEN)?;
        let (number, rest) = split_word(rest.strip_prefix(' ')?)?;
        let (key, words) = match kind {
            "t " => (None, rest),
            "o " => split_word(rest).map(|(key, words)| (Some(key), words))?,
            _ => return None,
        };
        let (oid, number) = (Oid::parse_hex(oid.as_bytes())?, number.parse().ok()?);
        let is_two_words = words.bytes().filter(|byte| *byte == b' ').count() == 1;
        is_two_words.then_some(Self::Record(Record { oid, number, lake: None, words }, key))
    }
}

/// Splits a text at the first blank. Byte by byte, which takes least for short words.
fn split_word(text: &str) -> Option<(&str, &str)> {
    let blank = text.bytes().position(|byte| byte == b' ')?;
    Some((&text[..blank], &text[blank + 1..]))
}

/// Writes the line of a lake, which comes before those that are about it.
pub(super) fn lake_line(lake: &LakeUrl) -> String {
    format!("l {} {lake}\n", lake.file_key())
}

impl<'a> Record<'a> {
    /// Returns what is the same in two records of which one is enough: the pointer and its path, or the
    /// object's name and its lake.
    pub(super) fn subject(self) -> (Oid, Option<usize>, &'a str) {
        let words = match self.lake {
            None => self.words,
            Some(_) => split_word(self.words).map_or(self.words, |(name, _)| name),
        };
        (self.oid, self.lake, words)
    }

    /// Adds the line to a log.
    pub(super) fn write(self, key: Option<&str>, log: &mut String) {
        let Self { oid, number, words, .. } = self;
        let written = match key {
            None => writeln!(log, "t {oid} {number} {words}"),
            Some(key) => writeln!(log, "o {oid} {number} {key} {words}"),
        };
        written.expect("a text takes all");
    }

    /// Returns what a tentative record says of the pointer; `None` if it is damaged.
    pub(super) fn blob_and_path(self) -> Option<(&'a str, RepoPath)> {
        let (blob, path) = split_word(self.words)?;
        Some((blob, parse_path(path)?))
    }

    /// Returns which object is owed, and where it is; `None` if it is damaged.
    pub(super) fn name_and_path(self) -> Option<(ObjectName, RepoPath)> {
        let (name, path) = split_word(self.words)?;
        let name = if name.starts_with('.') {
            ObjectName::of_oid(self.oid, name)?
        } else {
            ObjectName::parse(name).ok()?
        };
        Some((name, parse_path(path)?))
    }
}

/// Writes the words of a tentative record.
pub(super) fn tentative_words(record: &Tentative) -> String {
    format!("{} {}", record.blob, encoded(&record.path))
}

/// Writes the words of an owed record. The name of most objects is their oid and an extension.
pub(super) fn owed_words(record: &Owed) -> String {
    let name = &record.url.name;
    let is_of_oid = name.as_oid() == Some(record.oid);
    let name = if is_of_oid { name.extension() } else { name.as_str() };
    format!("{name} {}", encoded(&record.path))
}

fn encoded(path: &RepoPath) -> Cow<'_, str> {
    percent_encode(path.as_bytes(), IN_PATH).into()
}

fn parse_path(text: &str) -> Option<RepoPath> {
    let bytes: Cow<'_, [u8]> = percent_decode(text.as_bytes()).into();
    RepoPath::parse(&bytes)
}

/// What a log turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Log {
    /// All of it was understood, but for what a crash or a full disk cut off.
    Whole,
    /// The same, and the process did not come to make durable what it stored: after a power cut objects
    /// and records may be missing.
    Unfinished,
    /// Some of it was not: it has lost records, or was never a log.
    Damaged,
    /// It is of another version, of which nothing is understood here.
    OtherVersion,
}

/// Returns true if a first line says that the log is of a version that is not understood here.
fn is_of_other_version(line: &[u8]) -> bool {
    let version = line.strip_prefix(NAME.as_bytes()).unwrap_or_default();
    !version.is_empty() && version.iter().all(u8::is_ascii_digit) && version != VERSION.as_bytes()
}

/// Reads a log and gives its lines to `take`; damaged ones are passed over, and so is what follows the
/// last line feed, which a crash cut off. One of another version has not given a line, and a folder in the
/// place of a log is damage.
pub(super) fn read(log: impl io::Read, mut take: impl FnMut(Line<'_>)) -> io::Result<Log> {
    // A log that has nothing yet is one that had something before a power cut.
    let (mut is_finished, mut has_tentative) = (false, false);
    let read = read_lines(log, |line| {
        match &line {
            Line::Synced => is_finished = true,
            Line::Record(_, None) => (is_finished, has_tentative) = (false, true),
            // What is owed can be told from what git has.
            Line::Record(_, Some(_)) => is_finished |= !has_tentative,
            Line::Lake(_) => {}
        }
        take(line);
    });
    match read {
        Ok(Log::Whole) if !is_finished => Ok(Log::Unfinished),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(Log::Damaged),
        read => read,
    }
}

fn read_lines(log: impl io::Read, mut take: impl FnMut(Line<'_>)) -> io::Result<Log> {
    let mut log = io::BufReader::with_capacity(BUFFER_BYTES, log);
    let (mut line, mut is_first, mut found) = (Vec::new(), true, Log::Whole);
    loop {
        line.clear();
        let mut limited = (&mut log).take(MAX_LINE_BYTES);
        limited.read_until(b'\n', &mut line)?;
        let is_at_end = limited.limit() > 0;
        let begins = std::mem::take(&mut is_first);
        match line.pop() {
            Some(b'\n') => {
                if begins && line == header().trim_ascii_end().as_bytes() {
                    continue;
                }
                if begins && is_of_other_version(&line) {
                    return Ok(Log::OtherVersion);
                }
                match Line::parse(&line) {
                    // A log that does not begin as one has lost its beginning.
                    Some(line) => take(line),
                    None if is_torn(&line) => {}
                    None => found = Log::Damaged,
                }
                if begins {
                    found = Log::Damaged;
                }
            }
            Some(_) if !is_at_end => {
                found = Log::Damaged;
                log.skip_until(b'\n')?;
            }
            Some(last) => {
                line.push(last);
                let is_begun = !begins || header().as_bytes().starts_with(&line);
                return Ok(if is_begun { found } else { Log::Damaged });
            }
            None => return Ok(found),
        }
    }
}

/// Returns true for what a failed write leaves, and [`END_OF_TORN_LINE`] ends.
fn is_torn(line: &[u8]) -> bool {
    line.is_empty() || line.ends_with(END_OF_TORN_LINE.trim_ascii_end().as_bytes())
}
