//! Two calls over a simulated network in virtual time: faster than real time, and bit for bit repeatable by seed.
//!
//! Both sides do what a driver on a real machine does, in the same order: datagrams as they arrive, and every 10 ms an
//! audio tick that plays, captures the 10 ms that have passed, sends what is finished and polls RTCP. The second side's
//! audio clock may run fast or slow against the first's.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;

use dsp_core::time::{Duration, Instant};

use crate::session::{self, Call, CallError, Channel, Tap, Transmit};
use crate::simulate::netsim::{Network, NetworkConfig};

/// Length of an audio tick in ms: a common device period, and half a usual packet.
pub const TICK_MS: u32 = session::TICK_MS;
/// The second side's ticks fall between the first's.
const PHASE_US: f64 = 3_700.0;
/// Room for a datagram: L16 at 48 kHz, stereo, in packets of 60 ms and all smaller ones.
const DATAGRAM_BYTES: usize = 12_288;

/// One side: a call, what is said into it, and who watches.
pub struct End<T> {
    /// The call.
    pub call: Call,
    /// What its user says, at the call's rate and with its channels, from media time 0; repeated from the start when it ends.
    pub speech: Vec<i16>,
    /// Sees everything that passes.
    pub tap: T,
    address: SocketAddr,
    rate_hz: u32,
    channels: u8,
    ppm: f64,
    phase_us: f64,
    tick: u64,
    spoken: usize,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct InFlight {
    arrival: Instant,
    order: u64,
    to: usize,
    from: SocketAddr,
    channel_is_rtcp: bool,
    bytes: Vec<u8>,
}

/// Two calls and the network between them.
pub struct VirtualTime<T> {
    /// The offerer and the answerer.
    pub ends: [End<T>; 2],
    networks: [Network; 2],
    in_flight: BinaryHeap<Reverse<InFlight>>,
    order: u64,
}

impl<T: Tap> VirtualTime<T> {
    /// Lets the first call offer and the second answer, and connects them. `drift_ppm` is how much faster the second
    /// side's audio clock runs.
    ///
    /// # Errors
    /// Whatever keeps the two from agreeing.
    pub fn connect(
        mut calls: [Call; 2],
        addresses: [SocketAddr; 2],
        taps: [T; 2],
        network: NetworkConfig,
        drift_ppm: f64,
        seed: u64,
    ) -> Result<Self, CallError> {
        let offer = calls[0].offer()?;
        let answer = calls[1].answer(Instant::ZERO, &offer)?;
        calls[0].accept(Instant::ZERO, &answer)?;
        let [first, second] = calls;
        let [first_tap, second_tap] = taps;
        let end = |call: Call, tap, address, ppm, phase_us| {
            let (rate_hz, channels) = (call.sample_rate_hz().unwrap_or(8_000), call.channels().unwrap_or(1));
            End { call, speech: Vec::new(), tap, address, rate_hz, channels, ppm, phase_us, tick: 0, spoken: 0 }
        };
        Ok(Self {
            ends: [
                end(first, first_tap, addresses[0], 0.0, 0.0),
                end(second, second_tap, addresses[1], drift_ppm, PHASE_US),
            ],
            networks: [Network::new(network, seed), Network::new(network, seed ^ 0x9e37_79b9_7f4a_7c15)],
            in_flight: BinaryHeap::new(),
            order: 0,
        })
    }

    /// Runs until `end`, in order of time; may be called again with a later one.
    pub fn run_until(&mut self, end: Instant) {
        loop {
            let ticks = [self.ends[0].next_tick(), self.ends[1].next_tick()];
            let side = usize::from(ticks[1] < ticks[0]);
            let arrival = self.in_flight.peek().map(|Reverse(datagram)| datagram.arrival);
            match arrival {
                Some(arrival) if arrival <= ticks[side] && arrival < end => self.arrive(),
                _ if ticks[side] < end => self.tick(side, ticks[side]),
                _ => return,
            }
        }
    }

    fn arrive(&mut self) {
        let Some(Reverse(mut datagram)) = self.in_flight.pop() else { return };
        let end = &mut self.ends[datagram.to];
        let channel = if datagram.channel_is_rtcp { Channel::Rtcp } else { Channel::Rtp };
        let now = datagram.arrival;
        end.tap.arrived(now, channel, datagram.from, &datagram.bytes);
        let incoming = end.call.receive(now, channel, datagram.from, &mut datagram.bytes);
        end.tap.received(now, &incoming);
        end.tap.settled(&end.call);
    }

    fn tick(&mut self, side: usize, now: Instant) {
        let mut pcm = [0i16; 2 * 48 * TICK_MS as usize];
        let mut datagram = [0u8; DATAGRAM_BYTES];
        let end = &mut self.ends[side];
        let pcm = &mut pcm[..session::tick_samples(end.rate_hz, end.tick) * usize::from(end.channels)];
        let played = end.call.play(now, pcm);
        end.tap.played(now, &played, pcm);
        end.tap.settled(&end.call);
        if end.tick > 0 {
            end.speak(pcm);
            end.tap.captured(now, pcm);
            end.call.capture(pcm);
        }
        end.tick += 1;
        while let Some(transmit) = self.ends[side].call.packet(&mut datagram) {
            self.send(side, now, transmit, &datagram);
        }
        if let Some(transmit) = self.ends[side].call.poll(now, &mut datagram) {
            self.send(side, now, transmit, &datagram);
        }
    }

    fn send(&mut self, side: usize, now: Instant, transmit: Transmit, datagram: &[u8]) {
        let bytes = &datagram[..transmit.len];
        self.ends[side].tap.sent(now, transmit.channel, transmit.to, bytes);
        for arrival in self.networks[side].carry(now).into_iter().flatten() {
            self.order += 1;
            let channel_is_rtcp = transmit.channel == Channel::Rtcp;
            let mut from = self.ends[side].address;
            from.set_port(from.port() + u16::from(channel_is_rtcp));
            self.in_flight.push(Reverse(InFlight {
                arrival,
                order: self.order,
                to: 1 - side,
                from,
                channel_is_rtcp,
                bytes: bytes.to_vec(),
            }));
        }
    }
}

impl<T> End<T> {
    fn next_tick(&self) -> Instant {
        let period_us = f64::from(TICK_MS) * 1_000.0 / (1.0 + self.ppm * 1e-6);
        Instant::from_micros((self.phase_us + self.tick as f64 * period_us) as u64)
    }

    /// Rate of the sound, in Hz.
    pub fn sample_rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Channels of the sound.
    pub fn channels(&self) -> u8 {
        self.channels
    }

    /// The end of this side's tick that is next: how far its media time has come.
    pub fn media_time(&self) -> Duration {
        Duration::from_millis(self.tick * u64::from(TICK_MS))
    }

    fn speak(&mut self, pcm: &mut [i16]) {
        if self.speech.is_empty() {
            pcm.fill(0);
            return;
        }
        for sample in pcm {
            *sample = self.speech[self.spoken];
            self.spoken = (self.spoken + 1) % self.speech.len();
        }
    }
}
