//! The command line: what was typed, and how it ends.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{CommandFactory as _, Parser, Subcommand};

mod error;

use crate::commands::{self, Context};
use crate::config::env;
use crate::transfer::Cancel;
use crate::ui::{Ui, Verbosity};

/// Keep large binary data next to git history, in data lakes: shared folders and buckets
///
/// Content that `git add` takes in goes to the lakes, git keeps small pointers, and a checkout brings
/// the content back. Set a repository up with `git lake init`, choose files with `git lake track`, and
/// use git as ever.
#[derive(Parser)]
#[command(name = "git-lake", bin_name = "git lake", version, max_term_width = 100)]
#[command(disable_help_subcommand = true, subcommand_help_heading = "Commands")]
struct Cli {
    /// Say nothing but warnings and errors
    #[arg(short, long, global = true, display_order = LAST)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Init(commands::init::Args),
    Install(commands::install::InstallArgs),
    Uninstall(commands::install::UninstallArgs),
    Track(commands::track::TrackArgs),
    Untrack(commands::track::UntrackArgs),
    Add(commands::add::Args),
    Status(commands::status::Args),
    LsFiles(commands::ls_files::Args),
    Cat(commands::cat::Args),
    Du(commands::du::Args),
    Diff(commands::diff::Args),
    Push(commands::push::Args),
    Fetch(commands::fetch::Args),
    Pull(commands::pull::Args),
    Drop(commands::drop::Args),
    Prune(commands::prune::Args),
    RemoteAdd(commands::remote_add::Args),
    RemoteRemove(commands::remote_remove::Args),
    RemoteList(commands::remote_list::Args),
    RemoteUpload(commands::remote_upload::Args),
    Clone(commands::clone::Args),
    Where(commands::r#where::Args),
    Fsck(commands::fsck::Args),
    Orphans(commands::orphans::Args),
    Doctor(commands::doctor::Args),
    Import(commands::import::Args),
    Trust(commands::trust::Args),
    Env(commands::env::Args),
    Demo(commands::demo::Args),
    Help(commands::help::Args),
    Man(commands::man::Args),
    Completions(commands::completions::Args),
    Version(VersionArgs),
    #[command(hide = true)]
    FilterProcess(commands::filter::ProcessArgs),
    #[command(hide = true)]
    Clean(commands::filter::CleanArgs),
    #[command(hide = true)]
    Smudge(commands::filter::SmudgeArgs),
    #[command(hide = true)]
    MergeDriver(commands::merge_driver::Args),
    #[command(hide = true)]
    Hook(commands::hook::Args),
}

/// Place of an option that every command has among its own.
const LAST: usize = 900;

/// Print the version
#[derive(clap::Args)]
struct VersionArgs {}

/// Runs what was typed and returns how it ended: 0 done, 1 something could not be done, 2 usage,
/// 3 data found damaged or lost, 130 interrupted.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Broken pipes are the reader's choice.
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { error::USAGE } else { error::DONE });
        }
    };
    let verbosity = if cli.quiet { Verbosity::Quiet } else { Verbosity::Normal };
    let ui = Arc::new(Ui::new(verbosity, env::path("GIT_LAKE_PROGRESS")));
    let context = match std::env::current_dir() {
        Ok(folder) => Context { ui: Arc::clone(&ui), cancel: catch_signals(), folder },
        Err(error) => {
            ui.warning(&format!("Could not find the current folder: {error}"));
            return ExitCode::from(error::INCOMPLETE);
        }
    };
    let result = dispatch(cli.command, &context);
    ui.close();
    error::report(&ui, &context.cancel, result)
}

fn dispatch(command: Command, context: &Context) -> commands::Result {
    match command {
        Command::Init(args) => commands::init::run(context, args),
        Command::Install(args) => commands::install::install(context, &args),
        Command::Uninstall(args) => commands::install::uninstall(context, &args),
        Command::Track(args) => commands::track::track(context, &args),
        Command::Untrack(args) => commands::track::untrack(context, &args),
        Command::Add(args) => commands::add::run(context, &args),
        Command::Status(args) => commands::status::run(context, &args),
        Command::LsFiles(args) => commands::ls_files::run(context, &args),
        Command::Du(args) => commands::du::run(context, &args),
        Command::Cat(args) => commands::cat::run(context, &args),
        Command::Diff(args) => commands::diff::run(context, &args),
        Command::Push(args) => commands::push::run(context, &args),
        Command::Fetch(args) => commands::fetch::run(context, &args),
        Command::Pull(args) => commands::pull::run(context, &args),
        Command::Drop(args) => commands::drop::run(context, &args),
        Command::Prune(args) => commands::prune::run(context, &args),
        Command::RemoteAdd(args) => commands::remote_add::run(context, &args),
        Command::RemoteRemove(args) => commands::remote_remove::run(context, &args),
        Command::RemoteList(args) => commands::remote_list::run(context, &args),
        Command::RemoteUpload(args) => commands::remote_upload::run(context, &args),
        Command::Clone(args) => commands::clone::run(context, &args),
        Command::Where(args) => commands::r#where::run(context, &args),
        Command::Fsck(args) => commands::fsck::run(context, &args),
        Command::Orphans(args) => commands::orphans::run(context, &args),
        Command::Doctor(args) => commands::doctor::run(context, &args),
        Command::Import(args) => commands::import::run(context, &args),
        Command::Trust(args) => commands::trust::run(context, &args),
        Command::Env(args) => commands::env::run(context, &args),
        Command::Demo(args) => commands::demo::run(context, &args),
        Command::FilterProcess(args) => commands::filter::process(context, &args),
        Command::Clean(args) => commands::filter::clean(context, &args),
        Command::Smudge(args) => commands::filter::smudge(context, &args),
        Command::MergeDriver(args) => commands::merge_driver::run(context, &args),
        Command::Hook(args) => commands::hook::run(context, &args),
        Command::Help(args) => commands::help::run(context, &args, Cli::command()),
        Command::Man(args) => commands::man::run(context, &args, Cli::command()),
        Command::Completions(args) => commands::completions::run(context, &args, Cli::command()),
        Command::Version(VersionArgs {}) => {
            context.ui.data(&format!("git-lake {}", env!("CARGO_PKG_VERSION")))?;
            Ok(commands::Exit::Done)
        }
    }
}

/// Turns Ctrl-C and its kin into a request to stop, so that what is under way is left in order.
fn catch_signals() -> Cancel {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // Without it the process dies at once, which loses time but no data.
        drop(signal_hook::flag::register(signal, Arc::clone(&flag)));
    }
    Cancel::from_flag(flag)
}
