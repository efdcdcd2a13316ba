//! `git lake trust`: lets data go to a remote that the settings name.

use super::init::parse_url;
use super::{Context, Error, Exit};

/// Accept remotes, so that this clone uploads to them
///
/// The remotes that you name on a command line, and those that a clone had from its beginning, are
/// accepted already. One that appears in the settings later gets nothing until you say so.
#[derive(clap::Args)]
pub struct Args {
    /// Addresses of the remotes
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,
}

/// Runs `git lake trust`.
///
/// # Errors
/// If an argument is no address, or the record cannot be written.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let parse = |typed: &String| match typed.contains("://") {
        true => parse_url(typed, &context.folder),
        // A relative path would be accepted without a word, and a host is none.
        false => {
            Err(Error::Usage(format!("`{typed}` is no address: write the remote's whole URL")))
        }
    };
    let urls = args.urls.iter().map(parse).collect::<Result<Vec<_>, Error>>()?;
    let site = context.workspace()?;
    site.accepted()?.add(&urls)?;
    for url in &urls {
        context.ui.status(&format!("This clone uploads to `{url}` from now on."));
    }
    Ok(Exit::Done)
}
