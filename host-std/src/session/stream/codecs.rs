//! The codecs of a call: made by the registry from the SDP agreement, found by payload type.

use dsp_core::codec::{CodecInfo, Decoder, OtherPayload, PayloadTable};
use dsp_core::receive::memory::CELL_BYTES;
use dsp_core::time::{PayloadType, common_divisor};

use super::conversion::Sound;
use super::converted::Converted;
use super::need::{USUAL_MS, packet_cells};
use crate::registry::{CodecFormat, Made, Registry, Terms};
use crate::sdp::{NegotiatedCodec, NegotiatedEvents, NegotiatedStream};
use crate::session::CallError;
use crate::session::own::BoxedDecoders;

/// The codec that a call sends, and the rates of its sound both ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SentCodec {
    /// The format as the other side wrote it.
    pub(super) theirs: CodecFormat,
    /// The format that both sides agreed on.
    pub(super) agreed: CodecFormat,
    pub(super) sample_rate_hz: u32,
    /// 1, or 2 interleaved.
    pub(super) channels: u8,
    /// The codec's own delay in microseconds.
    pub(super) delay_us: u32,
    /// The bit rate that packets are made for, in bit/s, before anybody asks for another.
    pub(super) packet_bps: u32,
    /// The payload type of comfort noise, if silence isn't sent as sound.
    pub(super) noise: Option<PayloadType>,
    /// The payload type of packets that repeat those before them, if that is enabled.
    pub(super) redundancy: Option<PayloadType>,
}

impl SentCodec {
    /// Returns the best codec that was agreed on.
    pub(super) fn new(
        registry: &Registry,
        negotiated: &NegotiatedStream,
        comfort_noise_wanted: bool,
        copies: u8,
    ) -> Result<Self, CallError> {
        let (Some(theirs), Some(ours)) = (negotiated.send.first(), negotiated.receive.first()) else {
            return Err(CallError::Codec("none".into()));
        };
        let theirs = theirs.format.clone();
        let agreed = registry.agree(&ours.format, &theirs).unwrap_or_else(|| ours.format.clone());
        let (sample_rate_hz, channels) = sound(registry, &agreed)?;
        let noise = comfort_noise(&negotiated.send, agreed.rtp_clock_hz)
            .filter(|_| comfort_noise_wanted && needs_comfort_noise(registry, &agreed));
        let number = negotiated.send[0].payload_type;
        let redundancy = redundancy(&negotiated.send, &agreed)
            .filter(|red| copies > 0 && may_repeat(&red.format, number))
            .map(|red| red.payload_type);
        let delay_us = registry.describe(&agreed).map_or(0, |description| description.delay_us);
        let packet_bps = registry.find(&agreed).map_or(0, |codec| codec.packet_bps(&agreed));
        Ok(Self { theirs, agreed, sample_rate_hz, channels, delay_us, packet_bps, noise, redundancy })
    }

    /// Returns whether another codec's encoder would work in the same way.
    pub(super) fn codes_like(&self, other: &Self) -> bool {
        self.theirs == other.theirs && self.agreed == other.agreed && self.sounds_like(other)
    }

    /// Returns whether another's sound has the same rates and channels.
    pub(super) fn sounds_like(&self, other: &Self) -> bool {
        let sound = |sending: &Self| (sending.sample_rate_hz, sending.channels, sending.rtp_clock_hz());
        sound(self) == sound(other)
    }

    /// Returns the encoder's input format.
    pub(super) fn sound(&self) -> Sound {
        Sound { rate_hz: self.sample_rate_hz, channels: self.channels }
    }

    pub(super) fn rtp_clock_hz(&self) -> u32 {
        self.agreed.rtp_clock_hz
    }

    pub(super) fn encoder(&self, registry: &Registry) -> Result<Box<dyn dsp_core::codec::Encoder + Send>, CallError> {
        make(registry, &self.agreed, |codec| codec.encoder(&Terms { ours: &self.agreed, theirs: &self.theirs }))
    }
}

/// Rate of the sound of a codec in a call, in Hz, and its channels.
///
/// # Errors
/// [`CallError::Codec`] if the registry has none, [`CallError::Channels`] if its sound is neither mono nor stereo.
pub(super) fn sound(registry: &Registry, format: &CodecFormat) -> Result<(u32, u8), CallError> {
    let description = registry.describe(format).ok_or_else(|| CallError::Codec(format.to_string()))?;
    match description.channels {
        channels @ 1..=2 => Ok((description.sample_rate_hz, channels)),
        channels => Err(CallError::Channels { codec: format.to_string(), channels }),
    }
}

fn make<T: ?Sized>(
    registry: &Registry,
    format: &CodecFormat,
    make: impl FnOnce(&dyn crate::registry::Codec) -> Made<T>,
) -> Result<Box<T>, CallError> {
    let codec = registry.find(format).ok_or_else(|| CallError::Codec(format.to_string()))?;
    make(codec).map_err(|source| CallError::CodecSetup { codec: format.to_string(), source })
}

/// Returns the formats that we offer for these codecs. Comfort noise is added, if it is enabled, at the clocks of all that have
/// no pauses of their own; and redundancy with this many copies at the clocks of all.
///
/// # Errors
/// The same as for [`sound`], for the first codec that can't be in a call.
pub(in crate::session) fn offered(
    registry: &Registry,
    codecs: &[CodecFormat],
    comfort_noise_wanted: bool,
    copies: u8,
) -> Result<Vec<CodecFormat>, CallError> {
    let mut formats = Vec::new();
    for wanted in codecs {
        sound(registry, wanted)?;
        formats.extend(registry.find(wanted).map(|codec| codec.offer(wanted)));
    }
    for codec in codecs.iter().filter(|codec| comfort_noise_wanted && needs_comfort_noise(registry, codec)) {
        let noise = CodecFormat::comfort_noise(codec.rtp_clock_hz);
        if !formats.contains(&noise) {
            formats.push(noise);
        }
    }
    for codec in codecs.iter().filter(|_| copies > 0) {
        let red = CodecFormat::redundancy(codec);
        if !formats.contains(&red) {
            formats.push(red);
        }
    }
    Ok(formats)
}

/// Returns whether a codec has no pauses of its own.
fn needs_comfort_noise(registry: &Registry, format: &CodecFormat) -> bool {
    registry.describe(format).is_some_and(|description| !description.dtx)
}

/// Returns the payload type of comfort noise for a codec, if both sides have it.
fn comfort_noise(formats: &[NegotiatedCodec], rtp_clock_hz: u32) -> Option<PayloadType> {
    let noise = CodecFormat::comfort_noise(rtp_clock_hz);
    formats.iter().find(|codec| codec.format.same_encoding(&noise)).map(|codec| codec.payload_type)
}

/// Returns redundant audio data for a codec, if both sides have it.
pub(super) fn redundancy<'a>(formats: &'a [NegotiatedCodec], beside: &CodecFormat) -> Option<&'a NegotiatedCodec> {
    let red = CodecFormat::redundancy(beside);
    formats.iter().find(|codec| codec.format.same_encoding(&red))
}

/// Returns whether the other side's list of payload types in redundant audio data has this one. Without a list all are welcome.
fn may_repeat(red: &CodecFormat, number: PayloadType) -> bool {
    let mut numbers = red.fmtp.split([' ', '/']).filter_map(|text| text.parse::<u8>().ok()).peekable();
    numbers.peek().is_none() || numbers.any(|listed| listed == number.get())
}

/// A table of the user's own, and for which payload types it has something, a bit each.
struct OwnTable {
    table: BoxedDecoders,
    known: u128,
}

impl OwnTable {
    /// # Errors
    /// [`CallError::OwnDecoder`] of the first decoder that has another sound.
    fn new(mut table: BoxedDecoders, need: CodecInfo) -> Result<Self, CallError> {
        let mut known = 0;
        for payload_type in (0..128).map(PayloadType::from_low_bits) {
            let bit = 1 << payload_type.get();
            if let Some(got) = table.decoder(payload_type).map(|decoder| decoder.info()) {
                let sound = |info: &CodecInfo| (info.sample_rate_hz, info.rtp_clock_hz, info.channels);
                if sound(&got) != sound(&need) {
                    return Err(CallError::OwnDecoder { payload_type, got, need });
                }
                known |= bit;
            } else if table.other(payload_type) != OtherPayload::Unknown {
                known |= bit;
            }
        }
        Ok(Self { table, known })
    }

    fn knows(&self, payload_type: PayloadType) -> bool {
        self.known >> payload_type.get() & 1 == 1
    }
}

/// The sound that the receivers of a stream play, and their clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReceivedSound {
    pub(super) sound: Sound,
    pub(super) clock_hz: u32,
}

impl ReceivedSound {
    /// Returns the sound that a decoder of the user's own has to deliver.
    pub(super) fn info(&self) -> CodecInfo {
        let Sound { rate_hz, channels } = self.sound;
        CodecInfo { name: "", sample_rate_hz: rate_hz, rtp_clock_hz: self.clock_hz, channels }
    }

    /// Returns the widest sound of these formats, so that each may come at any time: the highest rate, and two channels if one of
    /// them has two. The clock is one of which all of theirs are parts, up to 192 kHz; where there is none, that of the sound, of
    /// which packets of all of them are whole numbers of ticks.
    ///
    /// # Errors
    /// The same as for [`sound`], for the first codec that can't be in a call.
    pub(super) fn of(registry: &Registry, formats: &[NegotiatedCodec]) -> Result<Self, CallError> {
        let (mut rate_hz, mut channels, mut clock_hz) = (0, 1, 1);
        for format in formats.iter().map(|codec| &codec.format) {
            if !format.is_auxiliary() {
                let (own_hz, own_channels) = sound(registry, format)?;
                (rate_hz, channels) = (rate_hz.max(own_hz), channels.max(own_channels));
            }
            clock_hz = common_multiple(clock_hz, format.rtp_clock_hz.max(1));
        }
        let (low, high) = (clock_hz.min(rate_hz), clock_hz.max(rate_hz));
        let fits = low >= 8_000 && high <= 192_000 && high.is_multiple_of(low);
        let clock_hz = if fits { clock_hz } else { rate_hz };
        Ok(Self { sound: Sound { rate_hz, channels }, clock_hz })
    }
}

/// Returns the least; more than any clock where there is none of a sensible size.
fn common_multiple(one: u32, other: u32) -> u32 {
    one.saturating_mul(other / common_divisor(one, other))
}

/// The formats that may come.
#[derive(Clone, Copy)]
pub(super) struct ReceivableFormats<'a> {
    pub(super) codecs: &'a [NegotiatedCodec],
    pub(super) events: &'a [NegotiatedEvents],
}

/// The meaning of each payload type of a call: decoders and comfort noise.
pub(super) struct Decoders {
    /// The user's own table, which is asked first.
    own: Option<OwnTable>,
    decoders: Vec<(PayloadType, Box<dyn Decoder + Send>)>,
    /// The payload types without a decoder: comfort noise, redundancy and events, with their RTP clocks in Hz.
    others: Vec<(PayloadType, OtherPayload, u32)>,
    /// Cells of a jitter buffer that a usual packet takes.
    packet_cells: usize,
}

impl Decoders {
    /// Creates a decoder for each format; if its sound is not that of the receivers, it's converted.
    ///
    /// # Errors
    /// Why a decoder can't be made, or its sound not be converted.
    pub(super) fn new(registry: &Registry, formats: &ReceivableFormats<'_>, to: Sound) -> Result<Self, CallError> {
        let ReceivableFormats { codecs: formats, events } = *formats;
        let mut decoders = Vec::new();
        // The timestamps of events count in the clock of the sound that they are in (RFC 4733, 2.1), whatever theirs is.
        let clock_hz = |own: u32| {
            let mut clocks = formats.iter().map(|codec| codec.format.rtp_clock_hz);
            let first = clocks.clone().next().unwrap_or(own);
            if clocks.any(|clock| clock == own) { own } else { first }
        };
        let of_event =
            |events: &NegotiatedEvents| (events.payload_type, OtherPayload::Event, clock_hz(events.rtp_clock_hz));
        let mut others: Vec<_> = events.iter().map(of_event).collect();
        for NegotiatedCodec { payload_type, format } in formats {
            let clock_hz = format.rtp_clock_hz;
            if format.is_auxiliary() {
                let other = if format.same_encoding(&CodecFormat::comfort_noise(clock_hz)) {
                    OtherPayload::Noise
                } else if format.is_named("red") {
                    OtherPayload::Redundancy
                } else {
                    OtherPayload::Unknown
                };
                others.push((*payload_type, other, clock_hz));
                continue;
            }
            let decoder = make(registry, format, |codec| codec.decoder(&Terms::alone(format)))?;
            let CodecInfo { sample_rate_hz, channels, .. } = decoder.info();
            let decoder = match (sample_rate_hz, channels) == (to.rate_hz, to.channels) {
                true => decoder,
                false => {
                    let converted = Converted::new(decoder, to.rate_hz, to.channels);
                    Box::new(converted.map_err(CallError::Conversion)?)
                }
            };
            decoders.push((*payload_type, decoder));
        }
        let packet_cells = formats.iter().map(|codec| packet_cells(registry, &codec.format)).max().unwrap_or(0);
        Ok(Self { own: None, decoders, others, packet_cells })
    }

    /// Adds a table of the user's own, which is asked first; `need` is the sound that its decoders must have.
    ///
    /// # Errors
    /// [`CallError::OwnDecoder`] if one of them has another.
    pub(super) fn with_own(mut self, table: BoxedDecoders, need: CodecInfo) -> Result<Self, CallError> {
        let own = OwnTable::new(table, need)?;
        self.own = Some(own);
        // No format says how many bytes they have: no more than samples of 16 bits.
        let samples = need.sample_rate_hz as usize * usize::from(need.channels) * USUAL_MS as usize / 1_000;
        self.packet_cells = self.packet_cells.max((samples * size_of::<i16>()).div_ceil(CELL_BYTES));
        Ok(self)
    }

    /// Returns whether packets of this type have a meaning.
    pub(super) fn knows(&self, payload_type: PayloadType) -> bool {
        let own = self.own.as_ref().is_some_and(|own| own.knows(payload_type));
        let decoder = || self.decoders.iter().any(|(own, _)| *own == payload_type);
        own || self.other(payload_type) != OtherPayload::Unknown || decoder()
    }

    /// Cells of a jitter buffer that a usual packet takes.
    pub(super) fn packet_cells(&self) -> usize {
        self.packet_cells
    }

    /// Takes in decoders of payload types that are not here: the existing ones keep their state.
    pub(super) fn add(&mut self, others: Self) {
        let known: Vec<_> = (0..128).map(PayloadType::from_low_bits).filter(|number| self.knows(*number)).collect();
        self.decoders.extend(others.decoders.into_iter().filter(|(number, _)| !known.contains(number)));
        self.others.extend(others.others.into_iter().filter(|(number, ..)| !known.contains(number)));
        self.packet_cells = self.packet_cells.max(others.packet_cells);
    }
}

impl PayloadTable for Decoders {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        if let Some(own) = self.own.as_mut().filter(|own| own.knows(payload_type)) {
            return own.table.decoder(payload_type);
        }
        let (_, decoder) = self.decoders.iter_mut().find(|(own, _)| *own == payload_type)?;
        Some(&mut **decoder)
    }

    fn other(&self, payload_type: PayloadType) -> OtherPayload {
        if let Some(own) = self.own.as_ref().filter(|own| own.knows(payload_type)) {
            return own.table.other(payload_type);
        }
        let own = self.others.iter().find(|(own, ..)| *own == payload_type);
        own.map_or(OtherPayload::Unknown, |(_, other, _)| *other)
    }

    fn clock_hz(&self, payload_type: PayloadType) -> Option<u32> {
        if let Some(own) = self.own.as_ref().filter(|own| own.knows(payload_type)) {
            return own.table.clock_hz(payload_type);
        }
        let own = self.others.iter().find(|(own, ..)| *own == payload_type);
        own.map(|(.., clock_hz)| *clock_hz)
    }
}

#[cfg(all(test, feature = "opus"))]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_one_of_which_all_are_parts_and_the_sound_the_widest() {
        let received = |formats: &[CodecFormat]| {
            let number = |n: usize| PayloadType::from_low_bits(96 + n as u8);
            let formats = formats.iter().enumerate();
            let formats: Vec<_> = formats
                .map(|(n, format)| NegotiatedCodec { payload_type: number(n), format: format.clone() })
                .collect();
            let ReceivedSound { sound, clock_hz } = ReceivedSound::of(&Registry::builtin(), &formats).unwrap();
            (sound.rate_hz, sound.channels, clock_hz)
        };
        assert_eq!(received(&[CodecFormat::pcmu()]), (8_000, 1, 8_000));
        assert_eq!(received(&[CodecFormat::g722(), CodecFormat::pcma()]), (16_000, 1, 8_000));
        assert_eq!(received(&[CodecFormat::pcmu(), CodecFormat::opus()]), (48_000, 1, 48_000));
        assert_eq!(received(&[CodecFormat::l16(32_000, 1), CodecFormat::opus()]), (48_000, 1, 96_000));
        assert_eq!(received(&[CodecFormat::l16(44_100, 2), CodecFormat::pcmu()]), (44_100, 2, 44_100));
        assert_eq!(received(&[CodecFormat::l16(44_100, 1), CodecFormat::opus()]), (48_000, 1, 48_000));
        assert_eq!(received(&[CodecFormat::l16(11_025, 1)]), (11_025, 1, 11_025));
    }
}
