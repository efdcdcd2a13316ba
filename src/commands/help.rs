//! `git lake help`: what a command is for and which options it has.

use super::{Context, Error, Exit};

/// Explain a command, or list all of them
#[derive(clap::Args)]
pub struct Args {
    /// Command to explain
    command: Option<String>,
}

/// Runs `git lake help`, for the commands that `program` has.
///
/// # Errors
/// If there is no such command, or stdout is closed.
pub fn run(context: &Context, args: &Args, mut program: clap::Command) -> super::Result {
    let named = named(&mut program, args.command.as_deref())?;
    context.ui.bytes(named.render_long_help().to_string().as_bytes())?;
    Ok(Exit::Done)
}

/// Finds a command by its name, completed with what it has from the program; without a name, the
/// program.
///
/// # Errors
/// If there is no such command.
pub(super) fn named<'a>(
    program: &'a mut clap::Command,
    name: Option<&str>,
) -> Result<&'a mut clap::Command, Error> {
    program.build();
    let Some(name) = name else { return Ok(program) };
    program.find_subcommand_mut(name).ok_or_else(|| {
        Error::Usage(format!("`{name}` is no command; `git lake help` lists those that there are"))
    })
}
