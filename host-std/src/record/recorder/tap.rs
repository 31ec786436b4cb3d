//! The recording of a call: the sound that it sends is one track, the sound that it plays another.

use dsp_core::receive::Played;
use dsp_core::time::Instant;

use super::{RecordError, Recorder, RecorderConfig, Track, TrackClock};
use crate::session::{Call, Tap};

/// Samples of a tick of 120 ms at 48 kHz, the longest there is.
const LONGEST: usize = 5_760;

/// Records a call's first stream from the next tick on: the near side, as it is encoded, on the first track, and the far side,
/// before the loudspeaker's volume, on the second. A side in stereo is recorded as the mean of its channels. The rate and the number
/// of tracks in `config` are replaced by those of the call.
///
/// # Errors
/// The same as for [`Recorder::start`], and a [`RecordError`] if the call isn't agreed on yet, so that it has no rate.
///
/// # Examples
/// ```
/// use dsp_core::time::{Duration, Instant};
/// use host_std::record::recorder::{RecorderConfig, record_call};
/// # use host_std::registry::CodecFormat;
/// # use host_std::session::{Call, CallConfig};
///
/// # let config = |port| CallConfig::new(port).map(|config| CallConfig { codecs: vec![CodecFormat::pcmu()], ..config });
/// # let (mut anna, mut bert) = (Call::new(config(4000)?)?, Call::new(config(5000)?)?);
/// # let answer = bert.answer(Instant::ZERO, &anna.offer()?)?;
/// # anna.accept(Instant::ZERO, &answer)?;
/// let path = std::env::temp_dir().join(format!("doc-record-call-{}.wav", std::process::id()));
/// let mut now = Instant::ZERO;
/// let recorder = record_call(&mut anna, now, RecorderConfig::new(&path))?;
/// for _ in 0..100 {
///     anna.play(now, &mut [0; 80]); // 10 ms at 8 kHz
///     now += Duration::from_millis(10);
///     anna.capture(now, &[1_000; 80]);
/// }
/// let status = recorder.stop()?;
/// assert!(status.error.is_none() && status.frames >= 8_000);
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn record_call(call: &mut Call, now: Instant, config: RecorderConfig) -> Result<Recorder, RecordError> {
    let Some(sample_rate_hz) = call.sample_rate_hz() else {
        return Err(RecordError { path: config.path, why: "the call has no sound yet".into() });
    };
    let channels = usize::from(call.channels().unwrap_or(1));
    let (recorder, tracks) = Recorder::start(RecorderConfig { sample_rate_hz, tracks: 2, ..config })?;
    let mut tracks = tracks.into_iter();
    if let (Some(near), Some(far)) = (tracks.next(), tracks.next()) {
        let clock = TrackClock::new(sample_rate_hz, now);
        let side = |track| Side { track, clock, channels, mean: Vec::with_capacity(LONGEST) };
        call.add_tap(Box::new(CallTracks { near: side(near), far: side(far) }));
    }
    Ok(recorder)
}

struct CallTracks {
    near: Side,
    far: Side,
}

struct Side {
    track: Track,
    clock: TrackClock,
    channels: usize,
    /// Room for the mean of two channels.
    mean: Vec<i16>,
}

impl Side {
    fn write(&mut self, at: Instant, pcm: &[i16]) {
        let place = self.clock.place(at, pcm.len() / self.channels);
        if self.channels == 1 {
            return self.track.write(place, pcm);
        }
        self.mean.clear();
        let room = self.mean.capacity();
        let mean = pcm.chunks_exact(self.channels).map(|frame| {
            let sum: i32 = frame.iter().map(|&sample| i32::from(sample)).sum();
            (sum / frame.len() as i32) as i16
        });
        self.mean.extend(mean.take(room));
        self.track.write(place, &self.mean);
    }
}

impl Tap for CallTracks {
    fn captured(&mut self, captured_at: Instant, stream: usize, pcm: &[i16]) {
        if stream == 0 {
            self.near.write(captured_at, pcm);
        }
    }

    fn played(&mut self, now: Instant, stream: usize, _: &Played, pcm: &[i16]) {
        if stream == 0 {
            self.far.write(now, pcm);
        }
    }
}
