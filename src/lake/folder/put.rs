//! Uploading a batch into a folder: stage all, sync once, name each, sync the names once.

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use tempfile::{PathPersistError, TempPath};

use super::{FolderLake, staging};
use crate::digest::{COPY_BUFFER_BYTES, HashName};
use crate::fs::{self, IoContext as _, PathError, Shared, platform, sync, unix_now};
use crate::lake::upload::{CopyError, RENEW_AFTER_SECONDS};
use crate::lake::{LakeError, Observer, Proof, Put, ReadLake as _, Unobserved, Upload};

/// What is younger may not be on disk yet: its writer may have crashed, or be one that does not sync.
const SETTLED_AFTER_SECONDS: u64 = 60 * 60;

/// How far an upload has got.
enum Step {
    /// Whole, but without its name.
    Staged(TempPath),
    /// There already, but perhaps not on disk for good.
    Fresh,
    Done(Result<Put, LakeError>),
}

/// Uploads a batch; see [`crate::lake::WriteLake::put`].
pub(super) fn put(
    lake: &FolderLake,
    uploads: &[Upload<'_>],
    observer: &dyn Observer,
) -> Vec<Result<Put, LakeError>> {
    if uploads.is_empty() {
        return Vec::new();
    }
    let mut batch = match Batch::open(lake, observer) {
        Ok(batch) => batch,
        Err(error) => return uploads.iter().map(|_| Err(error.clone())).collect(),
    };
    let mut steps: Vec<Step> = uploads.iter().map(|upload| batch.prepare(upload)).collect();
    batch.sync_content(uploads, &mut steps);
    let named = uploads.iter().zip(steps).map(|(upload, step)| match step {
        Step::Staged(staged) => batch.publish(upload, staged),
        other => other,
    });
    let steps = named.collect();
    explained(lake, batch.sync_names(steps))
}

/// Says of files that could not be found that the lake itself is gone, where that is why.
fn explained(
    lake: &FolderLake,
    mut results: Vec<Result<Put, LakeError>>,
) -> Vec<Result<Put, LakeError>> {
    let is_lost = |result: &Result<Put, LakeError>| match result {
        Err(LakeError::Io(error)) => {
            matches!(error.source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        }
        _ => false,
    };
    if results.iter().any(is_lost)
        && let Err(gone) = lake.declaration()
    {
        results.iter_mut().filter(|result| is_lost(result)).for_each(|it| *it = Err(gone.clone()));
    }
    results
}

/// Stages nothing, where objects would be staged.
pub(super) fn check(lake: &FolderLake) -> Result<(), LakeError> {
    let batch = Batch::open(lake, &Unobserved)?;
    let staged = fs::stage(&batch.staging, Shared::Yes);
    staged.map(drop).map_err(|error| LakeError::writing(&lake.url, error))
}

pub(super) struct Batch<'a> {
    lake: &'a FolderLake,
    observer: &'a dyn Observer,
    declared: HashName,
    pub(super) base: Metadata,
    staging: PathBuf,
    pub(super) watch: sync::Watch,
    buffer: Vec<u8>,
}

impl<'a> Batch<'a> {
    /// Reads the declaration anew: what was a lake a moment ago may be an empty mount point now.
    pub(super) fn open(
        lake: &'a FolderLake,
        observer: &'a dyn Observer,
    ) -> Result<Self, LakeError> {
        let declared = lake.declaration()?.hash;
        if !declared.is_writable() {
            return Err(LakeError::HashNotWritable { url: lake.url.clone(), hash: declared });
        }
        let base = std::fs::metadata(&lake.folder).context(&lake.folder);
        let base = base.map_err(|error| LakeError::reading(&lake.url, error))?;
        let staging =
            staging::open(lake, &base).map_err(|error| LakeError::writing(&lake.url, error))?;
        let (watch, buffer) = (sync::Watch::begin(&staging), vec![0; COPY_BUFFER_BYTES]);
        Ok(Self { lake, observer, declared, base, staging, watch, buffer })
    }

    /// Finds the object in the lake, or stages it there.
    fn prepare(&mut self, upload: &Upload<'_>) -> Step {
        if self.observer.is_cancelled() {
            return Step::Done(Err(LakeError::Cancelled));
        }
        if let Err(error) = upload.check_hash(&self.lake.url, self.declared) {
            return Step::Done(Err(error));
        }
        let found = self.find(upload).transpose();
        found
            .unwrap_or_else(|| self.stage(upload).map(Step::Staged))
            .unwrap_or_else(|error| Step::Done(Err(error)))
    }

    /// Compares what stands under the name, if anything does, with the promised size and digest.
    fn find(&mut self, upload: &Upload<'_>) -> Result<Option<Step>, LakeError> {
        let Some(metadata) = self.lake.look(upload.name)? else {
            return Ok(None);
        };
        let damaged = || LakeError::DamagedThere {
            object: self.lake.url.source(upload.name.clone()),
            found: metadata.len(),
        };
        if metadata.len() != upload.size {
            return Err(damaged());
        }
        let mut there = self.lake.open(upload.name)?;
        let path = self.lake.path_of(upload.name);
        match upload.compare(&mut there, &mut self.buffer, self.observer) {
            Ok(()) => {}
            Err(CopyError::Mismatch) => return Err(damaged()),
            Err(CopyError::Cancelled) => return Err(LakeError::Cancelled),
            Err(CopyError::Read(source) | CopyError::Write(source)) => {
                return Err(LakeError::reading(&self.lake.url, PathError { path, source }));
            }
        }
        let modified = super::info_of(&metadata).modified.unwrap_or_default();
        let age = unix_now().saturating_sub(modified);
        if age > RENEW_AFTER_SECONDS {
            // Somebody else's file may refuse; its age only matters to who deletes by age.
            drop(platform::touch(&there));
        }
        Ok(Some(if age < SETTLED_AFTER_SECONDS {
            Step::Fresh
        } else {
            Step::Done(Ok(Put::AlreadyThere(Proof::Content)))
        }))
    }

    /// Copies the object into the staging folder, checking it on the way; closes the file.
    pub(super) fn stage(&mut self, upload: &Upload<'_>) -> Result<TempPath, LakeError> {
        let writing = |error| LakeError::writing(&self.lake.url, error);
        let mut staged = fs::stage(&self.staging, Shared::Yes).map_err(writing)?;
        let copied = upload.copy_to_file(staged.as_file_mut(), &mut self.buffer, self.observer);
        copied.map_err(|error| match error {
            CopyError::Read(error) => upload.unreadable(error),
            CopyError::Mismatch => upload.changed(),
            CopyError::Cancelled => LakeError::Cancelled,
            CopyError::Write(source) => {
                writing(PathError { path: self.lake.path_of(upload.name), source })
            }
        })?;
        // Only a group that the user is in can be given; the umask's modes are right without, too.
        drop(platform::adopt_group(staged.as_file(), &self.base));
        Ok(staged.into_temp_path())
    }

    /// Puts the bytes of the whole batch on disk for good.
    fn sync_content(&self, uploads: &[Upload<'_>], steps: &mut [Step]) {
        let waiting = uploads.iter().zip(&*steps);
        let paths: Vec<PathBuf> = waiting
            .filter_map(|(upload, step)| match step {
                Step::Staged(staged) => Some(staged.to_path_buf()),
                Step::Fresh => Some(self.lake.path_of(upload.name)),
                Step::Done(_) => None,
            })
            .collect();
        if let Err(error) = self.watch.sync(&paths) {
            let error = LakeError::writing(&self.lake.url, error);
            for step in steps {
                if !matches!(step, Step::Done(_)) {
                    *step = Step::Done(Err(error.clone()));
                }
            }
        }
    }

    /// Gives a staged object its name, unless somebody else did so first.
    fn publish(&mut self, upload: &Upload<'_>, staged: TempPath) -> Step {
        if self.observer.is_cancelled() {
            return Step::Done(Err(LakeError::Cancelled));
        }
        let path = self.lake.path_of(upload.name);
        match name_unless_taken(staged, &path) {
            Ok(()) => Step::Done(Ok(Put::Created)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.find_winner(upload, &path)
            }
            Err(source) => {
                Step::Done(Err(LakeError::writing(&self.lake.url, PathError { path, source })))
            }
        }
    }

    /// Checks the object that another writer, or the same batch, published in between.
    fn find_winner(&mut self, upload: &Upload<'_>, path: &Path) -> Step {
        match self.find(upload) {
            Ok(Some(Step::Fresh)) => match self.watch.sync(&[path.to_owned()]) {
                Ok(()) => Step::Fresh,
                Err(error) => Step::Done(Err(LakeError::writing(&self.lake.url, error))),
            },
            Ok(Some(step)) => step,
            Ok(None) => Step::Done(Err(self.lake.absent(upload.name))),
            Err(error) => Step::Done(Err(error)),
        }
    }

    /// Puts the names on disk for good and returns the results.
    fn sync_names(&self, steps: Vec<Step>) -> Vec<Result<Put, LakeError>> {
        let is_new = |step: &Step| matches!(step, Step::Fresh | Step::Done(Ok(Put::Created)));
        let synced = match steps.iter().any(is_new) {
            true => sync::folder(&self.lake.folder),
            false => Ok(()),
        };
        let failure = synced.err().map(|error| LakeError::writing(&self.lake.url, error));
        let result = |step: Step| match (step, &failure) {
            (Step::Done(Ok(Put::Created)) | Step::Fresh, Some(error)) => Err(error.clone()),
            (Step::Done(result), _) => result,
            (Step::Fresh | Step::Staged(_), _) => Ok(Put::AlreadyThere(Proof::Content)),
        };
        steps.into_iter().map(result).collect()
    }
}

/// Moves a staged file to its name, or fails with `AlreadyExists`; it is gone from its old place then.
fn name_unless_taken(staged: TempPath, path: &Path) -> io::Result<()> {
    match staged.persist_noclobber(path) {
        Err(PathPersistError { error, path: staged }) if cannot_link(&error) => {
            name_after_look(staged, path)
        }
        result => Ok(result?),
    }
}

/// Does the same where the file system cannot do it in one step.
fn name_after_look(staged: TempPath, path: &Path) -> io::Result<()> {
    match fs::if_exists(std::fs::symlink_metadata(path))? {
        Some(_) => Err(ErrorKind::AlreadyExists.into()),
        None => Ok(staged.persist(path)?),
    }
}

/// Returns true for what file systems without hard links say; link(2) documents EPERM for it.
pub(super) fn cannot_link(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_links_a_name_that_is_taken_is_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("name");
        let stage = || fs::stage(dir.path(), Shared::Yes).expect("stages");
        name_after_look(stage().into_temp_path(), &path).expect("free");
        let error = name_after_look(stage().into_temp_path(), &path).expect_err("taken");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        let left = std::fs::read_dir(dir.path()).expect("lists").count();
        assert_eq!(left, 1, "what was staged is gone");
        assert!(cannot_link(&ErrorKind::Unsupported.into()));
    }
}
