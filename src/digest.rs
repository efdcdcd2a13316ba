//! The hashes that a lake may name its objects by, and hashing bytes as they pass.
//!
//! A pointer's `oid` is always SHA-256; a lake may declare another hash (pipelime's default is
//! BLAKE2b-512), and then the object's name there needs that digest too. [`Hasher`] computes both
//! in one pass. Hash names are Python's `hashlib` names, since pipelime writes those.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use sha2::Digest as _;

use crate::oid::{Oid, to_hex};

/// A hash function that lakes declare, by its name in Python's `hashlib`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HashName {
    /// SHA-256: what git-lake declares.
    Sha256,
    /// SHA-512.
    Sha512,
    /// SHA-384.
    Sha384,
    /// SHA-224.
    Sha224,
    /// BLAKE2b with 64 bytes of output: what pipelime declares.
    Blake2b,
    /// BLAKE2s with 32 bytes of output.
    Blake2s,
    /// SHA3-256.
    Sha3_256,
    /// SHA3-512.
    Sha3_512,
    /// MD5: too weak to name new objects; such a lake is only read.
    Md5,
    /// SHA-1: too weak to name new objects; such a lake is only read.
    Sha1,
}

/// Says that no hash of that name is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a hash that git-lake knows: sha256, sha512, sha384, sha224, blake2b, blake2s, sha3_256 or sha3_512"
)]
pub struct UnknownHash(pub String);

impl HashName {
    const ALL: [(Self, &'static str, usize); 10] = [
        (Self::Sha256, "sha256", 64),
        (Self::Sha512, "sha512", 128),
        (Self::Sha384, "sha384", 96),
        (Self::Sha224, "sha224", 56),
        (Self::Blake2b, "blake2b", 128),
        (Self::Blake2s, "blake2s", 64),
        (Self::Sha3_256, "sha3_256", 64),
        (Self::Sha3_512, "sha3_512", 128),
        (Self::Md5, "md5", 32),
        (Self::Sha1, "sha1", 40),
    ];

    fn row(self) -> (Self, &'static str, usize) {
        *Self::ALL.iter().find(|row| row.0 == self).expect("every hash has a row")
    }

    /// Returns the name as lakes and settings spell it.
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// Returns how many hexadecimal digits a digest has.
    pub fn hex_len(self) -> usize {
        self.row().2
    }

    /// Returns true if a lake of this hash may be written to.
    pub fn is_writable(self) -> bool {
        !matches!(self, Self::Md5 | Self::Sha1)
    }

    /// Returns the hashes whose digests have `len` hexadecimal digits, those of new lakes first.
    pub fn with_hex_len(len: usize) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |row| row.2 == len).map(|row| row.0)
    }

    /// Returns true if some known hash has digests of `len` hexadecimal digits.
    pub fn is_known_hex_len(len: usize) -> bool {
        Self::ALL.iter().any(|row| row.2 == len)
    }
}

impl fmt::Display for HashName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HashName {
    type Err = UnknownHash;

    fn from_str(text: &str) -> Result<Self, UnknownHash> {
        let found = Self::ALL.iter().find(|row| row.1 == text);
        found.map(|row| row.0).ok_or_else(|| UnknownHash(text.to_owned()))
    }
}

/// A finished digest of a named hash, as lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest {
    /// Which hash this is a digest of.
    pub hash: HashName,
    /// The digits.
    pub hex: String,
}

impl From<Oid> for Digest {
    fn from(oid: Oid) -> Self {
        Self { hash: HashName::Sha256, hex: oid.to_hex() }
    }
}

enum State {
    Sha512(sha2::Sha512),
    Sha384(sha2::Sha384),
    Sha224(sha2::Sha224),
    Blake2b(Box<blake2::Blake2b512>),
    Blake2s(blake2::Blake2s256),
    Sha3_256(Box<sha3::Sha3_256>),
    Sha3_512(Box<sha3::Sha3_512>),
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
}

impl State {
    fn new(hash: HashName) -> Option<Self> {
        Some(match hash {
            HashName::Sha256 => return None,
            HashName::Sha512 => Self::Sha512(sha2::Sha512::new()),
            HashName::Sha384 => Self::Sha384(sha2::Sha384::new()),
            HashName::Sha224 => Self::Sha224(sha2::Sha224::new()),
            HashName::Blake2b => Self::Blake2b(Box::new(blake2::Blake2b512::new())),
            HashName::Blake2s => Self::Blake2s(blake2::Blake2s256::new()),
            HashName::Sha3_256 => Self::Sha3_256(Box::new(sha3::Sha3_256::new())),
            HashName::Sha3_512 => Self::Sha3_512(Box::new(sha3::Sha3_512::new())),
            HashName::Md5 => Self::Md5(md5::Md5::new()),
            HashName::Sha1 => Self::Sha1(sha1::Sha1::new()),
        })
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha512(state) => state.update(bytes),
            Self::Sha384(state) => state.update(bytes),
            Self::Sha224(state) => state.update(bytes),
            Self::Blake2b(state) => state.update(bytes),
            Self::Blake2s(state) => state.update(bytes),
            Self::Sha3_256(state) => state.update(bytes),
            Self::Sha3_512(state) => state.update(bytes),
            Self::Md5(state) => state.update(bytes),
            Self::Sha1(state) => state.update(bytes),
        }
    }

    fn finish(self) -> Digest {
        let (hash, hex) = match self {
            Self::Sha512(state) => (HashName::Sha512, to_hex(&state.finalize())),
            Self::Sha384(state) => (HashName::Sha384, to_hex(&state.finalize())),
            Self::Sha224(state) => (HashName::Sha224, to_hex(&state.finalize())),
            Self::Blake2b(state) => (HashName::Blake2b, to_hex(&state.finalize())),
            Self::Blake2s(state) => (HashName::Blake2s, to_hex(&state.finalize())),
            Self::Sha3_256(state) => (HashName::Sha3_256, to_hex(&state.finalize())),
            Self::Sha3_512(state) => (HashName::Sha3_512, to_hex(&state.finalize())),
            Self::Md5(state) => (HashName::Md5, to_hex(&state.finalize())),
            Self::Sha1(state) => (HashName::Sha1, to_hex(&state.finalize())),
        };
        Digest { hash, hex }
    }
}

/// Hashes a stream once for SHA-256 and for whichever other hashes are wanted.
pub struct Hasher {
    sha256: sha2::Sha256,
    size: u64,
    others: Vec<State>,
}

/// What a [`Hasher`] found out about the bytes that it was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    /// SHA-256 of the bytes.
    pub oid: Oid,
    /// How many bytes there were.
    pub size: u64,
    others: Vec<Digest>,
}

impl Hashed {
    /// Returns the digest of `hash`, if it was asked for when hashing began.
    pub fn digest(&self, hash: HashName) -> Option<Digest> {
        match hash {
            HashName::Sha256 => Some(self.oid.into()),
            other => self.others.iter().find(|digest| digest.hash == other).cloned(),
        }
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Hasher {
    /// Starts hashing; SHA-256 is always among the results.
    pub fn new(hashes: &[HashName]) -> Self {
        let others = hashes.iter().filter_map(|hash| State::new(*hash)).collect();
        Self { sha256: sha2::Sha256::new(), size: 0, others }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
        for state in &mut self.others {
            state.update(bytes);
        }
    }

    /// Returns how many bytes were added.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends hashing.
    pub fn finish(self) -> Hashed {
        Hashed {
            oid: Oid::from_bytes(self.sha256.finalize().into()),
            size: self.size,
            others: self.others.into_iter().map(State::finish).collect(),
        }
    }
}

/// Returns the MD5 of bytes as lower-case hexadecimal digits, which is what S3 servers name parts by.
///
/// It tells bytes that arrived from bytes that did not; it proves nothing against an adversary.
pub fn md5_hex(bytes: &[u8]) -> String {
    to_hex(&md5::Md5::digest(bytes))
}

/// Buffer for reading files that are hashed or copied, in bytes: below 1 MiB copies get slower, above
/// they do not get faster.
pub const COPY_BUFFER_BYTES: usize = 1 << 20;

/// Buffer for reading files that are only hashed, in bytes: a small file does not pay for clearing more.
const HASH_BUFFER_BYTES: usize = 128 << 10;

/// Reads `reader` to its end and hashes it in constant memory.
///
/// # Errors
/// Those of the reader.
pub fn hash_reader(mut reader: impl Read, hashes: &[HashName]) -> io::Result<Hashed> {
    let mut hasher = Hasher::new(hashes);
    let mut buffer = vec![0; HASH_BUFFER_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hash_has_pythons_digest_of_the_empty_string() {
        // Python 3.11: hashlib.new(name, b"").hexdigest()[:16]
        let expected = [
            ("sha256", "e3b0c44298fc1c14"),
            ("sha512", "cf83e1357eefb8bd"),
            ("sha384", "38b060a751ac9638"),
            ("sha224", "d14a028c2a3a2bc9"),
            ("blake2b", "786a02f742015903"),
            ("blake2s", "69217a3079908094"),
            ("sha3_256", "a7ffc6f8bf1ed766"),
            ("sha3_512", "a69f73cca23a9ac5"),
            ("md5", "d41d8cd98f00b204"),
            ("sha1", "da39a3ee5e6b4b0d"),
        ];
        for (name, start) in expected {
            let hash: HashName = name.parse().expect("a known name");
            let digest = Hasher::new(&[hash]).finish().digest(hash).expect("asked for");
            assert_eq!(&digest.hex[..16], start, "{name}");
            assert_eq!(digest.hex.len(), hash.hex_len(), "{name}");
            assert_eq!(hash.is_writable(), !matches!(name, "md5" | "sha1"), "{name}");
        }
    }

    #[test]
    fn two_digests_come_from_one_pass() {
        let hashed = hash_reader(&b"abc"[..], &[HashName::Blake2b]).expect("memory reads");
        assert_eq!((hashed.oid, hashed.size), (Oid::of(b"abc"), 3));
        // RFC 7693, appendix A.
        let blake = hashed.digest(HashName::Blake2b).expect("asked for").hex;
        assert!(blake.starts_with("ba80a53f981c4d0d6a2797b69f12f6e9"), "{blake}");
        assert_eq!(hashed.digest(HashName::Sha512), None);
    }

    #[test]
    fn md5_is_that_of_rfc_1321() {
        assert_eq!(md5_hex(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn an_unknown_hash_is_named() {
        let error = "SHA256".parse::<HashName>().expect_err("upper case is another name");
        assert_eq!(error, UnknownHash("SHA256".to_owned()));
    }
}
