//! Safe file primitives: every error names its path, every write is staged, synced and renamed.
//!
//! Owns nothing on disk. Knows nothing of git-lake's world.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use tempfile::NamedTempFile;

pub mod beneath;
mod held;
pub mod platform;
#[cfg(test)]
pub(crate) mod power;
mod stamp;
pub mod sync;

pub use held::HeldFile;
pub use stamp::Stamp;

/// An I/O error and the path that it happened to.
#[derive(Debug, thiserror::Error)]
#[error("{} `{}`", Action(.source), .path.display())]
pub struct PathError {
    /// What was being read or written.
    pub path: PathBuf,
    /// Why it could not be.
    pub source: io::Error,
}

/// Words the beginning of a [`PathError`].
struct Action<'a>(&'a io::Error);

impl std::fmt::Display for Action<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0.kind() {
            io::ErrorKind::NotFound => "Could not find",
            io::ErrorKind::AlreadyExists => "Could not create",
            _ => "Could not use",
        })
    }
}

impl PathError {
    /// Returns true if the path does not exist.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Returns true if this user may not, or nobody may.
    pub fn is_denied(&self) -> bool {
        let kind = self.source.kind();
        matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
    }

    /// Returns true if the disk or the quota is full.
    pub fn is_full(&self) -> bool {
        is_full(&self.source)
    }
}

/// Returns true if the error says that the disk or the quota is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Attaches the path to an I/O error.
pub trait IoContext<T> {
    /// Attaches `path`.
    ///
    /// # Errors
    /// The same error, with its path.
    fn context(self, path: impl AsRef<Path>) -> Result<T, PathError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, path: impl AsRef<Path>) -> Result<T, PathError> {
        self.map_err(|source| PathError { path: path.as_ref().to_owned(), source })
    }
}

/// Turns "not found" into `None`; other errors stay errors.
///
/// # Errors
/// Any error but "not found".
pub fn if_exists<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a file that is expected to be small; `None` if it does not exist.
///
/// # Errors
/// If it cannot be read or has more than `max_bytes`.
pub fn read_small(path: &Path, max_bytes: u64) -> Result<Option<Vec<u8>>, PathError> {
    read_opened(File::open(path), path, max_bytes)
}

/// The same for a file that others made: a symbolic link is not followed, and a pipe not waited for.
///
/// # Errors
/// If it cannot be read, is no regular file, or has more than `max_bytes`.
pub fn read_small_regular(path: &Path, max_bytes: u64) -> Result<Option<Vec<u8>>, PathError> {
    read_opened(platform::open_regular(path), path, max_bytes)
}

fn read_opened(
    opened: io::Result<File>,
    path: &Path,
    max_bytes: u64,
) -> Result<Option<Vec<u8>>, PathError> {
    let file = if_exists(opened).context(path)?;
    file.map(|file| read_whole(file, max_bytes).context(path)).transpose()
}

/// Reads an open file that is expected to be small.
///
/// # Errors
/// If it cannot be read or has more than `max_bytes`.
pub fn read_whole(file: File, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too long"));
    }
    Ok(bytes)
}

/// So much is copied between two looks whether to go on: where blocks are shared, in no time.
const BLOCKS_AT_ONCE: u64 = 64 << 20;

/// Copies `size` bytes, or what there is of them, from file to file, which the system does unread, by sharing
/// blocks where it can. Stops when `goes_on`, which hears of bytes that were copied, returns false. Returns
/// how many were copied.
///
/// # Errors
/// If reading or writing fails.
pub fn copy_blocks(
    source: &mut File,
    target: &mut File,
    size: u64,
    goes_on: &mut dyn FnMut(u64) -> bool,
) -> io::Result<u64> {
    let mut copied = 0;
    while copied < size {
        let piece = &mut (&mut *source).take(BLOCKS_AT_ONCE.min(size - copied));
        let count = io::copy(piece, target)?;
        copied += count;
        if count == 0 || !goes_on(count) {
            break;
        }
    }
    Ok(copied)
}

/// Gives a file or folder that is damaged the name `<name>.damaged`, or one with a number where that is
/// taken, and returns the new path.
///
/// # Errors
/// If it cannot be renamed.
#[expect(clippy::disallowed_methods, reason = "nothing is published, something is put away")]
pub fn set_aside(path: &Path) -> Result<PathBuf, PathError> {
    let name = path.file_name().unwrap_or_default().to_owned();
    let numbered = |number: u64| {
        let mut name = name.clone();
        name.push(if number == 1 { ".damaged".into() } else { format!(".{number}.damaged") });
        path.with_file_name(name)
    };
    let is_free = |aside: &PathBuf| std::fs::symlink_metadata(aside).is_err();
    let aside = (1..).map(numbered).find(is_free).expect("there are many numbers");
    std::fs::rename(path, &aside).context(path)?;
    Ok(aside)
}

/// Creates an empty file with a fresh name in `folder`; it vanishes when dropped before publishing.
///
/// With `shared`, its mode is that of any new file (0666 less the umask), else 0600.
///
/// # Errors
/// If the folder does not exist or cannot be written.
pub fn stage(folder: &Path, shared: Shared) -> Result<NamedTempFile, PathError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".lake-");
    platform::stage_mode(&mut builder, shared);
    builder.tempfile_in(folder).context(folder)
}

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// Whomever the umask lets.
    Yes,
    /// The user alone.
    No,
}

/// Gives a staged file its final name, replacing what stands there; readers see the old or the new.
///
/// Durable only once the file was synced before and the folder is synced after.
///
/// # Errors
/// If the rename fails; the staged file is gone then.
pub fn publish(staged: NamedTempFile, target: &Path) -> Result<(), PathError> {
    staged.persist(target).map(drop).map_err(|error| error.error).context(target)
}

/// Writes a whole file so that readers and crashes see the old content or the new; durable on return.
///
/// # Errors
/// If any step fails; the old content is intact then.
pub fn write_atomic(path: &Path, bytes: &[u8], shared: Shared) -> Result<(), PathError> {
    write_atomic_from(folder_of(path), path, bytes, shared)
}

/// The same, staged in a folder of the same file system: a kill leaves nothing beside the file.
///
/// # Errors
/// If any step fails; the old content is intact then.
pub fn write_atomic_from(
    staging: &Path,
    path: &Path,
    bytes: &[u8],
    shared: Shared,
) -> Result<(), PathError> {
    let mut staged = stage(staging, shared)?;
    staged.write_all(bytes).context(path)?;
    if let Some(old) = if_exists(std::fs::metadata(path)).context(path)? {
        // A replaced file keeps its mode: it may be executable or shared with a group.
        staged.as_file().set_permissions(old.permissions()).context(path)?;
    }
    sync::file(staged.as_file(), staged.path())?;
    publish(staged, path)?;
    sync::folder(folder_of(path))
}

/// A bare name has an empty parent, which no system can open.
fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Creates a folder and those above it that are missing; returns the folders that got a new entry,
/// which are to be synced before the folder counts as there for good.
///
/// # Errors
/// If one cannot be created.
pub fn create_folders(folder: &Path) -> Result<Vec<PathBuf>, PathError> {
    let mut changed = Vec::new();
    match std::fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(changed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let above = folder.parent().ok_or(error).context(folder)?;
            changed = create_folders(above)?;
            // Somebody else may be faster.
            std::fs::create_dir_all(folder).context(folder)?;
        }
        Err(error) => return Err(error).context(folder),
    }
    changed.extend(folder.parent().map(Path::to_owned));
    Ok(changed)
}

/// A lock on a resource, held by creating `<path>.lock` as git does, so that git honours it too.
///
/// Dropping it without [`LockFile::commit`] leaves the resource as it was.
#[derive(Debug)]
pub struct LockFile {
    staged: Option<File>,
    lock: PathBuf,
    target: PathBuf,
}

impl LockFile {
    /// Takes the lock, waiting at most `patience` for another holder.
    ///
    /// # Errors
    /// `AlreadyExists` if it is still held after that; other kinds if the folder cannot be written.
    pub fn take(target: &Path, patience: Duration) -> Result<Self, PathError> {
        let mut lock = target.as_os_str().to_owned();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        let begin = Instant::now();
        loop {
            match File::create_new(&lock) {
                Ok(file) => {
                    return Ok(Self { staged: Some(file), lock, target: target.to_owned() });
                }
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists
                        && begin.elapsed() < patience =>
                {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(error) => return Err(error).context(&lock),
            }
        }
    }

    /// Replaces the resource by `bytes`, keeping its mode, and releases the lock.
    ///
    /// # Errors
    /// If writing or renaming fails; the resource is as it was then.
    pub fn commit(mut self, bytes: &[u8]) -> Result<(), PathError> {
        let mut file = self.staged.take().expect("a lock is committed once");
        file.write_all(bytes).context(&self.lock)?;
        if let Some(old) = if_exists(std::fs::metadata(&self.target)).context(&self.target)? {
            file.set_permissions(old.permissions()).context(&self.lock)?;
        }
        drop(file);
        #[expect(clippy::disallowed_methods, reason = "the lock file is the staged file")]
        std::fs::rename(&self.lock, &self.target).context(&self.target)?;
        // The name is gone, so the clean-up below must not remove a later holder's lock.
        self.lock = PathBuf::new();
        Ok(())
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        if !self.lock.as_os_str().is_empty() {
            drop(self.staged.take());
            // Nothing to tell: the next holder names the file if it is still there.
            drop(std::fs::remove_file(&self.lock));
        }
    }
}

/// Tries to take the advisory lock on an open file, which lasts until the file is closed.
///
/// # Errors
/// If the file system knows no locks.
pub fn try_lock(file: &File, path: &Path) -> Result<bool, PathError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error).context(path),
    }
}

/// Returns the wall-clock time, in whole seconds since 1970.
pub fn unix_now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// File systems take the time from a clock that lags behind by a tick of the kernel, 10 ms at most.
const FILE_CLOCK_LAG: Duration = Duration::from_millis(20);

fn file_clock() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let now = SystemTime::now();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.saturating_sub(FILE_CLOCK_LAG)
}

/// Returns the earliest second that a file which is written now can get as its time.
pub fn second_of_files() -> u64 {
    file_clock().as_secs()
}

/// Returns how long it takes until [`second_of_files`] is another one.
pub fn until_next_second() -> Duration {
    let nanos = file_clock().subsec_nanos();
    Duration::from_secs(1).saturating_sub(Duration::from_nanos(nanos.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_exclusive_and_its_commit_replaces_the_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("index");
        let lock = LockFile::take(&path, Duration::ZERO).expect("free");
        let error = LockFile::take(&path, Duration::from_millis(20)).expect_err("held");
        assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
        lock.commit(b"new").expect("writes");
        assert_eq!(read_small(&path, 10).expect("reads").as_deref(), Some(&b"new"[..]));
        drop(LockFile::take(&path, Duration::ZERO).expect("free again"));
        assert_eq!(read_small(&path, 10).expect("reads").as_deref(), Some(&b"new"[..]));
        assert!(!dir.path().join("index.lock").exists());
    }

    #[test]
    fn a_file_longer_than_expected_is_an_error_and_a_missing_one_is_none() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x");
        assert!(read_small(&path, 3).expect("absent").is_none());
        write_atomic(&path, b"1234", Shared::Yes).expect("writes");
        assert!(read_small(&path, 3).is_err());
        assert_eq!(read_small(&path, 4).expect("fits").as_deref(), Some(&b"1234"[..]));
    }

    #[test]
    fn a_bare_name_is_a_file_of_the_current_folder() {
        // As git names the files of a merge driver. A fresh name, since tests share the folder.
        let staged = stage(Path::new("."), Shared::Yes).expect("stages").into_temp_path();
        let name = Path::new(staged.file_name().expect("a name"));
        write_atomic(name, b"merged", Shared::Yes).expect("writes");
        assert_eq!(read_small(&staged, 10).expect("reads").as_deref(), Some(&b"merged"[..]));
    }

    #[test]
    fn folders_that_got_an_entry_are_named_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let (a, b) = (dir.path().join("a"), dir.path().join("a/b"));
        let changed = create_folders(&b).expect("creates");
        assert_eq!(changed, [dir.path().to_owned(), a.clone()]);
        assert!(b.is_dir());
        assert!(create_folders(&b).expect("there").is_empty());
        assert_eq!(create_folders(&a.join("c")).expect("creates"), [a]);
    }

    #[test]
    fn an_error_names_its_path() {
        let error = std::fs::read("/no/such/file").context("/no/such/file").expect_err("absent");
        assert_eq!(error.to_string(), "Could not find `/no/such/file`");
    }
}
