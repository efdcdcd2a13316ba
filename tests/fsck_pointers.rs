//! `git lake fsck --pointers`: what git holds, in the index, in a commit, and in what a range brings.

use git_lake::oid::Oid;

use crate::common::{Ran, Repo, TestEnv, noise};

const LFS: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f\
     32b1258daaa5e2ca24d17e2393\nsize 12345\n";

/// A repository with `good.bin`, whose first commit has a tag `start`.
fn repo(env: &TestEnv) -> Repo {
    let (repo, _lake) = env.tracked("work");
    repo.write("good.bin", noise(1, 3000));
    repo.commit("v1");
    repo.git(["tag", "start"]);
    repo
}

/// Puts bytes into the index as they are, as somebody without git-lake does.
fn plant(repo: &Repo, path: &str, bytes: impl AsRef<[u8]>) {
    let args = ["hash-object", "-w", "--no-filters", "--stdin"];
    let blob = repo.feed("git", &args, bytes.as_ref()).stdout;
    let entry = format!("100644,{},{path}", blob.trim());
    repo.git(["update-index", "--add", "--cacheinfo", &entry]);
}

/// Commits what was planted; returns the first digits of its id.
fn record(repo: &Repo, message: &str) -> String {
    repo.git(["commit", "-q", "-m", message]);
    repo.git(["rev-parse", "--short=12", "HEAD"]).stdout.trim().to_owned()
}

fn pointers(repo: &Repo, code: i32, args: &[&str]) -> Ran {
    repo.git_fails(code, ["lake", "fsck", "--pointers"].iter().chain(args))
}

fn kinds(repo: &Repo, code: i32, args: &[&str]) -> Vec<String> {
    let ran = pointers(repo, code, &[&["--json"], args].concat());
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let kind = |finding: &serde_json::Value| {
        let text = |key: &str| finding[key].as_str().unwrap_or("-").to_owned();
        format!("{} {}", text("path"), text("kind"))
    };
    document["findings"].as_array().unwrap().iter().map(kind).collect()
}

#[test]
fn an_index_that_is_right_is_said_to_be() {
    let env = TestEnv::new();
    let repo = repo(&env);
    let ran = pointers(&repo, 0, &[]);
    assert_eq!(ran.stdout, "");
    let expected = "3 files in git looked at, 1 pointer (2.9 KiB).\nNothing is wrong.\n";
    assert_eq!(ran.stderr, expected);
    // Without a choice, the store as well.
    let ran = repo.git(["lake", "fsck"]).says("1 object of the store read");
    drop(ran.says("3 files in git looked at"));
}

#[test]
fn what_is_wrong_is_told_by_cause_the_worst_first() {
    let env = TestEnv::new();
    let repo = repo(&env);
    let other = Oid::of(b"other").to_hex();
    let good = repo.blob(":good.bin");
    plant(&repo, "bad.bin", "git-lake pointer v1\noid sha256:short\nsize 5\n");
    plant(&repo, "raw.bin", noise(5, 10_000));
    plant(&repo, "small.bin", "content");
    plant(&repo, "empty.bin", "");
    plant(&repo, "lfs.bin", LFS);
    plant(&repo, "lfs.txt", LFS);
    plant(&repo, "newer.bin", "git-lake pointer v2\nwhatever\n");
    plant(&repo, "away.txt", &good);
    plant(
        &repo,
        "name.bin",
        good.replace(&format!("/{}", Oid::of(&noise(1, 3000)).to_hex()), &format!("/{other}")),
    );
    plant(&repo, "size.bin", good.replace("size 3000", "size 3001"));
    let ran = pointers(&repo, 3, &[]);
    let oid = Oid::of(&noise(1, 3000)).to_hex();
    let expected = format!(
        "1 file is a damaged pointer: Line 2 of the pointer should be `oid sha256:` and 64 lower-case hexadecimal digits; restore it, `git add` it and commit:
  bad.bin
1 file is a damaged pointer: Line 4 of the pointer names another object than the pointer's oid; restore it, `git add` it and commit:
  name.bin  {oid}
1 pointer says another size than its object has: 3001 bytes where there are 3000; restore it, `git add` it and commit:
  size.bin  {oid}
1 file is a git-lfs pointer where one of git-lake belongs; `git lfs pull`, `git add --renormalize .` and a commit convert what is there now:
  lfs.bin
1 file is a pointer of a newer version; a newer git-lake can judge that:
  newer.bin
2 files are content in git where a pointer belongs; `git add --renormalize .` and a commit convert what is there now:
  raw.bin
  small.bin
1 pointer is at a path that is not tracked, so that nobody gets its content; `git lake track` tracks a path:
  away.txt  {oid}
"
    );
    assert_eq!(ran.stdout, expected);
    assert_eq!(ran.stderr, "13 files in git looked at, 4 pointers (12 KiB).\n");
}

#[test]
fn a_commit_is_judged_by_its_own_attributes() {
    let env = TestEnv::new();
    let repo = repo(&env);
    plant(&repo, "raw.bin", "content");
    plant(&repo, "raw.dat", "content");
    record(&repo, "raw");
    repo.write(".gitattributes", "*.dat filter=lake merge=lake -text\n");
    repo.git(["add", ".gitattributes"]);
    record(&repo, "other attributes");
    let expected = ["good.bin untracked", "raw.dat not-converted"];
    assert_eq!(kinds(&repo, 1, &["HEAD"]), expected);
    assert_eq!(kinds(&repo, 1, &[]), expected);
    assert_eq!(kinds(&repo, 1, &["HEAD~1"]), ["raw.bin not-converted"]);
    assert_eq!(kinds(&repo, 0, &["start"]), [""; 0]);
    pointers(&repo, 1, &["none"]).says("Could not find revision `none`");
    pointers(&repo, 2, &["start...HEAD"]).says("write `A..B`");
}

#[test]
fn a_range_is_judged_commit_by_commit() {
    let env = TestEnv::new();
    let repo = repo(&env);
    plant(&repo, "old.bin", "before the range");
    let base = record(&repo, "base");
    plant(&repo, "raw.bin", "content");
    plant(&repo, "bad.bin", "git-lake pointer v1\n");
    let first = record(&repo, "first");
    repo.git(["rm", "-q", "--cached", "raw.bin", "bad.bin"]);
    repo.write("new.bin", noise(2, 500));
    repo.git(["add", "new.bin"]);
    record(&repo, "second");
    let range = format!("{base}..HEAD");
    let ran = pointers(&repo, 3, &[&range]);
    let expected = format!(
        "1 file is a damaged pointer: Line 2 of the pointer should be `oid sha256:` and 64 lower-case hexadecimal digits; restore it, `git add` it and commit:
  bad.bin  in commit {first}
1 file is content in git where a pointer belongs; `git add --renormalize .` and a commit convert what is there now:
  raw.bin  in commit {first}
"
    );
    assert_eq!(ran.stdout, expected);
    assert_eq!(ran.stderr, "3 files in git looked at, 1 pointer (500 bytes).\n");
    assert_eq!(kinds(&repo, 0, &["HEAD~1..HEAD"]), [""; 0]);
    assert_eq!(kinds(&repo, 0, &["HEAD..HEAD"]), [""; 0]);
    assert_eq!(kinds(&repo, 1, &["HEAD"]), ["old.bin not-converted"]);
}

#[test]
fn attributes_that_a_range_changes_are_judged_with_all_that_they_concern() {
    let env = TestEnv::new();
    let repo = repo(&env);
    plant(&repo, "old.bin", "was not converted before either");
    plant(&repo, "a.dat", "content");
    record(&repo, "base");
    repo.git(["tag", "base"]);
    let text = repo.text(".gitattributes");
    repo.write(".gitattributes", format!("{text}*.dat filter=lake\ngood.bin -filter\n"));
    repo.git(["add", ".gitattributes"]);
    record(&repo, "attributes");
    plant(&repo, "b.dat", "content");
    record(&repo, "more");
    let expected = ["b.dat not-converted", "a.dat not-converted", "good.bin untracked"];
    assert_eq!(kinds(&repo, 1, &["base..HEAD"]), expected);
    // A commit that only takes them back brings nothing wrong.
    repo.git(["revert", "--no-edit", "HEAD", "HEAD~1"]);
    assert_eq!(kinds(&repo, 0, &["HEAD~1..HEAD"]), [""; 0]);
}

#[test]
fn what_a_merge_takes_from_the_base_is_not_brought_by_the_range() {
    let env = TestEnv::new();
    let repo = repo(&env);
    repo.on_branch("side", |repo| repo.write("side.bin", noise(3, 100)));
    plant(&repo, "main.bin", "content that the base has");
    record(&repo, "main");
    repo.git(["switch", "-q", "-f", "side"]);
    repo.git(["merge", "-q", "--no-edit", "main"]);
    assert_eq!(kinds(&repo, 0, &["main..side"]), [""; 0]);
    // What the merge itself has changed is.
    plant(&repo, "merge.bin", "evil");
    repo.git(["commit", "-q", "--amend", "--no-edit"]);
    assert_eq!(kinds(&repo, 1, &["main..side"]), ["merge.bin not-converted"]);
}

#[test]
fn attributes_and_files_that_only_meet_in_a_merge_are_found() {
    let env = TestEnv::new();
    let repo = repo(&env);
    repo.on_branch("side", |repo| repo.write("a.dat", "content, and untracked there"));
    let text = repo.text(".gitattributes");
    repo.write(".gitattributes", format!("{text}*.dat filter=lake\n"));
    repo.commit("attributes");
    repo.git(["merge", "-q", "--no-edit", "side"]);
    assert_eq!(kinds(&repo, 1, &["start..HEAD"]), ["a.dat not-converted"]);
}

#[test]
fn remotes_that_a_range_changes_are_told() {
    let env = TestEnv::new();
    let repo = repo(&env);
    let settings = repo.text(".gitlake.toml");
    let new = "\n[[remote]]\nname = \"new\"\nurl = \"s3://s3.example.com/bucket\"\n";
    let url = env.path("work-lake").display().to_string();
    let changed = settings.replace(&format!("file://{url}"), "s3://evil.example.com/lake") + new;
    repo.write(".gitlake.toml", &changed);
    repo.git(["add", ".gitlake.toml"]);
    record(&repo, "remotes");
    let ran = pointers(&repo, 0, &["start..HEAD"]);
    let expected = format!(
        "The remote `work-lake` of `.gitlake.toml` is `s3://evil.example.com/lake` now, and was `file://{url}`
The remote `new` of `.gitlake.toml` is new: data goes to `s3://s3.example.com/bucket`
"
    );
    assert_eq!(ran.stdout, expected);
    let ran = pointers(&repo, 0, &["start..HEAD", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let expected = serde_json::json!([
        { "name": "work-lake", "change": "moved", "old_url": format!("file://{url}"),
          "new_url": "s3://evil.example.com/lake", "options": [] },
        { "name": "new", "change": "added", "old_url": null,
          "new_url": "s3://s3.example.com/bucket", "options": [] },
    ]);
    assert_eq!(document["remote_changes"], expected);
    // They are not those of whoever looks.
    repo.git(["switch", "-q", "--detach", "start"]);
    repo.write(".gitlake.toml", "<<<<<<< conflict\n");
    plant(&repo, ".gitlake.toml", "<<<<<<< conflict\n");
    record(&repo, "conflict");
    repo.git(["switch", "-q", "-f", "main"]);
    pointers(&repo, 1, &["start..HEAD@{1}"]).prints(
        "1 commit has settings that cannot be read: `.gitlake.toml` is not readable as TOML",
    );
}

#[test]
fn a_bare_repository_is_judged_without_a_work_tree() {
    let env = TestEnv::new();
    let repo = repo(&env);
    plant(&repo, "raw.bin", "content");
    record(&repo, "raw");
    let bare = env.bare("bare");
    let to = bare.path.display().to_string();
    repo.git(["-c", "core.hooksPath=/dev/null", "push", "-q", &to, "main", "start"]);
    assert_eq!(kinds(&bare, 1, &[]), ["raw.bin not-converted"]);
    assert_eq!(kinds(&bare, 1, &["start..main"]), ["raw.bin not-converted"]);
    assert_eq!(kinds(&bare, 0, &["start"]), [""; 0]);
    // One without commits has nothing that could be wrong.
    let empty = env.bare("empty");
    assert_eq!(kinds(&empty, 0, &[]), [""; 0]);
    assert_eq!(kinds(&env.repo("new"), 0, &[]), [""; 0]);
}

#[test]
fn a_shallow_clone_judges_what_it_has_and_names_the_way_to_the_rest() {
    let env = TestEnv::new();
    let repo = repo(&env);
    for at in 0..3 {
        repo.write("new.bin", noise(at + 10, 100));
        repo.commit(&format!("{at}"));
    }
    repo.git(["branch", "old", "HEAD~2"]);
    env.install();
    let url = format!("file://{}", repo.path.display());
    env.at(".").git(["clone", "-q", "--depth=2", "--no-single-branch", &url, "shallow"]);
    let shallow = env.at("shallow");
    assert_eq!(kinds(&shallow, 0, &["HEAD~1..HEAD"]), [""; 0]);
    assert_eq!(kinds(&shallow, 0, &["HEAD"]), [""; 0]);
    let ran = pointers(&shallow, 1, &["origin/old..HEAD"]);
    let expected =
        "git-lake: This clone is shallow: it does not have all of the history that is asked for
git-lake: hint: fetch the rest of the history with `git fetch --unshallow`
";
    assert_eq!((&*ran.stdout, &*ran.stderr), ("", expected));
    shallow.git(["fetch", "-q", "--unshallow"]);
    assert_eq!(kinds(&shallow, 0, &["origin/old..HEAD"]), [""; 0]);
    // As CI services clone by default.
    env.at(".").git(["clone", "-q", "--depth=1", &url, "single"]);
    let single = env.at("single");
    let ran = pointers(&single, 1, &["origin/old..HEAD"]);
    let (remedy, _) = ran
        .stderr
        .split_once("hint: fetch all branches with `")
        .unwrap()
        .1
        .split_once("`\n")
        .unwrap();
    assert!(ran.stderr.contains("Could not find revision `origin/old`, and this clone is shallow"));
    assert_eq!(single.run("sh", ["-c", remedy]).code, Some(0));
    assert_eq!(kinds(&single, 0, &["origin/old..HEAD"]), [""; 0]);
}

#[test]
fn what_a_partial_clone_left_on_its_server_is_not_judged() {
    let env = TestEnv::new();
    let repo = repo(&env);
    plant(&repo, "raw.bin", "content");
    record(&repo, "raw");
    repo.git(["rm", "-q", "--cached", "raw.bin"]);
    record(&repo, "no raw");
    repo.git(["config", "uploadpack.allowFilter", "true"]);
    env.install();
    let url = format!("file://{}", repo.path.display());
    env.at(".").git(["clone", "-q", "--filter=blob:none", &url, "partial"]);
    let partial = env.at("partial");
    assert_eq!(kinds(&partial, 0, &["HEAD"]), [""; 0]);
    let ran = pointers(&partial, 1, &["start..HEAD"]);
    let remedy = ran.stdout.split('`').nth(1).unwrap().to_owned();
    drop(ran.prints("1 file cannot be judged, since this partial clone does not have it"));
    assert_eq!(partial.run("sh", ["-c", &*remedy]).code, Some(0), "{remedy}");
    assert_eq!(kinds(&partial, 1, &["start..HEAD"]), ["raw.bin not-converted"]);
}

#[test]
fn the_line_for_ci_does_what_its_page_says() {
    let page = include_str!("../docs/ci.md");
    let lines = page.split("```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    let [line, with_lakes] = lines.collect::<Vec<_>>().try_into().unwrap();
    assert!([line, with_lakes].iter().all(|line| line.lines().count() == 1));
    let env = TestEnv::new();
    let server = repo(&env);
    // As the action checks out a pull request: all history, detached, nothing installed.
    let clone = |name: &str| {
        let url = format!("file://{}", server.path.display());
        env.at(".").git(["clone", "-q", &url, name]);
        let clone = env.at(name);
        clone.git(["switch", "-q", "--detach", "origin/pull"]);
        clone
    };
    let judge = |name: &str, change: &dyn Fn()| {
        server.git(["switch", "-q", "-C", "pull", "start"]);
        change();
        server.git(["switch", "-q", "-f", "main"]);
        clone(name).run("sh", ["-c", line])
    };
    let ran = judge("right", &|| {
        server.write("new.bin", noise(7, 700));
        server.commit("new");
    });
    assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{ran:?}");
    let ran = env.at("right").run("sh", ["-c", with_lakes]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    drop(ran.says("1 object in `work-lake` asked for, 1 there."));
    let ran = judge("raw", &|| {
        plant(&server, "raw.bin", noise(8, 70_000));
        record(&server, "raw");
    });
    assert_eq!(ran.code, Some(1), "{ran:?}");
    drop(ran.prints("1 file is content in git where a pointer belongs"));
    let ran = judge("damaged", &|| {
        plant(&server, "bad.bin", "git-lake pointer v1\n<<<<<<< ours\n");
        record(&server, "bad");
    });
    assert_eq!(ran.code, Some(3), "{ran:?}");
    // The page has the same line for the action, with the names that it knows.
    let action = "git lake fsck --pointers origin/${{ github.base_ref }}..HEAD";
    assert!(page.contains(action));
    assert_eq!(action.replace("${{ github.base_ref }}", "main"), line);
}
