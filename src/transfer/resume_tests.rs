//! Downloads that end early, and those that go on with what they left.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::download::{Failure, Wanted};
use super::lakes::Lakes;
use super::report::{Activity, Silent};
use super::to_file::{Known, WantedFile};
use super::*;
use crate::digest::HashName;
use crate::lake::faulty::{Call, Fault, FaultyLake, Turn};
use crate::lake::memory::MemoryLake;
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;
use crate::oid::Oid;

/// What the object has, and where it breaks off.
const SIZE: usize = (3 << 20) + 7;
const BREAK: u64 = (2 << 20) + 5;

struct Case {
    dir: tempfile::TempDir,
    content: Vec<u8>,
    urls: [LakeUrl; 2],
    lakes: [Arc<FaultyLake>; 2],
}

impl Case {
    fn new() -> Self {
        let words = (0..SIZE as u32).flat_map(u32::to_le_bytes);
        let content: Vec<u8> = words.take(SIZE).collect();
        let urls =
            ["s3://memory/one", "s3://memory/two"].map(|url| LakeUrl::parse(url).expect("good"));
        let lakes = urls.clone().map(|url| {
            let lake = MemoryLake::declared(url, HashName::Sha256);
            lake.plant(&name(&content), &content);
            Arc::new(FaultyLake::new(Arc::new(lake)))
        });
        Self { dir: tempfile::tempdir().expect("a folder"), content, urls, lakes }
    }

    /// What a new process would work with.
    fn process(&self) -> Transfer {
        let store = Arc::new(Store::at(self.dir.path()));
        let (lakes, first) = (self.lakes.clone(), self.urls[0].clone());
        let open = move |url: &LakeUrl| Arc::clone(&lakes[usize::from(*url != first)]) as _;
        let retry =
            retry::Policy { first_wait: Duration::from_millis(1), ..retry::Policy::default() };
        Transfer {
            receipts: Arc::new(Receipts::at(store.root())),
            store,
            lakes: Arc::new(Lakes::new(Box::new(open))),
            reporter: Arc::new(Silent),
            cancel: Cancel::default(),
            jobs: None,
            retry,
            throttle: None,
            repairs: Arc::default(),
        }
    }

    fn wanted(&self, lakes: &[usize]) -> Wanted {
        let candidates = lakes.iter().map(|at| self.urls[*at].source(name(&self.content)));
        Wanted {
            oid: Oid::of(&self.content),
            size: SIZE as u64,
            candidates: candidates.collect(),
            repairs: Vec::new(),
        }
    }

    /// Fetches, compares, and returns the number of the lake that all of it came from, if it did.
    #[track_caller]
    fn fetch(&self, transfer: &Transfer, lakes: &[usize]) -> Option<usize> {
        let fetched = transfer.download(&self.wanted(lakes)).expect("fetches");
        let stored = transfer.store.read_verified(Oid::of(&self.content), SIZE as u64);
        assert!(stored.expect("reads").as_ref() == Some(&self.content));
        assert_eq!(self.left(), None);
        let source = fetched.source?;
        self.urls.iter().position(|url| *url == source.lake)
    }

    /// Returns how many bytes an attempt left.
    fn left(&self) -> Option<u64> {
        let path = Store::at(self.dir.path()).root().join("partial");
        let path = path.join(Oid::of(&self.content).to_hex());
        std::fs::metadata(path).ok().map(|metadata| metadata.len())
    }

    /// Leaves bytes as a process that was killed does.
    fn leave(&self, bytes: &[u8]) {
        let store = Store::at(self.dir.path());
        let watch = &mut |_| ControlFlow::Continue(());
        let partial = store.partial(Oid::of(&self.content), SIZE as u64, watch);
        let mut partial = partial.expect("opens").expect("goes on");
        partial.receive(&mut &*bytes).expect("adds");
    }
}

impl Case {
    /// Returns what is asked for to get a file, of which an earlier run left these bytes.
    fn wanted_file(&self, lakes: &[usize], left: Option<&[u8]>) -> WantedFile {
        let candidates = self.wanted(lakes).candidates;
        let left = left.map(|bytes| {
            let path = self.dir.path().join("left");
            crate::fs::write_atomic(&path, bytes, crate::fs::Shared::Yes).expect("writes");
            path
        });
        WantedFile { candidates, path: self.dir.path().join("file"), known: None, left }
    }

    /// Makes the file, and looks if it is right; returns whether damage was met.
    #[track_caller]
    fn fetch_file(&self, wanted: WantedFile) -> bool {
        let results = self.process().fetch_files(std::slice::from_ref(&wanted), &[]);
        let landed = results.into_iter().next().expect("one").expect("fetches");
        assert_eq!((landed.hashed.oid, landed.hashed.size), (Oid::of(&self.content), SIZE as u64));
        assert!(std::fs::read(&wanted.path).expect("there") == self.content);
        assert!(wanted.left.is_none_or(|left| !left.exists()));
        std::fs::remove_file(&wanted.path).expect("there");
        landed.met_damage
    }
}

fn name(content: &[u8]) -> ObjectName {
    ObjectName::new(&Oid::of(content).into(), b"a.bin")
}

#[test]
fn the_next_source_is_asked_for_what_the_first_did_not_bring() {
    for fault in [Fault::BreakAt(BREAK), Fault::EndAt(BREAK)] {
        let case = Case::new();
        case.lakes[0].inject(Call::Get, Turn::From(1), fault);
        let transfer = case.process();
        // No lake was seen to have all of it, so there is no receipt for either.
        assert_eq!(case.fetch(&transfer, &[0, 1]), None);
        assert_eq!(case.lakes[0].offsets(), [0]);
        assert_eq!(case.lakes[1].offsets(), [BREAK]);
        let repeated = case.fetch(&transfer, &[0, 1]);
        assert_eq!(repeated, None, "it is stored");
    }
}

#[test]
fn another_round_goes_on_where_the_source_broke_off() {
    let case = Case::new();
    case.lakes[0].inject(Call::Get, Turn::Nth(1), Fault::BreakAt(5));
    case.lakes[0].inject(Call::Get, Turn::Nth(2), Fault::BreakAt(BREAK));
    case.fetch(&case.process(), &[0]);
    assert_eq!(case.lakes[0].offsets(), [0, 5, BREAK]);
}

#[test]
fn a_process_goes_on_where_the_last_one_was_stopped() {
    /// Asks to stop when enough came.
    struct Stop(Cancel, AtomicU64);
    impl Reporter for Stop {
        fn expect(&self, _: Activity, _: u64, _: u64) {}
        fn expect_unsized(&self, _: Activity, _: u64) {}
        fn sized(&self, _: u64, _: u64) {}
        fn moved(&self, bytes: u64) {
            if self.1.fetch_add(bytes, Ordering::Relaxed) + bytes >= BREAK {
                self.0.cancel();
            }
        }
        fn finished_object(&self) {}
        fn hashed(&self, _: u64, _: u64) {}
        fn asks(&self, _: u64) {}
        fn answered(&self, _: u64) {}
        fn end(&self) {}
        fn pause(&self) {}
        fn resume(&self) {}
        fn warn(&self, _: &str) {}
    }

    let case = Case::new();
    let mut stopped = case.process();
    stopped.reporter = Arc::new(Stop(stopped.cancel.clone(), AtomicU64::new(0)));
    let failure = stopped.download(&case.wanted(&[0])).expect_err("stops");
    assert!(matches!(failure, Failure::Cancelled), "{failure}");
    let left = case.left().expect("some bytes");
    assert!((BREAK..SIZE as u64).contains(&left), "{left}");
    // Whoever is stopped while it looks at what is there loses nothing.
    let mut stopped = case.process();
    stopped.reporter = Arc::new(Stop(stopped.cancel.clone(), AtomicU64::new(0)));
    let failure = stopped.download(&case.wanted(&[1])).expect_err("stops");
    assert!(matches!(failure, Failure::Cancelled), "{failure}");
    assert_eq!(case.left(), Some(left));
    case.fetch(&case.process(), &[1]);
    assert_eq!(case.lakes[0].offsets(), [0]);
    assert_eq!(case.lakes[1].offsets(), [left]);
}

#[test]
fn wrong_bytes_of_an_earlier_attempt_are_not_held_against_a_source() {
    let case = Case::new();
    case.leave(&vec![0; 1000]);
    let transfer = case.process();
    assert_eq!(case.fetch(&transfer, &[0]), Some(0), "all of it came in the second go");
    assert_eq!(case.lakes[0].offsets(), [1000, 0]);
    assert!(transfer.lakes.take_damage().is_empty());
}

#[test]
fn a_source_is_damaged_if_it_sent_all_of_the_wrong_bytes_itself() {
    let case = Case::new();
    case.lakes[0].inject(Call::Get, Turn::From(1), Fault::FlipBitAt(BREAK));
    case.leave(&case.content[..100]);
    let transfer = case.process();
    assert_eq!(case.fetch(&transfer, &[0, 1]), Some(1));
    assert_eq!(case.lakes[0].offsets(), [100, 0]);
    assert_eq!(case.lakes[1].offsets(), [0]);
    assert_eq!(transfer.lakes.take_damage(), [(case.urls[0].clone(), 1)]);
}

#[test]
fn what_was_whole_already_needs_no_source() {
    let case = Case::new();
    case.leave(&case.content);
    assert_eq!(case.fetch(&case.process(), &[]), None);
    let case = Case::new();
    case.leave(&vec![7; SIZE]);
    assert_eq!(case.fetch(&case.process(), &[1]), Some(1));
    assert_eq!(case.lakes[1].offsets(), [0]);
}

#[test]
fn a_source_with_an_object_of_another_size_adds_nothing() {
    let case = Case::new();
    case.leave(&case.content[..100]);
    let short = Arc::new(MemoryLake::declared(case.urls[0].clone(), HashName::Sha256));
    short.plant(&name(&case.content), &case.content[..50]);
    let mut case = case;
    case.lakes[0] = Arc::new(FaultyLake::new(short));
    case.fetch(&case.process(), &[0, 1]);
    assert_eq!(case.lakes[1].offsets(), [100]);
}

#[test]
fn a_file_grows_in_rounds_and_from_source_to_source() {
    let case = Case::new();
    case.lakes[0].inject(Call::Get, Turn::Nth(1), Fault::BreakAt(5));
    case.lakes[1].inject(Call::Get, Turn::Nth(1), Fault::EndAt(BREAK));
    assert!(!case.fetch_file(case.wanted_file(&[0, 1], None)));
    assert_eq!(case.lakes[0].offsets(), [0, BREAK]);
    assert_eq!(case.lakes[1].offsets(), [5]);
}

#[test]
fn what_an_earlier_run_left_of_a_file_is_verified_and_gone_on_with() {
    let wrong = noise();
    let right = Case::new().content;
    let longer = [&right[..], b"x"].concat();
    let table: [(&[u8], &[u64]); 5] = [
        (&right, &[]),
        (&right[..1000], &[1000]),
        (&[], &[0]),
        (&wrong[..1000], &[1000, 0]),
        (&longer, &[SIZE as u64 + 1, 0]),
    ];
    for (left, asked) in table {
        let case = Case::new();
        // Bytes that did not come in one go are held against nobody.
        assert!(!case.fetch_file(case.wanted_file(&[0], Some(left))));
        assert_eq!(case.lakes[0].offsets(), asked, "{} bytes were left", left.len());
    }
    // A source that has other bytes is told of all the same.
    let case = Case::new();
    case.lakes[0].inject(Call::Get, Turn::From(1), Fault::FlipBitAt(2000));
    assert!(case.fetch_file(case.wanted_file(&[0, 1], Some(&right[..1000]))));
}

#[test]
fn what_is_left_counts_before_the_store_and_the_store_before_lakes() {
    let case = Case::new();
    let stored = case.dir.path().join("stored");
    crate::fs::write_atomic(&stored, &case.content, crate::fs::Shared::Yes).expect("writes");
    let known = Known { oid: Oid::of(&case.content), size: SIZE as u64, stored: stored.clone() };
    for left in [&case.content[..], &case.content[..9], &noise()[..9]] {
        let wanted = case.wanted_file(&[0], Some(left));
        case.fetch_file(WantedFile { known: Some(known.clone()), ..wanted });
    }
    std::fs::remove_file(&stored).expect("removes");
    let wanted = case.wanted_file(&[0], Some(&case.content));
    case.fetch_file(WantedFile { known: Some(known.clone()), ..wanted });
    assert!(case.lakes[0].offsets().is_empty());
    crate::fs::write_atomic(&stored, &noise(), crate::fs::Shared::Yes).expect("writes");
    let wanted = case.wanted_file(&[0], Some(&case.content[..9]));
    case.fetch_file(WantedFile { known: Some(known), ..wanted });
    assert_eq!(
        case.lakes[0].offsets(),
        [0],
        "what came from the store is not taken for a beginning"
    );
}

#[test]
fn a_file_that_is_not_finished_stays_only_for_whoever_asks_to_stop() {
    let case = Case::new();
    case.lakes[0].inject(Call::Get, Turn::From(1), Fault::BreakAt(BREAK));
    let wanted = case.wanted_file(&[0], None);
    let failed = case.process().fetch_files(std::slice::from_ref(&wanted), &[]);
    assert!(failed[0].is_err() && !wanted.path.exists());
    let stopped = case.process();
    stopped.cancel.cancel();
    let failed = stopped.fetch_files(std::slice::from_ref(&wanted), &[]);
    assert!(matches!(failed[0], Err(Failure::Cancelled)));
    assert!(wanted.path.exists());
}

/// As many bytes as the object has, and others.
fn noise() -> Vec<u8> {
    vec![7; SIZE]
}
