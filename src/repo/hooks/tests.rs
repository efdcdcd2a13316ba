use super::*;
use crate::repo::Environment;
use crate::repo::testing::{TestRepo, open};

fn outcomes(repo: &Repo) -> Vec<Outcome> {
    let installed = install(repo).expect("installs");
    installed.into_iter().map(|one| one.outcome).collect()
}

fn write_script(path: &Path, script: &str) {
    write(path, script).expect("writes");
}

#[test]
fn absent_hooks_are_written_once() {
    let repo = TestRepo::new();
    let opened = repo.open();
    let push = || state(&opened, Hook::PrePush).expect("reads");
    assert_eq!(push().file, HookFile::Absent);
    assert!(!is_push_guarded(&opened));
    assert_eq!(outcomes(&opened), vec![Outcome::Written; 3]);
    assert_eq!(push().file, HookFile::Ours { is_current: true });
    assert!(is_push_guarded(&opened));
    assert_eq!(outcomes(&opened), vec![Outcome::Kept; 3]);
    for hook in Hook::ALL {
        let path = repo.top.join(".git/hooks").join(hook.name());
        let script = std::fs::read_to_string(path).expect("there");
        assert!(script.lines().count() <= 10 && script.contains(&hook.line()[..20]));
        assert!(is_ours(script.as_bytes()));
    }
}

#[test]
fn git_runs_the_hook_and_a_missing_program_stops_only_the_push() {
    let repo = TestRepo::new();
    repo.commit_all();
    install(&repo.open()).expect("installs");
    let bare = repo.beside("bare").display().to_string();
    repo.run(&["init", "--quiet", "--bare", &bare]);
    let push = ["push", "--quiet", &bare, "main"];
    let inherited = Environment::read().search_path.expect("git is on it");
    // Whoever runs the tests may have git-lake installed.
    let folders = std::env::split_paths(&inherited);
    let folders = folders.filter(|folder| !folder.join("git-lake").exists());
    let without = repo.git().with("PATH", std::env::join_paths(folders).expect("a path"));
    let error = without.run(&push, b"").expect_err("no git-lake on PATH");
    assert!(error.to_string().contains("git-lake is not on PATH"), "{error}");
    repo.run(&["switch", "--quiet", "--create", "side"]);
    let program = repo.beside("bin/git-lake");
    let told = repo.beside("told").display().to_string();
    write_script(&program, &format!("#!/bin/sh\n(echo \"$@\"; cat) >'{told}'\n"));
    let search = Path::new("/usr/bin:/bin");
    let search = format!("{}:{}", repo.beside("bin").display(), search.display());
    repo.git().with("PATH", search).run(&push, b"").expect("pushes");
    let told = std::fs::read_to_string(repo.beside("told")).expect("told");
    let head = repo.run(&["rev-parse", "HEAD"]);
    let zeros = "0".repeat(40);
    let expected =
        format!("hook pre-push {bare} {bare}\nrefs/heads/main {head} refs/heads/main {zeros}\n");
    assert_eq!(told, expected);
}

#[test]
fn a_users_hook_is_never_touched() {
    let repo = TestRepo::new();
    let opened = repo.open();
    let path = repo.top.join(".git/hooks/pre-push");
    let script = "#!/bin/sh\n# git-lake hook pre-push\nexit 0\n";
    write_script(&path, script);
    let line = Hook::PrePush.line();
    assert_eq!(outcomes(&opened)[0], Outcome::LineNeeded(line));
    assert_eq!(std::fs::read_to_string(&path).expect("there"), script);
    assert!(!is_push_guarded(&opened));
    write_script(&path, &format!("#!/bin/sh\n{line}\nexit 0\n"));
    assert!(is_push_guarded(&opened));
    assert_eq!(outcomes(&opened)[0], Outcome::Kept);
}

#[test]
fn an_older_hook_of_ours_is_replaced_and_an_edited_one_is_not() {
    let repo = TestRepo::new();
    let opened = repo.open();
    let path = repo.top.join(".git/hooks/pre-push");
    let body = "exec git-lake old\n";
    let old = format!("{FIRST_LINE}{MARK}{}\n{body}", Oid::of(body.as_bytes()));
    write_script(&path, &old);
    let file = state(&opened, Hook::PrePush).expect("reads").file;
    assert_eq!(file, HookFile::Ours { is_current: false });
    assert_eq!(outcomes(&opened)[0], Outcome::Written);
    let script = std::fs::read_to_string(&path).expect("there");
    assert_eq!(script, Hook::PrePush.script());
    let edited = format!("{script}echo mine\n");
    write_script(&path, &edited);
    assert_eq!(outcomes(&opened)[0], Outcome::Kept, "it still calls us");
    assert_eq!(std::fs::read_to_string(&path).expect("there"), edited);
}

#[test]
fn nothing_is_written_outside_the_git_folder() {
    let repo = TestRepo::new();
    for hooks in [".husky", "../shared", "~/hooks"] {
        repo.run(&["config", "core.hooksPath", hooks]);
        let outcomes = outcomes(&repo.open());
        let lines = Hook::ALL.map(|hook| Outcome::LineNeeded(hook.line()));
        assert_eq!(outcomes, lines, "{hooks}");
    }
    assert!(!repo.top.join(".husky").exists() && !repo.beside("shared").exists());
    repo.run(&["config", "core.hooksPath", ".husky"]);
    assert_eq!(folder(&repo.open()), repo.top.join(".husky"));
    let line = Hook::PrePush.line();
    write_script(&repo.top.join(".husky/pre-push"), &format!("#!/bin/sh\n{line}\n"));
    assert!(is_push_guarded(&repo.open()));
    repo.run(&["config", "core.hooksPath", ".git/mine"]);
    assert_eq!(outcomes(&repo.open()), vec![Outcome::Written; 3]);
}

#[test]
#[cfg(unix)]
fn links_and_files_that_git_would_not_run_are_seen_through() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let repo = TestRepo::new();
    let opened = repo.open();
    outcomes(&opened);
    let path = repo.top.join(".git/hooks/pre-push");
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&path, mode).expect("sets");
    assert!(!is_push_guarded(&opened), "git ignores it");
    assert_eq!(outcomes(&opened)[0], Outcome::Written);
    let elsewhere = repo.beside("elsewhere");
    std::fs::create_dir(&elsewhere).expect("creates");
    write_script(&elsewhere.join("hook"), "#!/bin/sh\n");
    std::fs::remove_file(&path).expect("removes");
    symlink(elsewhere.join("hook"), &path).expect("links");
    assert_eq!(outcomes(&opened)[0], Outcome::LineNeeded(Hook::PrePush.line()));
    std::fs::remove_dir_all(repo.top.join(".git/hooks")).expect("removes");
    symlink(&elsewhere, repo.top.join(".git/hooks")).expect("links");
    assert!(!state(&opened, Hook::PrePush).expect("reads").is_inside);
    assert!(!outcomes(&opened).contains(&Outcome::Written));
}

#[test]
fn linked_work_trees_share_the_hooks() {
    let repo = TestRepo::new();
    repo.commit_all();
    let linked = repo.beside("linked");
    let to = linked.display().to_string();
    repo.run(&["worktree", "add", "--quiet", &to]);
    let opened = open(&linked);
    assert_eq!(folder(&opened), repo.top.join(".git/hooks"));
    assert_eq!(outcomes(&opened), vec![Outcome::Written; 3]);
    assert!(is_push_guarded(&repo.open()));
}
