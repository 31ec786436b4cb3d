//! A G.711 phone's media: one call's receiver and sender on ticks of 10 ms at 8 kHz.
//!
//! [`Phone::tick`] is the loop's body for firmware: it waits for the microphone, takes in what the network brings
//! meanwhile, plays and sends. Beneath it lie four steps that know neither port nor network ([`Phone::receive`],
//! [`Phone::play`], [`Phone::capture`], [`Phone::packet`]), for firmware with a loop of its own.
//!
//! Memory: under 10 KiB, of which the receiver takes most; no heap. All arithmetic is integer.

use core::fmt;

use dsp_core::codec::g711::{Pcma, Pcmu};
use dsp_core::codec::{Decoder, Encoder, PayloadTable};
use dsp_core::receive::{
    ConfigError, DelayConfig, NarrowbandReceiver, Played, ReceiveError, Received, ReceiverConfig, ReceiverStats,
};
use dsp_core::send::{FrameTooLong, NarrowbandSender, SendError, SendStats, SenderConfig};
use dsp_core::time::{Instant, PayloadType, RtpTime, Seq, Ssrc};
use embassy_futures::select::{Either, select};

use crate::port::AudioPort;

/// Rate of microphone and loudspeaker.
pub const SAMPLE_RATE_HZ: u32 = 8_000;
/// Samples a tick: 10 ms.
pub const TICK: usize = 80;
/// Bytes of the longest datagram that is taken in or sent: 60 ms of G.711 with room for contributing sources and a
/// header extension.
pub const DATAGRAM: usize = 640;
/// Samples of the longest packet that is sent: 60 ms.
const LONGEST_PACKET: usize = 6 * TICK;
/// Datagrams taken in during one tick, before audio goes first: more than the receiver can hold.
const DATAGRAMS_A_TICK: usize = 32;

/// The phone's network and clock. SRTP, if any, is the network's: it hands over what it has unprotected.
#[allow(async_fn_in_trait, reason = "a phone has one core and one executor: its futures need not be Send")]
pub trait Network {
    /// Waits for a datagram; returns its length and when it arrived. One that is longer than `datagram` may be cut, but
    /// its true length must be returned: the phone drops it. Dropping the future before it is ready loses nothing.
    async fn receive(&mut self, datagram: &mut [u8]) -> (usize, Instant);

    /// Sends a datagram, or drops it if the link is busy.
    fn send(&mut self, datagram: &[u8]);

    /// The time by the clock that arrivals are stamped with.
    fn now(&self) -> Instant;
}

/// How a phone is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PhoneConfig {
    /// What it sends: payload type 0 is mu-law, 8 is A-law. SSRC, sequence number and timestamp should
    /// be random, the sequence number below 2^15 if SRTP is put around it.
    pub sender: SenderConfig,
    /// Bounds of the playout delay.
    pub delay: DelayConfig,
}

impl Default for PhoneConfig {
    /// Mu-law in packets of 20 ms from SSRC 0, and at most 200 ms of delay: what the receiver has room for.
    fn default() -> Self {
        let sender = SenderConfig {
            ssrc: Ssrc(0),
            first_seq: Seq(0),
            first_timestamp: RtpTime(0),
            payload_type: PayloadType::PCMU,
            ptime_ms: 20,
        };
        Self { sender, delay: DelayConfig { max_ms: 200, ..DelayConfig::default() } }
    }
}

/// Why a phone can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PhoneError {
    /// The receiver's configuration.
    Receiver(ConfigError),
    /// The packets to send are too long.
    Sender(FrameTooLong),
    /// Neither mu-law nor A-law.
    PayloadType(PayloadType),
}

impl fmt::Display for PhoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receiver(_) => write!(f, "the receiver can't be made"),
            Self::Sender(_) => write!(f, "the sender can't be made"),
            Self::PayloadType(payload_type) => write!(f, "payload type {} is not G.711", payload_type.get()),
        }
    }
}

impl core::error::Error for PhoneError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Receiver(error) => Some(error),
            Self::Sender(error) => Some(error),
            Self::PayloadType(_) => None,
        }
    }
}

/// What happened in one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tick {
    /// What was played.
    pub played: Played,
    /// Frames of the microphone that were lost. Then nothing was played either, and the next tick goes on.
    pub overrun: u32,
    /// Frames for which the loudspeaker was silent.
    pub underrun: u32,
    /// Packets that could not be encoded or written.
    pub unsent: u32,
}

/// Both laws of G.711, by their static payload types (RFC 3551, table 4).
#[derive(Clone, Copy, Debug, Default)]
struct G711 {
    mu: Pcmu,
    a: Pcma,
}

impl G711 {
    fn encoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Encoder> {
        match payload_type {
            PayloadType::PCMU => Some(&mut self.mu),
            PayloadType::PCMA => Some(&mut self.a),
            _ => None,
        }
    }
}

impl PayloadTable for G711 {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        match payload_type {
            PayloadType::PCMU => Some(&mut self.mu),
            PayloadType::PCMA => Some(&mut self.a),
            _ => None,
        }
    }
}

/// One call's media.
pub struct Phone {
    receiver: NarrowbandReceiver,
    sender: NarrowbandSender,
    codecs: G711,
    sends: PayloadType,
}

impl Phone {
    /// A phone that waits for its first packet.
    ///
    /// # Errors
    /// [`PhoneError`] if receiver or sender refuse their part of `config`.
    pub fn new(config: PhoneConfig) -> Result<Self, PhoneError> {
        let mut codecs = G711::default();
        let sends = config.sender.payload_type;
        let encoder = codecs.encoder(sends).ok_or(PhoneError::PayloadType(sends))?;
        let need = (config.sender.ptime_ms as usize).saturating_mul(SAMPLE_RATE_HZ as usize / 1_000);
        if need > LONGEST_PACKET {
            return Err(PhoneError::Sender(FrameTooLong { need, got: LONGEST_PACKET }));
        }
        let sender = NarrowbandSender::new(config.sender, encoder).map_err(PhoneError::Sender)?;
        let receiver =
            ReceiverConfig { sample_rate_hz: SAMPLE_RATE_HZ, rtp_clock_hz: SAMPLE_RATE_HZ, delay: config.delay };
        let mut receiver = NarrowbandReceiver::new(receiver).map_err(PhoneError::Receiver)?;
        receiver.set_payloads(&mut codecs);
        Ok(Self { receiver, sender, codecs, sends })
    }

    /// One tick: 10 ms of microphone and loudspeaker. Call it for ever; `port` paces it.
    pub async fn tick<P: AudioPort<TICK>, N: Network>(&mut self, port: &mut P, network: &mut N) -> Tick {
        let mut tick = Tick::default();
        let (mut heard, mut datagram) = ([0; TICK], [0; DATAGRAM]);
        // Packets are taken in as they come: when they arrived is what the delay is estimated from. A flood of them
        // can't keep the audio waiting.
        let mut received = 0;
        let read = loop {
            if received == DATAGRAMS_A_TICK {
                break port.read(&mut heard).await;
            }
            match select(network.receive(&mut datagram), port.read(&mut heard)).await {
                Either::First((bytes, arrival)) => {
                    // The receiver counts what it can't use.
                    let _ = self.receive(arrival, datagram.get(..bytes).unwrap_or_default());
                    received += 1;
                }
                Either::Second(read) => break read,
            }
        };
        if let Err(overrun) = read {
            tick.overrun = overrun.frames;
            self.sender.pause(overrun.frames as usize * TICK);
            return tick;
        }
        let mut pcm = [0; TICK];
        tick.played = self.play(network.now(), &mut pcm);
        tick.underrun = port.write(&pcm).await.map_or_else(|underrun| underrun.frames, |()| 0);
        self.capture(&heard);
        while let Some(packet) = self.packet(&mut datagram) {
            match packet {
                Ok(bytes) => network.send(&datagram[..bytes]),
                Err(_) => tick.unsent += 1,
            }
        }
        tick
    }

    /// Takes in one RTP packet that arrived at `now`.
    ///
    /// # Errors
    /// [`ReceiveError`] if it is no RTP packet, or too long.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<Received, ReceiveError> {
        self.receiver.receive(now, datagram)
    }

    /// Plays the samples that are heard from `now` on, as many as `pcm` has.
    pub fn play(&mut self, now: Instant, pcm: &mut [i16]) -> Played {
        self.receiver.play(now, &mut self.codecs, pcm)
    }

    /// Takes in a tick of the microphone. What is made of it must be fetched with [`Self::packet`] after each tick.
    pub fn capture(&mut self, pcm: &[i16; TICK]) {
        if self.sender.capture(pcm).is_err() {
            // Packets were not fetched: the tick is lost, but not its time.
            self.sender.pause(TICK);
        }
    }

    /// Writes the next packet to send into `datagram` and returns its length; `None` if there is none yet.
    pub fn packet(&mut self, datagram: &mut [u8]) -> Option<Result<usize, SendError>> {
        self.sender.packet(self.codecs.encoder(self.sends)?, datagram)
    }

    /// Everything counted about the incoming stream.
    pub fn receiver_stats(&self) -> ReceiverStats {
        self.receiver.stats()
    }

    /// Packets and payload bytes sent.
    pub fn send_stats(&self) -> SendStats {
        self.sender.stats()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pump::Pump;
    use crate::sim::{SimClock, SimNetwork, SimPort};
    use core::cell::RefCell;
    use dsp_core::wire::rtp::RtpPacket;
    use embassy_futures::block_on;
    use std::vec::Vec;

    fn no_datagram(_: Instant, _: &mut [u8]) -> Option<(usize, Instant)> {
        None
    }

    #[test]
    fn time_goes_on_when_the_microphone_loses_frames() {
        let clock = SimClock::default();
        let sent = RefCell::new(Vec::new());
        let mut network = SimNetwork::new(&clock, no_datagram, |datagram: &[u8]| {
            let packet = RtpPacket::parse(datagram).expect("a packet of its own");
            sent.borrow_mut().push((packet.seq().0, packet.timestamp().0, packet.marker()));
        });
        let pump = Pump::<TICK, 2>::new();
        let mut port = pump.port();
        let mut phone = Phone::new(PhoneConfig::default()).unwrap();
        let mut ticks = Vec::new();
        for n in 0..8 {
            // In the fourth round the task comes three interrupts late.
            for _ in 0..if n == 4 { 4 } else { 1 } {
                pump.half_transfer(&[n; TICK], &mut [0; TICK]);
            }
            ticks.push(block_on(phone.tick(&mut port, &mut network)));
        }
        assert_eq!(ticks[4].overrun, 4);
        assert_eq!(ticks.iter().map(|tick| tick.overrun).sum::<u32>(), pump.counters().overruns);
        assert_eq!(ticks.iter().map(|tick| tick.underrun).sum::<u32>(), pump.counters().underruns);
        assert_eq!(*sent.borrow(), [(0, 0, true), (1, 160, false), (2, 640, true)]);
    }

    #[test]
    fn a_flood_does_not_stop_the_audio() {
        let clock = SimClock::default();
        let mut flood = 0;
        let bring = |until, datagram: &mut [u8]| {
            flood += 1;
            datagram.fill(0x80);
            // Every third is longer than the buffer.
            Some((if flood % 3 == 0 { 2_000 } else { 500 }, until))
        };
        let mut network = SimNetwork::new(&clock, bring, |_: &[u8]| ());
        let mut port = SimPort::new(&clock, |_: &mut [i16; TICK]| (), |_: &[i16; TICK]| ());
        let mut phone = Phone::new(PhoneConfig::default()).unwrap();
        for _ in 0..50 {
            block_on(phone.tick(&mut port, &mut network));
        }
        assert_eq!(clock.now(), Instant::from_millis(500));
        assert_eq!(phone.receiver_stats().malformed, 533);
    }

    #[test]
    fn refuses_what_it_cannot_send() {
        let config = PhoneConfig::default();
        let video = PayloadType::new(96).unwrap();
        let other = SenderConfig { payload_type: video, ..config.sender };
        assert_eq!(Phone::new(PhoneConfig { sender: other, ..config }).err(), Some(PhoneError::PayloadType(video)));
        let long = SenderConfig { ptime_ms: 80, ..config.sender };
        let too_long = FrameTooLong { need: 640, got: 480 };
        assert_eq!(Phone::new(PhoneConfig { sender: long, ..config }).err(), Some(PhoneError::Sender(too_long)));
        let none = SenderConfig { ptime_ms: 0, ..config.sender };
        assert!(matches!(Phone::new(PhoneConfig { sender: none, ..config }), Err(PhoneError::Sender(_))));
    }
}
