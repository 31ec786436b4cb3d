//! Resampling between any two rates of 4 to 192 kHz: a polyphase filter for an exact ratio, and one that can be steered.
//!
//! - A [`Plan`] says what the resampler of two rates and a [`Quality`] is, and how much memory it takes.
//! - A [`Design`] is a plan with its table of taps: immutable, and shared by all channels.
//! - A [`Line`] is the state of one channel. One line a channel; channels lie apart (`format::deinterleave`).
//!
//! A sinc under a Kaiser window; passband and stopband are said with [`Quality`]. Linear phase; the delay is half the
//! filter, exactly ([`Plan::delay`]): 2, 4 and 11 ms at 8 kHz by quality, 0.33, 0.67 and 1.83 ms between rates of 48 kHz.
//! Positions are whole numbers: after `n` samples in, `n * to / from` came out, rounded up, however long it runs. So whole
//! ticks go in and out: of 441 samples at 44.1 kHz 480 come at 48 kHz, at each tick, from the first.
//!
//! Cost: an output sample takes [`Plan::taps`] multiplications (twice as many where it is steered): 32, 64 or 176 upwards, and
//! times the ratio downwards. Memory: [`Plan::table_len`] blocks of 32 bytes, shared, and [`Plan::history_len`] samples a
//! channel: at `Fast`, 8 to 16 kHz, 256 bytes and 222 for ticks of 10 ms in `i16`. In `i16` and `f32` the same bits on
//! every target.
//!
//! A tick of a device at 48 kHz in a call at 8 kHz, both ways, in static memory:
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
