//! `git lake clone`: a dataset in a folder, with its content.

use super::Context;
use super::dataset::{self, InputArgs, OutputArgs, Request, Verb};
use super::selection::DatasetArgs;

/// Copy a dataset outside of git, with the content that its `.remote` files name
///
/// The output appears whole or not at all; with the input as the output, it is changed in place. What is
/// brought back matches the digest in its name. An item that cannot be brought back stays a `.remote`
/// file, and is told.
#[derive(clap::Args)]
#[command(mut_arg("input", |input| input.required(true)), mut_arg("output", |output| output.required(true)))]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Most transfers at once
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Say what would be done, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Runs `git lake clone`.
///
/// # Errors
/// If there is no dataset, or the output cannot be written.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let request = Request {
        input: args.input.required()?,
        output: Some(args.output.required()?),
        serialization: args.output.serialization(),
        selection: args.dataset.of_folder(),
        jobs: args.jobs,
        dry_run: args.dry_run,
    };
    dataset::run(context, &request, &Verb::Clone)
}
