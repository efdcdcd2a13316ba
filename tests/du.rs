//! `git lake du`: how many bytes items have, and where.

use std::fs;

use crate::common::{Repo, TestEnv, noise};

/// Runs it and returns its lines, then what it says.
fn du(repo: &Repo, args: &[&str]) -> String {
    let ran = repo.git(["lake", "du", "--bytes"].iter().chain(args));
    format!("{}{}", ran.stdout, ran.stderr)
}

fn json(repo: &Repo, args: &[&str]) -> serde_json::Value {
    let ran = repo.git(["lake", "du", "--json"].iter().chain(args));
    assert_eq!(ran.stderr, "");
    serde_json::from_str(&ran.stdout).unwrap()
}

/// Three folders, of which two have the same file; one object is not in the store.
fn repo(env: &TestEnv) -> Repo {
    let (repo, _lake) = env.tracked("work");
    repo.git(["lake", "track", "*.png"]);
    repo.write("top.bin", noise(1, 1000));
    repo.write("a/x.bin", noise(2, 2000));
    repo.write("a/deep/y.png", noise(3, 4000));
    repo.write("b/x.PNG.bin", noise(2, 2000));
    repo.write("b/plain.txt", "no item");
    repo.commit("items");
    // So that git does not look into it, and the filter not store it, again.
    repo.settle();
    fs::remove_file(repo.stored(noise(3, 4000))).unwrap();
    repo
}

#[test]
fn folders_types_and_remotes() {
    let env = TestEnv::new();
    let repo = repo(&env);
    let summary = "4 items, 9000: 3 objects, 7000; 2000 saved by deduplication. In the store: 2 objects, 3000.\n";
    let table = [
        (&[][..], "6000\t2\t2000\ta\n2000\t1\t2000\tb\n9000\t4\t5000\t.\n"),
        (&["-d", "0"], "9000\t4\t5000\t.\n"),
        (
            &["-d", "7"],
            "6000\t2\t2000\ta\n4000\t1\t0\ta/deep\n2000\t1\t2000\tb\n9000\t4\t5000\t.\n",
        ),
        (&["--by", "type"], "5000\t3\t5000\t.bin\n4000\t1\t0\t.png\n"),
        (&["--by", "remote"], "9000\t4\t5000\twork-lake\n"),
    ];
    for (args, expected) in table {
        assert_eq!(du(&repo, args), format!("{expected}{summary}"), "{args:?}");
    }
    let ran = repo.git(["lake", "du"]);
    drop(ran.prints("5.9 KiB\t2\t2.0 KiB\ta\n").says("4 items, 8.8 KiB: 3 objects, 6.8 KiB;"));
    assert_eq!(repo.git(["lake", "-q", "du", "-d", "0"]).stderr, "");
    assert_eq!(du(&repo, &["--", "a/deep"]).lines().next(), Some("4000\t1\t0\ta"));
    assert_eq!(du(&repo.below("a"), &["HEAD", "--", "deep"]).lines().next(), Some("4000\t1\t0\ta"));
}

#[test]
fn an_item_counts_for_each_of_its_remotes() {
    let env = TestEnv::new();
    let repo = repo(&env);
    repo.git(["lake", "remote-add", &env.lake("mirror").url(), "--", "a"]);
    let two = "6000\t2\t2000\tmirror\n9000\t4\t5000\twork-lake\n";
    let found = du(&repo, &["--by", "remote"]);
    assert!(found.starts_with(two), "{found}");
    let settings = repo.text(".gitlake.toml");
    repo.write(".gitlake.toml", settings.split("\n[[remote]]\nname = \"mirror\"").next().unwrap());
    let rows = json(&repo, &["--by", "remote"])["rows"].clone();
    assert_eq!((&rows[0]["name"], &rows[0]["url"]), (&rows[0]["url"], &rows[0]["name"]));
    assert_eq!((&rows[0]["bytes"], &rows[1]["name"]), (&6000.into(), &"work-lake".into()));
}

#[test]
fn what_only_one_commit_has() {
    let env = TestEnv::new();
    let repo = repo(&env);
    repo.git(["tag", "v1"]);
    repo.write("top.bin", noise(4, 500));
    repo.write("b/new.bin", noise(5, 300));
    repo.commit("second");
    let table = [
        // Several together, each against the others; what both have counts once.
        (
            &["v1", "main"][..],
            "9800\t6\t5800\t.\n\
             6 items, 9800: 5 objects, 7800; 2000 saved by deduplication. In the store: 4 objects, 3800.\n\
             Only in `v1`: 1 object, 1000.\n\
             Only in `main`: 2 objects, 800.\n",
        ),
        // One against all others: the tag is a part of the branch's history.
        (
            &["v1"],
            "9000\t4\t5000\t.\n\
             4 items, 9000: 3 objects, 7000; 2000 saved by deduplication. In the store: 2 objects, 3000.\n\
             Only in `v1`: 0 objects, 0.\n",
        ),
        (
            &["HEAD"],
            "8800\t5\t4800\t.\n\
             5 items, 8800: 4 objects, 6800; 2000 saved by deduplication. In the store: 3 objects, 2800.\n\
             Only in `HEAD`: 2 objects, 800.\n",
        ),
    ];
    for (refs, expected) in table {
        assert_eq!(du(&repo, &[&["-d", "0"], refs].concat()), expected, "{refs:?}");
    }
    // Another branch at the same commit, and a stash with the same file.
    repo.write("other.bin", noise(5, 300));
    repo.git(["add", "."]);
    repo.git(["stash", "-q"]);
    drop(repo.git(["lake", "du", "main"]).says("Only in `main`: 0 objects, 0 bytes."));
    repo.git(["stash", "drop", "-q"]);
    drop(repo.git(["lake", "du", "main"]).says("Only in `main`: 2 objects, 800 bytes."));
    repo.git(["branch", "same"]);
    drop(repo.git(["lake", "du", "main"]).says("Only in `main`: 0 objects, 0 bytes."));
    drop(repo.git(["lake", "du", "same", "main"]).says("Only in `same`: 0 objects, 0 bytes."));
    let everything = du(&repo, &["--all", "-d", "0"]);
    assert!(everything.starts_with("7800\t5\t3800\t.\n"), "{everything}");
}

#[test]
fn the_document_has_what_the_lines_have() {
    let env = TestEnv::new();
    let repo = repo(&env);
    let document = json(&repo, &["main"]);
    assert_eq!(
        document,
        serde_json::json!({
            "version": 1, "by": "folder",
            "rows": [
                { "name": "a", "url": null, "items": 2, "bytes": 6000, "stored_items": 1, "stored_bytes": 2000 },
                { "name": "b", "url": null, "items": 1, "bytes": 2000, "stored_items": 1, "stored_bytes": 2000 },
                { "name": ".", "url": null, "items": 4, "bytes": 9000, "stored_items": 3, "stored_bytes": 5000 },
            ],
            "items": 4, "bytes": 9000, "objects": 3, "object_bytes": 7000, "saved_bytes": 2000,
            "stored_objects": 2, "stored_bytes": 3000,
            "only": [{ "ref": "main", "objects": 3, "bytes": 7000 }],
        })
    );
    assert_eq!(json(&repo, &[])["only"], serde_json::json!([]));
}

#[test]
fn where_there_is_nothing_and_where_it_makes_no_sense() {
    let env = TestEnv::new();
    let nothing =
        "0 items, 0: 0 objects, 0; 0 saved by deduplication. In the store: 0 objects, 0.\n";
    let empty = env.repo("empty");
    assert_eq!(du(&empty, &[]), nothing);
    assert_eq!(du(&empty, &["--all"]), nothing);
    let repo = repo(&env);
    let bare = env.bare("bare");
    assert_eq!(du(&bare, &[]), format!("{nothing}Only in `HEAD`: 0 objects, 0.\n"));
    repo.git(["push", "-q", &bare.path.display().to_string(), "main"]);
    assert!(du(&bare, &["-d", "0"]).starts_with("9000\t4\t0\t.\n"));
    let told = |code, args: &[&str]| {
        let ran = repo.git_fails(code, ["lake", "du"].iter().chain(args));
        assert_eq!(ran.stdout, "");
        ran.stderr
    };
    assert_eq!(told(2, &["--by", "type", "-d", "2"]), "git-lake: `--depth` is for folders\n");
    assert!(told(1, &["nope"]).contains("Could not find revision `nope`"));
    assert!(told(1, &["--", "nope"]).contains("did not match any file(s) known to git"));
    for usage in [&["--by", "size"][..], &["--all", "main"], &["--json", "--bytes"]] {
        assert!(told(2, usage).starts_with("error: "), "{usage:?}");
    }
    env.at(".").git_fails(1, ["lake", "du"]).says("is not inside a git repository");
}
