//! Everyday git with a lake in a bucket.
//!
//! Most of it is done twice: with the server in this process, and with the one that the environment
//! names, if it does.

use std::fs;

use crate::common::s3::endpoint::{Endpoint, new_bucket};
use crate::common::s3::{KEY, Rights, S3Server};
use crate::common::{Ran, Repo, TestEnv, noise};
use git_lake::oid::Oid;

/// Makes tests of functions that need a server: one for that in this process, one for another.
macro_rules! on_each_server {
    ($($name:ident)*) => {
        mod in_this_process {
            $(#[test]
            fn $name() {
                let server = super::S3Server::start();
                server.set_behaviour(|behaviour| behaviour.delete_allowed = true);
                super::$name(&super::Endpoint::of(&server));
            })*
        }
        mod outside {
            $(#[test]
            fn $name() {
                if let Some(endpoint) = super::Endpoint::outside() {
                    super::$name(&endpoint);
                }
            })*
        }
    };
}

on_each_server! {
    content_goes_to_the_bucket_and_comes_back
    keys_may_be_kept_in_many_places
    large_files_go_in_parts_and_come_back
    an_object_that_is_gone_leaves_a_pointer
    a_damaged_object_is_not_given_to_git
    either_of_two_lakes_is_enough
    a_missing_bucket_is_made_on_request_only
    wrong_keys_change_nothing
}

/// The name of a `.bin` file's object.
fn name(content: &[u8]) -> String {
    format!("{}.bin", Oid::of(content).to_hex())
}

/// Keeps keys as `git credential-store` does, for this home.
fn keep_keys(repo: &Repo) {
    repo.git(["config", "--global", "credential.helper", "store"]);
}

/// A repository whose `*.bin` go to a bucket of its own, with a first commit; the bucket.
fn tracked(env: &TestEnv, endpoint: &Endpoint) -> (Repo, String) {
    let (repo, bucket) = (env.repo("work"), new_bucket());
    keep_keys(&repo);
    repo.git(["lake", "init", "--create", &endpoint.typed(&bucket)]).says_nothing();
    repo.git(["lake", "track", "*.bin"]);
    repo.commit("set up");
    (repo, bucket)
}

/// A folder on the machine of somebody else, who has git-lake and no keys.
fn elsewhere(env: &TestEnv, name: &str) -> Repo {
    let folder = env.path(name);
    fs::create_dir(&folder).unwrap();
    fs::copy(env.path("home/.gitconfig"), folder.join(".gitconfig")).unwrap();
    let place = env.at(name).with("HOME", &folder);
    place.run("git", ["config", "--global", "--unset", "credential.helper"]);
    place.git(["lake", "install"]);
    place
}

fn clone(place: &Repo) -> (Repo, Ran) {
    let ran = place.git(["clone", "-q", "../work", "clone"]);
    (place.below("clone"), ran)
}

fn content_goes_to_the_bucket_and_comes_back(endpoint: &Endpoint) {
    let env = TestEnv::new();
    let (repo, bucket) = tracked(&env, endpoint);
    let url = endpoint.url(&bucket);
    let settings = repo.text(".gitlake.toml");
    assert!(settings.contains(&format!("url = \"{url}\"")), "{settings}");
    assert!(settings.contains("secure = false"), "{settings}");
    let versions = [noise(1, 3000), noise(2, 30_000), noise(3, 3)];
    for (at, version) in versions.iter().enumerate() {
        repo.write("a.bin", version);
        repo.write(format!("{at}.bin"), noise(10 + at as u64, 500));
        repo.git(["add", "."]).says_nothing();
        assert_eq!(endpoint.get(&bucket, &name(version)).as_deref(), Some(&version[..]));
        repo.git(["commit", "-q", "-m", "another"]);
    }
    assert_eq!(endpoint.objects(&bucket).len(), 6);
    let pointer = repo.blob(":a.bin");
    let source = format!("source {url}/{}\n", name(&versions[2]));
    assert!(pointer.ends_with(&source), "{pointer}");
    env.bare("server.git");
    repo.git(["push", "-q", "../server.git", "main"]).says_nothing();
    let clone = env.clone_of(&env.at("server.git"), "clone");
    for (at, version) in versions.iter().rev().enumerate() {
        clone.git(["checkout", "-q", &format!("origin/main~{at}")]).says_nothing();
        clone.has("a.bin", version);
    }
    clone.is_clean_when_touched();
    clone.git(["checkout", "-q", "main"]).says_nothing();
    clone.write("mine.bin", noise(4, 700));
    clone.commit("mine").says_nothing();
    clone.git(["push", "-q", "origin", "main"]).says_nothing();
    assert_eq!(endpoint.get(&bucket, &name(&noise(4, 700))), Some(noise(4, 700)));
    repo.git(["pull", "-q", "../server.git", "main"]).says_nothing();
    repo.has("mine.bin", noise(4, 700));
}

fn keys_may_be_kept_in_many_places(endpoint: &Endpoint) {
    let env = TestEnv::new();
    let (repo, _) = tracked(&env, endpoint);
    repo.write("a.bin", noise(1, 3000));
    repo.write("b.bin", noise(2, 3000));
    repo.commit("v1");
    let (id, secret) = (&endpoint.keys.id, &endpoint.keys.secret);
    let profile =
        format!("[default]\n\n[other]\naws_access_key_id={id}\naws_secret_access_key={secret}\n");
    let aliases = serde_json::json!({ "version": "10", "aliases": { "ours": {
        "url": format!("http://{}", endpoint.host), "accessKey": id, "secretKey": secret,
        "api": "S3v4", "path": "auto",
    }}});
    let credentials =
        format!("protocol=http\nhost={}\nusername={id}\npassword={secret}\n\n", endpoint.host);
    let place = |name: &str| elsewhere(&env, name);
    let none = place("none");
    let (left, ran) = clone(&none);
    assert_eq!(ran.told().len(), 2, "{ran:?}");
    let ran = ran.says("2 files left as pointers (a.bin, b.bin): Could not get access to it in");
    drop(ran.says("it was asked without keys"));
    assert!(left.is_pointer("a.bin"));
    let stored = place("stored");
    keep_keys(&stored);
    stored.feed("git", &["credential", "approve"], credentials.as_bytes());
    let files = place("files");
    files.write(".aws/credentials", profile);
    let mc = place("mc");
    mc.write(".mc/config.json", aliases.to_string());
    let places = [
        stored,
        place("aws").with("AWS_ACCESS_KEY_ID", id).with("AWS_SECRET_ACCESS_KEY", secret),
        place("minio").with("MINIO_ACCESS_KEY", id).with("MINIO_SECRET_KEY", secret),
        files.with("AWS_PROFILE", "other"),
        mc,
    ];
    for place in places {
        let (clone, ran) = clone(&place);
        drop(ran.says_nothing());
        clone.has("a.bin", noise(1, 3000));
    }
}

fn large_files_go_in_parts_and_come_back(endpoint: &Endpoint) {
    let env = TestEnv::new();
    let (repo, bucket) = tracked(&env, endpoint);
    repo.git(["config", "lake.partSize", "5m"]);
    let large = noise(1, (11 << 20) + 1);
    repo.write("large.bin", &large);
    repo.commit("large").says_nothing();
    assert!(endpoint.get(&bucket, &name(&large)).is_some_and(|found| found == large));
    let clone = env.clone_of(&repo, "clone");
    clone.has("large.bin", &large);
    clone.is_clean();
    clone.is_clean_when_touched();
}

fn an_object_that_is_gone_leaves_a_pointer(endpoint: &Endpoint) {
    let env = TestEnv::new();
    let (repo, bucket) = tracked(&env, endpoint);
    repo.write("a.bin", noise(1, 3000));
    repo.write("b.bin", noise(2, 3000));
    repo.commit("v1");
    let key = name(&noise(2, 3000));
    endpoint.remove(&bucket, &key);
    env.install();
    let (clone, ran) = clone(&env.at("home"));
    let url = endpoint.url(&bucket);
    let said = format!("1 file left as a pointer (b.bin): it is not in `{url}`");
    drop(ran.says(&said).says("`git lake pull` fetches what is missing"));
    clone.has("a.bin", noise(1, 3000));
    assert!(clone.is_pointer("b.bin"));
    clone.is_clean_when_touched();
    clone.git_fails(1, ["lake", "pull"]).says("1 file is still a pointer (b.bin)").says(&url);
    endpoint.put(&bucket, &key, &noise(2, 3000));
    clone.git(["lake", "pull"]).says("1 file filled").says_nothing();
    clone.has("b.bin", noise(2, 3000));
}

fn a_damaged_object_is_not_given_to_git(endpoint: &Endpoint) {
    let env = TestEnv::new();
    let (repo, bucket) = tracked(&env, endpoint);
    for (name, size) in [("small.bin", 3000), ("large.bin", 5 << 20)] {
        repo.write(name, noise(1, size));
    }
    repo.commit("v1");
    for size in [3000, 5 << 20] {
        endpoint.put(&bucket, &name(&noise(1, size)), &noise(2, size));
    }
    env.install();
    let (clone, ran) = clone(&env.at("home"));
    let url = endpoint.url(&bucket);
    let ran = ran.says("2 files left as pointers (").says("small.bin").says("large.bin");
    drop(ran.says(&format!("`{url}` holds other bytes than the object's")));
    assert!(clone.is_pointer("small.bin") && clone.is_pointer("large.bin"));
    assert!(!clone.stored(noise(1, 3000)).exists());
    clone.is_clean_when_touched();
}

fn either_of_two_lakes_is_enough(endpoint: &Endpoint) {
    let env = TestEnv::new();
    let (repo, bucket) = tracked(&env, endpoint);
    let lake = env.path("folder");
    repo.git(["lake", "init", lake.to_str().unwrap()]);
    let content = noise(1, 3000);
    repo.write("a.bin", &content);
    repo.commit("v1").says_nothing();
    assert_eq!(repo.blob(":a.bin").matches("\nsource ").count(), 2);
    fs::rename(&lake, env.path("away")).unwrap();
    let place = env.at("home");
    env.install();
    place.git(["clone", "-q", "../work", "first"]).says_nothing();
    place.below("first").has("a.bin", &content);
    fs::rename(env.path("away"), &lake).unwrap();
    endpoint.remove(&bucket, &name(&content));
    place.git(["clone", "-q", "../work", "second"]).says_nothing();
    place.below("second").has("a.bin", &content);
}

fn a_missing_bucket_is_made_on_request_only(endpoint: &Endpoint) {
    let env = TestEnv::new();
    let (repo, bucket) = (env.repo("work"), new_bucket());
    let typed = endpoint.typed(&format!("{bucket}/pre/fix"));
    let said = format!("There is no bucket `{bucket}` (`--create` makes one)");
    repo.git_fails(1, ["lake", "init", &typed]).says(&said);
    assert!(!repo.path.join(".gitlake.toml").exists());
    keep_keys(&repo);
    repo.git(["lake", "init", "--create", &typed]);
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", noise(1, 3000));
    repo.git(["add", "."]).says_nothing();
    assert_eq!(endpoint.objects(&bucket), [format!("pre/fix/{}", name(&noise(1, 3000)))]);
}

fn wrong_keys_change_nothing(endpoint: &Endpoint) {
    let env = TestEnv::new();
    let (repo, bucket) = (env.repo("work"), new_bucket());
    endpoint.make_bucket(&bucket);
    keep_keys(&repo);
    for (id, secret) in [("nobody", &*endpoint.keys.secret), (&*endpoint.keys.id, "wr0ng")] {
        let typed = format!("s3://{id}:{secret}@{}/{bucket}?secure=false", endpoint.host);
        let ran = repo.git_fails(1, ["lake", "init", &typed]);
        let ran =
            ran.says(&format!("Could not get access to the lake `{}`", endpoint.url(&bucket)));
        drop(ran.says("it was asked with the keys from the address").says_not(secret));
    }
    let env_keys = repo.with("AWS_ACCESS_KEY_ID", "nobody").with("AWS_SECRET_ACCESS_KEY", "wr0ng");
    let url = format!("{}?secure=false", endpoint.url(&bucket));
    let ran = env_keys.git_fails(1, ["lake", "init", &url]);
    let ran = ran.says(&format!("Could not get access to the lake `{}`", endpoint.url(&bucket)));
    drop(ran.says("the keys from `AWS_ACCESS_KEY_ID` were called wrong").says_not("wr0ng"));
    // Right keys elsewhere do not hide that those which were typed are wrong.
    let right = repo.with("AWS_ACCESS_KEY_ID", &endpoint.keys.id);
    let right = right.with("AWS_SECRET_ACCESS_KEY", &endpoint.keys.secret);
    let typed = format!("s3://nobody:wr0ng@{}/{bucket}?secure=false", endpoint.host);
    right
        .git_fails(1, ["lake", "init", &typed])
        .says("it was asked with the keys from the address");
    assert!(!repo.path.join(".gitlake.toml").exists());
    assert!(!env.path("home/.git-credentials").exists(), "wrong keys were kept");
    assert_eq!(endpoint.objects(&bucket), [""; 0]);
}

#[test]
fn who_may_only_read_gets_a_source() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    server.add_key("reader", "readersecret", Rights::ReadOnly);
    let endpoint = Endpoint::of(&server);
    let owner = tracked(&env, &endpoint);
    let repo = env.repo("other");
    let url = endpoint.url(&owner.1);
    let typed = url.replace("s3://", "s3://reader:readersecret@") + "?secure=false";
    let said =
        format!("Content is read from `{url}` (remote `{}`); you may not add to it: ", owner.1);
    let why = "The server answered 403 `AccessDenied` (Access Denied); it was asked with the keys \
               from the address.\n";
    repo.git(["lake", "init", &typed]).says(&said).says(why);
    assert!(repo.text(".gitlake.toml").contains("upload = false"));
    repo.git(["lake", "track", "*.bin"]);
    server.take_requests();
    repo.write("a.bin", noise(1, 3000));
    repo.git(["add", "."]);
    assert!(server.requests().iter().all(|request| request.method != "PUT"));
    assert!(!repo.blob(":a.bin").contains("source"));
}

#[test]
fn keys_that_nobody_keeps_are_said_to_be_lost() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = env.repo("work");
    let typed = Endpoint::of(&server).typed("lake");
    let said = "were used and not kept: git has no credential helper that keeps them";
    repo.git(["lake", "init", &typed]).says(said).says_not(KEY.1);
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", noise(1, 3000));
    repo.git(["add", "."]).says("1 upload is owed (a.bin)").says("it was asked without keys");
    keep_keys(&repo);
    repo.git(["lake", "init", &typed]).says_nothing();
    repo.git(["lake", "push"]).says("1 object uploaded");
}

#[test]
fn who_may_not_even_look_gets_no_remote() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    server.set_behaviour(|behaviour| behaviour.public_read = true);
    let repo = env.repo("work");
    let url = Endpoint::of(&server).url("lake");
    let ran = repo.git_fails(1, ["lake", "init", &format!("{url}?secure=false")]);
    let ran = ran.says(&format!("Could not get access to the lake `{url}`"));
    drop(ran.says("it was asked without keys"));
    assert!(!repo.path.join(".gitlake.toml").exists());
    assert_eq!(server.keys("lake"), [""; 0]);
}

#[test]
fn a_fork_of_public_content_is_pushed_without_keys() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    server.set_behaviour(|behaviour| behaviour.public_read = true);
    let (repo, _) = tracked(&env, &Endpoint::of(&server));
    for at in 0..5 {
        repo.write(format!("{at}.bin"), noise(at, 3000));
    }
    repo.commit("v1");
    server.take_requests();
    for (name, skip, heads) in [("with-content", "0", 0), ("pointers", "1", 5)] {
        let place = elsewhere(&env, name).with("GIT_LAKE_SKIP_SMUDGE", skip);
        let (fork, ran) = clone(&place);
        drop(ran.says_nothing());
        place.git(["init", "-q", "--bare", "fork.git"]);
        fork.git(["lake", "init"]);
        server.take_requests();
        fork.write("README", "mine");
        fork.commit("readme").says_nothing();
        fork.git(["push", "-q", "../fork.git", "main"]).says_nothing();
        let requests = server.take_requests();
        let count = |name| requests.iter().filter(|request| request.operation == name).count();
        assert_eq!(count("HeadObject"), heads, "{requests:#?}");
        assert!(requests.iter().all(|request| request.access_key_id.is_none()));
    }
    let keys = server.keys("lake");
    assert!(keys.is_empty() && KEY.0 != KEY.1, "{keys:?}");
}
