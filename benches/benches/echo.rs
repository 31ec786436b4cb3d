//! The echo canceller, 10 ms through a front end: with every part and without some, at each kind of rate. With the features
//! `c-peers` and `sonora`, 20 ms of speexdsp's with its preprocessor and of AEC3, as the crate sonora has it, beside ours. AEC3 in
//! C++ is timed by `tests/quality/echo.py --time`.

use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use dsp_core::echo::{EchoCanceller, EchoConfig, EveryPart, FewParts, WideEchoCanceller};
use dsp_core::front::{CaptureBlock, FrontConfig, FrontEnd, InFloat, Media, Step};
use dsp_core::receive::Played;
use dsp_core::time::{Duration, Instant};

/// A second and a half of noise in syllables, over and over; the microphone hears it 20 ms and more later.
struct Scene {
    far: Vec<i16>,
    near: Vec<i16>,
    at: usize,
}

impl Scene {
    fn new(rate_hz: usize) -> Self {
        let mut state = 1u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            i32::from((state >> 16) as i16)
        };
        let length = rate_hz * 3 / 2;
        let mut colour = 0;
        let far: Vec<i16> = (0..length)
            .map(|n| {
                colour += (noise() - colour) >> 2;
                // Syllables of 150 ms, the tenth of which is a pause.
                let (syllable, within) = (n / (length / 10), n % (length / 10));
                let rise = (within.min(length / 10 - within) * 20 / length).min(1) as i32;
                if syllable == 9 { 0 } else { (colour * (1 + rise) / 4) as i16 }
            })
            .collect();
        let reflections = [(20, 12_000), (22, -5_000), (27, 3_000), (41, -1_500), (60, 700)];
        let near = (0..length)
            .map(|n| {
                let heard = |(ms, gain)| i32::from(far[(n + length - ms * rate_hz / 1_000) % length]) * gain;
                (reflections.into_iter().map(heard).sum::<i32>() / 32_768 + (noise() >> 11)) as i16
            })
            .collect();
        Self { far, near, at: 0 }
    }

    /// The next samples of microphone and loudspeaker.
    #[cfg(any(feature = "c-peers", feature = "sonora"))]
    fn next<const N: usize>(&mut self) -> (&[i16; N], &[i16; N]) {
        let at = self.at;
        self.at = (at + N) % self.near.len();
        (self.near[at..].first_chunk().expect("whole blocks"), self.far[at..].first_chunk().expect("whole blocks"))
    }
}

impl Media for Scene {
    type Transmit = ();

    fn play(&mut self, _: Instant, pcm: &mut [i16]) -> Played {
        pcm.copy_from_slice(&self.far[self.at..self.at + pcm.len()]);
        Played::default()
    }

    fn capture(&mut self, _: Instant, pcm: &[i16]) {
        std::hint::black_box(pcm);
    }

    fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<()> {
        None
    }
}

/// Ten milliseconds of the front end, after six seconds in which the canceller has learnt the room.
fn bench<B: CaptureBlock<f32> + 'static, const BLOCK: usize>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    block: B,
) {
    let mut tick = learnt::<B, BLOCK>(block);
    group.bench_function(name, |b| b.iter(&mut tick));
}

/// What is done each 10 ms, after those six seconds.
fn learnt<B: CaptureBlock<f32> + 'static, const BLOCK: usize>(block: B) -> impl FnMut() {
    let rate_hz = BLOCK * 100;
    let config = FrontConfig { sample_rate_hz: rate_hz as u32, ..FrontConfig::default() };
    let block = InFloat::<_, BLOCK>::new(block, config.sample_rate_hz).expect("room for 10 ms");
    let mut front =
        FrontEnd::<_, BLOCK, _>::new(config, [Some(block), None], vec![0; rate_hz * 3 / 4]).expect("a block");
    let mut scene = Scene::new(rate_hz);
    let mut now = Instant::from_millis(1_000);
    let mut tick = move || {
        now += Duration::from_millis(10);
        front.begin(now, BLOCK, true).expect("a tick of one block");
        while let Some(step) = front.step(&mut scene, &mut []) {
            if let Step::Microphone(microphone) = step {
                let at = scene.at;
                microphone.pcm.copy_from_slice(&scene.near[at..at + BLOCK]);
                scene.at = (at + BLOCK) % scene.near.len();
            }
        }
    };
    (0..600).for_each(|_| tick());
    tick
}

/// Beside those of others, 20 ms of the same scene: speexdsp does better in frames of 20 ms than of 10.
fn beside(c: &mut Criterion) {
    let mut group = c.benchmark_group("echo canceller, 130 ms tail, 20 ms at 16 kHz");
    let canceller = EchoCanceller::<EveryPart, 160, 13>::new(EchoConfig::default()).expect("it has the memory");
    let mut tick = learnt::<_, 160>(canceller);
    group.bench_function("ours", |b| {
        b.iter(|| {
            tick();
            tick();
        });
    });
    #[cfg(feature = "c-peers")]
    {
        let mut speex = media_core_benches::speexdsp::EchoCanceller::<320>::new(2_048, 16_000);
        let mut scene = Scene::new(16_000);
        let mut frame = || {
            let (near, far) = scene.next::<320>();
            std::hint::black_box(speex.process(near, far));
        };
        (0..300).for_each(|_| frame());
        group.bench_function("speexdsp and preprocessor", |b| b.iter(&mut frame));
    }
    #[cfg(feature = "sonora")]
    {
        use sonora::config::EchoCanceller as Aec3;
        use sonora::{AudioProcessing, Config, StreamConfig};
        let config = Config { echo_canceller: Some(Aec3::default()), ..Config::default() };
        let mono = StreamConfig::new(16_000, 1);
        let mut peer = AudioProcessing::builder().config(config).capture_config(mono).render_config(mono).build();
        let mut scene = Scene::new(16_000);
        let mut frame = || {
            for _ in 0..2 {
                let (near, far) = scene.next::<160>();
                let mut out = [0; 160];
                peer.process_render_i16(far, &mut out).expect("10 ms");
                peer.process_capture_i16(near, &mut out).expect("10 ms");
                std::hint::black_box(out);
            }
        };
        (0..300).for_each(|_| frame());
        group.bench_function("sonora AEC3", |b| b.iter(&mut frame));
    }
    group.finish();
}

fn echo(c: &mut Criterion) {
    type Whole = EchoCanceller<EveryPart, 160, 13>;
    let every = EchoConfig::default();
    let whole = |config| Whole::new(config).expect("it has the memory");
    let mut group = c.benchmark_group("echo canceller, 10 ms");
    bench::<_, 160>(&mut group, "16 kHz, 130 ms, every part", whole(every));
    for (without, config) in [
        ("delay search", EchoConfig { delay_search: false, ..every }),
        ("drift", EchoConfig { drift: false, ..every }),
        ("second filter", EchoConfig { second_filter: false, ..every }),
        ("saturation", EchoConfig { saturation: false, ..every }),
        ("suppressor", EchoConfig { suppressor: false, ..every }),
    ] {
        bench::<_, 160>(&mut group, &format!("16 kHz, 130 ms, without {without}"), whole(config));
    }
    let few = EchoConfig { second_filter: false, saturation: false, ..every };
    let small = EchoCanceller::<FewParts, 160, 7>::new(few).expect("it has the memory");
    bench::<_, 160>(&mut group, "16 kHz, 70 ms, few parts", small);
    let narrow = EchoCanceller::<EveryPart, 80, 13>::new(every).expect("it has the memory");
    bench::<_, 80>(&mut group, "8 kHz, 130 ms, every part", narrow);
    let wide = WideEchoCanceller::<EveryPart, 13, 3>::new(every).expect("it has the memory");
    bench::<_, 480>(&mut group, "48 kHz, 130 ms, every part", wide);
    group.finish();
}

criterion_group!(benches, echo, beside);
criterion_main!(benches);
