//! Fuzzing of whole calls: two ends talk, and what passes between them is changed, repeated, cut and overtaken, RTP and
//! RTCP alike, with redundancy, comfort noise, several codecs and several sources. Nothing panics (overflow is checked in
//! tests), every packet of the other end that is left alone afterwards is heard again, and delay stays within the bound.
//! On stable with the default engine; `BOLERO_RANDOM_TEST_TIME_MS` sets how long.

use std::net::SocketAddr;

use bolero::produce;
use dsp_core::codec::ilbc::IlbcMode;
use dsp_core::time::{Duration, Instant};
use host_std::registry::CodecFormat;
use host_std::sdp::{Direction, ExtensionOptions, FeedbackOptions, OfferExtensions, SrtpPolicy};
use host_std::session::{Call, CallConfig, Channel, Identity, MAX_SOURCES, Transmit};
use media_core_tests::road::babble;
use media_core_tests::tick::Device;

/// What happens to a datagram: how, where in it, and with what.
type Edit = (u8, u16, u8);

/// Datagrams that are changed in a call, at most.
const MOST_EDITS: usize = 800;
/// The longest that sound may wait, in ms: the default bound of the delay.
const BOUND_MS: u32 = 2_000;
/// Media time after the last change in which the calls find back to each other, in ticks of 10 ms; where several sources are
/// heard, their places are taken by those that were until ten seconds of silence. And how long they are listened to then.
const RECOVERY_TICKS: u32 = 500;
const RECOVERY_TICKS_SOURCES: u32 = 1_100;
const LISTENING_TICKS: u32 = 50;

struct Pair {
    calls: [Call; 2],
    devices: [Device; 2],
    now: Instant,
    protected: bool,
    speech: Vec<i16>,
    said: usize,
    /// Datagrams of before, to be repeated.
    seen: Vec<(usize, Channel, Vec<u8>)>,
    /// What a sender's clock, numbers and source have jumped by so far, on each side.
    jumped: [(u32, u16, u8); 2],
    /// One that is held back, to be overtaken.
    held: Option<(usize, Channel, Vec<u8>)>,
}

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 4_000 + 1_000 * side as u16))
}

impl Pair {
    /// Two calls of which `kind` says the codec, redundancy, noise, protection, sources and multiplexing.
    fn new(kind: u16) -> Self {
        let codecs = [
            CodecFormat::pcmu(),
            CodecFormat::pcma(),
            CodecFormat::g722(),
            CodecFormat::ilbc(IlbcMode::Ms20),
            CodecFormat::l16(16_000, 1),
            CodecFormat::opus(),
        ];
        let first = usize::from(kind) % codecs.len();
        let protected = kind & 0x40 != 0;
        let calls = [0, 1].map(|side| {
            let mut codecs = codecs.to_vec();
            codecs.rotate_left(first);
            let port = address(side).port();
            Call::new(CallConfig {
                codecs,
                redundancy: (kind >> 3) as u8 % 3,
                comfort_noise: kind & 0x20 != 0,
                srtp: if protected { SrtpPolicy::Required } else { SrtpPolicy::Off },
                sources: if kind & 0x80 != 0 { 3 } else { 1 },
                rtcp_mux: kind & 0x100 == 0,
                extensions: if kind & 0x200 != 0 {
                    let both = Direction::SendRecv;
                    let offer = OfferExtensions::Always;
                    ExtensionOptions { offer, mixer_levels: both, absolute_send_time: both, ..Default::default() }
                } else {
                    ExtensionOptions::default()
                },
                feedback: FeedbackOptions { profile: kind & 0x400 != 0, ..FeedbackOptions::default() },
                ..CallConfig::with_identity(port, Identity::seeded(u64::from(port) + u64::from(kind)))
            })
            .unwrap()
        });
        let (speech, seen, jumped) = (Vec::new(), Vec::new(), [(0, 0, 0); 2]);
        let (devices, now) = (calls.each_ref().map(Device::new), Instant::ZERO);
        let mut pair = Self { calls, devices, now, protected, speech, said: 0, seen, jumped, held: None };
        let offer = pair.calls[0].offer().unwrap();
        let answer = pair.calls[1].answer(pair.now, &offer).unwrap();
        pair.calls[0].accept(pair.now, &answer).unwrap();
        pair.speech = babble(pair.calls[0].sample_rate_hz().unwrap(), 1, 7);
        pair
    }

    /// 10 ms on both sides; what is sent meets an edit each, until there are no more.
    fn tick(&mut self, edits: &mut impl Iterator<Item = Edit>) {
        for side in 0..2 {
            let (call, said) = (&mut self.calls[side], &mut self.said);
            let speech = |pcm: &mut [i16]| {
                for sample in pcm {
                    *sample = self.speech[*said % self.speech.len()];
                    *said += 1;
                }
            };
            let mut sent = Vec::new();
            let keep = |transmit, bytes: &mut [u8]| sent.push((transmit, bytes.to_vec()));
            let (played, _) = self.devices[side].tick(call, self.now, speech, keep);
            let stats = call.stats();
            assert_eq!(stats.unaccounted(), [0; 5], "{stats:?}");
            if let Some(waited_us) = played.buffer_delay_us {
                assert!(waited_us <= (BOUND_MS + 100) * 1_000, "{waited_us} us in the buffer");
            }
            for (transmit, bytes) in sent {
                self.carry(side, transmit, bytes, edits);
            }
        }
        self.now += Duration::from_millis(10);
    }

    fn carry(&mut self, side: usize, transmit: Transmit, mut bytes: Vec<u8>, edits: &mut impl Iterator<Item = Edit>) {
        self.jump(side, &mut bytes);
        let Some((how, place, with)) = edits.next() else { return self.deliver(side, transmit.channel, bytes) };
        let at = usize::from(place) % bytes.len();
        match how % 16 {
            // The header more often than what follows.
            0 => bytes[at % 12] ^= with,
            1 => bytes[at % 12] = with,
            2 => bytes[at % 32] ^= with,
            3 => bytes[at] = with,
            4 => bytes.truncate(at),
            5 => bytes.resize(bytes.len() + at, with),
            // A timestamp or a number far away.
            6 => bytes[4..8].copy_from_slice(&[with, how, place as u8, (place >> 8) as u8]),
            7 => bytes[2..4].copy_from_slice(&place.to_be_bytes()),
            // Another payload type, another source.
            8 => bytes[1] = with,
            9 if bytes.len() >= 12 => bytes[11] ^= with % 4,
            10 => return,
            11 => {
                if let Some((side, channel, again)) = self.seen.get(usize::from(place) % self.seen.len().max(1)) {
                    self.deliver(*side, *channel, again.clone());
                }
            }
            12 => {
                if let Some((side, channel, late)) = self.held.replace((side, transmit.channel, bytes)) {
                    self.deliver(side, channel, late);
                }
                return;
            }
            13 => bytes.extend_from_within(..),
            14 => {
                let mut header = bytes.clone();
                header.truncate(usize::from(with));
                self.deliver(side, transmit.channel, header);
            }
            // Half around a circle of numbers, or anywhere: from here on.
            _ => {
                let (timestamp, seq, ssrc) = &mut self.jumped[side];
                match with % 4 {
                    0 => *timestamp ^= 1 << 31,
                    1 => *timestamp = timestamp.wrapping_add(u32::from(place) << (with >> 4)),
                    2 => *seq = seq.wrapping_add(place),
                    _ => *ssrc ^= with >> 2 & 3,
                }
            }
        }
        if self.seen.len() < 64 {
            self.seen.push((side, transmit.channel, bytes.clone()));
        }
        self.deliver(side, transmit.channel, bytes);
    }

    /// Rewrites an RTP packet of a sender that has jumped.
    fn jump(&self, side: usize, bytes: &mut [u8]) {
        // What is protected can't be rewritten.
        if self.protected {
            return;
        }
        let Some(header) = bytes.first_chunk_mut::<12>() else { return };
        if (192..224).contains(&header[1]) {
            return;
        }
        let (timestamp, seq, ssrc) = self.jumped[side];
        let [_, _, s1, s2, t1, t2, t3, t4, .., last] = header;
        [*s1, *s2] = u16::from_be_bytes([*s1, *s2]).wrapping_add(seq).to_be_bytes();
        [*t1, *t2, *t3, *t4] = u32::from_be_bytes([*t1, *t2, *t3, *t4]).wrapping_add(timestamp).to_be_bytes();
        *last ^= ssrc;
    }

    fn deliver(&mut self, side: usize, channel: Channel, mut bytes: Vec<u8>) {
        let mut from = address(side);
        from.set_port(from.port() + u16::from(channel == Channel::Rtcp));
        self.calls[1 - side].receive(self.now, channel, from, &mut bytes);
    }

    /// Samples that each side has decoded, of all its sources.
    fn decoded(&self) -> [u64; 2] {
        [0, 1].map(|side| {
            let sources = self.calls[side].sources();
            sources.map(|source| source.receiver.decoded_samples + source.receiver.noise_samples).sum()
        })
    }
}

#[test]
fn fuzz_whole_calls() {
    let input = (produce::<u16>(), produce::<Vec<Edit>>().with().len(0..MOST_EDITS));
    let check = bolero::check!().with_shrink_time(std::time::Duration::ZERO);
    check.with_max_len(4 * MOST_EDITS).with_generator(input).for_each(|(kind, edits)| {
        let mut pair = Pair::new(*kind);
        let mut edits = edits.iter().copied().peekable();
        while edits.peek().is_some() {
            pair.tick(&mut edits);
            for call in &pair.calls {
                assert!(call.sources().count() <= MAX_SOURCES);
                call.stats();
            }
        }
        let recovery = if kind & 0x80 != 0 { RECOVERY_TICKS_SOURCES } else { RECOVERY_TICKS };
        for _ in 0..recovery {
            pair.tick(&mut std::iter::empty());
        }
        let before = pair.decoded();
        for _ in 0..LISTENING_TICKS {
            pair.tick(&mut std::iter::empty());
        }
        let samples = u64::from(pair.calls[0].sample_rate_hz().unwrap()) / 100 * u64::from(LISTENING_TICKS);
        for (side, (after, before)) in pair.decoded().into_iter().zip(before).enumerate() {
            let heard = after.saturating_sub(before);
            assert!(
                heard * 10 >= samples * 8,
                "{kind:#x}: {heard} of {samples} samples heard: {:?}",
                pair.calls[side].stats()
            );
        }
    });
}
