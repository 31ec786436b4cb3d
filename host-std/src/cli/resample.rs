//! `media-core resample`: a WAV file at another rate, with the core's resampler.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use host_std::resample::Quality;
use host_std::wav::{WavFrames, WavSink, WavSource};

use super::Outcome;
use super::signals::Stop;

/// Frames that are converted in one go.
const PART: usize = 4_800;

/// Which filter: how much of the band stays, and how much is left of what the lower rate can't hold.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Filter {
    /// Flat to 0.86 of the band, 70 dB down
    Fast,
    /// Flat to 0.86 of the band, 90 dB down: that of calls
    Good,
    /// Flat to 0.9 of the band, 130 dB down from its end on
    #[default]
    Best,
}

/// Convert a WAV file to another rate
///
/// Any WAV file that is read here becomes one of 16 bits. Its length and its place in time stay. The band is half of the
/// lower rate.
#[derive(ClapArgs)]
pub(super) struct ResampleArgs {
    /// Rate of the file to write, in Hz: 4000 to 192000
    #[arg(long, value_parser = clap::value_parser!(u32).range(4_000..=192_000), value_name = "HZ")]
    rate: u32,
    /// The filter: a better one keeps more of the band, rejects more of what is beyond it, and takes longer
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    quality: Filter,
    /// Channels, 1 or 2: more are mixed as ITU-R BS.775 says [default: those of the file]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2), value_name = "NUMBER")]
    channels: Option<u8>,
    /// Add noise of one step (TPDF) before rounding to 16 bits, from this seed
    #[arg(long, value_name = "SEED")]
    dither: Option<u32>,
    /// The WAV file
    #[arg(value_name = "IN.wav")]
    input: PathBuf,
    /// The WAV file to write; one that is there is replaced
    #[arg(value_name = "OUT.wav")]
    output: PathBuf,
}

pub(super) fn run(args: &ResampleArgs) -> Outcome {
    super::apart(&args.input, &args.output)?;
    let file = WavSource::open(&args.input, args.rate)?;
    super::mind(&args.input, file.remarks());
    // The file has at most 64 channels.
    let channels = args.channels.unwrap_or(file.spec().channels as u8);
    drop(file);
    let quality = match args.quality {
        Filter::Fast => Quality::Fast,
        Filter::Good => Quality::Good,
        Filter::Best => Quality::Best,
    };
    let mut sound = WavFrames::with_quality(&args.input, args.rate, channels, quality)?;
    if let Some(seed) = args.dither {
        sound = sound.dithered(seed);
    }
    let stop = Stop::listen();
    let mut sink = WavSink::replace(&args.output, args.rate, channels.into())?;
    let mut pcm = vec![0; PART * usize::from(channels)];
    loop {
        stop.check()?;
        let frames = sound.read(&mut pcm)?;
        if frames == 0 {
            break;
        }
        sink.write(&pcm[..frames * usize::from(channels)])?;
    }
    Ok(sink.finish()?)
}
