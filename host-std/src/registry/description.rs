//! What a codec can do, in numbers.

/// Which lengths of sound a codec puts into one payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// Any number of samples.
    Any,
    /// Any whole number of frames of this many microseconds.
    Of(u32),
    /// One of these lengths, in microseconds, the shortest first.
    OneOf(&'static [u32]),
}

impl Frames {
    /// The packet length in ms that is nearest below `wished_ms`, and at least one frame; of whole milliseconds.
    pub fn packet_ms(self, wished_ms: u32) -> u32 {
        match self {
            Self::Any => wished_ms,
            Self::Of(frame_us) => {
                let frame_ms = (frame_us / 1_000).max(1);
                frame_ms * (wished_ms / frame_ms).max(1)
            }
            Self::OneOf(lengths_us) => {
                let whole = || lengths_us.iter().filter(|us| *us % 1_000 == 0).map(|us| us / 1_000);
                let below = whole().rfind(|ms| *ms <= wished_ms);
                below.or_else(|| whole().next()).unwrap_or(wished_ms)
            }
        }
    }

    /// The packet length next below `ms`, of whole tens of milliseconds as in SDP.
    fn below(self, ms: u32) -> Option<u32> {
        (1..ms.div_ceil(10)).rev().map(|tens| tens * 10).find(|shorter| self.packet_ms(*shorter) == *shorter)
    }

    /// Whether a payload may hold this much sound.
    pub fn has(self, us: u32) -> bool {
        match self {
            Self::Any => us > 0,
            Self::Of(frame_us) => us > 0 && us.is_multiple_of(frame_us),
            Self::OneOf(lengths_us) => lengths_us.contains(&us),
        }
    }
}

/// What a codec can do under one format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
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

impl Description {
    /// The packet length in ms that is nearest below `wished_ms`, 10 at least, and whose payload at `bit_rate_bps` has at
    /// most `payload_bytes`; the shortest, where none is short enough.
    pub fn packet_ms(&self, wished_ms: u32, bit_rate_bps: u32, payload_bytes: usize) -> u32 {
        let mut ms = self.frames.packet_ms(wished_ms);
        while self.payload_bytes(ms, bit_rate_bps) > payload_bytes {
            let Some(shorter) = self.frames.below(ms) else { break };
            ms = shorter;
        }
        ms
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
        assert_eq!([10, 25, 60].map(|ms| Frames::Any.packet_ms(ms)), [10, 25, 60]);
        assert_eq!([10, 20, 50, 60].map(|ms| Frames::Of(20_000).packet_ms(ms)), [20, 20, 40, 60]);
        assert_eq!([10, 20, 50, 60].map(|ms| Frames::Of(30_000).packet_ms(ms)), [30, 30, 30, 60]);
        let opus = Frames::OneOf(&[2_500, 5_000, 10_000, 20_000, 40_000, 60_000]);
        assert_eq!([1, 5, 10, 30, 50, 60].map(|ms| opus.packet_ms(ms)), [5, 5, 10, 20, 40, 60]);
        let l16 = Description::new(48_000, 1);
        assert_eq!([10, 20, 60].map(|ms| l16.packet_ms(ms, 768_000, 1_200)), [10, 10, 10]);
        assert_eq!([10, 60].map(|ms| Description::new(48_000, 2).packet_ms(ms, 1_536_000, 1_200)), [10, 10]);
        assert_eq!(l16.packet_ms(60, 64_000, 320), 40);
        let ilbc = Description { frames: Frames::Of(30_000), ..Description::new(8_000, 1) };
        assert_eq!([60, 60, 20].map(|ms| ilbc.packet_ms(ms, 16_000, if ms == 20 { 1 } else { 100 })), [30, 30, 30]);
        let opus_packets = Description { frames: opus, ..Description::new(48_000, 1) };
        assert_eq!([512_000, 200_000, 64_000].map(|bps| opus_packets.packet_ms(60, bps, 1_142)), [10, 40, 60]);
        assert!(opus.has(2_500) && !opus.has(30_000) && !opus.has(0));
        assert!(Frames::Of(20_000).has(40_000) && !Frames::Of(20_000).has(30_000));
    }
}
