//! The configuration of a call.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{SystemTime, UNIX_EPOCH};

use dsp_core::receive::DelayConfig;
use dsp_core::streams::sources::PlacesError;
use dsp_core::time::{Duration, NtpTime};
use dsp_core::tone::Country;

use super::adapter::AdaptationConfig;
use super::capture::CaptureConfig;
#[cfg(feature = "dtls")]
use super::certificate::{Certificate, Keying};
use super::digits::ToneDetection;
#[cfg(feature = "ice")]
use super::ice::IceConfig;
use super::identity::Identity;
use super::keys::SrtpOptions;
use super::own::{OwnDecoders, OwnDetector, OwnGuard, OwnPath, OwnStrategy};
use super::stream::{self, MAX_SOURCES, PACKET_BYTES, Sound};
use super::{CallError, Latching};
use crate::registry::{CodecFormat, Registry};
use crate::sdp::{self, DEFAULT_MTU, ExtensionOptions, FeedbackOptions, LocalMedia, LocalStream, SrtpPolicy};

/// The settings of a [`Call`](super::Call).
///
/// The defaults offer Opus at 48 kHz (with the cargo feature `opus`), G.722, PCMU and PCMA, on 127.0.0.1, and require SRTP.
/// Begin with [`CallConfig::new`] and change the fields that you need.
///
/// A call of a phone with a sound card of 48 kHz in mono, which can do without SRTP and ends after 20 s of nothing:
///
/// ```
/// use dsp_core::time::Duration;
/// use host_std::registry::CodecFormat;
/// use host_std::sdp::SrtpPolicy;
/// use host_std::session::{Call, CallConfig};
///
/// let config = CallConfig {
///     address: "192.0.2.1".parse()?,
///     codecs: vec![CodecFormat::g722(), CodecFormat::pcma()],
///     sound: Some((48_000, 1)),
///     srtp: SrtpPolicy::Offered,
///     after_silence: Some(Duration::from_secs(20)),
///     ..CallConfig::new(4000)?
/// };
/// let offer = Call::new(config)?.offer()?;
/// assert!(offer.contains("m=audio 4000 RTP/AVP 9 8"));
/// assert!(offer.contains("a=crypto:"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CallConfig {
    /// The address at which we receive, as our descriptions name it.
    pub address: IpAddr,
    /// The address that our sockets are bound to, where it isn't `address`: behind a one-to-one NAT, or where sockets are bound
    /// to all addresses.
    pub bind: Option<IpAddr>,
    /// The port at which we receive RTP.
    pub rtp_port: u16,
    /// The port at which we receive RTCP from a side that can't share one port for both; `None` is the RTP port plus one.
    pub rtcp_port: Option<u16>,
    /// Whether RTP and RTCP may share a port (RFC 5761).
    pub rtcp_mux: bool,
    /// Our codecs, the best first. The first one that the other side has too decides the rate and channels of the call. Opus is
    /// stereo if its settings in the registry are, L16 if the format is.
    pub codecs: Vec<CodecFormat>,
    /// The registry that makes the codecs. Give Opus other settings, say, by
    /// [`with`](Registry::with)`(`[`Opus`](crate::registry::Opus)`(settings))`.
    pub registry: Registry,
    /// The rate in Hz and the channels of the sound that you play and capture, whatever codecs are agreed on: those of your
    /// device, 8 to 48 kHz in mono or stereo ([`Call::set_sound`](super::Call::set_sound)). `None` takes the codec's own sound,
    /// which is never converted; servers want that.
    pub sound: Option<(u32, u8)>,
    /// Whether silence is described by comfort noise (RFC 3389) instead of sent, if the other side wants that too. This is for
    /// codecs that don't pause by themselves. The pauses of Opus are a setting of [`Opus`](crate::registry::Opus).
    pub comfort_noise: bool,
    /// Whether digits are offered and accepted as telephone events (RFC 4733), at the clock of each codec: see
    /// [`Call::send_digits`](super::Call::send_digits) and [`Call::next_digit`](super::Call::next_digit).
    pub telephone_events: bool,
    /// The condition under which DTMF digits are detected in the received sound. None are found where the receivers' rate isn't a
    /// multiple of 8 kHz.
    pub tones: ToneDetection,
    /// Whether DTMF digits that are found in the received sound are muted. The first 10 to 16 ms of each remain, too short to
    /// be taken for a digit.
    pub mute_tones: bool,
    /// Whether our digits are sent as DTMF tones in the sound to a side that accepts no telephone events. All codecs carry such
    /// tones; BENCHMARKS.md says how well at 5 % loss. If this is off, [`Call::send_digits`](super::Call::send_digits) fails there.
    pub digits_as_tones: bool,
    /// The country whose call-progress tones are looked for in the received sound, together with the tones of faxes and modems:
    /// see [`Call::next_tone`](super::Call::next_tone). `None` looks for none.
    pub progress_tones: Option<&'static Country>,
    /// The number of earlier payloads that each packet repeats (RFC 2198), 0 to 4, if the other side accepts that; 0 is off. Each
    /// one costs the codec's bit rate once more. A payload that is lost is then heard from a later packet. Payloads of more than
    /// 1,023 bytes are never repeated.
    pub redundancy: u8,
    /// Whether packets repeat payloads only while the other side reports losses: from the first loss of 1 % until 30 s have
    /// passed without one.
    pub redundancy_on_loss: bool,
    /// Whether the other side is asked to send redundancy, by naming it before the codecs that it repeats (RFC 3264, 5.1 and
    /// 6.1: the first format is preferred). Chromium sends redundancy only if it is asked. This needs `redundancy` above 0.
    pub ask_redundancy: bool,
    /// The packet length that we ask for, in ms.
    pub ptime_ms: u32,
    /// The most bytes of an IP packet that we send, its headers included: 1,200 by default, and at least
    /// [`MIN_MTU`](crate::sdp::MIN_MTU). To fit, packets are made shorter than `ptime_ms`, carry fewer copies or are coded in
    /// fewer bits. Only a codec whose shortest packets are too long exceeds it.
    pub mtu: u16,
    /// Whether the call is to be encrypted by SRTP.
    pub srtp: SrtpPolicy,
    /// The origin of the SRTP keys: the descriptions (SDES) or a DTLS handshake.
    #[cfg(feature = "dtls")]
    pub keying: Keying,
    /// The certificate that we show in the DTLS handshake. `None` makes one for this call alone.
    #[cfg(feature = "dtls")]
    pub certificate: Option<Certificate>,
    /// The SRTP suites that are offered and accepted, and their terms.
    pub srtp_options: SrtpOptions,
    /// The RTP header extensions that are offered and accepted: audio levels, names of streams, transport-wide numbers. By
    /// default an offer with DTLS has the extensions that browsers have, an offer without DTLS has none, and an answer accepts
    /// those that are offered.
    pub extensions: ExtensionOptions,
    /// The RTCP feedback that is offered and accepted; by default only with DTLS.
    pub feedback: FeedbackOptions,
    /// The settings of ICE, which finds by checks the addresses that work, if the other side has it too. ICE needs `rtcp_mux`, and
    /// is off where `path` is set.
    #[cfg(feature = "ice")]
    pub ice: IceConfig,
    /// The addresses from which packets are accepted.
    pub latching: Latching,
    /// Your own rule for addresses, instead of `latching`.
    pub path: Option<OwnPath>,
    /// Your own protection of packets, instead of the SRTP that is agreed on.
    pub guard: Option<OwnGuard>,
    /// The capture chain between microphone and call ([`Call::front_end`](super::Call::front_end)): high-pass filter, echo
    /// canceller, noise suppressor, gain control, and a block of your own.
    pub capture: CaptureConfig,
    /// Whether the sound of each stream is measured: levels, clipping, silence and howling of the microphone, of the sent and of
    /// the received sound, in [`CallStats::sound`](super::CallStats::sound) and
    /// [`CallStats::findings`](super::CallStats::findings). This takes 3.4 KB for each stream, and many times the computing time
    /// of a call of PCMU, so it is off by default; a server switches it on for the calls that it wants to know about. Without it
    /// one-way sound is found by packets alone.
    pub metering: bool,
    /// Your own speech detector, which decides when comfort noise is sent ([`comfort_noise`](Self::comfort_noise)). By default this
    /// is the core's energy gate.
    pub detector: Option<OwnDetector>,
    /// Your own strategy for each receiver, which decides how long packets wait and what is played meanwhile. The receiver keeps
    /// it within the bounds of [`delay`](Self::delay).
    pub strategy: Option<OwnStrategy>,
    /// Your own decoders, which are asked before those of the [`registry`](Self::registry): for payload types that no
    /// description names, or to wrap a decoder. A codec that offers and answers are to name belongs into the registry.
    pub decoders: Option<OwnDecoders>,
    /// The number of sources (SSRCs) that are heard at once in each stream, 1 to [`MAX_SOURCES`](super::MAX_SOURCES). Each has a
    /// receiver of its own. With 1, a new source replaces the one before. With more, their sum is heard, as in a conference whose
    /// server forwards packets and doesn't mix them. All sources share one address and one key.
    pub sources: usize,
    /// The most bytes of received payloads that all sources may hold together, counted in the cells of 64 bytes in which they are
    /// stored: at least [`PACKET_BYTES`](super::PACKET_BYTES) for each of `sources`. Beyond this packets are dropped, first those
    /// of the sources with the lowest [priority](super::Call::set_priority) ([`budget`](dsp_core::streams::budget)). With `None`
    /// each source may fill its own receiver.
    pub buffer_bytes: Option<u32>,
    /// The bounds of the receive delay. The default is [`DelayConfig::conversation`].
    pub delay: DelayConfig,
    /// The length of a tick, in which sound is played and captured: 10 ms by default, as the drivers have it.
    pub tick: Duration,
    /// The time after an RTCP goodbye without further RTP or RTCP from the other side, after which
    /// [`Call::should_end`](super::Call::should_end) reports it; on hold it is 30 s at least. The default is 7 s, because a side
    /// that says goodbye at a hold and continues sends within 6.2 s, the longest RTCP interval of two parties (RFC 3550, 6.3.1).
    /// `None` leaves it to signalling.
    pub after_goodbye: Option<Duration>,
    /// The time without RTP or RTCP from the other side, except on hold, after which
    /// [`Call::should_end`](super::Call::should_end) reports it. `None`, the default, leaves it to signalling.
    pub after_silence: Option<Duration>,
    /// The adaptation of the first stream's sending to the network, within the agreement: bit rate, packet length and redundancy.
    /// With `None` only [`Call::adapt`](super::Call::adapt) changes them.
    pub adaptation: Option<AdaptationConfig>,
    /// Whether [`Call::should_end`](super::Call::should_end) reports that the other side's reports show further sending to be
    /// useless (RFC 8083): nothing arrives, far too much is lost for the bit rate, or reports have ceased. It can't decide for a
    /// side that never reports.
    pub circuit_breaker: bool,
    /// The random names and numbers of this side.
    pub identity: Identity,
    /// The wall-clock time at the host's `Instant::ZERO`, for RTCP sender reports.
    pub wall_clock: NtpTime,
}

impl CallConfig {
    /// Creates the defaults, with random names and numbers from the operating system, for a call that receives RTP at this port.
    /// The wall clock is the system's, for a host whose [`Instant`](dsp_core::time::Instant) is zero now, as that of
    /// [`Clock::start`](super::driver::Clock::start) is; otherwise set [`wall_clock`](Self::wall_clock).
    ///
    /// # Errors
    /// [`CallError::Randomness`] when the operating system has no randomness to give.
    pub fn new(rtp_port: u16) -> Result<Self, CallError> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_clock = NtpTime::from_unix_micros(since_1970.as_micros() as u64);
        Ok(Self { wall_clock, ..Self::with_identity(rtp_port, Identity::random()?) })
    }

    /// Creates the defaults, with these names and numbers. The wall clock begins at 2000-01-01, so that sender reports are
    /// repeatable: set [`wall_clock`](Self::wall_clock) where real ones are wanted.
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

    /// Moves each setting to the place where it is used: to the content of offers and answers, or to the settings that are not in
    /// them.
    ///
    /// # Errors
    /// The invalid setting, as for [`Call::new`](super::Call::new).
    pub(super) fn split(self) -> Result<(LocalMedia, CallSettings, Identity), CallError> {
        // All fields are named here: a setting that is not used would do nothing.
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
            // Its candidates are gathered by the owner of the gatherer.
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

/// The part of a call's configuration that is not in a description.
#[derive(Clone)]
pub(super) struct CallSettings {
    /// The certificate, where DTLS is used.
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
    /// Returns whether descriptions may have keys.
    pub(super) fn describes_keys(&self) -> bool {
        #[cfg(feature = "dtls")]
        return self.keying != Keying::Dtls;
        #[cfg(not(feature = "dtls"))]
        true
    }

    /// Adds a stream with these codecs.
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
    /// The same as for [`add_stream`](Self::add_stream); nothing changes then.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_with_random_names_has_the_time_of_day() {
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let config = CallConfig::new(4_000).unwrap();
        let began = NtpTime::from_unix_micros(unix_s * 1_000_000);
        assert!((began..began.plus(Duration::from_secs(60))).contains(&config.wall_clock), "{:?}", config.wall_clock);
    }
}
