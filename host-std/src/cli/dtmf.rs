//! `media-core dtmf`: digits in recordings and captures.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use host_std::replay::{PayloadMap, StreamDigits, digits, read_keys};
use host_std::report::DigitRow;
use serde::Serialize;

use super::{Outcome, chain, print};

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
    /// What payload types are, as 101=telephone-event/8000; several with commas, or given several times
    #[arg(long, value_name = "MAP")]
    payload_map: Vec<String>,
    /// SRTP keys: a line "suite from to key" for each direction, as `demo` writes them
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Digits<'a> {
    digits: Vec<&'a DigitRow>,
}

pub(super) fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::Detect(args) => detect(args),
    }
}

fn detect(args: &DetectArgs) -> Outcome {
    let streams = of_capture(args, &args.input)?;
    if args.json {
        let digits = streams.iter().flat_map(|stream| &stream.digits).collect();
        return print(&format!("{}\n", serde_json::to_string_pretty(&Digits { digits })?));
    }
    let mut text = String::new();
    for StreamDigits { stream, digits } in &streams {
        text += &format!("{stream}\n");
        for digit in digits {
            text += &format!("  {digit}\n");
        }
    }
    print(if text.is_empty() { "no digits\n" } else { &text })
}

/// The digits of a capture.
fn of_capture(args: &DetectArgs, path: &Path) -> Result<Vec<StreamDigits>, Box<dyn std::error::Error>> {
    let mut payloads = PayloadMap::default();
    for map in &args.payload_map {
        payloads.add(map).map_err(|error| format!("--payload-map: {error}"))?;
    }
    let keys = args.keys.as_deref().map(read_keys).transpose()?.unwrap_or_default();
    Ok(digits(path, &keys, &payloads).map_err(|error| format!("{}: {}", path.display(), chain(&error)))?)
}
