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
