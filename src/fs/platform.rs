//! What differs by operating system, in one place.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use super::Shared;

#[cfg(unix)]
mod imp {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};

    use super::*;

    pub(super) fn stage_mode(builder: &mut tempfile::Builder<'_, '_>, shared: Shared) {
        if shared == Shared::Yes {
            // Less the umask, as for any file that `open(2)` makes.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
    }

    pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    pub(super) fn is_sealed(metadata: &Metadata) -> bool {
        metadata.mode() & 0o222 == 0
    }

    pub(super) fn seal_inode(path: &Path, inode: u64) -> io::Result<()> {
        let file = open_regular(path)?;
        if file.metadata()?.ino() == inode {
            file.set_permissions(std::fs::Permissions::from_mode(0o444))?;
        }
        Ok(())
    }

    pub(super) fn adopt_group(file: &File, folder: &Metadata) -> io::Result<()> {
        if file.metadata()?.gid() != folder.gid() {
            let group = rustix::fs::Gid::from_raw(folder.gid());
            rustix::fs::fchown(file, None, Some(group))?;
        }
        Ok(())
    }

    pub(super) fn adopt_mode(file: &File, folder: &Metadata) -> io::Result<()> {
        file.set_permissions(std::fs::Permissions::from_mode(folder.mode() & 0o7777))
    }

    pub(super) fn touch(file: &File) -> io::Result<()> {
        // "Now" needs the right to write; any other time only the owner may set.
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let both = rustix::fs::Timestamps { last_access: now, last_modification: now };
        Ok(rustix::fs::futimens(file, &both)?)
    }

    pub(super) fn open_private(path: &Path, may_create: bool) -> io::Result<File> {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create(may_create).mode(0o600).open(path)
    }

    pub(super) fn open_lock(path: &Path) -> io::Result<File> {
        // Whoever shares the folder may have made it.
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o666).open(path)
    }

    pub(super) fn open_regular(path: &Path) -> io::Result<File> {
        let no_follow = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let flags = i32::try_from(no_follow.bits()).expect("open flags are small");
        let opened = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path);
        let file = opened.map_err(|error| match rustix::io::Errno::from_io_error(&error) {
            Some(rustix::io::Errno::LOOP) => super::not_regular(),
            _ => error,
        })?;
        super::check_regular(file)
    }
}

#[cfg(not(unix))]
mod imp {
    use super::*;

    pub(super) fn stage_mode(_: &mut tempfile::Builder<'_, '_>, _: Shared) {}

    pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn free_bytes(_: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    pub(super) fn is_sealed(metadata: &Metadata) -> bool {
        metadata.permissions().readonly()
    }

    pub(super) fn seal_inode(path: &Path, _: u64) -> io::Result<()> {
        let mut permissions = std::fs::metadata(path)?.permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(path, permissions)
    }

    pub(super) fn adopt_group(_: &File, _: &Metadata) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn adopt_mode(_: &File, _: &Metadata) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn touch(file: &File) -> io::Result<()> {
        #[expect(clippy::disallowed_methods, reason = "the new date of a file")]
        file.set_modified(std::time::SystemTime::now())
    }

    pub(super) fn open_private(path: &Path, may_create: bool) -> io::Result<File> {
        std::fs::OpenOptions::new().read(true).write(true).create(may_create).open(path)
    }

    pub(super) fn open_lock(path: &Path) -> io::Result<File> {
        std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
    }

    pub(super) fn open_regular(path: &Path) -> io::Result<File> {
        if std::fs::symlink_metadata(path)?.is_file() {
            super::check_regular(File::open(path)?)
        } else {
            Err(super::not_regular())
        }
    }
}

fn not_regular() -> io::Error {
    io::Error::other("it is no regular file")
}

fn check_regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

/// Sets the mode that staged files get.
pub(super) fn stage_mode(builder: &mut tempfile::Builder<'_, '_>, shared: Shared) {
    imp::stage_mode(builder, shared);
}

/// Syncs the entries of a folder, where the system can.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    imp::sync_folder(folder)
}

/// Returns true if a file lies on a disk of this machine, on a file system that is known.
///
/// Network file systems and FUSE are not: each request waits for somebody else there, and their
/// syncfs may return before the other side has the data on disk.
#[cfg(target_os = "linux")]
fn is_local(file: &File) -> io::Result<bool> {
    // Magic numbers from Linux' include/uapi/linux/magic.h.
    const KNOWN: [rustix::fs::FsWord; 6] = [
        0xEF53,                                // ext2, ext3, ext4
        0x5846_5342,                           // xfs
        0x9123_683E_u32 as rustix::fs::FsWord, // btrfs
        0xF2F5_2010_u32 as rustix::fs::FsWord, // f2fs
        0x794C_7630,                           // overlayfs
        0x0102_1994,                           // tmpfs: nothing to flush
    ];
    Ok(KNOWN.contains(&rustix::fs::fstatfs(file)?.f_type))
}

/// Returns true if a folder is known to lie on a disk of this machine.
#[cfg(target_os = "linux")]
pub fn is_local_folder(folder: &Path) -> bool {
    File::open(folder).and_then(|folder| is_local(&folder)).unwrap_or(false)
}

/// Returns true if a folder is known to lie on a disk of this machine.
#[cfg(not(target_os = "linux"))]
pub fn is_local_folder(_: &Path) -> bool {
    false
}

/// Flushes the whole file system that holds an open file, and returns true; false if it is not known to
/// do so, or not to tell of everything that could not be written since the file was opened.
#[cfg(target_os = "linux")]
pub(super) fn sync_file_system(file: &File) -> io::Result<bool> {
    if !(tells_write_errors() && is_local(file)?) {
        return Ok(false);
    }
    rustix::fs::syncfs(file)?;
    Ok(true)
}

/// Flushes nothing.
#[cfg(not(target_os = "linux"))]
pub(super) fn sync_file_system(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// Returns true if syncfs(2) tells of data that could not be written: since Linux 5.8 (its commit
/// 735e4ae5ba28), as the manual page says.
#[cfg(target_os = "linux")]
fn tells_write_errors() -> bool {
    static TELLS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *TELLS.get_or_init(|| {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        linux_version(&release).is_some_and(|version| version >= (5, 8))
    })
}

/// Parses the beginning of a release such as `5.15.0-91-generic`.
#[cfg(target_os = "linux")]
fn linux_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Returns how many bytes, of anybody and for any disk, wait to be written; `None` if that is not known.
#[cfg(target_os = "linux")]
pub(super) fn unwritten_bytes() -> Option<u64> {
    unwritten_of(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// Returns how many bytes, of anybody and for any disk, wait to be written; `None` if that is not known.
#[cfg(not(target_os = "linux"))]
pub(super) fn unwritten_bytes() -> Option<u64> {
    None
}

/// Sums up what `/proc/meminfo` says of it, as proc_meminfo(5) has it: in units of 1024 bytes.
#[cfg(target_os = "linux")]
fn unwritten_of(meminfo: &str) -> Option<u64> {
    let value = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    };
    value("Dirty:")?.checked_add(value("Writeback:")?)
}

/// Returns how many bytes the user may still write on the file system of `path`.
///
/// # Errors
/// If the path does not exist.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    imp::free_bytes(path)
}

/// Returns true if nobody may write to the file, which is how the store marks what is on disk for good.
pub fn is_sealed(metadata: &Metadata) -> bool {
    imp::is_sealed(metadata)
}

/// Takes away everybody's right to write to the file, if it still is the one with this [`inode`].
///
/// # Errors
/// If the mode cannot be changed.
pub fn seal_inode(path: &Path, inode: u64) -> io::Result<()> {
    imp::seal_inode(path, inode)
}

/// Gives an open file the group of a shared folder, unless it has it already.
///
/// # Errors
/// If the user is not in that group; a folder with the setgid bit needs no such right.
pub fn adopt_group(file: &File, folder: &Metadata) -> io::Result<()> {
    imp::adopt_group(file, folder)
}

/// Creates a folder that whoever may use the folder `above` may use too; one that is there is left alone.
///
/// # Errors
/// If it cannot be created. Group and mode are copied where the system lets the user.
pub fn create_shared_folder(path: &Path, above: &Metadata) -> io::Result<()> {
    match std::fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    }
    // The folder exists, which is all that its creator needs; others may have to make their own.
    if let Ok(file) = File::open(path) {
        drop(imp::adopt_group(&file, above));
        drop(imp::adopt_mode(&file, above));
    }
    Ok(())
}

/// Sets the dates of an open file to now.
///
/// # Errors
/// If the user may not write to the file.
pub fn touch(file: &File) -> io::Result<()> {
    imp::touch(file)
}

/// Opens a regular file for reading; a symbolic link, pipe or device is an error and never waited for.
///
/// # Errors
/// If the file cannot be opened or is no regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    imp::open_regular(path)
}

/// Opens the file that a lock is taken on, creating it for whoever may use the folder.
///
/// # Errors
/// If it cannot be opened or created.
pub fn open_lock(path: &Path) -> io::Result<File> {
    imp::open_lock(path)
}

/// Opens a file for reading and writing as it is; one that is created is for the user alone.
pub(super) fn open_private(path: &Path, may_create: bool) -> io::Result<File> {
    imp::open_private(path, may_create)
}

/// Returns a number that tells files on one file system apart; 0 where there is none.
#[cfg(unix)]
pub fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

/// Returns a number that tells files on one file system apart; 0 where there is none.
#[cfg(not(unix))]
pub fn inode(_: &Metadata) -> u64 {
    0
}

/// Returns true if both belong to one user, as far as that can be known.
#[cfg(unix)]
pub fn have_one_owner(one: &Metadata, other: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(one) == std::os::unix::fs::MetadataExt::uid(other)
}

/// Returns true if both belong to one user, as far as that can be known.
#[cfg(not(unix))]
pub fn have_one_owner(_: &Metadata, _: &Metadata) -> bool {
    false
}

/// Returns true if it is a regular file that is known to have no second name.
#[cfg(unix)]
pub fn is_known_by_one_name(metadata: &Metadata) -> bool {
    metadata.is_file() && std::os::unix::fs::MetadataExt::nlink(metadata) == 1
}

/// Returns true if it is a regular file that is known to have no second name.
#[cfg(not(unix))]
pub fn is_known_by_one_name(_: &Metadata) -> bool {
    false
}

/// Returns what tells the file system of a file from others; `None` where nothing does.
#[cfg(unix)]
pub fn device(metadata: &Metadata) -> Option<u64> {
    Some(std::os::unix::fs::MetadataExt::dev(metadata))
}

/// Returns what tells the file system of a file from others; `None` where nothing does.
#[cfg(not(unix))]
pub fn device(_: &Metadata) -> Option<u64> {
    None
}

/// Returns true if both folders are known to be on one file system, so that a rename between them works.
pub fn same_file_system(one: &Path, other: &Path) -> bool {
    let device = |path: &Path| device(&std::fs::metadata(path).ok()?);
    device(one).is_some_and(|one| device(other) == Some(one))
}

/// Returns true if the owner may execute the file, which is what git keeps of its mode.
#[cfg(unix)]
pub fn is_executable(metadata: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o100 != 0
}

/// Returns false: there is no executable bit.
#[cfg(not(unix))]
pub fn is_executable(_: &Metadata) -> bool {
    false
}

/// Tries to let a file share the blocks of another one; false if the file system cannot.
#[cfg(all(target_os = "linux", not(any(target_arch = "sparc", target_arch = "sparc64"))))]
pub fn shares_blocks(source: &File, target: &File) -> bool {
    rustix::fs::ioctl_ficlone(target, source).is_ok()
}

/// Returns false: it is not known how to ask.
#[cfg(not(all(target_os = "linux", not(any(target_arch = "sparc", target_arch = "sparc64")))))]
pub fn shares_blocks(_: &File, _: &File) -> bool {
    false
}

/// Makes `target` executable by whom `model` is executable, where its own mode lets them read.
///
/// # Errors
/// If the mode cannot be changed.
#[cfg(unix)]
pub fn copy_executable(model: &Metadata, target: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let mode = target.metadata()?.mode();
    let executable = mode | (model.mode() & 0o111);
    if executable == mode {
        return Ok(());
    }
    target.set_permissions(std::fs::Permissions::from_mode(executable & 0o777))
}

/// Does nothing: there is no executable bit.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub fn copy_executable(_: &Metadata, _: &File) -> io::Result<()> {
    Ok(())
}

/// Returns the standard streams without the buffers that the standard library puts before them.
///
/// # Errors
/// If they are closed.
#[cfg(unix)]
pub fn raw_streams() -> io::Result<(File, File)> {
    use std::os::fd::AsFd as _;
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    Ok((File::from(input), File::from(output)))
}

/// Returns the standard streams without the buffers that the standard library puts before them.
///
/// # Errors
/// If they are closed.
#[cfg(windows)]
pub fn raw_streams() -> io::Result<(File, File)> {
    use std::os::windows::io::AsHandle as _;
    let input = io::stdin().as_handle().try_clone_to_owned()?;
    let output = io::stdout().as_handle().try_clone_to_owned()?;
    Ok((File::from(input), File::from(output)))
}

/// Returns how many columns the terminal that stderr is has, if it is one and says so.
#[cfg(unix)]
pub fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Returns how many columns the terminal that stderr is has, if it is one and says so.
#[cfg(not(unix))]
pub fn terminal_width() -> Option<usize> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_says_its_version() {
        assert_eq!(linux_version("5.15.0-91-generic\n"), Some((5, 15)));
        assert_eq!(linux_version("6.1-rc3"), Some((6, 1)));
        assert_eq!(linux_version("4.18.0"), Some((4, 18)));
        assert_eq!((linux_version(""), linux_version("newest")), (None, None));
    }

    #[test]
    fn what_waits_to_be_written_is_dirty_or_under_way() {
        let text = "MemFree:   9 kB\nDirty:     12 kB\nWriteback:     4 kB\nWritebackTmp: 7 kB\n";
        assert_eq!(unwritten_of(text), Some(16 << 10));
        assert_eq!(unwritten_of("Dirty: 12 kB\n"), None);
        assert!(unwritten_bytes().is_some());
    }
}
