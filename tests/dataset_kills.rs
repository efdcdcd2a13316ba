//! Datasets outside of git: a kill at any time loses nothing, and the same command goes on.

use std::fs;

use crate::common::dataset::place;
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
    let staging = || {
        let entries = fs::read_dir(&place.path).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".out.lake-")).collect::<Vec<_>>()
    };
    let is_begun = || {
        staging().first().is_some_and(|folder| {
            let data = place.path.join(folder).join("new/data");
            fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some())
        })
    };
    let add = ["remote-add", "-i", "in", "-o", "out", "-r", "lake"];
    kill_when(&place, &add, "something is staged", is_begun);
    assert!(!place.path.join("out").exists());
    assert_eq!(staging().len(), 1);
    nothing_is_lost(&place, "in");
    place.lake(0, add);
    nothing_is_lost(&place, "out");
    assert_eq!(count(&place, "out", ".bin.remote"), place.files("out").len());
    assert!(staging().is_empty(), "{:?}", staging());
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
