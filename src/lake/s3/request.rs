//! Requests that write an object: one that sends it under a condition, and copies inside the server.

use std::time::Duration;

use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Builder, Config, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::copy_object::builders::CopyObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, MetadataDirective};
use bytes::Bytes;

use super::S3Lake;
use super::failure::{Refusal, Trouble};
use crate::lake_url::encoded;
use crate::oid::Oid;

/// Slowest upload that is not given up, in bytes a second.
const SLOWEST_BYTES: u64 = 16 << 10;
/// Of every object, sent or copied.
pub(super) const CONTENT_TYPE: &str = "application/octet-stream";

/// Returns true if a server does not take uploads under a condition.
pub(super) fn refuses_conditions(refusal: &Refusal) -> bool {
    refusal.is_unsupported()
        || refusal.status == 400 && matches!(&*refusal.code, "InvalidArgument" | "InvalidRequest")
}

/// What a server honours of what it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manners {
    /// `If-None-Match: *` on uploads.
    pub(super) conditions: bool,
    /// SHA-256 of an upload is checked, kept, and told.
    pub(super) checksums: bool,
}

/// What has to be so for an upload to get its name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Condition<'a> {
    /// Nothing.
    None,
    /// Nothing has the name.
    Free,
    /// This version has the name.
    Stands(&'a str),
}

impl Condition<'_> {
    /// Asks for a name that is free, where the server honours that.
    pub(super) fn free_by(manners: Manners) -> Self {
        if manners.conditions { Self::Free } else { Self::None }
    }

    /// Returns what goes into `If-None-Match` and into `If-Match`.
    pub(super) fn headers(self) -> (Option<String>, Option<String>) {
        match self {
            Self::None => (None, None),
            Self::Free => (Some("*".to_owned()), None),
            Self::Stands(etag) => (None, Some(etag.to_owned())),
        }
    }
}

/// Sends an object in one request.
pub(super) async fn send(
    lake: &S3Lake,
    key: &str,
    bytes: Bytes,
    digest: &Oid,
    manners: Manners,
    condition: Condition<'_>,
) -> Result<(), Trouble> {
    let size = bytes.len() as u64;
    let sent = lake.host().call(|client| {
        let mut request = client
            .put_object()
            .bucket(&lake.bucket)
            .key(key)
            .content_type(CONTENT_TYPE)
            .body(ByteStream::from(bytes.clone()));
        let (if_none_match, if_match) = condition.headers();
        request = request.set_if_none_match(if_none_match).set_if_match(if_match);
        if manners.checksums {
            request = request.checksum_sha256(base64(digest.as_bytes()));
        }
        let timeouts = lake.timeouts_for(size);
        request.customize().interceptor(Hashed(*digest)).config_override(timeouts).send()
    });
    let output = sent.await?;
    if output.e_tag().is_none() {
        // Some proxy answers in the server's place.
        return Err(Trouble::Network("An upload was answered as if it were none".into()));
    }
    Ok(())
}

/// Begins the copy of an object, with all that is said of it.
pub(super) fn copy(
    client: &Client,
    (from_bucket, from_key): (&str, &str),
    (bucket, key): (&str, &str),
) -> CopyObjectFluentBuilder {
    let source = format!("{}/{}", encoded(from_bucket.as_bytes()), encoded(from_key.as_bytes()));
    client.copy_object().bucket(bucket).key(key).copy_source(source)
}

/// Begins a copy that is like an object that is sent, whatever is said of the source.
pub(super) fn copy_as_sent(
    client: &Client,
    from: (&str, &str),
    to: (&str, &str),
) -> CopyObjectFluentBuilder {
    copy(client, from, to)
        .content_type(CONTENT_TYPE)
        .metadata_directive(MetadataDirective::Replace)
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
}

/// Encodes a digest as S3 has it in its headers.
pub(super) fn base64(bytes: &[u8]) -> String {
    aws_smithy_types::base64::encode(bytes)
}

/// Gives the signer the SHA-256 of the body, which is known, so that it is not computed again.
#[derive(Debug)]
pub(super) struct Hashed(pub(super) Oid);

impl Intercept for Hashed {
    fn name(&self) -> &'static str {
        "known digest"
    }

    fn modify_before_signing(
        &self,
        _: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(PayloadSigningOverride::Precomputed(self.0.to_hex()));
        Ok(())
    }
}

impl S3Lake {
    /// Gives a request that sends many bytes the time that it needs.
    pub(super) fn timeouts_for(&self, bytes: u64) -> Builder {
        let time = self.server.limits.stall * 2 + Duration::from_secs(bytes / SLOWEST_BYTES);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.server.limits.connect)
            .operation_attempt_timeout(time)
            .build();
        Config::builder().timeout_config(timeouts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_written_as_s3_has_them() {
        let empty = Oid::of(b"");
        assert_eq!(base64(empty.as_bytes()), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
