use std::path::{Path, PathBuf};

use super::process::Git;
use super::testing::{TestRepo, git_is_at_least, id, open, path, text};
use super::*;

/// Says what `Repo::discover` finds in the environment of this process; run by other tests.
#[test]
#[ignore = "a program that other tests start in an environment of their own"]
fn tell() {
    let here = std::env::current_dir().expect("a folder");
    let told = match Repo::discover(&here) {
        Ok(repo) => {
            let show = |path: &Path| path.display().to_string();
            [
                format!("git_dir={}", show(repo.git_dir())),
                format!("common_dir={}", show(repo.common_dir())),
                format!("index={}", show(repo.index_path())),
                format!("work_tree={}", repo.work_tree().map_or_else(String::new, show)),
                format!("value={:?}", repo.config_string("lake.x.value")),
            ]
            .join("\n")
        }
        Err(error) => format!("error={error}"),
    };
    #[expect(clippy::print_stdout, reason = "the tests read it")]
    {
        println!("{told}");
    }
}

/// What another process says about the repository that it is in.
fn told(git: Git) -> Vec<(String, String)> {
    let args = ["--exact", "repo::tests::tell", "--ignored", "--nocapture"];
    let lines = text(&git, &args, b"");
    let pairs = lines.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn this_program(repo: &TestRepo, folder: &Path) -> Git {
    let program = std::env::current_exe().expect("this program");
    Git::hermetic(Some(program), folder, &repo.beside("home"))
}

fn get<'a>(told: &'a [(String, String)], key: &str) -> &'a str {
    let found = told.iter().find(|pair| pair.0.ends_with(key));
    found.map_or_else(|| panic!("no {key} in {told:?}"), |pair| pair.1.as_str())
}

/// Checks that git sees the same repository in the same folder and environment.
fn assert_like_git(repo: &TestRepo, folder: &Path, variables: &[(&'static str, String)]) {
    let set = |mut git: Git| {
        for (name, value) in variables {
            git = git.with(name, value);
        }
        git
    };
    let git = set(repo.git_in(folder));
    let ask = |args: &[&str]| text(&git, args, b"");
    let absolute = ["rev-parse", "--path-format=absolute"];
    let told = told(set(this_program(repo, folder)));
    let clean = |text: String| {
        let parent = Path::new(&text).parent().expect("a parent");
        let parent = std::fs::canonicalize(parent).expect("exists");
        parent.join(Path::new(&text).file_name().expect("a name"))
    };
    let expect = |key: &str, arg: &[&str]| {
        let expected = clean(ask(&[&absolute[..], arg].concat()));
        assert_eq!(PathBuf::from(get(&told, key)), expected, "{key} {variables:?}");
    };
    expect("git_dir", &["--git-dir"]);
    expect("common_dir", &["--git-common-dir"]);
    expect("index", &["--git-path", "index"]);
    if ask(&["rev-parse", "--is-inside-work-tree"]) == "true" {
        expect("work_tree", &["--show-toplevel"]);
    } else {
        assert_eq!(get(&told, "work_tree"), "");
    }
}

#[test]
fn the_repository_is_the_one_that_git_sees() {
    let repo = TestRepo::new();
    repo.write("sub/x", b"x");
    repo.commit_all();
    let linked = repo.beside("linked");
    repo.run(&["worktree", "add", "--quiet", linked.to_str().expect("text")]);
    let top = || repo.top.display().to_string();
    let sub = repo.top.join("sub");
    assert_like_git(&repo, &repo.top, &[]);
    assert_like_git(&repo, &sub, &[]);
    assert_like_git(&repo, &linked, &[]);
    assert_like_git(&repo, &repo.top, &[("GIT_INDEX_FILE", ".git/index.stash.1".into())]);
    assert_like_git(&repo, &repo.top, &[("GIT_INDEX_FILE", format!("{}/other", top()))]);
    let git_dir = || ("GIT_DIR", format!("{}/.git", top()));
    assert_like_git(&repo, &sub, &[git_dir()]);
    assert_like_git(&repo, &sub, &[git_dir(), ("GIT_WORK_TREE", "..".into())]);
    assert_like_git(&repo, &repo.top, &[("GIT_DIR", ".git".into())]);
    let private = format!("{}/.git/worktrees/linked", top());
    assert_like_git(&repo, &linked, &[("GIT_DIR", private)]);
    let common = format!("{}/.git", top());
    assert_like_git(&repo, &linked, &[("GIT_COMMON_DIR", common)]);
}

#[test]
fn a_separate_git_dir_and_a_bare_repository_are_as_git_sees_them() {
    let separate = TestRepo::with_args(&["--separate-git-dir=../separate"]);
    assert_like_git(&separate, &separate.top, &[]);
    let git_dir = separate.beside("separate").display().to_string();
    assert_like_git(&separate, &separate.top, &[("GIT_DIR", git_dir)]);
    let bare = TestRepo::with_args(&["--bare"]);
    assert_like_git(&bare, &bare.top, &[]);
    let variables = [("GIT_DIR", ".".into()), ("GIT_IMPLICIT_WORK_TREE", "0".into())];
    assert_like_git(&bare, &bare.top, &variables);
    assert_eq!(open(&bare.top).work_tree(), None);
}

#[test]
fn a_submodule_is_as_git_sees_it() {
    let (repo, inner) = (TestRepo::new(), TestRepo::new());
    inner.commit_all();
    let url = inner.top.display().to_string();
    repo.run(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "m"]);
    let top = repo.top.join("m");
    assert_like_git(&repo, &top, &[]);
    let git_dir = repo.top.join(".git/modules/m").display().to_string();
    assert_like_git(&repo, &top, &[("GIT_DIR", git_dir)]);
}

#[test]
fn settings_given_for_one_command_are_seen() {
    let repo = TestRepo::new();
    repo.run(&["config", "lake.x.value", "file"]);
    let ask = |git: Git| get(&told(git), "value").to_owned();
    let here = || this_program(&repo, &repo.top);
    assert_eq!(ask(here()), r#"Some("file")"#);
    let given = here().with("GIT_CONFIG_PARAMETERS", "'lake.x.value'='by -c'");
    assert_eq!(ask(given), r#"Some("by -c")"#);
    let counted = here()
        .with("GIT_CONFIG_COUNT", "1")
        .with("GIT_CONFIG_KEY_0", "lake.x.value")
        .with("GIT_CONFIG_VALUE_0", "counted");
    assert_eq!(ask(counted), r#"Some("counted")"#);
    repo.run(&["config", "--global", "lake.y.value", "mine"]);
    repo.run(&["config", "--unset", "lake.x.value"]);
    repo.run(&["config", "--global", "lake.x.value", "mine"]);
    assert_eq!(ask(here()), r#"Some("mine")"#);
}

#[test]
fn a_folder_without_a_repository_is_told_by_name() {
    let repo = TestRepo::new();
    let outside = repo.beside("home");
    let told = told(this_program(&repo, &outside));
    let expected = format!("`{}` is not inside a git repository", outside.display());
    assert_eq!(get(&told, "error"), expected);
    let nowhere = this_program(&repo, &outside).with("GIT_DIR", "/no/such/folder");
    assert!(get(&super::tests::told(nowhere), "error").contains("is not inside"));
}

#[test]
#[cfg(unix)]
fn somebody_elses_repository_is_refused_unless_declared_safe() {
    let repo = TestRepo::new();
    repo.run(&["config", "lake.x.value", "file"]);
    let chown = |path: &Path| std::os::unix::fs::chown(path, Some(12345), Some(12345));
    if chown(&repo.top).and_then(|()| chown(&repo.top.join(".git"))).is_err() {
        return; // Only root can give a folder away.
    }
    let here = || this_program(&repo, &repo.top);
    let refused = told(here());
    assert!(get(&refused, "error").contains("belongs to somebody else"), "{refused:?}");
    let safe = format!("'safe.directory'='{}'", repo.top.display());
    let given = told(here().with("GIT_CONFIG_PARAMETERS", safe));
    assert_eq!(get(&given, "value"), r#"Some("file")"#);
    // Git does not check the owner of what GIT_DIR names.
    let chosen = told(here().with("GIT_DIR", ".git"));
    assert_eq!(get(&chosen, "value"), r#"Some("file")"#);
    repo.run(&["config", "--global", "safe.directory", "*"]);
    assert_eq!(get(&told(here()), "value"), r#"Some("file")"#);
}

#[test]
fn settings_are_read_with_their_names() {
    let repo = TestRepo::new();
    repo.run(&["config", "lake.inbandLimit", "4m"]);
    repo.run(&["config", "lake.word", "perhaps"]);
    repo.run(&["config", "lake.my.lake.upload", "off"]);
    repo.run(&["config", "--add", "lake.b.prefer", "1"]);
    repo.run(&["config", "--add", "lake.b.prefer", "2"]);
    let opened = repo.open();
    assert_eq!(opened.config_string("lake.INBANDLIMIT").as_deref(), Some("4m"));
    assert_eq!(opened.config_string("lake.b.prefer").as_deref(), Some("2"));
    assert_eq!(opened.config_strings("lake.b.prefer"), ["1", "2"]);
    assert_eq!(opened.config_bool("lake.my.lake.upload"), Some(false));
    assert_eq!(opened.config_bool("lake.word"), None);
    assert_eq!(opened.config_bool("lake.absent"), None);
    assert_eq!(opened.config_string("nonsense"), None);
    assert_eq!(opened.config_subsections("lake"), ["b", "my.lake"]);
    assert_eq!(opened.config_subsections("absent"), [""; 0]);
    let keys = ["lake.b.prefer", "lake.inbandLimit", "lake.my.lake.upload", "lake.word"];
    assert_eq!(opened.config_keys("lake"), keys);
}

#[test]
fn settings_may_be_named_after_servers() {
    let repo = TestRepo::new();
    let names = ["minio.example.com:9000", "[2001:db8::1]:9000", "h"];
    let mut file = gitconfig::ConfigFile::open(&repo.top.join(".git/config")).expect("opens");
    for name in names {
        let key = format!("lake.{name}.secure");
        file.set(&key, "false").expect("sets");
        assert_eq!(repo.run(&["config", &key]), "false");
        assert_eq!(repo.open().config_string(&key).as_deref(), Some("false"));
    }
    let mut found = repo.open().config_subsections("lake");
    found.sort_unstable_by_key(|name| names.iter().position(|known| known == name));
    assert_eq!(found, names);
}

#[test]
fn blobs_are_read_loose_and_packed_and_measured_first() {
    for args in [&[][..], &["--object-format=sha256"]] {
        let repo = TestRepo::with_args(args);
        let opened = repo.open();
        let (short, long) = (repo.blob(b"short"), repo.blob(&[b'x'; 5000]));
        assert_eq!(opened.blob_id_of(b"short").expect("hashes"), short);
        assert_eq!(opened.hash_len(), short.as_bytes().len());
        let check = || {
            let read = |id, max| opened.read_blob(id, max).expect("reads");
            assert_eq!(read(short, 5), Blob::Content(b"short".to_vec()));
            assert_eq!(read(short, 4), Blob::TooLong(5));
            assert_eq!(read(long, 1024), Blob::TooLong(5000));
            let absent = opened.blob_id_of(b"absent").expect("hashes");
            assert_eq!(read(absent, 9), Blob::Missing);
        };
        check();
        repo.write("short", b"short");
        repo.write("long", &[b'x'; 5000]);
        let commit = repo.commit_all();
        repo.run(&["gc", "--quiet", "--prune=now"]);
        check();
        opened.read_blob(id(&commit), 9999).expect_err("a commit is no blob");
        let other = if short.as_bytes().len() == 20 { 32 } else { 20 };
        let other = BlobId::from_bytes(&vec![1; other]).expect("an id");
        assert_eq!(opened.read_blob(other, 9).expect("reads"), Blob::Missing);
    }
}

#[test]
fn blobs_are_found_by_path_in_commits_and_trees() {
    let repo = TestRepo::new();
    let opened = repo.open();
    let at = |treeish: &str, at: &str| opened.blob_at(treeish, &path(at));
    assert_eq!(at("HEAD", "a/b").expect("unborn"), None);
    repo.write("a/b", b"1");
    let first = repo.commit_all();
    repo.write("a/b", b"2");
    repo.commit_all();
    let one = opened.blob_id_of(b"1").expect("hashes");
    let two = opened.blob_id_of(b"2").expect("hashes");
    let tree = repo.run(&["rev-parse", "HEAD^{tree}"]);
    assert_eq!(at(&first, "a/b").expect("reads"), Some(one));
    for treeish in ["HEAD", "main", "refs/heads/main", &tree] {
        assert_eq!(at(treeish, "a/b").expect("reads"), Some(two), "{treeish}");
    }
    assert_eq!(at("HEAD", "a").expect("a folder"), None);
    assert_eq!(at("HEAD", "a/b/c").expect("beneath a file"), None);
    assert_eq!(at("HEAD", "z").expect("absent"), None);
    let error = at("nonsense", "a").expect_err("no such revision");
    assert_eq!(error.to_string(), "Could not find revision `nonsense`");
}

#[test]
fn what_a_partial_clone_left_behind_is_missing_and_not_fetched() {
    let repo = TestRepo::new();
    repo.write("x", b"content");
    repo.commit_all();
    repo.run(&["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", repo.top.display());
    let clone = repo.beside("clone");
    let to = clone.display().to_string();
    repo.run(&["clone", "--quiet", "--no-checkout", "--filter=blob:none", &url, &to]);
    let opened = open(&clone);
    let id = opened.blob_id_of(b"content").expect("hashes");
    assert_eq!(opened.blob_at("HEAD", &path("x")).expect("reads"), Some(id));
    assert_eq!(opened.read_blob(id, 100).expect("reads"), Blob::Missing);
}

#[test]
fn objects_are_made_durable_one_by_one_where_git_does_that() {
    let repo = TestRepo::new();
    let trace = repo.beside("trace");
    let mut seed = 0;
    let mut does_git = |repo: &TestRepo| {
        let git = repo.git().with("GIT_TRACE2_EVENT", trace.to_str().expect("UTF-8"));
        seed += 1;
        text(&git, &["hash-object", "-w", "--stdin"], format!("{seed}").as_bytes());
        let traced = std::fs::read_to_string(&trace).expect("a trace");
        std::fs::remove_file(&trace).expect("removes");
        traced.contains("\"hardware-flush\"")
    };
    if !git_is_at_least((2, 36)) {
        return; // It has not got the setting, and does not tell.
    }
    let lists = [
        ("", false),
        ("none", false),
        ("pack,index", false),
        ("objects", true),
        ("loose-object", true),
        ("committed", true),
        ("added,-pack", true),
        ("pack, loose-object", true),
        ("-loose-object", false),
        ("-committed", false),
        ("all,-loose-object", true),
        ("loose-object,none", true),
        ("LOOSE-OBJECT", false),
    ];
    for (list, expected) in lists {
        repo.run(&["config", "core.fsync", list]);
        assert_eq!((does_git(&repo), repo.open().syncs_objects()), (expected, expected), "{list}");
    }
    repo.run(&["config", "core.fsyncObjectFiles", "true"]);
    assert!(does_git(&repo) && repo.open().syncs_objects());
    repo.run(&["config", "core.fsyncObjectFiles", "false"]);
    assert!(!does_git(&repo) && !repo.open().syncs_objects());
}
