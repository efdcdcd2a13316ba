//! The one walk over the bytes of an index, which checks all that later reads rely on.

use std::path::Path;

use super::{EntryKind, Error, STAT_BYTES, Slot};

/// The flag that says a second word of flags follows.
pub(super) const EXTENDED: u16 = 0x4000;
pub(super) const SKIP_WORKTREE: u16 = 0x4000;
pub(super) const INTENT_TO_ADD: u16 = 0x2000;
/// Four letters and a length begin an extension.
const EXTENSION_HEADER: usize = 8;
/// The length of a path in the flags; this value means "at least".
const LONG_PATH: u16 = 0x0FFF;
/// Longer paths exist on no file system; the limit keeps a made-up index of version 4 from growing.
const MAX_PATH_BYTES: usize = 1 << 16;

/// What is wrong with the bytes of an index.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::repo) enum Flaw {
    Damaged(&'static str),
    Extension(String),
}

impl Flaw {
    pub(in crate::repo) fn at(self, path: &Path) -> Error {
        let path = path.to_owned();
        match self {
            Self::Damaged(reason) => Error::Damaged { path, reason },
            Self::Extension(extension) => Error::Extension { path, extension },
        }
    }
}

/// What the walk has found.
pub(super) struct Walked {
    pub(super) slots: Vec<Slot>,
    pub(super) arena: Option<Vec<u8>>,
    pub(super) is_split: bool,
    /// Where the extensions begin.
    pub(super) extensions_at: usize,
}

/// Walks over a whole index file.
pub(super) fn walk(bytes: &[u8], hash_len: usize) -> Result<Walked, Flaw> {
    if hash_len != 20 && hash_len != 32 {
        return Err(Flaw::Damaged("ids have neither 20 nor 32 bytes"));
    }
    if u32::try_from(bytes.len()).is_err() {
        return Err(Flaw::Damaged("it has more than 4 GiB"));
    }
    if bytes.len() < 12 + hash_len {
        return Err(Flaw::Damaged("it is too short"));
    }
    // The trailing checksum is no part of what is walked.
    let body = &bytes[..bytes.len() - hash_len];
    if !body.starts_with(b"DIRC") {
        return Err(Flaw::Damaged("it does not begin with `DIRC`"));
    }
    let version = u32_at(body, 4);
    if !(2..=4).contains(&version) {
        return Err(Flaw::Damaged("its version is none of 2, 3 and 4"));
    }
    let count = u32_at(body, 8) as usize;
    // An entry has at least its fixed part and one byte: a made-up count reserves no memory.
    let possible = body.len() / (STAT_BYTES + hash_len + 3);
    let mut walker = Walker {
        body,
        hash_len,
        version,
        position: 12,
        slots: Vec::with_capacity(count.min(possible)),
        // Paths unpacked are seldom more than the entries; memory is taken as it is filled.
        arena: Vec::with_capacity(if version == 4 { body.len() } else { 0 }),
        last_stage: 0,
        disorder: None,
    };
    for _ in 0..count {
        walker.step()?;
    }
    // The last entry is padded, which a damaged file may lack.
    let rest = body.get(walker.position..);
    let is_split = extensions(rest.ok_or(Flaw::Damaged("an entry ends too early"))?)?;
    match walker.disorder {
        // The own entries of a split index have no path where they replace a shared one.
        Some(reason) if !is_split => return Err(Flaw::Damaged(reason)),
        _ => {}
    }
    let (slots, extensions_at) = (walker.slots, walker.position);
    Ok(Walked { arena: (version == 4).then_some(walker.arena), slots, is_split, extensions_at })
}

struct Walker<'a> {
    body: &'a [u8],
    hash_len: usize,
    version: u32,
    position: usize,
    slots: Vec<Slot>,
    arena: Vec<u8>,
    last_stage: u8,
    disorder: Option<&'static str>,
}

impl Walker<'_> {
    /// Walks over one entry.
    fn step(&mut self) -> Result<(), Flaw> {
        const TRUNCATED: Flaw = Flaw::Damaged("an entry ends too early");
        let entry = self.body.get(self.position..).ok_or(TRUNCATED)?;
        let mut fixed = STAT_BYTES + self.hash_len + 2;
        if entry.len() < fixed + 2 {
            return Err(TRUNCATED);
        }
        kind(u32_at(entry, 24)).ok_or(Flaw::Damaged("an entry is of an unknown kind"))?;
        let flags = u16_at(entry, fixed - 2);
        if flags & EXTENDED != 0 {
            if self.version == 2 {
                return Err(Flaw::Damaged("version 2 has extended flags"));
            }
            fixed += 2;
        }
        let begin = u32_of(self.position);
        let (path, path_len, shared) = if self.version == 4 {
            let (path, path_len, used, shared) = self.compressed_path(flags, &entry[fixed..])?;
            self.position += fixed + used;
            (path, path_len, shared)
        } else {
            let path_len = path_len(flags, &entry[fixed..]).ok_or(TRUNCATED)?;
            let path = u32_of(self.position + fixed);
            // One to eight zeros end an entry at a multiple of eight bytes from its beginning.
            self.position += (fixed + path_len + 8) & !7;
            (path, u32_of(path_len), 0)
        };
        if path_len == 0 {
            self.disorder = Some("a path is empty");
        }
        let slot = Slot { entry: begin, path, path_len };
        self.check_order(slot, shared, stage(flags));
        self.slots.push(slot);
        Ok(())
    }

    /// Unpacks a path of version 4 into the arena.
    ///
    /// Returns where it is, its length, how many bytes it used and how many came from the last path.
    fn compressed_path(
        &mut self,
        flags: u16,
        bytes: &[u8],
    ) -> Result<(u32, u32, usize, usize), Flaw> {
        const BAD: Flaw = Flaw::Damaged("a compressed path is wrong");
        let (stripped, varint_len) = varint(bytes).ok_or(BAD)?;
        let last = self.slots.last().copied().unwrap_or(Slot { entry: 0, path: 0, path_len: 0 });
        let kept = (last.path_len as usize).checked_sub(stripped).ok_or(BAD)?;
        let suffix = &bytes[varint_len..];
        // The flags hold the length of the whole path, unless it is very long.
        let suffix_len = match usize::from(flags & LONG_PATH) {
            len if len < usize::from(LONG_PATH) => len.checked_sub(kept),
            _ => suffix.iter().position(|byte| *byte == 0),
        };
        let suffix_len = suffix_len.filter(|len| suffix.get(*len) == Some(&0));
        let suffix_len = suffix_len.ok_or(BAD)?;
        let path_len = kept + suffix_len;
        let path = self.arena.len();
        if path_len > MAX_PATH_BYTES || u32::try_from(path + path_len).is_err() {
            return Err(BAD);
        }
        let prefix = last.path as usize..last.path as usize + kept;
        self.arena.extend_from_within(prefix);
        self.arena.extend_from_slice(&suffix[..suffix_len]);
        let used = varint_len + suffix_len + 1;
        Ok((u32_of(path), u32_of(path_len), used, kept))
    }

    /// Checks that entries are ordered, since paths are found by bisection.
    ///
    /// `shared` bytes at the beginning are known to be those of the entry before.
    fn check_order(&mut self, slot: Slot, shared: usize, stage: u8) {
        let path_of = |slot: Slot| {
            let backing = if self.version == 4 { &self.arena } else { self.body };
            &backing[slot.path as usize + shared..slot.path as usize + slot.path_len as usize]
        };
        if let Some(last) = self.slots.last() {
            match path_of(*last).cmp(path_of(slot)) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal if self.last_stage < stage => {}
                _ => self.disorder = Some("its entries are not in order"),
            }
        }
        self.last_stage = stage;
    }
}

/// Returns the length of a path of version 2 or 3, which a zero must follow.
fn path_len(flags: u16, bytes: &[u8]) -> Option<usize> {
    let len = usize::from(flags & LONG_PATH);
    if flags & LONG_PATH < LONG_PATH {
        (*bytes.get(len)? == 0).then_some(len)
    } else {
        Some(len + bytes.get(len..)?.iter().position(|byte| *byte == 0)?)
    }
}

/// Reads git's variable-length number (varint.c, `decode_varint`); returns it and its length.
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut used = 0;
    let mut value = 0_usize;
    loop {
        let byte = *bytes.get(used)?;
        used += 1;
        value = value.checked_mul(128)? | usize::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Some((value, used));
        }
        value = value.checked_add(1)?;
    }
}

/// Walks over the extensions; returns true if the index is split.
fn extensions(mut bytes: &[u8]) -> Result<bool, Flaw> {
    const BAD: Flaw = Flaw::Damaged("an extension ends too early");
    let mut is_split = false;
    while !bytes.is_empty() {
        let header = bytes.get(..EXTENSION_HEADER).ok_or(BAD)?;
        let signature = &header[..4];
        match signature {
            b"link" => is_split = true,
            b"sdir" => {}
            // A reader that does not know an extension in lower case must not go on.
            _ if !signature[0].is_ascii_uppercase() => {
                return Err(Flaw::Extension(String::from_utf8_lossy(signature).into_owned()));
            }
            _ => {}
        }
        let end = extension_len(header).ok_or(BAD)?;
        bytes = bytes.get(end..).ok_or(BAD)?;
    }
    Ok(is_split)
}

/// Returns the length of the extension that begins here, with its header.
fn extension_len(bytes: &[u8]) -> Option<usize> {
    (u32_at(bytes, 4) as usize).checked_add(EXTENSION_HEADER)
}

/// Copies extensions that a walk has found to be whole, but for those with these signatures.
pub(super) fn extensions_without(mut bytes: &[u8], unwanted: &[&[u8; 4]]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len());
    while !bytes.is_empty() {
        let len = extension_len(bytes).expect("the walk checked the length");
        let (extension, rest) = bytes.split_at(len);
        if !unwanted.iter().any(|signature| extension.starts_with(*signature)) {
            kept.extend_from_slice(extension);
        }
        bytes = rest;
    }
    kept
}

/// Returns what a mode stands for.
pub(super) fn kind(mode: u32) -> Option<EntryKind> {
    match mode & 0o170_000 {
        0o100_000 if mode & 0o100 != 0 => Some(EntryKind::Executable),
        0o100_000 => Some(EntryKind::Regular),
        0o120_000 => Some(EntryKind::Symlink),
        0o160_000 => Some(EntryKind::Gitlink),
        0o040_000 => Some(EntryKind::SparseFolder),
        _ => None,
    }
}

/// Returns the stage that is in the flags.
pub(super) fn stage(flags: u16) -> u8 {
    ((flags >> 12) & 3) as u8
}

/// Reads a number at an offset that is known to be inside.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let (chunk, _) = bytes[offset..].split_first_chunk().expect("four bytes are there");
    u32::from_be_bytes(*chunk)
}

/// Reads a number at an offset that is known to be inside.
pub(super) fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    let (chunk, _) = bytes[offset..].split_first_chunk().expect("two bytes are there");
    u16::from_be_bytes(*chunk)
}

fn u32_of(offset: usize) -> u32 {
    u32::try_from(offset).expect("the walk accepts no more than 4 GiB")
}
