//! A long time with several clones, lakes that come and go, and kills: after each step, all is as a simple
//! model of it says, and nothing is lost.
//!
//! A seed decides the steps. For others, or for hours:
//! `GIT_LAKE_TEST_STEPS=100000 GIT_LAKE_TEST_SEEDS=7..8 cargo test more_long_runs -- --ignored`.

mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::common::random::{Random, seeds};
use crate::common::truth::{self, Lakes};
use crate::common::{Lake, Ran, Repo, TestEnv};

use model::{Content, Expected, History, Tree, bytes_of};

/// Steps of each of the runs below.
const STEPS: u64 = 500;
/// All is looked at after so many steps; what a step is about, after each.
const STEPS_UNTIL_ALL: u64 = 20;
/// Larger files are filled when git has written pointers, in bytes.
const INBAND_LIMIT: usize = 64 << 10;
const PATHS: [&str; 8] =
    ["a.bin", "b.bin", "c.bin", "dir/d.bin", "dir/deep/e.bin", "f g.bin", "n.txt", "dir/m.txt"];

struct Run {
    random: Random,
    env: TestEnv,
    lakes: [Lake; 2],
    are_there: [bool; 2],
    /// Where lakes are, or would be if they were there.
    folders: Vec<PathBuf>,
    clones: Vec<(Repo, Expected)>,
    history: History,
    /// Of the repository that all push to.
    origin: usize,
    contents: Content,
    /// The last command was attempted before, and killed.
    was_killed: bool,
    /// What was done, for whoever reads a failure.
    log: Vec<String>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let env = TestEnv::new();
        let lakes = [env.lake("lake"), env.lake("other")];
        let origin = env.bare("origin");
        let first = env.repo("one");
        first.git(["config", "--global", "lake.inbandLimit", &INBAND_LIMIT.to_string()]);
        first.git(["config", "--global", "status.renames", "false"]);
        first.set_up(&[&lakes[0]]);
        first.git(["remote", "add", "origin", &format!("file://{}", origin.path.display())]);
        first.git(["push", "-q", "origin", "main"]);
        first.git(["branch", "side"]);
        let second = env.clone_of(&origin, "two");
        second.git(["branch", "side"]);
        for repo in [&first, &second] {
            lakes.iter().for_each(|lake| drop(repo.git(["lake", "trust", &lake.url()])));
        }
        let mut history = History::default();
        let origin = history.add(None, Tree::new());
        let clones = [first, second].map(|repo| (repo, Expected::new(origin, Tree::new()))).into();
        let folders = lakes.iter().flat_map(|it| [it.path.clone(), it.path.with_extension("away")]);
        let folders = folders.collect();
        let (random, are_there, was_killed) = (Random::new(seed), [true; 2], false);
        // Each run has contents of its own.
        let contents = (seed << 32) + 1;
        let log = Vec::new();
        Self {
            random,
            env,
            lakes,
            are_there,
            folders,
            clones,
            history,
            origin,
            contents,
            was_killed,
            log,
        }
    }

    fn steps(&mut self, count: u64) {
        for step in 1..=count {
            let at = usize::try_from(self.random.below(2)).unwrap();
            let checked =
                self.step(at).and_then(|is_gits| if is_gits { self.check(at) } else { Ok(()) });
            let checked = checked.and_then(|()| match step % STEPS_UNTIL_ALL {
                0 => self.check_all(),
                _ => Ok(()),
            });
            if let Err(what) = checked {
                let from = self.log.len().saturating_sub(40);
                panic!("step {step}, clone {at}: {what}\n{}", self.log[from..].join("\n"));
            }
        }
    }

    /// Does something in one clone; returns whether git had a part in it.
    fn step(&mut self, at: usize) -> Result<bool, String> {
        match self.random.below(100) {
            0..30 => self.edit(at),
            30..36 => self.remove(at),
            36..52 => return self.add(at),
            52..62 => return self.commit(at),
            62..70 => return self.push(at),
            70..77 => return self.take_over(at),
            77..82 => return self.switch(at),
            82..85 => return self.stash(at),
            85..89 => return self.pull(at),
            89..91 => return self.drop(at),
            91..93 => return self.simple(at, &["lake", "prune", "--current"], &[0, 1]),
            93..95 => return self.simple(at, &["lake", "fsck"], &[0, 1]),
            95..96 => return self.simple(at, &["lake", "status"], &[0]),
            96..98 => return self.change_remotes(at),
            _ => self.come_or_go(),
        }
        Ok(false)
    }

    fn note(&mut self, at: usize, what: String) {
        self.log.push(format!("{at}: {what}"));
    }

    /// New content, or one that some other path has.
    fn edit(&mut self, at: usize) {
        let path = (*self.random.one_of(&PATHS)).to_owned();
        let known: Vec<Content> = self.clones[at].1.work.values().copied().collect();
        let content = if known.is_empty() || self.random.below(4) > 0 {
            self.contents += 1;
            self.contents
        } else {
            *self.random.one_of(&known)
        };
        self.note(at, format!("write {path}"));
        let (repo, expected) = &mut self.clones[at];
        drop(fs::remove_file(repo.path.join(&path)));
        repo.write(&path, bytes_of(content));
        expected.write(&path, content);
    }

    fn remove(&mut self, at: usize) {
        let paths: Vec<String> = self.clones[at].1.work.keys().cloned().collect();
        if paths.is_empty() {
            return;
        }
        let path = self.random.one_of(&paths).clone();
        self.note(at, format!("remove {path}"));
        let (repo, expected) = &mut self.clones[at];
        fs::remove_file(repo.path.join(&path)).unwrap();
        expected.remove(&path);
    }

    /// Runs git, now and then after an attempt that is killed.
    fn git(&mut self, at: usize, args: &[&str], codes: &[i32]) -> Result<Ran, String> {
        let is_killed = self.random.below(20) == 0;
        self.was_killed = is_killed;
        self.note(
            at,
            format!("git {}{}", args.join(" "), if is_killed { " (killed)" } else { "" }),
        );
        let repo = self.clones[at].0.clone();
        if is_killed {
            self.kill(&repo, args);
        }
        let ran = repo.run("git", args);
        self.log.extend(ran.stderr.lines().map(|line| format!("   {line}")));
        match ran.code.is_some_and(|code| codes.contains(&code)) && !ran.stderr.contains("panicked")
        {
            true => Ok(ran),
            false => Err(format!("git {args:?}: {ran:#?}")),
        }
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn kill(&mut self, repo: &Repo, args: &[&str]) {
        use crate::common::tracer::{Deed, is_possible, watch};
        if !is_possible() {
            return;
        }
        let command: Vec<&str> = std::iter::once("git").chain(args.iter().copied()).collect();
        let deed = *self.random.one_of(&[Deed::Kill, Deed::KillAll]);
        let nth = 1 + self.random.below(60);
        let watched = watch(repo, &command, &self.env.path(""), deed, nth);
        self.log.push(format!("   {deed:?} at {:?}", watched.struck));
        self.log.extend(watched.stderr.lines().map(|line| format!("   {line}")));
        truth::remove_locks(&repo.path);
    }

    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    fn kill(&mut self, _: &Repo, _: &[&str]) {}

    fn simple(&mut self, at: usize, args: &[&str], codes: &[i32]) -> Result<bool, String> {
        self.git(at, args, codes).map(|_| true)
    }

    fn add(&mut self, at: usize) -> Result<bool, String> {
        if self.random.below(3) == 0 {
            self.git(at, &["lake", "add", "."], &[0])?;
        }
        self.git(at, &["add", "-A"], &[0])?;
        let expected = &mut self.clones[at].1;
        expected.index = expected.work.clone();
        expected.may_look_modified.clear();
        Ok(true)
    }

    fn commit(&mut self, at: usize) -> Result<bool, String> {
        self.note(at, "commit".to_owned());
        let (repo, expected) = &mut self.clones[at];
        let ran = repo.run("git", ["commit", "-q", "-m", "a step"]);
        let head = expected.head();
        let has_changed = *self.history.tree(head) != expected.index;
        match ran.code {
            Some(0) => {
                let commit = self.history.add(Some(head), expected.index.clone());
                expected.branches.insert(expected.branch, commit);
                Ok(true)
            }
            Some(1) if !has_changed => Ok(true),
            _ => Err(format!("{ran:#?}")),
        }
    }

    fn push(&mut self, at: usize) -> Result<bool, String> {
        let expected = &self.clones[at].1;
        let (head, branch) = (expected.head(), expected.branch);
        let is_forward = self.history.is_ancestor(self.origin, head);
        let refspec = format!("{branch}:main");
        let is_there = self.are_there == [true; 2];
        let codes: &[i32] = match (is_forward, is_there) {
            (true, true) => &[0],
            (true, false) => &[0, 1],
            (false, _) => &[1],
        };
        let ran = self.git(at, &["push", "-q", "origin", &refspec], codes)?;
        if ran.code == Some(0) {
            self.origin = head;
            let origin = self.env.at("origin");
            truth::nothing_is_lost(&origin, self.all_lakes(), &[])?;
        }
        Ok(true)
    }

    /// Throws away what is here and takes what others pushed.
    fn take_over(&mut self, at: usize) -> Result<bool, String> {
        self.git(at, &["fetch", "-q", "origin"], &[0])?;
        self.check_out(at, self.origin, &["reset", "-q", "--hard", "origin/main"])?;
        self.git(at, &["clean", "-fdq"], &[0])?;
        let expected = &mut self.clones[at].1;
        expected.branches.insert(expected.branch, self.origin);
        Ok(true)
    }

    fn switch(&mut self, at: usize) -> Result<bool, String> {
        let expected = &self.clones[at].1;
        let head = self.history.tree(expected.head());
        if expected.index != *head || expected.work != *head {
            return Ok(false);
        }
        let branch = if expected.branch == "main" { "side" } else { "main" };
        self.check_out(at, expected.branches[branch], &["switch", "-q", "-f", branch])?;
        self.clones[at].1.branch = branch;
        Ok(true)
    }

    /// Brings index and files to a commit.
    fn check_out(&mut self, at: usize, commit: usize, args: &[&str]) -> Result<(), String> {
        let tree = self.history.tree(commit).clone();
        let root = self.clones[at].0.path.clone();
        let stamps = || -> BTreeMap<&String, Option<(u64, SystemTime)>> {
            let stamp = |path| fs::metadata(root.join(path)).ok();
            let stamp = |path| stamp(path).map(|it| (it.ino(), it.modified().unwrap()));
            tree.keys().map(|path| (path, stamp(path))).collect()
        };
        let before = stamps();
        self.git(at, args, &[0])?;
        let after = stamps().into_iter().filter(|(path, stamp)| before[path] != *stamp);
        let written: BTreeSet<String> = after.map(|(path, _)| path.clone()).collect();
        let expected = &mut self.clones[at].1;
        expected.check_out(&tree, &written, self.are_there == [true; 2]);
        if self.was_killed {
            // Git had written pointers that were to be filled next, and does not look at them again.
            let is_large = |path: &&String| bytes_of(tree[*path]).len() > INBAND_LIMIT;
            expected.may_be_pointers.extend(written.iter().filter(is_large).cloned());
        }
        Ok(())
    }

    /// Puts changes away and takes them back.
    fn stash(&mut self, at: usize) -> Result<bool, String> {
        let expected = &self.clones[at].1;
        let is_changed = |path: &String| expected.work.get(path) != expected.index.get(path);
        let has_removed = expected.index.keys().any(is_changed)
            || expected.index != *self.history.tree(expected.head());
        if has_removed || expected.work.keys().all(|path| !is_changed(path)) {
            return Ok(false);
        }
        self.note(at, "stash -u and pop".to_owned());
        let (repo, _) = &self.clones[at];
        repo.git(["stash", "-q", "-u"]);
        repo.git(["stash", "pop", "-q"]);
        Ok(true)
    }

    fn pull(&mut self, at: usize) -> Result<bool, String> {
        let is_there = self.are_there == [true; 2];
        let codes: &[i32] = if is_there { &[0] } else { &[0, 1] };
        self.git(at, &["lake", "pull"], codes)?;
        let expected = &mut self.clones[at].1;
        if is_there {
            // A file that is not as in the index is the user's.
            let (index, work) = (&expected.index, &expected.work);
            expected.may_be_pointers.retain(|path| index.get(path) != work.get(path));
        }
        Ok(true)
    }

    fn drop(&mut self, at: usize) -> Result<bool, String> {
        self.git(at, &["lake", "drop", "."], &[0, 1])?;
        let expected = &mut self.clones[at].1;
        expected.may_be_pointers.extend(expected.work.keys().cloned());
        Ok(true)
    }

    /// Names the second lake, or does not any more, and commits that.
    fn change_remotes(&mut self, at: usize) -> Result<bool, String> {
        if !self.are_there[1] {
            // Naming a folder that is not there makes it.
            return Ok(false);
        }
        let verb = *self.random.one_of(&["remote-add", "remote-remove"]);
        self.git(at, &["lake", verb, "../other"], &[0, 1])?;
        self.commit(at)
    }

    /// A lake is not mounted any more, or is again.
    fn come_or_go(&mut self) {
        let which = usize::from(self.random.below(3) == 0);
        let is_there = &mut self.are_there[which];
        *is_there = !*is_there;
        let state = if *is_there { "there" } else { "away" };
        match *is_there {
            true => self.mount(which),
            false => self.lakes[which].unmount(),
        }
        self.log.push(format!("lake {which} is {state}"));
    }

    /// Brings a lake back. Filters would not ask it for a minute, unless they forget that it was away.
    fn mount(&self, which: usize) {
        self.lakes[which].mount();
        for (repo, _) in &self.clones {
            drop(fs::remove_dir_all(repo.state().join("health")));
        }
    }

    /// Lakes as they would be if they were there.
    fn all_lakes(&self) -> Lakes<'_> {
        Lakes { folders: &self.folders, server: None }
    }

    fn check(&self, at: usize) -> Result<(), String> {
        let (repo, expected) = &self.clones[at];
        expected.check_files(repo)?;
        expected.check_git(repo, self.history.tree(expected.head()))
    }

    fn check_all(&self) -> Result<(), String> {
        for at in 0..self.clones.len() {
            self.check(at)?;
            let repo = &self.clones[at].0;
            truth::nothing_is_lost(repo, self.all_lakes(), &truth::stored(repo, false)?)?;
        }
        Ok(())
    }

    /// In the end everything can be pushed, and a new clone has it.
    fn end(mut self) {
        for which in 0..2 {
            if !self.are_there[which] {
                self.mount(which);
                self.are_there[which] = true;
            }
        }
        for at in 0..2 {
            self.add(at).unwrap();
            self.clones[at].0.git(["lake", "push", "--all"]);
        }
        let fresh = self.env.clone_of(&self.env.at("origin"), "fresh");
        fresh.git(["lake", "pull"]);
        for (path, content) in self.history.tree(self.origin) {
            fresh.has(path, bytes_of(*content));
        }
        fresh.is_clean();
    }
}

fn run(seed: u64) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let mut run = Run::new(seed);
    run.steps(number("GIT_LAKE_TEST_STEPS").unwrap_or(STEPS));
    run.end();
}

#[test]
fn the_first_long_run_is_as_the_model_says() {
    run(1);
}

#[test]
fn the_second_long_run_is_as_the_model_says() {
    run(2);
}

#[test]
fn the_third_long_run_is_as_the_model_says() {
    run(3);
}

#[test]
fn the_fourth_long_run_is_as_the_model_says() {
    run(4);
}

#[test]
#[ignore = "runs as long as one wants it to: see the head of this file"]
fn more_long_runs_are_as_the_model_says() {
    seeds(5..6).for_each(run);
}
