//! What a power cut leaves of claims.

use super::tests::{OTHER, all_but, all_owed, owed, owed_to, sorted, tentative};
use super::*;
use crate::fs::power::{self, Witness};

/// Returns what is owed in every state that a power cut could have left.
fn after_power_cuts(witness: &Witness, root: &str) -> Vec<Vec<Owed>> {
    let read = |tree: &power::Tree| all_owed(&power::plant(tree).path().join(root));
    witness.cuts().iter().map(read).collect()
}

#[test]
fn what_was_synced_survives_a_power_cut_and_nothing_else_appears() {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path().join("lake/v1");
    let witness = Witness::of(dir.path());
    let queue = Queue::at(&root);
    let known = [owed(b"1"), owed(b"2"), owed_to(OTHER, b"3"), owed(b"4")];
    queue.add_owed(&known[..2]).expect("writes");
    let states = after_power_cuts(&witness, "lake/v1");
    assert!(states.len() > 200, "a record may be cut anywhere");
    assert!(states.iter().flatten().all(|record| known[..2].contains(record)), "{states:?}");
    queue.sync().expect("syncs");
    drop(witness.cuts());
    queue.add_owed(&known[2..]).expect("writes");
    let states = after_power_cuts(&witness, "lake/v1");
    assert!(states.len() > 200, "{}", states.len());
    for found in &states {
        assert!(known[..2].iter().all(|record| found.contains(record)), "{found:?}");
        assert!(found.iter().all(|record| known.contains(record)), "{found:?}");
    }
    assert!(states.contains(&sorted(known)));
}

/// Returns what compacting says in every state that a power cut could have left.
fn compacted_after_power_cuts(witness: &Witness, root: &str) -> Vec<Compacted> {
    let compact = |tree: &power::Tree| {
        let planted = power::plant(tree);
        Queue::at(&planted.path().join(root)).compact(|claims| claims).expect("compacts")
    };
    witness.cuts().iter().map(compact).collect()
}

#[test]
fn it_is_known_after_a_power_cut_whether_something_may_be_lost() {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path().join("lake/v1");
    let witness = Witness::of(dir.path());
    let queue = Queue::at(&root);
    let is_lossy = |compacted: &Compacted| matches!(compacted, Compacted::Lossy(_));
    for content in [b"1", b"2"] {
        queue.add_tentative(&tentative(content)).expect("writes");
        // From now on git may have the pointer.
        drop(witness.cuts());
        let states = compacted_after_power_cuts(&witness, "lake/v1");
        assert!(states.len() > 100, "a record may be cut anywhere: {}", states.len());
        assert!(states.iter().all(is_lossy), "{states:?}");
        queue.sync().expect("syncs");
    }
    drop(witness.cuts());
    assert!(compacted_after_power_cuts(&witness, "lake/v1").iter().all(is_lossy));
    queue.conclude().expect("syncs");
    drop(witness.cuts());
    let states = compacted_after_power_cuts(&witness, "lake/v1");
    assert!(states.iter().all(|state| *state == Compacted::Done), "{states:?}");
    queue.add_owed([&owed(b"3")]).expect("writes");
    let states = compacted_after_power_cuts(&witness, "lake/v1");
    assert!(states.len() > 100, "{}", states.len());
    assert!(states.contains(&Compacted::Done));
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
    let keep = |claims: Claims| all_but(&claims, &owed(b"2"));
    assert_eq!(Queue::at(dir.path()).compact(keep).expect("compacts"), Compacted::Done);
    let states = after_power_cuts(&witness, "");
    assert!(states.len() > 4, "{}", states.len());
    for state in &states {
        assert!(state.contains(&owed(b"1")), "{state:?}");
        assert!(state.iter().all(|record| [owed(b"1"), owed(b"2")].contains(record)), "{state:?}");
    }
    assert!(states.iter().any(|state| !state.contains(&owed(b"2"))));
}
