//! The commands that people type.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::common::{Repo, TestEnv, noise, tree};

const HOOKS: [&str; 3] = ["pre-push", "post-checkout", "post-merge"];

/// Everything that `init` may write.
fn written(repo: &Repo) -> Vec<(std::path::PathBuf, Vec<u8>, bool)> {
    let mut files = tree(&repo.path);
    for name in ["config", "hooks/pre-push", "hooks/post-merge", "lake/v1/accepted"] {
        let path = repo.git_dir().join(name);
        files.push((path.clone(), fs::read(path).unwrap_or_default(), false));
    }
    files
}

fn write_hook(repo: &Repo, name: &str, text: &str) {
    let path = repo.git_dir().join("hooks").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn init_sets_up_filter_hooks_settings_and_lake() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    let folder = env.path("lake");
    repo.git(["lake", "init", folder.to_str().unwrap()]).says_nothing().says("Content goes to");
    let config = |key: &str| repo.git(["config", "--local", key]).stdout.trim().to_owned();
    assert_eq!(config("filter.lake.process"), "exec git-lake filter-process");
    assert_eq!(config("filter.lake.clean"), "git-lake clean -- %f");
    assert_eq!(config("filter.lake.smudge"), "git-lake smudge -- %f");
    assert_eq!(config("filter.lake.required"), "true");
    assert_eq!(config("merge.lake.driver"), "git-lake merge-driver %O %A %B %P");
    let url = format!("file://{}", folder.display());
    let settings = format!("version = 1\n\n[[remote]]\nname = \"lake\"\nurl = \"{url}\"\n");
    assert_eq!(repo.text(".gitlake.toml"), settings);
    assert_eq!(repo.text(".gitattributes"), ".gitlake.toml merge=lake\n");
    assert!(fs::read_to_string(folder.join(".pl/tags.json")).unwrap().contains("sha256"));
    for hook in HOOKS {
        let mode = fs::metadata(repo.git_dir().join("hooks").join(hook)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o111, 0o111, "{hook}");
    }
}

#[test]
fn init_again_changes_nothing() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let before = (written(&repo), tree(&lake.path));
    repo.git(["lake", "init", &lake.url()]).says_nothing();
    assert!(before == (written(&repo), tree(&lake.path)));
    repo.git(["lake", "init"]).says_nothing();
    assert!(before == (written(&repo), tree(&lake.path)));
    repo.is_clean();
}

#[test]
fn init_keeps_the_comments_of_the_settings() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    let settings =
        repo.text(".gitlake.toml").replace("[[remote]]", "# ours since 2019\n[[remote]]");
    repo.write(".gitlake.toml", &settings);
    let second = env.lake("second");
    repo.git(["lake", "init", "--name", "backup", &second.url()]);
    let after = repo.text(".gitlake.toml");
    assert!(after.starts_with(&settings), "{after}");
    assert!(after.contains("name = \"backup\""), "{after}");
}

#[test]
fn init_leaves_hooks_of_the_user_alone_and_prints_the_line_to_add() {
    let env = TestEnv::new();
    let lake = env.lake("lake");
    let repo = env.repo("work");
    let own = "#!/bin/sh\necho mine\n";
    write_hook(&repo, "pre-push", own);
    let line = "git-lake hook pre-push \"$@\" || exit 1";
    repo.git(["lake", "init", &lake.url()]).says(line);
    let path = repo.git_dir().join("hooks/pre-push");
    assert_eq!(fs::read_to_string(&path).unwrap(), own);
    assert!(repo.git_dir().join("hooks/post-merge").exists());
    repo.git(["lake", "status"]).says("The pre-push hook is not active");
    // With the line, all is well.
    write_hook(&repo, "pre-push", &format!("#!/bin/sh\n{line}\necho mine\n"));
    repo.git(["lake", "status"]).says_nothing();
    repo.git(["lake", "init", &lake.url()]).says_nothing();
    // And the line works.
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", noise(1, 100));
    repo.commit("v1");
    env.bare("origin.git");
    repo.empty_receipts();
    repo.empty_store();
    lake.remove(noise(1, 100));
    fs::remove_file(repo.path.join("a.bin")).unwrap();
    repo.git_fails(1, ["push", "-q", "../origin.git", "main"]).says("a.bin");
}

#[test]
fn an_inactive_hook_is_told_by_every_add_that_leaves_something_owed() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    write_hook(&repo, "pre-push", "#!/bin/sh\n");
    lake.unmount();
    repo.write("a.bin", noise(1, 100));
    repo.git(["add", "."]).says("1 upload is owed").says("The pre-push hook is not active");
}

#[test]
fn hooks_elsewhere_are_never_written() {
    let env = TestEnv::new();
    let lake = env.lake("lake");
    let repo = env.repo("work");
    let shared = env.path("shared-hooks");
    fs::create_dir(&shared).unwrap();
    repo.git(["config", "core.hooksPath", shared.to_str().unwrap()]);
    repo.git(["lake", "init", &lake.url()]).says("git-lake hook pre-push");
    assert_eq!(fs::read_dir(&shared).unwrap().count(), 0);
    repo.git(["lake", "status"]).says("The pre-push hook is not active");
}

#[test]
fn a_hooks_folder_inside_the_git_folder_is_honoured() {
    let env = TestEnv::new();
    let lake = env.lake("lake");
    let repo = env.repo("work");
    let folder = repo.git_dir().join("our-hooks");
    repo.git(["config", "core.hooksPath", folder.to_str().unwrap()]);
    repo.git(["lake", "init", &lake.url()]).says_nothing();
    assert!(folder.join("pre-push").is_file());
    assert!(!repo.git_dir().join("hooks/pre-push").exists());
}

#[test]
fn init_without_an_address_makes_a_lake_of_this_machine() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    repo.git(["lake", "init"]).says_nothing().says("exists on this machine alone");
    let settings = repo.text(".gitlake.toml");
    assert!(settings.contains("local = true"), "{settings}");
    assert!(settings.contains(&format!("file://{}", env.path("home").display())), "{settings}");
    repo.git(["lake", "track", "*.bin"]);
    repo.write("a.bin", noise(1, 100));
    repo.commit("v1").says_nothing();
    repo.empty_store();
    fs::remove_file(repo.path.join("a.bin")).unwrap();
    repo.git(["checkout", "-q", "--", "a.bin"]);
    repo.has("a.bin", noise(1, 100));
}

#[test]
fn init_in_a_clone_takes_the_lakes_of_its_settings() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 100));
    repo.commit("v1");
    // Nobody ran `git lake install` here.
    env.at(".").git(["clone", "-q", "work", "clone"]);
    let clone = env.at("clone");
    assert!(clone.is_pointer("a.bin"));
    clone.git(["lake", "init"]).says_nothing().says("set up with the lakes of `.gitlake.toml`");
    clone.is_clean();
    clone.git(["lake", "pull"]);
    clone.has("a.bin", noise(1, 100));
    clone.is_clean_when_touched();
    clone.write("b.bin", noise(2, 100));
    clone.git(["add", "b.bin"]).says_nothing();
    lake.holds(noise(2, 100));
}

#[test]
fn init_refuses_what_makes_no_sense() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    repo.git_fails(2, ["lake", "init", "--name", "x"]).says("`--name` goes with one URL");
    repo.git_fails(2, ["lake", "init", "--name", "A B", "/x"]).says("is not a remote's name");
    repo.git_fails(2, ["lake", "init", "--hash", "crc32", "/x"]).says("crc32");
    repo.git_fails(1, ["lake", "init", "s3://u:secret@h/b"]).says_not("secret");
    repo.git_fails(1, ["lake", "init", "ftp://u:secret@h/b"]).says_not("secret");
    assert!(!repo.path.join(".gitlake.toml").exists());
}

#[test]
fn commands_outside_a_repository_say_so() {
    let env = TestEnv::new();
    for command in ["init", "status", "push", "pull", "track"] {
        env.at(".").git_fails(1, ["lake", command]).says("hint: make a repository with `git init`");
    }
    let bare = env.bare("bare.git");
    bare.git_fails(1, ["lake", "init"]).says("no work tree");
    bare.git_fails(1, ["lake", "pull"]).says("no work tree");
}

#[test]
fn what_is_no_command_is_a_usage_error() {
    let env = TestEnv::new();
    env.at(".").git_fails(2, ["lake", "statu"]).says("status");
    env.at(".").git_fails(2, ["lake"]);
    env.at(".").git_fails(2, ["lake", "push", "--nonsense"]);
    env.repo("work").git_fails(2, ["lake", "hook", "pre-bake"]).says("pre-bake");
}

#[test]
fn install_and_uninstall_touch_only_their_own_keys() {
    let env = TestEnv::new();
    let config = env.path("home/.gitconfig");
    let before = fs::read_to_string(&config).unwrap() + "# mine\n[alias]\n\tst = status\n";
    fs::write(&config, &before).unwrap();
    env.install();
    let installed = fs::read_to_string(&config).unwrap();
    assert!(installed.starts_with(&before), "{installed}");
    assert!(installed.contains("exec git-lake filter-process"), "{installed}");
    env.install();
    assert_eq!(fs::read_to_string(&config).unwrap(), installed);
    let here = env.at(".");
    here.git(["config", "--global", "filter.lake.clean", "my own"]);
    here.git(["config", "--global", "filter.other.clean", "cat"]);
    here.git(["lake", "uninstall"]).says("filter.lake.clean");
    let left = fs::read_to_string(&config).unwrap();
    assert!(left.starts_with(&before), "{left}");
    assert!(left.contains("my own") && left.contains("other"), "{left}");
    assert!(!left.contains("filter-process") && !left.contains("required"), "{left}");
    here.git(["lake", "uninstall"]);
    assert_eq!(fs::read_to_string(&config).unwrap(), left);
}

#[test]
fn a_fresh_clone_needs_no_other_step() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 100));
    repo.commit("v1");
    let clone = env.clone_of(&repo, "clone");
    clone.has("a.bin", noise(1, 100));
    let hook = |name: &str| clone.git_dir().join("hooks").join(name);
    assert!(!hook("pre-push").exists(), "never during a clone");
    clone.write("b.bin", noise(2, 100));
    clone.git(["add", "b.bin"]).says_nothing();
    for name in HOOKS {
        assert!(hook(name).is_file(), "{name}");
    }
    clone.git(["commit", "-q", "-m", "v2"]);
    clone.empty_store();
    clone.empty_receipts();
    lake.remove(noise(2, 100));
    fs::remove_file(clone.path.join("b.bin")).unwrap();
    clone.git_fails(1, ["push", "-q", "origin", "main:side"]).says("b.bin");
}

#[test]
fn the_filter_installs_no_hooks_where_that_is_not_wanted() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    let clone = env.clone_with(&repo, "clone", &["-c", "lake.installHooks=false"]);
    clone.write("b.bin", noise(2, 100));
    clone.git(["add", "b.bin"]);
    assert!(!clone.git_dir().join("hooks/pre-push").exists());
}

#[test]
fn the_filter_leaves_hooks_of_the_user_alone() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    let clone = env.clone_of(&repo, "clone");
    write_hook(&clone, "pre-push", "#!/bin/sh\nexit 0\n");
    clone.write("b.bin", noise(2, 100));
    clone.git(["add", "b.bin"]);
    let path = clone.git_dir().join("hooks/pre-push");
    assert_eq!(fs::read_to_string(path).unwrap(), "#!/bin/sh\nexit 0\n");
}

#[test]
fn track_adds_and_lists_patterns() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    repo.git(["lake", "track", "*.bin", "with blank/*.npy", "#x"]);
    let expected = "*.bin filter=lake merge=lake -text\n\
                    \"with blank/*.npy\" filter=lake merge=lake -text\n\
                    \"#x\" filter=lake merge=lake -text\n";
    assert_eq!(repo.text(".gitattributes"), expected);
    repo.git(["lake", "track", "*.bin"]);
    assert_eq!(repo.text(".gitattributes"), expected);
    assert_eq!(repo.git(["lake", "track"]).stdout, "*.bin\nwith blank/*.npy\n#x\n");
    let attributes = repo.git(["check-attr", "filter", "with blank/a.npy", "#x", "a.bin"]).stdout;
    assert_eq!(attributes.matches("filter: lake").count(), 3, "{attributes}");
}

#[test]
fn track_in_a_folder_writes_there() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    repo.write("sub/a.bin", "x");
    repo.below("sub").git(["lake", "track", "*.bin"]);
    assert!(repo.path.join("sub/.gitattributes").is_file());
    assert!(!repo.path.join(".gitattributes").exists());
}

#[test]
fn track_shows_what_it_would_do() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    let ran = repo.git(["lake", "track", "--dry-run", "*.bin"]);
    assert_eq!(ran.stdout, "*.bin filter=lake merge=lake -text\n");
    assert!(!repo.path.join(".gitattributes").exists());
}

#[test]
fn track_takes_names_literally() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    for name in ["a[1].png", "b*?.png", "c d\\.png"] {
        repo.git(["lake", "track", "--filename", name]);
    }
    let check = |name: &str| repo.git(["check-attr", "filter", "--", name]).stdout;
    for name in ["a[1].png", "b*?.png", "c d\\.png"] {
        assert!(check(name).ends_with(": lake\n"), "{name}: {}", repo.text(".gitattributes"));
    }
    for name in ["a1.png", "bxy.png", "c d.png"] {
        assert!(check(name).ends_with(": unspecified\n"), "{name}");
    }
}

#[test]
fn track_takes_every_file_above_a_size() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    repo.write("small.dat", noise(1, 1000));
    repo.write("big.dat", noise(2, 3000));
    repo.write("sub dir/big [1].dat", noise(3, 3000));
    repo.write(".gitignore", "*.log\n");
    repo.write("ignored.log", noise(4, 3000));
    repo.git(["lake", "track", "--above", "2k"]);
    let check = |name: &str| repo.git(["check-attr", "filter", "--", name]).stdout;
    for name in ["big.dat", "sub dir/big [1].dat"] {
        assert!(check(name).ends_with(": lake\n"), "{name}: {}", repo.text(".gitattributes"));
    }
    for name in ["small.dat", "ignored.log", "other/big.dat"] {
        assert!(check(name).ends_with(": unspecified\n"), "{name}");
    }
}

#[test]
fn track_refuses_what_git_itself_has_to_read() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    for name in [".gitattributes", ".gitignore", ".gitmodules", ".gitlake.toml"] {
        let ran = repo.git_fails(2, ["lake", "track", "*.bin", name]);
        drop(ran.says(&format!("`{name}` is never tracked")));
    }
    assert!(!repo.path.join(".gitattributes").exists());
}

#[test]
fn a_pattern_for_everything_leaves_what_git_has_to_read() {
    let env = TestEnv::new();
    let lake = env.lake("lake");
    let repo = env.repo("work");
    repo.git(["lake", "init", &lake.url()]);
    repo.git(["lake", "track", "*"]);
    repo.write("a.txt", "content\n");
    repo.write(".gitignore", "*.log\n");
    repo.commit("v1").says_nothing();
    assert!(repo.blob("HEAD:a.txt").starts_with("git-lake pointer"));
    for name in [".gitattributes", ".gitignore", ".gitlake.toml"] {
        assert_eq!(repo.blob(&format!("HEAD:{name}")), repo.text(name), "{name}");
    }
    let clone = env.clone_of(&repo, "clone");
    clone.has("a.txt", "content\n");
    clone.is_clean_when_touched();
}

#[test]
fn track_tells_how_to_convert_what_git_has_already() {
    let env = TestEnv::new();
    let lake = env.lake("lake");
    let repo = env.repo("work");
    repo.write("a.bin", noise(1, 100));
    repo.commit("raw");
    repo.git(["lake", "init", &lake.url()]);
    repo.git(["lake", "track", "*.bin"]).says("1 file is already in git as content");
    repo.git(["add", "--renormalize", "."]);
    repo.commit("converted");
    assert!(repo.blob("HEAD:a.bin").starts_with("git-lake pointer"));
    lake.holds(noise(1, 100));
    repo.is_clean_when_touched();
}

#[test]
fn untrack_takes_lines_away() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.git(["lake", "track", "*.npy"]);
    repo.write("a.bin", noise(1, 100));
    repo.commit("v1");
    repo.git_fails(1, ["lake", "untrack", "*.zip"]).says("`*.zip` is not tracked");
    repo.git(["lake", "untrack", "*.bin"]);
    assert_eq!(repo.git(["lake", "track"]).stdout, "*.npy\n");
    repo.git(["add", "--renormalize", "."]);
    repo.git(["commit", "-q", "-a", "-m", "back in git"]);
    assert_eq!(repo.git(["cat-file", "blob", "HEAD:a.bin"]).bytes, noise(1, 100));
    repo.is_clean_when_touched();
}

#[test]
fn env_shows_what_is_in_force() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let ran = repo.git(["lake", "env"]).says_nothing();
    let version = format!("git-lake={}", env!("CARGO_PKG_VERSION"));
    let remote = format!("remote.work-lake={} (sha256)", lake.url());
    for line in [&*version, "git=git version", "upload=add", &remote, "hook.pre-push=active"] {
        assert!(ran.stdout.contains(line), "{line}: {ran:?}");
    }
}

#[test]
fn version_is_that_of_the_program() {
    let env = TestEnv::new();
    let expected = format!("git-lake {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(env.at(".").git(["lake", "version"]).stdout, expected);
    assert_eq!(env.at(".").run("git-lake", ["--version"]).code, Some(0));
}

#[test]
fn status_is_for_people_and_for_machines() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    let ran = repo.git(["lake", "status"]).says_nothing();
    assert_eq!(ran.stdout, "1 file tracked, 2.9 KiB.\nNothing is owed.\n");
    let json = repo.git(["lake", "status", "--json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        document,
        serde_json::json!({
            "version": 2, "items": 1, "bytes": 3000, "staged": [], "modified": [], "deleted": [],
            "unmerged": [], "pointers_only": [], "owed": [], "unnamed": [], "unheld": null,
            "unasked": null, "pre_push_hook": true,
        })
    );
    repo.git(["lake", "status", "--check"]);
    fs::remove_file(repo.path.join("a.bin")).unwrap();
    repo.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["checkout", "-q", "--", "a.bin"]);
    repo.git_fails(1, ["lake", "status", "--check"]).prints("a.bin");
}

#[test]
fn quiet_commands_say_nothing_but_warnings() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    for args in [&["lake", "-q", "init"][..], &["lake", "push", "-q"], &["lake", "-q", "pull"]] {
        let ran = repo.git(args);
        assert_eq!((&*ran.stdout, &*ran.stderr), ("", ""), "{args:?}");
    }
    lake.unmount();
    repo.write("a.bin", noise(1, 100));
    repo.git(["add", "."]);
    let ran = repo.run("git", ["lake", "-q", "push"]);
    assert_eq!(ran.code, Some(1));
    drop(ran.says("1 upload is owed"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let env = TestEnv::new();
    let ran = env.at(".").run("sh", ["-c", "{ git-lake completions bash; echo $? >&2; } | true"]);
    assert_eq!(ran.stderr, "0\n");
}
