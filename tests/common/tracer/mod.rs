//! Watching what git-lake asks of the kernel during a command, and striking at any one moment of it.
//!
//! The command is traced with ptrace(2). Calls of git-lake's processes that change files below a folder,
//! or that speak to somebody, are *steps*; calls of other programs, git among them, are not looked at.
//! Nothing in the product knows of this, so there is no step that somebody forgot to name.

mod calls;
mod power;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{Repo, in_time};
use calls::Call;
pub(crate) use calls::Step;
pub(crate) use power::Disk;

/// Longest time that a command may take; it is killed then, and the test fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// What happens at one step, or from it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Nothing.
    Watch,
    /// The process of git-lake is killed before the step.
    Kill,
    /// It is killed when half of the bytes of a write are written.
    KillHalfway,
    /// All processes of the command are killed before the step.
    KillAll,
    /// The step fails.
    FailOnce(Errno),
    /// The step and all later ones of its kind fail.
    FailOn(Errno),
}

/// How a command ended that was watched.
pub(crate) struct Watched {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
    /// All steps, as far as the command went.
    pub(crate) steps: Vec<Step>,
    /// What the deed struck.
    pub(crate) struck: Option<Step>,
    /// What is durable of all that was written.
    pub(crate) disk: Disk,
}

/// Runs a command below a folder to its end, and does a deed at the step of that number, from 1.
pub(crate) fn watch(repo: &Repo, command: &[&str], root: &Path, deed: Deed, nth: u64) -> Watched {
    let output = tempfile::NamedTempFile::new().unwrap();
    // The shell waits until it is traced, so that nothing is missed.
    let mut traced = repo.command("sh");
    traced.args(["-c", "read _ && exec \"$@\" </dev/null", "sh"]).args(command);
    traced.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(output.reopen().unwrap());
    #[expect(clippy::zombie_processes, reason = "the tracer waits for it, with all others")]
    let mut child = traced.process_group(0).spawn().unwrap();
    let leader = Pid::from_raw(child.id().try_into().unwrap());
    let options = Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(leader, options).unwrap();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let disk = Disk::new(root);
    let (root, tasks, steps) = (root.to_owned(), BTreeMap::new(), Vec::new());
    let mut tracer = Tracer { root, leader, deed, nth, count: 0, steps, struck: None, tasks, disk };
    let give_up = move || _ = killpg(leader, Signal::SIGKILL);
    let (status, is_late) = in_time(PATIENCE, give_up, || tracer.run());
    assert!(!is_late, "{command:?} hangs, {deed:?} at {nth}");
    Watched {
        code: status.code(),
        stderr: fs::read_to_string(output.path()).unwrap(),
        steps: tracer.steps,
        struck: tracer.struck,
        disk: tracer.disk,
    }
}

/// A thread that is traced.
#[derive(Default)]
struct Task {
    is_git_lake: bool,
    /// The call that the kernel is at, and what came of the deed.
    call: Option<(Option<Step>, Outcome)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    AsAsked,
    Fails(Errno),
    DiesAfter,
}

struct Tracer {
    root: PathBuf,
    leader: Pid,
    deed: Deed,
    nth: u64,
    /// How many steps there were that the deed can strike.
    count: u64,
    steps: Vec<Step>,
    struck: Option<Step>,
    tasks: BTreeMap<i32, Task>,
    disk: Disk,
}

impl Tracer {
    /// Lets the processes go on until all have ended, and returns how the first one ended.
    fn run(&mut self) -> ExitStatus {
        let mut status = ExitStatus::from_raw(0);
        // Children of other threads are other tests' own.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            match waitpid(None, Some(flags)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.leader => {
                    status = ExitStatus::from_raw(code << 8);
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.leader => {
                    status = ExitStatus::from_raw(signal as i32);
                }
                Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) => {
                    self.tasks.remove(&pid.as_raw());
                }
                Ok(WaitStatus::PtraceSyscall(pid)) => {
                    self.at_call(pid);
                    self.resume(pid, None);
                }
                Ok(WaitStatus::PtraceEvent(pid, ..)) => {
                    // New threads and new programs are seen here first.
                    let task = self.tasks.entry(pid.as_raw()).or_default();
                    let program = fs::read_link(format!("/proc/{pid}/exe"));
                    task.is_git_lake = program.is_ok_and(|path| path.ends_with("git-lake"));
                    self.resume(pid, None);
                }
                Ok(WaitStatus::Stopped(pid, signal)) => self.resume(pid, Some(signal)),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::ECHILD) => return status,
                Err(error) => panic!("waiting for the command: {error}"),
            }
        }
    }

    /// A process that was killed meanwhile cannot go on.
    fn resume(&self, pid: Pid, signal: Option<Signal>) {
        let is_git_lake = self.tasks.get(&pid.as_raw()).is_some_and(|task| task.is_git_lake);
        let resumed =
            if is_git_lake { ptrace::syscall(pid, signal) } else { ptrace::cont(pid, signal) };
        resumed.ok();
    }

    /// A thread of git-lake is about to call the kernel, or returns from there.
    fn at_call(&mut self, pid: Pid) {
        let Ok(mut registers) = ptrace::getregs(pid) else { return };
        let task = self.tasks.entry(pid.as_raw()).or_default();
        // On the way in the kernel has put this there; on the way back it is so only where a call was spoilt.
        let is_on_the_way_in = registers.rax.cast_signed() == -i64::from(Errno::ENOSYS as i32);
        let call = task
            .call
            .take()
            .filter(|(_, outcome)| !is_on_the_way_in || matches!(outcome, Outcome::Fails(_)));
        if call.is_none() && !is_on_the_way_in {
            // It was begun before the thread was known.
            return;
        }
        let Some((step, outcome)) = call else {
            let step = Call::new(pid, &registers).step(&self.root);
            let outcome = step.as_ref().map_or(Outcome::AsAsked, |step| self.deed_at(pid, step));
            match outcome {
                // No call has this number, so nothing is done.
                Outcome::Fails(_) => registers.orig_rax = u64::MAX,
                Outcome::DiesAfter => registers.rdx /= 2,
                Outcome::AsAsked => {
                    if let Some(step) = &step {
                        self.disk.before(step);
                    }
                }
            }
            if outcome != Outcome::AsAsked {
                ptrace::setregs(pid, registers).ok();
            }
            self.tasks.entry(pid.as_raw()).or_default().call = Some((step, outcome));
            return;
        };
        match outcome {
            Outcome::Fails(errno) => {
                registers.rax = (-i64::from(errno as i32)).cast_unsigned();
                ptrace::setregs(pid, registers).ok();
            }
            Outcome::DiesAfter => self.kill_one(pid),
            Outcome::AsAsked => {}
        }
        if let Some(step) = step.filter(|_| registers.rax.cast_signed() >= 0) {
            self.disk.after(&step);
        }
    }

    fn deed_at(&mut self, pid: Pid, step: &Step) -> Outcome {
        self.steps.push(step.clone());
        if !self.deed.can_strike(step) {
            return Outcome::AsAsked;
        }
        self.count += 1;
        let is_lasting = matches!(self.deed, Deed::FailOn(_));
        if self.count != self.nth && !(is_lasting && self.count > self.nth) {
            return Outcome::AsAsked;
        }
        self.struck.get_or_insert_with(|| step.clone());
        match self.deed {
            Deed::Watch => return Outcome::AsAsked,
            Deed::Kill => self.kill_one(pid),
            Deed::KillHalfway => return Outcome::DiesAfter,
            Deed::KillAll => {
                killpg(self.leader, Signal::SIGKILL).ok();
            }
            Deed::FailOnce(errno) | Deed::FailOn(errno) => return Outcome::Fails(errno),
        }
        Outcome::AsAsked
    }

    fn kill_one(&self, task: Pid) {
        nix::sys::signal::kill(process_of(task), Signal::SIGKILL).ok();
    }
}

impl Deed {
    /// Returns at how many of the steps this could be done.
    pub(crate) fn count(self, steps: &[Step]) -> u64 {
        steps.iter().filter(|step| self.can_strike(step)).count() as u64
    }

    /// Returns true if the deed makes sense at a step.
    fn can_strike(self, step: &Step) -> bool {
        match self {
            Self::Watch | Self::Kill | Self::KillAll => {
                !matches!(step, Step::Open(_) | Step::Read(_))
            }
            Self::KillHalfway => matches!(step, Step::Write(_)),
            Self::FailOnce(errno) | Self::FailOn(errno) => step.can_fail_with(errno),
        }
    }
}

/// Returns the process that a thread belongs to.
fn process_of(task: Pid) -> Pid {
    let status = fs::read_to_string(format!("/proc/{task}/status")).unwrap_or_default();
    let id = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    id.and_then(|id| id.trim().parse().ok()).map_or(task, Pid::from_raw)
}

/// Reads a text that ends with a zero byte from the memory of a process.
fn text_at(pid: Pid, address: u64) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    use std::os::unix::fs::FileExt as _;
    /// What lies behind the end of a page may not be there.
    const PAGE: u64 = 4096;

    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let (mut text, mut at) = (Vec::new(), address);
    while text.len() < PAGE as usize {
        let mut page = vec![0; usize::try_from(PAGE - at % PAGE).ok()?];
        let count = memory.read_at(&mut page, at).ok().filter(|count| *count > 0)?;
        if let Some(end) = page[..count].iter().position(|byte| *byte == 0) {
            text.extend_from_slice(&page[..end]);
            return Some(PathBuf::from(std::ffi::OsString::from_vec(text)));
        }
        text.extend_from_slice(&page[..count]);
        at += count as u64;
    }
    None
}

/// Returns true if this machine lets its users trace their own processes.
pub(crate) fn is_possible() -> bool {
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let is_traced =
        ptrace::seize(Pid::from_raw(child.id().cast_signed()), Options::empty()).is_ok();
    child.kill().unwrap();
    child.wait().unwrap();
    is_traced
}
