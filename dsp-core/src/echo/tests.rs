use super::*;
use crate::front::InFloat;
use crate::front::tests_support::{FrontEndRecording, TestRoom};
use std::boxed::Box;

/// On the heap: a test's stack is small.
struct Canceller(Box<InFloat<EchoCanceller<EveryPart, 160, 13>, 160>>);

impl CaptureBlock<i16> for Canceller {
    fn process(&mut self, frame: &mut [i16], near: &Near<'_>) {
        self.0.process(frame, near);
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn delay_samples(&self) -> usize {
        self.0.delay_samples()
    }
}

const RATE: usize = 16_000;

fn room(config: EchoConfig, delay: usize) -> TestRoom<Canceller> {
    let canceller = EchoCanceller::new(config).unwrap();
    TestRoom::new(16_000, Canceller(Box::new(InFloat::new(canceller, 16_000).unwrap())), delay)
}

fn stats(room: &mut TestRoom<Canceller>) -> EchoStats {
    room.block().0.block().stats()
}

/// Noise in syllables and pauses.
fn talk(n: usize, noise: f32) -> f32 {
    let syllable = libm::sinf(n as f32 / 3_200.0 * core::f32::consts::PI);
    if n % 24_000 < 19_000 { 0.2 * syllable * syllable * noise } else { 0.0 }
}

fn silence(_: usize, _: f32) -> f32 {
    0.0
}

fn finite(heard: &FrontEndRecording) {
    assert!(heard.sent.iter().all(|x| x.is_finite()));
}

#[test]
fn an_echo_goes_and_the_near_end_stays() {
    let mut room = room(EchoConfig::default(), 640);
    let far = room.run(6 * RATE, talk, silence);
    assert!(far.erle_db(4 * RATE..6 * RATE) > 40.0, "{}", far.erle_db(4 * RATE..6 * RATE));
    let told = stats(&mut room);
    assert!(told.erle_db.unwrap() > 35.0 && told.linear_erle_db.unwrap() > 25.0, "{told:?}");
    assert!((38.0..43.0).contains(&told.delay_ms.unwrap()), "{told:?}");
    assert_eq!((told.drift_ppm, told.path_changes, told.divergences, told.jumps), (0.0, 0, 0, 0));
    // Both speak, equally loud: what leaves is the near end, 10 ms later, as far as the high-pass lets it.
    let both = room.run(4 * RATE, talk, |n, noise| 0.6 * talk(n + 9_000, noise));
    let near = room.run(RATE, silence, |n, noise| 0.6 * talk(n + 9_000, noise));
    assert!(stats(&mut room).near_end > 0.9);
    let (whole, kept) = near.energies(4_000..RATE);
    assert!((0.8..1.02).contains(&(kept / whole)), "of the near end alone {}", kept / whole);
    let (heard, sent) = both.energies(RATE..4 * RATE);
    // The microphone holds the echo too, at half the far end's level.
    assert!(sent < 0.75 * heard && sent > 0.5 * heard, "of both {}", sent / heard);
}

#[test]
fn the_linear_output_has_no_delay_and_no_suppression() {
    let mut room = room(EchoConfig { suppressor: false, ..EchoConfig::default() }, 320);
    assert_eq!(room.block().delay_samples(), 0);
    let far = room.run(5 * RATE, talk, silence);
    let erle = far.erle_db(4 * RATE..5 * RATE);
    assert!((25.0..70.0).contains(&erle), "{erle}");
}

#[test]
fn a_late_echo_is_found() {
    for (delay, ms) in [(3_520, 220.0), (5_600, 350.0)] {
        let mut room = room(EchoConfig::default(), delay);
        let far = room.run(6 * RATE, talk, silence);
        let told = stats(&mut room);
        assert!(far.erle_db(4 * RATE..6 * RATE) > 35.0, "{ms} ms: {}", far.erle_db(4 * RATE..6 * RATE));
        assert!((told.delay_ms.unwrap() - ms).abs() < 3.0 && told.delay_changes > 0, "{told:?}");
    }
    // Out of a short tail's reach without the search.
    let mut room = room(EchoConfig { delay_search: false, ..EchoConfig::default() }, 3_520);
    let far = room.run(4 * RATE, talk, silence);
    assert!(far.erle_db(3 * RATE..4 * RATE) < 10.0);
    assert_eq!(stats(&mut room).delay_ms, None);
}

/// The room's noise after half a second in which the microphone gives nothing, and a second of the room alone.
fn noise_db_under_a_far_end_that_never_pauses(hold: usize) -> f64 {
    let mut room = room(EchoConfig::default(), 320);
    let noise = |_: usize, noise: f32| 0.001 * noise;
    room.run(RATE / 2, silence, silence);
    let alone = room.run(RATE, silence, noise);
    let far = room.run(hold, |n, noise| 0.3 * (0.4 + libm::sinf(n as f32 / 400.0)) * noise, noise);
    let (_, sent) = far.energies(hold - 2 * RATE..hold);
    let (heard, _) = alone.energies(0..RATE);
    10.0 * (sent / 2.0 / heard).log10()
}

#[test]
fn a_muted_microphone_leaves_the_noise_as_it_was() {
    let mut room = room(EchoConfig::default(), 320);
    let noise = |_: usize, noise: f32| 0.001 * noise;
    let alone = room.run(2 * RATE, silence, noise);
    room.run(5 * RATE, silence, silence);
    let far = room.run(4 * RATE, |n, noise| 0.3 * (0.4 + libm::sinf(n as f32 / 400.0)) * noise, noise);
    let ((heard, _), (_, sent)) = (alone.energies(RATE..2 * RATE), far.energies(3 * RATE..4 * RATE));
    let noise_db = 10.0 * (sent / heard).log10();
    assert!((-7.0..1.0).contains(&noise_db), "{noise_db} dB");
}

#[test]
fn the_rooms_noise_stays_as_it_is() {
    for seconds in [3, 15] {
        let noise_db = noise_db_under_a_far_end_that_never_pauses(seconds * RATE);
        assert!((-6.0..1.0).contains(&noise_db), "{noise_db} dB after {seconds} s");
    }
}

#[test]
fn another_room_is_noticed_and_learned() {
    let mut room = room(EchoConfig::default(), 320);
    room.run(5 * RATE, talk, silence);
    room.response = room.made_response(1_280, 77);
    let far = room.run(6 * RATE, talk, silence);
    let told = stats(&mut room);
    assert!(told.path_changes >= 1 && told.path_changes <= 2, "{told:?}");
    assert!(far.erle_db(RATE..2 * RATE) > 15.0, "after a second {}", far.erle_db(RATE..2 * RATE));
    assert!(far.erle_db(4 * RATE..6 * RATE) > 35.0);
}

#[test]
fn a_loudspeaker_that_saturates_is_modelled() {
    let clip = |n: usize, noise: f32| 2.0 * talk(n, noise);
    let mut with = room(EchoConfig::default(), 320);
    let mut without = room(EchoConfig { saturation: false, ..EchoConfig::default() }, 320);
    for room in [&mut with, &mut without] {
        room.distort = |x| libm::tanhf(3.0 * x) / 3.0;
        room.run(16 * RATE, clip, silence);
    }
    let [with, without] = [&mut with, &mut without].map(stats);
    assert!(with.saturates && !without.saturates, "{with:?} {without:?}");
    assert!(with.linear_erle_db.unwrap() > without.linear_erle_db.unwrap() + 5.0, "{with:?} {without:?}");
}

#[test]
fn extremes_neither_stay_nor_spread() {
    let signals: [fn(usize, f32) -> f32; 5] = [
        |_, _| 0.0,
        |_, _| 0.7,
        |n, _| if n % 40 < 20 { 1.0 } else { -1.0 },
        |_, noise| 1.9 * noise,
        |n, _| if n % 4_000 == 0 { 1.0 } else { 0.0 },
    ];
    for (a, far) in signals.into_iter().enumerate() {
        for (b, near) in signals.into_iter().enumerate() {
            let mut room = room(EchoConfig::default(), 500);
            let out = room.run(3 * RATE, far, near);
            finite(&out);
            let (heard, sent) = out.energies(RATE..3 * RATE);
            assert!(sent <= 1.05 * heard + 1e-3, "{a} {b}: {heard} in, {sent} out");
            // And within a second and a half it works as if nothing had been.
            let after = room.run(3 * RATE, talk, silence);
            assert!(after.erle_db(2 * RATE..3 * RATE) > 20.0, "{a} {b}: {}", after.erle_db(2 * RATE..3 * RATE));
        }
    }
}

#[test]
fn what_is_no_number_is_silence() {
    let mut canceller = Box::new(EchoCanceller::<EveryPart, 160, 13>::new(EchoConfig::default()).unwrap());
    let mut room = room(EchoConfig::default(), 320);
    // Through the float interface, beside a render history of real sound.
    struct Poisoned<'a>(&'a mut EchoCanceller<EveryPart, 160, 13>, usize);
    impl CaptureBlock<i16> for Poisoned<'_> {
        fn process(&mut self, frame: &mut [i16], near: &Near<'_>) {
            let mut float = [0.0; 160];
            float.iter_mut().zip(&*frame).for_each(|(to, &from)| *to = f32::from(from) / 32_768.0);
            self.1 += 1;
            if self.1.is_multiple_of(7) {
                float[self.1 % 160] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX][self.1 % 4];
            }
            self.0.process(&mut float, near);
            assert!(float.iter().all(|x| x.is_finite() && x.abs() < 4.5));
            frame.iter_mut().zip(float).for_each(|(to, from)| *to = (from * 32_767.0) as i16);
        }
        fn reset(&mut self) {}
        fn delay_samples(&self) -> usize {
            160
        }
    }
    room.run(RATE, talk, silence);
    let mut poisoned = TestRoom::new(16_000, Poisoned(&mut canceller, 0), 320);
    poisoned.run(3 * RATE, talk, silence);
    // A frame of another length isn't touched.
    let mut frame = [f32::NAN; 10];
    let history =
        crate::front::FrontEnd::<crate::front::NoBlock, 160>::new(Default::default(), [None, None], []).unwrap();
    canceller.process(&mut frame, &Near::new(crate::time::Instant::ZERO, history.render()));
    assert!(frame.iter().all(|x| x.is_nan()));
}

#[test]
fn gaps_and_jumps_are_survived() {
    let mut room = room(EchoConfig::default(), 640);
    room.run(5 * RATE, talk, silence);
    // Ticks that are told to be missing, time that is not told about, and a far end that isn't heard.
    for round in 0..4 {
        room.skip([3, 40, 0, 200][round]);
        if round == 2 {
            room.advance(45);
        }
        let out = room.run(2 * RATE, talk, silence);
        finite(&out);
        assert!(out.erle_db(3 * RATE / 2..2 * RATE) > 25.0, "{round}: {}", out.erle_db(3 * RATE / 2..2 * RATE));
    }
    room.far_is_lost = true;
    let out = room.run(6 * RATE, talk, |n, noise| 0.3 * talk(n, noise));
    let (heard, sent) = out.energies(4 * RATE..6 * RATE);
    assert!((0.7..1.05).contains(&(sent / heard)), "with no echo at all {}", sent / heard);
    room.far_is_lost = false;
    let out = room.run(3 * RATE, talk, silence);
    assert!(out.erle_db(2 * RATE..3 * RATE) > 25.0, "{}", out.erle_db(2 * RATE..3 * RATE));
    assert_eq!(stats(&mut room).divergences, 0);
}

#[test]
fn sizes_and_memory_are_checked() {
    let few = EchoConfig { second_filter: false, saturation: false, ..EchoConfig::default() };
    assert!(EchoCanceller::<FewParts, 160, 7>::new(few).is_ok());
    assert_eq!(EchoCanceller::<FewParts, 160, 7>::new(EchoConfig::default()).err(), Some(EchoError::Memory));
    assert_eq!(EchoCanceller::<FewParts, 160, 2>::new(few).err(), Some(EchoError::Tail { blocks: 2 }));
    assert_eq!(EchoCanceller::<FewParts, 128, 7>::new(few).err(), Some(EchoError::Block { samples: 128 }));
    assert!(core::mem::size_of::<EchoCanceller<FewParts, 160, 7>>() < 56 * 1_024);
}

/// Energies of the band around `hz` in the microphone and in what is sent.
fn band(heard: &FrontEndRecording, rate: usize, hz: f32) -> (f64, f64) {
    let power = |x: &[f32]| {
        x.chunks_exact(rate / 20).fold(0.0, |sum, part| {
            let (mut re, mut im) = (0.0, 0.0);
            for (n, &x) in part.iter().enumerate() {
                let turn = n as f32 * hz / rate as f32 * core::f32::consts::TAU;
                re += f64::from(x * libm::cosf(turn));
                im += f64::from(x * libm::sinf(turn));
            }
            sum + re * re + im * im
        })
    };
    let length = heard.sent.len().min(heard.microphone.len());
    (power(&heard.microphone[length / 2..length]), power(&heard.sent[length / 2..length]))
}

#[test]
fn wide_rates_lose_their_echo_in_both_bands_and_keep_the_near_end() {
    fn check<const RATIO: usize, const FRAME: usize>(rate: usize) {
        let canceller = Box::new(WideEchoCanceller::<EveryPart, 13, RATIO>::new(EchoConfig::default()).unwrap());
        struct Boxed<const RATIO: usize>(Box<WideEchoCanceller<EveryPart, 13, RATIO>>);
        impl<const RATIO: usize> CaptureBlock<f32> for Boxed<RATIO> {
            fn process(&mut self, frame: &mut [f32], near: &Near<'_>) {
                self.0.process(frame, near);
            }
            fn reset(&mut self) {}
            fn delay_samples(&self) -> usize {
                self.0.delay_samples()
            }
        }
        let block = InFloat::<_, FRAME>::new(Boxed(canceller), rate as u32).unwrap();
        let mut room = TestRoom::new(rate as u32, block, rate / 50);
        let far = room.run(5 * rate, talk, silence);
        assert!(far.erle_db(4 * rate..5 * rate) > 25.0, "{rate}: {}", far.erle_db(4 * rate..5 * rate));
        for hz in [1_000.0, 5_000.0, 7_500.0, 11_000.0] {
            let (heard, sent) = band(&far, rate, hz);
            assert!(sent < 0.02 * heard, "{rate}, {hz} Hz: {heard} in, {sent} out");
        }
        let near = room.run(2 * rate, silence, |n, noise| 0.6 * talk(n, noise));
        for hz in [1_000.0, 5_000.0, 7_500.0, 11_000.0] {
            let (heard, sent) = band(&near, rate, hz);
            assert!((0.7..1.3).contains(&(sent / heard)), "{rate}, {hz} Hz: {heard} in, {sent} out");
        }
    }
    check::<2, 320>(32_000);
    check::<3, 480>(48_000);
}

#[test]
fn nothing_is_changed_above_the_high_pass_where_nothing_is_played() {
    let config = EchoConfig { suppressor: false, ..EchoConfig::default() };
    let canceller = WideEchoCanceller::<EveryPart, 3, 3>::new(config).unwrap();
    let delay = canceller.delay_samples();
    let mut room = TestRoom::new(48_000, InFloat::<_, 480>::new(canceller, 48_000).unwrap(), 0);
    // A tone in each band, and one between them.
    let tones = |n: usize, _: f32| {
        [3_000.0, 7_000.0, 13_000.0]
            .iter()
            .map(|hz| 0.1 * libm::sinf(n as f32 * hz / 48_000.0 * core::f32::consts::TAU))
            .sum()
    };
    let out = room.run(48_000, silence, tones);
    let worst = (24_000..47_000).map(|n| (out.sent[n + delay] - out.microphone[n]).abs()).fold(0.0, f32::max);
    // The high-pass turns the lowest tone a little.
    assert!(worst < 0.02, "{worst}");
}

/// A loudspeaker's clock that is 300 ppm fast eats 10 ms of the delay in 33 s, and the reader runs ahead as much.
#[test]
fn the_far_end_is_not_read_before_it_is_played_however_long_a_clock_is_fast() {
    let mut room = room(EchoConfig::default(), 560);
    room.drift = 300e-6;
    // Without the highest frequencies, so that a straight line between two samples will do.
    let low = core::cell::Cell::new([0.0f32; 2]);
    let far = |n: usize, noise: f32| {
        let [one, two] = low.get();
        let one = one + 0.3 * (talk(n, 2.0 * noise) - one);
        let two = two + 0.3 * (one - two);
        low.set([one, two]);
        two
    };
    let mut erle = std::vec::Vec::new();
    for _ in 0..12 {
        let out = room.run(5 * RATE - RATE / 2, far, silence);
        erle.push(out.erle_db(RATE..4 * RATE) as i32);
    }
    let told = stats(&mut room);
    assert!((280.0..320.0).contains(&told.drift_ppm), "{told:?}");
    // Where the filter is moved, after half a minute, it learns a little anew.
    assert!(erle[3..6].iter().chain(&erle[9..]).all(|&erle| erle > 35), "{erle:?} {told:?}");
}

#[test]
fn a_device_that_takes_longer_and_says_so_is_no_other_room() {
    let mut room = room(EchoConfig::default(), 640);
    room.run(5 * RATE, talk, silence);
    let moved = stats(&mut room).delay_changes;
    // 200 ms longer at the microphone, and told.
    room.set_latency(crate::front::Latency { capture: crate::time::Duration::from_millis(200), ..Default::default() });
    room.response.splice(0..0, core::iter::repeat_n(0.0, RATE / 5));
    let out = room.run(2 * RATE, talk, silence);
    let told = stats(&mut room);
    assert!(out.erle_db(RATE..2 * RATE) > 30.0, "{}", out.erle_db(RATE..2 * RATE));
    assert_eq!((told.path_changes, told.delay_changes, told.jumps), (0, moved, 1), "{told:?}");
    assert!((told.delay_ms.unwrap() - 40.0).abs() < 1.0, "{told:?}");
}

#[test]
fn a_canceller_that_was_off_for_a_moment_goes_on_where_it_was() {
    use crate::front::{CaptureChain, CaptureParts, NoBlock, Stage};

    enum Parts {}

    impl CaptureParts for Parts {
        type Echo = EchoCanceller<EveryPart, 160, 13>;
        type Noise = NoBlock;
        type Gain = NoBlock;
        type Own = NoBlock;
        type Detector = NoBlock;
    }

    let echo = Some(Stage::new(EchoCanceller::new(EchoConfig::default()).unwrap()).unwrap());
    let chain = CaptureChain::<Parts, 160> { echo, ..Default::default() };
    let mut room = TestRoom::new(16_000, InFloat::<_, 160>::new(chain, 16_000).unwrap(), 640);
    room.run(5 * RATE, talk, silence);
    // Frames of 10 ms: shorter than what counts as unsteady, and longer.
    for frames in [1, 5, 9, 40] {
        room.block().block().echo.as_mut().unwrap().set_on(false);
        let off = room.run(frames * RATE / 100, talk, silence);
        finite(&off);
        room.block().block().echo.as_mut().unwrap().set_on(true);
        let on = room.run(RATE, talk, silence);
        assert!(on.erle_db(RATE / 4..RATE) > 30.0, "{frames}: {}", on.erle_db(RATE / 4..RATE));
        let told = room.block().block().echo.as_ref().unwrap().block().stats();
        assert_eq!((told.path_changes, told.divergences), (0, 0), "{frames}: {told:?}");
        assert!((told.delay_ms.unwrap() - 40.0).abs() < 1.0, "{frames}: {told:?}");
    }
}

/// A sine, or two, of a call's progress.
fn tones(hz: &'static [f32]) -> impl Fn(usize, f32) -> f32 {
    move |n, _| {
        let turn = |hz: f32| (n % RATE) as f32 * hz / RATE as f32 * core::f32::consts::TAU;
        hz.iter().map(|&one| 0.1 / hz.len() as f32 * libm::sinf(turn(one))).sum()
    }
}

#[test]
fn a_tone_is_cancelled_and_leads_neither_delay_nor_drift_astray() {
    // A tone of progress, one whose period is no whole number of samples, and a key.
    for hz in [&[440.0][..], &[2_500.0], &[770.0, 1_336.0]] {
        let mut room = room(EchoConfig::default(), 640);
        let tone = room.run(8 * RATE, tones(hz), |_, noise| 1e-4 * noise);
        let told = stats(&mut room);
        assert!(tone.erle_db(RATE..8 * RATE) > 30.0, "{hz:?}: {}", tone.erle_db(RATE..8 * RATE));
        assert!(tone.erle_db(7 * RATE..8 * RATE) > 30.0, "{hz:?}: {}", tone.erle_db(7 * RATE..8 * RATE));
        assert_eq!((told.delay_changes, told.path_changes, told.drift_ppm), (0, 0, 0.0), "{hz:?}: {told:?}");
        // And the path is learned behind it.
        let speech = room.run(3 * RATE, talk, silence);
        assert!(speech.erle_db(RATE..3 * RATE) > 35.0, "{hz:?}: {}", speech.erle_db(RATE..3 * RATE));
        assert!((stats(&mut room).delay_ms.unwrap() - 40.0).abs() < 1.0, "{hz:?}: {:?}", stats(&mut room));
    }
}

#[test]
fn a_latency_that_changes_a_little_is_followed_where_it_is_true() {
    use crate::front::Latency;
    use crate::time::Duration;
    let latency = |ms| Latency { capture: Duration::from_millis(ms), ..Default::default() };
    for (ms, longer) in [(20, true), (95, true), (60, false)] {
        let more = 16 * ms as usize;
        let (before, after, delay) = if longer { (0, ms, 640) } else { (ms, 0, 640 + more) };
        let mut room = room(EchoConfig::default(), delay);
        room.set_latency(latency(before));
        room.run(5 * RATE, talk, silence);
        // It is told, and so it is.
        room.set_latency(latency(after));
        if longer {
            room.response.splice(0..0, core::iter::repeat_n(0.0, more));
        } else {
            room.response.drain(..more);
        }
        let out = room.run(RATE, talk, silence);
        let told = stats(&mut room);
        let erle = out.erle_db(RATE / 8..RATE / 4).min(out.erle_db(RATE / 4..RATE));
        assert!(erle > 25.0, "{ms} ms, longer {longer}: {erle} {told:?}");
        assert!((told.delay_ms.unwrap() - 40.0).abs() < 1.0 && told.jumps == 1, "{told:?}");
        // It is told, and isn't so: the filter knows better.
        room.set_latency(latency(50));
        let out = room.run(RATE, talk, silence);
        assert!(out.erle_db(0..RATE / 2) > 40.0, "{ms} ms, longer {longer}: {}", out.erle_db(0..RATE / 2));
        assert_eq!(stats(&mut room).jumps, 1);
    }
}

#[test]
fn a_headset_keeps_its_near_end_and_tells_no_figures() {
    // A pause of the far end, and none; hiss alone, and speech over it.
    let hiss = |_: usize, noise: f32| 0.003 * noise;
    let speech = |n: usize, noise: f32| 0.003 * noise + 0.6 * talk(n + 9_000, noise);
    for crosstalk in [0.0, 0.002] {
        for near in [hiss as fn(usize, f32) -> f32, speech] {
            let mut room = room(EchoConfig::default(), 640);
            room.response.iter_mut().for_each(|tap| *tap *= crosstalk);
            room.run(3 * RATE / 2, talk, near);
            for second in 0..3 {
                let out = room.run(RATE, talk, near);
                let (heard, sent) = out.energies(0..RATE);
                // The high-pass takes a little of white noise, and a block that begins late is missing.
                assert!(
                    (0.8..1.05).contains(&(sent / heard)),
                    "{crosstalk}, second {second}: {} {:?}",
                    sent / heard,
                    stats(&mut room)
                );
                let told = stats(&mut room);
                assert_eq!((told.erle_db, told.linear_erle_db, told.delay_ms), (None, None, None), "{told:?}");
                assert_eq!((told.drift_ppm, told.path_changes, told.divergences), (0.0, 0, 0), "{told:?}");
            }
        }
    }
    // Taken off, it is an echo like any other within two seconds.
    let mut room = room(EchoConfig::default(), 640);
    room.far_is_lost = true;
    room.run(5 * RATE, talk, speech);
    room.far_is_lost = false;
    let out = room.run(4 * RATE, talk, hiss);
    // The hiss stays, 29 dB below.
    assert!(out.erle_db(2 * RATE..3 * RATE) > 20.0, "{}", out.erle_db(2 * RATE..3 * RATE));
    assert!(stats(&mut room).erle_db.is_some());
}

#[test]
fn an_echo_beyond_the_tail_is_found_under_a_near_end_that_never_pauses() {
    // Twice as loud as the echo, from the first sample on.
    let mut room = room(EchoConfig::default(), 5_600);
    room.run(10 * RATE, talk, |n, noise| 0.2 * noise * (0.6 + 0.4 * libm::sinf(n as f32 / 2_000.0)));
    let told = stats(&mut room);
    assert!((told.delay_ms.unwrap_or(0.0) - 350.0).abs() < 5.0, "{told:?}");
}
