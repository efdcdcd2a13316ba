//! Starting git, for what is better left to it. The only place that starts it.
//!
//! The program is found on `PATH` once and started by its absolute path: never one that lies in the
//! current folder, which may be a work tree that somebody else wrote. Nor does git find one there, which
//! starts filters by their names whenever it compares files. Commands that refresh the index
//! would start filters from inside a filter; callers must use plumbing that does not.

use std::ffi::{OsStr, OsString};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Environment, Repo};

/// How much of what git complains about is kept, and of what it says when little is expected.
const MAX_STDERR_BYTES: u64 = 64 * 1024;

/// Says why git did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No folder on `PATH` has a program named git.
    #[error("Could not find git on PATH")]
    NoGit,
    /// The program could not be started, or the pipes to it broke.
    #[error("Could not run `git {command}`")]
    Run {
        /// The arguments.
        command: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Git ended with an error.
    #[error("`git {command}` ended with {}: {}", status(*code), .stderr.trim_end())]
    Failed {
        /// The arguments.
        command: String,
        /// The exit code; `None` if a signal ended it.
        code: Option<i32>,
        /// What it wrote to stderr.
        stderr: String,
    },
    /// Git did not end in time, and was stopped.
    #[error("`git {command}` did not end within {} s", .limit.as_secs())]
    TimedOut {
        /// The arguments.
        command: String,
        /// The time that it had.
        limit: Duration,
    },
}

fn status(code: Option<i32>) -> String {
    code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"))
}

/// What a finished git has written.
#[derive(Debug)]
pub struct Output {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error, at most 64 KiB.
    pub stderr: String,
}

/// The git program, to be run in one folder.
#[derive(Debug, Clone)]
pub struct Git {
    program: PathBuf,
    folder: PathBuf,
    /// `PATH` without its relative folders, if it has some.
    search_path: Option<OsString>,
    variables: Vec<(OsString, Option<OsString>)>,
    #[cfg(test)]
    is_hermetic: bool,
}

impl Git {
    /// Finds git, to be run in `folder` with the environment as it is.
    ///
    /// # Errors
    /// [`Error::NoGit`].
    pub fn find(environment: &Environment, folder: &Path) -> Result<Self, Error> {
        let search_path = environment.search_path.as_deref().unwrap_or_default();
        let program = find_on(search_path, "git").ok_or(Error::NoGit)?;
        Ok(Self {
            program,
            folder: folder.to_owned(),
            search_path: without_relative_folders(search_path),
            // Nothing here may write the index as a side effect.
            variables: vec![("GIT_OPTIONAL_LOCKS".into(), Some("0".into()))],
            #[cfg(test)]
            is_hermetic: false,
        })
    }

    /// Finds git, to be run on this very repository, whatever the current folder is.
    ///
    /// # Errors
    /// [`Error::NoGit`].
    pub fn of(repo: &Repo) -> Result<Self, Error> {
        let top = repo.work_tree().unwrap_or(repo.git_dir());
        Ok(Self::find(&Environment::read(), top)?.with_variables(variables_of(repo)))
    }

    /// Returns git as it runs with more variables; `None` takes one away.
    #[must_use]
    pub(super) fn with_variables(
        mut self,
        variables: impl IntoIterator<Item = (OsString, Option<OsString>)>,
    ) -> Self {
        self.variables.extend(variables);
        self
    }

    /// Returns git as it runs for somebody else: without any `GIT_…` variable that steers this
    /// process, and with `variables` instead. The filter and hooks that it starts inherit the same.
    #[must_use]
    pub fn isolated(mut self, variables: &[(&str, OsString)]) -> Self {
        self.variables = Environment::steering().into_iter().map(|name| (name, None)).collect();
        let given = variables.iter().map(|(name, value)| ((*name).into(), Some(value.clone())));
        self.variables.extend(given);
        self
    }

    /// Returns any program as it runs in tests: nothing of this machine's or user's settings.
    #[cfg(test)]
    pub(super) fn hermetic(program: Option<PathBuf>, folder: &Path, home: &Path) -> Self {
        let mut git = Self::find(&Environment::read(), folder).expect("git is installed");
        let path = Environment::read().search_path;
        git.program = program.unwrap_or(git.program);
        git.is_hermetic = true;
        let variables = [
            ("PATH", path),
            ("HOME", Some(home.into())),
            ("GIT_CONFIG_NOSYSTEM", Some("1".into())),
            ("GIT_AUTHOR_NAME", Some("A".into())),
            ("GIT_AUTHOR_EMAIL", Some("a@example.org".into())),
            ("GIT_AUTHOR_DATE", Some("2020-01-01T00:00:00Z".into())),
            ("GIT_COMMITTER_NAME", Some("A".into())),
            ("GIT_COMMITTER_EMAIL", Some("a@example.org".into())),
            ("GIT_COMMITTER_DATE", Some("2020-01-01T00:00:00Z".into())),
        ];
        git.variables = variables.map(|(name, value)| (name.into(), value)).into();
        git
    }

    /// Sets a variable for all that runs from now on.
    #[cfg(test)]
    pub(super) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), Some(value.into())));
        self
    }

    /// Runs git to its end with `stdin` as its input.
    ///
    /// # Errors
    /// [`Error::Failed`] if it ends with another exit code than 0.
    pub fn run<A: AsRef<OsStr>>(&self, args: &[A], stdin: &[u8]) -> Result<Output, Error> {
        self.feed(args, |to_git| to_git.write_all(stdin))
    }

    /// Runs git to its end with what `write` writes as its input, which nobody has to hold as a whole.
    ///
    /// # Errors
    /// [`Error::Failed`] if it ends with another exit code than 0.
    pub fn feed<A: AsRef<OsStr>>(
        &self,
        args: &[A],
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<Output, Error> {
        let (mut stream, to_git) = self.begin(args)?;
        let (mut stdout, command) = (Vec::new(), stream.command.clone());
        let read = std::thread::scope(|scope| {
            let reading = scope.spawn(|| stream.read_to_end(&mut stdout));
            let mut to_git = BufWriter::with_capacity(64 * 1024, to_git);
            // Git may end without reading all of it; its exit code tells whether that is bad.
            drop(write(&mut to_git).and_then(|()| to_git.flush()));
            // What is left after an error is for nobody.
            drop(to_git.into_parts());
            reading.join().expect("reading from git does not panic")
        });
        let stderr = stream.finish()?;
        read.map_err(|source| Error::Run { command, source })?;
        Ok(Output { stdout, stderr })
    }

    /// Starts git with `stdin` as its input and lets the caller read its output as it comes.
    ///
    /// # Errors
    /// If it cannot be started; whether it succeeds is told by [`Stream::finish`].
    pub fn stream<A: AsRef<OsStr>>(&self, args: &[A], stdin: Vec<u8>) -> Result<Stream, Error> {
        let (mut stream, mut to_git) = self.begin(args)?;
        stream.writer = Some(std::thread::spawn(move || {
            // Git may end without reading all of it; its exit code tells whether that is bad.
            drop(to_git.write_all(&stdin));
        }));
        Ok(stream)
    }

    /// Starts git. Its three pipes are to be served at once, so that none can fill up and stop it.
    fn begin<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<(Stream, ChildStdin), Error> {
        let (mut child, command) = self.spawn(args, Stdio::piped())?;
        let to_git = child.stdin.take().expect("stdin is piped");
        let from_git = child.stdout.take().expect("stdout is piped");
        let complaints = child.stderr.take().expect("stderr is piped");
        let reader = std::thread::spawn(move || {
            let mut kept = Vec::new();
            let mut complaints = complaints;
            // What cannot be read of a complaint is not shown.
            drop((&mut complaints).take(MAX_STDERR_BYTES).read_to_end(&mut kept));
            drop(std::io::copy(&mut complaints, &mut std::io::sink()));
            String::from_utf8_lossy(&kept).into_owned()
        });
        let stdout = Some(BufReader::with_capacity(64 * 1024, from_git));
        let stream = Stream { child, stdout, writer: None, reader: Some(reader), command };
        Ok((stream, to_git))
    }

    fn spawn<A: AsRef<OsStr>>(&self, args: &[A], stderr: Stdio) -> Result<(Child, String), Error> {
        let shown: Vec<_> = args.iter().map(|arg| arg.as_ref().to_string_lossy()).collect();
        let command = shown.join(" ");
        #[expect(clippy::disallowed_methods, reason = "the one place that starts git")]
        let mut builder = Command::new(&self.program);
        builder.args(args).current_dir(&self.folder);
        #[cfg(test)]
        if self.is_hermetic {
            builder.env_clear();
        }
        if let Some(search_path) = &self.search_path {
            builder.env("PATH", search_path);
        }
        for (name, value) in &self.variables {
            match value {
                Some(value) => builder.env(name, value),
                None => builder.env_remove(name),
            };
        }
        builder.stdin(Stdio::piped()).stdout(Stdio::piped());
        match builder.stderr(stderr).spawn() {
            Ok(child) => Ok((child, command)),
            Err(source) => Err(Error::Run { command, source }),
        }
    }

    /// Runs git and returns what it wrote, at most 64 KiB; after `limit` it is stopped. Complaints
    /// are thrown away. A program that git started and that outlives it is not waited for.
    ///
    /// # Errors
    /// [`Error::Failed`] if it ends with another exit code than 0, [`Error::TimedOut`].
    pub(super) fn run_within<A: AsRef<OsStr>>(
        &self,
        args: &[A],
        stdin: Vec<u8>,
        limit: Duration,
    ) -> Result<Vec<u8>, Error> {
        let deadline = Instant::now() + limit;
        let (mut child, command) = self.spawn(args, Stdio::null())?;
        let mut to_git = child.stdin.take().expect("stdin is piped");
        let from_git = child.stdout.take().expect("stdout is piped");
        let (sender, receiver) = mpsc::channel();
        // Neither is joined: whoever inherited the pipes may keep them open for ever.
        std::thread::spawn(move || drop(to_git.write_all(&stdin)));
        std::thread::spawn(move || {
            let mut output = Vec::new();
            drop(from_git.take(MAX_STDERR_BYTES).read_to_end(&mut output));
            drop(sender.send(output));
        });
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() >= deadline => {
                    drop(child.kill());
                    drop(child.wait());
                    return Err(Error::TimedOut { command, limit });
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Err(source) => return Err(Error::Run { command, source }),
            }
        };
        if !status.success() {
            return Err(Error::Failed { command, code: status.code(), stderr: String::new() });
        }
        let left = deadline.saturating_duration_since(Instant::now());
        receiver.recv_timeout(left).map_err(|_| Error::TimedOut { command, limit })
    }
}

/// The variables that make git work on a repository, whatever the current folder is.
pub(super) fn variables_of(repo: &Repo) -> Vec<(OsString, Option<OsString>)> {
    let path = |path: &Path| Some(path.as_os_str().to_owned());
    vec![
        ("GIT_DIR".into(), path(repo.git_dir())),
        ("GIT_WORK_TREE".into(), repo.work_tree().and_then(path)),
        ("GIT_INDEX_FILE".into(), path(repo.index_path())),
        // Known to be the repository's own, and perhaps relative to another folder.
        ("GIT_COMMON_DIR".into(), None),
        ("GIT_PREFIX".into(), None),
    ]
}

/// A running git, whose output is read as it comes; dropped before its end, it is stopped.
#[derive(Debug)]
pub struct Stream {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    writer: Option<JoinHandle<()>>,
    reader: Option<JoinHandle<String>>,
    command: String,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stdout.as_mut().map_or(Ok(0), |stdout| stdout.read(buffer))
    }
}

impl Stream {
    /// Reads up to and without the next `end`; `None` at the end of the output.
    ///
    /// # Errors
    /// If the pipe breaks, or the output ends in the middle of a record.
    pub fn next_record(&mut self, end: u8) -> std::io::Result<Option<Vec<u8>>> {
        use std::io::BufRead as _;
        let Some(stdout) = self.stdout.as_mut() else {
            return Ok(None);
        };
        let mut record = Vec::new();
        stdout.read_until(end, &mut record)?;
        match record.pop() {
            None => Ok(None),
            Some(last) if last == end => Ok(Some(record)),
            Some(_) => Err(std::io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Waits for git to end, and returns what it wrote to stderr.
    ///
    /// # Errors
    /// [`Error::Failed`] if it ended with another exit code than 0.
    pub fn finish(mut self) -> Result<String, Error> {
        // What was not read is not wanted: git must not wait for it.
        drop(self.stdout.take());
        let status = self.child.wait();
        let stderr = self.join();
        let command = std::mem::take(&mut self.command);
        match status {
            Ok(status) if status.success() => Ok(stderr),
            Ok(status) => Err(Error::Failed { command, code: status.code(), stderr }),
            Err(source) => Err(Error::Run { command, source }),
        }
    }

    fn join(&mut self) -> String {
        if let Some(writer) = self.writer.take() {
            writer.join().expect("writing to git does not panic");
        }
        let reader = self.reader.take();
        reader.map_or_else(String::new, |reader| {
            reader.join().expect("reading from git does not panic")
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.reader.is_some() {
            // It is not waited for otherwise, and stays as a zombie until this process ends.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Returns where a program is that git or a hook would start by its name.
pub fn program(environment: &Environment, name: &str) -> Option<PathBuf> {
    find_on(environment.search_path.as_deref().unwrap_or_default(), name)
}

/// Finds a program in the absolute folders of a search path.
fn find_on(search_path: &OsStr, name: &str) -> Option<PathBuf> {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(search_path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(&name))
        .find(|path| is_program(path))
}

/// Returns `None` if there are no relative folders.
fn without_relative_folders(search_path: &OsStr) -> Option<OsString> {
    let folders = || std::env::split_paths(search_path);
    let is_relative = |folder: PathBuf| !folder.is_absolute();
    let absolute = folders().filter(|folder| folder.is_absolute());
    folders().any(is_relative).then(|| std::env::join_paths(absolute).expect("they were joined"))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git() -> Git {
        let folder = std::env::temp_dir();
        Git::find(&Environment::read(), &folder).expect("git is installed")
    }

    #[test]
    fn git_is_not_taken_from_a_relative_folder() {
        assert_eq!(find_on(OsStr::new(":.:bin"), "git"), None);
        assert!(git().program.is_absolute());
        let nowhere = Environment::default();
        let error = Git::find(&nowhere, Path::new("/")).expect_err("no PATH");
        assert_eq!(error.to_string(), "Could not find git on PATH");
    }

    #[test]
    fn a_failure_tells_arguments_code_and_complaint() {
        let error = git().run(&["hash-object", "--nonsense"], b"").expect_err("unknown");
        let Error::Failed { command, code, stderr } = error else {
            panic!("{error}");
        };
        assert_eq!((command.as_str(), code), ("hash-object --nonsense", Some(129)));
        assert!(stderr.contains("nonsense"), "{stderr}");
    }

    #[test]
    fn input_larger_than_a_pipe_does_not_block() {
        let input = vec![b'x'; 4 << 20];
        let output = git().run(&["hash-object", "--stdin"], &input).expect("hashes");
        assert_eq!(output.stdout.len(), 41);
        let lines = b"a\n".repeat(1 << 20);
        let output = git().run(&["stripspace"], &lines).expect("copies");
        assert_eq!(output.stdout, lines);
        // Git ends without reading what it is given.
        git().run(&["version"], &input).expect("succeeds");
    }

    #[test]
    fn an_isolated_git_has_the_given_settings_and_no_others() {
        let dir = tempfile::tempdir().expect("a folder");
        let home = [("HOME", dir.path().into()), ("GIT_CONFIG_NOSYSTEM", "1".into())];
        let git = Git::find(&Environment::read(), dir.path()).expect("git is installed");
        let git = git.with("GIT_CONFIG_COUNT", "nonsense").isolated(&home);
        git.run(&["config", "--global", "demo.key", "value"], b"").expect("writes");
        let listed = git.run(&["config", "--list"], b"").expect("lists").stdout;
        assert_eq!(listed, b"demo.key=value\n");
    }

    #[test]
    fn output_can_be_left_unread() {
        let lines = b"a\n".repeat(1 << 20);
        let mut stream = git().stream(&["stripspace"], lines).expect("starts");
        assert_eq!(stream.next_record(b'\n').expect("reads"), Some(b"a".to_vec()));
        drop(stream);
    }
}
