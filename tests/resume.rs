//! Transfers that are killed or stopped, and go on in the next process: what comes out is the same, and no
//! byte that arrived moves twice, counted at the server.

use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use git_lake::oid::Oid;

use crate::common::s3::endpoint::{Endpoint, PART_BYTES};
use crate::common::s3::{Fault, Recorded, S3Server};
use crate::common::{Repo, TestEnv, dataset, kill, noise, noted_pid, wait_until};

const PART: u64 = PART_BYTES as u64;
/// Five parts, the last of them short.
const SIZE: u64 = 4 * PART + 12_345;

struct Site {
    env: TestEnv,
    server: S3Server,
    content: Vec<u8>,
}

impl Site {
    fn new() -> Self {
        Self { env: TestEnv::new(), server: S3Server::start(), content: noise(1, SIZE as usize) }
    }

    /// A repository whose `*.bin` go to the server.
    fn repo(&self) -> Repo {
        let repo = self.env.repo("work");
        repo.git(["config", "--global", "credential.helper", "store"]);
        repo.git(["config", "--global", "lake.partSize", &PART.to_string()]);
        repo.git(["lake", "init", &Endpoint::of(&self.server).typed("lake")]);
        repo.git(["lake", "track", "*.bin"]);
        repo.commit("set up");
        repo
    }

    /// One that has the object in its store and owes it to the server.
    fn owing(&self) -> Repo {
        let repo = self.repo();
        repo.git(["config", "lake.upload", "push"]);
        repo.write("a.bin", &self.content);
        repo.commit("v1");
        self.server.take_requests();
        repo
    }

    /// One whose object is at the server alone, and left as a pointer.
    fn lacking(&self, origin: &Repo, name: &str) -> Repo {
        self.env.install();
        let skipping = self.env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1");
        skipping.git(["clone", "-q", origin.path.to_str().unwrap(), name]);
        self.server.take_requests();
        self.env.at(name)
    }

    fn key(&self) -> String {
        format!("{}.bin", Oid::of(&self.content).to_hex())
    }

    /// Lets the server send the object up to this byte, and then nothing any more.
    fn stop_sending_at(&self, point: u64) {
        let key = self.key();
        let is_of_object = move |request: &Recorded| {
            request.operation == "GetObject" && request.key() == key && range(request).1 > point
        };
        let is_behind = is_of_object.clone();
        self.server.fault(move |it| is_behind(it) && range(it).0 >= point, 100, Fault::Stall);
        let in_range = usize::try_from(point % PART).unwrap();
        self.server.fault(is_of_object, 100, Fault::Hang(in_range));
    }

    /// Returns how many bytes of the object the server was asked for, and from which on.
    fn asked(&self) -> (u64, u64) {
        let requests = self.server.take_requests().into_iter();
        let ranges = requests.filter(|it| it.operation == "GetObject" && it.key() == self.key());
        let ranges: Vec<(u64, u64)> = ranges.map(|request| range(&request)).collect();
        let bytes = ranges.iter().map(|(first, end)| end - first).sum();
        (bytes, ranges.iter().map(|(first, _)| *first).min().unwrap_or(SIZE))
    }

    /// Returns how many bytes the server got in parts.
    fn received(&self) -> u64 {
        let requests = self.server.take_requests().into_iter();
        requests.filter(|it| it.operation == "UploadPart").map(|it| it.body_bytes).sum()
    }

    /// Waits until the server has so many parts.
    #[track_caller]
    fn wait_for_parts(&self, count: usize) {
        let parts = || self.server.parts("lake", &self.key()).len();
        wait_until("parts have arrived", || parts() >= count);
        assert_eq!(parts(), count);
    }

    /// The object is at the server, and no part of an upload.
    #[track_caller]
    fn is_uploaded(&self) {
        assert!(self.server.object("lake", &self.key()).unwrap() == self.content);
        assert_eq!(self.server.unfinished_uploads("lake"), 0);
    }

    /// Returns the file that a download leaves.
    fn partial(&self, repo: &Repo) -> PathBuf {
        repo.state().join("partial").join(Oid::of(&self.content).to_hex())
    }

    /// Waits until a download has so many bytes, and all that it asks for ahead was asked for: what comes
    /// later than the next look at the requests would be counted for the next process.
    #[track_caller]
    fn wait_for_bytes(&self, partial: &PathBuf, size: u64) {
        wait_until("bytes have arrived", || length(partial) >= size);
        let ranges = (size / PART + 4).min(SIZE.div_ceil(PART));
        let is_range = |it: &Recorded| it.operation == "GetObject" && it.key() == self.key();
        self.wait_for_requests(ranges as usize, is_range);
        assert_eq!(length(partial), size);
    }

    /// Waits until so many requests have come.
    #[track_caller]
    fn wait_for_requests(&self, count: usize, is_meant: impl Fn(&Recorded) -> bool) {
        let found = || self.server.requests().iter().filter(|it| is_meant(it)).count();
        wait_until("requests have come", || found() >= count);
        assert_eq!(found(), count);
    }
}

fn length(path: &PathBuf) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Returns the bytes that a request asks for, less what is behind the object.
fn range(request: &Recorded) -> (u64, u64) {
    let range = request.headers["range"].strip_prefix("bytes=").unwrap();
    let (first, last) = range.split_once('-').unwrap();
    (first.parse().unwrap(), (last.parse::<u64>().unwrap() + 1).min(SIZE))
}

/// A part of this number or a later one, or the completion.
fn from_part(number: i32) -> impl Fn(&Recorded) -> bool + Send + Sync {
    move |request| match request.operation {
        "UploadPart" => request.query["partNumber"].parse::<i32>().unwrap() >= number,
        "CompleteMultipartUpload" => true,
        _ => false,
    }
}

/// Presses Ctrl-C. A server that stands still is given up after longer than this may take.
fn interrupt(child: &mut Child) {
    let begun = Instant::now();
    let pid = child.id().to_string();
    let status = std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(status.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

fn kill_and_wait(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_pull_that_is_killed_at_any_byte_goes_on_there() {
    let site = Site::new();
    let repo = site.repo();
    repo.write("a.bin", &site.content);
    repo.commit("v1");
    let points = [1, 70_000, PART - 1, PART, 3 * PART + 77, SIZE - 1];
    for (at, point) in points.into_iter().enumerate() {
        let clone = site.lacking(&repo, &format!("clone-{at}"));
        site.stop_sending_at(point);
        let mut pull = clone.start_program("git-lake", &["pull"]);
        site.wait_for_bytes(&site.partial(&clone), point);
        kill_and_wait(&mut pull);
        assert!(clone.is_pointer("a.bin"));
        site.server.heal();
        site.server.take_requests();
        clone.git(["lake", "pull"]).says_nothing();
        clone.has("a.bin", &site.content);
        assert_eq!(site.asked(), (SIZE - point, point));
        assert!(!site.partial(&clone).exists());
        clone.is_clean_when_touched();
    }
}

#[test]
fn a_pull_that_breaks_off_or_is_interrupted_goes_on_in_the_next_process() {
    const POINT: u64 = PART + 99;
    let site = Site::new();
    let repo = site.repo();
    repo.write("a.bin", &site.content);
    repo.commit("v1");
    let clone = site.lacking(&repo, "clone");
    // The source breaks off, and does so in every round.
    let key = site.key();
    let is_behind = move |request: &Recorded| {
        request.operation == "GetObject" && request.key() == key && range(request).1 > POINT
    };
    site.server.fault(is_behind, 1000, Fault::Reset);
    let ran = clone.run("git", ["lake", "pull"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(length(&site.partial(&clone)), PART);
    site.server.heal();
    // Somebody stops the second attempt.
    clone.git(["config", "lake.maxRate", "8m"]);
    let mut pull = clone.start_program("git-lake", &["pull"]);
    let partial = site.partial(&clone);
    wait_until("more bytes have arrived", || length(&partial) > PART + (1 << 20));
    interrupt(&mut pull);
    let there = length(&partial);
    assert!(there < SIZE);
    clone.git(["config", "--unset", "lake.maxRate"]);
    site.server.take_requests();
    clone.git(["lake", "pull"]).says_nothing();
    clone.has("a.bin", &site.content);
    assert_eq!(site.asked(), (SIZE - there, there));
}

#[test]
fn what_a_clone_had_of_a_large_file_when_it_was_killed_is_not_fetched_again() {
    const POINT: u64 = 2 * PART + 5;
    let site = Site::new();
    let repo = site.repo();
    repo.write("a.bin", &site.content);
    repo.write("small.bin", noise(2, 500));
    repo.commit("v1");
    site.env.install();
    let (note, script) = (site.env.path("filter-pid"), site.env.path("filter"));
    let filter =
        format!("#!/bin/sh\necho $$ > '{}'\nexec git-lake filter-process\n", note.display());
    repo.write(&script, filter);
    let place = site.env.at(".");
    let process = format!("exec sh '{}'", script.display());
    place.git(["config", "--global", "filter.lake.process", &process]);
    place.git(["config", "--global", "lake.inbandLimit", "1m"]);
    site.stop_sending_at(POINT);
    let mut git = place.start(&["clone", "-q", "work", "clone"]);
    let pid = noted_pid(&note);
    let clone = site.env.at("clone");
    wait_until("there is a clone", || clone.path.join(".git/lake").exists());
    site.wait_for_bytes(&site.partial(&clone), POINT);
    kill(pid);
    git.wait().unwrap();
    place.git(["lake", "install"]);
    site.server.heal();
    site.server.take_requests();
    clone.git(["lake", "pull"]);
    clone.has("a.bin", &site.content);
    clone.has("small.bin", noise(2, 500));
    assert_eq!(site.asked(), (SIZE - POINT, POINT));
    clone.is_clean_when_touched();
}

#[test]
fn a_dataset_goes_on_within_an_object_after_a_kill_or_an_interrupt() {
    const POINT: u64 = 2 * PART + 5;
    let site = Site::new();
    let place = dataset::place(&site.env);
    place.run("git", ["config", "--global", "lake.partSize", &PART.to_string()]);
    place.dataset("in", [("data/0_a.bin", site.content.clone())]);
    let endpoint = Endpoint::of(&site.server);
    place.lake(0, ["remote-add", "-i", "in", "-o", "away", "-r", &endpoint.typed("lake")]);
    let host = endpoint.typed("").replacen("/?", "?", 1);
    let clone = ["clone", "-i", "away", "-o", "back", "--host", &host];
    let staged = || place.staged("back", "data/0_a.bin");
    let mut from = 0;
    for (point, is_killed) in [(POINT, true), (POINT + 7, false)] {
        site.server.take_requests();
        site.stop_sending_at(point);
        let mut run = place.start_program("git-lake", &clone);
        wait_until("bytes have arrived", || staged().is_some_and(|it| length(&it) >= point));
        assert_eq!(site.asked().1, from);
        if is_killed {
            kill_and_wait(&mut run);
        } else {
            interrupt(&mut run);
        }
        assert!(!place.path.join("back").exists());
        site.server.heal();
        from = length(&staged().unwrap());
    }
    site.server.take_requests();
    place.lake(0, clone);
    assert_eq!(site.asked(), (SIZE - from, from));
    place.has("back/data/0_a.bin", &site.content);
    assert!(place.staging("back").is_empty());
}

#[test]
fn what_is_there_is_verified_before_it_counts() {
    const POINT: u64 = PART + 5;
    let site = Site::new();
    let repo = site.repo();
    repo.write("a.bin", &site.content);
    repo.commit("v1");
    let clone = site.lacking(&repo, "clone");
    site.stop_sending_at(POINT);
    let mut pull = clone.start_program("git-lake", &["pull"]);
    site.wait_for_bytes(&site.partial(&clone), POINT);
    kill_and_wait(&mut pull);
    site.server.heal();
    site.server.take_requests();
    // As after a power loss: the length is right and the bytes are not.
    fs::write(site.partial(&clone), vec![0; POINT as usize]).unwrap();
    clone.git(["lake", "pull"]).says_nothing();
    clone.has("a.bin", &site.content);
    assert_eq!(site.asked(), (SIZE - POINT + SIZE, 0), "the rest, and then all of it");
}

#[test]
fn a_server_that_knows_no_ranges_sends_all_and_spoils_nothing() {
    const POINT: u64 = PART + 5;
    let site = Site::new();
    let repo = site.repo();
    repo.write("a.bin", &site.content);
    repo.commit("v1");
    let clone = site.lacking(&repo, "clone");
    site.stop_sending_at(POINT);
    let mut pull = clone.start_program("git-lake", &["pull"]);
    site.wait_for_bytes(&site.partial(&clone), POINT);
    kill_and_wait(&mut pull);
    site.server.heal();
    site.server.set_behaviour(|it| it.ranges = false);
    clone.git(["lake", "pull"]).says_nothing();
    clone.has("a.bin", &site.content);
}

#[test]
fn a_pull_from_a_folder_goes_on_without_the_bytes_that_it_has() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let content = noise(1, 6 << 20);
    repo.write("a.bin", &content);
    repo.commit("v1");
    env.install();
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", "work", "clone"]);
    let clone = env.at("clone");
    clone.git(["config", "lake.maxRate", "4m"]);
    let mut pull = clone.start_program("git-lake", &["pull"]);
    let partial = clone.state().join("partial").join(Oid::of(&content).to_hex());
    wait_until("bytes have arrived", || length(&partial) > 1 << 20);
    kill_and_wait(&mut pull);
    clone.git(["config", "--unset", "lake.maxRate"]);
    // If the lake were read from the beginning, this would come out.
    let there = usize::try_from(length(&partial)).unwrap();
    assert!(there < content.len());
    let object = lake.object(&content);
    fs::remove_file(&object).unwrap();
    fs::write(&object, [&vec![0; there][..], &content[there..]].concat()).unwrap();
    clone.git(["lake", "pull"]).says_nothing();
    clone.has("a.bin", &content);
}

#[test]
fn a_push_that_is_killed_at_any_part_sends_only_the_others() {
    for there in [0, 2, 4, 5] {
        let site = Site::new();
        let repo = site.owing();
        site.server.fault(from_part(there + 1), 100, Fault::Stall);
        let mut push = repo.start_program("git-lake", &["push"]);
        let standing = if there == 5 { 1 } else { (5 - there).min(4) };
        site.wait_for_requests(standing as usize, from_part(there + 1));
        let there = there as usize;
        site.wait_for_parts(there);
        kill_and_wait(&mut push);
        assert_eq!(site.server.unfinished_uploads("lake"), 1);
        site.server.heal();
        site.server.take_requests();
        repo.git(["lake", "push"]);
        let requests = site.server.requests();
        assert!(!requests.iter().any(|it| it.operation == "CreateMultipartUpload"));
        assert_eq!(site.received(), SIZE.saturating_sub(there as u64 * PART));
        site.is_uploaded();
        repo.git(["lake", "status"]).prints("Nothing is owed.");
    }
}

#[test]
fn a_push_that_is_interrupted_goes_on_in_the_next_process() {
    let site = Site::new();
    let repo = site.owing();
    site.server.fault(from_part(3), 100, Fault::Stall);
    let mut push = repo.start_program("git-lake", &["push"]);
    site.wait_for_parts(2);
    // Both were answered when a third one is under way beside two others.
    site.wait_for_requests(3, from_part(3));
    interrupt(&mut push);
    site.server.heal();
    site.server.take_requests();
    repo.git(["lake", "push"]);
    assert_eq!(site.received(), SIZE - 2 * PART);
    site.is_uploaded();
}

#[test]
fn an_upload_of_git_add_that_is_killed_is_finished_by_a_push() {
    let site = Site::new();
    let repo = site.repo();
    repo.write("a.bin", &site.content);
    site.server.fault(from_part(4), 100, Fault::Stall);
    let note = repo.note_filter_pid();
    let mut git = repo.start(&["add", "."]);
    let pid = noted_pid(&note);
    site.wait_for_parts(3);
    site.wait_for_requests(2, from_part(4));
    kill(pid);
    assert!(git.wait().unwrap().success());
    repo.unwrap_filter();
    repo.git(["commit", "-q", "-m", "v1"]);
    site.server.heal();
    site.server.take_requests();
    repo.git(["lake", "push"]);
    assert_eq!(site.received(), SIZE - 3 * PART);
    site.is_uploaded();
    let clone = site.env.clone_of(&repo, "clone");
    clone.has("a.bin", &site.content);
}
