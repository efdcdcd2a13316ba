//! Pointers on their way into the work tree and the index; `.remote` files on their way out.

use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::resolve::Content;
use super::{Error, LocalFile, Target, Wish};
use crate::dataset::remote_file::{self, RemoteFile};
use crate::digest::hash_reader;
use crate::fail_point;
use crate::fs::beneath::{Parent, Tree};
use crate::fs::{IoContext as _, PathError, Shared, if_exists, read_small, read_whole, sync};
use crate::pointer::Pointer;
use crate::repo::index::Index;
use crate::repo::index_stat::{self, StatChange, StatUpdate};
use crate::repo::process::Git;
use crate::repo_path::{RepoPath, join};
use crate::store::blob_map::{BlobMap, Named};
use crate::workspace::Workspace;

/// How long another git may hold the index.
const PATIENCE: Duration = Duration::from_secs(5);

const OTHER_FILE: &str = "another file is at its path already";

/// What came of staging.
#[derive(Debug, Default)]
pub struct Staged {
    /// How many pointers were staged.
    pub pointers: usize,
    /// Items that were left as they are, and why.
    pub failures: Vec<(RepoPath, String)>,
}

/// A pointer that is written; an object without bytes is an empty file.
struct Ready {
    wish: Wish,
    text: Vec<u8>,
    content: Content,
    /// The file's stat data, if it is the pointer and not the content.
    stat: Option<Metadata>,
}

/// Writes pointers, stages them together, and removes the `.remote` files that they replace.
///
/// # Errors
/// If git does not take them, or the disk fails; the same items go on from there.
pub fn stage(
    site: &Workspace,
    index: &Index,
    target: &Target,
    items: Vec<(Wish, Content)>,
) -> Result<Staged, Error> {
    let watch = sync::Watch::begin(&target.top);
    let mut staged = Staged::default();
    let mut ready = Vec::new();
    for (wish, content) in items {
        match write(site, target, &wish, content)? {
            Ok((text, stat)) => ready.push(Ready { wish, text, content, stat }),
            Err(why) => staged.failures.push((wish.path, why)),
        }
    }
    if ready.is_empty() {
        return Ok(staged);
    }
    let written = ready.iter().filter(|one| one.stat.is_some());
    let written: Vec<PathBuf> = written.map(|one| join(&target.top, &one.wish.path)).collect();
    watch.sync(&written)?;
    site.store.sync()?;
    fail_point::reach("import-written");
    let ids = site.repo.write_blobs(ready.iter().map(|one| &one.text))?;
    let mut known = BlobMap::at(site.store.root(), site.repo.hash_len());
    let mut input = Vec::new();
    let nothing = "0".repeat(site.repo.hash_len() * 2);
    for (one, id) in ready.iter().zip(&ids) {
        if !one.text.is_empty() {
            let Content { oid, size } = one.content;
            known.learn(id.as_bytes(), Named::new(oid, size, &one.text));
        }
        for (start, path) in std::iter::once((format!("100644 {id}\t"), &one.wish.path)).chain(
            one.wish
                .replaces
                .iter()
                .filter(|(remote, _)| index.entry_at(remote.as_bytes()).is_some())
                .map(|(remote, _)| (format!("0 {nothing}\t"), remote)),
        ) {
            input.extend(start.bytes());
            input.extend_from_slice(path.as_bytes());
            input.push(0);
        }
    }
    // Only time is lost if it cannot be kept.
    drop(known.save());
    Git::of(&site.repo)?.run(&["update-index", "-z", "--add", "--index-info"], &input)?;
    fail_point::reach("import-staged");
    let (mut changes, mut replaced) = (Vec::new(), Vec::new());
    staged.pointers = ready.len();
    for (one, id) in ready.into_iter().zip(ids) {
        replaced.push(one.wish.clone());
        if let Some(stat) = one.stat {
            changes.push(StatChange { path: one.wish.path, id, stat: StatUpdate::Of(stat) });
        }
    }
    // Without it git compares the files itself.
    drop(index_stat::patch(site.repo.index_path(), site.repo.hash_len(), &changes, PATIENCE));
    staged.failures.extend(remove_replaced(target, &replaced));
    Ok(staged)
}

/// Removes the `.remote` files of items whose pointers are staged; returns those that could not be.
pub fn remove_replaced(target: &Target, wishes: &[Wish]) -> Vec<(RepoPath, String)> {
    let mut failures = Vec::new();
    for (path, remote) in wishes.iter().filter_map(|wish| wish.replaces.as_ref()) {
        let file = join(&target.top, path);
        let removed = Parent::open(&target.top, path).and_then(|parent| match parent {
            Some(parent) => remove_same(&parent, remote),
            None => Ok(()),
        });
        let removed = removed.context(&file).map_err(|error| error.to_string());
        failures.extend(removed.err().map(|why| (path.clone(), why)));
    }
    failures
}

/// Removes a `.remote` file that says what it did.
fn remove_same(parent: &Parent, remote: &RemoteFile) -> io::Result<()> {
    let Some((file, _)) = if_exists(parent.open_file())? else { return Ok(()) };
    let text = read_whole(file, remote_file::MAX_BYTES)?;
    match RemoteFile::parse(&text).is_ok_and(|found| found == *remote) {
        true => parent.remove(),
        false => Err(io::Error::other("it was changed meanwhile")),
    }
}

/// Takes the `.remote` files of items whose pointers are staged out of the index, too.
///
/// # Errors
/// If git fails.
pub fn unstage_replaced(site: &Workspace, index: &Index, wishes: &[Wish]) -> Result<(), Error> {
    let mut input = Vec::new();
    for (path, _) in wishes.iter().filter_map(|wish| wish.replaces.as_ref()) {
        if index.entry_at(path.as_bytes()).is_some() {
            input.extend_from_slice(path.as_bytes());
            input.push(0);
        }
    }
    if !input.is_empty() {
        let args = ["update-index", "-z", "--force-remove", "--stdin"];
        Git::of(&site.repo)?.run(&args, &input)?;
    }
    Ok(())
}

type Written = (Vec<u8>, Option<Metadata>);

/// Writes one pointer; the content itself may be there already, and stays. Says why not, if not.
fn write(
    site: &Workspace,
    target: &Target,
    wish: &Wish,
    content: Content,
) -> Result<Result<Written, String>, PathError> {
    let text = match content.size {
        0 => Vec::new(),
        size => match Pointer::new(content.oid, size, wish.sources.clone()) {
            Ok(pointer) => pointer.to_bytes(),
            Err(error) => return Ok(Err(error.to_string())),
        },
    };
    let shown = join(&target.top, &wish.path);
    if let Some(found) = crate::fs::if_exists(std::fs::symlink_metadata(&shown)).context(&shown)? {
        return compare(&shown, &found, text, content);
    }
    match put(site, target, &wish.path, &mut &*text)? {
        Ok(stat) => Ok(Ok((text, Some(stat)))),
        Err(why) => Ok(Err(why)),
    }
}

/// Decides if the file that is there will do.
fn compare(
    path: &Path,
    found: &Metadata,
    text: Vec<u8>,
    content: Content,
) -> Result<Result<Written, String>, PathError> {
    if !found.is_file() {
        return Ok(Err(OTHER_FILE.to_owned()));
    }
    if found.len() == text.len() as u64
        && read_small(path, text.len() as u64)?.as_ref() == Some(&text)
    {
        return Ok(Ok((text, Some(found.clone()))));
    }
    if found.len() == content.size {
        let hashed = File::open(path).and_then(|file| hash_reader(file, &[])).context(path)?;
        if hashed.oid == content.oid {
            return Ok(Ok((text, None)));
        }
    }
    Ok(Err(OTHER_FILE.to_owned()))
}

/// Copies a file of the dataset to where it goes, unless it is there. Says why not, if not.
///
/// # Errors
/// If reading or writing fails.
pub fn copy(
    site: &Workspace,
    target: &Target,
    local: &LocalFile,
) -> Result<Result<(), String>, PathError> {
    let shown = join(&target.top, &local.path);
    let mut source = File::open(&local.source).context(&local.source)?;
    if let Some(found) = crate::fs::if_exists(std::fs::symlink_metadata(&shown)).context(&shown)? {
        let hash = |path: &Path| {
            File::open(path).and_then(|file| hash_reader(file, &[])).context(path).map(|it| it.oid)
        };
        let is_same = found.is_file() && hash(&shown)? == hash(&local.source)?;
        return Ok(if is_same { Ok(()) } else { Err(OTHER_FILE.to_owned()) });
    }
    Ok(put(site, target, &local.path, &mut source)?.map(drop))
}

/// Makes a file of the work tree where none is; no symbolic link is followed.
fn put(
    site: &Workspace,
    target: &Target,
    path: &RepoPath,
    content: &mut dyn std::io::Read,
) -> Result<Result<Metadata, String>, PathError> {
    let shown = join(&target.top, path);
    let folder = shown.parent().unwrap_or(&target.top);
    // A link on the way would lead out of the work tree.
    let tree = Tree::open(&target.top).context(&target.top)?;
    let parent = tree.make_parent(path).context(folder)?;
    let beside = std::fs::metadata(folder).context(folder)?;
    let mut staged = crate::fs::stage(site.store.tmp_near(&shown, &beside)?, Shared::Yes)?;
    std::io::copy(content, staged.as_file_mut()).context(&shown)?;
    staged.flush().context(&shown)?;
    fail_point::reach("import-copied");
    if !parent.put_new(staged.path()).context(&shown)? {
        return Ok(Err(OTHER_FILE.to_owned()));
    }
    staged.disable_cleanup(true);
    // Where it got its name by a link, its change time is a later one.
    Ok(Ok(parent.open_file().context(&shown)?.1))
}
