//! What replacing an object promises: the object stands under its name, and what stood there is kept.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::{AdminLake, Sample, Subject, Watching, names, read};
use crate::digest::HashName;
use crate::lake::{LakeError, Observer, Proof, Put, Replaced, Unobserved, Upload};

type Open<'a> = &'a (dyn Fn() -> io::Result<Box<dyn Read + Send>> + Sync);

fn replace_from(
    lake: &dyn AdminLake,
    sample: &Sample,
    open: Open<'_>,
    observer: &dyn Observer,
) -> Result<Replaced, LakeError> {
    let (hash, size) = (sample.digest.hash, sample.bytes.len() as u64);
    lake.replace(&Upload { name: &sample.name, hash, size, open, verified: None }, observer)
}

fn replace(lake: &dyn AdminLake, sample: &Sample) -> Result<Replaced, LakeError> {
    let open = || Ok(Box::new(io::Cursor::new(sample.bytes.clone())) as Box<dyn Read + Send>);
    replace_from(lake, sample, &open, &Unobserved)
}

pub(super) fn other_bytes_are_kept_aside(subject: &Subject) {
    let (lake, sample) = (&*subject.lake, Sample::new(b"right"));
    let others = [&b"wrong"[..], b"longer than that", b"", b"wrong"];
    for (at, other) in others.into_iter().enumerate() {
        (subject.plant)(sample.name(), other);
        match replace(lake, &sample) {
            Ok(Replaced::Aside(aside)) => {
                let begin = format!("{}/.lake-damaged/{}.", lake.url(), sample.name());
                assert!(aside.starts_with(&begin), "{aside}");
            }
            result => panic!("other bytes were not replaced: {result:?}"),
        }
        let again = (subject.reopen)();
        assert_eq!(read(&*again, sample.name(), 0), sample.bytes);
        // What is aside is no object.
        let expected = BTreeMap::from([(sample.name().clone(), sample.bytes.len() as u64)]);
        assert_eq!(names(&*again), expected);
        let mut kept = (subject.aside)();
        kept.sort_unstable();
        let mut all: Vec<&[u8]> = others[..=at].to_vec();
        all.sort_unstable();
        assert_eq!(kept, all);
    }
}

pub(super) fn what_is_right_or_absent_is_not_replaced(subject: &Subject) {
    let (lake, sample) = (&*subject.lake, Sample::new(b"right"));
    assert_eq!(replace(lake, &sample).expect("puts"), Replaced::Not(Put::Created));
    let already = Replaced::Not(Put::AlreadyThere(Proof::Content));
    assert_eq!(replace(lake, &sample).expect("compares"), already);
    assert_eq!(read(lake, sample.name(), 0), sample.bytes);
    assert_eq!((subject.aside)(), [[0; 0]; 0]);
}

pub(super) fn bytes_that_are_not_the_object_replace_nothing(subject: &Subject) {
    let (lake, sample) = (&*subject.lake, Sample::new(b"right"));
    (subject.plant)(sample.name(), b"wrong");
    for bytes in [&b"other"[..], b"righ", b"right!", b""] {
        let result = replace_from(lake, &sample, &|| Ok(Box::new(bytes)), &Unobserved);
        assert!(matches!(result, Err(LakeError::SourceChanged { .. })), "{result:?}");
    }
    let closed = || Err(io::ErrorKind::NotFound.into());
    let result = replace_from(lake, &sample, &closed, &Unobserved);
    assert!(matches!(result, Err(LakeError::SourceUnreadable { .. })), "{result:?}");
    let right = || Ok(Box::new(&b"right"[..]) as Box<dyn Read + Send>);
    let result = replace_from(lake, &sample, &right, &Watching::until(5));
    assert!(matches!(result, Err(LakeError::Cancelled)), "{result:?}");
    let other = Sample::with_hash(b"right", HashName::Blake2b);
    assert!(matches!(replace(lake, &other), Err(LakeError::HashMismatch { .. })));
    assert_eq!(read(lake, sample.name(), 0), b"wrong");
    assert_eq!(names(lake).len(), 1);
    assert_eq!((subject.aside)(), [[0; 0]; 0]);
}
