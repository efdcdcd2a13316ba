use super::*;
use crate::repo::testing::{TestRepo, git_is_at_least, path};

/// A repository whose filter stores `pointer` for every `*.bin` and notes each run.
pub(super) struct Filtered {
    pub(super) repo: TestRepo,
    log: PathBuf,
}

impl Filtered {
    pub(super) fn new(args: &[&str]) -> Self {
        let repo = TestRepo::with_args(args);
        let log = repo.beside("log");
        let clean = format!("cat >/dev/null; echo x >>'{}'; printf pointer", log.display());
        repo.run(&["config", "filter.lake.clean", &clean]);
        repo.run(&["config", "filter.lake.smudge", "cat"]);
        repo.run(&["config", "filter.lake.required", "true"]);
        repo.write(".gitattributes", b"*.bin filter=lake -text\n");
        Self { repo, log }
    }

    /// Returns what `git status` says, and how often the filter ran for it.
    pub(super) fn status(&self) -> (String, usize) {
        drop(std::fs::remove_file(&self.log));
        let status = self.repo.run(&["status", "--porcelain"]);
        let runs = std::fs::read(&self.log).map_or(0, |log| log.len() / 2);
        (status, runs)
    }

    /// Makes all files and the index look as if an hour had passed since they were written.
    pub(super) fn age(&self, paths: &[&str]) {
        for path in paths {
            set_age(&self.repo.top.join(path), 3600);
        }
        self.repo.run(&["update-index", "--refresh"]);
        set_age(&self.index_path(), 1800);
    }

    pub(super) fn index_path(&self) -> PathBuf {
        self.repo.top.join(".git/index")
    }

    fn patch(&self, changes: &[StatChange]) -> Result<PatchReport, Error> {
        let hash_len = self.repo.open().hash_len();
        patch(&self.index_path(), hash_len, changes, Duration::ZERO)
    }

    pub(super) fn id_at(&self, path: &str) -> BlobId {
        let index = self.repo.open().index().expect("reads");
        index.entry_at(path.as_bytes()).expect("there").id
    }

    fn change(&self, at: &str, stat: StatUpdate) -> StatChange {
        StatChange { path: path(at), id: self.id_at(at), stat }
    }

    fn lstat(&self, path: &str) -> StatUpdate {
        let metadata = self.repo.top.join(path).symlink_metadata();
        StatUpdate::Of(metadata.expect("there"))
    }
}

pub(super) fn set_age(path: &Path, seconds: u64) {
    let file = std::fs::File::options().write(true).open(path);
    let now = std::time::UNIX_EPOCH + Duration::from_secs(crate::fs::unix_now());
    file.and_then(|file| file.set_modified(now - Duration::from_secs(seconds)))
        .expect("sets the time");
}

#[test]
fn content_in_place_of_a_pointer_is_clean_without_a_filter() {
    for (format, version) in [("sha1", "2"), ("sha1", "4"), ("sha256", "2"), ("sha256", "4")] {
        let filtered = Filtered::new(&[&format!("--object-format={format}")]);
        let repo = &filtered.repo;
        repo.write("d/a.bin", b"pointer");
        repo.write("d/b.bin", b"pointer");
        repo.write("z", b"other");
        repo.commit_all();
        repo.run(&["update-index", "--index-version", version]);
        filtered.age(&["d/a.bin", "d/b.bin", "z", ".gitattributes"]);
        assert_eq!(filtered.status(), (String::new(), 0));
        repo.write("d/a.bin", &[b'x'; 5000]);
        set_age(&repo.top.join("d/a.bin"), 3600);
        assert_eq!(filtered.status().0, " M d/a.bin", "the trap");
        let change = filtered.change("d/a.bin", filtered.lstat("d/a.bin"));
        let report = filtered.patch(&[change]).expect("patches");
        assert_eq!((report.written, report.racy), (1, 0));
        assert_eq!(filtered.status(), (String::new(), 0), "{format} {version}");
        let written = std::fs::read(filtered.index_path()).expect("reads");
        repo.run(&["fsck"]);
        repo.run(&["update-index", "--refresh"]);
        assert_eq!(written, std::fs::read(filtered.index_path()).expect("reads"));
    }
}

#[test]
fn what_is_written_is_what_git_writes() {
    let filtered = Filtered::new(&[]);
    let repo = &filtered.repo;
    repo.write("a.bin", &[b'x'; 5000]);
    repo.commit_all();
    filtered.age(&["a.bin", ".gitattributes"]);
    let before = std::fs::read(filtered.index_path()).expect("reads");
    let modified = filtered.index_path().metadata().and_then(|m| m.modified());
    let zero = filtered.change("a.bin", StatUpdate::SizeZero);
    filtered.patch(&[zero]).expect("patches");
    assert_ne!(before, std::fs::read(filtered.index_path()).expect("reads"));
    let file = std::fs::File::options().write(true).open(filtered.index_path());
    file.and_then(|file| file.set_modified(modified?)).expect("sets");
    let full = filtered.change("a.bin", filtered.lstat("a.bin"));
    filtered.patch(&[full]).expect("patches");
    assert_eq!(before, std::fs::read(filtered.index_path()).expect("reads"));
}

#[test]
fn size_zero_makes_git_look_and_mend() {
    let filtered = Filtered::new(&[]);
    let repo = &filtered.repo;
    repo.write("a.bin", b"pointer");
    repo.commit_all();
    filtered.age(&["a.bin", ".gitattributes"]);
    let change = filtered.change("a.bin", StatUpdate::SizeZero);
    filtered.patch(&[change]).expect("patches");
    repo.write("a.bin", &[b'x'; 5000]);
    set_age(&repo.top.join("a.bin"), 3600);
    assert_eq!(filtered.status(), (String::new(), 1));
    assert_eq!(filtered.status(), (String::new(), 0));
}

#[test]
fn a_racy_file_of_somebody_else_is_kept_honest() {
    let filtered = Filtered::new(&[]);
    let repo = &filtered.repo;
    repo.write("a.bin", b"pointer");
    let other = repo.write("other", b"1");
    repo.commit_all();
    filtered.age(&["a.bin", ".gitattributes"]);
    // Git wrote the index and the file in the same second; then the user edits it, same size.
    set_age(&other, 10);
    repo.run(&["update-index", "--refresh"]);
    let modified = other.metadata().and_then(|found| found.modified()).expect("a time");
    let index = std::fs::File::options().write(true).open(filtered.index_path());
    index.and_then(|file| file.set_modified(modified)).expect("sets");
    let file = std::fs::File::options().write(true).open(&other).expect("opens");
    std::io::Write::write_all(&mut &file, b"2").expect("edits");
    file.set_modified(modified).expect("sets");
    repo.run(&["config", "core.trustctime", "false"]);
    let change = filtered.change("a.bin", StatUpdate::SizeZero);
    let report = filtered.patch(&[change]).expect("patches");
    assert_eq!((report.written, report.racy), (1, 1));
    assert_eq!(filtered.status().0, " M other");
}

#[test]
fn another_blob_or_path_is_left_alone_and_reported() {
    let filtered = Filtered::new(&[]);
    let repo = &filtered.repo;
    repo.write("a.bin", b"pointer");
    repo.commit_all();
    filtered.age(&["a.bin", ".gitattributes"]);
    let before = std::fs::read(filtered.index_path()).expect("reads");
    let mut wrong = filtered.change("a.bin", StatUpdate::SizeZero);
    wrong.id = repo.blob(b"something else");
    let mut absent = filtered.change("a.bin", StatUpdate::SizeZero);
    absent.path = path("absent");
    let report = filtered.patch(&[wrong, absent]).expect("patches");
    assert_eq!(report.not_found, [path("a.bin"), path("absent")]);
    assert_eq!(report.written, 0);
    assert_eq!(before, std::fs::read(filtered.index_path()).expect("reads"));
}

#[test]
fn a_held_lock_a_split_index_and_no_index_are_told_apart() {
    let filtered = Filtered::new(&[]);
    let error = filtered.patch(&[]).expect_err("no index yet");
    assert!(matches!(error, Error::Absent { .. }), "{error}");
    let repo = &filtered.repo;
    repo.write("a.bin", b"pointer");
    repo.commit_all();
    let lock = LockFile::take(&filtered.index_path(), Duration::ZERO).expect("free");
    let error = filtered.patch(&[]).expect_err("locked");
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    drop(lock);
    repo.run(&["update-index", "--split-index"]);
    let error = filtered.patch(&[]).expect_err("split");
    assert!(matches!(error, Error::Split { .. }), "{error}");
    assert!(!repo.top.join(".git/index.lock").exists());
    repo.run(&["status"]);
}

#[test]
#[cfg(unix)]
fn mode_and_absent_checksum_stay() {
    use std::os::unix::fs::PermissionsExt as _;
    let filtered = Filtered::new(&[]);
    let repo = &filtered.repo;
    repo.run(&["config", "index.skipHash", "true"]);
    repo.write("a.bin", b"pointer");
    repo.commit_all();
    let path = filtered.index_path();
    let mode = std::fs::Permissions::from_mode(0o660);
    std::fs::set_permissions(&path, mode.clone()).expect("sets");
    let change = filtered.change("a.bin", StatUpdate::SizeZero);
    filtered.patch(&[change]).expect("patches");
    let permissions = path.metadata().expect("there").permissions();
    assert_eq!(permissions.mode() & 0o777, mode.mode());
    // Older gits know no `index.skipHash`.
    if git_is_at_least((2, 40)) {
        assert!(std::fs::read(&path).expect("reads").ends_with(&[0; 20]));
    }
    assert_eq!(filtered.status().0, "");
}
