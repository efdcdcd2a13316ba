//! A proxy before any S3 server, in which the same goes wrong on request as in that of the tests.
//!
//! Requests are passed on as they came. Clients sign for the host that they ask, which is the proxy's,
//! and servers verify signatures by the `Host` that they are told, so keys work through it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use s3s::{Body, StdError};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::faults::Fault;
use super::gate::{self, Gate, RequestBody};
use super::recorded::Recorded;

/// A running proxy; it stops when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    gate: Arc<Gate>,
    runtime: Option<Runtime>,
}

impl Proxy {
    /// Starts a proxy before the server, which is given as host and port.
    pub(crate) fn to(server: &str) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let (gate, server) = (Arc::<Gate>::default(), Arc::<str>::from(server));
        let passing = Arc::clone(&gate);
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let address = gate::serve(&runtime, address, move |request| {
            let (gate, server) = (Arc::clone(&passing), Arc::clone(&server));
            async move { gate.pass(request, |_, request| forward(server, request)).await }
        });
        Self { address, gate, runtime: Some(runtime) }
    }

    /// Returns address and port, such as `127.0.0.1:1234`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns all requests and forgets them.
    pub(crate) fn take_requests(&self) -> Vec<Recorded> {
        self.gate.log.take()
    }

    /// Makes the next requests that match meet a fault; of several faults the first one added.
    pub(crate) fn fault(
        &self,
        matches: impl Fn(&Recorded) -> bool + Send + 'static,
        times: usize,
        fault: Fault,
    ) {
        self.gate.faults.add(matches, times, fault);
    }

    /// Lets a rule say what each request meets that no fault before it strikes.
    pub(crate) fn plan(&self, rule: impl FnMut(&Recorded) -> Option<Fault> + Send + 'static) {
        self.gate.faults.plan(rule);
    }

    /// Lets nothing go wrong any more; requests that stand still stay so.
    pub(crate) fn heal(&self) {
        self.gate.faults.clear();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Requests that wait end here, and the port is closed when this returns.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(10));
        }
    }
}

/// Sends a request to the server, on a connection of its own.
async fn forward(
    server: Arc<str>,
    request: Request<RequestBody>,
) -> Result<Response<Body>, StdError> {
    let stream = TcpStream::connect(&*server).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    Ok(answer.map(Body::http_body_unsync))
}
