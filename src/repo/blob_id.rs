//! The id that git gives a blob.

use std::fmt;

use crate::oid::{from_hex, to_hex};

/// The id of a blob in git's object database: 20 bytes (SHA-1) or 32 (SHA-256).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId {
    /// Filled up with zeros.
    bytes: [u8; 32],
    len: u8,
}

impl BlobId {
    /// Wraps 20 or 32 bytes; `None` for any other number.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if !matches!(bytes.len(), 20 | 32) {
            return None;
        }
        let mut filled = [0; 32];
        filled[..bytes.len()].copy_from_slice(bytes);
        let len = u8::try_from(bytes.len()).ok()?;
        Some(Self { bytes: filled, len })
    }

    /// Parses 40 or 64 lower-case hexadecimal digits, and nothing else.
    pub fn parse_hex(text: &[u8]) -> Option<Self> {
        Self::from_bytes(&from_hex(text)?)
    }

    /// Returns the 20 or 32 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Returns true for the id of all zeros, by which git says "nothing".
    pub fn is_zero(&self) -> bool {
        self.bytes == [0; 32]
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(self.as_bytes()))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_20_or_32_bytes() {
        for len in 0..40 {
            let bytes: Vec<u8> = (1..=len).collect();
            let id = BlobId::from_bytes(&bytes);
            assert_eq!(id.is_some(), len == 20 || len == 32, "{len}");
            if let Some(id) = id {
                assert_eq!(id.as_bytes(), bytes);
                assert_eq!(BlobId::parse_hex(id.to_string().as_bytes()), Some(id));
                assert!(!id.is_zero());
            }
        }
        assert_eq!(BlobId::parse_hex(&[b'A'; 40]), None);
        assert!(BlobId::parse_hex(&[b'0'; 40]).expect("an id").is_zero());
    }
}
