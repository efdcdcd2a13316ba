//! Settings that are wrong, a store and lakes that cannot be written: clear errors, nothing lost.

use std::fs;

use crate::common::{Lake, Repo, TestEnv, noise};

fn repo(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    (repo, lake)
}

fn append(repo: &Repo, text: &str) {
    let before = repo.text(".gitlake.toml");
    repo.write(".gitlake.toml", format!("{before}{text}"));
}

const COMMANDS: [&[&str]; 5] = [
    &["lake", "status"],
    &["lake", "push"],
    &["lake", "pull"],
    &["lake", "env"],
    &["lake", "trust", "file:///x"],
];

#[test]
fn an_unknown_key_is_refused_with_the_nearest_name() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    append(&repo, "uplaod = false\n");
    for args in COMMANDS {
        let ran = repo.git_fails(1, args);
        drop(ran.says("unknown key `uplaod`; did you mean `upload`?"));
    }
}

#[test]
fn the_filter_passes_an_unknown_key_over_with_one_warning() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    append(&repo, "uplaod = false\n");
    for at in 2..6 {
        repo.write(format!("{at}.bin"), noise(at, 100));
    }
    let ran = repo.git(["add", "."]).says("unknown key `uplaod`");
    assert_eq!(ran.told().len(), 1, "{ran:?}");
    lake.holds(noise(2, 100));
    repo.git(["commit", "-q", "-m", "v2"]);
    repo.git(["switch", "-q", "-c", "side", "HEAD~1"]);
    repo.git(["switch", "-q", "main"]);
    repo.has("2.bin", noise(2, 100));
}

#[test]
fn conflict_markers_are_refused_by_commands_and_stop_nothing_else() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let settings = repo.text(".gitlake.toml");
    repo.write(".gitlake.toml", format!("<<<<<<< HEAD\n{settings}=======\n>>>>>>> side\n"));
    for args in COMMANDS {
        repo.git_fails(1, args).says("line 1 is a conflict marker of a merge");
    }
    repo.touch("a.bin");
    repo.git(["status"]);
    repo.git(["switch", "-q", "-c", "side"]);
    // The settings of the index are in force meanwhile.
    repo.write("b.bin", noise(2, 100));
    repo.git(["add", "b.bin"]);
    lake.holds(noise(2, 100));
}

#[test]
fn a_real_conflict_in_the_settings_stops_nothing() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let name = "name = \"work-lake\"";
    let settings = repo.text(".gitlake.toml");
    assert!(settings.contains(name), "{settings}");
    repo.on_branch("side", |repo| {
        repo.write(".gitlake.toml", settings.replace(name, "name = \"theirs\""));
    });
    repo.write(".gitlake.toml", settings.replace(name, "name = \"ours\""));
    repo.commit("ours");
    let ran = repo.run("git", ["merge", "-q", "side"]);
    if ran.code == Some(0) {
        // Merged by meaning: nothing is left to show.
        repo.git(["lake", "status"]);
        return;
    }
    repo.touch("a.bin");
    repo.git(["status"]);
    repo.git(["diff"]);
    repo.write("b.bin", noise(2, 100));
    repo.git(["add", "b.bin"]);
    lake.holds(noise(2, 100));
    repo.git(["merge", "--abort"]);
}

#[test]
fn settings_of_a_newer_version_are_refused_by_commands_and_stop_nothing_else() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    let settings = repo.text(".gitlake.toml").replace("version = 1", "version = 2");
    repo.write(".gitlake.toml", settings);
    for args in COMMANDS {
        repo.git_fails(1, args).says("has version 2; this git-lake reads version 1");
    }
    repo.write("b.bin", noise(2, 100));
    let ran = repo.git(["add", "."]).says("version 2");
    assert_eq!(ran.told().len(), 1, "{ran:?}");
    lake.holds(noise(2, 100));
}

#[test]
fn refused_settings_are_an_error_with_a_way_out() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    append(&repo, "[[[\n");
    repo.git_fails(1, ["lake", "status"]).says("hint: ").says(".gitlake.toml");
}

#[test]
fn settings_without_a_work_tree_file_come_from_the_index() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    fs::remove_file(repo.path.join(".gitlake.toml")).unwrap();
    repo.write("b.bin", noise(2, 100));
    repo.git(["add", "b.bin"]).says_nothing();
    lake.holds(noise(2, 100));
}

#[test]
fn a_wrong_value_in_gits_configuration_stops_only_commands() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.git(["config", "lake.jobs", "many"]);
    repo.git_fails(1, ["lake", "status"]).says("`lake.jobs`");
    repo.write("b.bin", noise(2, 100));
    repo.git(["add", "b.bin"]).says("`lake.jobs`");
    lake.holds(noise(2, 100));
}

#[test]
fn init_refuses_a_lake_that_is_a_file() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    let file = env.path("file");
    fs::write(&file, "not a folder").unwrap();
    let ran = repo.git_fails(1, ["lake", "init", &format!("file://{}", file.display())]);
    drop(ran.says("it is a file, and a lake is a folder"));
    assert_eq!(fs::read(&file).unwrap(), b"not a folder");
    assert!(!repo.path.join(".gitlake.toml").exists());
}

#[test]
fn a_lake_that_became_a_file_leaves_uploads_owed() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    lake.unmount();
    fs::write(&lake.path, "not a folder").unwrap();
    repo.write("b.bin", noise(2, 100));
    repo.git(["add", "b.bin"]).says("1 upload is owed");
    fs::remove_file(&lake.path).unwrap();
    lake.mount();
    repo.git(["lake", "push"]);
    lake.holds(noise(2, 100));
}

#[test]
fn an_empty_mount_point_is_not_filled() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    lake.unmount();
    fs::create_dir(&lake.path).unwrap();
    repo.write("b.bin", noise(2, 100));
    repo.git(["add", "b.bin"]).says("1 upload is owed");
    assert_eq!(fs::read_dir(&lake.path).unwrap().count(), 0);
    fs::remove_dir(&lake.path).unwrap();
    lake.mount();
}

#[test]
fn init_wants_the_folder_above_a_lake_or_to_be_told() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    let url = format!("file://{}", env.path("no/such/lake").display());
    repo.git_fails(1, ["lake", "init", &url]).says("--create");
    assert!(!env.path("no").exists());
    repo.git(["lake", "init", "--create", &url]);
    assert!(env.path("no/such/lake/.pl/tags.json").is_file());
}

#[test]
fn a_store_that_cannot_be_written_refuses_the_add_and_leaves_the_index() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    // A file in the place of the folder stops even those who may do anything.
    let objects = repo.state().join("objects");
    let aside = objects.with_extension("aside");
    fs::rename(&objects, &aside).unwrap();
    fs::write(&objects, "").unwrap();
    let before = repo.git(["ls-files", "-s"]).stdout;
    repo.write("b.bin", noise(2, 100));
    repo.write("large.bin", noise(3, 3 << 20));
    repo.git_fails(128, ["add", "b.bin"]).says("Could not add `b.bin`");
    repo.git_fails(128, ["add", "large.bin"]).says("Could not add `large.bin`");
    assert_eq!(repo.git(["ls-files", "-s"]).stdout, before);
    repo.has("b.bin", noise(2, 100));
    // Who only looks is not in the way: a change of the same size is cleaned and told.
    repo.write("a.bin", noise(9, 3000));
    let ran = repo.git(["status", "--short"]).says("Could not store content");
    assert!(ran.stdout.starts_with(" M a.bin\n"), "{ran:?}");
    drop(repo.git(["diff", "--stat"]).prints("a.bin"));
    repo.touch("a.bin");
    repo.git_fails(128, ["add", "a.bin"]).says("Could not add `a.bin`");
    fs::remove_file(&objects).unwrap();
    fs::rename(&aside, &objects).unwrap();
    repo.git(["add", "."]).says_nothing();
    lake.holds(noise(2, 100));
    lake.holds(noise(3, 3 << 20));
}

/// Writing beyond a mebibyte fails as on a full disk.
const FULL: &str = "trap '' XFSZ\nulimit -f 2048\n$REAL";

#[test]
fn a_full_disk_refuses_the_add_and_leaves_the_index() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.wrap_filter(FULL);
    let before = repo.git(["ls-files", "-s"]).stdout;
    repo.write("b.bin", noise(2, 100));
    repo.write("large.bin", noise(3, 3 << 20));
    repo.git_fails(128, ["add", "."]).says("Could not add `large.bin`");
    assert_eq!(repo.git(["ls-files", "-s"]).stdout, before);
    repo.git(["status"]);
    // Only hashing is left of a large file that is looked at.
    let args = ["hash-object", "--path=large.bin", "large.bin"];
    repo.git(args).says("Could not store content");
    repo.unwrap_filter();
    repo.git(args).says_nothing();
    repo.git(["add", "."]).says_nothing();
    lake.holds(noise(3, 3 << 20));
    repo.git(["commit", "-q", "-m", "v2"]);
    repo.is_clean_when_touched();
}

#[test]
fn a_full_disk_leaves_pointers_at_checkout() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    repo.write("large.bin", noise(3, 3 << 20));
    repo.write("other.bin", noise(4, 3 << 20));
    repo.commit("v2");
    fs::remove_file(repo.path.join("large.bin")).unwrap();
    fs::remove_file(repo.path.join("other.bin")).unwrap();
    fs::remove_file(repo.path.join("a.bin")).unwrap();
    repo.empty_store();
    repo.wrap_filter(FULL);
    repo.git(["checkout", "-q", "--", "."]).says(
        "2 files left as pointers (large.bin, other.bin): Could not write to this clone's store: ",
    );
    assert!(repo.is_pointer("large.bin"));
    repo.has("a.bin", noise(1, 3000));
    repo.unwrap_filter();
    repo.is_clean_when_touched();
    repo.git(["lake", "pull"]);
    repo.has("large.bin", noise(3, 3 << 20));
    repo.is_clean();
}

#[test]
fn a_lake_that_is_full_leaves_the_upload_owed() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.git(["config", "lake.upload", "push"]);
    repo.write("large.bin", noise(3, 3 << 20));
    repo.write("b.bin", noise(2, 100));
    repo.git(["add", "."]);
    let ran = repo.run("sh", ["-c", "trap '' XFSZ; ulimit -f 2048; git lake push"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    drop(ran.says("1 upload is owed"));
    lake.lacks(noise(3, 3 << 20));
    lake.holds(noise(2, 100));
    repo.git(["lake", "push"]);
    lake.holds(noise(3, 3 << 20));
}

#[test]
fn secrets_in_an_address_are_never_shown() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let url = "s3://someone:hidden@h:9000/bucket?session=hidden";
    append(&repo, &format!("\n[[remote]]\nname = \"s\"\nurl = \"{url}\"\n"));
    repo.write("b.bin", noise(2, 100));
    let runs = [
        repo.run("git", ["lake", "status"]),
        repo.run("git", ["lake", "env"]),
        repo.run("git", ["lake", "push"]),
        repo.run("git", ["lake", "init", url]),
        repo.run("git", ["lake", "trust", url]),
        repo.run("git", ["add", "b.bin"]),
        repo.run("git", ["lake", "pull"]),
    ];
    for ran in runs {
        assert!(!ran.stdout.contains("hidden") && !ran.stderr.contains("hidden"), "{ran:?}");
    }
    assert!(!repo.blob(":b.bin").contains("hidden"));
}

#[test]
fn settings_that_are_no_file_stop_nothing() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    fs::remove_file(repo.path.join(".gitlake.toml")).unwrap();
    fs::create_dir(repo.path.join(".gitlake.toml")).unwrap();
    repo.touch("a.bin");
    repo.git(["status"]);
    repo.write("b.bin", noise(2, 100));
    repo.git(["add", "b.bin"]);
    lake.holds(noise(2, 100));
    repo.git_fails(1, ["lake", "status"]);
}

#[test]
fn settings_that_are_no_text_stop_nothing() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.write(".gitlake.toml", noise(5, 5000));
    repo.touch("a.bin");
    repo.git(["status"]);
    repo.write("b.bin", noise(2, 100));
    repo.git(["add", "b.bin"]);
    lake.holds(noise(2, 100));
    repo.git_fails(1, ["lake", "status"]).says(".gitlake.toml");
}

/// Puts nonsense into every file of the local state but the objects.
fn garble(repo: &Repo) {
    let mut folders = vec![repo.state()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("objects") {
                folders.push(path);
            } else if path.is_file() && !path.ends_with("accepted") {
                fs::remove_file(&path).unwrap();
                fs::write(&path, noise(6, 3000)).unwrap();
            }
        }
    }
}

#[test]
fn garbled_local_records_stop_nothing() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    lake.unmount();
    repo.write("b.bin", noise(2, 100));
    repo.git(["add", "b.bin"]);
    lake.mount();
    garble(&repo);
    fs::copy(repo.path.join("a.bin"), repo.path.join("copy.bin")).unwrap();
    repo.write("c.bin", noise(3, 100));
    repo.git(["add", "."]);
    lake.holds(noise(3, 100));
    repo.git(["commit", "-q", "-m", "v2"]);
    repo.git(["lake", "status"]);
    garble(&repo);
    // What was owed is proved again before it is pushed.
    env.bare("origin.git");
    repo.git(["push", "-q", "../origin.git", "main"]);
    lake.holds(noise(2, 100));
    repo.is_clean_when_touched();
}
