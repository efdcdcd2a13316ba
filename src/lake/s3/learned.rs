//! What one process learned about a lake's server on the way, beside its manners.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock};

use super::{S3Lake, manners};
use crate::lake::Features;

/// Shared by the clones of a lake.
#[derive(Default)]
pub(super) struct Learned {
    /// The bucket's tags could be read.
    pub(super) has_tags: OnceLock<bool>,
    /// A range was asked for and given.
    pub(super) has_ranges: OnceLock<bool>,
    /// Whether copies are made under the condition that nothing stands under their name.
    pub(super) conditions_on_copies: tokio::sync::OnceCell<bool>,
    /// Buckets that the server does not copy from.
    not_copied_from: Mutex<HashSet<String>>,
}

impl Learned {
    /// Remembers that the server does not copy from a bucket.
    pub(super) fn note_refusal(&self, bucket: &str) {
        self.not_copied_from.lock().expect("no holder panics").insert(bucket.to_owned());
    }

    /// Returns true if it is known that the server does not copy from a bucket.
    pub(super) fn is_refused(&self, bucket: &str) -> bool {
        self.not_copied_from.lock().expect("no holder panics").contains(bucket)
    }
}

/// Returns what is known, without a request.
pub(super) fn features(lake: &S3Lake) -> Features {
    let manners = manners::known(lake);
    Features {
        conditions: manners.map(|manners| manners.conditions),
        checksums: manners.map(|manners| manners.checksums),
        tags: lake.learned.has_tags.get().copied(),
        ranges: lake.learned.has_ranges.get().copied(),
    }
}
