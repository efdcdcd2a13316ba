//! Repositories that were made to do harm: what pointers and settings may say, and what then happens.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::common::{Repo, TestEnv, noise};
use git_lake::oid::Oid;

/// As much as a size can say.
const GREATEST: u64 = (1 << 63) - 1;

fn pointer(oid: &str, size: u64, sources: &[String]) -> String {
    let mut text = format!("git-lake pointer v1\noid sha256:{oid}\nsize {size}\n");
    sources.iter().for_each(|source| text.push_str(&format!("source {source}\n")));
    text
}

fn oid(bytes: &[u8]) -> String {
    Oid::of(bytes).to_hex()
}

/// Clones what somebody has planted, as somebody who has installed git-lake.
fn clone(env: &TestEnv) -> Repo {
    env.install();
    env.at(".").git(["clone", "-q", "planted", "clone"]);
    env.at("clone")
}

const NO_REMOTE: &str = "version = 1\n";

/// Everything that looks at pointers, or fetches what they name.
const READERS: [&[&str]; 19] = [
    &["status"],
    &["status", "--all", "--check"],
    &["status", "--json"],
    &["ls-files", "--json"],
    &["where", "."],
    &["where", "--check", "."],
    &["du"],
    &["du", "--json", "HEAD"],
    &["diff", "HEAD~1", "HEAD"],
    &["fetch", "--all"],
    &["pull"],
    &["push", "--all"],
    &["drop", "."],
    &["fsck"],
    &["fsck", "--remote", "--read-data"],
    &["remote-upload", "--all"],
    &["remote-list", "--check"],
    &["prune", "-n"],
    &["doctor"],
];

#[track_caller]
fn nothing_breaks(repo: &Repo, commands: &[&[&str]]) {
    for args in commands {
        let ran = repo.run("git-lake", *args);
        assert!(matches!(ran.code, Some(0..=3)), "{args:?}: {ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{args:?}: {ran:?}");
    }
}

#[test]
fn sizes_near_the_greatest_break_no_sum_and_take_no_room() {
    let env = TestEnv::new();
    let lake = env.lake("lake");
    let sized = |at: u8| {
        let oid = oid(&[at]);
        pointer(&oid, GREATEST - u64::from(at), &[format!("{}/{oid}.bin", lake.url())])
    };
    let files =
        [("a.bin", sized(0)), ("b.bin", sized(1)), ("c.bin", sized(2)), ("d/e.bin", sized(3))];
    let settings = format!("{NO_REMOTE}[[remote]]\nname = \"lake\"\nurl = \"{}\"\n", lake.url());
    env.planted(&settings, &files);
    for at in 0..3_u8 {
        fs::write(lake.path.join(format!("{}.bin", oid(&[at]))), noise(1, 3000)).unwrap();
    }
    let clone = clone(&env);
    for (path, text) in &files {
        clone.has(path, text);
    }
    nothing_breaks(&clone, &READERS);
    env.lake("other");
    nothing_breaks(&clone, &[&["remote-add", "../other"], &["remote-remove", "../other"]]);
    assert!(clone.git(["lake", "ls-files", "--json"]).stdout.contains("9223372036854775807"));
    // A size that no pointer can have makes it damaged.
    for size in ["9223372036854775808", "18446744073709551616", "-1", "0", "007", "1e3"] {
        let text = sized(0).replace(&GREATEST.to_string(), size);
        clone.write("bad.bin", text);
        clone.git_fails(128, ["add", "bad.bin"]).says("Line 3 of the pointer");
    }
}

#[test]
fn what_is_there_is_not_what_was_declared() {
    let env = TestEnv::new();
    let lake = env.lake("lake");
    let content = noise(1, 3000);
    let source = |oid: &str| vec![format!("{}/{oid}.bin", lake.url())];
    let right = oid(&content);
    let (longer, other) = (oid(b"longer"), oid(b"other"));
    let files = [
        // The right bytes under a wrong size, more bytes than declared, and others of the same size.
        ("short.bin", pointer(&right, 10, &source(&right))),
        ("long.bin", pointer(&right, 1 << 40, &source(&right))),
        ("more.bin", pointer(&longer, 6, &source(&longer))),
        ("other.bin", pointer(&other, 5, &source(&other))),
    ];
    env.planted(NO_REMOTE, &files);
    fs::write(lake.object(&content), &content).unwrap();
    // All that is read of it is what was declared, and a byte.
    let huge = fs::File::create(lake.path.join(format!("{longer}.bin"))).unwrap();
    huge.set_len(1 << 40).unwrap();
    fs::write(lake.path.join(format!("{other}.bin")), "wrong").unwrap();
    let begin = Instant::now();
    let clone = clone(&env);
    nothing_breaks(&clone, &READERS);
    for (path, text) in &files {
        clone.has(path, text);
        clone.run("git-lake", ["cat", path]).says_not("panicked");
    }
    assert!(begin.elapsed() < Duration::from_secs(60), "a terabyte was read");
    clone.is_clean_when_touched();
}

#[test]
fn hundreds_of_sources_that_do_not_answer_hold_nothing_up() {
    let env = TestEnv::new();
    // Nobody listens at a port that was just given back.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let content = noise(1, 3000);
    let lake = env.lake("lake");
    fs::write(lake.object(&content), &content).unwrap();
    let oid = oid(&content);
    let mut sources: Vec<String> = Vec::new();
    let most = 8192 - pointer(&oid, 3000, &[]).len() - lake.url().len() - 100;
    let mut at = 0;
    while sources.iter().map(|source| source.len() + 8).sum::<usize>() < most {
        sources.push(match at % 3 {
            0 => format!("file:///n{at}/{oid}.b"),
            1 => format!("s3://127.0.0.1:{port}/b{at}/{oid}.b"),
            _ => format!("s3://h{at}.invalid/b/{oid}.b"),
        });
        at += 1;
    }
    sources.push(format!("{}/{oid}.bin", lake.url()));
    let text = pointer(&oid, 3000, &sources);
    assert!((7900..=8192).contains(&text.len()) && sources.len() > 70, "{}", text.len());
    let files: Vec<String> = (0..20).map(|at| format!("{at}.bin")).collect();
    let files: Vec<(&str, String)> = files.iter().map(|name| (&**name, text.clone())).collect();
    env.planted(NO_REMOTE, &files);
    let begin = Instant::now();
    let clone = clone(&env);
    clone.git(["lake", "pull"]);
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    for (name, _) in &files {
        clone.has(name, &content);
    }
    clone.is_clean();
    // One more makes it too long.
    clone.write("0.bin", format!("{text}source file:///{}/{oid}.bin\n", "x".repeat(300)));
    clone.git_fails(128, ["add", "0.bin"]).says("goes beyond the 8192 bytes");
}

#[test]
fn a_source_is_an_object_and_no_other_file_of_this_machine() {
    let env = TestEnv::new();
    let secret = noise(7, 300);
    let (lake, named) = (env.lake("lake"), oid(&secret));
    fs::write(env.path("secret"), &secret).unwrap();
    // Names that are none of an object.
    let folder = env.path("");
    for url in [
        "file:///etc/passwd".to_owned(),
        format!("file://{}secret", folder.display()),
        format!("file://{}/../secret", lake.path.display()),
        format!("file:///etc/%2e%2e/{named}.bin"),
        format!("file://evil/etc/{named}.bin"),
        format!("https://h/b/{named}.bin"),
        format!("ext::sh -c touch/{named}.bin"),
    ] {
        let repo = env.at("try");
        fs::create_dir(&repo.path).unwrap();
        repo.git(["init", "-q"]);
        repo.git(["lake", "init", &lake.url()]);
        repo.git(["lake", "track", "*.bin"]);
        repo.write("a.bin", pointer(&named, 300, &[url]));
        repo.git_fails(128, ["add", "a.bin"]).says("Line 4 of the pointer");
        fs::remove_dir_all(&repo.path).unwrap();
    }
    // A name of an object that leads to a file, or would make somebody wait.
    let source = format!("{}/{named}.bin", lake.url());
    env.planted(NO_REMOTE, &[("a.bin", pointer(&named, 300, &[source]))]);
    symlink(env.path("secret"), lake.object(&secret)).unwrap();
    let clone = clone(&env);
    nothing_breaks(&clone, &READERS);
    assert!(clone.is_pointer("a.bin"));
    fs::remove_file(lake.object(&secret)).unwrap();
    let made = std::process::Command::new("mkfifo").arg(lake.object(&secret)).status().unwrap();
    assert!(made.success());
    nothing_breaks(&clone, &READERS);
    assert!(clone.is_pointer("a.bin"));
    // So would a pipe in the place of the declaration.
    fs::remove_file(lake.path.join(".pl/tags.json")).unwrap();
    let pipe = lake.path.join(".pl/tags.json");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    nothing_breaks(&clone, &READERS);
    nothing_breaks(&clone, &[&["init", &lake.url()], &["remote-add", &lake.url()]]);
}

/// Programs with the names of those that git-lake starts, which leave a mark.
fn plant_programs(folder: &Path, mark: &Path) {
    let script = format!("#!/bin/sh\necho \"$0 $*\" >>'{}'\nexit 1\n", mark.display());
    for name in ["git", "git-lake", "git.exe", "sh", "git-credential-x"] {
        let path = folder.join(name);
        fs::write(&path, &script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_program_in_the_work_tree_is_not_run() {
    let env = TestEnv::new();
    let mark = env.path("mark");
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    // git looks into a file that is newer than its index, by the filter, whenever it writes the index.
    let newer = SystemTime::now() + Duration::from_secs(1000);
    fs::File::open(repo.path.join("a.bin")).unwrap().set_modified(newer).unwrap();
    repo.git(["add", "a.bin"]);
    plant_programs(&repo.path, &mark);
    let program = env!("CARGO_BIN_EXE_git-lake");
    let path = repo.run("sh", ["-c", "printf %s \"$PATH\""]).stdout;
    for search in
        [format!(".:{path}"), format!(":{path}"), format!("{path}:"), "./:../work:.".into()]
    {
        let here = repo.with("PATH", &search);
        for args in
            READERS.iter().chain(&[&["env"][..], &["add", "."], &["remote-add", "../work-lake"]])
        {
            here.run(program, *args);
        }
    }
    assert!(!mark.exists(), "{}", fs::read_to_string(&mark).unwrap());
}

#[test]
fn settings_name_no_program_and_no_path() {
    let env = TestEnv::new();
    let mark = env.path("mark");
    let (repo, lake) = env.tracked("work");
    let good = repo.text(".gitlake.toml");
    let touch = format!("touch {}", mark.display());
    let (top, folder) = (mark.display(), env.path("").display().to_string());
    for more in [
        format!("[filter]\nprocess = \"{touch}\"\n"),
        format!("[lake]\nstorage = \"{folder}\"\nhelper = \"{touch}\"\n"),
        format!("[core]\nfsmonitor = \"{touch}\"\nhooksPath = \"{folder}\"\n"),
        format!("[[remote]]\nname = \"x\"\nurl = \"file:///x\"\ncommand = \"{touch}\"\n"),
        "[[remote]]\nname = \"x\"\nurl = \"file:///x\"\nprofile = \"admin\"\n".to_owned(),
        format!("[[remote]]\nname = \"x\"\nurl = \"ext::{touch}\"\n"),
        format!("[[remote]]\nname = \"x\"\nurl = \"!{touch}\"\n"),
        "[[remote]]\nname = \"../../x\"\nurl = \"file:///x\"\n".to_owned(),
        "[[remote]]\nname = \"x\"\nurl = \"../outside\"\n".to_owned(),
        "[[remote]]\nname = \"x\"\nurl = \"~/outside\"\n".to_owned(),
        "[[remote]]\nname = \"x\"\nurl = \"file:///x/../../etc\"\n".to_owned(),
        format!(
            "[[remote]]\nname = \"x\"\nurl = \"file:///x\"\npaths = [\"$({touch})\", \"`{touch}`\"]\n[y]\n"
        ),
    ] {
        repo.write(".gitlake.toml", format!("{good}{more}"));
        repo.git_fails(1, ["lake", "status"]);
        repo.write("a.bin", noise(1, 3000));
        repo.git(["add", "a.bin"]);
        repo.git(["status"]);
        repo.git(["lake", "hook", "post-checkout", "0", "0", "1"]);
        assert!(!mark.exists(), "{more}: {top}");
        repo.git(["rm", "-q", "-f", "--cached", "a.bin"]);
    }
    lake.holds(noise(1, 3000));
    // A folder that the settings name and nobody accepted is not made, and nothing is put there.
    let theirs = env.path("theirs");
    repo.write(
        ".gitlake.toml",
        format!("{good}[[remote]]\nname = \"x\"\nurl = \"file://{}\"\n", theirs.display()),
    );
    for declared in [false, true] {
        if declared {
            env.lake("theirs");
        }
        repo.write("b.bin", noise(if declared { 3 } else { 2 }, 3000));
        repo.git(["add", "b.bin"]);
        repo.run("git", ["lake", "push", "--all"]);
        repo.run("git", ["lake", "remote-upload"]);
        let objects = fs::read_dir(&theirs).map_or(0, |entries| {
            entries.filter(|entry| entry.as_ref().unwrap().file_name() != ".pl").count()
        });
        assert_eq!((theirs.exists(), objects), (declared, 0));
    }
}
