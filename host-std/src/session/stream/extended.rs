//! The header extensions of a stream's packets: levels, the stream's name, numbers and times; written as a packet is sent and
//! read as one arrives (RFC 6464, 6465, 8285, 9143).
//!
//! All memory is taken when the stream is agreed on. Cost: where none was agreed on, a compare a packet; else the payload moves
//! back by some bytes and a few compares an element.

use dsp_core::time::{Instant, NtpTime, Seq, Ssrc};
use dsp_core::wire::extension::{AbsoluteSendTime, AudioLevel, ElementWriter, mixer_levels, write_mixer_levels};
use dsp_core::wire::rtp::{MAX_CSRCS, RtpPacket, WriteError, extend_header};

use crate::sdp::{ExtensionKind, NegotiatedExtensions, NegotiatedStream};

/// Packets with the stream's name at most, unless the other side says before that it hears us: 10 s of 20 ms.
const NAMED_PACKETS: u16 = 500;
/// Bytes of the longest extension: a name of 255 bytes and all else, in two-byte headers.
const LONGEST: usize = 320;

/// The sources in a mix, and how loud each of them is in dBov: at most 15, as many as a packet names (RFC 3550, 5.1; RFC 6465).
///
/// ```
/// use dsp_core::time::Ssrc;
/// use host_std::session::Contributors;
///
/// let mut contributors = Contributors::default();
/// assert!(contributors.push(Ssrc(7), -25));
/// assert_eq!(contributors.iter().collect::<Vec<_>>(), [(Ssrc(7), Some(-25))]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contributors {
    sources: [Ssrc; MAX_CSRCS],
    levels_dbov: [i8; MAX_CSRCS],
    count: usize,
    leveled: bool,
}

impl Default for Contributors {
    fn default() -> Self {
        Self { sources: [Ssrc(0); MAX_CSRCS], levels_dbov: [-127; MAX_CSRCS], count: 0, leveled: true }
    }
}

impl Contributors {
    /// Adds a source with its level in dBov, -127 to 0. Returns whether there was room.
    pub fn push(&mut self, source: Ssrc, level_dbov: i8) -> bool {
        let room = self.count < MAX_CSRCS;
        if room {
            (self.sources[self.count], self.levels_dbov[self.count]) = (source, level_dbov);
            self.count += 1;
        }
        room
    }

    /// Adds a source. Where there is no room it takes the place of the quietest one, if it is louder.
    pub fn push_loudest(&mut self, source: Ssrc, level_dbov: i8) {
        if self.push(source, level_dbov) {
            return;
        }
        if let Some(least) = (0..self.count).min_by_key(|at| self.levels_dbov[*at])
            && self.levels_dbov[least] < level_dbov
        {
            (self.sources[least], self.levels_dbov[least]) = (source, level_dbov);
        }
    }

    /// Returns the sources and their levels in dBov; a level is `None` where the mixer doesn't report it.
    pub fn iter(&self) -> impl Iterator<Item = (Ssrc, Option<i8>)> + '_ {
        let levels = self.levels_dbov.iter().map(|level| Some(*level).filter(|_| self.leveled));
        self.sources.iter().copied().zip(levels).take(self.count)
    }

    /// Returns the number of sources.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns whether there is no source.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn read(packet: &RtpPacket<'_>, levels: Option<&[u8]>) -> Self {
        let mut read = Self { leveled: levels.is_some(), ..Self::default() };
        let mut levels = mixer_levels(levels.unwrap_or_default());
        for source in packet.csrcs() {
            read.push(source, levels.next().unwrap_or(-127));
        }
        read
    }
}

/// The information in the last packets of a source.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::session) struct Told {
    pub(in crate::session) level: Option<AudioLevel>,
    pub(in crate::session) contributors: Contributors,
}

/// The information about a packet to be sent that only the call knows.
#[derive(Clone, Copy)]
pub(in crate::session) struct LeavingPacket {
    /// Its number among all of the transport, where they have one.
    pub(in crate::session) number: Option<Seq>,
    /// The wall clock.
    pub(in crate::session) ntp: NtpTime,
}

/// The header extensions of a stream.
pub(super) struct Extended {
    agreed: NegotiatedExtensions,
    mid: Box<str>,
    /// The number of further packets that carry the name.
    named: u16,
    contributors: Contributors,
    told: Vec<(Ssrc, Instant, Told)>,
}

impl Extended {
    /// `None` where there are none; `sources`: how many are heard at once.
    pub(super) fn new(agreed: &NegotiatedStream, sources: usize) -> Option<Box<Self>> {
        let mid = agreed.mid.clone().unwrap_or_default().into();
        let extensions = agreed.extensions;
        (!extensions.is_empty()).then(|| {
            let told = Vec::with_capacity(sources);
            Box::new(Self {
                agreed: extensions,
                mid,
                named: NAMED_PACKETS,
                contributors: Contributors::default(),
                told,
            })
        })
    }

    /// Continues from the state of the one before.
    pub(super) fn follow(&mut self, before: &mut Self) {
        self.contributors = before.contributors;
        self.told.extend(before.told.drain(..).take(self.told.capacity()));
        if before.mid == self.mid {
            self.named = before.named;
        }
    }

    /// Returns whether our packets carry their audio level.
    pub(super) fn sends_levels(&self) -> bool {
        self.agreed.sent(ExtensionKind::AudioLevel).is_some()
    }

    /// Returns whether the other side accepts the list of contributors to a mix.
    pub(super) fn sends_contributors(&self) -> bool {
        self.agreed.sent(ExtensionKind::MixerLevels).is_some()
    }

    pub(super) fn set_contributors(&mut self, contributors: &Contributors) {
        self.contributors = *contributors;
    }

    /// The other side hears us under this name: it needs no more.
    pub(super) fn is_heard(&mut self) {
        self.named = 0;
    }

    /// Starts as another source, whose name the other side doesn't know yet.
    pub(super) fn begin(&mut self) {
        self.named = NAMED_PACKETS;
    }

    /// Returns whether packets carry a transport-wide sequence number.
    pub(super) fn is_numbered(&self) -> bool {
        self.agreed.sent(ExtensionKind::TransportSequence).is_some()
    }

    /// The number that a packet has among all of its transport.
    pub(super) fn number(&self, packet: &RtpPacket<'_>) -> Option<Seq> {
        let id = self.agreed.received(ExtensionKind::TransportSequence)?;
        dsp_core::wire::extension::transport_sequence(packet.extension()?.element(id)?).map(Seq)
    }

    /// The stream that a packet says it belongs to.
    pub(super) fn mid<'a>(&self, packet: &RtpPacket<'a>) -> Option<&'a [u8]> {
        packet.extension()?.element(self.agreed.received(ExtensionKind::Mid)?)
    }

    /// Adds the agreed header extensions to the packet of `len` bytes at the front of `datagram`; `level`: that of its sound.
    pub(super) fn extend(
        &mut self,
        datagram: &mut [u8],
        len: usize,
        level: Option<AudioLevel>,
        leaving: LeavingPacket,
    ) -> Result<usize, WriteError> {
        let (agreed, mut bytes) = (&self.agreed, [0; LONGEST]);
        let mut writer = ElementWriter::new(agreed.form(self.mid.len()), &mut bytes);
        let id = |kind| agreed.sent(kind);
        // Each fits: numbers and lengths were looked at when the form was chosen.
        if let (Some(id), Some(level)) = (id(ExtensionKind::AudioLevel), level) {
            let voice = level.voice && agreed.get(ExtensionKind::AudioLevel).is_some_and(|level| level.voice);
            let _ = writer.push(id, &AudioLevel { voice, ..level }.to_bytes());
        }
        if let Some(id) = id(ExtensionKind::AbsoluteSendTime) {
            let _ = writer.push(id, &AbsoluteSendTime::at(leaving.ntp).to_bytes());
        }
        if let (Some(id), Some(number)) = (id(ExtensionKind::TransportSequence), leaving.number) {
            let _ = writer.push(id, &number.0.to_be_bytes());
        }
        if let Some(id) = id(ExtensionKind::Mid).filter(|_| self.named > 0) {
            let _ = writer.push(id, self.mid.as_bytes());
            self.named -= 1;
        }
        let mut sources = 0;
        if let Some(id) = id(ExtensionKind::MixerLevels).filter(|_| !self.contributors.is_empty()) {
            let mut levels = [0; MAX_CSRCS];
            sources = self.contributors.count;
            let written = write_mixer_levels(self.contributors.levels_dbov[..sources].iter().copied(), &mut levels);
            let _ = writer.push(id, &levels[..written]);
        }
        match writer.finish() {
            None => Ok(len),
            extension => extend_header(datagram, len, &self.contributors.sources[..sources], extension),
        }
    }

    /// Reads the header extensions of a packet.
    pub(super) fn hear(&mut self, now: Instant, packet: &RtpPacket<'_>) {
        let ids = [ExtensionKind::AudioLevel, ExtensionKind::MixerLevels].map(|kind| self.agreed.received(kind));
        if ids == [None, None] {
            return;
        }
        let [level, levels] = ids.map(|id| packet.extension()?.element(id?));
        let voice = self.says_voice();
        let level = level.and_then(AudioLevel::parse).map(|level| AudioLevel { voice: voice && level.voice, ..level });
        let told = Told { level, contributors: Contributors::read(packet, levels) };
        let entry = (packet.ssrc(), now, told);
        if let Some(known) = self.told.iter_mut().find(|(ssrc, ..)| *ssrc == packet.ssrc()) {
            *known = entry;
        } else if self.told.len() < self.told.capacity() {
            self.told.push(entry);
        } else if let Some(oldest) = self.told.iter_mut().min_by_key(|(_, at, _)| *at) {
            *oldest = entry;
        }
    }

    /// Returns whether a level also marks speech (RFC 6464, 4: `vad=on`).
    pub(super) fn says_voice(&self) -> bool {
        self.agreed.get(ExtensionKind::AudioLevel).is_some_and(|level| level.voice)
    }

    /// Returns the information in the last packet of a source.
    pub(super) fn told(&self, source: Ssrc) -> Option<Told> {
        self.told.iter().find(|(ssrc, ..)| *ssrc == source).map(|(.., told)| *told)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.mid.len() + self.told.capacity() * size_of::<(Ssrc, Instant, Told)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_contributors_the_loudest_are_named() {
        let mut contributors = Contributors::default();
        assert!(contributors.is_empty());
        for n in 0..40_u32 {
            contributors.push_loudest(Ssrc(n), -((n * 7 % 40) as i8));
        }
        assert_eq!(contributors.len(), MAX_CSRCS);
        let mut levels: Vec<_> = contributors.iter().map(|(_, level)| level.unwrap()).collect();
        levels.sort_unstable();
        assert_eq!(levels, (-14..=0).collect::<Vec<_>>());
        assert!(contributors.iter().all(|(source, level)| -((source.0 * 7 % 40) as i8) == level.unwrap()));
        assert!(!contributors.push(Ssrc(99), 0));
    }
}
