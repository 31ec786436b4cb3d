//! A simulated room with a seed: the part of a loudspeaker's sound that a microphone picks up, without I/O.
//!
//! Use it in front of an echo canceller that is tested. Whole calls have one on each side in
//! [`virtual_time`](super::virtual_time) ([`End::room`](super::virtual_time::End::room)).
//!
//! A click, whose echo comes two ticks later:
//!
//! ```
//! use host_std::simulate::room::{AcousticRoom, AcousticRoomConfig};
//!
//! let config = AcousticRoomConfig { delay_ms: 20.0, noise_dbov: None, ..AcousticRoomConfig::default() };
//! let mut room = AcousticRoom::new(config, 16_000, 1)?;
//! let mut microphone = [0; 160];
//! let mut echo = Vec::new();
//! for tick in 0..10 {
//!     // A click in the first tick.
//!     let mut loudspeaker = [0; 160];
//!     loudspeaker[0] = if tick == 0 { 20_000 } else { 0 };
//!     room.play(&loudspeaker);
//!     microphone.fill(0);
//!     room.capture(&mut microphone);
//!     echo.push(microphone.iter().any(|&sample| sample != 0));
//! }
//! assert!(!echo[0] && !echo[1] && echo[2]);
//! # Ok::<(), host_std::simulate::room::RoomError>(())
//! ```
//!
//! The path from loudspeaker to microphone is the usual model of a small room (Polack, 1988; ITU-T G.168, Annex D has such for
//! lines). First comes nothing, for the bulk delay of the device and the air, then the direct sound, and then white noise that decays
//! exponentially by 60 dB within [`AcousticRoomConfig::tail_ms`], where it ends. Half of the energy is direct sound. The path is scaled
//! to the echo return loss of white noise. A voice has most of its energy at a few frequencies, which a room may damp more or
//! less: with 8 seeds, two voices and a loss of 6 dB, voices came back 2 to 14 dB weaker. The loudspeaker may saturate, the
//! microphone may have noise, and at a chosen time the path may change into another one within 10 ms.
//!
//! Time is counted in samples. The first sample that is captured is of the moment at which the first one that was played is heard.
//! This is the order of a tick (`dsp_core::front::tick`): each tick is [played](AcousticRoom::play) before the microphone is
//! [read](AcousticRoom::capture), and the first tick has no microphone. In stereo each microphone picks up its own loudspeaker, by a
//! path of its own.
//!
//! **Cost.** One multiplication for each sample and tap. There are as many taps as `tail_ms` has samples: 2,048 for 128 ms at 16 kHz.
//! **Delay** is the bulk delay. The same seed gives the same bits on every machine.

use std::fmt;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// The duration of a change of path, in ms.
const CHANGE_MS: f64 = 10.0;
/// The longest time for which played sound is kept until the microphone is read, in seconds; older sound is dropped.
const UNHEARD_S: u32 = 2;
/// Full scale.
const FULL: f64 = 32_768.0;

/// The acoustics of the room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AcousticRoomConfig {
    /// The delay from the loudspeaker's tick until the direct sound is at the microphone, in ms: 0 to 1000.
    pub delay_ms: f64,
    /// The time in which the reverberation decays by 60 dB (RT60), in ms: 1 to 1000.
    pub tail_ms: f64,
    /// The attenuation of the echo of white noise relative to the played noise, in dB: -20 to 60.
    pub echo_return_loss_db: f64,
    /// Level of the noise at the microphone, in dBov: at most 0; `None`: silence.
    pub noise_dbov: Option<f64>,
    /// A peak that the loudspeaker comes near to and never reaches, in dBov: -60 to 0; `None`: it is linear.
    pub saturation_dbov: Option<f64>,
    /// The time at which the path becomes another one: something is moved, or a door opened.
    pub change: Option<PathChange>,
    /// Seed of the paths and of the noise.
    pub seed: u64,
}

/// Another path from a time on, with the same loss and the same tail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathChange {
    /// The time at which the path changes, in ms of captured sound.
    pub at_ms: u64,
    /// The bulk delay from then on, in ms: 0 to 1000.
    pub delay_ms: f64,
}

impl Default for AcousticRoomConfig {
    /// Returns an office: 20 ms of delay, a tail of 128 ms, and 6 dB of loss, as a desk phone's loudspeaker has.
    fn default() -> Self {
        Self {
            delay_ms: 20.0,
            tail_ms: 128.0,
            echo_return_loss_db: 6.0,
            noise_dbov: None,
            saturation_dbov: None,
            change: None,
            seed: 1,
        }
    }
}

/// The reason why a [`AcousticRoom`] can't be made.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RoomError {
    /// The rate is not from 8000 to 48000 Hz.
    SampleRate(u32),
    /// The number of channels is neither one nor two.
    Channels(u8),
    /// A delay that is not from 0 to 1000 ms.
    Delay(f64),
    /// A tail that is not from 1 to 1000 ms.
    Tail(f64),
    /// An echo return loss that is not from -20 to 60 dB.
    Loss(f64),
    /// A noise above 0 dBov.
    Noise(f64),
    /// A saturation that is not from -60 to 0 dBov.
    Saturation(f64),
}

impl fmt::Display for RoomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SampleRate(hz) => write!(f, "a room at {hz} Hz; 8000 to 48000 Hz are possible"),
            Self::Channels(channels) => write!(f, "a room with {channels} channels; one or two are possible"),
            Self::Delay(ms) => write!(f, "an echo after {ms} ms; 0 to 1000 ms are possible"),
            Self::Tail(ms) => write!(f, "a reverberation of {ms} ms; 1 to 1000 ms are possible"),
            Self::Loss(db) => write!(f, "an echo return loss of {db} dB; -20 to 60 dB are possible"),
            Self::Noise(dbov) => write!(f, "noise of {dbov} dBov; at most 0 dBov is possible"),
            Self::Saturation(dbov) => write!(f, "a loudspeaker up to {dbov} dBov; -60 to 0 dBov are possible"),
        }
    }
}

impl std::error::Error for RoomError {}

/// A loudspeaker, a microphone, and the room around them.
///
/// [The module's page](self) has an example.
#[derive(Clone, Debug)]
pub struct AcousticRoom {
    config: AcousticRoomConfig,
    sample_rate_hz: u32,
    sides: Vec<Side>,
    /// Samples a channel that the microphone has captured.
    captured: u64,
    /// The time at which the path changes, in samples of the microphone; below is the duration of the change.
    change_at: Option<u64>,
    change_samples: u64,
}

/// One channel.
#[derive(Clone, Debug)]
struct Side {
    /// The path at first, and the one from the change on.
    paths: Vec<Path>,
    /// The played sound, as far back as a path reaches; `heard` is the number of its samples that are older than the next
    /// captured one.
    played: Vec<f32>,
    heard: usize,
    noise: Xoshiro256PlusPlus,
}

/// An impulse response.
#[derive(Clone, Debug)]
struct Path {
    delay: usize,
    /// The taps from the last to the first, in the same order as the played sound in memory.
    taps: Vec<f32>,
}

impl AcousticRoom {
    /// Creates a room in which it is still quiet.
    ///
    /// # Errors
    /// [`RoomError`], with the number that is out of range.
    pub fn new(config: AcousticRoomConfig, sample_rate_hz: u32, channels: u8) -> Result<Self, RoomError> {
        let AcousticRoomConfig { delay_ms, tail_ms, echo_return_loss_db, noise_dbov, saturation_dbov, change, seed } =
            config;
        if !(8_000..=48_000).contains(&sample_rate_hz) {
            return Err(RoomError::SampleRate(sample_rate_hz));
        }
        if !(1..=2).contains(&channels) {
            return Err(RoomError::Channels(channels));
        }
        let delays = [Some(delay_ms), change.map(|change| change.delay_ms)];
        if let Some(ms) = delays.into_iter().flatten().find(|ms| !(0.0..=1_000.0).contains(ms)) {
            return Err(RoomError::Delay(ms));
        }
        if !(1.0..=1_000.0).contains(&tail_ms) {
            return Err(RoomError::Tail(tail_ms));
        }
        if !(-20.0..=60.0).contains(&echo_return_loss_db) {
            return Err(RoomError::Loss(echo_return_loss_db));
        }
        if let Some(dbov) = noise_dbov.filter(|dbov| dbov.is_nan() || *dbov > 0.0) {
            return Err(RoomError::Noise(dbov));
        }
        if let Some(dbov) = saturation_dbov.filter(|dbov| !(-60.0..=0.0).contains(dbov)) {
            return Err(RoomError::Saturation(dbov));
        }
        let samples = |ms: f64| (ms * f64::from(sample_rate_hz) / 1_000.0 + 0.5) as usize;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut path = |delay_ms| Path::new(samples(delay_ms), samples(tail_ms), echo_return_loss_db, &mut random);
        let sides = (0..channels)
            .map(|channel| {
                let paths: Vec<_> = delays.into_iter().flatten().map(&mut path).collect();
                let reach = paths.iter().map(Path::reach).max().unwrap_or(0);
                let noise = Xoshiro256PlusPlus::seed_from_u64(seed ^ (0x006e_6f69_7365 + u64::from(channel)));
                Side { paths, played: vec![0.0; reach], heard: reach, noise }
            })
            .collect();
        Ok(Self {
            config,
            sample_rate_hz,
            sides,
            captured: 0,
            change_at: change.map(|change| change.at_ms.saturating_mul(u64::from(sample_rate_hz)) / 1_000),
            change_samples: samples(CHANGE_MS) as u64,
        })
    }

    /// Returns the configuration with which it was made.
    pub fn config(&self) -> AcousticRoomConfig {
        self.config
    }

    /// Plays these samples next, interleaved. Sound that isn't captured within 2 s is dropped.
    pub fn play(&mut self, pcm: &[i16]) {
        let limit = self.config.saturation_dbov.map(|dbov| (FULL * decibels(dbov)) as f32);
        let (channels, unheard) = (self.sides.len(), (UNHEARD_S * self.sample_rate_hz) as usize);
        for (channel, side) in self.sides.iter_mut().enumerate() {
            side.played.extend(pcm.chunks_exact(channels).map(|frame| saturated(frame[channel].into(), limit)));
            side.heard = side.heard.max(side.played.len().saturating_sub(unheard));
        }
    }

    /// Captures the next samples of the microphone, interleaved: `pcm` contains the speech into it, and echo and noise are added.
    /// Where the loudspeaker plays nothing, there is no echo.
    pub fn capture(&mut self, pcm: &mut [i16]) {
        let channels = self.sides.len();
        let noise = self.config.noise_dbov.map(|dbov| (FULL * decibels(dbov)) as f32);
        for (channel, side) in self.sides.iter_mut().enumerate() {
            let frames = pcm.chunks_exact_mut(channels);
            let needed = side.heard + frames.len();
            if side.played.len() < needed {
                side.played.resize(needed, 0.0);
            }
            for (frame, at) in frames.zip(self.captured..) {
                side.heard += 1;
                let changed = changed(at, self.change_at, self.change_samples);
                let mut echo = if changed < 1.0 { side.echo(0) * (1.0 - changed) } else { 0.0 };
                if changed > 0.0 {
                    echo += side.echo(1) * changed;
                }
                if let Some(level) = noise {
                    echo += level * normal(&mut side.noise);
                }
                let sample = (f32::from(frame[channel]) + echo + 0.5).floor();
                frame[channel] = sample.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
            }
            side.forget();
        }
        self.captured += (pcm.len() / channels) as u64;
    }
}

impl Side {
    /// Returns the echo over a path at the sample after `heard`.
    fn echo(&self, path: usize) -> f32 {
        let Some(path) = self.paths.get(path) else { return 0.0 };
        // There are always at least as many samples before `heard` as the path reaches back.
        let end = self.heard - path.delay;
        product(&path.taps, &self.played[end - path.taps.len()..end])
    }

    /// Lets go of what no path reaches any more; seldom, as the rest moves.
    fn forget(&mut self) {
        let reach = self.paths.iter().map(Path::reach).max().unwrap_or(0);
        let old = self.heard - reach;
        if old > reach.max(4_096) {
            self.played.drain(..old);
            self.heard = reach;
        }
    }
}

impl Path {
    fn new(delay: usize, tail: usize, loss_db: f64, random: &mut Xoshiro256PlusPlus) -> Self {
        let tail = tail.max(1);
        // 60 dB are a factor of a thousand.
        let decay = libm::log(1_000.0) / tail as f64;
        let mut taps: Vec<f64> = (0..tail).map(|n| f64::from(normal(random)) * libm::exp(-decay * n as f64)).collect();
        taps[0] = 0.0;
        let reverberation: f64 = taps.iter().map(|tap| tap * tap).sum();
        // Where there is no room for reverberation, there is the direct sound alone.
        taps[0] = if reverberation > 0.0 { reverberation.sqrt() } else { 1.0 };
        let energy: f64 = taps.iter().map(|tap| tap * tap).sum();
        let scale = decibels(-loss_db) / energy.sqrt();
        Self { delay, taps: taps.iter().rev().map(|tap| (tap * scale) as f32).collect() }
    }

    /// Returns how many samples back the path reaches.
    fn reach(&self) -> usize {
        self.delay + self.taps.len()
    }
}

/// Returns a factor of amplitude.
fn decibels(db: f64) -> f64 {
    libm::pow(10.0, db / 20.0)
}

/// Returns the share of the other path at a sample: 0 to 1.
fn changed(at: u64, change_at: Option<u64>, change_samples: u64) -> f32 {
    match change_at {
        Some(change_at) if at >= change_at => {
            let since = (at - change_at).min(change_samples);
            since as f32 / change_samples as f32
        }
        _ => 0.0,
    }
}

/// Returns a loudspeaker that goes linearly at first and never beyond the limit.
fn saturated(sample: f32, limit: Option<f32>) -> f32 {
    match limit {
        Some(limit) => {
            let driven = sample / limit;
            sample / (1.0 + driven * driven).sqrt()
        }
        None => sample,
    }
}

/// Nearly normal, with a deviation of 1: four uniform numbers, whose sum has a third as its variance.
fn normal(random: &mut Xoshiro256PlusPlus) -> f32 {
    let bits = random.next_u64();
    let sum: f32 = (0..4).map(|n| f32::from((bits >> (16 * n)) as i16)).sum();
    sum / 32_768.0 * (3.0f32 / 4.0).sqrt()
}

/// Returns the sum of products, in sixteen sums that a compiler can hold in registers; their order is fixed.
fn product(taps: &[f32], samples: &[f32]) -> f32 {
    let (whole, rest) = taps.as_chunks::<16>();
    let (whole_samples, rest_samples) = samples.as_chunks::<16>();
    let mut sums = [0.0f32; 16];
    for (taps, samples) in whole.iter().zip(whole_samples) {
        for n in 0..16 {
            sums[n] += taps[n] * samples[n];
        }
    }
    let rest: f32 = rest.iter().zip(rest_samples).map(|(tap, sample)| tap * sample).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: AcousticRoomConfig = AcousticRoomConfig {
        delay_ms: 20.0,
        tail_ms: 60.0,
        echo_return_loss_db: 6.0,
        noise_dbov: None,
        saturation_dbov: None,
        change: None,
        seed: 3,
    };

    /// White noise at -20 dBov.
    fn noise(samples: usize, seed: u64) -> Vec<i16> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        (0..samples).map(|_| (normal(&mut random) * 3_276.8) as i16).collect()
    }

    /// What is captured of `played`, in ticks of these lengths in turn, the first of which has no microphone.
    fn through(room: &mut AcousticRoom, played: &[i16], ticks: &[usize], channels: usize) -> Vec<i16> {
        let (mut captured, mut rest, mut lengths) = (Vec::new(), played, ticks.iter().cycle());
        let mut first = true;
        while !rest.is_empty() {
            let (tick, later) = rest.split_at((lengths.next().unwrap() * channels).min(rest.len()));
            room.play(tick);
            if !std::mem::take(&mut first) {
                let mut pcm = vec![0; tick.len()];
                room.capture(&mut pcm);
                captured.extend(pcm);
            }
            rest = later;
        }
        captured
    }

    fn level_db(pcm: &[i16]) -> f64 {
        let power: f64 = pcm.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / pcm.len() as f64;
        10.0 * (power / FULL / FULL).log10()
    }

    #[test]
    fn an_impulse_comes_after_the_delay_and_decays_by_sixty_decibels() {
        for rate in [8_000, 16_000, 32_000, 44_100, 48_000] {
            let mut room = AcousticRoom::new(AcousticRoomConfig { tail_ms: 200.0, ..QUIET }, rate, 1).unwrap();
            let mut played = vec![0; rate as usize];
            played[100] = i16::MAX;
            let captured = through(&mut room, &played, &[rate as usize / 100], 1);
            let direct = 100 + (f64::from(rate) * 0.020).round() as usize;
            let tail = rate as usize / 5;
            assert!(captured[..direct].iter().all(|&sample| sample == 0), "{rate}");
            let loudest = captured.iter().enumerate().max_by_key(|(_, sample)| sample.unsigned_abs()).unwrap();
            assert_eq!(loudest.0, direct, "{rate}");
            assert!(captured[direct + tail..].iter().all(|&sample| sample == 0), "{rate}");
            // The middle 20 ms of the first and the second half are 100 ms apart, half of the tail.
            let part = |ms: usize| level_db(&captured[direct + rate as usize * ms / 1_000..][..rate as usize / 50]);
            let decay = part(20) - part(120);
            assert!((decay - 30.0).abs() < 2.5, "{rate}: {decay}");
        }
    }

    #[test]
    fn the_echo_is_weaker_by_the_loss() {
        for (rate, loss) in [(8_000, 0.0), (16_000, 6.0), (48_000, 30.0)] {
            let mut room =
                AcousticRoom::new(AcousticRoomConfig { echo_return_loss_db: loss, ..QUIET }, rate, 1).unwrap();
            let played = noise(3 * rate as usize, 5);
            let captured = through(&mut room, &played, &[rate as usize / 100], 1);
            let measured = level_db(&played) - level_db(&captured[rate as usize / 2..]);
            assert!((measured - loss).abs() < 0.3, "{rate}: {measured}");
        }
    }

    #[test]
    fn the_length_of_ticks_changes_no_bit_and_the_seed_all() {
        let played = noise(16_000, 1);
        let config = AcousticRoomConfig { noise_dbov: Some(-50.0), ..QUIET };
        let run =
            |config, ticks: &[usize]| through(&mut AcousticRoom::new(config, 16_000, 1).unwrap(), &played, ticks, 1);
        let captured = run(config, &[160]);
        assert_eq!(captured, run(config, &[160]));
        let other = run(config, &[160, 1, 333, 7, 80]);
        let common = captured.len().min(other.len());
        assert!(common > 15_000);
        assert_eq!(captured[..common], other[..common]);
        assert_ne!(captured, run(AcousticRoomConfig { seed: 4, ..config }, &[160]));
    }

    #[test]
    fn in_stereo_each_channel_is_a_room_of_its_own() {
        let mut room = AcousticRoom::new(QUIET, 16_000, 2).unwrap();
        let left = noise(16_000, 1);
        let played: Vec<i16> = left.iter().flat_map(|&sample| [sample, 0]).collect();
        let captured = through(&mut room, &played, &[160, 333], 2);
        assert!(captured.iter().skip(1).step_by(2).all(|&sample| sample == 0));
        let of = |channel: usize| captured.iter().skip(channel).step_by(2).copied().collect::<Vec<i16>>();
        assert_eq!(of(0), through(&mut AcousticRoom::new(QUIET, 16_000, 1).unwrap(), &left, &[160, 333], 1));
        // The same sound on both sides comes back by two paths.
        let played: Vec<i16> = left.iter().flat_map(|&sample| [sample, sample]).collect();
        let captured = through(&mut AcousticRoom::new(QUIET, 16_000, 2).unwrap(), &played, &[160], 2);
        assert!(captured.chunks(2).filter(|frame| frame[0] != frame[1]).count() > 15_000);
    }

    #[test]
    fn the_path_changes_in_time_with_its_delay() {
        let change = Some(PathChange { at_ms: 500, delay_ms: 100.0 });
        let played = noise(16_000, 1);
        let run = |change| {
            let mut room = AcousticRoom::new(AcousticRoomConfig { change, ..QUIET }, 16_000, 1).unwrap();
            through(&mut room, &played, &[160], 1)
        };
        let (before, after) = (run(None), run(change));
        assert_eq!(before[..8_000], after[..8_000]);
        // By the other path a click comes 100 ms later, and by the first one no more.
        let mut room = AcousticRoom::new(AcousticRoomConfig { change, ..QUIET }, 16_000, 1).unwrap();
        let mut click = vec![0; 32_000];
        click[16_000] = 20_000;
        let captured = through(&mut room, &click, &[160], 1);
        assert_eq!(captured.iter().position(|&sample| sample != 0), Some(16_000 + 1_600));
    }

    #[test]
    fn a_loudspeaker_saturates_and_the_microphone_has_noise() {
        let config =
            AcousticRoomConfig { saturation_dbov: Some(-20.0), echo_return_loss_db: 0.0, tail_ms: 1.0, ..QUIET };
        let peak = |amplitude: i16| {
            // 1 ms at 8 kHz is 8 taps; what is played is one sample, so that the direct sound is seen alone.
            let mut room = AcousticRoom::new(config, 8_000, 1).unwrap();
            let mut played = vec![0; 8_000];
            played[0] = amplitude;
            f64::from(through(&mut room, &played, &[80], 1)[160])
        };
        let linear = peak(100) / 100.0;
        assert!((peak(10_000) / 10_000.0 / linear - 0.311).abs() < 0.01, "{} {linear}", peak(10_000));
        assert!(peak(i16::MAX) < 3_276.8 * linear);
        let mut room = AcousticRoom::new(AcousticRoomConfig { noise_dbov: Some(-40.0), ..QUIET }, 16_000, 1).unwrap();
        let captured = through(&mut room, &vec![0; 32_000], &[160], 1);
        assert!((level_db(&captured) + 40.0).abs() < 0.2, "{}", level_db(&captured));
    }

    #[test]
    fn full_scale_is_limited_and_what_nobody_captures_is_given_up() {
        let mut room = AcousticRoom::new(AcousticRoomConfig { echo_return_loss_db: -20.0, ..QUIET }, 8_000, 1).unwrap();
        for _ in 0..1_000 {
            room.play(&[i16::MIN; 80]);
        }
        let kept: usize = room.sides[0].played.len() - room.sides[0].heard;
        assert_eq!(kept, 16_000);
        let mut pcm = vec![i16::MAX; 20_000];
        room.capture(&mut pcm);
        assert!(pcm.contains(&i16::MIN) || pcm.contains(&i16::MAX));
        // Beyond what was played, and the tail of it, there is silence.
        let mut pcm = vec![7; 80];
        room.capture(&mut pcm);
        assert_eq!(pcm, [7; 80]);
        for _ in 0..10_000 {
            room.play(&[1; 80]);
            room.capture(&mut [0; 80]);
        }
        assert!(room.sides[0].played.len() < 10_000);
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        let of = |config, rate, channels| AcousticRoom::new(config, rate, channels).err();
        assert_eq!(of(QUIET, 7_999, 1), Some(RoomError::SampleRate(7_999)));
        assert_eq!(of(QUIET, 8_000, 3), Some(RoomError::Channels(3)));
        assert_eq!(of(AcousticRoomConfig { delay_ms: -1.0, ..QUIET }, 8_000, 1), Some(RoomError::Delay(-1.0)));
        let change = Some(PathChange { at_ms: 0, delay_ms: 1_001.0 });
        assert_eq!(of(AcousticRoomConfig { change, ..QUIET }, 8_000, 1), Some(RoomError::Delay(1_001.0)));
        assert_eq!(of(AcousticRoomConfig { tail_ms: 0.5, ..QUIET }, 8_000, 1), Some(RoomError::Tail(0.5)));
        assert_eq!(
            of(AcousticRoomConfig { echo_return_loss_db: 61.0, ..QUIET }, 8_000, 1),
            Some(RoomError::Loss(61.0))
        );
        assert_eq!(of(AcousticRoomConfig { noise_dbov: Some(1.0), ..QUIET }, 8_000, 1), Some(RoomError::Noise(1.0)));
        let saturation = AcousticRoomConfig { saturation_dbov: Some(f64::NEG_INFINITY), ..QUIET };
        assert!(matches!(of(saturation, 8_000, 1), Some(RoomError::Saturation(_))));
        assert!(of(AcousticRoomConfig { tail_ms: f64::NAN, ..QUIET }, 8_000, 1).is_some());
        assert!(RoomError::Tail(0.5).to_string().contains("0.5 ms; 1 to 1000"));
    }
}
