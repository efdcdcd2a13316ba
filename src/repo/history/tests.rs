use super::*;
use crate::repo::testing::{TestRepo, id, open, text};

/// A clone with a remote `origin` that has the first commit (with `old`).
struct Pushing {
    repo: TestRepo,
    first: String,
}

impl Pushing {
    fn new() -> Self {
        let repo = TestRepo::new();
        repo.write("old", b"old");
        let first = repo.commit_all();
        let bare = repo.beside("origin.git").display().to_string();
        repo.run(&["clone", "--quiet", "--bare", ".", &bare]);
        repo.run(&["remote", "add", "origin", &bare]);
        repo.run(&["fetch", "--quiet", "origin"]);
        Self { repo, first }
    }

    fn to_push(&self, update: &str, remote: &str) -> Vec<(String, String)> {
        let updates = RefUpdate::parse_all(update.as_bytes()).expect("lines");
        let found = blobs_to_push(&self.repo.open(), &updates, remote).expect("lists");
        contents(&self.repo, found)
    }

    fn head(&self) -> String {
        self.repo.run(&["rev-parse", "HEAD"])
    }
}

/// Paths and what stands there, sorted.
fn contents(repo: &TestRepo, found: Vec<FoundBlob>) -> Vec<(String, String)> {
    let show = |found: FoundBlob| {
        let content = repo.run(&["cat-file", "blob", &found.id.to_string()]);
        (String::from_utf8_lossy(&found.path).into_owned(), content)
    };
    let mut shown: Vec<_> = found.into_iter().map(show).collect();
    shown.sort();
    shown
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
    expected.iter().map(own).collect()
}

fn zeros() -> String {
    "0".repeat(40)
}

#[test]
fn a_new_branch_sends_what_the_remote_does_not_have() {
    let pushing = Pushing::new();
    pushing.repo.write("new", b"new");
    pushing.repo.write("copy", b"new");
    pushing.repo.write("trailing ", b"blank");
    pushing.repo.write("nl\nx", b"line");
    pushing.repo.commit_all();
    std::fs::remove_file(pushing.repo.top.join("new")).expect("removes");
    pushing.repo.write("copy", b"2");
    pushing.repo.commit_all();
    let update = format!("refs/heads/main {} refs/heads/new {}\n", pushing.head(), zeros());
    let expected =
        [("copy", "2"), ("copy", "new"), ("new", "new"), ("nl\nx", "line"), ("trailing ", "blank")];
    assert_eq!(pushing.to_push(&update, "origin"), pairs(&expected));
    assert_eq!(pushing.to_push("", "origin"), []);
    // The address of a remote says as much as its name.
    let address = pushing.repo.beside("origin.git").display().to_string();
    assert_eq!(pushing.to_push(&update, &address), pairs(&expected));
    // By any other address nothing is known but what the remote announces.
    let url = format!("file://{address}");
    assert_eq!(pushing.to_push(&update, &url).len(), 6);
    let head = pushing.head();
    let update = format!("refs/heads/main {head} refs/heads/main {}\n", pushing.first);
    assert_eq!(pushing.to_push(&update, &url), pairs(&expected));
}

#[test]
#[cfg(target_os = "linux")]
fn names_that_are_no_text_survive() {
    use std::os::unix::ffi::OsStrExt as _;
    let pushing = Pushing::new();
    let name = std::ffi::OsStr::from_bytes(b"\xff\"\t\\");
    let path = pushing.repo.top.join(name);
    crate::fs::write_atomic(&path, b"new", crate::fs::Shared::Yes).expect("writes");
    pushing.repo.commit_all();
    let line = format!("HEAD {} refs/heads/x {}", pushing.head(), zeros());
    let update = RefUpdate::parse(line.as_bytes()).expect("a line");
    let opened = pushing.repo.open();
    let found = blobs_to_push(&opened, &[update], "origin").expect("lists");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, name.as_bytes());
    let tree = blobs_of(&opened, "HEAD").expect("lists");
    assert!(tree.contains(&found[0]));
}

#[test]
fn deletions_send_nothing_and_unknown_remote_ids_are_ignored() {
    let pushing = Pushing::new();
    let head = pushing.head();
    let delete = format!("(delete) {} refs/heads/gone {head}\n", zeros());
    assert_eq!(pushing.to_push(&delete, "origin"), []);
    pushing.repo.write("new", b"new");
    let sent = pushing.repo.commit_all();
    let line = |remote: &str| format!("refs/heads/main {sent} refs/heads/main {remote}\n");
    let expected = pairs(&[("new", "new")]);
    assert_eq!(pushing.to_push(&line(&pushing.first), "nobody"), expected);
    let unknown = "1".repeat(40);
    let all = pairs(&[("new", "new"), ("old", "old")]);
    assert_eq!(pushing.to_push(&line(&unknown), "nobody"), all);
    let both = delete + &line(&unknown);
    assert_eq!(pushing.to_push(&both, "origin"), expected);
}

#[test]
fn a_forced_push_sends_what_the_rewritten_commits_add() {
    let pushing = Pushing::new();
    let repo = &pushing.repo;
    repo.write("new", b"1");
    let replaced = repo.commit_all();
    repo.write("new", b"2");
    repo.run(&["add", "new"]);
    repo.run(&["commit", "--quiet", "--amend", "--message=forced"]);
    let head = pushing.head();
    let update = format!("refs/heads/main {head} refs/heads/main {replaced}\n");
    assert_eq!(pushing.to_push(&update, "nobody"), pairs(&[("new", "2")]));
}

#[test]
fn tags_of_commits_trees_and_blobs_are_followed() {
    let pushing = Pushing::new();
    let repo = &pushing.repo;
    repo.write("d/new", b"new");
    repo.commit_all();
    let tagged = |name: &str, target: &str| {
        repo.run(&["tag", "--annotate", "--message=x", name, target]);
        let id = repo.run(&["rev-parse", name]);
        let update = format!("refs/tags/{name} {id} refs/tags/{name} {}\n", zeros());
        pushing.to_push(&update, "origin")
    };
    assert_eq!(tagged("commit", "HEAD"), pairs(&[("d/new", "new")]));
    // A tree has no parents that would tell what the remote has of it.
    let tree = pairs(&[("d/new", "new"), ("old", "old")]);
    assert_eq!(tagged("tree", "HEAD^{tree}"), tree);
    assert_eq!(tagged("blob", "HEAD:d/new"), pairs(&[("", "new")]));
}

#[test]
fn a_merge_sends_no_more_than_it_adds() {
    let pushing = Pushing::new();
    let repo = &pushing.repo;
    repo.run(&["switch", "--quiet", "--create", "side"]);
    repo.write("side", b"side");
    repo.commit_all();
    repo.run(&["push", "--quiet", "origin", "side"]);
    repo.run(&["switch", "--quiet", "main"]);
    repo.write("main", b"main");
    repo.commit_all();
    repo.run(&["merge", "--quiet", "--no-ff", "--no-commit", "side"]);
    repo.write("old", b"evil");
    repo.commit_all();
    let update = format!("HEAD~0 {} refs/heads/main {}\n", pushing.head(), pushing.first);
    let expected = pairs(&[("main", "main"), ("old", "evil")]);
    assert_eq!(pushing.to_push(&update, "origin"), expected);
}

#[test]
fn links_and_submodules_hold_no_blobs_of_a_tree() {
    let pushing = Pushing::new();
    let repo = &pushing.repo;
    repo.write("d/x y", b"1");
    repo.run(&["add", "--all"]);
    let commit = format!("160000,{},m", "1".repeat(40));
    repo.run(&["update-index", "--add", "--cacheinfo", &commit]);
    let link = format!("120000,{},link", repo.blob(b"d"));
    repo.run(&["update-index", "--add", "--cacheinfo", &link]);
    repo.run(&["commit", "--quiet", "--message=x"]);
    let found = blobs_of(&repo.open(), "HEAD").expect("lists");
    let expected = pairs(&[("d/x y", "1"), ("old", "old")]);
    assert_eq!(contents(repo, found), expected);
    blobs_of(&repo.open(), "nonsense").expect_err("no such revision");
    blobs_of(&repo.open(), "--help").expect_err("no such revision");
}

#[test]
fn all_that_a_reference_stash_or_index_needs_is_reachable() {
    let pushing = Pushing::new();
    let repo = &pushing.repo;
    for stash in ["s1", "s2"] {
        repo.write("old", stash.as_bytes());
        repo.run(&["stash", "--quiet"]);
    }
    repo.write("staged", b"staged");
    repo.run(&["add", "staged"]);
    repo.run(&["commit", "--quiet", "--message=lost"]);
    repo.run(&["reset", "--quiet", "--hard", "HEAD~1"]);
    repo.write("index", b"index");
    repo.run(&["add", "index"]);
    let found = |reach| {
        let found = blobs_reachable(&repo.open(), reach).expect("lists");
        contents(repo, found).into_iter().map(|pair| pair.1).collect::<Vec<_>>()
    };
    let mut expected = vec!["index", "old", "s1", "s2"];
    let mut reachable = found(Reach::Refs);
    reachable.sort();
    assert_eq!(reachable, expected);
    expected.push("staged");
    let mut reachable = found(Reach::RefsAndReflogs);
    reachable.sort();
    assert_eq!(reachable, expected);
}

#[test]
fn a_partial_and_a_shallow_clone_can_push() {
    let pushing = Pushing::new();
    let repo = &pushing.repo;
    repo.run(&["--git-dir=../origin.git", "config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", repo.beside("origin.git").display());
    for (name, arg) in [("blobless", "--filter=blob:none"), ("shallow", "--depth=1")] {
        let to = repo.beside(name);
        repo.run(&["clone", "--quiet", arg, &url, &to.display().to_string()]);
        let git = repo.git_in(&to);
        let run = |args: &[&str]| text(&git, args, b"");
        text(&git, &["mv", "old", "moved"], b"");
        std::fs::copy(to.join("moved"), to.join("more")).expect("copies");
        crate::fs::write_atomic(&to.join("new"), b"new", crate::fs::Shared::Yes).expect("writes");
        run(&["add", "--all"]);
        run(&["commit", "--quiet", "--message=x"]);
        let line = format!("HEAD {} refs/heads/x {}", run(&["rev-parse", "HEAD"]), zeros());
        let update = RefUpdate::parse(line.as_bytes()).expect("a line");
        let found = blobs_to_push(&open(&to), &[update], "origin").expect("lists");
        let paths: Vec<_> = found.into_iter().map(|found| found.path).collect();
        assert_eq!(paths, [b"new"], "{name}");
        assert_eq!(blobs_of(&open(&to), "HEAD").expect("lists").len(), 3);
    }
}

#[test]
fn lines_of_the_hook_are_parsed_from_the_right() {
    let (one, two) = ("1".repeat(40), "2".repeat(64));
    let line = format!("HEAD^{{/a b}} {one} refs/heads/x {two}");
    let update = RefUpdate::parse(line.as_bytes()).expect("a line");
    assert_eq!(update.local_ref, b"HEAD^{/a b}");
    assert_eq!((update.local_id, update.remote_id), (id(&one), id(&two)));
    assert_eq!(update.remote_ref, b"refs/heads/x");
    assert_eq!(RefUpdate::parse_all(b"").expect("nothing"), []);
    for bad in ["x", "a b c d", &format!("a {one} b"), &format!(" {one} b {one}")] {
        RefUpdate::parse(bad.as_bytes()).expect_err(bad);
    }
}

#[test]
fn indices_of_all_work_trees_and_what_is_pushed_are_told_apart() {
    let pushing = Pushing::new();
    let repo = &pushing.repo;
    repo.run(&["worktree", "add", "--quiet", &repo.beside("linked").display().to_string()]);
    repo.write("staged", b"staged");
    repo.run(&["add", "staged"]);
    let linked = repo.beside("linked");
    crate::fs::write_atomic(&linked.join("other"), b"there", crate::fs::Shared::Yes)
        .expect("writes");
    repo.run(&["-C", &linked.display().to_string(), "add", "other"]);
    let found = |reach| contents(repo, blobs_reachable(&repo.open(), reach).expect("lists"));
    let all = pairs(&[("old", "old"), ("other", "there"), ("staged", "staged")]);
    assert_eq!(found(Reach::Indices), all);
    assert_eq!(found(Reach::Pushed), pairs(&[("old", "old")]));
}

#[test]
fn what_only_an_unfinished_operation_names_is_found() {
    let pushing = Pushing::new();
    let repo = &pushing.repo;
    repo.write("lost", b"lost");
    let lost = repo.commit_all();
    repo.run(&["reset", "--quiet", "--hard", &pushing.first]);
    repo.run(&["reflog", "expire", "--expire=all", "--all"]);
    let found =
        || contents(repo, blobs_reachable(&repo.open(), Reach::RefsAndReflogs).expect("lists"));
    // git itself left `ORIG_HEAD` behind.
    assert_eq!(found(), pairs(&[("lost", "lost"), ("old", "old")]));
    let git_dir = repo.open().git_dir().to_owned();
    std::fs::remove_file(git_dir.join("ORIG_HEAD")).expect("it was there");
    assert_eq!(found(), pairs(&[("old", "old")]));
    let name = git_dir.join("MERGE_AUTOSTASH");
    crate::fs::write_atomic(&name, format!("{lost}\n").as_bytes(), crate::fs::Shared::Yes)
        .expect("writes");
    assert_eq!(found(), pairs(&[("lost", "lost"), ("old", "old")]));
}

#[test]
fn what_no_remote_has_is_found_on_branches_stashes_and_by_name() {
    let pushing = Pushing::new();
    let repo = &pushing.repo;
    repo.write("one", b"one");
    repo.commit_all();
    repo.run(&["switch", "--quiet", "-c", "side", &pushing.first]);
    repo.write("two", b"two");
    repo.commit_all();
    for content in [&b"older"[..], b"newer"] {
        repo.write("old", content);
        repo.run(&["stash", "--quiet"]);
    }
    let found = |revisions: Option<&[&str]>| {
        let revisions: Option<Vec<String>> =
            revisions.map(|names| names.iter().map(|&name| name.to_owned()).collect());
        contents(repo, blobs_unpushed(&repo.open(), revisions.as_deref()).expect("lists"))
    };
    let all = [("old", "newer"), ("old", "older"), ("one", "one"), ("two", "two")];
    assert_eq!(found(None), pairs(&all));
    assert_eq!(found(Some(&["side"])), pairs(&[("two", "two")]));
    assert_eq!(found(Some(&[&pushing.first])), []);
    assert!(blobs_unpushed(&repo.open(), Some(&["none".to_owned()])).is_err());
    assert_eq!(blobs_unpushed(&TestRepo::new().open(), None).expect("is empty"), []);
}
