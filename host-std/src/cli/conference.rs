//! `media-core conference --demo N`: simulated callers of one room, over real sockets, and what each of them heard.

use std::error::Error;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::{Duration as StdDuration, Instant as StdInstant};

use clap::Args as ClapArgs;
use dsp_core::time::{Duration, Instant};
use host_std::opus::OpusEncoderConfig;
use host_std::output::OutputFile;
use host_std::record::recorder::{Layout, Recorder, RecorderConfig};
use host_std::registry::CodecFormat;
use host_std::room::{Room, RoomConfig, TICK_MS};
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, Channel, Identity};
use host_std::simulate::callers::{Arrived, Caller, Carrier, Side, SimulatedLines, tick};
use host_std::simulate::netsim::NetworkConfig;
use host_std::sockets::{SocketConfig, Sockets};
use host_std::wav::{WavFrames, WavSink};
use serde::Serialize;

use super::signals::Stop;
use super::{MAN, Outcome, WOMAN, keep, make_folder, number_in, print};

/// How long each caller speaks at a time, and how much later the next one begins: so two speak at once for a while.
const TURN_MS: u64 = 3_000;
const NEXT_MS: u64 = 2_500;
/// How much later than the one before a caller joins.
const JOIN_MS: u64 = 200;
/// A datagram of a call.
const DATAGRAM_BYTES: usize = 2_048;

/// Simulated callers in one room; hear what each of them heard
///
/// Each caller has a call of his own codec (Opus, G.722, PCMU, PCMA in turn), with SRTP, over a socket of his own, to a leg of
/// the room. They speak one after the other, with some overlap, and each hears all but himself. Into the folder of --out go what each heard
/// (caller-1.wav and so on), the mix (room.wav), and conference.json: who spoke and was heard, when.
#[derive(ClapArgs)]
pub(super) struct Args {
    /// How many callers, 2 to 64
    #[arg(long, required = true, value_parser = clap::value_parser!(u16).range(2..=64), value_name = "CALLERS")]
    demo: u16,
    /// How many are heard at once, the loudest of those who speak [default: all]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64), value_name = "NUMBER")]
    loudest: Option<u16>,
    /// Rate of the room in Hz: 8000, 16000, 32000 or 48000
    #[arg(long, default_value_t = 16_000, value_name = "HZ")]
    rate: u32,
    /// Length in seconds
    #[arg(long, default_value_t = 20.0, value_parser = |s: &str| number_in(s, 1.0, 3_600.0), value_name = "S")]
    seconds: f64,
    /// A WAV file that is played to all, and after how many seconds: FILE@SECONDS
    #[arg(long, value_parser = super::file_at, value_name = "FILE@S")]
    announce: Vec<(PathBuf, f64)>,
    /// Plain RTP instead of SRTP
    #[arg(long)]
    no_srtp: bool,
    /// In virtual time, without sockets, over a network that loses --loss percent
    #[arg(long)]
    fast: bool,
    /// With --fast: packets lost, in percent
    #[arg(long, default_value_t = 0.0, requires = "fast", value_parser = |s: &str| number_in(s, 0.0, 100.0), value_name = "PERCENT")]
    loss: f64,
    /// With --fast: seed of the network and of all that is random
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// Where to write the results; files of an earlier run are replaced
    #[arg(long, default_value = "media-core-conference", value_name = "DIR")]
    out: PathBuf,
}

/// What `conference.json` says of a caller.
#[derive(Serialize)]
struct CallerReport {
    caller: usize,
    codec: String,
    sample_rate_hz: u32,
    joined_ms: u64,
    /// Stretches in which he spoke, in which the others heard him, and in which he was the active speaker, in ms.
    spoke_ms: Vec<[u64; 2]>,
    heard_by_others_ms: Vec<[u64; 2]>,
    active_speaker_ms: Vec<[u64; 2]>,
    clipped_samples: u64,
    packets_received: u64,
    packets_lost: u64,
    concealed_ms: u64,
    mos: Option<f64>,
    heard: String,
}

#[derive(Serialize)]
struct ConferenceReport {
    seconds: f64,
    sample_rate_hz: u32,
    limited_ms: u64,
    callers: Vec<CallerReport>,
}

/// Stretches of time, ever growing.
#[derive(Default)]
struct Stretches(Vec<[u64; 2]>);

impl Stretches {
    fn mark(&mut self, now_ms: u64, yes: bool) {
        if !yes {
            return;
        }
        match self.0.last_mut() {
            Some(last) if last[1] == now_ms => last[1] += u64::from(TICK_MS),
            _ => self.0.push([now_ms, now_ms + u64::from(TICK_MS)]),
        }
    }

    fn total_ms(&self) -> u64 {
        self.0.iter().map(|[begin, end]| end - begin).sum()
    }
}

#[derive(Default)]
struct Seen {
    joined_ms: Option<u64>,
    spoke: Stretches,
    heard: Stretches,
    active: Stretches,
    clipped_samples: u64,
}

/// A socket for each end of each line.
struct SocketLines {
    sockets: Vec<[UdpSocket; 2]>,
    addresses: Vec<[SocketAddr; 2]>,
    at: usize,
    buffer: Vec<u8>,
}

impl SocketLines {
    fn open(callers: usize) -> Result<Self, Box<dyn Error>> {
        let open = || -> Result<UdpSocket, Box<dyn Error>> {
            let socket = Sockets::open(&SocketConfig::default(), false)?.rtp;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let sockets: Vec<[UdpSocket; 2]> =
            (0..callers).map(|_| Ok([open()?, open()?])).collect::<Result<_, Box<dyn Error>>>()?;
        let addresses = sockets
            .iter()
            .map(|[one, two]| Ok([one.local_addr()?, two.local_addr()?]))
            .collect::<Result<_, std::io::Error>>()?;
        Ok(Self { sockets, addresses, at: 0, buffer: vec![0; DATAGRAM_BYTES] })
    }
}

impl Carrier for SocketLines {
    fn send(&mut self, caller: usize, from: Side, _: Instant, _: Channel, datagram: &[u8]) {
        let (from, to) = if from == Side::Caller { (0, 1) } else { (1, 0) };
        // What the loopback device can't take is lost, as on any network.
        let _ = self.sockets[caller][from].send_to(datagram, self.addresses[caller][to]);
    }

    fn arrived(&mut self, now: Instant) -> Option<Arrived> {
        while self.at < 2 * self.sockets.len() {
            let (caller, end) = (self.at / 2, self.at % 2);
            match self.sockets[caller][end].recv_from(&mut self.buffer) {
                Ok((bytes, from)) => {
                    return Some(Arrived {
                        caller,
                        to: if end == 0 { Side::Caller } else { Side::Leg },
                        at: now,
                        from,
                        // Both come to one port.
                        channel: Channel::Rtp,
                        bytes: self.buffer[..bytes].to_vec(),
                    });
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.at += 1,
            }
        }
        self.at = 0;
        None
    }
}

pub(super) fn run(args: &Args) -> Outcome {
    let count = usize::from(args.demo);
    let capacity = count + args.announce.len();
    let loudest = args.loudest.and_then(NonZeroU16::new);
    let mut room = Room::new(RoomConfig { sample_rate_hz: args.rate, capacity, loudest })?;
    make_folder(&args.out)?;
    let lines = if args.fast { None } else { Some(SocketLines::open(count)?) };
    let mut callers = Vec::with_capacity(count);
    for number in 0..count {
        callers.push(caller(args, number, &room, lines.as_ref())?);
    }
    let path = args.out.join("room.wav");
    let recorder =
        RecorderConfig { sample_rate_hz: args.rate, tracks: 1, layout: Layout::Mixed, ..RecorderConfig::new(path) };
    let (recorder, mut tracks) = Recorder::start(recorder)?;
    room.set_track(tracks.pop());

    let mut seen: Vec<Seen> = (0..count).map(|_| Seen::default()).collect();
    let limited = match lines {
        Some(mut lines) => run_for(args, &mut room, &mut callers, &mut lines, &mut seen)?,
        None => {
            let network = NetworkConfig { loss_percent: args.loss, ..NetworkConfig::default() };
            let mut lines = SimulatedLines::new(count, network, args.seed);
            run_for(args, &mut room, &mut callers, &mut lines, &mut seen)?
        }
    };
    room.set_track(None);
    let recorded = recorder.stop()?;
    report(args, room.ticks() * u64::from(TICK_MS), limited, &mut callers, &seen, recorded.refused_samples)
}

/// A caller with his speech, which he says in his turn.
fn caller(args: &Args, number: usize, room: &Room, lines: Option<&SocketLines>) -> Result<Caller, Box<dyn Error>> {
    let formats = [CodecFormat::opus(), CodecFormat::g722(), CodecFormat::pcmu(), CodecFormat::pcma()];
    let format = &formats[number % formats.len()];
    let call = |end: usize| -> Result<Call, Box<dyn Error>> {
        let (port, identity) = match lines {
            Some(lines) => (lines.addresses[number][end].port(), Identity::random()?),
            None => {
                let seed = args.seed.wrapping_mul(1_000).wrapping_add((2 * number + end) as u64);
                (10_000 + 4 * number as u16 + 2 * end as u16, Identity::seeded(seed))
            }
        };
        Ok(Call::new(CallConfig {
            codecs: vec![format.clone()],
            registry: super::settings::registry(OpusEncoderConfig::default(), super::settings::Concealment::default()),
            srtp: if args.no_srtp { SrtpPolicy::Off } else { SrtpPolicy::Required },
            ..CallConfig::with_identity(port, identity)
        })?)
    };
    let joins = Instant::from_millis(JOIN_MS * number as u64);
    let mut caller = Caller::connect(call(0)?, call(1)?, room, joins, None)?;
    let rate_hz = caller.sample_rate_hz();
    let (name, voice) = if number.is_multiple_of(2) { ("woman", WOMAN) } else { ("man", MAN) };
    let voice = WavFrames::from_bytes(name, voice, rate_hz, 1)?.read_all(Duration::from_secs(60))?;
    // All take turns, and begin again when the last one has spoken.
    let samples = |ms: u64| (ms * u64::from(rate_hz) / 1_000) as usize;
    let round = NEXT_MS * u64::from(args.demo);
    let mut speech = vec![0; samples(round.max(TURN_MS))];
    let begin = samples(NEXT_MS * number as u64);
    for n in 0..samples(TURN_MS) {
        let at = (begin + n) % speech.len();
        speech[at] = voice[(n + samples(700 * number as u64)) % voice.len()];
    }
    caller.speech = speech;
    Ok(caller)
}

/// Runs to the end; how many ticks the limiter worked.
fn run_for(
    args: &Args,
    room: &mut Room,
    callers: &mut [Caller],
    lines: &mut impl Carrier,
    seen: &mut [Seen],
) -> Result<u64, Box<dyn Error>> {
    let stop = Stop::listen();
    let mut announcements = keep::schedule(&args.announce, room.sample_rate_hz(), 1)?.into_iter().peekable();
    let begin = StdInstant::now();
    for number in 0..(args.seconds * 1_000.0) as u64 / u64::from(TICK_MS) {
        if stop.asked() {
            break;
        }
        let now_ms = number * u64::from(TICK_MS);
        if !args.fast {
            std::thread::sleep((begin + StdDuration::from_millis(now_ms)).saturating_duration_since(StdInstant::now()));
        }
        while let Some(due) = announcements.next_if(|announcement| announcement.at.as_millis() <= now_ms) {
            room.announce(due.player)?;
        }
        tick(room, callers, lines, Instant::from_millis(now_ms))?;
        let active = room.active_speaker();
        for stats in room.members() {
            let Some(number) = callers.iter().position(|caller| caller.member() == Some(stats.id)) else { continue };
            let seen = &mut seen[number];
            seen.joined_ms.get_or_insert(now_ms);
            seen.spoke.mark(now_ms, stats.speaks);
            seen.heard.mark(now_ms, stats.speaks && stats.port.heard);
            seen.active.mark(now_ms, active == Some(stats.id));
            seen.clipped_samples = stats.port.clipped_samples;
        }
    }
    Ok(room.limiter().limited_frames)
}

fn report(
    args: &Args,
    length_ms: u64,
    limited_ticks: u64,
    callers: &mut [Caller],
    seen: &[Seen],
    refused_samples: u64,
) -> Outcome {
    let mut reports = Vec::with_capacity(callers.len());
    let mut text = format!(
        "{:<7}{:<7}{:>8}{:>8}{:>8}{:>8}{:>7}{:>6}\n",
        "caller", "codec", "joined", "spoke", "heard", "active", "lost", "MOS"
    );
    for (number, (caller, seen)) in callers.iter_mut().zip(seen).enumerate() {
        let heard = format!("caller-{}.wav", number + 1);
        let mut sink = WavSink::replace(args.out.join(&heard), caller.sample_rate_hz(), 1)?;
        sink.write(&caller.heard)?;
        sink.finish()?;
        let stats = caller.call.stats();
        let reception = stats.receiver.reception;
        let codec = caller.call.codec().map(|codec| codec.name.to_lowercase()).unwrap_or_default();
        let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1_000.0);
        let mos = stats.mos_cq.or(stats.mos_lq);
        text += &format!(
            "{:<7}{:<7}{:>8}{:>8}{:>8}{:>8}{:>7}{:>6}\n",
            number + 1,
            codec,
            seconds(seen.joined_ms.unwrap_or(0)),
            seconds(seen.spoke.total_ms()),
            seconds(seen.heard.total_ms()),
            seconds(seen.active.total_ms()),
            reception.expected.saturating_sub(reception.received),
            mos.map_or("-".into(), |mos| format!("{mos:.2}")),
        );
        reports.push(CallerReport {
            caller: number + 1,
            codec,
            sample_rate_hz: caller.sample_rate_hz(),
            joined_ms: seen.joined_ms.unwrap_or(0),
            spoke_ms: seen.spoke.0.clone(),
            heard_by_others_ms: seen.heard.0.clone(),
            active_speaker_ms: seen.active.0.clone(),
            clipped_samples: seen.clipped_samples,
            packets_received: reception.received,
            packets_lost: reception.expected.saturating_sub(reception.received),
            concealed_ms: stats.receiver.concealed_samples * 1_000 / u64::from(caller.sample_rate_hz()),
            mos,
            heard,
        });
    }
    let report = ConferenceReport {
        seconds: length_ms as f64 / 1_000.0,
        sample_rate_hz: args.rate,
        limited_ms: limited_ticks * u64::from(TICK_MS),
        callers: reports,
    };
    let mut file = OutputFile::create(args.out.join("conference.json"))?;
    serde_json::to_writer_pretty(&mut file, &report)?;
    file.finish()?;
    print(&text)?;
    if refused_samples > 0 {
        super::tell(&format!("media-core: mind: the disk was too slow for {refused_samples} samples of room.wav\n"));
    }
    print(&format!("What each of them heard, the mix and conference.json are in {}\n", args.out.display()))
}
