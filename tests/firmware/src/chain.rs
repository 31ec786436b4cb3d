//! What the steps between microphone and stream cost at 16 kHz, each alone and all of them: as `echo` does.

use dsp_core::noise::WidebandNoiseSuppressor;
use dsp_core::process::agc::Agc;

use crate::echo::report;
use crate::{chained, echoed};

/// Prints hashes and figures.
pub fn measure() {
    report("chain noise", size_of::<WidebandNoiseSuppressor>(), |clock| chained::noise(echoed::BLOCKS, clock));
    report("chain gain", size_of::<Agc>(), |clock| chained::gain(echoed::BLOCKS, clock));
    report("chain whole", size_of::<chained::Chain>(), |clock| chained::chain(echoed::BLOCKS, clock));
}
