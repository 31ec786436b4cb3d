//! The results of a call: errors, the fate of a datagram, datagrams to send, statistics.

use std::net::SocketAddr;

use dsp_core::adapt::Hopeless;
use dsp_core::codec::CodecInfo;
use dsp_core::front::FrontError;
use dsp_core::guard::GuardError;
use dsp_core::guard::srtp::{KeyError, SrtpProfile};
use dsp_core::process::resample::ResampleError;
use dsp_core::quality::{BurstStats, VoipMetricsInput};
use dsp_core::receive::{self, DelayChoice, ReceiveError, Received, ReceiverStats};
use dsp_core::rtcp::transport::FeedbackStats;
use dsp_core::send::{PacketLengthError, SendStats};
use dsp_core::streams::sources::{Admission, PlacesError, SourcesStats};
use dsp_core::time::{Duration, Instant, PayloadType, Ssrc};
use dsp_core::wire::rtcp::VoipMetrics;

use super::adapter::AdaptationStats;
#[cfg(feature = "dtls")]
use super::certificate::CertificateError;
use super::digits::DigitStats;
use super::metering::{self, CallSound, Finding};
use crate::sdp::{CandidateKind, SdpError};

/// The reason why a call can't be made or changed. A running call continues unchanged.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The description can't be written, read or agreed on.
    Sdp(SdpError),
    /// A codec refused its settings.
    CodecSetup {
        /// The codec, as `a=rtpmap` writes it.
        codec: String,
        /// The codec's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The receiver refused its settings.
    Receiver(receive::ConfigError),
    /// [`CallConfig::sources`](super::CallConfig::sources) is 0 or too many.
    Sources(PlacesError),
    /// The packets can't have the length that was agreed on.
    Sender(PacketLengthError),
    /// The operating system gave no randomness.
    Randomness(getrandom::Error),
    /// The SRTP keys that were agreed on can't be used in this call.
    Keys(KeyError),
    /// No certificate for DTLS can be made or used.
    #[cfg(feature = "dtls")]
    Certificate(CertificateError),
    /// This source has already sent under the SRTP key in use.
    SourceReturns(Ssrc),
    /// Packets may only go through a TURN server, and there is no server, ICE isn't full, or the call has a path of your own.
    RelayOnly,
    /// The registry doesn't have this codec.
    Codec(String),
    /// No offer of ours waits for an answer.
    NoOffer,
    /// RTCP's settings are unusable.
    Rtcp,
    /// The device side of the call can't be made.
    Front(FrontError),
    /// [`CallConfig::redundancy`](super::CallConfig::redundancy) is this, which is more than 4.
    Redundancy(u8),
    /// The call has no stream with this number.
    Stream(usize),
    /// [`CallConfig::buffer_bytes`](super::CallConfig::buffer_bytes) doesn't hold one packet of each source.
    BufferBytes {
        /// The bytes that were set.
        bytes: u32,
        /// The bytes that are needed.
        least: u32,
    },
    /// The other side, or another stream of ours, is this source already (RFC 3550, 8.2).
    SourceTaken(Ssrc),
    /// The sound of the user is neither mono nor stereo, or not of 8 to 48 kHz.
    Sound {
        /// Rate in Hz.
        sample_rate_hz: u32,
        /// Channels.
        channels: u8,
    },
    /// The sound of the user can't be converted to that of a codec.
    Conversion(ResampleError),
    /// A decoder of [`CallConfig::decoders`](super::CallConfig::decoders) has another sound than the stream.
    OwnDecoder {
        /// The payload type of the decoder.
        payload_type: PayloadType,
        /// The sound of the decoder.
        got: CodecInfo,
        /// The sound of the stream.
        need: CodecInfo,
    },
    /// The codec has more channels than two.
    Channels {
        /// The codec, as `a=rtpmap` writes it.
        codec: String,
        /// The channels of the codec.
        channels: u8,
    },
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sdp(_) => write!(f, "the SDP can't be agreed on"),
            Self::CodecSetup { codec, .. } => write!(f, "{codec} can't be set up"),
            Self::Receiver(_) => write!(f, "the receiver can't be set up"),
            Self::Sender(_) => write!(f, "the sender can't be set up"),
            Self::Randomness(_) => write!(f, "the operating system has no randomness"),
            Self::Keys(_) => write!(f, "the SRTP keys can't be agreed on"),
            #[cfg(feature = "dtls")]
            Self::Certificate(_) => write!(f, "there is no certificate for DTLS"),
            Self::SourceReturns(ssrc) => write!(f, "the source {:08x} has already sent under this key", ssrc.0),
            Self::Codec(name) => write!(f, "no codec {name} in this build"),
            Self::NoOffer => write!(f, "an answer without an offer"),
            Self::Channels { codec, channels } => {
                write!(f, "calls are mono or stereo, and {codec} is set up for {channels} channels")
            }
            Self::OwnDecoder { payload_type, got, need } => {
                let sound = |info: &CodecInfo| {
                    format!(
                        "{} Hz, an RTP clock of {} Hz, channels: {}",
                        info.sample_rate_hz, info.rtp_clock_hz, info.channels
                    )
                };
                let (got, need) = (sound(got), sound(need));
                write!(f, "the own decoder of payload type {} has {got}; the stream has {need}", payload_type.get())
            }
            Self::Sources(_) => write!(f, "so many sources can't be heard"),
            Self::Redundancy(level) => write!(f, "redundancy of {level} packets, 4 are possible"),
            Self::BufferBytes { bytes, least } => {
                write!(f, "{bytes} bytes for received packets, a packet of each source needs {least}")
            }
            Self::Stream(index) => write!(f, "the call has no stream {index}"),
            Self::SourceTaken(ssrc) => write!(f, "source {:08x} is the other side's", ssrc.0),
            Self::Sound { sample_rate_hz, channels } => {
                write!(
                    f,
                    "sound of {sample_rate_hz} Hz and {channels} channels; 8 to 48 kHz in mono or stereo are possible"
                )
            }
            Self::RelayOnly => {
                f.write_str("packets may only take relayed addresses: that needs ICE in full and a TURN server")
            }
            Self::Conversion(_) => write!(f, "the codec's sound doesn't fit the device's"),
            Self::Front(_) => write!(f, "the device side of the call can't be made"),
            Self::Rtcp => write!(f, "RTCP needs a canonical name of 1 to 64 bytes"),
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Sdp(error) => Some(error),
            Self::CodecSetup { source, .. } => Some(&**source),
            Self::Receiver(error) => Some(error),
            Self::Sources(error) => Some(error),
            Self::Sender(error) => Some(error),
            Self::Randomness(error) => Some(error),
            Self::Keys(error) => Some(error),
            #[cfg(feature = "dtls")]
            Self::Certificate(error) => Some(error),
            Self::Front(error) => Some(error),
            Self::Conversion(error) => Some(error),
            Self::SourceReturns(_)
            | Self::RelayOnly
            | Self::Codec(_)
            | Self::NoOffer
            | Self::Rtcp
            | Self::SourceTaken(_)
            | Self::Redundancy(_)
            | Self::Stream(_)
            | Self::BufferBytes { .. }
            | Self::Sound { .. }
            | Self::OwnDecoder { .. }
            | Self::Channels { .. } => None,
        }
    }
}

#[cfg(feature = "dtls")]
impl From<CertificateError> for CallError {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(error)
    }
}

impl From<SdpError> for CallError {
    fn from(error: SdpError) -> Self {
        Self::Sdp(error)
    }
}

/// One of the two ports of a call. Where RTP and RTCP share a port, both are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The port of RTP.
    Rtp,
    /// The port of RTCP.
    Rtcp,
}

/// A datagram to be sent, as [`Call::transmit`](super::Call::transmit) returns it: the first `len` bytes of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transmit {
    /// The number of bytes of the buffer to send.
    pub len: usize,
    /// Our address from which to send: the one that the socket is bound to.
    pub from: SocketAddr,
    /// The address to which to send.
    pub to: SocketAddr,
    /// The port from which to send.
    pub channel: Channel,
}

/// The fate of a datagram that arrived: [`Call::receive`](super::Call::receive) returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incoming {
    /// It was RTP, and the receiver did this with it.
    Audio(Received),
    /// It was RTP or RTCP of a source that isn't heard, for this reason. Where only one source is heard, the reason is our own
    /// SSRC ([`Own`](Admission::Own)): a loop or a collision.
    Unheard(Admission),
    /// It was RTCP, and was read.
    Control,
    /// The datagram was RTCP with a goodbye of a source that is heard, of the last one where there are several. The call
    /// continues until [`Call::should_end`](super::Call::should_end) reports an end, since some phones say goodbye at every hold.
    Bye,
    /// It came from an address from which packets aren't accepted, and nothing proved that it is of the other side.
    Foreign,
    /// The guard refused it.
    Refused(GuardError),
    /// The receiver could not use it.
    Unusable(ReceiveError),
    /// It was neither RTP nor RTCP, and was meant for ICE or DTLS.
    Handshake,
    /// It was neither RTP nor RTCP, or couldn't be used now: before the call is agreed on, or on hold.
    Ignored,
}

/// The reason why a call should end although it wasn't signalled: [`Call::should_end`](super::Call::should_end).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The other side sent an RTCP goodbye, and nothing since then for
    /// [`after_goodbye`](super::CallConfig::after_goodbye).
    Goodbye,
    /// Nothing has come from the other side for this time: [`after_silence`](super::CallConfig::after_silence).
    Silence(Duration),
    /// There are no SRTP keys, and there will be none, so nothing can be sent or played.
    Handshake(HandshakeFailure),
    /// An SRTP key is used up and no new offer has brought another one ([`Call::key_age`](super::Call::key_age)), so nothing is
    /// sent or accepted any more.
    KeysOver,
    /// ICE has found no addresses between which packets pass ([`IceState::Failed`]).
    ChecksFailed,
    /// The other side has not renewed its consent to receive packets for 30 s ([`IceState::ConsentGone`]).
    ConsentGone,
    /// Packets may only go through a TURN server, and no server gives us an address: [`Call::relays`](super::Call::relays) says
    /// why.
    NoRelay,
    /// The TURN server through which packets went doesn't relay them any more.
    RelayLost,
    /// Sending on is hopeless: [`circuit_breaker`](super::CallConfig::circuit_breaker).
    Hopeless(Hopeless),
}

impl Ending {
    /// Its name and its words.
    pub const fn reason(&self) -> Reason {
        let (name, words) = match self {
            Self::Goodbye => ("goodbye", "the other side hung up"),
            Self::Silence(_) => ("silence", "nothing came from the other side any more"),
            Self::Handshake(_) => ("handshake_failed", "the DTLS handshake came to no keys"),
            Self::KeysOver => ("keys_over", "an SRTP key was used up"),
            Self::ChecksFailed => ("checks_failed", "no address of the other side answered"),
            Self::ConsentGone => ("consent_gone", "the other side doesn't answer any more"),
            Self::NoRelay => ("no_relay", "no TURN server gives us an address"),
            Self::RelayLost => ("relay_lost", "the TURN server passes nothing on any more"),
            Self::Hopeless(_) => ("hopeless", "what was sent did not arrive"),
        };
        Reason { name, words }
    }
}

/// The reason why a call ended, as a name and in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reason {
    /// A short name that stays the same from version to version, such as `hung_up`.
    pub name: &'static str,
    /// The same reason as text.
    pub words: &'static str,
}

/// The reason why a DTLS handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandshakeFailure {
    /// The other side's certificate is not the one whose fingerprint its description has: there may be a man in the middle.
    Fingerprint,
    /// The other side showed none, or one that can't be checked: neither of ECDSA on P-256 or P-384 nor of RSA with
    /// 2048 to 8192 bits.
    Certificate,
    /// The other side refused the offer.
    Refused,
    /// It was not over after 30 s.
    Timeout,
    /// The other side supports no SRTP profile that we support.
    NoSrtp,
    /// It failed again and again.
    Broken,
}

impl std::fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fingerprint => "the other side's certificate is not the one that its description names",
            Self::Certificate => {
                "the other side has no certificate of ECDSA on P-256 or P-384, or of RSA with 2048 bits or more"
            }
            Self::Refused => "the other side refused the DTLS handshake: there is nothing in common",
            Self::Timeout => "the DTLS handshake was not over after 30 s",
            Self::NoSrtp => "the DTLS handshake came to no protection of RTP that both sides know",
            Self::Broken => "the DTLS handshake ended in errors",
        })
    }
}

/// The current protection of a call's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protection {
    /// They are not protected: plain RTP was agreed on.
    Plain,
    /// The call waits for keys, and sends and accepts nothing.
    Waiting,
    /// They are protected by SRTP with this profile.
    Srtp(SrtpProfile),
    /// They are protected by a guard of your own.
    Own,
}

/// The state of a call's connectivity checks (ICE, RFC 8445).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IceState {
    /// No pair of addresses has been found yet: nothing is sent but checks.
    #[default]
    Checking,
    /// There is a pair, and the other side answers.
    Connected,
    /// The other side has not answered for 30 s (RFC 7675): nothing is sent until a restart.
    ConsentGone,
    /// No pair has been found within 39.5 s (RFC 8863).
    Failed,
}

/// The addresses that packets take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IcePair {
    /// Our address, as the other side sees it.
    pub local: SocketAddr,
    /// The kind of our address.
    pub local_kind: CandidateKind,
    /// The other side's address.
    pub remote: SocketAddr,
    /// The kind of the other side's address.
    pub remote_kind: CandidateKind,
}

/// Numbers of the connectivity checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IceStats {
    /// The state of the checks.
    pub state: IceState,
    /// The pair of addresses in use; `None` if there is none yet.
    pub pair: Option<IcePair>,
    /// Whether we are the controlling side, which chooses the pair.
    pub controlling: bool,
    /// Whether we are the lite side, which only answers checks.
    pub lite: bool,
    /// Checks that we sent, those for consent included.
    pub checks: u32,
    /// Valid answers to our checks.
    pub answers: u32,
    /// Checks of the other side that we answered.
    pub requests: u32,
    /// Messages with other credentials or none, or that aren't STUN at all. They are not answered.
    pub strangers: u32,
    /// Answers to checks that we didn't send, or that came from another address.
    pub strays: u32,
    /// Candidates of the other side that were skipped, because they have names of multicast DNS in place of addresses.
    pub hidden: u32,
    /// The number of ICE restarts.
    pub restarts: u32,
    /// The remaining time of the other side's consent.
    pub consent_left: Option<Duration>,
    /// The round-trip time of the last check of the pair in use.
    pub round_trip: Option<Duration>,
}

/// The fate of datagrams between a call and its sockets, for [`Call::count`](super::Call::count).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missed {
    /// The system refused to send the datagram.
    Unsent,
    /// The datagram came before the call could use it.
    Early,
    /// The datagram was not read before it was too late, because this machine slept.
    Stale,
}

/// A snapshot of a call's numbers: [`Call::stats`](super::Call::stats). Taking one allocates nothing.
///
/// Every datagram is counted once: `datagrams = foreign + refused + control + handshakes + ignored + own_source +
/// sources.unheard() + total.received`. [`ReceiverStats`] divides the received ones up further.
///
/// ```
/// use dsp_core::time::Instant;
/// use host_std::session::{Call, CallConfig, Channel};
///
/// # let (mut anna, mut bert) = (Call::new(CallConfig::new(4000)?)?, Call::new(CallConfig::new(5000)?)?);
/// # let answer = bert.answer(Instant::ZERO, &anna.offer()?)?;
/// # anna.accept(Instant::ZERO, &answer)?;
/// // A call that is agreed on gets a datagram that isn't SRTP of the other side.
/// anna.receive(Instant::ZERO, Channel::Rtp, "127.0.0.1:5000".parse()?, &mut [0x80; 172]);
/// let stats = anna.stats();
/// assert_eq!((stats.datagrams, stats.refused, stats.total.received), (1, 1, 0));
/// assert_eq!(stats.mos_lq, None); // nothing was heard yet
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CallStats {
    /// Datagrams that arrived.
    pub datagrams: u64,
    /// The time at which RTP or RTCP of the other side came last.
    pub last_heard: Option<Instant>,
    /// The time for which this machine slept during the call, without playing or capturing anything.
    pub slept: Duration,
    /// Packets that the guard refused: not of the other side, damaged, or sent again.
    pub refused: u32,
    /// Datagrams from addresses from which none are accepted.
    pub foreign: u32,
    /// RTCP packets that were read.
    pub control: u32,
    /// Datagrams of ICE and DTLS.
    pub handshakes: u32,
    /// Datagrams of no use: neither RTP, RTCP, ICE nor DTLS, or RTP on hold or before the call was agreed on.
    pub ignored: u32,
    /// RTCP goodbyes of sources that are heard.
    pub goodbyes: u32,
    /// RTCP goodbyes that changed nothing: from addresses from which none are accepted, or of sources that were never heard.
    pub foreign_goodbyes: u32,
    /// Packets with our own SSRC: a loop, or a collision (RFC 3550, 8.2). They are not played.
    pub own_source: u32,
    /// The number of times that we took another SSRC because of that.
    pub source_changes: u32,
    /// Ticks that could not be captured, frames that could not be encoded or encrypted, and reports that were too long.
    pub send_errors: u32,
    /// Datagrams that the system refused to send.
    pub unsent: u32,
    /// Datagrams that came before the call could use them, such as before its answer. Those that a driver gave to the call are
    /// in `ignored` too.
    pub early: u32,
    /// The adaptation of the first stream to the network; `None` if it doesn't adapt
    /// ([`adaptation`](super::CallConfig::adaptation)).
    pub adaptation: Option<AdaptationStats>,
    /// Datagrams that were not read before it was too late, because this machine slept.
    pub stale: u32,
    /// The receiver of the first source now. [`Call::sources`](super::Call::sources) has those of all sources.
    pub receiver: ReceiverStats,
    /// The counts of the whole call for all sources, including those that left or restarted. Its `reception`, target delay and
    /// drift are those of `receiver`.
    pub total: ReceiverStats,
    /// The sources that were admitted and those that weren't, where several are heard at once.
    pub sources: SourcesStats,
    /// The sender of the first stream.
    pub sender: SendStats,
    /// Digits in both directions, of all streams.
    pub digits: DigitStats,
    /// The reason why the packets of the first source wait as long as they do; `None` unless the delay is that of a conversation.
    pub delay_choice: Option<DelayChoice>,
    /// The round-trip time by the last RTCP report that contained it.
    pub round_trip: Option<Duration>,
    /// The share of our packets, 0 to 1, that the other side lost by its last report.
    pub remote_fraction_lost: Option<f32>,
    /// The jitter of our packets, in ms, by the other side's last report.
    pub remote_jitter_ms: Option<f32>,
    /// Losses, discards, bursts and gaps (RFC 3611), of the packets of all sources whose turn has passed.
    pub bursts: BurstStats,
    /// The rating R of the sound that is heard here, delay included, by the E-model (ITU-T G.107): 0 to 93.2, which is the best.
    /// `None` until a round-trip time is known. It is on the narrowband scale for every codec: see
    /// [`impairment`](super::impairment).
    pub r_factor: Option<f64>,
    /// The listening quality by the same model, without delay: a MOS of 1 to 4.5. `None` until something is heard.
    pub mos_lq: Option<f64>,
    /// The conversational quality by the same model, with delay: a MOS of 1 to 4.5. `None` as `r_factor`.
    pub mos_cq: Option<f64>,
    /// The quality of the call as heard here, as in our own reports (RFC 3611, 4.7), with the delay and echo that the other side
    /// reported.
    pub local_voip: VoipMetricsInput,
    /// The quality of our sound as heard by the other side, by its last report (RFC 3611, 4.7).
    pub remote_voip: Option<VoipMetrics>,
    /// The current protection of packets; `None` before the call is agreed on.
    pub protection: Option<Protection>,
    /// The number of times that new SRTP keys came into use, by descriptions or by a handshake. From 2 on they have changed in
    /// the running call.
    pub keyed: u32,
    /// The reason why the last DTLS handshake failed, while there are no keys yet; another one may succeed until the call ends.
    pub handshake: Option<HandshakeFailure>,
    /// Whether the first stream sends and receives, as it was agreed on.
    pub directions: Directions,
    /// Levels and faults of the first stream's sound; `None` without [`CallConfig::metering`](super::CallConfig::metering).
    pub sound: Option<CallSound>,
    /// Packets of ours that the other side asked for again (generic NACK). They are not sent again.
    pub nacked: u32,
    /// The highest bit rate, in bit/s, that the other side says it can receive (REMB).
    pub remote_maximum_bps: Option<u64>,
    /// The fate of our packets by transport-wide feedback; `None` where that was not agreed on.
    pub feedback: Option<FeedbackStats>,
    /// The connectivity checks; `None` without ICE.
    pub ice: Option<IceStats>,
}

/// Whether a stream sends and receives, as it was agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directions {
    /// Whether the stream sends.
    pub sends: bool,
    /// Whether the stream receives.
    pub receives: bool,
}

impl CallStats {
    /// Counts a datagram by what became of it.
    pub(super) fn count(&mut self, incoming: &Incoming) {
        self.datagrams += 1;
        let count = match incoming {
            Incoming::Foreign => &mut self.foreign,
            Incoming::Refused(_) => &mut self.refused,
            Incoming::Control | Incoming::Bye => &mut self.control,
            Incoming::Handshake => &mut self.handshakes,
            Incoming::Ignored => &mut self.ignored,
            // The receivers and the table of sources count these.
            Incoming::Audio(_) | Incoming::Unusable(_) | Incoming::Unheard(_) => return,
        };
        *count = count.saturating_add(1);
    }

    /// Returns the faults of the sound: clipping, silence, howling, and sound in one direction only. Each finding says how much,
    /// since when, and what in words. A call without faults has none.
    pub fn findings(&self) -> impl Iterator<Item = Finding> + '_ {
        metering::findings(self)
    }

    /// Returns the number of datagrams that the equation above doesn't account for, and of packets that the receivers don't
    /// account for ([`ReceiverStats::unaccounted`]). All of these are 0, or there is a fault in this crate.
    pub fn unaccounted(&self) -> [i64; 5] {
        let counted = [self.foreign, self.refused, self.control, self.handshakes, self.ignored, self.own_source]
            .iter()
            .map(|&n| u64::from(n))
            .sum::<u64>();
        let heard = self.sources.unheard() + self.total.received;
        let [packets, copies, samples, concealed] = self.total.unaccounted();
        [self.datagrams as i64 - (counted + heard) as i64, packets, copies, samples, concealed]
    }
}
