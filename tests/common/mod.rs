//! Surroundings for tests: a temporary folder with a home, repositories and lakes.

pub(crate) mod canary;
pub(crate) mod dataset;
pub(crate) mod disturbed;
mod lake;
pub(crate) mod orphans;
mod planted;
mod ran;
pub(crate) mod random;
pub(crate) mod s3;
mod stat;
pub(crate) mod stops;
pub(crate) mod terminal;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) mod tracer;
mod trees;
pub(crate) mod truth;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use git_lake::oid::Oid;

pub(crate) use lake::Lake;
pub(crate) use planted::commit_pointers;
pub(crate) use ran::Ran;
pub(crate) use stat::{modified, seconds, set_age, wait_for_next_second};
pub(crate) use trees::{same_trees, tree};

/// Longest time that a test waits for something that another process does.
const PATIENCE: Duration = Duration::from_secs(60);

/// A temporary folder with an empty home; git in it knows nothing of this machine.
pub(crate) struct TestEnv {
    dir: tempfile::TempDir,
    vars: Vec<(OsString, OsString)>,
}

impl TestEnv {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let home = root.join("home");
        fs::create_dir(&home).unwrap();
        let config = "[init]\n\tdefaultBranch = main\n[protocol \"file\"]\n\tallow = always\n\
                      [advice]\n\tdetachedHead = false\n[gc]\n\tauto = 0\n";
        fs::write(home.join(".gitconfig"), config).unwrap();
        let mut vars = vec![
            ("HOME".into(), home.into_os_string()),
            ("PATH".into(), search_path()),
            ("TMPDIR".into(), root.into_os_string()),
        ];
        let fixed = [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("LC_ALL", "C"),
            ("TZ", "UTC"),
            ("GIT_AUTHOR_NAME", "A. Author"),
            ("GIT_AUTHOR_EMAIL", "author@example.com"),
            ("GIT_AUTHOR_DATE", "2024-01-02T03:04:05Z"),
            ("GIT_COMMITTER_NAME", "A. Committer"),
            ("GIT_COMMITTER_EMAIL", "committer@example.com"),
            ("GIT_COMMITTER_DATE", "2024-01-02T03:04:05Z"),
            ("GIT_EDITOR", "true"),
        ];
        vars.extend(fixed.map(|(name, value)| (name.into(), value.into())));
        Self { dir, vars }
    }

    /// Returns a path in the temporary folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    /// A place to run commands in; the folder need not be a repository.
    pub(crate) fn at(&self, name: &str) -> Repo {
        Repo { path: self.path(name), vars: self.vars.clone() }
    }

    /// Makes a repository without git-lake.
    pub(crate) fn repo(&self, name: &str) -> Repo {
        let repo = self.at(name);
        fs::create_dir(&repo.path).unwrap();
        repo.git(["init", "-q"]);
        repo
    }

    /// Makes a folder that is declared a lake.
    pub(crate) fn lake(&self, name: &str) -> Lake {
        let lake = Lake { path: self.path(name) };
        fs::create_dir_all(lake.path.join(".pl")).unwrap();
        fs::write(lake.path.join(".pl/tags.json"), r#"{"__HASH_FN__": "sha256"}"#).unwrap();
        lake
    }

    /// Makes a repository whose `*.bin` go to `<name>-lake`, with a first commit.
    pub(crate) fn tracked(&self, name: &str) -> (Repo, Lake) {
        self.tracked_with(name, &[])
    }

    /// The same, with arguments for `git init`.
    pub(crate) fn tracked_with(&self, name: &str, init: &[&str]) -> (Repo, Lake) {
        let lake = self.lake(&format!("{name}-lake"));
        let repo = self.at(name);
        fs::create_dir(&repo.path).unwrap();
        repo.git(["init", "-q"].iter().chain(init));
        repo.set_up(&[&lake]);
        (repo, lake)
    }

    /// Does what `git lake install` does for this home.
    pub(crate) fn install(&self) {
        self.at(".").git(["lake", "install"]);
    }

    /// Makes a repository as somebody might who means harm: `*.bin` are tracked, and the files were never
    /// looked at.
    pub(crate) fn planted(&self, settings: &str, files: &[(&str, String)]) -> Repo {
        let repo = self.repo("planted");
        repo.write(".gitlake.toml", settings);
        for (path, text) in files {
            repo.write(path, text);
        }
        repo.commit("planted");
        repo.write(".gitattributes", "*.bin filter=lake merge=lake -text\n");
        repo.commit("attributes");
        repo
    }

    /// Makes a bare repository.
    pub(crate) fn bare(&self, name: &str) -> Repo {
        let repo = self.at(name);
        self.at(".").git(["init", "-q", "--bare", name]);
        repo
    }

    /// Clones, as on another machine that has git-lake installed.
    pub(crate) fn clone_of(&self, source: &Repo, name: &str) -> Repo {
        self.clone_with(source, name, &[])
    }

    pub(crate) fn clone_with(&self, source: &Repo, name: &str, options: &[&str]) -> Repo {
        self.install();
        let source = format!("file://{}", source.path.display());
        let args = ["clone", "-q"].iter().chain(options).copied();
        self.at(".").git(args.chain([&*source, name]));
        self.at(name)
    }
}

/// The folder of the built program, then those of this machine that have git and a shell.
fn search_path() -> OsString {
    let built = Path::new(env!("CARGO_BIN_EXE_git-lake")).parent().unwrap().to_owned();
    let outside = std::env::var_os("PATH").unwrap();
    let needed = ["git", "sh", "sed"];
    let folders = std::env::split_paths(&outside)
        .filter(|folder| needed.iter().any(|name| folder.join(name).is_file()));
    std::env::join_paths(std::iter::once(built).chain(folders)).unwrap()
}

/// Says that a test tests nothing on this machine, which lacks a program.
#[expect(clippy::print_stderr, reason = "seen with --nocapture")]
pub(crate) fn not_tested(what_is_missing: &str) {
    eprintln!("not tested: {what_is_missing} is not here");
}

/// A folder to run git in, usually a repository.
#[derive(Clone)]
pub(crate) struct Repo {
    pub(crate) path: PathBuf,
    vars: Vec<(OsString, OsString)>,
}

impl Repo {
    /// The same folder with one more variable in the environment.
    pub(crate) fn with(&self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let mut other = self.clone();
        other.vars.push((name.into(), value.as_ref().into()));
        other
    }

    /// A folder below this one.
    pub(crate) fn below(&self, name: &str) -> Self {
        Self { path: self.path.join(name), vars: self.vars.clone() }
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.path).env_clear().stdin(Stdio::null());
        command.envs(self.vars.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a program to its end.
    pub(crate) fn run<A: AsRef<OsStr>>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Ran {
        Ran::of(self.command(program).args(args).output().unwrap())
    }

    /// Runs a program with bytes on its stdin.
    pub(crate) fn feed(&self, program: &str, args: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().unwrap()
        });
        Ran::of(output)
    }

    /// Runs git, which has to succeed.
    #[track_caller]
    pub(crate) fn git<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let ran = self.run("git", &args);
        assert_eq!(ran.code, Some(0), "git {args:?}: {ran:#?}");
        ran
    }

    /// Runs git, which has to end with a code.
    #[track_caller]
    pub(crate) fn git_fails<A: AsRef<OsStr>>(
        &self,
        code: i32,
        args: impl IntoIterator<Item = A>,
    ) -> Ran {
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let ran = self.run("git", &args);
        assert_eq!(ran.code, Some(code), "git {args:?}: {ran:#?}");
        ran
    }

    /// Starts git and does not wait.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.start_program("git", args)
    }

    /// Starts a program and does not wait; what it prints is lost.
    pub(crate) fn start_program(&self, program: &str, args: &[&str]) -> Child {
        let mut command = self.command(program);
        command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// Names lakes, tracks `*.bin`, commits.
    pub(crate) fn set_up(&self, lakes: &[&Lake]) {
        let urls: Vec<String> = lakes.iter().map(|lake| lake.url()).collect();
        self.git(["lake", "init"].into_iter().chain(urls.iter().map(String::as_str)));
        self.git(["lake", "track", "*.bin"]);
        self.commit("set up");
    }

    /// Makes a remote of the settings one that has to hold all that is pushed.
    pub(crate) fn require(&self, lake: &Lake) {
        let line = format!("url = \"{}\"", lake.url());
        let settings = self.text(".gitlake.toml");
        self.write(".gitlake.toml", settings.replace(&line, &format!("{line}\nrequired = true")));
    }

    /// Adds everything and commits it.
    #[track_caller]
    pub(crate) fn commit(&self, message: &str) -> Ran {
        self.git(["add", "-A"]);
        self.git(["commit", "-q", "-m", message])
    }

    #[track_caller]
    pub(crate) fn write(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let path = self.path.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    #[track_caller]
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path.join(path);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    #[track_caller]
    pub(crate) fn text(&self, path: impl AsRef<Path>) -> String {
        String::from_utf8(self.read(path)).unwrap()
    }

    #[track_caller]
    pub(crate) fn has(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let (path, bytes) = (path.as_ref(), bytes.as_ref());
        let found = self.read(path);
        let start = String::from_utf8_lossy(&found[..found.len().min(200)]).into_owned();
        assert!(
            found == bytes,
            "{}: {} bytes, not {}: {start}",
            path.display(),
            found.len(),
            bytes.len()
        );
    }

    /// Returns true if the file in the work tree is a pointer.
    #[track_caller]
    pub(crate) fn is_pointer(&self, path: impl AsRef<Path>) -> bool {
        self.read(path).starts_with(b"git-lake pointer v1\n")
    }

    /// Returns the text of a blob, such as `:a.bin` in the index or `HEAD:a.bin`.
    #[track_caller]
    pub(crate) fn blob(&self, name: &str) -> String {
        self.git(["cat-file", "blob", name]).stdout
    }

    /// `git status` finds nothing.
    #[track_caller]
    pub(crate) fn is_clean(&self) {
        let ran = self.git(["status", "--porcelain"]);
        assert!(ran.stdout.is_empty(), "{ran:#?}");
    }

    /// Returns what `git status` finds.
    #[track_caller]
    pub(crate) fn status(&self) -> String {
        self.git(["status", "--porcelain"]).stdout
    }

    /// Gives every file of the work tree another date, so that git has to look into it.
    pub(crate) fn touch_all(&self) {
        let listed = self.git(["ls-files", "-z"]).bytes;
        for name in listed.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let path = self.path.join(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name));
            self.touch(path);
        }
    }

    pub(crate) fn touch(&self, path: impl AsRef<Path>) {
        let Ok(file) = fs::File::open(self.path.join(path)) else { return };
        let before = file.metadata().unwrap().modified().unwrap();
        file.set_modified(before - Duration::from_secs(100)).unwrap();
    }

    /// Touches all, and then git finds nothing changed.
    #[track_caller]
    pub(crate) fn is_clean_when_touched(&self) {
        self.touch_all();
        self.is_clean();
    }

    /// Makes the index so much newer than the files that git looks into none of them again.
    pub(crate) fn settle(&self) {
        self.touch_all();
        self.git(["status"]);
    }

    /// Counts the requests of a kind (`clean`, `smudge`) that a git command makes of the filter.
    #[track_caller]
    pub(crate) fn count(&self, kind: &str, args: &[&str]) -> usize {
        let trace = self.git_dir().join("packet-trace");
        self.with("GIT_TRACE_PACKET", &trace).git(args);
        let text = fs::read(&trace).unwrap_or_default();
        drop(fs::remove_file(&trace));
        let line = format!("> command={kind}");
        String::from_utf8_lossy(&text).lines().filter(|found| found.ends_with(&line)).count()
    }

    pub(crate) fn git_dir(&self) -> PathBuf {
        PathBuf::from(self.git(["rev-parse", "--absolute-git-dir"]).stdout.trim_end())
    }

    /// The local state of the clone.
    pub(crate) fn state(&self) -> PathBuf {
        // git before 2.31 has no `--path-format`.
        let common = self.git(["rev-parse", "--git-common-dir"]).stdout;
        self.path.join(common.trim_end()).canonicalize().unwrap().join("lake/v1")
    }

    /// Where the store has an object.
    pub(crate) fn stored(&self, content: impl AsRef<[u8]>) -> PathBuf {
        let hex = Oid::of(content.as_ref()).to_hex();
        self.state().join("objects").join(&hex[..2]).join(hex)
    }

    /// Forgets all objects, as if they had never been here.
    pub(crate) fn empty_store(&self) {
        drop(fs::remove_dir_all(self.state().join("objects")));
    }

    /// Forgets what lakes proved.
    pub(crate) fn empty_receipts(&self) {
        drop(fs::remove_dir_all(self.state().join("receipts")));
    }

    /// Makes git start a script instead of the filter; `$REAL` runs the filter in its place.
    pub(crate) fn wrap_filter(&self, script: &str) -> PathBuf {
        let path = self.git_dir().join("wrapper");
        let script = script.replace("$REAL", "exec git-lake filter-process");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self.git(["config", "filter.lake.process", &format!("exec '{}'", path.display())]);
        path
    }

    /// Undoes [`Self::wrap_filter`].
    pub(crate) fn unwrap_filter(&self) {
        self.git(["config", "filter.lake.process", "exec git-lake filter-process"]);
    }

    /// Makes the filter write its process id into the file that is returned.
    pub(crate) fn note_filter_pid(&self) -> PathBuf {
        let note = self.git_dir().join("filter-pid");
        drop(fs::remove_file(&note));
        self.wrap_filter(&format!("echo $$ > '{}'\n$REAL", note.display()));
        note
    }

    /// Makes a commit on another branch and comes back.
    pub(crate) fn on_branch(&self, name: &str, change: impl FnOnce(&Self)) {
        self.git(["switch", "-q", "-c", name]);
        change(self);
        self.commit(name);
        self.git(["switch", "-q", "main"]);
    }
}

/// Returns bytes that do not repeat and differ for each seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Waits until something becomes true, looking often.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Does something that ends by itself, or because of `give_up`, which is called when the time is up; returns
/// whether it was.
pub(crate) fn in_time<T>(
    bound: Duration,
    give_up: impl FnOnce() + Send + 'static,
    work: impl FnOnce() -> T,
) -> (T, bool) {
    let (ended, ends) = mpsc::channel::<()>();
    let watching = std::thread::spawn(move || {
        let is_late = ends.recv_timeout(bound) == Err(mpsc::RecvTimeoutError::Timeout);
        if is_late {
            give_up();
        }
        is_late
    });
    let done = work();
    drop(ended);
    (done, watching.join().unwrap())
}

/// Returns the process id that a file holds, once it does.
#[track_caller]
pub(crate) fn noted_pid(note: &Path) -> u32 {
    let read = || fs::read_to_string(note).ok().filter(|text| text.ends_with('\n'));
    wait_until("the filter has started", || read().is_some());
    read().unwrap().trim().parse().unwrap()
}

/// Ends a process that the test started at once.
pub(crate) fn kill(pid: u32) {
    let status = Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(status.success());
}
