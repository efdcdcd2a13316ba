//! Where a dataset is written: a folder that appears whole or not at all, or the input itself.
//!
//! A new folder grows beside its name and gets it with one rename, when all of it is on disk. In place,
//! what is new is staged in a hidden folder beside the items, and changes come in batches: synced,
//! named, synced, and only then what they supersede is removed. A kill leaves for each item the old or
//! the new, or both for a moment, which the next run takes for what they are
//! ([`super::State::Both`]).

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::staging::Staging;
use super::{Error, Place};
use crate::fs::{IoContext as _, PathError, Stamp, create_folders, if_exists, sync};

/// Begins the names of hidden folders beside the items of a dataset that is changed in place.
const PREFIX: &str = ".lake-";

/// Where a dataset is written.
pub struct Output {
    target: PathBuf,
    kind: Kind,
    /// Something was staged that comes from lakes.
    is_fetched: bool,
}

enum Kind {
    Fresh {
        staging: Staging,
        /// All files that were put there.
        files: Vec<PathBuf>,
        /// Folders above it that were made for it.
        made: Made,
    },
    InPlace {
        shared: Option<Staging>,
        samples: Option<Staging>,
    },
}

/// Folders that are removed with this value if they are empty, the last first.
struct Made(Vec<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            // One that is used by now stays.
            drop(std::fs::remove_dir(folder));
        }
    }
}

/// What becomes of one item in place.
#[derive(Debug)]
pub struct Change {
    /// The item's number, for whoever hears of failures.
    pub item: usize,
    /// Where it lies.
    pub place: Place,
    /// The file that was staged for it, if one was needed.
    pub staged: Option<OsString>,
    /// That file replaces one of the same name; else nothing may be there.
    pub replaces: bool,
    /// The file that is not needed any more.
    pub superseded: Option<OsString>,
    /// What the superseded file was when its content was taken.
    pub expected: Option<Stamp>,
}

impl Output {
    /// Prepares to write to `target`, in place if that is the folder `input`.
    ///
    /// # Errors
    /// [`Error::Exists`] if it is anything but an empty folder; and if its parent cannot be written.
    pub fn open(input: &Path, target: &Path) -> Result<Self, Error> {
        let real = |path: &Path| std::fs::canonicalize(path);
        let existing = if_exists(std::fs::symlink_metadata(target)).context(target)?;
        if existing.is_some() && real(target).context(target)? == real(input).context(input)? {
            let kind = Kind::InPlace { shared: None, samples: None };
            return Ok(Self { target: real(target).context(target)?, kind, is_fetched: false });
        }
        if let Some(existing) = existing {
            let is_empty =
                existing.is_dir() && std::fs::read_dir(target).context(target)?.next().is_none();
            if !is_empty {
                return Err(Error::Exists(target.to_owned()));
            }
        }
        let name = target.file_name().ok_or_else(|| Error::Exists(target.to_owned()))?;
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let above = parent.ancestors().take_while(|above| !above.exists());
        let mut made: Vec<PathBuf> = above.map(Path::to_owned).collect();
        made.reverse();
        let made = Made(made);
        create_folders(parent)?;
        let mut prefix = OsString::from(".");
        prefix.push(name);
        prefix.push(".lake-");
        let staging = Staging::make(parent, &prefix)?;
        let data = staging.new_folder().join(Place::Sample(0).folder());
        std::fs::create_dir(&data).context(&data)?;
        let kind = Kind::Fresh { staging, files: Vec::new(), made };
        Ok(Self { target: target.to_owned(), kind, is_fetched: false })
    }

    /// Returns true if the input itself is changed.
    pub fn is_in_place(&self) -> bool {
        matches!(self.kind, Kind::InPlace { .. })
    }

    /// Returns where a new file of the dataset is to be made.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn stage(&mut self, place: Place, name: &OsStr) -> Result<PathBuf, PathError> {
        match &mut self.kind {
            Kind::Fresh { staging, files, .. } => {
                let path = place.path_in(&staging.new_folder(), name);
                files.push(path.clone());
                Ok(path)
            }
            Kind::InPlace { shared, samples } => {
                let staging = match place {
                    Place::Shared => shared,
                    Place::Sample(_) => samples,
                };
                if staging.is_none() {
                    let folder = self.target.join(place.folder());
                    *staging = Some(Staging::make(&folder, OsStr::new(PREFIX))?);
                }
                let staging = staging.as_ref().expect("just made");
                Ok(staging.new_folder().join(name))
            }
        }
    }

    /// Returns where a new file is to be made whose content comes from lakes, and what an earlier run with
    /// this output may have left of it.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn stage_fetched(
        &mut self,
        place: Place,
        name: &OsStr,
    ) -> Result<(PathBuf, Option<PathBuf>), PathError> {
        self.is_fetched = true;
        let path = self.stage(place, name)?;
        let left = match (&self.kind, place) {
            (Kind::Fresh { staging, .. }, _) => staging.left(&place.path_in(Path::new(""), name)),
            (Kind::InPlace { shared: staging, .. }, Place::Shared)
            | (Kind::InPlace { samples: staging, .. }, Place::Sample(_)) => {
                staging.as_ref().and_then(|staging| staging.left(Path::new(name)))
            }
        };
        Ok((path, left))
    }

    /// Ends without an output, and leaves what came from lakes to the next run; returns a folder that has
    /// some of it, if there is any.
    pub fn leave(self) -> Option<PathBuf> {
        let stagings = match self.kind {
            Kind::Fresh { staging, .. } => [Some(staging), None],
            Kind::InPlace { shared, samples } => [shared, samples],
        };
        let useful = stagings.into_iter().flatten();
        let useful = useful.filter(|staging| self.is_fetched && staging.has_files());
        let mut kept: Vec<PathBuf> = useful.map(Staging::keep).collect();
        kept.pop()
    }

    /// Forgets a staged file that was not made.
    pub fn unstage(&mut self, path: &Path) {
        if let Kind::Fresh { files, .. } = &mut self.kind
            && let Some(at) = files.iter().rposition(|file| file == path)
        {
            files.remove(at);
        }
    }

    /// Carries out changes in place, durable on return, and returns which items could not be changed,
    /// and why; those are as they were.
    ///
    /// # Errors
    /// If the disk fails; each item is the old or the new then.
    pub fn change(&mut self, changes: Vec<Change>) -> Result<Vec<(usize, String)>, PathError> {
        let (mut staged, mut failures) = (Vec::new(), Vec::new());
        for change in &changes {
            if let Some(name) = &change.staged {
                staged.push(self.stage(change.place, name)?);
            }
        }
        self.sync_staged(&staged)?;
        let mut done = Vec::new();
        for change in changes {
            match self.name(&change) {
                Ok(()) => done.push(change),
                Err(why) => failures.push((change.item, why)),
            }
        }
        self.sync_folders()?;
        for change in done {
            if let Err(why) = self.remove_superseded(&change) {
                failures.push((change.item, why));
            }
        }
        self.sync_folders()?;
        Ok(failures)
    }

    /// Gives what was staged its name.
    fn name(&mut self, change: &Change) -> Result<(), String> {
        self.check_unchanged(change)?;
        let Some(name) = &change.staged else { return Ok(()) };
        let staged = self.stage(change.place, name).map_err(|error| error.to_string())?;
        let target = change.place.path_in(&self.target, name);
        let staged = TempPath::try_from_path(staged).map_err(|error| error.to_string())?;
        let named = match change.replaces {
            true => staged.persist(&target),
            false => staged.persist_noclobber(&target),
        };
        named.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => "it was changed meanwhile".to_owned(),
            _ => format!("Could not write `{}`: {}", target.display(), error.error),
        })
    }

    fn check_unchanged(&self, change: &Change) -> Result<(), String> {
        let (Some(stamp), Some(name)) = (change.expected, &change.superseded) else {
            return Ok(());
        };
        match stamp.is_still(&change.place.path_in(&self.target, name)) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err("it was changed meanwhile".to_owned()),
        }
    }

    fn remove_superseded(&self, change: &Change) -> Result<(), String> {
        let Some(name) = &change.superseded else { return Ok(()) };
        let path = change.place.path_in(&self.target, name);
        let removed = self.check_unchanged(change).and_then(|()| {
            std::fs::remove_file(&path)
                .map_err(|error| format!("Could not remove `{}`: {error}", path.display()))
        });
        if let (Err(_), Some(new), false) = (&removed, &change.staged, change.replaces) {
            // The old one stays, so the new one must go.
            drop(std::fs::remove_file(change.place.path_in(&self.target, new)));
        }
        removed
    }

    /// Makes what was staged in place durable.
    fn sync_staged(&self, files: &[PathBuf]) -> Result<(), PathError> {
        let Kind::InPlace { shared, samples } = &self.kind else { return Ok(()) };
        for staging in [shared, samples].into_iter().flatten() {
            let new = staging.new_folder();
            let own = files.iter().filter(|file| file.starts_with(&new));
            staging.watch.sync(&own.cloned().collect::<Vec<_>>())?;
        }
        Ok(())
    }

    fn sync_folders(&self) -> Result<(), PathError> {
        sync::folder(&self.target)?;
        sync::folder(&self.target.join(Place::Sample(0).folder()))
    }

    /// Ends: a new folder gets its name, with everything in it on disk; in place, what earlier runs left is
    /// removed.
    ///
    /// # Errors
    /// [`Error::Exists`] if something appeared at its name; nothing is left behind then.
    pub fn finish(self) -> Result<(), Error> {
        let (staging, files, mut made) = match self.kind {
            Kind::Fresh { staging, files, made } => (staging, files, made),
            Kind::InPlace { shared, samples } => {
                for (staging, place) in [(shared, Place::Shared), (samples, Place::Sample(0))] {
                    if staging.is_none() {
                        Staging::sweep(&self.target.join(place.folder()), OsStr::new(PREFIX));
                    }
                }
                return Ok(());
            }
        };
        let new = staging.new_folder();
        let links = |path: &PathBuf| path.is_symlink();
        let files: Vec<PathBuf> = files.into_iter().filter(|path| !links(path)).collect();
        staging.watch.sync(&files)?;
        sync::folder(&new.join(Place::Sample(0).folder()))?;
        sync::folder(&new)?;
        #[expect(clippy::disallowed_methods, reason = "a whole folder gets its name")]
        let renamed = std::fs::rename(&new, &self.target);
        match renamed {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty
                        | io::ErrorKind::AlreadyExists
                        | io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(Error::Exists(self.target));
            }
            Err(error) => return Err(error).context(&self.target)?,
        }
        let made = std::mem::take(&mut made.0);
        let parents = self.target.parent().map(Path::to_owned).into_iter();
        for parent in
            made.iter().filter_map(|made| made.parent().map(Path::to_owned)).chain(parents)
        {
            let parent = if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent };
            sync::folder(&parent)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::fs::{Shared, write_atomic};

    struct Site {
        dir: TempDir,
    }

    impl Site {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a folder");
            std::fs::create_dir_all(dir.path().join("in/data")).expect("creates");
            Self { dir }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn write(&self, name: &str, bytes: &[u8]) -> Stamp {
            let path = self.path(name);
            write_atomic(&path, bytes, Shared::Yes).expect("writes");
            Stamp::of(&std::fs::metadata(&path).expect("there"))
        }

        fn read(&self, name: &str) -> Option<Vec<u8>> {
            crate::fs::read_small(&self.path(name), 100).expect("reads")
        }
    }

    /// A change from `0_a` to `0_a.remote`, staged.
    fn change(output: &mut Output, expected: Stamp) -> Change {
        let (place, name) = (Place::Sample(0), OsString::from("0_a.remote"));
        let path = output.stage(place, &name).expect("stages");
        write_atomic(&path, b"new", Shared::Yes).expect("writes");
        let superseded = Some("0_a".into());
        let (staged, expected) = (Some(name), Some(expected));
        Change { item: 7, place, staged, replaces: false, superseded, expected }
    }

    #[test]
    fn in_place_a_file_gives_way_to_what_was_staged_for_it() {
        let site = Site::new();
        let stamp = site.write("in/data/0_a", b"old");
        let mut output = Output::open(&site.path("in"), &site.path("in/.")).expect("opens");
        assert!(output.is_in_place());
        let change = change(&mut output, stamp);
        assert_eq!(output.change(vec![change]).expect("changes"), []);
        assert_eq!(site.read("in/data/0_a"), None);
        assert_eq!(site.read("in/data/0_a.remote").as_deref(), Some(&b"new"[..]));
        output.finish().expect("ends");
        assert_eq!(std::fs::read_dir(site.path("in/data")).expect("lists").count(), 1);
    }

    #[test]
    fn in_place_what_was_changed_meanwhile_stays() {
        let site = Site::new();
        let stamp = site.write("in/data/0_a", b"old");
        let mut output = Output::open(&site.path("in"), &site.path("in")).expect("opens");
        let late = change(&mut output, stamp);
        site.write("in/data/0_a", b"newer");
        let failures = output.change(vec![late]).expect("goes on");
        assert_eq!(failures, [(7, "it was changed meanwhile".to_owned())]);
        assert_eq!(site.read("in/data/0_a").as_deref(), Some(&b"newer"[..]));
        assert_eq!(site.read("in/data/0_a.remote"), None);
        // Nor is a file replaced that appeared meanwhile.
        let stamp = site.write("in/data/0_a", b"old");
        std::fs::remove_file(output.stage(Place::Sample(0), OsStr::new("0_a.remote")).expect("x"))
            .expect("left from before");
        let late = change(&mut output, stamp);
        site.write("in/data/0_a.remote", b"theirs");
        assert_eq!(output.change(vec![late]).expect("goes on").len(), 1);
        assert_eq!(site.read("in/data/0_a").as_deref(), Some(&b"old"[..]));
        assert_eq!(site.read("in/data/0_a.remote").as_deref(), Some(&b"theirs"[..]));
    }

    #[test]
    fn a_new_output_is_whole_or_not_there() {
        let site = Site::new();
        let target = site.path("deep/er/out");
        let make = || {
            let mut output = Output::open(&site.path("in"), &target).expect("opens");
            let path = output.stage(Place::Shared, OsStr::new("a")).expect("stages");
            write_atomic(&path, b"x", Shared::Yes).expect("writes");
            output
        };
        drop(make());
        assert!(!site.path("deep").exists());
        let (first, second) = (make(), make());
        first.finish().expect("is the first");
        assert!(matches!(second.finish(), Err(Error::Exists(_))), "two runs at once");
        assert_eq!(site.read("deep/er/out/a").as_deref(), Some(&b"x"[..]));
        assert_eq!(std::fs::read_dir(site.path("deep/er")).expect("lists").count(), 1);
    }
}
