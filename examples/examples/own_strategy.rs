//! Runs a receiver with a strategy of your own, made for music: nothing is ever played faster or slower, and packets
//! wait longer.
//!
//! You learn the three questions that a receiver asks a strategy: which delay to steer to, what to do next, and
//! whether to play faster or slower. A strategy that leaves a question out gets the default answer.

use dsp_core::codec::Encoder;
use dsp_core::codec::g711::Pcmu;
use dsp_core::receive::strategy::{Estimate, Pace, Strategy, Stretch};
use dsp_core::receive::{NarrowbandReceiver, ReceiverConfig};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpHeader;

struct Music;

impl Strategy for Music {
    /// 40 ms more than pays for speech, in ticks of 8 kHz.
    fn target(&mut self, estimate: &Estimate) -> u32 {
        estimate.target + 320
    }

    fn stretch(&mut self, _: &Pace) -> Option<Stretch> {
        None
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut receiver = NarrowbandReceiver::new(ReceiverConfig::default())?;
    let mut decoders = (PayloadType::PCMU, Pcmu);
    let (mut datagram, mut loudspeaker) = ([0; 200], [0; 160]);
    for n in 0..500_u32 {
        let header = RtpHeader {
            payload_type: PayloadType::PCMU,
            seq: Seq(n as u16),
            timestamp: RtpTime(160 * n),
            ssrc: Ssrc(1),
            ..RtpHeader::default()
        };
        let head = header.write(&mut datagram)?;
        let music: [i16; 160] = std::array::from_fn(|i| if (i / 20).is_multiple_of(2) { 4_000 } else { -4_000 });
        let len = head + Pcmu.encode(&music, &mut datagram[head..])?;
        // Every tenth packet is 30 ms late.
        let sent = Instant::from_millis(20 * u64::from(n));
        let late = Duration::from_millis(if n % 10 == 9 { 30 } else { 0 });
        receiver.receive(sent + late, &datagram[..len])?;
        receiver.play_with(sent + late, &mut decoders, &mut Music, &mut loudspeaker);
    }
    let stats = receiver.stats();
    println!(
        "delay {} ms; {} samples inserted or removed",
        stats.playout_delay.mean_us() / 1_000,
        stats.inserted_samples
    );
    assert_eq!((stats.inserted_samples, stats.removed_samples), (0, 0));
    assert!(stats.playout_delay.min_us >= 50_000, "{stats:?}");
    Ok(())
}
