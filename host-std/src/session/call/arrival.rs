//! The path of a datagram through a call: the transport opens it, the streams determine whose it is, and the path decides whether
//! it is believed.

use std::net::SocketAddr;

use dsp_core::adapt::StreamReport;
use dsp_core::streams::sources::Admission;
use dsp_core::time::{Instant, Seq, Ssrc};
use dsp_core::wire::rtcp::{Compound, CompoundRule, Packet};
use dsp_core::wire::rtp::RtpPacket;

use super::Call;
use crate::session::outcome::{Channel, Incoming};
use crate::session::stream::{Farewell, Stream};
use crate::session::tap::PacketDirection;
#[cfg(feature = "ice")]
use crate::session::transport::Passed;
use crate::session::transport::{Claim, DemultiplexedDatagram, unmapped};

impl Call {
    pub(super) fn take_in(
        &mut self,
        now: Instant,
        channel: Channel,
        from: SocketAddr,
        datagram: &mut [u8],
    ) -> Incoming {
        let from = unmapped(from);
        #[cfg(feature = "ice")]
        if self.take_query_answer(now, from, datagram) {
            return Incoming::Handshake;
        }
        #[cfg(feature = "ice")]
        let (from, datagram) = match self.decapsulate(now, channel, from, datagram) {
            Passed::Not => (from, datagram),
            Passed::Handled => return Incoming::Handshake,
            Passed::Data { peer, range, .. } => (unmapped(peer), &mut datagram[range]),
        };
        let Some(transport) = &mut self.transport else {
            self.stats.early = self.stats.early.saturating_add(1);
            return Incoming::Ignored;
        };
        match transport.open(now, channel, from, datagram) {
            DemultiplexedDatagram::Rtp(packet) => self.receive_rtp(now, from, packet),
            DemultiplexedDatagram::Rtcp(compound) => self.receive_rtcp(now, channel, from, &compound),
            DemultiplexedDatagram::Malformed(datagram) => {
                // A packet that can't be parsed is counted by a receiver, and changes no address.
                if !transport.believes(now, Channel::Rtp, from) {
                    return self.foreign(datagram);
                }
                let first = self.streams.iter_mut().flatten().find(|stream| !stream.is_closed());
                first.map_or(Incoming::Ignored, |stream| stream.receive_malformed(now, datagram))
            }
            DemultiplexedDatagram::Other(Incoming::Foreign, datagram) => self.foreign(datagram),
            DemultiplexedDatagram::Other(incoming, _) => incoming,
        }
    }

    /// An RTP packet that the guard let pass.
    fn receive_rtp(&mut self, now: Instant, from: SocketAddr, packet: RtpPacket<'_>) -> Incoming {
        if let Some(tap) = &mut self.tap {
            tap.packet(now, PacketDirection::In, &packet);
        }
        if let Some(index) = self.own(now, packet.ssrc(), Some(packet.seq())) {
            return self.own_source(now, index, Channel::Rtp, from);
        }
        // Streams of one transport are distinguished by payload type (RFC 9143, 9.2). A packet of a type that was not agreed on
        // is counted by the first stream, and changes no address. A number that one stream had and another one has belongs to the
        // latter.
        let place = |is: fn(&Stream, &RtpPacket<'_>) -> bool| {
            self.streams.iter().position(|stream| stream.as_ref().is_some_and(|stream| is(stream, &packet)))
        };
        let named = self.named(&packet);
        let agreed = match named {
            // A packet that names its stream belongs to no other (RFC 9143, 9.2).
            Some(named) => named.filter(|index| {
                self.streams[*index].as_ref().is_some_and(|stream| stream.expects(&packet) || stream.knows(&packet))
            }),
            None => place(Stream::expects).or_else(|| place(Stream::knows)),
        };
        if named.is_some() && agreed.is_none() {
            return Incoming::Ignored;
        }
        let index = agreed.or_else(|| place(|stream, _| !stream.is_closed()));
        let (Some(transport), Some(Some(stream))) = (&mut self.transport, index.map(|index| &mut self.streams[index]))
        else {
            return Incoming::Ignored;
        };
        let believed = if agreed.is_some() {
            let claim = if transport.authenticates() { Claim::Authentic } else { stream.claim(&packet) };
            let belief = transport.hear(now, from, claim);
            if belief.replaces {
                // The sound that was heard so far doesn't belong to this stream.
                stream.forget();
            }
            belief.believed
        } else {
            transport.believes(now, Channel::Rtp, from)
        };
        if !believed {
            return Incoming::Foreign;
        }
        transport.is_heard(now);
        self.stats.last_heard = Some(now);
        if let Some(number) = stream.number(&packet) {
            transport.is_numbered(now, packet.ssrc(), number);
        }
        let seq = packet.seq();
        let incoming = stream.receive(now, packet, agreed.is_some());
        let adapter = self.network.as_mut().and_then(|network| network.adapter.as_mut());
        if let (Some(0), Some(adapter)) = (agreed, adapter)
            && adapter.arrived(now, seq)
        {
            self.follow_network();
        }
        incoming
    }

    /// The stream that a packet names (RFC 9143, 15), `Some(None)` if there is none of that name; `None` if it names none. With
    /// one stream names say nothing.
    fn named(&self, packet: &RtpPacket<'_>) -> Option<Option<usize>> {
        if self.streams.len() < 2 {
            return None;
        }
        let mut names =
            self.streams.iter().map(|stream| stream.as_ref().filter(|stream| !stream.is_closed())?.is_named(packet));
        let mut named = false;
        let own = names.position(|name| {
            named |= name.is_some();
            name == Some(true)
        });
        named.then_some(own)
    }

    /// Handles an RTCP packet that the guard let pass: all streams read it, and each takes the parts about its own sources.
    fn receive_rtcp(&mut self, now: Instant, channel: Channel, from: SocketAddr, compound: &Compound<'_>) -> Incoming {
        let sender = compound.packets().flatten().find_map(|packet| match packet {
            Packet::SenderReport(report) => Some(report.ssrc()),
            Packet::ReceiverReport(report) => Some(report.ssrc()),
            Packet::Bye(bye) => bye.ssrcs().next(),
            Packet::Feedback(feedback) => Some(feedback.sender),
            _ => None,
        });
        if let Some(index) = sender.and_then(|ssrc| self.own(now, ssrc, None)) {
            return self.own_source(now, index, channel, from);
        }
        let Some(transport) = &mut self.transport else { return Incoming::Ignored };
        // Without SRTP anybody can write a report: it must come from the address that the sound comes from, or name its source.
        let hears = |ssrc| self.streams.iter().flatten().any(|stream| stream.hears(ssrc));
        let claim = match sender {
            _ if transport.authenticates() => Claim::Authentic,
            Some(ssrc) if hears(ssrc) => Claim::Continues,
            _ => Claim::Nothing,
        };
        if !transport.hear_report(now, channel, from, claim) {
            return self.foreign(compound.as_bytes());
        }
        // Where nothing was ever heard, a goodbye is that of the side that sent reports.
        let silent = open(&self.streams).all(Stream::is_silent);
        let (mut bye, mut farewell, mut learnt) = (false, Farewell::None, false);
        let mut tells = false;
        for (index, stream) in self.streams.iter_mut().enumerate() {
            let Some(stream) = stream else { continue };
            let report = transport.take_report(now, index, compound);
            if report.collision {
                return self.own_source(now, index, channel, from);
            }
            bye |= report.bye;
            self.stats.nacked = self.stats.nacked.saturating_add(report.nacked.into());
            self.stats.remote_maximum_bps = report.maximum_bit_rate.or(self.stats.remote_maximum_bps);
            if let Some(remote) = report.reception {
                stream.is_heard();
                stream.set_remote(now, remote.block.fraction_lost, remote.block.jitter_ticks);
                stream.set_round_trip(transport.told(index).and_then(|told| told.round_trip()));
                if index == 0 {
                    tells = true;
                    let told = StreamReport {
                        fraction_lost: remote.block.fraction_lost,
                        extended_highest_seq: remote.block.extended_highest_seq,
                        round_trip: remote.round_trip,
                    };
                    if let Some(network) = &mut self.network {
                        learnt |= network.report(now, &told, stream.remote_jitter());
                    }
                }
            }
            farewell = farewell.max(stream.report(now, compound));
        }
        let is_report = |packet: &Packet<'_>| matches!(packet, Packet::SenderReport(_) | Packet::ReceiverReport(_));
        if let Some(network) = &mut self.network {
            network.heard(now, compound.packets().flatten().any(|packet| is_report(&packet)), tells);
        }
        if transport.take_feedback(now, compound) {
            if let Some(adapter) = self.network.as_mut().and_then(|network| network.adapter.as_mut()) {
                learnt |= adapter.feedback(now, transport.told_packets());
            }
            if let Some(tap) = &mut self.tap {
                tap.feedback(now, transport.told_packets());
            }
        }
        if learnt {
            self.follow_network();
        }
        let Some(transport) = &mut self.transport else { return Incoming::Ignored };
        transport.is_heard(now);
        self.stats.last_heard = Some(now);
        let all_left = open(&self.streams).all(|stream| stream.has_left() || stream.is_silent());
        match farewell {
            Farewell::None if bye && silent => transport.says_goodbye(now),
            Farewell::None => {
                self.stats.foreign_goodbyes += u32::from(says_goodbye(compound));
                return Incoming::Control;
            }
            Farewell::Last if all_left => transport.says_goodbye(now),
            Farewell::OneOfSeveral | Farewell::Last => {
                self.stats.goodbyes = self.stats.goodbyes.saturating_add(1);
                return Incoming::Control;
            }
        }
        self.stats.goodbyes = self.stats.goodbyes.saturating_add(1);
        Incoming::Bye
    }

    /// Adapts the first stream's sending to the network.
    fn follow_network(&mut self) {
        let adapter = self.network.as_mut().and_then(|network| network.adapter.as_mut());
        let (Some(transport), Some(adapter)) = (&mut self.transport, adapter) else { return };
        let Some(stream) = self.streams.first_mut().and_then(Option::as_mut) else { return };
        if let Some(bps) = self.stats.remote_maximum_bps {
            adapter.set_remote_maximum(bps);
        }
        let round_trip = transport.told(0).and_then(|told| told.round_trip());
        if let Some(wanted) = adapter.choose(&stream.options(transport.packet_overhead()), round_trip) {
            adapter.taken(stream.choose(&wanted));
        }
        transport.set_feedback_rate(adapter.rate_bps());
    }

    /// The stream of ours that is this source, or was just before.
    fn own(&self, now: Instant, ssrc: Ssrc, seq: Option<Seq>) -> Option<usize> {
        self.streams.iter().position(|stream| stream.as_ref().is_some_and(|stream| stream.is_own(now, ssrc, seq)))
    }

    /// A packet that came with an SSRC of ours: a loop, or a collision, which makes the stream another source (RFC 3550,
    /// 8.2). Where anybody could write it, only if it comes from where the sound comes from; and from one address only
    /// once.
    fn own_source(&mut self, now: Instant, index: usize, channel: Channel, from: SocketAddr) -> Incoming {
        self.stats.own_source = self.stats.own_source.saturating_add(1);
        let Some(transport) = &mut self.transport else { return Incoming::Ignored };
        let believed = transport.authenticates() || transport.believes(now, channel, from);
        if believed && transport.conflicts_anew(now, from) {
            let source = self.draw_source();
            self.stats.source_changes = self.stats.source_changes.saturating_add(1);
            self.begin_as(now, index, source);
        }
        Incoming::Unheard(Admission::Own)
    }

    /// Counts a datagram whose sender isn't believed.
    fn foreign(&mut self, datagram: &[u8]) -> Incoming {
        let compound = Compound::parse(datagram, CompoundRule::ReportOrBye);
        self.stats.foreign_goodbyes += u32::from(compound.is_ok_and(|compound| says_goodbye(&compound)));
        Incoming::Foreign
    }
}

/// Returns the streams that are there now.
fn open(streams: &[Option<Stream>]) -> impl Iterator<Item = &Stream> {
    streams.iter().flatten().filter(|stream| !stream.is_closed())
}

/// Returns whether a datagram contains an RTCP goodbye.
fn says_goodbye(compound: &Compound<'_>) -> bool {
    compound.packets().flatten().any(|packet| matches!(packet, Packet::Bye(_)))
}
