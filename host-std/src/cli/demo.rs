//! `media-core demo`: two endpoints, offer and answer, SRTP, and a bad network between them.

mod results;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use clap::Args as ClapArgs;
use dsp_core::time::{Duration, Instant, NtpTime};
use host_std::device::AudioIo;
use host_std::opus::OpusEncoderConfig;
use host_std::record::call::CallRecorder;
use host_std::report::KeptReport;
use host_std::sdp::FeedbackOptions;
use host_std::session::driver::{Clock, Command, Driver, Ended, Status};
use host_std::session::{AdaptationConfig, Call, CallConfig, CaptureConfig, Identity};
use host_std::simulate::ambience::{Ambience, AmbienceError};
use host_std::simulate::bottleneck::BottleneckConfig;
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::proxy::Proxy;
use host_std::simulate::room::{AcousticRoom, AcousticRoomConfig, RoomError};
use host_std::simulate::virtual_time::VirtualTime;
use host_std::sockets::{SocketConfig, Sockets};
use host_std::wav::{WavError, WavFrames, WavSource};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

use results::write_results;

use super::chain::{CaptureArgs, detector};
use super::codecs::CodecName;
use super::digits::DigitArgs;
use super::keep::{self, KeepArgs};
use super::security::SrtpArgs;
use super::settings::{self, Concealment, OpusArgs, Repeated};
use super::signals::{Stop, asked_to_end};
use super::{MAN, Outcome, WOMAN, digits, make_folder, mind, number_in, print};

/// The longest input that is read: its samples are kept in memory.
const LONGEST_INPUT: Duration = Duration::from_secs(600);

/// Two endpoints talk through a bad network; hear what each side heard, and see what happened
///
/// Both run on this machine: SDP offer and answer, SRTP, and UDP sockets on loopback with a proxy between them that
/// loses, delays, reorders and repeats packets. Into the folder of --out go the sound that each side heard
/// (a-heard.wav, b-heard.wav), a capture of the packets (call.pcap) with its keys (call.keys), and the report
/// (report.html, report.json).
#[derive(ClapArgs)]
#[command(after_help = "Then open report.html in a browser: it shows and plays both sides of the call.")]
pub(super) struct DemoArgs {
    /// Codec of the call: opus, g722, pcmu, pcma, ilbc, ilbc30 or l16 (see `media-core codecs`)
    #[arg(long, default_value = "opus", value_name = "NAME")]
    codec: CodecName,
    /// Packets lost, in percent
    #[arg(help_heading = "Network", long, default_value_t = 5.0, value_parser = |s: &str| number_in(s, 0.0, 100.0), value_name = "PERCENT")]
    loss: f64,
    /// Mean number of packets that are lost in a row; with 1, each packet is lost or not independently of the others
    #[arg(help_heading = "Network", long, default_value_t = 2.0, value_parser = |s: &str| number_in(s, 1.0, 100.0), value_name = "PACKETS")]
    burst: f64,
    /// Standard deviation of the network's delay, in ms
    #[arg(help_heading = "Network", long, default_value_t = 30.0, value_parser = |s: &str| number_in(s, 0.0, 2000.0), value_name = "MS")]
    jitter: f64,
    /// Constant part of the network's delay, one way, in ms
    #[arg(help_heading = "Network", long, default_value_t = 20.0, value_parser = |s: &str| number_in(s, 0.0, 2000.0), value_name = "MS")]
    delay: f64,
    /// Packets overtaken by later ones, in percent [default: 1, or 0 without jitter]
    #[arg(help_heading = "Network", long, value_parser = |s: &str| number_in(s, 0.0, 100.0), value_name = "PERCENT")]
    reorder: Option<f64>,
    /// Packets that arrive twice, in percent
    #[arg(help_heading = "Network", long, default_value_t = 0.0, value_parser = |s: &str| number_in(s, 0.0, 100.0), value_name = "PERCENT")]
    duplicate: f64,
    /// Rate of the narrowest link in each direction, in kbit/s, IP headers included
    #[arg(help_heading = "Network", long, value_parser = |s: &str| number_in(s, 1.0, 1e6), value_name = "KBIT/S")]
    bottleneck: Option<f64>,
    /// Longest time that a packet may wait for the narrowest link, in ms
    #[arg(help_heading = "Network", long, default_value_t = 200.0, value_parser = |s: &str| number_in(s, 0.0, 60_000.0),
        requires = "bottleneck", value_name = "MS")]
    queue: f64,
    /// Adapt bit rate, packet length and redundancy to the network, by feedback on each packet
    #[arg(help_heading = "Network", long)]
    adapt: bool,
    /// How much faster B's audio clock runs than A's, in parts per million
    #[arg(help_heading = "Network", long, default_value_t = 0.0, value_parser = |s: &str| number_in(s, -1000.0, 1000.0), value_name = "PPM")]
    drift_ppm: f64,
    /// Length of the call in seconds
    #[arg(long, default_value_t = 20.0, value_parser = |s: &str| number_in(s, 1.0, 3_600.0), value_name = "S")]
    seconds: f64,
    /// Packet length in ms, from 10 to 60
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(10..=60), value_name = "MS")]
    ptime: u32,
    /// Channels of the sound and of the inputs: 2 makes a stereo call, with opus or l16
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2), value_name = "NUMBER")]
    channels: u8,
    /// Don't send silence: Opus has its own means for that, other codecs use comfort noise
    #[arg(long)]
    dtx: bool,
    /// Find the pauses by the capture chain's voice detector instead of by level, whatever the codec, and let it gate
    /// --agc; 0 sends the most, 3 takes the least noise for speech
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=3), num_args = 0..=1,
        default_missing_value = "2", requires = "dtx", value_name = "0-3")]
    vad: Option<u8>,
    /// What conceals lost packets; iLBC and Opus always do so themselves
    #[arg(long, value_enum, default_value_t, value_name = "WHO")]
    concealment: Concealment,
    /// Give both sides a loudspeaker instead of a headset, in a room whose reverberation (RT60) lasts this many ms, 20
    /// to 250: each microphone hears what the other side says, 20 ms later and about 6 dB weaker
    #[arg(long, value_parser = |s: &str| number_in(s, 20.0, 250.0), value_name = "MS")]
    echo: Option<f64>,
    /// WAV file of noise around both microphones, repeated when it ends; each side begins at another place in it
    #[arg(long, value_name = "WAV")]
    noise: Option<PathBuf>,
    /// How far the noise is below the active level of each side's speech (ITU-T P.56), in dB [default: 10]
    #[arg(long, value_parser = |s: &str| number_in(s, -20.0, 60.0), requires = "noise", value_name = "DB")]
    snr: Option<f64>,
    /// Seed of the network and the rooms and, with --fast, of everything else that is random
    #[arg(help_heading = "Run and results", long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// WAV file of what A says; given a second time, of what B says [default: speech that comes with the program]
    #[arg(long, value_name = "WAV")]
    input: Vec<PathBuf>,
    /// How many of the packets before it each packet repeats, against losses (RFC 2198), 0 to 4; auto repeats one while
    /// the other side reports losses
    #[arg(long, default_value = "0", value_parser = Repeated::parse, allow_negative_numbers = true, value_name = "PACKETS")]
    red: Repeated,
    #[command(flatten)]
    srtp: SrtpArgs,
    /// Run in real time, over real sockets (the default)
    #[arg(help_heading = "Run and results", long, conflicts_with = "fast")]
    realtime: bool,
    /// Run in virtual time, without sockets: as fast as the machine can, and with the same bits for the same seed
    #[arg(help_heading = "Run and results", long)]
    fast: bool,
    /// Where to write the results; files of an earlier demo are replaced
    #[arg(help_heading = "Run and results", long, default_value = "media-core-call", value_name = "DIR")]
    out: PathBuf,
    /// Print report.json instead of the summary
    #[arg(help_heading = "Run and results", long)]
    json: bool,
    #[command(flatten)]
    digits: DigitArgs,
    #[command(flatten)]
    keep: KeepArgs,
    #[command(flatten)]
    microphone: CaptureArgs,
    #[command(flatten)]
    opus: OpusArgs,
}

impl DemoArgs {
    /// Returns the share of packets that are overtaken, in percent: by default none where there is no jitter.
    fn reorder_percent(&self) -> f64 {
        self.reorder.unwrap_or(if self.jitter > 0.0 { 1.0 } else { 0.0 })
    }
}

/// The ratio of speech to noise where `--snr` isn't given, in dB.
const USUAL_SNR_DB: f64 = 10.0;
/// The ports that the capture shows for a call in virtual time, which has no sockets.
const VIRTUAL_PORTS: [u16; 2] = [4_000, 5_000];
/// The wall clock when a call in virtual time begins: 2026-01-01 00:00 UTC.
const VIRTUAL_EPOCH_MICROS: u64 = 1_767_225_600_000_000;

/// The settings that follow from the options.
struct Setup {
    rate_hz: u32,
    network: NetworkConfig,
    opus: OpusEncoderConfig,
}

/// The results of a finished run: of A first, then of B.
struct Run {
    calls: [Call; 2],
    recorders: [CallRecorder; 2],
    addresses: [SocketAddr; 2],
    unix_micros_at_zero: u64,
    /// Length of the call in seconds: less than `--seconds` if the user ended it.
    seconds: f64,
    /// The error, if there was one.
    failure: Option<String>,
    kept: KeptReport,
}

pub(super) fn run(args: DemoArgs) -> Outcome {
    if args.input.len() > 2 {
        return Err("--input is given at most twice: for A and for B".into());
    }
    let codecs = std::slice::from_ref(&args.codec);
    args.concealment.check(codecs)?;
    args.opus.check_call(codecs)?;
    settings::check_channels(args.channels, codecs)?;
    if args.fast {
        args.keep.check_fast()?;
    }
    let network = NetworkConfig {
        loss_percent: args.loss,
        burst: args.burst,
        delay_ms: args.delay,
        jitter_ms: args.jitter,
        reorder_percent: args.reorder_percent(),
        duplicate_percent: args.duplicate,
    };
    let rate_hz = call_rate_hz(&args)?;
    let setup = Setup { rate_hz, network, opus: opus_config(&args, rate_hz)? };
    let speech = |n: usize, bundled| speech(args.input.get(n), bundled, rate_hz, args.channels);
    let speech = [speech(0, WOMAN)?, speech(1, MAN)?];
    let ambiences = ambiences(&args, rate_hz, &speech)?;
    let run = if args.fast {
        run_fast(&args, &setup, speech.clone(), ambiences)?
    } else {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(run_realtime(&args, &setup, speech.clone(), ambiences))?
    };
    let report = write_results(&args, &setup, &run, &speech)?;
    if args.json {
        print(&(report.to_json() + "\n"))?;
    } else {
        print(&format!("{report}\nWritten: {}\n", args.out.join("report.html").display()))?;
    }
    run.failure.map_or(Ok(()), |failure| Err(failure.into()))
}

/// The rate of the call's sound in Hz: the codec's own, or for Opus and L16 one that suits the first input.
fn call_rate_hz(args: &DemoArgs) -> Result<u32, Box<dyn Error>> {
    let input_hz = match args.input.first() {
        Some(path) => WavSource::open(path, 16_000)?.spec().sample_rate,
        None => 16_000,
    };
    Ok(args.codec.rate_for(input_hz))
}

fn speech(path: Option<&PathBuf>, bundled: &'static [u8], rate_hz: u32, channels: u8) -> Result<Vec<i16>, WavError> {
    let source = match path {
        Some(path) => WavFrames::open(path, rate_hz, channels)?,
        None => WavFrames::from_bytes("the bundled speech", bundled, rate_hz, channels)?,
    };
    if let Some(path) = path {
        mind(path, source.remarks());
    }
    source.read_all(LONGEST_INPUT)
}

fn opus_config(args: &DemoArgs, rate_hz: u32) -> Result<OpusEncoderConfig, Box<dyn Error>> {
    let usual = OpusEncoderConfig::default();
    args.opus.config(OpusEncoderConfig {
        // With a codec that isn't Opus its settings don't matter, but they must be possible.
        sample_rate_hz: if args.codec.is("opus") { rate_hz } else { usual.sample_rate_hz },
        channels: args.channels,
        dtx: args.dtx,
        expected_loss_percent: args.loss.clamp(0.0, 30.0) as u8,
        ..usual
    })
}

fn new_call(
    args: &DemoArgs,
    setup: &Setup,
    port: u16,
    identity: Identity,
    wall: NtpTime,
) -> Result<Call, Box<dyn Error>> {
    let config = CallConfig {
        codecs: vec![args.codec.format(setup.rate_hz, args.channels)?],
        registry: settings::registry(setup.opus, args.concealment),
        comfort_noise: args.dtx,
        redundancy: args.red.packets,
        redundancy_on_loss: args.red.on_loss,
        ptime_ms: args.ptime,
        srtp: args.srtp.policy(),
        srtp_options: args.srtp.options(),
        wall_clock: wall,
        // A sender that follows the network does so soonest where it hears of each packet.
        feedback: FeedbackOptions { profile: args.adapt, ..FeedbackOptions::default() },
        adaptation: args.adapt.then(|| AdaptationConfig::with_copies(args.red.packets)),
        capture: CaptureConfig { detector: args.vad.map(detector), ..args.microphone.config() },
        metering: true,
        ..CallConfig::with_identity(port, identity)
    };
    let mut call = Call::new(args.digits.config(config))?;
    call.set_tap(Box::new(CallRecorder::with_arrivals()));
    Ok(call)
}

/// The room of a side, or none where it has a headset.
fn room(args: &DemoArgs, side: u64, sample_rate_hz: u32, channels: u8) -> Result<Option<AcousticRoom>, RoomError> {
    let seed = args.seed.wrapping_mul(2).wrapping_add(side);
    let config = args.echo.map(|tail_ms| AcousticRoomConfig { tail_ms, seed, ..AcousticRoomConfig::default() });
    config.map(|config| AcousticRoom::new(config, sample_rate_hz, channels)).transpose()
}

/// The noise around each side's microphone, if there is any.
fn ambiences(args: &DemoArgs, rate_hz: u32, speech: &[Vec<i16>; 2]) -> Result<[Option<Ambience>; 2], Box<dyn Error>> {
    let Some(path) = &args.noise else { return Ok([None, None]) };
    let source = WavFrames::open(path, rate_hz, args.channels)?;
    mind(path, source.remarks());
    let noise: Arc<[i16]> = source.read_all(LONGEST_INPUT)?.into();
    let snr_db = args.snr.unwrap_or(USUAL_SNR_DB);
    let ambience = |side: usize, from| {
        let made = Ambience::new(noise.clone(), &speech[side], rate_hz, args.channels, snr_db, from);
        made.map_err(|error| match error {
            AmbienceError::SilentNoise => format!("{} is silent: that is no noise", path.display()),
            error => format!("--snr {snr_db}: {error}"),
        })
    };
    Ok([Some(ambience(0, 0.0)?), Some(ambience(1, 0.5)?)])
}

/// The narrow link of each direction, if there is one.
fn bottleneck(args: &DemoArgs) -> Option<BottleneckConfig> {
    let config = |kbit: f64| BottleneckConfig { rate_bps: kbit * 1e3, queue_ms: args.queue, bulk: None };
    args.bottleneck.map(config)
}

/// Takes the recorder out of a call.
fn recorder(call: &mut Call) -> CallRecorder {
    call.take_tap::<CallRecorder>().map(|recorder| *recorder).unwrap_or_default()
}

fn progress(args: &DemoArgs) -> ProgressBar {
    let bar = if args.json { ProgressBar::hidden() } else { ProgressBar::new((args.seconds * 1_000.0) as u64) };
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {percent:>3} %");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
    bar.set_message("calling");
    bar
}

fn run_fast(
    args: &DemoArgs,
    setup: &Setup,
    speech: [Vec<i16>; 2],
    ambiences: [Option<Ambience>; 2],
) -> Result<Run, Box<dyn Error>> {
    let wall = NtpTime::from_unix_micros(VIRTUAL_EPOCH_MICROS);
    let identity = |side: u64| Identity::seeded(args.seed.wrapping_mul(2).wrapping_add(side));
    let calls = [
        new_call(args, setup, VIRTUAL_PORTS[0], identity(0), wall)?,
        new_call(args, setup, VIRTUAL_PORTS[1], identity(1), wall)?,
    ];
    let addresses = VIRTUAL_PORTS.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut simulation = VirtualTime::connect(calls, addresses, setup.network, args.drift_ppm, args.seed)?;
    if let Some(link) = bottleneck(args) {
        simulation.set_bottlenecks(link);
    }
    make_folder(&args.out)?;
    args.keep.check_apart(&args.out)?;
    let [a, b] = speech;
    simulation.ends[0].speech = a;
    simulation.ends[1].speech = b;
    for ((end, side), ambience) in simulation.ends.iter_mut().zip(0..).zip(ambiences) {
        end.room = room(args, side, end.sample_rate_hz(), end.channels())?;
        end.ambience = ambience;
    }
    let bar = progress(args);
    let end_ms = (args.seconds * 1_000.0) as u64;
    let mut at_ms = 0;
    let stop = Stop::listen();
    let mut pressed = args.digits.pressed().into_iter().peekable();
    let mut tones = args.digits.tones().into_iter().peekable();
    let (rate_hz, channels) = (simulation.ends[0].sample_rate_hz(), simulation.ends[0].channels());
    let kept = args.keep.start(&mut simulation.ends[0].call, Instant::ZERO, rate_hz, channels)?;
    let mut watch = kept.watch();
    let mut announcements = args.keep.announcements(rate_hz, channels)?.into_iter().peekable();
    while at_ms < end_ms && !stop.asked() {
        let due = pressed.next_if(|pressed| pressed.at.as_millis() as u64 <= at_ms);
        if let Some(due) = due {
            simulation.ends[0].call.send_digits(&due.keys)?;
            continue;
        }
        if let Some((_, tone)) = tones.next_if(|(at, _)| at.as_millis() as u64 <= at_ms) {
            simulation.ends[0].call.send_tone(&tone)?;
            continue;
        }
        if let Some(due) = announcements.next_if(|announcement| announcement.at.as_millis() <= at_ms) {
            keep::announce(&mut simulation.ends[0].call, due.player);
            continue;
        }
        let next = pressed.peek().map_or(u64::MAX, |pressed| pressed.at.as_millis() as u64);
        let next = tones.peek().map_or(next, |(at, _)| next.min(at.as_millis() as u64));
        let next = announcements.peek().map_or(next, |announcement| next.min(announcement.at.as_millis()));
        at_ms = (at_ms + 1_000).min(end_ms).min(next);
        simulation.run_until(Instant::from_millis(at_ms));
        kept.keep_pace(rate_hz, Duration::from_millis(at_ms));
        watch.look();
        bar.set_position(at_ms);
    }
    bar.finish_and_clear();
    let keep::FinishedRecordings { report: kept, failure } = kept.finish(args.json)?;
    let mut calls = simulation.ends.map(|end| end.call);
    Ok(Run {
        recorders: calls.each_mut().map(recorder),
        calls,
        addresses,
        unix_micros_at_zero: VIRTUAL_EPOCH_MICROS,
        seconds: at_ms as f64 / 1_000.0,
        failure,
        kept,
    })
}

async fn run_realtime(
    args: &DemoArgs,
    setup: &Setup,
    speech: [Vec<i16>; 2],
    ambiences: [Option<Ambience>; 2],
) -> Result<Run, Box<dyn Error>> {
    let open = || -> Result<UdpSocket, Box<dyn Error>> {
        Ok(UdpSocket::from_std(Sockets::open(&SocketConfig::default(), false)?.rtp)?)
    };
    let sockets = [open()?, open()?];
    let addresses = [sockets[0].local_addr()?, sockets[1].local_addr()?];
    let mut proxy = Proxy::bind(addresses, setup.network, args.seed).await?;
    if let Some(link) = bottleneck(args) {
        proxy.set_bottlenecks(link);
    }
    // Each side names the port of the proxy that leads to it.
    let [to_b, to_a] = proxy.ports()?;
    let unix_micros_at_zero =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64);
    let clock = Clock::start();
    let wall = NtpTime::from_unix_micros(unix_micros_at_zero);
    let mut calls = [
        new_call(args, setup, to_a, Identity::random()?, wall)?,
        new_call(args, setup, to_b, Identity::random()?, wall)?,
    ];
    let offer = calls[0].offer()?;
    let answer = calls[1].answer(clock.now(), &offer)?;
    calls[0].accept(clock.now(), &answer)?;
    make_folder(&args.out)?;
    args.keep.check_apart(&args.out)?;
    let kept = args.keep.start(&mut calls[0], clock.now(), setup.rate_hz, args.channels)?;
    let announcements = args.keep.announcements(setup.rate_hz, args.channels)?;

    let proxy = tokio::spawn(proxy.run(clock));
    let bar = progress(args);
    let mut runs = Vec::new();
    let (mut handles, mut hang_ups) = (Vec::new(), Vec::new());
    let said = speech.into_iter().zip(ambiences);
    for (side, ((call, rtp), (speech, ambience))) in calls.into_iter().zip(sockets).zip(said).enumerate() {
        let (commands, from_user) = mpsc::channel(4);
        let (status, watching) = watch::channel(Status::default());
        let (rate_hz, channels) = (setup.rate_hz, args.channels);
        let room = room(args, side as u64, rate_hz, channels)?;
        let audio = Box::new(Loop { rate_hz, channels, speech, at: 0, room, ambience });
        let driver = Driver {
            drift_ppm: if side == 1 { args.drift_ppm } else { 0.0 },
            time_limit: Some(StdDuration::from_secs_f64(args.seconds)),
            ..Driver::new(call, rtp, audio, clock)
        };
        runs.push(tokio::spawn(driver.run(from_user, status)));
        hang_ups.push(commands);
        handles.push(watching);
    }
    let show = async {
        while handles[0].changed().await.is_ok() {
            let elapsed = handles[0].borrow_and_update().elapsed.as_millis();
            bar.set_position(elapsed);
        }
    };
    let both = async {
        let mut finished = Vec::new();
        for run in runs {
            finished.push(run.await);
        }
        finished
    };
    // A presses, and B hears.
    let (keys, pressed) = mpsc::channel(16);
    args.digits.schedule(&keys);
    args.digits.schedule_tones(&hang_ups[0], "\n");
    let pressing = tokio::spawn(digits::press(pressed, hang_ups[0].clone(), "\n"));
    let announcing = tokio::spawn(keep::announce_all(announcements, hang_ups[0].clone()));
    let watching = tokio::spawn(kept.watch().keep_looking());
    let hang_up = hang_ups.clone();
    let interrupt = tokio::spawn(async move {
        asked_to_end().await;
        for commands in hang_up {
            let _ = commands.send(Command::HangUp).await;
        }
    });
    let begin = clock.now();
    let (_, finished) = tokio::join!(show, both);
    interrupt.abort();
    pressing.abort();
    announcing.abort();
    watching.abort();
    let keep::FinishedRecordings { report: kept, failure: recorded } = kept.finish(args.json)?;
    let seconds = (clock.now().since(begin).as_micros() as f64 / 1e6).min(args.seconds);
    proxy.abort();
    bar.finish_and_clear();
    let mut finished = finished.into_iter();
    match (finished.next(), finished.next()) {
        (Some(Ok(a)), Some(Ok(b))) => {
            let failure = [&a.ended, &b.ended].into_iter().find_map(|ended| match ended {
                Ended::Socket(error) => Some(format!("a socket failed: {error}")),
                Ended::Front(error) => Some(format!("the device side of a call can't be made: {error}")),
                _ => None,
            });
            let failure = failure.or(recorded);
            let mut calls = [a.call, b.call];
            let recorders = calls.each_mut().map(recorder);
            Ok(Run { calls, recorders, addresses, unix_micros_at_zero, seconds, failure, kept })
        }
        _ => Err("a call ended in a panic: this is a bug".into()),
    }
}

/// A device that says speech from memory, again and again. What it plays goes into the room, if there is one; it need
/// not keep that, since the recorder does.
struct Loop {
    rate_hz: u32,
    channels: u8,
    speech: Vec<i16>,
    at: usize,
    room: Option<AcousticRoom>,
    ambience: Option<Ambience>,
}

impl AudioIo for Loop {
    fn sample_rate_hz(&self) -> u32 {
        self.rate_hz
    }
    fn channels(&self) -> u8 {
        self.channels
    }
    fn read(&mut self, pcm: &mut [i16]) -> usize {
        for sample in pcm.iter_mut() {
            *sample = self.speech[self.at];
            self.at = (self.at + 1) % self.speech.len();
        }
        if let Some(room) = &mut self.room {
            room.capture(pcm);
        }
        if let Some(ambience) = &mut self.ambience {
            ambience.capture(pcm);
        }
        pcm.len()
    }
    fn write(&mut self, pcm: &[i16]) -> usize {
        if let Some(room) = &mut self.room {
            room.play(pcm);
        }
        pcm.len()
    }
}
