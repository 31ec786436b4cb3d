//! The properties of a codec, in numbers.

use dsp_core::codec::Frames;

/// The properties of a codec under one format: [`Codec::describe`](super::Codec::describe).
///
/// ```
/// use host_std::registry::{CodecFormat, Registry};
///
/// let g722 = Registry::builtin().describe(&CodecFormat::g722()).unwrap();
/// // The RTP clock of G.722 is 8 kHz, its sound is twice that (RFC 3551, 4.5.2).
/// assert_eq!((g722.sample_rate_hz, g722.bit_rate_bps), (16_000, [64_000, 64_000]));
/// assert_eq!(g722.payload_bytes(20, 64_000), 160);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecDescription {
    /// The rate of the sound in Hz. The rate of RTP timestamps is in the [`CodecFormat`](super::CodecFormat).
    pub sample_rate_hz: u32,
    /// Channels of the sound: 1 or 2.
    pub channels: u8,
    /// The possible durations of the sound in one payload.
    pub frames: Frames,
    /// The lowest and the highest bit rate of payloads, in bit/s.
    pub bit_rate_bps: [u32; 2],
    /// Whether the decoder conceals losses by itself.
    pub own_concealment: bool,
    /// Whether a payload can carry a copy of the sound in lost ones, as Opus' in-band FEC does.
    pub redundancy: bool,
    /// Whether the encoder by itself sends nothing in pauses of speech (discontinuous transmission, DTX).
    pub dtx: bool,
    /// Delay of encoder and decoder together, beyond the length of a payload, in microseconds.
    pub delay_us: u32,
    /// Memory of one encoder, in bytes.
    pub encoder_bytes: usize,
    /// Memory of one decoder, in bytes.
    pub decoder_bytes: usize,
}

impl CodecDescription {
    /// The longest packet, in ms, that is no longer than `wished_ms`, or than 10 ms if that is less, and whose payload at
    /// `bit_rate_bps` has at most `payload_bytes`. Where no packet is short enough, it is the codec's shortest.
    pub fn packet_ms(&self, wished_ms: u32, bit_rate_bps: u32, payload_bytes: usize) -> u32 {
        self.frames.packet_ms_within(wished_ms, bit_rate_bps, payload_bytes)
    }

    /// Returns the bytes in a payload of `ms` milliseconds at `bit_rate_bps`, rounded up.
    pub fn payload_bytes(&self, ms: u32, bit_rate_bps: u32) -> usize {
        (u64::from(bit_rate_bps) * u64::from(ms)).div_ceil(8_000) as usize
    }

    /// Describes a codec whose payloads are any number of 16-bit samples, as L16: without delay, memory, concealment,
    /// redundancy and DTX. Change the fields in which yours is different.
    pub fn new(sample_rate_hz: u32, channels: u8) -> Self {
        Self {
            sample_rate_hz,
            channels,
            frames: Frames::Any,
            bit_rate_bps: [sample_rate_hz * 16 * u32::from(channels); 2],
            own_concealment: false,
            redundancy: false,
            dtx: false,
            delay_us: 0,
            encoder_bytes: 0,
            decoder_bytes: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_lengths() {
        let opus = Frames::OneOf(&[2_500, 5_000, 10_000, 20_000, 40_000, 60_000]);
        let l16 = CodecDescription::new(48_000, 1);
        assert_eq!([10, 20, 60].map(|ms| l16.packet_ms(ms, 768_000, 1_200)), [10, 10, 10]);
        assert_eq!([10, 60].map(|ms| CodecDescription::new(48_000, 2).packet_ms(ms, 1_536_000, 1_200)), [10, 10]);
        assert_eq!(l16.packet_ms(60, 64_000, 320), 40);
        let ilbc = CodecDescription { frames: Frames::Of(30_000), ..CodecDescription::new(8_000, 1) };
        assert_eq!([60, 60, 20].map(|ms| ilbc.packet_ms(ms, 16_000, if ms == 20 { 1 } else { 100 })), [30, 30, 30]);
        let opus_packets = CodecDescription { frames: opus, ..CodecDescription::new(48_000, 1) };
        assert_eq!([512_000, 200_000, 64_000].map(|bps| opus_packets.packet_ms(60, bps, 1_142)), [10, 40, 60]);
    }
}
