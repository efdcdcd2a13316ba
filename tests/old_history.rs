//! Pointers of old commits keep their old sources; what moved is found all the same.

use std::fs;

use crate::common::s3::S3Server;
use crate::common::s3::endpoint::Endpoint;
use crate::common::{Lake, Repo, TestEnv, noise};

const OLD: fn() -> Vec<u8> = || noise(1, 3000);
const NEW: fn() -> Vec<u8> = || noise(2, 3000);

/// A repository with the tag `old`, whose lake has moved to `moved` afterwards, which `main` records.
fn moved(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", OLD());
    repo.commit("old");
    repo.git(["tag", "old"]);
    let moved = Lake { path: env.path("moved") };
    fs::rename(&lake.path, &moved.path).unwrap();
    repo.git(["lake", "remote-add", "../moved", "--settings-only"]);
    repo.commit("moved");
    repo.write("a.bin", NEW());
    // The old address is still in the settings; nobody is there.
    repo.git(["add", "."]);
    repo.git(["commit", "-q", "-m", "new"]);
    (repo, moved)
}

#[test]
fn an_old_tag_is_cloned_after_its_lake_moved() {
    let env = TestEnv::new();
    let (repo, _moved) = moved(&env);
    let before = repo.blob("old:a.bin");
    let clone = env.clone_with(&repo, "clone", &["--branch", "old"]);
    clone.has("a.bin", OLD());
    // The settings of the tag know nothing of the move, those of the default branch do.
    assert!(!clone.text(".gitlake.toml").contains("moved"));
    clone.is_clean_when_touched();
    assert_eq!(clone.blob(":a.bin"), before, "no pointer is rewritten");
}

#[test]
fn an_old_tag_is_checked_out_in_every_way() {
    let env = TestEnv::new();
    let (repo, _moved) = moved(&env);
    let clone = env.clone_of(&repo, "clone");
    clone.has("a.bin", NEW());
    clone.git(["checkout", "-q", "old"]).says_nothing();
    clone.has("a.bin", OLD());
    clone.git(["switch", "-q", "main"]);
    clone.empty_store();
    clone.git(["worktree", "add", "-q", "../tree", "old"]);
    clone.below("../tree").has("a.bin", OLD());
    clone.below("../tree").is_clean_when_touched();
    clone.empty_store();
    clone.git(["restore", "--source=old", "a.bin"]);
    clone.has("a.bin", OLD());
    clone.git(["restore", "a.bin"]);
    clone.empty_store();
    clone.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["checkout", "-q", "old"]);
    assert!(clone.is_pointer("a.bin"));
    clone.git(["lake", "pull"]).says("1 file filled");
    clone.has("a.bin", OLD());
    clone.empty_store();
    let archived = clone.run("git", ["archive", "--format=tar", "old"]);
    assert!(archived.bytes.windows(3000).any(|window| window == OLD()), "{archived:?}");
}

#[test]
fn the_clones_own_setting_finds_what_no_settings_name() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", OLD());
    repo.commit("old");
    fs::rename(&lake.path, env.path("elsewhere")).unwrap();
    let clone = env.clone_of(&repo, "clone");
    assert!(clone.is_pointer("a.bin"));
    let url = format!("file://{}", env.path("elsewhere").display());
    clone.git(["config", "lake.elsewhere.url", &url]);
    clone.git(["lake", "pull"]).says("1 file filled");
    clone.has("a.bin", OLD());
    clone.is_clean_when_touched();
    // For reading alone: nothing is sent there.
    clone.write("b.bin", NEW());
    clone.git(["add", "b.bin"]);
    assert!(!clone.blob(":b.bin").contains("elsewhere"));
    Lake { path: env.path("elsewhere") }.lacks(NEW());
}

#[test]
fn a_share_that_is_mounted_elsewhere_is_found_and_pointers_keep_its_name() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", OLD());
    repo.commit("old");
    let mounted = Lake { path: env.path("mounted-here") };
    fs::rename(&lake.path, &mounted.path).unwrap();
    env.at("home").git([
        "config",
        "--global",
        &format!("url.{}.insteadOf", mounted.url()),
        &lake.url(),
    ]);
    let clone = env.clone_of(&repo, "clone");
    clone.has("a.bin", OLD());
    clone.write("b.bin", NEW());
    clone.git(["add", "b.bin"]).says_nothing();
    assert!(clone.blob(":b.bin").contains(&lake.url()), "{}", clone.blob(":b.bin"));
    mounted.holds(NEW());
    env.lake("mirror");
    clone.empty_store();
    clone.git(["lake", "remote-add", "../mirror"]).says("2 objects sent");
    clone.git(["lake", "remote-remove", &lake.url()]);
    clone.git(["lake", "remote-list", "--check"]);
}

#[test]
fn a_bucket_that_moved_is_found_under_its_new_name() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let keys = |place: &Repo| {
        place.with("AWS_ACCESS_KEY_ID", "testkey").with("AWS_SECRET_ACCESS_KEY", "testsecret")
    };
    let endpoint = Endpoint::of(&server);
    let repo = keys(&env.repo("work"));
    repo.git(["lake", "init", &endpoint.typed("lake")]);
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", OLD());
    repo.commit("old");
    repo.git(["tag", "old"]);
    server.create_bucket("next");
    let add = ["lake", "remote-add", &endpoint.typed("next")];
    repo.git(add).says("1 copied by the server");
    for key in server.keys("lake") {
        server.remove("lake", &key);
    }
    repo.git(["lake", "remote-remove", &endpoint.url("lake")]);
    repo.commit("moved");
    env.install();
    keys(&env.at(".")).git(["clone", "-q", "--branch", "old", "work", "clone"]);
    env.at("clone").has("a.bin", OLD());
    env.at("clone").is_clean_when_touched();
}
