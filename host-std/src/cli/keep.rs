//! What `demo`, `offer` and `answer` record of a call, send of it to a second destination, and play into it.

use std::error::Error;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::{Duration as StdDuration, SystemTime};

use clap::Args as ClapArgs;
use dsp_core::time::{Duration, Instant};
use host_std::output;
use host_std::player::{Blend, Player};
use host_std::record::fork::{Forked, Party, fork};
use host_std::record::recorder::{Layout, Recorder, RecorderConfig, record_call};
use host_std::record::rtp_fork::{RtpFork, RtpForkConfig};
use host_std::record::siprec::RecordingMetadata;
use host_std::session::Call;
use host_std::session::driver::Command;
use host_std::wav::WavFrames;
use tokio::sync::mpsc;

use super::{Outcome, mind, print, tell};

/// Announcements are kept in memory.
const LONGEST: Duration = Duration::from_secs(600);
/// Seconds of sound that wait for a fork's thread.
const FORK_QUEUE_S: usize = 1;
/// Who has no address of his own (RFC 3323, 4.1.1.3).
pub(super) const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

/// Options of recording, forks and announcements.
#[derive(ClapArgs)]
pub(super) struct KeepArgs {
    /// Record the call to a file, .wav, .opus or .ogg: both parties in one channel. It can be played up to its last second
    /// whatever happens
    #[arg(help_heading = "Recording", long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// With --record: a channel for each party, what is said on the left and what is heard on the right
    #[arg(help_heading = "Recording", long, requires = "record")]
    tracks: bool,
    #[command(flatten)]
    fork: ForkArgs,
    /// Play a WAV file to the other side, beside the microphone, after so many seconds; may be given several times
    #[arg(help_heading = "Recording", long, value_parser = super::file_at, value_name = "FILE[@SECONDS]")]
    announce: Vec<(PathBuf, f64)>,
}

/// Options of forks.
#[derive(ClapArgs)]
pub(super) struct ForkArgs {
    /// Send the sound to a second destination too, as plain L16: what is said to this port, what is heard to the next even
    /// one; of a conference, the mix
    #[arg(help_heading = "Recording", long, value_parser = destination, value_name = "rtp://HOST:PORT")]
    fork: Option<SocketAddr>,
    /// With --fork: write its description here, which a receiver needs (`ffmpeg -protocol_whitelist file,udp,rtp -i FILE`)
    #[arg(help_heading = "Recording", long, requires = "fork", value_name = "FILE.sdp")]
    fork_sdp: Option<PathBuf>,
    /// Write the metadata of what is recorded or forked here (RFC 7865)
    #[arg(help_heading = "Recording", long, value_name = "FILE.xml")]
    metadata: Option<PathBuf>,
}

/// `rtp://HOST:PORT`.
fn destination(text: &str) -> Result<SocketAddr, String> {
    let place = text.strip_prefix("rtp://").ok_or("rtp://HOST:PORT is wanted")?.trim_end_matches('/');
    let mut addresses = place.to_socket_addrs().map_err(|error| format!("{place}: {error}"))?;
    let address = addresses.next().ok_or_else(|| format!("{place} has no address"))?;
    if address.port() == 0 { Err("a port from 1 to 65535 is wanted".into()) } else { Ok(address) }
}

/// What is kept of a call while it runs.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) recorder: Option<Recorder>,
    pub(super) fork: Option<RtpFork>,
    pub(super) metadata: Option<(PathBuf, RecordingMetadata)>,
}

impl Kept {
    /// Ends a recording and a fork, and says what came of them: an error where the recording has ended before the call.
    pub(super) fn finish(mut self, quiet: bool) -> Outcome {
        if let Some(fork) = self.fork.take() {
            let status = fork.stop();
            if status.dropped_pieces > 0 || status.refused_packets > 0 {
                tell(&format!(
                    "media-core: mind: of the fork {} pieces of sound were dropped, and {} packets refused\n",
                    status.dropped_pieces, status.refused_packets
                ));
            }
            if !quiet {
                print(&format!("forked: {} packets, {} pieces dropped\n", status.packets, status.dropped_pieces))?;
            }
        }
        if let Some((path, mut metadata)) = self.metadata.take() {
            metadata.end(SystemTime::now());
            write(&path, &metadata.to_xml())?;
        }
        finish(self.recorder.take(), quiet)
    }
}

fn write(path: &std::path::Path, text: &str) -> Outcome {
    Ok(output::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?)
}

impl ForkArgs {
    /// Whether there is a second destination.
    pub(super) fn is_wanted(&self) -> bool {
        self.fork.is_some()
    }

    /// Begins to fork: `attach` puts the end of the fork to where the sound is.
    pub(super) fn start(
        &self,
        rate_hz: u32,
        channels: u8,
        parties: &[Party],
        begin: Instant,
        attach: impl FnOnce(host_std::record::fork::ForkTap),
    ) -> Result<Option<RtpFork>, Box<dyn Error>> {
        let Some(to) = self.fork else { return Ok(None) };
        let samples = FORK_QUEUE_S * rate_hz as usize * usize::from(channels) * parties.len();
        let (tap, reader) = fork(Forked::Both, samples);
        let config = RtpForkConfig { to, sample_rate_hz: rate_hz, channels, parties: parties.to_vec(), begin };
        let forked = RtpFork::start(reader, &config)?;
        attach(tap);
        if let Some(path) = &self.fork_sdp {
            write(path, forked.sdp())?;
        }
        Ok(Some(forked))
    }

    /// Writes the metadata as they are at the beginning, if that is wished.
    pub(super) fn metadata(
        &self,
        metadata: impl FnOnce() -> Result<RecordingMetadata, Box<dyn Error>>,
    ) -> Result<Option<(PathBuf, RecordingMetadata)>, Box<dyn Error>> {
        let Some(path) = &self.metadata else { return Ok(None) };
        let metadata = metadata()?;
        write(path, &metadata.to_xml())?;
        Ok(Some((path.clone(), metadata)))
    }
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
    /// Refuses what isn't possible in virtual time.
    pub(super) fn check_fast(&self) -> Outcome {
        let why = "--fork: a second destination hears in real time, without --fast";
        if self.fork.is_wanted() { Err(why.into()) } else { Ok(()) }
    }

    /// Begins to keep what is wished of a call that is agreed on, with the sound of its device.
    pub(super) fn start(
        &self,
        call: &mut Call,
        now: Instant,
        rate_hz: u32,
        channels: u8,
    ) -> Result<Kept, Box<dyn Error>> {
        if self.fork.metadata.is_some() && self.record.is_none() && !self.fork.is_wanted() {
            return Err("--metadata says what --record or --fork keeps: one of them is wanted".into());
        }
        if self.record.is_some() || self.fork.is_wanted() {
            call.set_sound(Some((rate_hz, channels)))?;
        }
        let parties = [Party::Near, Party::Far];
        let fork = self.fork.start(rate_hz, channels, &parties, now, |tap| call.add_tap(Box::new(tap)))?;
        let recorder = match &self.record {
            Some(path) => {
                let layout = if self.tracks { Layout::Channels } else { Layout::Mixed };
                Some(record_call(call, now, RecorderConfig { layout, ..RecorderConfig::new(path) })?)
            }
            None => None,
        };
        let of_call = || Ok(RecordingMetadata::of_call([("near", ANONYMOUS), ("far", ANONYMOUS)], SystemTime::now())?);
        Ok(Kept { recorder, fork, metadata: self.fork.metadata(of_call)? })
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
