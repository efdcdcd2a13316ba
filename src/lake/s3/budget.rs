//! How many bytes of objects this process holds in memory at once, all transfers together.

use std::sync::LazyLock;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes that parts on their way may take.
const BYTES: u64 = 64 << 20;
/// Permits are given for so many bytes each.
const UNIT_BYTES: u64 = 64 << 10;

static PERMITS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new((BYTES / UNIT_BYTES) as usize));

/// Room in memory, given back when dropped.
pub(super) type Room = SemaphorePermit<'static>;

/// A piece larger than all the room there is takes all of it, and is alone.
fn units(bytes: u64) -> u32 {
    let units = bytes.min(BYTES).div_ceil(UNIT_BYTES);
    u32::try_from(units).expect("the room is counted in few units")
}

/// Waits for room. Whoever holds some must not wait for more.
pub(super) async fn take(bytes: u64) -> Room {
    PERMITS.acquire_many(units(bytes)).await.expect("it is never closed")
}

/// Takes room if there is some right now.
pub(super) fn try_take(bytes: u64) -> Option<Room> {
    PERMITS.try_acquire_many(units(bytes)).ok()
}
