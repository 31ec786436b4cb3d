//! How a call is made.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};

use dsp_core::guard::srtp::MasterKey;
use dsp_core::receive::DelayConfig;
use dsp_core::streams::sources::PlacesError;
use dsp_core::time::{Duration, NtpTime, RtpTime, Seq, Ssrc};
use dsp_core::tone::Country;
#[cfg(feature = "simulate")]
use rand_xoshiro::Xoshiro256PlusPlus;
#[cfg(feature = "simulate")]
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use zeroize::Zeroizing;

use super::adapter::AdaptationConfig;
use super::capture::CaptureConfig;
#[cfg(feature = "dtls")]
use super::certificate::{Certificate, Keying};
use super::digits::ToneDetection;
#[cfg(feature = "ice")]
use super::ice::IceConfig;
use super::keys::SrtpOptions;
use super::own::{OwnDecoders, OwnDetector, OwnGuard, OwnPath, OwnStrategy};
use super::stream::{self, MAX_SOURCES, PACKET_BYTES, Sound};
use super::{CallError, Latching};
use crate::registry::{CodecFormat, Registry};
use crate::sdp::{
    self, CryptoSuite, DEFAULT_MTU, ExtensionOptions, FeedbackOptions, LocalMedia, LocalStream, SrtpPolicy,
};

/// The random names and numbers of one side of a call (RFC 3550 5.1: SSRC, first sequence number and timestamp).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Synchronisation source of what we send.
    pub ssrc: Ssrc,
    /// Sequence number of the first packet, with SRTP below 2^15 (RFC 4568, 6.4).
    pub first_seq: Seq,
    /// Timestamp of the first sample.
    pub first_timestamp: RtpTime,
    /// The session's id in SDP.
    pub session_id: u64,
    /// RTCP's canonical name (RFC 7022: random, the same for all streams of this end).
    pub cname: String,
    /// Seed of the RTCP intervals.
    pub seed: u32,
    /// The first SRTP key of each suite. `None`: from the operating system.
    pub(super) keys: Option<Vec<(CryptoSuite, MasterKey)>>,
}

impl Identity {
    /// Unpredictable, from the operating system: what a real call wants.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn random() -> Result<Self, CallError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(CallError::Randomness)?;
        let (words, _) = bytes.as_chunks::<8>();
        Ok(Self::from_words(std::array::from_fn(|n| u64::from_le_bytes(words[n]))))
    }

    /// Repeatable, SRTP keys included: for simulations and tests. Anybody who knows the seed knows the keys, and two calls
    /// of one seed send under the same key. Needs the cargo feature `simulate`.
    #[cfg(feature = "simulate")]
    pub fn seeded(seed: u64) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (first, second) = (random.next_u64(), random.next_u64());
        // The suites that came later have numbers of their own, so that what a seed stands for stays what it was.
        let mut later = Xoshiro256PlusPlus::seed_from_u64(!seed);
        let key = |suite: CryptoSuite| {
            let (random, bytes) = match suite {
                CryptoSuite::AesCm128HmacSha1_80 | CryptoSuite::AesCm128HmacSha1_32 => (&mut random, MasterKey::LEN),
                _ => (&mut later, suite.profile().master_bytes()),
            };
            let mut key = Zeroizing::new([0; MasterKey::LONGEST]);
            random.fill_bytes(&mut key[..bytes]);
            Some((suite, MasterKey::of(suite.profile(), &key[..bytes]).ok()?))
        };
        let keys = Some(CryptoSuite::ALL.into_iter().filter_map(key).collect());
        Self { keys, ..Self::from_words([first, second, random.next_u64(), random.next_u64()]) }
    }

    /// The source that the first stream is.
    pub(super) fn source(&self) -> InitialRtpState {
        InitialRtpState { ssrc: self.ssrc, seq: self.first_seq, timestamp: self.first_timestamp }
    }

    /// Random bytes, others for each number. Repeatable if this identity is.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    #[cfg(feature = "ice")]
    pub(super) fn random_bytes(&self, number: u64) -> Result<[u8; 32], CallError> {
        let mut bytes = [0; 32];
        #[cfg(feature = "simulate")]
        if self.keys.is_some() {
            let seed = self.session_id ^ (u64::from(self.seed) << 32) ^ number;
            Xoshiro256PlusPlus::seed_from_u64(seed).fill_bytes(&mut bytes);
            return Ok(bytes);
        }
        let _ = number;
        getrandom::fill(&mut bytes).map_err(CallError::Randomness)?;
        Ok(bytes)
    }

    /// Numbers of sources to come. Repeatable if this identity is.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub(super) fn spare(&self) -> Result<Spare, CallError> {
        #[cfg(feature = "simulate")]
        if self.keys.is_some() {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&(self.session_id ^ u64::from(self.seed)).to_le_bytes());
            return Ok(Spare::Seeded(Xoshiro256PlusPlus::from_seed(seed)));
        }
        let mut key = Zeroizing::new([0; 16]);
        getrandom::fill(&mut *key).map_err(CallError::Randomness)?;
        Ok(Spare::Hashed { key, drawn: 0 })
    }

    fn from_words([first, second, session, name]: [u64; 4]) -> Self {
        Self {
            ssrc: Ssrc(first as u32),
            // Not near its wrap: who misses packets there would count roll-overs from the wrong end (RFC 4568, 6.4).
            first_seq: Seq((first >> 32) as u16 & 0x7fff),
            first_timestamp: RtpTime(second as u32),
            session_id: session >> 1,
            cname: format!("{name:016x}"),
            seed: (second >> 32) as u32,
            keys: None,
        }
    }
}

/// Numbers for other sources of the same end, drawn without asking the system: a packet that comes in may need them.
#[derive(Clone)]
pub(super) enum Spare {
    /// A hash of the system's randomness and of how many were drawn.
    Hashed { key: Zeroizing<[u8; 16]>, drawn: u64 },
    #[cfg(feature = "simulate")]
    Seeded(Xoshiro256PlusPlus),
}

impl Spare {
    /// A source whose first sequence number is below 2^15 (RFC 4568, 6.4).
    pub(super) fn draw(&mut self) -> InitialRtpState {
        let (first, second) = (self.next(), self.next());
        InitialRtpState { ssrc: Ssrc(first as u32), seq: Seq((first >> 49) as u16), timestamp: RtpTime(second as u32) }
    }

    fn next(&mut self) -> u64 {
        match self {
            Self::Hashed { key, drawn } => {
                *drawn += 1;
                let mut hasher = DefaultHasher::new();
                (**key, *drawn).hash(&mut hasher);
                hasher.finish()
            }
            #[cfg(feature = "simulate")]
            Self::Seeded(random) => random.next_u64(),
        }
    }
}

/// The numbers that a stream begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct InitialRtpState {
    pub(super) ssrc: Ssrc,
    pub(super) seq: Seq,
    pub(super) timestamp: RtpTime,
}

/// How a call is made. The default offers Opus at 48 kHz (with the cargo feature `opus`), G.722,
/// PCMU and PCMA, SRTP required, on 127.0.0.1. An example is on the page of [`session`](super).
#[derive(Clone, Debug)]
pub struct CallConfig {
    /// Where we receive, as the SDP says it.
    pub address: IpAddr,
    /// The address that our sockets are bound to where it isn't `address`: behind a one-to-one NAT, or all addresses of the
    /// machine.
    pub bind: Option<IpAddr>,
    /// The RTP port.
    pub rtp_port: u16,
    /// The RTCP port, where the other side can't multiplex; `None` is the RTP port plus one.
    pub rtcp_port: Option<u16>,
    /// Whether RTP and RTCP may share a port (RFC 5761).
    pub rtcp_mux: bool,
    /// Our codecs, the best first, mono or stereo: the first of them that the other side has too says which the call
    /// is. Opus is stereo if its settings in the registry are, L16 if the format is.
    pub codecs: Vec<CodecFormat>,
    /// What makes the codecs, with their settings: those of Opus, say, by
    /// [`with`](Registry::with)`(`[`Opus`](crate::registry::Opus)`(settings))`.
    pub registry: Registry,
    /// Rate in Hz and channels of the sound that the user plays and captures, whatever codecs are agreed on: those of a
    /// device, 8 to 48 kHz, mono or stereo ([`Call::set_sound`](super::Call::set_sound)). `None`: that of the codecs, which is
    /// never converted: what a server wants.
    pub sound: Option<(u32, u8)>,
    /// Whether silence is described (comfort noise, RFC 3389) instead of sent, if the other side wants that too. It's for
    /// codecs without pauses of their own; those of Opus are a setting of [`Opus`](crate::registry::Opus).
    pub comfort_noise: bool,
    /// Whether digits are offered and taken as telephone events (RFC 4733), at the clock of each codec: see
    /// [`Call::send_digits`](super::Call::send_digits) and [`Call::next_digit`](super::Call::next_digit).
    pub telephone_events: bool,
    /// When digits are looked for in the sound that is heard (DTMF). Where the receivers' rate is no multiple of 8 kHz, nothing
    /// is heard there.
    pub tones: ToneDetection,
    /// Whether digits that are heard in the sound are taken out of it: 10 to 16 ms of each are left, which nobody takes for a
    /// digit.
    pub mute_tones: bool,
    /// Whether digits of ours go as tones in the sound (DTMF) to a side that takes no telephone events: all codecs carry
    /// them, at 5 % loss some better than others (BENCHMARKS.md). If not, they are refused there.
    pub digits_as_tones: bool,
    /// The country whose tones of a call's progress are listened for in what is received, with those of faxes and modems:
    /// see [`Call::next_tone`](super::Call::next_tone). `None`: nobody listens.
    pub progress_tones: Option<&'static Country>,
    /// How many packets before it each packet repeats (RFC 2198), 0 to 4, if the other side can make use of it; 0 is off.
    /// Each costs the codec's bit rate once more; what is lost alone is heard all the same, a packet later. Payloads of
    /// more than 1023 bytes are never repeated.
    pub redundancy: u8,
    /// Whether packets repeat others only while the other side's reports tell of losses: from the first of 1 % on until half a
    /// minute has passed without any.
    pub redundancy_on_loss: bool,
    /// Whether the other side is asked to send redundancy, by naming it before the codecs that it repeats (RFC 3264, 5.1 and
    /// 6.1: the first is preferred). Chromium sends it then, all the time, and otherwise never; it takes `redundancy`.
    pub ask_redundancy: bool,
    /// The packet length we ask for, in ms.
    pub ptime_ms: u32,
    /// The most bytes of an IP packet that we send, its headers included, from [`MIN_MTU`](crate::sdp::MIN_MTU) on; 1,200
    /// unless it's set. Packets are shorter than `ptime_ms`, carry fewer copies or are coded in fewer bits, whatever it
    /// takes; only a codec that is too much even in its shortest packets exceeds it.
    pub mtu: u16,
    /// How much we want SRTP.
    pub srtp: SrtpPolicy,
    /// Where SRTP's keys come from.
    #[cfg(feature = "dtls")]
    pub keying: Keying,
    /// The certificate that we show in DTLS. `None`: one for this call alone.
    #[cfg(feature = "dtls")]
    pub certificate: Option<Certificate>,
    /// Which suites are offered and taken, and on what terms.
    pub srtp_options: SrtpOptions,
    /// Which RTP header extensions are offered and taken: levels, names of streams, numbers. By default an offer with DTLS
    /// has what browsers have, a plain one nothing more than before, and an answer takes what is offered.
    pub extensions: ExtensionOptions,
    /// Which RTCP feedback is offered and taken; by default with DTLS only.
    pub feedback: FeedbackOptions,
    /// ICE: which addresses are used is found out by checks, where the other side speaks it too. It needs `rtcp_mux`, and is
    /// off with a `path` of your own.
    #[cfg(feature = "ice")]
    pub ice: IceConfig,
    /// Which source addresses we believe.
    pub latching: Latching,
    /// A path of your own, instead of latching.
    pub path: Option<OwnPath>,
    /// A guard of your own, instead of what the description says of SRTP.
    pub guard: Option<OwnGuard>,
    /// The capture chain of the device side ([`Call::front_end`](super::Call::front_end)): high-pass, echo canceller, noise
    /// suppressor, gain control, a block of your own.
    pub capture: CaptureConfig,
    /// Whether each stream's sound is measured: levels, clipping, silence and howling of the microphone, of what is sent and
    /// of what is received, in [`CallStats::sound`](super::CallStats::sound) and
    /// [`CallStats::findings`](super::CallStats::findings). It takes 3.4 KB a stream, and many times what a call of PCMU
    /// takes besides: off unless it's set, so that a server of a thousand calls has it for those that it wants to know
    /// of. Without it nothing is measured, and one-way sound is told by packets alone.
    pub metering: bool,
    /// A speech detector of your own, which says when comfort noise is sent ([`comfort_noise`](Self::comfort_noise)); by
    /// default the core's energy gate.
    pub detector: Option<OwnDetector>,
    /// A strategy of your own for each receiver: how long packets wait, and what is done meanwhile. The receiver keeps
    /// the bounds of [`delay`](Self::delay).
    pub strategy: Option<OwnStrategy>,
    /// Decoders of your own, asked before those of the [`registry`](Self::registry), for payload types that no SDP speaks
    /// of or for wrappers round a decoder. A codec that offers and answers shall name belongs into the registry.
    pub decoders: Option<OwnDecoders>,
    /// Sources that are heard at once, 1 to [`MAX_SOURCES`](super::MAX_SOURCES), each with a receiver of its own,
    /// sized by the codecs that are agreed on. With 1 another SSRC takes over from the one before; with more their sum is
    /// heard, as of a conference that is forwarded and not mixed. All of them come from one address and under one key.
    pub sources: usize,
    /// Bytes of received payloads that all sources may hold together, in cells of 64 as their receivers store them, at
    /// least [`PACKET_BYTES`](super::PACKET_BYTES) for each of `sources`. Beyond it packets are given up, first of the
    /// sources of the lowest [priority](super::Call::set_priority) ([`budget`](dsp_core::streams::budget)). `None`: each
    /// source holds what its own receiver has room for.
    pub buffer_bytes: Option<u32>,
    /// Bounds of the receive delay.
    pub delay: DelayConfig,
    /// How much sound is played at a time; 10 ms, as the drivers do.
    pub tick: Duration,
    /// The call should end when the other side said goodbye by RTCP and nothing came of it since for so long, neither RTP
    /// nor RTCP; on hold after 30 s at least. `None`: never, only signalling ends it. Whoever says goodbye at a hold and
    /// goes on is heard of within 6.2 s, the longest interval of RTCP for two (RFC 3550, 6.3.1).
    pub after_goodbye: Option<Duration>,
    /// The call should end when nothing came of the other side for so long, neither RTP nor RTCP, except on hold. `None`:
    /// never.
    pub after_silence: Option<Duration>,
    /// What is sent in the first stream follows the network: bit rate, packet length and redundancy, within what is agreed on.
    /// `None`: it stays as it is, but for what [`Call::adapt`](super::Call::adapt) is asked for.
    pub adaptation: Option<AdaptationConfig>,
    /// The call should end when the other side's reports say that sending on is hopeless (RFC 8083): nothing arrives, far too much is
    /// lost for what is sent, or reports have ceased. Of a peer that never reports it knows nothing.
    pub circuit_breaker: bool,
    /// Random names and numbers.
    pub identity: Identity,
    /// The wall clock at the host's `Instant::ZERO`, for RTCP sender reports.
    pub wall_clock: NtpTime,
}

impl CallConfig {
    /// The defaults with random names and numbers, and the wall clock of now.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn new(rtp_port: u16) -> Result<Self, CallError> {
        Ok(Self::with_identity(rtp_port, Identity::random()?))
    }

    /// The defaults with these names and numbers; the wall clock begins in 2000.
    pub fn with_identity(rtp_port: u16, identity: Identity) -> Self {
        let registry = Registry::builtin();
        let mut codecs = vec![CodecFormat::opus(), CodecFormat::g722(), CodecFormat::pcmu(), CodecFormat::pcma()];
        codecs.retain(|format| registry.find(format).is_some());
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            bind: None,
            rtp_port,
            rtcp_port: None,
            rtcp_mux: true,
            codecs,
            registry,
            sound: None,
            comfort_noise: false,
            telephone_events: true,
            tones: ToneDetection::default(),
            mute_tones: false,
            digits_as_tones: true,
            progress_tones: None,
            redundancy: 0,
            redundancy_on_loss: false,
            ask_redundancy: false,
            ptime_ms: 20,
            mtu: DEFAULT_MTU,
            srtp: SrtpPolicy::Required,
            #[cfg(feature = "dtls")]
            keying: Keying::default(),
            #[cfg(feature = "dtls")]
            certificate: None,
            srtp_options: SrtpOptions::default(),
            extensions: ExtensionOptions::default(),
            feedback: FeedbackOptions::default(),
            #[cfg(feature = "ice")]
            ice: IceConfig::default(),
            latching: Latching::default(),
            path: None,
            guard: None,
            capture: CaptureConfig::default(),
            metering: false,
            detector: None,
            strategy: None,
            decoders: None,
            sources: 1,
            buffer_bytes: None,
            delay: DelayConfig::conversation(),
            tick: Duration::from_millis(super::TICK_MS.into()),
            after_goodbye: Some(Duration::from_secs(7)),
            after_silence: None,
            adaptation: None,
            circuit_breaker: false,
            identity,
            wall_clock: NtpTime::from_unix_micros(946_684_800_000_000),
        }
    }

    /// Each setting goes to where it counts: to what offers and answers are made of, or to what is not said in them.
    ///
    /// # Errors
    /// What can't be, as [`Call::new`](super::Call::new) says.
    pub(super) fn split(self) -> Result<(LocalMedia, CallSettings, Identity), CallError> {
        // All of them by name: a setting that nobody takes is one that does nothing.
        let Self {
            address,
            bind,
            rtp_port,
            rtcp_port,
            rtcp_mux,
            codecs,
            registry,
            sound,
            comfort_noise,
            telephone_events,
            tones,
            mute_tones,
            digits_as_tones,
            progress_tones,
            redundancy,
            redundancy_on_loss,
            ask_redundancy,
            ptime_ms,
            mtu,
            srtp,
            #[cfg(feature = "dtls")]
            keying,
            #[cfg(feature = "dtls")]
            certificate,
            // Those the keys are made by.
            srtp_options: _,
            extensions,
            feedback,
            // Its candidates are looked for by what has it.
            #[cfg(feature = "ice")]
                ice: _,
            latching,
            path,
            guard,
            capture,
            metering,
            detector,
            strategy,
            decoders,
            sources,
            buffer_bytes,
            delay,
            tick,
            after_goodbye,
            after_silence,
            adaptation,
            circuit_breaker,
            identity,
            wall_clock,
        } = self;
        if sources == 0 || sources > MAX_SOURCES {
            return Err(CallError::Sources(PlacesError { places: sources, max: MAX_SOURCES }));
        }
        let least = PACKET_BYTES * sources as u32;
        if let Some(bytes) = buffer_bytes.filter(|&bytes| bytes < least) {
            return Err(CallError::BufferBytes { bytes, least });
        }
        if redundancy > 4 {
            return Err(CallError::Redundancy(redundancy));
        }
        let session = sdp::SessionId { id: identity.session_id, ..sdp::SessionId::default() };
        let mut local = LocalMedia {
            address,
            rtp_port,
            rtcp_port,
            rtcp_mux,
            registry,
            mtu,
            srtp,
            session,
            extensions,
            feedback,
            streams: Vec::new(),
            ..LocalMedia::default()
        };
        #[cfg(feature = "dtls")]
        let certificate = match keying {
            Keying::Described => None,
            _ if srtp == SrtpPolicy::Off => None,
            Keying::Dtls | Keying::Either => Some(certificate.map_or_else(Certificate::generate, Ok)?),
        };
        #[cfg(feature = "dtls")]
        if let Some(certificate) = &certificate {
            local.dtls = Some(certificate.local()?);
        }
        let settings = CallSettings {
            #[cfg(feature = "dtls")]
            certificate,
            #[cfg(feature = "dtls")]
            keying,
            bind,
            sound: sound.map(Sound::checked).transpose()?,
            comfort_noise,
            telephone_events,
            tones,
            mute_tones,
            digits_as_tones,
            progress_tones,
            redundancy,
            redundancy_on_loss,
            ask_redundancy,
            ptime_ms,
            latching,
            path,
            guard,
            capture,
            metering,
            detector,
            strategy,
            decoders,
            sources,
            buffer_bytes,
            delay,
            tick,
            after_goodbye,
            after_silence,
            adaptation,
            circuit_breaker,
            wall_clock,
        };
        settings.add_stream(&mut local, &codecs)?;
        Ok((local, settings, identity))
    }
}

/// What of a call's configuration is not said in a description.
#[derive(Clone)]
pub(super) struct CallSettings {
    /// Where DTLS is spoken.
    #[cfg(feature = "dtls")]
    pub(super) certificate: Option<Certificate>,
    #[cfg(feature = "dtls")]
    pub(super) keying: Keying,
    pub(super) bind: Option<IpAddr>,
    pub(super) sound: Option<Sound>,
    pub(super) comfort_noise: bool,
    telephone_events: bool,
    pub(super) tones: ToneDetection,
    pub(super) mute_tones: bool,
    pub(super) digits_as_tones: bool,
    pub(super) progress_tones: Option<&'static Country>,
    redundancy: u8,
    pub(super) redundancy_on_loss: bool,
    ask_redundancy: bool,
    ptime_ms: u32,
    pub(super) latching: Latching,
    pub(super) path: Option<OwnPath>,
    pub(super) guard: Option<OwnGuard>,
    pub(super) capture: CaptureConfig,
    pub(super) metering: bool,
    pub(super) detector: Option<OwnDetector>,
    pub(super) strategy: Option<OwnStrategy>,
    pub(super) decoders: Option<OwnDecoders>,
    pub(super) sources: usize,
    pub(super) buffer_bytes: Option<u32>,
    pub(super) delay: DelayConfig,
    pub(super) tick: Duration,
    pub(super) after_goodbye: Option<Duration>,
    pub(super) after_silence: Option<Duration>,
    pub(super) adaptation: Option<AdaptationConfig>,
    pub(super) circuit_breaker: bool,
    pub(super) wall_clock: NtpTime,
}

impl CallSettings {
    /// Whether descriptions may have keys.
    pub(super) fn describes_keys(&self) -> bool {
        #[cfg(feature = "dtls")]
        return self.keying != Keying::Dtls;
        #[cfg(not(feature = "dtls"))]
        true
    }

    /// One stream more, with these codecs.
    ///
    /// # Errors
    /// Why one of them can't be in a call.
    pub(super) fn add_stream(&self, local: &mut LocalMedia, codecs: &[CodecFormat]) -> Result<(), CallError> {
        let codecs = stream::offered(&local.registry, codecs, self.comfort_noise, self.redundancy)?;
        local.streams.push(LocalStream {
            codecs,
            redundancy: self.redundancy,
            ask_redundancy: self.ask_redundancy,
            telephone_event: self.telephone_events,
            voip_metrics: true,
            ..LocalStream::default()
        });
        self.fit_packets(local, local.streams.len() - 1);
        Ok(())
    }

    /// Other codecs for a stream that there is.
    ///
    /// # Errors
    /// As for [`add_stream`](Self::add_stream); nothing changes then.
    pub(super) fn set_codecs(
        &self,
        local: &mut LocalMedia,
        index: usize,
        codecs: &[CodecFormat],
    ) -> Result<(), CallError> {
        let codecs = stream::offered(&local.registry, codecs, self.comfort_noise, self.redundancy)?;
        local.streams.get_mut(index).ok_or(CallError::Stream(index))?.codecs = codecs;
        self.fit_packets(local, index);
        Ok(())
    }

    /// The packet length to ask for, within the MTU.
    fn fit_packets(&self, local: &mut LocalMedia, index: usize) {
        let ptime_ms = sdp::offered_ptime_ms(local, &local.streams[index], self.ptime_ms);
        local.streams[index].ptime_ms = ptime_ms;
    }
}
