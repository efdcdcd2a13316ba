//! What the work tree has in the place of pointers.
//!
//! A file whose stat data are those of the index is what git saw last: the content, or the pointer
//! itself, which its length tells. Only other files are read and hashed. So 100,000 files that nobody
//! touched cost as many calls of `lstat(2)`, side by side, and nothing else.

use std::io::Read as _;
use std::path::Path;

use super::{Error, side_by_side};
use crate::digest::hash_reader;
use crate::fs::beneath::Parent;
use crate::fs::{IoContext as _, if_exists};
use crate::oid::Oid;
use crate::pointer::{MAX_POINTER_BYTES, Parsed};
use crate::repo::Repo;
use crate::repo::index::{Entry, Index};
use crate::repo::index_stat::Unchanged;
use crate::repo_path::{RepoPath, bytes_to_os_path};
use crate::store::blob_map::Named;
use crate::transfer::report::hashing;
use crate::workspace::Workspace;

/// What lies at the path of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InWorkTree {
    /// The content.
    Content,
    /// The pointer itself.
    Pointer,
    /// A file with other bytes, or no file at all but a link or a folder.
    Modified,
    /// Nothing.
    Absent,
    /// A merge left it to a person, so that there are several pointers at this path.
    Unmerged,
}

/// What stat data tell about one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glance {
    /// It is what git saw last, and has so many bytes.
    Unchanged(u64),
    /// It has to be looked into.
    Unknown,
    /// There is none.
    Absent,
}

/// The work tree, as it is compared with one reading of the index.
pub struct WorkTree<'a> {
    site: &'a Workspace,
    top: &'a Path,
    rules: Unchanged,
}

impl<'a> WorkTree<'a> {
    /// Prepares to look at a work tree of the clone, with its index; `None` in a bare repository.
    pub fn of(site: &'a Workspace, repo: &'a Repo, index: &Index) -> Option<Self> {
        let top = repo.work_tree()?;
        Some(Self { site, top, rules: Unchanged::of(repo, index) })
    }

    /// Looks at the stat data of the files of many entries, in their order.
    pub fn glance_at(&self, entries: &[Entry<'_>]) -> Vec<Glance> {
        let (rules, top) = (&self.rules, self.top);
        side_by_side(entries, |entry| glance(rules, top, entry))
    }

    /// Says what lies at the path of an entry whose pointer says `named`. Tells of what is hashed; the end
    /// is for the caller to tell.
    ///
    /// # Errors
    /// If the file cannot be read, or its blob cannot where that is needed; also when the user asks to
    /// stop while a large file is hashed.
    pub fn judge(
        &self,
        entry: &Entry<'_>,
        named: &Named,
        glance: Glance,
    ) -> Result<InWorkTree, Error> {
        if entry.stage != 0 {
            return Ok(InWorkTree::Unmerged);
        }
        match glance {
            Glance::Absent => Ok(InWorkTree::Absent),
            // As long as both: only its bytes tell.
            Glance::Unchanged(len) if len == named.size && len == u64::from(named.text_len) => {
                self.look_into(entry, named)
            }
            Glance::Unchanged(len) if len == named.size => Ok(InWorkTree::Content),
            Glance::Unchanged(len) if len == u64::from(named.text_len) => Ok(InWorkTree::Pointer),
            Glance::Unchanged(_) | Glance::Unknown => self.look_into(entry, named),
        }
    }

    /// Says what lies at the path of an entry, whatever stat data say and whichever side it is.
    pub(super) fn look_into(&self, entry: &Entry<'_>, named: &Named) -> Result<InWorkTree, Error> {
        let Some(path) = RepoPath::parse(entry.path).filter(|path| !path.enters_git_dir()) else {
            return Ok(InWorkTree::Modified);
        };
        let shown = crate::repo_path::join(self.top, &path);
        // Git takes a file behind a link in the place of a folder for deleted.
        let Ok(Some(parent)) = Parent::open(self.top, &path) else {
            return Ok(InWorkTree::Absent);
        };
        let found = if_exists(std::fs::symlink_metadata(&shown)).context(&shown)?;
        let Some(found) = found else { return Ok(InWorkTree::Absent) };
        if !found.is_file() {
            return Ok(InWorkTree::Modified);
        }
        let (mut file, metadata) = parent.open_file().context(&shown)?;
        let len = metadata.len();
        if len > MAX_POINTER_BYTES as u64 {
            if len != named.size {
                return Ok(InWorkTree::Modified);
            }
            let reporter = &*self.site.reporter;
            let file = hashing(reporter, self.site.cancel.interrupting(file));
            let hashed = hash_reader(file, &[]).context(&shown)?;
            reporter.hashed(1, 0);
            return Ok(content_if(hashed.oid == named.oid));
        }
        let mut bytes = Vec::new();
        (&mut file).take(MAX_POINTER_BYTES as u64 + 1).read_to_end(&mut bytes).context(&shown)?;
        match Parsed::of(&bytes).pointer() {
            // One with other sources is a change, too.
            Some(pointer) => Ok(match self.site.pointer_of(entry.id)? {
                Some((_, there)) if there == pointer => InWorkTree::Pointer,
                _ => InWorkTree::Modified,
            }),
            None => Ok(content_if(Oid::of(&bytes) == named.oid)),
        }
    }
}

fn content_if(is_content: bool) -> InWorkTree {
    if is_content { InWorkTree::Content } else { InWorkTree::Modified }
}

fn glance(rules: &Unchanged, top: &Path, entry: &Entry<'_>) -> Glance {
    match std::fs::symlink_metadata(top.join(bytes_to_os_path(entry.path))) {
        Ok(metadata) if rules.holds(entry, &metadata) => Glance::Unchanged(metadata.len()),
        Ok(_) => Glance::Unknown,
        Err(error) => match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Glance::Absent,
            _ => Glance::Unknown,
        },
    }
}
