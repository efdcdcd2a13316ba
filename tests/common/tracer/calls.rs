//! Which calls of the kernel change something.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc::{self, user_regs_struct};
use nix::unistd::Pid;

use super::text_at;

/// What a process is about to do, with the files that it does it to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Opens a file that is there, or a folder.
    Open(PathBuf),
    /// Opens a file and makes it if it is not there.
    Create(PathBuf),
    Read(PathBuf),
    Write(PathBuf),
    Rename(PathBuf, PathBuf),
    Exchange(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    Remove(PathBuf),
    MakeFolder(PathBuf),
    /// Makes the bytes of a file, or the names in a folder, durable.
    Sync(PathBuf),
    /// The same for a whole file system.
    SyncAll,
    /// Changes the mode, the owner or the dates of a file.
    Mark(PathBuf),
    /// Speaks to another process of this machine.
    Tell,
    /// Speaks to a server.
    Send,
}

impl Step {
    /// Returns true if kernels answer such a step with such an error.
    pub(super) fn can_fail_with(&self, errno: Errno) -> bool {
        let makes_names = matches!(
            self,
            Self::Create(_) | Self::Rename(..) | Self::Link(..) | Self::MakeFolder(_)
        );
        match errno {
            Errno::ENOSPC | Errno::EDQUOT => makes_names || matches!(self, Self::Write(_)),
            Errno::EROFS => {
                makes_names || matches!(self, Self::Remove(_) | Self::Mark(_) | Self::Exchange(..))
            }
            Errno::EMFILE => matches!(self, Self::Open(_) | Self::Create(_)),
            _ => !matches!(self, Self::Tell | Self::Send),
        }
    }
}

/// A call of the kernel by one thread.
pub(super) struct Call<'a> {
    pid: Pid,
    registers: &'a user_regs_struct,
}

impl<'a> Call<'a> {
    pub(super) fn new(pid: Pid, registers: &'a user_regs_struct) -> Self {
        Self { pid, registers }
    }

    /// Returns what the call is to change below a folder.
    pub(super) fn step(&self, root: &Path) -> Option<Step> {
        let it = self.registers;
        let number = it.orig_rax.cast_signed();
        let step = match number {
            libc::SYS_write | libc::SYS_writev | libc::SYS_pwrite64 | libc::SYS_pwritev => {
                return self.write(it.rdi, root);
            }
            libc::SYS_sendto | libc::SYS_sendmsg => return self.write(it.rdi, root),
            libc::SYS_copy_file_range => Step::Write(self.file(it.rdx)?),
            libc::SYS_sendfile => Step::Write(self.file(it.rdi)?),
            libc::SYS_ftruncate | libc::SYS_fallocate => Step::Write(self.file(it.rdi)?),
            libc::SYS_read | libc::SYS_pread64 => Step::Read(self.file(it.rdi)?),
            libc::SYS_fsync | libc::SYS_fdatasync => Step::Sync(self.file(it.rdi)?),
            libc::SYS_syncfs => return Some(Step::SyncAll),
            libc::SYS_fchmod | libc::SYS_fchown => Step::Mark(self.file(it.rdi)?),
            libc::SYS_chmod => Step::Mark(self.path(libc::AT_FDCWD as u64, it.rdi)?),
            libc::SYS_fchmodat => Step::Mark(self.path(it.rdi, it.rsi)?),
            // Without a path it is the open file.
            libc::SYS_utimensat if it.rsi == 0 => Step::Mark(self.file(it.rdi)?),
            libc::SYS_utimensat => Step::Mark(self.path(it.rdi, it.rsi)?),
            libc::SYS_open => self.open(self.path(libc::AT_FDCWD as u64, it.rdi)?, it.rsi),
            libc::SYS_openat => self.open(self.path(it.rdi, it.rsi)?, it.rdx),
            // Files of the work tree are read so, and none is made.
            libc::SYS_openat2 => Step::Open(self.path(it.rdi, it.rsi)?),
            libc::SYS_rename => {
                let here = libc::AT_FDCWD as u64;
                Step::Rename(self.path(here, it.rdi)?, self.path(here, it.rsi)?)
            }
            libc::SYS_renameat => {
                Step::Rename(self.path(it.rdi, it.rsi)?, self.path(it.rdx, it.r10)?)
            }
            libc::SYS_renameat2 => {
                let (from, to) = (self.path(it.rdi, it.rsi)?, self.path(it.rdx, it.r10)?);
                let is_exchange = it.r8 & u64::from(libc::RENAME_EXCHANGE) != 0;
                if is_exchange { Step::Exchange(from, to) } else { Step::Rename(from, to) }
            }
            libc::SYS_link => {
                let here = libc::AT_FDCWD as u64;
                Step::Link(self.path(here, it.rdi)?, self.path(here, it.rsi)?)
            }
            libc::SYS_linkat => Step::Link(self.path(it.rdi, it.rsi)?, self.path(it.rdx, it.r10)?),
            libc::SYS_unlink | libc::SYS_rmdir => {
                Step::Remove(self.path(libc::AT_FDCWD as u64, it.rdi)?)
            }
            libc::SYS_unlinkat => Step::Remove(self.path(it.rdi, it.rsi)?),
            libc::SYS_mkdir => Step::MakeFolder(self.path(libc::AT_FDCWD as u64, it.rdi)?),
            libc::SYS_mkdirat => Step::MakeFolder(self.path(it.rdi, it.rsi)?),
            _ => return None,
        };
        Some(step).filter(|step| step.path().is_some_and(|path| path.starts_with(root)))
    }

    fn open(&self, path: PathBuf, flags: u64) -> Step {
        if flags & libc::O_CREAT as u64 != 0 { Step::Create(path) } else { Step::Open(path) }
    }

    /// A write to a file below the folder, to another process, or to a server.
    fn write(&self, descriptor: u64, root: &Path) -> Option<Step> {
        let file = self.file(descriptor)?;
        let name = file.to_str().unwrap_or("/");
        if name.starts_with("pipe:") {
            return Some(Step::Tell);
        }
        if name.starts_with("socket:") {
            return Some(Step::Send);
        }
        file.starts_with(root).then_some(Step::Write(file))
    }

    /// Returns what a descriptor stands for.
    fn file(&self, descriptor: u64) -> Option<PathBuf> {
        let descriptor = i32::try_from(descriptor).ok()?;
        fs::read_link(format!("/proc/{}/fd/{descriptor}", self.pid)).ok()
    }

    /// Returns the path at an address, from the folder of a descriptor on.
    fn path(&self, folder: u64, address: u64) -> Option<PathBuf> {
        let path = text_at(self.pid, address)?;
        if path.is_absolute() {
            return Some(path);
        }
        // The upper half of the register says nothing.
        #[expect(clippy::cast_possible_truncation, reason = "a descriptor is an int")]
        let folder = folder as i32;
        let link = match folder {
            libc::AT_FDCWD => format!("/proc/{}/cwd", self.pid),
            _ => format!("/proc/{}/fd/{folder}", self.pid),
        };
        Some(fs::read_link(link).ok()?.join(path))
    }
}

impl Step {
    /// Returns the path that is changed, of two the new one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Open(path)
            | Self::Create(path)
            | Self::Read(path)
            | Self::Write(path)
            | Self::Remove(path)
            | Self::MakeFolder(path)
            | Self::Sync(path)
            | Self::Mark(path)
            | Self::Rename(_, path)
            | Self::Exchange(_, path)
            | Self::Link(_, path) => Some(path),
            Self::SyncAll | Self::Tell | Self::Send => None,
        }
    }
}
