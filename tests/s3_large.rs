//! Objects above the part size on their way into a bucket.

use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use git_lake::lake::contract::Sample;
use git_lake::lake::s3::{Limits, S3Lake};
use git_lake::lake::{
    LakeError, Observer, Proof, Put, ReadLake as _, Retry, Unobserved, WriteLake,
};

use crate::common::s3::endpoint::{Endpoint, LIMITS, put_from};
use crate::common::s3::{Conditions, Fault, Recorded, S3Server};

/// The smallest part that git-lake cuts.
const PART: usize = 1 << 20;
const SMALL_PARTS: Limits = Limits { part_bytes: PART as u64, ..LIMITS };

/// A lake on which nothing was done yet but to find out how the server behaves.
fn lake_on(server: &S3Server) -> S3Lake {
    let lake = Endpoint::of(server).lake_with("lake", Endpoint::of(server).access(), SMALL_PARTS);
    Sample::new(b"first").put(&lake).unwrap();
    server.take_requests();
    lake
}

/// Bytes of which no two stretches are alike.
fn noise(size: usize) -> Vec<u8> {
    let mut state = size as u64 | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

fn read(lake: &S3Lake, sample: &Sample) -> Vec<u8> {
    let mut bytes = Vec::new();
    lake.get(sample.name(), 0).unwrap().reader.read_to_end(&mut bytes).unwrap();
    bytes
}

fn operations(server: &S3Server) -> Vec<&'static str> {
    server.take_requests().iter().map(|request| request.operation).collect()
}

fn parts_sent(server: &S3Server) -> Vec<String> {
    let requests = server.requests().into_iter();
    let parts = requests.filter(|request| request.operation == "UploadPart");
    let mut numbers: Vec<String> =
        parts.map(|request| request.query["partNumber"].clone()).collect();
    numbers.sort();
    numbers
}

fn is(operation: &'static str) -> impl Fn(&Recorded) -> bool + Send + Sync {
    move |request| request.operation == operation
}

fn busy() -> Fault {
    let (code, message) = ("SlowDown", "Please reduce your request rate.");
    Fault::Status { status: 503, code, message, headers: Vec::new() }
}

/// What an upload that failed leaves: nothing.
#[track_caller]
fn is_clean(server: &S3Server, sample: &Sample) {
    assert_eq!(server.unfinished_uploads("lake"), 0);
    assert_eq!(server.object("lake", sample.name().as_str()), None);
}

#[test]
fn a_large_object_goes_in_checked_parts_and_is_completed_on_condition() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let bytes = noise(PART * 3 + 1000);
    let sample = Sample::new(&bytes);
    assert_eq!(sample.put(&lake).unwrap(), Put::Created);
    let requests = server.take_requests();
    let of = |operation| requests.iter().filter(move |request| request.operation == operation);
    assert_eq!(of("UploadPart").count(), 4);
    for part in of("UploadPart") {
        assert!(part.headers.contains_key("x-amz-checksum-sha256"), "{part:?}");
        let is_last = part.query["partNumber"] == "4";
        assert_eq!(part.body_bytes, if is_last { 1000 } else { PART as u64 });
    }
    let completions: Vec<_> = of("CompleteMultipartUpload").collect();
    assert_eq!(completions.len(), 1);
    assert_eq!(completions[0].headers["if-none-match"], "*");
    assert_eq!(of("CreateMultipartUpload").count(), 1);
    assert!(server.object("lake", sample.name().as_str()).unwrap() == bytes);
    assert!(read(&lake, &sample) == bytes);
    assert_eq!(server.unfinished_uploads("lake"), 0);
}

#[test]
fn an_object_of_one_part_exactly_is_one_request() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    assert_eq!(Sample::new(&noise(PART)).put(&lake).unwrap(), Put::Created);
    assert_eq!(operations(&server), ["PutObject"]);
}

#[test]
fn a_part_that_fails_once_is_sent_again_and_no_other() {
    for fault in [busy(), Fault::Reset, Fault::ResetAfterRequestBody, Fault::LoseAnswer] {
        let server = S3Server::start();
        let lake = lake_on(&server);
        let second =
            |request: &Recorded| request.query.get("partNumber").is_some_and(|it| it == "2");
        server.fault(second, 1, fault.clone());
        let bytes = noise(PART * 3 + 1);
        let sample = Sample::new(&bytes);
        assert_eq!(sample.put(&lake).unwrap(), Put::Created, "{fault:?}");
        assert_eq!(parts_sent(&server), ["1", "2", "2", "3", "4"], "{fault:?}");
        assert!(server.object("lake", sample.name().as_str()).unwrap() == bytes);
    }
}

#[test]
fn a_part_that_never_arrives_ends_the_upload() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    server.fault(is("UploadPart"), 100, busy());
    let sample = Sample::new(&noise(PART * 6));
    let error = sample.put(&lake).unwrap_err();
    assert!(matches!(error, LakeError::Busy { .. }), "{error:?}");
    is_clean(&server, &sample);
}

#[test]
fn a_completion_that_fails_under_status_200_is_no_success() {
    let failed = |code| Fault::OkWithErrorBody { code, message: "Please try again." };
    let server = S3Server::start();
    let lake = lake_on(&server);
    let sample = Sample::new(&noise(PART * 2));
    server.fault(is("CompleteMultipartUpload"), 100, failed("InternalError"));
    let error = sample.put(&lake).unwrap_err();
    assert!(matches!(error, LakeError::Busy { .. }), "{error:?}");
    assert_eq!(error.retry(), Retry::Soon);
    is_clean(&server, &sample);

    let server = S3Server::start();
    let lake = lake_on(&server);
    server.fault(is("CompleteMultipartUpload"), 100, failed("AccessDenied"));
    assert!(sample.put(&lake).is_err());
    is_clean(&server, &sample);

    let server = S3Server::start();
    let lake = lake_on(&server);
    server.fault(is("CompleteMultipartUpload"), 1, failed("InternalError"));
    assert_eq!(sample.put(&lake).unwrap(), Put::Created);
    assert_eq!(parts_sent(&server).len(), 2);
    assert_eq!(server.unfinished_uploads("lake"), 0);
}

#[test]
fn a_completion_whose_answer_is_lost_is_found_to_be_done() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    server.fault(is("CompleteMultipartUpload"), 1, Fault::LoseAnswer);
    let bytes = noise(PART * 2 + 5);
    let sample = Sample::new(&bytes);
    let put = sample.put(&lake).unwrap();
    assert!(matches!(put, Put::Created | Put::AlreadyThere(Proof::Content)), "{put:?}");
    assert_eq!(parts_sent(&server).len(), 3);
    assert!(server.object("lake", sample.name().as_str()).unwrap() == bytes);
}

/// Uploads while somebody else puts other bytes, or the same, under the name.
fn put_against(server: Arc<S3Server>, theirs: Vec<u8>) -> Result<Put, LakeError> {
    let lake = lake_on(&server);
    let bytes: Arc<[u8]> = noise(PART * 2 + 5).into();
    let name = Sample::new(&bytes).name().clone();
    let open = || {
        // The upload has begun: the name was free a moment ago.
        server.plant("lake", name.as_str(), &theirs, false);
        Ok(Box::new(Cursor::new(Arc::clone(&bytes))) as Box<dyn Read + Send>)
    };
    put_from(&lake, &name, bytes.len(), &open, &Unobserved)
}

#[test]
fn who_finishes_first_wins_and_the_parts_of_the_other_are_given_up() {
    let server = Arc::new(S3Server::start());
    let bytes = noise(PART * 2 + 5);
    let put = put_against(Arc::clone(&server), bytes.clone()).unwrap();
    assert!(matches!(put, Put::AlreadyThere(_)), "{put:?}");
    let asked = operations(&server);
    assert_eq!(asked.iter().filter(|it| **it == "CompleteMultipartUpload").count(), 1);
    assert_eq!(server.unfinished_uploads("lake"), 0);

    let server = Arc::new(S3Server::start());
    let error = put_against(Arc::clone(&server), noise(10)).unwrap_err();
    assert!(matches!(error, LakeError::DamagedThere { found: 10, .. }), "{error:?}");
    assert_eq!(server.object("lake", Sample::new(&bytes).name().as_str()).unwrap(), noise(10));
    assert_eq!(server.unfinished_uploads("lake"), 0);
}

#[test]
fn bytes_that_are_not_the_promised_ones_are_given_up() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let bytes = noise(PART * 2 + 500);
    let sample = Sample::new(&bytes);
    let mut other = bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    let long = [&bytes[..], b"x"].concat();
    for wrong in [other, bytes[..PART + 7].to_vec(), long] {
        let wrong: Arc<[u8]> = wrong.into();
        let open = || Ok(Box::new(Cursor::new(Arc::clone(&wrong))) as Box<dyn Read + Send>);
        let put = put_from(&lake, sample.name(), bytes.len(), &open, &Unobserved);
        assert!(matches!(put, Err(LakeError::SourceChanged { .. })), "{put:?}");
        is_clean(&server, &sample);
    }
}

/// Bytes that cannot be read any further.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}

#[test]
fn a_source_that_cannot_be_read_is_given_up_and_said() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let bytes = noise(PART * 2);
    let sample = Sample::new(&bytes);
    let start: Arc<[u8]> = bytes[..PART + 9].into();
    let half = || {
        let start = Cursor::new(Arc::clone(&start));
        Ok(Box::new(start.chain(Broken)) as Box<dyn Read + Send>)
    };
    let none = || Err(io::Error::other("no such file"));
    let opens: [crate::common::s3::endpoint::Open<'_>; 2] = [&half, &none];
    for open in opens {
        let put = put_from(&lake, sample.name(), bytes.len(), open, &Unobserved);
        assert!(matches!(put, Err(LakeError::SourceUnreadable { .. })), "{put:?}");
        is_clean(&server, &sample);
    }
}

/// Asks to stop once so many bytes were moved.
struct StopAfter(AtomicU64, AtomicBool);

impl Observer for StopAfter {
    fn advanced(&self, bytes: u64) {
        let left = self.0.load(Ordering::SeqCst).saturating_sub(bytes);
        self.0.store(left, Ordering::SeqCst);
        self.1.fetch_or(left == 0, Ordering::SeqCst);
    }

    fn is_cancelled(&self) -> bool {
        self.1.load(Ordering::SeqCst)
    }
}

#[test]
fn a_cancelled_upload_leaves_nothing() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let sample = Sample::new(&noise(PART * 3));
    for after in [PART, PART * 2, PART * 3] {
        let observer = StopAfter(AtomicU64::new(after as u64), AtomicBool::new(false));
        let put = Sample::put_all(std::slice::from_ref(&sample), &lake, &observer).remove(0);
        assert!(matches!(put, Err(LakeError::Cancelled)), "{put:?}");
        is_clean(&server, &sample);
    }
    assert!(operations(&server).iter().all(|it| *it != "CompleteMultipartUpload"));
}

#[test]
fn a_composite_checksum_proves_the_content_without_reading_it() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let sample = Sample::new(&noise(PART * 2 + 3));
    sample.put(&lake).unwrap();
    server.take_requests();
    assert_eq!(sample.put(&lake).unwrap(), Put::AlreadyThere(Proof::Content));
    assert_eq!(operations(&server), ["HeadObject"]);
}

/// Puts bytes in parts under a name that is not theirs.
fn put_in_parts(server: &S3Server, name: &str, bytes: &[u8]) {
    // A lake that takes any bytes does not exist, so the object is uploaded under its own name first.
    let sample = Sample::new(bytes);
    sample.put(&lake_on(server)).unwrap();
    server.rename("lake", sample.name().as_str(), name);
}

#[test]
fn other_bytes_of_the_same_size_in_the_same_parts_are_damage() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let bytes = noise(PART * 2 + 3);
    let sample = Sample::new(&bytes);
    let mut other = bytes;
    other[PART] ^= 1;
    put_in_parts(&server, sample.name().as_str(), &other);
    let error = sample.put(&lake).unwrap_err();
    assert!(matches!(error, LakeError::DamagedThere { .. }), "{error:?}");
    assert!(error.is_damage() && !error.concerns_lake());
    assert!(server.object("lake", sample.name().as_str()).unwrap() == other);
}

#[test]
fn who_may_not_abort_still_hears_what_is_right() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    let (code, message) = ("AccessDenied", "Access Denied");
    let denied = Fault::Status { status: 403, code, message, headers: Vec::new() };
    server.fault(is("AbortMultipartUpload"), 100, denied);
    let bytes = noise(PART * 2);
    let sample = Sample::new(&bytes);
    let short: Arc<[u8]> = bytes[..PART].into();
    let open = || Ok(Box::new(Cursor::new(Arc::clone(&short))) as Box<dyn Read + Send>);
    let put = put_from(&lake, sample.name(), bytes.len(), &open, &Unobserved);
    assert!(matches!(put, Err(LakeError::SourceChanged { .. })), "{put:?}");
    assert_eq!(server.unfinished_uploads("lake"), 1);
    assert_eq!(sample.put(&lake).unwrap(), Put::Created);
}

#[test]
fn where_conditions_are_refused_the_parts_are_completed_without() {
    let server = S3Server::start();
    let lake = lake_on(&server);
    server.set_behaviour(|it| it.conditions = Conditions::Refused);
    let sample = Sample::new(&noise(PART * 2));
    assert_eq!(sample.put(&lake).unwrap(), Put::Created);
    assert_eq!(server.unfinished_uploads("lake"), 0);
}

#[test]
fn objects_are_copied_from_lake_to_lake_as_they_are_read() {
    let server = S3Server::start();
    server.create_bucket("other");
    let from = lake_on(&server);
    let to = |bucket| {
        let access = Endpoint::of(&server).access();
        Endpoint::of(&server).lake_with(bucket, access, SMALL_PARTS)
    };
    for size in [1000, PART * 3 + 7] {
        let bytes = noise(size);
        let sample = Sample::new(&bytes);
        server.plant("lake", sample.name().as_str(), &bytes, true);
        let open = || Ok(from.get(sample.name(), 0).unwrap().reader);
        let put = put_from(&to("other"), sample.name(), size, &open, &Unobserved);
        assert_eq!(put.unwrap(), Put::Created);
        assert!(server.object("other", sample.name().as_str()).unwrap() == bytes);
    }
}

#[test]
fn large_uploads_at_once_do_not_wait_for_each_other() {
    let server = S3Server::start();
    let lake: &dyn WriteLake = &lake_on(&server);
    let samples: Vec<Sample> = (0..6).map(|extra| Sample::new(&noise(PART * 4 + extra))).collect();
    std::thread::scope(|scope| {
        for sample in &samples {
            scope.spawn(move || assert_eq!(sample.put(lake).unwrap(), Put::Created));
        }
    });
    assert_eq!(server.unfinished_uploads("lake"), 0);
}
