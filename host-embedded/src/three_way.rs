//! A conference of three on the phone: its user and two calls, of which each hears the two others.
//!
//! The phone's own call stays where it is, in [`PhoneOf`] with its device side; the second is a [`PhoneStream`] with a
//! network of its own, such as a call for consultation before. While [`PhoneOf::tick_three`] is called in place of
//! [`tick`](PhoneOf::tick) the three are mixed by the core's [`Conference`]: N-1, one limiter for all. Both calls have the same rate
//! of sound; their codecs may differ.
//!
//! Use it where the phone itself brings two calls together, without a server. Limits: three and no more, and no echo of one call in
//! the other is taken out; [`Conference`] has more seats where there is memory for their streams.
//!
//! The sound of the two calls is passed on in the tick in which it is played. The microphone's sound is mixed a tick later, 10
//! ms, since a tick plays before it listens. Memory: [`ThreeWay`], 2 KB at 8 kHz. All integer.
//!
//! ```
//! use embassy_futures::block_on;
//! use host_embedded::parts::Parts;
//! use host_embedded::phone::{Phone, PhoneConfig, TICK};
//! # use host_embedded::sim::{SimClock, SimNetwork, SimPort};
//! use host_embedded::stream::G711Stream;
//! use host_embedded::three_way::ThreeWay;
//!
//! # let clock = SimClock::default();
//! # let mut port = SimPort::new(&clock, |pcm: &mut [i16; 80]| pcm.fill(1_000), |_: &[i16; 80]| ());
//! # let mut network = SimNetwork::new(&clock, |_, _: &mut [u8]| None, |_: &[u8]| ());
//! # let mut their_network = SimNetwork::new(&clock, |_, _: &mut [u8]| None, |_: &[u8]| ());
//! let mut phone = Phone::new(PhoneConfig::default())?;
//! // The second call, as it was agreed on.
//! let mut second = G711Stream::new(PhoneConfig::default())?;
//! let mut three = ThreeWay::<TICK>::new()?;
//! for _ in 0..4 {
//!     block_on(phone.tick_three(&mut port, &mut network, (&mut second, &mut their_network), &mut three));
//! }
//! assert_eq!((phone.send_stats().packets, second.send_stats().packets), (2, 2));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use dsp_core::conference::{Conference, ConferenceConfig, ConferenceError, LimiterStats, Port};
use dsp_core::front::Media;
use dsp_core::process::activity::Activity;
use dsp_core::receive::Played;
use dsp_core::send::SendError;
use dsp_core::time::Instant;

use crate::parts::{PhoneCodecs, PhoneMemory, PhoneParts};
use crate::phone::intake::{One, Two, take_in};
use crate::phone::{Network, PhoneOf, Tick, exchange};
use crate::port::AudioPort;
use crate::stream::PhoneStream;

/// The mixer of the three participants. `TICK`: samples of 10 ms.
pub struct ThreeWay<const TICK: usize> {
    conference: Conference<[Port<TICK>; 3], TICK>,
    /// Numbers of the two calls and of the microphone.
    ports: [usize; 3],
    /// The microphone's sound in the previous tick.
    heard: [i16; TICK],
}

impl<const TICK: usize> ThreeWay<TICK> {
    /// Creates a conference without any sound yet.
    ///
    /// # Errors
    /// [`ConferenceError::SampleRate`] if `TICK` isn't 10 ms at 8 to 48 kHz.
    pub fn new() -> Result<Self, ConferenceError> {
        let config =
            ConferenceConfig { sample_rate_hz: TICK as u32 * 100, frame_samples: TICK, loudest: None, meters: false };
        let mut conference = Conference::new(config, [Port::EMPTY; 3])?;
        let ports = [conference.join()?, conference.join()?, conference.join()?];
        Ok(Self { conference, ports, heard: [0; TICK] })
    }

    /// Returns how often and how much the sum had to be turned down.
    pub fn limiter(&self) -> LimiterStats {
        self.conference.limiter()
    }
}

/// Two streams and the microphone, as one.
struct Mixed<'a, P: PhoneParts, Q: PhoneParts, const TICK: usize> {
    first: &'a mut PhoneStream<P>,
    second: &'a mut PhoneStream<Q>,
    three: &'a mut ThreeWay<TICK>,
}

impl<P: PhoneParts, Q: PhoneParts, const TICK: usize> Media for Mixed<'_, P, Q, TICK> {
    /// The call (`true` for the second one), and the datagram's length.
    type Transmit = (bool, Result<usize, SendError>);

    fn play(&mut self, now: Instant, pcm: &mut [i16]) -> Played {
        let Self { first, second, three: ThreeWay { conference, ports: [one, two, user], heard } } = self;
        // All three have joined, so none of these fails.
        let mut played = Played::default();
        if let Ok(frame) = conference.frame(*one) {
            played = first.play(now, frame);
        }
        if let Ok(frame) = conference.frame(*two) {
            second.play(now, frame);
        }
        if let Ok(frame) = conference.frame(*user) {
            frame.copy_from_slice(heard);
        }
        conference.mix();
        let mut others = [0; TICK];
        if conference.others(*one, &mut others).is_ok() {
            first.capture(now, &others);
        }
        if conference.others(*two, &mut others).is_ok() {
            second.capture(now, &others);
        }
        if conference.others(*user, pcm).is_err() {
            pcm.fill(0);
        }
        played
    }

    fn hear_activity(&mut self, _: Option<Activity>) {
        // The mixed sound isn't the microphone's alone, so it is sent without pauses.
        self.first.hear_activity(None);
        self.second.hear_activity(None);
    }

    fn capture(&mut self, _: Instant, pcm: &[i16]) {
        if let Some(pcm) = pcm.first_chunk() {
            self.three.heard = *pcm;
        }
    }

    fn transmit(&mut self, now: Instant, datagram: &mut [u8]) -> Option<Self::Transmit> {
        if let Some(sent) = self.first.transmit(now, datagram) {
            return Some((false, sent));
        }
        self.second.transmit(now, datagram).map(|sent| (true, sent))
    }
}

impl<P: PhoneParts, const TICK: usize, const HISTORY: usize> PhoneOf<P, TICK, HISTORY> {
    /// Does one tick of a conference of three: as [`tick`](Self::tick), with a second call and its network. The intake budget is
    /// that of `network`, for both, and both are served in turn, so that a flood on one call leaves time for the other. The
    /// returned playback result is that of the phone's own call.
    pub async fn tick_three<A, N, Q, M>(
        &mut self,
        port: &mut A,
        network: &mut N,
        (second, their_network): (&mut PhoneStream<Q>, &mut M),
        three: &mut ThreeWay<TICK>,
    ) -> Tick
    where
        A: AudioPort<TICK>,
        N: Network,
        Q: PhoneParts,
        M: Network,
    {
        const { assert!(P::Codecs::SAMPLE_RATE_HZ == Q::Codecs::SAMPLE_RATE_HZ, "both calls have one rate of sound") };
        let mut heard = [0; TICK];
        let mut ours = <P::Codecs as PhoneCodecs>::Memory::DATAGRAM;
        let mut theirs = <Q::Codecs as PhoneCodecs>::Memory::DATAGRAM;
        let ours = ours.as_mut();
        let first = One { stream: self.halves().0, network: &mut *network, datagram: &mut *ours };
        let other = One { stream: &mut *second, network: &mut *their_network, datagram: theirs.as_mut() };
        let (mut tick, read) = take_in(port, &mut heard, &mut Two { first, second: other }).await;
        if let Err(overrun) = read {
            tick.overrun = overrun.frames;
            let samples = overrun.frames as usize * TICK;
            second.pause(samples);
            self.lose(samples);
            return tick;
        }
        let begun = network.now();
        self.set_delay(port.delay());
        self.begin(begun, true);
        let (first, front) = self.halves();
        let send = |(theirs, sent): (bool, Result<usize, SendError>), datagram: &[u8]| {
            let Ok(bytes) = sent else { return false };
            let datagram = datagram.get(..bytes).unwrap_or_default();
            if theirs {
                their_network.send(datagram)
            } else {
                network.send(datagram)
            }
            true
        };
        exchange(front, &mut Mixed { first, second, three }, port, &heard, ours, &mut tick, send).await;
        tick.took = network.now().since(begun);
        tick
    }
}

#[cfg(test)]
mod tests {
    use core::cell::{Cell, RefCell};
    use std::vec::Vec;

    use dsp_core::codec::g711::{Pcma, Pcmu};
    use dsp_core::codec::{Decoder, Encoder};
    use dsp_core::send::SenderConfig;
    use dsp_core::time::{PayloadType, RtpTime, Seq, Ssrc};
    use dsp_core::wire::rtp::{RtpHeader, RtpPacket};
    use embassy_futures::block_on;

    use super::*;
    use crate::phone::{Phone, PhoneConfig, TICK};
    use crate::sim::{SimClock, SimNetwork, SimPort};
    use crate::stream::G711Stream;

    /// A packet of a constant each 20 ms, in A-law or mu-law.
    fn far<'a>(
        clock: &'a SimClock,
        payload_type: PayloadType,
        value: i16,
    ) -> impl FnMut(Instant, &mut [u8]) -> Option<(usize, Instant)> + use<'a> {
        let mut sent = 0u16;
        move |until, datagram| {
            let due = Instant::from_millis(20 * u64::from(sent));
            if due >= until {
                return None;
            }
            let timestamp = RtpTime(160 * u32::from(sent));
            let header = RtpHeader { seq: Seq(sent), timestamp, payload_type, ssrc: Ssrc(7), ..RtpHeader::default() };
            let begin = header.write(datagram).expect("there is room");
            let pcm = [value; 160];
            let out = &mut datagram[begin..begin + 160];
            match payload_type {
                PayloadType::PCMA => Pcma.encode(&pcm, out),
                _ => Pcmu.encode(&pcm, out),
            }
            .expect("it fits");
            sent += 1;
            Some((begin + 160, due.max(clock.now())))
        }
    }

    /// The last sample of what was sent last.
    fn last(packets: &[Vec<u8>]) -> i16 {
        let packet = RtpPacket::parse(packets.last().expect("some were sent")).expect("a packet");
        let mut pcm = [0; 160];
        match packet.payload_type() {
            PayloadType::PCMA => Pcma.decode(packet.payload(), &mut pcm),
            _ => Pcmu.decode(packet.payload(), &mut pcm),
        }
        .expect("it fits");
        pcm[159]
    }

    #[test]
    fn each_hears_the_two_others() {
        let clock = SimClock::default();
        let sent = [RefCell::new(Vec::new()), RefCell::new(Vec::new())];
        let keep = |to: usize| {
            let sent = &sent;
            move |datagram: &[u8]| sent[to].borrow_mut().push(datagram.to_vec())
        };
        let mut network = SimNetwork::new(&clock, far(&clock, PayloadType::PCMU, 4_000), keep(0));
        let mut their_network = SimNetwork::new(&clock, far(&clock, PayloadType::PCMA, -900), keep(1));
        let heard = Cell::new(0);
        let loudspeaker = |pcm: &[i16; TICK]| heard.set(pcm[79]);
        let mut port = SimPort::new(&clock, |pcm: &mut [i16; TICK]| pcm.fill(250), loudspeaker);
        let mut phone = Phone::new(PhoneConfig::default()).expect("a phone");
        let config = PhoneConfig::default();
        let sender = SenderConfig { payload_type: PayloadType::PCMA, ..config.sender };
        let mut second = G711Stream::new(PhoneConfig { sender, ..config }).expect("a stream");
        let mut three = ThreeWay::<TICK>::new().expect("8 kHz");
        for _ in 0..100 {
            let tick =
                block_on(phone.tick_three(&mut port, &mut network, (&mut second, &mut their_network), &mut three));
            assert_eq!((tick.unsent, tick.crowded), (0, false));
        }
        let near = |got: i16, wanted: i16| assert!(got.abs_diff(wanted) < 120, "{got} and not {wanted}");
        near(heard.get(), 3_100);
        near(last(&sent[0].borrow()), -650);
        near(last(&sent[1].borrow()), 4_250);
        assert_eq!((sent[0].borrow().len(), sent[1].borrow().len()), (50, 50));
        for stats in [phone.receiver_stats(), second.receiver_stats()] {
            assert!(stats.received >= 99 / 2 && stats.late == 0, "{stats:?}");
        }
        assert_eq!(three.limiter(), LimiterStats::default());
        // Afterwards the phone's own call goes on alone.
        for _ in 0..100 {
            block_on(phone.tick(&mut port, &mut network));
        }
        near(last(&sent[0].borrow()), 250);
        near(heard.get(), 4_000);
    }

    /// One call is flooded: the other is heard all the same.
    #[test]
    fn a_flood_of_one_call_leaves_the_other_its_packets() {
        let clock = SimClock::default();
        let flood = |until: Instant, datagram: &mut [u8]| {
            datagram[..20].fill(0x80);
            Some((20, until))
        };
        let mut network = SimNetwork::new(&clock, flood, |_: &[u8]| ());
        let mut their_network = SimNetwork::new(&clock, far(&clock, PayloadType::PCMU, 4_000), |_: &[u8]| ());
        let mut port = SimPort::new(&clock, |pcm: &mut [i16; TICK]| pcm.fill(0), |_: &[i16; TICK]| ());
        let mut phone = Phone::new(PhoneConfig::default()).expect("a phone");
        let mut second = G711Stream::new(PhoneConfig::default()).expect("a stream");
        let mut three = ThreeWay::<TICK>::new().expect("8 kHz");
        for _ in 0..100 {
            let tick =
                block_on(phone.tick_three(&mut port, &mut network, (&mut second, &mut their_network), &mut three));
            assert!(tick.crowded);
        }
        assert!(second.receiver_stats().received >= 49 && second.receiver_stats().late == 0);
    }
}
