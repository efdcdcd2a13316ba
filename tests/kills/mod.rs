//! A kill, a full or failing disk, or a power cut at any one step of every command that changes something.
//!
//! What is done, and at which step, is decided by a seed. Some seeds run here; for others, and for more,
//! `GIT_LAKE_TEST_SEEDS=<first>..<end> cargo test kills`.

mod scenarios;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;

use crate::common::random::{Random, seeds};
use crate::common::s3::S3Server;
use crate::common::s3::endpoint::Endpoint;
use crate::common::tracer::{self, Deed, Step, Watched, watch};
use crate::common::truth::{self, Lakes};
use crate::common::{Repo, TestEnv, not_tested, tree};

use scenarios::{SCENARIOS, Scenario};

/// How many seeds run without a wish.
const KILLS: u64 = 100;
const FAULTS: u64 = 40;
const CUTS: u64 = 30;

/// A clone with lakes, which can be brought back to how it was.
struct World {
    env: TestEnv,
    repo: Repo,
    folders: Vec<PathBuf>,
    server: Option<S3Server>,
    /// What the bucket had.
    bucket: BTreeMap<String, Vec<u8>>,
    /// Nothing in the work tree was changed.
    is_clean: bool,
}

const BUCKET: &str = "lake";
/// Where the world is kept as it was.
const KEPT: &str = "kept";

impl World {
    fn new(scenario: &Scenario) -> Self {
        let env = TestEnv::new();
        let lake = env.lake("lake");
        env.lake("other");
        let repo = env.repo("work");
        let server = scenario.needs_server.then(S3Server::start);
        for (key, value) in [("lake.inbandLimit", "64k"), ("lake.partSize", "5m")] {
            repo.git(["config", "--global", key, value]);
        }
        match &server {
            Some(server) => {
                repo.git(["config", "--global", "credential.helper", "store"]);
                repo.git(["lake", "init", &Endpoint::of(server).typed(BUCKET)]);
                repo.git(["lake", "track", "*.bin"]);
                repo.commit("set up");
            }
            None => repo.set_up(&[&lake]),
        }
        let folders = vec![lake.path, env.path("other")];
        let mut world =
            Self { env, repo, folders, server, bucket: BTreeMap::new(), is_clean: false };
        (scenario.prepare)(&world);
        world.keep();
        world
    }

    fn root(&self) -> PathBuf {
        self.env.path("")
    }

    fn lakes(&self) -> Lakes<'_> {
        let server = self.server.as_ref().map(|server| (server, BUCKET));
        Lakes { folders: &self.folders, server }
    }

    /// Where the command of a scenario runs.
    fn place(&self, scenario: &Scenario) -> Repo {
        if scenario.is_dataset { self.env.at(".") } else { self.repo.clone() }
    }

    fn names(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| !path.ends_with("home") && !path.ends_with(KEPT)).collect()
    }

    fn keep(&mut self) {
        let kept = self.env.path(KEPT);
        fs::create_dir(&kept).unwrap();
        for path in self.names() {
            copy(&path, &kept);
        }
        // git looks into what is changed, and so the store gets it: not into the one that is kept.
        self.is_clean = self.repo.status().is_empty();
        if let Some(server) = &self.server {
            let objects = server.keys(BUCKET).into_iter();
            self.bucket =
                objects.map(|key| (key.clone(), server.object(BUCKET, &key).unwrap())).collect();
        }
    }

    fn restore(&self) {
        for path in self.names() {
            assert!(Command::new("rm").arg("-rf").arg(path).status().unwrap().success());
        }
        for entry in fs::read_dir(self.env.path(KEPT)).unwrap() {
            copy(&entry.unwrap().path(), &self.root());
        }
        if let Some(server) = &self.server {
            server.forget_uploads(BUCKET);
            for key in server.keys(BUCKET) {
                server.remove(BUCKET, &key);
            }
            for (key, bytes) in &self.bucket {
                server.plant(BUCKET, key, bytes, true);
            }
        }
        if self.is_clean {
            // Copies are other files, which git would look into.
            self.repo.git(["update-index", "-q", "--refresh"]);
        }
    }

    /// What there is in the end, but for what the store and git keep besides.
    fn outcome(&self) -> Outcome {
        let mut lakes = self.lakes().objects().unwrap();
        lakes.sort_unstable();
        Outcome {
            index: self.repo.git(["ls-files", "-s"]).stdout,
            status: self.repo.status(),
            files: tree(&self.repo.path),
            datasets: self.datasets(),
            lakes,
        }
    }

    fn datasets(&self) -> Vec<(PathBuf, Vec<u8>, bool)> {
        let folders = ["set", "out"].map(|name| self.env.path(name));
        let folders = folders.iter().filter(|folder| folder.exists());
        folders.flat_map(|folder| tree(folder)).collect()
    }

    /// What holds at any time.
    fn is_sound(&self, scenario: &Scenario, after: After) -> Result<(), String> {
        let mut here = truth::stored(&self.repo, after != After::Kill)?;
        if after == After::CutInTheMiddle && !scenario.syncs_each {
            // What was being added is still where it came from.
            here.extend(truth::in_work_tree(&self.repo));
        }
        truth::nothing_is_lost(&self.repo, self.lakes(), &here)?;
        if !scenario.is_dataset {
            truth::status_is_true(&self.repo)?;
        }
        Ok(())
    }
}

/// What has happened just now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// A command ended, or was ended.
    Kill,
    /// A command ended, and then the power went.
    Cut,
    /// The power went during a command.
    CutInTheMiddle,
}

#[derive(Default, PartialEq)]
struct Outcome {
    index: String,
    status: String,
    files: Vec<(PathBuf, Vec<u8>, bool)>,
    datasets: Vec<(PathBuf, Vec<u8>, bool)>,
    lakes: Vec<git_lake::oid::Oid>,
}

impl Outcome {
    /// Names what differs.
    fn differs_from(&self, other: &Self) -> Option<String> {
        let names = |files: &[(PathBuf, Vec<u8>, bool)]| -> Vec<String> {
            files
                .iter()
                .map(|(path, bytes, _)| format!("{} {}", path.display(), bytes.len()))
                .collect()
        };
        if self.index != other.index {
            return Some(format!("index:\n{}\nnot\n{}", self.index, other.index));
        }
        if self.status != other.status {
            return Some(format!("status:\n{}\nnot\n{}", self.status, other.status));
        }
        for (mine, others) in [(&self.files, &other.files), (&self.datasets, &other.datasets)] {
            if mine != others {
                return Some(format!("files:\n{:?}\nnot\n{:?}", names(mine), names(others)));
            }
        }
        (self.lakes != other.lakes)
            .then(|| format!("lakes: {:?}, not {:?}", self.lakes, other.lakes))
    }
}

fn copy(from: &Path, into: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(into).status().unwrap().success());
}

/// A scenario with what happens when nothing goes wrong.
struct Course {
    scenario: &'static Scenario,
    world: World,
    steps: Vec<Step>,
    outcome: Outcome,
}

impl Course {
    fn new(scenario: &'static Scenario) -> Self {
        let world = World::new(scenario);
        let mut course = Self { scenario, world, steps: Vec::new(), outcome: Outcome::default() };
        course.world.restore();
        let watched = course.run(Deed::Watch, 0);
        assert_eq!(watched.code, Some(0), "{}: {}", scenario.name, watched.stderr);
        course.world.is_sound(scenario, After::Kill).unwrap();
        course.steps = watched.steps;
        course.outcome = course.world.outcome();
        course
    }

    fn run(&self, deed: Deed, nth: u64) -> Watched {
        let place = self.world.place(self.scenario);
        watch(&place, self.scenario.command, &self.world.root(), deed, nth)
    }

    /// Does the deed at the step of that number; then everything is sound, and the command finishes its work.
    ///
    /// Returns whether the command came to that step.
    fn survives(&self, deed: Deed, nth: u64, power: Option<&mut Random>) -> Result<bool, String> {
        let (scenario, world) = (self.scenario, &self.world);
        world.restore();
        let watched = self.run(deed, nth);
        let told = watched.stderr;
        let context = |what: String| format!("{what}\nstruck: {:?}\nsaid: {told}", watched.struck);
        if told.contains("panicked") {
            return Err(context("it panicked".to_owned()));
        }
        let has_failed = watched.code != Some(0);
        if matches!(deed, Deed::FailOn(_) | Deed::FailOnce(_))
            && has_failed
            && told.trim().is_empty()
        {
            return Err(context("it failed and said nothing".to_owned()));
        }
        let after = match power {
            None => After::Kill,
            Some(random) => {
                watched.disk.cut(random);
                if deed == Deed::Watch { After::Cut } else { After::CutInTheMiddle }
            }
        };
        // git's own way out after a kill, which it tells people.
        truth::remove_locks(&world.root());
        world.is_sound(scenario, after).map_err(context)?;
        let place = world.place(scenario);
        let again = scenario.again.unwrap_or(scenario.command);
        let ran = place.run(again[0], &again[1..]);
        if ran.code != Some(0) {
            return Err(context(format!("the second time: {ran:#?}")));
        }
        world
            .is_sound(scenario, After::Kill)
            .map_err(|what| context(format!("the second time: {what}")))?;
        let mut outcome = world.outcome();
        if after != After::Kill {
            // Without its lock, which the power cut took, a hidden folder may be somebody's.
            outcome.datasets.retain(|(path, ..)| !path.to_string_lossy().contains(".lake-"));
        }
        match outcome.differs_from(&self.outcome) {
            Some(difference) => Err(context(format!("it ends otherwise: {difference}\n{ran:#?}"))),
            None => Ok(watched.struck.is_some()),
        }
    }
}

/// Runs seeds over all scenarios; `deeds` are what may happen.
fn run_seeds(usual: u64, deeds: &[Deed], does_power_fail: bool) {
    if !tracer::is_possible() {
        return not_tested("ptrace(2) on own processes");
    }
    let seeds = seeds(0..usual);
    let only = std::env::var("GIT_LAKE_TEST_SCENARIO").ok();
    let (mut all, mut struck, mut failures) = (0, 0, Vec::new());
    for (at, scenario) in SCENARIOS.iter().enumerate() {
        let mine = seeds.clone().filter(|seed| seed % SCENARIOS.len() as u64 == at as u64);
        if only.as_ref().is_some_and(|only| only != scenario.name) || mine.clone().next().is_none()
        {
            continue;
        }
        let course = Course::new(scenario);
        for seed in mine {
            let mut random = Random::new(seed);
            let deed = *random.one_of(deeds);
            let nth = 1 + random.below(deed.count(&course.steps));
            let power = does_power_fail.then_some(&mut random);
            match course.survives(deed, nth, power) {
                Ok(is_struck) => struck += u64::from(is_struck),
                Err(what) => {
                    let name = scenario.name;
                    failures.push(format!("{name}, seed {seed}, {deed:?} at {nth}: {what}"));
                }
            }
            all += 1;
        }
    }
    assert!(failures.is_empty(), "{} failed:\n\n{}", failures.len(), failures.join("\n\n"));
    // Threads take turns as they like, so a command may end before it comes to a step.
    assert!(all < 20 || struck * 4 >= all * 3, "of {all} seeds {struck} struck");
}

#[test]
fn a_kill_at_any_step_loses_nothing_and_the_same_command_finishes() {
    run_seeds(KILLS, &[Deed::Kill, Deed::Kill, Deed::KillHalfway, Deed::KillAll], false);
}

#[test]
fn a_disk_that_fails_at_any_step_loses_nothing_and_the_same_command_finishes() {
    let errors = [Errno::ENOSPC, Errno::EDQUOT, Errno::EROFS, Errno::EMFILE, Errno::EIO];
    let deeds: Vec<Deed> =
        errors.into_iter().flat_map(|it| [Deed::FailOn(it), Deed::FailOnce(it)]).collect();
    run_seeds(FAULTS, &deeds, false);
}

#[test]
fn a_power_cut_at_any_step_or_after_the_last_one_loses_nothing() {
    run_seeds(CUTS, &[Deed::KillAll, Deed::Watch], true);
}

#[test]
fn a_disk_that_is_full_for_a_moment_at_every_other_step_of_an_add_loses_nothing() {
    if !tracer::is_possible() {
        return not_tested("ptrace(2) on own processes");
    }
    let course = Course::new(&SCENARIOS[0]);
    let full = Deed::FailOnce(Errno::ENOSPC);
    let failures: Vec<String> = (1..=full.count(&course.steps))
        .step_by(2)
        .filter_map(|nth| {
            let what = course.survives(full, nth, None).err()?;
            Some(format!("at {nth}: {what}"))
        })
        .collect();
    assert!(failures.is_empty(), "{} failed:\n\n{}", failures.len(), failures.join("\n\n"));
}
