//! A terminal without a person: types commands, shows them and what they print.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::commands::{Context, Error};
use crate::fs::{IoContext as _, Shared, write_atomic};
use crate::repo::Environment;
use crate::repo::process::{self, Git};
use crate::ui::escape::for_terminal;

/// All that a user of the demo has set, so that nothing of this machine's user counts.
const GIT_CONFIG: &str = "\
[user]
\tname = Demo
\temail = demo@example.org
[init]
\tdefaultBranch = main
[gc]
\tauto = 0
";

/// Runs commands below one folder, hermetically: own home, own identity, this very git-lake.
pub(super) struct Shell<'a> {
    context: &'a Context,
    root: PathBuf,
    here: PathBuf,
    variables: Vec<(&'static str, OsString)>,
}

impl<'a> Shell<'a> {
    /// Prepares a home in `root`, which must exist.
    pub(super) fn open(context: &'a Context, root: &Path) -> Result<Self, Error> {
        let home = root.join("home");
        std::fs::create_dir(&home).context(&home)?;
        write_atomic(&home.join(".gitconfig"), GIT_CONFIG.as_bytes(), Shared::Yes)?;
        let program = std::env::current_exe()?;
        let own = program.parent().map(Path::to_owned);
        let inherited = Environment::read().search_path.unwrap_or_default();
        let folders = own.into_iter().chain(std::env::split_paths(&inherited));
        let path = std::env::join_paths(folders).map_err(|error| {
            Error::Refused(format!("`{}` cannot stand in PATH: {error}", program.display()))
        })?;
        let variables = vec![
            ("PATH", path),
            ("XDG_CONFIG_HOME", home.join(".config").into()),
            ("XDG_DATA_HOME", home.join(".local/share").into()),
            ("HOME", home.into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ];
        Ok(Self { context, root: root.to_owned(), here: root.to_owned(), variables })
    }

    /// Goes to a folder, named from the demo's own.
    pub(super) fn enter(&mut self, folder: &str) -> Result<(), Error> {
        let back = if self.here == self.root { "" } else { "../" };
        self.here = self.root.join(folder);
        match folder {
            "" => self.show("cd .."),
            folder => self.show(&format!("cd {back}{folder}")),
        }
    }

    /// Renames a folder of the demo's own.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        self.show(&format!("mv {from} {to}"))?;
        let from = self.root.join(from);
        #[expect(clippy::disallowed_methods, reason = "a folder moves, nothing is published")]
        std::fs::rename(&from, self.root.join(to)).context(&from).map_err(Error::Path)
    }

    /// Runs a command that begins with `git`, shows it and its output, and returns its stdout.
    pub(super) fn git(&self, args: &[&str]) -> Result<String, Error> {
        let typed: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
        self.show(&format!("git {}", typed.join(" ")))?;
        let git = Git::find(&Environment::read(), &self.here)?.isolated(&self.variables);
        match git.run(args, b"") {
            Ok(output) => {
                let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
                self.indent(&stdout)?;
                self.indent(&output.stderr)?;
                Ok(stdout)
            }
            Err(process::Error::Failed { command, code, stderr }) => {
                self.indent(&stderr)?;
                let code = code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
                Err(Error::Refused(format!("`git {command}` ended with {code}")))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn show(&self, command: &str) -> Result<(), Error> {
        Ok(self.context.ui.data(&format!("$ {command}"))?)
    }

    fn indent(&self, output: &str) -> Result<(), Error> {
        for line in output.lines() {
            self.context.ui.data(for_terminal(&format!("    {line}")).trim_end())?;
        }
        Ok(())
    }
}

/// Quotes an argument for a shell, where it needs it.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_a_person_would_type_them() {
        for (argument, typed) in [
            ("add", "add"),
            ("HEAD:a/b.png", "HEAD:a/b.png"),
            ("*.png", "'*.png'"),
            ("two words", "'two words'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(argument), typed);
        }
    }
}
