//! `media-core offer` and `media-core answer`: the two halves of a call between two machines.

use std::error::Error;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::{Duration as StdDuration, SystemTime, UNIX_EPOCH};

use clap::Args as ClapArgs;
use dsp_core::time::{Duration, NtpTime};
use host_std::opus::{self, OpusEncoderConfig};
use host_std::record::wire::WireRecorder;
use host_std::sdp::{self, ExtensionOptions, FeedbackOptions, OfferExtensions};
use host_std::session::driver::{Clock, Command, Driver, Ended, Finished, Status};
use host_std::session::{AdaptationConfig, Call, CallConfig, CaptureConfig, Channel, Ending, Latching, Missed};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

use super::chain::{CaptureArgs, detector};
use super::codecs::CodecName;
use super::digits::DigitArgs;
use super::ice::{self, IceArgs};
use super::keep::{self, KeepArgs};
use super::monitoring::MonitoringArgs;
use super::network::{LocalEndpoint, NetworkArgs};
use super::reoffer::{self, Timetable};
use super::security::{KeyingArgs, SrtpArgs};
use super::settings::{self, Concealment, Jitter, OpusArgs, Repeated};
use super::signals::asked_to_end;
use super::sound::SoundArgs;
use super::waiting::WaitingReader;
use super::wire::WireArgs;
use super::{Outcome, digits, exchange, keyboard, number_in, print, summary, tell};

const AFTER_HELP: &str = "\
Keys during the call: up and down for the volume, left and right for the microphone's gain, m to mute, h to hold and to
resume, c for the next codec, 0 to 9, *, # and A to D (capitals) for digits and ! for a hook flash, q or Ctrl-C to hang up.

Hold, resume and another codec are new offers, which go the way of the first one: written to the same file, and answered
in the other; or through stdin and stdout. So are those of the other side, which are answered as they come.

Two machines that share a folder:
  first   media-core offer --write offer.sdp --read answer.sdp
  second  media-core answer offer.sdp --write answer.sdp
On one machine, with files for sound, add: --address 127.0.0.1 --microphone said.wav --speaker heard.wav
Behind a one-to-one NAT, with some ports let through: --advertise 203.0.113.7 --ports 20000-20999";

/// What both halves have in common.
#[derive(ClapArgs)]
struct TalkArgs {
    #[command(flatten)]
    microphone: CaptureArgs,
    #[command(flatten)]
    network: NetworkArgs,
    /// Codecs, the best first: opus, g722, pcmu, pcma, ilbc, ilbc30, l16 (see `media-core codecs`)
    #[arg(long, value_delimiter = ',', default_value = "opus,g722,pcmu,pcma,ilbc", value_name = "NAMES")]
    codec: Vec<CodecName>,
    /// Rate of the sound, in Hz, where the codec has several: Opus 8000, 12000, 16000, 24000 or 48000; L16 also 11025,
    /// 22050, 32000 and 44100, but not 12000
    #[arg(long, default_value_t = 48_000, value_name = "HZ")]
    rate: u32,
    /// Channels of the sound: 2 is stereo, where opus or l16 is agreed on. Sound cards stay mono, WAV files don't
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2), value_name = "NUMBER")]
    channels: u8,
    /// Packet length in ms, from 10 to 60
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(10..=60), value_name = "MS")]
    ptime: u32,
    /// The most bytes of an IP packet that we send; to keep to it, packets become shorter or are coded in fewer bits
    #[arg(help_heading = "Network", long, default_value_t = sdp::DEFAULT_MTU,
        value_parser = clap::value_parser!(u16).range(i64::from(sdp::MIN_MTU)..), value_name = "BYTES")]
    mtu: u16,
    /// When to use header extensions (the level of the sound, and whether it is speech) and feedback on the arrival of
    /// each packet, as browsers do
    #[arg(help_heading = "Network", long, value_enum, default_value = "auto", value_name = "WHEN")]
    feedback: FeedbackName,
    /// Adapt bit rate, packet length and redundancy to the network, within what both sides agreed on
    #[arg(help_heading = "Network", long)]
    adapt: bool,
    /// Don't send silence, if the other side wants that too: Opus has its own means for that, other codecs use comfort
    /// noise
    #[arg(long)]
    dtx: bool,
    /// Find the pauses by the capture chain's voice detector instead of by level, whatever the codec, and let it gate
    /// --agc; 0 sends the most, 3 takes the least noise for speech
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=3), num_args = 0..=1,
        default_missing_value = "2", requires = "dtx", value_name = "0-3")]
    vad: Option<u8>,
    /// How many of the senders that the other side forwards are heard at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=31), value_name = "NUMBER")]
    sources: u8,
    /// How many of the packets before it each packet repeats, against losses (RFC 2198), if the other side can use
    /// them, 0 to 4; auto repeats one while the other side reports losses
    #[arg(long, default_value = "0", value_parser = Repeated::parse, allow_negative_numbers = true, value_name = "PACKETS")]
    red: Repeated,
    /// What conceals lost packets; iLBC and Opus always do so themselves
    #[arg(long, value_enum, default_value_t, value_name = "WHO")]
    concealment: Concealment,
    /// How long packets wait in the jitter buffer: conversation weighs delay against losses (by the E-model's rating R,
    /// with RTCP's round trip), adaptive suits those who only listen, and fixed is a number of milliseconds
    #[arg(long, default_value = "conversation", value_parser = Jitter::parse, value_name = "conversation|adaptive|fixed:MS")]
    jitter: Jitter,
    #[command(flatten)]
    srtp: SrtpArgs,
    #[command(flatten)]
    keying: KeyingArgs,
    /// Use a separate port for RTCP, whatever the other side can do
    #[arg(help_heading = "Network", long)]
    no_mux: bool,
    #[command(flatten)]
    ice: IceArgs,
    /// Which source addresses to believe
    #[arg(help_heading = "Network", long, value_enum, default_value_t = LatchName::Relatch)]
    latch: LatchName,
    #[command(flatten)]
    later: Timetable,
    #[command(flatten)]
    digits: DigitArgs,
    #[command(flatten)]
    keep: KeepArgs,
    #[command(flatten)]
    wire: WireArgs,
    #[command(flatten)]
    monitoring: MonitoringArgs,
    #[command(flatten)]
    sound: SoundArgs,
    /// Microphone gain to begin with, in dB
    #[arg(help_heading = "Sound", long, default_value_t = 0.0,
        value_parser = |s: &str| number_in(s, -42.0, 18.0), value_name = "DB")]
    gain: f64,
    /// Volume to begin with, in dB
    #[arg(help_heading = "Sound", long, default_value_t = 0.0,
        value_parser = |s: &str| number_in(s, -42.0, 18.0), value_name = "DB")]
    volume: f64,
    /// Hang up after this many seconds [default: only on request]
    #[arg(long, value_parser = |s: &str| number_in(s, 0.1, 864_000.0), value_name = "S")]
    seconds: Option<f64>,
    /// Hang up when the other side has said goodbye by RTCP and has sent nothing since for this many seconds, or for 30
    /// s on hold: some phones say goodbye at every hold and go on
    #[arg(long, default_value_t = 7.0, value_parser = |s: &str| number_in(s, 0.1, 86_400.0), value_name = "S")]
    end_after_goodbye: f64,
    /// Hang up with an error when nothing has come from the other side for this many seconds, except on hold [default:
    /// go on]
    #[arg(long, value_parser = |s: &str| number_in(s, 1.0, 86_400.0), value_name = "S")]
    end_after_silence: Option<f64>,
    /// Print the summary as JSON; without --write it follows the SDP on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    opus: OpusArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum LatchName {
    /// Only the address in the SDP
    Strict,
    /// The source of the first valid packet
    Once,
    /// Another source may take over when the old one is silent
    Relatch,
}

/// Begin a call: print an SDP offer, read the answer, then talk
///
/// The offer goes to stdout and the answer comes from stdin, where an empty line or the end of input ends it; or both
/// go through files. The other side answers with `media-core answer`, or with any program that speaks SDP and RTP.
#[derive(ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(super) struct OfferArgs {
    /// Write the offer to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Read the answer from this file as soon as it is there, instead of stdin; an answer from before the offer doesn't
    /// count
    #[arg(long, value_name = "FILE")]
    read: Option<PathBuf>,
    #[command(flatten)]
    talk: TalkArgs,
}

/// Answer a call: read an SDP offer, print the answer, then talk
///
/// The offer comes from a file or from stdin, where an empty line or the end of input ends it; the answer goes to
/// stdout or a file.
#[derive(ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(super) struct AnswerArgs {
    /// The offer [default: stdin]
    #[arg(value_name = "FILE")]
    offer: Option<PathBuf>,
    /// Write the answer to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    #[command(flatten)]
    talk: TalkArgs,
}

pub(super) fn offer(args: OfferArgs) -> Outcome {
    // An answer that is there before the offer is one to another call.
    let stale = args.read.as_deref().and_then(exchange::modified);
    let way = Way { read: args.read.clone(), write: args.write.clone(), first_offer: true };
    talk(&args.talk, way, false, |call, clock| {
        exchange::put_sdp(args.write.as_deref(), &call.offer()?)?;
        let answer = match args.read.as_deref() {
            Some(path) => {
                exchange::wait_for(path, stale);
                exchange::read_file(path)?
            }
            None => exchange::read_stdin("answer")?,
        };
        call.accept(clock.now(), &exchange::look_up(&answer, call.address()))?;
        Ok(answer)
    })
}

pub(super) fn answer(args: AnswerArgs) -> Outcome {
    let offer = match args.offer.as_deref() {
        Some(path) => exchange::read_file(path)?,
        None => exchange::read_stdin("offer")?,
    };
    let way = Way { read: args.offer.clone(), write: args.write.clone(), first_offer: false };
    // Unless another address is given, ours is one where the offer's side can reach us.
    let of_ipv6 = offer.contains("\nc=IN IP6") && !offer.contains("\nc=IN IP4");
    talk(&args.talk, way, of_ipv6, |call, clock| {
        let sdp = call.answer(clock.now(), &exchange::look_up(&offer, call.address()))?;
        exchange::put_sdp(args.write.as_deref(), &sdp)?;
        Ok(offer)
    })
}

/// The way in which SDP descriptions are read and written.
struct Way {
    read: Option<PathBuf>,
    write: Option<PathBuf>,
    first_offer: bool,
}

/// Sets the call up, lets `agree` exchange the SDP and return the other side's, and talks until somebody hangs up.
fn talk(
    args: &TalkArgs,
    way: Way,
    of_ipv6: bool,
    agree: impl FnOnce(&mut Call, &Clock) -> Result<String, Box<dyn Error>>,
) -> Outcome {
    let LocalEndpoint { bound, advertised, sockets } = args.network.open(of_ipv6)?;
    let (rtp, rtcp) = (sockets.rtp, sockets.rtcp.ok_or("there is no socket for RTCP")?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let _inside = runtime.enter();
    let clock = Clock::start();
    let ice = args.ice.config(advertised, !args.no_mux)?;
    let mut turn = IceArgs::connect(&ice)?;
    let config = CallConfig {
        address: advertised,
        bind: Some(bound).filter(|bound| *bound != advertised),
        ice,
        ..config(args, rtp.local_addr()?.port())?
    };
    let codecs = config.codecs.clone();
    let later = args.later.wishes(config.ice.mode, &args.codec, |name| name.format(args.rate, args.channels))?;
    let mut call = Call::new(args.digits.config(config))?;
    let monitoring = args.monitoring.start()?;
    // Without a microphone or a file there is no call: the error comes before the other side hears of it.
    drop(args.sound.open(args.rate, 1)?);
    let here = if bound.is_unspecified() { advertised } else { bound };
    let local = [rtp.local_addr()?.port(), rtcp.local_addr()?.port()].map(|port| SocketAddr::new(here, port));
    let wire = args.wire.start(&mut call, local, unix_micros().saturating_sub(clock.now().as_micros()))?;
    if let Err(error) = args.ice.gather(&mut call, &clock, &rtp, &mut turn) {
        IceArgs::leave(&mut call, &clock, &rtp, &mut turn);
        return Err(error);
    }
    let waiting = WaitingReader::read([(Channel::Rtp, &rtp), (Channel::Rtcp, &rtcp)])?;
    let taken = match agree(&mut call, &clock) {
        Ok(taken) => taken,
        Err(error) => {
            runtime.block_on(waiting.stop());
            IceArgs::leave(&mut call, &clock, &rtp, &mut turn);
            return Err(error);
        }
    };
    let rate_hz = call.sample_rate_hz().ok_or("no call was agreed on")?;
    // The device stays as it is, whatever codecs come later: one of a card has its full band from the start.
    let rate_hz = if args.sound.has_card() { CARD_HZ } else { rate_hz };
    let audio = args.sound.open(rate_hz, call.channels().unwrap_or(1))?;
    let mux = call.negotiated_transport().is_some_and(|agreed| agreed.rtcp_mux);
    let rtcp = if mux { None } else { Some(UdpSocket::from_std(rtcp)?) };
    summary::describe(&call);
    ice::describe(&call);
    let channels = call.channels().unwrap_or(1);
    let announcements = args.keep.announcements(rate_hz, channels)?;
    let kept = args.keep.start(&mut call, clock.now(), rate_hz, channels)?;
    let mut driver = Driver {
        rtcp,
        time_limit: args.seconds.map(StdDuration::from_secs_f64),
        turn,
        ..Driver::new(call, UdpSocket::from_std(rtp)?, audio, clock)
    };
    let begin = clock.now();
    let codec = monitoring.codec();
    let (commands, from_user) = mpsc::channel(16);
    let (status, watching) = watch::channel(Status::default());
    let following = monitoring.follow(&driver.call, rate_hz, &watching, &commands)?;
    *codec.lock().unwrap_or_else(PoisonError::into_inner) = summary::codec(&driver.call);
    let (ended, call, mut audio, send_error, digits, tones, echo, told) = runtime.block_on(async {
        let (wishes, wished) = mpsc::channel(16);
        let (keys, pressed) = mpsc::channel(16);
        let (told, heard) = mpsc::channel(64);
        driver.digits = Some(told);
        let (told, heard_tones) = mpsc::channel(16);
        driver.tones = Some(told);
        let (texts, written) = mpsc::channel(4);
        // The channel has room, and nothing else sends before the driver runs.
        let (gain, volume) = ((args.gain * 100.0) as i16, (args.volume * 100.0) as i16);
        let _ = commands.try_send(Command::MicrophoneGain(gain));
        let _ = commands.try_send(Command::Volume(volume));
        let by_terminal = way.read.is_none() && std::io::stdin().is_terminal();
        let pasted = by_terminal.then(|| texts.clone());
        let keyboard = keyboard::watch(commands.clone(), wishes.clone(), keys.clone(), pasted, gain, volume);
        let line_end = if keyboard.is_some() { "\r\n" } else { "\n" };
        if keyboard.is_some() {
            tell(&format!("{}\r\n", keyboard::HELP));
        }
        if keyboard.is_some() && by_terminal {
            tell(&format!("{}\r\n", keyboard::PASTE_HELP));
        }
        reoffer::schedule(later, &wishes);
        if !by_terminal {
            exchange::follow(way.read, taken.clone(), texts);
        }
        let negotiation = tokio::spawn(reoffer::negotiate(
            reoffer::NegotiationSetup {
                commands: commands.clone(),
                write: way.write,
                first_offer: way.first_offer,
                taken,
                codecs,
                address: advertised,
                line_end,
                codec,
            },
            wished,
            written,
        ));
        let last = watching.clone();
        let display = tokio::spawn(summary::display(watching, keyboard.is_some()));
        args.digits.schedule(&keys);
        args.digits.schedule_tones(&commands, line_end);
        let pressing = tokio::spawn(digits::press(pressed, commands.clone(), line_end));
        let listening = tokio::spawn(digits::listen(heard, begin, line_end));
        let hearing = tokio::spawn(digits::listen_to_tones(heard_tones, begin, line_end));
        let announcing = tokio::spawn(keep::announce_all(announcements, commands.clone()));
        let watching = tokio::spawn(kept.watch().keep_looking());
        let interrupt = {
            let commands = commands.clone();
            tokio::spawn(async move {
                asked_to_end().await;
                let _ = commands.send(Command::HangUp).await;
            })
        };
        let (early, handshakes) = waiting.stop().await;
        driver.call.count(Missed::Early, early);
        for mut kept in handshakes {
            driver.call.receive(clock.now(), kept.channel, kept.from, &mut kept.bytes);
        }
        let finished = driver.run(from_user, status).await;
        negotiation.abort();
        pressing.abort();
        announcing.abort();
        watching.abort();
        interrupt.abort();
        let Finished { ended, call, audio, send_error, .. } = finished;
        let _ = display.await;
        let told = following.finish(&call).await;
        let digits = listening.await.unwrap_or_default();
        let tones = hearing.await.unwrap_or_default();
        drop(keyboard);
        let echo = last.borrow().echo;
        (ended, call, audio, send_error, digits, tones, echo, told)
    });
    let seconds = clock.now().since(begin).as_micros() as f64 / 1e6;
    let stats = call.stats();
    let keep::FinishedRecordings { report: kept, failure: recorded } = kept.finish(args.json)?;
    let wire = wire.map(WireRecorder::finish);
    let recorded = recorded.or_else(|| args.wire.failure(wire.as_ref()?)).or(told);
    if args.json {
        let mut json = summary::json(&stats, digits.rows(), tones.rows(), echo.as_ref(), &ended, rate_hz, seconds);
        if !kept.is_empty() {
            json["kept"] = serde_json::to_value(&kept)?;
        }
        json["turn"] = ice::relays_json(&call.relays());
        if let Some(wire) = &wire {
            json["wire"] = args.wire.json(wire);
        }
        print(&format!("{}\n", serde_json::to_string_pretty(&json)?))?;
    } else {
        print(&summary::text(&stats, digits.rows(), tones.rows(), echo.as_ref(), &ended, rate_hz, seconds))?;
        for relay in call.relays() {
            print(&format!("  turn        {}\n", ice::relay_text(&relay)))?;
        }
        if let Some(wire) = &wire {
            print(&args.wire.text(wire))?;
        }
    }
    // Some may always be lost; most of them are no call.
    let unsent = send_error.filter(|_| u64::from(stats.unsent) * 2 > u64::from(stats.sender.packets));
    let closed = audio.close();
    match (ended, audio.failure(), closed) {
        (Ended::Sound(error), ..) => Err(super::chain(&error).into()),
        (Ended::Socket(error), ..) => Err(format!("the socket failed: {error}").into()),
        (Ended::Front(error), ..) => Err(format!("the device side of the call can't be made: {error}").into()),
        (Ended::Call(Ending::Handshake(failure)), ..) => Err(format!("no keys: {failure}").into()),
        (Ended::Call(Ending::KeysOver), ..) => {
            Err("the lifetime of an SRTP key was over, and no new offer brought another".into())
        }
        (Ended::Call(Ending::Silence(silence)), ..) => {
            Err(format!("nothing came from the other side for {} s", silence.as_millis() / 1_000).into())
        }
        (Ended::Call(Ending::ChecksFailed), ..) => {
            Err("no address of the other side answered the connectivity checks (ICE)".into())
        }
        (Ended::Call(Ending::NoRelay), ..) => {
            Err("no TURN server gives us an address, and no other way may be taken".into())
        }
        (Ended::Call(Ending::Hopeless(hopeless)), ..) => Err(format!("given up: {hopeless}").into()),
        (Ended::Call(Ending::RelayLost), ..) => Err("the TURN server passes nothing on any more".into()),
        (Ended::Call(Ending::ConsentGone), ..) => {
            Err("the other side has not answered for 30 s that it wants to be sent to (ICE)".into())
        }
        (_, Some(error), _) => Err(format!("sound stopped: {}", super::chain(error)).into()),
        (_, None, Err(error)) => Err(super::chain(&error).into()),
        _ => match unsent {
            Some(error) => Err(format!("{} datagrams could not be sent: {error}", stats.unsent).into()),
            None => recorded.map_or(Ok(()), |failure| Err(failure.into())),
        },
    }
}

/// Rate of a call with a sound card, in Hz.
const CARD_HZ: u32 = 48_000;

/// When header extensions and feedback are offered and taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FeedbackName {
    /// Offered with DTLS, taken from every offer that has them
    Auto,
    /// Offered in every call, as RTP/SAVPF or RTP/AVPF: phones that don't know these refuse the call
    Always,
    /// Neither offered nor taken
    Never,
}

impl FeedbackName {
    fn extensions(self) -> ExtensionOptions {
        match self {
            Self::Auto => ExtensionOptions::default(),
            Self::Always => ExtensionOptions { offer: OfferExtensions::Always, ..ExtensionOptions::default() },
            Self::Never => ExtensionOptions::NONE,
        }
    }

    fn feedback(self) -> FeedbackOptions {
        let never = self == Self::Never;
        FeedbackOptions { profile: self == Self::Always, transport_wide: !never, reduced_size: !never }
    }
}

/// The wall clock: microseconds since 1970-01-01 00:00 UTC.
fn unix_micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64)
}

fn config(args: &TalkArgs, port: u16) -> Result<CallConfig, Box<dyn Error>> {
    let span = |seconds: f64| Duration::from_millis((seconds * 1e3) as u64);
    let has_rate = |name: &CodecName| name.rates_hz().len() < 2 || name.rates_hz().contains(&args.rate);
    if let Some(name) = args.codec.iter().find(|name| !has_rate(name)) {
        let rates: Vec<_> = name.rates_hz().iter().map(u32::to_string).collect();
        return Err(format!("--rate {}: {name} has {}", args.rate, rates.join(", ")).into());
    }
    args.concealment.check(&args.codec)?;
    args.opus.check_call(&args.codec)?;
    settings::check_channels(args.channels, &args.codec)?;
    // A rate that only L16 has says nothing of Opus.
    let opus_hz = if opus::RATES_HZ.contains(&args.rate) { args.rate } else { 48_000 };
    let usual = OpusEncoderConfig::default();
    let opus = args.opus.config(OpusEncoderConfig {
        sample_rate_hz: opus_hz,
        channels: args.channels,
        dtx: args.dtx,
        ..usual
    })?;
    Ok(CallConfig {
        rtcp_mux: !args.no_mux,
        codecs: args.codec.iter().map(|name| name.format(args.rate, args.channels)).collect::<Result<_, _>>()?,
        registry: settings::registry(opus, args.concealment),
        comfort_noise: args.dtx,
        capture: CaptureConfig { detector: args.vad.map(detector), ..args.microphone.config() },
        metering: true,
        redundancy: args.red.packets,
        redundancy_on_loss: args.red.on_loss,
        sources: args.sources.into(),
        delay: args.jitter.delay(None)?,
        ptime_ms: args.ptime,
        mtu: args.mtu,
        srtp: args.keying.policy(&args.srtp),
        keying: args.keying.keying(),
        certificate: args.keying.certificate()?,
        srtp_options: args.srtp.options(),
        extensions: args.feedback.extensions(),
        feedback: args.feedback.feedback(),
        adaptation: args.adapt.then(|| AdaptationConfig::with_copies(args.red.packets)),
        latching: match args.latch {
            LatchName::Strict => Latching::Strict,
            LatchName::Once => Latching::Once,
            LatchName::Relatch => Latching::Relatch,
        },
        after_goodbye: Some(span(args.end_after_goodbye)),
        after_silence: args.end_after_silence.map(span),
        wall_clock: NtpTime::from_unix_micros(unix_micros()),
        ..CallConfig::new(port)?
    })
}
