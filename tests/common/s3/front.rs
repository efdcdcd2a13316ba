//! The way of a request through the gate and to the storage.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use hyper::body::Incoming;
use hyper::{Request, Response};
use s3s::service::S3Service;
use s3s::{Body, StdError};

use super::faults;
use super::gate::{Gate, RequestBody};
use super::recorded::Recorded;
use super::storage::Shared;

/// Seconds that the times of a request and of the server may be apart.
const MAX_SKEW_SECONDS: i64 = 15 * 60;

/// What stands between the wire and the storage.
pub(super) struct Front {
    pub(super) s3: S3Service,
    pub(super) state: Shared,
    pub(super) gate: Gate,
}

impl Front {
    /// Answers a request; an error closes the connection without an answer.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, StdError> {
        let stored = |recorded, request: Request<RequestBody>| async move {
            match self.refusal(&recorded) {
                Some(answer) => Ok(answer),
                None => Ok(self.s3.call(request.map(Body::http_body)).await?),
            }
        };
        let mut answer = self.gate.pass(request, stored).await?;
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
