use super::*;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

/// A sum of harmonics of `pitch_hz`, like a vowel; peak about 12,000.
fn vowel(rate_hz: u32, pitch_hz: f64, samples: usize) -> Vec<i16> {
    let t = |i: usize| i as f64 / f64::from(rate_hz) * pitch_hz * core::f64::consts::TAU;
    let tone = |i: usize| (1..=6).map(|h| (t(i) * f64::from(h) + f64::from(h * h)).sin() / f64::from(h)).sum::<f64>();
    (0..samples).map(|i| (tone(i) * 6_000.0) as i16).collect()
}

/// A voice made of integers alone, so that all targets hash the same: a resonance struck every 9 ms, and noise.
fn synthetic(rate_hz: u32, samples: usize) -> Vec<i16> {
    let (mut y1, mut y2, mut seed) = (0i32, 0i32, 7u32);
    let period = rate_hz as usize * 9 / 1_000;
    (0..samples)
        .map(|i| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let strike = if i % period == 0 { 6_000 } else { 0 };
            let y = strike + ((seed >> 25) as i32 - 64) + (y1 * 27_000 / 16_384) - (y2 * 15_500 / 16_384);
            (y2, y1) = (y1, y.clamp(-32_000, 32_000));
            y1 as i16
        })
        .collect()
}

fn largest_step(x: &[i16]) -> i32 {
    x.windows(2).map(|p| (i32::from(p[1]) - i32::from(p[0])).abs()).max().unwrap_or(0)
}

fn energy(x: &[i16]) -> f64 {
    x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / x.len() as f64
}

fn snr_db(clean: &[i16], made: &[i16]) -> f64 {
    let error: Vec<i16> = clean.iter().zip(made).map(|(a, b)| a.saturating_sub(*b)).collect();
    10.0 * (energy(clean) / energy(&error).max(1e-3)).log10()
}

fn hash(x: &[i16]) -> u32 {
    x.iter().flat_map(|v| v.to_le_bytes()).fold(0x811c_9dc5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

const RATES: [u32; 4] = [8_000, 16_000, 32_000, 48_000];

#[test]
fn continues_a_vowel() {
    for rate in RATES {
        let ms = rate as usize / 1_000;
        let clean = vowel(rate, 125.0, ms * 200);
        let mut out = vec![0; ms * 10];
        Concealer::new(rate).conceal(&clean[..ms * 120], &mut out);
        let snr = snr_db(&clean[ms * 120..ms * 130], &out);
        assert!(snr > 25.0, "{rate} Hz: {snr} dB");
    }
}

#[test]
fn bridges_a_gliding_vowel_better_than_it_extrapolates() {
    for rate in RATES {
        let ms = rate as usize / 1_000;
        // 120 Hz rising by 6 % over the gap's 20 ms.
        let phase = |i: usize| {
            let t = i as f64 / f64::from(rate);
            (120.0 * t + 120.0 * 1.5 * t * t) * core::f64::consts::TAU
        };
        let clean: Vec<i16> =
            (0..ms * 200).map(|i| ((phase(i).sin() + (phase(i) * 3.0).cos() * 0.5) * 8_000.0) as i16).collect();
        let (a, b) = (ms * 120, ms * 140);
        let (mut ahead, mut alone) = (vec![0; b - a], vec![0; b - a]);
        Concealer::new(rate).conceal(&clean[..a], &mut alone);
        Concealer::new(rate).bridge(&clean[..a], &mut ahead, &mut clean[b..].to_vec());
        let (ahead, alone) = (snr_db(&clean[a..b], &ahead), snr_db(&clean[a..b], &alone));
        assert!(ahead > alone + 3.0 && ahead > 8.0, "{rate} Hz: {ahead} and {alone} dB");
    }
}

#[test]
fn a_gap_that_is_filled_in_parts_is_the_same_gap() {
    for (rate, gap) in [(8_000usize, 240), (16_000, 480), (48_000, 960)] {
        let clean = synthetic(rate as u32, rate / 2);
        let (history, rest) = clean.split_at(rate / 4);
        let future = &rest[gap..];
        let mut whole = vec![0; gap];
        Concealer::new(rate as u32).bridge(history, &mut whole, &mut future.to_vec());
        // The past side is analysed before the gap begins, the future side with it, and the rest as it is needed.
        let mut it = Concealer::new(rate as u32);
        it.prepare(history);
        assert!(it.is_ready() && !it.is_concealing());
        let mut parts = history.to_vec();
        parts.resize(history.len() + gap, 0);
        it.meet(history, &mut parts[history.len()..], future);
        for at in (history.len()..parts.len()).step_by(80) {
            assert_eq!(it.unmet(), parts.len() - at);
            assert!(!it.is_concealing());
            let (before, place) = parts.split_at_mut(at);
            it.go_on(before, &mut place[..80]);
        }
        assert_eq!(parts[history.len()..], whole, "{rate} Hz");
        assert!(!it.is_ready() && it.unmet() == 0);
        // Nothing was lost after all.
        it.prepare(history);
        it.dismiss();
        assert!(!it.is_ready());
    }
}

#[test]
fn repeats_impulses_at_their_period() {
    let x: Vec<i16> = (0..960).map(|i| if i % 64 == 0 { 10_000 } else { 0 }).collect();
    let mut out = [0; 160];
    Concealer::new(8_000).conceal(&x, &mut out);
    for (i, y) in out.iter().enumerate() {
        let loud = y.unsigned_abs() > 5_000;
        assert_eq!(loud, i % 64 == 0, "sample {i} is {y}");
    }
}

#[test]
fn joins_without_a_click() {
    for rate in RATES {
        let ms = rate as usize / 1_000;
        for pitch in [90.0, 133.0, 210.0, 317.0] {
            let clean = vowel(rate, pitch, ms * 400);
            for lost in [20, 60, 100] {
                let (from, to) = (120 * ms, (120 + lost) * ms);
                // The largest step is no larger than in the clean signal at the joins, and hardly within the gap.
                let check = |what: &str, x: &[i16]| {
                    let limit = largest_step(&clean);
                    let joins = largest_step(&x[from - 1..=from]).max(largest_step(&x[to - 1..to + 6 * ms]));
                    assert!(joins <= limit, "{what}, {rate} Hz, {pitch} Hz, {lost} ms: {joins} over {limit}");
                    let step = largest_step(x);
                    assert!(step <= limit * 3 / 2, "{what}, {rate} Hz, {pitch} Hz, {lost} ms: {step}, {limit}");
                };
                let mut x = clean.clone();
                let mut it = Concealer::new(rate);
                for at in (from..to).step_by(20 * ms) {
                    let (past, rest) = x.split_at_mut(at);
                    it.conceal(past, &mut rest[..20 * ms]);
                }
                let (past, rest) = x.split_at_mut(to);
                it.merge(past, &mut rest[..20 * ms]);
                assert!(!it.is_concealing());
                assert_eq!(rest[5 * ms..], clean[to + 5 * ms..]);
                check("merge", &x);

                let mut x = clean.clone();
                let (past, rest) = x.split_at_mut(from);
                let (gap, future) = rest.split_at_mut(to - from);
                it.bridge(past, gap, &mut future[..20 * ms]);
                assert_eq!(&x[to..], &clean[to..]);
                check("bridge", &x);
            }
        }
    }
}

#[test]
fn a_long_loss_ends_in_silence_and_the_merge_keeps_the_energy() {
    let clean = vowel(8_000, 140.0, 8_000);
    let mut x = clean.clone();
    let mut it = Concealer::new(8_000);
    for at in (960..960 + 1_600).step_by(160) {
        let (past, rest) = x.split_at_mut(at);
        it.conceal(&past[at - 960..], &mut rest[..160]);
    }
    assert!(x[960 + 1_280..960 + 1_600].iter().all(|v| v.abs() <= 2), "not silent after 160 ms");
    let early = energy(&x[960..1_040]) / energy(&clean[..960]);
    assert!((0.5..1.5).contains(&early), "the first 10 ms have {early} of the energy");
    let (past, rest) = x.split_at_mut(2_560);
    it.merge(&past[1_600..], &mut rest[..160]);
    let back = energy(&x[2_560..2_720]) / energy(&clean[2_560..2_720]);
    assert!((0.6..1.1).contains(&back), "the merged frame has {back} of its energy");
}

#[test]
fn sound_that_was_late_goes_on_in_phase() {
    for rate in RATES {
        let ms = rate as usize / 1_000;
        // 125 Hz: periods of 8 ms.
        let clean = vowel(rate, 125.0, ms * 160);
        let mut it = Concealer::new(rate);
        assert_eq!(it.until_in_phase(), 0);
        let mut made = vec![0; ms * 10];
        it.conceal(&clean[..ms * 120], &mut made);
        let more = it.until_in_phase();
        assert!(more.abs_diff(ms * 6) <= 2, "{more} samples to 16 ms at {rate} Hz");
        it.merge(&[&clean[..ms * 120], &made].concat(), &mut clean[ms * 120..].to_vec());
        assert_eq!(it.until_in_phase(), 0);
    }
}

#[test]
fn noise_stays_noise_of_the_same_colour_and_does_not_repeat() {
    let mut seed = 3u32;
    let x: Vec<i16> = (0..960)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 18) as i16 - 8_192
        })
        .collect();
    let mut out = [0; 160];
    Concealer::new(8_000).conceal(&x, &mut out);
    let share = energy(&out) / energy(&x);
    assert!((0.1..1.2).contains(&share), "{share}");
    let again = pitch::search(&[&x[..], &out].concat(), 8_000);
    assert!(again.correlation < 24_000, "buzzes: {again:?}");
}

#[test]
fn silence_gives_silence() {
    let mut out = [1; 960];
    let mut it = Concealer::new(48_000);
    it.conceal(&[0; 5_760], &mut out);
    assert_eq!(out, [0; 960]);
    it.reset();
    it.bridge(&[0; 5_760], &mut out, &mut [0; 960]);
    assert_eq!(out, [0; 960]);
    it.conceal(&[], &mut out);
    assert_eq!(out, [0; 960]);
}

#[test]
fn a_full_scale_square_wave_stays_one() {
    for rate in RATES {
        let half = rate as usize / 200;
        let x: Vec<i16> =
            (0..half * 30).map(|i| if (i / half).is_multiple_of(2) { i16::MAX } else { i16::MIN }).collect();
        let mut out = vec![0; half * 4];
        Concealer::new(rate).conceal(&x, &mut out);
        let signs = out.iter().enumerate().filter(|(i, y)| (i / half).is_multiple_of(2) == (**y > 0)).count();
        assert!(signs * 10 > out.len() * 9, "{rate} Hz: {signs} of {}", out.len());
    }
}

#[test]
fn an_empty_gap_is_a_splice() {
    let clean = vowel(8_000, 140.0, 4_000);
    let limit = largest_step(&clean) * 3 / 2;
    for cut in [7, 20, 31, 44] {
        let mut it = Concealer::new(8_000);
        let mut future = clean[960 + cut..1_120 + cut].to_vec();
        it.bridge(&clean[..960], &mut [], &mut future);
        assert!(!it.is_concealing());
        assert_eq!(future[40..], clean[1_000 + cut..1_120 + cut]);
        let step = largest_step(&[&clean[..960], &future].concat());
        assert!(step <= limit, "{cut}: {step} over {limit}");
    }
}

#[test]
fn is_small() {
    let bytes = size_of::<Concealer>();
    assert!(bytes <= 200, "{bytes}");
}

#[test]
fn golden_output() {
    // The same bits on every target: all arithmetic is integer.
    let mut hashes = Vec::new();
    for rate in [8_000, 16_000] {
        let frame = rate as usize / 50;
        let mut x = synthetic(rate, frame * 40);
        let mut it = Concealer::new(rate);
        for i in [8, 9, 12, 15, 16, 17, 18, 19, 20, 25, 30] {
            let (past, rest) = x.split_at_mut(i * frame);
            let past = &past[past.len() - 6 * frame..];
            let (now, next) = rest.split_at_mut(frame);
            if i >= 25 {
                it.bridge(past, now, &mut next[..frame]);
            } else {
                it.conceal(past, now);
                if !matches!(i, 8 | 15..=19) {
                    let (past, rest) = x.split_at_mut((i + 1) * frame);
                    it.merge(&past[past.len() - 6 * frame..], &mut rest[..frame]);
                }
            }
        }
        hashes.push(hash(&x));
    }
    assert_eq!(hashes, [GOLDEN_8K, GOLDEN_16K], "{hashes:#x?}");
}
const GOLDEN_8K: u32 = 0x9350_a3ea;
const GOLDEN_16K: u32 = 0x1beb_4962;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_lengths_and_any_signal(
        rate in 4_000u32..60_000,
        history in proptest::collection::vec(any::<i16>(), 0..3_000),
        steps in proptest::collection::vec((0u8..4, 0usize..1_500, 0usize..1_000), 1..8),
        loud in any::<bool>(),
    ) {
        let mut x: Vec<i16> = if loud { history } else { history.iter().map(|v| v >> 12).collect() };
        let mut it = Concealer::new(rate);
        for (what, a, b) in steps {
            let mut out = vec![0; a];
            let mut next: Vec<i16> = x.iter().rev().take(b).copied().collect();
            match what {
                0 => it.conceal(&x, &mut out),
                1 => it.bridge(&x, &mut out, &mut next),
                2 => { it.merge(&x, &mut next); out = next; }
                _ => x.truncate(a),
            }
            x.extend(out);
        }
    }
}

#[test]
fn what_is_left_out_is_in_phase_where_it_goes_on() {
    let rate = 16_000;
    let past: Vec<i16> =
        (0..2_400).map(|n| (8_000.0 * (n as f32 * core::f32::consts::TAU / 100.0).sin()) as i16).collect();
    for skip in [1, 40, 100, 333] {
        let (mut whole, mut rest) = ([0; 433], [0; 100]);
        RatedConcealer::new(rate).conceal(rate, &past, &mut whole);
        let mut concealer = RatedConcealer::new(rate);
        concealer.begin(rate, &past);
        concealer.skip(skip);
        let heard: Vec<i16> = past.iter().copied().chain([0; 333]).take(past.len() + skip).collect();
        concealer.conceal(rate, &heard, &mut rest);
        for (made, whole) in rest.iter().zip(&whole[skip..]) {
            assert!(made.abs_diff(*whole) < 600, "{skip}: {made} {whole}");
        }
    }
}
