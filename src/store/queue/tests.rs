//! Claims on disk: many processes, crashes, and how they stay small.

use std::fs::OpenOptions;

use super::*;
use crate::digest::{Digest, HashName};
use crate::object_name::ObjectName;

fn path(bytes: &[u8]) -> RepoPath {
    RepoPath::parse(bytes).expect("a path")
}

pub(super) fn tentative(content: &[u8]) -> Tentative {
    let oid = Oid::of(content);
    Tentative { since: 7, blob: "ab12".into(), oid, path: path(b"a b\n%\xff.png") }
}

const LAKE: &str = "file:///mnt/lake";
pub(super) const OTHER: &str = "s3://minio.example.com:9000/sets";

pub(super) fn owed(content: &[u8]) -> Owed {
    owed_to(LAKE, content)
}

pub(super) fn owed_to(lake: &str, content: &[u8]) -> Owed {
    let oid = Oid::of(content);
    let lake = LakeUrl::parse(lake).expect("an address");
    let url = lake.source(ObjectName::new(&oid.into(), b"x.png"));
    Owed { url, oid, size: 3, path: path(b"x.png") }
}

/// Returns what is owed, each address once, in the order of the addresses.
pub(super) fn all_owed(root: &Path) -> Vec<Owed> {
    let claims = Queue::at(root).read().expect("reads");
    sorted(claims.owed())
}

pub(super) fn sorted(owed: impl IntoIterator<Item = Owed>) -> Vec<Owed> {
    let mut owed: Vec<Owed> = owed.into_iter().collect();
    owed.sort_by(|a, b| a.url.cmp(&b.url));
    owed
}

/// Returns the bytes of the only log.
fn log_of(queue: &Queue) -> Vec<u8> {
    let [log] = &queue.logs().expect("reads")[..] else { panic!("one log") };
    std::fs::read(log).expect("reads")
}

#[test]
fn records_of_all_processes_are_read_and_odd_names_survive() {
    let dir = tempfile::tempdir().expect("a folder");
    let (one, two) = (Queue::at(dir.path()), Queue::at(dir.path()));
    assert!(one.read().expect("reads").is_empty());
    one.add_tentative(&tentative(b"1")).expect("writes");
    two.add_owed([&owed(b"2")]).expect("writes");
    two.sync().expect("syncs");
    let claims = one.read().expect("reads");
    assert!(claims.tentative().eq([tentative(b"1")]));
    assert!(claims.owed().eq([owed(b"2")]));
    let oids = HashSet::from([b"1", b"2", b"3"].map(|content| Oid::of(content)));
    let claimed = one.claimed(&oids).expect("reads");
    assert_eq!(claimed, HashSet::from([Oid::of(b"1"), Oid::of(b"2")]));
    assert!(claims.has_tentative(&tentative(b"1")));
    assert!(!claims.has_tentative(&Tentative { path: path(b"a"), ..tentative(b"1") }));
}

#[test]
fn a_log_is_short_text_that_names_each_lake_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let queue = Queue::at(dir.path());
    queue.add_owed([&owed(b"1"), &owed_to(OTHER, b"2")]).expect("writes");
    queue.add_tentative(&tentative(b"3")).expect("writes");
    let blake = Digest { hash: HashName::Blake2b, hex: "ab".repeat(64) };
    let url = owed(b"4").url.lake.source(ObjectName::new(&blake, b"a.gz"));
    queue.add_owed([&Owed { url, ..owed(b"4") }, &owed_to(OTHER, b"5")]).expect("writes");
    let [one, two, three, four, five] = [b"1", b"2", b"3", b"4", b"5"].map(|text| Oid::of(text));
    let expected = format!(
        "git-lake queue v2\n\
         l 472d8e16b16ebc29 file:///mnt/lake\n\
         l 32fa287c47fd7c2c s3://minio.example.com:9000/sets\n\
         o {one} 3 472d8e16b16ebc29 .png x.png\n\
         o {two} 3 32fa287c47fd7c2c .png x.png\n\
         t {three} 7 ab12 a%20b%0A%25%FF.png\n\
         o {four} 3 472d8e16b16ebc29 {}.gz x.png\n\
         o {five} 3 32fa287c47fd7c2c .png x.png\n",
        "ab".repeat(64)
    );
    assert_eq!(String::from_utf8(log_of(&queue)).expect("text"), expected);
    assert_eq!(all_owed(dir.path()).len(), 4);
    queue.conclude().expect("syncs");
    let expected = expected + "s\n";
    assert_eq!(String::from_utf8(log_of(&queue)).expect("text"), expected);
    queue.compact(|claims| claims).expect("compacts");
    assert_eq!(String::from_utf8(log_of(&queue)).expect("text"), expected, "nothing was dropped");
}

#[test]
fn of_two_records_of_one_upload_the_later_one_counts() {
    let dir = tempfile::tempdir().expect("a folder");
    let (one, two) = (Queue::at(dir.path()), Queue::at(dir.path()));
    one.add_owed([&owed(b"1")]).expect("writes");
    let later = Owed { path: path(b"moved/x.png"), ..owed(b"1") };
    two.add_owed([&owed_to(OTHER, b"1"), &later]).expect("writes");
    assert_eq!(all_owed(dir.path()), sorted([later, owed_to(OTHER, b"1")]), "one to each lake");
}

#[test]
fn a_line_that_was_cut_off_is_no_record() {
    let dir = tempfile::tempdir().expect("a folder");
    let queue = Queue::at(dir.path());
    queue.add_owed([&owed(b"1"), &owed(b"2")]).expect("writes");
    let log = queue.logs().expect("one").remove(0);
    let length = std::fs::metadata(&log).expect("there").len();
    OpenOptions::new().write(true).open(&log).expect("opens").set_len(length - 4).expect("cuts");
    assert_eq!(all_owed(dir.path()), [owed(b"1")]);
}

#[test]
fn damage_costs_the_damaged_records_and_makes_no_others() {
    let dir = tempfile::tempdir().expect("a folder");
    let queue = Queue::at(dir.path());
    let known = sorted([owed(b"1"), owed(b"2"), owed_to(OTHER, b"3")]);
    queue.add_owed(&known).expect("writes");
    queue.add_tentative(&tentative(b"4")).expect("writes");
    let whole = log_of(&queue);
    let first_record = whole.windows(3).position(|bytes| bytes == b"\no ").expect("a record");
    for damage in [b'\0', b' ', 0xff] {
        for (from, len) in (0..whole.len()).flat_map(|from| [(from, 1), (from, 30), (from, 300)]) {
            let mut bytes = whole.clone();
            let end = bytes.len().min(from + len);
            bytes[from..end].fill(damage);
            let mut claims = Claims::default();
            claims.add_log(&bytes[..]).expect("reads");
            let owed: Vec<Owed> = claims.owed().collect();
            assert!(owed.iter().all(|record| known.contains(record)), "{from} {len}: {owed:?}");
            assert!(claims.tentative().all(|record| record == tentative(b"4")), "{from} {len}");
            // One byte makes one line of two, at the most.
            let count = owed.len() + claims.tentative().count();
            assert!(len > 1 || from < first_record || count >= 2, "{from}");
        }
    }
}

#[test]
fn what_a_crash_cuts_off_is_no_damage_and_all_else_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let queue = Queue::at(dir.path());
    queue.add_owed([&owed(b"1"), &owed_to(OTHER, b"2")]).expect("writes");
    queue.add_tentative(&tentative(b"3")).expect("writes");
    let whole = log_of(&queue);
    let is_complete = |bytes: &[u8]| {
        let mut claims = Claims::default();
        claims.add_log(bytes).expect("reads");
        claims.are_complete()
    };
    assert!((0..=whole.len()).all(|end| is_complete(&whole[..end])));
    // Where one line feed is gone, two lines are one.
    let ends = whole.iter().rposition(|byte| *byte == b'\n').expect("lines");
    for at in 0..ends {
        let mut bytes = whole.clone();
        bytes[at] = 0;
        assert!(!is_complete(&bytes), "{at}");
    }
}

#[test]
fn a_damaged_log_is_set_aside_by_who_compacts_and_by_nobody_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("queue");
    for at in 0..MANY_LOGS {
        let gone = Queue::at(dir.path());
        gone.add_owed([&owed(&[u8::try_from(at).expect("few")])]).expect("writes");
    }
    let damaged = Queue::at(dir.path()).logs().expect("reads").remove(0);
    let bytes = [&std::fs::read(&damaged).expect("reads")[..], b"\0\0\n"].concat();
    crate::fs::write_atomic(&damaged, &bytes, Shared::No).expect("writes");
    // So many are folded.
    Queue::at(dir.path()).add_owed([&owed(b"new")]).expect("writes");
    assert!(damaged.exists());
    let told = std::sync::Arc::new(Mutex::new(Vec::new()));
    let hearing = std::sync::Arc::clone(&told);
    let notice =
        Notice::to(move |text| hearing.lock().expect("not poisoned").push(text.to_owned()));
    let queue = Queue::at(dir.path()).telling(notice);
    assert_eq!(
        queue.compact(|claims| claims).expect("compacts"),
        Compacted::Lossy(Remains(Vec::new()))
    );
    assert_eq!(queue.compact(|claims| claims).expect("compacts"), Compacted::Done);
    assert_eq!(all_owed(dir.path()).len(), MANY_LOGS + 1);
    let aside = folder.join(format!("{}.damaged", damaged.file_name().expect("a name").display()));
    assert_eq!(std::fs::read(aside).expect("is there"), bytes);
    assert_eq!(told.lock().expect("not poisoned").len(), 1);
}

#[test]
fn a_line_that_is_too_long_is_passed_over() {
    let record = "t ".to_owned() + &Oid::of(b"1").to_hex() + " 7 ab12 ";
    for (len, is_read) in [(65_535, true), (65_536, false), (65_537, false), (300_000, false)] {
        let mut claims = Claims::default();
        let long = format!("{record}{}", "x".repeat(len - record.len()));
        let log = format!("{long}\n{record}a\n{long}");
        claims.add_log(log.as_bytes()).expect("reads");
        assert!(claims.tentative().any(|record| record.path == path(b"a")), "{len}");
        assert_eq!(claims.tentative().count(), 1 + usize::from(is_read), "{len}");
    }
    // Nor is its end taken for a line.
    let mut claims = Claims::default();
    let beginning = "x".repeat(65_536);
    let log = format!("{beginning}{record}b\n{record}a\n");
    claims.add_log(log.as_bytes()).expect("reads");
    assert_eq!(claims.tentative().map(|record| record.path).collect::<Vec<_>>(), [path(b"a")]);
}

#[test]
fn a_log_of_another_version_is_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let queue = Queue::at(dir.path());
    queue.add_owed([&owed(b"1")]).expect("writes");
    queue.compact(|claims| claims).expect("compacts");
    let newer = queue.folder.join("1-1-0.log");
    let dir_of_other = tempfile::tempdir().expect("a folder");
    let other = Queue::at(dir_of_other.path());
    other.add_owed([&owed(b"2")]).expect("writes");
    for version in ["1", "3", "10"] {
        let lines = String::from_utf8(log_of(&other)).expect("text");
        let text = lines.replacen("v2\n", &format!("v{version}\n"), 1);
        crate::fs::write_atomic(&newer, text.as_bytes(), Shared::No).expect("writes");
        assert_eq!(all_owed(dir.path()), [owed(b"1")]);
        queue.compact(|claims| claims).expect("compacts");
        assert_eq!(std::fs::read(&newer).expect("still there"), text.as_bytes());
        assert_eq!(all_owed(dir.path()), [owed(b"1")]);
    }
}

#[test]
fn a_failed_write_spoils_no_later_record() {
    let dir = tempfile::tempdir().expect("a folder");
    let queue = Queue::at(dir.path());
    queue.add_owed([&owed(b"1")]).expect("writes");
    let [path] = &queue.logs().expect("reads")[..] else { panic!("one log") };
    let swap = |file| {
        let mut log = queue.log.lock().expect("not poisoned");
        std::mem::replace(&mut log.as_mut().expect("begun").file, file)
    };
    // As a full disk does it: a part is written, and then nothing.
    let mut writable = swap(File::open(path).expect("opens"));
    let error = queue.add_owed([&owed_to(OTHER, b"2")]).expect_err("cannot be written");
    assert_eq!(error.path, *path);
    writable.write_all(b"l ").expect("writes");
    drop(swap(writable));
    queue.add_owed([&owed_to(OTHER, b"3"), &owed(b"4")]).expect("writes");
    queue.add_owed([&owed_to(OTHER, b"5")]).expect("writes");
    let expected = [owed(b"1"), owed_to(OTHER, b"3"), owed(b"4"), owed_to(OTHER, b"5")];
    assert_eq!(all_owed(dir.path()), sorted(expected));
    assert!(queue.read().expect("reads").are_complete(), "a full disk is no damage");
}

#[test]
fn compacting_keeps_what_is_wanted_and_leaves_running_processes_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let (gone, running) = (Queue::at(dir.path()), Queue::at(dir.path()));
    gone.add_owed([&owed(b"1"), &owed(b"2")]).expect("writes");
    gone.add_tentative(&tentative(b"3")).expect("writes");
    gone.conclude().expect("syncs");
    drop(gone);
    running.add_owed([&owed(b"4")]).expect("writes");
    let third = Queue::at(dir.path());
    third
        .compact(|claims| {
            assert_eq!(claims.owed().count(), 2, "the running process's records are not shown");
            all_but(&claims, &owed(b"1"))
        })
        .expect("compacts");
    let claims = third.read().expect("reads");
    assert_eq!(claims.tentative().count(), 0);
    assert_eq!(all_owed(dir.path()), sorted([owed(b"2"), owed(b"4")]));
    running.add_owed([&owed(b"5")]).expect("its log is still its own");
    assert_eq!(all_owed(dir.path()).len(), 3);
}

/// Returns what is owed except for one.
pub(super) fn all_but(claims: &Claims, unwanted: &Owed) -> Claims {
    let mut kept = Claims::default();
    for record in claims.owed().filter(|record| record != unwanted) {
        assert!(kept.add_owed(&record), "listed twice");
    }
    kept
}

#[test]
fn compacting_everything_away_leaves_an_empty_queue() {
    let dir = tempfile::tempdir().expect("a folder");
    let queue = Queue::at(dir.path());
    queue.add_tentative(&tentative(b"3")).expect("writes");
    queue.conclude().expect("syncs");
    queue.compact(|_| Claims::default()).expect("compacts");
    assert!(queue.logs().expect("reads").is_empty());
}

/// Without optimisation, fewer have to do.
const COUNT: u32 = if cfg!(debug_assertions) { 1000 } else { 100_000 };

/// Asserts that a queue with all of them is read in an instant.
fn is_read_in_an_instant(all: &Claims) {
    let dir = tempfile::tempdir().expect("a folder");
    let queue = Queue::at(dir.path());
    queue.append(all).expect("writes");
    let read = |_| {
        let begun = std::time::Instant::now();
        let claims = Queue::at(dir.path()).read().expect("reads");
        let took = begun.elapsed();
        assert_eq!(claims.tentative().count() + claims.owed().count(), COUNT as usize);
        took
    };
    let took = (0..7).map(read).min().expect("seven times");
    assert!(cfg!(debug_assertions) || took.as_millis() < 50, "{took:?}");
}

#[test]
fn a_hundred_thousand_owed_uploads_are_read_in_an_instant() {
    let mut all = Claims::default();
    (0..COUNT).for_each(|at| assert!(all.add_owed(&owed(&at.to_le_bytes()))));
    is_read_in_an_instant(&all);
}

#[test]
fn a_hundred_thousand_tentative_claims_are_read_in_an_instant() {
    let mut all = Claims::default();
    for at in 0..COUNT {
        let blob = Oid::of(&at.to_be_bytes()).to_hex().into();
        all.add_tentative(&Tentative { blob, ..tentative(&at.to_le_bytes()) });
    }
    is_read_in_an_instant(&all);
}

#[test]
fn what_a_process_left_unfinished_is_told_until_it_is_forgotten() {
    let dir = tempfile::tempdir().expect("a folder");
    let gone = Queue::at(dir.path());
    gone.add_tentative(&tentative(b"1")).expect("writes");
    gone.add_owed([&owed(b"2")]).expect("writes");
    drop(gone);
    for _ in 0..MANY_LOGS {
        // Who only makes room leaves it.
        Queue::at(dir.path()).add_owed([&owed(b"3")]).expect("writes");
    }
    let compact = || Queue::at(dir.path()).compact(|claims| claims).expect("compacts");
    assert!(matches!(compact(), Compacted::Lossy(_)));
    let Compacted::Lossy(remains) = compact() else { panic!("it is there") };
    let queue = Queue::at(dir.path());
    assert_eq!(all_owed(dir.path()), sorted([owed(b"2"), owed(b"3")]));
    queue.forget(&remains).expect("removes");
    queue.forget(&remains).expect("nothing is left to do");
    assert_eq!(compact(), Compacted::Done);
    let claims = queue.read().expect("reads");
    assert_eq!(claims.tentative().count(), 1);
    assert_eq!(sorted(claims.owed()), sorted([owed(b"2"), owed(b"3")]));
}

#[test]
fn many_logs_are_folded_before_another_one_is_begun() {
    let dir = tempfile::tempdir().expect("a folder");
    for _ in 0..10 * MANY_LOGS {
        // As `git status` leaves them, over and over.
        let gone = Queue::at(dir.path());
        gone.add_tentative(&tentative(b"1")).expect("writes");
        gone.conclude().expect("syncs");
    }
    let queue = Queue::at(dir.path());
    queue.add_tentative(&Tentative { blob: "cd34".into(), ..tentative(b"2") }).expect("writes");
    assert!(queue.logs().expect("reads").len() <= MANY_LOGS);
    assert_eq!(queue.read().expect("reads").tentative().count(), 2);
}

#[test]
fn nothing_is_lost_while_many_write_fold_and_read() {
    const WRITERS: u32 = 6;
    const ROUNDS: u32 = 30;
    let dir = tempfile::tempdir().expect("a folder");
    let begin = std::sync::Barrier::new(WRITERS as usize + 2);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let first = owed(b"first");
    // Each process numbers lakes by itself.
    let one_of_many = |at: u32| owed_to(&format!("file:///mnt/{}", at % 3), &at.to_le_bytes());
    Queue::at(dir.path()).add_owed([&first]).expect("writes");
    std::thread::scope(|scope| {
        let write = |writer: u32| {
            begin.wait();
            for round in 0..ROUNDS {
                let record = one_of_many(writer * ROUNDS + round);
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
                        let found = queue.read().expect("reads");
                        let has_first = found.owed().any(|record| record == *first);
                        assert!(has_first, "missed while it was folded");
                    }
                }
            });
        }
        let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });
    let every = (0..WRITERS * ROUNDS).map(one_of_many);
    assert_eq!(all_owed(dir.path()), sorted(every.chain([first])));
}
