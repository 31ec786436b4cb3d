//! The codecs of a call: made by the registry from what the SDP agreed on, found by payload type.

use dsp_core::codec::{CodecInfo, Decoder, OtherPayload, PayloadTable};
use dsp_core::receive::memory::CELL_BYTES;
use dsp_core::time::{PayloadType, RtpTime};
use dsp_core::wire::rtp::RtpPacket;

use super::conversion::Sound;
use super::converted::Converted;
use super::need::{USUAL_MS, packet_cells};
use crate::registry::{CodecFormat, Made, Registry, Terms};
use crate::sdp::{NegotiatedCodec, NegotiatedStream};
use crate::session::CallError;
use crate::session::own::BoxedDecoders;

/// What a call sends, and the rates of its sound both ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SentCodec {
    /// What the other side wrote.
    pub(super) theirs: CodecFormat,
    /// What both sides' formats come to.
    pub(super) agreed: CodecFormat,
    pub(super) sample_rate_hz: u32,
    /// 1, or 2 interleaved.
    pub(super) channels: u8,
    /// The codec's own delay in microseconds.
    pub(super) delay_us: u32,
    /// The bit rate that packets are made for, in bit/s, before anybody asks for another.
    pub(super) packet_bps: u32,
    /// What silence is sent as, if it isn't sent as sound.
    pub(super) noise: Option<PayloadType>,
    /// What packets are that repeat those before them, if they shall.
    pub(super) redundancy: Option<PayloadType>,
}

impl SentCodec {
    /// The best codec that was agreed on.
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

    /// Whether another's encoder would do the same.
    pub(super) fn codes_like(&self, other: &Self) -> bool {
        self.theirs == other.theirs && self.agreed == other.agreed && self.sounds_like(other)
    }

    /// Whether another's sound has the same rates and channels.
    pub(super) fn sounds_like(&self, other: &Self) -> bool {
        let sound = |sending: &Self| (sending.sample_rate_hz, sending.channels, sending.rtp_clock_hz());
        sound(self) == sound(other)
    }

    /// What the encoder takes.
    pub(super) fn sound(&self) -> Sound {
        Sound { rate_hz: self.sample_rate_hz, channels: self.channels }
    }

    /// What a decoder gives in this call.
    pub(super) fn info(&self) -> CodecInfo {
        let Self { sample_rate_hz, channels, .. } = *self;
        CodecInfo { name: "", sample_rate_hz, rtp_clock_hz: self.rtp_clock_hz(), channels }
    }

    pub(super) fn rtp_clock_hz(&self) -> u32 {
        self.agreed.rtp_clock_hz
    }

    /// Whether a codec of ours has the same rates and channels, so that one stream can carry both.
    pub(super) fn goes_with(&self, registry: &Registry, format: &CodecFormat) -> bool {
        let own = (self.sample_rate_hz, self.channels);
        let same_sound =
            || registry.describe(format).is_some_and(|codec| (codec.sample_rate_hz, codec.channels) == own);
        format.rtp_clock_hz == self.rtp_clock_hz() && (format.is_auxiliary() || same_sound())
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

/// What we offer for these codecs. Comfort noise comes with them, if it is wanted, at the clocks of all that have no
/// pauses of their own; and redundancy of so many copies at the clocks of all.
///
/// # Errors
/// As for [`sound`], of the first that can't be in a call.
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

/// Whether a codec has no pauses of its own.
fn needs_comfort_noise(registry: &Registry, format: &CodecFormat) -> bool {
    registry.describe(format).is_some_and(|description| !description.dtx)
}

/// The payload type of comfort noise beside a codec, if both sides have it.
fn comfort_noise(formats: &[NegotiatedCodec], rtp_clock_hz: u32) -> Option<PayloadType> {
    let noise = CodecFormat::comfort_noise(rtp_clock_hz);
    formats.iter().find(|codec| codec.format.same_encoding(&noise)).map(|codec| codec.payload_type)
}

/// Redundant audio data beside a codec, if both sides have it.
pub(super) fn redundancy<'a>(formats: &'a [NegotiatedCodec], beside: &CodecFormat) -> Option<&'a NegotiatedCodec> {
    let red = CodecFormat::redundancy(beside);
    formats.iter().find(|codec| codec.format.same_encoding(&red))
}

/// Whether the other side's list of payload types in redundant audio data has this one. Without a list all are welcome.
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

/// What is behind each payload type of a call: decoders and comfort noise.
pub(super) struct Decoders {
    /// It comes first.
    own: Option<OwnTable>,
    decoders: Vec<(PayloadType, Box<dyn Decoder + Send>)>,
    /// Comfort noise, one for each clock of the decoders.
    noise: Vec<PayloadType>,
    redundancy: Option<PayloadType>,
    /// Cells of a jitter buffer that a usual packet takes.
    packet_cells: usize,
    /// Payload types of a slower clock than the call's, and what their timestamps are to be multiplied by.
    slower: Vec<(PayloadType, u32)>,
}

impl Decoders {
    /// One for each format whose RTP clock the call's is a multiple of; where the sound is another than the call's, it's
    /// converted.
    pub(super) fn new(registry: &Registry, formats: &[NegotiatedCodec], sound: &SentCodec) -> Result<Self, CallError> {
        let (mut decoders, mut slower) = (Vec::new(), Vec::new());
        for NegotiatedCodec { payload_type, format } in formats.iter().filter(|codec| !codec.format.is_auxiliary()) {
            let decoder = make(registry, format, |codec| codec.decoder(&Terms::alone(format)))?;
            if sound.goes_with(registry, format) {
                decoders.push((*payload_type, decoder));
            } else if let Some(Ok(converted)) = Converted::new(decoder, sound.info()) {
                slower.extend(Some((*payload_type, converted.factor())).filter(|(_, factor)| *factor > 1));
                decoders.push((*payload_type, Box::new(converted)));
            }
        }
        // What goes with a slower codec counts in that one's clock.
        let mut noise = Vec::new();
        for NegotiatedCodec { payload_type, format } in formats.iter().filter(|codec| codec.format.is_auxiliary()) {
            let clock_hz = format.rtp_clock_hz;
            if clock_hz > 0 && sound.rtp_clock_hz().is_multiple_of(clock_hz) {
                let factor = sound.rtp_clock_hz() / clock_hz;
                slower.extend(Some((*payload_type, factor)).filter(|(_, factor)| *factor > 1));
                noise.extend(
                    Some(*payload_type).filter(|_| format.same_encoding(&CodecFormat::comfort_noise(clock_hz))),
                );
            }
        }
        let redundancy = redundancy(formats, &sound.agreed).map(|red| red.payload_type);
        let packet_cells = formats.iter().map(|codec| packet_cells(registry, &codec.format)).max().unwrap_or(0);
        Ok(Self { own: None, decoders, noise, redundancy, packet_cells, slower })
    }

    /// With a table of the user's own, which is asked first; `need` is the sound that its decoders must have.
    ///
    /// # Errors
    /// [`CallError::OwnDecoder`] if one of them has another.
    pub(super) fn with_own(mut self, table: BoxedDecoders, need: CodecInfo) -> Result<Self, CallError> {
        let own = OwnTable::new(table, need)?;
        // What it answers counts in the stream's own clock.
        self.slower.retain(|(payload_type, _)| !own.knows(*payload_type));
        self.own = Some(own);
        // No format says how many bytes they have: no more than samples of 16 bits.
        let samples = need.sample_rate_hz as usize * usize::from(need.channels) * USUAL_MS as usize / 1_000;
        self.packet_cells = self.packet_cells.max((samples * size_of::<i16>()).div_ceil(CELL_BYTES));
        Ok(self)
    }

    /// Whether packets of this type mean something.
    pub(super) fn knows(&self, payload_type: PayloadType) -> bool {
        self.own.as_ref().is_some_and(|own| own.knows(payload_type))
            || self.noise.contains(&payload_type)
            || self.redundancy == Some(payload_type)
            || self.decoders.iter().any(|(own, _)| *own == payload_type)
    }

    /// A packet with its timestamp in the call's clock. Modulo 2^32 a multiple goes on through a wrap as if there were
    /// none. The clock of what nobody agreed on isn't known, and its time nothing to the receiver.
    pub(super) fn in_our_clock<'a>(&self, packet: RtpPacket<'a>) -> RtpPacket<'a> {
        match self.clock_factor(packet.payload_type()) {
            1 => packet,
            factor => packet.with_timestamp(RtpTime(packet.timestamp().0.wrapping_mul(factor))),
        }
    }

    fn clock_factor(&self, payload_type: PayloadType) -> u32 {
        self.slower.iter().find(|(slower, _)| *slower == payload_type).map_or(1, |(_, factor)| *factor)
    }

    /// Cells of a jitter buffer that a usual packet takes.
    pub(super) fn packet_cells(&self) -> usize {
        self.packet_cells
    }

    /// The payload type of redundant audio data.
    pub(super) fn redundancy(&self) -> Option<PayloadType> {
        self.redundancy
    }

    /// Takes in decoders of payload types that are not here: those beside them keep what they have heard.
    pub(super) fn add(&mut self, others: Self) {
        let known = |number: &PayloadType| self.knows(*number) || self.clock_factor(*number) > 1;
        let slower: Vec<_> = others.slower.into_iter().filter(|(number, _)| !known(number)).collect();
        let noise: Vec<_> = others.noise.into_iter().filter(|number| !known(number)).collect();
        for (payload_type, decoder) in others.decoders {
            if !self.knows(payload_type) {
                self.decoders.push((payload_type, decoder));
            }
        }
        self.slower.extend(slower);
        self.noise.extend(noise);
        self.redundancy = self.redundancy.or(others.redundancy);
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
        match &self.own {
            Some(own) if own.knows(payload_type) => own.table.other(payload_type),
            _ if self.noise.contains(&payload_type) => OtherPayload::Noise,
            _ => OtherPayload::Unknown,
        }
    }
}
