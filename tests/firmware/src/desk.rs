//! A whole desk phone, as its budget is measured: pump, phone, RTP and RTCP over one socket; with SRTP and of G.722, as the
//! features `desk-srtp` and `desk-g722` say; with `desk-lent` the phone of PCMU lies in memory that is lent to it, with `desk-lean` it
//! is the least there is. What isn't asked for is not in the image.

use dsp_core::guard::PacketGuard;
use dsp_core::rtcp::{Cname, ReporterConfig, RtcpReporter};
use dsp_core::send::SenderConfig;
use dsp_core::time::{Instant, NtpTime, PayloadType, RtpTime, Seq, Ssrc};
use host_embedded::phone::PhoneConfig;
use host_embedded::pump::Pump;
use host_embedded::transport::{Socket, Transport};

#[cfg(feature = "desk-g722")]
mod sound {
    use dsp_core::codec::g722::{G722Encoder, LeanG722Decoder, Mode};
    use dsp_core::codec::{Decoder, Encoder, PayloadTable};
    use dsp_core::front::NoBlock;
    use dsp_core::process::activity::NoDetector;
    use dsp_core::receive::strategy::Standard;
    use dsp_core::time::PayloadType;
    use host_embedded::parts::{LessWideband, Parts, PhoneCodecs, PhoneParts};
    use host_embedded::phone::{PhoneConfig, PhoneOf};

    pub const TICK: usize = 160;
    pub const NUMBER: PayloadType = PayloadType::from_low_bits(9);

    pub struct Wide(G722Encoder, LeanG722Decoder);

    impl PayloadTable for Wide {
        fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
            (payload_type == NUMBER).then_some(&mut self.1 as &mut dyn Decoder)
        }
    }

    impl PhoneCodecs for Wide {
        const SAMPLE_RATE_HZ: u32 = 16_000;
        const RTP_CLOCK_HZ: u32 = 8_000;
        type Memory = LessWideband;

        fn encoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Encoder> {
            (payload_type == NUMBER).then_some(&mut self.0 as &mut dyn Encoder)
        }
    }

    pub enum WideParts {}

    impl PhoneParts for WideParts {
        type Block = NoBlock;
        type Detector = NoDetector;
        type Strategy = Standard;
        type Codecs = Wide;
    }

    pub type Desk = PhoneOf<WideParts, TICK, 0>;

    pub fn make(place: &mut Option<Desk>, config: PhoneConfig, _: bool) -> Option<&mut Desk> {
        let codecs = Wide(G722Encoder::new(Mode::Kbps64), LeanG722Decoder::new(Mode::Kbps64));
        Desk::place(place, config, Parts { block: None, noise: None, strategy: Standard, codecs }, ()).ok()
    }
}

#[cfg(all(feature = "desk-lent", not(feature = "desk-g722")))]
mod sound {
    use cortex_m::singleton;
    use dsp_core::front::NoBlock;
    use dsp_core::process::activity::NoDetector;
    use dsp_core::receive::strategy::Standard;
    use dsp_core::time::PayloadType;
    use host_embedded::parts::{G711, Lent, NarrowbandRoom, Parts, PhoneParts};
    use host_embedded::phone::{self, PhoneConfig, PhoneOf};

    pub enum LentParts {}

    impl PhoneParts for LentParts {
        type Block = NoBlock;
        type Detector = NoDetector;
        type Strategy = Standard;
        type Codecs = Lent<G711, &'static mut NarrowbandRoom>;
    }

    pub const TICK: usize = phone::TICK;
    pub const NUMBER: PayloadType = PayloadType::PCMU;
    pub type Desk = PhoneOf<LentParts, TICK, 0>;

    pub fn make(place: &mut Option<Desk>, config: PhoneConfig, first: bool) -> Option<&mut Desk> {
        let room = match first {
            true => singleton!(: NarrowbandRoom = const { NarrowbandRoom::new() }),
            false => singleton!(: NarrowbandRoom = const { NarrowbandRoom::new() }),
        };
        let codecs = Lent::new(G711::default());
        Desk::place(place, config, Parts { block: None, noise: None, strategy: Standard, codecs }, room?).ok()
    }
}

#[cfg(feature = "desk-lean")]
mod sound {
    use cortex_m::singleton;
    use dsp_core::receive::DelayConfig;
    use dsp_core::time::PayloadType;
    use host_embedded::lean::{LEAN_DELAY_MS, LeanRoom, LentLeanPhone};
    use host_embedded::phone::{self, PhoneConfig};

    pub const TICK: usize = phone::TICK;
    pub const NUMBER: PayloadType = PayloadType::PCMU;
    pub type Desk = LentLeanPhone<'static>;

    pub fn make(place: &mut Option<Desk>, config: PhoneConfig, first: bool) -> Option<&mut Desk> {
        let room = match first {
            true => singleton!(: LeanRoom = const { LeanRoom::new() }),
            false => singleton!(: LeanRoom = const { LeanRoom::new() }),
        };
        let delay = DelayConfig { max_ms: LEAN_DELAY_MS, ..config.delay };
        Desk::lean_in(place, PhoneConfig { delay, ..config }, room?).ok()
    }
}

#[cfg(not(any(feature = "desk-g722", feature = "desk-lent", feature = "desk-lean")))]
mod sound {
    use dsp_core::time::PayloadType;
    use host_embedded::parts::Parts;
    use host_embedded::phone::{self, Phone, PhoneConfig};

    pub const TICK: usize = phone::TICK;
    pub const NUMBER: PayloadType = PayloadType::PCMU;
    pub type Desk = Phone;

    pub fn make(place: &mut Option<Desk>, config: PhoneConfig, _: bool) -> Option<&mut Desk> {
        Desk::place(place, config, Parts::g711(), ()).ok()
    }
}

pub use sound::{Desk, TICK};

#[cfg(feature = "desk-srtp")]
pub type Guard = dsp_core::guard::srtp::Srtp<2>;
#[cfg(not(feature = "desk-srtp"))]
pub type Guard = dsp_core::guard::Plain;

/// The guard of one of two phones.
#[cfg(feature = "desk-srtp")]
fn guard(first: bool) -> Option<Guard> {
    use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};
    let keys = [MasterKey::from_bytes(&[1; 30]), MasterKey::from_bytes(&[2; 30])];
    let [one, other] = &keys;
    let (ours, theirs) = if first { (one, other) } else { (other, one) };
    Srtp::new(SrtpProfile::AesCm128HmacSha1_80, ours, theirs).ok()
}

#[cfg(not(feature = "desk-srtp"))]
fn guard(_: bool) -> Option<Guard> {
    Some(dsp_core::guard::Plain)
}

/// Bytes of the longest datagram that is sent: packets of 20 ms and reports, or packets of 60 ms.
#[cfg(not(feature = "desk-lean"))]
const DATAGRAM: usize = if cfg!(feature = "desk-g722") { 400 } else { 704 };

#[cfg(not(feature = "desk-lean"))]
pub type Network<S> = Transport<S, Guard, DATAGRAM>;
#[cfg(feature = "desk-lean")]
pub type Network<S> = host_embedded::lean::LeanTransport<S, Guard>;
pub type DeskPump = Pump<TICK, 3>;

/// How a phone is made: with telephone events.
fn config(first: bool) -> PhoneConfig {
    let sender = SenderConfig {
        ssrc: Ssrc(if first { 1 } else { 2 }),
        first_seq: Seq(100),
        first_timestamp: RtpTime(0),
        payload_type: sound::NUMBER,
        ptime_ms: 20,
    };
    PhoneConfig { sender, events: PayloadType::new(101), ..PhoneConfig::default() }
}

/// One of two phones, in its place.
pub fn phone(place: &mut Option<Desk>, first: bool) -> Option<&mut Desk> {
    sound::make(place, config(first), first)
}

/// Its network, in its place. Out of line, so that what it takes of the stack is given back.
#[inline(never)]
pub fn network<S: Socket>(
    place: &mut Option<Network<S>>,
    first: bool,
    socket: S,
    remote: S::Address,
) -> Option<&mut Network<S>> {
    let ssrc = config(first).sender.ssrc;
    let reporter = ReporterConfig { ssrc, cname: Cname::new("phone"), seed: ssrc.0, ..ReporterConfig::default() };
    let reporter = RtcpReporter::new(reporter, Instant::ZERO).ok()?;
    let network = place.insert(Transport::new(socket, guard(first)?, reporter));
    network.set_remote(remote);
    // What a guard adds has room.
    (network.guard().max_growth() < 32).then_some(network)
}

/// Behind each tick: reports, and what was heard of keys.
pub fn after<S: Socket>(phone: &mut Desk, network: &mut Network<S>, now: Instant) {
    let ntp = NtpTime::default().plus(now.since(Instant::ZERO));
    network.report(now, phone.receiver_stats().reception, phone.send_info(ntp));
    while phone.next_event(now).is_some() {}
}
