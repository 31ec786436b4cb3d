//! What a call says: errors, what became of a datagram, what to send, numbers.

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

/// Why a call can't be set up.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The SDP doesn't parse, or offers nothing in common.
    Sdp(SdpError),
    /// A codec refused its settings.
    CodecSetup {
        /// The codec, as `a=rtpmap` has it.
        codec: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The receiver refused its settings.
    Receiver(receive::ConfigError),
    /// So many sources can't be heard at once.
    Sources(PlacesError),
    /// The packets can't have the length that was agreed on.
    Sender(PacketLengthError),
    /// The operating system gave no randomness.
    Randomness(getrandom::Error),
    /// The SRTP keys that the SDP came to can't be used in this call.
    Keys(KeyError),
    /// There is no certificate for DTLS.
    #[cfg(feature = "dtls")]
    Certificate(CertificateError),
    /// This source has already sent under the SRTP key in use.
    SourceReturns(Ssrc),
    /// Packets may only go through a TURN server, and there is none, ICE isn't full, or the call has a path of the user's own.
    RelayOnly,
    /// The registry doesn't have this codec.
    Codec(String),
    /// An answer came, but no offer was made.
    NoOffer,
    /// RTCP's settings are unusable.
    Rtcp,
    /// The device side of the call can't be made.
    Front(FrontError),
    /// More packets repeated than four.
    Redundancy(u8),
    /// The call has no stream with this number.
    Stream(usize),
    /// The budget for received packets doesn't hold one of each source.
    BufferBytes {
        /// Bytes wanted.
        bytes: u32,
        /// Bytes that are needed.
        least: u32,
    },
    /// This end can't be a source that the other side is already (RFC 3550, 8.2).
    SourceTaken(Ssrc),
    /// The user's sound is neither mono nor stereo, or not of 8 to 48 kHz.
    Sound {
        /// Rate in Hz.
        sample_rate_hz: u32,
        /// Channels.
        channels: u8,
    },
    /// A codec's sound can't be made of the user's, or the user's of it.
    Conversion(ResampleError),
    /// A decoder of the user's own table has another sound than the stream.
    OwnDecoder {
        /// Its payload type.
        payload_type: PayloadType,
        /// What it gives.
        got: CodecInfo,
        /// What the stream has.
        need: CodecInfo,
    },
    /// A call's sound is mono, and this codec's is not.
    Channels {
        /// The codec, as `a=rtpmap` has it.
        codec: String,
        /// Its channels.
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

/// Which of our two ports: they are one where RTCP is multiplexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The RTP port.
    Rtp,
    /// The RTCP port.
    Rtcp,
}

/// A datagram to be sent: the first `len` bytes of the buffer that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transmit {
    /// Bytes.
    pub len: usize,
    /// From which of our addresses: where the socket is bound that it leaves by.
    pub from: SocketAddr,
    /// Whither.
    pub to: SocketAddr,
    /// From which of our ports.
    pub channel: Channel,
}

/// What became of a datagram that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incoming {
    /// RTP: what the receiver did with it.
    Audio(Received),
    /// RTP or RTCP of a source that has no place, and why: where only one is heard, of our own
    /// ([`Own`](Admission::Own)), a loop or a collision.
    Unheard(Admission),
    /// RTCP was read.
    Control,
    /// RTCP was read: a source that is heard said goodbye; where there are several, the last of them. The call goes on
    /// until [`Call::should_end`](super::Call::should_end) says otherwise: some phones say goodbye at every hold.
    Bye,
    /// It came from an address that the latching policy doesn't believe, and proved nothing else.
    Foreign,
    /// The guard refused it.
    Refused(GuardError),
    /// The receiver could not take it.
    Unusable(ReceiveError),
    /// Neither RTP nor RTCP, and meant for the path: STUN, say.
    Handshake,
    /// Neither RTP nor RTCP, or not to be heard now (no call yet, or on hold).
    Ignored,
}

/// Why a call should end, though nobody signalled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The other side said goodbye by RTCP, and nothing came of it since for
    /// [`after_goodbye`](super::CallConfig::after_goodbye).
    Goodbye,
    /// Nothing came of the other side for so long: [`after_silence`](super::CallConfig::after_silence).
    Silence(Duration),
    /// There are no keys, and will be none: nothing can be said or heard.
    Handshake(HandshakeFailure),
    /// The lifetime of an SRTP key is over and no new offer brought another ([`Call::key_age`](super::Call::key_age)): nothing
    /// passes any more.
    KeysOver,
    /// Nothing that was sent to was found to answer ([`IceState::Failed`]).
    ChecksFailed,
    /// The other side has not answered for 30 s that it wants to be sent to ([`IceState::ConsentGone`]).
    ConsentGone,
    /// Packets may only go through a TURN server, and none gives us an address: [`Call::relays`](super::Call::relays) says why.
    NoRelay,
    /// The TURN server that packets went through passes nothing on any more.
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

/// Why a call ended, where what belongs to it is of no interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reason {
    /// A short name that stays the same from version to version, such as `hung_up`.
    pub name: &'static str,
    /// The same in words.
    pub words: &'static str,
}

/// Why a DTLS handshake came to no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandshakeFailure {
    /// The other side's certificate is not the one whose fingerprint its description has: somebody may stand between.
    Fingerprint,
    /// The other side showed none, or one that can't be checked: neither of ECDSA on P-256 or P-384 nor of RSA with
    /// 2048 to 8192 bits.
    Certificate,
    /// It refused what was offered.
    Refused,
    /// It was not over after 30 s.
    Timeout,
    /// It knows no way to protect RTP that we know.
    NoSrtp,
    /// It ended in errors again and again.
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

/// How a call's packets are protected now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protection {
    /// Not at all: plain RTP was agreed on.
    Plain,
    /// Keys are waited for: nothing is sent, and nothing that comes is believed.
    Waiting,
    /// By SRTP with this profile.
    Srtp(SrtpProfile),
    /// By a guard of the user's own.
    Own,
}

/// How the connectivity checks of a call go (ICE, RFC 8445).
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
    /// Ours, as the other side sees it.
    pub local: SocketAddr,
    /// What it is.
    pub local_kind: CandidateKind,
    /// The other side's.
    pub remote: SocketAddr,
    /// What it is.
    pub remote_kind: CandidateKind,
}

/// Numbers of the connectivity checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IceStats {
    /// How they go.
    pub state: IceState,
    /// The pair in use.
    pub pair: Option<IcePair>,
    /// Whether we say which pair that is.
    pub controlling: bool,
    /// Whether we only answer.
    pub lite: bool,
    /// Checks that we sent, those for consent too.
    pub checks: u32,
    /// Answers to them that were right.
    pub answers: u32,
    /// Checks of the other side, which were answered.
    pub requests: u32,
    /// Messages of strangers: with other credentials or none, or no STUN at all. They are not answered.
    pub strangers: u32,
    /// Answers that nobody had asked for, or that came from elsewhere.
    pub strays: u32,
    /// Candidates of the other side behind names of multicast DNS, which were skipped.
    pub hidden: u32,
    /// How often the checks began anew.
    pub restarts: u32,
    /// How long the other side's consent still lasts.
    pub consent_left: Option<Duration>,
    /// Round trip of the last check of the pair in use.
    pub round_trip: Option<Duration>,
}

/// What became of datagrams between a call and its sockets, for [`Call::count`](super::Call::count).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missed {
    /// The system refused to send it.
    Unsent,
    /// It came before the call could make use of it.
    Early,
    /// It lay unread while this machine slept, until it was too late.
    Stale,
}

/// A snapshot of a call's numbers; no allocation.
///
/// Every datagram has its place: `datagrams = foreign + refused + control + handshakes + ignored + own_source +
/// sources.unheard() + total.received`, and where the receivers' have theirs, [`ReceiverStats`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CallStats {
    /// Datagrams that came.
    pub datagrams: u64,
    /// When something of the other side came last, RTP or RTCP.
    pub last_heard: Option<Instant>,
    /// Time that this machine slept through: nothing was captured or played.
    pub slept: Duration,
    /// Packets that the guard refused.
    pub refused: u32,
    /// Datagrams from addresses that were not believed.
    pub foreign: u32,
    /// RTCP packets that were read.
    pub control: u32,
    /// Datagrams that the path took: neither RTP nor RTCP.
    pub handshakes: u32,
    /// Datagrams that are neither RTP nor RTCP, or were not to be heard: on hold, or before the call was agreed on.
    pub ignored: u32,
    /// Goodbyes of sources that are heard.
    pub goodbyes: u32,
    /// Goodbyes that changed nothing: from addresses that were not believed, or of sources that nothing was heard of.
    pub foreign_goodbyes: u32,
    /// Packets that came in with our own SSRC: a loop, or a collision (RFC 3550, 8.2). They are not played.
    pub own_source: u32,
    /// How often we became another source because of that.
    pub source_changes: u32,
    /// Ticks that could not be taken in, frames that could not be encoded or protected, and reports that did not fit.
    pub send_errors: u32,
    /// Datagrams that the system refused to send.
    pub unsent: u32,
    /// Datagrams that came before the call could make use of them: before its answer, say. Those that reached the call
    /// itself are in `ignored` too.
    pub early: u32,
    /// How the first stream follows the network, where it does ([`adaptation`](super::CallConfig::adaptation)).
    pub adaptation: Option<AdaptationStats>,
    /// Datagrams that lay unread while this machine slept.
    pub stale: u32,
    /// The receive road as it is; where several sources are heard, that of the first of them: see
    /// [`Call::sources`](super::Call::sources).
    pub receiver: ReceiverStats,
    /// What was counted in the whole call, of all sources, those that left or began anew too. `reception`, target delay and
    /// drift in it are those of `receiver`; its delays are of all.
    pub total: ReceiverStats,
    /// Who was admitted and who was not; only where several sources are heard.
    pub sources: SourcesStats,
    /// The send road.
    pub sender: SendStats,
    /// Digits both ways, of all streams.
    pub digits: DigitStats,
    /// Why the first source's packets wait as long as they do, where the sound is that of a conversation.
    pub delay_choice: Option<DelayChoice>,
    /// Round-trip time of the last RTCP report that told it.
    pub round_trip: Option<Duration>,
    /// What the other side last said it lost of ours, 0 to 1.
    pub remote_fraction_lost: Option<f32>,
    /// What the other side last said of the jitter of ours, in ms.
    pub remote_jitter_ms: Option<f32>,
    /// Losses, discards, bursts and gaps by RFC 3611, of the packets of all sources whose turn has passed.
    pub bursts: BurstStats,
    /// The rating R of what is heard here with its delay, 0 to 93.2, by the E-model (ITU-T G.107): 93.2 where nothing
    /// impairs; `None` until there is a round trip. On the narrowband scale, whatever the codec: see
    /// [`impairment`](super::impairment).
    pub r_factor: Option<f64>,
    /// Listening quality, without delay, 1 to 4.5, from the same model; `None` until something is heard.
    pub mos_lq: Option<f64>,
    /// Conversational quality, with delay, from the same model and under the same conditions as `r_factor`.
    pub mos_cq: Option<f64>,
    /// What is heard here, as our own report of it has it (RFC 3611, 4.7): of the whole call, with what the other side told
    /// of its delay and its echo.
    pub local_voip: VoipMetricsInput,
    /// What the other side last said of how it hears us (RFC 3611, 4.7).
    pub remote_voip: Option<VoipMetrics>,
    /// How packets are protected now; `None` before the call is agreed on.
    pub protection: Option<Protection>,
    /// How often SRTP keys came about, by descriptions or by a handshake: from 2 on they have changed in the running call. The
    /// same keys agreed on again don't count.
    pub keyed: u32,
    /// Why the last DTLS handshake came to nothing, while there are no keys yet: another one may, until the call ends.
    pub handshake: Option<HandshakeFailure>,
    /// Whether the first stream was agreed on to send and to receive when these numbers were taken.
    pub directions: Directions,
    /// The stream's sound in levels and faults, of a whole call the first stream's; `None` without
    /// [`CallConfig::metering`](super::CallConfig::metering).
    pub sound: Option<CallSound>,
    /// Packets of ours that the other side asked for again (generic NACK): nothing is sent again.
    pub nacked: u32,
    /// The bit rate in bit/s that the other side last said it can take (REMB).
    pub remote_maximum_bps: Option<u64>,
    /// What became of our packets by transport-wide feedback; `None` where that was not agreed on.
    pub feedback: Option<FeedbackStats>,
    /// The connectivity checks; `None` without ICE.
    pub ice: Option<IceStats>,
}

/// Which ways a stream goes, as it was agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directions {
    /// Whether it sends.
    pub sends: bool,
    /// Whether it receives.
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

    /// What is wrong with the sound, each with how much, since when and in words: clipping, silence, howling, and sound that goes
    /// one way only. Of a sound call there is nothing.
    pub fn findings(&self) -> impl Iterator<Item = Finding> + '_ {
        metering::findings(self)
    }

    /// Datagrams that have no place in the equation above, and what the receivers have none for
    /// ([`ReceiverStats::unaccounted`]): zeros.
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
