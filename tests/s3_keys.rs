//! With which keys a server is asked, and what is said about those that do not help.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use git_lake::access::{Access, CredentialHelper, KeySource, Keys, Withheld};
use git_lake::lake::contract::Sample;
use git_lake::lake::s3::S3Lake;
use git_lake::lake::{LakeError, Put, ReadLake as _, Retry};

use crate::common::s3::endpoint::{Endpoint, LIMITS, words};
use crate::common::s3::{Fault, KEY, Recorded, Rights, S3Server};

/// Is in every secret here, and must be in nothing that is shown.
const CANARY: &str = "canary";

fn keys(id: &str, secret: &str) -> Keys {
    Keys { id: id.into(), secret: secret.into(), token: None }
}

fn known(origin: &str, keys: Keys) -> KeySource {
    KeySource::Known { origin: origin.into(), keys }
}

/// The pair that the server knows, under a name of its own.
fn good() -> KeySource {
    known("the good place", keys(KEY.0, KEY.1))
}

fn wrong_id() -> KeySource {
    known("the old place", keys("nobody", "canary-of-nobody"))
}

fn wrong_secret() -> KeySource {
    known("the mistyped place", keys(KEY.0, "canary-mistyped"))
}

fn lake(server: &S3Server, sources: Vec<KeySource>) -> S3Lake {
    lake_with(server, Access { sources, ..Access::default() })
}

fn lake_with(server: &S3Server, access: Access) -> S3Lake {
    let access = Access { plain_http: true, ..access };
    Endpoint::of(server).lake_with("lake", access, LIMITS)
}

/// Returns what an error says, and makes sure that no secret is in it.
#[track_caller]
fn said(error: &LakeError) -> String {
    let said = words(error);
    for text in [&said, &format!("{error:?}"), &format!("{error:#?}")] {
        assert!(!text.contains(CANARY) && !text.contains(KEY.1), "{text}");
    }
    said
}

/// Returns the ids of the keys in requests, in order, each once.
fn signers(server: &S3Server) -> Vec<Option<String>> {
    let mut ids: Vec<_> =
        server.take_requests().into_iter().map(|request| request.access_key_id).collect();
    ids.dedup();
    ids
}

fn some(ids: &[&str]) -> Vec<Option<String>> {
    ids.iter().map(|id| Some((*id).to_owned())).collect()
}

/// A credential helper that remembers what it was told.
#[derive(Default)]
struct Helper {
    keys: Option<Keys>,
    filled: AtomicUsize,
    rejected: Mutex<Vec<String>>,
}

impl Helper {
    fn with(keys: Keys) -> Arc<Self> {
        Arc::new(Self { keys: Some(keys), ..Self::default() })
    }

    fn rejected(&self) -> Vec<String> {
        self.rejected.lock().unwrap().clone()
    }
}

impl CredentialHelper for Helper {
    fn fill(&self) -> Option<Keys> {
        self.filled.fetch_add(1, Ordering::SeqCst);
        self.keys.clone()
    }

    fn approve(&self, _: &Keys) {}

    fn reject(&self, keys: &Keys) {
        self.rejected.lock().unwrap().push(keys.id.clone());
    }
}

#[test]
fn the_first_complete_set_wins() {
    let server = S3Server::start();
    server.add_key("second", "canary-second", Rights::All);
    let second = known("the second place", keys("second", "canary-second"));
    let empty = Arc::new(Helper::default());
    let sources = vec![KeySource::Helper(empty.clone()), second, good()];
    assert_eq!(Sample::new(b"x").put(&lake(&server, sources)).unwrap(), Put::Created);
    assert_eq!(signers(&server), some(&["second"]));
    assert_eq!(empty.filled.load(Ordering::SeqCst), 1);
    assert!(empty.rejected().is_empty());
}

#[test]
fn sets_that_are_called_wrong_give_way_to_the_next() {
    let server = S3Server::start();
    server.add_key("expired", "canary-expired", Rights::All);
    server.expire_key("expired");
    let expired = known("the expired place", keys("expired", "canary-expired"));
    let lake = lake(&server, vec![wrong_id(), wrong_secret(), expired, good()]);
    assert_eq!(Sample::new(b"x").put(&lake).unwrap(), Put::Created);
    let ids: Vec<_> = signers(&server).into_iter().flatten().collect();
    assert_eq!(ids, ["nobody", KEY.0, "expired", KEY.0]);
    // Each wrong set costs one request, not one for each object.
    assert_eq!(Sample::new(b"y").put(&lake).unwrap(), Put::Created);
    assert_eq!(server.take_requests().len(), 1);
}

#[test]
fn a_head_that_says_nothing_gives_wrong_keys_up_too() {
    let server = S3Server::start();
    server.add_key("expired", "canary-expired", Rights::All);
    let sample = Sample::new(b"x");
    server.plant("lake", sample.name().as_str(), b"x", true);
    let expired = known("the expired place", keys("expired", "canary-expired"));
    let lake = lake(&server, vec![expired, good()]);
    assert!(lake.stat(sample.name()).unwrap().is_some());
    server.expire_key("expired");
    // In the middle of a run, and the first that hears of it has no body to hear it from.
    assert!(lake.stat(sample.name()).unwrap().is_some());
    assert!(lake.stat(Sample::new(b"missing").name()).unwrap().is_none());
    let ids: Vec<_> = signers(&server).into_iter().flatten().collect();
    assert_eq!(ids, ["expired", KEY.0]);
}

#[test]
fn when_no_set_is_right_the_error_names_each_and_none_of_its_secrets() {
    let server = S3Server::start();
    let looked_at = vec!["`AWS_ACCESS_KEY_ID` is not set".to_owned()];
    let sources = vec![wrong_id(), wrong_secret()];
    let lake = lake_with(&server, Access { sources, looked_at, ..Access::default() });
    let sample = Sample::new(b"x");
    let errors = [
        lake.stat(sample.name()).unwrap_err(),
        lake.get(sample.name(), 0).err().unwrap(),
        sample.put(&lake).unwrap_err(),
        lake.list().err().unwrap(),
    ];
    for error in errors {
        let said = said(&error);
        assert!(said.contains("the keys from the old place were called wrong"), "{said}");
        assert!(said.contains("`InvalidAccessKeyId`"), "{said}");
        assert!(said.contains("the keys from the mistyped place were called wrong"), "{said}");
        assert!(said.contains("`SignatureDoesNotMatch`"), "{said}");
        assert!(said.contains("`AWS_ACCESS_KEY_ID` is not set"), "{said}");
        assert_eq!(error.retry(), Retry::Never);
    }
    assert_eq!(server.requests().last().unwrap().access_key_id, None);
}

#[test]
fn a_helper_hears_once_that_its_keys_were_wrong() {
    let server = S3Server::start();
    let helper = Helper::with(keys("nobody", "canary-helped"));
    let lake = &lake(&server, vec![KeySource::Helper(helper.clone()), good()]);
    let samples: Vec<Sample> = (0..16_u8).map(|number| Sample::new(&[number])).collect();
    std::thread::scope(|scope| {
        for sample in &samples {
            scope.spawn(move || assert_eq!(sample.put(lake).unwrap(), Put::Created));
        }
    });
    assert_eq!(helper.rejected(), ["nobody"]);
    assert_eq!(helper.filled.load(Ordering::SeqCst), 1);
}

#[test]
fn a_helper_whose_keys_expire_in_the_middle_hears_of_it() {
    let server = S3Server::start();
    server.add_key("passing", "canary-passing", Rights::All);
    let helper = Helper::with(keys("passing", "canary-passing"));
    let lake = lake(&server, vec![KeySource::Helper(helper.clone()), good()]);
    assert_eq!(Sample::new(b"x").put(&lake).unwrap(), Put::Created);
    assert!(helper.rejected().is_empty());
    server.expire_key("passing");
    assert_eq!(Sample::new(b"y").put(&lake).unwrap(), Put::Created);
    assert_eq!(helper.rejected(), ["passing"]);
}

#[test]
fn who_may_not_do_it_is_not_taken_for_somebody_with_wrong_keys() {
    let server = S3Server::start();
    server.add_key("reader", "canary-reader", Rights::ReadOnly);
    let helper = Helper::with(keys("reader", "canary-reader"));
    let lake = lake(&server, vec![KeySource::Helper(helper.clone()), good()]);
    let error = Sample::new(b"x").put(&lake).unwrap_err();
    assert!(matches!(error, LakeError::ReadOnly { .. }), "{error:?}");
    let said = said(&error);
    assert!(said.contains("it was asked with the keys from `git credential`"), "{said}");
    assert!(helper.rejected().is_empty());
    assert_eq!(signers(&server), some(&["reader"]));
}

#[test]
fn temporary_keys_are_sent_with_their_token() {
    let server = S3Server::start();
    server.add_key("temporary", "canary-temporary", Rights::All);
    server.require_token("temporary", "canary-token");
    let token = |token: Option<&str>| {
        let token = token.map(str::to_owned);
        known("the session", Keys { token, ..keys("temporary", "canary-temporary") })
    };
    let with = lake(&server, vec![token(Some("canary-token"))]);
    assert_eq!(Sample::new(b"x").put(&with).unwrap(), Put::Created);
    let has_token = |request: &Recorded| request.headers["x-amz-security-token"] == "canary-token";
    assert!(server.take_requests().iter().all(has_token));
    for bad in [None, Some("canary-other-token")] {
        let error = lake(&server, vec![token(bad)]).list().err().unwrap();
        assert!(said(&error).contains("the keys from the session were called wrong"));
    }
}

#[test]
fn a_public_bucket_is_read_without_keys() {
    let server = S3Server::start();
    server.set_behaviour(|it| it.public_read = true);
    let sample = Sample::new(b"public");
    server.plant("lake", sample.name().as_str(), b"public", true);
    let withheld = [None, Some(Withheld::Untrusted), Some(Withheld::PlainHttp)];
    for withheld in withheld {
        let lake = lake_with(&server, Access { withheld, ..Access::default() });
        assert_eq!(lake.stat(sample.name()).unwrap().unwrap().size, 6);
        assert_eq!(lake.get(sample.name(), 0).unwrap().size, 6);
    }
    let lake = lake(&server, vec![wrong_id()]);
    assert_eq!(lake.get(sample.name(), 0).unwrap().size, 6);
}

#[test]
fn an_untrusted_server_gets_no_signature_and_the_error_says_how_to_trust_it() {
    let server = S3Server::start();
    let host = server.host();
    let commands = [
        (Withheld::Untrusted, format!("`git lake trust {host}`")),
        (Withheld::PlainHttp, format!("`git lake trust --insecure-http {host}`")),
    ];
    for (withheld, command) in commands {
        let lake = lake_with(&server, Access { withheld: Some(withheld), ..Access::default() });
        let sample = Sample::new(b"x");
        let errors = [
            lake.stat(sample.name()).unwrap_err(),
            lake.get(sample.name(), 0).err().unwrap(),
            lake.list().err().unwrap(),
            sample.put(&lake).unwrap_err(),
        ];
        for error in errors {
            let said = said(&error);
            assert!(said.contains(&command) && said.contains("without keys"), "{said}");
        }
    }
    let is_bare = |request: &Recorded| {
        !request.headers.contains_key("authorization")
            && !request.headers.contains_key("x-amz-security-token")
            && !request.query.contains_key("X-Amz-Signature")
    };
    assert!(server.take_requests().iter().all(is_bare));
}

#[test]
fn another_region_is_learned_once() {
    let server = S3Server::start();
    server.set_behaviour(|it| it.region = Some("eu-south-2".into()));
    let helper = Helper::with(keys(KEY.0, KEY.1));
    let lake = lake(&server, vec![KeySource::Helper(helper.clone())]);
    assert!(lake.stat(Sample::new(b"x").name()).unwrap().is_none());
    assert_eq!(Sample::new(b"x").put(&lake).unwrap(), Put::Created);
    let regions: Vec<_> =
        server.take_requests().into_iter().map(|request| request.region.unwrap()).collect();
    let wrong = regions.iter().filter(|region| *region != "eu-south-2").count();
    assert!(wrong <= 2, "{regions:?}");
    assert!(regions[wrong..].iter().all(|region| region == "eu-south-2"), "{regions:?}");
    assert!(helper.rejected().is_empty());
}

#[test]
fn a_region_that_is_named_is_signed_for_at_once() {
    let server = S3Server::start();
    server.set_behaviour(|it| it.region = Some("eu-south-2".into()));
    let access =
        Access { region: Some("eu-south-2".into()), sources: vec![good()], ..Access::default() };
    assert_eq!(Sample::new(b"x").put(&lake_with(&server, access)).unwrap(), Put::Created);
    let is_right = |request: &Recorded| request.region.as_deref() == Some("eu-south-2");
    assert!(server.take_requests().iter().all(is_right));
}

#[test]
fn a_server_that_wants_another_region_each_time_is_given_up() {
    let server = S3Server::start();
    let lake = lake(&server, vec![good()]);
    Sample::new(b"x").put(&lake).unwrap();
    for region in ["mars-1", "mars-2", "mars-3"] {
        let headers = vec![("x-amz-bucket-region", region.to_owned())];
        let (code, message) = ("AuthorizationHeaderMalformed", "The region is wrong.");
        let fault = Fault::Status { status: 400, code, message, headers };
        server.fault(move |request| request.region.as_deref() != Some(region), 1, fault);
    }
    server.take_requests();
    let error = lake.list().err().unwrap();
    assert!(said(&error).contains("AuthorizationHeaderMalformed"), "{error:?}");
    assert!(server.take_requests().len() <= 3);
}

#[test]
fn what_holds_keys_does_not_show_them() {
    let sources = vec![
        wrong_id(),
        wrong_secret(),
        KeySource::Helper(Helper::with(keys("id", "canary-helped"))),
    ];
    let text =
        format!("{:?} {sources:#?}", Access { sources: sources.clone(), ..Access::default() });
    assert!(!text.contains(CANARY), "{text}");
    assert!(text.contains("the old place"), "{text}");
}
