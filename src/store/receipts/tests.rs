//! Receipts on disk: who may rely on them, and what is left of them after a crash.

use super::*;
use crate::fs::power::{self, Witness};
use crate::oid::Oid;

fn lake() -> LakeUrl {
    LakeUrl::parse("file:///mnt/lake").expect("an address")
}

fn name(content: &[u8]) -> ObjectName {
    ObjectName::new(&Oid::of(content).into(), b"x.png")
}

#[test]
fn receipts_survive_the_process() {
    let dir = tempfile::tempdir().expect("a folder");
    let receipts = Receipts::at(dir.path());
    receipts.add(&lake(), Some("id1"), &[(name(b"1"), 1, Strength::Sent)]).expect("writes");
    receipts.add(&lake(), Some("id1"), &[(name(b"2"), 2, Strength::Size)]).expect("writes");
    for receipts in [receipts, Receipts::at(dir.path())] {
        let receipt = receipts.get(&lake().source(name(b"1"))).expect("reads").expect("there");
        assert_eq!((receipt.size, receipt.strength), (1, Strength::Sent));
        assert!(receipt.is_fresh());
        assert!(receipts.get(&lake().source(name(b"2"))).expect("reads").is_some());
        assert_eq!(receipts.get(&lake().source(name(b"3"))).expect("reads"), None);
    }
}

#[test]
fn a_revoked_receipt_stays_revoked() {
    let dir = tempfile::tempdir().expect("a folder");
    let receipts = Receipts::at(dir.path());
    receipts.add(&lake(), None, &[(name(b"1"), 1, Strength::Sent)]).expect("writes");
    receipts.revoke(&lake().source(name(b"1"))).expect("writes");
    for receipts in [receipts, Receipts::at(dir.path())] {
        assert_eq!(receipts.get(&lake().source(name(b"1"))).expect("reads"), None);
    }
}

#[test]
fn another_lake_at_the_same_address_has_no_receipts() {
    let dir = tempfile::tempdir().expect("a folder");
    let receipts = Receipts::at(dir.path());
    receipts.add(&lake(), Some("old"), &[(name(b"1"), 1, Strength::Sent)]).expect("writes");
    let receipts = Receipts::at(dir.path());
    receipts.bind(&lake(), Some("old")).expect("reads");
    assert!(receipts.get(&lake().source(name(b"1"))).expect("reads").is_some());
    receipts.bind(&lake(), Some("new")).expect("reads");
    assert_eq!(receipts.get(&lake().source(name(b"1"))).expect("reads"), None);
}

#[test]
fn damaged_lines_are_passed_over() {
    let dir = tempfile::tempdir().expect("a folder");
    let receipts = Receipts::at(dir.path());
    receipts.add(&lake(), None, &[(name(b"1"), 1, Strength::Sent)]).expect("writes");
    let path = receipts.path(&lake());
    let mut log = OpenOptions::new().append(true).open(&path).expect("opens");
    log.write_all(b"\xff\xfe\nrubbish\n").expect("writes");
    log.write_all(format!("{} 2 sent 17", name(b"2")).as_bytes()).expect("writes");
    let receipts = Receipts::at(dir.path());
    assert!(receipts.get(&lake().source(name(b"1"))).expect("reads").is_some());
    assert_eq!(receipts.get(&lake().source(name(b"2"))).expect("reads"), None);
}

/// Returns how long it takes to read a log, at best.
fn time_to_read(dir: &Path) -> std::time::Duration {
    let url = lake().source(name(b"0"));
    let read = |_| {
        let begun = std::time::Instant::now();
        assert!(Receipts::at(dir).get(&url).expect("reads").is_some());
        begun.elapsed()
    };
    (0..7).map(read).min().expect("seven times")
}

/// Without optimisation, fewer have to do.
const COUNT: u64 = if cfg!(debug_assertions) { 1000 } else { 100_000 };

#[test]
fn a_hundred_thousand_receipts_are_read_in_an_instant() {
    let dir = tempfile::tempdir().expect("a folder");
    let receipts = Receipts::at(dir.path());
    let proofs: Vec<_> =
        (0..COUNT).map(|at| (name(at.to_string().as_bytes()), at + 1, Strength::Sent)).collect();
    receipts.add(&lake(), Some("id1"), &proofs).expect("writes");
    let took = time_to_read(dir.path());
    assert!(cfg!(debug_assertions) || took.as_millis() < 50, "{took:?}");
}

/// Does something with receipts of which all that was written before is durable, and returns every
/// state that a power cut could leave until it has returned, or from then on.
fn cut(dir: &Path, act: impl FnOnce(&Receipts), is_after: bool) -> Vec<tempfile::TempDir> {
    let witness = Witness::of(dir);
    act(&Receipts::at(dir));
    if is_after {
        drop(witness.cuts());
        // Whatever comes later must not bring back what was taken back.
        Receipts::at(dir)
            .add(&lake(), Some("id1"), &[(name(b"9"), 9, Strength::Size)])
            .expect("writes");
    }
    let cuts = witness.cuts();
    assert!(cuts.len() > 2);
    cuts.iter().map(power::plant).collect()
}

fn get(dir: &Path, content: &[u8]) -> Option<Receipt> {
    Receipts::at(dir).get(&lake().source(name(content))).expect("reads")
}

/// Receipts for three objects, all of them durable.
fn three() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let proofs = [1, 2, 3].map(|at: u8| (name(&[at]), 100 + u64::from(at), Strength::Sent));
    Receipts::at(dir.path()).add(&lake(), Some("id1"), &proofs).expect("writes");
    dir
}

#[test]
fn a_power_cut_makes_no_receipt_that_was_not_given() {
    let dir = three();
    let more = [(name(b"4"), 12_345, Strength::Checksum), (name(b"5"), 678, Strength::Size)];
    let states =
        cut(dir.path(), |receipts| receipts.add(&lake(), Some("id1"), &more).expect("adds"), false);
    assert!(states.len() > 300, "{}", states.len());
    for state in &states {
        // The next process appends to whatever was left.
        let receipts = Receipts::at(state.path());
        receipts.add(&lake(), Some("id1"), &[(name(b"6"), 6, Strength::Sent)]).expect("writes");
        for at in [1_u8, 2, 3] {
            assert_eq!(get(state.path(), &[at]).expect("was durable").size, 100 + u64::from(at));
        }
        for (content, size, strength) in
            [(b"4", 12_345, Strength::Checksum), (b"5", 678, Strength::Size)]
        {
            let found = get(state.path(), content);
            assert!(found.is_none_or(|found| found.size == size && found.strength == strength));
        }
        assert_eq!(get(state.path(), b"6").expect("appended").size, 6);
    }
}

#[test]
fn what_was_taken_back_does_not_return_after_a_power_cut() {
    let dir = three();
    let url = lake().source(name(&[2]));
    for state in cut(dir.path(), |receipts| receipts.revoke(&url).expect("writes"), true) {
        assert_eq!(get(state.path(), &[2]), None);
        assert!(get(state.path(), &[1]).is_some());
    }
}

#[test]
fn receipts_of_another_lake_do_not_return_after_a_power_cut() {
    let dir = three();
    let proofs = [(name(b"4"), 4, Strength::Sent)];
    let replace = |receipts: &Receipts| {
        receipts.bind(&lake(), Some("id2")).expect("reads");
        receipts.add(&lake(), Some("id2"), &proofs).expect("writes");
    };
    let witness = Witness::of(dir.path());
    replace(&Receipts::at(dir.path()));
    drop(witness.cuts());
    Receipts::at(dir.path())
        .add(&lake(), Some("id2"), &[(name(b"5"), 5, Strength::Size)])
        .expect("writes");
    for state in witness.cuts().iter().map(power::plant) {
        assert_eq!(get(state.path(), &[1]), None);
        assert!(get(state.path(), b"4").is_some());
    }
}

#[test]
fn receipts_behind_a_line_that_is_damaged_count_from_the_next_id_on() {
    let dir = three();
    let path = Receipts::at(dir.path()).path(&lake());
    let mut log = OpenOptions::new().append(true).open(&path).expect("opens");
    let line = |content| format!("{} 4 sent 1700000000\n", name(content));
    // The page with the id of the lake that replaced the first was not written.
    let lines = format!("\0\0\0\0\n{}@id1\n{}", line(b"4"), line(b"5"));
    log.write_all(lines.as_bytes()).expect("writes");
    assert_eq!(get(dir.path(), b"4"), None);
    assert!(get(dir.path(), b"5").is_some());
    assert!(get(dir.path(), &[1]).is_some());
}

#[test]
fn a_weaker_proof_gives_a_stronger_receipt_a_new_date() {
    let dir = tempfile::tempdir().expect("a folder");
    let receipts = Receipts::at(dir.path());
    let add = |size, strength| {
        receipts.add(&lake(), Some("id1"), &[(name(b"1"), size, strength)]).expect("writes");
        assert_eq!(receipts.get(&lake().source(name(b"1"))).expect("reads"), get(dir.path(), b"1"));
        get(dir.path(), b"1").expect("added").strength
    };
    assert_eq!(add(1, Strength::Sent), Strength::Sent);
    assert_eq!(add(1, Strength::Size), Strength::Sent);
    assert_eq!(add(2, Strength::Size), Strength::Size, "that is another object");
    receipts.revoke(&lake().source(name(b"1"))).expect("writes");
    assert_eq!(add(2, Strength::Checksum), Strength::Checksum);
}

#[test]
fn a_receipt_is_fresh_for_a_day() {
    let receipt = |age| Receipt { size: 1, strength: Strength::Sent, date: unix_now() - age };
    assert!(receipt(0).is_fresh() && receipt(FRESH_FOR_SECONDS - 60).is_fresh());
    assert!(!receipt(FRESH_FOR_SECONDS).is_fresh());
}

#[test]
fn a_log_of_another_address_holds_no_receipts() {
    let dir = three();
    let receipts = Receipts::at(dir.path());
    let path = receipts.path(&lake());
    let text =
        std::fs::read_to_string(&path).expect("reads").replacen("/mnt/lake", "/mnt/other", 1);
    write_atomic(&path, text.as_bytes(), Shared::No).expect("writes");
    assert_eq!(get(dir.path(), &[1]), None);
    let proofs = [(name(b"4"), 4, Strength::Sent)];
    Receipts::at(dir.path()).add(&lake(), None, &proofs).expect("writes");
    Receipts::at(dir.path()).add(&lake(), None, &proofs).expect("writes");
    assert!(get(dir.path(), b"4").is_some());
    assert_eq!(get(dir.path(), &[1]), None);
}

#[test]
fn a_log_is_folded_when_most_of_it_counts_no_more() {
    let dir = tempfile::tempdir().expect("a folder");
    let proofs = [1, 2, 3].map(|at: u8| (name(&[at]), 100 + u64::from(at), Strength::Sent));
    let receipts = Receipts::at(dir.path());
    let mut longest = 0;
    while length(dir.path()) >= longest {
        longest = length(dir.path());
        receipts.add(&lake(), Some("id1"), &proofs).expect("writes");
        assert!(longest < 100_000, "it is never folded");
    }
    assert!(length(dir.path()) < 1000);
    for receipts in [receipts, Receipts::at(dir.path())] {
        for (name, size, strength) in &proofs {
            let found = receipts.get(&lake().source(name.clone())).expect("reads").expect("there");
            assert_eq!((found.size, found.strength), (*size, *strength));
        }
    }
}

fn length(dir: &Path) -> u64 {
    std::fs::metadata(Receipts::at(dir).path(&lake())).map_or(0, |found| found.len())
}

#[test]
fn a_power_cut_while_folding_loses_no_receipt() {
    let dir = three();
    let receipts = Receipts::at(dir.path());
    let log = OpenOptions::new().append(true).open(receipts.path(&lake()));
    log.expect("opens").write_all("@id1\n".repeat(2000).as_bytes()).expect("writes");
    let witness = Witness::of(dir.path());
    receipts.fold(&lake(), "id1").expect("folds");
    assert!(length(dir.path()) < 1000, "it was folded");
    let cuts = witness.cuts();
    assert!(cuts.len() > 2);
    for state in cuts.iter().map(power::plant) {
        assert!((1..=3).all(|at: u8| get(state.path(), &[at]).is_some()));
    }
}

#[test]
fn nothing_is_lost_while_many_append_and_fold() {
    const WRITERS: u32 = 6;
    const ROUNDS: u32 = 200;
    let dir = tempfile::tempdir().expect("a folder");
    let begin = std::sync::Barrier::new(WRITERS as usize);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (begin, dir) = (&begin, &dir);
            scope.spawn(move || {
                begin.wait();
                let receipts = Receipts::at(dir.path());
                for round in 0..ROUNDS {
                    // One that is new at times, and ones that make the log worth folding.
                    let own = name(&(writer * ROUNDS + round / 10).to_le_bytes());
                    let all = name(b"all");
                    let proofs = [(own, 5, Strength::Sent), (all, 6, Strength::Size)];
                    receipts.add(&lake(), Some("id1"), &proofs).expect("writes");
                }
            });
        }
    });
    assert!(length(dir.path()) < u64::from(WRITERS * ROUNDS) * 200, "it was folded");
    for writer in 0..WRITERS {
        for round in 0..ROUNDS / 10 {
            let content = (writer * ROUNDS + round).to_le_bytes();
            assert!(get(dir.path(), &content).is_some(), "{writer} {round}");
        }
    }
}
