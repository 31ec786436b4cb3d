//! What stands between a microphone and a stream, 10 ms at 16 kHz: the noise suppressor, and the whole chain of echo canceller, noise
//! suppressor, gain control and detector. With the feature `sonora`, WebRTC's of the same kind beside them in the same run,
//! as the crates sonora-ns and sonora have it, with its own high-pass.
//!
//! The sound is a voice in noise, over and over; the far end is the same voice half a second earlier, which the microphone
//! hears 25 ms later at a quarter.

use criterion::{Criterion, criterion_group, criterion_main};
use dsp_core::block::Block;
use dsp_core::echo::{EchoCanceller, EchoConfig, EveryPart};
use dsp_core::front::{
    BlockStep, CaptureChain, CaptureParts, FrontConfig, FrontEnd, InFloat, Media, NoBlock, Stage, Step,
};
use dsp_core::noise::{NoiseConfig, NoiseLevel, WidebandNoiseSuppressor};
use dsp_core::process::agc::{Agc, AgcConfig};
use dsp_core::process::biquad::{Biquad, BiquadDesign};
use dsp_core::process::voice::{VoiceConfig, VoiceDetector};
use dsp_core::receive::Played;
use dsp_core::time::{Duration, Instant};
use media_core_benches::speech_16k;

const RATE_HZ: u32 = 16_000;
const BLOCK: usize = 160;
/// Ticks before anything is timed: 6 s.
const LEARNT: usize = 600;

/// Far end and microphone, a block each tick.
#[derive(Clone)]
struct Scene {
    far: Vec<[i16; BLOCK]>,
    near: Vec<[i16; BLOCK]>,
    at: usize,
}

impl Scene {
    fn new() -> Self {
        let mut state = 1u32;
        let voice = speech_16k();
        let length = voice.len() / BLOCK * BLOCK;
        let far: Vec<i16> = (0..length).map(|n| voice[(n + 8_000) % length]).collect();
        let near: Vec<i16> = (0..length)
            .map(|n| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (state >> 16) as i16 >> 6;
                voice[n] / 2 + far[(n + length - 400) % length] / 4 + noise
            })
            .collect();
        let blocks = |sound: &[i16]| sound.as_chunks().0.to_vec();
        Self { far: blocks(&far), near: blocks(&near), at: 0 }
    }

    /// The next block of both.
    fn next(&mut self) -> (&[i16; BLOCK], &[i16; BLOCK]) {
        self.at = (self.at + 1) % self.far.len();
        (&self.far[self.at], &self.near[self.at])
    }
}

impl Media for Scene {
    type Transmit = ();

    fn play(&mut self, _: Instant, pcm: &mut [i16]) -> Played {
        pcm.copy_from_slice(&self.far[self.at]);
        Played::default()
    }

    fn capture(&mut self, _: Instant, pcm: &[i16]) {
        std::hint::black_box(pcm);
    }

    fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<()> {
        None
    }
}

enum Parts {}

impl CaptureParts for Parts {
    type Echo = EchoCanceller<EveryPart, BLOCK, 13>;
    type Noise = WidebandNoiseSuppressor;
    type Gain = Agc;
    type Own = NoBlock;
    type Detector = VoiceDetector;
}

fn suppressor() -> WidebandNoiseSuppressor {
    WidebandNoiseSuppressor::new(NoiseConfig { level: NoiseLevel::Strong })
}

/// Ten milliseconds of the front end with the whole chain in it.
fn whole() -> impl FnMut() {
    let high_pass = BiquadDesign::high_pass(RATE_HZ, 100).expect("a corner below half the rate");
    let canceller = EchoCanceller::new(EchoConfig::default()).expect("it has the memory");
    let agc = Agc::new(AgcConfig { sample_rate_hz: RATE_HZ, ..AgcConfig::default() }).expect("a config that there is");
    let voice = VoiceConfig { sample_rate_hz: RATE_HZ, ..VoiceConfig::default() };
    let chain = CaptureChain::<Parts, BLOCK> {
        high_pass: Some(Stage::new(BlockStep(Biquad::new(high_pass))).expect("no delay")),
        echo: Some(Stage::new(canceller).expect("a short delay")),
        noise: Some(Stage::new(suppressor()).expect("a short delay")),
        gain: Some(Stage::new(agc).expect("a short delay")),
        own: None,
        detector: Some(Stage::new(VoiceDetector::new(voice).expect("a rate that it has")).expect("no delay")),
    };
    let block = InFloat::<_, BLOCK>::new(chain, RATE_HZ).expect("room for 10 ms");
    let config = FrontConfig { sample_rate_hz: RATE_HZ, ..FrontConfig::default() };
    let mut front = FrontEnd::<_, BLOCK, _>::new(config, [Some(block), None], vec![0; 12_000]).expect("a block");
    let mut scene = Scene::new();
    let mut now = Instant::from_millis(1_000);
    move || {
        now += Duration::from_millis(10);
        front.begin(now, BLOCK, true).expect("a tick of one block");
        while let Some(step) = front.step(&mut scene, &mut []) {
            if let Step::Microphone(microphone) = step {
                microphone.pcm.copy_from_slice(scene.next().1);
            }
        }
    }
}

#[cfg(feature = "sonora")]
mod sonora_peer {
    use sonora::config::{
        AdaptiveDigital, EchoCanceller, GainController2, HighPassFilter, NoiseSuppression, NoiseSuppressionLevel,
    };
    use sonora::{AudioProcessing, Config, StreamConfig};
    use sonora_ns::config::{NsConfig, SuppressionLevel};
    use sonora_ns::noise_suppressor::NoiseSuppressor;

    use super::{BLOCK, Scene};

    /// WebRTC's noise suppression by 18 dB.
    pub(crate) fn suppressor() -> impl FnMut(&mut [f32; BLOCK]) {
        let mut suppressor = NoiseSuppressor::new(NsConfig { target_level: SuppressionLevel::K18dB });
        move |block| {
            suppressor.analyze(block);
            suppressor.process(block);
        }
    }

    /// Its high-pass, AEC3, noise suppression and adaptive gain, far end and microphone.
    pub(crate) fn whole() -> impl FnMut() {
        let noise = NoiseSuppression { level: NoiseSuppressionLevel::High, ..NoiseSuppression::default() };
        let gain = GainController2 { adaptive_digital: Some(AdaptiveDigital::default()), ..GainController2::default() };
        let config = Config {
            high_pass_filter: Some(HighPassFilter::default()),
            echo_canceller: Some(EchoCanceller::default()),
            noise_suppression: Some(noise),
            gain_controller2: Some(gain),
            ..Config::default()
        };
        let mono = StreamConfig::new(16_000, 1);
        let mut apm = AudioProcessing::builder().config(config).capture_config(mono).render_config(mono).build();
        let (mut scene, mut played, mut clean) = (Scene::new(), [0i16; BLOCK], [0i16; BLOCK]);
        move || {
            let (far, near) = scene.next();
            apm.process_render_i16(far, &mut played).expect("a block of its length");
            apm.process_capture_i16(near, &mut clean).expect("a block of its length");
            std::hint::black_box(&clean);
        }
    }
}

/// A suppressor on the microphone's sound; `scale` is what full scale is for it.
fn on_microphone(scale: f32, mut suppress: impl FnMut(&mut [f32; BLOCK])) -> impl FnMut() {
    let mut scene = Scene::new();
    move || {
        let mut block = scene.next().1.map(|sample| f32::from(sample) / 32_768.0 * scale);
        suppress(&mut block);
        std::hint::black_box(&block);
    }
}

fn voice(c: &mut Criterion) {
    let mut bench = |group: &str, name: &str, tick: &mut dyn FnMut()| {
        (0..LEARNT).for_each(|_| tick());
        c.benchmark_group(group).bench_function(name, |b| b.iter(&mut *tick));
    };
    let noise = "noise suppressor, 10 ms at 16 kHz";
    let mut ours = suppressor();
    bench(noise, "ours", &mut on_microphone(1.0, |block| Block::process(&mut ours, block)));
    #[cfg(feature = "sonora")]
    bench(noise, "sonora-ns", &mut on_microphone(32_768.0, sonora_peer::suppressor()));
    let chain = "echo, noise, gain and detector, 10 ms at 16 kHz";
    bench(chain, "ours", &mut whole());
    #[cfg(feature = "sonora")]
    bench(chain, "sonora", &mut sonora_peer::whole());
}

criterion_group!(benches, voice);
criterion_main!(benches);
