//! The identity of an object: the SHA-256 of its exact bytes.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// Returns the lower-case hexadecimal form of `bytes`.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The value of each lower-case hexadecimal digit; 255 for what is none.
const VALUES: [u8; 256] = {
    let (mut values, mut value) = ([255; 256], 0);
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// Returns the bytes that lower-case hexadecimal `text` stands for, or `None` when it is anything else.
pub fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len() / 2];
    fill_from_hex(text, &mut bytes)?;
    Some(bytes)
}

/// Writes the bytes that lower-case hexadecimal `text` stands for, if it stands for as many as there
/// is room for.
fn fill_from_hex(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    if pairs.len() != bytes.len() {
        return None;
    }
    let mut seen = 0;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (VALUES[usize::from(*high)], VALUES[usize::from(*low)]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    // No digit has a value above 15, so one look at the end is enough.
    if seen > 15 {
        return None;
    }
    Some(())
}

/// Names an object by the SHA-256 of its exact bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Oid([u8; 32]);

/// Says that a text is not an [`Oid`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("An object id is `sha256:` and 64 lower-case hexadecimal digits, or the digits alone")]
pub struct ParseOidError;

impl Oid {
    /// Length of the digest in bytes.
    pub const LEN: usize = 32;

    /// Wraps a finished SHA-256 digest.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Hashes content that is already in memory.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// Parses 64 lower-case hexadecimal digits, and nothing else.
    pub fn parse_hex(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::LEN];
        fill_from_hex(text, &mut bytes)?;
        Some(Self(bytes))
    }

    /// Returns the digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the 64 digits that name the object in a SHA-256 lake and in the store.
    pub fn to_hex(self) -> String {
        to_hex(&self.0)
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Oid({self})")
    }
}

impl FromStr for Oid {
    type Err = ParseOidError;

    fn from_str(text: &str) -> Result<Self, ParseOidError> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        Self::parse_hex(digits.as_bytes()).ok_or(ParseOidError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_of_abc_is_the_published_vector() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Oid::of(b"abc").to_hex(), expected);
        assert_eq!(expected.parse::<Oid>(), Ok(Oid::of(b"abc")));
    }

    #[test]
    fn only_64_lower_case_digits_are_an_oid() {
        let good = "0".repeat(64);
        assert!(Oid::parse_hex(good.as_bytes()).is_some());
        for bad in ["", "0", &"0".repeat(63), &"0".repeat(65), &"A".repeat(64), &"g".repeat(64)] {
            assert_eq!(bad.parse::<Oid>(), Err(ParseOidError), "{bad}");
        }
    }
}
