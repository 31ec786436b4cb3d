//! `media-core decode`: a codec's payloads to a WAV file, all of them or through losses.
//!
//! Without losses it's the decoder alone, sample for sample. With losses it's what a call does: the payloads that are
//! left go as RTP packets through the receiver, which recovers, conceals and joins. They arrive in time, so that the
//! receiver's delay is all there is besides; it's taken off.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};
use dsp_core::codec::{CodecInfo, DecodeError, Decoder};
use dsp_core::receive::{HostReceiver, ReceiverConfig};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpHeader;
use host_std::netsim::{Network, NetworkConfig};
use host_std::opus::{MAX_PACKET_TICKS, OpusEncoderConfig};
use host_std::opus_file::OpusFile;
use host_std::wav::WavSink;

use super::encode::{Coding, Setup};
use super::{Outcome, number_in, print};

/// Who fills the gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Concealment {
    /// The codec, as far as it does
    Own,
    /// The receiver, from the waveform, for every codec
    Waveform,
}

/// Decode raw payloads, or an Ogg file of Opus, to a WAV file
///
/// Raw payloads are those of `media-core encode` or ffmpeg's: frames of one size, without anything between them.
#[derive(ClapArgs)]
pub(super) struct Args {
    #[command(flatten)]
    coding: Coding,
    /// Frames lost, in percent: the rest goes through the receiver of a call, which conceals (mono)
    #[arg(help_heading = "Losses", long, value_parser = |s: &str| number_in(s, 0.0, 100.0), value_name = "PERCENT")]
    lose: Option<f64>,
    /// Mean length of a loss in frames; 1: each frame is lost or not by itself
    #[arg(help_heading = "Losses", long, default_value_t = 1.0, value_parser = |s: &str| number_in(s, 1.0, 100.0),
        value_name = "FRAMES", requires = "lose")]
    burst: f64,
    /// Seed of the losses: the same loses the same frames
    #[arg(help_heading = "Losses", long, default_value_t = 1, value_name = "NUMBER", requires = "lose")]
    seed: u64,
    /// Who conceals the losses
    #[arg(help_heading = "Losses", long, value_enum, default_value_t = Concealment::Own, requires = "lose")]
    concealment: Concealment,
    /// The payloads
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The WAV file to write; one that is there is replaced
    #[arg(value_name = "OUT.wav")]
    output: PathBuf,
}

/// The payloads of a file, and which of the sound they make is to be heard.
struct Payloads {
    setup: Setup,
    payloads: Vec<Vec<u8>>,
    /// Samples a channel.
    skip: usize,
    heard: usize,
    gain: f64,
}

pub(super) fn run(args: &Args) -> Outcome {
    let read = if args.coding.codec.is("opus") { read_opus(args)? } else { read_raw(args)? };
    if read.payloads.is_empty() {
        return Err(format!("{} has no payloads", args.input.display()).into());
    }
    let setup = &read.setup;
    let (rate_hz, channels) = (setup.description.sample_rate_hz, setup.channels());
    let mut pcm = match args.lose {
        None => decode(setup, &read.payloads)?,
        Some(_) if channels > 1 => {
            return Err("--lose: the receiver of a call is mono, and this has 2 channels".into());
        }
        Some(percent) => {
            let config =
                NetworkConfig { loss_percent: percent, burst: args.burst, delay_ms: 0.0, ..NetworkConfig::default() };
            let mut network = Network::new(config, args.seed);
            let lost: Vec<bool> = read.payloads.iter().map(|_| network.carry(Instant::ZERO)[0].is_none()).collect();
            through_receiver(setup, args.concealment, &read.payloads, &lost)?
        }
    };
    pcm.drain(..(read.skip * channels).min(pcm.len()));
    pcm.truncate(read.heard.saturating_mul(channels));
    if read.gain != 1.0 {
        pcm.iter_mut().for_each(|sample| *sample = (f64::from(*sample) * read.gain).round() as i16);
    }
    let mut sink = WavSink::create_with(&args.output, rate_hz, channels as u16)?;
    sink.write(&pcm)?;
    Ok(sink.finish()?)
}

fn read_raw(args: &Args) -> Result<Payloads, Box<dyn Error>> {
    let setup = args.coding.setup(48_000, OpusEncoderConfig::default())?;
    let bytes = std::fs::read(&args.input).map_err(|error| cannot_read(&args.input, &error))?;
    let payloads = bytes.chunks(setup.payload_bytes()?).map(<[u8]>::to_vec).collect();
    Ok(Payloads { setup, payloads, skip: 0, heard: usize::MAX, gain: 1.0 })
}

fn read_opus(args: &Args) -> Result<Payloads, Box<dyn Error>> {
    if args.coding.frame_ms.is_some() {
        return Err("--frame-ms: the packets of Opus say it themselves".into());
    }
    let file = File::open(&args.input).map_err(|error| cannot_read(&args.input, &error))?;
    let OpusFile { head, packets, ticks } = OpusFile::read(BufReader::new(file))
        .map_err(|error| format!("{}: {}", args.input.display(), super::chain(&error)))?;
    let coding = Coding {
        codec: args.coding.codec.clone(),
        channels: Some(args.coding.channels.unwrap_or(head.channels)),
        ..args.coding
    };
    let setup = coding.setup(head.input_rate_hz, OpusEncoderConfig::default())?;
    let samples = |ticks: u64| (ticks * u64::from(setup.description.sample_rate_hz) / 48_000) as usize;
    let (skip, heard) = (samples(head.pre_skip.into()), samples(ticks));
    let gain = 10f64.powf(f64::from(head.gain_q8) / 256.0 / 20.0);
    Ok(Payloads { setup, payloads: packets, skip, heard, gain })
}

fn cannot_read(path: &Path, error: &std::io::Error) -> String {
    format!("cannot read {}: {error}", path.display())
}

/// Room for the longest payload, of Opus or of this codec.
fn room(setup: &Setup) -> usize {
    let longest = setup.description.sample_rate_hz as usize * MAX_PACKET_TICKS as usize / 48_000;
    longest.max(setup.samples()) * setup.channels()
}

fn decode(setup: &Setup, payloads: &[Vec<u8>]) -> Result<Vec<i16>, Box<dyn Error>> {
    let mut decoder = setup.decoder()?;
    let mut frame = vec![0; room(setup)];
    let mut pcm = Vec::new();
    for (number, payload) in payloads.iter().enumerate() {
        let samples = decoder.decode(payload, &mut frame).map_err(|error| format!("frame {number}: {error}"))?;
        pcm.extend_from_slice(&frame[..samples * setup.channels()]);
    }
    Ok(pcm)
}

/// The decoder of a call, with its own concealment or without.
struct Listener {
    decoder: Box<dyn Decoder + Send>,
    own: bool,
}

impl Decoder for Listener {
    fn info(&self) -> CodecInfo {
        self.decoder.info()
    }
    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        self.decoder.duration(payload)
    }
    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        self.decoder.decode(payload, pcm)
    }
    fn conceal(&mut self, pcm: &mut [i16]) -> bool {
        self.own && self.decoder.conceal(pcm)
    }
    fn redundancy(&mut self, next: &[u8]) -> u32 {
        if self.own { self.decoder.redundancy(next) } else { 0 }
    }
    fn recover(&mut self, next: &[u8], ahead: u32, pcm: &mut [i16]) -> bool {
        self.own && self.decoder.recover(next, ahead, pcm)
    }
    fn reset(&mut self) {
        self.decoder.reset();
    }
}

const PAYLOAD_TYPE: u8 = 96;

/// Plays the payloads that aren't lost as a call does; as long as all of them would be.
fn through_receiver(
    setup: &Setup,
    concealment: Concealment,
    payloads: &[Vec<u8>],
    lost: &[bool],
) -> Result<Vec<i16>, Box<dyn Error>> {
    let decoder = Listener { decoder: setup.decoder()?, own: concealment == Concealment::Own };
    let info = decoder.info();
    let mut packets = Vec::new();
    let mut ticks = 0u32;
    for (number, payload) in payloads.iter().enumerate() {
        let duration = decoder.duration(payload).map_err(|error| format!("frame {number}: {error}"))?;
        packets.push((ticks, payload));
        ticks += duration;
    }
    let whole = info.samples(ticks) as usize;
    let first = lost.iter().position(|lost| !lost).map_or(ticks, |first| packets[first].0);
    // What is lost before the first packet nobody can know of.
    let mut pcm = vec![0; info.samples(first) as usize];
    let payload_type = PayloadType::new(PAYLOAD_TYPE).ok_or("no such payload type")?;
    let config = ReceiverConfig {
        sample_rate_hz: info.sample_rate_hz,
        rtp_clock_hz: info.rtp_clock_hz,
        ..ReceiverConfig::default()
    };
    let mut receiver = Box::new(HostReceiver::new(config)?);
    let mut table = (payload_type, decoder);
    let mut datagram = vec![0; 64 + payloads.iter().map(Vec::len).max().unwrap_or(0)];
    let mut waiting = packets.iter().zip(lost).enumerate().peekable();
    // Ticks of 10 ms, near enough where a second has no whole number of hundredths: only arrivals hang on it.
    let mut tick = vec![0; info.sample_rate_hz as usize / 100];
    let (mut now, mut begun) = (Instant::ZERO, false);
    while pcm.len() < whole {
        while let Some((number, ((start, payload), lost))) = waiting
            .next_if(|(_, ((start, _), _))| u64::from(*start) * 1_000 <= now.as_millis() * u64::from(info.rtp_clock_hz))
        {
            let header = RtpHeader {
                payload_type,
                seq: Seq(number as u16),
                timestamp: RtpTime(*start),
                ssrc: Ssrc(1),
                ..RtpHeader::default()
            };
            if !lost {
                let len = header.write_packet(payload, &mut datagram)?;
                receiver.receive(now, &datagram[..len])?;
            }
        }
        let played = receiver.play(now, &mut table, &mut tick);
        let silence = if begun { 0 } else { (played.silence as usize).min(tick.len()) };
        begun |= silence < tick.len();
        pcm.extend_from_slice(&tick[silence..]);
        now += Duration::from_millis(10);
    }
    pcm.truncate(whole);
    let stats = receiver.stats();
    let seconds = |samples: u64| samples as f64 / f64::from(info.sample_rate_hz);
    print(&format!(
        "{} of {} frames lost; {:.2} s concealed, {:.2} s recovered\n",
        lost.iter().filter(|lost| **lost).count(),
        lost.len(),
        seconds(stats.concealed_samples),
        seconds(stats.recovered_samples),
    ))?;
    Ok(pcm)
}
