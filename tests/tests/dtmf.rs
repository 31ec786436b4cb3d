//! DTMF by the limits of ITU-T Q.24: each axis alone and combinations of all, at three rates, in 16 bits and in floats.

use dsp_core::sample::Sample;
use dsp_core::tone::{Digit, HeardDigit};
use media_core_tests::digits::{Press, Seeded, amplitude, heard, millis, sound};

const RATES_HZ: [u32; 3] = [8_000, 16_000, 48_000];

/// What must become of what is pressed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Must {
    /// Each press is a digit, with its start and its length.
    Hear,
    /// Nothing is heard.
    Reject,
}

/// One cell: what is changed of a press in the middle of everything, and the noise.
struct Cell {
    name: &'static str,
    must: Must,
    noise_db: Option<f64>,
    change: fn(&mut Press),
}

const fn hear(name: &'static str, change: fn(&mut Press)) -> Cell {
    Cell { name, must: Must::Hear, noise_db: None, change }
}

const fn reject(name: &'static str, change: fn(&mut Press)) -> Cell {
    Cell { name, must: Must::Reject, noise_db: None, change }
}

const CELLS: [Cell; 46] = [
    hear("frequencies as they should be", |_| ()),
    hear("row +1.5 %", |press| press.off_percent = [1.5, 0.0]),
    hear("row -1.5 %", |press| press.off_percent = [-1.5, 0.0]),
    hear("column +1.5 %", |press| press.off_percent = [0.0, 1.5]),
    hear("column -1.5 %", |press| press.off_percent = [0.0, -1.5]),
    hear("both +1.5 %", |press| press.off_percent = [1.5, 1.5]),
    hear("both -1.5 %", |press| press.off_percent = [-1.5, -1.5]),
    hear("row +1.5 %, column -1.5 %", |press| press.off_percent = [1.5, -1.5]),
    hear("row -1.5 %, column +1.5 %", |press| press.off_percent = [-1.5, 1.5]),
    reject("row +3.5 %", |press| press.off_percent = [3.5, 0.0]),
    reject("row -3.5 %", |press| press.off_percent = [-3.5, 0.0]),
    reject("column +3.5 %", |press| press.off_percent = [0.0, 3.5]),
    reject("column -3.5 %", |press| press.off_percent = [0.0, -3.5]),
    reject("both +3.5 %", |press| press.off_percent = [3.5, 3.5]),
    reject("both -3.5 %", |press| press.off_percent = [-3.5, -3.5]),
    hear("twist +4 dB (column louder)", |press| press.dbm0 = [-14.0, -10.0]),
    hear("twist -8 dB (row louder)", |press| press.dbm0 = [-10.0, -18.0]),
    hear("twist +8 dB", |press| press.dbm0 = [-18.0, -10.0]),
    hear("twist -4 dB", |press| press.dbm0 = [-10.0, -14.0]),
    hear("40 ms on, 40 ms off", |press| (press.on_ms, press.pause_ms) = (40.0, 40.0)),
    hear("50 ms on, 40 ms off", |press| (press.on_ms, press.pause_ms) = (50.0, 40.0)),
    hear("100 ms on, 100 ms off", |press| (press.on_ms, press.pause_ms) = (100.0, 100.0)),
    hear("1 s on, 1 s off", |press| (press.on_ms, press.pause_ms) = (1_000.0, 1_000.0)),
    reject("23 ms on, 40 ms off", |press| (press.on_ms, press.pause_ms) = (23.0, 40.0)),
    reject("23 ms on, 70 ms off", |press| press.on_ms = 23.0),
    reject("20 ms on, 40 ms off", |press| (press.on_ms, press.pause_ms) = (20.0, 40.0)),
    reject("10 ms on, 40 ms off", |press| (press.on_ms, press.pause_ms) = (10.0, 40.0)),
    hear("a gap of 10 ms after 40 ms", |press| (press.on_ms, press.gap_ms) = (90.0, [40.0, 10.0])),
    hear("a gap of 10 ms after 100 ms", |press| (press.on_ms, press.gap_ms) = (150.0, [100.0, 10.0])),
    hear("a gap of 5 ms after 50 ms", |press| (press.on_ms, press.gap_ms) = (95.0, [50.0, 5.0])),
    hear("0 dBm0 each, overloaded", |press| press.dbm0 = [0.0; 2]),
    hear("-3 dBm0", |press| press.dbm0 = [-3.0; 2]),
    hear("-5 dBm0", |press| press.dbm0 = [-5.0; 2]),
    hear("-15 dBm0", |press| press.dbm0 = [-15.0; 2]),
    hear("-20 dBm0", |press| press.dbm0 = [-20.0; 2]),
    hear("-25 dBm0", |press| press.dbm0 = [-25.0; 2]),
    reject("-45 dBm0", |press| press.dbm0 = [-45.0; 2]),
    Cell { name: "S/N 15 dB", must: Must::Hear, noise_db: Some(15.0), change: |_| () },
    Cell {
        name: "S/N 15 dB, 40 ms on, 40 ms off",
        must: Must::Hear,
        noise_db: Some(15.0),
        change: |press| (press.on_ms, press.pause_ms) = (40.0, 40.0),
    },
    Cell {
        name: "S/N 15 dB, 23 ms on, 40 ms off",
        must: Must::Reject,
        noise_db: Some(15.0),
        change: |press| (press.on_ms, press.pause_ms) = (23.0, 40.0),
    },
    Cell {
        name: "S/N 15 dB, both +1.5 %",
        must: Must::Hear,
        noise_db: Some(15.0),
        change: |press| press.off_percent = [1.5; 2],
    },
    Cell {
        name: "S/N 15 dB, both -1.5 %",
        must: Must::Hear,
        noise_db: Some(15.0),
        change: |press| press.off_percent = [-1.5; 2],
    },
    Cell {
        name: "S/N 15 dB, row +3.5 %",
        must: Must::Reject,
        noise_db: Some(15.0),
        change: |press| press.off_percent = [3.5, 0.0],
    },
    Cell {
        name: "S/N 15 dB, row -3.5 %",
        must: Must::Reject,
        noise_db: Some(15.0),
        change: |press| press.off_percent = [-3.5, 0.0],
    },
    Cell {
        name: "S/N 15 dB, column +3.5 %",
        must: Must::Reject,
        noise_db: Some(15.0),
        change: |press| press.off_percent = [0.0, 3.5],
    },
    Cell {
        name: "S/N 15 dB, column -3.5 %",
        must: Must::Reject,
        noise_db: Some(15.0),
        change: |press| press.off_percent = [0.0, -3.5],
    },
];

/// Why what was heard is not what must be.
fn wrong(presses: &[Press], heard: &[HeardDigit], must: Must, noisy: bool) -> Option<String> {
    let told = || heard.iter().map(|heard| heard.digit.as_char()).collect::<String>();
    if must == Must::Reject {
        return (!heard.is_empty()).then(|| format!("{} was heard", told()));
    }
    let pressed: String = presses.iter().map(|press| press.digit.as_char()).collect();
    if told() != pressed {
        return Some(format!("{pressed} was heard as {}", told()));
    }
    let mut at = None;
    for (press, heard) in presses.iter().zip(heard) {
        let (start, lasted) = (millis(heard.start), millis(heard.duration));
        // Starts of later digits are known from the first one's.
        let should = at.unwrap_or(start);
        at = Some(should + press.on_ms + press.pause_ms);
        let within = if noisy { 6.0 } else { 2.5 };
        if (lasted - press.on_ms).abs() > within || (start - should).abs() > within {
            return Some(format!(
                "{} is from {start} ms for {lasted} ms, not from {should} for {}",
                heard.digit, press.on_ms
            ));
        }
        let level = f64::from(heard.level_hundredths_dbm0) / 100.0;
        let sum = 10.0 * press.dbm0.iter().map(|dbm0| 10f64.powf(dbm0 / 10.0)).sum::<f64>().log10();
        // What is overloaded has lost some of its level.
        let overloaded = press.dbm0.iter().map(|&dbm0| amplitude(dbm0)).sum::<f64>() > 1.0;
        let within = if overloaded { 1.8 } else { 1.0 };
        if (level - sum).abs() > within {
            return Some(format!("{} has {level} dBm0, not {sum}", heard.digit));
        }
    }
    None
}

fn run(cell: &Cell, rate_hz: u32, rounds: usize) -> Vec<String> {
    let mut failures = Vec::new();
    let mut seeded = Seeded(u64::from(rate_hz) + cell.name.len() as u64);
    for _ in 0..rounds {
        for digit in Digit::ALL {
            let mut press = Press::of(digit);
            (cell.change)(&mut press);
            // Twice, so that the pause behind it counts.
            let presses = [press; 2];
            let pcm = sound(rate_hz, &presses, cell.noise_db, &mut seeded);
            for heard in both(rate_hz, &pcm) {
                let noisy = cell.noise_db.is_some();
                failures.extend(
                    wrong(&presses, &heard, cell.must, noisy).map(|why| format!("{digit} at {rate_hz} Hz: {why}")),
                );
            }
        }
    }
    failures
}

/// What is heard in 16 bits and in floats.
fn both(rate_hz: u32, pcm: &[f64]) -> [Vec<HeardDigit>; 2] {
    fn of<S: Sample>(rate_hz: u32, pcm: &[f64]) -> Vec<HeardDigit> {
        heard::<S>(rate_hz, pcm)
    }
    [of::<i16>(rate_hz, pcm), of::<f32>(rate_hz, pcm)]
}

/// Each axis of Q.24 alone; the table of what was right of so many.
fn grid(rates_hz: &[u32], rounds: usize) {
    let mut all = Vec::new();
    println!(
        "| Q.24 | must be | {} |",
        rates_hz.iter().map(|rate| format!("{} kHz", rate / 1_000)).collect::<Vec<_>>().join(" | ")
    );
    println!("|---|---|{}", "---|".repeat(rates_hz.len()));
    for cell in &CELLS {
        let must = if cell.must == Must::Hear { "heard" } else { "rejected" };
        print!("| {} | {must} |", cell.name);
        for &rate_hz in rates_hz {
            let failures = run(cell, rate_hz, rounds);
            let count = 16 * rounds * 2;
            print!(" {} of {count} |", count - failures.len());
            all.extend(failures.into_iter().map(|failure| format!("{}: {failure}", cell.name)));
        }
        println!();
    }
    assert!(all.is_empty(), "{} failures, of which the first are {:#?}", all.len(), &all[..all.len().min(40)]);
}

/// Digits within all limits at once.
fn combinations(count: usize, rates_hz: &[u32]) {
    let mut seeded = Seeded(24);
    let mut failures = Vec::new();
    for round in 0..count {
        let presses: Vec<Press> = (0..3)
            .map(|_| {
                // Both sines within 0 and -25 dBm0, and the twist within its limits.
                let twist = seeded.between(-8.0, 4.0);
                let loudest = seeded.between(-25.0 + twist.abs(), 0.0);
                let dbm0 = if twist > 0.0 { [loudest - twist, loudest] } else { [loudest, loudest + twist] };
                Press {
                    digit: seeded.one(&Digit::ALL),
                    off_percent: [seeded.between(-1.5, 1.5), seeded.between(-1.5, 1.5)],
                    dbm0,
                    on_ms: seeded.between(40.0, 120.0),
                    pause_ms: seeded.between(40.0, 120.0),
                    gap_ms: [0.0; 2],
                }
            })
            .collect();
        // The noise is 15 dB below the loudest of its digits, so each is pressed by itself.
        let noise = seeded.one(&[None, Some(15.0), Some(20.0), Some(30.0)]);
        for rate_hz in rates_hz {
            for press in &presses {
                let mut press = [*press];
                press[0].gap_ms = if press[0].on_ms > 90.0 {
                    [seeded.between(40.0, 50.0), seeded.between(0.0, 10.0)]
                } else {
                    [0.0; 2]
                };
                let pcm = sound(*rate_hz, &press, noise, &mut seeded);
                for heard in both(*rate_hz, &pcm) {
                    failures.extend(
                        wrong(&press, &heard, Must::Hear, noise.is_some())
                            .map(|why| format!("{round} at {rate_hz} Hz, noise {noise:?}: {why}; {press:?}")),
                    );
                }
            }
        }
    }
    println!("{count} combinations: {} failures", failures.len());
    assert!(
        failures.is_empty(),
        "{} failures, of which the first are {:#?}",
        failures.len(),
        &failures[..failures.len().min(20)]
    );
}

#[test]
fn some_of_the_grid() {
    grid(&RATES_HZ, 1);
}

#[test]
fn some_combinations() {
    combinations(50, &RATES_HZ);
}

#[test]
#[ignore = "takes minutes"]
fn the_whole_grid() {
    grid(&RATES_HZ, 10);
}

#[test]
#[ignore = "takes minutes"]
fn all_combinations() {
    combinations(2_000, &RATES_HZ);
}
