//! Memory for the parts of a canceller, as a type, so that a missing part takes none.

use super::saturation::Saturation;
use super::search::search_memory;
use crate::spectrum::Spectrum;
use crate::storage::Storage;

/// Memory for the parts that not every canceller has: [`EveryPart`] or [`FewParts`], or one's own choice. `B` and `P`
/// are those of the [`EchoCanceller`](super::EchoCanceller).
pub trait EchoMemory<const B: usize, const P: usize> {
    /// Memory of the second filter: as many spectra as the tail has blocks, or none.
    type Second: Storage<Spectrum<B>>;
    /// Memory of the model of a saturating loudspeaker: one, or none.
    type Saturation: Storage<SaturationModel<B>>;
    /// Memory of the delay search: [`search_memory`] of its taps, or none.
    type Search: Storage<f32>;

    /// Makes the memory, with any content.
    fn parts() -> (Self::Second, Self::Saturation, Self::Search);
}

/// Memory of the model of a saturating loudspeaker.
#[derive(Clone, Copy, Debug)]
pub struct SaturationModel<const B: usize>(pub(super) Saturation<B>);

impl<const B: usize> SaturationModel<B> {
    /// A model that has not learned anything.
    pub const NEW: Self = Self(Saturation::NEW);
}

/// Memory for every part, with a delay search over 520 ms.
#[derive(Clone, Copy, Debug)]
pub enum EveryPart {}

/// Memory for filter, drift loop, suppressor and a delay search over 250 ms, for small processors.
#[derive(Clone, Copy, Debug)]
pub enum FewParts {}

impl<const B: usize, const P: usize> EchoMemory<B, P> for EveryPart {
    type Second = [Spectrum<B>; P];
    type Saturation = [SaturationModel<B>; 1];
    type Search = [f32; search_memory(1_040)];

    fn parts() -> (Self::Second, Self::Saturation, Self::Search) {
        ([Spectrum::ZERO; P], [SaturationModel::NEW; 1], [0.0; search_memory(1_040)])
    }
}

impl<const B: usize, const P: usize> EchoMemory<B, P> for FewParts {
    type Second = [Spectrum<B>; 0];
    type Saturation = [SaturationModel<B>; 0];
    type Search = [f32; search_memory(504)];

    fn parts() -> (Self::Second, Self::Saturation, Self::Search) {
        ([], [], [0.0; search_memory(504)])
    }
}
