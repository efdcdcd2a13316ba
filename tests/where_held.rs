//! `git lake where`: who holds items, and what only one lake holds.

use crate::common::{Lake, Repo, TestEnv, noise};

/// `a.bin` in both lakes, `b.bin` in the first alone, and an older `a.bin` in the first alone.
fn repo(env: &TestEnv) -> (Repo, Lake, Lake) {
    let (repo, lake) = env.tracked("work");
    let mirror = env.lake("mirror");
    repo.write("a.bin", noise(9, 3000));
    repo.commit("v0");
    repo.write("a.bin", noise(1, 3000));
    repo.write("b.bin", noise(2, 4000));
    repo.commit("v1");
    repo.git(["lake", "remote-add", "../mirror", "--", "a.bin"]);
    repo.commit("mirror");
    (repo, lake, mirror)
}

fn rows(repo: &Repo, args: &[&str]) -> Vec<String> {
    let ran = repo.git(["lake", "where"].iter().chain(args));
    ran.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn each_place_of_an_item_is_a_line() {
    let env = TestEnv::new();
    let (repo, lake, _mirror) = repo(&env);
    let lines = rows(&repo, &["a.bin", "b.bin"]);
    let begin = |at: usize, text: &str| assert!(lines[at].starts_with(text), "{lines:#?}");
    begin(0, "a.bin\twork-lake\tproved (sent, 2");
    begin(1, "a.bin\tmirror\tproved (sent, 2");
    assert_eq!(lines[2..4], ["a.bin\tstore\tstored", "a.bin\twork tree\tcontent"]);
    begin(4, "b.bin\twork-lake\tproved (sent, 2");
    assert_eq!(lines.len(), 7, "{lines:#?}");
    lake.remove(noise(2, 4000));
    repo.write("b.bin", "something else");
    repo.empty_store();
    repo.empty_receipts();
    let lines = rows(&repo, &["b.bin"]);
    assert_eq!(
        lines,
        ["b.bin\twork-lake\tnot proved", "b.bin\tstore\tabsent", "b.bin\twork tree\tother"]
    );
    let ran = repo.git_fails(1, ["lake", "where", "--check", "b.bin"]);
    drop(ran.prints("b.bin\twork-lake\tdoes not hold it\n"));
    repo.git_fails(1, ["lake", "where", "none.bin"]).says("none.bin");
    repo.git_fails(2, ["lake", "where"]);
}

#[test]
fn the_document_has_what_the_lines_have() {
    let env = TestEnv::new();
    let (repo, lake, _mirror) = repo(&env);
    let ran = repo.git(["lake", "where", "--json", "--check", "a.bin"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["version"], 1);
    let item = &document["items"][0];
    assert_eq!((&item["path"], &item["size"]), (&"a.bin".into(), &3000.into()));
    assert_eq!((&item["store"], &item["work_tree"]), (&"stored".into(), &"content".into()));
    let place = &item["places"][0];
    assert!(place["url"].as_str().unwrap().starts_with(&lake.url()), "{place}");
    assert_eq!((&place["remote"], &place["named"]), (&"work-lake".into(), &true.into()));
    assert_eq!((&place["proof"], &place["held"]), (&"sent".into(), &true.into()));
    assert!(place["proved"].as_u64().unwrap() > 1_700_000_000);
}

#[test]
fn a_lake_of_which_others_hold_all_may_go() {
    let env = TestEnv::new();
    let (repo, _lake, mirror) = repo(&env);
    repo.git(["lake", "where", "--only", "mirror", "--all"])
        .says("Of 1 object in `file://")
        .says("none is known to be there alone.");
    let ran = repo.git_fails(1, ["lake", "where", "--only", "work-lake"]);
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
    drop(ran.prints("b.bin\t4000\t").says("Of 2 objects in").says("1 is not known to be anywhere"));
    let ran = repo.git_fails(1, ["lake", "where", "--only", "work-lake", "--all"]);
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
    drop(ran.prints("a.bin\t3000\t").prints("b.bin\t4000\t").says("Of 3 objects in"));
    // What was proved once may be gone.
    mirror.remove(noise(1, 3000));
    let ran = repo.git_fails(1, ["lake", "where", "--only", "work-lake"]);
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
    let ran = repo.git_fails(1, ["lake", "where", "--only", "work-lake", "--check", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["only_objects"], 2, "{document}");
    assert_eq!(document["only_bytes"], 7000);
    repo.git(["lake", "remote-add", "../mirror"]);
    repo.git(["lake", "where", "--only", "work-lake", "--check"]).says("none is known");
}

#[test]
fn a_lake_that_cannot_be_asked_and_one_of_this_machine_are_no_comfort() {
    let env = TestEnv::new();
    let (repo, _lake, mirror) = repo(&env);
    mirror.unmount();
    let ran = repo.git_fails(1, ["lake", "where", "--only", "work-lake", "--check"]);
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
    drop(ran.says("Could not reach the lake"));
    mirror.mount();
    let settings = repo.text(".gitlake.toml");
    let (before, after) = settings.split_once("name = \"mirror\"").unwrap();
    repo.write(".gitlake.toml", format!("{before}name = \"mirror\"\nlocal = true{after}"));
    let ran = repo.git_fails(1, ["lake", "where", "--only", "work-lake", "--check"]);
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
}

#[test]
fn stashes_and_branches_are_looked_through() {
    let env = TestEnv::new();
    let (repo, _lake, _mirror) = repo(&env);
    repo.write("s.bin", noise(5, 100));
    repo.git(["add", "."]);
    repo.git(["stash", "-q"]);
    repo.on_branch("side", |repo| repo.write("c.bin", noise(6, 100)));
    let ran = repo.git_fails(1, ["lake", "where", "--only", "work-lake", "--all"]);
    drop(ran.prints("s.bin\t100\t").prints("c.bin\t100\t"));
}
