//! The hook switch: from a contact that bounces to the user's actions with the receiver.
//!
//! Use it where a contact shows whether the receiver is lifted: read it in each tick and pass its events to
//! [`Desk`](crate::desk::Desk). A new state of the contact counts once it has lasted for [`DEBOUNCE`]; a press of the cradle up
//! to [`LONGEST_FLASH`] is a hook flash, so replacing the receiver is reported only after that time.
//!
//! ```
//! use dsp_core::time::Instant;
//! use host_embedded::hook::{HookEvent, HookSwitch};
//!
//! let mut hook = HookSwitch::new();
//! let mut told = Vec::new();
//! for tick in 0..300 {
//!     // Lifted at 0.5 s, put down at 1.5 s.
//!     let contact = (50..150).contains(&tick);
//!     told.extend(hook.read(Instant::from_millis(10 * tick), contact).map(|event| (tick, event)));
//! }
//! assert_eq!(told, [(52, HookEvent::OffHook), (221, HookEvent::OnHook)]);
//! ```
//!
//! Limits: on a phone without hook flash, replacing the receiver is reported just as late as on one with it.

use dsp_core::time::{Duration, Instant};

/// An action of the user at the hook switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HookEvent {
    /// The receiver was lifted.
    OffHook,
    /// The receiver was put down, and has lain there for longer than a flash lasts.
    OnHook,
    /// The cradle was pressed for a short time: a hook flash.
    Flash,
}

/// The time for which the contact must be stable before its state counts.
pub const DEBOUNCE: Duration = Duration::from_millis(20);
/// Longest hook flash; the receiver is put down once this is over (ETSI ES 201 970 has up to 130 ms for European lines; North American
/// ones take up to 1.1 s, users press for half a second).
pub const LONGEST_FLASH: Duration = Duration::from_millis(700);

/// Reads a contact each tick.
///
/// ```
/// use dsp_core::time::Instant;
/// use host_embedded::hook::{HookEvent, HookSwitch};
///
/// let mut hook = HookSwitch::new();
/// let mut events = (0..10).filter_map(|tick| hook.read(Instant::from_millis(10 * tick), tick >= 2));
/// assert_eq!(events.next(), Some(HookEvent::OffHook));
/// assert_eq!(events.next(), None);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HookSwitch {
    /// The contact as it was read last, and since when.
    raw: bool,
    since: Option<Instant>,
    /// The contact without its bouncing.
    lifted: bool,
    /// The time at which the receiver was put on its cradle, until that is reported.
    down: Option<Instant>,
}

impl Default for HookSwitch {
    fn default() -> Self {
        Self::new()
    }
}

impl HookSwitch {
    /// Creates a hook switch whose receiver is on its cradle.
    pub const fn new() -> Self {
        Self { raw: false, since: None, lifted: false, down: None }
    }

    /// The contact at `now`: whether the receiver is lifted. To be read at least every 10 ms.
    pub fn read(&mut self, now: Instant, lifted: bool) -> Option<HookEvent> {
        if lifted != self.raw || self.since.is_none() {
            (self.raw, self.since) = (lifted, Some(now));
        }
        let since = self.since.unwrap_or(now);
        if self.raw != self.lifted && now.since(since) >= DEBOUNCE {
            self.lifted = self.raw;
            if !self.lifted {
                self.down = Some(since);
            } else if self.down.take().is_some() {
                return Some(HookEvent::Flash);
            } else {
                return Some(HookEvent::OffHook);
            }
        }
        let down = self.down.take_if(|down| now.since(*down) > LONGEST_FLASH);
        down.map(|_| HookEvent::OnHook)
    }

    /// Returns whether the receiver is lifted, without bouncing.
    pub fn is_lifted(&self) -> bool {
        self.lifted || self.down.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn events(contact: impl Fn(u64) -> bool) -> Vec<(u64, HookEvent)> {
        let mut hook = HookSwitch::new();
        let read = |ms: u64| hook.read(Instant::from_millis(ms), contact(ms)).map(|event| (ms, event));
        (0..4_000).step_by(5).filter_map(read).collect()
    }

    #[test]
    fn lifted_flashed_and_put_down() {
        let contact = |ms| (100..1_000).contains(&ms) || (1_400..2_000).contains(&ms);
        let expected = [(120, HookEvent::OffHook), (1_420, HookEvent::Flash), (2_705, HookEvent::OnHook)];
        assert_eq!(events(contact), expected);
    }

    #[test]
    fn bouncing_is_nothing() {
        let contact = |ms| (100..115).contains(&ms) || (ms >= 200 && (ms > 260 || ms / 10 % 2 == 0));
        assert_eq!(events(contact), [(280, HookEvent::OffHook)]);
    }
}
