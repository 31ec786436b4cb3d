//! The command line `media-core`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
