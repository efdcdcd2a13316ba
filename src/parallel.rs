//! The same work for many things, on several threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Does something for each number below `count`, at most `threads` at once; returns the results in
/// order. The calling thread takes part.
///
/// # Panics
/// If `act` does.
pub fn map<T: Send>(threads: usize, count: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(count));
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return;
            }
            let result = act(at);
            results.lock().expect("no holder panics").push((at, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(count) {
            scope.spawn(work);
        }
        work();
    });
    let mut results = results.into_inner().expect("no holder panics");
    results.sort_unstable_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whoever_is_first() {
        for threads in [0, 1, 3, 100] {
            let found = map(threads, 50, |at| {
                if at % 7 == 0 {
                    std::thread::yield_now();
                }
                at * 2
            });
            assert_eq!(found, (0..50).map(|at| at * 2).collect::<Vec<_>>());
        }
        assert!(map(4, 0, |at| at).is_empty());
    }

    #[test]
    fn several_run_at_once() {
        // Each waits until all have come, which one thread alone would do for ever.
        let barrier = std::sync::Barrier::new(3);
        let leaders = map(3, 3, |_| barrier.wait().is_leader());
        assert_eq!(leaders.iter().filter(|is_leader| **is_leader).count(), 1);
    }
}
