//! Connections: one pool without TLS, and one for each set of certificates.
//!
//! Proxies come from `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`. Certificates are loaded with the
//! first https connection: `AWS_CA_BUNDLE` alone if it is set, else the system's, which
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` replace. Names that lead to link-local addresses, where clouds
//! hand out a machine's keys, are refused.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::fs::read_small;
use crate::lake_url::host::is_forbidden;

/// Longest file of certificates that is read, in bytes.
const MAX_BUNDLE_BYTES: u64 = 16 << 20;

/// Which certificates a connection trusts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Certificates {
    /// Plain http: none is loaded.
    None,
    System,
    Bundle(PathBuf),
}

/// Returns the pool for plain http or https; the same one for the same certificates.
///
/// # Errors
/// If the file with certificates cannot be read.
pub(super) fn pool(
    plain_http: bool,
    ca_bundle: Option<&Path>,
) -> Result<SharedHttpClient, Box<str>> {
    static POOLS: Mutex<Option<HashMap<Certificates, SharedHttpClient>>> = Mutex::new(None);
    let certificates = match ca_bundle {
        _ if plain_http => Certificates::None,
        Some(path) => Certificates::Bundle(path.to_owned()),
        None => Certificates::System,
    };
    let mut pools = POOLS.lock().expect("no holder panics");
    let pools = pools.get_or_insert_default();
    if let Some(pool) = pools.get(&certificates) {
        return Ok(pool.clone());
    }
    let pool = build(trust_store(&certificates)?)?;
    Ok(pools.entry(certificates).or_insert(pool).clone())
}

fn trust_store(certificates: &Certificates) -> Result<TrustStore, Box<str>> {
    match certificates {
        Certificates::None => Ok(TrustStore::empty()),
        Certificates::System => Ok(TrustStore::default()),
        Certificates::Bundle(path) => {
            let read = read_small(path, MAX_BUNDLE_BYTES).map_err(|error| error.to_string())?;
            let pem = read.ok_or_else(|| {
                format!("`AWS_CA_BUNDLE` names a file that does not exist: {}", path.display())
            })?;
            Ok(TrustStore::empty().with_pem_certificate(pem))
        }
    }
}

fn build(trust: TrustStore) -> Result<SharedHttpClient, Box<str>> {
    let context = TlsContext::builder().with_trust_store(trust).build();
    let context = context.map_err(|error| error.to_string())?;
    let make = move |settings: Option<&_>, components: Option<&RuntimeComponents>| {
        let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context.clone())
            .build_with_resolver(CarefulResolver)
    };
    Ok(Builder::new().build_with_connector_fn(make))
}

use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// Resolves names as the system does, and refuses link-local addresses.
#[derive(Debug, Clone)]
struct CarefulResolver;

impl ResolveDns for CarefulResolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let found = tokio::net::lookup_host((name, 0)).await;
            let found = found.map_err(|error| {
                ResolveDnsError::new(format!("`{name}` has no address: {error}"))
            })?;
            let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            match addresses.iter().find(|address| is_forbidden(**address)) {
                Some(address) => Err(ResolveDnsError::new(format!(
                    "`{name}` leads to {address}, an address of this machine's own network that no \
                     bucket has"
                ))),
                None => Ok(addresses),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_are_shared_and_a_missing_bundle_is_named() {
        let missing = Path::new("/nonexistent/ca.pem");
        let error = pool(false, Some(missing)).expect_err("no file");
        assert!(error.contains("/nonexistent/ca.pem"), "{error}");
        pool(true, Some(missing)).expect("plain http reads no certificates");
    }

    #[test]
    fn a_name_of_a_link_local_address_is_refused() {
        let resolved = super::super::runtime::block_on(CarefulResolver.resolve_dns("2852039166"));
        // The system reads the number as 169.254.169.254; where it does not, there is no address.
        assert!(resolved.is_err(), "{resolved:?}");
    }
}
