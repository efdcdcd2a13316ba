//! Claims on disk: many processes, crashes, and how they stay small.

use std::fs::OpenOptions;

use super::*;
use crate::fs::power::{self, Witness};

fn path(bytes: &[u8]) -> RepoPath {
    RepoPath::parse(bytes).expect("a path")
}

fn tentative(content: &[u8]) -> Tentative {
    let oid = Oid::of(content);
    Tentative { since: 7, blob: "ab12".into(), oid, path: path(b"a b\n%\xff.png") }
}

fn owed(content: &[u8]) -> Owed {
    let oid = Oid::of(content);
    let lake = LakeUrl::parse("file:///mnt/lake").expect("an address");
    let url = lake.source(ObjectName::new(&oid.into(), b"x.png"));
    Owed { url, oid, size: 3, path: path(b"x.png") }
}

#[test]
fn records_of_all_processes_are_read_and_odd_names_survive() {
    let dir = tempfile::tempdir().expect("a folder");
    let (one, two) = (Queue::at(dir.path()), Queue::at(dir.path()));
    assert!(one.is_empty().expect("reads"));
    one.add_tentative(&tentative(b"1")).expect("writes");
    two.add_owed([&owed(b"2")]).expect("writes");
    two.sync().expect("syncs");
    let claims = one.read().expect("reads");
    assert_eq!(claims.tentative, [tentative(b"1")]);
    assert_eq!(claims.owed, [owed(b"2")]);
}

#[test]
fn a_line_that_was_cut_off_is_no_record() {
    let dir = tempfile::tempdir().expect("a folder");
    let queue = Queue::at(dir.path());
    queue.add_owed([&owed(b"1"), &owed(b"2")]).expect("writes");
    let log = queue.logs().expect("one").remove(0);
    let length = std::fs::metadata(&log).expect("there").len();
    OpenOptions::new().write(true).open(&log).expect("opens").set_len(length - 4).expect("cuts");
    let claims = queue.read().expect("reads");
    assert_eq!(claims.owed, [owed(b"1")]);
}

#[test]
fn compacting_keeps_what_is_wanted_and_leaves_running_processes_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let (gone, running) = (Queue::at(dir.path()), Queue::at(dir.path()));
    gone.add_owed([&owed(b"1"), &owed(b"2")]).expect("writes");
    gone.add_tentative(&tentative(b"3")).expect("writes");
    drop(gone);
    running.add_owed([&owed(b"4")]).expect("writes");
    let third = Queue::at(dir.path());
    third
        .compact(|mut claims| {
            assert_eq!(claims.owed.len(), 2, "the running process's records are not shown");
            claims.tentative.clear();
            claims.owed.retain(|record| *record != owed(b"1"));
            claims
        })
        .expect("compacts");
    let claims = third.read().expect("reads");
    let mut urls: Vec<_> = claims.owed.into_iter().map(|record| record.url).collect();
    urls.sort();
    let mut expected = vec![owed(b"2").url, owed(b"4").url];
    expected.sort();
    assert_eq!(urls, expected);
    running.add_owed([&owed(b"5")]).expect("its log is still its own");
    assert_eq!(third.read().expect("reads").owed.len(), 3);
}

#[test]
fn compacting_everything_away_leaves_an_empty_queue() {
    let dir = tempfile::tempdir().expect("a folder");
    let queue = Queue::at(dir.path());
    queue.add_tentative(&tentative(b"3")).expect("writes");
    queue.compact(|_| Claims::default()).expect("compacts");
    assert!(queue.is_empty().expect("reads"));
}

/// Without optimisation, fewer have to do.
const COUNT: u32 = if cfg!(debug_assertions) { 1000 } else { 100_000 };

#[test]
fn a_hundred_thousand_claims_are_read_in_an_instant() {
    let dir = tempfile::tempdir().expect("a folder");
    let queue = Queue::at(dir.path());
    let all: Vec<Owed> = (0..COUNT).map(|at| owed(&at.to_le_bytes())).collect();
    queue.add_owed(&all).expect("writes");
    let read = |_| {
        let begun = std::time::Instant::now();
        assert_eq!(Queue::at(dir.path()).read().expect("reads").owed.len(), all.len());
        begun.elapsed()
    };
    let took = (0..7).map(read).min().expect("seven times");
    assert!(cfg!(debug_assertions) || took.as_millis() < 50, "{took:?}");
}

/// Returns the contents of what is owed, in every state that a power cut could have left.
fn after_power_cuts(witness: &Witness) -> Vec<Vec<SourceUrl>> {
    let read = |tree: &power::Tree| {
        let dir = power::plant(tree);
        Queue::at(dir.path())
            .read()
            .expect("reads")
            .owed
            .into_iter()
            .map(|record| record.url)
            .collect()
    };
    witness.cuts().iter().map(read).collect()
}

#[test]
fn what_was_synced_survives_a_power_cut_and_nothing_else_appears() {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path().join("lake/v1");
    let witness = Witness::of(dir.path());
    let queue = Queue::at(&root);
    queue.add_owed([&owed(b"1"), &owed(b"2")]).expect("writes");
    assert!(witness.cuts().len() > 200, "a record may be cut anywhere");
    queue.sync().expect("syncs");
    drop(witness.cuts());
    queue.add_owed([&owed(b"3")]).expect("writes");
    let known = [owed(b"1").url, owed(b"2").url, owed(b"3").url];
    for tree in witness.cuts() {
        let dir = power::plant(&tree);
        let found = Queue::at(&dir.path().join("lake/v1")).read().expect("reads").owed;
        assert!(
            known[..2].iter().all(|url| found.iter().any(|record| record.url == *url)),
            "{tree:?}"
        );
        assert!(found.iter().all(|record| known.contains(&record.url)), "{tree:?}");
    }
}

#[test]
fn a_power_cut_while_compacting_loses_nothing_that_is_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    for content in [b"1", b"2"] {
        let gone = Queue::at(dir.path());
        gone.add_owed([&owed(content)]).expect("writes");
        gone.sync().expect("syncs");
    }
    let witness = Witness::of(dir.path());
    let keep = |mut claims: Claims| {
        claims.owed.retain(|record| *record != owed(b"2"));
        claims
    };
    assert_eq!(Queue::at(dir.path()).compact(keep).expect("compacts"), Compacted::Done);
    let states = after_power_cuts(&witness);
    assert!(states.len() > 4, "{}", states.len());
    for state in &states {
        assert!(state.contains(&owed(b"1").url), "{state:?}");
    }
    assert!(states.iter().any(|state| !state.contains(&owed(b"2").url)));
}

#[test]
fn many_logs_are_folded_before_another_one_is_begun() {
    let dir = tempfile::tempdir().expect("a folder");
    for _ in 0..10 * MANY_LOGS {
        // As `git status` leaves them, over and over.
        Queue::at(dir.path()).add_tentative(&tentative(b"1")).expect("writes");
    }
    let queue = Queue::at(dir.path());
    queue.add_tentative(&Tentative { blob: "cd34".into(), ..tentative(b"2") }).expect("writes");
    assert!(queue.logs().expect("reads").len() <= MANY_LOGS);
    assert_eq!(queue.read().expect("reads").tentative.len(), 2);
}

#[test]
fn nothing_is_lost_while_many_write_fold_and_read() {
    const WRITERS: u32 = 6;
    const ROUNDS: u32 = 30;
    let dir = tempfile::tempdir().expect("a folder");
    let begin = std::sync::Barrier::new(WRITERS as usize + 2);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let first = owed(b"first");
    Queue::at(dir.path()).add_owed([&first]).expect("writes");
    std::thread::scope(|scope| {
        let write = |writer: u32| {
            begin.wait();
            for round in 0..ROUNDS {
                let record = owed(&(writer * ROUNDS + round).to_le_bytes());
                Queue::at(dir.path()).add_owed([&record]).expect("writes");
            }
        };
        let writers: Vec<_> = (0..WRITERS).map(|at| scope.spawn(move || write(at))).collect();
        let (begin, is_over, dir, first) = (&begin, &is_over, &dir, &first);
        for round in 0..2 {
            scope.spawn(move || {
                begin.wait();
                while !is_over.load(Ordering::Relaxed) {
                    let queue = Queue::at(dir.path());
                    if round == 0 {
                        queue.compact(|claims| claims).expect("compacts");
                    } else {
                        let found = queue.read().expect("reads").owed;
                        assert!(found.contains(first), "missed while it was folded");
                    }
                }
            });
        }
        let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });
    let found = Queue::at(dir.path()).read().expect("reads").owed;
    assert_eq!(found.len(), (WRITERS * ROUNDS + 1) as usize);
}

#[test]
fn long_texts_are_cut_at_the_ends_of_lines() {
    let line = "x".repeat(700);
    let text = vec![line.as_str(); 9000].join("\n");
    let cut = pieces(&text);
    assert_eq!(cut.len(), MAX_THREADS);
    assert_eq!(cut.join("\n"), text);
    assert!(cut.iter().flat_map(|piece| piece.split('\n')).all(|found| found == line));
    assert_eq!(pieces(""), [""]);
    let single = "y".repeat(4 << 20);
    assert_eq!(pieces(&single), [single.as_str()]);
}
