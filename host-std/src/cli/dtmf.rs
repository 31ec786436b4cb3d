//! `media-core dtmf`: digits as sound, made and detected; and those in a capture.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use dsp_core::tone::{Digit, DtmfConfig, DtmfDetector, DtmfGenerator, DtmfTone, HeardDigit};
use host_std::wav::{WavFrames, WavSink, WavSource};
use serde_json::json;

use super::captured::{self, CapturedArgs};
use super::signals::Stop;
use super::{Outcome, number_in, print};

/// A sine of full scale.
const HIGHEST_DBM0: f64 = 314.0 / 100.0;
/// Samples that are read or made in one go.
const PART: usize = 4_800;

/// Make digits as sound (DTMF), or find them in sound and in captures
#[derive(ClapArgs)]
pub(super) struct DtmfArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Generate(GenerateArgs),
    Detect(DetectArgs),
}

/// Write digits into a WAV file
///
/// One after the other, each with its pause, of 16 bits and one channel.
#[derive(ClapArgs)]
struct GenerateArgs {
    /// Rate of the file, in Hz: 4000 to 192000
    #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u32).range(4_000..=192_000), value_name = "HZ")]
    rate: u32,
    /// How long a digit is, in ms: 4 to 60000
    #[arg(long, default_value_t = 70, value_parser = clap::value_parser!(u16).range(4..=60_000), value_name = "MS")]
    on: u16,
    /// How long the pause behind it is, in ms: 0 to 60000
    #[arg(long, default_value_t = 70, value_parser = clap::value_parser!(u16).range(0..=60_000), value_name = "MS")]
    off: u16,
    /// The column's level over the row's, in dB: -20 to 20
    #[arg(long, default_value_t = 2.0, value_parser = |text: &str| number_in(text, -20.0, 20.0), value_name = "DB")]
    twist: f64,
    /// Level of both sines together, in dBm0: -63 to 3.14; two sines overload from 0 on
    #[arg(long, default_value_t = -7.0, value_parser = |text: &str| number_in(text, -63.0, HIGHEST_DBM0), value_name = "DBM0")]
    level: f64,
    /// The digits: 0 to 9, *, #, A to D
    digits: String,
    /// The WAV file to write; one that is there is replaced
    #[arg(value_name = "OUT.wav")]
    output: PathBuf,
}

/// Find the digits in a WAV file or in a capture
///
/// In sound by the limits of ITU-T Q.24; all channels are mixed. In a capture also those that were sent as telephone events,
/// with times that count from its first packet of RTP. Each is told with its start, its length, its level and what it was.
#[derive(ClapArgs)]
struct DetectArgs {
    /// Print them as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    captured: CapturedArgs,
    /// The WAV file, or the capture: pcap, pcapng or rtpdump, also packed by gzip
    #[arg(value_name = "IN.wav|CAPTURE")]
    input: PathBuf,
}

pub(super) fn run(args: &DtmfArgs) -> Outcome {
    match &args.command {
        Command::Generate(args) => generate(args),
        Command::Detect(args) if captured::is_capture(&args.input) => {
            captured::detect(&args.input, &args.captured, args.json)
        }
        Command::Detect(args) => {
            let found = in_band(&args.input)?;
            print(&if args.json { to_json(&found)? } else { to_text(&found) })
        }
    }
}

fn generate(args: &GenerateArgs) -> Outcome {
    let digit =
        |sign| Digit::from_char(sign).ok_or_else(|| format!("there is no digit {sign:?}; digits are 0-9, *, #, A-D"));
    let digits = args.digits.chars().map(digit).collect::<Result<Vec<_>, _>>()?;
    if digits.is_empty() {
        return Err("there are no digits to be made".into());
    }
    let config = DtmfTone {
        sample_rate_hz: args.rate,
        level_hundredths_dbm0: hundredths(args.level),
        twist_hundredths_db: hundredths(args.twist),
        on_ms: args.on,
        off_ms: args.off,
    };
    let mut generator = DtmfGenerator::new(config)?;
    let (mut sink, mut pcm) = (WavSink::replace(&args.output, args.rate, 1)?, vec![0; PART]);
    let stop = Stop::listen();
    for digit in digits {
        generator.press(digit);
        while generator.is_sounding() {
            stop.check()?;
            let made = generator.fill(&mut pcm);
            sink.write(&pcm[..made])?;
        }
    }
    Ok(sink.finish()?)
}

fn hundredths(number: f64) -> i16 {
    (number * 100.0).round() as i16
}

/// A digit that was found, and where.
struct Found {
    heard: HeardDigit,
    /// `in-band`: in the sound.
    source: &'static str,
}

/// The digits in the sound of a file.
fn in_band(path: &Path) -> Result<Vec<Found>, Box<dyn std::error::Error>> {
    let file = WavSource::open(path, 8_000)?;
    super::mind(path, file.remarks());
    // A rate that the detector has is heard as it is.
    let own = file.spec().sample_rate;
    let rate_hz = if own % 8_000 == 0 && (8_000..=48_000).contains(&own) { own } else { 8_000 };
    drop(file);
    let mut sound = WavFrames::open(path, rate_hz, 1)?;
    let mut detector = DtmfDetector::new(DtmfConfig { sample_rate_hz: rate_hz, ..DtmfConfig::default() })?;
    let (mut pcm, mut found, stop) = (vec![0; PART], Vec::new(), Stop::listen());
    let keep = |heard: HeardDigit| heard.ended.then_some(Found { heard, source: "in-band" });
    loop {
        stop.check()?;
        let frames = sound.read(&mut pcm)?;
        if frames == 0 {
            break;
        }
        detector.hear(&pcm[..frames], |heard| found.extend(keep(heard)));
    }
    found.extend(detector.finish().and_then(keep));
    Ok(found)
}

fn to_json(found: &[Found]) -> Result<String, serde_json::Error> {
    let digit = |found: &Found| {
        json!({
            "digit": found.heard.digit.as_char(),
            "start_ms": millis(found.heard.start),
            "duration_ms": millis(found.heard.duration),
            "level_dbm0": f64::from(found.heard.level_hundredths_dbm0) / 100.0,
            "source": found.source,
        })
    };
    let digits: Vec<_> = found.iter().map(digit).collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&json!({ "digits": digits }))?))
}

fn to_text(found: &[Found]) -> String {
    if found.is_empty() {
        return "No digits.\n".into();
    }
    let digits: String = found.iter().map(|found| found.heard.digit.as_char()).collect();
    let mut text = format!("{digits}\n\ndigit  start, s  length, ms  level, dBm0  source\n");
    for Found { heard, source } in found {
        let (start, length) = (millis(heard.start) / 1_000.0, millis(heard.duration));
        let level = f64::from(heard.level_hundredths_dbm0) / 100.0;
        text += &format!("{:<5} {start:>9.3} {length:>11.1} {level:>12.1}  {source}\n", heard.digit.as_char());
    }
    text
}

/// Milliseconds, with tenths.
fn millis(duration: dsp_core::time::Duration) -> f64 {
    ((duration.as_micros() + 50) / 100) as f64 / 10.0
}
