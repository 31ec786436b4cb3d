//! The appearance of bytes: telephone events, sound, noise.

use super::FITTING;

/// The number of packets below which noise can't be recognised, and the bytes of each that are looked at.
pub(super) const LEAST_RANDOM: u32 = 50;
const RANDOM_BYTES: usize = 16;

/// The number of packets that look like telephone events (RFC 4733, 2.3), whatever comes between them in the sequence.
#[derive(Clone, Debug, Default)]
pub(super) struct TelephoneEventEvidence {
    fitting: u32,
    /// Packets that repeat the event before them, or continue it.
    repeated: u32,
    /// Timestamp, event and duration of the last.
    last: Option<(u32, u8, u16)>,
}

impl TelephoneEventEvidence {
    pub(super) fn add(&mut self, timestamp: u32, payload: &[u8]) {
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

    /// Returns whether nearly all look like events, and at least a third continue the one before: an event is sent every 50 ms,
    /// and its end three times (2.5.1.4).
    pub(super) fn fit(&self, packets: u32) -> bool {
        self.repeated > 0
            && f64::from(self.fitting) >= FITTING * f64::from(packets)
            && self.repeated * 3 >= self.fitting
    }
}

/// Products of neighbouring samples and of samples with themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Likeness {
    neighbours: f64,
    itself: f64,
}

impl Likeness {
    pub(super) fn add(&mut self, samples: impl Iterator<Item = i16>, channels: usize) {
        let mut before = [0.0; 2];
        for (n, sample) in samples.enumerate() {
            let last = &mut before[n % channels];
            let sample = f64::from(sample);
            self.neighbours += sample * *last;
            self.itself += sample * sample;
            *last = sample;
        }
    }

    pub(super) fn correlation(&self) -> f64 {
        if self.itself > 0.0 { self.neighbours / self.itself } else { 0.0 }
    }
}

/// The frequency of each value at the beginning of a payload: at its first byte, and among the first bytes.
///
/// A cipher makes all values equally likely, the first byte's too. No codec does: Opus begins with its configuration, iLBC
/// with the spectral envelope, samples follow the level of the speech.
#[derive(Clone, Debug, Default)]
pub(super) struct Randomness {
    pub(super) packets: u32,
    counts: Option<Box<[[u16; 256]; 2]>>,
}

impl Randomness {
    pub(super) fn add(&mut self, payload: &[u8]) {
        let Some(beginning) = payload.get(..RANDOM_BYTES.min(payload.len().max(11))) else { return };
        let [first, all] = &mut **self.counts.get_or_insert_with(|| Box::new([[0; 256]; 2]));
        self.packets += 1;
        first[usize::from(beginning[0])] += 1;
        beginning.iter().for_each(|&byte| all[usize::from(byte)] += 1);
    }

    /// Returns whether the counts are those of noise: pairs of equal values are about as rare as by chance.
    pub(super) fn is_noise(&self) -> bool {
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
