//! The VoIP metrics block of extended reports (RFC 3611, 4.7). Rates and densities are in 1/256, durations and delays
//! in ms, levels in dBm0, MOS in tenths.

use crate::time::Ssrc;

/// The wire's number for what isn't known.
const UNAVAILABLE: u8 = 127;

/// How the receiver conceals lost packets (RFC 3611, 4.7.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ConcealmentKind {
    /// It is not told.
    #[default]
    Unspecified,
    /// With silence.
    Disabled,
    /// With a method for high loss.
    Enhanced,
    /// With simple repetition or interpolation.
    Standard,
}

/// Whether the jitter buffer adapts its size (RFC 3611, 4.7.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum JitterBufferKind {
    /// It is not told.
    #[default]
    Unknown,
    /// The value that RFC 3611 reserves.
    Reserved,
    /// The size is fixed.
    NonAdaptive,
    /// The size adapts.
    Adaptive,
}

/// A VoIP metrics block (RFC 3611, 4.7). A field that is unavailable, 127 in the packet, is `None`. Values that RFC
/// 3611 forbids are read as unavailable, as its 4.7.5 asks, and never written.
/// [`VoipMetricsInput`](crate::quality::VoipMetricsInput) makes a block from what a receiver has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VoipMetrics {
    /// SSRC of the source that the block is about.
    pub ssrc: Ssrc,
    /// Packets lost since the start and not recovered, in 256ths of those expected.
    pub loss_rate: u8,
    /// Packets discarded since the start because they came late or early, in 256ths of those expected.
    pub discard_rate: u8,
    /// Packets lost or discarded in bursts, in 256ths of those expected in them.
    pub burst_density: u8,
    /// Packets lost or discarded in gaps, in 256ths of those expected in them.
    pub gap_density: u8,
    /// Mean length of a burst, in ms; 0 if there was none.
    pub burst_duration_ms: u16,
    /// Mean length of a gap, in ms; 0 if there was none.
    pub gap_duration_ms: u16,
    /// Round-trip time between the RTP interfaces, in ms; 0 if it is not known yet.
    pub round_trip_ms: u16,
    /// Sending and receiving delay within the reporting side, in ms; 0 if it is unknown.
    pub end_system_delay_ms: u16,
    /// Level of the received speech, in dBm0.
    pub signal_level_dbm0: Option<i8>,
    /// Level of the noise in the pauses of the speech, in dBm0.
    pub noise_level_dbm0: Option<i8>,
    /// Residual echo return loss, in dB.
    pub rerl_db: Option<u8>,
    /// Number of received packets in a row that end a burst (Gmin). RFC 3611 forbids 0, which is read and written as
    /// it is.
    pub gmin: u8,
    /// Rating R of this part of the call with its delay, 0 to 100.
    pub r_factor: Option<u8>,
    /// Rating R of the network behind the reporting side, 0 to 100.
    pub external_r_factor: Option<u8>,
    /// MOS of the listening quality, in tenths, 10 to 50.
    pub mos_lq_tenths: Option<u8>,
    /// MOS of the conversational quality, in tenths, 10 to 50.
    pub mos_cq_tenths: Option<u8>,
    /// How lost packets are concealed.
    pub concealment: ConcealmentKind,
    /// Whether the jitter buffer adapts its size.
    pub jitter_buffer: JitterBufferKind,
    /// Time to adapt to a step of jitter from 30 to 100 ms, in units of two frames, 0 to 15; 0 is unknown.
    pub jitter_buffer_rate: u8,
    /// Delay in the buffer of a packet that arrives exactly on time, in ms.
    pub jitter_buffer_nominal_ms: u16,
    /// Delay of the earliest packet that would not be discarded, in ms.
    pub jitter_buffer_maximum_ms: u16,
    /// Greatest delay that the buffer can reach, in ms.
    pub jitter_buffer_absolute_maximum_ms: u16,
}

impl Default for VoipMetrics {
    /// Nothing received and nothing known, with the recommended Gmin of 16.
    fn default() -> Self {
        Self {
            ssrc: Ssrc(0),
            loss_rate: 0,
            discard_rate: 0,
            burst_density: 0,
            gap_density: 0,
            burst_duration_ms: 0,
            gap_duration_ms: 0,
            round_trip_ms: 0,
            end_system_delay_ms: 0,
            signal_level_dbm0: None,
            noise_level_dbm0: None,
            rerl_db: None,
            gmin: 16,
            r_factor: None,
            external_r_factor: None,
            mos_lq_tenths: None,
            mos_cq_tenths: None,
            concealment: ConcealmentKind::Unspecified,
            jitter_buffer: JitterBufferKind::Unknown,
            jitter_buffer_rate: 0,
            jitter_buffer_nominal_ms: 0,
            jitter_buffer_maximum_ms: 0,
            jitter_buffer_absolute_maximum_ms: 0,
        }
    }
}

/// What a field in `min..=max` says.
fn within(value: u8, min: u8, max: u8) -> Option<u8> {
    (min..=max).contains(&value).then_some(value)
}

fn available(value: Option<u8>, min: u8, max: u8) -> u8 {
    value.and_then(|value| within(value, min, max)).unwrap_or(UNAVAILABLE)
}

fn level(byte: u8) -> Option<i8> {
    (byte != UNAVAILABLE).then_some(byte as i8)
}

impl VoipMetrics {
    /// Bytes behind the block's header.
    pub(super) const LEN: usize = 32;

    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let (words, _) = <&[u8; Self::LEN]>::try_from(body).ok()?.as_chunks::<4>();
        let halves = |index: usize| {
            let [a, b, c, d] = words[index];
            (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
        };
        let [loss_rate, discard_rate, burst_density, gap_density] = words[1];
        let (burst_duration_ms, gap_duration_ms) = halves(2);
        let (round_trip_ms, end_system_delay_ms) = halves(3);
        let [signal_level, noise_level, rerl, gmin] = words[4];
        let [r_factor, external_r_factor, mos_lq, mos_cq] = words[5];
        let [rx_config, ..] = words[6];
        let (_, jitter_buffer_nominal_ms) = halves(6);
        let (jitter_buffer_maximum_ms, jitter_buffer_absolute_maximum_ms) = halves(7);
        Some(Self {
            ssrc: Ssrc(u32::from_be_bytes(words[0])),
            loss_rate,
            discard_rate,
            burst_density,
            gap_density,
            burst_duration_ms,
            gap_duration_ms,
            round_trip_ms,
            end_system_delay_ms,
            signal_level_dbm0: level(signal_level),
            noise_level_dbm0: level(noise_level),
            rerl_db: (rerl != UNAVAILABLE).then_some(rerl),
            gmin,
            r_factor: within(r_factor, 0, 100),
            external_r_factor: within(external_r_factor, 0, 100),
            mos_lq_tenths: within(mos_lq, 10, 50),
            mos_cq_tenths: within(mos_cq, 10, 50),
            concealment: match rx_config >> 6 {
                0 => ConcealmentKind::Unspecified,
                1 => ConcealmentKind::Disabled,
                2 => ConcealmentKind::Enhanced,
                _ => ConcealmentKind::Standard,
            },
            jitter_buffer: match rx_config >> 4 & 3 {
                0 => JitterBufferKind::Unknown,
                1 => JitterBufferKind::Reserved,
                2 => JitterBufferKind::NonAdaptive,
                _ => JitterBufferKind::Adaptive,
            },
            jitter_buffer_rate: rx_config & 0x0f,
            jitter_buffer_nominal_ms,
            jitter_buffer_maximum_ms,
            jitter_buffer_absolute_maximum_ms,
        })
    }

    /// Out of range is written as unavailable, a rate above 15 as 15.
    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let level = |level: Option<i8>| level.map_or(UNAVAILABLE, |level| level as u8);
        let halves = |first: u16, second: u16| u32::from(first) << 16 | u32::from(second);
        let concealment = match self.concealment {
            ConcealmentKind::Unspecified => 0,
            ConcealmentKind::Disabled => 1,
            ConcealmentKind::Enhanced => 2,
            ConcealmentKind::Standard => 3,
        };
        let jitter_buffer = match self.jitter_buffer {
            JitterBufferKind::Unknown => 0,
            JitterBufferKind::Reserved => 1,
            JitterBufferKind::NonAdaptive => 2,
            JitterBufferKind::Adaptive => 3,
        };
        let rx_config = concealment << 6 | jitter_buffer << 4 | self.jitter_buffer_rate.min(15);
        let words = [
            self.ssrc.0,
            u32::from_be_bytes([self.loss_rate, self.discard_rate, self.burst_density, self.gap_density]),
            halves(self.burst_duration_ms, self.gap_duration_ms),
            halves(self.round_trip_ms, self.end_system_delay_ms),
            u32::from_be_bytes([
                level(self.signal_level_dbm0),
                level(self.noise_level_dbm0),
                self.rerl_db.unwrap_or(UNAVAILABLE),
                self.gmin,
            ]),
            u32::from_be_bytes([
                available(self.r_factor, 0, 100),
                available(self.external_r_factor, 0, 100),
                available(self.mos_lq_tenths, 10, 50),
                available(self.mos_cq_tenths, 10, 50),
            ]),
            u32::from(rx_config) << 24 | u32::from(self.jitter_buffer_nominal_ms),
            halves(self.jitter_buffer_maximum_ms, self.jitter_buffer_absolute_maximum_ms),
        ];
        let mut bytes = [0; Self::LEN];
        for (slot, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *slot = word.to_be_bytes();
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_where_the_figure_has_them() {
        let mut bytes = [0; VoipMetrics::LEN];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = index as u8 + 1;
        }
        let metrics = VoipMetrics::parse(&bytes).unwrap();
        let expected = VoipMetrics {
            ssrc: Ssrc(0x0102_0304),
            loss_rate: 5,
            discard_rate: 6,
            burst_density: 7,
            gap_density: 8,
            burst_duration_ms: 0x090a,
            gap_duration_ms: 0x0b0c,
            round_trip_ms: 0x0d0e,
            end_system_delay_ms: 0x0f10,
            signal_level_dbm0: Some(17),
            noise_level_dbm0: Some(18),
            rerl_db: Some(19),
            gmin: 20,
            r_factor: Some(21),
            external_r_factor: Some(22),
            mos_lq_tenths: Some(23),
            mos_cq_tenths: Some(24),
            // 25 is 00 01 1001.
            concealment: ConcealmentKind::Unspecified,
            jitter_buffer: JitterBufferKind::Reserved,
            jitter_buffer_rate: 9,
            jitter_buffer_nominal_ms: 0x1b1c,
            jitter_buffer_maximum_ms: 0x1d1e,
            jitter_buffer_absolute_maximum_ms: 0x1f20,
        };
        assert_eq!(metrics, expected);
        bytes[25] = 0;
        assert_eq!(metrics.to_bytes(), bytes);
    }

    #[test]
    fn unavailable_and_forbidden_values() {
        let unknown = VoipMetrics::default().to_bytes();
        assert_eq!(unknown[16..24], [127, 127, 127, 16, 127, 127, 127, 127]);
        assert_eq!(VoipMetrics::parse(&unknown), Some(VoipMetrics::default()));

        let mut bytes = unknown;
        for (at, forbidden) in [(20, 101), (20, 255), (21, 126), (22, 9), (22, 51), (23, 0), (23, 128)] {
            bytes[at] = forbidden;
            assert_eq!(VoipMetrics::parse(&bytes), Some(VoipMetrics::default()), "{at}: {forbidden}");
        }
        let wild = VoipMetrics {
            r_factor: Some(101),
            mos_lq_tenths: Some(9),
            mos_cq_tenths: Some(51),
            signal_level_dbm0: Some(127),
            jitter_buffer_rate: 200,
            ..VoipMetrics::default()
        };
        let written = VoipMetrics::parse(&wild.to_bytes());
        assert_eq!(written, Some(VoipMetrics { jitter_buffer_rate: 15, ..VoipMetrics::default() }));
        let levels = VoipMetrics { signal_level_dbm0: Some(-20), noise_level_dbm0: Some(-128), ..wild };
        let read = VoipMetrics::parse(&levels.to_bytes()).unwrap();
        assert_eq!((read.signal_level_dbm0, read.noise_level_dbm0), (Some(-20), Some(-128)));
    }
}
