//! What a lake in a bucket says when the server does not do what it is asked.

use std::io::Read as _;
use std::time::{Duration, Instant};

use git_lake::access::{Access, Keys};
use git_lake::lake::contract::Sample;
use git_lake::lake::s3::{Limits, S3Lake};
use git_lake::lake::{
    AdminLake as _, Creation, LakeError, Obstacle, Proof, Put, ReadLake as _, Retry, Unobserved,
};
use git_lake::lake_url::{LakeUrl, ParseUrlError};

use crate::common::s3::endpoint::{Endpoint, LIMITS, PART_BYTES, words};
use crate::common::s3::web::Web;
use crate::common::s3::{Fault, KEY, Recorded, Rights, S3Server};

/// A lake that has been used before.
fn lake_on(server: &S3Server) -> S3Lake {
    let lake = Endpoint::of(server).lake("lake");
    Sample::new(b"first").put(&lake).unwrap();
    server.take_requests();
    lake
}

/// A lake at an address where no server of S3 needs to be.
fn lake_at(host: &str, access: Access, limits: Limits) -> S3Lake {
    let keys = Keys { id: KEY.0.into(), secret: KEY.1.into(), token: None };
    Endpoint { host: host.into(), keys }.lake_with("lake", access, limits)
}

fn plain_http() -> Access {
    Access { plain_http: true, ..Access::default() }
}

fn status(status: u16, code: &'static str) -> Fault {
    Fault::Status { status, code, message: "So it is.", headers: Vec::new() }
}

fn anything(_: &Recorded) -> bool {
    true
}

/// Asks in every way there is, and returns the errors.
fn ask_everything(lake: &S3Lake) -> [LakeError; 5] {
    let sample = Sample::new(b"second");
    [
        lake.stat(sample.name()).unwrap_err(),
        lake.get(sample.name(), 0).err().unwrap(),
        lake.stat_all(std::slice::from_ref(sample.name())).remove(0).unwrap_err(),
        lake.list().err().unwrap(),
        sample.put(lake).unwrap_err(),
    ]
}

fn settings(error: &LakeError) -> String {
    match error {
        LakeError::Unreachable { obstacle: Obstacle::Settings(_), .. } => {
            assert_eq!(error.retry(), Retry::Never);
            assert!(error.concerns_lake());
            words(error)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_that_asks_for_time_gets_it() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let headers = vec![("retry-after", "17".to_owned())];
    let (code, message) = ("SlowDown", "Please reduce your request rate.");
    server.fault(anything, 100, Fault::Status { status: 503, code, message, headers });
    for error in ask_everything(&lake) {
        let asked = Duration::from_secs(17);
        assert!(matches!(error, LakeError::Busy { after: Some(after), .. } if after == asked));
        assert_eq!(error.retry(), Retry::After(asked));
        assert!(error.concerns_lake());
        assert!(words(&error).contains("it is busy"));
    }
    // Nobody asked before that.
    assert_eq!(server.take_requests().len(), 5);
    server.heal();
    for code in ["TooManyRequests", ""] {
        for headers in [vec![("retry-after", "1".to_owned())], Vec::new()] {
            server.fault(anything, 1, Fault::Status { status: 429, code, message, headers });
            assert_eq!(lake.stat(Sample::new(b"first").name()).unwrap().unwrap().size, 5);
        }
    }
}

#[test]
fn a_server_that_stays_in_trouble_is_busy() {
    for (number, code) in [(500, "InternalError"), (502, ""), (429, "TooManyRequests")] {
        let server = S3Server::start();
        let lake = lake_on(&server);
        server.fault(anything, 100, status(number, code));
        let sample = Sample::new(b"second");
        for error in [lake.stat(sample.name()).unwrap_err(), sample.put(&lake).unwrap_err()] {
            assert!(matches!(error, LakeError::Busy { after: None, .. }), "{error:?}");
            assert_eq!(error.retry(), Retry::Soon);
        }
    }
}

#[test]
fn trouble_that_passes_is_not_seen() {
    for fault in [status(500, "InternalError"), Fault::Reset, Fault::ResetAfterRequestBody] {
        let server = S3Server::start();
        let lake = lake_on(&server);
        let sample = Sample::new(b"second");
        for operation in ["PutObject", "HeadObject", "GetObject", "ListObjectsV2"] {
            server.fault(move |request| request.operation == operation, 1, fault.clone());
        }
        assert_eq!(sample.put(&lake).unwrap(), Put::Created);
        assert_eq!(lake.stat(sample.name()).unwrap().unwrap().size, 6);
        assert_eq!(lake.get(sample.name(), 0).unwrap().size, 6);
        assert_eq!(lake.list().unwrap().count(), 2);
    }
}

#[test]
fn an_upload_whose_answer_is_lost_is_done() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    server.fault(|request| request.operation == "PutObject", 1, Fault::LoseAnswer);
    let sample = Sample::new(b"second");
    let put = sample.put(&lake).unwrap();
    assert!(matches!(put, Put::Created | Put::AlreadyThere(Proof::Content)), "{put:?}");
    assert_eq!(server.object("lake", sample.name().as_str()).unwrap(), b"second");
}

#[test]
fn an_error_under_status_200_is_no_success() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let (code, message) = ("InternalError", "We encountered an internal error.");
    let is_spoilt = |request: &Recorded| !matches!(request.operation, "HeadObject" | "GetObject");
    server.fault(is_spoilt, 100, Fault::OkWithErrorBody { code, message });
    assert!(lake.list().is_err());
    assert!(lake.declaration().is_err());
    let sample = Sample::new(b"second");
    assert!(sample.put(&lake).is_err());
    assert_eq!(server.object("lake", sample.name().as_str()), None);
    let names: Vec<_> = (0..100_u8).map(|number| Sample::new(&[number]).name().clone()).collect();
    // What was not listed is asked for, and is not taken for absent.
    server.plant("lake", names[50].as_str(), &[50], true);
    let answers: Vec<_> = lake.stat_all(&names).into_iter().map(Result::unwrap).collect();
    assert!(answers[50].is_some() && answers[51].is_none());
}

#[test]
fn what_is_no_s3_server_is_never_taken_for_an_empty_lake() {
    let page = "<html><body>Not found</body></html>";
    for number in [404, 403, 400, 302, 502] {
        let web = Web::start(move |_| Some((number, page.to_owned())));
        let errors = ask_everything(&lake_at(&web.host(), plain_http(), LIMITS));
        assert!(errors.iter().all(|error| !error.is_absent()), "{errors:?}");
        if number == 404 {
            assert!(settings(&errors[0]).contains("does not speak S3"), "{errors:?}");
        }
        assert!(web.requests()[0].starts_with("HEAD /lake/"), "{:?}", web.requests());
    }
    let web = Web::start(move |_| Some((200, page.to_owned())));
    let lake = lake_at(&web.host(), plain_http(), LIMITS);
    assert!(lake.list().is_err());
    assert!(lake.declaration().is_err());
    assert!(Sample::new(b"x").put(&lake).is_err());
}

#[test]
fn redirects_are_said_and_not_followed() {
    let elsewhere = S3Server::start();
    for number in [301, 302, 307, 308] {
        let server = S3Server::start();
        let lake = lake_on(&server);
        let location = Some(format!("http://{}/lake", elsewhere.host()));
        server.fault(anything, 100, Fault::Redirect { status: number, location, region: None });
        for error in ask_everything(&lake) {
            let said = settings(&error);
            assert!(said.contains(&elsewhere.host()) && said.contains("not followed"), "{said}");
        }
        let region = Some("eu-central-1");
        let server = S3Server::start();
        let lake = lake_on(&server);
        server.fault(anything, 100, Fault::Redirect { status: number, location: None, region });
        for error in ask_everything(&lake) {
            assert!(settings(&error).contains("to the region `eu-central-1`"), "{error:?}");
        }
    }
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn a_clock_that_is_wrong_is_made_up_for() {
    for ahead in [3600, -3600] {
        let server = S3Server::start();
        server.set_behaviour(|it| it.clock_ahead = ahead);
        let lake = Endpoint::of(&server).lake("lake");
        let sample = Sample::new(b"second");
        assert_eq!(lake.stat(sample.name()).unwrap(), None);
        assert_eq!(sample.put(&lake).unwrap(), Put::Created);
        assert_eq!(lake.get(sample.name(), 0).unwrap().size, 6);
        assert_eq!(lake.stat(sample.name()).unwrap().unwrap().size, 6);
    }
}

#[test]
fn clocks_that_cannot_be_made_to_agree_are_said_with_the_time_of_the_server() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    server.fault(anything, 100, status(403, "RequestTimeTooSkewed"));
    for error in ask_everything(&lake) {
        let said = settings(&error);
        assert!(said.contains("clocks") && said.contains("GMT"), "{said}");
    }
}

#[test]
fn a_missing_bucket_is_named_with_the_way_to_make_it() {
    let server = S3Server::start();
    let error = Endpoint::of(&server).lake("other").declaration().unwrap_err();
    assert!(matches!(error, LakeError::Unreachable { obstacle: Obstacle::NoBucket(_), .. }));
    assert_eq!(error.retry(), Retry::Never);
    assert!(words(&error).ends_with("There is no bucket `other` (`--create` makes one)"));
}

#[test]
fn keys_that_only_read_make_a_lake_read_only() {
    let server = S3Server::start();
    lake_on(&server);
    server.add_key("reader", "reader-secret", Rights::ReadOnly);
    let keys = Keys { id: "reader".into(), secret: "reader-secret".into(), token: None };
    let lake = Endpoint { host: server.host(), keys }.lake("lake");
    let error = Sample::new(b"second").put(&lake).unwrap_err();
    assert!(matches!(error, LakeError::ReadOnly { .. }), "{error:?}");
    assert_eq!((error.retry(), error.concerns_lake()), (Retry::Never, true));
    let said = words(&error);
    assert!(said.starts_with("Could not write to the lake `s3://127.0.0.1:"), "{said}");
    assert!(said.contains("403 `AccessDenied`"), "{said}");
    assert!(said.contains("the keys from the test"), "{said}");
    let declared = lake.declare(None, Creation::IfParentExists).unwrap();
    assert!(declared.assumed.is_some(), "{declared:?}");
}

#[test]
fn a_full_server_is_full() {
    let full = [(507, "InsufficientStorage"), (403, "QuotaExceeded"), (507, "XMinioStorageFull")];
    for (number, code) in full {
        let server = S3Server::start();
        let lake = lake_on(&server);
        server.fault(|request| request.method == "PUT", 100, status(number, code));
        let error = Sample::new(b"second").put(&lake).unwrap_err();
        assert!(matches!(error, LakeError::Full { .. }), "{error:?}");
        assert_eq!((error.retry(), error.concerns_lake()), (Retry::Never, true));
        assert!(words(&error).contains("it is full"), "{error:?}");
        assert!(words(&error).contains(code), "{error:?}");
    }
}

#[test]
fn another_length_under_the_name_is_damage_of_one_object() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let sample = Sample::new(b"second");
    server.plant("lake", sample.name().as_str(), b"longer than that", true);
    let error = sample.put(&lake).unwrap_err();
    assert!(matches!(error, LakeError::DamagedThere { found: 16, .. }), "{error:?}");
    assert_eq!((error.retry(), error.concerns_lake()), (Retry::Never, false));
}

#[test]
fn a_port_where_nobody_listens_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let started = Instant::now();
    for error in ask_everything(&lake_at(&host, plain_http(), LIMITS)) {
        assert!(matches!(error, LakeError::Unreachable { obstacle: Obstacle::Network(_), .. }));
        assert_eq!((error.retry(), error.concerns_lake()), (Retry::Soon, true));
        assert!(words(&error).contains("Connection refused"), "{error:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(2));
}

const SHORT: Limits =
    Limits { connect: Duration::from_millis(300), stall: Duration::from_millis(300), ..LIMITS };

#[test]
fn a_server_that_never_answers_costs_one_timeout() {
    let web = Web::start(|_| None);
    let lake = lake_at(&web.host(), plain_http(), SHORT);
    let started = Instant::now();
    for _ in 0..5 {
        for error in ask_everything(&lake) {
            assert!(matches!(error, LakeError::Unreachable { obstacle: Obstacle::Network(_), .. }));
            assert_eq!(error.retry(), Retry::Soon);
            assert!(words(&error).contains("no answer in time"), "{error:?}");
        }
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(web.connections(), 1);
}

#[test]
fn a_server_that_never_answers_costs_many_threads_one_timeout_together() {
    let web = Web::start(|_| None);
    let lake = &lake_at(&web.host(), plain_http(), SHORT);
    let samples: Vec<Sample> = (0..32_u8).map(|number| Sample::new(&[number])).collect();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for sample in &samples {
            scope.spawn(move || {
                for _ in 0..3 {
                    assert!(lake.stat(sample.name()).unwrap_err().is_unreachable());
                }
            });
        }
    });
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(web.connections() <= samples.len(), "{}", web.connections());
    let known = web.connections();
    for put in Sample::put_all(&samples, lake, &Unobserved) {
        assert!(put.unwrap_err().is_unreachable());
    }
    assert_eq!(web.connections(), known);
}

#[test]
fn a_server_that_falls_silent_is_given_up_after_a_while() {
    let server = S3Server::start();
    let lake = Endpoint::of(&server).lake_with("lake", Endpoint::of(&server).access(), SHORT);
    let sample = Sample::new(b"first");
    sample.put(&lake).unwrap();
    server.fault(anything, 100, Fault::Stall);
    let started = Instant::now();
    let error = lake.stat(sample.name()).unwrap_err();
    assert!(matches!(error, LakeError::Unreachable { obstacle: Obstacle::Network(_), .. }));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn an_answer_that_only_drips_is_given_up() {
    let server = S3Server::start();
    let sample = Sample::new(&[7; 5000]);
    sample.put(&lake_on(&server)).unwrap();
    let lake = Endpoint::of(&server).lake_with("lake", Endpoint::of(&server).access(), SHORT);
    let read = || {
        let mut bytes = Vec::new();
        let mut content = lake.get(sample.name(), 0).unwrap();
        content.reader.read_to_end(&mut bytes).map(|_| bytes)
    };
    let drip = Fault::Drip(1, Duration::from_millis(100));
    server.fault(|request| request.operation == "GetObject", 100, drip);
    server.take_requests();
    let started = Instant::now();
    let error = read().unwrap_err();
    assert_eq!(error.to_string(), "Too little arrived for too long");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    // Each connection brought something, but never enough to go on like that.
    assert_eq!(server.take_requests().len(), 3);
    server.heal();
    // What is slow, but not that slow, is waited for, far longer than nothing at all is.
    server.fault(|_| true, 1, Fault::Drip(500, Duration::from_millis(100)));
    let started = Instant::now();
    assert_eq!(read().unwrap(), [7; 5000]);
    assert!(started.elapsed() > SHORT.stall * 2);
    assert_eq!(server.take_requests().len(), 1);
}

#[test]
fn a_declaration_that_stands_still_does_not_keep_who_declares() {
    let server = S3Server::start();
    let lake = Endpoint::of(&server).lake_with("lake", Endpoint::of(&server).access(), SHORT);
    lake.declare(None, Creation::IfParentExists).unwrap();
    server.set_tags("lake", &[]);
    server.fault(|request| request.operation == "GetObject", 100, Fault::Hang(3));
    let started = Instant::now();
    lake.declare(None, Creation::IfParentExists).unwrap();
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn a_part_that_was_not_confirmed_is_not_taken_for_sent() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let sample = Sample::new(&vec![7; PART_BYTES + 1]);
    server.fault(|request| request.operation == "UploadPart", 1, Fault::Without("etag"));
    let error = sample.put(&lake).unwrap_err();
    assert_eq!(error.retry(), Retry::Soon);
    assert!(words(&error).ends_with("A part was answered as if it were none"), "{error:?}");
    assert_eq!(sample.put(&lake).unwrap(), Put::Created);
}

#[test]
fn https_to_a_server_of_http_names_the_command_that_allows_it() {
    let server = S3Server::start();
    let lake = lake_at(&server.host(), Access::default(), LIMITS);
    for error in ask_everything(&lake) {
        let said = settings(&error);
        assert!(said.contains("does not speak https"), "{said}");
        let command = format!("`git lake trust --insecure-http {}`", server.host());
        assert!(said.contains(&command), "{said}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn addresses_of_the_machines_own_network_are_no_lakes() {
    let hosts = ["169.254.169.254", "[fe80::1]", "metadata.google.internal"];
    for host in hosts {
        let error = LakeUrl::parse(&format!("s3://{host}/lake")).unwrap_err();
        assert!(matches!(&error, ParseUrlError::Forbidden(named) if named == host), "{error:?}");
    }
}
