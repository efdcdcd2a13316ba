//! Reading an object to know whether its bytes are right.

use std::io::{ErrorKind, Read as _};
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::{Error, Store};
use crate::digest::Hasher;
use crate::fs::{IoContext as _, PathError, if_exists, platform};
use crate::oid::Oid;

/// What an object turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is what its name says, and recorded as durable.
    Sealed,
    /// It is what its name says; [`Store::sync`] makes it durable.
    Unsealed,
    /// It holds other bytes, which lie here now; `None` if they could not be set aside.
    Damaged(Option<PathBuf>),
    /// It is not there any more.
    Gone,
    /// The caller did not want to go on.
    Stopped,
}

impl Store {
    /// Hashes an object through `buffer`, whatever is known of it, and sets a damaged one aside.
    ///
    /// `watch` hears of bytes that were read, and may end it.
    ///
    /// # Errors
    /// If the object cannot be read.
    pub fn check(
        &self,
        oid: Oid,
        buffer: &mut [u8],
        watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Checked, PathError> {
        let path = self.object_path(oid);
        loop {
            let Some(mut file) = self.open(oid)? else {
                return Ok(Checked::Gone);
            };
            let metadata = file.metadata().context(&path)?;
            let mut hasher = Hasher::new(&[]);
            loop {
                let count = match file.read(buffer) {
                    Ok(0) => break,
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error).context(&path),
                };
                hasher.update(&buffer[..count]);
                if watch(count as u64).is_break() {
                    return Ok(Checked::Stopped);
                }
            }
            let inode = platform::inode(&metadata);
            if hasher.finish().oid == oid {
                let is_sealed = platform::is_sealed(&metadata);
                if !is_sealed {
                    self.unsynced.lock().expect("no holder panics").insert(oid, inode);
                }
                return Ok(if is_sealed { Checked::Sealed } else { Checked::Unsealed });
            }
            // Somebody may have put the right bytes there meanwhile, which must not be set aside.
            let there = if_exists(std::fs::symlink_metadata(&path)).context(&path)?;
            if there.is_some_and(|there| platform::inode(&there) == inode) {
                return Ok(Checked::Damaged(match self.damaged(oid) {
                    Ok(Error::Damaged { aside, .. }) => Some(aside),
                    Ok(Error::Path(_)) | Err(_) => None,
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Presence;

    #[test]
    fn an_object_is_right_or_set_aside() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::at(dir.path());
        let (good, bad) = (Oid::of(b"good"), Oid::of(b"bad!"));
        store.put(good, b"good").expect("writes");
        store.put(bad, b"bad!").expect("writes");
        let other = Store::at(dir.path());
        let mut read = 0;
        let mut check = |oid| {
            let mut watch = |count| {
                read += count;
                ControlFlow::Continue(())
            };
            other.check(oid, &mut [0; 3], &mut watch).expect("reads")
        };
        assert_eq!(check(good), Checked::Unsealed);
        other.sync().expect("syncs");
        assert_eq!(check(good), Checked::Sealed);
        crate::fs::write_atomic(&store.object_path(bad), b"b4d!", crate::fs::Shared::No)
            .expect("damages");
        let Checked::Damaged(Some(aside)) = check(bad) else { panic!("it is damaged") };
        assert_eq!(std::fs::read(aside).expect("kept"), b"b4d!");
        assert_eq!(check(bad), Checked::Gone);
        assert_eq!(read, 12);
        assert_eq!(Store::at(dir.path()).presence(good, 4).expect("reads"), Presence::Stored);
        let stopped = other.check(good, &mut [0; 3], &mut |_| ControlFlow::Break(()));
        assert_eq!(stopped.expect("reads"), Checked::Stopped);
    }
}
