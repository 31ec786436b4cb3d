//! Strategy: who decides how long packets wait and what is done meanwhile.
//!
//! A [`Receiver`](super::Receiver) asks three questions, all in plain numbers: which delay to steer to, what to do for
//! the next samples, whether to change speed. [`Standard`] answers as `delay` and `decision` do; another strategy
//! overrides what it knows better. The receiver keeps its bounds whatever it's told.
//!
//! Which delay to steer to is asked once a call of [`play`](super::Receiver::play), at its beginning, and holds to its
//! end. What to do is asked for each piece of sound that is made: as often as the packets need it, and not at all where
//! the sound of a tick is there already. Whether to change speed is asked once for each packet that is decoded, unless
//! the last change is too recent or sound is being made up.
//!
//! Use it where a program knows more of its network or its listener than packets tell. Cost: a dynamic call for each
//! question, and what the answer takes. A strategy of one's own, which waits for 100 ms always and leaves everything else as
//! it is:
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

/// Decides for a receiver; see the module's page.
pub trait Strategy {
    /// The delay to steer to, in ticks after the fastest packet: asked once a tick, before anything else.
    fn target(&mut self, estimate: &Estimate) -> u32 {
        estimate.target
    }

    /// What to do for the next samples.
    fn operation(&mut self, situation: &Situation) -> Operation {
        decision::decide(situation)
    }

    /// Whether to play what was just decoded faster or slower.
    fn stretch(&mut self, pace: &Pace) -> Option<Stretch> {
        decision::stretch(pace)
    }
}

/// What a receiver does by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standard;

impl Strategy for Standard {}
