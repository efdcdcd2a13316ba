//! How many bytes of objects this process holds in memory at once, all transfers together.
//!
//! Parts to be sent and ranges that were read ahead have rooms of their own: an upload may be read from
//! another bucket, and would wait for ever for room that only its own reader could give back.

use std::sync::{LazyLock, Mutex};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes that parts on their way may take in each direction.
const BYTES: u64 = 64 << 20;
/// Permits are given for so many bytes each.
const UNIT_BYTES: u64 = 64 << 10;
/// Buffers of this size and more are used again: allocators keep what they are given back, each
/// thread's for itself, and in the end hold several times the room.
const REUSED_BYTES: usize = 256 << 10;
/// How many buffers wait for their next use.
const REUSED_COUNT: usize = 8;

static OUTWARD: LazyLock<Semaphore> = LazyLock::new(room);
static INWARD: LazyLock<Semaphore> = LazyLock::new(room);
static REUSED: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Room in memory, given back when dropped.
pub(super) type Room = SemaphorePermit<'static>;

fn room() -> Semaphore {
    Semaphore::new((BYTES / UNIT_BYTES) as usize)
}

/// A piece larger than all the room there is takes all of it, and is alone.
fn units(bytes: u64) -> u32 {
    let units = bytes.min(BYTES).div_ceil(UNIT_BYTES);
    u32::try_from(units).expect("the room is counted in few units")
}

/// Takes room for what is read ahead, if there is some right now.
pub(super) fn try_take(bytes: u64) -> Option<Room> {
    INWARD.try_acquire_many(units(bytes)).ok()
}

/// Memory for one piece to be sent, with the room that it takes.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    _room: Room,
}

impl Buffer {
    /// Waits for room for a piece of `size` bytes, whatever they are. Whoever holds a buffer must not
    /// wait for another.
    pub(super) async fn take(size: usize) -> Self {
        let room = OUTWARD.acquire_many(units(size as u64)).await.expect("it is never closed");
        let reused = (size >= REUSED_BYTES).then(|| REUSED.lock().expect("no holder panics").pop());
        let mut bytes = reused.flatten().unwrap_or_default();
        bytes.resize(size, 0);
        Self { bytes, _room: room }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes.len() >= REUSED_BYTES {
            let mut reused = REUSED.lock().expect("no holder panics");
            if reused.len() < REUSED_COUNT {
                reused.push(std::mem::take(&mut self.bytes));
            }
        }
    }
}
