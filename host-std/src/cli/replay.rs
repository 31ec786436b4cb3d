//! `media-core replay`: recorded packets through the real receiver, as fast as the machine can.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use dsp_core::receive::DelayConfig;
use dsp_core::time::Duration;
use dsp_core::tone::Country;
use host_std::opus::OpusEncoderConfig;
use host_std::output;
use host_std::registry::{Opus, Registry};
use host_std::replay::trace::{self, LONGEST, Trace, TraceConfig};
use host_std::replay::{Loss, PayloadFormat, PayloadMap, ReplayConfig, ReplayReport, read_keys, replay};
use host_std::wav::{WavSink, WavSource};

use super::codecs::CodecName;
use super::settings::{Jitter, for_opus};
use super::signals::Stop;
use super::{Outcome, chain, make_folder, mind, number_in, print};

/// Hear what the listener of a captured call heard, and see why
///
/// Finds the RTP streams of a capture (pcap, pcapng or rtpdump), plays each through the real receiver in virtual time, and
/// says in plain words how it was, with the worst moments by the clock of the capture. Into the folder of --out go the
/// sound of each stream (stream-1.wav ...), every number, packet and delay (report.json), and a page that shows and plays
/// them (report.html). The same capture gives the same bits, always.
///
/// With --trace instead of a capture: lays an arrival trace (CSV: arrival_ms,seq,rtp_ts, a line a packet) under speech.
/// Every packet carries one frame of 20 ms, and arrives as late as the trace says.
#[derive(ClapArgs)]
#[command(after_help = "Then open report.html in a browser. docs/replay.md lists the fields of report.json.")]
pub(super) struct ReplayArgs {
    /// The capture: pcap, pcapng or rtpdump, also packed by gzip
    #[arg(value_name = "CAPTURE", required_unless_present = "trace", conflicts_with = "trace")]
    capture: Option<PathBuf>,
    /// What payload types are, as 96=opus/48000/2, 98=CN/16000, 101=telephone-event/8000 or 97=red/8000; several with
    /// commas, or given several times
    #[arg(help_heading = "Capture", long, value_name = "MAP", conflicts_with = "trace")]
    payload_map: Vec<String>,
    /// SRTP keys: a line "suite from to key" for each direction, as `demo` and `offer --keys-log` write them
    #[arg(help_heading = "Capture", long, value_name = "FILE", conflicts_with = "trace")]
    keys: Option<PathBuf>,
    /// Lose so many percent of the packets on top
    #[arg(help_heading = "Capture", long, value_parser = |s: &str| number_in(s, 0.0, 100.0), value_name = "PERCENT", conflicts_with = "trace")]
    lose: Option<f64>,
    /// Mean length of such a loss in packets; 1: each packet by itself
    #[arg(help_heading = "Capture", long, default_value_t = 1.0, value_parser = |s: &str| number_in(s, 1.0, 100.0), value_name = "PACKETS", requires = "lose")]
    burst: f64,
    /// Seed of these losses
    #[arg(help_heading = "Capture", long, default_value_t = 1, value_name = "NUMBER", requires = "lose")]
    seed: u64,
    /// Mark digits (DTMF) and tones in the sound too: those of a call's progress in this country (de, fr, gb, us and others),
    /// and those of faxes and modems
    #[arg(help_heading = "Capture", long, value_parser = super::tone::country, value_name = "COUNTRY", conflicts_with = "trace")]
    hear_tones: Option<&'static Country>,
    /// How many of the worst moments of each stream to tell
    #[arg(help_heading = "Capture", long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=100), value_name = "NUMBER", conflicts_with = "trace")]
    worst: u8,
    /// Tell times in this zone instead of UTC, as +02:00
    #[arg(help_heading = "Capture", long, default_value = "+00:00", value_parser = utc_offset, allow_hyphen_values = true, value_name = "HH:MM")]
    utc_offset: i32,
    /// The arrival trace
    #[arg(help_heading = "Trace", long, value_name = "CSV", requires_all = ["input", "codec"])]
    trace: Option<PathBuf>,
    /// The speech under the trace; it begins again when it ends
    #[arg(help_heading = "Trace", long, value_name = "WAV", requires = "trace")]
    input: Option<PathBuf>,
    /// How much to play, in seconds: of a trace [default: 60], or of each stream of a capture [default: a minute, and ten
    /// times what its packets hold]
    #[arg(long, value_parser = |s: &str| number_in(s, 0.1, 86_400.0), value_name = "S")]
    seconds: Option<f64>,
    /// Opus: in-band FEC for this loss in percent; 0: none
    #[arg(help_heading = "Trace", long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100), value_name = "PERCENT", requires = "trace")]
    fec: u8,
    /// Codec: of the trace, or of all dynamic payload types of the capture that --payload-map doesn't name
    #[arg(long)]
    codec: Option<CodecName>,
    /// How long packets wait: as suits who only listens, as suits a conversation (by the E-model's rating R, as in a call), or
    /// a number of milliseconds
    #[arg(long, default_value = "adaptive", value_parser = Jitter::parse, value_name = "adaptive|conversation|fixed:MS")]
    jitter: Jitter,
    #[arg(long, help = format!("The longest delay, in ms; not with a fixed one [default: {}]", DelayConfig::default().max_ms),
        value_parser = clap::value_parser!(u32).range(20..=10_000), value_name = "MS")]
    max_delay: Option<u32>,
    /// Where to write the results; files of an earlier replay are replaced
    #[arg(long, default_value = "media-core-replay", value_name = "DIR")]
    out: PathBuf,
    /// Print report.json instead of the summary
    #[arg(long)]
    json: bool,
}

/// An offset such as `+02:00` or `-3:30`, in minutes.
fn utc_offset(text: &str) -> Result<i32, String> {
    let parse = || {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "0"));
        let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours <= 14 && minutes < 60).then(|| sign * (i32::from(hours) * 60 + i32::from(minutes)))
    };
    parse().ok_or_else(|| "must be hours and minutes, as +02:00".into())
}

/// No longer trace is read: it's held in memory.
const LONGEST_TRACE: u64 = 64 << 20;

pub(super) fn run(args: ReplayArgs) -> Outcome {
    let delay = args.jitter.delay(args.max_delay)?;
    match (&args.capture, &args.trace, &args.input, &args.codec) {
        (Some(capture), ..) => run_capture(&args, capture, delay),
        (None, Some(trace), Some(input), Some(codec)) => run_trace(&args, trace, input, codec, delay),
        // The parser asks for one or the other.
        _ => Err("neither a capture nor --trace, --input and --codec".into()),
    }
}

fn run_capture(args: &ReplayArgs, capture: &Path, delay: DelayConfig) -> Outcome {
    let otherwise = args.codec.as_ref().map(|codec| codec.format(16_000, 1)).transpose()?;
    let mut payloads = PayloadMap { otherwise: otherwise.and_then(PayloadFormat::new), ..PayloadMap::default() };
    for map in &args.payload_map {
        payloads.add(map).map_err(|error| format!("--payload-map: {error}"))?;
    }
    let keys = args.keys.as_deref().map(read_keys).transpose()?.unwrap_or_default();
    let config = ReplayConfig {
        payloads,
        delay,
        loss: args.lose.map(|percent| Loss { percent, burst: args.burst, seed: args.seed }),
        hear_tones: args.hear_tones,
        seconds: args.seconds,
        worst: usize::from(args.worst),
        utc_offset_minutes: args.utc_offset,
        settings: settings(args, delay.max_ms),
    };
    let report =
        replay(capture, &keys, &config).map_err(|error| format!("{}: {}", capture.display(), chain(&error)))?;
    if report.streams.is_empty() {
        let skipped: Vec<_> = report.skipped.iter().map(ToString::to_string).collect();
        return Err(format!("{}: no stream can be played: {}", capture.display(), skipped.join("; ")).into());
    }
    make_folder(&args.out)?;
    let _whole = Stop::listen();
    report.write(&args.out).map_err(|error| format!("{}: {}", args.out.display(), chain(&error)))?;
    if args.json {
        print(&report.to_json())
    } else {
        print(&format!("{report}\nWritten: {}\n", args.out.join("report.html").display()))
    }
}

/// Returns the settings that make the replay repeatable.
fn settings(args: &ReplayArgs, max_delay_ms: u32) -> Vec<(String, String)> {
    let mut settings = vec![("delay", args.jitter.words(max_delay_ms))];
    if !args.payload_map.is_empty() {
        settings.push(("payload types", args.payload_map.join(", ")));
    }
    if let Some(codec) = &args.codec {
        settings.push(("other payload types", codec.to_string()));
    }
    if let Some(lose) = args.lose {
        settings.push(("lost on top", format!("{lose} % in bursts of {}, seed {}", args.burst, args.seed)));
    }
    if let Some(country) = args.hear_tones {
        settings.push(("tones", format!("of {}", country.name)));
    }
    if let Some(seconds) = args.seconds {
        settings.push(("at most", format!("{seconds} s of each stream")));
    }
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn run_trace(args: &ReplayArgs, trace: &Path, input: &Path, codec: &CodecName, delay: DelayConfig) -> Outcome {
    if args.fec > 0 {
        for_opus("fec", std::slice::from_ref(codec))?;
    }
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", trace.display());
    let mut csv = String::new();
    let read = File::open(trace).and_then(|file| file.take(LONGEST_TRACE + 1).read_to_string(&mut csv));
    if read.map_err(|error| wrong(&error))? as u64 > LONGEST_TRACE {
        return Err(wrong(&format_args!("a trace of more than {} MiB is not read", LONGEST_TRACE >> 20)).into());
    }
    let limit = Duration::from_micros((args.seconds.unwrap_or(60.0).min(3_600.0) * 1e6) as u64);
    let path = trace;
    let trace = Trace::parse(&csv, limit).map_err(|error| wrong(&error))?;
    if trace.left_out > 0 {
        let remark = "packets arrive more than a minute from when they are due; they count as lost";
        mind(path, &[format!("{} {remark}", trace.left_out)]);
    }
    let opus = OpusEncoderConfig { fec: args.fec > 0, expected_loss_percent: args.fec, ..OpusEncoderConfig::default() };
    let (codec, registry) = (codec.format(16_000, 1)?, Registry::builtin().with(Opus(opus)));
    let rate_hz = registry.describe(&codec).ok_or("no such codec in this build")?.sample_rate_hz;
    let speech = WavSource::open(input, rate_hz)?;
    mind(input, speech.remarks());
    let speech = speech.read_all(LONGEST)?;
    make_folder(&args.out)?;
    let run = trace::play(&trace, &speech, &TraceConfig { codec, registry, delay })?;
    let _whole = Stop::listen();
    let mut sink = WavSink::replace(args.out.join("stream-1.wav"), run.sample_rate_hz, 1)?;
    sink.write(&run.heard)?;
    sink.finish()?;
    let stream = run.report.clone();
    let json = ReplayReport { streams: vec![run.report] }.to_json();
    let path = args.out.join("report.json");
    output::write(&path, &json).map_err(|error| format!("{}: {error}", path.display()))?;
    if args.json {
        return print(&json);
    }
    print(&format!(
        "{:.1} s: buffer delay {:.0} ms mean, {:.0} ms 95th percentile; {:.2} % concealed, {:.2} % stretched; \
         {} packets lost, {} late\nWritten: {}\n",
        stream.duration_s,
        stream.mean_buffer_delay_ms,
        stream.p95_buffer_delay_ms,
        stream.concealed_ratio * 100.0,
        stream.stretched_ratio * 100.0,
        stream.lost,
        stream.late,
        path.display()
    ))
}
