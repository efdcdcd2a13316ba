//! The pointer: the small text that git stores in place of an object.
//!
//! One value has exactly one encoding, and [`Pointer::to_bytes`] writes it. The format is specified
//! in `docs/pointer.md`. [`Parsed::of`] sorts any bytes into pointer, damaged pointer, newer pointer
//! or content; nothing else in git-lake looks at the text.

use std::fmt;

use crate::digest::HashName;
use crate::lake_url::{ParseUrlError, SourceUrl};
use crate::oid::Oid;

mod merge;

pub use merge::{Merged, merge};

/// Largest pointer, in bytes. Longer texts are never read as pointers.
pub const MAX_POINTER_BYTES: usize = 8192;
/// What the first line of any version begins with.
const MAGIC: &[u8] = b"git-lake pointer v";
const VERSION: &str = "1";
/// What a pointer of git-lfs begins with, and its greatest length, by its specification.
const LFS_MAGIC: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
const MAX_LFS_POINTER_BYTES: usize = 1024;

/// What git stores in place of an object: its identity, its size and where it can be had.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pointer {
    oid: Oid,
    size: u64,
    extras: Vec<Box<str>>,
    sources: Vec<SourceUrl>,
}

/// What some bytes are, seen as a pointer.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A pointer of this version; the flag says whether the bytes are its one canonical encoding.
    Pointer(Pointer, Canonical),
    /// Begins like a pointer of this version and is none.
    Damaged(PointerError),
    /// A pointer of a version that this program does not know.
    Newer,
    /// Anything else: the content of a file.
    Content,
}

/// Whether bytes are the canonical encoding of the pointer that they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canonical {
    /// Byte for byte what [`Pointer::to_bytes`] writes.
    Yes,
    /// The same pointer with CRLF line ends.
    No,
}

/// Says which line of a pointer is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Line {line} of the pointer {reason}")]
pub struct PointerError {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: PointerFault,
}

/// What can be wrong with a line of a pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PointerFault {
    /// `<<<<<<<`, `=======` or `>>>>>>>`.
    #[error("is a conflict marker of a merge")]
    ConflictMarker,
    /// No `oid` line where one must stand.
    #[error("should be `oid sha256:` and 64 lower-case hexadecimal digits")]
    Oid,
    /// No `size` line where one must stand.
    #[error("should be `size` and a decimal number from 1 to 2^63-1")]
    Size,
    /// Neither `x-…` nor `source …`, or out of order.
    #[error(
        "should be an `x-<name> <value>` line before the first source, or `source` and an address"
    )]
    Unknown,
    /// A `source` line with a bad address.
    #[error("has a bad address: {0}")]
    Source(ParseUrlError),
    /// The same source twice.
    #[error("repeats a source")]
    Duplicate,
    /// A SHA-256 name that is not the oid.
    #[error("names another object than the pointer's oid")]
    OtherObject,
    /// The last line has no line end.
    #[error("does not end in a line feed")]
    NoFinalNewline,
    /// More than [`MAX_POINTER_BYTES`].
    #[error("goes beyond the 8192 bytes that a pointer may have")]
    TooLong,
    /// Not UTF-8, or a control character.
    #[error("has a character that is no printable text")]
    Text,
}

/// Says why a pointer with these parts cannot exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NewPointerError {
    /// The object would have no bytes; an empty file is an empty blob.
    #[error("An empty file has no pointer")]
    Empty,
    /// More sources than fit.
    #[error("A pointer with all these sources would be longer than 8192 bytes")]
    TooLong,
}

impl Pointer {
    /// Makes a pointer; sources that are named twice count once.
    ///
    /// # Errors
    /// If `size` is 0 or the text would be too long.
    pub fn new(oid: Oid, size: u64, sources: Vec<SourceUrl>) -> Result<Self, NewPointerError> {
        if size == 0 || i64::try_from(size).is_err() {
            return Err(NewPointerError::Empty);
        }
        Self { oid, size, extras: Vec::new(), sources: Vec::new() }.with_sources(sources)
    }

    /// Returns the object's identity.
    pub fn oid(&self) -> Oid {
        self.oid
    }

    /// Returns the object's size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns where the object can be had, in order of preference.
    pub fn sources(&self) -> &[SourceUrl] {
        &self.sources
    }

    /// Returns the same pointer with other sources; everything else is kept.
    ///
    /// # Errors
    /// If the text would be too long.
    pub fn with_sources(mut self, sources: Vec<SourceUrl>) -> Result<Self, NewPointerError> {
        self.sources = Vec::with_capacity(sources.len());
        for source in sources {
            if !self.sources.contains(&source) {
                self.sources.push(source);
            }
        }
        if self.to_bytes().len() > MAX_POINTER_BYTES {
            return Err(NewPointerError::TooLong);
        }
        Ok(self)
    }

    /// Checks the names of the sources in lakes that declare SHA-256: there, 64 digits are the oid.
    ///
    /// `declares` says what a source's lake declares, if that is known; elsewhere 64 digits may be
    /// another hash's digest, so the text alone cannot tell.
    ///
    /// # Errors
    /// Names the line of the first source that names another object.
    pub fn check_names(
        &self,
        declares: impl Fn(&SourceUrl) -> Option<HashName>,
    ) -> Result<(), PointerError> {
        let contradicts = |source: &SourceUrl| {
            source.name.as_oid().is_some_and(|oid| oid != self.oid)
                && declares(source) == Some(HashName::Sha256)
        };
        match self.sources.iter().position(contradicts) {
            None => Ok(()),
            Some(index) => {
                let line = 4 + self.extras.len() + index;
                Err(PointerError { line, reason: PointerFault::OtherObject })
            }
        }
    }

    /// Writes the canonical encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text =
            format!("git-lake pointer v{VERSION}\noid sha256:{}\nsize {}\n", self.oid, self.size);
        for extra in &self.extras {
            text.extend([extra, "\n"]);
        }
        for source in &self.sources {
            text.extend(["source ", &source.to_string(), "\n"]);
        }
        text.into_bytes()
    }
}

impl Parsed {
    /// Sorts bytes; reads no more than their first [`MAX_POINTER_BYTES`].
    pub fn of(bytes: &[u8]) -> Self {
        let Some(version) = version_of(bytes) else {
            return Self::Content;
        };
        if version != VERSION.as_bytes() {
            // `v0` and `v01` were never written by any version.
            let is_newer = version.first().is_some_and(|digit| *digit != b'0');
            return if is_newer { Self::Newer } else { Self::Content };
        }
        match parse_v1(bytes) {
            Ok((pointer, canonical)) => Self::Pointer(pointer, canonical),
            Err(error) => Self::Damaged(error),
        }
    }

    /// Returns the pointer, if the bytes are one.
    pub fn pointer(self) -> Option<Pointer> {
        match self {
            Self::Pointer(pointer, _) => Some(pointer),
            Self::Damaged(_) | Self::Newer | Self::Content => None,
        }
    }
}

/// Returns true if bytes that begin with `start` could still turn out to be a pointer of any version.
///
/// Lets a reader of a stream decide early that it has content; `start` may be of any length.
pub fn may_be_pointer(start: &[u8]) -> bool {
    let known = start.len().min(MAGIC.len());
    start[..known] == MAGIC[..known]
}

/// Returns true if the bytes are a pointer of git-lfs, which is no content either.
pub fn is_lfs_pointer(bytes: &[u8]) -> bool {
    bytes.len() <= MAX_LFS_POINTER_BYTES && bytes.starts_with(LFS_MAGIC)
}

/// Returns the version digits, if the first line is `git-lake pointer v` and a number.
fn version_of(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let line = rest.split(|byte| *byte == b'\n').next()?;
    let digits = line.strip_suffix(b"\r").unwrap_or(line);
    let is_number =
        !digits.is_empty() && digits.len() <= 9 && digits.iter().all(u8::is_ascii_digit);
    is_number.then_some(digits)
}

fn parse_v1(bytes: &[u8]) -> Result<(Pointer, Canonical), PointerError> {
    let at = |line: usize, reason| PointerError { line, reason };
    let shown = &bytes[..bytes.len().min(MAX_POINTER_BYTES)];
    let count_lines = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
    if bytes.len() > MAX_POINTER_BYTES {
        return Err(at(count_lines(shown) + 1, PointerFault::TooLong));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| at(count_lines(&bytes[..error.valid_up_to()]) + 1, PointerFault::Text))?;
    if !text.ends_with('\n') {
        return Err(at(count_lines(bytes) + 1, PointerFault::NoFinalNewline));
    }
    let body = text.strip_suffix('\n').unwrap_or(text);
    let with_crlf = body.lines().count() > 0 && text.contains("\r\n");
    let lines: Vec<&str> = body
        .split('\n')
        .map(|line| if with_crlf { line.strip_suffix('\r').unwrap_or(line) } else { line })
        .collect();
    let pointer = parse_lines(&lines)?;
    let canonical = if with_crlf { Canonical::No } else { Canonical::Yes };
    Ok((pointer, canonical))
}

fn parse_lines(lines: &[&str]) -> Result<Pointer, PointerError> {
    let fault = |index: usize, reason| {
        let line = lines.get(index).copied().unwrap_or_default();
        let markers = ["<<<<<<<", "=======", ">>>>>>>", "|||||||"];
        let reason = if markers.iter().any(|marker| line.starts_with(marker)) {
            PointerFault::ConflictMarker
        } else if line.chars().any(char::is_control) {
            PointerFault::Text
        } else {
            reason
        };
        PointerError { line: index + 1, reason }
    };
    let oid = lines.get(1).and_then(|line| line.strip_prefix("oid sha256:"));
    let oid = oid.and_then(|hex| Oid::parse_hex(hex.as_bytes()));
    let oid = oid.ok_or_else(|| fault(1, PointerFault::Oid))?;
    let size = lines.get(2).and_then(|line| line.strip_prefix("size "));
    let size = size.and_then(parse_size).ok_or_else(|| fault(2, PointerFault::Size))?;
    let mut pointer = Pointer { oid, size, extras: Vec::new(), sources: Vec::new() };
    for (index, line) in lines.iter().enumerate().skip(3) {
        if line.chars().any(char::is_control) {
            return Err(fault(index, PointerFault::Text));
        }
        if let Some(address) = line.strip_prefix("source ") {
            let source = SourceUrl::parse_normal(address);
            let source = source.map_err(|error| fault(index, PointerFault::Source(error)))?;
            if pointer.sources.contains(&source) {
                return Err(fault(index, PointerFault::Duplicate));
            }
            pointer.sources.push(source);
        } else if is_extra(line) && pointer.sources.is_empty() {
            pointer.extras.push((*line).into());
        } else {
            return Err(fault(index, PointerFault::Unknown));
        }
    }
    // Pointers are held by the hundred thousand.
    pointer.sources.shrink_to_fit();
    Ok(pointer)
}

fn parse_size(digits: &str) -> Option<u64> {
    let is_plain = digits.bytes().all(|c| c.is_ascii_digit()) && !digits.starts_with('0');
    let size = digits.parse::<i64>().ok().filter(|_| is_plain)?;
    u64::try_from(size).ok()
}

fn is_extra(line: &str) -> bool {
    let name = line.strip_prefix("x-").and_then(|rest| rest.split_once(' '));
    name.is_some_and(|(name, value)| !name.is_empty() && !value.is_empty())
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

#[cfg(test)]
mod tests;
