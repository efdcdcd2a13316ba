//! No more bytes a second than the user wants, all transfers of this process together.
//!
//! [`Bucket`] decides and has no clock; [`Throttle`] has one, and waits. Bytes count as they are read:
//! from the store on their way up, from the lake on their way down.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Cancel;

/// A bucket of tokens, one for each byte, that fills evenly.
#[derive(Debug, Clone)]
pub struct Bucket {
    bytes_per_second: u64,
    /// Below 0 while bytes were taken that are still to be waited for.
    level: f64,
    filled: Duration,
}

impl Bucket {
    /// Returns a full bucket; it holds what a quarter of a second brings.
    pub fn new(bytes_per_second: u64) -> Self {
        let bytes_per_second = bytes_per_second.max(1);
        Self { bytes_per_second, level: bytes_per_second as f64 / 4.0, filled: Duration::ZERO }
    }

    /// Takes tokens and returns how long to wait for them. Times count from any one moment.
    pub fn take(&mut self, bytes: u64, now: Duration) -> Duration {
        let rate = self.bytes_per_second as f64;
        let since = now.saturating_sub(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        self.level = (self.level + since * rate).min(rate / 4.0) - bytes as f64;
        Duration::try_from_secs_f64(-self.level / rate).unwrap_or_default()
    }
}

/// Slows readers down; clones share one bucket.
#[derive(Debug, Clone)]
pub struct Throttle {
    bucket: Arc<Mutex<Bucket>>,
    start: Instant,
    /// Most bytes of one read, so that a slow line is slow evenly.
    piece: usize,
}

impl Throttle {
    /// Lets so many bytes through each second.
    pub fn new(bytes_per_second: u64) -> Self {
        let piece = usize::try_from(bytes_per_second / 4).unwrap_or(usize::MAX).max(1 << 10);
        let bucket = Arc::new(Mutex::new(Bucket::new(bytes_per_second)));
        Self { bucket, start: Instant::now(), piece }
    }

    /// Returns a reader of the same bytes that is no faster, all of them together; it ends with an error
    /// once somebody asks to stop.
    pub fn slow(&self, inner: Box<dyn Read + Send>, cancel: &Cancel) -> Box<dyn Read + Send> {
        Box::new(Slow { inner, throttle: self.clone(), cancel: cancel.clone() })
    }
}

struct Slow {
    inner: Box<dyn Read + Send>,
    throttle: Throttle,
    cancel: Cancel,
}

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.throttle.piece);
        let count = self.inner.read(&mut buffer[..most])?;
        let now = self.throttle.start.elapsed();
        let wait = self.throttle.bucket.lock().expect("no holder panics").take(count as u64, now);
        if !self.cancel.sleep(wait) {
            return Err(io::Error::other("interrupted"));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_waited_for_and_idle_time_is_not_saved_up() {
        let ms = Duration::from_millis;
        let mut bucket = Bucket::new(1000);
        let table = [
            // bytes, at, wait
            (250, 0, 0),
            (100, 0, 100),
            // Another one queues behind it.
            (100, 50, 150),
            (0, 200, 0),
            (100, 200, 100),
            // An hour later there is a quarter of a second's worth, no more.
            (350, 3_600_000, 100),
            // A clock that goes back brings nothing.
            (100, 0, 200),
        ];
        for (bytes, at, wait) in table {
            let told = bucket.take(bytes, ms(at));
            assert_eq!(told.as_micros().div_ceil(1000), wait, "{bytes} at {at}");
        }
    }

    #[test]
    fn a_reader_is_slowed_down_and_stops_when_asked_to() {
        let throttle = Throttle::new(100_000);
        let cancel = Cancel::default();
        let slow = |bytes: usize| {
            let content = Box::new(io::Cursor::new(vec![7; bytes]));
            throttle.slow(content, &cancel)
        };
        let begun = Instant::now();
        let mut bytes = Vec::new();
        slow(35_000).read_to_end(&mut bytes).expect("reads");
        assert_eq!(bytes, vec![7; 35_000]);
        assert!(begun.elapsed() >= Duration::from_millis(95), "{:?}", begun.elapsed());
        cancel.cancel();
        slow(35_000).read_to_end(&mut bytes).expect_err("stops");
    }
}
