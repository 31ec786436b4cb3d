//! Sources: which SSRCs are played, in a table of fixed size that a flood of forged SSRCs cannot take over (RFC 3550,
//! 6.2.1, 8.2 and A.1).
//!
//! A source proves itself by packets in sequence (A.1) and then gets one of `PLACES` places, which usually is the
//! index of a receiver. It keeps its place until it says goodbye, or until it was silent for a while and another
//! source needs the place. While it proves itself, a source is one of eight candidates. If there are more, a newcomer
//! replaces a random one. So during a flood a true source, which keeps sending, is admitted later instead of never. A
//! packet with this side's own SSRC is reported as a loop or a collision (8.2).
//!
//! Check the authentication of packets before: with SRTP, only those who have the key can flood at all. [`Sources`]
//! has an example. It takes 24 bytes for each place and 200 bytes in all; a packet costs one pass over places and
//! candidates.
//!
//! A socket that carries more than it should:
//!
//! ```
//! use dsp_core::streams::sources::{Admission, Sources, SourcesConfig};
//! use dsp_core::time::{Instant, Seq, Ssrc};
//!
//! let config = SourcesConfig { own: Some(Ssrc(9)), ..SourcesConfig::default() };
//! let mut sources = Sources::<1>::new(config)?;
//! let now = Instant::from_millis(1_000);
//! sources.update(now, Ssrc(1), Seq(5));
//! assert_eq!(sources.update(now, Ssrc(1), Seq(6)), Admission::Admitted(0));
//! // This side's own packets come back, and somebody sends with random SSRCs.
//! assert_eq!(sources.update(now, Ssrc(9), Seq(70)), Admission::Own);
//! for n in 100..200 {
//!     assert_eq!(sources.update(now, Ssrc(n), Seq(n as u16)), Admission::Probation);
//! }
//! // The first source is not disturbed.
//! assert_eq!(sources.update(now, Ssrc(1), Seq(7)), Admission::Heard(0));
//! # Ok::<(), dsp_core::streams::sources::PlacesError>(())
//! ```

use core::fmt;

use crate::time::{Duration, Instant, Seq, Ssrc};

const CANDIDATES: usize = 8;
/// A candidate that was silent for this long is removed.
const CANDIDATE_SILENCE: Duration = Duration::from_secs(2);
/// For this long after its goodbye, packets of a source are late ones and not a new beginning (6.2.1).
const LINGER: Duration = Duration::from_secs(2);
/// Packets in sequence by which a source shows that it goes on after its goodbye: more than are still on their way.
const GOES_ON: u8 = 5;

/// Settings of a table of [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SourcesConfig {
    /// Number of places in use, 1 to `PLACES`.
    pub places: usize,
    /// SSRC with which this side sends.
    pub own: Option<Ssrc>,
    /// Number of packets in sequence after which a source is admitted. With 0 or 1, the first packet is enough.
    pub min_sequential: u8,
    /// How long a source must be silent before another one can take its place.
    pub idle: Duration,
}

impl Default for SourcesConfig {
    /// One place, two packets in sequence (RFC 3550, A.1), and 10 s of silence.
    fn default() -> Self {
        Self { places: 1, own: None, min_sequential: 2, idle: Duration::from_secs(10) }
    }
}

/// The table cannot be made: the number of places is not between 1 and `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PlacesError {
    /// Number of places that was asked for.
    pub places: usize,
    /// Number of places that the table has.
    pub max: usize,
}

impl fmt::Display for PlacesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} places for sources, 1 to {} are possible", self.places, self.max)
    }
}

impl core::error::Error for PlacesError {}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Admission {
    /// Pass it to the receiver with this place.
    Heard(usize),
    /// The source has this place from now on: reset the receiver, whose former source has ended, and pass the packet
    /// to it.
    Admitted(usize),
    /// The source has this place again: it said goodbye and goes on all the same, as some phones do at every hold.
    /// Reset the receiver and pass the packet to it.
    Returned(usize),
    /// The source has to prove itself first. Drop the packet.
    Probation,
    /// The source has proved itself, but all places are taken. Drop the packet.
    Full,
    /// The source said goodbye shortly before. Drop the packet.
    Gone,
    /// The packet has this side's own SSRC: there is a loop, or a collision.
    Own,
}

/// Counters of a table of [`Sources`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SourcesStats {
    /// Sources that were given a place.
    pub admitted: u32,
    /// Sources that lost their place to another one, after a silence.
    pub replaced: u32,
    /// Sources that said goodbye.
    pub left: u32,
    /// Sources that went on after their goodbye. They count as admitted too.
    pub returned: u32,
    /// Packets of sources that had not proved themselves.
    pub probation: u64,
    /// Packets of sources that had proved themselves and found no place.
    pub full: u64,
    /// Packets of sources that had said goodbye.
    pub gone: u64,
    /// Packets with this side's own SSRC.
    pub own: u64,
}

impl SourcesStats {
    /// Adds the counters of another table.
    pub fn add(&mut self, other: &Self) {
        self.admitted = self.admitted.saturating_add(other.admitted);
        self.replaced = self.replaced.saturating_add(other.replaced);
        self.left = self.left.saturating_add(other.left);
        self.returned = self.returned.saturating_add(other.returned);
        self.probation += other.probation;
        self.full += other.full;
        self.gone += other.gone;
        self.own += other.own;
    }

    /// Number of packets that were not passed to any receiver.
    pub const fn unheard(&self) -> u64 {
        self.probation + self.full + self.gone + self.own
    }
}

#[derive(Clone, Copy)]
enum Place {
    Free,
    /// Who has it, and when it was last heard.
    Taken(Ssrc, Instant),
    /// Who had it, and when it said goodbye.
    Left(Ssrc, Instant),
}

#[derive(Clone, Copy)]
struct Candidate {
    ssrc: Ssrc,
    /// The sequence number that it must send next, and how many were right so far.
    next: Seq,
    right: u8,
    heard: Instant,
}

/// The sources of one call.
///
/// A source proves itself by two packets in sequence, and its goodbye gives its place to the next one:
///
/// ```
/// use dsp_core::streams::sources::{Admission, Sources, SourcesConfig};
/// use dsp_core::time::{Instant, Seq, Ssrc};
///
/// let mut sources = Sources::<1>::new(SourcesConfig { places: 1, ..SourcesConfig::default() })?;
/// let now = Instant::from_millis(1_000);
/// assert_eq!(sources.update(now, Ssrc(1), Seq(5)), Admission::Probation);
/// assert_eq!(sources.update(now, Ssrc(1), Seq(6)), Admission::Admitted(0));
/// assert_eq!(sources.leave(now, Ssrc(1)), Some(0));
/// sources.update(now, Ssrc(2), Seq(90));
/// assert_eq!(sources.update(now, Ssrc(2), Seq(91)), Admission::Admitted(0));
/// # Ok::<(), dsp_core::streams::sources::PlacesError>(())
/// ```
pub struct Sources<const PLACES: usize> {
    config: SourcesConfig,
    places: [Place; PLACES],
    candidates: [Option<Candidate>; CANDIDATES],
    lot: u32,
    stats: SourcesStats,
}

impl<const PLACES: usize> Sources<PLACES> {
    /// A table in which all places are free.
    ///
    /// # Errors
    /// Returns [`PlacesError`] if `places` in `config` is not between 1 and `PLACES`.
    pub fn new(config: SourcesConfig) -> Result<Self, PlacesError> {
        if config.places == 0 || config.places > PLACES {
            return Err(PlacesError { places: config.places, max: PLACES });
        }
        Ok(Self {
            config,
            places: [Place::Free; PLACES],
            candidates: [None; CANDIDATES],
            lot: 0x9e37_79b9,
            stats: SourcesStats::default(),
        })
    }

    /// Decides what to do with a packet that arrived at `now`.
    pub fn update(&mut self, now: Instant, ssrc: Ssrc, seq: Seq) -> Admission {
        if self.config.own == Some(ssrc) {
            self.stats.own += 1;
            return Admission::Own;
        }
        for (index, place) in self.places.iter_mut().enumerate() {
            match place {
                Place::Taken(who, heard) if *who == ssrc => {
                    *heard = now;
                    return Admission::Heard(index);
                }
                Place::Left(who, since) if *who == ssrc => {
                    if now.since(*since) < LINGER {
                        return self.linger(index, now, ssrc, seq);
                    }
                    *place = Place::Free;
                    // What straggled proves no new beginning.
                    for candidate in &mut self.candidates {
                        *candidate = candidate.filter(|candidate| candidate.ssrc != ssrc);
                    }
                }
                _ => {}
            }
        }
        let candidate = self.prove(now, ssrc, seq);
        if self.candidates[candidate].is_none_or(|candidate| candidate.right < self.config.min_sequential.max(1)) {
            self.stats.probation += 1;
            return Admission::Probation;
        }
        let Some(index) = self.place(now) else {
            self.stats.full += 1;
            return Admission::Full;
        };
        self.candidates[candidate] = None;
        self.stats.replaced += u32::from(matches!(self.places[index], Place::Taken(..)));
        self.stats.admitted += 1;
        self.places[index] = Place::Taken(ssrc, now);
        Admission::Admitted(index)
    }

    /// A packet of a source that said goodbye not long ago.
    fn linger(&mut self, index: usize, now: Instant, ssrc: Ssrc, seq: Seq) -> Admission {
        let candidate = self.prove(now, ssrc, seq);
        if self.candidates[candidate].is_none_or(|candidate| candidate.right < GOES_ON) {
            self.stats.gone += 1;
            return Admission::Gone;
        }
        self.candidates[candidate] = None;
        self.stats.admitted += 1;
        self.stats.returned += 1;
        self.places[index] = Place::Taken(ssrc, now);
        Admission::Returned(index)
    }

    /// Notes that the source says goodbye, and returns the place that it had. The place is free for others from now
    /// on. For two seconds, packets that still come are [`Gone`](Admission::Gone), until five packets in sequence show
    /// that the source goes on.
    pub fn leave(&mut self, now: Instant, ssrc: Ssrc) -> Option<usize> {
        let index = self.place_of(ssrc)?;
        self.places[index] = Place::Left(ssrc, now);
        self.stats.left += 1;
        Some(index)
    }

    /// Forgets all sources. The counters stay.
    pub fn clear(&mut self) {
        self.places = [Place::Free; PLACES];
        self.candidates = [None; CANDIDATES];
    }

    /// Sets the SSRC with which this side sends from now on.
    pub fn set_own(&mut self, own: Option<Ssrc>) {
        self.config.own = own;
    }

    /// Place of a source; `None` if it has none.
    pub fn place_of(&self, ssrc: Ssrc) -> Option<usize> {
        self.places.iter().position(|place| matches!(place, Place::Taken(who, _) if *who == ssrc))
    }

    /// Source at a place; `None` if the place is free.
    pub fn get(&self, place: usize) -> Option<Ssrc> {
        match self.places.get(place) {
            Some(Place::Taken(ssrc, _)) => Some(*ssrc),
            _ => None,
        }
    }

    /// All sources that have a place, with its number.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Ssrc)> + '_ {
        (0..PLACES).filter_map(|place| Some((place, self.get(place)?)))
    }

    /// A snapshot of the counters.
    pub fn stats(&self) -> SourcesStats {
        self.stats
    }

    /// Counts a packet of a source that has no place; which candidate it is.
    fn prove(&mut self, now: Instant, ssrc: Ssrc, seq: Seq) -> usize {
        let known = |candidate: &Option<Candidate>| candidate.is_some_and(|candidate| candidate.ssrc == ssrc);
        let silent = |candidate: &Option<Candidate>| {
            candidate.is_none_or(|candidate| now.since(candidate.heard) >= CANDIDATE_SILENCE)
        };
        let index = self.candidates.iter().position(known);
        let index = index.or_else(|| self.candidates.iter().position(silent)).unwrap_or_else(|| self.draw());
        let right = match self.candidates[index] {
            Some(candidate) if candidate.ssrc == ssrc && candidate.next == seq => candidate.right.saturating_add(1),
            _ => 1,
        };
        self.candidates[index] = Some(Candidate { ssrc, next: seq.plus(1), right, heard: now });
        index
    }

    fn draw(&mut self) -> usize {
        self.lot ^= self.lot << 13;
        self.lot ^= self.lot >> 17;
        self.lot ^= self.lot << 5;
        self.lot as usize % CANDIDATES
    }

    /// A place for one more: a free one, else the one that was left first, else of those that are silent the longest.
    fn place(&self, now: Instant) -> Option<usize> {
        let rank = |place: &Place| match *place {
            Place::Free => Some((0, Instant::ZERO)),
            Place::Left(_, since) => Some((1, since)),
            Place::Taken(_, heard) => (now.since(heard) >= self.config.idle).then_some((2, heard)),
        };
        let places = self.places[..self.config.places].iter().enumerate();
        places.filter_map(|(index, place)| Some((rank(place)?, index))).min().map(|(_, index)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Admission::*;

    fn table(places: usize) -> Sources<4> {
        Sources::new(SourcesConfig { places, own: Some(Ssrc(99)), ..SourcesConfig::default() }).unwrap()
    }

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn two_packets_in_sequence_get_a_place() {
        let mut sources = table(2);
        let mut say = |ms, ssrc, seq| sources.update(at(ms), Ssrc(ssrc), Seq(seq));
        assert_eq!(
            [say(0, 1, 65_535), say(1, 2, 7), say(2, 1, 0), say(3, 2, 9)],
            [Probation, Probation, Admitted(0), Probation]
        );
        assert_eq!(
            [say(4, 2, 10), say(5, 1, 40), say(6, 3, 1), say(7, 3, 2)],
            [Admitted(1), Heard(0), Probation, Full]
        );
        assert_eq!(say(8, 99, 1), Own);
        let mut at_once = Sources::<1>::new(SourcesConfig { min_sequential: 0, ..SourcesConfig::default() }).unwrap();
        assert_eq!(at_once.update(at(0), Ssrc(1), Seq(5)), Admitted(0));
    }

    #[test]
    fn places_are_1_to_those_there_are() {
        for places in [0, 5] {
            let error = Sources::<4>::new(SourcesConfig { places, ..SourcesConfig::default() }).err();
            assert_eq!(error, Some(PlacesError { places, max: 4 }));
        }
    }

    #[test]
    fn a_goodbye_frees_the_place_and_what_straggles_is_no_new_beginning() {
        let mut sources = table(1);
        sources.update(at(0), Ssrc(1), Seq(1));
        assert_eq!(sources.update(at(20), Ssrc(1), Seq(2)), Admitted(0));
        assert_eq!(sources.leave(at(40), Ssrc(2)), None);
        assert_eq!(sources.leave(at(40), Ssrc(1)), Some(0));
        assert_eq!([3, 4, 5].map(|seq| sources.update(at(60), Ssrc(1), Seq(seq))), [Gone; 3]);
        assert_eq!(sources.iter().count(), 0);
        sources.update(at(2_100), Ssrc(1), Seq(6));
        assert_eq!(sources.update(at(2_120), Ssrc(1), Seq(7)), Admitted(0));
        let stats = sources.stats();
        assert_eq!((stats.admitted, stats.left, stats.gone, stats.replaced), (2, 1, 3, 0));
    }

    #[test]
    fn a_source_that_goes_on_after_its_goodbye_has_its_place_again() {
        let mut sources = table(2);
        let mut say = |ms, seq| sources.update(at(ms), Ssrc(1), Seq(seq));
        assert_eq!([say(0, 1), say(20, 2)], [Probation, Admitted(0)]);
        assert_eq!(sources.leave(at(40), Ssrc(1)), Some(0));
        let mut say = |ms, seq| sources.update(at(ms), Ssrc(1), Seq(seq));
        assert_eq!([3, 4, 5, 6, 7, 8].map(|seq| say(40, seq)), [Gone, Gone, Gone, Gone, Returned(0), Heard(0)]);
        assert_eq!((sources.stats().admitted, sources.stats().left, sources.stats().returned), (2, 1, 1));
    }

    #[test]
    fn silence_gives_the_place_to_another_and_only_then() {
        let mut sources = table(2);
        for (ssrc, ms) in [(1, 0), (2, 3_000)] {
            sources.update(at(ms), Ssrc(ssrc), Seq(1));
            sources.update(at(ms), Ssrc(ssrc), Seq(2));
        }
        let mut knock = |ms, seq| sources.update(at(ms), Ssrc(3), Seq(seq));
        assert_eq!([knock(9_000, 1), knock(9_999, 2), knock(10_000, 3)], [Probation, Full, Admitted(0)]);
        assert_eq!(sources.stats().replaced, 1);
        assert_eq!(sources.get(1), Some(Ssrc(2)));
    }

    #[test]
    fn in_a_flood_a_true_source_is_admitted_late_but_is() {
        let mut sources = table(4);
        let mut forged = 1_000;
        let mut packets = 0;
        let place = loop {
            // Twenty forged packets between two true ones: 1,000 a second.
            for _ in 0..20 {
                forged += 1;
                assert_eq!(sources.update(at(packets * 20), Ssrc(forged), Seq(7)), Probation);
            }
            packets += 1;
            if let Admitted(place) = sources.update(at(packets * 20), Ssrc(1), Seq(packets as u16)) {
                break place;
            }
            assert!(packets < 200, "not within 4 s");
        };
        assert_eq!(sources.get(place), Some(Ssrc(1)));
    }
}
