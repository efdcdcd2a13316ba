//! Names, settings and answers of servers that would steer a terminal or a protocol.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::common::s3::endpoint::Endpoint;
use crate::common::s3::{Fault, KEY, S3Server};
use crate::common::{Ran, Repo, TestEnv, noise};
use git_lake::oid::Oid;

/// Sets a title, turns the reading order and colours; each is written by somebody else.
const FOLDER: &str = "d\x1b[31m\u{202e}";
const FILE: &str = "e\x1b]0;owned\x07\u{2066}\u{9b}x\u{2028}.bin";

/// Nothing that a terminal would obey is in what was said.
#[track_caller]
fn is_harmless(args: &[&str], ran: &Ran) {
    let is_bad = |c: &char| (c.is_control() && !"\n\t".contains(*c)) || is_turning(*c);
    for text in [&ran.stdout, &ran.stderr] {
        let bad = text.chars().find(is_bad);
        assert_eq!(bad, None, "{args:?}: {ran:?}");
    }
}

fn is_turning(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Runs commands of git-lake, whatever becomes of them; some of them say what they were asked.
#[track_caller]
fn all_are_harmless(repo: &Repo, commands: &[&[&str]]) -> String {
    let mut said = String::new();
    for args in commands {
        let ran = repo.run("git-lake", *args);
        assert!(matches!(ran.code, Some(0..=3)), "{args:?}: {ran:?}");
        is_harmless(args, &ran);
        said.push_str(&ran.stdout);
        said.push_str(&ran.stderr);
    }
    said
}

/// A repository whose every name was chosen to do harm, with content, and with pointers whose content is
/// nowhere, or that are damaged.
fn planted(env: &TestEnv) -> Repo {
    let (repo, lake) = env.tracked("work");
    let path = format!("{FOLDER}/{FILE}");
    repo.write(&path, noise(1, 3000));
    repo.write(format!("gone-{FILE}"), noise(2, 3000));
    repo.commit("v1");
    repo.write(format!("{FOLDER}/.gitattributes"), format!("\"{FILE}\" filter=lake\n"));
    repo.write(
        ".gitattributes",
        format!("{}\"*{FILE}\" filter=lake\n", repo.text(".gitattributes")),
    );
    repo.commit("v2");
    lake.remove(noise(2, 3000));
    fs::remove_file(repo.stored(noise(2, 3000))).unwrap();
    repo
}

#[test]
fn no_command_lets_a_name_reach_the_terminal() {
    let env = TestEnv::new();
    let repo = planted(&env);
    let file = format!("{FOLDER}/{FILE}");
    repo.write(format!("new-{FILE}"), noise(3, 3000));
    repo.write(format!("bad-{FILE}"), "git-lake pointer v1\n\x1b[2J\n");
    env.lake("mirror");
    let said = all_are_harmless(
        &repo,
        &[
            &["status"],
            &["status", "--all", "--check"],
            &["ls-files"],
            &["ls-files", "HEAD"],
            &["where", &file],
            &["where", "--check", "."],
            &["where", "--only", "work-lake", "--all"],
            &["du"],
            &["du", "HEAD"],
            &["diff", "HEAD~1", "HEAD"],
            &["diff"],
            &["add", "."],
            &["add", "--", &format!("bad-{FILE}")],
            &["drop", "-n", "."],
            &["drop", &file],
            &["drop", "--", "nothing-\x1b[31m.bin"],
            &["pull"],
            &["fetch", "--all"],
            &["push", "--all"],
            &["push", "no-\x1b[31m-ref"],
            &["fsck"],
            &["fsck", "--pointers"],
            &["fsck", "--store"],
            &["fsck", "--remote"],
            &["fsck", "--repair"],
            &["remote-add", "../mirror"],
            &["remote-list", "--check"],
            &["remote-remove", "../work-lake", "--check"],
            &["remote-upload"],
            &["prune", "-n"],
            &["orphans", "mirror"],
            &["doctor"],
            &["env"],
            &["track"],
            &["track", "\x1b[31m*.bin"],
            &["untrack", "\x1b[32m*.bin"],
            &["import", "-i", "no-\x1b[31m-dataset"],
            &["cat", "no-\x1b[31m.bin"],
            &["trust", "no-\x1b[31m-host"],
            &["trust", "s3://h/\x1b[31m"],
            &["init", "s3://h\x1b[31m/b"],
        ],
    );
    assert!(said.matches("\\u{1b}").count() > 30, "the names were hardly named: {said}");
    // What git itself starts, where no content is to be had.
    for lake in ["work-lake", "mirror"] {
        fs::rename(env.path(lake), env.path(&format!("{lake}-away"))).unwrap();
    }
    repo.git(["commit", "-q", "-a", "-m", "v3", "--no-verify"]);
    env.install();
    let clone = env.at("clone");
    let harmless = |place: &Repo, args: &[&str]| {
        let ran = place.run("git", args);
        is_harmless(args, &ran);
        assert!(ran.stderr.contains("\\u{1b}"), "{args:?}: {ran:?}");
    };
    harmless(&env.at("."), &["clone", "-q", "work", "clone"]);
    harmless(&clone, &["lake", "pull"]);
    clone.write(format!("mine-{FILE}"), noise(4, 3000));
    clone.commit("mine");
    harmless(&clone, &["push", "-q", "../work", "HEAD:refs/heads/other"]);
}

#[test]
fn what_settings_and_pointers_say_does_not_reach_the_terminal() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    let settings = repo.text(".gitlake.toml");
    let remote =
        |name: &str, more: &str| format!("{settings}[[remote]]\nname = \"{name}\"\n{more}\n");
    let esc = "\\u001b[31m\\u202e";
    for text in [
        remote(&format!("x{esc}"), "url = \"file:///x\""),
        remote("x", &format!("url = \"s3://h{esc}/b\"")),
        remote("x", &format!("url = \"s3://h/b{esc}\"")),
        remote("x", &format!("url = \"{esc}://h/b\"")),
        remote("x", &format!("url = \"file:///x\"\nhash = \"{esc}\"")),
        remote("x", &format!("url = \"file:///x\"\npaths = [\"[{esc}\"]")),
        remote("x", &format!("url = \"s3://h.invalid/b\"\nregion = \"{esc}\"")),
        remote("x", &format!("url = \"file:///x\"\n\"{esc}\" = 1")),
        format!("{settings}\n\u{202e} = \u{1b}\n"),
    ] {
        repo.write(".gitlake.toml", text);
        repo.write("a.bin", noise(1, 300));
        all_are_harmless(&repo, &[&["status"], &["env"], &["add", "a.bin"], &["doctor"]]);
        let ran = repo.run("git", ["add", "a.bin"]);
        is_harmless(&["git", "add"], &ran);
    }
    repo.write(".gitlake.toml", &settings);
    let oid = Oid::of(&noise(9, 10)).to_hex();
    for line in
        ["x-\x1b[31m 1", "source \x1b[31m", "source s3://\u{202e}/b/x.bin", "size \x1b", "\u{202e}"]
    {
        repo.write("b.bin", format!("git-lake pointer v1\noid sha256:{oid}\nsize 10\n{line}\n"));
        for args in [&["add", "b.bin"][..], &["lake", "add", "b.bin"], &["lake", "doctor"]] {
            let ran = repo.run("git", args);
            is_harmless(args, &ran);
        }
    }
}

#[test]
fn what_a_server_says_does_not_reach_the_terminal() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = env.repo("work");
    repo.git(["lake", "init", &Endpoint::of(&server).typed("lake")]);
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", noise(1, 300));
    repo.commit("v1");
    let keys = repo.with("AWS_ACCESS_KEY_ID", KEY.0).with("AWS_SECRET_ACCESS_KEY", KEY.1);
    let mut heard = 0;
    for (code, message) in [
        ("Odd\u{202e}Code", "turned \u{202e}\u{2066}\u{61c} around"),
        ("Escaped", "an \x1b[2J escape\r\nand \u{9b}31m another"),
        ("AccessDenied", "no \u{202e}\x1b]0;title\x07"),
    ] {
        let refuse = Fault::Status { status: 403, code, message, headers: Vec::new() };
        server.fault(|_| true, 200, refuse);
        repo.write("b.bin", noise(2, 300));
        for args in [
            &["add", "b.bin"][..],
            &["lake", "push"],
            &["lake", "remote-list", "--check"],
            &["lake", "fsck", "--remote"],
            &["lake", "doctor"],
            &["lake", "orphans", "lake"],
            &["lake", "remote-add", &Endpoint::of(&server).typed("lake/other")],
        ] {
            let ran = keys.run("git", args);
            is_harmless(args, &ran);
            heard += usize::from(ran.stderr.contains("\\u{202e}"));
        }
        repo.git(["rm", "-q", "--cached", "b.bin"]);
        server.heal();
    }
    assert!(heard >= 4, "what the server said was hardly repeated: {heard}");
}

/// A helper that notes what git asks it.
fn noted(env: &TestEnv) -> std::path::PathBuf {
    let (helper, log) = (env.path("helper"), env.path("helper-log"));
    fs::write(&log, "").unwrap();
    let script = format!("#!/bin/sh\necho \"$1\" >>'{0}'\ncat >>'{0}'\n", log.display());
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    env.at("home").git(["config", "--global", "credential.helper", helper.to_str().unwrap()]);
    log
}

#[test]
fn no_line_end_reaches_the_credential_helper() {
    let env = TestEnv::new();
    let log = noted(&env);
    let (repo, _lake) = env.tracked("work");
    let settings = repo.text(".gitlake.toml");
    let oid = Oid::of(&noise(1, 10)).to_hex();
    let bad = |end: &str| {
        [
            format!("s3://127.0.0.1:9{end}host=evil/b"),
            format!("s3://127.0.0.1{end}host=evil:9/b"),
            format!("s3://[{end}host=evil/b"),
            format!("s3://AK{end}host=evil:SK@127.0.0.1:9/b"),
            format!("s3://AK:S{end}host=evil@127.0.0.1:9/b"),
            format!("s3://127.0.0.1:9/b{end}host=evil"),
            format!("s3://AK:SK@127.0.0.1:9/b?session=x{end}y"),
        ]
    };
    for end in ["%0a", "%0A", "%0d%0a", "%00", "\n", "\r", "%0d"] {
        for url in bad(end) {
            for args in [&["init", &url][..], &["remote-add", &url], &["trust", &url]] {
                let ran = repo.run("git-lake", args);
                assert!(matches!(ran.code, Some(1 | 2)), "{args:?}: {ran:?}");
            }
            let text = url.replace('\n', "\\n").replace('\r', "\\r");
            let remote =
                format!("{settings}[[remote]]\nname = \"x\"\nurl = \"{text}\"\nsecure = false\n");
            repo.write(".gitlake.toml", remote);
            repo.git_fails(1, ["lake", "status"]);
            repo.write("a.bin", noise(1, 10));
            repo.git(["add", "a.bin"]);
            repo.write(".gitlake.toml", &settings);
            repo.git(["rm", "-q", "-f", "--cached", "a.bin"]);
            let source = format!("source {url}/{oid}.bin");
            repo.write(
                "a.bin",
                format!("git-lake pointer v1\noid sha256:{oid}\nsize 10\n{source}\n"),
            );
            repo.git_fails(128, ["add", "a.bin"]);
        }
    }
    let said = fs::read_to_string(&log).unwrap();
    assert!(!said.contains("evil"), "{said}");
    // It is asked, where an address is what it seems.
    repo.run("git-lake", ["init", "s3://127.0.0.1:9/b?secure=false"]);
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.contains("host=127.0.0.1:9\n") && !said.contains("path="), "{said}");
}

#[test]
fn a_host_that_begins_with_a_dash_is_none() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    let settings = repo.text(".gitlake.toml");
    let oid = Oid::of(&noise(1, 10)).to_hex();
    for host in
        ["[-oProxyCommand=x", "-oProxyCommand=x", "--upload-pack", "-h:9000", "AK:SK@-x", "%2dx"]
    {
        let url = format!("s3://{host}/b");
        for args in [&["init", &url][..], &["remote-add", &url], &["trust", &url]] {
            repo.git_fails(1, ["lake"].iter().chain(args)).says("is not a host name");
        }
        repo.git_fails(2, ["lake", "trust", "--", host]);
        repo.write(
            ".gitlake.toml",
            format!("{settings}[[remote]]\nname = \"x\"\nurl = \"{url}\"\n"),
        );
        drop(repo.git_fails(1, ["lake", "status"]).says("has a bad address"));
        repo.write(".gitlake.toml", &settings);
        let source = format!("source {url}/{oid}.bin");
        repo.write("a.bin", format!("git-lake pointer v1\noid sha256:{oid}\nsize 10\n{source}\n"));
        repo.git_fails(128, ["add", "a.bin"]).says("has a bad address");
    }
}
