//! One side of a call, sans-IO: it owns the SDP state, the guard, the streams, the reporter and the codecs.
//!
//! Offer and answer first; then bytes, PCM and the time come in, and bytes and PCM go out, into the caller's buffers:
//!
//! ```text
//! datagram -> receive(now, channel, from, bytes)      play(now, pcm)            -> loudspeaker
//! microphone -> capture(pcm), then packet(buffer)     until there is none       -> network
//! poll(now, buffer) at next_deadline()                RTCP                      -> network
//! ```
//!
//! A later offer (hold, another address, new keys, another codec) changes the running call: streams keep their SSRC
//! unless the RTP clock changed, and the receive road goes on unless the codec's rate changed.

use std::net::{IpAddr, SocketAddr};

use dsp_core::codec::Encoder;
use dsp_core::quality::{Cname, ReceptionStats, ReporterConfig, RtcpReporter, SendInfo, VoipMetricsInput};
use dsp_core::receive::budget::{Budget, Priority};
use dsp_core::receive::sources::PlacesError;
use dsp_core::receive::{Played, ReceiverConfig};
use dsp_core::send::{HostRedundancy, HostSender, SenderConfig};
use dsp_core::time::{Instant, PayloadType, Ssrc};
use dsp_core::wire::DatagramKind;
use dsp_core::wire::rtcp::{Compound, CompoundRule};

use super::codecs::{self, Decoders, Sending};
use super::guard::Guard;
use super::latch::{Latch, unmapped};
use super::outcome::{CallError, CallStats, Channel, Incoming, Transmit};
use super::quality::{self, Heard};
use super::sources::{Listening, MAX_SOURCES, PACKET_BYTES, SourceStats};
use super::{CallConfig, Identity};
use crate::registry::CodecFormat;
use crate::sdp::{self, CryptoLine, CryptoSuite, Direction, LocalMedia, Negotiated, NegotiatedCodec, SrtpPolicy};

fn redundancy(sending: &Sending, level: u8) -> Option<Box<HostRedundancy>> {
    sending.redundancy.map(|payload_type| Box::new(HostRedundancy::new(payload_type, level.into())))
}

fn reporter(identity: &Identity, now: Instant) -> Result<RtcpReporter<MAX_SOURCES>, CallError> {
    let config = ReporterConfig {
        ssrc: identity.ssrc,
        cname: Cname::new(&identity.cname),
        seed: identity.seed,
        ..ReporterConfig::default()
    };
    RtcpReporter::new(config, now).map_err(|_| CallError::Rtcp)
}

/// What exists once offer and answer have met.
struct Media {
    negotiated: Negotiated,
    sending: Sending,
    guard: Guard,
    encoder: Box<dyn Encoder + Send>,
    /// The receivers are new in a running call: packets of the codecs before may still be on their way.
    fresh: bool,
    sender: Box<HostSender>,
    redundancy: Option<Box<HostRedundancy>>,
    heard: Listening,
    reporter: Box<RtcpReporter<MAX_SOURCES>>,
    rtp: Latch,
    rtcp: Latch,
    /// Where we received when this was agreed on.
    here: (IpAddr, u16),
}

/// One side of a call.
pub struct Call {
    config: CallConfig,
    local: LocalMedia,
    offered: Option<String>,
    media: Option<Media>,
    stats: CallStats,
}

impl Call {
    /// A call that has neither offered nor answered yet.
    ///
    /// # Errors
    /// [`CallError::Randomness`] when there is none for the SRTP keys, [`CallError::Codec`] for a codec that the registry
    /// doesn't have, [`CallError::Channels`] for one of more channels than two, [`CallError::Sources`] for none or more than
    /// [`MAX_SOURCES`], [`CallError::BufferBytes`] for a budget that doesn't hold a packet of each.
    pub fn new(config: CallConfig) -> Result<Self, CallError> {
        if config.sources == 0 || config.sources > MAX_SOURCES {
            return Err(CallError::Sources(PlacesError { places: config.sources, max: MAX_SOURCES }));
        }
        let least = PACKET_BYTES * config.sources as u32;
        if let Some(bytes) = config.buffer_bytes.filter(|&bytes| bytes < least) {
            return Err(CallError::BufferBytes { bytes, least });
        }
        if config.redundancy > 4 {
            return Err(CallError::Redundancy(config.redundancy));
        }
        let codecs = codecs::offered(&config.registry, &config.codecs, &config)?;
        let crypto = match (config.srtp, &config.identity.keys) {
            (SrtpPolicy::Off, _) => Vec::new(),
            (_, Some([first, second])) => vec![
                CryptoLine { tag: 1, suite: CryptoSuite::AesCm128HmacSha1_80, key: sdp::MasterKey::new(*first) },
                CryptoLine { tag: 2, suite: CryptoSuite::AesCm128HmacSha1_32, key: sdp::MasterKey::new(*second) },
            ],
            (_, None) => CryptoLine::generate_both().map_err(CallError::Randomness)?,
        };
        let mut local = LocalMedia {
            address: config.address,
            rtp_port: config.rtp_port,
            rtcp_port: config.rtcp_port,
            codecs,
            mtu: config.mtu,
            registry: config.registry.clone(),
            rtcp_mux: config.rtcp_mux,
            // Events are not sent or heard yet, so we don't claim them.
            telephone_event: false,
            redundancy: config.redundancy,
            voip_metrics: true,
            srtp: config.srtp,
            crypto,
            session: sdp::SessionId { id: config.identity.session_id, ..sdp::SessionId::default() },
            ..LocalMedia::default()
        };
        local.ptime_ms = sdp::offered_ptime_ms(&local, config.ptime_ms);
        Ok(Self { config, local, offered: None, media: None, stats: CallStats::default() })
    }

    /// Our offer, or a new one in a running call.
    ///
    /// # Errors
    /// [`CallError::Sdp`] if the settings can't be offered.
    pub fn offer(&mut self) -> Result<String, CallError> {
        let offer = sdp::offer(&self.local)?;
        if let Some(media) = &mut self.media {
            // The other side may send what is offered before its answer is here.
            let offered = sdp::offered(&offer)?;
            media.heard.add(decoders(&self.config, &offered, &media.sending)?);
        }
        self.offered = Some(offer.clone());
        self.local.previous = Some(offer.clone());
        Ok(offer)
    }

    /// Takes the answer to our offer: from now on there is sound.
    ///
    /// # Errors
    /// [`CallError::NoOffer`], or why the answer can't be used; a running call goes on as it was.
    pub fn accept(&mut self, now: Instant, answer: &str) -> Result<(), CallError> {
        let offer = self.offered.as_ref().ok_or(CallError::NoOffer)?;
        let negotiated = sdp::accept(&self.local, offer, answer)?;
        self.apply(now, negotiated)?;
        self.offered = None;
        Ok(())
    }

    /// Takes an offer and returns our answer: from now on there is sound.
    ///
    /// # Errors
    /// Why the offer can't be used; a running call goes on as it was.
    pub fn answer(&mut self, now: Instant, offer: &str) -> Result<String, CallError> {
        let (mut answer, mut negotiated) = sdp::answer(&self.local, offer)?;
        let registry = &self.config.registry;
        let main = Sending::new(registry, &negotiated, &self.config)?;
        if negotiated.receive.iter().any(|codec| !main.goes_with(registry, &codec.format)) {
            // A stream keeps its clock (RFC 7160): agree only on codecs that share the best one's, and its sound.
            let codecs = self.local.codecs.iter().filter(|codec| main.goes_with(registry, codec)).cloned();
            let local = LocalMedia { codecs: codecs.collect(), ..self.local.clone() };
            (answer, negotiated) = sdp::answer(&local, offer)?;
        }
        self.apply(now, negotiated)?;
        self.local.previous = Some(answer.clone());
        self.offered = None;
        Ok(answer)
    }

    /// What we want to do from the next offer or answer on; `SendOnly` puts the other side on hold.
    pub fn set_direction(&mut self, direction: Direction) {
        self.local.direction = direction;
    }

    /// Where we receive from the next offer or answer on.
    pub fn set_address(&mut self, address: IpAddr, rtp_port: u16) {
        self.local.address = address;
        self.local.rtp_port = rtp_port;
    }

    /// Our codecs from the next offer or answer on, the best first. Rate and channels of the call's sound may change
    /// with them, when the offer is answered or the answer accepted: see [`sample_rate_hz`](Self::sample_rate_hz) and
    /// [`channels`](Self::channels).
    ///
    /// # Errors
    /// As for [`new`](Self::new); nothing changes then.
    pub fn set_codecs(&mut self, codecs: &[CodecFormat]) -> Result<(), CallError> {
        self.local.codecs = codecs::offered(&self.config.registry, codecs, &self.config)?;
        self.local.ptime_ms = sdp::offered_ptime_ms(&self.local, self.config.ptime_ms);
        self.config.codecs = codecs.to_vec();
        Ok(())
    }

    /// Fresh SRTP keys of ours from the next offer or answer on.
    ///
    /// # Errors
    /// [`CallError::Randomness`].
    pub fn rekey(&mut self) -> Result<(), CallError> {
        if self.config.srtp != SrtpPolicy::Off {
            self.local.crypto = CryptoLine::generate_both().map_err(CallError::Randomness)?;
        }
        Ok(())
    }

    /// Goes on as another source: after a collision of SSRCs (RFC 3550 8.2), or when a stream is handed over. Sequence
    /// number and timestamp begin anew with those of `identity`.
    ///
    /// # Errors
    /// [`CallError::Rtcp`] if the canonical name is unusable.
    pub fn change_source(&mut self, now: Instant, identity: &Identity) -> Result<(), CallError> {
        self.config.identity =
            Identity { cname: self.config.identity.cname.clone(), keys: self.config.identity.keys, ..identity.clone() };
        let Some(media) = &mut self.media else { return Ok(()) };
        *media.reporter = reporter(&self.config.identity, now)?;
        media.heard.set_own(identity.ssrc);
        media.sender.change_source(identity.ssrc, identity.first_seq, identity.first_timestamp);
        Ok(())
    }

    /// What a source is worth where the budget for all ([`CallConfig::buffer_bytes`]) is too small: whoever has the lowest
    /// priority loses packets first. It lasts as long as the source has its place, and falls with receivers that a new
    /// offer replaces; a newcomer has the default. Whether the source is heard now: if not, nothing changes.
    pub fn set_priority(&mut self, ssrc: Ssrc, priority: Priority) -> bool {
        self.media.as_mut().is_some_and(|media| media.heard.set_priority(ssrc, priority))
    }

    /// What was agreed on; `None` before that.
    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.media.as_ref().map(|media| &media.negotiated)
    }

    /// The codec we send, once agreed on, with the parameters that both sides' come to.
    pub fn codec(&self) -> Option<&CodecFormat> {
        self.media.as_ref().map(|media| &media.sending.agreed)
    }

    /// The most bytes of an IP packet of ours, if the codec has packets so short.
    pub fn mtu(&self) -> u16 {
        self.config.mtu
    }

    /// Rate of the call's sound in Hz, once agreed on: what `capture` takes and `play` gives.
    pub fn sample_rate_hz(&self) -> Option<u32> {
        self.media.as_ref().map(|media| media.sending.sample_rate_hz)
    }

    /// Channels of the call's sound, 1 or 2, once agreed on: what `capture` takes and `play` gives, interleaved.
    pub fn channels(&self) -> Option<u8> {
        self.media.as_ref().map(|media| media.sending.channels)
    }

    /// A snapshot of the numbers.
    pub fn stats(&self) -> CallStats {
        let Some(media) = &self.media else { return self.stats };
        let stats = CallStats {
            receiver: media.heard.first().stats(),
            sources: media.heard.table_stats(),
            sender: media.sender.stats(),
            round_trip: media.reporter.round_trip(),
            remote_voip: media.reporter.peer_voip(),
            bursts: media.heard.first().bursts(),
            ..self.stats
        };
        let Some(quality) = self.metrics(media).quality() else { return stats };
        CallStats {
            mos_lq: Some(quality.mos_lq),
            r_factor: quality.conversation.map(|conversation| conversation.r_factor),
            mos_cq: quality.conversation.map(|conversation| conversation.mos_cq),
            ..stats
        }
    }

    /// The numbers of each source that is heard; no allocation.
    pub fn sources(&self) -> impl Iterator<Item = SourceStats> + '_ {
        self.media.iter().flat_map(|media| media.heard.sources())
    }

    /// Bytes of memory of this call: itself and what it keeps on the heap, without the codecs' own and that of resampling
    /// those that are not the call's.
    pub fn memory_bytes(&self) -> usize {
        let heap = |media: &Media| {
            size_of::<HostSender>()
                + size_of_val(&*media.reporter)
                + media.redundancy.as_deref().map_or(0, size_of_val)
                + media.heard.memory_bytes()
                + media.guard.heap_bytes()
        };
        size_of::<Self>() + self.media.as_ref().map_or(0, heap)
    }

    /// Takes in a datagram that arrived at `now` on one of our ports; decrypts it in place.
    pub fn receive(&mut self, now: Instant, channel: Channel, from: SocketAddr, datagram: &mut [u8]) -> Incoming {
        let Some(media) = &mut self.media else { return Incoming::Ignored };
        let from = unmapped(from);
        let kind = DatagramKind::of(datagram);
        let latch = if channel == Channel::Rtp { &mut media.rtp } else { &mut media.rtcp };
        if !latch.may_hear(from) {
            self.stats.foreign += 1;
            return Incoming::Foreign;
        }
        let unprotected = match (kind, channel) {
            (DatagramKind::Rtp, Channel::Rtp) => media.guard.get().unprotect_rtp(datagram),
            (DatagramKind::Rtcp, Channel::Rtcp) => media.guard.get().unprotect_rtcp(datagram),
            (DatagramKind::Rtcp, Channel::Rtp) if media.negotiated.rtcp_mux => {
                media.guard.get().unprotect_rtcp(datagram)
            }
            _ => return Incoming::Ignored,
        };
        let len = match unprotected {
            Ok(len) => len,
            Err(error) => {
                self.stats.refused += 1;
                return Incoming::Refused(error);
            }
        };
        let packet = &datagram[..len];
        if kind == DatagramKind::Rtp {
            if !latch.hear(now, from) {
                self.stats.foreign += 1;
                return Incoming::Foreign;
            }
            if !media.negotiated.direction.receives() {
                return Incoming::Ignored;
            }
            if media.fresh {
                // Timestamps of the clock before would spoil the new one's delay.
                let payload_type = packet.get(1).map(|&byte| PayloadType::from_low_bits(byte));
                if !payload_type.is_some_and(|payload_type| media.heard.knows(payload_type)) {
                    return Incoming::Ignored;
                }
                media.fresh = false;
            }
            return media.heard.receive(now, &mut datagram[..len]);
        }
        // Without SRTP anybody can write a goodbye: it must come from where the sound comes from.
        if channel == Channel::Rtp && matches!(media.guard, Guard::Plain(_)) && !latch.believes(now, from) {
            self.stats.foreign += 1;
            return Incoming::Foreign;
        }
        // On its own port only reports that parse may move the latch, and none is believed before it is heard.
        if channel == Channel::Rtcp && Compound::parse(packet, CompoundRule::ReducedSize).is_err() {
            return Incoming::Ignored;
        }
        if channel == Channel::Rtcp && !latch.hear(now, from) {
            self.stats.foreign += 1;
            return Incoming::Foreign;
        }
        match media.reporter.receive(now, packet) {
            Ok(report) => {
                if let Some(remote) = report.reception {
                    self.stats.remote_fraction_lost = Some(f32::from(remote.block.fraction_lost) / 256.0);
                    let clock = media.sending.rtp_clock_hz() as f32 / 1_000.0;
                    self.stats.remote_jitter_ms = Some(remote.block.jitter_ticks as f32 / clock);
                }
                let go_on = !report.collision && media.heard.report(now, packet);
                if report.bye && !go_on { Incoming::Bye } else { Incoming::Control }
            }
            Err(_) => Incoming::Ignored,
        }
    }

    /// Plays one tick of any length into `pcm`, heard from `now` on; in stereo it's interleaved. Silence before the call is
    /// agreed on.
    pub fn play(&mut self, now: Instant, pcm: &mut [i16]) -> Played {
        match &mut self.media {
            Some(media) => media.heard.play(now, pcm),
            None => {
                pcm.fill(0);
                Played { silence: pcm.len() as u32, ..Played::default() }
            }
        }
    }

    /// Takes in one tick from the microphone; then ask [`packet`](Self::packet) until there is none.
    /// A tick is at most 120 ms; in stereo it's interleaved.
    pub fn capture(&mut self, pcm: &[i16]) {
        let Some(media) = &mut self.media else { return };
        if !media.negotiated.direction.sends() || !media.negotiated.has_remote() {
            media.sender.pause(pcm.len() / usize::from(media.sending.channels));
        } else if media.sender.capture(pcm).is_err() {
            self.stats.send_errors += 1;
        }
    }

    /// The next finished RTP packet, written to `buffer` and protected; `None` until enough was captured. Bytes of
    /// [`CallConfig::mtu`] are enough for any codec that has packets so short.
    pub fn packet(&mut self, buffer: &mut [u8]) -> Option<Transmit> {
        let media = self.media.as_mut()?;
        let packet = media.packet_bytes(self.config.mtu);
        // Each turn takes a frame out of a bounded packetizer.
        loop {
            let room = buffer.len().saturating_sub(media.guard.get().max_growth()).min(packet);
            let (encoder, datagram) = (&mut *media.encoder, &mut buffer[..room]);
            let written = match &mut media.redundancy {
                Some(redundancy) => media.sender.packet_with_redundancy(encoder, redundancy, datagram),
                None => media.sender.packet(encoder, datagram),
            };
            let sent = written?.ok().and_then(|len| media.guard.get().protect_rtp(buffer, len).ok());
            match sent {
                Some(len) => return Some(Transmit { len, to: media.rtp.remote(), channel: Channel::Rtp }),
                None => self.stats.send_errors += 1,
            }
        }
    }

    /// When to call [`poll`](Self::poll) next; `None` before the call is agreed on.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.media.as_ref().map(|media| media.reporter.next_deadline())
    }

    /// An RTCP report, if one is due at `now`, written to `buffer` and protected.
    pub fn poll(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        if self.next_deadline()? > now {
            return None;
        }
        let ((reception, sources), info) = self.report(now)?;
        let media = self.media.as_mut()?;
        let len = media.reporter.poll(now, &reception[..sources], Some(&info), buffer).ok()??;
        media.protect_report(buffer, len)
    }

    /// Says goodbye: the last RTCP packet.
    pub fn bye(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        let ((reception, sources), info) = self.report(now)?;
        let media = self.media.as_mut()?;
        let len = media.reporter.bye(now, &reception[..sources], Some(&info), None, buffer).ok()??;
        media.protect_report(buffer, len)
    }

    fn report(&mut self, now: Instant) -> Option<(([ReceptionStats; MAX_SOURCES], usize), SendInfo)> {
        let media = self.media.as_ref()?;
        let metrics = media.negotiated.send_voip_metrics && media.heard.first().ssrc().is_some();
        let metrics = metrics.then(|| self.metrics(media).block());
        let media = self.media.as_mut()?;
        media.reporter.set_voip(metrics);
        let stats = media.sender.stats();
        let info = SendInfo {
            ntp: self.config.wall_clock.plus(now.since(Instant::ZERO)),
            rtp: media.sender.timestamp(),
            packets: stats.packets,
            octets: stats.octets,
        };
        Some((media.heard.reception(), info))
    }

    fn metrics(&self, media: &Media) -> VoipMetricsInput {
        quality::metrics(&Heard {
            receiver: media.heard.first(),
            delay: &self.config.delay,
            codec: &media.sending.agreed,
            codec_delay_us: media.sending.delay_us,
            packet_ms: media.negotiated.send_ptime_ms,
            reporter: &media.reporter,
        })
    }

    /// Builds the media of a new call, or changes those of a running one.
    fn apply(&mut self, now: Instant, negotiated: Negotiated) -> Result<(), CallError> {
        let registry = &self.config.registry;
        let sending = Sending::new(registry, &negotiated, &self.config)?;
        let payload_type = negotiated.send[0].payload_type;
        let ptime_ms = negotiated.send_ptime_ms;
        let encoder = sending.encoder(registry)?;
        let decoders = decoders(&self.config, &negotiated.receive, &sending)?;
        let (sample_rate_hz, rtp_clock_hz, channels) =
            (sending.sample_rate_hz, sending.rtp_clock_hz(), sending.channels);
        let budget = self.config.buffer_bytes.map(|bytes| Budget { bytes });
        let receiver_config = ReceiverConfig { sample_rate_hz, rtp_clock_hz, delay: self.config.delay };
        let Some(media) = &mut self.media else {
            let identity = &self.config.identity;
            let sender_config = SenderConfig {
                ssrc: identity.ssrc,
                first_seq: identity.first_seq,
                first_timestamp: identity.first_timestamp,
                payload_type,
                ptime_ms,
            };
            let mut sender = Box::new(HostSender::new(sender_config, &*encoder).map_err(CallError::Sender)?);
            sender.set_comfort_noise(sending.noise);
            self.media = Some(Media {
                redundancy: redundancy(&sending, self.config.redundancy),
                sending,
                guard: Guard::new(negotiated.srtp.as_ref()),
                sender,
                heard: Listening::new(receiver_config, channels, decoders, identity.ssrc, budget)?,
                reporter: Box::new(reporter(identity, now)?),
                rtp: Latch::new(self.config.latching, negotiated.remote_rtp),
                rtcp: Latch::new(self.config.latching, negotiated.remote_rtcp),
                encoder,
                fresh: false,
                negotiated,
                here: (self.local.address, self.local.rtp_port),
            });
            return Ok(());
        };
        let (heard, more) = if sending.sounds_like(&media.sending) {
            (None, decoders)
        } else {
            let own = self.config.identity.ssrc;
            (Some(Listening::new(receiver_config, channels, decoders, own, budget)?), Vec::new())
        };
        // A source has one clock (RFC 7160, 4.1): with another we are another source.
        let other_clock = rtp_clock_hz != media.sending.rtp_clock_hz();
        let next_identity = if other_clock { Some(self.config.identity.next()?) } else { None };
        let another_encoder = !sending.codes_like(&media.sending);
        if sending != media.sending
            || payload_type != media.negotiated.send[0].payload_type
            || ptime_ms != media.negotiated.send_ptime_ms
        {
            media.sender.switch(payload_type, ptime_ms, &*encoder).map_err(CallError::Sender)?;
            media.sender.set_comfort_noise(sending.noise);
            media.redundancy = redundancy(&sending, self.config.redundancy);
        }
        if another_encoder {
            media.encoder = encoder;
        }
        // Within a session a payload type keeps its meaning (RFC 3264, 8.3.2): packets of the codecs before that are
        // still on their way are heard too, if they have the same sound.
        if let Some(heard) = heard {
            media.heard = heard;
            media.fresh = true;
        }
        media.heard.add(more);
        media.sending = sending;
        let here = (self.local.address, self.local.rtp_port);
        let moved = negotiated.remote_rtp != media.negotiated.remote_rtp || here != media.here;
        media.here = here;
        media.guard.renew(negotiated.srtp.as_ref(), moved);
        if negotiated.remote_rtp != media.negotiated.remote_rtp {
            media.rtp.renegotiated(now, negotiated.remote_rtp);
        }
        if negotiated.remote_rtcp != media.negotiated.remote_rtcp {
            media.rtcp.renegotiated(now, negotiated.remote_rtcp);
        }
        media.negotiated = negotiated;
        if let Some(identity) = next_identity {
            self.change_source(now, &identity)?;
        }
        Ok(())
    }
}

impl Media {
    /// The most bytes of an RTP packet before it's protected, within this MTU. A codec that has no packets so short may
    /// have what it takes.
    fn packet_bytes(&self, mtu: u16) -> usize {
        let mtu = usize::from(mtu);
        if self.negotiated.least_packet_bytes > mtu {
            return usize::MAX;
        }
        let tag = self.negotiated.srtp.as_ref().map_or(0, |keys| keys.suite.tag_bytes());
        mtu.saturating_sub(sdp::ip_overhead(self.negotiated.remote_rtp.ip()) + tag)
    }

    fn protect_report(&mut self, buffer: &mut [u8], len: usize) -> Option<Transmit> {
        if !self.negotiated.has_remote() {
            return None;
        }
        let len = self.guard.get().protect_rtcp(buffer, len).ok()?;
        Some(if self.negotiated.rtcp_mux {
            Transmit { len, to: self.rtp.remote(), channel: Channel::Rtp }
        } else {
            Transmit { len, to: self.rtcp.remote(), channel: Channel::Rtcp }
        })
    }
}

/// The decoders of each source that may be heard.
fn decoders(config: &CallConfig, formats: &[NegotiatedCodec], sending: &Sending) -> Result<Vec<Decoders>, CallError> {
    (0..config.sources).map(|_| Decoders::new(&config.registry, formats, sending)).collect()
}
