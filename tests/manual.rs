//! Manual pages: one for each command that the help lists, and where `git help` finds them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::common::{Repo, TestEnv, not_tested};

/// A home whose `bin` has the program, as `cargo install` and `pip install` leave it.
fn installed(env: &TestEnv) -> Repo {
    let bin = env.path("home/bin");
    fs::create_dir(&bin).unwrap();
    symlink(env!("CARGO_BIN_EXE_git-lake"), bin.join("git-lake")).unwrap();
    let search = std::env::var_os("PATH").unwrap();
    let search = std::iter::once(bin).chain(std::env::split_paths(&search));
    env.at(".").with("PATH", std::env::join_paths(search).unwrap()).with("MANPAGER", "cat")
}

#[test]
fn every_listed_command_has_a_page() {
    let env = TestEnv::new();
    let here = env.at(".");
    here.git(["lake", "man", "--dir", "pages"]);
    let listed = here.git(["lake", "-h"]).stdout;
    let listed = listed.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed.map_while(|line| line.split_whitespace().next());
    let mut expected: Vec<String> = names.map(|name| format!("git-lake-{name}.1")).collect();
    expected.push("git-lake.1".into());
    expected.sort();
    let mut found: Vec<String> = fs::read_dir(env.path("pages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, expected);
    here.below("pages").has("git-lake.1", here.git(["lake", "man"]).bytes);
    here.below("pages").has("git-lake-add.1", here.git(["lake", "man", "add"]).bytes);
    drop(here.git_fails(2, ["lake", "man", "ad"]).says("`ad` is no command"));
}

#[test]
fn a_page_reads_as_the_help_does() {
    let env = TestEnv::new();
    insta::assert_snapshot!("page_untrack", env.at(".").git(["lake", "man", "untrack"]).stdout);
}

#[test]
fn pages_go_beside_the_program_and_else_to_the_users_data() {
    let env = TestEnv::new();
    let here = installed(&env).with("XDG_DATA_HOME", env.path("data"));
    let told = here.git(["lake", "man", "--install"]).stderr;
    assert!(env.path("home/share/man/man1/git-lake-add.1").is_file(), "{told}");
    fs::remove_dir_all(env.path("home/share")).unwrap();
    let mode = |mode| fs::set_permissions(env.path("home"), Permissions::from_mode(mode)).unwrap();
    mode(0o500);
    // Nothing is forbidden to root.
    let is_forbidden = fs::create_dir(env.path("home/share")).is_err();
    let told = here.git(["lake", "man", "--install"]).stderr;
    let is_there = env.path("data/man/man1/git-lake-add.1").is_file();
    mode(0o700);
    assert_eq!(is_there, is_forbidden, "{told}");
}

#[test]
fn git_help_shows_the_page() {
    if !Path::new("/usr/bin/man").is_file() {
        not_tested("man");
        return;
    }
    let env = TestEnv::new();
    let here = installed(&env);
    here.git(["lake", "man", "--install"]);
    let title = "Keep large binary data next to git history";
    for args in [&["help", "lake"][..], &["lake", "--help"], &["help", "git-lake"]] {
        drop(here.git(args).prints(title).prints("git-lake-remote-add(1)"));
    }
    drop(here.git(["help", "git-lake-add"]).prints("git lake add [OPTIONS] [PATHSPEC]..."));
}
