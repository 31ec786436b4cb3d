//! A phone: one call's stream and its device side on ticks of 10 ms; of G.711, at 8 kHz, unless other codecs are named.
//!
//! [`PhoneOf::tick`] is the loop's body for firmware: it waits for the microphone, takes in the packets that arrive meanwhile,
//! and does one tick in the order of [`dsp_core::front::tick`]. Firmware with a loop of its own can use the functions below it:
//! [`PhoneOf::receive`], [`PhoneOf::begin`] and [`PhoneOf::step`].
//!
//! [`Phone`] has no capture block; [`PhoneWith`] has one between microphone and sender, such as an echo canceller, and keeps
//! `HISTORY` samples of the played sound for it. Other codecs, comfort noise and a strategy of your own are
//! [`parts`](crate::parts).
//!
//! Limits: one call and one microphone. A second call is a [`stream`](crate::stream), which [`three_way`](crate::three_way)
//! brings into this one. The time before and after a call, with ringing and the hook switch, is the task of
//! [`desk`](crate::desk).
//!
//! Memory: a [`Phone`] takes 11 KiB, of which the receiver takes most; no heap. It is made by value and moved to its place, at
//! the cost of the stack; where stack is scarce, most of it can be [lent](crate::parts::RoomOf). All arithmetic is integer.
//!
//! This example has a capture block that halves the microphone's sound where the loudspeaker is loud:
//!
//! ```
//! use dsp_core::front::{CaptureBlock, Near};
//! use host_embedded::phone::{PhoneConfig, PhoneWith, SAMPLE_RATE_HZ, TICK};
//! # use dsp_core::time::Instant;
//! # use embassy_futures::block_on;
//! # use host_embedded::sim::{SimClock, SimNetwork, SimPort};
//!
//! struct HalfDuplex;
//!
//! impl CaptureBlock<i16> for HalfDuplex {
//!     fn process(&mut self, frame: &mut [i16], near: &Near<'_>) {
//!         let mut far = [0; TICK];
//!         near.render.read(near.captured_at, near.channel, &mut far);
//!         if far.iter().any(|&sample| sample.unsigned_abs() > 1_000) {
//!             frame.iter_mut().for_each(|sample| *sample /= 2);
//!         }
//!     }
//!     fn reset(&mut self) {}
//!     fn delay_samples(&self) -> usize {
//!         0
//!     }
//! }
//!
//! // 100 ms of the far end are kept.
//! let mut phone = PhoneWith::<_, 800>::with_block(PhoneConfig::default(), HalfDuplex)?;
//! phone.front().set_volume(-600).expect("at most 18 dB");
//! # let clock = SimClock::default();
//! # let mut port = SimPort::new(&clock, |pcm: &mut [i16; 80]| pcm.fill(1_000), |_: &[i16; 80]| ());
//! # let mut network = SimNetwork::new(&clock, |_, _: &mut [u8]| None, |_: &[u8]| ());
//! for _ in 0..10 {
//!     block_on(phone.tick(&mut port, &mut network));
//! }
//! assert_eq!(phone.send_stats().packets, 5);
//! # Ok::<(), host_embedded::phone::PhoneError>(())
//! ```

mod config;
pub(crate) mod intake;
#[cfg(test)]
mod tests;

use dsp_core::front::{CaptureBlock, FrontConfig, FrontEnd, Latency, Media, NoBlock, Step};
use dsp_core::process::activity::Activity;
use dsp_core::receive::{EventReport, Played, ReceiveError, Received, ReceiverStats};
use dsp_core::rtcp::SendInfo;
use dsp_core::send::{KeyPress, SendError, SendStats};
use dsp_core::time::{Duration, Instant, NtpTime, RtpTime, Seq, Ssrc};

use crate::parts::{G711, G711Parts, Parts, PhoneCodecs, PhoneMemory, PhoneParts};
use crate::port::{AudioPort, PortDelay};
use crate::stream::{PhoneStream, RoomFor, TICK_MS};
use crate::tones::{LocalSound, NoSound};

pub use config::{KeyError, PhoneConfig, PhoneError};
use intake::{One, take_in};

/// Rate of microphone and loudspeaker of a G.711 phone.
pub const SAMPLE_RATE_HZ: u32 = G711::SAMPLE_RATE_HZ;
/// Samples a tick of a G.711 phone: 10 ms.
pub const TICK: usize = 80;
/// Bytes of the longest datagram that a G.711 phone takes in or sends: 60 ms, with room for contributing sources and a
/// header extension.
pub const DATAGRAM: usize = 640;
/// The time for which the intake of packets may delay a frame of the microphone, unless the board chooses another: a fifth of a
/// tick.
pub const INTAKE_BUDGET: Duration = Duration::from_millis(2);

/// A datagram that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Its length in bytes. A length of 0 is one that isn't for the phone, such as a report or one that was refused: it counts in
    /// the budget of a tick all the same.
    pub len: usize,
    /// The time at which it arrived.
    pub arrival: Instant,
    /// The time that the network worked on the datagram after it had arrived, by [`Network::now`], for example to unprotect it.
    pub worked: Duration,
}

/// The phone's network and clock. SRTP, if any, is the network's task: it hands over unprotected packets.
#[allow(async_fn_in_trait, reason = "a phone has one core and one executor: its futures need not be Send")]
pub trait Network {
    /// Waits for a datagram. One that is longer than `datagram` may be cut, but its true length must be returned: the phone
    /// drops it. Dropping the future before it is ready loses nothing.
    async fn receive(&mut self, datagram: &mut [u8]) -> Incoming;

    /// Sends a datagram, or drops it if the link is busy.
    fn send(&mut self, datagram: &[u8]);

    /// Returns the time by the clock that arrivals are stamped with. The time spent on packets is measured by it too, so it
    /// should advance while the phone works, in steps well below [`intake_budget`](Self::intake_budget).
    fn now(&self) -> Instant;

    /// Returns the time for which packets may delay a frame that is ready, in each tick: network and phone work on them for that
    /// time, measured by [`now`](Self::now), and afterwards packets are taken in only while no frame is ready. So a flood delays
    /// a tick by this time and one packet. The remaining packets stay with the network, which must drop and count those for which
    /// it has no room. The default is [`INTAKE_BUDGET`].
    fn intake_budget(&self) -> Duration {
        INTAKE_BUDGET
    }
}

/// The events of one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tick {
    /// The sound that was played.
    pub played: Played,
    /// The number of microphone frames that were lost. If there are any, nothing was played either, and the next tick continues.
    pub overrun: u32,
    /// Frames for which the loudspeaker was silent.
    pub underrun: u32,
    /// Packets that could not be encoded or written.
    pub unsent: u32,
    /// Packets that were taken in, and how long network and phone worked on them.
    pub received: u32,
    /// The time spent on the intake of packets, by [`Network::now`].
    pub intake: Duration,
    /// The duration of the rest, by the same clock: from the microphone's frame until the last packet was handed over. It
    /// includes the time spent waiting for the port.
    pub took: Duration,
    /// The budget for that was used up ([`Network::intake_budget`]): packets may be left with the network.
    pub crowded: bool,
}

/// Carries out the steps of a tick that was begun: the loudspeaker's frame goes to the port, the microphone's frame is read into
/// `heard`, and `send` gets each datagram to be sent; returns whether there was any.
pub(crate) async fn exchange<M, A, B, const TICK: usize, const HISTORY: usize>(
    front: &mut FrontEnd<B, TICK, [i16; HISTORY]>,
    media: &mut M,
    port: &mut A,
    heard: &[i16; TICK],
    datagram: &mut [u8],
    tick: &mut Tick,
    mut send: impl FnMut(M::Transmit, &[u8]) -> bool,
) where
    M: Media,
    A: AudioPort<TICK>,
    B: CaptureBlock<i16>,
{
    while let Some(step) = front.step(media, datagram) {
        match step {
            Step::Loudspeaker { pcm, played } => {
                set_played(&mut tick.played, played);
                // A tick always has this number of samples.
                if let Some(pcm) = pcm.first_chunk() {
                    tick.underrun = port.write(pcm).await.map_or_else(|underrun| underrun.frames, |()| 0);
                    front.underrun(tick.underrun as usize * TICK);
                }
            }
            Step::Microphone(microphone) => {
                if let Some(pcm) = microphone.pcm.first_chunk_mut::<TICK>() {
                    pcm.copy_from_slice(heard);
                }
            }
            Step::Transmit(sent) => tick.unsent += u32::from(!send(sent, datagram)),
        }
    }
}

/// Copies field by field: a whole one is moved by `memmove`, which nothing else in a phone needs, and which is longer than this.
fn set_played(to: &mut Played, played: Played) {
    to.decoded = played.decoded;
    to.recovered = played.recovered;
    to.concealed = played.concealed;
    to.noise = played.noise;
    to.silence = played.silence;
    to.paused = played.paused;
    to.inserted = played.inserted;
    to.removed = played.removed;
    to.playout_delay_us = played.playout_delay_us;
    to.timestamp = played.timestamp;
    to.buffer_delay_us = played.buffer_delay_us;
    to.target_delay_ms = played.target_delay_ms;
    debug_assert_eq!(*to, played, "a field is missing above");
}

/// A G.711 phone without blocks of your own.
pub type Phone = PhoneWith<NoBlock, 0>;
/// A G.711 phone with a capture block, which can look back on `HISTORY` samples of the played sound.
pub type PhoneWith<B, const HISTORY: usize> = PhoneOf<G711Parts<B>, TICK, HISTORY>;

/// A phone of these parts. `TICK`: samples of 10 ms; `HISTORY`: samples of the played sound that its block can look back on.
///
/// A phone without a task of its own for the port: the firmware begins each tick and does what its steps say.
///
/// ```
/// use dsp_core::front::Step;
/// use dsp_core::time::{Duration, Instant};
/// use host_embedded::phone::{DATAGRAM, Phone, PhoneConfig};
///
/// let mut phone = Phone::new(PhoneConfig::default())?;
/// let (mut now, mut datagram, mut sent) = (Instant::ZERO, [0; DATAGRAM], 0);
/// for _ in 0..100 {
///     // Here `phone.receive(now, packet)` takes in what has come.
///     phone.begin(now, true);
///     while let Some(step) = phone.step(&mut datagram) {
///         match step {
///             Step::Loudspeaker { .. } => {} // to the codec chip
///             Step::Microphone(microphone) => microphone.pcm.fill(1_000),
///             Step::Transmit(len) => sent += usize::from(len.is_ok()), // `datagram[..len]` to the socket
///         }
///     }
///     now += Duration::from_millis(10);
/// }
/// assert_eq!((sent, phone.send_stats().packets), (50, 50));
/// # Ok::<(), host_embedded::phone::PhoneError>(())
/// ```
pub struct PhoneOf<P: PhoneParts, const TICK: usize, const HISTORY: usize> {
    stream: PhoneStream<P>,
    front: FrontEnd<P::Block, TICK, [i16; HISTORY]>,
}

impl Phone {
    /// A phone that waits for its first packet.
    ///
    /// # Errors
    /// [`PhoneError`] if a part of it refuses its part of `config`.
    // This is inlined, as are all functions that make a phone: each call would hold another copy of it on the stack.
    #[inline(always)]
    pub fn new(config: PhoneConfig) -> Result<Self, PhoneError> {
        Self::with_parts(config, Parts::g711())
    }
}

impl<B: CaptureBlock<i16>, const HISTORY: usize> PhoneWith<B, HISTORY> {
    /// Creates a phone with a block between microphone and sender. Its frames are [`TICK`] samples.
    ///
    /// # Errors
    /// [`PhoneError`] if a part of it refuses its part of `config`.
    #[inline(always)]
    pub fn with_block(config: PhoneConfig, block: B) -> Result<Self, PhoneError> {
        Self::with_parts(config, Parts::g711_with(Some(block)))
    }
}

impl<P: PhoneParts, const TICK: usize, const HISTORY: usize> PhoneOf<P, TICK, HISTORY> {
    const RATE_HZ: u32 = P::Codecs::SAMPLE_RATE_HZ;

    /// Creates a phone of these parts. It doesn't compile if `TICK` isn't 10 ms of its codecs' sound.
    ///
    /// # Errors
    /// [`PhoneError`] if a part of it refuses its part of `config`.
    #[inline(always)]
    pub fn with_parts(config: PhoneConfig, parts: Parts<P>) -> Result<Self, PhoneError>
    where
        RoomFor<P>: Default,
    {
        Self::with_room(config, parts, Default::default())
    }

    /// Creates the same in memory that is [lent](crate::parts::RoomOf) to it, so that making it takes little of the stack.
    ///
    /// # Errors
    /// The same as for [`with_parts`](Self::with_parts).
    #[inline(always)]
    pub fn with_room(config: PhoneConfig, mut parts: Parts<P>, room: RoomFor<P>) -> Result<Self, PhoneError> {
        const { assert!(TICK as u32 * 1_000 == Self::RATE_HZ * TICK_MS, "TICK is 10 ms of the sound") };
        let PhoneConfig { meters, high_pass, .. } = config;
        let front = FrontConfig { sample_rate_hz: Self::RATE_HZ, channels: 1, meters, high_pass };
        let block = parts.block.take();
        // No `?`: it would be two more copies on the stack.
        match PhoneStream::with_room(config, parts, room) {
            Ok(stream) => match FrontEnd::new(front, [block, None], [0; HISTORY]) {
                Ok(front) => Ok(Self { stream, front }),
                Err(error) => Err(PhoneError::Front(error)),
            },
            Err(error) => Err(error),
        }
    }

    /// Makes the same phone in an existing place, usually in a `static`; its former content is overwritten. Use it wherever the
    /// stack is small: the stack that is needed to make a phone is free again when this returns. A phone that is made by value
    /// leaves its copies in the frame of the function that made it, for as long as that runs.
    ///
    /// # Errors
    /// The same as for [`with_parts`](Self::with_parts); the place stays empty then.
    #[inline(never)]
    pub fn place(
        place: &mut Option<Self>,
        config: PhoneConfig,
        parts: Parts<P>,
        room: RoomFor<P>,
    ) -> Result<&mut Self, PhoneError> {
        *place = None;
        match Self::with_room(config, parts, room) {
            Ok(phone) => Ok(place.insert(phone)),
            Err(error) => Err(error),
        }
    }

    /// One tick: 10 ms of microphone and loudspeaker. Call it for ever; `port` paces it.
    pub async fn tick<A: AudioPort<TICK>, N: Network>(&mut self, port: &mut A, network: &mut N) -> Tick {
        self.tick_with(port, network, &mut NoSound).await
    }

    /// Does one tick with a local sound, such as [`TonePlayer`](crate::tones::TonePlayer), that is added to the other side's
    /// sound: after its decoder and before volume, meter and the history of a canceller.
    pub async fn tick_with<A, N, L>(&mut self, port: &mut A, network: &mut N, local: &mut L) -> Tick
    where
        A: AudioPort<TICK>,
        N: Network,
        L: LocalSound,
    {
        let mut heard = [0; TICK];
        let mut datagram = <P::Codecs as PhoneCodecs>::Memory::DATAGRAM;
        let datagram = datagram.as_mut();
        let mut intake = One { stream: &mut self.stream, network: &mut *network, datagram: &mut *datagram };
        let (mut tick, read) = take_in(port, &mut heard, &mut intake).await;
        if let Err(overrun) = read {
            tick.overrun = overrun.frames;
            self.lose(overrun.frames as usize * TICK);
            return tick;
        }
        let begun = network.now();
        self.set_delay(port.delay());
        self.begin(begun, true);
        let Self { stream, front } = self;
        let send = |sent: Result<usize, SendError>, datagram: &[u8]| {
            sent.map(|bytes| network.send(datagram.get(..bytes).unwrap_or_default())).is_ok()
        };
        exchange(front, &mut Mixed { stream, local }, port, &heard, datagram, &mut tick, send).await;
        tick.took = network.now().since(begun);
        tick
    }

    /// Records that the port has lost this many samples of the microphone. The port itself reports at the next write how long the
    /// loudspeaker was silent meanwhile.
    pub(crate) fn lose(&mut self, samples: usize) {
        self.stream.pause(samples);
        self.front.overrun(samples);
    }

    pub(crate) fn set_delay(&mut self, delay: PortDelay) {
        self.front.set_latency(delay.latency(Self::RATE_HZ));
    }

    /// The stream, and the device side.
    pub(crate) fn halves(&mut self) -> (&mut PhoneStream<P>, &mut FrontEnd<P::Block, TICK, [i16; HISTORY]>) {
        (&mut self.stream, &mut self.front)
    }

    /// Takes in one RTP packet that arrived at `now`.
    ///
    /// # Errors
    /// [`ReceiveError`] if it is no RTP packet, or too long.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<Received, ReceiveError> {
        self.stream.receive(now, datagram)
    }

    /// Begins a tick of 10 ms, with or without a microphone, as [`FrontEnd::begin`] does.
    #[inline]
    pub fn begin(&mut self, now: Instant, microphone: bool) {
        let begun = self.front.begin(now, TICK, microphone);
        debug_assert_eq!(begun, Ok(()), "the front end has room for a tick");
    }

    /// Continues the tick up to the point where the device or the network is needed, as [`FrontEnd::step`] does. A datagram to be
    /// sent comes with its length, or with the reason why it could not be made.
    #[inline(always)]
    pub fn step(&mut self, datagram: &mut [u8]) -> Option<Step<'_, Result<usize, SendError>>> {
        self.front.step(&mut self.stream, datagram)
    }

    /// Presses a key after those before it; eight may wait. It is sent as telephone events (RFC 4733), in place of the
    /// microphone's sound.
    ///
    /// # Errors
    /// [`KeyError`] if no events were agreed on, or too many keys wait.
    ///
    /// In this example one phone presses a key, and another one is notified when the key event begins and when it has ended (RFC
    /// 4733):
    ///
    /// ```
    /// use core::cell::RefCell;
    /// use std::collections::VecDeque;
    ///
    /// use dsp_core::send::KeyPress;
    /// use dsp_core::time::PayloadType;
    /// use dsp_core::tone::Digit;
    /// use host_embedded::phone::{Phone, PhoneConfig};
    /// # use embassy_futures::block_on;
    /// # use host_embedded::sim::{SimClock, SimNetwork, SimPort};
    ///
    /// let config = PhoneConfig { events: PayloadType::new(101), ..PhoneConfig::default() };
    /// let (mut anna, mut bert) = (Phone::new(config)?, Phone::new(config)?);
    /// # let clock = SimClock::default();
    /// # let mut port = SimPort::new(&clock, |_: &mut [i16; 80]| (), |_: &[i16; 80]| ());
    /// # let wire = RefCell::new(VecDeque::new());
    /// # let mut network =
    /// #     SimNetwork::new(&clock, |_, _: &mut [u8]| None, |datagram: &[u8]| wire.borrow_mut().push_back(datagram.to_vec()));
    /// anna.press(KeyPress::of(Digit::Five.into())).expect("telephone events were agreed on");
    /// let mut told = 0;
    /// for _ in 0..50 {
    ///     block_on(anna.tick(&mut port, &mut network));
    ///     for packet in wire.borrow_mut().drain(..) {
    ///         bert.receive(clock.now(), &packet).expect("a packet of a phone");
    ///     }
    ///     while let Some(report) = bert.next_event(clock.now()) {
    ///         assert_eq!(report.event, Digit::Five.into());
    ///         told += 1;
    ///     }
    /// }
    /// assert_eq!(told, 2);
    /// # Ok::<(), host_embedded::phone::PhoneError>(())
    /// ```
    pub fn press(&mut self, key: KeyPress) -> Result<(), KeyError> {
        self.stream.press(key)
    }

    /// Lets go of the key that is pressed, before its time.
    pub fn release(&mut self) {
        self.stream.release();
    }

    /// Returns the next report, at `now`, of the other side's keys: each is reported once when it begins and once when it has
    /// ended. Call it in each tick until it returns `None`; up to four events are queued.
    pub fn next_event(&mut self, now: Instant) -> Option<EventReport> {
        self.stream.next_event(now)
    }

    /// Sets whether sound is sent. While it isn't, on hold, the RTP timestamp advances all the same, and the first packet
    /// afterwards has the marker bit.
    ///
    /// ```
    /// use host_embedded::phone::{Phone, PhoneConfig};
    /// # use embassy_futures::block_on;
    /// # use host_embedded::sim::{SimClock, SimNetwork, SimPort};
    ///
    /// # let clock = SimClock::default();
    /// # let mut port = SimPort::new(&clock, |pcm: &mut [i16; 80]| pcm.fill(1_000), |_: &[i16; 80]| ());
    /// # let mut network = SimNetwork::new(&clock, |_, _: &mut [u8]| None, |_: &[u8]| ());
    /// let mut phone = Phone::new(PhoneConfig::default())?;
    /// phone.set_sending(false); // on hold
    /// for _ in 0..10 {
    ///     block_on(phone.tick(&mut port, &mut network));
    /// }
    /// assert_eq!(phone.send_stats().packets, 0);
    /// # Ok::<(), host_embedded::phone::PhoneError>(())
    /// ```
    pub fn set_sending(&mut self, sending: bool) {
        self.stream.set_sending(sending);
    }

    /// Changes the length of packets, as a later offer or answer requests it (`ptime`, RFC 8866, 6.4). Sound of the microphone
    /// since the last packet is sent in the next one.
    ///
    /// # Errors
    /// [`PhoneError::Sender`] if the codec has no packets of this length, or the memory no room for them; nothing has changed then.
    ///
    /// ```
    /// use host_embedded::phone::{Phone, PhoneConfig};
    /// # use embassy_futures::block_on;
    /// # use host_embedded::sim::{SimClock, SimNetwork, SimPort};
    ///
    /// # let clock = SimClock::default();
    /// # let mut port = SimPort::new(&clock, |pcm: &mut [i16; 80]| pcm.fill(1_000), |_: &[i16; 80]| ());
    /// let mut lengths = Vec::new();
    /// # let mut network = SimNetwork::new(&clock, |_, _: &mut [u8]| None, |datagram: &[u8]| lengths.push(datagram.len()));
    /// let mut phone = Phone::new(PhoneConfig::default())?;
    /// for tick in 0..9 {
    ///     if tick == 5 {
    ///         phone.set_packet_ms(40)?;
    ///         assert!(phone.set_packet_ms(70).is_err());
    ///     }
    ///     block_on(phone.tick(&mut port, &mut network));
    /// }
    /// // 20 ms of G.711 behind 12 bytes of header, and 40 ms.
    /// assert_eq!(lengths, [172, 172, 332]);
    /// # Ok::<(), host_embedded::phone::PhoneError>(())
    /// ```
    pub fn set_packet_ms(&mut self, ptime_ms: u32) -> Result<(), PhoneError> {
        self.stream.set_packet_ms(ptime_ms)
    }

    /// Continues as another source, with other numbers: after a collision of SSRCs (RFC 3550, 8.2), or when a call is handed
    /// over. Under SRTP a source must not be used again with the same key.
    pub fn change_source(&mut self, ssrc: Ssrc, seq: Seq, timestamp: RtpTime) {
        self.stream.change_source(ssrc, seq, timestamp);
    }

    /// Returns the totals sent so far, for a sender report; `ntp` is the wall clock, or the time since the phone was switched on.
    pub fn send_info(&self, ntp: NtpTime) -> SendInfo {
        self.stream.send_info(ntp)
    }

    /// Records that this many samples of the microphone were lost while nothing was played: the RTP timestamp advances without
    /// them.
    pub fn skip(&mut self, samples: usize) {
        self.stream.pause(samples);
        self.front.skip(samples);
    }

    /// Notes that sound comes from another microphone or goes to another loudspeaker from the next tick on, as between handset,
    /// headset and speakerphone: the capture block forgets its estimates of the echo and the room, and keeps its settings.
    pub fn change_path(&mut self) {
        self.front.reset();
    }

    /// The device side: volume, mutes, levels, latency.
    pub fn front(&mut self) -> &mut FrontEnd<P::Block, TICK, [i16; HISTORY]> {
        &mut self.front
    }

    /// Everything counted about the incoming stream.
    pub fn receiver_stats(&self) -> ReceiverStats {
        self.stream.receiver_stats()
    }

    /// Packets and payload bytes sent.
    pub fn send_stats(&self) -> SendStats {
        self.stream.send_stats()
    }
}

/// The stream with a local sound added to its played sound.
struct Mixed<'a, P: PhoneParts, L> {
    stream: &'a mut PhoneStream<P>,
    local: &'a mut L,
}

impl<P: PhoneParts, L: LocalSound> Media for Mixed<'_, P, L> {
    type Transmit = Result<usize, SendError>;

    #[inline]
    fn play(&mut self, now: Instant, pcm: &mut [i16]) -> Played {
        let played = self.stream.play(now, pcm);
        self.local.mix(pcm);
        played
    }

    #[inline]
    fn hear_activity(&mut self, activity: Option<Activity>) {
        self.stream.hear_activity(activity);
    }

    #[inline]
    fn capture(&mut self, captured_at: Instant, pcm: &[i16]) {
        self.stream.capture(captured_at, pcm);
    }

    #[inline]
    fn transmit(&mut self, now: Instant, datagram: &mut [u8]) -> Option<Self::Transmit> {
        self.stream.transmit(now, datagram)
    }
}

impl PortDelay {
    /// Converts to a duration at the phone's rate, which the compiler knows. Where a sample lasts a whole number of microseconds,
    /// no division is needed in each tick.
    #[inline(always)]
    fn latency(self, rate_hz: u32) -> Latency {
        let length = |samples: usize| {
            let whole = 1_000_000u64.is_multiple_of(rate_hz.into());
            Duration::from_micros(match whole {
                true => samples as u64 * (1_000_000 / u64::from(rate_hz)),
                false => samples as u64 * 1_000_000 / u64::from(rate_hz),
            })
        };
        Latency { capture: length(self.capture), playback: length(self.playback) }
    }
}
