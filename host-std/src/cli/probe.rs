//! `media-core probe`: what is in a recording, in words and as JSON.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use dsp_core::codec::Decoder;
use dsp_core::tone::Country;
use host_std::opus::{MAX_PACKET_TICKS, OpusDecoder};
use host_std::opus_file::OpusFile;
use host_std::probe::{Probe, ProbeConfig};
use host_std::wav::{WavFrames, WavSource};

use super::decode::read_ogg;
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
/// point. Sound is read as 16 bits; WAV files of less than 8 kHz or more than 48 are measured at those. Of an Ogg file of Opus what
/// its decoder makes is measured, at 48 kHz.
#[derive(ClapArgs)]
pub(super) struct ProbeArgs {
    /// How much must speak for speech: 0 misses least, 3 takes least noise for speech
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=3), value_name = "0-3")]
    vad: u8,
    /// The country whose tones of a call's progress are listened for, by its ISO 3166 code
    #[arg(long, default_value = "us", value_parser = super::tone::country, value_name = "CODE")]
    country: &'static Country,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// The WAV file, or an Ogg file of Opus
    #[arg(value_name = "IN")]
    input: PathBuf,
}

pub(super) fn run(args: &ProbeArgs) -> Outcome {
    let (probe, rate_hz) = if is_ogg(&args.input) { of_opus(args)? } else { of_wav(args)? };
    let report = probe.finish(&args.input.display().to_string(), rate_hz);
    print(&if args.json { report.to_json() } else { report.to_string() })
}

fn made(args: &ProbeArgs, sample_rate_hz: u32, channels: u8) -> Result<Probe, Box<dyn Error>> {
    let (channels, aggressiveness, country) = (channels.into(), args.vad, args.country);
    Ok(Probe::new(ProbeConfig { sample_rate_hz, channels, aggressiveness, country })?)
}

/// Analyses a WAV file; returns the analysis and the file's rate.
fn of_wav(args: &ProbeArgs) -> Result<(Probe, u32), Box<dyn Error>> {
    let file = WavSource::open(&args.input, 48_000)?;
    super::mind(&args.input, file.remarks());
    let spec = file.spec();
    drop(file);
    let rate_hz = spec.sample_rate.clamp(*RATES_HZ.start(), *RATES_HZ.end());
    // The file has at most 64 channels.
    let channels = spec.channels as u8;
    let mut probe = made(args, rate_hz, channels)?;
    let mut sound = WavFrames::open(&args.input, rate_hz, channels)?;
    let stop = Stop::listen();
    let mut pcm = vec![0; PART * usize::from(channels)];
    loop {
        stop.check()?;
        let frames = sound.read(&mut pcm)?;
        if frames == 0 {
            return Ok((probe, spec.sample_rate));
        }
        probe.hear(&pcm[..frames * usize::from(channels)]);
    }
}

/// Returns whether a file begins as an Ogg file; one that can't be read does not, which its reader then says.
fn is_ogg(path: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"OggS"
}

/// Analyses an Ogg file of Opus; returns the analysis and the rate at which it's decoded.
fn of_opus(args: &ProbeArgs) -> Result<(Probe, u32), Box<dyn Error>> {
    const RATE_HZ: u32 = 48_000;
    let path = args.input.display();
    let OpusFile { head, packets, ticks, .. } = read_ogg(&args.input)?;
    let channels = usize::from(head.channels);
    let mut probe = made(args, RATE_HZ, head.channels)?;
    let mut decoder = OpusDecoder::new(RATE_HZ, head.channels)?;
    let gain = head.gain();
    let stop = Stop::listen();
    let mut pcm = vec![0; MAX_PACKET_TICKS as usize * channels];
    let (mut skip, mut left) = (usize::from(head.pre_skip), ticks);
    for (number, packet) in packets.iter().enumerate() {
        stop.check()?;
        let samples = decoder.decode(packet, &mut pcm).map_err(|error| format!("{path}: frame {number}: {error}"))?;
        let skipped = skip.min(samples);
        skip -= skipped;
        let heard = left.min((samples - skipped) as u64);
        left -= heard;
        let sound = &mut pcm[skipped * channels..(skipped + heard as usize) * channels];
        if gain != 1.0 {
            sound.iter_mut().for_each(|sample| *sample = (f64::from(*sample) * gain).round() as i16);
        }
        probe.hear(sound);
    }
    Ok((probe, RATE_HZ))
}
