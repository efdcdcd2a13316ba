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

/// Returns what a lower-case hexadecimal digit stands for; more than 15 for what is none.
fn value_of(digit: u8) -> u8 {
    // Without a table and without a way out, so that it is done for many digits at once.
    let (decimal, letter) = (digit.wrapping_sub(b'0'), digit.wrapping_sub(b'a'));
    if decimal < 10 {
        decimal
    } else if letter < 6 {
        letter + 10
    } else {
        u8::MAX
    }
}

/// Returns the bytes that lower-case hexadecimal `text` stands for, or `None` when it is anything else.
pub fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let byte = |[high, low]: &[u8; 2]| match (value_of(*high), value_of(*low)) {
        (high @ ..16, low @ ..16) => Some(high << 4 | low),
        _ => None,
    };
    pairs.iter().map(byte).collect()
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
        let mut values: [u8; 2 * Self::LEN] = text.try_into().ok()?;
        values.iter_mut().for_each(|digit| *digit = value_of(*digit));
        let (pairs, _) = values.as_chunks::<2>();
        let bytes = std::array::from_fn(|at| pairs[at][0] << 4 | pairs[at][1]);
        let all = values.iter().fold(0, |all, value| all | value);
        (all < 16).then_some(Self(bytes))
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
        for byte in u8::MIN..=u8::MAX {
            let is_digit = b"0123456789abcdef".contains(&byte);
            for at in [0, 1, 63] {
                let mut text = [b'7'; 64];
                text[at] = byte;
                let parsed = Oid::parse_hex(&text);
                assert_eq!(parsed.is_some(), is_digit, "{byte}");
                assert!(parsed.is_none_or(|oid| oid.to_hex().as_bytes() == text), "{byte}");
                assert_eq!(from_hex(&text), parsed.map(|oid| oid.as_bytes().to_vec()), "{byte}");
            }
        }
        assert_eq!(from_hex(b"0"), None);
    }
}
