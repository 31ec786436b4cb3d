//! Acoustic echo cancellation: it removes the loudspeaker's sound from the microphone's and keeps the near end's.
//!
//! A canceller is a [`CaptureBlock`] on `f32`: it processes the microphone in frames of 10 ms, and reads the
//! loudspeaker's sound from the render history itself. Use it where a loudspeaker and a microphone share a room; with
//! a headset it does no harm. Where the processor is too small for it,
//! [`echo_suppressor`](crate::process::echo_suppressor) attenuates the microphone instead. [`EchoCanceller`] is for 8
//! and 16 kHz and has an example; [`WideEchoCanceller`] is for 32 and 48 kHz.
//!
//! ```text
//! render history -> read at delay and drift -> high-pass, saturation, emphasis -> spectra
//!                                                                                    |
//! microphone -> high-pass, emphasis ----------------------> minus filters' estimate <-'
//!                                                                 |
//!                                        linear output <- de-emphasis -> suppressor, comfort noise -> output
//! ```
//!
//! The parts, each of which [`EchoConfig`] can leave out, so that it takes no time:
//!
//! - two adaptive filters over the tail: one that survives double talk, and one that learns a new path faster;
//! - a search for the delay of the echo over the last half second;
//! - a loop that follows the drift of the two clocks;
//! - a model of a loudspeaker that saturates;
//! - a suppressor for what is left, with a model of the late reverberation behind the filters' tail, and comfort
//!   noise.
//!
//! While the far end is a tone, neither delay nor drift is searched for, since its echo is the same one period later.
//! If no filter finds an echo within one second of far-end sound, as with a headset, there is none: nothing is
//! suppressed, and the statistics are empty, until an echo is found. A changed path shows in the projection of the
//! microphone on the estimate, which is one in double talk and zero after a change.
//!
//! # Cost and limits
//!
//! 10 ms at 16 kHz take 361,488 instructions on a Cortex-M4F on average with a tail of 70 ms and few parts, and
//! 679,418 with every part and a tail of 130 ms; on a host these are 17 µs and 26 µs. The canceller takes 52,616 and
//! 104,544 bytes, and 18 to 19 KB of stack while it runs. `BENCHMARKS.md` has its echo return loss and quality beside
//! other cancellers.
//!
//! The suppressor delays by 10 ms; without it there is no delay. `B` is the number of samples in 10 ms at 8 or 16 kHz,
//! 80 or 160. `P` is the tail in blocks of 10 ms, 3 to 26.
//!
//! # Example
//!
//! Three choices of parts; [`EchoCanceller`] shows one at work:
//!
//! ```
//! use dsp_core::echo::{EchoCanceller, EchoConfig, EchoError, EveryPart, FewParts};
//! use dsp_core::front::CaptureBlock;
//!
//! // Hands-free, with every part, at 16 kHz with a tail of 130 ms. The suppressor delays by 10 ms.
//! let hands_free = EchoCanceller::<EveryPart, 160, 13>::new(EchoConfig::default())?;
//! assert_eq!(hands_free.delay_samples(), 160);
//! // For a speech recogniser: the linear output, without delay.
//! let linear = EchoConfig { suppressor: false, comfort_noise: false, ..EchoConfig::default() };
//! assert_eq!(EchoCanceller::<EveryPart, 160, 13>::new(linear)?.delay_samples(), 0);
//! // A small processor has no memory for the second filter and the saturation model.
//! assert_eq!(EchoCanceller::<FewParts, 160, 7>::new(EchoConfig::default()).err(), Some(EchoError::Memory));
//! let few = EchoConfig { second_filter: false, saturation: false, ..EchoConfig::default() };
//! assert!(EchoCanceller::<FewParts, 160, 7>::new(few).is_ok());
//! # Ok::<(), EchoError>(())
//! ```
//!
//! # Sources
//!
//! Enzner and Vary, "Frequency-domain adaptive Kalman filter for acoustic echo control", 2006; Kuech, Mabande and Enzner,
//! "State-space architecture of the partitioned-block-based acoustic echo controller", 2014; Martin, "Noise power spectral
//! density estimation based on optimal smoothing and minimum statistics", 2001; Ephraim and Malah, 1984 (decision-directed
//! gain).

mod config;
mod drift;
mod far;
mod filter;
mod front;
mod late;
mod memory;
mod reading;
mod saturation;
mod search;
mod steady;
mod suppress;
#[cfg(test)]
mod tests;
mod wide;

use core::fmt;
use core::ops::Range;

use crate::front::{CaptureBlock, Near};
use crate::spectrum::Spectrum;

pub use config::{EchoConfig, EchoError, EchoStats};
pub use memory::{EchoMemory, EveryPart, FewParts, SaturationModel};
pub use search::search_memory;
pub use wide::WideEchoCanceller;

use crate::arithmetic::{db, dot, energy, max, only_sound};
use drift::Drift;
use far::{Position, Precision};
use filter::{FarSpectra, Kalman, Nlms, difference, estimate};
use front::{EMPHASIS, Front};
use late::Late;
use reading::Latency;
use search::{FilterState, Search};
use steady::Steady;
use suppress::{FilterChange, Suppressor};

/// Blocks of the far end's in which no filter finds anything before there seems to be no echo: 1 s.
const NO_ECHO_BLOCKS: u32 = 100;
/// The projection of the microphone on the estimate is 1 where the estimate is of an echo that there is, however loud the near
/// end, and 0 where a filter follows chance; above this there is an echo.
const PRESENT: f32 = 0.4;
/// The square of the correlation of microphone and estimate that half a second of independent noises has by chance.
const CHANCE: f32 = 1e-3;
/// The power below which the far end is silent: -60 dB of full scale a sample.
const SILENT: f32 = 1e-6;
/// How often the filter's own onset is looked at: once a second.
const FOLLOW_BLOCKS: u32 = 100;
/// Blocks in which a filter has learned the path again, behind a tone, so far that two looks at it can be compared.
const SETTLED_BLOCKS: u32 = 50;

/// An echo canceller for 8 or 16 kHz. `M` is the memory of its parts, `B` the number of samples in 10 ms, and `P` the
/// tail in blocks of 10 ms.
///
/// A microphone hears the loudspeaker 30 ms later at half its level:
/// A microphone that hears the loudspeaker 30 ms later at half its level:
///
/// ```
/// use dsp_core::echo::{EchoCanceller, EchoConfig, EveryPart};
/// use dsp_core::front::{FrontConfig, FrontEnd, InFloat, Media, Step};
/// use dsp_core::receive::Played;
/// use dsp_core::time::Instant;
///
/// # struct Far(u32);
/// # impl Media for Far {
/// #     type Transmit = ();
/// #     fn play(&mut self, _: Instant, pcm: &mut [i16]) -> Played {
/// #         for sample in pcm {
/// #             self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
/// #             *sample = (self.0 as i32 >> 18) as i16;
/// #         }
/// #         Played::default()
/// #     }
/// #     fn capture(&mut self, _: Instant, _: &[i16]) {}
/// #     fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<()> {
/// #         None
/// #     }
/// # }
/// // `Far` is a `Media` that plays noise.
/// // 16 kHz, a tail of 130 ms, in a front end with half a second of render history and more.
/// let canceller = EchoCanceller::<EveryPart, 160, 13>::new(EchoConfig::default())?;
/// let block = InFloat::<_, 160>::new(canceller, 16_000)?;
/// let config = FrontConfig { sample_rate_hz: 16_000, ..FrontConfig::default() };
/// let mut front = FrontEnd::<_, 160, _>::new(config, [Some(block), None], vec![0; 12_000])?;
/// let (mut far, mut room) = (Far(1), vec![0; 480]);
/// for tick in 0..400 {
///     front.begin(Instant::from_millis(1_000 + 10 * tick), 160, tick > 0)?;
///     while let Some(step) = front.step(&mut far, &mut []) {
///         match step {
///             Step::Loudspeaker { pcm, .. } => room.extend(pcm.iter().map(|sample| sample / 2)),
///             Step::Microphone(microphone) => microphone.pcm.copy_from_slice(&room.drain(..160).collect::<Vec<_>>()),
///             Step::Transmit(()) => {}
///         }
///     }
/// }
/// let stats = front.block(0).ok_or("no block")?.block().stats();
/// assert!(stats.erle_db > Some(20.0));
/// assert!(stats.delay_ms.is_some_and(|delay_ms| (delay_ms - 30.0).abs() < 3.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EchoCanceller<M: EchoMemory<B, P>, const B: usize, const P: usize> {
    config: EchoConfig,
    front: Front,
    far: FarSpectra<B, P>,
    last_far: [f32; B],
    /// The blocks of the far end that are to be read anew, by how many blocks ago they are.
    unread: Option<Range<usize>>,
    kalman: Kalman<B, P>,
    second: M::Second,
    nlms: Nlms<B>,
    saturation: M::Saturation,
    search: Search<B, M::Search>,
    drift: Drift<B>,
    late: Late<B, P>,
    steady: Steady<B>,
    suppressor: Suppressor<B>,
    /// Where the far end is read, and where the search reads it; in samples of the render history.
    position: Option<(Position, i64)>,
    /// How far `base` is ahead of the microphone's time.
    lead: i64,
    latency: Latency,
    /// Smoothed energies a block: microphone, both filters' errors, and the difference of their estimates.
    energies: [f32; 4],
    /// Smoothed products: microphone by estimate, estimate, error.
    projection: [f32; 3],
    /// The first two of them over half a second of the far end, and the microphone.
    presence: [f32; 3],
    /// Blocks since the last path change.
    age: u32,
    /// Blocks of the far end's since a filter found an echo.
    idle: u32,
    /// Whether the filter has reached 3 dB, and 10 dB.
    works: bool,
    good: bool,
    /// The last output of the de-emphasis.
    emphasis: f32,
    /// Power in blocks with the far end alone: of the microphone, of the linear output, of the output.
    heard: [f32; 3],
    last_near: f32,
    /// The microphone's energy a block, as its loudest ones fade.
    loudest: f32,
    stats: EchoStats,
}

/// A block behind the filters.
struct Filtered<const B: usize> {
    /// The microphone behind the high-pass.
    near: [f32; B],
    /// The error, with emphasis.
    error: [f32; B],
    /// The power that the filter's uncertainty means for it.
    doubt: [f32; B],
}

impl<M: EchoMemory<B, P>, const B: usize, const P: usize> EchoCanceller<M, B, P> {
    /// A canceller that has not learned anything.
    ///
    /// # Errors
    /// Returns [`EchoError::Block`] if `B` is not 80 or 160, [`EchoError::Tail`] if `P` is not 3 to 26, and
    /// [`EchoError::Memory`] if `config` has a part for which `M` has no room.
    pub fn new(config: EchoConfig) -> Result<Self, EchoError> {
        if !(3..=26).contains(&P) {
            return Err(EchoError::Tail { blocks: P });
        }
        if B != 80 && B != 160 {
            return Err(EchoError::Block { samples: B });
        }
        let (mut second, mut saturation, search) = M::parts();
        let lacks = (config.second_filter && second.as_ref().len() != P)
            || (config.saturation && saturation.as_ref().len() != 1)
            || (config.delay_search && search.as_ref().len() < search_memory(B));
        if lacks {
            return Err(EchoError::Memory);
        }
        second.as_mut().fill(Spectrum::ZERO);
        saturation.as_mut().fill(SaturationModel::NEW);
        Ok(Self {
            config,
            front: Front::new(B as u32 * 100),
            far: FarSpectra::NEW,
            last_far: [0.0; B],
            unread: None,
            kalman: Kalman::new(),
            second,
            nlms: Nlms::NEW,
            saturation,
            search: Search::new(search),
            drift: Drift::NEW,
            late: Late::NEW,
            steady: Steady::NEW,
            suppressor: Suppressor::new(),
            position: None,
            lead: 0,
            latency: Latency::default(),
            energies: [0.0; 4],
            projection: [0.0; 3],
            presence: [0.0; 3],
            age: 0,
            idle: 0,
            works: false,
            good: false,
            emphasis: 0.0,
            heard: [0.0; 3],
            last_near: 0.0,
            loudest: 0.0,
            stats: EchoStats::default(),
        })
    }

    /// The parts that run.
    pub fn config(&self) -> EchoConfig {
        self.config
    }

    /// What it knows of the echo.
    pub fn stats(&self) -> EchoStats {
        self.stats
    }

    /// How much of the echo's upper band comes how many blocks late: the filter's energy a partition, from 5 kHz on.
    fn upper_response(&self) -> [f32; P] {
        let mut response = [0.0; P];
        for (response, weights) in response.iter_mut().zip(&self.kalman.weights) {
            let from = B * 5 / 8;
            *response = energy(&weights.re[from..]) + energy(&weights.im[from..]);
        }
        response
    }

    /// Forgets everything but the settings.
    #[cold]
    #[inline(never)]
    fn forget(&mut self) {
        self.front.reset();
        self.far.clear();
        (self.last_far, self.unread) = ([0.0; B], None);
        self.kalman.reset();
        self.second.as_mut().fill(Spectrum::ZERO);
        self.nlms = Nlms::NEW;
        self.saturation.as_mut().iter_mut().for_each(|model| model.0.reset());
        self.search.reset();
        self.drift = Drift::NEW;
        self.late.reset();
        self.steady = Steady::NEW;
        self.suppressor.reset();
        (self.position, self.lead, self.latency) = (None, 0, Latency::default());
        (self.energies, self.projection, self.presence, self.heard) = ([0.0; 4], [0.0; 3], [0.0; 3], [0.0; 3]);
        (self.age, self.idle, self.emphasis, self.last_near) = (0, 0, 0.0, 0.0);
        (self.works, self.good, self.loudest) = (false, false, 0.0);
    }

    /// One block, where the far end is read at a `RATIO`th of its rate.
    fn cancel<const RATIO: usize>(&mut self, frame: &mut [f32; B], near: &Near<'_>) {
        only_sound(frame);
        let (mut at, base) = self.locate::<RATIO>(near);
        let mut far = [0.0; B];
        if self.config.delay_search {
            let base_at = Position { sample: base, fraction: 0 };
            far::read::<B, RATIO>(
                &near.render,
                near.channel,
                base_at,
                far::step::<RATIO>(0.0),
                Precision::Phase,
                &mut far,
            );
            let state = match (self.works, self.good) {
                (_, true) => FilterState::Good,
                (true, false) => FilterState::Works,
                (false, false) => FilterState::Idle,
            };
            let found = self.search.process(&far, frame, state);
            // Under drift the search may find nothing; a filter that works knows where its echo begins.
            let known = self.good && self.age.is_multiple_of(FOLLOW_BLOCKS) && self.steady.varies(FOLLOW_BLOCKS);
            let own = known.then(|| {
                let per_ms = B as f32 / 10.0;
                self.kalman.onset() as f32 / per_ms - at.after(base) / (per_ms * RATIO as f32)
            });
            // The echo of a tone is the same a period later: none of both finds its beginning.
            if let Some(onset_ms) = found.filter(|_| self.steady.varies(1)).or(own) {
                self.follow::<RATIO>(onset_ms, &mut at, base);
            }
        }
        if at.sample > base {
            // A loudspeaker whose clock is faster has led the reader to what isn't played yet.
            self.move_by::<RATIO>(1, &mut at);
        }
        if let Some(unread) = self.unread.take() {
            self.read_anew::<RATIO>(unread, at, near);
        }
        let step = far::step::<RATIO>(self.drift.ppm());
        far::read::<B, RATIO>(&near.render, near.channel, at, step, Precision::Between, &mut far);
        self.position = Some((at.later(step * B as u64), base + (B * RATIO) as i64));
        let read_ms = (base - self.lead - at.sample) as f32 / ((B * RATIO) as f32 / 10.0);
        // Out of line, one after the other, so that the stack holds the arrays of one alone.
        let filtered = self.filter(&far, frame, read_ms);
        self.finish(frame, &filtered);
    }

    /// The filters' part of a block. The far end is read `read_ms` before the microphone's time.
    #[inline(never)]
    fn filter(&mut self, far: &[f32; B], near: &[f32; B], read_ms: f32) -> Filtered<B> {
        self.stats.far_end = energy(far) > SILENT * B as f32;

        let model = if self.config.saturation { self.saturation.as_ref().first() } else { None };
        let (powers, parts) = model.map_or((false, [0.0; 2]), |model| (model.0.wants_powers(), model.0.parts()));
        let heard = self.front.process(far, near, powers);
        let [x, d, third, fifth] = &heard.signals;
        let played: [f32; B] = core::array::from_fn(|n| x[n] + parts[0] * third[n] + parts[1] * fifth[n]);
        self.late.advance(&self.far);
        self.far.push(&self.last_far, &played);
        self.last_far = played;

        let mut echo = estimate(&self.kalman.weights, &self.far);
        let mut error: [f32; B] = core::array::from_fn(|n| d[n] - echo[n]);
        let doubt = self.kalman.learn(&self.far, &Spectrum::forward(&[0.0; B], &error));
        if self.stats.far_end {
            self.steady.look(self.far.ago(0));
        }
        self.late.look(&self.kalman.weights, self.kalman.turn);
        if self.config.saturation
            && let Some(model) = self.saturation.as_mut().first_mut()
        {
            model.0.learn([third, fifth], &self.kalman.weights, &error, self.energies[1] < 0.1 * self.energies[0]);
            self.stats.saturates = model.0.is_on();
        }
        if self.good {
            // The filter knows it to the sample.
            let per_ms = B as f32 / 10.0;
            self.stats.delay_ms = Some(read_ms + self.kalman.onset() as f32 / per_ms);
        }
        self.compare_filters(d, &mut echo, &mut error);
        self.notice_path_change(d, &mut echo, &mut error);
        self.look_for_echo();
        if self.config.drift {
            if self.steady.varies(SETTLED_BLOCKS) && !self.is_absent() {
                self.drift.look(&self.kalman.weights);
            } else {
                self.drift.jump();
            }
            // Where no filter takes anything away the loop follows chance: it's told of only where one does.
            self.stats.drift_ppm = if self.works && !self.is_absent() { self.drift.ppm() } else { 0.0 };
        }
        self.limit(d, &echo, &mut error);
        Filtered { near: heard.near, error, doubt }
    }

    /// Lets the second filter learn, and each of the two take the other's place where it is clearly better.
    fn compare_filters(&mut self, near: &[f32; B], echo: &mut [f32; B], error: &mut [f32; B]) {
        let smooth = |energies: &mut [f32], now: [f32; 4]| {
            energies.iter_mut().zip(now).for_each(|(smooth, now)| *smooth = 0.95 * *smooth + 0.05 * now);
        };
        if !self.config.second_filter {
            smooth(&mut self.energies, [energy(near), energy(error), 0.0, 0.0]);
            return;
        }
        let other_echo = estimate(self.second.as_ref(), &self.far);
        let other_error: [f32; B] = core::array::from_fn(|n| near[n] - other_echo[n]);
        let spectrum = Spectrum::forward(&[0.0; B], &other_error);
        self.nlms.learn(self.second.as_mut(), &self.far, &spectrum);
        let now = [energy(near), energy(error), energy(&other_error), difference(echo, &other_echo)];
        smooth(&mut self.energies, now);
        let [whole, own, other, apart] = self.energies;
        if other < 0.7 * own && own > 1e-9 * B as f32 && apart > 0.1 * own {
            let left = other / (whole + 1e-12);
            self.kalman.take_over(self.second.as_ref(), &spectrum, (4.0 * left).min(1.0));
            (*echo, *error) = (other_echo, other_error);
            self.energies[1] = other;
            self.suppressor.change(FilterChange::TakenOver(db(left)));
        } else if own < 0.7 * other {
            self.second.as_mut().copy_from_slice(&self.kalman.weights);
            self.energies[2] = own;
        }
    }

    /// Whether there seems to be no echo at all, as with a headset.
    fn is_absent(&self) -> bool {
        self.idle >= NO_ECHO_BLOCKS
    }

    /// Whether a filter finds an echo that there is, and for how long none has.
    fn look_for_echo(&mut self) {
        let [product, estimated, whole] = self.presence;
        let present = product > PRESENT * estimated && product * product > CHANCE * estimated * whole;
        if present || (self.config.delay_search && self.search.hears_echo()) {
            self.idle = 0;
        } else if self.stats.far_end {
            self.idle = (self.idle + 1).min(NO_ECHO_BLOCKS);
        }
    }

    /// The projection of the microphone on the estimate is 1 in double talk, and near 0 after a change.
    fn notice_path_change(&mut self, near: &[f32; B], echo: &mut [f32; B], error: &mut [f32; B]) {
        let now = [dot(near, echo), energy(echo), energy(error)];
        self.projection.iter_mut().zip(now).for_each(|(smooth, now)| *smooth = 0.93 * *smooth + 0.07 * now);
        if self.stats.far_end {
            let now = [now[0], now[1], self.energies[0]];
            self.presence.iter_mut().zip(now).for_each(|(smooth, now)| *smooth = 0.98 * *smooth + 0.02 * now);
        }
        self.age = self.age.saturating_add(1);
        self.works |= self.energies[1] < 0.5 * self.energies[0];
        self.good |= self.energies[1] < 0.1 * self.energies[0];
        if self.latency.blocks > 0 {
            self.latency.product += now[0];
            self.latency.estimated += now[1];
        }
        let [product, estimated, left] = self.projection;
        let diverged = self.energies[1] > 2.0 * self.energies[0] && self.energies[0] > 1e-9 * B as f32;
        let changed = self.good
            && estimated > 1e-6
            && self.age > 30
            && product < (0.56 - 0.1 * libm::sqrtf(left / estimated)) * estimated;
        if !(changed || diverged) {
            return;
        }
        if changed {
            self.stats.path_changes = self.stats.path_changes.saturating_add(1);
            self.presence = [0.0; 3];
        } else if self.works {
            // One that has never worked, as without an echo, has nothing to diverge from.
            self.stats.divergences = self.stats.divergences.saturating_add(1);
        }
        self.kalman.forget(120.0);
        self.second.as_mut().fill(Spectrum::ZERO);
        self.energies = [self.energies[0]; 4];
        self.energies[3] = 0.0;
        (self.projection, self.age) = ([0.0; 3], 0);
        (self.works, self.good) = (false, false);
        self.search.restart();
        self.drift.jump();
        self.suppressor.change(FilterChange::Forgot);
        (*echo, *error) = ([0.0; B], *near);
    }

    /// The output is not louder than the microphone: a wrong estimate is scaled to where it does no harm. A block alone may be
    /// louder, where near end and echo cancel each other out by chance; but not by 6 dB than the last blocks.
    fn limit(&mut self, near: &[f32; B], echo: &[f32; B], error: &mut [f32; B]) {
        if self.is_absent() {
            // What a filter estimates then is chance, but for an echo that has just come back.
            let [product, estimated, _] = self.projection;
            let share = (product / (estimated + 1e-20)).clamp(0.0, 1.0);
            *error = core::array::from_fn(|n| near[n] - share * echo[n]);
        }
        let (now, left) = (energy(near), energy(error));
        self.loudest = max(now, 0.9 * self.loudest);
        if left > now && (self.energies[1] > self.energies[0] || left > 4.0 * self.loudest) {
            let share = (dot(near, echo) / (energy(echo) + 1e-20)).clamp(0.0, 1.0);
            *error = core::array::from_fn(|n| near[n] - share * echo[n]);
        }
    }

    /// De-emphasis, suppression, figures.
    #[inline(never)]
    fn finish(&mut self, frame: &mut [f32; B], filtered: &Filtered<B>) {
        let Filtered { near, error, doubt } = filtered;
        let mut linear = [0.0; B];
        for (linear, error) in linear.iter_mut().zip(error) {
            self.emphasis = error + EMPHASIS * self.emphasis;
            *linear = self.emphasis;
        }
        if self.config.delay_search {
            self.search.canceller_error(&linear);
        }
        let near_energy = energy(near);
        let mut of_output = near_energy;
        if self.config.suppressor {
            let estimate: [f32; B] = core::array::from_fn(|n| near[n] - linear[n]);
            of_output = core::mem::replace(&mut self.last_near, near_energy);
            let noise = self.config.comfort_noise;
            self.suppressor.set_absent(self.is_absent());
            if self.config.delay_search {
                // What the filters don't reach yet: an echo that begins late, or whose path has changed.
                self.suppressor.presume(self.search.explains(!self.works));
            }
            self.suppressor.process(&linear, &estimate, doubt, self.late.power(), noise, frame);
            self.stats.near_end = self.suppressor.near_end();
        } else {
            *frame = linear;
        }
        let left = energy(frame);
        if !(left + self.energies[1]).is_finite() {
            *frame = [0.0; B];
            self.forget();
            return;
        }
        if self.is_absent() {
            // What a filter follows then is chance.
            self.heard = [0.0; 3];
            (self.stats.linear_erle_db, self.stats.erle_db, self.stats.delay_ms) = (None, None, None);
        } else if self.works && self.stats.far_end && self.stats.near_end < 0.5 {
            let now = [of_output, energy(&linear), left];
            self.heard.iter_mut().zip(now).for_each(|(smooth, now)| *smooth = 0.97 * *smooth + 0.03 * now);
            let [whole, linear, out] = self.heard.map(|energy| db(energy / B as f32));
            if whole > -90.0 {
                (self.stats.linear_erle_db, self.stats.erle_db) = (Some(whole - linear), Some(whole - out));
            }
        }
    }
}

impl<M: EchoMemory<B, P>, const B: usize, const P: usize> fmt::Debug for EchoCanceller<M, B, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, stats, .. } = self;
        f.debug_struct("EchoCanceller").field("config", config).field("stats", stats).finish_non_exhaustive()
    }
}

impl<M: EchoMemory<B, P>, const B: usize, const P: usize> CaptureBlock<f32> for EchoCanceller<M, B, P> {
    /// A frame of another length than `B` passes unchanged.
    fn process(&mut self, frame: &mut [f32], near: &Near<'_>) {
        if let Ok(frame) = frame.try_into() {
            self.cancel::<1>(frame, near);
        }
    }

    fn reset(&mut self) {
        self.forget();
        self.stats = EchoStats::default();
    }

    fn delay_samples(&self) -> usize {
        if self.config.suppressor { B } else { 0 }
    }
}
