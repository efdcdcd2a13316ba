//! A day's work while any request may meet any trouble, as chance has it.
//!
//! A seed makes a day; `GIT_LAKE_TEST_SEEDS=<first>..<end>` has others run, and hundreds find what is rare. What
//! a request meets depends on the seed, on what is asked for and on how often it was asked, not on what comes
//! first.

use std::collections::HashMap;
use std::fs;

use git_lake::oid::Oid;

use crate::common::disturbed::{LARGE, Site, Surroundings, TROUBLES};
use crate::common::random::seeds;
use crate::common::s3::endpoint::Endpoint;
use crate::common::s3::{Recorded, S3Server};

/// So many days run unless others are wanted.
const DAYS: u64 = 4;
/// Of so many requests one meets something.
const ONE_IN: u64 = 6;

/// Lets requests meet trouble by chance.
fn disturb(site: &Site, seed: u64) {
    let mut asked = HashMap::<String, u64>::new();
    site.proxy.plan(move |request: &Recorded| {
        let part = request.query.get("partNumber").or(request.headers.get("range"));
        let what = format!("{} {} {part:?}", request.operation, request.key());
        let count = asked.entry(what.clone()).or_default();
        *count += 1;
        let number = chance(&format!("{seed} {what} {count}"));
        let trouble = &TROUBLES[(number / ONE_IN % TROUBLES.len() as u64) as usize];
        let meets = number.is_multiple_of(ONE_IN) && (trouble.strikes)(request);
        meets.then(trouble.fault)
    });
}

/// A number that looks random and is the same for the same text.
fn chance(text: &str) -> u64 {
    let digest = Oid::of(text.as_bytes());
    u64::from_le_bytes(digest.as_bytes()[..8].try_into().unwrap())
}

/// Commands that ask the server, each of which may fail; [`Site::run`] sees that nothing else happens.
fn work(site: &Site, seed: u64) {
    let is_large = seed.is_multiple_of(3);
    for number in 1..=6 {
        let len = if is_large && number == 1 { LARGE } else { 3000 };
        site.repo.write(format!("{number}.bin"), site.content(number, len));
    }
    for args in [["add", "."].as_slice(), &["commit", "-q", "-m", "work"]] {
        assert_eq!(site.run("git", args).code, Some(0));
    }
    site.repo.below("..").git(["init", "-q", "--bare", "server.git"]);
    site.run("git", &["push", "-q", "../server.git", "HEAD:main"]);
    let place = site.repo.below("..");
    site.run_in(&place, "git", &["clone", "-q", "work", "clone"]);
    let clone = site.repo.below("../clone");
    site.run_in(&clone, "git", &["lake", "pull"]);
    site.run("git", &["lake", "drop", "2.bin", "3.bin"]);
    site.run("git", &["lake", "prune"]);
    site.repo.empty_receipts();
    for args in [&["status", "--all", "--check"][..], &["fsck", "--remote", "--read-data"]] {
        site.run("git-lake", args);
    }
    site.run("git", &["lake", "fsck", "--remote", "--repair"]);
    site.run("git", &["lake", "pull"]);
    site.run("git", &["lake", "push"]);
}

/// When all is well again, everything is where it should be.
fn ends_well(site: &Site) {
    site.heal();
    site.settles();
    site.repo.git(["lake", "pull"]);
    let clone = site.repo.below("../clone");
    assert!(clone.path.exists());
    clone.git(["lake", "pull"]);
    for number in 1..=6 {
        let path = format!("{number}.bin");
        let content = fs::read(site.repo.path.join(&path)).unwrap();
        assert!(content == site.content(number, content.len()) && content.len() >= 3000);
        clone.has(&path, &content);
        site.holds(&content);
    }
    assert!(site.server.aside(&site.bucket, "").is_empty(), "something was replaced");
    site.repo.git(["push", "-q", "../server.git", "HEAD:main"]).says_nothing();
    site.repo.is_clean_when_touched();
    clone.is_clean_when_touched();
}

fn days(server: impl Fn() -> Endpoint) {
    let surroundings = Surroundings::new();
    for seed in seeds(0..DAYS) {
        let site = Site::new(&surroundings, server());
        let day = std::panic::AssertUnwindSafe(|| {
            disturb(&site, seed);
            work(&site, seed);
            ends_well(&site);
        });
        assert!(std::panic::catch_unwind(day).is_ok(), "seed {seed}");
    }
}

#[test]
fn a_day_of_random_trouble_ends_well() {
    let server = S3Server::start();
    days(|| Endpoint::of(&server));
}

#[test]
fn a_day_of_random_trouble_before_the_server_outside_ends_well() {
    if let Some(endpoint) = Endpoint::outside() {
        days(|| endpoint.clone());
    }
}
