//! A loudspeaker and a microphone in a made room, for tests of blocks that look at the far end.

use core::ops::Range;
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use super::{CaptureBlock, FrontConfig, FrontEnd, Media, Step};
use crate::receive::Played;
use crate::time::Instant;

/// Repeatable noise, even from -1 to 1.
pub(crate) struct UniformNoise(u32);

impl UniformNoise {
    pub(crate) fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(2_654_435_761) | 1)
    }

    pub(crate) fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / 8_388_608.0 - 1.0
    }
}

/// A call's sound without a call.
#[derive(Default)]
struct Sound {
    play: Vec<i16>,
    sent: Vec<i16>,
}

impl Media for Sound {
    type Transmit = ();

    fn play(&mut self, _: Instant, pcm: &mut [i16]) -> Played {
        pcm.copy_from_slice(&self.play);
        Played::default()
    }

    fn capture(&mut self, _: Instant, pcm: &[i16]) {
        self.sent.extend_from_slice(pcm);
    }

    fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<()> {
        None
    }
}

/// What a stretch of sound was: the microphone's, and what was sent.
pub(crate) struct FrontEndRecording {
    pub(crate) microphone: Vec<f32>,
    pub(crate) sent: Vec<f32>,
}

impl FrontEndRecording {
    /// Energies of microphone and output within a stretch.
    pub(crate) fn energies(&self, stretch: Range<usize>) -> (f64, f64) {
        let energy = |x: &[f32]| x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
        (energy(&self.microphone[stretch.clone()]), energy(&self.sent[stretch]))
    }

    /// How much quieter the output is, in dB.
    pub(crate) fn erle_db(&self, stretch: Range<usize>) -> f64 {
        let (heard, sent) = self.energies(stretch);
        10.0 * (heard / sent.max(1e-9)).log10()
    }
}

/// A room with a block in its front end. The microphone comes a tick of 10 ms behind the loudspeaker, as in a real one.
pub(crate) struct TestRoom<B> {
    front: Box<FrontEnd<B, 480, Vec<i16>>>,
    sound: Sound,
    frame: usize,
    tick: u64,
    /// The response of the room, and what was played, newest last.
    pub(crate) response: Vec<f32>,
    played: Vec<f32>,
    noises: [UniformNoise; 2],
    /// What the loudspeaker makes of a sample.
    pub(crate) distort: fn(f32) -> f32,
    /// Whether the microphone hears the loudspeaker at all.
    pub(crate) far_is_lost: bool,
    /// By how much faster the loudspeaker's clock is than the microphone's, and the samples that it is ahead by.
    pub(crate) drift: f64,
    ahead: f64,
}

impl<B: CaptureBlock<i16>> TestRoom<B> {
    /// A room whose echo comes `delay` samples late at half the level, and dies within 30 ms.
    pub(crate) fn new(sample_rate_hz: u32, block: B, delay: usize) -> Self {
        let config = FrontConfig { sample_rate_hz, ..FrontConfig::default() };
        let history = vec![0; sample_rate_hz as usize * 2];
        let front = FrontEnd::new(config, [Some(block), None], history).unwrap();
        let mut room = Self {
            front: Box::new(front),
            sound: Sound::default(),
            frame: sample_rate_hz as usize / 100,
            tick: 0,
            response: Vec::new(),
            played: Vec::new(),
            noises: [UniformNoise::new(1), UniformNoise::new(2)],
            distort: |x| x,
            far_is_lost: false,
            drift: 0.0,
            ahead: 0.0,
        };
        room.response = room.made_response(delay, 5);
        room
    }

    /// Another response.
    pub(crate) fn made_response(&self, delay: usize, seed: u32) -> Vec<f32> {
        let mut noise = UniformNoise::new(seed);
        let length = self.frame * 3;
        let decay = |n: usize| libm::expf(-6.0 * n as f32 / length as f32);
        let mut response: Vec<f32> = (0..length).map(|n| noise.next() * decay(n)).collect();
        let energy: f32 = response.iter().map(|x| x * x).sum();
        response.iter_mut().for_each(|x| *x *= 0.5 / libm::sqrtf(energy));
        response.splice(0..0, core::iter::repeat_n(0.0, delay));
        response
    }

    pub(crate) fn block(&mut self) -> &mut B {
        self.front.block(0).unwrap()
    }

    /// The device tells how long sound takes through it.
    pub(crate) fn set_latency(&mut self, latency: super::Latency) {
        self.front.set_latency(latency);
    }

    /// Time passes without ticks.
    pub(crate) fn skip(&mut self, ticks: u64) {
        self.front.skip(ticks as usize * self.frame);
        self.tick += ticks;
    }

    /// Time passes, and nobody tells.
    pub(crate) fn advance(&mut self, ticks: u64) {
        self.tick += ticks;
    }

    /// Runs so many samples: `far` and `near` get the number of a sample and noise of their own.
    pub(crate) fn run(
        &mut self,
        samples: usize,
        far: impl Fn(usize, f32) -> f32,
        near: impl Fn(usize, f32) -> f32,
    ) -> FrontEndRecording {
        let pcm = |x: f32| (x * 32_768.0).clamp(-32_768.0, 32_767.0) as i16;
        self.sound.sent.clear();
        let mut microphone = Vec::new();
        for first in (0..samples).step_by(self.frame) {
            let played: Vec<f32> = (first..first + self.frame).map(|n| far(n, self.noises[0].next())).collect();
            self.sound.play = played.iter().map(|&x| pcm(x)).collect();
            let before = self.played.len();
            let heard: Vec<f32> = (0..self.frame)
                .map(|n| {
                    self.ahead += self.drift;
                    let at = before + n + self.ahead as usize;
                    let between = self.ahead.fract() as f32;
                    // The microphone's tick is of the 10 ms before: what is played now was not heard yet.
                    let echo: f32 = self
                        .response
                        .iter()
                        .enumerate()
                        .map(|(lag, tap)| {
                            let place = at.checked_sub(lag + self.frame);
                            let played = |place| self.played.get(place).copied().unwrap_or(0.0);
                            tap * place.map_or(0.0, |at| played(at) + between * (played(at + 1) - played(at)))
                        })
                        .sum();
                    let echo = if self.far_is_lost { 0.0 } else { echo };
                    echo + near(first + n, self.noises[1].next())
                })
                .collect();
            self.played.extend(self.sound.play.iter().map(|&x| (self.distort)(f32::from(x) / 32_768.0)));
            let keep = self.response.len() + 2 * self.frame;
            if self.played.len() > 4 * keep {
                self.played.drain(..self.played.len() - 2 * keep);
            }
            let now = Instant::from_millis(1_000 + 10 * self.tick);
            self.front.begin(now, self.frame, true).unwrap();
            while let Some(step) = self.front.step(&mut self.sound, &mut []) {
                if let Step::Microphone(place) = step {
                    place.pcm.iter_mut().zip(&heard).for_each(|(to, &x)| *to = pcm(x));
                }
            }
            microphone.extend(heard.iter().map(|&x| f32::from(pcm(x)) / 32_768.0));
            self.tick += 1;
        }
        FrontEndRecording { microphone, sent: self.sound.sent.iter().map(|&x| f32::from(x) / 32_768.0).collect() }
    }
}
