//! What a server of this kind may do otherwise than the first of them, and who may use it.

/// What the server does with conditions on writes (`If-None-Match`, `If-Match`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conditions {
    /// They hold, and are checked in the same step as the write.
    Honoured,
    /// The write overwrites, as if they had not been asked for.
    Ignored,
    /// A write with `If-None-Match` answers 501 NotImplemented.
    Refused,
}

/// What the server does with the tags of buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// They are kept.
    Kept,
    /// Reading and writing them answers 501 NotImplemented.
    NotImplemented,
    /// Reading and writing them answers 403 AccessDenied.
    Denied,
    /// Writing them answers 403 AccessDenied.
    WriteDenied,
}

/// How the server behaves; the default is what Amazon's does for a key that may not delete.
#[derive(Clone, Debug)]
pub(crate) struct Behaviour {
    pub(crate) conditions: Conditions,
    /// If false, `x-amz-checksum-sha256` is neither checked nor ever returned.
    pub(crate) checksums: bool,
    pub(crate) tags: Tags,
    /// If false, copying an object answers 501 NotImplemented.
    pub(crate) copies: bool,
    /// If false, a copy overwrites although it has a condition.
    pub(crate) conditions_on_copies: bool,
    /// If true, requests without a signature may GET and HEAD objects.
    pub(crate) public_read: bool,
    /// If false, listing answers 403, and so do GET and HEAD of a key that is not there.
    pub(crate) list_allowed: bool,
    /// If false, deleting objects answers 403. Ending an upload is not deleting.
    pub(crate) delete_allowed: bool,
    /// If false, GET of a range answers 200 with the whole object.
    pub(crate) ranges: bool,
    /// Most parts in one answer to a list of them.
    pub(crate) parts_on_page: i32,
    /// Fewest bytes of a part that is not the last of its upload.
    pub(crate) smallest_part: u64,
    /// When set, requests that are signed for another region answer 400
    /// AuthorizationHeaderMalformed, which names this one.
    pub(crate) region: Option<String>,
    /// Seconds that the server's clock is ahead. It refuses requests signed more than 15 minutes
    /// away from its time with 403 RequestTimeTooSkewed, and says its time in `Date`.
    pub(crate) clock_ahead: i64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            conditions: Conditions::Honoured,
            checksums: true,
            tags: Tags::Kept,
            copies: true,
            conditions_on_copies: true,
            public_read: false,
            list_allowed: true,
            delete_allowed: false,
            ranges: true,
            parts_on_page: 1000,
            smallest_part: 0,
            region: None,
            clock_ahead: 0,
        }
    }
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// All that the behaviour of the server allows.
    All,
    /// GET, HEAD and lists.
    ReadOnly,
}

/// A key pair that the server knows.
pub(super) struct Key {
    pub(super) secret: String,
    pub(super) rights: Rights,
    /// The session token that has to come with it.
    pub(super) token: Option<String>,
    pub(super) is_expired: bool,
}
