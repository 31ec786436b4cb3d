//! `media-core conference --demo N`: simulated callers of one room, over real sockets, and what each of them heard.

mod lines;

use std::error::Error;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::{Duration as StdDuration, Instant as StdInstant, SystemTime};

use clap::Args as ClapArgs;
use dsp_core::time::{Duration, Instant};
use host_std::monitoring::CallMetrics;
use host_std::opus::OpusEncoderConfig;
use host_std::record::fork::{Forked, Party};
use host_std::record::recorder::{Layout, Recorder, RecorderConfig, Rotation, Track};
use host_std::record::siprec::{Participant, RecordId, RecordedStream, RecordingMetadata};
use host_std::registry::CodecFormat;
use host_std::report::{CallerReport, ConferenceReport, KeptReport, Stretches};
use host_std::room::{Room, RoomConfig, TICK_MS};
use host_std::sdp::{ExtensionOptions, OfferExtensions, SrtpPolicy};
use host_std::session::{Call, CallConfig, Identity};
use host_std::simulate::callers::{Carrier, SimulatedCaller, SimulatedLines, tick};
use host_std::simulate::netsim::NetworkConfig;
use host_std::wav::{WavFrames, WavSink};

use super::keep::{ANONYMOUS, ForkArgs, KeptRecordings, RotationArgs};
use super::monitoring::{self, MetricsArgs};
use super::settings::Repeated;
use super::signals::Stop;
use super::{MAN, Outcome, WOMAN, keep, make_folder, mind, number_in, print, settings};
use lines::SocketLines;

/// The time for which each caller speaks, in ms; below is the distance to the next one's begin, so two speak at once for a while.
const TURN_MS: u64 = 3_000;
const NEXT_MS: u64 = 2_500;
/// Sound is written to its files so often.
const WRITE_TICKS: u64 = 100;
/// The mix, unless --record gives it another name.
const MIX: &str = "room.wav";
/// The longest speech of a caller that is held in memory; it is repeated when it ends.
const LONGEST_SPEECH: Duration = Duration::from_secs(600);

/// Simulated callers in one room; hear what each of them heard
///
/// Each caller has a call of his own codec (Opus, G.722, PCMU, PCMA in turn), with SRTP, over a socket of his own, to a leg of
/// the room. They speak one after the other, with some overlap, and each hears all but himself. Into the folder of --out go what
/// each heard and said (caller-1.wav, said-1.wav and so on), the mix (room.wav, or where --record says without --tracks), and who was heard, when and by whom
/// (conference.html, conference.json).
#[derive(ClapArgs)]
pub(super) struct ConferenceArgs {
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
    /// WAV file of what a caller says; given several times, the callers take them in turn [default: speech that comes with
    /// the program]
    #[arg(long, value_name = "WAV")]
    speech: Vec<PathBuf>,
    /// After how many seconds the next caller joins
    #[arg(long, default_value_t = 0.2, value_parser = |s: &str| number_in(s, 0.0, 3_600.0), value_name = "S")]
    join_every: f64,
    /// How many seconds each caller stays before he hangs up [default: to the end]
    #[arg(long, value_parser = |s: &str| number_in(s, 0.1, 3_600.0), value_name = "S")]
    stay: Option<f64>,
    /// How many packets before it each packet repeats, against losses (RFC 2198), 0 to 4; auto: one, while the other side tells of
    /// losses
    #[arg(long, default_value = "auto", value_parser = Repeated::parse, allow_negative_numbers = true, value_name = "PACKETS")]
    red: Repeated,
    /// Record the conference to a file, .wav, .opus or .ogg, mixed. It can be played up to its last second whatever happens
    #[arg(help_heading = "Recording", long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// With --record: what each caller says by itself, a channel of the WAV file each, or an Opus file each (FILE-1.opus and
    /// so on). A fork has a stream of each then
    #[arg(help_heading = "Recording", long)]
    tracks: bool,
    #[command(flatten)]
    rotation: RotationArgs,
    #[command(flatten)]
    fork: ForkArgs,
    #[command(flatten)]
    metrics: MetricsArgs,
    /// In virtual time, without sockets, over a simulated network
    #[arg(long)]
    fast: bool,
    /// With --fast: packets lost, in percent
    #[arg(long, default_value_t = 0.0, requires = "fast", value_parser = |s: &str| number_in(s, 0.0, 100.0), value_name = "PERCENT")]
    loss: f64,
    /// With --fast: mean length of a loss in packets; 1: each packet is lost or not by itself
    #[arg(long, default_value_t = 1.0, requires = "fast", value_parser = |s: &str| number_in(s, 1.0, 100.0), value_name = "PACKETS")]
    burst: f64,
    /// With --fast: standard deviation of the network's delay, in ms
    #[arg(long, default_value_t = 0.0, requires = "fast", value_parser = |s: &str| number_in(s, 0.0, 2_000.0), value_name = "MS")]
    jitter: f64,
    /// With --fast: seed of the network and of all that is random
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// Where to write the results; files of an earlier run are replaced
    #[arg(long, default_value = "media-core-conference", value_name = "DIR")]
    out: PathBuf,
}

#[derive(Default)]
struct Seen {
    joined_ms: Option<u64>,
    left_ms: Option<u64>,
    spoke: Stretches,
    said: Stretches,
    named_ms: Vec<u64>,
    heard: Stretches,
    active: Stretches,
    clipped_samples: u64,
}

/// The files of what a caller heard and said.
struct Files {
    heard: WavSink,
    said: WavSink,
}

impl Files {
    fn create(dir: &Path, number: usize, rate_hz: u32) -> Result<Self, Box<dyn Error>> {
        let file = |name: String| WavSink::replace(dir.join(name), rate_hz, 1);
        Ok(Self { heard: file(heard_file(number))?, said: file(said_file(number))? })
    }

    /// Writes what there is.
    fn write(&mut self, caller: &mut SimulatedCaller) -> Outcome {
        self.heard.write(&caller.heard)?;
        self.said.write(&caller.said)?;
        caller.heard.clear();
        caller.said.clear();
        Ok(())
    }
}

fn heard_file(number: usize) -> String {
    format!("caller-{}.wav", number + 1)
}

fn said_file(number: usize) -> String {
    format!("said-{}.wav", number + 1)
}

/// The tracks of what is recorded: each caller's until he joins.
struct Recordings {
    tracks: Vec<Option<Track>>,
}

impl Recordings {
    /// Records the mix, and what else was asked for.
    fn start(args: &ConferenceArgs, room: &mut Room) -> Result<(Self, Vec<Recorder>), Box<dyn Error>> {
        let callers = usize::from(args.demo);
        let config = |path: PathBuf, layout, tracks| RecorderConfig {
            sample_rate_hz: args.rate,
            tracks,
            layout,
            rotation: args.rotation.rotation(),
            ..RecorderConfig::new(path)
        };
        let (mut recorders, mut tracks) = (Vec::new(), Vec::new());
        let mut mix = |path| -> Result<Option<Track>, Box<dyn Error>> {
            let (recorder, mut tracks) = Recorder::start(config(path, Layout::Mixed, 1))?;
            recorders.push(recorder);
            Ok(tracks.pop())
        };
        match &args.record {
            // The mix is the same file, whatever its name is.
            Some(path) if !args.tracks => room.set_track(mix(path.clone())?),
            _ => {
                let whole =
                    RecorderConfig { rotation: Rotation::default(), ..config(args.out.join(MIX), Layout::Mixed, 1) };
                let (recorder, mut tracks) = Recorder::start(whole)?;
                recorders.push(recorder);
                room.set_track(tracks.pop());
            }
        }
        if let Some(path) = args.record.as_ref().filter(|_| args.tracks) {
            let is_wav = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("wav"));
            if is_wav {
                let (recorder, of_callers) = Recorder::start(config(path.clone(), Layout::Channels, callers))?;
                recorders.push(recorder);
                tracks.extend(of_callers.into_iter().map(Some));
            } else {
                for number in 1..=callers {
                    let (recorder, mut track) = Recorder::start(config(numbered(path, number), Layout::Mixed, 1))?;
                    recorders.push(recorder);
                    tracks.push(track.pop());
                }
            }
        }
        Ok((Self { tracks }, recorders))
    }

    /// Gives the track of a caller who has joined to the room.
    fn joined(&mut self, room: &mut Room, number: usize, caller: &SimulatedCaller) -> Outcome {
        let track = self.tracks.get_mut(number).and_then(Option::take);
        if let (Some(member), Some(track)) = (caller.member(), track) {
            room.set_member_track(member, Some(track))?;
        }
        Ok(())
    }
}

/// Returns the participants of the conference and the recorded streams: the mix, or with --tracks a stream of each.
fn metadata(args: &ConferenceArgs) -> Result<RecordingMetadata, Box<dyn Error>> {
    let begins = SystemTime::now();
    let callers = usize::from(args.demo);
    let streams = if args.tracks { callers } else { 1 };
    let stream = |number| -> Result<_, Box<dyn Error>> {
        Ok(RecordedStream { id: RecordId::random()?, label: format!("{}", number + 1) })
    };
    let participant = |number: usize| -> Result<_, Box<dyn Error>> {
        let sends = if args.tracks { number } else { 0 };
        Ok(Participant {
            id: RecordId::random()?,
            aor: ANONYMOUS.into(),
            name: Some(format!("caller {}", number + 1)),
            joined: begins + StdDuration::from_secs_f64(args.join_every * number as f64),
            left: None,
            sends: vec![sends],
            receives: (0..streams).filter(|&stream| !args.tracks || stream != number).collect(),
        })
    };
    Ok(RecordingMetadata {
        session: RecordId::random()?,
        sip_session_id: None,
        begins,
        ends: None,
        participants: (0..callers).map(participant).collect::<Result<_, _>>()?,
        streams: (0..streams).map(stream).collect::<Result<_, _>>()?,
    })
}

/// `call.opus` as `call-3.opus`.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{number}.{ending}"))
}

pub(super) fn run(args: &ConferenceArgs) -> Outcome {
    if args.tracks && args.record.is_none() && !args.fork.is_wanted() {
        return Err("--tracks says how --record or --fork keeps the callers: one of them is wanted".into());
    }
    if args.fast && args.fork.is_wanted() {
        return Err("--fork: a second destination hears in real time, without --fast".into());
    }
    let count = usize::from(args.demo);
    let capacity = count + args.announce.len();
    let loudest = args.loudest.and_then(NonZeroU16::new);
    let mut room = Room::new(RoomConfig { sample_rate_hz: args.rate, capacity, loudest })?;
    make_folder(&args.out)?;
    keep::check_apart(args.record.as_deref(), &args.out, |name| {
        let of_caller = (0..count).any(|number| name == heard_file(number) || name == said_file(number));
        of_caller || (args.tracks && name == MIX)
    })?;
    let lines = if args.fast { None } else { Some(SocketLines::open(count)?) };
    let mut callers = Vec::with_capacity(count);
    for number in 0..count {
        callers.push(caller(args, number, &room, lines.as_ref())?);
    }
    let (mut recordings, recorders) = Recordings::start(args, &mut room)?;
    // Members are numbered as callers are: they join in their order.
    let each: Vec<_> = (1..=u64::from(args.demo)).map(Party::Member).collect();
    let parties = if args.tracks { (Forked::Sources, &each[..]) } else { (Forked::Heard, &[Party::Far][..]) };
    let fork = args.fork.start(args.rate, 1, parties, Instant::ZERO, |tap| room.set_fork(Some(tap)))?;
    let kept = KeptRecordings { recorders, fork, metadata: args.fork.metadata(|| metadata(args))? };
    let mut files = Vec::with_capacity(count);
    for (number, caller) in callers.iter().enumerate() {
        files.push(Files::create(&args.out, number, caller.sample_rate_hz())?);
    }
    let serving = monitoring::serve_beside(&args.metrics)?;
    let mut run = Run {
        args,
        metrics: serving.as_ref().map(|_| (0..count).map(|_| None).collect()).unwrap_or_default(),
        callers,
        files,
        seen: (0..count).map(|_| Seen { named_ms: vec![0; count], ..Seen::default() }).collect(),
    };
    match lines {
        Some(mut lines) => run.run_all(&mut room, &mut lines, &mut recordings, &kept)?,
        None => {
            let network = NetworkConfig {
                loss_percent: args.loss,
                burst: args.burst,
                jitter_ms: args.jitter,
                ..NetworkConfig::default()
            };
            let mut lines = SimulatedLines::new(count, network, args.seed);
            run.run_all(&mut room, &mut lines, &mut recordings, &kept)?;
        }
    }
    let (length_ms, limited_ticks) = (room.ticks() * u64::from(TICK_MS), room.limiter().limited_frames);
    // The tracks end with the room.
    drop((room, recordings));
    let keep::FinishedRecordings { report, failure } = kept.finish(false)?;
    run.report(length_ms, limited_ticks, report)?;
    failure.map_or(Ok(()), |failure| Err(failure.into()))
}

/// A caller with his speech, which he says in his turn.
fn caller(
    args: &ConferenceArgs,
    number: usize,
    room: &Room,
    lines: Option<&SocketLines>,
) -> Result<SimulatedCaller, Box<dyn Error>> {
    let formats = [CodecFormat::opus(), CodecFormat::g722(), CodecFormat::pcmu(), CodecFormat::pcma()];
    let format = &formats[number % formats.len()];
    // A copy of each packet makes up for losses better than what Opus would take from the sound for it.
    let expected_loss_percent = if args.red.packets > 0 { 0 } else { args.loss.clamp(0.0, 30.0) as u8 };
    // A room has no higher band than its rate; bits that went there would be lost to the voice. Opus knows no 32 kHz.
    let sample_rate_hz = if args.rate == 32_000 { 48_000 } else { args.rate };
    let opus = OpusEncoderConfig { sample_rate_hz, expected_loss_percent, ..OpusEncoderConfig::default() };
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
            registry: settings::registry(opus, settings::Concealment::default()),
            redundancy: args.red.packets,
            redundancy_on_loss: args.red.on_loss,
            // Callers say how loud they are, and the room who is in what they hear.
            extensions: if end == 0 {
                ExtensionOptions { offer: OfferExtensions::Always, ..ExtensionOptions::default() }
            } else {
                ExtensionOptions::mixer()
            },
            srtp: if args.no_srtp { SrtpPolicy::Off } else { SrtpPolicy::Required },
            ..CallConfig::with_identity(port, identity)
        })?)
    };
    let joins = Duration::from_micros((args.join_every * 1e6) as u64 * number as u64);
    let joins = Instant::ZERO + joins;
    let leaves = args.stay.map(|seconds| joins + Duration::from_micros((seconds * 1e6) as u64));
    let mut caller = SimulatedCaller::connect(call(0)?, call(1)?, room, joins, leaves)?;
    let rate_hz = caller.sample_rate_hz();
    let voice = match args.speech.get(number % args.speech.len().max(1)) {
        Some(path) => {
            let file = WavFrames::open(path, rate_hz, 1)?;
            mind(path, file.remarks());
            file.read_all(LONGEST_SPEECH)?
        }
        None => {
            let (name, voice) = if number.is_multiple_of(2) { ("woman", WOMAN) } else { ("man", MAN) };
            WavFrames::from_bytes(name, voice, rate_hz, 1)?.read_all(LONGEST_SPEECH)?
        }
    };
    let voice = without_pauses(&voice, rate_hz);
    if voice.is_empty() {
        return Err("--speech: a file without any sound".into());
    }
    // All take turns, and begin again when the last one has spoken.
    let samples = |ms: u64| (ms * u64::from(rate_hz) / 1_000) as usize;
    let round = NEXT_MS * u64::from(args.demo);
    let mut speech = vec![0; samples(round.max(TURN_MS))];
    // Turns follow the clock of the room, whenever the caller joined.
    let begin = samples((NEXT_MS * number as u64 + round - joins.as_millis() % round) % round);
    for n in 0..samples(TURN_MS) {
        let at = (begin + n) % speech.len();
        speech[at] = voice[(n + samples(700 * number as u64)) % voice.len()];
    }
    caller.speech = speech;
    Ok(caller)
}

/// Returns a voice whose pauses are no longer than those between words, so that the caller whose turn it is can be heard.
fn without_pauses(voice: &[i16], rate_hz: u32) -> Vec<i16> {
    /// The least level of a frame that isn't a pause, -44 dBov, and below the number of frames of 10 ms that are kept of a pause.
    const LOUD: u16 = 200;
    const KEPT: usize = 20;
    let frame = rate_hz as usize / 100;
    let mut quiet = KEPT;
    let mut rest = Vec::with_capacity(voice.len());
    for frame in voice.chunks(frame) {
        let loud = frame.iter().any(|sample| sample.unsigned_abs() > LOUD);
        quiet = if loud { 0 } else { quiet + 1 };
        if quiet <= KEPT && (loud || !rest.is_empty()) {
            rest.extend_from_slice(frame);
        }
    }
    rest
}

/// A conference that runs.
struct Run<'a> {
    args: &'a ConferenceArgs,
    /// The metrics of each caller while he is in the room; empty if they aren't requested.
    metrics: Vec<Option<CallMetrics>>,
    callers: Vec<SimulatedCaller>,
    files: Vec<Files>,
    seen: Vec<Seen>,
}

impl Run<'_> {
    fn run_all(
        &mut self,
        room: &mut Room,
        lines: &mut impl Carrier,
        recordings: &mut Recordings,
        kept: &KeptRecordings,
    ) -> Outcome {
        let args = self.args;
        let mut watch = kept.watch();
        let stop = Stop::listen();
        let mut announcements = keep::schedule(&args.announce, room.sample_rate_hz(), 1)?.into_iter().peekable();
        let begin = StdInstant::now();
        for number in 0..(args.seconds * 1_000.0) as u64 / u64::from(TICK_MS) {
            if stop.asked() {
                break;
            }
            let now_ms = number * u64::from(TICK_MS);
            if !args.fast {
                let due = begin + StdDuration::from_millis(now_ms);
                std::thread::sleep(due.saturating_duration_since(StdInstant::now()));
            }
            while let Some(due) = announcements.next_if(|announcement| announcement.at.as_millis() <= now_ms) {
                room.announce(due.player)?;
            }
            tick(room, &mut self.callers, lines, Instant::from_millis(now_ms))?;
            self.look(room, now_ms, recordings)?;
            if number % WRITE_TICKS == WRITE_TICKS - 1 {
                self.write()?;
                self.publish();
                watch.look();
                if args.fast {
                    kept.keep_pace(room.sample_rate_hz(), Duration::from_millis(now_ms));
                }
            }
        }
        self.publish();
        self.metrics.clear();
        self.write()
    }

    /// Publishes the metrics of the callers' calls.
    fn publish(&mut self) {
        for (caller, metrics) in self.callers.iter().zip(&mut self.metrics) {
            if caller.member().is_some() && metrics.is_none() {
                *metrics = Some(CallMetrics::begin(caller.sample_rate_hz()));
            }
            let Some(own) = metrics else { continue };
            own.publish(&caller.call.stats());
            own.set_ended("hung_up");
            if caller.member().is_none() {
                *metrics = None;
            }
        }
    }

    /// Notes who came, went, spoke and was heard in this tick.
    fn look(&mut self, room: &mut Room, now_ms: u64, recordings: &mut Recordings) -> Outcome {
        for (number, (caller, seen)) in self.callers.iter().zip(&mut self.seen).enumerate() {
            if caller.member().is_some() && seen.joined_ms.is_none() {
                seen.joined_ms = Some(now_ms);
                recordings.joined(room, number, caller)?;
            } else if caller.member().is_none() && seen.joined_ms.is_some() {
                seen.left_ms.get_or_insert(now_ms);
            }
        }
        let active = room.active_speaker();
        let tick_ms = u64::from(TICK_MS);
        for stats in room.members() {
            let number = self.callers.iter().position(|caller| caller.member() == Some(stats.id));
            let Some(seen) = number.map(|number| &mut self.seen[number]) else { continue };
            seen.spoke.mark(now_ms, tick_ms, stats.speaks);
            seen.said.mark(now_ms, tick_ms, stats.told.is_some_and(|told| told.voice));
            seen.heard.mark(now_ms, tick_ms, stats.speaks && stats.port.heard);
            seen.active.mark(now_ms, tick_ms, active == Some(stats.id));
            seen.clipped_samples = stats.port.clipped_samples;
        }
        let sources: Vec<_> = self.callers.iter().map(|caller| caller.call.sent_source(0)).collect();
        for (caller, seen) in self.callers.iter().zip(&mut self.seen).filter(|(caller, _)| caller.member().is_some()) {
            let Some(source) = caller.call.sources().next() else { continue };
            for (named, _) in source.contributors.iter().filter(|(_, level)| level.is_some_and(|level| level > -127)) {
                if let Some(number) = sources.iter().position(|source| *source == Some(named)) {
                    seen.named_ms[number] += tick_ms;
                }
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Outcome {
        self.files.iter_mut().zip(&mut self.callers).try_for_each(|(files, caller)| files.write(caller))
    }

    fn report(mut self, length_ms: u64, limited_ticks: u64, kept: KeptReport) -> Outcome {
        let args = self.args;
        for files in self.files.drain(..) {
            files.heard.finish()?;
            files.said.finish()?;
        }
        let mut callers = Vec::with_capacity(self.callers.len());
        for (number, (caller, seen)) in self.callers.iter_mut().zip(self.seen).enumerate() {
            let stats = caller.call.stats();
            let reception = stats.receiver.reception;
            callers.push(CallerReport {
                caller: number + 1,
                codec: caller.call.codec().map(|codec| codec.name.to_lowercase()).unwrap_or_default(),
                sample_rate_hz: caller.sample_rate_hz(),
                joined_ms: seen.joined_ms.unwrap_or(length_ms),
                left_ms: seen.left_ms,
                spoke_ms: seen.spoke,
                said_speaking_ms: seen.said,
                heard_by_others_ms: seen.heard,
                active_speaker_ms: seen.active,
                hears_ms: Vec::new(),
                named_ms: seen.named_ms,
                clipped_samples: seen.clipped_samples,
                packets_received: reception.received,
                packets_lost: reception.expected.saturating_sub(reception.received),
                concealed_ms: stats.receiver.concealed_samples * 1_000 / u64::from(caller.sample_rate_hz()),
                mos: stats.mos_cq.or(stats.mos_lq),
                heard: heard_file(number),
                said: said_file(number),
            });
        }
        let mut report = ConferenceReport {
            seconds: length_ms as f64 / 1_000.0,
            sample_rate_hz: args.rate,
            limited_ms: limited_ticks * u64::from(TICK_MS),
            settings: in_words(args),
            callers,
            kept,
        };
        report.count_hearers();
        report.write(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
        print(&report.to_string())?;
        print(&format!("Written: {}\n", args.out.join("conference.html").display()))
    }
}

fn in_words(args: &ConferenceArgs) -> Vec<(String, String)> {
    let heard = args.loudest.map_or("all".into(), |loudest| format!("the {loudest} loudest"));
    let time = if args.fast { "virtual" } else { "real, over loopback" };
    let mut words = vec![
        ("heard", heard),
        ("protection", if args.no_srtp { "none".into() } else { "SRTP".into() }),
        ("redundancy", args.red.to_string()),
        ("time", time.into()),
    ];
    if args.fast {
        words.push(("loss", format!("{} %, {} packets at a time", args.loss, args.burst)));
        words.push(("jitter", format!("{} ms standard deviation", args.jitter)));
        words.push(("seed", args.seed.to_string()));
    }
    words.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
