//! The active level meter against the speech of the ITU-T software tool library (G.191, sv56): its own result for the
//! source file, and the level it has given to the two files that it made of it.

use dsp_core::process::active_level::{ActiveLevel, ActiveLevelMeter};
use media_core_tests::shared;

/// Within a tenth of a decibel, in hundredths.
const WITHIN: i16 = 10;

/// The samples of a file of little-endian 16-bit words, or `None` where the data is missing.
fn samples(name: &str) -> Option<Vec<i16>> {
    let bytes = std::fs::read(shared(&format!("data/itu-sv56-p56/{name}"))?).unwrap();
    let (pairs, odd) = bytes.as_chunks();
    assert!(odd.is_empty(), "{name}");
    Some(pairs.iter().map(|&pair| i16::from_le_bytes(pair)).collect())
}

fn measured(name: &str, part: usize) -> Option<ActiveLevel> {
    let mut meter = ActiveLevelMeter::new(16_000).unwrap();
    samples(name)?.chunks(part).for_each(|part| meter.hear(part));
    Some(meter.read())
}

fn close(level: ActiveLevel, hundredths_dbov: i16) -> bool {
    level.active.is_some_and(|active| (active.hundredths_dbov() - hundredths_dbov).abs() <= WITHIN)
}

#[test]
fn reads_what_the_software_tool_library_reads() {
    let Some(source) = measured("voice.src", 160) else { return };
    // -25.329 dBov active, 96.625 % of the time.
    assert!(close(source, -2_533), "{source:?}");
    assert!(source.activity_hundredths_percent.abs_diff(9_662) <= 100, "{source:?}");
    assert_eq!(measured("voice.src", 7), Some(source), "whatever the length of parts");
}

#[test]
fn finds_the_level_that_the_software_tool_library_gave() {
    // One was brought to an active level of -30 dBov, the other to a mean square of -30 dBov.
    let Some(active) = measured("voice.nrm", 160) else { return };
    assert!(close(active, -3_000), "{active:?}");
    let mean = measured("voice.ltl", 160).unwrap();
    assert!((mean.long_term.hundredths_dbov() + 3_000).abs() <= WITHIN, "{mean:?}");
}

#[test]
fn the_rate_changes_nothing_but_time() {
    let Some(source) = samples("voice.src") else { return };
    // Each sample held three times: the same envelope at 48 kHz.
    let held: Vec<i16> = source.iter().flat_map(|&sample| [sample; 3]).collect();
    let mut meter = ActiveLevelMeter::new(48_000).unwrap();
    meter.hear(&held);
    assert!(close(meter.read(), -2_533), "{:?}", meter.read());
}
