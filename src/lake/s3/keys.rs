//! From a place where keys may be to something that signs requests.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_s3::config::Region;

use super::http;
use super::runtime;
use crate::access::{Access, CredentialHelper, KeySource, Keys};

/// Keys that are there, and whom to tell how they did.
pub(super) struct Found {
    /// Signs, and renews keys that expire.
    pub(super) provider: SharedCredentialsProvider,
    /// Where they are from, for people.
    pub(super) origin: String,
    /// Those of a credential helper, which wants to hear whether they were right.
    pub(super) helped: Option<(Arc<dyn CredentialHelper>, Keys)>,
}

/// Looks for keys in one place, and gives up when a service or program says nothing for `patience`.
///
/// # Errors
/// Why a place that should have keys has none that work; `Ok(None)` if there simply are none.
pub(super) async fn look(
    source: &KeySource,
    access: &Access,
    region: &str,
    patience: Duration,
) -> Result<Option<Found>, String> {
    let origin = source.describe();
    match source {
        KeySource::Known { keys, .. } => {
            Ok(Some(Found { provider: fixed(keys), origin, helped: None }))
        }
        KeySource::Helper(helper) => {
            let asked = Arc::clone(helper);
            let filled = runtime::handle().spawn_blocking(move || asked.fill()).await;
            let Some(keys) = filled.ok().flatten() else {
                return Ok(None);
            };
            let helped = Some((Arc::clone(helper), keys.clone()));
            Ok(Some(Found { provider: fixed(&keys), origin, helped }))
        }
        KeySource::Profile { name } => {
            let mut builder = ProfileFileCredentialsProvider::builder();
            builder = builder.configure(&configuration(access, region)?);
            if let Some(name) = name {
                builder = builder.profile_name(name);
            }
            resolve(SharedCredentialsProvider::new(builder.build()), origin, patience).await
        }
        KeySource::WebIdentity => {
            let builder = WebIdentityTokenCredentialsProvider::builder();
            let provider = builder.configure(&configuration(access, region)?).build();
            resolve(SharedCredentialsProvider::new(provider), origin, patience).await
        }
        KeySource::Container => {
            let builder = EcsCredentialsProvider::builder();
            let provider = builder.configure(&configuration(access, region)?).build();
            resolve(SharedCredentialsProvider::new(provider), origin, patience).await
        }
        KeySource::Instance => {
            let builder = ImdsCredentialsProvider::builder();
            let provider = builder.configure(&configuration(access, region)?).build();
            resolve(SharedCredentialsProvider::new(provider), origin, patience).await
        }
    }
}

fn fixed(keys: &Keys) -> SharedCredentialsProvider {
    let token = keys.token.clone();
    SharedCredentialsProvider::new(Credentials::new(
        &keys.id,
        &keys.secret,
        token,
        None,
        "git-lake",
    ))
}

async fn resolve(
    provider: SharedCredentialsProvider,
    origin: String,
    patience: Duration,
) -> Result<Option<Found>, String> {
    let asked = tokio::time::timeout(patience, provider.provide_credentials()).await;
    match asked.map_err(|_| "there was no answer in time")? {
        Ok(first) => {
            let provider = Asked { first: Mutex::new(Some(first)), provider };
            let provider = SharedCredentialsProvider::new(provider);
            Ok(Some(Found { provider, origin, helped: None }))
        }
        Err(CredentialsError::CredentialsNotLoaded(_)) => Ok(None),
        Err(error) => Err(super::failure::deepest(&error)),
    }
}

/// A provider that was asked once to see if it has keys, and whose answer is not lost: programs and
/// services behind it are slow, and some ask a person.
struct Asked {
    first: Mutex<Option<Credentials>>,
    provider: SharedCredentialsProvider,
}

impl ProvideCredentials for Asked {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        match self.first.lock().expect("no holder panics").take() {
            Some(first) => future::ProvideCredentials::ready(Ok(first)),
            None => self.provider.provide_credentials(),
        }
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keys that were asked for once")
    }
}

/// What providers need that ask a server: connections, and the region of that server.
fn configuration(access: &Access, region: &str) -> Result<ProviderConfig, String> {
    let client = http::pool(false, access.ca_bundle.as_deref())?;
    Ok(ProviderConfig::without_region()
        .with_behavior_version(Some(BehaviorVersion::latest()))
        .with_region(Some(Region::new(region.to_owned())))
        .with_http_client(client))
}
