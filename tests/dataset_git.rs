//! Datasets in commits: read from pointers and blobs, without a work tree.

use std::fs;

use crate::common::dataset::place;

use crate::common::{Lake, Repo, TestEnv, noise, tree};
use git_lake::oid::Oid;

/// Items as they are in the first commit of [`committed`].
fn items() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("data/000_image.bin", noise(1, 3000)),
        ("data/000_note.txt", b"held by git".to_vec()),
        ("data/001_image.bin", noise(2, 3000)),
        ("camera.yml", b"a: 1\n".to_vec()),
        ("pack.bin", noise(3, 100)),
        // Longer than what is read into memory.
        ("data/001_table.csv", noise(4, 1_500_000)),
    ]
}

/// A repository with a dataset in `set`, of which a second commit changes a sample; its lake.
fn committed(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    repo.dataset("set", items());
    repo.write("set/.hidden", "no item");
    repo.commit("v1");
    repo.git(["tag", "v1"]);
    repo.write("set/data/001_image.bin", noise(9, 50));
    repo.commit("v2");
    (repo, lake)
}

fn source(lake: &Lake, content: &[u8]) -> Vec<u8> {
    format!("[\"{}/{}.bin\"]", lake.url(), Oid::of(content).to_hex()).into_bytes()
}

#[test]
fn remote_files_are_written_without_moving_a_byte() {
    let env = TestEnv::new();
    let (repo, lake) = committed(&env);
    let place = place(&env);
    repo.empty_store();
    lake.unmount();
    let before = tree(&repo.path);
    let args = ["clone", "-i", "../work@v1:set", "-o", "out", "--serialization", "remote-file"];
    place.lake(0, args).says("3 `.remote` files written");
    place.has_dataset(
        "out",
        &[
            ("camera.yml", b"a: 1\n".to_vec()),
            ("data/000_image.bin.remote", source(&lake, &noise(1, 3000))),
            ("data/000_note.txt", b"held by git".to_vec()),
            ("data/001_image.bin.remote", source(&lake, &noise(2, 3000))),
            ("data/001_table.csv", noise(4, 1_500_000)),
            ("pack.bin.remote", source(&lake, &noise(3, 100))),
        ],
    );
    assert!(tree(&repo.path) == before, "the repository was written to");
    lake.mount();
    place.lake(0, ["clone", "-i", "out", "-o", "back"]);
    place.has_dataset("back", &items());
}

#[test]
fn content_comes_from_the_store_or_the_lakes_of_bare_and_other_clones() {
    let env = TestEnv::new();
    let (repo, lake) = committed(&env);
    let place = place(&env);
    lake.unmount();
    place.lake(0, ["clone", "-i", "../work@v1:set", "-o", "stored"]);
    place.has_dataset("stored", &items());
    lake.mount();
    let bare = env.bare("bare.git");
    repo.git(["push", "-q", "../bare.git", "HEAD", "v1"]);
    let before = tree(&bare.path);
    place.lake(0, ["clone", "-i", "../bare.git@v1:set", "-o", "fetched"]);
    place.has_dataset("fetched", &items());
    let mut newer = items();
    newer[2].1 = noise(9, 50);
    place
        .lake(0, ["clone", "-i", "../bare.git:set/", "-o", "newer", "--serialization", "sym-link"]);
    place.has_dataset("newer", &newer);
    assert!(tree(&bare.path) == before, "the repository was written to");
    // Within the repository, beside its work tree's own state.
    fs::remove_file(repo.path.join("set/data/001_image.bin")).unwrap();
    repo.lake(0, ["clone", "-i", ".:set", "-o", "../place/within"]);
    place.has_dataset("within", &newer);
}

#[test]
fn damage_in_the_store_is_passed_over_and_what_is_nowhere_stays_a_remote_file() {
    let env = TestEnv::new();
    let (repo, lake) = committed(&env);
    let place = place(&env);
    let stored = repo.stored(noise(1, 3000));
    fs::remove_file(&stored).unwrap();
    fs::write(&stored, noise(8, 3000)).unwrap();
    let out = |name: &'static str| ["clone", "-i", "../work@v1:set", "-o", name, "-k", "image"];
    place.lake(0, out("one"));
    place.has("one/data/000_image.bin", noise(1, 3000));
    fs::metadata(&stored).expect("nothing is set aside in a repository that is only read");
    lake.remove(noise(1, 3000));
    place.lake(1, out("two")).says("1 item was left as it was (data/000_image.bin)");
    place.has("two/data/000_image.bin.remote", source(&lake, &noise(1, 3000)));
    place.has("two/data/001_image.bin", noise(2, 3000));
}

#[test]
fn other_commands_take_a_commit_too() {
    let env = TestEnv::new();
    let (repo, lake) = committed(&env);
    let place = place(&env);
    place
        .lake(0, ["remote-add", "-i", "../work@v1:set", "-o", "both", "-r", "second"])
        .says("6 objects sent");
    let url = format!("file://{}", place.path.join("second").display());
    let oid = Oid::of(&noise(2, 3000)).to_hex();
    let expected = format!("[\"{}/{oid}.bin\", \"{url}/{oid}.bin\"]", lake.url());
    place.has("both/data/001_image.bin.remote", expected);
    place.lake(0, ["remote-upload", "-i", "../work@v1:set", "-r", "second"]).says("0 objects sent");
    let args = ["remote-remove", "-i", "../work:set", "-o", "none", "-r"];
    place.lake(0, args.into_iter().chain([&*lake.url()]));
    place.has("none/data/000_image.bin", noise(1, 3000));
    let slice = ["clone", "-i", "../work@v1:set", "-o", "slice", "--start", "1", "-k", "image"];
    place.lake(0, slice);
    assert!(place.path.join("slice/data/000_image.bin.remote").exists());
    place.has("slice/data/001_image.bin", noise(2, 3000));
    repo.is_clean();
}

#[test]
fn a_pointer_without_a_source_comes_from_the_store_or_is_told() {
    let env = TestEnv::new();
    let (repo, lake) = committed(&env);
    let place = place(&env);
    repo.git(["lake", "remote-remove", "--force", &lake.url()]);
    repo.commit("without");
    let args = |out| {
        ["clone", "-i", "../work:set", "-o", out, "--serialization", "remote-file", "-k", "pack"]
    };
    place.lake(0, args("one"));
    place.has("one/pack.bin", noise(3, 100));
    place.has("one/data/000_image.bin", noise(1, 3000));
    repo.empty_store();
    place.lake(1, args("two")).says("none of its sources is the address of an object");
    assert!(!place.path.join("two/pack.bin").exists());
}

#[test]
fn a_folder_with_such_a_name_wins_and_what_is_neither_is_told() {
    let env = TestEnv::new();
    let (repo, _lake) = committed(&env);
    let place = place(&env);
    place.dataset("work:set", [("data/0_a.x", b"a folder".to_vec())]);
    fs::rename(&repo.path, place.path.join("work")).unwrap();
    place.lake(0, ["clone", "-i", "work:set", "-o", "out"]);
    place.has_dataset("out", &[("data/0_a.x", b"a folder".to_vec())]);
    place.lake(1, ["clone", "-i", "work@none:set", "-o", "x"]).says("revision `none`");
    place.lake(1, ["clone", "-i", "work:none", "-o", "x"]).says("it has no folder `data`");
    place.lake(1, ["clone", "-i", "work:../x", "-o", "x"]).says("is no path inside a repository");
    place.lake(1, ["clone", "-i", "out:data", "-o", "x"]).says("is not inside a git repository");
    // A variable that steers git does not say which repository is meant.
    let bare = env.bare("other.git");
    let steered = place.with("GIT_DIR", &bare.path);
    steered.lake(0, ["clone", "-i", "work@v1:set", "-o", "steered", "-k", "note"]);
    place.has("steered/data/000_note.txt", "held by git");
}
