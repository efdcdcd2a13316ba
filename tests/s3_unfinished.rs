//! Uploads in parts that ended early, and what later attempts make of them.

use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use git_lake::fs::HeldFile;
use git_lake::lake::contract::Sample;
use git_lake::lake::s3::{Limits, Notes, S3Lake};
use git_lake::lake::{LakeError, Observer, Proof, Put, ReadLake as _, Unobserved};
use git_lake::lake_url::LakeUrl;
use git_lake::object_name::ObjectName;
use git_lake::store::uploads::UploadNotes;

use crate::common::noise;
use crate::common::s3::endpoint::{Endpoint, LIMITS, put_from};
use crate::common::s3::{Fault, Recorded, S3Server};

/// The smallest part that git-lake cuts.
const PART: usize = 1 << 20;
const DAY_SECONDS: u64 = 24 * 60 * 60;

/// Notes on uploads, and none on servers.
struct UploadsOnly(UploadNotes);

impl Notes for UploadsOnly {
    fn recall(&self, _: &LakeUrl) -> Option<String> {
        Some("conditions=true checksums=true".to_owned())
    }

    fn keep(&self, _: &LakeUrl, _: &str) {}

    fn take_upload(&self, lake: &LakeUrl, name: &ObjectName) -> Option<HeldFile> {
        self.0.take(lake, name)
    }

    fn uploads(&self, lake: &LakeUrl) -> Vec<ObjectName> {
        self.0.names(lake)
    }
}

/// A server and a folder for notes, for several processes one after the other.
struct Site {
    server: S3Server,
    dir: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        Self { server: S3Server::start(), dir: tempfile::tempdir().unwrap() }
    }

    fn notes(&self) -> UploadNotes {
        UploadNotes::at(self.dir.path())
    }

    /// A lake as a new process opens it.
    fn lake_with(&self, part: usize) -> S3Lake {
        let endpoint = Endpoint::of(&self.server);
        let limits = Limits { part_bytes: part as u64, ..LIMITS };
        endpoint.lake_noting("lake", endpoint.access(), limits, Arc::new(UploadsOnly(self.notes())))
    }

    fn lake(&self) -> S3Lake {
        self.lake_with(PART)
    }

    /// Uploads until the part of this number, which the server never takes.
    #[track_caller]
    fn break_at(&self, sample: &Sample, part: &'static str) {
        self.server.fault(move |request| is_part(request, part), 100, busy());
        let error = sample.put(&self.lake()).unwrap_err();
        assert!(matches!(error, LakeError::Busy { .. }), "{error:?}");
        self.server.heal();
        assert_eq!(self.server.unfinished_uploads("lake"), 1);
        assert_eq!(self.noted(), 1);
        self.server.take_requests();
    }

    /// The object is there, and nothing else is.
    #[track_caller]
    fn is_done(&self, sample: &Sample, bytes: &[u8]) {
        assert!(self.server.object("lake", sample.name().as_str()).unwrap() == bytes);
        assert_eq!((self.server.unfinished_uploads("lake"), self.noted()), (0, 0));
    }

    fn noted(&self) -> usize {
        let folders = std::fs::read_dir(self.dir.path().join("uploads"));
        let folders = folders.into_iter().flatten().map(|folder| folder.unwrap().path());
        folders.map(|folder| std::fs::read_dir(folder).unwrap().count()).sum()
    }

    fn note(&self, sample: &Sample) -> PathBuf {
        let folder = self.dir.path().join("uploads").join(self.lake().url().file_key());
        folder.join(sample.name().as_str())
    }

    /// Makes a note older.
    fn age(&self, sample: &Sample, seconds: u64) {
        let text = std::fs::read_to_string(self.note(sample)).unwrap();
        let (head, line) = text.split_once('\n').unwrap();
        let (since, rest) = line.split_once(' ').unwrap();
        let since = since.parse::<u64>().unwrap() - seconds;
        std::fs::write(self.note(sample), format!("{head}\n{since} {rest}")).unwrap();
    }

    fn operations(&self) -> Vec<&'static str> {
        let requests = self.server.take_requests();
        requests.iter().map(|request| request.operation).collect()
    }
}

fn is_part(request: &Recorded, number: &str) -> bool {
    request.operation == "UploadPart" && request.query["partNumber"] == number
}

fn is(operation: &'static str) -> impl Fn(&Recorded) -> bool + Send + Sync {
    move |request| request.operation == operation
}

fn status(status: u16, code: &'static str) -> Fault {
    Fault::Status { status, code, message: "As the test wants.", headers: Vec::new() }
}

fn busy() -> Fault {
    status(503, "SlowDown")
}

fn count(operations: &[&str], operation: &str) -> usize {
    operations.iter().filter(|found| **found == operation).count()
}

/// An object of four parts, the last of them short.
fn object() -> (Sample, Vec<u8>) {
    let bytes = noise(7, PART * 3 + 1000);
    (Sample::new(&bytes), bytes)
}

#[test]
fn only_the_parts_that_the_server_lacks_are_sent() {
    for (checksums, on_page) in [(true, 1000), (true, 1), (false, 1000)] {
        let site = Site::new();
        site.server.set_behaviour(|it| {
            it.checksums = checksums;
            it.parts_on_page = on_page;
        });
        let (sample, bytes) = object();
        site.break_at(&sample, "4");
        let there = site.server.parts("lake", sample.name().as_str()).len();
        assert!(there >= 1, "{there}");
        assert_eq!(sample.put(&site.lake()).unwrap(), Put::Created);
        let operations = site.operations();
        assert_eq!(count(&operations, "UploadPart"), 4 - there, "{operations:?}");
        assert_eq!(count(&operations, "ListParts"), if on_page == 1 { there } else { 1 });
        assert_eq!(count(&operations, "CreateMultipartUpload"), 0);
        site.is_done(&sample, &bytes);
    }
}

#[test]
fn an_upload_whose_completion_failed_is_completed() {
    let site = Site::new();
    let (sample, bytes) = object();
    site.server.fault(is("CompleteMultipartUpload"), 100, busy());
    sample.put(&site.lake()).unwrap_err();
    site.server.heal();
    site.server.take_requests();
    assert_eq!(sample.put(&site.lake()).unwrap(), Put::Created);
    let asked = site.operations();
    assert_eq!(asked[1..], ["HeadObject", "ListParts", "CompleteMultipartUpload"]);
    site.is_done(&sample, &bytes);
}

#[test]
fn a_part_with_other_bytes_is_sent_again() {
    for other in [noise(8, PART), noise(7, PART - 1)] {
        let site = Site::new();
        let (sample, bytes) = object();
        site.server.fault(is("CompleteMultipartUpload"), 100, busy());
        sample.put(&site.lake()).unwrap_err();
        site.server.heal();
        site.server.replace_part("lake", 2, &other);
        site.server.take_requests();
        assert_eq!(sample.put(&site.lake()).unwrap(), Put::Created);
        let requests = site.server.requests();
        let sent = requests.iter().filter(|request| request.operation == "UploadPart");
        let sent: Vec<&str> = sent.map(|request| &*request.query["partNumber"]).collect();
        assert_eq!(sent, ["2"]);
        site.is_done(&sample, &bytes);
    }
}

#[test]
fn an_upload_that_the_server_has_given_up_is_begun_anew() {
    let site = Site::new();
    let (sample, bytes) = object();
    site.break_at(&sample, "4");
    site.server.forget_uploads("lake");
    assert_eq!(sample.put(&site.lake()).unwrap(), Put::Created);
    assert_eq!(count(&site.operations(), "UploadPart"), 4);
    site.is_done(&sample, &bytes);
    // The same while its parts are being sent.
    let (sample, bytes) = (Sample::new(&noise(9, PART * 3)), noise(9, PART * 3));
    site.break_at(&sample, "3");
    site.server.fault(is("UploadPart"), 1, status(404, "NoSuchUpload"));
    assert_eq!(sample.put(&site.lake()).unwrap(), Put::Created);
    site.is_done(&sample, &bytes);
}

#[test]
fn an_upload_in_parts_of_another_size_is_aborted_and_begun_anew() {
    let site = Site::new();
    let (sample, bytes) = object();
    site.break_at(&sample, "4");
    assert_eq!(sample.put(&site.lake_with(PART * 2)).unwrap(), Put::Created);
    let operations = site.operations();
    assert_eq!(count(&operations, "UploadPart"), 2);
    assert_eq!(count(&operations, "ListParts"), 0);
    site.is_done(&sample, &bytes);
}

#[test]
fn where_parts_cannot_be_listed_the_upload_is_aborted_and_begun_anew() {
    for fault in [status(403, "AccessDenied"), status(501, "NotImplemented")] {
        let site = Site::new();
        let (sample, bytes) = object();
        site.break_at(&sample, "4");
        site.server.fault(is("ListParts"), 100, fault);
        assert_eq!(sample.put(&site.lake()).unwrap(), Put::Created);
        assert_eq!(count(&site.operations(), "UploadPart"), 4);
        site.is_done(&sample, &bytes);
    }
}

#[test]
fn a_server_that_is_busy_when_parts_are_listed_is_asked_again_later() {
    let site = Site::new();
    let (sample, bytes) = object();
    site.break_at(&sample, "4");
    site.server.fault(is("ListParts"), 100, busy());
    let error = sample.put(&site.lake()).unwrap_err();
    assert!(matches!(error, LakeError::Busy { .. }), "{error:?}");
    site.server.heal();
    site.server.take_requests();
    assert_eq!(sample.put(&site.lake()).unwrap(), Put::Created);
    assert!(count(&site.operations(), "UploadPart") < 4);
    site.is_done(&sample, &bytes);
}

#[test]
fn a_completion_that_is_refused_for_what_was_there_begins_anew() {
    let site = Site::new();
    let (sample, bytes) = object();
    site.break_at(&sample, "4");
    site.server.fault(is("CompleteMultipartUpload"), 1, status(400, "InvalidPart"));
    assert_eq!(sample.put(&site.lake()).unwrap(), Put::Created);
    let operations = site.operations();
    assert_eq!(count(&operations, "AbortMultipartUpload"), 1);
    assert_eq!(count(&operations, "CreateMultipartUpload"), 1);
    site.is_done(&sample, &bytes);
    // Nothing was there, so there is nothing to begin anew.
    let sample = Sample::new(&noise(9, PART * 2));
    site.server.fault(is("CompleteMultipartUpload"), 100, status(400, "InvalidPart"));
    sample.put(&site.lake()).unwrap_err();
    assert_eq!(count(&site.operations(), "CreateMultipartUpload"), 1);
    assert_eq!((site.server.unfinished_uploads("lake"), site.noted()), (0, 0));
}

/// Asks to stop once so many bytes were moved.
struct StopAfter(u64, AtomicU64);

impl Observer for StopAfter {
    fn advanced(&self, bytes: u64) {
        self.1.fetch_add(bytes, Ordering::SeqCst);
    }

    fn is_cancelled(&self) -> bool {
        self.1.load(Ordering::SeqCst) >= self.0
    }
}

#[test]
fn who_is_stopped_goes_on_later() {
    let site = Site::new();
    let (sample, bytes) = object();
    // All parts but the last are on their way when it stops; how many arrived, the server knows.
    let observer = StopAfter(bytes.len() as u64, AtomicU64::new(0));
    let put = Sample::put_all(std::slice::from_ref(&sample), &site.lake(), &observer).remove(0);
    assert!(matches!(put, Err(LakeError::Cancelled)), "{put:?}");
    assert_eq!((site.server.unfinished_uploads("lake"), site.noted()), (1, 1));
    let there = site.server.parts("lake", sample.name().as_str()).len();
    site.server.take_requests();
    let observer = StopAfter(u64::MAX, AtomicU64::new(0));
    let put = Sample::put_all(std::slice::from_ref(&sample), &site.lake(), &observer).remove(0);
    assert_eq!(put.unwrap(), Put::Created);
    assert_eq!(observer.1.load(Ordering::SeqCst), bytes.len() as u64, "those there count, too");
    assert_eq!(count(&site.operations(), "UploadPart"), 4 - there);
    site.is_done(&sample, &bytes);
}

#[test]
fn bytes_that_changed_meanwhile_end_the_upload() {
    let site = Site::new();
    let (sample, mut bytes) = object();
    site.break_at(&sample, "4");
    bytes[5] ^= 1;
    let (size, other): (usize, Arc<[u8]>) = (bytes.len(), bytes.into());
    let open = || Ok(Box::new(Cursor::new(Arc::clone(&other))) as Box<dyn Read + Send>);
    let put = put_from(&site.lake(), sample.name(), size, &open, &Unobserved);
    assert!(matches!(put, Err(LakeError::SourceChanged { .. })), "{put:?}");
    assert_eq!((site.server.unfinished_uploads("lake"), site.noted()), (0, 0));
}

#[test]
fn an_object_that_is_there_meanwhile_ends_the_upload() {
    let site = Site::new();
    let (sample, bytes) = object();
    site.break_at(&sample, "4");
    site.server.plant("lake", sample.name().as_str(), &bytes, false);
    assert_eq!(sample.put(&site.lake()).unwrap(), Put::AlreadyThere(Proof::Size));
    site.is_done(&sample, &bytes);
}

#[test]
fn an_upload_that_somebody_else_works_on_is_left_alone() {
    let site = Site::new();
    let (sample, bytes) = object();
    site.break_at(&sample, "4");
    let there = site.server.parts("lake", sample.name().as_str());
    let lake = site.lake();
    let held = site.notes().take(lake.url(), sample.name()).unwrap();
    site.server.take_requests();
    // It has its own, and aborts that when it fails, for nobody would find it.
    site.server.fault(is("CompleteMultipartUpload"), 100, busy());
    sample.put(&lake).unwrap_err();
    site.server.heal();
    assert_eq!(site.server.parts("lake", sample.name().as_str()), there);
    assert_eq!(count(&site.operations(), "ListParts"), 0);
    assert_eq!(sample.put(&lake).unwrap(), Put::Created);
    assert_eq!(count(&site.operations(), "UploadPart"), 4);
    // It is not swept either.
    assert_eq!((site.server.unfinished_uploads("lake"), site.noted()), (1, 1));
    drop(held);
    assert!(matches!(sample.put(&lake).unwrap(), Put::AlreadyThere(_)));
    site.is_done(&sample, &bytes);
}

#[test]
fn two_at_once_both_end_well() {
    let site = Site::new();
    let (sample, bytes) = object();
    site.break_at(&sample, "4");
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| sample.put(&site.lake()).unwrap());
        }
    });
    site.is_done(&sample, &bytes);
}

#[test]
fn what_nobody_goes_on_with_is_given_up_at_the_next_upload() {
    let site = Site::new();
    let samples =
        [3, 4, 5].map(|seed| (Sample::new(&noise(seed, PART * 2)), noise(seed, PART * 2)));
    let [(old, _), (young, _), (had, had_bytes)] = &samples;
    for (sample, _) in &samples {
        site.server.fault(is("CompleteMultipartUpload"), 100, busy());
        sample.put(&site.lake()).unwrap_err();
        site.server.heal();
    }
    site.age(old, 7 * DAY_SECONDS + 60);
    site.age(young, 7 * DAY_SECONDS - 60);
    site.server.plant("lake", had.name().as_str(), had_bytes, true);
    // A kill at the worst moment leaves an empty note.
    let empty = Sample::new(b"another");
    std::fs::write(site.note(&empty), "").unwrap();
    site.server.take_requests();
    let (small, lake) = (Sample::new(b"small"), site.lake());
    site.server.fault(is("PutObject"), 100, busy());
    small.put(&lake).unwrap_err();
    assert_eq!(site.noted(), 4, "a lake that does not take anything is not asked for more");
    site.server.heal();
    small.put(&lake).unwrap();
    assert_eq!((site.server.unfinished_uploads("lake"), site.noted()), (1, 1));
    assert_eq!(site.server.parts("lake", young.name().as_str()), [1, 2]);
    // Once is enough for a process.
    site.server.take_requests();
    Sample::new(b"second").put(&lake).unwrap();
    assert_eq!(site.operations(), ["PutObject"]);
}
