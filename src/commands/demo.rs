//! demo
use super::{Context, Exit};
/// Try git-lake out in a temporary folder
#[derive(clap::Args)]
pub struct Args {}
/// Runs it.
///
/// # Errors
/// Never.
pub fn run(_: &Context, _: &Args) -> super::Result {
    Ok(Exit::Done)
}
