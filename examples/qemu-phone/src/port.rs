//! The chip's port: as it is, or, where the chip's clock is its own, through a resampler that follows it.

use dsp_core::kernel::Taps16;
use dsp_core::process::resample::{Plan, Quality, table_i16};
use dsp_core::time::Instant;
use host_embedded::drift::{DriftPort, plan};
use host_embedded::port::{AudioPort, Overrun, PortDelay, Underrun};
use host_embedded::pump::PumpPort;
use static_cell::ConstStaticCell;

use crate::chip::{DEPTH, NARROW, WIDE};
use crate::clock;

const NARROW_PLAN: Plan = plan(80, Quality::Fast);
const WIDE_PLAN: Plan = plan(160, Quality::Fast);
static NARROW_TABLE: [Taps16; NARROW_PLAN.table_len()] = table_i16(&NARROW_PLAN);
static WIDE_TABLE: [Taps16; WIDE_PLAN.table_len()] = table_i16(&WIDE_PLAN);

type Pumped = PumpPort<'static, 80, DEPTH>;
type Steered<const FRAME: usize> = DriftPort<'static, PumpPort<'static, FRAME, DEPTH>, fn() -> Instant, FRAME>;

/// One of both.
#[allow(clippy::large_enum_variant, reason = "it lies in the call's task, once")]
pub(crate) enum ChipPort<const FRAME: usize> {
    /// The chip's clock is the board's.
    Same(PumpPort<'static, FRAME, DEPTH>),
    /// It's another.
    Own(Steered<FRAME>),
}

/// At 8 kHz; `own`: the chip has a clock of its own. To be called once for each.
pub(crate) fn narrow(own: bool) -> ChipPort<80> {
    static ROOM: ConstStaticCell<[[i16; NARROW_PLAN.history_len(80)]; 2]> =
        ConstStaticCell::new([[0; NARROW_PLAN.history_len(80)]; 2]);
    let port: Pumped = NARROW.port();
    if !own {
        return ChipPort::Same(port);
    }
    let [heard, played] = ROOM.take();
    let steered = Steered::new(port, clock::now, Quality::Fast, &NARROW_TABLE, [heard, played]);
    ChipPort::Own(steered.expect("table and room are of this plan"))
}

/// The same at 16 kHz.
pub(crate) fn wide(own: bool) -> ChipPort<160> {
    static ROOM: ConstStaticCell<[[i16; WIDE_PLAN.history_len(160)]; 2]> =
        ConstStaticCell::new([[0; WIDE_PLAN.history_len(160)]; 2]);
    if !own {
        return ChipPort::Same(WIDE.port());
    }
    let [heard, played] = ROOM.take();
    let steered = Steered::new(WIDE.port(), clock::now, Quality::Fast, &WIDE_TABLE, [heard, played]);
    ChipPort::Own(steered.expect("table and room are of this plan"))
}

impl<const FRAME: usize> ChipPort<FRAME> {
    /// By how much the chip's clock is found to be slow, in parts per billion.
    pub(crate) fn drift_ppb(&self) -> Option<i32> {
        match self {
            Self::Same(_) => None,
            Self::Own(port) => Some(port.drift_ppb()),
        }
    }
}

impl<const FRAME: usize> AudioPort<FRAME> for ChipPort<FRAME> {
    async fn read(&mut self, pcm: &mut [i16; FRAME]) -> Result<(), Overrun> {
        match self {
            Self::Same(port) => port.read(pcm).await,
            Self::Own(port) => port.read(pcm).await,
        }
    }

    async fn write(&mut self, pcm: &[i16; FRAME]) -> Result<(), Underrun> {
        match self {
            Self::Same(port) => port.write(pcm).await,
            Self::Own(port) => port.write(pcm).await,
        }
    }

    fn delay(&self) -> PortDelay {
        match self {
            Self::Same(port) => port.delay(),
            Self::Own(port) => port.delay(),
        }
    }
}
