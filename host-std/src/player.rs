//! A player brings announcements and music on hold from files into a call or a room.
//!
//! Use it with a [`Room`](crate::room::Room) (`announce`, `announce_to`), in a call (`Call::announce`), or wherever the sound of
//! a file is to be added to the played sound. To play files *as* a call's microphone use a [`FileIo`](crate::device::FileIo).
//!
//! In this example an announcement of 20 ms is added to the played sound; [`Player`] has an example with a file:
//!
//! ```
//! use host_std::player::{Blend, Player};
//!
//! let mut announcement = Player::of_samples(vec![900_i16; 320], 1, false); // 16 kHz, mono, once
//! let mut heard = [100_i16; 160]; // 10 ms
//! assert!(announcement.play(&mut heard, Blend::Mixed)); // it goes on
//! assert_eq!(heard, [1_000; 160]);
//!
//! heard = [100; 160];
//! assert!(!announcement.play(&mut heard, Blend::Mixed)); // that was its end
//! assert_eq!(heard, [1_000; 160]);
//! assert!(announcement.is_over());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A thread reads the file, resamples it and fills a ring of one second, so that a slow disk never holds up the sound.
//! [`Player::read`] and [`Player::play`] take from the ring on the audio thread, and neither block nor allocate. Where the disk is too
//! slow there is silence, which is counted.
//!
//! **Cost.** A thread and a second of sound in memory for each player of a file; [`Player::of_samples`] has neither.
//!
//! **Limits.** Files are WAV, in one or two channels of sound; [`WavFrames`] says which are read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, RingBuffer};

use crate::wav::{WavError, WavFrames};

/// The length of the file that is read ahead.
const AHEAD_MS: usize = 1_000;
/// The interval at which the thread checks for room.
const EVERY: Duration = Duration::from_millis(20);
/// The time for which the start waits for the first samples: with a slower disk the sound begins with silence.
const FIRST: Duration = Duration::from_millis(200);

/// The way in which a player's sound is combined with the sound that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blend {
    /// It is added to that sound.
    Mixed,
    /// It replaces that sound, as music on hold does.
    #[default]
    Instead,
}

#[derive(Debug, Default)]
struct Shared {
    /// Whether the thread has read the whole file, or can't continue.
    ended: AtomicBool,
    /// The player is gone.
    dropped: AtomicBool,
    silent: AtomicU64,
}

/// A file that is played.
///
/// In this example an announcement replaces the played sound:
///
/// ```
/// use host_std::player::{Blend, Player};
/// use host_std::wav::to_wav;
///
/// let path = std::env::temp_dir().join(format!("doc-player-{}.wav", std::process::id()));
/// std::fs::write(&path, to_wav(&[900; 160], 16_000, 1))?;
/// let mut player = Player::open(&path, 16_000, 1, false)?;
///
/// let mut heard = [5; 160];
/// player.play(&mut heard, Blend::Instead);
/// assert_eq!(heard, [900; 160]);
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Player {
    source: Source,
    channels: usize,
}

/// The source of a player's samples.
#[derive(Debug)]
enum Source {
    /// A thread reads them.
    File { ring: Consumer<i16>, shared: Arc<Shared> },
    /// They are all there.
    Memory { samples: Arc<[i16]>, next: usize, repeat: bool },
}

impl Player {
    /// Opens a WAV file for sound with this rate in Hz and 1 or 2 channels. With `repeat` it begins again when it ends. Opening waits
    /// up to 200 ms for the first sound, so don't do it on the audio thread.
    ///
    /// # Errors
    /// The same as for [`WavFrames::open`]; [`WavErrorKind::Open`](crate::wav::WavErrorKind::Open) too if the system can't create
    /// a thread.
    pub fn open(path: impl AsRef<Path>, sample_rate_hz: u32, channels: u8, repeat: bool) -> Result<Self, WavError> {
        let file = WavFrames::open(&path, sample_rate_hz, channels)?;
        let channels = usize::from(channels.max(1));
        let (fill, ring) = RingBuffer::new(sample_rate_hz as usize * AHEAD_MS / 1_000 * channels);
        let shared = Arc::new(Shared::default());
        let player = Self { source: Source::File { ring, shared: shared.clone() }, channels };
        let name = "player".to_string();
        let thread = thread::Builder::new().name(name).spawn(move || read_ahead(file, fill, &shared, repeat));
        thread.map_err(|error| WavError { path: path.as_ref().into(), kind: crate::wav::WavErrorKind::Open(error) })?;
        let begin = Instant::now();
        while player.ready() == 0 && !player.is_over() && begin.elapsed() < FIRST {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(player)
    }

    /// Creates a player of interleaved samples in memory: music on hold that many calls share, or a file in virtual time, which
    /// is faster than any disk.
    pub fn of_samples(samples: impl Into<Arc<[i16]>>, channels: u8, repeat: bool) -> Self {
        let channels = usize::from(channels.max(1));
        Self { source: Source::Memory { samples: samples.into(), next: 0, repeat }, channels }
    }

    /// Writes the next samples, interleaved, to `pcm` and returns how many there were. The rest of `pcm` stays as it is; while the
    /// disk is too slow it counts as [`Player::silent_samples`].
    pub fn read(&mut self, pcm: &mut [i16]) -> usize {
        self.take(pcm, |_, new| new)
    }

    /// Plays the next samples into `pcm`, added to the samples in it or in their place. After the end of the file `pcm` stays as
    /// it is. Returns whether the file has more samples.
    pub fn play(&mut self, pcm: &mut [i16], blend: Blend) -> bool {
        let goes_on = !self.has_ended();
        let count = match blend {
            Blend::Mixed => self.take(pcm, i16::saturating_add),
            Blend::Instead => self.take(pcm, |_, new| new),
        };
        if goes_on && blend == Blend::Instead && !self.is_over() {
            pcm[count..].fill(0);
        }
        !self.is_over()
    }

    /// Returns whether the whole file was played.
    pub fn is_over(&self) -> bool {
        self.has_ended() && self.ready() < self.channels
    }

    /// Returns the number of samples that were silent because the disk was too slow.
    pub fn silent_samples(&self) -> u64 {
        match &self.source {
            Source::File { shared, .. } => shared.silent.load(Ordering::Relaxed),
            Source::Memory { .. } => 0,
        }
    }

    /// Puts the next samples into `pcm` by `blend`, in whole frames; how many.
    fn take(&mut self, pcm: &mut [i16], blend: impl Fn(i16, i16) -> i16) -> usize {
        let channels = self.channels;
        match &mut self.source {
            Source::File { ring, shared } => {
                // The flag is read before the ring, so that samples that come in between are read the next time.
                let ended = shared.ended.load(Ordering::Acquire);
                let count = ring.slots().min(pcm.len()) / channels * channels;
                if let Ok(chunk) = ring.read_chunk(count) {
                    pcm.iter_mut().zip(chunk).for_each(|(to, from)| *to = blend(*to, from));
                }
                if !ended {
                    shared.silent.fetch_add((pcm.len() - count) as u64, Ordering::Relaxed);
                }
                count
            }
            Source::Memory { samples, next, repeat } => {
                let mut count = 0;
                for to in pcm {
                    if *next >= samples.len() && *repeat {
                        *next = 0;
                    }
                    let Some(&from) = samples.get(*next) else { break };
                    *to = blend(*to, from);
                    (*next, count) = (*next + 1, count + 1);
                }
                count
            }
        }
    }

    /// Samples that can be taken now; of a ring.
    fn ready(&self) -> usize {
        match &self.source {
            Source::File { ring, .. } => ring.slots(),
            Source::Memory { samples, next, .. } => samples.len() - next,
        }
    }

    /// Returns whether no more samples come than are ready.
    fn has_ended(&self) -> bool {
        match &self.source {
            Source::File { shared, .. } => shared.ended.load(Ordering::Acquire),
            Source::Memory { samples, repeat, .. } => !repeat || samples.is_empty(),
        }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        if let Source::File { shared, .. } = &self.source {
            shared.dropped.store(true, Ordering::Relaxed);
        }
    }
}

/// Keeps the ring full until the file ends, or can't be read, or the player is dropped.
fn read_ahead(mut file: WavFrames, mut ring: Producer<i16>, shared: &Shared, repeat: bool) {
    let mut part = [0; 960];
    let channels = file.channels();
    let mut since_begin = 0u64;
    while !shared.dropped.load(Ordering::Relaxed) {
        if ring.slots() < part.len() {
            thread::sleep(EVERY);
            continue;
        }
        let frames = file.read(&mut part).unwrap_or(0);
        since_begin += frames as u64;
        for &sample in &part[..frames * channels] {
            // There is room for all.
            let _ = ring.push(sample);
        }
        if frames == 0 {
            // A file without any sound would be read for ever.
            if !repeat || since_begin == 0 || file.rewind().is_err() {
                break;
            }
            since_begin = 0;
        }
    }
    shared.ended.store(true, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wav::WavSink;

    fn file(name: &str, pcm: &[i16]) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("media-core-{}-player-{name}.wav", std::process::id()));
        let mut sink = WavSink::create(&path, 8_000).unwrap();
        sink.write(pcm).unwrap();
        sink.finish().unwrap();
        path
    }

    #[test]
    fn plays_all_of_a_file_and_no_more() {
        let sound: Vec<i16> = (1..=1_000).collect();
        let path = file("once", &sound);
        let mut player = Player::open(&path, 8_000, 1, false).unwrap();
        let mut heard = Vec::new();
        let begin = Instant::now();
        while !player.is_over() {
            let mut pcm = [-1; 80];
            let count = player.read(&mut pcm);
            heard.extend_from_slice(&pcm[..count]);
            assert!(begin.elapsed() < Duration::from_secs(5));
        }
        assert_eq!(heard, sound);
        let mut pcm = [7; 80];
        assert!(!player.play(&mut pcm, Blend::Instead));
        assert_eq!(pcm, [7; 80], "behind its end it changes nothing");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn is_mixed_or_instead_and_repeats() {
        let path = file("repeat", &[100; 400]);
        let mut player = Player::open(&path, 8_000, 1, true).unwrap();
        thread::sleep(Duration::from_millis(100));
        for blend in [Blend::Mixed, Blend::Instead] {
            for _ in 0..20 {
                let mut pcm = [i16::MAX; 80];
                assert!(player.play(&mut pcm, blend));
                assert_eq!(pcm, [if blend == Blend::Mixed { i16::MAX } else { 100 }; 80]);
            }
        }
        std::fs::remove_file(path).unwrap();
    }
}
