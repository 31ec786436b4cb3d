//! Narrow-band sound in G.722: the higher band is left silent where there is nothing in it.
//!
//! A telephone's sound that was brought from 8 to 16 kHz has nothing above 4 kHz, but what the transition of the filter lets over
//! from below 4 kHz is in the higher band too, between 4 and 4.6 kHz. The higher band's coder makes noise of it over all
//! 4 kHz, 10 dB below: the loudest thing between 5 and 8 kHz, and heard there (PESQ-WB 3.3 instead of 4.4). So where that is
//! all that the band holds, silence is coded in its place. The octets are those of an encoder whose filter had no
//! transition; every decoder takes them.
//!
//! The higher band is turned over: what lies at 4 kHz is at half its rate. Six sums of neighbours in a row, a binomial
//! filter, take 76 dB of what is below 4.6 kHz and leave what is above 6 kHz but for 18 dB. What is left is compared with two steps of
//! 15 bits, -78 dBov: no room of a wide-band talker is as quiet up there.
//!
//! Delay: none; silence begins 100 ms after the last sound above, and ends with the next at once. State: 28 bytes.

/// Sums in a row.
const SUMS: usize = 6;
/// What sound is above, of the sums: two steps.
const SOUND: i32 = 2 << SUMS;
/// Samples of the higher band without sound before it is silent: 100 ms.
const PATIENCE: u16 = 800;

/// Listens to the higher band.
#[derive(Clone, Debug)]
pub(super) struct Narrow {
    before: [i32; SUMS],
    /// Samples since the last sound, at most [`PATIENCE`].
    quiet: u16,
}

impl Narrow {
    pub(super) const fn new() -> Self {
        Self { before: [0; SUMS], quiet: 0 }
    }

    /// A sample of the higher band, or silence where it holds nothing of its own.
    #[inline(always)]
    pub(super) fn hear(&mut self, higher: i16) -> i16 {
        let mut sum = i32::from(higher);
        for before in &mut self.before {
            (*before, sum) = (sum, sum + *before);
        }
        self.quiet = if sum.abs() >= SOUND { 0 } else { (self.quiet + 1).min(PATIENCE) };
        if self.quiet == PATIENCE { 0 } else { higher }
    }
}
