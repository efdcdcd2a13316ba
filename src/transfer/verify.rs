//! Reading objects in their lakes, to know that they are right. Nothing of them is kept.

use std::slice;

use super::Transfer;
use super::download::{Failure, SourceFailure, Wanted};
use super::report::Activity;
use super::rounds::Fetch;
use crate::digest::hash_reader;
use crate::lake_url::SourceUrl;
use crate::oid::Oid;
use crate::parallel;
use crate::size;

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
        let bytes = size::total(subjects.iter().map(|subject| subject.size));
        self.reporter.expect(Activity::Verifying, subjects.len() as u64, bytes);
        let lakes = subjects.iter().map(|subject| self.lakes.at(&subject.source.lake));
        let threads = lakes.map(|open| open.most_at_once(self.jobs)).max();
        let results = parallel::map(threads.unwrap_or(1), subjects.len(), |at| {
            let result = self.read_in_full(&subjects[at]);
            self.reporter.finished_object();
            result
        });
        self.reporter.end();
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
