//! Strategy: how long packets wait, and what is played meanwhile.
//!
//! A [`Receiver`](super::Receiver) asks a [`Strategy`] three questions, all in plain numbers: which delay to steer to,
//! what to do for the next samples, and whether to change the speed. [`Standard`] gives the answers of the receiver
//! itself. Another strategy overrides one or more of them. The receiver keeps its bounds whatever the answers are.
//!
//! The target delay is asked for once in each call of [`play_with`](super::Receiver::play_with), at its beginning. The
//! operation is asked for each piece of sound that is made: as often as the packets require, and not at all if the
//! sound of a tick is there already. The change of speed is asked for once for each packet that is decoded, unless the
//! last change is too recent or sound is being concealed.
//!
//! Use a strategy where a program knows more about its network or its listener than the packets tell. It costs one
//! dynamic call for each question. For another bound of the delay alone, [`DelayConfig`](super::DelayConfig) is
//! enough.
//!
//! A strategy that always waits 100 ms and leaves everything else to the receiver:
//!
//! ```
//! use dsp_core::codec::g711::Pcmu;
//! use dsp_core::receive::strategy::{Estimate, Strategy};
//! use dsp_core::receive::{NarrowbandReceiver, ReceiverConfig};
//! use dsp_core::send::{NarrowbandSender, SenderConfig};
//! use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
//!
//! struct Steady;
//!
//! impl Strategy for Steady {
//!     fn target(&mut self, _: &Estimate) -> u32 {
//!         // Ticks of 8 kHz.
//!         800
//!     }
//! }
//!
//! # let config = SenderConfig {
//! #     ssrc: Ssrc(7),
//! #     first_seq: Seq(1),
//! #     first_timestamp: RtpTime(0),
//! #     payload_type: PayloadType::PCMU,
//! #     ptime_ms: 20,
//! # };
//! let mut sender = NarrowbandSender::new(config, &Pcmu)?;
//! let mut receiver = NarrowbandReceiver::new(ReceiverConfig::default())?;
//! let (mut now, mut datagram, mut pcm, mut target_ms) = (Instant::ZERO, [0; 172], [0; 160], 0);
//! for _ in 0..100 {
//!     sender.capture(&[1_000; 160])?;
//!     while let Some(len) = sender.packet(&mut Pcmu, &mut datagram) {
//!         receiver.receive(now, &datagram[..len?])?;
//!     }
//!     let played = receiver.play_with(now, &mut (PayloadType::PCMU, Pcmu), &mut Steady, &mut pcm);
//!     target_ms = played.target_delay_ms;
//!     now += Duration::from_millis(20);
//! }
//! assert_eq!(target_ms, 100);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::decision;
pub use super::decision::{Next, Operation, Pace, Sending, Situation, Stretch};
pub use super::delay::Estimate;

/// Decides for a receiver how long packets wait and what is played meanwhile. Every method has a default, which is the
/// receiver's own decision. [The module's page](self) says when each is asked and has an example.
///
/// Music on hold, which should not be stretched in time:
///
/// ```
/// use dsp_core::codec::g711::Pcmu;
/// use dsp_core::receive::strategy::{Pace, Strategy, Stretch};
/// use dsp_core::receive::{NarrowbandReceiver, ReceiverConfig};
/// use dsp_core::time::{Instant, PayloadType};
///
/// struct Music;
///
/// impl Strategy for Music {
///     fn stretch(&mut self, _: &Pace) -> Option<Stretch> {
///         None
///     }
/// }
///
/// let mut receiver = NarrowbandReceiver::new(ReceiverConfig::default())?;
/// let mut pcm = [0; 80];
/// let played = receiver.play_with(Instant::ZERO, &mut (PayloadType::PCMU, Pcmu), &mut Music, &mut pcm);
/// assert_eq!((played.inserted, played.removed), (0, 0));
/// # Ok::<(), dsp_core::receive::ConfigError>(())
/// ```
pub trait Strategy {
    /// Delay to steer to, in ticks after the fastest packet. It is asked for once a tick, before anything else.
    fn target(&mut self, estimate: &Estimate) -> u32 {
        estimate.target
    }

    /// What to do for the next samples.
    fn operation(&mut self, situation: &Situation) -> Operation {
        decision::decide(situation)
    }

    /// Whether to play what was just decoded faster or slower; `None` leaves it as it is.
    fn stretch(&mut self, pace: &Pace) -> Option<Stretch> {
        decision::stretch(pace)
    }
}

/// The decisions that a receiver makes by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standard;

impl Strategy for Standard {}
