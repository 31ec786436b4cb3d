//! What a call's first stream sends, made to follow the network: the core's [`adapt`](dsp_core::adapt) between the reports that come
//! in and the stream's settings; and when the call is to be given up (RFC 8083).
//!
//! Transport-wide feedback tells most and is followed where it comes; reports are, where none has come for 3 s. A bit rate that the
//! peer asks for (REMB) is a bound. What is chosen is within what was agreed on, as with [`Call::adapt`](super::Call::adapt). The other
//! streams of a call stay as they are. Nothing is allocated while it runs: there is room for the longest packets from the start.
//!
//! Whoever knows better puts an [`AdaptationPolicy`] in: it hears what was seen of the network, and chooses of what was agreed on.

use dsp_core::adapt::{
    BreakerConfig, Capacity, Choice, CircuitBreaker, CodecRate, Conditions, Hopeless, InBand, Observation,
    PacketWindow, Phase, RateBounds, ReceptionWindow, ReportWindow, Settings, StreamReport,
};
use dsp_core::codec::{Adaptation, InBandRedundancy};
use dsp_core::quality::{CodecImpairment, LossImpairment};
use dsp_core::rtcp::transport::PacketFeedback;
use dsp_core::time::{Duration, Instant, Seq};

use crate::sdp::BandwidthLimits;

/// Reports are followed where feedback has been missing for so long.
const FEEDBACK_FOR: Duration = Duration::from_secs(3);
/// Where feedback on packets, or at first anything, has been missing for so long, what arrives here shows what arrives there; and where
/// reports have, of which one is due every 2.5 to 7.5 s.
const UNTOLD: Duration = Duration::from_millis(1_500);
const UNREPORTED: Duration = Duration::from_secs(8);
/// It shows that too much is sent where so many packets are lost, in 256ths of a percent.
const TROUBLE: u32 = 25 * PERCENT;
/// What a conversation's delay is taken to be beside half the round trip, in ms: jitter buffer and devices.
const OTHER_DELAY_MS: u32 = 60;
/// A percent of loss, as the core counts it.
const PERCENT: u32 = 256;
/// Lengths of packets that are chosen among, in ms.
pub(super) const PACKETS_MS: [u16; 3] = [20, 40, 60];
/// What Opus loses at low bit rates against the best that it has: PESQ-WB of speech at 16 kHz, on the scale of R. The mean of four
/// voices, as `tests/quality/adapt.py --rates` has it.
const OPUS_RATES: [CodecRate; 10] = [
    CodecRate { bps: 8_000, ie_tenths: 389 },
    CodecRate { bps: 10_000, ie_tenths: 256 },
    CodecRate { bps: 12_000, ie_tenths: 176 },
    CodecRate { bps: 14_000, ie_tenths: 120 },
    CodecRate { bps: 16_000, ie_tenths: 86 },
    CodecRate { bps: 20_000, ie_tenths: 36 },
    CodecRate { bps: 24_000, ie_tenths: 32 },
    CodecRate { bps: 32_000, ie_tenths: 21 },
    CodecRate { bps: 48_000, ie_tenths: 0 },
    CodecRate { bps: 64_000, ie_tenths: 0 },
];
/// What losses take off, on the same scale: 39, 53 and 66 of R at 5, 10 and 20 percent, at any bit rate (measured as above).
const OPUS_LOSS: CodecImpairment = CodecImpairment { ie: 0.0, bpl: 8.0 };
/// Opus' copy of the packet before: there is none at 16 kbit/s; from 18 on it makes up for 68 to 81 percent of losses that are
/// independent, and costs as much as a third of the bit rate would (measured as above).
const OPUS_FEC: InBand = InBand { from_bps: 18_000, keeps: 44, recovers: 48, reach: 1 };
/// The loss that Opus is told to expect, in percent, wherever there are copies. With 5 there are none below 24 kbit/s; with more they
/// take more bits than they give back, even where 20 percent are lost (PESQ-WB at 18 to 32 kbit/s, in packets of 20 and 60 ms, with 5,
/// 10 and 20 percent lost: best at 10, or .03 below).
const OPUS_FEC_PERCENT: u8 = 10;
/// Opus' Deep Redundancy, 100 ms of it: below 32 kbit/s there may be none. Nearly every lost packet is in one of the next two that
/// come, and sounds as if a third of it were missing still; the cost is that of FEC (`tests/quality/adapt.py --rates --dred 100`).
const OPUS_DRED: InBand = InBand { from_bps: 32_000, keeps: 44, recovers: 43, reach: 2 };

/// How a call adapts what it sends to the network: [`CallConfig::adaptation`](super::CallConfig::adaptation).
///
/// ```
/// use host_std::session::{AdaptationConfig, CallConfig};
///
/// // Never more than 64 kbit/s, headers included.
/// let adaptation = Some(AdaptationConfig { first_bps: 48_000, most_bps: 64_000, ..AdaptationConfig::default() });
/// let config = CallConfig { adaptation, ..CallConfig::new(4000)? };
/// # let _ = config;
/// # Ok::<(), host_std::session::CallError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptationConfig {
    /// The lowest bit rate while somebody speaks, in bit/s with IP, UDP and RTP headers.
    pub least_bps: u32,
    /// The bit rate with which the call begins, in bit/s with headers.
    pub first_bps: u32,
    /// The highest bit rate, in bit/s with headers.
    pub most_bps: u32,
}

impl Default for AdaptationConfig {
    /// 14 to 90 kbit/s, at first 50: packets of Opus at 32 kbit/s.
    fn default() -> Self {
        Self { least_bps: 14_000, first_bps: 50_000, most_bps: 90_000 }
    }
}

impl AdaptationConfig {
    /// The defaults, with room for this many repeated payloads in each packet ([`redundancy`](super::CallConfig::redundancy)).
    pub fn with_copies(copies: u8) -> Self {
        let most = Self::default().most_bps;
        Self { most_bps: most * (1 + u32::from(copies)), ..Self::default() }
    }
}

/// Your own policy for what an adapting call sends: [`Call::set_adaptation_policy`](super::Call::set_adaptation_policy).
///
/// By default each method does what the call does without a policy, so write only those that you want to change. Both are called
/// between two packets: they should take microseconds and must not wait.
///
/// ```
/// use dsp_core::adapt::{Choice, Conditions, Settings};
/// use host_std::session::AdaptationPolicy;
///
/// /// Never longer packets than 20 ms, whatever the bandwidth.
/// struct ShortPackets;
///
/// impl AdaptationPolicy for ShortPackets {
///     fn choose(&mut self, settings: &Settings<'_>, conditions: &Conditions, running: Option<Choice>) -> Option<Choice> {
///         Settings { packets_ms: &[20], ..*settings }.choose(conditions, running)
///     }
/// }
/// ```
pub trait AdaptationPolicy: Send {
    /// Returns the bit rate to send from now on, in bit/s with headers. `seen` is what is known of the network up to `now`, and
    /// `would_be` is the rate that the call would choose. The result is kept within what was agreed on and within
    /// [`AdaptationConfig`].
    fn rate_bps(&mut self, now: Instant, seen: &Observation, would_be: u32) -> u32 {
        let _ = (now, seen);
        would_be
    }

    /// Chooses from `settings`, everything that the codec and the description allow, for `conditions`, whose rate is what
    /// [`rate_bps`](Self::rate_bps) returned. `running` is what is sent now. Where this returns `None`, or something that isn't
    /// allowed, the call chooses by itself.
    fn choose(&mut self, settings: &Settings<'_>, conditions: &Conditions, running: Option<Choice>) -> Option<Choice> {
        settings.choose(conditions, running)
    }
}

/// What an adapting call does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdaptationStats {
    /// The bit rate that may be sent, in bit/s with headers.
    pub rate_bps: u32,
    /// Whether the rate rises, holds or falls.
    pub phase: Phase,
    /// The loss, in percent, that isn't caused by sending too much.
    pub random_loss_percent: u8,
    /// What was done of the last choice; a field is `None` if the codec has no such setting.
    pub taken: Adaptation,
    /// How many earlier payloads each packet repeats (RFC 2198).
    pub copies: u8,
    /// How often the choice has changed.
    pub changes: u32,
}

/// What a stream lets one choose.
pub(super) struct StreamOptions {
    /// A codec of many bit rates with redundancy of its own.
    pub(super) is_opus: bool,
    pub(super) in_band: InBandRedundancy,
    /// The bit rate of another one.
    pub(super) packet_bps: u32,
    pub(super) max_ptime_ms: u32,
    /// What the other side wants at most.
    pub(super) bandwidth: BandwidthLimits,
    /// How many payloads before its own a packet repeats at least and at most (RFC 2198).
    pub(super) copies: [u8; 2],
    /// Of a packet, headers and tags included.
    pub(super) header_bytes: u16,
    pub(super) loss: LossImpairment,
}

/// What a stream is asked for.
#[derive(Clone, Copy)]
pub(super) struct WantedAdaptation {
    pub(super) codec: Adaptation,
    /// Payloads that each packet repeats.
    pub(super) copies: u8,
}

/// Follows the network for one stream.
pub(super) struct Adapter {
    capacity: Capacity,
    packets: PacketWindow,
    reports: ReportWindow,
    reception: ReceptionWindow,
    /// Whether a report came, and whether losses of what arrives here have lowered the rate since anything was told.
    reported: bool,
    stands_in: bool,
    /// When the last feedback on packets came.
    told: Option<Instant>,
    /// Packets behind a lost one, and of them those that were lost.
    behind: (u32, u32),
    was_lost: bool,
    config: AdaptationConfig,
    /// What the peer can take (REMB).
    remote_maximum_bps: u32,
    /// The shortest round trip: what is longer is a queue, and a choice that looks at that would help to fill it.
    least_round_trip: Option<Duration>,
    choice: Option<Choice>,
    taken: Adaptation,
    changes: u32,
    policy: Option<Box<dyn AdaptationPolicy>>,
    /// What the policy wants to be sent, in bit/s.
    policy_bps: Option<u32>,
}

impl Adapter {
    pub(super) fn new(config: AdaptationConfig) -> Self {
        let bounds = RateBounds { least_bps: config.least_bps, most_bps: config.most_bps };
        Self {
            capacity: Capacity::new(bounds, config.first_bps),
            packets: PacketWindow::new(),
            reports: ReportWindow::new(),
            reception: ReceptionWindow::new(),
            reported: false,
            stands_in: false,
            told: None,
            behind: (0, 0),
            was_lost: false,
            config,
            remote_maximum_bps: u32::MAX,
            least_round_trip: None,
            choice: None,
            taken: Adaptation::default(),
            changes: 0,
            policy: None,
            policy_bps: None,
        }
    }

    pub(super) fn set_policy(&mut self, policy: Box<dyn AdaptationPolicy>) {
        (self.policy, self.policy_bps) = (Some(policy), None);
    }

    fn observe(&mut self, now: Instant, seen: &Observation) {
        self.capacity.observe(now, seen);
        if let Some(policy) = &mut self.policy {
            self.policy_bps = Some(policy.rate_bps(now, seen, self.capacity.rate_bps()));
        }
    }

    /// What may be sent, in bit/s with headers.
    pub(super) fn rate_bps(&self) -> u32 {
        self.policy_bps.map_or(self.capacity.rate_bps(), |bps| self.capacity.bounds().clamp(bps))
    }

    /// Feedback on packets; whether anything was learnt.
    pub(super) fn feedback(&mut self, now: Instant, packets: &[PacketFeedback]) -> bool {
        let mut learnt = false;
        for packet in packets {
            self.told = Some(now);
            self.reception.told(now);
            self.stands_in = false;
            let lost = packet.queued.is_none();
            if self.was_lost {
                self.behind = (self.behind.0 + u32::from(lost), self.behind.1 + 1);
                if self.behind.1 >= 128 {
                    self.behind = (self.behind.0 / 2, self.behind.1 / 2);
                }
            }
            self.was_lost = lost;
            if let Some(seen) = self.packets.hear(now, packet) {
                self.observe(now, &seen);
                learnt = true;
            }
        }
        learnt
    }

    /// A report on the stream; whether anything was learnt.
    pub(super) fn report(&mut self, now: Instant, report: &StreamReport, jitter: Duration) -> bool {
        let seen = self.reports.hear(now, report.fraction_lost, report.round_trip, jitter);
        (self.reported, self.stands_in) = (true, false);
        self.reception.told(now);
        let fresh = self.told.is_some_and(|told| now.since(told) < FEEDBACK_FOR);
        let Some(seen) = seen.filter(|seen: &Observation| !fresh && seen.duration > Duration::ZERO) else {
            return false;
        };
        self.observe(now, &seen);
        true
    }

    /// A packet of the stream with this number arrived here; whether anything was learnt. As long as nothing is told, losses of what
    /// arrives here lower the rate as those that are told do.
    pub(super) fn arrived(&mut self, now: Instant, number: Seq) -> bool {
        let patience = if self.told.is_none() && self.reported { UNREPORTED } else { UNTOLD };
        let is_lowered = matches!(self.capacity.phase(), Phase::Emptying | Phase::Trying);
        let Some(seen) = self.reception.hear(now, number, patience) else { return false };
        self.stands_in = seen.loss >= TROUBLE || self.stands_in && is_lowered;
        if !self.stands_in {
            return false;
        }
        self.observe(now, &seen);
        true
    }

    /// The peer can take so much and no more (REMB).
    pub(super) fn set_remote_maximum(&mut self, bps: u64) {
        self.remote_maximum_bps = u32::try_from(bps).unwrap_or(u32::MAX);
    }

    /// Another description: delays are measured anew, nothing bounds what the peer takes, and all that is chosen is asked for again.
    fn agreed(&mut self) {
        (self.packets, self.reports) = (PacketWindow::new(), ReportWindow::new());
        (self.reception, self.reported, self.stands_in, self.told) = (ReceptionWindow::new(), false, false, None);
        (self.remote_maximum_bps, self.least_round_trip) = (u32::MAX, None);
        (self.choice, self.was_lost) = (None, false);
        self.policy_bps = None;
    }

    /// What the stream is to be asked for, if it's something else than before.
    pub(super) fn choose(&mut self, options: &StreamOptions, round_trip: Option<Duration>) -> Option<WantedAdaptation> {
        let one = [CodecRate { bps: options.packet_bps, ie_tenths: 0 }];
        let lengths = PACKETS_MS.iter().take_while(|&&ms| u32::from(ms) <= options.max_ptime_ms).count().max(1);
        let settings = Settings {
            rates: if options.is_opus { &OPUS_RATES } else { &one },
            packets_ms: &PACKETS_MS[..lengths],
            copies: options.copies,
            most_payload_bps: options.bandwidth.payload_bps.unwrap_or(u32::MAX),
            header_bytes: options.header_bytes,
            loss: if options.is_opus { OPUS_LOSS.into() } else { options.loss },
            in_band: match options.in_band {
                InBandRedundancy::Fec => Some(OPUS_FEC),
                InBandRedundancy::Deep => Some(OPUS_DRED),
                _ => None,
            },
        };
        // Below what the codec needs at least there is nothing to steer.
        let least_bps = settings.least_bps().max(self.config.least_bps);
        let wanted_bps = options.bandwidth.session_bps.unwrap_or(u32::MAX);
        let most_bps = self.config.most_bps.min(self.remote_maximum_bps).min(wanted_bps).max(least_bps);
        self.capacity.set_bounds(RateBounds { least_bps, most_bps });
        let loss = self.capacity.random_loss();
        let behind = (100 * PERCENT * self.behind.0).checked_div(self.behind.1).unwrap_or(0).max(loss);
        self.least_round_trip = self.least_round_trip.into_iter().chain(round_trip).min();
        let half = self.least_round_trip.map_or(0, |time| (time.as_micros() / 2_000).min(10_000) as u32);
        let conditions =
            Conditions { rate_bps: self.rate_bps(), loss, loss_behind: behind, delay_ms: half + OTHER_DELAY_MS };
        let own = self.policy.as_mut().and_then(|policy| policy.choose(&settings, &conditions, self.choice));
        let own = own.filter(|choice| settings.allows(choice));
        let choice = own.or_else(|| settings.choose(&conditions, self.choice))?;
        self.capacity.set_steps(settings.needs_bps(&choice), settings.next_bps(&conditions, &choice));
        let expected = match options.in_band {
            _ if !choice.in_band => 0,
            InBandRedundancy::Fec => OPUS_FEC_PERCENT,
            _ => conditions.expected_loss_percent().max(1),
        };
        let before = self.choice.replace(choice);
        let copies = choice.copies;
        let mut wanted = Adaptation::default().with_packet_ms(choice.packet_ms.into());
        if options.is_opus {
            wanted = wanted.with_bit_rate(choice.bps).with_expected_loss(expected);
        }
        if before == Some(choice) && is_near(wanted.expected_loss_percent, self.taken.expected_loss_percent) {
            return None;
        }
        self.changes = self.changes.saturating_add(1);
        Some(WantedAdaptation { codec: wanted, copies })
    }

    pub(super) fn taken(&mut self, taken: Adaptation) {
        self.taken = taken;
    }

    pub(super) fn stats(&self) -> AdaptationStats {
        AdaptationStats {
            rate_bps: self.rate_bps(),
            phase: self.capacity.phase(),
            random_loss_percent: (self.capacity.random_loss() / PERCENT).min(100) as u8,
            taken: self.taken,
            copies: self.choice.map_or(0, |choice| choice.copies),
            changes: self.changes,
        }
    }
}

/// Whether an expected loss is near enough to the one that the encoder has: half as much or twice as much is heard, little more isn't.
fn is_near(new: Option<u8>, taken: Option<u8>) -> bool {
    let (new, taken) = (new.unwrap_or(0), taken.unwrap_or(0));
    new == taken || taken > 0 && (taken / 2..=taken.saturating_mul(2)).contains(&new) && new > 0
}

/// What a call's first stream knows of the network.
pub(super) struct CongestionControl {
    pub(super) adapter: Option<Adapter>,
    breaker: CircuitBreaker,
    hopeless: Option<Hopeless>,
    is_breaking: bool,
}

impl CongestionControl {
    /// Where a call follows the network, or may be given up.
    pub(super) fn new(adaptation: Option<AdaptationConfig>, is_breaking: bool) -> Option<Box<Self>> {
        if adaptation.is_none() && !is_breaking {
            return None;
        }
        let breaker = CircuitBreaker::new(BreakerConfig::default());
        Some(Box::new(Self { adapter: adaptation.map(Adapter::new), breaker, hopeless: None, is_breaking }))
    }

    /// A packet of so many bytes left, under headers of so many.
    pub(super) fn sent(&mut self, now: Instant, bytes: usize, headers: usize) {
        self.breaker.sent(now, bytes);
        if let Some(adapter) = &mut self.adapter {
            adapter.reports.sent(bytes + headers);
            adapter.reception.sent(bytes + headers);
        }
    }

    /// RTCP came: with reports, of which some tell of the stream or none does, or without.
    pub(super) fn heard(&mut self, now: Instant, has_reports: bool, tells: bool) {
        if !has_reports {
            self.breaker.heard(now);
        } else if !tells {
            self.breaker.untold();
        }
    }

    /// A report on the stream; whether anything was learnt.
    pub(super) fn report(&mut self, now: Instant, report: &StreamReport, jitter: Duration) -> bool {
        self.hopeless = self.breaker.report(now, report);
        self.adapter.as_mut().is_some_and(|adapter| adapter.report(now, report, jitter))
    }

    /// Another description: what was seen of the network before was perhaps another's.
    pub(super) fn agreed(&mut self) {
        self.breaker = CircuitBreaker::new(BreakerConfig::default());
        self.hopeless = None;
        if let Some(adapter) = &mut self.adapter {
            adapter.agreed();
        }
    }

    /// Why sending on is hopeless, where that ends a call; `quiet` is how long nothing has come.
    pub(super) fn hopeless(&self, now: Instant, quiet: Duration) -> Option<Hopeless> {
        if !self.is_breaking {
            return None;
        }
        self.hopeless.or_else(|| self.breaker.poll(now, quiet))
    }
}
