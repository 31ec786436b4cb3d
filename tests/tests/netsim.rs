//! The grid of bad networks: the receiver's numbers in each are written down in `netsim.txt` beside this file, so that a
//! change of the receiver shows in every one of them. After a change that is meant, write it anew:
//!
//! ```text
//! MEDIA_CORE_UPDATE=1 cargo test -p media-core-tests --test netsim
//! ```

use std::fs;

use host_std::replay::grid::{GridConfig, grid, table};

fn speech() -> Vec<i16> {
    let mut reader = hound::WavReader::new(&include_bytes!("../../host-std/assets/woman.wav")[..]).unwrap();
    reader.samples::<i16>().map(Result::unwrap).collect()
}

#[test]
fn the_table_is_the_one_written_down() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/netsim.txt");
    let now = table(&speech(), &GridConfig::default()).unwrap();
    if std::env::var_os("MEDIA_CORE_UPDATE").is_some() {
        fs::write(path, &now).unwrap();
    }
    let before = fs::read_to_string(path).unwrap();
    for (now, before) in now.lines().zip(before.lines()) {
        assert_eq!(now, before, "the receiver has changed (MEDIA_CORE_UPDATE=1 writes the table anew)");
    }
    assert_eq!(now.lines().count(), before.lines().count());
}

/// What must hold of any receiver, whatever its table.
#[test]
fn the_numbers_make_sense() {
    let config = GridConfig::default();
    for row in grid(&speech(), &config).unwrap() {
        let n = &row.numbers;
        let expected = u64::from(config.seconds) * 50;
        // What was lost at the ends is not between two packets.
        assert!(n.received + n.lost <= expected && n.received + n.lost + 20 > expected, "{row:?}");
        let lost = n.lost as f64 / expected as f64;
        assert!((lost - row.loss.0 / 100.0).abs() < 0.1, "{row:?}");
        let unusable = (n.lost + n.late + n.discarded) as f64 / expected as f64;
        assert!(n.concealed_ratio < unusable * 1.5 + 0.05 + row.jitter_ms * 0.001, "{row:?}");
        assert!(n.mean_buffer_delay_ms <= f64::from(config.delay.max_ms), "{row:?}");
        assert!(n.p95_buffer_delay_ms <= f64::from(config.delay.max_ms) + 100.0, "{row:?}");
        // Half a minute at 500 ppm is 15 ms: within what nobody hears, and never more.
        if row.loss.0 == 0.0 && row.jitter_ms == 0.0 {
            assert!(n.mean_buffer_delay_ms < 80.0 && n.concealed_ratio < 0.002, "{row:?}");
        }
    }
}
