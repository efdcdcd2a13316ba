//! Datasets outside of git: what each command makes of a folder.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::common::dataset::{kinds, place};
use crate::common::{Repo, TestEnv};
use git_lake::oid::Oid;

#[test]
fn content_of_any_kind_comes_back_byte_for_byte_under_its_name() {
    let env = TestEnv::new();
    let place = place(&env);
    place.dataset("in", kinds());
    place.lake(0, ["remote-add", "-i", "in", "-o", "out", "-r", "lake"]);
    assert_eq!(place.files("out"), Repo::remote_names(&kinds()));
    place.lake(0, ["clone", "-i", "out", "-o", "back"]).says("12 items brought back");
    place.has_dataset("back", &kinds());
    place.has_dataset("in", &kinds());
    assert!(!place.path.join("owned").exists(), "a pickle was run");
}

#[test]
fn a_remote_file_has_the_bytes_that_pipelime_writes() {
    let env = TestEnv::new();
    let place = place(&env);
    place.dataset("in", [("data/000_photo.v1.jpg", b"abc".to_vec())]);
    place.lake(0, ["remote-add", "-i", "in", "-o", "out", "-r", "one", "-r", "two", "three"]);
    let url = |lake: &str| {
        format!("\"file://{}/{}.jpg\"", place.path.join(lake).display(), Oid::of(b"abc").to_hex())
    };
    let expected = format!("[{}, {}, {}]", url("one"), url("two"), url("three"));
    place.has("out/data/000_photo.v1.jpg.remote", &expected);
    // Once more changes nothing, in whichever order.
    place.lake(0, ["remote-add", "-i", "out", "-o", "out", "-r", "two", "one"]);
    place.has("out/data/000_photo.v1.jpg.remote", &expected);
}

#[test]
fn in_place_no_item_has_a_twin_and_other_files_stay() {
    let env = TestEnv::new();
    let place = place(&env);
    place.dataset("set", kinds());
    for (path, bytes) in [(".gitignore", "x"), ("data/notes", "y"), ("sub/0_a.png", "z")] {
        place.write(format!("set/{path}"), bytes);
    }
    let others = |names: &mut Vec<String>| {
        names.extend([".gitignore", "data/notes", "sub"].map(str::to_owned));
        names.sort_unstable();
    };
    let mut remote = Repo::remote_names(&kinds());
    others(&mut remote);
    let mut files: Vec<String> = kinds().iter().map(|(path, _)| (*path).to_owned()).collect();
    others(&mut files);
    place.lake(0, ["remote-add", "-i", "set", "-o", "set", "-r", "lake"]);
    assert_eq!(place.files("set"), remote);
    place.lake(0, ["clone", "-i", "set", "-o", "./set/"]);
    assert_eq!(place.files("set"), files);
    place.lake(0, ["remote-add", "-i", "set", "-o", "set", "-r", "lake"]).says("0 objects sent");
    place.lake(0, ["remote-remove", "-i", "set", "-o", "set", "-r", "lake"]);
    assert_eq!(place.files("set"), files);
    for (path, bytes) in kinds() {
        place.has(format!("set/{path}"), bytes);
    }
    place.has("set/sub/0_a.png", "z");
}

#[test]
fn a_removed_lake_leaves_the_others_and_the_last_one_leaves_the_content() {
    let env = TestEnv::new();
    let place = place(&env);
    place.dataset("in", kinds());
    place.lake(0, ["remote-add", "-i", "in", "-o", "two", "-r", "a", "b"]);
    place.lake(0, ["remote-add", "-i", "in", "-o", "only-b", "-r", "b"]);
    // With keys, options and a final slash, it is the same lake.
    let url = format!("file://localhost{}/", place.path.join("a").display());
    place
        .lake(0, ["remote-remove", "-i", "two", "-o", "one", "-r", &url])
        .says("Nothing in the lakes was touched.");
    for (path, _) in kinds() {
        let name = format!("{path}.remote");
        place.has(format!("one/{name}"), place.read(format!("only-b/{name}")));
    }
    place.lake(0, ["remote-remove", "-i", "two", "-o", "none", "-r", "a", "-r", "b"]);
    place.has_dataset("none", &kinds());
    place
        .lake(0, ["remote-remove", "-i", "one", "-o", "same", "-r", "a"])
        .says("Nothing to change");
    assert_eq!(place.files("same"), Repo::remote_names(&kinds()));
}

#[test]
fn another_lake_gets_what_is_only_in_lakes() {
    let env = TestEnv::new();
    let place = place(&env);
    place.dataset("in", kinds());
    place.lake(0, ["remote-add", "-i", "in", "-o", "out", "-r", "a", "--hash", "blake2b"]);
    place.lake(0, ["remote-upload", "-i", "out", "-r", "b"]).says("12 objects sent");
    place.lake(0, ["remote-upload", "-i", "in", "-r", "b"]).says("0 objects sent");
    place.lake(0, ["remote-add", "-i", "out", "-o", "both", "-r", "b"]).says("12 there already");
    // What a lake has lost is sent again.
    fs::remove_file(place.path.join("b").join(format!("{}.___", Oid::of(b"x").to_hex()))).unwrap();
    let add = ["remote-add", "-i", "both", "-o", "both", "-r", "b"];
    place.lake(0, add).says("1 object sent");
    place.lake(0, add).says("0 objects sent");
    fs::rename(place.path.join("a"), place.path.join("gone")).unwrap();
    place.lake(0, ["clone", "-i", "both", "-o", "back"]);
    place.has_dataset("back", &kinds());
}

#[test]
fn keys_and_slices_limit_what_is_sent_and_the_whole_dataset_is_written() {
    let env = TestEnv::new();
    let place = place(&env);
    let names = ["0_a.x", "0_b.x", "1_a.x", "1_b.x", "2_a.x", "5_a.x"];
    let files = || names.map(|name| (format!("data/{name}"), name.as_bytes().to_vec()));
    let shared = || [("a.x".to_owned(), b"a".to_vec()), ("c.x".to_owned(), b"c".to_vec())];
    let all: Vec<_> = files().into_iter().chain(shared()).collect();
    place.dataset("in", all.iter().map(|(path, bytes)| (&**path, bytes.clone())));
    // Samples 3 and 4 have no items; with 5 there are six.
    let table: [(&[&str], &[&str]); 8] = [
        (&["-k", "a"], &["a.x", "data/0_a.x", "data/1_a.x", "data/2_a.x", "data/5_a.x"]),
        (&["-k", "b,c"], &["c.x", "data/0_b.x", "data/1_b.x"]),
        (&["-k", "b", "-k", "c"], &["c.x", "data/0_b.x", "data/1_b.x"]),
        (
            &["--start", "1", "--stop", "3"],
            &["a.x", "c.x", "data/1_a.x", "data/1_b.x", "data/2_a.x"],
        ),
        (&["--start", "-1"], &["a.x", "c.x", "data/5_a.x"]),
        (&["--start=-2", "--stop=-1"], &["a.x", "c.x"]),
        (&["--step", "-5", "-k", "a"], &["a.x", "data/0_a.x", "data/5_a.x"]),
        (&["--start", "9"], &[]),
    ];
    for (at, (args, expected)) in table.into_iter().enumerate() {
        let out = format!("out{at}");
        let base = ["remote-add", "-i", "in", "-o", &out, "-r", "lake"];
        place.lake(0, base.iter().chain(args));
        let written = place.files(&out);
        let remote = written.iter().filter_map(|name| name.strip_suffix(".remote"));
        assert_eq!(remote.collect::<Vec<_>>(), expected, "{args:?}");
        assert_eq!(written.len(), names.len() + 2, "{args:?}");
    }
    place
        .lake(1, ["clone", "-i", "in", "-o", "x", "-k", "nokey"])
        .says("No item has the key `nokey`; there are `a`, `b`, `c`");
    // What a slice leaves out stays in its lake.
    place.lake(0, ["remote-add", "-i", "in", "-o", "all", "-r", "lake"]);
    place.lake(0, ["clone", "-i", "all", "-o", "some", "--start", "1", "--stop", "2"]);
    let some = place.files("some");
    assert!(some.contains(&"data/1_a.x".into()) && some.contains(&"data/0_a.x.remote".into()));
    assert!(some.contains(&"a.x".into()), "a shared item belongs to each sample");
}

#[test]
fn files_come_into_the_output_as_the_mode_says() {
    let env = TestEnv::new();
    let place = place(&env);
    place.dataset("in", [("data/0_a.x", b"local".to_vec()), ("data/0_b.x", b"remote".to_vec())]);
    place.lake(0, ["remote-add", "-i", "in", "-o", "mixed", "-r", "lake", "-k", "b"]);
    let source = place.path.join("mixed/data/0_a.x");
    for mode in ["create-new-file", "deep-copy", "hard-link", "sym-link", "remote-file"] {
        place.lake(0, ["clone", "-i", "mixed", "-o", mode, "--serialization", mode]);
        let file = place.path.join(mode).join("data/0_a.x");
        place.has(&file, "local");
        let is_same = fs::metadata(&file).unwrap().ino() == fs::metadata(&source).unwrap().ino();
        assert_eq!(is_same, !["create-new-file", "deep-copy"].contains(&mode), "{mode}");
        assert_eq!(file.is_symlink(), mode == "sym-link", "{mode}");
        let pointer = place.path.join(mode).join("data/0_b.x.remote");
        assert_eq!(pointer.exists(), mode == "remote-file", "{mode}");
    }
    // Links of links lead to the file itself, and what they lead to is sent.
    let args = ["clone", "-i", "sym-link", "-o", "again", "--serialization", "sym-link"];
    place.lake(0, args);
    assert_eq!(fs::read_link(place.path.join("again/data/0_a.x")).unwrap(), source);
    place.lake(0, ["remote-add", "-i", "again", "-o", "again", "-r", "lake", "-k", "a"]);
    assert_eq!(place.files("again"), ["data/0_a.x.remote", "data/0_b.x"]);
    place.has("mixed/data/0_a.x", "local");
}

#[test]
fn names_that_are_no_items_and_twins_have_an_answer() {
    let env = TestEnv::new();
    let place = place(&env);
    place.lake(1, ["clone", "-i", "nowhere", "-o", "x"]).says("it has no folder `data`");
    place.dataset("in", [("data/-1_a.x", b"1".to_vec()), ("data/x_a.x", b"2".to_vec())]);
    place.write("in/data/3_.x", "an empty key");
    place
        .lake(0, ["remote-add", "-i", "in", "-o", "out", "-r", "lake"])
        .says("2 files of `data` are no items (-1_a.x, x_a.x): items are named `<id>_<key>`");
    assert_eq!(place.files("out"), ["data/3_.x.remote"]);
    // Two files for one item: neither is chosen, neither is lost.
    place.dataset("twins", [("data/0_a.x", b"1".to_vec()), ("data/00_a.y", b"2".to_vec())]);
    let why = "several files claim to be this item, and they do not have the same content";
    place.lake(1, ["remote-add", "-i", "twins", "-o", "t1", "-r", "lake"]).says(why);
    assert_eq!(place.files("t1"), ["data/00_a.y", "data/0_a.x"]);
    place.write("twins/data/1_a.x", "content");
    fs::copy(place.path.join("out/data/3_.x.remote"), place.path.join("twins/data/1_a.x.remote"))
        .unwrap();
    place.lake(1, ["clone", "-i", "twins", "-o", "t2"]).says("2 items were left as they were");
    assert_eq!(place.files("t2").len(), 4);
    place.lake(1, ["clone", "-i", "twins", "-o", "twins"]).says(why);
    assert_eq!(place.files("twins").len(), 4);
    // With the same content they are one item.
    place.write("twins/data/1_a.x", "an empty key");
    place.lake(0, ["clone", "-i", "twins", "-o", "t3", "--start", "1"]);
    assert_eq!(place.files("t3"), ["data/00_a.y", "data/0_a.x", "data/1_a.x"]);
    place.lake(0, ["remote-add", "-i", "twins", "-o", "twins", "-r", "lake", "--start", "1"]);
    assert_eq!(place.files("twins"), ["data/00_a.y", "data/0_a.x", "data/1_a.x.remote"]);
}

#[test]
fn a_remote_file_that_pipelime_refuses_is_named_and_nothing_is_done() {
    let env = TestEnv::new();
    let place = place(&env);
    let bad = [("data/0_a.x.remote", "[]"), ("data/1_a.x.remote", "\u{feff}[\"a.x\"]")];
    place.dataset("in", bad.map(|(path, text)| (path, text.as_bytes().to_vec())));
    let input = place.path.join("in/data");
    place.lake(1, ["remote-add", "-i", "in", "-o", "out", "-r", "lake"]).says(&format!(
        "git-lake: Nothing was done: `{0}/0_a.x.remote` is no `.remote` file: it names no source; \
         `{0}/1_a.x.remote` is no `.remote` file: it is not JSON",
        input.display()
    ));
    assert!(!place.path.join("out").exists() && !place.path.join("lake").exists());
    // What is text and no address of an object stays as it is.
    place.dataset("odd", [("data/0_a.x.remote", br#"["http://h/a.x"]"#.to_vec())]);
    place
        .lake(1, ["clone", "-i", "odd", "-o", "out"])
        .says("1 item was left as it was (data/0_a.x.remote): none of its sources is the address");
    place.has("out/data/0_a.x.remote", r#"["http://h/a.x"]"#);
}

#[test]
fn an_extension_that_pipelime_dropped_comes_back() {
    let env = TestEnv::new();
    let place = place(&env);
    place.dataset("in", [("data/0_table.csv", b"a,b".to_vec()), ("README.md", b"x".to_vec())]);
    place.lake(0, ["remote-add", "-i", "in", "-o", "out", "-r", "lake"]);
    let rename = |from: &str, to: &str| {
        fs::rename(place.path.join("out").join(from), place.path.join("out").join(to)).unwrap();
    };
    rename("data/0_table.csv.remote", "data/0_table.remote");
    rename("README.md.remote", "README.remote");
    place.lake(0, ["remote-add", "-i", "out", "-o", "out", "-r", "lake2"]);
    assert_eq!(place.files("out"), ["README.remote", "data/0_table.remote"]);
    place.lake(0, ["clone", "-i", "out", "-o", "out"]);
    assert_eq!(place.files("out"), ["README.md", "data/0_table.csv"]);
}

#[test]
fn a_dry_run_writes_and_contacts_nothing() {
    let env = TestEnv::new();
    let place = place(&env);
    place.dataset("in", kinds());
    let before = fs::read_dir(&place.path).unwrap().count();
    let args = ["remote-add", "-i", "in", "-o", "out", "-r", "lake", "--dry-run", "--json"];
    let ran = place.lake(0, args).says("12 items would be sent to each lake");
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["send"], 12);
    assert_eq!((&json["dry_run"], &json["version"]), (&true.into(), &1.into()));
    assert_eq!(fs::read_dir(&place.path).unwrap().count(), before);
}

#[test]
fn a_summary_is_one_document() {
    let env = TestEnv::new();
    let place = place(&env);
    place.dataset("in", [("data/0_a.x", b"abc".to_vec()), ("data/1_a.x", b"abc".to_vec())]);
    let ran = place.lake(0, ["remote-add", "-i", "in", "-o", "out", "-r", "lake", "--json"]);
    let expected = serde_json::json!({
        "version": 1, "command": "remote-add", "dry_run": false, "items": 2, "samples": 2,
        "selected": 2, "sent": 1, "sent_bytes": 3, "already_there": 0, "restored": 0,
        "restored_bytes": 0, "remote_files": 2, "met_damage": false, "failures": [],
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap(), expected);
    fs::remove_dir_all(place.path.join("lake")).unwrap();
    let ran = place.lake(1, ["clone", "-i", "out", "-o", "back", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["failures"][1]["item"], "data/1_a.x.remote");
}

#[test]
fn what_is_missing_is_a_usage_error() {
    let env = TestEnv::new();
    let place = place(&env);
    place.dataset("in", kinds());
    let table: [(&[&str], &str); 7] = [
        (&["remote-add", "-i", "in", "-r", "lake"], "`-o DIR` is missing"),
        (&["remote-add", "-i", "in", "-o", "out"], "`-r URL` is missing"),
        (&["remote-add", "-o", "out", "-r", "lake"], "required"),
        (&["remote-remove", "-i", "in", "-o", "out"], "`-r URL` is missing"),
        (&["clone", "-o", "out"], "--input <DIR>"),
        (
            &["clone", "-i", "in", "-o", "out", "--step", "0"],
            "a step is a whole number other than 0",
        ),
        (&["remote-upload", "-r", "lake"], "required"),
    ];
    for (args, text) in table {
        place.lake(2, args).says(text);
    }
    // Without a dataset it is about the repository, which is not there.
    place.lake(1, ["remote-upload"]).says("is not inside a git repository");
    assert_eq!(fs::read_dir(&place.path).unwrap().count(), 1);
}

#[test]
fn settings_of_the_user_count_without_a_repository() {
    let env = TestEnv::new();
    let place = place(&env);
    place.dataset("in", kinds());
    place.lake(0, ["remote-add", "-i", "in", "-o", "out", "-r", "lake"]);
    fs::rename(place.path.join("lake"), place.path.join("moved")).unwrap();
    let url = |name: &str| format!("file://{}", place.path.join(name).display());
    let key = format!("url.{}.insteadOf", url("moved"));
    // By `git -c`, and by the user's own file.
    let setting = format!("{key}={}", url("lake"));
    place.git(["-c", &setting, "lake", "clone", "-i", "out", "-o", "once"]);
    place.lake(1, ["clone", "-i", "out", "-o", "none"]);
    place.git(["config", "--global", &key, &url("lake")]);
    place.lake(0, ["clone", "-i", "out", "-o", "always"]);
    place.has_dataset("always", &kinds());
    place.git(["config", "--global", "lake.jobs", "many"]);
    place
        .lake(1, ["clone", "-i", "out", "-o", "x"])
        .says("git config `lake.jobs` is `many`; it should be a number from 1 to 256");
}
