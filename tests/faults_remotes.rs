//! Every command that asks a server, while everything goes wrong that can.
//!
//! A proxy stands before the server of the tests, and before the one that the environment names, if it
//! does. Whatever happens, a command ends in time, with the right result or with an error that says
//! what and why; no byte that was not verified is seen anywhere, and no upload that is owed is
//! forgotten. [`Site::run`] checks that after every command.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::disturbed::{Ended, Site, Surroundings, TROUBLES, Trouble, WORKS, Work};
use crate::common::s3::S3Server;
use crate::common::s3::endpoint::Endpoint;

/// Most of the time of a case is spent waiting.
const AT_ONCE: usize = 16;

/// Of so many cases one is tested unless others are wanted.
const ONE_OF: usize = 10;
/// The same before a server outside.
const ONE_OF_OUTSIDE: usize = 17;

/// A command and what happens meanwhile.
type Case = (&'static Work, &'static Trouble);

/// The cases to test: of `GIT_LAKE_TEST_CASES` those whose name has this text, or `all`. Unless it is
/// set, one of so many, so that every command and every trouble has its turn. All take minutes.
fn cases(one_of: usize) -> Vec<Case> {
    let numbered =
        |(at, work)| TROUBLES.iter().enumerate().map(move |(of, it)| (at + of, (work, it)));
    let all = WORKS.iter().enumerate().flat_map(numbered);
    match std::env::var("GIT_LAKE_TEST_CASES") {
        Ok(text) => all
            .map(|(_, case)| case)
            .filter(|case| text == "all" || name(case).contains(&text))
            .collect(),
        Err(_) => all.filter(|(at, _)| at.is_multiple_of(one_of)).map(|(_, case)| case).collect(),
    }
}

fn name((work, trouble): &Case) -> String {
    format!("{} / {}", work.name, trouble.name)
}

/// Does something with every case, many at once, before a server; names those that fail.
fn each(server: impl Fn() -> Endpoint + Sync, cases: &[Case], test: fn(&Site, &Case)) {
    let (surroundings, next) = (Surroundings::new(), AtomicUsize::new(0));
    let failed = Mutex::<Vec<String>>::default();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tested = catch_unwind(AssertUnwindSafe(|| {
                        let site = Site::new(&surroundings, server());
                        (case.0.prepare)(&site);
                        site.proxy.take_requests();
                        test(&site, case);
                    }));
                    if tested.is_err() {
                        failed.lock().unwrap().push(name(case));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), cases.len());
}

/// A server that lets objects be removed, so that a test can damage them.
fn inner() -> S3Server {
    let server = S3Server::start();
    server.set_behaviour(|behaviour| behaviour.delete_allowed = true);
    server
}

/// What happens once is got over, or said and then made good.
fn once(site: &Site, (work, trouble): &Case) {
    trouble.happen_once(&site.proxy);
    let ended = (work.run)(site);
    assert!(!trouble.passes || ended == Ended::Done, "it passes, but the command failed");
    settles(site, work, ended);
}

/// What lasts is said, and when it is over the same command succeeds.
fn lasting(site: &Site, (work, trouble): &Case) {
    trouble.last(&site.proxy);
    let ended = (work.run)(site);
    let is_cut_off = trouble.lets_nothing_through();
    assert!(!is_cut_off || ended == Ended::Failed, "nothing came through, but it is done");
    settles(site, work, ended);
}

/// What is said to be done is right, and what is not is made good when all is well again.
fn settles(site: &Site, work: &Work, ended: Ended) {
    if ended == Ended::Done {
        (work.is_right)(site);
    }
    site.heal();
    if ended == Ended::Failed {
        assert_eq!((work.run)(site), Ended::Done, "all is well again");
    }
    site.settles();
    (work.is_right)(site);
}

/// What lasts and costs a timeout for each attempt is left to those who test everything.
fn lasting_cases(one_of: usize) -> Vec<Case> {
    let mut cases = cases(one_of);
    if std::env::var_os("GIT_LAKE_TEST_CASES").is_none() {
        cases.retain(|(work, trouble)| !trouble.takes_time || work.name == "git lake pull");
    }
    cases
}

#[test]
fn what_goes_wrong_once_is_got_over() {
    let server = inner();
    each(|| Endpoint::of(&server), &cases(ONE_OF), once);
}

#[test]
fn what_lasts_is_said_and_made_good_when_it_is_over() {
    let server = inner();
    each(|| Endpoint::of(&server), &lasting_cases(ONE_OF), lasting);
}

#[test]
fn what_goes_wrong_once_before_the_server_outside_is_got_over() {
    if let Some(endpoint) = Endpoint::outside() {
        each(|| endpoint.clone(), &cases(ONE_OF_OUTSIDE), once);
    }
}

#[test]
fn what_lasts_before_the_server_outside_is_said_and_made_good() {
    if let Some(endpoint) = Endpoint::outside() {
        let mut cases = lasting_cases(ONE_OF_OUTSIDE);
        cases.retain(|(_, trouble)| !trouble.takes_time);
        each(|| endpoint.clone(), &cases, lasting);
    }
}
