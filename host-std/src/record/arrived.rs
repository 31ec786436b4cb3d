//! The packets that arrived at a call, each with its fate: for records and reports.

use dsp_core::guard::GuardError;
use dsp_core::receive::Received;
use dsp_core::streams::sources::Admission;
use dsp_core::time::{Instant, Seq, Ssrc};
use dsp_core::wire::DatagramKind;
use dsp_core::wire::rtp::RtpPacket;

use crate::report::PacketOutcome;
use crate::session::{Call, Incoming};

/// One arrived packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArrivedPacket {
    pub(crate) ssrc: Ssrc,
    pub(crate) seq: Seq,
    pub(crate) time: Instant,
    pub(crate) fate: PacketOutcome,
}

/// All of them, by when they arrived. Its three functions are called as those of a [`Tap`](crate::session::Tap).
#[derive(Clone, Debug, Default)]
pub(crate) struct ArrivedPackets {
    packets: Vec<ArrivedPacket>,
    payload_bytes: u64,
    /// The packet that arrived and the bytes of its payload, until the call has taken it in.
    pending: Option<(ArrivedPacket, u64)>,
    /// Places of those in the jitter buffer.
    waiting: Vec<usize>,
}

/// Packets that a jitter buffer holds at most, as far as room is made for them ahead.
#[cfg(feature = "web")]
const WAITING: usize = 1_024;

impl ArrivedPackets {
    /// Reserves room for this many packets, so that arriving packets allocate nothing.
    #[cfg(feature = "web")]
    pub(crate) fn with_room(packets: usize) -> Self {
        let waiting = Vec::with_capacity(WAITING.min(packets));
        Self { packets: Vec::with_capacity(packets), waiting, ..Self::default() }
    }

    pub(crate) fn packets(&self) -> &[ArrivedPacket] {
        &self.packets
    }

    /// Returns the payload bytes of all packets that are kept.
    pub(crate) fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    pub(crate) fn arrived(&mut self, now: Instant, datagram: &[u8]) {
        self.pending = None;
        if DatagramKind::of(datagram) == DatagramKind::Rtp
            && let Ok(packet) = RtpPacket::parse(datagram)
        {
            let (ssrc, seq, fate) = (packet.ssrc(), packet.seq(), PacketOutcome::Refused);
            self.pending = Some((ArrivedPacket { ssrc, seq, time: now, fate }, packet.payload().len() as u64));
        }
    }

    /// Keeps what arrived last. `strangers`: also where it isn't the call's.
    pub(crate) fn received(&mut self, incoming: &Incoming, strangers: bool) {
        let Some((mut packet, bytes)) = self.pending.take() else { return };
        packet.fate = match incoming {
            Incoming::Audio(Received::Stored | Received::Restarted) => {
                self.put_aside(packet.ssrc, packet.seq);
                self.waiting.push(self.packets.len());
                PacketOutcome::Waiting
            }
            Incoming::Audio(Received::Late) => PacketOutcome::Late,
            Incoming::Audio(Received::Duplicate) => PacketOutcome::Duplicate,
            // A repeated packet is refused by SRTP's replay list before the receiver sees it.
            Incoming::Refused(GuardError::Replayed) => PacketOutcome::Duplicate,
            Incoming::Audio(Received::Probation) | Incoming::Unheard(Admission::Probation) => PacketOutcome::Probation,
            Incoming::Unusable(_) => PacketOutcome::Unusable,
            _ => PacketOutcome::Refused,
        };
        if strangers || packet.fate != PacketOutcome::Refused {
            self.packets.push(packet);
            self.payload_bytes += bytes;
        }
    }

    /// Another with this number can't be waiting any more.
    fn put_aside(&mut self, ssrc: Ssrc, seq: Seq) {
        let packets = &mut self.packets;
        self.waiting.retain(|&place| {
            let is_gone = (packets[place].ssrc, packets[place].seq) == (ssrc, seq);
            if is_gone {
                packets[place].fate = PacketOutcome::Discarded;
            }
            !is_gone
        });
    }

    pub(crate) fn settled(&mut self, call: &Call) {
        let packets = &mut self.packets;
        self.waiting.retain(|&place| {
            let packet = &mut packets[place];
            let became = call.fate(packet.ssrc, packet.seq);
            packet.fate = became.map_or(PacketOutcome::Waiting, PacketOutcome::from);
            became.is_none()
        });
    }
}
