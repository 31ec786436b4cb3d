//! `media-core mix`: several files into one, by the mixer of conferences.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use dsp_core::conference::{Conference, ConferenceConfig, Port};
use host_std::wav::{WavFrames, WavSink, WavSource};

use super::signals::Stop;
use super::{Outcome, print};

/// Samples of the longest frame: 10 ms at 48 kHz.
const FRAME: usize = 480;
/// The highest gain of a file in dB, in hundredths.
const HIGHEST_DB: f64 = 18.05;

/// Mix files into one, as a conference does
///
/// The sum of all files, each from its beginning; it is as long as the longest. Where the sum would be above -1 dBov, a
/// limiter takes it down for as long as it must, instead of cutting it off. Files of other rates are resampled, several
/// channels are mixed to one.
#[derive(ClapArgs)]
pub(super) struct MixArgs {
    /// Rate of the mix in Hz, 8000 to 48000 [default: the highest of the files within these]
    #[arg(long, value_parser = clap::value_parser!(u32).range(8_000..=48_000), value_name = "HZ")]
    rate: Option<u32>,
    /// Gain of a file in dB, up to 18.05: given as often as there are files, in their order [default: 0]
    #[arg(long, value_parser = |s: &str| super::number_in(s, -90.0, HIGHEST_DB), value_name = "DB")]
    gain: Vec<f64>,
    /// The WAV files, and last the file to write; one that is there is replaced
    #[arg(num_args = 1.., required = true, value_name = "FILE.wav")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &MixArgs) -> Outcome {
    let (output, inputs) = match args.files.split_last() {
        Some((output, inputs)) if !inputs.is_empty() => (output, inputs),
        _ => return Err("the files to mix are wanted, and last the file to write".into()),
    };
    if args.gain.len() > inputs.len() {
        return Err(format!("{} gains for {} files", args.gain.len(), inputs.len()).into());
    }
    let mut highest_hz = 8_000;
    for input in inputs {
        super::apart(input, output)?;
        let file = WavSource::open(input, 48_000)?;
        super::mind(input, file.remarks());
        highest_hz = file.spec().sample_rate.clamp(highest_hz, 48_000);
    }
    let rate_hz = args.rate.unwrap_or(highest_hz);
    let samples = rate_hz as usize / 100;
    let config = ConferenceConfig { sample_rate_hz: rate_hz, frame_samples: samples, ..ConferenceConfig::default() };
    let mut conference = Conference::new(config, vec![Port::<FRAME>::EMPTY; inputs.len()])?;
    let mut files = Vec::with_capacity(inputs.len());
    for (number, input) in inputs.iter().enumerate() {
        let port = conference.join()?;
        if let Some(&gain_db) = args.gain.get(number) {
            conference.set_gain(port, (100.0 * gain_db).round() as i16)?;
        }
        files.push(WavFrames::open(input, rate_hz, 1)?);
    }

    // A port that joins fades in, so all join before the files begin.
    for port in 0..files.len() {
        conference.frame(port)?.fill(0);
    }
    conference.mix();

    let stop = Stop::listen();
    let mut sink = WavSink::replace(output, rate_hz, 1)?;
    let (mut frames, mut lowest_hundredths_db) = (0u64, 0);
    let mut mix = [0; FRAME];
    loop {
        stop.check()?;
        let mut longest = 0;
        for (port, file) in files.iter_mut().enumerate() {
            let frame = conference.frame(port)?;
            let read = file.read(frame)?;
            frame[read..].fill(0);
            longest = read.max(longest);
        }
        if longest == 0 {
            break;
        }
        conference.mix();
        conference.all(&mut mix[..longest]);
        sink.write(&mix[..longest])?;
        frames += longest as u64;
        lowest_hundredths_db = conference.limiter().gain_hundredths_db.min(lowest_hundredths_db);
    }
    sink.finish()?;
    let limited = conference.limiter().limited_frames;
    print(&format!("{}: {:.2} s at {rate_hz} Hz", output.display(), frames as f64 / f64::from(rate_hz)))?;
    if limited > 0 {
        let lowest_db = f64::from(lowest_hundredths_db) / 100.0;
        print(&format!("; the limiter worked for {:.2} s, by {lowest_db:.1} dB at most", limited as f64 / 100.0))?;
    }
    print("\n")
}
