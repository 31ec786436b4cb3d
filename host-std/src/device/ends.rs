//! The caller's ends of a card's rings, on which resampling and the drift control run.
//!
//! A ring has as many channels as the caller's sound, interleaved. Where sound begins, ends or is dropped, it is joined
//! without a click.

use std::sync::Arc;

use rtrb::{Consumer, Producer, RingBuffer};

use super::CardConfig;
use super::callbacks::{CaptureCallback, PlaybackCallback, Shared, discard};
use super::drift::DriftControl;
use super::lanes::{Lanes, PART};
use crate::join::Join;
use crate::resample::ResampleError;

/// Bounds of one ring, in samples a channel at the card's rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct RingLevels {
    pub(super) rate_hz: u32,
    pub(super) target: usize,
    pub(super) max: usize,
}

impl RingLevels {
    pub(super) fn new(config: &CardConfig, rate_hz: u32) -> Self {
        let samples = |ms: u32| (u64::from(rate_hz) * u64::from(ms) / 1000) as usize;
        // Held to sense: a ring of at least a millisecond and at most ten seconds.
        let target = config.target_ms.clamp(1, 5_000);
        Self { rate_hz, target: samples(target), max: samples(config.max_ms.clamp(target + 1, 10_000)) }
    }

    /// Room for a burst on top of the most that is kept.
    pub(super) fn capacity(&self) -> usize {
        self.max + self.rate_hz as usize / 2
    }

    pub(super) fn ms(&self, samples: usize) -> f64 {
        samples as f64 * 1e3 / f64::from(self.rate_hz)
    }
}

/// Counts of the caller's side.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) captured: u64,
    pub(super) played: u64,
    pub(super) capture_underrun: u64,
    pub(super) capture_overrun: u64,
    pub(super) playback_overrun: u64,
}

/// The caller's end of the capture.
pub(super) struct CaptureEnd {
    pub(super) ring: Consumer<f32>,
    pub(super) levels: RingLevels,
    pub(super) resampler: Lanes,
    pub(super) drift: DriftControl,
    /// Waiting for the ring to reach its target for the first time.
    pub(super) priming: bool,
    /// Length of the tick that was read last.
    tick_ms: f64,
    /// Joins the sound that is taken out of the ring, some of which may have been dropped.
    taken: Join,
    /// Joins the sound that the caller reads, which may contain silence.
    read: Join,
    /// Whether the last sample that was read was silence for want of sound.
    was_short: bool,
}

impl CaptureEnd {
    /// Returns how long the last sample of a tick has waited here when it is read: the level is measured with the tick in it.
    pub(super) fn latency_ms(&self) -> f64 {
        (self.drift.level_ms() + self.resampler.delay_ms() - self.tick_ms).max(0.0)
    }

    /// Fills `pcm`, interleaved; samples a channel that were captured.
    pub(super) fn read(&mut self, pcm: &mut [i16], counts: &mut Counts, started: bool) -> usize {
        let channels = self.resampler.channels();
        let (wanted, level) = (pcm.len() / channels, self.ring.slots() / channels);
        if self.priming {
            if level < self.levels.target {
                pcm.fill(0);
                counts.capture_underrun += if started { wanted as u64 } else { 0 };
                return 0;
            }
            self.priming = false;
        }
        let rate_hz = f64::from(self.resampler.output_hz());
        self.tick_ms = wanted as f64 * 1e3 / rate_hz;
        if level > self.levels.max {
            let excess = level - self.levels.target;
            discard(&mut self.ring, excess * channels);
            self.taken.break_off();
            counts.capture_overrun += excess as u64;
            self.drift.restart();
        } else {
            let waiting = self.resampler.available() as f64 * 1e3 / rate_hz;
            let ppm = self.drift.update(self.levels.ms(level) + waiting, self.tick_ms);
            self.resampler.set_ppm(ppm);
        }
        let mut filled = 0;
        let mut part = [0.0; 2 * PART];
        loop {
            filled += self.resampler.pull(&mut pcm[filled * channels..]);
            let n = (self.ring.slots() / channels).min(PART) * channels;
            if filled == wanted || n == 0 {
                break;
            }
            if let Ok(chunk) = self.ring.read_chunk(n) {
                let (a, b) = chunk.as_slices();
                part[..a.len()].copy_from_slice(a);
                part[a.len()..n].copy_from_slice(b);
                chunk.commit_all();
            }
            let part = &mut part[..n];
            part.chunks_exact_mut(channels).for_each(|frame| self.taken.pass(frame));
            // The resampler has been pulled empty, so it has room.
            self.resampler.push_f32(part);
        }
        let (sound, silence) = pcm.split_at_mut(filled * channels);
        silence.fill(0);
        if !sound.is_empty() && std::mem::take(&mut self.was_short) {
            self.read.break_off();
        }
        self.read.pass_all(sound, channels);
        if !silence.is_empty() {
            if !self.was_short {
                self.read.break_off();
            }
            self.was_short = true;
            self.read.pass_all(silence, channels);
            // The next samples may not be those that followed in the card.
            self.taken.break_off();
        }
        counts.captured += filled as u64;
        counts.capture_underrun += (wanted - filled) as u64;
        filled
    }
}

/// The caller's end of the playback.
pub(super) struct Playback {
    pub(super) ring: Producer<f32>,
    pub(super) levels: RingLevels,
    pub(super) resampler: Lanes,
    pub(super) drift: DriftControl,
    /// Length of the tick that was written last.
    tick_ms: f64,
}

impl Playback {
    /// Returns how long the first sample of a tick waits here: the level is measured with the tick in it.
    pub(super) fn latency_ms(&self) -> f64 {
        (self.drift.level_ms() + self.resampler.delay_ms() - self.tick_ms).max(0.0)
    }

    /// Takes `pcm`, interleaved; samples a channel that were taken.
    pub(super) fn write(&mut self, pcm: &[i16], counts: &mut Counts) -> usize {
        let channels = self.resampler.channels();
        let written = pcm.len() / channels;
        let mut scratch = [0.0; 2 * PART];
        let scratch = &mut scratch[..PART * channels];
        let mut rest = &pcm[..written * channels];
        let mut dropped = 0;
        while !rest.is_empty() {
            let taken = self.resampler.push(rest);
            rest = &rest[taken * channels..];
            while self.resampler.available() > 0 {
                let n = self.resampler.pull_f32(scratch);
                // The ring holds whole samples of all channels.
                let (_, left) = self.ring.push_partial_slice(&scratch[..n * channels]);
                dropped += left.len() / channels;
            }
        }
        self.tick_ms = written as f64 * 1e3 / f64::from(self.resampler.input_hz());
        let level = (self.ring.buffer().capacity() - self.ring.slots()) / channels;
        if level > self.levels.max {
            // The callback is about to drop down to the target.
            self.drift.restart();
        } else {
            let ppm = self.drift.update(self.levels.ms(level), self.tick_ms);
            self.resampler.set_ppm(ppm);
        }
        counts.playback_overrun += dropped as u64;
        counts.played += written as u64;
        written
    }

    /// Returns whether the card has received everything that was written.
    pub(super) fn is_drained(&self) -> bool {
        self.ring.slots() == self.ring.buffer().capacity()
    }
}

/// Creates both ends of a capture of `channels` at `card_hz`.
pub(super) fn capture_pair(
    config: &CardConfig,
    card_hz: u32,
    channels: u16,
    shared: &Arc<Shared>,
) -> Result<(CaptureCallback, CaptureEnd), ResampleError> {
    let (levels, wanted) = (RingLevels::new(config, card_hz), config.own_channels());
    let resampler = Lanes::new(card_hz, config.sample_rate_hz, wanted)?;
    let (producer, consumer) = RingBuffer::new(levels.capacity() * wanted);
    let callback =
        CaptureCallback { ring: producer, channels: usize::from(channels), wanted, shared: Arc::clone(shared) };
    let capture = CaptureEnd {
        ring: consumer,
        levels,
        resampler,
        drift: DriftControl::new(f64::from(config.target_ms)),
        priming: true,
        tick_ms: 0.0,
        taken: Join::new(card_hz),
        read: Join::new(config.sample_rate_hz),
        was_short: true,
    };
    Ok((callback, capture))
}

/// Creates both ends of a playback with `channels` at `card_hz`.
pub(super) fn playback_pair(
    config: &CardConfig,
    card_hz: u32,
    channels: u16,
    shared: &Arc<Shared>,
) -> Result<(Playback, PlaybackCallback), ResampleError> {
    let (levels, given) = (RingLevels::new(config, card_hz), config.own_channels());
    let resampler = Lanes::new(config.sample_rate_hz, card_hz, given)?;
    let (producer, consumer) = RingBuffer::new(levels.capacity() * given);
    let callback = PlaybackCallback {
        ring: consumer,
        channels: usize::from(channels),
        given,
        levels,
        priming: true,
        join: Join::new(card_hz),
        shared: Arc::clone(shared),
    };
    let drift = DriftControl::new(f64::from(config.target_ms));
    Ok((Playback { ring: producer, levels, resampler, drift, tick_ms: 0.0 }, callback))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::super::stream::CardSample;
    use super::*;

    const CARD_HZ: u32 = 48_000;
    const CALL_HZ: u32 = 16_000;

    fn config() -> CardConfig {
        CardConfig { sample_rate_hz: CALL_HZ, ..CardConfig::default() }
    }

    fn capture_ends(channels: u16) -> (CaptureCallback, CaptureEnd) {
        capture_pair(&config(), CARD_HZ, channels, &Arc::default()).unwrap()
    }

    fn playback_ends(channels: u16) -> (Playback, PlaybackCallback) {
        playback_pair(&config(), CARD_HZ, channels, &Arc::default()).unwrap()
    }

    /// Runs both directions for `seconds`, 20 ms frames against a card of 10 ms periods whose clock is `ppm` fast.
    fn run(ppm: f64, seconds: u32) -> (Counts, u64, u64, f64, f64) {
        let (mut microphone, mut capture) = capture_ends(1);
        let (mut playback, mut loudspeaker) = playback_ends(2);
        let mut counts = Counts::default();
        let mut periods_due = 0.3;
        let (mut pcm, mut data) = ([0; 320], [0.0_f32; 960]);
        for _ in 0..seconds * 50 {
            periods_due += 2.0 * (1.0 + ppm * 1e-6);
            while periods_due >= 1.0 {
                periods_due -= 1.0;
                microphone.run(&[0.25_f32; 480]);
                loudspeaker.run(&mut data);
            }
            capture.read(&mut pcm, &mut counts, true);
            playback.write(&[8192; 320], &mut counts);
        }
        let (a, b) = (capture.drift.level_ms(), playback.drift.level_ms());
        let underrun = loudspeaker.shared.playback_underrun.load(Relaxed);
        let overrun =
            loudspeaker.shared.playback_overrun.load(Relaxed) + microphone.shared.capture_overrun.load(Relaxed);
        (counts, underrun, overrun, a, b)
    }

    #[test]
    fn two_minutes_against_a_drifting_card_lose_nothing() {
        for ppm in [-150.0, 0.0, 150.0] {
            let (counts, playback_underrun, overrun, capture_ms, playback_ms) = run(ppm, 120);
            println!("{ppm} ppm: levels {capture_ms:.1} and {playback_ms:.1} ms, {counts:?}");
            assert_eq!((playback_underrun, overrun), (0, 0), "{ppm} ppm");
            assert_eq!((counts.capture_overrun, counts.playback_overrun), (0, 0), "{ppm} ppm");
            assert!(counts.capture_underrun <= 640, "the start alone: {}", counts.capture_underrun);
            // 20 ppm for each millisecond off the target, and a slow beat of up to half a period of the card.
            assert!((capture_ms - 35.0).abs() < 13.0 && (playback_ms - 35.0).abs() < 13.0);
        }
    }

    /// A click goes through the card and back. What is given to the card in one period sounds in the next but one, and what
    /// sounds in a period is captured when it is over. By the latencies that are told it is captured when it is heard.
    #[test]
    fn a_click_is_captured_when_it_is_heard() {
        const PERIOD_MS: f64 = 10.0;
        for tick_ms in [10, 20] {
            let (mut microphone, mut capture) = capture_ends(1);
            let (mut playback, mut loudspeaker) = playback_ends(1);
            let mut counts = Counts::default();
            let samples = tick_ms * CALL_HZ as usize / 1_000;
            let (mut waits, mut sounds) = ([0.0_f32; 480], [0.0_f32; 480]);
            let (mut period, mut heard, mut found) = (0, 0.0, (0, 0.0));
            for tick in 0..500 {
                let now = (tick * tick_ms) as f64;
                while f64::from(period) * PERIOD_MS + 3.0 <= now {
                    period += 1;
                    microphone.run(&sounds);
                    sounds = waits;
                    loudspeaker.run(&mut waits);
                }
                let mut pcm = vec![0; samples];
                // In the third second, when all levels are steady.
                if tick == 3_000 / tick_ms {
                    pcm[samples / 2] = 20_000;
                    heard = now + PERIOD_MS + playback.latency_ms() + tick_ms as f64 / 2.0;
                }
                playback.write(&pcm, &mut counts);
                let first = now - tick_ms as f64 - PERIOD_MS - capture.latency_ms();
                capture.read(&mut pcm, &mut counts, true);
                for (n, sample) in pcm.iter().enumerate() {
                    if sample.unsigned_abs() > found.0 {
                        found = (sample.unsigned_abs(), first + n as f64 * 1e3 / f64::from(CALL_HZ));
                    }
                }
            }
            println!("{tick_ms} ms: heard at {heard:.2}, captured at {:.2} ms", found.1);
            assert!(found.0 > 5_000, "the click came back with {}", found.0);
            // A card's period is what can't be known of it.
            assert!((heard - found.1).abs() < PERIOD_MS, "{tick_ms} ms: heard at {heard}, captured at {}", found.1);
        }
    }

    #[test]
    fn a_caller_that_stops_loses_the_oldest_and_goes_on() {
        let (mut microphone, mut capture) = capture_ends(1);
        let mut counts = Counts::default();
        let mut pcm = [0; 320];
        for period in 0..200 {
            microphone.run(&[period as f32 / 400.0; 480]);
        }
        let lost = microphone.shared.capture_overrun.load(Relaxed);
        assert!(lost > 0, "two seconds into a ring of 650 ms");
        assert_eq!(capture.read(&mut pcm, &mut counts, true), 320);
        assert!(counts.capture_overrun > 0);
        let level = capture.ring.slots();
        assert!(level <= capture.levels.target, "{level} samples left");
        let taken = 200 * 480 - lost - counts.capture_overrun - level as u64;
        assert!((900..1200).contains(&taken), "{taken} samples of the card for a frame of 960");
    }

    #[test]
    fn playback_is_bounded_and_counts_what_it_drops() {
        let (mut playback, mut loudspeaker) = playback_ends(1);
        let mut counts = Counts::default();
        for _ in 0..100 {
            assert_eq!(playback.write(&[1000; 320], &mut counts), 320);
        }
        assert!(counts.playback_overrun > 0, "two seconds into a ring of 650 ms");
        let mut data = [0_i16; 480];
        loudspeaker.run(&mut data);
        assert!(loudspeaker.shared.playback_overrun.load(Relaxed) > 0);
        assert!(loudspeaker.ring.slots() <= loudspeaker.levels.target);
        assert_eq!(data[240..], [1000; 240], "5 ms after it has begun");
    }

    /// The largest step from one sample to the next of a channel.
    fn largest_step(data: &[f32], channels: usize) -> f32 {
        data.windows(channels + 1).map(|pair| (pair[channels] - pair[0]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn neither_a_beginning_nor_an_end_nor_what_is_dropped_clicks() {
        for channels in [1, 2] {
            let own = CardConfig { channels, ..config() };
            let channels = usize::from(channels);
            let (mut playback, mut loudspeaker) = playback_pair(&own, CARD_HZ, 2, &Arc::default()).unwrap();
            let (mut microphone, mut capture) = capture_pair(&own, CARD_HZ, 2, &Arc::default()).unwrap();
            let (mut counts, mut said, mut played, mut heard) = (Counts::default(), 0, Vec::new(), Vec::new());
            // Ticks of 20 ms beside periods of 10 ms: some are missing, and some are too many.
            for tick in 0..400 {
                let written = if tick % 100 < 3 { 0 } else { 1 + 12 * usize::from(tick % 100 == 50) };
                for _ in 0..written {
                    let pcm: Vec<i16> = (said..said + 320)
                        .flat_map(|n| {
                            let sample = (f64::from(n) * 300.0 / f64::from(CALL_HZ) * std::f64::consts::TAU).sin();
                            vec![(sample * 20_000.0) as i16; channels]
                        })
                        .collect();
                    assert_eq!(playback.write(&pcm, &mut counts), 320);
                    said += 320;
                }
                for _ in 0..2 {
                    let mut data = [0.0_f32; 960];
                    loudspeaker.run(&mut data);
                    if tick % 90 > 3 {
                        microphone.run(&data);
                    }
                    if tick % 90 == 40 {
                        (0..20).for_each(|_| microphone.run(&data));
                    }
                    played.extend(data);
                }
                let mut pcm = vec![0; 320 * channels];
                capture.read(&mut pcm, &mut counts, true);
                heard.extend(pcm.into_iter().map(|sample| f32::from(sample) / 32_768.0));
            }
            let shared = &loudspeaker.shared;
            let lost = [shared.playback_underrun.load(Relaxed), shared.playback_overrun.load(Relaxed)];
            assert!(lost.iter().all(|lost| *lost > 0), "{lost:?}");
            assert!(counts.capture_underrun > 0 && counts.capture_overrun > 0, "{counts:?}");
            // The tone's own steps are 0.024 at the card's rate and 0.072 at the call's; a click would be up to 1.2.
            let steps = [largest_step(&played, 2), largest_step(&heard, channels)];
            println!("{channels} channels: largest steps {steps:?}");
            assert!(steps[0] < 0.04 && steps[1] < 0.12, "{channels}: {steps:?}");
            assert!(played.iter().any(|sample| *sample > 0.6) && heard.iter().any(|sample| *sample > 0.5));
        }
    }

    #[test]
    fn two_channels_of_a_call_are_two_of_a_card_or_the_mean_of_both() {
        let own = CardConfig { channels: 2, ..config() };
        for card in [1, 2, 4] {
            let (mut playback, mut loudspeaker) = playback_pair(&own, CARD_HZ, card, &Arc::default()).unwrap();
            let mut counts = Counts::default();
            let pcm: Vec<i16> = (0..320).flat_map(|_| [8_192, -16_384]).collect();
            (0..4).for_each(|_| assert_eq!(playback.write(&pcm, &mut counts), 320));
            let mut data = vec![0.0_f32; 480 * usize::from(card)];
            (0..3).for_each(|_| loudspeaker.run(&mut data));
            let last = &data[data.len() - usize::from(card)..];
            let expected: &[f32] = match card {
                1 => &[-0.125],
                2 => &[0.25, -0.5],
                _ => &[0.25, -0.5, 0.0, 0.0],
            };
            assert!(last.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3), "{card}: {last:?}");
            let (mut microphone, mut capture) = capture_pair(&own, CARD_HZ, card, &Arc::default()).unwrap();
            (0..8).for_each(|_| microphone.run(&data));
            let mut pcm = [0; 640];
            assert_eq!(capture.read(&mut pcm, &mut counts, true), 320);
            let [left, right] = [pcm[638], pcm[639]];
            let expected = if card == 1 { [-4_096, -4_096] } else { [8_192, -16_384] };
            assert!(left.abs_diff(expected[0]) < 40 && right.abs_diff(expected[1]) < 40, "{card}: {left} {right}");
        }
    }

    #[test]
    fn running_dry_is_counted_once_and_refilled_first() {
        let (mut playback, mut loudspeaker) = playback_ends(2);
        let mut counts = Counts::default();
        let mut data = [7_i16; 960];
        loudspeaker.run(&mut data);
        assert_eq!(data, [0; 960], "silent until the target is reached");
        for _ in 0..2 {
            playback.write(&[1000; 320], &mut counts);
        }
        for _ in 0..6 {
            loudspeaker.run(&mut data);
        }
        let dry = loudspeaker.shared.playback_underrun.load(Relaxed);
        assert!((1..480).contains(&dry), "{dry} samples missed in the period that ran dry, none while refilling");
        playback.write(&[1000; 320], &mut counts);
        loudspeaker.run(&mut data);
        assert_eq!(data, [0; 960], "20 ms of 35");
        playback.write(&[1000; 320], &mut counts);
        loudspeaker.run(&mut data);
        assert_eq!(data[480..], [1000; 480], "5 ms after it has begun again");
    }

    fn format_round_trip<T: CardSample + Default>(channels: u16) {
        let (mut playback, mut loudspeaker) = playback_ends(channels);
        let mut counts = Counts::default();
        for _ in 0..3 {
            playback.write(&[i16::MAX; 320], &mut counts);
        }
        let mut data = vec![T::default(); 480 * usize::from(channels)];
        for _ in 0..3 {
            loudspeaker.run(&mut data);
        }
        let (mut microphone, mut capture) = capture_ends(channels);
        for _ in 0..8 {
            microphone.run(&data);
        }
        let mut pcm = [0; 960];
        capture.read(&mut pcm, &mut counts, true);
        let played_to = f32::from(channels.min(2)) / f32::from(channels);
        let got = f32::from(pcm[800]) / 32_768.0;
        assert!((got - played_to).abs() < 0.01, "{} x {channels}: {got} for {played_to}", T::FORMAT);
    }

    #[test]
    fn every_sample_format_and_channel_count_goes_round_at_full_scale() {
        for channels in [1, 2, 6] {
            format_round_trip::<i8>(channels);
            format_round_trip::<i16>(channels);
            format_round_trip::<cpal::I24>(channels);
            format_round_trip::<i32>(channels);
            format_round_trip::<i64>(channels);
            format_round_trip::<u8>(channels);
            format_round_trip::<u16>(channels);
            format_round_trip::<cpal::U24>(channels);
            format_round_trip::<u32>(channels);
            format_round_trip::<u64>(channels);
            format_round_trip::<f32>(channels);
            format_round_trip::<f64>(channels);
        }
    }
}
