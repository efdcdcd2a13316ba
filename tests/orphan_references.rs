//! What refers to objects, so that they are no orphans, and what cannot be read, so that nothing is listed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use git_lake::oid::Oid;

use crate::common::orphans::{
    DAY, address, age, expire, orphans, plant, pointer, refuses, repo, seeds,
};
use crate::common::{Lake, Repo, TestEnv, noise};

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
        let url = address(lake, 2);
        repo.write("sets/d/data/0_x.bin.remote", format!("[\"{url}\"]"));
    });
}

#[test]
fn remote_files_of_commits_refer_to_objects() {
    is_known_by("a `.remote` file", |_, repo, lake| {
        let url = address(lake, 2);
        repo.write("data/0_x.bin.remote", format!("[\"s3://h/b/none.bin\", \"{url}\"]"));
        repo.commit("v2");
        repo.git(["rm", "-q", "data/0_x.bin.remote"]);
        repo.commit("v3");
    });
    is_known_by("the same under another name", |_, repo, lake| {
        let url = address(lake, 2);
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
    let sets = env.at("sets");
    sets.write(
        "one/data/0_x.bin.remote",
        format!("[\"s3://h/b/x.bin\", \"{}\"]", address(&lake, 4)),
    );
    sets.write("one/data/1_x.bin.remote", format!("{{\"{}?x=1\": 1}}", address(&lake, 5)));
    sets.write(
        "one/shared.bin.remote",
        format!("[\"file://localhost/gone/{}.bin\"]", Oid::of(&noise(6, 3000))),
    );
    fs::create_dir_all(sets.path.join("two")).unwrap();
    symlink("../../elsewhere", sets.path.join("two/data")).unwrap();
    symlink("..", sets.path.join("two/round")).unwrap();
    env.at("elsewhere").write("0_x.bin.remote", format!("[\"{}\"]", address(&lake, 7)));
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
