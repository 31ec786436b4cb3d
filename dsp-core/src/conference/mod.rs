//! Conference mixer: everybody hears everybody but himself (N-1, "mix-minus").
//!
//! Each participant is a [`Port`] with a frame of 16-bit samples at the conference's own rate; a receiver or a resampler
//! before it converts other rates, so participants with different codecs meet here. Once a frame the caller writes each
//! participant's frame ([`Conference::frame`]), says how loud he is if he knows ([`Conference::set_activity`]), calls
//! [`Conference::mix`], and reads what each one hears ([`Conference::others`]) and what a recorder hears
//! ([`Conference::all`]).
//!
//! * The sum is taken once, 32 bits wide, and each participant's own frame is subtracted from it, so the cost grows
//!   with the number of participants, not with its square. What one hears is exact to the last bit as long as the
//!   limiter is at rest.
//! * The limiter replaces wrapping, clipping and division by the number of talkers: above -1 dBov one gain for the
//!   whole conference goes down within the frame and comes back by 67 dB/s. See [`LimiterStats`].
//! * With [`ConferenceConfig::loudest`] only so many participants are in the sum: the loudest ones that speak, with
//!   hysteresis, by the levels that the caller gives (from a meter, or from the header extension of RFC 6464).
//! * Each change (gain, mute, becoming one of the loudest) is a ramp of 10 ms. A participant who joins fades in. One whose
//!   frame is missing, or who leaves, fades out within one frame: the frame that he sent last is played backwards under
//!   a falling gain, which begins exactly where his sound ended.
//!
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
//! Delay: none. Cost: an addition and a subtraction a sample of each participant; a multiplication more where a gain is
//! not 0 dB, and another while the limiter works. Memory: `2 * SAMPLES` + 72 bytes a participant, rounded up to 16, `12 * SAMPLES` + 128
//! bytes for the conference; no heap. Integers only: the same bits on every target.

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
    /// The rate at which all participants are mixed, in Hz: 8,000 to 48,000.
    pub sample_rate_hz: u32,
    /// Samples of each frame: at most the `SAMPLES` of the ports. 10 ms is usual.
    pub frame_samples: usize,
    /// How many participants are heard at once, the loudest of those who speak, beside those with
    /// [`FloorPriority::Always`]. `None`: all are heard.
    pub loudest: Option<NonZeroU16>,
    /// Whether each participant's peak and clipped samples are counted ([`PortStats`]), which costs a tenth more.
    pub meters: bool,
}

impl Default for ConferenceConfig {
    /// 16 kHz, frames of 10 ms, all are heard, without meters.
    fn default() -> Self {
        Self { sample_rate_hz: 16_000, frame_samples: 160, loudest: None, meters: false }
    }
}

/// Why a conference can't do what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConferenceError {
    /// This rate, in Hz, is not between 8,000 and 48,000.
    SampleRate(u32),
    /// A frame of `need` samples; there is room for at least 1 and at most `got`.
    Frame {
        /// Samples of the frame.
        need: usize,
        /// Samples that there is room for.
        got: usize,
    },
    /// Memory for this many ports: 1 to 65,535 are possible.
    Ports(usize),
    /// All ports, this many, are taken.
    Full(usize),
    /// Nobody has joined at the port with this number.
    NotJoined(usize),
    /// A gain of so many hundredths of a decibel, above the highest, 18.05 dB.
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

/// Mixes the frames of `ports`; see the module's page.
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
    /// [`ConferenceError::SampleRate`], [`ConferenceError::Frame`] and [`ConferenceError::Ports`].
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

    /// A participant joins; the answer is the number of his port. He fades in with his first frame.
    ///
    /// # Errors
    /// [`ConferenceError::Full`] if no port is free. The port of somebody who left is free after the next
    /// [`Conference::mix`].
    pub fn join(&mut self) -> Result<usize, ConferenceError> {
        let ports = self.ports.as_mut();
        let free = ports.iter().position(Port::is_free).ok_or(ConferenceError::Full(ports.len()))?;
        ports[free].join(self.config.sample_rate_hz);
        Ok(free)
    }

    /// A participant leaves. What was still heard of him fades out in the next frame.
    ///
    /// # Errors
    /// [`ConferenceError::NotJoined`].
    pub fn leave(&mut self, port: usize) -> Result<(), ConferenceError> {
        self.joined(port)?.leave();
        self.floor.forget(port);
        Ok(())
    }

    /// The participant's frame, to be written before [`Conference::mix`]. Who asks for it must fill it: what is in it is
    /// heard. A participant without a frame is silent, and counted in [`PortStats::missing_frames`].
    ///
    /// # Errors
    /// [`ConferenceError::NotJoined`].
    pub fn frame(&mut self, port: usize) -> Result<&mut [i16], ConferenceError> {
        let samples = self.config.frame_samples;
        Ok(self.joined(port)?.frame(samples))
    }

    /// How loud the participant is now, and whether he speaks: what [`ConferenceConfig::loudest`] and
    /// [`Conference::active_speaker`] go by.
    ///
    /// # Errors
    /// [`ConferenceError::NotJoined`].
    pub fn set_activity(&mut self, port: usize, activity: PortActivity) -> Result<(), ConferenceError> {
        self.joined(port)?.activity = activity;
        Ok(())
    }

    /// The gain with which the others hear a participant, in hundredths of a decibel; at -90 dB and below he is silent.
    ///
    /// # Errors
    /// [`ConferenceError::NotJoined`]; [`ConferenceError::Gain`] above 18.05 dB, and then the gain stays as it was.
    pub fn set_gain(&mut self, port: usize, hundredths_db: i16) -> Result<(), ConferenceError> {
        let gain = &mut self.joined(port)?.gain;
        gain.set_gain(hundredths_db).map_err(|_| ConferenceError::Gain(hundredths_db))
    }

    /// Whether nobody hears the participant. He goes on hearing the others.
    ///
    /// # Errors
    /// [`ConferenceError::NotJoined`].
    pub fn set_muted(&mut self, port: usize, muted: bool) -> Result<(), ConferenceError> {
        self.joined(port)?.muted = muted;
        Ok(())
    }

    /// Whether the participant has the floor before others.
    ///
    /// # Errors
    /// [`ConferenceError::NotJoined`].
    pub fn set_priority(&mut self, port: usize, priority: FloorPriority) -> Result<(), ConferenceError> {
        self.joined(port)?.priority = priority;
        Ok(())
    }

    /// What is known of a participant.
    ///
    /// # Errors
    /// [`ConferenceError::NotJoined`].
    pub fn stats(&self, port: usize) -> Result<PortStats, ConferenceError> {
        self.ports
            .as_ref()
            .get(port)
            .filter(|port| port.is_joined())
            .map(Port::stats)
            .ok_or(ConferenceError::NotJoined(port))
    }

    /// Mixes the frames that were written. After it no frame is there any more; [`Conference::all`] and
    /// [`Conference::others`] may be called until frames are written for the next time.
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

    /// Writes the sum of all participants: what a recorder or a listener without a microphone hears. `out` may be shorter than
    /// a frame.
    pub fn all(&self, out: &mut [i16]) {
        let samples = self.config.frame_samples.min(out.len());
        self.limiter.all(&self.sum.sum[..samples], &mut out[..samples]);
    }

    /// Writes what a participant hears: the sum of all others. `out` may be shorter than a frame.
    ///
    /// # Errors
    /// [`ConferenceError::NotJoined`], also for somebody who has left.
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

    /// Who speaks: the participant who has been the loudest speaker for 300 ms, until another one has. `None` before anybody
    /// has spoken that long, and after he has left.
    pub fn active_speaker(&self) -> Option<usize> {
        self.floor.active_speaker()
    }

    /// What the limiter does.
    pub fn limiter(&self) -> LimiterStats {
        self.limiter.stats()
    }

    /// The numbers of the ports at which somebody is.
    pub fn participants(&self) -> impl Iterator<Item = usize> + '_ {
        self.ports.as_ref().iter().enumerate().filter(|(_, port)| port.is_joined()).map(|(number, _)| number)
    }

    fn joined(&mut self, port: usize) -> Result<&mut Port<SAMPLES>, ConferenceError> {
        let slot = self.ports.as_mut().get_mut(port).filter(|port| port.is_joined());
        slot.ok_or(ConferenceError::NotJoined(port))
    }
}
