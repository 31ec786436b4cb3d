//! What a codec can do, in numbers.

use dsp_core::codec::Frames;

/// What a codec can do under one format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecDescription {
    /// Rate of its sound in Hz; its RTP clock is in the format.
    pub sample_rate_hz: u32,
    /// Channels of its sound.
    pub channels: u8,
    /// Which lengths of sound a payload has.
    pub frames: Frames,
    /// Least and most bit rate of its payloads, in bit/s.
    pub bit_rate_bps: [u32; 2],
    /// Whether its decoder conceals losses by itself.
    pub own_concealment: bool,
    /// Whether its payloads can carry what was in lost ones.
    pub redundancy: bool,
    /// Whether it falls silent by itself where nobody speaks.
    pub dtx: bool,
    /// Delay of encoder and decoder together, beyond the frame, in microseconds.
    pub delay_us: u32,
    /// Memory of an encoder, in bytes.
    pub encoder_bytes: usize,
    /// Memory of a decoder, in bytes.
    pub decoder_bytes: usize,
}

impl CodecDescription {
    /// The packet length in ms that is nearest below `wished_ms`, 10 at least, and whose payload at `bit_rate_bps` has at
    /// most `payload_bytes`; the shortest, where none is short enough.
    pub fn packet_ms(&self, wished_ms: u32, bit_rate_bps: u32, payload_bytes: usize) -> u32 {
        self.frames.packet_ms_within(wished_ms, bit_rate_bps, payload_bytes)
    }

    /// Bytes of a payload of `ms` at `bit_rate_bps`.
    pub fn payload_bytes(&self, ms: u32, bit_rate_bps: u32) -> usize {
        (u64::from(bit_rate_bps) * u64::from(ms)).div_ceil(8_000) as usize
    }

    /// A codec that takes any number of samples of 16 bits, without delay, memory or extras.
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
