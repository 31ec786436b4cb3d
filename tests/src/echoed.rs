//! The echo canceller in a made room, through a front end as a device has it: golden hashes of what comes out, and what a
//! block costs. Uses nothing but `core` and `dsp_core`, so that a firmware image can include this very file and compare.
//!
//! All sound is made by integers: the far end is coloured noise in syllables with pauses, the room is a handful of
//! reflections within 45 ms that begin 20 ms after the loudspeaker, and the near end is quiet noise with one burst of speech's
//! length in the second second. Behind it the microphone loses a block.

use dsp_core::echo::{EchoCanceller, EchoConfig, EveryPart, FewParts};
use dsp_core::front::{CaptureBlock, FrontConfig, FrontEnd, InFloat, Media, Near, Step};
use dsp_core::noise::{NoiseConfig, NoiseSuppressor};
use dsp_core::process::echo_suppressor::{EchoSuppressor, EchoSuppressorConfig};
use dsp_core::receive::Played;
use dsp_core::time::{Duration, Instant};

use super::fnv::Fnv;

/// Samples of a block: 10 ms at 16 kHz.
pub const BLOCK: usize = 160;
/// As a rate.
const RATE_HZ: u32 = 16_000;
/// Blocks of the scene, 2 s, and those that a processor without floats runs.
pub const BLOCKS: usize = 200;
/// As above.
pub const FIRST_BLOCKS: usize = 50;
/// Blocks of near-end speech.
const NEAR_SPEECH: core::ops::Range<usize> = 130..155;
/// A block that the microphone loses, behind which the canceller reads the far end anew; a processor without floats
/// ends before.
const LOST_BLOCK: usize = 180;
/// Loudness of the far end's blocks, in eighths, over and over.
const SYLLABLES: [i32; 25] = [2, 5, 8, 8, 7, 5, 3, 1, 4, 7, 8, 6, 4, 2, 3, 6, 8, 7, 6, 4, 2, 1, 0, 0, 0];
/// The room: samples after the loudspeaker, and gains by 32768.
const REFLECTIONS: [(usize, i32); 9] = [
    (320, 11_000),
    (323, -5_200),
    (331, 3_100),
    (372, 4_500),
    (437, -2_900),
    (520, 1_900),
    (655, -1_200),
    (811, 700),
    (1_030, -400),
];
/// Samples that the room remembers.
const ROOM: usize = 2_048;

/// A canceller for small parts: a tail of 70 ms at 16 kHz.
pub type Small = EchoCanceller<FewParts, BLOCK, 7>;
/// One with everything: a tail of 130 ms at 16 kHz.
pub type Whole = EchoCanceller<EveryPart, BLOCK, 13>;

/// What the small one runs.
pub const SMALL: EchoConfig = EchoConfig {
    delay_search: true,
    drift: true,
    second_filter: false,
    saturation: false,
    suppressor: true,
    comfort_noise: true,
};

/// What came of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echoed {
    /// Of the bits of all samples out.
    pub hash: u32,
    /// Instructions (or whatever `clock` counts) a block.
    pub mean: u32,
    /// The most of one block.
    pub most: u32,
}

/// The small canceller in so many blocks of the scene.
pub fn small(blocks: usize, clock: impl Fn() -> u32) -> Echoed {
    let mut canceller = Small::new(SMALL).expect("sizes and parts that it has");
    run(&mut canceller, blocks, clock)
}

/// The one with everything in so many blocks of the scene.
pub fn whole(blocks: usize, clock: impl Fn() -> u32) -> Echoed {
    let mut canceller = Whole::new(EchoConfig::default()).expect("sizes and parts that it has");
    run(&mut canceller, blocks, clock)
}

/// The noise suppressor in so many blocks of the scene: it takes echo and speech for what they are, and the hiss out.
pub fn noise_suppressor(blocks: usize) -> u32 {
    let mut suppressor = NoiseSuppressor::<BLOCK, 256>::new(NoiseConfig::default());
    run(&mut suppressor, blocks, || 0).hash
}

/// The echo suppressor of integers in so many blocks of the scene.
pub fn echo_suppressor(blocks: usize) -> u32 {
    let config = EchoSuppressorConfig { sample_rate_hz: RATE_HZ, ..EchoSuppressorConfig::default() };
    let mut suppressor = Hashed { block: EchoSuppressor::<BLOCK>::new(config), hash: Fnv::default() };
    play(&mut suppressor, blocks);
    suppressor.hash.finish()
}

/// A block of integers whose output is hashed.
struct Hashed<B> {
    block: B,
    hash: Fnv,
}

impl<B: CaptureBlock<i16>> CaptureBlock<i16> for Hashed<B> {
    fn process(&mut self, frame: &mut [i16], near: &Near<'_>) {
        self.block.process(frame, near);
        frame.iter().for_each(|sample| self.hash.write(&sample.to_le_bytes()));
    }

    fn reset(&mut self) {
        self.block.reset();
    }

    fn delay_samples(&self) -> usize {
        self.block.delay_samples()
    }
}

/// A block whose cost is counted, and whose output is hashed.
struct Probe<'a, B, C> {
    block: &'a mut B,
    clock: C,
    hash: Fnv,
    blocks: u32,
    total: u32,
    most: u32,
}

impl<B: CaptureBlock<f32>, C: Fn() -> u32> CaptureBlock<f32> for Probe<'_, B, C> {
    fn process(&mut self, frame: &mut [f32], near: &Near<'_>) {
        let began = (self.clock)();
        self.block.process(frame, near);
        let cost = (self.clock)() - began;
        self.total += cost;
        self.most = self.most.max(cost);
        self.blocks += 1;
        frame.iter().for_each(|sample| self.hash.write(&sample.to_bits().to_le_bytes()));
    }

    fn reset(&mut self) {
        self.block.reset();
    }

    fn delay_samples(&self) -> usize {
        self.block.delay_samples()
    }
}

/// Noise between -32768 and 32767.
fn noise(state: &mut u32) -> i32 {
    *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    i32::from((*state >> 16) as i16)
}

/// Plays the far end; the room hears it.
struct Scene {
    far: u32,
    near: u32,
    colour: [i32; 2],
    block: usize,
    room: [i16; ROOM],
    /// Where the next sample goes.
    at: usize,
}

impl Media for Scene {
    type Transmit = ();

    fn play(&mut self, _: Instant, pcm: &mut [i16]) -> Played {
        for sample in pcm {
            self.colour[0] += (noise(&mut self.far) - self.colour[0]) >> 2;
            *sample = ((self.colour[0] * SYLLABLES[self.block % SYLLABLES.len()]) >> 3) as i16;
            self.room[self.at] = *sample;
            self.at = (self.at + 1) % ROOM;
        }
        Played::default()
    }

    fn capture(&mut self, _: Instant, _: &[i16]) {}

    fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<()> {
        None
    }
}

impl Scene {
    /// What the microphone hears of the block that is played now, and of those before.
    fn hear(&mut self, pcm: &mut [i16]) {
        let start = self.at + ROOM - pcm.len();
        for (n, sample) in pcm.iter_mut().enumerate() {
            let heard = |&(delay, gain): &(usize, i32)| i32::from(self.room[(start + n + ROOM - delay) % ROOM]) * gain;
            let echo = REFLECTIONS.iter().map(heard).sum::<i32>() >> 15;
            let hiss = noise(&mut self.near);
            self.colour[1] += (hiss - self.colour[1]) >> 3;
            let speech = if NEAR_SPEECH.contains(&self.block) { self.colour[1] >> 1 } else { 0 };
            *sample = (echo + speech + (hiss >> 11)) as i16;
        }
        self.block += 1;
    }
}

/// Any canceller in so many blocks of the scene.
pub fn run(canceller: &mut impl CaptureBlock<f32>, blocks: usize, clock: impl Fn() -> u32) -> Echoed {
    let probe = Probe { block: canceller, clock, hash: Fnv::default(), blocks: 0, total: 0, most: 0 };
    let mut probe = InFloat::<_, BLOCK>::new(probe, RATE_HZ).expect("room for 10 ms");
    play(&mut probe, blocks);
    let probe = probe.block();
    let blocks = probe.blocks.max(1);
    Echoed { hash: core::mem::take(&mut probe.hash).finish(), mean: probe.total / blocks, most: probe.most }
}

/// Plays so many blocks of the scene to a block in a front end.
fn play(block: &mut impl CaptureBlock<i16>, blocks: usize) {
    let config = FrontConfig { sample_rate_hz: RATE_HZ, ..FrontConfig::default() };
    let mut front = FrontEnd::<_, BLOCK, _>::new(config, [Some(block), None], [0; 8_000]).expect("one block");
    let mut scene = Scene { far: 0x2026, near: 0x2027, colour: [0; 2], block: 0, room: [0; ROOM], at: 0 };
    let mut now = Instant::from_millis(1_000);
    for tick in 0..blocks {
        now += Duration::from_millis(10);
        let lost = tick == LOST_BLOCK;
        front.begin(now, BLOCK, tick > 0 && !lost).expect("a tick of one block");
        while let Some(step) = front.step(&mut scene, &mut []) {
            if let Step::Microphone(microphone) = step {
                scene.hear(microphone.pcm);
            }
        }
        if lost {
            scene.hear(&mut [0; BLOCK]);
            front.overrun(BLOCK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scene_is_one_that_a_canceller_works_in() {
        let mut small = Small::new(SMALL).unwrap();
        run(&mut small, BLOCKS, || 0);
        let mut whole = Whole::new(EchoConfig::default()).unwrap();
        run(&mut whole, BLOCKS, || 0);
        for stats in [small.stats(), whole.stats()] {
            assert!(stats.erle_db.is_some_and(|erle| erle > 20.0), "{stats:?}");
            // 20 ms behind what is played in the same tick, whose microphone is of the 10 ms before by the clock.
            assert!(stats.delay_ms.is_some_and(|delay| (delay - 10.0).abs() < 1.0), "{stats:?}");
        }
    }
}
