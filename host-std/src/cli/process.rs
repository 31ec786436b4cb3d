//! `media-core process`: a recorded microphone through the capture chain of a call, in the order of a call's ticks: the
//! loudspeaker plays one file, the microphone gives another, and what would be sent is a third.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration as StdDuration, Instant as StdInstant};

use clap::Args as ClapArgs;
use dsp_core::front::{CaptureBlock, Media, Step};
use dsp_core::receive::Played;
use dsp_core::time::Instant;
use host_std::output;
use host_std::report::{Measure, ProcessReport};
use host_std::session::{HostFront, front_end};
use host_std::wav::{WavFrames, WavSink, WavSource};
use indicatif::{ProgressBar, ProgressStyle};

use super::chain::CaptureArgs;
use super::signals::Stop;
use super::{Outcome, print};

/// Rates of calls, in Hz.
const RATES_HZ: [u32; 4] = [8_000, 16_000, 32_000, 48_000];
/// Length of a tick in ms: a frame of the capture chain.
const TICK_MS: u64 = 10;
/// When the loudspeaker begins: time enough before it for whatever is asked of the time before.
const BEGIN_MS: u64 = 1_000;
/// Ticks between two looks at the progress.
const PROGRESS_EVERY: u64 = 100;

/// Process a recorded microphone as a call does before it sends
///
/// Both files are read as if they ran in a call at once: what is at one place in FAR.wav is played when what is at the same
/// place in MIC.wav is captured. Where FAR.wav is shorter, the loudspeaker is silent; where it is longer, the rest isn't
/// played. OUT.wav is as long as MIC.wav, and its sound lies at the same place: the delay of the chain is taken off. Rates
/// are 8000, 16000, 32000 and 48000 Hz (`media-core resample` makes them of others). Of a stereo microphone each channel is
/// processed by itself, with the loudspeaker's channel of its side; more channels are mixed to two.
#[derive(ClapArgs)]
pub(super) struct ProcessArgs {
    #[command(flatten)]
    chain: CaptureArgs,
    /// WAV file of what the loudspeaker plays, of the microphone's rate [default: silence]
    #[arg(long, value_name = "FAR.wav")]
    far: Option<PathBuf>,
    /// Tell where there is speech in the result, by the voice detector; 0 misses least, 3 takes least noise for speech
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=3), num_args = 0..=1, default_missing_value = "2",
        value_name = "0-3")]
    vad: Option<u8>,
    /// Write a page with levels, figures and the spectrograms before and after
    #[arg(long, value_name = "FILE.html")]
    plot: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// WAV file of what the microphone captured
    #[arg(value_name = "MIC.wav")]
    microphone: PathBuf,
    /// The WAV file to write; one that is there is replaced
    #[arg(value_name = "OUT.wav")]
    output: PathBuf,
}

pub(super) fn run(args: &ProcessArgs) -> Outcome {
    let inputs = [Some(&args.microphone), args.far.as_ref()].into_iter().flatten();
    for input in inputs {
        for output in [Some(&args.output), args.plot.as_ref()].into_iter().flatten() {
            super::apart(input, output)?;
        }
    }
    if args.plot.as_ref() == Some(&args.output) {
        return Err(format!("{}: is both the sound and the page", args.output.display()).into());
    }
    if (args.chain.aec || args.chain.echo_suppressor) && args.far.is_none() {
        let why = if args.chain.aec { "--aec takes" } else { "--echo-suppressor keeps" };
        let what = "the loudspeaker's sound out of the microphone's: --far FAR.wav says what it played";
        return Err(format!("{why} {what}").into());
    }
    let (rate_hz, channels) = microphone(&args.microphone)?;
    let mut sound = Sound::open(args, rate_hz, channels)?;
    let mut front = front_end(rate_hz, channels, &args.chain.config())?;
    let length = sound.microphone.len();
    let mut sink = WavSink::replace(&args.output, rate_hz, channels.into())?;
    let mut measure = Measure::new(rate_hz, channels, length, args.plot.is_some());
    if let Some(aggressiveness) = args.vad {
        measure = measure.with_voice(aggressiveness);
    }
    let (bar, stop) = (progress(args, length), Stop::listen());
    let (mut spent, mut n) = (StdDuration::ZERO, 0);
    // Sound leaves the chain this many samples later than it entered.
    let (mut ahead, mut left) = (front.block(0).map_or(0, |block| block.delay_samples()), length as usize);
    while left > 0 {
        if n % PROGRESS_EVERY == 0 {
            stop.check()?;
            bar.set_position(length - left as u64);
        }
        sound.next()?;
        let begin = StdInstant::now();
        let Some(captured) = tick(&mut front, n, &mut sound) else {
            return Err("a tick is too long for the capture chain: this is a bug".into());
        };
        spent += begin.elapsed();
        // The sound captured in this tick was played in the one before.
        measure.hear_far(&sound.far_before[..sound.known]);
        measure.hear_input(&sound.near[..sound.known]);
        if let (true, Some(status)) = (sound.known > 0, front.block(0).and_then(|block| block.echo())) {
            measure.hear_echo(status);
        }
        let skipped = ahead.min(captured.len() / sound.channels);
        ahead -= skipped;
        let out = &captured[skipped * sound.channels..];
        let out = &out[..out.len().min(left * sound.channels)];
        left -= out.len() / sound.channels;
        measure.hear_output(out);
        sink.write(out)?;
        n += 1;
    }
    sink.finish()?;
    bar.finish_and_clear();
    let seconds = length as f64 / f64::from(rate_hz);
    let name = |path: &Path| path.display().to_string();
    let mut report = measure.finish(rate_hz, channels, seconds);
    report.microphone = name(&args.microphone);
    report.far = args.far.as_deref().map(name);
    report.output = name(&args.output);
    let vad = args.vad.map(|aggressiveness| ("voice detector", format!("aggressiveness {aggressiveness} of 3")));
    report.settings = args.chain.words().into_iter().chain(vad).map(|(name, value)| (name.into(), value)).collect();
    report.times_real_time = seconds / spent.as_secs_f64().max(1e-9);
    tell(args, &report)
}

fn tell(args: &ProcessArgs, report: &ProcessReport) -> Outcome {
    let mut written = args.output.display().to_string();
    if let Some(page) = &args.plot {
        let wrong = |error| format!("cannot write {}: {error}", page.display());
        output::write(page, report.to_html()).map_err(wrong)?;
        written = format!("{written}, {}", page.display());
    }
    print(&if args.json { report.to_json() } else { format!("{report}Written: {written}\n") })
}

/// Rate in Hz and channels of the microphone's file.
fn microphone(path: &Path) -> Result<(u32, u8), Box<dyn Error>> {
    let file = WavSource::open(path, 48_000)?;
    super::mind(path, file.remarks());
    let rate_hz = file.spec().sample_rate;
    if !RATES_HZ.contains(&rate_hz) {
        let rates = RATES_HZ.map(|rate| rate.to_string()).join(", ");
        let help = "`media-core resample` converts it";
        return Err(format!("{} has {rate_hz} Hz, and calls have {rates} Hz: {help}", path.display()).into());
    }
    Ok((rate_hz, file.spec().channels.min(2) as u8))
}

/// One tick of a call: what the capture chain gives in it.
fn tick(front: &mut HostFront, n: u64, sound: &mut Sound) -> Option<Vec<i16>> {
    let now = Instant::from_millis(BEGIN_MS + n * TICK_MS);
    front.begin(now, sound.near.len() / sound.channels, n > 0).ok()?;
    let mut media = Tick { far: &sound.far, captured: Vec::new() };
    while let Some(step) = front.step(&mut media, &mut []) {
        if let Step::Microphone(microphone) = step {
            microphone.pcm.copy_from_slice(&sound.near);
        }
    }
    Some(media.captured)
}

/// The stream of a call, as far as there is one.
struct Tick<'a> {
    far: &'a [i16],
    captured: Vec<i16>,
}

impl Media for Tick<'_> {
    type Transmit = ();

    fn play(&mut self, _: Instant, pcm: &mut [i16]) -> Played {
        pcm.copy_from_slice(self.far);
        Played::default()
    }

    fn capture(&mut self, _: Instant, pcm: &[i16]) {
        self.captured.extend_from_slice(pcm);
    }

    fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<()> {
        None
    }
}

/// Both files, tick by tick. The microphone is one tick late: a tick plays the sound that is heard from now on, and captures the
/// sound until now.
struct Sound {
    loudspeaker: Option<WavFrames>,
    microphone: WavFrames,
    channels: usize,
    /// The sound that is played in this tick; below is that of the one before.
    far: Vec<i16>,
    far_before: Vec<i16>,
    /// The sound that is captured in this tick; samples beyond `known` are after the end of the file.
    near: Vec<i16>,
    known: usize,
    begun: bool,
}

impl Sound {
    fn open(args: &ProcessArgs, rate_hz: u32, channels: u8) -> Result<Self, Box<dyn Error>> {
        let loudspeaker = args.far.as_deref().map(|path| loudspeaker(path, args, rate_hz, channels)).transpose()?;
        let samples = vec![0; (u64::from(rate_hz) * TICK_MS / 1_000) as usize * usize::from(channels)];
        Ok(Self {
            loudspeaker,
            microphone: WavFrames::open(&args.microphone, rate_hz, channels)?,
            channels: channels.into(),
            far: samples.clone(),
            far_before: samples.clone(),
            near: samples,
            known: 0,
            begun: false,
        })
    }

    /// Advances by a tick.
    fn next(&mut self) -> Outcome {
        std::mem::swap(&mut self.far, &mut self.far_before);
        let read = self.loudspeaker.as_mut().map_or(Ok(0), |file| file.read(&mut self.far))?;
        self.far[read * self.channels..].fill(0);
        // The first tick has no microphone.
        if std::mem::replace(&mut self.begun, true) {
            self.known = self.microphone.read(&mut self.near)? * self.channels;
            self.near[self.known..].fill(0);
        }
        Ok(())
    }
}

fn loudspeaker(path: &Path, args: &ProcessArgs, rate_hz: u32, channels: u8) -> Result<WavFrames, Box<dyn Error>> {
    let file = WavSource::open(path, rate_hz)?;
    super::mind(path, file.remarks());
    let far_hz = file.spec().sample_rate;
    if far_hz != rate_hz {
        let (far, near) = (path.display(), args.microphone.display());
        let help = format!("`media-core resample --rate {rate_hz}` converts it");
        return Err(format!("{far} has {far_hz} Hz, and {near} {rate_hz} Hz: {help}").into());
    }
    Ok(WavFrames::open(path, rate_hz, channels)?)
}

fn progress(args: &ProcessArgs, length: u64) -> ProgressBar {
    let bar = if args.json { ProgressBar::hidden() } else { ProgressBar::new(length) };
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {percent:>3} %");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
    bar.set_message("processing");
    bar
}
