//! The choice of the streams that can be played, with format and duration, and the reasons against the others.

use dsp_core::codec::OtherPayload;
use dsp_core::time::PayloadType;

use super::{ReplayConfig, address};
use crate::replay::payloads::{Origin, Payload, PayloadFormat, PayloadMeaning};
use crate::replay::report::SkippedStream;
use crate::replay::streams::Found;

/// Seconds of a stream that are played however few packets it has, and how many times as long as what its packets hold it
/// may be with its pauses.
const LEAST_LIMIT_S: f64 = 60.0;
const PAUSES: f64 = 10.0;
/// The fewest packets of an unplayable candidate that is reported.
const LEAST_PACKETS: u64 = 10;

/// A stream that can be played.
pub(super) struct PlayableStream {
    pub(super) found: Found,
    pub(super) formats: Vec<(PayloadType, PayloadFormat)>,
    /// Comfort noise and telephone events.
    pub(super) others: Vec<(PayloadType, OtherPayload)>,
    pub(super) main: (PayloadType, PayloadFormat, Origin),
}

impl PlayableStream {
    /// Returns the receiver's rate in Hz, that of the widest format, and its clock; and the number of channels, that of the
    /// format with the most. All formats are heard, whatever their clocks.
    pub(super) fn sound(&self) -> ([u32; 2], u8) {
        let (main, formats) = (&self.main.1, || self.formats.iter().map(|(_, format)| format));
        let rate_hz = formats().map(PayloadFormat::sample_rate_hz).max().unwrap_or(main.sample_rate_hz());
        let one_clock = formats().all(|format| format.rtp_clock_hz() == main.rtp_clock_hz());
        let clock_hz = if one_clock { main.rtp_clock_hz() } else { rate_hz };
        ([rate_hz, clock_hz], formats().map(PayloadFormat::channels).max().unwrap_or(main.channels()))
    }

    /// Seconds that are played at most, and why no more.
    pub(super) fn limit(&self, config: &ReplayConfig) -> (f64, String) {
        if let Some(seconds) = config.seconds {
            return (seconds, format!("--seconds {seconds}, or more than is kept in memory"));
        }
        let step = self.found.main_shape().and_then(|(_, shape)| shape.usual_step()).unwrap_or(0);
        let holds = self.found.packets as f64 * f64::from(step) / f64::from(self.main.1.rtp_clock_hz());
        let why =
            format!("its packets hold {holds:.0} s, the rest is pauses, or more than is kept in memory (--seconds)");
        (LEAST_LIMIT_S + PAUSES * holds, why)
    }
}

/// Decides which streams can be played, and why the others can't.
pub(super) fn plan(found: Vec<Found>, config: &ReplayConfig) -> (Vec<PlayableStream>, Vec<SkippedStream>) {
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
                plans.push(PlayableStream { found, formats, others, main });
            }
            None if found.packets >= LEAST_PACKETS => skipped.push(skip(&found, why.join("; "))),
            None => {}
        }
    }
    (plans, skipped)
}

pub(super) fn skip(found: &Found, reason: String) -> SkippedStream {
    SkippedStream {
        from: address(found.key.from),
        to: address(found.key.to),
        ssrc: format!("0x{:08x}", found.key.ssrc.0),
        packets: found.packets,
        reason,
    }
}
