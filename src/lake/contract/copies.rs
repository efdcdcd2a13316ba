//! What a copy inside the server promises: the object, or nothing.

use super::{AdminLake, Sample, Subject, declare, read};
use crate::lake::{Place, Put};

/// Copies one object, and looks at what is there afterwards.
fn copy(lake: &dyn AdminLake, sample: &Sample, from: &Place) -> Option<Put> {
    let before = lake.stat(sample.name()).expect("reached");
    let put = lake.copy(sample.name(), sample.bytes.len() as u64, from).expect("tried");
    match put {
        Some(_) => assert_eq!(read(lake, sample.name(), 0), sample.bytes),
        None => assert_eq!(lake.stat(sample.name()).expect("reached"), before),
    }
    put
}

pub(super) fn copies_are_objects_or_nothing(subject: &Subject) {
    let (lake, sample) = (&*subject.lake, Sample::new(b"copied"));
    let Some(neighbour) = &subject.neighbour else {
        assert!(lake.place(sample.name()).is_none(), "it has no server that copies");
        return;
    };
    let other = neighbour();
    declare(&*other, None).expect("declares");
    let place = other.place(sample.name()).expect("it has a server");
    assert!(lake.place(sample.name()).expect("it has a server").is_beside(&place));
    // What is not there.
    assert_eq!(copy(lake, &sample, &place), None);
    sample.put(&*other).expect("puts");
    // Another process asks with keys of its own, and copies nothing from here.
    assert_eq!(copy(&*(subject.reopen)(), &sample, &place), None);
    // Under a name that is not its own.
    let wrong = Sample::new(b"another");
    assert_eq!(copy(lake, &wrong, &place), None);
    match copy(lake, &sample, &place) {
        Some(Put::Copied(_)) => {
            let again = copy(lake, &sample, &place);
            assert!(matches!(again, None | Some(Put::AlreadyThere(_))), "{again:?}");
        }
        put => assert_eq!(put, None),
    }
    // Over something else.
    let taken = Sample::new(b"taken");
    taken.put(&*other).expect("puts");
    (subject.plant)(taken.name(), b"other");
    let place = other.place(taken.name()).expect("it has a server");
    assert_eq!(copy(lake, &taken, &place), None);
    assert_eq!(read(lake, taken.name(), 0), b"other");
}
