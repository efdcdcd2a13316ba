//! The way of a request: recorded, perhaps spoilt, and then to the storage.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::{Request, Response};
use s3s::service::S3Service;
use s3s::{Body, StdError};

use super::faults::{self, Fault, Faults};
use super::recorded::{Log, Recorded};
use super::storage::Shared;

/// Seconds that the times of a request and of the server may be apart.
const MAX_SKEW_SECONDS: i64 = 15 * 60;

/// What stands between the wire and the storage.
pub(super) struct Front {
    pub(super) s3: S3Service,
    pub(super) state: Shared,
    pub(super) log: Log,
    pub(super) faults: Faults,
}

impl Front {
    /// Answers a request; an error closes the connection without an answer.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, StdError> {
        let (parts, incoming) = request.into_parts();
        let recorded = Recorded::new(&parts);
        let body = RequestBody::new(incoming);
        self.log.add(recorded.clone(), body.received.clone());
        let fault = self.faults.meet(&recorded);
        match &fault {
            Some(Fault::Reset) => return Err("reset before the body".into()),
            Some(Fault::Stall) => std::future::pending().await,
            Some(Fault::Delay(delay)) => tokio::time::sleep(*delay).await,
            Some(Fault::ResetAfterRequestBody) => {
                body.clone().drain().await;
                return Err("reset after the body".into());
            }
            _ => {}
        }
        let replaced = fault.as_ref().and_then(|fault| fault.answer(&recorded));
        let mut answer = match replaced.or_else(|| self.refusal(&recorded)) {
            Some(answer) => answer,
            None => {
                let request = Request::from_parts(parts, Body::http_body(body.clone()));
                self.s3.call(request).await?
            }
        };
        // Who asks for leave to send the body is told no without reading it. To all others an
        // answer before the end of the body would look like a broken connection.
        let has_begun = body.received.load(Ordering::SeqCst) > 0;
        if has_begun || !recorded.headers.contains_key("expect") {
            body.drain().await;
        }
        match &fault {
            Some(Fault::LoseAnswer) => return Err("reset after the request was done".into()),
            Some(fault) => answer = fault.spoil(answer).await?,
            None => {}
        }
        let ahead = self.state.lock().unwrap().behaviour.clock_ahead;
        if ahead != 0 {
            faults::add_header(&mut answer, "date", &http_date(now() + ahead));
        }
        Ok(answer)
    }

    /// Returns an error if the request is signed for another region or time.
    fn refusal(&self, request: &Recorded) -> Option<Response<Body>> {
        let signed_for = request.region.as_deref()?;
        let state = self.state.lock().unwrap();
        if let Some(region) = state.behaviour.region.as_deref().filter(|own| *own != signed_for) {
            let message = format!(
                "The authorization header is malformed; the region '{signed_for}' is wrong; \
                 expecting '{region}'"
            );
            let code = "AuthorizationHeaderMalformed";
            let mut answer = faults::error(request, 400, code, &message, &[("Region", region)]);
            faults::add_header(&mut answer, "x-amz-bucket-region", region);
            return Some(answer);
        }
        let server_time = now() + state.behaviour.clock_ahead;
        let is_near = |time: i64| time.abs_diff(server_time) <= MAX_SKEW_SECONDS.unsigned_abs();
        if request.headers.get("x-amz-date").and_then(|date| parse_date(date)).is_none_or(is_near) {
            return None;
        }
        let message = "The difference between the request time and the current time is too large.";
        Some(faults::error(request, 403, "RequestTimeTooSkewed", message, &[]))
    }
}

fn now() -> i64 {
    DateTime::from(std::time::SystemTime::now()).secs()
}

fn http_date(seconds: i64) -> String {
    DateTime::from_secs(seconds).fmt(Format::HttpDate).unwrap()
}

/// Reads a date such as `20240102T030405Z`.
fn parse_date(text: &str) -> Option<i64> {
    let part = |from: usize, to: usize| text.get(from..to);
    let day = format!("{}-{}-{}", part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let time = format!("{}:{}:{}", part(9, 11)?, part(11, 13)?, part(13, 15)?);
    DateTime::from_str(&format!("{day}T{time}Z"), Format::DateTime).ok().map(|date| date.secs())
}

/// The body of a request. Of its clones the storage reads one, and what it left the front reads.
#[derive(Clone)]
struct RequestBody {
    incoming: Arc<Mutex<Option<Incoming>>>,
    received: Arc<AtomicU64>,
}

impl RequestBody {
    fn new(incoming: Incoming) -> Self {
        Self { incoming: Arc::new(Mutex::new(Some(incoming))), received: Arc::default() }
    }

    /// Reads to the end.
    async fn drain(mut self) {
        while let Some(Ok(_)) = self.frame().await {}
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
