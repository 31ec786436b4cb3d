//! What the kernels cost: executed instructions for 160 samples, 20 ms at 8 kHz.

use core::hint::black_box;

use dsp_core::block::Block;
use dsp_core::conference::{Conference, ConferenceConfig, Port};
use dsp_core::kernel::{Kernel, LANES};
use dsp_core::process::biquad::{Biquad, BiquadDesign};
use dsp_core::process::goertzel::{Goertzel, GoertzelDesign};
use dsp_core::process::level::Metered;
use dsp_core::process::mixer::Mixer;
use dsp_core::process::voice::{VoiceConfig, VoiceDetector};
use dsp_core::tone::{
    Country, Digit, DtmfConfig, DtmfDetector, DtmfGenerator, DtmfTone, ProgressDetector, ProgressGenerator,
    ProgressTone,
};

const FRAME: usize = 160;
/// Of 10 ms, through the voice detector.
const BLOCKS: u32 = 200;

const HIGH_PASS: BiquadDesign = match BiquadDesign::high_pass(8_000, 100) {
    Ok(design) => design,
    Err(_) => panic!("a corner below half the rate"),
};
const TONE: GoertzelDesign = match GoertzelDesign::new(8_000, 697, 205) {
    Ok(design) => design,
    Err(_) => panic!("a frequency below half the rate"),
};

/// Prints each kernel's instructions under its name and `body`'s.
pub fn measure<S: Kernel + Metered>(body: &str, clock: impl Fn() -> u32, print: impl Fn(&str, u32)) {
    let mut frame: [S; FRAME] = core::array::from_fn(|n| S::from_i16((n as i16 - 80) * 300));
    let cost = |f: &mut dyn FnMut()| {
        let before = clock();
        f();
        clock() - before
    };
    let name = |i16, f32| if body == "i16" { i16 } else { f32 };

    let mut filter = Biquad::<S>::new(black_box(HIGH_PASS));
    print(name("160 high-pass i16", "160 high-pass f32"), cost(&mut || filter.process(black_box(&mut frame))));
    let mut goertzel = Goertzel::<S>::new(black_box(TONE));
    let heard = cost(&mut || {
        goertzel.hear(black_box(&frame), |_| {});
        black_box(&goertzel);
    });
    print(name("160 goertzel i16", "160 goertzel f32"), heard);
    if let (Ok(mut generator), Ok(mut detector)) =
        (DtmfGenerator::new(DtmfTone::default()), DtmfDetector::new(DtmfConfig::default()))
    {
        let (mut made, mut heard, mut frames) = (0, 0, 0);
        let mut sound = [S::default(); FRAME];
        for digit in [Digit::One, Digit::D] {
            generator.press(black_box(digit));
            while generator.is_sounding() {
                made += cost(&mut || _ = generator.fill(black_box(&mut sound)));
                heard += cost(&mut || detector.hear(black_box(&sound), |digit| _ = black_box(digit)));
                frames += 1;
            }
        }
        print(name("160 digits made i16", "160 digits made f32"), made / frames);
        print(name("160 digits heard i16", "160 digits heard f32"), heard / frames);
        print(name("bytes digits i16", "bytes digits f32"), size_of::<DtmfDetector>() as u32);
    }
    if cfg!(feature = "float")
        && let Some(country) = Country::of("us")
        && let Ok(mut detector) = ProgressDetector::new(8_000, black_box(country))
        && let Ok(mut generator) = ProgressGenerator::new(8_000, -1_000, country.tone(ProgressTone::Busy))
    {
        let (mut heard, mut made, mut sound) = (0, 0, [S::default(); FRAME]);
        for _ in 0..100 {
            made += cost(&mut || generator.fill(black_box(&mut sound)));
            heard += cost(&mut || detector.hear(black_box(&sound), |tone| _ = black_box(tone)));
        }
        print(name("160 tones made i16", "160 tones made f32"), made / 100);
        print(name("160 tones heard i16", "160 tones heard f32"), heard / 100);
        print(name("bytes tones i16", "bytes tones f32"), size_of::<ProgressDetector>() as u32);
    }
    let mut mixer = Mixer::<S, FRAME>::default();
    if let Ok(mut mix) = mixer.frame(FRAME) {
        print(name("160 port i16", "160 port f32"), cost(&mut || mix.add(black_box(&frame))));
        let mut heard = [S::default(); FRAME];
        let others = cost(&mut || mix.others(black_box(&frame), black_box(&mut heard)));
        print(name("160 others i16", "160 others f32"), others);
    }
    let taps = black_box([S::Taps::default(); FRAME / LANES]);
    print(name("160 taps i16", "160 taps f32"), cost(&mut || _ = black_box(S::dot(black_box(&frame), &taps))));
}

/// A conference of three: one frame of each is mixed and heard by each, with the limiter at rest and with it at work.
pub fn conference(clock: impl Fn() -> u32, print: impl Fn(&str, u32)) {
    let config = ConferenceConfig { sample_rate_hz: 8_000, frame_samples: FRAME, ..ConferenceConfig::default() };
    let Ok(mut conference) = Conference::new(config, [Port::<FRAME>::EMPTY; 3]) else { return };
    (0..3).for_each(|_| _ = conference.join());
    let mut heard = [0; FRAME];
    let mut turn = |loudness: i16| {
        for port in 0..3 {
            if let Ok(frame) = conference.frame(port) {
                frame.iter_mut().enumerate().for_each(|(n, sample)| *sample = (n as i16 - 80) * loudness);
            }
        }
        let before = clock();
        conference.mix();
        (0..3).for_each(|port| _ = conference.others(port, black_box(&mut heard)));
        clock() - before
    };
    // The first frame fades in.
    turn(50);
    print("three talk", turn(50));
    turn(400);
    print("three shout", turn(400));
    print("conference of three", size_of_val(&conference) as u32);
}

/// What the voice detector takes for 10 ms of pulses that ring, in syllables, and noise.
pub fn voice(clock: impl Fn() -> u32, print: impl Fn(&str, u32)) {
    for (name, rate) in [("voice 8 kHz", 8_000), ("voice 16 kHz", 16_000)] {
        let config = VoiceConfig { sample_rate_hz: rate, ..VoiceConfig::default() };
        let Ok(mut detector) = VoiceDetector::new(black_box(config)) else { continue };
        let (mut seed, mut ring, mut cost) = (1u32, [0i32; 2], 0);
        let samples = rate as usize / 100;
        let mut frame = [0i16; 160];
        for block in 0..BLOCKS {
            for (n, sample) in frame[..samples].iter_mut().enumerate() {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let pulse = if n % (samples * 4 / 5) == 0 && block % 25 < 20 { 6_000 } else { 0 };
                let now = ((ring[0] * 27_000 - ring[1] * 29_000) >> 14) / 2 + pulse;
                ring = [now, ring[0]];
                *sample = (now + ((seed >> 16) as i16 as i32 >> 7)) as i16;
            }
            let before = clock();
            detector.hear(black_box(&frame[..samples]));
            cost += clock() - before;
        }
        print(name, cost / BLOCKS);
    }
    print("bytes voice", size_of::<VoiceDetector>() as u32);
}
