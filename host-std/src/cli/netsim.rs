//! `media-core netsim`: what the receiver makes of a grid of bad networks, as a table.

use clap::Args as ClapArgs;
use dsp_core::time::Duration;
use host_std::replay::grid::{GridConfig, RATE_HZ, table};
use host_std::wav::WavSource;

use super::{Outcome, WOMAN, number_in, print};

/// Print what the receiver makes of a grid of bad networks: loss, bursts, jitter and clock drift
///
/// Each row is a network that carries speech as uncompressed packets of 20 ms, played by the real receiver in virtual
/// time. The same seed gives the same table, on every machine.
#[derive(ClapArgs)]
pub(super) struct NetsimArgs {
    /// Length of each row's call in seconds
    #[arg(long, default_value_t = GridConfig::default().seconds, value_parser = |s: &str| number_in(s, 5.0, 3_600.0).map(|s| s as u32), value_name = "S")]
    seconds: u32,
    /// Seed of the networks
    #[arg(long, default_value_t = GridConfig::default().seed, value_name = "NUMBER")]
    seed: u64,
}

pub(super) fn run(args: &NetsimArgs) -> Outcome {
    let speech = WavSource::from_bytes("the bundled speech", WOMAN, RATE_HZ)?.read_all(Duration::from_secs(60))?;
    let config = GridConfig { seconds: args.seconds, seed: args.seed, ..GridConfig::default() };
    print(&table(&speech, &config)?)
}
