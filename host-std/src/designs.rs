//! Resamplers of calls: one table of taps for each pair of rates in the whole process, and a line for each channel.
//!
//! A thousand calls at a device of 44.1 kHz share the 20 KB of a table. It's looked up, or made, where something is agreed
//! on; where no call has it any more it is given back. Quality: [`Quality::Good`], 91 dB; delay: 32 samples of the lower
//! rate, 4 ms at 8 kHz and 0.7 ms at 48 kHz.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use dsp_core::kernel::{LANES, Taps16};
use dsp_core::process::resample::{Design, Line, Plan, Quality, ResampleError};
use dsp_core::time::Duration;

type Table = Design<Box<[Taps16]>>;

/// Those that are in use.
static DESIGNS: Mutex<Vec<Weak<Table>>> = Mutex::new(Vec::new());

/// What it takes to make sound of one rate from another's, for any number of channels.
#[derive(Clone, Debug)]
pub(crate) struct Resampling(Arc<Table>);

/// One channel of it.
pub(crate) type Channel = Line<i16, Box<[i16]>>;

impl Resampling {
    /// From `from_hz` to `to_hz`.
    ///
    /// # Errors
    /// [`ResampleError`] for rates that can't be brought together.
    pub(crate) fn new(from_hz: u32, to_hz: u32) -> Result<Self, ResampleError> {
        let plan = Plan::exact(from_hz, to_hz, Quality::Good)?;
        // Whoever panicked in here has left a list of what is in use all the same.
        let mut designs = DESIGNS.lock().unwrap_or_else(PoisonError::into_inner);
        designs.retain(|design| design.strong_count() > 0);
        if let Some(design) = designs.iter().filter_map(Weak::upgrade).find(|design| *design.plan() == plan) {
            return Ok(Self(design));
        }
        let table = vec![Taps16::new(&[0.0; LANES]); plan.table_len()].into_boxed_slice();
        let design = Arc::new(Design::new::<i16>(plan, table)?);
        designs.push(Arc::downgrade(&design));
        Ok(Self(design))
    }

    /// The state of a channel that is taken in by `input` samples at a time.
    ///
    /// # Errors
    /// None: the history is as long as the plan says.
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

    /// How much later a sound comes out than it went in.
    pub(crate) fn delay(&self) -> Duration {
        self.0.plan().delay()
    }

    /// The same in samples of the input.
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
