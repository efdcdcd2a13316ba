//! The one asynchronous runtime, made at the first request to a server.
//!
//! A process that talks to no server starts no thread and opens no poller. Callers are plain threads:
//! each drives its own request, the runtime's workers drive the connections.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that drive connections; requests themselves run on the threads that ask.
const WORKERS: usize = 2;

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(WORKERS).thread_name("lake-s3").enable_io().enable_time();
        builder.build().expect("a process can start two threads and a poller")
    })
}

/// Runs a future to its end on this thread, which must not be one of the runtime's.
///
/// What is uploaded may be read from another bucket while the upload is driven by the same thread,
/// so this may happen within itself.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::task::block_in_place(|| runtime().block_on(future))
}

/// Returns a handle that starts tasks of their own.
pub(super) fn handle() -> Handle {
    runtime().handle().clone()
}
