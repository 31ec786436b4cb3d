//! Tables of taps on the heap, one for each plan in the whole process; and the resamplers of calls over them.
//!
//! A thousand calls at a device of 44.1 kHz share a table each way, 41 KB up to 48 kHz and 113 KB up from 8 kHz. It's looked up,
//! or made, when a call is agreed on or a device opened, and freed when it is no longer used. A call's resampler is of
//! [`Quality::Good`], 91 dB; its delay is 32 samples of the lower rate, 4 ms at 8 kHz and 0.7 ms at 48 kHz.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use dsp_core::kernel::Kernel;
use dsp_core::process::resample::{Design, Line, Plan, Quality, ResampleError};
use dsp_core::time::Duration;

/// A plan with its table.
pub(crate) type Table<S> = Design<Box<[<S as Kernel>::Taps]>>;

/// The tables that are in use, of one kind of sample.
pub(crate) struct Tables<S: Kernel>(Mutex<Vec<Weak<Table<S>>>>);

/// Those of calls.
static SHORTS: Tables<i16> = Tables::new();
/// Those of streams.
pub(crate) static FLOATS: Tables<f32> = Tables::new();

impl<S: Kernel> Tables<S> {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The table of `plan`: one that is there, or a new one.
    ///
    /// # Errors
    /// It never fails: a table is as long as its plan says.
    pub(crate) fn of(&self, plan: Plan) -> Result<Arc<Table<S>>, ResampleError> {
        // A panic under this lock leaves the list of used tables intact all the same.
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tables.retain(|table| table.strong_count() > 0);
        if let Some(table) = tables.iter().filter_map(Weak::upgrade).find(|table| *table.plan() == plan) {
            return Ok(table);
        }
        let taps = vec![S::Taps::default(); plan.table_len()].into_boxed_slice();
        let table = Arc::new(Design::new::<S>(plan, taps)?);
        tables.push(Arc::downgrade(&table));
        Ok(table)
    }
}

/// The filter table that converts one rate to another, for any number of channels.
#[derive(Clone, Debug)]
pub(crate) struct Resampling(Arc<Table<i16>>);

/// One channel of it.
pub(crate) type Channel = Line<i16, Box<[i16]>>;

impl Resampling {
    /// Creates the table from `from_hz` to `to_hz`.
    ///
    /// # Errors
    /// [`ResampleError`] for rates that can't be brought together.
    pub(crate) fn new(from_hz: u32, to_hz: u32) -> Result<Self, ResampleError> {
        SHORTS.of(Plan::exact(from_hz, to_hz, Quality::Good)?).map(Self)
    }

    /// The state of a channel that is taken in by `input` samples at a time.
    ///
    /// # Errors
    /// It never fails: the history is as long as the plan says.
    pub(crate) fn channel(&self, input: usize) -> Result<Channel, ResampleError> {
        let plan = *self.0.plan();
        Line::new(plan, vec![0; plan.history_len(input)].into())
    }

    /// Takes all of `input`; of `n` samples in all come `n * to / from`, rounded up, as far as `output` has room. How many
    /// came.
    pub(crate) fn run(&self, channel: &mut Channel, input: &[i16], output: &mut [i16]) -> usize {
        let done = self.0.process(channel, input, output);
        debug_assert_eq!(done.consumed, input.len(), "there is room for what comes of it");
        done.produced
    }

    /// Returns the delay of sound through the filter.
    pub(crate) fn delay(&self) -> Duration {
        self.0.plan().delay()
    }

    /// Returns the same in samples of the input.
    pub(crate) fn delay_samples(&self) -> usize {
        self.0.plan().delay_samples()
    }

    /// Bytes on the heap of each channel.
    pub(crate) fn channel_bytes(&self, input: usize) -> usize {
        self.0.plan().history_len(input) * size_of::<i16>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_share_a_table_as_long_as_one_has_it() {
        let [one, other] = [(); 2].map(|()| Resampling::new(12_000, 44_100).unwrap());
        assert!(Arc::ptr_eq(&one.0, &other.0));
        let weak = Arc::downgrade(&one.0);
        drop((one, other));
        assert!(weak.upgrade().is_none(), "nobody else keeps it");
        assert!(Resampling::new(8_000, 3_999).is_err());
        let again = Resampling::new(12_000, 44_100).unwrap();
        let (mut channel, mut out) = (again.channel(120).unwrap(), [0; 441]);
        assert_eq!(again.run(&mut channel, &[100; 120], &mut out), 441);
    }
}
