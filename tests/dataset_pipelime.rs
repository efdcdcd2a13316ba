//! Datasets that real pipelime wrote, and real pipelime as a reader.
//!
//! What pipelime 1.9.1 wrote is recorded in `tests/fixtures/pipelime`; its addresses begin with the folder
//! that it ran in. With `GIT_LAKE_TEST_PIPELIME`, the path of its program, it runs here.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::dataset::place;
use crate::common::s3::S3Server;
use crate::common::s3::endpoint::Endpoint;
use crate::common::{Repo, TestEnv, tree};

const RECORDED_IN: &str = "file:///srv/pl/";
const RECORDED_SERVER: &str = "127.0.0.1:5555";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pipelime")
}

/// Copies what was recorded, with other addresses in its `.remote` files.
fn copy(place: &Repo, name: &str, from: &str, to: &str) {
    for (path, bytes, _) in tree(&fixtures().join(name)) {
        let is_remote = path.extension().is_some_and(|extension| extension == "remote");
        let text = || String::from_utf8(bytes.clone()).unwrap().replace(from, to);
        place.write(Path::new(name).join(&path), if is_remote { text().into() } else { bytes });
    }
}

fn copy_here(place: &Repo, name: &str) {
    let here = format!("file://{}/", place.path.display());
    copy(place, name, RECORDED_IN, &here);
}

/// Each item of the first dataset has the bytes that the lake holds under the name in its `.remote` file.
#[track_caller]
fn came_back(place: &Repo, remote: &str, back: &str, lake: impl Fn(&str) -> Vec<u8>) {
    let names = place.files(remote);
    assert_eq!(names.len(), 13);
    for name in names {
        let text = place.text(format!("{remote}/{name}"));
        let object = text.trim_end_matches("\"]").rsplit('/').next().unwrap();
        place.has(format!("{back}/{}", name.strip_suffix(".remote").unwrap()), lake(object));
    }
}

#[test]
fn a_lake_of_pipelime_is_read_and_verified_by_its_names() {
    let env = TestEnv::new();
    let place = place(&env);
    copy_here(&place, "add_base");
    place.lake(0, ["clone", "-i", "add_base/out", "-o", "back"]);
    let object = |name: &str| fs::read(place.path.join("add_base/lake").join(name)).unwrap();
    came_back(&place, "add_base/out", "back", object);
    // pipelime encodes anew, but for these.
    for at in 0..6 {
        let recorded = fixtures().join(format!("mini/data/00{at}_blob.bin"));
        place.has(format!("back/data/{at}_blob.bin"), fs::read(recorded).unwrap());
    }
    // One byte of a BLAKE2b object is enough.
    let lake = place.path.join("add_base/lake");
    let text = place.text("add_base/out/data/2_image.png.remote");
    let object = lake.join(text.trim_end_matches("\"]").rsplit('/').next().unwrap());
    let mut bytes = fs::read(&object).unwrap();
    bytes[50] ^= 1;
    fs::write(&object, bytes).unwrap();
    place
        .lake(3, ["clone", "-i", "add_base/out", "-o", "back2"])
        .says("1 item was left as it was (data/2_image.png.remote)");
}

#[test]
fn objects_named_by_weak_hashes_are_read_and_none_are_added() {
    let env = TestEnv::new();
    let place = place(&env);
    copy_here(&place, "tag_sha1");
    place.lake(0, ["clone", "-i", "tag_sha1/out", "-o", "back"]).says("1 item brought back");
    place.has("back/data/2_blob.bin", fs::read(fixtures().join("mini/data/002_blob.bin")).unwrap());
    place
        .lake(1, ["remote-add", "-i", "back", "-o", "out", "-r", "tag_sha1/lake"])
        .says("objects named by sha1 are only read");
    let name = fs::read_dir(place.path.join("tag_sha1/lake")).unwrap();
    let name = name.map(|entry| entry.unwrap().path());
    let object = name.into_iter().find(|path| path.extension().is_some_and(|e| e == "bin"));
    fs::write(object.unwrap(), b"other").unwrap();
    place.lake(3, ["clone", "-i", "tag_sha1/out", "-o", "back2"]);
}

#[test]
fn a_lake_of_pipelime_keeps_its_hash_and_its_names() {
    let env = TestEnv::new();
    let place = place(&env);
    copy_here(&place, "add_base");
    place.dataset("in", [("data/0_a.bin", b"abc".to_vec())]);
    place.lake(0, ["remote-add", "-i", "in", "-o", "out", "-r", "add_base/lake"]);
    // RFC 7693, appendix A.
    let text = place.text("out/data/0_a.bin.remote");
    assert!(text.contains("/add_base/lake/ba80a53f981c4d0d6a2797b69f12f6e9"), "{text}");
    assert!(text.len() > 150, "{text}");
    place
        .lake(1, ["remote-add", "-i", "in", "-o", "o2", "-r", "add_base/lake", "--hash", "sha256"])
        .says("it declares blake2b, not sha256");
    // The same content once more, under the name that pipelime gave it.
    let names = ["data/0_blob.bin", "data/3_blob.bin"];
    let blob =
        |name: &str| fs::read(fixtures().join(name.replace("data/", "mini/data/00"))).unwrap();
    place.dataset("blobs", names.map(|name| (name, blob(name))));
    place
        .lake(0, ["remote-add", "-i", "blobs", "-o", "o3", "-r", "add_base/lake"])
        .says("0 objects sent (0 bytes), 2 there already");
    for name in names {
        let name = format!("{name}.remote");
        place.has(format!("o3/{name}"), place.read(format!("add_base/out/{name}")));
    }
}

#[test]
fn a_server_that_pipelime_could_write_to_and_never_read_is_read() {
    let env = TestEnv::new();
    let place = place(&env);
    let server = S3Server::start();
    server.create_bucket("s3add");
    server.set_tags("s3add", &[("__HASH_FN__", "blake2b")]);
    let object = |name: &str| fs::read(fixtures().join("s3_add/bucket").join(name)).unwrap();
    for entry in fs::read_dir(fixtures().join("s3_add/bucket")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        server.plant("s3add", &name, &object(&name), false);
    }
    copy(&place, "s3_add", RECORDED_SERVER, &server.host());
    let keyed =
        place.with("AWS_ACCESS_KEY_ID", "testkey").with("AWS_SECRET_ACCESS_KEY", "testsecret");
    // Nothing says that it speaks http.
    keyed.lake(1, ["clone", "-i", "s3_add/out", "-o", "back"]);
    let host = format!("s3://{}?secure=false:region=us-east-1", server.host());
    keyed.lake(0, ["clone", "-i", "s3_add/out", "-o", "back2", "--host", &host]);
    came_back(&place, "s3_add/out", "back2", object);
    // git's settings may say so once and for all.
    let key = format!("lake.{}.secure", server.host());
    keyed.run("git", ["config", "--global", &key, "false"]);
    keyed.lake(0, ["clone", "-i", "s3_add/out", "-o", "back3"]);
    came_back(&place, "s3_add/out", "back3", object);
    // An object of another lake on the same server, and of a lake in a folder.
    let typed = Endpoint::of(&server).typed("lake");
    keyed.lake(
        0,
        ["remote-add", "-i", "s3_add/out", "-o", "more", "-r", &typed, "folder", "--host", &host],
    );
    let text = keyed.text("more/data/0_blob.bin.remote");
    assert!(!text.contains("testkey") && !text.contains('?'), "{text}");
    assert_eq!(text.matches(", ").count(), 2, "{text}");
}

#[test]
#[ignore = "needs real pipelime: GIT_LAKE_TEST_PIPELIME names its program"]
fn real_pipelime_reads_what_git_lake_wrote_and_the_other_way_round() {
    let program = std::env::var("GIT_LAKE_TEST_PIPELIME").expect("the program");
    let env = TestEnv::new();
    let place = place(&env);
    copy_here(&place, "mini");
    let pipelime = |args: &[&str]| {
        let ran = place.run(&program, ["--no-ui"].iter().chain(args));
        assert_eq!(ran.code, Some(0), "{ran:#?}");
    };
    let shared = format!("file://{}/shared", place.path.display());
    // pipelime adds, git-lake brings back; `.bin` files are not encoded anew.
    pipelime(&["remote-add", "+i", "mini", "+o", "theirs", "+r", &shared]);
    place.lake(0, ["clone", "-i", "theirs", "-o", "back"]);
    place.has("back/data/3_blob.bin", place.read("mini/data/003_blob.bin"));
    // git-lake adds to the same lake, pipelime brings back what it reads there.
    place.lake(0, ["remote-add", "-i", "mini", "-o", "ours", "-r", "shared"]);
    pipelime(&[
        "clone",
        "+i",
        "ours",
        "+o.folder",
        "theirs2",
        "+o.serialization.disable._",
        "REMOTE_FILE",
    ]);
    for at in 0..6 {
        let original = place.read(format!("mini/data/00{at}_blob.bin"));
        place.has(format!("theirs2/data/{at}_blob.bin"), original);
    }
    assert_eq!(place.files("theirs2").len(), place.files("mini").len());
    // Both read the same bytes where nothing is encoded.
    let ours = place.text("ours/data/000_blob.bin.remote");
    assert_eq!(ours, place.text("theirs/data/0_blob.bin.remote"));
    // What pipelime removes, git-lake finds removed.
    pipelime(&["remote-remove", "+i", "ours", "+o", "plain", "+r", &shared]);
    place.lake(0, ["clone", "-i", "plain", "-o", "plain2"]).says("0 items brought back");
}
