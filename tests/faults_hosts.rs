//! Servers that are not there, send elsewhere, or do not take the keys any more, as each command sees it.

use std::fs;

use crate::common::disturbed::{Ended, Site, Surroundings, WORKS, Work};
use crate::common::s3::endpoint::{Endpoint, new_bucket};
use crate::common::s3::web::Web;
use crate::common::s3::{Fault, KEY, Rights, S3Server};
use crate::common::{Repo, TestEnv, noise};

/// A server that lets objects be removed, so that a test can damage them.
fn inner() -> S3Server {
    let server = S3Server::start();
    server.set_behaviour(|behaviour| behaviour.delete_allowed = true);
    server
}

fn prepared(surroundings: &Surroundings, server: Endpoint, work: &Work) -> Site {
    let site = Site::new(surroundings, server);
    (work.prepare)(&site);
    site
}

#[test]
fn no_command_follows_a_redirect() {
    let (surroundings, server) = (Surroundings::new(), inner());
    let elsewhere = Web::start(|_| Some((200, "all is well".to_owned())));
    for (work, status) in WORKS.iter().zip([301, 302, 303, 307, 308].into_iter().cycle()) {
        let site = prepared(&surroundings, Endpoint::of(&server), work);
        let location = Some(format!("http://{}/{}", elsewhere.host(), site.bucket));
        site.proxy.fault(|_| true, usize::MAX, Fault::Redirect { status, location, region: None });
        assert_eq!((work.run)(&site), Ended::Failed, "{}", work.name);
        // Who is not asked learns no key.
        assert_eq!(elsewhere.connections(), 0, "{} / {status}", work.name);
        site.heal();
        assert_eq!((work.run)(&site), Ended::Done, "{}", work.name);
    }
}

/// Puts keys before all others, into a helper of git that this site alone has.
fn keep(site: &mut Site, id: &str, secret: &str) {
    let file = site.repo.path.with_file_name("credentials");
    let helper = format!("store --file={}", file.display());
    let variables = [("COUNT", "1"), ("KEY_0", "credential.helper"), ("VALUE_0", &helper)];
    for (name, value) in variables {
        site.repo = site.repo.with(&format!("GIT_CONFIG_{name}"), value);
    }
    let host = site.proxy.host();
    let text = format!("protocol=http\nhost={host}\nusername={id}\npassword={secret}\n\n");
    let ran = site.repo.feed("git", &["credential", "approve"], text.as_bytes());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(kept(site).contains(secret));
}

fn kept(site: &Site) -> String {
    fs::read_to_string(site.repo.path.with_file_name("credentials")).unwrap()
}

#[test]
fn keys_that_expire_give_way_to_the_next_and_are_given_back() {
    let (surroundings, server) = (Surroundings::new(), inner());
    for (number, work) in WORKS.iter().enumerate() {
        let mut site = prepared(&surroundings, Endpoint::of(&server), work);
        let id = format!("passing-{number}");
        server.add_key(&id, "canary-passing", Rights::All);
        server.expire_key(&id);
        keep(&mut site, &id, "canary-passing");
        assert_eq!((work.run)(&site), Ended::Done, "{}", work.name);
        (work.is_right)(&site);
        assert_eq!(kept(&site), "", "{}", work.name);
    }
}

#[test]
fn when_all_keys_have_expired_each_is_named_and_nothing_is_lost() {
    let (surroundings, server) = (Surroundings::new(), inner());
    for (number, work) in WORKS.iter().enumerate() {
        let id = format!("mine-{number}");
        server.add_key(&id, KEY.1, Rights::All);
        let mut endpoint = Endpoint::of(&server);
        endpoint.keys.id = id.clone();
        let mut site = prepared(&surroundings, endpoint, work);
        // The test itself goes on with keys that are well.
        site.server = Endpoint::of(&server);
        server.expire_key(&id);
        assert_eq!((work.run)(&site), Ended::Failed, "{}", work.name);
        server.add_key(&id, KEY.1, Rights::All);
        site.heal();
        assert_eq!((work.run)(&site), Ended::Done, "{}", work.name);
        site.settles();
        (work.is_right)(&site);
    }
}

#[test]
fn the_keys_that_have_expired_are_named() {
    let (surroundings, server) = (Surroundings::new(), inner());
    let mut site = Site::new(&surroundings, Endpoint::of(&server));
    server.add_key("passing", "canary-passing", Rights::All);
    server.expire_key("passing");
    keep(&mut site, "passing", "canary-passing");
    site.repo = site.repo.with("AWS_ACCESS_KEY_ID", "nobody");
    site.repo.write("1.bin", site.content(1, 3000));
    let ran = site.run("git", &["add", "1.bin"]).says("1 upload is owed (1.bin)");
    let ran = ran.says("the keys from `git credential` were called wrong (`ExpiredToken`)");
    let ran = ran.says("were called wrong (`InvalidAccessKeyId`)");
    drop(ran.says_not("canary"));
}

/// A repository whose remote is a server that no name leads to.
fn nowhere(env: &TestEnv) -> (Repo, String) {
    let url = format!("s3://lake.invalid:9000/{}", new_bucket());
    let repo = env.repo("work").with("AWS_ACCESS_KEY_ID", KEY.0);
    let repo = repo.with("AWS_SECRET_ACCESS_KEY", KEY.1);
    let remote = format!("[[remote]]\nname = \"lake\"\nurl = \"{url}\"\nsecure = false\n");
    repo.write(".gitlake.toml", format!("version = 1\n{remote}"));
    repo.write(".gitattributes", "*.bin filter=lake -text\n");
    env.install();
    (repo, url)
}

#[test]
fn a_name_that_leads_nowhere_is_said_by_each_command_and_nothing_is_lost() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let (repo, url) = nowhere(&env);
    let said = format!("Could not reach the lake `{url}`: `lake.invalid` has no address");
    repo.write("a.bin", noise(1, 3000));
    repo.git(["add", "."]).says("1 upload is owed (a.bin)").says(&said);
    repo.git(["commit", "-q", "-m", "v1"]);
    let typed = format!("{url}?secure=false");
    let asking: [&[&str]; 7] = [
        &["push"],
        &["status", "--all", "--check"],
        &["drop", "a.bin"],
        &["fsck", "--remote"],
        &["remote-add", &typed, "--name", "again"],
        &["remote-upload"],
        &["orphans", "lake", "--keep", "."],
    ];
    for args in asking {
        let ran = repo.run("git-lake", args);
        assert!(matches!(ran.code, Some(1 | 3)), "{args:?}: {ran:#?}");
        let text = format!("{}{}", ran.stdout, ran.stderr);
        assert!(text.contains("`lake.invalid` has no address"), "{args:?}: {ran:#?}");
    }
    repo.has("a.bin", noise(1, 3000));
    let lost = repo.git_fails(1, ["lake", "status", "--all", "--check"]);
    drop(lost.prints("a.bin"));
    env.clone_of(&repo, "clone").is_pointer("a.bin");
    // The name leads somewhere again.
    let bucket = url.rsplit('/').next().unwrap();
    server.create_bucket(bucket);
    let here = format!("url.{}.insteadOf", Endpoint::of(&server).url(bucket));
    repo.git(["config", "--global", &here, &url]);
    repo.git(["lake", "push"]).says("1 object uploaded");
    repo.git(["lake", "status", "--all", "--check"]);
    let clone = env.at("clone").with("AWS_ACCESS_KEY_ID", KEY.0);
    let clone = clone.with("AWS_SECRET_ACCESS_KEY", KEY.1);
    clone.git(["lake", "pull"]).says("1 file filled");
    clone.has("a.bin", noise(1, 3000));
}
