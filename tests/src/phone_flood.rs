//! A flood at a phone: 3,200 packets a second of one source, 50 a second of which are a call, on a processor of 48 MHz
//! that does an instruction a cycle. Uses nothing but `core`, `dsp_core` and `host_embedded`, so that a firmware image
//! can include this very file.

use core::cell::Cell;
use core::future;

use dsp_core::time::{Duration, Instant, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpHeader;
use embassy_futures::block_on;
use host_embedded::phone::{INTAKE_BUDGET, Incoming, Network, Phone, TICK};
use host_embedded::sim::{SimClock, SimPort};

/// Instructions a microsecond.
const CLOCK_MHZ: u32 = 48;
/// Packets a tick of 10 ms.
const PACKETS: u32 = 32;
/// Packets that wait in the network's queue at most: what comes beyond is dropped.
const QUEUE: u32 = 64;
/// Ticks of the flood: 2 s.
const TICKS: u32 = 200;

/// What the flood cost, in instructions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flooded {
    /// The dearest tick: all that the phone does in it.
    pub tick: u32,
    /// The dearest intake of a tick.
    pub intake: u32,
    /// The dearest packet.
    pub packet: u32,
    /// Packets that were taken in.
    pub received: u32,
    /// Packets for which the network had no room.
    pub dropped: u32,
    /// Packets that still wait there.
    pub waiting: u32,
    /// Ticks whose budget was used up.
    pub crowded: u32,
}

/// The budget in instructions.
pub const fn budget() -> u32 {
    INTAKE_BUDGET.as_micros() as u32 * CLOCK_MHZ
}

/// A network that always has a packet, up to so many, and a clock that counts what the phone does.
struct Flood<M> {
    meter: M,
    /// Instructions that were the network's own.
    own: Cell<u32>,
    /// When the tick began, in virtual time and in instructions.
    at: Instant,
    began: u32,
    /// Packets left in this tick, and sent before.
    left: u32,
    sent: u32,
    /// When the phone began with a packet, and the dearest packet.
    since: Cell<Option<u32>>,
    packet: Cell<u32>,
}

/// Packets that are sent.
pub const SENT: u32 = TICKS * PACKETS;

impl<M: Fn() -> u32> Flood<M> {
    fn instructions(&self) -> u32 {
        (self.meter)().wrapping_sub(self.own.get())
    }
}

impl<M: Fn() -> u32> Network for Flood<M> {
    async fn receive(&mut self, datagram: &mut [u8]) -> Incoming {
        if self.left == 0 {
            future::pending::<()>().await;
        }
        let start = (self.meter)();
        self.left -= 1;
        // Every 64th belongs to the stream; the others come with numbers of their own.
        let n = self.sent;
        let seq = Seq((n / 64) as u16 + if n.is_multiple_of(64) { 0 } else { (n % 64) as u16 * 3 });
        let timestamp = RtpTime(u32::from(seq.0) * 160);
        let header = RtpHeader { ssrc: Ssrc(1), seq, timestamp, ..RtpHeader::default() };
        let bytes = header.write(datagram).expect("room for a header");
        datagram[bytes..bytes + 160].fill(n as u8);
        self.sent += 1;
        let arrival = Instant::from_micros(u64::from(n) * 10_000 / u64::from(PACKETS));
        self.own.set(self.own.get().wrapping_add((self.meter)().wrapping_sub(start)));
        Incoming { len: bytes + 160, arrival, worked: Duration::ZERO }
    }

    fn send(&mut self, _: &[u8]) {}

    fn now(&self) -> Instant {
        let now = self.instructions();
        // The phone asks before each packet and behind it.
        match self.since.take() {
            Some(before) => self.packet.set(self.packet.get().max(now.wrapping_sub(before))),
            None => self.since.set(Some(now)),
        }
        self.at + Duration::from_micros(u64::from(now.wrapping_sub(self.began) / CLOCK_MHZ))
    }
}

/// Two seconds of it at `phone`; `meter` counts up, modulo 2^32.
pub fn flood(phone: &mut Phone, meter: impl Fn() -> u32) -> Flooded {
    let (mut network, clock) = (
        Flood {
            meter,
            own: Cell::new(0),
            at: Instant::ZERO,
            began: 0,
            left: 0,
            sent: 0,
            since: Cell::new(None),
            packet: Cell::new(0),
        },
        SimClock::default(),
    );
    let mut port = SimPort::new(&clock, |pcm: &mut [i16; TICK]| pcm.fill(100), |_: &[i16; TICK]| ());
    let mut flooded = Flooded::default();
    for _ in 0..TICKS {
        flooded.dropped += (network.left + PACKETS).saturating_sub(QUEUE);
        network.left = (network.left + PACKETS).min(QUEUE);
        network.since.set(None);
        (network.at, network.began) = (clock.now(), network.instructions());
        let tick = block_on(phone.tick(&mut port, &mut network));
        flooded.tick = flooded.tick.max(network.instructions().wrapping_sub(network.began));
        flooded.intake = flooded.intake.max(tick.intake.as_micros() as u32 * CLOCK_MHZ);
        flooded.received += tick.received;
        flooded.crowded += u32::from(tick.crowded);
    }
    flooded.waiting = network.left;
    flooded.packet = network.packet.get();
    flooded
}
