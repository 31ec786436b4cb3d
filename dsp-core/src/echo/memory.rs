//! Memory of a canceller's parts as a type: a part that isn't there takes none.

use super::saturation::Saturation;
use super::search::search_memory;
use crate::spectrum::Spectrum;
use crate::storage::Storage;

/// Memory of the parts that not every canceller has. `B` and `P` as of the [`EchoCanceller`](super::EchoCanceller).
pub trait EchoMemory<const B: usize, const P: usize> {
    /// The second filter: as many spectra as the tail has blocks, or none.
    type Second: Storage<Spectrum<B>>;
    /// The model of a saturating loudspeaker: one, or none.
    type Saturation: Storage<SaturationModel<B>>;
    /// The delay search: [`search_memory`], or nothing.
    type Search: Storage<f32>;

    /// All of it, whatever lies in it.
    fn parts() -> (Self::Second, Self::Saturation, Self::Search);
}

/// A part of [`EchoMemory`].
#[derive(Clone, Copy, Debug)]
pub struct SaturationModel<const B: usize>(pub(super) Saturation<B>);

impl<const B: usize> SaturationModel<B> {
    /// One that has heard nothing.
    pub const NEW: Self = Self(Saturation::NEW);
}

/// Memory for every part, and a delay search over 520 ms.
#[derive(Clone, Copy, Debug)]
pub enum EveryPart {}

/// Memory for filter, drift loop, suppressor, and a delay search over 250 ms: for small parts.
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
