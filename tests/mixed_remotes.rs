//! Several remotes of several kinds: added, removed and merged by several people.

use crate::common::s3::S3Server;
use crate::common::s3::endpoint::Endpoint;
use crate::common::{Lake, Repo, TestEnv, noise};

fn content(number: u64) -> Vec<u8> {
    noise(50 + number, 3000)
}

/// A repository of three files in two folders, `one` and `two`, and a bucket.
fn repo(env: &TestEnv, server: &S3Server) -> (Repo, Lake, Lake, String) {
    let (one, two) = (env.lake("one"), env.lake("two"));
    let place = env.repo("work");
    let repo =
        place.with("AWS_ACCESS_KEY_ID", "testkey").with("AWS_SECRET_ACCESS_KEY", "testsecret");
    repo.set_up(&[&one]);
    for number in 0..3 {
        repo.write(format!("{number}.bin"), content(number));
    }
    repo.commit("v1");
    let endpoint = Endpoint::of(server);
    repo.git(["lake", "remote-add", &endpoint.typed("lake"), "../two"]);
    repo.commit("three");
    (repo, one, two, endpoint.url("lake"))
}

/// The lakes that the pointer at a path of the index names, in order.
fn named(repo: &Repo, path: &str) -> Vec<String> {
    let pointer = repo.blob(&format!(":{path}"));
    let urls = pointer.lines().filter_map(|line| line.strip_prefix("source "));
    urls.map(|url| url.rsplit_once('/').unwrap().0.to_owned()).collect()
}

/// A clone has all content.
fn clones_well(env: &TestEnv, repo: &Repo, name: &str) {
    env.install();
    let place = repo.below("..");
    place.git(["clone", "-q", "work", name]).says_nothing();
    for number in 0..3 {
        env.at(name).has(format!("{number}.bin"), content(number));
    }
}

#[test]
fn the_first_the_last_and_all_but_one_can_be_removed() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let (repo, one, two, bucket) = repo(&env, &server);
    assert_eq!(named(&repo, "0.bin"), [one.url(), bucket.clone(), two.url()]);
    repo.git(["lake", "remote-remove", "one"]);
    assert_eq!(named(&repo, "0.bin"), [bucket.clone(), two.url()]);
    repo.commit("without the first");
    one.unmount();
    clones_well(&env, &repo, "without-first");
    one.mount();
    repo.git(["reset", "-q", "--hard", "HEAD^"]);
    repo.git(["lake", "remote-remove", "two"]);
    assert_eq!(named(&repo, "0.bin"), [one.url(), bucket.clone()]);
    repo.commit("without the last");
    two.unmount();
    clones_well(&env, &repo, "without-last");
    two.mount();
    repo.git(["reset", "-q", "--hard", "HEAD^"]);
    repo.git(["lake", "remote-remove", "one", "two"]);
    assert_eq!(named(&repo, "2.bin"), [bucket]);
    repo.commit("the bucket alone");
    one.unmount();
    two.unmount();
    clones_well(&env, &repo, "bucket-alone");
    repo.git_fails(1, ["lake", "remote-remove", "lake"]).says("Nothing was changed");
}

#[test]
fn two_clones_that_add_a_remote_each_merge() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let (repo, one, two, bucket) = repo(&env, &server);
    let bare = env.bare("server.git");
    repo.git(["push", "-q", "../server.git", "main"]);
    env.install();
    for name in ["alice", "bob"] {
        repo.below("..").git(["clone", "-q", "server.git", name]);
    }
    let (alice, bob) = (repo.below("../alice"), repo.below("../bob"));
    let (third, fourth) = (env.lake("third"), env.lake("fourth"));
    alice.git(["lake", "remote-add", "../third"]);
    alice.commit("third");
    alice.git(["push", "-q"]);
    bob.git(["lake", "remote-add", "../fourth"]);
    bob.commit("fourth");
    bob.git_fails(1, ["push", "-q"]);
    bob.git(["pull", "-q", "--no-rebase"]);
    let all = [one.url(), bucket, two.url(), fourth.url(), third.url()];
    let mut found = named(&bob, "1.bin");
    assert_eq!(found.len(), 5, "{found:?}");
    found.sort();
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(found, sorted);
    let settings = bob.text(".gitlake.toml");
    assert!(all.iter().all(|url| settings.contains(url.as_str())), "{settings}");
    bob.is_clean_when_touched();
    bob.git(["push", "-q"]);
    alice.git(["pull", "-q"]);
    assert_eq!(alice.blob(":1.bin"), bob.blob(":1.bin"));
    third.holds(content(1));
    fourth.holds(content(1));
    assert!(bare.git(["fsck", "--strict"]).stderr.is_empty());
}

#[test]
fn a_branch_that_adds_merges_with_one_that_removes() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let (repo, one, two, bucket) = repo(&env, &server);
    let third = env.lake("third");
    repo.on_branch("add", |repo| {
        repo.git(["lake", "remote-add", "../third"]);
    });
    repo.git(["lake", "remote-remove", "one"]);
    repo.commit("remove");
    repo.git(["merge", "-q", "-m", "merge", "add"]);
    for number in 0..3 {
        let path = format!("{number}.bin");
        assert_eq!(named(&repo, &path), [bucket.clone(), two.url(), third.url()]);
        repo.has(&path, content(number));
    }
    let settings = repo.text(".gitlake.toml");
    assert!(!settings.contains(&one.url()) && settings.contains(&third.url()), "{settings}");
    repo.is_clean_when_touched();
    repo.write("new.bin", noise(9, 100));
    repo.git(["add", "new.bin"]).says_nothing();
    assert_eq!(named(&repo, "new.bin"), [bucket, two.url(), third.url()]);
}

#[test]
fn renamed_and_copied_items_keep_their_sources() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let (repo, one, two, bucket) = repo(&env, &server);
    let third = env.lake("third");
    let before = third.objects();
    repo.git(["lake", "remote-add", "../third", "--settings-only"]);
    repo.commit("from now on");
    let (pointer, all) = (repo.blob(":0.bin"), [one.url(), bucket, two.url()]);
    repo.git(["mv", "0.bin", "moved.bin"]);
    std::fs::copy(repo.path.join("1.bin"), repo.path.join("copy.bin")).unwrap();
    repo.git(["add", "."]).says_nothing();
    assert_eq!(repo.blob(":moved.bin"), pointer);
    assert_eq!(repo.blob(":copy.bin"), repo.blob(":1.bin"));
    assert_eq!(named(&repo, "copy.bin"), all);
    assert_eq!(third.objects(), before);
    repo.commit("moved");
    // A branch that gave the old name a source merges with the rename.
    repo.git(["switch", "-q", "-c", "side", "HEAD^"]);
    repo.git(["lake", "remote-add", "../third"]);
    repo.commit("third");
    repo.git(["switch", "-q", "main"]);
    repo.git(["merge", "-q", "-m", "merge", "side"]);
    assert!(named(&repo, "moved.bin").contains(&third.url()), "{:?}", named(&repo, "moved.bin"));
    repo.has("moved.bin", content(0));
    repo.is_clean_when_touched();
}
