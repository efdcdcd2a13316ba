//! Whether git-lake keeps its promises, found out from the files that it leaves and from git alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use git_lake::oid::Oid;
use git_lake::pointer::{Parsed, Pointer};

use super::Repo;
use super::s3::S3Server;

/// Where objects may be besides a clone's own store.
#[derive(Clone, Copy, Default)]
pub(crate) struct Lakes<'a> {
    pub(crate) folders: &'a [PathBuf],
    /// A server, with a bucket.
    pub(crate) server: Option<(&'a S3Server, &'a str)>,
}

impl Lakes<'_> {
    /// Returns the objects that are under a final name.
    ///
    /// # Errors
    /// If there is another one than its name says.
    pub(crate) fn objects(&self) -> Result<Vec<Oid>, String> {
        let mut found = Vec::new();
        for folder in self.folders {
            found.extend(objects_of(folder)?);
        }
        if let Some((server, bucket)) = self.server {
            for name in server.keys(bucket) {
                let bytes = server.object(bucket, &name).unwrap_or_default();
                found.extend(object(&name, &bytes, Path::new(bucket))?);
            }
        }
        Ok(found)
    }
}

/// Returns the objects of a folder lake that are under a final name.
pub(crate) fn objects_of(folder: &Path) -> Result<Vec<Oid>, String> {
    let mut found = Vec::new();
    for (name, bytes) in files(folder) {
        found.extend(object(&name, &bytes, folder)?);
    }
    Ok(found)
}

/// Files of a folder, but for hidden ones.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let entries = entries.filter(|entry| entry.metadata().is_ok_and(|it| it.is_file()));
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    let seen = named.filter(|(name, _)| !name.starts_with('.'));
    seen.map(|(name, path)| (name, fs::read(path).unwrap_or_default())).collect()
}

fn object(name: &str, bytes: &[u8], place: &Path) -> Result<Option<Oid>, String> {
    let Ok(oid) = name.split('.').next().unwrap_or_default().parse::<Oid>() else {
        return Ok(None);
    };
    match Oid::of(bytes) == oid {
        true => Ok(Some(oid)),
        false => Err(format!("`{name}` in {} has other bytes", place.display())),
    }
}

/// Returns the objects of a clone's store; with `sealed`, those that it says are durable.
///
/// # Errors
/// If one of them has other bytes than its name says.
pub(crate) fn stored(repo: &Repo, sealed: bool) -> Result<Vec<Oid>, String> {
    objects_below(&repo.state().join("objects"), sealed)
}

/// The same for a store that several clones share.
pub(crate) fn objects_below(objects: &Path, sealed: bool) -> Result<Vec<Oid>, String> {
    let mut found = Vec::new();
    for folder in fs::read_dir(objects).into_iter().flatten().flatten() {
        for (name, bytes) in files(&folder.path()) {
            let path = folder.path().join(&name);
            let is_sealed = path.metadata().is_ok_and(|it| it.permissions().readonly());
            if is_sealed || !sealed {
                found.extend(object(&name, &bytes, &folder.path())?);
            }
        }
    }
    Ok(found)
}

/// Returns every pointer that git has, referred to or not.
pub(crate) fn pointers(repo: &Repo) -> Vec<Pointer> {
    let all = repo.git(["cat-file", "--batch", "--batch-all-objects", "--unordered"]).bytes;
    let (mut found, mut rest) = (Vec::new(), &all[..]);
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        let mut words = head.split(' ').skip(1);
        let (kind, size) = (words.next().unwrap(), words.next().unwrap().parse::<usize>().unwrap());
        let content = &rest[end + 1..][..size];
        if kind == "blob" {
            found.extend(Parsed::of(content).pointer());
        }
        rest = &rest[end + 1 + size + 1..];
    }
    found
}

/// Returns the objects that are files of the work tree.
pub(crate) fn in_work_tree(repo: &Repo) -> Vec<Oid> {
    super::tree(&repo.path).iter().map(|(_, bytes, _)| Oid::of(bytes)).collect()
}

/// Checks that what every pointer stands for is among these objects or in a lake.
pub(crate) fn nothing_is_lost(repo: &Repo, lakes: Lakes, here: &[Oid]) -> Result<(), String> {
    let mut there = lakes.objects()?;
    there.extend(here);
    for pointer in pointers(repo) {
        if !there.contains(&pointer.oid()) {
            return Err(format!("git has a pointer to {}, which is nowhere", pointer.oid()));
        }
    }
    Ok(())
}

/// Checks that `git status` says what is modified or gone, and nothing else.
pub(crate) fn status_is_true(repo: &Repo) -> Result<(), String> {
    let mut expected = BTreeMap::new();
    let index = repo.git(["ls-files", "-s", "-z", "--", "*.bin"]).bytes;
    for entry in index.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        let tab = entry.iter().position(|byte| *byte == b'\t').unwrap();
        let about = String::from_utf8_lossy(&entry[..tab]).into_owned();
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(&entry[tab + 1..]));
        let blob = repo.git(["cat-file", "blob", about.split(' ').nth(1).unwrap()]).bytes;
        let change = match fs::read(repo.path.join(&path)) {
            Err(_) => 'D',
            Ok(bytes) if bytes == blob => ' ',
            Ok(bytes) => match Parsed::of(&blob).pointer() {
                Some(pointer) if pointer.oid() == Oid::of(&bytes) => ' ',
                _ => 'M',
            },
        };
        expected.insert(path, change);
    }
    let ran = repo.git(["status", "--porcelain", "-z", "--untracked-files=no", "--no-renames"]);
    let mut found: BTreeMap<PathBuf, char> =
        expected.keys().map(|path| (path.clone(), ' ')).collect();
    for line in ran.stdout.split('\0').filter(|line| line.len() > 3) {
        if let Some(change) = found.get_mut(Path::new(&line[3..])) {
            *change = line.chars().nth(1).unwrap();
        }
    }
    match found == expected {
        true => Ok(()),
        false => Err(format!("git status finds {found:?}, and true is {expected:?}")),
    }
}

/// Removes locks of git that a kill left, as git tells people to.
pub(crate) fn remove_locks(root: &Path) {
    let mut find = std::process::Command::new("find");
    find.arg(root).args(["-path", "*/.git/*.lock", "-not", "-path", "*/.git/lake/*", "-delete"]);
    assert!(find.status().unwrap().success());
}
