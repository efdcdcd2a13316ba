//! What a repository that somebody else wrote can make git-lake tell a server, and write to it.
//!
//! This machine is trusted unless the user says otherwise, which these tests do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::common::canary::{Keeper, SECRETS, with_keys};
use crate::common::s3::endpoint::Endpoint;
use crate::common::s3::{Fault, KEY, Recorded, Rights, S3Server};
use crate::common::{Ran, Repo, TestEnv, noise};
use git_lake::oid::Oid;

const CONTENT: fn() -> Vec<u8> = || noise(1, 3000);

/// A table of the settings that names a bucket.
fn remote(name: &str, server: &S3Server, path: &str) -> String {
    let url = Endpoint::of(server).url(path);
    format!("[[remote]]\nname = \"{name}\"\nurl = \"{url}\"\nsecure = false\n")
}

/// A repository that names the server in its settings and in the pointer of `a.bin`; nothing of this
/// machine's user was ever there.
fn planted(env: &TestEnv, server: &S3Server) -> Repo {
    let oid = Oid::of(&CONTENT()).to_hex();
    let source = Endpoint::of(server).url(&format!("lake/{oid}.bin"));
    let settings = format!("version = 1\n{}", remote("theirs", server, "lake"));
    let pointer = format!("git-lake pointer v1\noid sha256:{oid}\nsize 3000\nsource {source}\n");
    env.planted(&settings, &[("a.bin", pointer)])
}

/// A user who has keys in many places, and does not trust this machine.
fn user(env: &TestEnv) -> Repo {
    env.install();
    env.at("home").git(["config", "--global", "lake.trustLoopback", "false"]);
    with_keys(&env.at("."))
}

/// Makes the keys of the environment right.
fn know(server: &S3Server) {
    server.add_key(SECRETS[0], SECRETS[1], Rights::All);
    server.require_token(SECRETS[0], SECRETS[2]);
    server.plant("lake", &format!("{}.bin", Oid::of(&CONTENT()).to_hex()), &CONTENT(), true);
}

/// Clones what was planted.
fn clone(user: &Repo, name: &str) -> (Repo, Ran) {
    let ran = user.git(["clone", "-q", "planted", name]);
    (user.below(name), ran)
}

fn tells_nothing(requests: &[Recorded]) {
    assert!(!requests.is_empty(), "nothing was asked");
    for request in requests {
        let text = format!("{request:?}");
        assert!(!request.headers.contains_key("authorization"), "{text}");
        assert!(!request.headers.contains_key("x-amz-security-token"), "{text}");
        assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "{text}");
    }
}

fn is_signed(requests: &[Recorded]) {
    assert!(!requests.is_empty(), "nothing was asked");
    for request in requests {
        assert_eq!(request.access_key_id.as_deref(), Some(SECRETS[0]), "{request:?}");
        assert_eq!(request.headers["x-amz-security-token"], SECRETS[2]);
    }
}

#[test]
fn settings_do_not_get_keys_of_the_environment() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    know(&server);
    planted(&env, &server);
    let user = user(&env);
    let host = server.host();
    let way_out =
        format!("asked without keys: `{host}` is not trusted with yours (`git lake trust {host}`)");
    let (clone, ran) = clone(&user, "clone");
    drop(ran.says("1 file left as a pointer (a.bin)").says(&way_out));
    clone.git_fails(1, ["lake", "pull"]).says(&way_out);
    tells_nothing(&server.take_requests());
    clone.git(["lake", "trust", &host]);
    clone.git(["lake", "pull"]).says("1 file filled");
    clone.has("a.bin", CONTENT());
    is_signed(&server.take_requests());
}

#[test]
fn settings_do_not_get_keys_of_files() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    know(&server);
    planted(&env, &server);
    user(&env);
    let [id, secret, token] = SECRETS;
    let profile = format!(
        "[default]\naws_access_key_id={id}\naws_secret_access_key={secret}\n\
         aws_session_token={token}\n"
    );
    env.at("home").write(".aws/credentials", profile);
    let alias = serde_json::json!({ "aliases": { "s3": {
        "url": "https://elsewhere.invalid", "accessKey": id, "secretKey": secret,
        "sessionToken": token,
    }}});
    let place = env.at(".");
    let (first, ran) = clone(&place, "profile");
    drop(ran.says(&format!("git lake trust {}", server.host())));
    tells_nothing(&server.take_requests());
    first.with("GIT_LAKE_TRUST", server.host()).git(["lake", "pull"]).says("1 file filled");
    is_signed(&server.take_requests());
    fs::remove_dir_all(env.path("home/.aws")).unwrap();
    env.at("home").write(".mc/config.json", alias.to_string());
    let (second, ran) = clone(&place, "alias");
    drop(ran.says(&format!("git lake trust {}", server.host())));
    tells_nothing(&server.take_requests());
    second.git(["config", "lake.trustedHost", &server.host()]);
    second.git(["lake", "pull"]).says("1 file filled");
    is_signed(&server.take_requests());
}

#[test]
fn the_server_of_the_environment_gets_keys() {
    let (env, server, other) = (TestEnv::new(), S3Server::start(), S3Server::start());
    know(&server);
    planted(&env, &server);
    let user = user(&env);
    let elsewhere = user.with("AWS_ENDPOINT_URL", format!("http://{}", other.host()));
    let (_, ran) = clone(&elsewhere, "elsewhere");
    drop(ran.says("left as a pointer"));
    tells_nothing(&server.take_requests());
    let endpoint = user.with("AWS_ENDPOINT_URL", format!("http://{}", server.host()));
    let (clone, ran) = clone(&endpoint, "clone");
    drop(ran.says_nothing());
    clone.has("a.bin", CONTENT());
    is_signed(&server.take_requests());
    assert!(other.requests().is_empty());
}

#[test]
fn settings_alone_do_not_get_keys_over_plain_http() {
    // Loopback may be spoken to in plain http, so this needs a server at another address.
    let Some(server) = S3Server::start_outside() else { return };
    let env = TestEnv::new();
    know(&server);
    planted(&env, &server);
    env.install();
    let host = server.host();
    let home = env.at("home");
    home.git(["config", "--global", "credential.helper", "store"]);
    let [id, secret, _] = SECRETS;
    let stored = format!("protocol=http\nhost={host}\nusername={id}\npassword={secret}\n\n");
    home.feed("git", &["credential", "approve"], stored.as_bytes());
    let user = with_keys(&env.at(".")).with("GIT_LAKE_TRUST", &host);
    let (clone, ran) = clone(&user, "clone");
    let way_out = format!(
        "only the settings of the repository say that `{host}` speaks plain http \
         (`git lake trust --insecure-http {host}`)"
    );
    drop(ran.says(&way_out));
    tells_nothing(&server.take_requests());
    fs::remove_file(env.path("home/.git-credentials")).unwrap();
    clone.git(["lake", "trust", "--insecure-http", &host]);
    clone.git(["lake", "pull"]).says("1 file filled");
    is_signed(&server.take_requests());
}

#[test]
fn a_server_that_the_user_names_gets_keys() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    know(&server);
    let user = user(&env);
    let url = Endpoint::of(&server).url("lake") + "?secure=false";
    for (command, name) in [("init", "named"), ("trust", "accepted")] {
        user.git(["init", "-q", name]);
        let repo = user.below(name);
        if command == "trust" {
            repo.write(
                ".gitlake.toml",
                format!("version = 1\n{}", remote("ours", &server, "lake")),
            );
        }
        repo.git(["lake", command, &url]);
        server.take_requests();
        repo.git(["lake", "init"]);
        repo.git(["lake", "track", "*.bin"]);
        repo.write("b.bin", noise(2, 3000 + name.len()));
        repo.git(["add", "."]).says_nothing();
        is_signed(&server.take_requests());
    }
}

/// Adding, pushing and looking name the one command.
fn uploads_wait(repo: &Repo, url: &str, file: &str) {
    let way_out = format!("which this clone has not accepted: `git lake trust {url}`");
    repo.git(["add", "."]).says(&format!("1 upload is owed to `{url}`, {way_out}"));
    repo.git(["lake", "status"])
        .prints(&format!("1 upload is owed to `{url}`"))
        .prints(&format!("this clone has not accepted it: `git lake trust {url}`"));
    repo.git(["commit", "-q", "-m", file]);
    repo.git_fails(1, ["lake", "push"]).says(&way_out);
    repo.git_fails(1, ["push", "-q", "../server.git", "main"]).says(&way_out).says(file);
}

/// A clone that has been used, with a bucket of its own.
fn used(env: &TestEnv, server: &S3Server) -> Repo {
    env.bare("server.git");
    let repo = env.repo("work");
    repo.git(["config", "--global", "credential.helper", "store"]);
    repo.git(["lake", "init", &Endpoint::of(server).typed("lake")]);
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", CONTENT());
    repo.commit("v1").says_nothing();
    repo
}

#[test]
fn a_remote_that_appears_later_gets_nothing() {
    let (env, server, theirs) = (TestEnv::new(), S3Server::start(), S3Server::start());
    let repo = used(&env, &server);
    let keys = repo.with("AWS_ACCESS_KEY_ID", KEY.0).with("AWS_SECRET_ACCESS_KEY", KEY.1);
    let settings = format!("version = 1\n{}", remote("later", &theirs, "lake/prefix"));
    keys.write(".gitlake.toml", settings);
    keys.write("b.bin", noise(2, 3000));
    let url = Endpoint::of(&theirs).url("lake/prefix");
    uploads_wait(&keys, &url, "b.bin");
    let is_read = |request: &Recorded| matches!(&*request.method, "GET" | "HEAD");
    assert!(theirs.take_requests().iter().all(is_read));
    assert_eq!(theirs.keys("lake"), [""; 0]);
    // Another prefix, and the bucket that it is in, are other remotes.
    keys.git(["lake", "trust", &Endpoint::of(&theirs).url("lake/other")]);
    keys.git(["lake", "trust", &Endpoint::of(&theirs).url("lake")]);
    keys.git_fails(1, ["lake", "push"]).says("has not accepted");
    assert_eq!(theirs.keys("lake"), [""; 0]);
    keys.git(["lake", "trust", &url]);
    keys.git(["lake", "push"]).says("1 object uploaded").says_nothing();
    let key = format!("prefix/{}.bin", Oid::of(&noise(2, 3000)).to_hex());
    assert_eq!(theirs.object("lake", &key), Some(noise(2, 3000)));
}

#[test]
fn a_remote_that_moves_gets_nothing() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = used(&env, &server);
    server.create_bucket("moved");
    server.take_requests();
    let settings = repo.text(".gitlake.toml").replace("/lake\"", "/moved\"");
    repo.write(".gitlake.toml", settings);
    repo.write("b.bin", noise(2, 3000));
    let url = Endpoint::of(&server).url("moved");
    uploads_wait(&repo, &url, "b.bin");
    assert!(server.take_requests().iter().all(|request| request.method != "PUT"));
    assert_eq!(server.keys("moved"), [""; 0]);
    repo.git(["lake", "trust", &url]);
    repo.git(["push", "-q", "../server.git", "main"]);
    assert!(server.keys("moved").contains(&format!("{}.bin", Oid::of(&noise(2, 3000)).to_hex())));
}

#[test]
fn redirects_are_not_followed() {
    let (env, server, trap) = (TestEnv::new(), S3Server::start(), S3Server::start());
    let repo = used(&env, &server);
    for status in [301, 302, 307, 308] {
        let location = Some(format!("http://{}/lake/x", trap.host()));
        let away = Fault::Redirect { status, location, region: None };
        server.fault(|request| request.operation != "GetBucketTagging", 1, away.clone());
        repo.write("b.bin", noise(status.into(), 300));
        let ran = repo.git(["add", "."]).says("1 upload is owed");
        drop(ran.says("sends requests for this bucket elsewhere").says("not followed"));
        repo.git(["lake", "push"]).says_nothing();
        server.fault(|request| request.operation == "GetBucketTagging", 1, away);
        repo.write("b.bin", noise(1000 + u64::from(status), 300));
        repo.git(["add", "."]).says("1 upload is owed");
        repo.git(["lake", "push"]).says_nothing();
    }
    repo.commit("v2");
    let away = Fault::Redirect {
        status: 307,
        location: Some(format!("http://{}/lake/x", trap.host())),
        region: None,
    };
    server.fault(|request| request.operation == "GetObject", 1, away);
    env.install();
    env.at(".").git(["clone", "-q", "work", "clone"]).says("1 file left as a pointer");
    assert!(trap.requests().is_empty(), "{:?}", trap.requests());
}

#[test]
fn nobody_is_ever_asked_for_a_password() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    planted(&env, &server);
    env.install();
    let mark = env.path("mark");
    let ask = env.path("ask");
    fs::write(&ask, format!("#!/bin/sh\necho \"$@\" >>'{}'\necho x\n", mark.display())).unwrap();
    fs::set_permissions(&ask, fs::Permissions::from_mode(0o755)).unwrap();
    env.at("home").git(["config", "--global", "core.askPass", ask.to_str().unwrap()]);
    let place = env.at(".").with("GIT_ASKPASS", &ask).with("SSH_ASKPASS", &ask);
    let place = place.with("DISPLAY", ":0").with("GIT_TERMINAL_PROMPT", "1");
    let (clone, ran) = clone(&place, "clone");
    drop(ran.says("1 file left as a pointer"));
    clone.write("b.bin", noise(2, 3000));
    clone.git(["add", "."]).says("1 upload is owed");
    clone.git(["commit", "-q", "-m", "mine"]);
    clone.git_fails(1, ["push", "-q", "origin", "HEAD:refs/heads/mine"]).says("is refused");
    clone.git_fails(1, ["lake", "push"]);
    clone.git_fails(1, ["lake", "pull"]);
    let other = Endpoint::of(&server).url("lake/other") + "?secure=false";
    clone.run("git", ["lake", "init", &other]);
    assert!(!server.requests().is_empty());
    assert!(!mark.exists(), "{}", fs::read_to_string(&mark).unwrap());
}

#[test]
fn secrets_are_shown_and_written_nowhere() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    server.add_key(SECRETS[0], SECRETS[1], Rights::All);
    env.bare("server.git");
    let repo = env.repo("work");
    let keeper = Keeper::of(&env);
    let typed = Endpoint::of(&server).typed("lake").replace(KEY.0, SECRETS[0]);
    let typed = typed.replace(KEY.1, SECRETS[1]);
    let mut said = Vec::new();
    let init = repo.run("git", ["lake", "init", &typed]);
    said.push(keeper.noted());
    assert_eq!(init.code, Some(0), "{init:?}");
    said.extend([init.stdout, init.stderr]);
    let mut run = |args: &[&str]| {
        let ran = repo.run("git", args);
        said.extend([ran.stdout, ran.stderr]);
    };
    run(&["lake", "track", "*.bin"]);
    repo.write("a.bin", CONTENT());
    run(&["add", "."]);
    run(&["commit", "-q", "-m", "v1"]);
    run(&["push", "-q", "../server.git", "main"]);
    assert_eq!(server.keys("lake").iter().filter(|key| key.ends_with(".bin")).count(), 1);
    for args in [&["lake", "env"][..], &["lake", "status"], &["log", "-p"], &["show", ":a.bin"]] {
        run(args);
    }
    // The same when they are wrong, and when they are those of the environment.
    server.add_key(SECRETS[0], "another", Rights::All);
    repo.write("b.bin", noise(2, 3000));
    run(&["add", "."]);
    run(&["lake", "push"]);
    run(&["push", "../server.git", "HEAD:refs/heads/b"]);
    run(&["lake", "init", &typed.replace("/lake", "/other")]);
    run(&["lake", "trust", &typed]);
    said.push(keeper.noted());
    for text in &said {
        assert!(!SECRETS[1..].iter().any(|secret| text.contains(secret)), "{text}");
    }
    let around = with_keys(&repo);
    around.git(["config", "--global", "--unset", "credential.helper"]);
    for args in [&["lake", "push"][..], &["push", "../server.git", "main"], &["lake", "env"]] {
        let ran = around.run("git", args);
        let text = format!("{ran:?}");
        assert!(!SECRETS[1..].iter().any(|secret| text.contains(secret)), "{text}");
    }
    let used = |request: &Recorded| request.headers.contains_key("x-amz-security-token");
    assert!(server.requests().iter().any(used), "the keys of the environment were not tried");
    assert_eq!(keeper.strays(), [] as [PathBuf; 0]);
}

#[test]
fn metadata_addresses_are_named_and_never_contacted() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    env.install();
    repo.write(".gitattributes", "*.bin filter=lake\n");
    for address in ["169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal"] {
        let settings = format!(
            "version = 1\n[[remote]]\nname = \"cloud\"\nurl = \"s3://{address}/lake\"\nsecure = false\n"
        );
        repo.write(".gitlake.toml", settings);
        let said = format!("`{address}` is a link-local or metadata address");
        repo.git_fails(1, ["lake", "status"]).says(&said);
        repo.write("a.bin", CONTENT());
        repo.git(["add", "a.bin"]).says(&said);
        assert!(!repo.blob(":a.bin").contains("source"), "{}", repo.blob(":a.bin"));
        repo.git(["rm", "-q", "--cached", "a.bin"]);
        // A pointer that names one is damaged.
        let oid = Oid::of(&CONTENT()).to_hex();
        let pointer = format!(
            "git-lake pointer v1\noid sha256:{oid}\nsize 3000\nsource s3://{address}/lake/{oid}.bin\n"
        );
        repo.write("a.bin", pointer);
        let ran = repo.git_fails(128, ["add", "a.bin"]);
        drop(ran.says("Could not add `a.bin`").says(&said));
    }
}
