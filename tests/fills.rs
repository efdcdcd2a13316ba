//! Large files that are put in place when git is done, and all that can happen meanwhile.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::common::stops::Stopped;
use crate::common::{
    Repo, TestEnv, kill, modified, noise, noted_pid, seconds, wait_for_next_second, wait_until,
};

/// In the order in which they are reached.
const POINTS: [&str; 5] =
    ["fill-begins", "fill-marked", "fill-copying", "fill-copied", "fill-placed"];
const FILE: &str = "sub/large.bin";
const SIZE: usize = 50_000;

fn content() -> Vec<u8> {
    noise(1, SIZE)
}

/// A repository on its branch `empty`; `main` has a large file and a note.
fn before_a_switch(env: &TestEnv) -> Repo {
    let (repo, _lake) = env.tracked("work");
    repo.git(["branch", "empty"]);
    repo.git(["config", "lake.inbandLimit", "1000"]);
    repo.write(FILE, content());
    repo.write("note.txt", "one\n");
    repo.commit("v1");
    repo.git(["switch", "-q", "empty"]);
    assert!(!repo.path.join(FILE).exists());
    repo
}

/// Starts `git switch main` and waits until its filter has come to a point.
#[track_caller]
fn switch_until(repo: &Repo, point: &str) -> (Child, u32, Stopped) {
    let note = repo.note_filter_pid();
    let (stopping, stop) = repo.stop_at(point);
    let mut command = stopping.command("git");
    // A group of its own, so that a signal for the group reaches nobody else.
    command.args(["switch", "-q", "main"]).process_group(0);
    let git = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = noted_pid(&note);
    let stopped = stop.reached();
    repo.unwrap_filter();
    (git, pid, stopped)
}

/// Waits for git, which has to succeed, and returns what was said.
#[track_caller]
fn ended(git: Child) -> String {
    let output = git.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Nothing is left behind but what the store may keep until it is swept.
#[track_caller]
fn has_no_strays(repo: &Repo) {
    assert!(!repo.git_dir().join("index.lock").exists());
    let listed = repo.git(["status", "--porcelain", "--ignored", "-uall"]).stdout;
    assert!(!listed.contains(".lake-") && !listed.contains("??"), "{listed}");
}

#[track_caller]
fn has_no_logs(repo: &Repo) {
    let logs = fs::read_dir(repo.state().join("fill")).into_iter().flatten();
    assert_eq!(logs.count(), 0);
}

/// `git lake pull` brings what is missing, whatever happened before.
#[track_caller]
fn a_pull_heals(repo: &Repo) {
    if repo.path.join(FILE).exists() {
        wait_for_next_second(&repo.path.join(FILE));
    }
    repo.git(["lake", "pull"]);
    repo.has(FILE, content());
    repo.is_clean_for_free();
    has_no_strays(repo);
    has_no_logs(repo);
}

#[test]
fn after_a_checkout_git_status_starts_no_filter() {
    let env = TestEnv::new();
    let repo = before_a_switch(&env);
    let (git, _, stopped) = switch_until(&repo, "fill-placed");
    wait_for_next_second(&repo.path.join(FILE));
    drop(stopped);
    assert_eq!(ended(git), "");
    repo.has(FILE, content());
    repo.is_clean_for_free();
    has_no_strays(&repo);
    has_no_logs(&repo);
}

#[test]
fn a_filter_that_is_killed_at_any_point_leaves_a_true_status_and_a_pull_heals() {
    let env = TestEnv::new();
    let repo = before_a_switch(&env);
    for point in POINTS {
        repo.git(["switch", "-q", "-f", "empty"]);
        let (git, pid, _stopped) = switch_until(&repo, point);
        kill(pid);
        // git does not look at how its filter ends.
        ended(git);
        assert_eq!(repo.git(["branch", "--show-current"]).stdout, "main\n");
        assert_eq!(repo.is_pointer(FILE), point != "fill-placed", "{point}");
        repo.is_clean();
        has_no_strays(&repo);
        // What is added now is what was there.
        repo.touch_all();
        repo.git(["add", "-A"]);
        repo.git(["diff", "--cached", "--quiet"]);
        a_pull_heals(&repo);
    }
}

#[test]
fn a_switch_away_from_what_a_kill_left_works() {
    let env = TestEnv::new();
    let repo = before_a_switch(&env);
    for point in POINTS {
        repo.git(["switch", "-q", "-f", "empty"]);
        let (git, pid, _stopped) = switch_until(&repo, point);
        kill(pid);
        ended(git);
        repo.git(["switch", "-q", "empty"]);
        assert!(!repo.path.join(FILE).exists(), "{point}");
        // The log names a file that is not there.
        repo.git(["lake", "pull"]);
        has_no_logs(&repo);
        repo.git(["switch", "-q", "main"]);
        repo.has(FILE, content());
        repo.is_clean();
    }
}

/// Another git wrote down how long the pointer was, after the filter had taken that out of the index;
/// then the filter died before it could write how long the content is.
#[test]
fn what_another_status_made_of_the_index_is_healed_from_the_log() {
    let env = TestEnv::new();
    let repo = before_a_switch(&env);
    let file = repo.path.join(FILE);
    let (git, pid, stopped) = switch_until(&repo, "fill-copied");
    wait_for_next_second(&file);
    repo.is_clean();
    let lock = repo.git_dir().join("index.lock");
    fs::write(&lock, "").unwrap();
    drop(stopped);
    wait_until("the content is there", || fs::metadata(&file).unwrap().len() == SIZE as u64);
    kill(pid);
    ended(git);
    fs::remove_file(&lock).unwrap();
    // git does not look into a file of another length: nothing but the log can tell.
    assert_eq!(repo.status(), " M sub/large.bin\n");
    repo.has(FILE, content());
    a_pull_heals(&repo);
}

/// The same, with a pull in the place of the filter.
#[test]
fn what_another_status_made_of_the_index_during_a_pull_is_healed_from_the_log() {
    let env = TestEnv::new();
    let repo = before_a_switch(&env);
    let file = repo.path.join(FILE);
    repo.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["switch", "-q", "main"]);
    let (stopping, stop) = repo.stop_at("fill-copied");
    let mut pull = stopping.start_program("git-lake", &["pull"]);
    let stopped = stop.reached();
    wait_for_next_second(&file);
    repo.is_clean();
    let lock = repo.git_dir().join("index.lock");
    fs::write(&lock, "").unwrap();
    drop(stopped);
    wait_until("the content is there", || fs::metadata(&file).unwrap().len() == SIZE as u64);
    pull.kill().unwrap();
    pull.wait().unwrap();
    fs::remove_file(&lock).unwrap();
    assert_eq!(repo.status(), " M sub/large.bin\n");
    a_pull_heals(&repo);
}

#[test]
fn the_log_stays_when_the_index_cannot_be_written_after_the_files() {
    let env = TestEnv::new();
    let repo = before_a_switch(&env);
    let (git, _, stopped) = switch_until(&repo, "fill-marked");
    wait_for_next_second(&repo.path.join(FILE));
    // It takes the size 0 for a chance to write the right one.
    repo.is_clean();
    let lock = repo.git_dir().join("index.lock");
    fs::write(&lock, "").unwrap();
    drop(stopped);
    let said = ended(git);
    fs::remove_file(&lock).unwrap();
    assert!(said.contains("is locked") && said.contains("`git lake pull`"), "{said}");
    assert_eq!(repo.status(), " M sub/large.bin\n");
    a_pull_heals(&repo);
}

#[test]
fn an_index_that_is_locked_before_the_files_leaves_pointers() {
    let env = TestEnv::new();
    let repo = before_a_switch(&env);
    let (git, _, stopped) = switch_until(&repo, "fill-begins");
    let lock = repo.git_dir().join("index.lock");
    fs::write(&lock, "").unwrap();
    drop(stopped);
    let said = ended(git);
    fs::remove_file(&lock).unwrap();
    assert!(
        said.contains("1 file left as a pointer (sub/large.bin): The index is locked"),
        "{said}"
    );
    assert!(said.contains("`git lake pull`"), "{said}");
    assert!(repo.is_pointer(FILE));
    has_no_logs(&repo);
    repo.is_clean();
    a_pull_heals(&repo);
}

#[test]
fn an_index_that_is_locked_after_the_files_costs_one_comparison() {
    let env = TestEnv::new();
    let repo = before_a_switch(&env);
    let (git, _, stopped) = switch_until(&repo, "fill-placed");
    let lock = repo.git_dir().join("index.lock");
    fs::write(&lock, "").unwrap();
    drop(stopped);
    let said = ended(git);
    fs::remove_file(&lock).unwrap();
    assert!(said.contains("The next `git status` will take longer"), "{said}");
    repo.has(FILE, content());
    repo.is_clean();
    a_pull_heals(&repo);
}

/// What a user does to a file, and what `git status` has to say of it.
const DEEDS: [(&str, &str); 3] = [("edit", " M"), ("replace", " M"), ("delete", " D")];

fn do_to(file: &Path, deed: &str) {
    match deed {
        "edit" => fs::write(file, "the user's").unwrap(),
        "replace" => {
            let saved = file.with_extension("saved");
            fs::write(&saved, "the user's").unwrap();
            fs::rename(saved, file).unwrap();
        }
        _ => fs::remove_file(file).unwrap(),
    }
}

#[test]
fn what_the_user_does_to_a_file_meanwhile_counts() {
    let env = TestEnv::new();
    let repo = before_a_switch(&env);
    for point in POINTS {
        for (deed, status) in DEEDS {
            repo.git(["switch", "-q", "-f", "empty"]);
            let (git, _, stopped) = switch_until(&repo, point);
            do_to(&repo.path.join(FILE), deed);
            drop(stopped);
            assert_eq!(ended(git), "", "{deed} at {point}");
            match deed {
                "delete" => assert!(!repo.path.join(FILE).exists(), "at {point}"),
                _ => repo.has(FILE, "the user's"),
            }
            assert_eq!(repo.status(), format!("{status} sub/large.bin\n"), "{deed} at {point}");
            has_no_strays(&repo);
            has_no_logs(&repo);
            assert_eq!(fs::read_dir(repo.state().join("tmp")).into_iter().flatten().count(), 0);
            repo.git(["checkout", "-q", "--", "."]);
            repo.has(FILE, content());
        }
    }
}

/// Same length, same inode, same second: only a second that is over tells such a change.
#[test]
fn a_change_in_the_second_of_the_file_is_seen() {
    let env = TestEnv::new();
    let repo = before_a_switch(&env);
    repo.git(["config", "core.trustctime", "false"]);
    let file = repo.path.join(FILE);
    let (git, _, stopped) = switch_until(&repo, "fill-placed");
    let then = modified(&file);
    let mut other = content();
    other[0] ^= 1;
    fs::write(&file, &other).unwrap();
    let second = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds(then));
    let moved = if then == second { second + Duration::from_nanos(1) } else { second };
    fs::File::options().write(true).open(&file).unwrap().set_modified(moved).unwrap();
    wait_for_next_second(&file);
    drop(stopped);
    ended(git);
    assert_eq!(repo.status(), " M sub/large.bin\n");
}

/// git takes a file of the second of its index for one that may have changed. Writing the index anew
/// must not take that doubt away.
#[test]
fn a_change_of_another_file_in_the_second_of_the_index_is_seen() {
    let env = TestEnv::new();
    let repo = before_a_switch(&env);
    repo.git(["config", "core.trustctime", "false"]);
    let note = repo.path.join("note.txt");
    let (git, _, stopped) = switch_until(&repo, "fill-begins");
    let then = modified(&note);
    let set = |path: &Path| {
        fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
    };
    fs::write(&note, "two\n").unwrap();
    set(&note);
    set(&repo.git_dir().join("index"));
    wait_for_next_second(&note);
    drop(stopped);
    ended(git);
    assert_eq!(repo.status(), " M note.txt\n");
}

#[test]
fn a_folder_that_became_a_link_leads_nowhere() {
    let env = TestEnv::new();
    let repo = before_a_switch(&env);
    for point in POINTS {
        repo.git(["switch", "-q", "-f", "empty"]);
        let (git, _, stopped) = switch_until(&repo, point);
        let outside = env.path("outside");
        fs::create_dir(&outside).unwrap();
        let pointer = repo.blob(&format!("main:{FILE}"));
        fs::write(outside.join("large.bin"), &pointer).unwrap();
        let before = fs::metadata(outside.join("large.bin")).unwrap();
        fs::rename(repo.path.join("sub"), repo.path.join("was-sub")).unwrap();
        symlink(&outside, repo.path.join("sub")).unwrap();
        drop(stopped);
        ended(git);
        let after = fs::metadata(outside.join("large.bin")).unwrap();
        assert_eq!((before.ino(), before.len()), (after.ino(), after.len()), "{point}");
        assert_eq!(fs::read(outside.join("large.bin")).unwrap(), pointer.as_bytes());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "{point}");
        assert!(repo.status().contains(" D sub/large.bin\n"), "{point}");
        // Nor does a pull go through the link.
        repo.run("git", ["lake", "pull"]);
        assert_eq!(fs::read(outside.join("large.bin")).unwrap(), pointer.as_bytes());
        fs::remove_file(repo.path.join("sub")).unwrap();
        fs::rename(repo.path.join("was-sub"), repo.path.join("sub")).unwrap();
        fs::remove_dir_all(&outside).unwrap();
        // The index was told nothing of a file that could not be found again.
        wait_for_next_second(&repo.path.join(FILE));
        repo.is_clean();
        a_pull_heals(&repo);
    }
}

#[test]
fn a_second_terminal_may_switch_branches_meanwhile() {
    let env = TestEnv::new();
    let repo = before_a_switch(&env);
    for point in POINTS {
        repo.git(["switch", "-q", "-f", "empty"]);
        let (git, _, stopped) = switch_until(&repo, point);
        repo.git(["switch", "-q", "empty"]).says_nothing();
        drop(stopped);
        assert_eq!(ended(git), "", "{point}");
        assert!(!repo.path.join(FILE).exists(), "{point}");
        repo.is_clean();
        has_no_strays(&repo);
        has_no_logs(&repo);
        repo.git(["switch", "-q", "main"]);
        repo.has(FILE, content());
        repo.is_clean();
    }
}

#[test]
fn a_second_terminal_may_look_and_stage_meanwhile() {
    let env = TestEnv::new();
    let repo = before_a_switch(&env);
    for point in POINTS {
        repo.git(["switch", "-q", "-f", "empty"]);
        let (git, _, stopped) = switch_until(&repo, point);
        wait_for_next_second(&repo.path.join(FILE));
        repo.is_clean();
        repo.git(["add", "-A"]);
        repo.git(["diff", "--cached", "--quiet"]);
        repo.git(["diff", "--quiet"]);
        drop(stopped);
        assert_eq!(ended(git), "", "{point}");
        repo.has(FILE, content());
        repo.is_clean_for_free();
        has_no_strays(&repo);
        has_no_logs(&repo);
    }
}

/// git dies of Ctrl-C; its filter hears it, too, and leaves everything in order.
#[test]
fn ctrl_c_leaves_whole_files_and_a_true_status() {
    let env = TestEnv::new();
    let repo = before_a_switch(&env);
    for point in POINTS {
        repo.git(["switch", "-q", "-f", "empty"]);
        let (mut git, pid, stopped) = switch_until(&repo, point);
        let group = format!("-{}", git.id());
        assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
        // git dies of it, or it is waiting for its filter already, and goes on doing so.
        let end = Instant::now() + Duration::from_secs(2);
        let mut is_over = || git.try_wait().unwrap().is_some() || Instant::now() > end;
        wait_until("git is dead or waits", &mut is_over);
        drop(stopped);
        git.wait().unwrap();
        let process = Path::new("/proc").join(pid.to_string());
        wait_until("the filter has ended", || !process.exists());
        assert_eq!(repo.git(["branch", "--show-current"]).stdout, "main\n");
        assert_eq!(repo.is_pointer(FILE), POINTS[..3].contains(&point), "{point}");
        repo.is_clean();
        has_no_strays(&repo);
        has_no_logs(&repo);
        a_pull_heals(&repo);
    }
}

#[test]
fn a_pull_that_is_killed_at_any_point_is_healed_by_the_next_one() {
    let env = TestEnv::new();
    let repo = before_a_switch(&env);
    for point in POINTS {
        repo.git(["switch", "-q", "-f", "empty"]);
        repo.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["switch", "-q", "main"]);
        let (stopping, stop) = repo.stop_at(point);
        let mut pull = stopping.start_program("git-lake", &["pull"]);
        let stopped = stop.reached();
        wait_for_next_second(&repo.path.join(FILE));
        // It writes down how long the pointer is, if that is what it finds.
        repo.is_clean();
        pull.kill().unwrap();
        pull.wait().unwrap();
        drop(stopped);
        repo.is_clean();
        a_pull_heals(&repo);
    }
}

#[test]
fn keys_and_slices_limit_what_is_pulled() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    for id in 0..4 {
        repo.write(format!("set/data/{id}_image.bin"), noise(id, 500));
        repo.write(format!("set/data/{id}_mask.bin"), noise(100 + id, 500));
    }
    repo.write("other.bin", noise(60, 500));
    repo.commit("v1");
    env.install();
    let skipping = env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1");
    skipping.git(["clone", "-q", "work", "clone"]);
    let clone = env.at("clone");
    clone.git(["lake", "pull", "-k", "image", "--stop=2"]).says("2 files filled");
    let filled = |name: &str| !clone.is_pointer(format!("set/data/{name}.bin"));
    assert!(filled("0_image") && filled("1_image") && !filled("2_image") && !filled("0_mask"));
    clone.git(["lake", "pull", "--step", "3", "set"]).says("3 files filled");
    assert!(filled("3_image") && filled("0_mask") && filled("3_mask") && !filled("1_mask"));
    assert!(clone.is_pointer("other.bin"));
    clone.git_fails(1, ["lake", "pull", "-k", "none"]).says("No item has the key `none`");
    clone.git(["lake", "pull"]);
    clone.is_clean_when_touched();
    assert!(!clone.is_pointer("other.bin"));
}
