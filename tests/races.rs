//! Two processes that want the same at the same time. What comes first is left to chance, so each race is run
//! several times: `GIT_LAKE_TEST_ROUNDS` says how often.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::random::Random;
use crate::common::truth::{self, Lakes};
use crate::common::{Ran, Repo, TestEnv, noise};

const ROUNDS: u64 = 5;
/// Longest time that one of the two is later than the other.
const LATER_MS: u64 = 25;

fn rounds() -> impl Iterator<Item = Random> {
    let count = std::env::var("GIT_LAKE_TEST_ROUNDS").ok().map(|text| text.parse().unwrap());
    (0..count.unwrap_or(ROUNDS)).map(Random::new)
}

/// Runs two commands, of which either may be a little later, and returns what came of them.
fn at_once(random: &mut Random, one: (&Repo, &[&str]), other: (&Repo, &[&str])) -> [Ran; 2] {
    let is_turned = random.below(2) == 0;
    let wait = Duration::from_millis(random.below(LATER_MS));
    let start = |(repo, args): (&Repo, &[&str])| {
        let mut command = repo.command(args[0]);
        command.args(&args[1..]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let (first, second) = if is_turned { (other, one) } else { (one, other) };
    let first = start(first);
    std::thread::sleep(wait);
    let second = start(second);
    let mut ran = [first, second].map(|child| Ran::of(child.wait_with_output().unwrap()));
    if is_turned {
        ran.reverse();
    }
    ran
}

/// All objects are what they are named, and every pointer stands for something.
#[track_caller]
fn is_sound(env: &TestEnv, repo: &Repo, storage: &[PathBuf]) {
    let mut here = truth::stored(repo, false).unwrap();
    for folder in storage {
        here.extend(truth::objects_below(&folder.join("v1/objects"), false).unwrap());
    }
    let folders = [env.path("lake"), env.path("other")];
    truth::nothing_is_lost(repo, Lakes { folders: &folders, server: None }, &here).unwrap();
    truth::status_is_true(repo).unwrap();
}

fn tracked(env: &TestEnv) -> Repo {
    let lake = env.lake("lake");
    let repo = env.repo("work");
    repo.set_up(&[&lake]);
    repo
}

#[track_caller]
fn succeeded(ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{ran:#?}");
}

#[test]
fn two_adds_of_one_content_store_and_upload_it_once() {
    for mut random in rounds() {
        let env = TestEnv::new();
        let repo = tracked(&env);
        repo.git(["worktree", "add", "-q", "../beside"]);
        let beside = env.at("beside");
        for place in [&repo, &beside] {
            place.write("small.bin", noise(1, 3000));
            place.write("large.bin", noise(2, 2_000_000));
        }
        let ran =
            at_once(&mut random, (&repo, &["git", "add", "-A"]), (&beside, &["git", "add", "-A"]));
        ran.iter().for_each(succeeded);
        repo.git(["lake", "push"]);
        is_sound(&env, &repo, &[]);
        is_sound(&env, &beside, &[]);
        assert_eq!(truth::objects_of(&env.path("lake")).unwrap().len(), 2);
    }
}

#[test]
fn what_is_added_while_a_prune_runs_is_kept_or_in_a_lake() {
    for mut random in rounds() {
        let env = TestEnv::new();
        let repo = tracked(&env);
        repo.write("a.bin", noise(1, 3000));
        repo.commit("a");
        repo.git(["rm", "-q", "--cached", "a.bin"]);
        repo.write("b.bin", noise(1, 3000));
        let prune: &[&str] = &["git", "lake", "prune", "--current"];
        let [added, pruned] = at_once(&mut random, (&repo, &["git", "add", "-A"]), (&repo, prune));
        succeeded(&added);
        assert!(matches!(pruned.code, Some(0 | 1)), "{pruned:#?}");
        is_sound(&env, &repo, &[]);
        repo.commit("b");
        fs::remove_file(repo.path.join("b.bin")).unwrap();
        repo.git(["checkout", "-q", "--", "b.bin"]);
        repo.has("b.bin", noise(1, 3000));
    }
}

#[test]
fn a_drop_during_a_checkout_leaves_content_or_pointers_of_what_is_checked_out() {
    for mut random in rounds() {
        let env = TestEnv::new();
        let repo = tracked(&env);
        repo.git(["config", "lake.inbandLimit", "64k"]);
        let write = |repo: &Repo, seed: u64| {
            repo.write("a.bin", noise(seed, 3000));
            repo.write("large.bin", noise(seed + 1, 200_000));
        };
        write(&repo, 1);
        repo.commit("one");
        repo.on_branch("next", |repo| write(repo, 11));
        let switch: &[&str] = &["git", "switch", "-q", "next"];
        let drop: &[&str] = &["git", "lake", "drop", "."];
        let [switched, dropped] = at_once(&mut random, (&repo, switch), (&repo, drop));
        // Each may find the index locked by the other.
        assert!(
            switched.code == Some(0) || switched.stderr.contains("index.lock"),
            "{switched:#?}"
        );
        assert!(matches!(dropped.code, Some(0 | 1)), "{dropped:#?}");
        is_sound(&env, &repo, &[]);
        repo.git(["switch", "-q", "-f", "next"]);
        repo.git(["lake", "pull"]);
        repo.has("a.bin", noise(11, 3000));
        repo.has("large.bin", noise(12, 200_000));
        repo.is_clean();
    }
}

#[test]
fn two_clones_that_add_one_remote_at_once_agree_on_it() {
    for mut random in rounds() {
        let env = TestEnv::new();
        let repo = tracked(&env);
        repo.write("a.bin", noise(1, 3000));
        repo.write("b.bin", noise(2, 30_000));
        repo.commit("files");
        let clone = env.clone_of(&repo, "clone");
        let add: &[&str] = &["git", "lake", "remote-add", "../other"];
        let ran = at_once(&mut random, (&repo, add), (&clone, add));
        ran.iter().for_each(succeeded);
        for place in [&repo, &clone] {
            is_sound(&env, place, &[]);
        }
        assert_eq!(repo.git(["ls-files", "-s"]).stdout, clone.git(["ls-files", "-s"]).stdout);
        let objects = truth::objects_of(&env.path("other")).unwrap();
        assert_eq!(objects.len(), 2, "{objects:?}");
    }
}

#[test]
fn two_that_declare_a_lake_at_once_leave_one_declaration() {
    for mut random in rounds() {
        let env = TestEnv::new();
        let repos = ["one", "two"].map(|name| env.repo(name));
        let ran = at_once(
            &mut random,
            (&repos[0], &["git", "lake", "init", "--hash", "sha256", "../lake"]),
            (&repos[1], &["git", "lake", "init", "--hash", "blake2b", "../lake"]),
        );
        let declared = fs::read(env.path("lake/.pl/tags.json")).unwrap();
        let declared = String::from_utf8(declared).unwrap();
        let hashes = ["sha256", "blake2b"];
        let winner = hashes.iter().position(|hash| declared.contains(&format!("\"{hash}\"")));
        let winner = winner.unwrap_or_else(|| panic!("{declared}"));
        succeeded(&ran[winner]);
        let loser = &ran[1 - winner];
        assert_eq!(loser.code, Some(1), "{loser:#?}");
        assert!(loser.stderr.contains("declares"), "{loser:#?}");
        assert!(!repos[1 - winner].path.join(".gitlake.toml").exists());
    }
}

#[test]
fn a_file_that_is_written_to_during_an_add_is_one_state_of_it_and_status_says_so() {
    for mut random in rounds() {
        let env = TestEnv::new();
        let repo = tracked(&env);
        repo.write("a.bin", noise(1, 6 << 20));
        let is_over = AtomicBool::new(false);
        let by = *random.one_of(&[["git", "add", "a.bin", "--"], ["git", "lake", "add", "a.bin"]]);
        let mut file = fs::File::options().write(true).open(repo.path.join("a.bin")).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut at = 0;
                while !is_over.load(Ordering::Relaxed) {
                    at = (at + 77_777) % (6 << 20);
                    file.seek(SeekFrom::Start(at)).unwrap();
                    file.write_all(b"another").unwrap();
                }
            });
            let ran = repo.run(by[0], &by[1..]);
            is_over.store(true, Ordering::Relaxed);
            // git and git-lake may say that the file changes; what they took is whole.
            assert!(ran.code.is_some() && !ran.stderr.contains("panicked"), "{ran:#?}");
        });
        is_sound(&env, &repo, &[]);
        repo.git(["add", "a.bin"]);
        is_sound(&env, &repo, &[]);
        assert_eq!(repo.status(), "A  a.bin\n");
    }
}

#[test]
fn a_clone_that_adds_what_another_one_prunes_from_their_store_keeps_it() {
    for mut random in rounds() {
        let env = TestEnv::new();
        let lake = env.lake("lake");
        let storage = env.path("storage");
        fs::create_dir(&storage).unwrap();
        let repos = ["one", "two"].map(|name| env.repo(name));
        for repo in &repos {
            repo.git(["config", "lake.storage", &storage.display().to_string()]);
            repo.set_up(&[&lake]);
        }
        let [one, two] = &repos;
        one.write("a.bin", noise(1, 3000));
        one.commit("a");
        one.git(["rm", "-q", "a.bin"]);
        one.git(["commit", "-q", "-m", "gone"]);
        two.write("b.bin", noise(1, 3000));
        let prune: &[&str] = &["git", "lake", "prune", "--current"];
        let [added, pruned] = at_once(&mut random, (two, &["git", "add", "-A"]), (one, prune));
        succeeded(&added);
        assert!(matches!(pruned.code, Some(0 | 1)), "{pruned:#?}");
        for repo in &repos {
            is_sound(&env, repo, std::slice::from_ref(&storage));
        }
    }
}
