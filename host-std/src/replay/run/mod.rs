//! A capture from its file to a report: find the streams, then play each.
//!
//! The file is read twice, so that a stream is known when its first packet is played; only the report's content is kept in
//! memory. At most [`MOST_STREAMS`] streams are played, those with the most packets, and at most [`MOST_SAMPLES`] samples of all
//! of them together.

mod find;
mod plan;
mod remarks;
mod stream;

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;

use dsp_core::receive::{ConfigError, DelayConfig};
use dsp_core::tone::Country;
use dsp_core::wire::rtp::RtpPacket;

use self::find::Search;
pub(super) use self::find::{find, key};
use self::plan::{PlayableStream, plan, skip};
use super::capture::{CaptureError, CaptureReader};
use super::moments;
use super::numbers::thousandth;
use super::payloads::{Decoders, PayloadMap};
use super::play::{Loss, PlayedStream, StreamPlayer};
use super::report::{Capture, CaptureReport};
use super::source::{CaptureKeys, CapturedDatagramKind, ReplaySource};
use super::streams::{StreamKey, StreamParts};

/// Streams that are played.
const MOST_STREAMS: usize = 64;
/// Samples of all streams together: a gibibyte.
const MOST_SAMPLES: usize = 1 << 29;
/// The earliest time of a capture with a clock: times before 1990 aren't those of a clock.
const FIRST_CLOCK_US: u64 = 631_152_000_000_000;

/// The configuration of a replay.
///
/// This example answers how a call would have sounded with a fixed delay of 60 ms, where payload type 96 is known to be Opus:
///
/// ```
/// use dsp_core::receive::DelayConfig;
/// use host_std::replay::{PayloadMap, ReplayConfig};
///
/// let mut payloads = PayloadMap::default();
/// payloads.add("96=opus/48000/2")?;
/// let config = ReplayConfig { payloads, delay: DelayConfig::fixed(60), ..ReplayConfig::default() };
/// # let _ = config;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReplayConfig {
    /// The codecs of payload types, for those that aren't static.
    pub payloads: PayloadMap,
    /// The bounds of the listener's delay.
    pub delay: DelayConfig,
    /// Packets to lose in addition to those that the capture lacks; `None` loses none.
    pub loss: Option<Loss>,
    /// The country whose call-progress tones are looked for in the sound of each stream, with DTMF digits; `None` lists only
    /// telephone events.
    pub hear_tones: Option<&'static Country>,
    /// The most seconds of each stream that are played. `None` is a minute and ten times the length of the stream's packets.
    pub seconds: Option<f64>,
    /// The number of worst moments that are reported for each stream.
    pub worst: usize,
    /// Offset from UTC of the times that are shown, in minutes.
    pub utc_offset_minutes: i32,
    /// Names and values that the report's page shows as its settings.
    pub settings: Vec<(String, String)>,
}

impl Default for ReplayConfig {
    fn default() -> Self {
        Self {
            payloads: PayloadMap::default(),
            delay: DelayConfig::default(),
            loss: None,
            hear_tones: None,
            seconds: None,
            worst: 5,
            utc_offset_minutes: 0,
            settings: Vec::new(),
        }
    }
}

/// The reason why a capture can't be played.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplayError {
    /// The file can't be opened, or isn't a capture.
    Capture(CaptureError),
    /// The capture can't be read to its end.
    Read(io::Error),
    /// There is no RTP in the capture; the text describes its content.
    NoStream(String),
    /// No receiver can be made with the bounds of [`ReplayConfig::delay`].
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

/// Plays all RTP streams of the capture at `path`, and returns what their listeners heard. The same capture and settings give
/// the same bits. Use `CaptureKeys::default()` where nothing is encrypted.
///
/// # Errors
/// [`ReplayError::Capture`] if the file can't be opened, is a pipe or a device, or isn't a capture; [`ReplayError::Read`] if reading
/// fails later; [`ReplayError::NoStream`] if there is no RTP in it; [`ReplayError::Receiver`] if the bounds of
/// [`ReplayConfig::delay`] contradict each other.
pub fn replay(path: &Path, keys: &CaptureKeys, config: &ReplayConfig) -> Result<CaptureReport, ReplayError> {
    // A pipe can't be read twice, and one without a writer would block for ever.
    let about = std::fs::metadata(path).map_err(CaptureError::Io)?;
    if !about.is_file() && !about.is_dir() {
        return Err(CaptureError::Other("it is a pipe or a device, and a capture is read twice: from a file").into());
    }
    let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    replay_with(file, || CaptureReader::open(path), keys, config)
}

/// Does the same as [`replay`], for a capture in memory; the report calls it `file`.
///
/// # Errors
/// The same as for [`replay`].
///
/// # Examples
/// A capture in memory, of a second of mu-law of which every tenth packet is missing:
///
/// ```
/// use dsp_core::time::Instant;
/// use host_std::record::pcap::PcapWriter;
/// use host_std::replay::{CaptureKeys, ReplayConfig, replay_bytes};
///
/// let mut pcap = PcapWriter::new(Vec::new(), 0)?;
/// for seq in (0..50u8).filter(|seq| seq % 10 != 5) {
///     let mut packet = [0xd5; 172];
///     let [high, low] = (160 * u16::from(seq)).to_be_bytes();
///     packet[..12].copy_from_slice(&[0x80, 0, 0, seq, 0, 0, high, low, 0, 0, 0, 1]);
///     let at = Instant::from_millis(20 * u64::from(seq));
///     pcap.datagram(at, "192.0.2.1:4000".parse()?, "192.0.2.2:5004".parse()?, &packet)?;
/// }
/// let report = replay_bytes("call.pcap", &pcap.finish()?, &CaptureKeys::default(), &ReplayConfig::default())?;
/// let stream = &report.streams[0];
/// assert_eq!((stream.codec.as_str(), stream.numbers.received, stream.numbers.lost), ("PCMU/8000", 45, 5));
/// assert!(stream.numbers.concealed_ratio > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn replay_bytes(
    file: &str,
    bytes: &[u8],
    keys: &CaptureKeys,
    config: &ReplayConfig,
) -> Result<CaptureReport, ReplayError> {
    replay_with(file.into(), || CaptureReader::new(bytes), keys, config)
}

fn replay_with<R: Read>(
    file: String,
    open: impl Fn() -> Result<CaptureReader<R>, CaptureError>,
    keys: &CaptureKeys,
    config: &ReplayConfig,
) -> Result<CaptureReport, ReplayError> {
    let Search { found, hidden, kinds, counts, format } = find(ReplaySource::new(open()?, keys), &config.payloads)?;
    if found.is_empty() {
        return Err(ReplayError::NoStream(remarks::instead(&kinds, &counts)));
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
    let mut remarks = remarks::remarks(&kinds, &counts);
    let runs = play(ReplaySource::new(open()?, keys), config, &plans)?;
    let mut streams = Vec::with_capacity(plans.len());
    for (n, (plan, run)) in plans.iter().zip(runs).enumerate() {
        if run.cut_off {
            let seconds = run.numbers.duration_s;
            remarks.push(format!("stream-{} is cut off after {seconds:.0} s: {}", n + 1, plan.limit(config).1));
        }
        if run.unlisted > 0 {
            remarks.push(format!("stream-{}: {} lost packets are counted, and not listed", n + 1, run.unlisted));
        }
        let begins_ms = thousandth((plan.found.first_us - first_us) as f64 / 1e3);
        streams.push(stream::report(plan, run, config, clock, begins_ms));
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

fn play<R: Read>(
    mut source: ReplaySource<'_, R>,
    config: &ReplayConfig,
    plans: &[PlayableStream],
) -> Result<Vec<PlayedStream>, ReplayError> {
    let mut players = Vec::with_capacity(plans.len());
    let mut places = HashMap::new();
    for (n, plan) in plans.iter().enumerate() {
        let (_, main, _) = &plan.main;
        let (rates, channels) = plan.sound();
        let rate = rates[0];
        let seconds = plan.limit(config).0;
        let longest = (MOST_SAMPLES / plans.len()).min((seconds * f64::from(rate)) as usize * usize::from(channels));
        let decoders = Decoders::new(&plan.formats, [rate, main.rtp_clock_hz()], channels);
        let decoders = decoders.ok_or_else(|| io::Error::other("a decoder can't be made"))?;
        let decoders = decoders.with_others(&plan.others).with_redundancy(plan.found.redundancy);
        let loss = config.loss.map(|loss| Loss { seed: loss.seed.wrapping_add(n as u64), ..loss });
        let player = StreamPlayer::new(rates, channels, config.delay, decoders, loss, plan.found.first_us, longest);
        players.push(player.map_err(ReplayError::Receiver)?);
        places.insert((plan.found.key, plan.found.part), n);
    }
    let mut parts = StreamParts::default();
    let mut time_us = 0;
    while let Some(kind) = source.next()? {
        time_us = source.datagram.time_us.unwrap_or(time_us);
        let Ok(packet) = RtpPacket::parse(&source.datagram.bytes) else { continue };
        let key = match kind {
            CapturedDatagramKind::Rtp | CapturedDatagramKind::Unopened => key(&source, &packet),
            // The packet belongs to a part of its stream, as in the first reading.
            CapturedDatagramKind::Refused => {
                parts.of(StreamKey { secured: true, ..key(&source, &packet) }, time_us);
                continue;
            }
            CapturedDatagramKind::Rtcp | CapturedDatagramKind::Other => continue,
        };
        if let Some(&place) = places.get(&(key, parts.of(key, time_us))) {
            players[place].packet(source.datagram.time_us, &source.datagram.bytes);
        }
    }
    Ok(players.into_iter().enumerate().map(|(n, player)| player.finish(format!("stream-{}", n + 1))).collect())
}

/// Returns an address for people: an rtpdump may not have it.
pub(super) fn address(address: SocketAddr) -> String {
    if address.ip().is_unspecified() && address.port() == 0 { "unknown".into() } else { address.to_string() }
}
