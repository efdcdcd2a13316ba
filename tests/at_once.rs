//! Several clones and work trees at work at once.

use std::fs;
use std::path::Path;
use std::sync::Barrier;

use crate::common::{Repo, TestEnv, noise, same_trees};

/// What may be left of a clone's local state when nothing runs: no claims, nothing staged, no lock held.
#[track_caller]
fn is_at_rest(repo: &Repo) {
    repo.git(["lake", "status"]).prints("Nothing is owed.");
    let state = repo.state();
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names(&state.join("tmp")), [""; 0]);
    assert!(names(&state.join("fill")).is_empty());
    let queue = names(&state.join("queue"));
    assert!(queue.iter().all(|name| name == "lock"), "{queue:?}");
    for lock in ["queue/lock", "receipts/lock"] {
        if let Ok(file) = fs::File::open(state.join(lock)) {
            file.try_lock().unwrap();
        }
    }
    let staged = fs::read_dir(state.join("objects")).into_iter().flatten().flatten();
    for name in staged.flat_map(|folder| names(&folder.path())) {
        assert!(!name.starts_with(".lake-"), "{name}");
    }
    assert!(!repo.git_dir().join("index.lock").exists());
}

/// Pushes; whoever is second takes in what the first pushed and tries again. Work trees of one clone
/// compete for its references, too, which git tells as a failure.
fn push_until_it_is_there(repo: &Repo, branch: &str) {
    const ATTEMPTS: usize = 100;
    let target = format!("HEAD:{branch}");
    let is_pushed = |_| {
        let is_pushed = repo.run("git", ["push", "-q", "origin", &target]).code == Some(0);
        if !is_pushed {
            repo.run("git", ["pull", "-q", "--no-rebase", "--no-edit", "origin", branch]);
        }
        is_pushed
    };
    assert!((0..ATTEMPTS).any(is_pushed), "{}", repo.path.display());
}

#[test]
fn two_clones_and_two_work_trees_add_commit_push_and_pull_at_once() {
    const ROUNDS: u64 = 2;
    const FILES: u64 = 12;
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let origin = env.bare("origin.git");
    repo.git(["remote", "add", "origin", "../origin.git"]);
    repo.git(["push", "-q", "origin", "main"]);
    let sides = [env.clone_of(&origin, "one"), env.clone_of(&origin, "two")];
    let mut trees = sides.to_vec();
    for (at, side) in sides.iter().enumerate() {
        let name = format!("linked-{at}");
        side.git(["worktree", "add", "-q", &format!("../{name}"), "-b", &name, "origin/main"]);
        trees.push(env.at(&name));
    }
    let begin = Barrier::new(trees.len());
    std::thread::scope(|scope| {
        for (at, tree) in (0_u64..).zip(&trees) {
            let begin = &begin;
            scope.spawn(move || {
                // The first alone: who fails must not let the others wait.
                begin.wait();
                for round in 0..ROUNDS {
                    for file in 0..FILES {
                        // One in three has content that everybody adds at the same time.
                        let owner = if file % 3 == 0 { 0 } else { at + 1 };
                        let seed = 1 + owner + 10 * file + 1000 * round;
                        tree.write(format!("{at}/{round}-{file}.bin"), noise(seed, 2000));
                    }
                    tree.git(["add", "."]);
                    tree.git(["commit", "-q", "-m", "more"]);
                    push_until_it_is_there(tree, "main");
                }
            });
        }
    });
    for tree in &trees {
        tree.git(["pull", "-q", "--ff-only", "origin", "main"]);
        same_trees(tree, &trees[0]);
        tree.is_clean_when_touched();
        is_at_rest(tree);
    }
    for (at, round, file) in [(0, 0, 0), (3, ROUNDS - 1, FILES - 1), (2, 1, 5)] {
        let owner = if file % 3 == 0 { 0 } else { at + 1 };
        let content = noise(1 + owner + 10 * file + 1000 * round, 2000);
        trees[0].has(format!("{at}/{round}-{file}.bin"), &content);
        lake.holds(content);
    }
    let count = ROUNDS * FILES / 3 + ROUNDS * FILES * 2 / 3 * trees.len() as u64;
    assert_eq!(lake.objects().len() as u64, count);
    // Nor has anybody left anything in the lake.
    let staged: Vec<_> = fs::read_dir(lake.path.join(".lake")).into_iter().flatten().collect();
    assert!(staged.is_empty(), "{staged:?}");
    same_trees(&env.clone_of(&origin, "last"), &trees[0]);
}
