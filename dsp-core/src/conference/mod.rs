//! Conference mixer: each participant hears everybody but himself (N-1, "mix-minus").
//!
//! Each participant is a [`Port`] with a frame of 16-bit samples at the conference's sample rate. A receiver or a
//! [resampler](crate::process::resample) in front of it converts other rates, so that participants with different
//! codecs can meet. In each frame the caller writes the participants' frames ([`Conference::frame`]), tells how loud
//! they are if that is known ([`Conference::set_activity`]), calls [`Conference::mix`], and reads what each one hears
//! ([`Conference::others`]) and what a recorder hears ([`Conference::all`]).
//!
//! Use it for three participants and more on a server or a phone. To add a few signals with fixed gains there is
//! [`mixer`](crate::process::mixer).
//!
//! - The sum is taken once, in 32 bits, and each participant's own frame is subtracted from it, so that the cost grows
//!   with the number of participants and not with its square. Each listener hears the exact sum as long as the limiter
//!   does not act.
//! - The limiter lowers one gain for the whole conference when the sum exceeds -1 dBov, and raises it again by 67
//!   dB/s. Nothing wraps or clips, and nobody becomes quieter because others have joined. See [`LimiterStats`].
//! - With [`ConferenceConfig::loudest`] only that many participants are in the sum: the loudest ones that speak, with
//!   hysteresis, by the levels that the caller gives (from a [meter](crate::process::level), or from the header
//!   extension of RFC 6464).
//! - Every change (gain, mute, becoming one of the loudest) is a ramp of 10 ms. A participant who joins is faded in.
//!   When a frame is missing, or a participant leaves, his last frame is played backwards under a falling gain, so
//!   that the sound fades out without a step.
//!
//! Two participants, and what one of them hears:
//! ```
//! use dsp_core::conference::{Conference, ConferenceConfig, Port};
//!
//! let config = ConferenceConfig { sample_rate_hz: 8_000, frame_samples: 80, ..Default::default() };
//! let mut conference = Conference::new(config, [Port::<80>::EMPTY; 3])?;
//! let (anna, ben) = (conference.join()?, conference.join()?);
//! let mut heard = [0; 80];
//! // The first frame fades in.
//! for _ in 0..2 {
//!     conference.frame(anna)?.fill(1_000);
//!     conference.frame(ben)?.fill(300);
//!     conference.mix();
//!     conference.others(ben, &mut heard)?;
//! }
//! assert_eq!(heard, [1_000; 80]);
//! # Ok::<(), dsp_core::conference::ConferenceError>(())
//! ```
//!
//! # Cost and limits
//!
//! The mixer adds no delay. It takes one addition and one subtraction for each sample of a participant, another
//! multiplication where a gain is not 0 dB, and one more while the limiter acts. A conference of three takes 15,128
//! instructions for 20 ms at 8 kHz on a Cortex-M3; one of 200 takes 6.2 µs on a host (`BENCHMARKS.md`). Memory is `2 *
//! SAMPLES` + 72 bytes for each participant, rounded up to 16, and `12 * SAMPLES` + 128 bytes for the conference. The
//! arithmetic is integer, with the same bits on every target. The sample rate is 8 to 48 kHz, and everything is mono.

mod floor;
mod limiter;
mod port;
mod sum;
#[cfg(test)]
mod tests;

use core::fmt;
use core::num::NonZeroU16;

use crate::storage::Storage;

use floor::Floor;
pub use limiter::LimiterStats;
use limiter::MixLimiter;
pub use port::{FloorPriority, Port, PortActivity, PortStats};
use sum::{GROUP, Sum};

/// Settings of a [`Conference`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConferenceConfig {
    /// Sample rate at which all participants are mixed, in Hz: 8,000 to 48,000.
    pub sample_rate_hz: u32,
    /// Samples in each frame: at least 1, and at most the `SAMPLES` of the ports. 10 ms is usual.
    pub frame_samples: usize,
    /// How many participants are heard at once: the loudest of those who speak, besides those with
    /// [`FloorPriority::Always`]. With `None` all are heard.
    pub loudest: Option<NonZeroU16>,
    /// Whether the peak and the clipped samples of each participant are counted ([`PortStats`]). It takes a tenth more
    /// time.
    pub meters: bool,
}

impl Default for ConferenceConfig {
    /// 16 kHz, frames of 10 ms, everybody heard, no meters.
    fn default() -> Self {
        Self { sample_rate_hz: 16_000, frame_samples: 160, loudest: None, meters: false }
    }
}

/// Why a conference cannot do what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConferenceError {
    /// This sample rate, in Hz, is not between 8,000 and 48,000.
    SampleRate(u32),
    /// A frame of `need` samples is not possible: at least 1 and at most `got` samples are.
    Frame {
        /// Samples of the frame.
        need: usize,
        /// Samples that a port has room for.
        got: usize,
    },
    /// There is memory for this many ports, which is not between 1 and 65,535.
    Ports(usize),
    /// All ports, this many, are taken.
    Full(usize),
    /// Nobody has joined at the port with this number.
    NotJoined(usize),
    /// This gain, in hundredths of a decibel, is above the highest, 18.05 dB.
    Gain(i16),
}

impl fmt::Display for ConferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SampleRate(rate) => write!(f, "a conference at {rate} Hz; 8000 to 48000 Hz are possible"),
            Self::Frame { need, got } => write!(f, "a frame of {need} samples; 1 to {got} are possible"),
            Self::Ports(ports) => write!(f, "a conference of {ports} ports; 1 to 65535 are possible"),
            Self::Full(ports) => write!(f, "all {ports} ports of the conference are taken"),
            Self::NotJoined(port) => write!(f, "nobody has joined at port {port} of the conference"),
            Self::Gain(gain) => write!(f, "a gain of {gain}/100 dB; at most 1805 are possible"),
        }
    }
}

impl core::error::Error for ConferenceError {}

/// Mixes the frames of its participants so that each one hears the others. `P` is memory for the ports: an array, or
/// on a host a boxed slice. [The module's page](self) has an example, the rules and the cost.
#[derive(Clone, Debug)]
pub struct Conference<P: Storage<Port<SAMPLES>>, const SAMPLES: usize> {
    config: ConferenceConfig,
    ports: P,
    sum: Sum<SAMPLES>,
    limiter: MixLimiter<SAMPLES>,
    floor: Floor,
}

impl<P: Storage<Port<SAMPLES>>, const SAMPLES: usize> Conference<P, SAMPLES> {
    /// An empty conference with memory for as many participants as there are `ports`.
    ///
    /// # Errors
    /// Returns [`ConferenceError::SampleRate`] for a rate outside 8,000 to 48,000 Hz, [`ConferenceError::Frame`] for
    /// frames without samples or with more than `SAMPLES`, and [`ConferenceError::Ports`] if there are no ports or
    /// more than 65,535.
    pub fn new(config: ConferenceConfig, mut ports: P) -> Result<Self, ConferenceError> {
        if !(8_000..=48_000).contains(&config.sample_rate_hz) {
            return Err(ConferenceError::SampleRate(config.sample_rate_hz));
        }
        if !(1..=SAMPLES).contains(&config.frame_samples) {
            return Err(ConferenceError::Frame { need: config.frame_samples, got: SAMPLES });
        }
        let slots = ports.as_mut();
        if !(1..=usize::from(u16::MAX)).contains(&slots.len()) {
            return Err(ConferenceError::Ports(slots.len()));
        }
        slots.fill(Port::EMPTY);
        Ok(Self {
            config,
            ports,
            sum: Sum::EMPTY,
            limiter: MixLimiter::new(config.sample_rate_hz, config.frame_samples),
            floor: Floor::new(&config),
        })
    }

    /// Lets a participant join, and returns the number of his port. He is faded in with his first frame.
    ///
    /// # Errors
    /// Returns [`ConferenceError::Full`] if no port is free. The port of a participant who left is free after the next
    /// [`Conference::mix`].
    pub fn join(&mut self) -> Result<usize, ConferenceError> {
        let ports = self.ports.as_mut();
        let free = ports.iter().position(Port::is_free).ok_or(ConferenceError::Full(ports.len()))?;
        ports[free].join(self.config.sample_rate_hz);
        Ok(free)
    }

    /// Lets a participant leave. What was heard of him fades out in the next frame.
    ///
    /// # Errors
    /// Returns [`ConferenceError::NotJoined`] if nobody has joined at this port.
    pub fn leave(&mut self, port: usize) -> Result<(), ConferenceError> {
        self.joined(port)?.leave();
        self.floor.forget(port);
        Ok(())
    }

    /// The participant's frame, which the caller fills before [`Conference::mix`]; all of its samples are heard. A
    /// participant whose frame is not asked for is silent, and counted in [`PortStats::missing_frames`].
    ///
    /// # Errors
    /// Returns [`ConferenceError::NotJoined`] if nobody has joined at this port.
    pub fn frame(&mut self, port: usize) -> Result<&mut [i16], ConferenceError> {
        let samples = self.config.frame_samples;
        Ok(self.joined(port)?.frame(samples))
    }

    /// Sets how loud the participant is now and whether he speaks. [`ConferenceConfig::loudest`] and
    /// [`Conference::active_speaker`] depend on it.
    ///
    /// # Errors
    /// Returns [`ConferenceError::NotJoined`] if nobody has joined at this port.
    pub fn set_activity(&mut self, port: usize, activity: PortActivity) -> Result<(), ConferenceError> {
        self.joined(port)?.activity = activity;
        Ok(())
    }

    /// Sets the gain with which the others hear a participant, in hundredths of a decibel. At -90 dB and below he is
    /// silent.
    ///
    /// # Errors
    /// Returns [`ConferenceError::NotJoined`] if nobody has joined at this port, and [`ConferenceError::Gain`] for a
    /// gain above 18.05 dB; the gain stays as it was then.
    pub fn set_gain(&mut self, port: usize, hundredths_db: i16) -> Result<(), ConferenceError> {
        let gain = &mut self.joined(port)?.gain;
        gain.set_gain(hundredths_db).map_err(|_| ConferenceError::Gain(hundredths_db))
    }

    /// Sets whether a participant is muted for all others. He still hears them.
    ///
    /// # Errors
    /// Returns [`ConferenceError::NotJoined`] if nobody has joined at this port.
    pub fn set_muted(&mut self, port: usize, muted: bool) -> Result<(), ConferenceError> {
        self.joined(port)?.muted = muted;
        Ok(())
    }

    /// Sets whether a participant has the floor before others.
    ///
    /// # Errors
    /// Returns [`ConferenceError::NotJoined`] if nobody has joined at this port.
    pub fn set_priority(&mut self, port: usize, priority: FloorPriority) -> Result<(), ConferenceError> {
        self.joined(port)?.priority = priority;
        Ok(())
    }

    /// Counters of a participant.
    ///
    /// # Errors
    /// Returns [`ConferenceError::NotJoined`] if nobody has joined at this port.
    pub fn stats(&self, port: usize) -> Result<PortStats, ConferenceError> {
        self.ports
            .as_ref()
            .get(port)
            .filter(|port| port.is_joined())
            .map(Port::stats)
            .ok_or(ConferenceError::NotJoined(port))
    }

    /// Mixes the frames that were written and takes them away. Call [`Conference::all`] and [`Conference::others`]
    /// afterwards, before frames are written again.
    pub fn mix(&mut self) {
        let samples = self.config.frame_samples;
        let ports = self.ports.as_mut();
        self.floor.choose(ports);
        for (number, group) in ports.chunks_mut(GROUP).enumerate() {
            group.iter_mut().for_each(|port| port.prepare(samples, self.config.meters));
            self.sum.add(group, samples, number == 0);
        }
        self.limiter.plan(&self.sum, samples);
    }

    /// Writes the sum of all participants into `out`: what a recorder, or a listener without a microphone, hears.
    /// `out` may be shorter than a frame.
    pub fn all(&self, out: &mut [i16]) {
        let samples = self.config.frame_samples.min(out.len());
        self.limiter.all(&self.sum.sum[..samples], &mut out[..samples]);
    }

    /// Writes what a participant hears into `out`: the sum of all others. `out` may be shorter than a frame.
    ///
    /// # Errors
    /// Returns [`ConferenceError::NotJoined`] if nobody has joined at this port, or if he has left.
    pub fn others(&self, port: usize, out: &mut [i16]) -> Result<(), ConferenceError> {
        let samples = self.config.frame_samples.min(out.len());
        let own = self.ports.as_ref().get(port).filter(|port| port.is_joined());
        let own = own.ok_or(ConferenceError::NotJoined(port))?;
        let (sum, out) = (&self.sum.sum[..samples], &mut out[..samples]);
        if own.in_sum {
            self.limiter.others(sum, &own.samples[..samples], out);
        } else {
            self.limiter.all(sum, out);
        }
        Ok(())
    }

    /// Port of the active speaker: the participant who has been the loudest speaker for 300 ms, until another one has.
    /// `None` before anybody has spoken that long, and after the active speaker has left.
    pub fn active_speaker(&self) -> Option<usize> {
        self.floor.active_speaker()
    }

    /// Counters of the limiter.
    pub fn limiter(&self) -> LimiterStats {
        self.limiter.stats()
    }

    /// Numbers of the ports at which somebody has joined.
    pub fn participants(&self) -> impl Iterator<Item = usize> + '_ {
        self.ports.as_ref().iter().enumerate().filter(|(_, port)| port.is_joined()).map(|(number, _)| number)
    }

    fn joined(&mut self, port: usize) -> Result<&mut Port<SAMPLES>, ConferenceError> {
        let slot = self.ports.as_mut().get_mut(port).filter(|port| port.is_joined());
        slot.ok_or(ConferenceError::NotJoined(port))
    }
}
