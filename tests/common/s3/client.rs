//! The client that git-lake is built on, without what git-lake does with it.

use std::sync::LazyLock;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation,
    ResponseChecksumValidation,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::http::Response;
use tokio::runtime::Runtime;

use super::{KEY, S3Server};

/// Status and code of the error that a request ended with; status 0 if there was no answer.
pub(crate) fn failure<T, E: ProvideErrorMetadata>(
    result: Result<T, SdkError<E, Response>>,
) -> (u16, String) {
    let Err(error) = result else { panic!("a request succeeded that should not") };
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    (status, error.code().unwrap_or("").to_owned())
}

/// The same as it is expected.
pub(crate) fn failed(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// A client without credentials for a server; it tries everything once.
pub(crate) fn config(server: &S3Server) -> Builder {
    config_at(&server.host())
}

/// The same for a server of which only the address is known.
pub(crate) fn config_at(host: &str) -> Builder {
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(format!("http://{host}"))
        .region(Region::new("us-east-1"))
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
}

/// A client with a key pair and perhaps a session token.
pub(crate) fn client_with(
    server: &S3Server,
    id: &str,
    secret: &str,
    token: Option<&str>,
) -> Client {
    let token = token.map(str::to_owned);
    let credentials = Credentials::new(id, secret, token, None, "test");
    Client::from_conf(config(server).credentials_provider(credentials).build())
}

/// A client that may do all.
pub(crate) fn client(server: &S3Server) -> Client {
    client_with(server, KEY.0, KEY.1, None)
}

/// Runs the client; connections that it keeps open live on from one call to the next.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    RUNTIME.block_on(work)
}

/// Makes the body of a request.
pub(crate) fn bytes(bytes: &[u8]) -> ByteStream {
    ByteStream::from(bytes.to_vec())
}
