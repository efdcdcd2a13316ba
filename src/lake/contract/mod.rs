//! What every lake promises, as checks that panic when one is broken.
//!
//! A test of each implementation calls [`check_all`]; so can one that has a real server at hand.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{AdminLake, Creation, LakeError, LakeId, Observer, Put, Unobserved, Upload, WriteLake};
use crate::digest::{Digest, HashName, hash_reader};
use crate::fs::unix_now;
use crate::object_name::ObjectName;

mod copies;
mod replaced;

/// An empty lake that declares nothing yet, with what a check needs beyond the traits.
pub struct Subject {
    /// The lake.
    pub lake: Arc<dyn AdminLake>,
    /// Returns another handle to the same lake, as another process would have.
    pub reopen: Box<dyn Fn() -> Arc<dyn AdminLake>>,
    /// Puts bytes under a name behind the lake's back, whatever the name says.
    pub plant: Plant,
    /// Returns the bytes of everything that was replaced, in no order.
    pub aside: Aside,
    /// How it stands to declarations.
    pub declares: Declares,
    /// Returns another empty lake on the same server, where a server copies between lakes.
    pub neighbour: Option<Neighbour>,
    /// Whether of several writers of one object exactly one made it, and knows.
    pub has_one_creator: bool,
}

/// How a lake stands to declarations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declares {
    /// It cannot be used before it is declared, as a folder.
    Must,
    /// It can be declared, and is taken for SHA-256 before, as a bucket.
    May,
    /// It is always taken for SHA-256, as a bucket on a server without tags.
    Cannot,
}

/// Makes an empty lake beside another.
pub type Neighbour = Box<dyn Fn() -> Arc<dyn AdminLake>>;

/// Looks at what is kept aside.
pub type Aside = Box<dyn Fn() -> Vec<Vec<u8>>>;

/// Puts bytes under a name.
pub type Plant = Box<dyn Fn(&ObjectName, &[u8])>;

/// Bytes and the name that they have in a lake.
pub struct Sample {
    bytes: Vec<u8>,
    digest: Digest,
    name: ObjectName,
}

impl Sample {
    /// Names bytes by their SHA-256.
    pub fn new(bytes: &[u8]) -> Self {
        Self::with_hash(bytes, HashName::Sha256)
    }

    /// Names bytes by another hash.
    pub fn with_hash(bytes: &[u8], hash: HashName) -> Self {
        let hashed = hash_reader(bytes, &[hash]).expect("memory can be read");
        let digest = hashed.digest(hash).expect("the hash is writable");
        Self { bytes: bytes.to_owned(), name: ObjectName::new(&digest, b"sample.bin"), digest }
    }

    /// Returns the name.
    pub fn name(&self) -> &ObjectName {
        &self.name
    }

    /// Uploads these bytes alone.
    ///
    /// # Errors
    /// Those of the lake.
    pub fn put(&self, lake: &dyn WriteLake) -> Result<Put, LakeError> {
        Self::put_all(std::slice::from_ref(self), lake, &Unobserved).remove(0)
    }

    /// Uploads samples as one batch.
    pub fn put_all(
        samples: &[Self],
        lake: &dyn WriteLake,
        observer: &dyn Observer,
    ) -> Vec<Result<Put, LakeError>> {
        let open = |sample: &Self| {
            let bytes: Arc<[u8]> = sample.bytes.as_slice().into();
            move || Ok(Box::new(io::Cursor::new(bytes.clone())) as Box<dyn Read + Send>)
        };
        let opens: Vec<_> = samples.iter().map(open).collect();
        let uploads: Vec<Upload<'_>> = samples
            .iter()
            .zip(&opens)
            .map(|(sample, open)| Upload {
                name: &sample.name,
                hash: sample.digest.hash,
                size: sample.bytes.len() as u64,
                open,
                verified: None,
            })
            .collect();
        let results = lake.put(&uploads, observer);
        assert_eq!(results.len(), samples.len(), "one result per upload");
        results
    }

    fn put_from(
        &self,
        lake: &dyn WriteLake,
        open: &(dyn Fn() -> io::Result<Box<dyn Read + Send>> + Sync),
    ) -> Result<Put, LakeError> {
        let upload = Upload {
            name: &self.name,
            hash: self.digest.hash,
            size: self.bytes.len() as u64,
            open,
            verified: None,
        };
        lake.put(&[upload], &Unobserved).remove(0)
    }
}

/// Runs every check, each on a lake of its own.
pub fn check_all(make: &dyn Fn() -> Subject) {
    let undeclared: [fn(&Subject); 4] = [
        undeclared_lakes_say_so,
        declarations_persist,
        wrong_declarations_are_refused,
        first_declarations_at_once_agree,
    ];
    for check in undeclared {
        let subject = make();
        if subject.declares != Declares::Cannot {
            check(&subject);
        }
    }
    let declared: [fn(&Subject); 16] = [
        absent_is_not_an_error,
        what_goes_in_comes_out,
        reading_starts_anywhere,
        an_empty_batch_is_nothing,
        putting_twice_is_fine,
        other_bytes_are_never_overwritten,
        wrong_bytes_are_never_published,
        unreadable_bytes_are_never_published,
        one_failure_leaves_the_others_alone,
        many_writers_of_one_object_succeed,
        cancelled_batches_publish_nothing,
        objects_appear_whole,
        copies::copies_are_objects_or_nothing,
        replaced::other_bytes_are_kept_aside,
        replaced::what_is_right_or_absent_is_not_replaced,
        replaced::bytes_that_are_not_the_object_replace_nothing,
    ];
    for check in declared {
        let subject = make();
        declare(&*subject.lake, None).expect("a first declaration");
        check(&subject);
    }
    let subject = make();
    if subject.declares == Declares::Cannot {
        undeclared_lakes_say_so(&subject);
    } else {
        other_hashes_are_named_right(&subject);
    }
}

fn declare(lake: &dyn AdminLake, hash: Option<HashName>) -> Result<Option<LakeId>, LakeError> {
    let declaration = lake.declare(hash, Creation::IfParentExists)?;
    Ok(declaration.id)
}

fn read(lake: &dyn AdminLake, name: &ObjectName, from: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut content = lake.get(name, from).expect("the object is there");
    content.reader.read_to_end(&mut bytes).expect("reads");
    bytes
}

fn names(lake: &dyn AdminLake) -> BTreeMap<ObjectName, u64> {
    let listing = lake.list().expect("lists");
    listing
        .map(|entry| entry.map(|(name, info)| (name, info.size)))
        .collect::<Result<_, _>>()
        .expect("lists to the end")
}

fn undeclared_lakes_say_so(subject: &Subject) {
    let (lake, sample) = (&*subject.lake, Sample::new(b"abc"));
    if subject.declares != Declares::Must {
        let declaration = lake.declaration().expect("reached");
        assert_eq!((declaration.hash, &declaration.id), (HashName::Sha256, &None));
        assert!(declaration.assumed.is_some(), "nothing was declared");
        assert_eq!(lake.stat(sample.name()).expect("reached"), None);
        return;
    }
    let is_unreachable = |error: Option<LakeError>| error.is_some_and(|e| e.is_unreachable());
    let check = || {
        assert!(is_unreachable(lake.declaration().err()));
        assert!(is_unreachable(lake.stat(sample.name()).err()));
        assert!(is_unreachable(lake.get(sample.name(), 0).err()));
        assert!(is_unreachable(lake.list().err()));
        assert!(is_unreachable(lake.renew(sample.name()).err()));
        assert!(is_unreachable(sample.put(lake).err()));
    };
    check();
    // An object does not make a lake.
    (subject.plant)(sample.name(), b"abc");
    check();
}

fn declarations_persist(subject: &Subject) {
    let lake = &*subject.lake;
    let id = declare(lake, None).expect("declares");
    let again = (subject.reopen)();
    let declaration = again.declaration().expect("declared");
    assert_eq!(declaration.hash, HashName::Sha256);
    assert_eq!(declaration.id, id);
    assert_eq!(declare(&*again, None).expect("keeps it"), id);
    assert_eq!(declare(&*again, Some(HashName::Sha256)).expect("the same"), id);
    let other = declare(&*again, Some(HashName::Blake2b));
    assert!(matches!(other, Err(LakeError::HashMismatch { .. })));
    assert_eq!(again.declaration().expect("unchanged"), declaration);
}

fn wrong_declarations_are_refused(subject: &Subject) {
    let lake = &*subject.lake;
    let weak = declare(lake, Some(HashName::Md5));
    assert!(matches!(weak, Err(LakeError::HashNotWritable { .. })));
    let long = Sample::with_hash(b"abc", HashName::Blake2b);
    (subject.plant)(long.name(), b"abc");
    let short = declare(lake, None);
    assert!(matches!(short, Err(LakeError::OtherHashInUse { .. })));
    let is_assumed = lake.declaration().is_ok_and(|found| found.assumed.is_some());
    assert_eq!(is_assumed, subject.declares == Declares::May, "nothing was declared");
    declare(lake, Some(HashName::Sha512)).expect("digests of the same length");
}

fn first_declarations_at_once_agree(subject: &Subject) {
    let lakes: Vec<_> = (0..8).map(|_| (subject.reopen)()).collect();
    let ids: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = lakes
            .iter()
            .map(|lake| scope.spawn(|| declare(&**lake, None).expect("declares")))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|id| id.expect("no panic")).collect()
    });
    let declared = subject.lake.declaration().expect("declared").id;
    assert!(ids.iter().all(|id| *id == declared), "{ids:?} {declared:?}");
}

fn absent_is_not_an_error(subject: &Subject) {
    let (lake, sample) = (&*subject.lake, Sample::new(b"abc"));
    assert_eq!(lake.stat(sample.name()).expect("reached"), None);
    assert!(lake.get(sample.name(), 0).is_err_and(|e| e.is_absent()));
    assert!(lake.renew(sample.name()).is_err_and(|e| e.is_absent()));
    assert!(names(lake).is_empty());
}

fn what_goes_in_comes_out(subject: &Subject) {
    let lake = &*subject.lake;
    let sizes = [0, 1, 20_000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1];
    let samples = sizes.map(|size| Sample::new(&vec![b'x'; size]));
    let watched = Watching::until(u64::MAX);
    for result in Sample::put_all(&samples, lake, &watched) {
        assert_eq!(result.expect("puts"), Put::Created);
    }
    let total: usize = sizes.iter().sum();
    assert_eq!(watched.seen.load(Ordering::SeqCst), total as u64);
    let again = (subject.reopen)();
    for sample in &samples {
        let info = again.stat(sample.name()).expect("reached").expect("there");
        assert_eq!(info.size, sample.bytes.len() as u64);
        if let Some(modified) = info.modified {
            assert!(modified.abs_diff(unix_now()) < 3600, "{modified}");
        }
        assert!(read(&*again, sample.name(), 0) == sample.bytes);
        again.renew(sample.name()).expect("renews");
    }
    let mut asked: Vec<ObjectName> = samples.iter().map(|sample| sample.name.clone()).collect();
    asked.insert(2, Sample::new(b"never sent").name);
    let answers = again.stat_all(&asked).into_iter().map(|answer| answer.expect("reached"));
    let told: Vec<Option<u64>> = answers.map(|info| info.map(|info| info.size)).collect();
    let mut right: Vec<Option<u64>> = sizes.iter().map(|size| Some(*size as u64)).collect();
    right.insert(2, None);
    assert_eq!(told, right);
    let expected: BTreeMap<_, _> =
        samples.iter().map(|sample| (sample.name.clone(), sample.bytes.len() as u64)).collect();
    assert_eq!(names(&*again), expected);
}

fn reading_starts_anywhere(subject: &Subject) {
    let (lake, sample) = (&*subject.lake, Sample::new(b"0123456789"));
    sample.put(lake).expect("puts");
    for from in [0, 1, 9, 10, 11, u64::from(u32::MAX)] {
        let rest = sample.bytes.iter().skip(usize::try_from(from).expect("fits"));
        assert!(read(lake, sample.name(), from).iter().eq(rest), "{from}");
        assert_eq!(lake.get(sample.name(), from).expect("there").size, 10);
    }
    for count in [1, 4, 10, 4096] {
        let mut content = lake.get_first(sample.name(), count).expect("there");
        let mut bytes = Vec::new();
        content.reader.read_to_end(&mut bytes).expect("reads");
        assert!(bytes.iter().eq(sample.bytes.iter().take(usize::try_from(count).expect("fits"))));
        assert_eq!(content.size, 10);
    }
}

fn an_empty_batch_is_nothing(subject: &Subject) {
    assert!(subject.lake.put(&[], &Unobserved).is_empty());
}

fn putting_twice_is_fine(subject: &Subject) {
    let lake = &*subject.lake;
    let twins = [Sample::new(b"twin"), Sample::new(b"twin")];
    let results = Sample::put_all(&twins, lake, &Unobserved);
    assert!(matches!(results[..], [Ok(Put::Created), Ok(Put::AlreadyThere(_))]));
    let watched = Watching::until(u64::MAX);
    let again = Sample::put_all(&twins[..1], lake, &watched).remove(0);
    assert!(matches!(again, Ok(Put::AlreadyThere(_))));
    assert_eq!(names(lake).len(), 1);
}

fn other_bytes_are_never_overwritten(subject: &Subject) {
    let (lake, sample) = (&*subject.lake, Sample::new(b"right"));
    for other in [&b"wrong"[..], b"longer than that", b""] {
        (subject.plant)(sample.name(), other);
        match sample.put(lake) {
            Err(LakeError::DamagedThere { found, .. }) => assert_eq!(found, other.len() as u64),
            result => panic!("other bytes were accepted: {result:?}"),
        }
        assert_eq!(read(lake, sample.name(), 0), other);
    }
}

fn wrong_bytes_are_never_published(subject: &Subject) {
    let (lake, sample) = (&*subject.lake, Sample::new(b"right"));
    for wrong in [&b"wrong"[..], b"righ", b"right!", b""] {
        let result = sample.put_from(lake, &|| Ok(Box::new(wrong)));
        assert!(matches!(result, Err(LakeError::SourceChanged { .. })), "{result:?}");
        assert_eq!(lake.stat(sample.name()).expect("reached"), None);
    }
    assert!(names(lake).is_empty());
    let other = Sample::with_hash(b"abc", HashName::Blake2b);
    assert!(matches!(other.put(lake), Err(LakeError::HashMismatch { .. })));
    assert_eq!(lake.stat(other.name()).expect("reached"), None);
}

fn unreadable_bytes_are_never_published(subject: &Subject) {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken"))
        }
    }
    let (lake, sample) = (&*subject.lake, Sample::new(b"right"));
    let broken = sample.put_from(lake, &|| Ok(Box::new((&b"rig"[..]).chain(Broken))));
    assert!(matches!(broken, Err(LakeError::SourceUnreadable { .. })));
    let closed = sample.put_from(lake, &|| Err(io::ErrorKind::NotFound.into()));
    assert!(matches!(closed, Err(LakeError::SourceUnreadable { .. })));
    assert!(names(lake).is_empty());
}

fn one_failure_leaves_the_others_alone(subject: &Subject) {
    let lake = &*subject.lake;
    let mut samples = [b"one", b"two", b"six"].map(|bytes| Sample::new(bytes));
    samples[1].bytes = b"ten".to_vec();
    let results = Sample::put_all(&samples, lake, &Unobserved);
    assert!(matches!(
        results[..],
        [Ok(Put::Created), Err(LakeError::SourceChanged { .. }), Ok(Put::Created)]
    ));
    assert_eq!(names(lake).len(), 2);
}

fn many_writers_of_one_object_succeed(subject: &Subject) {
    let sample = Sample::new(&vec![b'm'; 300_000]);
    let lakes: Vec<_> = (0..8).map(|_| (subject.reopen)()).collect();
    let created: usize = std::thread::scope(|scope| {
        let threads: Vec<_> =
            lakes.iter().map(|lake| scope.spawn(|| sample.put(&**lake).expect("puts"))).collect();
        let results = threads.into_iter().map(|thread| thread.join());
        let results = results.map(|put| put.expect("no panic"));
        results.filter(|put| *put == Put::Created).count()
    });
    assert!(created == 1 || created > 1 && !subject.has_one_creator, "{created} made it");
    assert!(read(&*subject.lake, sample.name(), 0) == sample.bytes);
    assert_eq!(names(&*subject.lake).len(), 1);
}

fn cancelled_batches_publish_nothing(subject: &Subject) {
    let lake = &*subject.lake;
    for (first, limit) in [(0, 0), (10, 50_000), (20, 100_000), (30, 250_000)] {
        let samples = [0, 1, 2].map(|next| Sample::new(&vec![first + next; 100_000]));
        let watched = Watching::until(limit.min(100_000));
        let alone = Sample::put_all(&samples[..1], lake, &watched);
        assert!(matches!(alone[..], [Err(LakeError::Cancelled)]), "{limit}");
        assert_eq!(lake.stat(samples[0].name()).expect("reached"), None);
        // A lake may publish the earlier ones of a batch, if it says so.
        let results = Sample::put_all(&samples, lake, &Watching::until(limit));
        for (sample, result) in samples.iter().zip(&results) {
            let is_there = lake.stat(sample.name()).expect("reached").is_some();
            assert_eq!(is_there, result.is_ok(), "{limit}");
        }
        assert!(matches!(results[2], Err(LakeError::Cancelled)));
    }
}

fn objects_appear_whole(subject: &Subject) {
    let (lake, sample) = (&*subject.lake, Sample::new(&vec![b'w'; 4 << 20]));
    let (is_done, reader) = (AtomicBool::new(false), (subject.reopen)());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::SeqCst) {
                if let Some(info) = reader.stat(sample.name()).expect("reached") {
                    assert_eq!(info.size, sample.bytes.len() as u64);
                }
                for size in names(&*reader).values() {
                    assert_eq!(*size, sample.bytes.len() as u64);
                }
            }
        });
        let put = sample.put(lake);
        is_done.store(true, Ordering::SeqCst);
        put.expect("puts");
    });
}

fn other_hashes_are_named_right(subject: &Subject) {
    let lake = &*subject.lake;
    declare(lake, Some(HashName::Blake2b)).expect("declares");
    let sample = Sample::with_hash(b"abc", HashName::Blake2b);
    assert_eq!(sample.put(lake).expect("puts"), Put::Created);
    assert_eq!(read(lake, sample.name(), 0), b"abc");
    let other = Sample::new(b"abc").put(lake);
    assert!(matches!(other, Err(LakeError::HashMismatch { .. })));
}

/// Counts bytes, and asks to stop after some.
struct Watching {
    seen: AtomicU64,
    limit: u64,
}

impl Watching {
    fn until(limit: u64) -> Self {
        let seen = AtomicU64::new(0);
        Self { seen, limit }
    }
}

impl Observer for Watching {
    fn advanced(&self, bytes: u64) {
        self.seen.fetch_add(bytes, Ordering::SeqCst);
    }

    fn is_cancelled(&self) -> bool {
        self.seen.load(Ordering::SeqCst) >= self.limit
    }
}
