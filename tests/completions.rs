//! What the Tab key adds to a line, in real shells.

use std::path::Path;

use crate::common::{Repo, TestEnv, not_tested};

/// Where packages have git's completion for bash.
const GIT_COMPLETION: [&str; 4] = [
    "/usr/share/bash-completion/completions/git",
    "/usr/share/git-core/contrib/completion/git-completion.bash",
    "/usr/share/git/completion/git-completion.bash",
    "/usr/local/share/bash-completion/completions/git",
];

/// Asks as the Tab key does, with the last word as far as it is typed.
const BASH: &str = r#"
    . "$COMPLETION_OF_GIT"
    . "$XDG_DATA_HOME/bash-completion/completions/git-lake"
    tab() {
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
        local spec=$(complete -p "$1")
        spec=${spec#*-F }
        COMPREPLY=()
        "${spec%% *}" "$1" "${@: -1}" "${@: -2:1}"
        echo "$*: ${COMPREPLY[*]}"
    }
    tab git-lake rem
    tab git-lake -q sta
    tab git-lake status --
    tab git-lake help unt
    tab git lake rem
    tab git -C . lake ls-files --a
    tab git lake du --by ""
    tab git lake filter-p
"#;

const COMPLETED_BY_BASH: &str = "\
git-lake rem: remote-add remote-remove remote-list remote-upload
git-lake -q sta: status
git-lake status --: --json --check --all --quiet --help
git-lake help unt: untrack
git lake rem: remote-add remote-remove remote-list remote-upload
git -C . lake ls-files --a: --all
git lake du --by : folder type remote
git lake filter-p: 
";

/// Types lines into a shell on a terminal of its own, with Tab at the end of each, and then ^T, which
/// writes down what the line has become.
const ZSH: &str = r#"
    zmodload zsh/zpty || exit 1
    zpty shell zsh -f -i
    zpty -w shell "
        fpath=($XDG_DATA_HOME/zsh/site-functions \$fpath)
        autoload -Uz compinit && compinit -u -D
        written() { print -r -- \$BUFFER >> $HOME/lines; BUFFER= }
        zle -N written; bindkey '^T' written; bindkey '^I' complete-word"
    for line in 'git-lake remote-li' 'git-lake status --ch' 'git lak' 'git lake remote-li' \
        'git -C / lake du --by fol' 'git lake help unt'; do
        zpty -w -n shell "$line"$'\t\x14'
    done
    zpty -w shell exit
    while zpty -r shell line; do :; done
"#;

const COMPLETED_BY_ZSH: &str = "\
git-lake remote-list 
git-lake status --check 
git lake 
git lake remote-list 
git -C / lake du --by folder 
git lake help untrack 
";

/// A folder in which data of the user's goes to `data`, in the home.
fn place(env: &TestEnv) -> Repo {
    env.at(".").with("XDG_DATA_HOME", env.path("home/data")).with("TERM", "xterm")
}

fn is_here(program: &str) -> bool {
    let is_here = ["/bin", "/usr/bin", "/usr/local/bin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).is_file());
    if !is_here {
        not_tested(program);
    }
    is_here
}

#[test]
fn bash_completes_both_spellings() {
    let found = GIT_COMPLETION.iter().find(|path| Path::new(path).is_file());
    let Some(script) = found.filter(|_| is_here("bash")) else {
        not_tested("git's completion for bash");
        return;
    };
    let env = TestEnv::new();
    let here = place(&env).with("COMPLETION_OF_GIT", script);
    let ran = here.git(["lake", "completions", "bash", "--install"]);
    let path = env.path("home/data/bash-completion/completions/git-lake");
    assert_eq!(ran.stderr, format!("Written to `{}`.\n", path.display()));
    let ran = here.run("bash", ["--norc", "-c", BASH]);
    assert_eq!(ran.stdout, COMPLETED_BY_BASH, "{}", ran.stderr);
}

#[test]
fn zsh_completes_both_spellings() {
    if !is_here("zsh") {
        return;
    }
    let env = TestEnv::new();
    let here = place(&env).with("SHELL", "/bin/zsh");
    let ran = here.git(["lake", "completions", "--install"]);
    let line = "`.zshrc` needs this line before `compinit`: fpath=('";
    drop(ran.says("/zsh/site-functions/_git-lake`.\n").says(line));
    let ran = here.run("zsh", ["-f", "-c", ZSH]);
    let lines = std::fs::read_to_string(env.path("home/lines")).unwrap_or_default();
    assert_eq!(lines, COMPLETED_BY_ZSH, "{ran:?}");
}

#[test]
fn fish_finds_the_script() {
    if !is_here("fish") {
        return;
    }
    let env = TestEnv::new();
    let here = place(&env);
    here.git(["lake", "completions", "fish", "--install"]);
    let ran = here.run("fish", ["-c", "complete -C 'git-lake unt'"]);
    assert!(ran.stdout.starts_with("untrack\t"), "{ran:?}");
}

#[test]
fn scripts_are_made_for_every_shell_without_what_is_for_git() {
    let env = TestEnv::new();
    let here = place(&env);
    here.git(["lake", "completions", "--dir", "all/of/them"]);
    let shells = [
        ("bash", "git-lake.bash"),
        ("zsh", "_git-lake"),
        ("fish", "git-lake.fish"),
        ("powershell", "_git-lake.ps1"),
        ("elvish", "git-lake.elv"),
    ];
    for (shell, file) in shells {
        let printed = here.git(["lake", "completions", shell]).stdout;
        assert!(printed.contains("untrack") && !printed.contains("filter-process"), "{shell}");
        here.below("all/of/them").has(file, printed);
    }
    let ran = here.git_fails(2, ["lake", "completions", "elvish", "--install"]);
    drop(ran.says("print it with `git lake completions elvish`"));
    drop(here.git_fails(2, ["lake", "completions"]).says("name one, such as `bash`"));
}
