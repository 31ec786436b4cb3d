//! The recording of a call, its forks to a second destination, and the files played into it, as `demo`, `offer` and `answer` do.

use std::error::Error;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration as StdDuration, SystemTime};

use clap::Args as ClapArgs;
use dsp_core::time::{Duration, Instant};
use host_std::output;
use host_std::player::{Blend, Player};
use host_std::record::fork::{Forked, Party, fork};
use host_std::record::recorder::{Layout, Recorder, RecorderConfig, RecorderWatch, Rotation, record_call};
use host_std::record::rtp_fork::{RtpFork, RtpForkConfig};
use host_std::record::siprec::RecordingMetadata;
use host_std::report::{ForkRow, KeptReport, RecordingRow};
use host_std::session::Call;
use host_std::session::driver::Command;
use host_std::wav::WavFrames;
use tokio::sync::mpsc;

use super::{Outcome, mind, print, tell};

/// Announcements are kept in memory.
const LONGEST: Duration = Duration::from_secs(600);
/// Seconds of sound that wait for a fork's thread.
const FORK_QUEUE_S: usize = 1;
/// The address of a party without one (RFC 3323, 4.1.1.3).
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
    rotation: RotationArgs,
    #[command(flatten)]
    fork: ForkArgs,
    /// Play a WAV file to the other side, beside the microphone, after so many seconds; may be given several times
    #[arg(help_heading = "Recording", long, value_parser = super::file_at, value_name = "FILE[@SECONDS]")]
    announce: Vec<(PathBuf, f64)>,
}

/// When a recording goes on in another file.
#[derive(ClapArgs)]
pub(super) struct RotationArgs {
    /// With --record: begin a new file after so much sound (90s) or before it is larger than this (50MB); given twice, whichever
    /// comes first. Files are numbered: call-001.wav
    #[arg(help_heading = "Recording", long, requires = "record", value_parser = Limit::parse, value_name = "LIMIT")]
    rotate: Vec<Limit>,
}

/// The limit of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    Sound(StdDuration),
    Bytes(u64),
}

impl Limit {
    fn parse(text: &str) -> Result<Self, String> {
        let number = |text: &str, most: f64| super::number_in(text, 1.0, most);
        if let Some(megabytes) = text.strip_suffix("MB") {
            Ok(Self::Bytes((number(megabytes, 1e6)? * 1e6) as u64))
        } else if let Some(seconds) = text.strip_suffix('s') {
            Ok(Self::Sound(StdDuration::from_secs_f64(number(seconds, 86_400.0)?)))
        } else {
            Err("must be seconds or megabytes, such as 90s or 50MB".into())
        }
    }
}

impl RotationArgs {
    pub(super) fn rotation(&self) -> Rotation {
        let (mut after, mut bytes) = (None, None);
        for limit in &self.rotate {
            match *limit {
                Limit::Sound(sound) => after = Some(after.map_or(sound, |least: StdDuration| least.min(sound))),
                Limit::Bytes(most) => bytes = Some(bytes.map_or(most, |least: u64| least.min(most))),
            }
        }
        Rotation { after, bytes }
    }
}

/// Options of forks.
#[derive(ClapArgs)]
pub(super) struct ForkArgs {
    /// Send the sound to a second destination too, as plain L16: what is said to this port, what is heard to the next even
    /// one; of a conference the mix, or with --tracks each caller to every other port
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

/// The recordings and forks of a running call.
#[derive(Default)]
pub(super) struct KeptRecordings {
    pub(super) recorders: Vec<Recorder>,
    pub(super) fork: Option<(RtpFork, ForkRow)>,
    pub(super) metadata: Option<(PathBuf, RecordingMetadata)>,
}

/// A watch that reports once, during the call, that a recording has ended early.
pub(super) struct RecordingsWatch {
    recordings: Vec<RecorderWatch>,
}

impl RecordingsWatch {
    /// Looks now.
    pub(super) fn look(&mut self) {
        self.recordings.retain(|recording| match recording.status().error {
            Some(error) => {
                tell(&format!("media-core: {error}; the recording has ended, the call goes on\n"));
                false
            }
            None => true,
        });
    }

    /// Looks each second.
    pub(super) async fn keep_looking(mut self) {
        while !self.recordings.is_empty() {
            tokio::time::sleep(StdDuration::from_secs(1)).await;
            self.look();
        }
    }
}

/// The results of recordings and forks.
#[derive(Default)]
pub(super) struct FinishedRecordings {
    pub(super) report: KeptReport,
    /// Why a recording has ended before the call, or the metadata weren't written.
    pub(super) failure: Option<String>,
}

impl KeptRecordings {
    /// Returns a watch that reports when a recording breaks off.
    pub(super) fn watch(&self) -> RecordingsWatch {
        RecordingsWatch { recordings: self.recorders.iter().map(Recorder::watch).collect() }
    }

    /// Waits until what virtual time has made is written, but for two seconds.
    pub(super) fn keep_pace(&self, rate_hz: u32, at: Duration) {
        self.recorders.iter().for_each(|recorder| keep_pace(recorder, rate_hz, at));
    }

    /// Ends recordings and forks, and returns their results.
    pub(super) fn finish(self, quiet: bool) -> Result<FinishedRecordings, Box<dyn Error>> {
        let mut finished = FinishedRecordings::default();
        for recorder in self.recorders {
            let status = recorder.finish();
            let ended_early = status.error.map(|error| error.to_string());
            finished.failure = finished.failure.or(ended_early.clone());
            finished.report.recordings.push(RecordingRow {
                files: status.files.iter().map(|file| file.display().to_string()).collect(),
                refused_samples: status.refused_samples,
                late_samples: status.late_samples,
                ended_early,
            });
        }
        if let Some((fork, row)) = self.fork {
            let status = fork.stop();
            finished.report.forks.push(ForkRow {
                packets: status.packets,
                refused_packets: status.refused_packets,
                dropped_pieces: status.dropped_pieces,
                ..row
            });
        }
        if let Some((path, mut metadata)) = self.metadata {
            metadata.end(SystemTime::now());
            if let Err(error) = write(&path, &metadata.to_xml()) {
                finished.failure.get_or_insert(error.to_string());
            }
        }
        if quiet {
            let bad = |row: &RecordingRow| row.refused_samples + row.late_samples > 0;
            let recordings = finished.report.recordings.iter().filter(|row| bad(row)).cloned().collect();
            let lost = |row: &ForkRow| row.dropped_pieces + row.refused_packets > 0;
            let forks = finished.report.forks.iter().filter(|row| lost(row)).cloned().collect();
            // Errors are printed beside the JSON too.
            for line in (KeptReport { recordings, forks }).to_string().lines() {
                tell(&format!("media-core: mind: {line}\n"));
            }
        } else {
            print(&finished.report.to_string())?;
        }
        Ok(finished)
    }
}

/// Refuses a recording in the place of a file that is written into `out` besides: `is_own` knows its name.
pub(super) fn check_apart(record: Option<&Path>, out: &Path, is_own: impl Fn(&str) -> bool) -> Outcome {
    let Some(record) = record else { return Ok(()) };
    let folder = record.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let same = matches!((folder.canonicalize(), out.canonicalize()), (Ok(one), Ok(other)) if one == other);
    let name = record.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if same && is_own(name) {
        return Err(format!("--record {}: a file of this name is among the results in --out", record.display()).into());
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Outcome {
    Ok(output::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?)
}

impl ForkArgs {
    /// Returns whether there is a second destination.
    pub(super) fn is_wanted(&self) -> bool {
        self.fork.is_some()
    }

    /// Begins to fork: `attach` puts the end of the fork to where the sound is.
    pub(super) fn start(
        &self,
        rate_hz: u32,
        channels: u8,
        (forked, parties): (Forked, &[Party]),
        begin: Instant,
        attach: impl FnOnce(host_std::record::fork::ForkTap),
    ) -> Result<Option<(RtpFork, ForkRow)>, Box<dyn Error>> {
        let Some(to) = self.fork else { return Ok(None) };
        let samples = FORK_QUEUE_S * rate_hz as usize * usize::from(channels) * parties.len();
        let (tap, reader) = fork(forked, samples);
        let config = RtpForkConfig { to, sample_rate_hz: rate_hz, channels, parties: parties.to_vec(), begin };
        let forked = RtpFork::start(reader, &config)?;
        attach(tap);
        if let Some(path) = &self.fork_sdp {
            write(path, forked.sdp())?;
        }
        Ok(Some((forked, ForkRow { to: to.to_string(), streams: parties.len(), ..ForkRow::default() })))
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

/// Reads files that are played at their times, for sound of this rate and this many channels; the first one first. They are read
/// as a whole, for virtual time is faster than any disk.
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
    /// Refuses a recording in the place of the results in `out`, which is there already.
    pub(super) fn check_apart(&self, out: &Path) -> Outcome {
        check_apart(self.record.as_deref(), out, |name| ["a-heard.wav", "b-heard.wav"].contains(&name))
    }

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
    ) -> Result<KeptRecordings, Box<dyn Error>> {
        if self.fork.metadata.is_some() && self.record.is_none() && !self.fork.is_wanted() {
            return Err("--metadata says what --record or --fork keeps: one of them is wanted".into());
        }
        if self.record.is_some() || self.fork.is_wanted() {
            call.set_sound(Some((rate_hz, channels)))?;
        }
        let parties = (Forked::Both, &[Party::Near, Party::Far][..]);
        let fork = self.fork.start(rate_hz, channels, parties, now, |tap| call.add_tap(Box::new(tap)))?;
        let mut recorders = Vec::new();
        if let Some(path) = &self.record {
            let layout = if self.tracks { Layout::Channels } else { Layout::Mixed };
            let rotation = self.rotation.rotation();
            recorders.push(record_call(call, now, RecorderConfig { layout, rotation, ..RecorderConfig::new(path) })?);
        }
        let of_call = || Ok(RecordingMetadata::of_call([("near", ANONYMOUS), ("far", ANONYMOUS)], SystemTime::now())?);
        Ok(KeptRecordings { recorders, fork, metadata: self.fork.metadata(of_call)? })
    }

    /// Returns the announcements for a call of this rate and this many channels; the first one first.
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

/// Waits until what virtual time has made is written, but for two seconds: it is faster than any disk. Before a party comes, and
/// when all have gone, there is nothing to write.
fn keep_pace(recorder: &Recorder, rate_hz: u32, at: Duration) {
    loop {
        let status = recorder.status();
        let made = at.as_samples(rate_hz).min(status.given);
        if status.error.is_some() || status.frames + 2 * u64::from(rate_hz) >= made {
            return;
        }
        std::thread::sleep(StdDuration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a conference's, before a caller comes and after he has gone.
    #[test]
    fn a_recorder_that_was_given_nothing_is_not_waited_for() {
        let path = std::env::temp_dir().join(format!("media-core-{}-pace.wav", std::process::id()));
        let (recorder, mut tracks) = Recorder::start(RecorderConfig::new(&path)).unwrap();
        let rate_hz = RecorderConfig::new(&path).sample_rate_hz;
        keep_pace(&recorder, rate_hz, Duration::from_secs(10));
        tracks[0].write(0, &[1; 480]);
        keep_pace(&recorder, rate_hz, Duration::from_secs(20));
        assert_eq!(recorder.status().given, 480);
        drop((tracks, recorder));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn the_smallest_limits_count() {
        let rotation = |limits: &[&str]| {
            let rotate = limits.iter().map(|limit| Limit::parse(limit).unwrap()).collect();
            RotationArgs { rotate }.rotation()
        };
        assert_eq!(rotation(&[]), Rotation::default());
        let most = Rotation { after: Some(StdDuration::from_secs(60)), bytes: Some(2_500_000) };
        assert_eq!(rotation(&["90s", "60s", "2.5MB", "10MB"]), most);
        for wrong in ["90", "s", "0s", "-1MB", "1GB", "nans"] {
            assert!(Limit::parse(wrong).is_err(), "{wrong}");
        }
    }
}
