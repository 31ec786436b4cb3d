//! `media-core tone`: the tones of a call's progress, and those of faxes and modems, as sound.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use dsp_core::tone::{ANSAM, CED, CNG, COUNTRIES, Country, ProgressGenerator, ProgressTone, Segment};
use host_std::wav::WavSink;

use super::signals::Stop;
use super::{Outcome, number_in};

/// Samples that are made in one go.
const PART: usize = 4_800;

/// What the tone says.
#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// The exchange waits for digits
    Dial,
    /// The called party is busy
    Busy,
    /// The called party's telephone rings
    Ringing,
    /// There is no way to the called party
    Congestion,
    /// Somebody else calls
    CallWaiting,
    /// Special information tone: the call was not completed
    Information,
    /// A fax calls (T.30), in every country
    Cng,
    /// A fax or modem answers (V.25), in every country
    Ced,
    /// A modem answers by V.8, in every country
    Ansam,
}

/// Write a tone of a call's progress into a WAV file
///
/// As the exchanges of a country send it, of 16 bits and one channel. CNG, CED and ANSam are those of faxes and modems
/// everywhere.
#[derive(ClapArgs)]
pub(super) struct Args {
    /// The country, by its ISO 3166 code: de, fr, gb, us and others
    #[arg(long, default_value = "us", value_name = "CODE")]
    country: String,
    /// Length of the file, in s: 0.02 to 3600
    #[arg(long, default_value_t = 10.0, value_parser = |text: &str| number_in(text, 0.02, 3_600.0), value_name = "S")]
    seconds: f64,
    /// Rate of the file, in Hz: 4000 to 192000
    #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u32).range(4_000..=192_000), value_name = "HZ")]
    rate: u32,
    /// Level, in dBm0: -63 to 0
    #[arg(long, default_value_t = -10.0, value_parser = |text: &str| number_in(text, -63.0, 0.0), value_name = "DBM0")]
    level: f64,
    /// What it says
    #[arg(value_enum)]
    tone: Name,
    /// The WAV file to write; one that is there is replaced
    #[arg(value_name = "OUT.wav")]
    output: PathBuf,
}

pub(super) fn run(args: &Args) -> Outcome {
    let segments = segments(args)?;
    let mut generator = ProgressGenerator::new(args.rate, (args.level * 100.0).round() as i16, segments)?;
    let mut left = (args.seconds * f64::from(args.rate)).round() as usize;
    let (mut sink, mut pcm, stop) = (WavSink::replace(&args.output, args.rate, 1)?, vec![0; PART], Stop::listen());
    while left > 0 {
        stop.check()?;
        let part = &mut pcm[..left.min(PART)];
        generator.fill(part);
        sink.write(part)?;
        left -= part.len();
    }
    Ok(sink.finish()?)
}

fn segments(args: &Args) -> Result<&'static [Segment], String> {
    let tone = match args.tone {
        Name::Dial => ProgressTone::Dial,
        Name::Busy => ProgressTone::Busy,
        Name::Ringing => ProgressTone::Ringing,
        Name::Congestion => ProgressTone::Congestion,
        Name::CallWaiting => ProgressTone::CallWaiting,
        Name::Information => ProgressTone::Information,
        Name::Cng => return Ok(&CNG),
        Name::Ced => return Ok(&CED),
        Name::Ansam => return Ok(&ANSAM),
    };
    let country = Country::of(&args.country).ok_or_else(|| {
        let codes: Vec<_> = COUNTRIES.iter().map(|country| country.code).collect();
        format!("the tones of {:?} are not known; those of {} are", args.country, codes.join(", "))
    })?;
    Ok(country.tone(tone))
}
