//! `git lake remote-upload`: content goes to lakes, and nothing else changes.

use super::dataset::{self, InputArgs, LakeArgs, Request, Verb};
use super::selection::DatasetArgs;
use super::{Context, Error};
use crate::dataset::copy::Serialization;
use crate::digest::HashName;

/// Send the content of a dataset outside of git to lakes, and write nothing else
///
/// Items that are in other lakes only are sent from there. What a lake holds already is not sent again.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    lakes: LakeArgs,
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Create folders above the lake's own, too, or the bucket
    #[arg(long)]
    create: bool,
    /// Speak plain http with the servers of the URLs, as `?secure=false` in each would say
    #[arg(long)]
    insecure_http: bool,
    /// Hash that a new lake names its objects by [default: sha256]
    #[arg(long)]
    hash: Option<HashName>,
    /// Most transfers at once
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs `git lake remote-upload`.
///
/// # Errors
/// If there is no dataset, or a lake cannot be used.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let Some(input) = args.input.given() else {
        return Err(Error::Usage(
            "`git lake remote-upload` takes a dataset: `-i DIR -r URL`; in a repository, `git lake \
             push` uploads what is owed"
                .into(),
        ));
    };
    let lakes = args.lakes.naming(args.create, args.insecure_http, args.hash)?;
    let request = Request {
        input,
        output: None,
        serialization: Serialization::default(),
        selection: args.dataset.of_folder(),
        jobs: args.jobs,
        dry_run: args.dry_run,
    };
    dataset::run(context, &request, &Verb::Upload(lakes))
}
