//! The sources of a call, each with a receiver of its own; their sum; the alignment of streams of one sender.
//!
//! With one place every sender is heard, and another SSRC takes over after probation, as in a receiver. With more, a table of
//! SSRCs assigns the places (`streams::sources`), `play` returns the sum of all of them, and those with one canonical name are
//! aligned by their sender reports (`sync`). They may share a budget of bytes (`streams::budget`). All memory is allocated when
//! the call is agreed on.

use dsp_core::codec::{OtherPayload, PayloadTable};
use dsp_core::process::mixer::{Mix, Mixer};
use dsp_core::quality::{BurstStats, ReceptionStats, SequenceConfig};
use dsp_core::receive::{Conversation, Fate, Played, ReceiverConfig, ReceiverStats};
use dsp_core::rtcp::Cname;
use dsp_core::streams::budget::{Budget, Priority};
use dsp_core::streams::sources::{Admission, Sources, SourcesConfig, SourcesStats};
use dsp_core::sync::{AlignConfig, ClockMap, StreamTiming, align};
use dsp_core::time::{Duration, Instant, NtpTime, PayloadType, Seq, Ssrc};
use dsp_core::wire::extension::AudioLevel;
use dsp_core::wire::rtcp::{Compound, Packet};
use dsp_core::wire::rtp::RtpPacket;

use super::codecs::Decoders;
use super::conversion::Sound;
use super::extended::Contributors;
use super::need::need;
use crate::receiver::AnyReceiver;
use crate::session::outcome::{CallError, Incoming};
use crate::session::own::BoxedStrategy;
use crate::session::tap::Tap;
use crate::session::transport::Claim;

/// The most sources that a call can hear at once: as many as one RTCP report has blocks for (RFC 3550, 6.4.1).
pub const MAX_SOURCES: usize = 31;

/// The fewest bytes of [`CallConfig::buffer_bytes`](crate::session::CallConfig::buffer_bytes) for one source: those of a packet
/// that fills an Ethernet frame.
pub const PACKET_BYTES: u32 = 1_536;

/// Samples, all channels together, that are mixed in one go.
const CHUNK: usize = 480;
/// The interval at which streams are aligned.
const ALIGN_EVERY: Duration = Duration::from_millis(20);
/// A stream comes 5 ms nearer each time: as much as time stretching makes up.
const ALIGN: AlignConfig = AlignConfig { max_wait: Duration::from_millis(500), max_step: Duration::from_millis(5) };
/// The time for which a source is played after its goodbye: the longest delay, and a fade, after which none of its sound can be
/// left.
const PLAY_OUT: Duration = Duration::from_secs(3);

/// The numbers of one source of the other side: [`Call::sources`](crate::session::Call::sources).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SourceStats {
    /// The source.
    pub ssrc: Ssrc,
    /// The numbers of its receiver.
    pub receiver: ReceiverStats,
    /// The least delay of the source, so that it is heard together with another stream of the same sender; zero if it waits for
    /// none.
    pub least_delay: Duration,
    /// The rate of the sender's sampling clock relative to its wall clock, by its sender reports, in parts per million; positive
    /// if it is faster.
    pub clock_drift_ppm: i32,
    /// The level of its last packet, and whether it contained speech, where that was agreed on (RFC 6464). It is reported when
    /// the packet arrives, and not when it is played.
    pub level: Option<AudioLevel>,
    /// The sources in its last packet and how loud each was, where it is a mixer that reports that (RFC 6465).
    pub contributors: Contributors,
}

/// Whether a report says goodbye for sources that are heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::session) enum Farewell {
    /// The report says goodbye for none.
    None,
    /// The report says goodbye for some of them.
    OneOfSeveral,
    /// The report says goodbye for all that were left.
    Last,
}

/// A receiver, and the known data of its source.
struct Place {
    receiver: AnyReceiver,
    decoders: Decoders,
    strategy: BoxedStrategy,
    priority: Priority,
    clock: ClockMap,
    cname: Option<Cname>,
    /// The delay of the sound that was played last, once there was any; below is the least delay that was set.
    delay: Option<Duration>,
    least_delay: Duration,
    /// Its source has said goodbye: when it is played out.
    ends: Option<Instant>,
}

/// Receivers, one for each source at once.
// The order of fields keeps those together that every tick touches.
#[repr(C)]
pub(super) struct Listening {
    places: Box<[Place]>,
    /// The table of sources; with one place the receiver itself knows its source.
    table: Option<Box<Sources<MAX_SOURCES>>>,
    budget: Option<Budget>,
    next_alignment: Instant,
    config: ReceiverConfig,
    /// The counts of sources that have no place any more.
    ended: Counted,
}

/// The counts of sources, one after the other and at once.
#[derive(Clone, Copy, Default)]
pub(in crate::session) struct Counted {
    pub(in crate::session) receiver: ReceiverStats,
    pub(in crate::session) bursts: BurstStats,
    pub(in crate::session) sources: SourcesStats,
}

impl Counted {
    fn add(&mut self, receiver: &ReceiverStats, bursts: &BurstStats) {
        self.receiver.add(receiver);
        self.bursts.add(bursts);
    }

    /// Adds the counts of earlier receivers.
    pub(in crate::session) fn with_earlier(mut self, earlier: &Self) -> Self {
        self.add(&earlier.receiver, &earlier.bursts);
        self.sources.add(&earlier.sources);
        self
    }

    /// Converts the counts to samples of another rate, in Hz.
    pub(in crate::session) fn at_rate(self, from_hz: u32, to_hz: u32) -> Self {
        Self { receiver: self.receiver.at_rate(from_hz, to_hz), ..self }
    }

    /// Returns the final counts, when the receiver gets no more packets.
    pub(super) fn ended(self) -> Self {
        Self { receiver: self.receiver.ended(), ..self }
    }
}

impl Listening {
    /// Creates one place for each set of decoders and strategy, all of one or two channels.
    pub(super) fn new(
        config: ReceiverConfig,
        channels: u8,
        places: Vec<(Decoders, BoxedStrategy)>,
        own: Ssrc,
        budget: Option<Budget>,
    ) -> Result<Self, CallError> {
        let wanted = SourcesConfig { places: places.len(), own: Some(own), ..SourcesConfig::default() };
        let table = Sources::new(wanted).map_err(CallError::Sources)?;
        let place = |(mut decoders, strategy): (Decoders, BoxedStrategy)| {
            let need = need(&config, channels, decoders.packet_cells(), budget.as_ref());
            let mut receiver = AnyReceiver::with_need(config, channels, need).map_err(CallError::Receiver)?;
            receiver.set_payloads(&mut decoders);
            let clock = ClockMap::new(config.rtp_clock_hz);
            Ok(Place {
                receiver,
                decoders,
                strategy,
                priority: Priority::default(),
                clock,
                cname: None,
                delay: None,
                least_delay: Duration::ZERO,
                ends: None,
            })
        };
        Ok(Self {
            config,
            table: (places.len() > 1).then(|| Box::new(table)),
            budget,
            places: places.into_iter().map(place).collect::<Result<_, CallError>>()?,
            next_alignment: Instant::ZERO,
            ended: Counted::default(),
        })
    }

    /// Returns whether packets of this type have a meaning.
    pub(super) fn knows(&self, payload_type: PayloadType) -> bool {
        self.places.first().is_some_and(|place| place.decoders.knows(payload_type))
    }

    /// Returns whether packets of this type have redundant blocks.
    pub(super) fn is_redundancy(&self, payload_type: PayloadType) -> bool {
        self.places.first().is_some_and(|place| place.decoders.other(payload_type) == OtherPayload::Redundancy)
    }

    /// Takes in decoders of other payload types, a set for each place.
    pub(super) fn add(&mut self, decoders: Vec<Decoders>) {
        for (place, decoders) in self.places.iter_mut().zip(decoders) {
            place.decoders.add(decoders);
            let (cells, budget) = (place.decoders.packet_cells(), self.budget.as_ref());
            place.receiver.grow(need(&self.config, place.receiver.channels(), cells, budget));
            place.receiver.set_payloads(&mut place.decoders);
        }
    }

    /// We send as another source from now on.
    pub(super) fn set_own(&mut self, own: Ssrc) {
        if let Some(table) = &mut self.table {
            table.set_own(Some(own));
        }
    }

    /// Sets the priority of a source until it loses its place; returns whether it has one.
    pub(super) fn set_priority(&mut self, ssrc: Ssrc, priority: Priority) -> bool {
        let index = match &self.table {
            Some(table) => table.place_of(ssrc),
            None => self.places.iter().position(|place| place.receiver.ssrc() == Some(ssrc)),
        };
        if let Some(index) = index {
            self.places[index].priority = priority;
        }
        index.is_some()
    }

    /// Takes in an RTP packet.
    pub(super) fn receive(&mut self, now: Instant, packet: RtpPacket<'_>) -> Incoming {
        let mut index = 0;
        if let Some(table) = &mut self.table {
            index = match table.update(now, packet.ssrc(), packet.seq()) {
                Admission::Heard(index) => index,
                Admission::Returned(index) => {
                    self.places[index].ends = None;
                    index
                }
                Admission::Admitted(index) => {
                    self.places[index].end(&mut self.ended);
                    self.places[index].begin(self.config.rtp_clock_hz);
                    index
                }
                other => return Incoming::Unheard(other),
            };
        }
        let place = &mut self.places[index];
        let received = place.receiver.receive_packet(now, packet);
        if let Some(budget) = &self.budget {
            budget.enforce(&mut self.places, |place| (place.priority, &mut place.receiver));
        }
        match received {
            Ok(received) => Incoming::Audio(received),
            Err(error) => Incoming::Unusable(error),
        }
    }

    /// Takes in what claims to be RTP and is not: the first receiver counts it.
    pub(super) fn receive_malformed(&mut self, now: Instant, datagram: &[u8]) -> Incoming {
        let Some(place) = self.places.first_mut() else { return Incoming::Ignored };
        match place.receiver.receive(now, datagram) {
            Ok(received) => Incoming::Audio(received),
            Err(error) => Incoming::Unusable(error),
        }
    }

    /// Sets the known parameters of the conversation that all sources are part of.
    pub(super) fn set_conversation(&mut self, conversation: &Conversation) {
        for place in &mut self.places {
            place.receiver.set_conversation(conversation);
        }
    }

    /// Forgets all sources: others are heard from now on.
    pub(super) fn forget(&mut self) {
        if let Some(table) = &mut self.table {
            table.clear();
        }
        for place in &mut self.places {
            place.end(&mut self.ended);
            place.begin(self.config.rtp_clock_hz);
        }
    }

    /// Returns whether this source has a place.
    pub(super) fn hears(&self, ssrc: Ssrc) -> bool {
        self.receiver_of(ssrc).is_some()
    }

    /// Returns the evidence of a packet with these numbers for its sender, where it isn't authenticated (RFC 3550, A.1).
    pub(super) fn claim(&self, ssrc: Ssrc, seq: Seq) -> Claim {
        let highest = self.receiver_of(ssrc).and_then(AnyReceiver::highest_seq);
        let Some(highest) = highest else { return Claim::Other(ssrc, seq) };
        let SequenceConfig { max_dropout, .. } = SequenceConfig::default();
        match seq.0.wrapping_sub(highest.0) {
            ahead if (1..max_dropout).contains(&ahead) => Claim::Continues,
            ahead if ahead.wrapping_neg() < max_dropout => Claim::Old,
            _ => Claim::Other(ssrc, seq),
        }
    }

    fn receiver_of(&self, ssrc: Ssrc) -> Option<&AnyReceiver> {
        self.heard().map(|place| &place.receiver).find(|receiver| receiver.ssrc() == Some(ssrc))
    }

    /// Takes in a compound RTCP packet that was found good: clocks, names, goodbyes.
    pub(super) fn report(&mut self, now: Instant, compound: &Compound<'_>) -> Farewell {
        let mut ssrcs = compound.packets().flatten().filter_map(|packet| match packet {
            Packet::Bye(bye) => Some(bye),
            _ => None,
        });
        let mut farewell =
            if ssrcs.any(|bye| bye.ssrcs().any(|ssrc| self.hears(ssrc))) { Farewell::Last } else { Farewell::None };
        let Some(table) = &mut self.table else { return farewell };
        for packet in compound.packets().flatten() {
            match packet {
                Packet::SenderReport(report) => {
                    if let Some(place) = table.place_of(report.ssrc()) {
                        let (info, place) = (report.info(), &mut self.places[place]);
                        place.clock.report(info.ntp, place.receiver.report_time(info.rtp));
                    }
                }
                Packet::Sdes(sdes) => {
                    for (place, ssrc) in table.iter() {
                        if let Some(name) = sdes.cname(ssrc).and_then(|name| str::from_utf8(name).ok()) {
                            self.places[place].cname = Cname::new(name);
                        }
                    }
                }
                Packet::Bye(bye) => {
                    for ssrc in bye.ssrcs() {
                        if let Some(place) = table.leave(now, ssrc) {
                            self.places[place].ends = Some(now + PLAY_OUT);
                        }
                    }
                }
                _ => {}
            }
        }
        if farewell == Farewell::Last && table.iter().next().is_some() {
            farewell = Farewell::OneOfSeveral;
        }
        farewell
    }

    /// Rate and channels of what [`play`](Self::play) gives.
    pub(super) fn sound(&self) -> Sound {
        Sound { rate_hz: self.config.sample_rate_hz, channels: self.first().channels() }
    }

    /// Plays one tick, or a part of one: the one source, or the sum of all. `Played` adds up the counts of each, and has the
    /// largest of their delays. `tap` gets the sound of each.
    pub(super) fn play(&mut self, now: Instant, pcm: &mut [i16], mut tap: Option<&mut dyn Tap>) -> Played {
        if self.table.is_none() {
            let Some(Place { receiver, decoders, strategy, .. }) = self.places.first_mut() else {
                return Played::default();
            };
            let played = receiver.play_with(now, decoders, &mut **strategy, pcm);
            if let (Some(tap), Some(ssrc)) = (tap, receiver.ssrc()) {
                tap.source(now, ssrc, &played, pcm);
            }
            return played;
        }
        if now >= self.next_alignment {
            self.next_alignment = now + ALIGN_EVERY;
            self.align(now);
        }
        let channels = usize::from(self.first().channels());
        let mut all = Played::default();
        if self.places.iter().all(|place| place.receiver.ssrc().is_none()) {
            all.silence = (pcm.len() / channels) as u32;
        }
        let mut at = now;
        let mut mixer = Mixer::<i16, CHUNK>::default();
        for part in pcm.chunks_mut(CHUNK) {
            // There is room for each chunk.
            let Ok(mut mix) = mixer.frame(part.len()) else { continue };
            for place in &mut self.places {
                place.add_to(at, &mut mix, &mut part[..], &mut all, &mut self.ended, tap.as_deref_mut());
            }
            mix.all(part);
            let samples = part.len() / channels;
            at += Duration::from_samples(samples as u64, self.config.sample_rate_hz);
        }
        all
    }

    /// Steers streams with one canonical name to the same moment; the others to none.
    fn align(&mut self, now: Instant) {
        let mut done = 0u32;
        for first in 0..self.places.len() {
            if done >> first & 1 == 1 {
                continue;
            }
            let mut streams = [StreamTiming::default(); MAX_SOURCES];
            let mut members = [0; MAX_SOURCES];
            let mut count = 0;
            for index in first..self.places.len() {
                let (place, other) = (&self.places[first], &self.places[index]);
                let captured = self.captured(index, now);
                let together = place.cname.is_some() && place.cname == other.cname && captured.is_some();
                if index == first || (together && done >> index & 1 == 0) {
                    done |= 1 << index;
                    members[count] = index;
                    streams[count] = StreamTiming {
                        captured: captured.unwrap_or_default(),
                        own_delay: other.receiver.own_delay(),
                        delay: other.delay.unwrap_or(other.receiver.own_delay()),
                        least_delay: other.least_delay,
                    };
                    count += 1;
                    if captured.is_none() {
                        break;
                    }
                }
            }
            align(&ALIGN, &mut streams[..count]);
            for (&index, stream) in members.iter().zip(&streams[..count]) {
                let place = &mut self.places[index];
                place.least_delay = stream.least_delay;
                place.receiver.set_least_delay(stream.least_delay);
            }
        }
    }

    /// Returns the capture time, by its sender's clock, of sound that would arrive now, if reports have contained it.
    fn captured(&self, index: usize, now: Instant) -> Option<NtpTime> {
        let place = &self.places[index];
        self.table.as_ref()?.get(index)?;
        place.clock.capture(place.receiver.media_time(now)?)
    }

    /// Returns the fate of a packet of `ssrc` that was stored; for a source without a receiver nothing waits any more.
    pub(super) fn fate(&self, ssrc: Ssrc, seq: Seq) -> Option<Fate> {
        let place = self.places.iter().find(|place| place.receiver.ssrc() == Some(ssrc));
        place.map_or(Some(Fate::Discarded), |place| place.receiver.fate(seq))
    }

    /// Returns the numbers of each source that is heard.
    pub(super) fn sources(&self) -> impl Iterator<Item = SourceStats> + '_ {
        self.heard().filter_map(|place| {
            let receiver = place.receiver.stats();
            Some(SourceStats {
                ssrc: place.receiver.ssrc()?,
                receiver,
                least_delay: place.least_delay,
                clock_drift_ppm: place.clock.drift_ppm(),
                level: None,
                contributors: Contributors::default(),
            })
        })
    }

    fn heard(&self) -> impl Iterator<Item = &Place> + '_ {
        let taken = |index| self.table.as_ref().is_none_or(|table| table.get(index).is_some());
        self.places.iter().enumerate().filter(move |(index, _)| taken(*index)).map(|(_, place)| place)
    }

    /// Returns the receiver of the first source that is heard; if there is none, one that hears nothing.
    pub(super) fn first(&self) -> &AnyReceiver {
        &self.heard().next().unwrap_or(&self.places[0]).receiver
    }

    /// Returns the counts of all present and former sources. Values of the present are those of the first source that is heard.
    pub(super) fn total(&self) -> Counted {
        let first = self.first().stats();
        let mut total = Counted {
            // Its counts come with those of all.
            receiver: ReceiverStats {
                reception: first.reception,
                target_delay_ms: first.target_delay_ms,
                drift_ppm: first.drift_ppm,
                ..ReceiverStats::default()
            },
            bursts: BurstStats::default(),
            sources: self.table.as_ref().map(|table| table.stats()).unwrap_or_default(),
        };
        total.add(&self.ended.receiver, &self.ended.bursts);
        for place in &self.places {
            total.add(&place.receiver.stats(), &place.receiver.total_bursts());
        }
        total
    }

    /// Returns the report data of the sources that are heard, and their number.
    pub(super) fn reception(&self) -> ([ReceptionStats; MAX_SOURCES], usize) {
        let mut all = [ReceptionStats::default(); MAX_SOURCES];
        let mut count = 0;
        for place in self.heard().filter(|place| place.receiver.ssrc().is_some()) {
            all[count] = place.receiver.stats().reception;
            count += 1;
        }
        (all, count)
    }

    /// Bytes on the heap, without the codecs' own.
    pub(super) fn memory_bytes(&self) -> usize {
        let table = self.table.as_ref().map_or(0, |table| size_of_val(&**table));
        let places = self.places.iter().map(|place| size_of::<Place>() + place.receiver.memory_bytes());
        places.sum::<usize>() + table
    }
}

impl Place {
    /// Ends the source of this place; its counts are added to `ended`.
    fn end(&mut self, ended: &mut Counted) {
        ended.add(&self.receiver.stats().ended(), &self.receiver.total_bursts());
        self.receiver.reset();
    }

    /// Another source has this place.
    fn begin(&mut self, clock_hz: u32) {
        self.priority = Priority::default();
        self.clock = ClockMap::new(clock_hz);
        self.cname = None;
        self.delay = None;
        self.least_delay = Duration::ZERO;
        self.ends = None;
    }

    /// Adds the sound of this source from `at` on, which is made in `pcm`.
    fn add_to(
        &mut self,
        at: Instant,
        mix: &mut Mix<'_, i16>,
        pcm: &mut [i16],
        all: &mut Played,
        ended: &mut Counted,
        tap: Option<&mut dyn Tap>,
    ) {
        if self.ends.is_some_and(|ends| at >= ends) {
            self.end(ended);
            self.ends = None;
        }
        if self.receiver.ssrc().is_none() {
            return;
        }
        let played = self.receiver.play_with(at, &mut self.decoders, &mut *self.strategy, pcm);
        if let (Some(tap), Some(ssrc)) = (tap, self.receiver.ssrc()) {
            tap.source(at, ssrc, &played, pcm);
        }
        let delay = played.playout_delay_us.map(|us| Duration::from_micros(us.into()));
        self.delay = delay.or(self.delay);
        mix.add(pcm);
        add_played(all, &played);
    }
}

/// Adds the counts for another source, or for another part of a tick. Delays are the largest, the timestamp the last.
pub(super) fn add_played(all: &mut Played, played: &Played) {
    all.decoded += played.decoded;
    all.recovered += played.recovered;
    all.concealed += played.concealed;
    all.noise += played.noise;
    all.silence += played.silence;
    all.paused += played.paused;
    all.inserted += played.inserted;
    all.removed += played.removed;
    all.playout_delay_us = all.playout_delay_us.max(played.playout_delay_us);
    all.buffer_delay_us = all.buffer_delay_us.max(played.buffer_delay_us);
    all.timestamp = played.timestamp.or(all.timestamp);
    all.target_delay_ms = all.target_delay_ms.max(played.target_delay_ms);
}
