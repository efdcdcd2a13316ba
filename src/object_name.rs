//! The name of an object in a lake: `<hex digest><ext>`.
//!
//! The same names as pipelime 1.x uses, so that both can share a lake; `docs/lake.md` specifies them.

use std::fmt;
use std::sync::Arc;

use crate::digest::{Digest, HashName};
use crate::oid::Oid;

/// Longest extension that is kept, in characters after its dot.
const MAX_EXTENSION_CHARS: usize = 16;
/// Stands for "no extension", since pipelime cannot read objects whose name has none.
const NO_EXTENSION: &str = ".___";

/// A validated object name: a digest of a known length in lower-case hexadecimal, then an extension.
///
/// Such a name has no separator and no leading dot, so joining it to a folder or a prefix never
/// leaves that folder. Copies share their text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName(Arc<str>);

/// Says that a text is not an object name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an object name: a lower-case hexadecimal digest and an extension")]
pub struct ParseObjectNameError(pub String);

impl ObjectName {
    /// Names content by its digest and the name of the file that it came from.
    pub fn new(digest: &Digest, file_name: &[u8]) -> Self {
        Self(format!("{}{}", digest.hex, extension_of(file_name)).into())
    }

    /// Names content by its oid and an extension with its dot; `None` if no object has that extension.
    pub fn of_oid(oid: Oid, extension: &str) -> Option<Self> {
        let suffix = extension.strip_prefix('.')?;
        is_extension(suffix.as_bytes()).then(|| Self((oid.to_hex() + extension).into()))
    }

    /// Parses a name.
    ///
    /// # Errors
    /// If `text` is anything but a digest of a known length and an extension.
    pub fn parse(text: &str) -> Result<Self, ParseObjectNameError> {
        let error = || ParseObjectNameError(text.to_owned());
        let (hex, extension) = text.split_once('.').ok_or_else(error)?;
        let hex_is_good = HashName::is_known_hex_len(hex.len())
            // Without a way out, this is done for many digits at once.
            && hex.bytes().fold(true, |good, c| good & matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        if hex_is_good && is_extension(extension.as_bytes()) {
            Ok(Self(text.into()))
        } else {
            Err(error())
        }
    }

    /// Returns the whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the digest's hexadecimal digits.
    pub fn hex(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }

    /// Returns the extension with its dot.
    pub fn extension(&self) -> &str {
        &self.0[self.hex().len()..]
    }

    /// Returns the digits as an oid, if there are 64 of them.
    ///
    /// They are one only in a lake that declares SHA-256, which the caller has to know.
    pub fn as_oid(&self) -> Option<Oid> {
        Oid::parse_hex(self.hex().as_bytes())
    }
}

/// Returns the extension, with its dot, under which a file's content is kept in a lake.
///
/// The last suffix as written; a leading dot starts no suffix.
fn extension_of(file_name: &[u8]) -> String {
    let suffix = file_name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0);
    match suffix.map(|dot| &file_name[dot + 1..]) {
        Some(suffix) if is_extension(suffix) => format!(".{}", String::from_utf8_lossy(suffix)),
        _ => NO_EXTENSION.to_owned(),
    }
}

fn is_extension(suffix: &[u8]) -> bool {
    (1..=MAX_EXTENSION_CHARS).contains(&suffix.len())
        && suffix.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'))
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectName({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_is_the_last_suffix_as_written() {
        let table = [
            ("a.png", ".png"),
            ("a.PNG", ".PNG"),
            ("a.tar.gz", ".gz"),
            (".gitignore", ".___"),
            (".a.b", ".b"),
            ("README", ".___"),
            ("a.", ".___"),
            ("a.p ng", ".___"),
            ("a.p\u{e4}ng", ".___"),
            ("a.abcdefghijklmnop", ".abcdefghijklmnop"),
            ("a.abcdefghijklmnopq", ".___"),
            ("a.x_y-z", ".x_y-z"),
        ];
        for (file_name, expected) in table {
            let name = ObjectName::new(&Oid::of(b"").into(), file_name.as_bytes());
            assert_eq!(name.extension(), expected, "{file_name}");
            assert_eq!(ObjectName::parse(name.as_str()).as_ref(), Ok(&name));
        }
        assert_eq!(extension_of(b"a.\xff"), ".___");
    }

    #[test]
    fn names_that_are_no_digest_are_refused() {
        let hex = "0".repeat(64);
        for bad in [
            hex.clone(),
            format!("{hex}."),
            format!("{hex}.a.b"),
            format!("{hex}./"),
            format!("{}.png", "0".repeat(63)),
            format!("{}.png", "A".repeat(64)),
            "../x.png".to_owned(),
            ".pl".to_owned(),
        ] {
            assert!(ObjectName::parse(&bad).is_err(), "{bad}");
        }
    }
}
