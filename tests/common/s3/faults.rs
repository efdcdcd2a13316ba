//! What goes wrong on request, between the wire and the storage.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Frame};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use hyper::http::response::Parts;
use hyper::{Response, StatusCode};
use s3s::{Body, StdError};
use tokio::time::{Instant, Interval};

use super::recorded::Recorded;

/// What happens to a request instead of, or on the way to, its answer.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The request is not done, and answered with an error; an answer to HEAD has no body.
    Status {
        status: u16,
        code: &'static str,
        message: &'static str,
        headers: Vec<(&'static str, String)>,
    },
    /// The connection closes before the body of the request is read.
    Reset,
    /// The connection closes after so many bytes of the body of the request; it is not done.
    ResetInRequestBody(u64),
    /// The connection closes after the body of the request; the request is not done.
    ResetAfterRequestBody,
    /// The connection closes after the request was done.
    LoseAnswer,
    /// The body of the answer ends after some bytes, `Content-Length` speaks of all.
    Truncate(usize),
    /// The body of the answer stands still after some bytes, and the connection stays.
    Hang(usize),
    /// One byte of the body of the answer is another.
    FlipByte(usize),
    /// `Content-Length` is so many bytes more than come, or less, and then the rest does not come.
    Length(i64),
    /// The body of the answer comes so many bytes at a time, with a pause before each time.
    Drip(usize, Duration),
    /// A header of the answer says something else.
    Header(&'static str, &'static str),
    /// The answer lacks a header.
    Without(&'static str),
    /// No answer ever comes, and the body of the request is not read.
    Stall,
    /// The request waits, and is done then.
    Delay(Duration),
    /// The request is not done, and answered with an error under status 200.
    OkWithErrorBody { code: &'static str, message: &'static str },
    /// The request is not done, and sent elsewhere.
    Redirect { status: u16, location: Option<String>, region: Option<&'static str> },
}

/// Says which fault a request meets, if any.
type Rule = Box<dyn FnMut(&Recorded) -> Option<Fault> + Send>;

/// The faults still to come.
#[derive(Default)]
pub(super) struct Faults(Mutex<Vec<Rule>>);

impl Faults {
    pub(super) fn add(
        &self,
        matches: impl Fn(&Recorded) -> bool + Send + 'static,
        mut times: usize,
        fault: Fault,
    ) {
        self.plan(move |request| {
            let meets = times > 0 && matches(request);
            times -= usize::from(meets);
            meets.then(|| fault.clone())
        });
    }

    pub(super) fn plan(&self, rule: impl FnMut(&Recorded) -> Option<Fault> + Send + 'static) {
        self.0.lock().unwrap().push(Box::new(rule));
    }

    /// Lets nothing go wrong any more.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    /// Returns the fault that this request meets, of several the one added first.
    pub(super) fn meet(&self, request: &Recorded) -> Option<Fault> {
        self.0.lock().unwrap().iter_mut().find_map(|rule| rule(request))
    }
}

impl Fault {
    /// Returns the answer that takes the place of the storage's.
    pub(super) fn answer(&self, request: &Recorded) -> Option<Response<Body>> {
        match self {
            Self::Status { status, code, message, headers } => {
                let mut answer = error(request, *status, code, message, &[]);
                for (name, value) in headers {
                    add_header(&mut answer, name, value);
                }
                Some(answer)
            }
            Self::OkWithErrorBody { code, message } => {
                Some(error(request, 200, code, message, &[]))
            }
            Self::Redirect { status, location, region } => {
                let code = if *status == 301 { "PermanentRedirect" } else { "TemporaryRedirect" };
                let message = "Please re-send this request to the specified endpoint.";
                let endpoint = location.as_deref().unwrap_or("");
                let details = [("Endpoint", endpoint), ("Bucket", request.bucket())];
                let mut answer = error(request, *status, code, message, &details);
                if let Some(location) = location {
                    add_header(&mut answer, LOCATION.as_str(), location);
                }
                if let Some(region) = region {
                    add_header(&mut answer, "x-amz-bucket-region", region);
                }
                Some(answer)
            }
            _ => None,
        }
    }

    /// Changes the answer of the storage.
    pub(super) async fn spoil(
        &self,
        mut answer: Response<Body>,
    ) -> Result<Response<Body>, StdError> {
        match self {
            Self::Header(name, value) => add_header(&mut answer, name, value),
            Self::Without(name) => drop(answer.headers_mut().remove(*name)),
            _ => {}
        }
        let (Self::Truncate(_)
        | Self::Hang(_)
        | Self::FlipByte(_)
        | Self::Length(_)
        | Self::Drip(..)) = self
        else {
            return Ok(answer);
        };
        let (mut parts, body) = answer.into_parts();
        if body.is_end_stream() {
            if let (Self::Length(more), Some(length)) = (self, told_length(&parts)) {
                let length = length.saturating_add_signed(*more);
                parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            return Ok(Response::from_parts(parts, body));
        }
        let bytes = body.collect().await?.to_bytes();
        let mut length = bytes.len() as u64;
        let body = match self {
            Self::Truncate(length) if *length < bytes.len() => {
                Body::http_body_unsync(Cut::after(bytes.slice(..*length)))
            }
            Self::Hang(length) => {
                let bytes = bytes.slice(..bytes.len().min(*length));
                Body::http_body_unsync(Standstill(Some(bytes)))
            }
            Self::FlipByte(position) if *position < bytes.len() => {
                let mut bytes = Vec::from(bytes);
                bytes[*position] ^= 1;
                Body::from(bytes)
            }
            Self::Length(more) => {
                length = length.saturating_add_signed(*more);
                match usize::try_from(length).unwrap() {
                    told if told <= bytes.len() => Body::from(bytes.slice(..told)),
                    _ => Body::http_body_unsync(Cut::after(bytes)),
                }
            }
            Self::Drip(size, pause) => {
                let pause = tokio::time::interval_at(Instant::now() + *pause, *pause);
                Body::http_body_unsync(Dripping { bytes, size: *size, pause })
            }
            _ => Body::from(bytes),
        };
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        Ok(Response::from_parts(parts, body))
    }
}

/// Returns what the head of an answer says about its length.
fn told_length(parts: &Parts) -> Option<u64> {
    parts.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Returns an error as the protocol words it.
pub(super) fn error(
    request: &Recorded,
    status: u16,
    code: &str,
    message: &str,
    details: &[(&str, &str)],
) -> Response<Body> {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
    for (name, value) in [("Code", code), ("Message", message)].iter().chain(details) {
        let value = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        xml += &format!("<{name}>{value}</{name}>");
    }
    xml += "</Error>";
    let body = if request.method == "HEAD" { Body::empty() } else { Body::from(xml) };
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer
}

/// Sets a header of an answer.
pub(super) fn add_header(answer: &mut Response<Body>, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
    answer.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
}

/// A body that breaks off after some bytes.
struct Cut {
    bytes: Option<Bytes>,
    /// Time for the bytes to leave, for breaking off loses what is not sent yet.
    pause: Pin<Box<tokio::time::Sleep>>,
}

impl Cut {
    fn after(bytes: Bytes) -> Self {
        let pause = Box::pin(tokio::time::sleep(Duration::from_millis(20)));
        Self { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()), pause }
    }
}

impl hyper::body::Body for Cut {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        if let Some(bytes) = self.bytes.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let paused = Future::poll(self.pause.as_mut(), context);
        paused.map(|()| Some(Err("the answer is cut here".into())))
    }
}

/// A body that goes on never after some bytes.
struct Standstill(Option<Bytes>);

impl hyper::body::Body for Standstill {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

/// A body that comes a little at a time.
struct Dripping {
    bytes: Bytes,
    size: usize,
    pause: Interval,
}

impl hyper::body::Body for Dripping {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        std::task::ready!(self.pause.poll_tick(context));
        let size = self.size.min(self.bytes.len());
        Poll::Ready(Some(Ok(Frame::data(self.bytes.split_to(size)))))
    }
}
