//! `media-core probe`: what is in a recording, in words and as JSON.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use dsp_core::tone::Country;
use host_std::probe::{Probe, ProbeConfig};
use host_std::wav::{WavFrames, WavSource};

use super::signals::Stop;
use super::{Outcome, print};

/// Frames that are read in one go.
const PART: usize = 4_800;
/// Rates at which sound is measured as it is, in Hz.
const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// Measure a recording: levels, speech, noise, bandwidth, and what is wrong with it
///
/// Of each channel: RMS, peak and active speech level (ITU-T P.56), where there is speech, the noise in pauses and the speech above
/// it, the highest frequency that is really used, DC, clipping, silence, howling, digits (DTMF) and tones (busy, ringing, fax and
/// others). Levels are in dBov: decibels below the overload
/// point. Sound is read as 16 bits; files of less than 8 kHz or more than 48 are measured at those.
#[derive(ClapArgs)]
pub(super) struct Args {
    /// How much must speak for speech: 0 misses least, 3 takes least noise for speech
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=3), value_name = "0-3")]
    vad: u8,
    /// The country whose tones of a call's progress are listened for, by its ISO 3166 code
    #[arg(long, default_value = "us", value_parser = super::tone::country, value_name = "CODE")]
    country: &'static Country,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// The WAV file
    #[arg(value_name = "IN.wav")]
    input: PathBuf,
}

pub(super) fn run(args: &Args) -> Outcome {
    let file = WavSource::open(&args.input, 48_000)?;
    super::mind(&args.input, file.remarks());
    let spec = file.spec();
    drop(file);
    let rate_hz = spec.sample_rate.clamp(*RATES_HZ.start(), *RATES_HZ.end());
    // At most 64.
    let channels = spec.channels as u8;
    let config = ProbeConfig {
        sample_rate_hz: rate_hz,
        channels: channels.into(),
        aggressiveness: args.vad,
        country: args.country,
    };
    let mut probe = Probe::new(config)?;
    let mut sound = WavFrames::open(&args.input, rate_hz, channels)?;
    let stop = Stop::listen();
    let mut pcm = vec![0; PART * usize::from(channels)];
    loop {
        stop.check()?;
        let frames = sound.read(&mut pcm)?;
        if frames == 0 {
            break;
        }
        probe.hear(&pcm[..frames * usize::from(channels)]);
    }
    let report = probe.finish(&args.input.display().to_string(), spec.sample_rate);
    print(&if args.json { report.to_json() } else { report.to_string() })
}
