//! What is wrong, told once when it begins and once when it is over.

use dsp_core::time::{Duration, Instant};
use host_embedded::phone::Tick;

use crate::semihosting::say;

/// After so long without packets nothing comes any more, and after so long without a crowded tick a flood is over.
const PATIENCE: Duration = Duration::from_millis(1_000);
/// As many crowded ticks are a flood: a few come where the emulator is kept waiting.
const FLOOD: u32 = 20;

pub(crate) struct Watch {
    link: bool,
    /// What had come when something came last, and when that was.
    received: (u64, Instant),
    silent: bool,
    /// The last tick in which there were more packets than could be taken in, and how many there were in all.
    crowded: Option<(Instant, u32)>,
}

impl Watch {
    pub(crate) fn new(now: Instant) -> Self {
        Self { link: true, received: (0, now), silent: false, crowded: None }
    }

    /// Behind each tick: whether the link is up, what has come, and whether anything should.
    pub(crate) fn tick(&mut self, now: Instant, tick: &Tick, link: bool, received: u64, receives: bool) {
        if link != self.link {
            say!("link={}", if link { "up" } else { "down" });
            self.link = link;
        }
        if tick.overrun > 0 {
            say!("overrun={} frames", tick.overrun);
        }
        if received != self.received.0 || !receives {
            self.received = (received, now);
        }
        let silent = now.since(self.received.1) >= PATIENCE;
        if silent != self.silent {
            say!("silence={}", if silent { "begins" } else { "over" });
            self.silent = silent;
        }
        let (last, before) = self.crowded.unwrap_or((now, 0));
        if tick.crowded {
            if before + 1 == FLOOD {
                say!("flood=begins");
            }
            self.crowded = Some((now, before.saturating_add(1)));
        } else if now.since(last) >= PATIENCE {
            if before >= FLOOD {
                say!("flood=over");
            }
            self.crowded = None;
        }
    }
}
