//! A proxy before any S3 server, in which the same goes wrong on request as in that of the tests.
//!
//! Requests are passed on as they came. Clients sign for the host that they ask, which is the proxy's,
//! and servers verify signatures by the `Host` that they are told, so keys work through it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use s3s::{Body, StdError};
use tokio::net::TcpStream;

use super::faults::Fault;
use super::gate::{Gate, Port, RequestBody};
use super::recorded::Recorded;

/// A running proxy; it stops when dropped.
pub(crate) struct Proxy {
    port: Port,
    gate: Arc<Gate>,
}

impl Proxy {
    /// Starts a proxy before the server, which is given as host and port.
    pub(crate) fn to(server: &str) -> Self {
        let (gate, server) = (Arc::<Gate>::default(), Arc::<str>::from(server));
        let passing = Arc::clone(&gate);
        let port = Port::open(Ipv4Addr::LOCALHOST, 1, move |request| {
            let (gate, server) = (Arc::clone(&passing), Arc::clone(&server));
            async move { gate.pass(request, |_, request| forward(server, request)).await }
        });
        Self { port, gate }
    }

    /// Returns address and port, such as `127.0.0.1:1234`.
    pub(crate) fn host(&self) -> String {
        self.port.host()
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
