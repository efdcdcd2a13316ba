//! What can go wrong with a request, sorted: from the SDK's errors to what a lake says.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::lake::error::Answer;
use crate::lake::{Cause, LakeError, Obstacle};
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;

/// What is said of a server that answers https with something else; a host adds what would help.
pub(super) const NOT_HTTPS: &str = "The server does not speak https";
/// Longest message of a server that is kept, in characters.
const MAX_MESSAGE_CHARS: usize = 200;

/// Why a request did not do what it should.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// The server answered, and refused.
    Refused(Box<Refusal>),
    /// There was no connection, or it broke; it may pass.
    Network(Box<str>),
    /// It cannot work before somebody changes something.
    Settings(Box<str>),
    /// The provider of the keys failed.
    Keys(Box<str>),
    /// Somebody asked to stop while it was waited for.
    Stopped,
}

/// A server's answer that is no success.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// S3's name for the error; empty if there was no body.
    pub(super) code: Box<str>,
    pub(super) message: Box<str>,
    pub(super) retry_after: Option<Duration>,
    /// The region that the bucket is in, where the server says so.
    pub(super) region: Option<Box<str>>,
    /// Where a redirect points to.
    pub(super) location: Option<Box<str>>,
    /// The server's clock, as it writes it.
    pub(super) date: Option<Box<str>>,
    /// Filled in by who knows: with which keys it was asked.
    pub(super) asked: Box<str>,
    /// Filled in by who knows: it was asked anonymously because it had called keys wrong.
    pub(super) had_wrong_keys: bool,
}

impl Refusal {
    /// Returns true if the server called the keys wrong or expired, so that others may work.
    pub(super) fn is_wrong_keys(&self) -> bool {
        matches!(
            &*self.code,
            "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "ExpiredToken"
                | "ExpiredTokenException"
                | "InvalidToken"
                | "TokenRefreshRequired"
                | "InvalidSecurity"
                | "UnrecognizedClientException"
        )
    }

    /// Returns true if the object is there already.
    pub(super) fn is_precondition(&self) -> bool {
        self.status == 412 || self.status == 304
    }

    /// Returns true if somebody else writes the same object at this moment.
    pub(super) fn is_conflict(&self) -> bool {
        self.status == 409
            && matches!(&*self.code, "ConditionalRequestConflict" | "OperationAborted")
    }

    /// Returns true if the server does not know what it was asked for.
    pub(super) fn is_unsupported(&self) -> bool {
        self.status == 501
            || self.status == 405
            || matches!(
                &*self.code,
                "NotImplemented" | "MethodNotAllowed" | "XNotImplemented" | "UnsupportedOperation"
            )
    }

    /// Returns true if this user may not do it.
    pub(super) fn is_denied(&self) -> bool {
        self.status == 403 || self.status == 401
    }

    pub(super) fn is_not_found(&self) -> bool {
        self.status == 404 && !self.is_no_bucket()
    }

    /// Returns true for a "not found" in no words of S3: a web server, or an answer to HEAD.
    pub(super) fn is_nowhere(&self) -> bool {
        self.is_not_found() && self.code.is_empty()
    }

    pub(super) fn is_no_bucket(&self) -> bool {
        &*self.code == "NoSuchBucket"
    }

    /// Returns true if the answer had no body that says why, as for HEAD.
    pub(super) fn is_mute(&self) -> bool {
        self.code.is_empty() && matches!(self.status, 400 | 401 | 403)
    }

    fn is_busy(&self) -> bool {
        matches!(self.status, 429 | 500 | 502 | 503 | 504)
            || matches!(&*self.code, "SlowDown" | "InternalError" | "RequestTimeout")
            || self.is_conflict()
    }

    fn is_full(&self) -> bool {
        self.status == 507
            || matches!(
                &*self.code,
                "QuotaExceeded"
                    | "InsufficientCapacity"
                    | "XMinioStorageFull"
                    | "XMinioAdminBucketQuotaExceeded"
            )
    }

    fn is_elsewhere(&self) -> bool {
        matches!(self.status, 301 | 302 | 303 | 307 | 308)
    }

    fn answer(&self) -> Cause {
        Cause::Server(Arc::new(Answer {
            status: self.status,
            code: self.code.clone(),
            message: self.message.clone(),
            asked: self.asked.clone(),
        }))
    }
}

/// What a request was about, for the words of its error.
#[derive(Debug, Clone, Copy)]
pub(super) enum Doing<'a> {
    /// The lake as a whole.
    Looking,
    /// One object.
    Reading(&'a ObjectName),
    /// Adding or changing something.
    Writing,
}

impl Trouble {
    /// Sorts an error of the SDK.
    pub(super) fn of<E>(error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        match &error {
            SdkError::ServiceError(service) => Self::Refused(Box::new(refusal(
                service.raw(),
                service.err().code().unwrap_or_default(),
                service.err().message().unwrap_or_default(),
            ))),
            // The answer could not be understood: another program answers, or the body broke off.
            SdkError::ResponseError(response) if !response.raw().status().is_success() => {
                Self::Refused(Box::new(refusal(response.raw(), "", "")))
            }
            _ if is_about_keys(&error) => Self::Keys(deepest(&error).into()),
            SdkError::DispatchFailure(failure) => {
                let text = deepest(&error);
                let connector = failure.as_connector_error();
                if connector.is_some_and(|error| error.is_timeout()) {
                    Self::Network("There was no answer in time".into())
                } else if text.contains("InvalidContentType") {
                    Self::Settings(NOT_HTTPS.into())
                } else if connector.is_some_and(|error| error.is_user()) {
                    Self::Settings(text.into())
                } else {
                    Self::Network(text.into())
                }
            }
            SdkError::TimeoutError(_) => Self::Network("There was no answer in time".into()),
            SdkError::ConstructionFailure(_) => Self::Settings(deepest(&error).into()),
            _ => Self::Network(deepest(&error).into()),
        }
    }

    /// Returns the server's answer, if there was one.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Returns true if the server answered and `says` holds of it.
    pub(super) fn says(&self, says: impl Fn(&Refusal) -> bool) -> bool {
        self.refusal().is_some_and(says)
    }

    /// Words the trouble for a lake.
    pub(super) fn into_error(self, url: &LakeUrl, bucket: &str, doing: Doing<'_>) -> LakeError {
        let unreachable = |obstacle| LakeError::Unreachable { url: url.clone(), obstacle };
        let refusal = match self {
            Self::Network(text) => return unreachable(Obstacle::Network(text)),
            Self::Settings(text) | Self::Keys(text) => {
                return unreachable(Obstacle::Settings(text));
            }
            Self::Stopped => return LakeError::Cancelled,
            Self::Refused(refusal) => refusal,
        };
        let (url, source) = (url.clone(), refusal.answer());
        if refusal.is_no_bucket() {
            return unreachable(Obstacle::NoBucket(bucket.into()));
        }
        if &*refusal.code == "RequestTimeTooSkewed" {
            return unreachable(Obstacle::Settings(skewed(&refusal).into()));
        }
        if refusal.is_elsewhere() {
            return unreachable(Obstacle::Settings(elsewhere(&refusal).into()));
        }
        if refusal.is_full() {
            return LakeError::Full { url, source };
        }
        if refusal.is_busy() {
            return LakeError::Busy { url, after: refusal.retry_after };
        }
        if refusal.is_wrong_keys() {
            return LakeError::Denied { url, source };
        }
        match doing {
            Doing::Reading(name) if refusal.is_not_found() => {
                LakeError::Absent { object: url.source(name.clone()) }
            }
            Doing::Reading(name) if refusal.is_denied() => {
                LakeError::ObjectDenied { object: url.source(name.clone()), source }
            }
            // Not less rights than others have, but keys to be put right.
            Doing::Looking | Doing::Writing if refusal.had_wrong_keys => {
                LakeError::Denied { url, source }
            }
            Doing::Writing if refusal.is_denied() || refusal.is_unsupported() => {
                LakeError::ReadOnly { url, source }
            }
            _ if refusal.is_denied() => LakeError::Denied { url, source },
            _ => LakeError::Unusable { url, source },
        }
    }
}

fn skewed(refusal: &Refusal) -> String {
    let clock = refusal.date.as_ref();
    let clock = clock.map_or_else(String::new, |date| format!(" (the server's says {date})"));
    format!(
        "The clocks of this machine and of the server differ too much{clock}: set this one right"
    )
}

fn elsewhere(refusal: &Refusal) -> String {
    let to = match (&refusal.region, &refusal.location) {
        (Some(region), _) => format!(" to the region `{region}`"),
        (None, Some(location)) => format!(" to `{location}`"),
        (None, None) => String::new(),
    };
    format!(
        "The server sends requests for this bucket elsewhere{to}, which is not followed: name that \
         server or region in the remote's settings if it is the right one"
    )
}

/// Reads from an answer what the SDK does not sort.
fn refusal(raw: &HttpResponse, code: &str, message: &str) -> Refusal {
    let header = |name: &str| raw.headers().get(name).map(Box::<str>::from);
    let body = raw.body().bytes().unwrap_or_default();
    let body = String::from_utf8_lossy(body);
    let status = raw.status().as_u16();
    let message = if code.is_empty() && message.is_empty() && !body.starts_with('<') {
        // Not S3's XML: a proxy, or a server that was addressed in the wrong scheme.
        body.lines().next().unwrap_or_default()
    } else {
        message
    };
    Refusal {
        status,
        code: if code == status.to_string() { "".into() } else { code.into() },
        message: message.chars().take(MAX_MESSAGE_CHARS).collect::<String>().into(),
        retry_after: retry_after(raw),
        region: header("x-amz-bucket-region").or_else(|| element(&body, "Region").map(Box::from)),
        location: header("location"),
        date: header("date"),
        asked: Box::default(),
        had_wrong_keys: false,
    }
}

/// Returns for how long the server wants to be left alone, where it says so in seconds.
pub(super) fn retry_after(raw: &HttpResponse) -> Option<Duration> {
    raw.headers().get("retry-after")?.parse().ok().map(Duration::from_secs)
}

/// Returns the text of the first element of this name; enough for the flat errors of S3.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text)
}

/// Returns true if there were no keys to sign a request with, so that it was not sent.
fn is_about_keys(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<CredentialsError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Returns the words of the innermost cause, which says most of an error of the network.
pub(super) fn deepest(error: &dyn StdError) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    let text = innermost.to_string();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).take(MAX_MESSAGE_CHARS).collect(),
        None => "The connection broke".into(),
    }
}
