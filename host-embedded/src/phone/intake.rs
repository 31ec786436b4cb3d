//! Packets are taken in as they come, until the microphone's frame is there: the delay is estimated from their arrival times.
//! Within the budget they go before a frame that is ready, as it may need them; then the frame goes first.

use dsp_core::time::{Duration, Instant};
use embassy_futures::select::{Either, select};

use super::{Incoming, Network, Tick};
use crate::parts::PhoneParts;
use crate::port::{AudioPort, Overrun};
use crate::stream::PhoneStream;

/// A packet counts for at least such a share of the budget: a clock may have coarse steps, or stand still.
const LEAST_SHARE: u64 = 32;

/// One call's network, or those of several, and who takes their packets in.
#[allow(async_fn_in_trait, reason = "a phone has one core and one executor: its futures need not be Send")]
pub(crate) trait Intake {
    /// A received packet and its destination.
    type Packet;

    /// Waits for the next one, the `turn`th of a tick. Dropping the future before it is ready loses nothing.
    async fn wait(&mut self, turn: u32) -> Self::Packet;

    /// Takes it in; how long the network had worked on it.
    fn take(&mut self, packet: Self::Packet) -> Duration;

    /// Returns the time, as [`Network::now`].
    fn now(&self) -> Instant;

    /// Returns the budget, as [`Network::intake_budget`].
    fn budget(&self) -> Duration;
}

/// One call.
pub(crate) struct One<'a, P: PhoneParts, N> {
    pub(crate) stream: &'a mut PhoneStream<P>,
    pub(crate) network: &'a mut N,
    pub(crate) datagram: &'a mut [u8],
}

impl<P: PhoneParts, N: Network> Intake for One<'_, P, N> {
    type Packet = Incoming;

    fn wait(&mut self, _: u32) -> impl Future<Output = Incoming> {
        // The network's own future: one around it could panic when it is polled once too often.
        self.network.receive(self.datagram)
    }

    fn take(&mut self, Incoming { len, arrival, worked }: Incoming) -> Duration {
        if len > 0 {
            // The receiver counts packets that it can't use.
            let _ = self.stream.receive(arrival, self.datagram.get(..len).unwrap_or_default());
        }
        worked
    }

    fn now(&self) -> Instant {
        self.network.now()
    }

    fn budget(&self) -> Duration {
        self.network.intake_budget()
    }
}

/// Two calls, of which the first has clock and budget. They are awaited in turn, so that a flood on one leaves time for the
/// other.
pub(crate) struct Two<A, B> {
    pub(crate) first: A,
    pub(crate) second: B,
}

impl<A: Intake, B: Intake> Intake for Two<A, B> {
    type Packet = Either<A::Packet, B::Packet>;

    async fn wait(&mut self, turn: u32) -> Self::Packet {
        let Self { first, second } = self;
        if turn.is_multiple_of(2) {
            select(first.wait(turn), second.wait(turn)).await
        } else {
            match select(second.wait(turn), first.wait(turn)).await {
                Either::First(packet) => Either::Second(packet),
                Either::Second(packet) => Either::First(packet),
            }
        }
    }

    fn take(&mut self, packet: Self::Packet) -> Duration {
        match packet {
            Either::First(packet) => self.first.take(packet),
            Either::Second(packet) => self.second.take(packet),
        }
    }

    fn now(&self) -> Instant {
        self.first.now()
    }

    fn budget(&self) -> Duration {
        self.first.budget()
    }
}

/// Takes packets in until `heard` is full; returns the intake, and whether frames were lost.
pub(crate) async fn take_in<A, I, const TICK: usize>(
    port: &mut A,
    heard: &mut [i16; TICK],
    intake: &mut I,
) -> (Tick, Result<(), Overrun>)
where
    A: AudioPort<TICK>,
    I: Intake,
{
    let mut tick = Tick::default();
    let budget = intake.budget();
    let (mut spent, least) = (Duration::ZERO, Duration::from_micros(budget.as_micros().div_ceil(LEAST_SHARE)));
    loop {
        tick.crowded = spent >= budget;
        let packet = if tick.crowded {
            match select(port.read(heard), intake.wait(tick.received)).await {
                Either::First(read) => return (tick, read),
                Either::Second(packet) => packet,
            }
        } else {
            match select(intake.wait(tick.received), port.read(heard)).await {
                Either::First(packet) => packet,
                Either::Second(read) => return (tick, read),
            }
        };
        let before = intake.now();
        let worked = intake.take(packet);
        let took = worked + intake.now().since(before);
        tick.received += 1;
        tick.intake = tick.intake + took;
        spent = spent + took.max(least);
    }
}
