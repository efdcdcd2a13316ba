//! Every way to push is proved, and a refusal says what, where, why and what to type.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::common::s3::endpoint::Endpoint;
use crate::common::s3::{KEY, Rights, S3Server};
use crate::common::{Lake, Ran, Repo, TestEnv, noise};

/// A clone with an origin that has its first commit, and content that is nowhere else.
struct Case {
    env: TestEnv,
    repo: Repo,
    lake: Lake,
}

impl Case {
    fn new() -> Self {
        let env = TestEnv::new();
        let (repo, lake) = env.tracked("work");
        env.bare("origin.git");
        repo.git(["remote", "add", "origin", "../origin.git"]);
        repo.write("a.bin", noise(1, 300));
        repo.commit("v1");
        repo.git(["push", "-q", "origin", "main"]).says_nothing();
        Self { env, repo, lake }
    }

    /// Commits `b.bin`; its content is in no lake and not in the store.
    fn commit_lost(&self, repo: &Repo) {
        repo.write("b.bin", noise(2, 300));
        repo.commit("lost");
        self.lose(repo);
    }

    /// Forgets the content wherever it is; git may have cleaned it again meanwhile.
    fn lose(&self, repo: &Repo) {
        drop(fs::remove_file(self.lake.object(noise(2, 300))));
        drop(fs::remove_file(repo.path.join("b.bin")));
        drop(fs::remove_file(repo.stored(noise(2, 300))));
        repo.empty_receipts();
    }

    /// The push is refused for `b.bin`, changes nothing at the other side, and passes when the lake has it.
    #[track_caller]
    fn is_proved(&self, repo: &Repo, push: &[&str]) {
        let there = || self.env.at("origin.git").git(["for-each-ref"]).stdout;
        let before = there();
        let ran = repo.git_fails(1, push);
        assert_eq!(ran.told().len(), 2, "{push:?}: {ran:#?}");
        drop(ran.says(
            "1 file is in no lake that others reach (b.bin 20e4f8c1): `work-lake`: it is not there",
        ));
        assert_eq!(there(), before, "{push:?}");
        fs::write(self.lake.object(noise(2, 300)), noise(2, 300)).unwrap();
        repo.git(push).says_nothing();
        assert_ne!(there(), before, "{push:?}");
    }

    /// Returns what git-lake said, with nothing of this machine in it.
    fn told(&self, ran: &Ran) -> String {
        let root = self.env.path("").display().to_string();
        ran.told().join("\n").replace(root.trim_end_matches('/'), "")
    }
}

#[test]
fn branches_are_proved() {
    let case = Case::new();
    case.commit_lost(&case.repo);
    case.is_proved(&case.repo, &["push", "-q", "origin", "HEAD:refs/heads/new"]);
    let case = Case::new();
    case.commit_lost(&case.repo);
    case.is_proved(&case.repo, &["push", "-q", "--all", "origin"]);
    // Content that no branch has any more is pushed, too.
    let case = Case::new();
    case.commit_lost(&case.repo);
    case.repo.git(["rm", "-q", "b.bin"]);
    case.repo.git(["commit", "-q", "-m", "without it"]);
    case.lose(&case.repo);
    case.is_proved(&case.repo, &["push", "-q", "origin", "main"]);
}

#[test]
fn forced_updates_are_proved_also_over_what_is_not_here() {
    let case = Case::new();
    case.repo.write("b.bin", noise(2, 300));
    case.repo.git(["add", "."]);
    case.repo.git(["commit", "-q", "--amend", "-m", "other"]);
    case.lose(&case.repo);
    case.is_proved(&case.repo, &["push", "-q", "-f", "origin", "main"]);
    let case = Case::new();
    let other = case.env.clone_of(&case.env.at("origin.git"), "other");
    other.write("text", "theirs");
    other.commit("theirs");
    other.git(["push", "-q", "origin", "main"]);
    case.commit_lost(&case.repo);
    case.repo.git_fails(1, ["push", "-q", "--no-verify", "origin", "main"]);
    case.is_proved(&case.repo, &["push", "-q", "-f", "origin", "main"]);
}

#[test]
fn deletions_need_no_proof_and_what_goes_with_them_does() {
    let case = Case::new();
    case.repo.git(["push", "-q", "origin", "main:gone", "main:gone-too"]);
    case.lake.unmount();
    case.repo.git(["push", "-q", "origin", ":gone"]).says_nothing();
    case.lake.mount();
    case.commit_lost(&case.repo);
    case.is_proved(&case.repo, &["push", "-q", "--atomic", "origin", ":gone-too", "main"]);
}

#[test]
fn tags_are_proved() {
    for (tag, push) in [
        (&["tag", "light"][..], &["push", "-q", "origin", "light"][..]),
        (&["tag", "-a", "-m", "x", "heavy"], &["push", "-q", "origin", "heavy"]),
        (&["tag", "-a", "-m", "x", "heavy"], &["push", "-q", "--tags", "origin"]),
        (&["tag", "-a", "-m", "x", "of-tree", "HEAD^{tree}"], &["push", "-q", "origin", "of-tree"]),
    ] {
        let case = Case::new();
        case.repo.git(["switch", "-q", "--detach"]);
        case.commit_lost(&case.repo);
        case.repo.git(tag);
        case.is_proved(&case.repo, push);
    }
}

#[test]
fn several_at_once_mirrors_and_addresses_are_proved() {
    for push in [
        &["push", "-q", "origin", "main", "side"][..],
        &["push", "-q", "--mirror", "origin"],
        &["push", "-q", "../origin.git", "side"],
    ] {
        let case = Case::new();
        case.repo.git(["switch", "-q", "-c", "side"]);
        case.commit_lost(&case.repo);
        case.repo.git(["switch", "-q", "main"]);
        case.lose(&case.repo);
        case.is_proved(&case.repo, push);
    }
    // Nothing is known of an address that is no remote's: all that is pushed is proved.
    let case = Case::new();
    case.env.bare("elsewhere.git");
    case.repo.empty_receipts();
    case.repo.empty_store();
    case.lake.remove(noise(1, 300));
    fs::remove_file(case.repo.path.join("a.bin")).unwrap();
    case.repo.git_fails(1, ["push", "-q", "../elsewhere.git", "main"]).says("a.bin");
    case.repo.git(["push", "-q", "../origin.git", "main:copy"]).says_nothing();
}

#[test]
fn merges_are_proved() {
    let case = Case::new();
    case.repo.git(["switch", "-q", "-c", "side"]);
    case.commit_lost(&case.repo);
    case.repo.git(["switch", "-q", "main"]);
    case.repo.write("text", "ours");
    case.repo.commit("ours");
    case.repo.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["merge", "-q", "--no-edit", "side"]);
    case.lose(&case.repo);
    case.is_proved(&case.repo, &["push", "-q", "origin", "main"]);
}

#[test]
fn shallow_clones_are_proved() {
    let case = Case::new();
    let clone = case.env.clone_with(&case.env.at("origin.git"), "clone", &["--depth", "1"]);
    case.commit_lost(&clone);
    case.is_proved(&clone, &["push", "-q", "origin", "main"]);
}

#[test]
fn a_private_folder_is_no_proof() {
    let case = Case::new();
    // Neither one that only the pointer names, nor one that only this clone knows.
    let private = case.env.lake("private");
    case.commit_lost(&case.repo);
    fs::write(private.object(noise(2, 300)), noise(2, 300)).unwrap();
    case.repo.git(["config", "lake.private.url", &private.url()]);
    case.repo.git_fails(1, ["push", "-q", "origin", "main"]).says("b.bin");
    let text = case.repo.blob(":b.bin").replace("/work-lake/", "/private/");
    let blob = case.repo.feed("git", &["hash-object", "-w", "--stdin"], text.as_bytes()).stdout;
    let entry = format!("100644,{},b.bin", blob.trim());
    case.repo.git(["update-index", "--cacheinfo", &entry]);
    case.repo.git(["commit", "-q", "--amend", "-m", "private"]);
    case.lose(&case.repo);
    case.repo.git_fails(1, ["push", "-q", "origin", "main"]).says("b.bin");
}

#[test]
fn a_fork_of_data_in_a_folder_that_is_only_read_pushes_in_silence() {
    let case = Case::new();
    let clone = case.env.clone_of(&case.env.at("origin.git"), "clone");
    case.env.bare("fork.git");
    fs::set_permissions(&case.lake.path, fs::Permissions::from_mode(0o555)).unwrap();
    clone.empty_receipts();
    clone.git(["push", "-q", "../fork.git", "main"]).says_nothing();
    fs::set_permissions(&case.lake.path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_fork_of_data_in_a_bucket_that_is_only_read_pushes_in_silence() {
    let server = S3Server::start();
    let env = TestEnv::new();
    let repo = bucket_repo(&env, &server);
    for at in 0..10 {
        repo.write(format!("{at}.bin"), noise(at, 300));
    }
    repo.commit("v1");
    server.add_key(KEY.0, KEY.1, Rights::ReadOnly);
    let clone = env.clone_of(&repo, "clone");
    clone.has("3.bin", noise(3, 300));
    env.bare("fork.git");
    clone.empty_receipts();
    server.take_requests();
    clone.git(["push", "-q", "../fork.git", "main"]).says_nothing();
    let requests = server.take_requests();
    assert!(requests.iter().all(|request| request.method != "PUT"), "{requests:?}");
    // What is new there cannot go anywhere, and that is said.
    clone.write("new.bin", noise(11, 300));
    clone.git(["add", "."]).says("1 upload is owed (new.bin): Could not write to the lake");
    clone.git(["commit", "-q", "-m", "new"]);
    let ran = clone.git_fails(1, ["push", "-q", "../fork.git", "main"]);
    assert_eq!(ran.told().len(), 2, "{ran:#?}");
    drop(
        ran.says("1 file is in no lake that others reach (new.bin ")
            .says("Could not write to the lake"),
    );
}

/// A repository whose `*.bin` go to a bucket.
fn bucket_repo(env: &TestEnv, server: &S3Server) -> Repo {
    let repo = env.repo("work");
    repo.git(["config", "--global", "credential.helper", "store"]);
    repo.git(["lake", "init", &Endpoint::of(server).typed("lake")]).says_nothing();
    repo.git(["lake", "track", "*.bin"]);
    repo.commit("set up");
    repo
}

#[test]
fn with_nothing_new_no_request_is_made() {
    let server = S3Server::start();
    let env = TestEnv::new();
    let repo = bucket_repo(&env, &server);
    repo.write("a.bin", noise(1, 300));
    repo.commit("v1");
    env.bare("origin.git");
    repo.git(["remote", "add", "origin", "../origin.git"]);
    repo.git(["push", "-q", "origin", "main"]);
    server.take_requests();
    repo.write("text", "no content");
    repo.commit("text");
    repo.git(["tag", "v1"]);
    for push in [
        &["origin", "main"][..],
        &["origin", "main"],
        &["origin", "main:copy", "v1"],
        &["../origin.git", "main:other"],
        &["origin", ":copy"],
        &["--force", "origin", "main~:main"],
    ] {
        repo.git(["push", "-q"].iter().chain(push)).says_nothing();
        assert_eq!(server.take_requests().len(), 0, "{push:?}");
    }
    repo.write("b.bin", noise(2, 300));
    repo.commit("v2");
    server.take_requests();
    repo.git(["push", "-q", "origin", "main"]).says_nothing();
    // Only whether it is still the same lake.
    assert_eq!(server.take_requests().len(), 1);
}

#[test]
fn raw_content_is_mended_by_what_the_refusal_says() {
    let case = Case::new();
    let attributes = case.repo.git_dir().join("info/attributes");
    for at in [3, 4] {
        fs::write(&attributes, "*.bin -filter\n").unwrap();
        case.repo.write(format!("{at}.bin"), noise(at, 20_000));
        case.repo.git(["add", &format!("{at}.bin")]);
        case.repo.git(["commit", "-q", "-m", "raw"]);
        fs::remove_file(&attributes).unwrap();
    }
    let ran = case.repo.git_fails(1, ["push", "-q", "origin", "main"]);
    insta::assert_snapshot!(case.told(&ran), @r"
    git-lake: 2 files are content in git where a pointer belongs (3.bin, 4.bin). `git add --renormalize . && git commit --amend --no-edit` converts the last commit; `git reset --soft BASE && git add --renormalize . && git commit` makes one commit of all after BASE.
    git-lake: The push is refused, so that nobody gets pointers without content; `git push --no-verify` pushes all the same.
    ");
    // What else git offers would first have to make the work tree clean, which raw content never is.
    case.repo.git(["reset", "-q", "--soft", "origin/main"]);
    case.repo.git(["add", "--renormalize", "."]);
    case.repo.git(["commit", "-q", "-m", "converted"]);
    case.repo.git(["push", "-q", "origin", "main"]).says_nothing();
    assert_eq!(case.repo.git(["rev-list", "--count", "main"]).stdout, "3\n");
    case.lake.holds(noise(3, 20_000));
    case.repo.has("4.bin", noise(4, 20_000));
}

#[test]
fn a_pointer_with_conflict_markers_refuses_the_push() {
    let case = Case::new();
    let text = case.repo.blob(":a.bin").replace("size ", "<<<<<<< ours\nsize ");
    let late = case.repo.blob(":a.bin") + "<<<<<<< ours\n";
    for (name, text) in [("c.bin", text), ("d.bin", late)] {
        let blob = case.repo.feed("git", &["hash-object", "-w", "--stdin"], text.as_bytes()).stdout;
        let entry = format!("100644,{},{name}", blob.trim());
        case.repo.git(["update-index", "--add", "--cacheinfo", &entry]);
    }
    case.repo.git(["commit", "-q", "-m", "conflict"]);
    let ran = case.repo.git_fails(1, ["push", "-q", "origin", "main"]);
    insta::assert_snapshot!(case.told(&ran), @r"
    git-lake: 1 file is a damaged pointer (c.bin): Line 3 of the pointer is a conflict marker of a merge. Restore the file, `git add` it and `git commit --amend`.
    git-lake: 1 file is a damaged pointer (d.bin): Line 5 of the pointer is a conflict marker of a merge. Restore the file, `git add` it and `git commit --amend`.
    git-lake: The push is refused, so that nobody gets pointers without content; `git push --no-verify` pushes all the same.
    ");
}

#[test]
fn a_refusal_tells_each_cause_once() {
    let env = TestEnv::new();
    let (first, second) = (env.lake("first"), env.lake("second"));
    let repo = env.repo("work");
    env.bare("origin.git");
    repo.git(["remote", "add", "origin", "../origin.git"]);
    repo.set_up(&[&first, &second]);
    repo.require(&second);
    let case = Case { env, repo, lake: first };
    for at in 0..60 {
        case.repo.write(format!("{at:02}.bin"), noise(at, 300));
    }
    second.unmount();
    case.repo.commit("v1");
    // Of some, the first lake loses what it had.
    for at in 0..20 {
        case.lake.remove(noise(at, 300));
        fs::remove_file(case.repo.stored(noise(at, 300))).unwrap();
        fs::remove_file(case.repo.path.join(format!("{at:02}.bin"))).unwrap();
    }
    case.repo.empty_receipts();
    let ran = case.repo.git_fails(1, ["push", "-q", "origin", "main"]);
    insta::assert_snapshot!(case.told(&ran), @r"
    git-lake: 20 files are in no lake that others reach (00.bin b5e71450, 01.bin 7e89f505, 02.bin 20e4f8c1, 03.bin 3f5adab0, 04.bin 35aefe85 and 15 more): `first`: it is not there; `second`: Could not reach the lake `file:///second`: The folder does not exist. The content is not in this clone either: find a copy of each file and `git add` it again.
    git-lake: 40 files are not in the remote `second`, which is required (20.bin 427b4d88, 21.bin 64c146ec, 22.bin e9f6e1e9, 23.bin c21b0f2e, 24.bin 93d9eaa0 and 35 more): `second`: Could not reach the lake `file:///second`: The folder does not exist. The content is in this clone: `git lake push` uploads it as soon as a lake takes it.
    git-lake: 20 files are not in the remote `second`, which is required (00.bin b5e71450, 01.bin 7e89f505, 02.bin 20e4f8c1, 03.bin 3f5adab0, 04.bin 35aefe85 and 15 more): `second`: Could not reach the lake `file:///second`: The folder does not exist. The content is not in this clone either: find a copy of each file and `git add` it again.
    git-lake: The push is refused, so that nobody gets pointers without content; `git push --no-verify` pushes all the same.
    ");
    case.repo.git(["config", "lake.allowIncompletePush", "true"]);
    let ran = case.repo.git(["push", "-q", "origin", "main"]);
    assert_eq!(
        ran.told().last(),
        Some(&"git-lake: Pushing all the same: `lake.allowIncompletePush` is set.")
    );
}

#[test]
fn each_command_says_once_what_is_owed_to_a_lake_that_is_away() {
    let case = Case::new();
    let repo = &case.repo;
    case.lake.unmount();
    for at in 0..200 {
        repo.write(format!("{at:03}.bin"), noise(100 + at, 100));
    }
    let added = repo.git(["add", "."]);
    repo.git(["commit", "-q", "-m", "many"]).says_nothing();
    let pushed = repo.git_fails(1, ["lake", "push"]);
    let status = repo.git(["lake", "status"]).stdout.replace(&case.lake.url(), "file:///work-lake");
    let refused = repo.git_fails(1, ["push", "-q", "origin", "main"]);
    let clone = case.env.path("clone");
    case.env.install();
    let cloned = case.env.at(".").git(["clone", "-q", "work", "clone"]);
    let clone = case.env.at(clone.file_name().unwrap().to_str().unwrap());
    let pulled = clone.git_fails(1, ["lake", "pull"]);
    let text = format!(
        "add\n{}\npush\n{}{}\nstatus\n{status}pre-push\n{}\nclone\n{}\npull\n{}",
        case.told(&added),
        pushed.stderr.lines().last().unwrap_or_default(),
        case.told(&pushed),
        case.told(&refused),
        case.told(&cloned),
        case.told(&pulled),
    );
    insta::assert_snapshot!(text, @r"
    add
    git-lake: 200 uploads are owed (000.bin, 001.bin, 002.bin and 197 more): Could not reach the lake `file:///work-lake`: The folder does not exist. `git lake push` tries again.
    push
    0 objects uploaded (0 bytes).git-lake: 200 uploads are owed (000.bin, 001.bin, 002.bin and 197 more): Could not reach the lake `file:///work-lake`: The folder does not exist. `git lake push` tries again.
    status
    201 files tracked, 20 KiB: 200 owed.
    200 uploads are owed to `file:///work-lake` (20 KiB); `git lake push` makes it good.
      000.bin
      001.bin
      002.bin
      003.bin
      004.bin
      005.bin
      006.bin
      007.bin
      008.bin
      009.bin
      010.bin
      011.bin
      012.bin
      013.bin
      014.bin
      015.bin
      016.bin
      017.bin
      018.bin
      019.bin
      and 180 more
    pre-push
    git-lake: 200 files are in no lake that others reach (000.bin bdc642f3, 001.bin 0e51a12d, 002.bin 0f33307c, 003.bin 17de1875, 004.bin 0b15dda6 and 195 more): `work-lake`: Could not reach the lake `file:///work-lake`: The folder does not exist. The content is in this clone: `git lake push` uploads it as soon as a lake takes it.
    git-lake: The push is refused, so that nobody gets pointers without content; `git push --no-verify` pushes all the same.
    clone
    git-lake: 201 files left as pointers (000.bin, 001.bin, 002.bin and 198 more): Could not reach the lake `file:///work-lake`: The folder does not exist
    git-lake: The checkout is complete; `git lake pull` fetches what is missing.
    pull
    git-lake: 201 files are still pointers (000.bin, 001.bin, 002.bin, 198 more): Could not reach the lake `file:///work-lake`: The folder does not exist
    ");
    case.lake.mount();
    repo.git(["push", "-q", "origin", "main"]).says_nothing();
    clone.git(["lake", "pull"]).says_nothing();
    clone.has("123.bin", noise(223, 100));
    repo.git(["lake", "status"]).prints("Nothing is owed.");
}

#[test]
fn refused_keys_and_a_closed_port_are_told_once() {
    let server = S3Server::start();
    let env = TestEnv::new();
    let repo = bucket_repo(&env, &server);
    env.bare("origin.git");
    for at in 0..60 {
        repo.write(format!("{at:02}.bin"), noise(at, 100));
    }
    let is_told_once = |cause: &str| {
        repo.git(["rm", "-q", "-r", "--cached", "--ignore-unmatch", "*.bin"]);
        for ran in [repo.git(["add", "."]), repo.git_fails(1, ["lake", "push"])] {
            assert_eq!(ran.told().len(), 1, "{ran:#?}");
            drop(
                ran.says("60 uploads are owed (00.bin, 01.bin, 02.bin and 57 more): ").says(cause),
            );
        }
        repo.git(["commit", "-q", "--allow-empty", "-m", "many"]);
        let ran = repo.git_fails(1, ["push", "-q", "../origin.git", "main"]);
        assert_eq!(ran.told().len(), 2, "{ran:#?}");
        drop(
            ran.says("60 files are in no lake that others reach (00.bin ")
                .says(" and 55 more): ")
                .says(cause),
        );
    };
    server.revoke_key(KEY.0);
    is_told_once("The server answered 403 `AccessDenied`");
    drop(server);
    is_told_once("Could not reach the lake");
}
