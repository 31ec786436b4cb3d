//! Opus in calls (RFC 7587): `opus/48000/2`, whatever its rate and channels are.

use dsp_core::codec::{Adaptation, CodecInfo, Decoder, EncodeError, Encoder, Frames, InBandRedundancy};

use super::{Codec, CodecDescription, CodecFormat, Made, Terms};
use crate::opus::{FRAMES, OpusApplication, OpusDecoder, OpusEncoder, OpusEncoderConfig, OpusFmtp, state_bytes};

/// The codec Opus (RFC 7587) with these settings, restricted by the other side's parameters. The rate in the settings is the rate
/// of a call's sound, whatever the other side plays or captures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opus(pub OpusEncoderConfig);

/// Returns the encoder's lookahead, the same at every rate: asking for it would cost an encoder.
const fn delay_us(application: OpusApplication) -> u32 {
    match application {
        OpusApplication::Voip | OpusApplication::Audio => 6_500,
        OpusApplication::LowDelay => 2_500,
    }
}

/// The highest complexity at which libopus doesn't analyse its input.
const UNANALYSED: u8 = 6;

impl Codec for Opus {
    fn formats(&self) -> Vec<CodecFormat> {
        vec![CodecFormat::opus()]
    }

    fn describe(&self, _: &CodecFormat) -> CodecDescription {
        let Self(config) = self;
        let [encoder_bytes, decoder_bytes] = state_bytes(config.channels);
        CodecDescription {
            frames: FRAMES,
            bit_rate_bps: [500, 512_000 * u32::from(config.channels)],
            own_concealment: true,
            redundancy: true,
            dtx: true,
            delay_us: delay_us(config.application),
            encoder_bytes,
            decoder_bytes,
            ..CodecDescription::new(config.sample_rate_hz, config.channels)
        }
    }

    /// Returns the configured bit rate, not the highest possible; beyond it Opus adapts to the room that it has.
    fn packet_bps(&self, _: &CodecFormat) -> u32 {
        self.0.bitrate_bps
    }

    /// A parameter of theirs that can't be is no reason for no call: none of theirs counts then.
    fn encoder(&self, terms: &Terms<'_>) -> Made<dyn Encoder + Send> {
        let mut config = self.0;
        let theirs = OpusFmtp::parse(&terms.theirs.fmtp).unwrap_or_else(|error| {
            tracing::warn!(%error, "parameters of Opus ignored");
            OpusFmtp::of(&self.0)
        });
        theirs.apply(&mut config);
        let most_bps = theirs.max_average_bitrate_bps.unwrap_or(u32::MAX);
        let (dtx, complexity) = (config.dtx, config.complexity);
        let quiet = Quiet::default();
        Ok(Box::new(Pausing { encoder: OpusEncoder::new(config)?, most_bps, dtx, complexity, told: false, quiet }))
    }

    fn decoder(&self, _: &Terms<'_>) -> Made<dyn Decoder + Send> {
        Ok(Box::new(OpusDecoder::new(self.0.sample_rate_hz, self.0.channels)?))
    }

    fn offer(&self, wanted: &CodecFormat) -> CodecFormat {
        wanted.clone().with_fmtp(OpusFmtp::of(&self.0).to_string())
    }

    /// Some phones write opus/48000 or opus/48000/1. The channels are in the packets, so that's harmless.
    fn agree(&self, ours: &CodecFormat, theirs: &CodecFormat) -> Option<CodecFormat> {
        let same = ours.is_named(&theirs.name) && ours.rtp_clock_hz == theirs.rtp_clock_hz;
        same.then(|| ours.clone())
    }
}

/// An encoder that sends nothing where RFC 7587, 3.1.3 allows it: in a silence, a payload that renews nothing. The first one is
/// sent all the same: its length tells the receiver that nothing is lost from now on.
struct Pausing {
    encoder: OpusEncoder,
    /// `maxaveragebitrate` of the other side, in bit/s.
    most_bps: u32,
    dtx: bool,
    /// The configured complexity.
    complexity: u8,
    /// Whether the other side was notified of the pause.
    told: bool,
    quiet: Quiet,
}

/// The time without speech that is sent before a pause that the encoder wouldn't make by itself, and below it the interval at
/// which a packet is sent within the pause: both as in libopus's own pauses.
const BEFORE_MS: u32 = 200;
const RENEWED_MS: u32 = 400;
/// A background is another one from 6 dB more and 9 dB less on, both in power; below half a step of rms it's silence.
const LOUDER: f32 = 4.0;
const SOFTER: f32 = 8.0;
const SILENCE: f32 = 0.25;
/// In a quiet room, below -60 dBov, in steps squared, a breath before a word is audible: sound that is louder than the background
/// is sent for `RISEN_MS`, and softer sound counts as another background from 6 dB on.
const QUIET: f32 = 1_073.7;
const RISEN_MS: u32 = 160;
/// Packets without voice that describe the background to the other side's decoder.
const DESCRIBED: u8 = 2;

/// The duration for which nobody has spoken, according to the capture chain, and the background that was sent meanwhile.
#[derive(Clone, Copy, Debug, Default)]
struct Quiet {
    /// Whether there is no speech, and for how long.
    told: bool,
    ms: u32,
    /// Packets since then that describe the background; below is the power of the background that was sent, in steps squared.
    described: u8,
    power: f32,
    /// The time for which nothing was sent, in ms.
    unsent_ms: u32,
}

impl Quiet {
    /// Returns whether a frame of `ms`, encoded as `payload`, need not be sent. Sound that is louder or softer than the
    /// background that was sent counts as another background.
    fn skips(&mut self, ms: u32, pcm: &[i16], payload: &[u8]) -> bool {
        if !self.told {
            *self = Self::default();
            return false;
        }
        self.ms = self.ms.saturating_add(ms);
        let power = pcm.iter().map(|&x| f32::from(x) * f32::from(x)).sum::<f32>() / pcm.len() as f32 + SILENCE;
        let quiet = self.power < QUIET;
        let softer = power * if quiet { LOUDER } else { SOFTER } <= self.power;
        let louder = power >= LOUDER * self.power;
        let alike = !louder && !softer;
        if louder && quiet && self.ms > BEFORE_MS {
            (self.ms, self.described, self.power) = (BEFORE_MS - RISEN_MS, 0, 0.0);
        } else if softer {
            self.power = 0.0;
        }
        let skips = self.ms > BEFORE_MS && self.described >= DESCRIBED && alike && self.unsent_ms + ms <= RENEWED_MS;
        if skips {
            self.unsent_ms += ms;
        } else {
            self.unsent_ms = 0;
            self.power = if self.power > 0.0 { (self.power + power) / 2.0 } else { power };
            self.described = self.described.saturating_add(u8::from(is_background(payload)));
        }
        skips
    }
}

/// Returns whether this is a packet of SILK, alone or below CELT, mono, of one frame, in which its own detector heard no voice: a
/// decoder takes the noise of its pauses from those (RFC 6716, 4.2.3: a bit for each 20 ms).
fn is_background(payload: &[u8]) -> bool {
    let &[toc, first, _, ..] = payload else { return false };
    let (config, stereo, frames) = (toc >> 3, toc & 4 != 0, toc & 3);
    let flags = match config {
        0..=11 => [0x80, 0x80, 0xc0, 0xe0][usize::from(config & 3)],
        12..=15 => 0x80,
        _ => return false,
    };
    !stereo && frames == 0 && first & flags == 0
}

impl Encoder for Pausing {
    fn info(&self) -> CodecInfo {
        self.encoder.info()
    }

    fn frames(&self) -> Frames {
        self.encoder.frames()
    }

    /// Adapts within the other side's limits. Its wishes for constant size, pauses and FEC are kept.
    fn adapt(&mut self, wanted: &Adaptation) -> Adaptation {
        let mut within = *wanted;
        within.bit_rate_bps = wanted.bit_rate_bps.map(|bps| bps.min(self.most_bps));
        self.encoder.adapt(&within)
    }

    fn in_band_redundancy(&self) -> InBandRedundancy {
        self.encoder.in_band_redundancy()
    }

    /// Sets whether there is speech. During speech the encoder doesn't pause, whatever its own detector says; and sound from
    /// before isn't taken for the beginning of a silence. Without speech the decision no longer depends on whether the sound is
    /// 25 dB below the loudest, as in the encoder's analysis, which noise never is: without the analysis SILK compares the sound
    /// with the noise before it. The packets of a pause need no finer coding.
    fn set_speech(&mut self, speech: Option<bool>) {
        if !self.dtx {
            return;
        }
        self.quiet.told = speech == Some(false);
        let complexity = if speech == Some(false) { self.complexity.min(UNANALYSED) } else { self.complexity };
        let config = OpusEncoderConfig { dtx: speech != Some(true), complexity, ..self.encoder.config() };
        if self.encoder.config() != config {
            let set = self.encoder.set(config);
            debug_assert!(set.is_ok(), "{set:?}");
        }
    }

    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, EncodeError> {
        let len = self.encoder.encode(pcm, payload)?;
        let OpusEncoderConfig { sample_rate_hz, channels, .. } = self.encoder.config();
        let ms = (pcm.len() / usize::from(channels)) as u32 * 1_000 / sample_rate_hz;
        let own = len <= 2 && self.encoder.in_dtx();
        let skips = self.quiet.skips(ms, pcm, &payload[..len]);
        let pauses = self.dtx && (own || skips);
        let told = std::mem::replace(&mut self.told, pauses);
        Ok(match (pauses, told) {
            (true, true) => 0,
            // The first byte gives the mode that pauses; the absence of a frame after it marks the pause.
            (true, false) if !own => {
                payload[0] &= !3;
                1
            }
            _ => len,
        })
    }

    fn reset(&mut self) {
        self.encoder.reset();
        self.told = false;
        self.quiet = Quiet::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opus::RATES_HZ;

    #[test]
    fn their_parameters_bind_our_encoder() {
        let bytes = |fmtp: &str| {
            let opus = Opus(OpusEncoderConfig { bitrate_bps: 64_000, ..Default::default() });
            let (ours, theirs) = (CodecFormat::opus(), CodecFormat::opus().with_fmtp(fmtp));
            let mut encoder = opus.encoder(&Terms { ours: &ours, theirs: &theirs }).unwrap();
            let tone: Vec<i16> = (0..960).map(|n| (8_000.0 * (n as f32 * 0.1).sin()) as i16).collect();
            let mut payload = [0; 1_500];
            (0..50).map(|_| encoder.encode(&tone, &mut payload).unwrap()).sum::<usize>()
        };
        let free = bytes("");
        assert!(bytes("maxaveragebitrate=12000") * 3 < free * 2);
        assert_eq!(bytes("useinbandfec=maybe; maxaveragebitrate=12000"), bytes("useinbandfec=1"));
        assert_eq!(bytes("maxaveragebitrate=24000;cbr=1"), 50 * 60);
    }

    #[test]
    fn where_nobody_speaks_noise_is_described_and_speech_is_sent_at_once() {
        let opus = Opus(OpusEncoderConfig { dtx: true, sample_rate_hz: 16_000, ..Default::default() });
        let (ours, theirs) = (CodecFormat::opus(), CodecFormat::opus().with_fmtp("usedtx=1"));
        let mut encoder = opus.encoder(&Terms { ours: &ours, theirs: &theirs }).unwrap();
        let (mut seed, mut payload) = (1u32, [0; 1_500]);
        // Of so many frames, as many are sent.
        let mut sent = |encoder: &mut Box<dyn Encoder + Send>, told, peak: i32, frames: u32| {
            encoder.set_speech(told);
            let mut sent = 0;
            for _ in 0..frames {
                let pcm: Vec<i16> = (0..320)
                    .map(|_| {
                        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (((seed >> 16) as i16 as i32 * peak) >> 15) as i16
                    })
                    .collect();
                sent += u32::from(encoder.encode(&pcm, &mut payload).unwrap() > 0);
            }
            sent
        };
        assert_eq!(sent(&mut encoder, None, 1_000, 200), 200, "what the encoder by itself takes for a voice");
        let quiet = sent(&mut encoder, Some(false), 1_000, 200);
        assert!((15..80).contains(&quiet), "{quiet} of 4 s in which nobody speaks");
        // Another background is one to be heard: 12 dB more.
        let louder = sent(&mut encoder, Some(false), 4_000, 3);
        assert!(louder >= 1, "{louder}");
        sent(&mut encoder, Some(false), 4_000, 200);
        assert_eq!(sent(&mut encoder, Some(true), 4_000, 50), 50);
        // A description is of SILK's background alone: not of CELT, stereo, several frames, or a voice.
        let background = |toc: u8, first: u8| is_background(&[toc, first, 0, 0]);
        assert!(background(9 << 3, 0x7f) && background(13 << 3, 0) && background(10 << 3, 0x3f));
        assert!(!background(9 << 3, 0x80) && !background(10 << 3, 0x40) && !background(11 << 3, 0x20));
        assert!(!background(17 << 3, 0) && !background(9 << 3 | 4, 0) && !background(9 << 3 | 1, 0));
        assert!(!is_background(&[9 << 3]));
    }

    #[test]
    fn adaptation_stays_below_what_they_can_take() {
        let opus = Opus::default();
        for (fmtp, bps) in
            [("maxaveragebitrate=20000", 20_000), ("", 96_000), ("maxaveragebitrate=20000;cbr=1", 20_000)]
        {
            let (ours, theirs) = (CodecFormat::opus(), CodecFormat::opus().with_fmtp(fmtp));
            let mut encoder = opus.encoder(&Terms { ours: &ours, theirs: &theirs }).unwrap();
            let wanted = Adaptation::default().with_bit_rate(96_000);
            assert_eq!(encoder.adapt(&wanted).bit_rate_bps, Some(bps), "{fmtp}");
            let tone: Vec<i16> = (0..960).map(|n| (8_000.0 * (n as f32 * 0.1).sin()) as i16).collect();
            let mut payload = [0; 1_500];
            let bytes: Vec<usize> = (0..50).map(|_| encoder.encode(&tone, &mut payload).unwrap()).collect();
            if fmtp.contains("cbr") {
                assert_eq!(bytes, [50; 50]);
            }
            assert!(bytes.iter().sum::<usize>() <= 50 * bps as usize / 400 * 11 / 10, "{fmtp}: {bytes:?}");
        }
    }

    #[test]
    fn the_delay_is_the_encoder_s_lookahead() {
        for application in [OpusApplication::Voip, OpusApplication::Audio, OpusApplication::LowDelay] {
            for sample_rate_hz in RATES_HZ {
                let config = OpusEncoderConfig { application, sample_rate_hz, ..Default::default() };
                let lookahead = OpusEncoder::new(config).unwrap().lookahead() as u32;
                let description = Opus(config).describe(&CodecFormat::opus());
                assert_eq!(description.delay_us * (sample_rate_hz / 1_000), lookahead * 1_000, "{config:?}");
            }
        }
    }

    #[test]
    fn channels_in_sdp_do_not_matter_and_the_clock_does() {
        let agree = |rtpmap| Opus::default().agree(&CodecFormat::opus(), &CodecFormat::from_rtpmap(rtpmap).unwrap());
        for rtpmap in ["opus/48000/2", "OPUS/48000", "opus/48000/1"] {
            assert_eq!(agree(rtpmap), Some(CodecFormat::opus()), "{rtpmap}");
        }
        assert_eq!(agree("opus/16000/2"), None);
    }
}
