//! The grid: speech over simulated networks to the real receiver in virtual time, with one row of numbers for each combination of
//! loss, bursts, jitter and clock drift.
//!
//! Use it to see the effect of a change to a receiver or to its delay on many networks at once. A network that was measured is
//! played by [`replay`](super::replay) or [`trace`](super::trace) instead; whole calls with their codecs, over one network, are
//! [`virtual_time`](crate::simulate::virtual_time).
//!
//! ```
//! use host_std::replay::grid::{GridConfig, RATE_HZ, grid};
//!
//! // A loss of 10 %, of single packets and of three at a time.
//! let losses = vec![(10.0, 1.0), (10.0, 3.0)];
//! let config =
//!     GridConfig { seconds: 10, losses, jitters_ms: vec![20.0], drifts_ppm: vec![0.0], ..GridConfig::default() };
//! let voice: Vec<i16> = (0..RATE_HZ).map(|n| ((n as f32 * 0.1).sin() * 5_000.0) as i16).collect();
//! let rows = grid(&voice, &config)?;
//! assert_eq!(rows.len(), 2);
//! assert!(rows.iter().all(|row| row.numbers.lost > 10));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Cost.** The 72 rows of the default grid take a second.
//!
//! **Limits.** The codec is always L16 at 16 kHz. So neither a codec's own concealment nor a library's arithmetic is in the numbers:
//! they are the receiver's alone, computed in integers, and the same on every machine.

use std::fmt::Write as _;

use dsp_core::receive::{ConfigError, DelayConfig};
use dsp_core::time::{Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::{FIXED_HEADER_LEN, RtpHeader};

use super::ListenerReport;
use super::payloads::{Decoders, PayloadFormat};
use super::play::StreamPlayer;
use crate::registry::CodecFormat;
use crate::simulate::netsim::{Network, NetworkConfig};

/// Rate of the speech, in Hz.
pub const RATE_HZ: u32 = 16_000;
const FRAME_MS: u64 = 20;
const FRAME: usize = (RATE_HZ / 1_000) as usize * FRAME_MS as usize;
const PAYLOAD_TYPE: PayloadType = PayloadType::from_low_bits(96);

/// The networks of a grid: each combination of a loss, a jitter and a drift is one.
#[derive(Clone, Debug, PartialEq)]
pub struct GridConfig {
    /// Length of each call in seconds.
    pub seconds: u32,
    /// The seed of the networks: the same one gives the same networks.
    pub seed: u64,
    /// Losses in percent, each with the mean number of packets that are lost in a row.
    pub losses: Vec<(f64, f64)>,
    /// Standard deviations of the network's delay, in ms.
    pub jitters_ms: Vec<f64>,
    /// The sender's clock rates relative to the receiver's clock, in parts per million; positive if the sender is faster.
    pub drifts_ppm: Vec<f64>,
    /// The bounds of the receiver's delay.
    pub delay: DelayConfig,
}

impl Default for GridConfig {
    fn default() -> Self {
        Self {
            seconds: 30,
            seed: 1,
            losses: vec![(0.0, 1.0), (5.0, 1.0), (5.0, 2.0), (10.0, 1.0), (10.0, 2.0), (30.0, 4.0)],
            jitters_ms: vec![0.0, 20.0, 60.0, 200.0],
            drifts_ppm: vec![-500.0, 0.0, 500.0],
            delay: DelayConfig::default(),
        }
    }
}

/// One network of a grid, and the listener's result over it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The loss in percent, and the mean number of packets that are lost in a row.
    pub loss: (f64, f64),
    /// The standard deviation of the network's delay, in ms.
    pub jitter_ms: f64,
    /// The sender's clock rate relative to the receiver's clock, in parts per million; positive if the sender is faster.
    pub drift_ppm: f64,
    /// The listener's statistics.
    pub numbers: ListenerReport,
}

/// Plays the whole grid with `speech`, which is mono at [`RATE_HZ`] and begins again when it ends.
///
/// # Errors
/// [`ConfigError`] if no receiver can be made with [`GridConfig::delay`].
pub fn grid(speech: &[i16], config: &GridConfig) -> Result<Vec<Row>, ConfigError> {
    let mut rows = Vec::new();
    for &loss in &config.losses {
        for &jitter_ms in &config.jitters_ms {
            for &drift_ppm in &config.drifts_ppm {
                let numbers = cell(speech, config, loss, jitter_ms, drift_ppm)?;
                rows.push(Row { loss, jitter_ms, drift_ppm, numbers });
            }
        }
    }
    Ok(rows)
}

fn cell(
    speech: &[i16],
    config: &GridConfig,
    loss: (f64, f64),
    jitter_ms: f64,
    drift_ppm: f64,
) -> Result<ListenerReport, ConfigError> {
    let network = NetworkConfig {
        loss_percent: loss.0,
        burst: loss.1,
        jitter_ms,
        reorder_percent: if jitter_ms > 0.0 { 1.0 } else { 0.0 },
        ..NetworkConfig::default()
    };
    let mut network = Network::new(network, config.seed);
    let mut endless = speech.iter().copied().chain([0]).cycle();
    let mut arrivals = Vec::new();
    for n in 0..u64::from(config.seconds) * 1_000 / FRAME_MS {
        let header = RtpHeader {
            payload_type: PAYLOAD_TYPE,
            seq: Seq(n as u16),
            timestamp: RtpTime(n as u32 * FRAME as u32),
            ssrc: Ssrc(1),
            ..RtpHeader::default()
        };
        let mut packet = vec![0; FIXED_HEADER_LEN + 2 * FRAME];
        // The buffer is as long as the header needs.
        let _ = header.write(&mut packet);
        for (place, sample) in packet[FIXED_HEADER_LEN..].chunks_exact_mut(2).zip(&mut endless) {
            place.copy_from_slice(&sample.to_be_bytes());
        }
        let sent_us = n as f64 * FRAME_MS as f64 * 1e3 / (1.0 + drift_ppm * 1e-6);
        let arrival = network.carry(Instant::from_micros(sent_us as u64));
        arrivals.extend(arrival.into_iter().flatten().map(|arrival| (arrival.as_micros(), n, packet.clone())));
    }
    arrivals.sort_by_key(|(time, n, _)| (*time, *n));
    let format = PayloadFormat::new(CodecFormat::l16(RATE_HZ, 1)).expect("L16 at 16 kHz");
    // L16 at this rate is always there.
    let rates = [format.sample_rate_hz(), format.rtp_clock_hz()];
    let decoders = Decoders::new(&[(PAYLOAD_TYPE, format.clone())], rates, format.channels()).expect("L16 at 16 kHz");
    let first_us = arrivals.first().map_or(0, |(time, ..)| *time);
    let mut player = StreamPlayer::new([RATE_HZ; 2], 1, config.delay, decoders, None, first_us, usize::MAX)?;
    for (time_us, _, packet) in &arrivals {
        player.packet(Some(*time_us), packet);
    }
    Ok(player.finish(String::new()).numbers)
}

/// Returns the grid as a table for people and for `diff`.
///
/// # Errors
/// The same as for [`grid`].
pub fn table(speech: &[i16], config: &GridConfig) -> Result<String, ConfigError> {
    let mut text = format!("Speech of {} s in packets of {FRAME_MS} ms, seed {}\n\n", config.seconds, config.seed);
    text += "   loss  burst  jitter   drift |  buffer     p95 playout | concealed  gaps stretched |  late dropped\n";
    text += "      %             ms     ppm |      ms      ms      ms |         %               % |               \n";
    for row in grid(speech, config)? {
        let n = &row.numbers;
        // A String takes everything.
        let _ = writeln!(
            text,
            "{:7.1} {:6.1} {:7.0} {:+7.0} | {:7.1} {:7.1} {:7.1} | {:9.2} {:5} {:9.2} | {:5} {:7}",
            row.loss.0,
            row.loss.1,
            row.jitter_ms,
            row.drift_ppm,
            n.mean_buffer_delay_ms,
            n.p95_buffer_delay_ms,
            n.mean_playout_delay_ms,
            n.concealed_ratio * 100.0,
            n.concealment_events,
            n.stretched_ratio * 100.0,
            n.late,
            n.discarded
        );
    }
    Ok(text)
}
