//! Resampling between any two sample rates of 4 to 192 kHz, with an exact ratio or one that can be steered.
//!
//! Use it where a device and a codec have different rates, for files, and, steered, where two clocks drift. There are
//! three types:
//!
//! - A [`Plan`] says how a resampler between two rates with a [`Quality`] is built, and how much memory it takes.
//! - A [`Design`] is a plan with its table of filter coefficients. It never changes, and all channels share it.
//! - A [`Line`] is the state of one channel. Channels are separate (see
//!   [`format::deinterleave`](crate::format::deinterleave)).
//!
//! It is a polyphase filter, a sinc under a Kaiser window, with linear phase. The delay is exactly half the filter
//! ([`Plan::delay`]): with the three qualities 2, 4 and 11 ms at 8 kHz, and 0.33, 0.67 and 1.83 ms between rates of 48
//! kHz. Positions are whole numbers: after `n` input samples, `n * to / from` output samples have been written,
//! rounded up, however long it runs. So 441 samples at 44.1 kHz give 480 at 48 kHz in each tick, from the first one
//! on.
//!
//! # Cost and limits
//!
//! An output sample takes [`Plan::taps`] multiplications, twice as many if the ratio is steered: 32, 64 or 176 towards
//! higher rates, and more by the ratio towards lower rates. On a Cortex-M3, from 8 to 16 kHz with `Fast` in `i16`,
//! that is 375 instructions; on a host, 20 ms from 8 to 48 kHz take 11 to 29 µs by quality (`BENCHMARKS.md`, which
//! also has the measured response). Memory is [`Plan::table_len`] blocks of 32 bytes, which channels share, and
//! [`Plan::history_len`] samples for each channel. The same bits come out on every target. An exact ratio has at most
//! 1,280 phases; the rates of telephony and sound cards stay below that.
//!
//! # Example
//!
//! A device at 48 kHz in a call at 8 kHz, both directions, with tables in flash:
//!
//! ```
//! use dsp_core::kernel::Taps16;
//! use dsp_core::process::resample::{Design, FixedLine, Plan, Processed, Quality, ResampleError, table_i16};
//!
//! const fn plan(from_hz: u32, to_hz: u32) -> Plan {
//!     match Plan::exact(from_hz, to_hz, Quality::Fast) {
//!         Ok(plan) => plan,
//!         Err(_) => panic!("rates of telephony"),
//!     }
//! }
//! const UP: Plan = plan(8_000, 48_000);
//! const DOWN: Plan = plan(48_000, 8_000);
//! // In flash.
//! static UP_TABLE: [Taps16; UP.table_len()] = table_i16(&UP);
//! static DOWN_TABLE: [Taps16; DOWN.table_len()] = table_i16(&DOWN);
//!
//! let up = Design::with_table::<i16>(UP, &UP_TABLE)?;
//! let down = Design::with_table::<i16>(DOWN, &DOWN_TABLE)?;
//! let mut loudspeaker = FixedLine::new(UP, [0; UP.history_len(80)])?;
//! let mut microphone = FixedLine::new(DOWN, [0; DOWN.history_len(480)])?;
//!
//! let (mut played, mut captured) = ([0; 480], [0; 80]);
//! assert_eq!(up.process(&mut loudspeaker, &[1_000; 80], &mut played), Processed { consumed: 80, produced: 480 });
//! assert_eq!(down.process(&mut microphone, &[1_000; 480], &mut captured), Processed { consumed: 480, produced: 80 });
//! # Ok::<(), ResampleError>(())
//! ```

mod design;
mod line;
mod plan;
mod prototype;
#[cfg(test)]
mod tests;

pub use design::{Design, FixedDesign, table_i16};
pub use line::{FixedLine, Line, Processed};
pub use plan::{MAX_PPB, Plan, Quality, ResampleError};
pub(crate) use prototype::Prototype;
