//! The measurements of a call's sound, and its defects as text.
//!
//! Three places are metered, each channel by the core's [`SoundMeter`]: the microphone as the device delivers it, before the
//! capture chain, which would hide its defects; the sent sound, after chain, gain and mute; and the received sound, before the
//! loudspeaker's volume. Each stream of a call has its own meters ([`Call::stream_stats`](super::Call::stream_stats)). Nothing is
//! allocated while sound runs. Where the sound's rate or channels change, measuring restarts.
//!
//! Times are those of the sound that was metered, from the moment that it began: in a call those of the call. Cost: see
//! [`CallConfig::metering`](super::CallConfig::metering).

use std::fmt;

use dsp_core::process::metering::{SoundMeter, SoundStats, Spell};

use super::CallStats;
use super::stream::Sound;

/// Less sound says nothing, in ms.
const LEAST_MS: u32 = 3_000;
/// The fewest packets that are sent in this time.
const LEAST_PACKETS: u32 = 40;
/// Sound that is so silent, as a share of the time, is silent all the time.
const ALWAYS: f32 = 0.95;
/// The shortest digital silence without a break that is reported, in ms.
const LONG_MS: u32 = 10_000;
/// The least clipping that is reported: a share of the time, and a total duration. A loud voice may reach full scale now and
/// then.
const CLIPPED: f32 = 0.002;
const CLIPPED_MS: u32 = 50;
/// The same limit for sound that was clipped elsewhere: some voices have a few flat tops.
const FLATTENED: f32 = 0.02;
const FLATTENED_MS: u32 = 200;

/// The measurements of a call's sound: [`CallStats::sound`](super::CallStats::sound). In stereo levels are those of the louder
/// channel, each fault is that of the channel that has more of it, and silence is that of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallSound {
    /// The microphone as the device gave it; `None` where nothing passed a [front end](super::Call::front_end).
    pub microphone: Option<SoundStats>,
    /// The sent sound, before the encoder.
    pub sent: SoundStats,
    /// The received sound, with everything that was concealed for lost packets.
    pub received: SoundStats,
}

/// A place in a call where its sound is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MeasurementPoint {
    /// The microphone, before the capture chain.
    Microphone,
    /// The sent sound, before the encoder.
    Sent,
    /// The received sound, after concealment.
    Received,
}

/// A fault of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The sound reaches the overload point.
    Clipped,
    /// The sound was clipped somewhere else and then made quieter: it is distorted below full scale.
    Flattened,
    /// There is one steady tone that has grown, as of a feedback loop from loudspeaker to microphone.
    Howling,
    /// All samples are equal.
    DigitallySilent,
    /// The sound is below -70 dBov.
    Silent,
    /// No packets come, although there are some in the other direction.
    NoPackets,
}

/// A fault of a call's sound, with how much and when: [`CallStats::findings`](super::CallStats::findings). Its `Display` is one
/// sentence.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// The place in the call where it was found.
    pub place: MeasurementPoint,
    /// The fault.
    pub fault: Fault,
    /// The share of the time in which there was the fault, 0 to 1.
    pub share: f32,
    /// The time at which it first began, in ms of the call's sound.
    pub first_ms: u32,
    /// The time at which it last ended, in ms of the call's sound.
    pub last_ms: u32,
    /// The total duration, in ms.
    pub total_ms: u32,
    /// The frequency of a tone that howls, in Hz; 0 for other faults.
    pub howling_hz: u32,
}

impl Finding {
    /// Returns a short name that stays the same from version to version, such as `microphone_clipped`.
    pub fn name(&self) -> &'static str {
        match (self.place, self.fault) {
            (MeasurementPoint::Microphone, Fault::Clipped) => "microphone_clipped",
            (MeasurementPoint::Microphone, Fault::Flattened) => "microphone_distorted",
            (MeasurementPoint::Microphone, Fault::Howling) => "microphone_howling",
            (MeasurementPoint::Microphone, Fault::DigitallySilent) => "microphone_digitally_silent",
            (MeasurementPoint::Microphone, Fault::Silent) => "microphone_silent",
            (MeasurementPoint::Microphone, Fault::NoPackets) | (MeasurementPoint::Sent, Fault::NoPackets) => {
                "one_way_nothing_sent"
            }
            (MeasurementPoint::Sent, Fault::Clipped) => "sent_clipped",
            (MeasurementPoint::Sent, Fault::Flattened) => "sent_distorted",
            (MeasurementPoint::Sent, Fault::Howling) => "sent_howling",
            (MeasurementPoint::Sent, Fault::DigitallySilent | Fault::Silent) => "one_way_nothing_audible_sent",
            (MeasurementPoint::Received, Fault::Clipped) => "received_clipped",
            (MeasurementPoint::Received, Fault::Flattened) => "received_distorted",
            (MeasurementPoint::Received, Fault::Howling) => "received_howling",
            (MeasurementPoint::Received, Fault::DigitallySilent | Fault::Silent) if self.share >= ALWAYS => {
                "one_way_nothing_audible_received"
            }
            (MeasurementPoint::Received, Fault::DigitallySilent | Fault::Silent) => "received_silent",
            (MeasurementPoint::Received, Fault::NoPackets) => "one_way_nothing_received",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (Clock(self.first_ms), Clock(self.last_ms));
        let percent = Percent(self.share);
        let whose = match self.place {
            MeasurementPoint::Microphone => "The microphone",
            MeasurementPoint::Sent => "What was sent",
            MeasurementPoint::Received => "What was received",
        };
        match self.fault {
            Fault::Clipped => write!(f, "{whose} clipped in {percent} of its 10 ms blocks, from {first} to {last}"),
            Fault::Flattened => write!(
                f,
                "{whose} is distorted in {percent} of its 10 ms blocks, from {first} to {last}: it was clipped before it came \
                 here, and made quieter since"
            ),
            Fault::Howling => write!(
                f,
                "{whose} howled at about {} Hz for {:.1} s, from {first} to {last}",
                self.howling_hz,
                f64::from(self.total_ms) / 1e3
            ),
            Fault::NoPackets if self.place == MeasurementPoint::Received => {
                write!(f, "One-way sound: packets were sent for {last}, and none came")
            }
            Fault::NoPackets => write!(f, "One-way sound: packets came for {last}, and none were sent"),
            Fault::DigitallySilent | Fault::Silent => {
                let what = if self.fault == Fault::Silent {
                    "hardly any sound (below -70 dBov)"
                } else {
                    "digital silence (all samples alike)"
                };
                let one_way = self.place != MeasurementPoint::Microphone && self.share >= ALWAYS;
                let begin = if one_way { "One-way sound: " } else { "" };
                let whose = if one_way { whose.replace("What", "what") } else { whose.into() };
                let when = if self.share >= ALWAYS {
                    "all the time".into()
                } else {
                    format!("for {percent} of the time, from {first} to {last}")
                };
                let is_off = self.place == MeasurementPoint::Microphone && self.fault == Fault::DigitallySilent;
                // No microphone that is on gives that.
                let why = if is_off { ": it is off, muted, or not plugged in" } else { "" };
                write!(f, "{begin}{whose} was {what} {when}{why}")
            }
        }
    }
}

/// Minutes and seconds.
struct Clock(u32);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60_000, self.0 / 1_000 % 60)
    }
}

/// A share with as many digits as say something.
struct Percent(f32);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        if percent < 9.95 { write!(f, "{percent:.1} %") } else { write!(f, "{percent:.0} %") }
    }
}

/// Returns the findings, derived from the statistics of a call.
pub(super) fn findings(stats: &CallStats) -> impl Iterator<Item = Finding> + use<> {
    // A place for each that there can be.
    let mut found = [None; 11];
    let mut count = 0;
    let mut put = |finding: Option<Finding>| {
        found[count] = finding;
        count += usize::from(finding.is_some());
    };
    let sent = stats.sender.packets;
    let received = stats.total.received;
    let both = stats.directions.sends && stats.directions.receives;
    if let Some(CallSound { microphone, sent: said, received: heard }) = &stats.sound {
        if let Some(microphone) = microphone {
            put(clipped(MeasurementPoint::Microphone, microphone));
            put(flattened(MeasurementPoint::Microphone, microphone));
            put(howling(MeasurementPoint::Microphone, microphone));
            put(silent(MeasurementPoint::Microphone, microphone));
        }
        let clips =
            microphone.as_ref().is_some_and(|microphone| clipped(MeasurementPoint::Microphone, microphone).is_some());
        put(clipped(MeasurementPoint::Sent, said).filter(|_| !clips));
        let mute =
            microphone.as_ref().is_some_and(|microphone| silent(MeasurementPoint::Microphone, microphone).is_some());
        put(silent(MeasurementPoint::Sent, said).filter(|finding| finding.share >= ALWAYS && !mute));
        put(clipped(MeasurementPoint::Received, heard));
        put(howling(MeasurementPoint::Received, heard));
        put(silent(MeasurementPoint::Received, heard).filter(|_| stats.directions.receives && received > 0));
    }
    let last_ms = stats.sound.map_or(0, |sound| sound.received.heard_ms);
    let one_way = |place, is: bool| {
        let finding = Finding {
            place,
            fault: Fault::NoPackets,
            share: 1.0,
            first_ms: 0,
            last_ms,
            total_ms: last_ms,
            howling_hz: 0,
        };
        (is && both).then_some(finding)
    };
    put(one_way(MeasurementPoint::Received, sent >= LEAST_PACKETS && received == 0));
    put(one_way(MeasurementPoint::Sent, received >= u64::from(LEAST_PACKETS) && sent == 0));
    found.into_iter().flatten()
}

fn of(place: MeasurementPoint, fault: Fault, sound: &SoundStats, spell: &Spell) -> Finding {
    let Spell { total_ms, first_ms, last_ms, .. } = *spell;
    let howling_hz = if fault == Fault::Howling { sound.howling_hz } else { 0 };
    Finding { place, fault, share: spell.share_of(sound.heard_ms.into()), first_ms, last_ms, total_ms, howling_hz }
}

fn clipped(place: MeasurementPoint, sound: &SoundStats) -> Option<Finding> {
    let finding = of(place, Fault::Clipped, sound, &sound.clipped);
    (finding.share >= CLIPPED && finding.total_ms >= CLIPPED_MS).then_some(finding)
}

fn flattened(place: MeasurementPoint, sound: &SoundStats) -> Option<Finding> {
    let finding = of(place, Fault::Flattened, sound, &sound.flattened);
    (finding.share >= FLATTENED && finding.total_ms >= FLATTENED_MS).then_some(finding)
}

fn howling(place: MeasurementPoint, sound: &SoundStats) -> Option<Finding> {
    (!sound.howling.is_empty()).then(|| of(place, Fault::Howling, sound, &sound.howling))
}

/// Silent all the time, or digitally for long.
fn silent(place: MeasurementPoint, sound: &SoundStats) -> Option<Finding> {
    if sound.heard_ms < LEAST_MS {
        return None;
    }
    let digital = of(place, Fault::DigitallySilent, sound, &sound.digital_silence);
    let silent = of(place, Fault::Silent, sound, &sound.silent);
    if digital.share >= ALWAYS || sound.digital_silence.longest_ms >= LONG_MS {
        Some(digital)
    } else {
        Some(silent).filter(|silent| silent.share >= ALWAYS)
    }
}

/// The meters of a stream.
#[derive(Default)]
pub(super) struct Meters {
    pub(super) microphone: PlaceMeter,
    pub(super) sent: PlaceMeter,
    pub(super) received: PlaceMeter,
}

impl Meters {
    pub(super) fn read(&self) -> CallSound {
        CallSound {
            microphone: self.microphone.channels[0].is_some().then(|| self.microphone.read()),
            sent: self.sent.read(),
            received: self.received.read(),
        }
    }
}

/// The meters of one place, one a channel.
#[derive(Default)]
pub(super) struct PlaceMeter {
    channels: [Option<SoundMeter>; 2],
}

/// Samples of a channel that are taken out of stereo at once.
const PART: usize = 64;

impl PlaceMeter {
    /// Hears interleaved samples of this sound.
    pub(super) fn hear(&mut self, sound: Sound, pcm: &[i16]) {
        let channels = usize::from(sound.channels.clamp(1, 2));
        let is_ours = |meter: &SoundMeter| meter.sample_rate_hz() == sound.rate_hz;
        if !self.channels[0].as_ref().is_some_and(is_ours) || self.channels[1].is_some() != (channels == 2) {
            // Calls have 8 to 48 kHz; a codec of your own may have another rate, and isn't metered then.
            let meter = SoundMeter::new(sound.rate_hz).ok();
            self.channels = [meter, meter.filter(|_| channels == 2)];
        }
        match &mut self.channels {
            [Some(mono), None] => mono.hear(pcm),
            [Some(left), Some(right)] => {
                let mut parts = [[0; PART]; 2];
                for frames in pcm.as_chunks::<2>().0.chunks(PART) {
                    for (n, &[one, other]) in frames.iter().enumerate() {
                        (parts[0][n], parts[1][n]) = (one, other);
                    }
                    left.hear(&parts[0][..frames.len()]);
                    right.hear(&parts[1][..frames.len()]);
                }
            }
            _ => {}
        }
    }

    fn read(&self) -> SoundStats {
        match &self.channels {
            [Some(left), Some(right)] => both(left.read(), right.read()),
            [Some(mono), _] => mono.read(),
            _ => SoundStats::default(),
        }
    }
}

/// Combines two channels as [`CallSound`] describes.
fn both(left: SoundStats, right: SoundStats) -> SoundStats {
    let more = |left: Spell, right: Spell| if right.total_ms > left.total_ms { right } else { left };
    let less = |left: Spell, right: Spell| if right.total_ms < left.total_ms { right } else { left };
    let louder = if right.level.long_term > left.level.long_term { right } else { left };
    let worse = if right.faults.clipped_ppm > left.faults.clipped_ppm { right } else { left };
    SoundStats {
        heard_ms: left.heard_ms,
        level: louder.level,
        peak: left.peak.max(right.peak),
        faults: worse.faults,
        clipped: more(left.clipped, right.clipped),
        flattened: more(left.flattened, right.flattened),
        silent: less(left.silent, right.silent),
        digital_silence: less(left.digital_silence, right.digital_silence),
        howling: more(left.howling, right.howling),
        howling_hz: if right.howling.total_ms > left.howling.total_ms { right.howling_hz } else { left.howling_hz },
    }
}
