//! A simulated phone's outside: a clock, an audio port and a network that do what closures say.
//!
//! The clock stands still but for the port, which moves it on by a frame with each `read`; nothing ever waits. So a
//! call runs as fast as the processor can, and the same everywhere.

use core::cell::Cell;
use core::future;

use dsp_core::time::{Duration, Instant};

use crate::phone::{Network, SAMPLE_RATE_HZ, TICK};
use crate::port::{AudioPort, Overrun, Underrun};

/// Virtual time.
#[derive(Debug, Default)]
pub struct SimClock(Cell<Instant>);

impl SimClock {
    /// The time by this clock.
    pub fn now(&self) -> Instant {
        self.0.get()
    }

    fn advance(&self, length: Duration) {
        self.0.set(self.0.get() + length);
    }
}

/// A port whose microphone and loudspeaker are closures: one fills a frame, the other takes one.
pub struct SimPort<'a, M, L> {
    clock: &'a SimClock,
    microphone: M,
    loudspeaker: L,
}

impl<'a, M: FnMut(&mut [i16; TICK]), L: FnMut(&[i16; TICK])> SimPort<'a, M, L> {
    /// A port that moves `clock` on.
    pub const fn new(clock: &'a SimClock, microphone: M, loudspeaker: L) -> Self {
        Self { clock, microphone, loudspeaker }
    }
}

impl<M: FnMut(&mut [i16; TICK]), L: FnMut(&[i16; TICK])> AudioPort<TICK> for SimPort<'_, M, L> {
    async fn read(&mut self, pcm: &mut [i16; TICK]) -> Result<(), Overrun> {
        (self.microphone)(pcm);
        self.clock.advance(Duration::from_samples(TICK as u64, SAMPLE_RATE_HZ));
        Ok(())
    }

    async fn write(&mut self, pcm: &[i16; TICK]) -> Result<(), Underrun> {
        (self.loudspeaker)(pcm);
        Ok(())
    }
}

/// A network of two closures. `bring(until, datagram)` writes the next datagram that arrives before `until`, the end of
/// the frame that is being read, and returns its length and arrival, or `None` if there is no more; `take` gets what
/// the phone sends.
pub struct SimNetwork<'a, B, T> {
    clock: &'a SimClock,
    bring: B,
    take: T,
}

impl<'a, B, T> SimNetwork<'a, B, T>
where
    B: FnMut(Instant, &mut [u8]) -> Option<(usize, Instant)>,
    T: FnMut(&[u8]),
{
    /// A network on `clock`'s time.
    pub const fn new(clock: &'a SimClock, bring: B, take: T) -> Self {
        Self { clock, bring, take }
    }
}

impl<B, T> Network for SimNetwork<'_, B, T>
where
    B: FnMut(Instant, &mut [u8]) -> Option<(usize, Instant)>,
    T: FnMut(&[u8]),
{
    async fn receive(&mut self, datagram: &mut [u8]) -> (usize, Instant) {
        let until = self.clock.now() + Duration::from_samples(TICK as u64, SAMPLE_RATE_HZ);
        match (self.bring)(until, datagram) {
            Some(received) => received,
            None => future::pending().await,
        }
    }

    fn send(&mut self, datagram: &[u8]) {
        (self.take)(datagram);
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}
