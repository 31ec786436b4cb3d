//! RTP header extensions in descriptions: `a=extmap` and `a=extmap-allow-mixed` (RFC 8285, 5 to 7), of those that this library
//! reads and writes ([`dsp_core::wire::extension`]).
//!
//! An answer keeps the offer's numbers; what neither side knows or wants is left out, an encrypted extension
//! (`urn:ietf:params:rtp-hdrext:encrypt`, RFC 6904) too. In a session a number keeps its meaning, and all streams of a bundle
//! have the same (RFC 9143, 9).

use dsp_core::wire::extension::{ABSOLUTE_SEND_TIME, AUDIO_LEVEL, ElementForm, MID, MIXER_LEVELS, TRANSPORT_SEQUENCE};
use sdp_types::Attribute;

use super::Direction;

/// A header extension that is supported (RFC 8285).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExtensionKind {
    /// The audio level of a packet (RFC 6464).
    AudioLevel,
    /// The time at which a packet was sent.
    AbsoluteSendTime,
    /// The number of a packet among all packets of the transport.
    TransportSequence,
    /// The name of the stream, as its `a=mid` (RFC 9143, 15).
    Mid,
    /// The audio level of each contributing source (RFC 6465).
    MixerLevels,
}

impl ExtensionKind {
    /// All of them, in the order of the numbers that an offer gives them: those that browsers use.
    pub const ALL: [Self; 5] =
        [Self::AudioLevel, Self::AbsoluteSendTime, Self::TransportSequence, Self::Mid, Self::MixerLevels];

    /// Returns the URI that names it.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::AudioLevel => AUDIO_LEVEL,
            Self::AbsoluteSendTime => ABSOLUTE_SEND_TIME,
            Self::TransportSequence => TRANSPORT_SEQUENCE,
            Self::Mid => MID,
            Self::MixerLevels => MIXER_LEVELS,
        }
    }

    /// Bytes of its data at most; `mid`: of the stream's name.
    fn data_bytes(self, mid: usize) -> usize {
        match self {
            Self::AudioLevel => 1,
            Self::AbsoluteSendTime => 3,
            Self::TransportSequence => 2,
            Self::Mid => mid,
            Self::MixerLevels => MAX_LEVELS,
        }
    }
}

/// Contributing sources in a packet at most, each with a level.
const MAX_LEVELS: usize = 15;

/// The condition under which header extensions are offered. An answer accepts those that are offered and wanted in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OfferExtensions {
    /// No extensions are offered.
    Never,
    /// The extensions are in offers with feedback (`RTP/AVPF` and `SAVPF`, as of DTLS calls), as browsers do; the names of the
    /// streams of a bundle are in any offer. The offer of a plain SIP call stays short, since many phones ignore extensions and
    /// some fail because of them.
    #[default]
    WithFeedback,
    /// Always.
    Always,
}

/// The header extensions that we offer and accept, and their direction: [`Direction::SendOnly`] writes them,
/// [`Direction::RecvOnly`] reads them, [`Direction::Inactive`] has none.
///
/// They are not encrypted, not even under SRTP: anyone who watches the network sees when somebody speaks, and how loud. To avoid
/// that use [`NONE`](Self::NONE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionOptions {
    /// The condition under which extensions are offered.
    pub offer: OfferExtensions,
    /// The level of each packet, and whether it contains speech (RFC 6464).
    pub audio_level: Direction,
    /// The level of each contributing source (RFC 6465). A mixer writes it, and those who hear the mixer read it.
    pub mixer_levels: Direction,
    /// The name of the stream in its first packets, for streams of a bundle (RFC 9143, 15).
    pub mid: Direction,
    /// The number of each packet among all packets of the transport, for transport-wide feedback; only where that is agreed on
    /// too.
    pub transport_sequence: Direction,
    /// The time at which each packet was sent. Nothing here needs it; it is for the other side.
    pub absolute_send_time: Direction,
}

impl Default for ExtensionOptions {
    /// Levels and numbers both ways, names in bundles, a mixer's levels read; no send times.
    fn default() -> Self {
        Self {
            offer: OfferExtensions::default(),
            audio_level: Direction::SendRecv,
            mixer_levels: Direction::RecvOnly,
            mid: Direction::SendRecv,
            transport_sequence: Direction::SendRecv,
            absolute_send_time: Direction::Inactive,
        }
    }
}

impl ExtensionOptions {
    /// Returns the options of a mixer, which reports the level of each participant that it mixes.
    pub fn mixer() -> Self {
        Self { mixer_levels: Direction::SendOnly, ..Self::default() }
    }

    /// No header extensions.
    pub const NONE: Self = Self {
        offer: OfferExtensions::Never,
        audio_level: Direction::Inactive,
        mixer_levels: Direction::Inactive,
        mid: Direction::Inactive,
        transport_sequence: Direction::Inactive,
        absolute_send_time: Direction::Inactive,
    };

    fn wish(&self, kind: ExtensionKind) -> Direction {
        match kind {
            ExtensionKind::AudioLevel => self.audio_level,
            ExtensionKind::AbsoluteSendTime => self.absolute_send_time,
            ExtensionKind::TransportSequence => self.transport_sequence,
            ExtensionKind::Mid => self.mid,
            ExtensionKind::MixerLevels => self.mixer_levels,
        }
    }
}

/// One header extension of a stream, seen from our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extension {
    /// The number of the extension in packets: 1 to 255 without 15.
    pub id: u8,
    /// Whether we write it, read it, or both.
    pub direction: Direction,
    /// Whether levels mark speech (`vad`: RFC 6464, 4).
    pub voice: bool,
}

/// The header extensions that a stream has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NegotiatedExtensions {
    /// The extensions in the order of [`ExtensionKind::ALL`].
    known: [Option<Extension>; ExtensionKind::ALL.len()],
    mixed: bool,
}

impl NegotiatedExtensions {
    /// This one, if it was agreed on.
    pub const fn get(&self, kind: ExtensionKind) -> Option<Extension> {
        self.known[kind as usize]
    }

    /// Its number where we write it.
    pub fn sent(&self, kind: ExtensionKind) -> Option<u8> {
        self.get(kind).filter(|extension| extension.direction.sends()).map(|extension| extension.id)
    }

    /// Its number where we read it.
    pub fn received(&self, kind: ExtensionKind) -> Option<u8> {
        self.get(kind).filter(|extension| extension.direction.receives()).map(|extension| extension.id)
    }

    /// Returns whether one stream may have elements of both forms (`a=extmap-allow-mixed`).
    pub const fn is_mixed(&self) -> bool {
        self.mixed
    }

    /// Returns whether there is none of them.
    pub fn is_empty(&self) -> bool {
        self.known.iter().all(Option::is_none)
    }

    /// Returns the form of elements where a stream's name has this many bytes: two-byte headers only if a number or a length that
    /// we send requires it.
    pub fn form(&self, mid_bytes: usize) -> ElementForm {
        let long = |kind| match self.sent(kind) {
            Some(id) => id > 14 || kind.data_bytes(mid_bytes) > 16,
            None => false,
        };
        if ExtensionKind::ALL.into_iter().any(long) { ElementForm::TwoByte } else { ElementForm::OneByte }
    }

    /// Bytes that they add to a packet of ours at most, contributing sources included.
    pub fn most_bytes(&self, mid_bytes: usize) -> usize {
        let head = if self.form(mid_bytes) == ElementForm::OneByte { 1 } else { 2 };
        let sent = ExtensionKind::ALL.into_iter().filter(|kind| self.sent(*kind).is_some());
        let bytes: usize = sent.map(|kind| head + kind.data_bytes(mid_bytes)).sum();
        let csrcs = if self.sent(ExtensionKind::MixerLevels).is_some() { 4 * MAX_LEVELS } else { 0 };
        if bytes == 0 { 0 } else { 4 + bytes.next_multiple_of(4) + csrcs }
    }

    /// Restricts the extensions to the direction of the stream; for an inactive stream all are kept.
    pub(super) fn within(mut self, stream: Direction) -> Self {
        for known in self.known.iter_mut().filter(|_| stream != Direction::Inactive) {
            *known = known
                .map(|own| Extension { direction: own.direction.and(stream), ..own })
                .filter(|own| own.direction != Direction::Inactive);
        }
        self
    }

    /// Removes this extension.
    pub(super) fn without(mut self, kind: ExtensionKind) -> Self {
        self.known[kind as usize] = None;
        self
    }

    /// The lines of a section with this direction.
    pub(super) fn lines(&self, stream: Direction) -> impl Iterator<Item = Attribute> {
        let line = move |(kind, extension): (ExtensionKind, Extension)| {
            let Extension { id, direction, voice } = extension;
            // None is said that goes against the stream's (RFC 8285, 7).
            let direction = match (direction, stream) {
                (Direction::SendRecv, _) => String::new(),
                (direction, Direction::SendRecv | Direction::Inactive) => format!("/{}", direction.name()),
                (direction, stream) if direction == stream => String::new(),
                _ => format!("/{}", Direction::Inactive.name()),
            };
            let voice = if voice { "" } else { " vad=off" };
            let value = format!("{id}{direction} {}{voice}", kind.uri());
            Attribute { attribute: "extmap".into(), value: Some(value) }
        };
        let known = ExtensionKind::ALL.into_iter().zip(self.known);
        let lines: Vec<_> = known.filter_map(|(kind, known)| Some((kind, known?))).map(line).collect();
        let mixed = Attribute { attribute: "extmap-allow-mixed".into(), value: None };
        let mixed = Some(mixed).filter(|_| self.mixed && !lines.is_empty());
        mixed.into_iter().chain(lines)
    }
}

/// A line of `a=extmap` that means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    id: u16,
    extension: Extension,
    kind: ExtensionKind,
}

/// The numbers that mean "one of these" in an offer (RFC 8285, 7).
const ALTERNATIVES: std::ops::RangeInclusive<u16> = 4_096..=4_351;

/// The header extensions of a section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extensions {
    lines: Vec<Line>,
    /// All numbers, those of unknown extensions too.
    taken: Vec<u16>,
    mixed: bool,
}

impl Extensions {
    /// Reads the values of `a=extmap`, as many as there can be.
    /// `stream`: the direction that those have that say none.
    pub(super) fn read<'a>(values: impl Iterator<Item = &'a str>, mixed: bool, stream: Direction) -> Self {
        let inherited = if stream == Direction::Inactive { Direction::SendRecv } else { stream };
        let mut read = Self { mixed, ..Self::default() };
        for value in values.take(255) {
            let mut fields = value.split_whitespace();
            let (Some(number), Some(uri)) = (fields.next(), fields.next()) else { continue };
            let (number, direction) = match number.split_once('/') {
                None => (number, Some(inherited)),
                Some((number, name)) => (number, Direction::from_name(name)),
            };
            let (Ok(id), Some(direction)) = (number.parse::<u16>(), direction) else { continue };
            let usable = (1..=255).contains(&id) && id != 15;
            // A number with two meanings is ignored, except for alternatives.
            if !(usable && !read.taken.contains(&id) || ALTERNATIVES.contains(&id)) {
                continue;
            }
            read.taken.push(id);
            let kind = ExtensionKind::ALL.into_iter().find(|kind| kind.uri() == uri);
            let Some(kind) = kind.filter(|kind| read.lines.iter().all(|line| line.kind != *kind)) else { continue };
            let voice = kind != ExtensionKind::AudioLevel || fields.all(|field| field != "vad=off");
            read.lines.push(Line { id, extension: Extension { id: id as u8, direction, voice }, kind });
        }
        read
    }

    fn line(&self, kind: ExtensionKind) -> Option<&Line> {
        self.lines.iter().find(|line| line.kind == kind)
    }

    /// Returns the extensions that an answer to this section accepts.
    pub(super) fn answered(&self, options: &ExtensionOptions) -> NegotiatedExtensions {
        let mut agreed = NegotiatedExtensions { mixed: self.mixed, ..Default::default() };
        let mut taken = self.taken.clone();
        let mut chosen = Vec::new();
        for line in &self.lines {
            let direction = options.wish(line.kind).and(line.extension.direction.reversed());
            if direction == Direction::Inactive {
                continue;
            }
            let mut id = line.extension.id;
            if ALTERNATIVES.contains(&line.id) {
                // At most one of the extensions with the same number is accepted, under a number in the valid range.
                let free = (1..=14).find(|id| !taken.contains(id));
                let Some(free) = free.filter(|_| !chosen.contains(&line.id)) else { continue };
                chosen.push(line.id);
                taken.push(free);
                id = free as u8;
            }
            agreed.known[line.kind as usize] = Some(Extension { id, direction, ..line.extension });
        }
        agreed
    }

    /// Returns the extensions that both sections, ours and their answer, agree on.
    pub(super) fn accepted(ours: &Self, theirs: &Self) -> NegotiatedExtensions {
        let mut agreed = NegotiatedExtensions { mixed: ours.mixed && theirs.mixed, ..Default::default() };
        for line in &theirs.lines {
            let Some(own) = ours.line(line.kind).filter(|own| own.id == line.id) else { continue };
            let direction = own.extension.direction.and(line.extension.direction.reversed());
            if direction != Direction::Inactive {
                let voice = own.extension.voice && line.extension.voice;
                agreed.known[line.kind as usize] = Some(Extension { direction, voice, ..own.extension });
            }
        }
        agreed
    }

    /// Returns the extensions of an offer of ours: `before` are the sections of our last description, if there was one, whose
    /// numbers stay.
    pub(super) fn offered(
        options: &ExtensionOptions,
        wanted: impl Fn(ExtensionKind) -> bool,
        before: &[&Self],
    ) -> NegotiatedExtensions {
        let mut offered = NegotiatedExtensions { mixed: true, ..Default::default() };
        let mut taken: Vec<u16> = before.iter().flat_map(|section| section.taken.iter().copied()).collect();
        for (number, kind) in (1..).zip(ExtensionKind::ALL) {
            let direction = options.wish(kind);
            if direction == Direction::Inactive || !wanted(kind) {
                continue;
            }
            let kept = before.iter().find_map(|section| section.line(kind)).map(|line| line.id);
            // A new extension in a session that began with the other side's numbers avoids the low ones.
            let fresh = || {
                let mut ids = Some(number).filter(|_| before.is_empty()).into_iter().chain((1..=14).rev());
                ids.find(|id| !taken.contains(id))
            };
            let Some(id) = kept.or_else(fresh) else { continue };
            taken.push(id);
            offered.known[kind as usize] = Some(Extension { id: id as u8, direction, voice: true });
        }
        offered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    use ExtensionKind::{AbsoluteSendTime, AudioLevel, Mid, MixerLevels, TransportSequence};

    fn read(lines: &str) -> Extensions {
        Extensions::read(lines.lines().map(str::trim), true, SendRecv)
    }

    fn written(agreed: &NegotiatedExtensions, stream: Direction) -> Vec<String> {
        agreed.lines(stream).map(|line| line.value.unwrap_or(line.attribute)).collect()
    }

    const BROWSER: &str = "1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
        2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
        3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
        4 urn:ietf:params:rtp-hdrext:sdes:mid
        7/sendonly urn:ietf:params:rtp-hdrext:csrc-audio-level
        9 urn:ietf:params:rtp-hdrext:encrypt urn:ietf:params:rtp-hdrext:ssrc-audio-level
        10 urn:3gpp:video-orientation";

    #[test]
    fn an_answer_keeps_numbers_and_leaves_out_what_it_does_not_know() {
        let agreed = read(BROWSER).answered(&ExtensionOptions::default());
        assert_eq!(
            written(&agreed, SendRecv),
            [
                "extmap-allow-mixed",
                "1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
                "3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
                "4 urn:ietf:params:rtp-hdrext:sdes:mid",
                "7/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level",
            ]
        );
        assert_eq!((agreed.sent(AudioLevel), agreed.received(AudioLevel)), (Some(1), Some(1)));
        assert_eq!((agreed.sent(MixerLevels), agreed.received(MixerLevels)), (None, Some(7)));
        assert!(agreed.is_mixed() && !agreed.is_empty());
        assert!(read(BROWSER).answered(&ExtensionOptions::NONE).is_empty());
        assert_eq!(written(&NegotiatedExtensions::default(), SendRecv), [""; 0]);
        let times = ExtensionOptions { absolute_send_time: SendOnly, ..ExtensionOptions::NONE };
        let agreed = read(BROWSER).answered(&times);
        assert_eq!(
            written(&agreed, SendRecv)[1..],
            ["2/sendonly http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"]
        );
        assert_eq!(agreed.sent(AbsoluteSendTime), Some(2));
    }

    #[test]
    fn directions_are_each_others() {
        let audio = |direction: &str| read(&format!("1{direction} {AUDIO_LEVEL}"));
        let cases = [
            ("", SendRecv, Some(SendRecv)),
            ("/sendonly", SendRecv, Some(RecvOnly)),
            ("/recvonly", SendRecv, Some(SendOnly)),
            ("/recvonly", RecvOnly, None),
            ("/inactive", SendRecv, None),
            ("/nonsense", SendRecv, None),
        ];
        for (theirs, ours, direction) in cases {
            let options = ExtensionOptions { audio_level: ours, ..ExtensionOptions::NONE };
            let answered = audio(theirs).answered(&options);
            assert_eq!(answered.get(AudioLevel).map(|extension| extension.direction), direction, "{theirs}");
            let offered = Extensions::offered(&options, |_| true, &[]);
            let offered = Extensions::read(written(&offered, SendRecv).iter().map(String::as_str), true, SendRecv);
            let accepted = Extensions::accepted(&offered, &audio(theirs));
            assert_eq!(accepted.get(AudioLevel).map(|extension| extension.direction), direction, "{theirs}");
        }
        // On hold nothing is said against the stream's own direction.
        let agreed = read(BROWSER).answered(&ExtensionOptions::default());
        assert!(written(&agreed, SendOnly).contains(&format!("7/inactive {MIXER_LEVELS}")));
        assert!(written(&agreed, RecvOnly).contains(&format!("7 {MIXER_LEVELS}")));
        assert!(written(&agreed, Inactive).contains(&format!("7/recvonly {MIXER_LEVELS}")));
    }

    #[test]
    fn numbers_are_checked() {
        let of = |lines: &str| read(lines).answered(&ExtensionOptions::default());
        for number in ["0", "15", "256", "4095", "4352", "-1", "x", "1/", "99999999999"] {
            assert!(of(&format!("{number} {AUDIO_LEVEL}")).is_empty(), "{number}");
        }
        // One number twice, and one extension twice.
        let agreed = of(&format!("1 urn:x\n1 {AUDIO_LEVEL}\n2 {MID}\n3 {MID}"));
        assert_eq!((agreed.sent(AudioLevel), agreed.sent(Mid)), (None, Some(2)));
        // Alternatives, of which one is chosen.
        let agreed = of(&format!("1 urn:x\n4096 urn:y\n4096 {AUDIO_LEVEL}\n4096 {MID}\n4097 {TRANSPORT_SEQUENCE}"));
        let sent = [AudioLevel, Mid, TransportSequence].map(|kind| agreed.sent(kind));
        assert_eq!(sent, [Some(2), None, Some(3)]);
        // An answer with another number than the offer's.
        let (ours, theirs) = (read(&format!("1 {AUDIO_LEVEL}\n2 {MID}")), read(&format!("2 {AUDIO_LEVEL}\n1 {MID}")));
        assert!(Extensions::accepted(&ours, &theirs).is_empty());
    }

    #[test]
    fn who_does_not_say_who_speaks() {
        let agreed = read(&format!("1 {AUDIO_LEVEL} vad=off")).answered(&ExtensionOptions::default());
        assert!(!agreed.get(AudioLevel).unwrap().voice);
        assert!(written(&agreed, SendRecv)[1].ends_with("ssrc-audio-level vad=off"));
        let ours = read(&format!("1 {AUDIO_LEVEL}"));
        let accepted = Extensions::accepted(&ours, &read(&format!("1 {AUDIO_LEVEL} vad=off")));
        assert!(!accepted.get(AudioLevel).unwrap().voice);
        assert!(
            read(&format!("1 {AUDIO_LEVEL} vad=on"))
                .answered(&ExtensionOptions::default())
                .get(AudioLevel)
                .unwrap()
                .voice
        );
    }

    #[test]
    fn numbers_stay_in_a_session() {
        let all = |_| true;
        let options = ExtensionOptions { absolute_send_time: SendRecv, ..ExtensionOptions::default() };
        let first = Extensions::offered(&options, all, &[]);
        let ids = |offered: &NegotiatedExtensions| ExtensionKind::ALL.map(|kind| offered.get(kind).map(|own| own.id));
        assert_eq!(ids(&first), [1, 2, 3, 4, 5].map(Some));
        let theirs = read(&format!("5 {AUDIO_LEVEL}\n14 {MID}\n13 urn:x"));
        let later = Extensions::offered(&options, |kind| kind != MixerLevels, &[&theirs]);
        assert_eq!(ids(&later), [Some(5), Some(12), Some(11), Some(14), None]);
    }

    #[test]
    fn long_numbers_and_names_take_two_byte_headers() {
        let agreed = |id: u16| read(&format!("{id} {AUDIO_LEVEL}\n4 {MID}")).answered(&ExtensionOptions::default());
        assert_eq!(
            (agreed(14).form(16), agreed(16).form(1), agreed(1).form(17)),
            (ElementForm::OneByte, ElementForm::TwoByte, ElementForm::TwoByte)
        );
        assert_eq!(
            (agreed(1).most_bytes(1), agreed(1).most_bytes(17), NegotiatedExtensions::default().most_bytes(9)),
            (8, 28, 0)
        );
        let mixer = Extensions::offered(&ExtensionOptions::mixer(), |kind| kind == MixerLevels, &[]);
        assert_eq!(mixer.most_bytes(0), 4 + 16 + 60);
    }
}
