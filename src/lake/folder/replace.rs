//! Putting an object in the place of a damaged one, which is kept aside.

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::FolderLake;
use super::put::{self, Batch, cannot_link};
use crate::fs::{IoContext as _, PathError, if_exists, platform, sync};
use crate::lake::upload::names_aside;
use crate::lake::{ASIDE_FOLDER, LakeError, Observer, Replaced, Upload};

/// Replaces what is damaged; see [`crate::lake::AdminLake::replace`].
pub(super) fn replace(
    lake: &FolderLake,
    upload: &Upload<'_>,
    observer: &dyn Observer,
) -> Result<Replaced, LakeError> {
    match put::put(lake, &[*upload], observer).remove(0) {
        Err(LakeError::DamagedThere { .. } | LakeError::NotRegular { .. }) => {}
        other => return other.map(Replaced::Not),
    }
    let writing = |error: PathError| LakeError::writing(&lake.url, error);
    let mut batch = Batch::open(lake, observer)?;
    let staged = batch.stage(upload)?;
    batch.watch.sync(&[staged.to_path_buf()]).map_err(writing)?;
    if observer.is_cancelled() {
        return Err(LakeError::Cancelled);
    }
    let path = lake.path_of(upload.name);
    let aside = keep(lake, upload, &path, &batch.base).map_err(|error| {
        let object = lake.url.source(upload.name.clone());
        LakeError::NotKept { object, reason: with_cause(&error).into() }
    })?;
    staged.persist(&path).map_err(|error| error.error).context(&path).map_err(writing)?;
    sync::folder(&lake.folder).map_err(writing)?;
    Ok(Replaced::Aside(format!("{}/{aside}", lake.url)))
}

fn with_cause(error: &PathError) -> String {
    format!("{error}: {}", error.source)
}

/// Gives what stands at `path` a second name for good; returns it, from the lake's folder. What is no
/// file, or lies where there are no second names, is moved.
fn keep(
    lake: &FolderLake,
    upload: &Upload<'_>,
    path: &Path,
    base: &Metadata,
) -> Result<String, PathError> {
    let there = std::fs::symlink_metadata(path).context(path)?;
    let folder = lake.folder.join(ASIDE_FOLDER);
    platform::create_shared_folder(&folder, base).context(&folder)?;
    let mut names = names_aside(upload.name);
    loop {
        let aside = names.next().expect("there are many names");
        let target = lake.folder.join(&aside);
        let linked = match there.is_file() {
            true => std::fs::hard_link(path, &target),
            false => move_unless_taken(path, &target),
        };
        let kept = match linked {
            Err(error) if cannot_link(&error) => move_unless_taken(path, &target),
            other => other,
        };
        match kept {
            Ok(()) => {
                sync::folder(&folder)?;
                return Ok(aside);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(source) => return Err(PathError { path: target, source }),
        }
    }
}

fn move_unless_taken(path: &Path, target: &Path) -> io::Result<()> {
    if if_exists(std::fs::symlink_metadata(target))?.is_some() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    #[expect(clippy::disallowed_methods, reason = "nothing is published, something is put away")]
    std::fs::rename(path, target)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::digest::HashName;
    use crate::lake::contract::Sample;
    use crate::lake::{AdminLake as _, Creation, Unobserved};
    use crate::lake_url::LakeUrl;

    #[test]
    fn what_is_no_file_is_moved_aside_as_it_is() {
        let dir = tempfile::tempdir().expect("a folder");
        let base = dir.path().join("lake");
        let url = LakeUrl::from_folder(&base).expect("an address");
        let lake = FolderLake::new(url, base.clone());
        lake.declare(None, Creation::IfParentExists).expect("declares");
        let sample = Sample::new(b"right");
        let path = base.join(sample.name().as_str());
        let replace = || {
            let open = || Ok(Box::new(&b"right"[..]) as Box<dyn io::Read + Send>);
            let (name, hash) = (sample.name(), HashName::Sha256);
            let replaced = lake
                .replace(&Upload { name, hash, size: 5, open: &open, verified: None }, &Unobserved);
            let Ok(Replaced::Aside(place)) = replaced else { panic!("{replaced:?}") };
            assert_eq!(std::fs::read(&path).expect("a file"), b"right");
            base.join(ASIDE_FOLDER).join(place.rsplit('/').next().expect("a name"))
        };
        std::fs::create_dir(&path).expect("creates");
        std::fs::create_dir(path.join("inside")).expect("creates");
        let aside = replace();
        assert!(aside.join("inside").is_dir());
        std::fs::remove_file(&path).expect("removes");
        std::os::unix::fs::symlink(&aside, &path).expect("links");
        assert_eq!(std::fs::read_link(replace()).expect("a link"), aside);
        assert_eq!(std::fs::read_dir(base.join(ASIDE_FOLDER)).expect("lists").count(), 2);
    }
}
