//! Datasets outside of git: what fails is told for each item, and loses nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::common::dataset::{kinds, place};
use crate::common::s3::S3Server;
use crate::common::s3::endpoint::Endpoint;
use crate::common::{Lake, Repo, TestEnv, noise};

/// Five items in a lake, and their content.
fn five(env: &TestEnv) -> (Repo, Lake, Vec<(String, Vec<u8>)>) {
    let place = place(env);
    let files: Vec<(String, Vec<u8>)> =
        (0..5).map(|at| (format!("data/{at}_a.bin"), noise(at, 100))).collect();
    place.dataset("in", files.iter().map(|(path, bytes)| (&**path, bytes.clone())));
    place.lake(0, ["remote-add", "-i", "in", "-o", "out", "-r", "lake"]);
    let lake = Lake { path: place.path.join("lake") };
    (place, lake, files)
}

#[test]
fn a_missing_object_leaves_its_item_in_the_lake() {
    let env = TestEnv::new();
    let (place, lake, files) = five(&env);
    lake.remove(&files[2].1);
    let pointer = place.read("out/data/2_a.bin.remote");
    let text = "1 item was left as it was (data/2_a.bin.remote): it is not in `file://";
    place.lake(1, ["clone", "-i", "out", "-o", "back"]).says(text);
    place.has("back/data/2_a.bin.remote", &pointer);
    assert_eq!(place.files("back").len(), 5);
    place.lake(1, ["remote-remove", "-i", "out", "-o", "out", "-r", "lake"]).says(text);
    place.has("out/data/2_a.bin.remote", &pointer);
    assert_eq!(place.files("out").len(), 5);
    place.lake(1, ["remote-add", "-i", "back", "-o", "more", "-r", "lake2"]).says(text);
    place.has("more/data/2_a.bin.remote", &pointer);
}

#[test]
fn damage_is_told_and_another_source_helps() {
    let env = TestEnv::new();
    let (place, lake, files) = five(&env);
    place.lake(0, ["remote-add", "-i", "out", "-o", "both", "-r", "lake2"]);
    lake.damage(&files[1].1);
    place
        .lake(3, ["clone", "-i", "out", "-o", "back"])
        .says("1 item was left as it was (data/1_a.bin.remote):")
        .says("holds other bytes than the object's")
        .says_not("from elsewhere");
    assert_eq!(place.files("back")[1], "data/1_a.bin.remote");
    place.lake(3, ["clone", "-i", "both", "-o", "whole"]).says("they were had from elsewhere");
    let expected: Vec<_> = files.iter().map(|(path, bytes)| (&**path, bytes.clone())).collect();
    place.has_dataset("whole", &expected);
    // The same when the object's size is wrong.
    fs::write(lake.object(&files[3].1), b"short").unwrap();
    place.lake(3, ["clone", "-i", "out", "-o", "short"]);
    assert_eq!(place.files("short")[3], "data/3_a.bin.remote");
    place.lake(3, ["remote-add", "-i", "in", "-o", "again", "-r", "lake"]);
    let again = place.files("again");
    assert_eq!([&*again[1], &*again[2]], ["data/1_a.bin", "data/2_a.bin.remote"]);
}

#[test]
fn an_unreachable_lake_is_told_once_and_at_once() {
    let env = TestEnv::new();
    let (place, lake, _) = five(&env);
    lake.unmount();
    place
        .lake(1, ["clone", "-i", "out", "-o", "back"])
        .says("5 items were left as they were (data/0_a.bin.remote, data/1_a.bin.remote, ")
        .says("The folder does not exist");
    assert_eq!(place.files("back"), place.files("out"));
    // A server that is not there.
    let server = S3Server::start();
    let host = server.host();
    drop(server);
    let name = "a".repeat(64);
    let text = format!("[\"s3://{host}/b/{name}.bin\"]").into_bytes();
    let names: Vec<String> = (0..40).map(|at| format!("data/{at}_a.bin.remote")).collect();
    place.dataset("far", names.iter().map(|name| (&**name, text.clone())));
    let begin = Instant::now();
    place
        .lake(1, ["clone", "-i", "far", "-o", "back2"])
        .says("40 items were left as they were")
        .says("Could not reach the lake");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    let url = format!("s3://{host}/b?secure=false");
    place
        .lake(1, ["remote-add", "-i", "in", "-o", "none", "-r", &url])
        .says("Could not reach the lake");
    assert!(!place.path.join("none").exists());
}

#[test]
fn an_output_that_cannot_be_written_is_told_before_anything_is_sent() {
    let env = TestEnv::new();
    let place = place(&env);
    place.dataset("in", kinds());
    place.write("full/x", "x");
    place
        .lake(1, ["remote-add", "-i", "in", "-o", "full", "-r", "lake"])
        .says("exists already: name a folder that does not");
    place.write("file", "x");
    place.lake(1, ["remote-add", "-i", "in", "-o", "file", "-r", "lake"]).says("exists already");
    place.lake(1, ["remote-add", "-i", "in", "-o", "file/below", "-r", "lake"]);
    assert!(!place.path.join("lake").exists());
    // Folders above it are made, and taken away again if it comes to nothing.
    place.lake(1, ["remote-add", "-i", "in", "-o", "new/deep/out", "-r", "no/parent"]);
    assert!(!place.path.join("new").exists());
    place.lake(0, ["remote-add", "-i", "in", "-o", "new/deep/out", "-r", "lake"]);
    fs::create_dir(place.path.join("empty")).unwrap();
    place.lake(0, ["clone", "-i", "new/deep/out", "-o", "empty"]);
    place.has_dataset("empty", &kinds());
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_the_others_are_sent() {
    let env = TestEnv::new();
    let (place, _, files) = five(&env);
    let path = place.path.join("in/data/1_a.bin");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&path).is_ok() {
        // The superuser reads everything.
        return;
    }
    place
        .lake(1, ["remote-add", "-i", "in", "-o", "in", "-r", "lake"])
        .says("1 item was left as it was (data/1_a.bin): it could not be read");
    assert_eq!(place.files("in").iter().filter(|name| name.ends_with(".remote")).count(), 4);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    place.has("in/data/1_a.bin", &files[1].1);
}

#[test]
fn buckets_that_are_not_there_and_keys_that_are_missing_are_named() {
    let env = TestEnv::new();
    let place = place(&env);
    let server = S3Server::start();
    let endpoint = Endpoint::of(&server);
    place.dataset("in", kinds());
    place
        .lake(1, ["remote-add", "-i", "in", "-o", "out", "-r", &endpoint.typed("nobucket")])
        .says("There is no bucket `nobucket` (`--create` makes one)");
    let anonymous = format!("{}?secure=false", endpoint.url("lake"));
    place.lake(1, ["remote-add", "-i", "in", "-o", "out", "-r", &anonymous]).says("AccessDenied");
    assert_eq!(place.files("in").len(), kinds().len());
    assert!(!place.path.join("out").exists() && server.keys("lake").is_empty());
    place.lake(0, ["remote-add", "-i", "in", "-o", "out", "-r", &endpoint.typed("lake")]);
    let host = format!("s3://{}?secure=false", endpoint.host);
    place
        .lake(1, ["clone", "-i", "out", "-o", "back", "--host", &host])
        .says("12 items were left as they were")
        .says("AccessDenied");
    assert_eq!(place.files("back"), place.files("out"));
}

#[test]
fn damaged_objects_of_a_server_are_not_given_out() {
    let env = TestEnv::new();
    let place = place(&env);
    let server = S3Server::start();
    let endpoint = Endpoint::of(&server);
    place.dataset("in", [("data/0_a.bin", b"right".to_vec()), ("data/1_a.bin", b"gone".to_vec())]);
    place.lake(0, ["remote-add", "-i", "in", "-o", "out", "-r", &endpoint.typed("lake")]);
    let name = |content: &[u8]| format!("{}.bin", git_lake::oid::Oid::of(content).to_hex());
    server.plant("lake", &name(b"right"), b"wrong", false);
    server.remove("lake", &name(b"gone"));
    let host = endpoint.typed("").replacen("/?", "?", 1);
    place.lake(3, ["clone", "-i", "out", "-o", "back", "--host", &host]);
    assert_eq!(place.files("back"), ["data/0_a.bin.remote", "data/1_a.bin.remote"]);
}

#[test]
fn keys_go_to_servers_that_are_named_or_trusted_only() {
    let Some(server) = S3Server::start_outside() else { return };
    let env = TestEnv::new();
    let place = place(&env);
    let endpoint = Endpoint::of(&server);
    place.dataset("in", [("data/0_a.bin", b"abc".to_vec())]);
    place.lake(0, ["remote-add", "-i", "in", "-o", "out", "-r", &endpoint.typed("lake")]);
    let keyed =
        place.with("AWS_ACCESS_KEY_ID", "testkey").with("AWS_SECRET_ACCESS_KEY", "testsecret");
    let key = format!("lake.{}.secure", endpoint.host);
    place.run("git", ["config", "--global", &key, "false"]);
    server.take_requests();
    keyed
        .lake(1, ["clone", "-i", "out", "-o", "back"])
        .says("asked without keys")
        .says(&format!("git lake trust {}", endpoint.host));
    let requests = server.take_requests();
    assert!(!requests.is_empty() && requests.iter().all(|request| request.access_key_id.is_none()));
    let host = format!("s3://{}?secure=false", endpoint.host);
    keyed.lake(0, ["clone", "-i", "out", "-o", "named", "--host", &host]);
    keyed.lake(0, ["trust", &endpoint.host]).says("from all your clones");
    keyed.lake(0, ["clone", "-i", "out", "-o", "trusted"]);
    place.has("trusted/data/0_a.bin", "abc");
}
