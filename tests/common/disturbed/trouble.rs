//! What goes wrong between git-lake and a server.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::common::s3::proxy::Proxy;
use crate::common::s3::{Fault, Recorded};

/// One thing that goes wrong.
pub(crate) struct Trouble {
    pub(crate) name: &'static str,
    pub(crate) fault: fn() -> Fault,
    /// Which requests meet it.
    pub(crate) strikes: fn(&Recorded) -> bool,
    /// Whether git-lake gets over it by itself when it happens once. What a server says about rights
    /// and places is not asked again, and other bytes are a damaged object.
    pub(crate) passes: bool,
    /// Whether a request that meets it ends with a timeout.
    pub(crate) takes_time: bool,
}

impl Trouble {
    /// Lets it happen to one request of each kind, but not to the very first: whether a server that
    /// nobody has heard of is there at all is tried only once.
    pub(crate) fn happen_once(&self, proxy: &Proxy) {
        let (strikes, fault) = (self.strikes, self.fault);
        let (mut is_first, mut struck) = (true, BTreeSet::new());
        proxy.plan(move |request| {
            let meets = !std::mem::take(&mut is_first)
                && strikes(request)
                && struck.insert(request.operation);
            meets.then(fault)
        });
    }

    /// Returns true if nothing comes through while it lasts, so that nothing can be known or done.
    pub(crate) fn lets_nothing_through(&self) -> bool {
        matches!(
            (self.fault)(),
            Fault::Status { .. }
                | Fault::Redirect { .. }
                | Fault::Reset
                | Fault::ResetAfterRequestBody
                | Fault::LoseAnswer
        )
    }

    /// Lets it happen from now on.
    pub(crate) fn last(&self, proxy: &Proxy) {
        proxy.fault(self.strikes, usize::MAX, (self.fault)());
    }
}

fn status(status: u16, code: &'static str, message: &'static str) -> Fault {
    Fault::Status { status, code, message, headers: Vec::new() }
}

fn asks_for_time(seconds: u32) -> Fault {
    let headers = vec![("retry-after", seconds.to_string())];
    let message = "Please reduce your request rate.";
    Fault::Status { status: 429, code: "TooManyRequests", message, headers }
}

fn any(_: &Recorded) -> bool {
    true
}

/// What has the usual timeout. Parts, and putting them together, may take minutes.
fn is_short(request: &Recorded) -> bool {
    !matches!(request.operation, "UploadPart" | "CompleteMultipartUpload")
}

/// What is answered with the bytes of an object.
fn reads(request: &Recorded) -> bool {
    request.operation == "GetObject"
}

/// What is answered with a document.
fn is_told(request: &Recorded) -> bool {
    !matches!(request.operation, "GetObject" | "HeadObject")
}

/// What brings many bytes.
fn sends(request: &Recorded) -> bool {
    matches!(request.operation, "PutObject" | "UploadPart")
}

const fn trouble(
    name: &'static str,
    strikes: fn(&Recorded) -> bool,
    passes: bool,
    fault: fn() -> Fault,
) -> Trouble {
    Trouble { name, fault, strikes, passes, takes_time: false }
}

/// The same for what has no end.
const fn silence(
    name: &'static str,
    strikes: fn(&Recorded) -> bool,
    fault: fn() -> Fault,
) -> Trouble {
    Trouble { name, fault, strikes, passes: true, takes_time: true }
}

/// All of it.
pub(crate) const TROUBLES: &[Trouble] = &[
    trouble("500", any, true, || status(500, "InternalError", "We encountered an error.")),
    trouble("503", any, true, || status(503, "SlowDown", "Please reduce your request rate.")),
    trouble("429 with a second to wait", any, true, || asks_for_time(1)),
    trouble("429 with an hour to wait", any, false, || asks_for_time(3600)),
    trouble("an error under 200", is_told, true, || Fault::OkWithErrorBody {
        code: "InternalError",
        message: "We encountered an error.",
    }),
    trouble("an error under 200 in an object's place", reads, false, || Fault::OkWithErrorBody {
        code: "InternalError",
        message: "We encountered an error.",
    }),
    trouble("403", any, false, || status(403, "AccessDenied", "Access Denied")),
    trouble("keys that expire", any, false, || status(400, "ExpiredToken", "It has expired.")),
    trouble("elsewhere", any, false, || Fault::Redirect {
        status: 307,
        location: Some("http://127.0.0.1:9/lake".into()),
        region: None,
    }),
    trouble("a reset", any, true, || Fault::Reset),
    trouble("a reset in the body", sends, true, || Fault::ResetInRequestBody(1000)),
    trouble("a reset in the middle of a part", sends, true, || Fault::ResetInRequestBody(3 << 20)),
    trouble("a reset after the body", any, true, || Fault::ResetAfterRequestBody),
    trouble("a lost answer", any, true, || Fault::LoseAnswer),
    trouble("a body without bytes", any, true, || Fault::Truncate(0)),
    trouble("a cut body", any, true, || Fault::Truncate(100)),
    trouble("another byte", reads, false, || Fault::FlipByte(9)),
    trouble("another byte later on", reads, false, || Fault::FlipByte(2900)),
    trouble("a length that is too large", reads, true, || Fault::Length(10)),
    trouble("a length that is too small", reads, true, || Fault::Length(-10)),
    trouble("a range from elsewhere", reads, true, || {
        Fault::Header("content-range", "bytes 1-2999/3000")
    }),
    trouble("a range of another object", reads, true, || {
        Fault::Header("content-range", "bytes 0-9/10")
    }),
    trouble("no range", reads, false, || Fault::Without("content-range")),
    silence("a drip", reads, || Fault::Drip(1, Duration::from_millis(100))),
    silence("a standstill in the body", is_short, || Fault::Hang(50)),
    silence("a standstill", is_short, || Fault::Stall),
];
