//! Simulated callers of one [`Room`], in virtual time: each has a call, with a codec of his own, to the room's end of it (his *leg*),
//! over a bad network or another [`Carrier`].
//!
//! Use it to test or measure a conference; two calls without a room are [`virtual_time`](super::virtual_time).
//!
//! Every 10 ms each caller plays and speaks, the room mixes the sound that the legs play, and each leg sends its caller the sum
//! of the others. Nothing reads a clock, so the same seed gives the same sound, faster than real time.
//!
//! Two callers who hear each other through a room for a second:
//!
//! ```
//! use dsp_core::time::{Duration, Instant};
//! use host_std::room::{Room, RoomConfig};
//! use host_std::session::{Call, CallConfig, Identity};
//! use host_std::simulate::callers::{SimulatedCaller, SimulatedLines, tick};
//! use host_std::simulate::netsim::NetworkConfig;
//!
//! let mut room = Room::new(RoomConfig { sample_rate_hz: 16_000, capacity: 2, loudest: None })?;
//! let call = |port| Call::new(CallConfig::with_identity(port, Identity::seeded(port.into())));
//! let mut callers = Vec::new();
//! for port in [4000, 5000] {
//!     let mut caller = SimulatedCaller::connect(call(port)?, call(port + 2)?, &room, Instant::ZERO, None)?;
//!     caller.speech = (0..4_800).map(|n| if n % 96 < 48 { 3_000 } else { -3_000 }).collect();
//!     callers.push(caller);
//! }
//! let (mut lines, mut now) = (SimulatedLines::new(2, NetworkConfig::default(), 1), Instant::ZERO);
//! for _ in 0..100 {
//!     tick(&mut room, &mut callers, &mut lines, now)?;
//!     now += Duration::from_millis(10);
//! }
//! assert!(callers[1].heard.iter().any(|&sample| sample > 2_000));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::net::SocketAddr;

use dsp_core::time::{Duration, Instant};

use super::in_flight::InFlight;
use super::netsim::{Network, NetworkConfig};
use crate::room::{MemberId, Room, RoomError, TICK_MS};
use crate::session::{Call, CallError, Channel};

/// Room for a datagram.
const DATAGRAM_BYTES: usize = 12_288;

/// One end of a caller's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The caller's end.
    Caller,
    /// The room's end, the leg.
    Leg,
}

/// A datagram that arrived.
#[derive(Debug)]
pub struct Arrived {
    /// The number of the caller whose line it is, from 0.
    pub caller: usize,
    /// The end at which it arrived.
    pub to: Side,
    /// The time at which it arrived.
    pub at: Instant,
    /// The address from which it came.
    pub from: SocketAddr,
    /// The port for which it is.
    pub channel: Channel,
    /// The datagram.
    pub bytes: Vec<u8>,
}

/// Carries datagrams between callers and the room. [`SimulatedLines`] does it over simulated networks.
pub trait Carrier {
    /// Sends a datagram that left one end of a caller's line.
    fn send(&mut self, caller: usize, from: Side, now: Instant, channel: Channel, datagram: &[u8]);

    /// Returns the next datagram that has arrived until `now`; `None` if there is none.
    fn arrived(&mut self, now: Instant) -> Option<Arrived>;
}

/// A caller, and his leg in the room.
pub struct SimulatedCaller {
    /// The caller's call.
    pub call: Call,
    /// The room's end of the call.
    pub leg: Call,
    /// His speech, at his call's rate, repeated from its start when it ends.
    pub speech: Vec<i16>,
    /// All that he said since this was cleared, at his call's rate.
    pub said: Vec<i16>,
    /// All that he heard since this was cleared, at his call's rate.
    pub heard: Vec<i16>,
    rate_hz: u32,
    member: Option<MemberId>,
    joins: Instant,
    leaves: Option<Instant>,
    ticks: u64,
    /// Samples that he said.
    spoken: usize,
}

impl SimulatedCaller {
    /// Creates a caller who joins the room and leaves it at these times. The two calls agree here, and the leg's sound is set to
    /// the room's rate.
    ///
    /// # Errors
    /// A [`CallError`] that says why the two calls can't agree.
    pub fn connect(
        mut call: Call,
        mut leg: Call,
        room: &Room,
        joins: Instant,
        leaves: Option<Instant>,
    ) -> Result<Self, CallError> {
        let offer = call.offer()?;
        let answer = leg.answer(joins, &offer)?;
        call.accept(joins, &answer)?;
        leg.set_sound(Some((room.sample_rate_hz(), 1)))?;
        let rate_hz = call.sample_rate_hz().unwrap_or(8_000);
        call.set_sound(Some((rate_hz, 1)))?;
        Ok(Self {
            call,
            leg,
            speech: Vec::new(),
            said: Vec::new(),
            heard: Vec::new(),
            rate_hz,
            member: None,
            joins,
            leaves,
            ticks: 0,
            spoken: 0,
        })
    }

    /// Returns the rate of his sound, in Hz.
    pub fn sample_rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// His name in the room; `None` while he isn't there.
    pub fn member(&self) -> Option<MemberId> {
        self.member
    }

    fn is_there(&self, now: Instant) -> bool {
        now >= self.joins && self.leaves.is_none_or(|leaves| now < leaves)
    }
}

/// Runs one tick of 10 ms for the room and all callers at `now`.
///
/// # Errors
/// [`RoomError::Conference`] if the room has no place for a caller who joins.
pub fn tick(
    room: &mut Room,
    callers: &mut [SimulatedCaller],
    carrier: &mut impl Carrier,
    now: Instant,
) -> Result<(), RoomError> {
    while let Some(mut arrived) = carrier.arrived(now) {
        let Some(caller) = callers.get_mut(arrived.caller) else { continue };
        let end = if arrived.to == Side::Caller { &mut caller.call } else { &mut caller.leg };
        end.receive(arrived.at, arrived.channel, arrived.from, &mut arrived.bytes);
    }
    let mut datagram = [0; DATAGRAM_BYTES];
    for (number, caller) in callers.iter_mut().enumerate() {
        match caller.member {
            None if caller.is_there(now) => caller.member = Some(room.join()?),
            Some(member) if !caller.is_there(now) => {
                caller.call.hang_up();
                while let Some(sent) = caller.call.transmit(now, &mut datagram) {
                    carrier.send(number, Side::Caller, now, sent.channel, &datagram[..sent.len]);
                }
                room.leave(member)?;
                caller.member = None;
            }
            _ => {}
        }
        if caller.member.is_none() {
            continue;
        }
        let samples = caller.rate_hz as usize * TICK_MS as usize / 1_000;
        let mut pcm = vec![0; samples];
        caller.call.play(now, &mut pcm);
        caller.heard.extend_from_slice(&pcm);
        pcm.fill(0);
        if !caller.speech.is_empty() {
            pcm.iter_mut().zip(caller.spoken..).for_each(|(to, n)| *to = caller.speech[n % caller.speech.len()]);
        }
        caller.spoken += samples;
        caller.said.extend_from_slice(&pcm);
        if caller.ticks > 0 {
            caller.call.capture(before(now), &pcm);
        }
        while let Some(sent) = caller.call.transmit(now, &mut datagram) {
            carrier.send(number, Side::Caller, now, sent.channel, &datagram[..sent.len]);
        }
    }
    for caller in &mut *callers {
        if let Some(member) = caller.member {
            if let Some((source, level)) = caller.leg.source_level(0) {
                room.tell(member, source, level)?;
            }
            room.play(now, member, &mut caller.leg);
        }
    }
    room.mix();
    for (number, caller) in callers.iter_mut().enumerate() {
        let Some(member) = caller.member else { continue };
        if caller.ticks > 0 {
            if caller.leg.takes_contributors(0) {
                caller.leg.set_contributors(0, &room.contributors(member));
            }
            room.capture(before(now), member, &mut caller.leg);
        }
        caller.ticks += 1;
        while let Some(sent) = caller.leg.transmit(now, &mut datagram) {
            carrier.send(number, Side::Leg, now, sent.channel, &datagram[..sent.len]);
        }
    }
    Ok(())
}

/// Returns a tick before.
fn before(now: Instant) -> Instant {
    Instant::from_micros(now.as_micros().saturating_sub(Duration::from_millis(TICK_MS.into()).as_micros()))
}

/// Simulated networks, one for each direction of each caller's line.
pub struct SimulatedLines {
    networks: Vec<[Network; 2]>,
    /// The datagrams on their way to this end of a caller's line, for one of its ports.
    in_flight: InFlight<(usize, Side, Channel)>,
}

impl SimulatedLines {
    /// Lines for this many callers, all with the same settings and each with its own seed.
    pub fn new(callers: usize, network: NetworkConfig, seed: u64) -> Self {
        let each = |n: usize| {
            let seed = seed.wrapping_add(2 * n as u64);
            [Network::new(network, seed), Network::new(network, seed ^ 0x9e37_79b9_7f4a_7c15)]
        };
        Self { networks: (0..callers).map(each).collect(), in_flight: InFlight::default() }
    }
}

impl Carrier for SimulatedLines {
    fn send(&mut self, caller: usize, from: Side, now: Instant, channel: Channel, datagram: &[u8]) {
        let to = if from == Side::Caller { Side::Leg } else { Side::Caller };
        let Some(networks) = self.networks.get_mut(caller) else { return };
        let network = &mut networks[usize::from(from == Side::Leg)];
        self.in_flight.send(network, now, (caller, to, channel), datagram);
    }

    fn arrived(&mut self, now: Instant) -> Option<Arrived> {
        self.in_flight.next_arrival().filter(|&arrival| arrival <= now)?;
        let datagram = self.in_flight.take()?;
        let (caller, to, channel) = datagram.to;
        // Two ports for each end of a line.
        let port = 10_000 + 4 * caller as u16 + 2 * u16::from(to == Side::Caller) + u16::from(channel == Channel::Rtcp);
        let from = SocketAddr::from(([127, 0, 0, 1], port));
        Some(Arrived { caller, to, at: datagram.arrival, from, channel, bytes: datagram.bytes })
    }
}
