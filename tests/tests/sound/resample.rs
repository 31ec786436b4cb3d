//! What the resampler does to sound, for every pair of rates, quality and body: passband, images, aliases, delay; and while
//! its ratio moves. The table in BENCHMARKS.md is of the same figures (`src/bin/resample.rs`).

use std::f64::consts::TAU;

use dsp_core::process::resample::{Plan, Quality};
use media_core_tests::resampling::{Channel, LOUD, QUALITIES, RATES, Real, db, figures, fit, sine, steered};

/// Samples of output for each sine.
const SAMPLES: usize = 500;

fn every_pair<S: Real>(quality: Quality, sinad_db: f64, alias_db: f64, ripple_db: f64) {
    let (_, _, pass, stop) = QUALITIES.into_iter().find(|row| row.0 == quality).expect("a quality of the table");
    for (from, to) in RATES.iter().flat_map(|&from| RATES.map(|to| (from, to))).filter(|(from, to)| from != to) {
        let plan = Plan::exact(from, to, quality).expect("a pair of the table");
        let figures = figures::<S>(plan, pass, stop, SAMPLES);
        assert!(figures.sinad_db > sinad_db, "{from} to {to}: {figures:?}");
        assert!(figures.ripple_db < ripple_db, "{from} to {to}: {figures:?}");
        assert!(figures.alias_db.is_none_or(|down| down > alias_db), "{from} to {to}: {figures:?}");
        assert_eq!(figures.alias_db.is_some(), f64::from(from) > stop * f64::from(to), "{from} to {to}");
    }
}

#[test]
fn best_keeps_120_db_in_f32_and_90_db_in_i16() {
    every_pair::<f32>(Quality::Best, 130.0, 130.0, 0.0001);
    every_pair::<i16>(Quality::Best, 92.0, 94.0, 0.0005);
}

#[test]
fn good_keeps_90_db_and_fast_70_db() {
    every_pair::<f32>(Quality::Good, 90.0, 89.5, 0.001);
    every_pair::<i16>(Quality::Good, 90.0, 88.0, 0.001);
    every_pair::<f32>(Quality::Fast, 70.0, 69.5, 0.005);
    every_pair::<i16>(Quality::Fast, 70.0, 69.5, 0.005);
}

#[test]
fn a_ratio_that_moves_leaves_110_db() {
    for (from, to) in [(48_000, 48_000), (44_100, 48_000), (48_000, 44_100), (8_000, 48_000), (48_000, 8_000)] {
        let plan = |quality| Plan::steered(from, to, quality).expect("rates in range");
        for most_ppb in [300_000, 5_000_000] {
            let sinad_db = steered::<f32>(plan(Quality::Best), 0.9, most_ppb, 1);
            assert!(sinad_db > 115.0, "{from} to {to}: {sinad_db:.1} dB");
            let sinad_db = steered::<i16>(plan(Quality::Best), 0.9, most_ppb, 1);
            assert!(sinad_db > 90.0, "{from} to {to}: {sinad_db:.1} dB");
            let sinad_db = steered::<i16>(plan(Quality::Good), 0.86, most_ppb, 1);
            assert!(sinad_db > 88.0, "{from} to {to}: {sinad_db:.1} dB");
        }
    }
}

/// Rates that are not in the table, and have little in common: between the phases of a steered table.
#[test]
fn odd_rates_have_the_same_quality() {
    for (from, to) in [(44_056, 48_000), (48_000, 37_799), (4_001, 192_000), (191_999, 8_000)] {
        let plan = Plan::steered(from, to, Quality::Best).expect("rates in range");
        let figures = figures::<f32>(plan, 0.9, 1.0, SAMPLES);
        assert!(
            figures.sinad_db > 115.0 && figures.alias_db.is_none_or(|down| down > 115.0),
            "{from} {to}: {figures:?}"
        );
    }
}

#[test]
fn sound_is_as_late_as_the_plan_says() {
    for (from, to) in [(8_000, 48_000), (48_000, 8_000), (44_100, 48_000), (11_025, 96_000)] {
        for plan in [Plan::exact(from, to, Quality::Good), Plan::steered(from, to, Quality::Good)] {
            let plan = plan.expect("rates in range");
            let hz = f64::from(from.min(to)) / 20.0;
            let output = Channel::<f32>::new(plan).run(&sine(hz, from, from as usize / 5));
            let settled = output.len() / 2;
            let late = plan.delay_samples() as f64 / f64::from(from);
            let heard: Vec<f64> = output[settled..].iter().map(|sample| f64::from(*sample)).collect();
            let expected = |n: usize| LOUD * (TAU * hz * ((settled + n) as f64 / f64::from(to) - late)).sin();
            let off =
                heard.iter().enumerate().map(|(n, y)| (y - expected(n)).powi(2)).sum::<f64>() / heard.len() as f64;
            assert!(db(off) < -80.0, "{plan:?}: {:.1} dB", db(off));
            let (amplitude, _) = fit(&heard, |n| TAU * hz * n as f64 / f64::from(to));
            assert!((amplitude / LOUD - 1.0).abs() < 1e-4, "{plan:?}: {amplitude}");
        }
    }
}
