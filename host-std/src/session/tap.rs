//! A tap: sees what passes a call, for records, analysis and reports. It must not block.
//!
//! A call may have any number of taps, with any driver: [`Call::set_tap`] and [`Call::add_tap`] insert them. A tap gets sound as
//! the call has it: the played sound before the loudspeaker's volume, the captured sound after the microphone's gain and the
//! capture chain.

use std::any::Any;
use std::net::SocketAddr;

use dsp_core::receive::Played;
use dsp_core::rtcp::transport::PacketFeedback;
use dsp_core::time::{Instant, Ssrc};
use dsp_core::wire::rtp::RtpPacket;

use super::{Call, CallDigit, CallTone, Channel, EchoStatus, Incoming};

/// The direction of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketDirection {
    /// The direction from the other side to us.
    In,
    /// The direction from us to the other side.
    Out,
}

/// An observer of a call, for recordings, analysis and reports. Each method does nothing unless you write it.
///
/// A call may have several taps, with any driver: [`Call::add_tap`] adds one. They run on the audio path, so they must neither
/// block nor allocate; [`record`](crate::record) has taps that pass on to a thread. A tap gets sound as the call has it: the
/// played sound before the loudspeaker's volume, the captured sound after the microphone's gain and the capture chain. `stream`
/// is the number of a stream of the call, 0 for the first.
///
/// A tap that counts what arrives:
///
/// ```
/// use std::net::SocketAddr;
///
/// use dsp_core::time::Instant;
/// use host_std::session::{Call, CallConfig, Channel, Tap};
///
/// #[derive(Default)]
/// struct Count {
///     bytes: usize,
/// }
///
/// impl Tap for Count {
///     fn arrived(&mut self, _: Instant, _: Channel, _: SocketAddr, datagram: &[u8]) {
///         self.bytes += datagram.len();
///     }
/// }
///
/// # let (mut anna, mut bert) = (Call::new(CallConfig::new(4000)?)?, Call::new(CallConfig::new(5000)?)?);
/// # let answer = bert.answer(Instant::ZERO, &anna.offer()?)?;
/// # anna.accept(Instant::ZERO, &answer)?;
/// anna.add_tap(Box::new(Count::default()));
/// anna.receive(Instant::ZERO, Channel::Rtp, "127.0.0.1:5000".parse()?, &mut [0x80; 172]);
/// assert_eq!(anna.tap::<Count>().map(|count| count.bytes), Some(172));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Tap: Any + Send {
    /// A datagram is sent; `datagram` is as it goes out, encrypted if the call is.
    fn sent(&mut self, now: Instant, channel: Channel, to: SocketAddr, datagram: &[u8]) {
        let _ = (now, channel, to, datagram);
    }
    /// A datagram arrived; `datagram` is as it came, still encrypted.
    fn arrived(&mut self, now: Instant, channel: Channel, from: SocketAddr, datagram: &[u8]) {
        let _ = (now, channel, from, datagram);
    }
    /// An RTP packet in the clear: one that arrived and passed the guard, accepted or not, or one of ours before it is encrypted.
    fn packet(&mut self, now: Instant, way: PacketDirection, packet: &RtpPacket<'_>) {
        let _ = (now, way, packet);
    }
    /// The datagram that arrived last was dealt with; `incoming` says how.
    fn received(&mut self, now: Instant, incoming: &Incoming) {
        let _ = (now, incoming);
    }
    /// The other side reported when these packets of ours arrived, or that they did not (transport-wide feedback).
    fn feedback(&mut self, now: Instant, packets: &[PacketFeedback]) {
        let _ = (now, packets);
    }
    /// A datagram was dealt with or a tick was played; `call` has the numbers after it.
    fn settled(&mut self, call: &Call) {
        let _ = call;
    }
    /// A tick was captured, whose first sample was recorded at `captured_at`.
    fn captured(&mut self, captured_at: Instant, stream: usize, pcm: &[i16]) {
        let _ = (captured_at, stream, pcm);
    }
    /// A tick was played: `pcm` is the sum of all sources of a stream.
    fn played(&mut self, now: Instant, stream: usize, played: &Played, pcm: &[i16]) {
        let _ = (now, stream, played, pcm);
    }
    /// A tick was captured through an echo canceller, which is in this state.
    fn echo(&mut self, now: Instant, status: &EchoStatus) {
        let _ = (now, status);
    }
    /// A digit of the other side has begun or ended.
    fn digit(&mut self, now: Instant, digit: &CallDigit) {
        let _ = (now, digit);
    }
    /// A tone of the other side has begun or ended.
    fn tone(&mut self, now: Instant, tone: &CallTone) {
        let _ = (now, tone);
    }
    /// A tick of one source, or a part of a tick, before it is added to the others.
    fn source(&mut self, now: Instant, ssrc: Ssrc, played: &Played, pcm: &[i16]) {
        let _ = (now, ssrc, played, pcm);
    }
}

/// Several taps of one call, called in the order in which they were added.
struct Taps(Vec<Box<dyn Tap>>);

impl Tap for Taps {
    fn sent(&mut self, now: Instant, channel: Channel, to: SocketAddr, datagram: &[u8]) {
        self.0.iter_mut().for_each(|tap| tap.sent(now, channel, to, datagram));
    }

    fn arrived(&mut self, now: Instant, channel: Channel, from: SocketAddr, datagram: &[u8]) {
        self.0.iter_mut().for_each(|tap| tap.arrived(now, channel, from, datagram));
    }

    fn packet(&mut self, now: Instant, way: PacketDirection, packet: &RtpPacket<'_>) {
        self.0.iter_mut().for_each(|tap| tap.packet(now, way, packet));
    }

    fn received(&mut self, now: Instant, incoming: &Incoming) {
        self.0.iter_mut().for_each(|tap| tap.received(now, incoming));
    }

    fn feedback(&mut self, now: Instant, packets: &[PacketFeedback]) {
        self.0.iter_mut().for_each(|tap| tap.feedback(now, packets));
    }

    fn settled(&mut self, call: &Call) {
        self.0.iter_mut().for_each(|tap| tap.settled(call));
    }

    fn captured(&mut self, captured_at: Instant, stream: usize, pcm: &[i16]) {
        self.0.iter_mut().for_each(|tap| tap.captured(captured_at, stream, pcm));
    }

    fn played(&mut self, now: Instant, stream: usize, played: &Played, pcm: &[i16]) {
        self.0.iter_mut().for_each(|tap| tap.played(now, stream, played, pcm));
    }

    fn echo(&mut self, now: Instant, status: &EchoStatus) {
        self.0.iter_mut().for_each(|tap| tap.echo(now, status));
    }

    fn digit(&mut self, now: Instant, digit: &CallDigit) {
        self.0.iter_mut().for_each(|tap| tap.digit(now, digit));
    }

    fn tone(&mut self, now: Instant, tone: &CallTone) {
        self.0.iter_mut().for_each(|tap| tap.tone(now, tone));
    }

    fn source(&mut self, now: Instant, ssrc: Ssrc, played: &Played, pcm: &[i16]) {
        self.0.iter_mut().for_each(|tap| tap.source(now, ssrc, played, pcm));
    }
}

impl Call {
    /// Sets the tap of this call, in place of all taps before.
    pub fn set_tap(&mut self, tap: Box<dyn Tap>) {
        self.tap = Some(tap);
    }

    /// Adds a tap to this call.
    pub fn add_tap(&mut self, tap: Box<dyn Tap>) {
        self.tap = Some(match self.tap.take() {
            None => tap,
            Some(mut first) => match (first.as_mut() as &mut dyn Any).downcast_mut::<Taps>() {
                Some(taps) => {
                    taps.0.push(tap);
                    first
                }
                None => Box::new(Taps(vec![first, tap])),
            },
        });
    }

    /// Returns the first tap that is a `T`.
    pub fn tap<T: Tap>(&self) -> Option<&T> {
        let tap: &dyn Any = self.tap.as_deref()?;
        match tap.downcast_ref::<Taps>() {
            None => tap.downcast_ref(),
            Some(taps) => taps.0.iter().find_map(|tap| (tap.as_ref() as &dyn Any).downcast_ref()),
        }
    }

    /// Removes the first tap that is a `T` and returns it.
    pub fn take_tap<T: Tap>(&mut self) -> Option<Box<T>> {
        self.tap::<T>()?;
        let tap: Box<dyn Any> = self.tap.take()?;
        match tap.downcast::<Taps>() {
            Err(tap) => tap.downcast().ok(),
            Ok(mut taps) => {
                let at = taps.0.iter().position(|tap| (tap.as_ref() as &dyn Any).is::<T>())?;
                let found: Box<dyn Any> = taps.0.remove(at);
                self.tap = Some(taps);
                found.downcast().ok()
            }
        }
    }

    /// Calls the tap, which may ask the call.
    pub(super) fn tell(&mut self, what: impl FnOnce(&mut dyn Tap, &Self)) {
        if let Some(mut tap) = self.tap.take() {
            what(&mut *tap, self);
            self.tap = Some(tap);
        }
    }
}
