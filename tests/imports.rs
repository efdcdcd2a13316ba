//! `git lake import`: datasets with `.remote` files become tracked pointers.

use std::fs;

use crate::common::dataset::place;
use crate::common::s3::{KEY, S3Server};
use crate::common::{Lake, Repo, TestEnv, noise, tree};
use git_lake::oid::Oid;

fn items() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("data/000_image.bin", noise(1, 3000)),
        ("data/001_image.bin", noise(2, 3000)),
        ("data/002_image.bin", noise(1, 3000)),
        ("data/001_empty.bin", Vec::new()),
        ("camera.bin", noise(3, 100)),
    ]
}

/// A dataset in `set` whose `.bin` are in a lake that it alone names, with a file that is not.
fn remote(place: &Repo, hash: &str) -> Lake {
    place.dataset("set", items());
    place.lake(0, ["remote-add", "-i", "set", "-o", "set", "-r", "pool", "--hash", hash]);
    place.write("set/data/000_note.txt", "held by git");
    Lake { path: place.path.join("pool") }
}

/// A repository that tracks `*.bin`, with the dataset committed in it, and the dataset's lake.
fn in_place(env: &TestEnv, hash: &str) -> (Repo, Lake) {
    let (repo, _) = env.tracked("work");
    let place = place(env);
    let pool = remote(&place, hash);
    fs::rename(place.path.join("set"), repo.path.join("set")).unwrap();
    fs::remove_file(repo.path.join("set/data/000_note.txt")).unwrap();
    repo.commit("as pipelime left it");
    repo.write("set/data/000_note.txt", "held by git");
    repo.settle();
    (repo, pool)
}

fn pointer(lake: &Lake, content: &[u8]) -> String {
    let oid = Oid::of(content).to_hex();
    let url = lake.url();
    format!(
        "git-lake pointer v1\noid sha256:{oid}\nsize {}\nsource {url}/{oid}.bin\n",
        content.len()
    )
}

#[track_caller]
fn has_content(repo: &Repo, folder: &str) {
    for (path, bytes) in items() {
        repo.has(format!("{folder}/{path}"), bytes);
    }
    repo.has(format!("{folder}/data/000_note.txt"), "held by git");
}

#[test]
fn in_place_remote_files_become_pointers_in_one_staged_change_and_nothing_is_read() {
    let env = TestEnv::new();
    let (repo, pool) = in_place(&env, "sha256");
    // Objects that nobody reads may hold anything.
    pool.damage(noise(2, 3000));
    repo.git(["lake", "import", "-i", "set"])
        .says("Remote `pool` is")
        .says("5 pointers staged (0 objects read to be named), 1 file added");
    // Git need not look into the files.
    let debug = repo.git(["ls-files", "--debug", "set/camera.bin"]).stdout;
    let size = pointer(&pool, &noise(3, 100)).len();
    assert!(debug.contains(&format!("size: {size}\t")), "{debug}");
    let staged = repo.git(["diff", "--cached", "--no-renames", "--name-status"]).stdout;
    let mut expected = vec!["M\t.gitlake.toml".to_owned(), "A\tset/data/000_note.txt".to_owned()];
    for (path, _) in items() {
        expected.extend([format!("A\tset/{path}"), format!("D\tset/{path}.remote")]);
    }
    let mut lines: Vec<&str> = staged.lines().collect();
    expected.sort_unstable();
    lines.sort_unstable();
    assert_eq!(lines, expected);
    assert!(repo.text(".gitlake.toml").contains("upload = false"));
    for (path, bytes) in items() {
        assert!(!repo.path.join(format!("set/{path}.remote")).exists(), "{path}");
        let text = if bytes.is_empty() { String::new() } else { pointer(&pool, &bytes) };
        repo.has(format!("set/{path}"), &text);
        assert_eq!(repo.blob(&format!(":set/{path}")), text);
    }
    // What git knows of the files is right: nothing is cleaned to find that out.
    repo.settle();
    assert_eq!(repo.count("clean", &["status"]), 0);
    assert_eq!(repo.git(["diff", "--name-only"]).stdout, "");
    pool.damage(noise(2, 3000));
    repo.git(["lake", "pull"]).says("4 files filled");
    has_content(&repo, "set");
    repo.git(["commit", "-q", "-m", "imported"]);
    repo.is_clean();
    // Others get it like anything else.
    let bare = env.bare("bare.git");
    repo.git(["push", "-q", "../bare.git", "HEAD:main"]);
    let other = env.clone_of(&bare, "other");
    has_content(&other, "set");
    // What was changed since is not staged by the way.
    repo.write("set/data/000_note.txt", "changed");
    repo.git(["lake", "import", "-i", "set"]).says("0 pointers staged").says("0 files added");
    assert_eq!(repo.status(), " M set/data/000_note.txt\n");
}

#[test]
fn a_clone_that_is_not_set_up_is_told() {
    let env = TestEnv::new();
    let (repo, place) = (env.repo("work"), place(&env));
    remote(&place, "sha256");
    repo.write(".gitattributes", "*.bin filter=lake\n");
    repo.git(["lake", "import", "-i", "../place/set", "set"]).says("`git lake init` sets it up");
}

#[test]
fn other_names_are_read_once_and_kept_only_when_asked() {
    for keep in [false, true] {
        let env = TestEnv::new();
        let (repo, pool) = in_place(&env, "blake2b");
        let args = ["lake", "import", "-i", "set"].into_iter().chain(keep.then_some("--keep"));
        repo.git(args).says("5 pointers staged (4 objects read to be named)");
        assert!(repo.text(".gitlake.toml").contains("hash = \"blake2b\""));
        assert_eq!(repo.stored(noise(2, 3000)).exists(), keep);
        let tmp = fs::read_dir(repo.state().join("tmp")).unwrap().count();
        assert_eq!(tmp, 0, "what was read is gone");
        if keep {
            pool.unmount();
        }
        repo.git(["lake", "pull"]);
        has_content(&repo, "set");
        repo.git(["commit", "-q", "-m", "imported"]);
        repo.is_clean();
    }
}

#[test]
fn a_dataset_elsewhere_is_copied_as_pointers_and_stays() {
    let env = TestEnv::new();
    let (repo, _) = env.tracked("work");
    let place = place(&env);
    let pool = remote(&place, "sha256");
    let before = tree(&place.path.join("set"));
    repo.git_fails(2, ["lake", "import", "-i", "../place/set"]).says("`PATH` is missing");
    let import = ["lake", "import", "-i", "../place/set", "some/where"];
    repo.git(import.into_iter().chain(["--dry-run"]))
        .says("5 items would become pointers, 1 file would be added.");
    assert_eq!(repo.status(), "");
    repo.git(import).says("5 pointers staged");
    repo.has("some/where/data/000_image.bin", pointer(&pool, &noise(1, 3000)));
    let status = repo.status();
    repo.git(import).says("0 pointers staged");
    assert_eq!(repo.status(), status);
    repo.git(["lake", "pull"]);
    has_content(&repo, "some/where");
    assert!(tree(&place.path.join("set")) == before, "the dataset was written to");
    repo.git_fails(2, ["lake", "import", "-i", "../place/set", "../away"])
        .says("is no folder of this work tree");
    repo.git_fails(2, ["lake", "import", "-i", "../place/set", ".git/x"])
        .says("is no folder of this work tree");
}

#[test]
fn what_would_not_be_tracked_is_refused_with_the_command_that_tracks_it() {
    let env = TestEnv::new();
    let (repo, _) = env.tracked("work");
    let place = place(&env);
    place.dataset("set", [("data/000_it's a.png", b"x".to_vec()), ("c.png", b"y".to_vec())]);
    place.lake(0, ["remote-add", "-i", "set", "-o", "set", "-r", "pool"]);
    let import = ["lake", "import", "-i", "../place/set", "set"];
    let ran = repo.git_fails(1, import).says("Nothing was done: 2 items would not be tracked");
    assert_eq!(repo.status(), "");
    let told = ran.stderr.replace('\n', " ");
    let command = told.split('`').find(|part| part.starts_with("git lake track")).unwrap();
    assert_eq!(command, r"git lake track '/set/c.png' '/set/data/*_it'\''s a.png'");
    assert_eq!(repo.run("sh", ["-c", command]).code, Some(0));
    repo.git(import).says("2 pointers staged");
}

#[test]
fn what_cannot_be_imported_is_told_by_name_and_the_rest_is_done() {
    let env = TestEnv::new();
    let (repo, pool) = in_place(&env, "sha256");
    // Its object is gone; another file is there; git has something else there; twins.
    pool.remove(noise(2, 3000));
    repo.write("set/camera.bin", "not what the lake has");
    repo.write("set/data/005_image.bin", "tracked");
    repo.commit("another");
    let copy = |to: &str| {
        let from = repo.path.join("set/data/000_image.bin.remote");
        fs::copy(from, repo.path.join(to)).unwrap();
    };
    copy("set/data/005_image.bin.remote");
    repo.write("set/data/006_image.bin.remote", r#"["http://h/a.bin"]"#);
    repo.git_fails(1, ["lake", "import", "-i", "set"])
        .says("3 pointers staged")
        .says("1 item was left as it was (set/data/001_image.bin): `file://")
        .says("2 items were left as they were (set/camera.bin, set/data/005_image.bin): several files")
        .says("1 item was left as it was (set/data/006_image.bin): none of its sources");
    for left in ["camera.bin", "data/001_image.bin", "data/005_image.bin", "data/006_image.bin"] {
        assert!(repo.path.join(format!("set/{left}.remote")).exists(), "{left}");
    }
    repo.has("set/camera.bin", "not what the lake has");
    assert!(repo.is_pointer("set/data/000_image.bin"));
    // Elsewhere, too, what is there stays.
    repo.write("new/data/002_image.bin", noise(7, 3000));
    fs::remove_file(repo.path.join("set/data/005_image.bin.remote")).unwrap();
    fs::remove_file(repo.path.join("set/camera.bin.remote")).unwrap();
    copy_remote(&repo, &pool);
    repo.git_fails(1, ["lake", "import", "-i", "set2", "new"])
        .says("1 item was left as it was (new/data/002_image.bin): another file is at its path");
    repo.has("new/data/002_image.bin", noise(7, 3000));
    assert!(repo.is_pointer("new/data/000_image.bin"));
}

/// Makes a dataset `set2` of two samples with the same content.
fn copy_remote(repo: &Repo, pool: &Lake) {
    let name = Oid::of(&noise(1, 3000)).to_hex();
    for at in ["000", "002"] {
        repo.write(
            format!("set2/data/{at}_image.bin.remote"),
            format!("[\"{}/{name}.bin\"]", pool.url()),
        );
    }
}

#[test]
fn the_content_may_be_there_already() {
    let env = TestEnv::new();
    let (repo, _pool) = in_place(&env, "sha256");
    repo.write("set/data/000_image.bin", noise(1, 3000));
    repo.git(["lake", "import", "-i", "set"]).says("5 pointers staged");
    repo.has("set/data/000_image.bin", noise(1, 3000));
    assert!(!repo.path.join("set/data/000_image.bin.remote").exists());
    assert_eq!(repo.git(["diff", "--name-only"]).stdout, "");
}

#[test]
fn a_kill_at_any_point_loses_nothing_and_the_same_command_finishes() {
    for point in ["import-written", "import-staged"] {
        let env = TestEnv::new();
        let (repo, pool) = in_place(&env, "sha256");
        let (stopping, stop) = repo.stop_at(point);
        let mut child = stopping.start_program("git-lake", &["import", "-i", "set"]);
        let stopped = stop.reached();
        child.kill().unwrap();
        child.wait().unwrap();
        drop(stopped);
        for (path, _) in items() {
            assert!(repo.path.join(format!("set/{path}.remote")).exists(), "{point}: {path}");
        }
        if point == "import-staged" {
            // They are back in the index, beside their pointers.
            repo.git(["add", "-A"]);
        }
        repo.git(["lake", "import", "-i", "set"]);
        for (path, bytes) in items().into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
            assert_eq!(repo.blob(&format!(":set/{path}")), pointer(&pool, &bytes), "{point}");
            assert!(!repo.path.join(format!("set/{path}.remote")).exists(), "{point}: {path}");
        }
        let staged = repo.git(["diff", "--cached", "--name-only", "--diff-filter=D"]).stdout;
        assert_eq!(staged.lines().count(), items().len(), "{point}: {staged}");
        assert_eq!(repo.git(["diff", "--name-only"]).stdout, "", "{point}");
    }
}

#[test]
fn the_first_source_that_answers_is_enough_and_order_is_kept() {
    let env = TestEnv::new();
    let (repo, pool) = in_place(&env, "sha256");
    let name = format!("{}.bin", Oid::of(&noise(1, 3000)).to_hex());
    let gone = format!("file://{}/{name}", repo.path.with_file_name("gone").display());
    let text = format!("[\"{gone}\", \"{}/{name}\"]", pool.url());
    repo.write("set/data/000_image.bin.remote", text);
    repo.git(["lake", "import", "-i", "set"]).says("is not recorded as a remote");
    let expected = format!("source {gone}\nsource {}/{name}\n", pool.url());
    assert!(repo.blob(":set/data/000_image.bin").ends_with(&expected));
}

#[test]
fn of_a_bucket_only_presence_is_asked() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let (repo, _) = env.tracked("work");
    let place = place(&env);
    place.dataset("set", items());
    server.create_bucket("pool");
    let (id, secret) = KEY;
    let url = format!("s3://{id}:{secret}@{}/pool?secure=false", server.host());
    place.lake(0, ["remote-add", "-i", "set", "-o", "set", "-r", &url]);
    server.take_requests();
    let repo = repo.with("AWS_ACCESS_KEY_ID", id).with("AWS_SECRET_ACCESS_KEY", secret);
    let host = format!("s3://{}?secure=false", server.host());
    let import = ["lake", "import", "-i", "../place/set", "set", "--host", &host];
    repo.git(import).says("5 pointers staged (0 objects read to be named)");
    let asked = server.take_requests();
    let read = |object: &str| asked.iter().any(|it| it.method == "GET" && it.path.contains(object));
    assert!(!asked.is_empty());
    for (_, bytes) in items() {
        assert!(!read(&Oid::of(&bytes).to_hex()), "an object was read: {asked:#?}");
    }
    assert!(repo.text(".gitlake.toml").contains("secure = false"));
    repo.git(["lake", "pull"]).says("4 files filled");
    repo.has("set/camera.bin", noise(3, 100));
}
