//! Digits in a capture: the telephone events of each of its streams (RFC 4733), those too that have no sound; and those in the
//! sound (DTMF), as its listener heard it. A digit in both forms is one digit, an event.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use dsp_core::receive::{EventHeader, EventReceiver, EventsConfig};
use dsp_core::time::{Duration, Instant, PayloadType, Ssrc};
use dsp_core::tone::Country;
use dsp_core::wire::red::RedPayload;
use dsp_core::wire::rtp::RtpPacket;

use super::capture::{CaptureError, CaptureReader};
use super::payloads::{Payload, PayloadMap, PayloadMeaning, Shape};
use super::report::CaptureStream;
use super::run::{ReplayConfig, ReplayError, address, find, key, replay};
use super::sound::StreamSound;
use super::source::{CaptureKeys, CapturedDatagramKind, ReplaySource};
use crate::report::{DigitRow, ToneRow, event_row};

/// Events that are remembered of a stream.
const PLACES: usize = 16;
/// The clock of events in a stream without sound, in Hz: that of telephony.
const USUAL_CLOCK_HZ: u32 = 8_000;
/// The time after which an event can't continue.
const LONG_AFTER: Duration = Duration::from_secs(10);

/// The events of one stream as its packets come.
pub(super) struct EventLog {
    events: EventReceiver<PLACES>,
    rows: Vec<DigitRow>,
}

impl EventLog {
    pub(super) fn new() -> Self {
        Self { events: EventReceiver::new(EventsConfig::default()), rows: Vec::new() }
    }

    /// Takes in a payload of events.
    pub(super) fn take(&mut self, now: Instant, header: &EventHeader, payload: &[u8]) {
        // A payload that is no event is ignored.
        let _ = self.events.receive(now, header, payload);
        self.settle(now);
    }

    fn settle(&mut self, now: Instant) {
        while let Some(report) = self.events.next(now) {
            self.rows.extend(event_row(&report));
        }
    }

    /// All that was heard, in the order in which it began.
    pub(super) fn finish(mut self, now: Instant) -> Vec<DigitRow> {
        self.settle(now + LONG_AFTER);
        self.rows.sort_by(|a, b| a.start_ms.total_cmp(&b.start_ms));
        self.rows
    }
}

/// Returns the header of a packet's events; `clock_hz` is the clock of their payload type.
pub(super) fn event_header(packet: &RtpPacket<'_>, clock_hz: u32) -> EventHeader {
    EventHeader { ssrc: packet.ssrc(), timestamp: packet.timestamp(), marker: packet.marker(), clock_hz }
}

/// The DTMF digits of one stream.
#[derive(Clone, Debug)]
pub struct StreamDigits {
    /// The stream's sender and receiver, as `10.0.0.1:4000 -> 10.0.0.2:5000`, and its source in hex.
    pub stream: String,
    /// The digits, whose times count from the first RTP packet of the capture.
    pub digits: Vec<DigitRow>,
}

/// Lists the DTMF digits of all streams of the capture at `path`; streams without any are left out.
///
/// # Errors
/// The same as for [`replay`](super::replay).
pub fn digits(path: &Path, keys: &CaptureKeys, payloads: &PayloadMap) -> Result<Vec<StreamDigits>, ReplayError> {
    if !fs::metadata(path).map_err(CaptureError::Io)?.is_file() {
        return Err(CaptureError::Other("it is no file, and a capture is read twice").into());
    }
    let open = || CaptureReader::open(path);
    let search = find(ReplaySource::new(open()?, keys), payloads)?;
    let first_us = search.found.iter().map(|found| found.first_us).min().unwrap_or(0);
    let mut logs = HashMap::new();
    for found in &search.found {
        let clock_hz = found.clock_hz();
        let meaning = |shape: &Shape, number| shape.resolve(number, clock_hz, payloads);
        let (mut events, mut sound_hz) = (Vec::new(), None);
        for (number, shape) in &found.shapes {
            match meaning(shape, *number) {
                Payload::Known(PayloadMeaning::Events, _) => events.push(*number),
                Payload::Known(PayloadMeaning::Sound(format), _) => {
                    sound_hz = sound_hz.or(Some(format.rtp_clock_hz()));
                }
                _ => {}
            }
        }
        let entry = logs.entry(found.key).or_insert_with(|| (Vec::new(), None, found.redundancy, EventLog::new()));
        entry.0.extend(events);
        entry.1 = entry.1.or(sound_hz);
    }
    let mut order: Vec<_> = search.found.iter().map(|found| (found.key, found.first_us)).collect();
    order.sort_by_key(|(key, first_us)| (*first_us, key.ssrc.0));
    let mut source = ReplaySource::new(open()?, keys);
    let mut now = Instant::ZERO;
    while let Some(kind) = source.next()? {
        let Ok(packet) = RtpPacket::parse(&source.datagram.bytes) else { continue };
        if !matches!(kind, CapturedDatagramKind::Rtp | CapturedDatagramKind::Unopened) {
            continue;
        }
        let time_us = source.datagram.time_us.unwrap_or(first_us);
        now = now.max(Instant::from_micros(time_us.saturating_sub(first_us)));
        let Some((events, sound_hz, redundancy, log)) = logs.get_mut(&key(&source, &packet)) else { continue };
        let header = event_header(&packet, sound_hz.unwrap_or(USUAL_CLOCK_HZ));
        let is_event = |number: PayloadType| events.contains(&number);
        if *redundancy == Some(packet.payload_type()) {
            let Ok(red) = RedPayload::parse(packet.payload()) else { continue };
            for block in red.redundant().chain([red.primary()]).filter(|block| is_event(block.payload_type)) {
                let timestamp = block.timestamp(packet.timestamp());
                log.take(now, &EventHeader { timestamp, marker: false, ..header }, block.payload);
            }
        } else if is_event(packet.payload_type()) {
            log.take(now, &header, packet.payload());
        }
    }
    let mut all = Vec::new();
    for (key, _) in order {
        let Some((.., log)) = logs.remove(&key) else { continue };
        all.push(StreamDigits {
            stream: name(&address(key.from), &address(key.to), key.ssrc),
            digits: log.finish(now),
        });
    }
    in_sound(path, keys, payloads, &mut all)?;
    all.retain(|stream| !stream.digits.is_empty());
    Ok(all)
}

/// A stream's tones.
#[derive(Clone, Debug)]
pub struct StreamTones {
    /// The stream's sender, receiver and source, as in [`StreamDigits`].
    pub stream: String,
    /// The tones, whose times count from the first RTP packet of the capture.
    pub tones: Vec<ToneRow>,
}

/// Returns the tones of a call's progress in a country, of faxes and of modems in all streams of the capture at `path` that have
/// any.
///
/// # Errors
/// The same as for [`replay`](super::replay).
pub fn tones(
    path: &Path,
    keys: &CaptureKeys,
    payloads: &PayloadMap,
    country: &'static Country,
) -> Result<Vec<StreamTones>, ReplayError> {
    let config = ReplayConfig { payloads: payloads.clone(), ..ReplayConfig::default() };
    let report = replay(path, keys, &config)?;
    let all = report
        .streams
        .iter()
        .map(|stream| StreamTones { stream: name_of(stream), tones: sound_of(stream).tones(country) });
    Ok(all.filter(|stream| !stream.tones.is_empty()).collect())
}

/// Adds the digits heard in the sound of each stream that can be played.
fn in_sound(
    path: &Path,
    keys: &CaptureKeys,
    payloads: &PayloadMap,
    all: &mut Vec<StreamDigits>,
) -> Result<(), ReplayError> {
    let config = ReplayConfig { payloads: payloads.clone(), ..ReplayConfig::default() };
    let report = match replay(path, keys, &config) {
        Err(ReplayError::NoStream(_)) => return Ok(()),
        report => report?,
    };
    for stream in &report.streams {
        let own = name_of(stream);
        let at = all.iter().position(|known| known.stream == own).unwrap_or_else(|| {
            all.push(StreamDigits { stream: own, digits: Vec::new() });
            all.len() - 1
        });
        sound_of(stream).add_digits(&mut all[at].digits);
    }
    Ok(())
}

/// Returns the sound of a stream, on the axis of the capture.
fn sound_of(stream: &CaptureStream) -> StreamSound<'_> {
    let numbers = &stream.numbers;
    StreamSound {
        pcm: &stream.side.heard,
        rate_hz: numbers.sample_rate_hz,
        channels: stream.side.channels,
        begins_ms: stream.begins_ms - numbers.mean_buffer_delay_ms,
    }
}

fn name(from: &str, to: &str, ssrc: Ssrc) -> String {
    format!("{from} -> {to} SSRC 0x{:08x}", ssrc.0)
}

fn name_of(stream: &CaptureStream) -> String {
    format!("{} -> {} SSRC {}", stream.from, stream.to, stream.ssrc)
}
