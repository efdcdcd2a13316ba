//! Managing sources in buckets: who gets keys and data, how much is asked, and what goes wrong.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::common::canary::{Keeper, SECRETS, with_keys};
use crate::common::s3::endpoint::Endpoint;
use crate::common::s3::{Fault, Recorded, Rights, S3Server};
use crate::common::{Ran, Repo, TestEnv, noise};
use git_lake::oid::Oid;

fn key(bytes: &[u8]) -> String {
    format!("{}.bin", Oid::of(bytes).to_hex())
}

fn pointer(bytes: &[u8], sources: &[String]) -> String {
    let oid = Oid::of(bytes).to_hex();
    let mut text = format!("git-lake pointer v1\noid sha256:{oid}\nsize {}\n", bytes.len());
    sources.iter().for_each(|source| text.push_str(&format!("source {source}\n")));
    text
}

/// A user with keys in the environment who does not trust this machine.
fn wary(place: &Repo) -> Repo {
    place.git(["config", "--global", "lake.trustLoopback", "false"]);
    with_keys(place)
}

fn tells_nothing(requests: &[Recorded], command: &[&str]) {
    for request in requests {
        let text = format!("{command:?}: {request:?}");
        assert!(!request.headers.contains_key("authorization"), "{text}");
        assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "{text}");
    }
}

fn changes_nothing(requests: &[Recorded], command: &[&str]) {
    for request in requests {
        assert!(matches!(&*request.method, "GET" | "HEAD"), "{command:?}: {request:?}");
    }
}

/// All commands that ask lakes.
const COMMANDS: [&[&str]; 9] = [
    &["remote-list", "--check"],
    &["where", "--check", "a.bin"],
    &["where", "--only", "theirs", "--all", "--check"],
    &["remote-upload"],
    &["remote-upload", "--all"],
    &["pull"],
    &["push", "--all"],
    &["remote-add", "../mirror"],
    &["remote-remove", "theirs", "--check"],
];

#[test]
fn a_cloned_repository_gets_no_keys_by_any_command() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    server.set_behaviour(|behaviour| behaviour.public_read = true);
    let planted = env.repo("planted");
    let source = Endpoint::of(&server).url(&format!("lake/{}", key(&noise(1, 3000))));
    let url = Endpoint::of(&server).url("lake");
    planted.write("a.bin", pointer(&noise(1, 3000), &[source]));
    planted.write(
        ".gitlake.toml",
        format!("version = 1\n[[remote]]\nname = \"theirs\"\nurl = \"{url}\"\nsecure = false\n"),
    );
    planted.commit("planted");
    planted.write(".gitattributes", "*.bin filter=lake merge=lake -text\n");
    planted.commit("attributes");
    env.install();
    env.lake("mirror");
    let place = wary(&env.at("."));
    place.git(["clone", "-q", "planted", "clone"]);
    tells_nothing(&server.take_requests(), &["clone"]);
    let clone = place.below("clone");
    let mut asked = 0;
    for command in COMMANDS {
        clone.run("git", ["lake"].iter().chain(command));
        let requests = server.take_requests();
        tells_nothing(&requests, command);
        asked += requests.len();
        clone.git(["reset", "-q", "--hard"]);
    }
    assert!(asked > 10, "hardly anything was asked");
}

#[test]
fn a_remote_that_came_with_a_pull_gets_no_data_by_any_command() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    // Everything would be allowed to everybody there.
    server.add_key(SECRETS[0], SECRETS[1], Rights::All);
    server.require_token(SECRETS[0], SECRETS[2]);
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    env.lake("mirror");
    env.install();
    let place = wary(&env.at("."));
    place.git(["clone", "-q", "work", "clone"]);
    let clone = place.below("clone");
    clone.git(["lake", "status"]);
    // Even a server that has keys is sent nothing of a remote that nobody accepted.
    clone.git(["lake", "trust", "--insecure-http", &server.host()]);
    let url = Endpoint::of(&server).url("lake");
    let text = repo.text(".gitlake.toml");
    let remote = format!("\n[[remote]]\nname = \"theirs\"\nurl = \"{url}\"\nsecure = false\n");
    repo.write(".gitlake.toml", text + &remote);
    let named = format!("{}source {url}/{}\n", repo.blob(":a.bin"), key(&noise(1, 3000)));
    fs::write(repo.path.join("a.bin"), named).unwrap();
    repo.commit("theirs");
    clone.git(["pull", "-q"]);
    server.take_requests();
    let mut asked = 0;
    for command in COMMANDS {
        clone.run("git", ["lake"].iter().chain(command));
        clone.write("b.bin", noise(2, 100));
        clone.run("git", ["add", "b.bin"]);
        let requests = server.take_requests();
        changes_nothing(&requests, command);
        asked += requests.len();
        clone.git(["reset", "-q", "--hard", "origin/main"]);
    }
    assert!(asked > 0, "nothing was asked");
    clone.git_fails(1, ["lake", "remote-upload"]).says("which this clone has not accepted");
    assert_eq!(server.keys("lake"), [""; 0]);
}

#[test]
fn what_is_no_regular_file_is_not_read_from_a_folder() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let mirror = env.lake("mirror");
    for (seed, name) in [(1, "link.bin"), (2, "pipe.bin"), (3, "folder.bin")] {
        repo.write(name, noise(seed, 3000));
    }
    repo.commit("v1");
    env.at(".").write("private", noise(1, 3000));
    for seed in 1..=3 {
        lake.remove(noise(seed, 3000));
    }
    std::os::unix::fs::symlink(env.path("private"), lake.object(noise(1, 3000))).unwrap();
    let made = repo.command("mkfifo").env_remove("PATH").arg(lake.object(noise(2, 3000))).status();
    assert!(made.is_ok_and(|status| status.success()));
    fs::create_dir(lake.object(noise(3, 3000))).unwrap();
    repo.empty_store();
    for name in ["link.bin", "pipe.bin", "folder.bin"] {
        fs::remove_file(repo.path.join(name)).unwrap();
    }
    repo.git_fails(1, ["lake", "remote-add", "../mirror"])
        .says("3 items were left as they were (folder.bin, link.bin, pipe.bin): `file://")
        .says("has something that is no file under the name");
    assert!(mirror.objects().is_empty());
    repo.git_fails(1, ["lake", "where", "--check", "."]);
}

#[test]
fn addresses_that_no_bucket_has_are_refused_everywhere() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    let said = "is a link-local or metadata address";
    for host in [
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[::ffff:169.254.169.254]",
        "metadata.google.internal",
    ] {
        let url = format!("s3://AK:canary-secret@{host}/b");
        for command in ["remote-add", "remote-remove"] {
            let ran = repo.git_fails(1, ["lake", command, &url]).says(said);
            drop(ran.says_not("canary-secret"));
        }
        let ran = repo.git_fails(1, ["lake", "where", "--only", &url]).says(said);
        drop(ran.says_not("canary-secret"));
    }
    let forms = [
        ("https://AK:canary-secret@h/b", "begins with `s3://`"),
        ("s3://AK:1/canary-secret@h/b", "could end a password"),
        ("s3://h/b?sekure=no", "no `sekure`"),
        ("s3://AK@h/b", "the password is missing"),
        ("s3://h:99999/b", ""),
        ("s3://h/b/../c", ""),
        ("file://host/folder", ""),
        ("ftp://h/b", ""),
    ];
    for (url, said) in forms {
        let ran = repo.git_fails(1, ["lake", "remote-add", url]).says(said);
        drop(ran.says_not("canary-secret"));
    }
    repo.is_clean();
}

#[test]
fn what_is_there_is_asked_for_and_not_sent_again() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let (repo, _lake) = env.tracked("work");
    for number in 0..300_u64 {
        repo.write(format!("{number}.bin"), noise(number + 1, 100));
        server.plant("lake", &key(&noise(number + 1, 100)), &noise(number + 1, 100), true);
    }
    repo.commit("v1");
    let typed = Endpoint::of(&server).typed("lake");
    repo.git(["lake", "remote-add", &typed]).says("0 objects sent").says("300 there already");
    let requests = server.take_requests();
    let count = |operation: &str| {
        let is_object = |it: &&Recorded| it.key().ends_with(".bin") || it.key().is_empty();
        requests.iter().filter(is_object).filter(|it| it.operation == operation).count()
    };
    assert_eq!(count("PutObject"), 0);
    // Sixteen lists at most, and single questions for what they leave over.
    assert!(count("ListObjectsV2") <= 17 && count("HeadObject") < 150, "{requests:#?}");
    repo.git(["lake", "remote-add", &typed]).says("300 there already");
    let again = server.take_requests();
    let is_about_objects = |it: &&Recorded| it.key().ends_with(".bin");
    assert_eq!(again.iter().filter(is_about_objects).count(), 0, "receipts answer");
}

#[test]
fn a_bucket_is_made_on_request_only() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    let typed = Endpoint::of(&server).typed("fresh");
    repo.git_fails(1, ["lake", "remote-add", &typed]).says("There is no bucket `fresh`");
    repo.is_clean();
    repo.git(["lake", "remote-add", "--create", &typed]).says("1 object sent");
    assert_eq!(server.object("fresh", &key(&noise(1, 3000))), Some(noise(1, 3000)));
}

/// Runs `remote-add ../mirror` where objects are in the bucket alone.
fn add_from_bucket(prepare: impl FnOnce(&S3Server), code: i32) -> (Ran, usize) {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let keys = ("AWS_ACCESS_KEY_ID", "testkey", "AWS_SECRET_ACCESS_KEY", "testsecret");
    let repo = env.repo("work").with(keys.0, keys.1).with(keys.2, keys.3);
    repo.git(["lake", "init", &Endpoint::of(&server).typed("lake")]);
    repo.git(["lake", "track", "*.bin"]);
    for number in 0..3_u64 {
        repo.write(format!("{number}.bin"), noise(number + 1, 3000));
    }
    repo.commit("v1");
    repo.empty_store();
    for number in 0..3 {
        fs::remove_file(repo.path.join(format!("{number}.bin"))).unwrap();
    }
    let mirror = env.lake("mirror");
    prepare(&server);
    let ran = repo.git_fails(code, ["lake", "remote-add", "../mirror"]);
    for name in mirror.objects() {
        let oid = Oid::of(&fs::read(mirror.path.join(&name)).unwrap()).to_hex();
        assert_eq!(format!("{oid}.bin"), name);
    }
    (ran, mirror.objects().len())
}

#[test]
fn a_source_that_is_slow_damaged_refusing_or_down_harms_nothing() {
    let is_get = |request: &Recorded| request.operation == "GetObject";
    let (_, count) = add_from_bucket(
        |server| server.fault(is_get, 3, Fault::Delay(Duration::from_millis(300))),
        0,
    );
    assert_eq!(count, 3);
    let first = key(&noise(1, 3000));
    let (ran, count) = add_from_bucket(
        |server| server.fault(move |it| is_get(it) && it.key() == first, 9, Fault::FlipByte(100)),
        1,
    );
    drop(
        ran.says("1 item was left as it was (0.bin): `s3://")
            .says("holds other bytes under the name of the object"),
    );
    assert_eq!(count, 2);
    let (ran, count) = add_from_bucket(|server| server.revoke_key("testkey"), 1);
    drop(ran.says("3 items were left as they were").says("InvalidAccessKeyId"));
    assert_eq!(count, 0);
    let (ran, count) = add_from_bucket(|server| server.fault(|_| true, 999, Fault::Reset), 1);
    drop(ran.says("3 items were left as they were"));
    assert_eq!(count, 0);
}

#[test]
fn typed_keys_are_handed_to_git_and_are_nowhere_else() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    server.add_key(SECRETS[0], SECRETS[1], Rights::All);
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    let keeper = Keeper::of(&env);
    let typed = |bucket: &str| {
        let url = Endpoint::of(&server).url(bucket);
        url.replace("s3://", &format!("s3://{}:{}@", SECRETS[0], SECRETS[1])) + "?secure=false"
    };
    server.create_bucket("second");
    let bare = Endpoint::of(&server).url("second");
    let (first, second) = (typed("lake"), typed("second"));
    let commands: [&[&str]; 10] = [
        &["remote-add", "--dry-run", &first],
        &["remote-add", &first],
        &["remote-add", &second],
        // With what git keeps.
        &["remote-add", &bare],
        &["remote-list", "--check"],
        &["remote-upload", "--all"],
        &["where", "--check", "a.bin"],
        &["where", "--only", &first],
        &["remote-remove", &second],
        &["remote-add", "s3://canary-id:canary-secret@/nothing"],
    ];
    for command in commands {
        let ran = repo.run("git", ["-c", "core.quotePath=true", "lake"].iter().chain(command));
        let text = format!("{ran:?}");
        assert!(!SECRETS[1..].iter().any(|secret| text.contains(secret)), "{command:?}: {text}");
    }
    assert_eq!(server.object("second", &key(&noise(1, 3000))), Some(noise(1, 3000)));
    assert!(keeper.kept().contains(SECRETS[1]), "git keeps the keys");
    let noted = keeper.noted();
    assert!(!noted.contains(SECRETS[1]), "{noted}");
    repo.commit("sources");
    assert_eq!(keeper.strays(), [] as [PathBuf; 0]);
}
