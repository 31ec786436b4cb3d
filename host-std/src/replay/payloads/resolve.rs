//! The meaning of a payload type: given by the user, else fixed by RFC 3551, else guessed from its packets.

use dsp_core::time::PayloadType;

use super::format::PayloadFormat;
use super::meaning::{PayloadMap, PayloadMeaning};
use super::shape::{Law, OCTETS, READINGS, Shape};
use crate::registry::CodecFormat;

/// Least correlation of neighbouring samples for which a reading counts as sound.
const SMOOTH: f64 = 0.4;

/// The meaning of a payload type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::replay) enum Payload {
    /// Something that we know what to do with.
    Known(PayloadMeaning, Origin),
    /// Nothing for us, and why.
    Unknown(String),
}

/// The origin of that knowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replay) enum Origin {
    /// The user said it.
    Told,
    /// RFC 3551 fixes it.
    Static,
    /// The packets look like it.
    Guessed,
}

impl Shape {
    fn guess(&self, clock_hz: u32) -> Option<PayloadFormat> {
        if self.fits(self.opus) && (24_000..96_000).contains(&clock_hz) {
            return PayloadFormat::named("opus", 48_000, 2);
        }
        for (mode, count) in [("mode=20", self.ilbc[0]), ("mode=30", self.ilbc[1])] {
            if self.fits(count) {
                return PayloadFormat::new(CodecFormat::new("iLBC", 8_000, 1).with_fmtp(mode));
            }
        }
        let mut best: Option<(f64, PayloadFormat)> = None;
        for ((law, channels), likeness) in READINGS.iter().zip(&self.readings) {
            let bytes = channels * if *law == Law::Linear { 2 } else { 1 };
            let fits = OCTETS
                .iter()
                .position(|octets| *octets == (bytes as u32, 0))
                .is_some_and(|n| self.fits(self.octets[n]));
            let (name, clock) = match law {
                Law::Mu => ("PCMU", 8_000),
                Law::A => ("PCMA", 8_000),
                Law::Linear => ("L16", clock_hz),
            };
            let alike = likeness.correlation();
            if fits && clock == clock_hz && alike >= SMOOTH && best.as_ref().is_none_or(|(most, _)| alike > *most) {
                best = PayloadFormat::named(name, clock, *channels as u8).map(|format| (alike, format)).or(best);
            }
        }
        best.map(|(_, format)| format)
    }

    /// Determines the meaning of payload type `number`, whose clock seems to run at `clock_hz`.
    pub(in crate::replay) fn resolve(&self, number: PayloadType, clock_hz: u32, map: &PayloadMap) -> Payload {
        match self.meaning(number, clock_hz, map) {
            Payload::Known(PayloadMeaning::Sound(format), origin) => {
                Payload::Known(PayloadMeaning::Sound(format.with_stereo_packets(self.stereo > 0)), origin)
            }
            other => other,
        }
    }

    fn meaning(&self, number: PayloadType, clock_hz: u32, map: &PayloadMap) -> Payload {
        if let Some(meaning) = map.get(number) {
            return Payload::Known(meaning.clone(), Origin::Told);
        }
        // Drafts of RFC 3551 had comfort noise at 19 (6).
        if matches!(number.get(), 13 | 19) {
            return Payload::Known(PayloadMeaning::Noise, Origin::Static);
        }
        let no_decoder = |name: &str| Payload::Unknown(format!("{name}: there is no decoder for it here"));
        if let Some(fixed) = CodecFormat::from_static(number) {
            return match PayloadFormat::new(fixed.clone()) {
                None => no_decoder(&fixed.name),
                Some(_) if self.is_tagged() => Payload::Unknown(format!(
                    "{fixed} by its number, but each packet is longer than its time by the tag of SRTP: encrypted, \
                     and there is no key (--keys)"
                )),
                Some(format) => Payload::Known(PayloadMeaning::Sound(format), Origin::Static),
            };
        }
        if let Some((_, name)) = VIDEO.iter().find(|(known, _)| *known == number.get()) {
            return no_decoder(name);
        }
        if self.event.fit(self.packets) {
            return Payload::Known(PayloadMeaning::Events, Origin::Guessed);
        }
        if let Some(format) = &map.otherwise {
            return Payload::Known(PayloadMeaning::Sound(format.clone()), Origin::Told);
        }
        match self.guess(clock_hz) {
            Some(format) => Payload::Known(PayloadMeaning::Sound(format), Origin::Guessed),
            None => Payload::Unknown(self.why_not(number, clock_hz)),
        }
    }

    fn why_not(&self, number: PayloadType, clock_hz: u32) -> String {
        let mean = self.bytes as f64 / f64::from(self.packets.max(1));
        let step = self.usual_step().map_or(String::new(), |step| format!(" every {step} ticks"));
        let likely = if self.looks_encrypted() { ", as it seems" } else { "" };
        format!(
            "the packets don't tell what it is ({mean:.0} bytes{step}, a clock of about {clock_hz} Hz): say it with \
             --payload-map {}=NAME/CLOCK or --codec NAME, or if it is encrypted{likely}, give the --keys",
            number.get()
        )
    }
}

/// The video of RFC 3551, table 5.
const VIDEO: [(u8, &str); 6] = [
    (25, "CelB video"),
    (26, "JPEG video"),
    (31, "H.261 video"),
    (32, "MPEG video"),
    (33, "MPEG-2 transport stream"),
    (34, "H.263 video"),
];
