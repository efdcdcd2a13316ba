//! The text of all help, as a person sees it.

use crate::common::TestEnv;

#[test]
fn help_of_the_program() {
    let env = TestEnv::new();
    insta::assert_snapshot!("help", env.at(".").git(["lake", "-h"]).stdout);
}

#[test]
fn help_of_every_command() {
    let env = TestEnv::new();
    let visible = [
        "init",
        "install",
        "uninstall",
        "track",
        "untrack",
        "add",
        "status",
        "ls-files",
        "cat",
        "du",
        "diff",
        "push",
        "fetch",
        "pull",
        "drop",
        "prune",
        "remote-add",
        "remote-remove",
        "remote-list",
        "remote-upload",
        "clone",
        "where",
        "fsck",
        "orphans",
        "doctor",
        "import",
        "trust",
        "env",
        "demo",
        "help",
        "man",
        "completions",
        "version",
    ];
    let plumbing = ["filter-process", "clean", "smudge", "merge-driver", "hook"];
    let listed = env.at(".").git(["lake", "-h"]).stdout;
    for command in visible {
        let line = format!("\n  {command} ");
        assert!(listed.contains(&line), "`{command}` is not listed");
    }
    let count = listed.lines().skip_while(|line| *line != "Commands:").skip(1);
    assert_eq!(count.take_while(|line| !line.is_empty()).count(), visible.len(), "{listed}");
    for command in visible.into_iter().chain(plumbing) {
        let help = env.at(".").git(["lake", command, "-h"]).stdout;
        insta::assert_snapshot!(format!("help_{command}"), help);
    }
}

#[test]
fn help_is_a_command_too() {
    let env = TestEnv::new();
    let here = env.at(".");
    assert_eq!(here.git(["lake", "help"]).stdout, here.run("git-lake", ["--help"]).stdout);
    let of_add = here.git(["lake", "help", "add"]).stdout;
    assert_eq!(of_add, here.git(["lake", "add", "--help"]).stdout);
    let ran = here.git_fails(2, ["lake", "help", "ad"]);
    assert_eq!(
        ran.stderr,
        "git-lake: `ad` is no command; `git lake help` lists those that there are\n"
    );
}
