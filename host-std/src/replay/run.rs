//! A capture from its file to a report: find the streams, then play each.
//!
//! The file is read twice, so that a stream is known when its first packet is played; nothing of it is kept in memory but
//! what the report shows. At most [`MOST_STREAMS`] streams are played, those with the most packets, and at most
//! [`MOST_SAMPLES`] samples of all of them together.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;

use dsp_core::codec::OtherPayload;
use dsp_core::receive::{ConfigError, DelayConfig};
use dsp_core::time::PayloadType;
use dsp_core::wire::rtp::RtpPacket;

use super::capture::{CaptureCounts, CaptureError, CaptureReader};
use super::link;
use super::moments::{self, Record};
use super::numbers::thousandth;
use super::payloads::{Decoders, Origin, Payload, PayloadFormat, PayloadMap, PayloadMeaning, Shape};
use super::play::{Loss, Player, Run};
use super::report::{Capture, CaptureReport, CaptureStream, SkippedStream};
use super::source::{Keys, Kind, Source};
use super::streams::{Finder, Found, MOST_SOURCES, Parts, StreamKey};
use crate::report::{SideReport, Spread, Statistics};

/// Streams that are played.
const MOST_STREAMS: usize = 64;
/// Samples of all streams together: a gibibyte.
const MOST_SAMPLES: usize = 1 << 29;
/// Seconds of a stream that are played however few packets it has, and how many times as long as what its packets hold it
/// may be with its pauses.
const LEAST_LIMIT_S: f64 = 60.0;
const PAUSES: f64 = 10.0;
/// Packets below which a candidate that can't be played is not worth a word.
const LEAST_PACKETS: u64 = 10;
/// What is told of noise that the user takes for a codec.
const LOOKS_ENCRYPTED: &str = "looks encrypted, no key";
/// A capture whose times lie before 1990 has no clock.
const FIRST_CLOCK_US: u64 = 631_152_000_000_000;

/// How a capture is played.
#[derive(Clone, Debug)]
pub struct ReplayConfig {
    /// What payload types are.
    pub payloads: PayloadMap,
    /// The listener's delay.
    pub delay: DelayConfig,
    /// Packets to lose on top.
    pub loss: Option<Loss>,
    /// Seconds of each stream that are played at most; `None`: a minute, and ten times what its packets hold.
    pub seconds: Option<f64>,
    /// Worst moments to tell for each stream.
    pub worst: usize,
    /// Offset of the times that are shown from UTC, in minutes.
    pub utc_offset_minutes: i32,
    /// Name and value of what the page shows of the settings.
    pub settings: Vec<(String, String)>,
}

impl Default for ReplayConfig {
    fn default() -> Self {
        Self {
            payloads: PayloadMap::default(),
            delay: DelayConfig::default(),
            loss: None,
            seconds: None,
            worst: 5,
            utc_offset_minutes: 0,
            settings: Vec::new(),
        }
    }
}

/// Why a capture can't be played.
#[derive(Debug)]
pub enum ReplayError {
    /// It can't be read.
    Capture(CaptureError),
    /// It can't be read to its end.
    Read(io::Error),
    /// There is no RTP in it: what there is instead.
    NoStream(String),
    /// The listener can't be made as asked.
    Receiver(ConfigError),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capture(error) => error.fmt(f),
            Self::Read(_) => write!(f, "the capture can't be read to its end"),
            Self::NoStream(instead) => write!(f, "no RTP stream in the capture ({instead})"),
            Self::Receiver(_) => write!(f, "a listener with these settings can't be made"),
        }
    }
}

impl std::error::Error for ReplayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Capture(error) => std::error::Error::source(error),
            Self::Read(error) => Some(error),
            Self::NoStream(_) => None,
            Self::Receiver(error) => Some(error),
        }
    }
}

impl From<CaptureError> for ReplayError {
    fn from(error: CaptureError) -> Self {
        Self::Capture(error)
    }
}

impl From<io::Error> for ReplayError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// Datagrams by what they are.
#[derive(Clone, Copy, Debug, Default)]
struct Kinds {
    rtp: u64,
    refused: u64,
    rtcp: u64,
    other: u64,
    forgotten: u64,
    left_out: usize,
    out_of_order: u64,
}

/// A stream that can be played.
struct Plan {
    found: Found,
    formats: Vec<(PayloadType, PayloadFormat)>,
    /// Comfort noise and telephone events.
    others: Vec<(PayloadType, OtherPayload)>,
    main: (PayloadType, PayloadFormat, Origin),
}

impl Plan {
    /// The formats that are heard, the one of most packets first: a stream keeps its clock.
    fn heard(&self) -> impl Iterator<Item = &(PayloadType, PayloadFormat)> {
        self.formats.iter().filter(|(_, format)| format.goes_with(&self.main.1))
    }

    /// Seconds that are played at most, and why no more.
    fn limit(&self, config: &ReplayConfig) -> (f64, String) {
        if let Some(seconds) = config.seconds {
            return (seconds, format!("--seconds {seconds}, or more than is kept in memory"));
        }
        let step = self.found.main_shape().and_then(|(_, shape)| shape.usual_step()).unwrap_or(0);
        let holds = self.found.packets as f64 * f64::from(step) / f64::from(self.main.1.rtp_clock_hz());
        let why =
            format!("its packets hold {holds:.0} s, the rest is pauses, or more than is kept in memory (--seconds)");
        (LEAST_LIMIT_S + PAUSES * holds, why)
    }

    /// What is said of those that are not.
    fn unheard(&self, name: &str) -> Vec<String> {
        let main = &self.main.1;
        let others = self.formats.iter().filter(|(_, format)| !format.goes_with(main));
        let remark = |(number, format): &(PayloadType, PayloadFormat)| {
            let number = number.get();
            format!("{name}: payload type {number}, {format}, has another clock than {main}, and is not heard")
        };
        others.map(remark).collect()
    }
}

/// Plays all streams of the capture at `path`. The same capture and settings give the same bits.
///
/// # Errors
/// [`ReplayError`].
pub fn replay(path: &Path, keys: &Keys, config: &ReplayConfig) -> Result<CaptureReport, ReplayError> {
    // Nobody can read a pipe twice, and one that nobody writes to would be opened for ever.
    let about = std::fs::metadata(path).map_err(CaptureError::Io)?;
    if !about.is_file() && !about.is_dir() {
        return Err(CaptureError::Other("it is a pipe or a device, and a capture is read twice: from a file").into());
    }
    let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    replay_with(file, || CaptureReader::open(path), keys, config)
}

/// As [`replay`], for a capture in memory that is called `file`.
///
/// # Errors
/// [`ReplayError`].
pub fn replay_bytes(
    file: &str,
    bytes: &[u8],
    keys: &Keys,
    config: &ReplayConfig,
) -> Result<CaptureReport, ReplayError> {
    replay_with(file.into(), || CaptureReader::new(bytes), keys, config)
}

fn replay_with<R: Read>(
    file: String,
    open: impl Fn() -> Result<CaptureReader<R>, CaptureError>,
    keys: &Keys,
    config: &ReplayConfig,
) -> Result<CaptureReport, ReplayError> {
    let Search { found, hidden, kinds, counts, format } = find(Source::new(open()?, keys), &config.payloads)?;
    if found.is_empty() {
        return Err(ReplayError::NoStream(instead(&kinds, &counts)));
    }
    let (first_us, last_us) = (
        found.iter().map(|found| found.first_us).min().unwrap_or(0),
        found.iter().map(|found| found.last_us).max().unwrap_or(0),
    );
    let total = found.len();
    let (mut plans, mut skipped) = plan(found, config);
    skipped.extend(hidden.iter().map(|found| skip(found, "encrypted, and none of the keys opens it".into())));
    if plans.len() > MOST_STREAMS {
        plans.sort_by_key(|plan| std::cmp::Reverse(plan.found.packets));
        for plan in plans.split_off(MOST_STREAMS) {
            skipped.push(skip(&plan.found, format!("only the {MOST_STREAMS} longest of {total} streams are played")));
        }
        plans.sort_by_key(|plan| (plan.found.first_us, plan.found.key.ssrc.0));
    }
    let clock = (first_us >= FIRST_CLOCK_US).then(|| i64::from(config.utc_offset_minutes) * 60_000_000);
    let mut remarks = remarks(&kinds, &counts);
    let runs = play(Source::new(open()?, keys), config, &plans)?;
    let mut streams = Vec::with_capacity(plans.len());
    for (n, (plan, run)) in plans.iter().zip(runs).enumerate() {
        if run.cut_off {
            let seconds = run.numbers.duration_s;
            remarks.push(format!("stream-{} is cut off after {seconds:.0} s: {}", n + 1, plan.limit(config).1));
        }
        if run.unlisted > 0 {
            remarks.push(format!("stream-{}: {} lost packets are counted, and not listed", n + 1, run.unlisted));
        }
        remarks.extend(plan.unheard(&format!("stream-{}", n + 1)));
        streams.push(stream(plan, run, config, clock));
    }
    Ok(CaptureReport {
        streams,
        skipped,
        capture: Capture {
            file,
            format,
            begin: clock.map(|offset| {
                let us = first_us as i64 + offset;
                format!("{} {}", moments::date(us), moments::time_of_day(us))
            }),
            utc_offset_minutes: config.utc_offset_minutes,
            duration_s: thousandth((last_us - first_us) as f64 / 1e6),
            packets: counts.packets,
            rtp_packets: kinds.rtp,
            rtcp_packets: kinds.rtcp,
            refused_packets: kinds.refused,
            remarks,
            settings: config.settings.clone(),
        },
    })
}

/// What the first reading finds.
struct Search {
    found: Vec<Found>,
    /// Streams that look encrypted, and that none of the keys opens.
    hidden: Vec<Found>,
    kinds: Kinds,
    counts: CaptureCounts,
    format: &'static str,
}

fn find<R: Read>(mut source: Source<'_, R>, payloads: &PayloadMap) -> Result<Search, ReplayError> {
    let mut finder = Finder::new(payloads);
    let mut kinds = Kinds::default();
    let mut time_us = 0;
    while let Some(kind) = source.next()? {
        kinds.out_of_order += u64::from(source.datagram.time_us.is_some_and(|time| time < time_us));
        time_us = source.datagram.time_us.unwrap_or(time_us);
        match kind {
            Kind::Rtp | Kind::Unopened => kinds.rtp += 1,
            Kind::Refused => kinds.refused += 1,
            Kind::Rtcp => kinds.rtcp += 1,
            Kind::Other => kinds.other += 1,
        }
        match (kind, RtpPacket::parse(&source.datagram.bytes)) {
            (Kind::Rtp | Kind::Unopened, Ok(packet)) => {
                finder.add(key(&source, &packet), time_us, &packet, source.profile);
            }
            (Kind::Refused, Ok(packet)) => finder.refuse(StreamKey { secured: true, ..key(&source, &packet) }, time_us),
            _ => {}
        }
    }
    (kinds.forgotten, kinds.left_out) = (finder.forgotten, finder.left_out());
    let (mut found, others) = finder.finish();
    let mut hidden = Vec::new();
    if source.has_keys() {
        hidden = tell_unopened_apart(&mut found, others, &mut kinds);
    }
    Ok(Search { found, hidden, kinds, counts: source.counts().clone(), format: source.format() })
}

/// What no key opens is plain, or of a source that a key opens and damaged, or encrypted under a key that isn't here.
/// Leaves the plain ones in `found` and returns the last.
fn tell_unopened_apart(found: &mut Vec<Found>, others: Vec<Found>, kinds: &mut Kinds) -> Vec<Found> {
    let opened: HashMap<StreamKey, usize> =
        found.iter().enumerate().filter(|(_, found)| found.key.secured).map(|(n, found)| (found.key, n)).collect();
    let (mut hidden, mut refused) = (Vec::new(), Vec::new());
    let mut all: Vec<Option<Found>> = found.drain(..).map(Some).collect();
    let believed = all.len();
    all.extend(others.into_iter().map(Some));
    for (n, entry) in all.iter_mut().enumerate() {
        let Some(candidate) = entry.take_if(|found| !found.key.secured) else { continue };
        let shape = candidate.main_shape().map(|(_, shape)| shape);
        let sibling = opened.get(&StreamKey { secured: true, ..candidate.key });
        match sibling {
            Some(&place) if n >= believed || !shape.is_some_and(Shape::looks_plain) => {
                refused.push((place, candidate.packets));
            }
            None if n < believed && shape.is_some_and(Shape::looks_encrypted) => {
                kinds.rtp -= candidate.packets;
                kinds.refused += candidate.packets;
                hidden.push(candidate);
            }
            _ => *entry = Some(candidate),
        }
    }
    for (place, packets) in refused {
        kinds.rtp -= packets;
        kinds.refused += packets;
        if let Some(found) = &mut all[place] {
            found.refused += packets;
        }
    }
    all.truncate(believed);
    found.extend(all.into_iter().flatten());
    hidden
}

fn key<R: Read>(source: &Source<'_, R>, packet: &RtpPacket<'_>) -> StreamKey {
    let secured = source.profile.is_some();
    StreamKey { from: source.datagram.from, to: source.datagram.to, ssrc: packet.ssrc(), secured }
}

/// Which streams can be played, and why not the others.
fn plan(found: Vec<Found>, config: &ReplayConfig) -> (Vec<Plan>, Vec<SkippedStream>) {
    let (mut plans, mut skipped) = (Vec::new(), Vec::new());
    for found in found {
        let clock_hz = found.clock_hz();
        let (mut sounds, mut others, mut why) = (Vec::new(), Vec::new(), Vec::new());
        let mut numbers = found.shapes.clone();
        numbers.sort_by_key(|(number, shape)| (std::cmp::Reverse(shape.packets), *number));
        for (number, shape) in &numbers {
            match shape.resolve(*number, clock_hz, &config.payloads) {
                Payload::Known(PayloadMeaning::Sound(format), origin) => sounds.push((*number, format, origin)),
                Payload::Unknown(reason) => why.push(format!("payload type {}: {reason}", number.get())),
                Payload::Known(PayloadMeaning::Events, _) => {
                    others.push((*number, OtherPayload::Event));
                    why.push(format!("payload type {}: telephone events", number.get()));
                }
                Payload::Known(PayloadMeaning::Noise, _) => {
                    others.push((*number, OtherPayload::Noise));
                    why.push(format!("payload type {}: comfort noise", number.get()));
                }
                // The sound in it stands under its own number.
                Payload::Known(PayloadMeaning::Redundancy, _) => {
                    why.push(format!("payload type {}: redundant audio data that is broken", number.get()));
                }
            }
        }
        PayloadFormat::bring_together(&mut sounds.iter_mut().map(|(_, format, _)| format).collect::<Vec<_>>());
        match sounds.first().cloned() {
            Some(main) => {
                let formats = sounds.into_iter().map(|(number, format, _)| (number, format)).collect();
                plans.push(Plan { found, formats, others, main });
            }
            None if found.packets >= LEAST_PACKETS => skipped.push(skip(&found, why.join("; "))),
            None => {}
        }
    }
    (plans, skipped)
}

fn skip(found: &Found, reason: String) -> SkippedStream {
    SkippedStream {
        from: address(found.key.from),
        to: address(found.key.to),
        ssrc: format!("0x{:08x}", found.key.ssrc.0),
        packets: found.packets,
        reason,
    }
}

fn play<R: Read>(mut source: Source<'_, R>, config: &ReplayConfig, plans: &[Plan]) -> Result<Vec<Run>, ReplayError> {
    let mut players = Vec::with_capacity(plans.len());
    let mut places = HashMap::new();
    for (n, plan) in plans.iter().enumerate() {
        let (_, main, _) = &plan.main;
        let (rate, channels) = (main.sample_rate_hz(), main.channels());
        let seconds = plan.limit(config).0;
        let longest = (MOST_SAMPLES / plans.len()).min((seconds * f64::from(rate)) as usize * usize::from(channels));
        let decoders = Decoders::new(&plan.formats, main).ok_or_else(|| io::Error::other("a decoder can't be made"))?;
        let decoders = decoders.with_others(&plan.others).with_redundancy(plan.found.redundancy);
        let loss = config.loss.map(|loss| Loss { seed: loss.seed.wrapping_add(n as u64), ..loss });
        let rates = [rate, main.rtp_clock_hz()];
        let player = Player::new(rates, channels, config.delay, decoders, loss, plan.found.first_us, longest);
        players.push(player.map_err(ReplayError::Receiver)?);
        places.insert((plan.found.key, plan.found.part), n);
    }
    let mut parts = Parts::default();
    let mut time_us = 0;
    while let Some(kind) = source.next()? {
        time_us = source.datagram.time_us.unwrap_or(time_us);
        let Ok(packet) = RtpPacket::parse(&source.datagram.bytes) else { continue };
        let key = match kind {
            Kind::Rtp | Kind::Unopened => key(&source, &packet),
            // As in the first reading, it belongs to a part of its stream.
            Kind::Refused => {
                parts.of(StreamKey { secured: true, ..key(&source, &packet) }, time_us);
                continue;
            }
            Kind::Rtcp | Kind::Other => continue,
        };
        if let Some(&place) = places.get(&(key, parts.of(key, time_us))) {
            players[place].packet(source.datagram.time_us, &source.datagram.bytes);
        }
    }
    Ok(players.into_iter().enumerate().map(|(n, player)| player.finish(format!("stream-{}", n + 1))).collect())
}

fn stream(plan: &Plan, run: Run, config: &ReplayConfig, clock: Option<i64>) -> CaptureStream {
    let (number, format, origin) = &plan.main;
    let clock_khz = f64::from(format.rtp_clock_hz()) / 1e3;
    let step = plan.found.shapes.iter().find(|(known, _)| known == number).and_then(|(_, shape)| shape.usual_step());
    let clock_khz = if run.stats.double_clock { clock_khz * 2.0 } else { clock_khz };
    let packet_ms = step.map_or(20.0, |step| thousandth(f64::from(step) / clock_khz));
    let numbers = run.numbers.rated(format.codec(), run.bursts, packet_ms);
    let rate = f64::from(numbers.sample_rate_hz);
    let duration_ms = run.heard.len() as f64 * 1e3 / f64::from(format.channels()) / rate;
    let record = Record { packets: &run.packets, play: &run.play, delays: &run.delays, packet_ms, duration_ms };
    let protection = match plan.found.profile {
        Some(profile) => profile.sdes_name(),
        None if plan.found.main_shape().is_some_and(|(_, shape)| shape.looks_encrypted()) => LOOKS_ENCRYPTED,
        None => "none",
    };
    let verdict = match protection {
        LOOKS_ENCRYPTED => "Noise: the packets look encrypted, and there is no key for them (--keys).".to_owned(),
        _ => record.verdict(&numbers),
    };
    let mut worst = record.worst(config.worst);
    let begins_us = clock.map(|offset| plan.found.first_us as i64 + offset);
    for moment in &mut worst {
        moment.time = begins_us.map(|begin| moments::time_of_day(begin + (moment.at_ms * 1e3) as i64));
    }
    let stats = &run.stats;
    let told = match origin {
        _ if run.stats.double_clock => " (counted at 16 kHz by its sender)",
        Origin::Told | Origin::Static => "",
        Origin::Guessed => " (guessed)",
    };
    let [mean, p95, most] = run.network_ms;
    let statistics = Statistics {
        packets_sent: run.sent,
        packets_received: numbers.received,
        packets_lost: numbers.lost,
        packets_duplicate: run.duplicate,
        packets_superseded: run.superseded,
        packets_refused: plan.found.refused,
        network_delay_ms: (numbers.received > 0).then_some(Spread { min: 0.0, mean, max: most }),
        buffer_delay_ms: Some(numbers.mean_buffer_delay_ms),
        jitter_ms: run.jitter_ms,
        r_factor: numbers.r_factor,
        mos_lq: numbers.mos_lq,
        mos_cq: numbers.mos_cq,
        clock_drift_ppm: run.clock_drift_ppm,
        payload_bitrate_bps: (duration_ms > 0.0).then(|| thousandth(run.payload_bytes as f64 * 8e3 / duration_ms)),
        ..Statistics::counted(stats, numbers.sample_rate_hz, 0.0)
    };
    let codecs: Vec<_> = plan.heard().map(|(_, format)| format.to_string()).collect();
    let wav_file = format!("{}.wav", numbers.name);
    CaptureStream {
        from: address(plan.found.key.from),
        to: address(plan.found.key.to),
        ssrc: format!("0x{:08x}", plan.found.key.ssrc.0),
        payload_type: number.get(),
        codec: format.to_string(),
        codecs: codecs.clone(),
        codec_guessed: *origin == Origin::Guessed,
        rtp_clock_hz: format.rtp_clock_hz(),
        packet_ms,
        begin: begins_us.map(|us| format!("{} {}", moments::date(us), moments::time_of_day(us))),
        verdict,
        worst,
        max_playout_delay_ms: run.max_playout_ms,
        mean_network_delay_ms: mean,
        p95_network_delay_ms: p95,
        max_network_delay_ms: most,
        jitter_ms: run.jitter_ms,
        clock_drift_ppm: run.clock_drift_ppm,
        protection,
        refused: plan.found.refused,
        duplicate: run.duplicate,
        superseded: run.superseded,
        reordered: stats.total.reordered,
        undecodable: u64::from(stats.undecodable),
        events: u64::from(stats.event_packets),
        other_payload: u64::from(stats.unknown_payload),
        played: stats.decoded_packets + u64::from(stats.noise_packets),
        probation: u64::from(stats.probation),
        unusable: u64::from(stats.refused),
        waiting: u64::from(stats.buffered_packets - stats.buffered_copies),
        restarts: u64::from(stats.restarts),
        lost_on_purpose: run.dropped,
        side: SideReport {
            name: numbers.name.clone(),
            peer: address(plan.found.key.from),
            codec: format!("{}{told}, {packet_ms} ms", codecs.join(" and ")),
            sample_rate_hz: numbers.sample_rate_hz,
            channels: format.channels(),
            said: Vec::new(),
            heard: run.heard,
            wav_file,
            packet_ms,
            begins_us,
            delays_relative: true,
            statistics,
            packets: run.packets,
            play: run.play,
            delays: run.delays,
        },
        numbers,
    }
}

/// An address for people: an rtpdump may not have it.
fn address(address: SocketAddr) -> String {
    if address.ip().is_unspecified() && address.port() == 0 { "unknown".into() } else { address.to_string() }
}

/// What there was instead of RTP.
fn instead(kinds: &Kinds, counts: &CaptureCounts) -> String {
    if counts.packets == 0 {
        return counts.broken.map_or("it is empty".into(), |(at, problem)| format!("at byte {at}, {problem}"));
    }
    let mut parts = vec![format!("{} packets", counts.packets)];
    let mut add = |count: u64, what: &str| {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    };
    add(counts.not_udp, "not UDP");
    add(kinds.refused, "refused by SRTP with these keys");
    add(kinds.rtp, "that look like RTP, but follow no sequence");
    add(kinds.rtcp, "RTCP");
    add(kinds.forgotten, "of too many sources");
    add(kinds.other, "other UDP");
    let link = counts.link_type.map_or(String::new(), |link| format!(" {link}{}", link::name(link)));
    add(counts.unknown_link, &format!("of a link type that is not read here,{link}"));
    add(counts.fragments, "fragments that don't make whole packets");
    add(counts.joined, "more fragments that were put together");
    add(counts.cut, "captured only in part");
    add(counts.malformed, "malformed");
    parts.join(", ")
}

/// What a reader should know before trusting the numbers.
fn remarks(kinds: &Kinds, counts: &CaptureCounts) -> Vec<String> {
    let mut remarks = Vec::new();
    let mut add = |count: u64, text: String| {
        if count > 0 {
            remarks.push(text);
        }
    };
    if let Some((at, problem)) = counts.broken {
        add(1, format!("the file breaks off at byte {at}: {problem}; what is before it is played"));
    }
    add(counts.cut, format!("{} packets were captured only in part and count as lost (snap length)", counts.cut));
    add(counts.fragments, format!("{} IP fragments don't make whole packets, which count as lost", counts.fragments));
    add(counts.malformed, format!("{} malformed packets are skipped", counts.malformed));
    let link = counts.link_type.unwrap_or_default();
    let name = link::name(link);
    add(
        counts.unknown_link,
        format!("{} packets of link type {link}{name} are skipped: not read here", counts.unknown_link),
    );
    add(
        counts.untimed,
        format!(
            "{} packets have no time (pcapng simple packets): they are taken to come when they were due",
            counts.untimed
        ),
    );
    add(kinds.refused, format!("{} packets were refused by SRTP: another key, a replay, or damaged", kinds.refused));
    add(
        kinds.out_of_order,
        format!("{} packets are out of the order of time: they are played as they stand", kinds.out_of_order),
    );
    match kinds.left_out {
        0 => add(kinds.forgotten, format!("{} packets of what hardly was RTP are left out", kinds.forgotten)),
        left_out => add(
            kinds.forgotten,
            format!(
                "at least {left_out} more sources, with {} packets, are left out: no more than {MOST_SOURCES} are looked at",
                kinds.forgotten
            ),
        ),
    }
    remarks
}
