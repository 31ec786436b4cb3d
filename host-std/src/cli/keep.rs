//! What `demo`, `offer` and `answer` record of a call, and play into it.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration as StdDuration;

use clap::Args as ClapArgs;
use dsp_core::time::{Duration, Instant};
use host_std::player::{Blend, Player};
use host_std::record::recorder::{Layout, Recorder, RecorderConfig, record_call};
use host_std::session::Call;
use host_std::session::driver::Command;
use host_std::wav::WavFrames;
use tokio::sync::mpsc;

use super::{Outcome, mind, print, tell};

/// Announcements are kept in memory.
const LONGEST: Duration = Duration::from_secs(600);

/// Options of recording and announcements.
#[derive(ClapArgs)]
pub(super) struct KeepArgs {
    /// Record the call to a file, .wav, .opus or .ogg: both parties in one channel. It can be played up to its last second
    /// whatever happens
    #[arg(help_heading = "Recording", long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// With --record: a channel for each party, what is said on the left and what is heard on the right
    #[arg(help_heading = "Recording", long, requires = "record")]
    tracks: bool,
    /// Play a WAV file to the other side, beside the microphone, after so many seconds; may be given several times
    #[arg(help_heading = "Recording", long, value_parser = super::file_at, value_name = "FILE[@SECONDS]")]
    announce: Vec<(PathBuf, f64)>,
}

/// A file that is ready to be played.
pub(super) struct Scheduled {
    /// Since the call began.
    pub(super) at: Duration,
    pub(super) player: Player,
}

/// Reads files that are played in their time, for sound of this rate and so many channels; the first one first. Whole, for
/// virtual time is faster than any disk.
pub(super) fn schedule(
    announce: &[(PathBuf, f64)],
    rate_hz: u32,
    channels: u8,
) -> Result<Vec<Scheduled>, Box<dyn Error>> {
    let mut read = Vec::with_capacity(announce.len());
    for (path, seconds) in announce {
        let file = WavFrames::open(path, rate_hz, channels)?;
        mind(path, file.remarks());
        let player = Player::of_samples(file.read_all(LONGEST)?, channels, false);
        read.push(Scheduled { at: Duration::from_micros((seconds * 1e6) as u64), player });
    }
    read.sort_by_key(|scheduled| scheduled.at);
    Ok(read)
}

impl KeepArgs {
    /// Begins to record a call that is agreed on, if that is wished, with the sound of its device.
    pub(super) fn record(
        &self,
        call: &mut Call,
        now: Instant,
        rate_hz: u32,
        channels: u8,
    ) -> Result<Option<Recorder>, Box<dyn Error>> {
        let Some(path) = &self.record else { return Ok(None) };
        call.set_sound(Some((rate_hz, channels)))?;
        let layout = if self.tracks { Layout::Channels } else { Layout::Mixed };
        Ok(Some(record_call(call, now, RecorderConfig { layout, ..RecorderConfig::new(path) })?))
    }

    /// The announcements for a call of this rate and so many channels; the first one first.
    pub(super) fn announcements(&self, rate_hz: u32, channels: u8) -> Result<Vec<Scheduled>, Box<dyn Error>> {
        schedule(&self.announce, rate_hz, channels)
    }
}

/// Plays it from now on, in place of one that still plays.
pub(super) fn announce(call: &mut Call, player: Player) {
    call.announce(player, Blend::Mixed);
}

/// Plays each in its time, in a call that a driver runs.
pub(super) async fn announce_all(announcements: Vec<Scheduled>, commands: mpsc::Sender<Command>) {
    let begin = tokio::time::Instant::now();
    for Scheduled { at, player } in announcements {
        tokio::time::sleep_until(begin + StdDuration::from_micros(at.as_micros())).await;
        let change = Command::Change(Box::new(move |call, _| announce(call, player)));
        if commands.send(change).await.is_err() {
            return;
        }
    }
}

/// Waits until what virtual time has made is written, but for two seconds: it is faster than any disk.
pub(super) fn keep_pace(recorder: Option<&Recorder>, rate_hz: u32, at: Duration) {
    let Some(recorder) = recorder else { return };
    loop {
        let status = recorder.status();
        if status.error.is_some() || status.frames + 2 * u64::from(rate_hz) >= at.as_samples(rate_hz) {
            return;
        }
        std::thread::sleep(StdDuration::from_millis(1));
    }
}

/// Ends a recording, and says what came of it: an error where it has ended before the call.
pub(super) fn finish(recorder: Option<Recorder>, quiet: bool) -> Outcome {
    let Some(recorder) = recorder else { return Ok(()) };
    let status = recorder.stop()?;
    if status.refused_samples > 0 {
        tell(&format!(
            "media-core: mind: the disk was too slow for {} samples of the recording\n",
            status.refused_samples
        ));
    }
    if !quiet {
        let files: Vec<_> = status.files.iter().map(|file| file.display().to_string()).collect();
        print(&format!("recorded: {}\n", files.join(", ")))?;
    }
    Ok(())
}
