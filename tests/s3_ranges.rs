//! Objects above the part size on their way out of a bucket.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Barrier;
use std::time::Duration;

use git_lake::lake::contract::Sample;
use git_lake::lake::s3::{Limits, S3Lake};
use git_lake::lake::{LakeError, Put, ReadLake as _};

use crate::common::s3::endpoint::{Endpoint, LIMITS};
use crate::common::s3::{Fault, Recorded, S3Server};

const PART: usize = 256 << 10;

fn lake_with(server: &S3Server, bucket: &str, part_bytes: usize) -> S3Lake {
    let limits = Limits { part_bytes: part_bytes as u64, ..LIMITS };
    Endpoint::of(server).lake_with(bucket, Endpoint::of(server).access(), limits)
}

/// Bytes of which no two stretches of eight are alike.
fn noise(size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 8);
    for number in 0..size as u64 / 8 + 1 {
        bytes.extend(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// An object on a server, and a lake to read it from.
fn planted(size: usize) -> (S3Server, S3Lake, Sample, Vec<u8>) {
    let server = S3Server::start();
    let bytes = noise(size);
    let sample = Sample::new(&bytes);
    server.plant("lake", sample.name().as_str(), &bytes, true);
    let lake = lake_with(&server, "lake", PART);
    (server, lake, sample, bytes)
}

fn read(lake: &S3Lake, sample: &Sample, from: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut content = lake.get(sample.name(), from as u64).unwrap();
    content.reader.read_to_end(&mut bytes).map(|_| bytes)
}

/// Returns which bytes were asked for, in order.
fn asked(server: &S3Server) -> Vec<Range<usize>> {
    let requests = server.take_requests().into_iter();
    let gets = requests.filter(|request| request.operation == "GetObject");
    let mut ranges: Vec<Range<usize>> = gets.map(|get| range(&get)).collect();
    ranges.sort_by_key(|range| (range.start, range.end));
    ranges
}

fn range(request: &Recorded) -> Range<usize> {
    let (first, last) =
        request.headers["range"].strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    first.parse().unwrap()..last.parse::<usize>().unwrap() + 1
}

fn is_range_from(first: usize) -> impl Fn(&Recorded) -> bool + Send + Sync {
    move |request| request.operation == "GetObject" && range(request).start == first
}

fn is_get(request: &Recorded) -> bool {
    request.operation == "GetObject"
}

#[test]
fn a_large_object_comes_in_ranges_each_once() {
    let (server, lake, sample, bytes) = planted(PART * 6 + 100);
    assert!(read(&lake, &sample, 0).unwrap() == bytes);
    let wanted: Vec<_> = (0..7).map(|at| at * PART..bytes.len().min((at + 1) * PART)).collect();
    let mut got = asked(&server);
    // The first is asked for before anybody knows the size.
    assert_eq!(got.remove(0), 0..PART);
    assert_eq!(got, wanted[1..]);
}

#[test]
fn every_range_but_the_first_asks_for_the_same_object() {
    let (server, lake, sample, _) = planted(PART * 3);
    read(&lake, &sample, 0).unwrap();
    let with_etag = |request: &&Recorded| request.headers.contains_key("if-match");
    assert_eq!(server.take_requests().iter().filter(with_etag).count(), 2);
}

#[test]
fn reading_begins_where_it_is_wanted() {
    let (_server, lake, sample, bytes) = planted(PART * 3 + 10);
    for from in [0, 1, PART - 1, PART, PART * 2 + 3, bytes.len() - 1] {
        assert!(read(&lake, &sample, from).unwrap() == bytes[from..], "{from}");
    }
    for from in [bytes.len(), bytes.len() + 1, bytes.len() + PART * 2] {
        let content = lake.get(sample.name(), from as u64).unwrap();
        assert_eq!(content.size, bytes.len() as u64);
        assert_eq!(read(&lake, &sample, from).unwrap(), b"");
    }
}

#[test]
fn a_range_that_breaks_off_goes_on_where_it_broke() {
    for broken in [0, 2] {
        let (server, lake, sample, bytes) = planted(PART * 4);
        server.fault(is_range_from(broken * PART), 1, Fault::Truncate(PART / 2));
        assert!(read(&lake, &sample, 0).unwrap() == bytes);
        let ranges = asked(&server);
        assert_eq!(ranges.len(), 5);
        let again = &ranges[broken + 1];
        assert_eq!(again.end, (broken + 1) * PART);
        // What arrived before the end of the connection is not sent twice.
        let (begin, half) = (broken * PART, broken * PART + PART / 2);
        assert!(again.start > begin && again.start <= half, "{again:?}");
        let sent: usize = ranges.iter().map(Range::len).sum();
        assert!(sent < bytes.len() + PART, "{ranges:?}");
    }
}

#[test]
fn a_connection_that_breaks_again_and_again_is_an_error() {
    let (server, lake, sample, bytes) = planted(PART * 4);
    server.fault(
        |request| is_get(request) && range(request).start >= PART,
        100,
        Fault::Truncate(0),
    );
    let mut reader = lake.get(sample.name(), 0).unwrap().reader;
    let mut got = Vec::new();
    assert!(reader.read_to_end(&mut got).is_err());
    assert!(got == bytes[..PART]);
}

#[test]
fn after_an_error_a_reader_gives_nothing_that_does_not_belong_there() {
    let (server, lake, sample, bytes) = planted(PART * 4);
    server.fault(is_range_from(PART), 100, Fault::Truncate(0));
    let mut reader = lake.get(sample.name(), 0).unwrap().reader;
    let mut got = Vec::new();
    for _ in 0..3 {
        assert!(reader.read_to_end(&mut got).is_err());
    }
    assert!(got == bytes[..PART]);
}

#[test]
fn an_object_that_is_replaced_while_it_is_read_is_an_error_and_never_mixed() {
    let (server, lake, sample, bytes) = planted(PART * 12);
    let mut reader = lake.get(sample.name(), 0).unwrap().reader;
    let mut got = vec![0; 1000];
    reader.read_exact(&mut got).unwrap();
    server.plant("lake", sample.name().as_str(), &vec![b'x'; PART * 12], true);
    let error = reader.read_to_end(&mut got).unwrap_err();
    assert!(error.to_string().contains("412"), "{error}");
    assert!(got == bytes[..got.len()] && got.len() < bytes.len());
}

#[test]
fn a_server_without_ranges_sends_all_and_what_was_not_wanted_is_left_out() {
    let (server, lake, sample, bytes) = planted(PART * 3 + 10);
    server.set_behaviour(|it| it.ranges = false);
    for from in [0, 5, PART * 2, bytes.len(), bytes.len() + 1] {
        server.take_requests();
        let content = lake.get(sample.name(), from as u64).unwrap();
        assert_eq!(content.size, bytes.len() as u64);
        drop(content);
        let wanted = bytes.get(from..).unwrap_or_default();
        assert!(read(&lake, &sample, from).unwrap() == wanted, "{from}");
        assert_eq!(asked(&server).len(), 2);
    }
}

#[test]
fn a_server_without_ranges_whose_connection_breaks_gives_no_wrong_bytes() {
    let (server, lake, sample, bytes) = planted(PART * 3);
    server.set_behaviour(|it| it.ranges = false);
    server.fault(is_get, 1, Fault::Truncate(PART));
    let mut got = Vec::new();
    lake.get(sample.name(), 10).unwrap().reader.read_to_end(&mut got).unwrap();
    assert!(got == bytes[10..]);
}

#[test]
fn answers_that_bring_other_bytes_than_those_asked_for_are_refused() {
    for wrong in ["bytes 1-262144/1048576", "bytes 0-99/1048576", "bytes 0-262143/*", "nonsense"] {
        let (server, lake, sample, _) = planted(PART * 4);
        server.fault(is_get, 100, Fault::Header("content-range", wrong));
        let error = lake.get(sample.name(), 0).err().unwrap();
        assert!(matches!(error, LakeError::Unreachable { .. }), "{wrong}: {error:?}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("other bytes than those asked for"), "{cause}");
    }
    // Further ranges, too.
    let (server, lake, sample, bytes) = planted(PART * 4);
    let wrong = Fault::Header("content-range", "bytes 0-262143/1048576");
    server.fault(is_range_from(PART * 2), 100, wrong);
    let mut got = Vec::new();
    let mut reader = lake.get(sample.name(), 0).unwrap().reader;
    assert!(reader.read_to_end(&mut got).is_err());
    assert!(got == bytes[..PART * 2]);
}

#[test]
fn a_reader_that_is_left_alone_half_way_frees_what_it_held() {
    let (_server, lake, sample, bytes) = planted(PART * 12);
    for _ in 0..100 {
        let mut reader = lake.get(sample.name(), 0).unwrap().reader;
        reader.read_exact(&mut [0; 10]).unwrap();
    }
    assert!(read(&lake, &sample, 0).unwrap() == bytes);
}

/// So large that a few readers take all the room that there is.
const LARGE_PART: usize = 16 << 20;

#[test]
fn more_readers_than_there_is_room_for_make_progress() {
    let server = S3Server::start();
    let bytes = noise(LARGE_PART * 2 + 100);
    let sample = &Sample::new(&bytes);
    server.plant("lake", sample.name().as_str(), &bytes, true);
    let lake = &lake_with(&server, "lake", LARGE_PART);
    let all = &Barrier::new(6);
    std::thread::scope(|scope| {
        for number in 0..6 {
            let bytes = &bytes;
            scope.spawn(move || {
                // One thread reads two by turns, as whoever compares them would.
                let count = if number == 0 { 2 } else { 1 };
                let open = || lake.get(sample.name(), 0).unwrap().reader;
                let mut readers: Vec<_> = (0..count).map(|_| open()).collect();
                let mut buffer = vec![0; 1 << 20];
                for reader in &mut readers {
                    reader.read_exact(&mut buffer[..1]).unwrap();
                }
                all.wait();
                for expected in bytes[1..].chunks(buffer.len()) {
                    for reader in &mut readers {
                        let got = &mut buffer[..expected.len()];
                        reader.read_exact(got).unwrap();
                        assert!(got == expected);
                    }
                }
            });
        }
    });
}

#[test]
fn an_upload_does_not_wait_for_readers_that_wait_for_it() {
    let server = S3Server::start();
    let bytes = noise(LARGE_PART * 2 + 100);
    let sample = Sample::new(&bytes);
    server.plant("lake", sample.name().as_str(), &bytes, true);
    let lake = lake_with(&server, "lake", LARGE_PART);
    // Two of them have all the room for what is read ahead, and nobody reads on.
    let mut readers = [(); 3].map(|()| lake.get(sample.name(), 0).unwrap().reader);
    for reader in &mut readers {
        reader.read_exact(&mut [0]).unwrap();
    }
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(Sample::new(b"small").put(&lake)).unwrap());
    let put = wait.recv_timeout(Duration::from_secs(20)).expect("it waits for ever");
    assert_eq!(put.unwrap(), Put::Created);
    drop(readers);
}
