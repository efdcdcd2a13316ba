//! A lake that misbehaves on demand, for tests of everything that has to live with real ones.
//!
//! It decorates another lake. Each fault names the call that it strikes and when; the first one that
//! applies strikes, and calls that none applies to pass through.

use std::io::{self, ErrorKind, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{
    AdminLake, Capabilities, Creation, Declaration, Features, LakeError, Listing, ObjectContent,
    ObjectInfo, Observer, Place, Put, ReadLake, Replaced, Survey, Upload, WriteLake,
};
use crate::digest::HashName;
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;

/// What a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Reading the declaration.
    Declaration,
    /// Asking for one object.
    Stat,
    /// Opening one object.
    Get,
    /// Listing all objects.
    List,
    /// Uploading; every object of a batch counts as one call.
    Put,
    /// Copying inside the server.
    Copy,
    /// Renewing a date.
    Renew,
    /// Replacing one object.
    Replace,
    /// Declaring.
    Declare,
    /// Making sure that the lake can be written to.
    CheckWritable,
}

impl Call {
    const COUNT: usize = Self::CheckWritable as usize + 1;
}

/// Which calls of a kind a fault strikes, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// That one.
    Nth(u64),
    /// That one and all later ones.
    From(u64),
}

/// What goes wrong. Offsets are in bytes from the object's beginning; on calls that move no bytes
/// such faults do nothing.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing is done, and this is reported.
    Fail(LakeError),
    /// All is done, but this is reported.
    LoseAnswer(LakeError),
    /// The call takes this much longer.
    Stall(Duration),
    /// The stream ends here as if that were all.
    EndAt(u64),
    /// The stream breaks off here with an error.
    BreakAt(u64),
    /// The lowest bit of this byte is flipped.
    FlipBitAt(u64),
    /// The observer of the upload asks to stop once so many bytes of its batch were sent.
    CancelAt(u64),
}

/// A lake that misbehaves on demand.
pub struct FaultyLake {
    inner: Arc<dyn AdminLake>,
    faults: Mutex<Vec<(Call, Turn, Fault)>>,
    counts: [AtomicU64; Call::COUNT],
    offsets: Mutex<Vec<u64>>,
}

impl FaultyLake {
    /// Returns a lake that behaves as `inner` does until faults are added.
    pub fn new(inner: Arc<dyn AdminLake>) -> Self {
        let (faults, offsets) = Default::default();
        Self { inner, faults, offsets, counts: Default::default() }
    }

    /// Adds a fault; turns count all calls since the lake was made.
    pub fn inject(&self, call: Call, turn: Turn, fault: Fault) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push((call, turn, fault));
    }

    /// Removes all faults, as when the network comes back.
    pub fn heal(&self) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.clear();
    }

    /// Returns how often this was called.
    pub fn count(&self, call: Call) -> u64 {
        self.counts[call as usize].load(Ordering::SeqCst)
    }

    /// Returns from which byte on objects were opened, in order.
    pub fn offsets(&self) -> Vec<u64> {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a call and returns the fault that strikes it.
    fn next(&self, call: Call) -> Option<Fault> {
        let number = self.counts[call as usize].fetch_add(1, Ordering::SeqCst) + 1;
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let strikes = |(struck, turn, _): &&(Call, Turn, Fault)| {
            *struck == call
                && match *turn {
                    Turn::Nth(nth) => number == nth,
                    Turn::From(first) => number >= first,
                }
        };
        faults.iter().find(strikes).map(|(.., fault)| fault.clone())
    }

    /// Makes a call that moves no bytes.
    fn call<T>(
        &self,
        call: Call,
        run: impl FnOnce() -> Result<T, LakeError>,
    ) -> Result<T, LakeError> {
        match self.next(call) {
            Some(Fault::Fail(error)) => Err(error),
            Some(Fault::LoseAnswer(error)) => run().and(Err(error)),
            Some(Fault::Stall(delay)) => {
                std::thread::sleep(delay);
                run()
            }
            _ => run(),
        }
    }
}

/// A stream with a fault in it.
struct Tampered {
    inner: Box<dyn Read + Send>,
    offset: u64,
    fault: Option<Fault>,
}

impl Read for Tampered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = match self.fault {
            Some(Fault::EndAt(end) | Fault::BreakAt(end)) => end.saturating_sub(self.offset),
            _ => u64::MAX,
        };
        if end == 0 && matches!(self.fault, Some(Fault::BreakAt(_))) {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let most = usize::try_from(end).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.inner.read(&mut buffer[..most])?;
        if let Some(Fault::FlipBitAt(at)) = self.fault
            && let Some(at) = at.checked_sub(self.offset)
            && let Some(byte) = usize::try_from(at).ok().and_then(|at| buffer[..count].get_mut(at))
        {
            *byte ^= 1;
        }
        self.offset += count as u64;
        Ok(count)
    }
}

/// An observer that asks to stop by itself.
struct Cancelling<'a> {
    inner: &'a dyn Observer,
    sent: AtomicU64,
    limit: u64,
}

impl Observer for Cancelling<'_> {
    fn advanced(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::SeqCst);
        self.inner.advanced(bytes);
    }

    fn is_cancelled(&self) -> bool {
        self.sent.load(Ordering::SeqCst) >= self.limit || self.inner.is_cancelled()
    }
}

impl ReadLake for FaultyLake {
    fn url(&self) -> &LakeUrl {
        self.inner.url()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn declaration(&self) -> Result<Declaration, LakeError> {
        self.call(Call::Declaration, || self.inner.declaration())
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<ObjectInfo>, LakeError> {
        self.call(Call::Stat, || self.inner.stat(name))
    }

    fn stat_all(&self, names: &[ObjectName]) -> Vec<Result<Option<ObjectInfo>, LakeError>> {
        names.iter().map(|name| self.stat(name)).collect()
    }

    fn get(&self, name: &ObjectName, from: u64) -> Result<ObjectContent, LakeError> {
        let fault = self.next(Call::Get);
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner).push(from);
        match &fault {
            Some(Fault::Fail(error) | Fault::LoseAnswer(error)) => return Err(error.clone()),
            Some(Fault::Stall(delay)) => std::thread::sleep(*delay),
            _ => {}
        }
        let content = self.inner.get(name, from)?;
        Ok(ObjectContent {
            size: content.size,
            reader: Box::new(Tampered { inner: content.reader, offset: from, fault }),
        })
    }

    fn get_first(&self, name: &ObjectName, count: u64) -> Result<ObjectContent, LakeError> {
        let ObjectContent { size, reader } = self.get(name, 0)?;
        Ok(ObjectContent { size, reader: Box::new(reader.take(count)) })
    }

    fn list(&self) -> Result<Listing, LakeError> {
        self.call(Call::List, || self.inner.list())
    }

    fn features(&self) -> Option<Features> {
        self.inner.features()
    }

    fn place(&self, name: &ObjectName) -> Option<Place> {
        self.inner.place(name)
    }
}

type Open<'a> = Box<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Sync + 'a>;

impl WriteLake for FaultyLake {
    fn put(&self, uploads: &[Upload<'_>], observer: &dyn Observer) -> Vec<Result<Put, LakeError>> {
        let faults: Vec<Option<Fault>> = uploads.iter().map(|_| self.next(Call::Put)).collect();
        let struck = || uploads.iter().zip(&faults);
        let opens: Vec<Open<'_>> = struck().map(|(upload, fault)| tamper(upload, fault)).collect();
        let sent: Vec<Upload<'_>> = struck()
            .zip(&opens)
            .filter(|((_, fault), _)| !matches!(fault, Some(Fault::Fail(_))))
            .map(|((upload, _), open)| Upload { open, verified: None, ..*upload })
            .collect();
        let mut limit = u64::MAX;
        for fault in faults.iter().flatten() {
            match fault {
                Fault::Stall(delay) => std::thread::sleep(*delay),
                Fault::CancelAt(bytes) => limit = limit.min(*bytes),
                _ => {}
            }
        }
        let observer = Cancelling { inner: observer, sent: AtomicU64::new(0), limit };
        let mut results = self.inner.put(&sent, &observer).into_iter();
        let mut answer = || results.next().expect("one result per upload");
        let answers = faults.iter().map(|fault| match fault {
            Some(Fault::Fail(error)) => Err(error.clone()),
            Some(Fault::LoseAnswer(error)) => answer().and(Err(error.clone())),
            _ => answer(),
        });
        answers.collect()
    }

    fn renew(&self, name: &ObjectName) -> Result<(), LakeError> {
        self.call(Call::Renew, || self.inner.renew(name))
    }

    fn copy(&self, name: &ObjectName, size: u64, from: &Place) -> Result<Option<Put>, LakeError> {
        self.call(Call::Copy, || self.inner.copy(name, size, from))
    }
}

fn tamper<'a>(upload: &'a Upload<'a>, fault: &'a Option<Fault>) -> Open<'a> {
    Box::new(move || {
        Ok(Box::new(Tampered { inner: (upload.open)()?, offset: 0, fault: fault.clone() }))
    })
}

impl AdminLake for FaultyLake {
    fn declare(
        &self,
        wanted: Option<HashName>,
        creation: Creation,
    ) -> Result<Declaration, LakeError> {
        self.call(Call::Declare, || self.inner.declare(wanted, creation))
    }

    fn check_writable(&self) -> Result<(), LakeError> {
        self.call(Call::CheckWritable, || self.inner.check_writable())
    }

    fn replace(&self, upload: &Upload<'_>, observer: &dyn Observer) -> Result<Replaced, LakeError> {
        self.call(Call::Replace, || self.inner.replace(upload, observer))
    }

    fn survey(&self) -> Result<Survey, LakeError> {
        self.call(Call::List, || self.inner.survey())
    }

    fn unfinished(&self) -> Result<Vec<ObjectInfo>, LakeError> {
        self.call(Call::List, || self.inner.unfinished())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::contract::{self, Declares, Sample, Subject};
    use crate::lake::memory::MemoryLake;
    use crate::lake::{LakeError, Unobserved};

    fn url() -> LakeUrl {
        LakeUrl::parse("s3://memory/lake").expect("an address")
    }

    fn lake() -> FaultyLake {
        let inner = MemoryLake::declared(url(), HashName::Sha256);
        FaultyLake::new(Arc::new(inner))
    }

    fn busy() -> LakeError {
        LakeError::Busy { url: url(), after: None }
    }

    fn read(lake: &FaultyLake, sample: &Sample) -> io::Result<Vec<u8>> {
        let mut content = lake.get(sample.name(), 0).expect("opens");
        let mut bytes = Vec::new();
        content.reader.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn without_faults_it_keeps_the_contract() {
        contract::check_all(&|| {
            let inner = Arc::new(MemoryLake::new(url()));
            let (planted, kept) = (inner.clone(), inner.clone());
            let lake: Arc<FaultyLake> = Arc::new(FaultyLake::new(inner));
            let again = lake.clone();
            Subject {
                neighbour: None,
                declares: Declares::Must,
                has_one_creator: true,
                lake,
                reopen: Box::new(move || again.clone()),
                aside: Box::new(move || kept.aside()),
                plant: Box::new(move |name, bytes| planted.plant(name, bytes)),
            }
        });
    }

    #[test]
    fn the_nth_call_fails_and_the_others_do_not() {
        let (lake, sample) = (lake(), Sample::new(b"abc"));
        lake.inject(Call::Stat, Turn::Nth(2), Fault::Fail(busy()));
        lake.stat(sample.name()).expect("the first");
        lake.stat(sample.name()).expect_err("the second");
        lake.stat(sample.name()).expect("the third");
        assert_eq!(lake.count(Call::Stat), 3);
        lake.inject(Call::Stat, Turn::From(1), Fault::Fail(busy()));
        lake.stat(sample.name()).expect_err("from now on");
        lake.heal();
        lake.stat(sample.name()).expect("healed");
    }

    #[test]
    fn streams_end_break_and_lie_where_they_are_told_to() {
        let (lake, sample) = (lake(), Sample::new(b"abcdef"));
        sample.put(&lake).expect("puts");
        lake.inject(Call::Get, Turn::Nth(1), Fault::EndAt(2));
        lake.inject(Call::Get, Turn::Nth(2), Fault::BreakAt(3));
        lake.inject(Call::Get, Turn::Nth(3), Fault::FlipBitAt(4));
        assert_eq!(read(&lake, &sample).expect("ends"), b"ab");
        read(&lake, &sample).expect_err("breaks");
        assert_eq!(read(&lake, &sample).expect("lies"), b"abcddf");
        assert_eq!(read(&lake, &sample).expect("is well"), b"abcdef");
    }

    #[test]
    fn an_upload_with_a_fault_fails_alone() {
        let lake = lake();
        let samples = [b"one", b"two", b"six", b"ten"].map(|bytes| Sample::new(bytes));
        lake.inject(Call::Put, Turn::Nth(1), Fault::Fail(busy()));
        lake.inject(Call::Put, Turn::Nth(2), Fault::FlipBitAt(0));
        lake.inject(Call::Put, Turn::Nth(3), Fault::LoseAnswer(busy()));
        let results = Sample::put_all(&samples, &lake, &Unobserved);
        assert!(matches!(results[0], Err(LakeError::Busy { .. })));
        assert!(matches!(results[1], Err(LakeError::SourceChanged { .. })));
        assert!(matches!(results[2], Err(LakeError::Busy { .. })));
        assert!(matches!(results[3], Ok(Put::Created)));
        let there = samples.map(|sample| lake.stat(sample.name()).expect("asks").is_some());
        assert_eq!(there, [false, false, true, true]);
    }

    #[test]
    fn an_upload_is_cancelled_halfway() {
        let (lake, sample) = (lake(), Sample::new(&[7; 200_000]));
        lake.inject(Call::Put, Turn::Nth(1), Fault::CancelAt(70_000));
        assert!(matches!(sample.put(&lake), Err(LakeError::Cancelled)));
        assert_eq!(lake.stat(sample.name()).expect("asks"), None);
        sample.put(&lake).expect("puts");
    }
}
