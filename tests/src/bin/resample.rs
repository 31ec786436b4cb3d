//! The table of the resampler in BENCHMARKS.md: ripple, SINAD and aliases of each quality, at their worst over all pairs of
//! rates, in `f32` and `i16`. Prints Markdown. With `--pairs`, a line a pair.

use dsp_core::process::resample::{Plan, Quality};
use media_core_tests::resampling::{Figures, QUALITIES, RATES, Real, figures, steered};

/// Samples of output for each sine.
const SAMPLES: usize = 6_000;

fn worst<S: Real>(quality: Quality, pass: f64, stop: f64, each: bool) -> Figures {
    let mut worst = Figures { ripple_db: 0.0, sinad_db: f64::INFINITY, alias_db: None };
    for (from, to) in RATES.iter().flat_map(|&from| RATES.map(|to| (from, to))).filter(|(from, to)| from != to) {
        let plan = Plan::exact(from, to, quality).expect("a pair of the table");
        let figures = figures::<S>(plan, pass, stop, SAMPLES);
        if each {
            println!("{quality:?} {} {from} -> {to}: {figures:.3?}", std::any::type_name::<S>());
        }
        worst.ripple_db = worst.ripple_db.max(figures.ripple_db);
        worst.sinad_db = worst.sinad_db.min(figures.sinad_db);
        worst.alias_db = match (worst.alias_db, figures.alias_db) {
            (Some(a), Some(b)) => Some(f64::min(a, b)),
            (a, b) => a.or(b),
        };
    }
    worst
}

/// The worst while the ratio moves by up to 300 ppm either way.
fn worst_steered<S: Real>(quality: Quality, pass: f64) -> f64 {
    [(48_000, 48_000), (44_100, 48_000), (48_000, 44_100), (16_000, 48_000), (48_000, 8_000), (8_000, 44_100)]
        .map(|(from, to)| {
            let plan = Plan::steered(from, to, quality).expect("a pair of the table");
            steered::<S>(plan, pass, 300_000, 2)
        })
        .into_iter()
        .fold(f64::INFINITY, f64::min)
}

fn main() {
    let each = std::env::args().any(|argument| argument == "--pairs");
    println!(
        "| Quality | taps | flat to | stop from | delay, 8 / 48 kHz | body | ripple | SINAD | aliases | SINAD, steered |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (quality, name, pass, stop) in QUALITIES {
        for (body, Figures { ripple_db, sinad_db, alias_db }, moving) in [
            ("f32", worst::<f32>(quality, pass, stop, each), worst_steered::<f32>(quality, pass)),
            ("i16", worst::<i16>(quality, pass, stop, each), worst_steered::<i16>(quality, pass)),
        ] {
            let plan = Plan::exact(8_000, 48_000, quality).expect("a pair of the table");
            let delay = plan.delay_samples() as f64;
            println!(
                "| {name} | {} | {pass} | {stop} | {:.1} / {:.2} ms | {body} | {ripple_db:.4} dB | {sinad_db:.1} dB | \
                 {:.1} dB | {moving:.1} dB |",
                plan.taps(),
                delay / 8.0,
                delay / 48.0,
                alias_db.unwrap_or(f64::NAN),
            );
        }
    }
}
