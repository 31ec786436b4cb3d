//! The one task that has microphone and loudspeaker, and mixes the lines: each hears all who talk but itself.
//!
//! Every 10 ms: what the lines brought and what the microphone brought the tick before is mixed, each line gets its
//! mix, the loudspeaker its own, and the microphone is read. A line that is held is in the room too, hears nothing of
//! it and isn't heard. The microphone's tick is the price of one front end for all lines: the echo canceller hears
//! the whole mix.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration as StdDuration;

use dsp_core::front::{FrontError, Media, Step};
use dsp_core::noise::NoiseLevel;
use dsp_core::process::agc::AgcConfig;
use dsp_core::process::voice::VoiceConfig;
use dsp_core::receive::Played;
use dsp_core::time::Instant;
use dsp_core::tone::{Country, ProgressGenerator, ProgressTone, Segment};
use host_std::device::AudioIo;
use host_std::player::{Blend, Player};
use host_std::record::recorder::{Recorder, RecorderConfig, Track};
use host_std::room::{MemberId, Room, RoomConfig, RoomError};
use host_std::session::driver::{Clock, Device, Join};
use host_std::session::{CaptureConfig, EchoSettings, HostFront, front_end};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::line::{DeskEnd, LineEnd, line};

const TICK_MS: u64 = 10;
/// Commands that wait for the next tick.
const WAITING: usize = 64;
/// Level of the ringing tone in hundredths of a dBm0.
const RINGING: i16 = -1_900;
/// Samples of the longest tick.
const LONGEST: usize = 480;

/// Why there is no desk.
#[derive(Debug)]
pub(crate) enum DeskError {
    Room(RoomError),
    Front(FrontError),
    /// No country has this code.
    Country(String),
}

impl fmt::Display for DeskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Room(error) => error.fmt(f),
            Self::Front(error) => error.fmt(f),
            Self::Country(code) => write!(f, "phone.country {code:?}: no country whose tones are known has this code"),
        }
    }
}

enum Order {
    Plug(u64, DeskEnd),
    /// Whether the line talks, or is held.
    Talk(u64, bool),
    Unplug(u64),
    Mute(bool),
    /// What the user hears besides.
    Play(Player),
    Record(Option<Track>),
    Change(Box<dyn AudioIo>),
    Close(oneshot::Sender<Option<String>>),
}

/// Plugs further lines in, from wherever they come.
pub(crate) struct Plugs {
    orders: mpsc::Sender<Order>,
    rate_hz: u32,
}

impl Plugs {
    /// A new line that talks at once, and is gone with its end; `None`: the desk has closed. It blocks for a moment.
    pub(crate) fn plug(&self, key: u64) -> Option<LineEnd> {
        let (call, desk) = line(self.rate_hz);
        self.orders.blocking_send(Order::Plug(key, desk)).ok()?;
        self.orders.blocking_send(Order::Talk(key, true)).ok()?;
        Some(call)
    }
}

/// The desk, as the phone has it.
pub(crate) struct Desk {
    orders: mpsc::Sender<Order>,
    rate_hz: u32,
    country: &'static Country,
    recorder: Option<Recorder>,
}

impl Desk {
    /// Begins to move sound, for so many lines.
    ///
    /// # Errors
    /// [`DeskError`].
    pub(crate) fn start(
        audio: Box<dyn AudioIo>,
        lines: usize,
        processing: bool,
        country: &str,
    ) -> Result<Self, DeskError> {
        let rate_hz = audio.sample_rate_hz();
        let country = Country::of(country).ok_or_else(|| DeskError::Country(country.into()))?;
        // The user, and a place to spare for each line: another may come before the one of before is noticed to be
        // gone.
        let mut room = Room::new(RoomConfig { sample_rate_hz: rate_hz, capacity: 2 * lines + 2, loudest: None })
            .map_err(DeskError::Room)?;
        let user = room.join().map_err(DeskError::Room)?;
        let capture = match processing {
            true => CaptureConfig {
                high_pass_hz: Some(80),
                echo: Some(EchoSettings::default()),
                noise: Some(NoiseLevel::default()),
                detector: Some(VoiceConfig::default()),
                gain: Some(AgcConfig::default()),
                ..CaptureConfig::default()
            },
            false => CaptureConfig::default(),
        };
        let front = front_end(rate_hz, 1, &capture).map_err(DeskError::Front)?;
        let mixing = Mixing {
            room,
            user,
            lines: Vec::with_capacity(2 * lines),
            said: [0; LONGEST],
            join: Join::new(rate_hz),
            tick: rate_hz as usize / 100,
            track: None,
            recorded: 0,
        };
        let (orders, waiting) = mpsc::channel(WAITING);
        let device = Device::new(audio);
        let running = Running { mixing, front, device, was_lost: false, clock: Clock::start(), waiting };
        tokio::spawn(running.run());
        Ok(Self { orders, rate_hz, country, recorder: None })
    }

    /// What plugs lines in beside us.
    pub(crate) fn plugs(&self) -> Plugs {
        Plugs { orders: self.orders.clone(), rate_hz: self.rate_hz }
    }

    /// A new line, held until it talks; the end for its call.
    pub(crate) async fn plug(&self, line_key: u64) -> LineEnd {
        let (call, desk) = line(self.rate_hz);
        self.order(Order::Plug(line_key, desk)).await;
        call
    }

    /// Whether a line talks, or is held.
    pub(crate) async fn talk(&self, line: u64, talks: bool) {
        self.order(Order::Talk(line, talks)).await;
    }

    /// A line is gone.
    pub(crate) async fn unplug(&self, line: u64) {
        self.order(Order::Unplug(line)).await;
    }

    pub(crate) async fn mute(&self, muted: bool) {
        self.order(Order::Mute(muted)).await;
    }

    /// Whether the user hears the ringing tone.
    pub(crate) async fn ring(&self, rings: bool) {
        let ringing = || period(self.rate_hz, RINGING, self.country.tone(ProgressTone::Ringing));
        let tone = if rings { ringing() } else { Vec::new() };
        self.order(Order::Play(Player::of_samples(tone, 1, rings))).await;
    }

    /// Records all that is said on the lines that talk, from now on; `None`: no longer.
    ///
    /// # Errors
    /// Why it can't, or what was wrong with what ends.
    pub(crate) async fn record(&mut self, path: Option<PathBuf>) -> Result<(), String> {
        self.order(Order::Record(None)).await;
        if let Some(recorder) = self.recorder.take() {
            // It waits for the disk.
            let stopped = tokio::task::spawn_blocking(|| recorder.stop()).await.map_err(|error| error.to_string())?;
            stopped.map_err(|error| error.to_string())?;
        }
        let Some(path) = path else { return Ok(()) };
        let config = RecorderConfig { sample_rate_hz: self.rate_hz, tracks: 1, ..RecorderConfig::new(path) };
        let started =
            tokio::task::spawn_blocking(|| Recorder::start(config)).await.map_err(|error| error.to_string())?;
        let (recorder, mut tracks) = started.map_err(|error| error.to_string())?;
        self.order(Order::Record(tracks.pop())).await;
        self.recorder = Some(recorder);
        Ok(())
    }

    /// Ends it; what is wrong with the device or the recording, if anything is.
    pub(crate) async fn close(&mut self) -> Option<String> {
        let recorded = self.record(None).await.err();
        let (tell, told) = oneshot::channel();
        self.order(Order::Close(tell)).await;
        told.await.ok().flatten().or(recorded)
    }

    /// Moves on to other devices, which were opened before.
    pub(crate) async fn change(&self, audio: Box<dyn AudioIo>) {
        self.order(Order::Change(audio)).await;
    }

    /// Rate of the sound, in Hz.
    pub(crate) fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    async fn order(&self, order: Order) {
        // A desk that has closed needs no orders.
        let _ = self.orders.send(order).await;
    }
}

/// A tone from its beginning to where it begins anew.
pub(super) fn period(rate_hz: u32, level: i16, segments: &'static [Segment]) -> Vec<i16> {
    let period_ms: u32 = segments.iter().map(|segment| u32::from(segment.ms)).sum();
    let mut pcm = vec![0; (u64::from(rate_hz) * u64::from(period_ms) / 1_000) as usize];
    if let Ok(mut generator) = ProgressGenerator::new(rate_hz, level, segments) {
        generator.fill(&mut pcm);
    }
    pcm
}

struct Line {
    key: u64,
    member: MemberId,
    end: DeskEnd,
}

/// The lines and the user in one room: what a front end sees as a call.
struct Mixing {
    room: Room,
    user: MemberId,
    lines: Vec<Line>,
    /// What the microphone gave.
    said: [i16; LONGEST],
    /// Where another microphone takes over.
    join: Join,
    tick: usize,
    /// What is recorded, and how far it has got.
    track: Option<Track>,
    recorded: u64,
}

impl Media for Mixing {
    type Transmit = ();

    fn play(&mut self, _: Instant, pcm: &mut [i16]) -> Played {
        let mut frame = [0; LONGEST];
        let frame = &mut frame[..self.tick];
        for line in &mut self.lines {
            line.end.hear(frame);
            self.room.say(line.member, frame);
        }
        self.room.say(self.user, &self.said[..self.tick]);
        self.room.mix();
        for line in &mut self.lines {
            self.room.hear(line.member, frame);
            line.end.say(frame);
        }
        if !self.room.hear(self.user, pcm) {
            pcm.fill(0);
        }
        if let Some(track) = &mut self.track {
            for (all, (heard, said)) in frame.iter_mut().zip(pcm.iter().zip(&self.said)) {
                *all = heard.saturating_add(*said);
            }
            track.write(self.recorded, frame);
            self.recorded += frame.len() as u64;
        }
        Played::default()
    }

    fn capture(&mut self, _: Instant, pcm: &[i16]) {
        let count = pcm.len().min(self.tick);
        self.said[..count].copy_from_slice(&pcm[..count]);
        self.join.pass_all(&mut self.said[..count], 1);
    }

    fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<()> {
        None
    }
}

struct Running {
    mixing: Mixing,
    front: Box<HostFront>,
    device: Device,
    was_lost: bool,
    clock: Clock,
    waiting: mpsc::Receiver<Order>,
}

impl Running {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(StdDuration::from_millis(TICK_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut captures = false;
        loop {
            tokio::select! {
                biased;
                order = self.waiting.recv() => match order {
                    Some(Order::Close(tell)) => {
                        let mut audio = self.device.into_audio().await;
                        // A card plays what it has.
                        let closed = tokio::task::spawn_blocking(move || audio.close()).await;
                        let error = closed.ok().and_then(Result::err).map(|error| error.to_string());
                        let _ = tell.send(error);
                        return;
                    }
                    Some(order) => self.obey(order),
                    None => return,
                },
                _ = ticks.tick() => {
                    self.tick(captures);
                    captures = true;
                    self.device.recover().await;
                    self.tell_loss();
                }
            }
        }
    }

    fn tick(&mut self, captures: bool) {
        let Self { mixing, front, device, clock, .. } = self;
        front.set_latency(device.latency());
        if front.begin(clock.now(), mixing.tick, captures).is_err() {
            return;
        }
        while let Some(step) = front.step(mixing, &mut []) {
            match step {
                Step::Loudspeaker { pcm, .. } => {
                    device.write(pcm);
                }
                Step::Microphone(microphone) => {
                    device.read(microphone.pcm);
                    *microphone.lost = microphone.lost.saturating_add(device.gaps().captured);
                }
                Step::Transmit(()) => {}
            }
        }
        // Whoever forgets to unplug a line leaves none here.
        let Mixing { room, lines, .. } = mixing;
        lines.retain(|line| {
            let stays = !line.end.is_over();
            if !stays {
                let _ = room.leave(line.member);
            }
            stays
        });
    }

    /// Tells the user when the device is lost, and when it's back.
    fn tell_loss(&mut self) {
        let is_lost = self.device.is_lost();
        if std::mem::replace(&mut self.was_lost, is_lost) != is_lost {
            let what = if is_lost { "the sound device is lost, and is looked for" } else { "the sound device is back" };
            crate::phone::say!("{what}");
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Plug(key, end) => match self.mixing.room.join() {
                Ok(member) => {
                    self.mixing.lines.push(Line { key, member, end });
                    let _ = self.mixing.room.set_on_hold(member, true);
                }
                // There is a place for each line, and one to spare.
                Err(error) => tracing::error!(%error, "a line has no place"),
            },
            Order::Talk(key, talks) => {
                let member = self.mixing.lines.iter().find(|line| line.key == key).map(|line| line.member);
                if let Some(member) = member {
                    let _ = self.mixing.room.set_on_hold(member, !talks);
                }
            }
            Order::Unplug(key) => {
                let Mixing { room, lines, .. } = &mut self.mixing;
                lines.retain(|line| {
                    let stays = line.key != key;
                    if !stays {
                        let _ = room.leave(line.member);
                    }
                    stays
                });
            }
            Order::Mute(muted) => self.front.set_microphone_muted(muted),
            Order::Play(player) => {
                let _ = self.mixing.room.announce_to(self.mixing.user, player, Blend::Mixed);
            }
            Order::Record(track) => (self.mixing.track, self.mixing.recorded) = (track, 0),
            Order::Change(audio) => {
                self.device.change(audio).close();
                self.front.reset();
                self.mixing.join.break_off();
            }
            Order::Close(_) => {}
        }
    }
}
