//! What a path holds: a pointer of git's, or a file of the work tree.

use std::io::Read as _;

use super::{Error, Form, Version};
use crate::digest::hash_reader;
use crate::fs::beneath::Parent;
use crate::fs::{IoContext as _, if_exists};
use crate::kind::{HEAD_BYTES, Kind};
use crate::oid::Oid;
use crate::pointer::{MAX_POINTER_BYTES, Parsed};
use crate::repo::Blob;
use crate::repo::attributes::LakePaths;
use crate::repo::changes::Side;
use crate::repo_path::RepoPath;
use crate::transfer::report::hashing;
use crate::workspace::Workspace;

/// Reads versions of items, one after the other.
pub(super) struct Versions<'a> {
    site: &'a Workspace,
    lake_paths: LakePaths<'a>,
}

impl<'a> Versions<'a> {
    pub(super) fn new(site: &'a Workspace) -> Result<Self, Error> {
        let index = site.repo.index().map_err(crate::repo::Error::from)?;
        Ok(Self { site, lake_paths: LakePaths::of_work_tree(&site.repo, &index)? })
    }

    /// Reads what is at one side of a difference; `old` is the other side of a file in the work tree.
    ///
    /// `None` for what is no item, and for a file that is gone.
    pub(super) fn of(
        &mut self,
        side: Side,
        old: Option<&Version>,
    ) -> Result<Option<Version>, Error> {
        let Some(path) = RepoPath::parse(&side.path) else { return Ok(None) };
        let Some(blob) = side.blob else { return self.of_file(path, old) };
        let (bytes, size) = match self.site.repo.read_blob(blob, MAX_POINTER_BYTES as u64)? {
            Blob::Content(bytes) => {
                let size = bytes.len() as u64;
                (bytes, size)
            }
            Blob::TooLong(size) => (Vec::new(), size),
            // A partial clone left it on the server; what git itself needed it has fetched.
            Blob::Missing => return Ok(None),
        };
        Ok(Some(if size > bytes.len() as u64 {
            Version { size, ..version(path, Form::InGit) }
        } else {
            small(path, &bytes, Form::InGit)
        }))
    }

    fn of_file(&mut self, path: RepoPath, old: Option<&Version>) -> Result<Option<Version>, Error> {
        let is_item = old.is_some_and(|old| old.form != Form::InGit);
        let Some(top) = self.site.repo.work_tree() else { return Ok(None) };
        if !is_item && !self.lake_paths.contains(&path)? {
            return Ok(None);
        }
        let shown = crate::repo_path::join(top, &path);
        let Some(parent) = Parent::open(top, &path).context(&shown)? else { return Ok(None) };
        let Some((mut file, _)) = if_exists(parent.open_file()).context(&shown)? else {
            return Ok(None);
        };
        let mut head = Vec::new();
        let most = MAX_POINTER_BYTES.max(HEAD_BYTES) as u64 + 1;
        (&mut file).take(most).read_to_end(&mut head).context(&shown)?;
        if head.len() <= MAX_POINTER_BYTES {
            return Ok(Some(small(path, &head, Form::Content)));
        }
        let reporter = &*self.site.reporter;
        let content = head.as_slice().chain(self.site.cancel.interrupting(file));
        let hashed = hash_reader(hashing(reporter, content), &[]).context(&shown)?;
        reporter.hashed(1, 0);
        let (oid, size, kind) = (Some(hashed.oid), hashed.size, Kind::of(&head));
        Ok(Some(Version { oid, size, kind, ..version(path, Form::Content) }))
    }
}

/// Understands what is short enough to be a pointer; `form` is what content is called here.
fn small(path: RepoPath, bytes: &[u8], form: Form) -> Version {
    match Parsed::of(bytes) {
        Parsed::Pointer(pointer, _) => Version {
            oid: Some(pointer.oid()),
            size: pointer.size(),
            sources: pointer.sources().to_vec(),
            ..version(path, Form::Pointer)
        },
        Parsed::Damaged(_) => version(path, Form::Damaged),
        Parsed::Newer => version(path, Form::Newer),
        Parsed::Content => Version {
            oid: Some(Oid::of(bytes)),
            size: bytes.len() as u64,
            kind: Kind::of(bytes),
            ..version(path, form)
        },
    }
}

fn version(path: RepoPath, form: Form) -> Version {
    Version { path, form, oid: None, size: 0, sources: Vec::new(), kind: None }
}
