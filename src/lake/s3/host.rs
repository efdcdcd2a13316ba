//! One server: how it is reached, with which keys it is asked, and whether it answers at all.
//!
//! Keys are tried in the order of [`Access::sources`]. A set that the server calls wrong or expired
//! is given up for this process and the next one is tried; when none is left, the server is asked
//! anonymously. A server that could not be reached at the first attempt is not asked again by this
//! process, so that it costs one timeout and not one for each object.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::ErrorKind;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority,
};
use tokio::sync::Mutex;

use super::Limits;
use super::failure::{NOT_HTTPS, Refusal, Trouble, retry_after};
use super::http;
use super::keys::{self, Found};
use crate::access::{Access, quoted};
use crate::lake_url::host::aws_endpoint;

/// Attempts for one request; those after the first wait for a growing, random time.
const ATTEMPTS: u32 = 3;
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
/// A server that asks for more time than this is left alone here; whoever has other work comes back.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How often who waits for a server looks if somebody asked to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Servers that have no regions take this one.
const USUAL_REGION: &str = "us-east-1";

/// A server, shared by all lakes on it.
pub(super) struct Host {
    /// `host[:port]`.
    name: String,
    access: Access,
    pub(super) limits: Limits,
    /// Who answers in the place of connections, and is asked once.
    stand_in: Option<SharedHttpClient>,
    /// Somebody asked to stop.
    stop: Arc<AtomicBool>,
    ring: Mutex<Ring>,
    /// It has answered.
    is_alive: Arc<AtomicBool>,
    /// It never did, and why.
    dead: OnceLock<Trouble>,
}

/// The keys that are tried one after the other.
#[derive(Default)]
struct Ring {
    current: Option<Arc<Session>>,
    /// How many sources were looked at.
    looked: usize,
    /// The region that the server itself named.
    region: Option<String>,
    /// The server called keys wrong.
    has_wrong_keys: bool,
    /// Sources that have no keys, for people.
    empty: Vec<String>,
    /// What came of those that had keys and did not help, for people.
    notes: Vec<String>,
}

/// A client with one set of keys.
struct Session {
    client: Client,
    /// `None`: anonymous.
    found: Option<Found>,
    region: String,
}

impl Host {
    /// Describes the server `name`; contacts nobody.
    pub(super) fn new(name: &str, access: Access, limits: Limits, stop: Arc<AtomicBool>) -> Self {
        Self {
            name: name.to_owned(),
            access,
            limits,
            stand_in: None,
            stop,
            ring: Mutex::default(),
            is_alive: Arc::default(),
            dead: OnceLock::new(),
        }
    }

    /// Lets `client` answer in the place of connections.
    pub(super) fn answered_by(self, client: SharedHttpClient) -> Self {
        Self { stand_in: Some(client), ..self }
    }

    /// Returns true if the server is one of AWS, whose manners are known.
    pub(super) fn is_aws(&self) -> bool {
        !self.access.plain_http && aws_endpoint(&self.name).is_some()
    }

    /// Sends a request, with the next keys if these are wrong, and to the bucket's own region.
    ///
    /// # Errors
    /// What remained in the end.
    pub(super) async fn call<T, E, F>(&self, request: impl Fn(Client) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        if let Some(trouble) = self.dead.get() {
            return Err(trouble.clone());
        }
        loop {
            let session = self.session().await?;
            let trouble = match self.unless_stopped(request(session.client.clone())).await? {
                Ok(value) => {
                    self.is_alive.store(true, Ordering::Relaxed);
                    return Ok(value);
                }
                Err(error) => Trouble::of(error),
            };
            match trouble {
                Trouble::Refused(mut refusal) => {
                    self.is_alive.store(true, Ordering::Relaxed);
                    let has_others = session.found.is_some() && !self.access.is_exclusive;
                    if refusal.is_wrong_keys() && has_others {
                        let said = format!("called wrong (`{}`)", refusal.code);
                        self.give_up(&session, &said).await;
                        continue;
                    }
                    if self.learn_region(&session, &refusal).await {
                        continue;
                    }
                    if refusal.is_denied() || refusal.is_wrong_keys() {
                        refusal.asked = self.explain(&session).await.into();
                        let is_anonymous = session.found.is_none();
                        refusal.had_wrong_keys = is_anonymous && self.has_wrong_keys().await;
                    }
                    return Err(Trouble::Refused(refusal));
                }
                Trouble::Keys(text) if session.found.is_some() => {
                    self.give_up(&session, &format!("of no use any more: {text}")).await;
                }
                other => {
                    if !self.is_alive.load(Ordering::Relaxed) {
                        // Whoever is first says why; the others met the same.
                        return Err(self.dead.get_or_init(|| self.worded(other)).clone());
                    }
                    return Err(other);
                }
            }
        }
    }

    /// Waits for the server, unless somebody asks to stop: a server that stands still must not hold up
    /// who wants to leave.
    ///
    /// # Errors
    /// [`Trouble::Stopped`].
    pub(super) async fn unless_stopped<T>(
        &self,
        answer: impl Future<Output = T>,
    ) -> Result<T, Trouble> {
        let mut answer = std::pin::pin!(answer);
        loop {
            match tokio::time::timeout(LOOK_EVERY, &mut answer).await {
                Ok(answer) => return Ok(answer),
                Err(_) if self.stop.load(Ordering::Relaxed) => return Err(Trouble::Stopped),
                Err(_) => {}
            }
        }
    }

    /// Returns the region to make a bucket in; `None` for the one that needs no name.
    pub(super) fn region_for_new_buckets(&self) -> Option<String> {
        let of_host = aws_endpoint(&self.name).and_then(|endpoint| endpoint.region);
        self.access.region.clone().or(of_host).filter(|region| region != USUAL_REGION)
    }

    /// Makes the words about a server that does not answer say which one, and what would help.
    fn worded(&self, trouble: Trouble) -> Trouble {
        match trouble {
            Trouble::Settings(text) if &*text == NOT_HTTPS => Trouble::Settings(
                format!(
                    "`{}` does not speak https; if plain http is meant: \
                         `git lake trust --insecure-http {}`",
                    self.name,
                    quoted(&self.name)
                )
                .into(),
            ),
            other => other,
        }
    }

    /// Returns the client to use now.
    async fn session(&self) -> Result<Arc<Session>, Trouble> {
        let mut ring = self.ring.lock().await;
        if let Some(session) = &ring.current {
            return Ok(Arc::clone(session));
        }
        let region = self.region(&ring);
        let mut found = None;
        while let (None, Some(source)) = (&found, self.access.sources.get(ring.looked)) {
            ring.looked += 1;
            let patience = self.limits.connect + self.limits.stall;
            match keys::look(source, &self.access, &region, patience).await {
                Ok(keys) => {
                    if keys.is_none() {
                        ring.empty.push(source.describe());
                    }
                    found = keys;
                }
                Err(why) => ring.notes.push(format!("{}: {why}", source.describe())),
            }
        }
        let client = self.client(found.as_ref(), &region)?;
        let session = Arc::new(Session { client, found, region });
        ring.current = Some(Arc::clone(&session));
        Ok(session)
    }

    fn region(&self, ring: &Ring) -> String {
        let of_host = || aws_endpoint(&self.name).and_then(|endpoint| endpoint.region);
        let named = ring.region.clone().or_else(|| self.access.region.clone());
        named.or_else(of_host).unwrap_or_else(|| USUAL_REGION.to_owned())
    }

    /// Goes on to the next keys, if nobody else has done so meanwhile.
    async fn give_up(&self, session: &Arc<Session>, said: &str) {
        let mut ring = self.ring.lock().await;
        if !ring.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, session)) {
            return;
        }
        ring.current = None;
        let Some(found) = &session.found else { return };
        ring.has_wrong_keys = true;
        ring.notes.push(format!("the keys from {} were {said}", found.origin));
        if let Some((helper, keys)) = found.helped.clone() {
            let told = super::runtime::handle().spawn_blocking(move || helper.reject(&keys));
            // A helper that does not listen keeps keys that do not work; nothing else depends on it.
            drop(told.await);
        }
    }

    /// Takes over the region that a refusal names; false if that is no news.
    ///
    /// Only the name for signing changes, and between hosts of AWS the host: another server's
    /// redirect is not followed.
    async fn learn_region(&self, session: &Arc<Session>, refusal: &Refusal) -> bool {
        let is_about_region = &*refusal.code == "AuthorizationHeaderMalformed"
            || &*refusal.code == "IllegalLocationConstraintException"
            || self.is_aws() && matches!(refusal.status, 301 | 307 | 400);
        let Some(region) = refusal.region.as_deref().filter(|_| is_about_region) else {
            return false;
        };
        let is_name = region.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
        let mut ring = self.ring.lock().await;
        if !is_name || region.is_empty() || region == session.region {
            return false;
        }
        if ring.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, session)) {
            if ring.region.is_some() {
                return false;
            }
            ring.region = Some(region.to_owned());
            // The same source is looked at again, for the new region.
            ring.looked = ring.looked.saturating_sub(usize::from(session.found.is_some()));
            ring.current = None;
        }
        true
    }

    /// Returns true if the server called keys wrong that were found somewhere.
    async fn has_wrong_keys(&self) -> bool {
        self.ring.lock().await.has_wrong_keys
    }

    /// Says with which keys the server was asked, and why not with others.
    async fn explain(&self, session: &Session) -> String {
        let ring = self.ring.lock().await;
        let mut text = match (&session.found, self.access.withheld) {
            (Some(found), _) => format!("it was asked with the keys from {}", found.origin),
            (None, Some(withheld)) => format!("it was {}", withheld.explain(&self.name)),
            (None, None) => "it was asked without keys".to_owned(),
        };
        for note in &ring.notes {
            text.push_str(&format!("; {note}"));
        }
        let empty: Vec<&str> =
            ring.empty.iter().chain(&self.access.looked_at).map(String::as_str).collect();
        if session.found.is_none() && !empty.is_empty() {
            text.push_str(&format!("; none were found in {}", empty.join(", ")));
        }
        text
    }

    fn client(&self, found: Option<&Found>, region: &str) -> Result<Client, Trouble> {
        let (attempts, pool) = match &self.stand_in {
            Some(client) => (1, Ok(client.clone())),
            None => {
                (ATTEMPTS, http::pool(self.access.plain_http, self.access.ca_bundle.as_deref()))
            }
        };
        let retries =
            RetryConfig::standard().with_max_attempts(attempts).with_initial_backoff(FIRST_BACKOFF);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.limits.connect)
            .operation_attempt_timeout(self.limits.stall + self.limits.connect)
            .build();
        let stalls = StalledStreamProtectionConfig::enabled()
            .download_enabled(false)
            .grace_period(self.limits.stall)
            .build();
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(pool.map_err(Trouble::Settings)?)
            .retry_config(retries)
            .retry_classifier(FirstContact(Arc::clone(&self.is_alive)))
            .retry_classifier(AskedForTime)
            .timeout_config(timeouts)
            .stalled_stream_protection(stalls)
            .region(Region::new(region.to_owned()))
            .disable_s3_express_session_auth(true)
            // Digests are given where they are wanted; third-party servers choke on trailers.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        config = match found {
            Some(found) => config.credentials_provider(found.provider.clone()),
            None => config.allow_no_auth(),
        };
        config = match self.is_aws() {
            // The SDK knows the names of AWS better, and puts the bucket into them.
            true => config.use_dual_stack(self.name.contains(".dualstack.")),
            false => {
                let scheme = if self.access.plain_http { "http" } else { "https" };
                config.endpoint_url(format!("{scheme}://{}", self.name)).force_path_style(true)
            }
        };
        Ok(Client::from_conf(config.build()))
    }
}

/// Forbids to knock again at a door that never opened.
#[derive(Debug)]
struct FirstContact(Arc<AtomicBool>);

impl ClassifyRetry for FirstContact {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let failed = context.output_or_error().is_some_and(|result| result.is_err());
        if failed && context.response().is_none() && !self.0.load(Ordering::Relaxed) {
            return RetryAction::RetryForbidden;
        }
        RetryAction::NoActionIndicated
    }

    fn name(&self) -> &'static str {
        "first contact"
    }

    fn priority(&self) -> RetryClassifierPriority {
        // After all others, whose word it takes back.
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

/// Asks a busy server again when it says so. The SDK knows 429 only by codes of AWS, and `Retry-After`
/// not at all.
#[derive(Debug)]
struct AskedForTime;

impl ClassifyRetry for AskedForTime {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let failed = context.output_or_error().is_some_and(|result| result.is_err());
        let Some(response) = context.response().filter(|_| failed) else {
            return RetryAction::NoActionIndicated;
        };
        match (response.status().as_u16(), retry_after(response)) {
            (429 | 503, Some(after)) if after > LONGEST_WAIT => RetryAction::RetryForbidden,
            (429 | 503, Some(after)) => {
                let kind = ErrorKind::ThrottlingError;
                RetryAction::retryable_error_with_explicit_delay(kind, after)
            }
            (429, None) => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "asked for time"
    }

    fn priority(&self) -> RetryClassifierPriority {
        // What is transient by its status is otherwise tried without regard to the header.
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}
