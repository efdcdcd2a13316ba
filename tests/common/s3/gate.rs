//! What every request passes on its way to whoever answers it: it is recorded, and perhaps spoilt.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use s3s::{Body, StdError};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::faults::{Fault, Faults};
use super::recorded::{Log, Recorded};

/// Records requests and spoils some.
#[derive(Default)]
pub(super) struct Gate {
    pub(super) log: Log,
    pub(super) faults: Faults,
}

impl Gate {
    /// Lets a request pass to `answer`; an error closes the connection without an answer.
    pub(super) async fn pass<F>(
        &self,
        request: Request<Incoming>,
        answer: impl FnOnce(Recorded, Request<RequestBody>) -> F,
    ) -> Result<Response<Body>, StdError>
    where
        F: Future<Output = Result<Response<Body>, StdError>>,
    {
        let (parts, incoming) = request.into_parts();
        let recorded = Recorded::new(&parts);
        let asks_for_leave = recorded.headers.contains_key("expect");
        let body = RequestBody::new(incoming);
        self.log.add(recorded.clone(), body.received.clone());
        let fault = self.faults.meet(&recorded);
        match &fault {
            Some(Fault::Reset) => return Err("reset before the body".into()),
            Some(Fault::Stall) => std::future::pending().await,
            Some(Fault::Delay(delay)) => tokio::time::sleep(*delay).await,
            Some(Fault::ResetInRequestBody(bytes)) => {
                body.clone().drain(*bytes).await;
                return Err("reset in the body".into());
            }
            Some(Fault::ResetAfterRequestBody) => {
                body.clone().drain(u64::MAX).await;
                return Err("reset after the body".into());
            }
            _ => {}
        }
        let replaced = fault.as_ref().and_then(|fault| fault.answer(&recorded));
        let answer = match replaced {
            Some(answer) => answer,
            None => answer(recorded, Request::from_parts(parts, body.clone())).await?,
        };
        // Who asks for leave to send the body is told no without reading it. To all others an
        // answer before the end of the body would look like a broken connection.
        let has_begun = body.received.load(Ordering::SeqCst) > 0;
        if has_begun || !asks_for_leave {
            body.drain(u64::MAX).await;
        }
        match &fault {
            Some(Fault::LoseAnswer) => Err("reset after the request was done".into()),
            Some(fault) => fault.spoil(answer).await,
            None => Ok(answer),
        }
    }
}

/// A free port at which requests are answered until this is dropped.
pub(super) struct Port {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Port {
    /// Accepts connections at an address, on so many threads.
    pub(super) fn open<F>(
        address: impl Into<IpAddr>,
        threads: usize,
        answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Response<Body>, StdError>> + Send + 'static,
    {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(threads).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((address.into(), 0))).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                stream.set_nodelay(true).unwrap();
                let service = service_fn(answer.clone());
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, runtime: Some(runtime) }
    }

    /// Returns address and port, such as `127.0.0.1:1234`.
    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // Requests that wait end here, and the port is closed when this returns.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(10));
        }
    }
}

/// The body of a request. Of its clones whoever answers reads one, and what it left the gate reads.
#[derive(Clone)]
pub(super) struct RequestBody {
    incoming: Arc<Mutex<Option<Incoming>>>,
    received: Arc<AtomicU64>,
}

impl RequestBody {
    fn new(incoming: Incoming) -> Self {
        Self { incoming: Arc::new(Mutex::new(Some(incoming))), received: Arc::default() }
    }

    /// Reads to the end, or until so many bytes have come.
    async fn drain(mut self, most: u64) {
        while self.received.load(Ordering::SeqCst) < most {
            let Some(Ok(_)) = self.frame().await else { return };
        }
    }
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut incoming = self.incoming.lock().unwrap();
        let Some(body) = incoming.as_mut() else { return Poll::Ready(None) };
        let frame = std::task::ready!(Pin::new(body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.received.fetch_add(length as u64, Ordering::SeqCst);
            }
            _ => *incoming = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.lock().unwrap().as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let incoming = self.incoming.lock().unwrap();
        incoming.as_ref().map_or(SizeHint::with_exact(0), |body| body.size_hint())
    }
}
