//! Transport-wide feedback of a call: the numbers of the sent packets, the arrival times of the other side's packets, and the
//! time of the next feedback.
//!
//! Arrivals are reported 100 ms after the first of them, or with a report that is sent before; by the timing of AVPF, which keeps
//! feedback within RTCP's share of the bandwidth. libwebrtc reports every 50 to 250 ms. One stream's reports carry it for all of
//! the transport. Memory: that of 256 packets each way, once it is agreed on.

use dsp_core::rtcp::transport::{ArrivalLog, DepartureLog, FeedbackStats, MAX_MESSAGE_BYTES, PacketFeedback};
use dsp_core::time::{Duration, Instant, Seq, Ssrc};
use dsp_core::wire::rtcp::{Compound, Feedback, FeedbackMessage, Packet, TransportFeedback};

/// Packets that are remembered each way: 5 s of one stream in packets of 20 ms.
const PACKETS: usize = 256;
/// The delay after which arrivals are reported.
const CADENCE: Duration = Duration::from_millis(100);

/// The feedback of one transport.
pub(super) struct PathFeedback {
    arrivals: ArrivalLog<PACKETS>,
    departures: DepartureLog<PACKETS>,
    /// The time at which waiting arrivals are to be reported, while no message has been requested.
    due: Option<Instant>,
    /// The source of the packets.
    media: Ssrc,
    /// The content of the last message.
    told: Vec<PacketFeedback>,
}

impl PathFeedback {
    pub(super) fn new(first: Seq) -> Box<Self> {
        Box::new(Self {
            arrivals: ArrivalLog::new(),
            departures: DepartureLog::new(first),
            due: None,
            media: Ssrc(0),
            told: Vec::with_capacity(PACKETS),
        })
    }

    /// Returns the number of the next packet to be sent.
    pub(super) fn next(&self) -> Seq {
        self.departures.next()
    }

    /// Records that a packet with this many bytes was sent.
    pub(super) fn depart(&mut self, now: Instant, bytes: usize) {
        self.departures.depart(now, bytes);
    }

    /// A packet of the other side with this number arrived.
    pub(super) fn arrive(&mut self, now: Instant, source: Ssrc, number: Seq) {
        let waited = self.arrivals.pending() > 0;
        self.arrivals.arrive(now, number);
        self.media = source;
        if !waited && self.arrivals.pending() > 0 {
            self.due = Some(now + CADENCE);
        }
    }

    /// Returns when a message is to be asked for, unless it was.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Returns whether a message is to be requested now. It returns `true` once.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        self.due.take_if(|due| *due <= now).is_some()
    }

    /// Returns the next message; see [`left`](Self::left).
    pub(super) fn message<'a>(
        &mut self,
        out: &'a mut [u8; MAX_MESSAGE_BYTES],
    ) -> Option<(Ssrc, TransportFeedback<'a>)> {
        Some((self.media, self.arrivals.write(out)?))
    }

    /// The message left.
    pub(super) fn left(&mut self, now: Instant) {
        self.arrivals.told();
        // More than one message holds.
        self.due = (self.arrivals.pending() > 0).then_some(now + CADENCE);
    }

    /// Takes in the other side's reports on our packets; returns whether there were any.
    pub(super) fn take_in(&mut self, now: Instant, compound: &Compound<'_>) -> bool {
        self.told.clear();
        let Self { departures, told, .. } = self;
        let mut any = false;
        for packet in compound.packets().flatten() {
            if let Packet::Feedback(Feedback { message: FeedbackMessage::Transport(message), .. }) = packet {
                any = true;
                departures.feedback(now, &message, |packet| {
                    // Each remembered packet is reported once or twice: further ones are only in the totals.
                    if told.len() < told.capacity() {
                        told.push(packet);
                    }
                });
            }
        }
        any
    }

    /// Returns each packet about which the last message contained new information.
    pub(super) fn told(&self) -> &[PacketFeedback] {
        &self.told
    }

    pub(super) fn stats(&self) -> FeedbackStats {
        self.departures.stats()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.told.capacity() * size_of::<PacketFeedback>()
    }
}
