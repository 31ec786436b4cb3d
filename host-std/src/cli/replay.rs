//! `media-core replay`: recorded packets through the real receiver, as fast as the machine can.

use std::fs;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use dsp_core::receive::DelayConfig;
use dsp_core::time::Duration;
use host_std::opus::OpusEncoderConfig;
use host_std::registry::{Opus, Registry};
use host_std::replay::ReplayReport;
use host_std::replay::trace::{self, LONGEST, Trace, TraceConfig};
use host_std::wav::{WavSink, WavSource};

use super::codecs::CodecName;
use super::{Outcome, number_in, print};

/// Hear what a listener heard on a bad network
///
/// Lays an arrival trace (CSV: arrival_ms,seq,rtp_ts, a line a packet) under speech: every packet carries one frame of 20 ms,
/// and arrives as late as the trace says. Into the folder of --out go the sound (stream-1.wav) and the numbers
/// (report.json). The same inputs give the same bits.
#[derive(ClapArgs)]
pub(super) struct Args {
    /// The arrival trace
    #[arg(long, value_name = "CSV")]
    trace: PathBuf,
    /// The speech; it begins again when it ends
    #[arg(long, value_name = "WAV")]
    input: PathBuf,
    /// Codec of the call
    #[arg(long, value_name = "NAME")]
    codec: CodecName,
    /// How long packets wait: as the network needs, the same but for a conversation, or a number of milliseconds
    #[arg(long, default_value = "adaptive", value_parser = jitter, value_name = "adaptive|conversation|fixed:MS")]
    jitter: Jitter,
    /// The longest delay, in ms
    #[arg(long, default_value_t = DelayConfig::default().max_ms, value_parser = clap::value_parser!(u32).range(20..=10_000), value_name = "MS")]
    max_delay: u32,
    /// How much of the trace to play, in seconds
    #[arg(long, default_value_t = 60.0, value_parser = |s: &str| number_in(s, 0.1, 3_600.0), value_name = "S")]
    seconds: f64,
    /// Opus: in-band FEC for this loss in percent; 0: none
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100), value_name = "PERCENT")]
    fec: u8,
    /// Where to write the results
    #[arg(long, default_value = "media-core-replay", value_name = "DIR")]
    out: PathBuf,
    /// Print report.json instead of the summary
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug)]
enum Jitter {
    Adaptive,
    Conversation,
    Fixed(u32),
}

fn jitter(text: &str) -> Result<Jitter, String> {
    match text.split_once(':') {
        None if text == "adaptive" => Ok(Jitter::Adaptive),
        None if text == "conversation" => Ok(Jitter::Conversation),
        Some(("fixed", ms)) => number_in(ms, 0.0, 10_000.0).map(|ms| Jitter::Fixed(ms as u32)),
        _ => Err("must be adaptive, conversation or fixed:MS".into()),
    }
}

pub(super) fn run(args: Args) -> Outcome {
    let csv = fs::read_to_string(&args.trace).map_err(|error| format!("{}: {error}", args.trace.display()))?;
    let limit = Duration::from_micros((args.seconds * 1e6) as u64);
    let trace = Trace::parse(&csv, limit).map_err(|error| format!("{}: {error}", args.trace.display()))?;
    let opus = OpusEncoderConfig { fec: args.fec > 0, expected_loss_percent: args.fec, ..OpusEncoderConfig::default() };
    let registry = Registry::builtin().with(Opus(opus));
    let codec = args.codec.format(16_000, 1)?;
    let rate = registry.describe(&codec).map_or(codec.rtp_clock_hz, |description| description.sample_rate_hz);
    let speech = speech(&args.input, rate)?;
    let delay = match args.jitter {
        Jitter::Adaptive => DelayConfig { max_ms: args.max_delay, ..DelayConfig::default() },
        Jitter::Conversation => DelayConfig { max_ms: args.max_delay, ..DelayConfig::conversation() },
        Jitter::Fixed(ms) => DelayConfig::fixed(ms),
    };
    fs::create_dir_all(&args.out).map_err(|error| format!("cannot make the folder {}: {error}", args.out.display()))?;
    let run = trace::play(&trace, &speech, &TraceConfig { codec, registry, delay })?;
    let mut sink = WavSink::create(args.out.join("stream-1.wav"), run.sample_rate_hz)?;
    sink.write(&run.heard)?;
    sink.finish()?;
    let stream = run.report.clone();
    let json = ReplayReport { streams: vec![run.report] }.to_json();
    let path = args.out.join("report.json");
    fs::write(&path, &json).map_err(|error| format!("{}: {error}", path.display()))?;
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

fn speech(path: &PathBuf, rate_hz: u32) -> Result<Vec<i16>, Box<dyn std::error::Error>> {
    let mut source = WavSource::open(path, rate_hz)?;
    if source.len() > LONGEST.as_samples(rate_hz) {
        return Err(format!("{}: longer than {} s", path.display(), LONGEST.as_millis() / 1_000).into());
    }
    let mut pcm = vec![0; source.len() as usize];
    let len = source.read(&mut pcm)?;
    pcm.truncate(len);
    Ok(pcm)
}
