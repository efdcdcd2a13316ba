//! How many bytes of objects this process holds in memory at once, all transfers together.
//!
//! Parts to be sent and ranges that were read ahead have rooms of their own: an upload may be read from
//! another bucket, and would wait for ever for room that only its own reader could give back.

use std::sync::LazyLock;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes that parts on their way may take in each direction.
const BYTES: u64 = 64 << 20;
/// Permits are given for so many bytes each.
const UNIT_BYTES: u64 = 64 << 10;

static OUTWARD: LazyLock<Semaphore> = LazyLock::new(room);
static INWARD: LazyLock<Semaphore> = LazyLock::new(room);

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

/// Waits for room for what is sent. Whoever holds some must not wait for more.
pub(super) async fn take(bytes: u64) -> Room {
    OUTWARD.acquire_many(units(bytes)).await.expect("it is never closed")
}

/// Takes room for what is read ahead, if there is some right now.
pub(super) fn try_take(bytes: u64) -> Option<Room> {
    INWARD.try_acquire_many(units(bytes)).ok()
}
