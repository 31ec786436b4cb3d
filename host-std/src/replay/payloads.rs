//! Which codec a payload type stands for: as the user says, as RFC 3551 fixes it, or as the packets themselves look.
//!
//! A capture of RTP alone doesn't say what a dynamic payload type is: that was in the signalling. [`Shape`] collects what
//! packets tell of it. Their length against the step of their timestamps leaves one codec or two; where samples lie
//! open, those readings are compared by how alike neighbouring samples are, which only the right one makes of speech.
//! Guesses are said to be guesses.

use std::fmt;
use std::str::FromStr;

use dsp_core::codec::g711::{alaw_to_linear, ulaw_to_linear};
use dsp_core::codec::{CodecInfo, DecodeError, Decoder, OtherPayload, PayloadTable};
use dsp_core::time::PayloadType;

use crate::opus::{OpusEncoderConfig, OpusPacket};
use crate::registry::{CodecFormat, Opus, Registry, Terms};
use crate::session::Converted;

/// Packets whose samples are looked at.
const SAMPLED_PACKETS: u32 = 250;
/// Pairs of packets that a guess needs, and the share of them that must fit.
const LEAST_PAIRS: u32 = 4;
const FITTING: f64 = 0.9;
/// Least correlation of neighbouring samples for which a reading counts as sound.
const SMOOTH: f64 = 0.4;
/// Packets below which nobody can say whether they are noise, and the bytes of each that are looked at.
const LEAST_RANDOM: u32 = 50;
const RANDOM_BYTES: usize = 16;

/// A codec as `--payload-map` names it: `opus/48000/2`, `L16/16000`, `pcma`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadFormat {
    /// As SDP has it.
    pub format: CodecFormat,
    /// What decodes it: a codec of samples takes both channels as one.
    coding: CodecFormat,
    sample_rate_hz: u32,
    channels: u8,
}

/// What is wrong with the name of a codec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// Not `NAME[/CLOCK[/CHANNELS]]`.
    Syntax(String),
    /// There is no decoder for it here.
    Codec(String),
    /// Not `NUMBER=FORMAT` with a number up to 127.
    Entry(String),
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(text) => write!(f, "'{text}' is not NAME/CLOCK/CHANNELS, as in opus/48000/2"),
            Self::Codec(text) => {
                write!(f, "no decoder for '{text}'; there are {}", Registry::builtin().names().join(", "))
            }
            Self::Entry(text) => write!(f, "'{text}' is not NUMBER=NAME/CLOCK/CHANNELS, as in 96=opus/48000/2"),
        }
    }
}

impl std::error::Error for FormatError {}

/// Reads `NAME[/CLOCK[/CHANNELS]]`; what isn't said is as the codec usually has it.
fn read(text: &str) -> Result<CodecFormat, FormatError> {
    let syntax = || FormatError::Syntax(text.into());
    let name = text.split('/').next().filter(|name| !name.is_empty()).ok_or_else(syntax)?;
    let (clock_hz, channels) =
        Registry::builtin().named(name).map_or((8_000, 1), |usual| (usual.rtp_clock_hz, usual.channels));
    let whole = match text.matches('/').count() {
        _ if text.contains(char::is_whitespace) => None,
        0 => Some(CodecFormat::new(name.to_owned(), clock_hz, channels)),
        1 => CodecFormat::from_rtpmap(text).map(|format| CodecFormat { channels, ..format }),
        2 => CodecFormat::from_rtpmap(text),
        _ => None,
    };
    whole.ok_or_else(syntax)
}

impl FromStr for PayloadFormat {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        Self::new(read(text)?).ok_or_else(|| FormatError::Codec(text.into()))
    }
}

impl PayloadFormat {
    /// `None` if there is no decoder for it, or it has more channels than two. Opus, which never says, is taken as mono.
    pub fn new(format: CodecFormat) -> Option<Self> {
        // In codecs of samples the channels lie sample beside sample, and the codec of one channel takes them all.
        let (coding, channels) = match format.channels {
            2 if ["PCMU", "PCMA"].iter().any(|name| format.is_named(name)) => {
                (CodecFormat { channels: 1, ..format.clone() }, Some(2))
            }
            _ => (format.clone(), None),
        };
        let codec = Registry::builtin().describe(&coding)?;
        let channels = channels.unwrap_or(codec.channels);
        let sample_rate_hz = codec.sample_rate_hz;
        (1..=2).contains(&channels).then_some(Self { format, coding, sample_rate_hz, channels })
    }

    /// The same of packets of which some are stereo: Opus says it in each packet alone.
    fn with_stereo_packets(self, some: bool) -> Self {
        if some && self.format.is_named("opus") { Self { channels: 2, ..self } } else { self }
    }

    /// Whether another's sound has the same rates.
    fn has_the_rates_of(&self, other: &Self) -> bool {
        (self.rtp_clock_hz(), self.sample_rate_hz) == (other.rtp_clock_hz(), other.sample_rate_hz)
    }

    /// Whether it can be heard in a stream of another: that keeps its RTP clock, and sound of another rate is resampled.
    pub(super) fn goes_with(&self, main: &Self) -> bool {
        self.rtp_clock_hz() == main.rtp_clock_hz()
    }

    /// Makes one stream of the formats in it, of which the first says the rates: where one is stereo, all are.
    pub(super) fn bring_together(formats: &mut [&mut Self]) {
        let Some(main) = formats.first().map(|main| (*main).clone()) else { return };
        if formats.iter().any(|format| format.has_the_rates_of(&main) && format.channels == 2) {
            for format in formats.iter_mut().filter(|format| format.has_the_rates_of(&main)) {
                format.channels = 2;
            }
        }
    }

    fn named(name: &'static str, clock: u32, channels: u8) -> Option<Self> {
        Self::new(CodecFormat::new(name, clock, channels))
    }

    /// What it is.
    pub fn codec(&self) -> &CodecFormat {
        &self.format
    }

    /// Rate of the RTP clock, in Hz.
    pub fn rtp_clock_hz(&self) -> u32 {
        self.format.rtp_clock_hz
    }

    /// Rate of the sound, in Hz.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Channels of the sound.
    pub fn channels(&self) -> u8 {
        self.channels
    }

    /// A decoder for it; `None` if the library refuses.
    fn decoder(&self) -> Option<Box<dyn Decoder + Send>> {
        let opus = OpusEncoderConfig { channels: self.channels, ..OpusEncoderConfig::default() };
        let registry = Registry::builtin().with(Opus(opus));
        let decoder = registry.find(&self.coding)?.decoder(&Terms::alone(&self.coding)).ok()?;
        let decoder: Box<dyn Decoder + Send> =
            if self.coding == self.format { decoder } else { Box::new(Pairs(decoder)) };
        Some(if decoder.info().channels < self.channels { Box::new(Doubled(decoder)) } else { decoder })
    }
}

impl fmt::Display for PayloadFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.format.fmt(f)
    }
}

/// A decoder of samples that has those of two channels, one beside the other.
struct Pairs(Box<dyn Decoder + Send>);

impl Decoder for Pairs {
    fn info(&self) -> CodecInfo {
        CodecInfo { channels: 2, ..self.0.info() }
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        match self.0.duration(payload)? {
            ticks if ticks % 2 == 0 => Ok(ticks / 2),
            _ => Err(DecodeError::Length { bytes: payload.len() }),
        }
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        self.duration(payload)?;
        Ok(self.0.decode(payload, pcm)? / 2)
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

/// A mono decoder, in a stream that is stereo at other times: the same in both channels.
struct Doubled(Box<dyn Decoder + Send>);

impl Doubled {
    /// Of the first half of `pcm`, which is mono.
    fn double(pcm: &mut [i16]) {
        for n in (0..pcm.len() / 2).rev() {
            let sample = pcm[n];
            pcm[2 * n..2 * n + 2].fill(sample);
        }
    }
}

impl Decoder for Doubled {
    fn info(&self) -> CodecInfo {
        CodecInfo { channels: 2, ..self.0.info() }
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        self.0.duration(payload)
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        let half = pcm.len() / 2;
        let samples = self.0.decode(payload, &mut pcm[..half])?;
        Self::double(&mut pcm[..2 * samples]);
        Ok(samples)
    }

    fn conceal(&mut self, pcm: &mut [i16]) -> bool {
        let half = pcm.len() / 2;
        let made = self.0.conceal(&mut pcm[..half]);
        Self::double(pcm);
        made
    }

    fn follow(&mut self, samples: usize) {
        self.0.follow(samples);
    }

    fn pauses(&self, payload: &[u8]) -> bool {
        self.0.pauses(payload)
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

/// What a payload type stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadMeaning {
    /// Sound that can be decoded.
    Sound(PayloadFormat),
    /// Comfort noise (RFC 3389): no packet is missing for it.
    Noise,
    /// Telephone events (RFC 4733).
    Events,
    /// Redundant audio data (RFC 2198); what each block is, it says itself.
    Redundancy,
}

/// `opus/48000/2`, `CN/8000`, `telephone-event/8000`, `red/8000`. The clock of what goes with a codec is the codec's,
/// whatever is written.
impl FromStr for PayloadMeaning {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let format = read(text)?;
        let beside = [("CN", Self::Noise), ("telephone-event", Self::Events), ("red", Self::Redundancy)];
        match beside.into_iter().find(|(name, _)| format.is_named(name)) {
            Some((_, meaning)) => Ok(meaning),
            None => text.parse().map(Self::Sound),
        }
    }
}

/// Payload types as the user knows them.
#[derive(Clone, Debug, Default)]
pub struct PayloadMap {
    /// By number; of two with the same the later counts.
    pub entries: Vec<(PayloadType, PayloadMeaning)>,
    /// For dynamic numbers that are not in `entries`.
    pub otherwise: Option<PayloadFormat>,
}

impl PayloadMap {
    /// Adds `96=opus/48000/2`, or several with commas between them.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn add(&mut self, text: &str) -> Result<(), FormatError> {
        for entry in text.split(',') {
            let (number, format) = entry.split_once('=').ok_or_else(|| FormatError::Entry(entry.into()))?;
            let number = number.trim().parse().ok().and_then(PayloadType::new);
            self.entries.push((number.ok_or_else(|| FormatError::Entry(entry.into()))?, format.trim().parse()?));
        }
        Ok(())
    }

    /// What the user says of a number.
    pub(super) fn get(&self, number: PayloadType) -> Option<&PayloadMeaning> {
        self.entries.iter().rev().find(|(known, _)| *known == number).map(|(_, meaning)| meaning)
    }
}

/// What a payload type is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// Something that we know what to do with.
    Known(PayloadMeaning, Origin),
    /// Nothing for us, and why.
    Unknown(String),
}

/// How it's known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The user said it.
    Told,
    /// RFC 3551 fixes it.
    Static,
    /// The packets look like it.
    Guessed,
}

/// How many packets look like telephone events (RFC 4733, 2.3), whatever lies between them in the sequence.
#[derive(Clone, Debug, Default)]
struct Events {
    fitting: u32,
    /// Those that repeat the event before them, or go on with it.
    repeated: u32,
    /// Timestamp, event and duration of the last.
    last: Option<(u32, u8, u16)>,
}

impl Events {
    fn add(&mut self, timestamp: u32, payload: &[u8]) {
        // Several events in one packet begin with the newest, and are rare.
        let [event, volume, high, low] = *payload else {
            self.last = None;
            return;
        };
        let duration = u16::from_be_bytes([high, low]);
        // 0 to 15 are keys, 16 a flash; others up to 40 are lines' tones. One bit is reserved and 0.
        if event > 40 || volume & 0x40 != 0 {
            self.last = None;
            return;
        }
        self.fitting += 1;
        if let Some((begin, before, length)) = self.last {
            self.repeated += u32::from(begin == timestamp && before == event && duration >= length);
        }
        self.last = Some((timestamp, event, duration));
    }

    /// Nearly all look so, and at least a third go on with the one before: an event is sent every 50 ms, and its end
    /// three times (2.5.1.4).
    fn fit(&self, packets: u32) -> bool {
        self.repeated > 0
            && f64::from(self.fitting) >= FITTING * f64::from(packets)
            && self.repeated * 3 >= self.fitting
    }
}

/// How the packets of one payload type look.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    pub(super) packets: u32,
    pairs: u32,
    opus: u32,
    /// Packets that are stereo if they are Opus.
    stereo: u32,
    octets: [u32; OCTETS.len()],
    ilbc: [u32; 2],
    event: Events,
    last: Option<(u16, u32, usize, u32)>,
    steps: Vec<(u32, u32)>,
    bytes: u64,
    readings: [Likeness; READINGS.len()],
    randomness: Randomness,
}

/// Bytes a tick of the timestamp: 1 for G.711 and G.722, 2 and 4 for L16 or for G.711 in stereo; and with the tags of
/// SRTP behind, of 10, 4 and 16 bytes.
const OCTETS: [(u32, u32); 8] = [(1, 0), (2, 0), (4, 0), (1, 10), (1, 4), (1, 16), (2, 10), (2, 16)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Law {
    Mu,
    A,
    Linear,
}

/// Readings of a payload: coding, channels.
const READINGS: [(Law, usize); 6] =
    [(Law::Mu, 1), (Law::A, 1), (Law::Mu, 2), (Law::A, 2), (Law::Linear, 1), (Law::Linear, 2)];

/// Products of neighbouring samples and of samples with themselves.
#[derive(Clone, Copy, Debug, Default)]
struct Likeness {
    neighbours: f64,
    itself: f64,
}

impl Likeness {
    fn add(&mut self, samples: impl Iterator<Item = i16>, channels: usize) {
        let mut before = [0.0; 2];
        for (n, sample) in samples.enumerate() {
            let last = &mut before[n % channels];
            let sample = f64::from(sample);
            self.neighbours += sample * *last;
            self.itself += sample * sample;
            *last = sample;
        }
    }

    fn correlation(&self) -> f64 {
        if self.itself > 0.0 { self.neighbours / self.itself } else { 0.0 }
    }
}

/// How often each value stood at the beginning of a payload: at its first byte, and among the first bytes.
///
/// A cipher makes all values equally likely, the first byte's too. No codec does: Opus begins with its configuration, iLBC
/// with the spectral envelope, samples follow the level of the speech.
#[derive(Clone, Debug, Default)]
struct Randomness {
    packets: u32,
    counts: Option<Box<[[u16; 256]; 2]>>,
}

impl Randomness {
    fn add(&mut self, payload: &[u8]) {
        let Some(beginning) = payload.get(..RANDOM_BYTES.min(payload.len().max(11))) else { return };
        let [first, all] = &mut **self.counts.get_or_insert_with(|| Box::new([[0; 256]; 2]));
        self.packets += 1;
        first[usize::from(beginning[0])] += 1;
        beginning.iter().for_each(|&byte| all[usize::from(byte)] += 1);
    }

    /// Whether the counts are those of noise: pairs of equal values are as rare as chance allows, or nearly.
    fn is_noise(&self) -> bool {
        let Some(counts) = self.counts.as_deref().filter(|_| self.packets >= LEAST_RANDOM) else { return false };
        counts.iter().zip([1.2, 1.03]).all(|(counts, more)| {
            let total: f64 = counts.iter().map(|&count| f64::from(count)).sum();
            let pairs: f64 = counts.iter().map(|&count| f64::from(count) * (f64::from(count) - 1.0) / 2.0).sum();
            let expected = total * (total - 1.0) / 512.0;
            // Their number spreads as that of rare events does.
            pairs <= more * expected + 4.0 * expected.sqrt()
        })
    }
}

impl Shape {
    /// Takes in a packet of this payload type.
    pub(super) fn add(&mut self, seq: u16, timestamp: u32, payload: &[u8]) {
        self.packets = self.packets.saturating_add(1);
        self.bytes += payload.len() as u64;
        if let Some((last_seq, last_timestamp, bytes, opus)) = self.last
            && seq == last_seq.wrapping_add(1)
        {
            let step = timestamp.wrapping_sub(last_timestamp);
            // Pauses and restarts tell nothing of a packet's length.
            if step > 0 && step <= 9_600 {
                self.pair(step, bytes as u32, opus);
            }
        }
        self.event.add(timestamp, payload);
        let packet = OpusPacket::parse(payload).ok();
        self.stereo += u32::from(packet.is_some_and(|packet| packet.channels == 2));
        let opus = packet.map_or(0, |packet| packet.ticks());
        self.last = Some((seq, timestamp, payload.len(), opus));
        if self.packets <= SAMPLED_PACKETS {
            self.randomness.add(payload);
            for ((law, channels), likeness) in READINGS.iter().zip(&mut self.readings) {
                match law {
                    Law::Mu => likeness.add(payload.iter().map(|&code| ulaw_to_linear(code)), *channels),
                    Law::A => likeness.add(payload.iter().map(|&code| alaw_to_linear(code)), *channels),
                    Law::Linear => {
                        let words = payload.as_chunks::<2>().0.iter();
                        likeness.add(words.map(|&word| i16::from_be_bytes(word)), *channels);
                    }
                }
            }
        }
    }

    fn pair(&mut self, step: u32, bytes: u32, opus: u32) {
        self.pairs += 1;
        self.opus += u32::from(opus == step);
        for ((a_tick, tag), count) in OCTETS.iter().zip(&mut self.octets) {
            *count += u32::from(bytes == step * a_tick + tag);
        }
        for ((frame, ticks), count) in [(38, 160), (50, 240)].iter().zip(&mut self.ilbc) {
            *count += u32::from(bytes > 0 && bytes.is_multiple_of(*frame) && step == bytes / frame * ticks);
        }
        if let Some((_, count)) = self.steps.iter_mut().find(|(known, _)| *known == step) {
            *count += 1;
        } else if self.steps.len() < 16 {
            self.steps.push((step, 1));
        }
    }

    /// The usual step of the timestamp from packet to packet.
    pub(super) fn usual_step(&self) -> Option<u32> {
        self.steps.iter().max_by_key(|(step, count)| (*count, u32::MAX - step)).map(|(step, _)| *step)
    }

    fn fits(&self, count: u32) -> bool {
        self.pairs >= LEAST_PAIRS && f64::from(count) >= FITTING * f64::from(self.pairs)
    }

    /// G.711 and G.722 under SRTP: each packet longer than its time by a tag.
    fn is_tagged(&self) -> bool {
        self.octets[3..].iter().any(|&count| self.fits(count))
    }

    /// Whether the payloads are noise, or longer than their time by a tag of SRTP.
    pub(super) fn looks_encrypted(&self) -> bool {
        self.randomness.is_noise() || self.is_tagged()
    }

    /// Whether they surely are not encrypted.
    pub(super) fn looks_plain(&self) -> bool {
        !self.looks_encrypted()
            && (self.randomness.packets >= LEAST_RANDOM || self.octets[..3].iter().any(|&count| self.fits(count)))
    }

    fn guess(&self, clock_hz: u32) -> Option<PayloadFormat> {
        if self.fits(self.opus) && (24_000..96_000).contains(&clock_hz) {
            return PayloadFormat::named("opus", 48_000, 2);
        }
        for (mode, count) in [("mode=20", self.ilbc[0]), ("mode=30", self.ilbc[1])] {
            if self.fits(count) {
                return PayloadFormat::new(CodecFormat::new("iLBC", 8_000, 1).with_fmtp(mode));
            }
        }
        let mut best: Option<(f64, PayloadFormat)> = None;
        for ((law, channels), likeness) in READINGS.iter().zip(&self.readings) {
            let bytes = channels * if *law == Law::Linear { 2 } else { 1 };
            let fits = OCTETS
                .iter()
                .position(|octets| *octets == (bytes as u32, 0))
                .is_some_and(|n| self.fits(self.octets[n]));
            let (name, clock) = match law {
                Law::Mu => ("PCMU", 8_000),
                Law::A => ("PCMA", 8_000),
                Law::Linear => ("L16", clock_hz),
            };
            let alike = likeness.correlation();
            if fits && clock == clock_hz && alike >= SMOOTH && best.as_ref().is_none_or(|(most, _)| alike > *most) {
                best = PayloadFormat::named(name, clock, *channels as u8).map(|format| (alike, format)).or(best);
            }
        }
        best.map(|(_, format)| format)
    }

    /// What payload type `number` is, whose clock seems to run at `clock_hz`.
    pub(super) fn resolve(&self, number: PayloadType, clock_hz: u32, map: &PayloadMap) -> Payload {
        match self.meaning(number, clock_hz, map) {
            Payload::Known(PayloadMeaning::Sound(format), origin) => {
                Payload::Known(PayloadMeaning::Sound(format.with_stereo_packets(self.stereo > 0)), origin)
            }
            other => other,
        }
    }

    fn meaning(&self, number: PayloadType, clock_hz: u32, map: &PayloadMap) -> Payload {
        if let Some(meaning) = map.get(number) {
            return Payload::Known(meaning.clone(), Origin::Told);
        }
        // Drafts of RFC 3551 had comfort noise at 19 (6).
        if matches!(number.get(), 13 | 19) {
            return Payload::Known(PayloadMeaning::Noise, Origin::Static);
        }
        let no_decoder = |name: &str| Payload::Unknown(format!("{name}: there is no decoder for it here"));
        if let Some(fixed) = CodecFormat::from_static(number) {
            return match PayloadFormat::new(fixed.clone()) {
                None => no_decoder(&fixed.name),
                Some(_) if self.is_tagged() => Payload::Unknown(format!(
                    "{fixed} by its number, but each packet is longer than its time by the tag of SRTP: encrypted, \
                     and there is no key (--keys)"
                )),
                Some(format) => Payload::Known(PayloadMeaning::Sound(format), Origin::Static),
            };
        }
        if let Some((_, name)) = VIDEO.iter().find(|(known, _)| *known == number.get()) {
            return no_decoder(name);
        }
        if self.event.fit(self.packets) {
            return Payload::Known(PayloadMeaning::Events, Origin::Guessed);
        }
        if let Some(format) = &map.otherwise {
            return Payload::Known(PayloadMeaning::Sound(format.clone()), Origin::Told);
        }
        match self.guess(clock_hz) {
            Some(format) => Payload::Known(PayloadMeaning::Sound(format), Origin::Guessed),
            None => Payload::Unknown(self.why_not(number, clock_hz)),
        }
    }

    fn why_not(&self, number: PayloadType, clock_hz: u32) -> String {
        let mean = self.bytes as f64 / f64::from(self.packets.max(1));
        let step = self.usual_step().map_or(String::new(), |step| format!(" every {step} ticks"));
        let likely = if self.looks_encrypted() { ", as it seems" } else { "" };
        format!(
            "the packets don't tell what it is ({mean:.0} bytes{step}, a clock of about {clock_hz} Hz): say it with \
             --payload-map {}=NAME/CLOCK or --codec NAME, or if it is encrypted{likely}, give the --keys",
            number.get()
        )
    }
}

/// The video of RFC 3551, table 5.
const VIDEO: [(u8, &str); 6] = [
    (25, "CelB video"),
    (26, "JPEG video"),
    (31, "H.261 video"),
    (32, "MPEG video"),
    (33, "MPEG-2 transport stream"),
    (34, "H.263 video"),
];

/// What is behind the payload types of one stream.
pub(super) struct Decoders {
    decoders: Vec<(PayloadType, Box<dyn Decoder + Send>)>,
    others: Vec<(PayloadType, OtherPayload)>,
    redundancy: Option<PayloadType>,
}

impl Decoders {
    /// Of those formats that have the clock of `main`, as a call has them (RFC 7160).
    pub(super) fn new(formats: &[(PayloadType, PayloadFormat)], main: &PayloadFormat) -> Option<Self> {
        let sound = main.decoder()?.info();
        let decoder = |format: &PayloadFormat| -> Option<Box<dyn Decoder + Send>> {
            let decoder = format.decoder()?;
            if format.has_the_rates_of(main) && format.channels() == main.channels() {
                return Some(decoder);
            }
            Some(Box::new(Converted::new(decoder, sound)?.ok()?))
        };
        let heard = formats.iter().filter(|(_, format)| format.goes_with(main));
        let decoders = heard.map(|(number, format)| Some((*number, decoder(format)?))).collect::<Option<_>>()?;
        Some(Self { decoders, others: Vec::new(), redundancy: None })
    }

    /// The same with comfort noise and telephone events: nothing is missing where they are.
    pub(super) fn with_others(self, others: &[(PayloadType, OtherPayload)]) -> Self {
        Self { others: others.to_vec(), ..self }
    }

    /// Whether the timestamp of such a packet says when it is to be heard: it's sound, or comfort noise.
    pub(super) fn has_time(&self, payload_type: PayloadType) -> bool {
        self.redundancy == Some(payload_type)
            || self.other(payload_type) == OtherPayload::Noise
            || self.decoders.iter().any(|(own, _)| *own == payload_type)
    }

    /// The same with redundant audio data.
    pub(super) fn with_redundancy(self, redundancy: Option<PayloadType>) -> Self {
        Self { redundancy, ..self }
    }

    /// The payload type of redundant audio data.
    pub(super) fn redundancy(&self) -> Option<PayloadType> {
        self.redundancy
    }
}

impl PayloadTable for Decoders {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        let (_, decoder) = self.decoders.iter_mut().find(|(own, _)| *own == payload_type)?;
        Some(&mut **decoder)
    }

    fn other(&self, payload_type: PayloadType) -> OtherPayload {
        let other = self.others.iter().find(|(own, _)| *own == payload_type);
        other.map_or(OtherPayload::Unknown, |(_, other)| *other)
    }
}
