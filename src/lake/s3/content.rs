//! Reading an object: one request for what is small, several ranges at once for what is large.
//!
//! The first request asks for one part; its answer tells how much there is. Further ranges are fetched
//! ahead by tasks of their own, each into memory, and handed out in order, so whoever reads can hash
//! and write as the frontier advances. How far ahead depends on the room in memory that all transfers
//! share. A range whose connection breaks is asked for again from where it broke.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::failure::{Doing, Refusal, Trouble};
use super::host::Host;
use super::runtime::{self, block_on};
use super::{Limits, S3Lake, budget};
use crate::lake::{LakeError, ObjectContent};
use crate::object_name::ObjectName;

/// Ranges of one object that are fetched at once.
const RANGES_AT_ONCE: usize = 4;
/// How often a range goes on after its connection broke.
const ATTEMPTS: u32 = 3;
/// A connection that brought so much was worth it, however it ended: attempts are counted anew.
const WORTH_BYTES: u64 = 256 << 10;
/// Slowest answer that is not given up, in bytes a second.
const SLOWEST_BYTES: f64 = 1024.0;

/// Opens an object; see [`crate::lake::ReadLake::get`].
pub(super) fn get(lake: &S3Lake, name: &ObjectName, from: u64) -> Result<ObjectContent, LakeError> {
    let object = Arc::new(Object {
        host: Arc::clone(&lake.server.host),
        bucket: lake.bucket.clone(),
        key: lake.key(name),
    });
    let part = lake.server.limits.part_bytes;
    let opened = block_on(async {
        match object.ask(from, from.saturating_add(part - 1), None).await {
            Ok(output) => Ok(Some(output)),
            // Nothing lies behind that byte; how much lies before is another question.
            Err(trouble) if trouble.says(|refusal| refusal.status == 416) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    });
    let reading = |mut trouble: Trouble| {
        if trouble.says(Refusal::is_nowhere)
            && let Err(other) = block_on(lake.reach())
        {
            trouble = other;
        }
        lake.error(trouble, Doing::Reading(name))
    };
    let Some(output) = opened.map_err(reading)? else {
        let head = block_on(lake.head(&object.key)).map_err(reading)?;
        let absent = || LakeError::Absent { object: lake.url.source(name.clone()) };
        let size = head.ok_or_else(absent)?.info.size;
        return Ok(ObjectContent { size, reader: Box::new(io::empty()) });
    };
    lake.learned.has_ranges.get_or_init(|| output.content_range().is_some());
    let answer = Answer::of(&output, from).map_err(reading)?;
    let etag = output.e_tag().map(Box::<str>::from);
    let first = Piecewise {
        object: Arc::clone(&object),
        body: Some(Body::of(output.body, lake.server.limits)),
        at: answer.first,
        end: answer.end,
        skip: from.saturating_sub(answer.first),
        etag: etag.clone(),
        attempts: 0,
    };
    let reader = Ranges {
        object,
        etag,
        part,
        next: answer.end,
        size: answer.size,
        current: Some(Source::Here(Box::new(first))),
        ahead: VecDeque::new(),
        piece: Bytes::new(),
        is_broken: false,
    };
    Ok(ObjectContent { size: answer.size, reader: Box::new(reader) })
}

/// Opens the beginning of an object; see [`crate::lake::ReadLake::get_first`].
pub(super) fn get_first(
    lake: &S3Lake,
    name: &ObjectName,
    count: u64,
) -> Result<ObjectContent, LakeError> {
    let (host, bucket, key) = (Arc::clone(&lake.server.host), lake.bucket.clone(), lake.key(name));
    let object = Arc::new(Object { host, bucket, key });
    let opened = block_on(object.ask(0, count.max(1) - 1, None)).and_then(|output| {
        let answer = Answer::of(&output, 0)?;
        let body = Body::of(output.body, lake.server.limits);
        Ok((answer, body))
    });
    let (Answer { end, size, .. }, body) =
        opened.map_err(|trouble| lake.error(trouble, Doing::Reading(name)))?;
    let first = Piecewise {
        object: Arc::clone(&object),
        body: Some(body),
        at: 0,
        end,
        skip: 0,
        etag: None,
        attempts: 0,
    };
    let reader = Ranges {
        object,
        etag: None,
        part: count,
        // Nothing is looked ahead for, and a server that sends all is read no further than wanted.
        next: size,
        size,
        current: Some(Source::Here(Box::new(first))),
        ahead: VecDeque::new(),
        piece: Bytes::new(),
        is_broken: false,
    };
    Ok(ObjectContent { size, reader: Box::new(reader.take(count)) })
}

/// Which object is read, for tasks that outlive the call.
struct Object {
    host: Arc<Host>,
    bucket: String,
    key: String,
}

impl Object {
    /// Asks for the bytes from `first` to `last`, both included.
    async fn ask(
        &self,
        first: u64,
        last: u64,
        etag: Option<&str>,
    ) -> Result<GetObjectOutput, Trouble> {
        let range = format!("bytes={first}-{last}");
        let asked = self.host.call(|client| {
            let request = client.get_object().bucket(&self.bucket).key(&self.key);
            request.range(&range).set_if_match(etag.map(str::to_owned)).send()
        });
        asked.await
    }
}

/// Which bytes an answer brings, of how many.
struct Answer {
    first: u64,
    /// Behind the last byte.
    end: u64,
    size: u64,
}

impl Answer {
    fn of(output: &GetObjectOutput, from: u64) -> Result<Self, Trouble> {
        let unusable = |text: &str| Trouble::Network(text.into());
        let length = output.content_length().and_then(|length| u64::try_from(length).ok());
        let length = length.ok_or_else(|| unusable("An answer tells no length"))?;
        let Some(range) = output.content_range() else {
            // The server knows no ranges, and sends all.
            return Ok(Self { first: 0, end: length, size: length });
        };
        let parsed = parse_range(range).filter(|answer| {
            answer.first == from && answer.end - answer.first == length && answer.end <= answer.size
        });
        parsed.ok_or_else(|| unusable("An answer brings other bytes than those asked for"))
    }
}

/// Parses `bytes 0-9/10`.
fn parse_range(text: &str) -> Option<Answer> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let end = last.checked_add(1).filter(|end| *end > first)?;
    Some(Answer { first, end, size: size.parse().ok()? })
}

/// One range of an object, read piece by piece; a connection that breaks is made again.
struct Piecewise {
    object: Arc<Object>,
    body: Option<Body>,
    /// The next byte to arrive.
    at: u64,
    end: u64,
    /// Bytes that come although they were not asked for.
    skip: u64,
    etag: Option<Box<str>>,
    /// Connections that broke before they had brought much. Counting them for each piece would let a
    /// server go on forever, a byte at a time.
    attempts: u32,
}

/// The rest of an answer.
struct Body {
    stream: ByteStream,
    /// How much longer it may be waited for. What arrives adds to it, so that only an answer that is
    /// too slow for a while uses it up.
    patience: Duration,
    longest_patience: Duration,
    arrived: u64,
}

impl Body {
    fn of(stream: ByteStream, limits: Limits) -> Self {
        let patience = limits.stall * 2;
        Self { stream, patience, longest_patience: patience, arrived: 0 }
    }

    /// Returns the next bytes; `None` at the end.
    async fn next(&mut self, host: &Host) -> Result<Option<Bytes>, Trouble> {
        let begun = Instant::now();
        let next = tokio::time::timeout(host.limits.stall.min(self.patience), self.stream.next());
        let next = host.unless_stopped(next).await?;
        self.patience = self.patience.saturating_sub(begun.elapsed());
        match next {
            Ok(Some(Ok(bytes))) => {
                self.arrived += bytes.len() as u64;
                let earned = Duration::from_secs_f64(bytes.len() as f64 / SLOWEST_BYTES);
                self.patience = (self.patience + earned).min(self.longest_patience);
                Ok(Some(bytes))
            }
            Ok(Some(Err(error))) => Err(Trouble::Network(super::failure::deepest(&error).into())),
            Ok(None) => Ok(None),
            Err(_) if self.patience.is_zero() => {
                Err(Trouble::Network("Too little arrived for too long".into()))
            }
            Err(_) => Err(Trouble::Network("Nothing arrived for too long".into())),
        }
    }
}

impl Piecewise {
    /// Returns the next bytes; `None` at the end of the range.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while self.at < self.end {
            let trouble = match self.read().await {
                Ok(mut bytes) => {
                    self.at += bytes.len() as u64;
                    let skipped = self.skip.min(bytes.len() as u64);
                    self.skip -= skipped;
                    bytes.advance(usize::try_from(skipped).expect("no more than there is"));
                    if bytes.is_empty() {
                        continue;
                    }
                    return Ok(Some(bytes));
                }
                Err(trouble) => trouble,
            };
            let ended = self.body.take();
            if ended.is_some_and(|body| body.arrived >= WORTH_BYTES) {
                self.attempts = 0;
            }
            self.attempts += 1;
            let may_pass = matches!(trouble, Trouble::Network(_));
            if self.attempts >= ATTEMPTS || !may_pass {
                return Err(io::Error::other(match trouble {
                    Trouble::Network(text) | Trouble::Settings(text) | Trouble::Keys(text) => {
                        String::from(text)
                    }
                    Trouble::Refused(refusal) => refused(&refusal),
                    Trouble::Stopped => "Interrupted".to_owned(),
                }));
            }
        }
        Ok(None)
    }

    async fn read(&mut self) -> Result<Bytes, Trouble> {
        let body = match &mut self.body {
            Some(body) => body,
            None => {
                let output = self.object.ask(self.at, self.end - 1, self.etag.as_deref()).await?;
                let answer = Answer::of(&output, self.at)?;
                if answer.first > self.at || answer.end != self.end {
                    return Err(Trouble::Settings("The object changed while it was read".into()));
                }
                // A server that knows no ranges begins anew.
                self.skip += self.at - answer.first;
                self.at = answer.first;
                self.body.insert(Body::of(output.body, self.object.host.limits))
            }
        };
        match body.next(&self.object.host).await? {
            Some(bytes) if bytes.len() as u64 <= self.end - self.at => Ok(bytes),
            Some(_) => Err(Trouble::Network("More bytes came than announced".into())),
            None => Err(Trouble::Network("The connection ended too early".into())),
        }
    }
}

fn refused(refusal: &Refusal) -> String {
    format!("The server answered {} `{}`", refusal.status, refusal.code)
}

/// An object's bytes in order, some ranges of it ahead of the reader.
struct Ranges {
    object: Arc<Object>,
    etag: Option<Box<str>>,
    part: u64,
    /// The first byte that no range was begun for.
    next: u64,
    size: u64,
    current: Option<Source>,
    ahead: VecDeque<(Pieces, budget::Room)>,
    piece: Bytes,
    /// Some bytes could not be had, so those behind them must not follow.
    is_broken: bool,
}

enum Source {
    /// Driven by whoever reads.
    Here(Box<Piecewise>),
    /// Driven by a task, with the room that its bytes take.
    Task(Pieces, #[expect(dead_code, reason = "it is held, not read")] budget::Room),
}

type Pieces = UnboundedReceiver<io::Result<Bytes>>;

impl Ranges {
    /// Begins ranges ahead of the reader, as far as there is room.
    fn look_ahead(&mut self) {
        while self.next < self.size && self.ahead.len() < RANGES_AT_ONCE - 1 {
            let Some(room) = budget::try_take(self.part) else { return };
            let range = self.begin();
            // Never more pieces than the range has bytes, for which there is room.
            let (sender, receiver) = unbounded_channel();
            runtime::handle().spawn(pump(range, sender));
            self.ahead.push_back((receiver, room));
        }
    }

    fn begin(&mut self) -> Piecewise {
        let end = self.next.saturating_add(self.part).min(self.size);
        let at = std::mem::replace(&mut self.next, end);
        let (object, etag) = (Arc::clone(&self.object), self.etag.clone());
        Piecewise { object, body: None, at, end, skip: 0, etag, attempts: 0 }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other("Reading broke off before"));
        }
        while self.piece.is_empty() {
            self.look_ahead();
            let next = match &mut self.current {
                None => return Ok(()),
                Some(Source::Here(range)) => block_on(range.next()).transpose(),
                Some(Source::Task(receiver, _)) => block_on(receiver.recv()),
            };
            match next {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => {
                    self.is_broken = true;
                    return Err(error);
                }
                None => {
                    self.current = match self.ahead.pop_front() {
                        Some((receiver, room)) => Some(Source::Task(receiver, room)),
                        // There was no room to look ahead; the reader itself goes on.
                        None if self.next < self.size => Some(Source::Here(Box::new(self.begin()))),
                        None => None,
                    };
                }
            }
        }
        Ok(())
    }
}

async fn pump(mut range: Piecewise, sender: UnboundedSender<io::Result<Bytes>>) {
    while let Some(piece) = range.next().await.transpose() {
        let is_last = piece.is_err();
        if sender.send(piece).is_err() || is_last {
            return;
        }
    }
}

impl Read for Ranges {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        let count = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed_strictly() {
        let good = parse_range("bytes 5-9/10").expect("a range");
        assert_eq!((good.first, good.end, good.size), (5, 10, 10));
        for bad in ["bytes */10", "bytes 9-5/10", "5-9/10", "bytes 0-9/*", "bytes 0--1/10"] {
            assert!(parse_range(bad).is_none(), "{bad}");
        }
    }
}
