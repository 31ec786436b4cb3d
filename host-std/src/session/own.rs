//! Parts of a call that a user makes: a path, a guard, a block of the capture chain, a speech detector.
//!
//! A configuration can be copied and used for many calls, so it holds what makes a part, and each call makes its own.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use dsp_core::front::{CaptureBlock, FrontError, InFloat};
use dsp_core::guard::PacketGuard;
use dsp_core::process::activity::SpeechDetector;

use super::Channel;
use super::front::FRAME;
use super::transport::Path;

/// A guard of one call.
pub type BoxedGuard = Box<dyn PacketGuard + Send>;
/// A block of the capture chain of one channel of a call's sound.
pub type BoxedBlock = Box<dyn CaptureBlock<i16> + Send>;

type MakePath = dyn Fn(Channel, SocketAddr) -> Box<dyn Path> + Send + Sync;
type MakeGuard = dyn Fn() -> Option<BoxedGuard> + Send + Sync;
type MakeBlock = dyn Fn(u32) -> Result<BoxedBlock, FrontError> + Send + Sync;

type MakeDetector = dyn Fn(u32) -> HostDetector + Send + Sync;

/// What makes the paths of a call: [`CallConfig::path`](super::CallConfig::path).
#[derive(Clone)]
pub struct OwnPath(Arc<MakePath>);

/// What makes the guard of a call: [`CallConfig::guard`](super::CallConfig::guard).
#[derive(Clone)]
pub struct OwnGuard(Arc<MakeGuard>);

/// What makes a block of the capture chain: [`CallConfig::capture`](super::CallConfig::capture).
#[derive(Clone)]
pub struct OwnBlock(Arc<MakeBlock>);

/// What makes the speech detector of a stream: [`CallConfig::detector`](super::CallConfig::detector).
#[derive(Clone)]
pub struct OwnDetector(Arc<MakeDetector>);

/// A speech detector on the heap.
pub(super) struct HostDetector(Box<dyn SpeechDetector + Send>);

impl HostDetector {
    pub(super) fn new(detector: impl SpeechDetector + Send + 'static) -> Self {
        Self(Box::new(detector))
    }
}

impl SpeechDetector for HostDetector {
    fn is_speech(&mut self, pcm: &[i16]) -> bool {
        self.0.is_speech(pcm)
    }
}

impl OwnDetector {
    /// `make` gets the rate of the sound that is sent, in Hz; it is asked once for each codec that pauses by comfort noise.
    pub fn new<D: SpeechDetector + Send + 'static>(make: impl Fn(u32) -> D + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |rate_hz| HostDetector::new(make(rate_hz))))
    }

    pub(super) fn make(&self, sample_rate_hz: u32) -> HostDetector {
        (self.0)(sample_rate_hz)
    }
}

impl OwnPath {
    /// `make` gets the port that the path is for and the address that the other side's description names.
    pub fn new(make: impl Fn(Channel, SocketAddr) -> Box<dyn Path> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub(super) fn make(&self, channel: Channel, named: SocketAddr) -> Box<dyn Path> {
        (self.0)(channel, named)
    }
}

impl OwnGuard {
    /// `make` gives `None` as long as there are no keys: the call waits then, sends nothing and plays nothing, until
    /// [`Call::set_guard`](super::Call::set_guard).
    pub fn new(make: impl Fn() -> Option<BoxedGuard> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub(super) fn make(&self) -> Option<BoxedGuard> {
        (self.0)()
    }
}

impl OwnBlock {
    /// `make` gets the rate of the sound in Hz, and is asked once for each channel.
    pub fn new(make: impl Fn(u32) -> BoxedBlock + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |rate_hz| Ok(make(rate_hz))))
    }

    /// As [`new`](Self::new), of a block in floating point, between one conversion each way.
    pub fn in_float<B: CaptureBlock<f32> + Send + 'static>(make: impl Fn(u32) -> B + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |rate_hz| {
            let block = InFloat::<B, FRAME>::new(make(rate_hz), rate_hz)?;
            Ok(Box::new(block) as BoxedBlock)
        }))
    }

    /// A block for one channel.
    ///
    /// # Errors
    /// [`FrontError::Frame`] for a rate at which 10 ms are too long.
    pub(super) fn make(&self, sample_rate_hz: u32) -> Result<BoxedBlock, FrontError> {
        (self.0)(sample_rate_hz)
    }
}

impl fmt::Debug for OwnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnPath")
    }
}

impl fmt::Debug for OwnDetector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnDetector")
    }
}

impl fmt::Debug for OwnGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnGuard")
    }
}

impl fmt::Debug for OwnBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnBlock")
    }
}
