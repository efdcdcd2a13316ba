//! https with certificates of one's own, and proxies: what a company's network needs.

use std::path::PathBuf;

use git_lake::access::{Access, Keys};
use git_lake::lake::contract::Sample;
use git_lake::lake::{LakeError, Obstacle, Put, ReadLake as _};

use crate::common::s3::endpoint::{Endpoint, LIMITS};
use crate::common::s3::tls::{Front, certificate};
use crate::common::s3::{KEY, S3Server};
use crate::common::{Repo, TestEnv, noise};

fn keys() -> Keys {
    Keys { id: KEY.0.into(), secret: KEY.1.into(), token: None }
}

fn unreachable_because(error: Option<LakeError>) -> String {
    match error {
        Some(LakeError::Unreachable {
            obstacle: Obstacle::Network(why) | Obstacle::Settings(why),
            ..
        }) => why.into(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_certificate_of_ones_own_is_trusted_when_it_is_named() {
    let server = S3Server::start();
    let front = Front::https(&server.host());
    let endpoint = Endpoint { host: front.host(), keys: keys() };
    let access =
        |ca_bundle: Option<PathBuf>| Access { plain_http: false, ca_bundle, ..endpoint.access() };
    let trusting = endpoint.lake_with("lake", access(Some(certificate("ca.pem"))), LIMITS);
    let sample = Sample::new(b"over https");
    assert_eq!(sample.put(&trusting).unwrap(), Put::Created);
    assert_eq!(server.object("lake", sample.name().as_str()).unwrap(), b"over https");
    server.take_requests();
    let wary = endpoint.lake_with("lake", access(None), LIMITS);
    let why = unreachable_because(wary.declaration().err());
    assert!(why.to_lowercase().contains("certificate"), "{why}");
    let misled = endpoint.lake_with("lake", access(Some(certificate("server.key"))), LIMITS);
    let why = unreachable_because(misled.declaration().err());
    assert!(why.contains("certificate"), "{why}");
    assert_eq!(server.requests().len(), 0, "nobody was asked");
}

/// A repository whose settings name a bucket of `host`, for which it has keys.
fn with_bucket(env: &TestEnv, host: &str) -> Repo {
    let repo =
        env.repo("work").with("AWS_ACCESS_KEY_ID", KEY.0).with("AWS_SECRET_ACCESS_KEY", KEY.1);
    repo.git(["config", "lake.trustedHost", host]);
    repo
}

fn goes_up_and_comes_back(repo: &Repo) {
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", noise(1, 3000));
    repo.git(["add", "."]);
    repo.git(["commit", "-q", "-m", "v1"]);
    repo.git(["lake", "status"]).prints("Nothing is owed.");
    repo.empty_store();
    std::fs::remove_file(repo.path.join("a.bin")).unwrap();
    repo.git(["checkout", "-q", "--", "a.bin"]);
    repo.has("a.bin", noise(1, 3000));
}

#[test]
fn certificates_come_from_the_usual_variables() {
    let server = S3Server::start();
    let front = Front::https(&server.host());
    for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        let env = TestEnv::new();
        let repo = with_bucket(&env, &front.host());
        let address = format!("s3://{}/lake", front.host());
        repo.git_fails(1, ["lake", "init", &address]).says("ertificate");
        let repo = repo.with(variable, certificate("ca.pem"));
        repo.git(["lake", "init", &address]);
        goes_up_and_comes_back(&repo);
    }
}

#[test]
fn a_proxy_leads_to_servers_that_this_machine_cannot_find() {
    let server = S3Server::start();
    let env = TestEnv::new();
    let repo = with_bucket(&env, "lake.example:80");
    let address = "s3://lake.example:80/lake?secure=false";
    let proxy = format!("http://{}", server.host());
    let bypassing = repo.with("HTTP_PROXY", &proxy).with("NO_PROXY", "other.example,lake.example");
    bypassing.git_fails(1, ["lake", "init", address]).says("`lake.example` has no address");
    let repo = repo.with("HTTP_PROXY", &proxy);
    repo.git(["lake", "init", address]);
    goes_up_and_comes_back(&repo);
    assert!(server.requests().iter().all(|request| request.headers["host"] == "lake.example"));
}

#[test]
fn https_goes_through_a_proxy_unread() {
    let server = S3Server::start();
    let (front, env) = (Front::https(&server.host()), TestEnv::new());
    let proxy = Front::proxy(&front.host());
    let repo = with_bucket(&env, "lake.example")
        .with("HTTPS_PROXY", format!("http://{}", proxy.host()))
        .with("AWS_CA_BUNDLE", certificate("ca.pem"));
    repo.git(["lake", "init", "s3://lake.example/lake"]);
    goes_up_and_comes_back(&repo);
    let asked = proxy.asked();
    assert!(!asked.is_empty(), "it was used");
    assert!(asked.iter().all(|line| line == "CONNECT lake.example:443 HTTP/1.1"), "{asked:?}");
}

#[test]
fn plain_http_is_spoken_only_on_request() {
    let server = S3Server::start();
    let env = TestEnv::new();
    let repo = with_bucket(&env, &server.host());
    let address = format!("s3://{}/lake", server.host());
    let ran = repo.git_fails(1, ["lake", "init", &address]);
    drop(ran.says(&format!("git lake trust --insecure-http {}", server.host())));
    assert_eq!(server.requests().len(), 0);
    repo.git(["lake", "init", "--insecure-http", &address]);
    assert!(repo.text(".gitlake.toml").contains("secure = false"));
    goes_up_and_comes_back(&repo);
}
