//! Links in a work tree that lead out of it: whoever made the repository put them there, or puts them there
//! while git-lake is at work. What is behind them is never changed.
//!
//! A file system that folds the case of names shows a repository's link `Data` where a path says `data`,
//! which is a link on the way like those here.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::common::dataset::place;
use crate::common::{Lake, Repo, TestEnv, noise};
use git_lake::oid::Oid;

/// What lies outside: names, inodes, bytes, and when each was written.
#[derive(Debug, PartialEq, Eq)]
struct Outside(Vec<(PathBuf, u64, u32, SystemTime, Vec<u8>)>);

fn look(folder: &Path) -> Outside {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, metadata) = (entry.path(), entry.metadata().unwrap());
            let mut bytes = Vec::new();
            if metadata.is_dir() {
                folders.push(path.clone());
            } else if metadata.is_file() {
                bytes = fs::read(&path).unwrap();
            }
            let mode = metadata.mode();
            found.push((path, metadata.ino(), mode, metadata.modified().unwrap(), bytes));
        }
    }
    found.sort();
    Outside(found)
}

/// Two lakes, and a clone with pointers and with content, in the top and in a folder.
fn clone(env: &TestEnv) -> Repo {
    let (repo, _lake) = env.tracked("work");
    for (at, path) in ["a.bin", "top.bin", "folder/b.bin", "folder/c.bin"].into_iter().enumerate() {
        repo.write(path, noise(at as u64 + 1, 3000));
    }
    repo.write("folder/.gitattributes", "*.raw filter=lake\n");
    repo.write("folder/d.raw", "content that git holds");
    repo.commit("v1");
    env.lake("mirror");
    env.install();
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", "work", "clone"]);
    let clone = env.at("clone");
    clone.git(["lake", "pull", "a.bin", "folder/b.bin"]);
    assert!(clone.is_pointer("top.bin") && clone.is_pointer("folder/c.bin"));
    clone
}

/// All that writes into a work tree.
const WRITERS: [&[&str]; 14] = [
    &["doctor", "--fix"],
    &["pull"],
    &["drop", "a.bin"],
    &["drop", "folder"],
    &["drop", "."],
    &["remote-add", "../mirror"],
    &["remote-remove", "../work-lake", "--force"],
    &["add", "."],
    &["add", "folder/b.bin"],
    &["pull", "."],
    &["fsck", "--repair"],
    &["prune", "--current"],
    &["track", "*.other"],
    &["untrack", "*.other"],
];

/// Runs all that writes, after which nothing outside has changed.
#[track_caller]
fn stays(repo: &Repo, outside: &Path) {
    let before = look(outside);
    for args in WRITERS {
        let ran = repo.run("git-lake", args);
        assert!(matches!(ran.code, Some(0..=3)), "{args:?}: {ran:?}");
        assert_eq!(look(outside), before, "{args:?}: {ran:?}");
    }
    for args in [&["checkout", "-q", "-f", "--", "."][..], &["reset", "-q", "--hard"]] {
        repo.run("git", args);
        assert_eq!(look(outside), before, "{args:?}");
    }
}

#[test]
fn a_folder_that_is_a_link_leads_nowhere() {
    let env = TestEnv::new();
    let (clone, outside) = (clone(&env), env.path("outside"));
    fs::rename(clone.path.join("folder"), &outside).unwrap();
    symlink(&outside, clone.path.join("folder")).unwrap();
    stays(&clone, &outside);
}

#[test]
fn a_file_that_is_a_link_leads_nowhere() {
    let env = TestEnv::new();
    let (clone, outside) = (clone(&env), env.path("outside"));
    fs::create_dir(&outside).unwrap();
    for name in ["a.bin", "top.bin", "folder/c.bin", ".gitattributes", ".gitlake.toml"] {
        let target = outside.join(name.replace('/', "-"));
        fs::rename(clone.path.join(name), &target).unwrap();
        symlink(&target, clone.path.join(name)).unwrap();
    }
    stays(&clone, &outside);
}

#[test]
fn a_file_with_another_name_outside_is_not_written_through() {
    let env = TestEnv::new();
    let (clone, outside) = (clone(&env), env.path("outside"));
    fs::create_dir(&outside).unwrap();
    let names = ["a.bin", "top.bin", "folder/b.bin", "folder/c.bin", ".gitattributes"];
    for name in names.iter().chain(&[".gitlake.toml", "folder/.gitattributes", "folder/d.raw"]) {
        let target = outside.join(name.replace('/', "-"));
        fs::hard_link(clone.path.join(name), target).unwrap();
    }
    stays(&clone, &outside);
    // They were written, each under a new inode.
    clone.git(["lake", "pull"]);
    clone.has("top.bin", noise(2, 3000));
    assert!(outside.join("top.bin").metadata().unwrap().nlink() == 1);
}

#[test]
fn git_merges_and_switches_without_writing_through_another_name() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.git(["config", "lake.inbandLimit", "1000"]);
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    repo.on_branch("side", |repo| {
        repo.write("a.bin", noise(2, 4000));
    });
    let outside = env.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::hard_link(repo.path.join("a.bin"), outside.join("first")).unwrap();
    let before = look(&outside);
    repo.git(["switch", "-q", "side"]);
    repo.has("a.bin", noise(2, 4000));
    repo.git(["switch", "-q", "main"]);
    assert_eq!(look(&outside), before);
    fs::hard_link(repo.path.join("a.bin"), outside.join("second")).unwrap();
    let before = look(&outside);
    repo.git(["merge", "-q", "side"]);
    repo.has("a.bin", noise(2, 4000));
    assert_eq!(look(&outside), before);
}

/// Where a link is swapped in, by the command that gets there.
const POINTS: [(&str, &[&str]); 8] = [
    ("fill-begins", &["pull"]),
    ("fill-marked", &["pull"]),
    ("fill-copied", &["pull"]),
    ("fill-copied", &["drop", "folder/b.bin"]),
    ("fill-marked", &["drop", "folder/b.bin"]),
    ("rewrite-begins", &["remote-add", "../mirror"]),
    ("add-ingested", &["add", "folder"]),
    ("add-stored", &["add", "folder"]),
];

#[test]
fn a_link_that_is_swapped_in_at_the_last_moment_leads_nowhere() {
    let env = TestEnv::new();
    let clone = clone(&env);
    let (folder, away) = (clone.path.join("folder"), clone.path.join("was-folder"));
    for (at, (point, args)) in POINTS.into_iter().enumerate() {
        if args[0] == "add" {
            clone.write("folder/b.bin", noise(50 + at as u64, 3000));
        }
        let outside = env.path("outside");
        fs::create_dir(&outside).unwrap();
        for name in ["b.bin", "c.bin"] {
            fs::copy(folder.join(name), outside.join(name)).unwrap();
        }
        let before = look(&outside);
        let (stopping, stop) = clone.stop_at(point);
        let mut running = stopping.start_program("git-lake", args);
        let stopped = stop.reached();
        fs::rename(&folder, &away).unwrap();
        symlink(&outside, &folder).unwrap();
        drop(stopped);
        running.wait().unwrap();
        assert_eq!(look(&outside), before, "{point} {args:?}");
        fs::remove_file(&folder).unwrap();
        fs::rename(&away, &folder).unwrap();
        fs::remove_dir_all(&outside).unwrap();
        clone.git(["reset", "-q", "--hard"]);
        clone.git(["lake", "pull"]);
        fs::remove_file(folder.join("c.bin")).unwrap();
        clone.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["checkout", "-q", "--", "folder/c.bin"]);
    }
}

/// A dataset in a repository, of which an item is a link, or lies behind one.
fn dataset(env: &TestEnv) -> (Repo, Lake) {
    let (repo, _) = env.tracked("work");
    let place = place(env);
    place.dataset("set", [("data/000_x.bin", noise(1, 3000)), ("data/001_x.bin", noise(2, 3000))]);
    place.lake(0, ["remote-add", "-i", "set", "-o", "set", "-r", "pool"]);
    fs::rename(place.path.join("set"), repo.path.join("set")).unwrap();
    repo.commit("as pipelime left it");
    (repo, Lake { path: place.path.join("pool") })
}

#[test]
fn an_import_neither_writes_nor_removes_behind_a_link() {
    let env = TestEnv::new();
    let (repo, _pool) = dataset(&env);
    let (data, away) = (repo.path.join("set/data"), repo.path.join("was-data"));
    for point in [None, Some("import-copied"), Some("import-written"), Some("import-staged")] {
        let outside = env.path("outside");
        fs::create_dir(&outside).unwrap();
        for name in ["000_x.bin.remote", "001_x.bin.remote"] {
            fs::copy(data.join(name), outside.join(name)).unwrap();
        }
        let before = look(&outside);
        let swap = || {
            fs::rename(&data, &away).unwrap();
            symlink(&outside, &data).unwrap();
        };
        let args = ["import", "-i", "set"];
        match point {
            None => {
                swap();
                repo.run("git-lake", args);
            }
            Some(point) => {
                let (stopping, stop) = repo.stop_at(point);
                let mut running = stopping.start_program("git-lake", &args);
                let stopped = stop.reached();
                swap();
                drop(stopped);
                running.wait().unwrap();
            }
        }
        assert_eq!(look(&outside), before, "{point:?}");
        fs::remove_file(&data).unwrap();
        fs::rename(&away, &data).unwrap();
        fs::remove_dir_all(&outside).unwrap();
        repo.git(["reset", "-q", "--hard"]);
        repo.git(["clean", "-q", "-d", "-f"]);
    }
    repo.git(["lake", "import", "-i", "set"]);
    repo.git(["lake", "pull"]);
    repo.has("set/data/000_x.bin", noise(1, 3000));
}

#[test]
fn a_dataset_in_place_replaces_links_and_not_what_they_lead_to() {
    let env = TestEnv::new();
    let (place, outside) = (place(&env), env.path("outside"));
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("linked"), noise(1, 3000)).unwrap();
    fs::write(outside.join("named"), noise(2, 3000)).unwrap();
    fs::write(outside.join("target"), "mine").unwrap();
    place.dataset("set", [("data/002_x.bin", noise(3, 3000))]);
    symlink(outside.join("linked"), place.path.join("set/data/000_x.bin")).unwrap();
    fs::hard_link(outside.join("named"), place.path.join("set/data/001_x.bin")).unwrap();
    let before = look(&outside);
    for (input, output) in [("set", "set"), ("set", "copy")] {
        place.run("git-lake", ["remote-add", "-i", input, "-o", output, "-r", "pool"]);
        assert_eq!(look(&outside), before);
        place.run("git-lake", ["clone", "-i", output, "-o", &format!("{output}-back")]);
        place.run("git-lake", ["remote-remove", "-i", output, "-o", output, "-r", "pool"]);
        place.run("git-lake", ["clone", "-i", output, "-o", output]);
        assert_eq!(look(&outside), before);
    }
    // A `.remote` file and a folder that are links.
    symlink(outside.join("target"), place.path.join("set/data/003_x.bin.remote")).unwrap();
    fs::create_dir(place.path.join("other")).unwrap();
    symlink(&outside, place.path.join("other/data")).unwrap();
    for set in ["set", "other"] {
        let before = look(&outside);
        place.run("git-lake", ["remote-add", "-i", set, "-o", &format!("{set}-new"), "-r", "pool"]);
        assert_eq!(look(&outside), before, "{set}");
    }
}

/// Names that other file systems take for git's own folder; this one does not, so git can be made to have
/// them.
#[test]
fn what_other_file_systems_take_for_the_git_folder_is_not_filled() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    let loose = ["-c", "core.protectNTFS=false", "-c", "core.protectHFS=false"];
    let names =
        [".g\u{200c}it/x.bin", ".git /x.bin", "git~1/x.bin", "b\\.git\\x.bin", ".Git./h/x.bin"];
    let blob = repo.git(["rev-parse", "HEAD:a.bin"]).stdout.trim().to_owned();
    for name in names {
        let info = format!("100644,{blob},{name}");
        repo.git(loose.iter().chain(&["update-index", "--add", "--cacheinfo", &info]));
    }
    repo.git(["commit", "-q", "-m", "v2"]);
    env.install();
    for key in ["core.protectNTFS", "core.protectHFS"] {
        env.at("home").git(["config", "--global", key, "false"]);
    }
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", "work", "clone"]);
    let clone = env.at("clone");
    let ran = clone.git(["lake", "pull"]);
    clone.has("a.bin", noise(1, 3000));
    for name in names {
        assert!(clone.is_pointer(name), "{name}: {ran:?}");
    }
    clone.run("git", ["lake", "drop", "."]);
    clone.run("git", ["lake", "remote-add", "../work-lake"]);
    for name in names {
        assert!(clone.is_pointer(name), "{name}");
    }
    assert_eq!(lake.objects(), [format!("{}.bin", Oid::of(&noise(1, 3000)))]);
}
