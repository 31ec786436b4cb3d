//! Opus through both roads: a microphone's ticks to RTP packets, of which some are lost, and back to the loudspeaker.

use dsp_core::codec::Encoder;
use dsp_core::receive::memory::Arrays;
use dsp_core::receive::{Receiver, ReceiverConfig, ReceiverStats};
use dsp_core::send::{NarrowbandSender, SenderConfig};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};

use crate::coded::Voice;
use crate::fnv::Fnv;
use crate::opus::{OpusDecoder, OpusEncoder, RTP_CLOCK_HZ};

/// Samples of a tick: 10 ms at 16 kHz.
const TICK: usize = 160;
/// Samples that are spoken and heard: two seconds.
pub const SAMPLES: usize = 200 * TICK;
/// One packet in so many is lost.
const LOST: u16 = 20;
/// Samples by which the sound may be late: 120 ms.
const LATEST: usize = 1_920;

/// A receiver of 200 ms at 16 kHz.
pub type WidebandReceiver = Receiver<Arrays<32, 3_840>, 1>;

/// What became of the call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// FNV-1a of all packets and everything heard.
    pub hash: u32,
    /// How much what is heard is like what was said, in thousandths: the greatest correlation at any delay.
    pub likeness: u32,
    /// What the receiver counted.
    pub stats: ReceiverStats,
}

/// Speaks for [`SAMPLES`] and hears it. `said` and `heard` are that long.
pub fn call(mut encoder: OpusEncoder<'_>, decoder: OpusDecoder<'_>, said: &mut [i16], heard: &mut [i16]) -> Call {
    let payload_type = PayloadType::new(111).expect("a dynamic payload type");
    let config = SenderConfig {
        ssrc: Ssrc(1),
        first_seq: Seq(65_530),
        first_timestamp: RtpTime(u32::MAX - 9_600),
        payload_type,
        ptime_ms: 20,
    };
    let sample_rate_hz = encoder.info().sample_rate_hz;
    let mut sender = NarrowbandSender::new(config, &encoder).expect("20 ms fit");
    let config = ReceiverConfig { sample_rate_hz, rtp_clock_hz: RTP_CLOCK_HZ, ..ReceiverConfig::default() };
    let mut receiver = WidebandReceiver::new(config).expect("a receiver");
    let mut decoders = (payload_type, decoder);

    let (mut voice, mut hash, mut now, mut packets) = (Voice::default(), Fnv::default(), Instant::ZERO, 0_u16);
    let mut datagram = [0; 200];
    for (said, heard) in said.chunks_exact_mut(TICK).zip(heard.chunks_exact_mut(TICK)) {
        voice.fill(said);
        sender.capture(said).expect("packets are fetched");
        while let Some(len) = sender.packet(&mut encoder, &mut datagram) {
            let packet = &datagram[..len.expect("a packet")];
            hash.write(packet);
            packets += 1;
            if !packets.is_multiple_of(LOST) {
                receiver.receive(now, packet).expect("a packet of its own");
            }
        }
        receiver.play(now, &mut decoders, heard);
        heard.iter().for_each(|sample| hash.write(&sample.to_le_bytes()));
        now += Duration::from_millis(10);
    }
    Call { hash: hash.finish(), likeness: likeness(said, heard), stats: receiver.stats() }
}

/// The greatest normalized correlation of `heard` with an earlier `said`, in thousandths; 0 for silence.
fn likeness(said: &[i16], heard: &[i16]) -> u32 {
    let dot =
        |a: &[i16], b: &[i16]| -> i64 { a.iter().zip(b).map(|(&a, &b)| i64::from(i32::from(a) * i32::from(b))).sum() };
    // Half a second in the middle.
    let heard = &heard[SAMPLES / 2..][..8_000];
    let energy = dot(heard, heard);
    (0..LATEST)
        .map(|late| {
            let said = &said[SAMPLES / 2 - late..][..8_000];
            let energies = (dot(said, said) as u64).isqrt() * (energy as u64).isqrt();
            (dot(said, heard).max(0) as u64 * 1_000).checked_div(energies).unwrap_or(0) as u32
        })
        .max()
        .unwrap_or(0)
}
