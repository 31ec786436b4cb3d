//! The table of filter coefficients, and the processing of a channel with it.

use super::line::{Line, Processed};
use super::plan::{Plan, ResampleError};
use crate::kernel::{Kernel, LANES, Taps16};
use fixed::types::I2F30;

/// The filter of a resampler: a plan with its table of coefficients, in memory of the caller. One design serves any
/// number of channels. [The module's page](super) has an example.
/// `T` is what holds the table: `[Taps16; N]`, `&'static [Taps16]` in flash, a `Vec` or `Box` of a host.
#[derive(Clone, Copy, Debug)]
pub struct Design<T> {
    plan: Plan,
    /// Factor from position to phase, for a steered plan.
    phase_factor: u64,
    table: T,
}

/// A [`Design`] that contains its table of `N` blocks; `N` is [`Plan::table_len`].
pub type FixedDesign<S, const N: usize> = Design<[<S as Kernel>::Taps; N]>;

/// Computes the table of `plan` for `i16`. In a constant expression, `static TABLE: [Taps16; N] = ..`, the table lies
/// in flash. `N` must be [`Plan::table_len`].
///
/// # Panics
/// If `N` is not the [`Plan::table_len`] of `plan`. In a constant expression this is an error of the compiler.
pub const fn table_i16<const N: usize>(plan: &Plan) -> [Taps16; N] {
    assert!(N == plan.table_len(), "N is not the plan's table_len()");
    let prototype = plan.prototype();
    let mut table = [Taps16::new(&[0.0; LANES]); N];
    let mut index = 0;
    while index < N {
        table[index] = Taps16::new(&plan.block(index, &prototype));
        index += 1;
    }
    table
}

impl<T> Design<T> {
    /// A design for `plan`, which fills `table` with its coefficients. Nothing but `table` itself is on the stack.
    ///
    /// # Errors
    /// Returns [`ResampleError::Table`] if the length of `table` is not [`Plan::table_len`].
    pub fn new<S: Kernel>(plan: Plan, mut table: T) -> Result<Self, ResampleError>
    where
        T: AsMut<[S::Taps]>,
    {
        let blocks = table.as_mut();
        if blocks.len() != plan.table_len() {
            return Err(ResampleError::Table { need: plan.table_len(), got: blocks.len() });
        }
        let prototype = plan.prototype();
        for (index, taps) in blocks.iter_mut().enumerate() {
            *taps = S::taps(&plan.block(index, &prototype));
        }
        Ok(Self { plan, phase_factor: plan.phase_factor(), table })
    }

    /// A design with a table that [`table_i16`] has filled.
    ///
    /// # Errors
    /// Returns [`ResampleError::Table`] if the length of `table` is not [`Plan::table_len`].
    pub fn with_table<S: Kernel>(plan: Plan, table: T) -> Result<Self, ResampleError>
    where
        T: AsRef<[S::Taps]>,
    {
        let got = table.as_ref().len();
        if got != plan.table_len() {
            return Err(ResampleError::Table { need: plan.table_len(), got });
        }
        Ok(Self { plan, phase_factor: plan.phase_factor(), table })
    }

    /// The plan of the design.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Resamples one channel from `input` to `output`, until the input is used up or the output is full, and returns
    /// how many samples were taken and written. While the output has room, exactly [`Plan::output_len`] of `n` samples
    /// have been written in all when `n` have been taken. If the output is full, input is taken up to the sample at
    /// which the next output sample would be due.
    ///
    /// # Panics
    /// If `line` was made for another plan than this design.
    pub fn process<S: Kernel, H>(&self, line: &mut Line<S, H>, input: &[S], output: &mut [S]) -> Processed
    where
        T: AsRef<[S::Taps]>,
        H: AsRef<[S]> + AsMut<[S]>,
    {
        assert!(line.plan == self.plan, "a channel goes through the design that it was made for");
        let table = self.table.as_ref();
        if self.plan.is_steered() {
            line.run(input, output, |window, position| self.between(table, window, position))
        } else {
            let blocks = self.plan.taps() / LANES;
            line.run(input, output, |window, position| {
                let first = position as usize * blocks;
                S::narrow(S::dot(window, &table[first..first + blocks]))
            })
        }
    }

    /// A sample between two phases of the table.
    #[inline]
    fn between<S: Kernel>(&self, table: &[S::Taps], window: &[S], position: u64) -> S {
        let blocks = self.plan.taps() / LANES;
        let phase = ((u128::from(position) * u128::from(self.phase_factor)) >> 50) as u64;
        let first = (phase >> 32) as usize * blocks;
        let before = S::dot(window, &table[first..first + blocks]);
        let after = S::dot(window, &table[first + blocks..first + 2 * blocks]);
        let share = I2F30::from_bits((phase as u32 >> 2) as i32);
        let mut acc = S::mac(S::Acc::default(), before, S::tap(I2F30::ONE - share));
        acc = S::mac(acc, after, S::tap(share));
        S::narrow(S::settle(&mut acc))
    }
}
