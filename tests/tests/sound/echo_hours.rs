//! Ten hours of a call in a room, in virtual time: the echo canceller neither diverges nor forgets how. Ignored by default, for
//! it takes minutes; `.ci/long` runs it in a release build.
//!
//! The far end is coloured noise in syllables and pauses, the near end is hiss and now and then speech over it. The room changes
//! every ten minutes. The microphone's clock runs 20 ppm faster than the loudspeaker's, so that the device drops 10 ms of the
//! microphone's every 500 s, and tells.

use dsp_core::echo::{EchoCanceller, EchoConfig, EchoStats, EveryPart};
use dsp_core::front::{CaptureBlock, FrontConfig, FrontEnd, InFloat, Media, Near, Step};
use dsp_core::receive::Played;
use dsp_core::time::{Duration, Instant};

const RATE: u32 = 16_000;
const BLOCK: usize = 160;
const MINUTE: usize = 6_000;
/// Blocks in which a room stays the same.
const ROOM: usize = 10 * MINUTE;
const DRIFT: f64 = 20e-6;
/// Of the near end's speech: blocks from one time to the next, and blocks that it takes.
const NEAR_SPEECH: (usize, usize) = (4_000, 300);
/// From the loudspeaker to the microphone, and what the room adds at most, in samples.
const DELAY: usize = 480;
const TAIL: usize = 1_400;
const LINE: usize = 4_096;

fn noise(state: &mut u32) -> f32 {
    *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    (*state >> 8) as f32 / 8_388_608.0 - 1.0
}

/// Speech-like: noise of two colours, syllables of 150 to 250 ms, and pauses of a second.
struct Voice {
    random: u32,
    colour: [f32; 2],
    loudness: f32,
    aim: f32,
    left: usize,
}

impl Voice {
    fn new(seed: u32) -> Self {
        Self { random: seed, colour: [0.0; 2], loudness: 0.0, aim: 0.0, left: 0 }
    }

    fn next(&mut self) -> f32 {
        if self.left == 0 {
            let dice = noise(&mut self.random);
            // One in ten is a pause.
            let pause = dice > 0.8;
            self.left = if pause { 16_000 } else { (3_200.0 + 800.0 * dice) as usize };
            self.aim = if pause { 0.0 } else { 0.25 * (1.0 + dice) * noise(&mut self.random).abs() };
        }
        self.left -= 1;
        self.loudness += 0.001 * (self.aim - self.loudness);
        let white = noise(&mut self.random);
        self.colour[0] += 0.35 * (white - self.colour[0]);
        self.colour[1] += 0.02 * (self.colour[0] - self.colour[1]);
        self.loudness * (self.colour[0] - self.colour[1])
    }
}

/// Loudspeaker, room and microphone.
struct World {
    far: Voice,
    near: Voice,
    hiss: u32,
    /// What was played, and what the room made of it, as rings.
    played: Vec<f32>,
    echo: Vec<f32>,
    written: usize,
    /// Samples that the microphone has captured, those included that were dropped.
    captured: usize,
    taps: Vec<(usize, f32)>,
    block: usize,
    energies: Energies,
}

/// Of one minute: of all, and where the far end speaks alone.
#[derive(Clone, Copy, Debug, Default)]
struct Energies {
    all: [f64; 2],
    echo: [f64; 2],
}

impl Energies {
    fn erle_db(&self) -> f64 {
        10.0 * (self.echo[0] / self.echo[1]).log10()
    }
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            far: Voice::new(1),
            near: Voice::new(2),
            hiss: 3,
            played: vec![0.0; LINE],
            echo: vec![0.0; LINE],
            written: 0,
            // The first tick has no microphone.
            captured: BLOCK,
            taps: Vec::new(),
            block: 0,
            energies: Energies::default(),
        };
        world.enter(0);
        world
    }

    /// A direct path and sixty reflections that fade by 60 dB in 200 ms.
    fn enter(&mut self, room: u32) {
        let mut random = 77 + room;
        let mut tap = |n: usize| {
            let at = DELAY + if n == 0 { 0 } else { (noise(&mut random).abs() * TAIL as f32) as usize };
            let fade = 10f32.powf(-3.0 * (at - DELAY) as f32 / 3_200.0);
            (at, fade * if n == 0 { 0.5 } else { 0.2 * noise(&mut random) })
        };
        self.taps = (0..61).map(&mut tap).collect();
    }

    fn near_speaks(&self) -> bool {
        let (every, long) = NEAR_SPEECH;
        self.block % every >= every - long
    }

    /// The next block of the microphone.
    fn hear(&mut self, pcm: &mut [i16]) {
        let speaks = self.near_speaks();
        let mut energy = 0.0;
        for sample in pcm {
            // By the loudspeaker's clock, and four samples late for the interpolation.
            let at = self.captured as f64 * (1.0 - DRIFT);
            self.captured += 1;
            let (whole, part) = (at as usize, at.fract() as f32);
            let [a, b, c, d] = [0, 1, 2, 3].map(|n| self.echo[(whole + LINE - 4 + n) % LINE]);
            // A cubic through four neighbours.
            let (one, two, three) = (c - a, 2.0 * a - 5.0 * b + 4.0 * c - d, 3.0 * (b - c) + d - a);
            let echo = b + 0.5 * part * (one + part * (two + part * three));
            let speech = self.near.next();
            let heard = echo + 0.000_3 * noise(&mut self.hiss) + if speaks { speech } else { 0.0 };
            *sample = (heard * 32_768.0).round() as i16;
            energy += f64::from(*sample) * f64::from(*sample);
        }
        self.note(0, energy);
        self.block += 1;
    }

    fn note(&mut self, which: usize, energy: f64) {
        self.energies.all[which] += energy;
        // A block leaves 10 ms later; the edges of the near end's speech are left out.
        let (every, long) = NEAR_SPEECH;
        let phase = self.block % every;
        if (10..every - long - 10).contains(&phase) {
            self.energies.echo[which] += energy;
        }
    }
}

impl Media for World {
    type Transmit = ();

    fn play(&mut self, _: Instant, pcm: &mut [i16]) -> Played {
        for sample in pcm {
            *sample = (self.far.next() * 32_768.0) as i16;
            let at = self.written % LINE;
            self.played[at] = f32::from(*sample) / 32_768.0;
            self.echo[at] = self.taps.iter().map(|(delay, gain)| gain * self.played[(at + LINE - delay) % LINE]).sum();
            self.written += 1;
        }
        Played::default()
    }

    fn capture(&mut self, _: Instant, pcm: &[i16]) {
        let energy = pcm.iter().map(|&sample| f64::from(sample).powi(2)).sum();
        self.note(1, energy);
    }

    fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<()> {
        None
    }
}

/// Sees what a canceller gives before it becomes `i16`, which has no NaN.
struct Watched {
    canceller: EchoCanceller<EveryPart, BLOCK, 13>,
    worst: f32,
}

impl CaptureBlock<f32> for Watched {
    fn process(&mut self, frame: &mut [f32], near: &Near<'_>) {
        self.canceller.process(frame, near);
        assert!(frame.iter().all(|sample| sample.is_finite()), "not a number at {:?}", near.captured_at);
        self.worst = frame.iter().fold(self.worst, |worst, sample| worst.max(sample.abs()));
    }

    fn reset(&mut self) {
        self.canceller.reset();
    }

    fn delay_samples(&self) -> usize {
        self.canceller.delay_samples()
    }
}

/// So many minutes, and what each of them held.
fn call(minutes: usize) -> (Vec<Energies>, EchoStats) {
    let config = FrontConfig { sample_rate_hz: RATE, ..FrontConfig::default() };
    let canceller = EchoCanceller::new(EchoConfig::default()).unwrap();
    let block = Box::new(InFloat::<_, BLOCK>::new(Watched { canceller, worst: 0.0 }, RATE).unwrap());
    let mut front = Box::new(FrontEnd::<_, BLOCK, _>::new(config, [Some(*block), None], vec![0; 12_000]).unwrap());
    let mut world = World::new();
    let mut of_minutes = Vec::new();
    let mut now = Instant::from_millis(1_000);
    for tick in 0..minutes * MINUTE {
        if tick > 0 && tick % ROOM == 0 {
            world.enter((tick / ROOM) as u32);
        }
        now += Duration::from_millis(10);
        front.begin(now, BLOCK, tick > 0).unwrap();
        while let Some(step) = front.step(&mut world, &mut []) {
            if let Step::Microphone(microphone) = step {
                // What waits at the device has become 10 ms.
                let waits = world.written as f64 - world.captured as f64 * (1.0 - DRIFT) - BLOCK as f64;
                if waits >= BLOCK as f64 {
                    world.captured += BLOCK;
                    *microphone.lost += BLOCK as u32;
                }
                world.hear(microphone.pcm);
            }
        }
        if (tick + 1) % MINUTE == 0 {
            of_minutes.push(core::mem::take(&mut world.energies));
        }
    }
    let watched = front.block(0).unwrap().block();
    assert!(watched.worst <= 1.5, "{}", watched.worst);
    (of_minutes, watched.canceller.stats())
}

#[test]
#[ignore = "takes minutes; .ci/long runs it"]
fn ten_hours_end_as_they_began() {
    let (minutes, stats) = call(600);
    let erle: Vec<f64> = minutes.iter().map(Energies::erle_db).collect();
    println!("ERLE in dB: first minute {:.1}, last {:.1}, least {:.1}", erle[0], erle[599], least(&erle));
    println!("{stats:?}");
    for (n, minute) in minutes.iter().enumerate() {
        assert!(minute.all[1] <= minute.all[0], "minute {n} is louder than the microphone: {minute:?}");
    }
    assert!(erle[599] > erle[0] - 1.0, "{} and {}", erle[0], erle[599]);
    assert!(least(&erle) > 10.0, "{erle:?}");
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::MAX, f64::min)
}
