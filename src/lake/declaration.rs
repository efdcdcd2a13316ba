//! What a lake declares about itself: the hash its objects are named by, and who it is.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::str::FromStr;

use super::LakeError;
use crate::digest::HashName;
use crate::lake_url::LakeUrl;
use crate::oid::{Oid, to_hex};

/// The name of the tag that holds the hash, as pipelime spells it.
pub(super) const HASH_KEY: &str = "__HASH_FN__";
/// The name of the tag that holds the id.
pub(super) const ID_KEY: &str = "__LAKE_ID__";
/// Longest lake id, in bytes. S3 allows 256 in a tag's value.
const MAX_ID_BYTES: usize = 64;

/// What a lake declares about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// The hash that object names in this lake are digests of.
    pub hash: HashName,
    /// Tells this lake from another one that is later found at the same address.
    pub id: Option<LakeId>,
    /// Why the hash is assumed and not declared, if it is; for people.
    pub assumed: Option<Box<str>>,
}

/// Which folders declaring a lake may create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// The lake's own folder, if the one above it exists: an unmounted share is not filled.
    IfParentExists,
    /// All that are missing; a bucket, too.
    WithParents,
}

/// The random name that a lake gets when it is first declared.
///
/// One to 64 of `A-Za-z0-9_-`, so it can stand in JSON, in a tag and on a terminal as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LakeId(Box<str>);

/// Says that a text is not a lake id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("A lake id is 1 to 64 letters, digits, `_` or `-`")]
pub struct ParseLakeIdError;

impl LakeId {
    /// Makes a new id: 128 random bits in hexadecimal digits.
    pub fn random() -> Self {
        // The standard library seeds each of these from the system's randomness; the digest mixes
        // four of them, so that no state of theirs shows.
        let mut seed = Vec::new();
        for round in 0..4_u8 {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u8(round);
            hasher.write_u32(std::process::id());
            hasher.write_u64(crate::fs::unix_now());
            seed.extend(hasher.finish().to_ne_bytes());
        }
        let digest = Oid::of(&seed);
        Self(to_hex(&digest.as_bytes()[..16]).into())
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns the hash that counts: the declared one, which must be the wanted one if any is.
///
/// Where nothing is declared yet, it must be one that may be.
pub(super) fn settle_hash(
    url: &LakeUrl,
    declared: Option<HashName>,
    wanted: Option<HashName>,
) -> Result<HashName, LakeError> {
    let url = url.clone();
    match (declared, wanted) {
        (Some(declared), Some(wanted)) if declared != wanted => {
            Err(LakeError::HashMismatch { url, declared, wanted })
        }
        (Some(declared), _) => Ok(declared),
        (None, Some(hash)) if !hash.is_writable() => Err(LakeError::HashNotWritable { url, hash }),
        (None, wanted) => Ok(wanted.unwrap_or(HashName::Sha256)),
    }
}

impl FromStr for LakeId {
    type Err = ParseLakeIdError;

    fn from_str(text: &str) -> Result<Self, ParseLakeIdError> {
        let is_good = (1..=MAX_ID_BYTES).contains(&text.len())
            && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'));
        is_good.then(|| Self(text.into())).ok_or(ParseLakeIdError)
    }
}

impl fmt::Display for LakeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_parse_and_differ() {
        let ids: std::collections::BTreeSet<LakeId> = (0..100).map(|_| LakeId::random()).collect();
        assert_eq!(ids.len(), 100);
        for id in ids {
            assert_eq!(id.as_str().len(), 32);
            assert_eq!(id.as_str().parse(), Ok(id));
        }
    }

    #[test]
    fn ids_that_would_need_quoting_are_refused() {
        for bad in ["", "a b", "a\"", "a\n", "\u{e4}", &"a".repeat(65)] {
            assert_eq!(bad.parse::<LakeId>(), Err(ParseLakeIdError), "{bad}");
        }
    }
}
