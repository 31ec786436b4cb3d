//! `media-core tone`: the tones of a call's progress, and those of faxes and modems, as sound; and found in sound and in captures.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use dsp_core::tone::{COUNTRIES, Country, ProgressDetector, ProgressGenerator, ToneSignal};
use host_std::report::ToneRow;
use host_std::wav::{WavFrames, WavSink, WavSource};
use serde_json::json;

use super::captured::{self, CapturedArgs};
use super::signals::Stop;
use super::{Outcome, number_in, print};

/// Samples that are made or read in one go.
const PART: usize = 4_800;

/// Write a tone of a call's progress into a WAV file, or find those in sound and in captures
///
/// As the exchanges of a country send it, of 16 bits and one channel. CNG, CED and ANSam are those of faxes and modems
/// everywhere.
#[derive(ClapArgs)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct ToneArgs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    make: MakeArgs,
}

#[derive(Subcommand)]
enum Command {
    Detect(DetectArgs),
}

/// What tone, and how it is written.
#[derive(ClapArgs)]
struct MakeArgs {
    /// The country, by its ISO 3166 code: de, fr, gb, us and others
    #[arg(long, default_value = "us", value_parser = country, value_name = "CODE")]
    country: &'static Country,
    /// Length of the file, in s: 0.02 to 3600
    #[arg(long, default_value_t = 10.0, value_parser = |text: &str| number_in(text, 0.02, 3_600.0), value_name = "S")]
    seconds: f64,
    /// Rate of the file, in Hz: 4000 to 192000
    #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u32).range(4_000..=192_000), value_name = "HZ")]
    rate: u32,
    /// Level, in dBm0: -63 to 0
    #[arg(long, default_value_t = -10.0, value_parser = |text: &str| number_in(text, -63.0, 0.0), value_name = "DBM0")]
    level: f64,
    /// What it says: dial, busy, ringing, congestion, call-waiting, information (the call was not completed); cng (a fax
    /// calls), ced (a fax or modem answers) or ansam (a modem answers by V.8)
    #[arg(value_parser = signal, required = true)]
    tone: Option<ToneSignal>,
    /// The WAV file to write; one that is there is replaced
    #[arg(value_name = "OUT.wav", required = true)]
    output: Option<PathBuf>,
}

/// Find tones in a WAV file or in a capture
///
/// Those of a call's progress in one country, and those of faxes and modems, each with its start and its length; all channels
/// are mixed. In a capture in each stream that can be played, with times that count from its first packet of RTP. A tone that
/// lasts until the end has no length.
#[derive(ClapArgs)]
struct DetectArgs {
    /// The country, by its ISO 3166 code: de, fr, gb, us and others
    #[arg(long, default_value = "us", value_parser = country, value_name = "CODE")]
    country: &'static Country,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    captured: CapturedArgs,
    /// The WAV file, or the capture: pcap, pcapng or rtpdump, also packed by gzip
    #[arg(value_name = "IN.wav|CAPTURE")]
    input: PathBuf,
}

/// A country by its code.
///
/// # Errors
/// The error, with all codes.
pub(super) fn country(code: &str) -> Result<&'static Country, String> {
    Country::of(code).ok_or_else(|| {
        let codes: Vec<_> = COUNTRIES.iter().map(|country| country.code).collect();
        format!("the tones of {code:?} are not known; those of {} are", codes.join(", "))
    })
}

/// A tone by its name.
///
/// # Errors
/// The error, with all names.
pub(super) fn signal(name: &str) -> Result<ToneSignal, String> {
    let names = ToneSignal::ALL.map(ToneSignal::name);
    ToneSignal::of(name).ok_or_else(|| format!("there is no tone {name:?}; tones are {}", names.join(", ")))
}

pub(super) fn run(args: &ToneArgs) -> Outcome {
    match (&args.command, &args.make.tone, &args.make.output) {
        (Some(Command::Detect(args)), ..) => detect(args),
        (None, Some(signal), Some(output)) => make(&args.make, *signal, output),
        // The parser asks for them.
        _ => Err("neither a tone and a file, nor detect".into()),
    }
}

fn make(args: &MakeArgs, signal: ToneSignal, output: &Path) -> Outcome {
    let segments = signal.segments(args.country);
    let mut generator = ProgressGenerator::new(args.rate, (args.level * 100.0).round() as i16, segments)?;
    let mut left = (args.seconds * f64::from(args.rate)).round() as usize;
    let (mut sink, mut pcm, stop) = (WavSink::replace(output, args.rate, 1)?, vec![0; PART], Stop::listen());
    while left > 0 {
        stop.check()?;
        let part = &mut pcm[..left.min(PART)];
        generator.fill(part);
        sink.write(part)?;
        left -= part.len();
    }
    Ok(sink.finish()?)
}

fn detect(args: &DetectArgs) -> Outcome {
    if captured::is_capture(&args.input) {
        return captured::detect_tones(&args.input, &args.captured, args.country, args.json);
    }
    let rows = in_file(&args.input, args.country)?;
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&json!({ "tones": rows }))?));
    }
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    print(if lines.is_empty() { "No tones.\n" } else { &lines })
}

/// The tones in the sound of a file.
fn in_file(path: &Path, country: &'static Country) -> Result<Vec<ToneRow>, Box<dyn std::error::Error>> {
    let file = WavSource::open(path, 8_000)?;
    super::mind(path, file.remarks());
    // A rate that the detector has is heard as it is.
    let own = file.spec().sample_rate;
    let rate_hz = if own % 50 == 0 && (8_000..=48_000).contains(&own) { own } else { 8_000 };
    drop(file);
    let mut sound = WavFrames::open(path, rate_hz, 1)?;
    let mut detector = ProgressDetector::new(rate_hz, country)?;
    let (mut pcm, mut told, stop) = (vec![0; PART], Vec::new(), Stop::listen());
    loop {
        stop.check()?;
        let frames = sound.read(&mut pcm)?;
        if frames == 0 {
            return Ok(ToneRow::of(&told, 0.0));
        }
        detector.hear(&pcm[..frames], |tone| told.push(tone));
    }
}
