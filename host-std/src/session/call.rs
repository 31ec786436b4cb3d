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
use dsp_core::quality::{ReceptionStats, VoipMetricsInput};
use dsp_core::receive::{Fate, Played, ReceiverConfig};
use dsp_core::rtcp::{Cname, ReporterConfig, RtcpReporter, SendInfo};
use dsp_core::send::{HostRedundancy, HostSender, SenderConfig};
use dsp_core::streams::budget::{Budget, Priority};
use dsp_core::streams::sources::{Admission, PlacesError};
use dsp_core::time::{Duration, Instant, Seq, Ssrc};
use dsp_core::wire::DatagramKind;
use dsp_core::wire::rtcp::{Compound, CompoundRule, Packet, WriteError};
use dsp_core::wire::rtp::RtpPacket;

use super::codecs::{self, Decoders, Sending};
use super::config::Spare;
use super::guard::Guard;
use super::keys::OwnKeys;
use super::latch::{Claim, Latch, unmapped};
use super::outcome::{CallError, CallStats, Channel, Ending, Incoming, Missed, Transmit};
use super::quality::{self, Heard};
use super::sources::{Counted, Farewell, Listening, MAX_SOURCES, PACKET_BYTES, SourceStats};
use super::{CallConfig, Identity};
use crate::registry::CodecFormat;
use crate::sdp::{self, Direction, LocalMedia, LocalStream, Negotiated, NegotiatedCodec, NegotiatedStream, SdpError};

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

/// On hold, so long after a goodbye without RTCP the other side is gone (RFC 3550, 6.3.5: five intervals). Whoever says
/// goodbye by RTCP would send it.
const GONE_ON_HOLD: Duration = Duration::from_secs(30);
/// What still comes within this time after a goodbye was sent before it.
const STRAGGLES: Duration = Duration::from_secs(1);
/// Packets with the SSRC that we had before may loop back for so long.
const LOOPS: Duration = Duration::from_secs(2);
/// Addresses that our own SSRC came from: another packet from there is a loop, not a new collision (RFC 3550, 8.2).
const CONFLICTS: usize = 4;
/// An address is no more one of them when nothing came from there for so long (8.2: ten intervals).
const CONFLICT_OVER: Duration = Duration::from_secs(50);

/// The source that we were before.
#[derive(Clone, Copy)]
struct Former {
    ssrc: Ssrc,
    /// The number after the last that we sent.
    next: Seq,
    until: Instant,
}

/// What exists once offer and answer have met.
struct Media {
    negotiated: Negotiated,
    /// The first of its streams.
    stream: NegotiatedStream,
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
    conflicts: [Option<(SocketAddr, Instant)>; CONFLICTS],
    former: Option<Former>,
    /// When the other side was heard last, or signalled.
    alive: Instant,
    /// When it said goodbye, as long as it doesn't go on.
    goodbye: Option<Instant>,
    /// Where we received when this was agreed on.
    here: (IpAddr, u16),
}

/// One side of a call.
pub struct Call {
    config: CallConfig,
    local: LocalMedia,
    keys: OwnKeys,
    offered: Option<String>,
    media: Option<Media>,
    stats: CallStats,
    spare: Spare,
    /// What was counted by receivers that a new offer replaced, in samples of today's rate.
    earlier: Counted,
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
        let mut local = LocalMedia {
            address: config.address,
            rtp_port: config.rtp_port,
            rtcp_port: config.rtcp_port,
            mtu: config.mtu,
            registry: config.registry.clone(),
            rtcp_mux: config.rtcp_mux,
            srtp: config.srtp,
            session: sdp::SessionId { id: config.identity.session_id, ..sdp::SessionId::default() },
            ..LocalMedia::default()
        };
        let stream = LocalStream {
            codecs,
            // Events are not sent or heard yet, so we don't claim them.
            telephone_event: false,
            redundancy: config.redundancy,
            voip_metrics: true,
            ..LocalStream::default()
        };
        local.streams = vec![with_ptime(&local, stream, &config)];
        let spare = config.identity.spare()?;
        let keys = OwnKeys::new(&config.identity, &mut local)?;
        let (stats, earlier) = (CallStats::default(), Counted::default());
        Ok(Self { config, local, keys, offered: None, media: None, stats, spare, earlier })
    }

    /// Our offer, or a new one in a running call.
    ///
    /// # Errors
    /// [`CallError::Sdp`] if the settings can't be offered, [`CallError::Randomness`] when there is none for fresh SRTP
    /// keys.
    pub fn offer(&mut self) -> Result<String, CallError> {
        self.follow_address()?;
        let offer = sdp::offer(&self.local)?;
        if let Some(media) = &mut self.media {
            // The other side may send what is offered before its answer is here.
            let offered = sdp::offered(&offer)?;
            let offered = offered.first().map_or(&[][..], |codecs| codecs);
            media.heard.add(decoders(&self.config, offered, &media.sending)?);
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
        self.follow_address()?;
        let (mut answer, mut negotiated) = sdp::answer(&self.local, offer)?;
        let registry = &self.config.registry;
        let stream = first(&negotiated)?;
        let main = Sending::new(registry, stream, &self.config)?;
        if stream.receive.iter().any(|codec| !main.goes_with(registry, &codec.format)) {
            // A stream keeps its clock (RFC 7160): agree only on codecs that share the best one's, and its sound.
            let mut local = self.local.clone();
            let streams = local.streams.iter_mut();
            streams.for_each(|stream| stream.codecs.retain(|codec| main.goes_with(registry, codec)));
            (answer, negotiated) = sdp::answer(&local, offer)?;
        }
        self.apply(now, negotiated)?;
        self.local.previous = Some(answer.clone());
        self.offered = None;
        Ok(answer)
    }

    /// What we want to do from the next offer or answer on; `SendOnly` puts the other side on hold.
    pub fn set_direction(&mut self, direction: Direction) {
        self.local.streams.iter_mut().for_each(|stream| stream.direction = direction);
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
        let codecs_offered = codecs::offered(&self.config.registry, codecs, &self.config)?;
        let stream = self.local.streams.first().cloned().unwrap_or_default();
        let stream = LocalStream { codecs: codecs_offered, ..stream };
        self.local.streams = vec![with_ptime(&self.local, stream, &self.config)];
        self.config.codecs = codecs.to_vec();
        Ok(())
    }

    /// Fresh SRTP keys of ours from the next offer or answer on.
    ///
    /// # Errors
    /// [`CallError::Randomness`].
    pub fn rekey(&mut self) -> Result<(), CallError> {
        self.keys.renew(&mut self.local)
    }

    /// Another address or port of ours in a running call needs other keys (RFC 4568, 7.1.4).
    fn follow_address(&mut self) -> Result<(), CallError> {
        if self.media.is_some() { self.keys.follow_address(&mut self.local) } else { Ok(()) }
    }

    /// Goes on as another source: after a collision of SSRCs (RFC 3550 8.2), or when a stream is handed over. Sequence
    /// number and timestamp begin anew with those of `identity`, and [`poll`](Self::poll) says goodbye for the source before.
    /// At a collision the call does this by itself, with random numbers.
    ///
    /// # Errors
    /// [`CallError::SourceTaken`] if the other side is that source; [`CallError::SourceReturns`] for a source that has already
    /// sent under the SRTP key in use: its packets would get keystream that was used (RFC 3711, 9.1). Nothing changes then.
    pub fn change_source(&mut self, now: Instant, identity: &Identity) -> Result<(), CallError> {
        if self.media.as_ref().is_some_and(|media| media.heard.hears(identity.ssrc)) {
            return Err(CallError::SourceTaken(identity.ssrc));
        }
        if self.media.as_ref().is_some_and(|media| media.guard.has_sent(identity.ssrc)) {
            return Err(CallError::SourceReturns(identity.ssrc));
        }
        self.config.identity = Identity {
            cname: self.config.identity.cname.clone(),
            keys: self.config.identity.keys.clone(),
            ..identity.clone()
        };
        self.begin_as_source(now);
        Ok(())
    }

    /// Sends as the source of `config.identity` from now on.
    fn begin_as_source(&mut self, now: Instant) {
        let Some(media) = &mut self.media else { return };
        let Identity { ssrc, first_seq, first_timestamp, .. } = self.config.identity;
        let sender = &mut media.sender;
        media.former = Some(Former { ssrc: sender.ssrc(), next: sender.seq(), until: now + LOOPS });
        media.reporter.change_source(now, ssrc, sender.stats().packets);
        media.heard.set_own(ssrc);
        sender.change_source(ssrc, first_seq, first_timestamp);
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

    /// Where we receive, as offers and answers say it from now on.
    pub fn address(&self) -> IpAddr {
        self.local.address
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
        let total = media.heard.total().with_earlier(&self.earlier);
        let stats = CallStats {
            receiver: media.heard.first().stats(),
            total: total.receiver,
            sources: total.sources,
            sender: media.sender.stats(),
            round_trip: media.reporter.round_trip(),
            remote_voip: media.reporter.peer_voip(),
            bursts: total.bursts,
            ..self.stats
        };
        let heard = VoipMetricsInput { bursts: total.bursts, ..self.metrics(media) };
        let Some(quality) = heard.quality() else { return stats };
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

    /// What became of a packet of `ssrc` that was stored (see [`Receiver::fate`](dsp_core::receive::Receiver::fate)).
    pub fn fate(&self, ssrc: Ssrc, seq: Seq) -> Option<Fate> {
        self.media.as_ref().map_or(Some(Fate::Discarded), |media| media.heard.fate(ssrc, seq))
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

    /// Takes in a datagram that arrived at `now` on one of our ports; decrypts it in place. What isn't authenticated is
    /// believed only as far as it parses, was agreed on and comes in sequence.
    pub fn receive(&mut self, now: Instant, channel: Channel, from: SocketAddr, datagram: &mut [u8]) -> Incoming {
        let incoming = self.take_in(now, channel, from, datagram);
        self.stats.count(&incoming);
        incoming
    }

    fn take_in(&mut self, now: Instant, channel: Channel, from: SocketAddr, datagram: &mut [u8]) -> Incoming {
        let Some(media) = &mut self.media else {
            self.stats.early = self.stats.early.saturating_add(1);
            return Incoming::Ignored;
        };
        let from = unmapped(from);
        let kind = DatagramKind::of(datagram);
        let latch = if channel == Channel::Rtp { &mut media.rtp } else { &mut media.rtcp };
        if !latch.may_hear(from) {
            return self.foreign(datagram);
        }
        let unprotected = match (kind, channel) {
            (DatagramKind::Rtp, Channel::Rtp) => media.guard.get().unprotect_rtp(datagram),
            (DatagramKind::Rtcp, Channel::Rtcp) => media.guard.get().unprotect_rtcp(datagram),
            (DatagramKind::Rtcp, Channel::Rtp) if media.negotiated.transport.rtcp_mux => {
                media.guard.get().unprotect_rtcp(datagram)
            }
            _ => return Incoming::Ignored,
        };
        match unprotected {
            Ok(len) if kind == DatagramKind::Rtp => self.receive_rtp(now, from, &mut datagram[..len]),
            Ok(len) => self.receive_rtcp(now, channel, from, &datagram[..len]),
            Err(error) => Incoming::Refused(error),
        }
    }

    /// An RTP packet that the guard let pass.
    fn receive_rtp(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) -> Incoming {
        let Some(media) = &mut self.media else { return Incoming::Ignored };
        let known = RtpPacket::parse(datagram).ok().map(|packet| (packet.ssrc(), packet.seq(), packet.payload_type()));
        if let Some((ssrc, seq, _)) = known
            && media.is_own(now, ssrc, Some(seq))
        {
            return self.own_source(now, Channel::Rtp, from);
        }
        let agreed = known.filter(|(_, _, payload_type)| media.heard.knows(*payload_type));
        let believed = match agreed {
            Some((ssrc, seq, _)) => {
                let claim = if media.guard.protects() { Claim::Authentic } else { media.heard.claim(ssrc, seq) };
                let before = media.rtp.remote();
                let heard = media.rtp.hear(now, from, claim);
                if media.rtp.remote() != before && matches!(claim, Claim::Other(..)) {
                    // Whoever was heard until now was another: nothing of that says anything of this stream.
                    media.heard.forget();
                }
                heard
            }
            // What doesn't parse or was not agreed on is counted by the receiver, and moves nothing.
            None => media.rtp.believes(now, from),
        };
        if !believed {
            return self.foreign(datagram);
        }
        if known.is_some() {
            media.is_heard(now);
            self.stats.last_heard = Some(now);
        }
        if !media.stream.direction.receives() {
            return Incoming::Ignored;
        }
        if media.fresh {
            // Timestamps of the clock before would spoil the new one's delay.
            if agreed.is_none() {
                return Incoming::Ignored;
            }
            media.fresh = false;
        }
        media.heard.receive(now, datagram)
    }

    /// An RTCP packet that the guard let pass.
    fn receive_rtcp(&mut self, now: Instant, channel: Channel, from: SocketAddr, packet: &[u8]) -> Incoming {
        let Some(media) = &mut self.media else { return Incoming::Ignored };
        let Ok(compound) = Compound::parse(packet, CompoundRule::ReportOrBye) else { return Incoming::Ignored };
        let sender = compound.packets().flatten().find_map(|packet| match packet {
            Packet::SenderReport(report) => Some(report.ssrc()),
            Packet::ReceiverReport(report) => Some(report.ssrc()),
            Packet::Bye(bye) => bye.ssrcs().next(),
            _ => None,
        });
        if sender.is_some_and(|ssrc| media.is_own(now, ssrc, None)) {
            return self.own_source(now, channel, from);
        }
        // Without SRTP anybody can write a report: it must come from where the sound comes from, or name its source.
        let claim = match sender {
            _ if media.guard.protects() => Claim::Authentic,
            Some(ssrc) if media.heard.hears(ssrc) => Claim::Continues,
            _ => Claim::Nothing,
        };
        let believed = match channel {
            Channel::Rtcp => media.rtcp.hear(now, from, claim),
            Channel::Rtp => claim == Claim::Authentic || media.rtp.believes(now, from),
        };
        if !believed {
            return self.foreign(packet);
        }
        let Ok(report) = media.reporter.receive(now, packet) else { return Incoming::Ignored };
        if report.collision {
            return self.own_source(now, channel, from);
        }
        self.stats.last_heard = Some(now);
        media.is_heard(now);
        if let Some(remote) = report.reception {
            self.stats.remote_fraction_lost = Some(f32::from(remote.block.fraction_lost) / 256.0);
            let clock = media.sending.rtp_clock_hz() as f32 / 1_000.0;
            self.stats.remote_jitter_ms = Some(remote.block.jitter_ticks as f32 / clock);
        }
        // Where nothing was ever heard, who leaves is whoever sent reports.
        let silent = media.heard.reception().1 == 0;
        match media.heard.report(now, packet) {
            Farewell::None if report.bye && silent => media.goodbye = Some(now),
            Farewell::None => {
                self.stats.foreign_goodbyes += u32::from(says_goodbye(packet));
                return Incoming::Control;
            }
            Farewell::OneOfSeveral => {
                self.stats.goodbyes = self.stats.goodbyes.saturating_add(1);
                return Incoming::Control;
            }
            Farewell::Last => media.goodbye = Some(now),
        }
        self.stats.goodbyes = self.stats.goodbyes.saturating_add(1);
        Incoming::Bye
    }

    /// A datagram that nobody is believed to have sent.
    fn foreign(&mut self, datagram: &[u8]) -> Incoming {
        self.stats.foreign_goodbyes += u32::from(says_goodbye(datagram));
        Incoming::Foreign
    }

    /// A packet that came with our own SSRC: a loop, or a collision, which makes us another source (RFC 3550, 8.2). Where
    /// anybody could write it, only if it comes from where the sound comes from; and from one address only once.
    fn own_source(&mut self, now: Instant, channel: Channel, from: SocketAddr) -> Incoming {
        self.stats.own_source = self.stats.own_source.saturating_add(1);
        let Some(media) = &mut self.media else { return Incoming::Ignored };
        let latch = if channel == Channel::Rtp { &media.rtp } else { &media.rtcp };
        let believed = media.guard.protects() || latch.believes(now, from);
        if believed && media.conflicts_anew(now, from) {
            let taken = loop {
                let numbers = self.spare.draw();
                let is_used = numbers.0 == media.sender.ssrc() || media.guard.has_sent(numbers.0);
                if !is_used && !media.heard.hears(numbers.0) {
                    break numbers;
                }
            };
            let identity = &mut self.config.identity;
            (identity.ssrc, identity.first_seq, identity.first_timestamp) = taken;
            self.stats.source_changes = self.stats.source_changes.saturating_add(1);
            self.begin_as_source(now);
        }
        Incoming::Unheard(Admission::Own)
    }

    /// Counts datagrams that a driver could not pass on.
    pub fn count(&mut self, missed: Missed, datagrams: u32) {
        match missed {
            Missed::Unsent => self.stats.unsent += datagrams,
            Missed::Early => self.stats.early += datagrams,
            Missed::Stale => self.stats.stale += datagrams,
        }
    }

    /// How long nothing has come of the other side, neither RTP nor RTCP; `None` before the call is agreed on, and while
    /// it's on hold.
    pub fn silence(&self, now: Instant) -> Option<Duration> {
        let media = self.media.as_ref()?;
        media.stream.direction.receives().then(|| now.since(media.alive))
    }

    /// Whether the call should end though nobody signalled it: see [`CallConfig::after_goodbye`] and
    /// [`CallConfig::after_silence`].
    pub fn should_end(&self, now: Instant) -> Option<Ending> {
        let media = self.media.as_ref()?;
        if let (Some(goodbye), Some(wait)) = (media.goodbye, self.config.after_goodbye) {
            let wait = if media.stream.direction.receives() { wait } else { wait.max(GONE_ON_HOLD) };
            if now.since(goodbye.max(media.alive)) >= wait {
                return Some(Ending::Goodbye);
            }
        }
        let silence = self.silence(now)?;
        self.config.after_silence.filter(|&wait| silence >= wait).map(|_| Ending::Silence(silence))
    }

    /// This machine slept for so many samples (a channel): time goes on without sound, in both directions.
    pub fn skip(&mut self, samples: usize) {
        let Some(media) = &mut self.media else { return };
        media.sender.pause(samples);
        self.stats.slept = self.stats.slept + Duration::from_samples(samples as u64, media.sending.sample_rate_hz);
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
        if !media.stream.direction.sends() || !media.negotiated.transport.has_remote() {
            media.sender.pause(pcm.len() / usize::from(media.sending.channels));
        } else if media.sender.capture(pcm).is_err() {
            // Packets were not fetched: the tick is lost, but not its time.
            media.sender.pause(pcm.len() / usize::from(media.sending.channels));
            self.stats.send_errors = self.stats.send_errors.saturating_add(1);
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
                None => self.stats.send_errors = self.stats.send_errors.saturating_add(1),
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
        let written = media.reporter.poll(now, &reception[..sources], Some(&info), buffer);
        self.protect_report(written, buffer)
    }

    /// Says goodbye: the last RTCP packet.
    pub fn bye(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        let ((reception, sources), info) = self.report(now)?;
        let media = self.media.as_mut()?;
        let written = media.reporter.bye(now, &reception[..sources], Some(&info), None, buffer);
        self.protect_report(written, buffer)
    }

    /// What was written, protected and addressed. What doesn't fit is counted.
    fn protect_report(&mut self, written: Result<Option<usize>, WriteError>, buffer: &mut [u8]) -> Option<Transmit> {
        let media = self.media.as_mut()?;
        let protected = match written {
            Ok(None) => return None,
            Ok(Some(_)) if !media.negotiated.transport.has_remote() => return None,
            Ok(Some(len)) => media.guard.get().protect_rtcp(buffer, len).ok(),
            Err(_) => None,
        };
        let Some(len) = protected else {
            self.stats.send_errors = self.stats.send_errors.saturating_add(1);
            return None;
        };
        Some(if media.negotiated.transport.rtcp_mux {
            Transmit { len, to: media.rtp.remote(), channel: Channel::Rtp }
        } else {
            Transmit { len, to: media.rtcp.remote(), channel: Channel::Rtcp }
        })
    }

    fn report(&mut self, now: Instant) -> Option<(([ReceptionStats; MAX_SOURCES], usize), SendInfo)> {
        let media = self.media.as_ref()?;
        let metrics = media.stream.send_voip_metrics && media.heard.first().ssrc().is_some();
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
            packet_ms: media.stream.send_ptime_ms,
            reporter: &media.reporter,
        })
    }

    /// Builds the media of a new call, or changes those of a running one.
    fn apply(&mut self, now: Instant, negotiated: Negotiated) -> Result<(), CallError> {
        let registry = &self.config.registry;
        let stream = first(&negotiated)?.clone();
        let sending = Sending::new(registry, &stream, &self.config)?;
        let payload_type = stream.send[0].payload_type;
        let ptime_ms = stream.send_ptime_ms;
        let encoder = sending.encoder(registry)?;
        let decoders = decoders(&self.config, &stream.receive, &sending)?;
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
                guard: Guard::new(negotiated.transport.srtp.as_ref()),
                sender,
                heard: Listening::new(receiver_config, channels, decoders, identity.ssrc, budget)?,
                reporter: Box::new(reporter(identity, now)?),
                rtp: Latch::new(self.config.latching, negotiated.transport.remote_rtp),
                rtcp: Latch::new(self.config.latching, negotiated.transport.remote_rtcp),
                conflicts: [None; CONFLICTS],
                former: None,
                alive: now,
                goodbye: None,
                encoder,
                fresh: false,
                negotiated,
                stream,
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
        let next_identity = if other_clock {
            let mut next = self.config.identity.next()?;
            // Those of a simulation come round.
            while media.guard.has_sent(next.ssrc) || media.heard.hears(next.ssrc) {
                next = next.next()?;
            }
            Some(next)
        } else {
            None
        };
        media.guard.check(negotiated.transport.srtp.as_ref()).map_err(CallError::Keys)?;
        let (old, new) = (media.negotiated.transport.srtp.as_ref(), negotiated.transport.srtp.as_ref());
        let successors = OwnKeys::successors(&self.local, old, new)?;
        let another_encoder = !sending.codes_like(&media.sending);
        if sending != media.sending
            || payload_type != media.stream.send[0].payload_type
            || ptime_ms != media.stream.send_ptime_ms
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
            let before = media.heard.total().ended();
            self.earlier = before.with_earlier(&self.earlier).at_rate(media.sending.sample_rate_hz, sample_rate_hz);
            media.heard = heard;
            media.fresh = true;
        }
        media.heard.add(more);
        media.sending = sending;
        let here = (self.local.address, self.local.rtp_port);
        let moved = negotiated.transport.remote_rtp != media.negotiated.transport.remote_rtp || here != media.here;
        media.here = here;
        media.guard.renew(negotiated.transport.srtp.as_ref(), moved).map_err(CallError::Keys)?;
        successors.put(&mut self.local);
        media.rtp.renegotiated(now, negotiated.transport.remote_rtp);
        media.rtcp.renegotiated(now, negotiated.transport.remote_rtcp);
        // Whoever signals is there, and goes on after the goodbye that some phones say at each new offer.
        (media.alive, media.goodbye) = (now, None);
        (media.negotiated, media.stream) = (negotiated, stream);
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
        if self.stream.least_packet_bytes > mtu {
            return usize::MAX;
        }
        let tag = self.negotiated.transport.srtp.as_ref().map_or(0, |keys| keys.suite.tag_bytes());
        mtu.saturating_sub(sdp::ip_overhead(self.negotiated.transport.remote_rtp.ip()) + tag)
    }

    /// Whether a packet is our own, or of the source that we were just before and still on its way. `seq`: of RTP.
    fn is_own(&self, now: Instant, ssrc: Ssrc, seq: Option<Seq>) -> bool {
        let former = self.former.is_some_and(|former| {
            let sent = |seq: Seq| former.next.0.wrapping_sub(seq.0).wrapping_sub(1) < 1_000;
            former.ssrc == ssrc && now < former.until && seq.is_none_or(sent)
        });
        former || ssrc == self.sender.ssrc()
    }

    /// Takes note that our SSRC came from this address; whether that is new.
    fn conflicts_anew(&mut self, now: Instant, from: SocketAddr) -> bool {
        let rank = |known: &Option<(SocketAddr, Instant)>| match known {
            Some((address, _)) if *address == from => (0, Instant::ZERO),
            None => (1, Instant::ZERO),
            Some((_, when)) => (2, *when),
        };
        let Some(place) = self.conflicts.iter_mut().min_by_key(|known| rank(known)) else { return false };
        let anew = place.is_none_or(|(address, when)| address != from || now.since(when) >= CONFLICT_OVER);
        *place = Some((from, now));
        anew
    }

    /// A packet of the other side came, RTP or RTCP.
    fn is_heard(&mut self, now: Instant) {
        self.alive = now;
        // Whoever goes on after a goodbye has not left.
        self.goodbye = self.goodbye.filter(|goodbye| now.since(*goodbye) < STRAGGLES);
    }
}

/// Whether a datagram is RTCP with a goodbye in it.
fn says_goodbye(datagram: &[u8]) -> bool {
    Compound::parse(datagram, CompoundRule::ReportOrBye)
        .is_ok_and(|compound| compound.packets().flatten().any(|packet| matches!(packet, Packet::Bye(_))))
}

/// The one stream that a call has.
fn first(negotiated: &Negotiated) -> Result<&NegotiatedStream, CallError> {
    negotiated.stream(0).ok_or(CallError::Sdp(SdpError::Local("the first stream is closed")))
}

/// The stream with the packet length that is to be asked for.
fn with_ptime(local: &LocalMedia, stream: LocalStream, config: &CallConfig) -> LocalStream {
    LocalStream { ptime_ms: sdp::offered_ptime_ms(local, &stream, config.ptime_ms), ..stream }
}

/// The decoders of each source that may be heard.
fn decoders(config: &CallConfig, formats: &[NegotiatedCodec], sending: &Sending) -> Result<Vec<Decoders>, CallError> {
    (0..config.sources).map(|_| Decoders::new(&config.registry, formats, sending)).collect()
}
