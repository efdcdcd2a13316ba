//! Datasets outside of git: a kill at any time loses nothing, and the same command goes on.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use git_lake::oid::Oid;

use crate::common::dataset::place;
use crate::common::s3::endpoint::Endpoint;
use crate::common::s3::{Fault, S3Server};
use crate::common::{Repo, TestEnv, noise, wait_until};

/// So many that they are done in two steps. The first is quick, and the second takes seconds when the rate
/// is limited to [`RATE`]: whatever happens after the first happens in the middle.
const ITEMS: u64 = 2236;
const AT_ONCE: u64 = 2048;
const RATE: &str = "1m";

fn content(at: u64) -> Vec<u8> {
    noise(at, if at < AT_ONCE { 100 } else { 30_000 })
}

fn many(place: &Repo, name: &str) {
    let names: Vec<String> = (0..ITEMS).map(|at| format!("data/{at}_a.bin")).collect();
    let files = names.iter().zip(0..).map(|(name, at)| (&**name, content(at)));
    place.dataset(name, files);
}

/// The same place, where transfers are slow.
fn slowly(place: &Repo) -> Repo {
    let setting = place.with("GIT_CONFIG_COUNT", "1").with("GIT_CONFIG_KEY_0", "lake.maxRate");
    setting.with("GIT_CONFIG_VALUE_0", RATE)
}

/// Starts a command that takes long, and kills it as soon as something has happened.
fn kill_when(place: &Repo, args: &[&str], what: &str, is_so: impl Fn() -> bool) {
    let mut child = slowly(place).start_program("git-lake", args);
    wait_until(what, &is_so);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "it was killed in the middle");
}

/// Each item is there as its content, or as a source of it, or both.
#[track_caller]
fn nothing_is_lost(place: &Repo, name: &str) {
    for at in 0..ITEMS {
        let file = place.path.join(format!("{name}/data/{at}_a.bin"));
        let remote = place.path.join(format!("{name}/data/{at}_a.bin.remote"));
        match (fs::read(file), fs::read_to_string(remote)) {
            (Ok(bytes), _) => assert!(bytes == content(at), "{at} has other bytes"),
            (Err(_), Ok(text)) => {
                let path = text.trim_start_matches("[\"file://").trim_end_matches("\"]");
                assert!(fs::read(path).unwrap() == content(at), "{at} is not in its lake");
            }
            (Err(_), Err(_)) => panic!("{at} is lost"),
        }
    }
}

fn has(place: &Repo, name: &str, suffix: &str) -> bool {
    place.files(name).iter().any(|name| name.ends_with(suffix))
}

fn count(place: &Repo, name: &str, suffix: &str) -> usize {
    place.files(name).iter().filter(|name| name.ends_with(suffix)).count()
}

#[test]
fn a_kill_in_place_leaves_the_old_or_the_new_and_the_same_command_finishes() {
    let env = TestEnv::new();
    let place = place(&env);
    many(&place, "set");
    let add = ["remote-add", "-i", "set", "-o", "set", "-r", "lake"];
    let is_begun = || has(&place, "set", ".remote");
    kill_when(&place, &add, "a `.remote` file is there", is_begun);
    assert!(has(&place, "set", ".bin"));
    nothing_is_lost(&place, "set");
    place.lake(0, add);
    assert_eq!(count(&place, "set", ".bin.remote"), place.files("set").len());
    nothing_is_lost(&place, "set");

    for back in [
        ["clone", "-i", "set", "-o", "set"].as_slice(),
        &["remote-remove", "-i", "set", "-o", "set", "-r", "lake"],
    ] {
        kill_when(&place, back, "a file is there", || has(&place, "set", ".bin"));
        nothing_is_lost(&place, "set");
        place.lake(0, back);
        assert_eq!(count(&place, "set", ".bin"), place.files("set").len());
        nothing_is_lost(&place, "set");
        place.lake(0, add);
    }
}

#[test]
fn a_kill_leaves_no_half_output_and_the_next_run_tidies_up() {
    let env = TestEnv::new();
    let place = place(&env);
    many(&place, "in");
    let is_begun = || {
        place.staged("out", "data").is_some_and(|data| {
            fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some())
        })
    };
    let add = ["remote-add", "-i", "in", "-o", "out", "-r", "lake"];
    kill_when(&place, &add, "something is staged", is_begun);
    assert!(!place.path.join("out").exists());
    assert_eq!(place.staging("out").len(), 1);
    nothing_is_lost(&place, "in");
    place.lake(0, add);
    nothing_is_lost(&place, "out");
    assert_eq!(count(&place, "out", ".bin.remote"), place.files("out").len());
    assert!(place.staging("out").is_empty());
}

#[test]
fn an_interrupt_ends_in_order() {
    let env = TestEnv::new();
    let place = place(&env);
    many(&place, "in");
    let args = ["remote-add", "-i", "in", "-o", "out", "-r", "lake"];
    let mut child = slowly(&place).start_program("git-lake", &args);
    let lake = place.path.join("lake");
    let sent = || fs::read_dir(&lake).is_ok_and(|entries| entries.count() > 10);
    wait_until("something was sent", sent);
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(130));
    let left: Vec<_> = fs::read_dir(&place.path).unwrap().collect();
    assert_eq!(left.len(), 2, "input and lake: {left:?}");
    nothing_is_lost(&place, "in");
}

#[test]
fn a_download_that_is_killed_goes_on_with_what_came() {
    const ITEMS: usize = 40;
    let env = TestEnv::new();
    let place = place(&env);
    let server = S3Server::start();
    let endpoint = Endpoint::of(&server);
    let names: Vec<String> = (0..ITEMS).map(|at| format!("data/{at:02}_a.bin")).collect();
    let contents: Vec<Vec<u8>> = (0..ITEMS).map(|at| noise(at as u64, 2000)).collect();
    place.dataset("in", names.iter().map(|name| &**name).zip(contents.iter().cloned()));
    place.lake(0, ["remote-add", "-i", "in", "-o", "away", "-r", &endpoint.typed("lake")]);
    let keys: Vec<String> =
        contents.iter().map(|content| format!("{}.bin", Oid::of(content).to_hex())).collect();
    let host = endpoint.typed("").replacen("/?", "?", 1);
    let asked = || -> BTreeSet<String> {
        let requests = server.take_requests().into_iter();
        let objects = requests.filter(|request| request.operation == "GetObject");
        objects.map(|request| request.key().to_owned()).collect()
    };
    let all: BTreeSet<String> = keys.iter().cloned().collect();
    for in_place in [false, true] {
        let output = if in_place { "away" } else { "back" };
        let args = ["clone", "-i", "away", "-o", output, "--host", &host, "-j", "4"];
        let folder = || match in_place {
            false => place.staged("back", "data"),
            true => hidden(&place.path.join("away/data")).map(|folder| folder.join("new")),
        };
        let whole = || {
            let entries = folder().and_then(|folder| fs::read_dir(folder).ok());
            let entries = entries.into_iter().flatten().flatten();
            entries.filter(|entry| entry.metadata().is_ok_and(|it| it.len() == 2000)).count()
        };
        server.take_requests();
        let mut missing = all.clone();
        for count in [20, 10] {
            // So many objects never come, the last ones, since whoever waits for them does nothing else.
            let stalled: BTreeSet<String> = keys[ITEMS - count..].iter().cloned().collect();
            let is_stalled = stalled.clone();
            server.fault(move |it| is_stalled.contains(it.key()), 100, Fault::Stall);
            let mut run = place.start_program("git-lake", &args);
            wait_until("all others are there", || whole() == ITEMS - count);
            run.kill().unwrap();
            assert_eq!(run.wait().unwrap().code(), None);
            server.heal();
            let asked = asked();
            assert!(asked.is_subset(&missing) && missing.is_subset(&(&asked | &stalled)));
            missing = stalled;
        }
        place.lake(0, args).says("40 items brought back (78 KiB)");
        assert_eq!(asked(), missing);
        for (name, content) in names.iter().zip(&contents) {
            place.has(format!("{output}/{name}"), content);
        }
        assert_eq!(place.files(output).len(), ITEMS);
        assert_eq!(folder(), None);
    }
}

#[test]
fn what_was_left_of_another_dataset_does_not_come_into_the_output() {
    let env = TestEnv::new();
    let place = place(&env);
    many(&place, "in");
    place.lake(0, ["remote-add", "-i", "in", "-o", "in", "-r", "lake"]);
    let clone = ["clone", "-i", "in", "-o", "out"];
    let is_begun = || place.staged("out", "data/600_a.bin").is_some_and(|file| file.exists());
    kill_when(&place, &clone, "some items are there", is_begun);
    place.dataset("other", [("data/0_a.bin", b"another".to_vec()), ("data/1_b", b"b".to_vec())]);
    place.lake(0, ["remote-add", "-i", "other", "-o", "away", "-r", "lake"]);
    place.lake(0, ["clone", "-i", "away", "-o", "out"]);
    assert_eq!(place.files("out"), ["data/0_a.bin", "data/1_b"]);
    place.has("out/data/0_a.bin", b"another");
    assert!(place.staging("out").is_empty());
}

#[test]
fn an_interrupted_download_is_kept_and_says_where() {
    let env = TestEnv::new();
    let place = place(&env);
    many(&place, "in");
    place.lake(0, ["remote-add", "-i", "in", "-o", "in", "-r", "lake"]);
    let mut command = slowly(&place).command("git-lake");
    command.args(["clone", "-i", "in", "-o", "out"]).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    wait_until("some items are there", || {
        place.staged("out", "data/600_a.bin").is_some_and(|file| file.exists())
    });
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    let left = place.staging("out").remove(0);
    assert_eq!(
        String::from_utf8(ended.stderr).unwrap(),
        format!(
            "git-lake: Interrupted: nothing was written; what came is in `{}`, and the same command goes on with it.\n",
            left.display()
        )
    );
    place.lake(0, ["clone", "-i", "in", "-o", "out"]);
    nothing_is_lost(&place, "out");
    assert!(place.staging("out").is_empty());
}

fn hidden(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .into_iter()
        .find(|path| path.file_name().unwrap().as_encoded_bytes().starts_with(b".lake-"))
}
