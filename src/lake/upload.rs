//! One object on its way into a lake: what is promised about it, and the copy that checks it.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use super::{ASIDE_FOLDER, LakeError};
use crate::digest::{HashName, Hasher};
use crate::fs::{self, unix_now};
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;

/// From this age on, finding an object renews its date.
pub(super) const RENEW_AFTER_SECONDS: u64 = 7 * 24 * 60 * 60;

/// An object to upload: what it is, and how to read it from its beginning, once or several times.
#[derive(Clone, Copy)]
pub struct Upload<'a> {
    /// Its name in the lake; the bytes must have the digest that the name begins with.
    pub name: &'a ObjectName,
    /// Which hash the name's digest is of; the lake must declare it.
    pub hash: HashName,
    /// How many bytes there are.
    pub size: u64,
    /// Opens the bytes.
    pub open: &'a (dyn Fn() -> io::Result<Box<dyn Read + Send>> + Sync),
    /// Opens them as a file that this process has hashed and that nobody wrote to since, if there is one:
    /// its blocks may be copied or shared unread.
    pub verified: Option<&'a (dyn Fn() -> Option<File> + Sync)>,
}

/// How an upload ended well; either way the object is in the lake for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The bytes were sent.
    Created,
    /// The server copied the object from another lake.
    Copied(Proof),
    /// The object was there before.
    AlreadyThere(Proof),
}

/// How it is known that what is there is the object, where its bytes were not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Its bytes were read, or the server vouches for their digest.
    Content,
    /// Only its size is known to be right.
    Size,
}

/// How a replacement ended well; either way the object is in the lake for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replaced {
    /// Other bytes stood under the name; they are here now.
    Aside(String),
    /// Nothing was there, or the object was: nothing was replaced.
    Not(Put),
}

/// Watches bytes being moved, and may ask to stop. Called from the thread that moves them.
pub trait Observer: Sync {
    /// Hears of bytes that were sent, or found to be there already.
    ///
    /// Bytes of an upload that fails later are not taken back.
    fn advanced(&self, bytes: u64);

    /// Returns true once no more should be done; asked between chunks and before publishing.
    fn is_cancelled(&self) -> bool;
}

/// Watches nothing and never asks to stop.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn advanced(&self, _: u64) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Returns names for bytes that are kept aside, below the lake's folder or prefix, best first.
pub(super) fn names_aside(name: &ObjectName) -> impl Iterator<Item = String> {
    let now = unix_now();
    (now..).map(move |seconds| format!("{ASIDE_FOLDER}/{name}.{seconds}"))
}

/// Why bytes were not copied whole.
pub(super) enum CopyError {
    Read(io::Error),
    Write(io::Error),
    Cancelled,
    /// They are not the promised ones.
    Mismatch,
}

impl Upload<'_> {
    /// Copies the bytes through `buffer` to `sink` and checks them on the way.
    ///
    /// Unless this returns `Ok`, what `sink` got must not be published.
    pub(super) fn copy_to(
        &self,
        sink: &mut dyn Write,
        buffer: &mut [u8],
        observer: &dyn Observer,
    ) -> Result<(), CopyError> {
        let mut reader = (self.open)().map_err(CopyError::Read)?;
        self.copy_checked(&mut *reader, sink, buffer, observer)
    }

    /// Copies the bytes to a file, by sharing blocks where they were verified before and the file system can;
    /// else through `buffer`, checking them on the way.
    ///
    /// Unless this returns `Ok`, the file must not be published.
    pub(super) fn copy_to_file(
        &self,
        target: &mut File,
        buffer: &mut [u8],
        observer: &dyn Observer,
    ) -> Result<(), CopyError> {
        let Some(mut verified) = self.verified.and_then(|open| open()) else {
            return self.copy_to(target, buffer, observer);
        };
        let copied = fs::copy_blocks(&mut verified, target, self.size, &mut |count| {
            observer.advanced(count);
            !observer.is_cancelled()
        });
        match copied.map_err(CopyError::Write)? {
            copied if copied == self.size => Ok(()),
            _ if observer.is_cancelled() => Err(CopyError::Cancelled),
            _ => Err(CopyError::Mismatch),
        }
    }

    /// Reads what is in the lake under this name, and returns `Ok` if it is this object.
    pub(super) fn compare(
        &self,
        there: &mut dyn Read,
        buffer: &mut [u8],
        observer: &dyn Observer,
    ) -> Result<(), CopyError> {
        self.copy_checked(there, &mut io::sink(), buffer, observer)
    }

    fn copy_checked(
        &self,
        reader: &mut dyn Read,
        sink: &mut dyn Write,
        buffer: &mut [u8],
        observer: &dyn Observer,
    ) -> Result<(), CopyError> {
        let mut hasher = Hasher::new(&[self.hash]);
        let mut left = self.size;
        loop {
            if observer.is_cancelled() {
                return Err(CopyError::Cancelled);
            }
            let count = match reader.read(buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(CopyError::Read(error)),
            };
            left = left.checked_sub(count as u64).ok_or(CopyError::Mismatch)?;
            hasher.update(&buffer[..count]);
            sink.write_all(&buffer[..count]).map_err(CopyError::Write)?;
            observer.advanced(count as u64);
        }
        let digest = hasher.finish().digest(self.hash);
        match digest {
            Some(digest) if left == 0 && digest.hex == self.name.hex() => Ok(()),
            _ => Err(CopyError::Mismatch),
        }
    }

    /// Refuses a hash that the lake `url`, which declares another, does not name objects by.
    pub(super) fn check_hash(&self, url: &LakeUrl, declared: HashName) -> Result<(), LakeError> {
        let url = url.clone();
        if !declared.is_writable() {
            return Err(LakeError::HashNotWritable { url, hash: declared });
        }
        match self.hash == declared {
            true => Ok(()),
            false => Err(LakeError::HashMismatch { url, declared, wanted: self.hash }),
        }
    }

    /// Returns the error for bytes to upload that could not be read.
    pub(super) fn unreadable(&self, error: io::Error) -> LakeError {
        LakeError::SourceUnreadable { name: self.name.clone(), source: Arc::new(error) }
    }

    /// Returns the error for bytes to upload that are not the promised ones.
    pub(super) fn changed(&self) -> LakeError {
        LakeError::SourceChanged { name: self.name.clone() }
    }
}
