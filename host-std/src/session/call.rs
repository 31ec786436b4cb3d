//! One side of a call, sans-IO: signalling, and the four verbs that everything else goes through.
//!
//! Offer and answer first; then bytes, sound and the time come in, and bytes and sound go out, into the caller's
//! buffers:
//!
//! ```text
//! network    -> receive(now, channel, from, datagram)       play(now, pcm)           -> loudspeaker
//! microphone -> capture(captured_at, pcm)                   transmit(now, buffer)    -> network, until there is none
//! ```
//!
//! [`Call::next_deadline`] says when something is due to be sent outside of ticks. Three modules share the work: this one knows
//! the streams, `transport` has addresses and keys, `stream` has codecs and sound.
//!
//! A later offer (hold, another address, new keys, another codec, one stream more or less) changes the running call: streams keep
//! their SSRC unless the RTP clock changed, and the receivers are kept; where the codecs' sound changed they are new, and the old
//! ones fade out under them.

mod arrival;
mod change;
mod departure;
#[cfg(feature = "ice")]
mod ice;
mod numbers;
mod pending;

use std::net::{IpAddr, SocketAddr};

use dsp_core::codec::Adaptation;
use dsp_core::guard::srtp::KeyAge;
use dsp_core::process::activity::Activity;
use dsp_core::receive::Played;
use dsp_core::streams::budget::Priority;
use dsp_core::time::{Duration, Instant, Ssrc};

use super::adapter::{AdaptationPolicy, CongestionControl};
#[cfg(feature = "record")]
use super::announcement::Announcement;
use super::config::CallSettings;
use super::digits::{self, CallDigit};
use super::front::NO_SOUND;
#[cfg(feature = "ice")]
use super::ice::{IceConfig, IceMode, OwnIce};
use super::identity::Spare;
use super::keys::OwnKeys;
use super::metering::Meters;
use super::outcome::{CallError, CallStats, Channel, Incoming, Missed, Transmit};
use super::own::BoxedGuard;
use super::stream::{Contributors, Sound, Stream};
use super::tap::Tap;
use super::tones::{self, CallTone};
use super::transport::CallTransport;
use super::waiting::BoundedQueue;
use super::{CallConfig, Identity};
use crate::registry::CodecFormat;
use crate::sdp::{Direction, LocalMedia, Refused, SrtpKeys};

/// One side of a call, without sockets, clock and device: the caller brings bytes, sound and the time, and takes bytes and sound.
///
/// First comes signalling: [`offer`](Self::offer) and [`accept`](Self::accept) on the side that calls, [`answer`](Self::answer) on the
/// other. Then four methods carry the call:
///
/// | method | what it does | when to call it |
/// |---|---|---|
/// | [`receive`](Self::receive) | takes a datagram from the network | when one arrives |
/// | [`play`](Self::play) | writes a tick of sound for the loudspeaker | each tick |
/// | [`capture`](Self::capture) | takes a tick of sound from the microphone | each tick, after `play` |
/// | [`transmit`](Self::transmit) | writes the next datagram for the network | until there is none: after each tick, and at [`next_deadline`](Self::next_deadline) |
///
/// A tick is 10 ms in all drivers of this crate. With a device use a [`front_end`](Self::front_end), which calls `play`,
/// `capture` and `transmit` in the right order and has gains, meters and the capture chain. A later offer or answer (hold,
/// another address, new keys, other codecs, another stream) changes the running call; if it fails, the call continues unchanged.
/// Before dropping a call [`hang_up`](Self::hang_up), and send the remaining datagrams.
///
/// In this example two calls agree on mu-law, and one hears the other's sound:
///
/// ```
/// use dsp_core::time::{Duration, Instant};
/// use host_std::registry::CodecFormat;
/// use host_std::session::{Call, CallConfig};
///
/// let config = |port| CallConfig::new(port).map(|config| CallConfig { codecs: vec![CodecFormat::pcmu()], ..config });
/// let (mut anna, mut bert) = (Call::new(config(4000)?)?, Call::new(config(5000)?)?);
/// let mut now = Instant::ZERO;
/// let answer = bert.answer(now, &anna.offer()?)?;
/// anna.accept(now, &answer)?;
///
/// let (mut datagram, mut heard) = ([0; 1500], [0; 80]);
/// for _ in 0..20 {
///     anna.capture(now, &[8_000; 80]); // 10 ms at 8 kHz
///     while let Some(sent) = anna.transmit(now, &mut datagram) {
///         bert.receive(now, sent.channel, sent.from, &mut datagram[..sent.len]);
///     }
///     bert.play(now, &mut heard);
///     now += Duration::from_millis(10);
/// }
/// assert!(heard.iter().all(|sample| (7_500..8_500).contains(sample)));
/// # Ok::<(), host_std::session::CallError>(())
/// ```
// The order of fields keeps those together that every tick touches.
#[repr(C)]
pub struct Call {
    pub(super) transport: Option<CallTransport>,
    /// The streams in the order of those in `local`; `None` for one that was never agreed on.
    pub(super) streams: Vec<Option<Stream>>,
    pub(super) tap: Option<Box<dyn Tap>>,
    stats: CallStats,
    /// The estimate of the network that the first stream goes through, where the call adapts to it.
    network: Option<Box<CongestionControl>>,
    /// The meters of each stream, where sound is metered; otherwise empty.
    meters: Vec<Meters>,
    /// The file that is played to the other side.
    #[cfg(feature = "record")]
    pub(super) announcement: Option<Box<Announcement>>,
    /// The settings from which offers and answers are made.
    local: LocalMedia,
    pub(super) settings: CallSettings,
    identity: Identity,
    keys: OwnKeys,
    #[cfg(feature = "ice")]
    ice: Option<Box<OwnIce>>,
    offered: Option<String>,
    /// The last agreement, while a change is pending or offered.
    before: Option<Box<pending::Before>>,
    /// The streams that the last offer and answer refused.
    refused: Vec<Refused>,
    spare: Spare,
    pub(super) digits: BoundedQueue<CallDigit>,
    pub(super) tones: BoundedQueue<CallTone>,
}

impl Call {
    /// Creates a call that has neither offered nor answered yet.
    ///
    /// # Errors
    /// - [`CallError::Randomness`] when the operating system has no randomness for the SRTP keys.
    /// - [`CallError::Codec`] for a codec that the registry doesn't have, [`CallError::Channels`] for one with more than two
    ///   channels.
    /// - [`CallError::Sources`] if [`CallConfig::sources`] is 0 or more than [`MAX_SOURCES`](super::MAX_SOURCES),
    ///   [`CallError::BufferBytes`] if [`CallConfig::buffer_bytes`] doesn't hold a packet of each source.
    /// - [`CallError::Redundancy`] if [`CallConfig::redundancy`] is more than 4.
    /// - [`CallError::RelayOnly`] if only relayed addresses are allowed by [`CallConfig::ice`], and there is no way to get any.
    pub fn new(config: CallConfig) -> Result<Self, CallError> {
        let srtp_options = config.srtp_options.clone();
        #[cfg(feature = "ice")]
        if config.ice.relay_only
            && (config.ice.mode != IceMode::Full || config.ice.turn.is_empty() || config.path.is_some())
        {
            return Err(CallError::RelayOnly);
        }
        #[cfg(feature = "ice")]
        let ice = if config.path.is_none() { config.ice.clone() } else { IceConfig::default() };
        let (mut local, settings, identity) = config.split()?;
        #[cfg(feature = "ice")]
        let ice = OwnIce::new(ice, &identity, &mut local)?;
        let spare = identity.spare()?;
        let keys = OwnKeys::new(srtp_options, settings.describes_keys(), &identity, &mut local)?;
        let network = CongestionControl::new(settings.adaptation, settings.circuit_breaker);
        let (streams, refused, stats) = (vec![None], Vec::new(), CallStats::default());
        let (offered, transport, tap) = (None, None, None);
        let digits = BoundedQueue::new(digits::WAITING);
        let tones = BoundedQueue::new(if settings.progress_tones.is_some() { tones::WAITING } else { 0 });
        let meters = if settings.metering { vec![Meters::default()] } else { Vec::new() };
        Ok(Self {
            local,
            settings,
            identity,
            keys,
            #[cfg(feature = "ice")]
            ice,
            offered,
            before: None,
            transport,
            streams,
            refused,
            stats,
            network,
            meters,
            #[cfg(feature = "record")]
            announcement: None,
            spare,
            tap,
            digits,
            tones,
        })
    }

    /// Adds a stream to the next offer or answer, over the same port (BUNDLE, RFC 9143), and returns its number. Whether the
    /// other side accepted it [`negotiated_stream`](Self::negotiated_stream) says.
    ///
    /// # Errors
    /// [`CallError::Codec`] and [`CallError::Channels`] as for [`new`](Self::new); nothing changes then.
    ///
    /// # Examples
    /// ```
    /// # use dsp_core::time::Instant;
    /// # use host_std::session::{Call, CallConfig};
    /// use host_std::registry::CodecFormat;
    ///
    /// # let (mut anna, mut bert) = (Call::new(CallConfig::new(4000)?)?, Call::new(CallConfig::new(5000)?)?);
    /// // Both want a second stream, of A-law.
    /// let second = anna.add_stream(&[CodecFormat::pcma()])?;
    /// bert.add_stream(&[CodecFormat::pcma()])?;
    /// let answer = bert.answer(Instant::ZERO, &anna.offer()?)?;
    /// anna.accept(Instant::ZERO, &answer)?;
    /// assert!(answer.contains("a=group:BUNDLE"));
    /// assert_eq!(anna.negotiated_stream(second).map(|stream| stream.send[0].format.to_string()), Some("PCMA/8000".into()));
    /// # Ok::<(), host_std::session::CallError>(())
    /// ```
    pub fn add_stream(&mut self, codecs: &[CodecFormat]) -> Result<usize, CallError> {
        self.remember();
        self.settings.add_stream(&mut self.local, codecs)?;
        self.streams.push(None);
        if self.settings.metering {
            self.meters.push(Meters::default());
        }
        Ok(self.streams.len() - 1)
    }

    /// Opens or closes a stream in the next offer or answer. A stream that is opened again starts as another source.
    ///
    /// # Errors
    /// [`CallError::Stream`] if there is no stream with this number.
    pub fn set_open(&mut self, stream: usize, open: bool) -> Result<(), CallError> {
        self.remember();
        self.local.streams.get_mut(stream).ok_or(CallError::Stream(stream))?.closed = !open;
        Ok(())
    }

    /// Sets the direction of the first stream for the next offer or answer. `SendOnly` puts the other side on hold.
    ///
    /// ```
    /// # use dsp_core::time::Instant;
    /// # use host_std::session::{Call, CallConfig};
    /// use host_std::sdp::Direction;
    ///
    /// # let (mut anna, mut bert) = (Call::new(CallConfig::new(4000)?)?, Call::new(CallConfig::new(5000)?)?);
    /// # let now = Instant::ZERO;
    /// # let answer = bert.answer(now, &anna.offer()?)?;
    /// # anna.accept(now, &answer)?;
    /// // The two calls talk already. A new offer puts Bert on hold.
    /// anna.set_direction(Direction::SendOnly);
    /// let answer = bert.answer(now, &anna.offer()?)?;
    /// anna.accept(now, &answer)?;
    /// assert!(answer.contains("a=recvonly"));
    /// assert_eq!(bert.negotiated_stream(0).map(|stream| stream.direction), Some(Direction::RecvOnly));
    /// # Ok::<(), host_std::session::CallError>(())
    /// ```
    pub fn set_direction(&mut self, direction: Direction) {
        self.remember();
        self.local.streams[0].direction = direction;
    }

    /// Does the same as [`set_direction`](Self::set_direction), for the stream with this number.
    ///
    /// # Errors
    /// [`CallError::Stream`] if there is no stream with this number.
    pub fn set_stream_direction(&mut self, stream: usize, direction: Direction) -> Result<(), CallError> {
        self.remember();
        self.local.streams.get_mut(stream).ok_or(CallError::Stream(stream))?.direction = direction;
        Ok(())
    }

    /// Sets the address and port that the next offer or answer names for RTP.
    pub fn set_address(&mut self, address: IpAddr, rtp_port: u16) {
        self.remember();
        self.local.address = address;
        self.local.rtp_port = rtp_port;
    }

    /// Sets the rate in Hz and the channels of the sound that you play and capture from now on, in all streams and whatever
    /// codecs are agreed on: 8 to 48 kHz, mono or stereo. Where a codec's sound is another, it is converted, which delays it
    /// by 2 to 5 ms in each direction. With `None`, the default, sound is the codec's own, which a later offer and answer may
    /// change. Call this between ticks, and make a new [`front_end`](Self::front_end) after it.
    ///
    /// # Errors
    /// [`CallError::Sound`] for other rates or channels, [`CallError::Conversion`] if it can't be converted to a codec's sound.
    /// Nothing changes then.
    pub fn set_sound(&mut self, sound: Option<(u32, u8)>) -> Result<(), CallError> {
        let sound = sound.map(Sound::checked).transpose()?;
        let streams = self.streams.iter().map(|stream| stream.as_ref().map(|stream| stream.prepare_sound(sound)));
        let prepared = streams.map(Option::transpose).collect::<Result<Vec<_>, _>>()?;
        for (stream, prepared) in self.streams.iter_mut().zip(prepared) {
            if let (Some(stream), Some(prepared)) = (stream, prepared) {
                stream.set_sound(prepared);
            }
        }
        self.settings.sound = sound;
        Ok(())
    }

    /// Marks that the next captured sound doesn't follow the last one.
    #[cfg(feature = "tokio")]
    pub(crate) fn break_off(&mut self) {
        self.streams.iter_mut().flatten().for_each(Stream::break_off);
    }

    /// Sets our codecs of the first stream, the best first, for the next offer or answer. Unless
    /// [`set_sound`](Self::set_sound) was called, the call's [`sample_rate_hz`](Self::sample_rate_hz) and
    /// [`channels`](Self::channels) may change once both sides have agreed.
    ///
    /// # Errors
    /// [`CallError::Codec`] and [`CallError::Channels`] as for [`new`](Self::new); nothing changes then.
    pub fn set_codecs(&mut self, codecs: &[CodecFormat]) -> Result<(), CallError> {
        self.remember();
        self.settings.set_codecs(&mut self.local, 0, codecs)
    }

    /// Draws fresh SRTP keys of ours for the next offer or answer.
    ///
    /// # Errors
    /// [`CallError::Randomness`] when the operating system has no randomness to give.
    ///
    /// # Examples
    /// ```
    /// # use dsp_core::time::Instant;
    /// # use host_std::session::{Call, CallConfig};
    /// # let (mut anna, mut bert) = (Call::new(CallConfig::new(4000)?)?, Call::new(CallConfig::new(5000)?)?);
    /// let key_line = |offer: &str| offer.lines().find(|line| line.starts_with("a=crypto:")).map(str::to_owned);
    /// let first = anna.offer()?;
    /// let answer = bert.answer(Instant::ZERO, &first)?;
    /// anna.accept(Instant::ZERO, &answer)?;
    ///
    /// anna.rekey()?;
    /// let second = anna.offer()?;
    /// assert!(key_line(&second).is_some() && key_line(&second) != key_line(&first));
    /// # Ok::<(), host_std::session::CallError>(())
    /// ```
    pub fn rekey(&mut self) -> Result<(), CallError> {
        self.remember();
        self.keys.renew(&mut self.local)
    }

    /// Returns how much of their lifetimes the SRTP keys have used up. Once they are due, make a new offer, which then has fresh
    /// keys, or wait for one of the other side. When they are used up nothing is sent or accepted any more, and
    /// [`should_end`](Self::should_end) reports it.
    pub fn key_age(&self) -> KeyAge {
        self.transport.as_ref().map_or(KeyAge::Fresh, CallTransport::key_age)
    }

    /// Returns the SRTP keys in use for RTP or for RTCP, from the descriptions or from a DTLS handshake; `None` if there are
    /// none. They serve to decrypt a capture of the call. Keep them secret: anyone who has them can hear the call.
    pub fn srtp_keys(&self, channel: Channel) -> Option<&SrtpKeys> {
        self.transport.as_ref()?.srtp_keys(channel)
    }

    /// Protects packets by a guard of your own from now on, whose keys have become known. Returns whether the call was agreed on;
    /// before that nothing is set.
    pub fn set_guard(&mut self, guard: BoxedGuard) -> bool {
        self.transport.as_mut().map(|transport| transport.set_guard(guard)).is_some()
    }

    /// Sets the priority of a source of the other side. Where all sources together have more packets than
    /// [`CallConfig::buffer_bytes`] allows, those of the lowest priority are dropped first. The priority lasts while the source
    /// has a receiver, and is lost when a new offer replaces the receivers. Returns whether the source is heard now; if not,
    /// nothing changes.
    pub fn set_priority(&mut self, ssrc: Ssrc, priority: Priority) -> bool {
        self.streams.iter_mut().flatten().any(|stream| stream.set_priority(ssrc, priority))
    }

    /// Sets the policy that decides how the call adapts its sending to the network, instead of the policy before. Returns whether
    /// the call adapts at all ([`CallConfig::adaptation`]); if not, the policy is dropped.
    pub fn set_adaptation_policy(&mut self, policy: Box<dyn AdaptationPolicy>) -> bool {
        let adapter = self.network.as_mut().and_then(|network| network.adapter.as_mut());
        adapter.map(|adapter| adapter.set_policy(policy)).is_some()
    }

    /// Changes bit rate, expected loss and packet length of our sending in the first stream, from the next packet on and without
    /// a gap. Returns the values that are used: bit rate and expected loss as far as the codec has such settings, and within the
    /// agreement (such as `maxaveragebitrate` of Opus); and the longest packet that is no longer than `wanted`, 10 ms at least,
    /// and within the other side's `a=maxptime` and the MTU. It lasts until the next call, also through later offers. Memory is
    /// allocated only for packets that are longer than any before.
    ///
    /// # Errors
    /// [`CallError::Stream`] before the call is agreed on.
    ///
    /// # Examples
    /// ```
    /// use dsp_core::codec::Adaptation;
    /// use dsp_core::time::Instant;
    /// use host_std::session::{Call, CallConfig, Identity};
    ///
    /// let [mut ours, mut theirs] =
    ///     [4_000, 5_000].map(|port| Call::new(CallConfig::with_identity(port, Identity::seeded(port.into()))).unwrap());
    /// let answer = theirs.answer(Instant::ZERO, &ours.offer()?)?;
    /// ours.accept(Instant::ZERO, &answer)?;
    ///
    /// // Opus is the first codec of both. It has no packets of 50 ms.
    /// let wanted = Adaptation::default().with_bit_rate(16_000).with_packet_ms(50);
    /// assert_eq!(ours.adapt(&wanted)?, wanted.with_packet_ms(40));
    /// # Ok::<(), host_std::session::CallError>(())
    /// ```
    pub fn adapt(&mut self, wanted: &Adaptation) -> Result<Adaptation, CallError> {
        self.adapt_stream(0, wanted)
    }

    /// Does the same as [`adapt`](Self::adapt), for the stream with this number.
    ///
    /// # Errors
    /// [`CallError::Stream`] if no stream with this number was agreed on.
    pub fn adapt_stream(&mut self, stream: usize, wanted: &Adaptation) -> Result<Adaptation, CallError> {
        let open = self.streams.get_mut(stream).and_then(Option::as_mut).filter(|stream| !stream.is_closed());
        Ok(open.ok_or(CallError::Stream(stream))?.adapt(wanted))
    }

    /// Takes a datagram that arrived at `now` from the address `from` on one of our ports, and decrypts it in place. Any bytes
    /// may come; the result says what became of them. Without SRTP a packet is accepted only if it parses, was agreed on and
    /// fits the sequence numbers.
    pub fn receive(&mut self, now: Instant, channel: Channel, from: SocketAddr, datagram: &mut [u8]) -> Incoming {
        self.tell(|tap, _| tap.arrived(now, channel, from, datagram));
        let incoming = self.take_in(now, channel, from, datagram);
        self.stats.count(&incoming);
        self.collect_digits(now);
        self.tell(|tap, call| {
            tap.received(now, &incoming);
            tap.settled(call);
        });
        incoming
    }

    /// Writes the next tick of received sound to `pcm`, of any length and interleaved in stereo, which is heard from `now` on.
    /// It is silence before the call is agreed on. The result says how the sound came about.
    pub fn play(&mut self, now: Instant, pcm: &mut [i16]) -> Played {
        self.play_stream(now, 0, pcm)
    }

    /// Does the same as [`play`](Self::play), for the stream with this number; plays silence if there is none.
    pub fn play_stream(&mut self, now: Instant, stream: usize, pcm: &mut [i16]) -> Played {
        let mut tap = self.tap.take();
        let played = match self.streams.get_mut(stream).and_then(Option::as_mut) {
            Some(stream) => stream.play(now, pcm, tap.as_deref_mut()),
            None => {
                pcm.fill(0);
                let channels = self.settings.sound.map_or(NO_SOUND.1, |sound| sound.channels);
                Played { silence: pcm.len() as u32 / u32::from(channels), ..Played::default() }
            }
        };
        self.tap = tap;
        self.collect_digits(now);
        self.collect_tones(now);
        if let (Some(meters), Some(Some(heard))) = (self.meters.get_mut(stream), self.streams.get(stream)) {
            meters.received.hear(heard.sound(), pcm);
        }
        self.tell(|tap, call| {
            tap.played(now, stream, &played, pcm);
            tap.settled(call);
        });
        played
    }

    /// Takes a tick of sound from the microphone, whose first sample was recorded at `captured_at`. After it call
    /// [`transmit`](Self::transmit) until that returns `None`. A tick is at most 120 ms, and interleaved in stereo.
    pub fn capture(&mut self, captured_at: Instant, pcm: &[i16]) {
        self.capture_stream(captured_at, 0, pcm);
    }

    /// Sets whether there is speech in the sound that the stream with this number captures from now on, so that pauses aren't
    /// sent. With `None` the sender's own detector decides. A [`front_end`](Self::front_end) calls this by itself.
    pub fn hear_activity(&mut self, stream: usize, activity: Option<Activity>) {
        if let Some(stream) = self.streams.get_mut(stream).and_then(Option::as_mut) {
            stream.hear_activity(activity);
        }
    }

    /// Sets the contributors to the sound that the stream with this number captures from now on, and how loud each of them is. A
    /// mixer sends this to its listeners (RFC 6465), if they accept it ([`takes_contributors`](Self::takes_contributors)).
    pub fn set_contributors(&mut self, stream: usize, contributors: &Contributors) {
        if let Some(stream) = self.streams.get_mut(stream).and_then(Option::as_mut) {
            stream.set_contributors(contributors);
        }
    }

    /// Does the same as [`capture`](Self::capture), for the stream with this number.
    pub fn capture_stream(&mut self, captured_at: Instant, stream: usize, pcm: &[i16]) {
        #[cfg(feature = "record")]
        if stream == 0
            && let Some(mut announcement) = self.announcement.take()
        {
            self.capture_with_tones(captured_at, stream, announcement.blend(pcm));
            self.announcement = Some(announcement).filter(|announcement| !announcement.is_over());
            return;
        }
        self.capture_with_tones(captured_at, stream, pcm);
    }

    /// Captures sound, or replaces it by digits as tones and tones of a call's progress.
    fn capture_with_tones(&mut self, captured_at: Instant, stream: usize, pcm: &[i16]) {
        let open = self.may_send(captured_at);
        let Some(speaking) = self.streams.get_mut(stream).and_then(Option::as_mut) else {
            return self.capture_as_it_is(captured_at, stream, pcm);
        };
        let Some(mut made) = speaking.take_made(open) else {
            return self.capture_as_it_is(captured_at, stream, pcm);
        };
        let sound = speaking.sound();
        self.capture_as_it_is(captured_at, stream, made.blend(sound, pcm));
        if let Some(speaking) = self.streams.get_mut(stream).and_then(Option::as_mut) {
            speaking.put_made(made);
        }
    }

    /// Returns whether anything may be sent at all.
    fn may_send(&self, now: Instant) -> bool {
        self.transport.as_ref().is_some_and(|transport| transport.may_send(now) && transport.agreed().has_remote())
    }

    fn capture_as_it_is(&mut self, captured_at: Instant, stream: usize, pcm: &[i16]) {
        if self.transport.is_none() {
            return;
        }
        let open = self.may_send(captured_at);
        let taken =
            self.streams.get_mut(stream).and_then(Option::as_mut).map(|stream| stream.capture(captured_at, pcm, open));
        self.stats.send_errors = self.stats.send_errors.saturating_add(u32::from(taken == Some(false)));
        if let (Some(meters), Some(Some(said))) = (self.meters.get_mut(stream), self.streams.get(stream)) {
            meters.sent.hear(said.sound(), pcm);
        }
        self.tell(|tap, _| tap.captured(captured_at, stream, pcm));
    }

    /// Hears a tick of the microphone before the capture chain.
    pub(super) fn hear_microphone(&mut self, stream: usize, pcm: &[i16]) {
        if let (Some(meters), Some(Some(said))) = (self.meters.get_mut(stream), self.streams.get(stream)) {
            meters.microphone.hear(said.sound(), pcm);
        }
    }

    /// Writes the next datagram to send to `buffer`, already encrypted, and returns its length and addresses; `None` if there is
    /// none at `now`. Sound comes first, then reports, then checks of ICE and the handshake of DTLS. A buffer of
    /// [`CallConfig::mtu`] bytes is long enough, unless even the codec's shortest packets are longer.
    pub fn transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        let transmit = self.next_datagram(now, buffer);
        if let Some(Transmit { len, to, channel, .. }) = transmit {
            self.tell(|tap, _| tap.sent(now, channel, to, &buffer[..len]));
        }
        transmit
    }

    /// Ends the call: [`transmit`](Self::transmit) then returns the last reports, with an RTCP goodbye for each stream.
    pub fn hang_up(&mut self) {
        for index in 0..self.streams.len() {
            self.leave(index);
        }
        if let Some(transport) = &mut self.transport {
            transport.close();
        }
        #[cfg(feature = "ice")]
        self.leave_servers();
    }

    /// Returns when to call [`transmit`](Self::transmit) next, if no tick comes before. It is `None` before the call is agreed
    /// on, unless ICE asks servers for candidates.
    pub fn next_deadline(&self) -> Option<Instant> {
        #[cfg(feature = "ice")]
        if let Some(query) = self.ice.as_ref().and_then(|ice| ice.gatherer.as_ref()).and_then(|own| own.next_deadline())
        {
            let running = self.transport.as_ref().and_then(CallTransport::next_deadline);
            return Some(running.map_or(query, |running| running.min(query)));
        }
        self.transport.as_ref()?.next_deadline()
    }

    /// Records that this machine slept for this many samples (of one channel) of the first stream. Media time advances without
    /// sound, in both directions and in all streams.
    pub fn skip(&mut self, samples: usize) {
        if self.transport.is_none() {
            return;
        }
        let rate_hz = self.stream_sound(0).unwrap_or(NO_SOUND).0;
        self.rest(samples);
        self.stats.slept = self.stats.slept + Duration::from_samples(samples as u64, rate_hz);
    }

    /// Records that there was no device for this many samples (of one channel) of the first stream. Media time advances without
    /// sound, in both directions and in all streams. Unlike [`skip`](Self::skip) this isn't counted as sleep.
    pub fn rest(&mut self, samples: usize) {
        let rate_hz = self.stream_sound(0).unwrap_or(NO_SOUND).0;
        for stream in self.streams.iter_mut().flatten() {
            stream.pause((samples as u64 * u64::from(stream.sound().rate_hz) / u64::from(rate_hz)) as usize);
        }
    }

    /// Counts datagrams that a driver could not pass on.
    pub fn count(&mut self, missed: Missed, datagrams: u32) {
        match missed {
            Missed::Unsent => self.stats.unsent += datagrams,
            Missed::Early => self.stats.early += datagrams,
            Missed::Stale => self.stats.stale += datagrams,
        }
    }
}
