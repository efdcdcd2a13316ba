//! `git lake orphans`: what is listed, what is not, and when nothing is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use git_lake::oid::Oid;

use crate::common::s3::endpoint::Endpoint;
use crate::common::s3::{Fault, Recorded, S3Server};
use crate::common::{Lake, Ran, Repo, TestEnv, noise};

const DAY: u64 = 24 * 60 * 60;

/// Gives a file an age.
fn set_age(path: impl AsRef<Path>, seconds: u64) {
    let then = SystemTime::now() - Duration::from_secs(seconds);
    fs::File::open(path).unwrap().set_modified(then).unwrap();
}

/// Gives all objects of a lake an age.
fn age(lake: &Lake, seconds: u64) {
    lake.objects().iter().for_each(|name| set_age(lake.path.join(name), seconds));
}

/// Puts an object into a lake behind the back of everybody.
fn plant(lake: &Lake, content: &[u8]) {
    fs::write(lake.object(content), content).unwrap();
}

fn orphans(repo: &Repo, args: &[&str]) -> Ran {
    repo.git(["lake", "orphans", "work-lake"].iter().chain(args))
}

/// The seeds of the objects of 3000 bytes that are listed.
fn seeds(repo: &Repo, lake: &Lake, args: &[&str]) -> Vec<u64> {
    let ran = orphans(repo, args);
    let listed = |seed: &u64| {
        let path = lake.object(noise(*seed, 3000)).display().to_string();
        ran.stdout.lines().any(|line| line == path)
    };
    let found: Vec<u64> = (1..100).filter(listed).collect();
    assert_eq!(found.len(), ran.stdout.lines().count(), "{ran:#?}");
    found
}

/// Refuses: says so, and lists nothing.
#[track_caller]
fn refuses(repo: &Repo, args: &[&str], text: &str) {
    for json in [false, true] {
        let json = json.then_some("--json");
        let ran =
            repo.git_fails(1, ["lake", "orphans", "work-lake"].iter().chain(args).chain(&json));
        assert_eq!(ran.stdout, "", "{ran:#?}");
        drop(ran.says("Nothing is listed: Could not tell what `").says(text));
    }
}

/// Forgets all reflogs.
fn expire(repo: &Repo) {
    repo.git(["reflog", "expire", "--expire=now", "--all"]);
}

/// A repository with `a.bin`, seed 1, and a lake that holds the orphans 98 and 99 besides; all are old.
fn repo(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    [98, 99].iter().for_each(|seed| plant(&lake, &noise(*seed, 3000)));
    age(&lake, 20 * DAY);
    (repo, lake)
}

/// Writes the text of a pointer.
fn pointer(lake: &Lake, seed: u64) -> String {
    let oid = Oid::of(&noise(seed, 3000));
    format!("git-lake pointer v1\noid sha256:{oid}\nsize 3000\nsource {}/{oid}.bin\n", lake.url())
}

#[test]
fn what_nothing_names_and_is_old_is_listed_and_stays() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    plant(&lake, &noise(97, 3000));
    let before = lake.objects();
    let ran = orphans(&repo, &[]);
    let mut expected: Vec<String> =
        [98, 99].map(|seed| lake.object(noise(seed, 3000)).display().to_string()).into();
    expected.sort();
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), expected);
    assert_eq!(
        ran.stderr,
        "2 objects (5.9 KiB) of `work-lake` that nothing in 1 repository refers to, 14 days old or older.\n\
         1 more is (2.9 KiB) younger.\n"
    );
    let zero = orphans(&repo, &["-z"]).stdout;
    assert_eq!(zero, expected.iter().map(|path| format!("{path}\0")).collect::<String>());
    assert_eq!(seeds(&repo, &lake, &["--older-than", "3w"]), [0; 0]);
    assert_eq!(seeds(&repo, &lake, &["--older-than=0d"]), [97, 98, 99]);
    repo.git_fails(2, ["lake", "orphans", "work-lake", "--older-than=14"]).says("`36h`");
    repo.git_fails(2, ["lake", "orphans", "other"]).says("has work-lake");
    assert_eq!(lake.objects(), before);
}

#[test]
fn the_list_is_what_xargs_rm_takes() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let removed = repo.run("sh", ["-c", "git lake orphans work-lake -z | xargs -0 rm --"]);
    assert_eq!(removed.code, Some(0), "{removed:#?}");
    assert_eq!(lake.objects().len(), 1);
    repo.git(["lake", "fsck", "--remote"]);
    assert_eq!(orphans(&repo, &[]).stdout, "");
}

/// What refers to an object, seed 2, besides the commits of `main`.
fn is_known_by(what: &str, make: impl FnOnce(&TestEnv, &Repo, &Lake)) {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    plant(&lake, &noise(2, 3000));
    age(&lake, 20 * DAY);
    assert_eq!(seeds(&repo, &lake, &[]), [2, 98, 99]);
    make(&env, &repo, &lake);
    age(&lake, 20 * DAY);
    assert_eq!(seeds(&repo, &lake, &[]), [98, 99], "{what}");
}

#[test]
fn branches_tags_and_the_index_refer_to_objects() {
    is_known_by("a branch", |_, repo, _| {
        repo.on_branch("side", |repo| repo.write("b.bin", noise(2, 3000)));
        expire(repo);
    });
    is_known_by("an old commit", |_, repo, _| {
        repo.write("a.bin", noise(2, 3000));
        repo.commit("v2");
        repo.write("a.bin", noise(1, 3000));
        repo.commit("v3");
        expire(repo);
    });
    is_known_by("a tag of a blob", |_, repo, lake| {
        let text = pointer(lake, 2);
        let blob = repo.feed("git", &["hash-object", "-w", "--stdin"], text.as_bytes()).stdout;
        repo.git(["tag", "-a", "-m", "x", "only", blob.trim()]);
    });
    is_known_by("the index", |_, repo, _| {
        repo.write("b.bin", noise(2, 3000));
        repo.git(["add", "b.bin"]);
    });
}

#[test]
fn reflogs_stashes_and_unfinished_operations_refer_to_objects() {
    is_known_by("a reflog", |_, repo, _| {
        repo.write("a.bin", noise(2, 3000));
        repo.commit("v2");
        repo.git(["reset", "-q", "--hard", "HEAD~1"]);
        fs::remove_file(repo.git_dir().join("ORIG_HEAD")).unwrap();
        fs::remove_dir_all(repo.state().join("queue")).unwrap();
    });
    is_known_by("ORIG_HEAD", |_, repo, _| {
        repo.write("a.bin", noise(2, 3000));
        repo.commit("v2");
        repo.git(["reset", "-q", "--hard", "HEAD~1"]);
        expire(repo);
        fs::remove_dir_all(repo.state().join("queue")).unwrap();
    });
    is_known_by("an earlier stash", |_, repo, _| {
        for seed in [2, 1] {
            repo.write("a.bin", noise(seed, 3000));
            repo.write("other", format!("{seed}"));
            repo.git(["add", "-A"]);
            repo.git(["stash", "-q"]);
        }
        fs::remove_dir_all(repo.state().join("queue")).unwrap();
    });
}

#[test]
fn other_work_trees_refer_to_objects() {
    fn linked(env: &TestEnv, repo: &Repo) -> Repo {
        repo.git(["worktree", "add", "-q", "--detach", "../linked"]);
        env.at("linked")
    }
    let forget = |repo: &Repo| fs::remove_dir_all(repo.state().join("queue")).unwrap();
    is_known_by("the index of another work tree", |env, repo, _| {
        let linked = linked(env, repo);
        linked.write("b.bin", noise(2, 3000));
        linked.git(["add", "b.bin"]);
        forget(repo);
    });
    is_known_by("a reference of another work tree", |env, repo, _| {
        let linked = linked(env, repo);
        linked.write("b.bin", noise(2, 3000));
        linked.commit("v2");
        linked.git(["update-ref", "refs/worktree/mine", "HEAD"]);
        linked.git(["reset", "-q", "--hard", "HEAD~1"]);
        fs::remove_file(linked.git_dir().join("ORIG_HEAD")).unwrap();
        expire(repo);
        expire(&linked);
        forget(repo);
    });
    is_known_by("a pointer file of another work tree", |env, repo, lake| {
        linked(env, repo).write("copied.txt", pointer(lake, 2));
    });
}

#[test]
fn files_that_git_does_not_know_refer_to_objects() {
    is_known_by("a pointer", |_, repo, lake| repo.write("deep/er/copied.txt", pointer(lake, 2)));
    is_known_by("a pointer that was made before the lake", |_, repo, _| {
        let oid = Oid::of(&noise(2, 3000));
        repo.write("old.txt", format!("git-lake pointer v1\noid sha256:{oid}\nsize 3000\n"));
    });
    is_known_by("an ignored `.remote` file", |_, repo, lake| {
        repo.write(".gitignore", "sets/\n");
        let url = format!("{}/{}.bin", lake.url(), Oid::of(&noise(2, 3000)));
        repo.write("sets/d/data/0_x.bin.remote", format!("[\"{url}\"]"));
    });
}

#[test]
fn remote_files_of_commits_refer_to_objects() {
    is_known_by("a `.remote` file", |_, repo, lake| {
        let url = format!("{}/{}.bin", lake.url(), Oid::of(&noise(2, 3000)));
        repo.write("data/0_x.bin.remote", format!("[\"s3://h/b/none.bin\", \"{url}\"]"));
        repo.commit("v2");
        repo.git(["rm", "-q", "data/0_x.bin.remote"]);
        repo.commit("v3");
    });
    is_known_by("the same under another name", |_, repo, lake| {
        let url = format!("{}/{}.bin", lake.url(), Oid::of(&noise(2, 3000)));
        repo.write("notes.json", format!("[\"{url}\"]"));
        repo.commit("v2");
        repo.git(["rm", "-q", "notes.json"]);
        repo.commit("v3");
    });
}

#[test]
fn claims_refer_to_objects() {
    is_known_by("a claim of a pointer that git does not use", |_, repo, _| {
        repo.write("b.bin", noise(2, 3000));
        repo.git(["hash-object", "--path=b.bin", "b.bin"]);
        fs::remove_file(repo.path.join("b.bin")).unwrap();
    });
}

#[test]
fn an_object_is_known_under_any_extension_and_by_any_address() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let other = env.lake("other");
    let oid = Oid::of(&noise(1, 3000)).to_hex();
    fs::write(lake.path.join(format!("{oid}.png")), noise(1, 3000)).unwrap();
    fs::write(other.path.join(format!("{oid}.bin")), noise(1, 3000)).unwrap();
    age(&lake, 20 * DAY);
    age(&other, 20 * DAY);
    assert_eq!(seeds(&repo, &lake, &[]), [98, 99]);
    // No pointer names the other lake, and readers may look there all the same.
    let ran = repo.git(["lake", "orphans", &other.url()]);
    assert_eq!(ran.stdout, "");
    // A share that is mounted elsewhere is listed where it is.
    fs::rename(&lake.path, env.path("mounted")).unwrap();
    let base = format!("url.file://{}/.insteadOf", env.path("mounted").display());
    repo.git(["config", &base, &format!("{}/", lake.url())]);
    let base = format!("url.file://{}.insteadOf", env.path("mounted").display());
    repo.git(["config", &base, &lake.url()]);
    let ran = orphans(&repo, &[]);
    assert_eq!(ran.stdout.lines().count(), 2);
    for line in ran.stdout.lines() {
        assert!(
            Path::new(line).is_file() && line.starts_with(env.path("mounted").to_str().unwrap())
        );
    }
}

#[test]
fn a_lake_with_another_hash_is_matched_by_the_names_in_sources() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let blake = env.path("blake");
    repo.git(["lake", "remote-add", "--hash=blake2b", blake.to_str().unwrap()]);
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    let blake = Lake { path: blake };
    let [name] = &blake.objects()[..] else { panic!("one object") };
    let stray = name.replace('0', "1");
    fs::write(blake.path.join(&stray), "x").unwrap();
    // Of a SHA-256 lake nobody knows it.
    fs::copy(blake.path.join(name), lake.path.join(name)).unwrap();
    age(&blake, 20 * DAY);
    age(&lake, 20 * DAY);
    let ran = repo.git(["lake", "orphans", "blake"]);
    assert_eq!(ran.stdout, format!("{}\n", blake.path.join(&stray).display()));
    assert_eq!(orphans(&repo, &[]).says("1 file is (2.9 KiB) no objects").stdout, "");
}

#[test]
fn other_repositories_and_datasets_are_kept_for_on_request() {
    let env = TestEnv::new();
    let (work, lake) = repo(&env);
    (2..=8).for_each(|seed| plant(&lake, &noise(seed, 3000)));
    // A repository with a linked work tree, and a bare one.
    let other = env.repo("other");
    other.set_up(&[&lake]);
    other.write("2.bin", noise(2, 3000));
    other.commit("v1");
    let bare = env.bare("bare.git");
    other.git(["remote", "add", "origin", "../bare.git"]);
    other.write("3.bin", noise(3, 3000));
    other.commit("v2");
    other.git(["push", "-q", "origin", "main"]);
    other.git(["reset", "-q", "--hard", "HEAD~1"]);
    fs::remove_file(other.git_dir().join("ORIG_HEAD")).unwrap();
    other.git(["update-ref", "-d", "refs/remotes/origin/main"]);
    expire(&other);
    fs::remove_dir_all(other.state().join("queue")).unwrap();
    // Datasets: several sources, one below the other, behind links.
    let source = |seed| format!("{}/{}.bin", lake.url(), Oid::of(&noise(seed, 3000)));
    let sets = env.at("sets");
    sets.write("one/data/0_x.bin.remote", format!("[\"s3://h/b/x.bin\", \"{}\"]", source(4)));
    sets.write("one/data/1_x.bin.remote", format!("{{\"{}?x=1\": 1}}", source(5)));
    sets.write(
        "one/shared.bin.remote",
        format!("[\"file://localhost/gone/{}.bin\"]", Oid::of(&noise(6, 3000))),
    );
    fs::create_dir_all(sets.path.join("two")).unwrap();
    symlink("../../elsewhere", sets.path.join("two/data")).unwrap();
    symlink("..", sets.path.join("two/round")).unwrap();
    env.at("elsewhere").write("0_x.bin.remote", format!("[\"{}\"]", source(7)));
    age(&lake, 20 * DAY);

    let all: Vec<u64> = (2..=8).chain([98, 99]).collect();
    assert_eq!(seeds(&work, &lake, &[]), all);
    assert_eq!(seeds(&work, &lake, &["--keep", "../other"]), [3, 4, 5, 6, 7, 8, 98, 99]);
    let git_dir = "../other/.git";
    assert_eq!(seeds(&work, &lake, &["--keep", git_dir]), [3, 4, 5, 6, 7, 8, 98, 99]);
    assert_eq!(seeds(&work, &lake, &["--keep", "../bare.git"]), [4, 5, 6, 7, 8, 98, 99]);
    assert_eq!(seeds(&work, &lake, &["--keep=../sets/one"]), [2, 3, 7, 8, 98, 99]);
    assert_eq!(seeds(&work, &lake, &["--keep=../sets/two"]), [2, 3, 8, 98, 99]);
    let every = ["--keep=../sets", "--keep", "../other", "--keep=../bare.git"];
    assert_eq!(seeds(&work, &lake, &every), [8, 98, 99]);
    drop(orphans(&work, &every).says("that nothing in 3 repositories and 1 dataset refers to"));
    drop(bare);
}

#[test]
fn a_lake_that_nothing_uses_is_told() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    lake.remove(noise(1, 3000));
    drop(orphans(&repo, &[]).says("Nothing that was read refers to any object of `work-lake`"));
}

#[test]
fn what_is_named_to_be_kept_has_to_be_there() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    fs::create_dir_all(env.path("work/sub")).unwrap();
    fs::create_dir(env.path("empty")).unwrap();
    fs::write(env.path("file"), "x").unwrap();
    refuses(&repo, &["--keep=../none"], "none` refers to: There is no such folder");
    refuses(&repo, &["--keep=../empty"], "neither a git repository nor a dataset");
    refuses(&repo, &["--keep=../file"], "neither a git repository nor a dataset");
    // Not the repository above it.
    refuses(&repo, &["--keep=sub"], "neither a git repository nor a dataset");
}

#[test]
fn damaged_pointers_and_remote_files_are_refused() {
    let conflict = "git-lake pointer v1\n<<<<<<< HEAD\noid sha256:0\n";
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let commit_of = |path: &str, text: &str| {
        let blob = repo.feed("git", &["hash-object", "-w", "--stdin"], text.as_bytes()).stdout;
        repo.git([
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("100644,{},{path}", blob.trim()),
        ]);
    };
    let table = [
        ("x.bin", conflict, "`x.bin` is a damaged pointer: Line 2"),
        ("x.bin", "git-lake pointer v2\n", "`x.bin` is a pointer of a newer version of git-lake"),
        ("x.remote", "[\"a.png\"", "`x.remote` is no `.remote` file: it is not JSON"),
    ];
    for (path, text, expected) in table {
        commit_of(path, text);
        refuses(&repo, &[], expected);
        repo.git(["rm", "-q", "--cached", path]);
        assert_eq!(orphans(&repo, &[]).stdout.lines().count(), 2);
        repo.write(path, text);
        let full = repo.path.join(path).display().to_string();
        refuses(&repo, &[], &expected.replace(path, &full));
        fs::remove_file(repo.path.join(path)).unwrap();
    }
    env.at("set").write("data/0_x.bin.remote", "[1]");
    refuses(
        &repo,
        &["--keep=../set"],
        "0_x.bin.remote` is no `.remote` file: an entry is not text",
    );
}

#[test]
fn clones_that_lack_something_are_refused() {
    let env = TestEnv::new();
    let (work, lake) = repo(&env);
    work.write("b.bin", noise(2, 3000));
    work.commit("v2");
    work.git(["config", "uploadpack.allowFilter", "true"]);
    work.git(["config", "uploadpack.allowAnySHA1InWant", "true"]);
    env.clone_with(&work, "shallow", &["--depth=1"]);
    env.clone_with(&work, "partial", &["--filter=blob:none", "--no-checkout"]);
    work.git(["rm", "-q", "b.bin"]);
    work.commit("v3");
    age(&lake, 20 * DAY);
    refuses(&work, &["--keep=../shallow"], "It is a shallow clone");
    let shallow = env.at("shallow");
    shallow.git(["fetch", "-q", "--unshallow"]);
    assert_eq!(seeds(&work, &lake, &["--keep=../shallow"]), [98, 99]);
    let partial = env.at("partial");
    partial.git(["fetch", "-q"]);
    refuses(&work, &["--keep=../partial"], "It is a partial clone");
    refuses(&work, &["--keep=../partial"], "with `git fetch --refetch --no-filter`");
    partial.git(["fetch", "-q", "--refetch", "--no-filter"]);
    assert_eq!(seeds(&work, &lake, &["--keep=../partial"]), [98, 99]);
}

#[test]
fn what_git_cannot_read_is_refused() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let blob = repo.git(["rev-parse", "HEAD:a.bin"]).stdout;
    let (folder, name) = blob.trim().split_at(2);
    let object = repo.git_dir().join("objects").join(folder).join(name);
    let bytes = fs::read(&object).unwrap();
    fs::remove_file(&object).unwrap();
    refuses(&repo, &[], "git");
    fs::write(&object, &bytes[..bytes.len() / 2]).unwrap();
    refuses(&repo, &[], blob.trim());
    fs::remove_file(&object).unwrap();
    fs::write(&object, bytes).unwrap();
    repo.git(["worktree", "add", "-q", "--detach", "../linked"]);
    assert_eq!(orphans(&repo, &[]).stdout.lines().count(), 2);
    fs::write(env.at("linked").git_dir().join("index"), "DIRC and what is no index").unwrap();
    refuses(&repo, &[], "index");
}

#[test]
fn clones_that_share_a_store_count() {
    let env = TestEnv::new();
    let (work, lake) = env.tracked("work");
    fs::create_dir(env.path("shared")).unwrap();
    env.install();
    env.at(".").git(["config", "--global", "lake.storage", env.path("shared").to_str().unwrap()]);
    work.commit_one(1);
    let other = env.repo("other");
    other.set_up(&[&lake]);
    other.commit_one(2);
    plant(&lake, &noise(99, 3000));
    age(&lake, 20 * DAY);
    assert_eq!(seeds(&work, &lake, &[]), [99]);
    fs::remove_dir_all(&other.path).unwrap();
    refuses(&work, &[], "git lake prune --forget");
    let note = fs::read_dir(env.path("shared/v1/clones")).unwrap().map(|note| note.unwrap().path());
    let other = |path: &std::path::PathBuf| fs::read_to_string(path).unwrap().contains("/other/");
    fs::write(note.into_iter().find(other).unwrap(), "\0\0").unwrap();
    refuses(&work, &[], "The note is damaged");
}

impl Repo {
    /// Commits `a.bin` of this seed.
    fn commit_one(&self, seed: u64) {
        self.write("a.bin", noise(seed, 3000));
        self.commit("one");
    }
}

#[test]
fn files_of_others_are_left_alone_and_uploads_are_counted() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let file = |path: &str, bytes: usize| {
        let path = lake.path.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, vec![0; bytes]).unwrap();
        set_age(&path, 20 * DAY);
    };
    file("README.md", 10);
    file("sub/folder/file", 1000);
    file(&format!("{}.bin", "a".repeat(128)), 20);
    file(&format!(".lake-damaged/{}.bin.1", "a".repeat(64)), 40);
    fs::create_dir(lake.path.join(format!("{}.bin", "b".repeat(64)))).unwrap();
    symlink("README.md", lake.path.join(format!("{}.bin", "c".repeat(64)))).unwrap();
    file(".lake-tmp/.lake-1", 300);
    file(".lake-tmp/.lake-2", 200);
    set_age(lake.path.join(".lake-tmp/.lake-2"), DAY);
    assert_eq!(seeds(&repo, &lake, &[]), [98, 99]);
    let ran = orphans(&repo, &[]);
    let ran = ran.says("2 uploads are (500 bytes) not finished, the oldest since 2");
    drop(ran.says("5 files are (30 bytes) no objects of the lake."));
}

#[test]
fn the_document_has_it_all() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    plant(&lake, &noise(97, 3000));
    env.at("set").write("data/0_x.bin", "content");
    let ran = orphans(&repo, &["--json", "--keep=../set"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let mut found = document.clone();
    let orphans = found.as_object_mut().unwrap().remove("orphans").unwrap();
    for key in ["total", "young", "referenced"] {
        assert!(found[key]["oldest"].is_u64());
        found[key].as_object_mut().unwrap().remove("oldest");
    }
    let none = serde_json::json!({ "count": 0, "bytes": 0, "oldest": null });
    let expected = serde_json::json!({
        "version": 1, "url": lake.url(), "older_than_seconds": 14 * DAY,
        "repositories": [repo.path.join(".git")], "datasets": [repo.path.join("../set")],
        "total": { "count": 2, "bytes": 6000 }, "young": { "count": 1, "bytes": 3000 },
        "referenced": { "count": 1, "bytes": 3000 }, "foreign": none, "unfinished": none,
    });
    assert_eq!(found, expected);
    let one = &orphans[0];
    let path = Path::new(one["path"].as_str().unwrap());
    assert_eq!(path, lake.path.join(one["name"].as_str().unwrap()));
    assert_eq!((&one["size"], orphans.as_array().unwrap().len()), (&3000.into(), 2));
    assert!(one["modified"].is_u64());
}

#[test]
fn a_lake_that_cannot_be_reached_lists_nothing() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    lake.unmount();
    let ran = repo.git_fails(1, ["lake", "orphans", "work-lake"]);
    assert_eq!(ran.stdout, "");
}

/// A repository whose objects are in `lake/some/prefix` of a server, one of them.
fn in_bucket(env: &TestEnv, server: &S3Server) -> Repo {
    let endpoint = Endpoint::of(server);
    let repo = env.repo("work");
    repo.git(["config", "--global", "credential.helper", "store"]);
    repo.git(["lake", "init", "--name=work-lake", &endpoint.typed("lake/some/prefix")]);
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    repo
}

fn refusal(status: u16, code: &'static str) -> Fault {
    Fault::Status { status, code, message: "No", headers: Vec::new() }
}

fn key(content: &[u8]) -> String {
    format!("some/prefix/{}.bin", Oid::of(content))
}

#[test]
fn a_bucket_is_only_listed_and_its_objects_have_addresses() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = in_bucket(&env, &server);
    let old = SystemTime::now() - Duration::from_secs(20 * DAY);
    let contents: Vec<Vec<u8>> = (0..2500_u32).map(|at| at.to_le_bytes().into()).collect();
    for content in &contents {
        server.plant("lake", &key(content), content, true);
        server.set_modified("lake", &key(content), old);
    }
    server.plant("lake", &key(b"young"), b"young", true);
    server.plant("lake", "some/prefix/README", b"x", true);
    server.plant("lake", "some/prefix/.lake-damaged/x", b"x", true);
    let elsewhere = format!("{}.bin", Oid::of(b"elsewhere"));
    for key in [elsewhere.clone(), format!("some/prefix/other/{elsewhere}")] {
        server.plant("lake", &key, b"elsewhere", true);
        server.set_modified("lake", &key, old);
    }
    server.set_modified("lake", &key(&noise(1, 3000)), old);
    server.take_requests();
    let ran = orphans(&repo, &[]);
    let mut expected: Vec<String> =
        contents.iter().map(|content| format!("s3://lake/{}", key(content))).collect();
    expected.sort();
    assert!(ran.stdout.lines().eq(expected.iter().map(String::as_str)));
    let ran =
        ran.says("2500 objects (9.8 KiB) of `work-lake` that nothing in 1 repository refers to");
    drop(ran.says("1 more is (5 bytes) younger.").says("2 files are (10 bytes) no objects"));
    let mut operations: Vec<&str> =
        server.requests().iter().map(|request| request.operation).collect();
    operations.dedup();
    let pages = server.requests().iter().filter(|one| one.operation == "ListObjectsV2").count();
    assert_eq!(operations, ["GetBucketTagging", "ListObjectsV2", "ListMultipartUploads"]);
    assert_eq!(pages, 3);
}

#[test]
fn uploads_in_parts_that_nobody_ended_are_counted() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = in_bucket(&env, &server);
    server.begin_upload("lake", &key(b"x"), &[&[1; 1000], &[2; 500]]);
    server.begin_upload("lake", "some/prefix/of others", &[&[1; 7]]);
    let ran = orphans(&repo, &[]).says("1 upload is (1.5 KiB) not finished, the oldest since 2");
    assert_eq!(ran.stdout, "");
    // A server that does not tell hides no object.
    server.plant("lake", &key(b"y"), b"y", true);
    let is_list = |request: &Recorded| request.operation == "ListMultipartUploads";
    server.fault(is_list, usize::MAX, refusal(501, "NotImplemented"));
    let ran = orphans(&repo, &["--older-than=0s"]);
    assert_eq!(ran.stdout, format!("s3://lake/{}\n", key(b"y")));
    drop(ran.says("Unfinished uploads are not counted: "));
}

#[test]
fn a_listing_that_breaks_off_lists_nothing() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = in_bucket(&env, &server);
    for at in 0..1500_u32 {
        server.plant("lake", &key(&at.to_le_bytes()), b"x", true);
    }
    let is_second = |request: &Recorded| {
        request.operation == "ListObjectsV2" && request.query.contains_key("start-after")
    };
    server.fault(is_second, usize::MAX, refusal(403, "AccessDenied"));
    let ran = repo.git_fails(1, ["lake", "orphans", "work-lake", "--older-than=0s"]);
    assert_eq!(ran.stdout, "");
}
