//! The state of one channel: the samples that are still needed, and the position of the next output sample.

use core::marker::PhantomData;

use super::plan::{Plan, ResampleError};

/// How many samples [`Design::process`](super::Design::process) took and wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Processed {
    /// Samples taken from the input.
    pub consumed: usize,
    /// Samples written to the output.
    pub produced: usize,
}

/// The state of one channel of a resampler. `H` holds the history: `[S; N]`, or a `Vec` or `Box` on a host. Positions
/// are whole numbers, so that a ratio never drifts. The channel begins in silence.
#[derive(Clone, Debug)]
pub struct Line<S, H> {
    pub(super) plan: Plan,
    history: H,
    /// Where in `history` the next output's samples begin, and how far `history` is filled.
    at: usize,
    filled: usize,
    /// The next output's place within a sample of the input, in [`Plan::positions`].
    position: u64,
    /// From an output to the next: whole samples of the input, and positions.
    whole: usize,
    part: u64,
    sample: PhantomData<S>,
}

/// A [`Line`] that contains its history of `N` samples; `N` is [`Plan::history_len`].
pub type FixedLine<S, const N: usize> = Line<S, [S; N]>;

impl<S, H> Line<S, H>
where
    S: Copy + Default,
    H: AsRef<[S]> + AsMut<[S]>,
{
    /// A channel that has been silent so far.
    ///
    /// # Errors
    /// Returns [`ResampleError::History`] if `history` has fewer samples than [`Plan::taps`].
    pub fn new(plan: Plan, history: H) -> Result<Self, ResampleError> {
        let got = history.as_ref().len();
        if got < plan.taps() {
            return Err(ResampleError::History { need: plan.taps(), got });
        }
        let mut line = Self { plan, history, at: 0, filled: 0, position: 0, whole: 0, part: 0, sample: PhantomData };
        line.reset();
        Ok(line)
    }

    /// The plan of the channel.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Makes `ppb` parts per billion more output from the same input, or less if it is negative, from the next sample
    /// on. Values beyond [`MAX_PPB`](super::MAX_PPB) count as that. It has no effect if the plan cannot be steered.
    pub fn steer(&mut self, ppb: i32) {
        let (step, positions) = (self.plan.step(ppb), self.plan.positions());
        (self.whole, self.part) = ((step / positions) as usize, step % positions);
    }

    /// Forgets all sound and the steering.
    pub fn reset(&mut self) {
        self.filled = self.plan.taps() - 1;
        self.history.as_mut()[..self.filled].fill(S::default());
        (self.at, self.position) = (0, 0);
        self.steer(0);
    }

    /// As [`reset`](Self::reset), and removes the delay: the first output sample lies exactly where the first input
    /// sample does, and comes when half the filter has gone in. It is for files, whose end is pushed out by silence of
    /// half the filter's length.
    pub fn align(&mut self) {
        self.reset();
        self.filled -= self.plan.delay_samples();
    }

    /// Calls `filter` with the samples and the position of each output.
    #[inline]
    pub(super) fn run(&mut self, input: &[S], output: &mut [S], filter: impl Fn(&[S], u64) -> S) -> Processed {
        let (taps, positions) = (self.plan.taps(), self.plan.positions());
        let history = self.history.as_mut();
        let (mut at, mut filled, mut position, mut used) = (self.at, self.filled, self.position, 0);
        let Processed { mut consumed, mut produced } = Processed::default();
        loop {
            while at + taps <= filled && produced < output.len() {
                output[produced] = filter(&history[at..at + taps], position);
                produced += 1;
                used = at + taps;
                position += self.part;
                at += self.whole;
                if position >= positions {
                    position -= positions;
                    at += 1;
                }
            }
            if at + taps <= filled || consumed == input.len() {
                break;
            }
            // There are fewer than `taps` left, so that there is room. (An output is at most its filter's length
            // behind the one before.)
            history.copy_within(at..filled, 0);
            (filled, at, used) = (filled - at, 0, 0);
            let len = (history.len() - filled).min(input.len() - consumed);
            history[filled..filled + len].copy_from_slice(&input[consumed..consumed + len]);
            filled += len;
            consumed += len;
        }
        // What a full output had no room for is given back.
        let back = filled.saturating_sub(used.max(at + taps - 1)).min(consumed);
        (self.at, self.filled, self.position) = (at, filled - back, position);
        Processed { consumed: consumed - back, produced }
    }
}
