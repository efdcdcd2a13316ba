//! Commands that change something, each in a world where it has something to do.

use std::fs;

use super::World;
use crate::common::{Repo, noise};

pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// Makes the world in which the command runs, on top of a clone with a lake and `*.bin` tracked.
    pub(super) prepare: fn(&World),
    pub(super) command: &'static [&'static str],
    /// What a user types after a failure, where it is not the same.
    pub(super) again: Option<&'static [&'static str]>,
    /// The lake is a bucket, else a folder.
    pub(super) needs_server: bool,
    /// Runs outside of git.
    pub(super) is_dataset: bool,
    /// Each object is durable before git hears of it.
    pub(super) syncs_each: bool,
}

const fn git(
    name: &'static str,
    prepare: fn(&World),
    command: &'static [&'static str],
) -> Scenario {
    let (again, needs_server, is_dataset, syncs_each) = (None, false, false, false);
    Scenario { name, prepare, command, again, needs_server, is_dataset, syncs_each }
}

const fn bucket(
    name: &'static str,
    prepare: fn(&World),
    command: &'static [&'static str],
) -> Scenario {
    Scenario { needs_server: true, ..git(name, prepare, command) }
}

const fn dataset(
    name: &'static str,
    prepare: fn(&World),
    command: &'static [&'static str],
) -> Scenario {
    Scenario { is_dataset: true, ..git(name, prepare, command) }
}

/// A second lake.
const OTHER: &str = "../other";
/// git asks for force where files were changed already; what is a pointer then is left to a pull.
const SWITCH_AGAIN: &[&str] = &["sh", "-c", "git switch -q -f next && git lake pull"];
/// Where nothing is left to be removed, that is said and the exit code is 1.
const REMOVED: &str = "git lake remote-remove ../other || ! git grep --cached -q other";
/// What could not be done for an item is done in the output, if that is there.
const ADD_AGAIN: &str =
    "git-lake remote-add -i $(test -e out && echo out || echo set) -o out -r lake";
const CLONE_AGAIN: &str = "git-lake clone -i $(test -e out && echo out || echo set) -o out";
/// Larger than what goes through the pipe, than what is held in memory, and than a part.
const LARGE: usize = 100_000;
const STREAMED: usize = 1_500_000;
const IN_PARTS: usize = 11 << 20;

/// Small and large files, none of them known to anybody.
fn write(repo: &Repo, seed: u64) {
    for (name, at, size) in [("a.bin", 1, 3000), ("b.bin", 2, 100), ("dir/c.bin", 3, 2000)] {
        repo.write(name, noise(seed * 10 + at, size));
    }
    repo.write("large.bin", noise(seed * 10 + 4, LARGE));
    repo.write("streamed.bin", noise(seed * 10 + 5, STREAMED));
}

fn committed(world: &World) {
    write(&world.repo, 1);
    world.repo.commit("files");
    world.repo.settle();
}

/// Files that are not as in the index, of which one has content that is known.
fn changed(repo: &Repo) {
    write(repo, 1);
    repo.commit("files");
    write(repo, 2);
    repo.write("b.bin", noise(11, 3000));
    repo.write("new.bin", noise(30, 500));
    repo.write("empty.bin", "");
}

fn owing(world: &World) {
    world.repo.git(["config", "lake.upload", "push"]);
    committed(world);
}

fn pushing(world: &World) {
    owing(world);
    let origin = world.env.bare("origin");
    world.repo.git(["remote", "add", "origin", &origin.path.display().to_string()]);
}

fn owing_large(world: &World) {
    world.repo.git(["config", "lake.upload", "push"]);
    world.repo.write("parts.bin", noise(40, IN_PARTS));
    world.repo.write("a.bin", noise(11, 3000));
    world.repo.commit("files");
}

/// The store is empty, and the work tree has pointers.
fn unfilled(world: &World) {
    world.repo.empty_store();
    for name in world.repo.git(["ls-files", "*.bin"]).stdout.lines() {
        fs::remove_file(world.repo.path.join(name)).unwrap();
    }
    world.repo.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["checkout", "-q", "--", "*.bin"]);
}

fn left_as_pointers(world: &World) {
    committed(world);
    unfilled(world);
}

fn large_left_as_pointers(world: &World) {
    world.repo.write("parts.bin", noise(40, IN_PARTS));
    committed(world);
    unfilled(world);
}

fn two_branches(repo: &Repo) {
    write(repo, 1);
    repo.commit("files");
    repo.on_branch("next", |repo| write(repo, 2));
    repo.settle();
}

fn two_branches_elsewhere(world: &World) {
    two_branches(&world.repo);
    world.repo.empty_store();
}

fn in_two_lakes(world: &World) {
    committed(world);
    world.repo.git(["lake", "remote-add", OTHER]);
    world.repo.git(["commit", "-q", "-m", "two lakes"]);
}

/// One object is damaged in the store, one is missing in the lake.
fn damaged(world: &World) {
    in_two_lakes(world);
    let (one, other) = (noise(11, 3000), noise(14, LARGE));
    let path = world.repo.stored(&one);
    fs::remove_file(&path).unwrap();
    fs::remove_file(world.env.path("other").join(name_of(&other))).unwrap();
}

fn name_of(content: &[u8]) -> String {
    format!("{}.bin", git_lake::oid::Oid::of(content).to_hex())
}

/// A dataset outside of git.
fn filled(world: &World, name: &str) {
    let files = [("data/0_a.bin", 1, 3000), ("data/1_a.bin", 2, STREAMED), ("shared.yml", 3, 100)];
    let files = files.map(|(name, seed, size)| (name, noise(seed, size)));
    world.env.at(".").dataset(name, files);
}

/// A dataset of which the lake has everything.
fn away(world: &World) {
    filled(world, "set");
    let place = world.env.at(".");
    place.lake(0, ["remote-add", "-i", "set", "-o", "set", "-r", "lake"]);
}

/// New and changed files, and a git that syncs what it writes.
fn syncing_each(world: &World) {
    changed(&world.repo);
    world.repo.git(["config", "core.fsync", "all"]);
}

/// The same inside the work tree.
fn importing(world: &World) {
    away(world);
    fs::rename(world.env.path("set"), world.repo.path.join("set")).unwrap();
    world.repo.git(["lake", "track", "set/**"]);
    world.repo.commit("a dataset");
}

pub(super) const SCENARIOS: &[Scenario] = &[
    // What is in the index is added; what is owed is sent by a push.
    Scenario {
        again: Some(&["sh", "-c", "git add -A && git lake push"]),
        ..git("add", |it| changed(&it.repo), &["git", "add", "-A"])
    },
    Scenario {
        again: Some(&["sh", "-c", "git add -A && git lake push"]),
        syncs_each: true,
        ..git("add with core.fsync", syncing_each, &["git", "add", "-A"])
    },
    Scenario {
        again: Some(&["sh", "-c", "git lake add . && git lake push"]),
        ..git("lake add", |it| changed(&it.repo), &["git", "lake", "add", "."])
    },
    git("upload", owing, &["git", "lake", "push"]),
    git("push", pushing, &["git", "push", "-q", "origin", "main"]),
    bucket("multipart", owing_large, &["git", "lake", "push"]),
    git("download", left_as_pointers, &["git", "lake", "pull"]),
    bucket("ranged download", large_left_as_pointers, &["git", "lake", "pull"]),
    Scenario {
        again: Some(SWITCH_AGAIN),
        ..git("switch", |it| two_branches(&it.repo), &["git", "switch", "-q", "next"])
    },
    Scenario {
        again: Some(SWITCH_AGAIN),
        ..git("switch and download", two_branches_elsewhere, &["git", "switch", "-q", "next"])
    },
    git("remote-add", committed, &["git", "lake", "remote-add", OTHER]),
    Scenario {
        again: Some(&["sh", "-c", REMOVED]),
        ..git("remote-remove", in_two_lakes, &["git", "lake", "remote-remove", OTHER])
    },
    git("drop", committed, &["git", "lake", "drop", "."]),
    git("prune", committed, &["git", "lake", "prune", "--current"]),
    git("repair", damaged, &["git", "lake", "fsck", "--repair", "--remote", "--read-data"]),
    git("import", importing, &["git", "lake", "import", "-i", "set"]),
    Scenario {
        again: Some(&["sh", "-c", ADD_AGAIN]),
        ..dataset(
            "dataset remote-add",
            |it| filled(it, "set"),
            &["git-lake", "remote-add", "-i", "set", "-o", "out", "-r", "lake"],
        )
    },
    dataset(
        "dataset remote-add in place",
        |it| filled(it, "set"),
        &["git-lake", "remote-add", "-i", "set", "-o", "set", "-r", "lake"],
    ),
    Scenario {
        again: Some(&["sh", "-c", CLONE_AGAIN]),
        ..dataset("dataset clone", away, &["git-lake", "clone", "-i", "set", "-o", "out"])
    },
    dataset("dataset clone in place", away, &["git-lake", "clone", "-i", "set", "-o", "set"]),
    dataset(
        "dataset remote-remove",
        away,
        &["git-lake", "remote-remove", "-i", "set", "-o", "set", "-r", "lake"],
    ),
];
