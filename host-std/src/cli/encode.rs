//! `media-core encode`: a WAV file to a codec's payloads; and the settings that it shares with `media-core decode`.
//!
//! The payloads of a codec with frames of one size follow each other without anything between them, as ffmpeg's raw
//! formats have it. Opus goes into an Ogg file (RFC 7845).

use std::error::Error;
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use dsp_core::codec::g722::Mode;
use dsp_core::codec::ilbc::IlbcMode;
use dsp_core::codec::{Decoder, Encoder};
use host_std::opus::{MAX_PAYLOAD, OpusEncoder, OpusEncoderConfig};
use host_std::opus_file::{OpusFileWriter, OpusHead};
use host_std::output::OutputFile;
use host_std::registry::{CodecDescription, CodecFormat, G722, Registry, Terms};
use host_std::wav::{WavFrames, WavSource};

use super::codecs::{self, CodecName};
use super::settings::{self, Concealment, OpusArgs};
use super::signals::Stop;
use super::{Outcome, number_in};

/// Which codec, and how its payloads are cut.
#[derive(ClapArgs)]
pub(super) struct Coding {
    /// The codec: opus, g722, pcmu, pcma, ilbc, ilbc30 or l16 (see `media-core codecs`)
    #[arg(long, value_name = "NAME")]
    pub(super) codec: CodecName,
    /// Rate of the sound in Hz, where the codec has several [default: encode: what suits the file; decode: 48000]
    #[arg(long, value_name = "HZ")]
    pub(super) rate: Option<u32>,
    /// Channels, 1 or 2: opus and l16 [default: 1; Opus decoded: the file's]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2), value_name = "NUMBER")]
    pub(super) channels: Option<u8>,
    /// G.722: 1, 2 or 3 for 64, 56 or 48 kbit/s in octets of 64; iLBC: 20 or 30 for the frame in ms
    #[arg(long, value_name = "NUMBER")]
    pub(super) mode: Option<u32>,
    /// Length of a frame in ms; Opus: 2.5, 5, 10, 20, 40, 60, 80, 100 or 120; iLBC of 30 ms is its mode 30 [default: 20;
    /// iLBC of mode 30: 30]
    #[arg(long, value_parser = |s: &str| number_in(s, 1.0, 120.0), value_name = "MS")]
    pub(super) frame_ms: Option<f64>,
}

/// Encode a WAV file: raw payloads, or an Ogg file for Opus
///
/// Sound of another rate is resampled. The last frame is filled up with silence.
#[derive(ClapArgs)]
pub(super) struct EncodeArgs {
    #[command(flatten)]
    coding: Coding,
    /// Opus: nearly nothing for silence
    #[arg(help_heading = "Opus", long)]
    dtx: bool,
    #[command(flatten)]
    opus: OpusArgs,
    /// The WAV file
    #[arg(value_name = "IN.wav")]
    input: PathBuf,
    /// The file to write; one that is there is replaced
    #[arg(value_name = "OUT")]
    output: PathBuf,
}

/// A codec as it is set up for a file.
pub(super) struct EncoderSetup {
    registry: Registry,
    pub(super) format: CodecFormat,
    pub(super) description: CodecDescription,
    pub(super) frame_us: u32,
}

impl Coding {
    /// `rate_hz` where the user names none.
    pub(super) fn setup(
        &self,
        rate_hz: u32,
        opus: OpusEncoderConfig,
        concealment: Concealment,
    ) -> Result<EncoderSetup, Box<dyn Error>> {
        let name = &self.codec;
        let rates = name.rates_hz();
        let rate_hz = self.rate.unwrap_or(if rates.contains(&rate_hz) { rate_hz } else { rates[0] });
        if !rates.contains(&rate_hz) {
            let rates: Vec<_> = rates.iter().map(u32::to_string).collect();
            return Err(format!("--rate {rate_hz}: {name} has {}", rates.join(", ")).into());
        }
        let channels = self.channels.unwrap_or(1);
        if channels == 2 && !name.is("opus") && !name.is("l16") {
            return Err(format!("--channels 2: {name} is mono").into());
        }
        let mut format = name.format(rate_hz, channels)?;
        let opus = OpusEncoderConfig { sample_rate_hz: rate_hz, channels, ..opus };
        let mut registry = settings::registry(if name.is("opus") { opus } else { Default::default() }, concealment);
        match self.mode {
            // 60 ms are three frames of 20 ms, as without the option.
            None if name.is("ilbc") && self.frame_ms.is_some_and(|ms| ms % 20.0 != 0.0 && ms % 30.0 == 0.0) => {
                format = CodecFormat::ilbc(IlbcMode::Ms30);
            }
            None => {}
            Some(mode) if name.is("g722") => {
                let mode = match mode {
                    1 => Mode::Kbps64,
                    2 => Mode::Kbps56,
                    3 => Mode::Kbps48,
                    _ => return Err(format!("--mode {mode}: g722 has 1, 2 and 3").into()),
                };
                registry = registry.with(G722 { mode, own_concealment: concealment == Concealment::Codec });
            }
            Some(mode) if name.is_ilbc() => {
                format = CodecFormat::ilbc(match mode {
                    20 => IlbcMode::Ms20,
                    30 => IlbcMode::Ms30,
                    _ => return Err(format!("--mode {mode}: ilbc has 20 and 30").into()),
                });
            }
            Some(mode) => return Err(format!("--mode {mode}: {name} has no modes").into()),
        }
        let description = registry.describe(&format).ok_or_else(|| format!("no codec {format} in this build"))?;
        let usual_us = description.frames.packet_ms(20) * 1_000;
        let frame_us = self.frame_ms.map_or(usual_us, |ms| (ms * 1_000.0).round() as u32);
        if !description.frames.has(frame_us) {
            // Without a mode iLBC has both of its frames.
            let frames = match self.mode {
                None if name.is("ilbc") => "a multiple of 20 or 30 ms".into(),
                _ => codecs::frames_in_words(description.frames),
            };
            return Err(format!("--frame-ms {}: {name} has {frames}", f64::from(frame_us) / 1_000.0).into());
        }
        Ok(EncoderSetup { registry, format, description, frame_us })
    }
}

impl EncoderSetup {
    pub(super) fn encoder(&self) -> Result<Box<dyn Encoder + Send>, Box<dyn Error>> {
        let codec = self.registry.find(&self.format).ok_or("no such codec")?;
        codec.encoder(&Terms::alone(&self.format)).map_err(|error| error as Box<dyn Error>)
    }

    pub(super) fn decoder(&self) -> Result<Box<dyn Decoder + Send>, Box<dyn Error>> {
        let codec = self.registry.find(&self.format).ok_or("no such codec")?;
        codec.decoder(&Terms::alone(&self.format)).map_err(|error| error as Box<dyn Error>)
    }

    /// Samples of a frame, a channel.
    pub(super) fn samples(&self) -> usize {
        (u64::from(self.description.sample_rate_hz) * u64::from(self.frame_us) / 1_000_000) as usize
    }

    pub(super) fn channels(&self) -> usize {
        usize::from(self.description.channels)
    }

    /// Bytes of a payload, of a codec where all have one size.
    pub(super) fn payload_bytes(&self) -> Result<usize, Box<dyn Error>> {
        let silence = vec![0; self.samples() * self.channels()];
        Ok(self.encoder()?.encode(&silence, &mut vec![0; silence.len() * 2 + MAX_PAYLOAD])?)
    }
}

pub(super) fn run(args: &EncodeArgs) -> Outcome {
    super::apart(&args.input, &args.output)?;
    let name = &args.coding.codec;
    let is_opus = name.is("opus");
    args.opus.check(std::slice::from_ref(name))?;
    if args.dtx && !is_opus {
        return Err(format!("--dtx is for opus, not for {name}").into());
    }
    let file = WavSource::open(&args.input, 48_000)?;
    super::mind(&args.input, file.remarks());
    let file_hz = file.spec().sample_rate;
    let stop = Stop::listen();
    let usual = OpusEncoderConfig {
        channels: args.coding.channels.unwrap_or(1),
        expected_loss_percent: 0,
        dtx: args.dtx,
        ..OpusEncoderConfig::default()
    };
    let opus = if is_opus { args.opus.config(usual)? } else { usual };
    let mut coding = Coding { codec: name.clone(), ..args.coding };
    if let Some(bps) = args.opus.bitrate.filter(|_| !is_opus) {
        coding.mode = match (bps, coding.mode) {
            (64_000, mode @ (None | Some(1))) if name.is("g722") => mode,
            (56_000, None | Some(2)) if name.is("g722") => Some(2),
            (48_000, None | Some(3)) if name.is("g722") => Some(3),
            (15_200, None | Some(20)) if name.is("ilbc") => Some(20),
            (13_330..=13_333, None | Some(30)) if name.is_ilbc() => Some(30),
            (bps, mode) => {
                let only = coding.setup(name.rate_for(file_hz), opus, Concealment::default())?.description.bit_rate_bps;
                if only != [bps; 2] || name.is("g722") {
                    return Err(format!("--bitrate {bps}: {name} has none of that").into());
                }
                mode
            }
        };
    }
    let setup = coding.setup(name.rate_for(file_hz), opus, Concealment::default())?;
    let mut sound = Sound::open(&args.input, &setup)?;
    if is_opus {
        let config = OpusEncoderConfig {
            sample_rate_hz: setup.description.sample_rate_hz,
            channels: setup.description.channels,
            ..opus
        };
        return write_opus(&args.output, &setup, config, &mut sound, file_hz, &stop);
    }
    let mut encoder = setup.encoder()?;
    let wrong = |error| format!("cannot write {}: {error}", args.output.display());
    let mut output = BufWriter::new(OutputFile::create(&args.output).map_err(wrong)?);
    let mut payload = vec![0; setup.payload_bytes()?];
    while let Some(frame) = sound.frame()? {
        stop.check()?;
        let len = encoder.encode(frame, &mut payload)?;
        output.write_all(&payload[..len]).map_err(wrong)?;
    }
    Ok(close(output).map_err(wrong)?)
}

/// A file has a packet for each frame. The encoder of calls has none for most of a pause: so here it's libopus itself.
fn write_opus(
    path: &Path,
    setup: &EncoderSetup,
    config: OpusEncoderConfig,
    sound: &mut Sound,
    input_rate_hz: u32,
    stop: &Stop,
) -> Outcome {
    let mut encoder = OpusEncoder::new(config)?;
    let ticks = |samples: u64| samples * 48_000 / u64::from(config.sample_rate_hz);
    let pre_skip = ticks(encoder.lookahead() as u64) as u16;
    let head = OpusHead { channels: config.channels, pre_skip, input_rate_hz, gain_q8: 0 };
    let wrong = |error| format!("cannot write {}: {error}", path.display());
    let output = BufWriter::new(OutputFile::create(path).map_err(wrong)?);
    let mut writer = OpusFileWriter::new(output, head).map_err(wrong)?;
    let mut payload = [0; MAX_PAYLOAD];
    let (mut coded, whole) = (0, u64::from(pre_skip) + ticks(sound.len));
    let silence = vec![0; setup.samples() * setup.channels()];
    // The encoder's delay pushes the end of the sound into a frame more.
    while coded < whole {
        stop.check()?;
        let frame = sound.frame()?.unwrap_or(&silence);
        let len = encoder.encode(frame, &mut payload)?;
        let duration = ticks(setup.samples() as u64);
        writer.packet(&payload[..len], duration as u32).map_err(wrong)?;
        coded += duration;
    }
    Ok(writer.finish(ticks(sound.len)).and_then(close).map_err(wrong)?)
}

/// Brings what is left into the file, and lets it take its name.
fn close(output: BufWriter<OutputFile>) -> io::Result<()> {
    output.into_inner().map_err(IntoInnerError::into_error)?.finish()
}

/// A WAV file in frames, interleaved.
struct Sound {
    source: WavFrames,
    frame: Vec<i16>,
    /// Samples of the file at the codec's rate, a channel.
    len: u64,
}

impl Sound {
    fn open(path: &Path, setup: &EncoderSetup) -> Result<Self, Box<dyn Error>> {
        let source = WavFrames::open(path, setup.description.sample_rate_hz, setup.description.channels)?;
        let (len, frame) = (source.len(), vec![0; setup.samples() * setup.channels()]);
        Ok(Self { source, frame, len })
    }

    /// The next frame, filled up with silence; `None` at the end.
    fn frame(&mut self) -> Result<Option<&[i16]>, Box<dyn Error>> {
        let read = self.source.read(&mut self.frame)?;
        self.frame[read * self.source.channels()..].fill(0);
        Ok((read > 0).then_some(&self.frame))
    }
}
