//! `git lake completions`: scripts that complete `git lake` and `git-lake`, from the same definitions as
//! the help.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap_complete::{Generator as _, Shell};

use super::{Context, Error, Exit};
use crate::config::env;
use crate::fs::{self, PathError, Shared};

const PROGRAM: &str = "git-lake";

/// Print a script that completes commands in a shell, or install it
///
/// In bash and zsh it completes `git lake` as well as `git-lake`; in bash the former is up to git's own
/// completion, which git's packages bring.
#[derive(clap::Args)]
pub struct Args {
    /// Shell to complete for; default: that of `$SHELL`
    #[arg(conflicts_with = "dir")]
    shell: Option<Shell>,
    /// Write the script to where the shell looks for it
    ///
    /// Known for bash, fish and zsh: a folder in the one for your data (`~/.local/share`). bash reads it
    /// if the package bash-completion is there, and zsh once it is in `fpath`.
    #[arg(long, conflicts_with = "dir")]
    install: bool,
    /// Write the scripts for all shells to this folder, for packages
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Runs `git lake completions`, for the commands that `program` has.
///
/// # Errors
/// If the shell is not known, or a script cannot be written.
pub fn run(context: &Context, args: &Args, program: clap::Command) -> super::Result {
    let program = completed(&program);
    if let Some(folder) = &args.dir {
        for shell in <Shell as clap::ValueEnum>::value_variants() {
            let path = context.folder.join(folder).join(shell.file_name(PROGRAM));
            write(&path, &script(*shell, program.clone()))?;
        }
        return Ok(Exit::Done);
    }
    let shell = args.shell.or_else(|| Shell::from_shell_path(env::path("SHELL")?));
    let shell = shell.ok_or_else(|| {
        Error::Usage("`SHELL` names no shell that is known; name one, such as `bash`".into())
    })?;
    let script = script(shell, program);
    if !args.install {
        context.ui.bytes(&script)?;
        return Ok(Exit::Done);
    }
    let path = place(shell)?;
    write(&path, &script)?;
    context.ui.status(&format!("Written to `{}`.", path.display()));
    if let (Shell::Zsh, Some(folder)) = (shell, path.parent()) {
        let line = format!("fpath=('{}' $fpath)", folder.display());
        context.ui.status(&format!("`.zshrc` needs this line before `compinit`: {line}"));
    }
    Ok(Exit::Done)
}

/// Returns the program as it is completed: without the commands that are for git, and with names of
/// commands where one is asked for.
fn completed(program: &clap::Command) -> clap::Command {
    let listed: Vec<_> =
        program.get_subcommands().filter(|it| !it.is_hide_set()).cloned().collect();
    let names: Vec<String> = listed.iter().map(|command| command.get_name().to_owned()).collect();
    let listed = listed.into_iter().map(|command| match command.get_name() {
        "help" | "man" => command.mut_arg("command", |argument| {
            argument.value_parser(PossibleValuesParser::new(names.clone()))
        }),
        _ => command,
    });
    clap::Command::new(PROGRAM)
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .args(program.get_arguments().cloned())
        .subcommands(listed)
}

/// Returns the script for a shell, which also completes `git lake` where git's own completion asks.
fn script(shell: Shell, mut program: clap::Command) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, PROGRAM, &mut script);
    let script = String::from_utf8(script).expect("made of names and texts");
    let script = match shell {
        // clap_complete 4.6.11 sets `git__lake` and compares with `git__subcmd__lake`: a hyphen in the
        // name of a program is spelled in two ways.
        Shell::Bash => {
            script.replace("git__subcmd__lake__subcmd__", "git__lake__subcmd__") + BASH_OF_GIT
        }
        Shell::Zsh => script.replacen("#compdef git-lake\n", ZSH_OF_GIT, 1),
        _ => script,
    };
    script.into_bytes()
}

/// git's completion calls this function with the line in variables of its own, where `__git_cmd_idx` (1
/// before git 2.31) is the place of `lake`; it forbids a blank after what is completed.
const BASH_OF_GIT: &str = r#"
_git_lake() {
    local at="${__git_cmd_idx:-1}"
    local COMP_WORDS=(git-lake "${words[@]:at+1}") COMP_CWORD=$((cword - at))
    compopt +o nospace 2>/dev/null
    _git__lake git-lake "$cur" "$prev"
}
"#;

/// zsh calls `_git-lake` for `git lake`, too, and lists the command with this description.
const ZSH_OF_GIT: &str = "#compdef git-lake\n#description keep large binary data in data lakes\n";

/// Returns where a shell looks for the script by itself, or in the case of zsh could.
fn place(shell: Shell) -> Result<PathBuf, Error> {
    let data = || {
        let refused = || Error::Refused("There is no home folder to write the script to".into());
        env::data_folder().ok_or_else(refused)
    };
    match shell {
        Shell::Bash => {
            let folder = match env::path("BASH_COMPLETION_USER_DIR") {
                Some(folder) => folder,
                None => data()?.join("bash-completion"),
            };
            Ok(folder.join("completions").join(PROGRAM))
        }
        Shell::Fish => Ok(data()?.join("fish/vendor_completions.d/git-lake.fish")),
        Shell::Zsh => Ok(data()?.join("zsh/site-functions/_git-lake")),
        other => Err(Error::Usage(format!(
            "There is no usual place for scripts of {other}; print it with `git lake completions {other}`"
        ))),
    }
}

fn write(path: &Path, script: &[u8]) -> Result<(), PathError> {
    if let Some(folder) = path.parent() {
        fs::create_folders(folder)?;
    }
    fs::write_atomic(path, script, Shared::Yes)
}
