//! `media-core decode`: a codec's payloads to a WAV file, all of them or through losses.
//!
//! Without losses the decoder works alone, sample for sample. With losses the payloads that are left take the same way as in a
//! call: they go as RTP packets through the receiver, which recovers, conceals and joins. They arrive in time, so that the
//! receiver's fixed delay is the only one, and it is removed.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use dsp_core::codec::{Decoder, PayloadTable};
use dsp_core::receive::{DelayConfig, ReceiverConfig};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpHeader;
use host_std::opus::{MAX_PACKET_TICKS, OpusEncoderConfig};
use host_std::opus_file::OpusFile;
use host_std::receiver::AnyReceiver;
use host_std::simulate::netsim::{Network, NetworkConfig};
use host_std::wav::WavSink;

use super::encode::{Coding, EncoderSetup};
use super::settings::Concealment;
use super::signals::Stop;
use super::{Outcome, number_in, print};

/// Decode raw payloads, or an Ogg file of Opus, to a WAV file
///
/// Raw payloads are those of `media-core encode` or ffmpeg's: frames of one size, without anything between them.
#[derive(ClapArgs)]
pub(super) struct DecodeArgs {
    #[command(flatten)]
    coding: Coding,
    /// Frames lost, in percent: the rest goes through the receiver of a call, which conceals
    #[arg(help_heading = "Losses", long, value_parser = |s: &str| number_in(s, 0.0, 100.0), value_name = "PERCENT")]
    lose: Option<f64>,
    /// Mean length of a loss in frames; 1: each frame is lost or not by itself
    #[arg(help_heading = "Losses", long, default_value_t = 1.0, value_parser = |s: &str| number_in(s, 1.0, 100.0),
        value_name = "FRAMES", requires = "lose")]
    burst: f64,
    /// Seed of the losses: the same loses the same frames
    #[arg(help_heading = "Losses", long, default_value_t = 1, value_name = "NUMBER", requires = "lose")]
    seed: u64,
    /// Who makes the sound of what is lost; iLBC and Opus always do it themselves
    #[arg(help_heading = "Losses", long, value_enum, default_value_t, value_name = "WHO", requires = "lose")]
    concealment: Concealment,
    /// How much to decode, in seconds [default: all of it, and a failure if that is more than an hour]
    #[arg(long, value_parser = |s: &str| number_in(s, 0.001, 864_000.0), value_name = "S")]
    seconds: Option<f64>,
    /// The payloads
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The WAV file to write; one that is there is replaced
    #[arg(value_name = "OUT.wav")]
    output: PathBuf,
}

/// The longest sound that is written without `--seconds`, in seconds: a small file may hold days of it.
const LONGEST_S: f64 = 3_600.0;
/// No Ogg file of more bytes is read: its packets are held in memory, its sound is not. A day at 24 kbit/s.
const LONGEST_OGG: u64 = 256 << 20;

/// The payloads of a file, one after another, and which of the sound they make is to be heard.
struct Payloads {
    setup: EncoderSetup,
    payloads: Box<dyn Iterator<Item = Result<Vec<u8>, String>>>,
    /// Samples a channel.
    skip: u64,
    heard: u64,
    gain: f64,
}

pub(super) fn run(args: &DecodeArgs) -> Outcome {
    super::apart(&args.input, &args.output)?;
    args.concealment.check(std::slice::from_ref(&args.coding.codec))?;
    let Payloads { setup, payloads, skip, heard, gain } =
        if args.coding.codec.is("opus") { read_opus(args)? } else { read_raw(args)? };
    let mut payloads = payloads.peekable();
    if payloads.peek().is_none() {
        return Err(format!("{} has no payloads", args.input.display()).into());
    }
    let (rate_hz, channels) = (setup.description.sample_rate_hz, setup.channels());
    let limit_s = args.seconds.unwrap_or(LONGEST_S);
    let sink = WavSink::replace(&args.output, rate_hz, channels as u16)?;
    let mut sound = Sound {
        sink,
        skip: skip * channels as u64,
        left: heard.saturating_mul(channels as u64),
        room: (limit_s * f64::from(rate_hz)) as u64 * channels as u64,
        seconds: args.seconds,
        gain,
        input: args.input.clone(),
        stop: Stop::listen(),
    };
    match args.lose {
        None => decode(&setup, payloads, &mut sound)?,
        Some(percent) => {
            let config =
                NetworkConfig { loss_percent: percent, burst: args.burst, delay_ms: 0.0, ..NetworkConfig::default() };
            let mut network = Network::new(config, args.seed);
            through_receiver(&setup, payloads, || network.carry(Instant::ZERO)[0].is_none(), &mut sound)?;
        }
    }
    Ok(sound.sink.finish()?)
}

/// A WAV file that begins and ends where its sound is to be heard.
struct Sound {
    sink: WavSink,
    /// Samples, all channels together.
    skip: u64,
    left: u64,
    /// Samples that may still be written, and what the user said of that.
    room: u64,
    seconds: Option<f64>,
    gain: f64,
    input: PathBuf,
    stop: Stop,
}

impl Sound {
    fn write(&mut self, pcm: &[i16]) -> Outcome {
        let skip = self.skip.min(pcm.len() as u64) as usize;
        self.skip -= skip as u64;
        let pcm = &pcm[skip..];
        let mut pcm = &pcm[..self.left.min(pcm.len() as u64) as usize];
        self.left -= pcm.len() as u64;
        if pcm.len() as u64 > self.room {
            if self.seconds.is_none() {
                let input = self.input.display();
                return Err(format!("{input} lasts more than {LONGEST_S} s: say how much of it with --seconds").into());
            }
            pcm = &pcm[..self.room as usize];
            self.left = 0;
        }
        self.room -= pcm.len() as u64;
        self.stop.check()?;
        if self.gain == 1.0 {
            return Ok(self.sink.write(pcm)?);
        }
        let louder: Vec<_> = pcm.iter().map(|&sample| (f64::from(sample) * self.gain).round() as i16).collect();
        Ok(self.sink.write(&louder)?)
    }
}

fn read_raw(args: &DecodeArgs) -> Result<Payloads, Box<dyn Error>> {
    let setup = args.coding.setup(48_000, OpusEncoderConfig::default(), args.concealment)?;
    let path = args.input.clone();
    let mut file = BufReader::new(File::open(&path).map_err(|error| cannot_read(&path, &error))?);
    // Any octets at all are sound to some codecs; these four are surely none.
    for (magic, what) in [(b"OggS", "an Ogg file (--codec opus)"), (b"RIFF", "a WAV file")] {
        if file.fill_buf().map_err(|error| cannot_read(&path, &error))?.starts_with(magic) {
            return Err(format!("{} is {what}, not raw payloads of {}", path.display(), args.coding.codec).into());
        }
    }
    let (bytes, decoder) = (setup.payload_bytes()?, setup.decoder()?);
    let mut number = 0;
    let payloads = std::iter::from_fn(move || {
        let mut payload = Vec::with_capacity(bytes);
        match file.by_ref().take(bytes as u64).read_to_end(&mut payload) {
            Err(error) => return Some(Err(cannot_read(&path, &error))),
            Ok(0) => return None,
            Ok(_) => {}
        }
        number += 1;
        // The last frame of a codec that codes sample by sample may be shorter.
        if payload.len() < bytes && decoder.duration(&payload).is_err() {
            let (path, got) = (path.display(), payload.len());
            return Some(Err(format!("{path} ends within frame {}: {got} bytes of {bytes}", number - 1)));
        }
        Some(Ok(payload))
    });
    Ok(Payloads { setup, payloads: Box::new(payloads), skip: 0, heard: u64::MAX, gain: 1.0 })
}

fn read_opus(args: &DecodeArgs) -> Result<Payloads, Box<dyn Error>> {
    if args.coding.frame_ms.is_some() {
        return Err("--frame-ms: the packets of Opus say it themselves".into());
    }
    let OpusFile { head, packets, ticks, .. } = read_ogg(&args.input)?;
    let coding = Coding {
        codec: args.coding.codec.clone(),
        channels: Some(args.coding.channels.unwrap_or(head.channels)),
        ..args.coding
    };
    let setup = coding.setup(head.input_rate_hz, OpusEncoderConfig::default(), args.concealment)?;
    let samples = |ticks: u64| ticks * u64::from(setup.description.sample_rate_hz) / 48_000;
    let (skip, heard) = (samples(head.pre_skip.into()), samples(ticks));
    Ok(Payloads { setup, payloads: Box::new(packets.into_iter().map(Ok)), skip, heard, gain: head.gain() })
}

/// Reads a whole Ogg file of Opus, and reports its oddities.
pub(super) fn read_ogg(path: &Path) -> Result<OpusFile, Box<dyn Error>> {
    let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
    if file.metadata().is_ok_and(|file| file.len() > LONGEST_OGG) {
        return Err(format!("{}: an Ogg file of more than {} MiB", path.display(), LONGEST_OGG >> 20).into());
    }
    let read = OpusFile::read(BufReader::new(file));
    let read = read.map_err(|error| format!("{}: {}", path.display(), super::chain(&error)))?;
    super::mind(path, &read.remarks);
    Ok(read)
}

fn cannot_read(path: &Path, error: &std::io::Error) -> String {
    format!("cannot read {}: {error}", path.display())
}

/// Room for the longest payload, of Opus or of this codec.
fn room(setup: &EncoderSetup) -> usize {
    let longest = setup.description.sample_rate_hz as usize * MAX_PACKET_TICKS as usize / 48_000;
    longest.max(setup.samples()) * setup.channels()
}

fn decode(setup: &EncoderSetup, payloads: impl Iterator<Item = Result<Vec<u8>, String>>, sound: &mut Sound) -> Outcome {
    let mut decoder = setup.decoder()?;
    let mut frame = vec![0; room(setup)];
    for (number, payload) in payloads.enumerate() {
        if sound.left == 0 {
            break;
        }
        let samples = decoder.decode(&payload?, &mut frame).map_err(|error| format!("frame {number}: {error}"))?;
        sound.write(&frame[..samples * setup.channels()])?;
    }
    Ok(())
}

/// The one codec that a receiver here knows, whatever number the packets have.
struct Listener(Box<dyn Decoder + Send>);

impl PayloadTable for Listener {
    fn decoder(&mut self, _: PayloadType) -> Option<&mut dyn Decoder> {
        Some(&mut *self.0)
    }
}

/// Delay of the receiver, in ms: three usual packets, of which two may be what a lost one is recovered from.
const DELAY_MS: u32 = 60;
/// The longest wait for the first sound: a receiver that ever starts has started by then.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Plays the payloads that aren't lost as a call does; as long as all of them would be.
fn through_receiver(
    setup: &EncoderSetup,
    mut payloads: impl Iterator<Item = Result<Vec<u8>, String>>,
    mut is_lost: impl FnMut() -> bool,
    sound: &mut Sound,
) -> Outcome {
    let mut listener = Listener(setup.decoder()?);
    let info = listener.0.info();
    let config = ReceiverConfig {
        sample_rate_hz: info.sample_rate_hz,
        rtp_clock_hz: info.rtp_clock_hz,
        delay: DelayConfig::fixed(DELAY_MS),
        ..ReceiverConfig::default()
    };
    let mut receiver = AnyReceiver::new(config, info.channels)?;
    let channels = usize::from(info.channels);
    let samples = |ticks: u64| ticks * u64::from(info.sample_rate_hz) / u64::from(info.rtp_clock_hz);
    // Ticks of 10 ms, near enough where a second has no whole number of hundredths: only arrivals hang on it.
    let mut tick = vec![0; info.sample_rate_hz as usize / 100 * channels];
    let mut datagram = Vec::new();
    // The payload sent last; ticks of the RTP clock up to the next one, and to the end of the file once that's known.
    let (mut last, mut next, mut end) = (Vec::new(), 0u64, None);
    let (mut now, mut seq, mut begun, mut written) = (Instant::ZERO, Seq(0), false, 0u64);
    let (mut frames, mut frames_lost) = (0u64, 0u64);
    'file: while sound.left > 0 {
        while next * 1_000 <= now.as_millis() * u64::from(info.rtp_clock_hz) {
            let (payload, lost) = match payloads.next() {
                Some(payload) => {
                    frames += 1;
                    (payload?, is_lost())
                }
                None => {
                    end.get_or_insert(next);
                    if last.is_empty() {
                        break 'file;
                    }
                    // Packets after the end aren't heard, but without them the receiver would wait.
                    (last.clone(), false)
                }
            };
            let wrong = |error| format!("frame {}: {error}", frames - 1);
            let duration = listener.0.duration(&payload).map_err(wrong)?;
            if lost {
                frames_lost += 1;
            } else {
                if last.is_empty() {
                    // A receiver can't know of packets that are lost before the first one.
                    written += silence(samples(next), channels, sound)?;
                }
                let header = RtpHeader { seq, timestamp: RtpTime(next as u32), ssrc: Ssrc(1), ..RtpHeader::default() };
                datagram.resize(datagram.len().max(64 + payload.len()), 0);
                let len = header.write_packet(&payload, &mut datagram)?;
                receiver.receive(now, &datagram[..len])?;
                last = payload;
            }
            next += u64::from(duration);
            seq = seq.plus(1);
        }
        let played = receiver.play(now, &mut listener, &mut tick);
        let tick_samples = tick.len() / channels;
        let waited = if begun { 0 } else { (played.silence as usize).min(tick_samples) };
        begun |= waited < tick_samples;
        let left = end.map_or(u64::MAX, |end| samples(end).saturating_sub(written));
        let heard = left.min((tick_samples - waited) as u64);
        sound.write(&tick[waited * channels..][..heard as usize * channels])?;
        written += heard;
        now += Duration::from_millis(10);
        // If nothing can be decoded it never begins.
        let in_vain = !begun && end.is_some_and(|end| next > end + LONGEST_WAIT.as_samples(info.rtp_clock_hz));
        if left == heard || in_vain {
            break;
        }
    }
    silence(end.map_or(0, samples).saturating_sub(written), channels, sound)?;
    let stats = receiver.stats();
    let seconds = |samples: u64| samples as f64 / f64::from(info.sample_rate_hz);
    print(&format!(
        "{frames_lost} of {frames} frames lost; {:.2} s concealed, {:.2} s recovered\n",
        seconds(stats.concealed_samples),
        seconds(stats.recovered_samples),
    ))
}

/// Writes this many samples a channel of silence.
fn silence(samples: u64, channels: usize, sound: &mut Sound) -> Result<u64, Box<dyn Error>> {
    let mut left = samples * channels as u64;
    while left > 0 {
        let part = left.min(4_800);
        sound.write(&[0; 4_800][..part as usize])?;
        left -= part;
    }
    Ok(samples)
}
