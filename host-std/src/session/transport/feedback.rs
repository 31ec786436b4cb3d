//! Transport-wide feedback of a call: the numbers of the packets that leave, when those of the other side arrived, and when that
//! is told.
//!
//! What has arrived is told 100 to 250 ms after the first of it, or after the report that leaves before: the later, the less may be
//! sent, so that it takes about 5 % of it. The timing of AVPF keeps it within RTCP's share of the bandwidth besides. libwebrtc tells each
//! 50 to 250 ms. One stream's reports carry it for all of the
//! transport. Memory: what 256 packets each way take, once it is agreed on.

use dsp_core::rtcp::transport::{ArrivalLog, DepartureLog, FeedbackStats, MAX_MESSAGE_BYTES, PacketFeedback};
use dsp_core::time::{Duration, Instant, Seq, Ssrc};
use dsp_core::wire::rtcp::{Compound, Feedback, FeedbackMessage, Packet, TransportFeedback};

/// Packets that are remembered each way: 5 s of one stream in packets of 20 ms.
const PACKETS: usize = 256;
/// How much later what arrived is told, at least and at most, in ms.
const CADENCE_MS: [u64; 2] = [100, 250];
/// Bits of a message with its headers.
const MESSAGE_BITS: u64 = 8 * 70;
/// The part of what may be sent that messages take.
const SHARE: u64 = 20;
/// A report leaves this close behind a packet of the media, or so much later than it might: as long as the longest packets.
const BEHIND: Duration = Duration::from_millis(5);
const HOLD: Duration = Duration::from_millis(120);
/// Feedback that is older than this counts as none.
const HEARD: Duration = Duration::from_millis(1_500);

/// The feedback of one transport.
pub(super) struct PathFeedback {
    arrivals: ArrivalLog<PACKETS>,
    departures: DepartureLog<PACKETS>,
    /// How much later what arrived is told.
    cadence: Duration,
    /// When what waits is to be told, as long as nobody was asked to.
    due: Option<Instant>,
    /// Whose packets they are.
    media: Ssrc,
    /// When the last packet of this side's media left, and when the other side told of any last.
    media_left: Option<Instant>,
    heard: Option<Instant>,
    /// What the last message told.
    told: Vec<PacketFeedback>,
}

impl PathFeedback {
    pub(super) fn new(first: Seq) -> Box<Self> {
        Box::new(Self {
            arrivals: ArrivalLog::new(),
            departures: DepartureLog::new(first),
            cadence: Duration::from_millis(CADENCE_MS[0]),
            due: None,
            media: Ssrc(0),
            media_left: None,
            heard: None,
            told: Vec::with_capacity(PACKETS),
        })
    }

    /// Keeps messages within their share of what may be sent, in bit/s. Returns how much later arrivals are reported, in ms, and
    /// whether that is the most.
    pub(super) fn set_rate(&mut self, bps: u32) -> (u32, bool) {
        let ms = (1_000 * MESSAGE_BITS * SHARE / u64::from(bps.max(1))).clamp(CADENCE_MS[0], CADENCE_MS[1]);
        self.cadence = Duration::from_millis(ms);
        (ms as u32, ms >= CADENCE_MS[1])
    }

    /// The number of the packet that leaves next.
    pub(super) fn next(&self) -> Seq {
        self.departures.next()
    }

    /// Notes that a packet of this many bytes has left, with the [next number](Self::next) or without any.
    pub(super) fn depart(&mut self, now: Instant, bytes: usize, numbered: bool) {
        if numbered {
            self.departures.depart(now, bytes);
            self.media_left = Some(now);
        } else {
            self.departures.depart_unnumbered(bytes);
        }
    }

    /// A packet of the other side with this number arrived.
    pub(super) fn arrive(&mut self, now: Instant, source: Ssrc, number: Seq) {
        let waited = self.arrivals.pending() > 0;
        self.arrivals.arrive(now, number);
        self.media = source;
        if !waited && self.arrivals.pending() > 0 {
            self.due = Some(now + self.cadence);
        }
    }

    /// When a message is to be asked for, unless it was.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a message is to be asked for now. It's told once.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        self.due.take_if(|due| *due <= now).is_some()
    }

    /// What is to be told; see [`left`](Self::left).
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
        self.wait(now);
    }

    /// A report left without a message: what waits is told later.
    pub(super) fn wait(&mut self, now: Instant) {
        self.due = (self.arrivals.pending() > 0).then_some(now + self.cadence);
    }

    /// When a report leaves at the latest that is due at `due`. It waits for a packet of the media and leaves
    /// [behind it](Self::is_behind_media), since on a narrow link it takes as long as one: until the next there is room. Where the
    /// other side tells nothing, the link may have a full queue, which never has room behind a packet: then nothing is held back.
    pub(super) fn latest(&self, due: Instant) -> Instant {
        let is_near = |at: Option<Instant>, time: Duration| at.is_some_and(|at| due.since(at) <= time);
        if is_near(self.media_left, HOLD) && is_near(self.heard, HEARD) { due + HOLD } else { due }
    }

    /// Whether a packet of this side's media has just left.
    pub(super) fn is_behind_media(&self, now: Instant) -> bool {
        self.media_left.is_some_and(|left| now.since(left) <= BEHIND)
    }

    /// Takes in what the other side tells of our packets; whether it told anything.
    pub(super) fn take_in(&mut self, now: Instant, compound: &Compound<'_>) -> bool {
        self.told.clear();
        let Self { departures, told, .. } = self;
        let mut any = false;
        for packet in compound.packets().flatten() {
            if let Packet::Feedback(Feedback { message: FeedbackMessage::Transport(message), .. }) = packet {
                any = true;
                self.heard = Some(now);
                departures.feedback(now, &message, |packet| {
                    // Each packet that is remembered is news once or twice: what is beyond is in the numbers.
                    if told.len() < told.capacity() {
                        told.push(packet);
                    }
                });
            }
        }
        any
    }

    /// Of each packet that the last message told something new of.
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
