//! Reading objects in their lakes, to know that they are right. Nothing of them is kept.

use std::slice;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Transfer;
use super::download::{Failure, SourceFailure, Wanted};
use super::report::Activity;
use super::rounds::Fetch;
use crate::digest::hash_reader;
use crate::lake_url::SourceUrl;
use crate::oid::Oid;

/// An object that a lake should hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Where.
    pub source: SourceUrl,
    /// What its bytes have to hash to.
    pub oid: Oid,
    /// Its size in bytes.
    pub size: u64,
}

impl Transfer {
    /// Reads objects in full, several at once, and says of each, in order, why it is not known to be
    /// right. Those that are right get a receipt.
    pub fn verify(&self, subjects: &[Subject]) -> Vec<Result<(), Failure>> {
        let bytes = subjects.iter().map(|subject| subject.size).sum();
        self.reporter.expect(Activity::Downloading, subjects.len() as u64, bytes);
        let lakes = subjects.iter().map(|subject| self.lakes.at(&subject.source.lake));
        let threads = lakes.map(|open| open.most_at_once(self.jobs)).max();
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<_>> = Mutex::new(subjects.iter().map(|_| None).collect());
        std::thread::scope(|scope| {
            for _ in 0..threads.unwrap_or(1).min(subjects.len()) {
                scope.spawn(|| {
                    while let Some(at) = Some(next.fetch_add(1, Ordering::Relaxed))
                        && let Some(subject) = subjects.get(at)
                    {
                        let result = self.read_in_full(subject);
                        self.reporter.finished_object();
                        results.lock().expect("no holder panics")[at] = Some(result);
                    }
                });
            }
        });
        self.reporter.end();
        let results = results.into_inner().expect("no holder panics").into_iter();
        let results: Vec<_> =
            results.map(|result| result.unwrap_or(Err(Failure::Cancelled))).collect();
        let right = subjects.iter().zip(&results).filter(|(_, result)| result.is_ok());
        let right: Vec<_> =
            right.map(|(subject, _)| (subject.source.clone(), subject.size)).collect();
        self.record_read(&right);
        results
    }

    fn read_in_full(&self, subject: &Subject) -> Result<(), Failure> {
        let Subject { source, oid, size } = subject;
        let wanted = Wanted { oid: *oid, size: *size, candidates: Vec::new(), repairs: Vec::new() };
        let read = || -> Result<u64, Fetch> {
            let reader = self.open(&wanted, source, 0, None)?;
            let hashed =
                hash_reader(reader, &[]).map_err(|error| match self.cancel.is_cancelled() {
                    true => Fetch::Fatal(Failure::Cancelled),
                    false => super::fetch::broken(source, &error).into(),
                })?;
            match (hashed.oid == *oid, hashed.size < *size) {
                (true, _) => Ok(hashed.size),
                (false, true) => Err(super::fetch::broken(source, &super::fetch::TOO_EARLY).into()),
                (false, false) => Err(SourceFailure::WrongBytes(source.clone()).into()),
            }
        };
        let had = self.first_source(slice::from_ref(source), |read| *read, |at| vec![(at, read())]);
        had.map(drop)
    }
}
