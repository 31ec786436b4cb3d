//! A loudspeaker alone: the core's one order of a tick ([`dsp_core::front::tick`]) without a microphone, and with nothing
//! to send.

use dsp_core::front::{FrontConfig, FrontEnd, Media, NoBlock, Step};
use dsp_core::receive::{ConfigError, Played};
use dsp_core::time::Instant;

/// Highest rate of sound in Hz, and samples of 10 ms of it in stereo.
const MOST_HZ: u32 = 48_000;
const MOST_TICK_SAMPLES: usize = 2 * MOST_HZ as usize / 100;

/// A listener that plays a stream and says nothing.
pub(super) struct Loudspeaker {
    front: FrontEnd<NoBlock, MOST_TICK_SAMPLES>,
}

/// A stream, by the sound that it plays from an instant on.
struct Heard<P>(P);

impl<P: FnMut(Instant, &mut [i16]) -> Played> Media for Heard<P> {
    type Transmit = ();

    fn play(&mut self, now: Instant, pcm: &mut [i16]) -> Played {
        (self.0)(now, pcm)
    }

    fn capture(&mut self, _: Instant, _: &[i16]) {}

    fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<()> {
        None
    }
}

impl Loudspeaker {
    /// Creates a loudspeaker for the sound of a receiver with these rates, of the sound and of the timestamps.
    ///
    /// # Errors
    /// [`ConfigError::Rates`] for sound of more than 48 kHz or of hardly any, which no receiver has.
    pub(super) fn new([sample_rate_hz, rtp_clock_hz]: [u32; 2], channels: u8) -> Result<Self, ConfigError> {
        let refused = ConfigError::Rates { sample_rate_hz, rtp_clock_hz };
        if sample_rate_hz > MOST_HZ {
            return Err(refused);
        }
        let config = FrontConfig { sample_rate_hz, channels, ..FrontConfig::default() };
        FrontEnd::new(config, [None; 2], []).map(|front| Self { front }).map_err(|_| refused)
    }

    /// Plays a tick of this many samples a channel, 10 ms at most, and appends it to the sound that was heard so far.
    pub(super) fn tick(
        &mut self,
        now: Instant,
        samples: usize,
        heard: &mut Vec<i16>,
        play: impl FnMut(Instant, &mut [i16]) -> Played,
    ) -> Played {
        let (mut stream, mut all) = (Heard(play), Played::default());
        // 10 ms have room.
        let _ = self.front.begin(now, samples, false);
        while let Some(step) = self.front.step(&mut stream, &mut []) {
            if let Step::Loudspeaker { pcm, played } = step {
                heard.extend_from_slice(pcm);
                all = played;
            }
        }
        all
    }
}
