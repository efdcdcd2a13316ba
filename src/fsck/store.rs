//! The objects of the store, each read in full.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};

use super::{Fault, Finding};
use crate::digest::COPY_BUFFER_BYTES;
use crate::fs::PathError;
use crate::oid::Oid;
use crate::store::Store;
use crate::store::check::Checked;
use crate::transfer::Cancel;
use crate::transfer::report::{Activity, Reporter, with_causes};
use crate::workspace::Workspace;

/// So many objects wait for a thread to read them.
const WAITING_OBJECTS: usize = 256;

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that are right and were not known to be on disk for good; they are now.
    pub sealed: u64,
}

/// Reads every object, several at once, and sets damaged ones aside.
///
/// What could not be read is a finding; the others are looked at all the same.
///
/// # Errors
/// If the store cannot be searched.
pub fn check(site: &Workspace) -> Result<(Tally, Vec<Finding>), PathError> {
    let mut tally = Tally::default();
    site.store.for_each_object(&mut |stored| {
        tally.objects += 1;
        tally.bytes += stored.size;
        Ok::<_, PathError>(())
    })?;
    site.reporter.expect(Activity::Verifying, tally.objects, tally.bytes);
    let (sender, receiver) = sync_channel(WAITING_OBJECTS);
    let waiting = Mutex::new(receiver);
    let reading = Reading { store: &site.store, reporter: &*site.reporter, cancel: &site.cancel };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut found = std::thread::scope(|scope| {
        let readers: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| reading.serve(&waiting))).collect();
        let walked = site.store.for_each_object(&mut |stored| {
            if !site.cancel.is_cancelled() {
                sender.send(stored.oid).expect("the receiver outlives the readers");
            }
            Ok::<_, PathError>(())
        });
        drop(sender);
        let mut found = Found::default();
        for reader in readers {
            let part = reader.join().expect("reading does not panic");
            found.findings.extend(part.findings);
            found.unsealed += part.unsealed;
        }
        walked.map(|()| found)
    })?;
    site.reporter.end();
    match site.store.sync() {
        Ok(()) => tally.sealed = found.unsealed,
        Err(error) => {
            let fault = Fault::NotSynced(with_causes(&error));
            found.findings.push(Finding::about(fault));
        }
    }
    found.findings.sort_by_key(|finding| finding.oid);
    Ok((tally, found.findings))
}

/// What one thread found.
#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
    unsealed: u64,
}

/// What threads need to read objects.
struct Reading<'a> {
    store: &'a Store,
    reporter: &'a dyn Reporter,
    cancel: &'a Cancel,
}

impl Reading<'_> {
    /// Reads objects until no more come.
    fn serve(&self, waiting: &Mutex<Receiver<Oid>>) -> Found {
        let (mut found, mut buffer) = (Found::default(), vec![0; COPY_BUFFER_BYTES]);
        let next = || waiting.lock().expect("no holder panics").recv();
        while let Ok(oid) = next() {
            let mut watch = |bytes| {
                self.reporter.moved(bytes);
                if self.cancel.is_cancelled() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            let fault = match self.store.check(oid, &mut buffer, &mut watch) {
                Ok(Checked::Damaged(aside)) => Some(Fault::StoredDamaged(aside)),
                Ok(Checked::Unsealed) => {
                    found.unsealed += 1;
                    None
                }
                Ok(Checked::Sealed | Checked::Gone | Checked::Stopped) => None,
                Err(error) => Some(Fault::StoredUnreadable(error.source.to_string())),
            };
            let finding = |fault| Finding { oid: Some(oid), ..Finding::about(fault) };
            found.findings.extend(fault.map(finding));
            self.reporter.finished_object();
        }
        found
    }
}
