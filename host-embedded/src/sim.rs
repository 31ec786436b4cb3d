//! The simulated outside of a phone: a clock, an audio port and a network that do what closures say.
//!
//! Use it for tests of firmware on a host or in an emulator, with the same loop that runs on the board; the
//! [crate's page](crate) has a phone that hears itself.
//!
//! ```
//! use dsp_core::time::Instant;
//! use embassy_futures::block_on;
//! use host_embedded::phone::{Phone, PhoneConfig};
//! use host_embedded::sim::{SimClock, SimNetwork, SimPort};
//!
//! let clock = SimClock::default();
//! let mut port = SimPort::new(&clock, |pcm: &mut [i16; 80]| pcm.fill(1_000), |_: &[i16; 80]| ());
//! let mut sent = 0;
//! let mut network = SimNetwork::new(&clock, |_, _: &mut [u8]| None, |_: &[u8]| sent += 1);
//! let mut phone = Phone::new(PhoneConfig::default())?;
//! for _ in 0..100 {
//!     block_on(phone.tick(&mut port, &mut network));
//! }
//! // A second of the call, in packets of 20 ms.
//! assert_eq!((clock.now(), sent), (Instant::from_millis(1_000), 50));
//! # Ok::<(), host_embedded::phone::PhoneError>(())
//! ```
//!
//! Only the port moves the clock on, by a frame with each `read`; nothing ever waits. So a call runs as fast as the
//! processor can, and in the same way everywhere. Limits: this clock doesn't show how long the processor worked.

use core::cell::Cell;
use core::future;

use dsp_core::time::{Duration, Instant};

use crate::phone::{Incoming, Network};
use crate::port::{AudioPort, Overrun, Underrun};

/// A clock of virtual time, which a [`SimPort`] moves on.
#[derive(Debug, Default)]
pub struct SimClock(Cell<Instant>);

impl SimClock {
    /// Returns the time by this clock.
    pub fn now(&self) -> Instant {
        self.0.get()
    }

    fn advance(&self, length: Duration) {
        self.0.set(self.0.get() + length);
    }
}

/// Length of a frame.
const FRAME_LENGTH: Duration = Duration::from_millis(10);

/// A port whose microphone and loudspeaker are closures: one fills a frame of `FRAME` samples, the other takes one. A frame
/// lasts 10 ms.
///
/// ```
/// use embassy_futures::block_on;
/// use dsp_core::time::Instant;
/// use host_embedded::port::AudioPort;
/// use host_embedded::sim::{SimClock, SimPort};
///
/// let clock = SimClock::default();
/// let mut played = Vec::new();
/// let mut port = SimPort::new(&clock, |pcm: &mut [i16; 80]| pcm.fill(7), |pcm: &[i16; 80]| played.push(*pcm));
/// let mut pcm = [0; 80];
/// block_on(port.read(&mut pcm)).expect("it loses nothing");
/// block_on(port.write(&pcm)).expect("it is never short of frames");
/// // Reading a frame took its 10 ms.
/// assert_eq!(clock.now(), Instant::from_millis(10));
/// assert_eq!(played, [[7; 80]]);
/// ```
pub struct SimPort<'a, M, L, const FRAME: usize> {
    clock: &'a SimClock,
    microphone: M,
    loudspeaker: L,
}

impl<'a, M: FnMut(&mut [i16; FRAME]), L: FnMut(&[i16; FRAME]), const FRAME: usize> SimPort<'a, M, L, FRAME> {
    /// Creates a port that moves `clock` on.
    pub const fn new(clock: &'a SimClock, microphone: M, loudspeaker: L) -> Self {
        Self { clock, microphone, loudspeaker }
    }
}

impl<M: FnMut(&mut [i16; FRAME]), L: FnMut(&[i16; FRAME]), const FRAME: usize> AudioPort<FRAME>
    for SimPort<'_, M, L, FRAME>
{
    async fn read(&mut self, pcm: &mut [i16; FRAME]) -> Result<(), Overrun> {
        (self.microphone)(pcm);
        self.clock.advance(FRAME_LENGTH);
        Ok(())
    }

    async fn write(&mut self, pcm: &[i16; FRAME]) -> Result<(), Underrun> {
        (self.loudspeaker)(pcm);
        Ok(())
    }
}

/// A network of two closures. `bring(until, datagram)` writes the next datagram that arrives before `until`, the end of the frame
/// that is being read, and returns its length and arrival, or `None` if there is no more; `take` gets the packets that the phone
/// sends.
///
/// This phone hears nothing, and its packets are counted:
///
/// ```
/// use embassy_futures::block_on;
/// use host_embedded::phone::{Phone, PhoneConfig};
/// use host_embedded::sim::{SimClock, SimNetwork, SimPort};
///
/// let clock = SimClock::default();
/// let mut port = SimPort::new(&clock, |pcm: &mut [i16; 80]| pcm.fill(1_000), |_: &[i16; 80]| ());
/// let mut lengths = Vec::new();
/// let mut network = SimNetwork::new(&clock, |_, _: &mut [u8]| None, |datagram: &[u8]| lengths.push(datagram.len()));
/// let mut phone = Phone::new(PhoneConfig::default())?;
/// for _ in 0..6 {
///     block_on(phone.tick(&mut port, &mut network));
/// }
/// // 20 ms of G.711 behind 12 bytes of header.
/// assert_eq!(lengths, [172; 3]);
/// # Ok::<(), host_embedded::phone::PhoneError>(())
/// ```
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
    /// Creates a network on `clock`'s time.
    pub const fn new(clock: &'a SimClock, bring: B, take: T) -> Self {
        Self { clock, bring, take }
    }
}

impl<B, T> Network for SimNetwork<'_, B, T>
where
    B: FnMut(Instant, &mut [u8]) -> Option<(usize, Instant)>,
    T: FnMut(&[u8]),
{
    async fn receive(&mut self, datagram: &mut [u8]) -> Incoming {
        let until = self.clock.now() + FRAME_LENGTH;
        match (self.bring)(until, datagram) {
            Some((len, arrival)) => Incoming { len, arrival, worked: Duration::ZERO },
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
