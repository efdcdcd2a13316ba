//! The remotes that this clone accepted for writing.
//!
//! Committed settings can name any address; data goes only to those that a person named on a command
//! line here, or that were in the settings when the clone was first used. One address a line in
//! `<store>/accepted`, in normal form; `docs/local-state.md` specifies it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::fs::{IoContext as _, PathError, Shared, read_small};
use crate::lake_url::LakeUrl;

const HEADER: &str = "git-lake accepted v1";
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The accepted remotes of one clone.
#[derive(Debug, Clone)]
pub struct Accepted {
    path: PathBuf,
    /// `None` until something was recorded for the first time.
    urls: Option<BTreeSet<LakeUrl>>,
}

impl Accepted {
    /// Reads the record below `store_root`.
    ///
    /// # Errors
    /// If it exists and cannot be read.
    pub fn load(store_root: &Path) -> Result<Self, PathError> {
        let path = store_root.join("accepted");
        let text = read_small(&path, MAX_FILE_BYTES)?;
        let urls = text.map(|text| {
            let text = String::from_utf8_lossy(&text);
            text.lines().skip(1).filter_map(|line| LakeUrl::parse(line).ok()).collect()
        });
        Ok(Self { path, urls })
    }

    /// Returns true if nothing was recorded yet: the clone is used for the first time.
    pub fn is_first_use(&self) -> bool {
        self.urls.is_none()
    }

    /// Returns true if data may go to the remote.
    pub fn contains(&self, url: &LakeUrl) -> bool {
        self.urls.as_ref().is_some_and(|urls| urls.contains(url))
    }

    /// Returns the file that has the record.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the accepted remotes, in the order of their addresses.
    pub fn urls(&self) -> impl Iterator<Item = &LakeUrl> {
        self.urls.iter().flatten()
    }

    /// Takes back that a remote is accepted; returns false if it was not.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn remove(&mut self, url: &LakeUrl) -> Result<bool, PathError> {
        let was_there = self.urls.as_mut().is_some_and(|urls| urls.remove(url));
        if was_there {
            self.add([])?;
        }
        Ok(was_there)
    }

    /// Accepts remotes, for good; recording none still ends the first use.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn add<'a>(
        &mut self,
        urls: impl IntoIterator<Item = &'a LakeUrl>,
    ) -> Result<(), PathError> {
        let known = self.urls.get_or_insert_default();
        known.extend(urls.into_iter().cloned());
        let mut text = Vec::new();
        writeln!(text, "{HEADER}").context(&self.path)?;
        for url in &*known {
            writeln!(text, "{url}").context(&self.path)?;
        }
        let folder = self.path.parent().expect("the record lies in a folder");
        std::fs::create_dir_all(folder).context(folder)?;
        crate::fs::write_atomic(&self.path, &text, Shared::Yes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acceptance_lasts_and_is_per_address() {
        let dir = tempfile::tempdir().expect("a folder");
        let url = |text| LakeUrl::parse(text).expect("an address");
        let mut accepted = Accepted::load(dir.path()).expect("absent");
        assert!(accepted.is_first_use() && !accepted.contains(&url("s3://h/b")));
        accepted.add([&url("s3://h/b")]).expect("writes");
        accepted.add([&url("file:///mnt/lake")]).expect("writes");
        let accepted = Accepted::load(dir.path()).expect("reads");
        assert!(!accepted.is_first_use());
        assert!(accepted.contains(&url("s3://h/b")) && accepted.contains(&url("file:///mnt/lake")));
        for other in ["s3://h:9000/b", "s3://h/b/prefix", "s3://h/c", "file:///mnt"] {
            assert!(!accepted.contains(&url(other)), "{other}");
        }
    }

    #[test]
    fn what_was_accepted_can_be_taken_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let url = |text| LakeUrl::parse(text).expect("an address");
        let mut accepted = Accepted::load(dir.path()).expect("absent");
        accepted.add([&url("s3://h/b"), &url("s3://h/c")]).expect("writes");
        assert!(accepted.remove(&url("s3://h/b")).expect("writes"));
        assert!(!accepted.remove(&url("s3://h/b")).expect("nothing to do"));
        let mut accepted = Accepted::load(dir.path()).expect("reads");
        assert_eq!(accepted.urls().collect::<Vec<_>>(), [&url("s3://h/c")]);
        // With the last one gone it is not the first use again.
        assert!(accepted.remove(&url("s3://h/c")).expect("writes"));
        assert!(!Accepted::load(dir.path()).expect("reads").is_first_use());
    }

    #[test]
    fn recording_nothing_still_ends_the_first_use() {
        let dir = tempfile::tempdir().expect("a folder");
        Accepted::load(dir.path()).expect("absent").add([]).expect("writes");
        assert!(!Accepted::load(dir.path()).expect("reads").is_first_use());
    }
}
