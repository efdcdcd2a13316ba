//! `git lake doctor`: what is wrong is found with what to type, and `--fix` mends what is safe.

use std::fs;

use crate::common::s3::endpoint::Endpoint;
use crate::common::s3::{KEY, S3Server};
use crate::common::{Ran, Repo, TestEnv, noise};

/// Runs it; it has to end with a code.
#[track_caller]
fn doctor(repo: &Repo, code: i32, args: &[&str]) -> Ran {
    repo.git_fails(code, ["lake", "doctor"].iter().chain(args))
}

/// It finds the problem, and says this about it.
#[track_caller]
fn finds(repo: &Repo, problem: &str, remedy: &str) {
    doctor(repo, 1, &[]).prints(&format!("problem  {problem}\n         {remedy}\n"));
}

/// Ids and levels of all findings but those that are well.
#[track_caller]
fn unwell(repo: &Repo, code: i32) -> Vec<(String, String)> {
    let ran = doctor(repo, code, &["--json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["version"], 1);
    let text = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let findings = document["findings"].as_array().unwrap().iter();
    let findings = findings.map(|finding| (text(finding, "id"), text(finding, "level")));
    // What file systems can is not up to the clone.
    findings.filter(|(id, level)| level != "ok" && id != "shared-blocks").collect()
}

fn found(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(id, level)| ((*id).to_owned(), (*level).to_owned())).collect()
}

/// Runs git as somebody without git-lake does.
fn without_filter(repo: &Repo, args: &[&str]) {
    let off = ["-c", "filter.lake.process=", "-c", "filter.lake.clean="];
    repo.git(off.iter().chain(&["-c", "filter.lake.required=false"]).chain(args));
}

#[test]
fn nothing_is_wrong_with_a_healthy_clone() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 100 << 10));
    repo.commit("v1");
    let ran = doctor(&repo, 0, &[]).says("Nothing is wrong");
    let git = repo.git(["--version"]).stdout;
    let expected = format!(
        "ok       git-lake {}\n\
         ok       {git}\
         ok       The filter and merge drivers are set in the clone's configuration\n\
         ok       The hook pre-push is git-lake's\n\
         ok       The hook post-checkout is git-lake's\n\
         ok       The hook post-merge is git-lake's\n\
         ok       The settings make sense\n\
         ok       git holds 1 pointer (100 KiB)\n\
         ok       Nothing is owed\n\
         ok       The store has 1 object (100 KiB)\n",
        env!("CARGO_PKG_VERSION")
    );
    assert!(ran.stdout.starts_with(&expected), "{ran:#?}");
    let reached = format!("\nok       The remote `work-lake` (`{}`) was reached in ", lake.url());
    assert!(ran.stdout.contains(&reached), "{ran:#?}");
    assert!(unwell(&repo, 0).is_empty());
    doctor(&repo, 0, &["--fix"]).prints("ok       Nothing is owed\n");
    repo.is_clean();
    assert!(doctor(&repo, 0, &["--fix"]).stdout.starts_with("ok"), "there was nothing to mend");
    // What a home is set up with serves all clones of it.
    env.install();
    let bare = env.bare("there.git");
    repo.git(["push", "-q", &bare.path.display().to_string(), "main"]);
    let clone = env.clone_of(&bare, "clone");
    clone.git(["lake", "init"]);
    for key in ["filter.lake.required", "merge.lake.name"] {
        clone.git(["config", "--unset", key]);
    }
    let whose = "set in the clone's configuration and the user's configuration\n";
    doctor(&clone, 0, &[]).prints(whose);
    doctor(&env.bare("bare.git"), 1, &[])
        .prints("problem  No lake is named: content stays in this clone\n");
    doctor(&env.at("home"), 1, &[]).says("is not inside a git repository");
}

#[test]
fn what_git_is_not_told_is_found_and_mended() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.git(["config", "--unset", "filter.lake.process"]);
    repo.git(["config", "--unset", "merge.lake.driver"]);
    let hooks = repo.git_dir().join("hooks");
    fs::remove_file(hooks.join("post-merge")).unwrap();
    finds(
        &repo,
        "git's configuration has no `filter.lake.process`, `merge.lake.driver`: git does not call \
         git-lake where it has to",
        "git lake doctor --fix",
    );
    finds(
        &repo,
        "There is no hook post-merge: nobody says when a merge leaves pointers, nor uploads what it \
         brings together",
        "git lake doctor --fix",
    );
    let ran = doctor(&repo, 0, &["--fix"]);
    assert!(
        ran.stdout.starts_with(
            "mended   Set `filter.lake.process`, `merge.lake.driver` in the clone's configuration\n\
             mended   Wrote hooks: post-merge\n"
        ),
        "{ran:#?}"
    );
    assert!(unwell(&repo, 0).is_empty());
    // What somebody has decided is told, and stays.
    repo.git(["config", "filter.lake.required", "no"]);
    repo.git(["config", "filter.lake.process", "exec /opt/git-lake filter-process"]);
    repo.git(["config", "lake.uploadAt", "push"]);
    fs::write(hooks.join("pre-push"), "#!/bin/sh\nexit 0\n").unwrap();
    let expected = [
        ("filter-changed", "note"),
        ("filter-not-required", "problem"),
        ("unknown-key", "note"),
        ("hook-foreign", "problem"),
    ];
    assert_eq!(unwell(&repo, 1), found(&expected));
    finds(
        &repo,
        "`filter.lake.required` is `no` in the clone's configuration: when git-lake fails, git takes \
         content in as if it was not tracked",
        "git config filter.lake.required true",
    );
    doctor(&repo, 1, &[]).prints(
        "note     git's configuration has `lake.uploadAt`, which git-lake does not read; did you mean \
         `lake.upload`?\n         git config --show-origin --get-all lake.uploadAt\n",
    );
    let theirs = format!(
        "The hook `{}` is yours and does not call git-lake, or is not executable: nothing shows that \
         lakes hold what is pushed",
        hooks.join("pre-push").display()
    );
    finds(&repo, &theirs, r#"git-lake hook pre-push "$@" || exit 1"#);
    doctor(&repo, 1, &["--fix"]);
    assert_eq!(unwell(&repo, 1), found(&expected));
    repo.unwrap_filter();
    repo.git(["config", "filter.lake.required", "true"]);
    // A folder that other repositories use is not written to.
    repo.git(["config", "core.hooksPath", &env.path("home").display().to_string()]);
    doctor(&repo, 1, &["--fix"]).prints(&format!(
        "problem  There is no hook pre-push where `core.hooksPath` says: nothing shows that lakes hold \
         what is pushed. Make `{}` with this line\n         git-lake hook pre-push \"$@\" || exit 1\n",
        env.path("home/pre-push").display()
    ));
    assert!(!env.path("home/pre-push").exists());
}

#[test]
fn content_in_git_becomes_staged_pointers_for_one_commit() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let text = "# data\n*.bin filter=lake\n*.txt text\n*.npy filter=lake text\n";
    repo.write(".gitattributes", format!("{text}.gitlake.toml merge=lake\n"));
    let (a, b) = (noise(1, 3000), noise(2, 5 << 20));
    repo.write("sub/a [1].bin", &a);
    repo.write("b.bin", &b);
    repo.write("c.bin", "staged");
    without_filter(&repo, &["add", "-A"]);
    without_filter(&repo, &["commit", "-q", "-m", "without git-lake"]);
    repo.write("c.bin", "saved since");
    repo.touch("b.bin");
    finds(
        &repo,
        "`*.bin` in line 2 of `.gitattributes` has `filter=lake` without `merge=lake -text`: git merges \
         pointers as text, and git may change line ends in them (3 files: b.bin, c.bin, sub/a [1].bin)",
        "git lake doctor --fix",
    );
    finds(
        &repo,
        "3 files are content in git where pointers belong (b.bin, c.bin, sub/a [1].bin)",
        "git add --renormalize . && git commit",
    );
    finds(
        &repo,
        "`*.npy` in line 4 of `.gitattributes` has `filter=lake` without `merge=lake -text`: git merges \
         pointers as text, and git may change line ends in them",
        "*.npy filter=lake merge=lake -text",
    );
    repo.write(".gitattributes", format!("{}.gitlake.toml merge=lake\n", &text[..text.len() - 23]));
    let head = repo.git(["rev-parse", "HEAD"]).stdout;
    let ran = doctor(&repo, 1, &["--fix"]);
    let expected = "mended   Completed 1 line of `.gitattributes`\n\
         mended   2 files are staged as pointers (b.bin, sub/a [1].bin), and not committed\n\
         mended   1 file is not as staged, and left alone (c.bin): `git add` converts what is there now\n         \
         git add ':/.gitattributes' && git commit -m 'Keep content in lakes'\n";
    assert!(ran.stdout.starts_with(expected), "{ran:#?}");
    assert_eq!(unwell(&repo, 1), found(&[("not-converted", "problem")]));
    let lines =
        "# data\n*.bin filter=lake merge=lake -text\n*.txt text\n.gitlake.toml merge=lake\n";
    repo.has(".gitattributes", lines);
    repo.has("b.bin", &b);
    repo.has("c.bin", "saved since");
    assert_eq!(repo.blob(":c.bin"), "staged");
    assert_eq!(repo.git(["rev-parse", "HEAD"]).stdout, head, "the user commits");
    repo.git(["add", "c.bin"]);
    assert!(unwell(&repo, 0).is_empty());
    repo.below("sub").run("sh", ["-c", "git add ':/.gitattributes' && git commit -q -m pointers"]);
    repo.is_clean_when_touched();
    assert!(repo.blob("HEAD:b.bin").starts_with("git-lake pointer v1\n"));
    lake.holds(&a);
    lake.holds(&b);
}

#[test]
fn a_conflict_is_not_settled() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    let raw = |repo: &Repo, content: &str| {
        repo.write("a.bin", content);
        without_filter(repo, &["add", "a.bin"]);
        without_filter(repo, &["commit", "-q", "-m", content]);
    };
    raw(&repo, "base");
    repo.git(["switch", "-q", "-c", "side"]);
    raw(&repo, "side");
    without_filter(&repo, &["switch", "-q", "main"]);
    raw(&repo, "main");
    without_filter(&repo, &["reset", "-q", "--hard"]);
    repo.git_fails(1, ["-c", "merge.lake.driver=false", "merge", "-q", "side"]);
    let ran = doctor(&repo, 0, &["--fix"]);
    assert!(ran.stdout.starts_with("ok"), "{ran:#?}");
    assert_eq!(repo.git(["ls-files", "-u", "a.bin"]).stdout.lines().count(), 3);
}

#[test]
fn attributes_count_by_what_they_do() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    // One line for all says what the other does not.
    repo.write(".gitattributes", "* merge=lake -text\n*.bin filter=lake\n.git* !merge\n");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    assert!(unwell(&repo, 0).is_empty());
    repo.write("sub/.gitattributes", "*.bin text\n");
    repo.write("sub/a.bin", noise(2, 3000));
    repo.write(".gitattributes", "*.bin filter=lake merge=lake -text\n");
    repo.commit("v2");
    finds(
        &repo,
        "Other attributes take `-text` away from what is tracked: git may change line ends in them \
         (1 file: sub/a.bin)",
        "git check-attr -a PATH",
    );
}

#[test]
fn wrong_pointers_and_settings_are_found() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    let pointer = repo.blob(":a.bin");
    repo.write("b.txt", &pointer);
    repo.commit("a pointer that nobody fills");
    finds(
        &repo,
        "1 pointer is at a path that is not tracked, so that nobody gets its content (b.txt)",
        "git lake track PATTERN",
    );
    repo.write("b.bin", pointer.replace("size ", "size x"));
    without_filter(&repo, &["add", "-A"]);
    finds(&repo, "1 file is a damaged pointer (b.bin)", "git lake fsck --pointers");
    let settings = repo.text(".gitlake.toml");
    repo.write(".gitlake.toml", format!("{settings}uplaod = false\ncolour = 1\n"));
    finds(
        &repo,
        "`.gitlake.toml` has an unknown key `uplaod`; did you mean `upload`?",
        "edit `.gitlake.toml`",
    );
    finds(&repo, "`.gitlake.toml` has an unknown key `colour`", "edit `.gitlake.toml`");
    repo.write(".gitlake.toml", format!("<<<<<<< HEAD\n{settings}"));
    repo.git(["config", "lake.jobs", "many"]);
    finds(
        &repo,
        "`.gitlake.toml` is not readable as TOML: line 1 is a conflict marker of a merge",
        "edit `.gitlake.toml`",
    );
    finds(
        &repo,
        "git config `lake.jobs` is `many`; it should be a number from 1 to 256",
        "git config --show-origin --get-regexp '^lake[.]'",
    );
}

#[test]
fn what_is_owed_and_what_is_left_is_found() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    lake.unmount();
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    finds(&repo, &format!("1 upload is owed to `{}` (2.9 KiB)", lake.url()), "git lake push");
    let dead = format!(
        "The remote `work-lake` (`{}`): Could not reach the lake `{}`: ",
        lake.url(),
        lake.url()
    );
    doctor(&repo, 1, &[]).prints(&dead);
    repo.git(["config", "lake.upload", "push"]);
    lake.mount();
    assert_eq!(unwell(&repo, 0), found(&[("owed", "note")]));
    repo.git(["lake", "push"]);
    let mirror = env.lake("mirror");
    let settings = repo.text(".gitlake.toml");
    let more = format!("{settings}\n[[remote]]\nname = \"new\"\nurl = \"{}\"\n", mirror.url());
    repo.write(".gitlake.toml", more);
    doctor(&repo, 0, &[]).prints(&format!(
        "note     The remote `new` (`{0}`) gets no uploads, since this clone has not accepted it\n         \
         git lake trust {0}\n",
        mirror.url()
    ));
    repo.write("b.bin", noise(2, 3000));
    repo.git(["add", "b.bin"]);
    let text = format!(
        "1 upload is owed to `{}` (2.9 KiB), which this clone has not accepted",
        mirror.url()
    );
    finds(&repo, &text, &format!("git lake trust {} && git lake push", mirror.url()));
    doctor(&repo, 1, &["--fix"]);
    mirror.lacks(noise(2, 3000));
    repo.write(".gitlake.toml", settings);
    repo.git(["add", "-A"]);
    repo.git(["commit", "-q", "-m", "v2"]);
    repo.git(["lake", "push"]);
    repo.with("GIT_LAKE_SKIP_SMUDGE", "1").run("sh", ["-c", "rm *.bin; git checkout -q ."]);
    finds(&repo, "2 files are pointers only", "git lake pull");
    repo.git(["config", "lake.checkout", "pointer"]);
    let wanted = "note     2 files stay pointers, as `lake.checkout` or `lake.fetchInclude` and `Exclude` say\n";
    doctor(&repo, 0, &[]).prints(wanted);
}

#[test]
fn the_store_is_looked_at_and_mended() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let content = noise(1, 3000);
    repo.write("a.bin", &content);
    repo.commit("v1");
    // As when the disk reported an error.
    let stored = repo.stored(&content);
    let mut writable = fs::metadata(&stored).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut writable, 0o600);
    fs::set_permissions(&stored, writable).unwrap();
    let oid = stored.file_name().unwrap().to_str().unwrap();
    fs::write(repo.state().join("unsynced"), format!("{oid}\n")).unwrap();
    fs::create_dir_all(repo.state().join("fill")).unwrap();
    let log = repo.state().join("fill/1-1.log");
    fs::write(&log, format!("git-lake fill v1 {}/index\n", repo.git_dir().display())).unwrap();
    finds(
        &repo,
        "1 object of the store is not safe from power loss, since the disk reported an error",
        "git lake doctor --fix",
    );
    finds(
        &repo,
        "1 process was stopped while files were filled: git may take files for modified that are not",
        "git lake doctor --fix",
    );
    let ran = doctor(&repo, 0, &["--fix"]);
    assert!(
        ran.stdout.starts_with(
            "mended   Verified the objects that could not be synced, and put them on disk\n\
             mended   Told git about files that were filled when their process died\n"
        ),
        "{ran:#?}"
    );
    assert!(fs::metadata(&stored).unwrap().permissions().readonly() && !log.exists());
    assert!(unwell(&repo, 0).is_empty());
    fs::remove_file(&stored).unwrap();
    fs::write(&stored, noise(2, 3000)).unwrap();
    repo.git_fails(3, ["lake", "fsck", "--store"]);
    let lost = format!(
        "1 object was damaged and is not in the store any more; what is left of them lies in `{}`",
        repo.state().join("damaged").display()
    );
    finds(&repo, &lost, "git lake fetch --all");
    repo.git(["lake", "fetch", "--all"]);
    assert_eq!(unwell(&repo, 0), found(&[("damaged-replaced", "note")]));
    repo.git(["config", "lake.storageLimit", "2k"]);
    doctor(&repo, 0, &[]).prints(
        "note     The store has 1 object (2.9 KiB), more than `lake.storageLimit` (2.0 KiB): the rest is \
         needed here or not sure to be in a lake\n         git lake prune --dry-run\n",
    );
    lake.holds(&content);
}

#[test]
fn a_shared_store_needs_its_folder_and_its_clones() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    let folder = env.path("objects");
    repo.git(["config", "lake.storage", &folder.display().to_string()]);
    let text = format!(
        "The store in `{}`, which git config `lake.storage` names, cannot be used: objects stay in this clone",
        folder.display()
    );
    finds(&repo, &text, &format!("mkdir '{}'", folder.display()));
    fs::create_dir(&folder).unwrap();
    assert!(unwell(&repo, 0).is_empty());
    let (other, _) = env.tracked("other");
    other.git(["config", "lake.storage", &folder.display().to_string()]);
    other.git(["lake", "status"]);
    assert!(unwell(&repo, 0).is_empty());
    fs::remove_dir_all(&other.path).unwrap();
    let gone = other.path.join(".git").display().to_string();
    finds(
        &repo,
        &format!(
            "The clone `{gone}` shares the store and cannot be read, so that nothing is ever removed"
        ),
        &format!("git lake prune --forget '{gone}'"),
    );
}

#[test]
fn keys_are_told_by_where_they_are_and_never_shown() {
    let (env, server) = (TestEnv::new(), S3Server::start());
    let repo = env.repo("work");
    let known = repo.with("AWS_ACCESS_KEY_ID", KEY.0).with("AWS_SECRET_ACCESS_KEY", KEY.1);
    known.git(["lake", "init", &Endpoint::of(&server).typed("lake")]);
    known.git(["lake", "track", "*.bin"]);
    known.commit("set up");
    let host = server.host();
    let come = format!("ok       Keys for `{host}` come from ");
    let helper = "[credential]\n\thelper = \"!f() { echo username=canary-id; echo password=canary-kept; }; f\"\n";
    let wrong = repo
        .with("AWS_ACCESS_KEY_ID", "canary-id")
        .with("AWS_SECRET_ACCESS_KEY", "canary-secret")
        .with("AWS_SESSION_TOKEN", "canary-token");
    let secrets = ["canary", KEY.0, KEY.1];
    let says = |ran: Ran, text: &str| {
        let all = format!("{}{}", ran.stdout, ran.stderr);
        for secret in secrets {
            assert!(!all.contains(secret), "`{secret}` in {ran:#?}");
        }
        ran.prints(text);
    };
    says(doctor(&known, 0, &[]), &format!("{come}`AWS_ACCESS_KEY_ID`\n"));
    says(doctor(&known, 0, &["--json"]), "\"id\":\"keys\"");
    says(doctor(&wrong, 1, &[]), &format!("{come}`AWS_ACCESS_KEY_ID`\n"));
    let config = fs::read_to_string(env.path("home/.gitconfig")).unwrap();
    fs::write(env.path("home/.gitconfig"), format!("{config}{helper}")).unwrap();
    says(doctor(&repo, 1, &[]), &format!("{come}`git credential`\n"));
    fs::write(env.path("home/.gitconfig"), config).unwrap();
    let address = format!("s3://canary-id:canary-secret@{host}/other?secure=false");
    repo.git(["config", "lake.more.url", &address]);
    says(doctor(&wrong, 1, &[]), "git config `lake.more.url` is `");
    says(doctor(&wrong, 1, &["--json"]), "configuration");
    repo.git(["config", "--unset", "lake.more.url"]);
    repo.git(["config", "lake.trustLoopback", "false"]);
    let untrusted = format!(
        "note     `{host}` is asked without keys: it is not trusted with yours\n         git lake trust {host}\n"
    );
    says(doctor(&wrong, 0, &[]), &untrusted);
}
