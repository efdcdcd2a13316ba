//! The `git-lake` program, which git calls for `git lake …` and as a filter.

use std::process::ExitCode;

fn main() -> ExitCode {
    git_lake::cli::run(std::env::args_os())
}
