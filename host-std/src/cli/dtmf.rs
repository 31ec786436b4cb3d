//! `media-core dtmf`: digits in captures.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::Outcome;
use super::captured::{self, CapturedArgs};

/// Digits: find those in a capture
#[derive(ClapArgs)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Detect(DetectArgs),
}

/// Find the digits in a capture (pcap, pcapng or rtpdump)
///
/// Prints a line for each digit: when it began, counted from the first packet of RTP, how long it lasted, how loud it was and
/// what it was heard as. There may be none, which is no error.
#[derive(ClapArgs)]
struct DetectArgs {
    /// The capture: pcap, pcapng or rtpdump, also packed by gzip
    #[arg(value_name = "CAPTURE")]
    input: PathBuf,
    #[command(flatten)]
    captured: CapturedArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::Detect(args) => captured::detect(&args.input, &args.captured, args.json),
    }
}
