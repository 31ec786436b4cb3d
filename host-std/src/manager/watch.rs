//! The conditions of a call that are worth an event, evaluated from its statistics ten times a second and after each agreement.
//!
//! Nothing is measured here. Quality is that of the last five seconds ([`Interval`]); it has one threshold to fall below and a
//! higher one to recover, so that a call on the border is not reported again and again.

use dsp_core::guard::srtp::KeyAge;
use dsp_core::time::{Duration, Instant};

use super::EventKind;
use crate::monitoring::Interval;
use crate::registry::CodecFormat;
use crate::session::{Call, CallStats, PacketDirection};

/// The thresholds at which a [`MediaManager`](super::MediaManager) or a [`Session`](super::Session) reports events.
///
/// ```
/// use dsp_core::time::Duration;
/// use host_std::manager::{ManagerConfig, Watching};
///
/// let mut watching = Watching::default();
/// watching.no_packets = Duration::from_secs(2);
/// let mut config = ManagerConfig::new()?;
/// config.watching = watching;
/// # Ok::<(), host_std::session::CallError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Watching {
    /// The time without a packet after which [`EventKind::NoPackets`] is reported.
    pub no_packets: Duration,
    /// The listening MOS of the last 5 s (1 to 4.5) below which [`EventKind::QualityPoor`] is reported.
    pub poor_mos: f64,
    /// The MOS above which [`EventKind::QualityGood`] is reported after that.
    pub good_mos: f64,
    /// The time that an offer may wait for its answer: after that, a first offer ends its session, and a later one is taken back.
    pub unanswered: Duration,
    /// The most events of one session that can wait to be fetched.
    pub places: usize,
}

impl Default for Watching {
    /// 5 s without packets; poor below a MOS of 3.1, where nearly all users are dissatisfied (ITU-T G.107, Annex B), and good
    /// above 3.6; 185 s for an answer, a little more than a proxy lets a phone ring (timer C: RFC 3261, 16.6); 64 events.
    fn default() -> Self {
        Self {
            no_packets: Duration::from_secs(5),
            poor_mos: 3.1,
            good_mos: 3.6,
            unanswered: Duration::from_secs(185),
            places: 64,
        }
    }
}

/// The window that quality is that of.
const WINDOW: Duration = Duration::from_secs(5);
/// Fewer packets in it say nothing.
const LEAST_PACKETS: u64 = 50;
/// Findings of one-way sound that there can be.
const ONE_WAY: usize = 4;

/// The state of one call that was reported.
#[derive(Default)]
pub(super) struct Watch {
    heard: bool,
    silent: bool,
    held: bool,
    keys_due: bool,
    poor: bool,
    keyed: u32,
    source_changes: u32,
    codec_switches: u32,
    adaptations: u32,
    codec: Option<CodecFormat>,
    one_way: [Option<&'static str>; ONE_WAY],
    /// The time at which the window began, and the numbers at that time.
    since: Option<Instant>,
    before: Box<CallStats>,
}

impl Watch {
    /// Looks at a call, and reports what is new.
    pub(super) fn look(&mut self, now: Instant, call: &Call, watching: &Watching, mut tell: impl FnMut(EventKind)) {
        let stats = call.stats();
        if !self.heard && stats.total.received > 0 {
            self.heard = true;
            tell(EventKind::FirstPacket);
        }
        let silence = call.silence(now).filter(|silence| *silence >= watching.no_packets);
        match (self.silent, silence) {
            (false, Some(silence)) => {
                self.silent = true;
                tell(EventKind::NoPackets(silence));
            }
            // A call that was put on hold is no longer silent, but its packets haven't returned either.
            (true, None) => {
                self.silent = false;
                if call.silence(now).is_some() {
                    tell(EventKind::PacketsAgain);
                }
            }
            _ => {}
        }
        for finding in stats.findings().filter(|finding| finding.name().starts_with("one_way")) {
            let name = finding.name();
            if self.one_way.contains(&Some(name)) {
                continue;
            }
            if let Some(place) = self.one_way.iter_mut().find(|place| place.is_none()) {
                *place = Some(name);
                tell(EventKind::OneWay(finding));
            }
        }
        if changed(&mut self.source_changes, stats.total.ssrc_changes) {
            tell(EventKind::SourceChanged);
        }
        if changed(&mut self.codec_switches, stats.total.codec_switches) {
            tell(EventKind::CodecChanged(PacketDirection::In));
        }
        if let Some(adaptation) = stats.adaptation
            && changed(&mut self.adaptations, adaptation.changes)
        {
            tell(EventKind::Adapted(adaptation));
        }
        if changed(&mut self.keyed, stats.keyed) && stats.keyed > 1 {
            tell(EventKind::KeysChanged);
        }
        let due = call.key_age() == KeyAge::Due;
        if due && !self.keys_due {
            tell(EventKind::KeysDue);
        }
        self.keys_due = due;
        self.weigh(now, &stats, watching, tell);
    }

    /// Offer and answer came to something.
    pub(super) fn agreed(&mut self, call: &Call, mut tell: impl FnMut(EventKind)) {
        let wants = call.wanted_direction(0).is_some_and(|wanted| wanted.sends());
        let may = call.negotiated_stream(0).is_some_and(|agreed| agreed.direction.sends())
            && call.negotiated_transport().is_some_and(|transport| transport.has_remote());
        let held = wants && !may;
        if wants && held != self.held {
            self.held = held;
            tell(if held { EventKind::RemoteHold } else { EventKind::RemoteResume });
        }
        if call.codec() != self.codec.as_ref() {
            let before = std::mem::replace(&mut self.codec, call.codec().cloned());
            if before.is_some() {
                tell(EventKind::CodecChanged(PacketDirection::Out));
            }
        }
    }

    /// Returns whether the other side has us on hold.
    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// Returns when the call has to be looked at even if no packet comes.
    pub(super) fn deadline(&self, now: Instant, call: &Call, watching: &Watching) -> Option<Instant> {
        let silence = call.silence(now).filter(|_| !self.silent)?;
        Some(now - silence + watching.no_packets)
    }

    fn weigh(&mut self, now: Instant, stats: &CallStats, watching: &Watching, mut tell: impl FnMut(EventKind)) {
        if self.since.is_some_and(|since| now.since(since) < WINDOW) {
            return;
        }
        let (is_first, before) = (self.since.replace(now).is_none(), std::mem::replace(&mut *self.before, *stats));
        if is_first {
            return;
        }
        let interval = Interval::between(&before, stats);
        let Some(mos) = interval.mos_lq.filter(|_| interval.bursts.expected >= LEAST_PACKETS) else { return };
        if !self.poor && mos < watching.poor_mos {
            self.poor = true;
            tell(EventKind::QualityPoor(mos));
        } else if self.poor && mos > watching.good_mos {
            self.poor = false;
            tell(EventKind::QualityGood(mos));
        }
    }
}

/// Returns whether a counter increased.
fn changed(known: &mut u32, now: u32) -> bool {
    std::mem::replace(known, now) != now
}
