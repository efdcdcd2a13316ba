//! The S3 server that other tests rely on, seen by the client that git-lake is built on.

#![expect(clippy::result_large_err, reason = "the errors are the client's, and it is a test")]

use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart, MetadataDirective,
    Tag, Tagging,
};
use sha2::{Digest as _, Sha256};

use crate::common::s3::client::{bytes, client, client_with, config, failed, failure, run};
use crate::common::s3::{Conditions, KEY, Rights, S3Server, Tags};

fn sha256(bytes: &[u8]) -> String {
    aws_smithy_types::base64::encode(Sha256::digest(bytes))
}

fn tagging() -> Tagging {
    let tag = Tag::builder().key("name").value("value").build().unwrap();
    Tagging::builder().tag_set(tag).build().unwrap()
}

#[test]
fn of_many_conditional_writes_one_wins() {
    let server = S3Server::start();
    let client = client(&server);
    let winners = run(async {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..16_u8 {
            let put = client.put_object().bucket("lake").key("a").if_none_match("*");
            let put = put.body(bytes(&[number; 1000]));
            tasks.spawn(async move { (number, put.send().await) });
        }
        let mut winners = Vec::new();
        for (number, result) in tasks.join_all().await {
            match result {
                Ok(_) => winners.push(number),
                Err(_) => assert_eq!(failure(result), failed(412, "PreconditionFailed")),
            }
        }
        winners
    });
    assert_eq!(winners.len(), 1);
    assert_eq!(server.object("lake", "a").unwrap(), [winners[0]; 1000]);
    let put = |key| client.put_object().bucket("lake").key(key).if_none_match("*").send();
    server.set_behaviour(|it| it.conditions = Conditions::Refused);
    assert_eq!(failure(run(put("b"))), failed(501, "NotImplemented"));
    server.set_behaviour(|it| it.conditions = Conditions::Ignored);
    run(put("a")).unwrap();
    assert_eq!(server.object("lake", "a").unwrap(), b"");
    assert_eq!(server.keys("lake"), ["a"]);
}

#[test]
fn wrong_digests_store_nothing() {
    let server = S3Server::start();
    let client = client(&server);
    let put = || client.put_object().bucket("lake").key("a").body(bytes(b"abc"));
    let wrong = run(put().checksum_sha256(sha256(b"abd")).send());
    assert_eq!(failure(wrong), failed(400, "BadDigest"));
    let wrong = run(put().content_md5("AAAAAAAAAAAAAAAAAAAAAA==").send());
    assert_eq!(failure(wrong), failed(400, "BadDigest"));
    assert!(server.keys("lake").is_empty());
    server.set_behaviour(|it| it.checksums = false);
    let ignored = run(put().checksum_sha256(sha256(b"abd")).send()).unwrap();
    assert_eq!(ignored.checksum_sha256(), None);
    assert_eq!(server.object("lake", "a").unwrap(), b"abc");
}

#[test]
fn bodies_arrive_however_they_are_signed() {
    let server = S3Server::start();
    let client = client(&server);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    let content = vec![b'x'; 300_000];
    std::fs::write(&file, &content).unwrap();
    run(async {
        let put = |key| client.put_object().bucket("lake").key(key);
        put("signed").body(bytes(&content)).send().await.unwrap();
        let unsigned = put("unsigned").body(bytes(&content)).customize();
        unsigned.disable_payload_signing().send().await.unwrap();
        // The client that calculates digests only when required sends none here, algorithm or not.
        let chunked = put("chunked").checksum_algorithm(ChecksumAlgorithm::Sha256);
        let chunked = chunked.body(ByteStream::from_path(&file).await.unwrap()).customize();
        let calculation = RequestChecksumCalculation::WhenSupported;
        let calculating = config(&server).request_checksum_calculation(calculation);
        chunked.config_override(calculating).send().await.unwrap();
    });
    let requests = server.take_requests();
    let signed_as: Vec<&str> =
        requests.iter().map(|request| &*request.headers["x-amz-content-sha256"]).collect();
    let digest = hex(&Sha256::digest(&content));
    assert_eq!(
        signed_as,
        [&*digest, "UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"]
    );
    assert!(requests.iter().all(|request| request.operation == "PutObject"));
    assert!(requests[..2].iter().all(|request| request.body_bytes == 300_000));
    assert_eq!((requests[2].bucket(), requests[2].key()), ("lake", "chunked"));
    for key in server.keys("lake") {
        assert!(server.object("lake", &key).unwrap() == content, "{key}");
    }
    let head = client.head_object().bucket("lake").key("chunked");
    let head = run(head.checksum_mode(ChecksumMode::Enabled).send()).unwrap();
    assert_eq!(head.checksum_sha256().unwrap(), sha256(&content));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Begins an upload and sends two parts with digests.
async fn upload(client: &Client, parts: [&[u8]; 2]) -> (String, Vec<CompletedPart>) {
    let create = client.create_multipart_upload().bucket("lake").key("a");
    let create = create.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    let id = create.upload_id().unwrap().to_owned();
    let mut completed = Vec::new();
    for (number, part) in (1..).zip(parts) {
        let digest = sha256(part);
        let sent = client.upload_part().bucket("lake").key("a").upload_id(&id).part_number(number);
        let sent = sent.checksum_sha256(&digest).body(bytes(part)).send().await.unwrap();
        assert_eq!(sent.checksum_sha256(), Some(&*digest));
        let done = CompletedPart::builder().part_number(number).checksum_sha256(digest);
        completed.push(done.e_tag(sent.e_tag().unwrap()).build());
    }
    (id, completed)
}

#[test]
fn uploads_in_parts_have_composite_digests() {
    let server = S3Server::start();
    let client = client(&server);
    let (id, parts) = run(upload(&client, [b"first ", b"second"]));
    let complete = |id: &str, parts: &[CompletedPart]| {
        let named = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build();
        let request = client.complete_multipart_upload().bucket("lake").key("a").upload_id(id);
        run(request.if_none_match("*").multipart_upload(named).send())
    };
    let swapped = [parts[1].clone(), parts[0].clone()];
    assert_eq!(failure(complete(&id, &swapped)), failed(400, "InvalidPartOrder"));
    let mut other = parts.clone();
    other[1] = CompletedPart::builder().part_number(2).e_tag("0").build();
    assert_eq!(failure(complete(&id, &other)), failed(400, "InvalidPart"));
    other[1] = CompletedPart::builder().part_number(2).e_tag(parts[1].e_tag().unwrap()).build();
    assert_eq!(failure(complete(&id, &other)), failed(400, "InvalidRequest"));
    server.set_behaviour(|it| it.smallest_part = 7);
    assert_eq!(failure(complete(&id, &parts)), failed(400, "EntityTooSmall"));
    server.set_behaviour(|it| it.smallest_part = 0);
    assert!(server.keys("lake").is_empty());
    let listed = client.list_parts().bucket("lake").key("a").upload_id(&id);
    assert_eq!(run(listed.send()).unwrap().parts().len(), 2);

    let digests = [Sha256::digest(b"first "), Sha256::digest(b"second")].concat();
    let composite = format!("{}-2", sha256(&digests));
    let done = complete(&id, &parts).unwrap();
    assert_eq!(done.checksum_sha256(), Some(&*composite));
    assert!(done.e_tag().unwrap().ends_with("-2\""));
    let head = client.head_object().bucket("lake").key("a").checksum_mode(ChecksumMode::Enabled);
    assert_eq!(run(head.send()).unwrap().checksum_sha256(), Some(&*composite));
    assert_eq!(server.object("lake", "a").unwrap(), b"first second");

    // A condition that fails leaves the upload, which has to be aborted.
    let (second, parts) = run(upload(&client, [b"other ", b"bytes"]));
    assert_eq!(failure(complete(&second, &parts)), failed(412, "PreconditionFailed"));
    assert_eq!(server.unfinished_uploads("lake"), 1);
    let listed = run(client.list_multipart_uploads().bucket("lake").send()).unwrap();
    assert_eq!(listed.uploads()[0].upload_id(), Some(&*second));
    let abort = client.abort_multipart_upload().bucket("lake").key("a").upload_id(&second);
    run(abort.send()).unwrap();
    assert_eq!(failure(complete(&second, &parts)), failed(404, "NoSuchUpload"));
    assert_eq!(server.unfinished_uploads("lake"), 0);
}

#[test]
fn ranges_are_parts_of_the_bytes() {
    let server = S3Server::start();
    let client = client(&server);
    server.plant("lake", "a", b"0123456789", true);
    server.plant("lake", "empty", b"", false);
    let get = |key: &str, range: &str| {
        let get = client.get_object().bucket("lake").key(key).range(range);
        run(async {
            let got = get.send().await?;
            let about = got.content_range().unwrap().to_owned();
            Ok((about, got.body.collect().await.unwrap().to_vec()))
        })
    };
    for (range, about, part) in [
        ("bytes=2-4", "bytes 2-4/10", &b"234"[..]),
        ("bytes=7-", "bytes 7-9/10", b"789"),
        ("bytes=-1", "bytes 9-9/10", b"9"),
        ("bytes=0-99", "bytes 0-9/10", b"0123456789"),
    ] {
        assert_eq!(
            get("a", range).unwrap_or_else(|e: SdkError<_>| panic!("{e:?}")),
            (about.into(), part.to_vec())
        );
    }
    assert_eq!(failure(get("a", "bytes=10-")), failed(416, "InvalidRange"));
    assert_eq!(failure(get("empty", "bytes=0-")), failed(416, "InvalidRange"));
    let get = client.get_object().bucket("lake").key("a").if_match("\"0\"");
    assert_eq!(failure(run(get.send())), failed(412, "PreconditionFailed"));
    let head = |key| client.head_object().bucket("lake").key(key);
    let head = |key| run(head(key).checksum_mode(ChecksumMode::Enabled).send()).unwrap();
    assert_eq!(head("a").checksum_sha256(), Some(&*sha256(b"0123456789")));
    assert_eq!(head("empty").checksum_sha256(), None);
}

#[test]
fn lists_come_in_pages_of_a_thousand() {
    let server = S3Server::start();
    let client = client(&server);
    let keys: Vec<String> = (0..2500).map(|number| format!("some/{number:04}")).collect();
    for key in &keys {
        server.plant("lake", key, b"x", false);
    }
    server.plant("lake", "other", b"x", false);
    let list = client.list_objects_v2().bucket("lake").prefix("some/");
    let pages = run(list.into_paginator().send().collect::<Result<Vec<_>, _>>()).unwrap();
    let sizes: Vec<usize> = pages.iter().map(|page| page.contents().len()).collect();
    assert_eq!(sizes, [1000, 1000, 500]);
    let objects = pages.iter().flat_map(|page| page.contents());
    assert!(objects.map(|object| object.key().unwrap()).eq(&keys));
    let rest = client.list_objects_v2().bucket("lake").start_after("some/2497");
    assert_eq!(run(rest.send()).unwrap().contents().len(), 2);
    server.remove("lake", "other");
    assert_eq!(server.keys("lake"), keys);
    server.set_behaviour(|it| it.list_allowed = false);
    let list = client.list_objects_v2().bucket("lake");
    assert_eq!(failure(run(list.send())), failed(403, "AccessDenied"));
    let absent = client.get_object().bucket("lake").key("none");
    assert_eq!(failure(run(absent.send())), failed(403, "AccessDenied"));
}

#[test]
fn signatures_are_checked() {
    let server = S3Server::start();
    server.plant("lake", "a", b"abc", false);
    let get = |id: &str, secret: &str, token: Option<&str>| {
        let client = client_with(&server, id, secret, token);
        run(async move { client.get_object().bucket("lake").key("a").send().await })
    };
    get(KEY.0, KEY.1, None).unwrap();
    let request = server.take_requests().remove(0);
    assert_eq!(request.access_key_id.as_deref(), Some(KEY.0));
    assert_eq!(request.region.as_deref(), Some("us-east-1"));
    assert_eq!((&*request.method, &*request.path), ("GET", "/lake/a"));
    assert_eq!(request.query["x-id"], "GetObject");
    assert_eq!(failure(get(KEY.0, "wrong", None)), failed(403, "SignatureDoesNotMatch"));
    assert_eq!(failure(get("nobody", KEY.1, None)), failed(403, "InvalidAccessKeyId"));

    server.add_key("session", "secret", Rights::ReadOnly);
    server.require_token("session", "token");
    get("session", "secret", Some("token")).unwrap();
    assert_eq!(failure(get("session", "secret", None)), failed(403, "InvalidAccessKeyId"));
    assert_eq!(failure(get("session", "secret", Some("other"))), failed(400, "InvalidToken"));
    let reader = client_with(&server, "session", "secret", Some("token"));
    let put = reader.put_object().bucket("lake").key("b");
    assert_eq!(failure(run(put.send())), failed(403, "AccessDenied"));
    server.expire_key("session");
    assert_eq!(failure(get("session", "secret", Some("token"))), failed(400, "ExpiredToken"));
    server.revoke_key(KEY.0);
    assert_eq!(failure(get(KEY.0, KEY.1, None)), failed(403, "InvalidAccessKeyId"));
}

#[test]
fn unsigned_requests_read_public_objects_only() {
    let server = S3Server::start();
    server.plant("lake", "a", b"abc", false);
    let anonymous = Client::from_conf(config(&server).allow_no_auth().build());
    let get = || run(anonymous.get_object().bucket("lake").key("a").send());
    assert_eq!(failure(get()), failed(403, "AccessDenied"));
    server.set_behaviour(|it| it.public_read = true);
    get().unwrap();
    let put = anonymous.put_object().bucket("lake").key("b");
    assert_eq!(failure(run(put.send())), failed(403, "AccessDenied"));
    let list = anonymous.list_objects_v2().bucket("lake");
    assert_eq!(failure(run(list.send())), failed(403, "AccessDenied"));
}

#[test]
fn regions_and_clocks_have_to_agree() {
    let server = S3Server::start();
    let client = client(&server);
    server.plant("lake", "a", b"abc", false);
    let get = || run(client.get_object().bucket("lake").key("a").send());
    server.set_behaviour(|it| it.clock_ahead = 60);
    get().unwrap();
    server.set_behaviour(|it| it.clock_ahead = -3600);
    assert_eq!(failure(get()), failed(403, "RequestTimeTooSkewed"));
    // The client has learnt the server's time from `Date`.
    get().unwrap();
    server.set_behaviour(|it| it.region = Some("eu-central-1".to_owned()));
    assert_eq!(failure(get()), failed(400, "AuthorizationHeaderMalformed"));
    server.set_behaviour(|it| it.region = Some("us-east-1".to_owned()));
    get().unwrap();
    let head = run(client.head_bucket().bucket("lake").send()).unwrap();
    assert_eq!(head.bucket_region(), Some("us-east-1"));
}

#[test]
fn tags_of_buckets_are_kept() {
    let server = S3Server::start();
    let client = client(&server);
    let get = || run(client.get_bucket_tagging().bucket("lake").send());
    let put = || run(client.put_bucket_tagging().bucket("lake").tagging(tagging()).send());
    assert_eq!(failure(get()), failed(404, "NoSuchTagSet"));
    put().unwrap();
    assert_eq!(server.tags("lake")["name"], "value");
    server.set_tags("lake", &[("other", "one")]);
    assert_eq!(get().unwrap().tag_set()[0].key(), "other");
    server.set_behaviour(|it| it.tags = Tags::WriteDenied);
    assert_eq!(failure(put()), failed(403, "AccessDenied"));
    get().unwrap();
    server.set_behaviour(|it| it.tags = Tags::Denied);
    assert_eq!(failure(get()), failed(403, "AccessDenied"));
    server.set_behaviour(|it| it.tags = Tags::NotImplemented);
    assert_eq!(failure(get()), failed(501, "NotImplemented"));
    server.set_behaviour(|it| it.tags = Tags::Kept);
    let create = |name| run(client.create_bucket().bucket(name).send());
    assert_eq!(failure(create("lake")), failed(409, "BucketAlreadyOwnedByYou"));
    create("pond").unwrap();
    server.create_bucket("sea");
    for name in ["pond", "sea"] {
        run(client.head_bucket().bucket(name).send()).unwrap();
    }
    let absent = run(client.list_objects_v2().bucket("none").send());
    assert_eq!(failure(absent), failed(404, "NoSuchBucket"));
}

#[test]
fn copies_onto_themselves_are_new() {
    let server = S3Server::start();
    let client = client(&server);
    server.plant("lake", "a", b"abc", true);
    server.set_modified("lake", "a", SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    let head = || {
        let head = client.head_object().bucket("lake").key("a");
        run(head.checksum_mode(ChecksumMode::Enabled).send()).unwrap()
    };
    assert_eq!(head().last_modified().unwrap().secs(), 1_000_000_000);
    let copy = || client.copy_object().bucket("lake").key("a").copy_source("lake/a");
    assert_eq!(failure(run(copy().send())), failed(400, "InvalidRequest"));
    let replaced = copy().metadata_directive(MetadataDirective::Replace).metadata("name", "value");
    run(replaced.send()).unwrap();
    assert!(head().last_modified().unwrap().secs() > 1_000_000_000);
    assert_eq!(head().checksum_sha256(), Some(&*sha256(b"abc")));
    assert_eq!(head().metadata().unwrap()["name"], "value");
    let delete = || run(client.delete_object().bucket("lake").key("a").send());
    assert_eq!(failure(delete()), failed(403, "AccessDenied"));
    server.set_behaviour(|it| it.delete_allowed = true);
    delete().unwrap();
    assert!(server.keys("lake").is_empty());
}
