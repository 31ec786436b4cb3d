//! The events that occur in sessions by themselves: they wait in a queue of fixed length, which counts those for which it had no
//! room.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dsp_core::time::{Duration, Instant};
use tokio::sync::mpsc;

use super::DialogId;
use crate::session::{AdaptationStats, CallDigit, CallTone, Ending, Finding, PacketDirection};

/// Something that happened in a dialog without anybody having asked for it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The dialog.
    pub dialog: DialogId,
    /// The time at which it happened, on the host's clock.
    pub at: Instant,
    /// The event itself.
    pub kind: EventKind,
}

/// An event in a dialog. Its `Display` is text for a log or a user, without names, numbers, digits and addresses.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// The first RTP packet of the other side has come.
    FirstPacket,
    /// No packet, neither RTP nor RTCP, has come from the other side for this time, although it isn't on hold.
    NoPackets(Duration),
    /// Packets come again after [`NoPackets`](Self::NoPackets).
    PacketsAgain,
    /// Sound goes in one direction only. The finding's `Display` says what is wrong. Each kind of finding is reported once a
    /// call.
    OneWay(Finding),
    /// The other side has put us on hold: `a=sendonly`, `a=inactive` or the address `0.0.0.0`.
    RemoteHold,
    /// The other side wants to hear us again.
    RemoteResume,
    /// The other side's sound comes from another source (SSRC).
    SourceChanged,
    /// The codec has changed in this direction.
    CodecChanged(PacketDirection),
    /// A digit began or ended.
    Digit(CallDigit),
    /// A tone of a call's progress, or of a fax, began or ended.
    Tone(CallTone),
    /// The last 5 s sounded bad: their listening MOS is this, below [`Watching::poor_mos`](super::Watching::poor_mos).
    QualityPoor(f64),
    /// The last 5 s sounded good again: their MOS is this, above [`Watching::good_mos`](super::Watching::good_mos).
    QualityGood(f64),
    /// Our sending was adapted to the network: bit rate, packet length or redundancy has changed.
    Adapted(AdaptationStats),
    /// A recording ended before it was finished.
    RecordingEnded,
    /// The device is lost. There is silence while attempts are made to open it again.
    DeviceLost,
    /// The device is back after [`DeviceLost`](Self::DeviceLost).
    DeviceBack,
    /// The SRTP keys have changed.
    KeysChanged,
    /// An SRTP key is nearly used up. Without a new offer the call will end.
    KeysDue,
    /// Our later offer was not answered in time and was taken back.
    OfferExpired,
    /// The session ended by itself: the SIP stack should send a BYE.
    Ended(WhyEnded),
}

/// The reason why a session ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyEnded {
    /// The call itself gives this reason.
    Call(Ending),
    /// Our first offer was not answered within [`Watching::unanswered`](super::Watching::unanswered).
    Unanswered,
    /// The socket failed.
    Socket,
    /// The device failed for good.
    Device,
}

/// The text is for a log or a user: it contains no name, number, digit or address.
impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstPacket => f.write_str("the first packet has come"),
            Self::NoPackets(silence) => {
                write!(f, "nothing has come of the other side for {:.1} s", silence.as_micros() as f64 / 1e6)
            }
            Self::PacketsAgain => f.write_str("packets of the other side come again"),
            Self::OneWay(finding) => finding.fmt(f),
            Self::RemoteHold => f.write_str("the other side has put us on hold"),
            Self::RemoteResume => f.write_str("the other side hears us again"),
            Self::SourceChanged => f.write_str("another source of the other side is heard"),
            Self::CodecChanged(PacketDirection::In) => f.write_str("what comes in has another codec"),
            Self::CodecChanged(PacketDirection::Out) => f.write_str("what goes out has another codec"),
            Self::Digit(_) => f.write_str("a digit has come"),
            Self::Tone(_) => f.write_str("a tone has come"),
            Self::QualityPoor(mos) => write!(f, "the last seconds sounded bad: a MOS of {mos:.1}"),
            Self::QualityGood(mos) => write!(f, "it sounds well again: a MOS of {mos:.1}"),
            Self::Adapted(adaptation) => {
                write!(f, "what is sent follows the network: up to {:.0} kbit/s", f64::from(adaptation.rate_bps) / 1e3)
            }
            Self::RecordingEnded => f.write_str("a recording has ended before its time"),
            Self::DeviceLost => f.write_str("the sound device is lost, and is looked for"),
            Self::DeviceBack => f.write_str("the sound device is back"),
            Self::KeysChanged => f.write_str("the SRTP keys are others than before"),
            Self::KeysDue => f.write_str("an SRTP key is nearly used up: a new offer is needed, or the call will end"),
            Self::OfferExpired => f.write_str("our offer was not answered in time, and the call goes on as it was"),
            Self::Ended(why) => write!(f, "the call has ended: {why}"),
        }
    }
}

impl fmt::Display for WhyEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call(ending) => ending.reason().words,
            Self::Unanswered => "nobody has answered",
            Self::Socket => "the socket failed",
            Self::Device => "the sound device failed",
        })
    }
}

/// The events of all sessions of a manager, to be fetched by one task. If they aren't fetched the sessions continue, and events
/// for which there is no room are dropped and counted.
pub struct Events {
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) dropped: Arc<AtomicU64>,
}

impl Events {
    /// Returns the next event, in the order of each session; `None` once the manager and all its sessions are gone.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Returns the next event, if one is there.
    pub fn try_next(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Returns the number of events for which there was no room; they are lost.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Events that wait to be fetched.
#[derive(Debug)]
pub(super) struct Queue {
    events: VecDeque<Event>,
    places: usize,
    dropped: u64,
}

impl Queue {
    /// Creates a queue with this many places.
    pub(super) fn new(places: usize) -> Self {
        Self { events: VecDeque::with_capacity(places), places, dropped: 0 }
    }

    /// Adds an event; without room the oldest is dropped and counted.
    pub(super) fn push(&mut self, event: Event) {
        if self.events.len() >= self.places {
            self.dropped += 1;
            if self.events.pop_front().is_none() {
                return;
            }
        }
        self.events.push_back(event);
    }

    /// The oldest.
    pub(super) fn pop(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns the number of events for which there was no room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_counted_and_the_newest_stays() {
        let mut queue = Queue::new(3);
        let event = |ms| Event {
            dialog: DialogId::new("a", "b", "c"),
            at: Instant::from_millis(ms),
            kind: EventKind::PacketsAgain,
        };
        (0..5).for_each(|ms| queue.push(event(ms)));
        assert_eq!((queue.dropped(), queue.pop().map(|event| event.at)), (2, Some(Instant::from_millis(2))));
        assert!(queue.pop().is_some() && queue.pop().is_some() && queue.is_empty());
        let mut none = Queue::new(0);
        none.push(event(1));
        assert!(none.pop().is_none() && none.dropped() == 1);
    }
}
