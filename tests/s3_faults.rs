//! What goes wrong on request at the S3 server that other tests rely on.

#![expect(clippy::result_large_err, reason = "the errors are the client's, and it is a test")]

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;

use crate::common::s3::client::{bytes, client, client_with, failed, failure, run};
use crate::common::s3::endpoint::Endpoint;
use crate::common::s3::proxy::Proxy;
use crate::common::s3::{Fault, KEY, Recorded, S3Server};

fn anything(_: &Recorded) -> bool {
    true
}

#[test]
fn every_fault_is_met_as_often_as_said() {
    let server = S3Server::start();
    let client = client(&server);
    server.plant("lake", "a", b"0123456789", true);
    let get = || {
        run(async {
            let got = client.get_object().bucket("lake").key("a").send().await?;
            assert_eq!(got.content_length(), Some(10));
            Ok::<_, SdkError<_>>(got.body.collect().await.map(|body| body.to_vec()).ok())
        })
    };
    let whole = |got: Result<Option<Vec<u8>>, SdkError<GetObjectError>>| {
        assert_eq!(got.unwrap().unwrap(), b"0123456789");
    };
    let put = |key: &str| run(client.put_object().bucket("lake").key(key).body(bytes(b"b")).send());
    whole(get());

    let headers = vec![("retry-after", "1".to_owned())];
    let slow = Fault::Status { status: 503, code: "SlowDown", message: "Slowly & <so>", headers };
    server.fault(|request| request.operation == "GetObject", 2, slow);
    for _ in 0..2 {
        let error = get().unwrap_err();
        assert_eq!(error.message(), Some("Slowly & <so>"));
        assert_eq!(error.raw_response().unwrap().headers().get("retry-after"), Some("1"));
        assert_eq!(failure(Err::<(), _>(error)), failed(503, "SlowDown"));
    }
    whole(get());

    server.fault(anything, 1, Fault::Reset);
    assert_eq!(failure(get()), failed(0, ""));
    server.fault(anything, 1, Fault::ResetAfterRequestBody);
    assert_eq!(failure(put("b")), failed(0, ""));
    assert_eq!(server.requests().last().unwrap().body_bytes, 1);
    assert_eq!(server.object("lake", "b"), None);
    server.fault(anything, 1, Fault::LoseAnswer);
    assert_eq!(failure(put("b")), failed(0, ""));
    assert_eq!(server.object("lake", "b").unwrap(), b"b");

    server.fault(anything, 1, Fault::Truncate(4));
    assert_eq!(get().unwrap(), None);
    server.fault(anything, 1, Fault::FlipByte(0));
    assert_eq!(get().unwrap().unwrap(), b"1123456789");
    server.fault(anything, 1, Fault::Delay(Duration::from_millis(1)));
    whole(get());

    let message = "We encountered an internal error. Please try again.";
    server.fault(anything, 1, Fault::OkWithErrorBody { code: "InternalError", message });
    let copy = client.copy_object().bucket("lake").key("b").copy_source("lake/a");
    assert_eq!(failure(run(copy.send())), failed(200, "InternalError"));
    let elsewhere = Fault::Redirect { status: 301, location: None, region: Some("eu-central-1") };
    server.fault(anything, 1, elsewhere);
    let error = get().unwrap_err();
    let headers = error.raw_response().unwrap().headers();
    assert_eq!(headers.get("x-amz-bucket-region"), Some("eu-central-1"));
    assert_eq!(failure(Err::<(), _>(error)), failed(301, "PermanentRedirect"));
    whole(get());
}

/// Asks for an object of a bucket that everybody may read; returns head and body as they come.
fn raw(host: &str, method: &str) -> (String, Vec<u8>) {
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let request = format!("{method} /lake/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let body = answer.split_off(head);
    (String::from_utf8(answer).unwrap().to_lowercase(), body)
}

#[test]
fn a_cut_answer_ends_after_the_bytes_said() {
    let server = S3Server::start();
    server.set_behaviour(|it| it.public_read = true);
    server.plant("lake", "a", &vec![b'x'; 100_000], false);
    server.fault(anything, 1, Fault::Truncate(70_000));
    let (head, body) = raw(&server.host(), "GET");
    assert!(head.contains("content-length: 100000"), "{head}");
    assert_eq!(body.len(), 70_000);
}

#[test]
fn a_proxy_passes_requests_on_and_spoils_them_as_the_server_does() {
    let server = S3Server::start();
    let proxy = Proxy::to(&server.host());
    let through = Endpoint { host: proxy.host(), keys: Endpoint::of(&server).keys };
    let content = vec![b'x'; 6 << 20];
    through.put("lake", "a b", &content);
    assert_eq!(through.get("lake", "a b").unwrap(), content);
    assert_eq!(through.get("lake", "missing"), None);
    assert_eq!(proxy.take_requests().len(), server.take_requests().len());

    server.set_behaviour(|it| it.public_read = true);
    server.plant("lake", "a", b"0123456789", false);
    for host in [proxy.host(), server.host()] {
        let spoilt = |fault, method| {
            match host == proxy.host() {
                true => proxy.fault(anything, 1, fault),
                false => server.fault(anything, 1, fault),
            }
            raw(&host, method)
        };
        for (more, told, sent) in [(3, 13, "0123456789"), (-3, 7, "0123456")] {
            let length = format!("content-length: {told}\r\n");
            let (head, body) = spoilt(Fault::Length(more), "GET");
            assert!(head.contains(&length) && body == sent.as_bytes(), "{head}");
            let (head, body) = spoilt(Fault::Length(more), "HEAD");
            assert!(head.contains(&length) && body.is_empty(), "{head}");
        }
        let pause = Duration::from_millis(1);
        assert_eq!(spoilt(Fault::Drip(3, pause), "GET").1, b"0123456789");
        assert!(raw(&host, "GET").0.contains("etag: "));
        assert!(!spoilt(Fault::Without("etag"), "GET").0.contains("etag: "));
        assert!(spoilt(Fault::Header("etag", "x"), "GET").0.contains("etag: x"));
    }

    proxy.take_requests();
    server.take_requests();
    proxy.fault(anything, 9, Fault::ResetInRequestBody(1 << 20));
    let put = through.client().put_object().bucket("lake").key("b");
    assert_eq!(failure(run(put.body(bytes(&content)).send())), failed(0, ""));
    let received = proxy.take_requests()[0].body_bytes;
    assert!((1 << 20..content.len() as u64).contains(&received), "{received}");
    assert!(server.requests().is_empty());
    drop(server);
    proxy.heal();
    let get = through.client().get_object().bucket("lake").key("a");
    assert_eq!(failure(run(get.send())), failed(0, ""));
}

#[test]
fn a_stalled_request_does_not_keep_the_server() {
    let server = S3Server::start();
    let client = client(&server);
    server.fault(anything, 1, Fault::Stall);
    let asked = run(async {
        let get = client.get_object().bucket("lake").key("a").send();
        tokio::time::timeout(Duration::from_millis(200), get).await
    });
    assert!(asked.is_err(), "{asked:?}");
    let begun = Instant::now();
    drop(server);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn refusals_reach_a_client_that_is_still_sending() {
    let server = S3Server::start();
    let content = vec![b'x'; 8 << 20];
    let put = |client: Client| {
        run(client.put_object().bucket("lake").key("a").body(bytes(&content)).send())
    };
    for _ in 0..4 {
        let wrong = put(client_with(&server, KEY.0, "wrong", None));
        assert_eq!(failure(wrong), failed(403, "SignatureDoesNotMatch"));
        let (code, message) = ("SlowDown", "Please reduce your request rate.");
        let slow = Fault::Status { status: 503, code, message, headers: Vec::new() };
        server.fault(anything, 1, slow);
        assert_eq!(failure(put(client(&server))), failed(503, "SlowDown"));
        server.fault(anything, 1, Fault::Reset);
        assert_eq!(failure(put(client(&server))), failed(0, ""));
    }
    assert!(server.keys("lake").is_empty());
    put(client(&server)).unwrap();
    let last = server.requests().pop().unwrap();
    assert_eq!(last.body_bytes, 8 << 20);
}
